//! All commands on one Markdown page: docs/CLI.md.

use clap::{Arg, Command};

use super::lesson::Lesson;
use super::{all, typed};

const HEAD: &str = "# Command line\n\n\
    Made from the definitions that parse it (`holdfast man --format markdown`); a test keeps it so. Read it in a terminal \
    with `holdfast COMMAND --help`, or as man pages: `holdfast man --dir ~/.local/share/man/man1`. Words are those of \
    [GLOSSARY.md](GLOSSARY.md), exit codes are explained in [OPERATIONS.md](OPERATIONS.md#exit-codes).\n";

/// The whole page.
pub fn page(command: &Command) -> String {
    let mut page = HEAD.to_owned();
    page += "\n| command | |\n|---|---|\n";
    let commands = all(command);
    for command in commands.iter().skip(1) {
        let (typed, about) = (typed(command), about(command));
        page += &format!("| [`{typed}`](#{}) | {} |\n", typed.replace(' ', "-"), cell(&about));
    }
    for command in &commands {
        page += &section(command, commands[0]);
    }
    page
}

fn section(command: &Command, root: &Command) -> String {
    let mut text = format!("\n## {}\n{}.\n", typed(command), about(command).trim_end_matches('.'));
    if let Some(long) = command.get_long_about() {
        // Its first line is the one above.
        let long = long.to_string();
        if let Some((_, rest)) = long.split_once("\n\n") {
            text += &format!("\n{}\n", rest.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    let usage = command.clone().render_usage().to_string();
    text += &format!("\n```\n{}\n```\n", usage.trim_start_matches("Usage: "));
    let is_root = std::ptr::eq(command, root);
    let options: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version"))
        .filter(|arg| is_root || !arg.is_global_set())
        .collect();
    if !options.is_empty() {
        text += if is_root { "\nOptions of every command:\n\n" } else { "\n" };
        text += "| option | |\n|---|---|\n";
        for arg in options {
            text += &format!("| `{}` | {} |\n", spelled(arg).replace('|', "\\|"), cell(&meaning(arg)));
        }
    }
    let Lesson { examples, remarks, exits } = Lesson::of(command);
    if !examples.is_empty() {
        text += "\n```\n";
        let width = examples.iter().filter(|(_, remark)| remark.is_some()).map(|(line, _)| line.chars().count()).max();
        for (line, remark) in &examples {
            text += &match remark {
                Some(remark) => format!("{line:width$}    # {remark}\n", width = width.unwrap_or(0)),
                None => format!("{line}\n"),
            };
        }
        text += "```\n";
    }
    for remark in &remarks {
        text += &format!("\n{remark}\n");
    }
    if !exits.is_empty() {
        let exits: Vec<String> = exits
            .iter()
            .map(|(code, meaning)| if code.is_empty() { meaning.clone() } else { format!("**{code}** {meaning}") })
            .collect();
        text += &format!("\nExit codes: {}.\n", exits.join(" · "));
    }
    text
}

pub fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// How an option or argument is written.
pub fn spelled(arg: &Arg) -> String {
    let value = arg.get_value_names().map(|names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    let takes = arg.get_num_args().is_some_and(|range| range.takes_values());
    let value = value.filter(|_| takes).unwrap_or_default();
    let names = [arg.get_short().map(|short| format!("-{short}")), arg.get_long().map(|long| format!("--{long}"))];
    let names: Vec<String> = names.into_iter().flatten().collect();
    match (names.is_empty(), value.is_empty()) {
        (true, _) if arg.is_required_set() => format!("<{value}>"),
        (true, _) => format!("[{value}]"),
        (false, true) => names.join(", "),
        (false, false) => format!("{} <{value}>", names.join(", ")),
    }
}

/// What it is for, its default and what it can be.
pub fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let mut text = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let takes = arg.get_num_args().is_some_and(|range| range.takes_values());
    let possible = arg.get_possible_values();
    if takes && !possible.is_empty() {
        let possible: Vec<&str> = possible.iter().map(clap::builder::PossibleValue::get_name).collect();
        text += &format!(" [one of: {}]", possible.join(", "));
    }
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if takes && !defaults.is_empty() {
        text += &format!(" [default: {}]", defaults.join(", "));
    }
    if arg.is_required_set() && arg.get_long().is_some() {
        text += " [required]";
    }
    text
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}
