//! What a bucket says of itself: versions, lifecycle rules, locks, soft delete, and where these contradict what an archive
//! needs.
//!
//! Only read here. What may not be read is said, never assumed to be harmless (I7).

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::direct::Answer;
use super::store::Store;
use crate::error::{Error, Kind, Result};

/// What could be read of a bucket's own rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Overwritten and deleted objects live on as versions.
    pub versioned: Option<bool>,
    pub lifecycle: Vec<LifecycleRule>,
    /// Objects can be locked; days of the default retention, if there is one.
    pub lock: Option<Lock>,
    /// Deleted blobs can be brought back for so many days (Azure).
    pub soft_delete_days: Option<u32>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// Each new object is locked so, whoever writes it.
    pub default_retention: Option<String>,
}

/// An enabled rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LifecycleRule {
    pub id: String,
    /// Of the names in the bucket.
    pub prefix: String,
    /// When objects are deleted, in words.
    pub expires: Option<String>,
    /// To which classes they move.
    pub moves_to: Vec<String>,
}

/// What a store is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Archive,
    Ledger,
    Source,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Archive => "archive",
            Role::Ledger => "ledger",
            Role::Source => "source",
        })
    }
}

/// A rule of the bucket that policy and Holdfast cannot live with, or that an admin should know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contradiction {
    /// False: only to be known.
    pub grave: bool,
    pub what: String,
    pub next: String,
}

impl Bucket {
    /// Asks the store's bucket. What it refuses to tell stands in [`Bucket::unread`].
    pub fn read(store: &Store) -> Result<Bucket> {
        let mut bucket = Bucket::default();
        if store.url().scheme() == "s3" {
            if let Some(status) = ask::<Versioning>(store, "versioning", &[], &mut bucket)? {
                bucket.versioned = Some(status.status.is_some());
            }
            let none = ["NoSuchLifecycleConfiguration"];
            if let Some(rules) = ask::<Lifecycle>(store, "lifecycle", &none, &mut bucket)? {
                bucket.lifecycle = rules.rules.into_iter().filter_map(Rule::enabled).collect();
            }
            let none = ["ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration"];
            if let Some(lock) = ask::<LockAnswer>(store, "object-lock", &none, &mut bucket)? {
                bucket.lock = lock.enabled.is_some().then(|| Lock {
                    default_retention: lock.rule.and_then(|rule| rule.default).map(DefaultRetention::in_words),
                });
            }
        } else if matches!(store.url().scheme(), "az" | "abfss")
            && let Some(service) = ask::<AzureService>(store, "restype=service&comp=properties", &[], &mut bucket)?
        {
            let policy = service.delete.filter(|policy| policy.enabled);
            bucket.soft_delete_days = policy.map(|policy| policy.days.unwrap_or(0));
            bucket.versioned = service.versioned;
        }
        Ok(bucket)
    }

    /// Whether the bucket keeps versions of what is deleted. Only S3's have to be deleted one by one.
    pub(super) fn read_versioned(store: &Store) -> Result<bool> {
        if store.url().scheme() != "s3" {
            return Ok(false);
        }
        let mut bucket = Bucket::default();
        let status = ask::<Versioning>(store, "versioning", &[], &mut bucket)?;
        match bucket.unread.pop() {
            Some(why) => Err(Error::new(Kind::Store, format!("asking {} for its versions", store.url()), why)),
            None => Ok(status.is_some_and(|status| status.status.is_some())),
        }
    }

