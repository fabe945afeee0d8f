//! The certificate of destruction: what it proves, and what it says that it does not.

use holdfast::ledger::sha256_hex;
use insta::assert_snapshot;

use super::{POLICY, archived_under, consent, destroyed, lose_archive, record, site_under, told};
use crate::site::{Site, lines};

const CERTIFICATE: [&str; 4] = ["why", "Audit", "2024-03-01", "--certificate"];

fn json(site: &Site, day: &str) -> (i32, serde_json::Value) {
    let (code, out, _) = site.holdfast(&["why", "Audit", day, "--certificate", "--format", "json"]);
    (code, serde_json::from_str(&out).unwrap())
}

#[test]
fn a_day_that_was_destroyed_whole() {
    let site = destroyed();
    let text = told(&site, &CERTIFICATE);
    assert_snapshot!(text);
    lose_archive(&site);
    assert_eq!(told(&site, &CERTIFICATE), text, "from the ledger alone");
}

/// What the entries say stands in the ledger with these very hashes, and the SHA-256 printed is that of the JSON.
#[test]
fn every_hash_on_it_can_be_found_again() {
    let site = destroyed();
    let (code, out, _) = site.holdfast(&[&CERTIFICATE[..], &["--format", "json"]].concat());
    let (_, text, _) = site.holdfast(&CERTIFICATE);
    assert_eq!(code, 0);
    assert!(text.contains(&sha256_hex(out.as_bytes())), "{text}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let entry = |reference: &serde_json::Value| {
        let path = format!("archive/ledger/{:012}.json", reference["entry"].as_u64().unwrap());
        let bytes = std::fs::read(site.path().join(path)).unwrap();
        assert_eq!(reference["sha256"], sha256_hex(&bytes), "{reference}");
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()
    };
    let (file, step) = (&json["files"][0], &json["steps"][0]);
    let kinds = [
        (&file["written"], "batch_committed"),
        (&file["retired"]["intended"], "batch_intended"),
        (&file["retired"]["committed"], "batch_committed"),
        (&step["intent"], "destroy_intended"),
        (&step["outcome"], "destroy_done"),
        (&json["trims"][0]["intent"], "destroy_intended"),
        (&json["policies"][0]["accepted"], "policy_accepted"),
        (&json["approvals"][0]["entry"], "approved"),
        (&json["raw_objects"][0]["cleared"], "destroy_done"),
    ];
    for (reference, kind) in kinds {
        assert_eq!(entry(reference)["kind"], kind);
    }
    assert_eq!(step["gate"]["sha256"], entry(&step["intent"])["prev"]);
    assert_eq!(json["policies"][0]["sha256"], sha256_hex(POLICY.as_bytes()));
    let raw = lines(&(0..3).map(|number| record("2024-03-01T10:00:00.0000000Z", number)).collect::<Vec<_>>());
    assert_eq!(json["raw_objects"][0]["sha256"], sha256_hex(&raw));
}

#[test]
fn what_was_not_destroyed_is_no_part_of_it() {
    let site = archived_under(POLICY);
    let (code, out, beside) = site.holdfast(&CERTIFICATE);
    assert!(code == 4 && out.starts_with("NO CERTIFICATE") && beside.contains("nothing of that day was destroyed"));

    // The raw objects stay, and a late record lies in quarantine beside a second segment.
    let mut site = site_under(POLICY);
    site.armed.raw = false;
    site.run_well("2024-03-10T02:00:00Z");
    consent(&site, "2024-04-02T03:00:00Z");
    site.run_well("2024-04-03T02:00:00Z");
    let late = [record("2024-03-01T10:45:00Z", 7), "broken".into()];
    site.write("Audit/2024/03/02/11/late.json", lines(&late));
    site.run_well("2024-04-05T02:00:00Z");
    site.run_well("2024-04-11T02:00:00Z");
    assert_snapshot!(told(&site, &CERTIFICATE));
    assert_eq!(json(&site, "2024-03-01").1["complete"], false);
}

/// What came after its day was gone was never archived: it is counted, from which raw object.
#[test]
fn records_that_expired_on_arrival_are_on_it() {
    let mut site = destroyed();
    let late = |hour: u8, rows: usize| {
        let records: Vec<String> = (0..rows).map(|number| record("2024-03-01T12:00:00Z", number)).collect();
        (format!("Audit/2024/03/01/{hour}/late.json"), lines(&records))
    };
    let (path, bytes) = late(12, 5);
    site.write(&path, bytes);
    site.run_well("2024-04-12T02:00:00Z");
    let certificate = json(&site, "2024-03-01").1;
    let arrived = &certificate["expired_on_arrival"][0];
    assert_eq!((arrived["path"].as_str(), arrived["rows"].as_u64()), (Some(path.as_str()), Some(5)));
    assert_eq!((certificate["complete"].as_bool(), certificate["files"].as_array().unwrap().len()), (Some(true), 1));
    assert!(json(&site, "2024-03-02").1["expired_on_arrival"].as_array().unwrap().is_empty(), "its path says the 1st");

    let (path, bytes) = late(13, 2);
    site.write(&path, bytes);
    site.armed.raw = false;
    site.run_well("2024-04-13T02:00:00Z");
    let (code, text, _) = site.holdfast(&CERTIFICATE);
    assert!(code == 0 && text.contains("expired on arrival, not cleared") && text.contains("2 records in"), "{text}");
}

/// Deterministic, whoever asks and however often.
#[test]
fn the_same_ledger_gives_the_same_certificate() {
    let site = destroyed();
    assert_eq!(site.holdfast(&CERTIFICATE), site.holdfast(&CERTIFICATE));
    assert_eq!(json(&site, "2024-03-02").0, 0);
    assert_eq!(site.holdfast(&["why", "Audit", "2024-03-05", "--certificate"]).0, 4, "a day that never was");
    assert_eq!(site.holdfast(&["why", "Other", "2024-03-05", "--certificate"]).0, 2, "a table that never was");
}
