//! A blocking view of one object store.
//!
//! The pipeline reads from top to bottom; the wrappers below it (faults, recording) see every call in order.
//! Nothing here deletes.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, PutResult,
    UpdateVersion,
};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use url::Url;

use super::bucket::Bucket;
use super::direct::{Answer, Direct, Exact};
use super::traffic::{Requests, Traffic};
use super::trouble;
use super::upload::Upload;
use super::versions::Version;
use crate::error::{Error, Kind, Result};

/// How a put treats an object that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Fails if the key exists.
    Create,
    Overwrite,
}

/// So many objects are asked for at once.
const AT_ONCE: usize = 32;

/// One object store with its URL. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    url: Url,
    inner: Arc<dyn ObjectStore>,
    runtime: Handle,
    sweep: Option<Sweep>,
    cloud: Option<Arc<Beside>>,
    versioned: Arc<OnceLock<bool>>,
}

/// What a store of a cloud has beside the library's interface.
struct Beside {
    direct: Direct,
    traffic: Arc<Traffic>,
}

/// A read that is under way.
#[derive(Debug)]
pub struct Ranged(JoinHandle<object_store::Result<Bytes>>);

/// Removes what killed writes of this store left; gives their number.
type Sweep = Arc<dyn Fn() -> io::Result<usize> + Send + Sync>;

impl Store {
    pub fn new(url: Url, inner: Arc<dyn ObjectStore>, runtime: Handle) -> Self {
        Store { url, inner, runtime, sweep: None, cloud: None, versioned: Arc::default() }
    }

    /// The same store with the requests that only a cloud's has.
    pub(super) fn with_cloud(mut self, direct: Direct, traffic: Arc<Traffic>) -> Self {
        self.cloud = Some(Arc::new(Beside { direct, traffic }));
        self
    }

    /// The same store with something between it and whoever asks it.
    pub fn wrapped(mut self, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        self.inner = wrap(self.inner);
        self
    }

    /// The local folder it is; none: an object store.
    pub fn local_folder(&self) -> Option<PathBuf> {
        if self.url.scheme() == "file" { self.url.to_file_path().ok() } else { None }
    }

    /// Requests so far; none: a store that nobody counts.
    pub fn requests(&self) -> Option<Requests> {
        self.cloud.as_ref().map(|cloud| cloud.traffic.requests())
    }

    /// Deletes the object only if it is still what `meta` tells of. `Ok(Exact::Unknown)`: this store cannot.
    pub fn delete_exact(&self, path: &Path, meta: &ObjectMeta) -> Result<Exact> {
        let Some(cloud) = &self.cloud else { return Ok(Exact::Unknown) };
        self.wait(cloud.direct.delete_exact(path, meta)).map_err(|source| self.failed("deleting", path, source))
    }

    /// Whether deleted and overwritten objects live on as versions. Asked once; where it may not be asked, it is said and
    /// taken for no.
    pub fn is_versioned(&self) -> bool {
        *self.versioned.get_or_init(|| match Bucket::read_versioned(self) {
            Ok(versioned) => versioned,
            Err(error) => {
                tracing::warn!(%error, "whether {} keeps versions cannot be told: if it does, they stay", self.url);
                false
            }
        })
    }

    /// Versions of an object, and markers of its deletion.
    pub fn versions(&self, path: &Path) -> Result<Vec<Version>> {
        let Some(cloud) = &self.cloud else { return Ok(Vec::new()) };
        self.wait(cloud.direct.versions(path)).map_err(|source| self.failed("listing the versions of", path, source))
    }

    /// Names that still have a version, deleted or not: what a listing hides. Up to a thousand.
    pub fn all_versions(&self) -> Result<Vec<String>> {
        let Some(cloud) = &self.cloud else { return Ok(Vec::new()) };
        let listed = self.wait(cloud.direct.versioned_names());
        listed.map_err(|source| self.failed("listing the versions of", &Path::default(), source))
    }

    /// Deletes one version of an object, for good.
    pub fn delete_version(&self, path: &Path, version: &Version) -> Result<()> {
        let Some(cloud) = &self.cloud else { return Ok(()) };
        self.wait(cloud.direct.delete_version(version))
            .map_err(|source| self.failed("deleting a version of", path, source))
    }

    /// The folder's name in its bucket, with a slash at its end where it has one.
    pub fn prefix(&self) -> String {
        let path = self.url.path().trim_start_matches('/');
        if path.is_empty() { String::new() } else { format!("{path}/") }
    }

    /// Asks the bucket about itself; `Ok(None)`: it is of another kind.
    pub fn ask_bucket(&self, query: &str) -> Result<Option<Answer>> {
        let Some(cloud) = &self.cloud else { return Ok(None) };
        self.wait(cloud.direct.ask_bucket(query))
            .map_err(|source| self.failed(&format!("asking for the {query} of"), &Path::default(), source))
    }

    /// The same store with a way to sweep its staging area.
    pub fn with_sweep(mut self, sweep: impl Fn() -> io::Result<usize> + Send + Sync + 'static) -> Self {
        self.sweep = Some(Arc::new(sweep));
        self
    }

