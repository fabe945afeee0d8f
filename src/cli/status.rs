//! `holdfast status`: the verdict first, then what it rests on.

use jiff::Timestamp;
use jiff::civil::Date;

use super::args::{Args, StatusArgs};
use super::open::House;
use super::output::{Output, count, number, size};
use super::table::aligned;
use super::why::{ago, labelled, looked};
use crate::clock::Clock;
use crate::error::Result;
use crate::explain::{Amount, Ended, Finding, Grace, Overdue, Runs, Status, WaitingApproval, status as gather};
use crate::ledger::{Keeping, holder};
use crate::plan::{Because, Fate, Shut};
use crate::policy::day_of;
use crate::storage::Missing;

pub fn status(args: &Args, status: &StatusArgs, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let (_context, looked) = looked(&house, status.as_of)?;
    let lease = holder(&house.ledger(Missing::Refuse)?, house.clock.now())?;
    let status = gather(&looked, lease, &house.fires()?)?;
    if output.is_json() {
        output.json(&status)?;
    } else {
        for line in lines(&status) {
            output.line(line)?;
        }
    }
    Ok(status.exit_code)
}

/// The status in words.
pub fn lines(status: &Status) -> Vec<String> {
    let mut lines = verdict(status);
    lines.push(String::new());
    lines.extend(runs(&status.runs, status.now));
    let backlog = &status.backlog;
    lines.push(labelled(
        "backlog",
        match backlog.oldest {
            None if backlog.objects == 0 => "none: all raw objects that are due are archived".into(),
            oldest => {
                let oldest = oldest.map_or_else(String::new, |oldest| format!(", the oldest of {oldest}"));
                format!(
                    "{}, {} due to be archived{oldest}",
                    count(backlog.objects, "raw object", "raw objects"),
                    size(backlog.bytes)
                )
            }
        },
    ));
    lines.extend(amount("retired", &status.retired, "that can be put back"));
    lines.extend(amount("quarantine", &status.quarantine, "that cannot be judged"));
    if let Some(Shut::Window { opens }) = &status.shut {
        let opens = opens.map_or_else(String::new, |opens| format!(", it opens {opens}"));
        lines.push(labelled("window", format!("[delete] window is shut{opens}")));
    }
    lines.extend(unfinished(status));
    for hold in &status.holds {
        let tables: Vec<String> = hold.scope.tables.iter().map(ToString::to_string).collect();
        let tables = if tables.is_empty() { "everything".to_owned() } else { tables.join(", ") };
        let day = |date: Option<Date>, word: &str| date.map_or_else(String::new, |date| format!(" {word} {date}"));
        let days = day(hold.scope.from, "from") + &day(hold.scope.to, "to");
        lines.push(labelled("hold", format!("`{}` covers {tables}{days}", hold.hold)));
    }
    lines.extend(graces(&status.graces));
    for given in status.approvals.iter().filter(|given| given.open > 0) {
        let tables: Vec<String> = given.tables.iter().map(ToString::to_string).collect();
        lines.push(labelled(
            "approved",
            format!(
                "{} of {}, by {} until {}: the next run does it",
                count(given.open, "day", "days"),
                tables.join(", "),
                given.by.as_deref().unwrap_or("a name that was destroyed"),
                given.until
            ),
        ));
    }
    lines.extend(waiting(&status.waiting));
    lines.extend(overdue(&status.overdue));
    lines
}

fn verdict(status: &Status) -> Vec<String> {
    let [first, others @ ..] = status.findings.as_slice() else {
        return vec![match (&status.runs.lease, &status.runs.last) {
            (Some(_), _) => "OK: a run is under way".into(),
            (None, Some(last)) => {
                format!("OK: nothing needs doing; the last run was {}", ago(status.now, last.entry.at))
            }
            (None, None) => "OK".into(),
        }];
    };
    finding_lines(std::iter::once(first).chain(others))
}

/// What needs doing, and what to type.
pub fn finding_lines<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in findings {
        lines.push(format!("{}: {}", word(finding), finding.what));
        lines.push(format!("  next: {}", finding.next));
    }
    lines
}

/// How loud a finding is.
pub fn word(finding: &Finding) -> &'static str {
    match finding.exit_code {
        3 => "LOOK",
        4 => "DECIDE",
        5 => "DAMAGE",
        _ => "FAILED",
    }
}

fn runs(runs: &Runs, now: Timestamp) -> Vec<String> {
    let ended = |ended: &Ended| format!("{}, exit {}, {}", ended.entry.at, ended.exit, ago(now, ended.entry.at));
    let mut lines = Vec::new();
    lines.push(labelled("last run", runs.last.as_ref().map_or_else(|| "none has ended".to_owned(), ended)));
    if runs.last_success != runs.last {
        let success = runs.last_success.as_ref();
        let success = success
            .map_or_else(|| "none yet".to_owned(), |one| format!("{}, {}", one.entry.at, ago(now, one.entry.at)));
        lines.push(labelled("success", success));
    }
    lines.push(labelled(
        "lease",
        match &runs.lease {
            None => "free: no run is under way".to_owned(),
            Some(holder) => held_by(holder),
        },
    ));
    lines
}

