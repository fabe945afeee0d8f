//! `holdfast policy import` and `export`: Azure's words in, Azure's words out. Azure itself is never called.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::args::{ExportArgs, ImportArgs};
use super::{place, show_mistakes};
use crate::cli::args::Args;
use crate::cli::output::{Output, count};
use crate::error::{Error, Kind, Result};
use crate::policy::azure::{self, Choice, Imported};
use crate::settings::diagnose::{Source, summary};

pub fn import(options: &ImportArgs, output: &mut Output) -> Result<u8> {
    let stdin = options.file == Path::new("-");
    let shown = if stdin { "standard input".to_owned() } else { options.file.display().to_string() };
    let attempted = || format!("reading {shown}");
    let bytes = if stdin {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(&options.file)
    };
    let bytes =
        bytes.map_err(|source| Error::from_source(Kind::Usage, attempted(), source).with_hint("check the path"))?;
    let text = String::from_utf8(bytes).map_err(|source| {
        Error::from_source(Kind::Policy, attempted(), source.utf8_error()).with_hint("save the file as UTF-8")
    })?;
    let source = Arc::new(Source { name: shown.clone(), text });
    let imported = match azure::import(&source, options.workspace.as_deref()) {
        Ok(imported) => imported,
        Err(mistakes) => {
            show_mistakes(&mistakes, output)?;
            return Err(Error::new(Kind::Policy, format!("importing {shown}"), summary(&mistakes))
                .with_hint("correct the file and import it again"));
        }
    };
    let to_stdout = options.output == Path::new("-");
    if !to_stdout {
        write_new(&options.output, &imported.policy)?;
    }
    if output.is_json() {
        output.json(&imported)?;
        return Ok(0);
    }
    let summary = said(&imported);
    if to_stdout {
        output.bytes(imported.policy.as_bytes())?;
        output.note(summary);
    } else {
        output.line(format!("{}: {summary}", options.output.display()))?;
    }
    if imported.incomplete {
        output.note("warning: the list goes on at its `nextLink`: there are more tables than these");
    }
    Ok(0)
}

fn said(imported: &Imported) -> String {
    let rules = count(imported.rules.len() as u64, "rule", "rules");
    match imported.without_rule.len() as u64 {
        0 => rules,
        tables => format!("{rules}; {} Azure's default and got none", count(tables, "table follows", "tables follow")),
    }
}

/// Writes a file that must not be there yet: policies are people's work.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|source| {
        Error::from_source(Kind::Usage, format!("writing the policy file {}", path.display()), source)
            .with_hint("name a file that is not there yet, in a folder that is")
    })
}

pub fn export(args: &Args, options: &ExportArgs, output: &mut Output) -> Result<u8> {
    let config = args.config.as_deref();
    let place = match &options.place {
        Some(place) => place.clone(),
        None => place::default_folder(config)?,
    };
    let set = match place::read(&place, config)? {
        Ok(set) => set,
        Err(error) => {
            show_mistakes(&error.mistakes, output)?;
            return Err(error.into());
        }
    };
    let exported = azure::export(
        &set,
        &Choice {
            tables: &options.tables,
            method: options.method.into(),
            subscription: &options.subscription,
            resource_group: &options.resource_group,
            workspace: options.workspace.as_deref(),
        },
    );
    if !exported.refused.is_empty() {
        if output.is_json() {
            output.json(&json!({ "refused": exported.refused }))?;
        } else {
            for rule in &exported.refused {
                output.note(format!("error: {} {}: {}", rule.rule, rule.reason, rule.hint));
            }
        }
        let rules = count(exported.refused.len() as u64, "rule", "rules");
        return Err(Error::new(
            Kind::Policy,
            format!("exporting {place}"),
            format!("{rules} cannot be exported; nothing was"),
        )
        .with_hint("change them, or choose others with --table"));
    }
    if output.is_json() {
        output.json(&exported)?;
        return Ok(0);
    }
    for (at, request) in exported.requests.iter().enumerate() {
        if at > 0 {
            output.line("")?;
        }
        output.line(format!("{} {}", request.method.as_str(), request.path))?;
        output.line(request.body.to_string())?;
    }
    for rule in &exported.skipped {
        output.note(format!("not exported: {} {}: {}", rule.rule, rule.reason, rule.hint));
    }
    for note in &exported.notes {
        output.note(format!("longer in Azure: {note}"));
    }
    Ok(0)
}
