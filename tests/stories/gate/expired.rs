//! I3: what must hold before something goes because its time has come, because a merge wrote it anew, or because a
//! checkpoint made it needless: each refusal, one by one, beside what is let go.

use std::sync::Arc;

use holdfast::gate::{Blocked, Expired, Measured, ObsoleteLog, Proof, Superseded, can_destroy};
use holdfast::ledger::{
    Armed, Body, Chain, CommittedTable, Counts, FORMAT, Ground, HoldScope, Keeping, Month, ObjectOutcome,
    PreparedTable, Purpose, QuarantineFile, SealedRef, Segment, Subject, TableDetail,
};
use holdfast::names::TableName;
use holdfast::policy::{History, PolicyFile, PolicySet, Term};
use holdfast::record::SetDigest;
use holdfast::storage::Store;
use jiff::Timestamp;
use jiff::civil::Date;
use object_store::memory::InMemory;
use tokio::runtime::Runtime;

const ARMED: Armed = Armed { raw: true, expired: true };
const POLICY: &str = "retain = \"10d\"\npurge_delay = \"3d\"\nquarantine_retain = \"6d\"\nshorten_grace = \"30d\"";
/// It expires on 2024-03-12 and may be destroyed on 2024-03-15.
const OLD: &str = "2024-03-01";
const YOUNG: &str = "2024-03-09";

fn at(day: &str) -> Timestamp {
    format!("{day}T01:00:00Z").parse().unwrap()
}

fn day(day: &str) -> Date {
    day.parse().unwrap()
}

fn table() -> TableName {
    TableName::new("main", "Signin")
}

/// The term of policies that were accepted one after the other.
fn term_of(policies: &[(&str, &str)]) -> Term {
    let set = |keys: &str| {
        let text = format!("version = 1\n[[table]]\nname = \"Signin\"\n{keys}\n");
        PolicySet::from_files(vec![PolicyFile { name: "p.toml".into(), text }]).unwrap()
    };
    let accepted = policies.iter().map(|(day, keys)| (at(day), set(keys))).collect();
    History::new(accepted).term(&table()).unwrap()
}

fn term() -> Term {
    term_of(&[("2024-01-01", POLICY)])
}

fn segment(name: &str, on: &str) -> Segment {
    Segment {
        path: format!("_hf_day={on}/_hf_part=main/{name}.parquet"),
        day: day(on),
        part: "main".into(),
        bytes: 100,
        sha256: format!("sha-{name}"),
        digest: SetDigest { rows: 5, ..SetDigest::default() },
        times: None,
        rest: None,
    }
}

fn subject(segment: &Segment) -> Subject {
    Subject::Segment {
        table: table(),
        path: format!("tables/main/Signin/{}", segment.path),
        day: segment.day,
        part: "main".into(),
        sha256: segment.sha256.clone(),
    }
}

/// A ledger that tells of one table with two days, and what a look at the store would find.
struct Story {
    chain: Chain,
    measured: Measured,
    old: Segment,
    young: Segment,
    version: u64,
    _runtime: Runtime,
}

