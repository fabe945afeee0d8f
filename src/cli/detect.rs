//! `holdfast source detect`: what lies there, and the settings and rules that would take it in.

use clap::{Args as ClapArgs, Subcommand};
use jiff::tz::TimeZone;
use object_store::path::Path;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::help;
use super::output::{Output, count, size};
use crate::error::{Error, Kind, Result};
use crate::settings::{StoreOptions, diagnose, value};
use crate::source::{Detected, DetectedTable, FIRST_BYTES, Form, detect, first_unpacked, form_of, time_member};
use crate::storage::{Missing, Store, open};

#[derive(Debug, Subcommand)]
pub enum SourceCommand {
    /// Look at a folder or bucket, and propose its [[source]] and the rules of its tables
    #[command(after_long_help = help::SOURCE_DETECT)]
    Detect(DetectArgs),
}

#[derive(Debug, ClapArgs)]
pub struct DetectArgs {
    /// A folder, or a URL: s3://, az://, abfss://, gs://
    #[arg(value_name = "PATH|URL")]
    pub place: String,
}

/// So many tables are looked into.
const LOOKED_INTO: usize = 12;
/// Bytes of an object that are read for it.
const SAMPLE: u64 = 64 << 10;

/// What is proposed.
#[derive(Debug, Serialize)]
struct Proposal {
    url: String,
    name: String,
    #[serde(flatten)]
    detected: Detected,
    /// Of the objects that were looked into; none: their contents tell.
    format: Option<Form>,
    /// Where all that were looked into have the same.
    time_column: Option<&'static str>,
}

pub fn source(command: &SourceCommand, output: &mut Output) -> Result<u8> {
    let SourceCommand::Detect(options) = command;
    let base = std::env::current_dir()
        .map_err(|source| Error::from_source(Kind::Store, "finding the current folder", source))?;
    let url = value::location(&options.place, &base).map_err(|problem| {
        let mistake = diagnose::Mistake::of_file(options.place.clone(), problem);
        Error::new(Kind::Usage, format!("reading `{}`", options.place), mistake.title().to_owned())
            .with_hint("name a folder or a URL, like /var/log/landing or s3://bucket/folder")
    })?;
    let runtime = Runtime::new().map_err(|source| Error::from_source(Kind::Store, "starting the runtime", source))?;
    let store = open(&url, &StoreOptions::default(), Missing::Refuse, runtime.handle())?;
    let listed = store.list(None)?;
    let Some(detected) = detect(&listed) else {
        let found = count(listed.len() as u64, "object", "objects");
        return Err(Error::new(Kind::Usage, format!("looking at {url}"), format!("no known layout fits its {found}"))
            .with_hint("write a template by hand, like \"{table}/{year}/{month}/{day}/*\": docs/SOURCES.md"));
    };
    let proposal = propose(&store, detected)?;
    if output.is_json() {
        output.json(&proposal)?;
    } else {
        // As it is to be pasted: not folded.
        output.bytes(text(&proposal).as_bytes())?;
    }
    Ok(0)
}

fn propose(store: &Store, detected: Detected) -> Result<Proposal> {
    let (mut forms, mut times) = (Vec::new(), Vec::new());
    for table in detected.tables.iter().take(LOOKED_INTO) {
        let path = Path::parse(&table.sample)
            .map_err(|source| Error::from_source(Kind::Object, format!("reading {}", table.sample), source))?;
        let Some(meta) = store.head(&path)?.filter(|meta| meta.size > 0) else { continue };
        let Some(bytes) = store.get_range(&path, 0..meta.size.min(SAMPLE), None)? else { continue };
        let first = first_unpacked(&bytes, FIRST_BYTES * 4);
        let named = table.sample.trim_end_matches(".gz").ends_with(".csv").then_some(Form::Csv);
        let Some(form) = named.or_else(|| form_of(&first)) else { continue };
        forms.push(form);
        times.extend(time_member(&first, form));
    }
    // Text that only its name in the settings tells.
    let format = forms.first().copied().filter(|form| forms.iter().all(|other| other == form));
    let format = format.filter(|form| matches!(form, Form::Csv | Form::Syslog | Form::Auditd));
    let time_column = times.first().copied().filter(|time| times.iter().all(|other| other == time));
    let name =
        store.url().path_segments().and_then(|mut segments| segments.next_back()).filter(|name| !name.is_empty());
    let name: String = name
        .or(store.url().host_str())
        .unwrap_or("collector")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' })
        .collect();
    Ok(Proposal { url: store.url().to_string(), name, detected, format, time_column })
}

fn text(proposal: &Proposal) -> String {
    let Detected { layout, objects, bytes, strangers, tables } = &proposal.detected;
    let mut text = format!("# {}, {}, below {}\n", count(*objects, "object", "objects"), size(*bytes), proposal.url);
    if *strangers > 0 {
        text += &format!("# {} of them fit no table and would be left alone\n", count(*strangers, "object", "objects"));
    }
    text += "\n# into holdfast.toml\n[[source]]\n";
    text += &format!("name   = {:?}\nurl    = {:?}\nlayout = {layout:?}\n", proposal.name, proposal.url);
    if let Some(format) = proposal.format {
        text += &format!("format = {:?}\n", format.name());
    }
    text += "\n# into a file of the policy folder; `retain` is yours to decide: until then all is kept\nversion = 1\n";
    for table in tables {
        text += &format!("\n# {}\n[[table]]\nname        = {:?}\n", told(table), table.name);
        text += "retain      = \"forever\"\n";
        if let Some(time) = proposal.time_column.filter(|time| *time != "TimeGenerated") {
            text += &format!("time_column = {time:?}\n");
        }
    }
    text
}

fn told(table: &DetectedTable) -> String {
    let held = format!("{}, {}", count(table.objects, "object", "objects"), size(table.bytes));
    match (table.first, table.last) {
        (Some(first), Some(last)) => {
            let day = |at: jiff::Timestamp| at.to_zoned(TimeZone::UTC).date();
            let last = last.checked_sub(jiff::SignedDuration::from_nanos(1)).unwrap_or(last);
            let (first, last) = (day(first), day(last));
            if first == last { format!("{held}, of {first}") } else { format!("{held}, {first} to {last}") }
        }
        _ => held,
    }
}
