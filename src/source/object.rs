//! Reading one raw object through its store: in chunks, hashed as it passes, and only as long as it stays the same.
//!
//! Invariant: the bytes read are of one version of the object, the one that was listed. An object that changes or
//! vanishes while it is read ends in a [`ReadFailure`] that says so, apart from a store that fails: the former waits for
//! the next run, the latter is reported (I7, I12).

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;
use jiff::Timestamp;
use object_store::path::Path;
use sha2::{Digest, Sha256};

use super::discover::{RawObject, modified_at};
use crate::error::{Error, Kind, Result};
use crate::storage::{Ranged, Store};

/// Bytes asked of the store at once. Of an object store the next are on their way while these are read.
const CHUNK_BYTES: u64 = 4 * 1024 * 1024;

/// Why an object could not be read to its end. The pipeline finds it with [`ReadFailure::of`].
#[derive(Debug)]
pub enum ReadFailure {
    /// The object is gone.
    Vanished { object: String },
    /// The object is another than the one listed.
    Changed { object: String },
    /// The store failed.
    Store(Error),
}

impl ReadFailure {
    /// The failure inside an error of an [`ObjectReader`], also when a [`super::LineReader`] passed it on; `None` for
    /// errors of the content itself.
    pub fn of(error: &io::Error) -> Option<&ReadFailure> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for ReadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadFailure::Vanished { object } => write!(f, "{object} vanished while it was read"),
            ReadFailure::Changed { object } => write!(f, "{object} changed while it was read"),
            ReadFailure::Store(error) => error.fmt(f),
        }
    }
}

impl StdError for ReadFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            ReadFailure::Vanished { .. } | ReadFailure::Changed { .. } => None,
            ReadFailure::Store(error) => Some(error),
        }
    }
}

impl From<ReadFailure> for io::Error {
    fn from(failure: ReadFailure) -> Self {
        let kind = match failure {
            ReadFailure::Vanished { .. } => io::ErrorKind::NotFound,
            ReadFailure::Changed { .. } | ReadFailure::Store(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, failure)
    }
}

impl From<ReadFailure> for Error {
    fn from(failure: ReadFailure) -> Self {
        match failure {
            ReadFailure::Store(error) => error,
            ReadFailure::Vanished { object } => {
                Error::new(Kind::Object, format!("reading {object}"), "it vanished meanwhile")
                    .with_hint("nothing of it was archived or cleared in this run")
            }
            ReadFailure::Changed { object } => {
                Error::new(Kind::Object, format!("reading {object}"), "it changed meanwhile").with_hint(
                    "the next run reads it again; a longer `settle` leaves objects alone while they are written",
                )
            }
        }
    }
}

/// The bytes of one object from an offset to the size it was listed with.
#[derive(Debug)]
pub struct ObjectReader {
    fetcher: Fetcher,
    /// Where the next chunk begins.
    position: u64,
    chunk: Bytes,
    sha256: Sha256,
    /// Up to here the bytes are in `sha256`.
    hashed: u64,
    /// Just after the last line feed that was fetched.
    line_start: u64,
    checked: bool,
    /// From where to where the next chunk is on its way.
    ahead: Option<(u64, u64, Ranged)>,
}

impl ObjectReader {
    /// Reads the whole object.
    pub fn open(store: &Store, object: &RawObject) -> Result<Self> {
        let fetcher = Fetcher::new(store, object)?;
        let sha256 = Sha256::new();
        Ok(ObjectReader {
            fetcher,
            position: 0,
            chunk: Bytes::new(),
            sha256,
            hashed: 0,
            line_start: 0,
            checked: false,
            ahead: None,
        })
    }

