//! Probe before trust: does this store keep its conditions?
//!
//! Ledger and lease rest on two promises: an object that is there is not created again, and an update of an old version is
//! refused. Some servers accept both conditions and ignore them, silently; on those two runs would write one ledger entry
//! each, and neither would know. So nothing is written to a store before it was seen to refuse: the same create twice, a
//! stale update, and a race of each. It also sees that what was written is listed and read back, and that deleting deletes.
//!
//! Only the probe's own objects are touched, below [`FOLDER`]. What a killed probe left there, the next one removes.

use std::fmt;

use bytes::Bytes;
use futures::future::join_all;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt, PutMode, PutPayload, PutResult, UpdateVersion};
use serde::Serialize;

use super::direct::Exact;
use super::store::{Store, is_refusal};
use crate::error::{Error, Kind, Result};

/// Where the probe's objects stand. A raw object cannot: names that begin with `.` are strangers.
pub const FOLDER: &str = ".holdfast-probe";

/// So many write at once in a race.
const RACERS: usize = 8;

/// So often is tried what trouble on the way kept from an answer.
const TRIES: u32 = 5;

/// What a trusted store was seen to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// An update of an old version is refused. On a local disk it is not needed: the lease there is a lock.
    pub updates: bool,
    /// Whether a delete holds to its condition.
    pub deletes: ConditionalDelete,
}

/// How raw objects are cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConditionalDelete {
    /// A delete of an old version is refused.
    Kept,
    /// The store deletes whatever is there.
    Ignored,
    /// The store knows no such request, or refuses it even if the condition holds.
    Refused,
    /// Nothing may be written there.
    Untried,
    /// By renaming: a local disk.
    NotNeeded,
}

impl fmt::Display for ConditionalDelete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConditionalDelete::Kept => "a raw object that changes in the last moment is not deleted",
            ConditionalDelete::Ignored | ConditionalDelete::Refused => {
                "no delete under a condition: a raw object that changes between the last look and its deletion, some \
                 milliseconds, would be lost; `settle` leaves alone what still changes"
            }
            ConditionalDelete::Untried => {
                "whether a delete holds to its condition cannot be tried without the right to write below \
                 .holdfast-probe/; it is sent with it all the same"
            }
            ConditionalDelete::NotNeeded => "raw objects are moved aside and looked at again before they go",
        })
    }
}

/// Tries the store; `id` tells this probe's objects from others'.
///
/// Errors, of kind `Store`: a promise was broken, with what was tried and what happened; or the store failed.
pub fn probe(store: &Store, id: &str) -> Result<Probed> {
    let probe = Probe { store, folder: Path::from(FOLDER).join(id) };
    probe.sweep()?;
    let probed = probe.all();
    // Whatever came of it, its objects go.
    let swept = probe.sweep();
    let probed = probed?;
    swept?;
    Ok(probed)
}

/// Whether deletes hold to their condition, and nothing else: for a source, where often nothing may be written, so that it
/// cannot be tried.
pub fn probe_deletes(store: &Store, id: &str) -> ConditionalDelete {
    let probe = Probe { store, folder: Path::from(FOLDER).join(id) };
    let tried = probe.sweep().and_then(|()| probe.deletes());
    tried.and_then(|found| probe.sweep().map(|()| found)).unwrap_or_else(|error| {
        tracing::warn!(%error, "conditional deletes could not be tried in {}", store.url());
        ConditionalDelete::Untried
    })
}

struct Probe<'a> {
    store: &'a Store,
    folder: Path,
}

