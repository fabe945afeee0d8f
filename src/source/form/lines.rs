//! Formats of one message a line: each line becomes one line of JSON.
//!
//! Invariants: a last line without a line feed becomes one without, since more of it may come; a line longer than a
//! record may be is passed on as a JSON string of at least that length, in pieces, which the decoder quarantines whole.
//! Where reading goes on in the middle of a line, the rest of it is passed on as a JSON string, too: its beginning was
//! taken for a message before, and the rest is none.

use std::io::{self, Read};

use super::produce::{Produce, Produced};
use super::{GoingOn, text};
use crate::source::content::{Line, LineReader};

/// Reads `raw`, unpacked text, as what `convert` makes of each line that is not blank.
///
/// Errors: those of `raw`. Memory: as a [`LineReader`], and what `convert` makes of one line.
pub(super) fn open<R: Read>(
    raw: R,
    max_record: usize,
    going_on: GoingOn,
    convert: impl FnMut(&[u8], &mut Vec<u8>),
) -> io::Result<impl Read> {
    let lines = LineReader::text(raw, max_record, going_on.at == 0)?;
    Ok(Produced::new(LineConverter { lines, mid_line: going_on.mid_line, convert }))
}

struct LineConverter<R: Read, F> {
    lines: LineReader<R>,
    /// The first line is the rest of one of which the beginning is archived.
    mid_line: bool,
    convert: F,
}

impl<R: Read, F: FnMut(&[u8], &mut Vec<u8>)> Produce for LineConverter<R, F> {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let Some(line) = self.lines.next()? else { return Ok(false) };
        match line {
            Line::Record { bytes, start, terminated } => {
                if self.mid_line && start == 0 {
                    text::string(bytes, out);
                } else {
                    (self.convert)(bytes, out);
                }
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
        all(bytes, |raw| open(raw, max_record, GoingOn::default(), convert)).unwrap()
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

    #[test]
    fn i2_the_rest_of_a_line_is_no_message_of_its_own() {
        let going_on = |mid_line| {
            all(b" rest\nb\n", |raw| {
                open(raw, 100, GoingOn { at: 7, mid_line }, |line, out| out.extend_from_slice(line))
            })
        };
        assert_eq!(going_on(true).unwrap(), "\" rest\"\nb\n");
        assert_eq!(going_on(false).unwrap(), " rest\nb\n");
        let only_its_end = all(b"\nb\n", |raw| {
            open(raw, 100, GoingOn { at: 7, mid_line: true }, |line, out| out.extend_from_slice(line))
        });
        assert_eq!(only_its_end.unwrap(), "b\n");
    }
}
