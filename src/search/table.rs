//! A table of the archive as DataFusion reads it.
//!
//! The rows of a query come from up to three kinds of places: segments whose typed columns hold all values of the asked
//! columns (read straight from Parquet, with every filter pushed down), segments that have some of them in `_hf_rest`
//! (filters only leave out what no logical row can satisfy, see `relaxed`; then [`LogicalRows`]), and raw records, if they
//! were asked for. All give the same logical rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, ident};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use object_store::ObjectStore;

use super::exec::{LogicalExec, RawExec};
use super::footers::{Footers, IndexedReaders};
use super::index::{Months, TableIndex, entry, needles, without};
use super::logical::{LogicalRows, Uncast, sql_fields};
use super::prune::{Range, conflicts, days_since_1970, kept};
use super::raw::RawRows;
use crate::archive::catalogue::fold;
use crate::archive::schema::{Column, REST, SOURCE};
use crate::archive::{DAY, PART, segment_location};
use crate::ledger::Segment;
use crate::names::TableName;

/// Where DataFusion finds the archive.
pub const STORE_URL: &str = "holdfast://archive/";

/// Segments are read apart by which of their columns need `_hf_rest`; with more groups than this, all of them together.
const MOST_GROUPS: usize = 8;

/// A segment of no more rows has a page or few a column: too few to be told apart.
const FEW_ROWS: u64 = 20_000;

/// One table, for one query.
pub struct ArchiveTable {
    pub name: TableName,
    store: Arc<dyn ObjectStore>,
    columns: Vec<Column>,
    /// The time column's name.
    pub time: Option<String>,
    schema: SchemaRef,
    pub segments: Vec<Segment>,
    pub index: TableIndex,
    raw: Option<Arc<RawRows>>,
    pub uncast: Uncast,
    scanned: Mutex<Scanned>,
}

/// What the query's scans of one table chose to read.
#[derive(Debug, Clone, Default)]
pub struct Scanned {
    /// None: the query does not read the table at all.
    pub range: Option<Range>,
    /// By path.
    pub segments: BTreeMap<String, Segment>,
    /// The paths of those that must be opened: of the others the index says that nothing in them is looked for.
    pub opened: BTreeSet<String>,
    /// Columns that are read, as the files name them.
    pub columns: BTreeSet<String>,
}

impl ArchiveTable {
    /// `own` are the columns of Holdfast's own that the query names; others stay out of `SELECT *`.
    pub fn new(
        name: TableName,
        store: Arc<dyn ObjectStore>,
        columns: Vec<Column>,
        time: Option<String>,
        segments: Vec<Segment>,
        raw: Option<Arc<RawRows>>,
        own: &[&str],
    ) -> Self {
        let mut fields = sql_fields(&columns);
        fields.extend(own_fields().into_iter().filter(|field| own.contains(&field.name().as_str())));
        let (uncast, scanned) = (Uncast::default(), Mutex::default());
        let schema = Arc::new(Schema::new(fields));
        let index = TableIndex::new(Arc::clone(&store), name.clone());
        ArchiveTable { name, store, columns, time, schema, segments, index, raw, uncast, scanned }
    }

    pub fn scanned(&self) -> Scanned {
        self.scanned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn note(&self, range: Range, segments: &[&Segment], left_out: &BTreeSet<String>, columns: &BTreeSet<String>) {
        let mut scanned = self.scanned.lock().unwrap_or_else(PoisonError::into_inner);
        scanned.range = Some(scanned.range.map_or(range, |before| before.or(range)));
        scanned.segments.extend(segments.iter().map(|segment| (segment.path.clone(), (*segment).clone())));
        let opened = segments.iter().map(|segment| &segment.path).filter(|path| !left_out.contains(*path));
        scanned.opened.extend(opened.cloned());
        scanned.columns.extend(columns.iter().cloned());
    }

    /// Reads `fields` of the segments. `filter` may leave rows out.
    fn parquet(
        &self,
        state: &dyn Session,
        fields: &[&Field],
        segments: &[&Segment],
        months: &Months,
        filter: Option<&Expr>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let partition = |field: &Field| field.name() == DAY || field.name() == PART;
        let file: Vec<Field> = fields.iter().filter(|field| !partition(field)).map(|field| (*field).clone()).collect();
        let partitions = own_fields().into_iter().filter(partition).map(Arc::new).collect::<Vec<_>>();
        let schema = TableSchema::builder(Arc::new(Schema::new(file))).with_table_partition_cols(partitions).build();
        let whole = Arc::clone(schema.table_schema());
        let projection = fields.iter().map(|field| whole.index_of(field.name())).collect::<Result<Vec<_>, _>>()?;
        let mut options =
            TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..Default::default() };
        // Of a segment of few rows the index has told all that its own filters and page index could.
        let is_told = |segment: &&Segment| segment.digest.rows <= FEW_ROWS && entry(months, segment).is_some();
        if segments.iter().all(is_told) {
            (options.global.enable_page_index, options.global.bloom_filter_on_read) = (false, false);
        }
        let mut wanted: BTreeSet<String> = fields.iter().map(|field| field.name().clone()).collect();
        wanted.extend(filter.iter().flat_map(|filter| filter.column_refs()).map(|column| column.name.clone()));
        let runtime = state.runtime_env();
        let cached = runtime.cache_manager.get_file_metadata_cache();
        let readers = IndexedReaders {
            footers: Footers::of(months, &self.name, segments, &wanted, &runtime.memory_pool),
            segments: CachedParquetFileReaderFactory::new(Arc::clone(&self.store), cached),
        };
        let mut source = ParquetSource::new(schema)
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(readers));
        if let Some(filter) = filter {
            let physical = state.create_physical_expr(filter.clone(), &DFSchema::try_from(whole)?)?;
            source = source.with_predicate(physical);
        }
        let partitions = state.config().target_partitions().clamp(1, segments.len().max(1));
        let mut groups = vec![Vec::new(); partitions];
        for (at, segment) in segments.iter().enumerate() {
            groups[at % partitions].push(self.file(segment));
        }
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE_URL)?, Arc::new(source))
            .with_file_groups(groups.into_iter().map(FileGroup::new).collect())
            .with_projection_indices(Some(projection))?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn file(&self, segment: &Segment) -> PartitionedFile {
        PartitionedFile::new(segment_location(&self.name, &segment.path).to_string(), segment.bytes)
            .with_partition_values(vec![
                ScalarValue::Date32(Some(days_since_1970(segment.day))),
                ScalarValue::Utf8(Some(segment.part.clone())),
            ])
    }
}

