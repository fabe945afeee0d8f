//! Chunks are written into files and read back by Parquet's own reader; what Parquet's own writer says of the same
//! values is what ours must say.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::properties::{EnabledStatistics, ReaderProperties, WriterProperties};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::chunk::{ChunkEncoder, ChunkOptions, ChunkValues, Distinct, EncodedChunk, NULL, Texts};
use super::chunk_samples::{Dice, Look};
use crate::error::{Kind, Result};

/// The ids of values, and each value once; or each occurrence, if they are not to be interned.
fn number<K: Eq + Hash + Clone>(rows: &[Option<K>], intern: bool) -> (Vec<u32>, Vec<K>) {
    let (mut seen, mut values) = (HashMap::new(), Vec::new());
    let ids = rows.iter().map(|row| {
        let Some(value) = row else { return NULL };
        let mut next = || {
            values.push(value.clone());
            values.len() as u32 - 1
        };
        if intern { *seen.entry(value.clone()).or_insert_with(next) } else { next() }
    });
    (ids.collect(), values)
}

fn texts(rows: &[Option<String>], intern: bool) -> ChunkValues {
    let (ids, values) = number(rows, intern);
    let mut texts = Texts::default();
    values.iter().for_each(|value| texts.push(value.as_bytes()));
    assert_eq!(texts.len(), values.len());
    ChunkValues { ids, distinct: Distinct::Text(texts) }
}

/// The same rows for us and for Parquet.
fn both(array: &ArrayRef, intern: bool) -> ChunkValues {
    let (ids, distinct) = if let Some(array) = array.as_string_opt::<i32>() {
        return texts(&array.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>(), intern);
    } else if let Some(array) = array.as_boolean_opt() {
        let (ids, values) = number(&array.iter().collect::<Vec<_>>(), intern);
        (ids, Distinct::Bool(values))
    } else if let Some(array) = array.as_any().downcast_ref::<Int32Array>() {
        let (ids, values) = number(&array.iter().collect::<Vec<_>>(), intern);
        (ids, Distinct::Int(values))
    } else if let Some(array) = array.as_any().downcast_ref::<Int64Array>() {
        let (ids, values) = number(&array.iter().collect::<Vec<_>>(), intern);
        (ids, Distinct::Long(values))
    } else {
        let array = array.as_any().downcast_ref::<Float64Array>().unwrap();
        let rows: Vec<_> = array.iter().map(|value| value.map(f64::to_bits)).collect();
        let (ids, values) = number(&rows, intern);
        (ids, Distinct::Double(values.into_iter().map(f64::from_bits).collect()))
    };
    ChunkValues { ids, distinct }
}

fn schema_of(array: &ArrayRef) -> (Schema, SchemaDescriptor) {
    let schema = Schema::new(vec![Field::new("c", array.data_type().clone(), true)]);
    let parquet = ArrowSchemaConverter::new().convert(&schema).unwrap();
    (schema, parquet)
}

fn column_of(array: &ArrayRef) -> ColumnDescPtr {
    schema_of(array).1.column(0)
}

fn properties(options: &ChunkOptions) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap()))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_row_count_limit(options.page_rows)
        .set_write_batch_size(options.page_rows)
        .set_data_page_size_limit(usize::MAX / 2)
        .build()
}

/// A file of one column: a row group for each of the chunks.
fn file_of(array: &ArrayRef, chunks: Vec<EncodedChunk>) -> Bytes {
    let properties = Arc::new(properties(&ChunkOptions::default()));
    let mut file = SerializedFileWriter::new(Vec::new(), schema_of(array).1.root_schema_ptr(), properties).unwrap();
    for chunk in chunks {
        let mut group = file.next_row_group().unwrap();
        chunk.append_to(&mut group).unwrap();
        group.close().unwrap();
    }
    file.into_inner().unwrap().into()
}

fn parquets_own(array: &ArrayRef, options: &ChunkOptions) -> Bytes {
    let schema = Arc::new(schema_of(array).0);
    let mut file = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties(options))).unwrap();
    file.write(&RecordBatch::try_new(schema, vec![array.clone()]).unwrap()).unwrap();
    file.into_inner().unwrap().into()
}

