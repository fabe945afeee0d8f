//! Opening the tables of a query, with their raw records where these were asked for; and what of each was searched.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path;

use super::answer::{Coverage, RawIncluded, TableAnswer};
use super::names::Words;
use super::query::Site;
use super::raw::RawRows;
use super::table::{ArchiveTable, own_fields};
use super::unseen::{Listed, of_table, quarantined, unseen};
use crate::archive::schema::TableSchema;
use crate::archive::{Table, catalogue};
use crate::error::Result;
use crate::ledger::{KnownTable, Segment, Stage, State, TableDetail};
use crate::names::TableName;
use crate::pipeline::Limits;
use crate::policy::ClockSource;
use crate::storage::Store;

/// Delta tables that a query may name, opened while the ledger was read: both take their time.
#[derive(Debug, Default)]
pub struct Opened(Mutex<BTreeMap<String, Table>>);

impl Opened {
    /// Opens what the query names, as far as its folder shows. What fails here is tried again, and told, when it is needed.
    pub fn ahead(archive: &Store, sql: &str) -> Self {
        let Ok(words) = Words::of(sql) else { return Opened::default() };
        let folders = |prefix: &Path| archive.folders(Some(prefix)).unwrap_or_default();
        let tables = folders(&Path::from("tables")).into_iter().flat_map(|workspace| folders(&workspace));
        let named = tables.filter_map(|folder| {
            let parts: Vec<String> = folder.parts().map(|part| part.as_ref().to_owned()).collect();
            let [_, workspace, table] = parts.as_slice() else { return None };
            let is_named = words.mention(table) || table.split('.').all(|part| words.mention(part));
            is_named.then(|| TableName::new(workspace.as_str(), table.as_str()))
        });
        let opened = named.filter_map(|name| Some((name.key(), Table::open(archive, &name).ok()?)));
        Opened(Mutex::new(opened.collect()))
    }

    fn take(&self, name: &TableName) -> Option<Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&name.key())
    }
}

/// One table of a query.
#[derive(Debug)]
pub struct Searched {
    pub table: Arc<ArchiveTable>,
    /// Files of the Delta table that the ledger does not know, and segments that are not in the table any more.
    foreign_files: u64,
    pub raw: Option<Arc<RawRows>>,
}

impl Searched {
    /// Bytes of raw objects that are read.
    pub fn raw_bytes(&self) -> u64 {
        self.raw.iter().flat_map(|raw| raw.objects()).map(|planned| planned.object.size).sum()
    }

    pub fn answer(&self, site: &Site<'_>, listed: &Listed) -> TableAnswer {
        let (table, scanned) = (&self.table, self.table.scanned());
        let range = scanned.range.unwrap_or_default();
        let mut not_seen = unseen(site.state, listed, &table.name, range);
        not_seen.foreign_files = self.foreign_files;
        let raw_included = self.raw.as_ref().map(|raw| {
            (not_seen.raw_objects, not_seen.raw_bytes, not_seen.quarantined) = (0, 0, 0);
            RawIncluded {
                objects: raw.objects().count() as u64,
                copies: raw.copies,
                quarantined: raw.quarantined(),
                unreadable: raw.trouble.counts(),
            }
        });
        TableAnswer {
            table: table.name.clone(),
            coverage: Coverage::of(&scanned, &table.segments),
            raw_included,
            not_seen,
            uncast: table.uncast.counts(),
        }
    }
}

/// Opens a table of the query, with its raw records if they were listed.
pub fn open(site: &Site<'_>, name: &TableName, words: &Words, raw: Option<&Listed>) -> Result<Searched> {
    let known = site.state.tables.get(&name.key());
    let delta = match site.opened.take(name) {
        // A run may have committed between the one look and the other.
        Some(delta) if strange_files(site.state, known, &delta)? == 0 => delta,
        _ => Table::open(site.archive, known.map_or(name, |known| &known.name))?,
    };
    let mut schema = match known {
        Some(_) => delta.known_schema()?,
        None => {
            let rule = (site.rule)(name).filter(|rule| rule.clock == ClockSource::Event);
            TableSchema::new(catalogue::find(&name.table), rule.as_ref().map(|rule| rule.time_column.as_str()))?
        }
    };
    let live = delta.files()?;
    let segments: Vec<Segment> = known
        .iter()
        .flat_map(|known| known.segments.values())
        .filter(|(segment, _)| live.contains_key(&segment.path))
        .map(|(segment, _)| segment.clone())
        .collect();
    let foreign_files = strange_files(site.state, known, &delta)?;
    let raw = match raw {
        Some(listed) => {
            let archives = (site.rule)(name).is_none_or(|rule| rule.archive);
            let mut seen = HashSet::new();
            // What stays raw is each object's own: no other one's copy stands for it.
            let mut is_copy = |sha256: &str| {
                let known = site.state.contents.contains_key(&(name.key(), sha256.to_owned()));
                archives && (known || !seen.insert(sha256.to_owned()))
            };
            let waiting = of_table(listed, name).cloned().collect();
            let quarantine = quarantined(site.state, name).cloned().collect();
            let max_record = Limits::of(site.memory).record;
            let archive = site.archive.clone();
            Some(Arc::new(RawRows::look(waiting, quarantine, archive, max_record, &mut is_copy, &mut schema)?))
        }
        None => None,
    };
    let own = own_fields();
    let own: Vec<&str> = own.iter().map(|field| field.name().as_str()).filter(|name| words.mention(name)).collect();
    let table = ArchiveTable::new(
        name.clone(),
        site.archive.inner(),
        schema.columns().to_vec(),
        schema.time_column().map(str::to_owned),
        segments,
        raw.clone(),
        &own,
    );
    Ok(Searched { table: Arc::new(table), foreign_files, raw })
}

/// How many files of the Delta table the ledger does not know, and how many segments are not in the table any more. What a
/// run is committing right now is neither.
fn strange_files(state: &State, known: Option<&KnownTable>, delta: &Table) -> Result<u64> {
    let live = delta.files()?;
    let prepared = state.batches.values().filter_map(|batch| match &batch.stage {
        Stage::Prepared(prepared) => Some(&prepared.tables),
        _ => None,
    });
    let details: Vec<&TableDetail> = prepared.flatten().map(|(_, detail)| detail).collect();
    let coming = |path: &str| details.iter().any(|detail| detail.adds.iter().any(|add| add.path == path));
    let going = |path: &str| details.iter().any(|detail| detail.removes.iter().any(|remove| remove == path));
    let is_known = |path: &str| known.is_some_and(|known| known.segments.contains_key(path));
    let strange = live.keys().filter(|path| !is_known(path) && !coming(path)).count();
    let segments = known.iter().flat_map(|known| known.segments.keys());
    let gone = segments.filter(|path| !live.contains_key(*path) && !going(path)).count();
    Ok((strange + gone) as u64)
}
