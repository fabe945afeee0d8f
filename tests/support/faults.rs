//! A store that fails on purpose: one counter over all stores of a runner, and one thing that goes wrong at call *n*.
//!
//! Every call of the trait counts, each part and the completion of a streamed write too. What is read from a
//! [`GetResult`] afterwards does not. Calls are recorded, so that a test knows which of them change the store, and the
//! recording test can put them beside what reached the disk.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use tokio::sync::oneshot;

/// What goes wrong at call *n*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call does nothing and errs.
    ErrBefore,
    /// The call does its work and errs.
    ErrAfter,
    /// The call does its work, but its answer is lost and all later calls err: the process is gone, or the store is.
    DieAfter,
    /// The call waits, until resumed, before it does its work.
    PauseBefore,
    /// The call waits, until resumed, with its answer in hand.
    PauseAfter,
    /// The call and all later writes find the disk full; reads go on.
    DiskFull,
    /// The call and all later writes are forbidden; reads go on: credentials that may only read.
    ReadOnly,
}

/// One call, as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `archive`, `ledger` or the source's name.
    pub store: String,
    /// The method, as the trait calls it.
    pub act: &'static str,
    pub path: String,
}

impl Call {
    /// Whether the call can change what is in the store. (A part of a streamed write has no name yet, but leaves bytes.)
    pub fn writes(&self) -> bool {
        !matches!(self.act, "get_opts" | "get_ranges" | "list" | "list_with_offset" | "list_with_delimiter")
    }
}

impl Call {
    /// Whether the call appends an entry to the ledger.
    pub fn is_entry(&self) -> bool {
        let numbered = self.path.strip_suffix(".json").is_some_and(|number| number.parse::<u64>().is_ok());
        self.store == "ledger" && self.act == "put_opts" && numbered
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}", self.act, self.store, self.path)
    }
}

/// The stores of one runner: what they were asked, and what shall go wrong.
#[derive(Debug, Default)]
pub struct Faults {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    calls: Vec<Call>,
    planned: Option<(When, Fault)>,
    dead: bool,
    /// What all writes find from now on.
    refusal: Option<Fault>,
    pause: Option<Paused>,
}

/// Which call it strikes.
#[derive(Debug)]
enum When {
    /// Counted from 0.
    Nth(usize),
    /// The first put of this path in the ledger: the same one even where calls come in another order.
    Entry(String),
}

/// Told when the call to be paused is reached: what it is sent resumes the call.
pub type Paused = std::sync::mpsc::Sender<oneshot::Sender<()>>;

/// What one call does.
enum Turn {
    Work,
    Fail,
    WorkThenFail,
    Wait(Paused),
    WorkThenWait(Paused),
    Refuse(Fault),
}

impl Faults {
    /// Nothing goes wrong: calls are counted and recorded.
    pub fn none() -> Arc<Self> {
        Arc::default()
    }

    /// `fault` strikes at call `n`, counted from 0.
    pub fn at(n: usize, fault: Fault) -> Arc<Self> {
        Arc::new(Faults { inner: Mutex::new(Inner { planned: Some((When::Nth(n), fault)), ..Inner::default() }) })
    }

    /// As [`Faults::at`]; `pause` is sent what resumes the call when it is reached.
    pub fn pausing(n: usize, fault: Fault, pause: Paused) -> Arc<Self> {
        let inner = Inner { planned: Some((When::Nth(n), fault)), pause: Some(pause), ..Inner::default() };
        Arc::new(Faults { inner: Mutex::new(inner) })
    }

    /// Waits before the ledger's entry at `path` is put; `pause` is sent what resumes it.
    pub fn pausing_before_entry(path: &str, pause: Paused) -> Arc<Self> {
        let planned = Some((When::Entry(path.to_owned()), Fault::PauseBefore));
        Arc::new(Faults { inner: Mutex::new(Inner { planned, pause: Some(pause), ..Inner::default() }) })
    }

    /// All calls so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Puts a store under these faults.
    pub fn wrap(self: &Arc<Self>, name: &str, store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Arc::new(FaultyStore { name: name.into(), faults: Arc::clone(self), store })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self, call: Call) -> Turn {
        let mut inner = self.lock();
        let (n, writes) = (inner.calls.len(), call.writes());
        let strikes = match &inner.planned {
            Some((When::Nth(planned), fault)) if *planned == n => Some(*fault),
            Some((When::Entry(path), fault)) if call.is_entry() && call.path == *path => Some(*fault),
            _ => None,
        };
        inner.calls.push(call);
        if inner.dead {
            return Turn::Fail;
        }
        if let Some(refusal) = inner.refusal {
            return if writes { Turn::Refuse(refusal) } else { Turn::Work };
        }
        let Some(fault) = strikes else { return Turn::Work };
        match fault {
            Fault::ErrBefore => Turn::Fail,
            Fault::ErrAfter => Turn::WorkThenFail,
            Fault::DieAfter => {
                inner.dead = true;
                Turn::WorkThenFail
            }
            Fault::PauseBefore => inner.pause.take().map_or(Turn::Work, Turn::Wait),
            Fault::PauseAfter => inner.pause.take().map_or(Turn::Work, Turn::WorkThenWait),
            Fault::DiskFull | Fault::ReadOnly => {
                inner.refusal = Some(fault);
                if writes { Turn::Refuse(fault) } else { Turn::Work }
            }
        }
    }

