//! `holdfast restore`: records to a file, a folder or stdout, and beside them what they are and how to check them.

mod pack;
mod sink;
mod sums;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::args::{Args, RestoreArgs};
use super::open::House;
use super::output::{Output, count};
use super::record::{Handed, Recording};
use super::unseen::{Command, not_seen};
use crate::access::{Ended, EntryName, What};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Head, State, sha256_hex};
use crate::names::TableName;
use crate::policy::PolicySet;
use crate::restore::{Manifest, RecordSink, RestoreRequest, Unseen, restore as restore_records};
use crate::search::list;
use crate::storage::{Missing, Store};
pub use pack::Compress;
use sink::{Sink, failed, write_whole};

pub fn restore(args: &Args, restore: &RestoreArgs, output: &mut Output) -> Result<u8> {
    let places = Places::of(restore)?;
    let house = House::open(args, output)?;
    let zone = TimeZone::get(&restore.tz)
        .map_err(|source| Error::from_source(Kind::Usage, format!("reading the time zone {}", restore.tz), source))?;
    let request = RestoreRequest {
        table: restore.table.clone(),
        from: restore.from.as_deref().map(|text| bound(text, &zone, Edge::From)).transpose()?,
        to: restore.to.as_deref().map(|text| bound(text, &zone, Edge::To)).transpose()?,
        predicate: restore.predicate.clone(),
        now: house.now(None)?,
    };
    if let (Some(from), Some(to)) = (request.from, request.to)
        && from >= to
    {
        return Err(Error::new(
            Kind::Usage,
            format!("restoring {}", request.table),
            format!("--from ({from}) is not before the end that --to means ({to}): nothing lies in between"),
        )
        .with_hint("give the earlier one to --from; a date as --to includes that day"));
    }
    let archive = house.archive(Missing::Refuse)?;
    let (by, tables, asked) = (restore.by.as_deref(), vec![restore.table.clone()], in_words(&request, restore));
    let recording = Recording::begin(&house, &archive, by, What::Restore, tables, &asked, output)?;
    let mut handed = Handed { rows: 0, bytes: 0, ended: Ended::Whole, unseen: Vec::new() };
    let restored = give(&house, &archive, &request, &places, &recording, &mut handed);
    if let Err(error) = &restored {
        handed.ended = Ended::Failed(error.to_string());
    }
    let ended = recording.end(&house, &handed, output);
    let Some(manifest) = restored? else { return ended.map(|()| 0) };
    say(&manifest, &places, output);
    ended?;
    Ok(if manifest.unseen.damaged.is_empty() { 0 } else { Kind::Damaged.exit_code() })
}

/// What is written where.
struct Places<'a> {
    output: &'a str,
    compress: Compress,
    manifest: Option<PathBuf>,
    /// What `sha256sum -c` reads; none for stdout, which is no file to check.
    sums: Option<PathBuf>,
}

impl<'a> Places<'a> {
    /// Refuses what cannot be before anything is read.
    fn of(restore: &'a RestoreArgs) -> Result<Self> {
        let output = restore.output.as_str();
        let refuse = |reason: &str, hint: &str| {
            Error::new(Kind::Usage, format!("restoring to {output}"), reason).with_hint(hint.to_owned())
        };
        let (beside, sums) = match output {
            "-" => (None, None),
            folder if folder.ends_with('/') => {
                let folder = Path::new(folder);
                (Some(folder.join("manifest.json")), Some(folder.join("SHA256SUMS")))
            }
            file if Path::new(file).is_dir() => {
                return Err(refuse(
                    "it is a folder",
                    &format!("for a file a day write {file}/, else name a file in it"),
                ));
            }
            file => (Some(format!("{file}.manifest.json").into()), Some(format!("{file}.sha256").into())),
        };
        if let Some(asked) = restore.manifest.as_deref() {
            if asked == Path::new(output) || Some(asked) == sums.as_deref() {
                return Err(refuse("the manifest would take the place of what is restored", "give it another name"));
            }
            let folder = sums::folder_of(asked);
            let is_made = output.ends_with('/') && asked.starts_with(output);
            if !is_made && !folder.is_dir() {
                let reason = format!("there is no folder {} for the manifest", folder.display());
                return Err(refuse(&reason, "nothing was restored; make the folder, or name another"));
            }
        }
        Ok(Places {
            output,
            compress: Compress::choose(output, restore.compress)?,
            manifest: restore.manifest.clone().or(beside),
            sums,
        })
    }
}

/// Restores into the sink, and counts in `handed` what it takes. None: whoever read stdout has enough.
fn give(
    house: &House,
    archive: &Store,
    request: &RestoreRequest,
    places: &Places<'_>,
    recording: &Recording,
    handed: &mut Handed,
) -> Result<Option<Manifest>> {
    let chain = house.chain()?;
    let policies = PolicySet::read_folder(&house.settings.policies).ok();
    let rule = |table: &TableName| policies.as_ref()?.rule_for(table);
    let listed = list(&house.sources()?, chain.state(), &rule, request.now);
    let mut sink = Counting { sink: Sink::open(places.output, places.compress)?, handed };
    let restored = restore_records(archive, chain.state(), &listed, request, &mut sink)
        .and_then(|manifest| Ok(Manifest { files: sink.sink.finish()?, ..manifest }));
    let mut manifest = match restored {
        Ok(manifest) => manifest,
        Err(error) => {
            sink.sink.abandon();
            if !sink.sink.is_closed() {
                return Err(error);
            }
            handed.ended = Ended::CutShort("the reader of stdout went away".into());
            return Ok(None);
        }
    };
    handed.unseen = unseen(&manifest);
    let damaged = manifest.unseen.damaged.len() as u64;
    if damaged > 0 {
        let damaged = count(damaged, "damaged segment", "damaged segments");
        handed.ended = Ended::CutShort(format!("{damaged} not restored"));
    }
    if let Some(path) = &places.manifest {
        write_manifest(path, places, &mut manifest, chain.state(), recording)?;
    }
    Ok(Some(manifest))
}

