//! Comparisons as people mean them, whatever type a column got.
//!
//! Logs hold `"EventID": "4625"` as often as `"EventID": 4625`, and nobody who asks knows which. Left to itself the engine
//! would read every text as a number and fail at the first that is none. Here a whole number equals the text it is written
//! as; for less and more, texts are read as numbers, and one that is none is neither. `true` and `false` equal the texts
//! they are written as, in any case. A time may end with its hours or minutes. A
//! backslash in a pattern is a backslash.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, lit, try_cast};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::utils::NamePreserver;

use crate::record::time;

/// Rewrites the comparisons of a plan.
#[derive(Debug)]
pub struct AsMeant;

impl AnalyzerRule for AsMeant {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up_with_subqueries(|plan| {
            let mut schema = merge_schema(&plan.inputs());
            if let LogicalPlan::TableScan(scan) = &plan {
                let table = DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?;
                schema.merge(&table);
            }
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(compared(expr, &schema)?.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(rewritten.data)
    }

    fn name(&self) -> &'static str {
        "compared_as_meant"
    }
}

/// The same expression, with its comparisons of numbers and texts made to hold.
pub fn compared(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| {
        Ok(match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => match pair(&left, &right, op, schema) {
                Some((left, right)) => {
                    Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
                }
                None => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
            },
            Expr::InList(list) => in_list(list, schema),
            Expr::Like(like) => Transformed::yes(Expr::Like(as_written(like))),
            Expr::Between(mut between) if is_time(&between.expr, schema) => {
                let bounds = (instant(&between.low), instant(&between.high));
                if let (Some(low), Some(high)) = bounds {
                    (*between.low, *between.high) = (low, high);
                    Transformed::yes(Expr::Between(between))
                } else {
                    Transformed::no(Expr::Between(between))
                }
            }
            Expr::Between(mut between) => match (number(&between.low, schema), number(&between.high, schema)) {
                (Some(low), Some(high)) if is_text(&between.expr, schema) => {
                    *between.expr = try_cast(*between.expr, wider(low, high));
                    Transformed::yes(Expr::Between(between))
                }
                _ => Transformed::no(Expr::Between(between)),
            },
            other => Transformed::no(other),
        })
    })
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn pair(left: &Expr, right: &Expr, op: Operator, schema: &DFSchema) -> Option<(Expr, Expr)> {
    if let Some(pair) = times(left, right, schema).or_else(|| booleans(left, right, schema)) {
        return Some(pair);
    }
    let equal = matches!(op, Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom);
    let sides = |text: &Expr, other: &Expr| {
        let kind = number(other, schema)?;
        if !is_text(text, schema) {
            return None;
        }
        match written(other).filter(|_| equal) {
            Some(written) => Some((text.clone(), written)),
            None => Some((try_cast(text.clone(), kind), other.clone())),
        }
    };
    sides(left, right).or_else(|| sides(right, left).map(|(right, left)| (left, right)))
}

/// A pattern in which a backslash is a backslash, as in every Windows path; `ESCAPE` names what takes `%` and `_` at their
/// word. The engine knows one way of its own: a backslash before them.
fn as_written(like: Like) -> Like {
    let Like { negated, expr, pattern, escape_char, case_insensitive } = like;
    let written = |text: &str| {
        let mut out = String::with_capacity(text.len() + 8);
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            let letter = match escape_char {
                Some(escape) if letter == escape => {
                    let Some(taken) = letters.next() else { break };
                    if matches!(taken, '%' | '_') {
                        out.push('\\');
                    }
                    taken
                }
                _ => letter,
            };
            if letter == '\\' {
                out.push('\\');
            }
            out.push(letter);
        }
        out
    };
    let pattern = match *pattern {
        Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) => {
            Expr::Literal(ScalarValue::Utf8(Some(written(&text))), metadata)
        }
        Expr::Literal(ScalarValue::Utf8View(Some(text)), metadata) => {
            Expr::Literal(ScalarValue::Utf8View(Some(written(&text))), metadata)
        }
        // Worked out row by row: without an escape there is only the backslash to be doubled.
        other if escape_char.is_none() => {
            datafusion::functions::string::expr_fn::replace(other, lit("\\"), lit("\\\\"))
        }
        other => return Like { negated, expr, pattern: Box::new(other), escape_char, case_insensitive },
    };
    Like { negated, expr, pattern: Box::new(pattern), escape_char: None, case_insensitive }
}

