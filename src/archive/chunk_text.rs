//! Texts of a column chunk, one after the other in one buffer.
//!
//! Invariants: ends never fall; what [`Values::check`] passes is UTF-8 throughout, and no text begins or ends within a
//! character. Bounds of texts are at most [`MOST_BOUND`] bytes of whole characters: no longer than a reader needs to
//! leave a page out.

use std::cmp::Ordering;

use parquet::basic::{Encoding, Type};
use parquet::bloom_filter::Sbbf;
use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::chunk_bits as bits;
use super::chunk_values::{PageIds, Values};
use crate::error::{Error, Kind, Result};

/// Bytes of a text in statistics, unless no shorter text bounds it.
const MOST_BOUND: usize = 64;
/// Bytes that say how long a plain text is.
const LENGTH: usize = 4;

/// Texts in the order in which they were pushed.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    /// Where the first text begins, and where each ends.
    ends: Vec<usize>,
    /// So many bytes all texts begin with: what comes after them tells texts apart.
    shared: usize,
}

impl Default for Texts {
    fn default() -> Self {
        Texts { bytes: Vec::new(), ends: vec![0], shared: 0 }
    }
}

impl Texts {
    pub(super) fn push(&mut self, text: &[u8]) {
        if self.len() == 0 {
            self.shared = text.len();
        } else if !text.starts_with(&self.bytes[..self.shared]) {
            self.shared = self.bytes.iter().zip(text).take_while(|(one, other)| one == other).count();
        }
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len() - 1
    }

    pub(super) fn get(&self, at: usize) -> &[u8] {
        &self.bytes[self.ends[at]..self.ends[at + 1]]
    }

    fn length(&self, id: u32) -> usize {
        self.ends[id as usize + 1] - self.ends[id as usize]
    }

    /// The smallest and largest of some texts, which most are neither: their first bytes tell.
    fn extremes_of(&self, mut ids: impl Iterator<Item = u32>) -> Option<(u32, u32)> {
        let first = ids.next()?;
        let head = self.head(first);
        let (mut least, mut most) = ((first, head), (first, head));
        for id in ids {
            let head = self.head(id);
            if head <= least.1 && self.compare((id, head), least) == Ordering::Less {
                least = (id, head);
            } else if head >= most.1 && self.compare((id, head), most) == Ordering::Greater {
                most = (id, head);
            }
        }
        Some((least.0, most.0))
    }

    /// The first bytes after those that all share, as a number that is no larger than that of any larger text.
    #[inline]
    fn head(&self, id: u32) -> u64 {
        let start = self.ends[id as usize] + self.shared;
        let length = self.ends[id as usize + 1] - start;
        let number = match self.bytes[start..].first_chunk() {
            Some(bytes) => u64::from_be_bytes(*bytes),
            None => {
                let mut bytes = [0; 8];
                bytes[..length].copy_from_slice(&self.bytes[start..start + length]);
                u64::from_be_bytes(bytes)
            }
        };
        // What follows a shorter text belongs to the next one.
        if length < 8 { number & !(u64::MAX >> (8 * length as u32)) } else { number }
    }

    #[inline]
    fn compare(&self, one: (u32, u64), other: (u32, u64)) -> Ordering {
        one.1.cmp(&other.1).then_with(|| self.get(one.0 as usize).cmp(self.get(other.0 as usize)))
    }

    /// As statistics have them, and whether that is the very text.
    fn bound_below(&self, id: u32) -> (&[u8], bool) {
        let text = self.get(id as usize);
        let cut = cut(text);
        (&text[..cut], cut == text.len())
    }

    fn bound_above(&self, id: u32) -> (Vec<u8>, bool) {
        let text = self.get(id as usize);
        let cut = cut(text);
        let above = if cut < text.len() { next_above(&text[..cut]) } else { None };
        above.map_or_else(|| (text.to_vec(), true), |above| (above, false))
    }
}

impl Values for Texts {
    /// An id: the text is too long to carry about.
    type Extreme = u32;
    const TYPE: Type = Type::BYTE_ARRAY;
    const BARE: Encoding = Encoding::DELTA_LENGTH_BYTE_ARRAY;
    const TAKES_DICTIONARY: bool = true;
    const LEAST_BYTES: usize = LENGTH;

    fn count(&self) -> usize {
        self.len()
    }

    fn check(&self) -> Result<()> {
        if self.bytes.is_ascii() {
            return Ok(());
        }
        let wrong = |why: &str| Err(Error::new(Kind::Internal, "encoding a column of text", why));
        let Ok(text) = str::from_utf8(&self.bytes) else { return wrong("a value is no UTF-8") };
        if self.ends.iter().all(|&end| text.is_char_boundary(end)) {
            Ok(())
        } else {
            wrong("a value ends in a character")
        }
    }

    fn plain_bytes(&self, id: u32) -> usize {
        self.length(id) + LENGTH
    }

    fn dictionary_bytes(&self) -> usize {
        self.bytes.len() + self.len() * LENGTH
    }

    fn bare_bytes(&self, _ids: impl Iterator<Item = u32>) -> Option<usize> {
        None
    }

