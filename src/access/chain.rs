//! One writer's folder: where its entries stand, and where its chain ends.
//!
//! `head.json` is a hint for finding the end and a witness for `verify`. It is never believed over the entries: it may be
//! missing, old or a lie, and the end is found all the same, in a number of looks that grows with the logarithm of the
//! chain's length. Nobody lists or reads the whole chain to add to it.

use bytes::Bytes;
use object_store::path::Path;

use crate::error::{Error, Kind, Result};
use crate::ledger::{Head, SealedRef, ZEROS, seal_in, sha256_hex, unseal_in};
use crate::storage::{Put, Store};

/// Where the access log lies in the archive.
const ACCESS: &str = "access";

/// The folder of one writer, in the archive.
pub fn access_folder(writer: &str) -> Path {
    [ACCESS, writer].into_iter().collect()
}

/// The name of a writer: `<host>-<user>`, with `_` for whatever cannot stand in a path.
pub fn writer_name(host: &str, user: &str) -> String {
    let safe = |text: &str| -> String {
        let safe: String = text
            .chars()
            .take(80)
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' })
            .collect();
        if safe.is_empty() { "unknown".into() } else { safe }
    };
    let name = format!("{}-{}", safe(host), safe(user));
    match name.strip_prefix('.') {
        // It would be hidden.
        Some(rest) => format!("_{rest}"),
        None => name,
    }
}

/// The writers that there are, sorted.
pub fn writers(archive: &Store) -> Result<Vec<String>> {
    let folders = archive.folders(Some(&Path::from(ACCESS)))?;
    let mut names: Vec<String> = folders.iter().filter_map(|folder| folder.filename().map(str::to_owned)).collect();
    names.sort();
    Ok(names)
}

/// One writer's chain.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub store: Store,
    path: Path,
}

/// Where a chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// The number that comes next.
    pub next: u64,
    /// SHA-256 of the newest entry's bytes; 64 zeros if there is none.
    pub sha256: String,
    /// What `head.json` says and the entries do not.
    pub lost: Option<Head>,
}

/// What `head.json` is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hint {
    Missing,
    /// Why it says nothing.
    Unreadable(String),
    Says(Head),
}

impl Folder {
    pub fn new(store: Store, writer: &str) -> Self {
        Folder { store, path: access_folder(writer) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where something in it stands.
    pub fn at(&self, name: &str) -> Path {
        self.path.parts().map(|part| part.as_ref().to_owned()).chain([name.to_owned()]).collect()
    }

    pub fn entry_path(&self, seq: u64) -> Path {
        self.at(&format!("{seq:012}.json"))
    }

    pub fn entry(&self, seq: u64) -> Result<Option<Bytes>> {
        self.store.get(&self.entry_path(seq))
    }

    pub fn seal(&self, salt: String, text: &str) -> Result<SealedRef> {
        seal_in(&self.store, &self.path, salt, text)
    }

    pub fn unseal(&self, sealed: &SealedRef) -> Result<Option<String>> {
        unseal_in(&self.store, &self.path, sealed)
    }

    pub fn hint(&self) -> Result<Hint> {
        Ok(match self.store.get(&self.at("head.json"))? {
            None => Hint::Missing,
            Some(bytes) => match serde_json::from_slice(&bytes) {
                Ok(head) => Hint::Says(head),
                Err(error) => Hint::Unreadable(error.to_string()),
            },
        })
    }

    /// Repeats the newest entry beside the chain. Without it the next one looks longer for the end, no more.
    pub fn write_hint(&self, head: &Head) {
        let written =
            serde_json::to_vec(head).map(|bytes| self.store.put(&self.at("head.json"), bytes, Put::Overwrite));
        if let Ok(Err(error)) = written {
            tracing::debug!(%error, "the head of the access log could not be written");
        }
    }

    /// The chain's end, wherever `head.json` says that it is.
    pub fn end(&self) -> Result<End> {
        let Hint::Says(hint) = self.hint()? else { return self.end_from(None, None) };
        match self.entry(hint.seq)? {
            Some(bytes) if sha256_hex(&bytes) == hint.sha256 => self.end_from(Some(hint.seq), None),
            Some(_) => self.end_from(Some(hint.seq), Some(hint)),
            None => self.end_from(None, Some(hint)),
        }
    }

    /// The end as it is now, after somebody else was found to have written `end.next`.
    pub fn follow(&self, end: &End) -> Result<End> {
        self.end_from(Some(end.next), end.lost.clone())
    }

    fn end_from(&self, known: Option<u64>, lost: Option<Head>) -> Result<End> {
        let Some(last) = last_from(known, |seq| Ok(self.store.head(&self.entry_path(seq))?.is_some()))? else {
            return Ok(End { next: 0, sha256: ZEROS.to_owned(), lost });
        };
        match self.entry(last)? {
            Some(bytes) => Ok(End { next: last + 1, sha256: sha256_hex(&bytes), lost }),
            // It was there a moment ago: what comes next cannot be linked to it.
            None => {
                let attempted = format!("reading {}", self.store.describe(&self.entry_path(last)));
                Err(Error::new(Kind::Damaged, attempted, "it was there and is gone"))
            }
        }
    }
}

/// The last number without a gap after `known` that is there: strides that double until one leads beyond the end, then
/// halving.
fn last_from(known: Option<u64>, mut is_there: impl FnMut(u64) -> Result<bool>) -> Result<Option<u64>> {
    // `low` numbers are there, counted from 0; number `high` is not.
    let mut low = known.map_or(0, |seq| seq.saturating_add(1));
    let mut stride = 1;
    let mut high = loop {
        let seq = low.saturating_add(stride - 1);
        if !is_there(seq)? {
            break seq;
        }
        low = seq.saturating_add(1);
        stride *= 2;
    };
    while low < high {
        let middle = low + (high - low) / 2;
        if is_there(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low.checked_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_from_anywhere_in_few_looks() {
        for length in (0u64..70).chain([1_000, 123_456]) {
            for known in [None, Some(0), Some(length / 2), length.checked_sub(1)] {
                let known = known.filter(|known| *known < length);
                let mut looks = 0;
                let found = last_from(known, |seq| {
                    looks += 1;
                    Ok(seq < length)
                });
                assert_eq!(found.unwrap(), length.checked_sub(1), "{length} from {known:?}");
                assert!(looks <= 40, "{looks} looks at {length} from {known:?}");
            }
        }
    }

    #[test]
    fn writers_are_safe_names() {
        assert_eq!(writer_name("web-1.example.org", "alice"), "web-1.example.org-alice");
        assert_eq!(writer_name("host/../x", "DOMAIN\\Zoë"), "host_.._x-DOMAIN_Zo_");
        assert_eq!(writer_name("", ""), "unknown-unknown");
        assert_eq!(writer_name("..", "a"), "_.-a");
    }
}
