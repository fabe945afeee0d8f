//! Values on their way into a column: those of a whole chunk are taken in together, column by column.
//!
//! The idea: a row of a log touches every column, and with it more memory than the processor has near at hand. A column
//! that takes in hundreds of values at once has what it looks up near, and looks for several values at the same time.
//! Much of a log repeats the row before: such a value costs a comparison. What a distinct value's digest is, is worked
//! out once.
//!
//! Invariant: a value's digest depends on its bytes alone, so that equal tokens of a column share it.

use super::column::{Column, Full, Hint};
use crate::record::field::FieldHasher;
use crate::record::short::same;
use crate::record::token::{Member, Span32, ValueKind};

/// A value that waits until its chunk has been read.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// Of those that wait.
    record: u32,
    value: Span32,
    kind: ValueKind,
    escaped: bool,
}

/// The values of one column that wait, and what helps to take them in.
#[derive(Debug)]
pub(super) struct Arrivals {
    hasher: FieldHasher,
    waiting: Vec<Waiting>,
}

/// Memory that all columns use, one after the other.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Seeded anew each time: nobody can choose tokens that collide.
    hashes: ahash::RandomState,
    /// Of each value: the one before is the same.
    repeats: Vec<bool>,
    /// Of the others.
    hints: Vec<Hint>,
}

impl Arrivals {
    pub(super) fn new(hasher: FieldHasher) -> Self {
        Arrivals { hasher, waiting: Vec::new() }
    }

    /// A value of the record with this number among those that wait.
    #[inline]
    pub(super) fn push(&mut self, record: u32, member: &Member) {
        let &Member { value, kind, value_escaped: escaped, .. } = member;
        self.waiting.push(Waiting { record, value, kind, escaped });
    }

    /// Takes in what waits. `records` are those that wait, the first of them is row `first_row`; the digest of each value
    /// is added to the sum of its record. `see` is told of each new entry.
    pub(super) fn settle(
        &mut self,
        column: &mut Column,
        records: &[&[u8]],
        first_row: u32,
        sums: &mut [u128],
        desk: &mut Desk,
        mut see: impl FnMut(ValueKind, &[u8]),
    ) -> Result<(), Full> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        column.reserve(self.waiting.len());
        desk.hints.clear();
        desk.repeats.clear();
        let (is_plain, mut before) = (column.is_plain(), &[][..]);
        for waiting in &self.waiting {
            let token = waiting.token(records);
            let repeats = same(token, before);
            if !repeats {
                // Where nothing is interned, nothing is looked for.
                let hash = if is_plain { 0 } else { desk.hashes.hash_one(token) };
                desk.hints.push(Hint::new(hash));
            }
            desk.repeats.push(repeats);
            before = token;
        }
        column.look(&mut desk.hints);
        let mut hints = desk.hints.iter();
        let mut last = (0, 0);
        for (waiting, repeats) in self.waiting.iter().zip(&desk.repeats) {
            let (token, row) = (waiting.token(records), first_row + waiting.record);
            let &Waiting { kind, escaped, .. } = waiting;
            match if *repeats { None } else { hints.next() } {
                None => column.repeat(row, token, escaped, last.0)?,
                Some(hint) => {
                    let digest = || self.hasher.digest(token, kind, escaped);
                    let taken = column.take(row, token, escaped, *hint, digest)?;
                    last = (taken.entry, taken.digest);
                    if taken.is_new {
                        see(kind, token);
                    }
                }
            }
            let sum = &mut sums[waiting.record as usize];
            *sum = sum.wrapping_add(last.1);
        }
        self.waiting.clear();
        Ok(())
    }

    /// Memory in use, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.hasher.bytes() + self.waiting.capacity() * size_of::<Waiting>()
    }
}

impl Desk {
    /// Memory in use, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.repeats.capacity() + self.hints.capacity() * size_of::<Hint>()
    }
}

