//! How spans are written: `730d`, `6w`, `18mo`, `7y`, `forever`, and nothing else.
//!
//! A near miss never becomes a span; it becomes a mistake that says what was probably meant. `18m` above all: in other
//! notations it means minutes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::settings::diagnose::Problem;

use super::span::Span;

/// No span but `forever` is longer, in years: beyond it, `forever` was meant.
const LONGEST_YEARS: u32 = 1000;

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Span::Days(days) => f.pad(&format!("{days}d")),
            Span::Weeks(weeks) => f.pad(&format!("{weeks}w")),
            Span::Months(months) => f.pad(&format!("{months}mo")),
            Span::Years(years) => f.pad(&format!("{years}y")),
            Span::Forever => f.pad("forever"),
        }
    }
}

impl FromStr for Span {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        if text == "forever" {
            return Ok(Span::Forever);
        }
        let (digits, unit) = split_number(text);
        let (per_year, make): (u32, fn(u32) -> Span) = match unit {
            "d" => (366, Span::Days),
            "w" => (53, Span::Weeks),
            "mo" => (12, Span::Months),
            "y" => (1, Span::Years),
            _ => return Err(misread(text)),
        };
        if digits.is_empty() {
            return Err(misread(text));
        }
        match digits.parse::<u32>() {
            Ok(number) if number <= per_year * LONGEST_YEARS => Ok(make(number)),
            _ => Err(Problem::new(format!("`{text}` is longer than {LONGEST_YEARS} years"), "too long")
                .with_hint("write \"forever\"")),
        }
    }
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Says what was probably meant by a text that is not a span.
fn misread(text: &str) -> Problem {
    const FORMS: &str = "a span is a whole number of days, weeks, months or years, like \"730d\", \"6w\", \"18mo\", \
                         \"7y\", or \"forever\"";
    let problem = |reason: String, label: &str| Problem::new(format!("`{text}` is not a span: {reason}"), label);
    let word = text.trim().to_lowercase();
    if word.is_empty() {
        return Problem::new("an empty span", "nothing in it").with_hint(FORMS);
    }
    if ["forever", "never", "infinite", "infinity", "unlimited", "always", "null", "none"].contains(&word.as_str()) {
        return problem("not one of its words".into(), "unknown word").with_hint("did you mean \"forever\"?");
    }
    if let Some(positive) = word.strip_prefix('-') {
        let hint = match meant(positive) {
            Some(span) if word != "-1" => format!("did you mean \"{span}\"?"),
            _ => "for no end write \"forever\"".into(),
        };
        return problem("it is negative".into(), "negative").with_hint(hint);
    }
    let Some(span) = meant(&word) else {
        let fraction = word.contains(['.', ',']) && word.starts_with(|c: char| c.is_ascii_digit());
        let reason = if fraction { "whole numbers only" } else { "no number with a unit" };
        return problem(reason.into(), if fraction { "a fraction" } else { "not understood" }).with_hint(FORMS);
    };
    let (_, unit) = split_number(&word);
    let (reason, label) = match unit.trim() {
        "" => ("it has no unit", "days, months, years?"),
        "m" if text.ends_with('m') => ("`m` means minutes", "minutes, or months?"),
        "h" | "s" | "min" | "ms" | "hours" | "hour" | "minutes" => ("policy counts whole days", "shorter than a day"),
        _ if word.contains(['.', ',']) => ("whole numbers only", "a fraction"),
        _ => ("it is written another way", "spelled otherwise"),
    };
    let also = if unit.trim() == "m" { "for months, as " } else { "" };
    problem(reason.into(), label).with_hint(format!("did you mean {also}\"{span}\"?"))
}

