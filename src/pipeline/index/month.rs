//! Writes one month's index: what the old one says of segments that are still live is taken over, the others are read.

use std::collections::HashMap;

use bytes::Bytes;
use object_store::path::Path;
use xxhash_rust::xxh3::xxh3_128;

use super::segment::{Indexed, footer_of, index_segment};
use crate::archive::index::{Blob, Entry, IndexObject, IndexWriter, NewEntry, Unusable};
use crate::error::{Error, Kind, Result};
use crate::ledger::Segment;
use crate::names::TableName;
use crate::storage::Store;

/// What came of writing a month's index.
#[derive(Debug)]
pub struct Written {
    /// Bytes of the object.
    pub bytes: u64,
    /// It names all segments of its month.
    pub whole: bool,
}

/// Writes the index of `segments`, which come in the order of their paths, in place of `old`.
pub fn write_month(
    archive: &Store,
    table: &TableName,
    path: &Path,
    segments: &[&Segment],
    old: Option<&IndexObject>,
) -> Result<Written> {
    let mut writer = IndexWriter::new(archive.upload(path)?)?;
    match write(archive, table, segments, old, &mut writer) {
        Ok(whole) => {
            let (upload, bytes) = writer.finish()?;
            upload.finish()?;
            Ok(Written { bytes, whole })
        }
        Err(error) => {
            writer.abandon().abandon();
            Err(error)
        }
    }
}

fn write<W: std::io::Write>(
    archive: &Store,
    table: &TableName,
    segments: &[&Segment],
    old: Option<&IndexObject>,
    writer: &mut IndexWriter<W>,
) -> Result<bool> {
    let mut old = old.map(|object| Blobs::new(archive, object));
    let mut told: Vec<&str> = Vec::with_capacity(segments.len());
    let mut footers: HashMap<&str, Blob> = HashMap::new();
    for segment in segments {
        if let Some(old) = &mut old
            && let Some(entry) = old.object.directory.entry(segment)
            && let Some(filters) = old.filters(entry)
        {
            writer.entry(&taken_over(entry, &old.object.directory.columns, &filters))?;
            footers.insert(&segment.path, entry.footer);
            told.push(&segment.path);
            continue;
        }
        match index_segment(archive, table, segment) {
            Ok(indexed) => writer.entry(&read_anew(segment, &indexed)?)?,
            // A segment that cannot be told of is opened by the search, which says what is wrong with it.
            Err(error) if error.kind() == Kind::Damaged => {
                tracing::warn!(%error, "a segment is left out of its index");
                continue;
            }
            Err(error) => return Err(error),
        }
        told.push(&segment.path);
    }
    for path in &told {
        let taken = match (&mut old, footers.get(path)) {
            (Some(old), Some(blob)) => old.blob(blob),
            _ => None,
        };
        match taken {
            Some(footer) => writer.footer(&footer)?,
            None => writer.footer(&footer_of(archive, table, path)?)?,
        }
    }
    Ok(told.len() == segments.len())
}

fn taken_over<'a>(entry: &'a Entry, names: &'a [String], filters: &'a [Bytes]) -> NewEntry<'a> {
    let name = |column: u16| names[usize::from(column)].as_str();
    let filters = entry.filters.iter().zip(filters);
    NewEntry {
        path: &entry.path,
        sha256: entry.sha256,
        bytes: entry.bytes,
        columns: entry.columns.iter().map(|&column| name(column)).collect(),
        filters: filters.map(|(filter, bits)| (name(filter.column), filter.physical, bits.as_ref())).collect(),
        footer_length: entry.footer.length,
        footer_sum: entry.footer.sum,
    }
}

fn read_anew<'a>(segment: &'a Segment, indexed: &'a Indexed) -> Result<NewEntry<'a>> {
    let impossible = |reason| Error::new(Kind::Internal, format!("indexing {}", segment.path), reason);
    let mut sha256 = [0; 32];
    hex::decode_to_slice(&segment.sha256, &mut sha256).map_err(|_| impossible("the ledger has no SHA-256 of it"))?;
    let filters = indexed.filters.iter();
    Ok(NewEntry {
        path: &segment.path,
        sha256,
        bytes: segment.bytes,
        columns: indexed.columns.iter().map(String::as_str).collect(),
        filters: filters.map(|(name, physical, bits)| (name.as_str(), *physical, bits.as_slice())).collect(),
        footer_length: u32::try_from(indexed.footer.len()).map_err(|_| impossible("its footer is too long"))?,
        footer_sum: xxh3_128(&indexed.footer),
    })
}

/// The blobs of an index, read ahead: they are asked for in the order in which they lie.
pub struct Blobs<'a> {
    archive: &'a Store,
    object: &'a IndexObject,
    start: u64,
    bytes: Bytes,
}

impl<'a> Blobs<'a> {
    pub fn new(archive: &'a Store, object: &'a IndexObject) -> Self {
        Blobs { archive, object, start: 0, bytes: Bytes::new() }
    }

    /// The filters of an entry, if all of them are what was written.
    fn filters(&mut self, entry: &Entry) -> Option<Vec<Bytes>> {
        entry.filters.iter().map(|filter| self.blob(&filter.blob)).collect()
    }

    /// A blob, if it is what was written.
    pub fn blob(&mut self, blob: &Blob) -> Option<Bytes> {
        const AHEAD: u64 = 4 << 20;
        if blob.start < self.start || blob.end() > self.start + self.bytes.len() as u64 {
            let end = blob.end().max(self.object.size.min(blob.start + AHEAD));
            match self.archive.wait(self.object.stretch(blob.start..end)) {
                Ok(bytes) => (self.start, self.bytes) = (blob.start, bytes),
                Err(unusable) => {
                    tracing::warn!(?unusable, "an index cannot be read; its segments are");
                    return None;
                }
            }
        }
        let from = (blob.start - self.start) as usize;
        Some(self.bytes.slice(from..from + blob.length as usize)).filter(|bytes| blob.is(bytes))
    }
}

/// A month's index as it stands. `Ok(None)`: there is none, or it says nothing.
pub fn open(archive: &Store, path: &Path, size: u64) -> Result<Option<IndexObject>> {
    match archive.wait(IndexObject::open(archive.inner(), path.clone(), size)) {
        Ok(object) => Ok(Some(object)),
        Err(Unusable::Missing | Unusable::Damaged(_)) => Ok(None),
        Err(Unusable::Store(source)) => Err(archive.failed("reading", path, source)),
    }
}
