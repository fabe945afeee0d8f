//! `holdfast reinstate` and `holdfast adopt`.

use super::args::{AdoptArgs, Args, ReinstateArgs};
use super::days::{ranges, total};
use super::open::House;
use super::output::{Output, count, number};
use crate::error::{Error, Kind, Result};
use crate::pipeline;

pub fn reinstate(args: &Args, reinstate: &ReinstateArgs, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let context = house.context()?;
    let days = pipeline::reinstate_day(&context, &reinstate.table, reinstate.day, house.now(None)?)?;
    if output.is_json() {
        output.json(&days)?;
        return Ok(0);
    }
    output.line(format!("put back: {}", total(&days)))?;
    for line in ranges(&days, "table", |_| "in its table again".into()) {
        output.line(line)?;
    }
    output.line("it is not retired again without an approval; to keep it for good, lengthen its rule")?;
    Ok(0)
}

pub fn adopt(args: &Args, adopt: &AdoptArgs, output: &mut Output) -> Result<u8> {
    if adopt.reason.trim().is_empty() {
        return Err(Error::new(Kind::Usage, "adopting a table", "--reason is empty")
            .with_hint("say who changed it and why, for those who ask later"));
    }
    let house = House::open(args, output)?;
    let context = house.context()?;
    let adoption = pipeline::adopt(&context, &adopt.table, &adopt.reason, house.now(None)?)?;
    if output.is_json() {
        output.json(&adoption)?;
        return Ok(0);
    }
    let commits: Vec<String> = adoption.commits.iter().map(ToString::to_string).collect();
    output.line(format!(
        "adopted: {} of {} (version {})",
        count(adoption.commits.len() as u64, "commit", "commits"),
        adoption.table,
        commits.join(", ")
    ))?;
    let (added, removed) = (adoption.added.len() as u64, adoption.removed.len() as u64);
    output.line(format!("  added    {}, {} rows", count(added, "segment", "segments"), number(adoption.rows_added)))?;
    output.line(format!(
        "  removed  {}, {} rows",
        count(removed, "segment", "segments"),
        number(adoption.rows_removed)
    ))?;
    output.line(if adoption.same_rows {
        "the rows are the same: nothing was lost"
    } else {
        "THE ROWS ARE NOT THE SAME: what was removed stays retired, if it is still there, until its own date"
    })?;
    Ok(0)
}
