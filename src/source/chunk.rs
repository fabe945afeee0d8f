//! Whole lines by the chunk, so that several threads can read one object.
//!
//! A chunk is a stretch of an object that is held in memory, or lines that were taken from a stream. Either gives the very
//! lines that a [`LineReader`] gives, one after the other.

use std::io::{self, Read};
use std::sync::MutexGuard;

use bytes::Bytes;

use super::content::{BYTE_ORDER_MARK, Content, Line, LineReader, content_of};

/// Lines of one object that follow one another.
#[derive(Debug)]
pub enum Chunk {
    /// As they stand in the object; `start` is where they begin in it.
    Stretch { bytes: Bytes, start: u64 },
    /// Taken from a stream, without what is no record.
    Lines { bytes: Vec<u8>, lines: Vec<TakenLine> },
}

/// A line in [`Chunk::Lines`].
#[derive(Debug)]
pub struct TakenLine {
    start: u64,
    end: usize,
    terminated: bool,
}

impl Chunk {
    /// Gives `see` one line after the other. Lines of more than `max_record` bytes come as a whole, as
    /// [`Line::Oversized`]; the first error of `see` ends it.
    pub fn each_line<'a, E>(
        &'a self,
        max_record: usize,
        mut see: impl FnMut(Line<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Chunk::Lines { bytes, lines } => {
                let mut from = 0;
                for &TakenLine { start, end, terminated } in lines {
                    see(Line::Record { bytes: &bytes[from..end], start, terminated })?;
                    from = end;
                }
            }
            Chunk::Stretch { bytes, start } => {
                let mut from = 0;
                while from < bytes.len() {
                    let found = memchr::memchr(b'\n', &bytes[from..]);
                    let line = &bytes[from..found.map_or(bytes.len(), |at| from + at)];
                    let start = start + from as u64;
                    match content_of(line, max_record) {
                        Content::Blank => {}
                        Content::Long => see(Line::Oversized { bytes: line, start, first: true, last: true })?,
                        Content::Record(bytes) => see(Line::Record { bytes, start, terminated: found.is_some() })?,
                    }
                    from += line.len() + 1;
                }
            }
        }
        Ok(())
    }
}

/// Cuts the decoded content of an object into chunks of about `chunk_bytes`, at line ends. `start` is where it begins in
/// the object.
pub fn cut(content: &Bytes, start: u64, chunk_bytes: usize) -> impl Iterator<Item = Chunk> + '_ {
    let mut from = if start == 0 && content.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    std::iter::from_fn(move || {
        let rest = content.get(from..).filter(|rest| !rest.is_empty())?;
        let least = chunk_bytes.min(rest.len() - 1);
        let length = memchr::memchr(b'\n', &rest[least..]).map_or(rest.len(), |at| least + at + 1);
        let chunk = Chunk::Stretch { bytes: content.slice(from..from + length), start: start + from as u64 };
        from += length;
        Some(chunk)
    })
}

/// What a stream gives next.
#[derive(Debug)]
pub enum Taken<'a> {
    Chunk(Chunk),
    /// A piece of a line that is longer than a record may be, as [`Line::Oversized`] says.
    Oversized {
        bytes: &'a [u8],
        start: u64,
        first: bool,
        last: bool,
    },
}

/// Takes lines from a reader by the chunk.
#[derive(Debug)]
pub struct ChunkReader<R: Read> {
    lines: LineReader<R>,
    chunk_bytes: usize,
    /// Of a long line, what came while a chunk was being filled.
    waiting: Option<(Vec<u8>, u64, bool, bool)>,
    given: Vec<u8>,
}

impl<R: Read> ChunkReader<R> {
    pub fn new(lines: LineReader<R>, chunk_bytes: usize) -> Self {
        ChunkReader { lines, chunk_bytes, waiting: None, given: Vec::new() }
    }

