//! One Delta table of the archive: opened, committed to, checkpointed.
//!
//! A commit comes from a snapshot taken before `prepared` and is never rebased; after it, whatever the answer was, the
//! table is opened again and looked at (DESIGN §7). Nothing here deletes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, Metadata, MetadataExt, Protocol, Remove, StructType, Transaction};
use deltalake_core::logstore::{LogStoreRef, default_logstore};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError};
use jiff::Timestamp;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use serde_json::{Value, json};
use url::Url;

use super::catalogue;
use super::schema::{DAY, PART, TableSchema};
use crate::error::{Error, Kind, Result};
use crate::ledger::{CommittedTable, Head, Segment, TableDetail, log_version, sha256_hex};
use crate::names::TableName;
use crate::storage::Store;

/// The key under which our commits name their batch and the ledger's head.
const COMMIT_KEY: &str = "holdfast";

/// A table's folder in the archive.
pub fn table_path(table: &TableName) -> Path {
    Path::from_iter(["tables", &table.workspace, &table.table])
}

/// A segment's place in the archive.
pub fn segment_location(table: &TableName, path: &str) -> Path {
    path.split('/').fold(table_path(table), |folder, segment| folder.join(segment))
}

/// The path of a segment, relative to its table: it carries the batch, so that what was never committed can be told.
pub fn segment_path(day: jiff::civil::Date, part: &str, batch: &str, number: usize) -> String {
    format!("_hf_day={day}/_hf_part={part}/{batch}-{number:05}.parquet")
}

/// A table as its newest snapshot shows it; `None` inside: there is no such table yet.
pub struct Table {
    name: TableName,
    archive: Store,
    delta: Option<DeltaTable>,
}

impl Table {
    /// Opens the newest snapshot.
    pub fn open(archive: &Store, name: &TableName) -> Result<Self> {
        let log = table_path(name).join("_delta_log");
        let exists = archive.list_folder(Some(&log))?.iter().any(|meta| log_version(meta.location.as_ref()).is_some());
        let mut table = Table { name: name.clone(), archive: archive.clone(), delta: None };
        if exists {
            let mut delta = DeltaTable::new(table.log_store()?);
            archive.wait(async { delta.load().await }).map_err(|error| table.failed("opening", error))?;
            table.delta = Some(delta);
        }
        Ok(table)
    }

    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// The snapshot's version; none: there is no table.
    pub fn version(&self) -> Option<u64> {
        self.delta.as_ref().and_then(DeltaTable::version)
    }

    /// The Delta schema of the snapshot.
    pub fn schema(&self) -> Result<Option<StructType>> {
        let Some(delta) = &self.delta else { return Ok(None) };
        let snapshot = delta.snapshot().map_err(|error| self.failed("reading the schema of", error))?;
        Ok(Some(snapshot.schema().as_ref().clone()))
    }

    /// The columns of a table that must be there, since the ledger knows it.
    pub fn known_schema(&self) -> Result<TableSchema> {
        let delta = self.schema()?.ok_or_else(|| {
            let reason = "the ledger knows it, but it is not there";
            Error::new(Kind::Damaged, format!("opening the table {}", self.name), reason)
                .with_hint("`holdfast verify` says what else is missing")
        })?;
        TableSchema::from_delta(catalogue::find(&self.name.table), &delta)
    }

    /// The paths in the snapshot, relative to the table, with their sizes in bytes.
    pub fn files(&self) -> Result<HashMap<String, u64>> {
        let Some(delta) = &self.delta else { return Ok(HashMap::new()) };
        let snapshot = delta.snapshot().map_err(|error| self.failed("listing", error))?;
        Ok(snapshot
            .log_data()
            .iter()
            .map(|file| (file.path().into_owned(), u64::try_from(file.size()).unwrap_or_default()))
            .collect())
    }

    /// The paths in the snapshot, relative to the archive.
    pub fn live(&self) -> Result<HashSet<String>> {
        let prefix = table_path(&self.name);
        Ok(self.files()?.into_keys().map(|path| format!("{prefix}/{path}")).collect())
    }

    /// Commits a prepared batch on top of this snapshot and looks at what is there now.
    pub fn commit(
        &self,
        detail: &TableDetail,
        batch: &str,
        seq: u64,
        archive_id: &str,
        witness: &Head,
        now: Timestamp,
    ) -> Result<CommittedTable> {
        let version = self.version().map_or(0, |version| version + 1);
        let answer = self.try_commit(detail, batch, seq, archive_id, witness, now);
        match self.committed(batch, version)? {
            Some(committed) => Ok(committed),
            None => Err(answer.err().unwrap_or_else(|| {
                Error::new(
                    Kind::Store,
                    format!("committing to {}", self.name),
                    "the store took the commit, but it is not there",
                )
            })),
        }
    }

