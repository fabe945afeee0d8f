//! What lies in a source: raw objects, those still being written, and strangers.
//!
//! Invariants: everything found is in exactly one list of the [`Discovery`], each sorted by path; one bad name or folder
//! hides nothing else (I12); what cannot be placed is a stranger and never touched (I7). Nothing here writes.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use object_store::ObjectMeta;
use object_store::path::Path;
use serde::{Serialize, Serializer};

use super::aside::original_of_aside;
use super::form::Form;
use super::layout::{Layout, Period};
use super::local::{self, Entry};
use crate::error::{Error, Kind, Result};
use crate::names::TableName;
use crate::storage::Store;

/// Which source, and how long its objects are left alone after a change.
#[derive(Debug, Clone)]
pub struct DiscoverOptions {
    /// The source's name in the settings.
    pub name: String,
    /// The workspace of its tables.
    pub workspace: String,
    /// An object modified later than `now - settle` waits; zero: none does, whatever its time.
    pub settle: SignedDuration,
}

/// One object of a source, as it was listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RawObject {
    /// The source's name.
    pub source: String,
    /// Relative to the source's URL, `/` between segments.
    pub path: String,
    /// In bytes.
    pub size: u64,
    #[serde(serialize_with = "as_text")]
    pub modified: Timestamp,
    /// What tells versions apart, where the store has it.
    pub etag: Option<String>,
    pub table: TableName,
    /// The period that the layout reads in the path.
    pub period: Option<Period>,
    /// The form of its content, where its source names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Form>,
    /// The path this object had before it was set aside for clearing, if a crash left it so; `table` and `period` are
    /// those of that path.
    pub aside_of: Option<String>,
}

/// Something in a source that Holdfast leaves alone, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stranger {
    pub source: String,
    pub path: String,
    pub reason: String,
}

/// All that lies in one source, each list sorted by path.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Discovery {
    /// What may be archived.
    pub objects: Vec<RawObject>,
    /// What is no raw object by its name.
    pub strangers: Vec<Stranger>,
    /// Objects changed less than `settle` ago.
    pub unsettled: Vec<RawObject>,
    /// Folders and files that could not be looked at: what they hold is unknown, and a run reports it as failed (I13).
    pub unreadable: Vec<Stranger>,
}