fn metadata(file: &Bytes) -> Arc<ParquetMetaData> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let options = options.with_encoding_stats_as_mask(false);
    ArrowReaderMetadata::load(file, options).unwrap().metadata().clone()
}

fn read(file: &Bytes, selection: Option<RowSelection>) -> ArrayRef {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let mut builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options).unwrap();
    if let Some(selection) = selection {
        builder = builder.with_row_selection(selection);
    }
    let schema = builder.schema().clone();
    let batches: Vec<_> = builder.build().unwrap().collect::<std::result::Result<_, _>>().unwrap();
    concat_batches(&schema, &batches).unwrap().column(0).clone()
}

fn encode(array: &ArrayRef, values: &ChunkValues, options: &ChunkOptions) -> Result<EncodedChunk> {
    ChunkEncoder::new(1).unwrap().encode(&column_of(array), values, options)
}

fn chunk_of(file: &Bytes) -> ColumnChunkMetaData {
    metadata(file).row_group(0).column(0).clone()
}

/// Encodes the rows, reads them back in every way, and holds what is said of them against Parquet's own words.
fn check(array: &ArrayRef, intern: bool, options: &ChunkOptions) -> Bytes {
    let values = both(array, intern);
    let file = file_of(array, vec![encode(array, &values, options).unwrap()]);
    assert_eq!(&read(&file, None), array);

    let meta = metadata(&file);
    let rows = array.len();
    let pages = meta.offset_index().unwrap()[0][0].page_locations().clone();
    // Single rows, picked by the page index: around each page's ends.
    let mut picked: Vec<usize> = pages
        .iter()
        .flat_map(|page| [page.first_row_index as usize, (page.first_row_index as usize).max(1) - 1])
        .collect();
    picked.push(rows - 1);
    picked.sort_unstable();
    picked.dedup();
    let mut selectors = Vec::new();
    let mut at = 0;
    for &row in &picked {
        selectors.extend([RowSelector::skip(row - at), RowSelector::select(1)]);
        at = row + 1;
    }
    let some = read(&file, Some(RowSelection::from(selectors)));
    for (place, &row) in picked.iter().enumerate() {
        assert_eq!(some.slice(place, 1).as_ref(), array.slice(row, 1).as_ref(), "row {row}");
    }

    let (ours, theirs) = (chunk_of(&file), parquets_own(array, options));
    let parquets = chunk_of(&theirs);
    assert_eq!(ours.num_values(), parquets.num_values());
    assert_eq!(ours.statistics(), parquets.statistics());
    assert_eq!(ours.definition_level_histogram(), parquets.definition_level_histogram());
    assert_eq!(ours.repetition_level_histogram(), parquets.repetition_level_histogram());
    assert_eq!(meta.row_group(0).num_rows(), rows as i64);
    if let Some(texts) = array.as_string_opt::<i32>() {
        let bytes: usize = texts.iter().flatten().map(str::len).sum();
        assert_eq!(ours.unencoded_byte_array_data_bytes(), Some(bytes as i64));
        let by_page = meta.offset_index().unwrap()[0][0].unencoded_byte_array_data_bytes().unwrap();
        assert_eq!((by_page.len(), by_page.iter().sum::<i64>()), (pages.len(), bytes as i64));
    } else {
        assert_eq!(ours.unencoded_byte_array_data_bytes(), None);
    }
    let their_pages = metadata(&theirs).offset_index().unwrap()[0][0].page_locations().clone();
    let firsts = |pages: &[PageLocation]| pages.iter().map(|page| page.first_row_index).collect::<Vec<_>>();
    if firsts(&pages) == firsts(&their_pages) {
        assert_eq!(meta.column_index(), metadata(&theirs).column_index());
    } else if let ColumnIndexMetaData::BYTE_ARRAY(index) = &meta.column_index().unwrap()[0][0] {
        // Ours have fewer rows where bytes were too many: each page is described as if it were a chunk.
        for (at, first) in firsts(&pages).into_iter().enumerate() {
            let end = pages.get(at + 1).map_or(rows, |next| next.first_row_index as usize);
            let page = array.slice(first as usize, end - first as usize);
            let described = chunk_of(&parquets_own(&page, options));
            let described = described.statistics().unwrap();
            assert_eq!(index.null_count(at), described.null_count_opt().map(|nulls| nulls as i64));
            assert_eq!(index.min_value(at), described.min_bytes_opt());
            assert_eq!(index.max_value(at), described.max_bytes_opt());
        }
    }
    file
}

