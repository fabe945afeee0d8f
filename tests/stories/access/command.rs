//! The access log as the command line shows it.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::site::{POLICY, Site};

fn site() -> Site {
    let site = Site::new().with_policy(POLICY);
    let records: String =
        (0..5).map(|n| format!("{{\"TimeGenerated\":\"2024-03-01T10:0{n}:00Z\",\"n\":{n}}}\n")).collect();
    site.write("Signin/2024/03/01/10/a.json", records);
    site.run_well("2024-03-05T00:00:00Z");
    site
}

/// The one writer of this machine.
fn writer(site: &Site) -> String {
    let mut folders = std::fs::read_dir(site.path().join("archive/access")).unwrap();
    folders.next().unwrap().unwrap().file_name().into_string().unwrap()
}

/// Without times, hashes and this machine's name, which differ each time, and without the widths that follow from them.
fn settled(site: &Site, text: &str) -> String {
    let writer = writer(site);
    let word = |word: &str| {
        let bare = word.trim_matches(['"', ',']);
        let recent = |at: jiff::Timestamp| at.to_string().as_str() > "2025";
        let shown = match bare {
            _ if bare == writer => "host-user",
            _ if bare.len() == 64 && bare.chars().all(|c| c.is_ascii_hexdigit()) => "<sha256>",
            _ if bare.parse().is_ok_and(recent) => "<now>",
            _ => bare,
        };
        word.replace(bare, shown)
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_restore_is_recorded_and_shown() {
    let site = site();
    let restore =
        ["restore", "--table", "Signin", "--from", "2024-03-01", "--to", "2024-03-01", "--by", "Alice Auditor"];
    let (code, records, _) = site.holdfast(&[&restore[..], &["--output", "march.ndjson"]].concat());
    assert_eq!((code, records.as_str()), (0, ""));
    let (code, ..) = site.holdfast(&["restore", "--table", "Sinin", "--by", "Alice Auditor"]);
    assert_eq!(code, 2);
    let (code, listed, said) = site.holdfast(&["access", "list"]);
    assert_eq!((code, said.as_str()), (0, ""));
    insta::assert_snapshot!(settled(&site, &listed), @"
    at writer seq who what rows outcome text
    <now> host-user 0 Alice Auditor restore 5 whole records of main/Signin from 2024-03-01T00:00:00Z before 2024-03-02T00:00:00Z, to march.ndjson
    <now> host-user 2 Alice Auditor restore 0 failed records of main/Sinin, to stdout
    ");
    let (_, shown, _) = site.holdfast(&["access", "show", &writer(&site), "0"]);
    insta::assert_snapshot!(settled(&site, &shown), @"
    asked <now>, entry host-user 0
    sha256 <sha256>
    who Alice Auditor (asserted: nobody proved it)
    what restore
    tables main/Signin
    text records of main/Signin from 2024-03-01T00:00:00Z before 2024-03-02T00:00:00Z, to march.ndjson
    answered <now>, entry host-user 1
    outcome whole: 5 rows, 235 B
    ");
    let (_, failed, _) = site.holdfast(&["access", "show", &writer(&site), "3", "--format", "json"]);
    insta::assert_snapshot!(settled(&site, &failed), @r#"
    {
    "writer": "host-user",
    "seq": 2,
    "sha256": "<sha256>",
    "at": "<now>",
    "asserted": {
    "is": "Alice Auditor"
    },
    "what": "restore",
    "tables": [
    {
    "workspace": "main",
    "table": "Sinin"
    }
    ],
    "text": {
    "is": "records of main/Sinin, to stdout"
    },
    "answered": {
    "seq": 3,
    "at": "<now>",
    "rows": 0,
    "bytes": 0,
    "outcome": "failed",
    "why": {
    "is": "restoring main/Sinin: the archive holds no such table"
    },
    "unseen": []
    }
    }
    "#);
    let (code, verified, _) = site.holdfast(&["verify"]);
    assert_eq!(code, 0);
    assert!(verified.contains("access      4 entries of 1 writer\n"), "{verified}");
    // The manifest says where it stands.
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(site.path().join("march.ndjson.manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["recorded"]["seq"], 0);
    assert_eq!(manifest["recorded"]["writer"], writer(&site));
}

/// Whoever reads stdout has enough: that is how it is recorded, and no failure.
#[test]
fn a_reader_that_goes_away_is_recorded() {
    let site = Site::new().with_policy(POLICY);
    let text = "x".repeat(2_000);
    let records: String = (0..2_000)
        .map(|n| format!("{{\"TimeGenerated\":\"2024-03-01T10:00:00Z\",\"n\":{n},\"text\":\"{n}{text}\"}}\n"))
        .collect();
    site.write("Big/2024/03/01/10/a.json", records);
    site.run_well("2024-03-05T00:00:00Z");
    // Writes the settings.
    site.holdfast(&["check"]);
    let mut restore = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["restore", "--table", "Big"])
        .current_dir(site.path())
        .env_remove("HOLDFAST_CONFIG")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    restore.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(restore.wait().unwrap().code(), Some(0));
    let (_, shown, _) = site.holdfast(&["access", "show", &writer(&site), "0"]);
    assert!(shown.contains("outcome   cut short") && shown.contains("the reader of stdout went away"), "{shown}");
}

/// Nothing can be written below `access/`: nothing is read, unless the settings allow it.
#[test]
fn what_cannot_be_recorded_is_refused() {
    let site = site();
    std::fs::write(site.path().join("archive/access"), "in the way").unwrap();
    let restore = ["restore", "--table", "Signin", "--output", "out.ndjson"];
    let (code, out, said) = site.holdfast(&restore);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(said.contains("error: recording this restore in the access log"), "{said}");
    assert!(said.contains("nothing was read") && said.contains("best-effort"), "{said}");
    assert!(!site.path().join("out.ndjson").exists() && !site.path().join("out.ndjson.partial").exists());
    // The settings of the story, and what an admin adds to them.
    let settings = std::fs::read_to_string(site.path().join("holdfast.toml")).unwrap();
    std::fs::write(site.path().join("lax.toml"), settings + "[access]\nrecord = \"best-effort\"\n").unwrap();
    let (code, _, said) = site.holdfast(&[&restore[..], &["--config", "lax.toml"]].concat());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("NOT RECORDED in the access log"), "{said}");
    let manifest = std::fs::read_to_string(site.path().join("out.ndjson.manifest.json")).unwrap();
    assert!(manifest.contains("\"recorded\": null") && manifest.contains("\"unrecorded\": \""), "{manifest}");
}

/// An asker may call himself anything; the auditor's terminal does not obey it.
#[test]
fn what_askers_write_moves_no_cursor() {
    let site = site();
    let (code, ..) = site.holdfast(&["restore", "--table", "Signin", "--by", "Eve\x1b[2J\nAlice", "--output", "a"]);
    assert_eq!(code, 0);
    for command in [&["access", "list"][..], &["access", "show", &writer(&site), "0"]] {
        let (_, shown, _) = site.holdfast(command);
        assert!(shown.contains("Eve\\u{1b}[2J Alice") && !shown.contains('\x1b'), "{shown}");
    }
}

#[test]
fn nobody_asked_yet() {
    let site = site();
    let (code, listed, _) = site.holdfast(&["access", "list"]);
    assert_eq!((code, listed.as_str()), (0, "nobody has searched or restored yet\n"));
    let (code, _, said) = site.holdfast(&["access", "show", "nobody", "0"]);
    assert_eq!(code, 2);
    assert!(said.contains("there is no writer `nobody`"), "{said}");
}