/// Lists the source whose URL `store` was opened with. Pure but for the listing: same objects, same `now`, same answer.
///
/// Errors, of kind `Store`: the source's folder is missing or no folder, or the store cannot be listed.
pub fn discover(store: &Store, source: &DiscoverOptions, layout: &Layout, now: Timestamp) -> Result<Discovery> {
    let mut found = Discovery::default();
    let mut apart = BTreeSet::new();
    let folder = local_folder(store, source)?;
    if let Some(folder) = &folder {
        local::walk(folder, &mut |entry| match entry {
            Entry::File(_) => {}
            Entry::Apart { path, reason } => {
                apart.insert(path.clone());
                found.strangers.push(source.stranger(path, reason));
            }
            Entry::Unreadable { path, reason } => found.unreadable.push(source.stranger(path, reason)),
        });
    }
    let listed = match &folder {
        // The store would stumble over the same, or lose its way in a circle.
        Some(folder) if !found.unreadable.is_empty() => look_one_by_one(store, source, folder, &mut found),
        _ => match (store.list(None), &folder) {
            (Ok(listed), _) => listed,
            // One name that the store's library cannot express fails its whole listing.
            (Err(_), Some(folder)) if !apart.is_empty() => look_one_by_one(store, source, folder, &mut found),
            (Err(error), _) => {
                return Err(
                    error.with_hint(format!("check source `{}`: its url and the right to list it", source.name))
                );
            }
        },
    };
    for meta in listed.into_iter().filter(|meta| !apart.contains(meta.location.as_ref())) {
        place(meta, source, layout, now, &mut found);
    }
    found.objects.sort_by(|a, b| a.path.cmp(&b.path));
    found.unsettled.sort_by(|a, b| a.path.cmp(&b.path));
    found.strangers.sort_by(|a, b| a.path.cmp(&b.path));
    found.unreadable.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The store's time of last change; `None` if it lies outside the years that can be counted.
pub(super) fn modified_at(meta: &ObjectMeta) -> Option<Timestamp> {
    let nanoseconds = i32::try_from(meta.last_modified.timestamp_subsec_nanos()).ok()?;
    Timestamp::new(meta.last_modified.timestamp(), nanoseconds).ok()
}

impl DiscoverOptions {
    fn stranger(&self, path: impl Into<String>, reason: impl Into<String>) -> Stranger {
        Stranger { source: self.name.clone(), path: path.into(), reason: reason.into() }
    }

    fn is_settled(&self, modified: Timestamp, now: Timestamp) -> bool {
        // A `settle` that reaches beyond the calendar is never over.
        self.settle <= SignedDuration::ZERO || now.checked_sub(self.settle).is_ok_and(|latest| modified <= latest)
    }
}

/// Puts one listed object into its list.
fn place(meta: ObjectMeta, source: &DiscoverOptions, layout: &Layout, now: Timestamp, found: &mut Discovery) {
    let path = meta.location.as_ref().to_owned();
    let aside_of = original_of_aside(&path);
    let named = aside_of.as_deref().unwrap_or(&path);
    if named.split('/').any(|segment| segment.starts_with('.')) {
        found.strangers.push(source.stranger(path, "hidden: a name begins with `.`"));
        return;
    }
    let Some(seen) = layout.read(named) else {
        found.strangers.push(source.stranger(path, "does not fit the source's layout"));
        return;
    };
    if !TableName::is_valid_part(&seen.table) {
        let reason = format!("`{}` cannot be a table's name: letters, digits, `_`, `-` and `.` can", seen.table);
        found.strangers.push(source.stranger(path, reason));
        return;
    }
    let Some(modified) = modified_at(&meta) else {
        found.unreadable.push(source.stranger(path, "its time of change lies outside the calendar"));
        return;
    };
    let object = RawObject {
        source: source.name.clone(),
        path,
        size: meta.size,
        modified,
        etag: meta.e_tag,
        table: TableName::new(&source.workspace, seen.table),
        period: seen.period,
        format: layout.format(),
        aside_of,
    };
    let list = if source.is_settled(modified, now) { &mut found.objects } else { &mut found.unsettled };
    list.push(object);
}

/// The folder of a `file://` source, which must exist: a store lists a missing one as empty.
fn local_folder(store: &Store, source: &DiscoverOptions) -> Result<Option<std::path::PathBuf>> {
    if store.url().scheme() != "file" {
        return Ok(None);
    }
    let attempted = || format!("listing source `{}`", source.name);
    let Ok(folder) = store.url().to_file_path() else {
        return Err(Error::new(Kind::Store, attempted(), format!("{} names no folder of this machine", store.url())));
    };
    let reason = match std::fs::metadata(&folder) {
        Ok(metadata) if metadata.is_dir() => return Ok(Some(folder)),
        Ok(_) => format!("{} is not a folder", folder.display()),
        // A URL of a folder ends in `/`.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            format!("{} is not a folder", folder.display())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("folder {} does not exist", folder.display())
        }
        Err(error) => format!("{}: {error}", folder.display()),
    };
    Err(Error::new(Kind::Store, attempted(), reason)
        .with_hint("mount or create it, or correct the source's `url`; nothing was touched"))
}

/// A listing that survives what the store's own does not.
fn look_one_by_one(
    store: &Store,
    source: &DiscoverOptions,
    folder: &std::path::Path,
    found: &mut Discovery,
) -> Vec<ObjectMeta> {
    let mut listed = Vec::new();
    local::walk(folder, &mut |entry| {
        let Entry::File(path) = entry else { return };
        match Path::parse(&path)
            .map_err(|error| error.to_string())
            .and_then(|at| store.head(&at).map_err(|e| e.to_string()))
        {
            Ok(meta) => listed.extend(meta),
            Err(reason) => found.unreadable.push(source.stranger(path, reason)),
        }
    });
    listed
}

