//! A raw object as a file that is read at any place, for the forms whose beginning does not tell where all else is.
//!
//! Invariants: every byte is of the version that was listed, else it is an error; a store without versions is asked once
//! more at the end (`check_unchanged`). Memory: [`PIECES`] pieces of [`PIECE_BYTES`], whatever the object's size
//! (I11).

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;

use super::discover::RawObject;
use super::form::{Form, open_file};
use super::object::{Fetcher, ObjectReader};
use super::{LineReader, ReadFailure};
use crate::error::Result;
use crate::storage::Store;

const PIECE_BYTES: u64 = 1 << 20;
const PIECES: usize = 8;

/// The lines of a plain object in a form that is read at several places. Errors: it cannot be asked for.
pub fn file_lines(
    store: &Store,
    object: &RawObject,
    form: Form,
    max_record: usize,
) -> Result<io::Result<LineReader<ObjectReader>>> {
    let fetcher = Arc::new(Fetcher::new(store, object)?);
    let raw = ObjectReader::open(store, object)?;
    let places = Places { fetcher: Arc::clone(&fetcher), position: 0, pieces: VecDeque::new() };
    Ok(open_file(places, form, max_record).map(|lines| {
        let lines = Box::new(Whole { lines, fetcher, checked: false });
        LineReader::made(lines, form, raw, max_record)
    }))
}

/// An object, and the pieces of it that were asked for last.
#[derive(Debug)]
struct Places {
    fetcher: Arc<Fetcher>,
    position: u64,
    /// With the number of each; the one that was used last comes last.
    pieces: VecDeque<(u64, Bytes)>,
}

impl Places {
    fn piece(&mut self, number: u64) -> Result<Bytes, ReadFailure> {
        if let Some(at) = self.pieces.iter().position(|(known, _)| *known == number) {
            if let Some(piece) = self.pieces.remove(at) {
                self.pieces.push_back(piece);
            }
        } else {
            let start = number * PIECE_BYTES;
            let bytes = self.fetcher.get(start, self.fetcher.size.min(start + PIECE_BYTES))?;
            if self.pieces.len() == PIECES {
                self.pieces.pop_front();
            }
            self.pieces.push_back((number, bytes));
        }
        Ok(self.pieces.back().map(|(_, bytes)| bytes.clone()).unwrap_or_default())
    }
}

impl Read for Places {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() || self.position >= self.fetcher.size {
            return Ok(0);
        }
        let piece = self.piece(self.position / PIECE_BYTES)?;
        let rest = &piece[(self.position % PIECE_BYTES) as usize..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Places {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(by) => self.fetcher.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position =
            place.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a place before the beginning"))?;
        Ok(self.position)
    }
}

/// Lines that end only once the object is known to be the one that was listed.
struct Whole {
    lines: Box<dyn Read + Send>,
    fetcher: Arc<Fetcher>,
    checked: bool,
}

impl Read for Whole {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.lines.read(into)?;
        if count == 0 && !into.is_empty() && !self.checked {
            self.fetcher.check_unchanged()?;
            self.checked = true;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::source::testing::Source;
    use crate::source::{DiscoverOptions, Layout, discover};

    fn places(source: &Source) -> Places {
        let options =
            DiscoverOptions { name: "s".into(), workspace: "main".into(), settle: jiff::SignedDuration::ZERO };
        let layout = Layout::parse("{table}/*").unwrap();
        let object = discover(&source.store, &options, &layout, Timestamp::UNIX_EPOCH).unwrap().objects.remove(0);
        let fetcher = Arc::new(Fetcher::new(&source.store, &object).unwrap());
        Places { fetcher, position: 0, pieces: VecDeque::new() }
    }

    #[test]
    fn any_place_reads_as_in_the_object() {
        let source = Source::new();
        let bytes: Vec<u8> = (0..3_000_000u32 / 4).flat_map(|n| n.wrapping_mul(0x9E37_79B9).to_le_bytes()).collect();
        source.write_bytes("T/a", &bytes);
        let mut places = places(&source);
        for (from, length) in [(0, 10), (2_999_990, 100), (PIECE_BYTES as usize - 3, 9), (5, 2_500_000), (7, 0)] {
            places.seek(SeekFrom::Start(from as u64)).unwrap();
            let mut read = Vec::new();
            places.by_ref().take(length as u64).read_to_end(&mut read).unwrap();
            assert!(read == bytes[from..(from + length).min(bytes.len())], "{from}");
        }
        assert_eq!(places.seek(SeekFrom::End(-4)).unwrap(), bytes.len() as u64 - 4);
        assert_eq!(places.seek(SeekFrom::Current(-4)).unwrap(), bytes.len() as u64 - 8);
        assert!(places.seek(SeekFrom::Current(i64::MIN)).is_err());
    }

    #[test]
    fn i11_no_more_is_held_than_a_few_pieces() {
        let source = Source::new();
        source.write_bytes("T/a", &vec![7; PIECE_BYTES as usize * (PIECES + 3)]);
        let mut places = places(&source);
        io::copy(&mut places, &mut io::sink()).unwrap();
        assert_eq!(places.pieces.len(), PIECES);
    }

    #[test]
    fn i7_another_version_is_not_read_as_the_one_listed() {
        let source = Source::new();
        source.write_bytes("T/a", &vec![7; PIECE_BYTES as usize + 1]);
        let mut places = places(&source);
        places.read_exact(&mut [0; 10]).unwrap();
        source.write_bytes("T/a", &vec![8; PIECE_BYTES as usize + 2]);
        let error = io::copy(&mut places, &mut io::sink()).unwrap_err();
        assert!(matches!(ReadFailure::of(&error), Some(ReadFailure::Changed { .. })), "{error:?}");
    }
}
