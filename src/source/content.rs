//! An object's bytes as lines: plain, gzip or zstd, told by content and never by name.
//!
//! Invariants: everything streams, in memory bounded by `max_record` and a constant (I11); a line that is longer comes in
//! chunks, whole, so that it can be kept elsewhere. Data that is damaged, cut off or followed by something else is an
//! error, never an early end, and the error comes again however often it is asked for: what was not read must not look
//! read (I1). What a line means is not judged here.
//!
//! Lines end with LF or CRLF (one trailing `\r` is whitespace); blank lines and a UTF-8 byte order mark at the start
//! are skipped. gzip of several members and zstd of several frames are read as one stream.

use std::fmt;
use std::io::{self, BufReader, Read};
use std::ops::Range;

use flate2::bufread::MultiGzDecoder;

/// How an object's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Plain,
    Gzip,
    Zstd,
}

/// Tells the encoding by the magic number of the first bytes (eight are enough).
pub fn sniff(first_bytes: &[u8]) -> Encoding {
    match first_bytes {
        [0x1f, 0x8b, ..] => Encoding::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Encoding::Zstd,
        // A skippable frame, with which seekable and parallel zstd files begin.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Encoding::Zstd,
        _ => Encoding::Plain,
    }
}

/// What these first bytes are if no line of JSON can begin with them and no encoding here reads them.
fn foreign(first_bytes: &[u8]) -> Option<&'static str> {
    match first_bytes {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Some("bzip2"),
        [b'P', b'K', 3, 4, ..] => Some("zip"),
        [b'P', b'A', b'R', b'1', ..] => Some("Parquet"),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some("lz4"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        _ => None,
    }
}

/// One line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line of at most `max_record` bytes.
    Record {
        /// Without its line end.
        bytes: &'a [u8],
        /// Where the line begins in the decoded stream.
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
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads an object line by line.
///
/// Memory: `max_record` and 256 KiB twice at most, and a zstd window, which is refused beyond 128 MiB.
pub struct LineReader<R: Read> {
    stream: Stream<R>,
    encoding: Encoding,
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
    pub fn new(mut raw: R, max_record: usize) -> io::Result<Self> {
        let mut first = Vec::with_capacity(8);
        raw.by_ref().take(8).read_to_end(&mut first)?;
        if let Some(name) = foreign(&first) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("its content is {name}; what can be read is UTF-8 text, plain or as gzip or zstd"),
            ));
        }
        let encoding = sniff(&first);
        let raw = Raw { first, given: 0, inner: raw, failed: false };
        let stream = match encoding {
            Encoding::Plain => Stream::Plain(raw),
            Encoding::Gzip => Stream::Gzip(MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, raw))),
            Encoding::Zstd => {
                let raw = BufReader::with_capacity(BUFFER_BYTES, raw);
                Stream::Zstd(zstd::stream::read::Decoder::with_buffer(raw)?)
            }
        };
        let mut reader = Self::over(stream, encoding, max_record, 0);
        reader.skip_byte_order_mark()?;
        Ok(reader)
    }

    /// A reader of a plain object from offset `at`, where `raw` begins: a place that [`plain_resume`](Self::plain_resume)
    /// told earlier. Offsets of lines go on from `at`. From 0 it is the same as [`new`](Self::new).
    pub fn resume(raw: R, max_record: usize, at: u64) -> io::Result<Self> {
        if at == 0 {
            return Self::new(raw, max_record);
        }
        let raw = Raw { first: Vec::new(), given: 0, inner: raw, failed: false };
        Ok(Self::over(Stream::Plain(raw), Encoding::Plain, max_record, at))
    }

    fn over(stream: Stream<R>, encoding: Encoding, max_record: usize, base: u64) -> Self {
        LineReader {
            stream,
            encoding,
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
        self.encoding
    }

    /// Just after the last complete line that was delivered or skipped, in the decoded stream: from there a plain object
    /// that has grown is read on. `None` for packed objects, which are read anew.
    pub fn plain_resume(&self) -> Option<u64> {
        (self.encoding == Encoding::Plain).then_some(self.resume)
    }

    /// The raw reader, for its counts and hashes.
    pub fn get_ref(&self) -> &R {
        match &self.stream {
            Stream::Plain(raw) => &raw.inner,
            Stream::Gzip(decoder) => &decoder.get_ref().get_ref().inner,
            Stream::Zstd(decoder) => &decoder.get_ref().get_ref().inner,
        }
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
        let line = &self.buffer[bytes.clone()];
        let content = line.strip_suffix(b"\r").unwrap_or(line);
        if content.len() > self.max_record {
            return Some(Step { bytes, start, kind: Piece::Oversized { first: true, last: true } });
        }
        // JSON's own whitespace.
        if content.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r')) {
            return None;
        }
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
        let count = self.stream.read(&mut self.buffer[self.pending.end..])?;
        self.pending.end += count;
        self.ended = count == 0;
        Ok(())
    }

    fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        while self.pending.len() < BYTE_ORDER_MARK.len() && !self.ended {
            self.fill()?;
        }
        if self.buffer[self.pending.clone()].starts_with(BYTE_ORDER_MARK) {
            self.pending.start += BYTE_ORDER_MARK.len();
            self.searched = self.pending.start;
            self.resume = self.pending.start as u64;
        }
        Ok(())
    }
}

impl<R: Read> fmt::Debug for LineReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader")
            .field("encoding", &self.encoding)
            .field("resume", &self.resume)
            .finish_non_exhaustive()
    }
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

