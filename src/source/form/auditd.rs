//! The Linux audit log: `type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2 …`, a record a line.
//!
//! The members have the names of the catalogue's `LinuxAuditLog` table: `TimeGenerated`, `RecordType`, `AuditID` and
//! `SerialNumber` of the head, then each `key=value` in its order, also those inside `msg='…'` and, in the enriched
//! format, behind the group separator. Invariants: `RawRecord` is the line as it was, so nothing is lost (I1); a value
//! is written as it stands, without its quotes, hex is not decoded, and a key that is there twice stays twice. A line
//! that does not begin so has its `RawRecord` alone; the clock then quarantines it.

use std::io::{self, Read};

use jiff::Timestamp;

use super::{GoingOn, lines, text};

/// What the catalogue's table has as numbers, and their kin.
const NUMBERS: [&[u8]; 14] = [
    b"argc", b"auid", b"egid", b"euid", b"fsgid", b"fsuid", b"gid", b"items", b"pid", b"ppid", b"ses", b"sgid",
    b"suid", b"uid",
];
const GROUP_SEPARATOR: u8 = 0x1d;

/// Reads `raw`, unpacked text, as NDJSON. Errors: those of `raw`.
pub(in crate::source) fn open<R: Read>(raw: R, max_record: usize, going_on: GoingOn) -> io::Result<impl Read> {
    lines::open(raw, max_record, going_on, convert)
}

fn convert(line: &[u8], out: &mut Vec<u8>) {
    out.push(b'{');
    if let Some(body) = head(line, out) {
        pairs(body, out);
    }
    text::member(b"RawRecord", line, out);
    out.push(b'}');
}

/// Appends what a record begins with, and gives what follows; `None`, and nothing appended: it is no record.
fn head<'l>(line: &'l [u8], out: &mut Vec<u8>) -> Option<&'l [u8]> {
    let (node, rest) = match line.strip_prefix(b"node=") {
        Some(rest) => {
            let end = memchr::memchr(b' ', rest)?;
            (Some(&rest[..end]), &rest[end + 1..])
        }
        None => (None, line),
    };
    let rest = rest.strip_prefix(b"type=")?;
    let end = memchr::memchr(b' ', rest)?;
    let (kind, rest) = (&rest[..end], &rest[end + 1..]);
    let rest = rest.strip_prefix(b"msg=audit(")?;
    let close = memchr::memmem::find(rest, b"):")?;
    let (id, body) = (&rest[..close], &rest[close + 2..]);
    let (seconds, serial) = std::str::from_utf8(id).ok()?.split_once(':')?;
    let time = rfc_3339(seconds)?;
    if serial.is_empty() || !serial.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text::member(b"TimeGenerated", time.as_bytes(), out);
    text::member(b"RecordType", kind, out);
    text::member(b"AuditID", id, out);
    text::member(b"SerialNumber", serial.as_bytes(), out);
    if let Some(node) = node {
        text::member(b"node", node, out);
    }
    Some(body)
}

/// `1364481363.243` with all its digits as RFC 3339.
fn rfc_3339(seconds: &str) -> Option<String> {
    let (seconds, fraction) = seconds.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let at = Timestamp::from_second(seconds.parse().ok()?).ok()?.to_string();
    Some(format!("{}.{fraction}Z", at.strip_suffix('Z')?))
}

