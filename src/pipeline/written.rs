//! What came of a batch: what it wrote, or why it stopped.

use crate::archive::schema::TableSchema;
use crate::archive::survey::Survey;
use crate::error::Error;
use crate::ledger::{Counts, ObjectId, ObjectOutcome, QuarantineFile, Segment};
use crate::record::SetDigest;

/// Everything a batch wrote, before it is promised.
#[derive(Debug)]
pub struct Written {
    pub schema: TableSchema,
    pub segments: Vec<Segment>,
    pub digest: SetDigest,
    pub counts: Counts,
    pub outcomes: Vec<ObjectOutcome>,
    pub quarantine: Option<QuarantineFile>,
    /// Objects that could not be read; nothing of them is in the batch.
    pub failed: Vec<Error>,
}

/// Why a batch stopped.
#[derive(Debug)]
pub enum Stopped {
    /// This object must be left out; then the batch can begin again.
    Object(ObjectId, Box<Error>),
    /// The type of a new column was decided before all values were seen, and does not hold them; the batch can begin again
    /// with what was seen of all of it.
    Types {
        column: String,
        survey: Survey,
    },
    Failed(Box<Error>),
}

impl Stopped {
    pub fn object(id: &ObjectId, error: Error) -> Self {
        Stopped::Object(id.clone(), Box::new(error))
    }
}

/// Why a batch begins again after [`Stopped::Types`].
pub fn misjudged(column: &str) -> String {
    format!("a later value showed the type of column `{column}` to be too narrow: it is decided again over all values")
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Stopped::Failed(Box::new(error))
    }
}