/// A time beside a text that says one.
fn times(left: &Expr, right: &Expr, schema: &DFSchema) -> Option<(Expr, Expr)> {
    if is_time(left, schema) {
        return Some((left.clone(), instant(right)?));
    }
    is_time(right, schema).then(|| instant(left)).flatten().map(|left| (left, right.clone()))
}

/// `'2024-03-01'`, `'2024-03-01 12'`, `'2024-03-01T12:30'`, and what the archive itself reads as a time.
fn instant(expr: &Expr) -> Option<Expr> {
    let text = text_of(expr)?.trim();
    let missing = match text.len() {
        10 => "T00:00:00Z",
        13 => ":00:00Z",
        16 => ":00Z",
        _ => "",
    };
    let whole = format!("{text}{missing}");
    let moment = time::parse(&whole).filter(|moment| !moment.ambiguous)?;
    Some(Expr::Literal(ScalarValue::TimestampMicrosecond(Some(moment.micros), Some("UTC".into())), None))
}

/// A column of true and false beside a text, or a text beside true or false.
fn booleans(left: &Expr, right: &Expr, schema: &DFSchema) -> Option<(Expr, Expr)> {
    let is_bool = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Boolean));
    let sides = |one: &Expr, other: &Expr| {
        if is_bool(one) {
            let meant = text_of(other).and_then(|text| text.to_lowercase().parse::<bool>().ok())?;
            return Some((one.clone(), Expr::Literal(ScalarValue::Boolean(Some(meant)), None)));
        }
        let Expr::Literal(ScalarValue::Boolean(Some(meant)), _) = other else { return None };
        is_text(one, schema).then(|| {
            let word = Expr::Literal(ScalarValue::Utf8View(Some(meant.to_string())), None);
            (datafusion::functions::string::expr_fn::lower(one.clone()), word)
        })
    };
    sides(left, right).or_else(|| sides(right, left).map(|(right, left)| (left, right)))
}

fn is_time(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Timestamp(..)))
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Some(text),
        _ => None,
    }
}

fn in_list(list: InList, schema: &DFSchema) -> Transformed<Expr> {
    let numbers = list.list.iter().filter(|item| number(item, schema).is_some()).count();
    if numbers == 0 || !is_text(&list.expr, schema) {
        return Transformed::no(Expr::InList(list));
    }
    let InList { expr, list, negated } = list;
    if let Some(written) =
        list.iter().map(|item| written(item).or_else(|| is_text(item, schema).then(|| item.clone()))).collect()
    {
        return Transformed::yes(Expr::InList(InList { expr, list: written, negated }));
    }
    let expr = Box::new(try_cast(*expr, DataType::Float64));
    Transformed::yes(Expr::InList(InList { expr, list, negated }))
}

fn is_text(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8))
}

/// The type in which the texts are read beside this number.
fn number(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    let kind = expr.get_type(schema).ok()?;
    match kind {
        kind if kind.is_integer() => Some(DataType::Int64),
        kind if kind.is_numeric() => Some(DataType::Float64),
        _ => None,
    }
}

fn wider(one: DataType, other: DataType) -> DataType {
    if one == DataType::Int64 { other } else { one }
}

/// A whole number as it is written.
fn written(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) => {
            Some(Expr::Literal(ScalarValue::Utf8View(Some(value.to_string())), metadata.clone()))
        }
        Expr::Literal(ScalarValue::UInt64(Some(value)), metadata) => {
            Some(Expr::Literal(ScalarValue::Utf8View(Some(value.to_string())), metadata.clone()))
        }
        _ => None,
    }
}
