//! Reading back what was uploaded, before anything is promised about it.
//!
//! The stored bytes are hashed, and every value of every row is printed as `restore` would print it and digested by
//! code of its own ([`crate::archive::column_digest`], [`crate::record::reread`]). Both must match what went in.
//!
//! The object is read once, a row group at a time, so that the bytes that are hashed are those that are decoded. Only
//! where row groups do not lie one after the other, or take more than [`SPAN_BYTES`] (not as we write them), it is
//! read twice: whole for the hash, and in ranges for the rows.

use std::fmt;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::{Buf, Bytes, buf};
use object_store::path::Path;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use sha2::{Digest, Sha256};

use crate::archive::column_digest::SegmentColumns;
use crate::archive::print::{SegmentReader, read_segment};
use crate::archive::schema::TableSchema;
use crate::error::{Error, Kind, Result};
use crate::record::SetDigest;
use crate::storage::Store;

/// Bytes of rows that are held at once.
const BATCH_BYTES: usize = 4 << 20;
/// The most bytes of an object that are held at once: a row group as it is stored. Ours are smaller where `memory` is.
const SPAN_BYTES: u64 = 32 << 20;
/// The bytes that are read first, from the end: the footer of most segments, and all of a small one.
const TAIL_BYTES: u64 = 1 << 20;

/// What stands in the store under a segment's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBack {
    pub sha256: String,
    pub digest: SetDigest,
}

/// Reads a segment from the store. `Ok(None)`: there is none.
pub fn read_back(store: &Store, path: &Path, schema: &TableSchema, threads: usize) -> Result<Option<ReadBack>> {
    let Some(meta) = store.head(path)? else { return Ok(None) };
    let object = StoreChunks { store: store.clone(), path: path.clone(), size: meta.size };
    // The library panics on some damaged bytes. Nothing that it saw is used afterwards.
    let read = catch_unwind(AssertUnwindSafe(|| read_object(object, schema, threads, SPAN_BYTES)));
    let read = read.unwrap_or_else(|_| Err(Error::new(Kind::Damaged, "reading a segment", "its reader panicked")));
    let name = |error: Error| Error::from_source(error.kind(), format!("reading back {}", store.describe(path)), error);
    read.map(Some).map_err(name)
}

fn read_object(object: StoreChunks, schema: &TableSchema, threads: usize, span_bytes: u64) -> Result<ReadBack> {
    let (tail, metadata) = footer(&object)?;
    let columns = SegmentColumns::new(metadata, schema)?;
    let mut digest = SetDigest::default();
    let Some(ends) = ends(columns.metadata(), object.size, span_bytes) else {
        let sha256 = object.store.sha256(&object.path)?;
        let sha256 = sha256.ok_or_else(|| Error::new(Kind::Damaged, "reading it whole", "it is not there any more"))?;
        let file = Arc::new(object);
        for group in 0..columns.groups() {
            digest.merge(&columns.digest(&file, group, threads)?);
        }
        return Ok(ReadBack { sha256, digest });
    };
    // The footer's bytes are not read again: those that were understood are those that are hashed.
    let read = |start: u64, end: u64| match tail.start {
        tail_start if start >= tail_start => tail.get_bytes(start, (end - start) as usize),
        _ => object.range(start, end).map_err(ParquetError::from),
    };
    let mut hasher = Sha256::new();
    let mut start = 0;
    for (group, end) in ends.into_iter().enumerate() {
        let span = Arc::new(Span { start, bytes: read(start, end).map_err(unreadable)? });
        let of_group = std::thread::scope(|scope| -> Result<SetDigest> {
            let mut hash = || hasher.update(&span.bytes);
            let hashing = if threads > 1 {
                Some(scope.spawn(hash))
            } else {
                hash();
                None
            };
            let of_group = columns.digest(&span, group, threads)?;
            let hashed = hashing.map_or(Ok(()), |hashing| hashing.join());
            hashed.map_err(|_| Error::new(Kind::Internal, "hashing a segment", "a thread panicked"))?;
            Ok(of_group)
        })?;
        digest.merge(&of_group);
        start = end;
    }
    // What is left ends with the footer.
    for start in (start..object.size).step_by(SPAN_BYTES as usize) {
        let end = object.size.min(start + SPAN_BYTES);
        hasher.update(read(start, end).map_err(unreadable)?);
    }
    Ok(ReadBack { sha256: hex::encode(hasher.finalize()), digest })
}

