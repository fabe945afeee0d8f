//! The metrics file: Prometheus' text format, written anew at each change, read by node_exporter or by eye.
//!
//! What a change does not touch survives from the file as it was, so that a run of some tables keeps the times of the
//! others. The file is replaced whole: a reader never sees half of one. Two processes take turns by a lock beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use crate::error::{Error, Kind, Result};
use crate::names::TableName;
use crate::pipeline::{Request, RunReport};
use crate::policy::PolicySet;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    /// The `now` of the last run that did all that was due in a table, by its name.
    pub last_success: BTreeMap<String, Timestamp>,
    /// The `now` of the last run of any tables.
    pub last_run: Option<Timestamp>,
    pub last_exit_code: Option<u8>,
    pub last_duration: Option<Duration>,
    /// Rows that the last run archived, of all tables.
    pub last_rows: Option<u64>,
    /// Of the schedule.
    pub next_firing: Option<Timestamp>,
    /// When `schedule` last said that it is alive.
    pub heartbeat: Option<Timestamp>,
}

const SUCCESS: &str = "holdfast_last_success_timestamp_seconds";
const RUN: &str = "holdfast_last_run_timestamp_seconds";
const EXIT_CODE: &str = "holdfast_last_run_exit_code";
const DURATION: &str = "holdfast_last_run_duration_seconds";
const ROWS: &str = "holdfast_last_run_archived_rows";
const NEXT: &str = "holdfast_next_firing_timestamp_seconds";
const HEARTBEAT: &str = "holdfast_heartbeat_timestamp_seconds";

impl Metrics {
    /// Reads what [`Metrics`] prints. What it does not know it leaves out: the file is ours to write anew.
    pub fn parse(text: &str) -> Self {
        let mut metrics = Metrics::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let time = || value.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
            match name.split_once('{') {
                Some((SUCCESS, label)) => {
                    let table = label.strip_prefix("table=\"").and_then(|rest| rest.strip_suffix("\"}"));
                    if let (Some(table), Some(time)) = (table.and_then(TableName::parse), time()) {
                        metrics.last_success.insert(table.to_string(), time);
                    }
                }
                Some(_) => {}
                None => match name {
                    RUN => metrics.last_run = time(),
                    EXIT_CODE => metrics.last_exit_code = value.parse().ok(),
                    DURATION => {
                        metrics.last_duration =
                            value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                    }
                    ROWS => metrics.last_rows = value.parse().ok(),
                    NEXT => metrics.next_firing = time(),
                    HEARTBEAT => metrics.heartbeat = time(),
                    _ => {}
                },
            }
        }
        metrics
    }
}

/// The file's text. Names of tables have no character that a label would have to escape.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, values: Vec<(String, String)>| {
            if values.is_empty() {
                return Ok(());
            }
            writeln!(f, "# HELP {name} {help}\n# TYPE {name} gauge")?;
            values.iter().try_for_each(|(label, value)| writeln!(f, "{name}{label} {value}"))
        };
        let one = |value: Option<String>| value.map(|value| (String::new(), value)).into_iter().collect::<Vec<_>>();
        let seconds = |time: Option<Timestamp>| one(time.map(|time| time.as_second().to_string()));
        let successes = self.last_success.iter();
        let successes = successes.map(|(table, time)| (format!("{{table=\"{table}\"}}"), time.as_second().to_string()));
        gauge(SUCCESS, "The time as of which the last run without an error in this table ran.", successes.collect())?;
        gauge(RUN, "The time as of which the last run ran.", seconds(self.last_run))?;
        gauge(EXIT_CODE, "How the last run ended; 0 is well.", one(self.last_exit_code.map(|code| code.to_string())))?;
        let duration = self.last_duration.map(|duration| format!("{:.3}", duration.as_secs_f64()));
        gauge(DURATION, "How long the last run took.", one(duration))?;
        gauge(ROWS, "Rows that the last run archived, all tables.", one(self.last_rows.map(|rows| rows.to_string())))?;
        gauge(NEXT, "When the schedule fires next.", seconds(self.next_firing))?;
        gauge(HEARTBEAT, "When the schedule last showed that it is alive.", seconds(self.heartbeat))
    }
}

