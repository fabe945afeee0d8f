//! `holdfast why`: one day of a table, or one raw object, on one screen.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::args::{Args, WhyArgs};
use super::certificate;
use super::open::House;
use super::output::{Output, count, number, size};
use super::table::aligned;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::explain::{
    Annals, DayExplained, DayFile, Latest, ObjectExplained, Obstacle, Read, RuleFacts, explain_day, explain_object,
    find_object, table_of,
};
use crate::ledger::Keeping;
use crate::names::TableName;
use crate::pipeline::{Context, Looked, Request, look};
use crate::policy::{ClockSource, day_of};
use crate::source::{DiscoverOptions, RawObject, discover};
use crate::storage::Missing;

pub fn why(args: &Args, why: &WhyArgs, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    if let Some(day) = why.day {
        let table = table(&why.what)?;
        if why.certificate {
            return certificate::certificate(&house, &table, day, output);
        }
        let looked = looked(&house, why.as_of)?.1;
        let annals = Annals::read(&looked.chain, &table)?;
        let explained = explain_day(&looked, &annals, &table, day, &house.fires()?)?;
        return show(&explained, day_lines(&explained), output);
    }
    let (context, looked) = looked(&house, why.as_of)?;
    let (id, unsettled) = find_object(&looked, &why.what, &|| unsettled(&context, looked.document.now))?;
    let missing = || {
        Error::new(Kind::Usage, format!("explaining {}", why.what), "it has no table")
            .with_hint("see its source's layout")
    };
    let table = table_of(&looked, &id, unsettled.as_ref()).ok_or_else(missing)?;
    let annals = Annals::read(&looked.chain, &table)?;
    let explained = explain_object(&looked, &annals, &id, unsettled.as_ref(), &house.fires()?).ok_or_else(missing)?;
    show(&explained, object_lines(&explained), output)
}

/// What a run would make of everything now; archive and ledger must be there.
pub fn looked(house: &House, as_of: Option<Timestamp>) -> Result<(Context, Looked)> {
    for store in [house.ledger(Missing::Refuse), house.archive(Missing::Refuse)] {
        store.map_err(|error| {
            let (attempted, reason) = (error.attempted().to_owned(), error.reason().to_owned());
            Error::new(error.kind(), attempted, reason)
                .with_hint("if nothing ran yet, `holdfast run` creates it; else see that its disk is mounted")
        })?;
    }
    let context = house.looking()?;
    let looked = look(&context, &Request::all(house.now(as_of)?), house.clock.now())?;
    Ok((context, looked))
}

fn table(text: &str) -> Result<TableName> {
    TableName::parse(text).ok_or_else(|| {
        Error::new(Kind::Usage, format!("explaining {text}"), "it is not the name of a table")
            .with_hint("a table is `Table` or `workspace/Table`; for a raw object give no day")
    })
}

/// The raw objects that changed too recently for a run to look at.
pub fn unsettled(context: &Context, now: Timestamp) -> Vec<RawObject> {
    let found = context.sources.iter().filter_map(|source| {
        let options =
            DiscoverOptions { name: source.name.clone(), workspace: source.workspace.clone(), settle: source.settle };
        // A source that cannot be listed was reported by the look before.
        discover(source.store.as_ref().ok()?, &options, &source.layout, now).ok()
    });
    found.flat_map(|found| found.unsettled).collect()
}

fn show(explained: &impl serde::Serialize, lines: Vec<String>, output: &mut Output) -> Result<u8> {
    if output.is_json() {
        output.json(explained)?;
    } else {
        for line in lines {
            output.line(line)?;
        }
    }
    Ok(0)
}

/// Lines are broken here, at a space.
const WIDTH: usize = 100;

/// A label and what belongs to it, over as many lines as it takes.
pub fn wrapped(label: &str, text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH - 11 {
            lines.push(std::mem::take(&mut line));
        }
        line = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
    }
    lines.push(line);
    lines.iter().enumerate().map(|(at, line)| labelled(if at == 0 { label } else { "" }, line)).collect()
}

