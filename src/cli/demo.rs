//! `holdfast demo`: all of it on sample logs, told to somebody who sees it for the first time.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::{Date, date};

use super::args::{Args, DemoArgs};
use super::nights::two_years;
use super::open::House;
use super::output::{Output, count, number, size};
use super::search::shown;
use super::{run as run_command, verify as verify_command};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::names::TableName;
use crate::pipeline::{self, Request, RunReport};
use crate::restore::{RecordSink, RestoreRequest, restore};
use crate::search::Listed;
use crate::source::sample::{SampleOptions, SampleSummary, write_demo};
use crate::storage::Missing;
use crate::verify::{Verification, verify};

/// The policies of this repository, which the demo uses as they are.
const POLICIES: [(&str, &str); 4] = [
    ("audit.toml", include_str!("../../policies/audit.toml")),
    ("defaults.toml", include_str!("../../policies/defaults.toml")),
    ("network.toml", include_str!("../../policies/network.toml")),
    ("security.toml", include_str!("../../policies/security.toml")),
];

const SETTINGS: &str = r#"# Where and how fast; what to keep stands in policies/.
archive  = "archive"
policies = "policies"

# A simulation may run at any time you name (--as-of). Real archives leave this out.
simulation = true

[delete]
raw     = true      # clear raw logs after their verified archive and the rule's keep_raw
expired = true      # retire and destroy what has expired; the first time somebody must approve it

[[source]]
name   = "collector"
url    = "logs"
layout = "{table}/{year}/{month}/{day}/{hour}/*"
settle = "0s"
"#;

/// The last day of the sample logs, and the day of the demo's first run.
const LAST_DAY: Date = date(2024, 3, 3);
const FIRST_RUN: Date = date(2024, 3, 6);
const SECOND_RUN: Date = date(2024, 3, 14);

pub fn demo(_: &Args, demo: &DemoArgs, output: &mut Output) -> Result<u8> {
    let folder = make_folder(demo.dir.as_deref())?;
    let sample = lay_out(&folder)?;
    say(output, "1. Sample logs", &laid_out(&folder, &sample))?;

    let house = House::read(&folder.join("holdfast.toml"), output)?;
    let first = run_at(&house, FIRST_RUN)?;
    let intro = format!("As of {FIRST_RUN}, everything older than two days (`archive_after`) is due.");
    say(output, "2. The first run archives", &[vec![intro, String::new()], run_command::lines(&first)].concat())?;
    say(output, "", &explain_first(&first))?;

    let second = run_at(&house, SECOND_RUN)?;
    let intro = format!(
        "As of {SECOND_RUN}, `keep_raw` (7 days) has passed: raw logs that stand verified in the archive may go."
    );
    say(
        output,
        "3. A week later, raw logs are cleared",
        &[vec![intro, String::new()], run_command::lines(&second)].concat(),
    )?;

    let mut lines = vec![format!("$ holdfast search \"{QUESTION}\"")];
    lines.extend(shown(&house, QUESTION)?);
    lines.push(String::new());
    let restored = restore_all(&house)?;
    lines.extend(restored.iter().map(|(table, records, same)| {
        let verdict =
            if *same { "exactly the records that were archived" } else { "NOT the records that were archived" };
        format!("{table}: {}, {verdict}", count(*records, "record", "records"))
    }));
    lines.push(String::new());
    lines.push("The raw files are gone; every record comes back value for value, digit for digit.".into());
    say(output, "4. Every record can be found and restored", &lines)?;

    check_all(&house, "5. Everything that was written is checked", output)?;

    two_years(&house, &folder, SECOND_RUN, output)?;
    let found = check_all(&house, "8. And what is left is what was written", output)?;
    say(output, "What to try next", &next_steps(&folder))?;
    let same = restored.iter().all(|(_, _, same)| *same);
    Ok(if same { found.exit_code() } else { Kind::Damaged.exit_code() })
}

/// What an auditor might ask first.
const QUESTION: &str = "SELECT Account, count(*) AS failures FROM SecurityEvent WHERE EventID = 4625 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 3";

fn check_all(house: &House, title: &str, output: &mut Output) -> Result<Verification> {
    let (archive, ledger) = (house.archive(Missing::Refuse)?, house.ledger(Missing::Refuse)?);
    let found = verify(&archive, &ledger, &house.source_stores()?, 2)?;
    say(output, title, &verify_command::lines(&found))?;
    Ok(found)
}

pub fn say(output: &mut Output, title: &str, lines: &[String]) -> Result<()> {
    if !title.is_empty() {
        let (bold, off) = if output.stdout.color { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        output.line(format!("\n{bold}{title}{off}"))?;
    }
    for line in lines {
        output.line(format!("   {line}").trim_end())?;
    }
    Ok(())
}

/// A folder that was not there before: nothing of anybody's is written over.
fn make_folder(asked: Option<&Path>) -> Result<PathBuf> {
    let failed = |folder: &Path, source| {
        Error::from_source(Kind::Store, format!("making the demo folder {}", folder.display()), source)
    };
    if let Some(folder) = asked {
        if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::new(
                Kind::Usage,
                format!("making the demo folder {}", folder.display()),
                "it is not empty",
            )
            .with_hint("name a folder that is not there yet"));
        }
        fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
        return Ok(folder.to_owned());
    }
    for number in 1.. {
        let folder =
            if number == 1 { PathBuf::from("holdfast-demo") } else { PathBuf::from(format!("holdfast-demo-{number}")) };
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed(&folder, source)),
        }
    }
    Err(Error::new(Kind::Store, "making the demo folder", "every name is taken"))
}

