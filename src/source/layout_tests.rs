//! Tests of layouts: what templates and named layouts read in a path, and what is wrong in them.

use jiff::Timestamp;
use proptest::prelude::*;

use super::layout::Layout;
use crate::error::{Kind, Result};
use crate::settings::Settings;

fn read(layout: &str, path: &str) -> Option<(String, Option<String>)> {
    let seen = Layout::parse(layout).unwrap().read(path)?;
    Some((seen.table, seen.period.map(|p| format!("{}/{}", p.start, p.end))))
}

fn hit(table: &str, start: &str, end: &str) -> Option<(String, Option<String>)> {
    Some((table.into(), Some(format!("{start}/{end}"))))
}

#[test]
fn periods_follow_the_finest_placeholder() {
    let hour = hit("T", "2024-02-29T23:00:00Z", "2024-03-01T00:00:00Z");
    assert_eq!(read("{table}/{year}/{month}/{day}/{hour}/*", "T/2024/02/29/23/a.json"), hour);
    assert_eq!(read("{hour}/{day}/{month}/{year}/{table}/*", "23/29/2/2024/T/a.json"), hour);
    assert_eq!(
        read(
            "table={table}/year={year}/month={month}/day={day}/hour={hour}/*",
            "table=T/year=2024/month=2/day=29/hour=23/x"
        ),
        hour
    );
    assert_eq!(
        read("{table}/{date}/{hour}{minute}.log", "T/2024-02-29/2359.log"),
        hit("T", "2024-02-29T23:59:00Z", "2024-03-01T00:00:00Z")
    );
    assert_eq!(
        read("{table}/dt={date}/*", "T/dt=2023-12-31/a"),
        hit("T", "2023-12-31T00:00:00Z", "2024-01-01T00:00:00Z")
    );
    assert_eq!(
        read("{table}-{year}{month}.json", "T-202312.json"),
        hit("T", "2023-12-01T00:00:00Z", "2024-01-01T00:00:00Z")
    );
    assert_eq!(read("{table}/{year}/*", "T/2023/a"), hit("T", "2023-01-01T00:00:00Z", "2024-01-01T00:00:00Z"));
    assert_eq!(read("{table}/*", "T/a"), Some(("T".into(), None)));
}

#[test]
fn dates_that_do_not_exist_are_strangers() {
    let layout = "{table}/{year}/{month}/{day}/{hour}/*";
    for path in [
        "T/2024/13/01/00/a",
        "T/2024/00/01/00/a",
        "T/2023/02/29/00/a",
        "T/2024/01/32/00/a",
        "T/2024/01/01/24/a",
        "T/24/01/01/00/a",
        "T/02024/01/01/00/a",
        "T/2024/001/01/00/a",
        "T/2024/+1/01/00/a",
        "T/2024/1٣/01/00/a",
        "T/1969/01/01/00/a",
        "T/9999/12/31/23/a",
        "T/2024/01/01/a",
        "T/2024/01/01/00/b/a",
        "/2024/01/01/00/a",
        "",
    ] {
        assert_eq!(read(layout, path), None, "{path}");
    }
}

#[test]
fn a_table_ends_as_early_as_the_rest_allows() {
    assert_eq!(
        read("{table}-{year}{month}{day}.json", "my-app-20240301.json"),
        hit("my-app", "2024-03-01T00:00:00Z", "2024-03-02T00:00:00Z")
    );
    assert_eq!(read("{table}-*.json", "my-app-1.json"), Some(("my".into(), None)));
    assert_eq!(read("am-{table}/*", "am-signinlogs/x"), Some(("signinlogs".into(), None)));
    assert_eq!(read("am-{table}/*", "am-/x"), None);
}

#[test]
fn what_is_seen_twice_must_agree() {
    assert_eq!(read("{table}-*/{table}.json", "my-app-1/my-app.json"), Some(("my-app".into(), None)));
    assert_eq!(read("{table}/{table}.json", "SecurityEvent/securityevent.json"), Some(("SecurityEvent".into(), None)));
    assert_eq!(read("{table}/{table}.json", "A/B.json"), None);
    let twice = "{table}/{date}/{year}-{month}-{day}.json";
    assert!(read(twice, "T/2024-01-02/2024-01-02.json").is_some());
    assert_eq!(read(twice, "T/2024-01-02/2024-01-03.json"), None);
}

