//! The needle index: a run writes it, searches lean on it, nothing that goes stays in it, and no answer changes by it
//! (I4, I7, I13).

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::expiring::{days, defaults};
use crate::site::Site;
use crate::standing::indexed;

const POLICY: &str =
    "version = 1\n[defaults]\narchive_after = \"0d\"\nretain = \"730d\"\nindex = [\"account\", \"code\"]\n";

fn record(day: u8, account: &str, code: &str) -> String {
    format!(
        "{{\"TimeGenerated\":\"2024-03-{day:02}T10:00:00Z\",\"account\":{account},\"code\":{code},\"day\":{day}}}\n"
    )
}

/// Five days in two months, a segment each: accounts `a3` to `a7`, and `all` in each of them.
fn site() -> Site {
    let site = Site::new().with_policy(POLICY);
    for day in 3..=7 {
        let records = record(day, &format!("\"a{day}\""), &format!("{day}00")) + &record(day, "\"all\"", "1");
        site.write(&format!("T/2024/03/{day:02}/10/a"), records);
    }
    site.write(
        "T/2024/04/01/10/a",
        "{\"TimeGenerated\":\"2024-04-01T10:00:00Z\",\"account\":\"all\",\"code\":1,\"day\":1}\n",
    );
    site.run_well("2024-04-03T00:00:00Z");
    site
}

fn index(site: &Site, month: &str) -> PathBuf {
    site.path().join(format!("archive/tables/main/T/_index/{month}.hfi"))
}

/// What `--explain` says of the one table.
fn explained(site: &Site, sql: &str) -> Value {
    let (code, out, errors) = site.holdfast(&["search", sql, "--explain", "--format", "json"]);
    assert_eq!(code, 0, "{errors}");
    serde_json::from_str::<Value>(&out).unwrap()["estimate"]["tables"][0].take()
}

fn left_out(site: &Site, sql: &str) -> u64 {
    explained(site, sql)["left_out"].as_u64().unwrap()
}

#[test]
fn a_run_writes_it_and_a_search_opens_only_what_may_hold_the_needle() {
    let site = site();
    let names = |month| indexed(&fs::read(index(&site, month)).unwrap()).len();
    assert_eq!((names("2024-03"), names("2024-04")), (5, 1));
    site.verify_well();
    for (filter, expected) in [
        ("account = 'a5'", 5),
        ("account IN ('a5', 'a6')", 4),
        ("account = 'nobody'", 6),
        ("account = 'all'", 0),
        ("code = 500", 5),
        ("code = 500 AND account = 'all'", 5),
        ("code = 500 OR account = 'all'", 0),
        // A number equals the text that it is written as, and a text the number.
        ("code = '500'", 5),
        // These say nothing of single values.
        ("account LIKE 'a5%'", 0),
        ("account <> 'a5'", 0),
        ("day = 5", 0),
        // No row of the table has one there: `extra` is no column of any segment.
        ("upper(account) = 'A5'", 0),
    ] {
        assert_eq!(left_out(&site, &format!("SELECT day FROM T WHERE {filter}")), expected, "{filter}");
    }
    let sql = "SELECT day FROM T WHERE account = 'a5'";
    let found = site.search(sql, &[]);
    assert_eq!(found.rows, [json!({"day": 5})]);
    // All days were searched: of those that were not opened, the index said that nothing is there.
    assert_eq!((&found.answer["tables"][0]["days_searched"], &found.answer["complete"]), (&json!(6), &json!(true)));
    let (_, out, _) = site.holdfast(&["search", sql, "--explain"]);
    assert!(out.contains("leaves out 5 segments"), "{out}");
    let whole = explained(&site, sql);
    fs::remove_dir_all(index(&site, "x").parent().unwrap()).unwrap();
    let without = explained(&site, sql);
    assert_eq!(without["left_out"], 0);
    assert!(whole["bytes"].as_u64() < without["bytes"].as_u64(), "{whole} {without}");
    let every = |site: &Site| explained(site, "SELECT * FROM T")["bytes"].clone();
    let bytes = every(&site);
    // Gone, it is written anew by the next run, though nothing else is to be done.
    assert_eq!(site.verify().notes.len(), 1);
    site.run_well("2024-04-03T01:00:00Z");
    site.verify_well();
    assert_eq!(explained(&site, sql), whole);
    assert_eq!(every(&site), bytes, "footers of the index say what those of segments say");
}

