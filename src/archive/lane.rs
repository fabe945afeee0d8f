//! What one thread has read: rows of one table, their values by column, each distinct one once.
//!
//! Invariants: every member of a kept record is here once, as a value of a column or as text for `_hf_rest`; only nulls at
//! the top level are dropped (restored as absent). Values keep the bytes they had in the record; what type they get is
//! decided when a segment is written. [`Lane::bytes`] counts capacity, not use, so that a caller who flushes at a limit
//! stays near it (I11).

use jiff::civil::Date;

use super::column::{Column, Full, Hint, grow};
use super::keys::{Keys, Slot};
use super::schema::TableSchema;
use crate::error::{Error, Kind, Result};
use crate::record::digest::RecordHasher;
use crate::record::field::FieldHasher;
use crate::record::learned::LearnedKeys;
use crate::record::token::{Malformed, Member, members_learned};

/// A longer record is refused.
const LONGEST_RECORD: usize = 1 << 31;
/// Lanes are told apart by so many bits of a [`super::rows::RowRef`].
pub(super) const LANE_BITS: u32 = 6;
/// A lane with so many rows takes no more.
const MOST_ROWS: usize = 1 << (32 - LANE_BITS);

/// What the archive says of a row beside its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowMeta {
    /// UTC day: the partition.
    pub day: Date,
    /// The part, as [`RowBuffer::part`](super::rows::RowBuffer::part) numbered it.
    pub part: u16,
    /// Microseconds since 1970 UTC: rows are sorted by it.
    pub micros: i64,
    /// The raw object, as [`RowBuffer::source`](super::rows::RowBuffer::source) numbered it.
    pub source: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) meta: RowMeta,
    /// Of the batch, counted as they were read.
    pub(super) chunk: u32,
    /// Of its values and other members.
    pub(super) bytes: u32,
}

/// A value on its way into its column.
#[derive(Debug)]
struct Placed {
    column: usize,
    member: Member,
    hash: u64,
    hint: Hint,
}

/// Rows of one table that one thread read.
#[derive(Debug)]
pub struct Lane {
    learned: LearnedKeys,
    members: Vec<Member>,
    pub(super) keys: Keys,
    slots: Vec<Slot>,
    /// Of the record that is being kept.
    placed: Vec<Placed>,
    /// By place in the survey.
    pub(super) columns: Vec<Column>,
    hashers: Vec<FieldHasher>,
    hasher: RecordHasher,
    /// The members that can't be columns, as they were written, with commas between them.
    pub(super) rest: Column,
    rest_text: Vec<u8>,
    pub(super) rows: Vec<Row>,
    pub(super) digests: Vec<u128>,
    /// Of all rows: see [`Row::bytes`].
    pub(super) told_bytes: usize,
    chunk: u32,
}

impl Lane {
    /// An empty lane for a table with these columns; new ones are surveyed.
    pub fn new(schema: &TableSchema) -> Self {
        Lane {
            learned: LearnedKeys::default(),
            members: Vec::new(),
            keys: Keys::new(schema),
            slots: Vec::new(),
            placed: Vec::new(),
            columns: Vec::new(),
            hashers: Vec::new(),
            hasher: RecordHasher::new(),
            rest: Column::default(),
            rest_text: Vec::new(),
            rows: Vec::new(),
            digests: Vec::new(),
            told_bytes: 0,
            chunk: 0,
        }
    }

    /// What is read from now on belongs to this chunk of the batch: rows of one time keep the order of their chunks.
    pub fn begin_chunk(&mut self, chunk: u32) {
        self.chunk = chunk;
        self.keys.begin_chunk(chunk);
    }

    /// Reads a record; its members are held until the next is read.
    pub fn read(&mut self, record: &[u8]) -> Result<&[Member], Malformed> {
        members_learned(record, &mut self.learned, &mut self.members)?;
        Ok(&self.members)
    }

