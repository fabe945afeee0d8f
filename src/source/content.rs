//! An object's bytes as lines: plain, gzip or zstd, in any form, told by content and never by name.
//!
//! Invariants: everything streams, in memory bounded by `max_record` and a constant (I11); a line that is longer comes in
//! chunks, whole, so that it can be kept elsewhere. Data that is damaged, cut off or followed by something else is an
//! error, never an early end, and the error comes again however often it is asked for: what was not read must not look
//! read (I1). What a line means is not judged here.
//!
//! Lines end with LF or CRLF (one trailing `\r` is whitespace); blank lines and a UTF-8 byte order mark at the start
//! are skipped. gzip of several members and zstd of several frames are read as one stream.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::MutexGuard;

use super::encoding::Encoding;
use super::form::{Form, ReadAs, Unpacked};

/// One line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line of at most `max_record` bytes.
    Record {
        /// Without its line end.
        bytes: &'a [u8],
        /// Where the line begins in the decoded stream: the unpacked content, or what its form was made into.
        start: u64,
        /// False for a last line without a line feed: more of it may come.
        terminated: bool,
    },
    /// The next chunk of a longer line; the chunks in their order are the line as it was, without its line feed.
    Oversized {
        /// May be empty in the last chunk.
        bytes: &'a [u8],
        /// Where the line (not the chunk) begins in the decoded stream.
        start: u64,
        first: bool,
        last: bool,
    },
}

const BUFFER_BYTES: usize = 256 * 1024;
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads an object line by line.
///
/// Memory: `max_record` and 256 KiB twice at most, and a zstd window, which is refused beyond 128 MiB.
pub struct LineReader<R: Read> {
    content: Unpacked<R>,
    max_record: usize,
    buffer: Vec<u8>,
    /// What of `buffer` is read and not yet delivered.
    pending: Range<usize>,
    /// Up to here `pending` holds no line feed.
    searched: usize,
    /// Where `buffer` begins in the decoded stream.
    base: u64,
    /// Just after the last line feed, in the decoded stream.
    resume: u64,
    /// Where the oversized line begins in whose middle we are.
    oversized: Option<u64>,
    ended: bool,
    /// Kind and text of the failure after which nothing more can be read.
    failed: Option<(io::ErrorKind, String)>,
}

impl<R: Read> LineReader<R> {
    /// A reader of a whole object. Lines of more than `max_record` bytes come as [`Line::Oversized`].
    ///
    /// Errors: those of `raw`, and `Unsupported` for what is certainly neither text, gzip nor zstd.
    pub fn new(raw: R, max_record: usize) -> io::Result<Self> {
        Self::over(Unpacked::lines(raw)?, max_record, 0).behind_byte_order_mark()
    }

    /// A reader of a plain object from offset `at`, where `raw` begins: a place that [`plain_resume`](Self::plain_resume)
    /// told earlier. Offsets of lines go on from `at`. From 0 it is the same as [`new`](Self::new).
    pub fn resume(raw: R, max_record: usize, at: u64) -> io::Result<Self> {
        if at == 0 { Self::new(raw, max_record) } else { Ok(Self::over(Unpacked::plain(raw), max_record, at)) }
    }

    /// A reader of text that is unpacked already, whatever it looks like; `is_beginning`: it may have a byte order mark.
    pub(super) fn text(raw: R, max_record: usize, is_beginning: bool) -> io::Result<Self> {
        let reader = Self::over(Unpacked::plain(raw), max_record, 0);
        if is_beginning { reader.behind_byte_order_mark() } else { Ok(reader) }
    }

    /// A reader of lines that were made of an object in another form; `raw` is not read.
    pub(super) fn made(lines: Box<dyn Read + Send>, form: Form, raw: R, max_record: usize) -> Self {
        Self::over(Unpacked::made(lines, form, raw), max_record, 0)
    }

    fn over(content: Unpacked<R>, max_record: usize, base: u64) -> Self {
        LineReader {
            content,
            max_record,
            buffer: vec![0; BUFFER_BYTES],
            pending: 0..0,
            searched: 0,
            base,
            resume: base,
            oversized: None,
            ended: false,
            failed: None,
        }
    }

    pub fn encoding(&self) -> Encoding {
        self.content.encoding()
    }

    pub fn form(&self) -> Form {
        self.content.form()
    }

    /// Just after the last complete line that was delivered or skipped, in the decoded stream: from there a plain object
    /// that has grown is read on. `None` for what is packed or no lines.
    pub fn plain_resume(&self) -> Option<u64> {
        (self.encoding() == Encoding::Plain && self.form() == Form::Lines).then_some(self.resume)
    }

