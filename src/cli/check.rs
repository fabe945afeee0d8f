//! `holdfast check`.

use jiff::{Timestamp, Zoned};
use serde::Serialize;
use serde_json::json;

use super::args::{Args, CheckArgs};
use super::open::House;
use super::output::{Output, count};
use super::stores::{check_stores, judge, print};
use super::table::aligned;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::ledger::Chain;
use crate::names::TableName;
use crate::pipeline::refused_by_locks;
use crate::policy::{PolicySet, Span, describe};
use crate::schedule::{timed, untimed};
use crate::settings::Schedule;
use crate::storage::Missing;

pub fn check(args: &Args, check: &CheckArgs, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let sources = house.sources()?;
    let policies = match PolicySet::read_folder(&house.settings.policies) {
        Ok(policies) => policies,
        Err(mistakes) => {
            if output.is_json() {
                output.json(&json!({ "mistakes": mistakes.mistakes }))?;
            } else {
                output.note(mistakes.render(output.color));
            }
            return Err(mistakes.into());
        }
    };
    // A table is known once something of it is archived; before the first run there is nothing to compare with.
    let chain = match house.ledger(Missing::Refuse) {
        Ok(ledger) => match Chain::open(ledger, "check", Box::new(String::new)) {
            Ok(chain) => Some(chain),
            // Policies are checked in places that the store cannot be reached from.
            Err(error) if error.kind() == Kind::Store => {
                output.note(format!("warning: {error}; rules are not compared with known tables"));
                None
            }
            Err(error) => return Err(error),
        },
        Err(_) => None,
    };
    let broken = chain.as_ref().map(|chain| refused_by_locks(chain, &policies)).transpose()?.unwrap_or_default();
    if !broken.is_empty() {
        return Err(Error::new(Kind::Policy, "checking the policies", broken.join("; ")).with_hint(
            "a locked rule can only grow: put it back; until then runs go on under the last accepted policy and destroy nothing",
        ));
    }
    let state = chain.as_ref().map(Chain::state);
    let known: Vec<TableName> =
        state.into_iter().flat_map(|state| state.tables.values()).map(|table| table.name.clone()).collect();
    let simulated = state.and_then(|state| state.last_at).filter(|_| house.settings.simulation);
    let now = check.as_of.or(simulated).unwrap_or_else(|| house.clock.now());
    let firings = firings(&house.settings.schedule, &policies, now)?;
    let description = describe(&policies, &known);
    let unmatched = if known.is_empty() { Vec::new() } else { policies.unmatched(&known) };
    let stores = if check.stores { Some(check_stores(&house)?) } else { None };
    let warnings: Vec<_> = house.settings.warnings().iter().chain(&unmatched).collect();
    if output.is_json() {
        let mut document = json!({
            "settings": house.settings, "schedule": firings, "policies": description, "warnings": warnings,
        });
        document["classes"] = json!(classes(&policies, house.settings.archive.scheme()));
        if let Some(stores) = &stores {
            document["stores"] = json!(stores);
        }
        output.json(&document)?;
        return stores.as_deref().map_or(Ok(()), judge).map(|()| 0);
    }
    if let Some(file) = &house.settings.file {
        output.line(format!("settings {}: valid", file.display()))?;
    }
    output.line(format!("archive  {}", house.settings.archive))?;
    for source in &sources {
        let state = match &source.store {
            Ok(_) => String::new(),
            Err(error) => format!("  (cannot be opened: {})", error.reason()),
        };
        output.line(format!(
            "source   {} in {}, {}{state}",
            source.name,
            source.workspace,
            source.layout.describe()
        ))?;
    }
    let delete = &house.settings.delete;
    output.line(format!(
        "armed    {}",
        if delete.raw {
            "raw objects are cleared after their verified archive and keep_raw"
        } else {
            "nothing: nothing at all is deleted"
        }
    ))?;
    output.line(format!(
        "policies {}: valid, {}",
        house.settings.policies.display(),
        count(policies.files().len() as u64, "file", "files")
    ))?;
    output.line("")?;
    output.line(description.to_string().trim_end())?;
    if policies.defaults().is_none() {
        output.line("")?;
        output.line("Tables that no rule names are kept as raw logs and reported: [defaults] has no `retain`.")?;
    }
    output.line("")?;
    for line in told(&house.settings.schedule, &firings) {
        output.line(line)?;
    }
    let untimed = untimed(&house.settings.schedule, &policies);
    if !firings.is_empty() && !untimed.is_empty() {
        output.line(format!("`holdfast schedule` never runs the tables of {}: no line is theirs.", some(&untimed)))?;
    }
    if let Some(stores) = &stores {
        print(stores, output)?;
    }
    for warning in warnings {
        output.note(warning.render(output.color));
    }
    for told in classes(&policies, house.settings.archive.scheme()) {
        output.note(format!("warning: {told}"));
    }
    stores.as_deref().map_or(Ok(()), judge).map(|()| 0)
}

