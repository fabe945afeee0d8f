//! Path templates: placeholders, literals, `*` within a segment, `**` for any depth.
//!
//! Matching tries the shortest text for `{table}` and `*` first and goes back where the rest does not fit, so that a
//! match does not depend on luck. Captured numbers are in range, but need not be a date yet: that is the layout's to say.

use crate::error::{Error, Kind, Result};

/// A number that a path may tell, from coarse to fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Year,
    Month,
    Day,
    Hour,
    Minute,
}

impl Field {
    const ALL: [Field; 5] = [Field::Year, Field::Month, Field::Day, Field::Hour, Field::Minute];

    pub(super) fn name(self) -> &'static str {
        match self {
            Field::Year => "year",
            Field::Month => "month",
            Field::Day => "day",
            Field::Hour => "hour",
            Field::Minute => "minute",
        }
    }

    fn holds(self, number: u16) -> bool {
        match self {
            Field::Year => true,
            Field::Month => (1..=12).contains(&number),
            Field::Day => (1..=31).contains(&number),
            Field::Hour => number < 24,
            Field::Minute => number < 60,
        }
    }
}

/// What a path gave for each placeholder.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Captures<'p> {
    pub(super) table: Option<&'p str>,
    numbers: [Option<u16>; 5],
}

impl<'p> Captures<'p> {
    pub(super) fn get(&self, field: Field) -> Option<u16> {
        self.numbers[field as usize]
    }

    pub(super) fn finest(&self) -> Option<Field> {
        Field::ALL.into_iter().rev().find(|field| self.get(*field).is_some())
    }

    /// With one number more; `None` if it is out of range or another was seen before.
    fn with(mut self, field: Field, digits: &str) -> Option<Self> {
        let number = digits.parse().ok().filter(|number| field.holds(*number))?;
        match self.numbers[field as usize].replace(number) {
            Some(before) if before != number => None,
            _ => Some(self),
        }
    }

