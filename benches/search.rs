//! How fast questions are answered: 730 days in about 5,000 segments, each query in a process of its own, beside DuckDB
//! on the same Parquet files. Archiving takes minutes; `HOLDFAST_BENCH_FOLDER` names a folder in which it is kept for the
//! next time. The needle index is made anew each time, and what that takes is told.
//!
//! `cargo bench --bench search -- [DAYS] [SEGMENTS A DAY] [ROWS A SEGMENT]`, 730, 7 and 300 by default. DuckDB is asked if
//! `python3` can import it and pytz (`PYTHONPATH`). Times are medians of five rounds, interleaved; ours is the whole process, from its
//! start to its last row, DuckDB's only the connection and the query, without starting Python and loading the library.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark prints and reads the clock"
)]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use holdfast::source::sample::security_events;
use jiff::Timestamp;
use jiff::civil::{Date, date};

const ROUNDS: usize = 5;
const LAST_DAY: Date = date(2026, 2, 28);

/// What it is called, and its SQL; DuckDB's differs only in how the table is called.
fn questions(needle: &str, common: &str) -> Vec<(&'static str, String)> {
    let day = LAST_DAY - jiff::Span::new().days(100);
    let next = day.tomorrow().unwrap();
    let one = format!("TimeGenerated >= '{day}' AND TimeGenerated < '{next}'");
    vec![
        (
            "open, and find nothing in time",
            "SELECT Account FROM SecurityEvent WHERE TimeGenerated < '2000-01-01'".into(),
        ),
        (
            "needle in one day",
            format!("SELECT Computer, EventID FROM SecurityEvent WHERE {one} AND Account = '{needle}'"),
        ),
        ("absent in one day", format!("SELECT Computer FROM SecurityEvent WHERE {one} AND Account = 'nobody at all'")),
        ("needle over everything", format!("SELECT Computer, EventID FROM SecurityEvent WHERE Account = '{needle}'")),
        ("an account of most days", format!("SELECT Computer, EventID FROM SecurityEvent WHERE Account = '{common}'")),
        ("absent over everything", "SELECT Computer FROM SecurityEvent WHERE Account = 'nobody at all'".into()),
        (
            "count by EventID by day",
            "SELECT date_trunc('day', TimeGenerated) AS d, EventID, count(*) FROM SecurityEvent GROUP BY 1, 2".into(),
        ),
        ("LIKE '%mimikatz%'", "SELECT Computer FROM SecurityEvent WHERE CommandLine LIKE '%mimikatz%'".into()),
        (
            "top accounts by failures",
            "SELECT Account, count(*) FROM SecurityEvent WHERE EventID = 4625 GROUP BY 1 ORDER BY 2 DESC LIMIT 10"
                .into(),
        ),
    ]
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<i64>().ok());
    let (days, a_day, rows) =
        (numbers.next().unwrap_or(730), numbers.next().unwrap_or(7), numbers.next().unwrap_or(300));
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("HOLDFAST_BENCH_FOLDER").map(std::path::PathBuf::from);
    let folder = kept.as_deref().unwrap_or(temporary.path());
    if !folder.join("archive").exists() {
        archive(folder, days, a_day, rows as u64);
    }
    let table = folder.join("archive/tables/main/SecurityEvent");
    let (mut segments, mut bytes) = (0, 0);
    count(&table, &mut segments, &mut bytes);
    println!("{segments} segments of {days} days, {} rows, {:.0} MB", days * a_day * rows, bytes as f64 / 1e6);
    let files =
        format!("read_parquet('{}/*/*/*.parquet', hive_partitioning = true, union_by_name = true)", table.display());
    let duckdb =
        Command::new("python3").args(["-c", "import duckdb, pytz"]).status().is_ok_and(|status| status.success());
    write_index(folder, &table);
    // Of all accounts the one in the fewest rows, and one in very many.
    let account = |order: &str| {
        let sql = format!(
            "SELECT Account FROM SecurityEvent WHERE Account IS NOT NULL GROUP BY 1 ORDER BY count(*) {order}, 1 LIMIT 1"
        );
        let found = ours(folder, &sql).2;
        found.split("\"Account\":\"").nth(1).unwrap().split('"').next().unwrap().replace("\\\\", "\\")
    };
    let (needle, common) = (account("ASC"), account("DESC"));
    println!("the needle is {needle}; the account of most days {common}");
    println!("{:<32}{:>12}{:>12}{:>12}{:>10}", "", "first row", "whole", "DuckDB", "ratio");
    for (name, sql) in questions(&needle, &common) {
        let (mut first, mut whole, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (row, all, _) = ours(folder, &sql);
            first.push(row);
            whole.push(all);
            if duckdb {
                theirs.push(peer(&sql.replace("SecurityEvent", &files)));
            }
        }
        let (first, whole) = (median(first), median(whole));
        let (theirs, ratio) = if duckdb {
            let theirs = median(theirs);
            (millis(theirs), format!("{:.2}", whole.as_secs_f64() / theirs.as_secs_f64()))
        } else {
            ("-".into(), "-".into())
        };
        println!("{name:<32}{:>12}{:>12}{theirs:>12}{ratio:>10}", millis(first), millis(whole));
    }
}

