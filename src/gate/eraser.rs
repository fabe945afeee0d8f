//! The one file that deletes. It takes a [`Permit`] and an intent that stands in the ledger, looks at each object once
//! more just before, and makes sure that it is gone after.

use std::collections::BTreeMap;

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, RenameOptions, RenameTargetMode};

use super::Permit;
use crate::error::{Error, Kind, Result};
use crate::ledger::{ObjectId, State, Subject, attachment_path};
use crate::source::{aside_path, hash_prefix};
use crate::storage::{Exact, Store, Version};

/// What became of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erased {
    Destroyed,
    /// It was not there any more.
    Missing,
    /// The last look found something else than what was proven.
    Kept(String),
}

/// Deletes, below the archive, the ledger and the sources of one run.
#[derive(Debug)]
pub struct Eraser<'a> {
    pub archive: &'a Store,
    pub ledger: &'a Store,
    pub sources: &'a BTreeMap<String, Store>,
}

impl Eraser<'_> {
    /// Destroys the permit's subject under the intent `step`, which must stand in `state` and name it.
    pub fn erase(&self, permit: Permit, step: &str, state: &State) -> Result<Erased> {
        let Permit { subject, at_seq } = permit;
        let intended = state.open_destroys.get(step).filter(|open| open.subjects.contains(&subject));
        // Fresh: the intent came right after the state its gate read. Settling an old intent: the gate read it.
        let valid = intended.is_some_and(|open| open.seq == at_seq + 1 || open.seq <= at_seq);
        if !valid {
            return Err(Error::new(
                Kind::Internal,
                format!("destroying {}", subject.describe()),
                format!("no valid intent {step} stands in the ledger"),
            ));
        }
        match &subject {
            Subject::Raw { source, path, size, sha256, .. } => {
                let store = self.sources.get(source).ok_or_else(|| {
                    Error::new(
                        Kind::Store,
                        format!("clearing {source}:{path}"),
                        "its source is not in the settings any more",
                    )
                })?;
                clear_raw(store, path, *size, sha256, etag_read(state, source, path).as_deref())
            }
            Subject::Attachment { sha256 } => delete(self.ledger, &attachment_path(sha256)),
            Subject::Segment { path, .. }
            | Subject::Quarantine { path, .. }
            | Subject::Partial { path, .. }
            | Subject::DeltaLog { path, .. }
            | Subject::Index { path, .. } => delete(self.archive, &parse(path)?),
        }
    }

    /// Looks after what must stay although a killed run meant to destroy it. `Ok(false)`: it is gone already.
    ///
    /// A raw object that was moved aside gets its name back. Where the name is in use again, it stays aside: it is found
    /// there under what it was called.
    pub fn keep(&self, subject: &Subject) -> Result<bool> {
        let (source, path, size, sha256) = match subject {
            Subject::Raw { source, path, size, sha256, .. } => (source, path, *size, sha256),
            Subject::Attachment { sha256 } => return Ok(self.ledger.head(&attachment_path(sha256))?.is_some()),
            Subject::Segment { path, .. }
            | Subject::Quarantine { path, .. }
            | Subject::Partial { path, .. }
            | Subject::DeltaLog { path, .. }
            | Subject::Index { path, .. } => return Ok(self.archive.head(&parse(path)?)?.is_some()),
        };
        // Where its source is not in the settings any more, nobody can tell.
        let Some(store) = self.sources.get(source) else { return Ok(true) };
        let (named, aside) = (parse(path)?, parse(&aside_path(path))?);
        let there = store.head(&named)?;
        // Nothing is moved aside on an object store.
        if store.local_folder().is_some() && store.head(&aside)?.is_some() {
            if there.is_none() {
                rename(store, &aside, &named, RenameTargetMode::Create)?;
            }
            return Ok(true);
        }
        // It may have grown since; another object of that name is not the one.
        match there {
            Some(meta) if meta.size >= size => {
                Ok(hex::encode(hash_prefix(store, &named, size, meta.e_tag.as_deref())?) == *sha256)
            }
            _ => Ok(false),
        }
    }
}

fn parse(path: &str) -> Result<Path> {
    Path::parse(path).map_err(|source| Error::from_source(Kind::Internal, format!("reading the path {path}"), source))
}

/// The etag of the version that was read.
fn etag_read(state: &State, source: &str, path: &str) -> Option<String> {
    let id = ObjectId { source: source.to_owned(), path: path.to_owned() };
    state.objects.get(&id)?.outcome.etag.clone()
}

/// Deletes a raw object whose bytes are those that were read, and no other.
fn clear_raw(store: &Store, path: &str, size: u64, sha256: &str, etag: Option<&str>) -> Result<Erased> {
    if store.local_folder().is_none() {
        return clear_at_once(store, &parse(path)?, size, sha256, etag);
    }
    clear_aside(store, path, size, sha256)
}

const CHANGED: &str = "its bytes changed since it was read; the next run reads it again";

