//! syslog as text, a message a line: RFC 5424, RFC 3164, and what rsyslog and journald write into files (a time of either
//! kind, no priority).
//!
//! The members have the names of the catalogue's `Syslog` table; `Raw` is the line as it was, so that nothing is lost
//! (I1). Invariant: never a wrong time. A time without a year and a zone is given as `TimeGenerated` only where the
//! object's folder proves its UTC day: read as UTC it lies within the object's period, and that is a day at most.
//! A line whose time is not proven, or that is no syslog, has no `TimeGenerated`; the clock then quarantines it.

use std::io::{self, Read};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{GoingOn, lines, text};
use crate::record::time;
use crate::source::layout::Period;

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// `Mmm dd hh:mm:ss`
const BSD_TIME_BYTES: usize = 15;
/// What RFC 5424 writes for a value that is not there.
const NIL: &[u8] = b"-";

/// Reads `raw`, unpacked text, as NDJSON. `period`: that of the object, as its path tells it. Errors: those of `raw`.
pub(in crate::source) fn open<R: Read>(
    raw: R,
    max_record: usize,
    going_on: GoingOn,
    period: Option<Period>,
) -> io::Result<impl Read> {
    lines::open(raw, max_record, going_on, move |line, out| convert(line, period, out))
}

fn convert(line: &[u8], period: Option<Period>, out: &mut Vec<u8>) {
    out.push(b'{');
    let start = out.len();
    if message(line, period, out).is_none() {
        out.truncate(start);
    }
    text::member(b"Raw", line, out);
    out.push(b'}');
}

/// Appends the members of a message; `None`, and perhaps some of them, if the line is none.
fn message(line: &[u8], period: Option<Period>, out: &mut Vec<u8>) -> Option<()> {
    let (priority, rest) = read_priority(line)?;
    let modern = rest.strip_prefix(b"1 ").filter(|_| priority.is_some());
    let after_time = match modern {
        Some(rest) => {
            let (spelled, rest) = word(rest)?;
            if spelled != NIL {
                zoned_time(spelled, out)?;
            }
            rest
        }
        None => match rest.split_at_checked(BSD_TIME_BYTES).filter(|(spelled, _)| bsd_time(spelled, 2000).is_some()) {
            Some((spelled, rest)) => {
                if let Some(at) = period.and_then(|period| proven(spelled, period)) {
                    text::member(b"TimeGenerated", at.to_string().as_bytes(), out);
                }
                rest.strip_prefix(b" ")?
            }
            None => {
                let (spelled, rest) = word(rest)?;
                zoned_time(spelled, out)?;
                rest
            }
        },
    };
    if let Some(priority) = priority {
        text::member(b"Facility", FACILITIES[usize::from(priority / 8)].as_bytes(), out);
        text::member(b"SeverityLevel", SEVERITIES[usize::from(priority % 8)].as_bytes(), out);
    }
    if modern.is_some() { modern_body(after_time, out) } else { bsd_body(after_time, out) }
}

/// `HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG]` of RFC 5424.
fn modern_body(rest: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (host, rest) = word(rest)?;
    let (name, rest) = word(rest)?;
    let (process, rest) = word(rest)?;
    let (id, rest) = word(rest)?;
    host_members(host, out);
    for (key, value) in [(&b"ProcessName"[..], name), (b"MsgId", id)] {
        if value != NIL {
            text::member(key, value, out);
        }
    }
    if process != NIL {
        text::integer_member(b"ProcessID", process, out);
    }
    let message = match rest.strip_prefix(NIL) {
        Some(message) => message,
        None => {
            text::key(b"StructuredData", out);
            structured_data(rest, out)?
        }
    };
    match message {
        [] => {}
        [b' ', message @ ..] => {
            let message = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message);
            text::member(b"SyslogMessage", message, out);
        }
        _ => return None,
    }
    Some(())
}

