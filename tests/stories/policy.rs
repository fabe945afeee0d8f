//! Policy and settings as admins meet them: the shipped files hold, and each mistake is shown so that it can be mended.
//!
//! The snapshots are the text on the terminal, without colour.

use std::path::{Path, PathBuf};

use holdfast::names::TableName;
use holdfast::policy::{PolicyFile, PolicySet, describe, render_all, schema};
use holdfast::settings::Settings;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The mistakes in one policy file that starts with its version.
fn mistakes_of(text: &str) -> String {
    mistakes_in(&[("policy.toml", &format!("version = 1\n{text}"))])
}

fn mistakes_in(files: &[(&str, &str)]) -> String {
    let files = files.iter().map(|(name, text)| PolicyFile { name: (*name).into(), text: (*text).into() }).collect();
    match PolicySet::from_files(files) {
        Ok(_) => "no mistake".into(),
        Err(mistakes) => render_all(&mistakes, false),
    }
}

/// The mistakes in a settings file that is right so far.
fn settings_mistakes_of(text: &str) -> String {
    match Settings::parse(&format!("archive = \"/srv/holdfast\"\n{text}"), Path::new("/etc/holdfast")) {
        Ok(_) => "no mistake".into(),
        Err(mistakes) => render_all(&mistakes, false),
    }
}

#[test]
fn the_shipped_policies_hold_together_and_each_alone() {
    let folder = root().join("policies");
    let set = PolicySet::read_folder(&folder).unwrap_or_else(|error| panic!("{}", error.render(false)));
    assert!(set.files().len() >= 4);
    for file in set.files() {
        assert!(file.text.starts_with('#'), "{} says what it is for", file.name);
        let alone = PolicySet::from_files(vec![file.clone()]);
        assert!(alone.is_ok(), "{}: {}", file.name, render_all(&alone.unwrap_err(), false));
    }
}

#[test]
fn the_shipped_policies_as_check_describes_them() {
    let set = PolicySet::read_folder(&root().join("policies")).unwrap();
    let names = [
        "main/SecurityEvent",
        "cde/SecurityEvent",
        "main/AADManagedIdentitySignInLogs",
        "main/AZFWDnsQuery",
        "main/Syslog",
    ];
    let tables = names.map(|name| TableName::parse(name).unwrap());
    let description = describe(&set, &tables);
    insta::assert_snapshot!("described", description.to_string());
    insta::assert_json_snapshot!("described_json", description.tables[..1]);
    let warnings: Vec<String> = set.unmatched(&tables).iter().map(|warning| warning.title().to_owned()).collect();
    insta::assert_snapshot!("described_unmatched", warnings.join("\n"));
}

#[test]
fn a_table_without_a_rule_is_described_as_kept() {
    let text = "version = 1\n[[table]]\nname = \"A\"\nretain = \"1y\"\narchive = false\n";
    let set = PolicySet::from_files(vec![PolicyFile { name: "a.toml".into(), text: text.into() }]).unwrap();
    insta::assert_snapshot!("described_no_rule", describe(&set, &[TableName::new("main", "B")]).to_string());
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let path = root().join("docs/policy.schema.json");
    let fresh = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == fresh, "docs/policy.schema.json is stale: run the tests once with UPDATE_SCHEMA=1");
}

#[test]
fn mistakes_of_spelling() {
    insta::assert_snapshot!("unknown_key", mistakes_of("[[table]]\nname = \"SecurityEvent\"\nretian = \"730d\"\n"));
    insta::assert_snapshot!("unknown_key_camel_case", mistakes_of("[defaults]\narchiveAfter = \"2d\"\n"));
    insta::assert_snapshot!("unknown_key_far_off", mistakes_of("[defaults]\ncolour = \"red\"\n"));
    insta::assert_snapshot!("unknown_table", mistakes_of("[default]\nretain = \"1y\"\n"));
    insta::assert_snapshot!("azure_word_total", mistakes_of("[[table]]\nname = \"A\"\ntotalRetentionInDays = 2556\n"));
    insta::assert_snapshot!("azure_word_interactive", mistakes_of("[[table]]\nname = \"A\"\nretentionInDays = 90\n"));
    insta::assert_snapshot!("azure_word_snake_case", mistakes_of("[defaults]\nretention_days = \"90\"\n"));
}

