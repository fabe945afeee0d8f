//! Archive, ledger and source on object stores: the same promises, on real servers.

mod lease;
mod wire;

use std::sync::Arc;

use holdfast::storage::probe::{ConditionalDelete, Probed, probe};

use crate::servers::{Kind, Server};
use crate::world::{World, run_at};

const POLICY: &str = "version = 1\n[defaults]\narchive_after = \"0d\"\nretain = \"365d\"\nkeep_raw = \"0d\"\n";

fn on_each(story: &str, tell: impl Fn(&Arc<Server>)) {
    for kind in Kind::ALL {
        if let Some(server) = kind.server(story) {
            tell(&server);
        }
    }
}

#[test]
fn each_cloud_keeps_its_promises_and_is_left_clean() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    on_each("probe", |server| {
        let store = server.open(&server.fresh(), runtime.handle());
        let probed = probe(&store, "story").unwrap_or_else(|error| panic!("{}: {error:?}", server.name));
        assert_eq!(probed, Probed { updates: true, deletes: ConditionalDelete::Kept }, "{}", server.name);
        assert!(store.list(None).unwrap().is_empty(), "{}", server.name);
    });
}

#[test]
fn records_come_in_are_archived_cleared_and_restored() {
    on_each("lifecycle", |server| {
        let world = World::on(server, POLICY);
        for day in 1..=3 {
            let record = format!("{{\"TimeGenerated\":\"2024-03-0{day}T01:02:03Z\",\"n\":{day}}}\n");
            world.write(&format!("collector/Signin/2024/03/0{day}/a.json"), record);
        }
        let report = run_at(&world.context(None, None), "2024-03-10T00:00:00Z").unwrap();
        assert!(report.errors.is_empty(), "{}: {:?}", server.name, report.errors);
        let seen = world.seen();
        assert_eq!(seen.records.values().map(Vec::len).sum::<usize>(), 3, "{}", server.name);
        assert!(seen.raw.is_empty(), "{}: {:?}", server.name, seen.raw.keys());
        assert_eq!(world.loose_ends(), Vec::<String>::new(), "{}", server.name);
    });
}

/// Segments, and nothing else: the ledger and the Delta log are read too often.
#[test]
fn a_storage_class_is_of_segments_only() {
    let Some(server) = Kind::S3.server("storage class") else { return };
    let world = World::on(&server, &format!("{POLICY}storage_class = \"cool\"\n"));
    world.write("collector/Signin/2024/03/01/a.json", "{\"TimeGenerated\":\"2024-03-01T01:02:03Z\"}\n");
    assert!(run_at(&world.context(None, None), "2024-03-10T00:00:00Z").unwrap().errors.is_empty());
    let mut cool = Vec::new();
    for store in ["archive", "ledger"] {
        for name in world.files(store).into_keys() {
            let class = server.header(&world.url(store), &name, "x-amz-storage-class");
            cool.extend((class.as_deref() == Some("STANDARD_IA")).then_some(name));
        }
    }
    assert!(matches!(&cool[..], [one] if one.ends_with(".parquet") && one.contains("_hf_day")), "{cool:?}");
}

/// With versions kept, what Holdfast destroys leaves none behind.
#[test]
fn where_versions_are_kept_none_stays() {
    let Some(server) = Kind::S3.server("versions") else { return };
    let server = server.versioned();
    let world = World::on(&server, POLICY);
    for day in 1..=2 {
        let path = format!("collector/Signin/2024/03/0{day}/a.json");
        world.write(&path, "{}\n");
        // The first is overwritten before anybody reads it.
        world.write(&path, format!("{{\"TimeGenerated\":\"2024-03-0{day}T01:02:03Z\"}}\n"));
    }
    let report = run_at(&world.context(None, None), "2024-03-10T00:00:00Z").unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert!(world.files("collector").is_empty(), "{:?}", world.files("collector").keys());
    let source = world.store("collector", None, None);
    let left = source.versions(&object_store::path::Path::from("Signin/2024/03/01/a.json")).unwrap();
    let kinds: Vec<bool> = left.iter().map(holdfast::storage::Version::is_marker).collect();
    assert_eq!(kinds, [false, true], "what was overwritten unread stays, below a marker; what was read is gone");
    assert_eq!(world.loose_ends(), Vec::<String>::new());
    // Not found anew.
    let again = run_at(&world.context(None, None), "2024-03-11T00:00:00Z").unwrap();
    assert!(again.errors.is_empty() && again.tables.is_empty(), "{:?}", again.tables);
    // Retired, then destroyed.
    let world = world.armed();
    for now in ["2025-03-10T00:00:00Z", "2025-03-20T00:00:00Z"] {
        world.approve_all(now);
        assert!(run_at(&world.context(None, None), now).unwrap().errors.is_empty());
    }
    assert!(world.files("archive").keys().all(|name| !name.ends_with("00000.parquet")), "{:?}", world.files("archive"));
    let archive = world.store("archive", None, None);
    let names = archive.all_versions().unwrap();
    assert!(names.iter().all(|name| !name.contains("_hf_day")), "{names:?}");
}
