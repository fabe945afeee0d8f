//! The bytes of an index: what goes in comes out, and no byte of it can change unseen.

use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;
use tokio::runtime::Runtime;
use xxhash_rust::xxh3::xxh3_128;

use super::*;
use crate::ledger::Segment;
use crate::record::SetDigest;

/// A segment as a test makes it up.
#[derive(Debug, Clone)]
struct Made {
    bytes: u64,
    columns: Vec<String>,
    filters: Vec<(usize, Physical, Vec<u8>)>,
    footer: Vec<u8>,
}

fn made() -> impl Strategy<Value = Made> {
    let names = proptest::collection::vec("[a-cÄ ]{0,3}", 1..5);
    let physical = prop_oneof![Just(Physical::Bytes), Just(Physical::Int32), Just(Physical::Int64)];
    let bits = proptest::collection::vec(any::<u8>(), 0..70);
    let filters = proptest::collection::vec((0..5_usize, physical, bits), 0..3);
    (any::<u64>(), names, filters, proptest::collection::vec(any::<u8>(), 0..90)).prop_map(
        |(bytes, columns, filters, footer)| {
            let filters = filters.into_iter().map(|(at, physical, bits)| (at % columns.len(), physical, bits));
            Made { bytes, filters: filters.collect(), columns, footer }
        },
    )
}

fn path(at: usize) -> String {
    format!("_hf_day=2024-03-01/_hf_part=main/b-{at:05}.parquet")
}

fn segment(at: usize, made: &Made) -> Segment {
    Segment {
        path: path(at),
        day: jiff::civil::date(2024, 3, 1),
        part: "main".into(),
        bytes: made.bytes,
        sha256: hex::encode([at as u8; 32]),
        digest: SetDigest::default(),
        times: None,
        rest: None,
    }
}

fn printed(segments: &[Made]) -> Vec<u8> {
    let mut writer = IndexWriter::new(Vec::new()).unwrap();
    for (at, made) in segments.iter().enumerate() {
        let filters = made.filters.iter();
        writer
            .entry(&NewEntry {
                path: &path(at),
                sha256: [at as u8; 32],
                bytes: made.bytes,
                columns: made.columns.iter().map(String::as_str).collect(),
                filters: filters
                    .map(|(column, physical, bits)| (made.columns[*column].as_str(), *physical, bits.as_slice()))
                    .collect(),
                footer_length: made.footer.len() as u32,
                footer_sum: xxh3_128(&made.footer),
            })
            .unwrap();
    }
    segments.iter().for_each(|made| writer.footer(&made.footer).unwrap());
    let (bytes, length) = writer.finish().unwrap();
    assert_eq!(bytes.len() as u64, length);
    bytes
}

