//! A store that counts what is asked of it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

/// Requests and bytes so far.
#[derive(Debug, Default)]
pub struct Counts {
    pub gets: AtomicU64,
    pub puts: AtomicU64,
    pub lists: AtomicU64,
    /// Names that lists gave.
    pub listed: AtomicU64,
    pub bytes_read: AtomicU64,
    pub bytes_written: AtomicU64,
}

impl Counts {
    /// Requests, names listed, bytes read, bytes written; and from 0 again.
    pub fn take(&self) -> [u64; 4] {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let requests = take(&self.gets) + take(&self.puts) + take(&self.lists);
        [requests, take(&self.listed), take(&self.bytes_read), take(&self.bytes_written)]
    }
}

#[derive(Debug)]
pub struct Counted {
    pub store: Arc<dyn ObjectStore>,
    pub counts: Arc<Counts>,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counted({})", self.store)
    }
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

#[async_trait]
impl ObjectStore for Counted {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        add(&self.counts.puts, 1);
        add(&self.counts.bytes_written, payload.content_length() as u64);
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        add(&self.counts.puts, 1);
        self.store.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        add(&self.counts.gets, 1);
        let head = options.head;
        let found = self.store.get_opts(location, options).await?;
        if !head {
            add(&self.counts.bytes_read, found.range.end - found.range.start);
        }
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        add(&self.counts.gets, ranges.len() as u64);
        add(&self.counts.bytes_read, ranges.iter().map(|range| range.end - range.start).sum());
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        add(&self.counts.lists, 1);
        let counts = Arc::clone(&self.counts);
        self.store.list(prefix).inspect_ok(move |_| add(&counts.listed, 1)).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        add(&self.counts.lists, 1);
        let counts = Arc::clone(&self.counts);
        self.store.list_with_offset(prefix, offset).inspect_ok(move |_| add(&counts.listed, 1)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        add(&self.counts.lists, 1);
        let found = self.store.list_with_delimiter(prefix).await?;
        add(&self.counts.listed, (found.objects.len() + found.common_prefixes.len()) as u64);
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
