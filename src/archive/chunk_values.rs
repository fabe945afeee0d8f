//! The values of one column chunk: what the encoder asks of them, whatever their type.
//!
//! The idea: a chunk's values stand once each in a list, rows name them by their place in it (their id). Ids are
//! numbered by first use, so a page of values that were not seen before names a stretch of the list, which is copied as
//! a whole.
//!
//! Numbers and booleans are here, texts in [`super::chunk_text`]. Nothing here reads rows or writes pages.

use std::ops::Range;

use parquet::basic::{Encoding, Type};
use parquet::bloom_filter::Sbbf;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::chunk_bits as bits;
use crate::error::Result;

/// The rows of a page that have a value.
#[derive(Debug)]
pub(super) struct PageIds<'a> {
    pub(super) ids: &'a [u32],
    /// The largest id; 0 if there is none.
    pub(super) most: u32,
    /// Where all ids follow one another: the stretch of the list that they name.
    pub(super) stretch: Option<Range<usize>>,
}

impl<'a> PageIds<'a> {
    pub(super) fn new(ids: &'a [u32]) -> Self {
        let most = ids.iter().copied().max().unwrap_or(0);
        let first = ids.first().copied().unwrap_or(0);
        let follow = first as usize + ids.len() == most as usize + 1
            && ids.windows(2).fold(true, |follow, pair| follow & (pair[0].wrapping_add(1) == pair[1]));
        let stretch = follow.then(|| first as usize..first as usize + ids.len());
        PageIds { ids, most, stretch }
    }
}

/// The values of a chunk, each by its id.
pub(super) trait Values {
    /// The smallest or largest of some values.
    type Extreme: Copy;
    const TYPE: Type;
    /// How values stand without a dictionary.
    const BARE: Encoding;
    const TAKES_DICTIONARY: bool;
    /// The least that a value takes, encoded plainly.
    const LEAST_BYTES: usize;

    fn count(&self) -> usize;
    /// Errors: the values are none of this type.
    fn check(&self) -> Result<()>;
    /// Bytes of a value, encoded plainly.
    fn plain_bytes(&self, id: u32) -> usize;
    /// Bytes of all values, encoded plainly.
    fn dictionary_bytes(&self) -> usize;
    /// Bytes of the values of these ids without a dictionary, if that is not about as many as encoded plainly.
    fn bare_bytes(&self, ids: impl Iterator<Item = u32>) -> Option<usize>;
    /// Appends all values, encoded plainly.
    fn put_dictionary(&self, out: &mut Vec<u8>);
    /// Appends a page's values as [`Values::BARE`].
    fn put_bare(&self, page: &PageIds, out: &mut Vec<u8>);
    /// The smallest and largest value of a page; `None` if there is none that has an order. `used` is empty, and is
    /// left so.
    fn extremes(&self, page: &PageIds, used: &mut Vec<bool>) -> Option<(Self::Extreme, Self::Extreme)>;
    fn is_less(&self, one: Self::Extreme, other: Self::Extreme) -> bool;
    /// A page's extremes as the column index has them: shortened, if that helps, to a smaller or a larger value.
    fn bounds(&self, least: Self::Extreme, most: Self::Extreme) -> (Vec<u8>, Vec<u8>);
    /// `signed` of the column's order: readers of old files ask for it.
    fn statistics(&self, extremes: Option<(Self::Extreme, Self::Extreme)>, nulls: u64, signed: bool) -> Statistics;
    /// Bytes of a page's texts alone; `None` for other types.
    fn text_bytes(&self, page: &PageIds) -> Option<i64>;
    /// Of all values; `None` if the type has none.
    fn bloom_filter(&self, filter: impl FnOnce(usize) -> Result<Sbbf>) -> Result<Option<Sbbf>>;
}

/// A value of a fixed size.
pub(super) trait Fixed: Copy + PartialOrd {
    const TYPE: Type;
    const BARE: Encoding;
    const TAKES_DICTIONARY: bool;

    fn put_plain(values: &[Self], out: &mut Vec<u8>);
    fn put_bare(values: impl ExactSizeIterator<Item = Self>, out: &mut Vec<u8>);
    /// See [`Values::bare_bytes`].
    fn bare_bytes(_values: impl Iterator<Item = Self>) -> Option<usize> {
        None
    }
    /// Both extremes as readers expect them.
    fn tidy(least: Self, most: Self) -> (Self, Self) {
        (least, most)
    }
    fn bytes(self) -> Vec<u8>;
    fn statistics(least: Option<Self>, most: Option<Self>, nulls: u64, signed: bool) -> Statistics;
    /// Returns whether there is such a filter of this type.
    fn insert(_values: &[Self], _filter: &mut Sbbf) -> bool {
        false
    }
}

impl<T: Fixed> Values for Vec<T> {
    type Extreme = T;
    const TYPE: Type = T::TYPE;
    const BARE: Encoding = T::BARE;
    const TAKES_DICTIONARY: bool = T::TAKES_DICTIONARY;
    const LEAST_BYTES: usize = size_of::<T>();

