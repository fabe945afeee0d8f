//! The rule in the words of its file, the latest date, and what stands in the way with what to do about it.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::plan::{Blocker, Shut};
use crate::policy::{ClockSource, Origin, Rule, Shortening, Span, Term};

/// When the schedule fires first at or after an instant, by a rule's own line or the settings' (none). None: no schedule
/// says.
pub type Fires<'a> = dyn Fn(Option<&str>, Timestamp) -> Option<Timestamp> + 'a;

/// The rule that decides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleFacts {
    pub origin: Origin,
    pub archive: bool,
    pub archive_after: Span,
    pub retain: Span,
    pub purge_delay: Span,
    pub keep_raw: Span,
    pub quarantine_retain: Span,
    pub shorten_grace: Span,
    pub clock: ClockSource,
    pub time_column: String,
    pub locked: bool,
    pub schedule: Option<String>,
    pub digest: String,
}

impl From<&Rule> for RuleFacts {
    fn from(rule: &Rule) -> Self {
        RuleFacts {
            origin: rule.origin.clone(),
            archive: rule.archive,
            archive_after: rule.archive_after,
            retain: rule.retain,
            purge_delay: rule.purge_delay,
            keep_raw: rule.keep_raw,
            quarantine_retain: rule.quarantine_span(),
            shorten_grace: rule.shorten_grace,
            clock: rule.clock,
            time_column: rule.time_column.clone(),
            locked: rule.locked,
            schedule: rule.schedule.clone(),
            digest: rule.digest(),
        }
    }
}

/// When it is gone at the latest: the first run from `from` on, if nothing is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Latest {
    pub from: Date,
    /// When the schedule fires then. None: nothing in the settings says when the next run is.
    pub run: Option<Timestamp>,
}

impl Latest {
    /// The latest time for a date of destruction, or for `now` if that is later.
    pub fn new(destroy_at: Date, now: Timestamp, schedule: Option<&str>, fires: &Fires<'_>) -> Self {
        let midnight = destroy_at.to_zoned(TimeZone::UTC).map_or(now, |midnight| midnight.timestamp());
        Latest { from: destroy_at, run: fires(schedule, midnight.max(now)) }
    }
}

/// Something in the way, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// As the plan says it; none: of clearing, not of expiring.
    pub blocker: Option<Blocker>,
    pub why: String,
    /// What to do about it; often nothing.
    pub next: String,
}

impl Obstacle {
    /// Says a blocker of `table` in words. `old`: the rule that a shortening's grace still protects by.
    pub fn of(blocker: &Blocker, table: &str, held_back: Option<&Held<'_>>) -> Self {
        let (why, next) = words(blocker, table, held_back);
        Obstacle { blocker: Some(blocker.clone()), why, next }
    }

    /// Nothing says how long it is kept.
    pub fn no_rule() -> Self {
        Obstacle::new(
            "no rule names its table, and there are no [defaults]",
            "write a rule for it, or `retain` in [defaults]; `holdfast check` shows the rule of each table",
        )
    }

    pub fn new(why: impl Into<String>, next: impl Into<String>) -> Self {
        Obstacle { blocker: None, why: why.into(), next: next.into() }
    }
}

/// The shortening that holds a day back, and the day on which the old rule would let it go.
#[derive(Debug)]
pub struct Held<'a> {
    pub shortening: &'a Shortening,
    pub old_end: Option<Date>,
    /// The first day on which nothing of it protects the day any more.
    pub goes: Option<Date>,
}

impl<'a> Held<'a> {
    /// What holds a day back at `now`, whose end a rule gives.
    pub fn back(
        term: &'a Term,
        now: Timestamp,
        goes: Option<Date>,
        ends: impl Fn(&Rule) -> Option<Date>,
    ) -> Option<Self> {
        let shortening = term.held_back(now, &ends)?;
        let old_end = shortening.old.as_ref().and_then(&ends);
        Some(Held { shortening, old_end, goes })
    }
}

