//! A table's columns: which names may be one, of which type they are, and how Delta is told.
//!
//! Invariants: a column's name and type never change once it is there; no two names are equal without regard to
//! case; what can't be a column is no loss, since its values go to `_hf_rest` under their own spelling (I9). The time
//! column is always there and always a timestamp; other columns come when a batch first has a value for them, with
//! the catalogue's type, else with the one decided over all values of that batch ([`TableSchema::decide`]).
//!
//! Frozen for Delta: the names `_hf_day`, `_hf_part`, `_hf_source`, `_hf_rest`, `_hf_tail_<column>`, and the column
//! metadata `holdfast.type` (a word of [`ColumnType::word`]) and `holdfast.time` (`true` on the time column).

use std::collections::{BTreeSet, HashMap};

use arrow::datatypes::{DataType as ArrowType, Field, TimeUnit};
use deltalake_core::kernel::{DataType, MetadataValue, PrimitiveType, StructField, StructType};

pub use super::catalogue::{Catalogued, ColumnType, fold};
use super::survey::{Survey, Surveyed};
use crate::error::{Error, Kind, Result};

/// The UTC day of the event: a partition column (Delta `date`), not in the file.
pub const DAY: &str = "_hf_day";
/// The part of the table that the row belongs to, `main` by default: a partition column, not in the file.
pub const PART: &str = "_hf_part";
/// The raw object that the row came from.
pub const SOURCE: &str = "_hf_source";
/// A JSON object: the members that stand in no column of their own, as they were written.
pub const REST: &str = "_hf_rest";
/// Opens the name of the column that keeps what microseconds can't say of a timestamp column.
pub const TAIL_PREFIX: &str = "_hf_tail_";
const RESERVED_PREFIX: &str = "_hf_";

/// The most log columns a table has; values of further names go to `_hf_rest`.
pub const MAX_COLUMNS: usize = 3000;
/// The longest name a column has, in bytes; values of longer names go to `_hf_rest`.
pub const MAX_NAME_BYTES: usize = 200;

/// The key under which a column's metadata names its type.
pub const TYPE_KEY: &str = "holdfast.type";
const TIME_KEY: &str = "holdfast.time";

/// A log column, under its one spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: ColumnType,
}

/// What a name is to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// A column of the table, by its place in [`TableSchema::columns`].
    Known(usize),
    /// It may become a column; the type if the catalogue knows it.
    New(Option<ColumnType>),
    /// It can't be a column: its values go to `_hf_rest`.
    Rest,
}

/// The columns of a table, in Delta's order.
#[derive(Debug, Clone)]
pub struct TableSchema {
    catalogued: Option<Catalogued>,
    time: Option<usize>,
    columns: Vec<Column>,
    tails: BTreeSet<usize>,
    by_fold: HashMap<String, usize>,
}

impl TableSchema {
    /// A table to be created. `time_column` is spelled as the catalogue spells it, if it does; `None` for tables that
    /// have no time of their own (clock `arrival`). Fails with [`Kind::Policy`] if that name can't be a column.
    pub fn new(catalogued: Option<Catalogued>, time_column: Option<&str>) -> Result<Self> {
        let mut schema = TableSchema {
            catalogued,
            time: None,
            columns: Vec::new(),
            tails: BTreeSet::new(),
            by_fold: HashMap::new(),
        };
        if let Some(name) = time_column {
            let spelling = schema.catalogued.as_ref().and_then(|table| table.column(name));
            let name = spelling.map_or(name, |(spelling, _)| spelling);
            if !is_column_name(name) {
                let reason = "a column can't have that name";
                return Err(Error::new(Kind::Policy, format!("creating a table with time column `{name}`"), reason)
                    .with_hint("name another `time_column` in the policy, or set `clock = \"arrival\"`"));
            }
            schema.time = Some(schema.append(name, ColumnType::Timestamp));
        }
        Ok(schema)
    }

