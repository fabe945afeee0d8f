//! `holdfast policy`: what an edit would do, and Azure's words for it. Needs neither settings nor archive.

mod args;
mod azure;
mod diff;
mod place;
mod words;

pub use args::PolicyCommand;

use super::args::Args;
use super::output::Output;
use crate::error::Result;
use crate::policy::{Mistake, render_all};

pub fn policy(args: &Args, command: &PolicyCommand, output: &mut Output) -> Result<u8> {
    match command {
        PolicyCommand::Diff(options) => diff::diff(args, options, output),
        PolicyCommand::Import(options) => azure::import(options, output),
        PolicyCommand::Export(options) => azure::export(args, options, output),
    }
}

/// Every mistake, as `check` shows them.
fn show_mistakes(mistakes: &[Mistake], output: &mut Output) -> Result<()> {
    if output.is_json() {
        output.json(&serde_json::json!({ "mistakes": mistakes }))
    } else {
        output.note(format!("{}\n", render_all(mistakes, output.color)));
        Ok(())
    }
}
