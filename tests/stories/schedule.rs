//! `holdfast schedule` as a service, on the real process: it says when it is ready, catches up what was missed, tells how
//! it goes, and ends when asked to. When what fires is told in simulated time, under the code.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use holdfast::ledger::LocalLease;
use holdfast::schedule::Metrics;
use tempfile::TempDir;

/// Long before any test: what fired since then was missed.
const LONG_AGO: &str = "2024-03-10T02:00:00Z";

/// Once a year: no test waits for it.
const YEARLY: &str = "0 2 1 JAN *";

fn site(settings: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("logs/Signin/2024/03/01")).unwrap();
    fs::create_dir_all(at("policies")).unwrap();
    let source = "[[source]]\nname = \"collector\"\nurl = \"logs\"\nlayout = \"{table}/{year}/{month}/{day}/*\"\n";
    fs::write(at("holdfast.toml"), format!("archive = \"archive\"\n{settings}\n{source}settle = \"0s\"\n")).unwrap();
    fs::write(at("policies/all.toml"), "version = 1\n[defaults]\nretain = \"forever\"\narchive_after = \"0d\"\n")
        .unwrap();
    fs::write(at("logs/Signin/2024/03/01/a.json"), "{\"TimeGenerated\":\"2024-03-01T01:00:00Z\"}\n").unwrap();
    folder
}

fn scheduled(cron: &str) -> TempDir {
    site(&format!("[schedule]\ncron = \"{cron}\"\nmetrics = \"holdfast.prom\""))
}

fn holdfast(site: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.arg("--config").arg(site.path().join("holdfast.toml")).args(arguments);
    command.env_remove("HOLDFAST_LOG").env("NO_COLOR", "1");
    command
}

