//! Scale of everything but the data itself: a ledger of 100,000 entries, a plan of a million raw objects, and what a run
//! costs in which nothing is due, on an archive of 100, 1,000 and 10,000 segments.
//!
//! `cargo bench --bench scale -- [ledger|plan|idle] [ENTRIES|SEGMENTS]`; without a word, all three. The archives are made in
//! a temporary folder (`TMPDIR`); `HOLDFAST_BENCH_FOLDER` names one in which they are kept for the next time.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark prints, panics and reads the clock"
)]

mod counted;
mod idle;
mod ledger;
mod planning;

use std::path::PathBuf;
use std::time::Instant;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let wanted = |part: &str| words.is_empty() || words[0] == part;
    let number = words.get(1).and_then(|word| word.parse().ok());
    let kept = std::env::var_os("HOLDFAST_BENCH_FOLDER").map(PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let folder = kept.unwrap_or_else(|| temporary.path().to_owned());
    if wanted("plan") {
        println!("planning");
        planning::plan();
    }
    if wanted("ledger") {
        println!("opening a ledger");
        ledger::open(&folder.join("ledger"), number.unwrap_or(100_000));
    }
    if wanted("idle") {
        println!("a run in which nothing is due");
        idle::idle(&folder.join("idle"), number.unwrap_or(10_000));
    }
}

/// What something took: seconds that passed, and seconds of all cores.
struct Took {
    wall: f64,
    cpu: f64,
}

fn measured<T>(work: impl FnOnce() -> T) -> (T, Took) {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let done = work();
    (done, Took { wall: began.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu })
}

/// Of this process, in all its threads; steps of 10 ms. 0 where there is no such file.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before it may hold anything but is in parentheses.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

/// The most memory this process ever had, MB.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
