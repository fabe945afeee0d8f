//! Writes an index from front to end: the filters of all segments, then their footers, then what it says. Held in memory
//! is the directory alone (I11).

use std::collections::HashMap;
use std::io::Write;

use xxhash_rust::xxh3::xxh3_128;

use super::directory::{Blob, Directory, Entry, Filter, MAGIC, Physical};
use crate::error::{Error, Kind, Result};

/// A segment to be told of, without the bytes of its footer, which come later.
#[derive(Debug)]
pub struct NewEntry<'a> {
    /// Relative to the table.
    pub path: &'a str,
    pub sha256: [u8; 32],
    pub bytes: u64,
    /// The file's columns in its order.
    pub columns: Vec<&'a str>,
    /// Column, how its values are stored, the filter's bits.
    pub filters: Vec<(&'a str, Physical, &'a [u8])>,
    pub footer_length: u32,
    /// xxh3-128.
    pub footer_sum: u128,
}

/// Writes an index to `sink`.
#[derive(Debug)]
pub struct IndexWriter<W> {
    sink: W,
    written: u64,
    directory: Directory,
    places: HashMap<String, u16>,
    footers: usize,
}

impl<W: Write> IndexWriter<W> {
    pub fn new(mut sink: W) -> Result<Self> {
        sink.write_all(&MAGIC).map_err(failed)?;
        let written = MAGIC.len() as u64;
        Ok(IndexWriter { sink, written, directory: Directory::default(), places: HashMap::new(), footers: 0 })
    }

    /// Adds a segment with its filters. Segments come in the order of their paths.
    pub fn entry(&mut self, new: &NewEntry<'_>) -> Result<()> {
        let columns = new.columns.iter().map(|name| self.place(name)).collect::<Result<_>>()?;
        let mut filters = Vec::with_capacity(new.filters.len());
        for (name, physical, bits) in &new.filters {
            filters.push(Filter { column: self.place(name)?, physical: *physical, blob: self.write(bits)? });
        }
        let footer = Blob { start: 0, length: new.footer_length, sum: new.footer_sum };
        let (path, sha256, bytes) = (new.path.to_owned(), new.sha256, new.bytes);
        if self.directory.entries.last().is_some_and(|last| last.path >= path) {
            return Err(misused("its segments come in another order"));
        }
        self.directory.entries.push(Entry { path, sha256, bytes, columns, filters, footer });
        Ok(())
    }

    /// Adds the next segment's footer.
    pub fn footer(&mut self, bytes: &[u8]) -> Result<()> {
        let expected = self.directory.entries.get(self.footers).map(|entry| entry.footer);
        if !expected.is_some_and(|expected| expected.is(bytes)) {
            return Err(misused("a footer is not the one that was announced"));
        }
        self.directory.entries[self.footers].footer = self.write(bytes)?;
        self.footers += 1;
        Ok(())
    }

    /// Writes the directory. Gives the sink, and what was written: bytes of the whole object.
    pub fn finish(mut self) -> Result<(W, u64)> {
        if self.footers != self.directory.entries.len() {
            return Err(misused("footers are missing"));
        }
        let end = self.directory.print();
        self.sink.write_all(&end).map_err(failed)?;
        Ok((self.sink, self.written + end.len() as u64))
    }

    /// Gives the sink of an index that comes to nothing.
    pub fn abandon(self) -> W {
        self.sink
    }

    fn place(&mut self, name: &str) -> Result<u16> {
        if let Some(&place) = self.places.get(name) {
            return Ok(place);
        }
        let place = u16::try_from(self.directory.columns.len()).map_err(|_| misused("too many columns"))?;
        self.directory.columns.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        Ok(place)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Blob> {
        let length = u32::try_from(bytes.len()).map_err(|_| misused("a filter or footer is too long"))?;
        self.sink.write_all(bytes).map_err(failed)?;
        let blob = Blob { start: self.written, length, sum: xxh3_128(bytes) };
        self.written += u64::from(length);
        Ok(blob)
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::from_source(Kind::Store, "writing an index", source)
}

fn misused(reason: &str) -> Error {
    Error::new(Kind::Internal, "writing an index", reason)
}
