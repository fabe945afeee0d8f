//! What a result's columns are called, and that each leaves as something that can be written.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::prelude::{DataFrame, Expr};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Ident, SelectItem, SetExpr};

use crate::archive::catalogue::fold;

/// Calls what has no name as it was typed: `date_part('hour', eventTime)`, not as the engine would. True if every column is
/// asked for.
pub fn as_typed(statement: &mut Statement) -> bool {
    let Statement::Statement(statement) = statement else { return false };
    let ast::Statement::Query(query) = statement.as_mut() else { return false };
    let SetExpr::Select(select) = query.body.as_mut() else { return false };
    let mut every_column = false;
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_)) => {}
            SelectItem::UnnamedExpr(expr) => {
                let alias = Ident::with_quote('"', expr.to_string().replace('"', ""));
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => every_column = true,
            _ => {}
        }
    }
    every_column
}

/// Columns that can be told apart (`EventID`, `EventID_2`), none of a type that may be any: what `->` gives leaves as its
/// JSON text.
pub fn apart(frame: DataFrame) -> datafusion::error::Result<DataFrame> {
    let fields: Vec<_> =
        frame.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
    let union = |kind: &DataType| matches!(kind, DataType::Union(..));
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut columns = Vec::with_capacity(fields.len());
    let mut same = true;
    for (qualifier, field) in fields {
        let mut name = field.name().clone();
        let mut number = 2;
        while !taken.insert(fold(&name)) {
            name = format!("{}_{number}", field.name());
            number += 1;
        }
        let column = Expr::Column(Column::new(qualifier, field.name()));
        same &= name == *field.name() && !union(field.data_type());
        columns.push(match union(field.data_type()) {
            true => datafusion_functions_json::udfs::json_union_to_text_udf().call(vec![column]).alias(name),
            false if name == *field.name() => column,
            false => column.alias(name),
        });
    }
    if same { Ok(frame) } else { frame.select(columns) }
}
