//! Lossless (I9) over real logs: every file of `../shared/data/real` goes through the whole pipeline and comes back.
//!
//! Formats that are no lines of JSON (arrays, CloudTrail's `{"Records":[…]}`, zip) are cut into lines here, by tokens.
//! Tables without a time of their own keep the order of their objects, so that large ones are compared as they stream.

use std::fs;
use std::io::Read;
use std::path::Path;

use holdfast::error::Result;
use holdfast::restore::RecordSink;
use jiff::civil::Date;

use crate::site::{Packing, Site, lines, shared};
use crate::support::compare::{same_record, same_records};

/// The event's time decides the day where a table has a usable one, else its arrival.
pub const POLICY: &str = r#"
version = 1
[defaults]
archive_after = "0d"
retain = "10y"
clock = "arrival"

[[table]]
name = "event/*"
clock = "event"
late_window = "3650d"
retain = "10y"
[[table]]
name = "event/cloudtrail"
clock = "event"
time_column = "eventTime"
late_window = "3650d"
retain = "10y"
[[table]]
name = "event/LinuxAudit_CL"
clock = "event"
time_column = "time"
late_window = "3650d"
retain = "10y"
[[table]]
name = "event/covenant"
clock = "event"
time_column = "@timestamp"
late_window = "3650d"
retain = "10y"
"#;

/// What can be archived by the event's time, with all of its records.
pub const WITH_TIME: &[&str] = &[
    "CarbonBlackAuditLogs_CL",
    "Okta_CL",
    "LinuxAudit_CL",
    "cloudtrail",
    "WindowsEvents",
    "AADAuditEvents",
    "OfficeActivityEvents",
];

/// Archives records both ways if `by_event`, else by arrival, and compares what comes back.
fn comes_back(table: &str, objects: &[Vec<Vec<u8>>], by_event: bool) {
    let site = Site::new().with_policy(POLICY).with_source("events", "event", "{table}/*");
    for (number, records) in objects.iter().enumerate() {
        let bytes = Packing::ALL[number % 3].pack(&lines(records));
        site.write(&format!("{table}/2024/01/01/00/{number:02}"), &bytes);
        if by_event {
            let folder = site.path().join("events").join(table);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{number:02}")), &bytes).unwrap();
        }
    }
    let wanted: Vec<Vec<u8>> = objects.concat();
    let report = site.run_well("2027-01-01T00:00:00Z");
    let counts = &report.tables[&format!("main/{table}")].counts;
    assert_eq!((counts.archived, counts.quarantined), (wanted.len() as u64, 0), "{table}");
    let mut same = SameInOrder { wanted: wanted.iter(), table };
    site.restore_into(&format!("main/{table}"), &mut same);
    assert_eq!(same.wanted.len(), 0, "{table}: some are missing");
    if by_event {
        let counts = &report.tables[&format!("event/{table}")].counts;
        assert_eq!((counts.archived, counts.quarantined), (wanted.len() as u64, 0), "{table}: {:?}", site.quarantine());
        same_records(&wanted, &site.restore(&format!("event/{table}"))).unwrap_or_else(|why| panic!("{table}: {why}"));
    }
}

/// Compares each record with the next one of the original.
struct SameInOrder<'a> {
    wanted: std::slice::Iter<'a, Vec<u8>>,
    table: &'a str,
}

impl RecordSink for SameInOrder<'_> {
    fn record(&mut self, _: Date, record: &[u8]) -> Result<()> {
        let wanted = self.wanted.next().unwrap_or_else(|| panic!("{}: one too many", self.table));
        same_record(wanted, record).unwrap_or_else(|why| panic!("{}: {why}", self.table));
        Ok(())
    }
}

#[test]
fn i9_every_real_log_of_many_products_comes_back() {
    let Some(folder) = shared("data/real/panther") else { return };
    let mut seen = 0;
    for path in files(&folder, "ndjson") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        comes_back(&name, &[split_lines(&fs::read(&path).unwrap())], WITH_TIME.contains(&name.as_str()));
        seen += 1;
    }
    assert_eq!(seen, 20);
}