/// A label and what belongs to it.
pub fn labelled(label: &str, text: impl AsRef<str>) -> String {
    format!("{label:<11}{}", text.as_ref()).trim_end().to_owned()
}

/// A day in words.
pub fn day_lines(explained: &DayExplained) -> Vec<String> {
    let mut lines = vec![format!("{} {}: {}", explained.table, explained.day, headline(explained))];
    lines.push(String::new());
    if !explained.kept.is_empty() {
        let rows: Vec<Vec<String>> = explained.kept.iter().map(|kept| row(kept, explained.now)).collect();
        let head = ["what", "files", "rows", "size", "archived", "retire", "destroy", "latest"];
        lines.extend(aligned(&head, &rows, &[1, 2, 3]));
        lines.push(String::new());
    }
    lines.extend(rule_lines(explained.rule.as_ref()));
    if explained.made_from > 0 {
        let there = explained.made_from - explained.cleared;
        let still = if there == 0 { "all cleared".into() } else { format!("{} not cleared", number(there)) };
        lines.push(labelled(
            "made from",
            format!(
                "{}, {still}",
                count(explained.made_from, "raw object of its batches", "raw objects of its batches")
            ),
        ));
    }
    for raw in &explained.raw {
        let text = format!("{}, {}: {}", count(raw.objects, "object", "objects"), size(raw.bytes), raw.reason);
        let last = raw.until.filter(|until| raw.from.is_some_and(|from| from < *until));
        let last = last.map_or_else(String::new, |until| format!(" (the last {until})"));
        lines.push(labelled("raw", text + &last));
    }
    for gone in &explained.gone {
        let what = match gone.keeping {
            Keeping::Archive if gone.superseded => "old files of merges",
            Keeping::Archive => "segments",
            Keeping::Raw => "raw objects",
            Keeping::Quarantine => "quarantine",
        };
        lines.push(labelled(
            "gone",
            format!(
                "{what}: {}, {} rows, {}, the last {}",
                count(gone.files, "file", "files"),
                number(gone.rows),
                size(gone.bytes),
                gone.last
            ),
        ));
    }
    if explained.gone.iter().any(|gone| !gone.superseded) {
        let command = format!("`holdfast why {} {} --certificate`", explained.table, explained.day);
        lines.push(labelled("", format!("{command} proves it")));
    }
    let mut told: Vec<&Obstacle> = Vec::new();
    for obstacle in explained.kept.iter().flat_map(|kept| &kept.obstacles) {
        if !told.contains(&obstacle) {
            told.push(obstacle);
        }
    }
    lines.extend(obstacle_lines(told.into_iter()));
    lines
}

fn headline(explained: &DayExplained) -> String {
    match explained.kept.as_slice() {
        [one] => one.says.clone(),
        [] if explained.raw.is_empty() => "destroyed".into(),
        [] => "nothing of it is archived yet".into(),
        [first, others @ ..] => {
            let mut says: Vec<String> = vec![format!("{}: {}", label(first), first.says)];
            says.extend(others.iter().map(|other| format!("{}: {}", label(other), other.says)));
            format!("kept in {} ways\n  {}", explained.kept.len(), says.join("\n  "))
        }
    }
}

fn label(kept: &DayFile) -> String {
    let what = match (kept.superseded, kept.retired) {
        (true, _) => "old, merged",
        (false, true) => "retired",
        (false, false) => keeping(kept.keeping),
    };
    let part = if kept.keeping == Keeping::Archive && kept.part != "main" {
        format!(", {}", kept.part)
    } else {
        String::new()
    };
    format!("{what}{part}")
}

fn keeping(keeping: Keeping) -> &'static str {
    match keeping {
        Keeping::Archive => "in the table",
        Keeping::Raw => "stays raw",
        Keeping::Quarantine => "quarantine",
    }
}

