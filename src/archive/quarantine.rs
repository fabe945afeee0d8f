//! Quarantine: records and objects that cannot be judged, kept as they were.
//!
//! A batch writes at most two files a table below `quarantine/<workspace>/<table>/`: `<batch>.data`, the bytes one after
//! the other, and `<batch>.jsonl`, a [`QuarantineItem`] a line that says where each came from and why it is here. Both
//! are streamed, so that one record larger than memory can be kept.

use std::io::Write;

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::ledger::{QuarantineFile, Quarantined, sha256_hex};
use crate::names::TableName;
use crate::storage::{Store, Upload};

/// One quarantined record, or one object that is quarantined whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineItem {
    pub source: String,
    pub path: String,
    /// Where the record begins in the decoded object, in bytes; 0 for a whole object.
    pub offset: u64,
    /// Where its bytes begin in the data file.
    pub at: u64,
    pub bytes: u64,
    pub reason: String,
    /// The whole raw object, as it lay there.
    pub whole_object: bool,
}

/// Writes one batch's quarantine of one table. Nothing is created before the first item.
#[derive(Debug)]
pub struct QuarantineWriter {
    archive: Store,
    table: TableName,
    batch: String,
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    data: Upload,
    index: Upload,
    at: u64,
    records: u64,
    item: Option<QuarantineItem>,
}

impl QuarantineWriter {
    pub fn new(archive: &Store, table: &TableName, batch: &str) -> Self {
        QuarantineWriter { archive: archive.clone(), table: table.clone(), batch: batch.to_owned(), open: None }
    }

    /// Keeps one record whole.
    pub fn keep(&mut self, source: &str, path: &str, offset: u64, bytes: &[u8], reason: &str) -> Result<()> {
        self.begin(source, path, offset, reason, false)?;
        self.append(bytes)?;
        self.end()
    }

    /// Begins an item whose bytes come in pieces.
    pub fn begin(&mut self, source: &str, path: &str, offset: u64, reason: &str, whole_object: bool) -> Result<()> {
        if self.open.is_none() {
            let data = self.archive.upload(&data_path(&self.table, &self.batch))?;
            let index = self.archive.upload(&index_path(&self.table, &self.batch))?;
            self.open = Some(Box::new(Open { data, index, at: 0, records: 0, item: None }));
        }
        if let Some(open) = &mut self.open {
            open.item = Some(QuarantineItem {
                source: source.to_owned(),
                path: path.to_owned(),
                offset,
                at: open.at,
                bytes: 0,
                reason: reason.to_owned(),
                whole_object,
            });
        }
        Ok(())
    }

    /// Adds bytes to the item begun.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let failed = self.failed();
        let Some(Open { data, at, item: Some(item), .. }) = self.open.as_deref_mut() else { return Ok(()) };
        data.write_all(bytes).map_err(failed)?;
        *at += bytes.len() as u64;
        item.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Ends the item begun.
    pub fn end(&mut self) -> Result<()> {
        let failed = self.failed();
        let Some(open) = self.open.as_deref_mut() else { return Ok(()) };
        let Some(item) = open.item.take() else { return Ok(()) };
        let mut line = serde_json::to_vec(&item)
            .map_err(|source| Error::from_source(Kind::Internal, "writing the quarantine", source))?;
        line.push(b'\n');
        open.index.write_all(&line).map_err(failed)?;
        open.records += 1;
        Ok(())
    }

    /// Makes both files appear and reads them back. `None`: nothing was quarantined.
    pub fn finish(self) -> Result<Option<QuarantineFile>> {
        let Some(open) = self.open else { return Ok(None) };
        let (data_path, index_path) = (data_path(&self.table, &self.batch), index_path(&self.table, &self.batch));
        let (bytes, data_sha256) = open.data.finish()?;
        let (_, index_sha256) = open.index.finish()?;
        for (path, sha256) in [(&data_path, &data_sha256), (&index_path, &index_sha256)] {
            if self.archive.sha256(path)?.as_ref() != Some(sha256) {
                return Err(Error::new(
                    Kind::Store,
                    format!("reading back {}", self.archive.describe(path)),
                    "it does not hold what was written",
                ));
            }
        }
        Ok(Some(QuarantineFile {
            table: self.table,
            data: data_path.to_string(),
            data_sha256,
            index: index_path.to_string(),
            index_sha256,
            records: open.records,
            bytes,
        }))
    }

    fn failed(&self) -> impl Fn(std::io::Error) -> Error + use<> {
        let attempted = format!("writing the quarantine of {}", self.table);
        move |source| Error::from_source(Kind::Store, attempted.clone(), source)
    }
}

/// Where a table's quarantine lies.
pub fn quarantine_folder(table: &TableName) -> Path {
    Path::from_iter(["quarantine", &table.workspace, &table.table])
}

fn data_path(table: &TableName, batch: &str) -> Path {
    quarantine_folder(table).join(format!("{batch}.data"))
}

fn index_path(table: &TableName, batch: &str) -> Path {
    quarantine_folder(table).join(format!("{batch}.jsonl"))
}

/// The items of one quarantine file, checked against the ledger.
pub fn read_items(archive: &Store, quarantined: &Quarantined) -> Result<Vec<QuarantineItem>> {
    let file = &quarantined.file;
    let path = Path::from(file.index.as_str());
    let damaged = |reason: String| Error::new(Kind::Damaged, format!("reading {}", archive.describe(&path)), reason);
    let bytes = archive.get(&path)?.ok_or_else(|| damaged("it is missing".into()))?;
    if sha256_hex(&bytes) != file.index_sha256 {
        return Err(damaged("its bytes are not those the ledger knows (SHA-256)".into()));
    }
    bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(|source| damaged(source.to_string())))
        .collect()
}

/// The bytes of one item, as they were.
pub fn read_bytes(archive: &Store, quarantined: &Quarantined, item: &QuarantineItem) -> Result<bytes::Bytes> {
    let path = Path::from(quarantined.file.data.as_str());
    let range = item.at..item.at + item.bytes;
    if range.is_empty() {
        return Ok(bytes::Bytes::new());
    }
    archive.get_range(&path, range, None)?.ok_or_else(|| {
        Error::new(
            Kind::Damaged,
            format!("reading {}", archive.describe(&path)),
            "it is missing, while the ledger names it",
        )
    })
}
