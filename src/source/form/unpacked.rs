//! The content of an object as lines, whatever packs it and whatever form it has, with the raw reader still at hand.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{FIRST_BYTES, Form, ReadAs, open, told};
use crate::source::encoding::{Decoder, Encoding};

/// Reads the lines of one object.
pub(in crate::source) struct Unpacked<R: Read> {
    stream: Stream<R>,
    raw: Shared<R>,
    encoding: Encoding,
    form: Form,
}

enum Stream<R: Read> {
    Lines(Decoder<Shared<R>>),
    Formed(Box<dyn Read + Send>),
}

impl<R: Read> Unpacked<R> {
    /// A whole object that holds lines. Errors as [`Decoder::open`].
    pub(in crate::source) fn lines(raw: R) -> io::Result<Self> {
        let raw = Shared::new(raw);
        let decoder = Decoder::open(raw.clone())?;
        let encoding = decoder.encoding();
        Ok(Unpacked { stream: Stream::Lines(decoder), raw, encoding, form: Form::Lines })
    }

    /// Lines as they are, whatever they look like.
    pub(in crate::source) fn plain(raw: R) -> Self {
        let raw = Shared::new(raw);
        let stream = Stream::Lines(Decoder::plain(raw.clone()));
        Unpacked { stream, raw, encoding: Encoding::Plain, form: Form::Lines }
    }

    /// Lines that were made of a plain object; `raw` is not read.
    pub(in crate::source) fn made(lines: Box<dyn Read + Send>, form: Form, raw: R) -> Self {
        Unpacked { stream: Stream::Formed(lines), raw: Shared::new(raw), encoding: Encoding::Plain, form }
    }

    pub(in crate::source) fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub(in crate::source) fn form(&self) -> Form {
        self.form
    }

    pub(in crate::source) fn raw(&self) -> MutexGuard<'_, R> {
        self.raw.lock()
    }
}

impl<R: Read + Send + 'static> Unpacked<R> {
    /// Content of the form named, else of the one it begins like. `encoding`: where it is known; plain bytes are then
    /// taken as they are. Errors as [`Decoder::open`], and those of the form.
    pub(in crate::source) fn formed(raw: R, encoding: Option<Encoding>, read_as: ReadAs) -> io::Result<Self> {
        let raw = Shared::new(raw);
        let mut decoder = match encoding {
            Some(Encoding::Plain) => Decoder::plain(raw.clone()),
            _ => Decoder::open(raw.clone())?,
        };
        let encoding = decoder.encoding();
        let mut first = Vec::with_capacity(FIRST_BYTES);
        decoder.by_ref().take(FIRST_BYTES as u64).read_to_end(&mut first)?;
        let form = told(read_as, &first)?;
        let lines = open(Cursor::new(first.clone()).chain(decoder), &first, form, read_as)?;
        let stream = Stream::Formed(lines);
        Ok(Unpacked { stream, raw, encoding, form })
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Lines(lines) => lines.read(into),
            Stream::Formed(lines) => lines.read(into),
        }
    }
}

/// A raw reader that is read through whatever unpacks it, and still asked for its hash.
struct Shared<R>(Arc<Mutex<R>>);

impl<R> Shared<R> {
    fn new(raw: R) -> Self {
        Shared(Arc::new(Mutex::new(raw)))
    }

    fn lock(&self) -> MutexGuard<'_, R> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Clone for Shared<R> {
    fn clone(&self) -> Self {
        Shared(Arc::clone(&self.0))
    }
}

