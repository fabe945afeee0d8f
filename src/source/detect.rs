//! What a folder or bucket seems to hold: the layout that its paths follow, the tables and periods that it names, and, from
//! the first bytes of a few objects, their form and the member that holds the time.
//!
//! A proposal, never a decision: whoever reads it edits it. Pure but for what is handed in.

use std::collections::BTreeMap;

use jiff::Timestamp;
use object_store::ObjectMeta;
use serde::Serialize;

use super::discover::as_text;
use super::form::Form;
use super::layout::Layout;
use crate::names::TableName;
use crate::record::{self, time};

/// Layouts that are tried, the ones that say most first. A template that fits many paths by chance stands below one that
/// fits few.
const TRIED: [&str; 22] = [
    "azure-export",
    "azure-diagnostics",
    "cloudtrail",
    "security-lake",
    "{table}/y={year}/m={month}/d={day}/h={hour}/**",
    "{table}/year={year}/month={month}/day={day}/hour={hour}/**",
    "{table}/year={year}/month={month}/day={day}/**",
    "{table}/date={date}/**",
    "{table}/dt={date}/**",
    "{table}/day={date}/**",
    "{table}/{year}/{month}/{day}/{hour}/**",
    "{table}/{year}/{month}/{day}/**",
    "{table}/{year}-{month}-{day}/{hour}/**",
    "{table}/{date}/**",
    "{table}/{date}*",
    "{year}/{month}/{day}/{hour}/{table}/**",
    "{year}/{month}/{day}/{table}/**",
    "{date}/{table}/**",
    "{year}/{month}/{day}/{table}.*",
    "{table}-{date}*",
    "{table}-{year}{month}{day}*",
    "{table}/**",
];

/// Of a hundred objects so many must fit.
const MOST_FIT: usize = 80;

/// What a source seems to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detected {
    pub layout: String,
    pub objects: u64,
    pub bytes: u64,
    /// Objects that the layout does not fit.
    pub strangers: u64,
    /// By name.
    pub tables: Vec<DetectedTable>,
}

/// A table as the paths name it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectedTable {
    pub name: String,
    pub objects: u64,
    pub bytes: u64,
    /// Of the periods that the layout tells.
    #[serde(serialize_with = "as_text_or_null")]
    pub first: Option<Timestamp>,
    #[serde(serialize_with = "as_text_or_null")]
    pub last: Option<Timestamp>,
    /// The path of its largest object: what is looked into.
    pub sample: String,
}

/// The layout that fits, and what it makes of the objects. `None`: none fits most of them.
pub fn detect(listed: &[ObjectMeta]) -> Option<Detected> {
    let visible: Vec<&ObjectMeta> =
        listed.iter().filter(|meta| !meta.location.parts().any(|part| part.as_ref().starts_with('.'))).collect();
    let found = TRIED.iter().filter_map(|text| seen(text, &visible));
    found.filter(fits).max_by(|one, other| {
        // The first of equals.
        share(one).cmp(&share(other)).then_with(|| rank(&other.layout).cmp(&rank(&one.layout)))
    })
}

fn rank(layout: &str) -> usize {
    TRIED.iter().position(|tried| *tried == layout).unwrap_or(TRIED.len())
}

fn fits(found: &Detected) -> bool {
    let fitting = found.objects - found.strangers;
    fitting > 0 && fitting as usize * 100 >= found.objects as usize * MOST_FIT
}

/// How many of a hundred fit, coarsely: a stray file must not decide between two layouts.
fn share(found: &Detected) -> u64 {
    (found.objects - found.strangers) * 20 / found.objects.max(1)
}

fn seen(text: &str, listed: &[&ObjectMeta]) -> Option<Detected> {
    let layout = Layout::parse(text).ok()?;
    let mut tables: BTreeMap<String, (DetectedTable, u64)> = BTreeMap::new();
    let (mut strangers, mut bytes) = (0, 0);
    for meta in listed {
        bytes += meta.size;
        let Some(seen) = layout.read(meta.location.as_ref()).filter(|seen| TableName::is_valid_part(&seen.table))
        else {
            strangers += 1;
            continue;
        };
        let table = || DetectedTable {
            name: seen.table.clone(),
            objects: 0,
            bytes: 0,
            first: None,
            last: None,
            sample: meta.location.to_string(),
        };
        let (table, largest) = tables.entry(seen.table.to_lowercase()).or_insert_with(|| (table(), 0));
        table.objects += 1;
        table.bytes += meta.size;
        if meta.size > *largest {
            *largest = meta.size;
            table.sample = meta.location.to_string();
        }
        if let Some(period) = seen.period {
            table.first = Some(table.first.map_or(period.start, |first| first.min(period.start)));
            table.last = Some(table.last.map_or(period.end, |last| last.max(period.end)));
        }
    }
    let objects = listed.len() as u64;
    let tables = tables.into_values().map(|(table, _)| table).collect();
    Some(Detected { layout: text.to_owned(), objects, bytes, strangers, tables })
}

/// What the first bytes of an object, unpacked, say of its form. `None`: nothing that is certain.
pub fn form_of(first: &[u8]) -> Option<Form> {
    match Form::tell(first) {
        Form::Lines if first_line(first).is_some_and(|line| line.starts_with(b"{")) => Some(Form::Lines),
        Form::Lines => text_form(first),
        told => Some(told),
    }
}

