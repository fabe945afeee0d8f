//! Tests of timestamps as text.

use super::*;
use proptest::prelude::*;

fn back(moment: &Moment) -> String {
    let mut out = Vec::new();
    assert!(print(moment.micros, moment.tail.as_deref(), &mut out));
    String::from_utf8(out).unwrap()
}

fn instant_of(text: &str) -> i64 {
    // Not by jiff's instants: they end a day earlier.
    let civil: jiff::civil::DateTime = text.trim_end_matches('Z').parse().unwrap();
    let since = civil.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0));
    i64::try_from(since.as_micros()).unwrap()
}

/// Text, the instant it means, the tail, whether month and day can't be told apart.
const FORMS: &[(&str, &str, Option<&str>, bool)] = &[
    ("01/09/2007 09:41:00", "2007-01-09T09:41:00Z", Some("<0?/mdh"), true),
    ("1/9/2007 09:41:00", "2007-01-09T09:41:00Z", Some("<0?/h"), true),
    ("01/09/2007 09:41:00 AM", "2007-01-09T09:41:00Z", Some("<0?/mdhA"), true),
    ("1/9/2007 9:41:00 AM", "2007-01-09T09:41:00Z", Some("<0?/A"), true),
    ("1/9/2007 10:41:00 AM +01:00", "2007-01-09T09:41:00Z", Some("<0_+01:00/A"), true),
    ("2007-01-09T09:41:00", "2007-01-09T09:41:00Z", Some("<0?"), false),
    ("2007-01-09T09:41:00.22Z", "2007-01-09T09:41:00.22Z", Some("<2Z"), false),
    ("2007-01-09T09:41:00.6816663Z", "2007-01-09T09:41:00.681666Z", Some("3Z"), false),
    ("2007-01-09T09:41:00.535404056Z", "2007-01-09T09:41:00.535404Z", Some("056Z"), false),
    ("2007-01-09T09:41:00.992099+00:00", "2007-01-09T09:41:00.992099Z", Some("+00:00"), false),
    ("2007-01-09T11:41:00+02:00", "2007-01-09T09:41:00Z", Some("<0+02:00"), false),
    ("11/20/2020, 10:52:04.808 AM", "2020-11-20T10:52:04.808Z", Some("<3?/,A"), false),
    ("9/25/2020, 2:13:24.333 PM", "2020-09-25T14:13:24.333Z", Some("<3?/,A"), false),
    ("2025-01-15 09:35:20.456", "2025-01-15T09:35:20.456Z", Some("<3?s"), false),
    ("2019-03-19 13:11:23", "2019-03-19T13:11:23Z", Some("<0?s"), false),
    ("2024-07-03T18:00:00.0000000Z", "2024-07-03T18:00:00Z", Some("0Z"), false),
    ("2026-11-22T04:02:38.068864+00:00", "2026-11-22T04:02:38.068864Z", Some("+00:00"), false),
    // Not in the list of forms met, but of the same families.
    ("2026-11-22T04:02:38.068864Z", "2026-11-22T04:02:38.068864Z", None, false),
    ("2026-11-22t04:02:38.068864z", "2026-11-22T04:02:38.068864Z", Some("zt"), false),
    ("2026-11-22 04:02:38.068864 -0330", "2026-11-22T07:32:38.068864Z", Some("_-0330s"), false),
    ("2026-11-22T04:02:38.0-08", "2026-11-22T12:02:38Z", Some("<1-08"), false),
    ("2026-11-22T04:02:38-00:00", "2026-11-22T04:02:38Z", Some("<0-00:00"), false),
    ("2026-11-22T04:02:38.123456789012345 +23:59", "2026-11-21T04:03:38.123456Z", Some("789012345_+23:59"), false),
    ("12/12/2020 12:00:00 AM", "2020-12-12T00:00:00Z", Some("<0?/A"), false),
    (
        "12/31/2020, 12:00:00.123456789012345 pm +05:45",
        "2020-12-31T06:15:00.123456Z",
        Some("789012345_+05:45/,a"),
        false,
    ),
    ("1/09/2007 9:41:00", "2007-01-09T09:41:00Z", Some("<0?/d"), true),
    ("10/09/2007 19:41:00", "2007-10-09T19:41:00Z", Some("<0?/mdh"), true),
    ("10/10/2007 1:41:00Z", "2007-10-10T01:41:00Z", Some("<0Z/"), false),
    ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z", None, false),
    ("0001-01-01T00:00:00.000000Z", "0001-01-01T00:00:00Z", None, false),
    ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999Z", Some("9Z"), false),
];

