//! Footers of many segments in order: from the index where it has them, else from the segments.

use std::collections::HashMap;

use bytes::Bytes;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use super::month::{Blobs, open};
use crate::archive::index::{IndexObject, index_location};
use crate::archive::{segment_location, table_path};
use crate::error::Result;
use crate::ledger::{Month, Segment};
use crate::names::TableName;
use crate::pipeline::peek::footer;
use crate::storage::Store;

/// Shows the footer of each segment, without its page index. The segments come in the order of their paths. A segment that
/// is not there, or not with its bytes, is an error whatever the index says of it (I13).
pub fn each_footer<'a>(
    archive: &Store,
    table: &TableName,
    segments: impl Iterator<Item = &'a Segment>,
    see: &mut dyn FnMut(Result<ParquetMetaData>),
) {
    let listed: HashMap<String, u64> = match archive.list(Some(&table_path(table))) {
        Ok(listed) => listed.into_iter().map(|meta| (meta.location.to_string(), meta.size)).collect(),
        Err(_) => HashMap::new(),
    };
    let mut segments = segments.peekable();
    while let Some(first) = segments.peek() {
        let month = Month::of(first.day);
        let index = index_of(archive, table, month);
        let mut blobs = index.as_ref().map(|index| Blobs::new(archive, index));
        while let Some(segment) = segments.next_if(|segment| Month::of(segment.day) == month) {
            let path = segment_location(table, &segment.path);
            let told = match (&index, &mut blobs) {
                (Some(index), Some(blobs)) if listed.get(path.as_ref()) == Some(&segment.bytes) => {
                    index.directory.entry(segment).and_then(|entry| blobs.blob(&entry.footer)).and_then(decoded)
                }
                _ => None,
            };
            see(match told {
                Some(footer) => Ok(footer),
                None => footer(archive, &path),
            });
        }
    }
}

/// A month's index; none, where it says nothing: then the segments are looked into.
fn index_of(archive: &Store, table: &TableName, month: Month) -> Option<IndexObject> {
    let path = index_location(table, month);
    let size = archive.head(&path).ok()??.size;
    open(archive, &path, size).ok()?
}

fn decoded(footer: Bytes) -> Option<ParquetMetaData> {
    ParquetMetaDataReader::decode_metadata(&footer).ok()
}
