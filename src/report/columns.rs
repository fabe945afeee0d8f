//! The columns of a table and how many of its rows have a value in each, counted from footers alone. Pure.
//!
//! A value that does not fit its column, or has none, stands in `_hf_rest`: footers tell in how many rows, and of the
//! members there those in the beginning of the smallest and of the largest text. They are named, as "at least".

use std::collections::{BTreeMap, BTreeSet};

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;
use serde::Serialize;

use crate::archive::schema::{REST, TableSchema, fold};

/// The columns of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Columns {
    /// Rows of the segments whose footers were counted.
    pub rows: u64,
    pub segments: u64,
    pub columns: Vec<ColumnFacts>,
    pub rest: RestFacts,
    #[serde(skip)]
    by_name: BTreeMap<String, usize>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnFacts {
    pub name: String,
    /// As SQL users see it: `text`, `json`, `bool`, `int`, `long`, `double`, `timestamp`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The column that says when the event was.
    pub time: bool,
    /// Rows with a value in the column itself; others may have one in `_hf_rest`.
    pub values: u64,
    /// Rows of which no footer says whether they have one.
    pub unknown: u64,
    /// Rows that lie under a bloom filter of this column.
    pub indexed: u64,
    /// Some of its values are known to stand in `_hf_rest`; false: none is known to.
    pub in_rest: bool,
}

/// What stands in no column of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RestFacts {
    /// Rows that have something there.
    pub rows: u64,
    /// Rows of which no footer says whether they have.
    pub unknown: u64,
    /// Names that stand there, at least these.
    pub names: BTreeSet<String>,
}

impl Columns {
    /// The columns of `schema`, nothing counted yet.
    pub fn new(schema: &TableSchema) -> Self {
        let time = schema.time();
        let column = |(at, column): (usize, &crate::archive::schema::Column)| ColumnFacts {
            name: column.name.clone(),
            kind: column.kind.word(),
            time: time == Some(at),
            values: 0,
            unknown: 0,
            indexed: 0,
            in_rest: false,
        };
        let columns: Vec<ColumnFacts> = schema.columns().iter().enumerate().map(column).collect();
        let by_name = columns.iter().enumerate().map(|(at, column)| (fold(&column.name), at)).collect();
        Columns { rows: 0, segments: 0, columns, rest: RestFacts::default(), by_name }
    }

    /// Adds what a segment's footer says. A column that the segment does not have has no value in it.
    pub fn count(&mut self, footer: &ParquetMetaData) {
        self.segments += 1;
        for group in footer.row_groups() {
            let rows = count(group.num_rows());
            self.rows += rows;
            for chunk in group.columns() {
                let name = chunk.column_path().string();
                let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
                if name == REST {
                    self.rest.rows += nulls.map_or(0, |nulls| rows.saturating_sub(nulls));
                    self.rest.unknown += if nulls.is_none() { rows } else { 0 };
                    self.rest.names.extend(names_in(chunk));
                } else if let Some(&at) = self.by_name.get(&fold(&name)) {
                    let column = &mut self.columns[at];
                    column.values += nulls.map_or(0, |nulls| rows.saturating_sub(nulls));
                    column.unknown += if nulls.is_none() { rows } else { 0 };
                    column.indexed += if chunk.bloom_filter_offset().is_some() { rows } else { 0 };
                }
            }
        }
        for name in &self.rest.names {
            if let Some(&at) = self.by_name.get(&fold(name)) {
                self.columns[at].in_rest = true;
            }
        }
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Names that stand in the smallest and in the largest text of `_hf_rest`, as far as statistics have them.
fn names_in(chunk: &ColumnChunkMetaData) -> Vec<String> {
    let Some(statistics) = chunk.statistics() else { return Vec::new() };
    [statistics.min_bytes_opt(), statistics.max_bytes_opt()].into_iter().flatten().flat_map(whole_names).collect()
}

/// The names of a JSON object's members, of those that are there whole: statistics cut texts off anywhere, and may change
/// the byte before the cut.
fn whole_names(text: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let Some(end) = end_of_string(text, at) else { break };
                let follows = text[end..].iter().find(|byte| !byte.is_ascii_whitespace());
                if depth == 1
                    && follows == Some(&b':')
                    && let Ok(name) = serde_json::from_slice(&text[at..end])
                {
                    names.push(name);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    names
}

/// Where the string ends that begins at `from`: behind its closing quote.
fn end_of_string(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        match text.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_only_whole() {
        let cases: [(&str, &[&str]); 11] = [
            (r#"{"extra":1}"#, &["extra"]),
            (r#"{ "a \"b\"" : {"inner":["x"]}, "c":"d"#, &["a \"b\"", "c"]),
            (r#"{"\u0041":"x","B":"y"}"#, &["A", "B"]),
            (r#"{"a":"{\"b\":1}","c":[{"d":1}]}"#, &["a", "c"]),
            (r#"{"a":1,"cut of"#, &["a"]),
            (r#"{"a":1,"cut off""#, &["a"]),
            (r#"{"cut of\"#, &[]),
            ("{}", &[]),
            ("{", &[]),
            ("", &[]),
            (r#"["a"]"#, &[]),
        ];
        for (text, names) in cases {
            assert_eq!(whole_names(text.as_bytes()), names, "{text}");
        }
        assert!(whole_names(b"{\"na\xff\":1").is_empty(), "what is no text names nothing");
    }
}
