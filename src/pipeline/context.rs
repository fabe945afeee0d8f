//! What a run works with: components passed in, no globals (STYLE 24).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};
use object_store::path::Path;

use crate::error::Result;
use crate::ledger::{Armed, Lease};
use crate::names::TableName;
use crate::policy::{PolicyError, PolicySet};
use crate::source::Layout;
use crate::storage::{Requests, Store};

/// Takes the lease, or errs with [`crate::Kind::LeaseHeld`].
pub type TakeLease = dyn Fn() -> Result<Box<dyn Lease>> + Send + Sync;
/// Gives fresh ids: random in life, counted in tests.
pub type Ids = dyn Fn() -> String + Send + Sync;

/// Says when deletions may begin again, at a time when they must not; none: now.
pub type Window = dyn Fn(Timestamp) -> Option<Timestamp> + Send + Sync;
/// The store's clock less the host's.
pub type StoreClock = dyn Fn() -> Result<Option<SignedDuration>> + Send + Sync;

/// The components of a run.
pub struct Context {
    pub archive: Store,
    pub ledger: Store,
    pub sources: Vec<Source>,
    /// The policy folder as read now.
    pub policies: Result<PolicySet, PolicyError>,
    pub armed: Armed,
    /// `[delete] window`; none: always open.
    pub window: Option<Box<Window>>,
    /// So many persons must consent to what the breaker holds back.
    pub approvers: u8,
    /// How far the ledger store's clock is from the host's; none: it cannot be told.
    pub store_clock: Box<StoreClock>,
    pub simulation: bool,
    /// Bytes that a batch may hold at once, all in all (I11).
    pub memory: u64,
    /// Of new segments, 1 to 22.
    pub zstd_level: i32,
    pub threads: usize,
    pub take_lease: Box<TakeLease>,
    pub ids: Box<Ids>,
    pub host: String,
    pub progress: Box<dyn Progress>,
    /// Set from outside when the run should end early: it stops after the step it is in.
    pub stop: Arc<AtomicBool>,
}

/// One source, opened; or why it could not be.
pub struct Source {
    pub name: String,
    pub workspace: String,
    pub settle: SignedDuration,
    pub layout: Layout,
    pub store: Result<Store>,
}

impl Context {
    /// True if the run should end after this step.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// What was asked of all object stores so far; none: there is none.
    pub fn requests(&self) -> Option<Requests> {
        let sources = self.sources.iter().filter_map(|source| source.store.as_ref().ok());
        let counted = [&self.archive, &self.ledger].into_iter().chain(sources).filter_map(Store::requests);
        counted.reduce(Requests::plus)
    }

    /// The sources that could be opened, by name.
    pub fn source_stores(&self) -> BTreeMap<String, Store> {
        self.sources
            .iter()
            .filter_map(|source| Some((source.name.clone(), source.store.as_ref().ok()?.clone())))
            .collect()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({:?})", self.archive)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({})", self.name)
    }
}

/// What a run is doing, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    Found {
        objects: usize,
        bytes: u64,
    },
    BatchBegins {
        table: &'a TableName,
        objects: usize,
        bytes: u64,
    },
    /// Raw bytes read since the last such event.
    Read {
        bytes: u64,
    },
    SegmentWritten {
        path: &'a Path,
        rows: u64,
        bytes: u64,
    },
    BatchCommitted {
        table: &'a TableName,
        rows: u64,
    },
    Cleared {
        objects: u64,
    },
}

/// Watches a run. It must not fail and not print to stdout.
pub trait Progress: Send + Sync {
    fn see(&self, event: Event<'_>);
}

/// Watches nothing.
#[derive(Debug)]
pub struct Unwatched;

impl Progress for Unwatched {
    fn see(&self, _: Event<'_>) {}
}

/// What a command is asked to do.
#[derive(Debug, Clone)]
pub struct Request {
    pub now: Timestamp,
    /// Only these tables; empty: all.
    pub tables: Vec<TableName>,
    /// Only tables whose rule has one of these schedules (`None`: the settings' own); none: all.
    pub schedules: Option<Vec<Option<String>>>,
}

impl Request {
    /// Everything, at `now`.
    pub fn all(now: Timestamp) -> Self {
        Request { now, tables: Vec::new(), schedules: None }
    }
}
