//! Keeping the schedule: wait for the next firing, run what is due, and so on until asked to stop.
//!
//! One run at a time. A run that fails is over; the next firing brings another. A lease that another run holds is waited
//! for, and what is due stays due. Nothing here reads a clock or sleeps: the [`Host`] does.

use std::time::Duration;

use jiff::Timestamp;

use super::agenda::{Agenda, Key, Timed};

/// At least so often the clock is looked at anew, since it may be set or the host may sleep, and the lines are read.
const LOOK: Duration = Duration::from_secs(60);
/// How often a held lease is asked for.
const ASK: Duration = Duration::from_secs(10);

/// What the schedule needs of the world: a host in life, a simulated one in tests.
pub trait Host {
    fn now(&self) -> Timestamp;
    /// True once somebody asked to stop.
    fn stopping(&self) -> bool;
    /// The lines as they are written now; none: as before.
    fn lines(&mut self) -> Option<Vec<Timed>>;
    /// Runs the tables of these lines. Tells of its failure itself.
    fn run(&mut self, now: Timestamp, due: &[Key]) -> Ran;
    /// Waits at most so long; less if asked to stop.
    fn wait(&mut self, for_what: Waiting, at_most: Duration);
}

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// It is over, well or not.
    Over,
    /// Another run holds the lease: nothing was done.
    Held,
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The next firing; none: there is no line any more.
    Firing(Option<Timestamp>),
    /// The lease, which another run holds.
    Lease,
}