    /// What of it contradicts the use of the folder `prefix` (names in the bucket begin with it) as `role`.
    pub fn contradictions(&self, role: Role, prefix: &str) -> Vec<Contradiction> {
        let mut found = Vec::new();
        let mut say =
            |grave, what: String, next: &str| found.push(Contradiction { grave, what, next: next.to_owned() });
        for rule in self.lifecycle.iter().filter(|rule| overlap(&rule.prefix, prefix)) {
            let named = format!("lifecycle rule `{}` (prefix \"{}\")", rule.id, rule.prefix);
            if let Some(when) = &rule.expires {
                match role {
                    Role::Source => say(
                        false,
                        format!("{named} deletes raw logs {when}, archived or not"),
                        "make sure that it comes well after archive_after and keep_raw, or remove it and arm [delete] raw",
                    ),
                    _ => say(
                        true,
                        format!("{named} deletes what lies in the {role} {when}"),
                        "remove it, or give it a prefix beside the archive: only Holdfast may delete here",
                    ),
                }
            }
            for class in rule.moves_to.iter().filter(|class| role != Role::Source && !is_online(class)) {
                say(
                    true,
                    format!("{named} moves what lies in the {role} to {class}, where it cannot be read at once"),
                    "remove it: searches, restores and verify would fail",
                );
            }
        }
        if self.versioned == Some(true) && role == Role::Source {
            say(
                false,
                "the bucket keeps versions: clearing destroys the one that was read; what a collector overwrote before stays"
                    .into(),
                "add a lifecycle rule that expires noncurrent versions and expired delete markers of the source",
            );
        }
        if let Some(days) = self.soft_delete_days.filter(|_| role != Role::Source) {
            say(
                false,
                format!("soft delete is on: what is destroyed can be brought back for {days} days"),
                "count these days as part of purge_delay, or turn soft delete off for this account",
            );
        }
        if let Some(retention) = self.lock.as_ref().and_then(|lock| lock.default_retention.as_ref())
            && role != Role::Source
        {
            say(
                true,
                format!("the bucket locks every new object ({retention}): lease, Delta log and merged segments too"),
                "remove the default retention: merges, abandoned uploads and expiry could not delete what they must",
            );
        }
        found
    }
}

/// One of a bucket's answers, read; none: it has no such rule, or does not tell, which is noted.
fn ask<T: DeserializeOwned>(store: &Store, query: &str, none: &[&str], bucket: &mut Bucket) -> Result<Option<T>> {
    let Some(Answer { status, body }) = store.ask_bucket(query)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&body);
    if status.is_success() {
        match quick_xml::de::from_str(&text) {
            Ok(read) => return Ok(Some(read)),
            Err(error) => bucket.unread.push(format!("{query}: {error}")),
        }
    } else if !none.iter().any(|code| text.contains(code)) {
        bucket.unread.push(format!("{query}: the store answered {status}"));
    }
    Ok(None)
}

