//! The policy folder as a whole: all files together, all mistakes together, one answer for each table.
//!
//! A set exists only if every file of it is right: there is no half-read policy. Which rule governs does not depend on
//! the order of files or of rules within a file.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::names::TableName;
use crate::settings::diagnose::{Mistake, Problem, Source, Warning, line_of, nearest};

use super::document::{DefaultsDocument, Place, PolicyDocument, RuleDocument, TableDocument};
use super::folder::{PolicyError, is_policy_file, no_files, read_files, text_of};
use super::rule::{Origin, Rule, add_length, add_text};
use super::select::Pattern;

/// A policy file as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFile {
    /// Relative to the folder.
    pub name: String,
    pub text: String,
}

/// All files of a folder, as meant.
#[derive(Debug, Clone)]
pub struct PolicySet {
    files: Vec<PolicyFile>,
    governing: Vec<Governing>,
    defaults: Option<Rule>,
}

/// A rule with what it governs.
#[derive(Debug, Clone)]
struct Governing {
    pattern: Pattern,
    /// For the warning that it matches nothing: where its name stands.
    source: Arc<Source>,
    name: std::ops::Range<usize>,
    rule: Rule,
}

impl PolicySet {
    /// Reads every `*.toml` directly in `folder`, but hidden ones.
    pub fn read_folder(folder: &Path) -> Result<PolicySet, PolicyError> {
        let (files, mistakes) = read_files(folder);
        whole(files, folder, mistakes)
    }

    /// Reads files that someone else has found, by name and bytes, as [`PolicySet::read_folder`] reads those of a
    /// folder; `place` is what people are shown for it.
    pub fn from_bytes(found: Vec<(String, Vec<u8>)>, place: &Path) -> Result<PolicySet, PolicyError> {
        let (mut files, mut mistakes) = (Vec::new(), Vec::new());
        for (name, bytes) in found {
            let shown = place.join(&name).display().to_string();
            let Some(accepted) = is_policy_file(&name, &shown) else { continue };
            match accepted.and_then(|()| text_of(&name, shown, bytes)) {
                Ok(file) => files.push(file),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if files.is_empty() && mistakes.is_empty() {
            mistakes.push(no_files(&place.display().to_string()));
        }
        whole(files, place, mistakes)
    }

    /// A set from files read before, as the ledger keeps them.
    pub fn from_files(files: Vec<PolicyFile>) -> Result<PolicySet, Vec<Mistake>> {
        if files.is_empty() {
            return Err(vec![no_files("the policy folder")]);
        }
        build(files, None)
    }

    /// Sorted by name.
    pub fn files(&self) -> &[PolicyFile] {
        &self.files
    }

    /// Hex SHA-256 over the files' names and texts, each with its length (u64 LE) before it.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        add_length(&mut hash, self.files.len() as u64);
        for file in &self.files {
            add_text(&mut hash, &file.name);
            add_text(&mut hash, &file.text);
        }
        hex::encode(hash.finalize())
    }

    /// The rule that governs `table`: the winner of those that match, else `[defaults]`. None: no rule; such a table is
    /// kept and reported.
    pub fn rule_for(&self, table: &TableName) -> Option<Rule> {
        let winner = self.governing.iter().filter(|governing| governing.pattern.matches(table));
        let winner = winner.max_by_key(|governing| governing.pattern.precedence());
        winner.map(|governing| &governing.rule).or(self.defaults.as_ref()).cloned()
    }

    /// Every rule with its pattern, in the order of files and lines; `[defaults]` not among them.
    pub fn rules(&self) -> impl Iterator<Item = (&Pattern, &Rule)> {
        self.governing.iter().map(|governing| (&governing.pattern, &governing.rule))
    }

    /// The rule of tables that no rule names, if `[defaults]` says how long they are kept.
    pub fn defaults(&self) -> Option<&Rule> {
        self.defaults.as_ref()
    }

    /// The rules that match none of the `known` tables, each with the nearest name among them.
    pub fn unmatched(&self, known: &[TableName]) -> Vec<Warning> {
        let idle = |governing: &&Governing| !known.iter().any(|table| governing.pattern.matches(table));
        self.governing.iter().filter(idle).map(|governing| unmatched(governing, known)).collect()
    }
}

/// A set from all files of `place`, if none of them has a mistake, nor had one before.
fn whole(files: Vec<PolicyFile>, place: &Path, mut mistakes: Vec<Mistake>) -> Result<PolicySet, PolicyError> {
    match build(files, Some(place)) {
        Ok(set) if mistakes.is_empty() => return Ok(set),
        Ok(_) => {}
        Err(more) => mistakes.extend(more),
    }
    Err(PolicyError { folder: place.to_owned(), mistakes })
}

fn unmatched(governing: &Governing, known: &[TableName]) -> Warning {
    let written = governing.pattern.as_str();
    let whole: Vec<String> = known.iter().map(TableName::to_string).collect();
    let near = if written.contains('/') {
        nearest(written, whole.iter().map(String::as_str))
    } else {
        nearest(written, known.iter().map(|table| table.table.as_str()))
    };
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "it applies as soon as such a table appears".into(),
    };
    let problem = Problem::new(format!("`{written}` matches no known table"), "matches nothing").with_hint(hint);
    Warning::new(Mistake::at(&governing.source, governing.name.clone(), problem))
}

