//! The elements of JSON arrays as lines: of arrays as they stand, or in envelopes (`{"records":[…]}`).
//!
//! Elements pass byte for byte, and are never made into values: only line ends between their tokens become spaces, which
//! whitespace may (I9). So a long element needs no memory. What an element holds is not judged here; a broken one that
//! still ends where an element may end is one line, which the decoder refuses. What would not come out line by line is
//! `InvalidData`: other members of an envelope, which a record has no place for, line feeds within a text, and
//! whatever is not in the form.

use std::io::{self, Read};

use super::RECORDS;
use crate::source::content::BYTE_ORDER_MARK;

/// What stands around the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrap {
    /// `{"records":[…]}`, one or many, the name in any case.
    Records,
    /// `[…]`, one or many.
    Array,
}

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Reads content as lines. Memory: 64 KiB twice.
pub(super) struct Elements<R: Read> {
    content: R,
    read: u64,
    scanner: Scanner,
    buffer: Vec<u8>,
    lines: Vec<u8>,
    given: usize,
    ended: bool,
    failed: Option<String>,
}

impl<R: Read> Elements<R> {
    /// Of the first `read` bytes the elements were given before.
    pub(super) fn new(content: R, wrap: Wrap, read: u64) -> Self {
        Elements {
            content,
            read,
            scanner: Scanner::new(wrap),
            buffer: vec![0; BUFFER_BYTES],
            lines: Vec::new(),
            given: 0,
            ended: false,
            failed: None,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let count = self.content.read(&mut self.buffer)?;
        self.lines.clear();
        self.given = 0;
        self.ended = count == 0;
        let known = usize::try_from(self.read.saturating_sub(self.scanner.position)).unwrap_or(count).min(count);
        let (known, new) = self.buffer[..count].split_at(known);
        let mut done = self.scanner.push(known, &mut self.lines);
        self.lines.clear();
        if done.is_ok() {
            done = if self.ended { self.scanner.finish() } else { self.scanner.push(new, &mut self.lines) };
        }
        done.map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, self.failed.insert(reason).clone()))
    }
}

impl<R: Read> Read for Elements<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(reason) = &self.failed {
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason.clone()));
        }
        while self.given == self.lines.len() && !self.ended {
            self.fill()?;
        }
        let rest = &self.lines[self.given..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

/// Where in the content the scanner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// So many bytes of a byte order mark at the very beginning.
    Mark(usize),
    /// Around arrays and envelopes.
    Outside,
    /// In an envelope, before its first name, in it, and after it.
    Name,
    InName,
    Colon,
    Opening,
    /// Before the first element, and before another.
    First,
    Next,
    /// In an element: between the tokens of an object or array, in a text, behind a `\` of a text, in another scalar.
    Inside,
    Text,
    Escape,
    Scalar,
    /// Behind an element, and behind the array of an envelope.
    After,
    Closing,
}

/// Takes content in any pieces.
struct Scanner {
    wrap: Wrap,
    at: At,
    /// Open brackets of the element.
    depth: u64,
    /// Of the envelope's first member, as far as it is worth telling.
    name: Vec<u8>,
    /// Bytes that were taken.
    position: u64,
}

/// A longer name is not told whole.
const NAME_BYTES: usize = 64;

impl Scanner {
    fn new(wrap: Wrap) -> Self {
        Scanner { wrap, at: At::Mark(0), depth: 0, name: Vec::new(), position: 0 }
    }

    /// Takes the next piece and adds what of it belongs to elements, each with a line feed behind it.
    fn push(&mut self, piece: &[u8], lines: &mut Vec<u8>) -> Result<(), String> {
        let mut taken = 0;
        while taken < piece.len() {
            let rest = &piece[taken..];
            let count = match self.at {
                At::Inside => self.inside(rest, lines),
                At::Text => self.text(rest, lines)?,
                _ => self.step(rest[0], lines)?,
            };
            taken += count;
            self.position += count as u64;
        }
        Ok(())
    }

    /// The content is over.
    fn finish(&self) -> Result<(), String> {
        match self.at {
            At::Outside | At::Mark(0) => Ok(()),
            _ => Err(format!("its JSON breaks off at byte {}: {}", self.position, self.expects())),
        }
    }

