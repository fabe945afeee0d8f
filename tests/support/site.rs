//! A whole installation in a temporary folder, for stories: sources, policies, an archive and its ledger.
//!
//! What a story does not say is the default here: one source `collector` (layout [`LAYOUT`], workspace `main`, no
//! settle), one policy for all tables, nothing armed, 256 MiB. Ids are counted and time is passed, so that the same
//! story writes the same archive. Each run opens everything anew, as a process would.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::Array;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use holdfast::archive::{QuarantineItem, read_bytes, read_items};
use holdfast::error::Result;
use holdfast::ledger::{Armed, Chain, LocalLease};
use holdfast::names::TableName;
use holdfast::pipeline::{self, Context, Request, RunReport, Source, Unwatched};
use holdfast::policy::{PolicyFile, PolicySet};
use holdfast::restore::{Manifest, RecordSink, RestoreRequest, restore};
use holdfast::search::Listed;
use holdfast::settings::{Settings, StoreOptions, Window};
use holdfast::source::Layout;
use holdfast::storage::{Missing, Store, open};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;

/// The layout of the default source.
pub const LAYOUT: &str = "{table}/{year}/{month}/{day}/{hour}/*";

/// All tables: archived as soon as their period is over, raw kept for a week.
pub const POLICY: &str = r#"
version = 1
[defaults]
archive_after = "0d"
retain = "730d"
"#;

/// The same, but raw objects are cleared by the run that archives them.
pub const POLICY_AT_ONCE: &str = r#"
version = 1
[defaults]
archive_after = "0d"
keep_raw = "0d"
retain = "730d"
"#;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap())
}

/// In memory where there is such a folder: what reaches a disk is not told here.
fn temporary_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory).unwrap() } else { TempDir::new().unwrap() }
}

/// One installation.
pub struct Site {
    folder: TempDir,
    ids: Arc<AtomicU64>,
    sources: Vec<SourceOf>,
    /// The one policy file, `policy.toml`: a story may write another between two runs.
    pub policies: String,
    /// `[schedule] cron` of the settings that commands read.
    pub schedule: Option<String>,
    pub armed: Armed,
    /// `[delete] window`, in UTC.
    pub window: Option<Window>,
    pub approvers: u8,
    /// The store's clock less the host's.
    pub apart: Option<SignedDuration>,
    /// False: `--as-of` may not lie beyond the host's clock.
    pub simulation: bool,
    /// Bytes.
    pub memory: u64,
    pub threads: usize,
}

struct SourceOf {
    name: String,
    workspace: String,
    layout: String,
    settle: SignedDuration,
    /// More lines of its settings.
    keys: String,
}

impl SourceOf {
    /// Its block in the settings.
    fn block(&self) -> String {
        let SourceOf { name, workspace, layout, settle, keys } = self;
        format!(
            "[[source]]\nname = \"{name}\"\nurl = \"{name}\"\nworkspace = \"{workspace}\"\nlayout = \"{layout}\"\n\
             settle = \"{}s\"\n{keys}\n",
            settle.as_secs()
        )
    }

    fn layout(&self) -> Layout {
        let text = format!("archive = \"/archive\"\n{}", self.block());
        Layout::of(&Settings::parse(&text, Path::new("/site")).unwrap().sources[0]).unwrap()
    }
}

impl Site {
    pub fn new() -> Self {
        let site = Site {
            folder: temporary_folder(),
            ids: Arc::new(AtomicU64::new(0)),
            sources: Vec::new(),
            policies: POLICY.to_owned(),
            schedule: None,
            armed: Armed::default(),
            window: None,
            approvers: 1,
            apart: None,
            simulation: true,
            memory: 256 << 20,
            threads: 2,
        };
        site.with_source("collector", "main", LAYOUT)
    }

    /// Only this policy.
    pub fn with_policy(mut self, text: &str) -> Self {
        self.policies = text.to_owned();
        self
    }

    /// Another layout for the default source.
    pub fn with_layout(mut self, layout: &str) -> Self {
        self.sources[0].layout = layout.to_owned();
        self
    }

    /// More lines in the settings of the default source.
    pub fn with_keys(mut self, keys: &str) -> Self {
        self.sources[0].keys = keys.to_owned();
        self
    }

    /// One more source, in a folder of its name.
    pub fn with_source(mut self, name: &str, workspace: &str, layout: &str) -> Self {
        fs::create_dir_all(self.folder.path().join(name)).unwrap();
        let (name, workspace, layout) = (name.to_owned(), workspace.to_owned(), layout.to_owned());
        self.sources.push(SourceOf { name, workspace, layout, settle: SignedDuration::ZERO, keys: String::new() });
        self
    }

    /// The default source leaves alone what was modified less than this before `now`.
    pub fn with_settle(mut self, settle: SignedDuration) -> Self {
        self.sources[0].settle = settle;
        self
    }

