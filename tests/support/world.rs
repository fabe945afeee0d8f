//! A whole Holdfast on temporary folders, in memory as on an object store, or on a server: archive, ledger and one source,
//! and what can be seen of them afterwards.
//!
//! A [`World`] can be forked, but on a server. On a disk the copy's files are hard links, so that raw objects keep inode and time and thereby their
//! etag. That holds as long as nobody writes into a file in place; [`World::write`] and the durable store never do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use holdfast::archive::{read_bytes, read_items};
use holdfast::ledger::{Armed, Body, Chain, Counts, HoldScope, Lease, Month, SAVE_AFTER, Stage, State, Why};
use holdfast::names::TableName;
use holdfast::pipeline::{Context, Request, RunReport, Source, Unwatched, approve, plan, retry, run};
use holdfast::policy::{PolicyFile, PolicySet};
use holdfast::restore::{RecordSink, RestoreRequest, restore};
use holdfast::search::Listed;
use holdfast::source::{Layout, original_of_aside};
use holdfast::storage::{DiskObserver, DurableLocal, Store};
use holdfast::verify::{Verification, verify};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;

use crate::faults::Faults;
use crate::servers::Server;

/// The source's name.
pub const SOURCE: &str = "collector";

const LAYOUT: &str = "{table}/{year}/{month}/{day}/*";

/// One archive with its ledger and source.
#[derive(Debug)]
pub struct World {
    place: Place,
    policy: String,
    armed: Armed,
    /// Runners so far: each gets ids of its own.
    runners: AtomicU64,
}

/// Where a world's stores are.
#[derive(Debug)]
enum Place {
    Folder(TempDir),
    /// An object store without a server: nothing is renamed, and nothing deleted under a condition.
    Memory([Arc<InMemory>; 3]),
    /// Folders below a URL of a server.
    Server(Arc<Server>, Url),
}

/// The stores' names.
const STORES: [&str; 3] = ["archive", "ledger", SOURCE];

/// A lease that anybody gets at any time: the test decides who runs.
#[derive(Debug)]
struct FreeLease;

impl Lease for FreeLease {}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap_or_else(|error| panic!("no runtime: {error}")))
}

/// Thousands of small runs: in memory where there is such a folder. What reaches a disk, and when, is `record`'s to see.
fn temporary_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.unwrap_or_else(|error| panic!("no temporary folder: {error}"))
}

impl World {
    /// An empty world under one policy file.
    pub fn new(policy: &str) -> Self {
        let world = Self::at(Place::Folder(temporary_folder()), policy);
        for name in STORES {
            fs::create_dir(world.path(name)).unwrap();
        }
        world
    }

    /// The same as an object store would keep it.
    pub fn in_memory(policy: &str) -> Self {
        Self::at(Place::Memory(Default::default()), policy)
    }

    /// The same on a server, in folders of its own.
    pub fn on(server: &Arc<Server>, policy: &str) -> Self {
        Self::at(Place::Server(Arc::clone(server), server.fresh()), policy)
    }

    fn at(place: Place, policy: &str) -> Self {
        World {
            place,
            policy: policy.to_owned(),
            armed: Armed { raw: true, expired: false },
            runners: AtomicU64::new(0),
        }
    }

    /// Armed for what has expired, too.
    pub fn armed(mut self) -> Self {
        self.armed.expired = true;
        self
    }

    /// From its next run on, another policy governs.
    pub fn under(mut self, policy: &str) -> Self {
        policy.clone_into(&mut self.policy);
        self
    }

    /// The same world once more.
    pub fn fork(&self) -> Self {
        let place = match &self.place {
            Place::Folder(folder) => {
                let copy = temporary_folder();
                link_all(folder.path(), copy.path());
                Place::Folder(copy)
            }
            Place::Memory(stores) => Place::Memory(stores.each_ref().map(|store| Arc::new(store.fork()))),
            Place::Server(..) => panic!("what a server keeps cannot be forked"),
        };
        let runners = AtomicU64::new(self.runners.load(Ordering::Relaxed));
        World { place, policy: self.policy.clone(), armed: self.armed, runners }
    }

    /// A path below the world's folder: `archive/…`, `ledger/…`, `collector/…`. Only on a disk.
    pub fn path(&self, relative: &str) -> PathBuf {
        match &self.place {
            Place::Folder(folder) => folder.path().join(relative),
            _ => panic!("{relative} is no file: the world is not on a disk"),
        }
    }

