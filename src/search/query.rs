//! One query: from its text to a plan over the archive, and its rows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::common::TableReference;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use datafusion::sql::parser::Statement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast;
use futures::{Future, StreamExt};
use jiff::Timestamp;
use url::Url;

use super::answer::{Answer, Cut, TableAnswer};
use super::compare::AsMeant;
use super::dialect::parser;
use super::errors::{failed, no_such_table, not_a_select, which_one};
use super::estimate::{Estimate, of_table as estimate_of};
use super::headings;
use super::names::Words;
use super::opened::{Opened, Searched, open};
use super::table::{STORE_URL, own_fields};
use super::unseen::Listed;
use crate::archive::catalogue;
use crate::error::{Error, Kind, Result};
use crate::ledger::State;
use crate::names::TableName;
use crate::policy::Rule;
use crate::storage::Store;

/// What is searched.
#[expect(missing_debug_implementations, reason = "it lends a closure")]
pub struct Site<'a> {
    pub archive: &'a Store,
    pub state: &'a State,
    /// The rule of a table, if one names it.
    pub rule: &'a dyn Fn(&TableName) -> Option<Rule>,
    /// What `now()` is.
    pub now: Timestamp,
    /// What a search may take, in bytes.
    pub memory: u64,
    pub threads: usize,
    /// Tables that were opened beforehand.
    pub opened: Opened,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct SearchRequest {
    pub sql: String,
    /// The most rows to give.
    pub limit: Option<u64>,
}

/// A planned query.
pub struct Query {
    context: SessionContext,
    plan: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    tables: Vec<Searched>,
    archive: Store,
    limit: Option<u64>,
    every_column: bool,
}

