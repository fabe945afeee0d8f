//! The docs say what the code does: each key of settings and policies, each member of the ledger's entries, each path,
//! as they are and no others.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::Path;

use holdfast::access;
use holdfast::archive::{QuarantineItem, commit_path, quarantine_folder, segment_path};
use holdfast::ledger::{
    Armed, AttachmentRef, BatchInput, Body, CommittedTable, Counts, Entry, Head, HoldScope, Kept, ObjectId,
    ObjectOutcome, PreparedTable, ProofKind, Purpose, QuarantineFile, SealedRef, Segment, Subject, TableDetail,
    attachment_path, entry_path,
};
use holdfast::names::TableName;
use holdfast::policy::schema;
use holdfast::record::SetDigest;
use holdfast::settings::Settings;
use jiff::Timestamp;
use jiff::civil::date;
use serde::Serialize;
use serde_json::Value;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The text from the line that begins with `heading` to the next heading.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let from = text.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let rest = &text[from + heading.len() + 2..];
    &rest[..rest.find("\n#").unwrap_or(rest.len())]
}

/// The words in backticks.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The rows of the tables in `text` without their headings: cells.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let cells = text.lines().filter(|line| line.starts_with("| `"));
    cells.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// All paths of keys in a JSON object, `a.b`; of arrays those of their first element.
fn paths(value: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                match value {
                    Value::Object(_) | Value::Array(_) => paths(value, &path, found),
                    _ => drop(found.insert(path)),
                }
            }
        }
        Value::Array(elements) => elements.iter().take(1).for_each(|element| paths(element, prefix, found)),
        _ => drop(found.insert(prefix.to_owned())),
    }
}

#[test]
fn each_key_of_the_settings_is_explained_with_an_example_that_parses() {
    let text = read("docs/OPERATIONS.md");
    let rows = rows(section(&text, "## Settings"));
    let (mut top, mut tables) = (String::new(), String::new());
    for section in ["delete", "schedule", "access", "source", "store"] {
        tables += &match section {
            "source" | "store" => format!("[[{section}]]\n"),
            _ => format!("[{section}]\n"),
        };
        for row in &rows {
            let (key, example) = (row[0].trim_matches('`'), row[1].trim_matches('`'));
            // Of another cloud than the example's.
            if key == "store.account" {
                continue;
            }
            if let Some(key) = key.strip_prefix(&format!("{section}.")) {
                tables += &format!("{key} = {example}\n");
            } else if section == "delete" && !key.contains('.') {
                top += &format!("{key} = {example}\n");
            }
        }
    }
    let settings = Settings::parse(&(top + &tables), Path::new("/etc/holdfast")).unwrap();
    let mut known = BTreeSet::new();
    paths(&serde_json::to_value(&settings).unwrap(), "", &mut known);
    known.remove("file");
    let explained: BTreeSet<String> = rows.iter().map(|row| row[0].trim_matches('`').to_owned()).collect();
    assert_eq!(explained, known);
}

#[test]
fn every_settings_file_in_the_docs_parses() {
    let mut tried = 0;
    for path in ["README.md", "docs/OPERATIONS.md"] {
        let text = read(path);
        for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            if block.contains("\narchive") || block.starts_with("archive") {
                Settings::parse(block, Path::new("/etc/holdfast")).unwrap_or_else(|_| panic!("{path}: {block}"));
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 3);
}

#[test]
fn each_key_of_a_rule_is_explained() {
    let text = read("docs/RETENTION.md");
    let table = rows(section(&text, "## Times and days"));
    let explained: BTreeSet<String> = table.iter().flat_map(|row| quoted(row[0])).map(str::to_owned).collect();
    let schema = serde_json::to_value(schema()).unwrap();
    let known = schema["$defs"]["DefaultsDocument"]["properties"].as_object().unwrap();
    assert_eq!(explained, known.keys().cloned().collect());
}

#[test]
fn format_names_every_member_of_the_ledger() {
    let text = read("docs/FORMAT.md");
    let explained = quoted(section(&text, "## Ledger"));
    let kinds = rows(section(&text, "## Ledger"));
    let mut missing = BTreeSet::new();
    for body in bodies() {
        let kind = body.kind();
        if !kinds.iter().any(|row| row.len() == 3 && quoted(row[0]).contains(kind)) {
            missing.insert(kind.to_owned());
        }
        look(&entry(body), &explained, &mut missing);
    }
    look(&lines(), &explained, &mut missing);
    let item = QuarantineItem {
        source: String::new(),
        path: String::new(),
        offset: 0,
        at: 0,
        bytes: 0,
        reason: String::new(),
        whole_object: false,
    };
    look(&item, &quoted(section(&text, "## Quarantine files")), &mut missing);
    assert!(missing.is_empty(), "docs/FORMAT.md does not name {missing:?}");
}

/// docs/CLI.md is what the binary prints; `UPDATE_CLI=1` writes it anew.
#[test]
fn the_reference_is_that_of_the_command_line() {
    let printed = std::process::Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["man", "--format", "markdown"])
        .output()
        .unwrap();
    let fresh = String::from_utf8(printed.stdout).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CLI.md");
    if std::env::var_os("UPDATE_CLI").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == fresh, "docs/CLI.md is stale: run the tests once with UPDATE_CLI=1");
}

