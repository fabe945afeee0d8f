//! Decode, sort and encode, and nothing else: what a run does without its stores, its ledger and its checks of what was
//! written. For benchmarks, so that this part can be compared with tools that do no more.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::decode::{Decoders, Terms};
use super::limits::Limits;
use crate::archive::catalogue;
use crate::archive::rows::{RowBuffer, groups};
use crate::archive::schema::TableSchema;
use crate::archive::segment::{SegmentOptions, write_segment};
use crate::error::{Error, Kind, Result};
use crate::plan::{Intake, Judge};
use crate::policy::Rule;
use crate::source::{cut, unpack_held};

/// Turns local files of lines into segments in the folder `out`; gives the number of rows. Each file is held in memory.
/// Errors: of the files, and if a record cannot be judged.
pub fn decode_and_encode(
    objects: &[PathBuf],
    out: &Path,
    table: &str,
    rule: &Rule,
    memory: u64,
    threads: usize,
) -> Result<u64> {
    let failed = |error: std::io::Error| Error::from_source(Kind::Store, "decoding and encoding alone", error);
    let limits = Limits::of(memory);
    let mut schema = TableSchema::new(catalogue::find(table), Some(&rule.time_column))?;
    let mut buffer = RowBuffer::new(&schema, threads);
    let options = SegmentOptions {
        index: rule.index.clone(),
        row_group_bytes: limits.row_group,
        threads,
        ..SegmentOptions::default()
    };
    let (part, source) = (buffer.part("main")?, buffer.source("alone"));
    let judge = Judge::new(rule, schema.time_column(), None, Intake::default(), Timestamp::MAX);
    let terms = Arc::new(Terms { judge, intake: Intake::default(), part, source, max_record: limits.record });
    let (mut rows, mut written) = (0, 0);
    let mut flush = |buffer: &mut RowBuffer| -> Result<()> {
        schema.decide(&buffer.survey());
        for group in groups(buffer) {
            let path = out.join(format!("{}-{written:05}.parquet", group.day));
            let mut file = BufWriter::new(File::create(path).map_err(failed)?);
            rows += write_segment(buffer, &group.rows, &mut schema, &options, &mut file)?.rows;
            file.flush().map_err(failed)?;
            written += 1;
        }
        buffer.clear();
        Ok(())
    };
    let lanes = std::mem::take(&mut buffer.lanes);
    std::thread::scope(|scope| {
        let mut decoders = Decoders::start(scope, lanes);
        let check = |done: Option<super::decode::Done>| match done {
            Some(done) if done.decoded.counts.quarantined > 0 => {
                let reason = format!("{:?}", done.decoded.refused.first().map(|refused| &refused.reason));
                Err(Error::new(Kind::Object, "decoding and encoding alone", reason))
            }
            done => Ok(done.is_some()),
        };
        for object in objects {
            let bytes = fs::read(object).map_err(failed)?.into();
            let Some(content) = unpack_held(&bytes, usize::MAX).map_err(failed)? else { continue };
            for chunk in cut(&content, 0, limits.chunk) {
                check(decoders.read(chunk, 0, &terms)?)?;
                if decoders.bytes() >= limits.buffer {
                    while check(decoders.next()?)? {}
                    buffer.lanes = decoders.take_lanes()?;
                    flush(&mut buffer)?;
                    decoders.give_lanes(std::mem::take(&mut buffer.lanes))?;
                }
            }
        }
        while check(decoders.next()?)? {}
        buffer.lanes = decoders.take_lanes()?;
        flush(&mut buffer)
    })?;
    Ok(rows)
}
