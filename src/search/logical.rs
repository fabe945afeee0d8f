//! Logical rows from a segment's rows: the typed value, else the one in `_hf_rest` read as the column's type (DESIGN §6).
//!
//! Used for segments that have values of the asked columns in `_hf_rest`; of others the typed columns are the whole truth.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::value::{Values, find, sql_type};
use crate::archive::catalogue::{ColumnType, fold};
use crate::archive::schema::{Column, REST, TYPE_KEY};
use crate::record::{Member, members};

/// Values that could not be read as their column's type, counted by column (I13).
#[derive(Debug, Clone, Default)]
pub struct Uncast(Arc<Mutex<BTreeMap<String, u64>>>);

impl Uncast {
    pub fn add(&self, column: &str, count: u64) {
        if count > 0 {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(column.to_owned()).or_default() += count;
        }
    }

    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes batches of certain columns from batches that have them typed, with `_hf_rest` beside.
#[derive(Debug, Clone)]
pub struct LogicalRows {
    columns: Vec<Wanted>,
    schema: SchemaRef,
    uncast: Uncast,
}

#[derive(Debug, Clone)]
struct Wanted {
    name: String,
    folded: String,
    /// None: a column of Holdfast's own, which is never in `_hf_rest`.
    kind: Option<ColumnType>,
}

impl LogicalRows {
    /// `fields` are the wanted columns, in order; those that `columns` (a table's log columns) name without regard to case
    /// are looked for in `_hf_rest`, under the table's spelling first.
    pub fn new(fields: &Schema, columns: &[Column], uncast: Uncast) -> Self {
        let wanted = |field: &Arc<Field>| {
            let folded = fold(field.name());
            let column = columns.iter().find(|column| fold(&column.name) == folded);
            Wanted {
                name: column.map_or_else(|| field.name().clone(), |column| column.name.clone()),
                folded,
                kind: column.map(|column| column.kind),
            }
        };
        LogicalRows { columns: fields.fields().iter().map(wanted).collect(), schema: Arc::new(fields.clone()), uncast }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The logical rows of a batch of a segment. A column that the batch lacks is null where `_hf_rest` has no value.
    pub fn of_batch(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let file = batch.schema_ref();
        let rest = file.index_of(REST).ok().map(|at| cast(batch.column(at), &DataType::Utf8View)).transpose()?;
        let typed: Vec<Option<ArrayRef>> = self
            .columns
            .iter()
            .map(|column| file.index_of(&column.name).ok().map(|at| Arc::clone(batch.column(at))))
            .collect();
        let mut strays: Vec<Vec<(usize, Member)>> = vec![Vec::new(); self.columns.len()];
        if let Some(rest) = rest.as_ref().and_then(|rest| rest.as_string_view_opt()) {
            let mut found = Vec::new();
            for row in (0..batch.num_rows()).filter(|&row| rest.is_valid(row)) {
                let record = rest.value(row).as_bytes();
                members(record, &mut found).map_err(|malformed| {
                    ArrowError::ParseError(format!("a value of `{REST}` is no JSON object: {malformed}"))
                })?;
                for ((column, typed), strays) in self.columns.iter().zip(&typed).zip(&mut strays) {
                    if column.kind.is_none() || typed.as_ref().is_some_and(|typed| typed.is_valid(row)) {
                        continue;
                    }
                    if let Some(member) = find(record, &found, &column.name, &column.folded) {
                        strays.push((row, *member));
                    }
                }
            }
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (at, ((column, typed), strays)) in self.columns.iter().zip(typed).zip(strays).enumerate() {
            let wanted = self.schema.field(at).data_type();
            let array = match (column.kind, strays.is_empty()) {
                (Some(kind), false) => {
                    let rest = rest.as_ref().and_then(|rest| rest.as_string_view_opt());
                    let (array, uncast) = merged(kind, typed.as_deref(), &strays, batch.num_rows(), |row| {
                        rest.map_or(&[][..], |rest| rest.value(row).as_bytes())
                    });
                    self.uncast.add(self.schema.field(at).name(), uncast);
                    array
                }
                _ => typed.unwrap_or_else(|| new_null_array(wanted, batch.num_rows())),
            };
            arrays.push(if array.data_type() == wanted { array } else { cast(&array, wanted)? });
        }
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &rows)
    }
}

/// The typed values, with the strays in their places. Also says how many could not be read as the type.
fn merged<'a>(
    kind: ColumnType,
    typed: Option<&dyn Array>,
    strays: &[(usize, Member)],
    rows: usize,
    record: impl Fn(usize) -> &'a [u8],
) -> (ArrayRef, u64) {
    let mut values = Values::new(kind);
    let mut strays = strays.iter().peekable();
    let mut uncast = 0;
    for row in 0..rows {
        if let Some((_, stray)) = strays.next_if(|(at, _)| *at == row) {
            uncast += u64::from(!values.token(stray.value.of(record(row)), stray.kind));
        } else {
            match typed {
                Some(typed) => values.typed(typed, row),
                None => values.null(),
            }
        }
    }
    (values.finish(), uncast)
}

/// The fields by which SQL knows a table's log columns.
pub fn sql_fields(columns: &[Column]) -> Vec<Field> {
    let field = |column: &Column| {
        let kind = HashMap::from([(TYPE_KEY.to_owned(), column.kind.word().to_owned())]);
        Field::new(&column.name, sql_type(column.kind), true).with_metadata(kind)
    };
    columns.iter().map(field).collect()
}
