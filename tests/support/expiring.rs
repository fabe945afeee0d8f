//! What a person does to a [`Site`] beside running it: plan, approve, put back, hold, adopt, look for traces.

use std::collections::BTreeMap;
use std::fs;

use holdfast::error::Result;
use holdfast::ledger::{Armed, Body, Chain, HoldScope};
use holdfast::names::TableName;
use holdfast::pipeline::{self, Adoption, Approved, Request, RunReport};
use holdfast::plan::{DayVerdict, PlanDocument};
use holdfast::verify::{Verification, verify};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::site::{Site, bytes_below, columns_of};

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// All keys of `[defaults]`, and raw objects cleared at once.
pub fn defaults(keys: &str) -> String {
    format!("version = 1\n[defaults]\narchive_after = \"0d\"\nkeep_raw = \"0d\"\n{keys}\n")
}

/// Days of verdicts, as text.
pub fn days(verdicts: &[DayVerdict]) -> Vec<String> {
    verdicts.iter().map(|verdict| verdict.item.day.to_string()).collect()
}

/// A record of that time.
pub fn record(time: &str, number: u32) -> String {
    format!("{{\"TimeGenerated\":\"{time}\",\"n\":{number}}}\n")
}

impl Site {
    /// Everything is armed, under this policy.
    pub fn expiring(mut self, policy: &str) -> Self {
        self.armed = Armed { raw: true, expired: true };
        self.with_policy(policy)
    }

    /// One raw object with one record, at ten o'clock of a day.
    pub fn write_day(&self, table: &str, day: &str) {
        let path = format!("{table}/{}/10/a.json", day.replace('-', "/"));
        self.write(&path, record(&format!("{day}T10:00:00Z"), 1));
    }

    pub fn write_days(&self, table: &str, days: &[&str]) {
        days.iter().for_each(|day| self.write_day(table, day));
    }

    /// Runs at `now` on a host whose clock says otherwise.
    pub fn run_on_host(&self, now: &str, host: &str) -> RunReport {
        pipeline::run(&self.context(), &Request::all(at(now)), at(host)).unwrap()
    }

    pub fn plan(&self, now: &str) -> PlanDocument {
        pipeline::plan(&self.context(), &Request::all(at(now)), at(now)).unwrap().document
    }

    /// `by` consents at `now` to this plan.
    pub fn approve_plan(&self, plan: &PlanDocument, now: &str, by: &str) -> Result<Approved> {
        let bytes = serde_json::to_vec(plan).unwrap();
        pipeline::approve(&self.context(), &bytes, by, "a story", |_| at(now))
    }

    /// `by` consents at `now` to all that asks then.
    pub fn approve(&self, now: &str, by: &str) -> Approved {
        self.approve_plan(&self.plan(now), now, by).unwrap()
    }

    /// Puts a retired day of main/T back.
    pub fn reinstate(&self, day: &str, now: &str) -> Result<Vec<DayVerdict>> {
        let day: Date = day.parse().unwrap();
        pipeline::reinstate_day(&self.context(), &TableName::new("main", "T"), day, at(now))
    }

    /// Takes over what others did to main/T.
    pub fn adopt(&self, now: &str) -> Result<Adoption> {
        pipeline::adopt(&self.context(), &TableName::new("main", "T"), "a story", at(now))
    }

    /// A hold on main/T.
    pub fn hold(&self, now: &str) {
        let scope = HoldScope { tables: vec![TableName::new("main", "T")], ..HoldScope::default() };
        self.append_entry(now, |chain| Body::HoldPlaced {
            hold: "case-1".into(),
            scope,
            text: chain.seal("a case").unwrap(),
        });
    }

    pub fn release(&self, now: &str) {
        self.append_entry(now, |chain| Body::HoldReleased { hold: "case-1".into(), text: chain.seal("over").unwrap() });
    }

    fn append_entry(&self, now: &str, body: impl FnOnce(&Chain) -> Body) {
        let mut chain = self.chain();
        let body = body(&chain);
        chain.append_or_end(at(now), body).unwrap();
    }

    pub fn verify(&self) -> Verification {
        let context = self.context();
        let sources: BTreeMap<_, _> = context.source_stores();
        verify(&context.archive, &context.ledger, &sources, 1).unwrap()
    }

    /// Verifies, and nothing is wrong.
    pub fn verify_well(&self) {
        let found = self.verify();
        assert_eq!(found.exit_code(), 0, "{:?} {:?}", found.damage, found.foreign);
        assert!(found.notes.is_empty(), "{:?}", found.notes);
    }

    /// The paths of a table's segments that lie there, live or not, in its folder.
    pub fn segment_paths(&self, table: &str) -> Vec<String> {
        let root = self.path().join("archive/tables").join(table);
        let paths = self.segments(table);
        paths.iter().map(|path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned()).collect()
    }

    /// The files of the archive, the ledger apart, that name any of these; checkpoints are looked into.
    pub fn that_name(&self, needles: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        for folder in ["tables", "quarantine"] {
            for (path, bytes) in bytes_below(&self.path().join("archive").join(folder)) {
                let mut text = String::from_utf8_lossy(&bytes).into_owned() + &path.to_string_lossy();
                if path.to_string_lossy().ends_with(".checkpoint.parquet") {
                    for column in ["add", "remove"] {
                        text.extend(columns_of(std::slice::from_ref(&path), column).into_iter().flatten());
                    }
                }
                // Delta escapes what stands in a path.
                let text = text.replace("%3D", "=");
                if needles.iter().any(|needle| text.contains(needle.as_str())) {
                    found.push(path.display().to_string());
                }
            }
        }
        found
    }

    /// Commits these actions to main/T by hand, as another tool would. Gives the commit's version.
    pub fn commit_by_hand(&self, actions: &[serde_json::Value]) -> u64 {
        let log = self.path().join("archive/tables/main/T/_delta_log");
        let there = |version: &u64| log.join(format!("{version:020}.json")).exists();
        let version = self.chain().state().tables["main/t"].version;
        let version = (version..).take_while(there).last().unwrap() + 1;
        let lines: Vec<String> = actions.iter().map(ToString::to_string).collect();
        fs::write(log.join(format!("{version:020}.json")), lines.join("\n") + "\n").unwrap();
        version
    }

    /// The `add` action of a day of main/T, as our commit wrote it.
    pub fn add_action(&self, day: &str) -> serde_json::Value {
        let files = bytes_below(&self.path().join("archive/tables/main/T/_delta_log"));
        let commits = files.iter().filter(|(path, _)| path.extension().is_some_and(|ending| ending == "json"));
        let lines = commits
            .flat_map(|(_, bytes)| String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>());
        let mut actions = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap());
        let of_day = |action: &serde_json::Value| action["add"]["partitionValues"]["_hf_day"] == day;
        actions.rfind(of_day).unwrap()["add"].clone()
    }
}
