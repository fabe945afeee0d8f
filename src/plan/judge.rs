//! The verdict on one record: its day, that it has expired, or why it cannot be judged. Pure.
//!
//! Time plausibility comes first (DESIGN §7): a time earlier than the object's period less `late_window`, before the year
//! 2000, or beyond `now` + 1 day is quarantined, since a wrong time would destroy a record on a wrong day. Only a
//! plausible time can be expired on arrival.

use std::borrow::Cow;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::policy::{ClockSource, Rule};
use crate::record::{Member, ValueKind, text, time};
use crate::source::Period;

/// What is settled about a batch's records before they are read. The default: they are archived, whatever their day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Intake {
    /// Judged records stay in their raw object (`archive = false`). It is kept until the last of them is due, so that
    /// `expired_before` does not apply to them.
    pub stays_raw: bool,
    /// A record of a day before this one has expired on arrival: its rule would retire it at once. None unless that may
    /// be done unasked: armed, nothing held, and the table's retirements under this rule have come that far.
    pub expired_before: Option<Date>,
}

/// What a record's time makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It belongs to this UTC day; `micros` since 1970 sort it.
    Row { day: Date, micros: i64 },
    /// It belongs to this UTC day, which has expired.
    Expired { day: Date },
    /// It cannot be judged.
    Quarantine { reason: Cow<'static, str> },
}

/// Judges the records of one object.
#[derive(Debug, Clone)]
pub struct Judge {
    clock: ClockSource,
    time_column: String,
    earliest: i64,
    latest: i64,
    now: i64,
    period_start: Option<Timestamp>,
    expired_before: Option<Date>,
}

const YEAR_2000: i64 = 946_684_800_000_000;

impl Judge {
    /// A judge for an object of `period` under `rule` at `now`. The time column is spelled as the table spells it.
    pub fn new(rule: &Rule, time_column: Option<&str>, period: Option<Period>, intake: Intake, now: Timestamp) -> Self {
        let window = period.and_then(|period| rule.late_window.before(period.start));
        let earliest = window.map_or(YEAR_2000, |window| window.as_microsecond().max(YEAR_2000));
        Judge {
            clock: rule.clock,
            time_column: time_column.unwrap_or(&rule.time_column).to_owned(),
            earliest,
            latest: now.saturating_add(SignedDuration::from_hours(24)).map_or(i64::MAX, |limit| limit.as_microsecond()),
            now: now.as_microsecond(),
            period_start: period.map(|period| period.start),
            expired_before: intake.expired_before.filter(|_| !intake.stays_raw),
        }
    }

    /// The verdict on one record, whose members were scanned.
    pub fn judge(&self, record: &[u8], members: &[Member]) -> Judged {
        match self.clock {
            ClockSource::Arrival => self.row(self.now),
            ClockSource::Event => match self.event_time(record, members) {
                Ok(micros) => self.plausible(micros),
                Err(reason) => Judged::Quarantine { reason },
            },
        }
    }

