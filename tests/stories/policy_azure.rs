//! Azure's words for retention: what Azure keeps becomes a policy file, and a policy becomes requests again.

use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use holdfast::names::TableName;
use holdfast::policy::azure::{
    Choice, INTERACTIVE, Imported, LONG_TOTALS, Method, export, import, nearest_total, total_is_allowed,
};
use holdfast::policy::{PolicyFile, PolicySet, Span, render_all};
use holdfast::settings::diagnose::Source;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// As Microsoft's article prints it.
const ARTICLE: &str = "PUT /subscriptions/00000000-0000-0000-0000-00000000000/resourceGroups/MyResourceGroupName/\
    providers/Microsoft.OperationalInsights/workspaces/MyWorkspaceName/Tables/SecurityEvent\
    ?api-version=2017-04-26-preview\n {\"properties\": {\"retentionInDays\": 730}}\n";

/// `az monitor log-analytics workspace table list`: flattened.
const AZ_LIST: &str = r#"[
  {
    "archiveRetentionInDays": 2526,
    "id": "/subscriptions/x/resourceGroups/g/providers/Microsoft.OperationalInsights/workspaces/soc/tables/SigninLogs",
    "name": "SigninLogs",
    "plan": "Analytics",
    "resourceGroup": "g",
    "retentionInDays": 30,
    "retentionInDaysAsDefault": true,
    "schema": {"name": "SigninLogs", "columns": [{"name": "TimeGenerated", "type": "datetime"}]},
    "totalRetentionInDays": 2556,
    "totalRetentionInDaysAsDefault": false
  },
  {
    "id": "/subscriptions/x/resourcegroups/g/providers/microsoft.operationalinsights/workspaces/SOC/tables/Heartbeat",
    "name": "Heartbeat",
    "plan": "Analytics",
    "retentionInDays": 30,
    "retentionInDaysAsDefault": true,
    "totalRetentionInDays": 30,
    "totalRetentionInDaysAsDefault": true
  },
  {
    "id": "/subscriptions/x/resourceGroups/g/providers/Microsoft.OperationalInsights/workspaces/soc/tables/Syslog",
    "name": "Syslog",
    "plan": "Analytics",
    "retentionInDays": 180,
    "retentionInDaysAsDefault": false,
    "totalRetentionInDays": 1826,
    "totalRetentionInDaysAsDefault": false
  }
]"#;

fn read(text: &str, workspace: Option<&str>) -> Result<Imported, String> {
    let source = Arc::new(Source { name: "azure.json".into(), text: text.into() });
    import(&source, workspace).map_err(|mistakes| render_all(&mistakes, false))
}

/// The rules that a text becomes: name and retain. What is written must be a policy that says the same.
fn rules(text: &str) -> Vec<(String, String)> {
    let imported = read(text, None).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let set = parsed(&imported.policy);
    let written: Vec<(String, Span)> = set.rules().map(|(name, rule)| (name.to_string(), rule.retain)).collect();
    let meant: Vec<(String, Span)> = imported.rules.iter().map(|rule| (rule.name.clone(), rule.retain)).collect();
    assert_eq!(written, meant);
    meant.into_iter().map(|(name, retain)| (name, retain.to_string())).collect()
}

fn parsed(text: &str) -> PolicySet {
    PolicySet::from_files(vec![PolicyFile { name: "azure.toml".into(), text: text.into() }])
        .unwrap_or_else(|mistakes| panic!("{text}\n{}", render_all(&mistakes, false)))
}

/// A request for one table.
fn request(method: &str, table: &str, properties: &str) -> String {
    format!(
        "{method} /subscriptions/x/workspaces/soc/tables/{table}?api-version=1\n{{\"properties\": {{{properties}}}}}\n"
    )
}

fn one(name: &str, retain: &str) -> Vec<(String, String)> {
    vec![(name.into(), retain.into())]
}

fn choice<'c>() -> Choice<'c> {
    Choice {
        tables: &[],
        method: Method::Put,
        subscription: "{subscriptionId}",
        resource_group: "{resourceGroupName}",
        workspace: None,
    }
}

