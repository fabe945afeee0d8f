//! Avro object container files: Event Hubs Capture, of which the bodies are given, and any other, record by record.
//!
//! The container is read here, since what is on offer either does not compare the sync markers or lets a block unpack to
//! whatever it says. Invariants: each block ends with the file's sync marker and is used up to its last byte by as many
//! records as it says, else it is `InvalidData`, as is a file that is cut off (I1). Memory: one block, as it lies there
//! and unpacked, neither of more than `max_record` bytes, and one record (I11).
//!
//! Capture wraps each event: `SequenceNumber, Offset, EnqueuedTimeUtc, SystemProperties, Properties, Body`. What the
//! sender wrote is the body, given on byte for byte: a record, or lines of records; of `{"records":[…]}` and of arrays the
//! elements. The line ends within a body of one object become spaces, since they can only be between its tokens. An event
//! without a body is given as any other Avro record, so that it is not lost.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use super::Form;
use super::avro_schema::{Record, Type, parse};
use super::avro_value::{Cursor, print};
use super::elements::{Elements, Wrap};
use super::produce::{Produce, Produced, damaged, read_some};
use crate::record::members;

const MAGIC: &[u8] = b"Obj\x01";
const SYNC_BYTES: usize = 16;
const CAPTURE: &str = "Microsoft.ServiceBus.Messaging.EventData";
/// JSON is at most so many times as long as what it says: six for control characters, and as much again for names.
const MOST_GROWTH: usize = 12;

/// Reads `raw`, an unpacked file, as NDJSON. Errors: those of `raw`; `InvalidData` for what is no whole Avro file.
pub(in crate::source) fn open<R: Read>(raw: R, max_record: usize) -> io::Result<impl Read> {
    let raw = BufReader::with_capacity(64 * 1024, raw);
    Ok(Produced::new(Container { raw, max_record, header: None, block: Vec::new(), used: 0, left: 0, number: 0 }))
}

struct Container<R: Read> {
    raw: BufReader<R>,
    max_record: usize,
    header: Option<Header>,
    /// The records of one block, unpacked, and how much of it was read.
    block: Vec<u8>,
    used: usize,
    /// Records that are still to come in the block.
    left: u64,
    /// Blocks until now.
    number: u64,
}

struct Header {
    schema: Arc<Type>,
    codec: Codec,
    sync: [u8; SYNC_BYTES],
}

#[derive(Clone, Copy)]
enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
}

impl<R: Read> Produce for Container<R> {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let header = match self.header.take() {
            Some(header) => header,
            None => self.read_header()?,
        };
        let answer =
            if self.left > 0 { self.record(&header.schema, out).map(|()| true) } else { self.next_block(&header) };
        self.header = Some(header);
        answer
    }
}

impl<R: Read> Container<R> {
    fn record(&mut self, schema: &Type, out: &mut Vec<u8>) -> io::Result<()> {
        let wrong = |reason: String| damaged(format!("block {} of its Avro cannot be read: {reason}", self.number));
        let mut cursor = Cursor { rest: &self.block[self.used..] };
        let most_bytes = out.len() + MOST_GROWTH * self.max_record;
        match schema {
            Type::Record(record) if record.name == CAPTURE && body_of(record).is_some() => {
                captured(schema, record, &mut cursor, most_bytes, out).map_err(wrong)?;
            }
            _ => {
                print(schema, &mut cursor, most_bytes, out).map_err(wrong)?;
                out.push(b'\n');
            }
        }
        self.used = self.block.len() - cursor.rest.len();
        self.left -= 1;
        self.end_of_block()
    }

    /// The last record of a block must end where the block ends.
    fn end_of_block(&self) -> io::Result<()> {
        if self.left == 0 && self.used != self.block.len() {
            let over = self.block.len() - self.used;
            return Err(damaged(format!("block {} of its Avro has {over} bytes more than its records", self.number)));
        }
        Ok(())
    }

    /// Reads a block; `false`: there is none.
    fn next_block(&mut self, header: &Header) -> io::Result<bool> {
        let mut first = [0];
        if read_up_to(&mut self.raw, &mut first)? == 0 {
            return Ok(false);
        }
        self.number += 1;
        let count = u64::try_from(self.long(Some(first[0]))?).map_err(|_| self.broken("a count below zero"))?;
        let packed = self.sized("block")?;
        if self.array::<SYNC_BYTES>()? != header.sync {
            return Err(self.broken("no sync marker at its end"));
        }
        let unpacked = match header.codec {
            Codec::Null => Ok(packed),
            Codec::Deflate => bounded(flate2::read::DeflateDecoder::new(&packed[..]), self.max_record),
            Codec::Zstandard => zstd::stream::read::Decoder::with_buffer(&packed[..])
                .and_then(|decoder| bounded(decoder, self.max_record)),
            Codec::Snappy => unsnap(&packed, self.max_record),
        };
        self.block = unpacked.map_err(|error| self.broken(&format!("data that cannot be unpacked: {error}")))?;
        self.used = 0;
        self.left = count;
        self.end_of_block()?;
        Ok(true)
    }