/// Opens these bytes, looks through them, and gives what they say.
fn read(runtime: &Runtime, bytes: &[u8]) -> Result<IndexObject, Unusable> {
    runtime.block_on(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = Path::from("2024-03.hfi");
        store.put(&path, bytes.to_vec().into()).await.unwrap();
        let object = IndexObject::look(store, path).await?;
        object.check().await?;
        Ok(object)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_goes_in_comes_out(segments in proptest::collection::vec(made(), 0..6)) {
        let runtime = Runtime::new().unwrap();
        let object = read(&runtime, &printed(&segments)).unwrap();
        let directory = &object.directory;
        prop_assert_eq!(directory.entries.len(), segments.len());
        for (at, made) in segments.iter().enumerate() {
            let entry = directory.entry(&segment(at, made)).unwrap();
            let names: Vec<&String> = entry.columns.iter().map(|&column| &directory.columns[column as usize]).collect();
            prop_assert_eq!(names, made.columns.iter().collect::<Vec<_>>());
            prop_assert_eq!(entry.filters.len(), made.filters.len());
            let blobs: Vec<&Blob> =
                entry.filters.iter().map(|filter| &filter.blob).chain([&entry.footer]).filter(|blob| blob.length > 0).collect();
            let bytes = runtime.block_on(object.blobs(&blobs)).unwrap();
            let expected = made.filters.iter().map(|(_, _, bits)| bits).chain([&made.footer]).filter(|bytes| !bytes.is_empty());
            for (bytes, expected) in bytes.into_iter().zip(expected) {
                let bytes = bytes.unwrap();
                prop_assert_eq!(bytes.as_ref(), expected.as_slice());
            }
            for (filter, (column, physical, _)) in entry.filters.iter().zip(&made.filters) {
                prop_assert_eq!(&directory.columns[filter.column as usize], &made.columns[*column]);
                prop_assert_eq!(filter.physical, *physical);
            }
            // Of another segment of that name it says nothing.
            let other = Segment { bytes: made.bytes.wrapping_add(1), ..segment(at, made) };
            prop_assert!(directory.entry(&other).is_none());
            let other = Segment { sha256: hex::encode([99; 32]), ..segment(at, made) };
            prop_assert!(directory.entry(&other).is_none());
        }
    }

    #[test]
    fn each_changed_or_missing_byte_is_noticed(segments in proptest::collection::vec(made(), 0..3), bit in 0_u8..8) {
        let runtime = Runtime::new().unwrap();
        let whole = printed(&segments);
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1_u8 << bit;
            prop_assert!(matches!(read(&runtime, &flipped), Err(Unusable::Damaged(_))), "byte {} of {}", at, whole.len());
            prop_assert!(matches!(read(&runtime, &whole[..at]), Err(Unusable::Damaged(_))), "cut at {}", at);
        }
        prop_assert!(read(&runtime, &[whole.as_slice(), b"\0"].concat()).is_err());
    }

    #[test]
    fn a_directory_of_any_bytes_is_an_error_at_most(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        // With a right checksum, as nobody but a forger would write it.
        let mut object = MAGIC.to_vec();
        object.extend_from_slice(&bytes);
        object.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        object.extend_from_slice(&xxh3_128(&bytes).to_le_bytes());
        object.extend_from_slice(&MAGIC);
        drop(read(&Runtime::new().unwrap(), &object));
    }
}

#[test]
fn segments_out_of_order_and_other_footers_are_refused() {
    let made = Made { bytes: 1, columns: vec!["a".into()], filters: Vec::new(), footer: vec![1, 2] };
    let entry = |path| NewEntry {
        path,
        sha256: [0; 32],
        bytes: 1,
        columns: vec!["a"],
        filters: Vec::new(),
        footer_length: 2,
        footer_sum: xxh3_128(&made.footer),
    };
    let mut writer = IndexWriter::new(Vec::new()).unwrap();
    writer.entry(&entry("b")).unwrap();
    assert!(writer.entry(&entry("b")).is_err());
    assert!(writer.entry(&entry("a")).is_err());
    assert!(writer.footer(&[1, 3]).is_err());
    assert!(writer.finish().is_err(), "a footer is missing");
}

#[test]
fn notes_are_what_was_written_or_none() {
    let mut notes = Notes::new();
    notes.delta = Some(7);
    let note = |bytes| Note { segments: format!("{bytes:032x}"), bytes };
    notes.months.extend([("2024-03".to_owned(), note(7)), ("2024-04".to_owned(), note(8))]);
    let bytes = notes.print();
    assert_eq!(Notes::parse(&bytes), Some(notes));
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert_eq!(Notes::parse(&flipped), None, "byte {at}");
        assert_eq!(Notes::parse(&bytes[..at]), None, "cut at {at}");
    }
}

#[test]
fn a_fingerprint_is_of_all_that_an_entry_must_match() {
    let made = Made { bytes: 1, columns: Vec::new(), filters: Vec::new(), footer: Vec::new() };
    let one = segment(1, &made);
    let others = [
        Segment { path: path(2), ..one.clone() },
        Segment { bytes: 2, ..one.clone() },
        Segment { sha256: hex::encode([2; 32]), ..one.clone() },
    ];
    let of = |segments: &[&Segment]| fingerprint(segments.iter().copied());
    assert_eq!(of(&[&one]), of(&[&one]));
    assert!(others.iter().all(|other| of(&[other]) != of(&[&one])));
    assert_ne!(of(&[&one, &others[0]]), of(&[&one]));
    assert_ne!(of(&[]), of(&[&one]));
}