#[test]
fn a_month_is_written_anew_only_when_its_segments_change() {
    let site = site();
    let written = |month| fs::metadata(index(&site, month)).unwrap().modified().unwrap();
    let before = (written("2024-03"), written("2024-04"));
    site.write("T/2024/04/02/10/b", record(30, "\"late\"", "5").replace("2024-03-30", "2024-04-02"));
    site.run_well("2024-04-04T00:00:00Z");
    assert_eq!(written("2024-03"), before.0);
    assert_ne!(written("2024-04"), before.1);
    assert_eq!(indexed(&fs::read(index(&site, "2024-04")).unwrap()).len(), 2);
    assert_eq!(left_out(&site, "SELECT day FROM T WHERE account = 'late'"), 6);
    site.verify_well();
}

/// I4: no index names what is out of the table, and none stays of a month without segments.
#[test]
fn i4_what_goes_is_named_by_no_index_before_it_goes() {
    let site = Site::new().expiring(&(defaults("retain = \"3d\"\npurge_delay = \"2d\"") + "index = [\"n\"]\n"));
    site.write_days("T", &["2024-02-28", "2024-02-29", "2024-03-01"]);
    site.run_well("2024-03-01T12:00:00Z");
    site.approve("2024-03-03T00:00:00Z", "ann");
    let named = |month: &str| match fs::read(index(&site, month)) {
        Ok(bytes) => Some(indexed(&bytes).len()),
        Err(_) => None,
    };
    assert_eq!((named("2024-02"), named("2024-03")), (Some(2), Some(1)));
    let old = fs::read(index(&site, "2024-02")).unwrap();
    assert_eq!(days(&site.run_well("2024-03-03T01:00:00Z").expiring.retired), ["2024-02-28"]);
    assert_eq!(named("2024-02"), Some(1));
    site.verify_well();
    // One that names the retired day comes back from a copy: it is replaced before that day is destroyed.
    fs::write(index(&site, "2024-02"), &old).unwrap();
    assert_eq!(site.verify().notes.len(), 1);
    let report = site.run_well("2024-03-05T00:00:00Z");
    assert_eq!(days(&report.expiring.destroyed), ["2024-02-28"]);
    assert_eq!(days(&report.expiring.retired), ["2024-02-29", "2024-03-01"][..days(&report.expiring.retired).len()]);
    assert!(named("2024-02").is_none_or(|named| named < 2));
    site.run_well("2024-03-06T00:00:00Z");
    site.run_well("2024-03-08T00:00:00Z");
    assert_eq!((named("2024-02"), named("2024-03")), (None, None), "nothing is left of these months");
    site.verify_well();
    // It comes back after all is gone: `verify` says so, and the next run removes it.
    fs::write(index(&site, "2024-02"), &old).unwrap();
    let found = site.verify();
    assert!(found.exit_code() == 5 && found.damage.iter().all(|one| one.what.ends_with("2024-02.hfi")), "{found:?}");
    site.run_well("2024-03-09T00:00:00Z");
    assert_eq!(named("2024-02"), None);
    site.verify_well();
}

