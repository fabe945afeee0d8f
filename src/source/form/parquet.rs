//! Parquet files, row by row: Azure's export job, Security Lake, and any other.
//!
//! A row becomes an object; members that are null are left out, at any depth but within lists. Numbers are numbers,
//! decimals too, by their digits; times and bytes as [`super::value`] says; lists, maps and structs are JSON. Types are
//! those of Parquet itself: what a writer noted for Arrow alone (a dictionary, a zone's name) is not asked for.
//! Invariants: as many rows come out as the file says it has, else it is `InvalidData`, as is a file that is cut off or
//! that the library cannot read, even if it panics (I1, I12); a failure of the file's reader comes as it was. Memory: of
//! each column a page, of which none may be longer than `max_record` bytes as it lies there, and a batch of rows of
//! about [`BATCH_BYTES`] (I11).

use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, FieldRef, Float16Type, Float32Type,
    Float64Type, Time32MillisecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder, WriterBuilder};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::produce::{Produce, Produced, damaged, read_some};
use super::value;

type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// What a batch of rows takes, as far as the file's own figures tell.
const BATCH_BYTES: u64 = 4 << 20;
const MOST_BATCH_ROWS: u64 = 1024;

/// Reads a whole file as NDJSON. Errors: those of `file`; `InvalidData` for what cannot be read to its end.
pub(in crate::source) fn open<F: Read + Seek + Send + 'static>(file: F, max_record: usize) -> io::Result<impl Read> {
    Ok(Produced::new(Rows { shared: Arc::new(Shared::new(file, max_record)?), reading: None }))
}

struct Rows<F> {
    shared: Arc<Shared<F>>,
    reading: Option<Reading>,
}

struct Reading {
    batches: ParquetRecordBatchReader,
    /// Rows that the file says are still to come.
    left: u64,
}

impl<F: Read + Seek + Send + 'static> Produce for Rows<F> {
    fn more(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        let answer = catch_unwind(AssertUnwindSafe(|| self.try_more(out)));
        if let Some(error) = self.shared.lock().failed.take() {
            return Err(error);
        }
        match answer {
            Ok(Ok(more)) => Ok(more),
            Ok(Err(reason)) => Err(damaged(format!("its Parquet cannot be read: {reason}"))),
            Err(_) => Err(damaged("its Parquet cannot be read: the library gave up on it")),
        }
    }
}

impl<F: Read + Seek + Send + 'static> Rows<F> {
    fn try_more(&mut self, out: &mut Vec<u8>) -> Result<bool, String> {
        let reading = match &mut self.reading {
            Some(reading) => reading,
            None => self.reading.insert(Reading::begin(&self.shared).map_err(|error| error.to_string())?),
        };
        match reading.batches.next() {
            Some(batch) => {
                let batch = batch.map_err(|error| error.to_string())?;
                let rows = batch.num_rows() as u64;
                reading.left = reading.left.checked_sub(rows).ok_or("it has more rows than it says")?;
                print(&batch, out).map_err(|error| error.to_string())?;
                Ok(true)
            }
            None if reading.left > 0 => Err(format!("{} of its rows are missing", reading.left)),
            None => Ok(false),
        }
    }
}

impl Reading {
    fn begin<F: Read + Seek + Send + 'static>(shared: &Arc<Shared<F>>) -> Result<Self, ParquetError> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let file = File(Arc::clone(shared));
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
        let groups = builder.metadata().row_groups();
        let mut left = 0u64;
        let mut batch_rows = MOST_BATCH_ROWS;
        for group in groups {
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            let bytes = u64::try_from(group.total_byte_size()).unwrap_or(0);
            left = left.saturating_add(rows);
            batch_rows = batch_rows.min(BATCH_BYTES / (bytes / rows.max(1)).max(1)).max(1);
        }
        let batches = builder.with_batch_size(usize::try_from(batch_rows).unwrap_or(1)).build()?;
        Ok(Reading { batches, left })
    }
}

/// Appends each row as a line.
fn print(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let mut writer = WriterBuilder::new().with_encoder_factory(Arc::new(Lossless)).build::<_, LineDelimited>(out);
    writer.write(batch)?;
    writer.finish()
}

/// Prints what Arrow's own writer prints with a loss: bytes, floats that are no number, and times beyond its calendar.
#[derive(Debug)]
struct Lossless;

