//! Requests that make Azure keep what rules say.
//!
//! `retain` becomes `totalRetentionInDays`. Days and weeks must be a value that Azure takes: another is refused, with
//! the next longer one. Months and years have no fixed number of days: they become the least value that is never
//! shorter, and the difference is said. Nothing is ever exported shorter than the rule.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use crate::names::TableName;
use crate::policy::{Pattern, PolicySet, Rule, Span};

use super::Method;
use super::days::{LONG_TOTALS, below, nearest_total};

/// The version of the Tables API that is asked.
const API_VERSION: &str = "2023-09-01";

/// What to export, and where to.
#[derive(Debug, Clone)]
pub struct Choice<'c> {
    /// Only these tables, by whatever rule governs them; empty: every rule that names one table.
    pub tables: &'c [Pattern],
    pub method: Method,
    pub subscription: &'c str,
    pub resource_group: &'c str,
    /// None: the workspace of the rule's name, else a placeholder.
    pub workspace: Option<&'c str>,
}

/// Requests, and what is not among them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Exported {
    pub requests: Vec<Request>,
    /// Rules that name no single table.
    pub skipped: Vec<Unexported>,
    /// Rules that Azure cannot express.
    #[serde(skip)]
    pub refused: Vec<Unexported>,
    /// Where Azure keeps longer than the rule.
    pub notes: Vec<String>,
}

/// One request of the Tables API.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub body: Value,
}

/// A rule that is not exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unexported {
    /// The rule or table, and where it is written.
    pub rule: String,
    pub reason: String,
    pub hint: String,
}

/// The requests for `set`.
pub fn export(set: &PolicySet, choice: &Choice<'_>) -> Exported {
    let mut exported = Exported::default();
    let mut seen = BTreeSet::new();
    if choice.tables.is_empty() {
        for (pattern, rule) in set.rules() {
            if pattern.is_exact() {
                exported.add(pattern, rule, choice, &mut seen);
            } else {
                exported.skipped.push(unexported(
                    pattern.as_str(),
                    Some(rule),
                    "is a glob",
                    "name its tables with --table",
                ));
            }
        }
        if let Some(rule) = set.defaults() {
            exported.skipped.push(unexported(
                "[defaults]",
                Some(rule),
                "name no table of their own",
                "name tables with --table",
            ));
        }
    }
    for pattern in choice.tables {
        let rule = TableName::parse(pattern.as_str()).and_then(|table| set.rule_for(&table));
        match rule {
            Some(rule) => exported.add(pattern, &rule, choice, &mut seen),
            None => exported.refused.push(unexported(pattern.as_str(), None, "has no rule", "see `holdfast check`")),
        }
    }
    exported
}

impl Exported {
    fn add(&mut self, pattern: &Pattern, rule: &Rule, choice: &Choice<'_>, seen: &mut BTreeSet<String>) {
        let (workspace, table) = match pattern.as_str().split_once('/') {
            Some((workspace, table)) => (Some(workspace), table),
            None => (None, pattern.as_str()),
        };
        let workspace = choice.workspace.or(workspace).unwrap_or("{workspaceName}");
        let mut refuse = |reason: String, hint: String| {
            self.refused.push(unexported(pattern.as_str(), Some(rule), &reason, &hint));
        };
        if table.contains('.') {
            return refuse("has a dot in its name".into(), "Azure's tables have letters, digits, `_` and `-`".into());
        }
        let days = match days(rule.retain) {
            Ok(days) => days,
            Err(hint) => return refuse(format!("keeps for {}, which Azure cannot express", rule.retain), hint),
        };
        let path = format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.OperationalInsights/workspaces/{workspace}/tables/{table}?api-version={API_VERSION}",
            choice.subscription, choice.resource_group
        );
        if !seen.insert(path.to_lowercase()) {
            return refuse(format!("is a second rule for {table} of {workspace}"), "choose one with --table".into());
        }
        if matches!(rule.retain, Span::Months(_) | Span::Years(_)) {
            let less = below(days).map_or_else(String::new, |less| {
                format!(
                    ", since {less} are too few for some days of the calendar (if they are meant, write \"{less}d\")"
                )
            });
            let (name, retain) = (pattern.as_str(), rule.retain);
            self.notes.push(format!("{name} ({}): {retain} becomes {days} days{less}", rule.origin));
        }
        let body = json!({ "properties": { "totalRetentionInDays": days } });
        self.requests.push(Request { method: choice.method, path, body });
    }
}

/// The value for Azure, or what it could be instead.
fn days(retain: Span) -> Result<u32, String> {
    let longest = LONG_TOTALS[LONG_TOTALS.len() - 1];
    let exact = match retain {
        Span::Days(days) => Some(days),
        Span::Weeks(weeks) => weeks.checked_mul(7),
        Span::Months(_) | Span::Years(_) | Span::Forever => None,
    };
    match (nearest_total(retain), exact) {
        (None, _) => Err(format!("Azure keeps {longest} days (12 years) at most")),
        (Some(days), Some(exact)) if days != exact => Err(format!("the next longer one is retain = \"{days}d\"")),
        (Some(days), _) => Ok(days),
    }
}

fn unexported(name: &str, rule: Option<&Rule>, reason: &str, hint: &str) -> Unexported {
    let place = rule.map_or_else(String::new, |rule| format!(" ({})", rule.origin));
    Unexported { rule: format!("{name}{place}"), reason: reason.into(), hint: hint.into() }
}
