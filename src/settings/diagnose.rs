//! Mistakes in files that people write: each with file, line, marked span and hint, all of them at once.
//!
//! Rendered as rustc renders its own. Nothing here decides what is a mistake; nothing here prints. A mistake knows
//! its whole file, so that it can be shown long after the file was read.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// A text file as it was read; `name` is what people are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// What is wrong with one value, before anyone knows where the value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub title: String,
    /// A few words for under the mark.
    pub label: String,
    /// What was probably meant, or what to write instead.
    pub hint: Option<String>,
    /// The value may be a secret: it is not shown.
    secret: bool,
}

impl Problem {
    pub fn new(title: impl Into<String>, label: impl Into<String>) -> Self {
        Problem { title: title.into(), label: label.into(), hint: None, secret: false }
    }

    /// Says that the value must not be shown. (The title must not show it either.)
    pub fn of_secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hint {
            Some(hint) => write!(f, "{} ({hint})", self.title),
            None => f.write_str(&self.title),
        }
    }
}

impl StdError for Problem {}

/// A marked piece of a file.
#[derive(Debug, Clone)]
struct Place {
    source: Arc<Source>,
    span: Range<usize>,
    label: String,
}

/// One mistake in a file (or, without a place, of a whole file or folder).
#[derive(Debug, Clone)]
pub struct Mistake {
    title: String,
    file: String,
    places: Vec<Place>,
    hint: Option<String>,
    absence: bool,
}

impl Mistake {
    /// A mistake at `span` (bytes) of `source`.
    pub fn at(source: &Arc<Source>, span: Range<usize>, problem: Problem) -> Self {
        let Problem { title, label, hint, secret } = problem;
        let span = fitting(&source.text, span);
        let place = Place { source: Arc::clone(source), span: span.clone(), label };
        let mistake = Mistake { title, file: source.name.clone(), places: vec![place], hint, absence: false };
        if secret { mistake.hiding(span) } else { mistake }
    }

    /// Shows stars for `span`: the file of a mistake may hold a secret, its report may end in a log.
    pub fn hiding(mut self, span: Range<usize>) -> Self {
        for place in &mut self.places {
            let Source { name, text } = place.source.as_ref();
            let span = fitting(text, span.clone());
            let text = format!("{}{}{}", &text[..span.start], "*".repeat(span.len()), &text[span.end..]);
            place.source = Arc::new(Source { name: name.clone(), text });
        }
        self
    }

    /// A mistake of a whole file or folder, of which there is nothing to show.
    pub fn of_file(file: impl Into<String>, problem: Problem) -> Self {
        Mistake { title: problem.title, file: file.into(), places: Vec::new(), hint: problem.hint, absence: false }
    }

    /// Marks a second place that has to do with it, perhaps in another file.
    pub fn and_at(mut self, source: &Arc<Source>, span: Range<usize>, label: impl Into<String>) -> Self {
        let span = fitting(&source.text, span);
        self.places.push(Place { source: Arc::clone(source), span, label: label.into() });
        self
    }

    /// Says that the mistake is something missing: not to be believed of a file with broken syntax.
    pub fn of_absence(mut self) -> Self {
        self.absence = true;
        self
    }

    pub fn is_absence(&self) -> bool {
        self.absence
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The name of the file (or folder) it is in.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line it starts on, from 1; none for a mistake of a whole file.
    pub fn line(&self) -> Option<usize> {
        self.places.first().map(|place| line_of(&place.source.text, place.span.start))
    }

    /// The byte it starts at, to put mistakes in the order of the file.
    pub fn start(&self) -> usize {
        self.places.first().map_or(0, |place| place.span.start)
    }

    /// The mistake as rustc would print it, without a line end after the last line.
    pub fn render(&self, color: bool) -> String {
        self.render_as(Level::ERROR, color)
    }

    fn render_as(&self, level: Level<'_>, color: bool) -> String {
        let title = level.primary_title(self.title.as_str());
        let mut group = Group::with_title(title);
        if self.places.is_empty() {
            group = group.element(Origin::path(normalize_untrusted_str(&self.file)));
        }
        let mut from = 0;
        while let Some(first) = self.places.get(from) {
            // Neighbouring places in one file share a snippet.
            let same = self.places[from..].iter().take_while(|place| place.source == first.source).count();
            let annotations = self.places[from..from + same].iter().enumerate().map(|(index, place)| {
                let kind = if from + index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
                kind.span(place.span.clone()).label(normalize_untrusted_str(&place.label))
            });
            let snippet = Snippet::source(first.source.text.as_str())
                .path(normalize_untrusted_str(&first.source.name))
                .annotations(annotations);
            group = group.element(snippet);
            from += same;
        }
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(normalize_untrusted_str(hint)));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

/// `{"file", "line", "title", "hint"}`; `line` is null for a mistake of a whole file.
impl Serialize for Mistake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Mistake", 4)?;
        fields.serialize_field("file", &self.file)?;
        fields.serialize_field("line", &self.line())?;
        fields.serialize_field("title", &self.title)?;
        fields.serialize_field("hint", &self.hint)?;
        fields.end()
    }
}

