//! How fast and how small: one `run` over generated SecurityEvent logs, everything included (hashing, digest, Delta
//! commit, ledger, reading back).
//!
//! `cargo bench --bench archive -- [MEGABYTES] [plain|gzip|zstd]`, 1000 plain by default.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark prints and reads the clock"
)]

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use holdfast::source::sample::security_events;
use jiff::{SignedDuration, Timestamp};

/// Records an hourly object holds.
const RECORDS: u64 = 16_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let megabytes: u64 = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(1000);
    let packing = arguments.get(1).map_or("plain", String::as_str);
    let memory = std::env::var("HOLDFAST_BENCH_MEMORY").unwrap_or_else(|_| "1GiB".into());
    let folder = tempfile::tempdir().unwrap();
    let (raw, files) = generate(&folder.path().join("logs"), megabytes * 1_000_000, packing);
    let settings = format!(
        "archive = \"archive\"\npolicies = \"policies\"\nmemory = \"{memory}\"\n\
         [[source]]\nname = \"bench\"\nurl = \"logs\"\nlayout = \"{{table}}/{{year}}/{{month}}/{{day}}/{{hour}}/*\"\nsettle = \"0s\"\n"
    );
    fs::write(folder.path().join("holdfast.toml"), settings).unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(
        folder.path().join("policies/all.toml"),
        "version = 1\n[[table]]\nname = \"SecurityEvent\"\nretain = \"730d\"\nindex = [\"Account\", \"Computer\", \"TargetLogonId\"]\n",
    )
    .unwrap();
    // The program itself, as a process of its own: what a user runs and what the kernel charges it for.
    let program = Path::new(env!("CARGO_BIN_EXE_holdfast"));
    let before = children_cpu();
    let started = Instant::now();
    let mut child =
        Command::new(program).arg("--config").arg(folder.path().join("holdfast.toml")).arg("run").spawn().unwrap();
    let mut peak_kb = 0;
    let status = loop {
        peak_kb = peak_kb.max(peak_of(child.id()));
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let wall = started.elapsed().as_secs_f64();
    let cpu = children_cpu() - before;
    assert!(status.success(), "the run failed");
    let archived = size_of(&folder.path().join("archive/tables"));
    let decoded = raw.decoded as f64;
    println!("raw        {:.1} MB in {files} objects ({packing}: {:.1} MB)", decoded / 1e6, raw.stored as f64 / 1e6);
    println!("wall       {wall:.2} s = {:.0} MB/s of decoded raw", decoded / 1e6 / wall);
    println!("cpu        {cpu:.2} s = {:.0} MB/s a core", decoded / 1e6 / cpu);
    println!("peak       {} MB with memory = {memory}", peak_kb / 1000);
    println!("archive    {:.1} MB = raw / {:.1}", archived as f64 / 1e6, decoded / archived as f64);
    println!("zstd-19    raw / {:.1} (of the first 64 MB)", raw.zstd_19);
}

struct Raw {
    decoded: u64,
    stored: u64,
    zstd_19: f64,
}

fn generate(folder: &Path, bytes: u64, packing: &str) -> (Raw, u64) {
    let mut raw = Raw { decoded: 0, stored: 0, zstd_19: 0.0 };
    let mut files = 0;
    let mut start: Timestamp = "2024-03-01T00:00:00Z".parse().unwrap();
    let mut first = Vec::new();
    while raw.decoded < bytes {
        let mut content = Vec::new();
        security_events(files, start, RECORDS, &mut content).unwrap();
        raw.decoded += content.len() as u64;
        if first.len() < 64 << 20 {
            first.extend_from_slice(&content);
        }
        let hour = start.to_zoned(jiff::tz::TimeZone::UTC);
        let path = folder.join(format!("SecurityEvent/{}/events.json", hour.strftime("%Y/%m/%d/%H")));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = BufWriter::new(File::create(&path).unwrap());
        match packing {
            "gzip" => {
                let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::default());
                packer.write_all(&content).unwrap();
                packer.finish().unwrap().flush().unwrap();
            }
            "zstd" => zstd::stream::copy_encode(&content[..], file, 3).unwrap(),
            _ => {
                file.write_all(&content).unwrap();
                file.flush().unwrap();
            }
        }
        raw.stored += fs::metadata(&path).unwrap().len();
        files += 1;
        start += SignedDuration::from_hours(1);
    }
    first.truncate(64 << 20);
    let mut packed = CountOnly(0);
    zstd::stream::copy_encode(&first[..], &mut packed, 19).unwrap();
    raw.zstd_19 = first.len() as f64 / packed.0 as f64;
    (raw, files)
}

struct CountOnly(u64);

impl Write for CountOnly {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn size_of(folder: &Path) -> u64 {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            if meta.is_dir() { size_of(&entry.path()) } else { meta.len() }
        })
        .sum()
}

/// CPU seconds of ended child processes: fields 16 and 17 of /proc/self/stat, in ticks of 1/100 s.
fn children_cpu() -> f64 {
    let stat = read("/proc/self/stat");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[13].parse::<f64>().unwrap() + fields[14].parse::<f64>().unwrap()) / 100.0
}

/// The largest resident set of a process so far, kB.
fn peak_of(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn read(path: &str) -> String {
    let mut text = String::new();
    File::open(path).unwrap().read_to_string(&mut text).unwrap();
    text
}