    fn read_header(&mut self) -> io::Result<Header> {
        if self.array::<4>()? != MAGIC {
            return Err(damaged("it is no Avro: it does not begin with `Obj` and 1"));
        }
        let (mut schema, mut codec) = (None, Codec::Null);
        let mut bytes = 0;
        loop {
            let count = self.long(None)?;
            if count == 0 {
                break;
            }
            if count < 0 {
                self.long(None)?;
            }
            for _ in 0..count.unsigned_abs() {
                let (key, value) = (self.sized("header")?, self.sized("header")?);
                bytes += key.len() + value.len() + 2;
                if bytes > self.max_record {
                    return Err(damaged(format!("the header of its Avro is longer than {} bytes", self.max_record)));
                }
                match key.as_slice() {
                    b"avro.schema" => schema = Some(value),
                    b"avro.codec" => codec = codec_of(&value)?,
                    _ => {}
                }
            }
        }
        let schema = schema.ok_or_else(|| damaged("its Avro has no schema"))?;
        let schema =
            parse(&schema).map_err(|reason| damaged(format!("the schema of its Avro cannot be read: {reason}")))?;
        Ok(Header { schema, codec, sync: self.array()? })
    }

    /// Bytes behind their length.
    fn sized(&mut self, what: &str) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.long(None)?).map_err(|_| self.broken("a length below zero"))?;
        if length > self.max_record {
            let most = self.max_record;
            return Err(self.broken(&format!("a {what} of {length} bytes, more than the {most} that fit this memory")));
        }
        // What is not there is not asked for.
        let mut bytes = Vec::new();
        let read = self.raw.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        if read < length { Err(cut_off()) } else { Ok(bytes) }
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        if read_up_to(&mut self.raw, &mut bytes)? < N { Err(cut_off()) } else { Ok(bytes) }
    }

    /// A number of variable length, of which the first byte may have been read.
    fn long(&mut self, first: Option<u8>) -> io::Result<i64> {
        let mut bytes = Vec::with_capacity(10);
        bytes.extend(first);
        while bytes.last().is_none_or(|last| *last >= 0x80) && bytes.len() < 10 {
            bytes.extend(self.array::<1>()?);
        }
        Cursor { rest: &bytes }.long().map_err(|reason| self.broken(&reason))
    }

    fn broken(&self, what: &str) -> io::Error {
        damaged(format!("block {} of its Avro has {what}", self.number))
    }
}

/// The type of the body of Capture's records.
fn body_of(record: &Record) -> Option<&Type> {
    let body = record.fields.iter().find(|field| field.name == "Body")?;
    let is_bytes = |kind: &Type| matches!(kind, Type::Bytes);
    let fits = match &*body.kind {
        Type::Union(branches) => branches.iter().all(|kind| is_bytes(kind) || matches!(**kind, Type::Null)),
        kind => is_bytes(kind),
    };
    fits.then_some(&*body.kind)
}

/// Appends the body of one event of Capture, or the event if it has none.
fn captured(
    schema: &Type,
    record: &Record,
    from: &mut Cursor<'_>,
    most: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let begin = from.rest;
    let mut body: &[u8] = b"";
    let mut aside = Vec::new();
    for field in &record.fields {
        if field.name != "Body" {
            print(&field.kind, from, most, &mut aside)?;
            continue;
        }
        let is_null = match &*field.kind {
            Type::Union(branches) => {
                let branch = usize::try_from(from.long()?).ok().and_then(|index| branches.get(index));
                matches!(**branch.ok_or("a union has a branch that is not defined")?, Type::Null)
            }
            _ => false,
        };
        if !is_null {
            body = from.bytes()?;
        }
    }
    if body.trim_ascii().is_empty() {
        let mut again = Cursor { rest: begin };
        print(schema, &mut again, most, out)?;
    } else if !unwrapped(body, out) {
        let start = out.len();
        out.extend_from_slice(body);
        if memchr::memchr2(b'\n', b'\r', body).is_some() && members(body, &mut Vec::new()).is_ok() {
            out[start..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
        }
    }
    if out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
    Ok(())
}

/// Appends the elements of a body that is nothing but envelopes or arrays; `false`: it is something else.
fn unwrapped(body: &[u8], out: &mut Vec<u8>) -> bool {
    let wrap = match Form::tell(body) {
        Form::Records => Wrap::Records,
        Form::Array => Wrap::Array,
        _ => return false,
    };
    let mut lines = Vec::new();
    let is_whole = Elements::new(body, wrap, 0).read_to_end(&mut lines).is_ok();
    if is_whole {
        out.extend_from_slice(&lines);
    }
    is_whole
}

fn codec_of(name: &[u8]) -> io::Result<Codec> {
    match name {
        b"null" | b"" => Ok(Codec::Null),
        b"deflate" => Ok(Codec::Deflate),
        b"snappy" => Ok(Codec::Snappy),
        b"zstandard" => Ok(Codec::Zstandard),
        other => {
            let name = String::from_utf8_lossy(other);
            Err(damaged(format!("its Avro is packed with {name}; what can be read is deflate, snappy and zstandard")))
        }
    }
}

/// All that `from` gives, unless that is more than `most` bytes.
fn bounded(from: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most { Err(too_much(most)) } else { Ok(bytes) }
}

/// Snappy, and the check sum that Avro writes behind it.
fn unsnap(packed: &[u8], most: usize) -> io::Result<Vec<u8>> {
    let (data, sum) = packed.split_last_chunk::<4>().ok_or_else(cut_off)?;
    if snap::raw::decompress_len(data)? > most {
        return Err(too_much(most));
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(data)?;
    if libdeflater::crc32(&bytes) != u32::from_be_bytes(*sum) {
        return Err(damaged("its check sum is another"));
    }
    Ok(bytes)
}

fn too_much(most: usize) -> io::Error {
    damaged(format!("it is more than the {most} bytes that fit this memory"))
}

fn cut_off() -> io::Error {
    damaged("its Avro is cut off")
}

/// Fills `into`, or as much of it as there is.
fn read_up_to(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match read_some(from, &mut into[read..])? {
            0 => break,
            count => read += count,
        }
    }
    Ok(read)
}

#[cfg(test)]
#[path = "avro_tests.rs"]
mod tests;