    fn event_time(&self, record: &[u8], members: &[Member]) -> Result<i64, Cow<'static, str>> {
        let mut found = None;
        for member in members {
            let key = member.key.of(record);
            let same = if member.key_escaped {
                text::unescape(key).is_ok_and(|key| key == self.time_column.as_str())
            } else {
                key == self.time_column.as_bytes()
            };
            if same && found.replace(member).is_some() {
                return Err(format!("it has {} more than once", self.time_column).into());
            }
        }
        let member = found.ok_or_else(|| format!("it has no {}", self.time_column))?;
        if member.kind != ValueKind::String {
            return Err(format!("its {} is not a text", self.time_column).into());
        }
        let token = member.value.of(record);
        let spelled = token.get(1..token.len() - 1).unwrap_or_default();
        let text = text::unescape(spelled).map_err(|_| format!("its {} is not a time", self.time_column))?;
        let moment =
            time::parse(&text).ok_or_else(|| format!("its {} is not a time that is understood", self.time_column))?;
        if moment.ambiguous {
            return Err(format!("its {} does not tell the day from the month", self.time_column).into());
        }
        Ok(moment.micros)
    }

    fn plausible(&self, micros: i64) -> Judged {
        let reason: Cow<'static, str> = if micros > self.latest {
            format!("its {} lies more than a day in the future", self.time_column).into()
        } else if micros < YEAR_2000 {
            format!("its {} lies before the year 2000", self.time_column).into()
        } else if micros < self.earliest {
            let start = self.period_start.map_or_else(String::new, |start| format!(" ({start})"));
            format!("its {} lies further before its object's period{start} than late_window", self.time_column).into()
        } else {
            return self.row(micros);
        };
        Judged::Quarantine { reason }
    }

    fn row(&self, micros: i64) -> Judged {
        let Ok(time) = Timestamp::from_microsecond(micros) else {
            return Judged::Quarantine { reason: "its time lies outside the calendar".into() };
        };
        let day = time.to_zoned(TimeZone::UTC).date();
        match self.expired_before {
            Some(before) if day < before => Judged::Expired { day },
            _ => Judged::Row { day, micros },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::TableName;
    use crate::policy::{PolicyFile, PolicySet};
    use crate::record::members;

    fn rule(keys: &str) -> Rule {
        let text = format!("version = 1\n[[table]]\nname = \"T\"\nretain = \"30d\"\n{keys}");
        let files = vec![PolicyFile { name: "p.toml".into(), text }];
        PolicySet::from_files(files).unwrap().rule_for(&TableName::new("main", "T")).unwrap()
    }

    fn told(judge: &Judge, record: &str) -> String {
        let mut found = Vec::new();
        members(record.as_bytes(), &mut found).unwrap();
        match judge.judge(record.as_bytes(), &found) {
            Judged::Row { day, .. } => day.to_string(),
            Judged::Expired { day } => format!("{day} expired"),
            Judged::Quarantine { reason } => reason.into_owned(),
        }
    }

    fn judge(keys: &str) -> Judge {
        judge_of(keys, Intake::default())
    }

    fn judge_of(keys: &str, intake: Intake) -> Judge {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let period = Period { start: at("2024-03-05T10:00:00Z"), end: at("2024-03-05T11:00:00Z") };
        Judge::new(&rule(keys), None, Some(period), intake, at("2024-03-10T12:00:00Z"))
    }

    #[test]
    fn a_time_gives_a_utc_day_or_a_reason() {
        let judge = judge("late_window = \"30d\"");
        for (time, expected) in [
            ("\"2024-03-05T23:59:59.9999999Z\"", "2024-03-05"),
            ("\"2024-03-05T23:30:00-01:00\"", "2024-03-06"),
            // A day ahead of now, to the microsecond.
            ("\"2024-03-11T12:00:00Z\"", "2024-03-11"),
            ("\"2024-03-11T12:00:00.000001Z\"", "its TimeGenerated lies more than a day in the future"),
            // 30 days before the period's start.
            ("\"2024-02-04T10:00:00Z\"", "2024-02-04"),
            (
                "\"2024-02-04T09:59:59Z\"",
                "its TimeGenerated lies further before its object's period (2024-03-05T10:00:00Z) than late_window",
            ),
            ("\"1999-12-31T23:59:59Z\"", "its TimeGenerated lies before the year 2000"),
            ("\"9999-12-31T23:59:59.999999Z\"", "its TimeGenerated lies more than a day in the future"),
            ("\"01/02/2024 10:00:00\"", "its TimeGenerated does not tell the day from the month"),
            ("\"yesterday\"", "its TimeGenerated is not a time that is understood"),
            ("1709632800", "its TimeGenerated is not a text"),
            ("null", "its TimeGenerated is not a text"),
        ] {
            assert_eq!(told(&judge, &format!("{{\"a\":1,\"TimeGenerated\":{time}}}")), expected, "{time}");
        }
    }

    #[test]
    fn the_name_is_exact_and_stands_once() {
        let judge = judge("");
        assert_eq!(told(&judge, r#"{"timegenerated":"2024-03-05T10:00:00Z"}"#), "it has no TimeGenerated");
        assert_eq!(told(&judge, r#"{"Time\u0047enerated":"2024-03-05T10:00:00Z"}"#), "2024-03-05");
        let twice = r#"{"TimeGenerated":"2024-03-05T10:00:00Z","TimeGenerated":"2024-03-05T10:00:00Z"}"#;
        assert_eq!(told(&judge, twice), "it has TimeGenerated more than once");
        assert_eq!(told(&judge, "{}"), "it has no TimeGenerated");
    }

    #[test]
    fn by_arrival_any_record_has_the_day_of_the_run() {
        assert_eq!(told(&judge("clock = \"arrival\""), "{}"), "2024-03-10");
    }

    /// I3: plausibility comes first: a wrong time expires nothing.
    #[test]
    fn only_a_plausible_time_can_be_expired_on_arrival() {
        let expired_before = Some("2024-03-01".parse().unwrap());
        let time = |time: &str| format!("{{\"TimeGenerated\":\"{time}\"}}");
        let judge = judge_of("late_window = \"30d\"", Intake { expired_before, ..Intake::default() });
        for (text, expected) in [
            ("2024-03-01T00:00:00Z", "2024-03-01"),
            ("2024-02-29T23:59:59.999999Z", "2024-02-29 expired"),
            ("2024-03-01T00:30:00+01:00", "2024-02-29 expired"),
            ("2024-02-04T10:00:00Z", "2024-02-04 expired"),
            (
                "2024-02-04T09:59:59Z",
                "its TimeGenerated lies further before its object's period (2024-03-05T10:00:00Z) than late_window",
            ),
            ("1999-12-31T23:59:59Z", "its TimeGenerated lies before the year 2000"),
            ("01/02/2024 10:00:00", "its TimeGenerated does not tell the day from the month"),
        ] {
            assert_eq!(told(&judge, &time(text)), expected, "{text}");
        }
        // What stays raw goes with its object, not before.
        let judge = judge_of("", Intake { stays_raw: true, expired_before });
        assert_eq!(told(&judge, &time("2024-02-29T00:00:00Z")), "2024-02-29");
    }

    /// I3: without a period or a window nothing is too old but what lies before 2000.
    #[test]
    fn a_window_without_end_lets_the_past_in() {
        let judge = judge("late_window = \"forever\"");
        assert_eq!(told(&judge, r#"{"TimeGenerated":"2000-01-01T00:00:00Z"}"#), "2000-01-01");
    }
}
