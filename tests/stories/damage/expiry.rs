//! Damage where something is due to go: what the damage makes doubtful stays, the rest goes, and `verify` names it (I3, I7).
//!
//! One archive in which, at [`DUE`], retired segments, quarantine and a raw object are due, one table's log was trimmed
//! already, and days were retired by approval; each case damages one thing in a copy of it.

use std::sync::OnceLock;

use holdfast::Kind;

use super::{Harm, harm};
use crate::world::{World, for_all, run_at};

const POLICY: &str = r#"
version = 1
[defaults]
archive_after = "0d"
keep_raw = "0d"
retain = "10d"
purge_delay = "3d"
quarantine_retain = "6d"
[[table]]
name = "Live"
archive = false
"#;

const DUE: &str = "2024-03-20T01:00:00Z";

fn record(day: &str, number: u32) -> String {
    format!("{{\"TimeGenerated\":\"{day}T05:00:00Z\",\"number\":{number}}}\n")
}

/// The archive before any damage.
fn whole() -> &'static World {
    static WHOLE: OnceLock<World> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let world = World::new(POLICY).armed();
        let lay = |table: &str, day: &str, number: u32| {
            world.write(&format!("collector/{table}/{}/a.json", day.replace('-', "/")), record(day, number));
        };
        for (day, number) in [("2024-02-20", 1), ("2024-03-01", 2), ("2024-03-02", 3), ("2024-03-09", 4)] {
            lay("Signin", day, number);
        }
        lay("AppLog", "2024-03-01", 10);
        lay("Live", "2024-03-01", 20);
        world.write("collector/AppLog/2024/03/02/b.json", record("2031-01-01", 30));
        let run = |now: &str| assert_eq!(world.run(now).unwrap().exit_code(), 0, "{now}");
        assert!(world.run("2024-03-10T01:00:00Z").unwrap().errors.is_empty());
        // The oldest day of Signin by approval: the days after it go by themselves.
        assert_eq!(world.approve_all("2024-03-10T02:00:00Z"), 1);
        run("2024-03-10T03:00:00Z");
        assert_eq!(world.approve_all("2024-03-13T00:30:00Z"), 1);
        run("2024-03-13T01:00:00Z");
        // A commit after the checkpoint.
        lay("Signin", "2024-03-13", 5);
        run("2024-03-14T01:00:00Z");
        assert_eq!(world.loose_ends(), Vec::<String>::new());
        assert_eq!(world.approve_all("2024-03-15T02:00:00Z"), 1);
        world
    })
}

/// What is due to go at [`DUE`], by a short name.
fn due(name: &str) -> String {
    let segment = |table: &str, day: &str| {
        let key = format!("main/{}", table.to_lowercase());
        let chain = whole().chain().unwrap();
        let known = &chain.state().tables[&key];
        let path = known.retired.keys().find(|path| path.contains(day)).unwrap();
        format!("archive/tables/main/{table}/{path}")
    };
    let quarantine = || whole().chain().unwrap().state().quarantine[0].file.clone();
    match name {
        "first" => segment("Signin", "2024-03-01"),
        "second" => segment("Signin", "2024-03-02"),
        "other" => segment("AppLog", "2024-03-01"),
        "data" => format!("archive/{}", quarantine().data),
        "index" => format!("archive/{}", quarantine().index),
        _ => "collector/Live/2024/03/01/a.json".to_owned(),
    }
}

const DUE_NAMES: [&str; 6] = ["first", "second", "other", "data", "index", "raw"];

/// What must hold of a run over the damage.
#[derive(Debug, Clone, Copy)]
enum Keeps {
    /// The run refuses to start.
    All,
    /// It goes on, but of what is due, these stay. It says so, unless what was damaged is gone altogether.
    These(&'static [&'static str]),
    /// It goes on and destroys nothing.
    Unclear,
    /// It does its work.
    Nothing,
}

/// One kind of file.
struct Kept {
    path: String,
    other: Option<String>,
    /// How `verify` names the damage; none: it is only a copy.
    named: Option<String>,
    keeps: Keeps,
}

fn entries(world: &World) -> Vec<serde_json::Value> {
    let files = world.files("ledger").into_iter().filter(|(name, _)| name.len() == 17);
    files.map(|(_, bytes)| serde_json::from_slice(&bytes).unwrap()).collect()
}

