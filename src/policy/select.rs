//! Who governs a table: exact beats glob, more literal characters beat fewer, and two rules never tie.
//!
//! Patterns are matched here and not by a glob crate, for two reasons: they must ignore case exactly as table names do,
//! and a tie must be found while the policy is read (do two globs have a table in common?), not when a table turns up
//! that both match.

use std::fmt;

use crate::names::TableName;
use crate::settings::diagnose::Problem;

/// A table's name as a rule writes it: exact or a glob, with or without workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    written: String,
    /// In lower case, as the names it is compared with; without a workspace: `*`.
    workspace: Vec<char>,
    table: Vec<char>,
}

impl Pattern {
    /// Parses `name` or `workspace/name`, either with `*` (any run of characters, none too) and `?` (any one), which
    /// never stand for the `/`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        const FORM: &str = "write a table's name or a glob, like \"SecurityEvent\", \"main/SecurityEvent\", \"AZFW*\"";
        let problem = |reason: &str, label: &str| {
            Problem::new(format!("`{text}` is no table's name: {reason}"), label.to_owned()).with_hint(FORM)
        };
        if text.is_empty() {
            return Err(Problem::new("an empty table name", "nothing in it").with_hint(FORM));
        }
        if text.contains(char::is_whitespace) {
            let hint = match text.trim() {
                trimmed if !trimmed.is_empty() && !trimmed.contains(char::is_whitespace) => {
                    format!("did you mean \"{trimmed}\"?")
                }
                _ => "table names hold no spaces; one [[table]] names one table or glob".into(),
            };
            return Err(problem("it has a space in it", "a space").with_hint(hint));
        }
        if text.contains(['[', ']', '{', '}', '!', '|', '^', '$', '+']) {
            return Err(problem("a glob knows `*` and `?` only", "not a glob of ours"));
        }
        if text.contains("**") {
            return Err(problem("`**` means nothing more than `*`", "two stars")
                .with_hint("write one `*`; for every workspace write no workspace at all"));
        }
        let (workspace, table) = text.split_once('/').unwrap_or(("*", text));
        if table.contains('/') {
            return Err(problem("it has more than one `/`", "workspace/name"));
        }
        for (part, what) in [(workspace, "the workspace"), (table, "the table")] {
            if !TableName::is_valid_part(&part.replace(['*', '?'], "x")) {
                return Err(problem(
                    &format!("{what} may have letters, digits, `_`, `-` and `.`, and not start with `.`"),
                    "not a name",
                ));
            }
            if part.to_lowercase().starts_with("_hf_") || part.eq_ignore_ascii_case("_delta_log") {
                return Err(problem("it is reserved for Holdfast's own", "reserved")
                    .with_hint("no log table can have this name"));
            }
        }
        let lower = |part: &str| part.to_lowercase().chars().collect();
        Ok(Pattern { written: text.to_owned(), workspace: lower(workspace), table: lower(table) })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// True if no wildcard is written. (Without a workspace a name still means every workspace.)
    pub fn is_exact(&self) -> bool {
        !self.written.contains(['*', '?'])
    }

    pub fn matches(&self, table: &TableName) -> bool {
        let chars = |part: &str| part.to_lowercase().chars().collect::<Vec<_>>();
        matches(&self.workspace, &chars(&table.workspace)) && matches(&self.table, &chars(&table.table))
    }

    /// The greater governs: exact before glob, then by the number of literal characters.
    pub fn precedence(&self) -> (bool, usize) {
        let literal = self.workspace.iter().chain(&self.table).filter(|c| !is_wildcard(**c)).count();
        (self.is_exact(), literal)
    }

    /// True if both mean the same tables in so many words.
    pub fn means_the_same(&self, other: &Pattern) -> bool {
        (&self.workspace, &self.table) == (&other.workspace, &other.table)
    }

