//! The pages of one column chunk: compressed, put one after the other, and indexed.
//!
//! A page is compressed at the encoder's level, or at level 1 where that is as good.
//!
//! Keeps what the footer says of them: offsets, sizes, nulls, bounds and order of pages, and the chunk's own bounds.
//! Invariants: a page that has values but no bounds (no value has an order) takes the column index away, as a reader
//! would take wrong bounds for true; an order of pages is declared only if all of them have it.

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Encoding, PageType, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnIndexBuilder, LevelHistogram, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use super::chunk_values::Values;
use crate::error::{Error, Kind, Result};

/// The level of zstd that costs least for what it saves.
const QUICK: i32 = 1;
/// A page too small to tell how the next ones compress.
const TRIAL_BYTES: usize = 4096;
/// What tells how a large dictionary compresses.
const SAMPLE_BYTES: usize = 64 << 10;

/// What is known of a data page beside its bytes.
pub(super) struct PageFacts<E> {
    pub(super) rows: usize,
    pub(super) nulls: usize,
    /// `None` if no value has an order.
    pub(super) extremes: Option<(E, E)>,
    /// See [`Values::text_bytes`].
    pub(super) text_bytes: Option<i64>,
}

/// Everything that was written.
pub(super) struct WrittenPages {
    pub(super) bytes: Bytes,
    pub(super) encodings: Vec<Encoding>,
    pub(super) encoding_counts: Vec<PageEncodingStats>,
    pub(super) compressed_bytes: i64,
    pub(super) uncompressed_bytes: i64,
    /// 0 if there is no page.
    pub(super) data_offset: i64,
    pub(super) dictionary_offset: Option<i64>,
    pub(super) text_bytes: Option<i64>,
    pub(super) statistics: Statistics,
    pub(super) column_index: Option<ColumnIndexMetaData>,
    pub(super) offset_index: OffsetIndexMetaData,
}

/// What pages are compressed with.
pub(super) struct Zstd<'a> {
    pub(super) compressor: &'a mut Compressor<'static>,
    /// That of the compressor, which is left so.
    pub(super) level: ZstdLevel,
    /// Memory to use.
    pub(super) out: &'a mut Vec<u8>,
}

/// How hard data pages are compressed.
#[derive(Clone, Copy, PartialEq)]
enum Effort {
    Untried,
    /// At level 1, which made the first page as small.
    Quick,
    Full,
}

/// The same bytes compressed at both levels.
struct Tried {
    /// Level 1 is as good, within half a percent.
    is_as_small: bool,
    best: Bytes,
}

/// Writes the pages of a chunk.
pub(super) struct Pages<'a, V: Values> {
    zstd: Zstd<'a>,
    effort: Effort,
    values: &'a V,
    encoding: Encoding,
    sink: TrackedWrite<Vec<u8>>,
    compressed_bytes: usize,
    uncompressed_bytes: usize,
    dictionary_offset: Option<i64>,
    data_offset: Option<i64>,
    count: i32,
    nulls: usize,
    text_bytes: Option<i64>,
    column_index: ColumnIndexBuilder,
    offset_index: OffsetIndexBuilder,
    extremes: Option<(V::Extreme, V::Extreme)>,
    last: Option<(V::Extreme, V::Extreme)>,
    rises: bool,
    falls: bool,
}

impl<'a, V: Values> Pages<'a, V> {
    /// `encoding` is that of all data pages.
    pub(super) fn new(zstd: Zstd<'a>, values: &'a V, encoding: Encoding) -> Self {
        let effort = if zstd.level.compression_level() > QUICK { Effort::Untried } else { Effort::Full };
        Pages {
            zstd,
            effort,
            values,
            encoding,
            sink: TrackedWrite::new(Vec::new()),
            compressed_bytes: 0,
            uncompressed_bytes: 0,
            dictionary_offset: None,
            data_offset: None,
            count: 0,
            nulls: 0,
            text_bytes: None,
            column_index: ColumnIndexBuilder::new(V::TYPE),
            offset_index: OffsetIndexBuilder::new(),
            extremes: None,
            last: None,
            rises: true,
            falls: true,
        }
    }

    /// Before any data page.
    pub(super) fn put_dictionary(&mut self, body: &[u8]) -> Result<()> {
        let num_values = self.values.count() as u32;
        let page = |buf| Page::DictionaryPage { buf, num_values, encoding: Encoding::PLAIN, is_sorted: false };
        // A page of its own kind: what it is like is told by its beginning.
        let is_noise = self.effort == Effort::Untried
            && body.len() >= 4 * SAMPLE_BYTES
            && self.zstd.try_both(&body[..SAMPLE_BYTES])?.is_as_small;
        let compressed = if is_noise { self.zstd.compress_quickly(body)? } else { self.zstd.compress(body)? };
        self.dictionary_offset = Some(self.write(body.len(), compressed, page)?.offset as i64);
        Ok(())
    }

    pub(super) fn put(&mut self, body: &[u8], facts: &PageFacts<V::Extreme>) -> Result<()> {
        self.see(facts);
        let (num_values, encoding) = (facts.rows as u32, self.encoding);
        let compressed = self.compress(body)?;
        let written = self.write(body.len(), compressed, |buf| Page::DataPage {
            buf,
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })?;
        self.offset_index.append_offset_and_size(written.offset as i64, written.compressed_size as i32);
        self.data_offset.get_or_insert(written.offset as i64);
        self.count += 1;
        Ok(())
    }