impl Story {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let store = Store::new("memory:///".parse().unwrap(), Arc::new(InMemory::new()), runtime.handle().clone());
        let (old, young) = (segment("old", OLD), segment("young", YOUNG));
        let mut story = Story {
            chain: Chain::open(store, "run", Box::new(String::new)).unwrap(),
            measured: Measured::default(),
            old: old.clone(),
            young: young.clone(),
            version: 0,
            _runtime: runtime,
        };
        story.append(Body::Created { archive: "a".into(), format: FORMAT, simulation: true }, "2024-03-10");
        story.batch("b", Purpose::Archive, vec![old, young], Vec::new(), Vec::new(), "2024-03-10");
        story
    }

    fn append(&mut self, body: Body, on: &str) {
        self.chain.append_or_end(at(on), body).unwrap();
    }

    /// A batch from its intent to its commit, and the table as it is after.
    fn batch(
        &mut self,
        batch: &str,
        purpose: Purpose,
        adds: Vec<Segment>,
        removes: Vec<&Segment>,
        grounds: Vec<Ground>,
        on: &str,
    ) {
        let live = self.measured.live.entry(table().key()).or_default();
        live.extend(adds.iter().map(|add| add.path.clone()));
        live.retain(|path| !removes.iter().any(|remove| remove.path == *path));
        for add in &adds {
            self.measured.indexed.entry((table().key(), Month::of(add.day))).or_default();
            self.measured.segments.insert((table().key(), add.path.clone()), add.sha256.clone());
        }
        let rows = adds.iter().map(|add| add.digest.rows).sum();
        let removes = removes.into_iter().map(|remove| remove.path.clone()).collect();
        let inputs = self.chain.attach(&grounds).unwrap();
        let intended = Body::BatchIntended { batch: batch.into(), purpose, tables: vec![table()], inputs };
        self.append(intended, on);
        let detail = self.chain.attach([TableDetail { schema: None, adds, removes }]).unwrap();
        let digest = SetDigest { rows, ..SetDigest::default() };
        let prepared = PreparedTable { table: table(), base: None, segments: 0, bytes: 0, digest, detail };
        let objects = self.chain.attach(Vec::<ObjectOutcome>::new()).unwrap();
        let counts = Counts { decoded: rows, archived: rows, ..Counts::default() };
        let (batch, quarantine) = (batch.to_owned(), Vec::new());
        let prepared =
            Body::BatchPrepared { batch: batch.clone(), tables: vec![prepared], objects, quarantine, counts };
        self.append(prepared, on);
        let committed =
            CommittedTable { table: table(), version: self.version, sha256: format!("commit-{}", self.version) };
        self.version += 1;
        self.append(Body::BatchCommitted { batch, tables: vec![committed] }, on);
    }

    fn retired(on: &str, approved: bool) -> Self {
        let mut story = Self::new();
        let old = story.old.clone();
        story.batch("r", Purpose::Retire, Vec::new(), vec![&old], vec![ground(&old, approved)], on);
        story
    }

    /// The two days' segments were written anew, as one cannot in life: it is the bookkeeping that counts.
    fn merged() -> (Self, Segment) {
        let mut story = Self::new();
        let (old, mut anew) = (story.old.clone(), segment("anew", OLD));
        anew.digest.rows = 5;
        story.batch("m", Purpose::Merge, vec![anew.clone()], vec![&old], Vec::new(), "2024-03-12");
        (story, anew)
    }

    fn expired(&self, subject: &Subject, term: &Term, now: &str) -> Result<Proof, Blocked> {
        Expired::prove(subject, self.chain.state(), term, &self.measured, at(now)).map(Proof::Expired)
    }

    /// Why the old segment stays; `None`: it may go.
    fn old_stays(&self, term: &Term, now: &str) -> Option<String> {
        why(self.expired(&subject(&self.old), term, now))
    }

    fn superseded(&self) -> Option<String> {
        why(Superseded::prove(&subject(&self.old), self.chain.state(), &self.measured).map(Proof::Superseded))
    }

    fn forget(&mut self, segment: &Segment) {
        self.measured.segments.remove(&(table().key(), segment.path.clone()));
    }

    fn damage(&mut self, segment: &Segment) {
        self.measured.segments.insert((table().key(), segment.path.clone()), "other".into());
    }

    fn gate(&self, proof: &Proof, armed: Armed) -> Option<String> {
        can_destroy(subject(&self.old), proof, self.chain.state(), armed).err().map(|blocked| blocked.reason)
    }

    fn hold(&mut self, from: &str) {
        let scope = HoldScope { tables: vec![table()], from: Some(day(from)), ..HoldScope::default() };
        let text = SealedRef { sha256: "s".into() };
        self.append(Body::HoldPlaced { hold: "h1".into(), scope, text }, "2024-03-20");
    }
}

fn why(proof: Result<Proof, Blocked>) -> Option<String> {
    proof.err().map(|blocked| blocked.reason)
}

fn ground(of: &Segment, approved: bool) -> Ground {
    Ground {
        table: table(),
        keeping: Keeping::Archive,
        path: of.path.clone(),
        day: of.day,
        part: of.part.clone(),
        bytes: of.bytes,
        sha256: of.sha256.clone(),
        digest: of.digest,
        file: "p.toml".into(),
        line: 2,
        rule: "p.toml:Signin".into(),
        rule_digest: String::new(),
        policy: String::new(),
        expires: day("2024-03-12"),
        destroy_at: day(if approved { "2024-03-23" } else { "2024-03-15" }),
        approved,
    }
}