    /// A table (in lower case) that both would govern with neither more literal; none if there can't be one.
    pub fn tie(&self, other: &Pattern) -> Option<String> {
        if self.precedence() != other.precedence() {
            return None;
        }
        let workspace = common(&self.workspace, &other.workspace)?;
        let table = common(&self.table, &other.table)?;
        Some(format!("{}/{table}", if workspace.is_empty() { "main" } else { &workspace }))
    }

    /// Tables that both match, if there can be any: one with something unlikely where a star stands, so that it is as
    /// much a stranger to other patterns as both allow, and one as short as they allow.
    pub(super) fn samples(&self, other: &Pattern) -> Vec<TableName> {
        let sample = |filled: bool| {
            let part = |own: &[char], others: &[char]| {
                let exact = |name: &[char]| !name.iter().any(|c| is_wildcard(*c));
                if exact(own) || exact(others) {
                    let (name, pattern) = if exact(own) { (own, others) } else { (others, own) };
                    return matches(pattern, name).then(|| name.iter().collect());
                }
                let fill = |c: &char| if *c == '*' { "*zq9z*".chars().collect() } else { vec![*c] };
                let with: Vec<char> = own.iter().flat_map(fill).collect();
                let name = if filled { common(&with, others) } else { None };
                let name = name.or_else(|| common(own, others))?;
                Some(if name.is_empty() { "zq9z".to_owned() } else { name })
            };
            let workspace = part(&self.workspace, &other.workspace)?;
            Some(TableName::new(workspace, part(&self.table, &other.table)?))
        };
        [true, false].into_iter().filter_map(sample).collect()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.written)
    }
}

fn is_wildcard(c: char) -> bool {
    matches!(c, '*' | '?')
}

/// Linear in practice: on a mismatch the last star takes one character more.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((star_p, star_n)) => {
                    star = Some((star_p, star_n + 1));
                    p = star_p + 1;
                    n = star_n + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// A name that both patterns match, as short as they allow; none if there is none.
fn common(one: &[char], other: &[char]) -> Option<String> {
    // Filled from the ends: `found[i][j]` is a name that matches both `one[i..]` and `other[j..]`.
    let mut found: Vec<Vec<Option<String>>> = vec![vec![None; other.len() + 1]; one.len() + 1];
    for i in (0..=one.len()).rev() {
        for j in (0..=other.len()).rev() {
            found[i][j] = match (one.get(i), other.get(j)) {
                (None, None) => Some(String::new()),
                // Either star may stand for nothing, or for the one character that the other side asks for next.
                (Some('*'), Some('*')) => found[i + 1][j].clone().or_else(|| found[i][j + 1].clone()),
                (Some('*'), None) => found[i + 1][j].clone(),
                (None, Some('*')) => found[i][j + 1].clone(),
                (Some('*'), Some(c)) => found[i + 1][j].clone().or_else(|| led_by(*c, &found[i][j + 1])),
                (Some(c), Some('*')) => found[i][j + 1].clone().or_else(|| led_by(*c, &found[i + 1][j])),
                (Some('?'), Some(c)) | (Some(c), Some('?')) => led_by(*c, &found[i + 1][j + 1]),
                (Some(a), Some(b)) if a == b => led_by(*a, &found[i + 1][j + 1]),
                _ => None,
            };
        }
    }
    found[0][0].take()
}

