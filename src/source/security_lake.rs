//! The paths of Amazon Security Lake: events in the Open Cybersecurity Schema (OCSF), as Parquet.
//!
//! ```text
//! aws/<source>/[<version>/]region=<region>/accountId=<account>/eventDay=YYYYMMDD/<name>.parquet
//! ext/<source>/[<version>/]region=<region>/accountId=<account>/eventDay=YYYYMMDD/<name>.parquet
//! ```
//! `ext` holds sources that customers bring. Each source is a table; the folder is the day of the events, so that late
//! ones reopen it.

use jiff::ToSpan;

use super::azure_export::strip_prefix;
use super::layout::{Period, Seen, moment};

/// What a path below the bucket says; `None` if it is no file of events.
pub(super) fn read(path: &str) -> Option<Seen> {
    let segments: Vec<&str> = path.split('/').collect();
    let ["aws" | "ext", source, below @ ..] = &segments[..] else { return None };
    let below = match below {
        [version, below @ ..] if version.starts_with(|first: char| first.is_ascii_digit()) => below,
        below => below,
    };
    let [region, account, day, file] = below else { return None };
    let filled = |segment: &str, key: &str| strip_prefix(segment, key).is_some_and(|value| !value.is_empty());
    if !filled(region, "region=") || !filled(account, "accountId=") || !file.ends_with(".parquet") {
        return None;
    }
    let day =
        strip_prefix(day, "eventDay=").filter(|day| day.len() == 8 && day.bytes().all(|byte| byte.is_ascii_digit()))?;
    let number = |from: usize, to: usize| day[from..to].parse().ok();
    let start = moment(number(0, 4)?, number(4, 6)?, number(6, 8)?, 0, 0).ok()?;
    Some(Seen { table: (*source).to_owned(), period: Some(Period::from(start, 1.day()).ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_is_a_table_by_day() {
        for (path, table) in [
            (
                "aws/CLOUD_TRAIL_MGMT/2.0/region=us-east-1/accountId=218007301253/eventDay=20240229/a.gz.parquet",
                "CLOUD_TRAIL_MGMT",
            ),
            ("aws/VPC_FLOW/1.0/region=us-east-1/accountId=218007301253/eventDay=20240229/a.parquet", "VPC_FLOW"),
            ("ext/my-firewall/region=us-east-1/accountId=218007301253/eventDay=20240229/a.gz.parquet", "my-firewall"),
        ] {
            let seen = read(path).unwrap();
            let period = seen.period.unwrap();
            assert_eq!(seen.table, table);
            assert_eq!(format!("{}/{}", period.start, period.end), "2024-02-29T00:00:00Z/2024-03-01T00:00:00Z");
        }
    }

    #[test]
    fn anything_else_is_a_stranger() {
        for path in [
            "aws/VPC_FLOW/1.0/region=r/accountId=1/eventDay=20240230/a.parquet",
            "aws/VPC_FLOW/1.0/region=r/accountId=1/eventDay=2024022/a.parquet",
            "aws/VPC_FLOW/1.0/region=r/accountId=1/eventDay=+2024022/a.parquet",
            "aws/VPC_FLOW/1.0/region=r/accountId=1/eventDay=20240229/metadata.json",
            "aws/VPC_FLOW/1.0/region=/accountId=1/eventDay=20240229/a.parquet",
            "aws/VPC_FLOW/v/w/region=r/accountId=1/eventDay=20240229/a.parquet",
            "metadata/VPC_FLOW/1.0/region=r/accountId=1/eventDay=20240229/a.parquet",
            "aws",
            "",
        ] {
            assert_eq!(read(path), None, "{path}");
        }
    }
}