    /// The raw reader, for its counts and hashes.
    pub fn raw(&self) -> MutexGuard<'_, R> {
        self.content.raw()
    }

    /// The next line or chunk of a line; `Ok(None)` once the whole object has been read, to its last raw byte.
    #[expect(clippy::should_implement_trait, reason = "lines borrow the buffer, which an Iterator cannot lend")]
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        if let Some((kind, text)) = &self.failed {
            return Err(io::Error::new(*kind, text.clone()));
        }
        match self.advance() {
            Ok(Some(step)) => Ok(Some(step.line(&self.buffer))),
            Ok(None) => Ok(None),
            Err(error) => {
                self.failed = Some((error.kind(), error.to_string()));
                Err(error)
            }
        }
    }

    fn advance(&mut self) -> io::Result<Option<Step>> {
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[self.searched..self.pending.end]);
            if let Some(end) = found.map(|at| self.searched + at) {
                let bytes = self.pending.start..end;
                self.pending.start = end + 1;
                self.searched = end + 1;
                let start = self.base + bytes.start as u64;
                self.resume = self.base + end as u64 + 1;
                if let Some(step) = self.line(bytes, start, true) {
                    return Ok(Some(step));
                }
                continue;
            }
            self.searched = self.pending.end;
            let bytes = self.pending.clone();
            let start = self.base + bytes.start as u64;
            if self.ended {
                self.pending.start = bytes.end;
                if bytes.is_empty() && self.oversized.is_none() {
                    return Ok(None);
                }
                match self.line(bytes, start, false) {
                    Some(step) => return Ok(Some(step)),
                    None => continue,
                }
            }
            // One byte more may be the `\r` of a line that is just as long as allowed.
            if bytes.len() > self.max_record.saturating_add(1) || (self.oversized.is_some() && !bytes.is_empty()) {
                self.pending.start = bytes.end;
                let first = self.oversized.is_none();
                let start = *self.oversized.get_or_insert(start);
                return Ok(Some(Step { bytes, start, kind: Piece::Oversized { first, last: false } }));
            }
            self.fill()?;
        }
    }

    /// What a complete line (or the rest of an oversized one) is; `None` if it is blank.
    fn line(&mut self, bytes: Range<usize>, start: u64, terminated: bool) -> Option<Step> {
        if let Some(start) = self.oversized.take() {
            return Some(Step { bytes, start, kind: Piece::Oversized { first: false, last: true } });
        }
        let content = match content_of(&self.buffer[bytes.clone()], self.max_record) {
            Content::Blank => return None,
            Content::Long => return Some(Step { bytes, start, kind: Piece::Oversized { first: true, last: true } }),
            Content::Record(content) => content,
        };
        let bytes = bytes.start..bytes.start + content.len();
        Some(Step { bytes, start, kind: Piece::Record { terminated } })
    }

    /// Reads more behind what is pending, after making room for it.
    fn fill(&mut self) -> io::Result<()> {
        if self.pending.start > 0 && (self.pending.is_empty() || self.pending.end == self.buffer.len()) {
            self.buffer.copy_within(self.pending.clone(), 0);
            self.base += self.pending.start as u64;
            self.searched -= self.pending.start;
            self.pending = 0..self.pending.len();
        }
        if self.pending.end == self.buffer.len() {
            let most = self.max_record.saturating_add(BUFFER_BYTES);
            let length = self.buffer.len().saturating_mul(2).min(most).max(self.buffer.len() + 1);
            self.buffer.reserve_exact(length - self.buffer.len());
            self.buffer.resize(length, 0);
        }
        let count = self.content.read(&mut self.buffer[self.pending.end..])?;
        self.pending.end += count;
        self.ended = count == 0;
        Ok(())
    }

    fn behind_byte_order_mark(mut self) -> io::Result<Self> {
        while self.pending.len() < BYTE_ORDER_MARK.len() && !self.ended {
            self.fill()?;
        }
        if self.buffer[self.pending.clone()].starts_with(BYTE_ORDER_MARK) {
            self.pending.start += BYTE_ORDER_MARK.len();
            self.searched = self.pending.start;
            self.resume = self.pending.start as u64;
        }
        Ok(self)
    }
}

