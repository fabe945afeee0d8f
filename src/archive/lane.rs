//! What one thread has read: rows of one table, their values by column, each distinct one once.
//!
//! Invariants: every member of a kept record is here once, as a value of a column or as text for `_hf_rest`; only nulls at
//! the top level are dropped (restored as absent). Values keep the bytes they had in the record; what type they get is
//! decided when a segment is written. [`Lane::bytes`] counts capacity, not use, so that a caller who flushes at a limit
//! stays near it (I11).

use jiff::civil::Date;

use super::arrivals::{Arrivals, Desk};
use super::column::{Column, Full, grow};
use super::keys::{Keys, Slot};
use super::schema::TableSchema;
use crate::error::{Error, Kind, Result};
use crate::record::digest::{RecordHasher, SetDigest, digest_of_fields};
use crate::record::learned::LearnedKeys;
use crate::record::token::{Malformed, Member, members_learned};

const KEEPING: &str = "keeping a record for the archive";
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

/// Rows of one table that one thread read.
#[derive(Debug)]
pub struct Lane {
    learned: LearnedKeys,
    members: Vec<Member>,
    pub(super) keys: Keys,
    slots: Vec<Slot>,
    /// By place in the survey.
    pub(super) columns: Vec<Column>,
    /// For each column.
    arrivals: Vec<Arrivals>,
    desk: Desk,
    /// Of each record that waits, the sum of its fields' digests, as far as they were digested.
    sums: Vec<u128>,
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
            columns: Vec::new(),
            arrivals: Vec::new(),
            desk: Desk::default(),
            sums: Vec::new(),
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

    /// Keeps the record that was read last; its values wait for [`Lane::settle`]. Fails if it has 2 GiB or more, or if the
    /// lane is full.
    pub fn keep(&mut self, record: &[u8], meta: RowMeta) -> Result<()> {
        if record.len() >= LONGEST_RECORD {
            return Err(Error::new(Kind::Object, KEEPING, "it has 2 GiB or more"));
        }
        if self.rows.len() >= MOST_ROWS {
            return Err(Error::new(Kind::Internal, KEEPING, "too many rows"));
        }
        let (row, waits) = (self.rows.len() as u32, self.sums.len() as u32);
        self.keys.place(record, &self.members, self.learned.numbers(), &mut self.slots);
        self.rest_text.clear();
        let mut bytes = 0;
        for (member, slot) in self.members.iter().zip(&self.slots) {
            match *slot {
                Slot::Column(column) => {
                    let column = column as usize;
                    if column >= self.columns.len() {
                        self.columns.resize_with(column + 1, Column::default);
                        let new = self.arrivals.len()..=column;
                        self.arrivals.extend(new.map(|at| Arrivals::new(self.keys.hasher(at))));
                    }
                    self.arrivals[column].push(waits, member);
                    bytes += member.value.len();
                }
                Slot::Rest => {
                    let (key, value) = (member.key.of(record), member.value.of(record));
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
        self.sums.push(self.hasher.take_sum());
        if !self.rest_text.is_empty() {
            bytes += self.rest_text.len();
            let hash = xxhash_rust::xxh3::xxh3_64(&self.rest_text);
            self.rest.push(row, &self.rest_text, false, hash).map_err(full)?;
        }
        grow(&mut self.rows, 1);
        self.rows.push(Row { meta, chunk: self.chunk, bytes: bytes as u32 });
        self.told_bytes += bytes;
        Ok(())
    }

    /// Takes in the values of `records`, those that were kept since it was last called, in their order; gives their digest.
    pub fn settle(&mut self, records: &[&[u8]]) -> Result<SetDigest> {
        if records.len() != self.sums.len() {
            return Err(Error::new(Kind::Internal, KEEPING, "other records wait than are settled"));
        }
        let first_row = (self.rows.len() - records.len()) as u32;
        for (at, (column, arrivals)) in self.columns.iter_mut().zip(&mut self.arrivals).enumerate() {
            let see = |kind, value: &[u8]| self.keys.see(at, kind, value);
            arrivals.settle(column, records, first_row, &mut self.sums, &mut self.desk, see).map_err(full)?;
        }
        grow(&mut self.digests, records.len());
        let mut all = SetDigest::default();
        for sum in self.sums.drain(..) {
            let digest = digest_of_fields(sum);
            self.digests.push(digest);
            all.add(digest);
        }
        Ok(all)
    }

    /// [`Lane::read`], [`Lane::keep`] and [`Lane::settle`] for one record; gives its digest. Fails with [`Kind::Damaged`] if it
    /// is no record.
    pub fn push(&mut self, record: &[u8], meta: RowMeta) -> Result<SetDigest> {
        self.read(record)
            .map_err(|malformed| Error::new(Kind::Damaged, KEEPING, format!("it is none: {malformed}")))?;
        self.keep(record, meta)?;
        self.settle(&[record])
    }

    /// How many rows are kept.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Memory in use, in bytes. Looks at each column: not for every record.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum::<usize>()
            + self.columns.capacity() * size_of::<Column>()
            + self.arrivals.iter().map(Arrivals::bytes).sum::<usize>()
            + self.arrivals.capacity() * size_of::<Arrivals>()
            + self.desk.bytes()
            + self.sums.capacity() * size_of::<u128>()
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

fn full(_: Full) -> Error {
    Error::new(Kind::Internal, KEEPING, "a column holds 4 GiB")
}
