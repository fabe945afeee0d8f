//! `tables`, `schema` and `report`: what people and programs are told of all that is kept, and what is not in it (I13).

use holdfast::ledger::Armed;
use insta::assert_snapshot;
use serde_json::Value;

use crate::site::{Site, lines};

const POLICY: &str = r#"
version = 1
[defaults]
archive_after = "0d"
keep_raw = "0d"
[[table]]
name = "Audit"
retain = "10d"
purge_delay = "5d"
index = ["user"]
[[table]]
name = "Kept"
retain = "forever"
keep_raw = "30d"
[[table]]
name = "Raw*"
archive = false
retain = "1y"
"#;

fn record(time: &str, number: u32) -> String {
    format!(r#"{{"TimeGenerated":"{time}","user":"u{number}","number":{number}}}"#)
}

/// `rows` records of a day, one an hour from six o'clock on.
fn day(site: &Site, table: &str, day: &str, rows: u32) {
    let records: Vec<String> = (0..rows).map(|row| record(&format!("{day}T{:02}:30:00Z", 6 + row), row)).collect();
    site.write(&format!("{table}/{}/06/a.json", day.replace('-', "/")), lines(&records));
}

/// On 17 March: of Audit 1 March is destroyed, the 2nd and the 4th are retired, there was nothing on the 3rd and from the
/// 5th to the 9th, and the 16th lies raw; a line of it is in quarantine.
fn site() -> Site {
    let mut site = Site::new().with_policy(POLICY);
    site.armed = Armed { raw: true, expired: true };
    day(&site, "Audit", "2024-03-01", 3);
    day(&site, "Audit", "2024-03-02", 4);
    day(&site, "Audit", "2024-03-04", 5);
    day(&site, "Kept", "2024-03-01", 2);
    day(&site, "RawOnly", "2024-03-03", 2);
    site.write("Audit/2024/03/04/07/b.json", lines(&["broken off".to_owned()]));
    site.run("2024-03-08T02:00:00Z");
    site.run("2024-03-12T02:00:00Z");
    site.approve("2024-03-12T03:00:00Z", "auditor");
    site.run("2024-03-12T04:00:00Z");
    let odd = r#"{"TimeGenerated":"2024-03-11T20:00:00Z","number":"many","no column":1}"#;
    day(&site, "Audit", "2024-03-10", 6);
    site.write("Audit/2024/03/11/06/a.json", lines(&[record("2024-03-11T06:30:00Z", 1), odd.to_owned()]));
    site.run("2024-03-13T02:00:00Z");
    site.run("2024-03-17T02:00:00Z");
    day(&site, "Audit", "2024-03-16", 7);
    day(&site, "New", "2024-03-16", 1);
    site
}

/// The ids of the archive and of runs are hashes of nothing.
fn told(site: &Site, arguments: &[&str]) -> String {
    let (code, out, beside) = site.holdfast(arguments);
    let beside = if beside.is_empty() { String::new() } else { format!("--- beside\n{beside}") };
    for line in out.lines() {
        assert!(line.chars().count() <= 80, "too long for 80 columns: {line}");
    }
    format!("$ holdfast {}\n{out}{beside}--- exit {code}\n", arguments.join(" "))
}

fn json(site: &Site, arguments: &[&str]) -> Value {
    let (_, out, beside) = site.holdfast(&[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{beside}"))
}

#[test]
fn the_report_in_text() {
    assert_snapshot!(told(&site(), &["report", "--as-of", "2024-03-17T08:00:00Z"]));
}

#[test]
fn the_report_counts_each_day_in_its_layer() {
    let site = site();
    let report = json(&site, &["report", "--as-of", "2024-03-17T08:00:00Z"]);
    let audit = report["tables"].as_array().unwrap().iter().find(|one| one["table"]["table"] == "Audit").unwrap();
    let layers: Vec<String> = audit["days"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(day, layers)| {
            let layers = layers.as_object().unwrap().iter();
            layers.map(move |(layer, volume)| format!("{day} {layer} {}", volume["rows"])).collect::<Vec<_>>()
        })
        .collect();
    assert_snapshot!(layers.join("\n"), @r"
    2024-03-01 destroyed 3
    2024-03-02 retired 4
    2024-03-04 retired 5
    2024-03-08 quarantined 1
    2024-03-10 archived 6
    2024-03-11 archived 2
    2024-03-16 raw 0
    ");
    // What was decoded is accounted for: retired and destroyed rows were archived once.
    let counts = &audit["counts"];
    assert_eq!((counts["decoded"].as_u64(), counts["archived"].as_u64()), (Some(21), Some(20)), "{counts}");
    assert_eq!(audit["missing_days"][0]["from"], "2024-03-03");
    assert_eq!(audit["missing_days"][1]["days"], 5);
    assert_eq!(audit["last_destruction"]["rows"], 3);
    assert_eq!(audit["next_expiry"]["day"], "2024-03-10");
    assert_eq!(audit["next_destruction"]["day"], "2024-03-02");
}

/// Others read these: a key that goes is a new version of the report.
#[test]
fn the_reports_json_has_these_keys() {
    let report = json(&site(), &["report", "--as-of", "2024-03-17T08:00:00Z"]);
    let keys = |value: &Value| {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys.join(" ")
    };
    let table = &report["tables"][0];
    let said = [
        keys(&report),
        keys(table),
        keys(&table["next_expiry"]),
        keys(&table["last_archive"]),
        keys(&table["quarantine"]),
        keys(&table["missing_hours"]),
        keys(&table["missing_hours"]["ranges"][0]),
        keys(&table["missing_days"][0]),
        keys(&report["not_seen"]),
        keys(&report["totals"]),
    ];
    assert_eq!(report["report"], 1);
    assert_snapshot!(said.join("\n"), @r"
    archive findings not_seen now report simulation tables totals
    attention bytes_archived counts days days_in first_day last_archive last_day last_destruction missing_days missing_hours newest next_destruction next_expiry oldest quarantine raw rule strata table
    blocked bytes day destroy_at due expires keeping rows
    at bytes entry rows run
    bytes destroyed_records next oldest records
    days_read from hours not_read ranges to
    from hours to
    days from to
    failures hours_for_days quarantined_records strangers unfinished unread unsettled
    bytes_archived raw_bytes_read strata tables
    ");
}

#[test]
fn every_table_is_told_also_those_that_lie_raw() {
    let site = site();
    assert_snapshot!(told(&site, &["tables", "--as-of", "2024-03-17T08:00:00Z"]));
    let tables = json(&site, &["tables", "--as-of", "2024-03-17T08:00:00Z"]);
    assert_eq!(tables["total"]["tables"], 4);
    assert_eq!(tables["tables"][0]["rule"]["retain"], "10d");
}

#[test]
fn columns_are_counted_from_footers() {
    let site = site();
    let mut story = vec![told(&site, &["schema", "audit"])];
    story.push(told(&site, &["schema", "New"]));
    story.push(told(&site, &["schema", "Audti"]));
    assert_snapshot!(story.join("\n"));
    let schema = json(&site, &["schema", "Audit"]);
    let number = schema["columns"].as_array().unwrap().iter().find(|one| one["name"] == "number").unwrap();
    assert_eq!((number["values"].as_u64(), number["type"].as_str()), (Some(7), Some("long")));
    assert_eq!(number["in_rest"], true);
}

/// I13: what could not be read is missing in the figures, said, and told by the exit code.
#[test]
fn i13_what_cannot_be_read_is_said() {
    let site = site();
    let segment = site.segments("main/Kept").remove(0);
    std::fs::write(&segment, "no Parquet").unwrap();
    let (code, out, beside) = site.holdfast(&["schema", "Kept"]);
    assert_eq!(code, 3, "{out}");
    assert!(out.contains("0 rows in 0 segments") && beside.contains("NOT COUNTED: looking into"), "{out}{beside}");
    let (code, out, beside) = site.holdfast(&["report", "--as-of", "2024-03-17T08:00:00Z"]);
    assert_eq!(code, 3);
    assert!(out.contains("what could not be read: looking into") && beside.contains("NOT SEEN"), "{out}{beside}");
    // Nothing is read of days that nobody asked for.
    let (code, out, _) = site.holdfast(&["report", "--hours-for", "0d", "--as-of", "2024-03-17T08:00:00Z"]);
    assert!(code == 0 && out.contains("none were looked for"), "{out}");
    std::fs::remove_dir_all(site.raw_path("")).unwrap();
    let (code, out, beside) = site.holdfast(&["tables"]);
    assert!(code == 3 && out.contains("main/Kept") && beside.contains("NOT SEEN"), "{out}{beside}");
}

#[test]
fn the_page_is_a_file_that_holds_every_table() {
    let site = site();
    let asked = ["report", "--format", "html", "--output", "report.html", "--as-of", "2024-03-17T08:00:00Z"];
    assert_eq!(site.holdfast(&asked), (0, String::new(), String::new()));
    let page = std::fs::read_to_string(site.path().join("report.html")).unwrap();
    for table in ["Audit", "Kept", "New", "RawOnly"] {
        assert!(page.contains(&format!("data-table=\"main/{table}\"")), "{table}");
    }
    assert!(page.contains("<title>2024-03-01; destroyed 3 rows"));
    let (code, out, _) = site.holdfast(&[&asked[..3], &asked[5..]].concat());
    assert!(code == 0 && out == page, "`-` is the default");
    let (code, _, beside) = site.holdfast(&["report", "--output", "again.html", "--as-of", asked[6]]);
    assert_eq!((code, std::fs::read_to_string(site.path().join("again.html")).unwrap()), (0, page), "{beside}");
    let (code, _, beside) = site.holdfast(&["status", "--format", "html"]);
    assert!(code == 2 && beside.contains("only `report` makes a page"), "{beside}");
    let (code, _, beside) = site.holdfast(&["report", "--hours-for", "2mo"]);
    assert!(code == 2 && beside.contains("whole days or weeks"), "{beside}");
}
