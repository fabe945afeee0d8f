//! What DataFusion finds wrong with a query, in our words: what was attempted, why it failed, what to type next.

use datafusion::common::{DataFusionError, SchemaError};
use datafusion::common::TableReference;

use crate::archive::catalogue::fold;
use crate::error::{Error, Kind};
use crate::names::TableName;

/// An error of planning or running a query. Nothing was changed by it.
pub fn failed(error: DataFusionError, sql: &str) -> Error {
    match error.find_root() {
        DataFusionError::SQL(parser, _) => {
            let reason = parser.to_string();
            let reason = reason.trim_start_matches("sql parser error: ").to_owned();
            Error::new(Kind::Usage, "reading the query", reason).with_hint(parser_hint(sql))
        }
        DataFusionError::SchemaError(schema, _) => schema_error(schema),
        DataFusionError::ResourcesExhausted(reason) => {
            Error::new(Kind::Store, "searching", format!("it needs more memory than it may take: {reason}")).with_hint(
                "nothing was changed; ask for fewer columns or a shorter time, or raise `memory` in the settings",
            )
        }
        DataFusionError::ObjectStore(store) => match store.as_ref() {
            object_store::Error::NotFound { path, .. } => {
                Error::new(Kind::Damaged, format!("searching segment {path}"), "it is missing, while the ledger names it")
                    .with_hint("the answer would lack its rows, so none is given; run `holdfast verify`")
            }
            store => Error::new(Kind::Store, "searching", store.to_string())
                .with_hint("nothing was changed; try again, or see to the archive's store"),
        },
        DataFusionError::ParquetError(error) => Error::new(Kind::Damaged, "searching", error.to_string())
            .with_hint("a segment cannot be read, so no answer is given; run `holdfast verify`"),
        DataFusionError::External(source) => match source.downcast_ref::<Error>() {
            Some(own) => {
                let error = Error::new(own.kind(), own.attempted(), own.reason());
                match own.hint() {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                }
            }
            None => Error::new(Kind::Internal, "searching", source.to_string()),
        },
        DataFusionError::Plan(reason) | DataFusionError::NotImplemented(reason) => {
            Error::new(Kind::Usage, "planning the query", first_line(reason)).with_hint(plan_hint(reason))
        }
        DataFusionError::Execution(reason) => Error::new(Kind::Usage, "searching", first_line(reason))
            .with_hint("a value does not fit what the query does with it; `try_cast(… AS …)` gives null instead"),
        DataFusionError::ArrowError(error, _) => Error::new(Kind::Usage, "searching", error.to_string())
            .with_hint("a value does not fit what the query does with it; `try_cast(… AS …)` gives null instead"),
        other => Error::new(Kind::Internal, "searching", first_line(&other.to_string()))
            .with_hint("nothing was changed; please report this, with the query if you may"),
    }
}

fn parser_hint(sql: &str) -> String {
    let quotes = sql.matches('\'').count();
    if quotes % 2 == 1 {
        return "a text stands between single quotes, and a quote in it is written twice: 'O''Brien'".into();
    }
    "texts stand between single quotes ('4625'), names with spaces or dots between double ones (\"Event.Name\")".into()
}

fn plan_hint(reason: &str) -> &'static str {
    if reason.contains("GROUP BY") || reason.contains("aggregate") {
        return "each column of the SELECT must be in GROUP BY, or inside count(…), max(…) and the like";
    }
    if reason.contains("Invalid function") {
        return "the functions are those of DataFusion SQL, with `->`, `->>` and json_… for nested values";
    }
    "`holdfast schema TABLE` shows the columns and their types"
}

fn schema_error(error: &SchemaError) -> Error {
    let attempted = "planning the query";
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let wanted = fold(&field.name);
            let mut names: Vec<&str> = valid_fields.iter().map(|field| field.name.as_str()).collect();
            names.sort_by_key(|name| strsim::damerau_levenshtein(&fold(name), &wanted));
            names.dedup();
            let near = names.iter().take(3).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let first = if near.is_empty() { String::new() } else { format!("the nearest: {near}; ") };
            let text = "a text stands between single quotes; `holdfast schema TABLE` shows all columns";
            let rest = format!("`_hf_rest ->> '{}'` reads a name that is no column", field.name);
            Error::new(Kind::Usage, attempted, format!("there is no column `{}`", field.name))
                .with_hint(format!("{first}{text}; {rest}"))
        }
        SchemaError::AmbiguousReference { field } => {
            Error::new(Kind::Usage, attempted, format!("`{}` is a column of more than one table", field.name))
                .with_hint(format!("say which: `Table.{}`, or a short name (`FROM Table t … t.{0}`)", field.name))
        }
        other => Error::new(Kind::Usage, attempted, other.to_string())
            .with_hint("give one of the two another name: `… AS other_name`"),
    }
}

/// The archive does not know the table.
pub fn no_such_table(reference: &TableReference, known: &[TableName], with_raw: bool) -> Error {
    let shown = reference.to_string();
    let mut names: Vec<String> = known.iter().map(|name| format!("{}.{}", name.workspace, name.table)).collect();
    let wanted = fold(reference.table());
    names.sort_by_key(|name| strsim::damerau_levenshtein(&fold(name.rsplit('.').next().unwrap_or(name)), &wanted));
    let hint = match names.first() {
        Some(near) => format!("did you mean `{near}`? `holdfast tables` shows what there is"),
        None => "nothing is archived yet: `holdfast run` fills the archive".into(),
    };
    let more = if with_raw { "" } else { "; a table that still lies raw only is found with --include-raw" };
    Error::new(Kind::Usage, format!("searching {shown}"), "there is no such table in the archive")
        .with_hint(format!("{hint}{more}"))
}

/// More than one workspace has it.
pub fn which_one(reference: &TableReference, several: &[&TableName]) -> Error {
    let names: Vec<String> = several.iter().map(|name| format!("{}.{}", name.workspace, name.table)).collect();
    Error::new(Kind::Usage, format!("searching {reference}"), "more than one workspace has a table of that name")
        .with_hint(format!("say which: {}", names.join(" or ")))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or(text).to_owned()
}