/// Who holds the lease, as [`House::context`] writes it; any other text as it is.
fn held_by(holder: &str) -> String {
    let known: Option<serde_json::Value> = serde_json::from_str(holder).ok();
    let known = known.and_then(|value| {
        let (host, since) = (value["host"].as_str()?.to_owned(), value["since"].as_str()?.to_owned());
        Some(format!("held by process {} on {host} since {since}", value["process"]))
    });
    match known {
        Some(known) => known,
        None if holder.is_empty() => "held by an unknown process".into(),
        None => format!("held by {holder}"),
    }
}

fn amount(label: &str, amount: &Amount, what: &str) -> Option<String> {
    if amount.files == 0 {
        return None;
    }
    let oldest = amount.oldest.map_or_else(String::new, |oldest| format!(", the oldest of {oldest}"));
    let next = amount.next.map_or_else(|| "kept for ever".to_owned(), |next| format!("next goes {next}"));
    let (rows, files) = (count(amount.rows, "record", "records"), count(amount.files, "file", "files"));
    Some(labelled(label, format!("{rows} {what}, {files}{oldest}; {next}")))
}

fn unfinished(status: &Status) -> Option<String> {
    let (batches, destructions) = (status.unfinished.batches.len() as u64, status.unfinished.destructions.len() as u64);
    if batches + destructions == 0 {
        return None;
    }
    let mut parts = Vec::new();
    if batches > 0 {
        parts.push(count(batches, "batch", "batches"));
    }
    if destructions > 0 {
        parts.push(count(destructions, "destruction", "destructions"));
    }
    let who =
        if status.runs.lease.is_some() { "the run that is under way is at it" } else { "the next run settles it" };
    Some(labelled("open", format!("{} begun and not ended: {who}", parts.join(" and "))))
}

fn graces(graces: &[Grace]) -> Vec<String> {
    let rows: Vec<Vec<String>> = graces
        .iter()
        .map(|grace| {
            let changed = match &grace.old {
                None => format!("none, or another clock → {}", grace.new.retain),
                Some(old) if old.retain != grace.new.retain => format!("{} → {}", old.retain, grace.new.retain),
                Some(old) if old.purge_delay != grace.new.purge_delay => {
                    format!("purge_delay {} → {}", old.purge_delay, grace.new.purge_delay)
                }
                Some(old) => format!("quarantine {} → {}", old.quarantine_retain, grace.new.quarantine_retain),
            };
            let until = grace.until.map_or_else(|| "for ever".to_owned(), |until| until.to_string());
            vec![grace.table.to_string(), changed, until, grace.new.place.clone()]
        })
        .collect();
    section("shortened: the old rule still protects", &["table", "retain", "until", "rule"], &rows, &[])
}

fn waiting(waiting: &[WaitingApproval]) -> Vec<String> {
    let rows: Vec<Vec<String>> = waiting
        .iter()
        .map(|one| {
            let because = match &one.because {
                Because::First => "the first under its rule".to_owned(),
                Because::Shortened { since } => format!("shortened on {}", day_of(*since)),
                Because::Beyond { bytes, live_bytes, .. } => {
                    format!("{} % of the table", bytes.saturating_mul(100) / (*live_bytes).max(1))
                }
                Because::Reinstated => "put back by a person".to_owned(),
            };
            vec![
                one.table.to_string(),
                number(one.days),
                days(one.from, one.to),
                number(one.rows),
                size(one.bytes),
                format!("{} of {}", one.given, one.needed),
                because,
            ]
        })
        .collect();
    section("waits for approval", &["table", "days", "", "rows", "size", "given", "because"], &rows, &[1, 3, 4])
}

fn overdue(overdue: &[Overdue]) -> Vec<String> {
    let rows: Vec<Vec<String>> = overdue
        .iter()
        .map(|one| {
            let what = match (one.fate, one.keeping) {
                (Fate::Retire, _) => "retire",
                (Fate::Reinstate, _) => "put back",
                (_, Keeping::Raw) => "destroy raw",
                (_, Keeping::Quarantine) => "destroy quarantine",
                (Fate::Keep, _) => "retire",
                _ => "destroy",
            };
            vec![
                one.table.to_string(),
                what.into(),
                number(one.days),
                days(one.from, one.to),
                size(one.bytes),
                one.obstacle.why.clone(),
            ]
        })
        .collect();
    section(
        "due, but something is in the way",
        &["table", "to", "days", "", "size", "what is in the way"],
        &rows,
        &[2, 4],
    )
}

fn days(from: Date, to: Date) -> String {
    if from == to { from.to_string() } else { format!("{from} to {to}") }
}

fn section(title: &str, head: &[&str], rows: &[Vec<String>], right: &[usize]) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let table = aligned(head, rows, right).into_iter().map(|line| format!("  {line}"));
    [String::new(), title.to_owned()].into_iter().chain(table).collect()
}