impl Waiting {
    #[inline]
    fn token<'a>(&self, records: &[&'a [u8]]) -> &'a [u8] {
        self.value.of(records[self.record as usize])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::archive::lane::{Lane, RowMeta};
    use crate::archive::schema::TableSchema;
    use crate::record::digest::{SetDigest, record_digest};
    use crate::record::token::members;

    fn lane() -> Lane {
        Lane::new(&TableSchema::new(None, None).unwrap())
    }

    /// Keeps the records, so many at a time, and looks at each digest and each value.
    fn settles(lane: &mut Lane, records: &[String], at_a_time: usize) {
        let first = lane.rows();
        let meta = RowMeta { day: jiff::civil::date(2024, 1, 1), part: 0, micros: 0, source: 0 };
        for records in records.chunks(at_a_time) {
            let records: Vec<&[u8]> = records.iter().map(String::as_bytes).collect();
            let mut wanted = SetDigest::default();
            for record in &records {
                lane.read(record).unwrap();
                lane.keep(record, meta).unwrap();
                let mut found = Vec::new();
                members(record, &mut found).unwrap();
                wanted.add(record_digest(record, &found));
            }
            assert_eq!(lane.settle(&records).unwrap(), wanted);
        }
        for (at, record) in records.iter().enumerate() {
            let mut found = Vec::new();
            members(record.as_bytes(), &mut found).unwrap();
            assert_eq!(lane.digests[first + at], record_digest(record.as_bytes(), &found));
            for (column, surveyed) in lane.columns.iter().zip(&lane.keys.survey().columns) {
                let named = |member: &&Member| member.key.of(record.as_bytes()) == surveyed.name.as_bytes();
                let wanted = found.iter().find(named).map(|member| member.value.of(record.as_bytes()));
                let kept = column.find((first + at) as u32).map(|entry| column.token(entry).bytes);
                assert_eq!(kept, wanted, "{record}");
            }
        }
    }

    #[test]
    fn a_column_that_was_emptied_begins_anew() {
        let records: Vec<String> = (0..30_000).map(|n| format!("{{\"n\":{},\"same\":\"x\"}}", n % 9000)).collect();
        let mut lane = lane();
        settles(&mut lane, &records, 1000);
        assert!(!lane.columns[0].is_plain() && lane.columns[0].entries() == 9000);
        lane.clear();
        settles(&mut lane, &records[7..99], 10);
    }

    #[test]
    fn interning_is_given_up_in_the_middle_of_a_chunk() {
        let records: Vec<String> = (0..40_000).map(|n| format!("{{\"n\":{}}}", n / 2 * 2)).collect();
        // Half of them repeat the one before; none other does.
        let mut lane = lane();
        settles(&mut lane, &records, 40_000);
        assert!(lane.columns[0].is_plain() && lane.columns[0].entries() > 20_000);
    }

    #[test]
    fn other_records_than_wait_are_refused() {
        let mut lane = lane();
        let meta = RowMeta { day: jiff::civil::date(2024, 1, 1), part: 0, micros: 0, source: 0 };
        lane.read(b"{}").unwrap();
        lane.keep(b"{}", meta).unwrap();
        assert!(lane.settle(&[]).is_err() && lane.settle(&[b"{}", b"{}"]).is_err());
        assert_eq!(lane.settle(&[b"{}"]).unwrap().rows, 1);
    }

    proptest! {
        #[test]
        fn chunks_of_any_size_are_settled_alike(
            values in prop::collection::vec((0..3_u8, prop::option::of(0..3_u8), 0..40_u8), 1..200), at_a_time in 1_usize..50
        ) {
            let record = |(a, b, c): &(u8, Option<u8>, u8)| {
                let b = b.map_or(String::new(), |b| format!("\"b\":\"{b}\\n\","));
                let text = "long text ".repeat(*c as usize);
                format!("{{\"a\":{a},{b}\"c\":[\"{text}\"]}}")
            };
            settles(&mut lane(), &values.iter().map(record).collect::<Vec<_>>(), at_a_time);
        }
    }
}