    async fn around<T>(&self, call: Call, work: impl Future<Output = Result<T>>) -> Result<T> {
        let call_path = call.path.clone();
        match self.turn(call) {
            Turn::Work => work.await,
            Turn::Fail => Err(broken()),
            Turn::WorkThenFail => {
                // The work may fail by itself; either way there is no answer.
                drop(work.await);
                Err(broken())
            }
            Turn::Wait(paused) => {
                pause(&paused).await;
                work.await
            }
            Turn::WorkThenWait(paused) => {
                let answer = work.await;
                pause(&paused).await;
                answer
            }
            Turn::Refuse(Fault::ReadOnly) => Err(forbidden(call_path)),
            Turn::Refuse(_) => Err(full()),
        }
    }
}

async fn pause(paused: &Paused) {
    let (resume, resumed) = oneshot::channel();
    // Nobody listens: nobody waits.
    if paused.send(resume).is_ok() {
        let _ = resumed.await;
    }
}

fn broken() -> Error {
    Error::Generic { store: "faults", source: "the test broke this call".into() }
}

fn forbidden(path: String) -> Error {
    Error::PermissionDenied { path, source: "these credentials may only read".into() }
}

fn full() -> Error {
    Error::Generic { store: "faults", source: std::io::Error::from(std::io::ErrorKind::StorageFull).into() }
}

/// One store under [`Faults`].
struct FaultyStore {
    name: String,
    faults: Arc<Faults>,
    store: Arc<dyn ObjectStore>,
}

impl FaultyStore {
    fn call(&self, act: &'static str, path: impl fmt::Display) -> Call {
        Call { store: self.name.clone(), act, path: path.to_string() }
    }

    /// A listing is one call: its work is done, or it is not.
    fn listing(
        &self,
        act: &'static str,
        prefix: Option<&Path>,
        listed: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (faults, call) = (Arc::clone(&self.faults), self.call(act, prefix.map_or("", |prefix| prefix.as_ref())));
        async move { faults.around(call, listed.try_collect::<Vec<ObjectMeta>>()).await }
            .map_ok(|listed| stream::iter(listed.into_iter().map(Ok)))
            .try_flatten_stream()
            .boxed()
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.name)
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let call = self.call("put_opts", location);
        self.faults.around(call, self.store.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let call = self.call("put_multipart_opts", location);
        let upload = self.faults.around(call, self.store.put_multipart_opts(location, options)).await?;
        let (name, faults) = (self.name.clone(), Arc::clone(&self.faults));
        Ok(Box::new(FaultyUpload { name, path: location.to_string(), faults, upload }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.faults.around(self.call("get_opts", location), self.store.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.faults.around(self.call("get_ranges", location), self.store.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (name, faults, store) = (self.name.clone(), Arc::clone(&self.faults), Arc::clone(&self.store));
        locations
            .then(move |location| {
                let (name, faults, store) = (name.clone(), Arc::clone(&faults), Arc::clone(&store));
                async move {
                    let location = location?;
                    let call = Call { store: name, act: "delete", path: location.to_string() };
                    let one = stream::iter([Ok(location.clone())]).boxed();
                    faults.around(call, store.delete_stream(one).try_collect::<Vec<Path>>()).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing("list", prefix, self.store.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing("list_with_offset", prefix, self.store.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let call = self.call("list_with_delimiter", prefix.map_or("", |prefix| prefix.as_ref()));
        self.faults.around(call, self.store.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.faults.around(self.call("copy_opts", from), self.store.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.faults.around(self.call("rename_opts", from), self.store.rename_opts(from, to, options)).await
    }
}

struct FaultyUpload {
    name: String,
    path: String,
    faults: Arc<Faults>,
    upload: Box<dyn MultipartUpload>,
}

impl FaultyUpload {
    fn call(&self, act: &'static str) -> Call {
        Call { store: self.name.clone(), act, path: self.path.clone() }
    }
}

impl fmt::Debug for FaultyUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyUpload({})", self.path)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let (call, faults, part) = (self.call("put_part"), Arc::clone(&self.faults), self.upload.put_part(payload));
        async move { faults.around(call, part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let call = self.call("complete");
        self.faults.around(call, self.upload.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        let call = self.call("abort");
        self.faults.around(call, self.upload.abort()).await
    }
}