/// What was put back by hand is in the index again, and unarmed nothing is deleted: an empty index takes its place.
#[test]
fn commands_keep_it_up_too() {
    let mut site = Site::new().expiring(&defaults("retain = \"3d\"\npurge_delay = \"9d\""));
    site.write_days("T", &["2024-03-01"]);
    site.run_well("2024-03-01T12:00:00Z");
    site.approve("2024-03-05T00:00:00Z", "ann");
    site.run_well("2024-03-05T01:00:00Z");
    assert!(!index(&site, "2024-03").exists());
    site.reinstate("2024-03-01", "2024-03-05T12:00:00Z").unwrap();
    assert_eq!(indexed(&fs::read(index(&site, "2024-03")).unwrap()).len(), 1);
    site.verify_well();
    site.approve("2024-03-06T00:00:00Z", "ann");
    site.run_well("2024-03-06T01:00:00Z");
    assert!(!index(&site, "2024-03").exists());
    // Somebody puts one there while nothing is armed.
    site.reinstate("2024-03-01", "2024-03-06T12:00:00Z").unwrap();
    let old = fs::read(index(&site, "2024-03")).unwrap();
    site.approve("2024-03-07T00:00:00Z", "ann");
    site.run_well("2024-03-07T01:00:00Z");
    fs::write(index(&site, "2024-03"), &old).unwrap();
    site.armed = holdfast::ledger::Armed::default();
    site.run_well("2024-03-07T02:00:00Z");
    assert_eq!(indexed(&fs::read(index(&site, "2024-03")).unwrap()).len(), 0);
    site.verify_well();
}

/// I7, I13: whatever becomes of an index, answers are the same, and `verify` says what is wrong with it.
#[test]
fn a_damaged_index_changes_no_answer_and_is_found() {
    let site = site();
    let sql = "SELECT account, code, day FROM T WHERE account IN ('a3', 'a5', 'nobody') ORDER BY day";
    let right = site.rows(sql);
    assert_eq!(right.len(), 2);
    let (march, april) = (index(&site, "2024-03"), index(&site, "2024-04"));
    let notes = march.with_file_name("months.json");
    let whole = fs::read(&march).unwrap();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    // The beginning, filters, footers, the directory and the end.
    let mut harms: Vec<(String, Vec<u8>)> =
        (0..=16).map(|part| part * (whole.len() - 1) / 16).map(|at| (format!("byte {at}"), flipped(at))).collect();
    let other = fs::read(&april).unwrap();
    harms.extend([
        ("cut".into(), whole[..whole.len() - 3].to_vec()),
        ("cut short".into(), whole[..9].to_vec()),
        ("empty".into(), Vec::new()),
        ("longer".into(), [whole.as_slice(), b"x"].concat()),
        ("another month's".into(), other),
    ]);
    for (how, bytes) in &harms {
        fs::write(&march, bytes).unwrap();
        let found = site.verify();
        let named = found.damage.iter().any(|one| one.what.ends_with("_index/2024-03.hfi") && !one.meaning.is_empty());
        assert!(found.exit_code() == 5 && named, "{how}: {:?} {:?}", found.damage, found.notes);
    }
    // Few of them, since each search is a process.
    for (how, bytes) in [1, 4, 8, 15, 17, 19, 21].map(|at| &harms[at]) {
        fs::write(&march, bytes).unwrap();
        assert_eq!(site.rows(sql), right, "{how}");
    }
    // As `verify` says: removed, it is written anew.
    fs::remove_file(&march).unwrap();
    assert!(site.verify().damage.is_empty() && site.verify().notes[0].why.contains("2024-03"));
    site.run_well("2024-04-03T01:00:00Z");
    assert_eq!(fs::read(&march).unwrap(), whole, "the same segments give the same index");
    site.verify_well();

    let right_notes = fs::read(&notes).unwrap();
    for at in 0..right_notes.len() {
        let mut bytes = right_notes.clone();
        bytes[at] ^= 1;
        fs::write(&notes, bytes).unwrap();
        let found = site.verify();
        let named = found.damage.iter().any(|one| one.what.ends_with("_index/months.json"));
        assert!(named && found.exit_code() == 5, "byte {at}: {:?}", found.damage);
    }
    site.run_well("2024-04-03T02:00:00Z");
    assert_eq!(fs::read(&notes).unwrap(), right_notes);
    fs::remove_file(&notes).unwrap();
    assert_eq!(site.verify().notes.len(), 1);
    site.run_well("2024-04-03T03:00:00Z");
    site.verify_well();
    // A stranger's file is one there as anywhere.
    fs::write(march.with_file_name("notes.txt"), "x").unwrap();
    let found = site.verify();
    assert!(found.notes.len() == 1 && found.notes[0].why.contains("belongs to nothing"), "{:?}", found.notes);
}

