//! Windows event logs (`.evtx`), event by event.
//!
//! An event is the JSON that the crate `evtx` makes of it, behind a member `TimeGenerated`: the text of
//! `Event.System.TimeCreated`. The binary file itself is not kept by this: what JSON shows of an event is what stays.
//! Invariants: nothing is skipped. A chunk or an event that cannot be read, whose check sum is another, or a chunk whose
//! events are not as many as its header says, is `InvalidData`, so that the file is quarantined whole (I1); a failure of
//! the file's reader comes as it was. Unused chunks and what was deleted are no events. Memory: a chunk of 64 KiB and its
//! events as JSON, no more than `max_record` bytes in all (I11); the crate refuses an event beyond 16 MiB.

use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use evtx::{EvtxChunkData, EvtxParser, IntoIterChunks, ParserSettings};

use super::produce::{Produce, Produced, damaged, read_some};
use super::text;
use crate::record::{Member, ValueKind, members};

const HEADER_BYTES: u64 = 4096;
const CHUNK_BYTES: u64 = 64 * 1024;
/// Where an event says when it was.
const TIME_PATH: [&[u8]; 5] = [b"Event", b"System", b"TimeCreated", b"#attributes", b"SystemTime"];

/// Reads a whole file as NDJSON. Errors: those of `file`; `InvalidData` for what cannot be read to its end.
pub(in crate::source) fn open<F: Read + Seek + Send + 'static>(
    mut file: F,
    max_record: usize,
) -> io::Result<impl Read> {
    let size = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let failed = Arc::new(Mutex::new(None));
    let file = Watched { file, failed: Arc::clone(&failed) };
    Ok(Produced::new(Log {
        file: Some(file),
        size,
        max_record,
        failed,
        chunks: None,
        settings: settings(),
        found: Vec::new(),
    }))
}

fn settings() -> Arc<ParserSettings> {
    Arc::new(ParserSettings::new().num_threads(1).validate_checksums(true).recover_records(false))
}

struct Log<F: Read + Seek> {
    /// Until its header is read.
    file: Option<Watched<F>>,
    size: u64,
    max_record: usize,
    failed: Arc<Mutex<Option<io::Error>>>,
    chunks: Option<IntoIterChunks<Watched<F>>>,
    settings: Arc<ParserSettings>,
    found: Vec<Member>,
}

impl<F: Read + Seek> Produce for Log<F> {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let answer = catch_unwind(AssertUnwindSafe(|| self.try_more(out)));
        if let Some(error) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        match answer {
            Ok(Ok(more)) => Ok(more),
            Ok(Err(reason)) => Err(damaged(format!("its event log cannot be read: {reason}"))),
            Err(_) => Err(damaged("its event log cannot be read: the library gave up on it")),
        }
    }
}

impl<F: Read + Seek> Log<F> {
    fn try_more(&mut self, out: &mut Vec<u8>) -> Result<bool, String> {
        if let Some(file) = self.file.take() {
            // The crate takes what is left of a chunk for the end.
            if self.size < HEADER_BYTES || !(self.size - HEADER_BYTES).is_multiple_of(CHUNK_BYTES) {
                return Err("it is cut off: it is no whole number of chunks".to_owned());
            }
            let parser = EvtxParser::from_read_seek(file).map_err(|error| chain(&error))?;
            if !parser.header().validate_checksum() {
                return Err("the check sum of its header is another".to_owned());
            }
            let settings = ParserSettings::clone(&self.settings);
            self.chunks = Some(parser.with_configuration(settings).into_chunks());
        }
        match self.chunks.as_mut().and_then(Iterator::next) {
            Some(Ok(chunk)) => {
                let number = chunk.number.unwrap_or_default();
                let printed = self.print(chunk, out);
                printed.map(|()| true).map_err(|reason| format!("chunk {number}: {reason}"))
            }
            Some(Err(error)) => Err(chain(&error)),
            None => Ok(false),
        }
    }

    /// Appends the events of a chunk.
    fn print(&mut self, mut chunk: EvtxChunkData, out: &mut Vec<u8>) -> Result<(), String> {
        let (first, last) = (chunk.header.first_event_record_number, chunk.header.last_event_record_number);
        let (mut count, start) = (0, out.len());
        let mut chunk = chunk.parse(Arc::clone(&self.settings)).map_err(|error| chain(&error))?;
        for event in chunk.iter() {
            let json = event.and_then(evtx::EvtxRecord::into_json_bytes).map_err(|error| chain(&error))?.data;
            count += 1;
            match time_of(&json, &mut self.found).zip(json.strip_prefix(b"{")) {
                Some((time, rest)) => {
                    out.push(b'{');
                    text::key(b"TimeGenerated", out);
                    out.extend_from_slice(time);
                    out.push(b',');
                    out.extend_from_slice(rest);
                }
                // The clock quarantines it.
                None => out.extend_from_slice(&json),
            }
            out.push(b'\n');
            // Few bytes of a chunk can say a lot.
            if out.len() - start > self.max_record {
                return Err(format!("its events become more than the {} bytes that fit this memory", self.max_record));
            }
        }
        // A chunk that was made and not written to yet says it ends before it begins.
        let expected = last.wrapping_sub(first).wrapping_add(1);
        if count == expected || (count == 0 && last < first) {
            return Ok(());
        }
        Err(format!("its header says {expected} events, {count} can be read"))
    }
}

/// The JSON string of an event's time.
fn time_of<'j>(json: &'j [u8], found: &mut Vec<Member>) -> Option<&'j [u8]> {
    let mut value = json;
    let mut kind = ValueKind::Object;
    for name in TIME_PATH {
        members(value, found).ok()?;
        let mut named = found.iter().filter(|member| member.key.of(value) == name);
        let (member, None) = (named.next()?, named.next()) else { return None };
        kind = member.kind;
        value = member.value.of(value);
    }
    (kind == ValueKind::String).then_some(value)
}

/// An error with what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// The file, and the first failure of its reader: the crate takes it for the end of the file.
struct Watched<F> {
    file: F,
    failed: Arc<Mutex<Option<io::Error>>>,
}

impl<F> Watched<F> {
    fn told<T>(&self, answer: io::Result<T>) -> io::Result<T> {
        answer.map_err(|error| {
            let told = io::Error::new(error.kind(), "the object cannot be read");
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            told
        })
    }
}

impl<F: Read> Read for Watched<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let answer = read_some(&mut self.file, into);
        self.told(answer)
    }
}

impl<F: Seek> Seek for Watched<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let answer = self.file.seek(to);
        self.told(answer)
    }
}

#[cfg(test)]
#[path = "evtx_tests.rs"]
mod tests;
