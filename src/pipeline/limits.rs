//! How a batch shares out the memory that the settings allow (I11).

/// How `memory` is shared out.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows are written out when they take this much.
    pub buffer: usize,
    /// A longer record is quarantined.
    pub record: usize,
    pub row_group: usize,
    /// Raw bytes that are read as one.
    pub chunk: usize,
    /// A raw object is held in memory while it is read if it takes no more, as it lies there and unpacked.
    pub held: usize,
}

/// Places in a column have 32 bits.
const MOST_BUFFER: usize = 3 << 30;

impl Limits {
    /// Half for rows; the rest is for the objects being read, the row group being encoded, the buffers of stores, and
    /// reading back.
    pub fn of(memory: u64) -> Self {
        let memory = usize::try_from(memory).unwrap_or(usize::MAX);
        Limits {
            buffer: (memory / 2).min(MOST_BUFFER),
            record: (memory / 16).min(64 << 20),
            row_group: (memory / 4).min(256 << 20),
            chunk: (memory / 256).clamp(64 << 10, 1 << 20),
            held: (memory / 16).min(64 << 20),
        }
    }
}