#[test]
fn the_article_s_request_is_read_and_explained() {
    insta::assert_snapshot!("azure_article", read(ARTICLE, None).unwrap().policy);
    assert_eq!(rules(ARTICLE), one("SecurityEvent", "730d"));
    assert_eq!(rules(&ARTICLE.replace("\n {", " {")), one("SecurityEvent", "730d"), "on one line");
    assert_eq!(rules(&ARTICLE.to_uppercase()), one("SECURITYEVENT", "730d"), "in any case");
    let imported = read(ARTICLE, Some("cde")).unwrap();
    assert_eq!(imported.rules[0].name, "cde/SecurityEvent");
}

#[test]
fn the_list_of_az_is_read_and_explained() {
    insta::assert_snapshot!("azure_az_list", read(AZ_LIST, None).unwrap().policy);
    let nested = format!("{{\"value\": {AZ_LIST}}}");
    assert_eq!(rules(&nested), rules(AZ_LIST));
    let table = r#"{"name": "Syslog", "properties": {"retentionInDays": 90, "totalRetentionInDays": 365}}"#;
    assert_eq!(rules(table), one("Syslog", "365d"));
    let more = format!("{{\"value\": [{table}], \"nextLink\": \"https://management.azure.com/next\"}}");
    let imported = read(&more, None).unwrap();
    assert!(imported.incomplete && imported.policy.contains("# INCOMPLETE"));
}

#[test]
fn several_workspaces_are_told_apart() {
    let both = ARTICLE.replace("MyWorkspaceName", "cde") + ARTICLE;
    let names: Vec<String> = rules(&both).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["cde/SecurityEvent", "MyWorkspaceName/SecurityEvent"]);
    assert!(read(&both, Some("main")).unwrap_err().contains("two tables would be `main/SecurityEvent`"));
}