    /// Removes what killed writes left in the staging area. Only the holder of the lease may call it.
    pub fn sweep(&self) -> Result<usize> {
        match &self.sweep {
            None => self.abort_unfinished(),
            Some(sweep) => sweep().map_err(|source| {
                Error::from_source(Kind::Store, format!("sweeping the staging area of {}", self.url), source)
            }),
        }
    }

    /// Uploads that a killed process began: only the holder of the lease writes here. Where they may not be listed, they are
    /// left to the bucket's own rules.
    fn abort_unfinished(&self) -> Result<usize> {
        let Some(cloud) = &self.cloud else { return Ok(0) };
        let found = self.wait(cloud.direct.unfinished()).unwrap_or_else(|error| {
            tracing::debug!(%error, "unfinished uploads of {} cannot be listed", self.url);
            Vec::new()
        });
        for upload in &found {
            self.wait(cloud.direct.abort(upload))
                .map_err(|source| self.failed("aborting an unfinished upload in", &Path::default(), source))?;
        }
        Ok(found.len())
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The asynchronous store itself, for libraries that need it.
    pub fn inner(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner)
    }

    /// Runs a future to its end. Never call it from inside a future.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The runtime, entered: for libraries that start tasks of their own.
    pub fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }

    /// The whole object. `Ok(None)`: there is none.
    pub fn get(&self, path: &Path) -> Result<Option<Bytes>> {
        let answer = self.wait(async { self.inner.get(path).await?.bytes().await });
        self.found("reading", path, answer)
    }

    /// Several objects whole, asked for at once; of each `None` where there is none. In their order, and asked for in it.
    pub fn get_all(&self, paths: &[Path]) -> Result<Vec<Option<Bytes>>> {
        let one = |path: Path| async move {
            let answer = match self.inner.get(&path).await {
                Ok(found) => found.bytes().await,
                Err(error) => Err(error),
            };
            self.found("reading", &path, answer)
        };
        self.wait(stream::iter(paths.iter().cloned().map(one)).buffered(AT_ONCE).try_collect())
    }

    /// A range of bytes, only if the object's etag is still `etag` (where one is given). `Ok(None)`: there is no such object.
    pub fn get_range(&self, path: &Path, range: Range<u64>, etag: Option<&str>) -> Result<Option<Bytes>> {
        let options =
            GetOptions { range: Some(range.into()), if_match: etag.map(String::from), ..GetOptions::default() };
        let answer = self.wait(async { self.inner.get_opts(path, options).await?.bytes().await });
        self.found("reading", path, answer)
    }

    /// Begins [`Store::get_range`]; [`Store::ranged`] waits for it. On a disk nothing is begun: it answers at once.
    pub fn begin_range(&self, path: &Path, range: Range<u64>, etag: Option<&str>) -> Option<Ranged> {
        if self.local_folder().is_some() {
            return None;
        }
        let options =
            GetOptions { range: Some(range.into()), if_match: etag.map(String::from), ..GetOptions::default() };
        let (inner, path) = (self.inner(), path.clone());
        let read = async move { inner.get_opts(&path, options).await?.bytes().await };
        Some(Ranged(self.runtime.spawn(read)))
    }

    /// What a range that was begun came to; as [`Store::get_range`].
    pub fn ranged(&self, path: &Path, begun: Ranged) -> Result<Option<Bytes>> {
        let answer = self.wait(begun.0).unwrap_or_else(|source| Err(object_store::Error::JoinError { source }));
        self.found("reading", path, answer)
    }

    /// SHA-256 of the whole object, hex, read in pieces. `Ok(None)`: there is none.
    pub fn sha256(&self, path: &Path) -> Result<Option<String>> {
        const PIECE: u64 = 4 << 20;
        let Some(meta) = self.head(path)? else { return Ok(None) };
        let mut hasher = Sha256::new();
        for start in (0..meta.size).step_by(PIECE as usize) {
            let Some(bytes) = self.get_range(path, start..meta.size.min(start + PIECE), None)? else { return Ok(None) };
            hasher.update(&bytes);
        }
        Ok(Some(hex::encode(hasher.finalize())))
    }

    /// Size, time and etag. `Ok(None)`: there is none.
    pub fn head(&self, path: &Path) -> Result<Option<ObjectMeta>> {
        let answer = self.wait(self.inner.head(path));
        self.found("looking at", path, answer)
    }

    /// Errs if the store cannot be listed: a bucket that is missing, or closed to these credentials.
    pub fn reach(&self) -> Result<()> {
        let mut listed = self.inner.list(None);
        self.wait(listed.try_next()).map(drop).map_err(|source| self.failed("listing", &Path::default(), source))
    }

    /// Everything below `prefix`, sorted by path. A missing folder is empty.
    pub fn list(&self, prefix: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let mut objects: Vec<ObjectMeta> = self
            .wait(self.inner.list(prefix).try_collect())
            .map_err(|source| self.failed("listing", prefix.unwrap_or(&Path::default()), source))?;
        objects.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }

    /// What is below `prefix` with a path that comes after `after`.
    pub fn list_after(&self, prefix: &Path, after: &Path) -> Result<Vec<ObjectMeta>> {
        self.wait(self.inner.list_with_offset(Some(prefix), after).try_collect())
            .map_err(|source| self.failed("listing", prefix, source))
    }

    /// The objects of one folder, not of those below it.
    pub fn list_folder(&self, prefix: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        self.wait(self.inner.list_with_delimiter(prefix))
            .map(|listed| listed.objects)
            .map_err(|source| self.failed("listing", prefix.unwrap_or(&Path::default()), source))
    }

    /// The folders directly below `prefix`.
    pub fn folders(&self, prefix: Option<&Path>) -> Result<Vec<Path>> {
        self.wait(self.inner.list_with_delimiter(prefix))
            .map(|listed| listed.common_prefixes)
            .map_err(|source| self.failed("listing", prefix.unwrap_or(&Path::default()), source))
    }

    /// Writes the object and, where it errs, looks at the key: stores retry, and may answer `AlreadyExists` to their own
    /// success (DESIGN §7). `Ok(true)`: these bytes are there now; `Ok(false)`: `Create` found other bytes.
    pub fn put(&self, path: &Path, bytes: impl Into<Bytes>, mode: Put) -> Result<bool> {
        let bytes = bytes.into();
        let mut last = None;
        for _ in 0..3 {
            let put_mode = match mode {
                Put::Create => PutMode::Create,
                Put::Overwrite => PutMode::Overwrite,
            };
            match self.wait(self.inner.put_opts(path, PutPayload::from(bytes.clone()), put_mode.into())) {
                Ok(_) => return Ok(true),
                Err(error) => match self.get(path)? {
                    Some(there) if there == bytes => return Ok(true),
                    Some(_) if mode == Put::Create => return Ok(false),
                    _ => last = Some(error),
                },
            }
        }
        Err(match last {
            Some(source) => self.failed("writing", path, source),
            None => Error::new(Kind::Store, format!("writing {}", self.describe(path)), "no answer"),
        })
    }

    /// The whole object with the version that [`Store::replace`] takes. `Ok(None)`: there is none.
    pub fn get_versioned(&self, path: &Path) -> Result<Option<(Bytes, UpdateVersion)>> {
        let answer = self.wait(async {
            let found = self.inner.get(path).await?;
            let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            Ok((found.bytes().await?, version))
        });
        self.found("reading", path, answer)
    }

    /// Writes the object only if its version is still `of`, or, for none, if there is no such object. Gives the new version;
    /// `Ok(None)`: somebody else was faster. The bytes must differ from all that ever stood there.
    pub fn replace(&self, path: &Path, bytes: &Bytes, of: Option<&UpdateVersion>) -> Result<Option<UpdateVersion>> {
        let mode = of.map_or(PutMode::Create, |version| PutMode::Update(version.clone()));
        let payload = PutPayload::from(bytes.clone());
        match self.wait(self.inner.put_opts(path, payload, mode.into())) {
            Ok(PutResult { e_tag, version }) => Ok(Some(UpdateVersion { e_tag, version })),
            // The answer may be lost, or be to a retry of what succeeded: look.
            Err(error) => match self.get_versioned(path)? {
                Some((there, version)) if there == *bytes => Ok(Some(version)),
                _ if is_refusal(&error) => Ok(None),
                _ => Err(self.failed("writing", path, error)),
            },
        }
    }

    /// Starts a streamed write; nothing has the name `path` before [`Upload::finish`].
    pub fn upload(&self, path: &Path) -> Result<Upload> {
        self.upload_as(path, None)
    }

    /// As [`Store::upload`], into a storage class by its name in this store's cloud; none: as the bucket has it.
    pub fn upload_as(&self, path: &Path, class: Option<&'static str>) -> Result<Upload> {
        let mut attributes = Attributes::default();
        if let Some(class) = class {
            attributes.insert(Attribute::StorageClass, class.into());
        }
        Upload::begin(self, path, attributes)
    }

    /// The object's place, for people.
    pub fn describe(&self, path: &Path) -> String {
        format!("{}/{path}", self.url.as_str().trim_end_matches('/'))
    }

    /// An error of this store about `path`.
    pub fn failed(&self, act: &str, path: &Path, source: object_store::Error) -> Error {
        let hint = trouble::hint(&source);
        let error = Error::from_source(Kind::Store, format!("{act} {}", self.describe(path)), source);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    fn found<T>(&self, act: &str, path: &Path, answer: object_store::Result<T>) -> Result<Option<T>> {
        match answer {
            Ok(value) => Ok(Some(value)),
            // Nothing is in a bucket that is not there, but that is no reason to begin anew.
            Err(object_store::Error::NotFound { source, .. }) if !trouble::no_bucket(&*source) => Ok(None),
            Err(source) => Err(self.failed(act, path, source)),
        }
    }
}

/// Whether the store says that a condition did not hold.
pub(super) fn is_refusal(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. })
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.url)
    }
}
