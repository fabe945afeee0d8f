//! The logical row (DESIGN §6): a value is found by its column, wherever it stands.

use crate::site::Site;

const TIME: &str = "2024-03-01T10:00:00.000000Z";

fn record(members: &str) -> String {
    format!("{{\"TimeGenerated\":\"{TIME}\",{members}}}\n")
}

/// One record in each way a value of `n` (a number), `level` (a text) and `when` (a time) can lie.
fn mixed() -> Site {
    let site = Site::new();
    let records = [
        r#""id":1,"n":7,"level":"high","when":"2024-01-01T00:00:00Z","nested":{"a":{"b":[10,"x"]},"s":"t"}"#,
        // The type of the column is decided by the first batch: from here on these stand in _hf_rest.
        r#""id":2,"n":8,"level":"low","when":"2024-01-02T00:00:00.0000000Z","nested":[1,2]"#,
    ];
    site.write("T/2024/03/01/10/a", records.map(record).concat());
    site.run_well("2024-03-03T00:00:00Z");
    let later = [
        r#""id":3,"n":"7","level":7,"when":"nonsense""#,
        r#""id":4,"N":7,"LEVEL":"high""#,
        r#""id":5,"n":7.5,"level":null"#,
        r#""id":6,"n":7.0,"level":{"deep":true}"#,
        r#""id":7,"n":7,"n":9,"level":"high""#,
        r#""id":8,"a column":"with spaces","n":9223372036854775808"#,
    ];
    site.write("T/2024/03/01/11/b", later.map(record).concat());
    site.run_well("2024-03-04T00:00:00Z");
    site
}

