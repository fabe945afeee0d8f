//! The one public error: what was attempted, on what, why it failed, what to do.
//!
//! A [`Kind`] is what a caller would do differently; the kind alone gives the exit code, what was lost and whether it can
//! wait (DESIGN §8).

use std::error::Error as StdError;
use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller would do differently about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The command line or the settings file is wrong: fix it and run again.
    Usage,
    /// A policy folder is wrong: fix it and run again.
    Policy,
    /// A store or file could not be read or written: try again, or see to the machine.
    Store,
    /// One object could not be read; the rest was done.
    Object,
    /// Something waits for a person's decision.
    Decision,
    /// What was written is not what is there any more.
    Damaged,
    /// The answer would not be what was asked for: incomplete, or beyond a limit that the asker set.
    Incomplete,
    /// Another run holds the lease.
    LeaseHeld,
    /// Another run took over: this one ends.
    Fenced,
    /// A fault of Holdfast itself.
    Internal,
}

impl Kind {
    /// The process exit code (DESIGN §8).
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Policy | Kind::Store | Kind::Incomplete | Kind::Fenced | Kind::Internal => 1,
            Kind::Usage => 2,
            Kind::Object => 3,
            Kind::Decision => 4,
            Kind::Damaged => 5,
            Kind::LeaseHeld => 75,
        }
    }
}

impl Kind {
    /// What was lost: never anything that was kept (I1, I7), said so that nobody has to wonder.
    fn lost(self) -> &'static str {
        match self {
            Kind::Usage => "nothing; nothing was done, and it can wait",
            Kind::Policy => "nothing; the policy that was accepted last rules on",
            Kind::Store => "nothing; what was begun, the next run settles",
            Kind::Object => "nothing; the object stays where it is",
            Kind::Decision => "nothing; what waits is kept",
            Kind::Damaged => "nothing by this command; `holdfast verify` says what can still be read",
            Kind::Incomplete => "nothing; nothing of the archive was changed",
            Kind::LeaseHeld => "nothing; the other run does the work",
            Kind::Fenced => "nothing; the other run settles what this one left",
            Kind::Internal => "nothing; nothing goes without proof, and the next run settles what was begun",
        }
    }

    /// Whether it can wait, and until when.
    fn can_wait(self) -> &'static str {
        match self {
            Kind::Usage => "yes",
            Kind::Policy => "yes; logs are archived as before, and nothing is destroyed until it is mended",
            Kind::Store => "yes, until a disk is full or a collector clears raw logs by itself",
            Kind::Object => "yes; each run tries again, and destroys nothing that it could not read",
            Kind::Decision => "yes; nothing goes before somebody has decided, even past its date",
            Kind::Damaged => "no longer than the copies last from which to mend it; nothing is destroyed on damage",
            Kind::Incomplete => "yes; it is the answer that lacks something, not the archive",
            Kind::LeaseHeld => "yes, until that run has ended",
            Kind::Fenced => "yes; the other run goes on",
            Kind::Internal => "yes, as long as runs succeed: `holdfast status`",
        }
    }

    /// What to type next, where nobody knows better.
    fn next(self) -> &'static str {
        match self {
            Kind::Usage => "add --help to the command: it shows examples",
            Kind::Policy => "`holdfast check` shows every mistake with its line",
            Kind::Store => "see to the disk, the network or the rights, then type the same again",
            Kind::Object => "`holdfast status` says what else waits",
            Kind::Decision => "`holdfast status` says what waits, and for what",
            Kind::Damaged => "`holdfast verify` names every damaged file, and what that means",
            Kind::Incomplete => "ask for less, or without the limit that was set",
            Kind::LeaseHeld => "`holdfast status` shows that run; type the same again when it has ended",
            Kind::Fenced => "`holdfast status` shows the other run",
            Kind::Internal => "type the same with -vv, and report what it says",
        }
    }
}

/// Of what only has to do with an answer.
const AS_IT_WAS: &str = "nothing; the archive is as it was";
const UNTIL_DUE: &str = "yes, until what you ask for is due to go: `holdfast why TABLE DAY`";

/// One failure: lower-case fragments that name the object, and a hint apart.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    attempted: String,
    reason: String,
    hint: Option<String>,
    table: Option<String>,
    is_of_answer: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `attempted` names the act and the object ("reading ledger entry 12"), `reason` says why it failed.
    pub fn new(kind: Kind, attempted: impl Into<String>, reason: impl Into<String>) -> Self {
        Error {
            kind,
            attempted: attempted.into(),
            reason: reason.into(),
            hint: None,
            table: None,
            is_of_answer: false,
            source: None,
        }
    }

    /// An error with another error as its reason.
    pub fn from_source(
        kind: Kind,
        attempted: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Error {
            kind,
            attempted: attempted.into(),
            reason: source.to_string(),
            hint: None,
            table: None,
            is_of_answer: false,
            source: Some(Box::new(source)),
        }
    }

    /// What to do about it, as a sentence for a person.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error, to be treated otherwise: one object's failure is not the run's.
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The one table that it has to do with: the others are well. An error without a table may have to do with any.
    pub fn of_table(mut self, table: impl fmt::Display) -> Self {
        self.table = Some(table.to_string());
        self
    }

    /// It has to do with what somebody asked for (a file to be written, a record of the question), and not with what is
    /// kept.
    pub fn of_answer(mut self) -> Self {
        self.is_of_answer = true;
        self
    }

    pub fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn attempted(&self) -> &str {
        &self.attempted
    }

    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What to do: its own hint, else that of its kind.
    pub fn next(&self) -> &str {
        self.hint.as_deref().unwrap_or(self.kind.next())
    }

    /// What was lost by it.
    pub fn lost(&self) -> &'static str {
        if self.is_of_answer { AS_IT_WAS } else { self.kind.lost() }
    }

    /// Whether it can wait, and until when.
    pub fn can_wait(&self) -> &'static str {
        if self.is_of_answer { UNTIL_DUE } else { self.kind.can_wait() }
    }

    pub fn exit_code(&self) -> u8 {
        self.kind.exit_code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.attempted, self.reason)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