#[test]
fn a_retired_segment_goes_on_its_date_and_not_a_day_before() {
    let story = Story::retired("2024-03-12", false);
    assert_eq!(story.old_stays(&term(), "2024-03-15"), None);
    assert_eq!(story.old_stays(&term(), "2024-03-14").unwrap(), "its destroy date is 2024-03-15");
    let longer = term_of(&[("2024-01-01", "retain = \"20d\"\npurge_delay = \"3d\"")]);
    assert_eq!(story.old_stays(&longer, "2024-03-15").unwrap(), "its rule keeps it until 2024-03-22");
    let forever = term_of(&[("2024-01-01", "retain = \"forever\"")]);
    assert_eq!(story.old_stays(&forever, "2124-03-15").unwrap(), "its rule keeps it until never");
}

/// The date that was named at the retirement stands: whoever consented has the whole purge delay to think again.
#[test]
fn what_was_approved_waits_from_its_retirement_on() {
    let story = Story::retired("2024-03-20", true);
    assert_eq!(story.old_stays(&term(), "2024-03-22").unwrap(), "its destroy date is 2024-03-23");
    assert_eq!(story.old_stays(&term(), "2024-03-23"), None);
    assert_eq!(Story::retired("2024-03-20", false).old_stays(&term(), "2024-03-20"), None);
}

/// What an earlier rule protects waits out its grace, whatever was retired when.
#[test]
fn an_earlier_rule_protects_for_its_grace() {
    let story = Story::retired("2024-03-12", false);
    let long = POLICY.replace("10d", "100d");
    let shortened = term_of(&[("2024-01-01", &long), ("2024-03-11", POLICY)]);
    // 30 days from 01:00 on the 11th end within the 10th.
    assert_eq!(story.old_stays(&shortened, "2024-04-10").unwrap(), "its rule keeps it until 2024-04-11");
    assert_eq!(story.old_stays(&shortened, "2024-04-11"), None);
    let other_clock = POLICY.to_owned() + "\nclock = \"arrival\"";
    let changed = term_of(&[("2024-01-01", &other_clock), ("2024-03-11", POLICY)]);
    assert!(story.old_stays(&changed, "2024-04-10").is_some());
}

#[test]
fn what_is_in_its_table_or_unknown_stays() {
    let story = Story::new();
    assert_eq!(story.old_stays(&term(), "2024-06-01").unwrap(), "it is in its table");
    let unknown = subject(&segment("unknown", OLD));
    assert_eq!(why(story.expired(&unknown, &term(), "2024-06-01")).unwrap(), "the ledger does not know it as retired");
    let mut elsewhere = subject(&story.old);
    if let Subject::Segment { path, .. } = &mut elsewhere {
        *path = "tables/main/Other/a.parquet".into();
    }
    assert_eq!(why(story.expired(&elsewhere, &term(), "2024-06-01")).unwrap(), "it does not lie in its table");
    if let Subject::Segment { table, .. } = &mut elsewhere {
        *table = TableName::new("main", "Other");
    }
    assert_eq!(why(story.expired(&elsewhere, &term(), "2024-06-01")).unwrap(), "the ledger does not know its table");
}

/// A foreign commit may have put it back; a table that others wrote to is not measured at all.
#[test]
fn what_the_table_shows_or_cannot_show_stays() {
    let mut story = Story::retired("2024-03-12", false);
    let path = story.old.path.clone();
    story.measured.live.get_mut(&table().key()).unwrap().insert(path);
    assert_eq!(story.old_stays(&term(), "2024-06-01").unwrap(), "its table still shows it");
    story.measured.live.clear();
    assert_eq!(story.old_stays(&term(), "2024-06-01").unwrap(), "its table could not be read");
}

#[test]
fn other_bytes_stay_and_what_is_gone_is_no_matter() {
    let mut story = Story::retired("2024-03-12", false);
    let old = story.old.clone();
    story.damage(&old);
    assert_eq!(story.old_stays(&term(), "2024-06-01").unwrap(), "its bytes are not those that were written");
    story.forget(&old);
    assert_eq!(story.old_stays(&term(), "2024-06-01"), None);
    let mut other = subject(&old);
    if let Subject::Segment { sha256, .. } = &mut other {
        *sha256 = "sha-of-another".into();
    }
    assert_eq!(why(story.expired(&other, &term(), "2024-06-01")).unwrap(), "the ledger knows it with other bytes");
}

