//! The rows that the next segments will hold: their values by column, in one arena.
//!
//! Invariants: every member of a pushed record is here once, as a value of a column or as text for `_hf_rest`; only
//! nulls at the top level are dropped (restored as absent). Values keep the bytes they had in the record; what type
//! they get is decided when a segment is written. [`RowBuffer::bytes`] counts capacity, not use, so that a caller who
//! flushes at a limit stays below it (I11): no allocation here is larger than a chunk of the arena, a record, or the
//! doubling of one column's index.

use jiff::civil::Date;

use super::keys::{Keys, Slot};
use super::schema::TableSchema;
use super::survey::Survey;
use crate::error::{Error, Kind, Result};
use crate::record::token::Member;

/// The arena grows by so many bytes; a record of more gets a chunk of its own.
const CHUNK_BYTES: usize = 4 << 20;

/// What the archive says of a row beside its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowMeta {
    /// UTC day: the partition.
    pub day: Date,
    /// The part, as [`RowBuffer::part`] numbered it.
    pub part: u16,
    /// Microseconds since 1970 UTC: rows are sorted by it.
    pub micros: i64,
    /// The raw object, as [`RowBuffer::source`] numbered it.
    pub source: u32,
}

/// A value of a column: where its token lies after the start of its row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) row: u32,
    start: u32,
    /// Top bit: the token contains a backslash.
    length: u32,
}

const ESCAPED: u32 = 1 << 31;

/// A token as it stood in the record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) escaped: bool,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    meta: RowMeta,
    chunk: u32,
    /// Of the row's bytes in its chunk: values one after the other, then the members for `_hf_rest`.
    start: u32,
    rest: u32,
    end: u32,
}

/// Rows of one table, kept until they are written.
#[derive(Debug)]
pub struct RowBuffer {
    keys: Keys,
    cells: Vec<Vec<Cell>>,
    rows: Vec<Row>,
    digests: Vec<u128>,
    chunks: Vec<Vec<u8>>,
    parts: Vec<String>,
    sources: Vec<String>,
    slots: Vec<Slot>,
    cell_capacity: usize,
    chunk_capacity: usize,
    source_bytes: usize,
}

impl RowBuffer {
    /// An empty buffer for a table with these columns; new ones are surveyed.
    pub fn new(schema: &TableSchema) -> Self {
        RowBuffer {
            keys: Keys::new(schema, Survey::default()),
            cells: Vec::new(),
            rows: Vec::new(),
            digests: Vec::new(),
            chunks: Vec::new(),
            parts: Vec::new(),
            sources: Vec::new(),
            slots: Vec::new(),
            cell_capacity: 0,
            chunk_capacity: 0,
            source_bytes: 0,
        }
    }

    /// The number of a part for [`RowMeta::part`]; valid as long as the buffer.
    pub fn part(&mut self, name: &str) -> Result<u16> {
        let at = self.parts.iter().position(|known| known == name).unwrap_or_else(|| {
            self.parts.push(name.to_string());
            self.parts.len() - 1
        });
        u16::try_from(at).map_err(|_| Error::new(Kind::Internal, "numbering the parts of a table", "too many parts"))
    }

    /// The number of a raw object for [`RowMeta::source`]; valid as long as the buffer. Meant to be called once for
    /// each object, as it is opened.
    pub fn source(&mut self, name: &str) -> u32 {
        if self.sources.last().is_none_or(|last| last != name) {
            self.source_bytes += name.len();
            self.sources.push(name.to_string());
        }
        self.sources.len() as u32 - 1
    }

