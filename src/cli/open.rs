//! From settings to the components of a run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::{Handle, Runtime};

use super::args::Args;
use super::output::Output;
use super::progress::watcher;
use crate::clock::{Clock, HostClock};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Armed, Chain, Lease, LocalLease, State, StoreLease, Term, clock_apart};
use crate::pipeline::{Context, Source, Unwatched, Window};
use crate::policy::PolicySet;
use crate::schedule::Line;
use crate::settings::Settings;
use crate::source::Layout;
use crate::storage::{Missing, Store, open};

/// An installation: its settings, and the runtime its stores live in.
#[derive(Debug)]
pub struct House {
    pub settings: Settings,
    pub clock: HostClock,
    runtime: Runtime,
}

impl House {
    /// Reads the settings that the arguments and the environment name.
    pub fn open(args: &Args, output: &mut Output) -> Result<Self> {
        let cwd = std::env::current_dir()
            .map_err(|source| Error::from_source(Kind::Store, "finding the current folder", source))?;
        let file = Settings::find(args.config.as_deref(), std::env::var_os("HOLDFAST_CONFIG").as_deref(), &cwd)?;
        Self::read(&file, output)
    }

    /// Reads one settings file, and shows its mistakes where it has any.
    pub fn read(file: &Path, output: &mut Output) -> Result<Self> {
        let settings = Settings::read(file).map_err(|mistakes| {
            if !output.is_json() {
                output.note(mistakes.render(output.color));
            }
            Error::from(mistakes)
        })?;
        for warning in settings.warnings() {
            tracing::debug!(warning = warning.title(), "settings");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|source| Error::from_source(Kind::Store, "starting the runtime", source))?;
        Ok(House { settings, clock: HostClock::start(), runtime })
    }

    /// The runtime that stores and signals live in.
    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    pub fn archive(&self, missing: Missing) -> Result<Store> {
        self.store(&self.settings.archive, missing)
    }

    pub fn ledger(&self, missing: Missing) -> Result<Store> {
        self.store(&self.ledger_url()?, missing)
    }

    fn store(&self, url: &url::Url, missing: Missing) -> Result<Store> {
        open(url, &self.settings.store_options(url), missing, self.runtime.handle())
    }

    pub fn ledger_url(&self) -> Result<url::Url> {
        match &self.settings.ledger {
            Some(url) => Ok(url.clone()),
            None => url::Url::parse(&format!("{}/ledger", self.settings.archive.as_str().trim_end_matches('/')))
                .map_err(|source| Error::from_source(Kind::Usage, "naming the ledger", source)),
        }
    }

    /// The ledger as it is, to be read.
    pub fn chain(&self) -> Result<Chain> {
        Chain::open(self.ledger(Missing::Refuse)?, "reader", Box::new(String::new))
    }

    /// The sources with their layouts; one that cannot be opened is told when it is needed.
    pub fn sources(&self) -> Result<Vec<Source>> {
        self.settings
            .sources
            .iter()
            .map(|source| {
                Ok(Source {
                    name: source.name.clone(),
                    workspace: source.workspace.clone(),
                    settle: SignedDuration::try_from(source.settle).unwrap_or(SignedDuration::MAX),
                    layout: Layout::of(source)?,
                    store: self.store(&source.url, Missing::Refuse),
                })
            })
            .collect()
    }

    /// The stores of the sources that can be opened, by name.
    pub fn source_stores(&self) -> Result<BTreeMap<String, Store>> {
        Ok(self.sources()?.into_iter().filter_map(|source| Some((source.name, source.store.ok()?))).collect())
    }

