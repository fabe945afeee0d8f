//! Writing the access log: `asked` before anything is read, `answered` after.
//!
//! Two processes of one writer may write at the same time: an entry is put only if its name is free, and whoever finds it
//! taken goes on from there. So both get in, and neither overwrites the other.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::chain::Folder;
use super::entry::{Answer, Body, Entry, Outcome, What, Who};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Head, NonceSource, sha256_hex};
use crate::names::TableName;
use crate::storage::{Put, Store};

/// An entry that is refused so often finds a store that never lets anybody in.
const MOST_TRIES: u32 = 1_000;

/// One writer's chain, to add to. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    folder: Folder,
    writer: String,
    nonces: Arc<NonceSource>,
}

/// What somebody asks.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// A name that nobody proved: the asker's own, or the operating system's login name.
    pub asserted: &'a str,
    pub what: What,
    /// Those that are known beforehand.
    pub tables: Vec<TableName>,
    /// What is asked, in the asker's words where there are any.
    pub text: &'a str,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Whole,
    /// Something was handed out, and the rest was not: why.
    CutShort(String),
    /// Why.
    Failed(String),
}

/// Where an entry stands: what an answer repeats, so that the two can be put together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryName {
    pub writer: String,
    pub seq: u64,
    pub sha256: String,
}

/// A recorded question, to be answered.
#[derive(Debug)]
pub struct Asked {
    log: Log,
    pub entry: EntryName,
}

impl Log {
    /// Nothing is read or written yet. `nonces` gives values that nobody can guess.
    pub fn open(archive: Store, writer: &str, nonces: Arc<NonceSource>) -> Self {
        Log { folder: Folder::new(archive, writer), writer: writer.to_owned(), nonces }
    }

    /// Records what is about to be read. If this errs, nothing may be read.
    pub fn asked(&self, at: Timestamp, question: &Question<'_>) -> Result<Asked> {
        let who = Who::Asserted(self.folder.seal((self.nonces)(), question.asserted)?);
        let text = self.folder.seal((self.nonces)(), question.text)?;
        let body = Body::Asked { who, what: question.what, tables: question.tables.clone(), text };
        let Head { seq, sha256 } = self.append(at, &body)?;
        Ok(Asked { log: self.clone(), entry: EntryName { writer: self.writer.clone(), seq, sha256 } })
    }

    fn append(&self, at: Timestamp, body: &Body) -> Result<Head> {
        let mut end = self.folder.end()?;
        if let Some(lost) = &end.lost {
            tracing::warn!(
                writer = self.writer,
                entry = lost.seq,
                "the access log lacks entries that it had: `holdfast verify` says which"
            );
        }
        for _ in 0..MOST_TRIES {
            let seq = end.next;
            let entry = Entry {
                seq,
                at,
                nonce: (self.nonces)(),
                prev: end.sha256.clone(),
                lost: end.lost.clone(),
                body: body.clone(),
            };
            let bytes = Bytes::from(entry.bytes()?);
            if self.folder.store.put(&self.folder.entry_path(seq), bytes.clone(), Put::Create)? {
                let head = Head { seq, sha256: sha256_hex(&bytes) };
                self.folder.write_hint(&head);
                return Ok(head);
            }
            end = self.folder.follow(&end)?;
        }
        Err(Error::new(
            Kind::Store,
            format!("writing {}", self.folder.store.describe(&self.folder.entry_path(end.next))),
            "others kept writing at the same place",
        ))
    }
}

impl Asked {
    /// Records what came of it. `unseen`: what the answer did not hold, in short and without any log content.
    pub fn answered(&self, at: Timestamp, rows: u64, bytes: u64, ended: &Ended, unseen: &[String]) -> Result<()> {
        let log = &self.log;
        let outcome = match ended {
            Ended::Whole => Outcome::Whole,
            Ended::CutShort(why) => Outcome::CutShort(log.folder.seal((log.nonces)(), why)?),
            Ended::Failed(why) => Outcome::Failed(log.folder.seal((log.nonces)(), why)?),
        };
        let answer = Answer { asked: self.entry.seq, rows, bytes, outcome, unseen: unseen.to_vec() };
        log.append(at, &Body::Answered(answer)).map(|_| ())
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Log({} in {:?})", self.writer, self.folder.store)
    }
}
