//! What an index says of one segment: read from the segment itself, once its bytes are those that the ledger knows.

use bytes::Bytes;
use parquet::bloom_filter::Sbbf;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};

use crate::archive::index::{Blob, Entry, IndexObject, Physical, Unusable};
use crate::archive::segment_location;
use crate::error::{Error, Kind, Result};
use crate::ledger::Segment;
use crate::names::TableName;
use crate::pipeline::read_back::{StoreChunks, chunks};
use crate::storage::Store;

/// How often a filter may say that it has a value which it does not have.
const FALSE_POSITIVES: f64 = 0.01;
/// Values that are read at once.
const BATCH: usize = 8 << 10;

/// What an index says of a segment.
#[derive(Debug)]
pub struct Indexed {
    /// In the file's order, one for each leaf of its schema; of nested ones, whose others wrote, the outermost name.
    pub columns: Vec<String>,
    /// Column, how its values are stored, the filter's bits.
    pub filters: Vec<(String, Physical, Vec<u8>)>,
    pub footer: Bytes,
}

/// Reads a segment. Errs if it is not, byte for byte, what the ledger knows: damage must not live on in an index when the
/// segment is put back.
pub fn index_segment(archive: &Store, table: &TableName, segment: &Segment) -> Result<Indexed> {
    let path = segment_location(table, &segment.path);
    if archive.sha256(&path)?.as_ref() != Some(&segment.sha256) {
        return Err(Error::new(
            Kind::Damaged,
            format!("indexing {}", archive.describe(&path)),
            "its bytes are not those that were written (SHA-256), or it is missing",
        ));
    }
    let file = chunks(archive, &path)?;
    read(file)
        .map_err(|error| Error::from_source(Kind::Damaged, format!("indexing {}", archive.describe(&path)), error))
}

/// Compares what an index says of a segment with the segment; what is wrong there, if anything is. Errs if the segment is
/// not what the ledger knows.
pub fn compare_entry(
    archive: &Store,
    table: &TableName,
    segment: &Segment,
    index: &IndexObject,
    entry: &Entry,
) -> Result<Option<&'static str>> {
    let path = segment_location(table, &segment.path);
    let indexed = index_segment(archive, table, segment)?;
    let blobs: Vec<&Blob> = entry.filters.iter().map(|filter| &filter.blob).chain([&entry.footer]).collect();
    let bytes = match archive.wait(index.blobs(&blobs)) {
        Ok(bytes) => bytes.into_iter().collect::<Option<Vec<Bytes>>>(),
        Err(Unusable::Store(source)) => return Err(archive.failed("reading the index of", &path, source)),
        Err(Unusable::Missing | Unusable::Damaged(_)) => None,
    };
    let Some((footer, filters)) = bytes.as_ref().and_then(|bytes| bytes.split_last()) else {
        return Ok(Some("a filter or the footer is not what was written"));
    };
    let name = |column: u16| index.directory.columns[usize::from(column)].as_str();
    if *footer != indexed.footer || !entry.columns.iter().map(|&column| name(column)).eq(&indexed.columns) {
        return Ok(Some("the footer or the columns are not the segment's"));
    }
    let told = entry.filters.iter().map(|filter| (name(filter.column), filter.physical));
    if !told.eq(indexed.filters.iter().map(|(name, physical, _)| (name.as_str(), *physical))) {
        return Ok(Some("its filters are of other columns"));
    }
    let file = chunks(archive, &path)?;
    for (told, bits) in entry.filters.iter().zip(filters) {
        let filter = Sbbf::new(bits);
        let column = indexed.columns.iter().position(|column| column == name(told.column));
        let mut lacks = filter.num_blocks() == 0;
        if let Some(column) = column.filter(|_| !lacks) {
            let mut see = |value: Value<'_>| {
                lacks |= !match value {
                    Value::Bytes(bytes) => filter.check(bytes),
                    Value::Int32(number) => filter.check(&number),
                    Value::Int64(number) => filter.check(&number),
                };
            };
            values(&file, column, &mut see).map_err(|error| {
                Error::from_source(Kind::Damaged, format!("reading {}", archive.describe(&path)), error)
            })?;
        }
        if lacks {
            return Ok(Some("a filter lacks a value of its column"));
        }
    }
    Ok(None)
}

/// The bytes of a segment's footer.
pub fn footer_of(archive: &Store, table: &TableName, path: &str) -> Result<Bytes> {
    let path = segment_location(table, path);
    footer(&chunks(archive, &path)?)
        .map_err(|error| Error::from_source(Kind::Damaged, format!("reading {}", archive.describe(&path)), error))
}

