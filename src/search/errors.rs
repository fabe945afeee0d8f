//! What DataFusion finds wrong with a query, in our words: what was attempted, why it failed, what to type next.

use datafusion::common::TableReference;
use datafusion::common::{DataFusionError, SchemaError};

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
        DataFusionError::SchemaError(schema, _) => schema_error(schema, sql),
        DataFusionError::ResourcesExhausted(reason) => {
            // Who held how much is for the engine's makers.
            tracing::debug!(reason, "out of memory");
            Error::new(Kind::Store, "searching", "it needs more memory than it may take").with_hint(
                "nothing was changed; ask for fewer columns or a shorter time, or raise --memory (or `memory` in the settings)",
            )
        }
        DataFusionError::ObjectStore(store) => match store.as_ref() {
            object_store::Error::NotFound { path, .. } => Error::new(
                Kind::Damaged,
                format!("searching segment {path}"),
                "it is missing, while the ledger names it",
            )
            .with_hint("the answer would lack its rows, so none is given; run `holdfast verify`"),
            store => Error::new(Kind::Store, "searching", store.to_string())
                .with_hint("nothing was changed; try again, or see to the archive's store"),
        },
        // What a filter stumbles over while a file is read comes wrapped up like this too.
        DataFusionError::ParquetError(error) if error.to_string().contains("filter predicate") => {
            unfit(&error.to_string())
        }
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
        DataFusionError::Execution(reason) => unfit(reason),
        DataFusionError::ArrowError(error, _) => unfit(&error.to_string()),
        other => Error::new(Kind::Internal, "searching", first_line(&other.to_string()))
            .with_hint("nothing was changed; please report this, with the query if you may"),
    }
}

/// A value that does not fit what is done with it.
fn unfit(reason: &str) -> Error {
    let hint = if reason.contains("Cannot access field") {
        NESTED
    } else if reason.contains("parsing timestamp") {
        A_TIME
    } else {
        "a value does not fit what the query does with it; `try_cast(… AS …)` gives null where it does not"
    };
    Error::new(Kind::Usage, "searching", first_line(reason)).with_hint(hint)
}

const NESTED: &str = "nested values are reached by arrows: `column ->> 'name'`, `column -> 'list' -> 0 ->> 'name'`";

const A_TIME: &str = "a time is written '2024-03-01', '2024-03-01 12:30' or '2024-03-01T12:30:00Z'";

/// What people type who know another language, and what it is here.
const HABITS: &[(&str, &str)] = &[
    (" contains ", "it is SQL here: `CommandLine ILIKE '%text%'`"),
    (" has ", "it is SQL here: `CommandLine ILIKE '%text%'`"),
    ("ago(", "a time ago is `now() - interval '1 day'`"),
    (" top ", "the first rows are `SELECT … ORDER BY … LIMIT 5`"),
    ("| where", "it is SQL here: `SELECT … FROM Table WHERE …`"),
    ("| summarize", "it is SQL here: `SELECT column, count(*) FROM Table GROUP BY column`"),
    ("| project", "it is SQL here: `SELECT column, column FROM Table`"),
    ("==", "equal is a single `=`"),
];

fn habit(sql: &str) -> Option<&'static str> {
    let sql = sql.to_lowercase();
    HABITS.iter().find(|(word, _)| sql.contains(word)).map(|(_, hint)| *hint)
}

fn parser_hint(sql: &str) -> String {
    if sql.matches('\'').count() % 2 == 1 {
        return "a text stands between single quotes, and a quote in it is written twice: 'O''Brien'".into();
    }
    let general =
        "texts stand between single quotes ('4625'), names with spaces or dots between double ones (\"Event.Name\")";
    habit(sql).unwrap_or(general).into()
}

/// What to type instead of a statement that is no SELECT.
pub fn not_a_select(sql: &str) -> &'static str {
    let sql = sql.trim_start().to_lowercase();
    match sql.split_whitespace().next() {
        Some("show") => "`holdfast tables` shows the tables, `holdfast schema TABLE` the columns of one",
        Some("describe" | "desc") => "`holdfast schema TABLE` shows the columns of a table",
        Some("explain") => "--explain tells what a SELECT would read",
        _ => "ask with SELECT; nothing is ever changed by a search",
    }
}

