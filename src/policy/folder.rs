//! The policy folder on disk: its files as text, and why it cannot be used.
//!
//! A file that cannot be read is a mistake like one inside a file: left out in silence, its tables would fall under
//! other rules.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind};
use crate::settings::diagnose::{self, Mistake, Problem};

use super::set::PolicyFile;

/// A policy folder that cannot be used, with all its mistakes.
#[derive(Debug)]
pub struct PolicyError {
    pub folder: PathBuf,
    pub mistakes: Vec<Mistake>,
}

impl PolicyError {
    /// Every mistake as rustc would print it.
    pub fn render(&self, color: bool) -> String {
        diagnose::render_all(&self.mistakes, color)
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&diagnose::summary(&self.mistakes))
    }
}

impl std::error::Error for PolicyError {}

impl From<PolicyError> for Error {
    fn from(error: PolicyError) -> Self {
        let attempted = format!("reading the policies in {}", error.folder.display());
        Error::from_source(Kind::Policy, attempted, error)
            .with_hint("correct the policy files and try again with `holdfast check`")
    }
}

pub(super) fn no_files(folder: &str) -> Mistake {
    let problem = Problem::new("no policy file here", "")
        .with_hint("put at least one *.toml in it that says `version = 1`, and what to keep");
    Mistake::of_file(folder, problem)
}

/// The texts of a folder's policy files, and what kept others from being read.
pub(super) fn read_files(folder: &Path) -> (Vec<PolicyFile>, Vec<Mistake>) {
    let shown = |path: &Path| path.display().to_string();
    let failed = |path: &Path, reason: String| Mistake::of_file(shown(path), Problem::new(reason, ""));
    let (mut files, mut mistakes) = (Vec::new(), Vec::new());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let problem = Problem::new(format!("the policy folder cannot be read: {error}"), "")
                .with_hint("`policies` in the settings names the folder");
            return (files, vec![Mistake::of_file(shown(folder), problem)]);
        }
    };
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(error) => {
                mistakes.push(failed(folder, format!("the policy folder cannot be read: {error}")));
                continue;
            }
        };
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if let Some(accepted) = is_policy_file(&name, &shown(&path)) {
            let read = || std::fs::read(&path).map_err(|error| unreadable(shown(&path), &error));
            match accepted.and_then(|()| read()).and_then(|bytes| text_of(&name, shown(&path), bytes)) {
                Ok(file) => files.push(file),
                Err(mistake) => mistakes.push(mistake),
            }
        }
    }
    if files.is_empty() && mistakes.is_empty() {
        mistakes.push(no_files(&shown(folder)));
    }
    mistakes.sort_by(|one, other| one.file().cmp(other.file()));
    (files, mistakes)
}

/// None: no policy file, nor meant as one. A mistake: meant as one, and left out in silence its tables would fall under
/// other rules.
pub(super) fn is_policy_file(name: &str, shown: &str) -> Option<Result<(), Mistake>> {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if name.starts_with('.') || !extension.eq_ignore_ascii_case("toml") {
        return None;
    }
    if extension == "toml" {
        return Some(Ok(()));
    }
    let problem = Problem::new(format!("a policy file named .{extension}"), "").with_hint("rename it to .toml");
    Some(Err(Mistake::of_file(shown, problem)))
}

/// A file's bytes as text.
pub(super) fn text_of(name: &str, shown: String, bytes: Vec<u8>) -> Result<PolicyFile, Mistake> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        let problem = Problem::new(format!("line {line} is not UTF-8"), "");
        Mistake::of_file(shown, problem.with_hint("save the file as UTF-8"))
    })?;
    Ok(PolicyFile { name: name.to_owned(), text })
}

fn unreadable(shown: String, error: &std::io::Error) -> Mistake {
    Mistake::of_file(shown, Problem::new(format!("the policy file cannot be read: {error}"), ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicySet;

    #[test]
    fn folders_that_cannot_be_read_say_why() {
        let folder = tempfile::tempdir().unwrap();
        let titles = |path: &Path| -> Vec<String> {
            let error = PolicySet::read_folder(path).unwrap_err();
            error.mistakes.iter().map(|mistake| mistake.title().to_owned()).collect()
        };
        assert!(titles(&folder.path().join("none"))[0].starts_with("the policy folder cannot be read"));
        assert_eq!(titles(folder.path()), ["no policy file here"]);
        std::fs::write(folder.path().join(".hidden.toml"), "x").unwrap();
        std::fs::write(folder.path().join("note.txt"), "x").unwrap();
        assert_eq!(titles(folder.path()), ["no policy file here"]);
        std::fs::write(folder.path().join("a.toml"), b"version = 1\n# \xff\n").unwrap();
        std::fs::write(folder.path().join("b.TOML"), "version = 1").unwrap();
        std::fs::write(folder.path().join("c.toml"), "version = 1\nretian = 1\n").unwrap();
        std::fs::create_dir(folder.path().join("d.toml")).unwrap();
        let titles = titles(folder.path());
        assert_eq!(titles.len(), 4, "{titles:?}");
        assert_eq!(titles[..2], ["line 2 is not UTF-8", "a policy file named .TOML"]);
        assert!(titles[2].starts_with("the policy file cannot be read"));
        assert_eq!(titles[3], "unknown key `retian` in a policy file");
    }

    #[test]
    fn an_error_is_one_of_policy() {
        let folder = tempfile::tempdir().unwrap();
        let error: Error = PolicySet::read_folder(folder.path()).unwrap_err().into();
        assert_eq!((error.kind(), error.exit_code()), (Kind::Policy, 1));
    }
}