    /// Raw objects are cleared, and at once ([`POLICY_AT_ONCE`]).
    pub fn clearing(mut self) -> Self {
        self.armed.raw = true;
        self.with_policy(POLICY_AT_ONCE)
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where a raw object of the default source lies.
    pub fn raw_path(&self, path: &str) -> PathBuf {
        self.folder.path().join(&self.sources[0].name).join(path)
    }

    /// Writes a raw object of the default source, last changed long ago.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let target = self.raw_path(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, bytes).unwrap();
        self.modify(path, "2024-01-01T00:00:00Z");
    }

    /// Appends to a raw object; its time of change moves on.
    pub fn append(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let mut file = fs::File::options().append(true).open(self.raw_path(path)).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
        file.set_modified("2024-01-02T00:00:00Z".parse::<Timestamp>().unwrap().into()).unwrap();
    }

    /// Sets a raw object's time of change.
    pub fn modify(&self, path: &str, at: &str) {
        let file = fs::File::options().append(true).open(self.raw_path(path)).unwrap();
        file.set_modified(at.parse::<Timestamp>().unwrap().into()).unwrap();
    }

    /// What lies in the default source now, sorted.
    pub fn raw(&self) -> Vec<String> {
        let root = self.folder.path().join(&self.sources[0].name);
        let mut found = Vec::new();
        files_below(&root, &mut found);
        let mut found: Vec<String> =
            found.iter().map(|path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned()).collect();
        found.sort();
        found
    }

    /// Takes all raw objects of the default source away.
    pub fn forget_raw(&self) {
        let root = self.folder.path().join(&self.sources[0].name);
        fs::remove_dir_all(&root).unwrap();
        fs::create_dir_all(&root).unwrap();
    }

    pub fn archive(&self) -> Store {
        self.open("archive")
    }

    /// Runs at `now`, whatever comes of it.
    pub fn try_run(&self, now: &str) -> Result<RunReport> {
        let now: Timestamp = now.parse().unwrap();
        pipeline::run(&self.context(), &Request::all(now), now)
    }

    /// Runs at `now`; what went wrong with single objects is in the report.
    pub fn run(&self, now: &str) -> RunReport {
        self.try_run(now).unwrap_or_else(|error| panic!("{error} ({:?})", error.hint()))
    }

    /// Runs at `now` without anything to complain about.
    pub fn run_well(&self, now: &str) -> RunReport {
        let report = self.run(now);
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        assert_eq!(report.exit_code(), 0);
        report
    }

    /// The ledger, folded.
    pub fn chain(&self) -> Chain {
        Chain::open(self.open("archive/ledger"), "reader", Box::new(|| "nonce".into())).unwrap()
    }

    /// All records of a table, in the order of `restore`.
    pub fn restore(&self, table: &str) -> Vec<Vec<u8>> {
        let mut all = Collected(Vec::new());
        let manifest = self.restore_into(table, &mut all);
        assert!(manifest.unseen.damaged.is_empty(), "{:?}", manifest.unseen.damaged);
        assert_eq!(manifest.records.rows, all.0.len() as u64);
        all.0
    }

    /// Restores a whole table.
    pub fn restore_into(&self, table: &str, sink: &mut dyn RecordSink) -> Manifest {
        let request = RestoreRequest::all(TableName::parse(table).unwrap(), Timestamp::UNIX_EPOCH);
        restore(&self.archive(), self.chain().state(), &Listed::default(), &request, sink).unwrap()
    }

    /// Everything in quarantine, in the order of the ledger, with its bytes.
    pub fn quarantine(&self) -> Vec<(QuarantineItem, Vec<u8>)> {
        let (chain, archive) = (self.chain(), self.archive());
        let mut found = Vec::new();
        for quarantined in &chain.state().quarantine {
            for item in read_items(&archive, quarantined).unwrap() {
                let bytes = read_bytes(&archive, quarantined, &item).unwrap().to_vec();
                found.push((item, bytes));
            }
        }
        found
    }

    /// All entries of the ledger.
    pub fn entries(&self) -> Vec<Value> {
        let ledger = self.folder.path().join("archive/ledger");
        let paths = (0..).map(|seq: u64| ledger.join(format!("{seq:012}.json"))).take_while(|path| path.exists());
        paths.map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
    }

    /// The proofs under which something was destroyed, and how many objects each destroyed.
    pub fn destroyed(&self) -> Vec<(String, u64)> {
        let entries = self.entries();
        let of = |kind: &str| entries.iter().filter(move |entry| entry["kind"] == kind).cloned().collect::<Vec<_>>();
        let done = of("destroy_done").into_iter().map(|entry| entry["destroyed"].as_u64().unwrap());
        let proofs = of("destroy_intended").into_iter().map(|entry| entry["proof"].as_str().unwrap().to_owned());
        proofs.zip(done).collect()
    }

    /// The Parquet files of a table, sorted.
    pub fn segments(&self, table: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files_below(&self.folder.path().join("archive/tables").join(table), &mut found);
        found.retain(|path| path.extension().is_some_and(|ending| ending == "parquet"));
        found.retain(|path| !path.to_string_lossy().contains("_delta_log"));
        found.sort();
        found
    }