/// `HOSTNAME TAG[PID]: MSG`; a name with a colon at once is a tag, since what writes locally leaves the host out.
fn bsd_body(rest: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (first, after) = word(rest).unwrap_or((rest, b""));
    let (host, body) = if first.ends_with(b":") { (NIL, rest) } else { (first, after) };
    if host.is_empty() {
        return None;
    }
    host_members(host, out);
    let tag = &body[..memchr::memchr(b' ', body).unwrap_or(body.len())];
    let message = match tag.strip_suffix(b":").filter(|tag| !tag.is_empty()) {
        Some(name) => {
            let pid = name.strip_suffix(b"]").and_then(|inner| {
                let open = memchr::memrchr(b'[', inner)?;
                Some((&inner[..open], &inner[open + 1..]))
            });
            match pid {
                Some((name, pid)) => {
                    text::member(b"ProcessName", name, out);
                    text::integer_member(b"ProcessID", pid, out);
                }
                None => text::member(b"ProcessName", name, out),
            }
            let message = &body[tag.len()..];
            message.strip_prefix(b" ").unwrap_or(message)
        }
        None => body,
    };
    text::member(b"SyslogMessage", message, out);
    Some(())
}

/// Both names that the catalogue's table has for it.
fn host_members(host: &[u8], out: &mut Vec<u8>) {
    if host != NIL {
        text::member(b"Computer", host, out);
        text::member(b"HostName", host, out);
    }
}

/// Appends `[id name="value" …][…]` as an object of objects, and gives what follows.
fn structured_data<'l>(mut rest: &'l [u8], out: &mut Vec<u8>) -> Option<&'l [u8]> {
    if !rest.starts_with(b"[") {
        return None;
    }
    out.push(b'{');
    while let Some(element) = rest.strip_prefix(b"[") {
        let end = element.iter().position(|byte| matches!(byte, b' ' | b']'))?;
        text::key(&element[..end], out);
        out.push(b'{');
        rest = &element[end..];
        while let Some(parameter) = rest.strip_prefix(b" ") {
            let equals = memchr::memmem::find(parameter, b"=\"")?;
            let (name, value) = (&parameter[..equals], &parameter[equals + 2..]);
            let mut plain = Vec::new();
            rest = parameter_value(value, &mut plain)?;
            text::member(name, &plain, out);
        }
        out.push(b'}');
        rest = rest.strip_prefix(b"]")?;
    }
    out.push(b'}');
    Some(rest)
}

/// Appends a value up to its quote, without the escapes that RFC 5424 knows, and gives what follows.
fn parameter_value<'l>(value: &'l [u8], plain: &mut Vec<u8>) -> Option<&'l [u8]> {
    let mut at = 0;
    loop {
        match value[at..] {
            [b'\\', escaped @ (b'"' | b'\\' | b']'), ..] => {
                plain.push(escaped);
                at += 2;
            }
            [b'"', ..] => return Some(&value[at + 1..]),
            [byte, ..] => {
                plain.push(byte);
                at += 1;
            }
            [] => return None,
        }
    }
}

/// `<0>` to `<191>`, if the line begins with one; `None`: it begins like one and is none.
fn read_priority(line: &[u8]) -> Option<(Option<u8>, &[u8])> {
    let Some(rest) = line.strip_prefix(b"<") else { return Some((None, line)) };
    let end = rest.iter().take(4).position(|&byte| byte == b'>')?;
    let number: u8 = digits(&rest[..end])?.try_into().ok()?;
    let canonical = number.to_string().as_bytes() == &rest[..end];
    (canonical && number < 192).then_some((Some(number), &rest[end + 1..]))
}

/// Appends a time that names its zone; `None`: it is no such time.
fn zoned_time(spelled: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let spelled = std::str::from_utf8(spelled).ok()?;
    let clock = spelled.get(11..)?;
    if !(clock.ends_with(['Z', 'z']) || clock.contains(['+', '-'])) || !time::parse(spelled)?.micros.is_positive() {
        return None;
    }
    text::member(b"TimeGenerated", spelled.as_bytes(), out);
    Some(())
}

/// The instant of `Mmm dd hh:mm:ss` that lies within the period, if that proves the day.
fn proven(spelled: &[u8], period: Period) -> Option<Timestamp> {
    if period.end.duration_since(period.start) > SignedDuration::from_hours(24) {
        return None;
    }
    let year = period.start.to_zoned(TimeZone::UTC).year();
    let at = bsd_time(spelled, year)?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (period.start <= at && at < period.end).then_some(at)
}