#[test]
fn words_mean_what_azure_means() {
    for (properties, retain) in [
        (r#""retentionInDays": 90"#, Some("90d")),
        (r#""totalRetentionInDays": 90"#, Some("90d")),
        (r#""retentionInDays": 30, "totalRetentionInDays": 2556"#, Some("2556d")),
        (r#""retentionInDays": -1, "totalRetentionInDays": 365"#, Some("365d")),
        (r#""retentionInDays": null, "totalRetentionInDays": null"#, None),
        (r#""retentionInDays": 90, "totalRetentionInDays": null"#, Some("90d")),
        (r#""retentionInDays": -1"#, None),
        (r#""plan": "Basic""#, None),
        (r#""RetentionInDays": 90"#, Some("90d")),
    ] {
        let expected: Vec<_> = retain.into_iter().flat_map(|retain| one("T", retain)).collect();
        assert_eq!(rules(&request("PUT", "T", properties)), expected, "{properties}");
    }
}

#[test]
fn put_resets_what_patch_keeps() {
    let (interactive, total) = (r#""retentionInDays": 30"#, r#""totalRetentionInDays": 365"#);
    let both = request("PUT", "T", &format!("{interactive}, {total}"));
    let after = |request: &str| rules(&format!("{both}\n{request}"));
    assert_eq!(after(&request("PATCH", "T", r#""retentionInDays": 60"#)), one("T", "365d"));
    assert_eq!(after(&request("PUT", "T", r#""retentionInDays": 60"#)), one("T", "60d"));
    assert_eq!(after(&request("PATCH", "t", r#""totalRetentionInDays": null"#)), one("T", "30d"));
    assert_eq!(after(&request("PUT", "T", "")), []);
    let alone = read(&request("PATCH", "T", interactive), None).unwrap().policy;
    assert!(alone.contains("A PATCH leaves totalRetentionInDays as it is"), "{alone}");
}

#[test]
fn what_azure_refuses_is_a_mistake() {
    let mistakes = |properties: &str| read(&request("PUT", "T", properties), None).unwrap_err();
    insta::assert_snapshot!("azure_bad_interactive", mistakes(r#""retentionInDays": 731"#));
    insta::assert_snapshot!("azure_bad_total", mistakes(r#""totalRetentionInDays": 2555"#));
    insta::assert_snapshot!("azure_total_too_short", mistakes(r#""retentionInDays": 90, "totalRetentionInDays": 30"#));
    for value in ["3", "0", "-2", "730.5", "\"730\"", "true", "[730]", "99999999999999999999"] {
        assert!(mistakes(&format!("\"retentionInDays\": {value}")).contains("Azure takes null or -1"), "{value}");
    }
    insta::assert_snapshot!("azure_no_name", read("{\"properties\": {\"retentionInDays\": 730}}", None).unwrap_err());
    insta::assert_snapshot!("azure_no_body", read("PUT /subscriptions/x/workspaces/y/tables/T\n", None).unwrap_err());
    insta::assert_snapshot!(
        "azure_broken",
        read("[{\"name\": \"T\",\n \"retentionInDays\": 730,}]", None).unwrap_err()
    );
    insta::assert_snapshot!("azure_neither", read("retain = \"730d\"\n", None).unwrap_err());
    assert!(read("", None).unwrap_err().contains("no table in this file"));
    assert!(read("[]", None).unwrap_err().contains("no table in this file"));
    // A name that would end its line, or its quotes, is no name.
    let name = r#"{"name": "T\"\nretain = \"1d", "retentionInDays": 730}"#;
    assert!(read(name, None).is_err());
    let plan = r#"{"name": "T", "plan": "x\nretain = 1", "retentionInDays": 730}"#;
    assert_eq!(rules(plan), one("T", "730d"));
}

#[test]
fn every_value_comes_back_as_it_went() {
    for days in INTERACTIVE.chain(LONG_TOTALS) {
        assert!(total_is_allowed(days));
        let imported = read(&request("PUT", "T", &format!("\"totalRetentionInDays\": {days}")), None).unwrap();
        let exported = export(&parsed(&imported.policy), &choice());
        assert!(exported.refused.is_empty() && exported.notes.is_empty());
        let [sent] = exported.requests.as_slice() else { panic!("{days}: {exported:?}") };
        assert_eq!(sent.body["properties"]["totalRetentionInDays"], days);
        let text = format!("{} {}\n{}", sent.method.as_str(), sent.path, sent.body);
        assert_eq!(rules(&text), one("T", &format!("{days}d")));
        if INTERACTIVE.contains(&days) {
            assert_eq!(
                rules(&request("PUT", "T", &format!("\"retentionInDays\": {days}"))),
                one("T", &format!("{days}d"))
            );
        }
    }
}

#[test]
fn what_azure_cannot_express_is_refused_with_what_it_could() {
    let refused = |retain: &str| {
        let set = parsed(&format!("version = 1\n[[table]]\nname = \"T\"\nretain = \"{retain}\"\n"));
        let exported = export(&set, &choice());
        assert_eq!(exported.requests.len() + exported.refused.len(), 1);
        exported.refused.into_iter().next().map(|rule| rule.hint)
    };
    assert_eq!(refused("3d").unwrap(), "the next longer one is retain = \"4d\"");
    assert_eq!(refused("731d").unwrap(), "the next longer one is retain = \"1095d\"");
    assert_eq!(refused("520w").unwrap(), "the next longer one is retain = \"3653d\"");
    assert_eq!(refused("forever").unwrap(), "Azure keeps 4383 days (12 years) at most");
    assert_eq!(refused("13y").unwrap(), "Azure keeps 4383 days (12 years) at most");
    assert_eq!((refused("4d"), refused("6w"), refused("12y")), (None, None, None));
}

#[test]
fn tables_are_exported_by_the_rule_that_governs_them() {
    let set = parsed(
        "version = 1\n[defaults]\nretain = \"90d\"\n[[table]]\nname = \"AZFW*\"\nretain = \"30d\"\n\
         [[table]]\nname = \"cde/SecurityEvent\"\nretain = \"3y\"\n[[table]]\nname = \"SecurityEvent\"\nretain = \"730d\"\n",
    );
    let pattern = |name: &str| holdfast::policy::Pattern::parse(name).unwrap();
    let tables = ["AZFWDnsQuery", "cde/SecurityEvent", "Syslog"].map(pattern);
    let exported = export(&set, &Choice { tables: &tables, method: Method::Patch, ..choice() });
    let days: Vec<_> =
        exported.requests.iter().map(|request| &request.body["properties"]["totalRetentionInDays"]).collect();
    assert_eq!(days, [30, 1460, 90]);
    assert!(exported.requests[1].path.contains("/workspaces/cde/tables/SecurityEvent?"));
    assert_eq!(exported.notes.len(), 1);
    // Two rules for one table in Azure: neither is chosen in silence.
    let exported = export(&set, &Choice { workspace: Some("soc"), ..choice() });
    assert_eq!((exported.requests.len(), exported.refused.len(), exported.skipped.len()), (1, 1, 2));
}

/// The same cases in every run; PROPTEST_CASES draws more of them.
fn seeded() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(3), cases: 64, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(seeded())]
    #[test]
    fn nothing_is_exported_shorter(span in prop_oneof![
        (1u32..5_000).prop_map(Span::Days), (1u32..700).prop_map(Span::Weeks),
        (1u32..150).prop_map(Span::Months), (1u32..14).prop_map(Span::Years),
    ]) {
        if let Some(days) = nearest_total(span) {
            prop_assert!(Span::Days(days).at_least(span) && total_is_allowed(days));
        } else {
            prop_assert!(!Span::Days(4_383).at_least(span));
        }
    }

    /// Files come from anywhere: each is read or explained.
    #[test]
    fn any_edit_is_read_or_explained(which in 0usize..2, at in 0.0f64..1.0, cut in 0usize..20, put in "[\\[\\]\"{}:,/\n a-zP0-9é\\-]{0,8}") {
        let chars: Vec<char> = [ARTICLE, AZ_LIST][which].chars().collect();
        let from = (at * chars.len() as f64) as usize;
        let to = (from + cut).min(chars.len());
        let text: String = [&chars[..from], &put.chars().collect::<Vec<_>>(), &chars[to..]].concat().iter().collect();
        match read(&text, None) {
            Ok(imported) => prop_assert_eq!(parsed(&imported.policy).rules().count(), imported.rules.len()),
            Err(mistakes) => prop_assert!(mistakes.starts_with("error: ")),
        }
    }
}

fn holdfast(folder: &tempfile::TempDir, arguments: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.current_dir(folder.path()).env_remove("HOLDFAST_CONFIG").env("NO_COLOR", "1").arg("policy").args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_command_line_goes_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tables.json"), AZ_LIST).unwrap();
    let done = holdfast(&folder, &["import", "tables.json", "--output", "azure.toml"], "");
    assert_eq!(text(&done.stdout), "azure.toml: 2 rules; 1 table follows Azure's default and got none\n");
    let again = holdfast(&folder, &["import", "tables.json", "--output", "azure.toml"], "");
    assert_eq!(again.status.code(), Some(2), "a file of somebody's is not overwritten");
    let exported = holdfast(&folder, &["export", "azure.toml", "--workspace", "soc", "--subscription", "s1"], "");
    insta::assert_snapshot!("azure_exported", text(&exported.stdout));
    let back = holdfast(&folder, &["import", "-"], &text(&exported.stdout));
    let retains = |text: &str| {
        let set = parsed(text);
        set.rules().map(|(name, rule)| (name.to_string(), rule.retain)).collect::<Vec<_>>()
    };
    let first = std::fs::read_to_string(folder.path().join("azure.toml")).unwrap();
    assert_eq!(retains(&text(&back.stdout)), retains(&first));
    let name = TableName::new("any", "Syslog");
    assert_eq!(parsed(&first).rule_for(&name).unwrap().retain, Span::Days(1826));
    let json = holdfast(&folder, &["import", "-", "--format", "json"], ARTICLE);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["rules"][0]["retain"], "730d");
}

#[test]
fn the_shipped_policies_are_exported_or_explained() {
    let folder = tempfile::tempdir().unwrap();
    let policies = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let done = holdfast(&folder, &["export", policies.to_str().unwrap(), "--method", "patch"], "");
    assert_eq!(done.status.code(), Some(0));
    insta::assert_snapshot!("azure_shipped", format!("{}---\n{}", text(&done.stdout), text(&done.stderr)));
    std::fs::write(folder.path().join("p.toml"), "version = 1\n[[table]]\nname = \"T\"\nretain = \"3d\"\n").unwrap();
    let done = holdfast(&folder, &["export", "p.toml"], "");
    assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(1), ""));
    assert!(text(&done.stderr).contains("T (p.toml:2) keeps for 3d, which Azure cannot express"));
}
