//! The queries of docs/AUDITORS.md run as they stand there.

use crate::site::Site;

/// The statements of the page's `sql` blocks.
fn queries() -> Vec<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/AUDITORS.md")).unwrap();
    let blocks = page.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(|block| block.split("\n\n").map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn every_query_of_the_cookbook_answers() {
    let site = Site::new();
    let event = |time: &str, id: u32, more: &str| {
        format!(
            "{{\"TimeGenerated\":\"{time}\",\"EventID\":{id},\"Account\":\"CONTOSO\\\\alice\",\"Computer\":\"pc1\",\"IpAddress\":\"203.0.113.7\",\"Activity\":\"{id}\"{more}}}\n"
        )
    };
    let mut events: String = (0..25).map(|n| event(&format!("2024-03-01T10:{n:02}:00Z"), 4625, "")).collect();
    events += &event("2024-03-01T10:26:00Z", 4624, "");
    events += &event("2024-03-01T10:27:00Z", 4740, "");
    events += &event("2024-03-01T10:28:00Z", 4688, ",\"NewProcessName\":\"C:\\\\evil.exe\"");
    site.write("SecurityEvent/2024/03/01/10/a", events);
    site.write("SecurityEvent/2024/03/05/10/a", event("2024-03-05T10:00:00Z", 4634, ""));
    site.write(
        "SigninLogs/2024/03/01/10/a",
        "{\"TimeGenerated\":\"2024-03-01T10:00:00Z\",\"LocationDetails\":{\"countryOrRegion\":\"NO\"}}\n",
    );
    site.run_well("2024-03-09T00:00:00Z");
    let queries = queries();
    assert!(queries.len() >= 7, "{}", queries.len());
    for query in queries {
        let found = site.search(&query, &[]);
        assert_eq!(found.code, 0, "{query}\n{}", found.errors);
        assert!(!found.rows.is_empty(), "{query} finds nothing");
    }
}