    fn put_dictionary(&self, out: &mut Vec<u8>) {
        out.reserve(self.dictionary_bytes());
        for pair in self.ends.windows(2) {
            let text = &self.bytes[pair[0]..pair[1]];
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text);
        }
    }

    fn put_bare(&self, page: &PageIds, out: &mut Vec<u8>) {
        match page.stretch.clone() {
            Some(stretch) => {
                let ends = &self.ends[stretch.start..=stretch.end];
                bits::differences(ends.windows(2).map(|pair| (pair[1] - pair[0]) as i32), out);
                out.extend_from_slice(&self.bytes[self.ends[stretch.start]..self.ends[stretch.end]]);
            }
            None => {
                bits::differences(page.ids.iter().map(|&id| self.length(id) as i32), out);
                page.ids.iter().for_each(|&id| out.extend_from_slice(self.get(id as usize)));
            }
        }
    }

    /// Of a dictionary's texts, each one used is looked at once.
    fn extremes(&self, page: &PageIds, used: &mut Vec<bool>) -> Option<(u32, u32)> {
        if let Some(stretch) = page.stretch.clone() {
            return self.extremes_of(stretch.map(|id| id as u32));
        }
        used.resize(page.most as usize + 1, false);
        page.ids.iter().for_each(|&id| used[id as usize] = true);
        let extremes = self.extremes_of((0..=page.most).zip(used.iter()).filter(|(_, used)| **used).map(|(id, _)| id));
        used.clear();
        extremes
    }

    fn is_less(&self, one: u32, other: u32) -> bool {
        self.get(one as usize) < self.get(other as usize)
    }

    fn bounds(&self, least: u32, most: u32) -> (Vec<u8>, Vec<u8>) {
        (self.bound_below(least).0.to_vec(), self.bound_above(most).0)
    }

    fn statistics(&self, extremes: Option<(u32, u32)>, nulls: u64, signed: bool) -> Statistics {
        let Some((least, most)) = extremes else {
            let none = ValueStatistics::new(None::<ByteArray>, None, None, Some(nulls), false);
            return Statistics::ByteArray(none.with_backwards_compatible_min_max(signed));
        };
        let (below, below_is_exact) = self.bound_below(least);
        let (above, above_is_exact) = self.bound_above(most);
        let bounds = (ByteArray::from(below.to_vec()), ByteArray::from(above));
        let statistics = ValueStatistics::new(Some(bounds.0), Some(bounds.1), None, Some(nulls), false)
            .with_backwards_compatible_min_max(signed)
            .with_min_is_exact(below_is_exact)
            .with_max_is_exact(above_is_exact);
        Statistics::ByteArray(statistics)
    }

    fn text_bytes(&self, page: &PageIds) -> Option<i64> {
        let bytes = match page.stretch.clone() {
            Some(stretch) => self.ends[stretch.end] - self.ends[stretch.start],
            None => page.ids.iter().map(|&id| self.length(id)).sum(),
        };
        Some(bytes as i64)
    }

    fn bloom_filter(&self, filter: impl FnOnce(usize) -> Result<Sbbf>) -> Result<Option<Sbbf>> {
        let mut filter = filter(self.len())?;
        self.ends.windows(2).for_each(|pair| filter.insert(&self.bytes[pair[0]..pair[1]]));
        Ok(Some(filter))
    }
}

/// Where to cut a text: after its last whole character within [`MOST_BOUND`].
fn cut(text: &[u8]) -> usize {
    if text.len() <= MOST_BOUND {
        return text.len();
    }
    let is_inside = |at: &usize| text[*at] & 0xC0 == 0x80;
    (0..=MOST_BOUND).rev().find(|at| !is_inside(at)).unwrap_or(0)
}

/// The shortest text of the same characters that is larger than any text that begins with this one: its last character
/// that has a next one of the same length is that one. `None` if none has.
fn next_above(text: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(text).ok()?;
    text.char_indices().rev().find_map(|(at, character)| {
        let next = char::from_u32(u32::from(character) + 1).filter(|next| next.len_utf8() == character.len_utf8())?;
        let mut above = text.as_bytes()[..at].to_vec();
        above.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
        Some(above)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(2), ..ProptestConfig::default() })]
        #[test]
        fn extremes_are_those_of_the_texts_however_alike_they_are(
            shared in "[ab]{0,9}",
            ends in prop::collection::vec("[ab\0]{0,10}", 1..20),
            skip in any::<bool>(),
        ) {
            let pushed: Vec<String> = ends.iter().map(|end| format!("{shared}{end}")).collect();
            let mut texts = Texts::default();
            pushed.iter().for_each(|text| texts.push(text.as_bytes()));
            // All of them in their order, or every other one, the first again at the end.
            let mut ids: Vec<u32> = (0..pushed.len() as u32).step_by(if skip { 2 } else { 1 }).collect();
            ids.extend(skip.then_some(0));
            let page = PageIds::new(&ids);
            let mut used = Vec::new();
            let (least, most) = texts.extremes(&page, &mut used).unwrap();
            let named = || ids.iter().map(|&id| pushed[id as usize].as_bytes());
            prop_assert_eq!(Some(texts.get(least as usize)), named().min());
            prop_assert_eq!(Some(texts.get(most as usize)), named().max());
            prop_assert!(used.is_empty());
        }
    }

    #[test]
    fn bounds_are_whole_characters() {
        let mut texts = Texts::default();
        let long = ["x".repeat(70), "é".repeat(40), format!("{}\u{10FFFF}", "y".repeat(63)), "\u{10FFFF}".repeat(20)];
        long.iter().for_each(|text| texts.push(text.as_bytes()));
        let bounds = |id| {
            let (below, above) = texts.bounds(id, id);
            (String::from_utf8(below).unwrap(), String::from_utf8(above).unwrap())
        };
        assert_eq!(bounds(0), ("x".repeat(64), format!("{}y", "x".repeat(63))));
        assert_eq!(bounds(1), ("é".repeat(32), format!("{}ê", "é".repeat(31))));
        assert_eq!(bounds(2), ("y".repeat(63), format!("{}z", "y".repeat(62))));
        assert_eq!(bounds(3), ("\u{10FFFF}".repeat(16), long[3].clone()), "no character is larger");
    }
}
