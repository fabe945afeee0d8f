//! `holdfast restore`: records to a file, a folder or stdout.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::args::{Args, RestoreArgs};
use super::open::House;
use super::output::{Output, count};
use crate::error::{Error, Kind, Result};
use crate::restore::{Manifest, RecordSink, RestoreRequest, RestoredFile, restore as restore_records};
use crate::storage::Missing;

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
    let (archive, chain) = (house.archive(Missing::Refuse)?, house.chain()?);
    let mut sink = Sink::open(&restore.output)?;
    let restored = restore_records(&archive, chain.state(), &request, &mut sink);
    let mut manifest = match restored {
        Ok(manifest) => manifest,
        Err(error) => {
            sink.abandon();
            return Err(error);
        }
    };
    manifest.files = sink.finish()?;
    let beside = match (&restore.manifest, restore.output.as_str()) {
        (Some(path), _) => Some(path.clone()),
        (None, "-") => None,
        (None, folder) if folder.ends_with('/') => Some(Path::new(folder).join("manifest.json")),
        (None, file) => Some(PathBuf::from(format!("{file}.manifest.json"))),
    };
    if let Some(path) = &beside {
        write_manifest(path, &manifest)?;
    }
    say(&manifest, beside.as_deref(), output);
    Ok(if manifest.unseen.damaged.is_empty() { 0 } else { Kind::Damaged.exit_code() })
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

fn write_manifest(path: &Path, manifest: &Manifest) -> Result<()> {
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
    Stdout(BufWriter<io::Stdout>),
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
            return Ok(Sink::Stdout(BufWriter::with_capacity(1 << 20, io::stdout())));
        }
        if output.ends_with('/') {
            let folder = PathBuf::from(output);
            fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
            return Ok(Sink::Folder { folder, open: None, done: Vec::new() });
        }
        Ok(Sink::File(Box::new(Target::create(Path::new(output))?)))
    }

    fn finish(self) -> Result<Vec<RestoredFile>> {
        match self {
            Sink::Stdout(mut stdout) => {
                stdout.flush().map_err(|source| failed(Path::new("stdout"), source))?;
                Ok(Vec::new())
            }
            Sink::File(target) => Ok(vec![target.finish()?]),
            Sink::Folder { open, mut done, .. } => {
                if let Some((_, target)) = open {
                    done.push(target.finish()?);
                }
                Ok(done)
            }
        }
    }

    fn abandon(self) {
        match self {
            Sink::Stdout(_) => {}
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
            Sink::Stdout(stdout) => {
                let written = stdout.write_all(record).and_then(|()| stdout.write_all(b"\n"));
                match written {
                    // `| head` has enough.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
                    other => other.map_err(|source| failed(Path::new("stdout"), source)),
                }
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