/// A small generator of its own: the same records each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A value of any kind: texts, numbers, numbers as texts, other types, null, and none at all.
fn drawn(draw: &mut Draw) -> String {
    let number = draw.below(7);
    match draw.below(12) {
        0..=2 => format!("\"v{number}\""),
        3..=5 => format!("{number}"),
        6 => format!("\"{number}\""),
        7 => format!("{number}.0"),
        8 => "null".into(),
        9 => format!("{{\"v\":{number}}}"),
        10 => "true".into(),
        _ => "\"V 1\"".into(),
    }
}

/// I13: over records of every kind, whatever is looked for, the answer with the index is the one without.
#[test]
fn no_row_is_missed_wherever_its_value_stands() {
    let mut draw = Draw(5);
    let site = Site::new().with_policy(POLICY);
    for run in 0..3 {
        for day in 1..=6 {
            let records: String = (0..draw.below(4) + 1)
                .map(|_| {
                    let account = if draw.below(6) == 0 { "Account" } else { "account" };
                    let (one, other) = (drawn(&mut draw), drawn(&mut draw));
                    record(day, &one, &other).replace("\"account\"", &format!("\"{account}\""))
                })
                .collect();
            site.write(&format!("T/2024/03/{day:02}/{:02}/a", 10 + run), records);
        }
        site.run_well(&format!("2024-04-0{}T00:00:00Z", run + 3));
    }
    let mut literals: Vec<String> = (0..7).flat_map(|number| [format!("'v{number}'"), format!("'{number}'")]).collect();
    literals.extend((0..7).map(|number| number.to_string()));
    literals.extend(["'V 1'", "'true'", "'{\"v\":3}'", "2.0", "'2.0'", "'absent'"].map(str::to_owned));
    let asked: Vec<String> = ["account", "code"]
        .iter()
        .flat_map(|column| literals.iter().map(move |literal| format!("{column} = {literal}")))
        .chain(["account IN ('v1', '2')".into(), "account = 'v1' AND code = 3".into()])
        .collect();
    let sql: Vec<String> = asked
        .iter()
        .enumerate()
        .map(|(at, filter)| format!("SELECT {at} AS q, day, account, code FROM T WHERE {filter}"))
        .collect();
    let answers = |site: &Site| -> BTreeSet<(usize, String)> {
        let found = sql.chunks(12).flat_map(|some| site.rows(&some.join(" UNION ALL "))).enumerate();
        found.collect::<Vec<_>>().into_iter().map(|(_, row)| row).fold(BTreeSet::new(), |mut rows, row| {
            let copies = (0..).find(|copy| !rows.contains(&(*copy, row.clone()))).unwrap();
            rows.insert((copies, row));
            rows
        })
    };
    let with = answers(&site);
    assert!(with.len() > 50, "{}", with.len());
    let nobody = left_out(&site, "SELECT day FROM T WHERE account = 'absent'");
    assert!(nobody > 0, "the index leaves something out");
    fs::remove_dir_all(index(&site, "x").parent().unwrap()).unwrap();
    let without = answers(&site);
    assert_eq!(with.symmetric_difference(&without).collect::<Vec<_>>(), Vec::<&(usize, String)>::new());
}
