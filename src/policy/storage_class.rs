//! How dear it is to keep segments, and how soon they can be read: `storage_class`, in words that all clouds share.
//!
//! Only classes that are read at once: a segment is read back before its raw objects may go, and searched for years.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::settings::diagnose::Problem;

/// Where new segments of a table go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StorageClass {
    /// The dearest to keep, the cheapest to read.
    Standard,
    /// Cheaper to keep, paid for by the read; kept for 30 days at least.
    Cool,
    /// Cheaper still; kept for 90 days at least.
    Cold,
}

impl StorageClass {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "standard" => Ok(StorageClass::Standard),
            "cool" => Ok(StorageClass::Cool),
            "cold" => Ok(StorageClass::Cold),
            "archive" | "glacier" | "deep-archive" => Err(Problem::new(
                format!("`{text}` cannot be read at once"),
                "not readable",
            )
            .with_hint(
                "segments are read back when they are written, searched and verified later: \"cold\" is the cheapest \
                     class that can be",
            )),
            other => {
                let hint = match other.to_ascii_lowercase().as_str() {
                    "hot" => "did you mean \"standard\"?",
                    "standard_ia" | "nearline" | "ia" => "did you mean \"cool\"?",
                    "glacier_ir" | "coldline" => "did you mean \"cold\"?",
                    _ => "\"standard\", \"cool\" or \"cold\"; each cloud has its own name for them",
                };
                Err(Problem::new(format!("unknown storage class `{other}`"), "not a class").with_hint(hint))
            }
        }
    }

    /// What the cloud of a URL's scheme calls it; none: a local disk has no classes.
    pub fn name_in(self, scheme: &str) -> Option<&'static str> {
        let names = match scheme {
            "s3" => ["STANDARD", "STANDARD_IA", "GLACIER_IR"],
            "az" | "abfss" => ["Hot", "Cool", "Cold"],
            "gs" => ["STANDARD", "NEARLINE", "COLDLINE"],
            _ => return None,
        };
        Some(names[self as usize])
    }

    /// Days that are paid for even if a segment is deleted before.
    pub fn least_days(self) -> u32 {
        match self {
            StorageClass::Standard => 0,
            StorageClass::Cool => 30,
            StorageClass::Cold => 90,
        }
    }
}

impl fmt::Display for StorageClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StorageClass::Standard => "standard",
            StorageClass::Cool => "cool",
            StorageClass::Cold => "cold",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_a_name_in_each_cloud_and_reads_at_once() {
        for class in [StorageClass::Standard, StorageClass::Cool, StorageClass::Cold] {
            assert_eq!(StorageClass::parse(&class.to_string()), Ok(class));
            for scheme in ["s3", "az", "abfss", "gs"] {
                assert!(class.name_in(scheme).is_some_and(|name| !name.contains("DEEP")), "{class} {scheme}");
            }
            assert_eq!(class.name_in("file"), None);
        }
        for text in ["archive", "GLACIER_IR", "hot", ""] {
            assert!(StorageClass::parse(text).is_err(), "{text}");
        }
    }
}
