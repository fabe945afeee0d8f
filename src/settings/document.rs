//! The settings file read key by key, and what its parts must not do to one another.
//!
//! No default but those of DESIGN §5, no store touched. What parses but has no effect becomes a warning here.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use url::Url;

use crate::names::TableName;

use super::diagnose::{Mistake, Problem, Source, Warning};
use super::reader::{Located, Notes, TableReader, read_document};
use super::value;
use super::window::Window;
use super::{Access, Compression, Delete, Record, Schedule, Settings, SourceSettings, cron, store};

const DEFAULT_MEMORY_BYTES: u64 = 1 << 30;
const DEFAULT_LEASE: Duration = Duration::from_secs(60);
const DEFAULT_SETTLE: Duration = Duration::from_secs(3600);

/// Settings from the text of the file `name`; paths are relative to the absolute folder `base`.
pub(super) fn parse(name: String, text: String, base: &Path) -> Result<Settings, Vec<Mistake>> {
    let source = Arc::new(Source { name, text });
    read_document(&source, |document, notes| {
        let mut warner = Warner { notes, warnings: Vec::new() };
        let header = 0..source.text.find('\n').unwrap_or(source.text.len());
        read_settings(TableReader::new(notes, document, "the settings", header), &mut warner, base)
    })
}

/// Collects what parses but has no effect.
struct Warner<'a> {
    notes: &'a Notes,
    warnings: Vec<Warning>,
}

impl Warner<'_> {
    fn no_effect<T>(&mut self, value: &Located<T>, title: &str, hint: &str) {
        let problem = Problem::new(title, "no effect").with_hint(hint);
        self.warnings.push(Warning::new(Mistake::at(self.notes.source(), value.span.clone(), problem)));
    }
}

fn read_settings(mut top: TableReader<'_>, warner: &mut Warner<'_>, base: &Path) -> Option<Settings> {
    let archive = top.parsed("archive", "a path or URL like \"/srv/holdfast\"", |text| value::location(text, base));
    top.missing(
        "archive",
        Problem::new("`archive` is missing", "somewhere here")
            .with_hint("say where the archive is, like archive = \"/srv/holdfast\""),
    );
    let ledger = top.parsed("ledger", "a path or URL", |text| value::location(text, base));
    let policies = top.parsed("policies", "a folder", |text| value::absolute(text, base));
    let memory = top.parsed("memory", "like \"1GiB\"", value::memory);
    let compression = top.parsed("compression", "\"standard\" or \"compact\"", compression);
    let simulation = top.boolean("simulation");
    let lease = top.parsed("lease", "a duration like \"60s\"", value::lease);
    let mut approvers = read_approvers(&mut top);
    let delete = top.table("delete").map(|table| read_delete(table, &mut approvers, warner));
    let mut metrics = None;
    let schedule = top.table("schedule").map(|table| read_schedule(table, &mut metrics, base));
    let access = top.table("access").map(|mut table| {
        let record = table.parsed("record", "\"required\" or \"best-effort\"", record);
        table.finish();
        Access { record: record.map(|record| record.value).unwrap_or_default() }
    });
    let sources: Vec<_> = top.tables("source").into_iter().map(|table| read_source(table, base)).collect();
    let stores: Vec<_> = top.tables("store").into_iter().map(|table| store::read_store(table, base)).collect();
    let notes = top.notes();
    top.finish();

    refuse_same_names(&sources, notes);
    let places = [&archive, &ledger].into_iter().chain(sources.iter().map(|source| &source.url));
    let places: Vec<&Url> = places.filter_map(|place| place.as_ref().map(|place| &place.value)).collect();
    store::refuse_useless(&stores, &places, notes);
    let policies_span = policies.as_ref().map(|policies| policies.span.clone());
    let policies = policies.map_or_else(|| base.join("policies"), |policies| policies.value);
    for (what, location) in [("archive", &archive), ("ledger", &ledger)] {
        if let Some(location) = location {
            refuse_overlap(what, &location.value, Some(location.span.clone()), &sources, notes);
        }
    }
    if let Ok(url) = Url::from_file_path(&policies) {
        refuse_overlap("policy folder", &url, policies_span, &sources, notes);
    }
    if let Some(metrics) = &metrics
        && let Ok(url) = Url::from_file_path(&metrics.value)
    {
        refuse_overlap("metrics file", &url, Some(metrics.span.clone()), &sources, notes);
    }
    Some(Settings {
        file: None,
        archive: archive?.value,
        ledger: ledger.map(|ledger| ledger.value),
        policies,
        memory: memory.map_or(DEFAULT_MEMORY_BYTES, |memory| memory.value),
        compression: compression.map(|compression| compression.value).unwrap_or_default(),
        lease: lease.map_or(DEFAULT_LEASE, |lease| lease.value),
        simulation: simulation.is_some_and(|simulation| simulation.value),
        delete: delete.unwrap_or_default(),
        approvers: approvers.map_or(1, |approvers| approvers.value),
        schedule: schedule.unwrap_or_default(),
        sources: sources.into_iter().map(SourceDraft::finish).collect::<Option<_>>()?,
        stores: stores.into_iter().map(store::StoreDraft::finish).collect::<Option<_>>()?,
        access: access.unwrap_or_default(),
        warnings: std::mem::take(&mut warner.warnings),
    })
}