#[test]
fn mistakes_of_spans() {
    let retain = |written: &str| mistakes_of(&format!("[[table]]\nname = \"A\"\nretain = {written}\n"));
    insta::assert_snapshot!("span_minutes", retain("\"18m\""));
    insta::assert_snapshot!("span_no_unit", retain("\"730\""));
    insta::assert_snapshot!("span_bare_number", retain("730"));
    insta::assert_snapshot!("span_negative", retain("\"-5d\""));
    insta::assert_snapshot!("span_spelled_out", retain("\"730 days\""));
    insta::assert_snapshot!("span_fraction", retain("\"1.5y\""));
    insta::assert_snapshot!("span_hours", retain("\"36h\""));
    insta::assert_snapshot!("span_never", retain("\"never\""));
    insta::assert_snapshot!("span_empty", retain("\"\""));
    insta::assert_snapshot!("span_too_long", retain("\"99999y\""));
    insta::assert_snapshot!("span_without_quotes", retain("730d"));
    insta::assert_snapshot!("span_float", retain("1.5"));
    insta::assert_snapshot!("span_boolean", retain("true"));
    insta::assert_snapshot!("retain_zero", retain("\"0d\""));
    insta::assert_snapshot!("archive_after_forever", mistakes_of("[defaults]\narchive_after = \"forever\"\n"));
    insta::assert_snapshot!("quarantine_retain_zero", mistakes_of("[defaults]\nquarantine_retain = \"0d\"\n"));
}

#[test]
fn mistakes_of_names() {
    let name = |written: &str| mistakes_of(&format!("[[table]]\nname = {written}\nretain = \"1y\"\n"));
    insta::assert_snapshot!("name_empty", name("\"\""));
    insta::assert_snapshot!("name_missing", mistakes_of("[[table]]\nretain = \"1y\"\n"));
    insta::assert_snapshot!("name_with_space", name("\"Security Event\""));
    insta::assert_snapshot!("name_bad_glob", name("\"AZFW[A-Z]*\""));
    insta::assert_snapshot!("name_two_stars", name("\"**/SecurityEvent\""));
    insta::assert_snapshot!("name_two_slashes", name("\"main/a/b\""));
    insta::assert_snapshot!("name_reserved", name("\"_hf_index\""));
    insta::assert_snapshot!("name_in_defaults", mistakes_of("[defaults]\nname = \"A\"\nretain = \"1y\"\n"));
}

#[test]
fn mistakes_of_columns_tags_and_words() {
    insta::assert_snapshot!("index_empty", mistakes_of("[defaults]\nindex = [\"Account\", \"\"]\n"));
    insta::assert_snapshot!("index_twice", mistakes_of("[defaults]\nindex = [\"Account\", \"account\"]\n"));
    insta::assert_snapshot!("index_no_array", mistakes_of("[defaults]\nindex = \"Account\"\n"));
    insta::assert_snapshot!("tags_twice", mistakes_of("[defaults]\ntags = [\"cde\",\n  \"pci\",\n  \"cde\"]\n"));
    insta::assert_snapshot!("tags_of_numbers", mistakes_of("[defaults]\ntags = [1, 2]\n"));
    insta::assert_snapshot!("time_column_empty", mistakes_of("[defaults]\ntime_column = \"\"\n"));
    insta::assert_snapshot!("time_column_reserved", mistakes_of("[defaults]\ntime_column = \"_HF_day\"\n"));
    insta::assert_snapshot!("time_column_forbidden", mistakes_of("[defaults]\ntime_column = \"event time\"\n"));
    insta::assert_snapshot!("clock_unknown", mistakes_of("[defaults]\nclock = \"ingestion\"\n"));
    insta::assert_snapshot!("boolean_in_quotes", mistakes_of("[defaults]\nlocked = \"true\"\n"));
    insta::assert_snapshot!("schedule_six_fields", mistakes_of("[defaults]\nschedule = \"0 0 2 * * *\"\n"));
    insta::assert_snapshot!("schedule_weekday_number", mistakes_of("[defaults]\nschedule = \"0 2 * * 1\"\n"));
}

