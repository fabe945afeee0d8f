//! `holdfast.toml`: where and how fast, never what to keep (that is policy).
//!
//! Strict: an unknown key, a wrong type or a value nobody can mean is a mistake, and all mistakes come at once. What
//! parses but has no effect yet is in [`Settings::warnings`]. Paths are relative to the file. Credentials never stand
//! in the file; what `[[store]]` does not say comes from the environment as `object_store` reads it. Nothing here touches a store, and
//! only [`Settings::find`] and [`Settings::read`] touch the disk.

pub mod cron;
pub mod diagnose;
mod document;
pub mod reader;
mod store;
pub mod value;
mod window;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use url::Url;

use crate::error::{Error, Kind, Result};

use diagnose::{Mistake, Problem, Warning};
pub use store::{StoreOptions, StoreSettings};
pub use value::{duration, size};
pub use window::Window;

/// Where `find` looks at last.
const SYSTEM_FILE: &str = "/etc/holdfast/holdfast.toml";

/// The settings of one installation.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    /// The file they were read from.
    pub file: Option<PathBuf>,
    /// Without a slash at its end, as every URL here.
    pub archive: Url,
    /// None: below the archive.
    pub ledger: Option<Url>,
    /// The folder of the policy files, absolute.
    pub policies: PathBuf,
    /// What a run may take, in bytes.
    pub memory: u64,
    pub compression: Compression,
    /// How long a lease on an object store lasts without a beat.
    #[serde(serialize_with = "as_duration_text")]
    pub lease: Duration,
    /// Fixed in the ledger's first entry; for demos and tests.
    pub simulation: bool,
    pub delete: Delete,
    /// How many different people must approve a destruction that needs approval.
    pub approvers: u8,
    pub schedule: Schedule,
    #[serde(rename = "source")]
    pub sources: Vec<SourceSettings>,
    #[serde(rename = "store", skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<StoreSettings>,
    pub access: Access,
    #[serde(skip)]
    warnings: Vec<Warning>,
}

/// How much work is put into making new segments small: a level of zstd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Compression(u8);

impl Compression {
    /// Fewer bytes for several times the time of encoding.
    pub const COMPACT: Compression = Compression(15);

    /// A level from 1 to 22.
    pub fn level(level: u8) -> Option<Compression> {
        (1..=22).contains(&level).then_some(Compression(level))
    }

    pub fn zstd_level(self) -> i32 {
        self.0.into()
    }
}

impl Default for Compression {
    fn default() -> Self {
        Compression(3)
    }
}

/// What is armed; by default nothing is deleted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Delete {
    /// Clear raw objects after their verified archive and `keep_raw`.
    pub raw: bool,
    /// Retire and destroy what has expired.
    pub expired: bool,
    /// When of a day; in the schedule's time zone.
    pub window: Option<Window>,
}

/// When `schedule` runs.
#[derive(Debug, Clone, Serialize)]
pub struct Schedule {
    /// Five fields, checked.
    pub cron: Option<String>,
    /// An IANA name.
    pub time_zone: String,
    /// The zone of that name.
    #[serde(skip)]
    pub zone: TimeZone,
    /// Where runs write what a monitoring system reads; absolute.
    pub metrics: Option<PathBuf>,
}

impl Default for Schedule {
    fn default() -> Self {
        Schedule { cron: None, time_zone: "UTC".into(), zone: TimeZone::UTC, metrics: None }
    }
}

/// Where collectors leave raw objects.
#[derive(Debug, Clone, Serialize)]
pub struct SourceSettings {
    pub name: String,
    pub url: Url,
    /// A path template or the name of a known layout; judged by the source, not here.
    pub layout: String,
    /// The name of the form of its objects' content; judged by the source, not here. None: the content tells.
    pub format: Option<String>,
    pub workspace: String,
    /// The table of all its objects, where the layout names none.
    pub table: Option<String>,
    /// Objects whose path names no possible table are archived into one for them.
    pub unrouted: bool,
    /// An object modified less than this before `now` waits for the next run; zero: no such check.
    #[serde(serialize_with = "as_duration_text")]
    pub settle: Duration,
}

