//! Being a service: signals ask it to stop, systemd is told how it is, the metrics say that it is alive.
//!
//! A thread of its own speaks for the schedule while a run takes its time. While the schedule waits, the thread speaks
//! only if the schedule has looked at its clock lately: one that hangs falls silent, and the watchdog bites.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::Format;
use super::output::Output;
use crate::clock::{Clock, HostClock};
use crate::error::{Error, Kind, Result};
use crate::schedule::{Metrics, update_metrics};

/// How often the heartbeat is written.
const BEAT: Duration = Duration::from_secs(60);
/// A schedule that waits looks at its clock every minute.
const SILENT_AFTER: Duration = Duration::from_secs(180);

/// A service while it runs; its thread ends with it.
#[derive(Debug)]
pub struct Service {
    stop: Arc<AtomicBool>,
    woken: Receiver<()>,
    life: Arc<Life>,
    /// The thread, and what ends it when dropped.
    heart: Option<(Sender<()>, JoinHandle<()>)>,
}

/// What the thread sees of the schedule.
#[derive(Debug)]
struct Life {
    clock: HostClock,
    metrics: Option<PathBuf>,
    /// A run is under way, however long it takes.
    running: AtomicBool,
    /// When the schedule last looked, by the monotonic clock.
    looked_millis: AtomicU64,
    /// The last write failed, and that was said.
    failing: Mutex<bool>,
}

impl Service {
    /// Listens for signals from here on.
    pub fn start(handle: &Handle, metrics: Option<PathBuf>, format: Format) -> Result<Self> {
        let stop: Arc<AtomicBool> = Arc::default();
        let (wake, woken) = mpsc::channel();
        listen(handle, Arc::clone(&stop), wake, format)?;
        let clock = HostClock::start();
        let (running, looked_millis) = (AtomicBool::new(false), AtomicU64::new(0));
        let life = Arc::new(Life { clock, metrics, running, looked_millis, failing: Mutex::new(false) });
        Ok(Service { stop, woken, life, heart: None })
    }

    /// Set once a signal asked to stop.
    pub fn stop(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Says that the schedule is kept from here on: now to systemd, and by a heartbeat.
    pub fn ready(&mut self) -> Result<()> {
        let (end, ended) = mpsc::channel();
        let life = Arc::clone(&self.life);
        let thread = std::thread::Builder::new()
            .name("heartbeat".into())
            .spawn(move || life.beat(&ended))
            .map_err(|source| Error::from_source(Kind::Store, "starting the heartbeat", source))?;
        self.heart = Some((end, thread));
        tell(&[NotifyState::Ready]);
        Ok(())
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        // Once it stops, that is what there is to say.
        if !self.stopping() {
            tell(&[NotifyState::Status(text)]);
        }
    }

    /// Says around a run that it may take its time.
    pub fn running(&self, running: bool) {
        self.life.look();
        self.life.running.store(running, Ordering::Relaxed);
    }

    /// Waits at most so long, or until asked to stop.
    pub fn wait(&self, at_most: Duration) {
        self.life.look();
        // A sender that is gone has said all it had to say.
        let _ = self.woken.recv_timeout(at_most);
    }

    pub fn write(&self, change: impl FnOnce(&mut Metrics)) {
        self.life.write(change);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.heart.take() {
            drop(end);
            // It has nothing to tell that would matter now.
            let _ = thread.join();
        }
    }
}

impl Life {
    fn look(&self) {
        let millis = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        self.looked_millis.store(millis, Ordering::Relaxed);
    }

    fn is_alive(&self) -> bool {
        let looked = Duration::from_millis(self.looked_millis.load(Ordering::Relaxed));
        self.running.load(Ordering::Relaxed) || self.clock.monotonic().saturating_sub(looked) < SILENT_AFTER
    }

    fn beat(&self, ended: &Receiver<()>) {
        let watchdog = sd_notify::watchdog_enabled();
        // Twice in the time that systemd grants, as it advises.
        let pause = watchdog.map_or(BEAT, |watchdog| (watchdog / 2).min(BEAT)).max(Duration::from_millis(10));
        let mut written: Option<Duration> = None;
        loop {
            if self.is_alive() {
                if watchdog.is_some() {
                    tell(&[NotifyState::Watchdog]);
                }
                let elapsed = self.clock.monotonic();
                if written.is_none_or(|written| elapsed.saturating_sub(written) >= BEAT) {
                    written = Some(elapsed);
                    let now = self.clock.now();
                    self.write(|metrics| metrics.heartbeat = Some(now));
                }
            }
            if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// Changes the metrics file, if there is one. A failure is logged once until it is over.
    fn write(&self, change: impl FnOnce(&mut Metrics)) {
        let Some(path) = &self.metrics else { return };
        let written = update_metrics(path, change);
        let Ok(mut failing) = self.failing.lock() else { return };
        if let Err(error) = &written
            && !*failing
        {
            tracing::warn!(%error, hint = error.hint(), "the metrics are out of date");
        }
        *failing = written.is_err();
    }
}

/// The first signal asks for an end after the current step, the second ends the process.
fn listen(handle: &Handle, stop: Arc<AtomicBool>, wake: Sender<()>, format: Format) -> Result<()> {
    let failed = |source| Error::from_source(Kind::Store, "listening for signals", source);
    let _inside = handle.enter();
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    handle.spawn(async move {
        let mut output = Output::new(format);
        either(&mut terminate, &mut interrupt).await;
        stop.store(true, Ordering::Relaxed);
        tell(&[NotifyState::Stopping, NotifyState::Status("stopping: a run ends after the step it is in")]);
        output.note("stopping: a run ends after the step it is in; ask again to end at once, which is safe");
        // Nobody listens any more if it has ended by itself.
        let _ = wake.send(());
        either(&mut terminate, &mut interrupt).await;
        output.note("ended at once, in mid-step: nothing is lost, the next run settles what this one began");
        std::process::exit(1);
    });
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Without systemd nobody is told.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
