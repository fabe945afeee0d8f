//! What an object's path says: its table, and the period its folder stands for.
//!
//! A layout is a template (`{table}/{year}/{month}/{day}/{hour}/*`, see [`super::template`]) or the name of a
//! built-in one (`azure-export`, see [`super::azure_export`], and its siblings). Reading a path is pure: the same path, the same answer.
//! A path that does not match, or names a date that does not exist, is not guessed at: it reads as `None`, and its
//! object is a stranger (I7).

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use serde::Serialize;
use url::Url;

use super::discover::as_text;
use super::form::Form;
use super::template::{Captures, Field, Template};
use super::{azure_diagnostics, azure_export, cloudtrail, security_lake};
use crate::error::{Error, Kind, Result};
use crate::names::TableName;
use crate::settings::SourceSettings;

/// A period of event or arrival time, `[start, end)`, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Period {
    #[serde(serialize_with = "as_text")]
    pub start: Timestamp,
    #[serde(serialize_with = "as_text")]
    pub end: Timestamp,
}

/// What a layout reads in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The table as the path spells it; not yet checked with [`crate::names::TableName::is_valid_part`].
    pub table: String,
    /// A minute, hour, day, month or year, by the finest placeholder; `None` where the layout tells no year.
    pub period: Option<Period>,
}

/// How a source's paths are to be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    text: String,
    shape: Shape,
    /// The table of all objects, whatever the path says.
    table: Option<String>,
    /// Objects whose path names no possible table belong to one for them.
    unrouted: bool,
    format: Option<Form>,
    /// The container that the source's URL points into, where paths would begin with it.
    container: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Template(Template),
    AzureExport,
    AzureDiagnostics,
    CloudTrail,
    SecurityLake,
}

/// The table of objects whose path names no possible table, where the settings say so.
pub const UNROUTED: &str = "unrouted";

/// The built-in layouts that settings may name.
const NAMES: [(&str, Shape); 4] = [
    ("azure-export", Shape::AzureExport),
    ("azure-diagnostics", Shape::AzureDiagnostics),
    ("cloudtrail", Shape::CloudTrail),
    ("security-lake", Shape::SecurityLake),
];

impl Layout {
    /// Reads a template or the name of a built-in layout. Errors are of kind `Usage`, name the character and carry a
    /// hint.
    pub fn parse(text: &str) -> Result<Layout> {
        Self::with_table(text, None)
    }

    /// The layout of a source, with what else its settings say of table and form. Errors as those of [`Layout::parse`]
    /// and [`Form::named`].
    pub fn of(source: &SourceSettings) -> Result<Layout> {
        let format = source.format.as_deref().map(Form::named).transpose()?;
        let layout = Self::with_table(&source.layout, source.table.as_deref())?;
        Ok(Layout { format, container: container(&source.url), unrouted: source.unrouted, ..layout })
    }

    fn with_table(text: &str, table: Option<&str>) -> Result<Layout> {
        let shape = if let Some((_, shape)) = NAMES.into_iter().find(|(name, _)| *name == text) {
            shape
        } else if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(unknown_name(text));
        } else {
            let template = Template::parse(text)?;
            check_table(text, &template, table)?;
            Shape::Template(template)
        };
        let table = table.map(str::to_owned);
        Ok(Layout { text: text.to_owned(), shape, table, format: None, container: None, unrouted: false })
    }

    /// What `read` says of a path below all containers: where the source's URL points into one, with that before it.
    fn below_containers(&self, path: &str, read: impl Fn(&str) -> Option<Seen>) -> Option<Seen> {
        let within = |container: &String| read(&format!("{container}/{path}"));
        read(path).or_else(|| self.container.as_ref().and_then(within))
    }

    /// The form of the objects' content, where the settings name one.
    pub fn format(&self) -> Option<Form> {
        self.format
    }

    /// What `path` (relative to the source, `/` between segments) says; `None` if it does not fit.
    pub fn read(&self, path: &str) -> Option<Seen> {
        let mut seen = self.read_path(path)?;
        if let Some(table) = &self.table {
            seen.table.clone_from(table);
        } else if self.unrouted && !TableName::is_valid_part(&seen.table) {
            UNROUTED.clone_into(&mut seen.table);
        }
        Some(seen)
    }

    fn read_path(&self, path: &str) -> Option<Seen> {
        match &self.shape {
            Shape::Template(template) => template
                .captures(path, &mut |captures| Some((captures.table.unwrap_or_default(), period(captures).ok()?)))
                .map(|(table, period)| Seen { table: table.to_owned(), period }),
            Shape::AzureExport => self.below_containers(path, azure_export::read),
            Shape::AzureDiagnostics => self.below_containers(path, azure_diagnostics::read),
            Shape::CloudTrail => cloudtrail::read(path),
            Shape::SecurityLake => security_lake::read(path),
        }
    }

    /// The layout for a person: its text, what period it tells, and the form if it is named.
    pub fn describe(&self) -> String {
        let mut described = self.describe_paths();
        if let Some(table) = &self.table {
            described += &format!(", table {table}");
        }
        if let Some(form) = self.format {
            described += &format!(", format {}", form.name());
        }
        described
    }

    fn describe_paths(&self) -> String {
        match &self.shape {
            Shape::AzureExport => {
                "azure-export (Log Analytics data export: am-<table>/…/PT05M.json, a period of 5 minutes or an hour)"
                    .into()
            }
            Shape::AzureDiagnostics => {
                "azure-diagnostics (diagnostic settings, activity and flow logs: insights-…/…/PT1H.json, a period of one \
                 hour; table <service>_<type>_<category>)"
                    .into()
            }
            Shape::CloudTrail => {
                "cloudtrail (AWS CloudTrail: AWSLogs/…/CloudTrail/<region>/YYYY/MM/DD/, a period of one day; table \
                 CloudTrail)"
                    .into()
            }
            Shape::SecurityLake => {
                "security-lake (Amazon Security Lake: aws|ext/<table>/…/eventDay=YYYYMMDD/*.parquet, a period of one day)"
                    .into()
            }
            Shape::Template(template) => match template.finest() {
                Some(field) => format!("{} (a period of one {})", self.text, field.name()),
                None => format!("{} (no period: objects age by their last change)", self.text),
            },
        }
    }
}

