//! `holdfast schedule`: keeps the schedule on this host.

use std::time::Duration;

use jiff::Timestamp;

use super::args::Args;
use super::open::House;
use super::output::Output;
use super::run::run_once;
use super::service::Service;
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::pipeline::Request;
use crate::policy::{PolicyFile, PolicySet};
use crate::schedule::{Agenda, Host, Key, Ran, Timed, Waiting, keep, last_run, timed, untimed};
use crate::storage::Missing;

pub fn schedule(args: &Args, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let attempted = "starting the schedule";
    if house.settings.simulation {
        return Err(Error::new(Kind::Usage, attempted, "the archive is a simulation, in which time stands still")
            .with_hint("run it by hand: `holdfast run --as-of TIME`"));
    }
    let service = Service::start(house.handle(), house.settings.schedule.metrics.clone(), args.format)?;
    let folder = PolicySet::read_folder(&house.settings.policies);
    if let Err(mistakes) = &folder
        && !output.is_json()
    {
        output.note(mistakes.render(output.color));
    }
    let digest = folder.as_ref().ok().map(PolicySet::digest);
    let policies = folder.as_ref().ok().cloned().or_else(|| last_accepted(&house));
    let lines = timed(&house.settings.schedule, policies.as_ref())?;
    if lines.is_empty() {
        // Without policies nobody knows whether a rule has a line.
        let policies = match (policies, folder) {
            (None, Err(mistakes)) => return Err(mistakes.into()),
            (policies, _) => policies,
        };
        return Err(nothing_to_keep(&house, attempted, policies.is_some()));
    }
    if let Some(rules) =
        policies.map(|policies| untimed(&house.settings.schedule, &policies)).filter(|it| !it.is_empty())
    {
        tracing::warn!(rules = rules.join(", "), "the tables of these rules are never run: they have no `schedule`");
    }
    let mut agenda = Agenda::new(lines, missed_since(&house), house.clock.now());
    let mut host = ThisHost { house, service, output, digest, next: None, held: false };
    host.service.ready()?;
    keep(&mut host, &mut agenda);
    Ok(0)
}

fn nothing_to_keep(house: &House, attempted: &str, policies: bool) -> Error {
    let file = house.settings.file.as_ref().map_or_else(|| "the settings".into(), |file| file.display().to_string());
    let reason = match policies {
        true => "nothing says when: the settings have no [schedule] cron, and no rule has a `schedule`",
        false => "nothing says when: the settings have no [schedule] cron",
    };
    Error::new(Kind::Usage, attempted, reason).with_hint(format!(
        "write into {file}, for every night at two:\n\n        [schedule]\n        cron      = \"0 2 * * *\"\n        time_zone = \
         \"{}\"\n",
        house.settings.schedule.time_zone
    ))
}

/// The policy that runs go by while the folder is invalid.
fn last_accepted(house: &House) -> Option<PolicySet> {
    let chain = house.chain().ok()?;
    let files: Vec<PolicyFile> = chain.attachment(&chain.state().policy()?.files).ok()?;
    PolicySet::from_files(files).ok()
}

/// The last run's `now`. A ledger that cannot be read is for the run to tell, at once.
fn missed_since(house: &House) -> Option<Timestamp> {
    let ledger = house.ledger(Missing::Refuse).ok()?;
    last_run(&ledger).unwrap_or_else(|error| {
        tracing::warn!(%error, "when the last run ended is not known");
        None
    })
}

/// This host, as the schedule sees it.
struct ThisHost<'a> {
    house: House,
    service: Service,
    output: &'a mut Output,
    /// Of the policies that the lines are from; none: of an invalid folder.
    digest: Option<String>,
    /// The next firing, as it was last told.
    next: Option<Option<Timestamp>>,
    /// That another run holds the lease was told.
    held: bool,
}

impl ThisHost<'_> {
    /// As the schedule's zone has it.
    fn minutes(&self, at: Timestamp) -> String {
        at.to_zoned(self.house.settings.schedule.zone.clone()).strftime("%a %Y-%m-%d %H:%M %Z").to_string()
    }
}

impl Host for ThisHost<'_> {
    fn now(&self) -> Timestamp {
        self.house.clock.now()
    }

    fn stopping(&self) -> bool {
        self.service.stopping()
    }

    fn lines(&mut self) -> Option<Vec<Timed>> {
        let policies = match PolicySet::read_folder(&self.house.settings.policies) {
            Ok(policies) => policies,
            Err(error) => {
                if self.digest.take().is_some() {
                    tracing::warn!(%error, "the policies are invalid: the schedule stays as it was");
                }
                return None;
            }
        };
        let digest = policies.digest();
        if self.digest.as_ref() == Some(&digest) {
            return None;
        }
        match timed(&self.house.settings.schedule, Some(&policies)) {
            Ok(lines) => {
                self.digest = Some(digest);
                Some(lines)
            }
            Err(error) => {
                tracing::warn!(%error, "the schedule stays as it was");
                None
            }
        }
    }

    fn run(&mut self, now: Timestamp, due: &[Key]) -> Ran {
        if !self.held {
            self.service.status(&format!("running since {}", self.minutes(now)));
        }
        self.service.running(true);
        let request = Request { now, tables: Vec::new(), schedules: Some(due.to_vec()) };
        let outcome = run_once(&self.house, &request, self.service.stop().clone(), self.output);
        self.service.running(false);
        match outcome {
            Err(error) if error.kind() == Kind::LeaseHeld => {
                if !self.held {
                    tracing::warn!("waiting: {}", error.reason());
                }
                self.held = true;
                return Ran::Held;
            }
            Err(error) => self.output.error(&error),
            Ok(_) => {}
        }
        (self.held, self.next) = (false, None);
        Ran::Over
    }

    fn wait(&mut self, for_what: Waiting, at_most: Duration) {
        match for_what {
            Waiting::Firing(next) if self.next != Some(next) => {
                self.next = Some(next);
                self.service.write(|metrics| metrics.next_firing = next);
                let text = match next {
                    Some(next) => format!("waiting until {}", self.minutes(next)),
                    None => "waiting: no line of the schedule fires".into(),
                };
                self.service.status(&text);
                if !self.output.is_json() {
                    self.output.note(text);
                }
            }
            Waiting::Firing(_) => {}
            Waiting::Lease => self.service.status("waiting for the lease, which another run holds"),
        }
        self.service.wait(at_most);
    }
}
