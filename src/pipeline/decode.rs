//! Decoding: chunks of lines to judged rows, on several threads.
//!
//! Each thread has a lane of its own ([`Lane`]) and takes every n-th chunk of the batch, so that what a lane holds, and so
//! what is written, depends on the objects alone and not on which thread was quicker. What came of the chunks is handed
//! back in their order. Nothing here decides what may be kept or let go: that is the judge's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

use jiff::civil::Date;

use crate::archive::rows::{Lane, RowMeta};
use crate::error::{Error, Kind, Result};
use crate::ledger::Counts;
use crate::plan::{Intake, Judge, Judged};
use crate::record::SetDigest;
use crate::source::{Chunk, Line};

/// Chunks of each thread that are read ahead.
const AHEAD: usize = 3;

/// What is the same for all records of an object.
#[derive(Debug)]
pub struct Terms {
    pub judge: Judge,
    pub intake: Intake,
    /// The part of its rows.
    pub part: u16,
    /// Its number in the buffer.
    pub source: u32,
    /// A longer record is quarantined.
    pub max_record: usize,
}

/// A record for the quarantine.
#[derive(Debug)]
pub struct Refused {
    pub start: u64,
    pub bytes: Vec<u8>,
    pub reason: String,
}

/// What came of some records.
#[derive(Debug, Default)]
pub struct Decoded {
    pub counts: Counts,
    /// Of what was kept.
    pub digest: SetDigest,
    /// The latest day of records that stay raw.
    pub last_day: Option<Date>,
    /// In the order they were read.
    pub refused: Vec<Refused>,
    /// Where the last line begins, if it has no end and could not be judged: more of it may come.
    pub open_end: Option<u64>,
}

impl Decoded {
    /// Reads a chunk into a lane.
    fn chunk(lane: &mut Lane, chunk: &Chunk, terms: &Terms) -> Result<Self> {
        let mut decoded = Decoded::default();
        let mut kept = Vec::new();
        chunk.each_line(terms.max_record, |line| match line {
            Line::Record { bytes, start, terminated } => {
                if decoded.line(lane, bytes, start, terminated, terms)? {
                    kept.push(bytes);
                }
                Ok(())
            }
            Line::Oversized { bytes, start, .. } => {
                decoded.refuse(start, bytes, too_long(terms.max_record));
                Ok::<(), Error>(())
            }
        })?;
        decoded.digest = lane.settle(&kept)?;
        Ok(decoded)
    }

    /// Reads one line that is at hand into a lane.
    pub fn record(lane: &mut Lane, bytes: &[u8], start: u64, terms: &Terms) -> Result<Self> {
        let mut decoded = Decoded::default();
        if decoded.line(lane, bytes, start, true, terms)? {
            decoded.digest = lane.settle(&[bytes])?;
        }
        Ok(decoded)
    }

    /// Takes one line: a row, a record that only counts, or an item of the quarantine. `true`: a row, which waits in the
    /// lane.
    fn line(&mut self, lane: &mut Lane, bytes: &[u8], start: u64, terminated: bool, terms: &Terms) -> Result<bool> {
        let verdict = match lane.read(bytes) {
            Err(malformed) => {
                let end = if terminated { "" } else { " (it is the last line and has no end)" };
                Judged::Quarantine { reason: format!("it is no JSON object: {malformed}{end}").into() }
            }
            Ok(members) => terms.judge.judge(bytes, members),
        };
        match verdict {
            Judged::Row { day, .. } if terms.intake.stays_raw => {
                self.last_day = self.last_day.max(Some(day));
                self.counts.raw += 1;
            }
            Judged::Expired { .. } => self.counts.expired += 1,
            Judged::Row { day, micros } => {
                let meta = RowMeta { day, part: terms.part, micros, source: terms.source };
                lane.keep(bytes, meta)?;
                self.counts.archived += 1;
                self.counts.decoded += 1;
                return Ok(true);
            }
            Judged::Quarantine { reason } => {
                if !terminated {
                    self.open_end = Some(start);
                }
                self.refuse(start, bytes, reason.into_owned());
                return Ok(false);
            }
        }
        self.counts.decoded += 1;
        Ok(false)
    }

    fn refuse(&mut self, start: u64, bytes: &[u8], reason: String) {
        self.counts.decoded += 1;
        self.counts.quarantined += 1;
        self.refused.push(Refused { start, bytes: bytes.to_vec(), reason });
    }
}

/// Why a record of more than `max_record` bytes is quarantined.
pub fn too_long(max_record: usize) -> String {
    format!("it is longer than {max_record} bytes, the most a record may have at this memory")
}

/// What came of one chunk.
#[derive(Debug)]
pub struct Done {
    /// As it was given with the chunk.
    pub object: usize,
    pub decoded: Decoded,
}

#[derive(Debug)]
enum Work {
    Take(Box<Lane>),
    Read { number: u32, object: usize, chunk: Chunk, terms: Arc<Terms> },
    GiveBack,
}

