//! The demo's source: a few days of four tables as collectors would have left them, with what goes wrong in real life.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::json::{Json, TICKS_PER_SECOND, Ticks, ticks};
use super::others;
use super::random::Random;
use super::security::SecurityEvents;
use crate::error::{Error, Kind, Result};

/// How much to write.
#[derive(Debug, Clone)]
pub struct SampleOptions {
    pub seed: u64,
    /// Days of logs, the last of them `end_day`.
    pub days: u16,
    pub end_day: Date,
    /// `SecurityEvent` records an hour; the other tables have fewer in proportion.
    pub rows_per_hour: u32,
}

impl SampleOptions {
    /// A few thousand records, written in a moment.
    pub fn demo(end_day: Date) -> Self {
        SampleOptions { seed: 2024, days: 3, end_day, rows_per_hour: 30 }
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SampleSummary {
    pub tables: Vec<TableSummary>,
    /// Bytes of all raw objects as they lie there, packed or not.
    pub bytes: u64,
    /// Records that came three days late; counted in their table too.
    pub late_records: u64,
    /// Lines cut off in the middle; in no table's records.
    pub broken_lines: u64,
    /// Files that are no raw objects.
    pub strangers: u64,
}

/// One table's share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableSummary {
    pub table: &'static str,
    pub objects: u64,
    /// Whole records.
    pub records: u64,
}

impl SampleSummary {
    pub fn objects(&self) -> u64 {
        self.tables.iter().map(|table| table.objects).sum()
    }

    pub fn records(&self) -> u64 {
        self.tables.iter().map(|table| table.records).sum()
    }
}

/// Writes sample logs below `folder` in the layout `{table}/{year}/{month}/{day}/{hour}/*`, and one stranger beside them.
///
/// Among them are gzip and zstd, one late `SecurityEvent` record (in the first hour of `end_day`, of three days before)
/// and one line broken off. Files that are there already are written over. Errors are of kind `Store`.
pub fn write_demo(folder: &Path, options: &SampleOptions) -> Result<SampleSummary> {
    let mut summary = SampleSummary::default();
    for kind in [Table::Security, Table::Signin, Table::Firewall, Table::Homegrown] {
        let table = write_table(folder, options, kind, &mut summary)?;
        summary.tables.push(table);
    }
    let readme =
        "These files were made up by `holdfast demo`. This one is no log: Holdfast reports it and leaves it alone.\n";
    write_file(folder, "README.txt", readme.as_bytes())?;
    summary.strangers = 1;
    Ok(summary)
}

#[derive(Clone, Copy, PartialEq)]
enum Table {
    Security,
    Signin,
    Firewall,
    Homegrown,
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Table::Security => "SecurityEvent",
            Table::Signin => "SigninLogs",
            Table::Firewall => "AZFWNetworkRule",
            Table::Homegrown => "HomegrownAppAudit",
        }
    }

    /// Hours from one object to the next, and its records.
    fn rhythm(self, rows_per_hour: u32) -> (usize, u32) {
        match self {
            Table::Security => (1, rows_per_hour),
            Table::Signin => (4, rows_per_hour),
            Table::Firewall => (2, rows_per_hour),
            Table::Homegrown => (12, rows_per_hour.div_ceil(2)),
        }
    }
}

fn write_table(
    folder: &Path,
    options: &SampleOptions,
    table: Table,
    summary: &mut SampleSummary,
) -> Result<TableSummary> {
    let mut written = TableSummary { table: table.name(), ..TableSummary::default() };
    let mut random = Random::new(options.seed, table.name());
    let mut events = SecurityEvents::new(options.seed);
    let (step, rows) = table.rhythm(options.rows_per_hour);
    for back in (0..i64::from(options.days)).rev() {
        let day = options.end_day.checked_sub(back.days()).map_err(|error| invalid(options, error))?;
        for hour in (0..24).step_by(step) {
            let start = day.at(hour as i8, 0, 0, 0).to_zoned(TimeZone::UTC).map_err(|error| invalid(options, error))?;
            let start = ticks(start.timestamp());
            let mut json = Json::default();
            let mut write = |at: Ticks, json: &mut Json| match table {
                Table::Security => events.write(at, json),
                Table::Signin => others::signin(&mut random, at, json),
                Table::Firewall => others::firewall(&mut random, at, json),
                Table::Homegrown => others::homegrown(&mut random, at, json),
            };
            let spacing = 3600 * TICKS_PER_SECOND / Ticks::from(rows.max(1));
            for row in 0..Ticks::from(rows) {
                // Every fifth record swaps places with its neighbour, as when several machines report.
                let place = if row % 5 == 4 { row - 1 } else { row };
                write(start + place * spacing + (row * 7_654_321) % spacing, &mut json);
            }
            written.records += u64::from(rows);
            if table == Table::Security && back == 0 && hour == 0 {
                write(start - 3 * 86_400 * TICKS_PER_SECOND + 12_345_678, &mut json);
                written.records += 1;
                summary.late_records += 1;
            }
            if table == Table::Security && back == 0 && hour == 8 {
                let whole = json.bytes.len();
                write(start, &mut json);
                json.bytes.truncate(whole + 300);
                json.bytes.push(b'\n');
                summary.broken_lines += 1;
            }
            let path = format!("{}/{}/{hour:02}/events", table.name(), day.strftime("%Y/%m/%d"));
            summary.bytes += write_object(folder, path, table, hour, &json.bytes)?;
            written.objects += 1;
        }
    }
    Ok(written)
}

