//! A local folder as an object store whose writes are durable before they return.
//!
//! `LocalFileSystem` never syncs; here every put writes a staging file, syncs it, gives it its name by one `link` or
//! `rename`, and syncs each folder that gained an entry (DESIGN §7). Staging files stand in `<root>/.staging`, on the same
//! file system, and never have a name in the archive; what a killed process left there is swept when the lease is taken.
//! Reading and listing are `LocalFileSystem`'s, but for the memory that large objects are read into ([`super::reused`]).

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result,
    UploadPart,
};

use super::reused::{self, Buffers};

const NAME: &str = "local folder";
const STAGING: &str = ".staging";

/// What reached the disk, in order: the evidence that no unlink precedes the sync of what replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskEvent {
    /// A file's bytes were synced.
    Synced(PathBuf),
    /// A file got its name (and replaced none, or the old one).
    Named(PathBuf),
    /// A folder's entries were synced.
    FolderSynced(PathBuf),
    /// A name was removed.
    Unlinked(PathBuf),
}

/// Called after each [`DiskEvent`].
pub type DiskObserver = Arc<dyn Fn(DiskEvent) + Send + Sync>;

/// A durable local folder. Cheap to clone.
#[derive(Clone)]
pub struct DurableLocal {
    disk: Arc<Disk>,
    inner: Arc<LocalFileSystem>,
}

impl DurableLocal {
    /// Opens the folder `root`, which must exist.
    pub fn open(root: &FsPath, observer: Option<DiskObserver>) -> Result<Self> {
        let inner = LocalFileSystem::new_with_prefix(root)?;
        let root = fs::canonicalize(root).map_err(|source| Error::Generic { store: NAME, source: source.into() })?;
        Ok(DurableLocal { disk: Arc::new(Disk::new(root, observer)), inner: Arc::new(inner) })
    }

    /// Creates the folder `root` and its parents, durably, then opens it.
    pub fn create(root: &FsPath, observer: Option<DiskObserver>) -> Result<Self> {
        let disk = Disk::new(root.to_owned(), observer.clone());
        disk.create_folders(root).map_err(|source| Error::Generic { store: NAME, source: source.into() })?;
        Self::open(root, observer)
    }

    /// Removes what killed puts left. Only the holder of the lease may call it.
    pub fn sweep_staging(&self) -> io::Result<usize> {
        let folder = self.disk.root.join(STAGING);
        let mut swept = 0;
        match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
            Ok(entries) => {
                for entry in entries {
                    fs::remove_file(entry?.path())?;
                    swept += 1;
                }
            }
        }
        fs::remove_dir(&folder)?;
        Ok(swept)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        path: &Path,
        work: impl FnOnce(&Disk, &FsPath) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let target = self.inner.path_to_filesystem(path)?;
        let disk = Arc::clone(&self.disk);
        let shown = path.to_string();
        tokio::task::spawn_blocking(move || work(&disk, &target))
            .await
            .map_err(Error::from)?
            .map_err(|source| classify(shown, source))
    }
}

fn classify(path: String, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path, source: source.into() },
        io::ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: source.into() },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied { path, source: source.into() },
        _ => Error::Generic { store: NAME, source: source.into() },
    }
}

/// The few system calls that change the disk, each observed.
struct Disk {
    root: PathBuf,
    observer: Option<DiskObserver>,
    staged: AtomicU64,
    buffers: Buffers,
}

impl Disk {
    fn new(root: PathBuf, observer: Option<DiskObserver>) -> Self {
        Disk { root, observer, staged: AtomicU64::new(0), buffers: Buffers::default() }
    }

