//! Forms other than lines: envelopes and arrays of JSON, held in memory or streamed, until they stand in the archive as the
//! records they were (I9), or in quarantine whole (I1).

use holdfast::ledger::Counts;
use holdfast::pipeline::RunReport;

use crate::real_logs::{elements, files};
use crate::site::{Packing, Site, shared};
use crate::support::compare::same_records;

const NOW: &str = "2024-07-10T00:00:00Z";
const LATER: &str = "2024-07-11T00:00:00Z";
const PATH: &str = "Signin_CL/2024/07/03/10/a.json";

fn record(number: u32) -> Vec<u8> {
    format!(r#"{{"TimeGenerated":"2024-07-03T10:00:{:02}Z","n":{number},"deep":{{"a":[1,{{}}]}}}}"#, number % 60)
        .into_bytes()
}

fn records(numbers: impl IntoIterator<Item = u32>) -> Vec<Vec<u8>> {
    numbers.into_iter().map(record).collect()
}

fn array(numbers: impl IntoIterator<Item = u32>) -> String {
    let texts: Vec<String> = records(numbers).into_iter().map(|one| String::from_utf8(one).unwrap()).collect();
    format!("[{}]", texts.join(","))
}

fn envelope(numbers: impl IntoIterator<Item = u32>) -> String {
    format!("{{\"records\":{}}}", array(numbers))
}

fn counts(report: &RunReport) -> Counts {
    let mut all = Counts::default();
    report.tables.values().for_each(|table| all.add(&table.counts));
    all
}

fn archived(number: u64) -> Counts {
    Counts { decoded: number, archived: number, ..Counts::default() }
}

fn holds(site: &Site, numbers: impl IntoIterator<Item = u32>) {
    same_records(&records(numbers), &site.restore("main/Signin_CL")).unwrap_or_else(|why| panic!("{why}"));
}

/// So little memory that nothing is held.
fn streaming() -> Site {
    let mut site = Site::new();
    site.memory = 4 << 20;
    site
}

#[test]
fn i9_envelopes_and_arrays_are_archived_as_their_records() {
    let pretty = |numbers| envelope(numbers).replace(',', ",\r\n  ").replace('[', "[\r\n ");
    // Beyond what is held at this memory, a quarter of a megabyte.
    let long = |from: u32| envelope(from..from + 6000);
    for packing in Packing::ALL {
        for site in [Site::new(), streaming()] {
            site.write(PATH, packing.pack(envelope(0..3).as_bytes()));
            site.write("Signin_CL/2024/07/03/10/b", packing.pack(pretty(3..5).as_bytes()));
            site.write(
                "Signin_CL/2024/07/03/10/c",
                packing.pack(format!("{}\n{}", envelope(5..6), envelope(6..8)).as_bytes()),
            );
            site.write("Signin_CL/2024/07/03/10/d", packing.pack(array(8..10).as_bytes()));
            site.write("Signin_CL/2024/07/03/10/e", packing.pack(long(10).as_bytes()));
            assert_eq!(counts(&site.run_well(NOW)), archived(6010), "{packing:?}");
            holds(&site, 0..6010);
            // Nothing new: nothing is read again.
            assert_eq!(counts(&site.run_well(LATER)), archived(0));
        }
    }
}

#[test]
fn i1_what_is_not_in_its_form_is_kept_whole_and_retried() {
    for mut site in [Site::new(), streaming()] {
        let filler = " ".repeat(if site.memory < 64 << 20 { 1 << 20 } else { 0 });
        let more = format!("{{{filler}\"records\":{},\"nextLink\":\"x\"}}", array(0..2));
        site = site.with_keys("format = \"records\"");
        site.write(PATH, &more);
        let cut = envelope(2..5);
        site.write("Signin_CL/2024/07/03/10/cut.gz", Packing::Gzip.pack(&cut.as_bytes()[..cut.len() - 1]));
        site.write("Signin_CL/2024/07/03/10/lines", [&record(5)[..], b"\n", &record(6), b"\n"].concat());
        let report = site.run(NOW);
        assert_eq!(counts(&report), Counts { decoded: 3, quarantined: 3, ..Counts::default() });
        let found = site.quarantine();
        let told: Vec<(bool, &str)> = found.iter().map(|(item, _)| (item.whole_object, item.reason.as_str())).collect();
        assert!(told.iter().all(|(whole, _)| *whole), "{told:?}");
        assert!(told[0].1.contains("other members beside `records`"), "{told:?}");
        assert!(told[1].1.contains("breaks off"), "{told:?}");
        assert!(told[2].1.contains("begins with `TimeGenerated`"), "{told:?}");
        assert_eq!(found[0].1, more.as_bytes(), "as it lay there");
        // The third was only called by a wrong name.
        site = site.with_keys("");
        let (code, _, said) = site.holdfast(&["quarantine", "retry"]);
        assert_eq!(code, 0, "{said}");
        holds(&site, 5..7);
    }
}

#[test]
fn a_form_that_is_named_beats_what_the_content_looks_like() {
    // A log of lines, each with a list called records.
    let line = br#"{"records":[1,2],"TimeGenerated":"2024-07-03T10:00:00Z"}"#.to_vec();
    let site = Site::new().with_keys("format = \"ndjson\"");
    site.write(PATH, [&line[..], b"\n"].concat());
    assert_eq!(counts(&site.run_well(NOW)), archived(1));
    same_records(&[line], &site.restore("main/Signin_CL")).unwrap();
}

#[test]
fn elements_that_are_no_records_are_quarantined_one_by_one() {
    for site in [Site::new(), streaming()] {
        let long = format!("{{\"TimeGenerated\":\"2024-07-03T10:00:00Z\",\"x\":\"{}\"}}", "x".repeat(1 << 20));
        let site = site.with_keys("format = \"array\"");
        let content =
            format!("[1,{},\"text\",{long},{{\"broken\":}},{}]", array(0..1), &array(1..2)[1..array(1..2).len() - 1]);
        site.write(PATH, &content);
        let report = site.run(NOW);
        let fits = u64::from(site.memory > 64 << 20);
        let expected = Counts { decoded: 6, archived: 1 + fits, quarantined: 5 - fits, ..Counts::default() };
        assert_eq!(counts(&report), expected);
        let kept: Vec<Vec<u8>> = site.quarantine().into_iter().map(|(_, bytes)| bytes).collect();
        for bytes in [&b"1"[..], array(0..1).as_bytes(), b"\"text\"", b"{\"broken\":}"] {
            assert!(kept.iter().any(|one| one == bytes), "{}", String::from_utf8_lossy(bytes));
        }
        if fits == 0 {
            assert!(kept.iter().any(|one| one == long.as_bytes()), "the long one, whole");
        }
    }
}

#[test]
fn i2_envelopes_that_are_appended_are_read_on() {
    for site in [Site::new(), streaming()] {
        site.write(PATH, envelope(0..3));
        assert_eq!(counts(&site.run_well(NOW)), archived(3));
        site.append(PATH, format!("\n{}", envelope(3..5)));
        assert_eq!(counts(&site.run_well(LATER)), archived(2));
        holds(&site, 0..5);
        site.append(PATH, "\n{\"records\":[");
        let report = site.run("2024-07-12T00:00:00Z");
        assert_eq!((counts(&report), report.errors.len()), (archived(0), 1));
        site.append(PATH, "{}]}");
        assert_eq!(counts(&site.run("2024-07-13T00:00:00Z")).quarantined, 1, "it has no time");
        holds(&site, 0..5);
    }
}

/// Closed, opened again, written on and closed again: what was read is not read twice.
#[test]
fn i2_arrays_and_envelopes_that_were_opened_again_are_read_on() {
    let keys = |flow| if flow { "format = \"flow-tuples\"" } else { "" };
    for (flow, wrap) in [(false, array as fn(std::ops::Range<u32>) -> String), (false, envelope), (true, envelope)] {
        // Beyond what is held at the lesser memory, a quarter of a megabyte.
        for (site, many) in [(Site::new(), 3), (streaming(), 6000)] {
            let site = site.with_keys(keys(flow));
            site.write(PATH, wrap(0..many));
            assert_eq!(counts(&site.run_well(NOW)), archived(many.into()));
            site.write(PATH, format!("{}\n", wrap(0..many + 2)));
            assert_eq!(counts(&site.run_well(LATER)), archived(2), "{flow}");
            holds(&site, 0..many + 2);
            site.append(PATH, wrap(many + 2..many + 3));
            assert_eq!(counts(&site.run_well("2024-07-12T00:00:00Z")), archived(1), "{flow}");
            holds(&site, 0..many + 3);
        }
    }
}

#[test]
fn i13_searches_read_raw_envelopes() {
    let site = Site::new();
    site.write(PATH, Packing::Gzip.pack(envelope(0..3).as_bytes()));
    site.run_well(NOW);
    site.write("Signin_CL/2024/07/03/10/b", envelope(3..7));
    site.write("Signin_CL/2024/07/03/10/c", array(7..9));
    let query = "SELECT count(*) AS c FROM Signin_CL";
    let (code, found, said) = site.holdfast(&["search", query, "--include-raw", "--format", "csv"]);
    assert_eq!((code, found.as_str()), (0, "c\n9\n"), "{said}");
}

/// Real files as AWS delivers them, against the same files cut into records by a JSON reader.
#[test]
fn i9_real_cloudtrail_files() {
    let Some(folder) = shared("data/real/cloudtrail") else { return };
    let policy = "version = 1\n[[table]]\nname = \"CloudTrail\"\nretain = \"10y\"\ntime_column = \"eventTime\"\narchive_after = \"0d\"\n";
    let site = Site::new().with_policy(policy).with_layout("cloudtrail");
    let mut expected = Vec::new();
    for path in files(&folder, "json") {
        let bytes = std::fs::read(&path).unwrap();
        expected.extend(elements(&bytes, 2));
        let name = path.file_name().unwrap().to_str().unwrap();
        let folder = "logs/AWSLogs/o-abc123/218007301253/CloudTrail/us-east-1/2023/07/10";
        site.write(&format!("{folder}/{name}.gz"), Packing::Gzip.pack(&bytes));
    }
    assert_eq!(expected.len(), 666);
    site.write("logs/AWSLogs/218007301253/CloudTrail-Digest/us-east-1/2023/07/10/d.json.gz", Packing::Gzip.pack(b"{}"));
    let report = site.run_well("2023-07-12T00:00:00Z");
    assert_eq!(counts(&report), archived(expected.len() as u64));
    same_records(&expected, &site.restore("main/CloudTrail")).unwrap_or_else(|why| panic!("{why}"));
}

/// `time` is received up to two days late, in upper and lower case, as lines or in envelopes.
#[test]
fn azure_diagnostics_are_routed_by_service_and_category() {
    let policy =
        "version = 1\n[[table]]\nname = \"*_*\"\nretain = \"10y\"\ntime_column = \"time\"\narchive_after = \"0d\"\n";
    let site = Site::new().with_policy(policy).with_layout("azure-diagnostics");
    let entry = |time: &str, n: u32| {
        format!(r#"{{"time":"{time}","resourceId":"/SUBSCRIPTIONS/0","category":"AuditEvent","n":{n}}}"#)
    };
    let group = "resourceId=/SUBSCRIPTIONS/0000/RESOURCEGROUPS/RG/PROVIDERS";
    let hour = "y=2024/m=07/d=03/h=10/m=00";
    let lines = format!("{}\r\n{}\r\n", entry("2024-07-03T10:00:00.1234567Z", 1), entry("2024-07-01T10:00:00Z", 2));
    let vault = format!("insights-logs-auditevent/{group}/MICROSOFT.KEYVAULT/VAULTS/KV/{hour}/PT1H.json");
    site.write(&vault, &lines);
    let envelope = format!("{{\"records\":[\r\n\t{}\r\n]}}", entry("2024-07-03T10:59:59Z", 3));
    let tenant = format!("insights-logs-signinlogs/tenantId=0000/{hour}/PT1H.json");
    site.write(&tenant, &envelope);
    site.write(&format!("insights-metrics-pt1m/{group}/X.Y/Z/A/{hour}/PT1H.json"), &lines);
    let report = site.run_well(NOW);
    assert_eq!(report.tables["main/keyvault_vaults_auditevent"].counts, archived(2));
    assert_eq!(report.tables["main/tenant_signinlogs"].counts, archived(1));
    assert_eq!(report.strangers.len(), 1);
    let expected: Vec<Vec<u8>> = lines.lines().map(|line| line.as_bytes().to_vec()).collect();
    same_records(&expected, &site.restore("main/keyvault_vaults_auditevent")).unwrap();
}

#[test]
fn a_source_of_one_table_and_names_that_no_table_can_have() {
    let site = Site::new().with_layout("{year}/{month}/{day}/*").with_keys("table = \"Signin_CL\"");
    site.write("2024/07/03/a.json", [&record(0)[..], b"\n"].concat());
    assert_eq!(site.run_well(NOW).tables["main/Signin_CL"].counts, archived(1));
    let site = Site::new().with_keys("unrouted = true");
    site.write(PATH, [&record(0)[..], b"\n"].concat());
    site.write("Sign in/2024/07/03/10/a.json", [&record(1)[..], b"\n"].concat());
    let report = site.run_well(NOW);
    assert!(report.strangers.is_empty());
    assert_eq!(report.tables["main/unrouted"].counts, archived(1));
    assert_eq!(report.tables["main/Signin_CL"].counts, archived(1));
}

#[test]
fn flow_logs_as_one_row_a_flow() {
    let policy = "version = 1\n[defaults]\nretain = \"10y\"\ntime_column = \"time\"\narchive_after = \"0d\"\n";
    let flow = |n: u32| format!("\"166314600359{n},10.0.0.6,52.239.184.180,23956,443,6,O,B,NX,0,0,0,{n}\"");
    let record = |tuples: &str| {
        format!(
            "{{\"time\":\"2024-07-03T10:00:52.5625085Z\",\"macAddress\":\"00224871C205\",\"flowRecords\":{{\"flows\":[\
             {{\"aclID\":\"a\",\"flowGroups\":[{{\"rule\":\"r\",\"flowTuples\":[{tuples}]}}]}}]}}}}"
        )
    };
    let content = format!("{{\"records\":[{},\n{}]}}", record(&format!("{},{}", flow(1), flow(2))), record(&flow(3)));
    let hour =
        "flowLogResourceID=/0_NETWORKWATCHERRG/NETWORKWATCHER_EUS_V/y=2024/m=07/d=03/h=10/m=00/macAddress=00224871C205";
    let path = format!("insights-logs-flowlogflowevent/{hour}/PT1H.json");
    for (keys, rows) in [("", 2), ("format = \"flow-tuples\"", 3)] {
        let site = Site::new().with_policy(policy).with_layout("azure-diagnostics").with_keys(keys);
        site.write(&path, &content);
        assert_eq!(site.run_well(NOW).tables["main/network_flowlogflowevent"].counts, archived(rows));
        let query = "SELECT srcPort, bytesReceived, flowTuple FROM network_flowlogflowevent ORDER BY bytesReceived";
        if rows == 3 {
            let (code, found, said) = site.holdfast(&["search", query, "--format", "csv"]);
            assert_eq!(code, 0, "{said}");
            assert!(found.lines().nth(3).unwrap().starts_with("23956,3,\"1663146003593,10.0.0.6"), "{found}");
        }
    }
}

/// Real samples, arrays over many lines, as they lie there.
#[test]
fn i9_real_arrays_over_many_lines() {
    let Some(folder) = shared("data/real/sentinel-sample") else { return };
    let policy = "version = 1\n[defaults]\nretain = \"10y\"\nclock = \"arrival\"\narchive_after = \"0d\"\n";
    let samples = files(&folder, "json");
    assert_eq!(samples.len(), 5);
    for path in samples {
        let bytes = std::fs::read(&path).unwrap();
        let expected = elements(&bytes, 1);
        for site in [Site::new(), streaming()] {
            let site = site.with_policy(policy);
            site.write(PATH, &bytes);
            assert_eq!(counts(&site.run_well(NOW)), archived(expected.len() as u64), "{}", path.display());
            same_records(&expected, &site.restore("main/Signin_CL")).unwrap_or_else(|why| panic!("{why}"));
        }
    }
}
