//! The parts of what `--help` teaches: examples, remarks, exit codes.

use clap::Command;

/// What a command's help says beyond its options.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lesson {
    /// Lines as one types them, with a remark where there is one.
    pub examples: Vec<(String, Option<String>)>,
    pub remarks: Vec<String>,
    /// Each code with its meaning.
    pub exits: Vec<(String, String)>,
}

impl Lesson {
    pub fn of(command: &Command) -> Self {
        let text = command.get_after_long_help().or(command.get_after_help());
        Self::read(&text.map(ToString::to_string).unwrap_or_default())
    }

    fn read(text: &str) -> Self {
        let mut lesson = Lesson::default();
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
            if let Some(lines) = paragraph.strip_prefix("Examples:\n") {
                lesson.examples.extend(lines.lines().map(example));
            } else if let Some(codes) = paragraph.strip_prefix("Exit codes: ") {
                lesson.exits.extend(codes.trim_end_matches('.').split(" · ").map(exit));
            } else {
                lesson.remarks.push(paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        lesson
    }
}

/// A command, and after a wide gap what it is for.
fn example(line: &str) -> (String, Option<String>) {
    match line.trim().split_once("   ") {
        Some((command, remark)) => (command.trim().to_owned(), Some(remark.trim().to_owned())),
        None => (line.trim().to_owned(), None),
    }
}

fn exit(text: &str) -> (String, String) {
    let text = text.trim();
    match text.split_once(' ') {
        Some((code, meaning)) if code.parse::<u8>().is_ok() => (code.to_owned(), meaning.to_owned()),
        _ => (String::new(), text.to_owned()),
    }
}
