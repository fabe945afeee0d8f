//! I13: what an answer was made from, and what it did not see.

use serde_json::json;

use crate::expiring::{defaults, record};
use crate::site::Site;

/// Ten days archived, an hour of the eleventh still raw, and a line that is no record.
fn ten_days() -> Site {
    let site = Site::new();
    for day in 1..=10 {
        let records: String = (0..3).map(|n| record(&format!("2024-03-{day:02}T0{n}:00:00Z"), day * 10 + n)).collect();
        site.write(&format!("T/2024/03/{day:02}/00/a"), records);
    }
    site.write("T/2024/03/10/01/bad", "no record\n");
    site.run_well("2024-03-13T00:00:00Z");
    site.write("T/2024/03/11/00/young", record("2024-03-11T00:00:00Z", 110));
    site
}

#[test]
fn time_predicates_prune_days_and_the_answer_says_which_range() {
    let site = ten_days();
    for (predicate, days, rows) in [
        ("TimeGenerated >= '2024-03-09'", 2, 6),
        ("TimeGenerated BETWEEN '2024-03-02' AND '2024-03-03T00:00:00Z'", 2, 4),
        ("TimeGenerated < timestamp '2024-03-02T00:00:00Z' OR TimeGenerated > '2024-03-10T01:00:00Z'", 2, 4),
        ("_hf_day = '2024-03-05'", 1, 3),
        ("date_trunc('day', TimeGenerated) = '2024-03-05'", 10, 3),
        ("TimeGenerated > '2030-01-01'", 0, 0),
    ] {
        let found = site.search(&format!("SELECT * FROM T WHERE {predicate}"), &[]);
        let table = &found.answer["tables"][0];
        assert_eq!((found.rows.len(), &table["days"]), (rows, &json!(10)), "{predicate} {}", found.errors);
        assert!(table["days_searched"].as_u64().unwrap() <= days, "{predicate}: {table}");
    }
    let found =
        site.search("SELECT * FROM T WHERE TimeGenerated >= '2024-03-09' AND TimeGenerated < '2024-03-10'", &[]);
    assert_eq!(found.answer["tables"][0]["from"], "2024-03-09T00:00:00Z");
    assert_eq!(found.answer["tables"][0]["to"], "2024-03-09T23:59:59.999999Z");
}

