//! A policy file from what Azure keeps.
//!
//! What a table keeps in Azure becomes a rule of its own; what follows Azure's default becomes none, and the file says
//! so: `[defaults]` govern it. Later statements of a table go on from earlier ones, as Azure would take them: PUT sets
//! what it leaves out to the default, PATCH keeps it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;

use crate::names::TableName;
use crate::policy::{Mistake, Pattern, Problem, Span};
use crate::settings::diagnose::{Source, line_of};

use super::Method;
use super::days::years;
use super::read::{Statement, Word, read};

/// A policy file, and what it says.
#[derive(Debug, Clone, Serialize)]
pub struct Imported {
    /// The file.
    pub policy: String,
    pub rules: Vec<ImportedRule>,
    pub without_rule: Vec<ByDefault>,
    /// The list goes on elsewhere: there are more tables than these.
    pub incomplete: bool,
}

/// A table that keeps for a time of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedRule {
    /// As the rule names it.
    pub name: String,
    pub retain: Span,
    /// How many days Azure lets people search, where that is less.
    pub searchable_days: Option<u32>,
    pub azure_workspace: Option<String>,
}

/// A table that follows Azure's default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ByDefault {
    pub name: String,
    /// What the default comes to, where Azure says it.
    pub days: Option<u32>,
}