#[test]
fn i9_every_real_sentinel_sample_comes_back() {
    let Some(folder) = shared("data/real/sentinel-sample") else { return };
    let mut seen = 0;
    for path in files(&folder, "json") {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let records = elements(&fs::read(&path).unwrap(), 1);
        assert!(!records.is_empty());
        comes_back(&name, &[records], WITH_TIME.contains(&name.as_str()));
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn i9_every_real_cloudtrail_file_comes_back() {
    let Some(folder) = shared("data/real/cloudtrail") else { return };
    let objects: Vec<Vec<Vec<u8>>> =
        files(&folder, "json").iter().map(|path| elements(&fs::read(path).unwrap(), 2)).collect();
    assert_eq!(objects.len(), 8);
    assert_eq!(objects.iter().map(Vec::len).sum::<usize>(), 666);
    comes_back("cloudtrail", &objects, true);
}

#[test]
fn i9_every_real_windows_log_comes_back() {
    let Some(folder) = shared("data/real/otrf") else { return };
    for (file, count) in [("AADAuditEvents.Zip", 4), ("OfficeActivityEvents.Zip", 1), ("WindowsEvents.Zip", 38)] {
        let records = zipped(&folder.join(file)).concat();
        assert_eq!(records.len(), count);
        comes_back(file.trim_end_matches(".Zip"), &[records], true);
    }
}

#[test]
fn i9_a_large_real_windows_log_comes_back() {
    let Some(folder) = shared("data/real/otrf") else { return };
    let records = zipped(&folder.join("covenant_dcom_iertutil_dll_hijack.zip")).concat();
    assert_eq!(records.len(), 37_814);
    let objects: Vec<Vec<Vec<u8>>> = records.chunks(13_000).map(<[Vec<u8>]>::to_vec).collect();
    comes_back("covenant", &objects, false);
}

pub fn files(folder: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|found| found == ending));
    found.sort();
    found
}

pub fn split_lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let lines = bytes.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

/// The objects that open at this depth (1: elements of an array; 2: of an array in an object), each on a line.
pub fn elements(bytes: &[u8], depth: usize) -> Vec<Vec<u8>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut found, mut open, mut in_string, mut escaped) = (Vec::<Vec<u8>>::new(), 0, false, false);
    for &byte in bytes {
        if !in_string && matches!(byte, b'{' | b'[') {
            open += 1;
            if open == depth + 1 {
                found.push(Vec::new());
            }
        }
        if open > depth {
            // Between tokens a line end is as good as a space.
            let white = !in_string && matches!(byte, b'\n' | b'\r');
            found.last_mut().unwrap().push(if white { b' ' } else { byte });
        }
        match byte {
            b'"' if !escaped => in_string = !in_string,
            b'}' | b']' if !in_string => open -= 1,
            _ => {}
        }
        escaped = in_string && byte == b'\\' && !escaped;
    }
    assert_eq!((open, in_string), (0, false));
    found
}

/// The lines of each file in a zip, but for what macOS adds.
pub fn zipped(path: &Path) -> Vec<Vec<Vec<u8>>> {
    let bytes = fs::read(path).unwrap();
    let number =
        |at: usize, width: usize| bytes[at..at + width].iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    let end = bytes.windows(4).rposition(|window| window == b"PK\x05\x06").unwrap();
    let (count, mut at) = (number(end + 10, 2), number(end + 16, 4));
    let mut found = Vec::new();
    for _ in 0..count {
        assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
        let (method, packed, size) = (number(at + 10, 2), number(at + 20, 4), number(at + 24, 4));
        let (name, extra, comment) = (number(at + 28, 2), number(at + 30, 2), number(at + 32, 2));
        let local = number(at + 42, 4);
        let is_junk = bytes[at + 46..at + 46 + name].starts_with(b"__MACOSX") || size == 0;
        let start = local + 30 + number(local + 26, 2) + number(local + 28, 2);
        at += 46 + name + extra + comment;
        if is_junk {
            continue;
        }
        assert_eq!(method, 8, "deflate");
        let mut text = Vec::with_capacity(size);
        flate2::read::DeflateDecoder::new(&bytes[start..start + packed]).read_to_end(&mut text).unwrap();
        assert_eq!(text.len(), size);
        found.push(split_lines(&text));
    }
    found
}
