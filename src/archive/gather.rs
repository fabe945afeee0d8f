//! From rows in memory to the typed values of a column chunk: each distinct token is typed once, rows get its number.
//!
//! Invariants (I9): a value is typed only if it prints back to the same token; the others are named to the caller, who
//! puts them in `_hf_rest`. Values are numbered by first use, so what is written does not depend on the lanes the rows
//! lie in. Memory is the distinct values of the rows asked for and a few bytes a row (I11).

use std::borrow::Cow;
use std::collections::HashMap;

use super::catalogue::ColumnType;
use super::chunk::{ChunkValues, Distinct, NULL, Texts};
use super::column::{Column, Token};
use super::rows::{RowColumn, RowRef};
use crate::record::time::Moment;
use crate::record::{number, text, time};

/// The typed values of one column for some rows.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) values: ChunkValues,
    /// Of a timestamp column, if they were asked for.
    pub(super) tails: Option<ChunkValues>,
    /// Places in the rows whose value does not fit the type, in order.
    pub(super) misfits: Vec<u32>,
}

/// Types the values of a column. `tail`: a timestamp keeps what microseconds can't say; else it does not fit if there is
/// such.
pub(super) fn gather(column: &RowColumn<'_>, kind: ColumnType, rows: &[RowRef], tail: bool) -> Gathered {
    match kind {
        ColumnType::Text => with(column, rows, Texts::default(), append_text, Distinct::Text),
        ColumnType::Json => with(column, rows, Texts::default(), append_json, Distinct::Text),
        ColumnType::Bool => with(column, rows, Vec::new(), |token, all| push(as_bool(token), all), Distinct::Bool),
        ColumnType::Int => {
            with(column, rows, Vec::new(), |token, all| push(number::as_i32(token.bytes), all), Distinct::Int)
        }
        ColumnType::Long => {
            with(column, rows, Vec::new(), |token, all| push(number::as_i64(token.bytes), all), Distinct::Long)
        }
        ColumnType::Double => {
            with(column, rows, Vec::new(), |token, all| push(number::as_f64(token.bytes), all), Distinct::Double)
        }
        ColumnType::Timestamp => instants(column, rows, tail),
    }
}

/// A column of which no row has a value.
pub(super) fn nulls(kind: ColumnType, rows: usize) -> Gathered {
    let distinct = match kind {
        ColumnType::Text | ColumnType::Json => Distinct::Text(Texts::default()),
        ColumnType::Bool => Distinct::Bool(Vec::new()),
        ColumnType::Int => Distinct::Int(Vec::new()),
        ColumnType::Long | ColumnType::Timestamp => Distinct::Long(Vec::new()),
        ColumnType::Double => Distinct::Double(Vec::new()),
    };
    Gathered { values: ChunkValues { ids: vec![NULL; rows], distinct }, tails: None, misfits: Vec::new() }
}