fn kinds() -> Vec<Kept> {
    let chain = whole().chain().unwrap();
    let state = chain.state();
    let signin = &state.tables["main/signin"];
    let log = |table: &str, name: String| format!("archive/tables/main/{table}/_delta_log/{name}");
    let mut kinds = Vec::new();
    let mut add = |path: String, other: Option<String>, named: &str, keeps: Keeps| {
        let named = (!named.is_empty()).then(|| named.to_owned());
        kinds.push(Kept { path, other, named, keeps });
    };
    add(due("first"), Some(due("other")), "retired segment _hf_day=2024-03-01", Keeps::These(&["first"]));
    add(due("data"), Some(due("first")), "quarantine file", Keeps::These(&["data", "index"]));
    add(due("index"), Some(due("first")), "quarantine file", Keeps::These(&["data", "index"]));
    let checkpoint = state.checkpoints.iter().find(|one| one.table == signin.name).unwrap().version;
    let whole_table: Keeps = Keeps::These(&["first", "second"]);
    add(
        log("Signin", format!("{checkpoint:020}.checkpoint.parquet")),
        None,
        &format!("Delta checkpoint {checkpoint} of main/Signin"),
        whole_table,
    );
    assert!(signin.version > checkpoint && signin.first_commit > 0, "its log was trimmed and went on");
    let newest = signin.version;
    add(
        log("Signin", format!("{newest:020}.json")),
        Some(log("AppLog", format!("{:020}.json", 0))),
        &format!("Delta commit {newest} of main/Signin"),
        whole_table,
    );
    // What is doubtful in a table stops all of it, its quarantine too.
    let whole_table = Keeps::These(&["other", "data", "index"]);
    add(log("AppLog", format!("{:020}.json", 0)), None, "Delta commit 0 of main/AppLog", whole_table);
    // What is made from segments is made anew; what the directory of the old one names is not destroyed before.
    let index = |name: &str| format!("archive/tables/main/Signin/_index/{name}");
    add(index("2024-03.hfi"), Some(index("months.json")), "Signin/_index/2024-03.hfi", Keeps::Nothing);
    add(index("months.json"), None, "Signin/_index/months.json", Keeps::Nothing);
    add("ledger/inventory.json".to_owned(), None, "", Keeps::Nothing);
    let attachment = |list: &serde_json::Value| list["sha256"].as_str().unwrap().to_owned();
    for (seq, entry) in entries(whole()).into_iter().enumerate() {
        let mut attach = |list: &str, keeps: Keeps| {
            if entry[list].is_null() {
                return;
            }
            let sha256 = attachment(&entry[list]);
            let empty = whole().read(&format!("ledger/attachments/{sha256}")).is_empty();
            if !empty {
                add(format!("ledger/attachments/{sha256}"), None, &format!("ledger attachment {sha256}"), keeps);
            }
        };
        match entry["kind"].as_str().unwrap() {
            "policy_accepted" => attach("files", Keeps::Unclear),
            "approved" => {
                attach("items", Keeps::All);
                for text in ["by", "reason"] {
                    let sha256 = attachment(&entry[text]);
                    // The newest consent is what the raw object waits for.
                    let newest = Some(seq as u64) == state.approvals.last().map(|approval| approval.seq);
                    let keeps = if text == "by" && newest { Keeps::These(&["raw"]) } else { Keeps::Nothing };
                    add(format!("ledger/sealed/{sha256}"), None, &format!("sealed text {sha256}"), keeps);
                }
            }
            "batch_intended" if entry["purpose"]["why"] == "retire" => attach("inputs", Keeps::All),
            "destroy_intended" => {
                attach("subjects", Keeps::All);
                attach("grounds", Keeps::All);
            }
            "expiry_settled" => attach("tables", Keeps::All),
            _ => {}
        }
    }
    kinds
}

