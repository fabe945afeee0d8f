//! What `holdfast search` can be asked.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// The options of `search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// One SELECT; `-` reads it from stdin
    #[arg(value_name = "SQL")]
    pub sql: String,
    /// Read raw objects that are not archived yet, and quarantine, too
    #[arg(long)]
    pub include_raw: bool,
    /// Fail rather than answer from less than all there is
    #[arg(long)]
    pub strict: bool,
    /// Show what would be read, and read nothing
    #[arg(long, conflicts_with_all = ["strict", "timeout", "output", "by"])]
    pub explain: bool,
    /// Refuse to read more than this, like 10GB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_scan: Option<u64>,
    /// The most rows to give [default: 1000 for --format text, else no limit]
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Stop after this time, like 30s or 5m, with what was found by then
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// What the search may take, like 2GB [default: `memory` of the settings]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// A file, or `-` for stdout; .json, .csv, .parquet and .arrow name their format
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub output: String,
    /// Who asks, for the access log [default: the name you are logged in with]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

impl SearchArgs {
    /// The file to write, if it is not stdout.
    pub fn file(&self) -> Option<PathBuf> {
        (self.output != "-").then(|| PathBuf::from(&self.output))
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    crate::settings::size(text).map_err(|_| "a size is a whole number and a unit, like 500MB, 10GB or 2GiB".into())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    crate::settings::duration(text).map_err(|_| "a time is hours, minutes and seconds, like 30s, 5m or 1h30m".into())
}