#[test]
fn format_names_every_member_of_the_access_log() {
    let text = read("docs/FORMAT.md");
    let section = section(&text, "## Access log");
    let (explained, kinds) = (quoted(section), rows(section));
    let sealed = || SealedRef { sha256: String::new() };
    let answer =
        |outcome| access::Body::Answered(access::Answer { asked: 0, rows: 0, bytes: 0, outcome, unseen: vec![] });
    let bodies = [
        access::Body::Asked {
            who: access::Who::Asserted(sealed()),
            what: access::What::Search,
            tables: vec![table()],
            text: sealed(),
        },
        answer(access::Outcome::Whole),
        answer(access::Outcome::CutShort(sealed())),
        answer(access::Outcome::Failed(sealed())),
    ];
    let mut missing = BTreeSet::new();
    for body in bodies {
        let entry = access::Entry {
            seq: 0,
            at: Timestamp::UNIX_EPOCH,
            nonce: String::new(),
            prev: String::new(),
            lost: Some(Head { seq: 0, sha256: String::new() }),
            body,
        };
        let entry = serde_json::to_value(entry).unwrap();
        let kind = entry["kind"].as_str().unwrap();
        assert!(kinds.iter().any(|row| row.len() == 3 && quoted(row[0]).contains(kind)), "{kind}");
        look(&entry, &explained, &mut missing);
    }
    assert!(missing.is_empty(), "docs/FORMAT.md does not name {missing:?}");
}

#[test]
fn format_shows_paths_as_they_are() {
    let text = read("docs/FORMAT.md");
    let table = TableName::new("<workspace>", "<table>");
    let layout = section(&text, "## What lies where");
    let segment = segment_path(date(2024, 3, 1), "main", "<batch>", 0);
    for path in [
        segment.as_str(),
        entry_path(0).as_ref(),
        "attachments/<sha256>",
        "sealed/<sha256>",
        "head.json",
        "state.json",
        "lease.json",
    ] {
        assert!(layout.contains(&format!(" {path}")), "{path}");
    }
    assert_eq!(attachment_path("x").as_ref(), "attachments/x");
    // Paths escape what stands for a name here.
    let plain = TableName::new("w", "t");
    assert_eq!(quarantine_folder(&plain).as_ref(), "quarantine/w/t");
    assert!(layout.contains(&format!("quarantine/{table}/")));
    assert_eq!(commit_path(&plain, 0).as_ref(), "tables/w/t/_delta_log/00000000000000000000.json");
    assert!(layout.contains(&format!("tables/{table}/\n    _delta_log/00000000000000000000.json")));
}

/// Adds the keys, and the words that tell variants apart, which `explained` does not have.
fn look(value: &impl Serialize, explained: &BTreeSet<&str>, missing: &mut BTreeSet<String>) {
    fn walk(value: &Value, explained: &BTreeSet<&str>, missing: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    // The members of a set digest and of a table's name are explained elsewhere.
                    if !explained.iter().any(|word| *word == key || word.contains(&format!("\"{key}\""))) {
                        missing.insert(key.clone());
                    }
                    if let (true, Some(word)) = (matches!(key.as_str(), "what" | "why" | "proof"), value.as_str()) {
                        let named = |text: &&str| *text == word || text.contains(&format!("\"{word}\""));
                        if !explained.iter().any(named) {
                            missing.insert(word.to_owned());
                        }
                    }
                    walk(value, explained, missing);
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| walk(element, explained, missing)),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(value).unwrap();
    strip(&mut value);
    walk(&value, explained, missing);
}

/// Leaves out what the chapter on digests explains.
fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(digest) = members.get_mut("digest").filter(|digest| digest.is_object()) {
                *digest = Value::Null;
            }
            members.values_mut().for_each(strip);
        }
        Value::Array(elements) => elements.iter_mut().for_each(strip),
        _ => {}
    }
}

fn entry(body: Body) -> Entry {
    Entry { seq: 0, at: Timestamp::UNIX_EPOCH, run: String::new(), nonce: String::new(), prev: String::new(), body }
}

fn table() -> TableName {
    TableName::new("main", "SecurityEvent")
}

fn list() -> AttachmentRef {
    AttachmentRef { sha256: String::new(), count: 0 }
}

