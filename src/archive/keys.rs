//! From a record's keys to columns: the same answer for every record of a batch, whether its rows are kept
//! ([`super::rows::RowBuffer`]) or only looked at ([`Surveyor`]).
//!
//! Invariants: one key always goes the same way, whatever records come between; a name takes its place as a column
//! with its first value, never with a null; of two spellings of one name the first is the column. Memory is bounded:
//! at most [`MAX_COLUMNS`] columns and a fixed amount of remembered keys, whatever the records say.
//!
//! The next key is predicted to be the one that followed the last time, so that a batch of like records hashes no key.

use std::collections::HashMap;

use super::schema::{Admission, MAX_COLUMNS, TableSchema, fold};
use super::survey::{Kinds, Survey, Surveyed};
use crate::record::text;
use crate::record::token::{Member, ValueKind};

/// Keys remembered under their exact bytes; further ones are looked up anew each time.
const MOST_KEYS: usize = 16_384;
const MOST_KEY_BYTES: usize = 4 << 20;

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

/// A key as it was written.
#[derive(Debug)]
struct Key {
    raw: Box<[u8]>,
    /// Not yet known while only nulls came under it.
    slot: Option<Slot>,
    /// The key that came after it in the last record.
    next: usize,
}

#[derive(Debug)]
pub(super) struct Keys {
    schema: TableSchema,
    survey: Survey,
    /// Columns of the survey that the schema did not have.
    new_columns: usize,
    by_fold: HashMap<String, u32>,
    /// The first stands before any record's first key.
    keys: Vec<Key>,
    by_raw: HashMap<Box<[u8]>, usize>,
    key_bytes: usize,
    /// Per column, the last record that had it and the last that repeated it, counted from 1.
    seen: Vec<(u64, u64)>,
    record: u64,
}

impl Keys {
    /// `survey` is what was seen of the batch before.
    pub(super) fn new(schema: &TableSchema, survey: Survey) -> Self {
        let mut keys = Keys {
            schema: schema.clone(),
            new_columns: 0,
            by_fold: HashMap::new(),
            keys: vec![Key { raw: Box::default(), slot: Some(Slot::Rest), next: 0 }],
            by_raw: HashMap::new(),
            key_bytes: 0,
            seen: vec![(0, 0); survey.columns.len()],
            record: 0,
            survey,
        };
        for (at, column) in keys.survey.columns.iter().enumerate() {
            keys.by_fold.insert(fold(&column.name), at as u32);
            keys.new_columns += usize::from(keys.schema.column(&column.name).is_none());
        }
        keys
    }

    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Roughly the bytes in use beside the schema.
    pub(super) fn bytes(&self) -> usize {
        const PER_KEY: usize = size_of::<Key>() + 2 * size_of::<(Box<[u8]>, usize)>();
        const PER_COLUMN: usize = size_of::<Surveyed>() + 4 * size_of::<String>() + 128;
        2 * self.key_bytes + self.keys.len() * PER_KEY + self.survey.columns.len() * PER_COLUMN
    }

    /// Fills `slots` with the place of each member. All occurrences of a repeated key go to `_hf_rest`. The values of
    /// columns are surveyed.
    pub(super) fn place(&mut self, record: &[u8], members: &[Member], slots: &mut Vec<Slot>) {
        slots.clear();
        self.record += 1;
        let mut last = 0;
        let mut repeats = false;
        for member in members {
            let slot = self.find(member.key.of(record), member.key_escaped, member.kind == ValueKind::Null, &mut last);
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
        for (slot, member) in slots.iter_mut().zip(members) {
            let Slot::Column(column) = *slot else { continue };
            if repeats && self.seen[column as usize].1 == self.record {
                *slot = Slot::Rest;
            } else {
                self.survey.columns[column as usize].kinds.see(member.kind, member.value.of(record));
            }
        }
    }

    fn find(&mut self, raw: &[u8], escaped: bool, null: bool, last: &mut usize) -> Slot {
        let predicted = self.keys[*last].next;
        let at = if *self.keys[predicted].raw == *raw {
            predicted
        } else if let Some(&at) = self.by_raw.get(raw) {
            self.keys[*last].next = at;
            at
        } else if self.keys.len() < MOST_KEYS && self.key_bytes + raw.len() <= MOST_KEY_BYTES {
            let at = self.keys.len();
            self.key_bytes += raw.len();
            self.keys.push(Key { raw: raw.into(), slot: None, next: 0 });
            self.by_raw.insert(raw.into(), at);
            self.keys[*last].next = at;
            at
        } else {
            return if null { Slot::Null } else { self.resolve(raw, escaped) };
        };
        *last = at;
        if null {
            return Slot::Null;
        }
        if let Some(slot) = self.keys[at].slot {
            return slot;
        }
        let slot = self.resolve(raw, escaped);
        self.keys[at].slot = Some(slot);
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
        match self.schema.admit(&name) {
            Admission::Rest => return Slot::Rest,
            Admission::Known(_) => {}
            Admission::New(_) if self.schema.columns().len() + self.new_columns >= MAX_COLUMNS => return Slot::Rest,
            Admission::New(_) => self.new_columns += 1,
        }
        let column = self.survey.columns.len() as u32;
        self.by_fold.insert(fold(&name), column);
        self.survey.columns.push(Surveyed { name: name.into_owned(), kinds: Kinds::default() });
        self.seen.push((0, 0));
        Slot::Column(column)
    }
}

/// Looks at the records of a batch that does not fit in memory, so that types are decided over all of it.
#[derive(Debug)]
pub struct Surveyor {
    keys: Keys,
    slots: Vec<Slot>,
}

impl Surveyor {
    /// Goes on from what was seen of the batch so far ([`super::rows::RowBuffer::survey`], or an empty survey).
    pub fn resume(schema: &TableSchema, survey: &Survey) -> Self {
        Surveyor { keys: Keys::new(schema, survey.clone()), slots: Vec::new() }
    }

    /// Takes note of one record; `members` are those of `record`.
    pub fn observe(&mut self, record: &[u8], members: &[Member]) {
        self.keys.place(record, members, &mut self.slots);
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
    use crate::record::token;

    fn place(keys: &mut Keys, record: &str) -> Vec<Slot> {
        let mut members = Vec::new();
        let mut slots = Vec::new();
        token::members(record.as_bytes(), &mut members).unwrap();
        keys.place(record.as_bytes(), &members, &mut slots);
        slots
    }

    fn keys() -> Keys {
        Keys::new(&TableSchema::new(find("SecurityEvent"), Some("TimeGenerated")).unwrap(), Survey::default())
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
        let mut keys = keys();
        for n in 0..3 * MOST_KEYS {
            let slot = place(&mut keys, &format!("{{\"name{n}\":1}}"))[0];
            // TimeGenerated has a place already.
            assert_eq!(slot == Slot::Rest, n >= MAX_COLUMNS - 1, "{n}");
        }
        assert!(keys.bytes() < 16 << 20, "{}", keys.bytes());
        assert_eq!(place(&mut keys, r#"{"name7":1,"name2999":1}"#), [Slot::Column(7), Slot::Rest]);
        let long = "x".repeat(MOST_KEY_BYTES);
        assert_eq!(place(&mut keys, &format!("{{\"{long}\":1}}")), [Slot::Rest]);
        assert!(keys.bytes() < 16 << 20, "{}", keys.bytes());
    }
}
