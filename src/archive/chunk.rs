//! Encodes one column of one row group: the bytes of a Parquet column chunk, and what its footer says of it.
//!
//! The idea: rows name values by ids that stand for the values themselves ([`ChunkValues`]), so nothing is hashed or
//! compared to make a dictionary: the list of values is its page, and the ids, numbered by first use, are its indexes,
//! in a width that grows from page to page. A column whose dictionary does not pay is written without one.
//!
//! Invariants: pages have at most `page_rows` rows and, of more than one row, at most `page_bytes`; minima, maxima,
//! null counts and the order of pages are looked at, never assumed; statistics are those of Parquet's own writer. Ids
//! that are not numbered by first use are an error, never wrong rows. Beside the output, memory is one page (I11); a
//! dictionary is a page. Data pages are of version 1, which every reader knows.
//!
//! Not here: which rows a chunk has, and types beyond Parquet's own.

use std::io::Write;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, LevelHistogram};
use parquet::file::writer::SerializedRowGroupWriter;
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::chunk_bits as bits;
use super::chunk_pages::{PageFacts, Pages, Zstd};
pub(super) use super::chunk_text::Texts;
use super::chunk_values::{PageIds, Values};
use crate::error::{Error, Kind, Result};

/// No value.
pub(super) const NULL: u32 = u32::MAX;
/// How often a bloom filter may say that it has a value which it does not have.
const FALSE_POSITIVES: f64 = 0.01;
/// A dictionary pays if with it the chunk has at most so many hundredths of the bytes that it has without.
const DICTIONARY_PERCENT: usize = 90;
/// Where values are used so often, no other encoding is measured against a dictionary that pays.
const FEW_USES: usize = 16;

/// The values of one column for the rows of one row group.
#[derive(Debug, Clone)]
pub(super) struct ChunkValues {
    /// For each row an index into `distinct`, or [`NULL`]. Numbered by first use: reading the rows in order, each id
    /// not seen before is the next number; and each value has a row.
    pub(super) ids: Vec<u32>,
    pub(super) distinct: Distinct,
}

/// Each value once; or, where interning did not pay, each occurrence by itself (the ids are then 0, 1, 2, …).
#[derive(Debug, Clone)]
pub(super) enum Distinct {
    Text(Texts),
    Bool(Vec<bool>),
    Int(Vec<i32>),
    /// Whole numbers, and timestamps as microseconds since 1970 UTC.
    Long(Vec<i64>),
    Double(Vec<f64>),
}

/// How chunks are written; never what they hold.
#[derive(Debug, Clone)]
pub(super) struct ChunkOptions {
    /// Add a bloom filter; of texts and whole numbers, other types have none.
    pub(super) bloom: bool,
    /// The most rows of a page.
    pub(super) page_rows: usize,
    /// The most bytes of a page before compression; a single row may have more.
    pub(super) page_bytes: usize,
    /// The most bytes of a dictionary before compression: a reader of the chunk holds it all.
    pub(super) dictionary_bytes: usize,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        ChunkOptions { bloom: false, page_rows: 65_536, page_bytes: 1 << 20, dictionary_bytes: 16 << 20 }
    }
}

/// An encoded column chunk, to be appended to its row group.
#[derive(Debug)]
pub(super) struct EncodedChunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

impl EncodedChunk {
    /// Errors: [`Kind::Store`] if the file's sink refuses, [`Kind::Internal`] if this is not the next column.
    pub(super) fn append_to<W: Write + Send>(self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<()> {
        group.append_column(&self.bytes, self.close).map_err(parquet_error)
    }
}

/// Encodes chunk after chunk; one for each thread.
pub(super) struct ChunkEncoder {
    level: ZstdLevel,
    zstd: Compressor<'static>,
    compressed: Vec<u8>,
    scratch: Scratch,
}

/// Memory that is used again.
#[derive(Default)]
struct Scratch {
    page: Vec<u8>,
    /// The ids of a page without its nulls.
    ids: Vec<u32>,
    /// Its rows that have a value, a bit each.
    present: Vec<u8>,
    used: Vec<bool>,
}

impl Scratch {
    #[cfg(test)]
    fn held_bytes(&self) -> usize {
        let ids = self.ids.capacity() * size_of::<u32>();
        self.page.capacity() + ids + self.present.capacity() + self.used.capacity()
    }

    /// What a giant value has taken is given back.
    fn shrink(&mut self, bytes: usize) {
        self.page.clear();
        self.page.shrink_to(bytes);
        self.ids.clear();
        self.ids.shrink_to(bytes / size_of::<u32>());
        self.present.clear();
        self.present.shrink_to(bytes);
        self.used.clear();
        self.used.shrink_to(bytes);
    }
}

impl ChunkEncoder {
    /// `zstd_level`: 1 to 22.
    pub(super) fn new(zstd_level: i32) -> Result<Self> {
        let level = ZstdLevel::try_new(zstd_level).map_err(parquet_error)?;
        let zstd = Compressor::new(zstd_level).map_err(|error| parquet_error(error.into()))?;
        Ok(ChunkEncoder { level, zstd, compressed: Vec::new(), scratch: Scratch::default() })
    }

