//! `holdfast policy diff`: text for a terminal, Markdown for a pull request, JSON for programs.

use serde::Serialize;

use super::args::DiffArgs;
use super::{place, show_mistakes, words};
use crate::cli::args::{Args, Format};
use crate::cli::output::{Output, count};
use crate::cli::table::aligned;
use crate::error::{Error, Kind, Result};
use crate::policy::{Diff, Inventory, PolicySet, RuleChange, compare};

/// So many rows of a table fit a pull request's comment.
const MOST_ROWS: usize = 100;

pub fn diff(args: &Args, options: &DiffArgs, output: &mut Output) -> Result<u8> {
    let (old, new) = read_both(args, options, output)?;
    let shown = options.inventory.display().to_string();
    let bytes = std::fs::read(&options.inventory).map_err(|source| {
        Error::from_source(Kind::Usage, format!("reading the inventory {shown}"), source)
            .with_hint("each run writes `inventory.json` beside the ledger: copy it here")
    })?;
    let inventory = Inventory::read(&bytes, &shown)?;
    let diff = compare(&old, &new, &inventory, options.as_of.unwrap_or(inventory.at));
    match output.format {
        Format::Json => output.json(&Report {
            old: &options.old,
            new: &options.new,
            archive: &inventory.archive,
            inventory_at: inventory.at.to_string(),
            diff: &diff,
        })?,
        Format::Markdown => {
            for line in markdown(&diff, &inventory, options) {
                output.line(line)?;
            }
        }
        _ => {
            for line in text(&diff, &inventory, options) {
                output.line(line)?;
            }
        }
    }
    Ok(diff.exit_code())
}

#[derive(Serialize)]
struct Report<'r> {
    old: &'r str,
    new: &'r str,
    archive: &'r str,
    inventory_at: String,
    #[serde(flatten)]
    diff: &'r Diff,
}

/// Both policies, or all mistakes of both.
fn read_both(args: &Args, options: &DiffArgs, output: &mut Output) -> Result<(PolicySet, PolicySet)> {
    let config = args.config.as_deref();
    let (old, new) = (place::read(&options.old, config)?, place::read(&options.new, config)?);
    match (old, new) {
        (Ok(old), Ok(new)) => Ok((old, new)),
        (old, new) => {
            let wrong: Vec<_> = [old.err(), new.err()].into_iter().flatten().collect();
            let mistakes: Vec<_> = wrong.iter().flat_map(|error| error.mistakes.clone()).collect();
            show_mistakes(&mistakes, output)?;
            let attempted = format!("comparing {} with {}", options.old, options.new);
            let reasons: Vec<String> =
                wrong.iter().map(|error| format!("{}: {error}", error.folder.display())).collect();
            Err(Error::new(Kind::Policy, attempted, reasons.join("; "))
                .with_hint("correct the policy files and compare again"))
        }
    }
}

fn text(diff: &Diff, inventory: &Inventory, options: &DiffArgs) -> Vec<String> {
    let mut lines = vec![format!("{} -> {}", options.old, options.new)];
    lines.extend(words::headlines(diff));
    let effects = words::effect_rows(diff);
    if !effects.is_empty() {
        lines.push(String::new());
        lines.extend(aligned(&words::EFFECT_HEADS, &effects, &words::RIGHT));
    }
    for change in &diff.changes {
        lines.push(String::new());
        lines.extend(block(change));
    }
    lines.push(String::new());
    lines.extend(unchanged(diff));
    lines.extend(words::remarks(diff, inventory, &options.old));
    lines
}

