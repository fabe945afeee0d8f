//! What `why`, the certificate and `status` say, told by what people read (I3, I4, I13; DESIGN §8).
//!
//! The commands are the real ones; the runs before them are the library's, at times that are passed.

mod certificate;
mod standing;
mod why;

use std::fs;

use holdfast::ledger::{Append, Body, HoldScope};
use holdfast::names::TableName;
use holdfast::pipeline::{Request, approve, plan};
use jiff::Timestamp;

use crate::site::{Site, lines};

/// Archived and cleared at once, kept for 30 days, restorable for 7.
const POLICY: &str = r#"
version = 1
[[table]]
name = "Audit"
archive_after = "0d"
keep_raw = "0d"
retain = "30d"
purge_delay = "7d"
"#;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn record(time: &str, number: usize) -> String {
    format!(r#"{{"TimeGenerated":"{time}","number":{number}}}"#)
}

/// `rows` records of each of these days of March 2024, in an object a day.
fn write_days(site: &Site, days: &[u8], rows: usize) {
    for day in days {
        let time = format!("2024-03-{day:02}T10:00:00.0000000Z");
        let records: Vec<String> = (0..rows).map(|number| record(&time, number)).collect();
        site.write(&format!("Audit/2024/03/{day:02}/10/a.json"), lines(&records));
    }
}

/// Everything armed, two days of logs, nothing run yet.
fn site_under(policy: &str) -> Site {
    let mut site = Site::new().with_policy(policy);
    (site.armed.raw, site.armed.expired) = (true, true);
    write_days(&site, &[1, 2], 3);
    site
}

/// The same, and archived on 10 March.
fn archived_under(policy: &str) -> Site {
    let site = site_under(policy);
    site.run_well("2024-03-10T02:00:00Z");
    site
}

/// The same; what expired was approved, retired on 3 April and destroyed on 11 April.
fn destroyed() -> Site {
    let site = archived_under(POLICY);
    consent(&site, "2024-04-02T03:00:00Z");
    site.run_well("2024-04-03T02:00:00Z");
    site.run_well("2024-04-11T02:00:00Z");
    site
}

/// A person agrees to everything that waits.
fn consent(site: &Site, now: &str) {
    let now = at(now);
    let document = plan(&site.context(), &Request::all(now), now).unwrap().document;
    let bytes = serde_json::to_vec(&document).unwrap();
    approve(&site.context(), &bytes, "auditor@example.com", "ticket 4711", |plan| plan.now).unwrap();
}

fn hold(site: &Site, now: &str) {
    let mut chain = site.chain();
    let text = chain.seal("a lawsuit").unwrap();
    let scope = HoldScope { tables: vec![TableName::new("main", "Audit")], ..HoldScope::default() };
    append(site, now, Body::HoldPlaced { hold: "case-12".into(), scope, text });
    chain.fold().unwrap();
}

fn append(site: &Site, now: &str, body: Body) {
    assert_eq!(site.chain().append(at(now), body).unwrap(), Append::Done);
}

/// What a command prints on one screen, what it says beside, and its exit code. Hashes differ with the times of raw
/// files and are left out.
fn told(site: &Site, arguments: &[&str]) -> String {
    let (code, out, beside) = site.holdfast(arguments);
    if !arguments.contains(&"--certificate") {
        assert!(out.lines().count() <= 24, "more than a screen:\n{out}");
    }
    for line in out.lines() {
        assert!(line.chars().count() <= 110, "too long for a screen: {line}");
    }
    let beside = if beside.is_empty() { String::new() } else { format!("--- beside\n{beside}") };
    let text = format!("$ holdfast {}\n{out}{beside}--- exit {code}\n", arguments.join(" "));
    text.split_inclusive(|c: char| !c.is_ascii_hexdigit()).map(unhashed).collect()
}

fn unhashed(word: &str) -> String {
    let hex = word.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
    if hex.len() == 64 { word.replace(hex, "(64 digits)") } else { word.to_owned() }
}

/// All of the archive but its ledger is out of reach.
fn lose_archive(site: &Site) {
    let archive = site.path().join("archive");
    fs::rename(archive.join("tables"), site.path().join("elsewhere")).unwrap();
}
