//! What a search takes from the needle index: which segments cannot hold what it looks for, and the footers of the others.
//!
//! Invariant: a segment is left out only if no row of it can satisfy the filters. An entry of the index counts only if path,
//! size and SHA-256 are the ledger's; a filter, only if its bytes are what was written, if all values of its column are in
//! the column itself (none in `_hf_rest`), and if the literal is of just the type that the column stores. What is missing,
//! damaged or too large for the memory of the search makes it open more segments, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::{Guarantee, LiteralGuarantee};
use futures::StreamExt;
use object_store::ObjectStore;
use parquet::bloom_filter::Sbbf;
use tokio::sync::Mutex;

use super::prune::conflicts;
use crate::archive::catalogue::{ColumnType, fold};
use crate::archive::index::{Blob, Entry, IndexObject, Physical, index_folder, index_location};
use crate::archive::schema::Column;
use crate::archive::table_path;
use crate::ledger::{Month, Segment};
use crate::names::TableName;

/// Months that are read at once.
const AT_ONCE: usize = 8;
/// Bytes of filters of a month that are held at once.
const PIECE: u64 = 2 << 20;

/// The index of one table, of which a query reads what it needs.
pub struct TableIndex {
    store: Arc<dyn ObjectStore>,
    table: TableName,
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    /// The index objects that there are, with their bytes; none: nobody has looked.
    listed: Option<BTreeMap<Month, u64>>,
    /// None inside: it says nothing.
    months: BTreeMap<Month, Option<Arc<LoadedMonth>>>,
}

/// One month's index, opened.
#[derive(Debug)]
pub struct LoadedMonth {
    pub object: IndexObject,
    _room: MemoryReservation,
}

/// The months of a query.
pub type Months = BTreeMap<Month, Arc<LoadedMonth>>;

impl TableIndex {
    pub fn new(store: Arc<dyn ObjectStore>, table: TableName) -> Self {
        TableIndex { store, table, read: Mutex::default() }
    }

    /// Opens the months of these segments, as far as there is an index of them and room in `pool`.
    pub async fn months(&self, segments: &[&Segment], pool: &Arc<dyn MemoryPool>) -> Months {
        let wanted: BTreeSet<Month> = segments.iter().map(|segment| Month::of(segment.day)).collect();
        let mut read = self.read.lock().await;
        let listed = match read.listed.take() {
            Some(listed) => listed,
            None => self.list().await,
        };
        let missing: Vec<(Month, u64)> = wanted
            .iter()
            .filter(|month| !read.months.contains_key(month))
            .filter_map(|month| Some((*month, *listed.get(month)?)))
            .collect();
        read.listed = Some(listed);
        let opening: Vec<_> = missing.into_iter().map(|(month, size)| self.open(month, size, pool)).collect();
        let opened: Vec<(Month, Option<Arc<LoadedMonth>>)> =
            futures::stream::iter(opening).buffer_unordered(AT_ONCE).collect().await;
        read.months.extend(opened);
        wanted.iter().filter_map(|month| Some((*month, Arc::clone(read.months.get(month)?.as_ref()?)))).collect()
    }

    async fn list(&self) -> BTreeMap<Month, u64> {
        let (folder, table) = (index_folder(&self.table), table_path(&self.table));
        let month = |path: &str| Month::of_index(path.strip_prefix(table.as_ref())?.strip_prefix('/')?);
        match self.store.list_with_delimiter(Some(&folder)).await {
            Ok(listed) => {
                listed.objects.iter().filter_map(|meta| Some((month(meta.location.as_ref())?, meta.size))).collect()
            }
            Err(error) => {
                tracing::warn!(table = %self.table, %error, "the index cannot be listed: segments are opened instead");
                BTreeMap::new()
            }
        }
    }

    async fn open(&self, month: Month, size: u64, pool: &Arc<dyn MemoryPool>) -> (Month, Option<Arc<LoadedMonth>>) {
        let opened = match IndexObject::open(Arc::clone(&self.store), index_location(&self.table, month), size).await {
            Ok(object) => {
                let room = MemoryConsumer::new("index").register(pool);
                let fits = room.try_grow(object.directory.memory()).is_ok();
                fits.then(|| Arc::new(LoadedMonth { object, _room: room }))
            }
            Err(unusable) => {
                tracing::warn!(table = %self.table, %month, ?unusable, "a month's index says nothing: segments are opened");
                None
            }
        };
        (month, opened)
    }
}

impl fmt::Debug for TableIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TableIndex({})", self.table)
    }
}

/// What the index says of a segment.
pub fn entry<'a>(months: &'a Months, segment: &Segment) -> Option<(&'a Arc<LoadedMonth>, &'a Entry)> {
    let month = months.get(&Month::of(segment.day))?;
    Some((month, month.object.directory.entry(segment)?))
}

/// A column and the values of which a row must have one there.
#[derive(Debug)]
pub struct Needle {
    column: String,
    values: Vec<Value>,
}