/// On an object store: looks once more, and deletes only what it saw then. Where the store knows no such condition, or
/// refuses even one that holds, what is written in the milliseconds between the look and the deletion would go with it: that
/// is what `settle` is for.
fn clear_at_once(store: &Store, path: &Path, size: u64, sha256: &str, etag: Option<&str>) -> Result<Erased> {
    let Some(meta) = store.head(path)? else { return Ok(Erased::Missing) };
    // An object store's etag stands for one content; a new one may stand for the same.
    let known = etag.is_some() && meta.e_tag.as_deref() == etag;
    let same = || Ok::<_, Error>(hex::encode(hash_prefix(store, path, size, meta.e_tag.as_deref())?) == sha256);
    if meta.size != size || !(known || same()?) {
        return Ok(Erased::Kept(CHANGED.into()));
    }
    let mut answer = store.delete_exact(path, &meta);
    let there = store.head(path)?;
    let unchanged = there.as_ref().is_some_and(|there| there.e_tag == meta.e_tag && there.version == meta.version);
    if unchanged && matches!(answer, Ok(Exact::Unknown | Exact::Changed)) {
        let deleted = store.wait(store.inner().delete(path));
        answer = deleted.map(|()| Exact::Deleted).map_err(|source| store.failed("deleting", path, source));
    }
    match (store.head(path)?, answer) {
        (None, _) => forget_version(store, path, &meta).map(|()| Erased::Destroyed),
        // It went, and the collector wrote anew; or the collector was quicker.
        (Some(there), Ok(Exact::Deleted | Exact::Missing)) if there.e_tag != meta.e_tag => Ok(Erased::Destroyed),
        (Some(there), Ok(_)) if there.e_tag != meta.e_tag => Ok(Erased::Kept(CHANGED.into())),
        (Some(_), Ok(answer)) => Err(Error::new(
            Kind::Store,
            format!("deleting {}", store.describe(path)),
            format!("the store answered {answer:?}, but the object is still there"),
        )),
        (Some(_), Err(error)) => Err(error),
    }
}

/// Where versions are kept, the deletion left the one that was read, below a marker. It goes too; older ones, which nobody
/// read, stay, and the marker over them: without it they would be found anew.
fn forget_version(store: &Store, path: &Path, read: &ObjectMeta) -> Result<()> {
    let Some(read) = read.version.as_deref().filter(|_| store.is_versioned()) else { return Ok(()) };
    for version in store.versions(path)?.iter().filter(|version| version.id() == read) {
        store.delete_version(path, version)?;
    }
    let left = store.versions(path)?;
    if left.iter().all(Version::is_marker) {
        left.iter().try_for_each(|marker| store.delete_version(path, marker))?;
    }
    Ok(())
}

/// On a local disk: moves the object aside, so that nobody finds it by name, looks once more, and unlinks it. If its bytes
/// are not those that were read, it gets its name back: the next run reads the rest.
fn clear_aside(store: &Store, path: &str, size: u64, sha256: &str) -> Result<Erased> {
    let (named, aside) = (parse(path)?, parse(&aside_path(path))?);
    if store.head(&aside)?.is_none() {
        if store.head(&named)?.is_none() {
            return Ok(Erased::Missing);
        }
        rename(store, &named, &aside, RenameTargetMode::Overwrite)?;
    }
    let unchanged = match store.head(&aside)? {
        None => return Ok(Erased::Missing),
        Some(meta) => {
            meta.size == size && hex::encode(hash_prefix(store, &aside, size, meta.e_tag.as_deref())?) == sha256
        }
    };
    if unchanged {
        return delete(store, &aside);
    }
    if store.head(&named)?.is_none() {
        rename(store, &aside, &named, RenameTargetMode::Create)?;
    }
    Ok(Erased::Kept(CHANGED.into()))
}

fn rename(store: &Store, from: &Path, to: &Path, target_mode: RenameTargetMode) -> Result<()> {
    let options = RenameOptions { target_mode, ..RenameOptions::default() };
    match store.wait(store.inner().rename_opts(from, to, options)) {
        Ok(()) => Ok(()),
        // The answer may be lost: look.
        Err(source) => match (store.head(from)?, store.head(to)?) {
            (None, Some(_)) => Ok(()),
            _ => Err(store.failed("moving aside", from, source)),
        },
    }
}

/// Deletes an object of ours, with all its versions, and sees that nothing is left.
fn delete(store: &Store, path: &Path) -> Result<Erased> {
    let is_versioned = store.is_versioned();
    if is_gone(store, path)? {
        return Ok(Erased::Missing);
    }
    let answer = if is_versioned {
        delete_versions(store, path)
    } else {
        store.wait(store.inner().delete(path)).map_err(|source| store.failed("deleting", path, source))
    };
    if is_gone(store, path)? {
        return Ok(Erased::Destroyed);
    }
    answer?;
    Err(Error::new(
        Kind::Store,
        format!("deleting {}", store.describe(path)),
        "the store says that it did, but the object is still there",
    ))
}

/// Neither it nor a version of it is there.
fn is_gone(store: &Store, path: &Path) -> Result<bool> {
    if store.head(path)?.is_some() {
        return Ok(false);
    }
    Ok(!store.is_versioned() || store.versions(path)?.is_empty())
}

/// Deletes every version of an object, and the markers of earlier deletions.
fn delete_versions(store: &Store, path: &Path) -> Result<()> {
    loop {
        let versions = store.versions(path)?;
        if versions.is_empty() {
            return Ok(());
        }
        for version in &versions {
            store.delete_version(path, version)?;
        }
    }
}