#[derive(Debug)]
enum Answer {
    Read { number: u32, lane: usize, bytes: usize, full: bool, done: Result<Done> },
    Lane(usize, Box<Lane>),
}

/// Threads that decode, one for each lane.
#[derive(Debug)]
pub struct Decoders {
    to: Vec<Sender<Work>>,
    from: Receiver<Answer>,
    /// The number of the next chunk, and of the next whose outcome is due.
    given: u32,
    due: u32,
    early: BTreeMap<u32, Answer>,
    /// Memory of each lane, as of the last outcome that was handed back.
    bytes: Vec<usize>,
    full: bool,
}

impl Decoders {
    /// Starts a thread for each of `lanes`, which end with the decoders.
    pub fn start<'scope>(scope: &'scope Scope<'scope, '_>, lanes: Vec<Lane>) -> Self {
        let (answers, from) = channel();
        let bytes = vec![0; lanes.len()];
        let to = lanes
            .into_iter()
            .enumerate()
            .map(|(number, lane)| {
                let (to, work) = channel();
                let answers = answers.clone();
                scope.spawn(move || serve(number, Box::new(lane), &work, &answers));
                to
            })
            .collect();
        Decoders { to, from, given: 0, due: 0, early: BTreeMap::new(), bytes, full: false }
    }

    /// Has a chunk decoded; gives what came of an earlier one, once enough are under way.
    pub fn read(&mut self, chunk: Chunk, object: usize, terms: &Arc<Terms>) -> Result<Option<Done>> {
        let number = self.given;
        let work = Work::Read { number, object, chunk, terms: Arc::clone(terms) };
        self.send(number as usize % self.to.len(), work)?;
        self.given += 1;
        if (self.given - self.due) as usize > AHEAD * self.to.len() { self.next() } else { Ok(None) }
    }

    /// What came of the next chunk; `Ok(None)` once all have been handed back.
    pub fn next(&mut self) -> Result<Option<Done>> {
        if self.due == self.given {
            return Ok(None);
        }
        while !self.early.contains_key(&self.due) {
            match self.from.recv().map_err(|_| gone())? {
                Answer::Lane(..) => return Err(gone()),
                Answer::Read { number, lane, bytes, full, done } => {
                    self.early.insert(number, Answer::Read { number, lane, bytes, full, done });
                }
            }
        }
        let Some(Answer::Read { lane, bytes, full, done, .. }) = self.early.remove(&self.due) else {
            return Err(gone());
        };
        self.due += 1;
        self.bytes[lane] = bytes;
        self.full |= full;
        done.map(Some)
    }

    /// Memory in use by the lanes, in bytes, as of the last outcome that was handed back; `usize::MAX` if one takes no more
    /// rows. So it does not depend on which thread was quicker.
    pub fn bytes(&self) -> usize {
        if self.full { usize::MAX } else { self.bytes.iter().sum() }
    }

    /// Takes the lanes back; all outcomes were handed back before.
    pub fn take_lanes(&mut self) -> Result<Vec<Lane>> {
        for lane in 0..self.to.len() {
            self.send(lane, Work::GiveBack)?;
        }
        let mut lanes: BTreeMap<usize, Lane> = BTreeMap::new();
        while lanes.len() < self.to.len() {
            match self.from.recv().map_err(|_| gone())? {
                Answer::Lane(number, lane) => lanes.insert(number, *lane),
                Answer::Read { .. } => return Err(gone()),
            };
        }
        self.bytes.fill(0);
        self.full = false;
        Ok(lanes.into_values().collect())
    }

    /// Gives the lanes to the threads again.
    pub fn give_lanes(&mut self, lanes: Vec<Lane>) -> Result<()> {
        lanes.into_iter().enumerate().try_for_each(|(number, lane)| self.send(number, Work::Take(Box::new(lane))))
    }

    fn send(&self, lane: usize, work: Work) -> Result<()> {
        self.to[lane].send(work).map_err(|_| gone())
    }
}

fn serve(number: usize, lane: Box<Lane>, work: &Receiver<Work>, answers: &Sender<Answer>) {
    let mut held = Some(lane);
    // The channel ends with the decoders.
    while let Ok(work) = work.recv() {
        let answer = match (work, &mut held) {
            (Work::Take(lane), held) => {
                *held = Some(lane);
                continue;
            }
            (Work::GiveBack, held) => match held.take() {
                Some(lane) => Answer::Lane(number, lane),
                None => return,
            },
            (Work::Read { number: chunk_number, object, chunk, terms }, Some(lane)) => {
                lane.begin_chunk(chunk_number);
                let done = Decoded::chunk(lane, &chunk, &terms).map(|decoded| Done { object, decoded });
                Answer::Read { number: chunk_number, lane: number, bytes: lane.bytes(), full: lane.is_full(), done }
            }
            (Work::Read { .. }, None) => return,
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}

fn gone() -> Error {
    Error::new(Kind::Internal, "reading records", "a thread that decodes ended early")
        .with_hint("nothing is lost: the raw objects stay; please report this")
}
