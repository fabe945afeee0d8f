//! I3: one gate before every deletion. Unarmed, too early, under a hold, unproven or overtaken: no.

mod expired;

use std::collections::HashSet;
use std::sync::Arc;

use holdfast::gate::{ArchivedVerified, Blocked, Measured, NeverCommitted, Proof, can_destroy};
use holdfast::ledger::{
    Armed, Body, Chain, Counts, FORMAT, HoldScope, ObjectId, ObjectOutcome, Purpose, SealedRef, Subject,
};
use holdfast::names::TableName;
use holdfast::storage::Store;
use jiff::Timestamp;
use object_store::memory::InMemory;
use tokio::runtime::Runtime;

const RAW: Armed = Armed { raw: true, expired: false };

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2024-03-10T00:00:00Z")
}

fn id() -> ObjectId {
    ObjectId { source: "collector".into(), path: "Signin/empty.json".into() }
}

/// A ledger in which a batch has read one object without a record.
struct Story {
    chain: Chain,
    _runtime: Runtime,
}

impl Story {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let url = "memory:///".parse().unwrap();
        let store = Store::new(url, Arc::new(InMemory::new()), runtime.handle().clone());
        let mut story = Story { chain: Chain::open(store, "run", Box::new(String::new)).unwrap(), _runtime: runtime };
        story.append(Body::Created { archive: "a".into(), format: FORMAT, simulation: true });
        let inputs = story.chain.attach(Vec::<String>::new()).unwrap();
        let tables = vec![TableName::new("main", "Signin")];
        story.append(Body::BatchIntended { batch: "b1".into(), purpose: Purpose::Archive, tables, inputs });
        let outcome = ObjectOutcome {
            source: id().source,
            path: id().path,
            table: TableName::new("main", "Signin"),
            size: 0,
            modified: now(),
            etag: None,
            from: 0,
            continues: None,
            resume: 0,
            sha256: "00".into(),
            counts: Counts::default(),
            duplicate_of: None,
            unreadable: None,
            last_day: None,
        };
        let objects = story.chain.attach([outcome]).unwrap();
        let (quarantine, counts) = (Vec::new(), Counts::default());
        story.append(Body::BatchPrepared { batch: "b1".into(), tables: Vec::new(), objects, quarantine, counts });
        story
    }

    fn committed() -> Self {
        let mut story = Self::new();
        story.append(Body::BatchCommitted { batch: "b1".into(), tables: Vec::new() });
        story
    }

    fn append(&mut self, body: Body) {
        self.chain.append_or_end(now(), body).unwrap();
    }

    fn prove(&self, keep_until: &str) -> Result<Proof, Blocked> {
        ArchivedVerified::prove(&id(), self.chain.state(), &Measured::default(), at(keep_until), now())
            .map(Proof::ArchivedVerified)
    }

    /// Why the gate keeps the object; `None`: it lets it go.
    fn kept(&self, proof: &Proof, armed: Armed) -> Option<String> {
        can_destroy(subject("00"), proof, self.chain.state(), armed).err().map(|blocked| blocked.reason)
    }
}

fn subject(sha256: &str) -> Subject {
    Subject::Raw {
        source: id().source,
        path: id().path,
        table: TableName::new("main", "signin"),
        size: 0,
        sha256: sha256.into(),
        batch: "b1".into(),
    }
}

fn hold(tables: &[&str]) -> Body {
    let tables = tables.iter().map(|table| TableName::new("main", *table)).collect();
    let scope = HoldScope { tables, ..HoldScope::default() };
    Body::HoldPlaced { hold: "h1".into(), scope, text: SealedRef { sha256: "s".into() } }
}

#[test]
fn what_is_archived_and_due_may_go_if_armed() {
    let story = Story::committed();
    let proof = story.prove("2024-03-10T00:00:00Z").unwrap();
    assert_eq!(story.kept(&proof, RAW), None);
    assert_eq!(story.kept(&proof, Armed::default()).unwrap(), "clearing raw objects is not armed ([delete] raw)");
    assert!(story.kept(&proof, Armed { raw: false, expired: true }).is_some());
}

