//! What a diff says, in words that its text and its Markdown share.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::cli::output::{count, number, size};
use crate::policy::{Change, Dates, Diff, Effect, EffectKind, Held, Inventory, Refusal, Rule, RuleChange, Totals};

/// So many tables are named; the others are counted.
const NAMED: usize = 6;

/// The columns of the table of effects; those from `RIGHT` on are numbers.
pub const EFFECT_HEADS: [&str; 8] = ["table", "what", "days", "rows", "size", "which", "retired", "destroyed"];
pub const RIGHT: [usize; 3] = [2, 3, 4];

/// The outcome, in a sentence or a few; the worst first.
pub fn headlines(diff: &Diff) -> Vec<String> {
    let mut lines = Vec::new();
    for lock in &diff.broken_locks {
        let why = match lock.why {
            Refusal::LockedShortened => "and gets shorter",
            Refusal::LockRemoved => "and the new policy unlocks or removes it",
        };
        let rule = format!("{} ({})", lock.rule.name(), lock.rule);
        lines.push(format!("WILL BE REFUSED: {rule} is locked {why}. No run accepts this policy."));
    }
    match diff.verdict {
        Change::Same if diff.changes.is_empty() => lines.push("Nothing changes.".into()),
        Change::Same => lines.push("Nothing is kept longer or shorter.".into()),
        Change::Longer => {}
        Change::Shorter if diff.shorter.days == 0 => {
            lines.push("SHORTER, but nothing that the archive holds goes earlier.".into());
        }
        Change::Shorter => {
            let first = diff
                .first_destruction
                .map_or_else(String::new, |date| format!(" The first are destroyed on {date} at the earliest."));
            lines.push(format!("SHORTER: {} go earlier than before.{first}", of(diff.shorter)));
        }
    }
    match (diff.verdict, diff.longer.days) {
        (Change::Longer, 0) => lines.push("LONGER, but nothing that the archive holds is concerned.".into()),
        (Change::Longer, _) => {
            lines.push(format!("LONGER: {} are kept longer; nothing goes earlier.", of(diff.longer)))
        }
        (_, 0) => {}
        _ => lines.push(format!("Longer: {}.", of(diff.longer))),
    }
    lines
}

/// What the reader should know of the comparison itself.
pub fn remarks(diff: &Diff, inventory: &Inventory, old: &str) -> Vec<String> {
    let (at, archive) = (instant(inventory.at), &inventory.archive);
    let mut lines = vec![match diff.as_of == inventory.at {
        true => format!("As of the inventory, {at} (archive {archive})."),
        false => format!("As of {}, over the inventory of {at} (archive {archive}).", instant(diff.as_of)),
    }];
    if !diff.old_is_in_force {
        lines.push(format!("Mind: the archive's last run went by another policy than {old}; dates take {old} for it."));
    }
    lines
}

fn of(totals: Totals) -> String {
    format!(
        "{} of {} ({}, {})",
        count(totals.days, "day", "days"),
        count(totals.tables, "table", "tables"),
        count(totals.rows, "row", "rows"),
        size(totals.bytes)
    )
}

/// The table of effects, one row each, loudest first.
pub fn effect_rows(diff: &Diff) -> Vec<Vec<String>> {
    let mut rows: Vec<(EffectKind, Vec<String>)> = Vec::new();
    for table in diff.changes.iter().flat_map(|change| &change.tables) {
        for effect in &table.effects {
            let range = if effect.first_day == effect.last_day {
                effect.first_day.to_string()
            } else {
                format!("{} … {}", effect.first_day, effect.last_day)
            };
            let row = vec![
                table.table.to_string(),
                what(effect),
                number(effect.days),
                number(effect.rows),
                size(effect.bytes),
                range,
                effect.retired.map_or_else(|| "already".into(), dates),
                dates(effect.destroyed),
            ];
            rows.push((effect.effect, row));
        }
    }
    rows.sort_by_key(|(kind, _)| *kind);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn what(effect: &Effect) -> String {
    let what = match effect.effect {
        EffectKind::DueAfterGrace => "due after the grace",
        EffectKind::Earlier => "earlier than before",
        EffectKind::Reinstated => "put back",
        EffectKind::Longer => "kept longer",
        EffectKind::Waits => "waits for the grace",
    };
    let keeping = match effect.keeping {
        Held::Archive => return what.into(),
        Held::Retired => "retired",
        Held::Raw => "raw",
        Held::Quarantine => "quarantine",
    };
    format!("{what} ({keeping})")
}

fn dates(dates: Dates) -> String {
    let shown = |date: Option<Date>| date.map_or_else(|| "never".to_owned(), |date| date.to_string());
    if dates.first == dates.last {
        shown(dates.first)
    } else {
        format!("{} … {}", shown(dates.first), shown(dates.last))
    }
}

/// `shorter`, `longer`, or `changed`.
pub fn volume(change: &RuleChange) -> &'static str {
    match change.change {
        Change::Shorter => "SHORTER",
        Change::Longer => "longer",
        Change::Same => "changed",
    }
}

/// Which rule, and where it stands.
pub fn rule(rule: Option<&Rule>) -> String {
    rule.map_or_else(|| "no rule".into(), |rule| format!("{} ({})", rule.origin.name(), rule.origin))
}

/// The tables of the inventory that change from the one rule to the other.
pub fn tables(change: &RuleChange) -> String {
    if change.tables.is_empty() {
        return "none in the inventory".into();
    }
    let named: Vec<String> = change.tables.iter().take(NAMED).map(|table| table.table.to_string()).collect();
    let more = change.tables.len() - named.len();
    if more == 0 { named.join(", ") } else { format!("{}, and {} more", named.join(", "), number(more as u64)) }
}

/// What differs: key, before, after, and which way.
pub fn key_rows(change: &RuleChange) -> Vec<[String; 4]> {
    let kept = || "kept for ever".to_owned();
    let row = |key: &crate::policy::KeyChange| {
        let way = match key.change {
            Some(Change::Shorter) => "shorter",
            Some(Change::Longer) => "longer",
            Some(Change::Same) | None => "",
        };
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(kept);
        [key.key.to_owned(), shown(&key.old), shown(&key.new), way.to_owned()]
    };
    change.keys.iter().map(row).collect()
}

/// How long what becomes newly due waits.
pub fn grace(change: &RuleChange) -> Option<String> {
    let grace = change.grace?;
    Some(match grace.over {
        Some(over) => format!("{}: nothing goes earlier before {over}; then it needs an approval", grace.span),
        None => "for ever: nothing goes earlier".into(),
    })
}

/// An instant; a midnight as its date.
fn instant(instant: Timestamp) -> String {
    let text = instant.to_string();
    text.strip_suffix("T00:00:00Z").map(str::to_owned).unwrap_or(text)
}
