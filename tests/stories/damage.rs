//! Every kind of file, damaged in every way: `verify` names it, and a run clears nothing that depends on it (I1, I7).
//!
//! One archive, so old that every raw object is due to be cleared; each case damages one thing in a copy of it.

mod expiry;
mod saved;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use holdfast::Kind;

use crate::world::{SOURCE, Seen, World, for_all, run_at};

const POLICY: &str = r#"
version = 1
[defaults]
archive_after = "0d"
retain = "365d"
keep_raw = "60d"
"#;

/// Everything was archived by then, and is due to be cleared.
const DUE: &str = "2024-06-30T00:00:00Z";
/// Enough commits for two checkpoints, and one after them.
const DAYS: usize = 21;

/// The archive before any damage.
struct Whole {
    world: World,
    seen: Seen,
    /// The ledger as it was before the last two runs.
    older_ledger: BTreeMap<String, Vec<u8>>,
}

fn whole() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let world = World::new(POLICY);
        let mut older_ledger = BTreeMap::new();
        for day in 1..=DAYS {
            if day == DAYS - 1 {
                older_ledger = world.files("ledger");
            }
            let date = format!("2024-03-{day:02}");
            let record = |hour| format!("{{\"TimeGenerated\":\"{date}T{hour:02}:00:00Z\",\"day\":{day}}}\n");
            let broken = if matches!(day, 3 | 4) { "broken\n" } else { "" };
            let path = format!("collector/Signin/{}/a.json", date.replace('-', "/"));
            world.write(&path, record(1) + &record(2) + broken);
            if day == 5 {
                world.write(&path.replace("Signin", "AppLog"), record(3));
            }
            let now = format!("2024-03-{:02}T01:00:00Z", day + 1);
            assert!(run_at(&world.context(None, None), &now).unwrap().errors.is_empty());
        }
        assert_eq!(world.loose_ends(), Vec::<String>::new());
        let seen = world.seen();
        Whole { world, seen, older_ledger }
    })
}

fn raw_of_day(day: usize) -> String {
    format!("Signin/2024/03/{day:02}/a.json")
}

/// What happens to a file.
#[derive(Debug, Clone)]
enum Harm {
    /// One bit of the byte at this many per mille of the file.
    Flip(usize),
    /// Cut to this many per mille.
    Truncate(usize),
    Delete,
    /// Its bytes and those of another file change places.
    Swap(String),
}

fn harm(world: &World, path: &str, harm: &Harm) {
    let mut bytes = world.read(path);
    match harm {
        Harm::Flip(per_mille) => {
            let at = (bytes.len() * per_mille / 1000).min(bytes.len() - 1);
            bytes[at] ^= 1;
            world.write(path, bytes);
        }
        Harm::Truncate(per_mille) => {
            bytes.truncate(bytes.len() * per_mille / 1000);
            world.write(path, bytes);
        }
        Harm::Delete => std::fs::remove_file(world.path(path)).unwrap(),
        Harm::Swap(other) => {
            let others = world.read(other);
            assert_ne!(bytes, others, "{path} and {other} are the same");
            world.write(path, others);
            world.write(other, bytes);
        }
    }
}

/// What must hold of a run over damage.
#[derive(Debug, Clone)]
enum Keeps {
    /// The run refuses to start; every raw object stays.
    All,
    /// These raw objects stay.
    These(Vec<String>),
    /// What is damaged is no ground for clearing anything; the run does its work.
    Nothing,
    /// The run archives and clears nothing: what protects cannot be told.
    Unclear,
}

/// One kind of file: which one, another of its kind, how `verify` names it, what a run must keep.
struct Kept {
    path: String,
    other: Option<String>,
    names: Vec<String>,
    keeps: Keeps,
}

