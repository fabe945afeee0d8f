//! Time is an argument (I8): a command has one `now`, and only this file reads the host's clock.

use std::time::Duration;

use jiff::Timestamp;

/// The host's wall clock and a monotonic one, for leases, heartbeats, progress and the choice of `now`.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    fn monotonic(&self) -> Duration;
}

/// The clock of this host.
#[derive(Debug)]
pub struct HostClock {
    started: std::time::Instant,
}

impl HostClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the host's clock")]
    pub fn start() -> Self {
        HostClock { started: std::time::Instant::now() }
    }
}

impl Clock for HostClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the host's clock")]
    /// In whole seconds, rounded down: all that dates and people need.
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
