//! The two sets of raw logs: which columns they have, where their hours lie, and what is true of them, which every
//! engine's output is checked against.
//!
//! An hour's number tells its bytes, so a larger set is the smaller one and more hours. A set is made once and kept in
//! the cache; its marker names the generator's version and is written last, so half a set is made anew.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::cloudtrail::{self, Trail};
use super::company::Company;
use super::draw::{Ndjson, SECOND, Ticks};
use super::{Fallible, security};

/// Changes whenever the generators write other bytes.
const VERSION: u64 = 1;

/// So much of a set is compressed to say how small its raw bytes get.
const MEASURED: usize = 256 << 20;

/// What is true of records, however they are stored.
#[derive(Default)]
pub struct Facts {
    pub records: u64,
    pub first: Option<Ticks>,
    pub last: Option<Ticks>,
    /// The values of [`Kind::text_column`].
    texts: BTreeSet<String>,
    /// The values of [`Kind::nested_path`].
    nested: BTreeSet<String>,
}

impl Facts {
    pub fn saw(&mut self, at: Ticks, text: &str, nested: Option<&str>) {
        self.records += 1;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        let keep = |values: &mut BTreeSet<String>, value: &str| {
            if !values.contains(value) {
                values.insert(value.to_owned());
            }
        };
        keep(&mut self.texts, text);
        if let Some(nested) = nested {
            keep(&mut self.nested, nested);
        }
    }

    fn add(&mut self, other: Facts) {
        self.records += other.records;
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = [self.last, other.last].into_iter().flatten().max();
        self.texts.extend(other.texts);
        self.nested.extend(other.nested);
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Security,
    CloudTrail,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Security, Kind::CloudTrail];

    pub fn table(self) -> &'static str {
        match self {
            Kind::Security => "SecurityEvent",
            Kind::CloudTrail => "CloudTrail",
        }
    }

    pub fn time_column(self) -> &'static str {
        match self {
            Kind::Security => "TimeGenerated",
            Kind::CloudTrail => "eventTime",
        }
    }

    /// What an administrator would search by.
    pub fn index(self) -> &'static [&'static str] {
        match self {
            Kind::Security => &["Account", "Computer", "TargetLogonId"],
            Kind::CloudTrail => &["sourceIPAddress", "eventName", "eventID"],
        }
    }

    /// Its distinct values are counted in each output.
    fn text_column(self) -> &'static str {
        match self {
            Kind::Security => "Account",
            Kind::CloudTrail => "sourceIPAddress",
        }
    }

    /// The distinct values of a member of a nested column are counted too: nobody may drop what is in there.
    fn nested_path(self) -> Option<[&'static str; 2]> {
        match self {
            Kind::Security => None,
            Kind::CloudTrail => Some(["requestParameters", "bucketName"]),
        }
    }

    fn columns(self) -> &'static str {
        match self {
            Kind::Security => security::COLUMNS,
            Kind::CloudTrail => cloudtrail::COLUMNS,
        }
    }

    /// Records of an hour: about 30 MB, so that 72 hours are 2.2 GB.
    fn hourly(self) -> u64 {
        match self {
            Kind::Security => 16_000,
            Kind::CloudTrail => cloudtrail::HOURLY,
        }
    }
}

/// How raw objects are packed.
#[derive(Clone, Copy, PartialEq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    pub const ALL: [Packing; 3] = [Packing::Plain, Packing::Gzip, Packing::Zstd];

    pub fn name(self) -> &'static str {
        match self {
            Packing::Plain => "plain",
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
        }
    }

    /// What an object is called; the peers tell by it how to unpack.
    pub fn object(self) -> &'static str {
        match self {
            Packing::Plain => "events.json",
            Packing::Gzip => "events.json.gz",
            Packing::Zstd => "events.json.zst",
        }
    }

    fn pack(self, content: Vec<u8>) -> std::io::Result<Vec<u8>> {
        match self {
            Packing::Plain => Ok(content),
            Packing::Gzip => {
                let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                packer.write_all(&content)?;
                packer.finish()
            }
            Packing::Zstd => zstd::stream::encode_all(&content[..], 3),
        }
    }

    fn unpack(self, packed: Vec<u8>) -> std::io::Result<Vec<u8>> {
        match self {
            Packing::Plain => Ok(packed),
            Packing::Gzip => {
                let mut content = Vec::new();
                flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut content)?;
                Ok(content)
            }
            Packing::Zstd => zstd::stream::decode_all(&packed[..]),
        }
    }
}

/// A set as it lies on disk.
pub struct Set {
    pub kind: Kind,
    pub packing: Packing,
    pub folder: PathBuf,
    /// Of NDJSON, however it is packed.
    pub bytes: u64,
    pub files: u64,
    pub records: u64,
    /// What `check.py` expects, as JSON.
    pub facts: Value,
}

