//! How records stand in an object's unpacked content: as lines, or in a form that is made into lines first.
//!
//! A form is told by the first bytes of the content, or named by the source's `format`. Every form but lines has an
//! adapter here: unpacked bytes in, one JSON value a line out, streamed, in memory bounded by one record or batch (I11).
//! Content that is not in its form to the last byte is `InvalidData`, so that the object is kept whole and no part of it
//! is taken for the whole (I1); errors of the reader below pass as they are. What a line means is not judged here.

mod elements;
mod flow;
mod unpacked;

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use serde::Serialize;

use self::elements::{Elements, Wrap};
use self::flow::Flows;
use super::content::BYTE_ORDER_MARK;
use super::encoding::refuse_unsupported;
use crate::error::{Error, Kind, Result};

pub(super) use unpacked::Unpacked;

/// How records stand in an object's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Form {
    /// One a line.
    #[serde(rename = "ndjson")]
    Lines,
    /// In the array of `{"records":[…]}`, one or many such envelopes.
    #[serde(rename = "records")]
    Records,
    /// In a JSON array, one or many.
    #[serde(rename = "array")]
    Array,
    /// Any of these, of Azure's flow logs: one record a flow. Only where it is named.
    #[serde(rename = "flow-tuples")]
    FlowTuples,
}

/// So many bytes of the content tell its form.
pub const FIRST_BYTES: usize = 4096;

impl Form {
    const ALL: [Form; 4] = [Form::Lines, Form::Records, Form::Array, Form::FlowTuples];

    /// The form that settings call `name`. Errors are of kind `Usage`, with a hint.
    pub fn named(name: &str) -> Result<Form> {
        if let Some(form) = Form::ALL.into_iter().find(|form| form.name() == name) {
            return Ok(form);
        }
        let names = Form::ALL.map(Form::name);
        let near = names.iter().find(|known| strsim::damerau_levenshtein(known, &name.to_lowercase()) <= 2);
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "one of {}; without `format` the first bytes of each object's content tell",
                names.map(|name| format!("`{name}`")).join(", ")
            ),
        };
        Err(Error::new(Kind::Usage, format!("reading format `{name}`"), "no format has this name").with_hint(hint))
    }

    /// Its name in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Form::Lines => "ndjson",
            Form::Records => "records",
            Form::Array => "array",
            Form::FlowTuples => "flow-tuples",
        }
    }

    /// Tells the form by the beginning of the unpacked content, up to [`FIRST_BYTES`]. What is not clearly another form
    /// is lines: a line that means nothing costs that line only, a form that does not hold costs the object.
    pub fn tell(first: &[u8]) -> Form {
        let first = &first[..first.len().min(FIRST_BYTES)];
        let text = trim(first.strip_prefix(BYTE_ORDER_MARK).unwrap_or(first));
        match text {
            [b'[', rest @ ..] if matches!(trim(rest), [b'{' | b']', ..]) => Form::Array,
            [b'{', rest @ ..] if opens_records(rest).is_some() => Form::Records,
            _ => Form::Lines,
        }
    }
}

/// `"records":[` with any whitespace between the tokens.
fn opens_records(text: &[u8]) -> Option<()> {
    let (name, rest) = trim(text).strip_prefix(b"\"")?.split_at_checked(RECORDS.len())?;
    let rest = trim(rest.strip_prefix(b"\"")?).strip_prefix(b":")?;
    (name.eq_ignore_ascii_case(RECORDS) && trim(rest).starts_with(b"[")).then_some(())
}

/// The member that an envelope holds its records in, in any case.
const RECORDS: &[u8] = b"records";

/// What stands behind JSON's whitespace.
fn trim(text: &[u8]) -> &[u8] {
    let blank = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
    &text[blank..]
}

