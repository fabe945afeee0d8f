//! What reaches the disk, in order: a raw object goes only after all that replaces it is there to stay (DESIGN §7).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use holdfast::storage::DiskEvent;

use super::{FIRST, POLICY, SECOND, lay_out_first, lay_out_second};
use crate::world::{SOURCE, World, run_at};

/// A raw object's end: where its name was taken, and all files that must be durable by then.
struct Clearing {
    at: usize,
    replaced_by: BTreeSet<PathBuf>,
}

/// Why a file is not certain to survive a power cut just before event `at`; `None`: it is.
fn not_durable(world: &World, events: &[DiskEvent], file: &Path, at: usize) -> Option<String> {
    let earlier = &events[..at];
    let after = |from: usize, wanted: DiskEvent| {
        let found = earlier[from..].iter().position(|event| *event == wanted).map(|position| from + position);
        found.ok_or_else(|| format!("{wanted:?} does not come before event {at}, {:?}", events[at]))
    };
    let folder = file.parent().unwrap();
    let checked = after(0, DiskEvent::Synced(file.to_owned()))
        .and_then(|synced| after(synced, DiskEvent::Named(file.to_owned())))
        .and_then(|named| after(named, DiskEvent::FolderSynced(folder.to_owned())))
        .and_then(|_| {
            // Each folder on the way was new once, and is an entry of the one above it.
            let mut above = folder.ancestors().skip(1).take_while(|above| *above != world.path(""));
            above.try_for_each(|above| after(0, DiskEvent::FolderSynced(above.to_owned())).map(drop))
        });
    checked.err()
}

/// Everything that the ledger says about what became of the raw object `path`.
fn replaced_by(world: &World, path: &str) -> BTreeSet<PathBuf> {
    let chain = world.chain().unwrap();
    let state = chain.state();
    let (id, known) = state.objects.iter().find(|(id, _)| id.path == path).unwrap();
    let content = &state.contents[&(known.outcome.table.key(), known.outcome.sha256.clone())];
    let batches: BTreeSet<&String> = known.batches.iter().chain(&content.batches).collect();
    let mut files = BTreeSet::new();
    for table in state.tables.values() {
        let folder = world.path(&format!("archive/tables/{}", table.name));
        let mine = table.segments.iter().filter(|(_, (_, batch))| batches.contains(batch));
        files.extend(mine.map(|(segment, _)| folder.join(segment)));
    }
    for kept in state.quarantine.iter().filter(|kept| batches.contains(&kept.batch)) {
        files.extend([&kept.file.data, &kept.file.index].map(|name| world.path("archive").join(name)));
    }
    for (name, bytes) in world.files("ledger").into_iter().filter(|(name, _)| name.len() == 17) {
        let entry: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let mine = |entry: &serde_json::Value| batches.iter().any(|batch| entry["batch"] == batch.as_str());
        let attachment =
            |list: &serde_json::Value| world.path("ledger/attachments").join(list["sha256"].as_str().unwrap());
        match entry["kind"].as_str().unwrap() {
            "batch_prepared" if mine(&entry) => {
                files.insert(attachment(&entry["objects"]));
                files.extend(entry["tables"].as_array().unwrap().iter().map(|table| attachment(&table["detail"])));
            }
            "batch_committed" if mine(&entry) => {
                for table in entry["tables"].as_array().unwrap() {
                    let name = format!("{}/{}", table["table"]["workspace"], table["table"]["table"]).replace('"', "");
                    let version = table["version"].as_u64().unwrap();
                    files.insert(world.path(&format!("archive/tables/{name}/_delta_log/{version:020}.json")));
                }
            }
            "destroy_intended" => {
                let subjects = attachment(&entry["subjects"]);
                if !std::fs::read_to_string(&subjects).unwrap().contains(&format!("\"{}\"", id.path)) {
                    continue;
                }
                files.insert(subjects);
            }
            _ => continue,
        }
        files.insert(world.path("ledger").join(name));
    }
    files
}

/// Plays the story with every store watched; all events in order.
fn watch() -> (World, Vec<DiskEvent>) {
    let world = World::new(POLICY);
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let observer: holdfast::storage::DiskObserver = Arc::new(move |event| seen.lock().unwrap().push(event));
    lay_out_first(&world);
    assert!(run_at(&world.context(None, Some(observer.clone())), FIRST).unwrap().errors.is_empty());
    lay_out_second(&world);
    assert!(run_at(&world.context(None, Some(observer)), SECOND).unwrap().errors.is_empty());
    let events = std::mem::take(&mut *events.lock().unwrap());
    (world, events)
}

fn clearings(world: &World, events: &[DiskEvent]) -> Vec<Clearing> {
    let unlinked = events.iter().filter_map(|event| match event {
        DiskEvent::Unlinked(path) => Some(path),
        _ => None,
    });
    unlinked
        .map(|aside| {
            // Only raw objects are unlinked, and only once they were moved aside.
            let relative = aside.strip_prefix(world.path(SOURCE)).unwrap();
            let path = holdfast::source::original_of_aside(relative.to_str().unwrap()).unwrap();
            let at = events.iter().position(|event| *event == DiskEvent::Named(aside.clone())).unwrap();
            Clearing { at, replaced_by: replaced_by(world, &path) }
        })
        .collect()
}

/// I1: even the renaming aside comes after the sync of segments, quarantine, Delta commits and ledger entries.
#[test]
fn i1_no_raw_object_goes_before_what_replaces_it_is_synced() {
    let (world, events) = watch();
    let clearings = clearings(&world, &events);
    assert_eq!(clearings.len(), 7);
    for Clearing { at, replaced_by } in &clearings {
        assert!(replaced_by.len() >= 7, "{replaced_by:?}");
        for file in replaced_by {
            assert_eq!(not_durable(&world, &events, file, *at), None);
        }
    }
}

/// The check above can fail: without any one of a file's events, or with it too late, it does.
#[test]
fn a_missing_or_late_sync_is_noticed() {
    let (world, events) = watch();
    let Clearing { at, replaced_by } = clearings(&world, &events).remove(0);
    for file in &replaced_by {
        let folder = file.parent().unwrap();
        for event in
            [DiskEvent::Synced(file.clone()), DiskEvent::Named(file.clone()), DiskEvent::FolderSynced(folder.into())]
        {
            let without: Vec<DiskEvent> = events.iter().filter(|one| **one != event).cloned().collect();
            let at = at - events[..at].iter().filter(|one| **one == event).count();
            assert!(not_durable(&world, &without, file, at).is_some(), "{event:?}");
            let mut late = without;
            late.insert(at + 1, event);
            assert!(not_durable(&world, &late, file, at).is_some());
        }
    }
}
