//! A policy file as written: its keys, their types and where they stand. The JSON Schema comes from these types.
//!
//! Strict: what the format does not know is a mistake, and so is what comes with a later version; nothing is ignored.
//! No default is filled in here, and no file knows of another.

use std::sync::Arc;

use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use crate::settings::cron::cron;
use crate::settings::diagnose::{Mistake, Problem, Source};
use crate::settings::reader::{Located, TableReader, read_document};

use super::select::Pattern;
use super::span::Span;
use super::storage_class::StorageClass;

/// The one format of policy files there is.
const VERSION: i64 = 1;

/// Azure's words, and some of other systems, for what is called `retain` here.
const FOREIGN_RETAIN: [&str; 12] = [
    "totalRetentionInDays",
    "retentionInDays",
    "total_retention_in_days",
    "retention_in_days",
    "retention_days",
    "retentionDays",
    "retention",
    "retentionPolicy",
    "archiveRetentionInDays",
    "interactiveRetention",
    "totalRetention",
    "ttl",
];

/// What decides a record's age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClockSource {
    /// The time in the record itself, in `time_column`.
    Event,
    /// The time the record came in: for tables without a usable time.
    Arrival,
}

/// A Holdfast policy file: how long which table is kept. All files of a folder count together.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct PolicyDocument {
    /// The format of the file.
    #[schemars(extend("const" = VERSION))]
    #[expect(dead_code, reason = "checked while reading; here for the schema")]
    pub version: i64,
    /// For tables that no rule names, and for keys that a rule leaves out. At most once in a folder.
    pub defaults: Option<DefaultsDocument>,
    /// What is said of one table, or of all that match a glob.
    #[schemars(default)]
    pub table: Vec<TableDocument>,
}

/// For tables that no rule names, and for keys that a rule leaves out.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct DefaultsDocument {
    #[schemars(skip)]
    pub place: Place,
    #[schemars(flatten)]
    pub keys: RuleDocument,
}

/// What is said of one table, or of all that match a glob.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct TableDocument {
    #[schemars(skip)]
    pub place: Place,
    /// A table's name or a glob (`*`: any run of characters, `?`: any one), with or without its workspace:
    /// `SecurityEvent`, `main/SecurityEvent`, `AZFW*`. Without a workspace it means every workspace.
    #[schemars(with = "String", length(min = 1))]
    pub name: Located<Pattern>,
    #[schemars(flatten)]
    pub keys: RuleDocument,
}

/// Where a table of the file stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub source: Arc<Source>,
    /// The header's bytes.
    pub header: std::ops::Range<usize>,
}

/// The keys that `[defaults]` and `[[table]]` share.
#[derive(Debug, Clone, Default, JsonSchema)]
pub(super) struct RuleDocument {
    /// False: the table stays raw and is never made Parquet; built in: true.
    pub archive: Option<bool>,
    /// Raw logs older than this are archived; built in: 2d, since Azure delivers up to 48 hours late.
    pub archive_after: Option<Located<Span>>,
    /// How long a record is kept, from its event on; at least 1d. Has no built-in value.
    pub retain: Option<Located<Span>>,
    /// How long an expired segment stays restorable before it is destroyed; built in: 7d.
    pub purge_delay: Option<Located<Span>>,
    /// How long raw logs stay after their verified archive; built in: 7d.
    pub keep_raw: Option<Located<Span>>,
    /// A record older than its object's period by more than this is quarantined; built in: 30d.
    pub late_window: Option<Located<Span>>,
    /// What becomes due because a rule got shorter waits this long; built in: 30d.
    pub shorten_grace: Option<Located<Span>>,
    /// How long quarantined records are kept, from their arrival on; built in: the longest `retain` of the table.
    pub quarantine_retain: Option<Located<Span>>,
    /// Whose time decides a record's age; built in: event.
    pub clock: Option<ClockSource>,
    /// The column that holds the event's time, fixed when the table is created; built in: TimeGenerated.
    pub time_column: Option<String>,
    /// Columns that are often searched for one value.
    pub index: Option<Vec<String>>,
    /// Free words by which requirements and reports pick tables.
    pub tags: Option<Vec<String>>,
    /// True: what is kept may grow, never shrink; built in: false.
    pub locked: Option<bool>,
    /// When `schedule` runs this table: five cron fields, weekdays by name.
    pub schedule: Option<Located<String>>,
    /// Where new segments go on an object store: standard, cool (paid for 30 days at least) or cold (90); built in: as the
    /// bucket has it.
    pub storage_class: Option<StorageClass>,
}