/// One file of each kind.
fn kinds() -> Vec<Kept> {
    let chain = whole().world.chain().unwrap();
    let state = chain.state();
    let table = &state.tables["main/signin"];
    let segment =
        |day: usize| table.segments.keys().find(|path| path.contains(&format!("_hf_day=2024-03-{day:02}"))).unwrap();
    let in_table = |path: &str| format!("archive/tables/main/Signin/{path}");
    let commit = |version: usize| in_table(&format!("_delta_log/{version:020}.json"));
    let checkpoint = |version: usize| in_table(&format!("_delta_log/{version:020}.checkpoint.parquet"));
    let signin: Vec<String> = (1..=DAYS).map(raw_of_day).collect();
    let kept = |path: String, other: Option<String>, names: &str, keeps: Keeps| Kept {
        path,
        other,
        names: vec![names.to_owned()],
        keeps,
    };
    let mut kinds = vec![
        kept(
            in_table(segment(7)),
            Some(in_table(segment(8))),
            &format!("segment {}", segment(7)),
            Keeps::These(vec![raw_of_day(7)]),
        ),
        // Between the checkpoint that the snapshot begins with and the newest commit.
        kept(commit(20), None, "Delta commit 20 of main/Signin", Keeps::These(signin.clone())),
        // No snapshot is made from it any more.
        kept(commit(3), Some(commit(4)), "Delta commit 3 of main/Signin", Keeps::Nothing),
        kept(checkpoint(19), Some(checkpoint(9)), "Delta checkpoint 19 of main/Signin", Keeps::These(signin.clone())),
        kept(checkpoint(9), None, "Delta checkpoint 9 of main/Signin", Keeps::Nothing),
        kept(
            format!("{SOURCE}/{}", raw_of_day(6)),
            Some(format!("{SOURCE}/{}", raw_of_day(7))),
            &raw_of_day(6),
            Keeps::Nothing,
        ),
    ];
    // It is made from segments: nothing rests on it. That it is gone is a note.
    let index = |table: &str, name: &str| format!("archive/tables/main/{table}/_index/{name}");
    kinds.push(Kept {
        path: index("Signin", "2024-03.hfi"),
        other: Some(index("AppLog", "2024-03.hfi")),
        names: vec!["Signin/_index/2024-03.hfi".into(), "the index of main/Signin: it is missing for 2024-03".into()],
        keeps: Keeps::Nothing,
    });
    kinds.push(kept(
        index("Signin", "months.json"),
        Some(index("AppLog", "months.json")),
        "Signin/_index/months.json",
        Keeps::Nothing,
    ));
    let last_batch = table.segments[segment(DAYS)].1.clone();
    let quarantine: Vec<_> = state.quarantine.iter().map(|quarantined| &quarantined.file).collect();
    for (one, other) in [(&quarantine[0].data, &quarantine[1].data), (&quarantine[0].index, &quarantine[1].index)] {
        // Two broken lines may have the same bytes; their index does not.
        let other = (one.ends_with("jsonl")).then(|| format!("archive/{other}"));
        kinds.push(kept(
            format!("archive/{one}"),
            other,
            &format!("quarantine file {one}"),
            Keeps::These(vec![raw_of_day(3)]),
        ));
    }
    for (seq, entry) in entries() {
        let attachment = |list: &serde_json::Value| list["sha256"].as_str().unwrap().to_owned();
        let of_day_3 = entry["batch"].as_str().is_some_and(|batch| batch == state.quarantine[0].batch);
        let newest = seq + 1 == state.next_seq();
        if of_day_3 || seq <= 2 || newest {
            let other = format!("ledger/{:012}.json", if newest { seq - 1 } else { seq + 1 });
            // A change that is an entry still is seen by the next one's link.
            let names = vec![format!("ledger entry {seq}"), format!("ledger entry {}", seq + 1)];
            kinds.push(Kept { path: format!("ledger/{seq:012}.json"), other: Some(other), names, keeps: Keeps::All });
        }
        let mut attach = |sha256: String, keeps| {
            // Nobody decides by what another batch was once intended to read.
            let other = Some(format!("ledger/attachments/{}", state.batches[&last_batch].inputs.sha256));
            let path = format!("ledger/attachments/{sha256}");
            kinds.push(kept(
                path.clone(),
                other.filter(|other| *other != path),
                &format!("ledger attachment {sha256}"),
                keeps,
            ));
        };
        match entry["kind"].as_str().unwrap() {
            "policy_accepted" => attach(attachment(&entry["files"]), Keeps::Unclear),
            // Nobody decides by what was once intended.
            "batch_intended" if of_day_3 => attach(attachment(&entry["inputs"]), Keeps::Nothing),
            "batch_prepared" if of_day_3 => {
                attach(attachment(&entry["objects"]), Keeps::All);
                attach(attachment(&entry["tables"][0]["detail"]), Keeps::All);
            }
            _ => {}
        }
    }
    kinds
}

