//! The one public error: what was attempted, on what, why it failed, what to do.
//!
//! A [`Kind`] is what a caller would do differently; the kind alone gives the exit code.

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

/// One failure: lower-case fragments that name the object, and a hint apart.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    attempted: String,
    reason: String,
    hint: Option<String>,
    table: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `attempted` names the act and the object ("reading ledger entry 12"), `reason` says why it failed.
    pub fn new(kind: Kind, attempted: impl Into<String>, reason: impl Into<String>) -> Self {
        Error { kind, attempted: attempted.into(), reason: reason.into(), hint: None, table: None, source: None }
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
