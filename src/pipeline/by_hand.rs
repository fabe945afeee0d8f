//! What a person does to a table by command: put a retired day back, or take over what others committed. Both need the
//! lease, settle first what a killed run left, and destroy nothing.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;

use super::context::{Context, Request};
use super::deciding::{Deciding, governing, history};
use super::destroy::Stores;
use super::expire::decide as decide_expiry;
use super::index::keep_up;
use super::inventory::write_inventory;
use super::measure::{Measurer, check_log};
use super::membership::{Step, reinstate};
use super::read_back::read_back;
use super::recover::recover;
use super::run::new_nonce;
use super::witness::check_witnesses;
use crate::archive::schema::TableSchema;
use crate::archive::{DAY, PART, Table, catalogue, commit_path, segment_location};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Armed, Body, Chain, CommittedTable, KnownTable, Segment, TableDetail, sha256_hex};
use crate::names::TableName;
use crate::plan::{Allowance, DayVerdict, Fate, Only, Terms};
use crate::record::SetDigest;

/// What others did to a table, taken over.
#[derive(Debug, Serialize)]
pub struct Adoption {
    pub table: String,
    /// Delta versions.
    pub commits: Vec<u64>,
    pub added: Vec<String>,
    /// They stay until their own date.
    pub removed: Vec<String>,
    pub rows_added: u64,
    pub rows_removed: u64,
    /// The rows that were added are just those that were removed.
    pub same_rows: bool,
}

/// Puts a retired day of `table` back. It is not retired again without an approval.
pub fn reinstate_day(context: &Context, table: &TableName, day: Date, now: Timestamp) -> Result<Vec<DayVerdict>> {
    let attempted = format!("reinstating {day} of {table}");
    let mut chain = begin(context, now)?;
    let policies = governing(context, &chain)?.set;
    let history = history(&chain, &policies, now)?;
    let terms = Terms::new(&history);
    let deciding = Deciding {
        objects: &[],
        terms: &terms,
        allowance: Allowance::default(),
        only: Only::from(&Request::all(now)),
        now,
        policy: policies.digest(),
        stopped: std::collections::BTreeMap::new(),
    };
    let mut measurer = Measurer::default();
    let done = loop {
        let plan = decide_expiry(context, &chain, &deciding)?;
        let out = |verdict: &&DayVerdict| {
            verdict.item.table == *table
                && verdict.item.day == day
                && matches!(verdict.fate, Fate::Retired | Fate::Destroy | Fate::Reinstate)
                && verdict.item.keeping == crate::ledger::Keeping::Archive
        };
        let retired: Vec<&DayVerdict> = plan.days.iter().filter(out).collect();
        let Some(first) = retired.first() else {
            end(context, &mut chain, now)?;
            return Err(Error::new(Kind::Usage, attempted, "nothing of that day is retired")
                .with_hint("`holdfast why TABLE DAY` says what became of it"));
        };
        let name = first.item.table.clone();
        if reinstate(context, &mut chain, &name, &retired, true, &mut measurer, now)? == Step::Done {
            break retired.into_iter().cloned().collect();
        }
    };
    end(context, &mut chain, now)?;
    Ok(done)
}

/// Takes over what others committed to `table`: their segments are read, and count from now on; what they removed stays
/// until its own date, should it still be there.
pub fn adopt(context: &Context, table: &TableName, reason: &str, now: Timestamp) -> Result<Adoption> {
    let attempted = || format!("adopting what others did to {table}");
    let mut chain = begin(context, now)?;
    let known = chain.state().tables.get(&table.key()).cloned().ok_or_else(|| {
        Error::new(Kind::Usage, attempted(), "the ledger does not know the table")
            .with_hint("`holdfast check` lists the tables")
    })?;
    check_log(&context.archive, chain.state(), &known)?;
    let open = Table::open(&context.archive, &known.name)?;
    let newest = open.version().unwrap_or_default();
    let (commits, partitions) = foreign_commits(context, &known, newest).map_err(|reason| {
        Error::new(Kind::Decision, attempted(), reason).with_hint(
            "put the table's _delta_log back from a copy, or take the change back with the tool that made it",
        )
    })?;
    if commits.is_empty() {
        end(context, &mut chain, now)?;
        return Err(
            Error::new(Kind::Usage, attempted(), "every commit in it is ours").with_hint("there is nothing to adopt")
        );
    }
    let detail = changes(context, &known, &open, &partitions)?;
    let sum = |segments: &mut dyn Iterator<Item = SetDigest>| {
        let mut sum = SetDigest::default();
        segments.for_each(|digest| sum.merge(&digest));
        sum
    };
    let added = sum(&mut detail.adds.iter().map(|segment| segment.digest));
    let removed = sum(&mut detail.removes.iter().filter_map(|path| Some(known.segments.get(path)?.0.digest)));
    let adoption = Adoption {
        table: known.name.to_string(),
        commits: commits.iter().map(|commit| commit.version).collect(),
        added: detail.adds.iter().map(|segment| segment.path.clone()).collect(),
        removed: detail.removes.clone(),
        rows_added: added.rows,
        rows_removed: removed.rows,
        same_rows: added == removed,
    };
    let body = Body::Adopted {
        table: known.name.clone(),
        commits,
        detail: chain.attach([&detail])?,
        reason: chain.seal(reason)?,
    };
    chain.append_or_end(now, body)?;
    end(context, &mut chain, now)?;
    Ok(adoption)
}