/// The end of the object, and the footer in it.
fn footer(object: &StoreChunks) -> Result<(Span, ParquetMetaData)> {
    let mut reader = ParquetMetaDataReader::new()
        .with_offset_index_policy(PageIndexPolicy::Optional)
        .with_column_index_policy(PageIndexPolicy::Skip);
    let mut bytes = TAIL_BYTES;
    loop {
        let start = object.size.saturating_sub(bytes);
        let tail = object.get_bytes(start, (object.size - start) as usize).map_err(unreadable)?;
        match reader.try_parse_sized(&tail, object.size) {
            Err(ParquetError::NeedMoreData(needed)) if needed as u64 > bytes => bytes = needed as u64,
            Err(error) => return Err(unreadable(error)),
            Ok(()) => {
                let metadata = reader.finish().map_err(unreadable)?;
                return Ok((Span { start, bytes: tail }, metadata));
            }
        }
    }
}

/// Where each row group ends; `None` if they do not follow one another, or one takes more than `most` bytes.
fn ends(metadata: &ParquetMetaData, size: u64, most: u64) -> Option<Vec<u64>> {
    let mut last = 0;
    let group_end = |group: &parquet::file::metadata::RowGroupMetaData| {
        let mut end = last;
        for chunk in group.columns() {
            let (start, bytes) = chunk.byte_range();
            if start < last {
                return None;
            }
            end = end.max(start.checked_add(bytes)?);
        }
        let span = end - last;
        last = end;
        (span <= most && end <= size).then_some(end)
    };
    metadata.row_groups().iter().map(group_end).collect()
}

/// Opens a segment for reading in ranges.
pub fn open_segment(store: &Store, path: &Path) -> Result<SegmentReader> {
    read_segment(chunks(store, path)?, BATCH_BYTES)
        .map_err(|error| Error::from_source(error.kind(), format!("opening {}", store.describe(path)), error))
}

/// The bytes of a segment, to be read in ranges.
pub(super) fn chunks(store: &Store, path: &Path) -> Result<StoreChunks> {
    let size = store
        .head(path)?
        .map(|meta| meta.size)
        .ok_or_else(|| Error::new(Kind::Damaged, format!("opening {}", store.describe(path)), "it is not there"))?;
    Ok(StoreChunks { store: store.clone(), path: path.clone(), size })
}

/// Some of an object's bytes, at the places that they have in it.
#[derive(Debug)]
struct Span {
    start: u64,
    bytes: Bytes,
}

impl Span {
    fn from(&self, start: u64, length: Option<usize>) -> Result<Bytes, ParquetError> {
        let from = start.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        let bytes = from.and_then(|from| {
            let end = length.map_or(Some(self.bytes.len()), |length| from.checked_add(length))?;
            (from <= end && end <= self.bytes.len()).then(|| self.bytes.slice(from..end))
        });
        bytes.ok_or_else(|| ParquetError::EOF("a page lies outside its row group".to_owned()))
    }
}

impl Length for Span {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Span {
    type T = buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.from(start, None)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.from(start, Some(length))
    }
}

fn unreadable(error: ParquetError) -> Error {
    let kind = if matches!(error, ParquetError::External(_)) { Kind::Store } else { Kind::Damaged };
    Error::from_source(kind, "reading a segment", error)
}

/// A segment in the store as Parquet reads it: by ranges.
#[derive(Clone)]
pub(super) struct StoreChunks {
    store: Store,
    path: Path,
    size: u64,
}

impl fmt::Debug for StoreChunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreChunks({})", self.path)
    }
}

impl StoreChunks {
    fn range(&self, start: u64, end: u64) -> io::Result<Bytes> {
        let bytes = self.store.get_range(&self.path, start..end, None).map_err(io::Error::other)?;
        let problem = |kind, what: &str| io::Error::new(kind, format!("{} {what}", self.path));
        let bytes = bytes.ok_or_else(|| problem(io::ErrorKind::NotFound, "is not there any more"))?;
        if bytes.len() as u64 != end - start {
            return Err(problem(io::ErrorKind::UnexpectedEof, "has become shorter"));
        }
        Ok(bytes)
    }
}

