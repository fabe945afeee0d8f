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