/// Takes the lease, opens the ledger, and settles what an earlier run left; nothing is armed.
fn begin(context: &Context, now: Timestamp) -> Result<Chain> {
    let lease = (context.take_lease)()?;
    context.archive.sweep()?;
    context.ledger.sweep()?;
    let mut chain =
        Chain::open_whole(context.ledger.clone(), (context.ids)(), Box::new(new_nonce(context)))?.under(lease);
    check_witnesses(&context.archive, &chain)?;
    if chain.state().head().is_none() {
        return Err(Error::new(Kind::Usage, "opening the ledger", "it is empty: no run has been yet")
            .with_hint("begin with `holdfast run`"));
    }
    let started = Body::RunStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: context.host.clone(),
        process: std::process::id(),
        armed: Armed::default(),
    };
    chain.append_or_end(now, started)?;
    let policies = governing(context, &chain)?.set;
    let history = history(&chain, &policies, now)?;
    let sources = context.source_stores();
    let stores = Stores { archive: &context.archive, sources: &sources };
    for error in recover(&mut chain, &stores, Armed::default(), &Terms::new(&history), now)?.errors {
        tracing::warn!(%error, "an earlier run could not be settled; its table is left alone");
    }
    Ok(chain)
}

fn end(context: &Context, chain: &mut Chain, now: Timestamp) -> Result<()> {
    keep_up(context, chain.state(), now);
    chain.append_or_end(now, Body::RunEnded { exit: 0, batches: 0, rows: 0, cleared: 0, partial: true })?;
    chain.write_head()?;
    write_inventory(chain, now)
}

/// Partition values of added paths.
type Partitions = HashMap<String, (Date, String)>;

/// The commits that are not ours, and where what they add belongs. An error says why they cannot be taken over.
fn foreign_commits(
    context: &Context,
    known: &KnownTable,
    newest: u64,
) -> Result<(Vec<CommittedTable>, Partitions), String> {
    let (mut commits, mut partitions) = (Vec::new(), HashMap::new());
    for version in known.first_commit..=newest {
        if known.commits.contains_key(&version) {
            continue;
        }
        let bytes = context.archive.get(&commit_path(&known.name, version)).map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or_else(|| format!("commit {version} is missing"))?;
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let action: Value = serde_json::from_slice(line).map_err(|error| format!("commit {version}: {error}"))?;
            let Some((kind, body)) = action.as_object().and_then(|action| action.iter().next()) else { continue };
            match kind.as_str() {
                "add" => {
                    if !body["deletionVector"].is_null() {
                        return Err(format!(
                            "commit {version} deletes rows by deletion vectors, which Holdfast does not read"
                        ));
                    }
                    let value = |name: &str| body["partitionValues"][name].as_str().map(str::to_owned);
                    let day = value(DAY).and_then(|day| day.parse().ok());
                    let (Some(path), Some(day), Some(part)) = (body["path"].as_str(), day, value(PART)) else {
                        return Err(format!("commit {version} adds a file without day and part"));
                    };
                    partitions.insert(path.to_owned(), (day, part));
                }
                "remove" | "commitInfo" | "txn" => {}
                other => return Err(format!("commit {version} changes more than the table's files: `{other}`")),
            }
        }
        commits.push(CommittedTable { table: known.name.clone(), version, sha256: sha256_hex(&bytes) });
    }
    Ok((commits, partitions))
}

/// What the table holds now beside what the ledger knows; each new file is read whole.
fn changes(context: &Context, known: &KnownTable, open: &Table, partitions: &Partitions) -> Result<TableDetail> {
    let files = open.files()?;
    let damaged = |path: &str, reason: &str| {
        Error::new(Kind::Damaged, format!("reading {path} of {}, which others wrote", known.name), reason.to_owned())
            .with_hint("nothing was adopted")
    };
    let delta = open.schema()?.ok_or_else(|| damaged("the schema", "it is missing"))?;
    let schema = TableSchema::from_delta(catalogue::find(&known.name.table), &delta)?;
    let mut new: Vec<(&String, &u64)> = files.iter().filter(|(path, _)| !known.segments.contains_key(*path)).collect();
    new.sort_unstable();
    let mut adds = Vec::new();
    for (path, bytes) in new {
        let back = read_back(&context.archive, &segment_location(&known.name, path), &schema, context.threads)?
            .ok_or_else(|| damaged(path, "it is not there"))?;
        let (day, part) =
            partitions.get(path).cloned().ok_or_else(|| damaged(path, "no commit says its day and part"))?;
        let path = path.clone();
        adds.push(Segment {
            path,
            day,
            part,
            bytes: *bytes,
            sha256: back.sha256,
            digest: back.digest,
            times: None,
            rest: None,
        });
    }
    let removes = known.segments.keys().filter(|path| !files.contains_key(*path)).cloned().collect();
    Ok(TableDetail { schema: None, adds, removes })
}
