//! A table's name: `<workspace>/<table>`, compared without regard to case, kept in the spelling first given.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// `main/SecurityEvent`. Equality, order and hash ignore case (Azure's containers are lower case).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableName {
    pub workspace: String,
    pub table: String,
}

impl TableName {
    pub fn new(workspace: impl Into<String>, table: impl Into<String>) -> Self {
        TableName { workspace: workspace.into(), table: table.into() }
    }

    /// True if `name` can stand in a path as a workspace or table: ASCII letters, digits, `_`, `-`, `.`, and not hidden.
    pub fn is_valid_part(name: &str) -> bool {
        !name.is_empty()
            && name.len() <= 200
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    }

    /// Parses `workspace/Table`, or `Table` in workspace `main`.
    pub fn parse(text: &str) -> Option<Self> {
        let (workspace, table) = text.split_once('/').unwrap_or(("main", text));
        (Self::is_valid_part(workspace) && Self::is_valid_part(table)).then(|| Self::new(workspace, table))
    }

    /// The form two spellings of one name share; map keys on disk use it.
    pub fn key(&self) -> String {
        format!("{}/{}", self.workspace.to_lowercase(), self.table.to_lowercase())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.table)
    }
}

impl PartialEq for TableName {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for TableName {}
impl Hash for TableName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
impl PartialOrd for TableName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for TableName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
