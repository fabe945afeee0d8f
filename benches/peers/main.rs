//! Holdfast beside what a user would pick instead: the same raw logs to zstd Parquet sorted by time, each engine in turn
//! as a process of its own on the same processors, several rounds interleaved, medians. Or, with `--scale`, Holdfast
//! alone on ever larger sets.
//!
//! `cargo bench --bench peers` makes the sets, installs the peers, runs all, checks each output and prints tables;
//! docs/BENCHMARKS.md says what is compared, and what each engine is told. Everything it makes is in one cache folder.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints")]

mod cloud;
mod cloudtrail;
mod company;
mod draw;
mod options;
mod ours;
mod parameters;
mod process;
mod report;
mod security;
mod sets;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use options::{HELP, Options};
use process::{Cost, Python, bytes_below, free_bytes};
use report::{ALONE, HOLDFAST, Row, ScaleResult, SetResult, scale_markdown};
use sets::{Kind, Set};

/// What went wrong, for people.
type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Row groups of Holdfast's segments, and of the peers where they obey.
const ROW_GROUP_ROWS: u64 = 131_072;

/// `--scale` removes larger sets when it is done with them.
const KEPT_MEGABYTES: u64 = 5000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = match arguments.next().as_deref() {
        Some("--alone") => {
            arguments.next().ok_or_else(|| "--alone needs a file".into()).and_then(|spec| ours::alone(&spec))
        }
        Some("--help") => {
            println!("{HELP}");
            Ok(())
        }
        first => {
            Options::parse(first.map(str::to_owned).into_iter().chain(arguments)).and_then(|options| bench(&options))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Options) -> Fallible<()> {
    fs::create_dir_all(&options.data)?;
    let bench = Bench { options, python: Python::open(&options.data)?, work: options.data.join("work") };
    let machine = machine()?;
    println!("{}\n", machine["text"].as_str().unwrap_or_default());
    let result = match &options.scale {
        Some(sizes) => json!({ "machine": machine, "scale": bench.scale(sizes)? }),
        None => json!({ "machine": machine, "told": told(options), "sets": bench.compare()? }),
    };
    if bench.work.exists() {
        fs::remove_dir_all(&bench.work)?;
    }
    let out = options.out.display();
    fs::write(&options.out, serde_json::to_vec_pretty(&result)?).map_err(|error| format!("{out}: {error}"))?;
    println!("All figures: {out}");
    Ok(())
}

struct Bench<'o> {
    options: &'o Options,
    python: Python,
    /// Where engines write; emptied before each.
    work: PathBuf,
}

/// How an engine is started, where its output lies, and where its Parquet files.
struct Start {
    command: Vec<OsString>,
    output: PathBuf,
    files: String,
}

