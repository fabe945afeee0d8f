//! `holdfast approve`: prints what it allows, and until when.

use super::args::{ApproveArgs, Args};
use super::days::{ranges, total};
use super::open::House;
use super::output::Output;
use super::person;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::pipeline;
use crate::plan::{Blocker, DayVerdict};

pub fn approve(args: &Args, approve: &ApproveArgs, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let context = house.context()?;
    let failed = |source| {
        Error::from_source(Kind::Usage, format!("reading {}", approve.plan.display()), source)
            .with_hint("make a plan first: `holdfast plan --out plan.json`")
    };
    let bytes = std::fs::read(&approve.plan).map_err(failed)?;
    if approve.reason.trim().is_empty() {
        return Err(Error::new(Kind::Usage, "approving the plan", "--reason is empty")
            .with_hint("say why, for those who ask later: a ticket, a decision, a name"));
    }
    let by = approve.by.clone().or_else(person::login).ok_or_else(|| {
        Error::new(Kind::Usage, "approving the plan", "nobody is logged in by name")
            .with_hint("say who consents: --by NAME")
    })?;
    // In a simulation time is the plan's.
    let now = |plan: &crate::plan::PlanDocument| if context.simulation { plan.now } else { house.clock.now() };
    let approved = pipeline::approve(&context, &bytes, &by, &approve.reason, now)?;
    if output.is_json() {
        output.json(&approved)?;
    } else {
        output.line(format!("{by} consents to the retirement of {}", total(&approved.days)))?;
        for line in ranges(&approved.days, "table", because) {
            output.line(line)?;
        }
        output.line(format!("valid until {}, for exactly these segments under exactly these rules", approved.until))?;
        output.line(match approved.needed.saturating_sub(approved.given) {
            0 => "the next armed run retires them; they are destroyed after their purge_delay, and until then \
                  `holdfast reinstate` puts them back"
                .into(),
            missing => format!(
                "{missing} more must agree ({} of {} did): nothing happens until then",
                approved.given, approved.needed
            ),
        })?;
    }
    Ok(0)
}

fn because(day: &DayVerdict) -> String {
    let asked = day.blockers.iter().find_map(|blocker| match blocker {
        Blocker::Approval { because, .. } => Some(because.to_string()),
        _ => None,
    });
    asked.unwrap_or_default()
}
