//! Recording who asks, for every command that hands records out: before anything is read, and when it is done.
//!
//! What cannot be recorded is refused, unless the settings say `[access] record = "best-effort"`: then it is answered, and
//! both stderr and the answer say that nobody recorded it.

use std::sync::Arc;

use super::open::House;
use super::output::Output;
use super::person;
use crate::access::{Asked, Ended, EntryName, Log, Question, What, writer_name};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::names::TableName;
use crate::settings::Record;
use crate::storage::Store;

/// What came of a question, to be recorded.
#[derive(Debug)]
pub struct Handed {
    pub rows: u64,
    pub bytes: u64,
    pub ended: Ended,
    /// What the answer did not hold, in short and without any log content.
    pub unseen: Vec<String>,
}

/// One question on record, or the reason why it is not.
#[derive(Debug)]
pub struct Recording {
    what: What,
    record: Record,
    asked: Result<Asked, String>,
}

impl Recording {
    /// Records a question. If this errs, nothing may be read. `by`: the name that the asker gave.
    pub fn begin(
        house: &House,
        archive: &Store,
        by: Option<&str>,
        what: What,
        tables: Vec<TableName>,
        text: &str,
        output: &mut Output,
    ) -> Result<Self> {
        if by.is_some_and(|by| by.trim().is_empty()) {
            return Err(Error::new(Kind::Usage, format!("recording this {}", what.name()), "--by is empty")
                .with_hint("say who asks, or leave --by out: then it is the name you are logged in with"));
        }
        let record = house.settings.access.record;
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        let user = person::user();
        let asserted = by.map(str::to_owned).or_else(person::login).unwrap_or_else(|| user.clone());
        let log = Log::open(archive.clone(), &writer_name(&host, &user), Arc::new(nonce));
        let asked = match log.asked(house.clock.now(), &Question { asserted: &asserted, what, tables, text }) {
            Ok(asked) => Ok(asked),
            Err(error) if record == Record::Required => return Err(refused(what, &error)),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = &asked {
            output.note(format!("NOT RECORDED in the access log: {why}"));
        }
        Ok(Recording { what, record, asked })
    }

    /// Where it stands in the access log.
    pub fn entry(&self) -> Option<&EntryName> {
        self.asked.as_ref().ok().map(|asked| &asked.entry)
    }

    /// Why it is not recorded: an answer repeats it.
    pub fn unrecorded(&self) -> Option<&str> {
        self.asked.as_ref().err().map(String::as_str)
    }

    /// Records what came of it.
    pub fn end(&self, house: &House, handed: &Handed, output: &mut Output) -> Result<()> {
        let Ok(asked) = &self.asked else { return Ok(()) };
        let Handed { rows, bytes, ended, unseen } = handed;
        let Err(error) = asked.answered(house.clock.now(), *rows, *bytes, ended, unseen) else { return Ok(()) };
        if self.record == Record::BestEffort {
            output.note(format!("NOT RECORDED in the access log, what came of it: {error}"));
            return Ok(());
        }
        let EntryName { writer, seq, .. } = &asked.entry;
        Err(Error::new(Kind::Store, format!("recording what came of this {}", self.what.name()), error.to_string())
            .with_hint(format!(
                "what was handed out is complete; that you asked is on record (entry {writer} {seq}), what came of it is \
                 not. Make room or give the right to write below `access/` of the archive before you ask again"
            ))
            .of_answer())
    }
}

fn refused(what: What, error: &Error) -> Error {
    let what = what.name();
    let hint = format!(
        "nothing was read. Make room, or give the right to write below `access/` of the archive; or allow a {what} that \
         nobody records: `[access] record = \"best-effort\"` in the settings"
    );
    Error::new(Kind::Store, format!("recording this {what} in the access log"), error.to_string())
        .with_hint(hint)
        .of_answer()
}

/// What nobody can guess: it salts names and query texts.
#[expect(clippy::disallowed_methods, reason = "the command line is where ids come from")]
fn nonce() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
