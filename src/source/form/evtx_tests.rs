//! Windows event logs that were written by Windows, whole, cut off and bent.

use std::io::Cursor;

use flate2::read::GzDecoder;
use serde_json::Value;

use super::*;
use crate::source::form::produce::testing::{Halting, is_the_stores, values};

const SETUP: &[u8] = include_bytes!("samples/language-pack-setup.evtx.gz");
const SECURITY: &[u8] = include_bytes!("samples/security.evtx.gz");
const HEADER: usize = HEADER_BYTES as usize;
const CHUNK: usize = CHUNK_BYTES as usize;

fn unpacked(sample: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(sample).read_to_end(&mut bytes).unwrap();
    bytes
}

fn converted(bytes: &[u8]) -> io::Result<String> {
    let mut out = String::new();
    open(Cursor::new(bytes.to_vec()), 1 << 20)?.read_to_string(&mut out)?;
    Ok(out)
}

fn error(bytes: &[u8]) -> String {
    let error = converted(bytes).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    error.to_string()
}

#[test]
fn each_event_comes_behind_its_time() {
    let events = values(&converted(&unpacked(SECURITY)).unwrap());
    assert_eq!(events.len(), 7);
    for event in &events {
        let system = &event["Event"]["System"];
        assert_eq!(event["TimeGenerated"], system["TimeCreated"]["#attributes"]["SystemTime"]);
        let time = event["TimeGenerated"].as_str().unwrap();
        assert!(crate::record::time::parse(time).is_some() && time.ends_with('Z'), "{time}");
        assert_eq!(system["Channel"], "Security");
        assert_ne!(system["EventID"], Value::Null);
    }
}

#[test]
fn i1_a_log_that_was_copied_while_it_was_written_is_an_error() {
    let reason = error(&unpacked(SETUP));
    assert!(
        reason.starts_with("its event log cannot be read: Failed to parse chunk number 0: chunk data CRC32"),
        "{reason}"
    );
}

#[test]
fn unused_chunks_are_no_events_and_further_ones_are() {
    let bytes = unpacked(SECURITY);
    let once = converted(&bytes).unwrap();
    let more = [&bytes[..], &[0; CHUNK], &bytes[HEADER..]].concat();
    assert_eq!(converted(&more).unwrap(), once.repeat(2));
    let empty = [&bytes[..HEADER], &[0; CHUNK]].concat();
    assert_eq!(converted(&empty).unwrap(), "");
}

#[test]
fn i1_a_file_that_is_cut_off_is_an_error() {
    let bytes = unpacked(SECURITY);
    for length in [0, 1, 127, 128, HEADER - 1, HEADER + 1, HEADER + CHUNK - 1] {
        assert_eq!(
            error(&bytes[..length]),
            "its event log cannot be read: it is cut off: it is no whole number of chunks"
        );
    }
    assert!(error(&[0; HEADER]).starts_with("its event log cannot be read: "));
}

#[test]
fn i1_whatever_byte_of_the_used_part_is_bent_it_is_an_error() {
    let bytes = unpacked(SECURITY);
    let whole = converted(&bytes).unwrap();
    let free = HEADER + u32::from_le_bytes(bytes[HEADER + 48..HEADER + 52].try_into().unwrap()) as usize;
    // The unused parts of the headers, and what lies behind the last event.
    let unused = |at: usize| (128..HEADER).contains(&at) || (120..128).contains(&at) || at >= free;
    for at in (0..free + 500).step_by(37).chain(0..140).chain(HEADER..HEADER + 140) {
        let mut bent = bytes.clone();
        bent[at] ^= 0x41;
        match converted(&bent) {
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{at}"),
            Ok(text) => assert!(text == whole && (unused(at) || (HEADER + 120..HEADER + 128).contains(&at)), "{at}"),
        }
    }
}

#[test]
fn i1_fewer_events_than_the_header_says_are_an_error() {
    let mut bytes = unpacked(SECURITY);
    // The last event's number is one higher; the header's check sum is made anew.
    let last = HEADER + 16;
    bytes[last] += 1;
    let chunk = &bytes[HEADER..HEADER + CHUNK];
    let sum = libdeflater::crc32(&[&chunk[..120], &chunk[128..512]].concat());
    bytes[HEADER + 124..HEADER + 128].copy_from_slice(&sum.to_le_bytes());
    assert!(error(&bytes).ends_with("chunk 0: its header says 8 events, 7 can be read"), "{}", error(&bytes));
}

#[test]
fn i11_a_chunk_that_says_too_much_is_refused() {
    let answer = open(Cursor::new(unpacked(SECURITY)), 5000).unwrap().read_to_end(&mut Vec::new());
    let reason = answer.unwrap_err().to_string();
    assert!(reason.ends_with("chunk 0: its events become more than the 5000 bytes that fit this memory"), "{reason}");
}

/// Fails after its first bytes.
struct Broken {
    file: Cursor<Vec<u8>>,
    whole: u64,
}

impl Read for Broken {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.file.position() >= self.whole {
            return Halting { bytes: b"", step: 1, fails: true }.read(into);
        }
        let most = usize::try_from(self.whole - self.file.position()).unwrap().min(into.len());
        self.file.read(&mut into[..most])
    }
}

impl Seek for Broken {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[test]
fn i7_a_failure_of_the_store_is_not_taken_for_the_end() {
    let bytes = unpacked(SECURITY);
    for whole in [0, 100, HEADER, HEADER + 100, HEADER + CHUNK - 1] {
        let mut reader = open(Broken { file: Cursor::new(bytes.clone()), whole: whole as u64 }, 1 << 20).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(is_the_stores(&error), "{whole}: {error:?}");
        assert!(reader.read(&mut [0]).is_err(), "it stays a failure");
    }
}