    /// The raw reader, for its counts and hashes.
    pub fn raw(&self) -> MutexGuard<'_, R> {
        self.lines.raw()
    }

    /// The next chunk or piece; `Ok(None)` once the whole object has been read. Errors as [`LineReader::next`].
    #[expect(clippy::should_implement_trait, reason = "pieces borrow the reader, which an Iterator cannot lend")]
    pub fn next(&mut self) -> io::Result<Option<Taken<'_>>> {
        if let Some((bytes, start, first, last)) = self.waiting.take() {
            self.given = bytes;
            return Ok(Some(Taken::Oversized { bytes: &self.given, start, first, last }));
        }
        let mut taken = Vec::new();
        let mut lines = Vec::new();
        while taken.len() < self.chunk_bytes {
            match self.lines.next()? {
                None => break,
                Some(Line::Record { bytes, start, terminated }) => {
                    taken.extend_from_slice(bytes);
                    lines.push(TakenLine { start, end: taken.len(), terminated });
                }
                Some(Line::Oversized { bytes, start, first, last }) => {
                    let bytes = bytes.to_vec();
                    if lines.is_empty() {
                        self.given = bytes;
                        return Ok(Some(Taken::Oversized { bytes: &self.given, start, first, last }));
                    }
                    self.waiting = Some((bytes, start, first, last));
                    break;
                }
            }
        }
        Ok((!lines.is_empty()).then_some(Taken::Chunk(Chunk::Lines { bytes: taken, lines })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Owned = (Vec<u8>, u64, Option<bool>);

    fn by_line(bytes: &[u8], max_record: usize) -> Vec<Owned> {
        let mut reader = LineReader::new(bytes, max_record).unwrap();
        let mut lines: Vec<Owned> = Vec::new();
        while let Some(line) = reader.next().unwrap() {
            match line {
                Line::Record { bytes, start, terminated } => lines.push((bytes.to_vec(), start, Some(terminated))),
                Line::Oversized { bytes, start, first: true, .. } => lines.push((bytes.to_vec(), start, None)),
                Line::Oversized { bytes, .. } => lines.last_mut().unwrap().0.extend_from_slice(bytes),
            }
        }
        lines
    }

    fn collect(chunk: &Chunk, max_record: usize, lines: &mut Vec<Owned>) {
        chunk
            .each_line(max_record, |line| {
                lines.push(match line {
                    Line::Record { bytes, start, terminated } => (bytes.to_vec(), start, Some(terminated)),
                    Line::Oversized { bytes, start, .. } => (bytes.to_vec(), start, None),
                });
                Ok::<(), ()>(())
            })
            .unwrap();
    }

    fn by_stretch(bytes: &[u8], max_record: usize, chunk_bytes: usize) -> Vec<Owned> {
        let mut lines = Vec::new();
        cut(&Bytes::copy_from_slice(bytes), 0, chunk_bytes).for_each(|chunk| collect(&chunk, max_record, &mut lines));
        lines
    }

    fn by_stream(bytes: &[u8], max_record: usize, chunk_bytes: usize) -> Vec<Owned> {
        let mut reader = ChunkReader::new(LineReader::new(bytes, max_record).unwrap(), chunk_bytes);
        let mut lines: Vec<Owned> = Vec::new();
        while let Some(taken) = reader.next().unwrap() {
            match taken {
                Taken::Chunk(chunk) => collect(&chunk, max_record, &mut lines),
                Taken::Oversized { bytes, start, first: true, .. } => lines.push((bytes.to_vec(), start, None)),
                Taken::Oversized { bytes, .. } => lines.last_mut().unwrap().0.extend_from_slice(bytes),
            }
        }
        lines
    }

    proptest! {
        #[test]
        fn chunks_give_the_lines_of_a_line_reader(
            text in "(\u{feff})?([ab]{0,9}(\r\n|\n|\n\n| \n|\r)){0,9}[ab]{0,9}", max_record in 1_usize..9, chunk_bytes in 1_usize..40
        ) {
            let lines = by_line(text.as_bytes(), max_record);
            prop_assert_eq!(by_stretch(text.as_bytes(), max_record, chunk_bytes), lines.clone());
            prop_assert_eq!(by_stream(text.as_bytes(), max_record, chunk_bytes), lines);
        }
    }
}
