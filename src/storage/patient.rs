//! Listings as they are asked for, whatever happens on the way.
//!
//! A server may not know where to begin and list from the first name on (Azurite does); a Delta log read so would be read
//! twice over: what comes too early is left out. And a page whose answer breaks off is asked for again, from the last name
//! that came: the library tries again whatever had no answer, but not what had half of one. The same goes for what is
//! read, which is always wanted whole. All else is the store's own.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, RenameOptions, Result, UpdateVersion, coalesce_ranges,
};

/// So often a listing goes on after an answer that broke off.
const TRIES: u32 = 5;

/// A store whose listings begin where they are asked to, and come to their end.
#[derive(Debug)]
pub(super) struct Patient(pub Arc<dyn ObjectStore>);

impl fmt::Display for Patient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A listing as far as it came. Names come in order, so that it can go on after the last one.
struct Listing {
    store: Arc<dyn ObjectStore>,
    prefix: Option<Path>,
    after: Option<Path>,
    listed: BoxStream<'static, Result<ObjectMeta>>,
    tries: u32,
}

impl Listing {
    fn begin(store: &Arc<dyn ObjectStore>, prefix: Option<&Path>, after: Option<Path>) -> Self {
        let listed = match &after {
            Some(after) => store.list_with_offset(prefix, after),
            None => store.list(prefix),
        };
        Listing { store: Arc::clone(store), prefix: prefix.cloned(), after, listed, tries: 1 }
    }

    async fn next(mut self) -> Option<(Result<ObjectMeta>, Self)> {
        loop {
            match self.listed.next().await? {
                Ok(meta) if self.after.as_ref().is_some_and(|after| meta.location <= *after) => {}
                Ok(meta) => {
                    self.after = Some(meta.location.clone());
                    return Some((Ok(meta), self));
                }
                Err(Error::Generic { .. }) if self.tries < TRIES => {
                    let tries = self.tries + 1;
                    self = Listing { tries, ..Listing::begin(&self.store, self.prefix.as_ref(), self.after) };
                }
                Err(error) => return Some((Err(error), self)),
            }
        }
    }

    fn stream(self) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::unfold(self, Self::next).boxed()
    }
}

/// An etag without its quotes, if it has them.
fn unquoted(tag: &str) -> Option<&str> {
    tag.strip_prefix('"')?.strip_suffix('"')
}

impl Patient {
    /// What was asked for, to its last byte.
    async fn whole(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let is_head = options.head;
        let found = self.0.get_opts(location, options).await?;
        if is_head {
            return Ok(found);
        }
        let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
        let bytes = found.bytes().await?;
        let payload = GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Patient {
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        Listing::begin(&self.0, prefix, None).stream()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        Listing::begin(&self.0, prefix, Some(offset.clone())).stream()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        for _ in 1..TRIES {
            match self.0.list_with_delimiter(prefix).await {
                Err(Error::Generic { .. }) => {}
                listed => return listed,
            }
        }
        self.0.list_with_delimiter(prefix).await
    }

    /// Some servers compare an etag with the quotes that it came in (Ceph), and so refuse an update of the very version that
    /// is there: that one is sent again without them. The condition stays the same.
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let bare = match &options.mode {
            PutMode::Update(UpdateVersion { e_tag: Some(tag), version }) => unquoted(tag)
                .map(|bare| (tag.clone(), UpdateVersion { e_tag: Some(bare.to_owned()), version: version.clone() })),
            _ => None,
        };
        let answer = self.0.put_opts(location, payload.clone(), options.clone()).await;
        let (Some((tag, bare)), Err(Error::Precondition { .. })) = (bare, &answer) else { return answer };
        match self.0.head(location).await {
            Ok(meta) if meta.e_tag == Some(tag) => {
                let options = PutOptions { mode: PutMode::Update(bare), ..options };
                self.0.put_opts(location, payload, options).await
            }
            _ => answer,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        for _ in 1..TRIES {
            match self.whole(location, options.clone()).await {
                Err(Error::Generic { .. }) => {}
                found => return found,
            }
        }
        self.whole(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let read = |range: Range<u64>| async move {
            let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
            self.get_opts(location, options).await?.bytes().await
        };
        coalesce_ranges(ranges, read, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    /// Lists from the first name on, whatever it is asked, and breaks off after two.
    #[derive(Debug)]
    struct Careless(InMemory);

    impl fmt::Display for Careless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("careless")
        }
    }

    fn broken() -> Error {
        Error::Generic { store: "test", source: "the answer broke off".into() }
    }

    #[async_trait]
    impl ObjectStore for Careless {
        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.0.list(prefix).take(2).chain(stream::once(async { Err(broken()) })).boxed()
        }

        fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
            let (offset, listed) = (offset.clone(), self.0.list(prefix));
            // Two more each time, and all that was asked not to come.
            let late = offset.as_ref() >= "d";
            let listed = listed.take(if late { 9 } else { 4 });
            if late { listed.boxed() } else { listed.chain(stream::once(async { Err(broken()) })).boxed() }
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }

        async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
            // Compared with its quotes: never the same.
            self.0.put_opts(location, payload, options).await
        }

        async fn put_multipart_opts(
            &self,
            location: &Path,
            options: PutMultipartOptions,
        ) -> Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(location, options).await
        }

        async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
            let mut found = self.0.get_opts(location, options).await?;
            found.meta.e_tag = found.meta.e_tag.map(|tag| format!("\"{tag}\""));
            Ok(found)
        }

        fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.0.delete_stream(locations)
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }

    #[test]
    fn a_listing_that_breaks_off_goes_on_and_says_nothing_twice() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (names, careless) = (["a", "b", "c", "d", "e", "f"], Careless(InMemory::new()));
        for name in names {
            runtime.block_on(careless.0.put(&Path::from(name), PutPayload::from_static(b"x"))).unwrap();
        }
        let patient = Patient(Arc::new(careless));
        let listed = |stream: BoxStream<'static, Result<ObjectMeta>>| {
            let listed: Vec<ObjectMeta> = runtime.block_on(stream.try_collect()).unwrap();
            listed.iter().map(|meta| meta.location.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(listed(patient.list(None)), names);
        assert_eq!(listed(patient.list_with_offset(None, &Path::from("b"))), names[2..]);
    }
    #[test]
    fn an_update_of_what_is_there_passes_with_or_without_quotes_and_a_stale_one_does_not() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (path, patient) = (Path::from("a"), Patient(Arc::new(Careless(InMemory::new()))));
        let update = |tag: Option<String>| {
            let mode = PutMode::Update(UpdateVersion { e_tag: tag, version: None });
            runtime.block_on(patient.put_opts(&path, PutPayload::from_static(b"new"), mode.into()))
        };
        runtime.block_on(patient.put(&path, PutPayload::from_static(b"old"))).unwrap();
        let quoted = runtime.block_on(patient.head(&path)).unwrap().e_tag;
        assert!(quoted.as_deref().is_some_and(|tag| tag.starts_with('"')));
        update(quoted.clone()).unwrap();
        assert!(matches!(update(quoted), Err(Error::Precondition { .. })), "stale by now");
    }
}
