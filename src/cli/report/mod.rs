//! `holdfast report`: one look at everything, and three ways to show it.
//!
//! What is shown comes from [`crate::report`]; nothing is judged here. The page is one file that needs nothing else.

mod html;
mod text;
mod words;

use std::collections::BTreeMap;
use std::path::Path;

use super::args::{Args, Format, ReportArgs};
use super::open::House;
use super::output::Output;
use super::why::{looked, unsettled};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::explain::{past, status as stand};
use crate::ledger::holder;
use crate::report::{Gathered, Report, gather, newest_hours};
use crate::storage::Missing;

pub fn report(args: &Args, options: &ReportArgs, output: &mut Output) -> Result<u8> {
    let page = Path::new(&options.output).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("html"));
    let format = if page && args.format == Format::Text { Format::Html } else { args.format };
    let report = read(args, options, output)?;
    let bytes = match format {
        Format::Html => html::page(&report).into_bytes(),
        Format::Json => {
            let mut bytes = serde_json::to_vec_pretty(&report)
                .map_err(|source| Error::from_source(Kind::Internal, "printing JSON", source))?;
            bytes.push(b'\n');
            bytes
        }
        Format::Text | Format::Markdown | Format::Csv | Format::Parquet | Format::Arrow => {
            (text::lines(&report).join("\n") + "\n").into_bytes()
        }
    };
    if options.output == "-" {
        output.bytes(&bytes)?;
    } else {
        std::fs::write(&options.output, &bytes).map_err(|source| {
            Error::from_source(Kind::Store, format!("writing the report to {}", options.output), source)
                .with_hint("nothing else was to be written; name another file, or make room")
        })?;
    }
    for failure in &report.not_seen.failures {
        output.note(format!("NOT SEEN: {failure}"));
    }
    Ok(if report.not_seen.failures.is_empty() { 0 } else { Kind::Object.exit_code() })
}

/// Looks at everything once.
fn read(args: &Args, options: &ReportArgs, output: &mut Output) -> Result<Report> {
    let house = House::open(args, output)?;
    let (context, looked) = looked(&house, options.as_of)?;
    let lease = holder(&house.ledger(Missing::Refuse)?, house.clock.now())?;
    let status = stand(&looked, lease, &house.fires()?)?;
    let past = past(&looked.chain)?;
    let (mut hours, mut failures) = (BTreeMap::new(), Vec::new());
    let days = usize::try_from(options.hours_for).unwrap_or(usize::MAX);
    for known in looked.chain.state().tables.values() {
        let (gaps, failed) = newest_hours(&context.archive, known, days);
        hours.insert(known.name.clone(), gaps);
        failures.extend(failed);
    }
    Ok(gather(&Gathered {
        looked: &looked,
        past: &past,
        status: &status,
        hours: &hours,
        hours_for_days: u64::from(options.hours_for),
        unsettled: unsettled(&context, looked.document.now).len() as u64,
        failures,
    }))
}
