//! Formats of one message a line: each line becomes one line of JSON.
//!
//! Invariants: a last line without a line feed becomes one without, since more of it may come; a line longer than a
//! record may be is passed on as a JSON string of at least that length, in pieces, which the decoder quarantines whole.

use std::io::{self, Read};

use super::produce::{Produce, Produced};
use super::text;
use crate::source::content::{Line, LineReader};

/// Reads `raw`, unpacked text, as what `convert` makes of each line that is not blank.
///
/// Errors: those of `raw`. Memory: as a [`LineReader`], and what `convert` makes of one line.
pub(super) fn open<R: Read>(
    raw: R,
    max_record: usize,
    convert: impl FnMut(&[u8], &mut Vec<u8>),
) -> io::Result<impl Read> {
    Ok(Produced::new(LineConverter { lines: LineReader::plain(raw, max_record)?, convert }))
}

struct LineConverter<R: Read, F> {
    lines: LineReader<R>,
    convert: F,
}

impl<R: Read, F: FnMut(&[u8], &mut Vec<u8>)> Produce for LineConverter<R, F> {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let Some(line) = self.lines.next()? else { return Ok(false) };
        match line {
            Line::Record { bytes, terminated, .. } => {
                (self.convert)(bytes, out);
                if terminated {
                    out.push(b'\n');
                }
            }
            Line::Oversized { bytes, first, last, .. } => {
                if first {
                    out.push(b'"');
                }
                text::inside(bytes, out);
                if last {
                    out.extend_from_slice(b"\"\n");
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::form::produce::testing::{all, is_record};

    fn converted(bytes: &[u8], max_record: usize) -> String {
        let convert = |line: &[u8], out: &mut Vec<u8>| {
            out.push(b'{');
            text::member(b"line", line, out);
            out.push(b'}');
        };
        all(bytes, |raw| open(raw, max_record, convert)).unwrap()
    }

    #[test]
    fn each_line_becomes_one() {
        assert_eq!(converted(b"", 100), "");
        assert_eq!(converted(b"\xef\xbb\xbfa\r\n\n  \nb\n", 100), "{\"line\":\"a\"}\n{\"line\":\"b\"}\n");
        assert_eq!(converted(b"a\nb", 100), "{\"line\":\"a\"}\n{\"line\":\"b\"}", "more of it may come");
    }

    #[test]
    fn i11_a_line_that_is_too_long_stays_too_long_and_is_no_record() {
        let long = format!("{{{}}}\n", "\"\t".repeat(300_000));
        let text = converted(format!("a\n{long}b\n").as_bytes(), 1000);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[2]), (3, "{\"line\":\"a\"}", "{\"line\":\"b\"}"));
        assert!(lines[1].len() > 1000 && !is_record(lines[1].as_bytes()));
        let back: String = serde_json::from_str(lines[1]).unwrap();
        assert_eq!(back, long.trim_end());
    }

    #[test]
    fn whatever_it_looks_like_it_is_text() {
        let text = converted(b"PAR1\n\x1f\x8b\n", 100);
        assert_eq!(text.lines().count(), 2);
    }
}