/// `Mmm dd hh:mm:ss`, a day below ten with a space or a zero.
fn bsd_time(spelled: &[u8], year: i16) -> Option<DateTime> {
    let [m1, m2, m3, b' ', d1, d2, b' ', clock @ ..] = spelled else { return None };
    let [h1, h2, b':', n1, n2, b':', s1, s2] = clock else { return None };
    let month = MONTHS.iter().position(|name| **name == [*m1, *m2, *m3])? + 1;
    let pair = |tens: u8, ones: u8| digits(&[tens, ones]).and_then(|number| i8::try_from(number).ok());
    let day = pair(if *d1 == b' ' { b'0' } else { *d1 }, *d2)?;
    let month = i8::try_from(month).ok()?;
    DateTime::new(year, month, day, pair(*h1, *h2)?, pair(*n1, *n2)?, pair(*s1, *s2)?, 0).ok()
}

fn digits(bytes: &[u8]) -> Option<u32> {
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(bytes).ok().filter(|_| digits)?.parse().ok()
}

/// What stands before the first space, and what after it.
fn word(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', rest).filter(|&end| end > 0)?;
    Some((&rest[..end], &rest[end + 1..]))
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use serde_json::{Value, json};

    use super::*;
    use crate::source::form::produce::testing::{all, is_record, values};

    fn period(start: &str, hours: i64) -> Option<Period> {
        let start: Timestamp = start.parse().unwrap();
        Some(Period { start, end: start + hours.hours() })
    }

    fn of(line: &str, period: Option<Period>) -> Value {
        let text = all(format!("{line}\n").as_bytes(), |raw| open(raw, 100_000, GoingOn::default(), period)).unwrap();
        let mut value = values(&text).remove(0);
        assert_eq!(value.as_object_mut().unwrap().remove("Raw").unwrap(), line);
        value
    }

    #[test]
    fn rfc_5424_in_full() {
        let line = r#"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 42 ID47 [exampleSDID@32473 iut="3" eventSource="App \"x\" \] \\ \n"][priority@32473 class="high" class="low"][empty] An event"#;
        assert_eq!(
            of(line, None),
            json!({
                "TimeGenerated": "2003-10-11T22:14:15.003Z", "Facility": "local4", "SeverityLevel": "notice",
                "Computer": "mymachine.example.com", "HostName": "mymachine.example.com", "ProcessName": "evntslog",
                "ProcessID": 42, "MsgId": "ID47", "SyslogMessage": "An event",
                "StructuredData": {
                    "exampleSDID@32473": {"iut": "3", "eventSource": "App \"x\" ] \\ \\n"},
                    "priority@32473": {"class": "low"}, "empty": {},
                },
            })
        );
        let text = all(line.as_bytes(), |raw| open(raw, 100_000, GoingOn::default(), None)).unwrap();
        assert!(text.contains(r#"{"class":"high","class":"low"}"#), "a parameter twice stays twice: {text}");
    }

    #[test]
    fn rfc_5424_with_nothing_known() {
        assert_eq!(
            of("<34>1 - - - - - -", None),
            json!({"Facility": "auth", "SeverityLevel": "crit"}),
            "no time: the clock quarantines it"
        );
        let line = "<0>1 2024-03-01T00:00:00+01:00 h a pid-7 - - \u{feff}Grüße\t";
        let known = of(line, None);
        assert_eq!(known["SyslogMessage"], "Grüße\t");
        assert_eq!(known["TimeGenerated"], "2024-03-01T00:00:00+01:00", "as it was written");
        assert_eq!(known["ProcessID"], "pid-7");
    }

    #[test]
    fn rfc_3164_within_its_period() {
        let line = "<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed for lonvick on /dev/pts/8";
        let hour = period("2023-10-11T22:00:00Z", 1);
        assert_eq!(
            of(line, hour),
            json!({
                "TimeGenerated": "2023-10-11T22:14:15Z", "Facility": "auth", "SeverityLevel": "crit",
                "Computer": "mymachine", "HostName": "mymachine", "ProcessName": "su", "ProcessID": 12,
                "SyslogMessage": "'su root' failed for lonvick on /dev/pts/8",
            })
        );
        for (line, name, message) in [
            ("Oct 11 22:14:15 h kernel: [  1.0] x", Some("kernel"), "[  1.0] x"),
            ("Oct 11 22:14:15 h sudo:   user : y", Some("sudo"), "  user : y"),
            ("Oct 11 22:14:15 h postfix/smtpd[1]:", Some("postfix/smtpd"), ""),
            ("Oct 11 22:14:15 h no tag here: x", None, "no tag here: x"),
            ("Oct 11 22:14:15 h", None, ""),
        ] {
            let known = of(line, hour);
            assert_eq!(known.get("ProcessName").and_then(Value::as_str), name, "{line}");
            assert_eq!((&known["SyslogMessage"], &known["Computer"]), (&json!(message), &json!("h")), "{line}");
            assert_eq!(known.get("Facility"), None);
        }
        let local = of("<13>Oct 11 22:14:15 app[3]: from this host", hour);
        assert_eq!((&local["ProcessName"], local.get("Computer")), (&json!("app"), None));
    }

    #[test]
    fn i3_a_time_without_year_and_zone_is_given_only_where_the_folder_proves_its_day() {
        let time = |line: &str, period| of(line, period).get("TimeGenerated").map(|at| at.as_str().unwrap().to_owned());
        let at = |text: &str| Some(text.to_owned());
        let line = "Mar  1 00:30:00 h a: b";
        assert_eq!(time(line, period("2024-03-01T00:00:00Z", 1)), at("2024-03-01T00:30:00Z"));
        assert_eq!(time(line, period("2024-03-01T00:00:00Z", 24)), at("2024-03-01T00:30:00Z"));
        assert_eq!(time(line, None), None, "no period, no year");
        assert_eq!(time(line, period("2024-02-29T22:00:00Z", 1)), None, "a clock two hours ahead, or a late message");
        assert_eq!(time(line, period("2024-03-01T00:30:01Z", 1)), None);
        assert_eq!(time(line, period("2024-02-29T23:30:00Z", 1)), None, "the end is not within");
        assert_eq!(time(line, period("2024-03-01T00:00:00Z", 24 * 31)), None, "a month proves no day");
        assert_eq!(time("Feb 29 10:00:00 h a: b", period("2024-02-29T10:00:00Z", 1)), at("2024-02-29T10:00:00Z"));
        assert_eq!(time("Feb 29 10:00:00 h a: b", period("2023-03-01T00:00:00Z", 24)), None, "no such day");
        assert_eq!(time("Dec 31 23:59:59 h a: b", period("2023-12-31T23:00:00Z", 1)), at("2023-12-31T23:59:59Z"));
        assert_eq!(time("Dec 31 23:59:59 h a: b", period("2024-01-01T00:00:00Z", 1)), None);
    }

    #[test]
    fn a_full_time_without_a_priority_is_what_files_have() {
        let known = of("2024-03-01T00:00:00.123456+01:00 web1 nginx[7]: GET /", None);
        assert_eq!(known["TimeGenerated"], "2024-03-01T00:00:00.123456+01:00");
        assert_eq!((&known["Computer"], &known["ProcessName"]), (&json!("web1"), &json!("nginx")));
        let known = of("<14>2024-03-01T00:00:00Z web1 app: x", None);
        assert_eq!((&known["Facility"], &known["SyslogMessage"]), (&json!("user"), &json!("x")));
    }

    #[test]
    fn i7_what_is_no_syslog_keeps_its_line_and_gets_no_time() {
        for line in [
            "hello",
            "<192>1 2024-03-01T00:00:00Z h a - - - x",
            "<013>1 2024-03-01T00:00:00Z h a - - - x",
            "<>Oct 11 22:14:15 h a: b",
            "<13",
            "<13>1 2024-03-01T00:00:00 h a - - - no zone",
            "<13>1 2024-03-01T00:00:60Z h a - - - no such second",
            "<13>1 2024-03-01T00:00:00Z h a - - [open b=\"c",
            "<13>1 2024-03-01T00:00:00Z h a - - [a b=\"c\"]tail",
            "<13>1 2024-03-01T00:00:00Z h a - -x",
            "<13>1 2024-03-01T00:00:00Z h a",
            "2024-03-01T00:00:00 h a: no zone",
            "2024-03-01 00:00:00 h a: no zone",
            "Okt 11 22:14:15 h a: b",
            "Oct 32 22:14:15 h a: b",
            "Oct 11 22:14:15",
            "Oct 11 22:14:15 ",
            "\u{1}",
        ] {
            assert_eq!(of(line, period("2023-10-11T22:00:00Z", 1)), json!({}), "{line}");
        }
    }

    #[test]
    fn i1_bytes_that_are_no_text_are_quarantined_as_they_are() {
        let line = b"<13>1 2024-03-01T00:00:00Z h a - - - K\xf6ln";
        let mut out = Vec::new();
        open(&line[..], 1000, GoingOn::default(), None).unwrap().read_to_end(&mut out).unwrap();
        assert!(!is_record(&out) && memchr::memmem::find(&out, line).is_some());
    }
}
