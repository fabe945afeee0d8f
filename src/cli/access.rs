//! `holdfast access`: who searched and restored what, and when.

use super::args::{AccessCommand, Args};
use super::open::House;
use super::output::{Output, count, number, size};
use super::table::aligned;
use super::terminal::harmless;
use crate::access::{self, Access, Answered, Text};
use crate::error::{Kind, Result};
use crate::storage::{Missing, Store};

pub fn access(args: &Args, command: &AccessCommand, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let archive = house.archive(Missing::Refuse)?;
    match command {
        AccessCommand::List { last, writer } => list(&archive, writer.as_deref(), *last, output),
        AccessCommand::Show { writer, seq } => show(&access::show(&archive, writer, *seq)?, output),
    }
}

fn list(archive: &Store, writer: Option<&str>, last: Option<usize>, output: &mut Output) -> Result<u8> {
    let listing = access::list(archive, writer, last)?;
    if output.is_json() {
        output.json(&listing.accesses)?;
    } else if listing.accesses.is_empty() && listing.flaws.is_empty() {
        output.line("nobody has searched or restored yet")?;
    } else {
        let rows: Vec<Vec<String>> = listing.accesses.iter().map(row).collect();
        for line in aligned(&["at", "writer", "seq", "who", "what", "rows", "outcome", "text"], &rows, &[2, 5]) {
            output.line(line)?;
        }
    }
    for flaw in &listing.flaws {
        output.note(format!("DAMAGED: {}: {} ({})", flaw.what, flaw.why, flaw.meaning));
    }
    Ok(if listing.flaws.is_empty() { 0 } else { Kind::Damaged.exit_code() })
}

fn row(access: &Access) -> Vec<String> {
    let answered = access.answered.as_ref();
    vec![
        access.at.to_string(),
        access.writer.clone(),
        access.seq.to_string(),
        one_line(&word(&access.asserted)),
        access.what.name().to_owned(),
        answered.map_or_else(String::new, |answered| number(answered.rows)),
        answered.map_or("unknown", |answered| said(answered.outcome)).to_owned(),
        one_line(&word(&access.text)),
    ]
}

fn show(access: &Access, output: &mut Output) -> Result<u8> {
    if output.is_json() {
        output.json(access)?;
        return Ok(0);
    }
    let tables: Vec<String> = access.tables.iter().map(ToString::to_string).collect();
    output.line(format!("asked     {}, entry {} {}", access.at, access.writer, access.seq))?;
    output.line(format!("sha256    {}", access.sha256))?;
    output.line(format!("who       {} (asserted: nobody proved it)", one_line(&word(&access.asserted))))?;
    output.line(format!("what      {}", access.what.name()))?;
    if !tables.is_empty() {
        output.line(format!("tables    {}", tables.join(", ")))?;
    }
    let text = word(&access.text);
    output.line(format!("text      {}", text.trim_end().replace('\n', "\n          ")))?;
    let Some(answered) = &access.answered else {
        return output.line("answered  not recorded: it is still at work, or it ended before it could say").map(|()| 0);
    };
    let Answered { seq, at, rows, bytes, outcome, why, unseen } = answered;
    output.line(format!("answered  {at}, entry {} {seq}", access.writer))?;
    output.line(format!("outcome   {}: {}, {}", said(outcome), count(*rows, "row", "rows"), size(*bytes)))?;
    if let Some(why) = why {
        output.line(format!("why       {}", word(why)))?;
    }
    for unseen in unseen {
        output.line(format!("not seen  {}", harmless(unseen)))?;
    }
    Ok(0)
}

fn said(outcome: &str) -> &str {
    match outcome {
        "cut_short" => "cut short",
        outcome => outcome,
    }
}

/// A text as it may be shown: whoever asked may have written anything.
fn word(text: &Text) -> String {
    match text {
        Text::Is(text) => text.lines().map(harmless).collect::<Vec<_>>().join("\n"),
        Text::Destroyed => "(destroyed)".into(),
        Text::Damaged(_) => "(DAMAGED)".into(),
    }
}

/// A text in one line of a table.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