fn footer(file: &StoreChunks) -> Result<Bytes, ParquetError> {
    /// The footer's length and the file's last word.
    const END: u64 = 8;
    /// Read at once: most footers, and their end.
    const TAIL: u64 = 64 << 10;
    let short = || ParquetError::EOF("it is too short".to_owned());
    let from = file.len().saturating_sub(TAIL);
    let tail = file.get_bytes(from, (file.len() - from) as usize)?;
    let end = file.len().checked_sub(END).ok_or_else(short)?;
    let last = &tail[(end - from) as usize..];
    let length = u64::from(u32::from_le_bytes([last[0], last[1], last[2], last[3]]));
    let start = end.checked_sub(length).ok_or_else(short)?;
    if start >= from {
        return Ok(tail.slice((start - from) as usize..(end - from) as usize));
    }
    file.get_bytes(start, length as usize)
}

fn read(file: StoreChunks) -> Result<Indexed, ParquetError> {
    let footer = footer(&file)?;
    let metadata = ParquetMetaDataReader::decode_metadata(&footer)?;
    let leaves = metadata.file_metadata().schema_descr().columns();
    let columns: Vec<String> = leaves.iter().filter_map(|leaf| leaf.path().parts().first().cloned()).collect();
    let mut filters = Vec::new();
    for (at, leaf) in leaves.iter().enumerate() {
        let has_filter = metadata.row_groups().iter().any(|group| group.column(at).bloom_filter_offset().is_some());
        let is_whole = leaf.path().parts().len() == 1;
        if let Some(physical) = Physical::of(leaf.physical_type()).filter(|_| has_filter && is_whole) {
            let mut bits = Vec::new();
            filter(&file, &metadata, at)?.write_bitset(&mut bits)?;
            filters.push((columns[at].clone(), physical, bits));
        }
    }
    Ok(Indexed { columns, filters, footer })
}

/// One filter of all values of a column: the file's own, where it has just one.
fn filter(file: &StoreChunks, metadata: &ParquetMetaData, column: usize) -> Result<Sbbf, ParquetError> {
    if let [group] = metadata.row_groups()
        && let Some(filter) = Sbbf::read_from_column_chunk(group.column(column), file)?
    {
        return Ok(filter);
    }
    let rows: i64 = metadata.row_groups().iter().map(|group| group.num_rows()).sum();
    let mut filter = Sbbf::new_with_ndv_fpp(u64::try_from(rows).unwrap_or_default().max(1), FALSE_POSITIVES)?;
    values(file, column, &mut |value| match value {
        Value::Bytes(bytes) => filter.insert(bytes),
        Value::Int32(number) => filter.insert(&number),
        Value::Int64(number) => filter.insert(&number),
    })?;
    // Sized for as many values as rows; most columns have fewer.
    filter.fold_to_target_fpp(FALSE_POSITIVES);
    Ok(filter)
}

/// One value as the file stores it.
enum Value<'a> {
    Bytes(&'a [u8]),
    Int32(i32),
    Int64(i64),
}

/// Shows every value of a column.
fn values(file: &StoreChunks, column: usize, see: &mut dyn FnMut(Value<'_>)) -> Result<(), ParquetError> {
    let file = SerializedFileReader::new(file.clone())?;
    for group in 0..file.metadata().num_row_groups() {
        match file.get_row_group(group)?.get_column_reader(column)? {
            ColumnReader::ByteArrayColumnReader(reader) => {
                each(reader, &mut |value: &ByteArray| see(Value::Bytes(value.data())))?;
            }
            ColumnReader::Int32ColumnReader(reader) => each(reader, &mut |value: &i32| see(Value::Int32(*value)))?,
            ColumnReader::Int64ColumnReader(reader) => each(reader, &mut |value: &i64| see(Value::Int64(*value)))?,
            _ => return Err(ParquetError::General("a column of this type has no filter".to_owned())),
        }
    }
    Ok(())
}

fn each<T: DataType>(mut reader: ColumnReaderImpl<T>, see: &mut dyn FnMut(&T::T)) -> Result<(), ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    loop {
        levels.clear();
        values.clear();
        let (records, _, _) = reader.read_records(BATCH, Some(&mut levels), None, &mut values)?;
        values.iter().for_each(&mut *see);
        if records == 0 {
            return Ok(());
        }
    }
}