    /// Goes on within an object or array up to a byte that matters.
    fn inside(&mut self, bytes: &[u8], lines: &mut Vec<u8>) -> usize {
        let matters = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b'\n' | b'\r');
        let plain = bytes.iter().position(matters).unwrap_or(bytes.len());
        lines.extend_from_slice(&bytes[..plain]);
        let Some(&byte) = bytes.get(plain) else { return plain };
        match byte {
            b'\n' | b'\r' => {
                lines.push(b' ');
                return plain + 1;
            }
            b'"' => self.at = At::Text,
            b'{' | b'[' => self.depth += 1,
            _ => self.depth -= 1,
        }
        lines.push(byte);
        if self.depth == 0 && self.at == At::Inside {
            self.end(lines);
        }
        plain + 1
    }

    /// Goes on within a text up to its end or a `\`.
    fn text(&mut self, bytes: &[u8], lines: &mut Vec<u8>) -> Result<usize, String> {
        let plain = memchr::memchr3(b'"', b'\\', b'\n', bytes).unwrap_or(bytes.len());
        lines.extend_from_slice(&bytes[..plain]);
        let Some(&byte) = bytes.get(plain) else { return Ok(plain) };
        match byte {
            b'\\' => self.at = At::Escape,
            b'"' => self.at = At::Inside,
            // Two lines would come of it, of which the second may look like a record that nobody wrote.
            _ => return Err(self.line_feed(plain)),
        }
        lines.push(byte);
        if self.depth == 0 && self.at == At::Inside {
            self.end(lines);
        }
        Ok(plain + 1)
    }

    /// Takes one byte, or none if it ends what went before it.
    fn step(&mut self, byte: u8, lines: &mut Vec<u8>) -> Result<usize, String> {
        let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        match (self.at, byte) {
            (At::Mark(seen), _) if byte == BYTE_ORDER_MARK[seen] => {
                self.at = if seen + 1 < BYTE_ORDER_MARK.len() { At::Mark(seen + 1) } else { At::Outside };
            }
            (At::Mark(0), _) => {
                self.at = At::Outside;
                return Ok(0);
            }
            (At::Scalar, b',' | b']') => {
                self.end(lines);
                return Ok(0);
            }
            (At::Scalar, _) if blank => self.end(lines),
            (At::Scalar, _) => lines.push(byte),
            (At::Escape, b'\n') => return Err(self.line_feed(0)),
            (At::Escape, _) => {
                lines.push(byte);
                self.at = At::Text;
            }
            (At::InName, b'"') => {
                if !self.name.eq_ignore_ascii_case(RECORDS) {
                    let name = String::from_utf8_lossy(&self.name);
                    return Err(format!("its envelope begins with `{name}`, not with the array `records`"));
                }
                self.at = At::Colon;
            }
            (At::InName, _) => {
                if self.name.len() < NAME_BYTES {
                    self.name.push(byte);
                }
            }
            (at, _) if blank && !matches!(at, At::Mark(_)) => {}
            (At::Outside, b'{') if self.wrap == Wrap::Records => {
                self.name.clear();
                self.at = At::Name;
            }
            (At::Outside, b'[') if self.wrap == Wrap::Array => self.at = At::First,
            (At::Name, b'"') => self.at = At::InName,
            (At::Colon, b':') => self.at = At::Opening,
            (At::Opening, b'[') => self.at = At::First,
            (At::First, b']') | (At::After, b']') => {
                self.at = if self.wrap == Wrap::Records { At::Closing } else { At::Outside };
            }
            (At::First | At::Next, b'{' | b'[') => {
                lines.push(byte);
                (self.at, self.depth) = (At::Inside, 1);
            }
            (At::First | At::Next, b'"') => {
                lines.push(byte);
                self.at = At::Text;
            }
            (At::First | At::Next, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                lines.push(byte);
                self.at = At::Scalar;
            }
            (At::After, b',') => self.at = At::Next,
            (At::Closing, b'}') => self.at = At::Outside,
            (At::Closing, b',') => {
                return Err(
                    "its envelope has other members beside `records`; a record has no place for them, and they \
                            would be lost"
                        .into(),
                );
            }
            _ => {
                let found = byte.escape_ascii();
                return Err(format!("its JSON has `{found}` at byte {}, where {}", self.position, self.expects()));
            }
        }
        Ok(1)
    }

    fn end(&mut self, lines: &mut Vec<u8>) {
        lines.push(b'\n');
        self.at = At::After;
    }

    fn line_feed(&self, ahead: usize) -> String {
        let at = self.position + ahead as u64;
        format!("its JSON has a line feed within a text, at byte {at}; JSON writes it as `\\n`")
    }

    /// What may stand here, to be told.
    fn expects(&self) -> &'static str {
        match (self.at, self.wrap) {
            (At::Outside, Wrap::Records) => "another envelope `{\"records\":[…]}` or the end is expected",
            (At::Outside, Wrap::Array) => "another array or the end is expected",
            (At::Mark(_), _) => "a byte order mark is begun",
            (At::Name | At::InName | At::Colon | At::Opening, _) => "the array `records` of an envelope is expected",
            (At::First, _) => "a record or the array's end is expected",
            (At::Next, _) => "a record is expected",
            (At::Inside | At::Text | At::Escape | At::Scalar, _) => "a record is not at its end",
            (At::After, _) => "a comma or the array's end is expected",
            (At::Closing, _) => "the envelope's end is expected",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines, in pieces of `size` bytes.
    fn lines(wrap: Wrap, content: &str, size: usize) -> Result<String, String> {
        let (mut scanner, mut lines) = (Scanner::new(wrap), Vec::new());
        for piece in content.as_bytes().chunks(size) {
            scanner.push(piece, &mut lines)?;
        }
        scanner.finish()?;
        Ok(String::from_utf8(lines).unwrap())
    }

    fn each_way(wrap: Wrap, content: &str) -> Result<String, String> {
        let whole = lines(wrap, content, usize::MAX);
        for size in 1..=content.len() {
            assert_eq!(lines(wrap, content, size), whole, "pieces of {size}");
        }
        whole
    }

    #[test]
    fn envelopes_in_every_shape() {
        let two = "{\"a\":1}\n{\"b\":\"}]\\\",{\"}\n";
        for content in [
            r#"{"records":[{"a":1},{"b":"}]\",{"}]}"#,
            "\u{feff}{\"Records\" : [ {\"a\":1} , {\"b\":\"}]\\\",{\"} ] }\r\n",
            "{\"records\":[{\"a\":1}]}\n{\"records\":[]}\r\n{\"RECORDS\":[{\"b\":\"}]\\\",{\"}]}",
        ] {
            assert_eq!(each_way(Wrap::Records, content).unwrap(), two, "{content}");
        }
        let pretty = "{\r\n  \"records\": [\r\n    {\r\n      \"a\": [1,\n 2]\r\n    }\r\n  ]\r\n}\r\n";
        assert_eq!(each_way(Wrap::Records, pretty).unwrap(), "{        \"a\": [1,  2]      }\n");
        assert_eq!(each_way(Wrap::Records, " \n").unwrap(), "");
    }

    #[test]
    fn arrays_and_what_is_no_object() {
        let content = "[{\"a\":{}}, 1 ,\"x, ]\",[[1],{}],null,-2.5e3]\n[]\n[true]";
        let expected = "{\"a\":{}}\n1\n\"x, ]\"\n[[1],{}]\nnull\n-2.5e3\ntrue\n";
        assert_eq!(each_way(Wrap::Array, content).unwrap(), expected);
        // Broken in itself, but an element: the decoder refuses its line.
        assert_eq!(each_way(Wrap::Array, "[{\"a\":[1},2},{}]").unwrap(), "{\"a\":[1},2}\n{}\n");
        assert_eq!(each_way(Wrap::Array, "[{\"a\":{1]},{}]").unwrap(), "{\"a\":{1]}\n{}\n");
        assert_eq!(each_way(Wrap::Array, "[nil,12x]").unwrap(), "nil\n12x\n");
    }

    #[test]
    fn i1_what_would_be_lost_or_is_not_in_form_is_an_error() {
        for (wrap, content, reason) in [
            (Wrap::Records, r#"{"records":[{}],"count":1}"#, "other members beside `records`"),
            (Wrap::Records, r#"{"count":1,"records":[{}]}"#, "begins with `count`"),
            (Wrap::Records, r#"{"records":[{}]} x"#, "has `x` at byte 17"),
            (Wrap::Records, r#"{"records":[{}]"#, "breaks off at byte 15: the envelope's end"),
            (Wrap::Records, r#"{"records":[{"a":"#, "a record is not at its end"),
            (Wrap::Records, r#"{"records":[{}"#, "breaks off"),
            (Wrap::Records, r#"{"records":null}"#, "has `n` at byte 11, where the array"),
            (Wrap::Records, r#"{"records":[{}]}{"a":1}"#, "begins with `a`"),
            (Wrap::Records, "{}", "where the array `records`"),
            (Wrap::Array, "[{},]", "has `]` at byte 4, where a record is expected"),
            (Wrap::Array, "[{}{}]", "where a comma"),
            (Wrap::Array, "[\u{feff}{}]", "has `\\xef` at byte 1"),
            (Wrap::Array, "[{}],[{}]", "where another array"),
            (Wrap::Array, "[{\"a\":\"x\n{}\ny\"}]", "a line feed within a text, at byte 8"),
            (Wrap::Array, "[{\"a\":\"x\\\n\"}]", "a line feed within a text, at byte 9"),
            (Wrap::Array, "\u{feff}\u{feff}[]", "has `\\xef` at byte 3"),
            (Wrap::Array, "\u{f000}[]", "has `\\x80` at byte 1, where a byte order mark"),
        ] {
            let error = each_way(wrap, content).unwrap_err();
            assert!(error.contains(reason), "{content}: {error}");
        }
    }

    #[test]
    fn i11_a_long_record_needs_no_memory_and_an_error_comes_again() {
        let long = "x".repeat(BUFFER_BYTES);
        let head = io::Cursor::new(format!("[{{\"a\":\"{long}"));
        let mut elements = Elements::new(head.chain(io::repeat(b'y').take(20 << 20)), Wrap::Array, 0);
        let error = io::copy(&mut elements, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(elements.lines.capacity() <= 2 * BUFFER_BYTES, "{}", elements.lines.capacity());
        assert_eq!(elements.read(&mut [0; 9]).unwrap_err().to_string(), error.to_string());
    }
}