/// Text that only its look tells.
fn text_form(first: &[u8]) -> Option<Form> {
    let line = std::str::from_utf8(first_line(first)?).ok()?;
    if line.starts_with("type=") && line.contains("msg=audit(") {
        return Some(Form::Auditd);
    }
    let rest = line.strip_prefix('<')?;
    let (priority, _) = rest.split_once('>')?;
    priority.parse::<u8>().ok().map(|_| Form::Syslog)
}

/// Members that hold a record's time, the likelier first.
const TIMES: [&str; 10] = [
    "TimeGenerated",
    "time",
    "eventTime",
    "timestamp",
    "@timestamp",
    "Timestamp",
    "time_dt",
    "EventTime",
    "ts",
    "date",
];

/// The member that holds the time of the record that these bytes begin with. `None`: none that can be read.
pub fn time_member(first: &[u8], form: Form) -> Option<&'static str> {
    if form == Form::Lines {
        let (line, mut members) = (first_line(first)?, Vec::new());
        record::members(line, &mut members).ok()?;
        let time_of = |name: &str| {
            let named = members.iter().find(|member| member.key.of(line) == name.as_bytes())?;
            time::parse(std::str::from_utf8(named.string_body(line)?).ok()?)
        };
        return TIMES.into_iter().find(|name| time_of(name).is_some());
    }
    // Within an envelope: the first member of that name, however deep.
    let text = String::from_utf8_lossy(first);
    TIMES.into_iter().find(|name| {
        let Some((_, rest)) = text.split_once(&format!("\"{name}\"")) else { return false };
        let value = rest.trim_start().strip_prefix(':').and_then(|rest| rest.trim_start().strip_prefix('"'));
        value.and_then(|value| value.split('"').next()).is_some_and(|value| time::parse(value).is_some())
    })
}

fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty())
}

fn as_text_or_null<S: serde::Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => as_text(at, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use object_store::path::Path;

    use super::*;

    fn listed(paths: &[&str]) -> Vec<ObjectMeta> {
        let meta = |(size, path): (usize, &&str)| ObjectMeta {
            location: Path::from(*path),
            last_modified: Default::default(),
            size: size as u64 + 1,
            e_tag: None,
            version: None,
        };
        paths.iter().enumerate().map(meta).collect()
    }

    fn layout(paths: &[&str]) -> Option<String> {
        detect(&listed(paths)).map(|found| found.layout)
    }

    #[test]
    fn the_layout_that_says_most_is_proposed() {
        for (path, wanted) in [
            ("SecurityEvent/2024/03/01/05/x.json", "{table}/{year}/{month}/{day}/{hour}/**"),
            ("SecurityEvent/2024/03/01/x.json", "{table}/{year}/{month}/{day}/**"),
            ("Signin/y=2024/m=03/d=01/h=05/a/x.json", "{table}/y={year}/m={month}/d={day}/h={hour}/**"),
            ("Signin/2024-03-01/x.json", "{table}/{date}/**"),
            ("Signin/dt=2024-03-01/x.parquet", "{table}/dt={date}/**"),
            ("2024/03/01/firewall.log", "{year}/{month}/{day}/{table}.*"),
            ("auth-2024-03-01.log", "{table}-{date}*"),
            ("Signin/x.json", "{table}/**"),
            ("AWSLogs/123456789012/CloudTrail/eu-central-1/2024/03/01/123456789012_CloudTrail_x.json.gz", "cloudtrail"),
        ] {
            assert_eq!(layout(&[path]).as_deref(), Some(wanted), "{path}");
        }
        assert_eq!(layout(&["x.json"]), None, "no table can be told");
        assert_eq!(layout(&[]), None);
        assert_eq!(layout(&["T/2024/03/01/.hidden"]), None);
    }

    #[test]
    fn tables_and_what_does_not_fit_are_counted() {
        let mut paths = vec!["A/2024/03/01/x", "A/2024/03/02/y", "a/2024/03/02/z", "B/2024/02/01/x", "README"];
        let found = detect(&listed(&paths)).unwrap();
        assert_eq!((found.objects, found.strangers, found.bytes), (5, 1, 1 + 2 + 3 + 4 + 5));
        let [a, b] = &found.tables[..] else { panic!("{found:?}") };
        assert_eq!((a.name.as_str(), a.objects, a.sample.as_str()), ("A", 3, "a/2024/03/02/z"));
        assert_eq!(a.first.unwrap().to_string(), "2024-03-01T00:00:00Z");
        assert_eq!(b.last.unwrap().to_string(), "2024-02-02T00:00:00Z");
        paths.extend(["one", "two", "three"]);
        assert_eq!(detect(&listed(&paths)), None, "half of them fit: that is no layout");
    }

    #[test]
    fn contents_tell_form_and_time() {
        for (bytes, form, time) in [
            ("{\"TimeGenerated\":\"2024-03-01T00:00:00Z\"}\n{\"cut", Some(Form::Lines), Some("TimeGenerated")),
            ("{\"a\":{\"time\":\"2024-03-01T00:00:00Z\"}}\n", Some(Form::Lines), None),
            ("{\"Records\":[{\"eventTime\": \"2024-03-01T00:00:00Z\"", Some(Form::Records), Some("eventTime")),
            ("type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e", Some(Form::Auditd), None),
            ("<34>1 2024-03-01T00:00:00Z host su - - - x", Some(Form::Syslog), None),
            ("a,b,c\n1,2,3\n", None, None),
        ] {
            let told = form_of(bytes.as_bytes());
            assert_eq!(told, form, "{bytes}");
            assert_eq!(told.and_then(|form| time_member(bytes.as_bytes(), form)), time, "{bytes}");
        }
    }
}
