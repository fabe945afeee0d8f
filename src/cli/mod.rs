//! The command line: arguments in, words and exit codes out. The only module that prints, through `output`.

mod approve;
mod args;
mod by_hand;
mod certificate;
mod check;
mod demo;
mod ledger;
mod logging;
mod nights;
mod days;
mod open;
mod output;
mod plan;
mod policy;
mod progress;
mod quarantine;
mod report;
mod restore;
mod run;
mod schedule;
mod schema;
mod service;
mod status;
mod table;
mod tables;
mod verify;
mod why;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::error::{Error, Kind, Result};
use args::{Args, Command, Format};
use output::Output;
use policy::PolicyCommand;

/// Runs one command and gives the process's exit code (DESIGN §8).
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Nothing can be done about a closed stdout.
            let _ = error.print();
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
    let only = match (args.format, &args.command) {
        (Format::Markdown, Command::Policy(PolicyCommand::Diff(_))) | (Format::Html, Command::Report(_)) => None,
        (Format::Markdown, _) => Some("only `policy diff` prints Markdown"),
        (Format::Html, _) => Some("only `report` makes a page"),
        (Format::Text | Format::Json, _) => None,
    };
    if let Some(reason) = only {
        return Err(Error::new(Kind::Usage, "reading the command line", reason)
            .with_hint("leave --format out, or say --format json"));
    }
    match &args.command {
        Command::Check(check) => check::check(args, check, output),
        Command::Plan(plan) => plan::plan(args, plan, output),
        Command::Approve(approve) => approve::approve(args, approve, output),
        Command::Reinstate(reinstate) => by_hand::reinstate(args, reinstate, output),
        Command::Adopt(adopt) => by_hand::adopt(args, adopt, output),
        Command::Run(run) => run::run(args, run, output),
        Command::Schedule => schedule::schedule(args, output),
        Command::Restore(restore) => restore::restore(args, restore, output),
        Command::Verify => verify::verify(args, output),
        Command::Why(why) => why::why(args, why, output),
        Command::Status(status) => status::status(args, status, output),
        Command::Tables(tables) => tables::tables(args, tables, output),
        Command::Schema(schema) => schema::schema(args, schema, output),
        Command::Report(report) => report::report(args, report, output),
        Command::Ledger(command) => ledger::ledger(args, command, output),
        Command::Quarantine(command) => quarantine::quarantine(args, command, output),
        Command::Policy(command) => policy::policy(args, command, output),
        Command::Demo(demo) => demo::demo(args, demo, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "holdfast", &mut script);
            output.bytes(&script)?;
            Ok(0)
        }
    }
}
