//! I11: memory by setting, whatever the size of an object, a day, a record or a schema. Measured on the real process.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use holdfast::source::sample::security_events;
use tempfile::TempDir;
use url::Url;

use crate::servers::Kind;

const MEMORY_MB: u64 = 64;
/// What a run takes beside `memory`: the program, its threads, the buffers of readers and stores (docs/OPERATIONS.md).
const CONSTANT_MB: u64 = 160;

/// An archive, and a source with one object that `fill` writes.
fn site(fill: impl FnOnce(&mut dyn Write)) -> TempDir {
    // Without a disk below: thousands of segments would wait for as many syncs.
    let shared = Path::new("/dev/shm");
    let folder = if shared.is_dir() { TempDir::new_in(shared).unwrap() } else { TempDir::new().unwrap() };
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("logs/Big")).unwrap();
    fs::create_dir_all(at("policies")).unwrap();
    let settings = format!(
        "archive = \"archive\"\npolicies = \"policies\"\nmemory = \"{MEMORY_MB}MiB\"\nsimulation = true\n\
         [[source]]\nname = \"collector\"\nurl = \"logs\"\nlayout = \"{{table}}/*\"\nsettle = \"0s\"\n"
    );
    fs::write(at("holdfast.toml"), settings).unwrap();
    fs::write(at("policies/all.toml"), "version = 1\n[defaults]\nretain = \"forever\"\narchive_after = \"0d\"\n")
        .unwrap();
    let mut file = BufWriter::new(File::create(at("logs/Big/one.json")).unwrap());
    fill(&mut file);
    file.flush().unwrap();
    folder
}

fn holdfast(site: &TempDir, arguments: &[&str]) -> Child {
    command(site, arguments).spawn().unwrap()
}

fn command(site: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.arg("--config").arg(site.path().join("holdfast.toml")).args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The largest resident set of a process, MB, while it lives: the kernel keeps the highest mark, so that looking now and
/// then is enough. It must succeed.
fn peak_of(mut process: Child) -> u64 {
    let status = format!("/proc/{}/status", process.id());
    let mut peak_kb = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mark =
            text.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(|line| line.trim_end_matches(" kB").trim());
        peak_kb = mark.and_then(|mark| mark.parse().ok()).unwrap_or(peak_kb);
        if let Some(status) = process.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return peak_kb / 1024;
        }
        std::thread::yield_now();
    }
}

/// Runs, restores and verifies: each stays within its bound.
fn stays_within_bounds(site: &TempDir, what: &str) {
    let restored = site.path().join("restored.ndjson").display().to_string();
    let run = peak_of(holdfast(site, &["run", "--as-of", "2035-01-01"]));
    let restore = peak_of(holdfast(site, &["restore", "--table", "Big", "--output", &restored]));
    let verify = peak_of(holdfast(site, &["verify"]));
    let told = format!("{what}: run {run} MB, restore {restore} MB, verify {verify} MB at memory = {MEMORY_MB} MiB");
    eprintln!("{told}");
    assert!(run.max(restore).max(verify) <= MEMORY_MB + CONSTANT_MB, "{told}");
    let lines = |path: &Path| fs::read(path).unwrap().iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines(Path::new(&restored)), lines(&site.path().join("logs/Big/one.json")), "{told}");
}

#[test]
fn an_object_and_a_day_larger_than_memory() {
    let site = site(|out| {
        let start = "2024-03-01T00:00:00Z".parse().unwrap();
        security_events(1, start, 80_000, &mut &mut *out).unwrap();
    });
    assert!(fs::metadata(site.path().join("logs/Big/one.json")).unwrap().len() > 2 * (MEMORY_MB << 20));
    stays_within_bounds(&site, "one object of 150 MB");
}