fn row(kept: &DayFile, now: Timestamp) -> Vec<String> {
    let shown = |date: Option<Date>| date.map_or_else(|| "never".to_owned(), |date| date.to_string());
    let archived = match (kept.archived_from.map(day_of), kept.archived_to.map(day_of)) {
        (Some(from), Some(to)) if from != to => format!("{from}…{}", to.strftime("%m-%d")),
        (from, _) => from.map_or_else(|| "-".to_owned(), |from| from.to_string()),
    };
    let retire = match kept.keeping {
        Keeping::Archive if kept.retired => shown(kept.retired_at.map(day_of)),
        Keeping::Archive => shown(kept.expires),
        Keeping::Raw | Keeping::Quarantine => "-".into(),
    };
    let destroy = if kept.superseded { "next run".into() } else { shown(kept.destroy_at) };
    let latest = match kept.latest {
        None if kept.superseded => "-".into(),
        None if kept.destroy_at.is_some() => "not while blocked".into(),
        ref known => latest(known.as_ref(), now),
    };
    let name = if kept.merged { format!("{} (merged)", label(kept)) } else { label(kept) };
    vec![name, number(kept.files), number(kept.rows), size(kept.bytes), archived, retire, destroy, latest]
}

/// When it is gone at the latest.
fn latest(latest: Option<&Latest>, now: Timestamp) -> String {
    match latest {
        None => "never".into(),
        Some(Latest { run: Some(run), .. }) => run.to_string(),
        Some(Latest { from, run: None }) if *from <= day_of(now) => "the next run".into(),
        Some(Latest { run: None, .. }) => "the first run from then on".into(),
    }
}

fn rule_lines(rule: Option<&RuleFacts>) -> Vec<String> {
    let Some(rule) = rule else {
        return vec![labelled("rule", "none: no rule names the table, and there are no [defaults]")];
    };
    let mut keys = vec![format!("retain {}", rule.retain), format!("purge_delay {}", rule.purge_delay)];
    if rule.archive {
        keys.push(format!("archive_after {}", rule.archive_after));
        keys.push(format!("keep_raw {}", rule.keep_raw));
    } else {
        keys.push("archive false".into());
    }
    if rule.locked {
        keys.push("locked".into());
    }
    let clock = match rule.clock {
        ClockSource::Event => format!("event: the time in the record, in {}", rule.time_column),
        ClockSource::Arrival => "arrival: the time the record came in".into(),
    };
    let schedule = rule.schedule.as_ref().map(|line| labelled("schedule", line));
    let place = format!("{} `{}`: {}", rule.origin, rule.origin.name(), keys.join(", "));
    [labelled("rule", place), labelled("clock", clock)].into_iter().chain(schedule).collect()
}

fn obstacle_lines<'a>(obstacles: impl Iterator<Item = &'a Obstacle>) -> Vec<String> {
    obstacles
        .flat_map(|obstacle| [wrapped("blocked", &obstacle.why), wrapped("  next", &obstacle.next)].concat())
        .collect()
}

