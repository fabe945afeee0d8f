//! From a record's keys to columns: the same answer for every record of a batch, whether its rows are kept
//! ([`super::rows::RowBuffer`]) or only looked at ([`Surveyor`]).
//!
//! Invariants: one key always goes the same way, whatever records come between; a name takes its place as a column
//! with its first value, never with a null; of two spellings of one name the first is the column. Memory is bounded:
//! at most [`MAX_COLUMNS`] columns and a fixed amount of remembered keys, whatever the records say.
//!
//! A key that [`LearnedKeys`] has numbered is not looked up by its text again.

use std::collections::HashMap;

use super::schema::{Admission, MAX_COLUMNS, TableSchema, fold};
use super::survey::{Kinds, Survey, Surveyed};
use crate::record::field::FieldHasher;
use crate::record::learned::{LearnedKeys, UNKNOWN};
use crate::record::text;
use crate::record::token::{Malformed, Member, ValueKind, members_learned};

/// Where a member goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// To a column, by its place in the survey.
    Column(u32),
    /// To `_hf_rest`.
    Rest,
    /// Nowhere: a null at the top level.
    Null,
}

#[derive(Debug)]
pub(super) struct Keys {
    schema: TableSchema,
    survey: Survey,
    /// Columns of the survey that the schema did not have.
    new_columns: usize,
    by_fold: HashMap<String, u32>,
    /// By the key's number; not yet known while only nulls came under it.
    slots: Vec<Option<Slot>>,
    /// Per column, the last record that had it and the last that repeated it, counted from 1.
    seen: Vec<(u64, u64)>,
    record: u64,
    chunk: u32,
}

impl Keys {
    pub(super) fn new(schema: &TableSchema) -> Self {
        Keys {
            schema: schema.clone(),
            survey: Survey::default(),
            new_columns: 0,
            by_fold: HashMap::new(),
            slots: Vec::new(),
            seen: Vec::new(),
            record: 0,
            chunk: 0,
        }
    }

    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// New names are first seen in this chunk from now on.
    pub(super) fn begin_chunk(&mut self, chunk: u32) {
        self.chunk = chunk;
    }

    /// The digests of a column's fields.
    pub(super) fn hasher(&self, column: usize) -> FieldHasher {
        let mut key = Vec::new();
        text::escape_into(&self.survey.columns[column].name, &mut key);
        FieldHasher::new(key.get(1..key.len() - 1).unwrap_or_default())
    }

    /// Roughly the bytes in use beside the schema.
    pub(super) fn bytes(&self) -> usize {
        const PER_COLUMN: usize = size_of::<Surveyed>() + 4 * size_of::<String>() + 128;
        self.slots.capacity() * size_of::<Option<Slot>>() + self.survey.columns.len() * PER_COLUMN
    }

    /// Fills `slots` with the place of each member; `numbers` are those of their keys. All occurrences of a repeated key
    /// go to `_hf_rest`. What is kept in a column is still to be surveyed, with [`Keys::see`].
    pub(super) fn place(&mut self, record: &[u8], members: &[Member], numbers: &[u32], slots: &mut Vec<Slot>) {
        slots.clear();
        self.record += 1;
        let mut repeats = false;
        for (member, &number) in members.iter().zip(numbers) {
            let slot = self.find(record, member, number);
            if let Slot::Column(column) = slot {
                let (seen, repeated) = &mut self.seen[column as usize];
                if *seen == self.record {
                    *repeated = self.record;
                    repeats = true;
                }
                *seen = self.record;
            }
            slots.push(slot);
        }
        if !repeats {
            return;
        }
        for slot in slots {
            if let Slot::Column(column) = *slot
                && self.seen[column as usize].1 == self.record
            {
                *slot = Slot::Rest;
            }
        }
    }

    /// Surveys a value of a column.
    pub(super) fn see(&mut self, column: usize, kind: ValueKind, value: &[u8]) {
        let surveyed = &mut self.survey.columns[column];
        if !surveyed.known {
            surveyed.kinds.see(kind, value);
        }
    }

    #[inline]
    fn find(&mut self, record: &[u8], member: &Member, number: u32) -> Slot {
        if member.kind == ValueKind::Null {
            return Slot::Null;
        }
        match self.slots.get(number as usize) {
            Some(Some(slot)) => *slot,
            _ => self.resolve_once(record, member, number),
        }
    }

    #[cold]
    fn resolve_once(&mut self, record: &[u8], member: &Member, number: u32) -> Slot {
        let slot = self.resolve(member.key.of(record), member.key_escaped);
        if number != UNKNOWN {
            let place = number as usize;
            self.slots.resize(self.slots.len().max(place + 1), None);
            self.slots[place] = Some(slot);
        }
        slot
    }

