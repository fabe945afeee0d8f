//! Footers of segments from the index, for the Parquet reader: a stretch of many at a time, so that a scan of thousands of
//! segments need not open each for its end.
//!
//! A stretch is held while footers of it are still to come, counted in the memory of the search. What the index does not
//! have, or not as it was written, is read from the segment.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use tokio::sync::Mutex;

use super::index::{LoadedMonth, Months, entry};
use crate::archive::index::{Blob, Entry};
use crate::archive::segment_location;
use crate::ledger::{Month, Segment};
use crate::names::TableName;

/// Footers are read together up to so many bytes,
const STRETCH: u64 = 1 << 20;
/// and with no more than so many unwanted ones between two of them.
const GAP: u64 = 64 << 10;

/// Where the index has the footers of a scan's segments.
#[derive(Debug, Default)]
pub struct Footers {
    /// By place in the archive.
    known: HashMap<String, Place>,
}

#[derive(Debug, Clone)]
struct Place {
    stretch: Arc<Stretch>,
    blob: Blob,
    /// The leaves of the file of which statistics are wanted.
    leaves: Vec<usize>,
}

/// A segment that an index knows.
type Found<'a> = (&'a Arc<LoadedMonth>, &'a Entry, &'a Segment);

impl Footers {
    /// Of these segments, as far as the index knows them. Statistics are wanted of `columns`.
    pub fn of(
        months: &Months,
        table: &TableName,
        segments: &[&Segment],
        columns: &BTreeSet<String>,
        pool: &Arc<dyn MemoryPool>,
    ) -> Self {
        let mut by_month: BTreeMap<Month, Vec<Found<'_>>> = BTreeMap::new();
        for segment in segments {
            if let Some((month, entry)) = entry(months, segment) {
                by_month.entry(Month::of(segment.day)).or_default().push((month, entry, segment));
            }
        }
        let mut known = HashMap::new();
        for mut found in by_month.into_values() {
            found.sort_by_key(|(_, entry, _)| entry.footer.start);
            for together in stretches(&found) {
                let (Some((month, first, _)), Some((_, last, _))) = (together.first(), together.last()) else {
                    continue;
                };
                let stretch = Arc::new(Stretch {
                    month: Arc::clone(month),
                    range: first.footer.start..last.footer.end(),
                    held: Mutex::new(Held {
                        bytes: None,
                        left: together.len(),
                        room: MemoryConsumer::new("footers").register(pool),
                    }),
                });
                for (month, entry, segment) in together {
                    let names = &month.object.directory.columns;
                    let wanted = |column: &u16| columns.contains(&names[usize::from(*column)]);
                    let leaves = entry.columns.iter().enumerate().filter(|(_, column)| wanted(column));
                    let place = Place {
                        stretch: Arc::clone(&stretch),
                        blob: entry.footer,
                        leaves: leaves.map(|(leaf, _)| leaf).collect(),
                    };
                    known.insert(segment_location(table, &segment.path).to_string(), place);
                }
            }
        }
        Footers { known }
    }

    /// A segment's footer, without its page index; none: the index does not have it.
    pub async fn footer(&self, path: &str, options: &ParquetMetaDataOptions) -> Option<ParquetMetaData> {
        match self.known.get(path) {
            Some(place) => place.footer(options).await,
            None => None,
        }
    }
}

impl Place {
    async fn footer(&self, options: &ParquetMetaDataOptions) -> Option<ParquetMetaData> {
        let bytes = self.stretch.footer(&self.blob).await?;
        // Decoding all statistics of hundreds of columns would cost more than reading them.
        let options = options
            .clone()
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_column_stats_policy(ParquetStatisticsPolicy::skip_except(&self.leaves));
        ParquetMetaDataReader::decode_metadata_with_options(&bytes, Some(&options)).ok()
    }
}

/// Footers that lie so near to one another that they are read together.
fn stretches<'a, 'b, T>(found: &'b [(T, &'a Entry, &'a Segment)]) -> Vec<&'b [(T, &'a Entry, &'a Segment)]> {
    let mut stretches = Vec::new();
    let mut from = 0;
    for at in 1..=found.len() {
        let ends = found.get(at).is_none_or(|(_, next, _)| {
            let (first, last) = (&found[from].1.footer, &found[at - 1].1.footer);
            next.footer.end() > first.start + STRETCH || next.footer.start > last.end() + GAP
        });
        if ends {
            stretches.push(&found[from..at]);
            from = at;
        }
    }
    stretches
}

/// Some footers of a month's index.
#[derive(Debug)]
struct Stretch {
    month: Arc<LoadedMonth>,
    range: Range<u64>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    bytes: Option<Bytes>,
    /// So many footers are still to come.
    left: usize,
    room: MemoryReservation,
}

impl Stretch {
    /// One footer; none: it cannot be read, or is not what was written.
    async fn footer(&self, blob: &Blob) -> Option<Bytes> {
        let mut held = self.held.lock().await;
        held.left = held.left.saturating_sub(1);
        if held.bytes.is_none() {
            let length = usize::try_from(self.range.end - self.range.start).ok()?;
            if held.left == 0 || held.room.try_grow(length).is_err() {
                drop(held);
                return self.month.object.blobs(&[blob]).await.ok()?.pop()?;
            }
            let bytes = self.month.object.stretch(self.range.clone()).await;
            held.bytes = bytes.inspect_err(|unusable| tracing::warn!(?unusable, "footers of an index")).ok();
        }
        let from = usize::try_from(blob.start - self.range.start).ok()?;
        let footer = held.bytes.as_ref().map(|bytes| bytes.slice(from..from + blob.length as usize));
        if held.left == 0 || held.bytes.is_none() {
            held.bytes = None;
            held.room.free();
        }
        drop(held);
        footer.filter(|footer| blob.is(footer))
    }
}

/// Opens segments for the Parquet reader.
pub struct IndexedReaders {
    pub footers: Footers,
    pub segments: CachedParquetFileReaderFactory,
}

impl ParquetFileReaderFactory for IndexedReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let place = self.footers.known.get(file.object_meta.location.as_ref()).cloned();
        let segment = self.segments.create_reader(partition, file, hint, metrics)?;
        Ok(match place {
            Some(place) => Box::new(IndexedReader { segment, place }),
            None => segment,
        })
    }
}

impl fmt::Debug for IndexedReaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexedReaders({})", self.footers.known.len())
    }
}

/// One segment whose footer is in the index.
struct IndexedReader {
    segment: Box<dyn AsyncFileReader + Send>,
    place: Place,
}

impl AsyncFileReader for IndexedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.segment.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.segment.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let asked = options.map(|options| options.metadata_options().clone()).unwrap_or_default();
            match self.place.footer(&asked).await {
                Some(footer) => Ok(Arc::new(footer)),
                None => self.segment.get_metadata(options).await,
            }
        }
        .boxed()
    }
}
