//! What `why`, the certificate and `status` say, told by what people read (I3, I4, I13; DESIGN §8).

use holdfast::ledger::{Body, HoldScope};
use holdfast::names::TableName;
use holdfast::pipeline::{Request, approve, plan};
use holdfast::record::SetDigest;
use jiff::Timestamp;

use crate::site::{Site, lines};

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

fn site() -> Site {
    let mut site = Site::new().with_policy(POLICY);
    (site.armed.raw, site.armed.expired) = (true, true);
    write_days(&site, &[1, 2], 3);
    site
}

/// Everything that waits is approved.
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
    chain.append_or_end(at(now), Body::HoldPlaced { hold: "case-12".into(), scope, text }).unwrap();
}

/// What a command prints; its exit code and what it says beside come after.
fn told(site: &Site, arguments: &[&str]) -> String {
    let (code, out, beside) = site.holdfast(arguments);
    for line in out.lines() {
        assert!(line.chars().count() <= 130, "too long for a screen: {line}");
    }
    let beside = if beside.is_empty() { String::new() } else { format!("--- beside\n{beside}") };
    format!("{out}{beside}--- exit {code}\n")
}

#[test]
fn look() {
    let site = site();
    site.run_well("2024-03-10T02:00:00Z");
    let show = |site: &Site, title: &str, arguments: &[&str]| {
        eprintln!("=== {title}: {}\n{}", arguments.join(" "), told(site, arguments));
    };
    show(&site, "live", &["why", "Audit", "2024-03-01"]);
    show(&site, "unknown day", &["why", "Audit", "2024-03-11"]);
    show(&site, "unknown table", &["why", "Audti", "2024-03-11"]);
    show(&site, "object", &["why", "Audit/2024/03/01/10/a.json"]);
    show(&site, "object", &["why", "Audit/2024/03/01/10/b.json"]);
    show(&site, "object", &["why", "Audit"]);
    show(&site, "status", &["status"]);
    site.run("2024-04-02T02:00:00Z");
    show(&site, "approval", &["why", "Audit", "2024-03-01"]);
    show(&site, "status", &["status"]);
    consent(&site, "2024-04-02T03:00:00Z");
    show(&site, "approved", &["why", "Audit", "2024-03-01"]);
    show(&site, "status", &["status"]);
    site.run_well("2024-04-03T02:00:00Z");
    show(&site, "retired", &["why", "Audit", "2024-03-01"]);
    show(&site, "status", &["status"]);
    show(&site, "certificate", &["why", "Audit", "2024-03-01", "--certificate"]);
    site.run_well("2024-04-11T02:00:00Z");
    show(&site, "gone", &["why", "Audit", "2024-03-01"]);
    show(&site, "certificate", &["why", "Audit", "2024-03-01", "--certificate"]);
    show(&site, "certificate", &["why", "Audit", "2024-03-01", "--certificate", "--format", "json"]);
    show(&site, "status", &["status"]);
    let _ = (hold, SetDigest::default());
}
