//! What bounds a search, where its rows go, and that it only reads.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use serde_json::json;

use crate::expiring::record;
use crate::site::{Site, bytes_below};

fn site() -> Site {
    let site = Site::new();
    for day in 1..=4 {
        let records: String =
            (0..50).map(|n| record(&format!("2024-03-{day:02}T00:{n:02}:00Z"), day * 100 + n)).collect();
        site.write(&format!("T/2024/03/{day:02}/00/a"), records);
    }
    // Texts that cannot be packed to next to nothing.
    let text =
        |n: u64| (1..6).map(|m| format!("{:016x}", (n * m).wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect::<String>();
    let wide = |n| format!("{{\"TimeGenerated\":\"2024-03-01T00:00:00Z\",\"text\":\"{}\"}}\n", text(n));
    site.write("Wide/2024/03/01/00/a", (1..100).map(wide).collect::<String>());
    site.run_well("2024-03-08T00:00:00Z");
    site
}

#[test]
fn a_search_reads_and_nothing_else() {
    let site = site();
    let before = bytes_below(&site.path().join("archive/tables"));
    let refused = [
        "DELETE FROM T",
        "DROP TABLE T",
        "INSERT INTO T VALUES (1)",
        "COPY T TO 'x.csv'",
        "SET a = 1",
        "CREATE TABLE X AS SELECT 1",
        "SELECT 1; SELECT 2",
        "CREATE EXTERNAL TABLE X STORED AS CSV LOCATION '/etc/passwd'",
    ];
    for sql in refused {
        let found = site.search(sql, &[]);
        assert_eq!(found.code, 2, "{sql}: {}", found.errors);
    }
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM information_schema.tables",
    ] {
        assert_eq!(site.search(sql, &[]).code, 2, "{sql}");
    }
    assert_eq!(site.rows("SELECT count(*) AS c FROM T"), [r#"{"c":200}"#]);
    assert_eq!(bytes_below(&site.path().join("archive/tables")), before);
}

#[test]
fn a_result_cut_short_says_so() {
    let site = site();
    let found = site.search("SELECT n FROM T ORDER BY n", &["--limit", "3"]);
    assert_eq!((found.code, found.rows.len(), &found.answer["cut"]), (0, 3, &json!("rows")));
    assert_eq!(found.answer["complete"], false);
    let found = site.search("SELECT n FROM T ORDER BY n", &["--limit", "200"]);
    assert_eq!((found.rows.len(), &found.answer["cut"]), (200, &json!(null)));
    let found = site.search("SELECT n FROM T", &["--timeout", "0s"]);
    assert_eq!((found.code, &found.answer["cut"]), (1, &json!("time")), "{}", found.errors);
    let (code, _, said) = site.holdfast(&["search", "SELECT n FROM T", "--limit", "1"]);
    assert!(code == 0 && said.contains("CUT SHORT by --limit"), "{said}");
}

/// Rows without end, until somebody has enough.
#[test]
fn an_interrupted_search_says_so() {
    let site = site();
    site.holdfast(&["check"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["search", "SELECT a.n FROM T a, T b, T c, T d", "--format", "json"])
        .current_dir(site.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("{\"n\":"));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let last: serde_json::Value = serde_json::from_str(&lines.last().unwrap().unwrap()).unwrap();
    assert_eq!((&last["_hf_answer"]["cut"], &last["_hf_answer"]["complete"]), (&json!("interrupted"), &json!(false)));
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn what_would_be_read_is_told_and_can_be_refused() {
    let site = site();
    let (code, out, _) = site.holdfast(&["search", "SELECT n FROM T WHERE TimeGenerated >= '2024-03-03'", "--explain"]);
    assert!(code == 0 && out.contains("main/T: 2 of 4 days, 2 of 4 segments"), "{out}");
    let (_, out, _) = site.holdfast(&["search", "SELECT n FROM T", "--explain", "--format", "json"]);
    let explained: serde_json::Value = serde_json::from_str(&out).unwrap();
    let one = &explained["estimate"]["tables"][0];
    assert_eq!((&one["rows"], &one["columns"]), (&json!(200), &json!(["n"])));
    let (bytes, all) = (one["bytes"].as_u64().unwrap(), one["segment_bytes"].as_u64().unwrap());
    assert!(0 < bytes && bytes < all, "{one}");

    assert!(!site.path().join("archive/access").exists(), "nothing was asked of the records");
    for other in [&["--strict"][..], &["--output", "x.json"], &["--format", "csv"]] {
        let (code, _, said) = site.holdfast(&[&["search", "SELECT n FROM T", "--explain"], other].concat());
        assert_eq!(code, 2, "{other:?}: {said}");
    }

    let found = site.search("SELECT * FROM Wide", &["--max-scan", "1KB"]);
    assert!(found.code == 1 && found.rows.is_empty() && found.errors.contains("--max-scan"), "{}", found.errors);
    assert_eq!(site.search("SELECT * FROM Wide", &["--max-scan", "1GB"]).code, 0);
}

#[test]
fn too_little_memory_is_a_clear_error() {
    let site = site();
    let found = site.search("SELECT n, count(*) FROM T GROUP BY n ORDER BY n", &["--memory", "1KB"]);
    assert_eq!(found.code, 1);
    assert!(found.errors.contains("memory"), "{}", found.errors);
}

#[test]
fn rows_leave_in_every_format() {
    let site = site();
    let sql = "SELECT n, TimeGenerated FROM T WHERE n BETWEEN 101 AND 102 ORDER BY n";
    let (_, out, said) = site.holdfast(&["search", sql, "--format", "csv"]);
    insta::assert_snapshot!(out, @r"
    n,TimeGenerated
    101,2024-03-01T00:01:00Z
    102,2024-03-01T00:02:00Z
    ");
    assert!(said.lines().last().unwrap().starts_with("{\"_hf_answer\":"), "{said}");
    let (_, out, _) = site.holdfast(&["search", sql]);
    insta::assert_snapshot!(out, @r"
      n  TimeGenerated
    101  2024-03-01T00:01:00Z
    102  2024-03-01T00:02:00Z
    ");
    let (code, out, _) = site.holdfast(&["search", sql, "--format", "parquet", "--output", "found.parquet"]);
    assert_eq!((code, out.as_str()), (0, ""));
    let file = std::fs::File::open(site.path().join("found.parquet")).unwrap();
    let batches = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 10).unwrap();
    let numbers: Vec<i64> =
        batches.flat_map(|batch| batch.unwrap()["n"].as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(numbers, [101, 102]);
    site.holdfast(&["search", sql, "--format", "arrow", "--output", "found.arrow"]);
    let file = std::fs::File::open(site.path().join("found.arrow")).unwrap();
    let mut reader = arrow::ipc::reader::StreamReader::try_new(file, None).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().num_rows(), 2);
    let none: Vec<_> = std::fs::read_dir(site.path())
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|it| it == "partial"))
        .collect();
    assert!(none.is_empty(), "{none:?}");
    site.holdfast(&["search", sql, "--output", "found.csv"]);
    assert_eq!(
        std::fs::read_to_string(site.path().join("found.csv")).unwrap().lines().count(),
        3,
        "its ending names its format"
    );
    let (code, _, said) = site.holdfast(&["search", sql, "--format", "csv", "--output", "no/such/folder.csv"]);
    assert!(code == 1 && said.contains("the archive is untouched"), "{said}");
}

#[test]
fn each_search_is_recorded_with_its_text() {
    let site = site();
    let found = site.search("SELECT n FROM T WHERE n = 101", &[]);
    assert_eq!(found.answer["recorded"]["seq"], json!(0));
    let (_, out, _) = site.holdfast(&["access", "list", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&out).unwrap();
    let text = listed.to_string();
    assert!(text.contains("SELECT n FROM T WHERE n = 101") && text.contains("auditor"), "{text}");
    // A query that names no table of the archive reads nothing and asks nothing.
    site.search("SELECT * FROM Nowhere", &[]);
    let (_, out, _) = site.holdfast(&["access", "list", "--format", "json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), listed, "nothing was added");
}

#[test]
fn mistakes_are_told_with_what_to_type_instead() {
    let site = site();
    let said = |sql: &str| {
        let (code, _, said) = site.holdfast(&["search", sql]);
        assert_eq!(code, 2, "{sql}: {said}");
        said
    };
    insta::assert_snapshot!(said("SELECT m FROM T"), @"
    error: planning the query
      why:  there is no column `m`
      lost: nothing; nothing was done, and it can wait
      next: the nearest: `n`, `TimeGenerated`; a text stands between single quotes; `holdfast schema TABLE` shows all columns; `_hf_rest ->> 'm'` reads a name that is no column
    ");
    insta::assert_snapshot!(said("SELECT n FROM Tt"), @"
    error: searching Tt
      why:  there is no such table in the archive
      lost: nothing; nothing was done, and it can wait
      next: did you mean `main.T`? `holdfast tables` shows what there is; a table that still lies raw only is found with --include-raw
    ");
    insta::assert_snapshot!(said("SELECT n, count(*) FROM T"), @r#"
    error: planning the query
      why:  Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column "T.n" must appear in the GROUP BY clause or must be part of an aggregate function, currently only "count(Int64(1))" appears in the SELECT clause satisfies this requirement
      lost: nothing; nothing was done, and it can wait
      next: each column of the SELECT must be in GROUP BY, or inside count(…), max(…) and the like
    "#);
    insta::assert_snapshot!(said("SELECT n FRM T"), @r#"
    error: reading the query
      why:  Expected: end of statement, found: T at Line: 1, Column: 14
      lost: nothing; nothing was done, and it can wait
      next: texts stand between single quotes ('4625'), names with spaces or dots between double ones ("Event.Name")
    "#);
    insta::assert_snapshot!(said("SELECT n FROM T WHERE n = 'O'Brien'"), @r#"
    error: reading the query
      why:  Unterminated string literal at Line: 1, Column: 35
      lost: nothing; nothing was done, and it can wait
      next: close the quote: '…' holds a text, "…" a name
    "#);
    insta::assert_snapshot!(said("SELECT nosuch(n) FROM T"), @"
    error: planning the query
      why:  Invalid function 'nosuch'.
      lost: nothing; nothing was done, and it can wait
      next: the functions are those of DataFusion SQL, with `->`, `->>` and json_… for nested values
    ");
    insta::assert_snapshot!(said("UPDATE T SET n = 1"), @"
    error: reading the query
      why:  it does not read: `search` takes one SELECT
      lost: nothing; nothing was done, and it can wait
      next: ask with SELECT; nothing is ever changed by a search
    ");
}
