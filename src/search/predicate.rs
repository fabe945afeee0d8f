//! A predicate on one table's records, for commands that are not searches: the same evaluator, row by row (DESIGN §6).

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use jiff::Timestamp;

use super::compare::compared;
use super::dialect::parser;
use super::errors::failed;
use super::logical::{LogicalRows, Uncast, sql_fields};
use super::names::Words;
use super::query::{session, state_at};
use super::table::own_fields;
use crate::archive::schema::{Column, REST, SOURCE, TableSchema};
use crate::error::{Error, Kind, Result};
use crate::storage::Store;

/// Judging a batch of rows needs no memory of its own to speak of.
const MEMORY: u64 = 64 << 20;

/// Says of each row whether it is meant.
#[derive(Debug)]
pub struct Predicate {
    expression: Arc<dyn PhysicalExpr>,
    rows: LogicalRows,
    uncast: Uncast,
}

impl Predicate {
    /// Reads what stands behind `WHERE`. Errs, with [`Kind::Usage`], if it is no predicate on these columns.
    /// `now` is what `now()` says.
    pub fn parse(archive: &Store, text: &str, table: &TableSchema, now: Timestamp) -> Result<Self> {
        let context = session(archive, MEMORY, 1)?;
        let columns: &[Column] = table.columns();
        let names = columns.iter().map(|column| column.name.as_str()).chain([SOURCE, REST]);
        let text = Words::of(text)?.spelled(names);
        let wrong = |error| failed(error, &text);
        let state = state_at(&context, now);
        // What the files have: day and part stand in their names.
        let own = own_fields().into_iter().filter(|field| [SOURCE, REST].contains(&field.name().as_str()));
        let all = Schema::new(sql_fields(columns).into_iter().chain(own).collect::<Vec<_>>());
        let schema = DFSchema::try_from(all.clone()).map_err(wrong)?;
        let parsed = parser(&text).and_then(|mut parser| parser.parse_into_expr()).map_err(wrong)?;
        let logical = state.create_logical_expr_from_sql_expr(parsed, &schema).map_err(wrong)?;
        let logical = compared(logical, &schema).map_err(wrong)?.data;
        let expression = state.create_physical_expr(logical, &schema).map_err(wrong)?;
        let kind = expression.data_type(&all).map_err(wrong)?;
        if kind != arrow::datatypes::DataType::Boolean {
            let reason = format!("`{text}` is neither true nor false of a record: its type is {kind}");
            return Err(Error::new(Kind::Usage, "reading the predicate", reason)
                .with_hint("write what stands behind WHERE: \"EventID = 4625 AND Account LIKE '%admin%'\""));
        }
        let mut asked: Vec<usize> = collect_columns(&expression).iter().map(|column| column.index()).collect();
        asked.sort_unstable();
        let fields = all.project(&asked).map_err(|error| failed(error.into(), &text))?;
        let expression = expression_over(expression, &fields).map_err(wrong)?;
        let uncast = Uncast::default();
        Ok(Predicate { expression, rows: LogicalRows::new(&fields, columns, uncast.clone()), uncast })
    }

    /// True for the rows of a batch of a segment that are meant; what is neither true nor false is not meant.
    pub fn judge(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let failed = |error: datafusion::error::DataFusionError| failed(error, "");
        let logical = self.rows.of_batch(batch).map_err(|error| failed(error.into()))?;
        let judged = self.expression.evaluate(&logical).and_then(|value| value.into_array(logical.num_rows()));
        let judged = judged.map_err(failed)?;
        let judged = judged.as_any().downcast_ref::<BooleanArray>();
        let judged =
            judged.ok_or_else(|| Error::new(Kind::Internal, "judging records", "the predicate is no predicate"))?;
        Ok(match judged.null_count() {
            0 => judged.clone(),
            _ => judged.iter().map(|meant| Some(meant.unwrap_or(false))).collect(),
        })
    }

    /// Values that could not be read as their column's type, by column: they counted as null.
    pub fn uncast(&self) -> std::collections::BTreeMap<String, u64> {
        self.uncast.counts()
    }
}

/// The same expression over the columns it needs alone.
fn expression_over(
    expression: Arc<dyn PhysicalExpr>,
    fields: &Schema,
) -> datafusion::error::Result<Arc<dyn PhysicalExpr>> {
    datafusion::physical_expr::utils::reassign_expr_columns(expression, fields)
}