    /// What the command line says: exit code, stdout, stderr. Its settings are those of this site.
    pub fn holdfast(&self, arguments: &[&str]) -> (i32, String, String) {
        let folder = self.folder.path();
        fs::create_dir_all(folder.join("policies")).unwrap();
        fs::write(folder.join("policies/policy.toml"), &self.policies).unwrap();
        let Site { armed, approvers, simulation, .. } = self;
        let mut settings = "archive = \"archive\"\npolicies = \"policies\"\n".to_owned();
        settings += &format!("approvers = {approvers}\nsimulation = {simulation}\n");
        settings += &format!("[delete]\nraw = {}\nexpired = {}\n", armed.raw, armed.expired);
        if let Some(window) = &self.window {
            settings += &format!("window = \"{window}\"\n");
        }
        if let Some(line) = &self.schedule {
            settings += &format!("[schedule]\ncron = \"{line}\"\n");
        }
        for source in &self.sources {
            settings += &source.block();
        }
        fs::write(folder.join("holdfast.toml"), settings).unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .args(arguments)
            .current_dir(folder)
            .env_remove("HOLDFAST_CONFIG")
            .env_remove("HOLDFAST_LOG")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
    }

    /// The components of a run, opened.
    pub fn context(&self) -> Context {
        let ledger = self.folder.path().join("archive/ledger");
        let (ids, apart) = (Arc::clone(&self.ids), self.apart);
        let sources = self.sources.iter().map(|source| Source {
            name: source.name.clone(),
            workspace: source.workspace.clone(),
            settle: source.settle,
            layout: source.layout(),
            store: open(&self.url(&source.name), &StoreOptions::default(), Missing::Refuse, runtime().handle()),
        });
        let file = PolicyFile { name: "policy.toml".into(), text: self.policies.clone() };
        let policies = PolicySet::from_files(vec![file])
            .unwrap_or_else(|mistakes| panic!("{}", holdfast::settings::diagnose::render_all(&mistakes, false)));
        Context {
            archive: self.archive(),
            ledger: self.open("archive/ledger"),
            sources: sources.collect(),
            policies: Ok(policies),
            armed: self.armed,
            window: self.window.map(|window| -> Box<pipeline::Window> {
                let opens = move |now| {
                    (!window.contains(now, &TimeZone::UTC)).then(|| window.next_opening(now, &TimeZone::UTC))
                };
                Box::new(opens)
            }),
            approvers: self.approvers,
            store_clock: Box::new(move || Ok(apart)),
            simulation: self.simulation,
            memory: self.memory,
            zstd_level: 3,
            threads: self.threads,
            take_lease: Box::new(move || Ok(Box::new(LocalLease::take(&ledger, "a story")?))),
            ids: Box::new(move || format!("{:08x}", ids.fetch_add(1, Ordering::Relaxed))),
            host: "story".into(),
            progress: Box::new(Unwatched),
            stop: Arc::default(),
        }
    }

    fn open(&self, folder: &str) -> Store {
        open(&self.url(folder), &StoreOptions::default(), Missing::Create, runtime().handle()).unwrap()
    }

    fn url(&self, folder: &str) -> Url {
        Url::from_file_path(self.folder.path().join(folder)).unwrap()
    }
}

/// Keeps what is restored.
pub struct Collected(pub Vec<Vec<u8>>);

impl RecordSink for Collected {
    fn record(&mut self, _: Date, record: &[u8]) -> Result<()> {
        self.0.push(record.to_vec());
        Ok(())
    }
}

/// How an object is packed.
#[derive(Debug, Clone, Copy)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    pub const ALL: [Packing; 3] = [Packing::Plain, Packing::Gzip, Packing::Zstd];

    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Packing::Plain => bytes.to_vec(),
            Packing::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Packing::Zstd => zstd::stream::encode_all(bytes, 1).unwrap(),
        }
    }
}

/// Records as the lines of an object.
pub fn lines<R: AsRef<[u8]>>(records: &[R]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for record in records {
        bytes.extend_from_slice(record.as_ref());
        bytes.push(b'\n');
    }
    bytes
}

/// A column of Parquet files as text, row by row; a file without it has nulls.
pub fn columns_of(segments: &[PathBuf], column: &str) -> Vec<Option<String>> {
    let mut found = Vec::new();
    for segment in segments {
        let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(segment).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let Some(values) = batch.column_by_name(column) else {
                found.extend(vec![None; batch.num_rows()]);
                continue;
            };
            let shown = ArrayFormatter::try_new(values, &FormatOptions::default()).unwrap();
            found.extend((0..values.len()).map(|row| values.is_valid(row).then(|| shown.value(row).to_string())));
        }
    }
    found
}

/// A file of `../shared`, which is beside the project on the machines that build it; `None`, with a notice, where not.
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    eprintln!("SKIPPED: {} is not here", found.display());
    None
}

/// The bytes of each file below a folder, by its path.
pub fn bytes_below(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = Vec::new();
    files_below(root, &mut found);
    found.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}
