//! `holdfast restore`: records to a file, a folder or stdout.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::args::{Args, RestoreArgs};
use super::open::House;
use super::output::{Output, count};
use super::record::{Handed, Recording};
use crate::access::{Ended, EntryName, What};
use crate::error::{Error, Kind, Result};
use crate::restore::{Manifest, RecordSink, RestoreRequest, RestoredFile, Unseen, restore as restore_records};
use crate::storage::{Missing, Store};

pub fn restore(args: &Args, restore: &RestoreArgs, output: &mut Output) -> Result<u8> {
    if restore.predicate.is_some() {
        return Err(Error::new(
            Kind::Usage,
            "restoring with --where",
            "predicates come with `search`, in a later version",
        )
        .with_hint("nothing was restored; leave --where out and filter the records, with jq say"));
    }
    let zone = TimeZone::get(&restore.tz)
        .map_err(|source| Error::from_source(Kind::Usage, format!("reading the time zone {}", restore.tz), source))?;
    let request = RestoreRequest {
        table: restore.table.clone(),
        from: restore.from.as_deref().map(|text| bound(text, &zone, Edge::From)).transpose()?,
        to: restore.to.as_deref().map(|text| bound(text, &zone, Edge::To)).transpose()?,
    };
    let house = House::open(args, output)?;
    let archive = house.archive(Missing::Refuse)?;
    let (by, tables, asked) = (restore.by.as_deref(), vec![restore.table.clone()], in_words(&request, restore));
    let recording = Recording::begin(&house, &archive, by, What::Restore, tables, &asked, output)?;
    let mut handed = Handed { rows: 0, bytes: 0, ended: Ended::Whole, unseen: Vec::new() };
    let restored = give(&house, &archive, &request, &restore.output, &mut handed);
    if let Err(error) = &restored {
        handed.ended = Ended::Failed(error.to_string());
    }
    let ended = recording.end(&house, &handed, output);
    let Some(manifest) = restored? else { return ended.map(|()| 0) };
    let beside = match (&restore.manifest, restore.output.as_str()) {
        (Some(path), _) => Some(path.clone()),
        (None, "-") => None,
        (None, folder) if folder.ends_with('/') => Some(Path::new(folder).join("manifest.json")),
        (None, file) => Some(PathBuf::from(format!("{file}.manifest.json"))),
    };
    if let Some(path) = &beside {
        write_manifest(
            path,
            &Answer { recorded: recording.entry(), unrecorded: recording.unrecorded(), manifest: &manifest },
        )?;
    }
    say(&manifest, beside.as_deref(), output);
    ended?;
    Ok(if manifest.unseen.damaged.is_empty() { 0 } else { Kind::Damaged.exit_code() })
}

/// Restores into the sink, and counts in `handed` what it takes. None: whoever read stdout has enough.
fn give(
    house: &House,
    archive: &Store,
    request: &RestoreRequest,
    output: &str,
    handed: &mut Handed,
) -> Result<Option<Manifest>> {
    let chain = house.chain()?;
    let mut sink = Counting { sink: Sink::open(output)?, handed };
    let restored = restore_records(archive, chain.state(), request, &mut sink);
    match restored.and_then(|manifest| sink.sink.flush().map(|()| manifest)) {
        Ok(mut manifest) => {
            manifest.files = sink.sink.finish()?;
            handed.unseen = unseen(&manifest);
            let damaged = manifest.unseen.damaged.len() as u64;
            if damaged > 0 {
                handed.ended =
                    Ended::CutShort(format!("{} not restored", count(damaged, "damaged segment", "damaged segments")));
            }
            Ok(Some(manifest))
        }
        Err(_) if sink.sink.is_closed() => {
            handed.ended = Ended::CutShort("the reader of stdout went away".into());
            Ok(None)
        }
        Err(error) => {
            sink.sink.abandon();
            Err(error)
        }
    }
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
    text + &format!(", to {}", if restore.output == "-" { "stdout" } else { &restore.output })
}

/// What the answer lacks, in short.
fn unseen(manifest: &Manifest) -> Vec<String> {
    let Unseen { quarantined, damaged, open_batches } = &manifest.unseen;
    let some = |number: u64, one: &str, many: &str| (number > 0).then(|| count(number, one, many));
    let unseen = [
        some(*quarantined, "record in quarantine", "records in quarantine"),
        some(*open_batches, "batch not committed yet", "batches not committed yet"),
        some(damaged.len() as u64, "damaged segment", "damaged segments"),
        Some("raw logs that are not archived yet".to_owned()),
    ];
    unseen.into_iter().flatten().collect()
}

