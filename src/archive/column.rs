//! The values of one column in memory: each distinct token once, and for each row which one.
//!
//! The idea: log columns repeat themselves. A repeated value costs a comparison and four bytes, and all that is done to
//! values later (typing, printing, escaping, their digest) is done once for each distinct one. Where values hardly
//! repeat, interning is given up: then each is kept as it comes.
//!
//! Invariants: tokens keep the bytes they had in the record, so that types can be decided later (I9); rows come in
//! ascending order; [`Column::bytes`] counts capacity, not use, and nothing grows by more than a quarter beyond what is
//! needed (I11).

use std::ops::Range;

use crate::record::short::same;

/// Interning is reconsidered whenever the distinct values reach a power of two from here on.
const FIRST_DOUBT: usize = 16_384;
/// A search that goes on for so long meets tokens that were chosen to collide: interning is given up.
const LONGEST_SEARCH: usize = 512;
/// The most bytes of tokens a column holds: places in it have 32 bits.
const MOST_BYTES: usize = u32::MAX as usize;

/// A token as it stood in a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) escaped: bool,
}

/// Distinct values, and the one of each row.
#[derive(Debug, Default)]
pub(super) struct Column {
    /// A bit for each row up to the last that has a value.
    present: Vec<u64>,
    /// For each word of `present`, how many values come before it.
    before: Vec<u32>,
    /// The entry of each value, until interning was given up.
    entries: Vec<u32>,
    values: usize,
    /// One more than the last row that has a value.
    rows: u32,
    /// Each entry's token; before it a [`Header`], as long as interning goes on: whoever finds a token has the rest beside
    /// it.
    tokens: Vec<u8>,
    /// Where each entry ends in `tokens`.
    ends: Vec<u32>,
    /// How many entries have a header.
    headed: u32,
    /// Open addressing by `tag`; where an entry begins in `tokens` plus one, 0 for free.
    table: Vec<(u32, u32)>,
    given_up: bool,
    escaped: bool,
}

impl Column {
    /// Looks for tokens with the hashes that the hints were made of. Each step is taken for all of them before the next one
    /// is, and does little else than read: so they wait for memory together.
    pub(super) fn look(&self, hints: &mut [Hint]) {
        let mask = self.table.len().wrapping_sub(1);
        for hint in &mut *hints {
            let (tag, place) = self.table.get(hint.tag as usize & mask).copied().unwrap_or_default();
            hint.place = if tag == hint.tag { place } else { 0 };
        }
        for hint in hints {
            if hint.place != 0 {
                hint.length = self.header(hint.place).length;
            }
        }
    }

    /// Keeps the token of a row, larger than any before, that was looked for. `digest` is that of the token's field, and is
    /// asked for once for each entry.
    #[inline]
    pub(super) fn take(
        &mut self,
        row: u32,
        token: &[u8],
        escaped: bool,
        hint: Hint,
        digest: impl FnOnce() -> u128,
    ) -> Result<Taken, Full> {
        if hint.place != 0 && hint.length as usize == token.len() && !self.given_up {
            let header = self.header(hint.place);
            if same(self.headed_bytes(hint.place, header), token) {
                self.put(row, header.entry);
                return Ok(Taken { entry: header.entry, digest: header.digest, is_new: false });
            }
        }
        self.search(row, token, escaped, hint.tag, digest)
    }

    /// Keeps for a row, larger than any before, the token that the last row had.
    #[inline]
    pub(super) fn repeat(&mut self, row: u32, token: &[u8], escaped: bool, entry: u32) -> Result<(), Full> {
        if self.given_up {
            self.set(row);
            return self.add(token, escaped, None).map(|_| ());
        }
        self.put(row, entry);
        Ok(())
    }

    /// Keeps the token of a row, larger than any before. `hash` is equal for equal tokens.
    pub(super) fn push(&mut self, row: u32, token: &[u8], escaped: bool, hash: u64) -> Result<(), Full> {
        self.search(row, token, escaped, (hash >> 32) as u32, || 0).map(|_| ())
    }

