//! What the docs give to those who run it unattended works: units that systemd understands, metrics that Prometheus
//! reads. Where such a tool is missing, the test says so. (`.ci/run` checks the CronJob against Kubernetes' schemas.)

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use holdfast::schedule::Metrics;
use jiff::Timestamp;
use tempfile::TempDir;

fn docs() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs"))
}

/// The examples: name and text.
fn examples() -> Vec<(String, String)> {
    let files = fs::read_dir(docs().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut examples: Vec<_> = files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    examples.sort();
    examples
}

#[test]
fn each_example_stands_in_the_docs_and_each_block_is_an_example() {
    let text = fs::read_to_string(docs().join("OPERATIONS.md")).unwrap();
    let mut blocks: Vec<&str> = ["```ini\n", "```yaml\n"]
        .iter()
        .flat_map(|fence| text.split(fence).skip(1).filter_map(|rest| rest.split("```").next()))
        .collect();
    let mut files: Vec<String> = examples().into_iter().map(|(_, text)| text).collect();
    blocks.sort_unstable();
    files.sort();
    assert_eq!(blocks, files, "docs/OPERATIONS.md and docs/examples/ differ");
    for (name, _) in examples().iter().filter(|(name, _)| !name.ends_with(".yaml")) {
        assert!(text.contains(&format!("`/etc/systemd/system/{name}`:")), "{name}");
    }
}

/// What systemd says against units; none: it is not there to ask.
fn systemd_says(units: &[(String, String)]) -> Option<String> {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no", "--recursive-errors=no"]);
    for (name, text) in units {
        // It looks whether the program is there.
        let here = text.replace("/usr/local/bin/holdfast", env!("CARGO_BIN_EXE_holdfast"));
        fs::write(folder.path().join(name), here).unwrap();
        command.arg(folder.path().join(name));
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("SKIPPED: systemd-analyze cannot be asked ({error}); the units are not verified");
            return None;
        }
    };
    let told = String::from_utf8_lossy(&output.stderr);
    // It succeeds on unknown keys, and has things to say about other units of the host.
    let ours = told.lines().filter(|line| units.iter().any(|(name, _)| line.contains(name.as_str())));
    let mut said: Vec<&str> = ours.collect();
    if !output.status.success() && said.is_empty() {
        said.push(&told);
    }
    Some(said.join("\n"))
}

#[test]
fn systemd_understands_the_units() {
    let units: Vec<_> = examples().into_iter().filter(|(name, _)| !name.ends_with(".yaml")).collect();
    assert_eq!(units.len(), 3);
    assert_eq!(systemd_says(&units).unwrap_or_default(), "");
    // A unit that is wrong is seen.
    for (right, wrong) in
        [("WatchdogSec=", "WatchdogSecs="), ("=notify", "=notifies"), ("/holdfast --", "/holdfist --")]
    {
        let units: Vec<_> = units.iter().map(|(name, text)| (name.clone(), text.replace(right, wrong))).collect();
        assert_ne!(systemd_says(&units).as_deref(), Some(""), "{wrong}");
    }
}

#[test]
fn prometheus_reads_the_metrics() {
    let time = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    let text = Metrics {
        last_success: [("main/SecurityEvent".to_owned(), time("2024-03-10T02:00:00Z").unwrap())].into(),
        last_run: time("2024-03-10T02:00:00Z"),
        last_exit_code: Some(0),
        last_duration: Some(std::time::Duration::from_millis(1500)),
        last_rows: Some(7),
        next_firing: time("2024-03-11T02:00:00Z"),
        heartbeat: time("2024-03-10T12:00:00Z"),
    }
    .to_string();
    let docs = fs::read_to_string(docs().join("OPERATIONS.md")).unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(names.len(), 7);
    for name in names {
        assert!(docs.contains(&format!("| `{name}")), "{name} is not in the docs");
    }
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    match promtool {
        Err(error) => eprintln!("SKIPPED: promtool cannot be asked ({error})"),
        Ok(mut process) => {
            process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
            let output = process.wait_with_output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        }
    }
}