    fn count(&self) -> usize {
        self.len()
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn plain_bytes(&self, _id: u32) -> usize {
        size_of::<T>()
    }

    fn dictionary_bytes(&self) -> usize {
        self.len() * size_of::<T>()
    }

    fn bare_bytes(&self, ids: impl Iterator<Item = u32>) -> Option<usize> {
        T::bare_bytes(ids.map(|id| self[id as usize]))
    }

    fn put_dictionary(&self, out: &mut Vec<u8>) {
        T::put_plain(self, out);
    }

    fn put_bare(&self, page: &PageIds, out: &mut Vec<u8>) {
        match page.stretch.clone() {
            Some(stretch) => T::put_bare(self[stretch].iter().copied(), out),
            None => T::put_bare(page.ids.iter().map(|&id| self[id as usize]), out),
        }
    }

    fn extremes(&self, page: &PageIds, _used: &mut Vec<bool>) -> Option<(T, T)> {
        let (least, most) = match page.stretch.clone() {
            Some(stretch) => extremes_of(self[stretch].iter().copied()),
            None => extremes_of(page.ids.iter().map(|&id| self[id as usize])),
        }?;
        Some(T::tidy(least, most))
    }

    fn is_less(&self, one: T, other: T) -> bool {
        one < other
    }

    fn bounds(&self, least: T, most: T) -> (Vec<u8>, Vec<u8>) {
        (least.bytes(), most.bytes())
    }

    fn statistics(&self, extremes: Option<(T, T)>, nulls: u64, signed: bool) -> Statistics {
        let (least, most) = extremes.unzip();
        T::statistics(least, most, nulls, signed)
    }

    fn text_bytes(&self, _page: &PageIds) -> Option<i64> {
        None
    }

    fn bloom_filter(&self, filter: impl FnOnce(usize) -> Result<Sbbf>) -> Result<Option<Sbbf>> {
        let mut filter = filter(self.len())?;
        Ok(T::insert(self, &mut filter).then_some(filter))
    }
}

/// Without those that are no number: they have no order.
fn extremes_of<T: Fixed>(mut values: impl Iterator<Item = T>) -> Option<(T, T)> {
    let first = values.find(|value| value.partial_cmp(value).is_some())?;
    Some(values.fold((first, first), |(least, most), value| {
        (if value < least { value } else { least }, if value > most { value } else { most })
    }))
}

/// What differs between types only by name.
macro_rules! described {
    ($type:ident, $statistics:ident, $bare:ident, $dictionary:literal) => {
        const TYPE: Type = Type::$type;
        const BARE: Encoding = Encoding::$bare;
        const TAKES_DICTIONARY: bool = $dictionary;

        fn statistics(least: Option<Self>, most: Option<Self>, nulls: u64, signed: bool) -> Statistics {
            let statistics = ValueStatistics::new(least, most, None, Some(nulls), false);
            Statistics::$statistics(statistics.with_backwards_compatible_min_max(signed))
        }
    };
}

macro_rules! whole_number {
    ($number:ty, $type:ident, $statistics:ident) => {
        impl Fixed for $number {
            described!($type, $statistics, DELTA_BINARY_PACKED, true);

            fn put_plain(values: &[Self], out: &mut Vec<u8>) {
                out.reserve(size_of_val(values));
                values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            }

            fn put_bare(values: impl ExactSizeIterator<Item = Self>, out: &mut Vec<u8>) {
                bits::differences(values, out);
            }

            fn bare_bytes(values: impl Iterator<Item = Self>) -> Option<usize> {
                Some(bits::differences_bytes(values))
            }

            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }

            fn insert(values: &[Self], filter: &mut Sbbf) -> bool {
                values.iter().for_each(|value| filter.insert(value));
                true
            }
        }
    };
}

whole_number!(i32, INT32, Int32);
whole_number!(i64, INT64, Int64);

impl Fixed for f64 {
    described!(DOUBLE, Double, PLAIN, true);

    fn put_plain(values: &[Self], out: &mut Vec<u8>) {
        Self::put_bare(values.iter().copied(), out);
    }

    fn put_bare(values: impl ExactSizeIterator<Item = Self>, out: &mut Vec<u8>) {
        out.reserve(values.len() * size_of::<Self>());
        values.for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }

    /// Both zeros are equal, but readers may compare bits: the bounds hold either.
    fn tidy(least: Self, most: Self) -> (Self, Self) {
        (if least == 0.0 { -0.0 } else { least }, if most == 0.0 { 0.0 } else { most })
    }

    fn bytes(self) -> Vec<u8> {
        self.to_le_bytes().to_vec()
    }
}

impl Fixed for bool {
    described!(BOOLEAN, Boolean, PLAIN, false);

    fn put_plain(values: &[Self], out: &mut Vec<u8>) {
        Self::put_bare(values.iter().copied(), out);
    }

    fn put_bare(values: impl ExactSizeIterator<Item = Self>, out: &mut Vec<u8>) {
        bits::pack(values.map(u64::from), 1, out);
    }

    fn bytes(self) -> Vec<u8> {
        vec![self.into()]
    }
}
