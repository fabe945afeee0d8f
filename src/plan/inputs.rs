//! What deciding is made from: the state, the rules with their history, what is armed and open, and `now`.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::ledger::{ApprovedItem, Armed, State};
use crate::names::TableName;
use crate::policy::{History, PolicySet, Term, day_of};
use crate::source::RawObject;

/// What a plan is made from.
#[derive(Debug)]
pub struct Inputs<'a> {
    pub objects: &'a [RawObject],
    pub terms: &'a Terms<'a>,
    pub state: &'a State,
    pub allowance: &'a Allowance,
    pub consents: &'a Consents,
    /// Tables that others wrote to, or that cannot be read, by [`TableName::key`], with the reason: nothing there is
    /// retired or destroyed.
    pub stopped: &'a BTreeMap<String, String>,
    pub now: Timestamp,
    pub only: &'a Only,
    /// A batch ends when its raw objects reach this many bytes.
    pub batch_bytes: u64,
}

impl Inputs<'_> {
    /// The UTC day of `now`.
    pub fn today(&self) -> Date {
        day_of(self.now)
    }

    /// True if the run was asked for this table.
    pub fn asked_for(&self, table: &TableName) -> bool {
        self.only.includes(table, self.terms.of(table).as_deref())
    }
}

/// The term of each table, worked out once.
#[derive(Debug)]
pub struct Terms<'a> {
    history: &'a History,
    policy: Option<String>,
    known: RefCell<HashMap<TableName, Option<Rc<Term>>>>,
}

impl<'a> Terms<'a> {
    pub fn new(history: &'a History) -> Self {
        Terms { history, policy: history.newest().map(PolicySet::digest), known: RefCell::default() }
    }

    pub fn history(&self) -> &'a History {
        self.history
    }

    /// False: the ledger accepted another policy since, and what that protects these terms do not know.
    pub fn govern(&self, state: &State) -> bool {
        state.policy().is_none_or(|accepted| Some(&accepted.digest) == self.policy.as_ref())
    }

    /// The term of `table`; none: no rule names it.
    pub fn of(&self, table: &TableName) -> Option<Rc<Term>> {
        if let Some(term) = self.known.borrow().get(table) {
            return term.clone();
        }
        let term = self.history.term(table).map(Rc::new);
        self.known.borrow_mut().insert(table.clone(), term.clone());
        term
    }
}

/// The tables that a command was asked for.
#[derive(Debug, Clone, Default)]
pub struct Only {
    /// Empty: all.
    pub tables: Vec<TableName>,
    /// Tables whose rule has one of these schedules (`None`: the settings' own); none: all.
    pub schedules: Option<Vec<Option<String>>>,
}

impl Only {
    /// A table without a rule follows the settings' schedule.
    pub fn includes(&self, table: &TableName, term: Option<&Term>) -> bool {
        let named = self.tables.is_empty() || self.tables.contains(table);
        let schedule = term.and_then(|term| term.rule.schedule.as_deref());
        let due = |schedules: &Vec<Option<String>>| schedules.iter().any(|due| due.as_deref() == schedule);
        named && self.schedules.as_ref().is_none_or(due)
    }
}

/// What may be destroyed now.
#[derive(Debug, Clone, Default)]
pub struct Allowance {
    /// As the settings say.
    pub armed: Armed,
    /// Nothing may be destroyed now, for this reason.
    pub shut: Option<Shut>,
}

/// Why nothing is destroyed although it is armed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "shut", rename_all = "snake_case")]
pub enum Shut {
    /// Outside `[delete] window`: what is due waits for it.
    Window { opens: Option<Timestamp> },
    /// The clock or the policies are in doubt.
    Doubt { reason: String },
}

impl Allowance {
    /// What is armed and open.
    pub fn now(&self) -> Armed {
        if self.shut.is_some() { Armed::default() } else { self.armed }
    }

    /// What stands in the way of destroying what has expired.
    pub fn blocker(&self) -> Option<Blocker> {
        match &self.shut {
            _ if !self.armed.expired => Some(Blocker::Unarmed),
            Some(shut) => Some(Blocker::Shut(shut.clone())),
            None => None,
        }
    }
}