fn entries() -> Vec<(u64, serde_json::Value)> {
    let files = whole().world.files("ledger").into_iter().filter(|(name, _)| name.len() == 17);
    files.map(|(name, bytes)| (name[..12].parse().unwrap(), serde_json::from_slice(&bytes).unwrap())).collect()
}

/// Verifies and runs over the damage; what is wrong with the answers.
fn look(world: &World, names: &[String], keeps: &Keeps) -> Vec<String> {
    let mut wrong = Vec::new();
    match world.verify() {
        Ok(found) => {
            let is_index = names.iter().any(|name| name.contains("/_index/"));
            let named = found.damage.iter().chain(found.notes.iter().filter(|_| is_index)).any(|finding| {
                let said = format!("{}: {}", finding.what, finding.why);
                names.iter().any(|name| said.contains(name.as_str())) && !finding.meaning.is_empty()
            });
            if !named || (found.exit_code() != 5 && !(is_index && found.damage.is_empty())) {
                wrong.push(format!("verify (exit {}) does not name {names:?}: {:?}", found.exit_code(), found.damage));
            }
        }
        Err(error) => wrong.push(format!("verify failed: {error}")),
    }
    let before = world.files(SOURCE);
    let outcome = run_at(&world.context(None, None), DUE);
    let after = world.files(SOURCE);
    let expected: Vec<&String> = match keeps {
        Keeps::All | Keeps::Unclear => before.keys().collect(),
        Keeps::These(paths) => paths.iter().collect(),
        Keeps::Nothing => Vec::new(),
    };
    for path in expected.into_iter().filter(|path| before.get(*path) != after.get(*path)) {
        wrong.push(format!("the run cleared {path}: {outcome:?}"));
    }
    match (keeps, outcome) {
        (Keeps::All, Ok(report)) => wrong.push(format!("the run went on: {:?}", report.errors)),
        (Keeps::All, Err(error))
            if error.kind() == Kind::Damaged && error.exit_code() == 5 && error.hint().is_some() => {}
        (_, Err(error)) => wrong.push(format!("the run ended with {error}, exit {}", error.exit_code())),
        (Keeps::These(_) | Keeps::Unclear, Ok(report)) if report.exit_code() != 5 => {
            wrong.push(format!("the run ended with exit {}: {:?}", report.exit_code(), report.errors));
        }
        // Something else was due and in order.
        (Keeps::These(_) | Keeps::Nothing, Ok(report)) if report.cleared == 0 => {
            wrong.push("the run cleared nothing".into())
        }
        _ => {}
    }
    wrong
}

/// I1, I7: each kind of file × each kind of damage.
#[test]
fn verify_names_the_damage_and_a_run_clears_nothing_on_it() {
    let kinds = kinds();
    let mut cases = Vec::new();
    for kind in &kinds {
        let mut harms: Vec<Harm> = [0, 130, 290, 430, 570, 710, 850, 1000].map(Harm::Flip).into();
        harms.extend([Harm::Truncate(0), Harm::Truncate(600), Harm::Truncate(990), Harm::Delete]);
        harms.extend(kind.other.clone().map(Harm::Swap));
        cases.extend(harms.into_iter().map(|harm| (kind, harm)));
    }
    for_all(&cases, |(kind, how)| {
        let world = whole().world.fork();
        harm(&world, &kind.path, how);
        let wrong = look(&world, &kind.names, &kind.keeps);
        (!wrong.is_empty()).then(|| format!("{how:?} of {}:\n  {}", kind.path, wrong.join("\n  ")))
    });
}