    fn search(
        &mut self,
        row: u32,
        token: &[u8],
        escaped: bool,
        tag: u32,
        digest: impl FnOnce() -> u128,
    ) -> Result<Taken, Full> {
        if self.given_up {
            let entry = self.add(token, escaped, None)?;
            self.set(row);
            return Ok(Taken { entry, digest: digest(), is_new: true });
        }
        let mask = self.table.len().wrapping_sub(1);
        let mut at = tag as usize & mask;
        let mut steps = 0;
        while let Some(&(known, place)) = self.table.get(at)
            && place != 0
        {
            steps += 1;
            if known == tag {
                let header = self.header(place);
                if same(self.headed_bytes(place, header), token) {
                    self.put(row, header.entry);
                    return Ok(Taken { entry: header.entry, digest: header.digest, is_new: false });
                }
            }
            at = (at + 1) & mask;
        }
        let digest = digest();
        let entry = self.intern(row, token, escaped, tag, digest)?;
        if steps > LONGEST_SEARCH {
            self.give_up();
        }
        Ok(Taken { entry, digest, is_new: true })
    }

    #[inline]
    fn put(&mut self, row: u32, entry: u32) {
        self.set(row);
        grow(&mut self.entries, 1);
        self.entries.push(entry);
    }

    /// Makes room for the entries of so many values.
    pub(super) fn reserve(&mut self, values: usize) {
        if !self.given_up {
            grow(&mut self.entries, values);
        }
    }

    #[cold]
    fn intern(&mut self, row: u32, token: &[u8], escaped: bool, tag: u32, digest: u128) -> Result<u32, Full> {
        let new_place = self.tokens.len() as u32 + 1;
        let entry = self.add(token, escaped, Some(digest))?;
        self.put(row, entry);
        let distinct = self.ends.len();
        // Two in five are new: an entry, its place in the table and its number cost more than they save.
        if distinct >= FIRST_DOUBT && distinct.is_power_of_two() && distinct * 5 > self.values * 2 {
            self.give_up();
            return Ok(entry);
        }
        if distinct * 4 > self.table.len() * 3 {
            let mut table = vec![(0, 0); (self.table.len() * 2).max(16)];
            for &(tag, place) in self.table.iter().filter(|(_, place)| *place != 0) {
                enter(&mut table, tag, place);
            }
            self.table = table;
        }
        enter(&mut self.table, tag, new_place);
        Ok(entry)
    }

    fn give_up(&mut self) {
        self.given_up = true;
        self.table = Vec::new();
    }

    /// Appends an entry, with a header if `digest` is given: only before interning is given up.
    fn add(&mut self, token: &[u8], escaped: bool, digest: Option<u128>) -> Result<u32, Full> {
        let header = if digest.is_some() { HEADER } else { 0 };
        let end = self.tokens.len() + header + token.len();
        if end >= MOST_BYTES {
            return Err(Full);
        }
        let entry = self.ends.len() as u32;
        grow(&mut self.tokens, header + token.len());
        if let Some(digest) = digest {
            self.tokens.extend_from_slice(&digest.to_le_bytes());
            self.tokens.extend_from_slice(&entry.to_le_bytes());
            self.tokens.extend_from_slice(&(token.len() as u32).to_le_bytes());
            self.headed = entry + 1;
        }
        self.tokens.extend_from_slice(token);
        grow(&mut self.ends, 1);
        self.ends.push(end as u32);
        self.escaped |= escaped;
        Ok(entry)
    }

