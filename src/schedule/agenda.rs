//! What fires when, and what of it is due: the lines of the settings and of the rules, each with the time up to which it
//! is done. Pure: `now` is passed in.
//!
//! However many firings of a line lie before `now`, it is due once: missed ones are caught up together.

use jiff::{SignedDuration, Timestamp};

use super::line::Line;
use crate::error::Result;
use crate::policy::PolicySet;
use crate::settings::Schedule;

/// Whose line it is, as [`crate::pipeline::Request::schedules`] has it: a rule's own text, or the settings' (none).
pub type Key = Option<String>;

/// How far the last run may lie ahead of the clock and still be believed: then the clock was set back a little, and what
/// ran does not run again. Beyond it the clock was wrong when that run began.
const BELIEVED: SignedDuration = SignedDuration::from_hours(24);

/// A line with the rules that go by it.
#[derive(Debug, Clone)]
pub struct Timed {
    pub key: Key,
    pub line: Line,
    /// As policies name them; `[defaults]` among them.
    pub rules: Vec<String>,
}

/// All lines: the settings' own first, then those of rules, each text once. `None`: no policy is known.
pub fn timed(schedule: &Schedule, policies: Option<&PolicySet>) -> Result<Vec<Timed>> {
    let mut lines: Vec<Timed> = Vec::new();
    if let Some(text) = &schedule.cron {
        lines.push(Timed { key: None, line: Line::new(text, &schedule.zone)?, rules: Vec::new() });
    }
    for rule in policies.into_iter().flat_map(rules) {
        let key = rule.schedule.clone();
        let known = lines.iter_mut().find(|timed| timed.key == key);
        match (known, &key) {
            (Some(timed), _) => timed.rules.push(rule.origin.name().to_owned()),
            (None, Some(text)) => {
                let line = Line::new(text, &schedule.zone)?;
                lines.push(Timed { key, line, rules: vec![rule.origin.name().to_owned()] });
            }
            (None, None) => {}
        }
    }
    Ok(lines)
}

/// The rules whose tables no line ever runs: they have none, and the settings have none.
pub fn untimed(schedule: &Schedule, policies: &PolicySet) -> Vec<String> {
    if schedule.cron.is_some() {
        return Vec::new();
    }
    rules(policies).filter(|rule| rule.schedule.is_none()).map(|rule| rule.origin.name().to_owned()).collect()
}

fn rules(policies: &PolicySet) -> impl Iterator<Item = &crate::policy::Rule> {
    policies.rules().map(|(_, rule)| rule).chain(policies.defaults())
}

/// The lines with how far each is done.
#[derive(Debug)]
pub struct Agenda {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    timed: Timed,
    /// Firings up to here are done. None: nothing ever ran.
    done: Option<Timestamp>,
    /// When it is due next, or since when it is.
    next: Option<Timestamp>,
}

impl Entry {
    fn new(timed: Timed, done: Option<Timestamp>, now: Timestamp) -> Self {
        // Where nothing ever ran, everything is due.
        let next = done.map_or(Some(now), |done| timed.line.next(done));
        Entry { timed, done, next }
    }

    fn is_done(&mut self, until: Timestamp) {
        self.done = Some(until);
        self.next = self.timed.line.next(until);
    }
}

impl Agenda {
    /// `last_run`: the `now` of the last run that ended; what fired since then was missed.
    pub fn new(lines: Vec<Timed>, last_run: Option<Timestamp>, now: Timestamp) -> Self {
        Agenda { entries: lines.into_iter().map(|timed| Entry::new(timed, last_run, now)).collect() }
    }

    /// The lines as they are written now. What stays is as far as it was; what is new begins now, and has missed nothing.
    pub fn replace(&mut self, lines: Vec<Timed>, now: Timestamp) {
        let old = std::mem::take(&mut self.entries);
        self.entries = lines
            .into_iter()
            .map(|timed| {
                let same =
                    |entry: &&Entry| entry.timed.key == timed.key && entry.timed.line.text() == timed.line.text();
                match old.iter().find(same) {
                    Some(known) => Entry { timed, done: known.done, next: known.next },
                    None => Entry::new(timed, Some(now), now),
                }
            })
            .collect();
    }

    /// The lines with a firing that is not done at `now`.
    pub fn due(&self, now: Timestamp) -> Vec<Key> {
        let due = self.entries.iter().filter(|entry| entry.next.is_some_and(|next| next <= now));
        due.map(|entry| entry.timed.key.clone()).collect()
    }

    /// When the next line fires.
    pub fn next(&self) -> Option<Timestamp> {
        self.entries.iter().filter_map(|entry| entry.next).min()
    }

    /// A run began at `now` for all that was due then.
    pub fn ran(&mut self, now: Timestamp) {
        for entry in &mut self.entries {
            if entry.done.is_none_or(|done| done < now) {
                entry.is_done(now);
            }
        }
    }

