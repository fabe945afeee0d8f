//! TOML read key by key with every mistake collected: the strict half of settings and policy.
//!
//! A reader asks a table for the keys it knows; whatever was never asked for is an unknown key. So the list of known
//! keys and the code that reads them cannot drift apart. It never stops at the first mistake and never guesses a value.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::diagnose::{Mistake, Problem, Source, nearest};

/// What the names of keys that hold secrets have in them.
const CREDENTIALS: [&str; 7] = ["key", "secret", "password", "token", "sas", "credential", "connection_string"];
/// The hint for secrets in a file.
pub const NO_CREDENTIALS: &str =
    "credentials come from the environment or the platform's identity, never from this file";

/// A value and where it was written (bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    pub value: T,
    pub span: Range<usize>,
}

impl<T> Located<T> {
    pub fn new(value: T, span: Range<usize>) -> Self {
        Located { value, span }
    }
}

/// Where a value stands is no part of the file's form.
impl<T: JsonSchema> JsonSchema for Located<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// The mistakes found in one file so far.
#[derive(Debug)]
pub struct Notes {
    source: Arc<Source>,
    found: RefCell<Vec<Mistake>>,
}

impl Notes {
    pub fn new(source: Arc<Source>) -> Self {
        Notes { source, found: RefCell::default() }
    }

    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub fn add(&self, span: Range<usize>, problem: Problem) {
        self.push(Mistake::at(&self.source, span, problem));
    }

    pub fn push(&self, mistake: Mistake) {
        self.found.borrow_mut().push(mistake);
    }

    pub fn count(&self) -> usize {
        self.found.borrow().len()
    }

    /// The mistakes in the order of the file.
    pub fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.found.into_inner();
        mistakes.sort_by_key(Mistake::start);
        mistakes
    }
}

/// Parses `source` and has `read` read what could be parsed.
///
/// With broken syntax the rest of the file is still read, so that all mistakes come at once; but what only seems
/// missing, or stands on a broken line, is then not reported.
pub fn read_document<T>(
    source: &Arc<Source>,
    read: impl FnOnce(&DeTable<'_>, &Notes) -> Option<T>,
) -> Result<T, Vec<Mistake>> {
    let (document, broken) = DeTable::parse_recoverable(&source.text);
    let notes = Notes::new(Arc::clone(source));
    let value = read(document.get_ref(), &notes);
    let mut mistakes = notes.into_mistakes();
    if !broken.is_empty() {
        let syntax: Vec<Mistake> = broken.iter().map(|error| syntax_mistake(source, error)).collect();
        let broken: Vec<usize> = syntax.iter().filter_map(Mistake::line).collect();
        mistakes.retain(|mistake| {
            let line = mistake.line().unwrap_or(0);
            !mistake.is_absence() && !broken.contains(&line) && !broken.contains(&header_above(&source.text, line))
        });
        mistakes.extend(syntax);
        mistakes.sort_by_key(Mistake::start);
    }
    match value {
        Some(value) if mistakes.is_empty() => Ok(value),
        _ => Err(mistakes),
    }
}

/// The line of the last table header before `line` (0: none): what follows a broken header is of no known table.
fn header_above(text: &str, line: usize) -> usize {
    let above = text.lines().zip(1..).take_while(|(_, number)| *number < line);
    above.filter(|(text, _)| text.trim_start().starts_with('[')).last().map_or(0, |(_, number)| number)
}

fn syntax_mistake(source: &Arc<Source>, error: &toml::de::Error) -> Mistake {
    let end = source.text.len();
    let span = error.span().unwrap_or(end..end);
    if error.message() == "duplicate key" {
        let key = source.text.get(span.clone()).unwrap_or_default();
        let before = source.text.get(..span.start).unwrap_or_default();
        let problem = if before.trim_end().ends_with('[') {
            Problem::new(format!("[{key}] stands twice in this file"), "the second").with_hint("merge the two")
        } else {
            Problem::new(format!("`{key}` is written twice"), "written before in the same table")
                .with_hint("keep one of the two")
        };
        return Mistake::at(source, span, problem);
    }
    let mut problem = Problem::new(format!("not valid TOML: {}", error.message()), "here");
    if error.message().starts_with("invalid basic string") {
        problem = problem.with_hint("a text ends with a quote on the line it starts on");
    } else if error.message().contains("string values must be quoted") {
        problem = problem.with_hint("put the value in quotes");
    }
    Mistake::at(source, span, problem)
}

/// Reads one table, and reports each key that nobody asked for.
#[derive(Debug)]
pub struct TableReader<'a> {
    notes: &'a Notes,
    table: &'a DeTable<'a>,
    /// How people know the table, as its header: `"[[table]]"` say.
    title: Cow<'static, str>,
    /// Where to point for a missing key.
    header: Range<usize>,
    known: Vec<&'static str>,
    refused: Vec<String>,
}

