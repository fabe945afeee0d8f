//! The figures beside the drawing: the same numbers in words, and what cannot be drawn.

use std::fmt::Write;

use super::{breakable, code, escaped};
use crate::cli::output::{count, size};
use crate::cli::report::words;
use crate::cli::tables::rule;
use crate::report::{Layer, Report, ReportedTable};

/// All tables of figures.
pub fn all(page: &mut String, report: &Report) {
    if report.tables.is_empty() {
        return;
    }
    figures(page, report);
    dates(page, report);
    holes(page, report);
}

/// A table: what it is about, its heads, and cells of escaped text.
fn table(page: &mut String, id: &str, title: &str, heads: &[&str], rows: &[Vec<String>]) {
    let _ = write!(page, "<section class=\"figures\" id=\"{id}\">\n<h2>{title}</h2>\n<table>\n<thead><tr>");
    for head in heads {
        let _ = write!(page, "<th scope=\"col\">{head}</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        page.push_str("<tr>");
        for (at, (cell, head)) in row.iter().zip(heads).enumerate() {
            match (at, cell.is_empty()) {
                (0, _) => drop(write!(page, "<th scope=\"row\">{cell}</th>")),
                (_, true) => page.push_str("<td class=\"none\">–</td>"),
                (_, false) => drop(write!(page, "<td data-head=\"{head}\"><div>{cell}</div></td>")),
            }
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</section>\n");
}

fn name(one: &ReportedTable) -> String {
    breakable(&one.table.to_string())
}

/// Escaped; dates, and numbers with their units, stay in one piece. Instants are told apart as date and time.
fn flowing(text: &str) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut flowing = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !flowing.is_empty() {
            flowing.push_str(if UNITS.contains(&word.trim_end_matches([',', ';'])) { "\u{a0}" } else { " " });
        }
        match word.split_at_checked(10) {
            Some((date, rest)) if date.parse::<jiff::civil::Date>().is_ok() => {
                let rest = rest.replace('Z', "").replacen('T', " ", 1);
                let (tail, time) = if rest.starts_with(' ') { ("", rest.as_str()) } else { (rest.as_str(), "") };
                let _ = write!(flowing, "<span class=\"date\">{date}{}</span>{}", escaped(tail), escaped(time));
            }
            _ => flowing.push_str(&escaped(word)),
        }
    }
    flowing
}

fn figures(page: &mut String, report: &Report) {
    let heads = ["table", "raw", "archived", "retired", "destroyed", "quarantined"];
    let cells = |one: &ReportedTable| {
        let layers = Layer::ALL.iter().map(|layer| words::layer(one, *layer).unwrap_or_default());
        std::iter::once(name(one)).chain(layers.map(|text| flowing(&text))).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = report.tables.iter().map(cells).collect();
    table(page, "layers", "What is drawn, in figures", &heads, &rows);
}

fn dates(page: &mut String, report: &Report) {
    let heads = ["table", "rule", "events", "raw read, archived", "expires next", "last archive", "last destruction"];
    let cells = |one: &ReportedTable| {
        let events = one.oldest.zip(one.newest);
        let read = words::ratio(one.raw.bytes_read, one.bytes_archived)
            .map(|ratio| format!("{} became {}, {ratio}", size(one.raw.bytes_read), size(one.bytes_archived)));
        let gone = one.next_destruction.as_ref().map(|due| format!("next gone: {}", words::expiry(due)));
        let next: Vec<String> = one.next_expiry.iter().map(words::expiry).chain(gone).collect();
        let mut rule = breakable(&rule(one.rule.as_ref()));
        for sentence in &one.attention {
            let _ = write!(rule, "<br><b class=\"attention\">{}</b>", code(sentence));
        }
        vec![
            name(one),
            rule,
            events.map_or_else(String::new, |(oldest, newest)| {
                flowing(&format!("{} to {}", words::instant(oldest), words::instant(newest)))
            }),
            read.unwrap_or_default(),
            next.iter().map(|text| flowing(text)).collect::<Vec<_>>().join("<br>"),
            flowing(&one.last_archive.as_ref().map(words::done).unwrap_or_default()),
            flowing(&one.last_destruction.as_ref().map(words::done).unwrap_or_default()),
        ]
    };
    let rows: Vec<Vec<String>> = report.tables.iter().map(cells).collect();
    table(page, "dates", "Rules and dates", &heads, &rows);
}

fn holes(page: &mut String, report: &Report) {
    let heads = ["table", "days without any record", "hours without any record", "beside the layers"];
    let cells = |one: &ReportedTable| {
        let mut beside: Vec<String> = words::copies(&one.raw.copies).into_iter().collect();
        if one.counts.expired > 0 {
            beside.push(format!("{} had expired when they came", count(one.counts.expired, "record", "records")));
        }
        if one.counts.duplicate > 0 {
            beside.push(format!("{} came twice", count(one.counts.duplicate, "record", "records")));
        }
        beside.extend(words::quarantine(&one.quarantine));
        let days = match (one.first_day, words::missing_days(&one.missing_days)) {
            (None, _) => String::new(),
            (Some(_), None) => "none".into(),
            (Some(_), Some(days)) => days,
        };
        vec![
            name(one),
            flowing(&days),
            flowing(&words::missing_hours(&one.missing_hours)),
            beside.iter().map(|text| flowing(text)).collect::<Vec<_>>().join("<br>"),
        ]
    };
    let rows: Vec<Vec<String>> = report.tables.iter().map(cells).collect();
    table(page, "holes", "Holes", &heads, &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_stays_together() {
        assert_eq!(
            flowing("2024-03-01T10:00:00Z, 1,234 rows, 5.6 kB; 2024-03-02, <b>"),
            "<span class=\"date\">2024-03-01</span> 10:00:00, 1,234 rows, 5.6\u{a0}kB; \
             <span class=\"date\">2024-03-02,</span> &lt;b&gt;"
        );
    }
}
