//! `holdfast check --stores`: do the stores keep their promises, and what do their buckets say?

use serde::Serialize;

use super::open::{House, new_id};
use super::output::Output;
use crate::error::{Error, Kind, Result};
use crate::storage::bucket::{Bucket, Contradiction, Role};
use crate::storage::probe::{ConditionalDelete, Probed, probe, probe_deletes};
use crate::storage::{Missing, Requests, Store};

/// What was found of one store.
#[derive(Debug, Serialize)]
pub struct StoreReport {
    role: Role,
    /// A source's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    url: String,
    /// Of archive and ledger.
    probed: Option<Probed>,
    /// Of a source that is cleared.
    deletes: Option<ConditionalDelete>,
    bucket: Option<Bucket>,
    contradictions: Vec<Contradiction>,
    requests: Option<Requests>,
    /// Why it cannot be used.
    failed: Option<Failure>,
}

#[derive(Debug, Serialize)]
struct Failure {
    attempted: String,
    reason: String,
    hint: Option<String>,
}

impl StoreReport {
    /// True if Holdfast must not be used as it is set up.
    fn is_grave(&self) -> bool {
        self.failed.is_some() || self.contradictions.iter().any(|found| found.grave)
    }
}

/// Tries each store once; the probe's own objects are gone again afterwards.
pub fn check_stores(house: &House) -> Result<Vec<StoreReport>> {
    let clears = house.settings.delete.raw;
    let mut reports = vec![
        report(Role::Archive, None, &house.settings.archive, house.archive(Missing::Create), clears),
        report(Role::Ledger, None, &house.ledger_url()?, house.ledger(Missing::Create), clears),
    ];
    for source in house.sources()? {
        let url = house.settings.sources.iter().find(|settings| settings.name == source.name);
        let url = url.map_or(&house.settings.archive, |settings| &settings.url);
        reports.push(report(Role::Source, Some(source.name), url, source.store, clears));
    }
    Ok(reports)
}

fn report(role: Role, name: Option<String>, url: &url::Url, store: Result<Store>, clears: bool) -> StoreReport {
    let mut report = StoreReport {
        role,
        name,
        url: url.to_string(),
        probed: None,
        deletes: None,
        bucket: None,
        contradictions: Vec::new(),
        requests: None,
        failed: None,
    };
    if let Err(error) = store.and_then(|store| look(&mut report, &store, clears)) {
        report.failed = Some(Failure {
            attempted: error.attempted().to_owned(),
            reason: error.reason().to_owned(),
            hint: error.hint().map(str::to_owned),
        });
    }
    report
}

fn look(report: &mut StoreReport, store: &Store, clears: bool) -> Result<()> {
    match report.role {
        Role::Source => {
            store.reach()?;
            if clears && store.local_folder().is_none() {
                report.deletes = Some(probe_deletes(store, &new_id()));
            }
        }
        _ => report.probed = Some(probe(store, &new_id())?),
    }
    if store.local_folder().is_none() {
        let bucket = Bucket::read(store)?;
        report.contradictions = bucket.contradictions(report.role, &store.prefix());
        report.bucket = Some(bucket);
    }
    report.requests = store.requests();
    Ok(())
}

/// The reports in words.
pub fn print(reports: &[StoreReport], output: &mut Output) -> Result<()> {
    for report in reports {
        output.line("")?;
        let name = report.name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        output.line(format!("{}{name}: {}", report.role, report.url))?;
        for line in lines(report) {
            output.line(format!("  {line}"))?;
        }
    }
    Ok(())
}

fn lines(report: &StoreReport) -> Vec<String> {
    if let Some(failure) = &report.failed {
        let hint = failure.hint.iter().map(|hint| format!("next  {hint}"));
        return [format!("CANNOT BE USED: {}: {}", failure.attempted, failure.reason)]
            .into_iter()
            .chain(hint)
            .collect();
    }
    let mut lines = Vec::new();
    if let Some(probed) = &report.probed {
        let kept = match probed.updates {
            true => "creates once, refuses stale updates, lists and reads what was written, deletes",
            false => "creates once, lists and reads what was written, deletes (the lease is a lock)",
        };
        lines.push(format!("keeps its promises: {kept}"));
    }
    match (report.role, report.deletes) {
        (Role::Source, Some(deletes)) => lines.push(format!("clearing: {deletes}")),
        (Role::Source, None) => lines.push("can be listed".into()),
        _ => {}
    }
    if let Some(bucket) = &report.bucket {
        lines.extend(told(bucket, report.role));
        lines.extend(bucket.unread.iter().map(|unread| format!("not told by the bucket: {unread}")));
    }
    for found in &report.contradictions {
        lines.push(format!("{}: {}", if found.grave { "WRONG" } else { "to know" }, found.what));
        lines.push(format!("next  {}", found.next));
    }
    lines
}

fn told(bucket: &Bucket, role: Role) -> Vec<String> {
    let mut told = Vec::new();
    if bucket.versioned == Some(true) && role != Role::Source {
        told.push(
            "the bucket keeps versions: what Holdfast destroys in its archive, it destroys in all of them".into(),
        );
    }
    if let Some(lock) = &bucket.lock {
        told.push(match &lock.default_retention {
            Some(retention) => format!("objects can be locked, and are by default: {retention}"),
            None => "objects can be locked; no default retention".to_owned(),
        });
    }
    if !bucket.lifecycle.is_empty() {
        let count = bucket.lifecycle.len() as u64;
        told.push(format!("the bucket has {}", super::output::count(count, "lifecycle rule", "lifecycle rules")));
    }
    told
}

/// Errs if a store must not be used as it is.
pub fn judge(reports: &[StoreReport]) -> Result<()> {
    let grave: Vec<String> = reports
        .iter()
        .filter(|report| report.is_grave())
        .map(|report| match &report.name {
            Some(name) => format!("{} {name}", report.role),
            None => report.role.to_string(),
        })
        .collect();
    if grave.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Store, "checking the stores", format!("not to be used as it is: {}", grave.join(", ")))
        .with_hint("see to what stands above, then type the same again"))
}