    /// The schema of a table that is there. Fails with [`Kind::Damaged`] if it is not one that Holdfast wrote.
    pub fn from_delta(catalogued: Option<Catalogued>, delta: &StructType) -> Result<Self> {
        let mut schema = TableSchema::new(catalogued, None)?;
        let mut tails = Vec::new();
        let mut missing = vec![DAY, PART, SOURCE, REST];
        for field in delta.fields() {
            let name = field.name();
            if let Some(at) = missing.iter().position(|own| own == name) {
                missing.swap_remove(at);
                let wanted = if name == DAY { DataType::DATE } else { DataType::STRING };
                expect_type(field, &wanted)?;
            } else if let Some(column) = name.strip_prefix(TAIL_PREFIX) {
                expect_type(field, &DataType::STRING)?;
                tails.push(column.to_string());
            } else {
                let kind = match field.metadata.get(TYPE_KEY) {
                    Some(MetadataValue::String(word)) => ColumnType::from_word(word),
                    _ => None,
                };
                let kind = kind.ok_or_else(|| strange(name, "its `holdfast.type` is missing or unknown"))?;
                expect_type(field, &delta_type(kind))?;
                if !is_column_name(name) || schema.by_fold.contains_key(&fold(name)) {
                    return Err(strange(name, "its name is taken or can't be one"));
                }
                let at = schema.append(name, kind);
                if field.metadata.contains_key(TIME_KEY)
                    && (kind != ColumnType::Timestamp || schema.time.replace(at).is_some())
                {
                    return Err(strange(name, "it can't be the time column"));
                }
            }
        }
        for column in tails {
            match schema.column(&column).filter(|at| schema.columns[*at].kind == ColumnType::Timestamp) {
                Some(at) => schema.tails.insert(at),
                None => return Err(strange(&column, "it has a tail but is no timestamp column")),
            };
        }
        match missing.first() {
            Some(name) => Err(strange(name, "it is missing")),
            None => Ok(schema),
        }
    }

    /// Every column for Delta, Holdfast's own last; those that a table lacks are to be added to it.
    pub fn delta_fields(&self) -> Vec<StructField> {
        let mut fields = Vec::new();
        for (at, column) in self.columns.iter().enumerate() {
            let field = StructField::nullable(&column.name, delta_type(column.kind))
                .with_metadata([(TYPE_KEY, MetadataValue::from(column.kind.word()))]);
            let time = (self.time == Some(at)).then(|| (TIME_KEY, MetadataValue::from("true")));
            fields.push(field.add_metadata(time));
            if self.tails.contains(&at) {
                fields.push(StructField::nullable(tail_name(&column.name), DataType::STRING));
            }
        }
        fields.push(StructField::nullable(SOURCE, DataType::STRING));
        fields.push(StructField::nullable(REST, DataType::STRING));
        fields.push(StructField::nullable(DAY, DataType::DATE));
        fields.push(StructField::nullable(PART, DataType::STRING));
        fields
    }

    /// The log columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The place of a column, under exactly that spelling.
    pub fn column(&self, name: &str) -> Option<usize> {
        let at = *self.by_fold.get(&fold(name))?;
        (self.columns[at].name == name).then_some(at)
    }

    /// The place of the time column.
    pub fn time(&self) -> Option<usize> {
        self.time
    }

    /// The time column under its one spelling.
    pub fn time_column(&self) -> Option<&str> {
        self.time.map(|at| self.columns[at].name.as_str())
    }

    /// True if the column keeps what microseconds can't say.
    pub fn has_tail(&self, column: usize) -> bool {
        self.tails.contains(&column)
    }

    /// Gives a timestamp column its tail.
    pub fn add_tail(&mut self, column: usize) {
        self.tails.insert(column);
    }