impl Set {
    /// The set of `megabytes` in the cache folder, made if it is not there.
    pub fn open(cache: &Path, kind: Kind, packing: Packing, megabytes: u64) -> Fallible<Set> {
        let folder = cache.join(format!("{}-{megabytes}MB-{}", kind.table(), packing.name()));
        let marker = folder.join("set.json");
        let known = fs::read_to_string(&marker).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let facts = match known {
            Some(known) if known["version"] == VERSION => known,
            _ => {
                if folder.exists() {
                    fs::remove_dir_all(&folder)?;
                }
                eprintln!("making {megabytes} MB of {} in {}", kind.table(), folder.display());
                let facts = make(&folder, kind, packing, megabytes * 1_000_000)?;
                fs::write(&marker, serde_json::to_vec_pretty(&facts)?)?;
                facts
            }
        };
        let number = |name: &str| facts[name].as_u64().ok_or_else(|| format!("{} has no {name}", marker.display()));
        let (bytes, files, records) = (number("bytes")?, number("files")?, number("records")?);
        Ok(Set { kind, packing, folder, bytes, files, records, facts })
    }

    /// The layout's root: `{table}/{year}/{month}/{day}/{hour}/` and an object below it.
    pub fn raw(&self) -> PathBuf {
        self.folder.join("raw")
    }

    /// Of how many raw bytes zstd at level 19 makes one, over the first 256 MiB as one stream; measured once.
    pub fn zstd_19(&self) -> Fallible<f64> {
        let kept = self.folder.join("zstd-19.json");
        if let Some(ratio) = fs::read_to_string(&kept).ok().and_then(|text| text.trim().parse().ok()) {
            return Ok(ratio);
        }
        eprintln!("compressing {} by zstd-19, once", self.kind.table());
        let mut encoder = zstd::stream::Encoder::new(Counted(0), 19)?;
        let mut taken = 0;
        for path in self.objects()? {
            let content = self.packing.unpack(fs::read(path)?)?;
            let part = &content[..content.len().min(MEASURED - taken)];
            encoder.write_all(part)?;
            taken += part.len();
        }
        let ratio = taken as f64 / encoder.finish()?.0 as f64;
        fs::write(kept, ratio.to_string())?;
        Ok(ratio)
    }

    /// The raw objects, oldest first.
    pub fn objects(&self) -> Fallible<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.raw()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Columns and what they hold, for the peers; Holdfast finds out.
    pub fn columns(&self) -> Value {
        let names = self.kind.columns().split_whitespace();
        names
            .map(|name| match name.split_once(':') {
                Some((name, "t")) => json!([name, "time"]),
                Some((name, "i")) => json!([name, "integer"]),
                Some((name, "b")) => json!([name, "boolean"]),
                Some((name, _)) => json!([name, "nested"]),
                None => json!([name, "text"]),
            })
            .collect()
    }
}

/// The generators of both sets.
enum Maker {
    Security(Box<Company>),
    CloudTrail(Box<Trail>),
}

/// Writes hours until there are `bytes`, two at a time, and tells what is true of them.
fn make(folder: &Path, kind: Kind, packing: Packing, bytes: u64) -> Fallible<Value> {
    let first: Timestamp = "2026-01-05T00:00:00Z".parse()?;
    let maker = match kind {
        Kind::Security => Maker::Security(Box::new(Company::new())),
        Kind::CloudTrail => Maker::CloudTrail(Box::new(Trail::new())),
    };
    let hour_bytes = hour(&maker, kind, first, 0, &mut Facts::default()).len() as u64;
    let hours = ((bytes + hour_bytes / 2) / hour_bytes).max(1);
    let (next, written) = (AtomicU64::new(0), AtomicU64::new(0));
    let whole = Mutex::new(Facts::default());
    let work = || -> Result<(), String> {
        let mut facts = Facts::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= hours {
                break;
            }
            let content = hour(&maker, kind, first, number, &mut facts);
            let start = first + jiff::SignedDuration::from_hours(number as i64);
            let path = folder.join(format!("raw/{}/{}", kind.table(), start.strftime("%Y/%m/%d/%H")));
            written.fetch_add(content.len() as u64, Ordering::Relaxed);
            let packed = fs::create_dir_all(&path).and_then(|()| packing.pack(content));
            packed
                .and_then(|packed| fs::write(path.join(packing.object()), packed))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        whole.lock().map_err(|_| "a thread panicked".to_owned())?.add(facts);
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })?;
    let facts = whole.into_inner()?;
    let micros = |ticks: Option<Ticks>| ticks.map(|ticks| ticks.div_euclid(10));
    let (texts, nested) = (facts.texts.len(), kind.nested_path().map(|path| json!([path, facts.nested.len()])));
    Ok(json!({
        "version": VERSION, "bytes": written.into_inner(), "files": hours, "records": facts.records,
        "time": kind.time_column(), "first_micros": micros(facts.first), "last_micros": micros(facts.last),
        "distinct": [kind.text_column(), texts], "nested_distinct": nested,
    }))
}

fn hour(maker: &Maker, kind: Kind, first: Timestamp, number: u64, facts: &mut Facts) -> Vec<u8> {
    let mut out = Ndjson::default();
    let first = first.as_second() * SECOND;
    let start = first + number as Ticks * 3600 * SECOND;
    match maker {
        Maker::Security(company) => company.hour(number, start, first, kind.hourly(), &mut out, facts),
        Maker::CloudTrail(trail) => trail.hour(number, start, first, kind.hourly(), &mut out, facts),
    }
    out.bytes
}

/// Counts what is written and forgets it.
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
