//! A source in a temporary folder, for this module's tests.

use flate2::Compression;
use flate2::write::GzEncoder;
use object_store::local::LocalFileSystem;
use std::io::Write;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;

use crate::storage::Store;

pub(super) struct Source {
    pub(super) folder: TempDir,
    pub(super) store: Store,
    _runtime: Runtime,
}

impl Source {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let inner = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        let url = Url::from_directory_path(folder.path()).unwrap();
        let store = Store::new(url, Arc::new(inner), runtime.handle().clone());
        Source { folder, store, _runtime: runtime }
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    pub(super) fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(super) fn modify(&self, path: &str, at: &str) {
        let at: jiff::Timestamp = at.parse().unwrap();
        let file = std::fs::File::options().append(true).open(self.folder.path().join(path)).unwrap();
        file.set_modified(at.into()).unwrap();
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}