    /// What a name is to this table.
    pub fn admit(&self, name: &str) -> Admission {
        let folded = fold(name);
        if let Some(&at) = self.by_fold.get(&folded) {
            return if self.columns[at].name == name { Admission::Known(at) } else { Admission::Rest };
        }
        if !is_column_name(name) || self.columns.len() >= MAX_COLUMNS {
            return Admission::Rest;
        }
        match self.catalogued.as_ref().and_then(|table| table.column(name)) {
            Some((spelling, _)) if spelling != name => Admission::Rest,
            known => Admission::New(known.map(|(_, kind)| kind)),
        }
    }

    /// Adds a column for each name that a whole batch was surveyed for, had a value, and may be one; in the order of
    /// first sight. Says how many. Types are never reconsidered; [`TableSchema::misjudged`] tells of what they do not hold.
    pub fn decide(&mut self, survey: &Survey) -> usize {
        let before = self.columns.len();
        for surveyed in &survey.columns {
            let Admission::New(known) = self.admit(&surveyed.name) else { continue };
            if let Some(kind) = surveyed.kinds.decide() {
                self.append(&surveyed.name, known.unwrap_or(kind));
            }
        }
        self.columns.len() - before
    }

    /// A column that was decided over a part of a batch, and that the whole of it gives another type.
    pub fn misjudged<'a>(&self, survey: &'a Survey) -> Option<&'a str> {
        let is_decided_here = |surveyed: &&Surveyed| {
            !surveyed.known && self.catalogued.as_ref().is_none_or(|table| table.column(&surveyed.name).is_none())
        };
        let differs = |surveyed: &&Surveyed| {
            let decided = self.column(&surveyed.name).zip(surveyed.kinds.decide());
            decided.is_some_and(|(at, kind)| self.columns[at].kind != kind)
        };
        survey.columns.iter().filter(is_decided_here).find(differs).map(|surveyed| surveyed.name.as_str())
    }

    fn append(&mut self, name: &str, kind: ColumnType) -> usize {
        let at = self.columns.len();
        self.by_fold.insert(fold(name), at);
        self.columns.push(Column { name: name.to_string(), kind });
        at
    }
}

/// True if a log column can have this name, apart from who else has it.
pub fn is_column_name(name: &str) -> bool {
    let reserved = name.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX));
    !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && !reserved
        && !name.chars().any(|c| c.is_control() || " ,;{}()=".contains(c))
}

/// The column that keeps what microseconds can't say of `column`.
pub fn tail_name(column: &str) -> String {
    format!("{TAIL_PREFIX}{column}")
}

/// The column as a segment's reader and writer know it.
pub fn arrow_field(name: &str, kind: ColumnType) -> Field {
    let kind = match kind {
        ColumnType::Text | ColumnType::Json => ArrowType::Utf8,
        ColumnType::Bool => ArrowType::Boolean,
        ColumnType::Int => ArrowType::Int32,
        ColumnType::Long => ArrowType::Int64,
        ColumnType::Double => ArrowType::Float64,
        ColumnType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    };
    Field::new(name, kind, true)
}

fn delta_type(kind: ColumnType) -> DataType {
    DataType::Primitive(match kind {
        ColumnType::Text | ColumnType::Json => PrimitiveType::String,
        ColumnType::Bool => PrimitiveType::Boolean,
        ColumnType::Int => PrimitiveType::Integer,
        ColumnType::Long => PrimitiveType::Long,
        ColumnType::Double => PrimitiveType::Double,
        ColumnType::Timestamp => PrimitiveType::Timestamp,
    })
}

fn expect_type(field: &StructField, wanted: &DataType) -> Result<()> {
    if field.data_type() == wanted {
        return Ok(());
    }
    Err(strange(field.name(), &format!("it should be of type {wanted}, not {}", field.data_type())))
}

