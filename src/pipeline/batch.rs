//! One batch from its raw objects to `prepared`: decode → judge → sort → encode → upload → read back → match.
//!
//! Nothing here commits or deletes. An object that fails before a row of it was kept is left out; one that fails later
//! makes the batch begin again without it, since its rows may already stand in segments. A column's type is decided over
//! all values of the batch that brings it (DESIGN §6): where what was held is written out before all was read, a later
//! value that the type does not hold makes the batch begin again, once, with what was seen of all of it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::sync::Arc;

use jiff::Timestamp;

use super::accounts::outcome;
use super::ahead::{Turn, Turns};
use super::context::{Context, Event};
use super::decode::{Decoded, Decoders, Done, Terms, too_long};
use super::limits::Limits;
use super::read_object::{Inspected, OpenEnd, lines, unread};
use super::write::SegmentWriter;
use super::written::{Stopped, Written};
use crate::archive::QuarantineWriter;
use crate::archive::rows::{RowBuffer, groups};
use crate::archive::schema::TableSchema;
use crate::error::{Error, Kind, Result};
use crate::ledger::{Counts, ObjectId, ObjectOutcome, Segment, State};
use crate::names::TableName;
use crate::plan::{Archiving, Intake, Judge, Planned};
use crate::policy::Rule;
use crate::record::SetDigest;
use crate::source::{ChunkReader, ObjectReader, Period, ReadFailure, Taken, cut};
use crate::storage::Store;

/// The part of the rows that no part claims.
const MAIN_PART: &str = "main";

/// What one batch works with.
pub struct BatchWriter<'a> {
    context: &'a Context,
    rule: &'a Rule,
    table: TableName,
    batch: String,
    intake: Intake,
    now: Timestamp,
    limits: Limits,
    writer: SegmentWriter<'a>,
    schema: TableSchema,
    buffer: RowBuffer,
    quarantine: QuarantineWriter,
    segments: Vec<Segment>,
    /// Of every record as it was decoded and kept.
    digest: SetDigest,
    counts: Counts,
    main_part: u16,
    /// A column whose type was decided before a value came that it does not hold.
    misjudged: Option<String>,
}

/// Objects of a batch, as far as they were read.
#[derive(Default)]
struct Reading {
    outcomes: Vec<ObjectOutcome>,
    /// For each outcome: where reading goes on if its last line is open.
    open_ends: Vec<OpenEnd>,
    /// By SHA-256: the outcome of the first object with that content, and what earlier batches decoded of it.
    contents: HashMap<String, (usize, u64)>,
    /// The outcome of a duplicate, that of its original, and what earlier batches decoded of that.
    duplicates: Vec<(usize, usize, u64)>,
    failed: Vec<Error>,
}

impl<'a> BatchWriter<'a> {
    pub fn new(
        context: &'a Context,
        rule: &'a Rule,
        table: &TableName,
        batch: &str,
        schema: TableSchema,
        intake: Intake,
        now: Timestamp,
    ) -> Result<Self> {
        let limits = Limits::of(context.memory);
        let mut buffer = RowBuffer::new(&schema, context.threads);
        let main_part = buffer.part(MAIN_PART)?;
        Ok(BatchWriter {
            context,
            rule,
            table: table.clone(),
            batch: batch.to_owned(),
            intake,
            now,
            limits,
            writer: SegmentWriter::new(context, table, batch, Some(rule), limits),
            schema,
            buffer,
            quarantine: QuarantineWriter::new(&context.archive, table, batch),
            segments: Vec::new(),
            digest: SetDigest::default(),
            counts: Counts::default(),
            main_part,
            misjudged: None,
        })
    }

