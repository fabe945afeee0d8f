//! What a query would read, before it reads it.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::memory_pool::MemoryPool;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::file::metadata::ParquetMetaDataOptions;
use serde::Serialize;

use super::answer::Coverage;
use super::footers::Footers;
use super::prune::conflicts;
use super::table::ArchiveTable;
use crate::archive::catalogue::fold;
use crate::archive::schema::REST;
use crate::archive::segment_location;
use crate::error::{Error, Kind, Result};
use crate::ledger::Segment;
use crate::names::TableName;

/// What a query would read.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// At most: statistics, bloom filters and the page index leave out more while reading.
    pub bytes: u64,
    pub tables: Vec<TableEstimate>,
}

/// What a query would read of one table.
#[derive(Debug, Clone, Serialize)]
pub struct TableEstimate {
    pub table: TableName,
    #[serde(flatten)]
    pub coverage: Coverage,
    /// Of the segments to be searched, those in which nothing is that is looked for, as the index says.
    pub left_out: u64,
    /// Rows in the others.
    pub rows: u64,
    /// Compressed bytes of the asked columns in those segments, and of `_hf_rest` where some of their values stand there.
    pub bytes: u64,
    /// Bytes of those segments with all their columns.
    pub segment_bytes: u64,
    pub columns: Vec<String>,
    /// Bytes of raw objects to be read (`--include-raw`).
    pub raw_bytes: u64,
}

/// Looks into the footers of the segments that the scans chose.
pub(super) async fn of_table(
    store: &Arc<dyn ObjectStore>,
    table: &ArchiveTable,
    raw_bytes: u64,
    pool: &Arc<dyn MemoryPool>,
) -> Result<TableEstimate> {
    const AT_ONCE: usize = 32;
    let scanned = table.scanned();
    let columns: Vec<String> = scanned.columns.iter().cloned().collect();
    let folded: BTreeSet<String> = columns.iter().map(|name| fold(name)).collect();
    let opened: Vec<&Segment> =
        scanned.segments.values().filter(|segment| scanned.opened.contains(&segment.path)).collect();
    let months = table.index.months(&opened, pool).await;
    let indexed = &Footers::of(&months, &table.name, &opened, &BTreeSet::new(), pool);
    let footers = futures::stream::iter(opened.iter().copied()).map(|segment| {
        let (path, columns) = (segment_location(&table.name, &segment.path), &scanned.columns);
        let with_rest = !conflicts(segment, &folded).is_empty();
        async move {
            let footer = match indexed.footer(path.as_ref(), &ParquetMetaDataOptions::default()).await {
                Some(footer) => Arc::new(footer),
                None => {
                    let meta = store.head(&path).await?;
                    let segment = DFParquetMetadata::new(store.as_ref(), &meta);
                    segment.with_metadata_size_hint(Some(64 << 10)).fetch_metadata().await?
                }
            };
            let chunks = footer.row_groups().iter().flat_map(|group| group.columns());
            let is_asked = |name: &String| columns.contains(name) || (with_rest && name == REST);
            let asked = chunks.filter(|chunk| chunk.column_path().parts().iter().all(is_asked));
            let bytes: i64 = asked.map(|chunk| chunk.compressed_size()).sum();
            Ok::<u64, datafusion::error::DataFusionError>(u64::try_from(bytes).unwrap_or_default())
        }
    });
    let bytes: Vec<u64> = footers.buffer_unordered(AT_ONCE).try_collect().await.map_err(|source| {
        Error::from_source(Kind::Store, format!("reading the footers of {}", table.name), source)
            .with_hint("run `holdfast verify`: a segment may be missing or damaged")
    })?;
    Ok(TableEstimate {
        table: table.name.clone(),
        coverage: Coverage::of(&scanned, &table.segments),
        left_out: (scanned.segments.len() - opened.len()) as u64,
        rows: opened.iter().map(|segment| segment.digest.rows).sum(),
        bytes: bytes.iter().sum::<u64>() + raw_bytes,
        segment_bytes: opened.iter().map(|segment| segment.bytes).sum(),
        columns,
        raw_bytes,
    })
}
