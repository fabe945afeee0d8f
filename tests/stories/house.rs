//! The house: who may use whom, who may delete, who may read a clock, who may print.
//!
//! The checks read the text of `src/`, with comments, literals and test code blanked out. They are no proof against
//! malice; they catch the honest mistake. Each has a twin below that shows it fail on made-up text.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod code;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use code::{SourceFile, crate_paths, read_folder, words};

/// Writes what was restored under a partial name, which it gives up or takes away again: nothing of the archive.
const RESTORED: &str = "src/cli/restore/sink.rs";

/// The same for the answer of a search.
const ANSWERED: &str = "src/cli/search/write.rs";

/// Passes on to the store that it wraps.
const PATIENT: &str = "src/storage/patient.rs";

/// Deletes the objects that it wrote to try a store, and no others.
const PROBE: &str = "src/storage/probe.rs";

/// Replaces the metrics file by its next version: nothing of the archive.
const METRICS: &str = "src/schedule/metrics.rs";

/// Where each dangerous call may stand. A path that ends with `/` is a folder.
const ONLY_HERE: &[(&str, &[&str], &str)] = &[
    // Deleting: one file, behind the gate (I3).
    (".delete(", &["src/gate/eraser.rs", PROBE], "I3: only the eraser deletes"),
    (".delete_exact(", &["src/gate/eraser.rs", PROBE, "src/storage/store.rs"], "I3: only the eraser deletes"),
    (".delete_version(", &["src/gate/eraser.rs", PROBE, "src/storage/store.rs"], "I3: only the eraser deletes"),
    (".delete_stream(", &[PATIENT], "I3: only the eraser deletes, and one by one"),
    (".rename_opts(", &["src/gate/eraser.rs", PATIENT], "I3: a rename takes a name away"),
    (".rename(", &["src/storage/durable.rs"], "I3: a rename takes a name away"),
    (".rename_if_not_exists(", &[], "I3: a rename takes a name away"),
    ("remove_file(", &["src/storage/durable.rs", RESTORED, ANSWERED], "I3: unlinking is the durable store's"),
    ("remove_dir(", &["src/storage/durable.rs"], "I3: only its own staging folder"),
    ("remove_dir_all(", &[], "I3: nobody removes a folder with all it holds"),
    ("fs::rename(", &["src/storage/durable.rs", RESTORED, ANSWERED, METRICS], "I3: a rename takes a name away"),
    (
        "Put::Overwrite",
        &[
            "src/storage/store.rs",
            "src/ledger/chain.rs",
            "src/ledger/store_clock.rs",
            "src/access/chain.rs",
            "src/pipeline/index/refresh.rs",
        ],
        "I3: overwriting destroys; only what repeats the ledger, the access log or the segments is written again",
    ),
    (
        "PutMode::Overwrite",
        &["src/storage/store.rs", "src/storage/upload.rs", "src/storage/durable.rs"],
        "I3: overwriting destroys; only what repeats the ledger is written again",
    ),
    ("VacuumBuilder", &[], "I3: Delta's own deletions know neither gate nor ledger"),
    (".vacuum(", &[], "I3: Delta's own deletions know neither gate nor ledger"),
    ("cleanup_metadata(", &[], "I3: Delta's own deletions know neither gate nor ledger"),
    ("cleanup_expired_logs_for(", &[], "I3: Delta's own deletions know neither gate nor ledger"),
    // The gate and its proofs: only the stage that can prove makes one.
    (".erase(", &["src/pipeline/destroy.rs"], "I6: erasing stands between an intent and its outcome"),
    ("can_destroy(", &["src/gate/mod.rs", "src/pipeline/destroy.rs"], "I3: one step asks the gate"),
    ("Permit {", &["src/gate/"], "I3: only the gate gives leave"),
    ("ArchivedVerified::prove", &["src/pipeline/clear.rs"], "only clearing proves it"),
    ("DuplicateOf::prove", &["src/pipeline/clear.rs"], "only clearing proves it"),
    ("NeverCommitted::prove", &["src/pipeline/recover.rs"], "only recovery proves it"),
    ("Expired::prove", &["src/pipeline/expire.rs"], "only expiring proves it"),
    ("Superseded::prove", &["src/pipeline/expire.rs"], "only expiring proves it"),
    ("Erased::prove", &[], "no stage proves it yet"),
    ("ObsoleteLog::prove", &["src/pipeline/trim.rs"], "only trimming proves it"),
    // Time is an argument (I8).
    ("Timestamp::now(", &["src/clock.rs"], "I8: take `now`"),
    ("SystemTime::now(", &["src/clock.rs"], "I8: take `now`"),
    ("Instant::now(", &["src/clock.rs"], "I8: take `now`"),
    ("Zoned::now(", &["src/clock.rs"], "I8: take `now`"),
    // The library never prints.
    ("println!", &["src/cli/", "src/main.rs"], "only the command line prints"),
    ("print!", &["src/cli/", "src/main.rs"], "only the command line prints"),
    ("eprintln!", &["src/cli/", "src/main.rs"], "only the command line prints"),
    ("eprint!", &["src/cli/", "src/main.rs"], "only the command line prints"),
    ("io::stdout(", &["src/cli/", "src/main.rs"], "only the command line prints"),
    ("io::stderr(", &["src/cli/", "src/main.rs"], "only the command line prints"),
    // An exception says why: `#[expect(.., reason)]`.
    ("[allow(", &[], "write #[expect(.., reason = ..)]"),
];

