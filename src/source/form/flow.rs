//! Azure's flow logs as one record a flow tuple.
//!
//! A record of a flow log is all flows of one network interface in one minute, as texts within lists within lists. Here
//! each text becomes a record: the members of the whole record but for the lists, then what stands around the text, then
//! the text itself (`flowTuple`), then its fields by name. Where anything stands that no row has a place for, or a row's
//! names would meet a member of the record, the record passes as it is: nothing is dropped (I1). Memory: one record.

use std::io::{self, Read};

use serde::Deserialize;

use crate::record::{Member, ValueKind, members};

/// Bytes that are read at once, and about as many are made at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// The fields of a tuple: of flow logs of virtual networks, and of network security groups, by version.
const VNET: &[&str] = &[
    "flowTime",
    "srcIp",
    "destIp",
    "srcPort",
    "destPort",
    "protocol",
    "flowDirection",
    "flowState",
    "flowEncryption",
    "packetsSent",
    "bytesSent",
    "packetsReceived",
    "bytesReceived",
];
const NSG: &[&str] = &[
    "flowTime",
    "srcIp",
    "destIp",
    "srcPort",
    "destPort",
    "protocol",
    "flowDirection",
    "flowDecision",
    "flowState",
    "packetsSent",
    "bytesSent",
    "packetsReceived",
    "bytesReceived",
];
/// So many of them version 1 has.
const NSG_1: usize = 8;
/// What stands around a tuple.
const AROUND: &[&str] = &["flowTuple", "aclID", "rule", "mac", "Version"];

