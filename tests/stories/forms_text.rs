//! Forms of text, from a collector's file to the archive and back: CSV, syslog, journald, auditd; and files that grow
//! while they are read, of which no line is lost (I1) and none is there twice (I2).

use holdfast::ledger::Counts;
use holdfast::pipeline::RunReport;
use serde_json::{Value, json};

use crate::site::{Packing, Site};
use crate::support::compare::same_records;

const PATH: &str = "Text_CL/2024/07/03/10/a";
const NOW: &str = "2024-07-10T00:00:00Z";
/// Days of further runs.
const LATER: [&str; 4] =
    ["2024-07-11T00:00:00Z", "2024-07-12T00:00:00Z", "2024-07-13T00:00:00Z", "2024-07-14T00:00:00Z"];
const FORMS: [&str; 4] = ["csv", "syslog", "journald", "auditd"];

/// Line `n` of a file in a form.
fn line(form: &str, n: u32) -> String {
    match form {
        "csv" => format!("2024-07-03T10:00:{n:02}Z,{n},\"a, \"\"b\"\"\"\n"),
        "syslog" => format!("<34>1 2024-07-03T10:00:{n:02}Z host app {n} ID1 - text of it\n"),
        "journald" => format!("{{\"__REALTIME_TIMESTAMP\":\"17200008{n:02}000000\",\"MESSAGE\":\"text\",\"N\":{n}}}\n"),
        _ => format!("type=USER_LOGIN msg=audit(17200008{n:02}.125:{n}): pid=7 acct=\"root\"\n"),
    }
}

/// What a file begins with.
fn head(form: &str) -> &'static str {
    if form == "csv" { "TimeGenerated,N,Note\n" } else { "" }
}

fn text(form: &str, numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| line(form, n)).collect()
}

/// The record that becomes of a line.
fn record(form: &str, n: u32) -> Value {
    let raw = line(form, n);
    let raw = raw.trim_end();
    match form {
        "csv" => json!({"TimeGenerated": format!("2024-07-03T10:00:{n:02}Z"), "N": n.to_string(), "Note": "a, \"b\""}),
        "syslog" => json!({
            "TimeGenerated": format!("2024-07-03T10:00:{n:02}Z"), "Facility": "auth", "SeverityLevel": "crit",
            "Computer": "host", "HostName": "host", "ProcessName": "app", "MsgId": "ID1", "ProcessID": n,
            "SyslogMessage": "text of it", "Raw": raw,
        }),
        "journald" => json!({
            "TimeGenerated": format!("2024-07-03T10:00:{n:02}.000000Z"),
            "__REALTIME_TIMESTAMP": format!("17200008{n:02}000000"), "MESSAGE": "text", "N": n,
        }),
        _ => json!({
            "TimeGenerated": format!("2024-07-03T10:00:{n:02}.125Z"), "RecordType": "USER_LOGIN", "pid": 7, "acct": "root",
            "AuditID": format!("17200008{n:02}.125:{n}"), "SerialNumber": n.to_string(), "RawRecord": raw,
        }),
    }
}

fn records(form: &str, numbers: impl IntoIterator<Item = u32>) -> Vec<Vec<u8>> {
    numbers.into_iter().map(|n| record(form, n).to_string().into_bytes()).collect()
}

fn counts(report: &RunReport) -> Counts {
    let mut all = Counts::default();
    report.tables.values().for_each(|table| all.add(&table.counts));
    all
}

fn archived(number: u64) -> Counts {
    Counts { decoded: number, archived: number, ..Counts::default() }
}

fn holds(site: &Site, form: &str, numbers: impl IntoIterator<Item = u32>) {
    same_records(&records(form, numbers), &site.restore("main/Text_CL")).unwrap_or_else(|why| panic!("{form}: {why}"));
}

fn site(form: &str) -> Site {
    Site::new().with_keys(&format!("format = \"{form}\""))
}

#[test]
fn i9_text_is_archived_found_and_cleared() {
    for form in FORMS {
        for packing in Packing::ALL {
            let site = site(form).clearing();
            let content = format!("{}{}", head(form), text(form, 0..3));
            site.write(PATH, packing.pack(content.as_bytes()));
            assert_eq!(counts(&site.run_well(NOW)), archived(3), "{form}");
            assert!(site.raw().is_empty(), "{form}: cleared");
            site.write(
                "Text_CL/2024/07/03/10/b",
                packing.pack(format!("{}{}", head(form), text(form, 3..5)).as_bytes()),
            );
            let query = "SELECT count(*) AS c, max(TimeGenerated) > '2024-07-03T10:00:03Z' AS t FROM Text_CL";
            let (code, found, said) = site.holdfast(&["search", query, "--include-raw", "--format", "csv"]);
            assert_eq!((code, found.as_str()), (0, "c,t\n5,true\n"), "{form}: {said}");
            assert_eq!(counts(&site.run_well(LATER[0])), archived(2), "{form}");
            holds(&site, form, 0..5);
        }
    }
}

/// Nothing is held at four megabytes: objects of more than a quarter of one are streamed.
#[test]
fn i11_long_texts_are_streamed() {
    for form in FORMS {
        let mut site = site(form);
        site.memory = 4 << 20;
        let many = text(form, 0..50).repeat(200);
        site.write(PATH, format!("{}{many}", head(form)));
        assert_eq!(counts(&site.run_well(NOW)), archived(10_000), "{form}");
        site.append(PATH, text(form, 50..52));
        assert_eq!(counts(&site.run_well(LATER[0])), archived(2), "{form}");
        assert_eq!(site.restore("main/Text_CL").len(), 10_002);
    }
}