/// A file is at most so long.
const LONGEST: usize = 450;

/// Longer files, and why nobody would find his way better in two.
const LONGER: &[(&str, &str)] =
    &[("src/record/token.rs", "one grammar, read from top to bottom, with its refusals under it")];

#[test]
fn modules_use_only_those_above_them() {
    assert_none(&out_of_order(&source()));
}

#[test]
fn each_dangerous_call_stands_where_it_may() {
    assert_none(&misplaced(&source()));
}

#[test]
fn files_open_with_what_they_are_for_and_end_in_sight() {
    assert_none(&unwieldy(&source()));
}

fn source() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = read_folder(root, "src");
    assert!(files.len() > 30, "src has more files than {}", files.len());
    files
}

#[track_caller]
fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// The modules of `lib.rs` in their order, and the module of each name that it re-exports.
fn order(files: &[SourceFile]) -> (Vec<String>, BTreeMap<String, String>) {
    let lib = files.iter().find(|file| file.path == "src/lib.rs").map_or("", |file| file.code.as_str());
    let mut modules = Vec::new();
    let mut exports = BTreeMap::new();
    for line in lib.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("pub mod ").or(line.strip_prefix("mod ")) {
            modules.push(name.trim_end_matches(';').to_owned());
        }
        if let Some((module, names)) = line.strip_prefix("pub use ").and_then(|line| line.split_once("::")) {
            exports.extend(words(names).map(|name| (name.to_owned(), module.to_owned())));
        }
    }
    (modules, exports)
}

/// Uses of a module that stands below the user's own in `lib.rs`.
fn out_of_order(files: &[SourceFile]) -> Vec<String> {
    let (modules, exports) = order(files);
    let place = |name: &str| modules.iter().position(|module| module == name);
    let mut found = BTreeSet::new();
    for file in files.iter().filter(|file| !matches!(file.path.as_str(), "src/lib.rs" | "src/main.rs")) {
        let Some(own) = place(file.module()) else {
            found.insert(format!("{}: lib.rs does not list its module", file.path));
            continue;
        };
        for (line, name) in crate_paths(file) {
            match place(exports.get(&name).unwrap_or(&name)) {
                Some(used) if used <= own => {}
                Some(_) => {
                    found.insert(format!(
                        "{}:{line}: {} stands above {name} and must not use it",
                        file.path, modules[own]
                    ));
                }
                None => {
                    found.insert(format!("{}:{line}: lib.rs knows no `{name}`", file.path));
                }
            }
        }
    }
    found.into_iter().collect()
}

/// Dangerous calls outside their places.
fn misplaced(files: &[SourceFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (call, places, reason) in ONLY_HERE {
            let may = places
                .iter()
                .any(|place| file.path == *place || (place.ends_with('/') && file.path.starts_with(place)));
            if !may {
                let lines = file.lines_with(call);
                found.extend(lines.into_iter().map(|line| format!("{}:{line}: `{call}`: {reason}", file.path)));
            }
        }
    }
    found
}

/// Files that are too long, or do not say what they are for; reasons that are no longer needed.
fn unwieldy(files: &[SourceFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let lines = file.text.lines().count();
        let excused = LONGER.iter().any(|(path, _)| *path == file.path);
        if lines > LONGEST && !excused {
            found.push(format!("{}: {lines} lines: split it, or say in LONGER why not", file.path));
        }
        if lines <= LONGEST && excused {
            found.push(format!("{}: {lines} lines: strike it from LONGER", file.path));
        }
        if !file.text.starts_with("//!") {
            found.push(format!("{}: open it with //!: what for, its invariants, what it never does", file.path));
        }
    }
    found
}

mod twins {
    use super::*;

    const LIB: &str = "//! The map.\npub mod error;\npub mod gate;\npub mod archive;\npub use error::{Error, Kind};\n";

