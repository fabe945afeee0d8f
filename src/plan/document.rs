//! The plan as a file: all that a run would do at `now`, with its reasons, pinned to the archive, the policy and the state
//! it was made for (I5). People read it, approve it, and keep it.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::decide::{Plan, Reason, Verdict};
use super::expiry::{DayVerdict, Expiry};
use super::inputs::{Blocker, Inputs, Shut};
use super::merge::Merging;
use crate::ledger::{ApprovedItem, Armed};
use crate::names::TableName;
use crate::policy::Origin;

/// The version of the plan file.
pub const PLAN_VERSION: u32 = 1;

/// A plan, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDocument {
    pub version: u32,
    /// The archive's id; empty: no run has made one yet.
    pub archive: String,
    pub now: Timestamp,
    /// The ledger entry up to which the state was read; none: the ledger is empty.
    pub entry: Option<u64>,
    /// Digest of the policy that governs.
    pub policy: String,
    /// The holds that were in force.
    pub holds: Vec<String>,
    pub armed: Armed,
    pub shut: Option<Shut>,
    /// What becomes of all that is kept.
    pub days: Vec<DayVerdict>,
    pub merges: Vec<Merging>,
    /// What becomes of each raw object.
    pub objects: Vec<ObjectVerdict>,
}

/// What becomes of one raw object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectVerdict {
    pub source: String,
    pub path: String,
    pub table: TableName,
    pub bytes: u64,
    /// The day of its period, else of its last change.
    pub day: Option<Date>,
    pub act: Act,
    pub reason: String,
    /// When that reason ends, where it has an end.
    pub until: Option<Timestamp>,
    pub rule: Option<Origin>,
}

/// What a run does with a raw object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Clear,
    Archive,
    /// It is read, and stays (`archive = false`).
    Read,
    Keep,
}

impl PlanDocument {
    /// Puts the parts of one decision together.
    pub fn new(
        inputs: &Inputs<'_>,
        policy: &str,
        plan: &Plan,
        clearings: &[Verdict],
        expiry: Expiry,
        merges: Vec<Merging>,
    ) -> Self {
        let state = inputs.state;
        PlanDocument {
            version: PLAN_VERSION,
            archive: state.archive.clone().unwrap_or_default(),
            now: inputs.now,
            entry: state.head().map(|head| head.seq),
            policy: policy.to_owned(),
            holds: state.holds.keys().cloned().collect(),
            armed: inputs.allowance.armed,
            shut: inputs.allowance.shut.clone(),
            days: expiry.days,
            merges,
            objects: objects(inputs, plan, clearings),
        }
    }

    /// What waits for a person's consent, as an approval lists it.
    pub fn asks(&self) -> Vec<(&DayVerdict, ApprovedItem)> {
        let asking =
            |verdict: &&DayVerdict| verdict.blockers.iter().any(|blocker| matches!(blocker, Blocker::Approval { .. }));
        let item = |verdict: &DayVerdict| Some(verdict.item.approval(verdict.rule_digest.as_deref()?));
        self.days.iter().filter(asking).filter_map(|verdict| Some((verdict, item(verdict)?))).collect()
    }
}

fn objects(inputs: &Inputs<'_>, plan: &Plan, clearings: &[Verdict]) -> Vec<ObjectVerdict> {
    let rule = |table: &TableName| inputs.terms.of(table).map(|term| term.rule.origin.clone());
    let days: std::collections::HashMap<(&str, &str), Date> = inputs
        .objects
        .iter()
        .map(|object| {
            let day = crate::policy::day_of(object.period.map_or(object.modified, |period| period.start));
            ((object.source.as_str(), object.path.as_str()), day)
        })
        .collect();
    let day = |source: &str, path: &str| days.get(&(source, path)).copied();
    let archived = plan.archive.iter().flat_map(|batch| batch.objects.iter().map(move |planned| (batch, planned)));
    let archived = archived.map(|(batch, planned)| {
        let object = &planned.object;
        let known = planned.known.as_ref().map(|known| format!("; read up to byte {} before", known.resume));
        let due = if batch.stays_raw { "to be read: archive = false" } else { "archive_after has passed" };
        ObjectVerdict {
            source: object.source.clone(),
            path: object.path.clone(),
            table: batch.table.clone(),
            bytes: object.size,
            day: day(&object.source, &object.path),
            act: if batch.stays_raw { Act::Read } else { Act::Archive },
            reason: format!("{due}{}", known.unwrap_or_default()),
            until: None,
            rule: rule(&batch.table),
        }
    });
    let others = plan.kept.iter().chain(clearings).map(|verdict| ObjectVerdict {
        source: verdict.source.clone(),
        path: verdict.path.clone(),
        table: verdict.table.clone(),
        bytes: verdict.bytes,
        day: day(&verdict.source, &verdict.path),
        act: if verdict.reason == Reason::Clear { Act::Clear } else { Act::Keep },
        reason: verdict.reason.to_string(),
        until: match &verdict.reason {
            Reason::Young { until } | Reason::KeepRaw { until } => *until,
            Reason::StaysRaw { until } => {
                until.and_then(|day| TimeZone::UTC.to_timestamp(day.to_datetime(Time::midnight())).ok())
            }
            _ => None,
        },
        rule: rule(&verdict.table),
    });
    let mut all: Vec<ObjectVerdict> = archived.chain(others).collect();
    all.sort_by(|one, other| (&one.source, &one.path).cmp(&(&other.source, &other.path)));
    all
}