    /// Reads the batch's objects, but for those in `excluded`.
    pub fn read_objects(
        mut self,
        archiving: &Archiving,
        stores: &BTreeMap<String, Store>,
        state: &State,
        excluded: &HashSet<ObjectId>,
    ) -> Result<Written, Stopped> {
        let mut reading = Reading::default();
        let lanes = std::mem::take(&mut self.buffer.lanes);
        std::thread::scope(|scope| {
            let mut decoders = Decoders::start(scope, lanes);
            for turn in Turns::begin(scope, &archiving.objects, stores, excluded, self.limits, self.context.threads) {
                self.object(&mut decoders, &mut reading, state, turn)?;
            }
            self.settle(&mut decoders, &mut reading)?;
            self.buffer.lanes = decoders.take_lanes()?;
            Ok::<(), Stopped>(())
        })?;
        for (duplicate, original, earlier) in reading.duplicates {
            let decoded = earlier + reading.outcomes[original].counts.decoded;
            let counts = Counts { decoded, duplicate: decoded, ..Counts::default() };
            self.counts.add(&counts);
            reading.outcomes[duplicate].counts = counts;
        }
        let mut written = self.finish()?;
        written.outcomes = reading.outcomes;
        written.failed = reading.failed;
        Ok(written)
    }

    /// Reads one object, or sees that its content is known.
    fn object(
        &mut self,
        decoders: &mut Decoders,
        reading: &mut Reading,
        state: &State,
        turn: Turn<'_>,
    ) -> Result<(), Stopped> {
        let Turn { planned, store, id, inspected } = turn;
        let object = &planned.object;
        let inspected = match inspected {
            Ok(inspected) => inspected,
            Err(error) => {
                reading.failed.push(error.with_kind(Kind::Object));
                return Ok(());
            }
        };
        let seen = Event::Read { bytes: object.size - inspected.from };
        let place = reading.outcomes.len();
        reading.open_ends.push(inspected.open_end());
        // An object that goes on from where it was read, or was only touched, is no duplicate of itself. What stays raw is
        // each object's own: no other one's copy stands for it.
        let may_be_known = inspected.from == 0 && !self.intake.stays_raw;
        let key = (self.table.key(), inspected.sha256.clone());
        if let Some(content) = state.contents.get(&key).filter(|_| may_be_known) {
            let decoded = content.counts.decoded;
            let counts = Counts { decoded, duplicate: decoded, ..Counts::default() };
            self.counts.add(&counts);
            let original = Some(content.object.clone());
            reading.outcomes.push(outcome(planned, &inspected, object.size, counts, original, None));
        } else if let Some(&(original, earlier)) = reading.contents.get(&inspected.sha256).filter(|_| may_be_known) {
            // What it counts is told once its original is decoded.
            reading.duplicates.push((place, original, earlier));
            let known = &reading.outcomes[original];
            let known = ObjectId { source: known.source.clone(), path: known.path.clone() };
            reading.outcomes.push(outcome(planned, &inspected, object.size, Counts::default(), Some(known), None));
        } else {
            reading.outcomes.push(outcome(planned, &inspected, object.size, Counts::default(), None, None));
            if let Some(reason) = &inspected.unreadable {
                self.settle(decoders, reading)?;
                self.keep_whole(planned, store, reason)?;
                let counts = Counts { decoded: 1, quarantined: 1, ..Counts::default() };
                self.counts.add(&counts);
                reading.outcomes[place].counts = counts;
            } else {
                self.records(decoders, reading, planned, &inspected, store, &id)?;
            }
            let continued = reading.outcomes[place].continues.as_ref();
            let earlier = continued.and_then(|continued| state.objects.get(continued));
            let earlier = earlier.map_or(0, |known| known.counts.decoded);
            reading.contents.insert(inspected.sha256, (place, earlier));
        }
        self.context.progress.see(seen);
        Ok(())
    }

