//! An archive, a ledger and one source in memory, for this module's tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use tokio::runtime::Runtime;
use url::Url;

use super::archive::{Archived, archive_step};
use super::context::{Context, Source, Unwatched};
use super::run::new_nonce;
use crate::error::Result;
use crate::ledger::{Armed, Body, Chain, FORMAT, Lease};
use crate::names::TableName;
use crate::plan::{Allowance, Consents, Inputs, Intake, Only, Terms, decide};
use crate::policy::{History, PolicyFile, PolicySet, Rule};
use crate::source::{DiscoverOptions, Layout, discover};
use crate::storage::Store;

const SOURCE: &str = "collector";

#[derive(Debug)]
struct FreeLease;

impl Lease for FreeLease {}

/// A Holdfast that keeps nothing beyond the test.
pub(super) struct House {
    pub(super) context: Context,
    pub(super) chain: Chain,
    _runtime: Runtime,
}

impl House {
    pub(super) fn new(policy: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let store = |name: &str| {
            let url = Url::parse(&format!("memory:///{name}/")).unwrap();
            Store::new(url, Arc::new(InMemory::new()), runtime.handle().clone())
        };
        let count = AtomicU64::new(0);
        let policy = PolicyFile { name: "p.toml".into(), text: format!("version = 1\n{policy}") };
        let context = Context {
            archive: store("archive"),
            ledger: store("ledger"),
            sources: vec![Source {
                name: SOURCE.into(),
                workspace: "main".into(),
                settle: SignedDuration::ZERO,
                layout: Layout::parse("{table}/{year}/{month}/{day}/*").unwrap(),
                store: Ok(store(SOURCE)),
            }],
            policies: Ok(PolicySet::from_files(vec![policy]).unwrap()),
            armed: Armed { raw: true, expired: true },
            window: None,
            approvers: 1,
            store_clock: Box::new(|| Ok(None)),
            simulation: true,
            memory: 64 << 20,
            zstd_level: 3,
            threads: 1,
            take_lease: Box::new(|| Ok(Box::new(FreeLease))),
            ids: Box::new(move || format!("id{}", count.fetch_add(1, Ordering::Relaxed))),
            host: "test".into(),
            progress: Box::new(Unwatched),
            stop: Arc::default(),
        };
        let mut chain = Chain::open(context.ledger.clone(), "run", Box::new(new_nonce(&context))).unwrap();
        let created = Body::Created { archive: "a".into(), format: FORMAT, simulation: true };
        chain.append_or_end(at("2024-01-01T00:00:00Z"), created).unwrap();
        House { context, chain, _runtime: runtime }
    }

    /// Writes a raw object, in place of the one that has this path.
    pub(super) fn write(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        let store = self.context.sources[0].store.as_ref().unwrap();
        store.wait(store.inner().put(&Path::from(path), PutPayload::from(bytes.into()))).unwrap();
    }

    pub(super) fn rule(&self, table: &TableName) -> Rule {
        self.context.policies.as_ref().unwrap().rule_for(table).unwrap()
    }

    /// Archives all that lies there and is not known, a batch for each table.
    pub(super) fn archive(&mut self, intake: Intake, now: &str) -> Vec<Result<Archived>> {
        let now = at(now);
        let source = &self.context.sources[0];
        let options = DiscoverOptions { name: SOURCE.into(), workspace: "main".into(), settle: SignedDuration::ZERO };
        let found = discover(source.store.as_ref().unwrap(), &options, &source.layout, now).unwrap();
        let mut file = self.context.policies.as_ref().unwrap().files()[0].clone();
        if intake.stays_raw {
            file.text += "\narchive = false\n";
        }
        let policies = PolicySet::from_files(vec![file]).unwrap();
        let history = History::new(vec![(now, policies)]);
        let terms = Terms::new(&history);
        let plan = decide(&Inputs {
            objects: &found.objects,
            terms: &terms,
            state: self.chain.state(),
            allowance: &Allowance { armed: self.context.armed, shut: None },
            consents: &Consents::default(),
            stopped: &BTreeMap::new(),
            now,
            only: &Only::default(),
            batch_bytes: u64::MAX,
        });
        let mut done = Vec::new();
        for archiving in &plan.archive {
            let rule = self.rule(&archiving.table);
            let armed = self.context.armed;
            done.push(archive_step(&self.context, &mut self.chain, archiving, &rule, intake, armed, now));
        }
        done
    }
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// One record of `main/<any table>` at that time.
pub(super) fn record(time: &str, number: u32) -> String {
    format!("{{\"TimeGenerated\":\"{time}\",\"number\":{number}}}\n")
}