fn led_by(c: char, rest: &Option<String>) -> Option<String> {
    let shown = if c == '?' { 'x' } else { c };
    rest.as_ref().map(|rest| format!("{shown}{rest}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    fn name(text: &str) -> TableName {
        TableName::parse(text).unwrap()
    }

    #[test]
    fn a_name_without_workspace_means_every_workspace() {
        for (written, table, expected) in [
            ("SecurityEvent", "main/SecurityEvent", true),
            ("SecurityEvent", "cde/securityevent", true),
            ("main/SecurityEvent", "cde/SecurityEvent", false),
            ("MAIN/*", "main/Any", true),
            ("*Event", "main/SecurityEvent", true),
            ("*Event", "main/SecurityEvents", false),
            ("AZFW?etworkRule", "main/AZFWNetworkRule", true),
            ("AZFW?", "main/AZFW", false),
            ("m*/S*t*t", "main/SecurityEvent", true),
            ("ma*n", "main/Signin", false),
            ("My-Own.*", "main/my-own.Log_CL", true),
        ] {
            assert_eq!(pattern(written).matches(&name(table)), expected, "{written} {table}");
        }
    }

    #[test]
    fn exact_beats_glob_and_literal_beats_vague() {
        let order = ["*", "S*", "Sec?rity*", "*SecurityEvent", "Audit", "SecurityEvent", "main/SecurityEvent"];
        for pair in order.windows(2) {
            assert!(pattern(pair[0]).precedence() < pattern(pair[1]).precedence(), "{pair:?}");
        }
    }

    #[test]
    fn ties_are_found_by_example() {
        assert_eq!(pattern("AZFW*").tie(&pattern("*Rule")).unwrap(), "main/azfwrule");
        assert_eq!(pattern("a*/B*").tie(&pattern("*/?Bc")).unwrap(), "a/bbc");
        assert_eq!(pattern("a*").tie(&pattern("b*")), None);
        assert_eq!(pattern("a?").tie(&pattern("?b")).unwrap(), "main/ab");
        assert_eq!(pattern("x/a*").tie(&pattern("?/ab*")).unwrap(), "x/ab");
        assert_eq!(pattern("a*").tie(&pattern("ab*")), None, "one is more literal");
    }

    #[test]
    fn samples_are_matched_by_both() {
        let shown = |one: &str, other: &str| -> Vec<String> {
            let (one, other) = (pattern(one), pattern(other));
            let samples = one.samples(&other);
            assert!(samples.iter().all(|table| one.matches(table) && other.matches(table)), "{samples:?}");
            samples.iter().map(TableName::to_string).collect()
        };
        assert_eq!(shown("AZFW*", "*Rule"), ["zq9z/azfwzq9zrule", "zq9z/azfwrule"]);
        assert_eq!(shown("AZFW*", "main/AZFWDnsQuery"), ["main/azfwdnsquery", "main/azfwdnsquery"]);
        assert!(shown("a*", "b*").is_empty());
        assert_eq!(shown("*", "*")[1], "zq9z/zq9z");
    }

    /// The same cases in every run; PROPTEST_CASES draws more of them.
    fn seeded() -> ProptestConfig {
        ProptestConfig { rng_seed: RngSeed::Fixed(2), ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(seeded())]
        /// Against the plainest matcher there is.
        #[test]
        fn matching_is_what_globs_mean(pattern in "[ab*?]{0,7}", name in "[ab]{0,7}") {
            fn plain(pattern: &[char], name: &[char]) -> bool {
                match (pattern.split_first(), name.split_first()) {
                    (None, None) => true,
                    (Some(('*', rest)), tail) => {
                        plain(rest, name) || tail.is_some_and(|(_, tail)| plain(pattern, tail))
                    }
                    (Some((c, rest)), Some((first, tail))) => (*c == '?' || c == first) && plain(rest, tail),
                    _ => false,
                }
            }
            let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(matches(&pattern, &name), plain(&pattern, &name));
        }

        #[test]
        fn a_common_name_is_matched_by_both(one in "[ab*?]{0,6}", other in "[ab*?]{0,6}", name in "[ab]{0,6}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let (one, other, name) = (chars(&one), chars(&other), chars(&name));
            match common(&one, &other) {
                Some(example) => {
                    let example = chars(&example);
                    prop_assert!(matches(&one, &example) && matches(&other, &example));
                }
                None => prop_assert!(!(matches(&one, &name) && matches(&other, &name))),
            }
        }
    }
}
