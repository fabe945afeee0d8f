//! One destroy step: gate, intent, erase, outcome (DESIGN §7). Every deletion of every kind goes through here.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::error::{Error, Kind, Result};
use crate::gate::{Blocked, Erased, Eraser, Permit, Proof, can_destroy};
use crate::ledger::{Append, Armed, Body, Chain, Ground, Kept, ProofKind, State, Subject, fenced};
use crate::storage::Store;

/// A step destroys at most so many objects.
pub const STEP: usize = 1_000;

/// The stores that can be deleted from.
#[derive(Debug)]
pub struct Stores<'a> {
    pub archive: &'a Store,
    pub sources: &'a BTreeMap<String, Store>,
}

/// What a step did.
#[derive(Debug, Default)]
pub struct Outcome {
    pub destroyed: u64,
    pub missing: u64,
    pub kept: Vec<Kept>,
    /// What could not be tried; the intent stays open, and the next run settles it.
    pub failed: Vec<Error>,
}

impl Outcome {
    pub fn add(&mut self, other: Outcome) {
        self.destroyed += other.destroyed;
        self.missing += other.missing;
        self.kept.extend(other.kept);
        self.failed.extend(other.failed);
    }
}

/// Destroys those candidates that `prove` has a proof for. The intent is valid only at exactly the sequence after the
/// state that the gate read; when refused, everything is proven and gated again.
///
/// A state that rests on a saved one is no ground: before the first intent every entry is read again.
///
/// `ground` says why something expired: it stands in the ledger beside the intent.
#[expect(clippy::too_many_arguments, reason = "a step's facts; a struct would only rename them")]
pub fn destroy(
    chain: &mut Chain,
    stores: &Stores<'_>,
    armed: Armed,
    kind: ProofKind,
    candidates: &[Subject],
    now: Timestamp,
    ground: impl Fn(&Subject) -> Option<Ground>,
    mut prove: impl FnMut(&Subject, &State) -> Result<Proof, Blocked>,
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for (number, chunk) in candidates.chunks(STEP).enumerate() {
        let mut attempts = 0;
        let (step, permits) = loop {
            let mut permits = Vec::with_capacity(chunk.len());
            let mut kept = Vec::new();
            for subject in chunk {
                let permit = prove(subject, chain.state())
                    .and_then(|proof| can_destroy(subject.clone(), &proof, chain.state(), armed));
                match permit {
                    Ok(permit) => permits.push(permit),
                    Err(Blocked { reason }) => kept.push(Kept { subject: subject.clone(), reason }),
                }
            }
            if permits.is_empty() {
                outcome.kept.extend(kept);
                break (String::new(), permits);
            }
            if chain.fold_whole()? {
                continue;
            }
            let subjects: Vec<&Subject> = permits.iter().map(Permit::subject).collect();
            let grounds: Vec<Ground> = subjects.iter().filter_map(|subject| ground(subject)).collect();
            let raw = subjects.iter().map(|subject| size_of(subject)).sum::<u64>();
            let bytes = if grounds.is_empty() { raw } else { grounds.iter().map(|ground| ground.bytes).sum() };
            let grounds = if grounds.is_empty() { None } else { Some(chain.attach(&grounds)?) };
            let reference = chain.attach(&subjects)?;
            let step = format!("{}-{}-{}", chain.run(), chain.state().next_seq(), number);
            let body = Body::DestroyIntended { step: step.clone(), proof: kind, subjects: reference, bytes, grounds };
            if chain.append(now, body)? == Append::Done {
                outcome.kept.extend(kept);
                break (step, permits);
            }
            let others = chain.fold()?;
            attempts += 1;
            if attempts > 16 || !others.iter().all(|entry| entry.body.needs_no_lease()) {
                return Err(fenced("destroy_intended", &others));
            }
        };
        if !permits.is_empty() {
            let done = erase(chain, stores, &step, permits, Outcome::default(), now)?;
            outcome.add(done);
        }
    }
    Ok(outcome)
}

/// Settles an intent whose outcome is missing: what is still there is gated again; what is now protected is cancelled,
/// unless it is gone already.
pub fn settle(
    chain: &mut Chain,
    stores: &Stores<'_>,
    armed: Armed,
    step: &str,
    now: Timestamp,
    mut prove: impl FnMut(&Subject, &State) -> Result<Proof, Blocked>,
) -> Result<Outcome> {
    chain.fold_whole()?;
    let subjects = chain.state().open_destroys.get(step).map(|open| open.subjects.clone()).unwrap_or_default();
    let eraser = Eraser { archive: stores.archive, ledger: chain.store(), sources: stores.sources };
    let (mut permits, mut outcome) = (Vec::new(), Outcome::default());
    for subject in subjects {
        let permit =
            prove(&subject, chain.state()).and_then(|proof| can_destroy(subject.clone(), &proof, chain.state(), armed));
        match permit {
            Ok(permit) => permits.push(permit),
            Err(Blocked { reason }) => match eraser.keep(&subject) {
                Ok(true) => outcome.kept.push(Kept { subject, reason }),
                Ok(false) => outcome.missing += 1,
                Err(error) => outcome.failed.push(error),
            },
        }
    }
    erase(chain, stores, step, permits, outcome, now)
}

/// Erases and appends the outcome, which begins with what was kept before.
fn erase(
    chain: &mut Chain,
    stores: &Stores<'_>,
    step: &str,
    permits: Vec<Permit>,
    mut outcome: Outcome,
    now: Timestamp,
) -> Result<Outcome> {
    let ledger = chain.store().clone();
    let eraser = Eraser { archive: stores.archive, ledger: &ledger, sources: stores.sources };
    for permit in permits {
        // Who was paused for so long that another may have taken over leaves the rest to it.
        chain.check_lease()?;
        let subject = permit.subject().clone();
        match eraser.erase(permit, step, chain.state()) {
            Ok(Erased::Destroyed) => outcome.destroyed += 1,
            Ok(Erased::Missing) => outcome.missing += 1,
            Ok(Erased::Kept(reason)) => outcome.kept.push(Kept { subject, reason }),
            Err(error) => outcome.failed.push(error),
        }
    }
    if let Some(error) = outcome.failed.first() {
        // The outcome is unknown: the intent stays open and the next run settles it.
        tracing::warn!(step, failed = outcome.failed.len(), %error, "a destruction could not be finished");
        return Ok(outcome);
    }
    let reference = if outcome.kept.is_empty() { None } else { Some(chain.attach(&outcome.kept)?) };
    let body = Body::DestroyDone {
        step: step.to_owned(),
        destroyed: outcome.destroyed,
        missing: outcome.missing,
        kept: reference,
    };
    chain.append_or_end(now, body)?;
    tracing::info!(
        step,
        destroyed = outcome.destroyed,
        missing = outcome.missing,
        kept = outcome.kept.len(),
        "destruction done"
    );
    Ok(outcome)
}

/// For what is destroyed for other reasons than that it expired.
pub fn ungrounded(_: &Subject) -> Option<Ground> {
    None
}

fn size_of(subject: &Subject) -> u64 {
    match subject {
        Subject::Raw { size, .. } => *size,
        _ => 0,
    }
}

/// The error of a step that left objects undone.
pub fn unfinished(outcome: &Outcome) -> Option<Error> {
    let first = outcome.failed.first()?;
    Some(
        Error::new(
            Kind::Store,
            format!("destroying {} objects", outcome.failed.len()),
            format!("the first of them: {first}"),
        )
        .with_hint("nothing is lost that was to be kept; the next run settles it"),
    )
}
