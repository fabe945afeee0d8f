//! What an index says, and its bytes.
//!
//! ```text
//! MAGIC (8) · filters, segment by segment · footers, segment by segment · directory · its length (u64) · its xxh3-128 · MAGIC
//! ```
//!
//! Filters and footers lie one after the other without a gap, in the order of the directory, so that lengths say where
//! each is. Numbers are little-endian. The directory holds the checksum of each of them: a byte of the object that is not
//! what was written is under one of these checksums, or makes the rest impossible.

use parquet::basic::Type;
use xxhash_rust::xxh3::xxh3_128;

use crate::ledger::Segment;

/// The first and the last bytes of an index; the last of them is the format's version.
pub const MAGIC: [u8; 8] = *b"HFINDEX\x01";
/// What follows the directory.
pub(super) const TRAILER: u64 = 8 + 16 + 8;

/// Some bytes of an index object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    pub start: u64,
    pub length: u32,
    /// xxh3-128.
    pub sum: u128,
}

impl Blob {
    pub fn end(&self) -> u64 {
        self.start + u64::from(self.length)
    }

    /// True if these are the bytes that were written.
    pub fn is(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == u64::from(self.length) && xxh3_128(bytes) == self.sum
    }
}

/// How the values of a filter are stored in the segment: what was hashed are their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Physical {
    Bytes,
    Int32,
    Int64,
}

impl Physical {
    /// None: no filter is made of such a column.
    pub fn of(kind: Type) -> Option<Self> {
        match kind {
            Type::BYTE_ARRAY => Some(Physical::Bytes),
            Type::INT32 => Some(Physical::Int32),
            Type::INT64 => Some(Physical::Int64),
            _ => None,
        }
    }

    fn number(self) -> u8 {
        match self {
            Physical::Bytes => 0,
            Physical::Int32 => 1,
            Physical::Int64 => 2,
        }
    }
}

/// The filter of one column of a segment: all its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// Its place in [`Directory::columns`].
    pub column: u16,
    pub physical: Physical,
    pub blob: Blob,
}

/// What an index says of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the table.
    pub path: String,
    pub sha256: [u8; 32],
    pub bytes: u64,
    /// The columns of the file in its order, as places in [`Directory::columns`].
    pub columns: Vec<u16>,
    pub filters: Vec<Filter>,
    pub footer: Blob,
}

impl Entry {
    /// True if it speaks of just this segment.
    pub fn is_of(&self, segment: &Segment) -> bool {
        let mut sha256 = [0; 32];
        let known = hex::decode_to_slice(&segment.sha256, &mut sha256).is_ok();
        known && self.path == segment.path && self.bytes == segment.bytes && self.sha256 == sha256
    }
}

/// What an index says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// Names of columns, each once.
    pub columns: Vec<String>,
    /// By path.
    pub entries: Vec<Entry>,
}