/// The log of searches and restores.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Access {
    pub record: Record,
}

/// What becomes of a search or restore that cannot be recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// It is refused before anything is read.
    #[default]
    Required,
    /// It is answered, and the answer says that nobody recorded it.
    BestEffort,
}

/// A settings file that cannot be used, with all its mistakes.
#[derive(Debug)]
pub struct SettingsError {
    pub file: PathBuf,
    pub mistakes: Vec<Mistake>,
}

impl SettingsError {
    /// Every mistake as rustc would print it.
    pub fn render(&self, color: bool) -> String {
        diagnose::render_all(&self.mistakes, color)
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&diagnose::summary(&self.mistakes))
    }
}

impl std::error::Error for SettingsError {}

impl From<SettingsError> for Error {
    fn from(error: SettingsError) -> Self {
        let attempted = format!("reading settings {}", error.file.display());
        Error::from_source(Kind::Usage, attempted, error).with_hint("correct the settings file and run again")
    }
}

impl Settings {
    /// The file to read: `explicit` (`--config`), else `env` (`$HOLDFAST_CONFIG`), else `holdfast.toml` in `cwd`, else
    /// the system's.
    pub fn find(explicit: Option<&Path>, env: Option<&OsStr>, cwd: &Path) -> Result<PathBuf> {
        find_with_system(explicit, env, cwd, Path::new(SYSTEM_FILE))
    }

    pub fn read(path: &Path) -> Result<Settings, SettingsError> {
        let failed = |reason: String| {
            let mistake = Mistake::of_file(path.display().to_string(), Problem::new(reason, ""));
            SettingsError { file: path.to_owned(), mistakes: vec![mistake] }
        };
        let absolute =
            std::path::absolute(path).map_err(|error| failed(format!("the path cannot be resolved: {error}")))?;
        let bytes =
            std::fs::read(&absolute).map_err(|error| failed(format!("the settings file cannot be read: {error}")))?;
        let text = String::from_utf8(bytes)
            .map_err(|error| failed(format!("not UTF-8 from byte {} on", error.utf8_error().valid_up_to())))?;
        let base = absolute.parent().unwrap_or(Path::new("/"));
        let mut settings = document::parse(path.display().to_string(), text, base)
            .map_err(|mistakes| SettingsError { file: path.to_owned(), mistakes })?;
        settings.file = Some(absolute);
        Ok(settings)
    }

    /// Settings from text; `base` is the absolute folder that paths are relative to.
    pub fn parse(text: &str, base: &Path) -> Result<Settings, Vec<Mistake>> {
        document::parse("holdfast.toml".into(), text.to_owned(), base)
    }

    /// How the store at `url` is reached.
    pub fn store_options(&self, url: &Url) -> StoreOptions {
        store::options_of(&self.stores, url)
    }

    /// What parsed but has no effect, or is probably not meant.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

fn find_with_system(explicit: Option<&Path>, env: Option<&OsStr>, cwd: &Path, system: &Path) -> Result<PathBuf> {
    let named = match (explicit, env.filter(|env| !env.is_empty())) {
        (Some(path), _) => Some((path, "--config")),
        (None, Some(env)) => Some((Path::new(env), "$HOLDFAST_CONFIG")),
        (None, None) => None,
    };
    if let Some((path, by)) = named {
        let path = cwd.join(path);
        // A file named by hand is never silently replaced by another.
        return if path.is_file() {
            Ok(path)
        } else {
            let reason = format!("no such file: {} (named by {by})", path.display());
            Err(Error::new(Kind::Usage, "looking for the settings", reason).with_hint("check the path"))
        };
    }
    let local = cwd.join("holdfast.toml");
    if let Some(found) = [local.as_path(), system].into_iter().find(|path| path.is_file()) {
        return Ok(found.to_owned());
    }
    let reason = format!(
        "no settings file: --config and $HOLDFAST_CONFIG are not given, {} and {} are not there",
        local.display(),
        system.display()
    );
    Err(Error::new(Kind::Usage, "looking for the settings", reason)
        .with_hint("name one with --config FILE, or try `holdfast demo` to see a whole one"))
}

fn as_duration_text<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value::duration_text(*duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key of DESIGN §5, as written there.
    const WHOLE: &str = r#"
archive  = "file:///srv/holdfast"        # path, file://, s3://, az://, gs://
ledger   = "file:///srv/holdfast/ledger" # default below the archive; better another account
policies = "policies"
memory   = "1GiB"
simulation = false
approvers = 2

[delete]
raw     = true
expired = true
window  = "22:00/05:00"

[schedule]
cron      = "0 2 * * *"
time_zone = "UTC"
metrics   = "holdfast.prom"

[[source]]
name = "collector"
url  = "file:///var/log/landing"
layout = "{table}/{year}/{month}/{day}/{hour}/*"
workspace = "main"
settle = "1h"
"#;

    fn base() -> &'static Path {
        Path::new("/etc/holdfast")
    }