/// `approvers` may stand at the top or in `[delete]`: both are places where one looks for it.
fn read_approvers(table: &mut TableReader<'_>) -> Option<Located<u8>> {
    let written = table.integer("approvers")?;
    match u8::try_from(written.value) {
        Ok(number @ 1..=9) => Some(Located::new(number, written.span)),
        _ => {
            let problem = Problem::new(format!("{} approvers are not possible", written.value), "not from 1 to 9");
            table.notes().add(written.span, problem.with_hint("1 (the default) or 2"));
            None
        }
    }
}

fn read_delete(mut table: TableReader<'_>, approvers: &mut Option<Located<u8>>, warner: &mut Warner<'_>) -> Delete {
    let raw = table.boolean("raw");
    let expired = table.boolean("expired");
    let window = table.parsed("window", "like \"22:00/05:00\"", Window::parse);
    if let Some(here) = read_approvers(&mut table) {
        if let Some(above) = approvers {
            let problem = Problem::new("`approvers` is written twice", "and here");
            let mistake = Mistake::at(table.notes().source(), here.span.clone(), problem.with_hint("keep one"));
            table.notes().push(mistake.and_at(table.notes().source(), above.span.clone(), "here"));
        }
        *approvers = Some(here);
    }
    table.finish();
    let armed = [&raw, &expired].into_iter().flatten().any(|arm| arm.value);
    if let Some(window) = window.as_ref().filter(|_| !armed) {
        warner.no_effect(
            window,
            "`window` says when, but nothing is armed",
            "`raw = true` or `expired = true` arms it",
        );
    }
    Delete {
        raw: raw.is_some_and(|raw| raw.value),
        expired: expired.is_some_and(|expired| expired.value),
        window: window.map(|window| window.value),
    }
}

fn read_schedule(mut table: TableReader<'_>, metrics: &mut Option<Located<PathBuf>>, base: &Path) -> Schedule {
    let cron = table.parsed("cron", "a line like \"0 2 * * *\"", cron::cron);
    let zone = table.parsed("time_zone", "an IANA name like \"Europe/Zurich\"", |text| {
        TimeZone::get(text).map(|zone| (text.to_owned(), zone)).map_err(|_| {
            Problem::new(format!("unknown time zone `{text}`"), "unknown")
                .with_hint("an IANA name, like \"UTC\" or \"Europe/Zurich\"")
        })
    });
    *metrics = table.parsed("metrics", "a file like \"/var/lib/holdfast/holdfast.prom\"", |text| {
        if text.ends_with('/') {
            return Err(Problem::new(format!("`{text}` is a folder"), "not a file").with_hint("name a file in it"));
        }
        value::absolute(text, base)
    });
    table.finish();
    let (time_zone, zone) = zone.map_or_else(|| ("UTC".into(), TimeZone::UTC), |zone| zone.value);
    let metrics = metrics.as_ref().map(|metrics| metrics.value.clone());
    Schedule { cron: cron.map(|cron| cron.value), time_zone, zone, metrics }
}

/// A source as far as it could be read.
struct SourceDraft {
    name: Option<Located<String>>,
    url: Option<Located<Url>>,
    layout: Option<Located<String>>,
    format: Option<String>,
    workspace: String,
    table: Option<String>,
    unrouted: bool,
    settle: Duration,
}

impl SourceDraft {
    fn finish(self) -> Option<SourceSettings> {
        Some(SourceSettings {
            name: self.name?.value,
            url: self.url?.value,
            layout: self.layout?.value,
            format: self.format,
            workspace: self.workspace,
            table: self.table,
            unrouted: self.unrouted,
            settle: self.settle,
        })
    }
}

