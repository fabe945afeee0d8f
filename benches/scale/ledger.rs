//! Opening a ledger: nine years of nightly runs over five tables, hourly raw objects, two tables of which expire.
//!
//! The entries are true ones, written by their own serialisation; only the data they speak of is not there.

use std::fs;
use std::path::Path;

use holdfast::ledger::{
    Armed, AttachmentRef, BatchInput, Body, Chain, CommittedTable, Counts, Entry, Ground, Head, Keeping, ObjectOutcome,
    PreparedTable, ProofKind, Purpose, SAVE_AFTER, Segment, Settled, Subject, TableDetail, ZEROS, sha256_hex,
};
use holdfast::names::TableName;
use holdfast::record::SetDigest;
use holdfast::settings::StoreOptions;
use holdfast::storage::{Missing, open as open_store};
use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::Serialize;
use url::Url;

use super::{measured, peak_mb};

const TABLES: usize = 5;
const HOURS: usize = 24;
/// Two of the tables keep their rows so long.
const RETAIN_DAYS: usize = 730;
const FIRST: Date = date(2016, 1, 1);

/// Opens a ledger of `entries` entries: all of them read, and after its state was saved.
pub fn open(folder: &Path, entries: u64) {
    let folder = folder.join(entries.to_string());
    if !folder.join("head.json").exists() {
        Writer::new(&folder).write(entries);
    }
    let _ = fs::remove_file(folder.join("state.json"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let url = Url::from_directory_path(folder.canonicalize().unwrap()).unwrap();
    let store = || open_store(&url, &StoreOptions::default(), Missing::Refuse, runtime.handle()).unwrap();
    let chain = |run: &str| Chain::open(store(), run, Box::new(|| "nonce".into())).unwrap();
    let (listed, took) = measured(|| store().list_folder(None).unwrap().len());
    println!("  {listed} names listed     {:>6.2} s, {:>5.2} CPU s", took.wall, took.cpu);
    let (mut whole, took) = measured(|| chain("reader"));
    let state = whole.state();
    println!(
        "  every entry          {:>6.2} s, {:>5.2} CPU s; {} entries, {} attachments, {} raw objects, {} live segments; \
         at most {} MB",
        took.wall,
        took.cpu,
        state.next_seq(),
        state.attachments.len(),
        state.objects.len(),
        state.tables.values().map(|table| table.segments.len()).sum::<usize>(),
        peak_mb(),
    );
    let last = state.last_at.unwrap();
    let ((), took) = measured(|| whole.save_state(last).unwrap());
    whole.write_head().unwrap();
    let bytes = fs::metadata(folder.join("state.json")).map_or(0, |meta| meta.len());
    println!("  saved                {:>6.2} s, {:>5.2} CPU s; {bytes} bytes", took.wall, took.cpu);
    drop(whole);
    for _ in 0..3 {
        let (saved, took) = measured(|| chain("reader"));
        assert!(saved.state().next_seq() >= SAVE_AFTER);
        println!("  from the saved state {:>6.2} s, {:>5.2} CPU s", took.wall, took.cpu);
    }
    let mut saved = chain("reader");
    let (again, took) = measured(|| saved.fold_whole().unwrap());
    assert!(again);
    println!("  and before it destroys {:>4.2} s, {:>5.2} CPU s; at most {} MB", took.wall, took.cpu, peak_mb());
}

struct Writer {
    folder: std::path::PathBuf,
    head: Head,
    next: u64,
    at: Timestamp,
    run: String,
}

impl Writer {
    fn new(folder: &Path) -> Self {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder.join("attachments")).unwrap();
        let head = Head { seq: 0, sha256: ZEROS.to_owned() };
        Writer { folder: folder.to_owned(), head, next: 0, at: Timestamp::UNIX_EPOCH, run: String::new() }
    }

    fn write(mut self, entries: u64) {
        self.append(Body::Created { archive: "0123456789ab".into(), format: 1, simulation: false });
        let files = self.attach(&[serde_json::json!({ "name": "p.toml", "text": "version = 1\n" })]);
        self.append(Body::PolicyAccepted { digest: "d".repeat(64), files });
        let mut night = 0;
        while self.next < entries {
            self.night(night);
            night += 1;
        }
        fs::write(self.folder.join("head.json"), serde_json::to_vec(&self.head).unwrap()).unwrap();
    }

    fn append(&mut self, body: Body) {
        let prev = self.head.sha256.clone();
        let nonce = format!("{}-{}", self.run, self.next);
        let entry = Entry { seq: self.next, at: self.at, run: self.run.clone(), nonce, prev, body };
        let mut bytes = serde_json::to_vec(&entry).unwrap();
        bytes.push(b'\n');
        fs::write(self.folder.join(format!("{:012}.json", self.next)), &bytes).unwrap();
        self.head = Head { seq: self.next, sha256: sha256_hex(&bytes) };
        self.next += 1;
    }

    fn attach<T: Serialize>(&self, lines: &[T]) -> AttachmentRef {
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, line).unwrap();
            bytes.push(b'\n');
        }
        let sha256 = sha256_hex(&bytes);
        fs::write(self.folder.join("attachments").join(&sha256), bytes).unwrap();
        AttachmentRef { sha256, count: lines.len() as u64 }
    }

    fn night(&mut self, night: usize) {
        let day = FIRST + i64::try_from(night).unwrap().days();
        self.at = format!("{day}T02:00:00Z").parse::<Timestamp>().unwrap() + SignedDuration::from_hours(48);
        self.run = sha256_hex(&night.to_le_bytes())[..12].to_owned();
        let (version, host) = ("0.1.0".to_owned(), "archive.example.org".to_owned());
        self.append(Body::RunStarted { version, host, process: 4711, armed: Armed { raw: true, expired: true } });
        for table in 0..TABLES {
            self.archive(night, table, day);
        }
        if night >= 7 {
            let subjects: Vec<Subject> = (0..TABLES)
                .flat_map(|table| outcomes(night - 7, table))
                .map(|outcome| Subject::Raw {
                    source: outcome.source,
                    path: outcome.path,
                    table: outcome.table,
                    size: outcome.size,
                    sha256: outcome.sha256,
                    batch: "0123456789ab-9".into(),
                })
                .collect();
            self.destroy(ProofKind::ArchivedVerified, &subjects, None);
        }
        if night >= RETAIN_DAYS {
            for table in 0..2 {
                self.expire(night, table);
            }
        }
        let settled: Vec<Settled> =
            (0..TABLES).map(|number| Settled { table: table(number), keeping: Keeping::Archive }).collect();
        let tables = self.attach(&settled);
        self.append(Body::ExpirySettled { tables });
        self.append(Body::RunEnded { exit: 0, batches: TABLES as u64, rows: 1_200_000, cleared: 120, partial: false });
    }

    fn archive(&mut self, night: usize, number: usize, day: Date) {
        let batch = format!("{}-{}", self.run, self.next);
        let outcomes = outcomes(night, number);
        let inputs: Vec<BatchInput> = outcomes
            .iter()
            .map(|outcome| BatchInput {
                source: outcome.source.clone(),
                path: outcome.path.clone(),
                table: outcome.table.clone(),
                size: outcome.size,
                modified: outcome.modified,
                etag: outcome.etag.clone(),
                from: 0,
            })
            .collect();
        let inputs = self.attach(&inputs);
        self.append(Body::BatchIntended {
            batch: batch.clone(),
            purpose: Purpose::Archive,
            tables: vec![table(number)],
            inputs,
        });
        let adds = vec![segment(night, number, day)];
        self.membership(&batch, number, night, &TableDetail { schema: None, adds, removes: Vec::new() }, &outcomes);
    }

    /// `prepared` and `committed`.
    fn membership(&mut self, batch: &str, number: usize, night: usize, detail: &TableDetail, read: &[ObjectOutcome]) {
        let table = table(number);
        let rows = 10_000 * read.len() as u64;
        let prepared = PreparedTable {
            table: table.clone(),
            base: (night as u64).checked_sub(1),
            segments: detail.adds.len() as u64,
            bytes: 40 << 20,
            digest: SetDigest { rows, sum: 12345678901234567890 },
            detail: self.attach(std::slice::from_ref(detail)),
        };
        let objects = self.attach(read);
        let counts = Counts { decoded: rows, archived: rows, ..Counts::default() };
        self.append(Body::BatchPrepared {
            batch: batch.to_owned(),
            tables: vec![prepared],
            objects,
            quarantine: Vec::new(),
            counts,
        });
        let sha256 = sha256_hex(format!("commit {night} {number}").as_bytes());
        let tables = vec![CommittedTable { table, version: night as u64, sha256 }];
        self.append(Body::BatchCommitted { batch: batch.to_owned(), tables });
    }

    fn expire(&mut self, night: usize, number: usize) {
        let gone = night - RETAIN_DAYS;
        let segment = segment(gone, number, FIRST + i64::try_from(gone).unwrap().days());
        let ground = Ground {
            table: table(number),
            keeping: Keeping::Archive,
            path: segment.path.clone(),
            day: segment.day,
            part: segment.part.clone(),
            bytes: segment.bytes,
            sha256: segment.sha256.clone(),
            digest: segment.digest,
            file: "p.toml".into(),
            line: 2,
            rule: "p.toml Table0".into(),
            rule_digest: "e".repeat(64),
            policy: "d".repeat(64),
            expires: segment.day,
            destroy_at: segment.day,
            approved: false,
        };
        let batch = format!("{}-{}", self.run, self.next);
        let inputs = self.attach(std::slice::from_ref(&ground));
        self.append(Body::BatchIntended {
            batch: batch.clone(),
            purpose: Purpose::Retire,
            tables: vec![table(number)],
            inputs,
        });
        let detail = TableDetail { schema: None, adds: Vec::new(), removes: vec![segment.path.clone()] };
        self.membership(&batch, number, night, &detail, &[]);
        let subject = Subject::Segment {
            table: table(number),
            path: format!("tables/{}/{}", table(number), segment.path),
            day: segment.day,
            part: segment.part,
            sha256: segment.sha256,
        };
        self.destroy(ProofKind::Expired, &[subject], Some(ground));
    }

    fn destroy(&mut self, proof: ProofKind, subjects: &[Subject], ground: Option<Ground>) {
        let step = format!("{}-{}-0", self.run, self.next);
        let reference = self.attach(subjects);
        let grounds = ground.map(|ground| self.attach(&[ground]));
        self.append(Body::DestroyIntended { step: step.clone(), proof, subjects: reference, bytes: 1 << 30, grounds });
        self.append(Body::DestroyDone { step, destroyed: subjects.len() as u64, missing: 0, kept: None });
    }
}

