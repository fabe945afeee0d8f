//! One batch from its raw objects to `prepared`: decode → judge → sort → encode → upload → read back → match.
//!
//! Nothing here commits or deletes. An object that fails before a row of it was kept is left out; one that fails later
//! makes the batch begin again without it, since its rows may already stand in segments.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use jiff::civil::Date;

use super::accounts::{outcome, since};
use super::context::{Context, Event};
use super::limits::Limits;
use super::read_object::{Inspected, inspect, lines, lines_to_survey, unread};
use super::write::SegmentWriter;
use crate::archive::QuarantineWriter;
use crate::archive::keys::Surveyor;
use crate::archive::rows::{RowBuffer, RowMeta, groups};
use crate::archive::schema::TableSchema;
use crate::error::{Error, Kind, Result};
use crate::ledger::{Counts, ObjectId, ObjectOutcome, Segment, State};
use crate::names::TableName;
use crate::plan::{Archiving, Intake, Judge, Judged, Planned};
use crate::policy::Rule;
use crate::record::{Member, SetDigest, members, record_digest};
use crate::source::{Encoding, Line, Period, ReadFailure};
use crate::storage::Store;

/// The part of the rows that no part claims.
const MAIN_PART: &str = "main";

/// Everything a batch wrote, before it is promised.
#[derive(Debug)]
pub struct Written {
    pub schema: TableSchema,
    pub segments: Vec<Segment>,
    pub digest: SetDigest,
    pub counts: Counts,
    pub outcomes: Vec<ObjectOutcome>,
    pub quarantine: Option<crate::ledger::QuarantineFile>,
    /// Objects that could not be read; nothing of them is in the batch.
    pub failed: Vec<Error>,
}

/// Why a batch stopped.
#[derive(Debug)]
pub enum Stopped {
    /// This object must be left out; then the batch can begin again.
    Object(ObjectId, Box<Error>),
    Failed(Box<Error>),
}