    /// Keeps one record. `members` are those of `record`, `digest` is the record's. Fails, and keeps nothing, if the
    /// record has 2 GiB or more, or if the buffer is full (2³² rows).
    pub fn push(&mut self, record: &[u8], members: &[Member], meta: RowMeta, digest: u128) -> Result<()> {
        let attempted = "keeping a record for the archive";
        if record.len() >= ESCAPED as usize {
            return Err(Error::new(Kind::Object, attempted, "it has 2 GiB or more"));
        }
        let row = u32::try_from(self.rows.len()).map_err(|_| Error::new(Kind::Internal, attempted, "too many rows"))?;
        let mut slots = std::mem::take(&mut self.slots);
        self.keys.place(record, members, &mut slots);
        self.cells.resize_with(self.keys.survey().columns.len(), Vec::new);
        // The values and the members for `_hf_rest` are parts of the record, so they never need more than it has.
        let chunk = self.chunk_with(record.len());
        let arena = &mut self.chunks[chunk];
        let start = arena.len();
        for (member, slot) in members.iter().zip(&slots) {
            let Slot::Column(column) = *slot else { continue };
            let cells = &mut self.cells[column as usize];
            let length = member.value.len() as u32 | if member.value_escaped { ESCAPED } else { 0 };
            let before = cells.capacity();
            cells.push(Cell { row, start: (arena.len() - start) as u32, length });
            self.cell_capacity += cells.capacity() - before;
            arena.extend_from_slice(member.value.of(record));
        }
        let rest = arena.len();
        for (member, _) in members.iter().zip(&slots).filter(|(_, slot)| **slot == Slot::Rest) {
            if arena.len() > rest {
                arena.push(b',');
            }
            arena.push(b'"');
            arena.extend_from_slice(member.key.of(record));
            arena.extend_from_slice(b"\":");
            arena.extend_from_slice(member.value.of(record));
        }
        let row = Row { meta, chunk: chunk as u32, start: start as u32, rest: rest as u32, end: arena.len() as u32 };
        self.rows.push(row);
        self.digests.push(digest);
        self.slots = slots;
        Ok(())
    }

    /// How many rows are kept.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// What was pushed for a row beside its record.
    pub fn meta(&self, row: u32) -> RowMeta {
        self.rows[row as usize].meta
    }

    /// The digest that was pushed with a row.
    pub fn digest(&self, row: u32) -> u128 {
        self.digests[row as usize]
    }

    /// The part's name.
    pub fn part_name(&self, part: u16) -> &str {
        &self.parts[part as usize]
    }

    /// The raw object's name.
    pub fn source_name(&self, source: u32) -> &str {
        &self.sources[source as usize]
    }

    /// Memory in use, in bytes.
    pub fn bytes(&self) -> usize {
        self.chunk_capacity
            + self.cell_capacity * size_of::<Cell>()
            + self.cells.capacity() * size_of::<Vec<Cell>>()
            + self.rows.capacity() * size_of::<Row>()
            + self.digests.capacity() * size_of::<u128>()
            + self.sources.capacity() * size_of::<String>()
            + self.source_bytes
            + self.keys.bytes()
    }

    /// What was seen of the batch so far, cleared rows included, for [`TableSchema::decide`].
    pub fn survey(&self) -> &Survey {
        self.keys.survey()
    }

    /// Forgets the rows and gives their memory back; parts, sources and the survey stay.
    pub fn clear(&mut self) {
        self.cells.iter_mut().for_each(|cells| *cells = Vec::new());
        self.rows = Vec::new();
        self.digests = Vec::new();
        self.chunks = Vec::new();
        self.cell_capacity = 0;
        self.chunk_capacity = 0;
    }

    /// The name of a column of this buffer.
    pub(super) fn column_name(&self, column: usize) -> &str {
        &self.keys.survey().columns[column].name
    }

    /// The values of a column in the order of their rows; one list for each column.
    pub(super) fn columns(&self) -> &[Vec<Cell>] {
        &self.cells
    }

