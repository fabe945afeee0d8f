//! Everything that is printed goes through here: results on stdout, everything else on stderr.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::args::Format;
use crate::error::{Error, Kind, Result};

/// Where a command's words go.
#[derive(Debug)]
pub struct Output {
    pub format: Format,
    pub color: bool,
}

impl Output {
    pub fn new(format: Format) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Output { format, color: io::stderr().is_terminal() && io::stdout().is_terminal() && !plain }
    }

    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A line of the result. A reader that went away (`| head`) ends the command quietly.
    pub fn line(&mut self, line: impl AsRef<str>) -> Result<()> {
        self.bytes(format!("{}\n", line.as_ref()).as_bytes())
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
        // Nobody is left to tell if stderr is gone.
        let _ = writeln!(io::stderr().lock(), "{}", line.as_ref());
    }

    /// An error, whole: what was attempted, why it failed, what to do.
    pub fn error(&mut self, error: &Error) {
        if self.is_json() {
            let shown = serde_json::json!({ "error": {
                "attempted": error.attempted(), "reason": error.reason(), "hint": error.hint(), "exit_code": error.exit_code(),
            }});
            self.note(shown.to_string());
            return;
        }
        let (red, bold, off) = if self.color { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        self.note(format!("{red}error{off}: {bold}{}{off}", error.attempted()));
        self.note(format!("  why:  {}", error.reason()));
        if let Some(hint) = error.hint() {
            self.note(format!("  next: {hint}"));
        }
    }
}

fn stdout_failed(source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(0);
    }
    Error::from_source(Kind::Store, "writing to stdout", source)
}

/// How many characters a line of stdout may have; none: it is no terminal, and lines are as long as they are.
pub fn width() -> Option<usize> {
    io::stdout().is_terminal().then(|| terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0)))
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
