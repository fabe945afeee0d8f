//! `holdfast run`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::args::{Args, RunArgs};
use super::days::{destroyed_from, ranges, total};
use super::open::House;
use super::output::{Output, count, number, size};
use super::table::aligned;
use crate::clock::Clock;
use crate::error::{Kind, Result};
use crate::names::TableName;
use crate::pipeline::{self, Context, Request, RunReport, Unwatched};
use crate::plan::{Blocker, DayVerdict, Reason, Shut};
use crate::schedule::{succeeded, update_metrics};

pub fn run(args: &Args, run: &RunArgs, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let request = Request { now: house.now(run.as_of)?, tables: run.tables.clone(), schedules: None };
    run_once(&house, &request, Arc::default(), output)
}

/// One run, told and written into the metrics. `stop`: set from outside when it should end after the step it is in.
pub fn run_once(house: &House, request: &Request, stop: Arc<AtomicBool>, output: &mut Output) -> Result<u8> {
    let began = house.clock.monotonic();
    let outcome = attempt(house, request, stop, output);
    record(house, request, &outcome, began);
    let (report, _) = outcome?;
    if output.is_json() {
        output.json(&report)?;
    } else {
        for line in lines(&report) {
            output.line(line)?;
        }
    }
    output.errors(&report.errors);
    Ok(report.exit_code())
}

/// The report, and the tables in which all that was due is done.
fn attempt(
    house: &House,
    request: &Request,
    stop: Arc<AtomicBool>,
    output: &mut Output,
) -> Result<(RunReport, Vec<TableName>)> {
    let mut context = Context { stop, ..house.watched()? };
    let outcome = pipeline::run(&context, request, house.clock.now());
    context.progress = Box::new(Unwatched);
    let held = outcome.as_ref().is_err_and(|error| error.kind() == Kind::LeaseHeld);
    if let Err(policies) = &context.policies
        && !output.is_json()
        && !held
    {
        output.note(policies.render(output.color));
    }
    let report = outcome?;
    // Under an older policy nothing counts as done.
    let done = context.policies.as_ref().map_or_else(|_| Vec::new(), |policies| succeeded(&report, request, policies));
    Ok((report, done))
}

/// Monitoring must not fail a run: what goes wrong here is logged.
fn record(house: &House, request: &Request, outcome: &Result<(RunReport, Vec<TableName>)>, began: Duration) {
    let Some(path) = &house.settings.schedule.metrics else { return };
    if outcome.as_ref().is_err_and(|error| error.kind() == Kind::LeaseHeld) {
        return;
    }
    let took = house.clock.monotonic().saturating_sub(began);
    let written = update_metrics(path, |metrics| {
        metrics.last_run = Some(request.now);
        metrics.last_duration = Some(took);
        metrics.last_exit_code = Some(match outcome {
            Ok((report, _)) => report.exit_code(),
            Err(error) => error.exit_code(),
        });
        let report = outcome.as_ref().ok();
        metrics.last_rows =
            Some(report.map_or(0, |(report, _)| report.tables.values().map(|table| table.counts.archived).sum()));
        let done = report.map_or(&[][..], |(_, done)| done);
        metrics.last_success.extend(done.iter().map(|table| (table.to_string(), request.now)));
    });
    if let Err(error) = written {
        tracing::warn!(%error, hint = error.hint(), "the metrics are out of date");
    }
}

/// The report in words.
pub fn lines(report: &RunReport) -> Vec<String> {
    let mut lines = Vec::new();
    let now = report.now.map_or_else(String::new, |now| format!(" as of {now}"));
    lines.push(format!(
        "run {}{now}: {} found, {}",
        report.run,
        count(report.found, "raw object", "raw objects"),
        size(report.found_bytes)
    ));
    for batch in &report.recovered {
        lines.push(format!("settled: batch {batch} of an earlier run was complete and is now committed"));
    }
    for batch in &report.abandoned {
        lines.push(format!(
            "settled: batch {batch} of an earlier run was never complete; its raw objects are read again"
        ));
    }
    if report.swept > 0 {
        lines.push(format!("settled: {} removed", count(report.swept, "abandoned upload", "abandoned uploads")));
    }
    lines.extend(archived(report));
    if report.cleared > 0 {
        lines.push(format!(
            "cleared: {}, each verified in the archive just before",
            count(report.cleared, "raw object", "raw objects")
        ));
    }
    lines.extend(merged(report));
    lines.extend(expiring(report));
    lines.extend(kept(report));
    lines.extend(requests(report));
    if report.unsettled > 0 {
        lines.push(format!(
            "waiting: {} changed too recently (`settle`)",
            count(report.unsettled, "raw object", "raw objects")
        ));
    }
    for stranger in report.strangers.iter().take(20) {
        lines.push(format!("stranger: {}:{} ({}); left alone", stranger.source, stranger.path, stranger.reason));
    }
    if report.strangers.len() > 20 {
        lines.push(format!("stranger: and {} more", number(report.strangers.len() as u64 - 20)));
    }
    if let Some(Shut::Window { .. }) = &report.shut
        && let Some(shut) = &report.shut
    {
        lines.push(format!("nothing was destroyed: {shut}"));
    }
    if report.stopped {
        lines.push("stopped early, as asked: what is left waits for the next run".into());
    }
    for reason in &report.doubts {
        lines.push(format!("nothing was destroyed: {reason}"));
    }
    lines
}