/// The span that a lower-case text in some other notation may stand for.
fn meant(word: &str) -> Option<Span> {
    // ISO 8601: p730d, p18m. Its minutes come after a `t`, which never parses here.
    if let Some(iso) = word.strip_prefix('p') {
        return meant(iso);
    }
    let word = word.strip_prefix('+').unwrap_or(word);
    let (digits, rest) = split_number(word);
    let number: u32 = digits.parse().ok()?;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        // Half a year is the one fraction with a plain answer.
        let months = number.checked_mul(12)?.checked_add(6)?;
        return matches!(fraction, "5y" | "5 years" | "5 year" | "5years").then_some(Span::Months(months));
    }
    let unit = rest.trim().trim_end_matches('.');
    let span = match unit {
        "" | "d" | "day" | "days" => Span::Days(number),
        "w" | "wk" | "week" | "weeks" => Span::Weeks(number),
        "m" | "mo" | "mon" | "mth" | "mths" | "month" | "months" => Span::Months(number),
        "y" | "yr" | "yrs" | "year" | "years" | "a" => Span::Years(number),
        "h" | "hour" | "hours" => Span::Days(number.div_ceil(24).max(1)),
        "s" | "min" | "ms" | "minutes" => Span::Days(1),
        _ => return years_and_months(number, unit),
    };
    Some(span)
}

/// `1y6mo`, also with words.
fn years_and_months(years: u32, rest: &str) -> Option<Span> {
    let rest = ["years", "year", "y"].iter().find_map(|unit| rest.strip_prefix(unit))?.trim();
    match meant(rest)? {
        Span::Months(months) => years.checked_mul(12)?.checked_add(months).map(Span::Months),
        _ => None,
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Whole days, weeks, months or years, or forever.",
            "pattern": "^([0-9]+(d|w|mo|y)|forever)$",
            "examples": ["730d", "6w", "18mo", "7y", "forever"],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn span(text: &str) -> Span {
        text.parse().unwrap()
    }

    #[test]
    fn reads_and_prints_its_own_form() {
        for text in ["0d", "1d", "730d", "6w", "18mo", "7y", "1000y", "forever"] {
            assert_eq!(span(text).to_string(), text);
            let json = serde_json::to_string(&span(text)).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Span>(&json).unwrap(), span(text));
        }
        assert_eq!(span("007d").to_string(), "7d");
    }

    #[test]
    fn says_what_was_probably_meant() {
        let hints = [
            ("18m", "did you mean for months, as \"18mo\"?"),
            ("730", "did you mean \"730d\"?"),
            ("-5d", "did you mean \"5d\"?"),
            ("-1", "for no end write \"forever\""),
            ("730 days", "did you mean \"730d\"?"),
            ("730D", "did you mean \"730d\"?"),
            ("18M", "did you mean for months, as \"18mo\"?"),
            ("2 years", "did you mean \"2y\"?"),
            ("1.5y", "did you mean \"18mo\"?"),
            ("1y6mo", "did you mean \"18mo\"?"),
            ("P18M", "did you mean \"18mo\"?"),
            ("+5d", "did you mean \"5d\"?"),
            (" 5d", "did you mean \"5d\"?"),
            ("36h", "did you mean \"2d\"?"),
            ("never", "did you mean \"forever\"?"),
            ("Forever", "did you mean \"forever\"?"),
            ("5000y", "write \"forever\""),
            ("99999999999999999999d", "write \"forever\""),
        ];
        for (text, hint) in hints {
            let problem = Span::from_str(text).unwrap_err();
            assert_eq!(problem.hint.as_deref(), Some(hint), "{text}: {problem}");
        }
        for text in ["", " ", "d", "mo", "5q", "1.25d", "٣d", "5d5d", "0x10d", "1e3d", "forever!", "5\u{a0}d\n"] {
            assert!(Span::from_str(text).is_err(), "{text}");
        }
    }

    /// The same cases in every run; PROPTEST_CASES draws more of them.
    fn seeded() -> ProptestConfig {
        ProptestConfig { rng_seed: RngSeed::Fixed(2), ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(seeded())]
        #[test]
        fn any_text_is_read_or_explained(text in "\\PC{0,12}") {
            match Span::from_str(&text) {
                Ok(span) => prop_assert_eq!(Span::from_str(&span.to_string()), Ok(span)),
                Err(problem) => prop_assert!(problem.hint.is_some()),
            }
        }
    }
}
