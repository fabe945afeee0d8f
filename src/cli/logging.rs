//! Log lines on stderr, as text or JSON. `$HOLDFAST_LOG` sets a filter of its own.

use tracing_subscriber::EnvFilter;

use super::args::LogFormat;
use super::terminal::Terminal;

/// Starts logging. Delta's own lines are left out: it calls every lost race an error, and we look ourselves.
pub fn start(verbose: u8, format: LogFormat) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("HOLDFAST_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("{level},deltalake_core=off,buoyant_kernel=off,delta_kernel=off")));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(Terminal::stderr().color).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    // A second start in one process (tests) keeps the first one's settings.
    drop(started);
}
