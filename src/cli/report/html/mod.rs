//! The report as one page: no script, nothing loaded from elsewhere, readable on a telephone, a wide screen and paper.
//!
//! Everything that comes from data is escaped, and the page forbids itself to load anything (its content policy), so that
//! what stands in a log can do nothing in a reader's browser.

mod lane;
mod tables;
mod timeline;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use super::words;
use crate::cli::output::{count, number, size};
use crate::cli::status::word;
use crate::cli::tables::rule;
use crate::policy::day_of;
use crate::report::{Layer, Report, ReportedTable};
use lane::Lane;
use timeline::{Tick, Timeline, Unit};

const STYLE: &str = include_str!("page.css");

/// The axis' labels on narrow, middling and wide pages: at most so many, and none in the last so many parts of a hundred,
/// where it would stick out of the page.
const AXES: [(&str, usize, f64); 3] = [("narrow", 6, 18.0), ("middling", 10, 9.0), ("wide", 16, 6.0)];

/// The whole page.
pub fn page(report: &Report) -> String {
    let timeline = Timeline::new(report, day_of(report.now));
    let mut page = String::with_capacity(1 << 16);
    let title = format!("Holdfast report of {}", day_of(report.now));
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escaped(&title)
    );
    head(&mut page, report);
    findings(&mut page, report);
    strata(&mut page, report, &timeline);
    tables::all(&mut page, report);
    page.push_str("<section class=\"unseen\">\n<h2>Not in this report</h2>\n<ul>\n");
    for sentence in words::not_seen(&report.not_seen) {
        let _ = writeln!(page, "<li>{}</li>", escaped(&sentence));
    }
    page.push_str("</ul>\n</section>\n</main>\n</body>\n</html>\n");
    page
}

/// Text that means nothing to a browser: names and values are written by others.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Escaped; what is one long word may break where words in it begin, a sentence only behind marks.
pub fn breakable(text: &str) -> String {
    let mut broken = String::with_capacity(text.len());
    let sentence = text.contains(' ');
    let mut before = ' ';
    for c in escaped(text).chars() {
        if (!sentence && before.is_lowercase() && c.is_uppercase()) || matches!(before, '/' | ':' | '_') {
            broken.push_str("<wbr>");
        }
        broken.push(c);
        before = c;
    }
    broken
}

fn head(page: &mut String, report: &Report) {
    let simulation = if report.simulation { " · a simulation" } else { "" };
    let now = words::instant(report.now);
    let _ = write!(
        page,
        "<header>\n<h1>What is kept, and what is gone</h1>\n\
         <p>Archive {}{simulation}, as of <time datetime=\"{now}\">{}</time>; all times are UTC</p>\n<dl class=\"totals\">\n",
        escaped(&report.archive),
        now.replace('T', " ").replace('Z', ""),
    );
    let totals = &report.totals;
    let mut figure = |what: &str, value: String, note: String| {
        let _ = writeln!(page, "<div><dt>{what}</dt><dd>{value}<small>{note}</small></dd></div>");
    };
    let sum = &totals.strata;
    figure("tables", number(totals.tables), String::new());
    figure("archived", number(sum.archived.rows), format!(" rows, {}", size(sum.archived.bytes)));
    if let Some(ratio) = words::ratio(totals.raw_bytes_read, totals.bytes_archived) {
        let read = (size(totals.raw_bytes_read), size(totals.bytes_archived));
        figure("raw to archive", ratio, format!(" {} became {}", read.0, read.1));
    }
    figure("destroyed", number(sum.destroyed.rows), format!(" rows, {}", size(sum.destroyed.bytes)));
    figure("in quarantine", number(sum.quarantined.rows), format!(" records, {}", size(sum.quarantined.bytes)));
    page.push_str("</dl>\n</header>\n");
}

fn findings(page: &mut String, report: &Report) {
    page.push_str("<section class=\"findings\">\n<h2>What needs doing</h2>\n");
    if report.findings.is_empty() {
        page.push_str("<p>Nothing.</p>\n");
    } else {
        page.push_str("<ul>\n");
        for finding in &report.findings {
            let (what, next) = (escaped(&finding.what), code(&finding.next));
            let _ = writeln!(page, "<li><b>{}</b> {what}<br><small>next: {next}</small></li>", word(finding));
        }
        page.push_str("</ul>\n");
    }
    page.push_str("</section>\n");
}

/// Escaped, with what stands in backticks as code.
fn code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) })
        .collect()
}

fn strata(page: &mut String, report: &Report, timeline: &Timeline) {
    page.push_str("<section class=\"strata\">\n<h2>Strata</h2>\n");
    if report.tables.is_empty() {
        page.push_str(
            "<p>No table is known yet: nothing was archived, and no source has a raw object.</p>\n</section>\n",
        );
        return;
    }
    // Rules of a width of their own, however wide the page is.
    page.push_str(
        "<svg class=\"patterns\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs><pattern id=\"ruled\" width=\"8\" \
         height=\"3\" patternUnits=\"userSpaceOnUse\"><path d=\"M0 1.5h8\"/></pattern></defs></svg>\n",
    );
    legend(page, timeline.unit);
    let axes: Vec<(&str, Vec<Tick>)> = AXES.iter().map(|(name, most, _)| (*name, timeline.ticks(*most))).collect();
    let grid: Vec<i64> = axes[1].1.iter().map(|tick| tick.at).filter(|at| *at > 0).collect();
    axis(page, timeline, &axes);
    for table in &report.tables {
        one(page, table, timeline, &grid);
    }
    page.push_str("</section>\n");
}

