//! The rows that the next segments will hold, in lanes: one for each thread that reads records, so that no thread waits
//! for another. What is written does not tell the lanes apart; a row is named by a [`RowRef`].

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;

use super::column::{Column, Token};
use super::lane::{LANE_BITS, Row};
use super::schema::TableSchema;
use super::survey::Survey;
use crate::error::{Error, Kind, Result};

pub use super::lane::{Lane, RowMeta};

/// The most lanes of a buffer.
pub const MOST_LANES: usize = 1 << LANE_BITS;

/// A row: its lane and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowRef(u32);

impl RowRef {
    fn new(lane: usize, row: u32) -> Self {
        RowRef(row << LANE_BITS | lane as u32)
    }

    #[inline]
    pub(super) fn lane(self) -> usize {
        (self.0 & (MOST_LANES as u32 - 1)) as usize
    }

    /// Its place in the lane.
    #[inline]
    pub fn row(self) -> u32 {
        self.0 >> LANE_BITS
    }
}

/// Rows of one table, kept until they are written.
#[derive(Debug)]
pub struct RowBuffer {
    pub lanes: Vec<Lane>,
    parts: Vec<String>,
    sources: Vec<String>,
}

impl RowBuffer {
    /// An empty buffer with so many lanes, at least one.
    pub fn new(schema: &TableSchema, lanes: usize) -> Self {
        let lanes = (0..lanes.clamp(1, MOST_LANES)).map(|_| Lane::new(schema)).collect();
        RowBuffer { lanes, parts: Vec::new(), sources: Vec::new() }
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
            self.sources.push(name.to_string());
        }
        self.sources.len() as u32 - 1
    }

    /// How many rows are kept.
    pub fn rows(&self) -> usize {
        self.lanes.iter().map(Lane::rows).sum()
    }

    /// What was pushed for a row beside its record.
    pub fn meta(&self, row: RowRef) -> RowMeta {
        self.row(row).meta
    }

    /// The digest of the record of a row.
    pub fn digest(&self, row: RowRef) -> u128 {
        self.lanes[row.lane()].digests[row.row() as usize]
    }

    /// The part's name.
    pub fn part_name(&self, part: u16) -> &str {
        &self.parts[part as usize]
    }

    /// The raw object's name.
    pub fn source_name(&self, source: u32) -> &str {
        &self.sources[source as usize]
    }

    /// Memory in use, in bytes. Looks at each column: not for every record.
    pub fn bytes(&self) -> usize {
        let names = self.sources.iter().map(String::capacity).sum::<usize>();
        self.lanes.iter().map(Lane::bytes).sum::<usize>() + self.sources.capacity() * size_of::<String>() + names
    }

    /// What was seen of the batch so far, cleared rows included, for [`TableSchema::decide`].
    pub fn survey(&self) -> Survey {
        self.names().first_spellings()
    }

    /// Every name under which a lane keeps values.
    fn names(&self) -> Survey {
        Survey::merged(self.lanes.iter().map(|lane| lane.keys.survey()))
    }

    /// Forgets the rows and gives their memory back; parts, sources and the survey stay.
    pub fn clear(&mut self) {
        self.lanes.iter_mut().for_each(Lane::clear);
    }

    /// The columns that any row has a value for, under each exact name, in the order of first sight.
    pub(super) fn columns(&self) -> Vec<RowColumn<'_>> {
        let mut columns: Vec<RowColumn<'_>> = self
            .names()
            .columns
            .into_iter()
            .map(|column| RowColumn { name: column.name, lanes: vec![None; self.lanes.len()] })
            .collect();
        let places: HashMap<String, usize> =
            columns.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect();
        for (number, lane) in self.lanes.iter().enumerate() {
            for (surveyed, column) in lane.keys.survey().columns.iter().zip(&lane.columns) {
                if let Some(&at) = places.get(&surveyed.name)
                    && column.values() > 0
                {
                    columns[at].lanes[number] = Some(column);
                }
            }
        }
        columns.retain(|column| column.lanes.iter().any(Option::is_some));
        columns
    }

    /// The members that can't be columns.
    pub(super) fn rest(&self) -> RowColumn<'_> {
        let lanes = self.lanes.iter().map(|lane| Some(&lane.rest).filter(|rest| rest.values() > 0)).collect();
        RowColumn { name: String::new(), lanes }
    }

    /// The bytes of all rows' values and other members, repeated ones each time.
    pub(super) fn told_bytes(&self) -> usize {
        self.lanes.iter().map(|lane| lane.told_bytes).sum()
    }

    /// The bytes of a row's values and other members.
    pub(super) fn row_bytes(&self, row: RowRef) -> usize {
        self.row(row).bytes as usize
    }

    fn row(&self, row: RowRef) -> &Row {
        &self.lanes[row.lane()].rows[row.row() as usize]
    }
}