fn table(number: usize) -> TableName {
    TableName::new("main", format!("Table{number}"))
}

fn segment(night: usize, number: usize, day: Date) -> Segment {
    Segment {
        path: format!("_hf_day={day}/_hf_part=main/{}-00000.parquet", &sha256_hex(&night.to_le_bytes())[..12]),
        day,
        part: "main".into(),
        bytes: 40 << 20,
        sha256: sha256_hex(format!("segment {night} {number}").as_bytes()),
        digest: SetDigest { rows: 240_000, sum: 12345678901234567890 },
        times: Some((1_700_000_000_000_000, 1_700_086_400_000_000)),
        rest: Some(Vec::new()),
    }
}

fn outcomes(night: usize, number: usize) -> Vec<ObjectOutcome> {
    let day = FIRST + i64::try_from(night).unwrap().days();
    let modified: Timestamp = format!("{day}T23:59:00Z").parse().unwrap();
    (0..HOURS)
        .map(|hour| ObjectOutcome {
            source: "collector".into(),
            path: format!("Table{number}/{}/{:02}/{:02}/{hour:02}/PT1H.json", day.year(), day.month(), day.day()),
            table: table(number),
            size: 18 << 20,
            modified,
            etag: Some(format!("{night:x}-{hour:x}-1200000")),
            from: 0,
            continues: None,
            resume: 18 << 20,
            sha256: sha256_hex(format!("raw {night} {number} {hour}").as_bytes()),
            counts: Counts { decoded: 10_000, archived: 10_000, ..Counts::default() },
            duplicate_of: None,
            unreadable: None,
            last_day: None,
        })
        .collect()
}