impl PolicyDocument {
    /// Reads one file, with all of its mistakes.
    pub fn read(source: &Arc<Source>) -> Result<Self, Vec<Mistake>> {
        read_document(source, |document, notes| {
            let first_line = 0..source.text.find('\n').unwrap_or(source.text.len());
            let mut top = TableReader::new(notes, document, "a policy file", first_line);
            let problem = Problem::new("the file does not say its version", "no `version` in this file");
            top.missing("version", problem.with_hint("write `version = 1` as its first line"));
            if let Some(version) = top.integer("version")
                && version.value != VERSION
            {
                // Of another format nothing else can be judged.
                let problem = Problem::new(format!("version {} is not known", version.value), "not 1");
                notes.add(version.span, problem.with_hint("this Holdfast knows version 1"));
                return None;
            }
            let defaults = top.table("defaults").map(|table| {
                let place = Place { source: Arc::clone(source), header: table.header() };
                DefaultsDocument { place, keys: read_keys(table, refuse_name) }
            });
            let table = top.tables("table").into_iter().filter_map(|table| read_table(table, source)).collect();
            top.refuse("requirement", |_| comes_later("[[requirement]]", "checking rules against requirements"));
            refuse_foreign(&mut top);
            top.finish();
            Some(PolicyDocument { version: VERSION, defaults, table })
        })
    }
}

fn read_table(mut table: TableReader<'_>, source: &Arc<Source>) -> Option<TableDocument> {
    let place = Place { source: Arc::clone(source), header: table.header() };
    let name = table.parsed("name", "like \"SecurityEvent\"", Pattern::parse);
    let problem = Problem::new("a [[table]] without `name`", "which table?");
    table.missing("name", problem.with_hint("add one, like name = \"SecurityEvent\""));
    let keys = read_keys(table, |table| {
        table.refuse("part", |_| comes_later("[[table.part]]", "keeping some rows of a table for another time"));
    });
    Some(TableDocument { place, name: name?, keys })
}

fn refuse_name(table: &mut TableReader<'_>) {
    table.refuse("name", |_| {
        Problem::new("[defaults] has no `name`", "not here").with_hint("for a rule of named tables write [[table]]")
    });
}

fn read_keys(mut table: TableReader<'_>, refuse_more: impl FnOnce(&mut TableReader<'_>)) -> RuleDocument {
    let keys = RuleDocument {
        archive: table.boolean("archive").map(|archive| archive.value),
        archive_after: read_span(&mut table, "archive_after", Allowed::Finite),
        retain: read_span(&mut table, "retain", Allowed::FromOneDay),
        purge_delay: read_span(&mut table, "purge_delay", Allowed::Any),
        keep_raw: read_span(&mut table, "keep_raw", Allowed::Any),
        late_window: read_span(&mut table, "late_window", Allowed::Any),
        shorten_grace: read_span(&mut table, "shorten_grace", Allowed::Any),
        quarantine_retain: read_span(&mut table, "quarantine_retain", Allowed::FromOneDay),
        clock: table.parsed("clock", "\"event\" or \"arrival\"", read_clock).map(|clock| clock.value),
        time_column: table.parsed("time_column", "a column's name", read_column).map(|column| column.value),
        index: read_index(&mut table),
        tags: table.strings("tags").map(|tags| tags.into_iter().map(|tag| tag.value).collect()),
        locked: table.boolean("locked").map(|locked| locked.value),
        storage_class: table
            .parsed("storage_class", "\"standard\", \"cool\" or \"cold\"", StorageClass::parse)
            .map(|class| class.value),
        schedule: table.parsed("schedule", "a cron line like \"0 2 * * *\"", cron),
    };
    table.refuse("dedup_by", |_| comes_later("`dedup_by`", "telling duplicate records by a column"));
    refuse_foreign(&mut table);
    refuse_more(&mut table);
    table.finish();
    keys
}

/// What a key takes beyond being a span.
enum Allowed {
    Any,
    Finite,
    FromOneDay,
}

fn read_span(table: &mut TableReader<'_>, key: &'static str, allowed: Allowed) -> Option<Located<Span>> {
    table.parsed(key, "a span like \"730d\"", |text| {
        let span: Span = text.parse()?;
        match allowed {
            Allowed::Finite if span.is_forever() => Err(Problem::new(format!("`{key}` can't be forever"), "forever")
                .with_hint("to leave a table raw write `archive = false`")),
            Allowed::FromOneDay if span.is_zero() => {
                Err(Problem::new(format!("`{key}` must be at least 1d"), "less than a day")
                    .with_hint("the least is \"1d\""))
            }
            _ => Ok(span),
        }
    })
}

fn read_clock(text: &str) -> Result<ClockSource, Problem> {
    match text {
        "event" => Ok(ClockSource::Event),
        "arrival" => Ok(ClockSource::Arrival),
        _ => Err(Problem::new(format!("unknown clock `{text}`"), "not a clock")
            .with_hint("\"event\" (the time in the record) or \"arrival\" (when it came in)")),
    }
}

fn read_index(table: &mut TableReader<'_>) -> Option<Vec<String>> {
    let columns = table.strings("index")?;
    let notes = table.notes();
    for column in &columns {
        if let Err(problem) = read_column(&column.value) {
            notes.add(column.span.clone(), problem);
        }
    }
    Some(columns.into_iter().map(|column| column.value).collect())
}