impl Probe<'_> {
    fn all(&self) -> Result<Probed> {
        let is_local = self.store.local_folder().is_some();
        self.create_twice()?;
        self.race("race-to-create", "creates of one object at once", None)?;
        if !is_local {
            self.update_stale()?;
        }
        self.listed_and_read()?;
        let deletes = if is_local { ConditionalDelete::NotNeeded } else { self.deletes()? };
        self.deletes_delete()?;
        Ok(Probed { updates: !is_local, deletes })
    }

    /// The same create twice: the second must be refused, and the first one's bytes stay.
    fn create_twice(&self) -> Result<()> {
        let path = self.folder.clone().join("create");
        if !self.store.put(&path, Bytes::from_static(b"first"), super::store::Put::Create)? {
            return Err(self.broken("creating an object for the first time", "it was said to be there already"));
        }
        self.refuses("creating the same object twice", &path, b"first", b"second", PutMode::Create)
    }

    /// What comes second must be refused, and what came first stay. Trouble on the way is no refusal: it is tried again.
    fn refuses(&self, tried: &str, path: &Path, first: &[u8], second: &'static [u8], mode: PutMode) -> Result<()> {
        let mut tries = 1;
        loop {
            let answer = self.put(path, second, mode.clone());
            let stayed = self.read(path)? == first;
            match answer {
                Ok(_) => return Err(self.broken(tried, "the second was accepted as well")),
                Err(_) if !stayed => return Err(self.broken(tried, "the second was refused, but its bytes are there")),
                Err(error) if is_refusal(&error) => return Ok(()),
                Err(error) if tries == TRIES => return Err(self.store.failed("writing", path, error)),
                Err(_) => tries += 1,
            }
        }
    }

    /// Several write at once under the same condition: one wins, and what it wrote is there.
    fn race(&self, name: &str, tried: &str, first: Option<&'static [u8]>) -> Result<()> {
        for attempt in 1..=TRIES {
            let path = self.folder.clone().join(format!("{name}-{attempt}"));
            let mode = match first {
                None => PutMode::Create,
                Some(first) => PutMode::Update(self.write(&path, first, None)?),
            };
            let bytes: Vec<Bytes> = (0..RACERS).map(|racer| Bytes::from(format!("{name} {racer}"))).collect();
            let inner = self.store.inner();
            let answers = self.store.wait(join_all(bytes.iter().map(|bytes| {
                let (inner, path, mode, payload) =
                    (inner.clone(), path.clone(), mode.clone(), PutPayload::from(bytes.clone()));
                async move { inner.put_opts(&path, payload, mode.into()).await }
            })));
            let there = self.store.get(&path)?;
            let winner = bytes.iter().position(|bytes| Some(bytes) == there.as_ref());
            let won: Vec<usize> =
                answers.iter().enumerate().filter(|(_, answer)| answer.is_ok()).map(|(racer, _)| racer).collect();
            return match (&won[..], winner) {
                // The winner's answer may be lost, or be to a retry: nobody is told to have won, but its bytes are there.
                ([], Some(_)) => Ok(()),
                // Nobody came through.
                ([], None) => continue,
                ([one], Some(winner)) if *one == winner => Ok(()),
                ([_], _) => Err(self.broken(tried, "the one that was told to have won is not what is there")),
                _ => Err(self.broken(tried, &format!("{} of {RACERS} were told to have won", won.len()))),
            };
        }
        Err(self.broken(tried, "no write came through"))
    }

    fn update_stale(&self) -> Result<()> {
        let path = self.folder.clone().join("update");
        let first = self.write(&path, b"one", None)?;
        if self.write(&path, b"two", Some(&first))? == first {
            return Err(self.broken("updating an object", "its version stayed the same"));
        }
        self.refuses("updating an object's old version", &path, b"two", b"three", PutMode::Update(first))?;
        self.race("race-to-update", "updates of one version at once", Some(b"start"))
    }

    /// What was written is in the listing, with its size.
    fn listed_and_read(&self) -> Result<()> {
        let listed = self.store.list(Some(&self.folder))?;
        let create = self.folder.clone().join("create");
        match listed.iter().find(|meta| meta.location == create) {
            Some(meta) if meta.size == 5 => Ok(()),
            Some(meta) => Err(self.broken("listing what was written", &format!("5 bytes are listed as {}", meta.size))),
            None => Err(self.broken("listing what was written", "it is not in the listing")),
        }
    }

    /// A delete of an old version, then of the present one.
    fn deletes(&self) -> Result<ConditionalDelete> {
        let path = self.folder.clone().join("delete");
        let version = self.write(&path, b"old", None)?;
        let old = self.meta(&path)?;
        self.write(&path, b"newer", Some(&version))?;
        match self.store.delete_exact(&path, &old)? {
            Exact::Unknown | Exact::Missing => return Ok(ConditionalDelete::Refused),
            Exact::Deleted => return Ok(ConditionalDelete::Ignored),
            Exact::Changed => {}
        }
        let there = self.meta(&path)?;
        Ok(match self.store.delete_exact(&path, &there)? {
            Exact::Deleted if self.store.head(&path)?.is_none() => ConditionalDelete::Kept,
            _ => ConditionalDelete::Refused,
        })
    }

    fn deletes_delete(&self) -> Result<()> {
        let path = self.folder.clone().join("create");
        self.delete(&path)?;
        let listed = self.store.list(Some(&self.folder))?;
        if self.store.head(&path)?.is_some() || listed.iter().any(|meta| meta.location == path) {
            return Err(self.broken("deleting an object", "it is still there"));
        }
        Ok(())
    }

    fn sweep(&self) -> Result<()> {
        let left = self.store.list(Some(&Path::from(FOLDER)))?;
        left.iter().try_for_each(|meta| self.delete(&meta.location))
    }

    /// Deletes one of the probe's own objects.
    fn delete(&self, path: &Path) -> Result<()> {
        match self.store.wait(self.store.inner().delete(path)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            // The answer may be lost: look.
            Err(source) if self.store.head(path)?.is_some() => {
                return Err(self.store.failed("deleting", path, source));
            }
            Err(_) => {}
        }
        if self.store.is_versioned() {
            let versions = self.store.versions(path)?;
            versions.iter().try_for_each(|version| self.store.delete_version(path, version))?;
        }
        Ok(())
    }

    fn put(&self, path: &Path, bytes: &'static [u8], mode: PutMode) -> object_store::Result<PutResult> {
        self.store.wait(self.store.inner().put_opts(path, PutPayload::from_static(bytes), mode.into()))
    }

    /// Writes what must come through, and gives its version.
    fn write(&self, path: &Path, bytes: &'static [u8], of: Option<&UpdateVersion>) -> Result<UpdateVersion> {
        match self.store.replace(path, &Bytes::from_static(bytes), of)? {
            Some(UpdateVersion { e_tag: None, version: None }) => {
                Err(self.broken("writing an object", "the store tells no version of it"))
            }
            Some(version) => Ok(version),
            None => Err(self.broken("writing an object under a condition that holds", "it was refused")),
        }
    }

    fn read(&self, path: &Path) -> Result<Bytes> {
        self.store.get(path)?.ok_or_else(|| self.broken("reading what was written", "it is not there"))
    }

    fn meta(&self, path: &Path) -> Result<ObjectMeta> {
        self.store.head(path)?.ok_or_else(|| self.broken("looking at what was written", "it is not there"))
    }

    fn broken(&self, tried: &str, happened: &str) -> Error {
        Error::new(
            Kind::Store,
            format!("trying whether {} keeps its promises", self.store.url()),
            format!("tried: {tried}; {happened}"),
        )
        .with_hint(
            "no archive or ledger can be kept there: two runs at once would not notice each other; nothing was written but \
             the probe's own objects, which are gone again; use a store with conditional writes (S3, Azure Blob, Google \
             Cloud, Ceph, MinIO)",
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectStore, PutMultipartOptions, PutOptions,
    };
    use tokio::runtime::Runtime;
    use url::Url;

    use super::*;

    fn store(runtime: &Runtime, inner: Arc<dyn ObjectStore>) -> Store {
        Store::new(Url::parse("memory:///x").unwrap(), inner, runtime.handle().clone())
    }

    #[test]
    fn a_store_that_keeps_its_conditions_is_trusted_and_left_clean() {
        let (runtime, inner) = (Runtime::new().unwrap(), Arc::new(InMemory::new()));
        let store = store(&runtime, inner);
        store.put(&Path::from(FOLDER).join("old/left"), b"x".to_vec(), crate::storage::Put::Create).unwrap();
        // Without a cloud's requests there is no conditional delete.
        let probed = probe(&store, "a").unwrap();
        assert_eq!(probed, Probed { updates: true, deletes: ConditionalDelete::Refused });
        assert!(store.list(None).unwrap().is_empty(), "its own objects are gone, and a killed probe's too");
    }

    #[test]
    fn a_local_disk_is_trusted_without_updates() {
        let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
        let url = Url::from_directory_path(folder.path()).unwrap();
        let options = crate::settings::StoreOptions::default();
        let store = crate::storage::open(&url, &options, crate::storage::Missing::Refuse, runtime.handle()).unwrap();
        let probed = probe(&store, "a").unwrap();
        assert_eq!(probed, Probed { updates: false, deletes: ConditionalDelete::NotNeeded });
        assert!(store.list(None).unwrap().is_empty());
    }

    /// What a careless server does.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Careless {
        IgnoresCreate,
        IgnoresUpdate,
        DeletesNothing,
        ListsNothing,
    }

    #[derive(Debug)]
    struct Server(Careless, InMemory);

    impl fmt::Display for Server {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("careless")
        }
    }

    type Listing = futures::stream::BoxStream<'static, object_store::Result<ObjectMeta>>;
    type Paths = futures::stream::BoxStream<'static, object_store::Result<Path>>;

    #[async_trait::async_trait]
    impl ObjectStore for Server {
        async fn put_opts(&self, at: &Path, bytes: PutPayload, mut how: PutOptions) -> object_store::Result<PutResult> {
            let ignores = match how.mode {
                PutMode::Create => self.0 == Careless::IgnoresCreate,
                PutMode::Update(_) => self.0 == Careless::IgnoresUpdate,
                PutMode::Overwrite => false,
            };
            if ignores {
                how.mode = PutMode::Overwrite;
            }
            self.1.put_opts(at, bytes, how).await
        }

        async fn put_multipart_opts(
            &self,
            at: &Path,
            how: PutMultipartOptions,
        ) -> object_store::Result<Box<dyn MultipartUpload>> {
            self.1.put_multipart_opts(at, how).await
        }

        async fn get_opts(&self, at: &Path, how: GetOptions) -> object_store::Result<GetResult> {
            self.1.get_opts(at, how).await
        }

        fn delete_stream(&self, paths: Paths) -> Paths {
            if self.0 == Careless::DeletesNothing { paths } else { self.1.delete_stream(paths) }
        }

        fn list(&self, prefix: Option<&Path>) -> Listing {
            use futures::StreamExt;
            if self.0 == Careless::ListsNothing { futures::stream::empty().boxed() } else { self.1.list(prefix) }
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
            self.1.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, how: CopyOptions) -> object_store::Result<()> {
            self.1.copy_opts(from, to, how).await
        }
    }

    #[test]
    fn a_store_that_breaks_a_promise_is_refused_with_what_was_tried() {
        let runtime = Runtime::new().unwrap();
        for (careless, tried) in [
            (Careless::IgnoresCreate, "tried: creating the same object twice; the second was accepted as well"),
            (Careless::IgnoresUpdate, "tried: updating an object's old version; the second was accepted as well"),
            (Careless::DeletesNothing, "tried: deleting an object; it is still there"),
            (Careless::ListsNothing, "tried: listing what was written; it is not in the listing"),
        ] {
            let store = store(&runtime, Arc::new(Server(careless, InMemory::new())));
            let error = probe(&store, "a").unwrap_err();
            assert_eq!((error.kind(), error.reason()), (Kind::Store, tried), "{careless:?}");
        }
    }
}