    /// Looks whether the last run lies too far ahead of the clock to be believed. If so, goes on from `now` and says how
    /// far it was.
    pub fn mistrust(&mut self, now: Timestamp) -> Option<SignedDuration> {
        let mut furthest = None;
        for entry in &mut self.entries {
            let ahead = entry.done.map(|done| done.duration_since(now)).filter(|ahead| *ahead > BELIEVED);
            if ahead.is_some() {
                entry.is_done(now);
                furthest = furthest.max(ahead);
            }
        }
        furthest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicyFile;
    use crate::settings::Settings;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn schedule(text: &str) -> Schedule {
        let text = format!("archive = \"/a\"\n[schedule]\n{text}");
        Settings::parse(&text, std::path::Path::new("/")).unwrap().schedule
    }

    fn policies(text: &str) -> PolicySet {
        let file = PolicyFile { name: "a.toml".into(), text: format!("version = 1\n{text}") };
        PolicySet::from_files(vec![file]).unwrap()
    }

    fn named(lines: &[Timed]) -> Vec<(Option<&str>, &str, String)> {
        lines.iter().map(|timed| (timed.key.as_deref(), timed.line.text(), timed.rules.join(" "))).collect()
    }

    #[test]
    fn rules_go_by_their_own_line_or_the_settings() {
        let rules = policies(
            "[defaults]\nretain = \"1y\"\n\
             [[table]]\nname = \"A\"\nschedule = \"0 * * * *\"\n\
             [[table]]\nname = \"B\"\n\
             [[table]]\nname = \"C*\"\nschedule = \"0 * * * *\"\n\
             [[table]]\nname = \"D\"\nschedule = \"0 2 * * *\"\n",
        );
        let both = schedule("cron = \"0 2 * * *\"");
        let lines = timed(&both, Some(&rules)).unwrap();
        assert_eq!(
            named(&lines),
            [
                (None, "0 2 * * *", "B [defaults]".into()),
                (Some("0 * * * *"), "0 * * * *", "A C*".into()),
                (Some("0 2 * * *"), "0 2 * * *", "D".into()),
            ]
        );
        assert!(untimed(&both, &rules).is_empty());
        let none = schedule("");
        assert_eq!(timed(&none, Some(&rules)).unwrap().len(), 2);
        assert_eq!(untimed(&none, &rules), ["B", "[defaults]"]);
        assert!(timed(&none, None).unwrap().is_empty());
        let all = policies("[defaults]\nretain = \"1y\"\nschedule = \"0 3 * * *\"\n[[table]]\nname = \"A\"\n");
        assert_eq!(
            named(&timed(&none, Some(&all)).unwrap()),
            [(Some("0 3 * * *"), "0 3 * * *", "A [defaults]".into())]
        );
    }

    #[test]
    fn missed_firings_are_due_once() {
        let rules = policies("[[table]]\nname = \"A\"\nretain = \"1y\"\nschedule = \"0 * * * *\"\n");
        let lines = || timed(&schedule("cron = \"0 2 * * *\""), Some(&rules)).unwrap();
        let mut agenda = Agenda::new(lines(), Some(at("2024-03-10T02:00:00Z")), at("2024-03-10T05:30:00Z"));
        let hourly = Some("0 * * * *".to_owned());
        assert_eq!(agenda.due(at("2024-03-10T05:30:00Z")), vec![hourly.clone()]);
        agenda.ran(at("2024-03-10T05:30:00Z"));
        assert!(agenda.due(at("2024-03-10T05:59:59Z")).is_empty());
        assert_eq!(agenda.next(), Some(at("2024-03-10T06:00:00Z")));
        assert_eq!(agenda.due(at("2024-03-12T02:00:00Z")), [None, hourly], "two nights and both lines: one run");
        let never = Agenda::new(lines(), None, at("2024-03-10T05:30:00Z"));
        assert_eq!(never.due(at("2024-03-10T05:30:00Z")).len(), 2, "nothing ever ran");
    }

    #[test]
    fn an_edited_line_begins_when_it_is_seen() {
        let one = || timed(&schedule("cron = \"0 2 * * *\""), None).unwrap();
        let other = || timed(&schedule("cron = \"0 3 * * *\""), None).unwrap();
        let mut agenda = Agenda::new(one(), Some(at("2024-03-10T02:00:00Z")), at("2024-03-10T12:00:00Z"));
        agenda.replace(one(), at("2024-03-11T01:00:00Z"));
        assert_eq!(agenda.due(at("2024-03-11T02:00:00Z")), [None], "the same line is as far as it was");
        agenda.replace(other(), at("2024-03-11T04:00:00Z"));
        assert!(agenda.due(at("2024-03-11T04:00:00Z")).is_empty());
        assert_eq!(agenda.next(), Some(at("2024-03-12T03:00:00Z")));
    }

    #[test]
    fn a_clock_set_back_repeats_nothing_and_a_wrong_one_is_not_waited_for() {
        let lines = timed(&schedule("cron = \"0 * * * *\""), None).unwrap();
        let mut agenda = Agenda::new(lines, Some(at("2024-03-10T05:00:00Z")), at("2024-03-10T02:30:00Z"));
        assert_eq!(agenda.mistrust(at("2024-03-10T02:30:00Z")), None);
        assert!(agenda.due(at("2024-03-10T05:00:00Z")).is_empty());
        assert_eq!(agenda.next(), Some(at("2024-03-10T06:00:00Z")));
        let far = agenda.mistrust(at("2020-01-01T00:30:00Z")).unwrap();
        assert_eq!(far.as_hours(), 36724);
        assert_eq!(agenda.next(), Some(at("2020-01-01T01:00:00Z")));
        assert_eq!(agenda.mistrust(at("2020-01-01T00:30:00Z")), None, "said once");
    }
}
