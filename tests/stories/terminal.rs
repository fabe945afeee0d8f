//! What a person sees: on real pseudo-terminals of several widths, and in pipes. Python makes the terminals.

use std::path::Path;
use std::process::{Command, Output};

use crate::site::Site;

/// Runs a command on a terminal of so many columns; none without Python, with a notice.
fn on_terminal(site: &Site, columns: u32, streams: &str, arguments: &[&str], set: &[(&str, &str)]) -> Option<Output> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/terminal.py");
    let done = Command::new("python3")
        .arg(script)
        .args([&columns.to_string(), streams, env!("CARGO_BIN_EXE_holdfast")])
        .args(arguments)
        .current_dir(site.path())
        .env_remove("HOLDFAST_CONFIG")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env("TERM", "xterm-256color")
        .envs(set.iter().copied())
        .output();
    if done.is_err() {
        eprintln!("SKIPPED: python3 is not here");
    }
    done.ok()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A failure that is the same each time.
const WRONG: [&str; 5] = ["restore", "--table", "Nope", "--output", "a.gz"];

fn site() -> Site {
    let site = Site::new();
    site.write("Signin/2024/03/01/10/a.json", "{\"TimeGenerated\":\"2024-03-01T10:00:00Z\"}\n");
    site.run_well("2024-03-05T00:00:00Z");
    // Writes the settings.
    site.holdfast(&["check"]);
    site
}

#[test]
fn colours_are_on_terminals_only_each_stream_for_itself() {
    let site = site();
    let colored = |streams: &str, set: &[(&str, &str)]| {
        let shown = on_terminal(&site, 80, streams, &WRONG, set)?;
        assert_eq!(shown.status.code(), Some(2));
        Some(text(&shown).contains('\x1b'))
    };
    let Some(both) = colored("both", &[]) else { return };
    assert!(both);
    assert_eq!(colored("err", &[]), Some(true), "only stdout is piped");
    assert_eq!(colored("both", &[("NO_COLOR", "1")]), Some(false));
    assert_eq!(colored("both", &[("TERM", "dumb")]), Some(false));
    // In pipes: none, unless somebody forces them.
    let (_, _, said) = site.holdfast(&WRONG);
    assert!(!said.contains('\x1b'), "{said}");
    let forced = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(WRONG)
        .current_dir(site.path())
        .env_remove("NO_COLOR")
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    assert!(String::from_utf8(forced.stderr).unwrap().contains("\x1b[1;31merror"));
}

#[test]
fn lines_are_folded_at_the_terminals_width_and_never_in_a_pipe() {
    let site = site();
    let longest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
    let plain = [("NO_COLOR", "1")];
    for columns in [60, 80, 120] {
        for arguments in [&WRONG[..], &["status"], &["plan"], &["ledger", "list"], &["-h"], &["restore", "--help"]] {
            let Some(shown) = on_terminal(&site, columns, "both", arguments, &plain) else { return };
            let shown = text(&shown);
            // Words are never cut: a line may be longer that holds nothing but one.
            let too_long = |line: &&str| line.chars().count() > columns as usize && line.trim().contains(' ');
            assert_eq!(
                shown.lines().filter(too_long).collect::<Vec<_>>(),
                Vec::<&str>::new(),
                "{arguments:?} at {columns}"
            );
        }
    }
    let (_, out, _) = site.holdfast(&["ledger", "list"]);
    assert!(longest(&out) > 80, "{out}");
    let Some(narrow) = on_terminal(&site, 60, "both", &WRONG, &plain) else { return };
    insta::assert_snapshot!(text(&narrow), @"
    error: restoring main/Nope
      why:  the archive holds no such table
      lost: nothing; nothing was done, and it can wait
      next: did you mean `main/Signin`? The archive holds:
            main/Signin
    ");
}
