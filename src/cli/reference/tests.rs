//! Every command teaches, and what it teaches is true.

use std::collections::BTreeSet;

use clap::Parser;
use clap::ValueEnum;

use super::lesson::Lesson;
use super::*;

/// The words of a command as a shell would split them, up to where another command begins.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        let last = words.len() - 1;
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '|' | '>' | '<' | '&') => break,
            (None, ' ') if words[last].is_empty() => {}
            (None, ' ') => words.push(String::new()),
            _ => words[last].push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn every_command_has_examples_that_parse_and_says_how_it_exits() {
    let root = built();
    let mut tried = 0;
    for command in all(&root) {
        let name = typed(command);
        let lesson = Lesson::of(command);
        let own = lesson.examples.iter().filter(|(line, _)| line.starts_with(&name)).count();
        assert!(own > 0, "`{name} --help` has no example of its own under `Examples:`");
        assert!(!lesson.exits.is_empty(), "`{name} --help` names no `Exit codes:`");
        for (line, _) in &lesson.examples {
            if line.starts_with("holdfast") {
                let parsed = Args::try_parse_from(words(line));
                assert!(parsed.is_ok(), "an example of {name}: {line}\n{}", parsed.err().unwrap());
                tried += 1;
            }
        }
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{name}: {} has no help", arg.get_id());
        }
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn short_help_fits_a_screen_and_has_no_examples() {
    for command in all(&built()) {
        let short = command.clone().render_help().to_string();
        assert!(!short.contains("Examples:"), "{}", typed(command));
        assert!(short.lines().count() <= 50, "{}: {} lines", typed(command), short.lines().count());
    }
}

/// `-h` of every command on terminals of three widths (of which the help uses 100 columns at most), and `--help` on the usual.
#[test]
fn help_reads_well_at_every_width() {
    let shown = |width: usize, is_long: bool| {
        let mut root = Args::command().term_width(width.min(100)).disable_help_subcommand(true);
        root.build();
        let help = |command: &&Command| {
            let mut command = (*command).clone();
            let help = if is_long { command.render_long_help() } else { command.render_help() };
            // clap pads empty lines.
            let help: Vec<String> = help.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
            format!("$ {} {}\n{}", typed(&command), if is_long { "--help" } else { "-h" }, help.join("\n").trim_end())
        };
        all(&root).iter().map(help).collect::<Vec<_>>().join("\n\n")
    };
    for width in [60, 80, 120] {
        insta::assert_snapshot!(format!("short_help_at_{width}"), shown(width, false));
    }
    insta::assert_snapshot!("long_help_at_80", shown(80, true));
}

#[test]
fn completions_of_every_shell_name_every_command() {
    let names: BTreeSet<String> = all(&built()).iter().skip(1).map(|command| command.get_name().to_owned()).collect();
    for shell in Shell::value_variants() {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut Args::command(), "holdfast", &mut script);
        let script = String::from_utf8(script).unwrap();
        for name in &names {
            assert!(script.contains(name.as_str()), "{shell}: {name}");
        }
    }
}

#[test]
fn each_command_has_a_page_with_its_parts() {
    for command in all(&built()) {
        let page = String::from_utf8(roff::page(command).unwrap()).unwrap();
        for part in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "\"EXIT STATUS\""] {
            assert!(page.contains(&format!(".SH {part}")), "{}: {part}\n{page}", typed(command));
        }
        assert!(page.starts_with(".ie"), "{}", &page[..80]);
    }
}