fn run_at(site: &TempDir, now: &str) {
    let output = holdfast(site, &["run", "--as-of", now]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn metrics(site: &TempDir) -> Metrics {
    Metrics::parse(&fs::read_to_string(site.path().join("holdfast.prom")).unwrap())
}

/// `holdfast schedule` under a service manager that listens.
struct Service {
    process: Child,
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Service {
    fn start(site: &TempDir) -> Self {
        let path = site.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        let process = holdfast(site, &["schedule"])
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "200000")
            .env_remove("WATCHDOG_PID")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Service { process, socket, heard: Vec::new() }
    }

    /// Listens until a line that begins so is heard.
    fn wait_for(&mut self, beginning: &str) {
        while !self.heard.iter().any(|line| line.starts_with(beginning)) {
            let mut bytes = [0; 1024];
            let length = match self.socket.recv(&mut bytes) {
                Ok(length) => length,
                Err(error) => panic!("no {beginning}: {error}; heard {:?}", self.heard),
            };
            let text = std::str::from_utf8(&bytes[..length]).unwrap();
            self.heard.extend(text.lines().map(str::to_owned));
        }
    }

    fn signal(&self, name: &str) {
        let process = self.process.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill -$0 $1", name, &process]).status().unwrap().success());
    }

    fn end(self) -> (Output, Vec<String>) {
        (self.process.wait_with_output().unwrap(), self.heard)
    }
}

fn lease_is_free(site: &Path) -> bool {
    LocalLease::take(&site.join("archive/ledger"), "test").is_ok()
}

#[test]
fn what_was_missed_is_caught_up_and_a_signal_ends_it() {
    for signal in ["TERM", "INT"] {
        let site = scheduled(YEARLY);
        fs::rename(site.path().join("logs/Signin"), site.path().join("later")).unwrap();
        run_at(&site, LONG_AGO);
        fs::rename(site.path().join("later"), site.path().join("logs/Signin")).unwrap();
        assert_eq!(metrics(&site).last_success.len(), 0);
        // A run of one table, today: the night that was missed is still missing.
        assert!(holdfast(&site, &["run", "--table", "Other"]).output().unwrap().status.success());

        let mut service = Service::start(&site);
        service.wait_for("STATUS=waiting until");
        service.wait_for("WATCHDOG=1");
        service.signal(signal);
        service.wait_for("STOPPING=1");
        let (output, heard) = service.end();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let order = ["READY=1", "STATUS=running since", "STATUS=waiting until", "STOPPING=1"];
        let places: Vec<_> = order.iter().map(|what| heard.iter().position(|line| line.starts_with(what))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{heard:?}");

        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(told.matches("1 raw object found").count(), 1, "one run for all that was missed: {told}");
        let written = metrics(&site);
        let written_text = format!("{written:?}");
        assert_eq!(written.last_exit_code, Some(0));
        assert_eq!(written.last_rows, Some(1));
        let run = written.last_run.unwrap();
        assert_eq!(written.last_success.into_iter().collect::<Vec<_>>(), [("main/Signin".to_owned(), run)]);
        assert!(written.next_firing > Some(run) && written.heartbeat.is_some(), "{written_text}");
        assert!(lease_is_free(site.path()));
    }
}

#[test]
fn what_was_not_missed_is_not_run() {
    let site = scheduled("0 0 29 2 *");
    assert!(holdfast(&site, &["run"]).output().unwrap().status.success());
    let mut service = Service::start(&site);
    service.wait_for("STATUS=waiting until");
    service.signal("TERM");
    let (output, heard) = service.end();
    assert_eq!(output.status.code(), Some(0));
    assert!(heard.contains(&"READY=1".to_owned()));
    let expected = |line: &String| line.starts_with("STATUS=waiting until") && line.contains("-02-29 00:00 UTC");
    assert!(heard.iter().any(expected), "{heard:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

/// A lease that another run holds is waited for, and a stop in the meantime is obeyed.
#[test]
fn a_held_lease_is_waited_for() {
    let site = scheduled(YEARLY);
    run_at(&site, LONG_AGO);
    let before = metrics(&site);
    let lease = LocalLease::take(&site.path().join("archive/ledger"), "somebody else").unwrap();
    let mut service = Service::start(&site);
    service.wait_for("STATUS=waiting for the lease");
    service.signal("TERM");
    let (output, _) = service.end();
    drop(lease);
    assert_eq!(output.status.code(), Some(0), "not 75: {output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("somebody else"), "{output:?}");
    let after = metrics(&site);
    assert_eq!((after.last_run, after.last_exit_code), (before.last_run, before.last_exit_code), "nothing was run");
}

/// A run that fails is told and counted, and the schedule goes on.
#[test]
fn a_failing_run_does_not_end_it() {
    let site = scheduled(YEARLY);
    run_at(&site, LONG_AGO);
    let success = metrics(&site).last_success;
    fs::remove_dir_all(site.path().join("logs")).unwrap();
    let mut service = Service::start(&site);
    service.wait_for("STATUS=waiting until");
    service.signal("TERM");
    let (output, _) = service.end();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("listing source collector"), "{output:?}");
    let after = metrics(&site);
    assert_eq!(after.last_exit_code, Some(3));
    assert!(after.last_run.unwrap() > LONG_AGO.parse().unwrap());
    assert_eq!(after.last_success, success, "which tables are there is not known: all keep their time");
}

/// Stuck in mid-work (a policy file that never ends), the first signal is heeded and the second ends it.
#[test]
fn a_second_signal_ends_it_at_once() {
    let site = scheduled(YEARLY);
    let pipe = site.path().join("policies/pipe.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut service = Service::start(&site);
    // Opened as soon as it reads: at the start, then before the first run.
    fs::write(&pipe, "version = 1\n").unwrap();
    service.wait_for("READY=1");
    let unfinished = fs::File::options().write(true).open(&pipe).unwrap();
    service.signal("TERM");
    service.wait_for("STOPPING=1");
    service.signal("TERM");
    let (output, _) = service.end();
    drop(unfinished);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing is lost"), "{output:?}");
}

fn refused(site: &TempDir) -> String {
    let output = holdfast(site, &["schedule"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!site.path().join("archive").exists(), "nothing was done");
    let told = String::from_utf8(output.stderr).unwrap();
    told.replace(&site.path().display().to_string(), "/etc")
}

#[test]
fn what_makes_every_run_impossible_ends_it_at_the_start() {
    insta::assert_snapshot!(refused(&site("")), @r#"
    error: starting the schedule
      why:  nothing says when: the settings have no [schedule] cron, and no rule has a `schedule`
      lost: nothing; nothing was done, and it can wait
      next: write into /etc/holdfast.toml, for every night at two:
            
                    [schedule]
                    cron      = "0 2 * * *"
                    time_zone = "UTC"
    "#);
    insta::assert_snapshot!(refused(&site("simulation = true\n[schedule]\ncron = \"0 2 * * *\"")), @"
    error: starting the schedule
      why:  the archive is a simulation, in which time stands still
      lost: nothing; nothing was done, and it can wait
      next: run it by hand: `holdfast run --as-of TIME`
    ");
    let never = refused(&scheduled("0 0 30 2 *"));
    assert!(never.contains("its date never comes"), "{never}");
}

#[test]
fn check_shows_when_each_line_fires_next() {
    let site = site("[schedule]\ncron = \"30 2 * * *\"\ntime_zone = \"Europe/Berlin\"");
    let more = "version = 1\n[[table]]\nname = \"Audit*\"\nretain = \"2y\"\nschedule = \"0 */6 * * MON-FRI\"\n";
    fs::write(site.path().join("policies/audit.toml"), more).unwrap();
    let output = holdfast(&site, &["check", "--as-of", "2024-03-30"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let table = &told[told.find("\nschedule ").unwrap() + 1..];
    insta::assert_snapshot!(table, @r"
    schedule           runs the tables of  next                       UTC
    30 2 * * *         [defaults]          Sat 2024-03-30 02:30 CET   Sat 01:30
                                           Sun 2024-03-31 03:00 CEST  Sun 01:00
                                           Mon 2024-04-01 02:30 CEST  Mon 00:30
    0 */6 * * MON-FRI  Audit*              Mon 2024-04-01 00:00 CEST  Sun 22:00
                                           Mon 2024-04-01 06:00 CEST  Mon 04:00
                                           Mon 2024-04-01 12:00 CEST  Mon 10:00
    ");
    let output = holdfast(&site, &["check", "--as-of", "2024-03-30", "--format", "json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["schedule"][0]["next"][1], "2024-03-31T03:00:00+02:00[Europe/Berlin]");
    assert_eq!(json["schedule"][1]["rules"][0], "Audit*");
    // A rule's line that never fires is refused like any other mistake.
    fs::write(site.path().join("policies/audit.toml"), more.replace("0 */6 * * MON-FRI", "0 0 31 4 *")).unwrap();
    assert_eq!(holdfast(&site, &["check"]).output().unwrap().status.code(), Some(1));
}