    /// Where one of the stores is. Only on a server.
    pub fn url(&self, store: &str) -> Url {
        match &self.place {
            Place::Server(_, below) => Url::parse(&format!("{below}/{store}")).unwrap(),
            _ => panic!("{store} is on no server"),
        }
    }

    /// The store that a path lies in, and its path there.
    fn stored(&self, relative: &str) -> (Store, object_store::path::Path) {
        let (name, path) = relative.split_once('/').unwrap_or((relative, ""));
        (self.store(name, None, None), object_store::path::Path::parse(path).unwrap())
    }

    /// Whether there is such a file.
    pub fn has(&self, relative: &str) -> bool {
        let (store, path) = self.stored(relative);
        store.head(&path).unwrap().is_some()
    }

    /// Gives a file these bytes. An old file of that name is replaced, not written into: forks share it.
    pub fn write(&self, relative: &str, bytes: impl AsRef<[u8]>) {
        if !matches!(self.place, Place::Folder(_)) {
            let (store, path) = self.stored(relative);
            let payload = PutPayload::from(bytes.as_ref().to_vec());
            store.wait(store.inner().put(&path, payload)).unwrap();
            return;
        }
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if path.exists() {
            fs::remove_file(&path).unwrap();
        }
        fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, relative: &str) -> Vec<u8> {
        if !matches!(self.place, Place::Folder(_)) {
            let (store, path) = self.stored(relative);
            return store.get(&path).unwrap().unwrap_or_else(|| panic!("there is no {relative}")).to_vec();
        }
        fs::read(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    /// All files below a folder, relative to it, with their bytes.
    pub fn files(&self, relative: &str) -> BTreeMap<String, Vec<u8>> {
        if !matches!(self.place, Place::Folder(_)) {
            let (store, below) = self.stored(relative);
            let listed: Vec<_> = store.list(Some(&below)).unwrap().into_iter().map(|meta| meta.location).collect();
            let found = store.get_all(&listed).unwrap();
            let named = listed.iter().zip(found).map(|(path, bytes)| {
                let name: object_store::path::Path = path.prefix_match(&below).unwrap().collect();
                (name.to_string(), bytes.unwrap().to_vec())
            });
            return named.collect();
        }
        let root = self.path(relative);
        let mut found = BTreeMap::new();
        walk(&root, &mut |path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read(path).unwrap());
        });
        found
    }

    /// One store, as the command line would open it.
    pub fn store(&self, name: &str, faults: Option<&Arc<Faults>>, observer: Option<DiskObserver>) -> Store {
        let wrapped = |inner: Arc<dyn ObjectStore>| match faults {
            Some(faults) => faults.wrap(name, inner),
            None => inner,
        };
        match &self.place {
            Place::Folder(folder) => {
                let folder = folder.path().join(name);
                let local = DurableLocal::open(&folder, observer).unwrap();
                let (sweeper, inner) = (local.clone(), wrapped(Arc::new(local)));
                let url = Url::from_directory_path(&folder).unwrap();
                Store::new(url, inner, runtime().handle().clone()).with_sweep(move || sweeper.sweep_staging())
            }
            Place::Memory(stores) => {
                let number = STORES.iter().position(|store| *store == name).unwrap();
                let url = Url::parse(&format!("memory:///{name}")).unwrap();
                Store::new(url, wrapped(stores[number].clone()), runtime().handle().clone())
            }
            Place::Server(server, below) => {
                let url = Url::parse(&format!("{below}/{name}")).unwrap();
                server.open(&url, runtime().handle()).wrapped(wrapped)
            }
        }
    }

