//! `holdfast verify` and `holdfast ledger verify`.

use super::args::Args;
use super::open::House;
use super::output::{Output, count, number, size};
use crate::access::CheckedChain;
use crate::error::Result;
use crate::storage::Missing;
use crate::verify::{Finding, Verification};

pub fn verify(args: &Args, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let (archive, ledger) = (house.archive(Missing::Refuse)?, house.ledger(Missing::Refuse)?);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let found = crate::verify::verify(&archive, &ledger, &house.source_stores()?, threads)?;
    show(&found, output)
}

pub fn ledger(args: &Args, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let found = crate::verify::verify_ledger(&house.ledger(Missing::Refuse)?)?;
    show(&found, output)
}

fn show(found: &Verification, output: &mut Output) -> Result<u8> {
    if output.is_json() {
        output.json(found)?;
        return Ok(found.exit_code());
    }
    for line in lines(found) {
        output.line(line)?;
    }
    Ok(found.exit_code())
}

/// The verification in words.
pub fn lines(found: &Verification) -> Vec<String> {
    let mut lines = Vec::new();
    lines.push(format!(
        "ledger      {}, {}: chain and bytes match",
        count(found.entries, "entry", "entries"),
        count(found.attachments, "attachment", "attachments")
    ));
    if let (Some(seq), Some(whose)) = (found.witnessed, &found.witness) {
        lines.push(format!("witness     entry {seq} was seen by {whose}; nothing is claimed about entries after it"));
    }
    if found.segments > 0 || found.commits > 0 {
        lines.push(format!(
            "archive     {}, {}, {} rows ({}): each byte and each row is what was written",
            count(found.commits, "commit", "commits"),
            count(found.segments, "segment", "segments"),
            number(found.rows),
            size(found.bytes)
        ));
    }
    if found.retired > 0 {
        lines.push(format!(
            "retired     {} out of the table, unchanged: `holdfast reinstate` can put them back",
            count(found.retired, "segment", "segments")
        ));
    }
    if found.quarantined > 0 {
        lines.push(format!("quarantine  {}, as they were", count(found.quarantined, "record", "records")));
    }
    if found.raw_objects > 0 {
        lines.push(format!(
            "raw         {} archived and still there, unchanged",
            count(found.raw_objects, "object", "objects")
        ));
    }
    if let Some(line) = access_line(&found.access) {
        lines.push(line);
    }
    for (title, findings) in [("DAMAGED", &found.damage), ("FOREIGN", &found.foreign), ("note", &found.notes)] {
        for Finding { what, why, meaning } in findings {
            lines.push(format!("{title}: {what}"));
            lines.push(format!("  why:   {why}"));
            lines.push(format!("  means: {meaning}"));
        }
    }
    lines.push(match (found.damage.len() as u64, found.foreign.len() as u64) {
        (0, 0) => "verified: no damage found".into(),
        (0, foreign) => format!("verified: no damage, but {} by somebody else", count(foreign, "change", "changes")),
        (damage, _) => format!("DAMAGE FOUND: {}", count(damage, "finding", "findings")),
    });
    lines
}

/// How many entries the access log has, and what is not in them any more.
fn access_line(chains: &[CheckedChain]) -> Option<String> {
    let of = |each: fn(&CheckedChain) -> u64| chains.iter().map(each).sum::<u64>();
    let (entries, unanswered, destroyed) =
        (of(|chain| chain.entries), of(|chain| chain.unanswered), of(|chain| chain.destroyed));
    if entries == 0 {
        return None;
    }
    let (entries, writers) = (count(entries, "entry", "entries"), count(chains.len() as u64, "writer", "writers"));
    let mut line = format!("access      {entries} of {writers}");
    if unanswered > 0 {
        line += &format!(", {unanswered} of them without an outcome");
    }
    if destroyed > 0 {
        line += &format!("; {} destroyed", count(destroyed, "sealed text", "sealed texts"));
    }
    Some(line)
}
