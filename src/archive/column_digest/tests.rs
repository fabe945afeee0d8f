//! A segment's digest by columns against the one by rows, and what must give another.

use bytes::Bytes;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

use super::*;

/// Of the whole file.
pub(in crate::archive) fn digest_by_columns(file: &Bytes, table: &TableSchema, threads: usize) -> Result<SetDigest> {
    let metadata = ParquetMetaDataReader::new()
        .with_offset_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(file)
        .map_err(unreadable)?;
    let columns = SegmentColumns::new(metadata, table)?;
    let mut digest = SetDigest::default();
    for group in 0..columns.groups() {
        digest.merge(&columns.digest(&Arc::new(file.clone()), group, threads)?);
    }
    Ok(digest)
}
