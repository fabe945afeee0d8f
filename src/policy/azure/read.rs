//! What a file says in Azure's words: requests, answers, lists; one statement a table, in the order of the file.
//!
//! Strict about values, which Azure would refuse, and easy about everything else that stands beside them: a table's JSON
//! is mostly its schema.

use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::settings::diagnose::{Mistake, Problem, Source};

use super::Method;
use super::days::{INTERACTIVE, allowed, total_is_allowed};
use super::request::{self, ResourcePath};

/// What a file says of one table.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub table: String,
    pub workspace: Option<String>,
    /// None: not a request but what Azure answered.
    pub method: Option<Method>,
    pub interactive: Word,
    pub total: Word,
    /// What Azure says its default comes to.
    pub default_days: Option<u32>,
    pub plan: Option<String>,
    /// Where the table's name stands.
    pub span: Range<usize>,
}

/// A number of days as Azure takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Absent,
    /// `null` or `-1`.
    Default,
    Days(u32),
}

/// All statements of a file.
#[derive(Debug, Default)]
pub(super) struct Statements {
    pub all: Vec<Statement>,
    /// A list says that it goes on elsewhere.
    pub incomplete: bool,
}

/// Reads a file, with all of its mistakes; broken syntax is the last of them.
pub(super) fn read(source: &Arc<Source>) -> Result<Statements, Vec<Mistake>> {
    let mut reader = Reader { source, at: 0, found: Statements::default(), mistakes: Vec::new() };
    if source.text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    if let Err(mistake) = reader.all() {
        reader.mistakes.push(mistake);
    }
    if reader.found.all.is_empty() && reader.mistakes.is_empty() {
        let problem = Problem::new("no table in this file", "")
            .with_hint("give the output of `az monitor log-analytics workspace table list`, or PUT and PATCH requests");
        reader.mistakes.push(Mistake::of_file(source.name.as_str(), problem));
    }
    if reader.mistakes.is_empty() { Ok(reader.found) } else { Err(reader.mistakes) }
}