/// A column that can be one of the archive (FORMAT: the others live in `_hf_rest`).
fn read_column(text: &str) -> Result<String, Problem> {
    let wrong = |reason: &str, label: &str| Problem::new(format!("`{text}` {reason}"), label.to_owned());
    if text.is_empty() {
        return Err(Problem::new("an empty column name", "nothing in it").with_hint("built in: \"TimeGenerated\""));
    }
    if text.to_lowercase().starts_with("_hf_") {
        return Err(wrong("is reserved: `_hf_` begins Holdfast's own columns", "reserved")
            .with_hint("name a column of the logs"));
    }
    if text.contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '=']) {
        return Err(wrong("can't be a column of a Delta table", "forbidden character").with_hint(
            "columns with one of ` ,;{}()=`, a tab or a line end are kept, but not as columns of their own",
        ));
    }
    Ok(text.to_owned())
}

fn comes_later(what: &str, feature: &str) -> Problem {
    Problem::new(format!("{what} comes later"), "not in this version")
        .with_hint(format!("{feature} comes with a later version: leave it out until then"))
}

fn refuse_foreign(table: &mut TableReader<'_>) {
    for word in FOREIGN_RETAIN {
        table.refuse(word, |value| {
            let written = match value {
                DeValue::Integer(days) => format!("write retain = \"{days}d\""),
                DeValue::String(days) if days.parse::<u32>().is_ok() => format!("write retain = \"{days}d\""),
                _ => "write retain = \"730d\", say".into(),
            };
            Problem::new(format!("`{word}` is another system's word"), "`retain` here")
                .with_hint(format!("{written}: how long a record is kept in all, from its event on"))
        });
    }
}

/// The JSON Schema of a policy file, for editors; committed as `docs/policy.schema.json`.
pub fn schema() -> Schema {
    let mut schema = schemars::schema_for!(PolicyDocument);
    RecursiveTransform(forbid_null).transform(&mut schema);
    schema.insert("title".into(), "Holdfast policy file".into());
    // The same bytes whether or not serde_json is built to keep the order of members.
    schema.ensure_object().sort_keys();
    schema.ensure_object().values_mut().for_each(serde_json::Value::sort_all_objects);
    schema
}

/// TOML has no null: an optional key is left out.
fn forbid_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(serde_json::Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(serde_json::Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
        if let [only] = choices.as_slice()
            && let Some(only) = only.as_object().cloned()
        {
            object.remove("anyOf");
            object.extend(only);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PolicyDocument, Vec<Mistake>> {
        PolicyDocument::read(&Arc::new(Source { name: "a.toml".into(), text: text.into() }))
    }

    /// A value for each key of the schema; a key that is missing here fails the test below.
    fn example(key: &str) -> &'static str {
        match key {
            "archive" | "locked" => "true",
            "clock" => "\"arrival\"",
            "time_column" => "\"Received\"",
            "index" | "tags" => "[\"one\", \"two\"]",
            "schedule" => "\"0 2 * * SUN\"",
            "storage_class" => "\"cool\"",
            "name" => "\"main/A*\"",
            _ => "\"90d\"",
        }
    }

    #[test]
    fn the_reader_knows_exactly_the_keys_of_the_schema() {
        let schema = serde_json::to_value(schema()).unwrap();
        for (definition, header) in [("DefaultsDocument", "[defaults]"), ("TableDocument", "[[table]]")] {
            let properties = schema["$defs"][definition]["properties"].as_object().unwrap();
            assert!(properties.len() >= 14);
            let keys: Vec<String> = properties.keys().map(|key| format!("{key} = {}\n", example(key))).collect();
            read(&format!("version = 1\n{header}\n{}", keys.concat())).unwrap();
        }
        // The other way round: the hint of an unknown key lists what the reader knows.
        let mistakes = read("version = 1\n[defaults]\nqqqqqqqqqqqq = 1\n").unwrap_err();
        let known = mistakes[0].hint().unwrap().strip_prefix("known keys: ").unwrap().split(", ").count();
        assert_eq!(known, schema["$defs"]["DefaultsDocument"]["properties"].as_object().unwrap().len());
    }

    #[test]
    fn broken_syntax_does_not_hide_other_mistakes() {
        let mistakes =
            read("version = 1\n[[table]]\nname = \"A\nretain = \"1y\"\n[[table]]\nname = \"B\"\nretian = 1\n");
        let lines: Vec<_> = mistakes.unwrap_err().iter().map(|mistake| mistake.line().unwrap()).collect();
        assert_eq!(lines, [3, 7]);
    }

    #[test]
    fn an_unknown_version_is_the_only_mistake() {
        assert_eq!(read("version = 2\n[later]\nkey = 1\n").unwrap_err().len(), 1);
    }

    #[test]
    fn every_foreign_word_names_ours() {
        for word in FOREIGN_RETAIN {
            let mistakes = read(&format!("version = 1\n[defaults]\n{word} = 730\n")).unwrap_err();
            assert!(mistakes[0].hint().unwrap().contains("retain = \"730d\""), "{word}");
        }
    }
}
