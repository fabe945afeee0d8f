//! Whatever stands in a text, the text formats read it to its end and lose nothing of it (I1, I12).

use std::io::Read;

use proptest::prelude::*;

use super::{GoingOn, auditd, csv, journald, syslog};
use crate::source::form::produce::testing::is_record;

/// Pieces of which messages are made, and what breaks them.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"<34>"[..],
        b"1 ",
        b"Oct 11 22:14:15",
        b"2024-03-01T00:00:00Z",
        b"-",
        b" ",
        b"[a b=\"c\"]",
        b"[a",
        b"host",
        b"app[1]:",
        b"type=",
        b"msg=audit(1.0:1):",
        b"msg='",
        b"k=\"v\"",
        b"=",
        b"'",
        b"\"",
        b",",
        b"\n",
        b"\r",
        b"{",
        b"\"__REALTIME_TIMESTAMP\":\"1\"",
        b"}",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\0",
        b"\x1d",
        b"\\",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn read(mut reader: impl Read) -> Vec<u8> {
    let mut out = Vec::new();
    reader.read_to_end(&mut out).unwrap();
    out
}

/// Lines that are not blank, as each reader of lines sees them.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let cut = text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    cut.filter(|line| !line.iter().all(u8::is_ascii_whitespace)).collect()
}

proptest! {
    #[test]
    fn i1_each_line_is_a_record_with_the_line_in_it(text in texts()) {
        let converted = [
            (&b"\"Raw\":"[..], read(syslog::open(&text[..], 10_000, GoingOn::default(), None).unwrap())),
            (b"\"RawRecord\":", read(auditd::open(&text[..], 10_000, GoingOn::default()).unwrap())),
        ];
        for (key, out) in converted {
            let (found, given) = (lines(&out), lines(&text));
            prop_assert_eq!(found.len(), given.len());
            for (line, original) in found.into_iter().zip(given) {
                prop_assert_eq!(is_record(line), std::str::from_utf8(original).is_ok());
                let mut raw = key.to_vec();
                super::text::string(original, &mut raw);
                let kept = line.ends_with(&[&raw[..], b"}"].concat());
                prop_assert!(kept);
            }
        }
    }

    #[test]
    fn i1_journald_adds_and_takes_nothing(text in texts()) {
        let out = read(journald::open(&text[..], 10_000, GoingOn::default()).unwrap());
        // A second carriage return is the line's own.
        let found = out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let given = lines(&text);
        prop_assert_eq!(found.clone().count(), given.len());
        for (line, original) in found.zip(given) {
            let kept = line.ends_with(original.trim_ascii_start().strip_prefix(b"{").unwrap_or(original));
            prop_assert!(kept);
        }
    }

    #[test]
    fn i1_csv_gives_rows_of_the_names_or_what_is_no_record(text in texts()) {
        let mut out = Vec::new();
        if csv::open(&text[..], 10_000, 0).unwrap().read_to_end(&mut out).is_err() {
            return Ok(());
        }
        for line in lines(&out) {
            let fits = line.starts_with(b"{") || (line.starts_with(b"\"") && !is_record(line));
            prop_assert!(fits);
        }
    }
}