    /// What stands before the token of an interned entry.
    #[inline]
    fn header(&self, place: u32) -> Header {
        let start = place as usize - 1;
        match self.tokens.get(start..).and_then(|rest| rest.first_chunk::<HEADER>()) {
            Some(&[d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, da, db, dc, dd, de, df, e0, e1, e2, e3, l0, l1, l2, l3]) => {
                Header {
                    digest: u128::from_le_bytes([d0, d1, d2, d3, d4, d5, d6, d7, d8, d9, da, db, dc, dd, de, df]),
                    entry: u32::from_le_bytes([e0, e1, e2, e3]),
                    length: u32::from_le_bytes([l0, l1, l2, l3]),
                }
            }
            // No place is made up.
            None => Header { digest: 0, entry: 0, length: 0 },
        }
    }

    #[inline]
    fn headed_bytes(&self, place: u32, header: Header) -> &[u8] {
        let start = place as usize - 1 + HEADER;
        &self.tokens[start..start + header.length as usize]
    }

    fn set(&mut self, row: u32) {
        let word = row as usize / 64;
        if word >= self.present.len() {
            let more = word + 1 - self.present.len();
            grow(&mut self.present, more);
            grow(&mut self.before, more);
            self.present.resize(word + 1, 0);
            self.before.resize(word + 1, self.values as u32);
        }
        self.present[word] |= 1 << (row % 64);
        self.values += 1;
        self.rows = row + 1;
    }

    /// How many rows have a value.
    pub(super) fn values(&self) -> usize {
        self.values
    }

    /// How many entries there are; fewer than values as far as interning pays.
    pub(super) fn entries(&self) -> usize {
        self.ends.len()
    }

    /// True if each entry stands for one value only, apart from those before interning was given up.
    pub(super) fn is_plain(&self) -> bool {
        self.given_up
    }

    /// The entry of a row's value.
    #[inline]
    pub(super) fn find(&self, row: u32) -> Option<u32> {
        let value = if self.values == self.rows as usize {
            // Every row has one.
            Some(row as usize).filter(|_| row < self.rows)?
        } else {
            let (word, bit) = (row as usize / 64, row % 64);
            let present = *self.present.get(word)?;
            if present >> bit & 1 == 0 {
                return None;
            }
            self.before[word] as usize + (present & ((1 << bit) - 1)).count_ones() as usize
        };
        Some(match self.entries.get(value) {
            Some(&entry) => entry,
            // Since interning was given up, each value has brought its own entry.
            None => (self.ends.len() - (self.values - value)) as u32,
        })
    }

    /// False if no row of the range, ends included, has a value.
    pub(super) fn reaches(&self, rows: (u32, u32)) -> bool {
        let words: Range<usize> = rows.0 as usize / 64..(rows.1 as usize / 64 + 1).min(self.present.len());
        words.start < words.end && self.present[words].iter().any(|word| *word != 0)
    }

    /// The token of an entry.
    #[inline]
    pub(super) fn token(&self, entry: u32) -> Token<'_> {
        let bytes = self.bytes_of(entry);
        Token { bytes, escaped: self.escaped && memchr::memchr(b'\\', bytes).is_some() }
    }

    #[inline]
    fn bytes_of(&self, entry: u32) -> &[u8] {
        let header = if entry < self.headed { HEADER } else { 0 };
        let entry = entry as usize;
        let start = if entry == 0 { 0 } else { self.ends[entry - 1] as usize };
        &self.tokens[start + header..self.ends[entry] as usize]
    }

    /// Memory in use, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.present.capacity() * 8
            + self.before.capacity() * 4
            + self.entries.capacity() * 4
            + self.tokens.capacity()
            + self.ends.capacity() * 4
            + self.table.capacity() * 8
    }
}

/// What is kept of an interned entry before its token.
#[derive(Debug, Clone, Copy)]
struct Header {
    /// Of the token's field.
    digest: u128,
    entry: u32,
    /// Of the token.
    length: u32,
}

/// The bytes of a [`Header`]: digest, entry and length, little endian.
const HEADER: usize = 24;

/// What became of a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) entry: u32,
    pub(super) digest: u128,
    pub(super) is_new: bool,
}

