//! CSV: rows of a table below a row of names, each as a JSON object whose values are strings.
//!
//! RFC 4180: commas, double quotes, rows that end with LF or CRLF, line ends inside quotes. Invariants: a value is the
//! field's text exactly, an empty one `""`. A row that does not fit (other fields than names, a quote that closes in the
//! middle of a field, a quote that never closes) is given as a JSON string of its own text: that is no record, so the
//! decoder quarantines it, whole (I1). Nothing is guessed: no types, no nulls, no other delimiter.
//! Memory: one row (I11). A row longer than a record may be is an error, since nobody knows where the next begins.

use std::io::{self, Read};

use csv_core::{ReadRecordResult, Reader};

use super::produce::{Produce, Produced, damaged, read_some};
use super::text;
use crate::source::content::BYTE_ORDER_MARK;

const BUFFER_BYTES: usize = 64 * 1024;

/// Reads `raw`, unpacked text, as NDJSON. Its first `read` bytes were given before: of them only the names are taken, and
/// a row that goes on behind them is given as the rest of its text, which is no record.
///
/// Errors: those of `raw`; `InvalidData` for names that cannot be read and for a row of more than `max_record` bytes.
pub(in crate::source) fn open<R: Read>(raw: R, max_record: usize, read: u64) -> io::Result<impl Read> {
    Ok(Produced::new(Table {
        rows: Rows {
            raw,
            reader: Reader::new(),
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            position: 0,
            ended: false,
            max_row: max_record,
            row: Row { number: 0, raw: Vec::new(), fields: vec![0; 1024], ends: vec![0; 64], count: 0 },
        },
        keys: None,
        read,
    }))
}

struct Table<R> {
    rows: Rows<R>,
    /// Each name as JSON, with its colon.
    keys: Option<Vec<Vec<u8>>>,
    /// Bytes of which the rows were given before.
    read: u64,
}

impl<R: Read> Produce for Table<R> {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        if !self.rows.next()? {
            return Ok(false);
        }
        let row = &self.rows.row;
        let Some(keys) = &self.keys else {
            self.keys = Some(keys_of(row)?);
            return Ok(true);
        };
        let text = row.text();
        let start = self.rows.position - row.raw.len() as u64 + row.blank() as u64;
        let known = usize::try_from(self.read.saturating_sub(start)).unwrap_or(usize::MAX).min(text.len());
        if known == text.len() && start < self.read {
            return Ok(true);
        }
        if known > 0 {
            text::string(&text[known..], out);
        } else if row.count == keys.len() && is_well_quoted(text) {
            let mut before = b'{';
            for (key, field) in keys.iter().zip(row.fields()) {
                out.push(before);
                out.extend_from_slice(key);
                text::string(field, out);
                before = b',';
            }
            out.push(b'}');
        } else {
            text::string(text, out);
        }
        // Without a line end it may be half a row: then it is half a line.
        if row.raw.ends_with(b"\n") || row.raw.ends_with(b"\r") {
            out.push(b'\n');
        }
        Ok(true)
    }
}

fn keys_of(row: &Row) -> io::Result<Vec<Vec<u8>>> {
    if !is_well_quoted(row.text()) || std::str::from_utf8(row.text()).is_err() {
        return Err(damaged(
            "the first row of its CSV, which should name the columns, has a stray quote or is no UTF-8",
        ));
    }
    let key = |name: &[u8]| {
        let mut key = Vec::new();
        text::string(name, &mut key);
        key.push(b':');
        key
    };
    Ok(row.fields().map(key).collect())
}

/// True if each field is quoted from its first to its last character, or does not begin with a quote.
fn is_well_quoted(row: &[u8]) -> bool {
    let mut rest = row;
    loop {
        let after = match rest {
            [b'"', inner @ ..] => {
                let Some(close) = closing_quote(inner) else { return false };
                &inner[close + 1..]
            }
            _ => &rest[memchr::memchr(b',', rest).unwrap_or(rest.len())..],
        };
        match after {
            [] => return true,
            [b',', next @ ..] => rest = next,
            _ => return false,
        }
    }
}

/// The place of the quote that is not doubled.
fn closing_quote(inner: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let quote = from + memchr::memchr(b'"', &inner[from..])?;
        if inner.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        from = quote + 2;
    }
}

