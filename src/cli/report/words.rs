//! What text and page say in the same words.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::cli::output::{count, number, size};
use crate::explain::Done;
use crate::ledger::Keeping;
use crate::report::{DayRange, Due, HourGaps, Layer, NotSeen, QuarantineFacts, ReportedTable, Volume};

/// So many stretches of days, and of hours, are named one by one.
const MOST_DAYS: usize = 12;
const MOST_HOURS: usize = 4;

/// `1,234 rows, 56.0 kB`; of raw objects that nobody read, what can be said of them.
pub fn volume(volume: &Volume) -> String {
    let rows = count(volume.rows, "row", "rows");
    if volume.unread_bytes == 0 {
        return format!("{rows}, {}", size(volume.bytes));
    }
    let unread = format!("{} not read yet", size(volume.unread_bytes));
    if volume.rows == 0 { unread } else { format!("{rows}, {}, of which {unread}", size(volume.bytes)) }
}

/// A layer of a table with its days: `31 days, 1,234 rows, 56.0 kB`.
pub fn layer(table: &ReportedTable, layer: Layer) -> Option<String> {
    let sum = table.strata.layer(layer);
    let days = table.days_in.get(layer.name()).copied().unwrap_or_default();
    (!sum.is_empty()).then(|| format!("{}, {}", count(days, "day", "days"), volume(sum)))
}

/// `16.4 to 1`, of two sizes that can be compared.
pub fn ratio(raw: u64, archived: u64) -> Option<String> {
    (raw > 0 && archived > 0).then(|| format!("{:.1} to 1", raw as f64 / archived as f64))
}

/// What leaves a table next.
pub fn expiry(due: &Due) -> String {
    let date = |date: Option<Date>| date.map_or_else(|| "never".to_owned(), |date| date.to_string());
    let day = match due.keeping {
        Keeping::Raw => format!("{} (raw)", due.day),
        Keeping::Archive | Keeping::Quarantine => due.day.to_string(),
    };
    let on = if due.due { ", due since" } else { " on" };
    let mut said = match (due.keeping, due.expires) {
        (Keeping::Archive, Some(expires)) => format!("{day}{on} {expires}, destroyed on {}", date(due.destroy_at)),
        _ => format!("{day}{on} {}", date(due.destroy_at)),
    };
    if let Some(blocked) = &due.blocked {
        said.push_str(&format!("; in the way: {blocked}"));
    }
    said
}

/// What a run did, and when.
pub fn done(done: &Done) -> String {
    format!("{}, {}, {} by run {}", instant(done.at), count(done.rows, "row", "rows"), size(done.bytes), done.run)
}

/// To the second, which is all that people need.
pub fn instant(at: Timestamp) -> String {
    Timestamp::from_second(at.as_microsecond().div_euclid(1_000_000)).unwrap_or(at).to_string()
}

/// Days without a record.
pub fn missing_days(ranges: &[DayRange]) -> Option<String> {
    let days: u64 = ranges.iter().map(|range| u64::from(range.days)).sum();
    let shown = ranges.iter().map(|range| match range.days {
        1 => range.from.to_string(),
        _ => format!("{} to {}", range.from, range.to),
    });
    (days > 0).then(|| format!("{}: {}", count(days, "day", "days"), most(shown, ranges.len(), MOST_DAYS)))
}

/// Hours without a record, and where they were looked for.
pub fn missing_hours(hours: &HourGaps) -> String {
    if let Some(reason) = &hours.not_read {
        return format!("hours: not looked at, {reason}");
    }
    let days = match hours.days_read {
        1 => "newest archived day".to_owned(),
        days => format!("{} newest archived days", number(days)),
    };
    let span = match (hours.from, hours.to) {
        (Some(from), Some(to)) if from != to => format!(" ({from} to {to})"),
        (Some(from), _) => format!(" ({from})"),
        _ => String::new(),
    };
    if hours.hours == 0 {
        return format!("no hour in the {days}{span}");
    }
    let shown = hours.ranges.iter().map(|range| {
        let (from, to) = (hour(range.from), hour(range.to));
        if from[..10] == to[..10] { format!("{from} to {}", &to[11..]) } else { format!("{from} to {to}") }
    });
    format!(
        "{} in the {days}{span}: {}",
        count(hours.hours, "hour", "hours"),
        most(shown, hours.ranges.len(), MOST_HOURS)
    )
}

/// `2024-03-01 14:00`.
fn hour(at: Timestamp) -> String {
    at.to_string().replace('T', " ").chars().take(16).collect()
}

fn most(shown: impl Iterator<Item = String>, all: usize, most: usize) -> String {
    let mut text = shown.take(most).collect::<Vec<_>>().join(", ");
    if all > most {
        text.push_str(&format!(" and {} more (--format json has all)", number((all - most) as u64)));
    }
    text
}

/// Quarantine, over what the layer says.
pub fn quarantine(quarantine: &QuarantineFacts) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(oldest) = quarantine.oldest {
        let next = quarantine.next.map_or_else(String::new, |next| format!(", the next goes on {next}"));
        said.push(format!("the oldest of its quarantine came on {oldest}{next}"));
    }
    if quarantine.destroyed_records > 0 {
        said.push(format!("{} destroyed in quarantine", count(quarantine.destroyed_records, "record", "records")));
    }
    said
}

/// What lies raw beside the layers.
pub fn copies(copies: &Volume) -> Option<String> {
    let objects = count(copies.files, "raw object", "raw objects");
    (!copies.is_empty()).then(|| format!("{objects}, {} archived and still in their source", size(copies.bytes)))
}

/// What the report does not show, in sentences; never empty, since hours are looked for in a window.
pub fn not_seen(seen: &NotSeen) -> Vec<String> {
    let mut said = Vec::new();
    if !seen.unread.is_empty() {
        let objects = count(seen.unread.files, "raw object", "raw objects");
        said.push(format!(
            "{objects}, {} that no run read yet: their records are not counted",
            size(seen.unread.bytes)
        ));
    }
    if seen.unsettled > 0 {
        let objects = count(seen.unsettled, "raw object", "raw objects");
        said.push(format!("{objects} that changed less than `settle` ago"));
    }
    if seen.strangers > 0 {
        let objects = count(seen.strangers, "object", "objects");
        said.push(format!("{objects} in the sources that fit no layout: `holdfast plan` names them"));
    }
    if seen.quarantined_records > 0 {
        let records = count(seen.quarantined_records, "record", "records");
        said.push(format!(
            "{records} in quarantine: of which day they are is not known, they count on that of their arrival"
        ));
    }
    if seen.unfinished > 0 {
        let steps = count(seen.unfinished, "step", "steps");
        said.push(format!("{steps} begun and not ended: what came of them is unknown until the next run"));
    }
    said.push(match seen.hours_for_days {
        0 => "hours without records: none were looked for".into(),
        days => format!(
            "hours without records before the newest {} of each table",
            count(days, "archived day", "archived days")
        ),
    });
    said.extend(seen.failures.iter().map(|failure| format!("what could not be read: {failure}")));
    said
}
