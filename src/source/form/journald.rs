//! journald's JSON export (`journalctl -o json`): NDJSON whose time is microseconds in a text.
//!
//! A record passes byte for byte, behind a member `TimeGenerated` that says `__REALTIME_TIMESTAMP` as RFC 3339. Fields
//! that are no text (arrays of numbers) and fields that are there more than once (arrays) are JSON already and stay.
//! What has no such time, or a `TimeGenerated` of its own, passes as it is: the clock judges it.

use std::io::{self, Read};

use super::{GoingOn, lines, text};
use crate::record::{Member, members, time};

const TIME: &[u8] = b"TimeGenerated";
const REALTIME: &[u8] = b"__REALTIME_TIMESTAMP";

/// Reads `raw`, unpacked text, as NDJSON. Errors: those of `raw`.
pub(in crate::source) fn open<R: Read>(raw: R, max_record: usize, going_on: GoingOn) -> io::Result<impl Read> {
    let mut found = Vec::new();
    lines::open(raw, max_record, going_on, move |line, out| convert(line, &mut found, out))
}

fn convert(line: &[u8], found: &mut Vec<Member>, out: &mut Vec<u8>) {
    let start = line.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(0);
    let time = members(line, found).ok().and_then(|()| realtime(line, found));
    let begin = out.len();
    if let (Some(micros), [b'{', rest @ ..]) = (time, &line[start..]) {
        out.push(b'{');
        text::key(TIME, out);
        out.push(b'"');
        if time::print(micros, None, out) {
            out.extend_from_slice(b"\",");
            out.extend_from_slice(rest);
            return;
        }
        out.truncate(begin);
    }
    out.extend_from_slice(line);
}

/// The record's one time, if it has no other.
fn realtime(line: &[u8], members: &[Member]) -> Option<i64> {
    let named = |name: &'static [u8]| members.iter().filter(move |member| member.key.of(line) == name);
    let mut times = named(REALTIME);
    let (time, None, None) = (times.next()?, times.next(), named(TIME).next()) else { return None };
    let digits = std::str::from_utf8(time.string_body(line)?).ok()?;
    let canonical = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    canonical.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::form::produce::testing::{all, is_record};

    fn converted(text: &str) -> String {
        all(text.as_bytes(), |raw| open(raw, 10_000, GoingOn::default())).unwrap()
    }

    #[test]
    fn i9_a_record_passes_byte_for_byte_behind_its_time() {
        let record = r#""__CURSOR":"s=1;i=2", "__REALTIME_TIMESTAMP" : "1423944916375353","MESSAGE":[104,105,255],"_UDEV":["a","b"],"PRIORITY":"6","n":null}"#;
        let text = converted(&format!("{{{record}\n {{ {record}\r\n"));
        let time = r#"{"TimeGenerated":"2015-02-14T20:15:16.375353Z","#;
        assert_eq!(text, format!("{time}{record}\n{time} {record}\n"));
        assert!(text.lines().all(|line| is_record(line.as_bytes())));
    }

    #[test]
    fn i7_a_time_that_is_not_sure_is_not_said() {
        for line in [
            r"{}",
            r#"{"MESSAGE":"x"}"#,
            r#"{"__REALTIME_TIMESTAMP":1423944916375353}"#,
            r#"{"__REALTIME_TIMESTAMP":""}"#,
            r#"{"__REALTIME_TIMESTAMP":"01423944916375353"}"#,
            r#"{"__REALTIME_TIMESTAMP":"-5"}"#,
            r#"{"__REALTIME_TIMESTAMP":"1e3"}"#,
            r#"{"__REALTIME_TIMESTAMP":"9223372036854775807"}"#,
            r#"{"__REALTIME_TIMESTAMP":"99999999999999999999"}"#,
            r#"{"__REALTIME_TIMESTAMP":"1423944916375353","__REALTIME_TIMESTAMP":"1423944916375354"}"#,
            r#"{"TimeGenerated":"x","__REALTIME_TIMESTAMP":"1423944916375353"}"#,
            r#"{"__REALTIME_TIMESTAMP":"1423944916375353""#,
            r#"["__REALTIME_TIMESTAMP","1423944916375353"]"#,
            "no JSON",
        ] {
            assert_eq!(converted(&format!("{line}\n")), format!("{line}\n"));
            assert_eq!(converted(line), line, "its end is as it was");
        }
    }

    #[test]
    fn i1_bytes_that_are_no_text_stay() {
        let line = b"{\"__REALTIME_TIMESTAMP\":\"1423944916375353\",\"a\":\"\xe9\"}";
        let mut out = Vec::new();
        open(&line[..], 1000, GoingOn::default()).unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(out, line);
    }
}