impl<R: Read + Send + 'static> LineReader<R> {
    /// A reader of content in the form named, else in the one it begins like. `encoding`: where it is known; plain bytes
    /// are then taken as they are, from wherever `raw` begins.
    ///
    /// Errors: those of `raw`, `Unsupported` as [`new`](Self::new), `InvalidData` for what is not in its form.
    pub fn formed(raw: R, encoding: Option<Encoding>, read_as: ReadAs) -> io::Result<Self> {
        Self::over(Unpacked::formed(raw, encoding, read_as)?, read_as.max_record, 0).behind_byte_order_mark()
    }
}

impl<R: Read> fmt::Debug for LineReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader")
            .field("encoding", &self.encoding())
            .field("resume", &self.resume)
            .finish_non_exhaustive()
    }
}

/// What a whole line, without its line feed, is.
pub(super) enum Content<'a> {
    Blank,
    /// Longer than a record may be.
    Long,
    Record(&'a [u8]),
}

pub(super) fn content_of(line: &[u8], max_record: usize) -> Content<'_> {
    let content = line.strip_suffix(b"\r").unwrap_or(line);
    if content.len() > max_record {
        return Content::Long;
    }
    // JSON's own whitespace.
    if content.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
        return Content::Blank;
    }
    Content::Record(content)
}

/// A line as places in the buffer, so that it can be found before it is lent.
struct Step {
    bytes: Range<usize>,
    start: u64,
    kind: Piece,
}

enum Piece {
    Record { terminated: bool },
    Oversized { first: bool, last: bool },
}

