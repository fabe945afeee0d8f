//! Two runners on two hosts, as processes: one is stopped for longer than its lease lasts, another takes over, and the first
//! does no harm when it goes on.

use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use url::Url;

use super::POLICY;
use crate::servers::{Kind, Server};
use crate::wire::{Harm, Wire};

const NOW: &str = "2024-03-10T00:00:00Z";

/// A host: settings of its own for stores that others use too.
struct Host {
    folder: TempDir,
    server: Arc<Server>,
}

impl Host {
    fn new(server: &Arc<Server>, stores: &Url) -> Host {
        let folder = TempDir::new().unwrap();
        let endpoint = server.options.endpoint.as_ref().unwrap();
        let settings = format!(
            "archive = \"{stores}/archive\"\nledger = \"{stores}/ledger\"\npolicies = \"policies\"\nsimulation = true\n\
             lease = \"2s\"\n[delete]\nraw = true\n[[store]]\nurl = \"{stores}\"\nendpoint = \"{endpoint}\"\n\
             region = \"us-east-1\"\nallow_http = true\n[[source]]\nname = \"collector\"\nurl = \"{stores}/collector\"\n\
             layout = \"{{table}}/{{year}}/{{month}}/{{day}}/*\"\nsettle = \"0s\"\n"
        );
        std::fs::write(folder.path().join("holdfast.toml"), settings).unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        std::fs::write(folder.path().join("policies/policy.toml"), POLICY).unwrap();
        Host { folder, server: Arc::clone(server) }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.args(arguments).current_dir(self.folder.path()).env_remove("HOLDFAST_CONFIG").stdin(Stdio::null());
        command.envs(self.server.options.environment.iter().cloned());
        command
    }

    /// Exit code and all that was said.
    fn say(&self, arguments: &[&str]) -> (i32, String) {
        let done = self.command(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        (done.status.code().unwrap(), text.into_owned())
    }
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

#[test]
fn a_runner_that_was_stopped_past_its_lease_does_no_harm() {
    let Some(server) = Kind::S3.server("lease") else { return };
    let stores = server.fresh();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let source = server.open(&Url::parse(&format!("{stores}/collector")).unwrap(), runtime.handle());
    for day in 1..=4 {
        let record = format!("{{\"TimeGenerated\":\"2024-03-0{day}T01:02:03Z\",\"n\":{day}}}\n");
        let path = object_store::path::Path::from(format!("Signin/2024/03/0{day}/a.json"));
        source.put(&path, record.into_bytes(), holdfast::storage::Put::Create).unwrap();
    }
    // The first is stopped in the middle of clearing: one object is gone, three are left.
    let wire = Wire::before(server.options.endpoint.as_ref().unwrap());
    let (reached, at) = channel();
    let (resume, held) = channel();
    let held = Mutex::new(Some((reached, held)));
    wire.judge(move |asked| {
        if asked.method != "DELETE" || !asked.target.contains("/collector/Signin") {
            return Harm::None;
        }
        match held.lock().unwrap().take() {
            None => Harm::None,
            Some((reached, held)) => {
                reached.send(()).unwrap();
                Harm::Hold(held)
            }
        }
    });
    let (paused, taker) = (Host::new(&server.through(&wire.endpoint), &stores), Host::new(&server, &stores));
    let first = paused.command(&["run", "--as-of", NOW]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    at.recv().unwrap();
    assert_eq!(taker.say(&["run", "--as-of", NOW]).0, 75, "the lease is held, and beaten");
    signal(first.id(), "-STOP");
    drop(resume);
    // It waits by itself once the lease looks silent, and is sent away before.
    let (code, said) = loop {
        let (code, said) = taker.say(&["run", "--as-of", NOW]);
        if code != 75 {
            break (code, said);
        }
    };
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("taken over"), "{said}");
    signal(first.id(), "-CONT");
    let ended = first.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(told.contains("lease") || told.contains("another run"), "{told}");
    let (code, verified) = taker.say(&["verify"]);
    assert_eq!(code, 0, "{verified}");
    assert!(source.list(None).unwrap().is_empty(), "all is cleared, by whom ever");
    let (code, restored) = taker.say(&["restore", "--table", "Signin"]);
    assert_eq!((code, restored.matches("TimeGenerated").count()), (0, 4), "{restored}");
}
