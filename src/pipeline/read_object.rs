//! One raw object: looked at whole first (its SHA-256, whether it unpacks and is what its form says), then read line by
//! line.
//!
//! Looking first buys two things: a duplicate is known before a row of it is kept, and an object that breaks off in the
//! middle leaves nothing behind. What fits in memory is read once and held for both; a larger object is read twice.

use std::io;

use bytes::Bytes;
use object_store::path::Path;

use crate::error::{Error, Kind, Result};
use crate::plan::{Known, Planned};
use crate::source::{
    Encoding, FIRST_BYTES, Form, GoingOn, LineReader, ObjectReader, RawObject, ReadAs, ReadFailure, file_lines,
    lines_held, read_whole, reopened, sniff, unpack_held,
};
use crate::storage::Store;

/// A raw object that can be read.
#[derive(Debug)]
pub struct Inspected {
    /// SHA-256 of all its bytes, hex.
    pub sha256: String,
    /// Bytes that earlier batches read and that are still the same.
    pub from: u64,
    /// They end in the middle of a line.
    mid_line: bool,
    /// Where its last line begins, as it lies there, or ends, if it has an end.
    last_line: u64,
    pub encoding: Encoding,
    /// How its records stand in its content.
    pub form: Form,
    /// Why its content cannot be read; then it is quarantined whole.
    pub unreadable: Option<String>,
    /// Its whole content, unpacked and as lines, if it is small enough.
    pub held: Option<Bytes>,
}

/// Where an object is read on whose last line has no end and could not be judged.
#[derive(Debug, Clone, Copy)]
pub enum OpenEnd {
    /// Where that line begins in what was read.
    AsRead,
    At(u64),
    /// Nobody knows; what is appended is read alone.
    Unknown,
}

impl Inspected {
    pub fn open_end(&self) -> OpenEnd {
        match (self.encoding, self.form) {
            (Encoding::Plain, Form::Lines) => OpenEnd::AsRead,
            (Encoding::Plain, form) if form.is_by_line() => OpenEnd::At(self.last_line.max(self.from)),
            _ => OpenEnd::Unknown,
        }
    }

    fn read_as(&self, object: &RawObject, max_record: usize) -> ReadAs {
        let going_on = match self.encoding {
            Encoding::Plain => GoingOn { at: self.from, mid_line: self.mid_line },
            // What was appended is packed by itself.
            _ => GoingOn::default(),
        };
        ReadAs { form: Some(self.form), period: object.period, max_record, going_on }
    }
}

/// Reads the object once, from its first byte to its last; what takes no more than `most_held` bytes is kept. Errs, with
/// [`Kind::Object`], if it vanished, changed, cannot be read at all, or has grown in a form that cannot be read on.
pub fn inspect(store: &Store, planned: &Planned, max_record: usize, most_held: usize) -> Result<Inspected> {
    let object = &planned.object;
    if planned.known.is_none()
        && object.size <= most_held as u64
        && let Some(inspected) = inspect_held(store, object, max_record, most_held)?
    {
        return Ok(inspected);
    }
    let Beginning { encoding, form, foreign } = beginning(store, object)?;
    let known = planned.known.as_ref().filter(|known| known.size > 0);
    let resumed = match known {
        Some(known) => {
            let sha256 = parse_sha256(&known.sha256)?;
            // Behind its last whole line, if there is more than was read; what was only touched has nothing new.
            let by_line = encoding == Encoding::Plain && form.is_some_and(Form::is_by_line);
            let offset = if by_line && object.size > known.size { known.resume } else { known.size };
            ObjectReader::resume(store, object, offset, known.size, &sha256)?.map(|reader| (reader, offset))
        }
        None => None,
    };
    let (mut reader, from) = match (resumed, known) {
        (Some(resumed), _) => resumed,
        (None, Some(known)) if form.is_some_and(Form::needs_beginning) => {
            let from = reopened(store, object, known.size, &parse_sha256(&known.sha256)?)?;
            (ObjectReader::open(store, object)?, from.unwrap_or(0))
        }
        _ => (ObjectReader::open(store, object)?, 0),
    };
    let mid_line = reader.line_start() != from;
    let mut inspected = Inspected {
        sha256: String::new(),
        from,
        mid_line,
        last_line: 0,
        encoding,
        form: form.unwrap_or(Form::Lines),
        unreadable: None,
        held: None,
    };
    if foreign.is_some() {
        inspected = Inspected { from: 0, unreadable: foreign, ..inspected };
    } else if from < object.size {
        if let Some(form) = form {
            check_growth(object, known, from, encoding, form)?;
        }
        if form.is_none_or(|form| !form.is_by_line()) || encoding != Encoding::Plain {
            let looked = match (encoding, form) {
                (Encoding::Plain, Some(form)) if form.is_seekable() => look_into(store, object, form, max_record),
                (Encoding::Plain, Some(form)) if from > 0 && form.needs_beginning() => {
                    let whole = ObjectReader::open(store, object)?;
                    look_through(whole, encoding, inspected.read_as(object, max_record))
                }
                _ => look_through(reader, encoding, ReadAs { form, ..inspected.read_as(object, max_record) }),
            };
            match looked {
                Ok((form, sha256)) => {
                    check_growth(object, known, from, encoding, form)?;
                    inspected.form = form;
                    if let Some(sha256) = sha256 {
                        return Ok(Inspected { sha256: hex::encode(sha256), ..inspected });
                    }
                }
                Err(error) if ReadFailure::of(&error).is_some() => return Err(unread(&object.path, error)),
                // What was read before is archived: kept whole and read anew some day, it would be there twice (I2).
                Err(error) if from > 0 => {
                    let reason = format!("what was appended to it cannot be unpacked: {error}");
                    return Err(unread(&object.path, io::Error::new(error.kind(), reason)));
                }
                Err(error) => inspected.unreadable = Some(error.to_string()),
            }
            reader = ObjectReader::open(store, object)?;
        }
    }
    io::copy(&mut reader, &mut io::sink()).map_err(|error| unread(&object.path, error))?;
    Ok(Inspected { sha256: hex::encode(reader.sha256()), last_line: reader.line_start(), ..inspected })
}

