//! Both ways against each other: the parser of the read-back, and the scanner and hasher of the way in.

use super::*;
use crate::record::digest::record_digest;
use crate::record::support::{compare, generate};
use crate::record::token::{MAX_DEPTH, members};
use proptest::prelude::*;

/// The digest of the way in; `None` if the scanner refuses the line.
fn on_the_way_in(record: &[u8]) -> Option<u128> {
    let mut found = Vec::new();
    members(record, &mut found).ok()?;
    Some(record_digest(record, &found))
}

#[test]
fn i9_both_ways_agree_on_the_corners() {
    for record in [
        "{}",
        " {\t} \r\n",
        r#"{"a":null,"b":[null,{"c":null}]}"#,
        r#"{"a":1,"a":1,"":{"":""}}"#,
        r#"{"a":[ ],"b":{ },"c":[ [ ] , { } ]}"#,
        r#"{"\ud800":"\udc00\ud800","\ud83d\ude00":"😀\ud83d\ude00\n"}"#,
        r#"{"a":-0,"b":1E+2,"c":0.10,"d":123456789012345678901234567890}"#,
        r#"{"a":"\"\\\/\b\f\n\r\t\u0000é"}"#,
    ] {
        let digest = digest_of_printed(record.as_bytes()).unwrap();
        assert_eq!(Some(digest), on_the_way_in(record.as_bytes()), "{record}");
    }
}

#[test]
fn what_is_no_record_is_refused_with_its_place() {
    for (line, offset, reason) in [
        ("", 0, "not a JSON object"),
        ("[]", 0, "not a JSON object"),
        ("{}{}", 2, "something follows the object"),
        ("{\"a\":1,}", 7, "string missing"),
        ("{\"a\" 1}", 5, "colon missing"),
        ("{\"a\":01}", 6, "comma missing"),
        ("{\"a\":-}", 6, "not a number"),
        ("{\"a\":1.}", 7, "not a number"),
        ("{\"a\":1e+}", 8, "not a number"),
        ("{\"a\":[1,]}", 8, "no value"),
        ("{\"a\":\"\\u+123\"}", 8, "four hex digits missing"),
        ("{\"a\":\"\\x\"}", 7, "unknown escape"),
        ("{\"a\":\"\u{0}\"}", 6, "control character"),
        ("{\"a\":\"\u{1f}\"}", 6, "control character"),
        ("{\"a\":\"", 6, "string without end"),
    ] {
        assert_eq!(digest_of_printed(line.as_bytes()), Err(Malformed { offset, reason }), "{line}");
    }
    assert_eq!(digest_of_printed(b"{\"\xFF\":1}"), Err(Malformed { offset: 2, reason: "not UTF-8" }));
}

#[test]
fn a_key_or_a_value_with_something_more_is_refused() {
    for key in ["a", "\"a", "\"a\"b", "\"a\" ", ""] {
        assert!(FieldReader::new(key.as_bytes()).is_err(), "{key}");
    }
    let mut reader = FieldReader::new(b"\"a\"").unwrap();
    for value in ["", " ", "1 2", "1,\"b\":2", "\"x\"y", "[1", "nulls"] {
        assert!(reader.field(value.as_bytes()).is_err(), "{value}");
    }
    assert_eq!(reader.field(b" null "), Ok(0));
    assert_eq!(reader.field(b" 1\t"), reader.field(b"1"));
    assert_eq!(reader.field(b"1").map(record_of_sum), digest_of_printed(b"{\"a\":1}"));
}

#[test]
fn a_string_ends_where_a_byte_by_byte_search_ends_it() {
    for length in 0..40 {
        for place in 0..=length {
            for byte in 0..=255 {
                let mut bytes = vec![b' ' + length as u8; length];
                bytes[place..].fill(byte);
                let wanted = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
                assert_eq!(plain_bytes(&bytes), wanted, "{bytes:?}");
            }
        }
    }
}

#[test]
fn both_ways_take_the_same_depth() {
    for levels in [MAX_DEPTH, MAX_DEPTH + 1] {
        let record = format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert_eq!(digest_of_printed(record.as_bytes()).ok(), on_the_way_in(record.as_bytes()));
    }
    let deepest = format!("{{\"a\":{}{}}}", "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1));
    digest_of_printed(deepest.as_bytes()).unwrap();
}

#[test]
fn i9_both_ways_agree_on_large_records() {
    for record in [generate::with_big_value(4 << 20), generate::wide(2000, 7)] {
        assert_eq!(digest_of_printed(&record).ok(), on_the_way_in(&record));
        assert_eq!(compare::same_record(&record, &record), Ok(()));
    }
}

proptest! {
    #[test]
    fn i9_both_ways_agree_on_generated_records(tree in generate::tree_on(generate::DAY), seeds in any::<[u64; 2]>()) {
        let (a, b) = (generate::render(&tree, seeds[0]), generate::render(&tree, seeds[1]));
        let digest = digest_of_printed(&a).unwrap();
        prop_assert_eq!(Some(digest), on_the_way_in(&a));
        prop_assert_eq!(Some(digest), on_the_way_in(&b));
        prop_assert_eq!(Ok(digest), digest_of_printed(&b));
    }

    #[test]
    fn i9_fields_one_by_one_give_the_record(tree in generate::tree_on(generate::DAY), seed in any::<u64>()) {
        let record = generate::render(&tree, seed);
        let mut found = Vec::new();
        members(&record, &mut found).unwrap();
        let fields = found.iter().map(|member| {
            let key = [b"\"", member.key.of(&record), b"\""].concat();
            FieldReader::new(&key).unwrap().field(member.value.of(&record)).unwrap()
        });
        let sum = fields.fold(0, u128::wrapping_add);
        prop_assert_eq!(sum_of_printed(&record), Ok(sum));
        prop_assert_eq!(Some(record_of_sum(sum)), on_the_way_in(&record));
    }

    #[test]
    fn i9_a_single_change_is_noticed_on_the_way_back(
        tree in generate::tree_on(generate::DAY), choice in any::<u64>(), seeds in any::<[u64; 2]>()
    ) {
        let original = generate::render(&tree, seeds[0]);
        let printed = generate::render(&generate::changed(&tree, choice), seeds[1]);
        let noticed = on_the_way_in(&original) != digest_of_printed(&printed).ok();
        prop_assert_eq!(noticed, compare::same_record(&original, &printed).is_err());
    }

    #[test]
    fn both_ways_accept_the_same_lines(record in generate::record_without_time(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut damaged = record;
        let place = place.index(damaged.len());
        damaged[place] = byte;
        prop_assert_eq!(digest_of_printed(&damaged).ok(), on_the_way_in(&damaged));
    }
}
