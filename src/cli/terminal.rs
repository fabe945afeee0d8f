//! What a stream can show: colours or not, and how wide. Each stream for itself: errors keep their colours when only the
//! result is piped. Lines for people are folded at a terminal's width; what goes into a file or pipe never is.

use std::ffi::OsString;
use std::io::{self, IsTerminal};

/// One stream, as far as it matters for what is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminal {
    pub color: bool,
    /// In columns; none where it is no terminal.
    pub width: Option<usize>,
}

impl Terminal {
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        Self::new(
            stdout.is_terminal(),
            || columns(terminal_size::terminal_size_of(&stdout)),
            |name| std::env::var_os(name),
        )
    }

    pub fn stderr() -> Self {
        let stderr = io::stderr();
        Self::new(
            stderr.is_terminal(),
            || columns(terminal_size::terminal_size_of(&stderr)),
            |name| std::env::var_os(name),
        )
    }

    fn new(
        is_terminal: bool,
        columns: impl Fn() -> Option<usize>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let is_set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let color = if is_set("NO_COLOR").is_some() {
            false
        } else if is_set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
            true
        } else {
            is_terminal
                && is_set("TERM").is_none_or(|term| term != "dumb")
                && is_set("CLICOLOR").is_none_or(|value| value != "0")
        };
        Terminal { color, width: if is_terminal { columns() } else { None } }
    }
}

/// A terminal that does not know its width says 0.
fn columns(size: Option<(terminal_size::Width, terminal_size::Height)>) -> Option<usize> {
    size.map(|(terminal_size::Width(columns), _)| usize::from(columns)).filter(|columns| *columns > 0)
}

/// Below this a terminal's own way to fold is no worse.
const NARROWEST: usize = 30;

/// What is left of a line for the text that continues it.
const ROOM: usize = 24;

/// A line in pieces of at most `width` columns, broken between words. What continues a cell of a table, or what follows a
/// label, stands below it; else it is indented. A word is never cut: names and paths can be copied.
pub fn fold(line: &str, width: usize) -> Vec<String> {
    let hang = hang(line, width);
    fold_at(line, width, hang)
}

/// As [`fold`], with what continues the line indented by `hang`.
pub fn fold_at(line: &str, width: usize, hang: usize) -> Vec<String> {
    if width < NARROWEST || line.chars().count() <= width || line.contains(['\n', '\x1b']) {
        return vec![line.to_owned()];
    }
    let (mut pieces, mut piece, mut is_fresh) = (Vec::new(), String::new(), true);
    for (gap, word) in words(line) {
        let (gap_width, word_width) = (gap.chars().count(), word.chars().count());
        if !is_fresh && piece.chars().count() + gap_width + word_width > width {
            pieces.push(std::mem::take(&mut piece));
            piece.extend(std::iter::repeat_n(' ', hang));
        } else {
            piece.push_str(gap);
        }
        piece.push_str(word);
        is_fresh = false;
    }
    pieces.push(piece);
    pieces
}

/// Each word with the spaces before it.
fn words(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let text = rest.trim_start_matches(' ');
        if text.is_empty() {
            return None;
        }
        let gap = &rest[..rest.len() - text.len()];
        let end = text.find(' ').unwrap_or(text.len());
        rest = &text[end..];
        Some((gap, &text[..end]))
    })
}

/// Where what continues a line begins: at its last column that leaves room, a column being what follows two spaces or
/// more; else a little further in than the line.
fn hang(line: &str, width: usize) -> usize {
    let start = line.len() - line.trim_start_matches(' ').len();
    let (mut at, mut last) = (0, None);
    for (gap, word) in words(line) {
        at += gap.chars().count();
        if gap.len() >= 2 && at > start && at + ROOM <= width {
            last = Some(at);
        }
        at += word.chars().count();
    }
    last.unwrap_or(start + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_unless_somebody_says_otherwise() {
        let color = |is_terminal, set: &[(&str, &str)]| {
            let variable =
                |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value));
            Terminal::new(is_terminal, || Some(80), variable).color
        };
        assert!(color(true, &[]) && !color(false, &[]));
        assert!(!color(true, &[("NO_COLOR", "1")]) && color(true, &[("NO_COLOR", "")]));
        assert!(color(false, &[("CLICOLOR_FORCE", "1")]) && !color(false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!color(true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(!color(true, &[("TERM", "dumb")]) && color(true, &[("TERM", "xterm")]));
        assert!(!color(true, &[("CLICOLOR", "0")]));
    }

    #[test]
    fn only_a_terminal_has_a_width() {
        assert_eq!(Terminal::new(true, || Some(80), |_| None).width, Some(80));
        assert_eq!(Terminal::new(true, || None, |_| None).width, None);
        assert_eq!(Terminal::new(false, || Some(80), |_| None).width, None);
    }

    #[test]
    fn a_table_continues_in_its_last_column() {
        let line =
            "main/SecurityEvent  12  2024-03-01  no rule names it, and nothing is known of it that would let it go";
        insta::assert_snapshot!(fold(line, 60).join("\n"), @"
    main/SecurityEvent  12  2024-03-01  no rule names it, and
                                        nothing is known of it
                                        that would let it go
    ");
        insta::assert_snapshot!(fold(line, 80).join("\n"), @"
    main/SecurityEvent  12  2024-03-01  no rule names it, and nothing is known of it
                                        that would let it go
    ");
        assert_eq!(fold(line, 120), [line]);
    }

    #[test]
    fn no_word_is_cut_and_none_is_lost() {
        let line = "kept: s3://a-bucket-with-a-long-name/and/a/very/long/path/that/does/not/fit.parquet (a reason, said at length)";
        for width in [30, 40, 60, 80] {
            let pieces = fold(line, width);
            let longest = line.split(' ').map(str::len).max().unwrap();
            assert!(pieces.iter().all(|piece| piece.len() <= width.max(longest + 8)), "{pieces:?}");
            assert_eq!(
                pieces.join(" ").split_whitespace().collect::<Vec<_>>(),
                line.split_whitespace().collect::<Vec<_>>()
            );
        }
        assert_eq!(fold(line, 10), [line], "too narrow for anything");
        assert_eq!(fold("", 60), [""]);
    }
}