/// The lines of a whole content that is held in memory, as it stands or made from its form, and that form: `form`, or as
/// the content tells. Records of more than `max_record` bytes pass as they are. `Ok(None)`: the lines take more than `most`
/// bytes. Errors: `InvalidData` and `Unsupported`, as those of
/// a [`super::LineReader`].
pub fn lines_held(
    content: &Bytes,
    form: Option<Form>,
    max_record: usize,
    most: usize,
) -> io::Result<Option<(Bytes, Form)>> {
    let form = told(form, content)?;
    if form == Form::Lines {
        return Ok(Some((content.clone(), form)));
    }
    let mut lines = Vec::new();
    open(content.clone().reader(), content, form, max_record).take(most as u64 + 1).read_to_end(&mut lines)?;
    Ok((lines.len() <= most).then(|| (lines.into(), form)))
}

/// The form that is named, else that of a content that begins like this. Errs for what is certainly no text.
fn told(form: Option<Form>, first: &[u8]) -> io::Result<Form> {
    refuse_unsupported(first)?;
    Ok(form.unwrap_or_else(|| Form::tell(first)))
}

/// Content in any form as lines; `first` is its beginning.
fn open<'r>(content: impl Read + Send + 'r, first: &[u8], form: Form, max_record: usize) -> Box<dyn Read + Send + 'r> {
    match form {
        Form::Lines => Box::new(content),
        Form::Records => Box::new(Elements::new(content, Wrap::Records)),
        Form::Array => Box::new(Elements::new(content, Wrap::Array)),
        Form::FlowTuples => Box::new(Flows::new(open(content, &[], Form::tell(first), max_record), max_record)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_form() {
        for (first, form) in [
            ("{\"records\":[{\"a\":1}]}", Form::Records),
            ("{\"Records\":[]}", Form::Records),
            ("\u{feff}\r\n {\t\"RECORDS\" :\r\n [", Form::Records),
            ("[{\"a\":1}]", Form::Array),
            (" \n[\r\n  {", Form::Array),
            ("[]", Form::Array),
            ("{\"a\":1}\n[{\"a\":1}]", Form::Lines),
            ("{\"records\":{}}", Form::Lines),
            ("{\"recordsets\":[]}", Form::Lines),
            ("{\"record", Form::Lines),
            ("[2024-03-01 12:00] a line of text", Form::Lines),
            ("[", Form::Lines),
            ("", Form::Lines),
        ] {
            assert_eq!(Form::tell(first.as_bytes()), form, "{first}");
        }
        let far = format!("{}[{{", " ".repeat(FIRST_BYTES));
        assert_eq!(Form::tell(far.as_bytes()), Form::Lines);
    }

    #[test]
    fn names_are_those_of_the_settings() {
        for form in Form::ALL {
            assert_eq!(Form::named(form.name()).unwrap(), form);
            assert_eq!(serde_json::to_value(form).unwrap(), form.name());
        }
        let error = Form::named("record").unwrap_err();
        assert_eq!((error.kind(), error.hint()), (Kind::Usage, Some("did you mean `records`?")));
        assert!(
            Form::named("xml").unwrap_err().hint().unwrap().contains("`ndjson`, `records`, `array`, `flow-tuples`")
        );
    }

    #[test]
    fn held_lines_are_lent_not_copied() {
        let content = Bytes::from_static(b"{\"a\":1}\n");
        let (lines, form) = lines_held(&content, None, 9, 0).unwrap().unwrap();
        assert_eq!((lines.as_ptr(), form), (content.as_ptr(), Form::Lines));
        let array = Bytes::from_static(b"[{\"a\":1},{}]");
        assert_eq!(lines_held(&array, None, 9, 11).unwrap().unwrap(), ("{\"a\":1}\n{}\n".into(), Form::Array));
        assert!(lines_held(&array, None, 9, 10).unwrap().is_none(), "more than may be held");
        assert_eq!(lines_held(&array, Some(Form::Lines), 9, 99).unwrap().unwrap(), (array.clone(), Form::Lines));
    }
}
