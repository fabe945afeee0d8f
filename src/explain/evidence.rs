//! What else stands for a destruction: the policy file that held the rule, and the consents.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::certificate::{DestroyedFile, Step};
use super::entries::{EntryRef, Written};
use crate::error::Result;
use crate::ledger::{ApprovedItem, Body, Chain, Ground, read_attachment, sha256_hex, unseal};
use crate::policy::PolicyFile;

/// The file that held the rule, as the ledger accepted it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyEvidence {
    /// Digest of all files together.
    pub digest: String,
    pub accepted: Option<EntryRef>,
    pub file: String,
    pub sha256: Option<String>,
}

/// A person's consent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Approval {
    pub entry: EntryRef,
    /// SHA-256 of the plan file.
    pub plan: String,
    pub until: Timestamp,
    /// None: the sealed name was destroyed since.
    pub by: Option<String>,
    pub reason: Option<String>,
}

/// For each policy that a ground names: the entry that accepted it, and the bytes of the file that held the rule.
pub fn policies(chain: &Chain, entries: &[Written], files: &[DestroyedFile]) -> Result<Vec<PolicyEvidence>> {
    let retired = |file: &DestroyedFile| file.retired.as_ref().and_then(|retired| retired.ground.clone());
    let grounds = files.iter().flat_map(|file| retired(file).into_iter().chain(file.ground.clone()));
    let named: BTreeSet<(String, String)> = grounds.map(|ground| (ground.policy, ground.file)).collect();
    let mut found = Vec::new();
    for (digest, file) in named {
        let of = |one: &&Written| matches!(&one.entry.body, Body::PolicyAccepted { digest: of, .. } if *of == digest);
        let accepted = entries.iter().find(of);
        let sha256 = match accepted.map(|one| &one.entry.body) {
            Some(Body::PolicyAccepted { files, .. }) => {
                let texts: Vec<PolicyFile> = read_attachment(chain.store(), files)?;
                texts.iter().find(|one| one.name == file).map(|one| sha256_hex(one.text.as_bytes()))
            }
            _ => None,
        };
        found.push(PolicyEvidence { digest, accepted: accepted.map(Written::reference), file, sha256 });
    }
    Ok(found)
}

/// The consents to what needed consent: those that were valid then, to exactly these bytes under this rule.
pub fn approvals(chain: &Chain, entries: &[Written], files: &[DestroyedFile], steps: &[Step]) -> Result<Vec<Approval>> {
    let mut found = Vec::new();
    let asked: Vec<(&DestroyedFile, &Ground, &EntryRef)> = files
        .iter()
        .filter(|file| file.consented)
        .filter_map(|file| match &file.retired {
            Some(retired) => Some((file, retired.ground.as_ref()?, &retired.intended)),
            None => Some((file, file.ground.as_ref()?, &steps.iter().find(|step| step.step == file.step)?.intent)),
        })
        .collect();
    if asked.is_empty() {
        return Ok(found);
    }
    for written in entries {
        let Body::Approved { plan, items, until, by, reason } = &written.entry.body else { continue };
        let items: Vec<ApprovedItem> = read_attachment(chain.store(), items)?;
        let covers = |(file, ground, decided): &(&DestroyedFile, &Ground, &EntryRef)| {
            let exactly = |item: &ApprovedItem| {
                item.rule_digest == ground.rule_digest
                    && (item.day, item.keeping) == (ground.day, ground.keeping)
                    && item.sha256s.contains(&file.sha256)
            };
            written.entry.seq < decided.entry && decided.at < *until && items.iter().any(exactly)
        };
        if asked.iter().any(covers) {
            found.push(Approval {
                entry: written.reference(),
                plan: plan.clone(),
                until: *until,
                by: unseal(chain.store(), by)?,
                reason: unseal(chain.store(), reason)?,
            });
        }
    }
    Ok(found)
}
