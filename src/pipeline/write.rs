//! One segment: written, uploaded, read back, matched. Archiving and merging write through here; nothing is promised
//! about the file yet.

use super::context::{Context, Event};
use super::limits::Limits;
use super::read_back::read_back;
use crate::archive::rows::{Group, RowBuffer};
use crate::archive::schema::TableSchema;
use crate::archive::segment::{SegmentOptions, write_segment};
use crate::archive::{segment_location, segment_path};
use crate::error::{Error, Kind, Result};
use crate::ledger::Segment;
use crate::names::TableName;
use crate::policy::Rule;

/// Writes the segments of one batch into one table.
#[derive(Debug)]
pub struct SegmentWriter<'a> {
    context: &'a Context,
    table: TableName,
    batch: String,
    options: SegmentOptions,
    class: Option<&'static str>,
    written: usize,
}

impl<'a> SegmentWriter<'a> {
    /// Of `rule` come the columns that get a bloom filter, and the storage class.
    pub fn new(context: &'a Context, table: &TableName, batch: &str, rule: Option<&Rule>, limits: Limits) -> Self {
        let options = SegmentOptions {
            zstd_level: context.zstd_level,
            index: rule.map(|rule| rule.index.clone()).unwrap_or_default(),
            row_group_bytes: limits.row_group,
            threads: context.threads,
            ..SegmentOptions::default()
        };
        let class = rule.and_then(|rule| rule.storage_class);
        let class = class.and_then(|class| class.name_in(context.archive.url().scheme()));
        SegmentWriter { context, table: table.clone(), batch: batch.to_owned(), options, class, written: 0 }
    }

    /// Writes the rows of one day and part under the batch's name, and reads them back: bytes and rows must be those
    /// that went in. Timestamp columns of `schema` get their tail when first needed.
    pub fn write(&mut self, buffer: &RowBuffer, group: &Group, schema: &mut TableSchema) -> Result<Segment> {
        let archive = &self.context.archive;
        let part = buffer.part_name(group.part);
        let relative = segment_path(group.day, part, &self.batch, self.written);
        let path = segment_location(&self.table, &relative);
        let mut upload = archive.upload_as(&path, self.class)?;
        let summary = match write_segment(buffer, &group.rows, schema, &self.options, &mut upload) {
            Ok(summary) => summary,
            Err(error) => {
                upload.abandon();
                return Err(error);
            }
        };
        let (bytes, sha256) = upload.finish()?;
        let back = read_back(archive, &path, schema, self.context.threads)?;
        if back.as_ref().map(|back| (&back.sha256, &back.digest)) != Some((&sha256, &summary.digest)) {
            return Err(Error::new(
                Kind::Store,
                format!("reading back {}", archive.describe(&path)),
                "what came back is not what was written",
            )
            .with_hint(
                "nothing is lost: what it was made from stays; if it happens again, the disk or memory may be failing",
            ));
        }
        self.context.progress.see(Event::SegmentWritten { path: &path, rows: summary.rows, bytes });
        self.written += 1;
        Ok(Segment {
            path: relative,
            day: group.day,
            part: part.to_owned(),
            bytes,
            sha256,
            digest: summary.digest,
            times: summary.time_range.filter(|_| summary.time_nulls == 0),
            rest: Some(summary.rest),
        })
    }
}