/// One change of a rule: which, of what tables, and each key.
fn block(change: &RuleChange) -> Vec<String> {
    let (old, new) = (words::rule(change.old.as_ref()), words::rule(change.new.as_ref()));
    let head = if old == new { new } else { format!("{old} -> {new}") };
    let mut rows = vec![["tables".to_owned(), words::tables(change)]];
    let keys = words::key_rows(change);
    let width =
        keys.iter().map(|[_, before, after, _]| before.chars().count() + after.chars().count()).max().unwrap_or(0);
    for [key, before, after, way] in keys {
        let padding = if way.is_empty() { 0 } else { width - before.chars().count() - after.chars().count() };
        rows.push([key, format!("{before} -> {after}{}  {way}", " ".repeat(padding)).trim_end().to_owned()]);
    }
    rows.extend(words::grace(change).map(|grace| ["grace".to_owned(), grace]));
    let width = rows.iter().map(|[label, _]| label.chars().count()).max().unwrap_or(0);
    let mut lines = vec![format!("{}  {head}", words::volume(change))];
    lines.extend(rows.iter().map(|[label, value]| format!("  {label:width$}  {value}")));
    lines
}

fn unchanged(diff: &Diff) -> Option<String> {
    let tables = diff.tables_unchanged;
    (tables > 0).then(|| format!("{} of the inventory: as before.", count(tables, "table", "tables")))
}

fn markdown(diff: &Diff, inventory: &Inventory, options: &DiffArgs) -> Vec<String> {
    let mut lines = vec![format!("### Retention: {} → {}", code(&options.old), code(&options.new)), String::new()];
    for headline in words::headlines(diff) {
        // What is loud in text is bold here.
        lines.push(match headline.split_once([':', ',', '.']) {
            Some((loud, _)) if loud.chars().all(|c| c.is_uppercase() || c == ' ') => {
                format!("**{loud}**{}  ", escaped(&headline[loud.len()..]))
            }
            _ => format!("{}  ", escaped(&headline)),
        });
    }
    let effects = words::effect_rows(diff);
    if !effects.is_empty() {
        let right = words::RIGHT.to_vec();
        lines.extend(table(&words::EFFECT_HEADS, &right, &effects));
    }
    if !diff.changes.is_empty() {
        lines.extend(table(&["change", "rule", "key", "before", "after", "tables"], &[], &rule_rows(diff)));
    }
    lines.push(String::new());
    lines.extend(unchanged(diff).map(|line| format!("{line}  ")));
    lines.extend(words::remarks(diff, inventory, &options.old).iter().map(|line| format!("{}  ", escaped(line))));
    lines
}

/// A row for each key of each change.
fn rule_rows(diff: &Diff) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for change in &diff.changes {
        let (old, new) = (words::rule(change.old.as_ref()), words::rule(change.new.as_ref()));
        let rule = if old == new { new } else { format!("{old} → {new}") };
        let grace = words::grace(change).map(|grace| ["grace".to_owned(), String::new(), grace, String::new()]);
        for (at, [key, before, after, way]) in words::key_rows(change).into_iter().chain(grace).enumerate() {
            let first = |text: String| if at == 0 { text } else { String::new() };
            let key = if way.is_empty() { key } else { format!("{key} ({way})") };
            rows.push(vec![
                first(words::volume(change).into()),
                first(rule.clone()),
                key,
                before,
                after,
                first(words::tables(change)),
            ]);
        }
    }
    rows
}

fn table(heads: &[&str], right: &[usize], rows: &[Vec<String>]) -> Vec<String> {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let rule = (0..heads.len()).map(|column| if right.contains(&column) { "---:" } else { "---" }.to_owned());
    let mut lines =
        vec![String::new(), line(heads.iter().map(|head| (*head).to_owned()).collect()), line(rule.collect())];
    lines.extend(rows.iter().take(MOST_ROWS).map(|row| line(row.iter().map(|cell| escaped(cell)).collect())));
    if rows.len() > MOST_ROWS {
        let more = count((rows.len() - MOST_ROWS) as u64, "more row", "more rows");
        lines.extend([String::new(), format!("… and {more}: `--format json` has all of them.")]);
    }
    lines
}

/// Text that means nothing to Markdown: names and values are written by others.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '\\' | '@' | '#') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}