#[test]
fn arms_holds_and_news_stop_what_has_expired() {
    let mut story = Story::retired("2024-03-12", false);
    let proof = story.expired(&subject(&story.old), &term(), "2024-06-01").unwrap();
    assert_eq!(story.gate(&proof, ARMED), None);
    let unarmed = story.gate(&proof, Armed { raw: true, expired: false }).unwrap();
    assert_eq!(unarmed, "destroying what has expired is not armed ([delete] expired)");
    let young = can_destroy(subject(&story.young), &proof, story.chain.state(), ARMED).unwrap_err();
    assert!(young.reason.starts_with("the proof is not about segment"), "{}", young.reason);
    story.hold("2024-03-02");
    assert_eq!(story.gate(&proof, ARMED).unwrap(), "the ledger has moved on since the proof was made");
    let proof = story.expired(&subject(&story.old), &term(), "2024-06-01").unwrap();
    assert_eq!(story.gate(&proof, ARMED), None, "the hold begins a day later");
    story.hold(OLD);
    let proof = story.expired(&subject(&story.old), &term(), "2024-06-01").unwrap();
    assert_eq!(story.gate(&proof, ARMED).unwrap(), "hold h1 covers it");
}

#[test]
fn what_a_merge_wrote_anew_goes_only_for_that() {
    let (story, _) = Story::merged();
    assert_eq!(story.superseded(), None);
    let expired = story.old_stays(&term(), "2024-06-01").unwrap();
    assert_eq!(expired, "it did not leave its table because it expired");
    let retired = Story::retired("2024-03-12", false);
    assert_eq!(retired.superseded().unwrap(), "no merge wrote its rows anew");
    assert_eq!(Story::new().superseded().unwrap(), "it is in its table");
}

/// Its rows must stand elsewhere, and in the table.
#[test]
fn what_a_merge_wrote_anew_stays_unless_the_new_one_stands() {
    let (mut story, anew) = Story::merged();
    story.damage(&anew);
    assert!(story.superseded().unwrap().ends_with("is not what was written"));
    story.forget(&anew);
    assert!(story.superseded().unwrap().ends_with("is not there"));
    let (mut story, anew) = Story::merged();
    story.measured.live.get_mut(&table().key()).unwrap().remove(&anew.path);
    assert!(story.superseded().unwrap().ends_with("is not in its table"));
    let (mut story, _) = Story::merged();
    let old = story.old.clone();
    story.measured.live.get_mut(&table().key()).unwrap().insert(old.path.clone());
    assert_eq!(story.superseded().unwrap(), "its table still shows it");
    let (mut story, _) = Story::merged();
    story.damage(&old);
    assert_eq!(story.superseded().unwrap(), "its bytes are not those that were written");
}

/// A batch from its intent to its commit that read one object and kept one file of quarantine.
fn read(story: &mut Story, stays_raw: bool) -> Subject {
    let inputs = story.chain.attach(Vec::<String>::new()).unwrap();
    let tables = vec![table()];
    story.append(Body::BatchIntended { batch: "q".into(), purpose: Purpose::Archive, tables, inputs }, "2024-03-10");
    let outcome = ObjectOutcome {
        source: "collector".into(),
        path: "Signin/a.json".into(),
        table: table(),
        size: 3,
        modified: at("2024-03-02"),
        etag: None,
        from: 0,
        continues: None,
        resume: 3,
        sha256: "raw".into(),
        counts: Counts::default(),
        duplicate_of: None,
        unreadable: None,
        last_day: stays_raw.then(|| day(OLD)),
    };
    let objects = story.chain.attach([outcome]).unwrap();
    let file = QuarantineFile {
        table: table(),
        data: "quarantine/main/Signin/q.data".into(),
        data_sha256: "data".into(),
        index: "quarantine/main/Signin/q.jsonl".into(),
        index_sha256: "index".into(),
        records: 1,
        bytes: 3,
    };
    story.measured.files.insert(file.data.clone(), "data".into());
    story.measured.files.insert(file.index.clone(), "index".into());
    let (quarantine, counts) = (vec![file], Counts::default());
    story.append(
        Body::BatchPrepared { batch: "q".into(), tables: Vec::new(), objects, quarantine, counts },
        "2024-03-10",
    );
    story.append(Body::BatchCommitted { batch: "q".into(), tables: Vec::new() }, "2024-03-10");
    let (source, path) = ("collector".to_owned(), "Signin/a.json".to_owned());
    Subject::Raw { source, path, table: table(), size: 3, sha256: "raw".into(), batch: "q".into() }
}