/// What was asked, for the access log.
fn in_words(request: &RestoreRequest, restore: &RestoreArgs) -> String {
    let mut text = format!("records of {}", request.table);
    if let Some(from) = request.from {
        text += &format!(" from {from}");
    }
    if let Some(to) = request.to {
        text += &format!(" before {to}");
    }
    if let Some(predicate) = &request.predicate {
        text += &format!(" where {predicate}");
    }
    text + &format!(", to {}", if restore.output == "-" { "stdout" } else { &restore.output })
}

/// What the answer lacks, in short.
fn unseen(manifest: &Manifest) -> Vec<String> {
    let Unseen { of_table, damaged, uncast } = &manifest.unseen;
    let mut lines = not_seen(of_table, Command::Restore);
    if !damaged.is_empty() {
        lines.push(count(damaged.len() as u64, "damaged segment", "damaged segments"));
    }
    let null = |(column, values): (&String, &u64)| {
        format!("{} of {column}, not of its type: counted as null", count(*values, "value", "values"))
    };
    lines.extend(uncast.iter().map(null));
    lines
}

/// The manifest as it is written: what it answers from, and where the question stands in the access log or why it does
/// not.
#[derive(Serialize)]
struct Answer<'a> {
    /// The version that restored.
    holdfast: &'static str,
    archive: Option<&'a str>,
    /// The newest entry of the ledger that it goes by.
    ledger: Option<&'a Head>,
    recorded: Option<&'a EntryName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unrecorded: Option<&'a str>,
    compress: Compress,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

/// Counts what a sink takes.
struct Counting<'a> {
    sink: Sink,
    handed: &'a mut Handed,
}

impl RecordSink for Counting<'_> {
    fn record(&mut self, day: Date, record: &[u8]) -> Result<()> {
        self.sink.record(day, record)?;
        self.handed.rows += 1;
        self.handed.bytes += record.len() as u64 + 1;
        Ok(())
    }
}

/// What the answer is, and what it lacks (I13): on stderr, so that stdout holds bare records.
fn say(manifest: &Manifest, places: &Places<'_>, output: &mut Output) {
    output.note(format!("restored {} of {}", count(manifest.records.rows, "record", "records"), manifest.table));
    if let Some(path) = &places.manifest {
        output.note(format!("manifest {}", path.display()));
    }
    if let Some(path) = &places.sums {
        let (folder, name) = (sums::folder_of(path), path.file_name().unwrap_or_default().display());
        let there = if folder == Path::new(".") { String::new() } else { format!("cd {} && ", folder.display()) };
        output.note(format!("check it with: {there}sha256sum -c {name}"));
    }
    for line in unseen(manifest) {
        output.note(format!("not seen: {line}"));
    }
    for damaged in &manifest.unseen.damaged {
        output.note(format!("NOT RESTORED, damaged: segment {damaged}"));
    }
}

#[derive(Clone, Copy)]
enum Edge {
    From,
    To,
}

/// A date as `--to` includes that day; an instant excludes itself.
fn bound(text: &str, zone: &TimeZone, edge: Edge) -> Result<Timestamp> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let day = text.parse::<Date>().ok().and_then(|day| match edge {
        Edge::From => Some(day),
        Edge::To => day.tomorrow().ok(),
    });
    day.and_then(|day| day.to_zoned(zone.clone()).ok()).map(|day| day.timestamp()).ok_or_else(|| {
        Error::new(Kind::Usage, format!("reading the time `{text}`"), "it is neither a date nor an instant")
            .with_hint("write a date (2024-03-31) or an RFC 3339 instant (2024-03-31T12:00:00Z)")
    })
}

/// Writes the manifest, in which files are called as they are from its own folder, and what checks both.
fn write_manifest(
    path: &Path,
    places: &Places<'_>,
    manifest: &mut Manifest,
    state: &State,
    recording: &Recording,
) -> Result<()> {
    let called =
        |from: &Path, file: &Path| sums::relative(sums::folder_of(from), file).map_err(|error| failed(from, error));
    let mut lines = Vec::new();
    for file in manifest.files.iter_mut().filter(|file| file.path != "-") {
        let at = PathBuf::from(&file.path);
        if let Some(sums) = &places.sums {
            lines.extend(sums::line(&file.sha256, &called(sums, &at)?));
        }
        file.path = called(path, &at)?.display().to_string();
    }
    let answer = Answer {
        holdfast: env!("CARGO_PKG_VERSION"),
        archive: state.archive.as_deref(),
        ledger: state.head(),
        recorded: recording.entry(),
        unrecorded: recording.unrecorded(),
        compress: places.compress,
        manifest,
    };
    let mut text = serde_json::to_vec_pretty(&answer)
        .map_err(|source| Error::from_source(Kind::Internal, "writing the manifest", source))?;
    text.push(b'\n');
    write_whole(path, &text)?;
    let Some(sums) = &places.sums else { return Ok(()) };
    lines.extend(sums::line(&sha256_hex(&text), &called(sums, path)?));
    write_whole(sums, &lines)
}