fn strange(column: &str, reason: &str) -> Error {
    Error::new(Kind::Damaged, format!("reading the table's column `{column}`"), reason)
        .with_hint("something else changed this table: `verify` says more, `adopt` accepts it")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::archive::catalogue::find;
    use crate::archive::survey::Kinds;
    use crate::record::token::ValueKind;

    pub(in crate::archive) fn survey(columns: &[(&str, &[&str])]) -> Survey {
        let mut survey = Survey::default();
        for (name, tokens) in columns {
            let mut kinds = Kinds::under(name);
            for token in *tokens {
                let kind = match token.as_bytes()[0] {
                    b'"' => ValueKind::String,
                    b'{' => ValueKind::Object,
                    b'[' => ValueKind::Array,
                    b'n' => ValueKind::Null,
                    b't' | b'f' => ValueKind::Bool,
                    _ => ValueKind::Number,
                };
                kinds.see(kind, token.as_bytes());
            }
            survey.columns.push(Surveyed { name: (*name).to_string(), kinds, chunk: 0, known: false });
        }
        survey
    }

    fn decided(tokens: &[&str]) -> Option<ColumnType> {
        let mut schema = TableSchema::new(None, None).unwrap();
        schema.decide(&survey(&[("x", tokens)]));
        schema.columns().first().map(|column| column.kind)
    }

    #[test]
    fn a_type_holds_all_kinds_of_a_batch() {
        use ColumnType::{Bool, Double, Json, Long, Text};
        for (tokens, kind) in [
            (&["1", "-7", "0"][..], Long),
            (&["1", "1.5"], Double),
            (&["1e3"], Double),
            (&["true", "false"], Bool),
            (&["\"a\"", "\"1e3\""], Text),
            (&["{}"], Json),
            (&["[]", "1", "\"a\""], Json),
            (&["\"a\"", "1"], Text),
            (&["true", "1"], Text),
            (&["12345678901234567890"], Long),
        ] {
            assert_eq!(decided(tokens), Some(kind), "{tokens:?}");
        }
        assert_eq!(decided(&[]), None);
        assert_eq!(decided(&["null"]), None);
    }

    #[test]
    fn a_name_and_all_its_values_make_a_time() {
        use ColumnType::{Text, Timestamp};
        for (name, tokens, kind) in [
            ("TimeCollected", &["\"2024-07-03T18:00:00Z\"", "\"2024-07-03T18:00:00.1234567+02:00\""][..], Timestamp),
            ("updateDate", &["\"2024-07-03T18:00:00Z\""], Timestamp),
            ("Message", &["\"2024-07-03T18:00:00Z\""], Text),
            ("time", &["\"2024-07-03T18:00:00Z\"", "\"yesterday\""], Text),
            ("time", &["\"yesterday\"", "\"2024-07-03T18:00:00Z\""], Text),
            ("time", &["\"2024-07-03T18:00:00Z\"", "1"], Text),
            ("time", &["\"2024-07-03T18:00:00\""], Text),
            ("time", &["\"2024-07-03 18:00:00Z\""], Text),
            ("time", &["\"01/09/2007 09:41:00 AM\""], Text),
        ] {
            let mut schema = TableSchema::new(None, None).unwrap();
            schema.decide(&survey(&[(name, tokens)]));
            assert_eq!(schema.columns()[0].kind, kind, "{name} {tokens:?}");
        }
    }

    #[test]
    fn the_catalogue_gives_spelling_and_type() {
        let mut schema = TableSchema::new(find("SecurityEvent"), Some("timegenerated")).unwrap();
        assert_eq!(schema.time_column(), Some("TimeGenerated"));
        schema.decide(&survey(&[("EventID", &["\"text\""]), ("account", &["\"a\""]), ("Extra", &["1"])]));
        let kinds: Vec<_> = schema.columns().iter().map(|column| (column.name.as_str(), column.kind)).collect();
        assert_eq!(
            kinds,
            [("TimeGenerated", ColumnType::Timestamp), ("EventID", ColumnType::Int), ("Extra", ColumnType::Long)]
        );
        assert_eq!(schema.admit("Account"), Admission::New(Some(ColumnType::Text)));
        assert_eq!(schema.admit("account"), Admission::Rest);
        assert_eq!(schema.admit("eventid"), Admission::Rest);
        assert_eq!(schema.admit("EventID"), Admission::Known(1));
    }

    #[test]
    fn names_that_delta_or_holdfast_needs_are_no_columns() {
        let schema = TableSchema::new(None, None).unwrap();
        for name in ["", "_hf_rest", "_HF_day", "_hf_", "a b", "a,b", "a;b", "a{b", "a}", "(", ")", "a\n", "\t", "a=b"]
        {
            assert_eq!(schema.admit(name), Admission::Rest, "{name:?}");
        }
        for name in ["a\u{7f}", "a\u{0}b", "a\u{85}"] {
            assert_eq!(schema.admit(name), Admission::Rest, "{name:?}");
        }
        assert_eq!(schema.admit(&"x".repeat(MAX_NAME_BYTES + 1)), Admission::Rest);
        for name in ["_BilledSize", "_hf", "a.b", "日本語", "a-b", "@timestamp", "a`b", "a\"b"] {
            assert_eq!(schema.admit(name), Admission::New(None), "{name:?}");
        }
        assert!(TableSchema::new(None, Some("a b")).is_err());
    }

    #[test]
    fn a_second_spelling_and_a_column_too_many_are_none() {
        let mut schema = TableSchema::new(None, None).unwrap();
        assert_eq!(schema.decide(&survey(&[("Level", &["1"]), ("level", &["1"]), ("null", &[])])), 1);
        assert_eq!(schema.admit("LEVEL"), Admission::Rest);
        let names: Vec<String> = (0..MAX_COLUMNS + 5).map(|n| format!("c{n}")).collect();
        let many: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &["1"][..])).collect();
        schema.decide(&survey(&many));
        assert_eq!(schema.columns().len(), MAX_COLUMNS);
        assert_eq!(schema.admit("another"), Admission::Rest);
    }

    #[test]
    fn types_stay_and_delta_gives_them_back() {
        let mut schema = TableSchema::new(find("SecurityEvent"), Some("TimeGenerated")).unwrap();
        let all = survey(&[
            ("a", &["1"]),
            ("b", &["1.5"]),
            ("c", &["{}"]),
            ("d", &["true"]),
            ("EventID", &["1"]),
            ("Account", &["\"a\""]),
        ]);
        schema.decide(&all);
        schema.add_tail(0);
        assert_eq!(schema.decide(&survey(&[("a", &["\"text\""])])), 0);
        let delta = StructType::try_new(schema.delta_fields()).unwrap();
        let back = TableSchema::from_delta(find("SecurityEvent"), &delta).unwrap();
        assert_eq!(back.columns(), schema.columns());
        assert_eq!(back.time_column(), Some("TimeGenerated"));
        assert!(back.has_tail(0) && !back.has_tail(1));
        assert_eq!(back.delta_fields(), schema.delta_fields());
    }

    #[test]
    fn a_table_that_something_else_changed_is_damage() {
        let fields = TableSchema::new(None, Some("time")).unwrap().delta_fields();
        for spoil in 0..fields.len() {
            let mut spoilt = fields.clone();
            spoilt.remove(spoil);
            let is_time = fields[spoil].name() == "time";
            assert_eq!(TableSchema::from_delta(None, &StructType::try_new(spoilt).unwrap()).is_ok(), is_time);
        }
        let mut more = fields.clone();
        more.push(StructField::nullable("foreign", DataType::STRING));
        assert!(TableSchema::from_delta(None, &StructType::try_new(more).unwrap()).is_err());
        let mut other = fields;
        other[0].data_type = DataType::STRING;
        assert!(TableSchema::from_delta(None, &StructType::try_new(other).unwrap()).is_err());
    }
}