pub(super) fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::testing::Source;

    const NOW: &str = "2024-03-10T00:00:00Z";

    fn options(settle_hours: i64) -> DiscoverOptions {
        DiscoverOptions {
            name: "collector".into(),
            workspace: "main".into(),
            settle: SignedDuration::from_hours(settle_hours),
        }
    }

    fn look(source: &Source, settle_hours: i64, now: &str) -> Discovery {
        let layout = Layout::parse("{table}/{date}/**").unwrap();
        discover(&source.store, &options(settle_hours), &layout, now.parse().unwrap()).unwrap()
    }

    fn paths(objects: &[RawObject]) -> Vec<&str> {
        objects.iter().map(|object| object.path.as_str()).collect()
    }

    fn reasons(strangers: &[Stranger]) -> Vec<(&str, &str)> {
        strangers.iter().map(|stranger| (stranger.path.as_str(), stranger.reason.as_str())).collect()
    }

    #[test]
    fn objects_carry_what_their_path_and_store_say() {
        let source = Source::new();
        source.write("Signin/2024-03-02/b.json", "12345");
        source.write("Signin/2024-03-01/a b ü %20#x.json", "");
        source.write("Audit/2024-03-01/c/d.json", "1");
        source.modify("Signin/2024-03-02/b.json", "2024-03-02T01:02:03.000004Z");
        let found = look(&source, 0, NOW);
        assert_eq!(
            paths(&found.objects),
            ["Audit/2024-03-01/c/d.json", "Signin/2024-03-01/a b ü %20#x.json", "Signin/2024-03-02/b.json"]
        );
        let object = &found.objects[2];
        assert_eq!((object.size, object.modified.to_string().as_str()), (5, "2024-03-02T01:02:03.000004Z"));
        assert_eq!(object.table, TableName::new("main", "Signin"));
        assert_eq!(object.period.unwrap().end.to_string(), "2024-03-03T00:00:00Z");
        assert!(object.etag.is_some() && object.aside_of.is_none() && object.source == "collector");
        assert!(found.strangers.is_empty() && found.unsettled.is_empty() && found.unreadable.is_empty());
        assert_eq!(look(&source, 0, NOW), found, "same objects, same answer");
        let json = serde_json::to_value(object).unwrap();
        assert_eq!(
            (json["modified"].as_str(), json["period"]["start"].as_str()),
            (Some("2024-03-02T01:02:03.000004Z"), Some("2024-03-02T00:00:00Z"))
        );
    }

    #[test]
    fn what_changed_lately_waits() {
        let source = Source::new();
        source.write("T/2024-03-01/a", "1");
        source.modify("T/2024-03-01/a", "2024-03-09T23:00:00Z");
        assert_eq!(paths(&look(&source, 1, NOW).objects), ["T/2024-03-01/a"], "exactly `settle` ago is settled");
        assert_eq!(paths(&look(&source, 1, "2024-03-09T23:59:59Z").unsettled), ["T/2024-03-01/a"]);
        assert_eq!(paths(&look(&source, 1, "2024-03-01T00:00:00Z").unsettled), ["T/2024-03-01/a"]);
        assert_eq!(paths(&look(&source, 0, "2024-03-01T00:00:00Z").objects), ["T/2024-03-01/a"], "0s checks nothing");
        assert_eq!(paths(&look(&source, i64::MAX / 3600, NOW).unsettled), ["T/2024-03-01/a"]);
    }

    #[test]
    fn i7_strangers_are_listed_with_the_reason() {
        let source = Source::new();
        for path in [
            "README.txt",
            "T/2024-13-01/a",
            "T/2024-03-01/.hidden",
            ".git/2024-03-01/a",
            "T/2024-03-01/..a.hf-aside",
            "bad name/2024-03-01/a",
            "T/2024-03-01/app.log#1",
            "T/2024-03-01/good",
        ] {
            source.write(path, "1");
        }
        let found = look(&source, 0, NOW);
        assert_eq!(paths(&found.objects), ["T/2024-03-01/good"]);
        let hidden = "hidden: a name begins with `.`";
        let unfit = "does not fit the source's layout";
        assert_eq!(
            reasons(&found.strangers),
            [
                (".git/2024-03-01/a", hidden),
                ("README.txt", unfit),
                ("T/2024-03-01/..a.hf-aside", hidden),
                ("T/2024-03-01/.hidden", hidden),
                ("T/2024-03-01/app.log#1", "invisible to the object store library: `#` and digits end its name"),
                ("T/2024-13-01/a", unfit),
                ("bad name/2024-03-01/a", "`bad name` cannot be a table's name: letters, digits, `_`, `-` and `.` can"),
            ]
        );
    }

    #[test]
    fn asides_are_found_under_their_original_name() {
        let source = Source::new();
        source.write("T/2024-03-01/.a.json.hf-aside", "1");
        let found = look(&source, 0, NOW);
        let object = &found.objects[0];
        assert_eq!(object.path, "T/2024-03-01/.a.json.hf-aside");
        assert_eq!(object.aside_of.as_deref(), Some("T/2024-03-01/a.json"));
        assert_eq!(object.table.table, "T");
        assert!(found.strangers.is_empty());
    }

    #[test]
    fn a_missing_source_is_an_error_not_an_empty_one() {
        let source = Source::new();
        let layout = Layout::parse("{table}/*").unwrap();
        std::fs::remove_dir(source.folder.path()).unwrap();
        let error = discover(&source.store, &options(0), &layout, NOW.parse().unwrap()).unwrap_err();
        assert_eq!(error.kind(), Kind::Store);
        assert!(error.to_string().contains("collector") && error.reason().contains("does not exist"), "{error}");
        std::fs::write(source.folder.path(), "").unwrap();
        let error = discover(&source.store, &options(0), &layout, NOW.parse().unwrap()).unwrap_err();
        assert!(error.reason().contains("not a folder"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn i12_one_bad_name_or_link_hides_nothing_else() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::symlink;

        let source = Source::new();
        let root = source.folder.path();
        source.write("T/2024-03-01/good", "123");
        source.write("elsewhere/x", "1");
        symlink("nowhere", root.join("T/2024-03-01/dangling")).unwrap();
        symlink("good", root.join("T/2024-03-01/linked")).unwrap();
        let found = look(&source, 0, NOW);
        assert_eq!(paths(&found.objects), ["T/2024-03-01/good"]);
        assert_eq!(found.strangers.len(), 3, "{:?}", found.strangers);

        std::fs::write(root.join("T/2024-03-01/a\nb"), "").unwrap();
        assert_eq!(paths(&look(&source, 0, NOW).objects), ["T/2024-03-01/good"]);
        symlink("..", root.join("T/circle")).unwrap();
        symlink("/", root.join("T/wide circle")).unwrap();
        symlink(root.join("T/2024-03-01"), root.join("T/2024-03-02")).unwrap();
        std::fs::write(root.join(OsStr::from_bytes(b"T/2024-03-01/\xff")), "").unwrap();
        std::fs::create_dir(root.join(OsStr::from_bytes(b"T/2024-03-\xff"))).unwrap();
        let found = look(&source, 0, NOW);
        assert_eq!(paths(&found.objects), ["T/2024-03-01/good", "T/2024-03-02/good"]);
        assert_eq!(found.objects[0].size, 3);
        let kinds: Vec<(&str, bool)> =
            found.strangers.iter().map(|s| (s.path.as_str(), s.reason.contains("link"))).collect();
        assert_eq!(
            kinds,
            [
                ("T/2024-03-01/a\nb", false),
                ("T/2024-03-01/dangling", true),
                ("T/2024-03-01/linked", true),
                ("T/2024-03-01/\u{fffd}", false),
                ("T/2024-03-02/a\nb", false),
                ("T/2024-03-02/dangling", true),
                ("T/2024-03-02/linked", true),
                ("T/2024-03-02/\u{fffd}", false),
                ("elsewhere/x", false),
            ]
        );
        let unreadable: Vec<&str> = found.unreadable.iter().map(|folder| folder.path.as_str()).collect();
        assert_eq!(unreadable, ["T/2024-03-\u{fffd}", "T/circle", "T/wide circle"]);
    }
}