/// A `[[table]]` with the name of its file.
type Named<'f, T> = (&'f str, T);

fn build(mut files: Vec<PolicyFile>, folder: Option<&Path>) -> Result<PolicySet, Vec<Mistake>> {
    files.sort_by(|one, other| one.name.cmp(&other.name));
    let mut mistakes = Vec::new();
    let mut defaults: Vec<Named<'_, DefaultsDocument>> = Vec::new();
    let mut tables: Vec<Named<'_, TableDocument>> = Vec::new();
    for file in &files {
        let shown = folder.map_or_else(|| file.name.clone(), |folder| folder.join(&file.name).display().to_string());
        match PolicyDocument::read(&Arc::new(Source { name: shown, text: file.text.clone() })) {
            Ok(document) => {
                defaults.extend(document.defaults.map(|defaults| (file.name.as_str(), defaults)));
                tables.extend(document.table.into_iter().map(|table| (file.name.as_str(), table)));
            }
            Err(found) => mistakes.extend(found),
        }
    }
    // While a file could not be read, its [defaults] may be what the others count on.
    let whole = mistakes.is_empty();
    refuse_second_defaults(&defaults, &mut mistakes);
    refuse_conflicts(&tables, &mut mistakes);
    let common = defaults.first().map(|(_, defaults)| &defaults.keys);
    if whole {
        refuse_missing_retain(&tables, common, &mut mistakes);
    }
    if !mistakes.is_empty() {
        mistakes.sort_by(|one, other| (one.file(), one.start()).cmp(&(other.file(), other.start())));
        return Err(mistakes);
    }
    let governing = tables
        .iter()
        .filter_map(|(file, table)| {
            let origin = origin(file, &table.place, Some(table.name.value.as_str()));
            Some(Governing {
                pattern: table.name.value.clone(),
                source: Arc::clone(&table.place.source),
                name: table.name.span.clone(),
                rule: Rule::resolve(&table.keys, common, origin)?,
            })
        })
        .collect();
    let defaults = defaults
        .first()
        .and_then(|(file, defaults)| Rule::resolve(&defaults.keys, None, origin(file, &defaults.place, None)));
    Ok(PolicySet { files, governing, defaults })
}

fn origin(file: &str, place: &Place, pattern: Option<&str>) -> Origin {
    let line = line_of(&place.source.text, place.header.start);
    Origin { file: file.to_owned(), line, pattern: pattern.map(str::to_owned) }
}

