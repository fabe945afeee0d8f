//! `holdfast plan`: what would be destroyed comes first and loudest.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::args::{Args, PlanArgs};
use super::days::{destroyed_from, ranges, total};
use super::open::House;
use super::output::{Output, count, number, size};
use super::table::aligned;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::pipeline::{self, Request};
use crate::plan::{Act, DayVerdict, Fate, ObjectVerdict, PlanDocument};
use crate::policy::Origin;

pub fn plan(args: &Args, plan: &PlanArgs, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let request = Request { now: house.now(plan.as_of)?, tables: plan.tables.clone(), schedules: None };
    let context = house.looking()?;
    if let Err(policies) = &context.policies
        && !output.is_json()
    {
        output.note(policies.render(output.color));
    }
    let planned = pipeline::plan(&context, &request, house.clock.now())?;
    if let Some(file) = &plan.out {
        let mut bytes = serde_json::to_vec_pretty(&planned.document)
            .map_err(|source| Error::from_source(Kind::Internal, "writing the plan", source))?;
        bytes.push(b'\n');
        std::fs::write(file, bytes).map_err(|source| {
            Error::from_source(Kind::Usage, format!("writing {}", file.display()), source)
                .with_hint("give --out a file in a folder that can be written to")
        })?;
    }
    if output.is_json() {
        output.json(&planned.document)?;
    } else {
        for line in lines(&planned.document) {
            output.line(line)?;
        }
        if let Some(file) = &plan.out {
            output.line(format!("\nwritten to {}", file.display()))?;
        }
        let asks = planned.document.asks();
        if !asks.is_empty() {
            let file = plan.out.as_ref().map_or_else(|| "plan.json".to_owned(), |file| file.display().to_string());
            let first = if plan.out.is_some() {
                String::new()
            } else {
                output.line("")?;
                format!("holdfast plan --out {file}, then ")
            };
            output.line(format!("to consent: {first}holdfast approve {file} --reason \"…\""))?;
        }
    }
    output.errors(&planned.errors);
    let asks = if planned.document.asks().is_empty() { 0 } else { Kind::Decision.exit_code() };
    Ok(planned.errors.iter().map(Error::exit_code).max().unwrap_or(0).max(asks))
}

/// The plan in words.
pub fn lines(plan: &PlanDocument) -> Vec<String> {
    let mut lines = vec![head(plan)];
    if let Some(shut) = &plan.shut {
        lines.push(format!("NOTHING IS DESTROYED: {shut}"));
    } else if !plan.armed.raw && !plan.armed.expired {
        lines.push("nothing is armed ([delete] in the settings): nothing is destroyed".into());
    }
    let fate = |fate: Fate| plan.days.iter().filter(move |day| day.fate == fate && day.goes());
    section(&mut lines, "DESTROY", fate(Fate::Destroy), |_| String::new());
    section(&mut lines, "RETIRE", fate(Fate::Retire), |_| String::new());
    section(&mut lines, "REINSTATE", fate(Fate::Reinstate), |_| "its rule keeps it longer, or a hold covers it".into());
    let waits = |verdict: &&DayVerdict| !verdict.goes();
    section(&mut lines, "DUE, BUT WAITS", plan.days.iter().filter(waits), waits_for);
    merges(&mut lines, plan);
    section(&mut lines, "retired", fate(Fate::Retired), |_| String::new());
    objects(&mut lines, plan);
    kept(&mut lines, plan);
    lines
}

/// All that stands in a day's way.
pub fn waits_for(day: &DayVerdict) -> String {
    let texts: Vec<String> = day.blockers.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

fn head(plan: &PlanDocument) -> String {
    let archive =
        if plan.archive.is_empty() { "a new archive".to_owned() } else { format!("archive {}", plan.archive) };
    let entry = plan.entry.map_or_else(String::new, |entry| format!(", ledger entry {entry}"));
    let policy = plan.policy.get(..12).unwrap_or_default();
    format!("plan for {archive} as of {}{entry}, policy {policy}…", plan.now)
}

fn section<'a>(
    lines: &mut Vec<String>,
    title: &str,
    days: impl Iterator<Item = &'a DayVerdict>,
    note: impl Fn(&DayVerdict) -> String,
) {
    let days: Vec<&DayVerdict> = days.collect();
    if days.is_empty() {
        return;
    }
    lines.push(String::new());
    let retired = matches!(days[0].fate, Fate::Retire | Fate::Retired);
    let dates = if retired && days[0].goes() { destroyed_from(days.iter().copied()) } else { String::new() };
    lines.push(format!("{title}: {}{dates}", total(days.iter().copied())));
    lines.extend(ranges(days, "table", note));
}