    /// Names compare without case; the first spelling stays.
    fn with_table(mut self, name: &'p str) -> Option<Self> {
        match self.table {
            Some(before) if before.to_lowercase() != name.to_lowercase() => None,
            Some(_) => Some(self),
            None => {
                self.table = Some(name);
                Some(self)
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Literal(String),
    Table,
    /// Exactly so many digits, or (`loose`) one or two.
    Number {
        field: Field,
        loose: bool,
    },
    /// `YYYY-MM-DD`.
    Date,
    /// Any text within a segment, also none.
    Star,
    /// Any number of whole segments with their `/`, also none.
    Folders,
    /// Everything that is left, at least one segment.
    Rest,
}

/// A template, ready to match.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template {
    tokens: Vec<Token>,
}

impl Template {
    /// True if it has `{table}`.
    pub(super) fn names_table(&self) -> bool {
        self.tokens.contains(&Token::Table)
    }

    /// Reads a template; [`super::layout::Layout::parse`] says what errors look like.
    pub(super) fn parse(text: &str) -> Result<Template> {
        let pieces = Parser { text, pieces: Vec::new() }.parse()?;
        let mut tokens: Vec<Token> = pieces.into_iter().map(|(_, token)| token).collect();
        for at in 0..tokens.len() {
            let before = match at.checked_sub(1).map(|before| &tokens[before]) {
                Some(Token::Literal(text)) => !text.ends_with(|c: char| c.is_ascii_digit()),
                before => before.is_none(),
            };
            let after = match tokens.get(at + 1) {
                Some(Token::Literal(text)) => !text.starts_with(|c: char| c.is_ascii_digit()),
                after => after.is_none(),
            };
            if let Token::Number { field, loose } = &mut tokens[at] {
                *loose = *field != Field::Year && before && after;
            }
        }
        Ok(Template { tokens })
    }

    /// What `accept` makes of the first way to match the whole of `path` that it takes.
    pub(super) fn captures<'p, T>(
        &self,
        path: &'p str,
        accept: &mut impl FnMut(&Captures<'p>) -> Option<T>,
    ) -> Option<T> {
        step(&self.tokens, path, Captures::default(), accept)
    }

    /// The finest number that the template tells.
    pub(super) fn finest(&self) -> Option<Field> {
        self.tokens.iter().filter_map(|token| token.fields().last().copied()).max()
    }
}

impl Token {
    fn fields(&self) -> &[Field] {
        match self {
            Token::Number { field: Field::Year, .. } => &Field::ALL[..1],
            Token::Number { field: Field::Month, .. } => &Field::ALL[1..2],
            Token::Number { field: Field::Day, .. } => &Field::ALL[2..3],
            Token::Number { field: Field::Hour, .. } => &Field::ALL[3..4],
            Token::Number { field: Field::Minute, .. } => &Field::ALL[4..],
            Token::Date => &Field::ALL[..3],
            Token::Literal(_) | Token::Table | Token::Star | Token::Folders | Token::Rest => &[],
        }
    }
}

fn step<'p, T>(
    tokens: &[Token],
    text: &'p str,
    captures: Captures<'p>,
    accept: &mut impl FnMut(&Captures<'p>) -> Option<T>,
) -> Option<T> {
    let Some((token, rest)) = tokens.split_first() else {
        return if text.is_empty() { accept(&captures) } else { None };
    };
    match token {
        Token::Literal(literal) => step(rest, text.strip_prefix(literal.as_str())?, captures, accept),
        Token::Star => ends(text).find_map(|end| step(rest, &text[end..], captures, accept)),
        Token::Table => ends(text).filter(|end| *end > 0).find_map(|end| {
            let (name, after) = text.split_at(end);
            step(rest, after, captures.with_table(name)?, accept)
        }),
        Token::Number { field, loose } => {
            let lengths: &[usize] = match (field, loose) {
                (Field::Year, _) => &[4],
                (_, false) => &[2],
                (_, true) => &[2, 1],
            };
            lengths.iter().find_map(|length| {
                let (digits, after) = split_digits(text, *length)?;
                step(rest, after, captures.with(*field, digits)?, accept)
            })
        }
        Token::Date => {
            let (year, after) = split_digits(text, 4)?;
            let (month, after) = split_digits(after.strip_prefix('-')?, 2)?;
            let (day, after) = split_digits(after.strip_prefix('-')?, 2)?;
            let captures = captures.with(Field::Year, year)?.with(Field::Month, month)?.with(Field::Day, day)?;
            step(rest, after, captures, accept)
        }
        Token::Folders => {
            let skips = std::iter::once(0).chain(text.match_indices('/').map(|(at, _)| at + 1));
            skips.into_iter().find_map(|skip| step(rest, &text[skip..], captures, accept))
        }
        Token::Rest => {
            if text.is_empty() {
                None
            } else {
                step(rest, "", captures, accept)
            }
        }
    }
}

/// Where a text that starts here may end within its segment, shortest first.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    let segment = text.find('/').map_or(text, |end| &text[..end]);
    segment.char_indices().map(|(at, _)| at).chain(std::iter::once(segment.len()))
}

fn split_digits(text: &str, length: usize) -> Option<(&str, &str)> {
    let (digits, after) = text.split_at_checked(length)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some((digits, after))
}

/// Tokens with the character (from 1) at which each begins.
struct Parser<'t> {
    text: &'t str,
    pieces: Vec<(usize, Token)>,
}