    /// The token of a cell.
    pub(super) fn token(&self, cell: Cell) -> Token<'_> {
        let row = &self.rows[cell.row as usize];
        let start = (row.start + cell.start) as usize;
        let bytes = &self.chunks[row.chunk as usize][start..start + (cell.length & !ESCAPED) as usize];
        Token { bytes, escaped: cell.length & ESCAPED != 0 }
    }

    /// The members that can't be columns, as they were written, with commas between them.
    pub(super) fn rest(&self, row: u32) -> &[u8] {
        let row = &self.rows[row as usize];
        &self.chunks[row.chunk as usize][row.rest as usize..row.end as usize]
    }

    /// The bytes of a row's values and other members.
    pub(super) fn row_bytes(&self, row: u32) -> usize {
        let row = &self.rows[row as usize];
        (row.end - row.start) as usize
    }

    /// A chunk with room for `bytes`.
    fn chunk_with(&mut self, bytes: usize) -> usize {
        if self.chunks.last().is_none_or(|chunk| chunk.capacity() - chunk.len() < bytes) {
            let chunk = Vec::with_capacity(CHUNK_BYTES.max(bytes));
            self.chunk_capacity += chunk.capacity();
            self.chunks.push(chunk);
        }
        self.chunks.len() - 1
    }
}

/// Finds the cells of rows in one column; quick when the rows come in nearly the order they were pushed.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    cells: &'a [Cell],
    at: usize,
    /// Every row has a value.
    dense: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(buffer: &'a RowBuffer, column: usize) -> Self {
        let cells = &buffer.cells[column];
        Cursor { cells, at: 0, dense: cells.len() == buffer.rows.len() }
    }

    /// False if no row of that span has a cell.
    pub(super) fn reaches(&self, (first, last): (u32, u32)) -> bool {
        let at = self.cells.partition_point(|cell| cell.row < first);
        self.cells.get(at).is_some_and(|cell| cell.row <= last)
    }

    /// The row's cell, if it has one.
    pub(super) fn find(&mut self, row: u32) -> Option<Cell> {
        if self.dense {
            return self.cells.get(row as usize).copied();
        }
        let at = self.at;
        let next = self.cells.get(at);
        if next.is_some_and(|cell| cell.row == row) {
            self.at = at + 1;
            return next.copied();
        }
        // Between two neighbours there is nothing to search for.
        if next.is_none_or(|cell| cell.row > row) && (at == 0 || self.cells[at - 1].row < row) {
            return None;
        }
        match self.cells.binary_search_by_key(&row, |cell| cell.row) {
            Ok(found) => {
                self.at = found + 1;
                Some(self.cells[found])
            }
            Err(place) => {
                self.at = place;
                None
            }
        }
    }
}

/// The rows that belong into the same segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub day: Date,
    pub part: u16,
    /// In the order of their time, then of their arrival.
    pub rows: Vec<u32>,
}