#[test]
fn a_raw_object_goes_as_expired_only_where_it_was_to_stay_raw() {
    let raw_only = term_of(&[("2024-01-01", &(POLICY.to_owned() + "\narchive = false"))]);
    let mut story = Story::new();
    let raw = read(&mut story, true);
    assert_eq!(why(story.expired(&raw, &raw_only, "2024-03-15")), None);
    assert_eq!(why(story.expired(&raw, &raw_only, "2024-03-14")).unwrap(), "its destroy date is 2024-03-15");
    assert_eq!(why(story.expired(&raw, &term(), "2024-06-01")).unwrap(), "it is not one that stays raw");
    story.measured.files.insert("quarantine/main/Signin/q.data".into(), "other".into());
    let reason = why(story.expired(&raw, &raw_only, "2024-06-01")).unwrap();
    assert_eq!(reason, "quarantine file quarantine/main/Signin/q.data is not what was written");
    let mut story = Story::new();
    let raw = read(&mut story, false);
    assert_eq!(why(story.expired(&raw, &raw_only, "2024-06-01")).unwrap(), "it is not one that stays raw");
}

#[test]
fn quarantine_goes_on_its_own_date_both_files_or_none() {
    let mut story = Story::new();
    read(&mut story, false);
    for (path, other) in [("q.data", "q.jsonl"), ("q.jsonl", "q.data")] {
        let file = |name: &str| format!("quarantine/main/Signin/{name}");
        let subject = Subject::Quarantine { table: table(), path: file(path), batch: "q".into() };
        // It arrived on the 10th.
        assert_eq!(why(story.expired(&subject, &term(), "2024-03-16")).unwrap(), "its destroy date is 2024-03-17");
        assert_eq!(why(story.expired(&subject, &term(), "2024-03-17")), None);
        for harmed in [path, other] {
            let was = story.measured.files.insert(file(harmed), "other".into()).unwrap();
            let reason = why(story.expired(&subject, &term(), "2024-06-01")).unwrap();
            assert_eq!(reason, "its bytes are not those that were written", "{path} with {harmed} harmed");
            story.measured.files.insert(file(harmed), was);
        }
    }
    let unknown =
        Subject::Quarantine { table: table(), path: "quarantine/main/Signin/x.data".into(), batch: "q".into() };
    assert_eq!(why(story.expired(&unknown, &term(), "2024-06-01")).unwrap(), "the ledger does not know it");
    let upload = Subject::Partial { path: "x".into(), batch: "q".into() };
    assert_eq!(why(story.expired(&upload, &term(), "2024-06-01")).unwrap(), "it has no date of its own");
}