    /// Keeps the record that was read last, and gives its digest. Fails if it has 2 GiB or more, or if the lane is full.
    pub fn keep(&mut self, record: &[u8], meta: RowMeta) -> Result<u128> {
        let attempted = "keeping a record for the archive";
        if record.len() >= LONGEST_RECORD {
            return Err(Error::new(Kind::Object, attempted, "it has 2 GiB or more"));
        }
        if self.rows.len() >= MOST_ROWS {
            return Err(Error::new(Kind::Internal, attempted, "too many rows"));
        }
        let full = |Full| Error::new(Kind::Internal, attempted, "a column holds 4 GiB");
        let row = self.rows.len() as u32;
        self.keys.place(record, &self.members, self.learned.numbers(), &mut self.slots);
        while self.columns.len() < self.keys.survey().columns.len() {
            self.columns.push(Column::default());
        }
        self.rest_text.clear();
        self.placed.clear();
        let mut bytes = 0;
        for (member, slot) in self.members.iter().zip(&self.slots) {
            let value = member.value.of(record);
            match *slot {
                Slot::Column(column) => {
                    let column = column as usize;
                    if column >= self.hashers.len() {
                        self.hashers.extend((self.hashers.len()..=column).map(|at| self.keys.hasher(at)));
                    }
                    let digest = self.hashers[column].digest(value, member.kind, member.value_escaped);
                    self.hasher.field(digest);
                    self.placed.push(Placed { column, member: *member, hash: digest as u64, hint: Hint::default() });
                    bytes += value.len();
                }
                Slot::Rest => {
                    let key = member.key.of(record);
                    self.hasher.member(key, value, member.kind);
                    if !self.rest_text.is_empty() {
                        self.rest_text.push(b',');
                    }
                    self.rest_text.push(b'"');
                    self.rest_text.extend_from_slice(key);
                    self.rest_text.extend_from_slice(b"\":");
                    self.rest_text.extend_from_slice(value);
                }
                Slot::Null => {}
            }
        }
        // Most of the time goes into waiting for memory: each step is taken for all values before the next one is.
        for placed in &mut self.placed {
            placed.hint = self.columns[placed.column].look(placed.hash);
        }
        for placed in &mut self.placed {
            self.columns[placed.column].look_on(placed.hash, &mut placed.hint);
        }
        for &Placed { column, member, hash, hint } in &self.placed {
            let value = member.value.of(record);
            let new = self.columns[column].push_hinted(row, value, member.value_escaped, hash, hint);
            if new.map_err(full)? {
                self.keys.see(column, member.kind, value);
            }
        }
        let digest = self.hasher.finish();
        if !self.rest_text.is_empty() {
            bytes += self.rest_text.len();
            let hash = xxhash_rust::xxh3::xxh3_64(&self.rest_text);
            self.rest.push(row, &self.rest_text, false, hash).map_err(full)?;
        }
        grow(&mut self.rows, 1);
        self.rows.push(Row { meta, chunk: self.chunk, bytes: bytes as u32 });
        grow(&mut self.digests, 1);
        self.digests.push(digest);
        self.told_bytes += bytes;
        Ok(digest)
    }

    /// [`Lane::read`] and [`Lane::keep`]. Fails with [`Kind::Damaged`] if it is no record.
    pub fn push(&mut self, record: &[u8], meta: RowMeta) -> Result<u128> {
        self.read(record).map_err(|malformed| {
            Error::new(Kind::Damaged, "keeping a record for the archive", format!("it is none: {malformed}"))
        })?;
        self.keep(record, meta)
    }

    /// How many rows are kept.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Memory in use, in bytes. Looks at each column: not for every record.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum::<usize>()
            + self.columns.capacity() * size_of::<Column>()
            + self.hashers.iter().map(FieldHasher::bytes).sum::<usize>()
            + self.hashers.capacity() * size_of::<FieldHasher>()
            + self.rest.bytes()
            + self.rest_text.capacity()
            + self.rows.capacity() * size_of::<Row>()
            + self.digests.capacity() * size_of::<u128>()
            + self.learned.bytes()
            + self.keys.bytes()
    }

    /// True if the lane takes no further chunk, whatever memory there is.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= MOST_ROWS / 2
    }

    /// Forgets the rows and gives their memory back; what was learned and surveyed stays.
    pub(super) fn clear(&mut self) {
        self.columns.iter_mut().for_each(|column| *column = Column::default());
        self.rest = Column::default();
        self.rest_text = Vec::new();
        self.rows = Vec::new();
        self.digests = Vec::new();
        self.told_bytes = 0;
    }
}