fn refuse_second_defaults(defaults: &[Named<'_, DefaultsDocument>], mistakes: &mut Vec<Mistake>) {
    let Some(((_, first), others)) = defaults.split_first() else { return };
    for (_, other) in others {
        let problem = Problem::new("[defaults] stands in two files", "the second")
            .with_hint("there is one [defaults] for the whole folder: merge them");
        let mistake = Mistake::at(&other.place.source, other.place.header.clone(), problem);
        mistakes.push(mistake.and_at(&first.place.source, first.place.header.clone(), "the first"));
    }
}

/// Two rules that mean the same tables, or that would tie over one.
fn refuse_conflicts(tables: &[Named<'_, TableDocument>], mistakes: &mut Vec<Mistake>) {
    for (index, (_, table)) in tables.iter().enumerate() {
        for (_, first) in &tables[..index] {
            let (one, other) = (&first.name.value, &table.name.value);
            let problem = if one.means_the_same(other) {
                Problem::new(format!("two rules for `{other}`"), "the second")
                    .with_hint("names count without regard to case; a table has one rule: merge the two")
            } else if let Some(example) = one.tie(other) {
                Problem::new(format!("`{one}` and `{other}` tie: neither is more literal"), "the second")
                    .with_hint(format!("both match `{example}`, for one: add literal characters, or name the tables"))
            } else {
                continue;
            };
            let mistake = Mistake::at(&table.place.source, table.name.span.clone(), problem);
            mistakes.push(mistake.and_at(&first.place.source, first.name.span.clone(), "the first"));
        }
    }
}

fn refuse_missing_retain(
    tables: &[Named<'_, TableDocument>],
    defaults: Option<&RuleDocument>,
    mistakes: &mut Vec<Mistake>,
) {
    if defaults.is_some_and(|defaults| defaults.retain.is_some()) {
        return;
    }
    for (_, table) in tables.iter().filter(|(_, table)| table.keys.retain.is_none()) {
        let name = &table.name.value;
        let problem = Problem::new(format!("nothing says how long `{name}` is kept"), "no `retain`, nor in [defaults]")
            .with_hint("add retain = \"730d\", say, or retain = \"forever\"");
        mistakes.push(Mistake::at(&table.place.source, table.name.span.clone(), problem));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> PolicyFile {
        PolicyFile { name: name.into(), text: format!("version = 1\n{text}") }
    }

    fn table(name: &str, retain: &str) -> String {
        format!("[[table]]\nname = \"{name}\"\nretain = \"{retain}\"\n")
    }

    fn retain(set: &PolicySet, name: &str) -> Option<String> {
        set.rule_for(&TableName::parse(name).unwrap()).map(|rule| rule.retain.to_string())
    }

    #[test]
    fn the_most_literal_rule_governs_whatever_the_order() {
        let rules = [
            table("*", "1d"),
            table("Sec*", "2d"),
            table("SecurityEvent", "3d"),
            table("main/SecurityEvent", "4d"),
            table("card/*", "5d"),
        ];
        for turn in 0..rules.len() {
            let mut rules = rules.clone();
            rules.rotate_left(turn);
            let (one, other) = rules.split_at(2);
            let set = PolicySet::from_files(vec![file("b.toml", &one.concat()), file("a.toml", &other.concat())]);
            let set = set.unwrap();
            assert_eq!(retain(&set, "main/securityevent").unwrap(), "4d");
            assert_eq!(retain(&set, "card/SecurityEvent").unwrap(), "3d", "exact beats glob");
            assert_eq!(retain(&set, "card/Other").unwrap(), "5d");
            assert_eq!(retain(&set, "main/SecOps").unwrap(), "2d");
            assert_eq!(retain(&set, "main/Heartbeat").unwrap(), "1d");
        }
    }

    #[test]
    fn i7_a_table_without_a_rule_has_none() {
        let set = PolicySet::from_files(vec![file("a.toml", &table("A", "1y"))]).unwrap();
        assert_eq!(retain(&set, "main/B"), None);
        let text = format!("[defaults]\nkeep_raw = \"0d\"\n{}", table("A", "1y"));
        let set = PolicySet::from_files(vec![file("a.toml", &text)]).unwrap();
        assert_eq!(retain(&set, "main/B"), None, "[defaults] without retain is no rule");
        let set = PolicySet::from_files(vec![file("a.toml", "[defaults]\nretain = \"forever\"\n")]).unwrap();
        assert_eq!(retain(&set, "main/B").unwrap(), "forever");
    }

    #[test]
    fn the_digest_is_of_names_and_texts() {
        let set = |files: &[(&str, &str)]| {
            let files = files.iter().map(|(name, text)| file(name, text)).collect();
            PolicySet::from_files(files).unwrap().digest()
        };
        let digest = set(&[("a.toml", "#1\n"), ("b.toml", "")]);
        assert_eq!(digest, set(&[("b.toml", ""), ("a.toml", "#1\n")]));
        assert_ne!(digest, set(&[("a.toml", "#2\n"), ("b.toml", "")]));
        assert_ne!(digest, set(&[("a.toml", "#1\n"), ("c.toml", "")]));
        assert_ne!(digest, set(&[("a.toml", "#1\n")]));
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_are_no_mistake() {
        let text = "\u{feff}version = 1\r\n[[table]]\r\nname = \"A\"\r\nretain = \"1y\"\r\n";
        let set = PolicySet::from_files(vec![PolicyFile { name: "a.toml".into(), text: text.into() }]).unwrap();
        assert_eq!(set.rules().count(), 1);
    }

    #[test]
    fn rules_that_match_nothing_name_the_nearest() {
        let text = table("SecurtyEvent", "1y") + &table("main/Audit*", "1y") + &table("SigninLogs", "1y");
        let set = PolicySet::from_files(vec![file("a.toml", &text)]).unwrap();
        let known = ["SecurityEvent", "cde/AuditLogs", "signinlogs"].map(|name| TableName::parse(name).unwrap());
        let warnings = set.unmatched(&known);
        let hints: Vec<_> = warnings.iter().map(|warning| warning.hint().unwrap()).collect();
        assert_eq!(hints, ["did you mean `SecurityEvent`?", "it applies as soon as such a table appears"]);
        assert_eq!(warnings[0].line(), Some(3));
    }
}
