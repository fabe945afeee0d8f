//! What an object's path says: its table, and the period its folder stands for.
//!
//! A layout is a template (`{table}/{year}/{month}/{day}/{hour}/*`, see [`super::template`]) or the name of a
//! built-in one (`azure-export`, see [`super::azure_export`], and its siblings). Reading a path is pure: the same path, the same answer.
//! A path that does not match, or names a date that does not exist, is not guessed at: it reads as `None`, and its
//! object is a stranger (I7).

use std::borrow::Cow;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use serde::Serialize;
use url::Url;

use super::discover::as_text;
use super::form::Form;
use super::template::{Captures, Field, Template};
use super::{azure_diagnostics, azure_export, cloudtrail};
use crate::error::{Error, Kind, Result};
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
}

/// The built-in layouts that settings may name.
const NAMES: [(&str, Shape); 3] = [
    ("azure-export", Shape::AzureExport),
    ("azure-diagnostics", Shape::AzureDiagnostics),
    ("cloudtrail", Shape::CloudTrail),
];

impl Layout {
    /// Reads a template or the name of a built-in layout. Errors are of kind `Usage`, name the character and carry a
    /// hint.
    pub fn parse(text: &str) -> Result<Layout> {
        let shape = if let Some((_, shape)) = NAMES.into_iter().find(|(name, _)| *name == text) {
            shape
        } else if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(unknown_name(text));
        } else {
            Shape::Template(Template::parse(text)?)
        };
        Ok(Layout { text: text.to_owned(), shape, format: None, container: None })
    }

    /// The layout of a source, with the form that its settings name. Errors as those of [`Layout::parse`] and
    /// [`Form::named`].
    pub fn of(source: &SourceSettings) -> Result<Layout> {
        let format = source.format.as_deref().map(Form::named).transpose()?;
        let container = container(&source.url);
        Ok(Layout { format, container, ..Layout::parse(&source.layout)? })
    }

    /// The path as it is below all containers: where the source's URL points into one, with that before it.
    fn below_containers<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match &self.container {
            Some(container) => format!("{container}/{path}").into(),
            None => path.into(),
        }
    }

    /// The form of the objects' content, where the settings name one.
    pub fn format(&self) -> Option<Form> {
        self.format
    }

    /// What `path` (relative to the source, `/` between segments) says; `None` if it does not fit.
    pub fn read(&self, path: &str) -> Option<Seen> {
        match &self.shape {
            Shape::Template(template) => template
                .captures(path, &mut |captures| Some((captures.table?, period(captures).ok()?)))
                .map(|(table, period)| Seen { table: table.to_owned(), period }),
            Shape::AzureExport => azure_export::read(&self.below_containers(path)),
            Shape::AzureDiagnostics => azure_diagnostics::read(&self.below_containers(path)),
            Shape::CloudTrail => cloudtrail::read(path),
        }
    }

    /// The layout for a person: its text, what period it tells, and the form if it is named.
    pub fn describe(&self) -> String {
        let described = self.describe_paths();
        match self.format {
            Some(form) => format!("{described}, format {}", form.name()),
            None => described,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(layout: &str, path: &str) -> Option<(String, Option<String>)> {
        let seen = Layout::parse(layout).unwrap().read(path)?;
        Some((seen.table, seen.period.map(|p| format!("{}/{}", p.start, p.end))))
    }

    fn hit(table: &str, start: &str, end: &str) -> Option<(String, Option<String>)> {
        Some((table.into(), Some(format!("{start}/{end}"))))
    }

    #[test]
    fn periods_follow_the_finest_placeholder() {
        let hour = hit("T", "2024-02-29T23:00:00Z", "2024-03-01T00:00:00Z");
        assert_eq!(read("{table}/{year}/{month}/{day}/{hour}/*", "T/2024/02/29/23/a.json"), hour);
        assert_eq!(read("{hour}/{day}/{month}/{year}/{table}/*", "23/29/2/2024/T/a.json"), hour);
        assert_eq!(
            read(
                "table={table}/year={year}/month={month}/day={day}/hour={hour}/*",
                "table=T/year=2024/month=2/day=29/hour=23/x"
            ),
            hour
        );
        assert_eq!(
            read("{table}/{date}/{hour}{minute}.log", "T/2024-02-29/2359.log"),
            hit("T", "2024-02-29T23:59:00Z", "2024-03-01T00:00:00Z")
        );
        assert_eq!(
            read("{table}/dt={date}/*", "T/dt=2023-12-31/a"),
            hit("T", "2023-12-31T00:00:00Z", "2024-01-01T00:00:00Z")
        );
        assert_eq!(
            read("{table}-{year}{month}.json", "T-202312.json"),
            hit("T", "2023-12-01T00:00:00Z", "2024-01-01T00:00:00Z")
        );
        assert_eq!(read("{table}/{year}/*", "T/2023/a"), hit("T", "2023-01-01T00:00:00Z", "2024-01-01T00:00:00Z"));
        assert_eq!(read("{table}/*", "T/a"), Some(("T".into(), None)));
    }

    #[test]
    fn dates_that_do_not_exist_are_strangers() {
        let layout = "{table}/{year}/{month}/{day}/{hour}/*";
        for path in [
            "T/2024/13/01/00/a",
            "T/2024/00/01/00/a",
            "T/2023/02/29/00/a",
            "T/2024/01/32/00/a",
            "T/2024/01/01/24/a",
            "T/24/01/01/00/a",
            "T/02024/01/01/00/a",
            "T/2024/001/01/00/a",
            "T/2024/+1/01/00/a",
            "T/2024/1٣/01/00/a",
            "T/1969/01/01/00/a",
            "T/9999/12/31/23/a",
            "T/2024/01/01/a",
            "T/2024/01/01/00/b/a",
            "/2024/01/01/00/a",
            "",
        ] {
            assert_eq!(read(layout, path), None, "{path}");
        }
    }

    #[test]
    fn a_table_ends_as_early_as_the_rest_allows() {
        assert_eq!(
            read("{table}-{year}{month}{day}.json", "my-app-20240301.json"),
            hit("my-app", "2024-03-01T00:00:00Z", "2024-03-02T00:00:00Z")
        );
        assert_eq!(read("{table}-*.json", "my-app-1.json"), Some(("my".into(), None)));
        assert_eq!(read("am-{table}/*", "am-signinlogs/x"), Some(("signinlogs".into(), None)));
        assert_eq!(read("am-{table}/*", "am-/x"), None);
    }

    #[test]
    fn what_is_seen_twice_must_agree() {
        assert_eq!(read("{table}-*/{table}.json", "my-app-1/my-app.json"), Some(("my-app".into(), None)));
        assert_eq!(
            read("{table}/{table}.json", "SecurityEvent/securityevent.json"),
            Some(("SecurityEvent".into(), None))
        );
        assert_eq!(read("{table}/{table}.json", "A/B.json"), None);
        let twice = "{table}/{date}/{year}-{month}-{day}.json";
        assert!(read(twice, "T/2024-01-02/2024-01-02.json").is_some());
        assert_eq!(read(twice, "T/2024-01-02/2024-01-03.json"), None);
    }

    #[test]
    fn double_star_is_any_depth() {
        for path in ["logs/T/2024/a", "logs/x/T/2024/a", "logs/x/y/T/2024/a"] {
            assert_eq!(
                read("logs/**/{table}/{year}/*", path),
                hit("T", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z")
            );
        }
        assert_eq!(read("logs/**/{table}/{year}/*", "logsx/T/2024/a"), None);
        assert!(read("{table}/**", "T/a/b/c").is_some());
        assert_eq!(read("{table}/**", "T"), None);
        assert!(read("**/{table}.json", "T.json").is_some());
    }

    #[test]
    fn mistakes_name_the_character_and_a_way_out() {
        let mistakes = [
            ("", "at character 1: it is empty"),
            ("logs/*", "names no `{table}`"),
            ("/{table}/*", "at character 1: begins with `/`"),
            ("{table}/", "at character 8: ends with `/`"),
            ("{table}//*", "at character 9: two `/`"),
            ("{table}/../*", "at character 9: `..`"),
            ("{table}/{yeer}/*", "at character 9: no placeholder is called `{yeer}`"),
            ("{table}/{year/*", "at character 9: `{` is never closed"),
            ("{table}/year}/*", "at character 13: `}` closes nothing"),
            ("{table}/**/a/**", "at character 14: a second `**`"),
            ("{table}/a**/b", "at character 10: `**` stands alone"),
            ("{table}*/b", "at character 8: nothing stands between `{table}` and `*`"),
            ("*{table}/b", "at character 2: nothing stands between `*` and `{table}`"),
            ("{table}/{year}/{day}/*", "at character 16: `{day}` needs `{month}`"),
            ("{table}/{hour}/*", "at character 9: `{hour}` needs `{day}`"),
            ("{table}/{date}/{minute}/*", "at character 16: `{minute}` needs `{hour}`"),
            ("{table}\\{year}\\*", "at character 8: `\\`"),
            ("{table}/*a*b*c*", "at character 15: a fourth wildcard"),
            ("azure-exprot", "at character 1: no built-in layout"),
        ];
        for (text, expected) in mistakes {
            let error = Layout::parse(text).unwrap_err();
            assert_eq!(error.kind(), Kind::Usage);
            assert!(error.reason().contains(expected), "{text}: {}", error.reason());
            assert!(error.hint().is_some(), "{text}");
        }
        assert_eq!(Layout::parse("azure-exprot").unwrap_err().hint(), Some("did you mean `azure-export`?"));
        assert!(Layout::parse("{table}/{yeer}/*").unwrap_err().hint().unwrap().contains("`{year}`"));
    }

    #[test]
    fn a_url_into_one_container_says_its_name() {
        let path = "tenantId=0000/y=2024/m=02/d=29/h=23/m=00/PT1H.json";
        for url in [
            "file:///var/azure/insights-logs-signinlogs",
            "az://insights-logs-signinlogs",
            "az://insights-logs-signinlogs/",
            "abfss://insights-logs-signinlogs@account.dfs.core.windows.net/",
            "https://account.blob.core.windows.net/insights-logs-signinlogs",
        ] {
            let text =
                format!("archive = \"/a\"\n[[source]]\nname = \"s\"\nurl = \"{url}\"\nlayout = \"azure-diagnostics\"");
            let Ok(settings) = crate::settings::Settings::parse(&text, std::path::Path::new("/")) else { continue };
            let seen = Layout::of(&settings.sources[0]).unwrap().read(path).unwrap();
            assert_eq!(seen.table, "tenant_signinlogs", "{url}");
        }
        let whole = Layout::parse("azure-diagnostics").unwrap();
        assert_eq!(whole.read(path), None);
        assert!(whole.read(&format!("insights-logs-signinlogs/{path}")).is_some());
    }

    #[test]
    fn describes_itself() {
        assert_eq!(Layout::parse("{table}/{date}/*").unwrap().describe(), "{table}/{date}/* (a period of one day)");
        assert!(Layout::parse("azure-export").unwrap().describe().contains("PT05M"));
    }

    proptest! {
        /// Writing a moment into a layout and reading it back gives the hour that holds it, in whatever order.
        #[test]
        fn an_hour_written_is_read_back(
            seconds in 0i64..4_000_000_000,
            table in "[A-Za-z_][A-Za-z0-9_.-]{0,20}",
            order in Just(["{table}", "{year}", "{month}", "{day}", "{hour}"]).prop_shuffle(),
            key in proptest::bool::ANY,
        ) {
            let at = Timestamp::from_second(seconds).unwrap();
            let template: Vec<String> = order
                .iter()
                .map(|field| if key { format!("{}={field}", field.trim_matches(['{', '}'])) } else { (*field).to_owned() })
                .collect();
            let template = format!("{}/*.json", template.join("/"));
            let path = template
                .replace("{table}", &table)
                .replace("{year}", &at.strftime("%Y").to_string())
                .replace("{month}", &at.strftime("%m").to_string())
                .replace("{day}", &at.strftime("%d").to_string())
                .replace("{hour}", &at.strftime("%H").to_string())
                .replace("/*", "/part-0");
            let seen = Layout::parse(&template).unwrap().read(&path).unwrap();
            let period = seen.period.unwrap();
            prop_assert_eq!(seen.table, table);
            prop_assert!(period.start <= at && at < period.end);
            prop_assert_eq!(period.end.as_second() - period.start.as_second(), 3600);
        }
    }
}