fn looks() -> impl Strategy<Value = Look> {
    let pool = prop_oneof![1u64..3, 3u64..40, 40u64..2000, Just(u64::MAX >> 12)];
    let nulls = prop_oneof![Just(0u64), Just(100), 1u64..99];
    let run = prop_oneof![Just(1u64), 2u64..40, 40u64..400];
    (any::<u64>(), 1usize..900, pool, nulls, run, any::<bool>()).prop_map(
        |(seed, rows, pool, nulls_percent, run, sorted)| Look { seed, rows, pool, nulls_percent, run, sorted },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, rng_seed: RngSeed::Fixed(2), ..ProptestConfig::default() })]

    #[test]
    fn i9_any_column_is_read_back_and_described_as_parquet_does(
        look in looks(),
        intern in any::<bool>(),
        page_rows in prop_oneof![Just(65_536usize), 1usize..300],
        page_bytes in prop_oneof![Just(1usize << 20), 100usize..5000],
    ) {
        let options = ChunkOptions { page_rows, page_bytes, ..ChunkOptions::default() };
        for kind in 0..5 {
            check(&look.column(kind), intern, &options);
        }
    }

    #[test]
    fn any_numbers_differ_as_parquet_reads_them(longs in prop::collection::vec(any::<i64>(), 1..400)) {
        let ints: Int32Array = longs.iter().map(|&long| Some(long as i32)).collect();
        let small: Int64Array = longs.iter().map(|&long| Some(long >> 55)).collect();
        let options = ChunkOptions::default();
        for array in [Arc::new(ints) as ArrayRef, Arc::new(small), Arc::new(Int64Array::from(longs))] {
            let file = check(&array, false, &options);
            assert_eq!(encodings(&file).last(), Some(&Encoding::DELTA_BINARY_PACKED));
        }
    }
}

/// Of the pages: of the dictionary, if there is one, then of the data.
fn encodings(file: &Bytes) -> Vec<Encoding> {
    chunk_of(file).page_encoding_stats().unwrap().iter().map(|stats| stats.encoding).collect()
}

#[test]
fn a_dictionary_is_made_where_it_pays() {
    let options = ChunkOptions::default();
    let dictionary = [Encoding::PLAIN, Encoding::RLE_DICTIONARY];
    let few = Look { seed: 7, rows: 5000, pool: 40, nulls_percent: 10, run: 3, sorted: false };
    let many = Look { pool: 1 << 40, run: 1, ..few.clone() };
    let distinct: ArrayRef = Arc::new((0..5000).map(|at| Some(format!("{at:08}"))).collect::<StringArray>());
    for (kind, bare) in [
        (0, Encoding::DELTA_LENGTH_BYTE_ARRAY),
        (1, Encoding::PLAIN),
        (2, Encoding::DELTA_BINARY_PACKED),
        (3, Encoding::DELTA_BINARY_PACKED),
        (4, Encoding::PLAIN),
    ] {
        let with = encodings(&check(&few.column(kind), true, &options));
        assert_eq!(with, if kind == 1 { vec![bare] } else { dictionary.to_vec() });
        // Our texts repeat themselves whatever their pool.
        let many = if kind == 0 { distinct.clone() } else { many.column(kind) };
        assert_eq!(encodings(&check(&many, true, &options)), [bare]);
        assert_eq!(encodings(&check(&few.column(kind), false, &options)), [bare], "each occurrence by itself");
    }
    // Half of the values are new, yet their differences are smaller than a dictionary of them.
    let counted: ArrayRef = Arc::new((0..5000).map(|at| Some(at / 2)).collect::<Int64Array>());
    assert_eq!(encodings(&check(&counted, true, &options)), [Encoding::DELTA_BINARY_PACKED]);
    // A dictionary that is too large for a reader.
    let small = ChunkOptions { dictionary_bytes: 100, ..options };
    let bare = [Encoding::DELTA_LENGTH_BYTE_ARRAY];
    assert_eq!(encodings(&check(&few.column(0), true, &small)), bare);
}