impl EncoderFactory for Lossless {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        macro_rules! each {
            ($kind:ty, $print:expr) => {{
                let values = array.as_primitive::<$kind>();
                encoder(array, move |row, out| $print(values.value(row), out))
            }};
        }
        let time = |digits| move |count: i64, out: &mut Vec<u8>| value::time_of_day(count, digits, out);
        Ok(Some(match array.data_type() {
            DataType::Binary => {
                let values = array.as_binary::<i32>();
                encoder(array, move |row, out| value::base64(values.value(row), out))
            }
            DataType::FixedSizeBinary(_) => {
                let values = array.as_fixed_size_binary();
                encoder(array, move |row, out| value::base64(values.value(row), out))
            }
            DataType::Float16 => each!(Float16Type, |number: Half, out| value::float(number.to_f32(), out)),
            DataType::Float32 => each!(Float32Type, value::float),
            DataType::Float64 => each!(Float64Type, value::float),
            DataType::Decimal128(_, scale) => {
                let scale = *scale;
                each!(Decimal128Type, move |number: i128, out| decimal(&number.to_string(), scale, out))
            }
            DataType::Decimal256(_, scale) => {
                let scale = *scale;
                each!(Decimal256Type, move |number: arrow::datatypes::i256, out| {
                    decimal(&number.to_string(), scale, out);
                })
            }
            DataType::Date32 => each!(Date32Type, value::date),
            DataType::Time32(TimeUnit::Millisecond) => {
                let print = time(3);
                each!(Time32MillisecondType, move |count: i32, out| print(count.into(), out))
            }
            DataType::Time64(TimeUnit::Microsecond) => each!(Time64MicrosecondType, time(6)),
            DataType::Time64(TimeUnit::Nanosecond) => each!(Time64NanosecondType, time(9)),
            DataType::Timestamp(unit, zone) => {
                let local = zone.is_none();
                let stamp = move |digits| move |count, out: &mut Vec<u8>| value::timestamp(count, digits, local, out);
                match unit {
                    TimeUnit::Millisecond => each!(TimestampMillisecondType, stamp(3)),
                    TimeUnit::Microsecond => each!(TimestampMicrosecondType, stamp(6)),
                    TimeUnit::Nanosecond => each!(TimestampNanosecondType, stamp(9)),
                    TimeUnit::Second => return Ok(None),
                }
            }
            _ => return Ok(None),
        }))
    }
}

/// A decimal as a JSON number, digit by digit.
fn decimal(digits: &str, scale: i8, out: &mut Vec<u8>) {
    match usize::try_from(scale).ok().and_then(|scale| value::with_point(digits, scale)) {
        Some(text) => out.extend_from_slice(text.as_bytes()),
        None => value::quoted(&format!("{digits}e{}", -i32::from(scale)), out),
    }
}

fn encoder<'a>(array: &'a dyn Array, print: impl FnMut(usize, &mut Vec<u8>) + 'a) -> NullableEncoder<'a> {
    NullableEncoder::new(Box::new(Each(print)), array.nulls().cloned())
}

/// Prints the value of a row.
struct Each<F>(F);

impl<F: FnMut(usize, &mut Vec<u8>)> Encoder for Each<F> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        self.0(row, out);
    }
}

/// The file, and the first failure of its reader: the library words errors anew.
struct Shared<F> {
    held: Mutex<Held<F>>,
    size: u64,
    most_bytes: usize,
}

struct Held<F> {
    file: F,
    failed: Option<io::Error>,
}

impl<F: Read + Seek> Shared<F> {
    fn new(mut file: F, most_bytes: usize) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        Ok(Shared { held: Mutex::new(Held { file, failed: None }), size, most_bytes })
    }

    fn lock(&self) -> MutexGuard<'_, Held<F>> {
        // A panic in between leaves a place in the file, and each reading says its own.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let held = &mut *self.lock();
        let answer = held.file.seek(SeekFrom::Start(at)).and_then(|_| read_some(&mut held.file, into));
        answer.map_err(|error| {
            let told = io::Error::new(error.kind(), "the object cannot be read");
            held.failed.get_or_insert(error);
            told
        })
    }
}

struct File<F>(Arc<Shared<F>>);

impl<F: Read + Seek> Length for File<F> {
    fn len(&self) -> u64 {
        self.0.size
    }
}

impl<F: Read + Seek + Send> ChunkReader for File<F> {
    type T = BufReader<Part<F>>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(BufReader::new(Part { shared: Arc::clone(&self.0), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if length > self.0.most_bytes {
            let reason =
                format!("{length} bytes in one piece, more than the {} that fit this memory", self.0.most_bytes);
            return Err(ParquetError::General(reason));
        }
        let mut bytes = Vec::with_capacity(length);
        let part = Part { shared: Arc::clone(&self.0), at: start };
        let read = part.take(length as u64).read_to_end(&mut bytes)?;
        if read < length {
            return Err(ParquetError::EOF(format!("{length} bytes at {start} go beyond its end")));
        }
        Ok(bytes.into())
    }
}

/// The file from a place on.
struct Part<F> {
    shared: Arc<Shared<F>>,
    at: u64,
}

impl<F: Read + Seek> Read for Part<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.shared.read_at(self.at, into)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<F> fmt::Debug for Shared<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "parquet_tests.rs"]
mod tests;