fn merges(lines: &mut Vec<String>, plan: &PlanDocument) {
    if plan.merges.is_empty() {
        return;
    }
    lines.push(String::new());
    lines
        .push(format!("MERGE: {}", count(plan.merges.len() as u64, "day of small segments", "days of small segments")));
    for merge in &plan.merges {
        let segments = number(merge.segments.len() as u64);
        lines.push(format!("  {} {}: {segments} segments, {}, into one", merge.table, merge.day, size(merge.bytes)));
    }
}

/// Raw objects of one table of which the same is said.
#[derive(Debug)]
struct Sum<'a> {
    table: String,
    rule: Option<&'a Origin>,
    reason: &'a str,
    first: Option<Date>,
    last: Option<Date>,
    objects: u64,
    bytes: u64,
}

/// Raw objects, summed by act, table and reason.
fn objects(lines: &mut Vec<String>, plan: &PlanDocument) {
    for (act, title) in
        [(Act::Clear, "CLEAR"), (Act::Archive, "ARCHIVE"), (Act::Read, "READ"), (Act::Keep, "raw, kept")]
    {
        let mut sums: BTreeMap<(String, &str), Sum<'_>> = BTreeMap::new();
        for object in plan.objects.iter().filter(|object| object.act == act) {
            let (table, reason) = (object.table.to_string(), same(object));
            let sum = sums.entry((table.clone(), reason)).or_insert_with(|| Sum {
                table,
                rule: object.rule.as_ref(),
                reason,
                first: object.day,
                last: object.day,
                objects: 0,
                bytes: 0,
            });
            sum.first = sum.first.min(object.day);
            sum.last = sum.last.max(object.day);
            sum.objects += 1;
            sum.bytes += object.bytes;
        }
        if sums.is_empty() {
            continue;
        }
        let (all, bytes) = sums.values().fold((0, 0), |(all, bytes), sum| (all + sum.objects, bytes + sum.bytes));
        lines.push(String::new());
        lines.push(format!("{title}: {}, {}", count(all, "raw object", "raw objects"), size(bytes)));
        let rows: Vec<Vec<String>> = sums.into_values().map(cells).collect();
        let table = aligned(&["table", "days", "objects", "bytes", "rule", ""], &rows, &[2, 3]);
        lines.extend(table.into_iter().map(|line| format!("  {line}")));
    }
}

/// The reason without what differs from object to object: it would make a line of each.
fn same(object: &ObjectVerdict) -> &str {
    let reason = object.reason.split("; read up to").next().unwrap_or_default();
    if object.until.is_some() { reason.split(" until").next().unwrap_or_default() } else { reason }
}

fn cells(sum: Sum<'_>) -> Vec<String> {
    let days = match (sum.first, sum.last) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) => format!("{first} … {last}"),
        _ => String::new(),
    };
    let rule = sum.rule.map_or_else(|| "no rule".to_owned(), ToString::to_string);
    vec![sum.table, days, number(sum.objects), size(sum.bytes), rule, sum.reason.to_owned()]
}

/// What stays, by table, with the first day on which something goes.
fn kept(lines: &mut Vec<String>, plan: &PlanDocument) {
    let kept: Vec<&DayVerdict> = plan.days.iter().filter(|day| day.fate == Fate::Keep && day.goes()).collect();
    let mut next: BTreeMap<String, Option<Date>> = BTreeMap::new();
    for day in &kept {
        let first = next.entry(format!("{}|{:?}", day.item.table, day.item.keeping)).or_insert(day.expires);
        *first = first.map_or(day.expires, |first| day.expires.map(|date| date.min(first)).or(Some(first)));
    }
    section(lines, "kept", kept.into_iter(), |day| {
        match next.get(&format!("{}|{:?}", day.item.table, day.item.keeping)).copied().flatten() {
            _ if day.rule.is_none() => "no rule names it".into(),
            Some(date) => format!("the first expires on {date}"),
            None => "for ever".into(),
        }
    });
}
