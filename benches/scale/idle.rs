//! A run in which nothing is due, on an archive that grows: twenty tables, a segment a night each, by real runs.
//!
//! Counted are the requests to all stores, the names that lists gave and the bytes read.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast::ledger::{Armed, Lease};
use holdfast::pipeline::{self, Context, Request, Source, Unwatched};
use holdfast::policy::{PolicyFile, PolicySet};
use holdfast::source::Layout;
use holdfast::storage::{DurableLocal, Store};
use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp, ToSpan};
use tokio::runtime::Runtime;
use url::Url;

use super::counted::{Counted, Counts};
use super::measured;

const TABLES: usize = 20;
const FIRST: Date = date(2020, 1, 1);
const POLICY: &str = "version = 1\n[defaults]\narchive_after = \"0d\"\nkeep_raw = \"10y\"\nretain = \"100y\"\n";
const ROUNDS: usize = 5;

/// Measures at 100, 1,000, 10,000 … segments, up to `most`.
pub fn idle(folder: &Path, most: u64) {
    let house = House::new(folder);
    println!(
        "  {:>8} {:>8} | {:>10} {:>8} {:>8} {:>8} {:>10} {:>10}",
        "segments", "entries", "what", "wall ms", "CPU ms", "requests", "names", "read"
    );
    let mut sizes: Vec<u64> =
        std::iter::successors(Some(100), |size| Some(size * 10)).take_while(|size| *size < most).collect();
    sizes.push(most);
    for segments in sizes {
        house.grow(usize::try_from(segments).unwrap() / TABLES);
        house.measure(segments);
    }
}

struct House {
    folder: std::path::PathBuf,
    runtime: Runtime,
    counts: Arc<Counts>,
    ids: Arc<AtomicU64>,
}

#[derive(Debug)]
struct FreeLease;

impl Lease for FreeLease {}

impl House {
    fn new(folder: &Path) -> Self {
        for part in ["archive", "ledger", "collector"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = folder.canonicalize().unwrap();
        let seed =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        House { folder, runtime, counts: Arc::default(), ids: Arc::new(AtomicU64::new(seed << 16)) }
    }

    fn store(&self, name: &str) -> Store {
        let path = self.folder.join(name);
        let local = DurableLocal::open(&path, None).unwrap();
        let store = Arc::new(Counted { store: Arc::new(local), counts: Arc::clone(&self.counts) });
        Store::new(Url::from_directory_path(&path).unwrap(), store, self.runtime.handle().clone())
    }

    fn context(&self, armed: Armed, keep_raw: &str) -> Context {
        let policy = PolicyFile { name: "p.toml".into(), text: POLICY.replace("10y", keep_raw) };
        let ids = Arc::clone(&self.ids);
        Context {
            archive: self.store("archive"),
            ledger: self.store("ledger"),
            sources: vec![Source {
                name: "collector".into(),
                workspace: "main".into(),
                settle: SignedDuration::ZERO,
                layout: Layout::parse("{table}/{year}/{month}/{day}/*").unwrap(),
                store: Ok(self.store("collector")),
            }],
            policies: Ok(PolicySet::from_files(vec![policy]).unwrap()),
            armed,
            window: None,
            approvers: 1,
            store_clock: Box::new(|| Ok(None)),
            simulation: true,
            zstd_level: 3,
            memory: 64 << 20,
            threads: 2,
            take_lease: Box::new(|| Ok(Box::new(FreeLease))),
            ids: Box::new(move || format!("{:012x}", ids.fetch_add(1, Ordering::Relaxed))),
            host: "bench".into(),
            progress: Box::new(Unwatched),
            stop: Arc::default(),
        }
    }

    fn run(&self, context: &Context, now: Timestamp) {
        let report = pipeline::run(context, &Request::all(now), now).unwrap();
        assert!(report.errors.is_empty(), "{:?}", report.errors);
    }

    /// Nights so far: a file says it.
    fn nights(&self) -> usize {
        fs::read_to_string(self.folder.join("nights")).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn lay(&self, day: Date, table: usize) {
        let folder = format!("Table{table}/{}/{:02}/{:02}", day.year(), day.month(), day.day());
        let folder = self.folder.join("collector").join(folder);
        fs::create_dir_all(&folder).unwrap();
        let record = |hour: usize| format!("{{\"TimeGenerated\":\"{day}T{hour:02}:00:00Z\",\"table\":{table}}}\n");
        fs::write(folder.join("a.json"), (0..24).map(record).collect::<String>()).unwrap();
    }

    fn forget_raw(&self) {
        fs::remove_dir_all(self.folder.join("collector")).unwrap();
        fs::create_dir_all(self.folder.join("collector")).unwrap();
    }

    fn grow(&self, nights: usize) {
        for night in self.nights()..nights {
            let day = FIRST + i64::try_from(night).unwrap().days();
            (0..TABLES).for_each(|table| self.lay(day, table));
            self.run(&self.context(Armed::default(), "10y"), at(day.tomorrow().unwrap(), 2));
            self.forget_raw();
            fs::write(self.folder.join("nights"), (night + 1).to_string()).unwrap();
        }
    }

    fn measure(&self, segments: u64) {
        let newest = FIRST + i64::try_from(self.nights()).unwrap().days();
        let now = at(newest, 3);
        let both = Armed { raw: true, expired: true };
        // One raw object that is too young.
        self.lay(newest, 0);
        let row = |what: &str, rounds: usize, work: &dyn Fn(usize)| {
            self.counts.take();
            let ((), took) = measured(|| (0..rounds).for_each(work));
            let [requests, listed, read, _] = self.counts.take().map(|count| count / rounds as u64);
            let entries = fs::read_dir(self.folder.join("ledger")).unwrap().count();
            let each = |seconds: f64| seconds * 1000.0 / rounds as f64;
            println!(
                "  {segments:>8} {entries:>8} | {what:>10} {:>8.1} {:>8.1} {requests:>8} {listed:>10} {read:>10}",
                each(took.wall),
                each(took.cpu)
            );
        };
        let minute = |round: usize| now + SignedDuration::from_mins(i64::try_from(round).unwrap());
        // The first may save the state.
        self.run(&self.context(both, "10y"), now);
        row("run", ROUNDS, &|round| self.run(&self.context(both, "10y"), minute(round)));
        row("plan", ROUNDS, &|round| {
            drop(pipeline::plan(&self.context(both, "10y"), &Request::all(minute(round)), minute(round)).unwrap());
        });
        let (state, aside) = (self.folder.join("ledger/state.json"), self.folder.join("state.aside"));
        if state.exists() {
            fs::rename(&state, &aside).unwrap();
            row("plan, all", 1, &|round| {
                drop(pipeline::plan(&self.context(both, "10y"), &Request::all(minute(round)), minute(round)).unwrap());
            });
            fs::rename(&aside, &state).unwrap();
        }
        self.forget_raw();
    }
}

fn at(day: Date, hour: i8) -> Timestamp {
    day.at(hour, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
}