impl<'a> TableReader<'a> {
    pub fn new(
        notes: &'a Notes,
        table: &'a DeTable<'a>,
        title: impl Into<Cow<'static, str>>,
        header: Range<usize>,
    ) -> Self {
        TableReader { notes, table, title: title.into(), header, known: Vec::new(), refused: Vec::new() }
    }

    pub fn notes(&self) -> &'a Notes {
        self.notes
    }

    pub fn header(&self) -> Range<usize> {
        self.header.clone()
    }

    pub fn contains(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn entry(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.table.get(key)
    }

    fn written(&self, value: &Spanned<DeValue<'_>>) -> &'a str {
        self.notes.source.text.get(value.span()).unwrap_or_default()
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let found = value.get_ref().type_str();
        let article = if matches!(found, "integer" | "array") { "an" } else { "a" };
        let mut problem =
            Problem::new(format!("`{key}` must be {wanted}, not {article} {found}"), format!("{article} {found}"));
        if wanted.contains("text") && matches!(found, "integer" | "float" | "datetime") {
            problem = problem.with_hint(format!("put it in quotes: \"{}\"", self.written(value)));
        } else if let Some(text) = value.get_ref().as_str()
            && (matches!(text, "true" | "false") || text.parse::<i64>().is_ok())
        {
            problem = problem.with_hint("leave the quotes away");
        }
        self.notes.add(value.span(), problem);
    }

    pub fn string(&mut self, key: &'static str) -> Option<Located<String>> {
        let value = self.entry(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(Located::new(text.to_owned(), value.span())),
            None => {
                self.wrong_type(key, value, "text");
                None
            }
        }
    }

    /// A text that `parse` turns into a value; `wanted` says what it is, with an example ("a span like \"730d\"").
    pub fn parsed<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<Located<T>> {
        let value = self.entry(key)?;
        let Some(text) = value.get_ref().as_str() else {
            match value.get_ref() {
                // What would be wrong with a bare number in quotes says more than its type.
                DeValue::Integer(_) | DeValue::Float(_) => match parse(self.written(value)) {
                    Err(problem) => self.notes.add(value.span(), problem),
                    Ok(_) => self.wrong_type(key, value, &format!("a text, {wanted}")),
                },
                _ => self.wrong_type(key, value, &format!("a text, {wanted}")),
            }
            return None;
        };
        match parse(text) {
            Ok(parsed) => Some(Located::new(parsed, value.span())),
            Err(problem) => {
                self.notes.add(value.span(), problem);
                None
            }
        }
    }

    pub fn boolean(&mut self, key: &'static str) -> Option<Located<bool>> {
        let value = self.entry(key)?;
        match value.get_ref().as_bool() {
            Some(boolean) => Some(Located::new(boolean, value.span())),
            None => {
                self.wrong_type(key, value, "true or false");
                None
            }
        }
    }

    pub fn integer(&mut self, key: &'static str) -> Option<Located<i64>> {
        let value = self.entry(key)?;
        let number = value.get_ref().as_integer().and_then(|it| i64::from_str_radix(it.as_str(), it.radix()).ok());
        if number.is_none() {
            self.wrong_type(key, value, "a whole number");
        }
        number.map(|number| Located::new(number, value.span()))
    }

    /// An array of texts, each not empty and none twice (case aside).
    pub fn strings(&mut self, key: &'static str) -> Option<Vec<Located<String>>> {
        let value = self.entry(key)?;
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(key, value, "an array of texts, like [\"one\", \"two\"]");
            return None;
        };
        let mut texts: Vec<Located<String>> = Vec::new();
        for element in array.iter() {
            let Some(text) = element.get_ref().as_str() else {
                self.wrong_type(key, element, "an array of texts");
                continue;
            };
            let same = |other: &&Located<String>| other.value.to_lowercase() == text.to_lowercase();
            if text.trim().is_empty() {
                self.notes.add(element.span(), Problem::new(format!("an empty text in `{key}`"), "nothing in it"));
            } else if let Some(first) = texts.iter().find(same) {
                let problem = Problem::new(format!("`{text}` stands in `{key}` twice"), "again here");
                let mistake = Mistake::at(&self.notes.source, element.span(), problem);
                self.notes.push(mistake.and_at(&self.notes.source, first.span.clone(), "first here"));
            } else {
                texts.push(Located::new(text.to_owned(), element.span()));
            }
        }
        Some(texts)
    }

    /// The reader of a table within this one, `[key]`.
    pub fn table(&mut self, key: &'static str) -> Option<TableReader<'a>> {
        let value = self.entry(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(TableReader::new(self.notes, table, format!("[{key}]"), value.span())),
            DeValue::Array(_) => {
                let problem = Problem::new(format!("`{key}` is one table, not several"), "in double brackets");
                self.notes.add(value.span(), problem.with_hint(format!("write [{key}], once")));
                None
            }
            _ => {
                self.wrong_type(key, value, &format!("a table, headed [{key}]"));
                None
            }
        }
    }

    /// The readers of an array of tables, `[[key]]`.
    pub fn tables(&mut self, key: &'static str) -> Vec<TableReader<'a>> {
        let Some(value) = self.entry(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(array) => array
                .iter()
                .filter_map(|element| match element.get_ref() {
                    DeValue::Table(table) => {
                        Some(TableReader::new(self.notes, table, format!("[[{key}]]"), element.span()))
                    }
                    _ => {
                        self.wrong_type(key, element, &format!("tables, each headed [[{key}]]"));
                        None
                    }
                })
                .collect(),
            DeValue::Table(_) => {
                let problem = Problem::new(format!("[{key}] stands in single brackets"), "one bracket missing");
                self.notes.add(value.span(), problem.with_hint(format!("write [[{key}]]: there may be several")));
                Vec::new()
            }
            _ => {
                self.wrong_type(key, value, &format!("tables, each headed [[{key}]]"));
                Vec::new()
            }
        }
    }

    /// If `key` is there: a mistake, made by `problem` from the value's own text.
    pub fn refuse(&mut self, key: &str, problem: impl FnOnce(&DeValue<'_>) -> Problem) {
        let Some((written, value)) = self.table.get_key_value(key) else { return };
        self.refused.push(key.to_owned());
        let of_tables = |array: &DeArray<'_>| array.iter().any(|element| element.get_ref().is_table());
        let headed = value.get_ref().is_table() || value.get_ref().as_array().is_some_and(of_tables);
        let at = if headed { value.span() } else { written.span() };
        self.notes.add(at, problem(value.get_ref()));
    }

    /// Reports that the required `key` is not there at all (a bad value is another mistake).
    pub fn missing(&self, key: &str, problem: Problem) {
        if !self.contains(key) {
            self.notes.push(Mistake::at(&self.notes.source, self.header(), problem).of_absence());
        }
    }

    /// Reports the keys nobody asked for.
    pub fn finish(self) {
        for (key, value) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) || self.refused.iter().any(|refused| refused == name) {
                continue;
            }
            let hint = match nearest(name, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known keys: {}", self.known.join(", ")),
            };
            let problem = Problem::new(format!("unknown key `{name}` in {}", self.title), "not a key of this table");
            let lower = name.to_lowercase();
            if CREDENTIALS.iter().any(|word| lower.contains(word)) {
                let mistake = Mistake::at(&self.notes.source, key.span(), problem.with_hint(NO_CREDENTIALS));
                self.notes.push(mistake.hiding(value.span()));
            } else {
                self.notes.add(key.span(), problem.with_hint(hint));
            }
        }
    }
}