fn words(blocker: &Blocker, table: &str, held_back: Option<&Held<'_>>) -> (String, String) {
    match blocker {
        Blocker::Unarmed => (
            "[delete] expired is not armed: nothing is retired or destroyed".into(),
            "write `expired = true` under [delete] in the settings, if that is meant".into(),
        ),
        Blocker::Shut(shut @ Shut::Window { .. }) => {
            (shut.to_string(), "nothing: a run within the window does it".into())
        }
        Blocker::Shut(Shut::Doubt { reason }) => (
            format!("nothing is destroyed in doubt: {reason}"),
            "mend that; `holdfast check` looks at the policies".into(),
        ),
        Blocker::Hold { hold } => (
            format!("the hold `{hold}` covers it"),
            "nothing, until the hold is released; then it goes on by itself".into(),
        ),
        Blocker::Grace { since, until } => {
            let until = held_back.and_then(|held| held.goes).or(*until);
            (grace(*since, until, held_back), "nothing; to keep it, put the longer rule back before that".into())
        }
        Blocker::Approval { because, given, needed } => (
            format!("a person must agree: {because} ({given} of {needed} given)"),
            "`holdfast plan --out plan.json`, read it, `holdfast approve plan.json --reason …`".into(),
        ),
        Blocker::Stopped { reason } => (
            reason.clone(),
            format!("`holdfast verify`; if another program's commits are right: `holdfast adopt {table} --reason …`"),
        ),
        Blocker::OtherTable => ("the command was asked for other tables".into(), "ask for this one".into()),
    }
}

fn grace(since: Timestamp, until: Option<Date>, held_back: Option<&Held<'_>>) -> String {
    let since = crate::policy::day_of(since);
    let until = until.map_or_else(|| "for ever".to_owned(), |until| format!("until {until}"));
    let old = held_back.map(|held| match (&held.shortening.old, held.old_end) {
        (Some(old), Some(end)) => format!("; the old rule ({}, retain {}) would end on {end}", old.origin, old.retain),
        (Some(old), None) => format!("; the old rule ({}) kept it for ever", old.origin),
        (None, _) => "; before, no rule or another clock governed".to_owned(),
    });
    format!("shortened on {since}: its grace protects it {until}{}", old.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Because;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn each_blocker_is_told_with_what_to_type() {
        let opens = Some(at("2024-04-02T22:00:00Z"));
        let shortened = Because::Shortened { since: at("2024-03-01T02:00:00Z") };
        let beyond = Because::Beyond { days: 12, bytes: 50, live_bytes: 100 };
        let approval = |because: &Because| Blocker::Approval { because: because.clone(), given: 1, needed: 2 };
        let cases = [
            (Blocker::Unarmed, "not armed", "expired = true"),
            (Blocker::Shut(Shut::Window { opens }), "until 2024-04-02T22:00:00Z", "nothing"),
            (Blocker::Shut(Shut::Doubt { reason: "a clock went back".into() }), "a clock went back", "mend"),
            (Blocker::Hold { hold: "case-12".into() }, "`case-12`", "released"),
            (approval(&shortened), "shortened on 2024-03-01 (1 of 2 given)", "holdfast approve"),
            (approval(&beyond), "50 % of the table", "holdfast plan --out"),
            (approval(&Because::Reinstated), "put it back", "holdfast approve"),
            (Blocker::Stopped { reason: "somebody else".into() }, "somebody else", "holdfast adopt main/A --reason"),
            (Blocker::Grace { since: at("2024-03-01T02:00:00Z"), until: None }, "for ever", "longer rule"),
        ];
        for (blocker, why, next) in cases {
            let told = Obstacle::of(&blocker, "main/A", None);
            assert!(told.why.contains(why) && told.next.contains(next), "{told:?}");
        }
    }

    #[test]
    fn the_latest_date_is_the_first_firing_from_the_destroy_date_on() {
        let (day, before, after) =
            (jiff::civil::date(2024, 4, 8), at("2024-04-01T00:00:00Z"), at("2024-04-20T05:00:00Z"));
        let fires = |rule: Option<&str>, from: Timestamp| match rule {
            Some(_) => Some(from + jiff::SignedDuration::from_hours(24)),
            None => Some(from),
        };
        let run = |schedule, now| Latest::new(day, now, schedule, &fires).run.map(|run| run.to_string());
        assert_eq!(run(None, before).as_deref(), Some("2024-04-08T00:00:00Z"));
        assert_eq!(run(Some("…"), before).as_deref(), Some("2024-04-09T00:00:00Z"));
        assert_eq!(run(None, after).as_deref(), Some("2024-04-20T05:00:00Z"), "what is overdue goes with the next run");
        assert_eq!(Latest::new(day, before, None, &|_, _| None).run, None);
    }
}