/// Errs for an object that was read before, and of which what is new cannot be told from what is archived: read anew, it
/// would be there twice (I2).
fn check_growth(object: &RawObject, known: Option<&Known>, from: u64, encoding: Encoding, form: Form) -> Result<()> {
    let grown = from > 0 && !form.can_grow(encoding == Encoding::Plain);
    // Windows writes into the beginning of a log, too.
    let written_into = from == 0 && known.is_some() && form == Form::Evtx;
    if !grown && !written_into {
        return Ok(());
    }
    let packed = if encoding == Encoding::Plain { "" } else { "packed " };
    let reason = format!(
        "it is {packed}`{}` that was archived and has changed since; what is new in it cannot be told from what is not",
        form.name()
    );
    Err(Error::new(Kind::Object, format!("reading raw object {}", object.path), reason)
        .with_hint("nothing more of it is archived, and it is not cleared; leave what is new under another name"))
}

/// [`inspect`] for an object that fits in memory: its bytes are asked for once. `Ok(None)`: it does not fit unpacked.
fn inspect_held(store: &Store, object: &RawObject, max_record: usize, most_held: usize) -> Result<Option<Inspected>> {
    let (bytes, sha256) = read_whole(store, object)?;
    let sha256 = hex::encode(sha256);
    let encoding = sniff(&bytes);
    let last_line = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at as u64 + 1);
    let inspected = |form, unreadable, held| Inspected {
        sha256,
        from: 0,
        mid_line: false,
        last_line,
        encoding,
        form,
        unreadable,
        held,
    };
    let read_as = ReadAs { form: object.format, period: object.period, max_record, going_on: GoingOn::default() };
    let lines = unpack_held(&bytes, most_held).and_then(|content| match content {
        Some(content) => lines_held(&content, read_as, most_held),
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
    let Inspected { from, encoding, form, .. } = *inspected;
    let plain = encoding == Encoding::Plain;
    if plain && form.is_seekable() && from == 0 && object.size > 0 {
        return file_lines(store, object, form, max_record)?.map_err(|error| unread(&object.path, error));
    }
    let reader = match &planned.known {
        Some(_) if plain && form.needs_beginning() && from < object.size => ObjectReader::open(store, object)?,
        Some(known) if from > 0 => {
            let sha256 = parse_sha256(&known.sha256)?;
            ObjectReader::resume(store, object, from, known.size, &sha256)?
                .ok_or_else(|| Error::from(ReadFailure::Changed { object: object.path.clone() }))?
        }
        _ => ObjectReader::open(store, object)?,
    };
    let lines = match form {
        Form::Lines if plain => LineReader::resume(reader, max_record, from),
        // It was only touched: nothing is new.
        _ if from == object.size => LineReader::resume(reader, max_record, from),
        Form::Lines => LineReader::new(reader, max_record),
        _ => LineReader::formed(reader, Some(encoding), inspected.read_as(object, max_record)),
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
    /// Why its content cannot be read.
    foreign: Option<String>,
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
    let (encoding, foreign) = (sniff(&bytes), Form::check(object.format, &bytes).err());
    let told = (encoding == Encoding::Plain).then(|| Form::tell(&bytes));
    Ok(Beginning { encoding, form: object.format.or(told), foreign: foreign.map(|error| error.to_string()) })
}

/// A source that fails for one object does not stop the others.
fn as_object(error: Error) -> Error {
    error.with_kind(Kind::Object).with_hint("nothing of it was archived or cleared; the next run tries again")
}

/// Reads a stream to its end. Gives its form, and the SHA-256 of what was read.
fn look_through(reader: ObjectReader, encoding: Encoding, read_as: ReadAs) -> io::Result<(Form, Option<[u8; 32]>)> {
    let mut lines = LineReader::formed(reader, Some(encoding), read_as)?;
    while lines.next()?.is_some() {}
    Ok((lines.form(), Some(lines.raw().sha256())))
}

/// The same for a form that is read at several places, which hashes nothing.
fn look_into(store: &Store, object: &RawObject, form: Form, max_record: usize) -> io::Result<(Form, Option<[u8; 32]>)> {
    let mut lines = file_lines(store, object, form, max_record).map_err(io::Error::other)??;
    while lines.next()?.is_some() {}
    Ok((form, None))
}

fn parse_sha256(text: &str) -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|source| Error::from_source(Kind::Damaged, "reading a SHA-256 of the ledger", source))?;
    Ok(bytes)
}
