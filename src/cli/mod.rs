//! The command line: arguments in, words and exit codes out. The only module that prints, through `output`.

mod access;
mod approve;
mod args;
mod by_hand;
mod certificate;
mod check;
mod demo;
mod detect;
mod ledger;
mod logging;
mod nights;
mod days;
mod help;
mod open;
mod output;
mod person;
mod plan;
mod policy;
mod progress;
mod quarantine;
mod record;
mod reference;
mod report;
mod restore;
mod run;
mod schedule;
mod schema;
mod search;
mod service;
mod status;
mod stores;
mod table;
mod tables;
mod terminal;
mod unseen;
mod verify;
mod why;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::error::{Error, Kind, Result};
use args::{Args, Command, Format};
use output::Output;
use policy::PolicyCommand;

/// Runs one command and gives the process's exit code (DESIGN §8).
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(arguments.into_iter().map(sql_comment)) {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Nothing can be done about a closed stdout.
            let _ = error.print();
            if code == 2 {
                output::nothing_done();
            }
            return ExitCode::from(code);
        }
    };
    let mut output = Output::new(args.format);
    logging::start(args.verbose, args.log_format);
    let code = match dispatch(&args, &mut output) {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            error.exit_code()
        }
    };
    ExitCode::from(code)
}

fn dispatch(args: &Args, output: &mut Output) -> Result<u8> {
    check_format(args)?;
    match &args.command {
        Command::Check(check) => check::check(args, check, output),
        Command::Plan(plan) => plan::plan(args, plan, output),
        Command::Approve(approve) => approve::approve(args, approve, output),
        Command::Reinstate(reinstate) => by_hand::reinstate(args, reinstate, output),
        Command::Adopt(adopt) => by_hand::adopt(args, adopt, output),
        Command::Run(run) => run::run(args, run, output),
        Command::Schedule => schedule::schedule(args, output),
        Command::Search(search) => search::search(args, search, output),
        Command::Restore(restore) => restore::restore(args, restore, output),
        Command::Verify => verify::verify(args, output),
        Command::Why(why) => why::why(args, why, output),
        Command::Status(status) => status::status(args, status, output),
        Command::Access(command) => access::access(args, command, output),
        Command::Tables(tables) => tables::tables(args, tables, output),
        Command::Schema(schema) => schema::schema(args, schema, output),
        Command::Report(report) => report::report(args, report, output),
        Command::Ledger(command) => ledger::ledger(args, command, output),
        Command::Quarantine(command) => quarantine::quarantine(args, command, output),
        Command::Policy(command) => policy::policy(args, command, output),
        Command::Source(command) => detect::source(command, output),
        Command::Demo(demo) => demo::demo(args, demo, output),
        Command::Man(man) => reference::man(args, man, output),
        Command::Completions { shell } => reference::completions(*shell, output),
    }
}

/// A query that begins with a comment is no option: `-- Who failed to log on?`.
fn sql_comment(argument: OsString) -> OsString {
    match argument.to_str() {
        Some(text) if text.starts_with("-- ") => format!("\n{text}").into(),
        _ => argument,
    }
}

/// Every command prints text and JSON; a few know more.
fn check_format(args: &Args) -> Result<()> {
    let (fits, reason) = match (args.format, &args.command) {
        (Format::Text | Format::Json, _) => return Ok(()),
        (Format::Markdown, command) => (
            matches!(command, Command::Policy(PolicyCommand::Diff(_)) | Command::Man(_)),
            "only `policy diff` and `man` print Markdown",
        ),
        (Format::Html, command) => (matches!(command, Command::Report(_)), "only `report` makes a page"),
        (Format::Csv | Format::Parquet | Format::Arrow, command) => {
            (matches!(command, Command::Search(_)), "only `search` knows CSV, Parquet and Arrow")
        }
    };
    if fits {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, "reading the command line", reason)
        .with_hint("leave --format out, or say --format json"))
}