#[test]
fn double_star_is_any_depth() {
    for path in ["logs/T/2024/a", "logs/x/T/2024/a", "logs/x/y/T/2024/a"] {
        assert_eq!(read("logs/**/{table}/{year}/*", path), hit("T", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"));
    }
    assert_eq!(read("logs/**/{table}/{year}/*", "logsx/T/2024/a"), None);
    assert!(read("{table}/**", "T/a/b/c").is_some());
    assert_eq!(read("{table}/**", "T"), None);
    assert!(read("**/{table}.json", "T.json").is_some());
}

#[test]
fn mistakes_name_the_character_and_a_way_out() {
    let mistakes = [
        ("", "at character 1: it is empty"),
        ("logs/*", "names no `{table}`"),
        ("/{table}/*", "at character 1: begins with `/`"),
        ("{table}/", "at character 8: ends with `/`"),
        ("{table}//*", "at character 9: two `/`"),
        ("{table}/../*", "at character 9: `..`"),
        ("{table}/{yeer}/*", "at character 9: no placeholder is called `{yeer}`"),
        ("{table}/{year/*", "at character 9: `{` is never closed"),
        ("{table}/year}/*", "at character 13: `}` closes nothing"),
        ("{table}/**/a/**", "at character 14: a second `**`"),
        ("{table}/a**/b", "at character 10: `**` stands alone"),
        ("{table}*/b", "at character 8: nothing stands between `{table}` and `*`"),
        ("*{table}/b", "at character 2: nothing stands between `*` and `{table}`"),
        ("{table}/{year}/{day}/*", "at character 16: `{day}` needs `{month}`"),
        ("{table}/{hour}/*", "at character 9: `{hour}` needs `{day}`"),
        ("{table}/{date}/{minute}/*", "at character 16: `{minute}` needs `{hour}`"),
        ("{table}\\{year}\\*", "at character 8: `\\`"),
        ("{table}/*a*b*c*", "at character 15: a fourth wildcard"),
        ("azure-exprot", "at character 1: no built-in layout"),
    ];
    for (text, expected) in mistakes {
        let error = Layout::parse(text).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.reason().contains(expected), "{text}: {}", error.reason());
        assert!(error.hint().is_some(), "{text}");
    }
    assert_eq!(Layout::parse("azure-exprot").unwrap_err().hint(), Some("did you mean `azure-export`?"));
    assert!(Layout::parse("{table}/{yeer}/*").unwrap_err().hint().unwrap().contains("`{year}`"));
}

fn of(keys: &str) -> Result<Layout> {
    let text = format!("archive = \"/a\"\n[[source]]\nname = \"s\"\nurl = \"/s\"\n{keys}\n");
    Layout::of(&Settings::parse(&text, std::path::Path::new("/")).unwrap().sources[0])
}

#[test]
fn the_settings_may_name_the_table_of_all_objects() {
    let layout = of("layout = \"{year}/{month}/*.log\"\ntable = \"Syslog\"").unwrap();
    let seen = layout.read("2024/02/a.log").unwrap();
    assert_eq!(
        (seen.table.as_str(), seen.period.unwrap().start.to_string().as_str()),
        ("Syslog", "2024-02-01T00:00:00Z")
    );
    assert!(layout.describe().ends_with("(a period of one month), table Syslog"), "{}", layout.describe());
    let trail = of("layout = \"cloudtrail\"\ntable = \"Audit\"").unwrap();
    assert_eq!(trail.read("AWSLogs/218007301253/CloudTrail/r/2023/07/10/a.json").unwrap().table, "Audit");
    let error = of("layout = \"{table}/*\"\ntable = \"T\"").unwrap_err();
    assert!(error.reason().contains("both its `{table}`") && error.kind() == Kind::Usage, "{error}");
    let error = of("layout = \"{year}/*\"").unwrap_err();
    assert!(error.hint().unwrap().contains("table = "), "{error}");
}

#[test]
fn names_that_no_table_can_have_may_go_to_a_table_for_them() {
    let table = |keys: &str, path: &str| of(keys).unwrap().read(path).unwrap().table;
    let keys = "layout = \"{table}/*\"";
    assert_eq!(table(keys, "Sign in/a"), "Sign in");
    let keys = format!("{keys}\nunrouted = true");
    assert_eq!((table(&keys, "Sign in/a"), table(&keys, "SignIn/a")), ("unrouted".into(), "SignIn".into()));
}

#[test]
fn a_url_into_one_container_says_its_name() {
    let path = "tenantId=0000/y=2024/m=02/d=29/h=23/m=00/PT1H.json";
    for url in [
        "file:///var/azure/insights-logs-signinlogs",
        "az://insights-logs-signinlogs",
        "az://insights-logs-signinlogs/",
        "abfss://insights-logs-signinlogs@account.dfs.core.windows.net/",
        "https://account.blob.core.windows.net/insights-logs-signinlogs",
    ] {
        let text =
            format!("archive = \"/a\"\n[[source]]\nname = \"s\"\nurl = \"{url}\"\nlayout = \"azure-diagnostics\"");
        let Ok(settings) = Settings::parse(&text, std::path::Path::new("/")) else { continue };
        let seen = Layout::of(&settings.sources[0]).unwrap().read(path).unwrap();
        assert_eq!(seen.table, "tenant_signinlogs", "{url}");
    }
    let whole = Layout::parse("azure-diagnostics").unwrap();
    assert_eq!(whole.read(path), None);
    assert!(whole.read(&format!("insights-logs-signinlogs/{path}")).is_some());
}

#[test]
fn describes_itself() {
    assert_eq!(Layout::parse("{table}/{date}/*").unwrap().describe(), "{table}/{date}/* (a period of one day)");
    assert!(Layout::parse("azure-export").unwrap().describe().contains("PT05M"));
}

proptest! {
    /// Writing a moment into a layout and reading it back gives the hour that holds it, in whatever order.
    #[test]
    fn an_hour_written_is_read_back(
        seconds in 0i64..4_000_000_000,
        table in "[A-Za-z_][A-Za-z0-9_.-]{0,20}",
        order in Just(["{table}", "{year}", "{month}", "{day}", "{hour}"]).prop_shuffle(),
        key in proptest::bool::ANY,
    ) {
        let at = Timestamp::from_second(seconds).unwrap();
        let template: Vec<String> = order
            .iter()
            .map(|field| if key { format!("{}={field}", field.trim_matches(['{', '}'])) } else { (*field).to_owned() })
            .collect();
        let template = format!("{}/*.json", template.join("/"));
        let path = template
            .replace("{table}", &table)
            .replace("{year}", &at.strftime("%Y").to_string())
            .replace("{month}", &at.strftime("%m").to_string())
            .replace("{day}", &at.strftime("%d").to_string())
            .replace("{hour}", &at.strftime("%H").to_string())
            .replace("/*", "/part-0");
        let seen = Layout::parse(&template).unwrap().read(&path).unwrap();
        let period = seen.period.unwrap();
        prop_assert_eq!(seen.table, table);
        prop_assert!(period.start <= at && at < period.end);
        prop_assert_eq!(period.end.as_second() - period.start.as_second(), 3600);
    }
}
