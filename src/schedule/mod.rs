//! The unattended schedule: when which tables run, and what a monitoring system is told.
//!
//! [`Line`] knows when a cron line fires, [`Agenda`] what is due, [`keep`] waits and runs. Time is passed in or asked of
//! the [`Host`] (I8); what a run does is the pipeline's. Only [`update_metrics`] writes, and only the metrics file.

mod agenda;
mod keeper;
mod last_run;
mod line;
mod metrics;

pub use agenda::{Agenda, Key, Timed, timed, untimed};
pub use keeper::{Host, Ran, Waiting, keep};
pub use last_run::last_run;
pub use line::Line;
pub use metrics::{Metrics, succeeded, update_metrics};