/// How far the search for a token has come. The memory of many values is asked for at once this way, where looking for
/// one value after the other would wait for each. It stays true while other tokens are kept.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hint {
    tag: u32,
    /// Of the entry that may be it, plus one; 0: look again from the start.
    place: u32,
    /// Of that entry's token.
    length: u32,
}

impl Hint {
    /// `hash` is equal for equal tokens.
    #[inline]
    pub(super) fn new(hash: u64) -> Self {
        Hint { tag: (hash >> 32) as u32, ..Hint::default() }
    }
}

/// A column has no room for another token.
#[derive(Debug)]
pub(super) struct Full;

fn enter(table: &mut [(u32, u32)], tag: u32, place: u32) {
    let mask = table.len() - 1;
    let mut at = tag as usize & mask;
    while table[at].1 != 0 {
        at = (at + 1) & mask;
    }
    table[at] = (tag, place);
}

/// Makes room for `more` elements, by a quarter at least and not by doubling.
#[inline]
pub(super) fn grow<T>(list: &mut Vec<T>, more: usize) {
    if list.capacity() - list.len() < more {
        list.reserve_exact(more.max(list.len() / 4).max(16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn filled(values: &[Option<String>]) -> Column {
        let mut column = Column::default();
        for (row, value) in values.iter().enumerate() {
            if let Some(value) = value {
                column.push(row as u32, value.as_bytes(), false, xxh3_64(value.as_bytes())).unwrap();
            }
        }
        column
    }

    fn read(column: &Column, rows: usize) -> Vec<Option<String>> {
        let text = |entry| String::from_utf8(column.token(entry).bytes.to_vec()).unwrap();
        (0..rows as u32).map(|row| column.find(row).map(text)).collect()
    }

    #[test]
    fn repeated_values_are_kept_once() {
        let values: Vec<_> = (0..100_000).map(|n| (n % 3 > 0).then(|| format!("value {}", n % 100))).collect();
        let column = filled(&values);
        assert_eq!(read(&column, values.len()), values);
        assert_eq!((column.entries(), column.is_plain()), (100, false));
        assert!(column.bytes() < 500_000, "{}", column.bytes());
    }

    #[test]
    fn interning_is_given_up_where_it_does_not_pay() {
        let values: Vec<_> = (0..100_000).map(|n| (n % 2 > 0).then(|| format!("value {n}"))).collect();
        let column = filled(&values);
        assert!(column.is_plain());
        assert_eq!(read(&column, values.len()), values);
    }

    #[test]
    fn equal_hashes_do_not_make_equal_values() {
        let mut column = Column::default();
        for (row, value) in ["a", "b", "a", "c", "b"].iter().enumerate() {
            column.push(row as u32, value.as_bytes(), false, 7).unwrap();
        }
        assert_eq!(column.entries(), 3);
        assert_eq!(read(&column, 5).into_iter().flatten().collect::<String>(), "abacb");
    }

    #[test]
    fn tokens_chosen_to_collide_cost_no_more_than_any() {
        let mut column = Column::default();
        for row in 0..20_000 {
            column.push(row, row.to_string().as_bytes(), false, 7 << 32).unwrap();
        }
        assert!(column.is_plain() && column.entries() == 20_000);
        assert_eq!(read(&column, 20_000)[19_999].as_deref(), Some("19999"));
    }

    #[test]
    fn a_range_is_reached_only_where_there_are_values() {
        let mut column = Column::default();
        column.push(200, b"1", false, 1).unwrap();
        assert!(column.reaches((0, 200)) && column.reaches((200, 900)));
        assert!(!column.reaches((0, 100)) && !column.reaches((300, 900)));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_found(values in prop::collection::vec(prop::option::of("[ab\\\\]{0,3}"), 0..400)) {
            let column = filled(&values);
            prop_assert_eq!(read(&column, values.len() + 70)[..values.len()].to_vec(), values.clone());
            prop_assert_eq!(column.values(), values.iter().flatten().count());
        }
    }
}