impl Step {
    fn line(self, buffer: &[u8]) -> Line<'_> {
        let (bytes, start) = (&buffer[self.bytes], self.start);
        match self.kind {
            Piece::Record { terminated } => Line::Record { bytes, start, terminated },
            Piece::Oversized { first, last } => Line::Oversized { bytes, start, first, last },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::{gzip, zstd};
    use proptest::prelude::*;

    /// A line with its oversized chunks put together: (bytes, start, terminated), `None` for oversized.
    type Owned = (Vec<u8>, u64, Option<bool>);

    fn lines_of<R: Read>(reader: &mut LineReader<R>) -> io::Result<Vec<Owned>> {
        let mut lines: Vec<Owned> = Vec::new();
        let mut open = false;
        while let Some(line) = reader.next()? {
            match line {
                Line::Record { bytes, start, terminated } => {
                    assert!(!open);
                    lines.push((bytes.to_vec(), start, Some(terminated)));
                }
                Line::Oversized { bytes, start, first, last } => {
                    assert_eq!(open, !first);
                    open = !last;
                    if first {
                        lines.push((Vec::new(), start, None));
                    }
                    let line = lines.last_mut().unwrap();
                    assert_eq!(line.1, start);
                    line.0.extend_from_slice(bytes);
                }
            }
        }
        assert!(!open);
        Ok(lines)
    }

    fn read(bytes: &[u8], max_record: usize) -> io::Result<Vec<Owned>> {
        lines_of(&mut LineReader::new(bytes, max_record)?)
    }

    fn record(bytes: &str, start: u64) -> Owned {
        (bytes.into(), start, Some(true))
    }

    #[test]
    fn line_ends_blanks_and_byte_order_mark() {
        let lines = read(b"\xef\xbb\xbf{1}\r\n\r\n  \t\n\n {2}\n{3}\r", 100).unwrap();
        assert_eq!(lines, [record("{1}", 3), record(" {2}", 15), ("{3}".into(), 20, Some(false))]);
        assert_eq!(read(b"", 100).unwrap(), []);
        assert_eq!(read(b"\xef\xbb\xbf", 100).unwrap(), []);
        assert_eq!(read(b"\n\n", 100).unwrap(), []);
        assert_eq!(read(b"a\0\0", 100).unwrap(), [("a\0\0".into(), 0, Some(false))]);
    }

    #[test]
    fn i11_longer_lines_come_whole_in_chunks() {
        let long = vec![b'x'; 3 * BUFFER_BYTES + 17];
        let mut bytes = b"{1}\n".to_vec();
        bytes.extend(&long);
        bytes.extend(b"\n{2}\n");
        let oversized = (long.clone(), 4, None);
        let after = record("{2}", 4 + long.len() as u64 + 1);
        assert_eq!(read(&bytes, 1000).unwrap(), [record("{1}", 0), oversized.clone(), after.clone()]);
        assert_eq!(read(&bytes, long.len() - 1).unwrap(), [record("{1}", 0), oversized, after.clone()]);
        assert_eq!(read(&bytes, long.len()).unwrap(), [record("{1}", 0), (long, 4, Some(true)), after]);
        // The limit counts neither `\r` nor `\n`.
        assert_eq!(read(b"abcd\r\nabcde\r\n", 4).unwrap(), [record("abcd", 0), (b"abcde\r".into(), 6, None)]);
    }

    #[test]
    fn i11_the_buffer_stays_within_its_bound() {
        let max_record = 3 * BUFFER_BYTES;
        let bytes = io::repeat(b'x').take(40 * BUFFER_BYTES as u64);
        let mut reader = LineReader::new(bytes, max_record).unwrap();
        while reader.next().unwrap().is_some() {}
        assert!(reader.buffer.capacity() <= max_record + BUFFER_BYTES, "{}", reader.buffer.capacity());
    }

    #[test]
    fn i1_an_error_does_not_turn_into_an_end() {
        let packed = gzip(b"{1}\n{2}\n");
        let mut reader = LineReader::new(&packed[..packed.len() - 1], 100).unwrap();
        let error = lines_of(&mut reader).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        for _ in 0..3 {
            assert_eq!(reader.next().unwrap_err().to_string(), error.to_string());
        }
        assert_eq!(reader.plain_resume(), None);
    }

    #[test]
    fn a_grown_object_is_read_on() {
        let (before, after) = (&b"{1}\n{2}\n{\"par"[..], &b"{1}\n{2}\n{\"part\":3}\n{4}\n"[..]);
        let mut reader = LineReader::new(before, 100).unwrap();
        lines_of(&mut reader).unwrap();
        let at = reader.plain_resume().unwrap();
        assert_eq!(at, 8);
        let mut reader = LineReader::resume(&after[8..], 100, at).unwrap();
        assert_eq!(lines_of(&mut reader).unwrap(), [record("{\"part\":3}", 8), record("{4}", 19)]);
        assert_eq!(reader.plain_resume(), Some(after.len() as u64));
        let mut from_the_start = LineReader::resume(&b"\xef\xbb\xbf{1}\n"[..], 100, 0).unwrap();
        assert_eq!(lines_of(&mut from_the_start).unwrap(), [record("{1}", 3)]);
    }

    /// The contract in its plainest form.
    fn naive(bytes: &[u8], max_record: usize) -> Vec<Owned> {
        let mut lines = Vec::new();
        let mut start = if bytes.starts_with(BYTE_ORDER_MARK) { 3 } else { 0 };
        while start < bytes.len() {
            let end = bytes[start..].iter().position(|byte| *byte == b'\n').map(|at| start + at);
            let line = &bytes[start..end.unwrap_or(bytes.len())];
            let content = line.strip_suffix(b"\r").unwrap_or(line);
            if content.len() > max_record {
                lines.push((line.to_vec(), start as u64, None));
            } else if !content.iter().all(|byte| b" \t\r".contains(byte)) {
                lines.push((content.to_vec(), start as u64, Some(end.is_some())));
            }
            start += line.len() + 1;
        }
        lines
    }

    /// Gives its bytes in pieces of the sizes listed, over and over.
    struct Pieces<'b> {
        bytes: &'b [u8],
        sizes: Vec<usize>,
        turn: usize,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.turn += 1;
            let most = self.sizes[self.turn % self.sizes.len()].min(into.len());
            self.bytes.read(&mut into[..most])
        }
    }

    proptest! {
        #[test]
        fn any_chunking_equals_the_naive_split(
            parts in prop::collection::vec(
                prop_oneof![
                    Just("\n".to_owned()), Just("\r\n".to_owned()), Just("\r".to_owned()), Just("  \t".to_owned()),
                    Just("\u{feff}".to_owned()), "[ -~\r]{0,12}", Just("y".repeat(70_000)),
                ],
                0..40,
            ),
            sizes in prop::collection::vec(1usize..9000, 1..6),
            max_record in prop_oneof![1usize..20, Just(70_000usize), Just(400_000usize)],
        ) {
            let bytes = parts.concat().into_bytes();
            let expected = naive(&bytes, max_record);
            let mut reader = LineReader::new(Pieces { bytes: &bytes, sizes: sizes.clone(), turn: 0 }, max_record).unwrap();
            prop_assert_eq!(&lines_of(&mut reader).unwrap(), &expected);
            let resume = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
            let mark = if bytes.starts_with(BYTE_ORDER_MARK) { 3 } else { 0 };
            prop_assert_eq!(reader.plain_resume(), Some(resume.max(mark)));
            for packed in [gzip(&bytes), zstd(&bytes)] {
                let mut reader = LineReader::new(Pieces { bytes: &packed, sizes: sizes.clone(), turn: 0 }, max_record).unwrap();
                prop_assert_eq!(&lines_of(&mut reader).unwrap(), &expected);
            }
        }
    }
}
