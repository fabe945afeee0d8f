//! An index in a store. Its end is read first; filters and footers when they are asked for, and only if they are what was
//! written.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::directory::{Blob, Directory, MAGIC};

/// What is read first: all of the directory of most months.
const TAIL: u64 = 128 << 10;
/// Bytes that are held at once where a whole object is looked through.
const PIECE: u64 = 4 << 20;

/// Why an index says nothing.
#[derive(Debug)]
pub enum Unusable {
    /// There is none.
    Missing,
    /// It is not what was written, or not of this version.
    Damaged(&'static str),
    Store(object_store::Error),
}

impl From<object_store::Error> for Unusable {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Unusable::Missing,
            // It has become shorter.
            other => Unusable::Store(other),
        }
    }
}

/// One month's index. Reading it blocks nobody.
#[derive(Debug, Clone)]
pub struct IndexObject {
    store: Arc<dyn ObjectStore>,
    path: Path,
    pub directory: Directory,
    pub size: u64,
}

impl IndexObject {
    /// Opens an index, of which somebody has just seen that it has `size` bytes: reads its directory.
    pub async fn open(store: Arc<dyn ObjectStore>, path: Path, size: u64) -> Result<Self, Unusable> {
        let first = size.saturating_sub(TAIL);
        let mut tail = read(&store, &path, first..size).await?;
        let start = Directory::start(&tail, size).map_err(Unusable::Damaged)?;
        if start < first {
            tail = read(&store, &path, start..size).await?;
        }
        let from = start.saturating_sub(first) as usize;
        let directory = Directory::parse(&tail[from..], start).map_err(Unusable::Damaged)?;
        Ok(IndexObject { store, path, directory, size })
    }

    /// Opens an index of unknown size.
    pub async fn look(store: Arc<dyn ObjectStore>, path: Path) -> Result<Self, Unusable> {
        let size = store.head(&path).await?.size;
        Self::open(store, path, size).await
    }

    /// The bytes of some blobs; none for one that is not what was written.
    pub async fn blobs(&self, blobs: &[&Blob]) -> Result<Vec<Option<Bytes>>, Unusable> {
        // Stores refuse to read nothing.
        let asked = blobs.iter().filter(|blob| blob.length > 0);
        let ranges: Vec<Range<u64>> = asked.map(|blob| blob.start..blob.end()).collect();
        let read = if ranges.is_empty() { Vec::new() } else { self.store.get_ranges(&self.path, &ranges).await? };
        let mut read = read.into_iter();
        let bytes = blobs.iter().map(|blob| if blob.length > 0 { read.next() } else { Some(Bytes::new()) });
        Ok(blobs.iter().zip(bytes).map(|(blob, bytes)| bytes.filter(|bytes| blob.is(bytes))).collect())
    }

    /// A stretch of the object, unchecked.
    pub async fn stretch(&self, range: Range<u64>) -> Result<Bytes, Unusable> {
        read(&self.store, &self.path, range).await
    }

    /// Looks through everything that opening it did not read.
    pub async fn check(&self) -> Result<(), Unusable> {
        let damaged = || Unusable::Damaged("a filter or a footer in it is not what was written (xxh3)");
        if *read(&self.store, &self.path, 0..MAGIC.len() as u64).await? != MAGIC {
            return Err(Unusable::Damaged("it does not begin as an index does"));
        }
        let blobs: Vec<&Blob> = self.directory.blobs().collect();
        let mut from = 0;
        while from < blobs.len() {
            let room = blobs[from].start + PIECE;
            let count = blobs[from..].iter().take_while(|blob| blob.end() <= room).count().max(1);
            let read = self.blobs(&blobs[from..from + count]).await?;
            read.iter().all(Option::is_some).then_some(()).ok_or_else(damaged)?;
            from += count;
        }
        Ok(())
    }
}

async fn read(store: &Arc<dyn ObjectStore>, path: &Path, range: Range<u64>) -> Result<Bytes, Unusable> {
    if range.is_empty() {
        return Err(Unusable::Damaged("it is empty"));
    }
    let length = range.end - range.start;
    let bytes = store.get_range(path, range).await?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(Unusable::Damaged("it is shorter than it was")) }
}