#[test]
fn i9_every_form_means_its_instant_and_prints_back() {
    for &(text, instant, tail, ambiguous) in FORMS {
        let moment = parse(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(moment.micros, instant_of(instant), "{text}");
        assert_eq!(moment.tail.as_deref(), tail, "{text}");
        assert_eq!(moment.ambiguous, ambiguous, "{text}");
        assert_eq!(back(&moment), text);
    }
}

#[test]
fn i9_what_is_no_timestamp_or_cannot_be_given_back_is_refused() {
    for text in [
        "",
        "2024",
        "2024-07-03",
        "2024-07-03T18:00Z",
        "2024-07-03T18:00:00.Z",
        "2024-07-03T18:00:60Z",
        "2016-12-31T23:59:60Z",
        "2024-07-03T24:00:00Z",
        "2024-07-03T18:60:00Z",
        "2024-02-30T18:00:00Z",
        "2023-02-29T18:00:00Z",
        "1900-02-29T18:00:00Z",
        "2024-13-01T18:00:00Z",
        "2024-00-01T18:00:00Z",
        "2024-01-00T18:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "10000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "2024-07-03T18:00:00+24:00",
        "2024-07-03T18:00:00+02:60",
        "2024-07-03T18:00:00+2",
        "2024-07-03T18:00:00+020",
        "2024-07-03T18:00:00+02:0",
        "2024-07-03T18:00:00+02:",
        "2024-07-03T18:00:00  Z",
        "2024-07-03T18:00:00Z ",
        " 2024-07-03T18:00:00Z",
        "2024-07-03_18:00:00Z",
        "2024-7-3T18:00:00Z",
        "2024-07-03T1\u{0660}:00:00Z",
        "2024-07-03T18:00:00.1234567890123456Z",
        "2024-07-03T18:00:00,123Z",
        "25/09/2020 10:00:00",
        "0/9/2020 10:00:00",
        "001/9/2020 10:00:00",
        "1/9/20 10:00:00",
        "1/9/2020 24:00:00",
        "1/9/2020 13:00:00 PM",
        "1/9/2020 0:00:00 AM",
        "1/9/2020 1:00:00 Am",
        "1/9/2020 1:00:00AM",
        "1/9/2020,1:00:00 AM",
        "1/9/2020 10:00",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn i9_a_tail_that_would_drop_digits_prints_nothing() {
    let mut out = b"kept".to_vec();
    assert!(print(1_500_000, Some("<1Z"), &mut out));
    assert_eq!(out, b"kept1970-01-01T00:00:01.5Z");
    for (instant, tail) in [
        (1_500_000, Some("<0Z")),
        (1, Some("<5Z")),
        (0, Some("")),
        (0, Some("<6Z")),
        (0, Some("Zx")),
        (0, Some("Z/x")),
        (0, Some("Z/dm")),
        (0, Some("0123456789Z")),
        (0, Some("+9")),
        (FIRST, Some("<0-00:01")),
        (LAST, Some("+00:01")),
        (FIRST - 1, None),
        (LAST + 1, None),
        (i64::MIN, None),
        (i64::MAX, Some("+23:59")),
    ] {
        out.clear();
        assert!(!print(instant, tail, &mut out), "{instant} {tail:?}");
        assert!(out.is_empty());
    }
}

#[test]
fn a_day_begins_at_midnight_utc() {
    assert_eq!(day(0), 0);
    assert_eq!(day(-1), -1);
    assert_eq!(day(MICROS_PER_DAY - 1), 0);
    assert_eq!(day(MICROS_PER_DAY), 1);
}

#[test]
fn azure_columns_have_few_tails() {
    let tails: std::collections::HashSet<_> =
        (0..5000).map(|n| parse(&format!("2024-07-03T18:00:00.{:07}Z", n * 1237 % 9_999_991)).unwrap().tail).collect();
    assert_eq!(tails.len(), 10);
}

proptest! {
    #[test]
    fn the_common_form_is_read_and_written_like_any(micros in FIRST..=LAST, seventh in prop::option::of(b'0'..=b'9')) {
        let mut text = Stack::new();
        common(micros, seventh, &mut text);
        let (read, form, ambiguous) = read_iso(text.bytes()).unwrap();
        let wanted = Moment { micros, tail: form.tail(), ambiguous };
        prop_assert_eq!((read, read_common(text.bytes())), (micros, Some(wanted)));
        let printed = back(&wanted);
        prop_assert_eq!(printed.as_bytes(), text.bytes());
        let civil = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0).checked_add(jiff::SignedDuration::from_micros(micros)).unwrap();
        let seventh = seventh.map(char::from).map_or(String::new(), String::from);
        prop_assert_eq!(String::from_utf8_lossy(text.bytes()), format!("{civil:.6}{seventh}Z"));
    }

    #[test]
    fn i9_whatever_is_read_prints_back(
        text in r"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,16})?( ?(Z|z|[+-][0-2][0-9](:?[0-5][0-9])?))?"
    ) {
        if let Some(moment) = parse(&text) {
            prop_assert_eq!(back(&moment), text);
        }
    }

    #[test]
    fn i9_whatever_is_read_prints_back_us(
        text in r"[01]?[0-9]/[0-3]?[0-9]/[0-9]{4},? [0-2]?[0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,10})?( [AP]M| [ap]m)?( ?(Z|[+-][0-2][0-9](:?[0-5][0-9])?))?"
    ) {
        if let Some(moment) = parse(&text) {
            prop_assert_eq!(back(&moment), text);
        }
    }

    #[test]
    fn any_instant_prints_and_reads_in_any_form(micros in FIRST..=LAST, form in 0..FORMS.len()) {
        let tail = FORMS[form].2;
        let mut out = Vec::new();
        if print(micros, tail, &mut out) {
            let text = String::from_utf8(out).unwrap();
            let moment = parse(&text).unwrap();
            prop_assert_eq!(moment.micros, micros);
            prop_assert_eq!(back(&moment), text);
        }
    }

    #[test]
    fn instants_agree_with_another_reader(micros in FIRST..=LAST) {
        let mut out = Vec::new();
        prop_assert!(print(micros, None, &mut out));
        let text = String::from_utf8(out).unwrap();
        prop_assert_eq!(instant_of(&text), micros);
    }

    #[test]
    fn no_text_panics(text in any::<String>(), tail in "[<0-9_?Zz+:-]{0,12}[ts/mdh,Aa]{0,6}", micros in any::<i64>()) {
        parse(&text);
        print(micros, Some(&tail), &mut Vec::new());
        print(micros, Some(&text), &mut Vec::new());
    }
}
