//! How records stand in an object's unpacked content: as lines, or in a form that is made into lines first.
//!
//! A form is told by the first bytes of the content, or named by the source's `format`. Every form but lines has an
//! adapter here: unpacked bytes in, one JSON value a line out, streamed, in memory bounded by one record or batch (I11).
//! Content that is not in its form to the last byte is `InvalidData`, so that the object is kept whole and no part of it
//! is taken for the whole (I1); errors of the reader below pass as they are. What a line means is not judged here.
//!
//! Parquet and event logs are read here and there: over bytes that are held, or over a file that can be read at any place.

#[cfg(test)]
mod any_text;
mod auditd;
mod avro;
mod avro_schema;
mod avro_value;
mod csv;
mod elements;
mod evtx;
mod flow;
mod journald;
mod lines;
mod parquet;
mod produce;
mod syslog;
mod text;
mod unpacked;
mod value;

use std::io::{self, Cursor, Read, Seek};

use bytes::{Buf, Bytes};
use serde::Serialize;

use self::elements::{Elements, Wrap};
use self::flow::Flows;
use self::produce::damaged;
use super::content::BYTE_ORDER_MARK;
use super::encoding::refuse_unsupported;
use super::layout::Period;
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
    /// Rows below a row of names. Only where it is named, as are the three that follow.
    #[serde(rename = "csv")]
    Csv,
    #[serde(rename = "syslog")]
    Syslog,
    #[serde(rename = "journald")]
    Journald,
    #[serde(rename = "auditd")]
    Auditd,
    #[serde(rename = "avro")]
    Avro,
    #[serde(rename = "parquet")]
    Parquet,
    /// Windows event logs.
    #[serde(rename = "evtx")]
    Evtx,
}

/// How an object of text that has grown since it was read goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GoingOn {
    /// Bytes of it that were read before.
    pub at: u64,
    /// They end in the middle of a line.
    pub mid_line: bool,
}

/// What an object's content is read as.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadAs {
    /// The form that is named; `None`: the content tells.
    pub form: Option<Form>,
    /// Of the object, as its path tells it.
    pub period: Option<Period>,
    /// The most bytes of a record; what must be held to be read, such as packed Parquet, may have as many.
    pub max_record: usize,
    /// Where an object goes on that was read before: from the beginning by default.
    pub going_on: GoingOn,
}

/// So many bytes of the content tell its form.
pub const FIRST_BYTES: usize = 4096;