impl Directory {
    /// What it says of this segment: none, if it does not know it, or knows another of that name.
    pub fn entry(&self, segment: &Segment) -> Option<&Entry> {
        let at = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(&segment.path)).ok()?;
        Some(&self.entries[at]).filter(|entry| entry.is_of(segment))
    }

    /// The place of a column by its exact name.
    pub fn column(&self, name: &str) -> Option<u16> {
        self.columns.iter().position(|column| column == name).and_then(|at| u16::try_from(at).ok())
    }

    /// All filters and footers, in the order of their bytes.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        let filters = self.entries.iter().flat_map(|entry| entry.filters.iter().map(|filter| &filter.blob));
        filters.chain(self.entries.iter().map(|entry| &entry.footer))
    }

    /// Bytes that it takes in memory, about.
    pub fn memory(&self) -> usize {
        let entry = |entry: &Entry| {
            entry.path.len() + entry.columns.len() * 2 + entry.filters.len() * size_of::<Filter>() + size_of::<Entry>()
        };
        self.entries.iter().map(entry).sum::<usize>() + self.columns.iter().map(|name| name.len() + 24).sum::<usize>()
    }

    /// The directory's bytes and the trailer.
    pub(super) fn print(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_u32(&mut out, self.columns.len());
        for name in &self.columns {
            put_text(&mut out, name);
        }
        put_u32(&mut out, self.entries.len());
        for entry in &self.entries {
            put_text(&mut out, &entry.path);
            out.extend_from_slice(&entry.sha256);
            out.extend_from_slice(&entry.bytes.to_le_bytes());
            put_u32(&mut out, entry.columns.len());
            entry.columns.iter().for_each(|column| out.extend_from_slice(&column.to_le_bytes()));
            put_u32(&mut out, entry.filters.len());
            for filter in &entry.filters {
                out.extend_from_slice(&filter.column.to_le_bytes());
                out.push(filter.physical.number());
                put_blob(&mut out, &filter.blob);
            }
            put_blob(&mut out, &entry.footer);
        }
        let (length, sum) = (out.len() as u64, xxh3_128(&out));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&sum.to_le_bytes());
        out.extend_from_slice(&MAGIC);
        out
    }

    /// Where the directory begins in an object of `size` bytes that ends with `tail`; what is wrong with it if it cannot.
    pub(super) fn start(tail: &[u8], size: u64) -> Result<u64, &'static str> {
        let trailer = tail.len().checked_sub(TRAILER as usize).map(|from| &tail[from..]).ok_or("it is cut short")?;
        if trailer[24..] != MAGIC {
            return Err("it does not end as an index of this version does");
        }
        let length = Input(trailer).u64()?;
        let room = size.checked_sub(TRAILER + MAGIC.len() as u64).ok_or("it is cut short")?;
        if length > room { Err("its directory is longer than itself") } else { Ok(size - TRAILER - length) }
    }

    /// Reads the directory and the trailer, which begin at `start` of the object.
    pub(super) fn parse(bytes: &[u8], start: u64) -> Result<Self, &'static str> {
        let (body, trailer) =
            bytes.len().checked_sub(TRAILER as usize).map(|at| bytes.split_at(at)).ok_or("it is cut short")?;
        let mut trailer = Input(trailer);
        if trailer.u64()? != body.len() as u64 || trailer.u128()? != xxh3_128(body) {
            return Err("its directory is not what was written (xxh3)");
        }
        let mut input = Input(body);
        let columns = (0..input.u32()?).map(|_| input.text()).collect::<Result<Vec<_>, _>>()?;
        let mut entries = (0..input.u32()?).map(|_| input.entry(columns.len())).collect::<Result<Vec<_>, _>>()?;
        if !input.0.is_empty() || !entries.windows(2).all(|pair| pair[0].path < pair[1].path) {
            return Err("its directory is none");
        }
        // Lengths say where everything is.
        let mut at = MAGIC.len() as u64;
        let mut place = |blob: &mut Blob| {
            blob.start = at;
            at = at.saturating_add(u64::from(blob.length));
        };
        entries.iter_mut().flat_map(|entry| &mut entry.filters).for_each(|filter| place(&mut filter.blob));
        entries.iter_mut().for_each(|entry| place(&mut entry.footer));
        if at == start { Ok(Directory { columns, entries }) } else { Err("it is not as long as its directory says") }
    }
}

fn put_u32(out: &mut Vec<u8>, number: usize) {
    // Counts of what stands in memory: a directory is bounded by a month's segments.
    out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_u32(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_blob(out: &mut Vec<u8>, blob: &Blob) {
    out.extend_from_slice(&blob.length.to_le_bytes());
    out.extend_from_slice(&blob.sum.to_le_bytes());
}

/// What is left to be read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("its directory is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u16(&mut self) -> Result<u16, &'static str> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, &'static str> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn u128(&mut self) -> Result<u128, &'static str> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String, &'static str> {
        let length = self.u32()? as usize;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| "a name in its directory is no text")?;
        Ok(text.to_owned())
    }

    fn column(&mut self, columns: usize) -> Result<u16, &'static str> {
        let column = self.u16()?;
        if usize::from(column) < columns { Ok(column) } else { Err("its directory names a column that is not there") }
    }

    fn blob(&mut self) -> Result<Blob, &'static str> {
        Ok(Blob { start: 0, length: self.u32()?, sum: self.u128()? })
    }

    fn filter(&mut self, columns: usize) -> Result<Filter, &'static str> {
        let column = self.column(columns)?;
        let physical = match self.take(1)?[0] {
            0 => Physical::Bytes,
            1 => Physical::Int32,
            2 => Physical::Int64,
            _ => return Err("its directory names a type that this version does not know"),
        };
        Ok(Filter { column, physical, blob: self.blob()? })
    }

    fn entry(&mut self, columns: usize) -> Result<Entry, &'static str> {
        let (path, sha256, bytes) = (self.text()?, self.array()?, self.u64()?);
        let file = (0..self.u32()?).map(|_| self.column(columns)).collect::<Result<Vec<_>, _>>()?;
        let filters = (0..self.u32()?).map(|_| self.filter(columns)).collect::<Result<Vec<_>, _>>()?;
        Ok(Entry { path, sha256, bytes, columns: file, filters, footer: self.blob()? })
    }
}