/// The manifest as it is written: where the question stands in the access log, or why it does not.
#[derive(Serialize)]
struct Answer<'a> {
    recorded: Option<&'a EntryName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unrecorded: Option<&'a str>,
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
fn say(manifest: &Manifest, beside: Option<&Path>, output: &mut Output) {
    output.note(format!("restored {} of {}", count(manifest.records.rows, "record", "records"), manifest.table));
    if let Some(path) = beside {
        output.note(format!("manifest {}", path.display()));
    }
    if manifest.unseen.quarantined > 0 {
        let records = count(manifest.unseen.quarantined, "record", "records");
        output.note(format!("not seen: {records} of this table in quarantine (`holdfast quarantine list`)"));
    }
    if manifest.unseen.open_batches > 0 {
        output.note("not seen: a batch of this table is not committed yet; the next run settles it");
    }
    output.note("not seen: raw logs that are not archived yet (`holdfast run` says how many wait)");
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

fn write_manifest(path: &Path, manifest: &Answer<'_>) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(manifest)
        .map_err(|source| Error::from_source(Kind::Internal, "writing the manifest", source))?;
    text.push(b'\n');
    fs::write(path, text).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::from_source(Kind::Store, format!("writing {}", path.display()), source)
        .with_hint("the archive is untouched; free space or choose another place, and restore again")
}

/// Where records go.
enum Sink {
    Stdout {
        stdout: BufWriter<io::Stdout>,
        /// Its reader went away: `| head` has enough.
        closed: bool,
    },
    File(Box<Target>),
    /// One file a day.
    Folder {
        folder: PathBuf,
        open: Option<(Date, Box<Target>)>,
        done: Vec<RestoredFile>,
    },
}

impl Sink {
    fn open(output: &str) -> Result<Self> {
        if output == "-" {
            return Ok(Sink::Stdout { stdout: BufWriter::with_capacity(1 << 20, io::stdout()), closed: false });
        }
        if output.ends_with('/') {
            let folder = PathBuf::from(output);
            fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
            return Ok(Sink::Folder { folder, open: None, done: Vec::new() });
        }
        Ok(Sink::File(Box::new(Target::create(Path::new(output))?)))
    }

    /// Writes what is still held back for stdout.
    fn flush(&mut self) -> Result<()> {
        match self {
            Sink::Stdout { stdout, closed } => stdout.flush().map_err(|source| stdout_failed(source, closed)),
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Vec<RestoredFile>> {
        match self {
            Sink::Stdout { .. } => Ok(Vec::new()),
            Sink::File(target) => Ok(vec![target.finish()?]),
            Sink::Folder { open, mut done, .. } => {
                if let Some((_, target)) = open {
                    done.push(target.finish()?);
                }
                Ok(done)
            }
        }
    }

    fn is_closed(&self) -> bool {
        matches!(self, Sink::Stdout { closed: true, .. })
    }

    fn abandon(self) {
        match self {
            Sink::Stdout { .. } => {}
            Sink::File(target) => target.abandon(),
            Sink::Folder { open, .. } => {
                if let Some((_, target)) = open {
                    target.abandon();
                }
            }
        }
    }
}

impl RecordSink for Sink {
    fn record(&mut self, day: Date, record: &[u8]) -> Result<()> {
        match self {
            Sink::Stdout { stdout, closed } => {
                let written = stdout.write_all(record).and_then(|()| stdout.write_all(b"\n"));
                written.map_err(|source| stdout_failed(source, closed))
            }
            Sink::File(target) => target.record(record),
            Sink::Folder { folder, open, done } => {
                if open.as_ref().is_none_or(|(current, _)| *current != day) {
                    if let Some((_, target)) = open.take() {
                        done.push(target.finish()?);
                    }
                    *open = Some((day, Box::new(Target::create(&folder.join(format!("{day}.ndjson")))?)));
                }
                match open {
                    Some((_, target)) => target.record(record),
                    None => Ok(()),
                }
            }
        }
    }
}

fn stdout_failed(source: io::Error, closed: &mut bool) -> Error {
    *closed = source.kind() == io::ErrorKind::BrokenPipe;
    failed(Path::new("stdout"), source)
}

/// One file being written; it has its name only once it is whole.
struct Target {
    path: PathBuf,
    partial: PathBuf,
    packer: Packer,
    records: u64,
}

enum Packer {
    Plain(Counted),
    Gzip(GzEncoder<Counted>),
    Zstd(zstd::stream::write::Encoder<'static, Counted>),
}

/// Counts and hashes what reaches the file.
struct Counted {
    file: BufWriter<File>,
    bytes: u64,
    sha256: Sha256,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Target {
    fn create(path: &Path) -> Result<Self> {
        let partial = PathBuf::from(format!("{}.partial", path.display()));
        let file = File::create(&partial).map_err(|source| failed(&partial, source))?;
        let counted = Counted { file: BufWriter::with_capacity(1 << 20, file), bytes: 0, sha256: Sha256::new() };
        let packer = match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Packer::Gzip(GzEncoder::new(counted, Compression::default())),
            Some("zst") => {
                Packer::Zstd(zstd::stream::write::Encoder::new(counted, 3).map_err(|source| failed(&partial, source))?)
            }
            _ => Packer::Plain(counted),
        };
        Ok(Target { path: path.to_owned(), partial, packer, records: 0 })
    }

    fn record(&mut self, record: &[u8]) -> Result<()> {
        let writer: &mut dyn Write = match &mut self.packer {
            Packer::Plain(writer) => writer,
            Packer::Gzip(writer) => writer,
            Packer::Zstd(writer) => writer,
        };
        writer
            .write_all(record)
            .and_then(|()| writer.write_all(b"\n"))
            .map_err(|source| failed(&self.partial, source))?;
        self.records += 1;
        Ok(())
    }

    fn finish(self) -> Result<RestoredFile> {
        let Target { path, partial, packer, records } = self;
        let packed = match packer {
            Packer::Plain(writer) => Ok(writer),
            Packer::Gzip(writer) => writer.finish(),
            Packer::Zstd(writer) => writer.finish(),
        };
        let mut counted = packed.map_err(|source| failed(&partial, source))?;
        counted
            .flush()
            .and_then(|()| counted.file.get_ref().sync_all())
            .and_then(|()| fs::rename(&partial, &path))
            .map_err(|source| failed(&path, source))?;
        Ok(RestoredFile {
            path: path.display().to_string(),
            records,
            bytes: counted.bytes,
            sha256: hex::encode(counted.sha256.finalize()),
        })
    }

    fn abandon(self) {
        if let Err(error) = fs::remove_file(&self.partial) {
            tracing::debug!(%error, path = %self.partial.display(), "a partial file could not be removed");
        }
    }
}