    /// Our commit of `batch` at `version`, if that is what stands there.
    pub fn committed(&self, batch: &str, version: u64) -> Result<Option<CommittedTable>> {
        let path = commit_path(&self.name, version);
        let Some(bytes) = self.archive.get(&path)? else { return Ok(None) };
        let ours = commit_info(&bytes).is_some_and(|info| info[COMMIT_KEY]["batch"] == batch);
        Ok(ours.then(|| CommittedTable { table: self.name.clone(), version, sha256: sha256_hex(&bytes) }))
    }

    /// Writes a checkpoint of this snapshot. Gives its SHA-256.
    pub fn checkpoint(&self) -> Result<Option<(u64, String)>> {
        let (Some(delta), Some(version)) = (&self.delta, self.version()) else { return Ok(None) };
        self.archive
            .wait(deltalake_core::checkpoints::create_checkpoint(delta, None))
            .map_err(|error| self.failed("writing a checkpoint of", error))?;
        let path = checkpoint_path(&self.name, version);
        let bytes = self.archive.get(&path)?.ok_or_else(|| {
            Error::new(
                Kind::Store,
                format!("reading {}", self.archive.describe(&path)),
                "it was just written, but is not there",
            )
        })?;
        Ok(Some((version, sha256_hex(&bytes))))
    }

    fn try_commit(
        &self,
        detail: &TableDetail,
        batch: &str,
        seq: u64,
        archive_id: &str,
        witness: &Head,
        now: Timestamp,
    ) -> Result<()> {
        let failed = |error: DeltaTableError| self.failed("committing to", error);
        let app_id = format!("holdfast/{archive_id}");
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        let snapshot = self.delta.as_ref().map(|delta| delta.snapshot()).transpose().map_err(failed)?;
        let log_store = self.log_store()?;
        if let Some(snapshot) = snapshot {
            let last = self.archive.wait(snapshot.transaction_version(log_store.as_ref(), &app_id)).map_err(failed)?;
            if last.is_some_and(|last| last >= seq) {
                return Err(Error::new(
                    Kind::Fenced,
                    format!("committing to {}", self.name),
                    "the table already has a later commit of this archive",
                ));
            }
        }
        let mut actions = Vec::with_capacity(detail.adds.len() + detail.removes.len() + 2);
        if let Some(schema) = &detail.schema {
            let schema: StructType = serde_json::from_str(schema).map_err(|source| {
                Error::from_source(Kind::Internal, format!("reading the new schema of {}", self.name), source)
            })?;
            match snapshot {
                None => {
                    actions.push(Action::Protocol(protocol()?));
                    actions.push(Action::Metadata(self.new_metadata(&schema, archive_id, now)?));
                }
                Some(snapshot) => {
                    actions.push(Action::Metadata(
                        snapshot.metadata().clone().with_schema(&schema).map_err(|error| failed(error.into()))?,
                    ));
                }
            }
        }
        // A merge puts the same rows into other files: readers of changes need not look.
        let data_change = detail.adds.is_empty() || detail.removes.is_empty();
        actions.extend(detail.removes.iter().map(|path| Action::Remove(remove(path, data_change))));
        let time_column = self.time_column(snapshot, detail);
        actions
            .extend(detail.adds.iter().map(|segment| Action::Add(add(segment, time_column.clone(), data_change, now))));
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false))
            .with_application_transaction(Transaction::new(app_id, seq))
            .with_metadata([(COMMIT_KEY.to_owned(), json!({ "batch": batch, "ledger": witness }))]);
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![DAY.into(), PART.into()]),
            predicate: None,
        };
        let table = snapshot.map(|snapshot| snapshot as _);
        self.archive
            .wait(async {
                CommitBuilder::from(properties).with_actions(actions).build(table, log_store, operation).await
            })
            .map(|_| ())
            .map_err(failed)
    }

    /// The time column's name, which the schema marks.
    fn time_column(
        &self,
        snapshot: Option<&deltalake_core::table::state::DeltaTableState>,
        detail: &TableDetail,
    ) -> Option<String> {
        let named = |schema: &StructType| {
            schema
                .fields()
                .find(|field| field.metadata().contains_key("holdfast.time"))
                .map(|field| field.name().clone())
        };
        match &detail.schema {
            Some(schema) => serde_json::from_str::<StructType>(schema).ok().as_ref().and_then(named),
            None => snapshot.and_then(|snapshot| named(snapshot.schema().as_ref())),
        }
    }

    fn new_metadata(&self, schema: &StructType, archive_id: &str, now: Timestamp) -> Result<Metadata> {
        let schema = serde_json::to_string(schema).map_err(|source| {
            Error::from_source(Kind::Internal, format!("writing the schema of {}", self.name), source)
        })?;
        from_json(json!({
            "id": format!("{archive_id}/{}", self.name.key()),
            "name": self.name.table,
            "description": null,
            "format": { "provider": "parquet", "options": {} },
            "schemaString": schema,
            "partitionColumns": [DAY, PART],
            "configuration": {
                "delta.enableExpiredLogCleanup": "false",
                "delta.dataSkippingNumIndexedCols": "0",
                "holdfast.archive": archive_id,
                "holdfast.workspace": self.name.workspace,
            },
            "createdTime": now.as_millisecond(),
        }))
    }

    fn log_store(&self) -> Result<LogStoreRef> {
        let prefix = table_path(&self.name);
        // The library resolves paths below the root store by this URL. It must not be `file`: that would be looked for on
        // the disk itself.
        let url = Url::parse(&format!("holdfast:///{prefix}/"))
            .map_err(|source| Error::from_source(Kind::Internal, format!("naming the table {}", self.name), source))?;
        let root = self.archive.inner();
        let table = Arc::new(PrefixStore::new(Arc::clone(&root), prefix));
        Ok(default_logstore(table, root, &url, &deltalake_core::logstore::StorageConfig::default()))
    }

    fn failed(&self, act: &str, error: DeltaTableError) -> Error {
        let kind = match &error {
            DeltaTableError::ObjectStore { .. } | DeltaTableError::Io { .. } => Kind::Store,
            error if chain_has_store_error(error) => Kind::Store,
            _ => Kind::Damaged,
        };
        Error::from_source(kind, format!("{act} the Delta table {}", self.name), error)
            .with_hint("nothing is cleared from or destroyed in this table until it can be read; run `holdfast verify`")
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Table({} at {:?})", self.name, self.version())
    }
}