    pub(super) fn finish(self, column: &ColumnDescPtr) -> Result<WrittenPages> {
        let mut index = self.column_index;
        index.set_boundary_order(match (self.rises, self.falls) {
            (true, _) => BoundaryOrder::ASCENDING,
            (false, true) => BoundaryOrder::DESCENDING,
            (false, false) => BoundaryOrder::UNORDERED,
        });
        let column_index = if index.valid() { Some(index.build().map_err(failed)?) } else { None };
        let mut encodings = vec![Encoding::RLE];
        let mut encoding_counts = Vec::new();
        if self.dictionary_offset.is_some() {
            encodings.push(Encoding::PLAIN);
            let encoding = Encoding::PLAIN;
            encoding_counts.push(PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding, count: 1 });
        }
        if self.count > 0 {
            encodings.push(self.encoding);
            let (encoding, count) = (self.encoding, self.count);
            encoding_counts.push(PageEncodingStats { page_type: PageType::DATA_PAGE, encoding, count });
        }
        let signed = column.sort_order().is_signed();
        let mut bytes = self.sink.into_inner().map_err(failed)?;
        // The chunks of a row group wait for one another.
        bytes.shrink_to_fit();
        Ok(WrittenPages {
            bytes: bytes.into(),
            encodings,
            encoding_counts,
            compressed_bytes: self.compressed_bytes as i64,
            uncompressed_bytes: self.uncompressed_bytes as i64,
            data_offset: self.data_offset.unwrap_or(0),
            dictionary_offset: self.dictionary_offset,
            text_bytes: self.text_bytes,
            statistics: self.values.statistics(self.extremes, self.nulls as u64, signed),
            column_index,
            offset_index: self.offset_index.build(),
        })
    }

    /// Adds a page's facts to the indexes and to the chunk's.
    fn see(&mut self, facts: &PageFacts<V::Extreme>) {
        self.nulls += facts.nulls;
        if let Some(bytes) = facts.text_bytes {
            *self.text_bytes.get_or_insert(0) += bytes;
        }
        self.offset_index.append_row_count(facts.rows as i64);
        self.offset_index.append_unencoded_byte_array_data_bytes(facts.text_bytes);
        let is_null = facts.nulls == facts.rows;
        let Some((least, most)) = facts.extremes else {
            if is_null {
                self.column_index.append(true, Vec::new(), Vec::new(), facts.nulls as i64);
            } else {
                self.column_index.to_invalid();
            }
            return self.append_histogram(facts);
        };
        let is_less = |one, other| self.values.is_less(one, other);
        if let Some((last_least, last_most)) = self.last {
            self.rises &= !is_less(least, last_least) && !is_less(most, last_most);
            self.falls &= !is_less(last_least, least) && !is_less(last_most, most);
        }
        self.last = Some((least, most));
        self.extremes = Some(match self.extremes {
            Some((smallest, largest)) => (
                if is_less(least, smallest) { least } else { smallest },
                if is_less(largest, most) { most } else { largest },
            ),
            None => (least, most),
        });
        let (below, above) = self.values.bounds(least, most);
        self.column_index.append(false, below, above, facts.nulls as i64);
        self.append_histogram(facts);
    }

    fn append_histogram(&mut self, facts: &PageFacts<V::Extreme>) {
        let levels = vec![facts.nulls as i64, (facts.rows - facts.nulls) as i64];
        self.column_index.append_histograms(&None, &Some(LevelHistogram::from(levels)));
    }

    /// A data page. What looks like noise, as packed indexes and random texts do, is no smaller for being searched
    /// longer: the first page tells.
    fn compress(&mut self, body: &[u8]) -> Result<Bytes> {
        match self.effort {
            Effort::Full => self.zstd.compress(body),
            Effort::Quick => self.zstd.compress_quickly(body),
            Effort::Untried if body.len() < TRIAL_BYTES => self.zstd.compress(body),
            Effort::Untried => {
                let tried = self.zstd.try_both(body)?;
                self.effort = if tried.is_as_small { Effort::Quick } else { Effort::Full };
                Ok(tried.best)
            }
        }
    }

    fn write(&mut self, bytes: usize, compressed: Bytes, page: impl FnOnce(Bytes) -> Page) -> Result<PageWriteSpec> {
        let page = CompressedPage::new(page(compressed), bytes);
        let written = SerializedPageWriter::new(&mut self.sink).write_page(page).map_err(failed)?;
        self.compressed_bytes += written.compressed_size;
        self.uncompressed_bytes += written.uncompressed_size;
        Ok(written)
    }
}

impl Zstd<'_> {
    fn compress(&mut self, body: &[u8]) -> Result<Bytes> {
        self.out.clear();
        self.out.reserve(compress_bound(body.len()));
        self.compressor.compress_to_buffer(body, self.out).map_err(|error| failed(error.into()))?;
        Ok(Bytes::copy_from_slice(self.out))
    }

    fn try_both(&mut self, body: &[u8]) -> Result<Tried> {
        let (quick, full) = (self.compress_quickly(body)?, self.compress(body)?);
        let is_as_small = quick.len() <= full.len() + full.len() / 200;
        Ok(Tried { is_as_small, best: if quick.len() <= full.len() { quick } else { full } })
    }

    fn compress_quickly(&mut self, body: &[u8]) -> Result<Bytes> {
        self.compressor.set_compression_level(QUICK).map_err(|error| failed(error.into()))?;
        let compressed = self.compress(body);
        let level = self.level.compression_level();
        self.compressor.set_compression_level(level).map_err(|error| failed(error.into()))?;
        compressed
    }
}

/// Nothing here leaves memory: no store can be at fault.
fn failed(error: ParquetError) -> Error {
    Error::from_source(Kind::Internal, "writing the pages of a column", error)
}
