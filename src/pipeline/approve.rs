//! A person's consent to what a plan lists, written to the ledger. It destroys nothing: the next run whose steps match does.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::context::Context;
use super::deciding::{consents, governing};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Append, ApprovedItem, Body, Chain, Keeping, State, Subject, fenced, sha256_hex};
use crate::plan::{DayVerdict, PLAN_VERSION, PlanDocument};

/// An approval is good for so long.
const VALID: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What was approved.
#[derive(Debug, Serialize)]
pub struct Approved {
    pub days: Vec<DayVerdict>,
    pub until: Timestamp,
    /// Persons who agree now, this one among them.
    pub given: u8,
    pub needed: u8,
}

/// Writes `by`'s consent to all that the plan asks for. `bytes` is the plan file as it is.
pub fn approve(
    context: &Context,
    bytes: &[u8],
    by: &str,
    reason: &str,
    now: impl Fn(&PlanDocument) -> Timestamp,
) -> Result<Approved> {
    let refuse =
        |reason: String, hint: &str| Error::new(Kind::Usage, "approving the plan", reason).with_hint(hint.to_owned());
    let plan: PlanDocument = serde_json::from_slice(bytes)
        .map_err(|source| refuse(source.to_string(), "give the file that `holdfast plan --out FILE` wrote"))?;
    let now = now(&plan);
    let mut chain = Chain::open(context.ledger.clone(), (context.ids)(), Box::new(super::run::new_nonce(context)))?;
    check(context, &plan, &chain, now)
        .map_err(|reason| refuse(reason, "make a new plan and look at it: `holdfast plan --out FILE`"))?;
    let asks = plan.asks();
    let items: Vec<_> = asks.iter().map(|(_, item)| item.clone()).collect();
    if items.is_empty() {
        return Err(Error::new(Kind::Usage, "approving the plan", "nothing in it waits for approval")
            .with_hint("nothing was written; what is due goes on by itself, what waits says for what"));
    }
    let until = now.checked_add(VALID).unwrap_or(Timestamp::MAX);
    let (person, why) = (chain.seal(by)?, chain.seal(reason)?);
    for attempt in 0.. {
        // A run at work destroys attachments that no entry names: this one is put there for each attempt, and named by
        // the very next entry or not at all.
        let list = chain.attach(&items)?;
        let swept = |subject: &Subject| *subject == Subject::Attachment { sha256: list.sha256.clone() };
        if chain.state().open_destroys.values().any(|open| open.subjects.iter().any(swept)) {
            return Err(refuse("a run is clearing away what an earlier attempt left".into(), "try again in a moment"));
        }
        let (plan, by, reason) = (sha256_hex(bytes), person.clone(), why.clone());
        if chain.append(now, Body::Approved { plan, items: list, until, by, reason })? == Append::Done {
            break;
        }
        let others = chain.fold()?;
        if attempt > 16 {
            return Err(fenced("approved", &others));
        }
    }
    let consents = consents(&chain, context.approvers, now)?;
    let since = |item: &ApprovedItem| chain.state().tables.get(&item.table.key())?.reinstated.get(&item.day).copied();
    let given = items.iter().map(|item| consents.to(item, since(item)).1).min().unwrap_or(0);
    let days = asks.into_iter().map(|(verdict, _)| verdict.clone()).collect();
    Ok(Approved { days, until, given, needed: context.approvers })
}

/// A plan can only be approved where it was made, under the policy it was made for, while all it lists is still there.
fn check(context: &Context, plan: &PlanDocument, chain: &Chain, now: Timestamp) -> Result<(), String> {
    let state = chain.state();
    if plan.version != PLAN_VERSION {
        return Err(format!("it has version {}, this Holdfast knows {PLAN_VERSION}", plan.version));
    }
    if Some(&plan.archive) != state.archive.as_ref() {
        return Err(format!("it was made for another archive ({})", plan.archive));
    }
    let governing = governing(context, chain).map_err(|error| error.to_string())?;
    if let Some(refused) = governing.refused {
        return Err(format!("the policy folder is refused: {}", refused.reason()));
    }
    if plan.policy != governing.set.digest() {
        return Err("the policy has changed since it was made".into());
    }
    let holds: Vec<&String> = state.holds.keys().collect();
    if plan.holds.iter().collect::<Vec<_>>() != holds {
        return Err("the holds have changed since it was made".into());
    }
    if now < plan.now || now.duration_since(plan.now) > VALID {
        return Err(format!("it was made as of {}, and now is {now}: it is not of these 30 days", plan.now));
    }
    match plan.asks().iter().find_map(|(verdict, _)| gone(verdict, state)) {
        Some(path) => Err(format!("{path}, which it lists, is not there any more as it was")),
        None => Ok(()),
    }
}

fn gone(verdict: &DayVerdict, state: &State) -> Option<String> {
    let item = &verdict.item;
    let there = |path: &String, sha256: &String| match item.keeping {
        Keeping::Archive => {
            let known = state.tables.get(&item.table.key());
            known.and_then(|known| known.segments.get(path)).is_some_and(|(segment, _)| segment.sha256 == *sha256)
        }
        Keeping::Raw => state
            .objects
            .iter()
            .any(|(id, known)| id.to_string() == *path && !known.cleared && known.outcome.sha256 == *sha256),
        Keeping::Quarantine => {
            state.quarantine.iter().any(|one| one.file.data == *path && one.file.data_sha256 == *sha256)
        }
    };
    item.files.iter().find(|(path, sha256)| !there(path, sha256)).map(|(path, _)| path.clone())
}