#[async_trait]
impl TableProvider for ArchiveTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Scans see all filters, and the plan above filters again what they let through.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let output = Arc::new(match projection {
            Some(projection) => self.schema.project(projection)?,
            None => self.schema.as_ref().clone(),
        });
        let mut needed: BTreeSet<String> = output.fields().iter().map(|field| field.name().clone()).collect();
        filters.iter().for_each(|filter| needed.extend(filter.column_refs().iter().map(|column| column.name.clone())));
        let folded: BTreeSet<String> = needed.iter().map(|name| fold(name)).collect();

        let own = own_fields().into_iter().filter(|field| self.schema.index_of(field.name()).is_err());
        let known: Vec<_> = self.schema.fields().iter().cloned().chain(own.map(Arc::new)).collect();
        let known = Arc::new(Schema::new(known));
        let filter = match conjunction(filters.to_vec()) {
            Some(filter) => Some(state.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(&known))?)?),
            None => None,
        };
        let mut segments = kept(&self.segments, filter.as_ref(), &known, self.time.as_deref());
        let months = self.index.months(&segments, &state.runtime_env().memory_pool).await;
        let needles = filter.as_ref().map(|filter| needles(filter, &self.columns)).unwrap_or_default();
        let left_out = without(&months, &segments, &needles).await;
        self.note(Range::asked(filters, self.time.as_deref()), &segments, &left_out, &needed);
        segments.retain(|segment| !left_out.contains(&segment.path));

        let mut clean = Vec::new();
        let mut mixed: BTreeMap<BTreeSet<String>, Vec<&Segment>> = BTreeMap::new();
        for segment in segments {
            match conflicts(segment, &folded) {
                none if none.is_empty() => clean.push(segment),
                some => mixed.entry(some).or_default().push(segment),
            }
        }
        if mixed.len() > MOST_GROUPS {
            let columns = mixed.keys().flatten().cloned().collect();
            mixed = BTreeMap::from([(columns, mixed.into_values().flatten().collect())]);
        }
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !clean.is_empty() {
            let fields: Vec<&Field> = output.fields().iter().map(AsRef::as_ref).collect();
            inputs.push(self.parquet(state, &fields, &clean, &months, None, limit)?);
        }
        for (conflicts, segments) in mixed {
            let rest = own_fields().into_iter().find(|field| field.name() == REST);
            let asked = output.fields().iter().map(AsRef::as_ref).filter(|field: &&Field| field.name() != REST);
            let fields: Vec<&Field> = asked.chain(&rest).collect();
            let relaxed = conjunction(filters.iter().map(|filter| relaxed(filter, &conflicts)));
            let typed = self.parquet(state, &fields, &segments, &months, relaxed.as_ref(), None)?;
            let rows = LogicalRows::new(&output, &self.columns, self.uncast.clone());
            inputs.push(Arc::new(LogicalExec::new(typed, rows)));
        }
        if let Some(raw) = &self.raw {
            inputs.push(Arc::new(RawExec::new(Arc::clone(raw), Arc::clone(&output), self.uncast.clone())));
        }
        match inputs.len() {
            0 => Ok(Arc::new(EmptyExec::new(output))),
            1 => Ok(inputs.remove(0)),
            _ => UnionExec::try_new(inputs),
        }
    }
}

/// A filter that keeps every row which `filter` could accept, judged by typed columns alone: where the column of a
/// conflict is null, its value may be in `_hf_rest`.
fn relaxed(filter: &Expr, conflicts: &BTreeSet<String>) -> Expr {
    let mut columns: Vec<String> = filter.column_refs().iter().map(|column| column.name.clone()).collect();
    columns.sort();
    columns
        .into_iter()
        .filter(|name| conflicts.contains(&fold(name)))
        .fold(filter.clone(), |filter, name| filter.or(ident(name).is_null()))
}

/// The columns of Holdfast's own, as SQL knows them.
pub fn own_fields() -> [Field; 4] {
    [
        Field::new(SOURCE, DataType::Utf8View, true),
        Field::new(REST, DataType::Utf8View, true),
        Field::new(DAY, DataType::Date32, true),
        Field::new(PART, DataType::Utf8, true),
    ]
}

impl fmt::Debug for ArchiveTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArchiveTable({})", self.name)
    }
}