/// The tables in which a run did all that was due: it looked at them, nothing went wrong there, and nothing waits for a
/// person. An error that names no table may have to do with any. What waits for the deletion window is not due yet.
pub fn succeeded(report: &RunReport, request: &Request, policies: &PolicySet) -> Vec<TableName> {
    if report.stopped || !report.doubts.is_empty() || report.errors.iter().any(|error| error.table().is_none()) {
        return Vec::new();
    }
    let in_scope = |table: &TableName| {
        let named = request.tables.is_empty() || request.tables.contains(table);
        let schedule = || policies.rule_for(table).and_then(|rule| rule.schedule);
        named && request.schedules.as_ref().is_none_or(|schedules| schedules.contains(&schedule()))
    };
    let undecided: BTreeSet<&TableName> =
        report.expiring.waiting.iter().filter(|day| day.asks()).map(|verdict| &verdict.item.table).collect();
    let went_wrong = |table: &TableName| {
        let name = table.to_string();
        report.tables.get(&name).is_some_and(|archived| archived.unreadable > 0)
            || report.errors.iter().any(|error| error.table().is_some_and(|other| other.eq_ignore_ascii_case(&name)))
    };
    let archived = report.tables.keys().filter_map(|name| TableName::parse(name));
    let mut tables: Vec<TableName> =
        report.known.iter().chain(report.kept.iter().map(|verdict| &verdict.table)).cloned().chain(archived).collect();
    tables.sort();
    tables.dedup();
    tables.retain(|table| in_scope(table) && !went_wrong(table) && !undecided.contains(table));
    tables
}

