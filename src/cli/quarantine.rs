//! `holdfast quarantine`.

use serde_json::json;

use super::args::{Args, QuarantineCommand};
use super::open::House;
use super::output::{Output, count, number, size};
use super::table::aligned;
use crate::archive::{QuarantineItem, read_bytes, read_items};
use crate::error::{Error, Kind, Result};
use crate::ledger::Quarantined;
use crate::names::TableName;
use crate::pipeline::{Request, retry};
use crate::storage::Missing;

pub fn quarantine(args: &Args, command: &QuarantineCommand, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    match command {
        QuarantineCommand::List { table } => list(&house, table.as_ref(), output),
        QuarantineCommand::Show { item } => show(&house, item, output),
        QuarantineCommand::Retry { tables } => {
            let request = Request { now: house.now(None)?, tables: tables.clone(), schedules: None };
            let done = retry(&house.watched()?, &request)?;
            if output.is_json() {
                output.json(&done)?;
                return Ok(0);
            }
            if done.is_empty() {
                output.line("nothing lies in quarantine")?;
            }
            for table in done {
                let left = number(table.still_quarantined);
                if let Some(untried) = table.untried {
                    output
                        .line(format!("{}: nothing tried, since {untried}; {left} still quarantined", table.table))?;
                    continue;
                }
                output.line(format!(
                    "{}: {} tried, {} archived now, {left} still quarantined",
                    table.table,
                    number(table.tried),
                    number(table.archived)
                ))?;
            }
            Ok(0)
        }
    }
}

fn open_files(house: &House) -> Result<Vec<Quarantined>> {
    Ok(house.chain()?.state().quarantine.iter().filter(|quarantined| !quarantined.retried).cloned().collect())
}

fn list(house: &House, table: Option<&TableName>, output: &mut Output) -> Result<u8> {
    let archive = house.archive(Missing::Refuse)?;
    let mut rows = Vec::new();
    let mut items: Vec<serde_json::Value> = Vec::new();
    for quarantined in open_files(house)?.iter().filter(|file| table.is_none_or(|table| file.file.table == *table)) {
        for (number, item) in read_items(&archive, quarantined)?.iter().enumerate() {
            let name = format!("{}/{}", quarantined.batch, number + 1);
            rows.push(vec![
                name.clone(),
                quarantined.file.table.to_string(),
                size(item.bytes),
                place(item),
                item.reason.clone(),
            ]);
            items.push(json!({ "item": name, "table": quarantined.file.table, "at": quarantined.at, "what": item }));
        }
    }
    if output.is_json() {
        output.json(&items)?;
        return Ok(0);
    }
    for line in aligned(&["item", "table", "size", "from", "why"], &rows, &[2]) {
        output.line(line)?;
    }
    output.note(format!("{}; `holdfast quarantine show ITEM` prints one", count(rows.len() as u64, "item", "items")));
    Ok(0)
}

fn place(item: &QuarantineItem) -> String {
    if item.whole_object {
        format!("{}:{} (whole)", item.source, item.path)
    } else {
        format!("{}:{} at byte {}", item.source, item.path, item.offset)
    }
}

fn show(house: &House, name: &str, output: &mut Output) -> Result<u8> {
    let unknown = || {
        Error::new(Kind::Usage, format!("showing quarantine item {name}"), "there is no such item")
            .with_hint("`holdfast quarantine list` names them")
    };
    let (batch, number) = name.rsplit_once('/').ok_or_else(unknown)?;
    let number: usize = number.parse().map_err(|_| unknown())?;
    let archive = house.archive(Missing::Refuse)?;
    for quarantined in house.chain()?.state().quarantine.iter().filter(|file| file.batch == batch) {
        if let Some(item) = read_items(&archive, quarantined)?.get(number.wrapping_sub(1)) {
            output.bytes(&read_bytes(&archive, quarantined, item)?)?;
            output.note(format!("\n{}: {}", place(item), item.reason));
            return Ok(0);
        }
    }
    Err(unknown())
}
