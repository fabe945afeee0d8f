//! What needs doing, judged from the facts of a status: each finding with its exit code (DESIGN §8) and what to type.

use jiff::SignedDuration;
use serde::Serialize;

use super::status::{Runs, Status};
use crate::error::{Error, Kind};
use crate::plan::Shut;

/// Without a schedule, this long without a run that did its work is too long.
const TOO_LONG: SignedDuration = SignedDuration::from_hours(48);

/// One thing that needs doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub exit_code: u8,
    pub what: String,
    pub next: String,
}

impl Finding {
    fn new(exit_code: u8, what: impl Into<String>, next: impl Into<String>) -> Self {
        Finding { exit_code, what: what.into(), next: next.into() }
    }

    /// As of a run: 1 matters most, then 5, 4, 3.
    fn severity(&self) -> u8 {
        match self.exit_code {
            1 => 4,
            5 => 3,
            4 => 2,
            3 => 1,
            _ => 0,
        }
    }
}

/// All that needs doing, the most severe first. `errors` are those of looking at it all.
pub fn findings(status: &Status, errors: &[Error]) -> Vec<Finding> {
    let mut found = of_runs(status);
    // What a run is just writing looks as if others had written it, or as if it were missing: the run itself looks again.
    let passing = |error: &&Error| {
        status.runs.lease.is_some() && matches!(error.kind(), Kind::Decision | Kind::Damaged) && status.shut.is_none()
    };
    for error in errors.iter().filter(|error| !passing(error)) {
        let next = error.next();
        found.push(Finding::new(error.exit_code(), error.to_string(), next));
    }
    if let Some(Shut::Doubt { reason }) = &status.shut
        && !errors.iter().any(|error| error.reason() == reason)
    {
        let next = "correct the clock; raw logs are archived meanwhile, and nothing is destroyed";
        found.push(Finding::new(4, format!("nothing is destroyed: {reason}"), next));
    }
    let waiting: Vec<_> = status.waiting.iter().filter(|one| !one.unarmed).collect();
    if !waiting.is_empty() {
        let days: u64 = waiting.iter().map(|one| one.days).sum();
        let tables = match waiting.as_slice() {
            [one] => one.table.to_string(),
            several => format!("{} tables", several.len()),
        };
        let days = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        found.push(Finding::new(
            4,
            format!("{days} of {tables} may only go when a person approves"),
            "`holdfast plan --out plan.json`, read it, `holdfast approve plan.json --reason …`",
        ));
    }
    found.dedup();
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity()));
    found
}

fn of_runs(status: &Status) -> Vec<Finding> {
    let Runs { last, last_partial, last_done, begun, lease, answered, missed, .. } = &status.runs;
    let mut found = Vec::new();
    if let (Some(begun), None) = (begun, lease) {
        let what = format!("run {} of {} never ended: it was killed, or its machine stopped", begun.run, begun.at);
        found.push(Finding::new(1, what, "`holdfast run` settles what it left"));
    }
    if last.is_none() && last_partial.is_none() && begun.is_none() {
        found.push(Finding::new(1, "no run has ended yet", "`holdfast run`"));
    }
    for ended in last.iter().chain(last_partial) {
        let at = ended.entry.at;
        let finding = match ended.exit {
            0 => None,
            3 => Some((
                format!("the run of {at} left objects undone"),
                "its report names them; `holdfast quarantine list`",
            )),
            // What waits for approval is told by itself.
            4 if *answered || !status.waiting.is_empty() => None,
            4 => Some((
                format!("the run of {at} asked for a decision"),
                "its report says which; `holdfast run` says it again",
            )),
            5 => Some((format!("the run of {at} found damage"), "`holdfast verify`, today")),
            _ => Some((format!("the run of {at} failed"), "its report says why; then `holdfast run`")),
        };
        found.extend(finding.map(|(what, next)| Finding::new(ended.exit, what, next)));
    }
    let Some(done) = last_done.as_ref().filter(|_| lease.is_none()) else { return found };
    let next = "see that the schedule runs: `systemctl list-timers`, the cron job, `holdfast schedule`";
    if let Some(missed) = missed {
        let what = format!(
            "the schedule fired twice, the last time {missed}, and no run did its work since {}",
            done.entry.at
        );
        found.push(Finding::new(1, what, next));
    } else if status.now.duration_since(done.entry.at) > TOO_LONG && status.runs.unscheduled {
        found.push(Finding::new(1, format!("no run did its work since {}, more than 48 h ago", done.entry.at), next));
    }
    found
}
