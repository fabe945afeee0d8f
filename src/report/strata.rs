//! Each table as layers of days: what lies raw, stands archived, is retired, was destroyed, waits in quarantine. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;
use serde::Serialize;

use crate::explain::Past;
use crate::ledger::{Keeping, ObjectId, Why};
use crate::names::TableName;
use crate::pipeline::Looked;
use crate::plan::Act;
use crate::policy::day_of;

/// So much of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    pub files: u64,
    /// As far as they were counted.
    pub rows: u64,
    pub bytes: u64,
    /// Of `bytes` so many are of raw objects that nobody read yet, so that their rows are not counted.
    #[serde(skip_serializing_if = "is_zero")]
    pub unread_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

impl Volume {
    pub fn is_empty(&self) -> bool {
        self.files == 0
    }

    pub fn add(&mut self, other: &Volume) {
        self.files += other.files;
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.unread_bytes += other.unread_bytes;
    }

    /// One file.
    fn file(rows: u64, bytes: u64) -> Self {
        Volume { files: 1, rows, bytes, unread_bytes: 0 }
    }
}

/// The layers, the newest on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Raw objects whose records stand nowhere else: not archived yet, or left raw by rule.
    Raw,
    /// Segments in the table.
    Archived,
    /// Segments out of the table that can still be put back.
    Retired,
    /// Gone, because it had expired.
    Destroyed,
    /// What cannot be judged, by the day of its arrival.
    Quarantined,
}

impl Layer {
    pub const ALL: [Layer; 5] = [Layer::Raw, Layer::Archived, Layer::Retired, Layer::Destroyed, Layer::Quarantined];

    /// The word for it, as JSON spells it.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Raw => "raw",
            Layer::Archived => "archived",
            Layer::Retired => "retired",
            Layer::Destroyed => "destroyed",
            Layer::Quarantined => "quarantined",
        }
    }
}

/// One day of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stratum {
    #[serde(skip_serializing_if = "Volume::is_empty")]
    pub raw: Volume,
    #[serde(skip_serializing_if = "Volume::is_empty")]
    pub archived: Volume,
    #[serde(skip_serializing_if = "Volume::is_empty")]
    pub retired: Volume,
    #[serde(skip_serializing_if = "Volume::is_empty")]
    pub destroyed: Volume,
    #[serde(skip_serializing_if = "Volume::is_empty")]
    pub quarantined: Volume,
}

impl Stratum {
    pub fn layer(&self, layer: Layer) -> &Volume {
        match layer {
            Layer::Raw => &self.raw,
            Layer::Archived => &self.archived,
            Layer::Retired => &self.retired,
            Layer::Destroyed => &self.destroyed,
            Layer::Quarantined => &self.quarantined,
        }
    }

    pub fn add(&mut self, other: &Stratum) {
        self.raw.add(&other.raw);
        self.archived.add(&other.archived);
        self.retired.add(&other.retired);
        self.destroyed.add(&other.destroyed);
        self.quarantined.add(&other.quarantined);
    }

    /// Records of that day are or were here; what arrived on it and cannot be judged may be of any day.
    pub fn holds_records(&self) -> bool {
        [Layer::Raw, Layer::Archived, Layer::Retired, Layer::Destroyed].iter().any(|one| !self.layer(*one).is_empty())
    }
}

/// All of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strata {
    pub days: BTreeMap<Date, Stratum>,
    /// Raw objects that are archived and still lie in their source: the same records once more, in no layer.
    pub copies: Volume,
    /// Raw objects that were not archived or read yet; of the raw layer.
    pub waiting: Volume,
    /// Quarantine that was destroyed: of which days its records were was never known, so that it is in no layer.
    pub quarantine_gone: Volume,
}

impl Strata {
    /// All days together.
    pub fn sum(&self) -> Stratum {
        let mut sum = Stratum::default();
        self.days.values().for_each(|day| sum.add(day));
        sum
    }