impl Parser<'_> {
    fn parse(mut self) -> Result<Vec<(usize, Token)>> {
        if let Some(at) = self.text.chars().position(|c| c == '\\') {
            return Err(self.wrong(at + 1, "`\\` separates nothing here", "write `/` between folders, on Windows too"));
        }
        let mut position = 1;
        let segments: Vec<&str> = self.text.split('/').collect();
        for (index, segment) in segments.iter().enumerate() {
            let last = index + 1 == segments.len();
            self.check_segment(segment, position, index == 0, last)?;
            if *segment == "**" {
                if self.pieces.iter().any(|(_, token)| *token == Token::Folders) {
                    return Err(self.wrong(position, "a second `**`", "one `**` stands for any depth: drop the other"));
                }
                self.pieces.push((position, if last { Token::Rest } else { Token::Folders }));
            } else {
                self.segment(segment, position)?;
                if !last {
                    self.literal(position + segment.chars().count(), "/");
                }
            }
            position += segment.chars().count() + 1;
        }
        self.check_whole()?;
        Ok(self.pieces)
    }

    fn check_segment(&self, segment: &str, position: usize, first: bool, last: bool) -> Result<()> {
        let (at, what, hint) = match (segment, first, last) {
            ("", true, true) => (1, "it is empty", "write for example `{table}/{year}/{month}/{day}/{hour}/*`"),
            ("", true, false) => (1, "begins with `/`", "drop it: paths are relative to the source's url"),
            ("", false, true) => (position - 1, "ends with `/`", "add `*` for the objects in that folder"),
            ("", false, false) => (position, "two `/` with nothing between them", "drop one"),
            ("." | "..", ..) => {
                (position, &*format!("`{segment}` is no folder's name"), "point the source's url there instead")
            }
            _ => return Ok(()),
        };
        Err(self.wrong(at, what, hint))
    }

    /// The tokens of one segment, which starts at character `position`.
    fn segment(&mut self, segment: &str, mut position: usize) -> Result<()> {
        let mut wildcards = 0;
        let mut rest = segment;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '{' => {
                    let Some(end) = rest.find('}') else {
                        return Err(self.wrong(position, "`{` is never closed", "close the placeholder with `}`"));
                    };
                    let token = self.placeholder(&rest[1..end], position)?;
                    wildcards += usize::from(token == Token::Table);
                    self.apart(&token, position)?;
                    self.pieces.push((position, token));
                    end + 1
                }
                '}' => return Err(self.wrong(position, "`}` closes nothing", "open the placeholder with `{`")),
                '*' if rest.starts_with("**") => {
                    return Err(self.wrong(position, "`**` stands alone between `/`", "within a name, write `*`"));
                }
                '*' => {
                    wildcards += 1;
                    self.apart(&Token::Star, position)?;
                    self.pieces.push((position, Token::Star));
                    1
                }
                _ => {
                    let end = rest.find(['{', '}', '*']).unwrap_or(rest.len());
                    self.literal(position, &rest[..end]);
                    end
                }
            };
            // More would make matching slow, and its outcome hard to foresee.
            if wildcards > 3 {
                return Err(self.wrong(position, "a fourth wildcard in one name", "say more of the name, or less"));
            }
            position += rest[..length].chars().count();
            rest = &rest[length..];
        }
        Ok(())
    }

    fn placeholder(&self, name: &str, position: usize) -> Result<Token> {
        match name {
            "table" => return Ok(Token::Table),
            "date" => return Ok(Token::Date),
            _ => {}
        }
        if let Some(field) = Field::ALL.into_iter().find(|field| field.name() == name) {
            return Ok(Token::Number { field, loose: false });
        }
        const NAMES: [&str; 7] = ["table", "date", "year", "month", "day", "hour", "minute"];
        let lower = name.trim().to_lowercase();
        let nearest = NAMES.iter().find(|known| **known == lower || strsim::damerau_levenshtein(known, &lower) <= 2);
        let hint = match nearest {
            Some(known) => format!("did you mean `{{{known}}}`?"),
            None => "there are {table}, {date}, {year}, {month}, {day}, {hour}, {minute}, and `*` for the rest".into(),
        };
        Err(self.wrong(position, &format!("no placeholder is called `{{{name}}}`"), hint))
    }

    /// Two texts of any length side by side cannot be told apart.
    fn apart(&self, token: &Token, position: usize) -> Result<()> {
        let open = |token: &Token| matches!(token, Token::Table | Token::Star);
        let name = |token: &Token| if *token == Token::Table { "{table}" } else { "*" };
        match self.pieces.last() {
            Some((_, before)) if open(before) && open(token) => Err(self.wrong(
                position,
                &format!("nothing stands between `{}` and `{}`", name(before), name(token)),
                "write what separates them, such as `-`",
            )),
            _ => Ok(()),
        }
    }

    fn literal(&mut self, position: usize, text: &str) {
        match self.pieces.last_mut() {
            Some((_, Token::Literal(before))) => before.push_str(text),
            _ => self.pieces.push((position, Token::Literal(text.to_owned()))),
        }
    }

    /// A period needs all that is coarser than its finest number.
    fn check_whole(&self) -> Result<()> {
        let tells = |field: &Field| self.pieces.iter().any(|(_, token)| token.fields().contains(field));
        for (position, token) in &self.pieces {
            if let Token::Number { field, .. } = token
                && let Some(coarser) = (*field as usize).checked_sub(1).map(|index| Field::ALL[index])
                && !tells(&coarser)
            {
                let (field, coarser) = (field.name(), coarser.name());
                return Err(self.wrong(
                    *position,
                    &format!("`{{{field}}}` needs `{{{coarser}}}`"),
                    format!("add `{{{coarser}}}`, or write `*` in place of `{{{field}}}`"),
                ));
            }
        }
        Ok(())
    }

    fn wrong(&self, position: usize, what: &str, hint: impl Into<String>) -> Error {
        Error::new(Kind::Usage, format!("reading layout `{}`", self.text), format!("at character {position}: {what}"))
            .with_hint(hint)
    }
}
