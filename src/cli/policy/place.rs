//! Where a policy is read from: a folder, a file, or a git revision. Neither settings nor archive are needed.
//!
//! A path that exists wins. Git is asked with its own program, for objects by their ids, so that nothing in a name can be
//! taken for an option, and whatever git can name can be compared. Nothing is checked out.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Kind, Result};
use crate::policy::{PolicyError, PolicySet};
use crate::settings::Settings;

/// Reads the policy that `place` names. `config`: the settings file that was named on the command line.
pub fn read(place: &str, config: Option<&Path>) -> Result<Result<PolicySet, PolicyError>> {
    let path = Path::new(place);
    if path.is_dir() {
        return Ok(PolicySet::read_folder(path));
    }
    if path.exists() {
        let bytes = std::fs::read(path)
            .map_err(|source| Error::from_source(Kind::Store, format!("reading the policy file {place}"), source))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.ends_with(".toml") || name.starts_with('.') {
            return Err(Error::new(
                Kind::Usage,
                format!("reading the policy {place}"),
                "it is no policy file by its name",
            )
            .with_hint("a policy file is named *.toml"));
        }
        return Ok(PolicySet::from_bytes(vec![(name, bytes)], path.parent().unwrap_or(Path::new(""))));
    }
    Revision::find(place, config)?.read()
}

/// The folder of policies where none is named: that of the settings, if there are any, else `policies`.
pub fn default_folder(config: Option<&Path>) -> Result<String> {
    Ok(settings_folder(config)?.map_or_else(|| "policies".into(), |folder| folder.display().to_string()))
}

/// The settings' policies; none, if no settings are there. Settings that were named by hand must be right.
fn settings_folder(config: Option<&Path>) -> Result<Option<PathBuf>> {
    let cwd = std::env::current_dir()
        .map_err(|source| Error::from_source(Kind::Store, "finding the current folder", source))?;
    let env = std::env::var_os("HOLDFAST_CONFIG");
    match Settings::find(config, env.as_deref(), &cwd) {
        Ok(file) => Ok(Some(Settings::read(&file)?.policies)),
        Err(error) if config.is_some() || env.is_some_and(|env| !env.is_empty()) => Err(error),
        Err(_) => Ok(None),
    }
}

/// A tree or a file in a git repository.
struct Revision {
    /// As it is shown: `main:policies`.
    shown: String,
    object: String,
}

impl Revision {
    fn find(place: &str, config: Option<&Path>) -> Result<Self> {
        let failed = |reason: String| Error::new(Kind::Usage, format!("reading the policy {place}"), reason);
        const FORMS: &str = "name a folder, a *.toml file, or a git revision like `main:policies` or `HEAD~1`";
        if place.is_empty() || place.starts_with('-') {
            return Err(failed("it is neither a path nor a git revision".into()).with_hint(FORMS));
        }
        if let Answer::No(reason) = git(&["rev-parse", "--git-dir"])? {
            let reason = format!("there is no such file or folder, and git knows no repository here: {reason}");
            return Err(failed(reason).with_hint(FORMS));
        }
        let (revision, path) = match place.split_once(':') {
            Some((revision, path)) => (revision, Some(path)),
            None => (place, None),
        };
        if revision.is_empty() || object(&format!("{revision}^{{tree}}"))?.is_none() {
            let reason = format!("there is no such file or folder, and git knows no revision `{revision}`");
            return Err(failed(reason).with_hint("in a shallow clone fetch it first, like `git fetch origin main`"));
        }
        let names = match path {
            Some(_) => vec![place.to_owned()],
            None => policies_of(revision, config)?,
        };
        for name in &names {
            if let Some(object) = object(name)? {
                return Ok(Revision { shown: name.clone(), object });
            }
        }
        let reason =
            format!("git has no {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", no "));
        Err(failed(reason)
            .with_hint("name the folder of the policies, like `main:policies`; paths begin at the repository's root"))
    }

    fn read(self) -> Result<Result<PolicySet, PolicyError>> {
        let place = Path::new(&self.shown);
        if text(&["cat-file", "-t", &self.object])? == "blob" {
            let (folder, name) =
                self.shown.rsplit_once('/').or(self.shown.rsplit_once(':')).unwrap_or(("", &self.shown));
            let bytes = output(&["cat-file", "blob", &self.object])?;
            return Ok(PolicySet::from_bytes(vec![(name.to_owned(), bytes)], Path::new(folder)));
        }
        let mut files = Vec::new();
        for entry in
            output(&["ls-tree", "-z", &self.object])?.split(|byte| *byte == 0).filter(|entry| !entry.is_empty())
        {
            let entry = String::from_utf8_lossy(entry);
            // "100644 blob 257cc5… name", with a tab before the name.
            let Some((about, name)) = entry.split_once('\t') else { continue };
            let [mode, kind, id] = about.split(' ').collect::<Vec<_>>()[..] else { continue };
            let plain = kind == "blob" && mode != "120000";
            if plain {
                files.push((name.to_owned(), output(&["cat-file", "blob", id])?));
            } else if name.ends_with(".toml") {
                // Left out in silence, its tables would fall under other rules.
                let reason = format!("{name} is no plain file, but a link or a folder");
                return Err(Error::new(Kind::Usage, format!("reading the policy {}", self.shown), reason)
                    .with_hint("check the revision out and name its folder"));
            }
        }
        Ok(PolicySet::from_bytes(files, place))
    }
}

/// Where the policies of a bare revision may lie: in the folder that the settings name, else in `policies`.
fn policies_of(revision: &str, config: Option<&Path>) -> Result<Vec<String>> {
    if let (Some(folder), Answer::Yes(root)) = (settings_folder(config)?, git(&["rev-parse", "--show-toplevel"])?) {
        let root = PathBuf::from(String::from_utf8_lossy(&root).trim_end_matches('\n'));
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Ok(inside) = canonical(&folder).strip_prefix(canonical(&root)) {
            let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
            return Ok(vec![format!("{revision}:{}", parts.join("/"))]);
        }
    }
    Ok(vec![format!("{revision}:./policies"), format!("{revision}:policies")])
}

/// The id of what `name` means to git; none if it means nothing.
fn object(name: &str) -> Result<Option<String>> {
    Ok(match git(&["rev-parse", "--verify", "--quiet", name])? {
        Answer::Yes(id) => Some(String::from_utf8_lossy(&id).trim().to_owned()),
        Answer::No(_) => None,
    })
}

/// What git printed, or why it did not.
enum Answer {
    Yes(Vec<u8>),
    No(String),
}

fn git(arguments: &[&str]) -> Result<Answer> {
    let attempted = || format!("asking `git {}`", arguments.join(" "));
    let done = Command::new("git").args(arguments).output().map_err(|source| {
        let hint = "a git revision needs the program `git`: install it, or name folders";
        Error::from_source(Kind::Store, attempted(), source).with_hint(hint)
    })?;
    if done.status.success() {
        return Ok(Answer::Yes(done.stdout));
    }
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Ok(Answer::No(if said.is_empty() { done.status.to_string() } else { said }))
}

fn output(arguments: &[&str]) -> Result<Vec<u8>> {
    match git(arguments)? {
        Answer::Yes(bytes) => Ok(bytes),
        Answer::No(reason) => Err(Error::new(Kind::Store, format!("asking `git {}`", arguments.join(" ")), reason)),
    }
}

fn text(arguments: &[&str]) -> Result<String> {
    Ok(String::from_utf8_lossy(&output(arguments)?).trim().to_owned())
}