fn with<T>(
    column: &RowColumn<'_>,
    rows: &[RowRef],
    mut typed: T,
    mut append: impl FnMut(Token<'_>, &mut T) -> bool,
    wrap: impl FnOnce(T) -> Distinct,
) -> Gathered {
    let (ids, misfits) = number_values(column, rows, |token| append(token, &mut typed));
    Gathered { values: ChunkValues { ids, distinct: wrap(typed) }, tails: None, misfits }
}

fn instants(column: &RowColumn<'_>, rows: &[RowRef], tail: bool) -> Gathered {
    let mut micros = Vec::new();
    let mut texts = Texts::default();
    let mut numbers: HashMap<String, u32> = HashMap::new();
    // Of each instant, the number of its tail.
    let mut tail_of: Vec<u32> = Vec::new();
    let (ids, misfits) = number_values(column, rows, |token| {
        let Some(moment) = as_moment(token).filter(|moment| tail || moment.tail.is_none()) else { return false };
        micros.push(moment.micros);
        tail_of.push(moment.tail.as_deref().map_or(NULL, |tail| match numbers.get(tail) {
            Some(&number) => number,
            None => {
                let number = texts.len() as u32;
                texts.push(tail.as_bytes());
                numbers.insert(tail.to_owned(), number);
                number
            }
        }));
        true
    });
    let tails = tail.then(|| ChunkValues {
        ids: ids.iter().map(|&id| tail_of.get(id as usize).copied().unwrap_or(NULL)).collect(),
        distinct: Distinct::Text(texts),
    });
    Gathered { values: ChunkValues { ids, distinct: Distinct::Long(micros) }, tails, misfits }
}

/// For each row the number of its value, as `append` took them in; and the places of those it refused.
fn number_values(
    column: &RowColumn<'_>,
    rows: &[RowRef],
    mut append: impl FnMut(Token<'_>) -> bool,
) -> (Vec<u32>, Vec<u32>) {
    let mut ids = Vec::with_capacity(rows.len());
    let mut misfits = Vec::new();
    let mut appended = 0;
    let mut take = |token: Token<'_>| {
        let fits = append(token);
        appended += u32::from(fits);
        if fits { Code::value(appended - 1) } else { Code::MISFIT }
    };
    let mut note = |place: usize, code: Code| match code.number() {
        Some(number) => number,
        None => {
            misfits.push(place as u32);
            NULL
        }
    };
    let plain = column.lanes.iter().flatten().any(|lane| lane.is_plain());
    if plain {
        for (place, &row) in rows.iter().enumerate() {
            let token = lane_of(column, row).and_then(|lane| Some(lane.token(lane.find(row.row())?)));
            ids.push(token.map_or(NULL, |token| note(place, take(token))));
        }
        return (ids, misfits);
    }
    let mut seen: Vec<Seen> =
        column.lanes.iter().map(|lane| Seen::new(lane.map_or(0, Column::entries), rows)).collect();
    // What several lanes have interned, each by itself, is one value.
    let mut shared: Option<HashMap<&[u8], Code, ahash::RandomState>> =
        (column.lanes.iter().flatten().count() > 1).then(HashMap::default);
    for (place, &row) in rows.iter().enumerate() {
        let lane = lane_of(column, row);
        let Some((lane, entry)) = lane.and_then(|lane| Some((lane, lane.find(row.row())?))) else {
            ids.push(NULL);
            continue;
        };
        let known = seen[row.lane()].get(entry);
        let code = if known != Code::UNSEEN {
            known
        } else {
            let token = lane.token(entry);
            let code = match &mut shared {
                None => take(token),
                Some(shared) => *shared.entry(token.bytes).or_insert_with(|| take(token)),
            };
            seen[row.lane()].set(entry, code);
            code
        };
        ids.push(note(place, code));
    }
    (ids, misfits)
}

fn lane_of<'a>(column: &RowColumn<'a>, row: RowRef) -> Option<&'a Column> {
    column.lanes[row.lane()]
}

/// What became of an entry: not looked at, a value's number, or a misfit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Code(u32);

impl Code {
    const UNSEEN: Code = Code(0);
    const MISFIT: Code = Code(1);

    fn value(number: u32) -> Self {
        Code(number + 2)
    }

    fn number(self) -> Option<u32> {
        self.0.checked_sub(2)
    }
}

/// The codes of a lane's entries: by place, or in a map where only a few of them can come.
enum Seen {
    Each(Vec<Code>),
    Few(HashMap<u32, Code>),
}

impl Seen {
    fn new(entries: usize, rows: &[RowRef]) -> Self {
        if entries > 16 * rows.len() { Seen::Few(HashMap::new()) } else { Seen::Each(vec![Code::UNSEEN; entries]) }
    }

    #[inline]
    fn get(&self, entry: u32) -> Code {
        match self {
            Seen::Each(codes) => codes[entry as usize],
            Seen::Few(codes) => codes.get(&entry).copied().unwrap_or(Code::UNSEEN),
        }
    }

    fn set(&mut self, entry: u32, code: Code) {
        match self {
            Seen::Each(codes) => codes[entry as usize] = code,
            Seen::Few(codes) => {
                codes.insert(entry, code);
            }
        }
    }
}

fn push<T>(value: Option<T>, all: &mut Vec<T>) -> bool {
    value.map(|value| all.push(value)).is_some()
}

fn append_json(token: Token<'_>, texts: &mut Texts) -> bool {
    texts.push(token.bytes);
    true
}

/// Appends the decoded text of a string; nothing, and `false`, if it is none or has unpaired surrogates.
fn append_text(token: Token<'_>, texts: &mut Texts) -> bool {
    let [b'"', body @ .., b'"'] = token.bytes else { return false };
    if !token.escaped {
        texts.push(body);
        return true;
    }
    let decoded = text::unescape(body);
    if let Ok(text) = &decoded {
        texts.push(text.as_bytes());
    }
    decoded.is_ok()
}

/// True if the value prints back to its token from a column of this type.
pub(super) fn fits(token: Token<'_>, kind: ColumnType) -> bool {
    match kind {
        ColumnType::Text => as_text(token).is_some(),
        ColumnType::Json => true,
        ColumnType::Bool => as_bool(token).is_some(),
        ColumnType::Int => number::as_i32(token.bytes).is_some(),
        ColumnType::Long => number::as_i64(token.bytes).is_some(),
        ColumnType::Double => number::as_f64(token.bytes).is_some(),
        ColumnType::Timestamp => as_moment(token).is_some(),
    }
}