/// `head.json` is a witness: a wrong one stops everything, a missing one is written anew, an older one says less.
#[test]
fn the_head_is_a_witness() {
    let every_byte = 0..whole().world.read("ledger/head.json").len();
    let cases: Vec<usize> = every_byte.collect();
    for_all(&cases, |at| {
        let world = whole().world.fork();
        let mut bytes = world.read("ledger/head.json");
        bytes[*at] ^= 1;
        world.write("ledger/head.json", bytes);
        let wrong = look(&world, &["head.json".to_owned()], &Keeps::All);
        (!wrong.is_empty()).then(|| format!("byte {at} flipped:\n  {}", wrong.join("\n  ")))
    });
    let missing = whole().world.fork();
    harm(&missing, "ledger/head.json", &Harm::Delete);
    assert_eq!(look(&missing, &["head.json".to_owned()], &Keeps::Nothing), Vec::<String>::new());
    assert_eq!(missing.verify().unwrap().damage, []);
    let older = whole().world.fork();
    older.write("ledger/head.json", &whole().older_ledger["head.json"]);
    let found = older.verify().unwrap();
    let newest = whole().world.chain().unwrap().state().head().unwrap().seq;
    assert!(
        found.damage.is_empty() && found.witnessed.unwrap() < newest,
        "it claims no more than Delta has seen: {found:?}"
    );
}

/// I1, I2: the newest files of a kind are gone, and `head.json` with them or not.
#[test]
fn the_last_ones_removed() {
    let newest = entries().len();
    let cases: Vec<(usize, bool)> = (1..=8).flat_map(|gone| [(gone, false), (gone, true)]).collect();
    for_all(&cases, |(gone, head_too)| {
        let world = whole().world.fork();
        for seq in newest - gone..newest {
            harm(&world, &format!("ledger/{seq:012}.json"), &Harm::Delete);
        }
        if *head_too {
            harm(&world, "ledger/head.json", &Harm::Delete);
        }
        // Since the newest commit's `prepared` entry, nothing but head.json has seen what was appended.
        let witnessed =
            !head_too || entries()[newest - gone..].iter().any(|(_, entry)| entry["kind"] == "batch_prepared");
        let names = if *head_too { vec!["head.json".to_owned()] } else { vec!["has seen it".to_owned()] };
        let keeps = if witnessed { Keeps::All } else { Keeps::Nothing };
        let mut wrong = look(&world, &names, &keeps);
        if !witnessed {
            // The run settled what it found: nothing is lost or doubled.
            let seen = world.seen();
            wrong.extend((seen.records != whole().seen.records).then(|| "other records".to_owned()));
        }
        (!wrong.is_empty()).then(|| format!("{gone} entries, head {head_too}:\n  {}", wrong.join("\n  ")))
    });
    let world = whole().world.fork();
    let log = "archive/tables/main/Signin/_delta_log";
    harm(&world, &format!("{log}/{:020}.json", 20), &Harm::Delete);
    harm(&world, &format!("{log}/{:020}.json", 19), &Harm::Delete);
    harm(&world, &format!("{log}/{:020}.checkpoint.parquet", 19), &Harm::Delete);
    let signin = Keeps::These((1..=DAYS).map(raw_of_day).collect());
    assert_eq!(look(&world, &["Delta commit 19 of main/Signin".to_owned()], &signin), Vec::<String>::new());
}

/// I1, I2: a ledger put back from an old copy, or a new one over an old archive, is not believed.
#[test]
fn an_old_or_empty_ledger_is_not_believed() {
    let kept: BTreeSet<&str> = whole().older_ledger.keys().map(String::as_str).collect();
    for empty in [false, true] {
        let world = whole().world.fork();
        for name in world.files("ledger").keys().filter(|name| empty || !kept.contains(name.as_str())) {
            harm(&world, &format!("ledger/{name}"), &Harm::Delete);
        }
        if !empty {
            world.write("ledger/head.json", &whole().older_ledger["head.json"]);
        }
        let ledger = world.files("ledger");
        assert_eq!(look(&world, &["has seen it".to_owned()], &Keeps::All), Vec::<String>::new());
        assert_eq!(world.files("ledger"), ledger, "nothing is appended over the gap");
    }
}
