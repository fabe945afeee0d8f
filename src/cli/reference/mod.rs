//! The reference of the command line: man pages, Markdown and completions, all from the definitions that parse it.

mod lesson;
mod markdown;
mod roff;

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::args::{Args, Format, ManArgs};
use super::output::{Output, count};
use crate::error::{Error, Kind, Result};

/// `holdfast man`.
pub fn man(args: &Args, man: &ManArgs, output: &mut Output) -> Result<u8> {
    let command = built();
    if args.format == Format::Json {
        return Err(Error::new(Kind::Usage, "printing the manual", "it is not printed as JSON")
            .with_hint("leave --format out for man pages, or say --format markdown"));
    }
    if args.format == Format::Markdown {
        if man.dir.is_some() {
            return Err(Error::new(Kind::Usage, "printing the manual", "--dir writes man pages, not Markdown")
                .with_hint("leave one of the two out: `holdfast man --format markdown > CLI.md`"));
        }
        output.bytes(markdown::page(&command).as_bytes())?;
        return Ok(0);
    }
    let Some(folder) = &man.dir else {
        output.bytes(&roff::page(&command)?)?;
        return Ok(0);
    };
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    let mut written = 0;
    for command in all(&command) {
        let path = folder.join(format!("{}.1", page_name(command)));
        fs::write(&path, roff::page(command)?).map_err(|source| failed(&path, source))?;
        written += 1;
    }
    output.line(format!("{} in {}", count(written, "page", "pages"), folder.display()))?;
    Ok(0)
}

/// `holdfast completions`.
pub fn completions(shell: Shell, output: &mut Output) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "holdfast", &mut script);
    output.bytes(&script)?;
    Ok(0)
}

/// The definitions, with everything that clap derives from them.
fn built() -> Command {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    command
}

/// A command and all below it, each before its own.
fn all(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().filter(|command| !command.is_hide_set()).flat_map(all);
    std::iter::once(command).chain(below).collect()
}

/// How one types it: `holdfast ledger list`.
fn typed(command: &Command) -> String {
    command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned()
}

/// How its page is called: `holdfast-ledger-list`.
fn page_name(command: &Command) -> String {
    typed(command).replace(' ', "-")
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::from_source(Kind::Store, format!("writing {}", path.display()), source)
        .with_hint("name a folder that you may write to: `holdfast man --dir FOLDER`")
        .of_answer()
}

#[cfg(test)]
mod tests;