    /// Reads an object's records.
    fn records(
        &mut self,
        decoders: &mut Decoders,
        reading: &mut Reading,
        planned: &Planned,
        inspected: &Inspected,
        store: &Store,
        id: &ObjectId,
    ) -> Result<(), Stopped> {
        let object = &planned.object;
        let terms = Arc::new(self.terms(object.period, id));
        let place = reading.outcomes.len() - 1;
        // An object that was only touched goes on from where it did.
        let untouched = planned.known.as_ref().filter(|_| inspected.from == object.size);
        reading.outcomes[place].resume = untouched.map_or(object.size, |known| known.resume);
        if let Some(held) = &inspected.held {
            for chunk in cut(held, 0, self.limits.chunk) {
                let done = decoders.read(chunk, place, &terms)?;
                self.take(done, reading)?;
                self.flush_if_large(decoders, reading)?;
            }
            return Ok(());
        }
        let stopped = |error: std::io::Error| Stopped::object(id, unread(&object.path, error));
        let lines = lines(store, planned, inspected, self.limits.record).map_err(|error| Stopped::object(id, error))?;
        let mut chunks = ChunkReader::new(lines, self.limits.chunk);
        while let Some(taken) = chunks.next().map_err(stopped)? {
            match taken {
                Taken::Chunk(chunk) => {
                    let done = decoders.read(chunk, place, &terms)?;
                    self.take(done, reading)?;
                }
                Taken::Oversized { bytes, start, first, last } => {
                    if first {
                        self.settle(decoders, reading)?;
                        let reason = too_long(self.limits.record);
                        self.quarantine.begin(&object.source, &object.path, start, &reason, false)?;
                    }
                    self.quarantine.append(bytes)?;
                    if last {
                        self.quarantine.end()?;
                        let counts = Counts { decoded: 1, quarantined: 1, ..Counts::default() };
                        self.counts.add(&counts);
                        reading.outcomes[place].counts.add(&counts);
                    }
                }
            }
            self.flush_if_large(decoders, reading)?;
        }
        let reader = chunks.raw();
        if reader.is_complete() && hex::encode(reader.sha256()) != inspected.sha256 {
            let changed = ReadFailure::Changed { object: object.path.clone() };
            return Err(Stopped::object(id, changed.into()));
        }
        Ok(())
    }

    /// Takes in what came of a chunk.
    fn take(&mut self, done: Option<Done>, reading: &mut Reading) -> Result<()> {
        let Some(Done { object, decoded }) = done else { return Ok(()) };
        let outcome = &mut reading.outcomes[object];
        self.counts.add(&decoded.counts);
        outcome.counts.add(&decoded.counts);
        self.digest.merge(&decoded.digest);
        outcome.last_day = outcome.last_day.max(decoded.last_day);
        if let Some(open_end) = decoded.open_end {
            // More of it may come: reading goes on at its beginning.
            match reading.open_ends[object] {
                OpenEnd::AsRead => outcome.resume = open_end,
                OpenEnd::At(last_line) => outcome.resume = last_line,
                OpenEnd::Unknown => {}
            }
        }
        for refused in decoded.refused {
            self.quarantine.keep(&outcome.source, &outcome.path, refused.start, &refused.bytes, &refused.reason)?;
        }
        Ok(())
    }

    /// Takes in what came of all chunks that are under way.
    fn settle(&mut self, decoders: &mut Decoders, reading: &mut Reading) -> Result<()> {
        while let Some(done) = decoders.next()? {
            self.take(Some(done), reading)?;
        }
        Ok(())
    }

    /// Writes out what is held if it takes too much.
    fn flush_if_large(&mut self, decoders: &mut Decoders, reading: &mut Reading) -> Result<()> {
        if decoders.bytes() < self.limits.buffer {
            return Ok(());
        }
        self.settle(decoders, reading)?;
        self.buffer.lanes = decoders.take_lanes()?;
        self.flush()?;
        decoders.give_lanes(std::mem::take(&mut self.buffer.lanes))
    }

