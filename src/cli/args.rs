//! The commands and their options, as `--help` teaches them.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::policy::PolicyCommand;
use super::restore::Compress;
use super::search::SearchArgs;
use crate::names::TableName;

/// Keeps logs as long as policy says and can prove it.
///
/// Raw logs that have aged become sorted, verified Parquet in Delta Lake tables; what was archived can be restored
/// exactly as it was; every step stands in a hash-chained ledger.
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Begin with `holdfast demo`: it shows everything on sample logs, in a folder of its own.")]
pub struct Args {
    /// The settings file [default: $HOLDFAST_CONFIG, ./holdfast.toml, /etc/holdfast/holdfast.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to print: words for people, JSON for programs; `policy diff` knows Markdown, `search` CSV, Parquet and Arrow
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Log more: -v what is done, -vv every step
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// How log lines on stderr look
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Validate settings and policies, and show the rule of each table
    #[command(after_help = "Exit code 1: a policy is invalid; 2: the settings are.")]
    Check(CheckArgs),
    /// Show what a run would do, and why; destroy nothing
    #[command(
        after_help = "Examples:\n  holdfast plan\n  holdfast plan --table SecurityEvent --as-of 2026-12-31\n  holdfast plan --out plan.json      then: holdfast approve plan.json --reason …\n\n\
        Exit codes: 0 nothing waits for a person · 4 something needs an approval."
    )]
    Plan(PlanArgs),
    /// Consent to the retirements that a plan asks for
    #[command(
        after_help = "Example:\n  holdfast plan --out plan.json\n  holdfast approve plan.json --reason \"ticket 4711: 90 days are enough for firewall logs\"\n\n\
        Nothing is destroyed by this: the next run retires what matches exactly, and destroys it after its purge_delay."
    )]
    Approve(ApproveArgs),
    /// Put a retired day back into its table
    #[command(
        after_help = "Example:\n  holdfast reinstate SecurityEvent 2024-03-01\n\nIt is not retired again without an approval."
    )]
    Reinstate(ReinstateArgs),
    /// Take over what somebody else committed to a table
    #[command(
        after_help = "Example:\n  holdfast adopt SecurityEvent --reason \"OPTIMIZE by the data team, ticket 4712\"\n\n\
        Until then nothing is destroyed in that table. Run `holdfast verify` first: it names the commits."
    )]
    Adopt(AdoptArgs),
    /// Archive what is due, clear raw logs that may go, settle what a killed run left
    #[command(after_help = "Examples:\n  holdfast run\n  holdfast run --table SecurityEvent\n\n\
        Safe to kill at any instant: the next run settles what is open.\n\
        Exit codes: 0 done · 1 failed · 3 done, some objects failed · 4 needs a decision · 5 damage found · 75 another run holds the lease.")]
    Run(RunArgs),
    /// Run unattended, by the cron lines of the settings and of the rules
    #[command(
        after_help = "Runs until SIGTERM or SIGINT, then ends after the step it is in, with exit code 0; a second signal ends it \
        at once, which is safe. A run that fails is told on stderr and in the metrics, and the schedule goes on. What was \
        missed is caught up once. `holdfast check` shows when each line fires next."
    )]
    Schedule,
    /// Ask the archive in SQL
    #[command(
        after_help = "Examples:\n  holdfast search \"SELECT Account, count(*) FROM SecurityEvent WHERE EventID = 4625 AND TimeGenerated >= '2024-03-01' GROUP BY 1\"\n  \
        holdfast search \"SELECT * FROM SigninLogs WHERE UserPrincipalName ILIKE '%alice%' ORDER BY TimeGenerated DESC\" --limit 20\n  \
        holdfast search \"SELECT LocationDetails ->> 'city' AS city, count(*) FROM SigninLogs GROUP BY 1\" --format csv --output cities.csv\n  \
        holdfast search \"SELECT count(*) FROM SecurityEvent\" --explain      what it would read\n\n\
        Names may be written in any case; `workspace.Table` where two workspaces have the table. Every answer ends with what it \
        was made from and what it did not see: on stderr, or for --format json as a last line.\n\
        Exit codes: 0 answered · 1 failed, cut short by --timeout or Ctrl-C, or less than --strict asks for · 2 the query is wrong · 5 damage found."
    )]
    Search(SearchArgs),
    /// Give archived records back as they were, as NDJSON
    #[command(
        after_help = "Examples:\n  holdfast restore --table SecurityEvent --from 2024-03-01 --to 2024-03-31 --output march.ndjson.gz\n  \
        holdfast restore --table SecurityEvent --output restored/ --compress zstd      one file a day\n  \
        cd restored && sha256sum -c SHA256SUMS\n  \
        holdfast restore --table SecurityEvent --from 2024-03-01 --where \"EventID = 4625 AND Account ILIKE '%admin%'\"\n  \
        holdfast restore --table SecurityEvent | jq .EventID\n\n\
        A date as --to includes that day; an instant excludes itself. Beside the file stand a manifest of what it came from \
        and what it lacks, and a list for sha256sum. Each restore is recorded in the access log."
    )]
    Restore(RestoreArgs),
    /// Check that everything written is still what was written
    #[command(
        after_help = "Reads the whole archive and changes nothing. Exit code 5: damage found; 4: somebody else wrote to a table."
    )]
    Verify,
    /// Why something is kept or goes: its rule, its dates, what is in the way; or the certificate of its destruction
    #[command(after_help = "Examples:\n  holdfast why SecurityEvent 2024-03-05\n  \
        holdfast why collector:SecurityEvent/2024/03/05/14/a.json\n  \
        holdfast why SecurityEvent 2024-03-05 --certificate > certificate.txt\n\n\
        Exit code 4 with --certificate: nothing of that day was destroyed.")]
    Why(WhyArgs),
    /// How it all stands: the last run, what waits, what is overdue, and what to do
    #[command(after_help = "Reads only, and works while a run is under way.\n\
        Exit codes: 0 fine · 1 the last run failed, never ended, or is too long ago · 3 it left objects undone · 4 a decision waits · 5 damage found.")]
    Status(StatusArgs),
    /// Who searched and restored what, and when
    #[command(subcommand)]
    Access(AccessCommand),
    /// Look at the ledger: what was intended, what was done
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Look at records that could not be judged, and judge them again
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// See what a policy edit would do; read and write Azure's retention settings
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// See all of it on sample logs, in a folder of its own
    Demo(DemoArgs),
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
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
    #[command(
        after_help = "Examples:\n  holdfast access list\n  holdfast access list --last 20 --writer web-1-alice\n  \
        holdfast access list --format json | jq -r '.[] | select(.what == \"restore\") | .text.is'\n\n\
        Names are what the askers said: nobody proved them. Exit code 5: entries are missing or damaged."
    )]
    List {
        /// Only the newest so many
        #[arg(long, value_name = "N")]
        last: Option<usize>,
        /// Only those of one writer: a host and a user
        #[arg(long, value_name = "WRITER")]
        writer: Option<String>,
    },
    /// One search or restore whole: its text, its answer, what it lacked
    #[command(after_help = "Example:\n  holdfast access show web-1-alice 12")]
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
    List {
        /// Only the newest so many
        #[arg(long, value_name = "N")]
        last: Option<usize>,
    },
    /// One entry whole, with what is attached to it
    Show { seq: u64 },
    /// Check the chain, its attachments and its witness
    Verify,
}

#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// What lies there, and why
    List {
        /// Only this table
        #[arg(long, value_name = "TABLE", value_parser = parse_table)]
        table: Option<TableName>,
    },
    /// Print one item's bytes as they were (`BATCH/NUMBER`, as `list` names it)
    Show { item: String },
    /// Judge quarantined records again under the rules of today
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

fn parse_table(text: &str) -> Result<TableName, String> {
    TableName::parse(text)
        .ok_or_else(|| "a table is `Table` or `workspace/Table`: letters, digits, `_`, `-`, `.`".into())
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