fn look(world: &World, kind: &Kept, how: &Harm) -> Vec<String> {
    let mut wrong = Vec::new();
    let found = world.verify().unwrap();
    let said = |name: &String| {
        found.damage.iter().any(|finding| format!("{}: {}", finding.what, finding.why).contains(name.as_str()))
    };
    // A sealed text that is gone may have been destroyed.
    let sealed_gone = kind.path.contains("/sealed/") && matches!(how, Harm::Delete);
    // An index that is gone is only a note.
    let made_anew = kind.path.contains("/_index/") && matches!(how, Harm::Delete) && !found.notes.is_empty();
    match &kind.named {
        Some(name) if !(sealed_gone || made_anew || said(name) && found.exit_code() == 5) => {
            wrong.push(format!("verify (exit {}) does not name {name}: {:?}", found.exit_code(), found.damage));
        }
        None if !found.damage.is_empty() => wrong.push(format!("verify finds {:?}", found.damage)),
        _ => {}
    }
    let before: Vec<(&str, Option<Vec<u8>>)> =
        DUE_NAMES.iter().map(|name| (*name, std::fs::read(world.path(&due(name))).ok())).collect();
    world.write("collector/Signin/2024/03/19/new.json", record("2024-03-19", 99));
    let outcome = run_at(&world.context(None, None), DUE);
    // Where it is gone already, there is nothing left to protect.
    let gone = matches!(how, Harm::Delete) && DUE_NAMES.iter().any(|name| due(name) == kind.path);
    let stays = |name: &str| match kind.keeps {
        _ if gone => false,
        Keeps::All | Keeps::Unclear => true,
        Keeps::These(names) => names.contains(&name),
        Keeps::Nothing => false,
    };
    for (name, was) in &before {
        let is = std::fs::read(world.path(&due(name))).ok();
        match (stays(name), was) {
            (true, _) if is != *was => wrong.push(format!("the run took the {name} one: {outcome:?}")),
            (false, _) if is.is_some() => wrong.push(format!("the {name} one is still there: {outcome:?}")),
            _ => {}
        }
    }
    match (kind.keeps, outcome) {
        (Keeps::All, Ok(report)) => wrong.push(format!("the run went on: {:?}", report.errors)),
        (Keeps::All, Err(error)) if error.kind() == Kind::Damaged && error.hint().is_some() => {}
        (_, Err(error)) => wrong.push(format!("the run ended with {error}")),
        (keeps, Ok(report)) => {
            let doubtful = matches!(keeps, Keeps::These(_) | Keeps::Unclear) && !gone;
            let of_consent = kind.path.contains("/sealed/");
            let expected = match (doubtful, of_consent) {
                (true, true) => 4,
                (true, false) => 5,
                (false, _) => 0,
            };
            if report.exit_code() != expected {
                let (errors, exit) = (&report.errors, report.exit_code());
                wrong.push(format!("the run ended with exit {exit} instead of {expected}: {errors:?}"));
            }
            let archived: u64 = report.tables.values().map(|table| table.counts.archived).sum();
            let table_damaged = kind.path.contains("/_delta_log/");
            if archived == 0 && !table_damaged {
                wrong.push("it archived nothing".into());
            }
        }
    }
    wrong
}

/// I3, I7: each kind of file × each kind of damage.
#[test]
fn what_damage_makes_doubtful_is_not_destroyed() {
    let kinds = kinds();
    let mut cases = Vec::new();
    for kind in &kinds {
        let mut harms = vec![Harm::Flip(430), Harm::Delete];
        // Of what is named by its digest, one change is like another.
        if !kind.path.contains("/attachments/") {
            harms.extend([Harm::Flip(0), Harm::Flip(850), Harm::Truncate(0), Harm::Truncate(600)]);
        }
        harms.extend(kind.other.clone().map(Harm::Swap));
        cases.extend(harms.into_iter().map(|harm| (kind, harm)));
    }
    for_all(&cases, |(kind, how)| {
        let world = whole().fork();
        harm(&world, &kind.path, how);
        let mut wrong = look(&world, kind, how);
        if let Harm::Swap(_) = how {
            // The other one is damaged, too, and its own cases say what stays.
            wrong.retain(|why| !why.contains("still there") && !why.contains("exit"));
        }
        (!wrong.is_empty()).then(|| format!("{how:?} of {}:\n  {}", kind.path, wrong.join("\n  ")))
    });
}

/// The undamaged archive: all that is due goes.
#[test]
fn undamaged_all_that_is_due_goes() {
    let world = whole().fork();
    assert_eq!(world.run(DUE).unwrap().exit_code(), 0);
    for name in DUE_NAMES {
        assert!(!world.path(&due(name)).exists(), "{name}");
    }
    assert_eq!(world.loose_ends(), Vec::<String>::new());
}
