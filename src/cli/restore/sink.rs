//! Where restored records go: stdout, one file, or a folder with a file a day. A file has its name only once it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::pack::{Compress, Packer};
use crate::error::{Error, Kind, Result};
use crate::restore::{RecordSink, RestoredFile};

/// Where records go.
pub enum Sink {
    Stdout {
        packer: Option<Box<Packer<BufWriter<io::Stdout>>>>,
        records: u64,
        /// Its reader went away: `| head` has enough.
        closed: bool,
    },
    File(Option<Box<Target>>),
    /// One file a day.
    Folder {
        folder: PathBuf,
        compress: Compress,
        open: Option<(Date, Box<Target>)>,
        done: Vec<RestoredFile>,
    },
}

impl Sink {
    pub fn open(output: &str, compress: Compress) -> Result<Self> {
        if output == "-" {
            let stdout = BufWriter::with_capacity(1 << 20, io::stdout());
            let packer = Packer::new(stdout, compress).map_err(|source| failed(Path::new("stdout"), source))?;
            return Ok(Sink::Stdout { packer: Some(Box::new(packer)), records: 0, closed: false });
        }
        if output.ends_with('/') {
            let folder = PathBuf::from(output);
            fs::create_dir_all(&folder).map_err(|source| failed(&folder, source))?;
            return Ok(Sink::Folder { folder, compress, open: None, done: Vec::new() });
        }
        Ok(Sink::File(Some(Box::new(Target::create(Path::new(output), compress)?))))
    }

    /// Makes everything appear under its name. Gives the files, by the paths they were opened with (`-`: stdout).
    pub fn finish(&mut self) -> Result<Vec<RestoredFile>> {
        match self {
            Sink::Stdout { packer, records, closed } => {
                let Some(packer) = packer.take() else { return Ok(Vec::new()) };
                let counted = packer.finish().map_err(|source| stdout_failed(source, closed))?;
                let (bytes, sha256) = (counted.bytes, counted.sha256());
                Ok(vec![RestoredFile { path: "-".into(), records: *records, bytes, sha256 }])
            }
            Sink::File(target) => target.take().map(|target| target.finish()).into_iter().collect(),
            Sink::Folder { open, done, .. } => {
                if let Some((_, target)) = open.take() {
                    done.push(target.finish()?);
                }
                Ok(std::mem::take(done))
            }
        }
    }

    /// Takes back what has no name yet.
    pub fn abandon(&mut self) {
        match self {
            // Dropping a packer ends what it packs, which would look whole.
            Sink::Stdout { packer, .. } => std::mem::forget(packer.take()),
            Sink::File(target) => target.take().into_iter().for_each(|target| target.abandon()),
            Sink::Folder { open, .. } => open.take().into_iter().for_each(|(_, target)| target.abandon()),
        }
    }

    /// Whoever read stdout has enough.
    pub fn is_closed(&self) -> bool {
        matches!(self, Sink::Stdout { closed: true, .. })
    }
}

impl RecordSink for Sink {
    fn record(&mut self, day: Date, record: &[u8]) -> Result<()> {
        match self {
            Sink::Stdout { packer, records, closed } => {
                *records += 1;
                let Some(packer) = packer else { return Ok(()) };
                packer.line(record).map_err(|source| stdout_failed(source, closed))
            }
            Sink::File(target) => target.as_mut().map_or(Ok(()), |target| target.record(record)),
            Sink::Folder { folder, compress, open, done } => {
                if let Some((current, target)) = open
                    && *current == day
                {
                    return target.record(record);
                }
                if let Some((_, target)) = open.take() {
                    done.push(target.finish()?);
                }
                let path = folder.join(format!("{day}.ndjson{}", compress.ending()));
                let mut target = Box::new(Target::create(&path, *compress)?);
                let written = target.record(record);
                *open = Some((day, target));
                written
            }
        }
    }
}

/// One file being written.
pub struct Target {
    path: PathBuf,
    partial: PathBuf,
    packer: Packer<BufWriter<File>>,
    records: u64,
}

impl Target {
    fn create(path: &Path, compress: Compress) -> Result<Self> {
        let partial = partial(path);
        let opened = File::create(&partial).and_then(|file| {
            let file = BufWriter::with_capacity(1 << 20, file);
            Packer::new(file, compress)
        });
        let packer = opened.map_err(|source| failed(&partial, source))?;
        Ok(Target { path: path.to_owned(), partial, packer, records: 0 })
    }

    fn record(&mut self, record: &[u8]) -> Result<()> {
        self.records += 1;
        self.packer.line(record).map_err(|source| failed(&self.partial, source))
    }

    fn finish(self) -> Result<RestoredFile> {
        let Target { path, partial, packer, records } = self;
        let counted = packer.finish().map_err(|source| failed(&partial, source))?;
        let file = counted.writer.get_ref();
        file.sync_all().and_then(|()| fs::rename(&partial, &path)).map_err(|source| failed(&path, source))?;
        Ok(RestoredFile { path: path.display().to_string(), records, bytes: counted.bytes, sha256: counted.sha256() })
    }

    fn abandon(self) {
        if let Err(error) = fs::remove_file(&self.partial) {
            tracing::debug!(%error, path = %self.partial.display(), "a partial file could not be removed");
        }
    }
}

/// Writes a small file whole, or not at all.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = partial(path);
    let written = File::create(&partial).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.and_then(|()| fs::rename(&partial, path)).map_err(|source| failed(path, source))
}

fn partial(path: &Path) -> PathBuf {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    partial.into()
}

fn stdout_failed(source: io::Error, closed: &mut bool) -> Error {
    *closed = source.kind() == io::ErrorKind::BrokenPipe;
    failed(Path::new("stdout"), source)
}

pub fn failed(path: &Path, source: io::Error) -> Error {
    Error::from_source(Kind::Store, format!("writing {}", path.display()), source)
        .with_hint("free space or choose another place, then restore again")
        .of_answer()
}