/// Appends each `key=value`; words between them are in the raw record only.
fn pairs(mut rest: &[u8], out: &mut Vec<u8>) {
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b' ' | b'=' | &GROUP_SEPARATOR)).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(value) = after.strip_prefix(b"=").filter(|_| !key.is_empty()) else {
            rest = after.get(1..).unwrap_or_default();
            continue;
        };
        let (value, next) = match value {
            [quote @ (b'"' | b'\''), inner @ ..] if memchr::memchr(*quote, inner).is_some() => {
                let close = memchr::memchr(*quote, inner).unwrap_or(inner.len());
                (&inner[..close], &inner[close + 1..])
            }
            _ => {
                let end = value.iter().position(|byte| matches!(byte, b' ' | &GROUP_SEPARATOR));
                value.split_at(end.unwrap_or(value.len()))
            }
        };
        rest = next;
        if key == b"msg" && after.starts_with(b"='") {
            // What a program says is pairs again; it has no quote of this kind inside, so this goes no deeper.
            pairs(value, out);
        } else if NUMBERS.contains(&key) {
            text::integer_member(key, value, out);
        } else {
            text::member(key, value, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::source::form::produce::testing::{all, is_record, values};

    fn of(line: &str) -> Value {
        let text = all(format!("{line}\n").as_bytes(), |raw| open(raw, 100_000, GoingOn::default())).unwrap();
        let mut value = values(&text).remove(0);
        assert_eq!(value.as_object_mut().unwrap().remove("RawRecord").unwrap(), line);
        value
    }

    #[test]
    fn a_system_call() {
        let line = r#"type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2 success=no exit=-13 a0=7fffd19c5592 pid=3538 auid=1000 ses=1 comm="cat" exe="/bin/cat" key="sshd_config""#;
        assert_eq!(
            of(line),
            json!({
                "TimeGenerated": "2013-03-28T14:36:03.243Z", "RecordType": "SYSCALL", "AuditID": "1364481363.243:24287",
                "SerialNumber": "24287", "arch": "c000003e", "syscall": "2", "success": "no", "exit": "-13",
                "a0": "7fffd19c5592", "pid": 3538, "auid": 1000, "ses": 1, "comm": "cat", "exe": "/bin/cat",
                "key": "sshd_config",
            })
        );
    }

    #[test]
    fn what_a_program_says_and_what_enriching_adds() {
        let line = "node=web1 type=USER_AUTH msg=audit(1710000000.001:7): pid=12 uid=0 subj=unconfined msg='op=PAM:authentication grantors=pam_unix acct=\"root\" exe=\"/usr/sbin/sshd\" hostname=? addr=10.0.0.1 terminal=ssh res=failed'\u{1d}UID=\"root\" AUID=\"unset\"";
        let known = of(line);
        for (key, value) in [
            ("node", json!("web1")),
            ("pid", json!(12)),
            ("op", json!("PAM:authentication")),
            ("acct", json!("root")),
            ("hostname", json!("?")),
            ("res", json!("failed")),
            ("UID", json!("root")),
            ("AUID", json!("unset")),
        ] {
            assert_eq!(known[key], value, "{key}");
        }
        assert_eq!(known.get("msg"), None);
    }

    #[test]
    fn i9_values_stay_as_written_and_keys_stay_repeated() {
        let text = all(
            b"type=PROCTITLE msg=audit(1.0:1): proctitle=636174002F6574 a=1 a=2 x=\"open y='z pid=007 auid=4294967295 e=\n",
            |raw| open(raw, 1000, GoingOn::default()),
        )
        .unwrap();
        let members = r#""proctitle":"636174002F6574","a":"1","a":"2","x":"\"open","y":"'z","pid":"007","auid":4294967295,"e":"","#;
        assert!(text.contains(members) && text.starts_with(r#"{"TimeGenerated":"1970-01-01T00:00:01.0Z","#), "{text}");
    }

    #[test]
    fn words_between_pairs_are_in_the_raw_record() {
        let line = "type=AVC msg=audit(1364481363.243:24287): avc:  denied  { read } for  pid=1 comm=\"x y\" =z";
        let known = of(line);
        assert_eq!((&known["pid"], &known["comm"]), (&json!(1), &json!("x y")));
        assert_eq!(known.as_object().unwrap().len(), 6, "{known}");
    }

    #[test]
    fn i7_what_is_no_audit_record_keeps_its_line_and_gets_no_time() {
        for line in [
            "hello",
            "type=SYSCALL",
            "type=SYSCALL msg=audit(1364481363.243:24287) arch=1",
            "type=SYSCALL msg=audit(1364481363:24287): arch=1",
            "type=SYSCALL msg=audit(1364481363.243): arch=1",
            "type=SYSCALL msg=audit(1364481363.243:): arch=1",
            "type=SYSCALL msg=audit(-1.243:1): arch=1",
            "type=SYSCALL msg=audit(99999999999999.243:1): arch=1",
            "node=a",
            "----",
        ] {
            assert_eq!(of(line), json!({}), "{line}");
        }
    }

    #[test]
    fn i1_bytes_that_are_no_text_are_quarantined_as_they_are() {
        let line = b"type=X msg=audit(1.0:1): a=\xff";
        let mut out = Vec::new();
        open(&line[..], 1000, GoingOn::default()).unwrap().read_to_end(&mut out).unwrap();
        assert!(!is_record(&out) && memchr::memmem::find(&out, line).is_some());
    }
}