/// What was asked of object stores, since somebody pays for it.
fn requests(report: &RunReport) -> Option<String> {
    let asked = report.requests.filter(|asked| asked.total() > 0)?;
    let raw: u64 = report.tables.values().map(|table| table.raw_bytes).sum();
    let each = match raw / 1_000_000_000 {
        0 => String::new(),
        gigabytes => format!(", {} for each GB archived", number(asked.total() / gigabytes)),
    };
    let again = match asked.troubles {
        0 => String::new(),
        times => format!("; {} tried again", number(times)),
    };
    let (reads, writes, deletes) = (number(asked.reads), number(asked.writes), number(asked.deletes));
    Some(format!("requests: {reads} reads, {writes} writes, {deletes} deletes{each}{again}"))
}

fn archived(report: &RunReport) -> Vec<String> {
    if report.tables.is_empty() {
        return vec!["archived: nothing was due".into()];
    }
    let rows: Vec<Vec<String>> = report
        .tables
        .iter()
        .map(|(name, table)| {
            let mut notes = Vec::new();
            if table.counts.quarantined > 0 {
                notes.push(format!("{} quarantined", number(table.counts.quarantined)));
            }
            if table.counts.duplicate > 0 {
                notes.push(format!("{} duplicate", number(table.counts.duplicate)));
            }
            if table.counts.expired > 0 {
                notes.push(format!("{} expired on arrival", number(table.counts.expired)));
            }
            if table.counts.raw > 0 {
                notes.push(format!("{} stay raw", number(table.counts.raw)));
            }
            if !table.ruled {
                notes.push("no rule names it: [defaults] apply".into());
            }
            vec![
                name.clone(),
                number(table.objects),
                number(table.counts.archived),
                size(table.raw_bytes),
                number(table.segments),
                size(table.bytes),
                notes.join("; "),
            ]
        })
        .collect();
    let head = ["archived", "objects", "rows", "raw", "segments", "archive", ""];
    aligned(&head, &rows, &[1, 2, 3, 4, 5])
}

/// What was merged, summed by table.
fn merged(report: &RunReport) -> Vec<String> {
    let mut sums: BTreeMap<String, (u64, u64, u64, u64)> = BTreeMap::new();
    for merged in &report.merged {
        let (before, after, bytes_before, bytes_after) = sums.entry(merged.table.to_string()).or_default();
        *before += merged.segments;
        *after += 1;
        *bytes_before += merged.bytes_before;
        *bytes_after += merged.bytes_after;
    }
    sums.into_iter()
        .map(|(table, (before, after, bytes_before, bytes_after))| {
            format!(
                "merged: {table}, {} ({}) into {} ({})",
                count(before, "small segment", "small segments"),
                size(bytes_before),
                number(after),
                size(bytes_after)
            )
        })
        .collect()
}

/// What expired, and what became of it.
fn expiring(report: &RunReport) -> Vec<String> {
    let done = &report.expiring;
    let mut lines = Vec::new();
    let mut section = |title: &str, days: &[DayVerdict], note: &dyn Fn(&DayVerdict) -> String| {
        if !days.is_empty() {
            let dates = if title == "retired" { destroyed_from(days) } else { String::new() };
            lines.push(format!("{title}: {}{dates}", total(days)));
            lines.extend(ranges(days, "table", note));
        }
    };
    section("reinstated", &done.reinstated, &|_| "its rule keeps it longer, or a hold covers it".into());
    section("retired", &done.retired, &|_| String::new());
    section("destroyed", &done.destroyed, &|_| "verified gone".into());
    // Unarmed, everything that is due would stand here every night.
    let waits: Vec<DayVerdict> =
        done.waiting.iter().filter(|day| !day.blockers.contains(&Blocker::Unarmed)).cloned().collect();
    section("due, but waits", &waits, &|day| {
        day.blockers.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    });
    let asked = |blocker: &Blocker| matches!(blocker, Blocker::Approval { .. });
    if waits.iter().any(|day| day.blockers.iter().any(asked)) {
        lines
            .push("  to consent: holdfast plan --out plan.json, then holdfast approve plan.json --reason \"…\"".into());
    }
    let unarmed = done.waiting.len() - waits.len();
    if unarmed > 0 {
        lines.push(format!("due, but not armed ([delete] expired): {}", count(unarmed as u64, "day", "days")));
    }
    if done.superseded > 0 {
        lines.push(format!("destroyed: {} that merges wrote anew", count(done.superseded, "segment", "segments")));
    }
    if done.trimmed > 0 {
        lines.push(format!(
            "trimmed: {} that named what is destroyed",
            count(done.trimmed, "Delta log file", "Delta log files")
        ));
    }
    lines
}

/// What was left alone, summed by table and reason.
fn kept(report: &RunReport) -> Vec<String> {
    let mut sums: BTreeMap<(String, &'static str), (u64, String)> = BTreeMap::new();
    for verdict in &report.kept {
        let (kind, text) = match &verdict.reason {
            Reason::Clear | Reason::OtherTable => continue,
            reason @ Reason::NoRule => ("no rule", reason.to_string()),
            reason @ Reason::StaysRaw { .. } => ("stays raw", reason.to_string()),
            reason @ Reason::Young { .. } => ("young", reason.to_string()),
            reason @ Reason::KeepRaw { .. } => ("keep_raw", reason.to_string()),
            reason @ Reason::Unarmed => ("unarmed", reason.to_string()),
            reason @ Reason::Shut { .. } => ("shut", reason.to_string()),
        };
        let sum = sums.entry((verdict.table.to_string(), kind)).or_insert((0, text));
        sum.0 += 1;
    }
    sums.into_iter()
        .map(|((table, _), (objects, text))| {
            format!("kept: {table}, {} ({text})", count(objects, "raw object", "raw objects"))
        })
        .collect()
}
