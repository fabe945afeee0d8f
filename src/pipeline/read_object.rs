//! One raw object: looked at whole first (its SHA-256, whether it unpacks), then read line by line.
//!
//! Looking first buys two things: a duplicate is known before a row of it is kept, and an object that breaks off in the
//! middle leaves nothing behind. What fits in memory is read once and held for both; a larger object is read twice.

use std::io;

use bytes::Bytes;
use object_store::path::Path;

use crate::error::{Error, Kind, Result};
use crate::plan::Planned;
use crate::source::{
    Encoding, LineReader, ObjectReader, RawObject, ReadFailure, read_whole, sniff, unpack_held, unsupported,
};
use crate::storage::Store;

/// A raw object that can be read.
#[derive(Debug)]
pub struct Inspected {
    /// SHA-256 of all its bytes, hex.
    pub sha256: String,
    /// Bytes that earlier batches read and that are still the same.
    pub from: u64,
    pub encoding: Encoding,
    /// Why its content cannot be read; then it is quarantined whole.
    pub unreadable: Option<String>,
    /// Its whole content, unpacked, if it is small enough.
    pub held: Option<Bytes>,
}

/// Reads the object once, from its first byte to its last; what takes no more than `most_held` bytes is kept. Errs, with [`Kind::Object`], if it vanished, changed, or
/// cannot be read at all.
pub fn inspect(store: &Store, planned: &Planned, max_record: usize, most_held: usize) -> Result<Inspected> {
    let object = &planned.object;
    if planned.known.is_none()
        && object.size <= most_held as u64
        && let Some(inspected) = inspect_held(store, object, most_held)?
    {
        return Ok(inspected);
    }
    let (encoding, foreign) = first_bytes(store, &object.path)?;
    let resumed = match &planned.known {
        Some(known) => {
            let sha256 = parse_sha256(&known.sha256)?;
            // Behind its last whole line, if there is more than was read; what was only touched has nothing new.
            let grew = encoding == Encoding::Plain && object.size > known.size;
            let offset = if grew { known.resume } else { known.size };
            ObjectReader::resume(store, object, offset, known.size, &sha256)?.map(|reader| (reader, offset))
        }
        None => None,
    };
    let (mut reader, from) = match resumed {
        Some(resumed) => resumed,
        None => (ObjectReader::open(store, object)?, 0),
    };
    if let Some(name) = foreign {
        io::copy(&mut reader, &mut io::sink()).map_err(|error| unread(&object.path, error))?;
        let reason = format!("its content is {name}; what can be read is UTF-8 text, plain or as gzip or zstd");
        return Ok(Inspected {
            sha256: hex::encode(reader.sha256()),
            from: 0,
            encoding,
            unreadable: Some(reason),
            held: None,
        });
    }
    let (unreadable, sha256) = if encoding == Encoding::Plain || from == object.size {
        io::copy(&mut reader, &mut io::sink()).map_err(|error| unread(&object.path, error))?;
        (None, reader.sha256())
    } else {
        match unpack(reader, max_record) {
            Ok(sha256) => (None, sha256),
            Err(error) if ReadFailure::of(&error).is_some() => return Err(unread(&object.path, error)),
            // What was read before is archived: kept whole and read anew some day, it would be there twice (I2).
            Err(error) if from > 0 => {
                let reason = format!("what was appended to it cannot be unpacked: {error}");
                return Err(unread(&object.path, io::Error::new(error.kind(), reason)));
            }
            Err(error) => {
                let mut whole = ObjectReader::open(store, object)?;
                io::copy(&mut whole, &mut io::sink()).map_err(|error| unread(&object.path, error))?;
                (Some(error.to_string()), whole.sha256())
            }
        }
    };
    Ok(Inspected { sha256: hex::encode(sha256), from, encoding, unreadable, held: None })
}

/// [`inspect`] for an object that fits in memory: its bytes are asked for once. `Ok(None)`: it does not fit unpacked.
fn inspect_held(store: &Store, object: &RawObject, most_held: usize) -> Result<Option<Inspected>> {
    let (bytes, sha256) = read_whole(store, object)?;
    let sha256 = hex::encode(sha256);
    let encoding = sniff(&bytes);
    let inspected = |unreadable, held| Inspected { sha256, from: 0, encoding, unreadable, held };
    match unpack_held(&bytes, most_held) {
        Ok(None) => Ok(None),
        Ok(held) => Ok(Some(inspected(None, held))),
        Err(error) => Ok(Some(inspected(Some(error.to_string()), None))),
    }
}

/// The lines of an inspected object, from where earlier batches stopped.
pub fn lines(
    store: &Store,
    planned: &Planned,
    inspected: &Inspected,
    max_record: usize,
) -> Result<LineReader<ObjectReader>> {
    let object = &planned.object;
    let reader = match &planned.known {
        Some(known) if inspected.from > 0 => {
            let sha256 = parse_sha256(&known.sha256)?;
            ObjectReader::resume(store, object, inspected.from, known.size, &sha256)?
                .ok_or_else(|| Error::from(ReadFailure::Changed { object: object.path.clone() }))?
        }
        _ => ObjectReader::open(store, object)?,
    };
    let lines = match inspected.encoding {
        Encoding::Plain => LineReader::resume(reader, max_record, inspected.from),
        _ => LineReader::new(reader, max_record),
    };
    lines.map_err(|error| unread(&object.path, error))
}

/// The error of an object that could not be read.
pub fn unread(path: &str, error: io::Error) -> Error {
    let hint = "nothing of it was archived or cleared; the next run tries again";
    let failed =
        |reason: String| Error::new(Kind::Object, format!("reading raw object {path}"), reason).with_hint(hint);
    match ReadFailure::of(&error) {
        Some(failure) => failed(failure.to_string()),
        None => failed(error.to_string()),
    }
}

fn first_bytes(store: &Store, path: &str) -> Result<(Encoding, Option<&'static str>)> {
    let parsed = Path::parse(path)
        .map_err(|source| Error::from_source(Kind::Object, format!("reading raw object {path}"), source))?;
    let missing = || Error::from(ReadFailure::Vanished { object: path.to_owned() });
    let size = store.head(&parsed).map_err(as_object)?.ok_or_else(missing)?.size;
    if size == 0 {
        return Ok((Encoding::Plain, None));
    }
    let bytes = store.get_range(&parsed, 0..size.min(8), None).map_err(as_object)?.ok_or_else(missing)?;
    Ok((sniff(&bytes), unsupported(&bytes)))
}

/// A source that fails for one object does not stop the others.
fn as_object(error: Error) -> Error {
    error.with_kind(Kind::Object).with_hint("nothing of it was archived or cleared; the next run tries again")
}

fn unpack(reader: ObjectReader, max_record: usize) -> io::Result<[u8; 32]> {
    let mut lines = LineReader::new(reader, max_record)?;
    while lines.next()?.is_some() {}
    Ok(lines.get_ref().sha256())
}

fn parse_sha256(text: &str) -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|source| Error::from_source(Kind::Damaged, "reading a SHA-256 of the ledger", source))?;
    Ok(bytes)
}
