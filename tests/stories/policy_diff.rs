//! `policy diff`: what a reviewer is told of an edit, with nothing but two policies and an inventory.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use holdfast::names::TableName;
use holdfast::policy::{
    Change, Held, INVENTORY_VERSION, Inventory, InventoryDay, InventoryTable, PolicyFile, PolicySet, Span, compare,
};
use jiff::civil::{Date, date};
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The policy that the stories begin with.
const OLD: &str = r#"version = 1

[defaults]
retain = "forever"

[[table]]
name        = "AZFW*"
retain      = "90d"
purge_delay = "1d"

[[table]]
name   = "AuditLogs"
retain = "7y"
locked = true

[[table]]
name   = "Heartbeat"
retain = "30d"
clock  = "arrival"

[[table]]
name   = "SecurityEvent"
retain = "730d"
tags   = ["security"]
"#;

/// `count` days from `first` on.
fn days(first: Date, count: i32, keeping: Held) -> Vec<InventoryDay> {
    let days = (0..count).map(|day| first.checked_add(day.days()).unwrap());
    days.map(|day| InventoryDay { day, part: "main".into(), keeping, rows: 1_000, bytes: 50_000 }).collect()
}

/// What the last run left under `OLD`, on 6 March 2024.
fn inventory() -> Inventory {
    let table = |name: &str, days: Vec<Vec<InventoryDay>>| InventoryTable {
        name: TableName::parse(name).unwrap(),
        days: days.concat(),
    };
    Inventory {
        version: INVENTORY_VERSION,
        archive: "5f3a0c1d".into(),
        at: "2024-03-06T02:15:00Z".parse().unwrap(),
        policy: set(OLD).digest(),
        tables: vec![
            table("main/AuditLogs", vec![days(date(2020, 1, 1), 1_526, Held::Archive)]),
            table(
                "main/AZFWDnsQuery",
                vec![days(date(2023, 12, 5), 1, Held::Retired), days(date(2023, 12, 7), 89, Held::Archive)],
            ),
            table("main/AZFWNetworkRule", vec![days(date(2023, 12, 7), 89, Held::Archive)]),
            table("main/Heartbeat", vec![days(date(2024, 2, 5), 29, Held::Archive)]),
            table(
                "main/SecurityEvent",
                vec![days(date(2022, 3, 7), 728, Held::Archive), days(date(2024, 3, 2), 2, Held::Quarantine)],
            ),
            table("main/Syslog", vec![days(date(2021, 1, 1), 1_000, Held::Archive)]),
        ],
    }
}

fn set(text: &str) -> PolicySet {
    PolicySet::from_files(vec![PolicyFile { name: "policy.toml".into(), text: text.into() }]).unwrap()
}

/// A folder with an inventory and two policies.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(old: &str, new: &str) -> Self {
        let desk = Desk(tempfile::tempdir().unwrap());
        desk.write("inventory.json", &serde_json::to_string(&inventory()).unwrap());
        desk.write("old/policy.toml", old);
        desk.write("new/policy.toml", new);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        isolated(&mut command, self.0.path());
        command.args(["policy", "diff"]).args(arguments).args(["--inventory", "inventory.json"]).output().unwrap()
    }

    fn git(&self, arguments: &[&str]) {
        let mut command = Command::new("git");
        isolated(&mut command, self.0.path());
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(arguments);
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "policies"]);
    }
}

/// Nothing of this machine or its user: no settings, no git configuration, no repository around the folder.
fn isolated(command: &mut Command, folder: &Path) {
    command.current_dir(folder).env_remove("HOLDFAST_CONFIG").env_remove("GIT_DIR").env("NO_COLOR", "1");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
    command.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap());
}

/// What was printed, and how it ended.
fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!("{}{}exit code {}\n", text(&output.stdout), text(&output.stderr), output.status.code().unwrap())
}

fn told(new: &str) -> String {
    shown(&Desk::new(OLD, new).run(&["old", "new"]))
}