/// The raw bytes, with those that were looked at given again, and a memory of whose fault a failure was.
struct Raw<R> {
    first: Vec<u8>,
    given: usize,
    inner: R,
    failed: bool,
}

impl<R: Read> Read for Raw<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let rest = &self.first[self.given..];
        if !rest.is_empty() {
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            self.given += count;
            return Ok(count);
        }
        loop {
            match self.inner.read(into) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = true;
                    return Err(error);
                }
                Ok(count) => return Ok(count),
            }
        }
    }
}

enum Stream<R: Read> {
    Plain(Raw<R>),
    Gzip(MultiGzDecoder<BufReader<Raw<R>>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<Raw<R>>>),
}

impl<R: Read> Stream<R> {
    fn raw_failed(&self) -> bool {
        match self {
            Stream::Plain(raw) => raw.failed,
            Stream::Gzip(decoder) => decoder.get_ref().get_ref().failed,
            Stream::Zstd(decoder) => decoder.get_ref().get_ref().failed,
        }
    }

    /// Decoded bytes. Errors of the raw reader pass as they are; a decoder's own are `UnexpectedEof` or `InvalidData`.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (name, answer) = match self {
            Stream::Plain(raw) => return raw.read(into),
            Stream::Gzip(decoder) => ("gzip", decoder.read(into)),
            Stream::Zstd(decoder) => ("zstd", decoder.read(into)),
        };
        answer.map_err(|error| match error.kind() {
            _ if self.raw_failed() => error,
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(error.kind(), format!("its {name} data is cut off: {error}"))
            }
            _ => io::Error::new(
                io::ErrorKind::InvalidData,
                format!("its {name} data is damaged, or something else follows it: {error}"),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

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

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 1).unwrap()
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
    fn packed_content_is_told_by_its_bytes() {
        let text = b"{1}\n{2}\n";
        let expected = [record("{1}", 0), record("{2}", 4)];
        let two_members = [gzip(b"{1}\n{"), gzip(b""), gzip(b"2}\n")].concat();
        let two_frames = [zstd(b"{1}\n{"), zstd(b"2}\n")].concat();
        let skippable = [&b"\x5e\x2a\x4d\x18\x02\0\0\0hi"[..], &zstd(text)].concat();
        for (bytes, encoding) in [
            (text.to_vec(), Encoding::Plain),
            (gzip(text), Encoding::Gzip),
            (two_members, Encoding::Gzip),
            (zstd(text), Encoding::Zstd),
            (two_frames, Encoding::Zstd),
            (skippable, Encoding::Zstd),
        ] {
            assert_eq!(sniff(&bytes), encoding);
            let mut reader = LineReader::new(&bytes[..], 100).unwrap();
            assert_eq!(reader.encoding(), encoding);
            assert_eq!(lines_of(&mut reader).unwrap(), expected);
            assert_eq!(reader.plain_resume(), (encoding == Encoding::Plain).then_some(8));
            assert!(reader.get_ref().is_empty(), "raw bytes left over");
        }
    }

    #[test]
    fn i1_cut_or_followed_by_something_is_an_error_that_stays() {
        let text = b"{\"a\":1}\n{\"b\":[1,2,3,4,5,6,7,8,9]}\n";
        for (name, packed) in [("gzip", gzip(text)), ("zstd", zstd(text))] {
            let twice = [&packed[..], &packed[..]].concat();
            for length in (5..packed.len()).chain(packed.len() + 1..twice.len()) {
                let error = LineReader::new(&twice[..length], 100).and_then(|mut reader| {
                    let error = lines_of(&mut reader).unwrap_err();
                    assert!(reader.next().is_err(), "an error must not turn into an end");
                    Err::<(), _>(error)
                });
                let error = error.unwrap_err();
                assert!(
                    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData),
                    "{name} {length}: {error:?}"
                );
                assert!(error.to_string().contains(name), "{error}");
            }
            for tail in [&b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"[..], b"{\"c\":1}\n", b"\n", b"\x1f"] {
                let error = read(&[&packed[..], tail].concat(), 100).unwrap_err();
                assert!(error.to_string().contains(name), "{error}");
            }
            let mut flipped = packed.clone();
            let middle = flipped.len() - 3;
            flipped[middle] ^= 0x10;
            if name == "gzip" {
                assert_eq!(read(&flipped, 100).unwrap_err().kind(), io::ErrorKind::InvalidData);
            }
        }
    }

    #[test]
    fn what_no_line_can_begin_with_is_named() {
        let error = LineReader::new(&b"\xfd7zXZ\0\0\0 more"[..], 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().contains("xz"), "{error}");
    }

    #[test]
    fn a_failure_of_the_raw_reader_passes_as_it_is() {
        #[derive(Debug)]
        struct Gone;
        impl fmt::Display for Gone {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "gone")
            }
        }
        impl std::error::Error for Gone {}
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other(Gone))
            }
        }
        let text = "{\"a\":1}\n".repeat(5);
        for packed in [text.clone().into_bytes(), gzip(text.as_bytes()), zstd(text.as_bytes())] {
            let half = &packed[..packed.len() / 2];
            let error =
                LineReader::new(half.chain(Fails), 100).and_then(|mut reader| lines_of(&mut reader)).unwrap_err();
            assert!(error.get_ref().is_some_and(|inner| inner.is::<Gone>()), "{error:?}");
        }
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
            prop_assume!(foreign(&bytes).is_none());
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
