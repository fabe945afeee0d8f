//! What stands on the disk, whatever the ledger says of it: the bytes of records, and what the logs of tables name.
//!
//! Records are told apart by their `number`. Nothing here asks Holdfast: it is what a stranger would find.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::world::{SOURCE, World};

/// The numbers of all records that can be read anywhere: in segments, in the table or not, in quarantine, in raw objects.
pub fn standing(world: &World) -> BTreeSet<u32> {
    standing_beside(world, &BTreeSet::new())
}

/// The same, but for some files: `archive/…`, `collector/…`.
pub fn standing_beside(world: &World, others: &BTreeSet<String>) -> BTreeSet<u32> {
    let mut numbers = BTreeSet::new();
    for (path, bytes) in world.files("archive") {
        if path.contains("/_delta_log/") || others.contains(&format!("archive/{path}")) {
            continue;
        } else if path.ends_with(".parquet") {
            in_segment(bytes, &mut numbers);
        } else {
            in_text(&bytes, &mut numbers);
        }
    }
    for (path, bytes) in world.files(SOURCE) {
        if !others.contains(&format!("{SOURCE}/{path}")) {
            in_text(&bytes, &mut numbers);
        }
    }
    numbers
}

fn in_segment(bytes: Vec<u8>, numbers: &mut BTreeSet<u32>) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).unwrap().build().unwrap();
    for batch in reader {
        let batch = batch.unwrap();
        let column = batch.column_by_name("number").unwrap().as_primitive::<Int64Type>();
        numbers.extend(column.iter().flatten().map(|number| u32::try_from(number).unwrap()));
    }
}

fn in_text(bytes: &[u8], numbers: &mut BTreeSet<u32>) {
    let text = String::from_utf8_lossy(bytes);
    numbers.extend(text.split("\"number\":").skip(1).map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().unwrap()
    }));
}

/// Segments that some file of a table's log or index names, although they are not there: its reader learns of them.
pub fn named_though_gone(world: &World) -> Vec<String> {
    let files = world.files("archive");
    let mut found = Vec::new();
    for (path, bytes) in &files {
        if let Some((table, _)) = path.split_once("/_index/") {
            let gone = indexed(bytes).into_iter().filter(|segment| !files.contains_key(&format!("{table}/{segment}")));
            found.extend(gone.map(|segment| format!("{path} names {segment}")));
        }
        let Some((table, name)) = path.split_once("/_delta_log/") else { continue };
        let text = if name.ends_with(".parquet") { rows(bytes) } else { String::from_utf8_lossy(bytes).into_owned() };
        let named = text.split('"').filter(|word| word.starts_with("_hf_day=") && word.ends_with(".parquet"));
        let gone = named.filter(|segment| !files.contains_key(&format!("{table}/{segment}")));
        found.extend(gone.map(|segment| format!("{path} names {segment}")));
    }
    found
}

/// The segments that an index names: their paths stand in it as they are.
pub fn indexed(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let paths = text.match_indices("_hf_day=").filter_map(|(at, _)| {
        let end = text[at..].find(".parquet")? + ".parquet".len();
        Some(text[at..at + end].to_owned())
    });
    paths.collect()
}

/// All rows of a checkpoint, as text.
fn rows(bytes: &[u8]) -> String {
    let reader = SerializedFileReader::new(Bytes::copy_from_slice(bytes)).unwrap();
    reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect()
}