fn read_source(mut table: TableReader<'_>, base: &Path) -> SourceDraft {
    let name = table.parsed("name", "like \"collector\"", |text| valid_name("source", text));
    let url = table.parsed("url", "a path or URL", |text| value::location(text, base));
    let layout = table.parsed("layout", "a path template or a layout's name", |text| not_empty("layout", text));
    for (key, example) in [
        ("name", "name = \"collector\""),
        ("url", "url = \"/var/log/landing\""),
        ("layout", "layout = \"{table}/{year}/{month}/{day}/{hour}/*\""),
    ] {
        let problem = Problem::new(format!("a source without `{key}`"), format!("`{key}` is missing"));
        table.missing(key, problem.with_hint(format!("add one, like {example}")));
    }
    let format = table.parsed("format", "a format's name", |text| not_empty("format", text));
    let workspace = table.parsed("workspace", "like \"main\"", |text| valid_name("workspace", text));
    let of_all = table.parsed("table", "a table's name", |text| valid_name("table", text));
    let unrouted = table.boolean("unrouted");
    let settle = table.parsed("settle", "a duration like \"1h\"", value::duration);
    table.finish();
    SourceDraft {
        name,
        url,
        layout,
        format: format.map(|format| format.value),
        workspace: workspace.map_or_else(|| "main".into(), |workspace| workspace.value),
        table: of_all.map(|table| table.value),
        unrouted: unrouted.is_some_and(|unrouted| unrouted.value),
        settle: settle.map_or(DEFAULT_SETTLE, |settle| settle.value),
    }
}

fn valid_name(what: &str, text: &str) -> Result<String, Problem> {
    if TableName::is_valid_part(text) {
        return Ok(text.to_owned());
    }
    Err(Problem::new(format!("`{text}` is no name for a {what}"), "not a name")
        .with_hint("letters, digits, `_`, `-` and `.`, not starting with `.`"))
}

fn compression(text: &str) -> Result<Compression, Problem> {
    match text {
        "standard" => Ok(Compression::default()),
        "compact" => Ok(Compression::COMPACT),
        level => level.parse().ok().and_then(Compression::level).ok_or_else(|| {
            Problem::new(format!("`{text}` is no compression"), "not understood").with_hint(
                "\"standard\": quickly written; \"compact\": fewer bytes for several times the work of writing; or a \
                 level of zstd, \"1\" to \"22\"",
            )
        }),
    }
}

fn record(text: &str) -> Result<Record, Problem> {
    match text {
        "required" => Ok(Record::Required),
        "best-effort" => Ok(Record::BestEffort),
        _ => Err(Problem::new(format!("`{text}` is no way to record"), "not understood").with_hint(
            "\"required\": what cannot be recorded is refused; \"best-effort\": it is answered, and the answer says so",
        )),
    }
}

fn not_empty(key: &str, text: &str) -> Result<String, Problem> {
    if text.trim().is_empty() {
        Err(Problem::new(format!("an empty `{key}`"), "nothing in it"))
    } else {
        Ok(text.into())
    }
}

fn refuse_same_names(sources: &[SourceDraft], notes: &Notes) {
    let names: Vec<&Located<String>> = sources.iter().filter_map(|source| source.name.as_ref()).collect();
    for (index, name) in names.iter().enumerate() {
        let same = |other: &&&Located<String>| other.value.to_lowercase() == name.value.to_lowercase();
        if let Some(first) = names[..index].iter().find(same) {
            let problem = Problem::new(format!("two sources are named `{}`", name.value), "the second");
            let mistake = Mistake::at(notes.source(), name.span.clone(), problem.with_hint("give each its own name"));
            notes.push(mistake.and_at(notes.source(), first.span.clone(), "the first"));
        }
    }
}

/// What lies in the archive, the ledger or the policy folder must never be taken for raw logs, which are cleared.
fn refuse_overlap(what: &str, location: &Url, written: Option<Range<usize>>, sources: &[SourceDraft], notes: &Notes) {
    for url in sources.iter().filter_map(|source| source.url.as_ref()) {
        if value::overlap(location, &url.value) {
            let problem = Problem::new(format!("a source overlaps the {what}"), "this source")
                .with_hint(format!("{location} and the source lie one in the other: give them folders side by side"));
            let mistake = Mistake::at(notes.source(), url.span.clone(), problem);
            notes.push(match &written {
                Some(span) => mistake.and_at(notes.source(), span.clone(), format!("the {what}")),
                None => mistake,
            });
        }
    }
}