    /// By what the records of an object are judged and kept.
    pub fn terms(&mut self, period: Option<Period>, id: &ObjectId) -> Terms {
        Terms {
            judge: Judge::new(self.rule, self.schema.time_column(), period, self.intake, self.now),
            intake: self.intake,
            part: self.main_part,
            source: self.buffer.source(&id.to_string()),
            max_record: self.limits.record,
        }
    }

    /// Takes one line that is at hand.
    pub fn record(&mut self, bytes: &[u8], start: u64, terms: &Terms, id: &ObjectId) -> Result<()> {
        let Some(lane) = self.buffer.lanes.first_mut() else { return Ok(()) };
        let decoded = Decoded::record(lane, bytes, start, terms)?;
        self.counts.add(&decoded.counts);
        self.digest.merge(&decoded.digest);
        for refused in decoded.refused {
            self.quarantine.keep(&id.source, &id.path, refused.start, &refused.bytes, &refused.reason)?;
        }
        Ok(())
    }

    /// Writes out what is held if it takes too much.
    pub fn flush_if_full(&mut self) -> Result<()> {
        if self.buffer.bytes() < self.limits.buffer {
            return Ok(());
        }
        self.flush()
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Keeps a whole object that is at hand.
    pub fn keep_object(&mut self, source: &str, path: &str, bytes: &[u8], reason: &str) -> Result<()> {
        self.quarantine.begin(source, path, 0, reason, true)?;
        self.quarantine.append(bytes)?;
        self.counts.decoded += 1;
        self.counts.quarantined += 1;
        self.quarantine.end()
    }

    fn keep_whole(&mut self, planned: &Planned, store: &Store, reason: &str) -> Result<(), Stopped> {
        let object = &planned.object;
        let id = ObjectId { source: object.source.clone(), path: object.path.clone() };
        let mut reader = ObjectReader::open(store, object).map_err(|error| Stopped::object(&id, error))?;
        self.quarantine.begin(&object.source, &object.path, 0, reason, true)?;
        let mut piece = vec![0; 1 << 20];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Ok(self.quarantine.end()?),
                Ok(count) => self.quarantine.append(&piece[..count])?,
                Err(error) => return Err(Stopped::object(&id, unread(&object.path, error))),
            }
        }
    }

    /// Writes a segment for each day and part that is held, and reads it back. Types are decided over what was seen so far;
    /// once a later value shows one to be wrong, the rest is only looked at.
    fn flush(&mut self) -> Result<()> {
        let survey = self.buffer.survey();
        self.schema.decide(&survey);
        if self.misjudged.is_none() {
            self.misjudged = self.schema.misjudged(&survey).map(str::to_owned);
        }
        if self.misjudged.is_some() {
            self.buffer.clear();
            return Ok(());
        }
        for group in groups(&self.buffer) {
            self.segments.push(self.writer.write(&self.buffer, &group, &mut self.schema)?);
        }
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left and checks that every record is accounted for.
    pub fn finish(mut self) -> Result<Written, Stopped> {
        self.flush()?;
        if let Some(column) = self.misjudged {
            return Err(Stopped::Types { column, survey: self.buffer.survey() });
        }
        let mut digest = SetDigest::default();
        for segment in &self.segments {
            digest.merge(&segment.digest);
        }
        if digest != self.digest || digest.rows != self.counts.archived || !self.counts.balances() {
            return Err(Error::new(
                Kind::Internal,
                format!("matching batch {} of {}", self.batch, self.table),
                format!(
                    "its segments hold {} rows with another digest than the {} records kept",
                    digest.rows, self.digest.rows
                ),
            )
            .with_hint("nothing is lost: the raw objects stay; please report this")
            .into());
        }
        Ok(Written {
            schema: self.schema,
            segments: self.segments,
            digest,
            counts: self.counts,
            outcomes: Vec::new(),
            quarantine: self.quarantine.finish()?,
            failed: Vec::new(),
        })
    }
}

impl std::fmt::Debug for BatchWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BatchWriter({} of {})", self.batch, self.table)
    }
}