impl<R: Read> Read for Shared<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.lock().read(into)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::TestCaseError;

    use super::*;
    use crate::record::{SetDigest, members, record_digest};
    use crate::source::testing::{gzip, zstd};
    use crate::source::{Line, LineReader, lines_held};

    /// Gives its bytes in pieces of the sizes listed, over and over.
    struct Pieces {
        bytes: Cursor<Vec<u8>>,
        sizes: Vec<usize>,
        turn: usize,
    }

    impl Read for Pieces {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.turn += 1;
            let most = self.sizes[self.turn % self.sizes.len()].min(into.len());
            self.bytes.read(&mut into[..most])
        }
    }

    /// Count and sum of the records, as they would be archived.
    fn digest<R: Read>(mut reader: LineReader<R>) -> Result<SetDigest, TestCaseError> {
        let (mut digest, mut found) = (SetDigest::default(), Vec::new());
        while let Some(line) = reader.next().map_err(|error| TestCaseError::fail(error.to_string()))? {
            let Line::Record { bytes, terminated: true, .. } = line else {
                return Err(TestCaseError::fail(format!("{line:?}")));
            };
            members(bytes, &mut found).map_err(|error| TestCaseError::fail(error.to_string()))?;
            digest.add(record_digest(bytes, &found));
        }
        Ok(digest)
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "\\PC{0,8}".prop_map(Into::into),
            "[\\[\\]{},:\"\\\\\n\r ]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::vec(("[a-z\"\\]}\\\\]{1,4}", inner), 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// An object, plain or over many lines.
    fn record() -> impl Strategy<Value = String> {
        let members = prop::collection::vec(("[a-z]{1,4}", value()), 0..5);
        (members, any::<bool>()).prop_map(|(members, pretty)| {
            let object = serde_json::Value::Object(members.into_iter().collect());
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) };
            text.unwrap()
        })
    }

    proptest! {
        #[test]
        fn i9_any_wrapping_gives_the_records_as_lines_do(
            groups in prop::collection::vec(prop::collection::vec(record(), 0..5), 1..4),
            blanks in prop::collection::vec("[ \t\r\n]{0,3}", 12),
            name in prop::sample::select(vec!["records", "Records", "RECORDS"]),
            sizes in prop::collection::vec(1usize..200, 1..5),
            mark in any::<bool>(),
            crlf in any::<bool>(),
        ) {
            let plain = |text: &String| serde_json::from_str::<serde_json::Value>(text).unwrap().to_string() + "\n";
            let lines: String = groups.iter().flatten().map(plain).collect();
            let expected = digest(LineReader::new(lines.as_bytes(), 1 << 20).unwrap())?;
            let mut turn = 0;
            let mut blank = || { turn += 1; blanks[turn % blanks.len()].as_str() };
            for form in [Form::Records, Form::Array] {
                let mut text = String::from(if mark { "\u{feff}" } else { "" });
                for group in &groups {
                    let elements: Vec<String> =
                        group.iter().map(|record| format!("{}{record}{}", blank(), blank())).collect();
                    let array = format!("[{}{}]", elements.join(","), blank());
                    text += blank();
                    text += &match form {
                        Form::Records => format!("{{{}\"{name}\"{}:{}{array}{}}}", blank(), blank(), blank(), blank()),
                        _ => array,
                    };
                    text += blank();
                }
                let bytes = if crlf { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text }.into_bytes();
                let told = Form::tell(&bytes);
                // An array that begins with an empty one, or with envelopes, tells itself just as well.
                prop_assert_eq!(told, form);
                let read_as = ReadAs { max_record: 1 << 20, ..ReadAs::default() };
                for packed in [bytes.clone(), gzip(&bytes), zstd(&bytes)] {
                    let raw = Pieces { bytes: Cursor::new(packed), sizes: sizes.clone(), turn: 0 };
                    let reader = LineReader::formed(raw, None, read_as).unwrap();
                    prop_assert_eq!(reader.plain_resume(), None);
                    prop_assert_eq!(digest(reader)?, expected);
                }
                let (held, _) = lines_held(&bytes.into(), read_as, 1 << 24).unwrap().unwrap();
                prop_assert_eq!(digest(LineReader::new(&held[..], 1 << 20).unwrap())?, expected);
            }
        }
    }
}