/// One column of the rows in all lanes.
#[derive(Debug)]
pub(super) struct RowColumn<'a> {
    pub(super) name: String,
    /// `None` where no row of the lane has a value.
    pub(super) lanes: Vec<Option<&'a Column>>,
}

impl RowColumn<'_> {
    /// A row's value.
    #[inline]
    pub(super) fn token(&self, row: RowRef) -> Option<Token<'_>> {
        let lane = self.lanes[row.lane()]?;
        Some(lane.token(lane.find(row.row())?))
    }

    /// False if none of the rows between the first and the last in each lane has a value.
    pub(super) fn reaches(&self, spans: &[(u32, u32)]) -> bool {
        self.lanes.iter().zip(spans).any(|(lane, span)| lane.is_some_and(|column| column.reaches(*span)))
    }
}

/// The rows that belong into the same segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub day: Date,
    pub part: u16,
    /// In the order of their time, then of their arrival.
    pub rows: Vec<RowRef>,
}

/// All rows by day and part: days in order, parts as they are numbered.
pub fn groups(buffer: &RowBuffer) -> Vec<Group> {
    let mut order: Vec<(i64, u32, RowRef)> = Vec::with_capacity(buffer.rows());
    for (number, lane) in buffer.lanes.iter().enumerate() {
        order.extend(
            lane.rows.iter().enumerate().map(|(at, row)| (row.meta.micros, row.chunk, RowRef::new(number, at as u32))),
        );
    }
    order.sort_unstable();
    let mut groups: BTreeMap<(Date, u16), Vec<RowRef>> = BTreeMap::new();
    for (_, _, row) in order {
        let meta = buffer.meta(row);
        groups.entry((meta.day, meta.part)).or_default().push(row);
    }
    groups.into_iter().map(|((day, part), rows)| Group { day, part, rows }).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn push(buffer: &mut RowBuffer, lane: usize, record: &str, day: Date, micros: i64) {
        let meta = RowMeta { day, part: 0, micros, source: buffer.source("one") };
        buffer.lanes[lane].push(record.as_bytes(), meta).unwrap();
    }

    fn buffer(lanes: usize) -> RowBuffer {
        RowBuffer::new(&TableSchema::new(None, None).unwrap(), lanes)
    }

    #[test]
    fn rows_are_grouped_by_day_and_sorted_by_time_then_arrival() {
        let mut buffer = buffer(2);
        let (one, two) = (date(2024, 1, 1), date(2024, 1, 2));
        for (chunk, (day, micros)) in [(two, 5), (one, 9), (two, 3), (one, 2), (two, 3)].into_iter().enumerate() {
            let lane = usize::from(chunk > 2);
            buffer.lanes[lane].begin_chunk(chunk as u32);
            push(&mut buffer, lane, "{}", day, micros);
        }
        let row = RowRef::new;
        assert_eq!(
            groups(&buffer),
            [
                Group { day: one, part: 0, rows: vec![row(1, 0), row(0, 1)] },
                Group { day: two, part: 0, rows: vec![row(0, 2), row(1, 1), row(0, 0)] }
            ]
        );
    }

    #[test]
    fn parts_are_apart() {
        let mut buffer = buffer(1);
        let (main, noise) = (buffer.part("main").unwrap(), buffer.part("noise").unwrap());
        assert_eq!((main, noise, buffer.part("main").unwrap()), (0, 1, 0));
        for part in [noise, main, noise] {
            let meta = RowMeta { day: date(2024, 1, 1), part, micros: 0, source: 0 };
            buffer.lanes[0].push(b"{}", meta).unwrap();
        }
        let found: Vec<_> = groups(&buffer).into_iter().map(|group| (group.part, group.rows)).collect();
        let row = |row| RowRef::new(0, row);
        assert_eq!(found, [(0, vec![row(1)]), (1, vec![row(0), row(2)])]);
        assert_eq!(buffer.part_name(noise), "noise");
    }

    #[test]
    fn a_row_keeps_its_values_and_other_members() {
        let mut buffer = buffer(1);
        push(&mut buffer, 0, r#"{ "a" : "x\n" , "b c":[ 1 ],"n":null, "_hf_x" : {} }"#, date(2024, 1, 1), 0);
        let row = RowRef::new(0, 0);
        let columns = buffer.columns();
        assert_eq!(columns.len(), 1);
        let token = columns[0].token(row).unwrap();
        assert_eq!((token.bytes, token.escaped), (&br#""x\n""#[..], true));
        assert_eq!(buffer.rest().token(row).unwrap().bytes, br#""b c":[ 1 ],"_hf_x":{}"#);
        assert_eq!(buffer.source_name(buffer.meta(row).source), "one");
    }

    #[test]
    fn lanes_know_their_columns_by_name_in_the_order_of_first_sight() {
        let mut buffer = buffer(2);
        for (chunk, (lane, record)) in
            [(1, r#"{"b":1,"a":1}"#), (0, r#"{"c":1,"a":2.5}"#), (1, r#"{"A":1}"#)].into_iter().enumerate()
        {
            buffer.lanes[lane].begin_chunk(chunk as u32);
            push(&mut buffer, lane, record, date(2024, 1, 1), 0);
        }
        let columns = buffer.columns();
        let shown: Vec<_> = columns
            .iter()
            .map(|column| (column.name.as_str(), column.lanes[0].is_some(), column.lanes[1].is_some()))
            .collect();
        assert_eq!(shown, [("b", false, true), ("a", true, true), ("c", true, false)]);
        let mut schema = TableSchema::new(None, None).unwrap();
        schema.decide(&buffer.survey());
        let kinds: Vec<_> = schema.columns().iter().map(|column| (column.name.as_str(), column.kind.word())).collect();
        assert_eq!(kinds, [("b", "long"), ("a", "double"), ("c", "long")]);
    }

    #[test]
    fn i11_memory_is_counted_and_given_back() {
        const LARGE: usize = 4 << 20;
        let mut buffer = buffer(1);
        let empty = buffer.bytes();
        for n in 0..5 {
            let large = format!("{{\"a\":\"{}\"}}", n.to_string().repeat(LARGE));
            push(&mut buffer, 0, &large, date(2024, 1, 1), 0);
        }
        assert!(buffer.bytes() > 5 * LARGE && buffer.bytes() < 8 * LARGE, "{}", buffer.bytes());
        for n in 0..100_000 {
            push(&mut buffer, 0, &format!("{{\"a\":{n},\"b\":2}}"), date(2024, 1, 1), 0);
        }
        // A token, its end, the number of the other, a row and a digest for each.
        assert!(buffer.bytes() > 5 * LARGE + 100_000 * (5 + 4 + 4 + 32 + 16), "{}", buffer.bytes());
        buffer.clear();
        assert_eq!(buffer.rows(), 0);
        assert!(buffer.bytes() < empty + (64 << 10), "{}", buffer.bytes());
        push(&mut buffer, 0, r#"{"b":2}"#, date(2024, 1, 1), 0);
        let names: Vec<_> = buffer.columns().into_iter().map(|column| column.name).collect();
        assert_eq!(names, ["b"]);
    }
}