/// Runs what fires, until asked to stop.
pub fn keep(host: &mut impl Host, agenda: &mut Agenda) {
    while !host.stopping() {
        let now = host.now();
        if let Some(lines) = host.lines() {
            agenda.replace(lines, now);
        }
        if let Some(ahead) = agenda.mistrust(now) {
            tracing::warn!(%now, "the last run lies {} hours ahead of the clock: going on from now", ahead.as_hours());
        }
        let due = agenda.due(now);
        if due.is_empty() {
            let next = agenda.next();
            let left = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok());
            host.wait(Waiting::Firing(next), left.map_or(LOOK, |left| left.min(LOOK)));
            continue;
        }
        match host.run(now, &due) {
            Ran::Over => agenda.ran(now),
            Ran::Held => host.wait(Waiting::Lease, ASK),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::schedule::timed;
    use crate::settings::Settings;

    /// A host whose time passes only while it waits or runs.
    struct Simulated {
        now: Timestamp,
        end: Timestamp,
        /// How long a run takes.
        takes: SignedDuration,
        /// When each run began, and for which lines.
        ran: Vec<(Timestamp, Vec<Key>)>,
        /// At these times the clock is set: (when, to what).
        clock_is_set: Vec<(Timestamp, Timestamp)>,
        /// Until then another run holds the lease.
        held_until: Timestamp,
        /// Stops while this run is under way.
        stops_in_run: Option<usize>,
        stopped: bool,
        lines: Option<Vec<Timed>>,
        asked_for_lease: usize,
    }

    impl Host for Simulated {
        fn now(&self) -> Timestamp {
            self.now
        }

        fn stopping(&self) -> bool {
            self.stopped || self.now >= self.end
        }

        fn lines(&mut self) -> Option<Vec<Timed>> {
            self.lines.take()
        }

        fn run(&mut self, now: Timestamp, due: &[Key]) -> Ran {
            if now < self.held_until {
                self.asked_for_lease += 1;
                return Ran::Held;
            }
            self.ran.push((now, due.to_vec()));
            self.stopped |= self.stops_in_run == Some(self.ran.len());
            self.pass(self.takes);
            Ran::Over
        }

        fn wait(&mut self, _: Waiting, at_most: Duration) {
            assert!(!at_most.is_zero(), "a wait for nothing would spin");
            self.pass(SignedDuration::try_from(at_most).unwrap());
        }
    }

    impl Simulated {
        fn pass(&mut self, time: SignedDuration) {
            let then = self.now + time;
            self.now = match self.clock_is_set.iter().position(|(when, _)| self.now < *when && *when <= then) {
                Some(index) => self.clock_is_set.remove(index).1,
                None => then,
            };
        }

        fn times(&self) -> Vec<String> {
            self.ran.iter().map(|(at, _)| at.strftime("%dT%H:%M:%S").to_string()).collect()
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn lines(crons: &[&str], zone: &str) -> Vec<Timed> {
        let lines = crons.iter().enumerate().flat_map(|(index, cron)| {
            let text = format!("archive = \"/a\"\n[schedule]\ncron = \"{cron}\"\ntime_zone = \"{zone}\"");
            let schedule = Settings::parse(&text, std::path::Path::new("/")).unwrap().schedule;
            let mut lines = timed(&schedule, None).unwrap();
            lines[0].key = (index > 0).then(|| (*cron).to_owned());
            lines
        });
        lines.collect()
    }

    fn host(from: &str, to: &str) -> Simulated {
        Simulated {
            now: at(from),
            end: at(to),
            takes: SignedDuration::from_mins(20),
            ran: Vec::new(),
            clock_is_set: Vec::new(),
            held_until: Timestamp::MIN,
            stops_in_run: None,
            stopped: false,
            lines: None,
            asked_for_lease: 0,
        }
    }

    /// Keeps these lines, the last run having been at the start.
    fn keep_lines(host: &mut Simulated, lines: Vec<Timed>) {
        let mut agenda = Agenda::new(lines, Some(host.now), host.now);
        keep(host, &mut agenda);
    }

    #[test]
    fn a_year_of_nights_has_as_many_runs_as_days() {
        for zone in ["Europe/Berlin", "America/New_York"] {
            let mut host = host("2023-12-31T12:00:00Z", "2024-12-31T12:00:00Z");
            keep_lines(&mut host, lines(&["30 2 * * *"], zone));
            assert_eq!(host.ran.len(), 366, "{zone}");
            let gaps: Vec<i64> = host.ran.windows(2).map(|two| two[1].0.duration_since(two[0].0).as_mins()).collect();
            let odd: Vec<i64> = gaps.into_iter().filter(|gap| *gap != 24 * 60).collect();
            // Spring: at the end of the gap, half an hour after 02:30 would have been; autumn: an hour later.
            match zone {
                "Europe/Berlin" => assert_eq!(odd, [23 * 60 + 30, 23 * 60 + 30, 25 * 60]),
                // There the hour that comes twice is 01:00; at 02:30 it is over.
                _ => assert_eq!(odd, [23 * 60 + 30, 23 * 60 + 30, 25 * 60]),
            }
        }
    }

    #[test]
    fn lines_that_fire_together_make_one_run() {
        let mut host = host("2024-03-09T12:00:00Z", "2024-03-10T12:00:00Z");
        host.takes = SignedDuration::from_mins(1);
        keep_lines(&mut host, lines(&["0 2 * * *", "0 */2 * * *", "5 2 * * SUN"], "UTC"));
        let at_two = host.ran.iter().find(|(when, _)| *when == at("2024-03-10T02:00:00Z")).unwrap();
        assert_eq!(at_two.1, [None, Some("0 */2 * * *".into())]);
        let after = host.ran.iter().find(|(when, _)| *when == at("2024-03-10T02:05:00Z")).unwrap();
        assert_eq!(after.1, [Some("5 2 * * SUN".into())]);
        assert_eq!(host.ran.len(), 11 + 1, "every two hours from 14:00 to 10:00, and once on Sunday");
    }

    #[test]
    fn what_a_long_run_misses_is_caught_up_once() {
        let mut host = host("2024-03-10T01:30:00Z", "2024-03-10T07:30:00Z");
        host.takes = SignedDuration::from_hours(3);
        keep_lines(&mut host, lines(&["0 2 * * *", "15 * * * *"], "UTC"));
        assert_eq!(host.times(), ["10T02:00:00", "10T05:00:00"]);
        assert_eq!(host.ran[1].1, [Some("15 * * * *".into())], "only what fired meanwhile");
    }

    #[test]
    fn what_was_missed_before_the_start_is_caught_up_once() {
        let mut host = host("2024-03-10T12:00:00Z", "2024-03-11T12:00:00Z");
        let mut agenda = Agenda::new(lines(&["0 2 * * *"], "UTC"), Some(at("2024-03-01T02:00:00Z")), host.now);
        keep(&mut host, &mut agenda);
        assert_eq!(host.times(), ["10T12:00:00", "11T02:00:00"]);
    }

    #[test]
    fn a_stop_in_mid_run_is_the_end() {
        let mut host = host("2024-03-10T00:30:00Z", "2024-03-11T00:00:00Z");
        host.stops_in_run = Some(2);
        keep_lines(&mut host, lines(&["0 * * * *"], "UTC"));
        assert_eq!(host.times(), ["10T01:00:00", "10T02:00:00"]);
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_caught_up_once() {
        let mut host = host("2024-03-10T00:30:00Z", "2024-03-13T06:00:00Z");
        host.clock_is_set = vec![(at("2024-03-10T12:00:00Z"), at("2024-03-13T04:10:00Z"))];
        keep_lines(&mut host, lines(&["0 2 * * *"], "UTC"));
        assert_eq!(host.times(), ["10T02:00:00", "13T04:10:00"]);
    }

    #[test]
    fn a_clock_set_back_runs_nothing_twice() {
        let mut host = host("2024-03-10T00:30:00Z", "2024-03-12T00:00:00Z");
        host.takes = SignedDuration::from_mins(1);
        host.clock_is_set = vec![(at("2024-03-10T05:30:00Z"), at("2024-03-10T01:30:00Z"))];
        keep_lines(&mut host, lines(&["0 2,4 * * *"], "UTC"));
        assert_eq!(host.times(), ["10T02:00:00", "10T04:00:00", "11T02:00:00", "11T04:00:00"]);
    }

    #[test]
    fn a_clock_that_was_years_ahead_does_not_end_the_schedule() {
        let mut host = host("2035-03-10T00:30:00Z", "2036-01-01T00:00:00Z");
        host.clock_is_set = vec![(at("2035-03-10T05:00:00Z"), at("2024-03-10T05:00:00Z"))];
        host.stops_in_run = Some(3);
        keep_lines(&mut host, lines(&["0 2 * * *"], "UTC"));
        let years: Vec<String> = host.ran.iter().map(|(at, _)| at.to_string()).collect();
        assert_eq!(years, ["2035-03-10T02:00:00Z", "2024-03-11T02:00:00Z", "2024-03-12T02:00:00Z"]);
    }

    #[test]
    fn a_lease_held_by_another_is_waited_for() {
        let mut host = host("2024-03-10T01:30:00Z", "2024-03-10T12:00:00Z");
        host.held_until = at("2024-03-10T03:00:05Z");
        keep_lines(&mut host, lines(&["0 2 * * *"], "UTC"));
        assert_eq!(host.times(), ["10T03:00:10"]);
        assert_eq!(host.asked_for_lease, 361, "every ten seconds");
    }

    #[test]
    fn an_edit_counts_within_a_minute() {
        let mut host = host("2024-03-10T00:30:00Z", "2024-03-10T06:00:00Z");
        host.lines = Some(lines(&["0 4 * * *"], "UTC"));
        keep_lines(&mut host, lines(&["0 2 * * *"], "UTC"));
        assert_eq!(host.times(), ["10T04:00:00"]);
    }
}
