//! `holdfast why --certificate`: the certificate of destruction, made to be printed and filed.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::Date;

use super::open::House;
use super::output::{Output, count, number, size};
use crate::error::{Error, Kind, Result};
use crate::explain::{
    Annals, Certificate, DestroyedFile, EntryRef, FileOutcome, LeftOver, Step, certificate as gather, known_tables,
    unknown_table,
};
use crate::ledger::{Ground, Keeping, ObjectId, ProofKind, sha256_hex};
use crate::names::TableName;
use crate::policy::day_of;
use crate::source::Layout;

/// Reads the ledger only. Exit code 4: nothing of the day was destroyed.
pub fn certificate(house: &House, table: &TableName, day: Date, output: &mut Output) -> Result<u8> {
    let certificate = read(house, table, day)?;
    if output.is_json() {
        output.json(&certificate)?;
    } else {
        for line in lines(&certificate)? {
            output.line(line)?;
        }
    }
    if certificate.proves() {
        return Ok(0);
    }
    Err(Error::new(
        Kind::Decision,
        format!("certifying the destruction of {table} on {day}"),
        "nothing of that day was destroyed",
    )
    .with_hint(format!("`holdfast why {table} {day}` says what is kept, and when it goes")))
}

/// The certificate of one day, from the ledger.
pub fn read(house: &House, table: &TableName, day: Date) -> Result<Certificate> {
    let chain = house.chain()?;
    let known = known_tables(chain.state(), None);
    if !known.contains(table) {
        return Err(unknown_table(table, &known));
    }
    let layouts: BTreeMap<String, Layout> = house
        .settings
        .sources
        .iter()
        .filter_map(|source| Some((source.name.clone(), Layout::of(source).ok()?)))
        .collect();
    let period = |id: &ObjectId| {
        let period = layouts.get(&id.source)?.read(&id.path)?.period?;
        Some((day_of(period.start), day_of(period.end - SignedDuration::from_nanos(1))))
    };
    let annals = Annals::read(&chain, table)?;
    gather(&chain, &annals, table, day, &period)
}

/// The very bytes that `--format json` prints: what the SHA-256 on the certificate is of.
pub fn json_bytes(certificate: &Certificate) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(certificate)
        .map_err(|source| Error::from_source(Kind::Internal, "writing the certificate", source))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The certificate for people.
pub fn lines(certificate: &Certificate) -> Result<Vec<String>> {
    let mut page = Page::default();
    let title = if certificate.proves() {
        "CERTIFICATE OF DESTRUCTION"
    } else {
        "NO CERTIFICATE: NOTHING OF THIS DAY WAS DESTROYED"
    };
    page.text(title);
    page.text(format!("{}, {}", certificate.table, certificate.day));
    let simulation = if certificate.simulation { " (a simulation: its times were set)" } else { "" };
    page.text(format!("archive {}{simulation}", certificate.archive));
    page.text(if certificate.complete {
        "Nothing of this day is left, as far as the ledger knows.".to_owned()
    } else {
        format!(
            "NOT ALL IS DESTROYED: {} below {} no part of this certificate.",
            count(certificate.left.len() as u64, "thing", "things"),
            if certificate.left.len() == 1 { "is" } else { "are" }
        )
    });
    what(certificate, &mut page);
    rules(certificate, &mut page);
    consents(certificate, &mut page);
    retired(certificate, &mut page);
    steps(certificate, &mut page);
    raw_objects(certificate, &mut page);
    on_arrival(certificate, &mut page);
    left(&certificate.left, &mut page);
    ledger(certificate, &mut page)?;
    Ok(page.lines)
}

/// Sections, and facts numbered through all of them.
#[derive(Debug, Default)]
struct Page {
    lines: Vec<String>,
    facts: usize,
}