    /// A runner of its own, with ids that no other runner has.
    pub fn context(&self, faults: Option<&Arc<Faults>>, observer: Option<DiskObserver>) -> Context {
        let runner = self.runners.fetch_add(1, Ordering::Relaxed);
        let count = AtomicU64::new(0);
        let policy = PolicyFile { name: "policy.toml".into(), text: self.policy.clone() };
        Context {
            archive: self.store("archive", faults, observer.clone()),
            ledger: self.store("ledger", faults, observer.clone()),
            sources: vec![Source {
                name: SOURCE.into(),
                workspace: "main".into(),
                settle: SignedDuration::ZERO,
                layout: Layout::parse(LAYOUT).unwrap(),
                store: Ok(self.store(SOURCE, faults, observer)),
            }],
            policies: Ok(PolicySet::from_files(vec![policy]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))),
            armed: self.armed,
            window: None,
            approvers: 1,
            store_clock: Box::new(|| Ok(None)),
            simulation: false,
            memory: 64 << 20,
            zstd_level: 3,
            threads: 1,
            take_lease: Box::new(|| Ok(Box::new(FreeLease))),
            ids: Box::new(move || format!("r{runner}i{}", count.fetch_add(1, Ordering::Relaxed))),
            host: "test".into(),
            progress: Box::new(Unwatched),
            stop: Arc::default(),
        }
    }

    /// A settings file for the command line that says the same.
    pub fn settings(&self) -> PathBuf {
        self.write("policies/policy.toml", &self.policy);
        let source = format!("name = \"{SOURCE}\"\nurl = \"{SOURCE}\"\nlayout = \"{LAYOUT}\"\nsettle = \"0s\"");
        let settings = "archive = \"archive\"\nledger = \"ledger\"\npolicies = \"policies\"";
        let Armed { raw, expired } = self.armed;
        let delete = format!("[delete]\nraw = {raw}\nexpired = {expired}");
        self.write("holdfast.toml", format!("{settings}\n{delete}\n[[source]]\n{source}\n"));
        self.path("holdfast.toml")
    }

    /// Runs with nothing going wrong.
    pub fn run(&self, now: &str) -> holdfast::Result<RunReport> {
        run_at(&self.context(None, None), now)
    }

    /// A person consents to all that a plan made at `now` asks for; so many days. None: nothing waits for consent.
    pub fn approve_all(&self, now: &str) -> usize {
        match approve_at(&self.context(None, None), now) {
            Ok(days) => days,
            Err(error) => panic!("approving at {now}: {error}"),
        }
    }

    /// The ledger as it can be read now.
    pub fn chain(&self) -> holdfast::Result<Chain> {
        Chain::open(self.store("ledger", None, None), "test", Box::new(String::new))
    }

    /// Makes the ledger so long that the next run saves the state: holds on nothing, placed and released.
    pub fn lengthen(&self, now: &str) {
        let mut chain = self.chain().unwrap();
        let text = chain.seal("nothing").unwrap();
        let scope = HoldScope { tables: vec![TableName::new("main", "Nothing")], ..HoldScope::default() };
        for number in 0..SAVE_AFTER {
            let (hold, text) = (format!("case {}", number / 2), text.clone());
            let body = match number % 2 {
                0 => Body::HoldPlaced { hold, scope: scope.clone(), text },
                _ => Body::HoldReleased { hold, text },
            };
            chain.append_or_end(now.parse().unwrap(), body).unwrap();
        }
    }

    pub fn verify(&self) -> holdfast::Result<Verification> {
        let sources = BTreeMap::from([(SOURCE.to_owned(), self.store(SOURCE, None, None))]);
        verify(&self.store("archive", None, None), &self.store("ledger", None, None), &sources, 1)
    }

    /// Everything that a crash must not change.
    pub fn seen(&self) -> Seen {
        let (chain, archive) = (self.chain().unwrap(), self.store("archive", None, None));
        let state = chain.state();
        let mut seen = Seen { raw: self.files(SOURCE), ..Seen::default() };
        for known in state.tables.values() {
            let mut sink = Records::default();
            let request = RestoreRequest::all(known.name.clone(), Timestamp::UNIX_EPOCH);
            let manifest = restore(&archive, state, &Listed::default(), &request, &mut sink).unwrap();
            assert!(manifest.unseen.damaged.is_empty(), "{:?}", manifest.unseen.damaged);
            assert!(
                manifest.segments.iter().all(|segment| segment.path.contains("/_hf_part=main/")),
                "records are told apart by day only, so there must be no second part"
            );
            for (day, mut records) in sink.days {
                records.sort();
                seen.records.insert((known.name.to_string(), day, "main".into()), records);
            }
        }
        for quarantined in state.quarantine.iter().filter(|quarantined| !quarantined.retried) {
            for item in read_items(&archive, quarantined).unwrap() {
                let bytes = read_bytes(&archive, quarantined, &item).unwrap().to_vec();
                seen.quarantine.push((quarantined.file.table.to_string(), item.path, item.offset, item.reason, bytes));
            }
        }
        seen.quarantine.sort();
        // An object that a killed run left aside may be known under that name too.
        for (id, known) in state.objects.iter().filter(|(id, _)| original_of_aside(&id.path).is_none()) {
            let outcome = &known.outcome;
            seen.objects.insert(id.to_string(), (outcome.sha256.clone(), known.counts.decoded, known.cleared));
            seen.contents.entry((outcome.table.to_string(), outcome.sha256.clone())).or_default().add(&known.counts);
        }
        for known in state.tables.values() {
            for retired in known.retired.values() {
                let why = match retired.why {
                    Why::Expired(_) => "expired",
                    Why::Superseded { .. } => "superseded",
                    Why::Erased { .. } | Why::Foreign => "other",
                };
                let key = (known.name.to_string(), retired.segment.day, why);
                *seen.retired.entry(key).or_default() += retired.segment.digest.rows;
            }
        }
        for batch in state.batches.values() {
            *seen.gone.entry(batch.tables[0].to_string()).or_default() += batch.gone.expired;
            if let Stage::Committed { rows, .. } = batch.stage {
                *seen.rows.entry(batch.tables[0].to_string()).or_default() += rows;
            }
        }
        seen
    }

    /// The sealed texts that an entry names.
    fn sealed_by(&self, seq: u64) -> Vec<String> {
        let entry: serde_json::Value = serde_json::from_slice(&self.read(&format!("ledger/{seq:012}.json"))).unwrap();
        let sealed = ["by", "reason", "text"].map(|key| entry[key]["sha256"].as_str().map(str::to_owned));
        sealed.into_iter().flatten().map(|sha256| format!("sealed/{sha256}")).collect()
    }

    /// What is not in order: open intents, files that nothing names, findings of `verify`. Empty is well.
    pub fn loose_ends(&self) -> Vec<String> {
        let chain = self.chain().unwrap();
        let state = chain.state();
        let mut ends = Vec::new();
        for (id, batch) in &state.batches {
            if matches!(batch.stage, Stage::Intended | Stage::Prepared(_)) {
                ends.push(format!("batch {id} is open"));
            }
        }
        ends.extend(state.open_destroys.keys().map(|step| format!("destruction {step} is open")));
        let mut named = BTreeSet::new();
        for known in state.tables.values() {
            let folder = format!("tables/{}", known.name);
            named.extend(known.segments.keys().chain(known.retired.keys()).map(|path| format!("{folder}/{path}")));
            named.extend(
                known
                    .commits
                    .range(known.first_commit..)
                    .map(|(version, _)| version)
                    .map(|version| format!("{folder}/_delta_log/{version:020}.json")),
            );
            let months = known.segments.values().map(|(segment, _)| Month::of(segment.day).index_path());
            named.extend(months.map(|path| format!("{folder}/{path}")));
            let notes = format!("{folder}/_index/months.json");
            named.extend(self.has(&format!("archive/{notes}")).then_some(notes));
            for checkpoint in state.checkpoints.iter().filter(|checkpoint| checkpoint.table == known.name) {
                named.insert(format!("{folder}/_delta_log/{:020}.checkpoint.parquet", checkpoint.version));
                // Only a hint for readers: it may not have been written any more.
                let hint = format!("{folder}/_delta_log/_last_checkpoint");
                named.extend(self.has(&format!("archive/{hint}")).then_some(hint));
            }
        }
        named.extend(state.quarantine.iter().flat_map(|kept| [kept.file.data.clone(), kept.file.index.clone()]));
        unnamed("archive", &self.files("archive"), &named, &mut ends);
        let mut named = BTreeSet::from(["head.json", "inventory.json"].map(str::to_owned));
        for beside in ["lease.json", "clock.json", "state.json"] {
            named.extend(self.has(&format!("ledger/{beside}")).then(|| beside.to_owned()));
        }
        named.extend((0..state.next_seq()).map(|seq| format!("{seq:012}.json")));
        named.extend((0..state.next_seq()).flat_map(|seq| self.sealed_by(seq)));
        named.extend(state.attachments.iter().map(|sha256| format!("attachments/{sha256}")));
        unnamed("ledger", &self.files("ledger"), &named, &mut ends);
        // Whatever was folded, saving it loses nothing.
        let saved = serde_json::to_string(state).unwrap();
        let read: State = serde_json::from_str(&saved).unwrap();
        ends.extend((serde_json::to_string(&read).unwrap() != saved).then(|| "the state cannot be saved".to_owned()));
        let verified = self.verify().unwrap();
        for finding in verified.damage.iter().chain(&verified.foreign).chain(&verified.notes) {
            ends.push(format!("verify: {}: {}", finding.what, finding.why));
        }
        if verified.witnessed != state.head().map(|head| head.seq) {
            ends.push(format!("head.json is behind: {:?}", verified.witnessed));
        }
        ends
    }
}