    /// Memory that is kept for the next chunk, beside the compressor's.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.compressed.capacity() + self.scratch.held_bytes()
    }

    /// Errors: [`Kind::Internal`] if the values are not what they say, or none of this column, or if one is larger
    /// than Parquet's 2 GiB.
    pub(super) fn encode(
        &mut self,
        column: &ColumnDescPtr,
        values: &ChunkValues,
        options: &ChunkOptions,
    ) -> Result<EncodedChunk> {
        let chunk = match &values.distinct {
            Distinct::Text(texts) => self.encode_values(column, &values.ids, texts, options),
            Distinct::Bool(bools) => self.encode_values(column, &values.ids, bools, options),
            Distinct::Int(numbers) => self.encode_values(column, &values.ids, numbers, options),
            Distinct::Long(numbers) => self.encode_values(column, &values.ids, numbers, options),
            Distinct::Double(numbers) => self.encode_values(column, &values.ids, numbers, options),
        };
        // Room for a page, and for one that does not compress.
        let bytes = options.page_bytes.saturating_mul(2);
        self.compressed.clear();
        self.compressed.shrink_to(bytes);
        self.scratch.shrink(bytes);
        chunk
    }

    fn encode_values<V: Values>(
        &mut self,
        column: &ColumnDescPtr,
        ids: &[u32],
        values: &V,
        options: &ChunkOptions,
    ) -> Result<EncodedChunk> {
        if (column.physical_type(), column.max_def_level(), column.max_rep_level()) != (V::TYPE, 1, 0) {
            return Err(wrong(column, "the column has another type than its values"));
        }
        values.check()?;
        if !are_by_first_use(ids, values.count()) {
            return Err(wrong(column, "its rows do not name its values by first use"));
        }
        let nulls = ids.iter().filter(|id| **id == NULL).count();
        let width = dictionary_width(ids, nulls, values, options.dictionary_bytes);
        let encoding = match width {
            Some(_) => Encoding::RLE_DICTIONARY,
            // Without a single value there is nothing to choose, and plain nothing is what all readers take for it.
            None if values.count() == 0 => Encoding::PLAIN,
            None => V::BARE,
        };
        let zstd = Zstd { compressor: &mut self.zstd, level: self.level, out: &mut self.compressed };
        let mut pages = Pages::new(zstd, values, encoding);
        self.scratch.put_pages(&mut pages, ids, values, width, options)?;
        let mut bloom_filter = if options.bloom { values.bloom_filter(new_filter)? } else { None };
        if let Some(filter) = &mut bloom_filter {
            // Values that occur more than once, where each stands by itself, need no room of their own.
            filter.fold_to_target_fpp(FALSE_POSITIVES);
        }
        let written = pages.finish(column)?;
        let levels = LevelHistogram::from(vec![nulls as i64, (ids.len() - nulls) as i64]);
        let metadata = ColumnChunkMetaData::builder(column.clone())
            .set_compression(Compression::ZSTD(self.level))
            .set_encodings_mask(EncodingMask::new_from_encodings(written.encodings.iter()))
            .set_page_encoding_stats(written.encoding_counts)
            .set_total_compressed_size(written.compressed_bytes)
            .set_total_uncompressed_size(written.uncompressed_bytes)
            .set_num_values(ids.len() as i64)
            .set_data_page_offset(written.data_offset)
            .set_dictionary_page_offset(written.dictionary_offset)
            .set_statistics(written.statistics)
            .set_unencoded_byte_array_data_bytes(written.text_bytes)
            .set_definition_level_histogram(Some(levels));
        let close = ColumnCloseResult {
            bytes_written: written.bytes.len() as u64,
            rows_written: ids.len() as u64,
            metadata: metadata.build().map_err(parquet_error)?,
            bloom_filter,
            column_index: written.column_index,
            offset_index: Some(written.offset_index),
        };
        Ok(EncodedChunk { bytes: written.bytes, close })
    }
}

impl Scratch {
    /// `width` is that of a dictionary's indexes, if there is one.
    fn put_pages<V: Values>(
        &mut self,
        pages: &mut Pages<V>,
        ids: &[u32],
        values: &V,
        width: Option<u32>,
        options: &ChunkOptions,
    ) -> Result<()> {
        if width.is_some() {
            self.page.clear();
            values.put_dictionary(&mut self.page);
            pages.put_dictionary(&self.page)?;
        }
        let mut rest = ids;
        while !rest.is_empty() {
            let (rows, later) = rest.split_at(page_end(rest, values, width, options));
            rest = later;
            self.page.clear();
            let found = put_levels(rows, &mut self.ids, &mut self.present, &mut self.page);
            let page_ids = PageIds::new(found);
            match width {
                Some(_) => put_indexes(&page_ids, &mut self.page),
                None if values.count() > 0 => values.put_bare(&page_ids, &mut self.page),
                None => {}
            }
            let facts = PageFacts {
                rows: rows.len(),
                nulls: rows.len() - page_ids.ids.len(),
                extremes: values.extremes(&page_ids, &mut self.used),
                text_bytes: values.text_bytes(&page_ids),
            };
            pages.put(&self.page, &facts)?;
        }
        Ok(())
    }
}

