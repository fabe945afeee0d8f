//! Reading back what was uploaded, before anything is promised about it.
//!
//! The stored bytes are hashed, and every row is printed as `restore` would print it and digested by code of its own
//! ([`crate::record::reread`]). Both must match what went in.

use std::fmt;
use std::io::{self, Read};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

use arrow::array::RecordBatch;
use bytes::Bytes;
use object_store::path::Path;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::archive::print::{RowPrinter, SegmentReader, read_segment};
use crate::archive::schema::TableSchema;
use crate::error::{Error, Kind, Result};
use crate::record::SetDigest;
use crate::record::reread::digest_of_printed;
use crate::storage::Store;

/// Bytes of rows that are held at once, for each thread.
const BATCH_BYTES: usize = 4 << 20;

/// What stands in the store under a segment's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBack {
    pub sha256: String,
    pub digest: SetDigest,
}

/// Reads a segment from the store. `Ok(None)`: there is none.
pub fn read_back(store: &Store, path: &Path, schema: &TableSchema, threads: usize) -> Result<Option<ReadBack>> {
    let Some(sha256) = store.sha256(path)? else { return Ok(None) };
    let name = |error: Error| Error::from_source(error.kind(), format!("reading back {}", store.describe(path)), error);
    let reader = open_segment(store, path)?;
    let printer = RowPrinter::new(reader.schema(), schema).map_err(name)?;
    let digest = digest_rows(reader, &printer, threads).map_err(name)?;
    Ok(Some(ReadBack { sha256, digest }))
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

fn digest_rows(reader: SegmentReader, printer: &RowPrinter, threads: usize) -> Result<SetDigest> {
    let (sender, receiver) = mpsc::sync_channel::<RecordBatch>(1);
    let receiver = Mutex::new(receiver);
    let work = || -> Result<SetDigest> {
        let mut digest = SetDigest::default();
        let mut line = Vec::new();
        loop {
            let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(batch) = next else { return Ok(digest) };
            for row in 0..batch.num_rows() {
                line.clear();
                printer.print(&batch, row, &mut line)?;
                let record = digest_of_printed(&line).map_err(|malformed| {
                    Error::new(Kind::Damaged, "reading back a row", format!("it prints no record: {malformed}"))
                })?;
                digest.add(record);
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let mut read = Ok(());
        for batch in reader {
            match batch {
                // Nobody takes it any more: a worker failed and says so below.
                Ok(batch) => {
                    if sender.send(batch).is_err() {
                        break;
                    }
                }
                Err(error) => {
                    read = Err(error);
                    break;
                }
            }
        }
        drop(sender);
        let mut all = SetDigest::default();
        for worker in workers {
            let digest = worker
                .join()
                .map_err(|_| Error::new(Kind::Internal, "reading back a segment", "a thread panicked"))??;
            all.merge(&digest);
        }
        read.map(|()| all)
    })
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
        self.store
            .get_range(&self.path, start..end, None)
            .map_err(io::Error::other)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{} is not there any more", self.path)))
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