/// The commit file of a version, in the archive.
pub fn commit_path(table: &TableName, version: u64) -> Path {
    table_path(table).join("_delta_log").join(format!("{version:020}.json"))
}

/// The checkpoint file of a version, in the archive.
pub fn checkpoint_path(table: &TableName, version: u64) -> Path {
    table_path(table).join("_delta_log").join(format!("{version:020}.checkpoint.parquet"))
}

/// The ledger head that one of our commits witnessed.
pub fn witness_of(commit: &[u8]) -> Option<Head> {
    serde_json::from_value(commit_info(commit)?[COMMIT_KEY]["ledger"].take()).ok()
}

fn commit_info(commit: &[u8]) -> Option<Value> {
    commit
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .find_map(|mut action| action.get_mut("commitInfo").map(Value::take))
}

fn chain_has_store_error(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(store) = error.downcast_ref::<object_store::Error>() {
            return !matches!(store, object_store::Error::NotFound { .. });
        }
        next = error.source();
    }
    false
}

fn protocol() -> Result<Protocol> {
    from_json(json!({ "minReaderVersion": 1, "minWriterVersion": 2 }))
}

fn from_json<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|source| Error::from_source(Kind::Internal, "writing a Delta action", source))
}

/// Statistics hold the number of rows and the times, so that no value of a destroyed row lingers in a log (DESIGN §6).
fn add(segment: &Segment, time_column: Option<String>, data_change: bool, now: Timestamp) -> Add {
    let mut stats = json!({ "numRecords": segment.digest.rows });
    if let (Some((first, last)), Some(name)) = (segment.times, time_column) {
        // Delta compares at milliseconds: round outwards.
        let millis = |micros: i64| Timestamp::from_microsecond(micros).map(|time| format!("{time:.3}")).ok();
        if let (Some(first), Some(last)) =
            (millis(first.div_euclid(1000) * 1000), millis(last.div_euclid(1000) * 1000 + 1000))
        {
            stats["minValues"] = json!({ &name: first });
            stats["maxValues"] = json!({ &name: last });
            stats["nullCount"] = json!({ name: 0 });
        }
    }
    Add {
        path: segment.path.clone(),
        partition_values: HashMap::from([
            (DAY.to_owned(), Some(segment.day.to_string())),
            (PART.to_owned(), Some(segment.part.clone())),
        ]),
        size: i64::try_from(segment.bytes).unwrap_or(i64::MAX),
        modification_time: now.as_millisecond(),
        data_change,
        stats: Some(stats.to_string()),
        tags: Some(HashMap::from([("holdfast.sha256".to_owned(), Some(segment.sha256.clone()))])),
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

/// No time of deletion: a checkpoint then leaves the path out at once, so that it names nothing that is destroyed later. The
/// ledger knows what was retired.
fn remove(path: &str, data_change: bool) -> Remove {
    Remove {
        path: path.to_owned(),
        data_change,
        deletion_timestamp: None,
        extended_file_metadata: None,
        partition_values: None,
        size: None,
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
    }
}