/// Writes one object, packed as this table's collector would pack it; returns its size.
fn write_object(folder: &Path, path: String, table: Table, hour: usize, bytes: &[u8]) -> Result<u64> {
    let (extension, packed) = match (table, hour % 3) {
        (Table::Security, 0) | (Table::Signin, _) => (".json.gz", gzip(bytes)),
        (Table::Security, 1) | (Table::Firewall, _) => (".json.zst", zstd::stream::encode_all(bytes, 3)),
        // Windows line ends.
        (Table::Homegrown, _) => {
            (".log", Ok(bytes.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..])))
        }
        (Table::Security, _) => (".json", Ok(bytes.to_vec())),
    };
    let path = format!("{path}{extension}");
    let packed = packed.map_err(|source| failed(&folder.join(&path), source))?;
    write_file(folder, &path, &packed)?;
    Ok(packed.len() as u64)
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn write_file(folder: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(path);
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, bytes));
    written.map_err(|source| failed(&path, source))
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::from_source(Kind::Store, format!("writing sample log {}", path.display()), source)
        .with_hint("choose another folder, one that you may write to")
}

fn invalid(options: &SampleOptions, source: jiff::Error) -> Error {
    let attempted = format!("making sample logs for {} days up to {}", options.days, options.end_day);
    Error::from_source(Kind::Usage, attempted, source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Source;
    use crate::source::{DiscoverOptions, Encoding, Layout, Line, LineReader, ObjectReader, discover};
    use jiff::civil::date;
    use jiff::{SignedDuration, Timestamp};

    #[test]
    fn the_demo_is_what_its_summary_says() {
        let source = Source::new();
        let options = SampleOptions::demo(date(2024, 3, 10));
        let summary = write_demo(source.folder.path(), &options).unwrap();
        assert_eq!(write_demo(source.folder.path(), &options).unwrap(), summary);
        assert!((2000..6000).contains(&summary.records()) && summary.bytes < 10_000_000, "{summary:?}");

        let layout = Layout::parse("{table}/{year}/{month}/{day}/{hour}/*").unwrap();
        let look = DiscoverOptions { name: "s".into(), workspace: "main".into(), settle: SignedDuration::ZERO };
        let found = discover(&source.store, &look, &layout, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(found.objects.len() as u64, summary.objects());
        assert_eq!(found.strangers.len(), 1);
        let (mut read, mut broken, mut late, mut packed) = (0, 0, 0, Vec::new());
        for object in &found.objects {
            let period = object.period.unwrap();
            let mut reader = LineReader::new(ObjectReader::open(&source.store, object).unwrap(), 1 << 20).unwrap();
            packed.push(reader.encoding());
            while let Some(line) = reader.next().unwrap() {
                let Line::Record { bytes, terminated: true, .. } = line else { panic!("{line:?}") };
                let Ok(record) = serde_json::from_slice::<serde_json::Value>(bytes) else {
                    broken += 1;
                    continue;
                };
                read += 1;
                let time: Timestamp = record["TimeGenerated"].as_str().unwrap().parse().unwrap();
                if time < period.start {
                    assert_eq!(time.to_string().split('T').next(), Some("2024-03-07"));
                    late += 1;
                } else {
                    assert!(time < period.end, "{} {time}", object.path);
                }
            }
            assert!(reader.raw().is_complete());
        }
        assert_eq!((read, broken, late), (summary.records(), summary.broken_lines, summary.late_records));
        assert_eq!((broken, late), (1, 1));
        for encoding in [Encoding::Plain, Encoding::Gzip, Encoding::Zstd] {
            assert!(packed.contains(&encoding), "{encoding:?}");
        }
    }
}