#[test]
fn what_comes_later_is_not_ignored() {
    let table = "[[table]]\nname = \"A\"\nretain = \"1y\"\n";
    let part = "  [[table.part]]\n  name = \"noise\"\n  where = \"EventID IN (5156, 5158)\"\n  retain = \"90d\"\n";
    insta::assert_snapshot!("later_part", mistakes_of(&format!("{table}{part}")));
    insta::assert_snapshot!("later_requirement", mistakes_of("[[requirement]]\nname = \"PCI\"\nfloor = \"1y\"\n"));
    insta::assert_snapshot!("storage_class_frozen", mistakes_of(&format!("{table}storage_class = \"archive\"\n")));
    insta::assert_snapshot!("later_dedup_by", mistakes_of(&format!("{table}dedup_by = [\"_ItemId\"]\n")));
}

#[test]
fn mistakes_of_whole_files() {
    insta::assert_snapshot!("version_missing", mistakes_in(&[("policy.toml", "[defaults]\nretain = \"1y\"\n")]));
    insta::assert_snapshot!("version_missing_in_empty_file", mistakes_in(&[("policy.toml", "")]));
    insta::assert_snapshot!("version_unknown", mistakes_in(&[("policy.toml", "version = 2\n[later]\n")]));
    insta::assert_snapshot!("version_in_quotes", mistakes_in(&[("policy.toml", "version = \"1\"\n")]));
    insta::assert_snapshot!("no_file", mistakes_in(&[]));
    insta::assert_snapshot!("broken_toml", mistakes_of("[[table]\nname = \"A\"\nretain = \"1y\"\n"));
    insta::assert_snapshot!("broken_quotes", mistakes_of("[[table]]\nname = \"A\nretain = \"1y\"\n"));
    insta::assert_snapshot!("key_twice", mistakes_of("[defaults]\nretain = \"1y\"\nretain = \"2y\"\n"));
    insta::assert_snapshot!("defaults_twice", mistakes_of("[defaults]\nretain = \"1y\"\n[defaults]\nlocked = true\n"));
    insta::assert_snapshot!("table_in_single_brackets", mistakes_of("[table]\nname = \"A\"\nretain = \"1y\"\n"));
    insta::assert_snapshot!("defaults_in_double_brackets", mistakes_of("[[defaults]]\nretain = \"1y\"\n"));
}

#[test]
fn mistakes_between_rules() {
    let table = |name: &str| format!("[[table]]\nname = \"{name}\"\nretain = \"1y\"\n");
    let file = |text: &str| format!("version = 1\n{text}");
    insta::assert_snapshot!(
        "same_name_in_other_case",
        mistakes_of(&(table("SecurityEvent") + &table("securityevent")))
    );
    insta::assert_snapshot!("same_glob", mistakes_of(&(table("AZFW*") + &table("azfw*"))));
    insta::assert_snapshot!(
        "same_tables_in_other_words",
        mistakes_of(&(table("SecurityEvent") + &table("*/SecurityEvent")))
    );
    insta::assert_snapshot!("tie", mistakes_of(&(table("AZFW*") + &table("*Rule"))));
    insta::assert_snapshot!(
        "same_name_in_two_files",
        mistakes_in(&[("audit.toml", &file(&table("AuditLogs"))), ("security.toml", &file(&table("AuditLogs")))])
    );
    insta::assert_snapshot!(
        "defaults_in_two_files",
        mistakes_in(&[
            ("a.toml", &file("[defaults]\nretain = \"1y\"\n")),
            ("b.toml", &file("[defaults]\nlocked = true\n"))
        ])
    );
    insta::assert_snapshot!("retain_missing", mistakes_of("[defaults]\nkeep_raw = \"0d\"\n[[table]]\nname = \"A\"\n"));
    assert_eq!(mistakes_of(&(table("SecurityEvent") + &table("main/SecurityEvent"))), "no mistake");
}

#[test]
fn all_mistakes_of_all_files_come_at_once() {
    let one = "version = 1\n\n[defaults]\nretain = \"18m\"\n\n[[table]]\nname = \"AuditLogs\"\nretian = \"7y\"\n";
    let other = "version = 1\n\n[[table]]\nname = \"SecurityEvent\"\nretain = \"730d\"\nclok = \"arrival\"\n";
    insta::assert_snapshot!("three_typos_in_two_files", mistakes_in(&[("audit.toml", one), ("security.toml", other)]));
}