/// The approvals that are valid now, one a person and plan.
#[derive(Debug, Clone, Default)]
pub struct Consents {
    pub given: Vec<Consent>,
    /// So many different persons must agree.
    pub needed: u8,
}

/// One person's consent to exactly these days.
#[derive(Debug, Clone)]
pub struct Consent {
    /// The ledger entry that says so.
    pub seq: u64,
    pub at: Timestamp,
    pub by: String,
    pub items: HashSet<ApprovedItem>,
}

impl Consents {
    /// When the newest consent to `item` was given, and by how many persons; only those after ledger entry `since` count.
    pub fn to(&self, item: &ApprovedItem, since: Option<u64>) -> (Option<Timestamp>, u8) {
        let counts = |consent: &&Consent| since.is_none_or(|since| consent.seq > since) && consent.items.contains(item);
        let given: Vec<&Consent> = self.given.iter().filter(counts).collect();
        let persons: HashSet<String> = given.iter().map(|consent| consent.by.to_lowercase()).collect();
        (given.iter().map(|consent| consent.at).max(), u8::try_from(persons.len()).unwrap_or(u8::MAX))
    }
}

/// What stands between a day and its destruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "blocked_by", rename_all = "snake_case")]
pub enum Blocker {
    /// `[delete] expired` is not armed.
    Unarmed,
    Shut(Shut),
    Hold {
        hold: String,
    },
    /// The rule was shortened; what that made newly due waits. `until`: the first day on which it does not. None: never.
    Grace {
        since: Timestamp,
        until: Option<Date>,
    },
    /// A person must consent.
    Approval {
        because: Because,
        given: u8,
        needed: u8,
    },
    /// Others wrote to the table, or it cannot be read.
    Stopped {
        reason: String,
    },
    /// The command was asked for other tables.
    OtherTable,
}

/// Why a retirement needs a person's consent (DESIGN §7, the circuit breaker).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Because {
    /// Nothing was retired in this table under this rule before.
    First,
    /// The rule was shortened, and its grace is over.
    Shortened { since: Timestamp },
    /// More days than have expired since the last run, and more of the table than a steady night takes.
    Beyond { days: u64, bytes: u64, live_bytes: u64 },
    /// A person put these days back.
    Reinstated,
}

impl fmt::Display for Shut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shut::Window { opens: Some(opens) } => {
                write!(f, "outside [delete] window: what is due waits until {opens}")
            }
            Shut::Window { opens: None } => f.write_str("outside [delete] window: what is due waits"),
            Shut::Doubt { reason } => f.write_str(reason),
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Blocker::Unarmed => f.write_str("not armed ([delete] expired)"),
            Blocker::Shut(shut) => shut.fmt(f),
            Blocker::Hold { hold } => write!(f, "hold {hold} covers it"),
            Blocker::Grace { since, until: Some(until) } => {
                write!(f, "its rule was shortened on {}: waits until {until}", day_of(*since))
            }
            Blocker::Grace { since, until: None } => {
                write!(f, "its rule was shortened on {}: waits for ever (shorten_grace)", day_of(*since))
            }
            Blocker::Approval { because, given, needed } => {
                write!(f, "needs approval: {because}")?;
                if *needed > 1 { write!(f, " ({given} of {needed} approvers agreed)") } else { Ok(()) }
            }
            Blocker::Stopped { reason } => f.write_str(reason),
            Blocker::OtherTable => f.write_str("not asked for"),
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Because::First => f.write_str("it would be the first retirement in this table under this rule"),
            Because::Shortened { since } => write!(f, "the rule was shortened on {}", day_of(*since)),
            Because::Beyond { days, bytes, live_bytes } => {
                let percent = bytes.saturating_mul(100) / (*live_bytes).max(1);
                write!(f, "{days} days more than expired since the last run, {percent} % of the table")
            }
            Because::Reinstated => f.write_str("a person put it back"),
        }
    }
}