impl Bench<'_> {
    /// All engines on all sets.
    fn compare(&self) -> Fallible<Vec<SetResult>> {
        let mut results = Vec::new();
        for kind in &self.options.sets {
            let set = Set::open(&self.options.data, *kind, self.options.packing, self.options.megabytes)?;
            let zstd_19_ratio = set.zstd_19()?;
            let engines: Vec<&str> = [HOLDFAST, ALONE].into_iter().chain(self.options.peers.iter().copied()).collect();
            let mut rows: Vec<Row> = engines.iter().map(|engine| row(engine)).collect();
            for round in 0..self.options.rounds {
                for turn in 0..rows.len() {
                    // Another one begins each round, so that nobody always comes after the same.
                    let place = (turn + round) % rows.len();
                    self.run(&set, &mut rows[place])?;
                }
            }
            rows.retain(|row| !row.rounds.is_empty());
            let (raw_bytes, raw_objects, records) = (set.bytes, set.files, set.records);
            let table = kind.table().to_owned();
            let packing = set.packing.name().to_owned();
            let result = SetResult { table, raw_bytes, packing, raw_objects, records, zstd_19_ratio, rows };
            println!("{}", result.markdown());
            results.push(result);
        }
        Ok(results)
    }

    /// Holdfast alone on sets of ever more days.
    fn scale(&self, sizes: &[u64]) -> Fallible<Vec<ScaleResult>> {
        let mut results = Vec::new();
        for megabytes in sizes {
            // The raw bytes, if they are not there, and an archive.
            let (needed, free) = (megabytes * 1_250_000, free_bytes(&self.options.data)?);
            if free < needed {
                let (needed, free) = (needed / 1_000_000, free / 1_000_000);
                return Err(format!("{megabytes} MB of raw logs need {needed} MB of disk, {free} MB are free").into());
            }
            let set = Set::open(&self.options.data, Kind::Security, self.options.packing, *megabytes)?;
            let mut row = row(HOLDFAST);
            for _ in 0..self.options.rounds {
                self.run(&set, &mut row)?;
            }
            results.push(ScaleResult { raw_bytes: set.bytes, row });
            if *megabytes > KEPT_MEGABYTES && !self.options.keep {
                fs::remove_dir_all(&set.folder)?;
            }
        }
        println!("{}", scale_markdown(&results));
        Ok(results)
    }

    /// One more round of one engine, checked; nothing if this build does not have it.
    fn run(&self, set: &Set, row: &mut Row) -> Fallible<()> {
        if self.work.exists() {
            fs::remove_dir_all(&self.work)?;
        }
        fs::create_dir_all(&self.work)?;
        let start = self.start(set, &row.engine)?;
        let cost = self.python.measure(self.options.threads, &start.command, &self.work.join("said.txt"))?;
        let cost = Cost { output_bytes: bytes_below(&start.output)? as f64, ..cost };
        eprintln!("{:<34} {:>8.2} s {:>8.2} CPU s", row.engine, cost.wall_seconds, cost.cpu_seconds);
        row.rounds.push(cost);
        let spec = self.work.join("check.json");
        let told = json!({ "files": [start.files], "facts": set.facts, "sample_pages": 16 });
        fs::write(&spec, serde_json::to_vec(&told)?)?;
        row.check = self.python.check(&spec)?;
        if row.engine == HOLDFAST {
            row.ledger_bytes = Some(bytes_below(&self.work.join("archive/ledger"))?);
        }
        match row.check["wrong"].as_array() {
            Some(wrong) if wrong.is_empty() => Ok(()),
            _ => Err(format!("{} wrote something else than it read: {}", row.engine, row.check["wrong"]).into()),
        }
    }

    fn start(&self, set: &Set, engine: &str) -> Fallible<Start> {
        let work = self.work.as_path();
        let output = work.join("out");
        if engine == HOLDFAST {
            let command = ours::run(set, self.options, work)?;
            return Ok(Start { command, output: work.join("archive/tables"), files: ours::segments(set, work) });
        }
        let files = format!("{}/*.parquet", output.display());
        if engine == ALONE {
            let command = ours::decode_encode_alone(set, self.options, work)?;
            return Ok(Start { command, output, files });
        }
        fs::create_dir_all(&output)?;
        let spec = work.join("spec.json");
        let raw = format!("{}/{}/*/*/*/*/{}", set.raw().display(), set.kind.table(), set.packing.object());
        let told = json!({
            "raw": raw, "out": output.join("all.parquet"), "columns": set.columns(), "time": set.kind.time_column(),
            "level": self.options.level, "threads": self.options.threads, "row_group_rows": ROW_GROUP_ROWS,
        });
        fs::write(&spec, serde_json::to_vec(&told)?)?;
        Ok(Start { command: self.python.peer(engine, &spec), output, files })
    }
}

fn row(engine: &str) -> Row {
    Row { engine: engine.to_owned(), rounds: Vec::new(), check: Value::Null, ledger_bytes: None }
}

fn told(options: &Options) -> Value {
    json!({
        "rounds": options.rounds, "level": options.level, "threads": options.threads, "memory": options.memory,
        "index": options.index, "packing": options.packing.name(), "row_group_rows": ROW_GROUP_ROWS,
    })
}

/// What it ran on, and how busy that was before it began.
fn machine() -> Fallible<Value> {
    let field = |path: &str, name: &str| -> Fallible<String> {
        let text = fs::read_to_string(path)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        Ok(line.trim_start_matches([' ', '\t', ':']).to_owned())
    };
    let processor = field("/proc/cpuinfo", "model name")?;
    let memory = field("/proc/meminfo", "MemTotal")?;
    let load = fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().to_owned();
    let processors = std::thread::available_parallelism()?.get();
    let text = format!("{processor}, {processors} processors, {memory} of memory; load before: {load}.");
    Ok(json!({ "processor": processor, "processors": processors, "memory": memory, "load": load, "text": text }))
}