#[test]
fn a_log_file_goes_only_when_a_checkpoint_says_what_it_says() {
    let mut story = Story::retired("2024-03-12", false);
    let log = |name: &str| format!("tables/main/Signin/_delta_log/{name}");
    let prove = |story: &Story, name: &str| {
        let subject = Subject::DeltaLog { table: table(), path: log(name) };
        why(ObsoleteLog::prove(&subject, story.chain.state(), &story.measured).map(Proof::ObsoleteLog))
    };
    let (first, second) = (format!("{:020}.json", 0), format!("{:020}.json", 1));
    assert_eq!(prove(&story, &first).unwrap(), "no checkpoint is known");
    let checkpoint = format!("{:020}.checkpoint.parquet", 1);
    story.append(Body::CheckpointWritten { table: table(), version: 1, sha256: "check".into() }, "2024-03-12");
    assert_eq!(prove(&story, &first).unwrap(), "the checkpoint is not what was written");
    story.measured.files.insert(log(&checkpoint), "other".into());
    assert_eq!(prove(&story, &first).unwrap(), "the checkpoint is not what was written");
    story.measured.files.insert(log(&checkpoint), "check".into());
    assert_eq!(prove(&story, &first), None);
    assert_eq!(prove(&story, &second).unwrap(), "the newest checkpoint is of version 1");
    assert_eq!(prove(&story, &checkpoint).unwrap(), "the newest checkpoint is of version 1");
    assert_eq!(prove(&story, "_last_checkpoint").unwrap(), "it is no commit and no checkpoint");
    // Others added a segment, or took one.
    let shown = story.measured.live[&table().key()].clone();
    story.measured.live.get_mut(&table().key()).unwrap().insert("foreign.parquet".into());
    assert_eq!(prove(&story, &first).unwrap(), "the table does not show just what the ledger knows");
    story.measured.live.get_mut(&table().key()).unwrap().clear();
    assert_eq!(prove(&story, &first).unwrap(), "the table does not show just what the ledger knows");
    story.measured.live.clear();
    assert!(prove(&story, &first).is_some());
    story.measured.live.insert(table().key(), shown);
    // A hold protects records, not logs; the arm is needed.
    story.hold(OLD);
    let subject = Subject::DeltaLog { table: table(), path: log(&first) };
    let proof = ObsoleteLog::prove(&subject, story.chain.state(), &story.measured).map(Proof::ObsoleteLog).unwrap();
    assert!(can_destroy(subject.clone(), &proof, story.chain.state(), ARMED).is_ok());
    assert!(can_destroy(subject, &proof, story.chain.state(), Armed { raw: true, expired: false }).is_err());
}

/// I4: its filters and its footer would still tell of values that are gone.
#[test]
fn no_segment_goes_while_an_index_names_it() {
    let key = (table().key(), Month::of(day(OLD)));
    let (merged, _) = Story::merged();
    for (mut story, superseded) in [(Story::retired("2024-03-12", false), false), (merged, true)] {
        let prove =
            |story: &Story| if superseded { story.superseded() } else { story.old_stays(&term(), "2024-03-15") };
        assert_eq!(prove(&story), None);
        let named = [story.old.path.clone(), story.young.path.clone()].into();
        story.measured.indexed.insert(key.clone(), named);
        assert_eq!(prove(&story).unwrap(), "the index of its month still names it");
        story.measured.indexed.insert(key.clone(), [story.young.path.clone()].into());
        assert_eq!(prove(&story), None);
        story.measured.indexed.remove(&key);
        assert_eq!(prove(&story).unwrap(), "the index of its month could not be read");
    }
}

#[test]
fn an_index_goes_only_when_its_month_has_no_segment() {
    let mut story = Story::retired("2024-03-12", false);
    let prove = |story: &Story, path: &str| {
        let subject = Subject::Index { table: table(), path: format!("tables/main/Signin/{path}") };
        let proof = ObsoleteLog::prove(&subject, story.chain.state(), &story.measured).map(Proof::ObsoleteLog);
        let unarmed = Armed { raw: true, expired: false };
        let gate = |proof: Proof| {
            assert!(can_destroy(subject.clone(), &proof, story.chain.state(), unarmed).is_err());
            can_destroy(subject.clone(), &proof, story.chain.state(), ARMED).map(drop)
        };
        proof.and_then(gate).err().map(|blocked| blocked.reason)
    };
    // The young one lies in the same month.
    assert_eq!(prove(&story, "_index/2024-03.hfi").unwrap(), "its month has segments");
    assert_eq!(prove(&story, "_index/2024-02.hfi"), None);
    for other in ["_index/months.json", "_index/2024-2.hfi", "_index/x/2024-02.hfi", "_delta_log/2024-02.hfi"] {
        assert_eq!(prove(&story, other).unwrap(), "it is no index of its table", "{other}");
    }
    let elsewhere = Subject::Index { table: table(), path: "tables/main/Other/_index/2024-02.hfi".into() };
    assert!(ObsoleteLog::prove(&elsewhere, story.chain.state(), &story.measured).is_err());
    let young = story.young.clone();
    story.batch("y", Purpose::Retire, Vec::new(), vec![&young], vec![ground(&young, false)], "2024-03-25");
    assert_eq!(prove(&story, "_index/2024-03.hfi"), None);
    // A hold protects records, not what was made of them.
    story.hold(OLD);
    assert_eq!(prove(&story, "_index/2024-03.hfi"), None);
}