    fn house(path: &str, text: &str) -> Vec<SourceFile> {
        vec![SourceFile::new("src/lib.rs", LIB), SourceFile::new(path, &format!("//! What for.\n{text}"))]
    }

    fn order_of(path: &str, text: &str) -> usize {
        out_of_order(&house(path, text)).len()
    }

    #[test]
    fn a_use_of_a_lower_module_is_seen_however_it_is_written() {
        assert_eq!(order_of("src/gate/mod.rs", "use crate::error::Error;\nuse crate::{Kind, gate::Permit};"), 0);
        for text in [
            "use crate::archive::Table;",
            "use crate::{error::Error, archive::{Table, Other}};",
            "use crate::{\n    archive,\n};",
            "fn f() { let x = crate::archive::open(); }",
            "pub use super::archive::Table;",
            "use crate::nowhere::X;",
        ] {
            assert_eq!(order_of("src/gate/mod.rs", text), 1, "{text}");
        }
        assert_eq!(order_of("src/gate/proof.rs", "use super::super::archive::Table;"), 1);
        assert_eq!(order_of("src/gate/proof.rs", "use super::archive::Table;"), 0, "a module of the gate's own");
        assert_eq!(order_of("src/error.rs", "use crate::gate::Permit;\nuse crate::archive::Table;"), 2);
        assert_eq!(order_of("src/archive/table.rs", "use crate::gate::Permit;"), 0);
        assert_eq!(order_of("src/unlisted.rs", ""), 1);
    }

    #[test]
    fn words_in_comments_texts_and_tests_are_no_uses() {
        for text in [
            "// use crate::archive::Table;",
            "/// [`crate::archive::Table`]\nfn f() {}",
            "/* /* nested */ crate::archive::x */",
            "const X: &str = \"crate::archive::x \\\" crate::archive::y\";",
            "const X: &str = r#\"crate::archive::\"x\"#;",
            "#[cfg(test)]\nmod tests {\n    use crate::archive::Table;\n    fn f() { { '}' } }\n}",
            "#[cfg(test)]\nuse crate::archive::{Table};",
        ] {
            assert_eq!(order_of("src/gate/mod.rs", text), 0, "{text}");
        }
        // What follows a literal or a test is read again.
        for text in [
            "const X: char = '\"';\nuse crate::archive::Table;",
            "fn f<'a>(x: &'a str) { crate::archive::open(x) }",
            "const X: &str = r\"\\\"; use crate::archive::Table;",
            "#[cfg(test)]\nmod tests {}\nuse crate::archive::Table;",
        ] {
            assert_eq!(order_of("src/gate/mod.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn each_call_is_seen_in_a_wrong_place_and_let_be_in_its_own() {
        for (call, places, _) in ONLY_HERE {
            let receiver = if call.starts_with('.') { "it" } else { "" };
            let text = format!("fn f() {{ {receiver}{call}y }}");
            let seen = misplaced(&house("src/archive/x.rs", &text));
            assert!(seen.iter().any(|finding| finding.contains(&format!("`{call}`"))), "{call} is not seen: {seen:?}");
            for place in *places {
                let path = if place.ends_with('/') { format!("{place}any.rs") } else { (*place).to_owned() };
                let seen = misplaced(&house(&path, &text));
                assert!(
                    !seen.iter().any(|finding| finding.contains(&format!("`{call}`"))),
                    "{call} in {path}: {seen:?}"
                );
            }
        }
    }

    #[test]
    fn a_word_within_a_longer_one_is_another_word() {
        let text = "fn eprintln_twice() { a.soft_delete(); sprintln!(); MyTimestamp::now(); }";
        assert_none(&misplaced(&house("src/archive/x.rs", text)));
    }

    #[test]
    fn long_files_and_silent_ones_are_seen() {
        let long = "fn f() {}\n".repeat(LONGEST);
        assert_eq!(unwieldy(&house("src/archive/x.rs", &long)).len(), 1);
        assert_eq!(unwieldy(&house("src/archive/x.rs", "fn f() {}\n")).len(), 0);
        assert_eq!(unwieldy(&[SourceFile::new("src/archive/x.rs", "fn f() {}\n")]).len(), 1);
        assert_eq!(unwieldy(&house("src/record/token.rs", "fn f() {}\n")).len(), 1, "an excuse that is not needed");
    }

    #[test]
    fn a_rule_that_names_a_missing_file_is_out_of_date() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let named =
            ONLY_HERE.iter().flat_map(|(_, places, _)| places.iter()).chain(LONGER.iter().map(|(path, _)| path));
        for path in named {
            assert!(root.join(path).exists(), "{path} is not there any more");
        }
    }
}
