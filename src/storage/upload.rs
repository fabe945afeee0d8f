//! A streamed write of one object. Nothing has its name before [`Upload::finish`].
//!
//! What is no longer than one part is one request, but on a disk, where all goes through the staging area. Of more, one part
//! is on its way while the next is filled.

use std::io;

use object_store::path::Path;
use object_store::{
    Attributes, MultipartUpload, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    Result as StoreResult,
};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use super::store::Store;
use crate::error::Result;

/// A streamed write of one object: a [`io::Write`] that counts and hashes its bytes.
#[derive(Debug)]
pub struct Upload {
    store: Store,
    path: Path,
    attributes: Attributes,
    /// None: nothing was sent yet.
    parts: Option<Box<dyn MultipartUpload>>,
    under_way: Option<JoinHandle<StoreResult<()>>>,
    buffer: Vec<u8>,
    written: u64,
    hasher: Sha256,
}

impl Upload {
    /// Bytes that go to the store at once; S3 wants at least 5 MiB.
    const PART: usize = 8 << 20;

    pub(super) fn begin(store: &Store, path: &Path, attributes: Attributes) -> Result<Self> {
        let mut upload = Upload {
            store: store.clone(),
            path: path.clone(),
            attributes,
            parts: None,
            under_way: None,
            buffer: Vec::new(),
            written: 0,
            hasher: Sha256::new(),
        };
        if store.local_folder().is_some() {
            upload.start().map_err(|source| store.failed("starting to write", path, source))?;
        }
        Ok(upload)
    }

    fn start(&mut self) -> StoreResult<&mut Box<dyn MultipartUpload>> {
        let parts = match self.parts.take() {
            Some(parts) => parts,
            None => {
                let options = PutMultipartOptions { attributes: self.attributes.clone(), ..Default::default() };
                self.store.wait(self.store.inner().put_multipart_opts(&self.path, options))?
            }
        };
        Ok(self.parts.insert(parts))
    }

    /// Sends what is buffered, once the part before has arrived.
    fn flush_part(&mut self) -> StoreResult<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = std::mem::take(&mut self.buffer);
        self.arrived()?;
        let sent = self.start()?.put_part(PutPayload::from(part));
        if self.store.local_folder().is_some() {
            return self.store.wait(sent);
        }
        let _entered = self.store.enter();
        self.under_way = Some(tokio::spawn(sent));
        Ok(())
    }

    /// Waits for the part that is under way.
    fn arrived(&mut self) -> StoreResult<()> {
        match self.under_way.take() {
            None => Ok(()),
            Some(part) => self.store.wait(part).map_err(|source| object_store::Error::JoinError { source })?,
        }
    }

    /// Makes the object appear under its name, durably. Gives its size in bytes and its SHA-256 in hex.
    pub fn finish(mut self) -> Result<(u64, String)> {
        if self.parts.is_none() {
            return self.put_whole();
        }
        if let Err(source) = self.flush_part().and_then(|()| self.arrived()) {
            let error = self.store.failed("writing", &self.path, source);
            self.abandon();
            return Err(error);
        }
        let done = match &mut self.parts {
            Some(parts) => self.store.wait(parts.complete()).map(drop),
            None => Ok(()),
        };
        let told = (self.written, hex::encode(self.hasher.clone().finalize()));
        self.ended(done, "finishing").map(|()| told)
    }

    /// In one request.
    fn put_whole(mut self) -> Result<(u64, String)> {
        let payload = PutPayload::from(std::mem::take(&mut self.buffer));
        let options = PutOptions {
            mode: PutMode::Overwrite,
            attributes: std::mem::take(&mut self.attributes),
            ..Default::default()
        };
        let done = self.store.wait(self.store.inner().put_opts(&self.path, payload, options)).map(drop);
        let told = (self.written, hex::encode(self.hasher.clone().finalize()));
        self.ended(done, "writing").map(|()| told)
    }

    /// The answer may be lost and the object be there: the caller's read-back or recovery tells whether it is the one.
    fn ended(&self, done: StoreResult<()>, act: &str) -> Result<()> {
        let Err(source) = done else { return Ok(()) };
        let error = self.store.failed(act, &self.path, source);
        match self.store.head(&self.path)? {
            Some(meta) if meta.size == self.written => Ok(()),
            _ => Err(error),
        }
    }

    /// Gives up; what was sent is dropped as far as the store allows.
    pub fn abandon(mut self) {
        // How the part fared does not matter any more.
        drop(self.arrived());
        let Some(mut parts) = self.parts.take() else { return };
        if let Err(error) = self.store.wait(parts.abort()) {
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
            self.flush_part().map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