/// Changes the file, or makes it.
pub fn update_metrics(path: &Path, change: impl FnOnce(&mut Metrics)) -> Result<()> {
    let failed = |source: std::io::Error| {
        Error::from_source(Kind::Store, format!("writing the metrics {}", path.display()), source)
            .with_hint("its folder must be there and ours to write in; nothing else depends on it")
    };
    let beside = |suffix: &str| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!(".{name}.{suffix}"))
    };
    let lock = File::options().write(true).create(true).truncate(false).open(beside("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut metrics = match fs::read_to_string(path) {
        Ok(text) => Metrics::parse(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Metrics::default(),
        // Not text: it is none of ours.
        Err(error) => return Err(failed(error)),
    };
    change(&mut metrics);
    let new = beside("new");
    fs::write(&new, metrics.to_string()).map_err(failed)?;
    fs::rename(&new, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::TableReport;
    use crate::plan::{Reason, Verdict};
    use crate::policy::PolicyFile;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn table(name: &str) -> TableName {
        TableName::parse(name).unwrap()
    }

    fn whole() -> Metrics {
        Metrics {
            last_success: BTreeMap::from([
                ("cde/SecurityEvent".into(), at("2024-03-09T02:00:00Z")),
                ("main/SecurityEvent".into(), at("2024-03-10T02:00:00Z")),
            ]),
            last_run: Some(at("2024-03-10T02:00:00Z")),
            last_exit_code: Some(3),
            last_duration: Some(Duration::from_millis(754_321)),
            last_rows: Some(1_152_000),
            next_firing: Some(at("2024-03-11T02:00:00Z")),
            heartbeat: Some(at("2024-03-10T12:34:56Z")),
        }
    }

    #[test]
    fn the_text_is_what_prometheus_reads() {
        insta::assert_snapshot!(whole().to_string(), @r#"
        # HELP holdfast_last_success_timestamp_seconds The time as of which the last run without an error in this table ran.
        # TYPE holdfast_last_success_timestamp_seconds gauge
        holdfast_last_success_timestamp_seconds{table="cde/SecurityEvent"} 1709949600
        holdfast_last_success_timestamp_seconds{table="main/SecurityEvent"} 1710036000
        # HELP holdfast_last_run_timestamp_seconds The time as of which the last run ran.
        # TYPE holdfast_last_run_timestamp_seconds gauge
        holdfast_last_run_timestamp_seconds 1710036000
        # HELP holdfast_last_run_exit_code How the last run ended; 0 is well.
        # TYPE holdfast_last_run_exit_code gauge
        holdfast_last_run_exit_code 3
        # HELP holdfast_last_run_duration_seconds How long the last run took.
        # TYPE holdfast_last_run_duration_seconds gauge
        holdfast_last_run_duration_seconds 754.321
        # HELP holdfast_last_run_archived_rows Rows that the last run archived, all tables.
        # TYPE holdfast_last_run_archived_rows gauge
        holdfast_last_run_archived_rows 1152000
        # HELP holdfast_next_firing_timestamp_seconds When the schedule fires next.
        # TYPE holdfast_next_firing_timestamp_seconds gauge
        holdfast_next_firing_timestamp_seconds 1710122400
        # HELP holdfast_heartbeat_timestamp_seconds When the schedule last showed that it is alive.
        # TYPE holdfast_heartbeat_timestamp_seconds gauge
        holdfast_heartbeat_timestamp_seconds 1710074096
        "#);
        assert_eq!(Metrics::parse(&whole().to_string()), whole());
        assert_eq!(Metrics::default().to_string(), "");
        assert_eq!(
            Metrics::parse("x 1\nholdfast_last_run_exit_code x\n{} 1\nholdfast_a{b=\"c\"} 1"),
            Metrics::default()
        );
    }

    #[test]
    fn what_is_not_changed_survives_and_nothing_is_left_half() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("holdfast.prom");
        update_metrics(&path, |metrics| *metrics = whole()).unwrap();
        update_metrics(&path, |metrics| metrics.last_exit_code = Some(0)).unwrap();
        let there = Metrics::parse(&fs::read_to_string(&path).unwrap());
        assert_eq!(there, Metrics { last_exit_code: Some(0), ..whole() });
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, [".holdfast.prom.lock", "holdfast.prom"]);
        let error = update_metrics(&folder.path().join("none/x.prom"), |_| {}).unwrap_err();
        assert!(error.hint().is_some() && error.to_string().contains("none/x.prom"), "{error}");
    }

    fn policies() -> PolicySet {
        let text = "version = 1\n[defaults]\nretain = \"1y\"\n[[table]]\nname = \"Hourly\"\nschedule = \"0 * * * *\"\n";
        PolicySet::from_files(vec![PolicyFile { name: "a.toml".into(), text: text.into() }]).unwrap()
    }

    fn report() -> RunReport {
        let mut report = RunReport { known: ["Old", "Signin", "Hourly"].map(table).to_vec(), ..RunReport::default() };
        report.tables.insert("main/Signin".into(), TableReport::default());
        report.tables.insert("main/New".into(), TableReport::default());
        report.kept.push(Verdict {
            source: "s".into(),
            path: "p".into(),
            table: table("Young"),
            bytes: 1,
            reason: Reason::NoRule,
        });
        report
    }

    fn names(report: &RunReport, request: &Request) -> Vec<String> {
        let tables = succeeded(report, request, &policies());
        tables.iter().map(|table| table.table.clone()).collect()
    }

    #[test]
    fn a_table_succeeded_if_the_run_looked_at_it_and_nothing_went_wrong_there() {
        let all = Request::all(at("2024-03-10T02:00:00Z"));
        assert_eq!(names(&report(), &all), ["Hourly", "New", "Old", "Signin", "Young"]);
        let own = Request { schedules: Some(vec![None]), ..all.clone() };
        assert_eq!(names(&report(), &own), ["New", "Old", "Signin", "Young"]);
        let hourly = Request { schedules: Some(vec![Some("0 * * * *".into())]), ..all.clone() };
        assert_eq!(names(&report(), &hourly), ["Hourly"]);
        let one = Request { tables: vec![table("signin")], ..all.clone() };
        assert_eq!(names(&report(), &one), ["Signin"]);

        let error = || Error::new(Kind::Object, "reading raw object x", "it vanished");
        let mut one_failed = report();
        one_failed.errors.push(error().of_table("main/SIGNIN"));
        assert_eq!(names(&one_failed, &all), ["Hourly", "New", "Old", "Young"]);
        let mut unreadable = report();
        unreadable.tables.insert("main/New".into(), TableReport { unreadable: 1, ..TableReport::default() });
        assert_eq!(names(&unreadable, &all), ["Hourly", "Old", "Signin", "Young"]);
        let mut any = report();
        any.errors.push(error());
        assert!(names(&any, &all).is_empty(), "an error that names no table may have to do with any");
        let doubtful = RunReport { doubts: vec!["the clock".into()], ..report() };
        assert!(names(&doubtful, &all).is_empty());
        assert!(names(&RunReport { stopped: true, ..report() }, &all).is_empty());
    }
}