    fn saw(&self, event: DiskEvent) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }

    fn stage(&self) -> io::Result<(PathBuf, File)> {
        let folder = self.root.join(STAGING);
        loop {
            let name = format!("{}-{}", std::process::id(), self.staged.fetch_add(1, Ordering::Relaxed));
            let path = folder.join(name);
            match File::options().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(&folder)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives a synced staging file its name. Nothing is left in staging, whatever happens.
    fn name(&self, staged: &FsPath, target: &FsPath, mode: &PutMode) -> io::Result<()> {
        let folder = target.parent().ok_or_else(|| io::Error::other("the root has no parent folder"))?;
        let named = self.create_folders(folder).and_then(|()| match mode {
            PutMode::Overwrite => fs::rename(staged, target),
            PutMode::Create => fs::hard_link(staged, target),
            PutMode::Update(_) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "no conditional update on a local disk"))
            }
        });
        if named.is_err() || matches!(mode, PutMode::Create) {
            let _ = fs::remove_file(staged);
        }
        named?;
        self.saw(DiskEvent::Named(target.to_owned()));
        self.sync_folder(folder)
    }

    fn put(&self, target: &FsPath, payload: &PutPayload, mode: &PutMode) -> io::Result<()> {
        let (staged, mut file) = self.stage()?;
        let written = payload.iter().try_for_each(|part| file.write_all(part)).and_then(|()| file.sync_all());
        if let Err(error) = written {
            let _ = fs::remove_file(&staged);
            return Err(error);
        }
        self.saw(DiskEvent::Synced(target.to_owned()));
        self.name(&staged, target, mode)
    }

    /// `mkdir -p`, with each folder that gained an entry synced.
    fn create_folders(&self, folder: &FsPath) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.create_folders(parent)?;
            match fs::create_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
                other => other?,
            }
            return self.sync_folder(parent);
        }
        fs::create_dir_all(folder)
    }

    fn sync_folder(&self, folder: &FsPath) -> io::Result<()> {
        File::open(folder)?.sync_all()?;
        self.saw(DiskEvent::FolderSynced(folder.to_owned()));
        Ok(())
    }

    fn unlink(&self, target: &FsPath) -> io::Result<()> {
        fs::remove_file(target)?;
        self.saw(DiskEvent::Unlinked(target.to_owned()));
        match target.parent() {
            Some(folder) => self.sync_folder(folder),
            None => Ok(()),
        }
    }

    fn rename(&self, from: &FsPath, to: &FsPath, mode: RenameTargetMode) -> io::Result<()> {
        match mode {
            RenameTargetMode::Overwrite => fs::rename(from, to)?,
            RenameTargetMode::Create => {
                fs::hard_link(from, to)?;
                fs::remove_file(from)?;
            }
        }
        self.saw(DiskEvent::Named(to.to_owned()));
        match to.parent() {
            Some(folder) => self.sync_folder(folder),
            None => Ok(()),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.blocking(location, move |disk, target| disk.put(target, &payload, &options.mode)).await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let (staged, file) = self.blocking(location, |disk, _| disk.stage()).await?;
        Ok(Box::new(StagedUpload {
            store: self.clone(),
            location: location.clone(),
            staged,
            file: Arc::new(Mutex::new(file)),
            offset: 0,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        let mut found = self.inner.get_opts(location, options).await?;
        let range = found.range.clone();
        if head || range.end - range.start < reused::LARGE {
            return Ok(found);
        }
        found.payload = match found.payload {
            GetResultPayload::File(mut file, _) => {
                let read = move |disk: &Disk, _: &FsPath| disk.buffers.read(&mut file, &range);
                let bytes = self.blocking(location, read).await?;
                GetResultPayload::Stream(futures::stream::once(async { Ok(bytes) }).boxed())
            }
            other => other,
        };
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    store.blocking(&location, |disk, target| disk.unlink(target)).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        // A Delta log is read in the order of its listing; a folder's own order is any.
        let listed = self.inner.list_with_offset(prefix, offset);
        let sorted = listed.try_collect().map_ok(|mut listed: Vec<ObjectMeta>| {
            listed.sort_by(|a, b| a.location.cmp(&b.location));
            futures::stream::iter(listed.into_iter().map(Ok))
        });
        sorted.try_flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotSupported {
            source: format!("copying {from} to {to}: Holdfast never copies within a store").into(),
        })
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let target = self.inner.path_to_filesystem(to)?;
        self.blocking(from, move |disk, source| disk.rename(source, &target, options.target_mode)).await
    }
}

impl fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DurableLocal({})", self.disk.root.display())
    }
}

impl fmt::Debug for DurableLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A streamed put: parts go to one staging file, which gets its name on `complete`.
struct StagedUpload {
    store: DurableLocal,
    location: Path,
    staged: PathBuf,
    file: Arc<Mutex<File>>,
    offset: u64,
}

impl fmt::Debug for StagedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StagedUpload({})", self.location)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for StagedUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let offset = self.offset;
        self.offset += payload.content_length() as u64;
        let (file, store, location) = (Arc::clone(&self.file), self.store.clone(), self.location.clone());
        async move {
            store
                .blocking(&location, move |_, _| {
                    use std::io::Seek;
                    let mut file = file.lock().map_err(|_| io::Error::other("an earlier part failed"))?;
                    file.seek(io::SeekFrom::Start(offset))?;
                    payload.iter().try_for_each(|part| file.write_all(part))
                })
                .await
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (file, staged) = (Arc::clone(&self.file), self.staged.clone());
        self.store
            .blocking(&self.location, move |disk, target| {
                file.lock().map_err(|_| io::Error::other("an earlier part failed"))?.sync_all()?;
                disk.saw(DiskEvent::Synced(target.to_owned()));
                disk.name(&staged, target, &PutMode::Overwrite)
            })
            .await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        let staged = self.staged.clone();
        self.store.blocking(&self.location, move |_, _| fs::remove_file(staged)).await
    }
}