#[test]
fn a_value_in_rest_is_found_by_the_same_predicate() {
    let site = mixed();
    let ids = |predicate: &str| site.rows(&format!("SELECT id FROM T WHERE {predicate} ORDER BY id")).join(" ");
    assert_eq!(ids("n = 7"), r#"{"id":1} {"id":3} {"id":4} {"id":6} {"id":7}"#);
    assert_eq!(ids("n IS NULL"), r#"{"id":5} {"id":8}"#);
    assert_eq!(ids("n > 7"), r#"{"id":2}"#);
    assert_eq!(ids("level = 'high'"), r#"{"id":1} {"id":4} {"id":7}"#);
    assert_eq!(ids("level = '7'"), r#"{"id":3}"#);
    assert_eq!(ids("level LIKE '%deep%'"), r#"{"id":6}"#);
    assert_eq!(ids(r#"_hf_rest ->> 'a column' = 'with spaces'"#), r#"{"id":8}"#);
    let (_, out, _) = site.holdfast(&["restore", "--table", "T", "--where", "_hf_rest ->> 'a column' IS NOT NULL"]);
    assert!(out.lines().count() == 1 && out.contains("with spaces"), "{out}");
    assert_eq!(site.rows("SELECT count(*) AS c, count(n) AS n FROM T"), [r#"{"c":8,"n":6}"#]);
}

#[test]
fn names_are_found_in_any_case_and_headed_as_the_table_spells_them() {
    let site = mixed();
    let rows = ["SELECT id, \"LEVEL\" FROM t WHERE ID = 1", "select ID, level from MAIN.T as x where X.id = 1"];
    for sql in rows {
        assert_eq!(site.rows(sql), [r#"{"id":1,"level":"high"}"#], "{sql}");
    }
    assert_eq!(
        site.rows("WITH few AS (SELECT ID AS Number FROM T) SELECT count(NUMBER) AS c FROM FEW"),
        [r#"{"c":8}"#]
    );
}

#[test]
fn nested_values_are_reached_by_arrows_and_functions() {
    let site = mixed();
    let one = |expression: &str| site.rows(&format!("SELECT {expression} AS v FROM T WHERE id = 1")).join(" ");
    assert_eq!(one("nested -> 'a' -> 'b' ->> 1"), r#"{"v":"x"}"#);
    assert_eq!(one("nested ->> 's'"), r#"{"v":"t"}"#);
    assert_eq!(one("json_get_int(nested, 'a', 'b', 0) + 1"), r#"{"v":11}"#);
    assert_eq!(one("json_length(nested -> 'a' -> 'b')"), r#"{"v":2}"#);
    assert_eq!(one("nested"), r#"{"v":{"a":{"b":[10,"x"]},"s":"t"}}"#);
    assert_eq!(one("nested ->> 's' = 't'"), r#"{"v":true}"#);
    assert_eq!(one("nested -> 'a' -> 'b' ->> 0 > 9"), r#"{"v":true}"#, "as numbers, not as texts");
    // An arrow alone may be of any type: its text leaves.
    assert_eq!(one("nested -> 'a'"), r#"{"v":"{\"b\":[10,\"x\"]}"}"#);
}

#[test]
fn i13_values_that_are_not_of_their_columns_type_are_told() {
    let site = mixed();
    let found = site.search("SELECT n FROM T", &[]);
    assert_eq!(found.answer["tables"][0]["uncast"], serde_json::json!({ "n": 2 }));
    assert_eq!(found.answer["complete"], false);
    let found = site.search("SELECT id FROM T WHERE level = 'high'", &[]);
    assert_eq!(found.answer["tables"][0]["uncast"], serde_json::json!({}), "no other column was read");
    let (_, _, said) = site.holdfast(&["search", "SELECT n FROM T"]);
    assert!(said.contains("counted as null: 2 values of n, not of its type"), "{said}");
}

#[test]
fn predicates_mean_the_same_raw_archived_and_restored() {
    let site = mixed();
    let more =
        [r#""id":9,"n":"7","level":"high""#, r#""id":10,"N":7.25"#, r#""id":11,"n":null,"level":true,"fresh":1"#];
    site.write("T/2024/03/05/10/c", more.map(record).concat());
    let queries =
        ["n = 7", "n IS NULL", "level = 'high'", "level = 'true'", "fresh = 1", "TimeGenerated < '2024-03-02'"];
    let ids = |predicate: &str, options: &[&str]| {
        let found = site.search(&format!("SELECT id FROM T WHERE {predicate} ORDER BY id"), options);
        assert_eq!(found.code, 0, "{}", found.errors);
        found.rows.iter().map(|row| row["id"].to_string()).collect::<Vec<_>>().join(" ")
    };
    let raw: Vec<String> = queries.iter().map(|predicate| ids(predicate, &["--include-raw"])).collect();
    assert_eq!(raw, ["1 3 4 6 7 9", "5 8 10 11", "1 4 7 9", "11", "11", "1 2 3 4 5 6 7 8 9 10 11"]);
    site.run_well("2024-03-08T00:00:00Z");
    for (predicate, raw) in queries.iter().zip(&raw) {
        assert_eq!(ids(predicate, &[]), *raw, "{predicate}");
        assert_eq!(ids(predicate, &["--include-raw"]), *raw, "{predicate}");
        let (code, out, said) = site.holdfast(&["restore", "--table", "T", "--where", predicate]);
        assert_eq!(code, 0, "{said}");
        let mut restored: Vec<u64> = out
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_u64().unwrap())
            .collect();
        restored.sort_unstable();
        assert_eq!(restored.iter().map(u64::to_string).collect::<Vec<_>>().join(" "), *raw, "{predicate}");
    }
}

#[test]
fn true_and_false_are_found_as_values_and_as_texts() {
    let site = Site::new();
    let records = [r#""id":1,"flag":true,"word":"True""#, r#""id":2,"flag":false,"word":"false""#];
    site.write("T/2024/03/01/10/a", records.map(record).concat());
    site.run_well("2024-03-03T00:00:00Z");
    for predicate in ["flag = true", "flag", "flag = 'true'", "word = true", "'TRUE' = flag"] {
        assert_eq!(site.rows(&format!("SELECT id FROM T WHERE {predicate}")), [r#"{"id":1}"#], "{predicate}");
    }
}

#[test]
fn columns_of_one_name_are_told_apart_and_nameless_ones_called_as_typed() {
    let site = mixed();
    let sql =
        "SELECT a.id, b.id, a.id + b.id, count(*) FROM T a JOIN T b ON a.id = b.id - 1 WHERE a.id = 1 GROUP BY 1, 2, 3";
    assert_eq!(site.rows(sql), [r#"{"id":1,"id_2":2,"a.id + b.id":3,"count(*)":1}"#]);
    assert_eq!(site.rows("SELECT level FROM T WHERE id = 5"), [r#"{"level":null}"#]);
    let (_, out, _) = site.holdfast(&["search", "SELECT array_agg(id) AS ids FROM T WHERE id = 5", "--format", "csv"]);
    assert_eq!(out, "ids\n[5]\n");
}

#[test]
fn numbers_and_texts_are_compared_as_people_mean_it() {
    let site = Site::new();
    let records =
        [r#""id":1,"code":"4625""#, r#""id":2,"code":"0x2c8""#, r#""id":3,"code":"9""#, r#""id":4,"code":"10""#];
    site.write("T/2024/03/01/10/a", records.map(record).concat());
    site.run_well("2024-03-03T00:00:00Z");
    let ids = |predicate: &str| site.rows(&format!("SELECT id FROM T WHERE {predicate} ORDER BY id")).join(" ");
    assert_eq!(ids("code = 4625"), r#"{"id":1}"#);
    assert_eq!(ids("4625 <> code"), r#"{"id":2} {"id":3} {"id":4}"#);
    assert_eq!(ids("code IN (9, 4625, 7)"), r#"{"id":1} {"id":3}"#);
    assert_eq!(ids("code > 9"), r#"{"id":1} {"id":4}"#);
    assert_eq!(ids("code BETWEEN 9 AND 10"), r#"{"id":3} {"id":4}"#);
    assert_eq!(ids("code > 9.5"), r#"{"id":1} {"id":4}"#);
    assert_eq!(ids("code > '9'"), "", "texts are compared as texts");
    assert_eq!(ids("TimeGenerated > '2024-03-01 09:30' AND TimeGenerated < '2024-03-01T11' AND id = 1"), r#"{"id":1}"#);
    assert_eq!(ids("TimeGenerated BETWEEN '2024-03-01' AND '2024-03-01 10:00' AND id = 1"), r#"{"id":1}"#);
    let (_, out, _) = site.holdfast(&["restore", "--table", "T", "--where", "code > 9"]);
    assert_eq!(out.lines().count(), 2);
}

#[test]
fn a_backslash_in_a_pattern_is_a_backslash() {
    let site = Site::new();
    let records =
        [r#""id":1,"path":"C:\\Windows\\a.exe""#, r#""id":2,"path":"C:\\Windows%x""#, r#""id":3,"path":"C:_Windows""#];
    site.write("T/2024/03/01/10/a", records.map(record).concat());
    site.run_well("2024-03-03T00:00:00Z");
    let ids = |predicate: &str| site.rows(&format!("SELECT id FROM T WHERE {predicate} ORDER BY id")).join(" ");
    assert_eq!(ids(r"path LIKE 'C:\Windows\%'"), r#"{"id":1}"#);
    assert_eq!(ids(r"path ILIKE 'c:\windows%'"), r#"{"id":1} {"id":2}"#);
    assert_eq!(ids(r"path LIKE '%Windows!%x' ESCAPE '!'"), r#"{"id":2}"#);
    assert_eq!(ids(r"path LIKE 'C:!_%' ESCAPE '!'"), r#"{"id":3}"#);
    assert_eq!(ids(r"path NOT LIKE 'C:\%'"), r#"{"id":3}"#);
    assert_eq!(ids(r"path LIKE concat('C:', '\Win%')"), r#"{"id":1} {"id":2}"#);
}

/// Each day has its own column in `_hf_rest`: more kinds of segments than are read apart.
#[test]
fn many_kinds_of_segments_give_the_same_rows() {
    let site = Site::new();
    let names: Vec<String> = (0..12).map(|n| format!("c{n}")).collect();
    let whole: String = names.iter().map(|name| format!(",\"{name}\":1")).collect();
    site.write("T/2024/02/01/00/a", format!("{{\"TimeGenerated\":\"2024-02-01T00:00:00Z\",\"id\":0{whole}}}\n"));
    site.run_well("2024-02-04T00:00:00Z");
    for (day, name) in (1..).zip(&names) {
        let stray = format!("{{\"TimeGenerated\":\"2024-03-{day:02}T00:00:00Z\",\"id\":{day},\"{name}\":\"1\"}}\n");
        site.write(&format!("T/2024/03/{day:02}/00/a"), stray);
    }
    site.run_well("2024-03-20T00:00:00Z");
    let some = names.iter().map(|name| format!("{name} = 1")).collect::<Vec<_>>().join(" OR ");
    assert_eq!(site.rows(&format!("SELECT count(*) AS c, sum(id) AS s FROM T WHERE {some}")), [r#"{"c":13,"s":78}"#]);
    let all = names.iter().map(|name| format!("{name} = 1")).collect::<Vec<_>>().join(" AND ");
    assert_eq!(site.rows(&format!("SELECT id FROM T WHERE {all}")), [r#"{"id":0}"#]);
}