impl Form {
    const ALL: [Form; 11] = [
        Form::Lines,
        Form::Records,
        Form::Array,
        Form::FlowTuples,
        Form::Csv,
        Form::Syslog,
        Form::Journald,
        Form::Auditd,
        Form::Avro,
        Form::Parquet,
        Form::Evtx,
    ];

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
            Form::Csv => "csv",
            Form::Syslog => "syslog",
            Form::Journald => "journald",
            Form::Auditd => "auditd",
            Form::Avro => "avro",
            Form::Parquet => "parquet",
            Form::Evtx => "evtx",
        }
    }

    /// Tells the form by the beginning of the unpacked content, up to [`FIRST_BYTES`]. What is not clearly another form
    /// is lines: a line that means nothing costs that line only, a form that does not hold costs the object.
    pub fn tell(first: &[u8]) -> Form {
        if let Some(binary) = Form::binary(first) {
            return binary;
        }
        let first = &first[..first.len().min(FIRST_BYTES)];
        let text = trim(first.strip_prefix(BYTE_ORDER_MARK).unwrap_or(first));
        match text {
            [b'[', rest @ ..] if matches!(trim(rest), [b'{' | b']', ..]) => Form::Array,
            [b'{', rest @ ..] if opens_records(rest).is_some() => Form::Records,
            _ => Form::Lines,
        }
    }

    /// The form that says by a magic number what it is.
    fn binary(first: &[u8]) -> Option<Form> {
        match first {
            [b'P', b'A', b'R', b'1', ..] => Some(Form::Parquet),
            [b'O', b'b', b'j', 1, ..] => Some(Form::Avro),
            [b'E', b'l', b'f', b'F', b'i', b'l', b'e', 0, ..] => Some(Form::Evtx),
            _ => None,
        }
    }

    /// Errs for what is certainly another content than the form named, or any that is known.
    pub fn check(named: Option<Form>, first: &[u8]) -> io::Result<()> {
        refuse_unsupported(first)?;
        match (named, Form::binary(first)) {
            (Some(named), Some(binary)) if named != binary => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("its content is `{}`, and the source's `format` says `{}`", binary.name(), named.name()),
            )),
            _ => Ok(()),
        }
    }

    /// A line of it is a line of the object.
    pub fn is_by_line(self) -> bool {
        matches!(self, Form::Lines | Form::Syslog | Form::Journald | Form::Auditd)
    }

    /// It is read at several places of its file.
    pub fn is_seekable(self) -> bool {
        matches!(self, Form::Parquet | Form::Evtx)
    }

    /// Where it has grown, it is read from its beginning, and what was read before is left out.
    pub fn needs_beginning(self) -> bool {
        matches!(self, Form::Records | Form::Array | Form::FlowTuples | Form::Csv)
    }

    /// What is appended to an object can be read without reading again what was there; `plain`: it lies unpacked.
    pub fn can_grow(self, plain: bool) -> bool {
        match self {
            Form::Avro | Form::Parquet | Form::Evtx => false,
            Form::Csv => plain,
            _ => true,
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

/// The lines of a whole content that is held in memory, as it stands or made from its form, and that form. Records that
/// are too long pass as they are. `Ok(None)`: the lines take more than `most` bytes. Errors: `InvalidData` and
/// `Unsupported`, as those of a [`super::LineReader`].
pub fn lines_held(content: &Bytes, read_as: ReadAs, most: usize) -> io::Result<Option<(Bytes, Form)>> {
    let form = told(read_as, content)?;
    if form == Form::Lines {
        return Ok(Some((content.clone(), form)));
    }
    let mut lines = Vec::new();
    let made = match form.is_seekable() {
        true => open_file(Cursor::new(content.clone()), form, read_as.max_record)?,
        false => open(content.clone().reader(), content, form, read_as)?,
    };
    made.take(most as u64 + 1).read_to_end(&mut lines)?;
    Ok((lines.len() <= most).then(|| (lines.into(), form)))
}

/// The form that is named, else that of a content that begins like this. Errs for what is certainly something else.
fn told(read_as: ReadAs, first: &[u8]) -> io::Result<Form> {
    // Behind its beginning, anything may stand in a text.
    if read_as.going_on.at == 0 {
        Form::check(read_as.form, first)?;
    }
    // What is empty has no record, whatever it is called.
    Ok(read_as.form.filter(|_| !first.is_empty()).unwrap_or_else(|| Form::tell(first)))
}

/// Content in any form as lines; `first` is its beginning.
fn open<'r>(
    mut content: impl Read + Send + 'r,
    first: &[u8],
    form: Form,
    read_as: ReadAs,
) -> io::Result<Box<dyn Read + Send + 'r>> {
    let ReadAs { period, max_record, going_on, .. } = read_as;
    Ok(match form {
        Form::Lines => Box::new(content),
        Form::Records => Box::new(Elements::new(content, Wrap::Records, going_on.at)),
        Form::Array => Box::new(Elements::new(content, Wrap::Array, going_on.at)),
        Form::FlowTuples => {
            let inner = Form::tell(first);
            if inner == Form::Lines {
                io::copy(&mut content.by_ref().take(going_on.at), &mut io::sink())?;
            }
            Box::new(Flows::new(open(content, &[], inner, read_as)?, max_record))
        }
        Form::Csv => Box::new(csv::open(content, max_record, going_on.at)?),
        Form::Syslog => Box::new(syslog::open(content, max_record, going_on, period)?),
        Form::Journald => Box::new(journald::open(content, max_record, going_on)?),
        Form::Auditd => Box::new(auditd::open(content, max_record, going_on)?),
        Form::Avro => Box::new(avro::open(content, max_record)?),
        Form::Parquet | Form::Evtx => {
            let mut held = Vec::new();
            content.by_ref().take(max_record as u64 + 1).read_to_end(&mut held)?;
            if held.len() > max_record {
                return Err(damaged(format!(
                    "it is `{}` of more than {max_record} bytes, the most that this memory can hold, and packed; unpacked \
                     it could be read in pieces",
                    form.name()
                )));
            }
            open_file(Cursor::new(Bytes::from(held)), form, max_record)?
        }
    })
}

/// A file of a form that is read at several places, as lines.
pub(super) fn open_file<F: Read + Seek + Send + 'static>(
    file: F,
    form: Form,
    max_record: usize,
) -> io::Result<Box<dyn Read + Send>> {
    match form {
        Form::Parquet => Ok(Box::new(parquet::open(file, max_record)?)),
        Form::Evtx => Ok(Box::new(evtx::open(file, max_record)?)),
        other => Err(io::Error::other(format!("`{}` is read from its beginning to its end", other.name()))),
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
            ("PAR1\u{15}", Form::Parquet),
            ("Obj\u{1}", Form::Avro),
            ("ElfFile\0", Form::Evtx),
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
        let as_told = ReadAs { max_record: 9, ..ReadAs::default() };
        let named = ReadAs { form: Some(Form::Lines), ..as_told };
        let content = Bytes::from_static(b"{\"a\":1}\n");
        let (lines, form) = lines_held(&content, as_told, 0).unwrap().unwrap();
        assert_eq!((lines.as_ptr(), form), (content.as_ptr(), Form::Lines));
        let array = Bytes::from_static(b"[{\"a\":1},{}]");
        assert_eq!(lines_held(&array, as_told, 11).unwrap().unwrap(), ("{\"a\":1}\n{}\n".into(), Form::Array));
        assert!(lines_held(&array, as_told, 10).unwrap().is_none(), "more than may be held");
        assert_eq!(lines_held(&array, named, 99).unwrap().unwrap(), (array.clone(), Form::Lines));
    }

    #[test]
    fn i7_a_wrong_name_does_not_make_text_of_a_binary_file() {
        let error =
            lines_held(&Bytes::from_static(b"PAR1..."), ReadAs { form: Some(Form::Csv), ..ReadAs::default() }, 9);
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "its content is `parquet`, and the source's `format` says `csv`");
    }

    #[test]
    fn i11_packed_parquet_that_cannot_be_held_is_refused() {
        let read_as = ReadAs { max_record: 9, ..ReadAs::default() };
        let opened = open(&b"PAR1 and so on"[..], b"PAR1", Form::Parquet, read_as);
        let Err(error) = opened else { panic!("it is read") };
        assert!(error.to_string().contains("more than 9 bytes"), "{error}");
    }
}