/// Something that is allowed but probably not meant, shown like a mistake.
#[derive(Debug, Clone, Serialize)]
pub struct Warning(Mistake);

impl Warning {
    pub fn new(about: Mistake) -> Self {
        Warning(about)
    }

    pub fn title(&self) -> &str {
        self.0.title()
    }

    pub fn hint(&self) -> Option<&str> {
        self.0.hint()
    }

    pub fn file(&self) -> &str {
        self.0.file()
    }

    pub fn line(&self) -> Option<usize> {
        self.0.line()
    }

    /// As [`Mistake::render`], headed `warning`.
    pub fn render(&self, color: bool) -> String {
        self.0.render_as(Level::WARNING, color)
    }
}

/// All mistakes, a blank line between two.
pub fn render_all(mistakes: &[Mistake], color: bool) -> String {
    let rendered: Vec<String> = mistakes.iter().map(|mistake| mistake.render(color)).collect();
    rendered.join("\n\n")
}

/// "3 mistakes in 2 files", or the one mistake's title with its place.
pub fn summary(mistakes: &[Mistake]) -> String {
    if let [only] = mistakes {
        return match only.line() {
            Some(line) => format!("{} ({}, line {line})", only.title, only.file),
            None => format!("{} ({})", only.title, only.file),
        };
    }
    let mut files: Vec<&str> = mistakes.iter().map(Mistake::file).collect();
    files.sort_unstable();
    files.dedup();
    let plural = if files.len() == 1 { "" } else { "s" };
    format!("{} mistakes in {} file{plural}", mistakes.len(), files.len())
}

/// The line (from 1) in which the byte `at` stands.
pub fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// The candidate that looks most like `word`, case and `-`/`_` aside; none if all are too far off to suggest.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let word = plain(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `span` moved inside `text` and onto its character borders: a renderer must never fail on a mistake.
fn fitting(text: &str, span: Range<usize>) -> Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Arc<Source> {
        Arc::new(Source { name: "a.toml".into(), text: text.into() })
    }

    #[test]
    fn any_span_of_any_text_renders() {
        for text in ["", "\n", "é", "a = 1", "a\r\nb\u{1b}[31m\0", "\u{feff}x"] {
            for start in 0..8 {
                for end in 0..9 {
                    let mistake = Mistake::at(&source(text), Range { start, end }, Problem::new("wrong", "here"));
                    assert!(mistake.render(false).contains("a.toml"), "{text:?} {start} {end}");
                    assert!(mistake.line().is_some_and(|line| line >= 1));
                }
            }
        }
    }

    #[test]
    fn hostile_text_cannot_color_the_terminal() {
        let hostile = source("x = \"\u{1b}[31m\"");
        let problem = Problem::new("odd \u{1b}[31m", "\u{1b}[31m").with_hint("\u{1b}[31m");
        assert!(!Mistake::at(&hostile, 0..1, problem).render(false).contains('\u{1b}'));
    }

    #[test]
    fn color_is_asked_for() {
        let mistake = Mistake::at(&source("a = 1"), 0..1, Problem::new("wrong", "here"));
        assert!(mistake.render(true).contains('\u{1b}'));
        assert!(!mistake.render(false).contains('\u{1b}'));
        assert!(Warning::new(mistake).render(false).starts_with("warning: wrong"));
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = "url = \"s3://key:sécret@bucket\"\nnext = 1";
        let problem = Problem::new("holds a password", "credentials").of_secret();
        let rendered = Mistake::at(&source(text), 6..31, problem).render(false);
        assert!(!rendered.contains("cret") && rendered.contains("****") && rendered.contains("credentials"));
    }

    #[test]
    fn as_json_a_mistake_has_file_line_title_and_hint() {
        let mistake = Mistake::at(&source("a\nb"), 2..3, Problem::new("wrong", "").with_hint("mend it"));
        let json = serde_json::to_value(Warning::new(mistake)).unwrap();
        assert_eq!(json, serde_json::json!({"file": "a.toml", "line": 2, "title": "wrong", "hint": "mend it"}));
    }

    #[test]
    fn the_nearest_word_is_near() {
        let keys = ["retain", "archive_after", "keep_raw"];
        assert_eq!(nearest("retian", keys), Some("retain"));
        assert_eq!(nearest("archiveAfter", keys), Some("archive_after"));
        assert_eq!(nearest("keep-raw", keys), Some("keep_raw"));
        assert_eq!(nearest("colour", keys), None);
    }

    #[test]
    fn summaries_count_files() {
        let one = Mistake::at(&source("a\nb"), 2..3, Problem::new("wrong", ""));
        let other = Mistake::of_file("b.toml", Problem::new("not UTF-8", ""));
        assert_eq!(summary(std::slice::from_ref(&one)), "wrong (a.toml, line 2)");
        assert_eq!(summary(&[one.clone(), one, other]), "3 mistakes in 2 files");
    }
}
