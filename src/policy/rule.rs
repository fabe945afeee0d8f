//! A rule as meant: every key with its value, whether written at the table, in `[defaults]`, or built in.
//!
//! A rule is immutable and knows where it was written. Its digest is of what it means and nothing else, so that a
//! comment or a moved line makes no approval stale.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::document::{ClockSource, RuleDocument};
use super::span::Span;
use super::storage_class::StorageClass;

const ARCHIVE_AFTER: Span = Span::Days(2);
const PURGE_DELAY: Span = Span::Days(7);
const KEEP_RAW: Span = Span::Days(7);
const LATE_WINDOW: Span = Span::Days(30);
const SHORTEN_GRACE: Span = Span::Days(30);
const TIME_COLUMN: &str = "TimeGenerated";

/// What policy says of a table, complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// False: raw only, never made Parquet.
    pub archive: bool,
    pub archive_after: Span,
    pub retain: Span,
    pub purge_delay: Span,
    pub keep_raw: Span,
    pub late_window: Span,
    pub shorten_grace: Span,
    /// None: the longest `retain` of the table; see [`Rule::quarantine_span`].
    pub quarantine_retain: Option<Span>,
    pub clock: ClockSource,
    pub time_column: String,
    pub index: Vec<String>,
    pub tags: Vec<String>,
    pub locked: bool,
    /// Five cron fields; none: the settings' schedule.
    pub schedule: Option<String>,
    /// None: as the bucket has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<StorageClass>,
    pub origin: Origin,
}

/// Where a rule was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Relative to the policy folder.
    pub file: String,
    /// From 1, of the table's header.
    pub line: usize,
    /// As written; none: `[defaults]`.
    pub pattern: Option<String>,
}

impl Origin {
    /// The pattern, or `[defaults]`.
    pub fn name(&self) -> &str {
        self.pattern.as_deref().unwrap_or("[defaults]")
    }