    /// Everything a run needs.
    pub fn context(&self) -> Result<Context> {
        let (archive, ledger) = (self.archive(Missing::Create)?, self.ledger(Missing::Create)?);
        let (leased, probe, length) = (ledger.clone(), ledger.clone(), self.settings.lease);
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        let holder = serde_json::json!({
            "host": host, "process": std::process::id(), "since": self.clock.now().to_string(),
        });
        let holder = holder.to_string();
        Ok(Context {
            archive,
            ledger,
            sources: self.sources()?,
            policies: PolicySet::read_folder(&self.settings.policies),
            armed: Armed { raw: self.settings.delete.raw, expired: self.settings.delete.expired },
            window: self.window(),
            approvers: self.settings.approvers,
            store_clock: Box::new(move || clock_apart(&probe, || HostClock::start().now()).map(Some)),
            simulation: self.settings.simulation,
            memory: self.settings.memory,
            zstd_level: self.settings.compression.zstd_level(),
            threads: threads(),
            take_lease: Box::new(move || take_lease(&leased, &holder, length)),
            ids: Box::new(new_id),
            host,
            progress: Box::new(Unwatched),
            stop: Arc::default(),
        })
    }

    /// As [`House::context`], with a bar on a terminal while it works. Drop it before anything is printed: the bar stands
    /// where the words go.
    pub fn watched(&self) -> Result<Context> {
        Ok(Context { progress: watcher(), ..self.context()? })
    }

    /// When deletions may begin, if the settings say so.
    fn window(&self) -> Option<Box<Window>> {
        let (window, zone) = (self.settings.delete.window?, self.settings.schedule.zone.clone());
        Some(Box::new(move |now| (!window.contains(now, &zone)).then(|| window.next_opening(now, &zone))))
    }

    /// When the schedule fires first at or after an instant, by a rule's own line or the settings'. Without a line it is
    /// whoever starts `holdfast run` who knows.
    pub fn fires(&self) -> Result<impl Fn(Option<&str>, Timestamp) -> Option<Timestamp> + use<>> {
        let zone = self.settings.schedule.zone.clone();
        let own = self.settings.schedule.cron.as_ref().map(|cron| Line::new(cron, &zone)).transpose()?;
        Ok(move |rule: Option<&str>, at: Timestamp| {
            // A line fires after an instant: at or after is after the moment before.
            let before = at.saturating_sub(SignedDuration::from_nanos(1)).ok()?;
            match rule {
                Some(rule) => Line::new(rule, &zone).ok()?.next(before),
                None => own.as_ref()?.next(before),
            }
        })
    }

    /// The components of a command that only looks: it does not even write the file that tells the store's time.
    pub fn looking(&self) -> Result<Context> {
        Ok(Context { store_clock: Box::new(|| Ok(None)), ..self.context()? })
    }

    /// The command's one `now`, where the ledger was read already.
    pub fn now_of(&self, state: &State) -> Timestamp {
        state.last_at.filter(|_| self.settings.simulation).unwrap_or_else(|| self.clock.now())
    }

    /// The command's one `now`: what was asked for; in a simulation the ledger's last entry; else this host's clock.
    pub fn now(&self, as_of: Option<Timestamp>) -> Result<Timestamp> {
        if let Some(as_of) = as_of {
            return Ok(as_of);
        }
        let last = match self.settings.simulation {
            true => {
                self.ledger(Missing::Create)
                    .and_then(|ledger| Chain::open(ledger, "reader", Box::new(String::new)))?
                    .state()
                    .last_at
            }
            false => None,
        };
        Ok(last.unwrap_or_else(|| self.clock.now()))
    }
}

fn take_lease(ledger: &Store, holder: &str, length: Duration) -> Result<Box<dyn Lease>> {
    if let Some(folder) = ledger.local_folder() {
        return Ok(Box::new(LocalLease::take(&folder, holder)?));
    }
    let term = Term { length, clock: Arc::new(HostClock::start()), pause: Arc::new(std::thread::sleep) };
    Ok(Box::new(StoreLease::take(ledger, holder, &new_id(), term)?))
}

/// Twelve hex digits: enough to tell runs apart, short enough to read.
#[expect(clippy::disallowed_methods, reason = "the command line is where ids come from")]
pub fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..12].to_owned()
}

/// What this host has.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
