//! Late records join their day: in a further segment of it, beside those that were there.

use std::collections::BTreeMap;

use holdfast::error::Result;
use holdfast::restore::RecordSink;
use jiff::civil::Date;

use crate::site::Site;

/// Numbers of records by day.
#[derive(Default)]
struct Numbers(BTreeMap<String, Vec<u64>>);

impl RecordSink for Numbers {
    fn record(&mut self, day: Date, record: &[u8]) -> Result<()> {
        let record: serde_json::Value = serde_json::from_slice(record).unwrap();
        self.0.entry(day.to_string()).or_default().push(record["n"].as_u64().unwrap());
        Ok(())
    }
}

fn record(time: &str, number: u32) -> String {
    format!("{{\"TimeGenerated\":\"{time}\",\"n\":{number}}}\n")
}

#[test]
fn i1_late_records_join_their_day_in_a_further_segment() {
    let site = Site::new().clearing();
    site.write("T/2024/03/01/10/a", record("2024-03-01T10:00:00Z", 1) + &record("2024-03-01T10:30:00Z", 2));
    site.run_well("2024-03-02T00:00:00Z");
    assert_eq!(site.segments("main/T").len(), 1);

    // Two days later: records of the archived day, of a day before it, and of its own.
    let late = ["2024-03-01T10:15:00Z", "2024-02-29T23:59:59Z", "2024-03-03T09:00:00Z", "2024-03-01T09:00:00Z"];
    let late: String = late.iter().zip(3..).map(|(time, number)| record(time, number)).collect();
    site.write("T/2024/03/03/09/late", late);
    let report = site.run_well("2024-03-04T00:00:00Z");
    assert_eq!(report.tables["main/T"].counts.archived, 4);

    let segments: Vec<String> = site
        .segments("main/T")
        .iter()
        .filter_map(|path| path.iter().find(|part| part.to_string_lossy().starts_with("_hf_day=")))
        .map(|day| day.to_string_lossy().into_owned())
        .collect();
    assert_eq!(segments, ["_hf_day=2024-02-29", "_hf_day=2024-03-01", "_hf_day=2024-03-01", "_hf_day=2024-03-03"]);
    let mut numbers = Numbers::default();
    let manifest = site.restore_into("main/T", &mut numbers);
    numbers.0.values_mut().for_each(|numbers| numbers.sort_unstable());
    let expected = [("2024-02-29", vec![4]), ("2024-03-01", vec![1, 2, 3, 6]), ("2024-03-03", vec![5])];
    assert_eq!(numbers.0, expected.map(|(day, numbers)| (day.to_owned(), numbers)).into());
    assert_eq!(manifest.records.rows, 6);
    assert!(site.raw().is_empty(), "both objects were cleared");
}

/// What comes too late for `late_window` has no day that could be trusted.
#[test]
fn what_is_too_late_is_quarantined() {
    let site = Site::new();
    site.write("T/2024/03/03/09/late", record("2024-02-02T09:00:00Z", 1) + &record("2024-02-02T08:59:59Z", 2));
    let counts = site.run_well("2024-03-04T00:00:00Z").tables["main/T"].counts;
    assert_eq!((counts.archived, counts.quarantined), (1, 1));
}