/// What storage classes cost or cannot do where the archive is.
fn classes(policies: &PolicySet, scheme: &str) -> Vec<String> {
    let rules = policies.rules().map(|(_, rule)| rule).chain(policies.defaults());
    let mut told = Vec::new();
    for rule in rules {
        let Some(class) = rule.storage_class else { continue };
        let (place, name) = (&rule.origin, rule.origin.name());
        if class.name_in(scheme).is_none() {
            told.push(format!("{place} `{name}`: storage_class has no effect on a {scheme}:// archive"));
        }
        let least = Span::Days(class.least_days());
        if !rule.retain.at_least(least) {
            told.push(format!(
                "{place} `{name}`: {class} is paid for {least} at least, and retain is {}: the early end is charged",
                rule.retain
            ));
        }
    }
    told
}

/// A line with its next firings.
#[derive(Debug, Serialize)]
struct Firings {
    cron: String,
    /// True for the settings' own line.
    of_settings: bool,
    rules: Vec<String>,
    next: Vec<Zoned>,
}

fn firings(schedule: &Schedule, policies: &PolicySet, now: Timestamp) -> Result<Vec<Firings>> {
    let lines = timed(schedule, Some(policies))?;
    let mut found = Vec::with_capacity(lines.len());
    for timed in lines {
        let times = std::iter::successors(timed.line.next(now), |at| timed.line.next(*at));
        let next: Vec<Zoned> = times.take(3).map(|at| at.to_zoned(schedule.zone.clone())).collect();
        let cron = timed.line.text().to_owned();
        if next.is_empty() {
            let kind = if timed.key.is_none() { Kind::Usage } else { Kind::Policy };
            return Err(Error::new(kind, format!("looking when `{cron}` fires"), format!("it never does after {now}"))
                .with_hint("write a line that does"));
        }
        found.push(Firings { cron, of_settings: timed.key.is_none(), rules: timed.rules, next });
    }
    Ok(found)
}

/// A table of the lines, three times each; in UTC too, where the zone is another.
fn told(schedule: &Schedule, firings: &[Firings]) -> Vec<String> {
    if firings.is_empty() {
        return vec![
            "No schedule: start `holdfast run` by other means, or write [schedule] cron into the settings.".into(),
        ];
    }
    let is_utc = schedule.time_zone == "UTC";
    let mut rows = Vec::new();
    for line in firings {
        for (index, at) in line.next.iter().enumerate() {
            let first = |text: String| if index == 0 { text } else { String::new() };
            let rules = if line.of_settings && line.rules.is_empty() { "no rule".into() } else { some(&line.rules) };
            let mut row = vec![first(line.cron.clone()), first(rules), at.strftime("%a %Y-%m-%d %H:%M %Z").to_string()];
            if !is_utc {
                row.push(at.timestamp().strftime("%a %H:%M").to_string());
            }
            rows.push(row);
        }
    }
    let head = ["schedule", "runs the tables of", "next", "UTC"];
    aligned(if is_utc { &head[..3] } else { &head }, &rows, &[])
}

/// A few names, and how many more.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