/// Reads `source` and writes the policy file. `workspace`: what the sources call it; none: rules for every workspace, or,
/// if the tables are of several, for each under its name in Azure.
pub fn import(source: &Arc<Source>, workspace: Option<&str>) -> Result<Imported, Vec<Mistake>> {
    let statements = read(source)?;
    let tables = fold(statements.all);
    let azure: BTreeSet<String> =
        tables.iter().filter_map(|table| table.last.workspace.as_ref()).map(|name| name.to_lowercase()).collect();
    let several = azure.len() > 1 && workspace.is_none();
    let (mut rules, mut without_rule, mut mistakes, mut comments) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut names: BTreeSet<String> = BTreeSet::new();
    for table in &tables {
        let name = match workspace.or(table.last.workspace.as_deref().filter(|_| several)) {
            Some(workspace) => format!("{workspace}/{}", table.last.table),
            None => table.last.table.clone(),
        };
        if let Err(problem) = judge(table, &name, &mut names) {
            mistakes.push(Mistake::at(source, table.last.span.clone(), problem));
            continue;
        }
        match table.retain() {
            Some(days) => {
                comments.push(table.comment(source, days));
                let searchable_days = table.searchable(days);
                let azure_workspace = table.last.workspace.clone();
                rules.push(ImportedRule { name, retain: Span::Days(days), searchable_days, azure_workspace });
            }
            None => without_rule.push(ByDefault { name, days: table.last.default_days }),
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let mut imported = Imported { policy: String::new(), rules, without_rule, incomplete: statements.incomplete };
    imported.policy = write(&imported, &comments, &source.name, several);
    Ok(imported)
}

/// Statements of one table, one after the other.
struct Folded {
    interactive: Word,
    total: Word,
    last: Statement,
    /// Where each was said, and how.
    said: Vec<(Option<Method>, usize)>,
}

/// Tables in the order in which they are first named.
fn fold(statements: Vec<Statement>) -> Vec<Folded> {
    let same = |one: &Statement, other: &Statement| {
        let workspace = |one: &Statement| one.workspace.as_ref().map(|name| name.to_lowercase());
        one.table.eq_ignore_ascii_case(&other.table) && workspace(one) == workspace(other)
    };
    let mut tables: Vec<Folded> = Vec::new();
    for statement in statements {
        let said = (statement.method, statement.span.start);
        let Some(table) = tables.iter_mut().find(|table| same(&table.last, &statement)) else {
            // What nothing before has set is what PUT would set it to; only a PATCH leaves it open.
            let first = |word: Word| match word {
                Word::Absent if statement.method != Some(Method::Patch) => Word::Default,
                word => word,
            };
            let (interactive, total) = (first(statement.interactive), first(statement.total));
            tables.push(Folded { interactive, total, last: statement, said: vec![said] });
            continue;
        };
        let keep = |before: Word, now: Word| match now {
            Word::Absent if statement.method == Some(Method::Patch) => before,
            Word::Absent => Word::Default,
            now => now,
        };
        table.interactive = keep(table.interactive, statement.interactive);
        table.total = keep(table.total, statement.total);
        table.said.push(said);
        let first = table.last.clone();
        table.last = Statement { table: first.table, workspace: first.workspace, span: first.span, ..statement };
    }
    tables
}

/// Whether the table can be a rule.
fn judge(table: &Folded, name: &str, names: &mut BTreeSet<String>) -> Result<(), Problem> {
    Pattern::parse(name)?;
    if !TableName::is_valid_part(&table.last.table) {
        let problem = Problem::new(format!("`{}` is no table's name", table.last.table), "not a name");
        return Err(problem.with_hint("Azure's tables have letters, digits, `_` and `-`"));
    }
    if let (Word::Days(interactive), Word::Days(total)) = (table.interactive, table.total)
        && interactive > total
    {
        let title = format!("{name} is searchable for {interactive} days and kept for {total}");
        return Err(Problem::new(title, "totalRetentionInDays is less than retentionInDays")
            .with_hint("Azure refuses it: totalRetentionInDays is all the time a record is kept"));
    }
    if !names.insert(name.to_lowercase()) {
        return Err(Problem::new(format!("two tables would be `{name}`"), "the second")
            .with_hint("they are of two workspaces: import each by itself, with a --workspace of its own"));
    }
    Ok(())
}

impl Folded {
    fn retain(&self) -> Option<u32> {
        match (self.total, self.interactive) {
            (Word::Days(days), _) | (_, Word::Days(days)) => Some(days),
            _ => None,
        }
    }

    fn searchable(&self, retain: u32) -> Option<u32> {
        match self.interactive {
            Word::Days(days) if days < retain => Some(days),
            _ => self.last.default_days.filter(|days| *days < retain),
        }
    }

    /// The lines of comment above a rule.
    fn comment(&self, source: &Source, retain: u32) -> Vec<String> {
        let mut words = Vec::new();
        if let Word::Days(days) = self.total {
            let years = years(days).map_or_else(String::new, |years| format!(" ({years} years)"));
            words.push(format!("totalRetentionInDays {days}{years}"));
        }
        if let Word::Days(days) = self.interactive {
            words.push(format!("retentionInDays {days}"));
        }
        let mut line = format!("Azure: {}", words.join(", "));
        if let Some(days) = self.searchable(retain) {
            let _ = write!(line, "; searchable there for {days} days");
        }
        let said = self.said.iter().map(|(method, at)| {
            let method = method.map_or_else(String::new, |method| format!(" ({})", method.as_str()));
            format!("line {}{method}", line_of(&source.text, *at))
        });
        let mut from = said.collect::<Vec<_>>().join(", ");
        if let Some(workspace) = &self.last.workspace {
            let _ = write!(from, "; workspace {}", plain(workspace));
        }
        if let Some(plan) = &self.last.plan {
            let _ = write!(from, "; plan {}", plain(plan));
        }
        let mut lines = vec![line, format!("From {from}.")];
        if self.total == Word::Absent && self.last.method == Some(Method::Patch) {
            lines.push("A PATCH leaves totalRetentionInDays as it is in Azure: see whether it is longer.".into());
        }
        lines
    }
}

fn write(imported: &Imported, comments: &[Vec<String>], file: &str, several: bool) -> String {
    let mut text = format!("# From Azure Log Analytics: {}.\n", plain(file));
    text += "# `retain` is Azure's totalRetentionInDays, or retentionInDays where that stands alone.\n";
    if several {
        text += "# The tables are of several workspaces, and named as Azure names those: a source says `workspace = \"NAME\"`.\n";
    }
    if imported.incomplete {
        text += "# INCOMPLETE: the list goes on at its `nextLink`, and what comes there is not in this file.\n";
    }
    text += "version = 1\n";
    for (rule, comment) in imported.rules.iter().zip(comments) {
        text += "\n";
        for line in comment {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(text, "[[table]]\nname   = \"{}\"\nretain = \"{}\"", rule.name, rule.retain);
    }
    if let Some(first) = imported.without_rule.first() {
        text += "\n# These keep for Azure's default, and have no rule here: [defaults] govern them.\n";
        for table in &imported.without_rule {
            let days = table.days.map_or_else(String::new, |days| format!(", {days} days now"));
            let _ = writeln!(text, "#   {}{days}", table.name);
        }
        if let Some(days) = first.days.filter(|_| imported.without_rule.iter().all(|table| table.days == first.days)) {
            let _ = writeln!(text, "# [defaults] with retain = \"{days}d\" would keep them as Azure does.");
        }
    }
    text
}

/// Text from elsewhere, for a comment: it must not end its line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}