#[test]
fn i2_a_text_that_grows_is_read_on() {
    for form in FORMS {
        let site = site(form);
        site.write(PATH, format!("{}{}", head(form), text(form, 0..3)));
        assert_eq!(counts(&site.run_well(NOW)), archived(3));
        site.append(PATH, text(form, 3..5));
        assert_eq!(counts(&site.run_well(LATER[0])), archived(2), "{form}");
        // A whole line that only lacks its end.
        site.append(PATH, line(form, 5).trim_end());
        assert_eq!(counts(&site.run_well(LATER[1])), archived(1), "{form}");
        site.append(PATH, format!("\n{}", line(form, 6)));
        let query = "SELECT count(*) AS c FROM Text_CL";
        let (_, found, said) = site.holdfast(&["search", query, "--include-raw", "--format", "csv"]);
        assert_eq!(found, "c\n7\n", "{form}: {said}");
        assert_eq!(counts(&site.run_well(LATER[2])), archived(1), "{form}");
        // Touched only.
        site.modify(PATH, "2024-07-09T00:00:00Z");
        assert_eq!(counts(&site.run_well(LATER[3])), archived(0), "{form}");
        holds(&site, form, 0..7);
    }
}

/// Wherever a file is cut when it is read, each line is there once at most, and what is not there lies in quarantine.
#[test]
fn i2_a_text_that_is_read_in_the_middle_of_a_line() {
    for form in FORMS {
        let last = line(form, 1);
        for cut in (1..last.len() - 1).step_by(9) {
            let site = site(form);
            site.write(PATH, format!("{}{}{}", head(form), line(form, 0), &last[..cut]));
            site.run(NOW);
            site.append(PATH, &last[cut..]);
            site.append(PATH, line(form, 2));
            site.run(LATER[0]);
            let restored = site.restore("main/Text_CL");
            let kept: Vec<u8> = site.quarantine().into_iter().flat_map(|(_, bytes)| bytes).collect();
            let kept = String::from_utf8(kept).unwrap();
            let whole = |n| records(form, [n]).remove(0);
            let times = |n| restored.iter().filter(|one| same_records(&[whole(n)], &[one.to_vec()]).is_ok()).count();
            assert_eq!((times(0), times(2)), (1, 1), "{form} {cut}");
            let context = format!("{form} {cut}: {kept}");
            match (restored.len(), times(1)) {
                // Its beginning could not be judged: it was read again, whole.
                (3, 1) => {}
                // Its beginning was taken for a line; the rest is kept.
                (3, 0) => assert!(!kept.is_empty(), "{context}"),
                // Two pieces, neither of them a line.
                (2, 0) => assert!(form == "csv" && !kept.is_empty(), "{context}"),
                other => panic!("{other:?} {context}"),
            }
        }
    }
}

#[test]
fn a_time_without_a_year_counts_where_the_folder_proves_it() {
    let line = |day: u32| format!("<34>Jul {day:2} 10:00:05 host su[12]: text\n");
    let site = site("syslog");
    site.write(PATH, format!("{}{}", line(3), line(4)));
    let report = site.run(NOW);
    assert_eq!(counts(&report), Counts { decoded: 2, archived: 1, quarantined: 1, ..Counts::default() });
    let restored: Value = serde_json::from_slice(&site.restore("main/Text_CL")[0]).unwrap();
    assert_eq!(restored["TimeGenerated"], "2024-07-03T10:00:05Z");
}

/// Read under a wrong name it is kept whole, or line by line; under the right one it comes back.
#[test]
fn i1_text_that_was_called_by_another_name_is_retried() {
    for form in FORMS {
        let mut site = site("array");
        site.write(PATH, format!("{}{}", head(form), text(form, 0..3)));
        assert_eq!(counts(&site.run(NOW)), Counts { decoded: 1, quarantined: 1, ..Counts::default() });
        site = site.with_keys(&format!("format = \"{form}\""));
        let (code, _, said) = site.holdfast(&["quarantine", "retry"]);
        assert_eq!(code, 0, "{form}: {said}");
        holds(&site, form, 0..3);
    }
}

#[test]
fn i2_packed_lines_that_grew_are_read_on() {
    for form in ["syslog", "journald", "auditd"] {
        let site = site(form);
        site.write(PATH, Packing::Gzip.pack(text(form, 0..3).as_bytes()));
        assert_eq!(counts(&site.run_well(NOW)), archived(3));
        site.append(PATH, Packing::Gzip.pack(text(form, 3..5).as_bytes()));
        assert_eq!(counts(&site.run_well(LATER[0])), archived(2), "{form}");
        holds(&site, form, 0..5);
    }
}

#[test]
fn i2_packed_csv_that_grew_is_refused() {
    let site = site("csv");
    site.write(PATH, Packing::Gzip.pack(format!("{}{}", head("csv"), text("csv", 0..3)).as_bytes()));
    assert_eq!(counts(&site.run_well(NOW)), archived(3));
    site.append(PATH, Packing::Gzip.pack(text("csv", 3..5).as_bytes()));
    let report = site.run(LATER[0]);
    assert_eq!((counts(&report), report.exit_code()), (archived(0), 3));
    let said = report.errors[0].to_string();
    assert!(said.contains("packed `csv` that was archived and has changed since"), "{said}");
    holds(&site, "csv", 0..3);
}