#[test]
fn large_and_odd_columns() {
    let options = ChunkOptions { page_rows: 20_000, ..ChunkOptions::default() };
    for (pool, run) in [(70, 1), (30_000, 1), (1 << 40, 1), (12, 900)] {
        let look = Look { seed: 3, rows: 70_000, pool, nulls_percent: 20, run, sorted: false };
        for kind in if pool == 70 { 0..5 } else { 0..1 } {
            let file = check(&look.column(kind), true, &options);
            let pages = metadata(&file).offset_index().unwrap()[0][0].page_locations().len();
            assert!(pages >= 4, "{pages}");
        }
    }
    let one = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    for text in ["", "a", &"\u{10FFFF}".repeat(17), &"é".repeat(33), &"a\u{10FFFF}".repeat(20)] {
        check(&one(text), true, &options);
    }
    // Texts that differ late, and one that ends where the others differ.
    for last in ["CONTOSO\\user", "CONTOSO\\user0", "CONT", ""] {
        let texts = (0..3000).map(|row| format!("CONTOSO\\user{}{}", row * 7919 % 3000, "\0".repeat(row % 3)));
        let array: ArrayRef = Arc::new(texts.chain([last.to_owned()]).map(Some).collect::<StringArray>());
        check(&array, true, &ChunkOptions { page_rows: 400, ..options.clone() });
    }
    // The same value all the time: no bit for each.
    let same: ArrayRef = Arc::new(StringArray::from(vec!["constant"; 70_000]));
    assert!(check(&same, true, &options).len() < 2000);
}

#[test]
fn noise_is_not_searched_longer_than_it_pays() {
    let mut noise = Dice(9);
    let random: ArrayRef =
        Arc::new((0..30_000).map(|_| Some(format!("{:016x}", noise.below(u64::MAX)))).collect::<StringArray>());
    let alike: ArrayRef = Arc::new(
        (0..30_000u64)
            .map(|row| Some(format!("user {} opened door {}", row * 7919 % 911, row % 37)))
            .collect::<StringArray>(),
    );
    let sizes = [1, 9].map(|level| {
        let mut encoder = ChunkEncoder::new(level).unwrap();
        // Without a dictionary, with a large one, and with a small one: each after the other, by the same encoder.
        [(&random, false), (&random, true), (&alike, false), (&alike, true)].map(|(array, intern)| {
            let options = ChunkOptions { page_rows: 20_000, ..ChunkOptions::default() };
            let chunk = encoder.encode(&column_of(array), &both(array, intern), &options).unwrap();
            let file = file_of(array, vec![chunk]);
            assert_eq!(&read(&file, None), array);
            file.len()
        })
    });
    let percent = |at: usize| sizes[1][at] * 100 / sizes[0][at];
    assert!((98..=100).contains(&percent(0)), "{sizes:?}");
    assert!(percent(2) < 90, "{sizes:?}");
}

#[test]
fn i11_a_giant_has_a_page_to_itself_and_leaves_no_memory_behind() {
    let options = ChunkOptions { page_bytes: 1000, ..ChunkOptions::default() };
    let rows: Vec<String> =
        (0..50usize).map(|row| "g".repeat(if row % 10 == 5 { 300_000 + row } else { row })).collect();
    let array: ArrayRef = Arc::new(StringArray::from(rows));
    let values = both(&array, false);
    let mut encoder = ChunkEncoder::new(1).unwrap();
    let chunk = encoder.encode(&column_of(&array), &values, &options).unwrap();
    assert!(encoder.held_bytes() <= 4 * 2000 + 2000, "{}", encoder.held_bytes());
    let file = file_of(&array, vec![chunk]);
    assert_eq!(&read(&file, None), &array);
    let index = metadata(&file).offset_index().unwrap()[0][0].clone();
    let starts: Vec<i64> = index.page_locations().iter().map(|page| page.first_row_index).collect();
    assert_eq!(starts, [0, 5, 6, 15, 16, 25, 26, 35, 36, 45, 46]);
    assert_eq!(index.unencoded_byte_array_data_bytes().unwrap()[1], 300_005);
}

