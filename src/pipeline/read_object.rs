//! One raw object: looked at whole first (its SHA-256, whether it unpacks and is what its form says), then read line by
//! line.
//!
//! Looking first buys two things: a duplicate is known before a row of it is kept, and an object that breaks off in the
//! middle leaves nothing behind. What fits in memory is read once and held for both; a larger object is read twice.

use std::io;

use bytes::Bytes;
use object_store::path::Path;

use crate::error::{Error, Kind, Result};
use crate::plan::Planned;
use crate::source::{
    Encoding, FIRST_BYTES, Form, LineReader, ObjectReader, RawObject, ReadFailure, lines_held, read_whole, sniff,
    unpack_held, unsupported,
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
    /// How its records stand in its content.
    pub form: Form,
    /// Why its content cannot be read; then it is quarantined whole.
    pub unreadable: Option<String>,
    /// Its whole content, unpacked and as lines, if it is small enough.
    pub held: Option<Bytes>,
}

impl Inspected {
    /// Where its lines begin is known in the object as it lies there: a last line without an end can be read on.
    pub fn is_plain_lines(&self) -> bool {
        self.encoding == Encoding::Plain && self.form == Form::Lines
    }
}

/// Reads the object once, from its first byte to its last; what takes no more than `most_held` bytes is kept. Errs, with
/// [`Kind::Object`], if it vanished, changed, or cannot be read at all.
pub fn inspect(store: &Store, planned: &Planned, max_record: usize, most_held: usize) -> Result<Inspected> {
    let object = &planned.object;
    if planned.known.is_none()
        && object.size <= most_held as u64
        && let Some(inspected) = inspect_held(store, object, max_record, most_held)?
    {
        return Ok(inspected);
    }
    let Beginning { encoding, form, foreign } = beginning(store, object)?;
    let plain_lines = encoding == Encoding::Plain && form == Some(Form::Lines);
    let resumed = match &planned.known {
        Some(known) => {
            let sha256 = parse_sha256(&known.sha256)?;
            // Behind its last whole line, if there is more than was read; what was only touched has nothing new.
            let grew = plain_lines && object.size > known.size;
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
            form: Form::Lines,
            unreadable: Some(reason),
            held: None,
        });
    }
    let (unreadable, form, sha256) = if plain_lines || from == object.size {
        io::copy(&mut reader, &mut io::sink()).map_err(|error| unread(&object.path, error))?;
        (None, form.unwrap_or(Form::Lines), reader.sha256())
    } else {
        match unpack(reader, encoding, form, max_record) {
            Ok((form, sha256)) => (None, form, sha256),
            Err(error) if ReadFailure::of(&error).is_some() => return Err(unread(&object.path, error)),
            // What was read before is archived: kept whole and read anew some day, it would be there twice (I2).
            Err(error) if from > 0 => {
                let reason = format!("what was appended to it cannot be unpacked: {error}");
                return Err(unread(&object.path, io::Error::new(error.kind(), reason)));
            }
            Err(error) => {
                let mut whole = ObjectReader::open(store, object)?;
                io::copy(&mut whole, &mut io::sink()).map_err(|error| unread(&object.path, error))?;
                (Some(error.to_string()), form.unwrap_or(Form::Lines), whole.sha256())
            }
        }
    };
    Ok(Inspected { sha256: hex::encode(sha256), from, encoding, form, unreadable, held: None })
}

/// [`inspect`] for an object that fits in memory: its bytes are asked for once. `Ok(None)`: it does not fit unpacked.
fn inspect_held(store: &Store, object: &RawObject, max_record: usize, most_held: usize) -> Result<Option<Inspected>> {
    let (bytes, sha256) = read_whole(store, object)?;
    let sha256 = hex::encode(sha256);
    let encoding = sniff(&bytes);
    let inspected = |form, unreadable, held| Inspected { sha256, from: 0, encoding, form, unreadable, held };
    let lines = unpack_held(&bytes, most_held).and_then(|content| match content {
        Some(content) => lines_held(&content, object.format, max_record, most_held),
        None => Ok(None),
    });
    Ok(match lines {
        Ok(None) => None,
        Ok(Some((held, form))) => Some(inspected(form, None, Some(held))),
        Err(error) => Some(inspected(Form::Lines, Some(error.to_string()), None)),
    })
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
    let lines = match (inspected.encoding, inspected.form) {
        (Encoding::Plain, Form::Lines) => LineReader::resume(reader, max_record, inspected.from),
        (_, Form::Lines) => LineReader::new(reader, max_record),
        (encoding, form) => LineReader::formed(reader, Some(encoding), Some(form), max_record),
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

/// What the first bytes of an object tell.
struct Beginning {
    encoding: Encoding,
    /// `None`: its content must be unpacked to tell.
    form: Option<Form>,
    /// The name of a content that cannot be read.
    foreign: Option<&'static str>,
}

fn beginning(store: &Store, object: &RawObject) -> Result<Beginning> {
    let path = &object.path;
    let parsed = Path::parse(path)
        .map_err(|source| Error::from_source(Kind::Object, format!("reading raw object {path}"), source))?;
    let missing = || Error::from(ReadFailure::Vanished { object: path.to_owned() });
    let size = store.head(&parsed).map_err(as_object)?.ok_or_else(missing)?.size;
    let bytes = match size.min(FIRST_BYTES as u64) {
        0 => Bytes::new(),
        length => store.get_range(&parsed, 0..length, None).map_err(as_object)?.ok_or_else(missing)?,
    };
    let (encoding, foreign) = (sniff(&bytes), unsupported(&bytes));
    let told = (encoding == Encoding::Plain).then(|| Form::tell(&bytes));
    Ok(Beginning { encoding, form: object.format.or(told), foreign })
}

/// A source that fails for one object does not stop the others.
fn as_object(error: Error) -> Error {
    error.with_kind(Kind::Object).with_hint("nothing of it was archived or cleared; the next run tries again")
}

fn unpack(
    reader: ObjectReader,
    encoding: Encoding,
    form: Option<Form>,
    max_record: usize,
) -> io::Result<(Form, [u8; 32])> {
    let mut lines = LineReader::formed(reader, Some(encoding), form, max_record)?;
    while lines.next()?.is_some() {}
    Ok((lines.form(), lines.raw().sha256()))
}

fn parse_sha256(text: &str) -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|source| Error::from_source(Kind::Damaged, "reading a SHA-256 of the ledger", source))?;
    Ok(bytes)
}