#[test]
fn i13_what_is_raw_or_in_quarantine_is_told_and_read_when_asked() {
    let site = ten_days();
    let found = site.search("SELECT count(*) AS c FROM T", &[]);
    let unseen = &found.answer["tables"][0]["not_seen"];
    assert_eq!((&unseen["raw_objects"], &unseen["quarantined"]), (&json!(1), &json!(1)));
    assert_eq!((found.rows[0]["c"].clone(), &found.answer["complete"]), (json!(30), &json!(false)));

    let found = site.search("SELECT count(*) AS c FROM T", &["--include-raw"]);
    let table = &found.answer["tables"][0];
    assert_eq!(found.rows[0]["c"], json!(31));
    assert_eq!((&table["not_seen"]["raw_objects"], &table["raw_included"]["objects"]), (&json!(0), &json!(1)));
    assert_eq!(
        table["raw_included"]["unreadable"].as_object().unwrap().len(),
        1,
        "the line that is no record: {table}"
    );

    // Raw objects of days so late that such a time in them would be quarantined are not missing from an old question.
    let found = site.search("SELECT count(*) FROM T WHERE TimeGenerated < '2024-02-01'", &[]);
    assert_eq!(found.answer["tables"][0]["not_seen"]["raw_objects"], json!(0));

    let (_, out, said) = site.holdfast(&["search", "SELECT count(*) AS c FROM T"]);
    insta::assert_snapshot!(format!("{out}{said}"), @r"
     c
    30
    1 row
    main/T: 10 of 10 days searched
      not seen: 1 raw object (49 B) not archived: --include-raw reads them
      not seen: 1 record in quarantine: --include-raw reads what can be read
    ");
}

#[test]
fn i13_strict_fails_before_a_row_is_given() {
    let site = ten_days();
    let found = site.search("SELECT * FROM T", &["--strict"]);
    assert_eq!((found.code, found.rows.len()), (1, 0));
    assert!(found.errors.contains("not archived") && found.errors.contains("quarantine"), "{}", found.errors);
    let site = Site::new();
    site.write("T/2024/03/01/00/a", record("2024-03-01T00:00:00Z", 1));
    site.run_well("2024-03-04T00:00:00Z");
    assert_eq!(site.search("SELECT * FROM T", &["--strict"]).code, 0);
}

#[test]
fn i13_retired_days_are_told() {
    let site = Site::new().expiring(&defaults("retain = \"3d\"\npurge_delay = \"7d\""));
    site.write_days("T", &["2024-03-01", "2024-03-04"]);
    site.run_well("2024-03-04T12:00:00Z");
    site.approve("2024-03-05T00:00:00Z", "ann");
    site.run_well("2024-03-05T00:00:00Z");
    let found = site.search("SELECT * FROM T", &[]);
    assert_eq!(found.answer["tables"][0]["not_seen"]["retired_days"], json!(["2024-03-01"]));
    let found = site.search("SELECT * FROM T WHERE TimeGenerated >= '2024-03-02'", &[]);
    assert_eq!(found.answer["tables"][0]["not_seen"]["retired_days"], json!([]));
}

#[test]
fn i13_a_source_that_cannot_be_listed_is_told() {
    let site = ten_days();
    std::fs::remove_dir_all(site.raw_path("")).unwrap();
    let found = site.search("SELECT count(*) FROM T", &[]);
    let unlisted = found.answer["tables"][0]["not_seen"]["unlisted"].to_string();
    assert!(found.code == 0 && unlisted.contains("collector"), "{unlisted}");
}

#[test]
fn a_missing_segment_is_damage_and_no_answer() {
    let site = ten_days();
    std::fs::remove_file(&site.segments("main/T")[4]).unwrap();
    let found = site.search("SELECT * FROM T ORDER BY n", &[]);
    assert_eq!((found.code, found.rows.len()), (5, 0), "{}", found.errors);
    assert!(found.errors.contains("holdfast verify"), "{}", found.errors);
    assert_eq!(site.search("SELECT * FROM T WHERE TimeGenerated < '2024-03-03'", &[]).rows.len(), 6);
    std::fs::remove_dir_all(site.path().join("archive/tables/main/T")).unwrap();
    let found = site.search("SELECT count(*) FROM T", &[]);
    assert!(found.code == 5 && found.rows.is_empty(), "a table that is gone has no rows to count: {}", found.errors);
}

#[test]
fn a_table_that_lies_raw_only_is_found_when_asked() {
    let site = Site::new();
    site.write("Young/2024/03/01/00/a", record("2024-03-01T00:00:00Z", 1));
    site.run_well("2024-03-01T00:30:00Z");
    assert_eq!(site.search("SELECT * FROM Young", &[]).code, 2);
    let found = site.search("SELECT n FROM young WHERE TimeGenerated >= '2024-03-01'", &["--include-raw"]);
    assert_eq!((found.code, found.rows), (0, vec![json!({ "n": 1 })]), "{}", found.errors);
}

#[test]
fn two_workspaces_with_one_table_are_told_apart() {
    let site = Site::new().with_source("other", "cde", "{table}/{year}/{month}/{day}/{hour}/*");
    site.write("T/2024/03/01/00/a", record("2024-03-01T00:00:00Z", 1));
    let other = site.path().join("other/T/2024/03/01/00");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("a"), record("2024-03-01T00:00:00Z", 2)).unwrap();
    site.run_well("2024-03-04T00:00:00Z");
    let found = site.search("SELECT n FROM T", &[]);
    assert!(found.code == 2 && found.errors.contains("cde.T or main.T"), "{}", found.errors);
    assert_eq!(site.rows("SELECT n FROM cde.T"), [r#"{"n":2}"#]);
    assert_eq!(site.rows("SELECT a.n, b.n AS m FROM CDE.t a JOIN main.T b ON a.n > b.n"), [r#"{"n":2,"m":1}"#]);
}

#[test]
fn a_table_with_a_dot_in_its_name_is_found_as_it_is_shown() {
    let site = Site::new();
    site.write("AWS.CloudTrail/2024/03/01/00/a", record("2024-03-01T00:00:00Z", 1));
    site.run_well("2024-03-04T00:00:00Z");
    for from in
        ["AWS.CloudTrail", "aws.cloudtrail", "main.AWS.CloudTrail", "\"AWS.CloudTrail\"", "main.\"AWS.CloudTrail\""]
    {
        assert_eq!(site.rows(&format!("SELECT n FROM {from}")), [r#"{"n":1}"#], "{from}");
    }
}

#[test]
fn what_is_a_copy_is_not_found_twice() {
    let site = Site::new();
    let one = record("2024-03-01T00:00:00Z", 1);
    site.write("T/2024/03/01/00/a", &one);
    site.run_well("2024-03-02T00:00:00Z");
    site.write("T/2024/03/01/01/copy", &one);
    let other = record("2024-03-02T00:00:00Z", 2);
    site.write("T/2024/03/02/00/b", &other);
    site.write("T/2024/03/02/01/copy of b", &other);
    // Touched, not changed.
    site.modify("T/2024/03/01/00/a", "2024-03-02T12:00:00Z");
    let found = site.search("SELECT n FROM T ORDER BY n", &["--include-raw"]);
    assert_eq!(found.rows, [json!({ "n": 1 }), json!({ "n": 2 })], "{}", found.errors);
    assert_eq!(found.answer["tables"][0]["raw_included"]["copies"], json!(2));
    site.run_well("2024-03-05T00:00:00Z");
    assert_eq!(site.rows("SELECT n FROM T ORDER BY n"), [r#"{"n":1}"#, r#"{"n":2}"#]);
}