    /// Reads on from `offset` an object of which the first `prefix_bytes` were read in an earlier run, if they still have
    /// the SHA-256 they had then; `Ok(None)`: they have not, or the object is shorter. The hash covers the whole object,
    /// so the prefix is read once more. `offset` is at most `prefix_bytes`: an unterminated last line is read again.
    pub fn resume(
        store: &Store,
        object: &RawObject,
        offset: u64,
        prefix_bytes: u64,
        prefix_sha256: &[u8; 32],
    ) -> Result<Option<Self>> {
        if offset > prefix_bytes {
            let reason = format!("offset {offset} lies behind the {prefix_bytes} bytes that were read before");
            return Err(Error::new(Kind::Internal, format!("reading on {}", object.path), reason));
        }
        if object.size < prefix_bytes {
            return Ok(None);
        }
        let mut reader = Self::open(store, object)?;
        while reader.hashed < prefix_bytes {
            reader.fetch(prefix_bytes)?;
        }
        if reader.sha256() != *prefix_sha256 {
            return Ok(None);
        }
        reader.position = offset;
        reader.chunk = Bytes::new();
        Ok(Some(reader))
    }

    /// The SHA-256 of the object's bytes from its beginning to where they have been fetched: once `read` has returned
    /// `Ok(0)`, of the whole object.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256.clone().finalize().into()
    }

    /// True once `read` has returned `Ok(0)`, that is, [`sha256`](Self::sha256) is the whole object's.
    pub fn is_complete(&self) -> bool {
        self.checked
    }

    /// Where the last line of what has been fetched begins; its end, if it ends with a line feed.
    pub fn line_start(&self) -> u64 {
        self.line_start
    }

    /// Fetches the next chunk, not beyond `end`, and hashes what of it is new.
    fn fetch(&mut self, end: u64) -> Result<(), ReadFailure> {
        let end = end.min(self.position + CHUNK_BYTES);
        self.chunk = match self.ahead.take() {
            Some((from, to, begun)) if (from, to) == (self.position, end) => self.fetcher.begun(begun, from, to)?,
            _ => self.fetcher.get(self.position, end)?,
        };
        let next = self.fetcher.size.min(end + CHUNK_BYTES);
        if next > end {
            self.ahead = self.fetcher.begin(end, next).map(|begun| (end, next, begun));
        }
        if end > self.hashed {
            // Chunks begin at or before `hashed`: reading goes on from a place that was hashed.
            let known = self.hashed.saturating_sub(self.position) as usize;
            self.sha256.update(&self.chunk[known..]);
            self.hashed = end;
        }
        if let Some(at) = memchr::memrchr(b'\n', &self.chunk) {
            self.line_start = self.line_start.max(self.position + at as u64 + 1);
        }
        self.position = end;
        Ok(())
    }
}