/// Makes the index anew, and looks how long a run takes that finds it there.
fn write_index(folder: &Path, table: &Path) {
    let index = table.join("_index");
    if index.exists() {
        fs::remove_dir_all(&index).unwrap();
    }
    let run = || {
        let started = Instant::now();
        let status = holdfast(folder)
            .args(["run", "--as-of", "2026-03-31"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "the run failed");
        started.elapsed()
    };
    let (written, found) = (run(), run());
    let sizes = fs::read_dir(&index).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    let bytes: u64 = sizes.sum();
    println!(
        "index: {:.1} MB; a run that writes it {}, one that finds it {}",
        bytes as f64 / 1e6,
        millis(written),
        millis(found)
    );
}

/// `a_day` runs, each of which archives an hour of every day.
fn archive(folder: &Path, days: i64, a_day: i64, rows: u64) {
    fs::create_dir_all(folder.join("policies")).unwrap();
    fs::write(
        folder.join("holdfast.toml"),
        "archive = \"archive\"\npolicies = \"policies\"\nsimulation = true\n[[source]]\nname = \"bench\"\nurl = \"logs\"\n\
         layout = \"{table}/{year}/{month}/{day}/{hour}/*\"\nsettle = \"0s\"\n",
    )
    .unwrap();
    fs::write(
        folder.join("policies/all.toml"),
        "version = 1\n[[table]]\nname = \"SecurityEvent\"\nretain = \"10y\"\nindex = [\"Account\", \"Computer\"]\n",
    )
    .unwrap();
    for run in 0..a_day {
        for back in 0..days {
            let day = LAST_DAY - jiff::Span::new().days(back);
            let start: Timestamp = format!("{day}T{:02}:00:00Z", run * 3).parse().unwrap();
            let mut content = Vec::new();
            security_events((run * days + back) as u64, start, rows, &mut content).unwrap();
            let path = folder.join(format!("logs/SecurityEvent/{}/{:02}", day.strftime("%Y/%m/%d"), run * 3));
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("events.json"), content).unwrap();
        }
        let at = format!("2026-03-{:02}", 4 + run);
        let status = holdfast(folder).args(["run", "--as-of", &at]).stdout(Stdio::null()).status().unwrap();
        assert!(status.success(), "the run failed");
        fs::remove_dir_all(folder.join("logs")).unwrap();
        fs::create_dir(folder.join("logs")).unwrap();
    }
}

fn holdfast(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.arg("--config").arg(folder.join("holdfast.toml"));
    command
}

/// To the first byte, to the end, and what came.
fn ours(folder: &Path, sql: &str) -> (Duration, Duration, String) {
    let started = Instant::now();
    let mut child = holdfast(folder)
        .args(["search", sql, "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut text = vec![0];
    out.read_exact(&mut text).unwrap();
    let first = started.elapsed();
    out.read_to_end(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{sql}");
    (first, started.elapsed(), String::from_utf8(text).unwrap())
}

fn peer(sql: &str) -> Duration {
    const SCRIPT: &str = "import duckdb, sys, time\nstarted = time.perf_counter()\n\
        duckdb.connect().sql(sys.argv[1]).fetchall()\nprint(time.perf_counter() - started)";
    let out = Command::new("python3").args(["-c", SCRIPT, sql]).output().unwrap();
    let seconds = String::from_utf8_lossy(&out.stdout).trim().parse::<f64>();
    Duration::from_secs_f64(seconds.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr))))
}

fn count(folder: &Path, files: &mut u64, bytes: &mut u64) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.metadata().unwrap().is_dir() {
            count(&entry.path(), files, bytes);
        } else if entry.path().extension().is_some_and(|extension| extension == "parquet")
            && !entry.path().to_string_lossy().contains("_delta_log")
        {
            *files += 1;
            *bytes += entry.metadata().unwrap().len();
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}