struct Reader<'s> {
    source: &'s Arc<Source>,
    at: usize,
    found: Statements,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn all(&mut self) -> Result<(), Mistake> {
        loop {
            self.skip(false);
            let start = self.at;
            let Some(first) = self.rest().chars().next() else { return Ok(()) };
            if matches!(first, '{' | '[') {
                let value = self.json()?;
                self.answer(&value, start..start + 1);
                continue;
            }
            let line = self.rest().lines().next().unwrap_or_default();
            let request = request::parse(line).map_err(|problem| self.mistake(start..start + line.len(), problem))?;
            let (method, path, in_line) = (request.method, Named::of(request.path), !request.rest.is_empty());
            let span = self.find(&path.table, start);
            self.at = if in_line {
                start + line.trim_end().len() - request.rest.trim_end().len()
            } else {
                start + line.len()
            };
            self.skip(true);
            if !self.rest().starts_with('{') {
                let problem =
                    Problem::new(format!("the {} of {} has no body", method.as_str(), path.table), "what to set?")
                        .with_hint("after it, like {\"properties\": {\"retentionInDays\": 730}}");
                return Err(self.mistake(span, problem));
            }
            let Value::Object(body) = self.json()? else { continue };
            self.table(path, Some(method), &body, span);
        }
    }

    /// What a GET answered: a table, or a list of them.
    fn answer(&mut self, value: &Value, span: Range<usize>) {
        match value {
            Value::Array(list) => list.iter().for_each(|table| self.answer(table, span.clone())),
            Value::Object(object) => match member(object, "value") {
                Some(Value::Array(list)) => {
                    self.found.incomplete |= member(object, "nextLink").is_some_and(|link| !link.is_null());
                    list.iter().for_each(|table| self.answer(table, span.clone()));
                }
                _ => match Named::in_resource(object) {
                    Some(path) => {
                        let span = self.find(&path.table, span.start);
                        self.table(path, None, object, span);
                    }
                    None => {
                        let problem = Problem::new("a table without `name`", "which table?")
                            .with_hint("a request's body needs its request line before it, `PUT /subscriptions/…`");
                        self.mistakes.push(self.mistake(span, problem));
                    }
                },
            },
            _ => {
                let problem = Problem::new("neither a table nor a list of tables", "not understood")
                    .with_hint("a table of the Tables API is a JSON object with `name` and `properties`");
                self.mistakes.push(self.mistake(span, problem));
            }
        }
    }

    fn table(&mut self, path: Named, method: Option<Method>, object: &Map<String, Value>, span: Range<usize>) {
        // `az` flattens what the API nests.
        let properties = member(object, "properties").and_then(Value::as_object).unwrap_or(object);
        let is_default = |key: &str| member(properties, key).and_then(Value::as_bool).unwrap_or(false);
        let interactive = self.word(properties, "retentionInDays", &path.table, &span);
        let total = self.word(properties, "totalRetentionInDays", &path.table, &span);
        let default_days = match interactive {
            Word::Days(days) if is_default("retentionInDaysAsDefault") => Some(days),
            _ => None,
        };
        let plan = member(properties, "plan").and_then(Value::as_str).map(str::to_owned);
        let or_default = |word: Word, key: &str| if is_default(key) { Word::Default } else { word };
        self.found.all.push(Statement {
            table: path.table,
            workspace: path.workspace,
            method,
            interactive: or_default(interactive, "retentionInDaysAsDefault"),
            total: or_default(total, "totalRetentionInDaysAsDefault"),
            default_days,
            plan,
            span,
        });
    }

    fn word(&mut self, properties: &Map<String, Value>, key: &str, table: &str, span: &Range<usize>) -> Word {
        let total = key == "totalRetentionInDays";
        match member(properties, key) {
            None => Word::Absent,
            Some(Value::Null) => Word::Default,
            Some(value) if value.as_i64() == Some(-1) => Word::Default,
            Some(value) => {
                let days = value.as_u64().and_then(|days| u32::try_from(days).ok());
                let right = |days: &u32| if total { total_is_allowed(*days) } else { INTERACTIVE.contains(days) };
                match days.filter(right) {
                    Some(days) => Word::Days(days),
                    None => {
                        let problem =
                            Problem::new(format!("`{key}` of {table} can't be {value}"), format!("{key}: {value}"));
                        self.mistakes.push(self.mistake(span.clone(), problem.with_hint(allowed(total))));
                        Word::Absent
                    }
                }
            }
        }
    }

    /// The JSON value that begins here.
    fn json(&mut self) -> Result<Value, Mistake> {
        let start = self.at;
        let mut values = serde_json::Deserializer::from_str(self.rest()).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                self.at = start + values.byte_offset();
                Ok(value)
            }
            Some(Err(error)) => {
                let lines = self.rest().split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len);
                let at = start + lines.sum::<usize>() + error.column().saturating_sub(1);
                let problem = Problem::new("broken JSON", error.to_string());
                Err(self.mistake(at..at + 1, problem.with_hint("give the file as Azure's tools write it")))
            }
            None => Ok(Value::Null),
        }
    }

    /// Skips blank lines and comments, and a request's headers where they may stand.
    fn skip(&mut self, headers: bool) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            let line = self.rest().lines().next().unwrap_or_default();
            let is_header = || {
                let name = line.split_once(':').map_or("", |(name, _)| name);
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            };
            if !(line.starts_with('#') || line.starts_with("//") || (headers && is_header())) {
                return;
            }
            self.at += line.len();
        }
    }

    /// Where a name stands first from `from` on.
    fn find(&self, name: &str, from: usize) -> Range<usize> {
        let text = &self.source.text[from..];
        let quoted = text.find(&format!("\"{name}\"")).map(|at| at + 1);
        let at = text.find(&format!("/{name}")).map(|at| at + 1);
        // A request's path comes before its body.
        let at = if text.starts_with(['{', '[']) { quoted.or(at) } else { at.or(quoted) };
        at.map_or(from..from + 1, |at| from + at..from + at + name.len())
    }

    fn rest(&self) -> &str {
        &self.source.text[self.at..]
    }

    fn mistake(&self, span: Range<usize>, problem: Problem) -> Mistake {
        Mistake::at(self.source, span, problem)
    }
}

/// The names that a statement is about.
struct Named {
    workspace: Option<String>,
    table: String,
}

impl Named {
    fn of(path: ResourcePath<'_>) -> Self {
        Named { workspace: path.workspace.map(str::to_owned), table: path.table.to_owned() }
    }

    /// From `id`, else from `name`, which in templates has the workspace before a slash.
    fn in_resource(object: &Map<String, Value>) -> Option<Self> {
        let text = |key: &str| member(object, key).and_then(Value::as_str);
        if let Some(Ok(path)) = text("id").map(request::path) {
            return Some(Named::of(path));
        }
        let name = text("name")?;
        let (workspace, table) =
            name.split_once('/').map_or((None, name), |(workspace, table)| (Some(workspace), table));
        Some(Named { workspace: workspace.map(str::to_owned), table: table.to_owned() })
    }
}

/// Azure's keys count without regard to case.
fn member<'v>(object: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    object.get(key).or_else(|| object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value))
}