    /// What stays the same when lines move: file and name.
    pub fn id(&self) -> String {
        format!("{}:{}", self.file, self.name())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl Rule {
    /// The rule that `keys` make, with `defaults` and then the built-in values for what they leave out; none if neither
    /// says `retain`, which has no built-in value.
    pub(super) fn resolve(keys: &RuleDocument, defaults: Option<&RuleDocument>, origin: Origin) -> Option<Rule> {
        let span = |key: fn(&RuleDocument) -> Option<Span>| key(keys).or_else(|| defaults.and_then(key));
        Some(Rule {
            archive: either(keys, defaults, |keys| keys.archive).unwrap_or(true),
            archive_after: span(|keys| keys.archive_after.as_ref().map(|it| it.value)).unwrap_or(ARCHIVE_AFTER),
            retain: span(|keys| keys.retain.as_ref().map(|it| it.value))?,
            purge_delay: span(|keys| keys.purge_delay.as_ref().map(|it| it.value)).unwrap_or(PURGE_DELAY),
            keep_raw: span(|keys| keys.keep_raw.as_ref().map(|it| it.value)).unwrap_or(KEEP_RAW),
            late_window: span(|keys| keys.late_window.as_ref().map(|it| it.value)).unwrap_or(LATE_WINDOW),
            shorten_grace: span(|keys| keys.shorten_grace.as_ref().map(|it| it.value)).unwrap_or(SHORTEN_GRACE),
            quarantine_retain: span(|keys| keys.quarantine_retain.as_ref().map(|it| it.value)),
            clock: either(keys, defaults, |keys| keys.clock).unwrap_or(ClockSource::Event),
            time_column: either(keys, defaults, |keys| keys.time_column.clone()).unwrap_or_else(|| TIME_COLUMN.into()),
            index: either(keys, defaults, |keys| keys.index.clone()).unwrap_or_default(),
            tags: either(keys, defaults, |keys| keys.tags.clone()).unwrap_or_default(),
            locked: either(keys, defaults, |keys| keys.locked).unwrap_or(false),
            schedule: either(keys, defaults, |keys| keys.schedule.as_ref().map(|line| line.value.clone())),
            storage_class: either(keys, defaults, |keys| keys.storage_class),
            origin,
        })
    }

    /// The first day on which records of `day` are expired: `(day + retain) + 1 day`, UTC. None: never.
    pub fn expires(&self, day: Date) -> Option<Date> {
        self.retain.end(day)?.tomorrow().ok()
    }

    /// The first day on which records of `day` may be destroyed: `expires + purge_delay`. None: never.
    pub fn destroy_at(&self, day: Date) -> Option<Date> {
        self.purge_delay.end(self.expires(day)?)
    }

    /// How long quarantined records are kept, from their arrival on.
    pub fn quarantine_span(&self) -> Span {
        self.quarantine_retain.unwrap_or(self.retain)
    }

    /// Hex SHA-256 of what the rule means: of its keys and values, not of where or how they were written.
    pub fn digest(&self) -> String {
        let clock = match self.clock {
            ClockSource::Event => "event",
            ClockSource::Arrival => "arrival",
        };
        let mut hash = Sha256::new();
        let mut add = |key: &str, values: &[&str]| {
            for text in std::iter::once(&key).chain(values) {
                add_text(&mut hash, text);
            }
            // Ends the list: no value is this long.
            add_length(&mut hash, u64::MAX);
        };
        add("archive", &[if self.archive { "true" } else { "false" }]);
        for (key, span) in [
            ("archive_after", self.archive_after),
            ("retain", self.retain),
            ("purge_delay", self.purge_delay),
            ("keep_raw", self.keep_raw),
            ("late_window", self.late_window),
            ("shorten_grace", self.shorten_grace),
            ("quarantine_retain", self.quarantine_span()),
        ] {
            add(key, &[&span.to_string()]);
        }
        add("clock", &[clock]);
        add("time_column", &[&self.time_column]);
        add("index", &self.index.iter().map(String::as_str).collect::<Vec<_>>());
        add("tags", &self.tags.iter().map(String::as_str).collect::<Vec<_>>());
        add("locked", &[if self.locked { "true" } else { "false" }]);
        // Rules that say nothing of it mean what they meant before there was such a key.
        if let Some(class) = self.storage_class {
            add("storage_class", &[&class.to_string()]);
        }
        add("schedule", &self.schedule.as_deref().map_or(Vec::new(), |line| vec![line]));
        hex::encode(hash.finalize())
    }
}

fn either<T>(
    keys: &RuleDocument,
    defaults: Option<&RuleDocument>,
    key: impl Fn(&RuleDocument) -> Option<T>,
) -> Option<T> {
    key(keys).or_else(|| defaults.and_then(key))
}

/// Adds a text with its length before it, so that no two lists of texts hash alike.
pub(super) fn add_text(hash: &mut Sha256, text: &str) {
    add_length(hash, text.len() as u64);
    hash.update(text.as_bytes());
}

pub(super) fn add_length(hash: &mut Sha256, length: u64) {
    hash.update(length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::names::TableName;
    use crate::policy::{PolicyFile, PolicySet};

    fn rule(text: &str) -> Rule {
        let text = format!("version = 1\n{text}");
        let set = PolicySet::from_files(vec![PolicyFile { name: "a.toml".into(), text }]).unwrap();
        set.rule_for(&TableName::new("main", "A")).unwrap()
    }

    #[test]
    fn built_in_values_stand_where_nothing_is_said() {
        let rule = rule("[[table]]\nname = \"A\"\nretain = \"1y\"");
        let spans = [rule.archive_after, rule.purge_delay, rule.keep_raw, rule.late_window, rule.shorten_grace];
        assert_eq!(spans.map(|span| span.to_string()), ["2d", "7d", "7d", "30d", "30d"]);
        assert_eq!((rule.clock, rule.time_column.as_str()), (ClockSource::Event, "TimeGenerated"));
        assert!(rule.archive && !rule.locked && rule.index.is_empty() && rule.tags.is_empty());
        assert_eq!((rule.quarantine_retain, rule.quarantine_span()), (None, rule.retain));
        assert_eq!(rule.origin.to_string(), "a.toml:2");
        assert_eq!(rule.origin.id(), "a.toml:A");
    }

    #[test]
    fn the_winner_beats_defaults_beat_built_in() {
        let rule = rule(
            "[defaults]\nretain = \"2y\"\nkeep_raw = \"0d\"\nlocked = true\ntags = [\"x\"]\nclock = \"arrival\"\n\
             [[table]]\nname = \"*\"\nlocked = false\ntags = []\npurge_delay = \"1d\"\n\
             [[table]]\nname = \"A\"\nretain = \"1y\"\n",
        );
        assert_eq!(rule.retain, Span::Years(1));
        assert_eq!(rule.keep_raw, Span::Days(0));
        assert_eq!(rule.purge_delay, PURGE_DELAY, "the winner alone applies, not the glob");
        assert!(rule.locked && rule.tags == ["x"] && rule.clock == ClockSource::Arrival);
    }

    #[test]
    fn i3_dates_are_a_day_after_the_last_and_never_early() {
        let rule = rule("[[table]]\nname = \"A\"\nretain = \"1y\"\npurge_delay = \"7d\"");
        assert_eq!(rule.expires(date(2023, 5, 1)), Some(date(2024, 5, 2)));
        assert_eq!(rule.destroy_at(date(2023, 5, 1)), Some(date(2024, 5, 9)));
        assert_eq!(rule.expires(date(2024, 2, 29)), Some(date(2025, 3, 2)));
        assert_eq!(rule.expires(Date::MAX), None);
        assert_eq!(rule.expires(date(9998, 12, 31)), None, "its end is the calendar's last day");
        assert_eq!(rule.destroy_at(date(9998, 12, 28)), None);
    }

    #[test]
    fn a_digest_is_of_the_meaning_and_of_all_of_it() {
        let base = "[[table]]\nname = \"A\"\nretain = \"1y\"\n";
        let digest = rule(base).digest();
        let same = ["# a comment\n\n[[table]]\nname = \"a\"\nretain = \"1y\"\nkeep_raw = \"7d\"\n".to_owned()];
        for text in same {
            assert_eq!(rule(&text).digest(), digest, "{text}");
        }
        let changes = [
            "archive = false",
            "archive_after = \"3d\"",
            "purge_delay = \"3d\"",
            "keep_raw = \"3d\"",
            "late_window = \"3d\"",
            "shorten_grace = \"3d\"",
            "quarantine_retain = \"3d\"",
            "clock = \"arrival\"",
            "time_column = \"T\"",
            "index = [\"a\"]",
            "index = [\"a\", \"b\"]",
            "index = [\"ab\"]",
            "tags = [\"a\"]",
            "locked = true",
            "schedule = \"0 2 * * *\"",
            "storage_class = \"cool\"",
        ];
        let mut seen = vec![digest];
        for change in changes {
            let digest = rule(&format!("{base}{change}")).digest();
            assert!(!seen.contains(&digest), "{change}");
            seen.push(digest);
        }
    }
}
