//! Everything that is printed goes through here: results on stdout, everything else on stderr.

use std::io::{self, Write};

use serde::Serialize;

use super::args::Format;
use super::terminal::{Terminal, fold, fold_at, harmless};
use crate::error::{Error, Kind, Result};

/// Where a command's words go.
#[derive(Debug)]
pub struct Output {
    pub format: Format,
    /// Of stderr, where errors and notes go.
    pub color: bool,
    pub stdout: Terminal,
    stderr: Terminal,
}

impl Output {
    pub fn new(format: Format) -> Self {
        let (stdout, stderr) = (Terminal::stdout(), Terminal::stderr());
        Output { format, color: stderr.color, stdout, stderr }
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A line of the result, folded at a terminal's width. A reader that went away (`| head`) ends the command quietly.
    pub fn line(&mut self, line: impl AsRef<str>) -> Result<()> {
        for line in line.as_ref().split('\n') {
            for piece in folded(line, self.stdout.width) {
                self.bytes(format!("{piece}\n").as_bytes())?;
            }
        }
        Ok(())
    }

    /// Bytes of the result.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        io::stdout().lock().write_all(bytes).map_err(stdout_failed)
    }

    /// The result as JSON.
    pub fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(value)
            .map_err(|source| Error::from_source(Kind::Internal, "printing JSON", source))?;
        text.push(b'\n');
        self.bytes(&text)
    }

    /// A line beside the result, for people.
    pub fn note(&mut self, line: impl AsRef<str>) {
        for piece in folded(line.as_ref(), self.stderr.width) {
            // Nobody is left to tell if stderr is gone.
            let _ = writeln!(io::stderr().lock(), "{piece}");
        }
    }

    /// An error, whole: what was attempted, why it failed, what was lost, whether it can wait, what to type next.
    pub fn error(&mut self, error: &Error) {
        self.errors(std::slice::from_ref(error));
    }

    /// Several errors. What was lost and whether it can wait is said once, with the last one of which it is true.
    pub fn errors(&mut self, errors: &[Error]) {
        for (at, error) in errors.iter().enumerate() {
            if self.is_json() {
                self.note(in_json(error).to_string());
                continue;
            }
            let same = |other: &Error| other.lost() == error.lost() && other.can_wait() == error.can_wait();
            let is_last = !errors[at + 1..].iter().any(same);
            for line in in_words(error, is_last, self.stderr) {
                // Folded already, and coloured.
                let _ = writeln!(io::stderr().lock(), "{line}");
            }
        }
    }
}

/// What is said after the command line was refused: nothing else of Holdfast has begun.
pub fn nothing_done() {
    let _ = writeln!(io::stderr().lock(), "\nNothing was done, and nothing is lost.");
}

fn in_json(error: &Error) -> serde_json::Value {
    serde_json::json!({ "error": {
        "attempted": error.attempted(), "reason": error.reason(), "lost": error.lost(), "can_wait": error.can_wait(),
        "hint": error.next(), "exit_code": error.exit_code(),
    }})
}

/// An error as a terminal shows it. `whole`: with what was lost, and whether it can wait.
fn in_words(error: &Error, whole: bool, terminal: Terminal) -> Vec<String> {
    const HANG: usize = 8;
    let (red, bold, off) = if terminal.color { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    let width = terminal.width.unwrap_or(usize::MAX);
    let mut lines = Vec::new();
    for (at, piece) in fold_at(&format!("error: {}", harmless(error.attempted())), width, HANG).iter().enumerate() {
        lines.push(match piece.strip_prefix("error: ").filter(|_| at == 0) {
            Some(rest) => format!("{red}error{off}: {bold}{rest}{off}"),
            None => format!("{bold}{piece}{off}"),
        });
    }
    let mut said = vec![("why", error.reason())];
    if whole {
        said.push(("lost", error.lost()));
        // A bare yes needs no line.
        said.extend((error.can_wait() != "yes").then(|| ("wait", error.can_wait())));
    }
    said.push(("next", error.next()));
    for (label, text) in said {
        for line in text.lines().enumerate().map(|(at, line)| {
            let label = if at == 0 { format!("{label}:") } else { String::new() };
            format!("  {label:<6}{}", harmless(line))
        }) {
            lines.extend(fold_at(&line, width, HANG));
        }
    }
    lines
}

fn folded(line: &str, width: Option<usize>) -> Vec<String> {
    width.map_or_else(|| vec![line.to_owned()], |width| fold(line, width))
}

fn stdout_failed(source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    Error::from_source(Kind::Store, "writing to stdout", source)
}

/// Bytes for people: `1.2 GB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// A number with its digits grouped: `1,234,567`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 object`, `2 objects`.
pub fn count(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(value), if value == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind, as narrow, usual and wide terminals show it.
    #[test]
    fn errors_of_each_kind_say_everything_at_every_width() {
        let kinds = [
            Kind::Usage,
            Kind::Policy,
            Kind::Store,
            Kind::Object,
            Kind::Decision,
            Kind::Damaged,
            Kind::Incomplete,
            Kind::LeaseHeld,
            Kind::Fenced,
            Kind::Internal,
        ];
        for width in [60, 80, 120] {
            let terminal = Terminal { color: false, width: Some(width) };
            let shown: Vec<String> = kinds
                .iter()
                .map(|kind| {
                    let error = Error::new(
                        *kind,
                        format!("doing something that is {kind:?}"),
                        "it cannot be done, for a reason that takes a while to tell",
                    );
                    let lines = in_words(&error, true, terminal);
                    assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:?}");
                    format!("exit {}\n{}", error.exit_code(), lines.join("\n"))
                })
                .collect();
            insta::assert_snapshot!(format!("errors_at_{width}"), shown.join("\n\n"));
        }
    }

    #[test]
    fn colours_do_not_change_what_is_said() {
        let error = Error::new(Kind::Store, "reading a very long name of a file that lies somewhere deep down", "no")
            .with_hint("look");
        let plain = in_words(&error, true, Terminal { color: false, width: Some(40) });
        let shown = in_words(&error, true, Terminal { color: true, width: Some(40) });
        let bare: Vec<String> = shown
            .iter()
            .map(|line| {
                ["\x1b[1;31m", "\x1b[1m", "\x1b[0m"].iter().fold(line.clone(), |line, code| line.replace(code, ""))
            })
            .collect();
        assert_eq!(bare, plain);
        assert!(shown[0].starts_with("\x1b[1;31merror\x1b[0m: "));
    }

    #[test]
    fn of_many_errors_what_is_common_is_said_once() {
        let error = |what: &str| Error::new(Kind::Object, format!("reading {what}"), "it is broken");
        let value = in_json(&error("a"));
        for member in ["attempted", "reason", "lost", "can_wait", "hint", "exit_code"] {
            assert!(value["error"].get(member).is_some_and(|value| !value.is_null()), "{member}");
        }
        let short = in_words(&error("a"), false, Terminal::default());
        assert!(!short.iter().any(|line| line.contains("lost:")) && short.iter().any(|line| line.contains("next:")));
    }

    #[test]
    fn sizes_and_numbers_read_well() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_000), "1.0 kB");
        assert_eq!(size(999_960), "1.0 MB");
        assert_eq!(size(2_160_000_000), "2.2 GB");
        assert_eq!(number(0), "0");
        assert_eq!(number(999), "999");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(count(1, "object", "objects"), "1 object");
        assert_eq!(count(1_000, "object", "objects"), "1,000 objects");
    }
}