#[test]
fn nothing_is_proven_early_or_of_what_is_not_committed() {
    let reason = |proof: Result<Proof, Blocked>| proof.unwrap_err().reason;
    assert!(reason(Story::committed().prove("2024-03-10T00:00:01Z")).contains("keep_raw keeps it"));
    assert_eq!(reason(Story::new().prove("2024-03-01T00:00:00Z")), "the ledger does not know it");
}

#[test]
fn a_proof_is_about_one_object_and_its_bytes() {
    let story = Story::committed();
    let proof = story.prove("2024-03-01T00:00:00Z").unwrap();
    let other = can_destroy(subject("11"), &proof, story.chain.state(), RAW).unwrap_err();
    assert!(other.reason.contains("not about raw object collector:Signin/empty.json"), "{}", other.reason);
    let upload = Subject::Partial { path: "Signin/empty.json".into(), batch: "b1".into() };
    assert!(can_destroy(upload, &proof, story.chain.state(), RAW).is_err());
}

#[test]
fn a_hold_beats_every_deletion_of_what_it_covers() {
    for (tables, covers) in [(vec!["SIGNIN"], true), (vec![], true), (vec!["Other"], false)] {
        let mut story = Story::committed();
        story.append(hold(&tables));
        let proof = story.prove("2024-03-01T00:00:00Z").unwrap();
        assert_eq!(story.kept(&proof, RAW), covers.then(|| "hold h1 covers it".to_owned()), "{tables:?}");
        story.append(Body::HoldReleased { hold: "h1".into(), text: SealedRef { sha256: "s".into() } });
        let proof = story.prove("2024-03-01T00:00:00Z").unwrap();
        assert_eq!(story.kept(&proof, RAW), None);
    }
}

/// A hold that comes between the proof and the gate is seen.
#[test]
fn a_proof_is_good_for_one_state_only() {
    let mut story = Story::committed();
    let proof = story.prove("2024-03-01T00:00:00Z").unwrap();
    story.append(hold(&["Other"]));
    assert_eq!(story.kept(&proof, RAW).unwrap(), "the ledger has moved on since the proof was made");
}

#[test]
fn only_uploads_of_abandoned_batches_belong_to_nothing() {
    let mut story = Story::new();
    let prove = |story: &Story, path: &str, live: &[&str]| {
        let live: HashSet<String> = live.iter().map(ToString::to_string).collect();
        NeverCommitted::prove_upload(path, "b2", story.chain.state(), &live)
            .map(|_| ())
            .map_err(|blocked| blocked.reason)
    };
    assert_eq!(prove(&story, "t/b2-0.parquet", &[]).unwrap_err(), "batch b2 is not ours");
    let inputs = story.chain.attach(["x"]).unwrap();
    story.append(Body::BatchIntended { batch: "b2".into(), purpose: Purpose::Archive, tables: Vec::new(), inputs });
    assert_eq!(prove(&story, "t/b2-0.parquet", &[]).unwrap_err(), "batch b2 was not abandoned");
    story.append(Body::BatchAbandoned { batch: "b2".into(), reason: "killed".into() });
    assert_eq!(prove(&story, "t/b2-0.parquet", &[]), Ok(()));
    assert_eq!(prove(&story, "t/b2-0.parquet", &["t/b2-0.parquet"]).unwrap_err(), "a snapshot names it");
    assert_eq!(prove(&story, "t/b1-0.parquet", &[]).unwrap_err(), "its name does not carry batch b2");
}

#[test]
fn an_attachment_that_an_entry_names_stays() {
    let story = Story::new();
    let named = story.chain.state().attachments.iter().next().unwrap().clone();
    assert_eq!(NeverCommitted::prove_attachment(&named, story.chain.state()).unwrap_err().reason, "an entry names it");
    assert!(NeverCommitted::prove_attachment("ff", story.chain.state()).is_ok());
}