fn lay_out(folder: &Path) -> Result<SampleSummary> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text)
            .map_err(|source| Error::from_source(Kind::Store, format!("writing {}", path.display()), source))
    };
    let policies = folder.join("policies");
    fs::create_dir_all(&policies)
        .map_err(|source| Error::from_source(Kind::Store, format!("making {}", policies.display()), source))?;
    for (name, text) in POLICIES {
        write(&format!("policies/{name}"), text)?;
    }
    write("holdfast.toml", SETTINGS)?;
    write_demo(&folder.join("logs"), &SampleOptions::demo(LAST_DAY))
}

fn laid_out(folder: &Path, sample: &SampleSummary) -> Vec<String> {
    let mut lines = vec![
        format!("{} holds settings, policies and a collector's logs:", folder.display()),
        format!(
            "{} in {} ({}), as JSON lines; some packed with gzip or zstd",
            count(sample.records(), "record", "records"),
            count(sample.objects(), "file", "files"),
            size(sample.bytes)
        ),
    ];
    for table in &sample.tables {
        lines.push(format!("  {:<20} {:>6} records", table.table, number(table.records)));
    }
    lines.push(format!(
        "among them {}, {}, and {} that is no log at all",
        count(sample.late_records, "record that came days late", "records that came days late"),
        count(sample.broken_lines, "line broken off in the middle", "lines broken off in the middle"),
        count(sample.strangers, "file", "files")
    ));
    lines
}

fn run_at(house: &House, day: Date) -> Result<RunReport> {
    let now = super::args::parse_instant(&day.to_string())
        .map_err(|reason| Error::new(Kind::Internal, format!("reading the day {day}"), reason))?;
    let report = pipeline::run(&house.watched()?, &Request::all(now), house.clock.now())?;
    match report.errors.iter().find(|error| error.kind() != Kind::Object) {
        Some(error) => Err(Error::new(error.kind(), error.attempted(), error.reason())),
        None => Ok(report),
    }
}

fn explain_first(report: &RunReport) -> Vec<String> {
    let raw: u64 = report.tables.values().map(|table| table.raw_bytes).sum();
    let archived: u64 = report.tables.values().map(|table| table.bytes).sum();
    vec![
        String::new(),
        format!(
            "{} of raw logs became {} of sorted Parquet in Delta Lake tables; each was read back and compared.",
            size(raw),
            size(archived)
        ),
        "The broken line lies in quarantine, as it was. The stranger was left alone.".into(),
        "No rule names HomegrownAppAudit: [defaults] keep it for ever, until somebody decides.".into(),
        "AZFWNetworkRule has keep_raw = 0d: its raw logs were cleared at once, since they stand in the archive.".into(),
    ]
}

/// Counts and forgets.
struct CountOnly;

impl RecordSink for CountOnly {
    fn record(&mut self, _: Date, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// Restores every table and compares the records' digest with the one taken when they were first read.
fn restore_all(house: &House) -> Result<Vec<(TableName, u64, bool)>> {
    let (archive, chain) = (house.archive(Missing::Refuse)?, house.chain()?);
    let mut restored = Vec::new();
    for known in chain.state().tables.values() {
        let request = RestoreRequest::all(known.name.clone(), Timestamp::UNIX_EPOCH);
        let manifest = restore(&archive, chain.state(), &Listed::default(), &request, &mut CountOnly)?;
        let mut archived = crate::record::SetDigest::default();
        for (segment, _) in known.segments.values() {
            archived.merge(&segment.digest);
        }
        restored.push((known.name.clone(), manifest.records.rows, manifest.records == archived));
    }
    Ok(restored)
}

fn next_steps(folder: &Path) -> Vec<String> {
    let program = program();
    let config = format!("{program} --config {}/holdfast.toml", folder.display());
    vec![
        format!("{config} status"),
        "    what an on-call engineer wants to know".into(),
        format!("{config} search \"SELECT * FROM HomegrownAppAudit LIMIT 3\""),
        "    what is left, in SQL; the last lines say what the answer lacks".into(),
        format!("{config} report --output report.html"),
        "    what is kept and what is gone, drawn".into(),
        format!("{config} why HomegrownAppAudit 2024-03-01"),
        "    the dates of a day, its rule, and what stands in its way".into(),
        format!("{config} why SecurityEvent 2024-03-01 --certificate"),
        "    the whole certificate of a day that is gone".into(),
        format!("{config} plan --as-of 2031-06-01"),
        "    what a run would do then, and why".into(),
        format!("{config} ledger list"),
        "    every step that was intended and done, chained by SHA-256".into(),
        format!("{config} restore --table HomegrownAppAudit --from 2024-03-02 --to 2024-03-02 | head -3"),
        "    the original records of a day".into(),
        format!("{config} verify"),
        "    change any file below archive/ before, and see what it says".into(),
        format!("edit {}/policies/security.toml, misspell something, then: {config} check", folder.display()),
        "    every mistake at once, with its line".into(),
    ]
}

/// How this program was called, so that the examples can be pasted.
fn program() -> String {
    let exe = std::env::current_exe().ok();
    let here = std::env::current_dir().ok();
    match (exe, here) {
        (Some(exe), Some(here)) => match exe.strip_prefix(&here) {
            Ok(relative) => relative.display().to_string(),
            Err(_) => "holdfast".into(),
        },
        _ => "holdfast".into(),
    }
}