/// Consents to all that a plan made at `now` asks for. Gives so many days: 0 where nothing waits for consent.
pub fn approve_at(context: &Context, now: &str) -> holdfast::Result<usize> {
    let now: Timestamp = now.parse().unwrap();
    let planned = plan(context, &Request::all(now), now)?;
    if planned.document.asks().is_empty() {
        return Ok(0);
    }
    let bytes = serde_json::to_vec(&planned.document).unwrap();
    approve(context, &bytes, "Ada", "looked at", |_| now).map(|approved| approved.days.len())
}

/// Runs at `now`, on a host whose clock says the same.
pub fn run_at(context: &Context, now: &str) -> holdfast::Result<RunReport> {
    let now: Timestamp = now.parse().unwrap();
    run(context, &Request::all(now), now)
}

/// Judges the quarantine again.
pub fn retry_at(context: &Context, now: &str) -> holdfast::Result<()> {
    retry(context, &Request::all(now.parse().unwrap())).map(drop)
}

/// What a crash must not change.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Seen {
    /// By table, day and part.
    pub records: BTreeMap<(String, Date, String), Vec<Vec<u8>>>,
    /// Live raw objects with their bytes.
    pub raw: BTreeMap<String, Vec<u8>>,
    /// What was not judged again: (table, raw object, offset, reason, bytes).
    pub quarantine: Vec<(String, String, u64, String, Vec<u8>)>,
    /// What the ledger says of each raw object: SHA-256, records decoded, whether it is cleared.
    pub objects: BTreeMap<String, (String, u64, bool)>,
    /// What became of the records of all objects with the same bytes, by table and SHA-256. (Which of twins counts as the
    /// duplicate depends on which could be read first.)
    pub contents: BTreeMap<(String, String), Counts>,
    /// Rows that batches were committed with, by table.
    pub rows: BTreeMap<String, u64>,
    /// Rows that left their table and can be put back: by table, day and why.
    pub retired: BTreeMap<(String, Date, &'static str), u64>,
    /// Rows that were destroyed because they expired, by the table of the batch that wrote them.
    pub gone: BTreeMap<String, u64>,
}