/// Whether objects of one prefix may lie below the other.
fn overlap(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// Whether what lies in a storage class can be read at once.
fn is_online(class: &str) -> bool {
    !matches!(class, "GLACIER" | "DEEP_ARCHIVE")
}

#[derive(Debug, Deserialize)]
struct Versioning {
    /// Once set it never goes again: suspended buckets keep their versions.
    #[serde(rename = "Status")]
    status: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Lifecycle {
    #[serde(rename = "Rule", default)]
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    #[serde(rename = "ID")]
    id: Option<String>,
    status: String,
    prefix: Option<String>,
    filter: Option<Filter>,
    expiration: Option<Expiration>,
    #[serde(rename = "Transition", default)]
    transitions: Vec<Transition>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    prefix: Option<String>,
    and: Option<Box<Filter>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Expiration {
    days: Option<u32>,
    date: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Transition {
    storage_class: String,
}

impl Rule {
    fn enabled(self) -> Option<LifecycleRule> {
        if self.status != "Enabled" {
            return None;
        }
        let filtered = self.filter.and_then(|filter| filter.prefix.or(filter.and.and_then(|and| and.prefix)));
        let expires = self.expiration.and_then(|expiration| match (expiration.days, expiration.date) {
            (Some(days), _) => Some(format!("after {days} days")),
            (None, Some(date)) => Some(format!("on {date}")),
            // Of delete markers only.
            (None, None) => None,
        });
        Some(LifecycleRule {
            id: self.id.unwrap_or_else(|| "without a name".into()),
            prefix: self.prefix.or(filtered).unwrap_or_default(),
            expires,
            moves_to: self.transitions.into_iter().map(|transition| transition.storage_class).collect(),
        })
    }
}

#[derive(Debug, Deserialize)]
struct LockAnswer {
    #[serde(rename = "ObjectLockEnabled")]
    enabled: Option<String>,
    #[serde(rename = "Rule")]
    rule: Option<LockRule>,
}

#[derive(Debug, Deserialize)]
struct LockRule {
    #[serde(rename = "DefaultRetention")]
    default: Option<DefaultRetention>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DefaultRetention {
    mode: Option<String>,
    days: Option<u32>,
    years: Option<u32>,
}

impl DefaultRetention {
    fn in_words(self) -> String {
        let mode = self.mode.unwrap_or_default().to_lowercase();
        match (self.years, self.days) {
            (Some(years), _) => format!("{mode}, {years} years"),
            (None, days) => format!("{mode}, {} days", days.unwrap_or(0)),
        }
    }
}

#[derive(Debug, Deserialize)]
struct AzureService {
    #[serde(rename = "DeleteRetentionPolicy")]
    delete: Option<AzureRetention>,
    #[serde(rename = "IsVersioningEnabled")]
    versioned: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AzureRetention {
    enabled: bool,
    days: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(xml: &str) -> Vec<LifecycleRule> {
        let read: Lifecycle = quick_xml::de::from_str(xml).unwrap();
        read.rules.into_iter().filter_map(Rule::enabled).collect()
    }

    #[test]
    fn a_rule_that_would_delete_the_archive_is_grave_whatever_its_form() {
        let xml = "<LifecycleConfiguration><Rule><ID>all</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>\
                   <Expiration><Days>30</Days></Expiration></Rule>\
                   <Rule><ID>old</ID><Prefix>hf/led</Prefix><Status>Enabled</Status><Expiration><Date>2030-01-01</Date>\
                   </Expiration></Rule>\
                   <Rule><ID>and</ID><Status>Enabled</Status><Filter><And><Prefix>hf/</Prefix><Tag/></And></Filter>\
                   <Transition><Days>1</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition></Rule>\
                   <Rule><ID>beside</ID><Status>Enabled</Status><Filter><Prefix>raw/</Prefix></Filter>\
                   <Expiration><Days>1</Days></Expiration></Rule>\
                   <Rule><ID>off</ID><Status>Disabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule>\
                   </LifecycleConfiguration>";
        let bucket = Bucket { lifecycle: rules(xml), ..Bucket::default() };
        let told: Vec<String> = bucket
            .contradictions(Role::Archive, "hf/")
            .into_iter()
            .map(|it| format!("{} {}", it.grave, it.what))
            .collect();
        assert_eq!(
            told,
            [
                "true lifecycle rule `all` (prefix \"\") deletes what lies in the archive after 30 days",
                "true lifecycle rule `old` (prefix \"hf/led\") deletes what lies in the archive on 2030-01-01",
                "true lifecycle rule `and` (prefix \"hf/\") moves what lies in the archive to DEEP_ARCHIVE, where it cannot \
                 be read at once",
            ]
        );
        assert!(bucket.contradictions(Role::Source, "raw/").iter().all(|it| !it.grave));
        assert_eq!(bucket.contradictions(Role::Source, "elsewhere/").len(), 1, "the one for all");
    }

    #[test]
    fn a_default_retention_is_refused_and_told_as_written() {
        let xml = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                   <Mode>GOVERNANCE</Mode><Days>30</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        let read: LockAnswer = quick_xml::de::from_str(xml).unwrap();
        let lock = Lock { default_retention: read.rule.and_then(|rule| rule.default).map(DefaultRetention::in_words) };
        assert_eq!(lock.default_retention.as_deref(), Some("governance, 30 days"));
        let bucket = Bucket { lock: Some(lock), ..Bucket::default() };
        assert!(bucket.contradictions(Role::Ledger, "x/")[0].grave);
        assert!(Bucket::default().contradictions(Role::Ledger, "x/").is_empty());
    }

    #[test]
    fn versions_and_soft_delete_are_told() {
        let bucket = Bucket { versioned: Some(true), soft_delete_days: Some(7), ..Bucket::default() };
        assert_eq!(bucket.contradictions(Role::Source, "").len(), 1);
        assert!(bucket.contradictions(Role::Archive, "")[0].what.contains("7 days"));
        let xml = "<StorageServiceProperties><DeleteRetentionPolicy><Enabled>true</Enabled><Days>5</Days>\
                   </DeleteRetentionPolicy></StorageServiceProperties>";
        let read: AzureService = quick_xml::de::from_str(xml).unwrap();
        assert_eq!(read.delete.and_then(|policy| policy.days), Some(5));
    }
}