/// All rows by day and part: days in order, parts as they are numbered.
pub fn groups(buffer: &RowBuffer) -> Vec<Group> {
    let mut order: Vec<u32> = (0..buffer.rows.len() as u32).collect();
    order.sort_unstable_by_key(|&row| {
        let meta = &buffer.rows[row as usize].meta;
        (meta.day, meta.part, meta.micros, row)
    });
    let place = |row: &u32| (buffer.meta(*row).day, buffer.meta(*row).part);
    let group = |rows: &[u32]| Group { day: place(&rows[0]).0, part: place(&rows[0]).1, rows: rows.to_vec() };
    order.chunk_by(|a, b| place(a) == place(b)).map(group).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::record::token;

    fn push(buffer: &mut RowBuffer, record: &str, day: Date, micros: i64) {
        let mut members = Vec::new();
        token::members(record.as_bytes(), &mut members).unwrap();
        let meta = RowMeta { day, part: 0, micros, source: buffer.source("one") };
        buffer.push(record.as_bytes(), &members, meta, 7).unwrap();
    }

    fn buffer() -> RowBuffer {
        RowBuffer::new(&TableSchema::new(None, None).unwrap())
    }

    #[test]
    fn rows_are_grouped_by_day_and_sorted_by_time_then_arrival() {
        let mut buffer = buffer();
        let (one, two) = (date(2024, 1, 1), date(2024, 1, 2));
        for (day, micros) in [(two, 5), (one, 9), (two, 3), (one, 2), (two, 3)] {
            push(&mut buffer, "{}", day, micros);
        }
        assert_eq!(
            groups(&buffer),
            [Group { day: one, part: 0, rows: vec![3, 1] }, Group { day: two, part: 0, rows: vec![2, 4, 0] }]
        );
    }

    #[test]
    fn parts_are_apart() {
        let mut buffer = buffer();
        let (main, noise) = (buffer.part("main").unwrap(), buffer.part("noise").unwrap());
        assert_eq!((main, noise, buffer.part("main").unwrap()), (0, 1, 0));
        for part in [noise, main, noise] {
            let meta = RowMeta { day: date(2024, 1, 1), part, micros: 0, source: 0 };
            buffer.push(b"{}", &[], meta, 0).unwrap();
        }
        let found: Vec<_> = groups(&buffer).into_iter().map(|group| (group.part, group.rows)).collect();
        assert_eq!(found, [(0, vec![1]), (1, vec![0, 2])]);
        assert_eq!(buffer.part_name(noise), "noise");
    }

    #[test]
    fn a_row_keeps_its_values_and_other_members() {
        let mut buffer = buffer();
        push(&mut buffer, r#"{ "a" : "x\n" , "b c":[ 1 ],"n":null, "_hf_x" : {} }"#, date(2024, 1, 1), 0);
        let mut cursor = Cursor::new(&buffer, 0);
        let token = buffer.token(cursor.find(0).unwrap());
        assert_eq!((token.bytes, token.escaped), (&br#""x\n""#[..], true));
        assert_eq!(buffer.rest(0), br#""b c":[ 1 ],"_hf_x":{}"#);
        assert_eq!((buffer.digest(0), buffer.source_name(buffer.meta(0).source)), (7, "one"));
    }

    #[test]
    fn i11_memory_is_counted_and_given_back() {
        let mut buffer = buffer();
        let empty = buffer.bytes();
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(CHUNK_BYTES));
        for _ in 0..5 {
            push(&mut buffer, &large, date(2024, 1, 1), 0);
        }
        assert!(buffer.bytes() > 5 * CHUNK_BYTES && buffer.bytes() < 6 * CHUNK_BYTES, "{}", buffer.bytes());
        for _ in 0..100_000 {
            push(&mut buffer, r#"{"a":1,"b":2}"#, date(2024, 1, 1), 0);
        }
        // Two cells, a row and a digest for each.
        assert!(buffer.bytes() > 5 * CHUNK_BYTES + 100_000 * (2 * 12 + 48 + 16), "{}", buffer.bytes());
        buffer.clear();
        assert_eq!(buffer.rows(), 0);
        assert!(buffer.bytes() < empty + (64 << 10), "{}", buffer.bytes());
        push(&mut buffer, r#"{"b":2}"#, date(2024, 1, 1), 0);
        assert_eq!(buffer.column_name(1), "b");
        assert_eq!(buffer.columns().iter().map(Vec::len).collect::<Vec<_>>(), [0, 1]);
    }

    proptest! {
        #[test]
        fn a_cursor_finds_what_is_there_in_any_order(
            has in prop::collection::vec(any::<bool>(), 1..50),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
        ) {
            let mut buffer = buffer();
            push(&mut buffer, r#"{"a":0}"#, date(2024, 1, 1), 0);
            for has in &has {
                push(&mut buffer, if *has { r#"{"a":0}"# } else { "{}" }, date(2024, 1, 1), 0);
            }
            let mut cursor = Cursor::new(&buffer, 0);
            for row in order.iter().map(|index| index.index(has.len() + 1)) {
                let found = cursor.find(row as u32).map(|cell| cell.row);
                prop_assert_eq!(found, (row == 0 || has[row - 1]).then_some(row as u32));
            }
            for (row, has) in (1..).zip(&has) {
                prop_assert_eq!(cursor.reaches((row, row)), *has);
            }
        }
    }
}