impl Read for ObjectReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        if self.chunk.is_empty() {
            if self.position >= self.fetcher.size {
                if !self.checked {
                    self.fetcher.check_unchanged()?;
                    self.checked = true;
                }
                return Ok(0);
            }
            self.fetch(self.fetcher.size)?;
        }
        let count = into.len().min(self.chunk.len());
        into[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

/// All bytes of an object, asked for at once, and their SHA-256. Errors as those of an [`ObjectReader`].
pub fn read_whole(store: &Store, object: &RawObject) -> Result<(Bytes, [u8; 32])> {
    let fetcher = Fetcher::new(store, object)?;
    let bytes = if object.size > 0 { fetcher.get(0, object.size)? } else { Bytes::new() };
    fetcher.check_unchanged()?;
    let sha256 = Sha256::digest(&bytes).into();
    Ok((bytes, sha256))
}

/// The SHA-256 of the first `length` bytes of an object, only if its etag is still `etag` (where one is given).
///
/// Errors: kind `Object` if it vanished, changed or is shorter, `Store` if the store failed.
pub fn hash_prefix(store: &Store, path: &Path, length: u64, etag: Option<&str>) -> Result<[u8; 32]> {
    let fetcher = Fetcher {
        store: store.clone(),
        path: path.clone(),
        size: length,
        modified: None,
        etag: etag.map(String::from),
    };
    let mut sha256 = Sha256::new();
    let mut position = 0;
    while position < length {
        let end = length.min(position + CHUNK_BYTES);
        sha256.update(fetcher.get(position, end)?);
        position = end;
    }
    Ok(sha256.finalize().into())
}

/// One version of one object.
#[derive(Debug)]
pub(super) struct Fetcher {
    store: Store,
    path: Path,
    pub(super) size: u64,
    modified: Option<Timestamp>,
    etag: Option<String>,
}

impl Fetcher {
    pub(super) fn new(store: &Store, object: &RawObject) -> Result<Self> {
        let path = Path::parse(&object.path)
            .map_err(|source| Error::from_source(Kind::Object, format!("reading {}", object.path), source))?;
        Ok(Fetcher {
            store: store.clone(),
            path,
            size: object.size,
            modified: Some(object.modified),
            etag: object.etag.clone(),
        })
    }

    /// Exactly the bytes from `start` to `end`.
    pub(super) fn get(&self, start: u64, end: u64) -> Result<Bytes, ReadFailure> {
        self.got(self.store.get_range(&self.path, start..end, self.etag.as_deref()), start, end)
    }

    /// Asks for the bytes from `start` to `end`, if that is worth it.
    fn begin(&self, start: u64, end: u64) -> Option<Ranged> {
        self.store.begin_range(&self.path, start..end, self.etag.as_deref())
    }

    /// What was asked for.
    fn begun(&self, begun: Ranged, start: u64, end: u64) -> Result<Bytes, ReadFailure> {
        self.got(self.store.ranged(&self.path, begun), start, end)
    }

    fn got(&self, answer: Result<Option<Bytes>>, start: u64, end: u64) -> Result<Bytes, ReadFailure> {
        let object = || self.store.describe(&self.path);
        match answer {
            Ok(Some(bytes)) if bytes.len() as u64 == end - start => Ok(bytes),
            // Shorter than it was listed.
            Ok(Some(_)) => Err(ReadFailure::Changed { object: object() }),
            Ok(None) => Err(ReadFailure::Vanished { object: object() }),
            Err(error) if is_precondition(&error) => Err(ReadFailure::Changed { object: object() }),
            // Stores word "shorter than that" in their own ways: look.
            Err(error) => match self.store.head(&self.path) {
                Ok(None) => Err(ReadFailure::Vanished { object: object() }),
                Ok(Some(meta)) if meta.size < end => Err(ReadFailure::Changed { object: object() }),
                _ => Err(ReadFailure::Store(error)),
            },
        }
    }

    /// Without an etag, size and time have to tell whether the chunks were of one version.
    pub(super) fn check_unchanged(&self) -> Result<(), ReadFailure> {
        if self.etag.is_some() {
            return Ok(());
        }
        let object = || self.store.describe(&self.path);
        match self.store.head(&self.path) {
            Ok(None) => Err(ReadFailure::Vanished { object: object() }),
            Ok(Some(meta)) if meta.size == self.size && modified_at(&meta) == self.modified => Ok(()),
            Ok(Some(_)) => Err(ReadFailure::Changed { object: object() }),
            Err(error) => Err(ReadFailure::Store(error)),
        }
    }
}

fn is_precondition(error: &Error) -> bool {
    let source = StdError::source(error).and_then(|source| source.downcast_ref::<object_store::Error>());
    matches!(source, Some(object_store::Error::Precondition { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Source;
    use crate::source::{DiscoverOptions, Layout, discover};

    fn hash(bytes: &[u8]) -> [u8; 32] {
        Sha256::digest(bytes).into()
    }

    fn listed(source: &Source) -> RawObject {
        let options =
            DiscoverOptions { name: "s".into(), workspace: "main".into(), settle: jiff::SignedDuration::ZERO };
        let layout = Layout::parse("{table}/*").unwrap();
        discover(&source.store, &options, &layout, Timestamp::UNIX_EPOCH).unwrap().objects.remove(0)
    }

    /// Several chunks of bytes that differ everywhere.
    fn big() -> Vec<u8> {
        (0..CHUNK_BYTES as u32 / 2 * 5 / 4).flat_map(|n| n.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect()
    }

    #[test]
    fn reads_and_hashes_the_whole_object() {
        let source = Source::new();
        for bytes in [Vec::new(), b"x".to_vec(), big()] {
            source.write_bytes("T/a", &bytes);
            let mut reader = ObjectReader::open(&source.store, &listed(&source)).unwrap();
            let mut read = Vec::new();
            assert!(!reader.is_complete());
            reader.read_to_end(&mut read).unwrap();
            assert!(read == bytes && reader.sha256() == hash(&bytes) && reader.is_complete());
        }
    }

    #[test]
    fn i7_a_change_while_it_is_read_is_told_from_a_failure() {
        let source = Source::new();
        let bytes = big();
        let failure_after = |change: &dyn Fn()| {
            source.write_bytes("T/a", &bytes);
            let mut reader = ObjectReader::open(&source.store, &listed(&source)).unwrap();
            reader.read_exact(&mut [0; 100]).unwrap();
            change();
            let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
            assert!(!reader.is_complete());
            format!("{:?}", ReadFailure::of(&error).unwrap())
        };
        let path = source.folder.path().join("T/a");
        assert!(failure_after(&|| std::fs::remove_file(&path).unwrap()).starts_with("Vanished"));
        let append = || source.write_bytes("T/a", &[&bytes[..], b"more"].concat());
        assert!(failure_after(&append).starts_with("Changed"));
        assert!(failure_after(&|| source.write_bytes("T/a", b"short")).starts_with("Changed"));
        // A folder in its place: no version of the object, and no way to read it.
        let folder = || {
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
        };
        let failure = failure_after(&folder);
        assert!(failure.starts_with("Vanished"), "{failure}");
        std::fs::remove_dir(&path).unwrap();
    }

    #[test]
    fn i7_without_an_etag_size_and_time_are_checked() {
        let source = Source::new();
        source.write("T/a", "12345");
        source.modify("T/a", "2024-03-01T00:00:00Z");
        let object = RawObject { etag: None, ..listed(&source) };
        let mut read = String::new();
        ObjectReader::open(&source.store, &object).unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, "12345");
        source.modify("T/a", "2024-03-01T00:00:01Z");
        let error = ObjectReader::open(&source.store, &object).unwrap().read_to_string(&mut read).unwrap_err();
        assert!(matches!(ReadFailure::of(&error), Some(ReadFailure::Changed { .. })), "{error:?}");
        source.write("T/a", "1234");
        let error = ObjectReader::open(&source.store, &object).unwrap().read_to_string(&mut read).unwrap_err();
        assert!(matches!(ReadFailure::of(&error), Some(ReadFailure::Changed { .. })), "{error:?}");
    }

    #[test]
    fn a_grown_object_is_read_on_if_its_beginning_is_the_same() {
        let source = Source::new();
        let bytes = big();
        let before = bytes.len() - 10;
        source.write_bytes("T/a", &bytes);
        let object = listed(&source);
        let path = Path::parse(&object.path).unwrap();
        let prefix = hash_prefix(&source.store, &path, before as u64, object.etag.as_deref()).unwrap();
        assert_eq!(prefix, hash(&bytes[..before]));
        for offset in [0, 5, CHUNK_BYTES as usize, before - 7, before] {
            let resumed = ObjectReader::resume(&source.store, &object, offset as u64, before as u64, &prefix).unwrap();
            let mut reader = resumed.unwrap();
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == bytes[offset..], "{offset}");
            assert!(reader.sha256() == hash(&bytes), "{offset}: the hash covers the whole object");
        }
        let resume = |prefix_bytes: usize, prefix: &[u8; 32]| {
            ObjectReader::resume(&source.store, &object, 0, prefix_bytes as u64, prefix).unwrap().is_some()
        };
        assert!(!resume(before, &hash(b"other")));
        assert!(!resume(bytes.len() + 1, &prefix));
        assert!(resume(bytes.len(), &hash(&bytes)));
        assert!(ObjectReader::resume(&source.store, &object, 9, 8, &prefix).is_err());
        let stale = hash_prefix(&source.store, &path, 4, Some("other")).unwrap_err();
        assert_eq!(stale.kind(), Kind::Object);
    }
}
