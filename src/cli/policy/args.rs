//! The options of `holdfast policy`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::cli::args::parse_instant;
use crate::cli::help;
use crate::names::TableName;
use crate::policy::Pattern;
use crate::policy::azure::Method;

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// What an edit of the policy does to an archive: for reviewers, who need nothing but its inventory
    #[command(after_long_help = help::POLICY_DIFF)]
    Diff(DiffArgs),
    /// Write a policy file from what Azure Log Analytics keeps
    #[command(after_long_help = help::POLICY_IMPORT)]
    Import(ImportArgs),
    /// Print the requests that make Azure Log Analytics keep what the policy says
    #[command(after_long_help = help::POLICY_EXPORT)]
    Export(ExportArgs),
}

#[derive(Debug, ClapArgs)]
pub struct DiffArgs {
    /// The policy so far: a folder, a file, or a git revision (`main:policies`)
    pub old: String,
    /// The policy to be: a folder, a file, or a git revision
    pub new: String,
    /// What the archive holds, as its last run wrote it
    #[arg(long, value_name = "FILE")]
    pub inventory: PathBuf,
    /// When the new policy is taken to be accepted: a date (00:00 UTC) or an RFC 3339 instant [default: the inventory's
    /// own time]
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub as_of: Option<Timestamp>,
}

#[derive(Debug, ClapArgs)]
pub struct ImportArgs {
    /// The file to read, or `-` for stdin
    #[arg(value_name = "FILE|-")]
    pub file: PathBuf,
    /// The policy file to write, which must not be there yet, or `-`
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub output: PathBuf,
    /// The workspace that the sources give to these tables [default: none, so that the rules govern every workspace; if
    /// the file has tables of several Azure workspaces, their names]
    #[arg(long, value_name = "NAME", value_parser = parse_workspace)]
    pub workspace: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct ExportArgs {
    /// A folder, a policy file, or a git revision [default: the settings' policies, or `policies`]
    #[arg(value_name = "FOLDER|FILE")]
    pub place: Option<String>,
    /// Only this table, whichever rule governs it (can be repeated)
    #[arg(long = "table", value_name = "TABLE", value_parser = parse_exact)]
    pub tables: Vec<Pattern>,
    /// PUT or PATCH
    #[arg(long, value_enum, default_value_t = MethodArg::Put)]
    pub method: MethodArg,
    /// The subscription's id
    #[arg(long, value_name = "ID", default_value = "{subscriptionId}", value_parser = parse_segment)]
    pub subscription: String,
    /// The resource group of the workspace
    #[arg(long, value_name = "NAME", default_value = "{resourceGroupName}", value_parser = parse_segment)]
    pub resource_group: String,
    /// The Azure workspace [default: that of the rule's name, else {workspaceName}]
    #[arg(long, value_name = "NAME", value_parser = parse_segment)]
    pub workspace: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MethodArg {
    Put,
    Patch,
}

impl From<MethodArg> for Method {
    fn from(method: MethodArg) -> Self {
        match method {
            MethodArg::Put => Method::Put,
            MethodArg::Patch => Method::Patch,
        }
    }
}

fn parse_workspace(text: &str) -> Result<String, String> {
    let valid = TableName::is_valid_part(text) && !text.to_lowercase().starts_with("_hf_");
    valid.then(|| text.to_owned()).ok_or_else(|| "a workspace has letters, digits, `_`, `-`, `.`".into())
}

fn parse_exact(text: &str) -> Result<Pattern, String> {
    let pattern = Pattern::parse(text).map_err(|problem| problem.to_string())?;
    if pattern.is_exact() { Ok(pattern) } else { Err("name one table, without `*` or `?`".into()) }
}

/// A segment of a request's path.
fn parse_segment(text: &str) -> Result<String, String> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '?' | '#' | '%' | '"' | '\\');
    if text.is_empty() || text.contains(bad) {
        return Err("it is one part of a path: no spaces, `/`, `?`, `#`, `%`".into());
    }
    Ok(text.to_owned())
}