impl Stopped {
    fn object(id: &ObjectId, error: Error) -> Self {
        Stopped::Object(id.clone(), Box::new(error))
    }
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Stopped::Failed(Box::new(error))
    }
}

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
    /// The latest day of the object's records that stay raw.
    last_day: Option<Date>,
    members: Vec<Member>,
    main_part: u16,
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
        let mut buffer = RowBuffer::new(&schema);
        let main_part = buffer.part(MAIN_PART)?;
        Ok(BatchWriter {
            context,
            rule,
            table: table.clone(),
            batch: batch.to_owned(),
            intake,
            now,
            limits,
            writer: SegmentWriter::new(context, table, batch, rule.index.clone(), limits),
            schema,
            buffer,
            quarantine: QuarantineWriter::new(&context.archive, table, batch),
            segments: Vec::new(),
            digest: SetDigest::default(),
            counts: Counts::default(),
            last_day: None,
            members: Vec::new(),
            main_part,
        })
    }

    /// Reads the batch's objects, but for those in `excluded`.
    pub fn read_objects(
        mut self,
        archiving: &Archiving,
        stores: &std::collections::BTreeMap<String, Store>,
        state: &State,
        excluded: &HashSet<ObjectId>,
    ) -> Result<Written, Stopped> {
        let mut outcomes: Vec<ObjectOutcome> = Vec::new();
        let mut contents: HashMap<String, (ObjectId, Counts)> = HashMap::new();
        let mut failed = Vec::new();
        for planned in &archiving.objects {
            let object = &planned.object;
            let id = ObjectId { source: object.source.clone(), path: object.path.clone() };
            let Some(store) = stores.get(&object.source).filter(|_| !excluded.contains(&id)) else { continue };
            let inspected = match inspect(store, planned, self.limits.record) {
                Ok(inspected) => inspected,
                Err(error) => {
                    failed.push(error.with_kind(Kind::Object));
                    continue;
                }
            };
            let key = (self.table.key(), inspected.sha256.clone());
            let known = state.contents.get(&key).map(|content| (content.object.clone(), content.counts));
            // An object that goes on from where it was read, or was only touched, is no duplicate of itself.
            let known = known.or_else(|| contents.get(&inspected.sha256).cloned()).filter(|_| inspected.from == 0);
            // What stays raw is each object's own: no other one's copy stands for it.
            let known = known.filter(|_| !self.intake.stays_raw);
            let outcome = match known {
                Some((original, counts)) => {
                    let counts = Counts { decoded: counts.decoded, duplicate: counts.decoded, ..Counts::default() };
                    self.counts.add(&counts);
                    outcome(planned, &inspected, object.size, counts, Some(original), None)
                }
                None => self.read_object(archiving, planned, &inspected, store, stores, &id)?,
            };
            self.context.progress.see(Event::Read { bytes: object.size - inspected.from });
            if outcome.duplicate_of.is_none() {
                let earlier = outcome.continues.as_ref().and_then(|continued| state.objects.get(continued));
                let mut counts = earlier.map(|known| known.counts).unwrap_or_default();
                counts.add(&outcome.counts);
                contents.insert(inspected.sha256.clone(), (id, counts));
            }
            outcomes.push(outcome);
        }
        let mut written = self.finish()?;
        written.outcomes = outcomes;
        written.failed = failed;
        Ok(written)
    }

    fn read_object(
        &mut self,
        archiving: &Archiving,
        planned: &Planned,
        inspected: &Inspected,
        store: &Store,
        stores: &std::collections::BTreeMap<String, Store>,
        id: &ObjectId,
    ) -> Result<ObjectOutcome, Stopped> {
        let object = &planned.object;
        let before = self.counts;
        self.last_day = None;
        if let Some(reason) = &inspected.unreadable {
            self.keep_whole(planned, store, reason)?;
            self.counts.decoded += 1;
            self.counts.quarantined += 1;
            return Ok(outcome(planned, inspected, object.size, since(&self.counts, &before), None, None));
        }
        let stopped = |error: std::io::Error| Stopped::object(id, unread(&object.path, error));
        let judge = self.judge(object.period);
        let source = self.buffer.source(&id.to_string());
        let mut lines =
            lines(store, planned, inspected, self.limits.record).map_err(|error| Stopped::object(id, error))?;
        // An object that was only touched goes on from where it did.
        let untouched = planned.known.as_ref().filter(|_| inspected.from == object.size);
        let mut resume = untouched.map_or(object.size, |known| known.resume);
        while let Some(line) = lines.next().map_err(stopped)? {
            match line {
                Line::Record { bytes, start, terminated } => {
                    let judged = self.record(bytes, start, terminated, source, &judge, &object.source, &object.path)?;
                    if !terminated && !judged {
                        // More of it may come: reading goes on at its beginning.
                        resume = start;
                    }
                }
                Line::Oversized { bytes, start, first, last } => {
                    if first {
                        let reason = format!(
                            "it is longer than {} bytes, the most a record may have at this memory",
                            self.limits.record
                        );
                        self.quarantine.begin(&object.source, &object.path, start, &reason, false)?;
                    }
                    self.quarantine.append(bytes)?;
                    if last {
                        self.quarantine.end()?;
                        self.counts.decoded += 1;
                        self.counts.quarantined += 1;
                    }
                }
            }
            if self.buffer.bytes() >= self.limits.buffer {
                self.survey_rest(archiving, stores)?;
                self.flush()?;
            }
        }
        if inspected.encoding != Encoding::Plain {
            resume = object.size;
        }
        let reader = lines.get_ref();
        if reader.is_complete() && hex::encode(reader.sha256()) != inspected.sha256 {
            let changed = ReadFailure::Changed { object: object.path.clone() };
            return Err(Stopped::object(id, changed.into()));
        }
        Ok(outcome(planned, inspected, resume, since(&self.counts, &before), None, self.last_day.take()))
    }

    /// A judge for records of this table.
    pub fn judge(&self, period: Option<Period>) -> Judge {
        Judge::new(self.rule, self.schema.time_column(), period, self.intake, self.now)
    }

    /// Takes one line: a row, a record that only counts, or an item of the quarantine. `Ok(true)`: it could be judged.
    #[expect(clippy::too_many_arguments, reason = "the facts of one line")]
    pub fn record(
        &mut self,
        bytes: &[u8],
        start: u64,
        terminated: bool,
        source: u32,
        judge: &Judge,
        source_name: &str,
        path: &str,
    ) -> Result<bool> {
        self.counts.decoded += 1;
        let mut found = std::mem::take(&mut self.members);
        let verdict = match members(bytes, &mut found) {
            Err(malformed) => {
                let end = if terminated { "" } else { " (it is the last line and has no end)" };
                Judged::Quarantine { reason: format!("it is no JSON object: {malformed}{end}").into() }
            }
            Ok(()) => judge.judge(bytes, &found),
        };
        let judged = match verdict {
            Judged::Row { day, .. } if self.intake.stays_raw => {
                self.last_day = self.last_day.max(Some(day));
                self.counts.raw += 1;
                true
            }
            Judged::Expired { .. } => {
                self.counts.expired += 1;
                true
            }
            Judged::Row { day, micros } => {
                let digest = record_digest(bytes, &found);
                self.buffer.push(bytes, &found, RowMeta { day, part: self.main_part, micros, source }, digest)?;
                self.digest.add(digest);
                self.counts.archived += 1;
                true
            }
            Judged::Quarantine { reason } => {
                self.quarantine.keep(source_name, path, start, bytes, &reason)?;
                self.counts.quarantined += 1;
                false
            }
        };
        self.members = found;
        Ok(judged)
    }

    /// The number of a raw object for [`BatchWriter::record`].
    pub fn source(&mut self, id: &ObjectId) -> u32 {
        self.buffer.source(&id.to_string())
    }

    /// Writes out what is held if it takes too much; for inputs that nothing surveyed, types are decided over what was
    /// seen so far.
    pub fn flush_if_full(&mut self) -> Result<()> {
        if self.buffer.bytes() < self.limits.buffer {
            return Ok(());
        }
        let survey = self.buffer.survey().clone();
        self.schema.decide(&survey);
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
        use std::io::Read;
        let object = &planned.object;
        let id = ObjectId { source: object.source.clone(), path: object.path.clone() };
        let mut reader =
            crate::source::ObjectReader::open(store, object).map_err(|error| Stopped::object(&id, error))?;
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

    /// Types are decided over the whole batch: before the first rows are written, the rest is looked at.
    fn survey_rest(&mut self, archiving: &Archiving, stores: &std::collections::BTreeMap<String, Store>) -> Result<()> {
        if !self.segments.is_empty() {
            return Ok(());
        }
        let mut surveyor = Surveyor::resume(&self.schema, self.buffer.survey());
        let mut found = Vec::new();
        for planned in &archiving.objects {
            let Some(store) = stores.get(&planned.object.source) else { continue };
            // What cannot be read now is told when its turn comes.
            let Ok(mut lines) = lines_to_survey(store, planned, self.limits.record) else { continue };
            while let Ok(Some(line)) = lines.next() {
                if let Line::Record { bytes, .. } = line
                    && members(bytes, &mut found).is_ok()
                {
                    surveyor.observe(bytes, &found);
                }
            }
        }
        self.schema.decide(surveyor.survey());
        Ok(())
    }

    /// Writes a segment for each day and part that is held, and reads it back.
    fn flush(&mut self) -> Result<()> {
        for group in groups(&self.buffer) {
            self.segments.push(self.writer.write(&self.buffer, &group, &mut self.schema)?);
        }
        self.buffer.clear();
        Ok(())
    }

    /// Writes what is left and checks that every record is accounted for.
    pub fn finish(mut self) -> Result<Written> {
        let survey = self.buffer.survey().clone();
        self.schema.decide(&survey);
        self.flush()?;
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
            .with_hint("nothing is lost: the raw objects stay; please report this"));
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
