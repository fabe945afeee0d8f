//! What must hold of any bytes, for the fuzzer (`fuzz/`) and for `cargo test`, which tries the committed corpus.
//!
//! The judges are serde_json, a loop over bytes, and each reader's own printer. Two things are known to differ: nesting
//! beyond 512 levels is refused here and ignored there; and a text with an unpaired surrogate is no `String` there, so
//! that texts are compared as the bytes of their WTF-8.

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::digest::{digest_of_fields, record_digest};
use super::field::FieldHasher;
use super::reread::digest_of_printed;
use super::text::{escape_into, plain_run, plain_run_by_words, to_wtf8, unescape};
use super::token::{Member, ValueKind, members, members_learned};
use super::{LearnedKeys, number as numbers, time as times};

/// What is accepted is what serde_json accepts, with the same keys, kinds and texts; both ways to a digest agree.
pub fn decode(bytes: &[u8]) {
    let mut found = Vec::new();
    let accepted = members(bytes, &mut found);
    learned_is_the_same(bytes, &found, accepted.is_ok());
    let printed = digest_of_printed(bytes);
    assert_eq!(accepted.is_ok(), printed.is_ok(), "the read-back disagrees: {accepted:?} and {printed:?}");
    match accepted {
        // serde_json ignores what lies so deep.
        Err(refused) if refused.reason.contains("deeper") => {}
        Err(refused) => assert!(keys(bytes).is_none(), "only serde_json accepts it: {refused}"),
        Ok(()) => {
            let theirs = keys(bytes).unwrap_or_else(|| panic!("serde_json refuses it"));
            let ours: Vec<Vec<u8>> = found.iter().map(|member| to_wtf8(member.key.of(bytes)).into_owned()).collect();
            assert_eq!(ours, theirs, "keys");
            found.iter().for_each(|member| whole_member(bytes, member));
            let digest = record_digest(bytes, &found);
            assert_eq!(printed, Ok(digest), "the two ways to a digest");
            assert_eq!(by_fields(bytes, &found), digest, "field by field");
        }
    }
}

/// Whatever was learned before, the same is read.
fn learned_is_the_same(bytes: &[u8], found: &[Member], accepted: bool) {
    let (mut learned, mut again) = (LearnedKeys::default(), Vec::new());
    for _ in 0..3 {
        let read = members_learned(bytes, &mut learned, &mut again);
        assert_eq!(read.is_ok(), accepted, "learned keys change what is accepted");
        assert_eq!(again, found, "learned keys change what is read");
        if accepted {
            assert_eq!(learned.numbers().len(), found.len());
        }
    }
}

/// The keys that serde_json reads, in their order, as WTF-8; none if the bytes are no object to it.
fn keys(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    struct Keys;
    impl<'de> Visitor<'de> for Keys {
        type Value = Vec<Vec<u8>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut keys = Vec::new();
            while let Some((Wtf8(key), IgnoredAny)) = map.next_entry()? {
                keys.push(key);
            }
            Ok(keys)
        }
    }
    // Where it gives bytes serde_json forgives what it does not where it makes text, or nothing, of them.
    serde_json::from_str::<IgnoredAny>(std::str::from_utf8(bytes).ok()?).ok()?;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let keys = reader.deserialize_map(Keys).ok()?;
    reader.end().ok()?;
    Some(keys)
}

/// A JSON string as the bytes of its UTF-16 units in WTF-8, which serde_json gives to those who ask for bytes.
struct Wtf8(Vec<u8>);