/// The same cases in every run; PROPTEST_CASES draws more of them.
fn seeded() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(2), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(seeded())]
    /// Files break in any way while they are edited: each is read or explained, and explaining never fails.
    #[test]
    fn any_edit_is_read_or_explained(
        file in 0usize..4,
        at in 0.0f64..1.0,
        cut in 0usize..12,
        put in "[\\[\\]\"'=.,#{}\n a-z0-9\\-é\u{0}]{0,6}",
    ) {
        let set = PolicySet::read_folder(&root().join("policies")).unwrap();
        let mut files = set.files().to_vec();
        let chars: Vec<char> = files[file].text.chars().collect();
        let from = (at * chars.len() as f64) as usize;
        let to = (from + cut).min(chars.len());
        files[file].text = [&chars[..from], &put.chars().collect::<Vec<_>>(), &chars[to..]].concat().iter().collect();
        if let Err(mistakes) = PolicySet::from_files(files) {
            prop_assert!(!mistakes.is_empty());
            for mistake in &mistakes {
                prop_assert!(mistake.line().is_some() && mistake.render(false).starts_with("error: "));
            }
        }
    }
}

#[test]
fn mistakes_of_settings() {
    let source = "[[source]]\nname = \"collector\"\nurl = \"/var/log/landing\"\nlayout = \"{table}/*\"\n";
    insta::assert_snapshot!("settings_unknown_key", settings_mistakes_of("[delete]\nexpire = true\n"));
    insta::assert_snapshot!("settings_memory_too_little", settings_mistakes_of("memory = \"32MiB\"\n"));
    insta::assert_snapshot!("settings_memory_no_unit", settings_mistakes_of("memory = 1073741824\n"));
    insta::assert_snapshot!("settings_window", settings_mistakes_of("[delete]\nwindow = \"22-05\"\n"));
    insta::assert_snapshot!("settings_cron", settings_mistakes_of("[schedule]\ncron = \"@daily\"\n"));
    insta::assert_snapshot!("settings_time_zone", settings_mistakes_of("[schedule]\ntime_zone = \"Mars/Olympus\"\n"));
    insta::assert_snapshot!("settings_settle", settings_mistakes_of(&format!("{source}settle = \"1d\"\n")));
    insta::assert_snapshot!("settings_same_names", settings_mistakes_of(&format!("{source}{source}")));
    insta::assert_snapshot!("settings_workspace", settings_mistakes_of(&format!("{source}workspace = \"a/b\"\n")));
    insta::assert_snapshot!("settings_source_lacks_keys", settings_mistakes_of("[[source]]\nworkspace = \"main\"\n"));
    insta::assert_snapshot!("settings_scheme", settings_mistakes_of("ledger = \"https://account/ledger\"\n"));
    insta::assert_snapshot!("settings_password", settings_mistakes_of("ledger = \"s3://key:secret@bucket/ledger\"\n"));
    insta::assert_snapshot!("settings_token", settings_mistakes_of("ledger = \"az://c/x?sv=1&sig=secret\"\n"));
    insta::assert_snapshot!("settings_secret_key", settings_mistakes_of(&format!("{source}secret_key = \"geheim\"\n")));
    insta::assert_snapshot!("settings_two_slashes", settings_mistakes_of("ledger = \"file://srv/ledger\"\n"));
    insta::assert_snapshot!("settings_store_option", settings_mistakes_of(&format!("{source}region = \"eu-1\"\n")));
    let inside = source.replace("/var/log/landing", "/srv/holdfast/raw");
    insta::assert_snapshot!("settings_source_in_archive", settings_mistakes_of(&inside));
    let missing = Settings::parse("[delete]\nraw = true\n", Path::new("/etc/holdfast")).unwrap_err();
    let record = settings_mistakes_of("[access]\nrecord = \"sometimes\"\n");
    insta::assert_snapshot!("settings_record", record);
    insta::assert_snapshot!("settings_archive_missing", render_all(&missing, false));
}

#[test]
fn warnings_of_settings_name_what_has_no_effect() {
    let text = "archive = \"/srv/holdfast\"\n\n[delete]\nraw = false\nwindow = \"22:00/05:00\"\n";
    let settings = Settings::parse(text, Path::new("/etc/holdfast")).unwrap();
    let warnings: Vec<String> = settings.warnings().iter().map(|warning| warning.render(false)).collect();
    insta::assert_snapshot!("settings_warning", warnings.join("\n\n"));
}
