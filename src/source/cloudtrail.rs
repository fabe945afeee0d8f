//! The paths of AWS CloudTrail.
//!
//! ```text
//! [<prefix>/]AWSLogs/[<organisation>/]<account>/CloudTrail/<region>/YYYY/MM/DD/<account>_CloudTrail_<region>_<time>_<id>.json.gz
//! ```
//! All accounts and regions are one table, `CloudTrail`: each record names both. The folder is the day of delivery, a
//! few minutes after the event. Digests and insights lie beside it under names of their own and are strangers.

use jiff::ToSpan;

use super::layout::{Period, Seen, moment};

/// What a path below the bucket says; `None` if it is no file of events.
pub(super) fn read(path: &str) -> Option<Seen> {
    let segments: Vec<&str> = path.split('/').collect();
    let at = segments.iter().rposition(|segment| *segment == "AWSLogs")?;
    let below = match &segments[at + 1..] {
        [organisation, below @ ..] if organisation.starts_with("o-") => below,
        below => below,
    };
    let [account, "CloudTrail", region, year, month, day, file] = below else { return None };
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    if !is_account || region.is_empty() || !(file.ends_with(".json.gz") || file.ends_with(".json")) {
        return None;
    }
    let start = moment(number(year, 4)?, number(month, 2)?, number(day, 2)?, 0, 0).ok()?;
    Some(Seen { table: "CloudTrail".to_owned(), period: Some(Period::from(start, 1.day()).ok()?) })
}

fn number(text: &str, digits: usize) -> Option<u16> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "218007301253_CloudTrail_us-east-1_20230710T1145Z_7xgocspSowgK0Gto.json.gz";

    #[test]
    fn events_of_all_accounts_and_regions_are_one_table() {
        for folder in [
            "AWSLogs/218007301253/CloudTrail/us-east-1/2023/07/10",
            "AWSLogs/o-a1b2c3d4e5/218007301253/CloudTrail/eu-central-1/2023/07/10",
            "a/prefix/AWSLogs/218007301253/CloudTrail/us-east-1/2023/07/10",
        ] {
            let seen = read(&format!("{folder}/{FILE}")).unwrap();
            let period = seen.period.unwrap();
            assert_eq!(seen.table, "CloudTrail");
            assert_eq!(format!("{}/{}", period.start, period.end), "2023-07-10T00:00:00Z/2023-07-11T00:00:00Z");
        }
    }

    #[test]
    fn digests_insights_and_all_else_are_strangers() {
        for path in [
            "AWSLogs/218007301253/CloudTrail-Digest/us-east-1/2023/07/10/d.json.gz",
            "AWSLogs/218007301253/CloudTrail-Insight/us-east-1/2023/07/10/i.json.gz",
            "AWSLogs/218007301253/Config/us-east-1/2023/07/10/c.json.gz",
            "AWSLogs/218007301253/CloudTrail/us-east-1/2023/02/30/c.json.gz",
            "AWSLogs/218007301253/CloudTrail/us-east-1/2023/7/10/c.json.gz",
            "AWSLogs/218007301253/CloudTrail/us-east-1/2023/07/10/more/c.json.gz",
            "AWSLogs/218007301253/CloudTrail/us-east-1/2023/07/10/c.txt",
            "AWSLogs/CloudTrail/us-east-1/2023/07/10/c.json.gz",
            "218007301253/CloudTrail/us-east-1/2023/07/10/c.json.gz",
            "",
        ] {
            assert_eq!(read(path), None, "{path}");
        }
    }
}
