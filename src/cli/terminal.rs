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

/// A line in pieces of at most `width` columns, broken between words. The last cell of a table's row, or what follows a
/// label, goes on below itself where that leaves room, else on a line of its own. A word is never cut: names and paths can
/// be copied.
pub fn fold(line: &str, width: usize) -> Vec<String> {
    let start = line.len() - line.trim_start_matches(' ').len();
    match last_column(line, start) {
        Some(last) if last + ROOM <= width => fold_from(line, width, last, usize::MAX),
        Some(last) => fold_from(line, width, start + 4, last),
        None => fold_from(line, width, start + 2, usize::MAX),
    }
}

/// As [`fold`], with what continues the line indented by `hang`.
pub fn fold_at(line: &str, width: usize, hang: usize) -> Vec<String> {
    fold_from(line, width, hang, usize::MAX)
}

/// `alone`: what begins at this column of the line gets a line of its own, if nothing was broken before it.
fn fold_from(line: &str, width: usize, hang: usize, alone: usize) -> Vec<String> {
    if width < NARROWEST || line.chars().count() <= width || line.contains(['\n', '\x1b']) {
        return vec![line.to_owned()];
    }
    let (mut pieces, mut piece, mut at) = (Vec::new(), String::new(), 0);
    for (gap, word) in words(line) {
        let (gap_width, word_width) = (gap.chars().count(), word.chars().count());
        let is_full = piece.chars().count() + gap_width + word_width > width;
        if at > 0 && (is_full || (pieces.is_empty() && at + gap_width == alone)) {
            pieces.push(std::mem::take(&mut piece));
            piece.extend(std::iter::repeat_n(' ', hang));
        } else {
            piece.push_str(gap);
        }
        piece.push_str(word);
        at += gap_width + word_width;
    }
    pieces.push(piece);
    pieces
}

/// Control characters written out: `\n`, `\u{1b}`; also those that turn the direction of text. For whatever others wrote:
/// a log, a query, a name.
pub fn harmless(text: &str) -> String {
    let odd = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(odd) {
        return text.to_owned();
    }
    text.chars().map(|c| if odd(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
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

/// Where the last column begins, a column being what follows two spaces or more within the line.
fn last_column(line: &str, start: usize) -> Option<usize> {
    let (mut at, mut last) = (0, None);
    for (gap, word) in words(line) {
        at += gap.chars().count();
        if gap.len() >= 2 && at > start {
            last = Some(at);
        }
        at += word.chars().count();
    }
    last
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
    fn what_others_wrote_moves_no_cursor() {
        assert_eq!(harmless("plain, ünïcode"), "plain, ünïcode");
        assert_eq!(harmless("a\x1b[2Jb\n\u{202e}c"), "a\\u{1b}[2Jb\\n\\u{202e}c");
    }

    /// Many columns: each row on as many lines as it takes, the last cell on one of its own.
    #[test]
    fn a_wide_table_goes_on_below() {
        let rows = [
            "seq  at                    run           kind",
            "390  2026-03-15T02:00:00Z  8a220b651caa  run_ended    exit 0: 0 batches, 0 rows, 0 cleared, not of everything",
        ];
        let shown: Vec<String> = rows.iter().flat_map(|row| fold(row, 60)).collect();
        insta::assert_snapshot!(shown.join("\n"), @"
    seq  at                    run           kind
    390  2026-03-15T02:00:00Z  8a220b651caa  run_ended
        exit 0: 0 batches, 0 rows, 0 cleared, not of everything
    ");
        let row = "  main/HomegrownAppAudit  2024-03-01 … 2024-03-03     3    90  10.9 kB  defaults.toml:5  for ever";
        insta::assert_snapshot!(fold(row, 60).join("\n"), @"
    main/HomegrownAppAudit  2024-03-01 … 2024-03-03     3
        90  10.9 kB  defaults.toml:5  for ever
    ");
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