    #[test]
    fn every_key_of_the_design_parses() {
        let settings = Settings::parse(WHOLE, base()).unwrap();
        assert_eq!(settings.archive.as_str(), "file:///srv/holdfast");
        assert_eq!(settings.ledger.as_ref().unwrap().as_str(), "file:///srv/holdfast/ledger");
        assert_eq!(settings.policies, Path::new("/etc/holdfast/policies"));
        assert_eq!((settings.memory, settings.simulation, settings.approvers), (1 << 30, false, 2));
        assert!(settings.delete.raw && settings.delete.expired);
        assert_eq!(settings.delete.window.unwrap().to_string(), "22:00/05:00");
        assert_eq!(settings.schedule.cron.as_deref(), Some("0 2 * * *"));
        assert_eq!(settings.schedule.metrics.as_deref(), Some(Path::new("/etc/holdfast/holdfast.prom")));
        let [source] = settings.sources.as_slice() else { panic!() };
        assert_eq!((source.name.as_str(), source.workspace.as_str()), ("collector", "main"));
        assert_eq!((source.settle, source.format.as_deref()), (Duration::from_secs(3600), None));
        assert!(settings.warnings().is_empty(), "{:?}", settings.warnings());
    }

    #[test]
    fn i3_nothing_is_armed_by_default() {
        let settings = Settings::parse("archive = \"archive\"", base()).unwrap();
        assert!(!settings.delete.raw && !settings.delete.expired && !settings.simulation);
        assert_eq!(settings.archive.as_str(), "file:///etc/holdfast/archive");
        assert_eq!((settings.ledger, settings.approvers, settings.memory), (None, 1, 1 << 30));
        assert!(settings.sources.is_empty() && settings.warnings.is_empty());
        assert!(settings.schedule.cron.is_none() && settings.schedule.time_zone == "UTC");
    }

    #[test]
    fn all_mistakes_come_at_once_and_in_order() {
        let text =
            "archive = 1\nmemry = \"1GiB\"\n[delete]\nraw = \"true\"\nwindow = \"x\"\n[[source]]\nname = \"a b\"\n";
        let mistakes = Settings::parse(text, base()).unwrap_err();
        let lines: Vec<_> = mistakes.iter().filter_map(Mistake::line).collect();
        assert_eq!(lines, [1, 2, 4, 5, 6, 6, 7]);
    }

    #[test]
    fn a_source_never_overlaps_archive_or_ledger() {
        for (archive, ledger, source, right) in [
            ("/srv/a", "/srv/l", "/srv/raw", true),
            ("/srv/a", "/srv/l", "/srv", false),
            ("/srv/a", "/srv/l", "/srv/a/raw", false),
            ("/srv/a", "/srv/l", "/srv/l", false),
            ("/srv/a", "/srv/l", "/etc/holdfast", false),
            ("/srv/a", "/srv/l", "/etc/holdfast/raw", true),
        ] {
            let text = format!(
                "archive = \"{archive}\"\nledger = \"{ledger}\"\n\
                 [[source]]\nname = \"s\"\nurl = \"{source}\"\nlayout = \"x\"\n"
            );
            assert_eq!(Settings::parse(&text, base()).is_ok(), right, "{text}");
        }
    }