impl<'de> serde::Deserialize<'de> for Wtf8 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Wtf8;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Wtf8, E> {
                Ok(Wtf8(bytes.to_vec()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Wtf8, E> {
                Ok(Wtf8(text.as_bytes().to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

fn whole_member(record: &[u8], member: &Member) {
    let (key, value) = (member.key.of(record), member.value.of(record));
    assert_eq!(member.key_escaped, key.contains(&b'\\'));
    assert_eq!(member.value_escaped, value.contains(&b'\\'));
    assert!(serde_json::from_slice::<IgnoredAny>(value).is_ok(), "a value that is no whole token");
    assert_eq!(value.trim_ascii(), value);
    let kind = match value[0] {
        b'n' => ValueKind::Null,
        b't' | b'f' => ValueKind::Bool,
        b'"' => ValueKind::String,
        b'{' => ValueKind::Object,
        b'[' => ValueKind::Array,
        _ => ValueKind::Number,
    };
    assert_eq!(member.kind, kind);
    match member.string_body(record) {
        Some(body) => text(value, body),
        None if kind == ValueKind::Number => number(value),
        None => {}
    }
    text(&[b"\"", key, b"\""].concat(), key);
}

/// A string's text is serde_json's, and printing it gives the same text again.
fn text(quoted: &[u8], body: &[u8]) {
    let Ok(Wtf8(theirs)) = serde_json::from_slice(quoted) else { panic!("serde_json refuses a string") };
    assert_eq!(*to_wtf8(body), *theirs, "text");
    match unescape(body) {
        Ok(ours) => {
            assert_eq!(ours.as_bytes(), theirs);
            let mut printed = Vec::new();
            escape_into(&ours, &mut printed);
            assert_eq!(serde_json::from_slice::<String>(&printed).ok().as_deref(), Some(&*ours), "printed text");
        }
        // Unpaired surrogates, and nothing else.
        Err(_) => assert!(std::str::from_utf8(&theirs).is_err()),
    }
}

/// The digest from prepared keys, as the way in takes it.
fn by_fields(record: &[u8], found: &[Member]) -> u128 {
    let counted = found.iter().filter(|member| member.kind != ValueKind::Null);
    let field = |member: &Member| {
        let mut hasher = FieldHasher::new(member.key.of(record));
        hasher.digest(member.value.of(record), member.kind, member.value_escaped)
    };
    digest_of_fields(counted.map(field).fold(0, u128::wrapping_add))
}

/// The vector instructions find what their safe twin finds, and what a loop over bytes does.
pub fn vector(bytes: &[u8]) {
    for at in 0..=bytes.len().min(40) {
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let expected = at + bytes[at..].iter().position(special).unwrap_or(bytes.len() - at);
        assert_eq!(plain_run(bytes, at), expected, "from {at}");
        assert_eq!(plain_run_by_words(bytes, at), expected, "by words, from {at}");
    }
}

/// A number that is understood prints back to the very token, and is serde_json's; any double reads back from its print.
pub fn number(bytes: &[u8]) {
    if let Some(value) = numbers::as_i64(bytes) {
        assert_eq!(value.to_string().as_bytes(), bytes);
        assert_eq!(serde_json::from_slice::<i64>(bytes).ok(), Some(value));
    }
    assert_eq!(numbers::as_i32(bytes), numbers::as_i64(bytes).and_then(|value| value.try_into().ok()));
    if let Some(value) = numbers::as_f64(bytes) {
        assert_eq!(printed(value), bytes);
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
    }
    if let Some(eight) = bytes.first_chunk::<8>() {
        let value = f64::from_le_bytes(*eight);
        let text = printed(value);
        assert!(serde_json::from_slice::<IgnoredAny>(&text).is_ok(), "{value} prints what is no JSON");
        let read = numbers::as_f64(&text).map(f64::to_bits);
        let kept = value.is_finite() && value.to_bits() != (-0.0_f64).to_bits();
        assert_eq!(read, kept.then(|| value.to_bits()), "{value}");
    }
}

fn printed(value: f64) -> Vec<u8> {
    let mut text = Vec::new();
    numbers::print_f64(value, &mut text);
    text
}

/// A time that is understood prints back to the very text. Nothing panics, whatever the instant and its tail.
pub fn time(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(moment) = times::parse(text) {
        let mut printed = Vec::new();
        assert!(times::print(moment.micros, moment.tail.as_deref(), &mut printed));
        assert_eq!(printed, bytes, "{moment:?}");
    }
    if let Some((eight, tail)) = bytes.split_first_chunk::<8>()
        && let Ok(tail) = std::str::from_utf8(tail)
    {
        let mut printed = Vec::new();
        if times::print(i64::from_le_bytes(*eight), Some(tail), &mut printed) {
            assert!(printed.is_ascii() && !printed.is_empty());
        } else {
            assert!(printed.is_empty());
        }
    }
}

/// The committed corpus, without a fuzzer.
#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Runs every file of a target's corpus. Gives how many there were.
    fn run(target: &str, check: fn(&[u8])) -> usize {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let mut count = 0;
        for path in files {
            let bytes = std::fs::read(&path).unwrap();
            let outcome = std::panic::catch_unwind(|| check(&bytes));
            assert!(outcome.is_ok(), "{}", path.display());
            count += 1;
        }
        count
    }

    #[test]
    fn the_corpus_of_the_fuzzer_holds() {
        type Check = fn(&[u8]);
        let targets: [(&str, Check); 4] =
            [("decode", super::decode), ("vector", super::vector), ("number", super::number), ("time", super::time)];
        for (target, check) in targets {
            assert!(run(target, check) >= 8, "{target} has hardly a corpus");
        }
    }
}