/// One row, as it was written and as its fields.
struct Row {
    /// Rows before it, the names among them.
    number: u64,
    raw: Vec<u8>,
    /// The fields' texts, one after the other; only the first `ends[count - 1]` bytes are of this row.
    fields: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

impl Row {
    /// As it was written, without line ends before and after it.
    fn text(&self) -> &[u8] {
        let text = &self.raw[self.blank()..];
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        text.strip_suffix(b"\r").unwrap_or(text)
    }

    /// Bytes of line ends before it.
    fn blank(&self) -> usize {
        self.raw.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
    }

    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends[..self.count].iter().map(move |&end| &self.fields[std::mem::replace(&mut start, end)..end])
    }
}

struct Rows<R> {
    raw: R,
    reader: Reader,
    buffer: Vec<u8>,
    /// What of the buffer is read and not yet a row.
    start: usize,
    end: usize,
    /// Bytes that were taken from `raw` until the row's end.
    position: u64,
    ended: bool,
    max_row: usize,
    row: Row,
}

impl<R: Read> Rows<R> {
    /// Reads the next row; `false`: there is none.
    fn next(&mut self) -> io::Result<bool> {
        if self.row.number == 0 {
            self.skip_byte_order_mark()?;
        }
        self.row.number += 1;
        self.row.raw.clear();
        self.row.count = 0;
        let mut written = 0;
        loop {
            if self.start == self.end && !self.ended {
                self.start = 0;
                self.end = read_some(&mut self.raw, &mut self.buffer)?;
                self.ended = self.end == 0;
            }
            let row = &mut self.row;
            let (result, taken, fields, ends) = self.reader.read_record(
                &self.buffer[self.start..self.end],
                &mut row.fields[written..],
                &mut row.ends[row.count..],
            );
            row.raw.extend_from_slice(&self.buffer[self.start..self.start + taken]);
            self.start += taken;
            self.position += taken as u64;
            written += fields;
            row.count += ends;
            match result {
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::End => return Ok(false),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => row.fields.resize(row.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => row.ends.resize(row.ends.len() * 2, 0),
            }
            if row.raw.len() > self.max_row {
                return Err(damaged(format!(
                    "row {} of its CSV is longer than {} bytes, the most a record may have at this memory; a quote that \
                     is never closed does that too",
                    row.number, self.max_row
                )));
            }
        }
    }

    fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        while self.end < BYTE_ORDER_MARK.len() && !self.ended {
            let count = read_some(&mut self.raw, &mut self.buffer[self.end..])?;
            self.end += count;
            self.ended = count == 0;
        }
        if self.buffer[..self.end].starts_with(BYTE_ORDER_MARK) {
            self.start = BYTE_ORDER_MARK.len();
            self.position = BYTE_ORDER_MARK.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::form::produce::testing::{all, is_record, values};

    fn converted(text: &[u8]) -> io::Result<String> {
        all(text, |raw| open(raw, 10_000, 0))
    }

    #[test]
    fn each_row_becomes_an_object_of_strings() {
        let text = converted(b"\xef\xbb\xbfTimeGenerated,Account,\"Note, long\"\r\n2024-03-01T00:00:00Z,alice,\r\n,007,\"a \"\"b\"\",\r\nc\"\r\n").unwrap();
        assert_eq!(
            values(&text),
            [
                json!({"TimeGenerated": "2024-03-01T00:00:00Z", "Account": "alice", "Note, long": ""}),
                json!({"TimeGenerated": "", "Account": "007", "Note, long": "a \"b\",\r\nc"}),
            ]
        );
        assert!(text.starts_with("{\"TimeGenerated\":\"2024-03-01T00:00:00Z\",\"Account\":\"alice\","), "{text}");
    }

    #[test]
    fn names_alone_and_nothing_at_all_are_no_rows() {
        for text in [&b""[..], b"\xef\xbb\xbf", b"a,b", b"a,b\n", b"\n\na,b\n\n"] {
            assert_eq!(converted(text).unwrap(), "");
        }
    }

    #[test]
    fn values_stay_exactly_as_they_are() {
        let text = converted("a,b\n 1 ,\"\t\"\n5\" disk,x\n\u{1},🦀\n".as_bytes()).unwrap();
        let values = values(&text);
        assert_eq!(
            values,
            [json!({"a": " 1 ", "b": "\t"}), json!({"a": "5\" disk", "b": "x"}), json!({"a": "\u{1}", "b": "🦀"})]
        );
    }

    #[test]
    fn i1_a_row_that_does_not_fit_comes_whole_and_is_no_record() {
        let misfits = ["1", "1,2,3", "{\"a\":1}", "\"x\"y,2", "\"1\"\n2\",3,4", "K\u{f6}ln,1,2"];
        for misfit in misfits {
            let text = converted(format!("a,b\n0,0\n{misfit}\n9,9\n").as_bytes()).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            let back: Vec<String> = lines
                .iter()
                .filter(|line| !is_record(line.as_bytes()))
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(back.join("\n"), misfit, "{text}");
            assert!(lines[0] == "{\"a\":\"0\",\"b\":\"0\"}" && lines[lines.len() - 1] == "{\"a\":\"9\",\"b\":\"9\"}");
        }
    }

    #[test]
    fn i1_a_quote_that_is_never_closed_takes_nothing_away() {
        let text = converted(b"a,b\n1,2\n\"open,3\n4,5\n").unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "{\"a\":\"1\",\"b\":\"2\"}");
        assert_eq!(serde_json::from_str::<String>(lines[1]).unwrap(), "\"open,3\n4,5");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn i1_bytes_that_are_no_text_are_quarantined_as_they_are() {
        let mut out = Vec::new();
        open(&b"a,b\nK\xf6ln,1\n\xff\n"[..], 100, 0).unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(out, b"{\"a\":\"K\xf6ln\",\"b\":\"1\"}\n\"\xff\"\n");
        assert!(out.split(|&byte| byte == b'\n').all(|line| !is_record(line)));
    }

    #[test]
    fn i2_a_table_that_grew_gives_only_what_is_new() {
        for end in ["\n", "\r\n"] {
            let text = "\u{feff}a,b\n1,2\n\"3\n\",4\n5,6\n\n7,8\n".replace('\n', end);
            let whole: Vec<String> = converted(text.as_bytes()).unwrap().lines().map(String::from).collect();
            assert_eq!(whole.len(), 4);
            for cut in 0..=text.len() {
                let before = converted(&text.as_bytes()[..cut]);
                let Ok(before) = before else { continue };
                let after = all(text.as_bytes(), |raw| open(raw, 10_000, cut as u64)).unwrap();
                let records = |part: &str| -> Vec<String> {
                    part.lines().filter(|line| is_record(line.as_bytes())).map(String::from).collect()
                };
                // A row in whose middle it was cut is not there as a row twice.
                let (before, after) = (records(&before), records(&after));
                assert!(before.len() + after.len() <= whole.len(), "{cut}: {before:?} {after:?}");
                assert!(after == whole[whole.len() - after.len()..], "{cut}: {after:?}");
                let sure = before.len().saturating_sub(1);
                assert!(before[..sure] == whole[..sure], "{cut}: {before:?}");
                assert!(before.len() + after.len() + 1 >= whole.len(), "{cut}: one is cut at most");
            }
        }
        let rest = all(b"a,b\n1,234\n5,6\n", |raw| open(raw, 100, 7)).unwrap();
        assert_eq!(rest, "\"34\"\n{\"a\":\"5\",\"b\":\"6\"}\n");
    }

    #[test]
    fn a_last_row_without_an_end_is_a_line_without_one() {
        assert_eq!(converted(b"a,b\n1,2").unwrap(), "{\"a\":\"1\",\"b\":\"2\"}");
    }

    #[test]
    fn i11_a_row_too_long_and_names_that_cannot_be_are_errors() {
        let error = converted(format!("a,b\n1,\"{}\n", "x,y\n".repeat(20_000)).as_bytes()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().starts_with("row 2 of its CSV is longer than 10000 bytes"), "{error}");
        for names in [&b"\"a\"b,c\n1,2\n"[..], b"a,\xff\n1,2\n"] {
            assert_eq!(converted(names).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn many_columns_and_long_fields_fit() {
        let names: Vec<String> = (0..500).map(|n| format!("c{n}")).collect();
        let row: Vec<String> = (0..500).map(|n| format!("{n:015}")).collect();
        let text = converted(format!("{}\n{}\n", names.join(","), row.join(",")).as_bytes()).unwrap();
        assert_eq!(values(&text)[0]["c499"], "000000000000499");
    }
}