impl Page {
    fn text(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn section(&mut self, title: &str) {
        self.lines.push(String::new());
        self.lines.push(title.to_owned());
    }

    fn fact(&mut self, text: impl AsRef<str>) {
        self.facts += 1;
        self.lines.push(format!("{:>4}. {}", self.facts, text.as_ref()));
    }

    fn detail(&mut self, label: &str, text: impl AsRef<str>) {
        self.lines.push(format!("      {label:<12}{}", text.as_ref()));
    }
}

fn entry(reference: &EntryRef) -> String {
    format!("entry {} of {}", reference.entry, reference.at)
}

fn what(certificate: &Certificate, page: &mut Page) {
    page.section("What was destroyed");
    if certificate.files.is_empty() {
        page.text("      nothing");
    }
    for file in &certificate.files {
        let kind = match file.keeping {
            Keeping::Archive => "segment",
            Keeping::Raw => "raw object",
            Keeping::Quarantine => "quarantine",
        };
        page.fact(format!("{kind} {}", file.path));
        page.detail(
            "holds",
            format!(
                "{}, {} ({} bytes), part {}",
                count(file.rows, "record", "records"),
                size(file.bytes),
                number(file.bytes),
                file.part
            ),
        );
        page.detail("SHA-256", &file.sha256);
        if let Some(sum) = &file.record_set {
            page.detail("record set", format!("{}, digest {sum}", count(file.rows, "record", "records")));
        }
        if let Some(written) = &file.written {
            page.detail("written by", format!("batch {}, {}", file.batch, entry(written)));
        }
        if let Some(ground) = &file.ground {
            let dates = format!("expired on {}, to be destroyed from {} on", ground.expires, ground.destroy_at);
            page.detail("dates", dates);
        }
        if file.consented {
            page.detail("consent", "was needed, and given");
        }
        page.detail("outcome", outcome(file));
    }
}

fn outcome(file: &DestroyedFile) -> String {
    let what = match file.outcome {
        FileOutcome::Destroyed => "destroyed, and looked for afterwards",
        FileOutcome::Missing => "not there any more when it was to be destroyed",
        FileOutcome::DestroyedOrMissing => "destroyed, or not there any more (its step counts both)",
    };
    let why = match file.proof {
        ProofKind::Superseded => "; its records had been written anew by a merge",
        _ => "",
    };
    format!("{what}{why}; destruction {}", file.step)
}

/// The grounds by rule and policy, with the acts that went by them.
fn grounds(certificate: &Certificate) -> Vec<(&Ground, Vec<&'static str>)> {
    let mut found: Vec<(&Ground, Vec<&'static str>)> = Vec::new();
    let key = |one: &Ground| (one.file.clone(), one.line, one.rule_digest.clone(), one.policy.clone());
    for file in &certificate.files {
        let retired = file.retired.as_ref().and_then(|retired| retired.ground.as_ref());
        for (act, ground) in [("retired", retired), ("destroyed", file.ground.as_ref())] {
            let Some(ground) = ground else { continue };
            match found.iter_mut().find(|(known, _)| key(known) == key(ground)) {
                Some((_, known)) if known.contains(&act) => {}
                Some((_, known)) => known.push(act),
                None => found.push((ground, vec![act])),
            }
        }
    }
    found
}

fn rules(certificate: &Certificate, page: &mut Page) {
    page.section("By which rule");
    let grounds = grounds(certificate);
    if grounds.is_empty() {
        page.text("      none: nothing was destroyed because it had expired");
    }
    for (ground, acts) in grounds {
        let name = ground.rule.strip_prefix(&format!("{}:", ground.file)).unwrap_or(&ground.rule);
        page.fact(format!("{} by rule `{name}` in {}, line {}", acts.join(" and "), ground.file, ground.line));
        page.detail("rule", format!("digest {}", ground.rule_digest));
        page.detail("policy", format!("digest {}", ground.policy));
        let evidence = certificate.policies.iter().find(|one| one.digest == ground.policy && one.file == ground.file);
        if let Some(evidence) = evidence {
            if let Some(sha256) = &evidence.sha256 {
                page.detail("file", format!("{}, SHA-256 {sha256}", evidence.file));
            }
            match &evidence.accepted {
                Some(accepted) => page.detail("accepted", entry(accepted)),
                None => page.detail("accepted", "no entry says so"),
            }
        }
    }
}

fn consents(certificate: &Certificate, page: &mut Page) {
    page.section("By whose consent");
    if certificate.approvals.is_empty() {
        let asked = certificate.files.iter().any(|file| file.consented);
        page.text(if asked {
            "      it was asked for and given, by entries that this version cannot find"
        } else {
            "      none was needed"
        });
    }
    for approval in &certificate.approvals {
        page.fact(format!("approved in {}", entry(&approval.entry)));
        page.detail("SHA-256", &approval.entry.sha256);
        page.detail("plan", format!("SHA-256 {}", approval.plan));
        page.detail("by", approval.by.as_deref().unwrap_or("(the sealed name was destroyed)"));
        page.detail("reason", approval.reason.as_deref().unwrap_or("(the sealed reason was destroyed)"));
        page.detail("valid until", approval.until.to_string());
    }
}

fn retired(certificate: &Certificate, page: &mut Page) {
    let mut told: Vec<&str> = Vec::new();
    for retired in certificate.files.iter().filter_map(|file| file.retired.as_ref()) {
        if told.contains(&retired.batch.as_str()) {
            continue;
        }
        if told.is_empty() {
            page.section("How it left its table");
        }
        told.push(&retired.batch);
        let why = if retired.superseded {
            "written anew"
        } else if retired.ground.is_some() {
            "retired"
        } else {
            "taken out by others, and adopted"
        };
        page.fact(format!("{why} by batch {}, Delta version {}", retired.batch, retired.delta_version));
        page.detail("intended", entry(&retired.intended));
        page.detail("committed", entry(&retired.committed));
        page.detail("SHA-256", &retired.committed.sha256);
    }
}

fn steps(certificate: &Certificate, page: &mut Page) {
    if certificate.steps.is_empty() {
        return;
    }
    page.section("How it was destroyed");
    for step in &certificate.steps {
        page.fact(format!("destruction {}, proof {}, run {}", step.step, step.proof.name(), step.intent.run));
        step_details(step, page);
    }
    page.section("What became of the log files that named it");
    if certificate.trims.is_empty() {
        page.text("      no trimming followed");
    }
    for step in &certificate.trims {
        page.fact(format!("trimming {}: {}", step.step, count(step.destroyed, "log file", "log files")));
        step_details(step, page);
    }
}

fn step_details(step: &Step, page: &mut Page) {
    page.detail("gate", format!("asked on the state up to entry {}", step.gate.seq));
    page.detail("SHA-256", &step.gate.sha256);
    page.detail("intent", entry(&step.intent));
    page.detail("SHA-256", &step.intent.sha256);
    let Some(outcome) = &step.outcome else {
        page.detail("outcome", "none yet: unknown");
        return;
    };
    page.detail(
        "outcome",
        format!("{}: {} destroyed, {} missing, {} kept", entry(outcome), step.destroyed, step.missing, step.kept),
    );
    page.detail("SHA-256", &outcome.sha256);
}

fn raw_objects(certificate: &Certificate, page: &mut Page) {
    if certificate.raw_objects.is_empty() {
        return;
    }
    page.section("The raw objects it was made from (they may have held records of other days, too)");
    for raw in &certificate.raw_objects {
        page.fact(format!("{}, {}", raw.id(), size(raw.bytes)));
        page.detail("SHA-256", &raw.sha256);
        if let Some(original) = &raw.duplicate_of {
            page.detail("copy of", original.to_string());
        }
        match &raw.cleared {
            Some(cleared) => page.detail("cleared", entry(cleared)),
            None => page.detail("cleared", "NO: as far as the ledger knows it is still there"),
        }
    }
}

fn on_arrival(certificate: &Certificate, page: &mut Page) {
    if certificate.expired_on_arrival.is_empty() {
        return;
    }
    page.section("Records that came when their day was gone: counted, never archived");
    for one in &certificate.expired_on_arrival {
        page.fact(format!("{} in {}:{}", count(one.rows, "record", "records"), one.source, one.path));
        page.detail("SHA-256", &one.sha256);
        page.detail("counted", format!("batch {}, {}", one.batch, entry(&one.committed)));
        page.detail(
            "day",
            match one.period {
                Some(_) => "its path says this day; the records are of it or, late, of a day before",
                None => "its path does not tell; its batch wrote to this day",
            },
        );
    }
}

fn left(left: &[LeftOver], page: &mut Page) {
    page.section("What is left");
    if left.is_empty() {
        page.text("      nothing that the ledger knows of");
    }
    for one in left {
        page.fact(format!("{} ({}, {})", one.what, count(one.rows, "record", "records"), size(one.bytes)));
        page.detail("why", &one.why);
    }
}

fn ledger(certificate: &Certificate, page: &mut Page) -> Result<()> {
    page.section("The ledger when this was printed");
    if let (Some(head), Some(at)) = (&certificate.head, certificate.head_at) {
        page.fact(format!("newest entry {} of {at}", head.seq));
        page.detail("SHA-256", &head.sha256);
    }
    match &certificate.witness {
        Some(witness) => {
            page.fact(format!("witness head.json: entry {}", witness.seq));
            page.detail("SHA-256", &witness.sha256);
        }
        None => page.fact("no witness head.json"),
    }
    page.section("This certificate as JSON");
    page.text(format!("      SHA-256 {}", sha256_hex(&json_bytes(certificate)?)));
    page.text("      of what this prints, as long as the newest entry is the same:");
    page.text(format!("      holdfast why {} {} --certificate --format json", certificate.table, certificate.day));
    Ok(())
}