    /// Days that have something in a layer.
    pub fn days_of(&self, layer: Layer) -> impl Iterator<Item = Date> {
        self.days.iter().filter(move |(_, day)| !day.layer(layer).is_empty()).map(|(day, _)| *day)
    }
}

/// The layers of every table that the ledger or a source knows. Without `past` nothing is known to be destroyed.
pub fn strata(looked: &Looked, past: Option<&Past>) -> BTreeMap<TableName, Strata> {
    let mut found = Found::default();
    let state = looked.chain.state();
    for known in state.tables.values() {
        found.of(&known.name);
        for (segment, _) in known.segments.values() {
            let volume = Volume::file(segment.digest.rows, segment.bytes);
            found.day(&known.name, segment.day).archived.add(&volume);
        }
        // What a merge or an erasure wrote anew stands in another segment.
        for one in known.retired.values().filter(|one| matches!(one.why, Why::Expired(_) | Why::Foreign)) {
            let volume = Volume::file(one.segment.digest.rows, one.segment.bytes);
            found.day(&known.name, one.segment.day).retired.add(&volume);
        }
    }
    for one in &state.quarantine {
        found.of(&one.file.table);
        if !one.retried {
            let volume = Volume::file(one.file.records, one.file.bytes);
            found.day(&one.file.table, day_of(one.at)).quarantined.add(&volume);
        }
    }
    raw(looked, &mut found);
    for (table, past) in past.iter().flat_map(|past| &past.tables) {
        for ((keeping, day), lost) in &past.lost {
            let volume = Volume { files: lost.files, rows: lost.rows, bytes: lost.bytes, unread_bytes: 0 };
            match keeping {
                Keeping::Archive | Keeping::Raw => found.day(table, *day).destroyed.add(&volume),
                Keeping::Quarantine => found.of(table).quarantine_gone.add(&volume),
            }
        }
    }
    found.tables.into_iter().collect()
}

/// Raw objects: those that wait, those that stay raw by rule, and copies of what is archived.
fn raw(looked: &Looked, found: &mut Found) {
    let state = looked.chain.state();
    let mut waiting = HashSet::new();
    for one in &looked.document.objects {
        let id = ObjectId { source: one.source.clone(), path: one.path.clone() };
        let known = state.objects.get(&id).filter(|known| !known.cleared);
        let as_read = known.is_some_and(|known| known.outcome.size == one.bytes);
        let waits = match one.act {
            Act::Archive | Act::Read => true,
            Act::Clear => false,
            Act::Keep => !as_read,
        };
        let stays = known.is_some_and(|known| known.outcome.last_day.is_some());
        if waits {
            let read = known.filter(|known| known.outcome.last_day.is_none()).map_or(0, |known| known.outcome.resume);
            let bytes = one.bytes.saturating_sub(read);
            let volume = Volume { files: 1, rows: 0, bytes, unread_bytes: bytes };
            found.of(&one.table).waiting.add(&volume);
            if let Some(day) = one.day {
                found.day(&one.table, day).raw.add(&volume);
            }
            waiting.insert(id);
        } else if !stays {
            let rows = known.map_or(0, |known| known.counts.archived);
            found.of(&one.table).copies.add(&Volume::file(rows, one.bytes));
        }
    }
    for (_, known) in state.objects.iter().filter(|(id, known)| !known.cleared && !waiting.contains(*id)) {
        if let Some(day) = known.outcome.last_day {
            let volume = Volume::file(known.counts.raw, known.outcome.size);
            found.day(&known.outcome.table, day).raw.add(&volume);
        } else {
            found.of(&known.outcome.table);
        }
    }
}

/// By hash: there may be a million raw objects, and names are compared without regard to case.
#[derive(Default)]
struct Found {
    tables: HashMap<TableName, Strata>,
}

impl Found {
    /// In the spelling of first sight: the ledger's, where it knows the table.
    fn of(&mut self, table: &TableName) -> &mut Strata {
        self.tables.entry(table.clone()).or_default()
    }

    fn day(&mut self, table: &TableName, day: Date) -> &mut Stratum {
        self.of(table).days.entry(day).or_default()
    }
}