impl Seen {
    /// Where two worlds differ, in words. Empty: nowhere.
    pub fn differences(&self, other: &Seen) -> Vec<String> {
        let mut found = Vec::new();
        differ("records", &self.records, &other.records, &mut found);
        differ("raw", &self.raw, &other.raw, &mut found);
        differ("object", &self.objects, &other.objects, &mut found);
        differ("content", &self.contents, &other.contents, &mut found);
        differ("rows", &self.rows, &other.rows, &mut found);
        differ("retired", &self.retired, &other.retired, &mut found);
        differ("gone", &self.gone, &other.gone, &mut found);
        if self.quarantine != other.quarantine {
            found.push(format!("quarantine: {:?} instead of {:?}", other.quarantine, self.quarantine));
        }
        found
    }
}

/// Plays all cases on two threads; panics with everything that went wrong.
pub fn for_all<T: Sync>(cases: &[T], play: impl Fn(&T) -> Option<String> + Sync) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(failure) = play(case) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn differ<K, V>(what: &str, expected: &BTreeMap<K, V>, there: &BTreeMap<K, V>, found: &mut Vec<String>)
where
    K: Ord + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    for key in expected.keys().chain(there.keys()).collect::<BTreeSet<_>>() {
        let (one, other) = (expected.get(key), there.get(key));
        if one != other {
            found.push(format!("{what} {key:?}: {other:?} instead of {one:?}"));
        }
    }
}

fn unnamed(store: &str, files: &BTreeMap<String, Vec<u8>>, named: &BTreeSet<String>, ends: &mut Vec<String>) {
    ends.extend(files.keys().filter(|path| !named.contains(*path)).map(|path| format!("{store}/{path} is unnamed")));
    ends.extend(
        named.iter().filter(|path| !files.contains_key(*path)).map(|path| format!("{store}/{path} is missing")),
    );
}

#[derive(Default)]
struct Records {
    days: BTreeMap<Date, Vec<Vec<u8>>>,
}

impl RecordSink for Records {
    fn record(&mut self, day: Date, record: &[u8]) -> holdfast::Result<()> {
        self.days.entry(day).or_default().push(record.to_vec());
        Ok(())
    }
}

fn walk(folder: &Path, see: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, see) } else { see(&path) }
    }
}

fn link_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&copy).unwrap();
            link_all(&path, &copy);
        } else {
            fs::hard_link(&path, &copy).unwrap();
        }
    }
}