#[derive(Debug, PartialEq, Eq)]
enum Value {
    Bytes(Vec<u8>),
    Int32(i32),
    Int64(i64),
}

impl Value {
    /// The value as a column of this type stores it; none: it compares in another way.
    fn stored(literal: &ScalarValue, kind: ColumnType) -> Option<Self> {
        match (literal, kind) {
            (
                ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)),
                ColumnType::Text | ColumnType::Json,
            ) => Some(Value::Bytes(text.clone().into_bytes())),
            (ScalarValue::Int32(Some(number)), ColumnType::Int) => Some(Value::Int32(*number)),
            (ScalarValue::Int64(Some(number)), ColumnType::Long) => Some(Value::Int64(*number)),
            _ => None,
        }
    }

    /// False: no value of the filter's column is this one.
    fn may_be_in(&self, filter: &Sbbf, physical: Physical) -> bool {
        match (self, physical) {
            (Value::Bytes(bytes), Physical::Bytes) => filter.check(bytes.as_slice()),
            (Value::Int32(number), Physical::Int32) => filter.check(number),
            (Value::Int64(number), Physical::Int64) => filter.check(number),
            // Others wrote the file, in a type of theirs.
            _ => true,
        }
    }
}

/// What every row that `filter` accepts must have, as far as the filter says it plainly.
pub fn needles(filter: &Arc<dyn PhysicalExpr>, columns: &[Column]) -> Vec<Needle> {
    let needle = |guarantee: LiteralGuarantee| {
        let column = columns.iter().find(|column| column.name == guarantee.column.name)?;
        let values = guarantee.literals.iter().map(|literal| Value::stored(literal, column.kind));
        let values = values.collect::<Option<Vec<_>>>()?;
        (guarantee.guarantee == Guarantee::In).then(|| Needle { column: column.name.clone(), values })
    };
    LiteralGuarantee::analyze(filter).into_iter().filter_map(needle).collect()
}

/// The paths of those segments in which, as the index says, no row has what is looked for.
pub async fn without(months: &Months, segments: &[&Segment], needles: &[Needle]) -> BTreeSet<String> {
    let mut by_month: BTreeMap<Month, Vec<&Segment>> = BTreeMap::new();
    for segment in segments {
        by_month.entry(Month::of(segment.day)).or_default().push(segment);
    }
    // Collected before they are run: a closure within the stream would have to hold for any lifetimes.
    let mut looks = Vec::new();
    for (month, segments) in &by_month {
        if let Some(month) = months.get(month) {
            looks.push(without_in(month, segments, needles));
        }
    }
    let found: Vec<Vec<&str>> = futures::stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
    found.into_iter().flatten().map(str::to_owned).collect()
}

/// A filter to be looked into.
struct Question<'a> {
    segment: &'a str,
    needle: &'a Needle,
    physical: Physical,
    blob: Blob,
}

async fn without_in<'a>(month: &LoadedMonth, segments: &[&'a Segment], needles: &'a [Needle]) -> Vec<&'a str> {
    let directory = &month.object.directory;
    let (mut without, mut questions) = (BTreeSet::new(), Vec::new());
    for needle in needles {
        let asked = BTreeSet::from([fold(&needle.column)]);
        let column = directory.column(&needle.column);
        for segment in segments {
            let Some(entry) = directory.entry(segment).filter(|_| conflicts(segment, &asked).is_empty()) else {
                continue;
            };
            let Some(column) = column.filter(|column| entry.columns.contains(column)) else {
                // No row of it has a value there.
                without.insert(segment.path.as_str());
                continue;
            };
            if let Some(filter) = entry.filters.iter().find(|filter| filter.column == column) {
                let (physical, blob) = (filter.physical, filter.blob);
                questions.push(Question { segment: &segment.path, needle, physical, blob });
            }
        }
    }
    questions.retain(|question| !without.contains(question.segment));
    questions.sort_by_key(|question| question.blob.start);
    let mut rest = questions.as_slice();
    while let Some(first) = rest.first() {
        let end = first.blob.start + PIECE;
        let count = rest.iter().take_while(|question| question.blob.end() <= end).count().max(1);
        let (now, later) = rest.split_at(count);
        rest = later;
        let blobs: Vec<&Blob> = now.iter().map(|question| &question.blob).collect();
        let bits = match month.object.blobs(&blobs).await {
            Ok(bits) => bits,
            Err(unusable) => {
                tracing::warn!(?unusable, "filters of an index cannot be read: segments are opened");
                break;
            }
        };
        for (question, bits) in now.iter().zip(bits) {
            // Damaged bits, or none of a filter's form, say nothing.
            let Some(bits) = bits.filter(|bits| !bits.is_empty() && bits.len() % 32 == 0) else { continue };
            let filter = Sbbf::new(&bits);
            if !question.needle.values.iter().any(|value| value.may_be_in(&filter, question.physical)) {
                without.insert(question.segment);
            }
        }
    }
    without.into_iter().collect()
}