/// The bits of the largest index, if a dictionary pays; rows without a value are `nulls`.
fn dictionary_width<V: Values>(ids: &[u32], nulls: usize, values: &V, most_bytes: usize) -> Option<u32> {
    let (count, uses) = (values.count(), ids.len() - nulls);
    let dictionary = values.dictionary_bytes();
    // A value that is used once only costs more in a dictionary.
    if !V::TAKES_DICTIONARY || count == uses || dictionary > most_bytes {
        return None;
    }
    let width = bits::width_of(count as u64 - 1);
    let with = dictionary + (uses * width as usize).div_ceil(8);
    let pays = |without: usize| with.saturating_mul(100) < without.saturating_mul(DICTIONARY_PERCENT);
    let used = || ids.iter().copied().filter(|id| *id != NULL);
    // Each value stands there once, the other uses take room too: often that is already more.
    let pays_at_least = pays(dictionary + (uses - count) * V::LEAST_BYTES);
    let pays_plain = pays_at_least || pays(used().map(|id| values.plain_bytes(id)).sum());
    let bare_bytes = || if uses / count < FEW_USES { values.bare_bytes(used()) } else { None };
    (pays_plain && bare_bytes().is_none_or(pays)).then_some(width)
}

/// Whether the ids name so many values by first use. Where none is new, many are looked at together.
fn are_by_first_use(ids: &[u32], count: usize) -> bool {
    let mut next = 0;
    let (groups, last) = ids.as_chunks::<16>();
    for ids in groups.iter().map(|group| &group[..]).chain([last]) {
        // One more than a null is no more than any count.
        if ids.iter().fold(false, |is_new, id| is_new | (id.wrapping_add(1) > next)) {
            for &id in ids.iter().filter(|id| **id != NULL) {
                if id > next {
                    return false;
                }
                next += u32::from(id == next);
            }
        }
    }
    next as usize == count
}

/// How many of these rows the next page takes.
fn page_end<V: Values>(ids: &[u32], values: &V, width: Option<u32>, options: &ChunkOptions) -> usize {
    let most = ids.len().min(options.page_rows.max(1));
    if let Some(width) = width {
        let fitting = options.page_bytes.saturating_mul(8) / width.max(1) as usize;
        return most.min(fitting.max(1));
    }
    let mut bytes = 0usize;
    let end = ids[..most].iter().position(|&id| {
        bytes += if id == NULL { 0 } else { values.plain_bytes(id) };
        bytes > options.page_bytes
    });
    end.unwrap_or(most).max(1)
}

/// Appends which rows have a value, and returns their ids.
fn put_levels<'a>(rows: &'a [u32], ids: &'a mut Vec<u32>, present: &mut Vec<u8>, page: &mut Vec<u8>) -> &'a [u32] {
    let start = page.len();
    page.extend_from_slice(&[0; 4]);
    let count = rows.iter().filter(|id| **id != NULL).count();
    let found = if count == rows.len() || count == 0 {
        bits::run(u32::from(count > 0), rows.len(), 1, page);
        &rows[..count]
    } else {
        let (groups, last) = rows.as_chunks::<8>();
        present.clear();
        present.extend(groups.iter().map(|rows| present_of(rows)));
        present.extend((!last.is_empty()).then(|| present_of(last)));
        bits::levels(present, rows.len(), page);
        ids.clear();
        ids.resize(rows.len(), NULL);
        let mut next = 0;
        for &id in rows {
            ids[next] = id;
            next += usize::from(id != NULL);
        }
        &ids[..count]
    };
    let length = (page.len() - start - 4) as u32;
    page[start..start + 4].copy_from_slice(&length.to_le_bytes());
    found
}

/// Up to eight rows as bits, the first row in the lowest.
#[inline]
fn present_of(rows: &[u32]) -> u8 {
    rows.iter().enumerate().fold(0, |bits, (at, id)| bits | u8::from(*id != NULL) << at)
}

fn put_indexes(page_ids: &PageIds, page: &mut Vec<u8>) {
    let width = bits::width_of(page_ids.most.into());
    page.push(width as u8);
    bits::hybrid(page_ids.ids, width, page);
}

fn new_filter(values: usize) -> Result<Sbbf> {
    Sbbf::new_with_ndv_fpp(values.max(1) as u64, FALSE_POSITIVES).map_err(parquet_error)
}

fn wrong(column: &ColumnDescPtr, why: &str) -> Error {
    Error::new(Kind::Internal, format!("encoding column `{}`", column.name()), why)
}

pub(super) fn parquet_error(error: ParquetError) -> Error {
    let kind = if matches!(error, ParquetError::External(_)) { Kind::Store } else { Kind::Internal };
    Error::from_source(kind, "writing a column chunk", error)
}
