//! What can go wrong between Holdfast and a server: nothing is lost, doubled or left behind, and who gives up says why.

use std::sync::Arc;
use std::time::Duration;

use super::POLICY;
use crate::servers::{Kind, Server};
use crate::wire::{Asked, Harm, Wire};
use crate::world::{Seen, World, for_all, run_at};

const FIRST: &str = "2024-03-10T00:00:00Z";
const SECOND: &str = "2024-03-18T00:00:00Z";

fn lay_out(world: &World, days: std::ops::RangeInclusive<u32>) {
    for day in days {
        let lines: String = (0..50)
            .map(|n| {
                format!("{{\"TimeGenerated\":\"2024-03-0{day}T01:02:{n:02}Z\",\"n\":{n},\"text\":\"{}\"}}\n", n * 7919)
            })
            .collect();
        world.write(&format!("collector/Signin/2024/03/0{day}/a.json"), lines);
    }
}

/// Two runs that archive and clear.
fn play(world: &World) -> Result<Seen, String> {
    lay_out(world, 1..=3);
    let first = run_at(&world.context(None, None), FIRST).map_err(|error| error.to_string())?;
    lay_out(world, 4..=5);
    let second = run_at(&world.context(None, None), SECOND).map_err(|error| error.to_string())?;
    match first.errors.iter().chain(&second.errors).next() {
        Some(error) => Err(format!("{error}: {}", error.reason())),
        None => Ok(world.seen()),
    }
}

fn each_so_often(every: usize, harm: impl Fn() -> Harm + Send + Sync + 'static) -> impl Fn(&Asked<'_>) -> Harm {
    move |asked| if asked.number % every == every - 1 { harm() } else { Harm::None }
}

/// A server behind a wire of its own.
fn wired(server: &Arc<Server>) -> (Wire, Arc<Server>) {
    let wire = Wire::before(server.options.endpoint.as_ref().unwrap());
    let server = server.through(&wire.endpoint);
    (wire, server)
}

/// I1, I2: each kind of trouble, now and then, in two runs; both succeed as if nothing had been.
#[test]
fn trouble_on_the_wire_changes_nothing() {
    let wanted = play(&World::in_memory(POLICY)).unwrap();
    let mut cases = Vec::new();
    for kind in [Kind::S3, Kind::Azure] {
        if let Some(server) = kind.server("wire") {
            cases.extend(["delay", "429", "503", "break", "cut", "lose"].map(|harm| (Arc::clone(&server), harm)));
        }
    }
    for_all(&cases, |(server, harm)| {
        let (wire, server) = wired(server);
        match *harm {
            "delay" => wire.judge(each_so_often(9, || Harm::Delay(Duration::from_millis(30)))),
            "429" => wire.judge(each_so_often(11, || Harm::Refuse(429, "TooManyRequests"))),
            "503" => wire.judge(each_so_often(11, || Harm::Refuse(503, "SlowDown"))),
            "break" => wire.judge(each_so_often(11, || Harm::Break)),
            "cut" => wire.judge(each_so_often(7, || Harm::Cut)),
            _ => wire.judge(each_so_often(11, || Harm::LoseAnswer)),
        }
        let world = World::on(&server, POLICY);
        let seen = play(&world);
        let harmed = wire.harmed();
        wire.judge(|_| Harm::None);
        let mut wrong = match seen {
            Ok(seen) => wanted.differences(&seen),
            Err(error) => vec![error],
        };
        wrong.extend(world.loose_ends());
        wrong.extend((harmed < 5).then(|| format!("only {harmed} requests were harmed")));
        (!wrong.is_empty()).then(|| format!("{}, {harm}: {}", server.name, wrong.join("\n  ")))
    });
}

/// I1: a segment or an entry that comes back with one bit changed is not taken for what was written; nothing is cleared on
/// it, and the next run goes on.
#[test]
fn a_flipped_bit_in_the_archive_clears_nothing() {
    let Some(server) = Kind::S3.server("flip") else { return };
    let wanted = play(&World::in_memory(POLICY)).unwrap();
    let (wire, server) = wired(&server);
    let world = World::on(&server, POLICY);
    lay_out(&world, 1..=3);
    wire.judge(|asked| match asked.method == "GET" && asked.target.contains("/archive/tables/main/Signin/_hf_day") {
        true => Harm::Flip,
        false => Harm::None,
    });
    let told = match run_at(&world.context(None, None), FIRST) {
        Ok(report) => report.errors.first().map(|error| format!("{error}: {}", error.reason())),
        Err(error) => Some(format!("{error}: {}", error.reason())),
    };
    assert!(wire.harmed() > 0);
    let told = told.unwrap_or_default();
    assert!(told.contains("reading back") || told.contains("Signin"), "{told}");
    assert_eq!(world.files("collector").len(), 3, "nothing is cleared");
    wire.judge(|_| Harm::None);
    assert!(run_at(&world.context(None, None), FIRST).unwrap().errors.is_empty());
    lay_out(&world, 4..=5);
    assert!(run_at(&world.context(None, None), SECOND).unwrap().errors.is_empty());
    assert_eq!(wanted.differences(&world.seen()), Vec::<String>::new());
    assert_eq!(world.loose_ends(), Vec::<String>::new());
}

/// What a refusal means is said, and nothing is lost: the run ends, and the next one does the work.
#[test]
fn a_refusal_says_what_it_means_and_loses_nothing() {
    let Some(server) = Kind::S3.server("refusals") else { return };
    for (status, code, where_, way) in [
        (403, "SignatureDoesNotMatch", "", "credentials are wrong"),
        (403, "InvalidAccessKeyId", "", "credentials are wrong"),
        (403, "RequestTimeTooSkewed", "", "clock"),
        (400, "ExpiredToken", "", "expired"),
        (404, "NoSuchBucket", "", "no such bucket"),
        (403, "AccessDenied", "/archive/tables", "may not do that"),
        (403, "AccessDenied", "/ledger/", "may not do that"),
    ] {
        let (wire, server) = wired(&server);
        let world = World::on(&server, POLICY);
        lay_out(&world, 1..=2);
        wire.judge(move |asked| match asked.target.contains(where_) && asked.method != "HEAD" {
            true => Harm::Refuse(status, code),
            false => Harm::None,
        });
        let told = match run_at(&world.context(None, None), FIRST) {
            Ok(report) => report.errors.first().map(|error| error.hint().unwrap_or_default().to_owned()),
            Err(error) => Some(error.hint().unwrap_or_default().to_owned()),
        };
        let told = told.unwrap_or_else(|| panic!("{code} was not noticed"));
        assert!(told.contains(way), "{code} {where_}: {told}");
        wire.judge(|_| Harm::None);
        assert_eq!(world.files("collector").len(), 2, "{code}: nothing is cleared");
        assert!(run_at(&world.context(None, None), FIRST).unwrap().errors.is_empty(), "{code}");
        assert_eq!(world.seen().records.values().map(Vec::len).sum::<usize>(), 100, "{code}");
        assert_eq!(world.loose_ends(), Vec::<String>::new(), "{code}");
    }
}
