//! `holdfast check`.

use serde_json::json;

use super::args::Args;
use super::open::House;
use super::output::{Output, count};
use crate::error::Result;
use crate::ledger::Chain;
use crate::names::TableName;
use crate::policy::{PolicySet, describe};
use crate::storage::Missing;

pub fn check(args: &Args, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let sources = house.sources()?;
    let policies = match PolicySet::read_folder(&house.settings.policies) {
        Ok(policies) => policies,
        Err(mistakes) => {
            if output.is_json() {
                output.json(&json!({ "mistakes": mistakes.mistakes }))?;
            } else {
                output.note(mistakes.render(output.color));
            }
            return Err(mistakes.into());
        }
    };
    // A table is known once something of it is archived; before the first run there is nothing to compare with.
    let known: Vec<TableName> = match house.ledger(Missing::Refuse) {
        Ok(ledger) => {
            let chain = Chain::open(ledger, "check", Box::new(String::new))?;
            chain.state().tables.values().map(|table| table.name.clone()).collect()
        }
        Err(_) => Vec::new(),
    };
    let description = describe(&policies, &known);
    let unmatched = if known.is_empty() { Vec::new() } else { policies.unmatched(&known) };
    let warnings: Vec<_> = house.settings.warnings().iter().chain(&unmatched).collect();
    if output.is_json() {
        output.json(&json!({ "settings": house.settings, "policies": description, "warnings": warnings }))?;
        return Ok(0);
    }
    if let Some(file) = &house.settings.file {
        output.line(format!("settings {}: valid", file.display()))?;
    }
    output.line(format!("archive  {}", house.settings.archive))?;
    for source in &sources {
        let state = match &source.store {
            Ok(_) => String::new(),
            Err(error) => format!("  (cannot be opened: {})", error.reason()),
        };
        output.line(format!(
            "source   {} in {}, {}{state}",
            source.name,
            source.workspace,
            source.layout.describe()
        ))?;
    }
    let delete = &house.settings.delete;
    output.line(format!(
        "armed    {}",
        if delete.raw {
            "raw objects are cleared after their verified archive and keep_raw"
        } else {
            "nothing: nothing at all is deleted"
        }
    ))?;
    output.line(format!(
        "policies {}: valid, {}",
        house.settings.policies.display(),
        count(policies.files().len() as u64, "file", "files")
    ))?;
    output.line("")?;
    output.line(description.to_string().trim_end())?;
    if policies.defaults().is_none() {
        output.line("")?;
        output.line("Tables that no rule names are kept as raw logs and reported: [defaults] has no `retain`.")?;
    }
    for warning in warnings {
        output.note(warning.render(output.color));
    }
    Ok(0)
}
