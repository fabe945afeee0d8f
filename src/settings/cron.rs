//! Cron lines: five fields, weekdays by name. Checked here, obeyed by `schedule`.
//!
//! Cron dialects disagree on what weekday 1 is and on seconds; so numbers for weekdays and six fields are mistakes, and
//! so is a date that never comes.

use super::diagnose::Problem;

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const MONTH_DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const EXAMPLE: &str =
    "five fields: minute, hour, day of month, month, weekday, like \"0 2 * * *\" or \"30 22 * * SUN\"";

/// A field: its name, its numbers, and the names that stand for numbers from the least on.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
    by_name_only: bool,
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[], by_name_only: false },
    Field { name: "hour", least: 0, most: 23, names: &[], by_name_only: false },
    Field { name: "day of month", least: 1, most: 31, names: &[], by_name_only: false },
    Field { name: "month", least: 1, most: 12, names: &MONTHS, by_name_only: false },
    Field { name: "weekday", least: 0, most: 6, names: &WEEKDAYS, by_name_only: true },
];

/// Accepts a cron line and returns it with single spaces.
pub fn cron(text: &str) -> Result<String, Problem> {
    let problem = |reason: String| Problem::new(format!("`{text}` is not a cron line: {reason}"), "not a cron line");
    let written: Vec<&str> = text.split_whitespace().collect();
    if written.len() != FIELDS.len() {
        let hint = if text.starts_with('@') { "write it out" } else { "no seconds, no years" };
        return Err(problem(format!("not 5 fields but {}", written.len())).with_hint(format!("{hint}; {EXAMPLE}")));
    }
    let mut masks = [0u64; 5];
    for ((field, text), mask) in FIELDS.iter().zip(&written).zip(&mut masks) {
        for item in text.split(',') {
            let hint = if field.by_name_only {
                "weekdays by name: MON, MON-FRI or *; the week starts on SUN, so a weekend is SAT,SUN"
            } else {
                EXAMPLE
            };
            *mask |= field.numbers(item).map_err(|reason| problem(reason).with_hint(hint))?;
        }
    }
    let [_, _, days, months, _] = masks;
    let comes = (1..=12u32)
        .zip(MONTH_DAYS)
        .any(|(month, length)| months & (1 << month) != 0 && (1..=length).any(|day| days & (1 << day) != 0));
    if !comes {
        return Err(problem("its date never comes".into()).with_hint("no such month has such a day"));
    }
    Ok(written.join(" "))
}

impl Field {
    /// The numbers an item stands for, as bits: `*`, `7`, `1-5`, with `/n` every n-th of them.
    fn numbers(&self, item: &str) -> Result<u64, String> {
        let wrong = || format!("`{item}` is no {}", self.name);
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|step| *step > 0).ok_or_else(wrong)?),
            None => (item, 1),
        };
        let (from, to) = if range == "*" {
            (self.least, self.most)
        } else if let Some((from, to)) = range.split_once('-') {
            (self.number(from).ok_or_else(wrong)?, self.number(to).ok_or_else(wrong)?)
        } else {
            let number = self.number(range).ok_or_else(wrong)?;
            // Dialects disagree on what `5/10` is.
            if item.contains('/') {
                return Err(format!("`{item}` has a step but no range"));
            }
            (number, number)
        };
        if from > to {
            return Err(format!("`{item}` runs backwards"));
        }
        let step = usize::try_from(step).map_err(|_| wrong())?;
        Ok((from..=to).step_by(step).fold(0, |mask, number| mask | 1 << number))
    }

    fn number(&self, text: &str) -> Option<u32> {
        if let Some(index) = self.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return u32::try_from(index).ok().map(|index| index + self.least);
        }
        if self.by_name_only || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().filter(|number| (self.least..=self.most).contains(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_five_fields() {
        let lines =
            ["0 2 * * *", "*/15 * * * *", "0 0 1 JAN *", "30 22 * * SUN", "0 6-18/2 1,15 * mon-fri", "0 0 29 2 *"];
        for line in lines {
            assert_eq!(cron(line), Ok(line.to_owned()));
        }
        assert_eq!(cron("  0   2 * * * "), Ok("0 2 * * *".to_owned()));
    }

    #[test]
    fn refuses_the_rest() {
        let lines = [
            "",
            "@daily",
            "0 2 * *",
            "0 0 2 * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 13 *",
            "0 2 * * 1",
            "0 2 * * MON-5",
            "0 2 * * Monday",
            "5/10 * * * *",
            "*/0 * * * *",
            "18-6 * * * *",
            "-1 * * * *",
            "0 0 30 2 *",
            "0 0 31 4,6,9,11 *",
            "0 0 30 FEB *",
            "1, * * * *",
            "+1 * * * *",
            "0 0 * * FRI-MON",
            "0 0 L * *",
        ];
        for line in lines {
            assert!(cron(line).is_err(), "{line}");
        }
    }
}
