//! Looking into a segment without reading it: its footer, or nothing but the times of its rows.
//!
//! What is seen here is what the file says of itself: it is shown to people and decides nothing. Nobody checks the
//! file's bytes first, since that would read all of them; `verify` does.

use arrow::array::{Array, TimestampMicrosecondArray};
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::read_back::chunks;
use crate::error::{Error, Kind, Result};
use crate::storage::Store;

/// The footer of a segment, without its page index. Errors: it is not there, cannot be read, or is no Parquet.
pub fn footer(store: &Store, path: &Path) -> Result<ParquetMetaData> {
    let chunks = chunks(store, path)?;
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Skip)
        .parse_and_finish(&chunks)
        .map_err(|error| unreadable(store, path, error))
}

/// Tells `see` times of a column's values, in microseconds: of each row, or, where a row group lies within one stretch of
/// `granule` microseconds as its statistics say, one of them. A file without that column has none.
pub fn times(store: &Store, path: &Path, column: &str, granule: i64, see: &mut dyn FnMut(i64)) -> Result<()> {
    let failed = |error: ParquetError| unreadable(store, path, error);
    let builder = ParquetRecordBatchReaderBuilder::try_new(chunks(store, path)?).map_err(failed)?;
    let Some(at) = builder.parquet_schema().columns().iter().position(|one| one.path().string() == column) else {
        return Ok(());
    };
    let mut open = Vec::new();
    for (number, group) in builder.metadata().row_groups().iter().enumerate() {
        match bounds(group, at) {
            Some((first, last)) if first.div_euclid(granule) == last.div_euclid(granule) => see(first),
            _ => open.push(number),
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    let mask = ProjectionMask::leaves(builder.parquet_schema(), [at]);
    for batch in builder.with_projection(mask).with_row_groups(open).build().map_err(failed)? {
        let batch = batch.map_err(|error| unreadable(store, path, error.into()))?;
        let Some(times) = batch.column(0).as_any().downcast_ref::<TimestampMicrosecondArray>() else {
            let reason = format!("its column `{column}` holds no times");
            return Err(Error::new(Kind::Damaged, format!("reading {}", store.describe(path)), reason));
        };
        times.iter().flatten().for_each(&mut *see);
    }
    Ok(())
}

/// The smallest and the largest value of an integer column, if its statistics say them exactly.
fn bounds(group: &RowGroupMetaData, column: usize) -> Option<(i64, i64)> {
    match group.column(column).statistics()? {
        Statistics::Int64(values) if values.min_is_exact() && values.max_is_exact() => {
            Some((*values.min_opt()?, *values.max_opt()?))
        }
        _ => None,
    }
}

fn unreadable(store: &Store, path: &Path, error: ParquetError) -> Error {
    let kind = match &error {
        ParquetError::External(_) => Kind::Store,
        _ => Kind::Damaged,
    };
    Error::from_source(kind, format!("looking into {}", store.describe(path)), error)
}