/// Reads lines of records as lines of flows.
pub(super) struct Flows<R: Read> {
    lines: R,
    max_record: usize,
    /// Of the line that is being read, as far as it is at hand.
    line: Vec<u8>,
    /// The line is too long, and passes.
    passing: bool,
    buffer: Vec<u8>,
    taken: usize,
    filled: usize,
    rows: Option<Rows>,
    out: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Flows<R> {
    /// Records of more than `max_record` bytes pass as they are.
    pub(super) fn new(lines: R, max_record: usize) -> Self {
        Flows {
            lines,
            max_record,
            line: Vec::new(),
            passing: false,
            buffer: vec![0; BUFFER_BYTES],
            taken: 0,
            filled: 0,
            rows: None,
            out: Vec::new(),
            given: 0,
            ended: false,
        }
    }

    /// Makes the next bytes; none come once `ended`.
    fn make(&mut self) -> io::Result<()> {
        self.out.clear();
        self.given = 0;
        if let Some(rows) = &mut self.rows {
            if !rows.write(&mut self.out) {
                self.rows = None;
            }
            return Ok(());
        }
        if self.taken == self.filled {
            self.filled = self.lines.read(&mut self.buffer)?;
            self.taken = 0;
            if self.filled == 0 {
                self.ended = true;
                self.end_line(false);
                return Ok(());
            }
        }
        let rest = &self.buffer[self.taken..self.filled];
        let end = memchr::memchr(b'\n', rest);
        let piece = &rest[..end.unwrap_or(rest.len())];
        self.taken += piece.len() + usize::from(end.is_some());
        if self.passing {
            self.out.extend_from_slice(piece);
        } else {
            self.line.extend_from_slice(piece);
            if self.line.len() > self.max_record {
                self.passing = true;
                self.out.append(&mut self.line);
            }
        }
        if end.is_some() {
            self.end_line(true);
        }
        Ok(())
    }

    fn end_line(&mut self, terminated: bool) {
        if !std::mem::take(&mut self.passing) {
            match Rows::of(&self.line) {
                Some(rows) => {
                    self.rows = Some(rows);
                    self.line.clear();
                    return;
                }
                None => self.out.append(&mut self.line),
            }
        }
        if terminated {
            self.out.push(b'\n');
        }
    }
}

impl<R: Read> Read for Flows<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.out.len() && !(self.ended && self.rows.is_none()) {
            self.make()?;
        }
        let rest = &self.out[self.given..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

/// The lists of a flow log of a virtual network.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VnetRecords {
    flows: Vec<VnetFlow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VnetFlow {
    #[serde(rename = "aclID")]
    acl_id: String,
    #[serde(rename = "flowGroups")]
    flow_groups: Vec<VnetGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VnetGroup {
    rule: String,
    #[serde(rename = "flowTuples")]
    flow_tuples: Vec<String>,
}

/// The lists of a flow log of a network security group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NsgProperties {
    #[serde(rename = "Version")]
    version: u64,
    flows: Vec<NsgRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NsgRule {
    rule: String,
    flows: Vec<NsgFlow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NsgFlow {
    mac: String,
    #[serde(rename = "flowTuples")]
    flow_tuples: Vec<String>,
}

/// The rows of one record.
struct Rows {
    /// The record's own members, from its bracket on.
    head: Vec<u8>,
    /// What stands around tuples, and these.
    groups: Vec<(Vec<u8>, Vec<String>)>,
    fields: &'static [&'static str],
    group: usize,
    tuple: usize,
}

impl Rows {
    /// `None`: the record is no flow log, or one that a row cannot hold all of.
    fn of(line: &[u8]) -> Option<Rows> {
        let mut found = Vec::new();
        members(line, &mut found).ok()?;
        let named = |name: &str| {
            let mut same = found.iter().filter(|member| member.key.of(line) == name.as_bytes());
            same.next().filter(|member| member.kind == ValueKind::Object && same.next().is_none())
        };
        let ((lists, groups), fields) = match (named("flowRecords"), named("properties")) {
            (Some(lists), None) => ((lists, vnet(lists.value.of(line))?), VNET),
            (None, Some(lists)) => ((lists, nsg(lists.value.of(line))?), NSG),
            _ => return None,
        };
        let head = head(line, &found, lists, fields)?;
        // A list without tuples would leave no trace.
        let whole = !groups.is_empty() && groups.iter().all(|(_, tuples)| !tuples.is_empty());
        whole.then_some(Rows { head, groups, fields, group: 0, tuple: 0 })
    }

    /// Writes some rows; false: these were the last.
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        while out.len() < BUFFER_BYTES {
            let Some((around, tuples)) = self.groups.get(self.group) else { return false };
            let Some(tuple) = tuples.get(self.tuple) else {
                (self.group, self.tuple) = (self.group + 1, 0);
                continue;
            };
            out.extend_from_slice(&self.head);
            out.extend_from_slice(around);
            out.extend_from_slice(text(tuple).as_bytes());
            let values: Vec<&str> = tuple.split(',').collect();
            let known = values.len() == self.fields.len() || (self.fields == NSG && values.len() == NSG_1);
            for (name, value) in self.fields.iter().zip(values).filter(|(_, value)| known && !value.is_empty()) {
                let value = if is_number(value) { value.to_owned() } else { text(value) };
                out.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
            }
            out.extend_from_slice(b"}\n");
            self.tuple += 1;
        }
        true
    }
}

/// The members of a record but for its lists, as they stand; `None` if a row's own would meet one of them.
fn head(line: &[u8], found: &[Member], lists: &Member, fields: &[&str]) -> Option<Vec<u8>> {
    let mut head = b"{".to_vec();
    for member in found.iter().filter(|member| *member != lists) {
        let key = member.key.of(line);
        let meets = |name: &&str| key.eq_ignore_ascii_case(name.as_bytes());
        if member.key_escaped || AROUND.iter().chain(fields).any(meets) {
            return None;
        }
        head.push(b'"');
        head.extend_from_slice(key);
        head.extend_from_slice(b"\":");
        head.extend_from_slice(member.value.of(line));
        head.push(b',');
    }
    Some(head)
}

fn vnet(lists: &[u8]) -> Option<Vec<(Vec<u8>, Vec<String>)>> {
    let records: VnetRecords = serde_json::from_slice(lists).ok()?;
    let mut groups = Vec::new();
    for flow in records.flows {
        if flow.flow_groups.is_empty() {
            return None;
        }
        for group in flow.flow_groups {
            let around = format!("\"aclID\":{},\"rule\":{},\"flowTuple\":", text(&flow.acl_id), text(&group.rule));
            groups.push((around.into_bytes(), group.flow_tuples));
        }
    }
    Some(groups)
}

fn nsg(lists: &[u8]) -> Option<Vec<(Vec<u8>, Vec<String>)>> {
    let properties: NsgProperties = serde_json::from_slice(lists).ok()?;
    let mut groups = Vec::new();
    for rule in properties.flows {
        if rule.flows.is_empty() {
            return None;
        }
        for flow in rule.flows {
            let (version, rule, mac) = (properties.version, text(&rule.rule), text(&flow.mac));
            let around = format!("\"Version\":{version},\"rule\":{rule},\"mac\":{mac},\"flowTuple\":");
            groups.push((around.into_bytes(), flow.flow_tuples));
        }
    }
    Some(groups)
}

/// A text as JSON writes it.
fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

fn is_number(value: &str) -> bool {
    let digits = (1..=18).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
    digits && (value.len() == 1 || !value.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VNET_RECORD: &str = r#"{"time":"2022-09-14T09:00:52.5625085Z","flowLogVersion":4,"category":"FlowLogFlowEvent","flowRecords":{"flows":[{"aclID":"acl-1","flowGroups":[{"rule":"Allow\"Out\"","flowTuples":["1663146003599,10.0.0.6,52.239.184.180,23956,443,6,O,B,NX,0,0,0,0","1663146003606,10.0.0.6,10.0.0.7,1,443,6,O,E,NX,3,767,2,1580"]},{"rule":"Deny","flowTuples":["odd"]}]}]}}"#;
    const NSG_RECORD: &str = r#"{"time":"2018-11-13T12:00:35.3899262Z","systemId":"a0","properties":{"Version":2,"flows":[{"rule":"DefaultRule_DenyAllInBound","flows":[{"mac":"000D3AF87856","flowTuples":["1542110402,94.102.49.190,10.5.16.4,28746,443,T,I,D,B,,,,","1542110437,125.64.94.197,10.5.16.4,59752,18264,T,I,D"]}]}]}}"#;

    fn flows(lines: &str, max_record: usize) -> Vec<String> {
        let mut out = String::new();
        Flows::new(lines.as_bytes(), max_record).read_to_string(&mut out).unwrap();
        assert_eq!(out.ends_with('\n'), lines.ends_with('\n') || out.ends_with("}\n"));
        out.lines().map(str::to_owned).collect()
    }

    #[test]
    fn each_tuple_is_a_record_with_all_that_stands_around_it() {
        let own = r#"{"time":"2022-09-14T09:00:52.5625085Z","flowLogVersion":4,"category":"FlowLogFlowEvent","aclID":"acl-1","rule":"#;
        let found = flows(&format!("{VNET_RECORD}\n{NSG_RECORD}"), 1 << 20);
        assert_eq!(found.len(), 5);
        assert_eq!(
            found[1],
            format!(
                r#"{own}"Allow\"Out\"","flowTuple":"1663146003606,10.0.0.6,10.0.0.7,1,443,6,O,E,NX,3,767,2,1580","flowTime":1663146003606,"srcIp":"10.0.0.6","destIp":"10.0.0.7","srcPort":1,"destPort":443,"protocol":6,"flowDirection":"O","flowState":"E","flowEncryption":"NX","packetsSent":3,"bytesSent":767,"packetsReceived":2,"bytesReceived":1580}}"#
            )
        );
        assert_eq!(found[2], format!(r#"{own}"Deny","flowTuple":"odd"}}"#), "fields only where they are known");
        let nsg = r#"{"time":"2018-11-13T12:00:35.3899262Z","systemId":"a0","Version":2,"rule":"DefaultRule_DenyAllInBound","mac":"000D3AF87856","flowTuple":"#;
        assert_eq!(
            found[3],
            format!(
                r#"{nsg}"1542110402,94.102.49.190,10.5.16.4,28746,443,T,I,D,B,,,,","flowTime":1542110402,"srcIp":"94.102.49.190","destIp":"10.5.16.4","srcPort":28746,"destPort":443,"protocol":"T","flowDirection":"I","flowDecision":"D","flowState":"B"}}"#
            )
        );
        assert!(found[4].ends_with(r#""flowDirection":"I","flowDecision":"D"}"#), "version 1: {}", found[4]);
    }

    #[test]
    fn i1_what_a_row_has_no_place_for_passes_as_it_is() {
        for record in [
            r#"{"a":1}"#.to_owned(),
            "no JSON".to_owned(),
            r#"{"properties":{"a":1}}"#.to_owned(),
            VNET_RECORD.replace("\"aclID\"", "\"new\":1,\"aclID\""),
            VNET_RECORD.replace("\"flowTuples\"", "\"new\":1,\"flowTuples\""),
            VNET_RECORD.replace("\"time\"", "\"Rule\":1,\"time\""),
            VNET_RECORD.replace("\"odd\"", ""),
            VNET_RECORD.replace("\"odd\"", "1"),
            VNET_RECORD.replace("\"odd\"", "\"\\ud800\""),
            VNET_RECORD.replace("\"category\"", "\"flowRecords\""),
            VNET_RECORD.replace("\"category\":\"FlowLogFlowEvent\"", "\"properties\":{}"),
            r#"{"time":"x","flowRecords":{"flows":[]}}"#.to_owned(),
        ] {
            assert_eq!(flows(&format!("{record}\n"), 1 << 20), std::slice::from_ref(&record));
            assert_eq!(flows(&record, 1 << 20), [record]);
        }
    }

    #[test]
    fn i11_long_records_pass_and_many_rows_are_made_a_few_at_a_time() {
        assert_eq!(flows(&format!("{VNET_RECORD}\n{{}}\n"), 99), [VNET_RECORD, "{}"]);
        let tuples = vec!["\"1,2\""; 20_000].join(",");
        let record = VNET_RECORD.replace("\"odd\"", &tuples).replace("FlowLogFlowEvent", &"x".repeat(5000));
        let mut rows = Flows::new(record.as_bytes(), 1 << 20);
        let made = io::copy(&mut rows, &mut io::sink()).unwrap();
        assert!(made > 100_000_000 && rows.out.capacity() < 4 * BUFFER_BYTES, "{made} {}", rows.out.capacity());
    }
}