/// The date and time fields of a path do not make a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoSuchMoment;

impl Period {
    /// The period of `length` from a moment in UTC.
    pub(super) fn from(start: DateTime, length: Span) -> std::result::Result<Period, NoSuchMoment> {
        // Logs from before 1970 do not exist; a folder that says so means something else by its numbers.
        if start.year() < 1970 {
            return Err(NoSuchMoment);
        }
        let end = start.checked_add(length).map_err(|_| NoSuchMoment)?;
        let utc = |moment: DateTime| TimeZone::UTC.to_timestamp(moment).map_err(|_| NoSuchMoment);
        Ok(Period { start: utc(start)?, end: utc(end)? })
    }
}

/// The moment that year, month, day, hour and minute name.
pub(super) fn moment(
    year: u16,
    month: u16,
    day: u16,
    hour: u16,
    minute: u16,
) -> std::result::Result<DateTime, NoSuchMoment> {
    let small = |number: u16| i8::try_from(number).map_err(|_| NoSuchMoment);
    let year = i16::try_from(year).map_err(|_| NoSuchMoment)?;
    let date = Date::new(year, small(month)?, small(day)?).map_err(|_| NoSuchMoment)?;
    DateTime::new(date.year(), date.month(), date.day(), small(hour)?, small(minute)?, 0, 0).map_err(|_| NoSuchMoment)
}

fn period(captures: &Captures<'_>) -> std::result::Result<Option<Period>, NoSuchMoment> {
    let Some(year) = captures.get(Field::Year) else { return Ok(None) };
    let or = |field, default| captures.get(field).unwrap_or(default);
    let start = moment(year, or(Field::Month, 1), or(Field::Day, 1), or(Field::Hour, 0), or(Field::Minute, 0))?;
    let length = match captures.finest() {
        Some(Field::Minute) => 1.minute(),
        Some(Field::Hour) => 1.hour(),
        Some(Field::Day) => 1.day(),
        Some(Field::Month) => 1.month(),
        Some(Field::Year) | None => 1.year(),
    };
    Period::from(start, length).map(Some)
}

/// The table must be named by the template or by the settings, and by one of them only.
fn check_table(text: &str, template: &Template, table: Option<&str>) -> Result<()> {
    let (reason, hint) = match (template.names_table(), table) {
        (true, None) | (false, Some(_)) => return Ok(()),
        (false, None) => (
            "at character 1: it names no `{table}`".to_owned(),
            "put `{table}` where the path names the table, or name the table of all its objects: `table = \"Syslog\"`",
        ),
        (true, Some(table)) => (
            format!("both its `{{table}}` and `table = \"{table}\"` name the table"),
            "drop one: `*` in place of `{table}`, or the key `table`",
        ),
    };
    Err(Error::new(Kind::Usage, format!("reading layout `{text}`"), reason).with_hint(hint))
}

/// The name of the container of Azure's logs that a URL points to, by its last folder, else its host or user.
fn container(url: &Url) -> Option<String> {
    let folder = url.path_segments().and_then(|segments| segments.rev().find(|segment| !segment.is_empty()));
    let name = folder.or(Some(url.username()).filter(|name| !name.is_empty())).or(url.host_str())?;
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    (begins("insights-") || begins("am-")).then(|| name.to_owned())
}

fn unknown_name(text: &str) -> Error {
    let names = NAMES.map(|(name, _)| name);
    let nearest = names.iter().find(|name| strsim::damerau_levenshtein(name, &text.to_lowercase()) <= 3);
    let hint = match nearest {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!(
            "write a template such as `{{table}}/{{year}}/{{month}}/{{day}}/{{hour}}/*`, or one of these names: {}",
            names.join(", ")
        ),
    };
    Error::new(Kind::Usage, format!("reading layout `{text}`"), "at character 1: no built-in layout has this name")
        .with_hint(hint)
}
