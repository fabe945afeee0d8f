//! Which segments a query must read: by their day, part and times, before any file is opened.
//!
//! Invariant: a segment is left out only if no row of it can satisfy the filters. Times count only where every row of the
//! segment has one in its typed column; a value in `_hf_rest` could be any.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, StringArray, TimestampMicrosecondArray, UInt64Array};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use jiff::civil::Date;

use crate::archive::catalogue::fold;
use crate::archive::{ANY, DAY, PART};
use crate::ledger::Segment;

/// Those of the segments that may hold a row that `filter` (over `schema`) accepts.
pub fn kept<'a>(
    segments: &'a [Segment],
    filter: Option<&Arc<dyn PhysicalExpr>>,
    schema: &arrow::datatypes::SchemaRef,
    time: Option<&str>,
) -> Vec<&'a Segment> {
    let all = || segments.iter().collect();
    let Some(filter) = filter else { return all() };
    // A filter that cannot be judged from statistics keeps every segment.
    let built = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).try_build(Arc::clone(filter));
    let Ok(predicate) = built else { return all() };
    match predicate.prune(&Statistics { segments, time }) {
        Ok(kept) => segments.iter().zip(kept).filter(|(_, kept)| *kept).map(|(segment, _)| segment).collect(),
        Err(_) => all(),
    }
}

/// Columns of which the segment has values in `_hf_rest`, as far as the query asks for them.
pub fn conflicts(segment: &Segment, asked: &BTreeSet<String>) -> BTreeSet<String> {
    match &segment.rest {
        Some(rest) if rest.iter().all(|name| name != ANY) => {
            rest.iter().filter(|name| asked.contains(*name)).cloned().collect()
        }
        _ => asked.clone(),
    }
}

/// True if every value of the time column is in the column itself.
fn times_tell(segment: &Segment, time: &str) -> bool {
    conflicts(segment, &BTreeSet::from([fold(time)])).is_empty()
}

struct Statistics<'a> {
    segments: &'a [Segment],
    time: Option<&'a str>,
}

impl Statistics<'_> {
    fn bounds(&self, column: &Column, end: impl Fn((i64, i64)) -> i64) -> Option<ArrayRef> {
        if column.name == DAY {
            let days = self.segments.iter().map(|segment| Some(days_since_1970(segment.day)));
            return Some(Arc::new(days.collect::<Date32Array>()));
        }
        if column.name == PART {
            let parts = self.segments.iter().map(|segment| Some(segment.part.as_str()));
            return Some(Arc::new(parts.collect::<StringArray>()));
        }
        let time = self.time.filter(|time| *time == column.name)?;
        let times = self.segments.iter().map(|segment| segment.times.filter(|_| times_tell(segment, time)).map(&end));
        Some(Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC")))
    }
}

impl PruningStatistics for Statistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |(first, _)| first)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |(_, last)| last)
    }

    fn num_containers(&self) -> usize {
        self.segments.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let known = |name: &str| name == DAY || name == PART;
        let nulls = |segment: &Segment| match self.time {
            _ if known(&column.name) => Some(0),
            Some(time) if time == column.name && times_tell(segment, time) => segment.times.map(|_| 0),
            _ => None,
        };
        Some(Arc::new(self.segments.iter().map(nulls).collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.segments.iter().map(|segment| Some(segment.digest.rows)).collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

pub fn days_since_1970(day: Date) -> i32 {
    day.since(Date::constant(1970, 1, 1)).map_or(0, |span| span.get_days())
}

/// First and last microsecond that the filters leave open, as far as they say it plainly; for telling people, and for
/// leaving out raw objects of other years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    pub from: Option<i64>,
    /// Inclusive.
    pub to: Option<i64>,
}

impl Range {
    /// What all `filters` together leave open.
    pub fn asked(filters: &[Expr], time: Option<&str>) -> Self {
        let mut range = Range::default();
        if let Some(time) = time {
            filters.iter().for_each(|filter| range.narrow(filter, time));
        }
        range
    }

    /// The smallest range that holds both.
    pub fn or(self, other: Self) -> Self {
        let both = |one: Option<i64>, other: Option<i64>, pick: fn(i64, i64) -> i64| Some(pick(one?, other?));
        Range { from: both(self.from, other.from, i64::min), to: both(self.to, other.to, i64::max) }
    }

    fn narrow(&mut self, filter: &Expr, time: &str) {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                self.narrow(left, time);
                self.narrow(right, time);
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (micros(left, time), micros(right, time)) {
                (Side::Time, Side::At(at)) => self.compare(*op, at),
                (Side::At(at), Side::Time) => {
                    if let Some(op) = op.swap() {
                        self.compare(op, at);
                    }
                }
                _ => {}
            },
            Expr::Between(between) if !between.negated => {
                if let (Side::Time, Side::At(low), Side::At(high)) =
                    (micros(&between.expr, time), micros(&between.low, time), micros(&between.high, time))
                {
                    self.compare(Operator::GtEq, low);
                    self.compare(Operator::LtEq, high);
                }
            }
            _ => {}
        }
    }

    fn compare(&mut self, op: Operator, at: i64) {
        let from = |range: &mut Self, at: i64| range.from = Some(range.from.map_or(at, |from| from.max(at)));
        let to = |range: &mut Self, at: i64| range.to = Some(range.to.map_or(at, |to| to.min(at)));
        match op {
            Operator::Gt => from(self, at.saturating_add(1)),
            Operator::GtEq => from(self, at),
            Operator::Lt => to(self, at.saturating_sub(1)),
            Operator::LtEq => to(self, at),
            Operator::Eq => {
                from(self, at);
                to(self, at);
            }
            _ => {}
        }
    }
}

enum Side {
    Time,
    At(i64),
    Other,
}

fn micros(expr: &Expr, time: &str) -> Side {
    match expr {
        Expr::Column(column) if column.name == time => Side::Time,
        Expr::Literal(ScalarValue::TimestampMicrosecond(Some(at), _), _) => Side::At(*at),
        Expr::Literal(ScalarValue::TimestampNanosecond(Some(at), _), _) => Side::At(at.div_euclid(1000)),
        _ => Side::Other,
    }
}