/// The decoded text of a string without unpaired surrogates.
fn as_text(token: Token<'_>) -> Option<Cow<'_, str>> {
    let [b'"', body @ .., b'"'] = token.bytes else { return None };
    if token.escaped { text::unescape(body).ok() } else { std::str::from_utf8(body).ok().map(Cow::Borrowed) }
}

fn as_bool(token: Token<'_>) -> Option<bool> {
    match token.bytes {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

pub(super) fn as_moment(token: Token<'_>) -> Option<Moment> {
    time::parse(&as_text(token)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::rows::{RowBuffer, RowMeta, groups};
    use crate::archive::schema::TableSchema;
    use proptest::prelude::*;

    fn buffer(tokens: &[Option<String>], lanes: usize) -> RowBuffer {
        let mut buffer = RowBuffer::new(&TableSchema::new(None, None).unwrap(), lanes);
        let meta = RowMeta { day: jiff::civil::date(2024, 1, 1), part: 0, micros: 0, source: 0 };
        for (chunk, token) in tokens.iter().enumerate() {
            let lane = &mut buffer.lanes[chunk % lanes];
            lane.begin_chunk(chunk as u32);
            let record = token.as_ref().map_or("{}".to_owned(), |token| format!("{{\"a\":{token}}}"));
            lane.push(record.as_bytes(), meta).unwrap();
        }
        buffer
    }

    fn gathered(buffer: &RowBuffer, kind: ColumnType, tail: bool) -> Gathered {
        let rows = groups(buffer).remove(0).rows;
        gather(&buffer.columns()[0], kind, &rows, tail)
    }

    #[test]
    fn i9_what_does_not_fit_is_named() {
        let tokens = ["\"a\"", "1", "true", "\"\\ud800\"", "{}", "1.0", "\"2024-01-01T00:00:00Z\"", "\"\\u0041\""];
        for lanes in [1, 3] {
            let buffer = buffer(&tokens.map(|token| Some(token.to_owned())), lanes);
            for (kind, fitting) in [
                (ColumnType::Text, &[0, 6, 7][..]),
                (ColumnType::Json, &[0, 1, 2, 3, 4, 5, 6, 7]),
                (ColumnType::Bool, &[2]),
                (ColumnType::Int, &[1]),
                (ColumnType::Long, &[1]),
                (ColumnType::Double, &[1]),
                (ColumnType::Timestamp, &[6]),
            ] {
                let found = gathered(&buffer, kind, true);
                let present: Vec<u32> = (0..8).filter(|&row| found.values.ids[row as usize] != NULL).collect();
                assert_eq!(present, fitting, "{kind:?}");
                assert_eq!(found.misfits, (0..8).filter(|row| !fitting.contains(row)).collect::<Vec<_>>(), "{kind:?}");
                assert_eq!(found.tails.is_some(), kind == ColumnType::Timestamp);
            }
            let without_tail = gathered(&buffer, ColumnType::Timestamp, false);
            assert_eq!(without_tail.misfits.len(), 8, "it would lose how the time was written");
        }
    }

    #[test]
    fn tails_are_numbered_as_they_come() {
        let times = ["00.0000000Z", "00.000001Z", "01.0000000Z", "02.0000005Z"];
        let tokens = times.map(|time| Some(format!("\"2024-01-01T00:00:{time}\"")));
        let found = gathered(&buffer(&tokens, 2), ColumnType::Timestamp, true);
        assert_eq!(found.values.ids, [0, 1, 2, 3]);
        assert_eq!(found.tails.unwrap().ids, [0, NULL, 0, 1]);
    }

    proptest! {
        #[test]
        fn values_are_numbered_by_first_use_whatever_the_lanes(
            tokens in prop::collection::vec(prop::option::of(prop::sample::select(vec!["\"a\"", "\"b\"", "1", "\"\\u0061\"", "\"\""])), 1..60),
            lanes in 1_usize..4
        ) {
            let tokens: Vec<Option<String>> = tokens.into_iter().map(|token| token.map(str::to_owned)).collect();
            prop_assume!(tokens.iter().any(Option::is_some));
            let found = gathered(&buffer(&tokens, lanes), ColumnType::Text, false);
            let Distinct::Text(texts) = &found.values.distinct else { panic!() };
            let mut next = 0;
            for (token, &id) in tokens.iter().zip(&found.values.ids) {
                let text = match token.as_deref() {
                    Some("1") | None => None,
                    Some("\"\\u0061\"") => Some("a"),
                    Some(quoted) => Some(quoted.trim_matches('"')),
                };
                prop_assert_eq!(text.is_none(), id == NULL);
                if let Some(text) = text {
                    prop_assert_eq!(texts.get(id as usize), text.as_bytes());
                    prop_assert!(id <= next, "{} after {}", id, next);
                    next = next.max(id + 1);
                }
            }
            prop_assert_eq!(texts.len() as u32, next);
        }
    }
}
