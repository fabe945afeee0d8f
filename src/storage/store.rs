//! A blocking view of one object store.
//!
//! The pipeline reads from top to bottom; the wrappers below it (faults, recording) see every call in order.
//! Nothing here deletes.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetOptions, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use url::Url;

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
}

/// Removes what killed writes of this store left; gives their number.
type Sweep = Arc<dyn Fn() -> io::Result<usize> + Send + Sync>;

impl Store {
    pub fn new(url: Url, inner: Arc<dyn ObjectStore>, runtime: Handle) -> Self {
        Store { url, inner, runtime, sweep: None }
    }

    /// The same store with a way to sweep its staging area.
    pub fn with_sweep(mut self, sweep: impl Fn() -> io::Result<usize> + Send + Sync + 'static) -> Self {
        self.sweep = Some(Arc::new(sweep));
        self
    }

    /// Removes what killed writes left in the staging area. Only the holder of the lease may call it.
    pub fn sweep(&self) -> Result<usize> {
        match &self.sweep {
            None => Ok(0),
            Some(sweep) => sweep().map_err(|source| {
                Error::from_source(Kind::Store, format!("sweeping the staging area of {}", self.url), source)
            }),
        }
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

    /// Starts a streamed write; nothing has the name `path` before [`Upload::finish`].
    pub fn upload(&self, path: &Path) -> Result<Upload> {
        let upload = self
            .wait(self.inner.put_multipart(path))
            .map_err(|source| self.failed("starting to write", path, source))?;
        Ok(Upload {
            store: self.clone(),
            path: path.clone(),
            upload,
            buffer: Vec::new(),
            written: 0,
            hasher: Sha256::new(),
        })
    }

    /// The object's place, for people.
    pub fn describe(&self, path: &Path) -> String {
        format!("{}/{path}", self.url.as_str().trim_end_matches('/'))
    }

    /// An error of this store about `path`.
    pub fn failed(&self, act: &str, path: &Path, source: object_store::Error) -> Error {
        Error::from_source(Kind::Store, format!("{act} {}", self.describe(path)), source)
    }

    fn found<T>(&self, act: &str, path: &Path, answer: object_store::Result<T>) -> Result<Option<T>> {
        match answer {
            Ok(value) => Ok(Some(value)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(self.failed(act, path, source)),
        }
    }
}

/// A streamed write of one object: a [`io::Write`] that counts and hashes its bytes.
#[derive(Debug)]
pub struct Upload {
    store: Store,
    path: Path,
    upload: Box<dyn MultipartUpload>,
    buffer: Vec<u8>,
    written: u64,
    hasher: Sha256,
}

impl Upload {
    /// Bytes that go to the store at once; S3 wants at least 5 MiB.
    const PART: usize = 8 << 20;

    fn flush_part(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = std::mem::take(&mut self.buffer);
        let sent = self.upload.put_part(PutPayload::from(part));
        self.store.wait(sent).map_err(io::Error::other)
    }

    /// Makes the object appear under its name, durably. Gives its size in bytes and its SHA-256 in hex.
    pub fn finish(mut self) -> Result<(u64, String)> {
        let failed = |store: &Store, path: &Path, source| {
            Error::from_source(Kind::Store, format!("writing {}", store.describe(path)), source)
        };
        if let Err(source) = self.flush_part() {
            let error = failed(&self.store, &self.path, source);
            self.abandon();
            return Err(error);
        }
        if let Err(source) = self.store.wait(self.upload.complete()) {
            // The answer may be lost and the object be there: the caller's read-back or recovery tells.
            let error = self.store.failed("finishing", &self.path, source);
            return match self.store.head(&self.path)? {
                Some(meta) if meta.size == self.written => Ok((self.written, hex::encode(self.hasher.finalize()))),
                _ => Err(error),
            };
        }
        Ok((self.written, hex::encode(self.hasher.finalize())))
    }

    /// Gives up; what was sent is dropped as far as the store allows.
    pub fn abandon(mut self) {
        if let Err(error) = self.store.wait(self.upload.abort()) {
            tracing::debug!(path = %self.path, %error, "an abandoned upload could not be aborted");
        }
    }
}

impl io::Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= Self::PART {
            self.flush_part()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.url)
    }
}