impl Query {
    /// Plans a query. With `raw` its tables hold the raw records of these too.
    pub fn plan(site: &Site<'_>, request: &SearchRequest, raw: Option<&Listed>) -> Result<Self> {
        let context = session(site.archive, site.memory, site.threads)?;
        let words = Words::of(&request.sql)?;
        let mut tables: BTreeMap<String, Searched> = BTreeMap::new();
        for reference in references(&statement(&words.spelled([]))?)? {
            let name = resolve(site, &reference, raw)?;
            if let Entry::Vacant(place) = tables.entry(name.key()) {
                place.insert(open(site, &name, &words, raw)?);
            }
        }
        let own = own_fields();
        let columns = tables.values().flat_map(|one| one.table.columns()).map(|column| column.name.as_str());
        let sql = words.spelled(columns.chain(own.iter().map(|field| field.name().as_str())));
        let mut parsed = statement(&sql)?;
        let every_column = headings::as_typed(&mut parsed);
        for reference in references(&parsed)? {
            let name = resolve(site, &reference, raw)?;
            make_room(&context, &reference).map_err(|error| failed(error, &request.sql))?;
            if let Some(searched) = tables.get(&name.key()) {
                context
                    .register_table(reference, Arc::clone(&searched.table) as _)
                    .map_err(|error| failed(error, &request.sql))?;
            }
        }
        let state = state_at(&context, site.now);
        let planned = site.archive.wait(async {
            let logical = state.statement_to_plan(parsed).await?;
            let mut frame = headings::apart(DataFrame::new(state, logical))?;
            if let Some(limit) = request.limit {
                // One more tells whether there are more.
                frame = frame.limit(0, Some(usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1)))?;
            }
            let schema = Arc::new(frame.schema().as_arrow().clone());
            Ok((frame.create_physical_plan().await?, schema))
        });
        let (plan, schema) = planned.map_err(|error| failed(error, &request.sql))?;
        let tables = tables.into_values().collect();
        let archive = site.archive.clone();
        Ok(Query { context, plan, schema, tables, archive, limit: request.limit, every_column })
    }

    /// The columns of the result.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// True if it asks for `*`, be it hundreds of columns.
    pub fn asks_for_every_column(&self) -> bool {
        self.every_column
    }

    /// What the query would read.
    pub fn estimate(&self) -> Result<Estimate> {
        let (store, pool) = (self.archive.inner(), &self.context.runtime_env().memory_pool);
        let tables = self.archive.wait(async {
            let mut tables = Vec::with_capacity(self.tables.len());
            for searched in &self.tables {
                let raw_bytes = searched.raw_bytes();
                tables.push(estimate_of(&store, &searched.table, raw_bytes, pool).await?);
            }
            Ok::<_, Error>(tables)
        })?;
        Ok(Estimate { bytes: tables.iter().map(|table| table.bytes).sum(), tables })
    }

    /// How DataFusion goes about it, for the curious.
    pub fn steps(&self) -> String {
        datafusion::physical_plan::displayable(self.plan.as_ref()).indent(false).to_string()
    }

    /// Gives the rows, batch after batch, until they end, `stop` comes, or nobody takes them any more (`take` says `false`). Says how
    /// many rows were given, and what cut them short.
    pub fn rows(
        &self,
        stop: impl Future<Output = Cut>,
        take: &mut dyn FnMut(&RecordBatch) -> Result<bool>,
    ) -> Result<(u64, Option<Cut>)> {
        let limit = self.limit.unwrap_or(u64::MAX);
        let answered = |error| failed(error, "");
        let mut stream = {
            let _inside = self.archive.enter();
            execute_stream(Arc::clone(&self.plan), self.context.task_ctx()).map_err(answered)?
        };
        self.archive.wait(async {
            let mut stop = std::pin::pin!(stop);
            let mut rows = 0;
            loop {
                let next = tokio::select! {
                    biased;
                    cut = &mut stop => return Ok((rows, Some(cut))),
                    next = stream.next() => next,
                };
                let Some(batch) = next.transpose().map_err(answered)? else { return Ok((rows, None)) };
                let room = limit - rows;
                let given = (batch.num_rows() as u64).min(room);
                rows += given;
                let whole = given == batch.num_rows() as u64;
                let wanted = take(&if whole { batch } else { batch.slice(0, given as usize) })?;
                if !whole {
                    return Ok((rows, Some(Cut::Rows)));
                }
                if !wanted {
                    return Ok((rows, Some(Cut::Closed)));
                }
            }
        })
    }

    /// What the answer lacks, as far as it is known before a row is read.
    pub fn answer(&self, site: &Site<'_>, listed: &Listed, rows: u64, cut: Option<Cut>) -> Answer {
        let tables: Vec<TableAnswer> = self.tables.iter().map(|searched| searched.answer(site, listed)).collect();
        let complete = cut.is_none() && tables.iter().all(TableAnswer::is_whole);
        Answer { rows, complete, cut, tables }
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({:?})", self.tables)
    }
}

/// A session that knows the archive, SQL's functions and JSON's, and no file system.
pub(super) fn session(archive: &Store, memory: u64, threads: usize) -> Result<SessionContext> {
    let internal = |error| Error::from_source(Kind::Internal, "starting the query engine", error);
    let mut config = SessionConfig::new().with_target_partitions(threads.max(1)).with_information_schema(false);
    let options = config.options_mut();
    options.sql_parser.enable_ident_normalization = false;
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.reorder_filters = true;
    options.execution.time_zone = Some("UTC".into());
    let memory = usize::try_from(memory).unwrap_or(usize::MAX);
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(memory, 1.0).build_arc().map_err(internal)?;
    let url = Url::parse(STORE_URL)
        .map_err(|source| Error::from_source(Kind::Internal, "naming the archive for the query engine", source))?;
    runtime.register_object_store(&url, archive.inner());
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(AsMeant)];
    rules.extend(Analyzer::new().rules);
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_analyzer_rules(rules)
        .build();
    let mut context = SessionContext::new_with_state(state);
    datafusion_functions_json::register_all(&mut context).map_err(internal)?;
    Ok(context)
}

