//! Where rows go, in which format. A file has its name only once it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder};
use arrow::json::{Writer as JsonWriter, WriterBuilder as JsonWriterBuilder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::text::TextRows;
use crate::archive::schema::TYPE_KEY;
use crate::cli::args::Format;
use crate::error::{Error, Kind, Result};
use crate::search::Query;

/// Takes the rows of an answer.
pub enum RowWriter {
    Text(Box<TextRows>, Place),
    Json(Box<JsonWriter<Place, LineDelimited>>),
    Csv(Box<arrow::csv::Writer<Place>>),
    Parquet(Box<ArrowWriter<Place>>, SchemaRef),
    Arrow(Box<StreamWriter<Place>>, SchemaRef),
}

impl RowWriter {
    pub fn create(format: Format, file: Option<&Path>, query: &Query, width: Option<usize>) -> Result<Self> {
        let schema = query.schema();
        let place = Place::create(file)?;
        let plain = plain(schema);
        let failed = |error: ArrowError| Error::from_source(Kind::Internal, "writing the answer", error);
        Ok(match format {
            Format::Text | Format::Markdown | Format::Html => {
                RowWriter::Text(Box::new(TextRows::new(schema, width)), place)
            }
            Format::Json => {
                // Of hundreds of columns most are null; of columns that were named, a null is an answer.
                let nulls = !query.asks_for_every_column();
                let builder = JsonWriterBuilder::new().with_explicit_nulls(nulls);
                let builder = builder.with_encoder_factory(Arc::new(NestedAsIs));
                RowWriter::Json(Box::new(builder.build(place)))
            }
            Format::Csv => {
                let builder = arrow::csv::WriterBuilder::new().with_header(true);
                let mut writer = builder.build(place);
                // The head stands even over no rows.
                let flat = flat(&RecordBatch::new_empty(Arc::clone(schema))).map_err(failed)?;
                writer.write(&flat).map_err(failed)?;
                RowWriter::Csv(Box::new(writer))
            }
            Format::Parquet => {
                let level = ZstdLevel::try_new(3).map_err(|error| failed(error.into()))?;
                let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
                let writer = ArrowWriter::try_new(place, Arc::clone(&plain), Some(properties));
                RowWriter::Parquet(Box::new(writer.map_err(|error| failed(error.into()))?), plain)
            }
            Format::Arrow => {
                let writer = StreamWriter::try_new(place, &plain).map_err(failed)?;
                RowWriter::Arrow(Box::new(writer), plain)
            }
        })
    }

    /// Takes a batch. `Ok(false)`: nobody reads any more.
    pub fn take(&mut self, batch: &RecordBatch) -> Result<bool> {
        let taken = match self {
            RowWriter::Text(rows, _) => rows.take(batch),
            RowWriter::Json(writer) => writer.write(batch).and_then(|()| flushed(writer.get_mut())),
            RowWriter::Csv(writer) => flat(batch).and_then(|batch| writer.write(&batch)),
            RowWriter::Parquet(writer, schema) => {
                plainly(batch, schema).and_then(|batch| writer.write(&batch).map_err(ArrowError::from))
            }
            RowWriter::Arrow(writer, schema) => plainly(batch, schema).and_then(|batch| writer.write(&batch)),
        };
        taken.map(|()| true).or_else(closed)
    }

    /// Ends the answer; `last` is a last line for formats that have one. The file appears under its name. Says how many bytes
    /// were written.
    pub fn finish(self, last: &str) -> Result<u64> {
        let failed = |error: ArrowError| {
            let closed = matches!(&error, ArrowError::IoError(_, source) if source.kind() == io::ErrorKind::BrokenPipe);
            (!closed).then(|| unwritten(&error.to_string()))
        };
        let place = match self {
            RowWriter::Text(rows, mut place) => {
                let mut lines = rows.lines().into_iter();
                lines.try_for_each(|line| writeln!(place, "{line}")).map(|()| place).map_err(ArrowError::from)
            }
            RowWriter::Json(mut writer) => writer
                .finish()
                .map(|()| writer.into_inner())
                .and_then(|mut place| writeln!(place, "{last}").map(|()| place).map_err(ArrowError::from)),
            RowWriter::Csv(writer) => Ok(writer.into_inner()),
            RowWriter::Parquet(writer, _) => writer.into_inner().map_err(ArrowError::from),
            RowWriter::Arrow(writer, _) => writer.into_inner(),
        };
        match place {
            Ok(place) => place.finish(),
            Err(error) => failed(error).map_or(Ok(0), Err),
        }
    }
}

/// Removes what was written of a file that is given up.
pub fn abandon(file: &Path) {
    let partial = format!("{}.partial", file.display());
    if let Err(error) = fs::remove_file(&partial) {
        tracing::debug!(%error, partial, "a partial file could not be removed");
    }
}

fn flushed(place: &mut Place) -> Result<(), ArrowError> {
    place.flush().map_err(ArrowError::from)
}

/// Whoever read stdout has enough (`| head`).
fn closed(error: ArrowError) -> Result<bool> {
    match &error {
        ArrowError::IoError(_, source) if source.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        error => Err(unwritten(&error.to_string())),
    }
}

fn unwritten(reason: &str) -> Error {
    Error::new(Kind::Store, "writing the answer", reason)
        .with_hint("the archive is untouched; free space or choose another place, and search again")
        .of_answer()
}

/// Text as every reader knows it: views are young, and few read them.
fn plain(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8View => Field::new(field.name(), DataType::Utf8, field.is_nullable()),
        _ => field.as_ref().clone().with_metadata(Default::default()),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn plainly(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| cast(column, field.data_type()));
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}

/// Lists and structures as text: CSV knows none.
fn flat(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !batch.columns().iter().any(|column| column.data_type().is_nested()) {
        return Ok(batch.clone());
    }
    let options = FormatOptions::default();
    let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| {
        if !column.data_type().is_nested() {
            return Ok((field.as_ref().clone(), Arc::clone(column)));
        }
        let shown = ArrayFormatter::try_new(column, &options)?;
        let texts = (0..column.len()).map(|row| column.is_valid(row).then(|| shown.value(row).to_string()));
        let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
        Ok((Field::new(field.name(), DataType::Utf8, true), texts))
    });
    let (fields, columns): (Vec<_>, Vec<_>) = columns.collect::<Result<Vec<_>, ArrowError>>()?.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// stdout, or a file that has its name only once it is whole; counts its bytes.
pub struct Place {
    out: Out,
    bytes: u64,
}

enum Out {
    Stdout(BufWriter<io::Stdout>),
    File { file: BufWriter<File>, partial: PathBuf, path: PathBuf },
}

impl Place {
    fn create(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Place { out: Out::Stdout(BufWriter::with_capacity(1 << 16, io::stdout())), bytes: 0 });
        };
        let partial = PathBuf::from(format!("{}.partial", path.display()));
        let file = File::create(&partial).map_err(|error| unwritten(&format!("{}: {error}", partial.display())))?;
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok(Place { out: Out::File { file, partial, path: path.to_owned() }, bytes: 0 })
    }

    fn finish(mut self) -> Result<u64> {
        match self.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(self.bytes),
            other => other.map_err(|error| unwritten(&error.to_string()))?,
        }
        if let Out::File { file, partial, path } = self.out {
            let named = file.get_ref().sync_all().and_then(|()| fs::rename(&partial, &path));
            named.map_err(|error| unwritten(&format!("{}: {error}", path.display())))?;
        }
        Ok(self.bytes)
    }
}

impl Write for Place {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.out {
            Out::Stdout(stdout) => stdout.write(bytes),
            Out::File { file, .. } => file.write(bytes),
        }?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::Stdout(stdout) => stdout.flush(),
            Out::File { file, .. } => file.flush(),
        }
    }
}

/// Nested values stand in JSON lines as they are, not as texts of themselves.
#[derive(Debug)]
struct NestedAsIs;

impl EncoderFactory for NestedAsIs {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let nested = field.metadata().get(TYPE_KEY).is_some_and(|kind| kind == "json");
        let texts = array.as_any().downcast_ref::<arrow::array::StringViewArray>().filter(|_| nested);
        Ok(texts.map(|texts| NullableEncoder::new(Box::new(AsIs(texts)), array.nulls().cloned())))
    }
}

struct AsIs<'a>(&'a arrow::array::StringViewArray);

impl Encoder for AsIs<'_> {
    fn encode(&mut self, at: usize, out: &mut Vec<u8>) {
        // Line ends in it stand between tokens: strings hold none unescaped. One record stays one line.
        out.extend(self.0.value(at).bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    }
}