impl Length for StoreChunks {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for StoreChunks {
    type T = RangeReader;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(RangeReader { chunks: self.clone(), position: start, chunk: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        Ok(self.range(start, start + length as u64)?)
    }
}

/// Reads on from a place, a piece at a time.
#[derive(Debug)]
pub struct RangeReader {
    chunks: StoreChunks,
    position: u64,
    chunk: Bytes,
}

impl Read for RangeReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        const PIECE: u64 = 64 << 10;
        if self.chunk.is_empty() {
            let end = self.chunks.size.min(self.position + PIECE);
            if end <= self.position {
                return Ok(0);
            }
            self.chunk = self.chunks.range(self.position, end)?;
            self.position = end;
        }
        let count = into.len().min(self.chunk.len());
        into[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use object_store::{ObjectStoreExt, PutPayload};
    use tokio::runtime::Runtime;
    use url::Url;

    use super::*;
    use crate::archive::rows::{RowBuffer, RowMeta, groups};
    use crate::archive::segment::{SegmentOptions, write_segment};
    use crate::ledger::sha256_hex;

    /// One segment in a store of its own.
    struct Shelf {
        store: Store,
        path: Path,
        schema: TableSchema,
        digest: SetDigest,
        bytes: Vec<u8>,
        _runtime: Runtime,
    }

    impl Shelf {
        fn new(records: &[String]) -> Self {
            let mut schema = TableSchema::new(None, Some("TimeGenerated")).unwrap();
            let mut buffer = RowBuffer::new(&schema, 1);
            let meta = RowMeta { day: jiff::civil::date(2024, 7, 3), part: 0, micros: 0, source: buffer.source("raw") };
            for record in records {
                buffer.lanes[0].push(record.as_bytes(), meta).unwrap();
            }
            schema.decide(&buffer.survey());
            let options = SegmentOptions { row_group_rows: 3, ..SegmentOptions::default() };
            let mut bytes = Vec::new();
            let rows = groups(&buffer).remove(0).rows;
            let digest = write_segment(&buffer, &rows, &mut schema, &options, &mut bytes).unwrap().digest;
            let runtime = Runtime::new().unwrap();
            let url = Url::parse("memory:///archive/").unwrap();
            let store = Store::new(url, Arc::new(InMemory::new()), runtime.handle().clone());
            let shelf = Shelf { store, path: Path::from("segment"), schema, digest, bytes, _runtime: runtime };
            shelf.put(shelf.bytes.clone());
            shelf
        }

        fn put(&self, bytes: Vec<u8>) {
            self.store.wait(self.store.inner().put(&self.path, PutPayload::from(bytes))).unwrap();
        }

        fn read(&self, threads: usize) -> Result<Option<ReadBack>> {
            read_back(&self.store, &self.path, &self.schema, threads)
        }

        fn expected(&self) -> ReadBack {
            ReadBack { sha256: sha256_hex(&self.bytes), digest: self.digest }
        }
    }

    fn small() -> Vec<String> {
        let record = |n| {
            let (second, odd) = (n % 60, n % 2 == 1);
            format!(
                r#"{{"TimeGenerated":"2024-07-03T18:00:{second:02}.1234567Z","n":{n},"t":"x{}","b":{odd},"n":{odd}}}"#,
                n % 3
            )
        };
        (0..8).map(record).collect()
    }

    #[test]
    fn i1_what_was_written_is_read_back_in_spans_and_in_ranges() {
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{:016x}", state ^ state >> 29)
        };
        let large = (0..5).map(|_| format!("{{\"a\":\"{}\"}}", (0..60_000).map(|_| noise()).collect::<String>()));
        for (records, longer_than_the_tail) in [(small(), false), (large.collect(), true), (vec!["{}".into()], false)] {
            let shelf = Shelf::new(&records);
            assert_eq!(shelf.bytes.len() as u64 > 2 * TAIL_BYTES, longer_than_the_tail);
            let size = shelf.bytes.len() as u64;
            for threads in [1, 2] {
                assert_eq!(shelf.read(threads).unwrap(), Some(shelf.expected()));
                for span_bytes in [0, 1 << 10, size] {
                    let object = StoreChunks { store: shelf.store.clone(), path: shelf.path.clone(), size };
                    let read = read_object(object, &shelf.schema, threads, span_bytes).unwrap();
                    assert_eq!(read, shelf.expected(), "{span_bytes}");
                }
            }
        }
    }

    #[test]
    fn row_groups_that_do_not_follow_one_another_have_no_spans() {
        let shelf = Shelf::new(&small());
        let size = shelf.bytes.len() as u64;
        let (_, footer) = footer(&chunks(&shelf.store, &shelf.path).unwrap()).unwrap();
        let found = ends(&footer, size, SPAN_BYTES).unwrap();
        assert_eq!((found.len(), found.is_sorted()), (3, true));
        assert_eq!(ends(&footer, found[2] - 1, SPAN_BYTES), None);
        assert_eq!(ends(&footer, size, found[0] - 1), None);
        let mut groups = footer.row_groups().to_vec();
        groups.swap(0, 1);
        assert_eq!(ends(&ParquetMetaData::new(footer.file_metadata().clone(), groups), size, SPAN_BYTES), None);
    }

    #[test]
    fn i1_no_changed_or_missing_byte_passes() {
        let shelf = Shelf::new(&small()[..4]);
        for place in 0..shelf.bytes.len() {
            let mut bytes = shelf.bytes.clone();
            bytes[place] ^= 1 << (place % 8);
            shelf.put(bytes);
            assert_ne!(shelf.read(1).ok().flatten(), Some(shelf.expected()), "{place}");
        }
        for length in (0..shelf.bytes.len()).step_by(7) {
            shelf.put(shelf.bytes[..length].to_vec());
            assert_eq!(shelf.read(1).unwrap_err().kind(), Kind::Damaged, "{length}");
        }
        shelf.store.wait(shelf.store.inner().delete(&shelf.path)).unwrap();
        assert_eq!(shelf.read(1).unwrap(), None);
    }
}