/// The session, at an instant: time is an argument (I8), `now()` too.
pub(super) fn state_at(context: &SessionContext, now: Timestamp) -> SessionState {
    let mut state = context.state();
    let at = chrono::DateTime::from_timestamp(now.as_second(), now.subsec_nanosecond().unsigned_abs());
    state.execution_props_mut().query_execution_start_time = at;
    state
}

/// Parses a query: one statement, and one that only reads.
fn statement(sql: &str) -> Result<Statement> {
    let mut parsed =
        parser(sql).and_then(|mut parser| parser.parse_statements()).map_err(|error| failed(error, sql))?;
    let first = parsed.pop_front();
    match first {
        _ if !parsed.is_empty() => Err(Error::new(Kind::Usage, "reading the query", "it is more than one")
            .with_hint("`search` takes one SELECT; ask the others one by one")),
        Some(Statement::Statement(statement)) if matches!(statement.as_ref(), ast::Statement::Query(_)) => {
            Ok(Statement::Statement(statement))
        }
        _ => Err(Error::new(Kind::Usage, "reading the query", "it does not read: `search` takes one SELECT")
            .with_hint(not_a_select(sql))),
    }
}

/// Makes the place in SQL's tree where a reference will look.
fn make_room(context: &SessionContext, reference: &TableReference) -> datafusion::error::Result<()> {
    let state = context.state();
    let default = &state.config_options().catalog.default_catalog;
    let catalog = reference.catalog().unwrap_or(default);
    let catalogs = state.catalog_list();
    if catalogs.catalog(catalog).is_none() {
        catalogs.register_catalog(catalog.to_owned(), Arc::new(MemoryCatalogProvider::new()));
    }
    if let (Some(catalog), Some(schema)) = (catalogs.catalog(catalog), reference.schema())
        && catalog.schema(schema).is_none()
    {
        catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
    }
    Ok(())
}

fn references(statement: &Statement) -> Result<Vec<TableReference>> {
    let (tables, _) = resolve_table_references(statement, false).map_err(|error| failed(error, ""))?;
    Ok(tables)
}

/// The tables that a query names; nothing of them is read. With `raw` those that lie raw only are known too.
pub fn tables_of(site: &Site<'_>, sql: &str, raw: Option<&Listed>) -> Result<Vec<TableName>> {
    let mut tables: Vec<TableName> = Vec::new();
    for reference in references(&statement(&Words::of(sql)?.spelled([]))?)? {
        let name = resolve(site, &reference, raw)?;
        if !tables.contains(&name) {
            tables.push(name);
        }
    }
    Ok(tables)
}

/// The table that a query means: `Table`, or `workspace.Table`.
fn resolve(site: &Site<'_>, reference: &TableReference, raw: Option<&Listed>) -> Result<TableName> {
    let mut known: Vec<TableName> = site.state.tables.values().map(|table| table.name.clone()).collect();
    if let Some(listed) = raw {
        let more = listed.waiting.iter().map(|waiting| &waiting.planned.object.table);
        for name in more.chain(site.state.quarantine.iter().map(|one| &one.file.table)) {
            if !known.contains(name) {
                known.push(name.clone());
            }
        }
    }
    // `AWS.CloudTrail` is a table in a workspace, or a table with a dot in its name.
    let written = [reference.catalog(), reference.schema(), Some(reference.table())];
    let written = catalogue::fold(&written.into_iter().flatten().collect::<Vec<_>>().join("."));
    let means = |name: &&TableName| {
        let (table, whole) =
            (catalogue::fold(&name.table), catalogue::fold(&format!("{}.{}", name.workspace, name.table)));
        table == written || whole == written
    };
    let found: Vec<&TableName> = known.iter().filter(means).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(no_such_table(reference, &known, raw.is_some())),
        several => Err(which_one(reference, several)),
    }
}