fn plan_hint(reason: &str) -> &'static str {
    if reason.contains("GROUP BY") || reason.contains("aggregate") {
        return "each column of the SELECT must be in GROUP BY, or inside count(…), max(…) and the like";
    }
    if reason.contains("Cannot access field") {
        return NESTED;
    }
    if reason.contains("Timestamp") && reason.contains("Int64") {
        return "a time stands between single quotes: TimeGenerated > '2024-03-01'";
    }
    if reason.contains("Timestamp") && reason.contains("Utf8") {
        return "times are compared, not matched: `TimeGenerated >= '2024-03-01' AND TimeGenerated < '2024-03-02'`";
    }
    if reason.contains("parsing timestamp") {
        return A_TIME;
    }
    if reason.contains("variable [") {
        return "a name that begins with @ stands between double quotes: \"@timestamp\"";
    }
    if reason.contains("Invalid function") {
        return "the functions are those of DataFusion SQL, with `->`, `->>` and json_… for nested values";
    }
    "`holdfast schema TABLE` shows the columns and their types"
}

fn schema_error(error: &SchemaError, sql: &str) -> Error {
    let attempted = "planning the query";
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let wanted = fold(&field.name);
            let there = valid_fields.iter().find(|valid| fold(&valid.name) == wanted);
            if let (Some(qualifier), Some(there)) = (&field.relation, there) {
                let right = there.relation.as_ref().map_or_else(String::new, |table| format!("{table}."));
                return Error::new(Kind::Usage, attempted, format!("no table of this query is called `{qualifier}`"))
                    .with_hint(format!("write {right}{}, or name the table: FROM Table {qualifier}", there.name));
            }
            let compact: String = sql.split_whitespace().collect();
            if compact.to_lowercase().contains(&format!("={wanted}")) {
                return Error::new(Kind::Usage, attempted, format!("there is no column `{}`", field.name))
                    .with_hint(format!("a text stands between single quotes: '{}'", field.name));
            }
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
    let wanted = fold(&reference.to_string());
    let far = |name: &TableName| {
        let distance = |spelling: &str, wanted: &str| strsim::damerau_levenshtein(&fold(spelling), wanted);
        let whole = distance(&format!("{}.{}", name.workspace, name.table), &wanted);
        // The right table in another workspace is near, too.
        whole.min(distance(&name.table, &wanted)).min(distance(&name.table, &fold(reference.table())) + 1)
    };
    let hint = match known.iter().min_by_key(|name| far(name)) {
        Some(near) => format!("did you mean `{}`? `holdfast tables` shows what there is", as_typed(near)),
        None => "nothing is archived yet: `holdfast run` fills the archive".into(),
    };
    let more = if with_raw { "" } else { "; a table that still lies raw only is found with --include-raw" };
    Error::new(Kind::Usage, format!("searching {reference}"), "there is no such table in the archive")
        .with_hint(format!("{hint}{more}"))
}

/// A table as a query names it.
fn as_typed(name: &TableName) -> String {
    let plain = |part: &str| {
        let simple = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !part.starts_with(|c: char| c.is_ascii_digit());
        if simple { part.to_owned() } else { format!("\"{part}\"") }
    };
    format!("{}.{}", plain(&name.workspace), plain(&name.table))
}

/// More than one workspace has it.
pub fn which_one(reference: &TableReference, several: &[&TableName]) -> Error {
    let names: Vec<String> = several.iter().map(|name| as_typed(name)).collect();
    Error::new(Kind::Usage, format!("searching {reference}"), "more than one workspace has a table of that name")
        .with_hint(format!("say which: {}", names.join(" or ")))
}

/// Without what is for the engine's makers: further lines, and parts of its own tree.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or(text);
    match line.find(" { ") {
        Some(at) => format!("{} …", &line[..at]),
        None => line.to_owned(),
    }
}
