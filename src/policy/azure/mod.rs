//! Azure's words for retention, and only here: Log Analytics' Tables API read and written.
//!
//! `totalRetentionInDays` is `retain`, and so is `retentionInDays` where it stands alone; where both stand, the shorter
//! one says how long Azure lets people search, which is no retention and never becomes `archive_after`. `days` has the
//! values that Azure takes, `request` the request line, `read` what files hold, `import` the policy file they become,
//! `export` the way back. Pure: text in, text out; what Azure would refuse is a mistake here, never rounded in silence.

mod days;
mod export;
mod import;
mod read;
mod request;

use serde::Serialize;

pub use days::{INTERACTIVE, LONG_TOTALS, nearest_total, total_is_allowed};
pub use export::{Choice, Exported, Request, Unexported, export};
pub use import::{ByDefault, Imported, ImportedRule, import};

/// How a request treats what it leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Set to Azure's default.
    Put,
    /// Kept as it is.
    Patch,
}

impl Method {
    /// As in a request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Put => "PUT",
            Method::Patch => "PATCH",
        }
    }
}
