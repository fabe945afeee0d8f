//! The commands and their options, as `--help` teaches them.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::detect::SourceCommand;
use super::help;
use super::policy::PolicyCommand;
use super::restore::Compress;
use super::search::SearchArgs;
use crate::names::TableName;
use crate::policy::Span;

/// The heading of what every command understands.
const EVERYWHERE: &str = "Options of every command";

/// Keeps logs as long as policy says and can prove it.
///
/// Raw logs that have aged become sorted, verified Parquet in Delta Lake tables; what was archived can be restored
/// exactly as it was; every step stands in a hash-chained ledger.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Begin with `holdfast demo`: it shows everything on sample logs, in a folder of its own.",
    after_long_help = help::HOLDFAST
)]
pub struct Args {
    /// The settings file [default: $HOLDFAST_CONFIG, ./holdfast.toml, /etc/holdfast/holdfast.toml]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to print: words for people, JSON for programs; `policy diff` and `man` know Markdown, `search` CSV, Parquet and
    /// Arrow, `report` a page for a browser
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Log more: -v what is done, -vv every step
    #[arg(short, long, global = true, help_heading = EVERYWHERE, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// How log lines on stderr look
    #[arg(long, global = true, help_heading = EVERYWHERE, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    Markdown,
    Csv,
    Parquet,
    Arrow,
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Validate settings and policies, and show the rule of each table
    #[command(after_long_help = help::CHECK)]
    Check(CheckArgs),
    /// Show what a run would do, and why; destroy nothing
    #[command(after_long_help = help::PLAN)]
    Plan(PlanArgs),
    /// Consent to the retirements that a plan asks for
    #[command(after_long_help = help::APPROVE)]
    Approve(ApproveArgs),
    /// Put a retired day back into its table
    #[command(after_long_help = help::REINSTATE)]
    Reinstate(ReinstateArgs),
    /// Take over what somebody else committed to a table
    #[command(after_long_help = help::ADOPT)]
    Adopt(AdoptArgs),
    /// Archive what is due, clear raw logs that may go, settle what a killed run left
    #[command(after_long_help = help::RUN)]
    Run(RunArgs),
    /// Run unattended, by the cron lines of the settings and of the rules
    #[command(after_long_help = help::SCHEDULE)]
    Schedule,
    /// Ask the archive in SQL
    #[command(after_long_help = help::SEARCH)]
    Search(SearchArgs),
    /// Give archived records back as they were, as NDJSON
    #[command(after_long_help = help::RESTORE)]
    Restore(RestoreArgs),
    /// Check that everything written is still what was written
    #[command(after_long_help = help::VERIFY)]
    Verify,
    /// Why something is kept or goes: its rule, its dates, what is in the way; or the certificate of its destruction
    #[command(after_long_help = help::WHY)]
    Why(WhyArgs),
    /// How it all stands: the last run, what waits, what is overdue, and what to do
    #[command(after_long_help = help::STATUS)]
    Status(StatusArgs),
    /// Who searched and restored what, and when
    #[command(subcommand, after_long_help = help::ACCESS)]
    Access(AccessCommand),
    /// Every table: rows, bytes, days, its rule, and what still lies raw
    #[command(after_long_help = help::TABLES)]
    Tables(TablesArgs),
    /// The columns of a table: their types, and how many rows have a value
    #[command(after_long_help = help::SCHEMA)]
    Schema(SchemaArgs),
    /// What is kept, since when, until when, and what is gone: for people, programs, or as one page with a drawn timeline
    #[command(after_long_help = help::REPORT)]
    Report(ReportArgs),
    /// Look at the ledger: what was intended, what was done
    #[command(subcommand, after_long_help = help::LEDGER)]
    Ledger(LedgerCommand),
    /// Look at records that could not be judged, and judge them again
    #[command(subcommand, after_long_help = help::QUARANTINE)]
    Quarantine(QuarantineCommand),
    /// See what a policy edit would do; read and write Azure's retention settings
    #[command(subcommand, after_long_help = help::POLICY)]
    Policy(PolicyCommand),
    /// Find out what a folder or bucket holds, and what to write into the settings
    #[command(subcommand, after_long_help = help::SOURCE)]
    Source(SourceCommand),
    /// See all of it on sample logs, in a folder of its own
    #[command(after_long_help = help::DEMO)]
    Demo(DemoArgs),
    /// Print or install the manual
    #[command(after_long_help = help::MAN)]
    Man(ManArgs),
    /// Print a completion script for a shell
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, ClapArgs)]
pub struct PlanArgs {
    /// Only this table (`Table` or `workspace/Table`; can be repeated)
    #[arg(long = "table", value_name = "TABLE", value_parser = parse_table)]
    pub tables: Vec<TableName>,
    /// Plan as of this time: a date (00:00 UTC) or an RFC 3339 instant
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub as_of: Option<Timestamp>,
    /// Write the whole plan to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct ApproveArgs {
    /// The file that `holdfast plan --out` wrote
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    /// Why, for those who ask later
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who consents [default: the name you are logged in with]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct ReinstateArgs {
    /// The table (`Table` or `workspace/Table`)
    #[arg(value_name = "TABLE", value_parser = parse_table)]
    pub table: TableName,
    /// The day, like 2024-03-01
    pub day: Date,
}

#[derive(Debug, ClapArgs)]
pub struct AdoptArgs {
    /// The table (`Table` or `workspace/Table`)
    #[arg(value_name = "TABLE", value_parser = parse_table)]
    pub table: TableName,
    /// Who changed it and why, for those who ask later
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

#[derive(Debug, ClapArgs)]
pub struct CheckArgs {
    /// Try the stores too: do they keep their promises, and what do their buckets say of lifecycle, versions and locks?
    #[arg(long)]
    pub stores: bool,
    /// Show when the schedule fires after this time: a date (00:00 UTC) or an RFC 3339 instant
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub as_of: Option<Timestamp>,
}

#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    /// Only this table (`Table` or `workspace/Table`; can be repeated)
    #[arg(long = "table", value_name = "TABLE", value_parser = parse_table)]
    pub tables: Vec<TableName>,
    /// Run as of this time: a date (00:00 UTC) or an RFC 3339 instant
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub as_of: Option<Timestamp>,
}

#[derive(Debug, ClapArgs)]
pub struct WhyArgs {
    /// A table (`Table` or `workspace/Table`), or a raw object (`source:path`, or its path)
    #[arg(value_name = "TABLE|OBJECT")]
    pub what: String,
    /// A day of the table
    pub day: Option<Date>,
    /// As of this time: a date (00:00 UTC) or an RFC 3339 instant
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub as_of: Option<Timestamp>,
    /// Print the certificate of destruction of that day, from the ledger alone
    #[arg(long, requires = "day", conflicts_with = "as_of")]
    pub certificate: bool,
}

#[derive(Debug, ClapArgs)]
pub struct StatusArgs {
    /// As of this time: a date (00:00 UTC) or an RFC 3339 instant
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub as_of: Option<Timestamp>,
}

#[derive(Debug, ClapArgs)]
pub struct TablesArgs {
    /// As of this time: a date (00:00 UTC) or an RFC 3339 instant
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub as_of: Option<Timestamp>,
}

#[derive(Debug, ClapArgs)]
pub struct SchemaArgs {
    /// The table (`Table` or `workspace/Table`)
    #[arg(value_name = "TABLE", value_parser = parse_table)]
    pub table: TableName,
}

#[derive(Debug, ClapArgs)]
pub struct ReportArgs {
    /// As of this time: a date (00:00 UTC) or an RFC 3339 instant
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub as_of: Option<Timestamp>,
    /// Look for hours without records in the newest so many archived days of each table; `0d`: in none
    #[arg(long, value_name = "DAYS", default_value = "30d", value_parser = parse_days)]
    pub hours_for: u32,
    /// Where to write it: a file, or `-`
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub output: String,
}

#[derive(Debug, ClapArgs)]
pub struct RestoreArgs {
    /// The table (`Table` or `workspace/Table`)
    #[arg(long, value_name = "TABLE", value_parser = parse_table)]
    pub table: TableName,
    /// First day or instant
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Last day, or the instant before which to stop
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Time zone of dates in --from and --to
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub tz: String,
    /// Only records of which this is true, as behind WHERE
    #[arg(long = "where", value_name = "SQL")]
    pub predicate: Option<String>,
    /// A file (`.gz` and `.zst` are packed), a folder with a slash at its end (one file a day), or `-`
    #[arg(long, value_name = "FILE|FOLDER/|-", default_value = "-")]
    pub output: String,
    /// Pack the files, or stdout [default: as the file's ending says; a folder's files and stdout are plain]
    #[arg(long, value_enum, value_name = "HOW")]
    pub compress: Option<Compress>,
    /// Where to write the manifest [default: beside the file; none for `-`]
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Who asks, for the access log [default: the name you are logged in with]
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// One line a search or restore, oldest first
    #[command(after_long_help = help::ACCESS_LIST)]
    List {
        /// Only the newest so many
        #[arg(long, value_name = "N")]
        last: Option<usize>,
        /// Only those of one writer: a host and a user
        #[arg(long, value_name = "WRITER")]
        writer: Option<String>,
    },
    /// One search or restore whole: its text, its answer, what it lacked
    #[command(after_long_help = help::ACCESS_SHOW)]
    Show {
        /// The host and user who asked, as `list` names them
        writer: String,
        /// The number of the entry
        seq: u64,
    },
}

#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// One line an entry
    #[command(after_long_help = help::LEDGER_LIST)]
    List {
        /// Only the newest so many
        #[arg(long, value_name = "N")]
        last: Option<usize>,
    },
    /// One entry whole, with what is attached to it
    #[command(after_long_help = help::LEDGER_SHOW)]
    Show {
        /// The number of the entry
        seq: u64,
    },
    /// Check the chain, its attachments and its witness
    #[command(after_long_help = help::LEDGER_VERIFY)]
    Verify,
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// What lies there, and why
    #[command(after_long_help = help::QUARANTINE_LIST)]
    List {
        /// Only this table
        #[arg(long, value_name = "TABLE", value_parser = parse_table)]
        table: Option<TableName>,
    },
    /// Print one item's bytes as they were
    #[command(after_long_help = help::QUARANTINE_SHOW)]
    Show {
        /// The item as `list` names it: BATCH/NUMBER
        item: String,
    },
    /// Judge quarantined records again under the rules of today
    #[command(after_long_help = help::QUARANTINE_RETRY)]
    Retry {
        /// Only this table (can be repeated)
        #[arg(long = "table", value_name = "TABLE", value_parser = parse_table)]
        tables: Vec<TableName>,
    },
}

#[derive(Debug, ClapArgs)]
pub struct DemoArgs {
    /// The folder to make [default: holdfast-demo, or the next free number]
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct ManArgs {
    /// Write one page a command into this folder, which is made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

fn parse_table(text: &str) -> Result<TableName, String> {
    TableName::parse(text)
        .ok_or_else(|| "a table is `Table` or `workspace/Table`: letters, digits, `_`, `-`, `.`".into())
}

fn parse_days(text: &str) -> Result<u32, String> {
    let days = match text.parse() {
        Ok(Span::Days(days)) => Some(days),
        Ok(Span::Weeks(weeks)) => weeks.checked_mul(7),
        _ => None,
    };
    days.ok_or_else(|| "whole days or weeks: `30d`, `2w`; `0d` for none".into())
}

/// A date is 00:00 UTC.
pub fn parse_instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    text.parse::<Date>()
        .ok()
        .and_then(|date| date.to_zoned(TimeZone::UTC).ok())
        .map(|day| day.timestamp())
        .ok_or_else(|| "a time is a date (2024-03-31) or an RFC 3339 instant (2024-03-31T12:00:00Z)".into())
}
