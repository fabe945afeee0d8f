//! The dry run: the very decisions of a run, on the state as it is, and nothing done (STYLE 7).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::context::{Context, Request};
use super::deciding::{Deciding, allowance, consents, governing, history};
use super::limits::Limits;
use super::measure::ours;
use super::run::{RunReport, find};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Chain, Keeping};
use crate::plan::{Fate, Only, PlanDocument, Shut, TARGET_BYTES, Terms, clearings, decide, expiry, merges};
use crate::policy::History;
use crate::source::{RawObject, Stranger};

/// A plan, and what could not be looked at.
#[derive(Debug)]
pub struct Planned {
    pub document: PlanDocument,
    pub errors: Vec<Error>,
}

/// All that a plan was made from, for whoever explains it.
#[derive(Debug)]
pub struct Looked {
    pub chain: Chain,
    pub history: History,
    /// The raw objects as they were listed.
    pub objects: Vec<RawObject>,
    /// What fits no layout.
    pub strangers: Vec<Stranger>,
    pub document: PlanDocument,
    pub errors: Vec<Error>,
}

/// What a run at `request.now` would do. Needs no lease and writes nothing.
pub fn plan(context: &Context, request: &Request, host_now: Timestamp) -> Result<Planned> {
    let Looked { document, errors, .. } = look(context, request, host_now)?;
    Ok(Planned { document, errors })
}

/// The same, with what it was made from.
pub fn look(context: &Context, request: &Request, host_now: Timestamp) -> Result<Looked> {
    let now = request.now;
    let chain = Chain::open(context.ledger.clone(), "plan", Box::new(String::new))?;
    let mut report = RunReport::default();
    let policies = governing(context, &chain)?;
    report.errors.extend(policies.refused);
    let policies = policies.set;
    let history = history(&chain, &policies, now)?;
    let terms = Terms::new(&history);
    let mut allowance = allowance(context, chain.state().last_at, now, host_now);
    if let Some(error) = report.errors.first() {
        allowance.shut = Some(Shut::Doubt { reason: error.reason().to_owned() });
    }
    let objects = find(context, now, &mut report);
    let mut deciding = Deciding {
        objects: &objects,
        terms: &terms,
        allowance,
        only: Only::from(request),
        now,
        policy: policies.digest(),
        stopped: BTreeMap::new(),
    };
    let consents = consents(&chain, context.approvers, now)?;
    let state = chain.state();
    let first = expiry(&deciding.inputs(state, &consents));
    let acts = first.days.iter().filter(|day| day.fate != Fate::Keep && day.item.keeping == Keeping::Archive);
    let touched: std::collections::BTreeSet<String> = acts.map(|day| day.item.table.key()).collect();
    for (key, known) in state.tables.iter().filter(|(key, _)| touched.contains(*key)) {
        if let Err(error) = ours(&context.archive, state, known) {
            deciding.stopped.insert(key.clone(), error.reason().to_owned());
            report.errors.push(error);
        }
    }
    let inputs = deciding.inputs(state, &consents);
    let raw = decide(&inputs);
    let (_, cleared) = clearings(&inputs);
    let room = Limits::of(context.memory).buffer as u64;
    let only = |table: &crate::names::TableName| inputs.asked_for(table) && deciding.allowance.now().expired;
    let merges = merges(state, terms.history(), now, TARGET_BYTES, room, &only);
    let document = PlanDocument::new(&inputs, &deciding.policy, &raw, &cleared, expiry(&inputs), merges);
    if state.head().is_some() && state.simulation != context.simulation {
        return Err(Error::new(
            Kind::Usage,
            "opening the archive",
            "it is a simulation and the settings say not, or the other way round",
        )
        .with_hint("`simulation` is fixed when an archive is created"));
    }
    Ok(Looked { chain, history, objects, strangers: report.strangers, document, errors: report.errors })
}