#[test]
fn what_changes_nothing_is_told_in_a_line() {
    insta::assert_snapshot!("diff_same", told(OLD));
    let commented = OLD.replace("[[table]]", "# A comment, and a line further down.\n[[table]]");
    assert_eq!(told(&commented), told(OLD));
    insta::assert_snapshot!("diff_other_keys", told(&OLD.replace("\"security\"", "\"security\", \"soc\"")));
}

#[test]
fn a_longer_rule_puts_back_what_is_retired() {
    insta::assert_snapshot!("diff_longer", told(&OLD.replace("\"90d\"", "\"180d\"")));
}

#[test]
fn a_shorter_rule_is_told_with_its_days_and_dates() {
    let shorter = told(&OLD.replace("\"730d\"", "\"365d\""));
    insta::assert_snapshot!("diff_shorter", shorter);
    let (_, told) = shorter.split_once('\n').unwrap();
    let told = told.strip_suffix("exit code 11\n").unwrap();
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/POLICY-REVIEW.md")).unwrap();
    assert!(docs.contains(told), "docs/POLICY-REVIEW.md shows another diff than this: {told}");
    let desk = Desk::new(OLD, &OLD.replace("\"730d\"", "\"365d\"\nshorten_grace = \"90d\""));
    insta::assert_snapshot!("diff_longer_grace", shown(&desk.run(&["old", "new", "--as-of", "2024-04-01"])));
}

#[test]
fn a_shorter_delay_hurries_what_is_retired_already() {
    let old = OLD.replace("\"1d\"", "\"60d\"");
    insta::assert_snapshot!("diff_shorter_delay", shown(&Desk::new(&old, OLD).run(&["old", "new"])));
}

#[test]
fn a_glob_shortens_tables_that_had_another_rule() {
    let new = format!("{OLD}\n[[table]]\nname = \"Sys*\"\nretain = \"2y\"\n");
    insta::assert_snapshot!("diff_glob", told(&new));
}

#[test]
fn a_removed_rule_leaves_its_tables_to_the_next() {
    let without =
        OLD.replace("name   = \"SecurityEvent\"\nretain = \"730d\"", "name   = \"Security*\"\nretain = \"400d\"");
    insta::assert_snapshot!("diff_falls_to_a_glob", told(&without));
    let at = OLD.find("[[table]]\nname        = \"AZFW*\"").unwrap();
    let to = OLD.find("[[table]]\nname   = \"AuditLogs\"").unwrap();
    let without = format!("{}{}", &OLD[..at], &OLD[to..]);
    insta::assert_snapshot!("diff_falls_to_defaults", told(&without));
    let neither = without.replace("[defaults]\nretain = \"forever\"\n", "");
    insta::assert_snapshot!("diff_falls_to_no_rule", told(&neither));
}

#[test]
fn another_clock_counts_as_shorter() {
    insta::assert_snapshot!("diff_clock", told(&OLD.replace("\"arrival\"", "\"event\"")));
}

#[test]
fn a_locked_rule_that_shrinks_will_be_refused() {
    insta::assert_snapshot!("diff_locked", told(&OLD.replace("\"7y\"", "\"6y\"")));
    insta::assert_snapshot!("diff_unlocked", told(&OLD.replace("locked = true", "locked = false")));
    // The rule itself must stay, even if another that is longer and locked takes its tables.
    let other = OLD.replace("\"AuditLogs\"\nretain = \"7y\"", "\"Audit*\"\nretain = \"8y\"");
    insta::assert_snapshot!("diff_lock_moved", told(&other));
    assert!(told(&OLD.replace("\"7y\"", "\"8y\"")).ends_with("exit code 10\n"), "growing is what a lock allows");
}

#[test]
fn a_shorter_grace_is_shorter_although_nothing_goes_earlier_yet() {
    insta::assert_snapshot!("diff_shorter_grace", told(&OLD.replace("\"730d\"", "\"730d\"\nshorten_grace = \"1d\"")));
}