/// I11: the same with nothing on a disk: what is read ahead and what is on its way to the store have their bounds too.
#[test]
fn an_object_larger_than_memory_on_an_object_store() {
    let Some(server) = Kind::S3.server("bounded") else { return };
    let stores = server.fresh();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let source = server.open(&Url::parse(&format!("{stores}/logs")).unwrap(), runtime.handle());
    let mut upload = source.upload(&object_store::path::Path::from("Big/one.json")).unwrap();
    let start = "2024-03-01T00:00:00Z".parse().unwrap();
    security_events(1, start, 80_000, &mut upload).unwrap();
    let (bytes, _) = upload.finish().unwrap();
    assert!(bytes > 2 * (MEMORY_MB << 20));
    let site = site(|_| {});
    let endpoint = server.options.endpoint.as_ref().unwrap();
    let settings = format!(
        "archive = \"{stores}/archive\"\npolicies = \"policies\"\nmemory = \"{MEMORY_MB}MiB\"\nsimulation = true\n\
         [[store]]\nurl = \"{stores}\"\nendpoint = \"{endpoint}\"\nregion = \"us-east-1\"\nallow_http = true\n\
         [[source]]\nname = \"collector\"\nurl = \"{stores}/logs\"\nlayout = \"{{table}}/*\"\nsettle = \"0s\"\n"
    );
    fs::write(site.path().join("holdfast.toml"), settings).unwrap();
    let peak = |arguments: &[&str]| {
        let mut command = command(&site, arguments);
        peak_of(command.envs(server.options.environment.iter().cloned()).spawn().unwrap())
    };
    let (run, verify) = (peak(&["run", "--as-of", "2035-01-01"]), peak(&["verify"]));
    let told = format!("{} MB on S3: run {run} MB, verify {verify} MB at memory = {MEMORY_MB} MiB", bytes >> 20);
    eprintln!("{told}");
    assert!(run.max(verify) <= MEMORY_MB + CONSTANT_MB, "{told}");
}

#[test]
fn thousands_of_columns() {
    let site = site(|out| {
        for row in 0..400 {
            let mut line = String::from("{\"TimeGenerated\":\"2024-03-01T00:00:00Z\"");
            for column in 0..2_900 {
                write!(line, ",\"column_{column}\":\"value {} of {row}\"", column % 7).unwrap();
            }
            writeln!(out, "{line}}}").unwrap();
        }
    });
    stays_within_bounds(&site, "2,900 columns");
}

#[test]
fn thousands_of_open_days() {
    let site = site(|out| {
        let first: jiff::civil::Date = "2015-01-01".parse().unwrap();
        for round in 0..4 {
            for day in 0..2_000_i32 {
                let date = first.checked_add(jiff::Span::new().days(day)).unwrap();
                writeln!(out, "{{\"TimeGenerated\":\"{date}T0{round}:00:00Z\",\"n\":{day}}}").unwrap();
            }
        }
    });
    stays_within_bounds(&site, "2,000 open days");
}

#[test]
fn values_of_megabytes() {
    let site = site(|out| {
        for row in 0..24_u8 {
            let value = format!("{row} of many, and long: ").repeat(170_000);
            writeln!(out, "{{\"TimeGenerated\":\"2024-03-01T00:00:00Z\",\"value\":\"{value}\"}}").unwrap();
        }
    });
    stays_within_bounds(&site, "values of 3.7 MB");
}

/// Segments whose rows take far more in memory than their bytes tell.
#[test]
fn a_merge_of_more_than_memory_holds() {
    let site = site(|_| {});
    let settings = fs::read_to_string(site.path().join("holdfast.toml")).unwrap();
    fs::write(site.path().join("holdfast.toml"), settings + "[delete]\nexpired = true\n").unwrap();
    let value = "the same again and again ".repeat(4_000);
    for object in 0..24 {
        let record =
            |row| format!("{{\"TimeGenerated\":\"2024-03-01T00:00:00Z\",\"n\":{row},\"value\":\"{value}\"}}\n");
        let text: String = (0..16).map(|row| record(object * 16 + row)).collect();
        fs::write(site.path().join(format!("logs/Big/{object}.json")), text).unwrap();
        peak_of(holdfast(&site, &["run", "--as-of", "2035-01-01"]));
    }
    let live =
        || fs::read_dir(site.path().join("archive/tables/main/Big/_hf_day=2024-03-01/_hf_part=main")).unwrap().count();
    assert_eq!(live(), 24);
    let merge = peak_of(holdfast(&site, &["run", "--as-of", "2035-01-05"]));
    // What fits takes the place of at least eight, which are destroyed.
    assert!(live() <= 24 - 8 + 1, "{}", live());
    let told = format!("40 MB of rows in 24 segments: merge {merge} MB at memory = {MEMORY_MB} MiB");
    eprintln!("{told}");
    assert!(merge <= MEMORY_MB + CONSTANT_MB, "{told}");
}