fn axis(page: &mut String, timeline: &Timeline, axes: &[(&str, Vec<Tick>)]) {
    let _ = writeln!(
        page,
        "<div class=\"axis\" data-from=\"{}\" data-days=\"{}\" data-unit=\"{}\">",
        timeline.from,
        timeline.days,
        timeline.unit.name()
    );
    for ((name, ticks), (_, _, end)) in axes.iter().zip(AXES) {
        let _ = write!(page, "<div class=\"{name}\">");
        for Tick { day, at, label, year } in ticks {
            let class = if year.is_some() { " class=\"year\"" } else { "" };
            let left = timeline.percent(*at as f64);
            let (label, year) = if left > 100.0 - end { ("", None) } else { (label.as_str(), *year) };
            let year = year.map_or_else(String::new, |year| format!("<small>{year}</small>"));
            let _ = write!(page, "<time{class} datetime=\"{day}\" style=\"left:{left:.3}%\">{year}{label}</time>");
        }
        page.push_str("</div>\n");
    }
    page.push_str("</div>\n");
}

/// What the layers are, drawn as they are.
fn legend(page: &mut String, unit: Unit) {
    let swatches = [
        (Layer::Raw, "raw: not archived yet, or left raw by rule", "M0 16V5h20V16z"),
        (Layer::Archived, "archived: can be searched and restored", "M0 16V3h20V16z"),
        (Layer::Retired, "retired: out of its table, can be put back", "M0 3V16h20V3z"),
        (Layer::Destroyed, "destroyed: gone, because it had expired", "M0 3V16h20V3z"),
        (Layer::Quarantined, "quarantined: cannot be judged, by arrival", "M10 9h0"),
    ];
    page.push_str("<ul class=\"legend\">\n");
    for (layer, text, drawn) in swatches {
        let ground = match layer {
            Layer::Raw | Layer::Archived => "<path class=\"ground\" d=\"M0 16h20\"/>",
            Layer::Retired | Layer::Destroyed => "<path class=\"ground\" d=\"M0 3h20\"/>",
            Layer::Quarantined => "",
        };
        let _ = writeln!(
            page,
            "<li><svg width=\"20\" height=\"19\" aria-hidden=\"true\"><path class=\"{}\" d=\"{drawn}\"/>{ground}</svg>{text}</li>",
            layer.name()
        );
    }
    let marks = [("missing", "M0 9h20", "days without any record"), ("now", "M10 0V19", "now")];
    for (class, drawn, text) in marks {
        let _ = writeln!(
            page,
            "<li><svg width=\"20\" height=\"19\" aria-hidden=\"true\"><path class=\"{class}\" d=\"{drawn}\"/></svg>{text}</li>"
        );
    }
    page.push_str("<li><i class=\"next\"></i>the day that expires next</li>\n</ul>\n");
    let unit = unit.name();
    let _ = writeln!(
        page,
        "<p class=\"how\">One bar is a {unit}. Above the line stands what can be read, below it lies what has left its table. The height \
         is the square root of the rows, by a scale of each table's own; of raw logs that nobody read yet the rows are \
         estimated from their bytes.</p>"
    );
}

fn one(page: &mut String, table: &ReportedTable, timeline: &Timeline, grid: &[i64]) {
    let lane = Lane::new(table, timeline);
    let name = &table.table;
    let _ = write!(
        page,
        "<article data-table=\"{0}\">\n<div class=\"label\"><h3><span>{1}/</span>{2}</h3>\n<p>{3}</p>\n",
        escaped(&name.to_string()),
        breakable(&name.workspace),
        breakable(&name.table),
        breakable(&rule(table.rule.as_ref())),
    );
    let archived = &table.strata.archived;
    let days = table.days_in.get(Layer::Archived.name()).copied().unwrap_or_default();
    let mut facts = vec![if archived.is_empty() {
        "nothing archived".to_owned()
    } else {
        format!(
            "{} of {}, {}",
            count(archived.rows, "row", "rows"),
            count(days, "day", "days"),
            size(archived.bytes).replace(' ', "\u{a0}")
        )
    }];
    facts.extend(lane.scale());
    let _ = writeln!(page, "<p>{}</p>", facts.join("<br>"));
    page.push_str("</div>\n<div class=\"drawing\">");
    if let Some(due) = &table.next_expiry {
        let title = format!("expires next: {}", words::expiry(due));
        let _ = write!(
            page,
            "<i class=\"next\" style=\"left:{:.3}%\" title=\"{}\"></i>",
            timeline.percent(timeline.at(due.day) as f64 + 0.5),
            escaped(&title)
        );
    }
    page.push_str(&lane.svg(&lane.told(), grid));
    page.push_str("</div>\n</article>\n");
}
