//! What the page promises whatever it shows: harmless, small, with a lane for every table and bars where their days are.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::{Date, date};

use super::lane::Lane;
use super::timeline::Timeline;
use super::{escaped, page};
use crate::names::TableName;
use crate::report::{
    HourGaps, Layer, NotSeen, REPORT_VERSION, Report, ReportedTable, Stratum, Totals, Volume, missing_days,
};

const FIRST: Date = date(2015, 1, 1);

fn volume(rows: u64) -> Volume {
    Volume { files: 1, rows, bytes: rows * 50, unread_bytes: 0 }
}

fn table(name: TableName, days: BTreeMap<Date, Stratum>) -> ReportedTable {
    let mut strata = Stratum::default();
    days.values().for_each(|day| strata.add(day));
    let count = |layer: Layer| days.values().filter(|day| !day.layer(layer).is_empty()).count() as u64;
    ReportedTable {
        table: name,
        rule: None,
        oldest: None,
        newest: None,
        first_day: days.keys().next().copied(),
        last_day: days.keys().next_back().copied(),
        strata,
        days_in: Layer::ALL.iter().map(|layer| (layer.name(), count(*layer))).collect(),
        raw: crate::report::RawFacts::default(),
        bytes_archived: 0,
        counts: crate::ledger::Counts::default(),
        next_expiry: None,
        next_destruction: None,
        last_archive: None,
        last_destruction: None,
        quarantine: crate::report::QuarantineFacts::default(),
        missing_days: missing_days(days.keys().copied()),
        missing_hours: HourGaps::default(),
        attention: Vec::new(),
        days,
    }
}

fn of(tables: Vec<ReportedTable>, now: Date) -> Report {
    let mut totals = Totals { tables: tables.len() as u64, ..Totals::default() };
    tables.iter().for_each(|table| totals.strata.add(&table.strata));
    Report {
        report: REPORT_VERSION,
        archive: "a".into(),
        simulation: true,
        now: now.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp(),
        findings: Vec::new(),
        totals,
        tables,
        not_seen: NotSeen::default(),
    }
}

/// So many tables of so many days from [`FIRST`] on: the oldest half destroyed, some retired, the rest archived.
pub(super) fn report(tables: usize, days: i64) -> Report {
    let stratum = |at: i64| {
        let all = volume(1 + at.unsigned_abs() * 7 % 900);
        match at * 100 / days {
            ..50 => Stratum { destroyed: all, ..Stratum::default() },
            50..55 => Stratum { retired: all, ..Stratum::default() },
            99.. => Stratum { raw: all, quarantined: volume(1), ..Stratum::default() },
            _ => Stratum { archived: all, ..Stratum::default() },
        }
    };
    let days: BTreeMap<Date, Stratum> = (0..days).map(|at| (FIRST.saturating_add(at.days()), stratum(at))).collect();
    let last = *days.keys().next_back().unwrap();
    let name = |number: usize| TableName::new("main", format!("Table_{number}"));
    of((0..tables).map(|number| table(name(number), days.clone())).collect(), last)
}

#[test]
fn names_from_data_do_nothing_in_a_browser() {
    let evil = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&";
    let mut one = table(
        TableName::new(evil, evil),
        BTreeMap::from([(FIRST, Stratum { archived: volume(1), ..Stratum::default() })]),
    );
    one.attention.push(format!("{evil} `{evil}`"));
    let mut report = of(vec![one], FIRST);
    report.archive = evil.into();
    report.not_seen.failures.push(evil.into());
    report.findings.push(crate::explain::Finding { exit_code: 1, what: evil.into(), next: format!("`{evil}`") });
    let page = page(&report);
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("onerror=alert(1)>&\""), "{page}");
    assert!(page.matches("&lt;script&gt;").count() >= 8, "it is shown as it is");
    assert_eq!(escaped("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let page = page(&report(3, 400));
    for reach in ["http:", "https:", "src=", "@import", "<link", "<script", "<iframe", "//"] {
        assert!(!page.contains(reach), "{reach}");
    }
    // The one url() is the pattern in the page itself.
    assert_eq!(page.matches("url(").count(), page.matches("url(#ruled)").count());
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn ten_years_of_forty_tables_are_a_small_page() {
    let report = report(40, 3650);
    let page = page(&report);
    assert_eq!(page.matches("<svg class=\"lane").count(), 40);
    assert!(page.contains("data-unit=\"month\"") && page.contains("One bar is a month"), "it says what a bar is");
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    // With more tables a bar is more, and every table keeps its lane.
    let many = super::page(&self::report(200, 3650));
    assert_eq!(many.matches("<svg class=\"lane").count(), 200);
    assert!(many.contains("data-unit=\"quarter\"") && many.len() < 2_000_000, "{} bytes", many.len());
}

/// Where a path's subpaths begin and end across.
fn stretches(svg: &str, class: &str) -> Vec<(i64, i64)> {
    let Some((_, rest)) = svg.split_once(&format!("<path class=\"{class}\" d=\"")) else { return Vec::new() };
    let drawn = rest.split('"').next().unwrap();
    let across = |subpath: &str| {
        let from = subpath.split(' ').next().unwrap().parse().unwrap();
        let widths = subpath
            .split('h')
            .skip(1)
            .map(|step| step.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<i64>().unwrap());
        (from, from + widths.sum::<i64>())
    };
    drawn.split('M').skip(1).map(across).collect()
}

#[test]
fn bars_stand_where_the_axis_says_and_holes_are_empty() {
    let day = |at: i64| FIRST.saturating_add(at.days());
    let mut days = BTreeMap::new();
    for at in 0..10 {
        days.insert(day(at), Stratum { destroyed: volume(5), ..Stratum::default() });
    }
    for at in (12..30).filter(|at| *at != 20) {
        days.insert(day(at), Stratum { archived: volume(5), ..Stratum::default() });
    }
    days.insert(day(35), Stratum { raw: volume(5), ..Stratum::default() });
    days.insert(day(33), Stratum { quarantined: volume(1), ..Stratum::default() });
    let report = of(vec![table(TableName::new("main", "T"), days)], day(40));
    let timeline = Timeline::new(&report, day(40));
    assert_eq!((timeline.from, timeline.days), (FIRST, 41));
    let svg = Lane::new(&report.tables[0], &timeline).svg("", &[]);
    assert_eq!(stretches(&svg, "destroyed"), [(0, 10)]);
    assert_eq!(stretches(&svg, "archived"), [(12, 20), (21, 30)]);
    assert_eq!(stretches(&svg, "raw"), [(35, 36)]);
    assert_eq!(stretches(&svg, "retired"), []);
    assert_eq!(stretches(&svg, "ground"), [(0, 10), (12, 20), (21, 30), (35, 36)]);
    assert_eq!(stretches(&svg, "missing"), [(10, 12), (20, 21), (30, 35)], "what is in quarantine is of no known day");
    assert!(svg.contains("class=\"quarantined\" d=\"M33.5 4h0\"") && svg.contains("class=\"now\" d=\"M40.5 0"));
    assert!(svg.contains("<title>2015-01-05; destroyed 5 rows, 250 B</title>"));
}

#[test]
fn nothing_known_is_a_page_too() {
    let page = page(&of(Vec::new(), FIRST));
    assert!(page.contains("No table is known yet") && !page.contains("NaN") && !page.contains("inf"));
}