/// A raw object in words.
pub fn object_lines(explained: &ObjectExplained) -> Vec<String> {
    let mut lines = vec![format!("{}:{}", explained.source, explained.path)];
    lines.push(format!("  {}", explained.says));
    lines.push(String::new());
    let mut what = Vec::new();
    if let Some(listed) = &explained.listed {
        what.push(size(listed.bytes));
        what.push(match listed.period {
            Some(period) => format!("period {} to {}", period.start, period.end),
            None => format!("last changed {}", listed.modified),
        });
    } else {
        what.push("not in its source".into());
    }
    lines.push(labelled("what", what.join(", ")));
    lines.push(labelled("table", explained.table.to_string()));
    lines.extend(rule_lines(explained.rule.as_ref()));
    if let Some(at) = explained.archive_at {
        lines.push(labelled(
            "archive",
            format!("{at}: archive_after has {}passed", if at > explained.now { "not yet " } else { "" }),
        ));
    }
    if let Some(read) = &explained.read {
        lines.extend(read_lines(read));
    }
    match (&explained.cleared, explained.clear_at, explained.destroy_at) {
        (Some(cleared), _, _) => {
            lines.push(labelled("cleared", format!("{}, ledger entry {}", cleared.at, cleared.entry)))
        }
        (None, Some(at), _) => lines.push(labelled(
            "clear",
            format!("{at}: keep_raw has {}passed", if at > explained.now { "not yet " } else { "" }),
        )),
        (None, None, Some(date)) => lines.push(labelled(
            "destroy",
            match &explained.latest {
                None => format!("{date}, but not while blocked"),
                known => format!("{date}, at the latest by {}", latest(known.as_ref(), explained.now)),
            },
        )),
        (None, None, None) => {}
    }
    lines.extend(obstacle_lines(explained.obstacles.iter()));
    lines
}

fn read_lines(read: &Read) -> Vec<String> {
    let mut lines = Vec::new();
    let label = if read.last_day.is_some() { "read" } else { "archived" };
    for by in read.batches.iter().rev().take(3) {
        lines.push(labelled(label, format!("{} by batch {}", by.at, by.batch)));
    }
    if read.batches.len() > 3 {
        lines.push(labelled("", format!("and {} batches before", read.batches.len() - 3)));
    }
    let counts = &read.counts;
    let mut fates = vec![format!("{} archived", number(counts.archived))];
    for (rows, fate) in [
        (counts.raw, "left raw"),
        (counts.quarantined, "quarantined"),
        (counts.expired, "expired on arrival"),
        (counts.duplicate, "duplicate"),
    ] {
        if rows > 0 {
            fates.push(format!("{} {fate}", number(rows)));
        }
    }
    lines.push(labelled("records", format!("{} = {}", number(counts.decoded), fates.join(" + "))));
    if let Some(day) = read.last_day {
        lines.push(labelled("last day", format!("{day}: the last of its records")));
    }
    if let Some(original) = &read.duplicate_of {
        lines.push(labelled("copy of", original.to_string()));
    }
    if let Some(reason) = &read.unreadable {
        lines.push(labelled("unreadable", reason));
    }
    lines.push(labelled("SHA-256", &read.sha256));
    lines
}

/// How long ago, in the two largest units.
pub fn ago(now: Timestamp, at: Timestamp) -> String {
    let apart = now.duration_since(at);
    if apart < SignedDuration::ZERO {
        return "in the future".into();
    }
    let minutes = apart.as_mins();
    match (minutes / (24 * 60), minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => "just now".into(),
        (0, 0, minutes) => format!("{minutes} min ago"),
        (0, hours, minutes) => format!("{hours} h {minutes} min ago"),
        (days, hours, _) => format!("{days} d {hours} h ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_break_at_a_space_and_stay_in_their_column() {
        let lines = wrapped("blocked", &"word ".repeat(30));
        assert!(lines.len() == 2 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
        assert!(lines[0].starts_with("blocked    word") && lines[1].starts_with("           word"));
        let long = "x".repeat(200);
        assert_eq!(wrapped("", &long), [format!("           {long}")], "what has no space is not broken");
    }

    #[test]
    fn ages_have_two_units() {
        let now: Timestamp = "2024-03-10T12:00:00Z".parse().unwrap();
        let cases = [
            ("2024-03-10T12:00:00Z", "just now"),
            ("2024-03-10T11:01:00Z", "59 min ago"),
            ("2024-03-10T11:00:00Z", "1 h 0 min ago"),
            ("2024-03-08T11:00:00Z", "2 d 1 h ago"),
            ("2024-03-10T12:00:01Z", "in the future"),
        ];
        for (at, text) in cases {
            assert_eq!(ago(now, at.parse().unwrap()), text);
        }
    }
}
