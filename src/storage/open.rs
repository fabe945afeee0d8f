//! Opening a store from its URL.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use url::Url;

use super::cloud::{self, Opened};
use super::durable::DurableLocal;
use super::store::Store;
use crate::error::{Error, Kind, Result};
use crate::settings::StoreOptions;

/// Whether a folder that is not there is made or is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Create,
    Refuse,
}

/// Opens the store at `url`. On a local disk writes are durable before they return; of an object store nothing is asked
/// yet.
pub fn open(url: &Url, options: &StoreOptions, missing: Missing, runtime: &Handle) -> Result<Store> {
    if cloud::is_cloud(url) {
        // The library reaches for the runtime as it builds its client.
        let _entered = runtime.enter();
        let Opened { store, direct, traffic } = cloud::open(url, options).map_err(|source| {
            Error::from_source(Kind::Usage, format!("opening {url}"), source)
                .with_hint("check the URL, its [[store]] block in the settings, and the environment's options")
        })?;
        return Ok(Store::new(url.clone(), store, runtime.clone()).with_cloud(direct, traffic));
    }
    let folder = local_folder(url)?;
    if missing == Missing::Refuse && !folder.is_dir() {
        let reason = if folder.exists() { "it is no folder" } else { "there is no such folder" };
        return Err(Error::new(Kind::Store, format!("opening {}", folder.display()), reason)
            .with_hint("check the URL in the settings, and that the disk it lies on is mounted"));
    }
    let opened = match missing {
        Missing::Create => DurableLocal::create(&folder, None),
        Missing::Refuse => DurableLocal::open(&folder, None),
    };
    let store = opened.map_err(|source| {
        Error::from_source(Kind::Store, format!("opening {}", folder.display()), source)
            .with_hint("check that the folder exists and that this user may read and write it")
    })?;
    let sweeper = store.clone();
    Ok(Store::new(url.clone(), Arc::new(store), runtime.clone()).with_sweep(move || sweeper.sweep_staging()))
}

/// The folder a `file://` URL names.
fn local_folder(url: &Url) -> Result<PathBuf> {
    url.to_file_path().map_err(|()| {
        Error::new(Kind::Usage, format!("opening {url}"), "a file:// URL needs an absolute path and no host")
    })
}