#[test]
fn chunks_without_values_or_rows() {
    let options = ChunkOptions { page_rows: 10, bloom: true, ..ChunkOptions::default() };
    let look = Look { seed: 1, rows: 25, pool: 1, nulls_percent: 100, run: 1, sorted: false };
    for kind in 0..5 {
        let array = look.column(kind);
        let file = check(&array, true, &options);
        assert_eq!(encodings(&file), [Encoding::PLAIN]);
        let nothing = both(&array.slice(0, 0), true);
        let chunk = encode(&array, &nothing, &options).unwrap();
        assert!(chunk.bytes.is_empty());
        let full = encode(&array, &both(&array, true), &options).unwrap();
        let file = file_of(&array, vec![chunk, full]);
        let read = SerializedFileReader::new(file.clone()).unwrap();
        assert_eq!(read.metadata().row_group(0).num_rows(), 0);
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        assert_eq!(builder.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 25);
    }
}

#[test]
fn bloom_filters_have_every_value_and_few_others() {
    let options = ChunkOptions { bloom: true, ..ChunkOptions::default() };
    let rows = || (0..20_000u32).map(|row| row % 4000);
    let columns: [ArrayRef; 3] = [
        Arc::new(rows().map(|row| Some(format!("host-{row}"))).collect::<StringArray>()),
        Arc::new(rows().map(|row| Some(row as i32)).collect::<Int32Array>()),
        Arc::new(rows().map(|row| Some(i64::from(row))).collect::<Int64Array>()),
    ];
    for (array, intern) in columns.iter().flat_map(|array| [(array, true), (array, false)]) {
        let file = file_of(array, vec![encode(array, &both(array, intern), &options).unwrap()]);
        let reader_options = ReadOptionsBuilder::new()
            .with_reader_properties(ReaderProperties::builder().set_read_bloom_filter(true).build());
        let reader = SerializedFileReader::new_with_options(file, reader_options.build()).unwrap();
        let group = reader.get_row_group(0).unwrap();
        let filter = group.get_column_bloom_filter(0).unwrap();
        let has = |row: u32| match array.data_type() {
            arrow::datatypes::DataType::Utf8 => filter.check(&format!("host-{row}").as_str()),
            arrow::datatypes::DataType::Int32 => filter.check(&(row as i32)),
            _ => filter.check(&i64::from(row)),
        };
        assert!((0..4000).all(has));
        let wrong = (4000..24_000).filter(|&row| has(row)).count();
        assert!(wrong < 400, "{wrong} of 20000");
        // Room for the different values, however often each stands there.
        assert!(filter.num_blocks() * 32 <= 8192, "{}", filter.num_blocks());
    }
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    assert!(encode(&doubles, &both(&doubles, true), &options).unwrap().close.bloom_filter.is_none());
}

#[test]
fn values_that_are_not_what_they_say_are_refused() {
    let array: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let text = |ids: &[u32], pushed: &[&[u8]]| {
        let mut texts = Texts::default();
        pushed.iter().for_each(|bytes| texts.push(bytes));
        ChunkValues { ids: ids.to_vec(), distinct: Distinct::Text(texts) }
    };
    let refused = |values: &ChunkValues| {
        let error = encode(&array, values, &ChunkOptions::default()).unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        error.to_string()
    };
    let by_first_use = "encoding column `c`: its rows do not name its values by first use";
    for ids in [&[1, 0][..], &[0], &[0, 1, 2], &[0, NULL - 1], &[NULL], &[]] {
        assert_eq!(refused(&text(ids, &[b"a", b"b"])), by_first_use, "{ids:?}");
    }
    assert_eq!(refused(&text(&[0], &[])), by_first_use);
    assert_eq!(refused(&text(&[0], &[b"\xff"])), "encoding a column of text: a value is no UTF-8");
    assert_eq!(refused(&text(&[0, 1], &[b"\xc3", b"\xbc"])), "encoding a column of text: a value ends in a character");
    let numbers = ChunkValues { ids: vec![0], distinct: Distinct::Long(vec![1]) };
    assert_eq!(refused(&numbers), "encoding column `c`: the column has another type than its values");
}