    #[test]
    fn the_metrics_file_lies_in_no_source() {
        for (metrics, right) in
            [("/srv/raw/x.prom", false), ("/srv/x.prom", true), ("/srv/x/", false), ("x.prom", true)]
        {
            let text = format!(
                "archive = \"/srv/a\"\n[schedule]\nmetrics = \"{metrics}\"\n\
                 [[source]]\nname = \"s\"\nurl = \"/srv/raw\"\nlayout = \"x\"\n"
            );
            assert_eq!(Settings::parse(&text, base()).is_ok(), right, "{text}");
        }
    }

    #[test]
    fn approvers_may_stand_in_delete_but_once() {
        let parse = |text: &str| Settings::parse(&format!("archive = \"a\"\n{text}"), base());
        assert_eq!(parse("[delete]\napprovers = 2").unwrap().approvers, 2);
        assert!(parse("approvers = 1\n[delete]\napprovers = 2").is_err());
        assert!(parse("approvers = 0").is_err());
    }

    #[test]
    fn finds_the_file_in_order_and_says_where_it_looked() {
        let folder = tempfile::tempdir().unwrap();
        let (cwd, system) = (folder.path(), folder.path().join("system.toml"));
        let find = |explicit: Option<&str>, env: Option<&str>| {
            find_with_system(explicit.map(Path::new), env.map(OsStr::new), cwd, &system)
        };
        let error = find(None, None).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        for place in ["--config", "$HOLDFAST_CONFIG", "holdfast.toml", "system.toml"] {
            assert!(error.reason().contains(place), "{error}");
        }
        std::fs::write(&system, "").unwrap();
        assert_eq!(find(None, None).unwrap(), system);
        std::fs::write(cwd.join("holdfast.toml"), "").unwrap();
        assert_eq!(find(None, Some("")).unwrap(), cwd.join("holdfast.toml"));
        assert!(find(None, Some("env.toml")).is_err(), "a named file is never replaced by another");
        std::fs::write(cwd.join("env.toml"), "").unwrap();
        assert_eq!(find(None, Some("env.toml")).unwrap(), cwd.join("env.toml"));
        assert!(find(Some("mine.toml"), Some("env.toml")).is_err());
        std::fs::write(cwd.join("mine.toml"), "").unwrap();
        assert_eq!(find(Some("mine.toml"), Some("env.toml")).unwrap(), cwd.join("mine.toml"));
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("holdfast.toml");
        std::fs::write(&file, "archive = \"archive\"\npolicies = \"../rules\"").unwrap();
        let settings = Settings::read(&file).unwrap();
        assert_eq!(settings.archive.to_file_path().unwrap(), folder.path().join("archive"));
        assert_eq!(settings.policies, folder.path().parent().unwrap().join("rules"));
        assert_eq!(settings.file.as_deref(), Some(file.as_path()));
        std::fs::write(&file, "archive = 1").unwrap();
        let error: Error = Settings::read(&file).unwrap_err().into();
        assert_eq!((error.kind(), error.exit_code()), (Kind::Usage, 2));
        assert!(Settings::read(&folder.path().join("none.toml")).is_err());
        std::fs::write(&file, b"\xff").unwrap();
        assert_eq!(Settings::read(&file).unwrap_err().to_string().split(" (").next(), Some("not UTF-8 from byte 0 on"));
    }

    #[test]
    fn prints_as_json_in_the_notation_it_reads() {
        let json = serde_json::to_value(Settings::parse(WHOLE, base()).unwrap()).unwrap();
        assert_eq!(json["source"][0]["settle"], "1h");
        assert_eq!(json["delete"]["window"], "22:00/05:00");
        assert_eq!(json["archive"], "file:///srv/holdfast");
    }
}