    /// The way of a key that has a value. A full set of columns sends new names to `_hf_rest`; that it is full does
    /// not change again, so the answer stays the same.
    fn resolve(&mut self, raw: &[u8], escaped: bool) -> Slot {
        let decoded = if escaped { text::unescape(raw).ok() } else { std::str::from_utf8(raw).ok().map(Into::into) };
        let Some(name) = decoded else { return Slot::Rest };
        if let Some(&column) = self.by_fold.get(&fold(&name)) {
            let same = self.survey.columns[column as usize].name == name;
            return if same { Slot::Column(column) } else { Slot::Rest };
        }
        let admission = self.schema.admit(&name);
        match admission {
            Admission::Rest => return Slot::Rest,
            Admission::Known(_) => {}
            Admission::New(_) if self.schema.columns().len() + self.new_columns >= MAX_COLUMNS => return Slot::Rest,
            Admission::New(_) => self.new_columns += 1,
        }
        let known = matches!(admission, Admission::Known(_));
        let column = self.survey.columns.len() as u32;
        self.by_fold.insert(fold(&name), column);
        self.survey.columns.push(Surveyed {
            kinds: Kinds::under(&name),
            name: name.into_owned(),
            chunk: self.chunk,
            known,
        });
        self.seen.push((0, 0));
        Slot::Column(column)
    }
}

/// Looks at records of which no rows are kept, so that types are decided over all of them.
#[derive(Debug)]
pub struct Surveyor {
    learned: LearnedKeys,
    keys: Keys,
    members: Vec<Member>,
    slots: Vec<Slot>,
}

impl Surveyor {
    /// `schema` is that of the table so far.
    pub fn new(schema: &TableSchema) -> Self {
        Surveyor { learned: LearnedKeys::default(), keys: Keys::new(schema), members: Vec::new(), slots: Vec::new() }
    }

    /// Takes note of one record, if it is one.
    pub fn observe(&mut self, record: &[u8]) -> Result<(), Malformed> {
        members_learned(record, &mut self.learned, &mut self.members)?;
        self.keys.place(record, &self.members, self.learned.numbers(), &mut self.slots);
        for (slot, member) in self.slots.iter().zip(&self.members) {
            if let Slot::Column(column) = *slot {
                self.keys.see(column as usize, member.kind, member.value.of(record));
            }
        }
        Ok(())
    }

    /// What was seen, for [`TableSchema::decide`].
    pub fn survey(&self) -> &Survey {
        self.keys.survey()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::catalogue::find;

    fn place(surveyor: &mut Surveyor, record: &str) -> Vec<Slot> {
        surveyor.observe(record.as_bytes()).unwrap();
        surveyor.slots.clone()
    }

    fn keys() -> Surveyor {
        let schema = TableSchema::new(find("SecurityEvent"), Some("TimeGenerated")).unwrap();
        Surveyor::new(&schema)
    }

    #[test]
    fn a_name_takes_its_place_with_its_first_value() {
        let mut keys = keys();
        assert_eq!(place(&mut keys, r#"{"level":null,"Level":1}"#), [Slot::Null, Slot::Column(0)]);
        assert_eq!(
            place(&mut keys, r#"{"level":1,"\u004cevel":2,"Level":null}"#),
            [Slot::Rest, Slot::Column(0), Slot::Null]
        );
        assert_eq!(place(&mut keys, r#"{"account":1}"#), [Slot::Rest], "the catalogue says Account");
        assert_eq!(place(&mut keys, r#"{"timegenerated":1,"TimeGenerated":2}"#), [Slot::Rest, Slot::Column(1)]);
    }

    #[test]
    fn all_occurrences_of_a_repeated_key_go_to_the_rest() {
        let mut keys = keys();
        let slots = place(&mut keys, r#"{"a":1,"b":2,"\u0061":3,"a":null,"a":4}"#);
        assert_eq!(slots, [Slot::Rest, Slot::Column(1), Slot::Rest, Slot::Null, Slot::Rest]);
        assert_eq!(place(&mut keys, r#"{"a":1,"b":"x"}"#), [Slot::Column(0), Slot::Column(1)]);
        let kinds: Vec<_> = keys.survey().columns.iter().map(|column| column.kinds.decide()).collect();
        use crate::archive::catalogue::ColumnType::{Long, Text};
        assert_eq!(kinds, [Some(Long), Some(Text)]);
    }

    #[test]
    fn the_way_of_a_key_does_not_depend_on_what_came_between() {
        let mut keys = keys();
        let records = [r#"{"a":1,"b":1,"c":1}"#, r#"{"c":1,"a":1}"#, r#"{"b":1,"B":1,"":1,"a":1}"#, "{}"];
        let first: Vec<_> = records.iter().map(|record| place(&mut keys, record)).collect();
        for _ in 0..3 {
            let again: Vec<_> = records.iter().rev().map(|record| place(&mut keys, record)).collect();
            assert!(again.iter().rev().eq(&first));
        }
    }

    #[test]
    fn i11_names_without_end_use_bounded_memory() {
        const NAMES: usize = 40_000;
        let mut keys = keys();
        for n in 0..NAMES {
            let slot = place(&mut keys, &format!("{{\"name{n}\":1}}"))[0];
            // TimeGenerated has a place already.
            assert_eq!(slot == Slot::Rest, n >= MAX_COLUMNS - 1, "{n}");
        }
        assert!(keys.keys.bytes() < 4 << 20, "{}", keys.keys.bytes());
        assert_eq!(place(&mut keys, r#"{"name7":1,"name39999":1}"#), [Slot::Column(7), Slot::Rest]);
    }
}