fn quarantine_file() -> QuarantineFile {
    QuarantineFile {
        table: table(),
        data: String::new(),
        data_sha256: String::new(),
        index: String::new(),
        index_sha256: String::new(),
        records: 0,
        bytes: 0,
    }
}

/// One of each kind. A new kind or member does not compile here before it is explained.
fn bodies() -> Vec<Body> {
    let text = String::new;
    let prepared = PreparedTable {
        table: table(),
        base: None,
        segments: 0,
        bytes: 0,
        digest: SetDigest::default(),
        detail: list(),
    };
    let scope =
        HoldScope { tables: vec![table()], from: None, to: None, predicate: Some(SealedRef { sha256: text() }) };
    let sealed = || SealedRef { sha256: text() };
    let intended = |purpose| Body::BatchIntended { batch: text(), purpose, tables: vec![table()], inputs: list() };
    let destroy = |proof| Body::DestroyIntended { step: text(), proof, subjects: list(), bytes: 0, grounds: None };
    vec![
        Body::Created { archive: text(), format: 1, simulation: false },
        Body::RunStarted { version: text(), host: text(), process: 0, armed: Armed::default() },
        Body::RunEnded { exit: 0, batches: 0, rows: 0, cleared: 0, partial: true },
        Body::PolicyAccepted { digest: text(), files: list() },
        intended(Purpose::Archive),
        intended(Purpose::Retry { batches: Vec::new() }),
        intended(Purpose::Merge),
        intended(Purpose::Erase { request: text() }),
        Body::BatchPrepared {
            batch: text(),
            tables: vec![prepared],
            objects: list(),
            quarantine: vec![quarantine_file()],
            counts: Counts::default(),
        },
        Body::BatchCommitted {
            batch: text(),
            tables: vec![CommittedTable { table: table(), version: 0, sha256: text() }],
        },
        Body::BatchAbandoned { batch: text(), reason: text() },
        destroy(ProofKind::ArchivedVerified),
        destroy(ProofKind::Expired),
        destroy(ProofKind::Superseded),
        destroy(ProofKind::NeverCommitted),
        destroy(ProofKind::Erased),
        destroy(ProofKind::DuplicateOf),
        destroy(ProofKind::ObsoleteLog),
        Body::DestroyDone { step: text(), destroyed: 0, missing: 0, kept: None },
        Body::CheckpointWritten { table: table(), version: 0, sha256: text() },
        Body::HoldPlaced { hold: text(), scope, text: sealed() },
        Body::HoldReleased { hold: text(), text: sealed() },
        Body::StateSaved { version: 1, sha256: text() },
    ]
}

/// One line of each list, and `head.json`.
fn lines() -> Vec<Value> {
    let text = String::new;
    let id = || ObjectId { source: text(), path: text() };
    let raw = Subject::Raw { source: text(), path: text(), table: table(), size: 0, sha256: text(), batch: text() };
    let segment = Segment {
        path: text(),
        day: date(2024, 3, 1),
        part: text(),
        bytes: 0,
        sha256: text(),
        digest: SetDigest::default(),
        times: None,
        rest: None,
    };
    let (day, part) = (segment.day, text());
    let input = BatchInput {
        source: text(),
        path: text(),
        table: table(),
        size: 0,
        modified: Timestamp::UNIX_EPOCH,
        etag: None,
        from: 0,
    };
    let outcome = ObjectOutcome {
        source: text(),
        path: text(),
        table: table(),
        size: 0,
        modified: Timestamp::UNIX_EPOCH,
        etag: None,
        from: 0,
        continues: Some(id()),
        resume: 0,
        sha256: text(),
        counts: Counts::default(),
        duplicate_of: Some(id()),
        unreadable: None,
        last_day: None,
    };
    let subjects = [
        raw.clone(),
        Subject::Segment { table: table(), path: text(), day, part, sha256: text() },
        Subject::Quarantine { table: table(), path: text(), batch: text() },
        Subject::Partial { path: text(), batch: text() },
        Subject::DeltaLog { table: table(), path: text() },
        Subject::Index { table: table(), path: text() },
        Subject::Attachment { sha256: text() },
    ];
    let json = |value: serde_json::Result<Value>| value.unwrap();
    let mut lines = vec![
        json(serde_json::to_value(input)),
        json(serde_json::to_value(outcome)),
        json(serde_json::to_value(TableDetail { schema: None, adds: vec![segment], removes: Vec::new() })),
        json(serde_json::to_value(Kept { subject: raw, reason: text() })),
        json(serde_json::to_value(Head { seq: 0, sha256: text() })),
    ];
    lines.extend(subjects.into_iter().map(|subject| json(serde_json::to_value(subject))));
    lines
}