#[test]
fn rules_for_tables_that_are_not_there_yet_count() {
    let with = |retain: &str| told(&format!("{OLD}\n[[table]]\nname = \"Tomorrow\"\nretain = \"{retain}\"\n"));
    insta::assert_snapshot!("diff_rule_for_tomorrow", with("5d"));
    assert!(with("forever").ends_with("exit code 0\n"));
    // Two globs overlap in names that no table has yet.
    let both = format!("{OLD}\n[[table]]\nname = \"*Rules\"\nretain = \"9y\"\n");
    let other = both.replace("\"9y\"", "\"10y\"").replace("\"AZFW*\"", "\"AZFWDns*\"");
    insta::assert_snapshot!("diff_overlapping_globs", shown(&Desk::new(&both, &other).run(&["old", "new"])));
}

#[test]
fn for_a_pull_request_there_is_markdown_and_for_programs_json() {
    let new = OLD.replace("\"730d\"", "\"365d\"").replace("\"90d\"", "\"180d\"");
    let desk = Desk::new(OLD, &new);
    insta::assert_snapshot!("diff_markdown", shown(&desk.run(&["old", "new", "--format", "markdown"])));
    insta::assert_snapshot!("diff_json", shown(&desk.run(&["old", "new", "--format", "json"])));
    let refused =
        Command::new(env!("CARGO_BIN_EXE_holdfast")).args(["check", "--format", "markdown"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(shown(&refused).contains("only `policy diff` and `man` print Markdown"));
}

#[test]
fn invalid_policies_are_shown_with_all_their_mistakes() {
    let desk = Desk::new(&OLD.replace("730d", "730"), &OLD.replace("retain", "retian"));
    insta::assert_snapshot!("diff_invalid", shown(&desk.run(&["old", "new"])));
}

#[test]
fn an_inventory_of_another_version_is_refused() {
    let desk = Desk::new(OLD, OLD);
    for (text, reason) in [
        ("{\"version\": 2, \"of\": \"tomorrow\"}", "it is of version 2, and this Holdfast reads version 1"),
        ("{\"tables\": []}", "it does not say its version"),
        ("version = 1", "expected value at line 1 column 1"),
    ] {
        desk.write("inventory.json", text);
        let output = desk.run(&["old", "new"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(shown(&output).contains(reason), "{}", shown(&output));
    }
}

#[test]
fn revisions_are_read_from_git() {
    let desk = Desk::new(OLD, OLD);
    desk.git(&["init", "--quiet", "--initial-branch", "main"]);
    desk.write("policies/policy.toml", OLD);
    desk.write("policies/notes.txt", "no policy");
    desk.commit();
    desk.write("policies/policy.toml", &OLD.replace("\"730d\"", "\"365d\""));
    desk.commit();
    let code = |old: &str, new: &str| {
        let output = desk.run(&[old, new]);
        (output.status.code().unwrap(), shown(&output))
    };
    for (old, new, expected) in [
        ("main:policies", "policies", 0),
        ("HEAD~1:policies", "main", 11),
        ("main", "HEAD~1", 10),
        ("main~1:policies/policy.toml", "policies/policy.toml", 11),
        ("HEAD^{tree}:policies", "@:./policies", 0),
    ] {
        let (code, shown) = code(old, new);
        assert_eq!(code, expected, "{old} {new}: {shown}");
    }
    // A path that exists wins over a revision of the same name.
    desk.git(&["branch", "old", "main"]);
    assert_eq!(code("old", "main:policies").0, 11);
    for (old, reason) in [
        ("nowhere", "git knows no revision `nowhere`"),
        ("main:nowhere", "git has no `main:nowhere`"),
        (":policies", "git knows no revision ``"),
        ("--upload-pack=x", "unexpected argument"),
    ] {
        let (code, shown) = code(old, "policies");
        assert_eq!(code, 2);
        assert!(shown.contains(reason), "{shown}");
    }
    // Mistakes are shown where they are, in the revision.
    desk.write("policies/policy.toml", "version = 1\n[defaults]\nretain = \"18m\"\n");
    desk.commit();
    assert!(code("main~1", "main").1.contains("--> main:./policies/policy.toml:3:10"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("policy.toml", desk.path("policies/link.toml")).unwrap();
        desk.commit();
        assert!(code("old", "main").1.contains("link.toml is no plain file"));
    }
}

#[test]
fn settings_are_not_needed_but_name_the_folder_of_a_revision() {
    let desk = Desk::new(OLD, OLD);
    desk.git(&["init", "--quiet", "--initial-branch", "main"]);
    desk.write("deploy/rules/policy.toml", OLD);
    desk.write("holdfast.toml", "archive = \"archive\"\npolicies = \"deploy/rules\"\n");
    desk.commit();
    let output = desk.run(&["main", "old"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    std::fs::remove_file(desk.path("holdfast.toml")).unwrap();
    let output = desk.run(&["main", "old"]);
    assert!(shown(&output).contains("git has no `main:./policies`, no `main:policies`"), "{}", shown(&output));
}

#[test]
fn without_git_only_paths_can_be_compared() {
    let desk = Desk::new(OLD, OLD);
    assert_eq!(desk.run(&["old", "new"]).status.code(), Some(0));
    assert!(shown(&desk.run(&["main", "new"])).contains("git knows no repository here"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    isolated(&mut command, desk.0.path());
    command.env("PATH", desk.0.path()).args(["policy", "diff", "main", "new", "--inventory", "inventory.json"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(shown(&output).contains("a git revision needs the program `git`"), "{}", shown(&output));
}

/// The same cases in every run; PROPTEST_CASES draws more of them.
fn seeded() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(3), cases: 64, ..ProptestConfig::default() }
}

fn arb_span() -> impl Strategy<Value = Span> {
    prop_oneof![
        (1u32..900).prop_map(Span::Days),
        (1u32..30).prop_map(Span::Months),
        (1u32..4).prop_map(Span::Years),
        Just(Span::Forever),
    ]
}

proptest! {
    #![proptest_config(seeded())]
    /// The exit code hides nothing: where it says longer, no day goes earlier, and where it says nothing, none moves.
    #[test]
    fn no_day_goes_earlier_unless_it_is_called_shorter(
        old in (arb_span(), arb_span(), arb_span()),
        new in (arb_span(), arb_span(), arb_span()),
        after in 0i64..400,
    ) {
        let rule = |(retain, delay, grace): (Span, Span, Span)| {
            let keys = format!("retain = \"{retain}\"\npurge_delay = \"{delay}\"\nshorten_grace = \"{grace}\"\n");
            set(&format!("version = 1\n[[table]]\nname = \"SecurityEvent\"\n{keys}"))
        };
        let inventory = inventory();
        let now: Timestamp = inventory.at + jiff::SignedDuration::from_hours(24 * after);
        let (old, new) = (rule(old), rule(new));
        let diff = compare(&old, &new, &inventory, now);
        match diff.verdict {
            Change::Shorter => prop_assert_eq!(diff.exit_code(), 11),
            Change::Longer => prop_assert_eq!((diff.exit_code(), diff.shorter.days), (10, 0)),
            Change::Same => prop_assert_eq!((diff.exit_code(), diff.shorter.days, diff.longer.days), (0, 0, 0)),
        }
        let name = TableName::new("main", "SecurityEvent");
        let (old, new) = (old.rule_for(&name).unwrap(), new.rule_for(&name).unwrap());
        let today = holdfast::policy::day_of(now);
        for effect in diff.changes.iter().flat_map(|change| &change.tables).flat_map(|table| &table.effects) {
            if !effect.effect.is_shorter() {
                continue;
            }
            // I3: nothing newly due goes before a grace is over, nor before the new rule itself says so.
            let grace = diff.changes[0].grace.unwrap();
            let never = Date::MAX;
            for rule in [&old, &new] {
                let over = rule.shorten_grace.after(now).map_or(never, holdfast::policy::day_of);
                prop_assert!(grace.over.unwrap_or(never) >= over);
            }
            let first = effect.destroyed.first.unwrap_or(never);
            prop_assert!(first > today);
            if effect.keeping == Held::Archive {
                prop_assert!(first >= new.destroy_at(effect.first_day).unwrap_or(never));
                let before = old.destroy_at(effect.first_day).unwrap_or(never);
                prop_assert!(first >= before.min(grace.over.unwrap_or(never)), "{first} {before}");
            }
        }
    }
}
