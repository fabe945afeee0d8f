//! Keys learned from the records before: like records spell the same keys in the same order.
//!
//! The idea: after each key the ones that have followed it are remembered, the latest first. A record's next key is
//! compared with those few spellings, as whole `"key":` texts, before anything is searched for in it: on a batch of like
//! records hardly a key is looked at byte by byte, and none is hashed.
//!
//! Invariant: what is learned never changes what is read. A key gets its number from its exact bytes, whichever way it was
//! found; memory is bounded, further keys have no number.

use std::collections::HashMap;

use super::short::same;

/// Keys remembered under their exact bytes.
const MOST_KEYS: usize = 16_384;
const MOST_KEY_BYTES: usize = 4 << 20;
/// Keys tried after each key.
const GUESSES: usize = 4;
/// Stands before a record's first key.
const START: u32 = 0;

/// The number of a key that is not remembered.
pub const UNKNOWN: u32 = u32::MAX;

/// Keys by their spelling; each gets a number, from 1 in the order of first sight.
#[derive(Debug)]
pub struct LearnedKeys {
    keys: Vec<Learned>,
    by_spelling: HashMap<Box<[u8]>, u32>,
    bytes: usize,
    /// The key before the one to come, [`START`] at first.
    last: u32,
    /// The numbers of the record's keys, in their order.
    numbers: Vec<u32>,
}

#[derive(Debug)]
struct Learned {
    /// `"key":`
    spelled: Box<[u8]>,
    escaped: bool,
    next: [u32; GUESSES],
}

impl Default for LearnedKeys {
    fn default() -> Self {
        let start = Learned { spelled: Box::default(), escaped: false, next: [UNKNOWN; GUESSES] };
        LearnedKeys { keys: vec![start], by_spelling: HashMap::new(), bytes: 0, last: START, numbers: Vec::new() }
    }
}

impl LearnedKeys {
    /// Of the record that was read last, a number for each member: the same for the same bytes, or [`UNKNOWN`].
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// Roughly the bytes in use.
    pub fn bytes(&self) -> usize {
        2 * self.bytes + self.keys.len() * (size_of::<Learned>() + 2 * size_of::<(Box<[u8]>, u32)>())
    }

    pub(super) fn begin(&mut self) {
        self.last = START;
        self.numbers.clear();
    }

    /// The length of `"key":` if `rest` begins with one that has followed the last key, and whether it is escaped.
    #[inline]
    pub(super) fn guess(&mut self, rest: &[u8]) -> Option<(usize, bool)> {
        for guess in self.keys[self.last as usize].next {
            let Some(key) = self.keys.get(guess as usize) else { break };
            if rest.get(..key.spelled.len()).is_some_and(|head| same(head, &key.spelled)) {
                self.last = guess;
                self.numbers.push(guess);
                return Some((key.spelled.len(), key.escaped));
            }
        }
        None
    }

    /// Takes note of a key that was not guessed, between its quotes.
    #[cold]
    pub(super) fn learn(&mut self, key: &[u8], escaped: bool) {
        let number = match self.by_spelling.get(key) {
            Some(&number) => number,
            None if self.keys.len() < MOST_KEYS && self.bytes + key.len() <= MOST_KEY_BYTES => {
                let number = self.keys.len() as u32;
                let spelled = [b"\"", key, b"\":"].concat().into_boxed_slice();
                self.bytes += key.len();
                self.keys.push(Learned { spelled, escaped, next: [UNKNOWN; GUESSES] });
                self.by_spelling.insert(key.into(), number);
                number
            }
            None => {
                // What follows an unknown key is guessed as after the last known one.
                self.numbers.push(UNKNOWN);
                return;
            }
        };
        let next = &mut self.keys[self.last as usize].next;
        if !next.contains(&number) {
            next.rotate_right(1);
            next[0] = number;
        }
        self.last = number;
        self.numbers.push(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::support::generate;
    use crate::record::token::{members, members_learned};
    use proptest::prelude::*;

    #[test]
    fn equal_bytes_have_one_number_whatever_came_between() {
        let mut learned = LearnedKeys::default();
        let mut found = Vec::new();
        let mut numbers = |record: &str| {
            members_learned(record.as_bytes(), &mut learned, &mut found).unwrap();
            learned.numbers().to_vec()
        };
        assert_eq!(numbers(r#"{"a":1,"b":2}"#), [1, 2]);
        assert_eq!(numbers(r#"{"b":1, "a" : 2,"\u0061":3,"c":4,"b":5}"#), [2, 1, 3, 4, 2]);
        assert_eq!(numbers(r#"{"a":1,"b":2}"#), [1, 2]);
        assert_eq!(numbers("{}"), [0_u32; 0]);
        assert_eq!(numbers(r#"{"a":{"b":1},"b":2}"#), [1, 2], "keys within a value are not the record's");
        assert_eq!(numbers(r#"{"aa":1,"a":1}"#), [5, 1]);
    }

    #[test]
    fn i11_keys_without_end_use_bounded_memory() {
        let mut learned = LearnedKeys::default();
        let mut found = Vec::new();
        for n in 0..2 * MOST_KEYS {
            let record = format!("{{\"name{n}\":1}}");
            members_learned(record.as_bytes(), &mut learned, &mut found).unwrap();
            assert_eq!(learned.numbers()[0] == UNKNOWN, n + 1 >= MOST_KEYS, "{n}");
        }
        assert!(learned.bytes() < 8 << 20, "{}", learned.bytes());
        let long = format!("{{\"{}\":1}}", "x".repeat(MOST_KEY_BYTES));
        members_learned(long.as_bytes(), &mut learned, &mut found).unwrap();
        assert_eq!(learned.numbers(), [UNKNOWN]);
    }

    proptest! {
        #[test]
        fn what_is_learned_changes_nothing_that_is_read(
            trees in prop::collection::vec(generate::tree_on(generate::DAY), 1..8), seed in any::<u64>()
        ) {
            let mut learned = LearnedKeys::default();
            let (mut plain, mut found) = (Vec::new(), Vec::new());
            for tree in trees.iter().chain(&trees) {
                let record = generate::render(tree, seed);
                let record: &[u8] = record.as_ref();
                prop_assert_eq!(members(record, &mut plain), members_learned(record, &mut learned, &mut found));
                prop_assert_eq!(&plain, &found);
                prop_assert_eq!(learned.numbers().len(), found.len());
            }
        }
    }
}
