//! What `restore` leaves in a folder: packed as asked, with a manifest, and checked by the real `sha256sum`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::site::Site;

fn site() -> Site {
    let site = Site::new();
    for day in [1, 2] {
        let records: String =
            (0..3).map(|n| format!("{{\"TimeGenerated\":\"2024-03-0{day}T10:0{n}:00Z\",\"n\":{n}}}\n")).collect();
        site.write(&format!("Signin/2024/03/0{day}/10/a.json"), records);
    }
    site.run_well("2024-03-05T00:00:00Z");
    site
}

/// Restores `Signin` with these further arguments; gives what was said.
fn restore(site: &Site, arguments: &[&str]) -> String {
    let (code, out, said) = site.holdfast(&[&["restore", "--table", "Signin"], arguments].concat());
    assert_eq!((code, out.as_str()), (0, ""), "{said}");
    said
}

/// What `sha256sum -c` says in a folder: whether all is well, and the names it looked at.
fn sha256sum(folder: &Path, list: &str) -> (bool, BTreeSet<String>) {
    let done = Command::new("sha256sum").args(["-c", list]).current_dir(folder).env("LC_ALL", "C").output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    (
        done.status.success(),
        text.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name.to_owned()).collect(),
    )
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn unpacked(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    match path.extension().unwrap().to_str().unwrap() {
        "gz" => drop(std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut text).unwrap()),
        "zst" => text = String::from_utf8(zstd::stream::decode_all(&bytes[..]).unwrap()).unwrap(),
        _ => text = String::from_utf8(bytes).unwrap(),
    }
    text
}

fn manifest(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_folder_is_packed_as_asked_and_sha256sum_finds_it_whole() {
    let site = site();
    let all = site.holdfast(&["restore", "--table", "Signin"]).1;
    for (how, ending) in [("none", ""), ("gzip", ".gz"), ("zstd", ".zst")] {
        let folder = site.path().join(how);
        let said = restore(&site, &["--output", &format!("{how}/"), "--compress", how]);
        assert!(said.contains(&format!("check it with: cd {how} && sha256sum -c SHA256SUMS")), "{said}");
        let days = ["01", "02"].map(|day| format!("2024-03-{day}.ndjson{ending}"));
        let text: String = days.iter().map(|day| unpacked(&folder.join(day))).collect();
        assert_eq!(text, all, "{how}");
        let listed = names(&[&days[0], &days[1], "manifest.json"]);
        assert_eq!(sha256sum(&folder, "SHA256SUMS"), (true, listed.clone()), "{how}");
        let there: BTreeSet<String> =
            fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(there, &listed | &names(&["SHA256SUMS"]), "nothing else is left");
        // The list can fail.
        fs::write(folder.join(&days[1]), "changed").unwrap();
        assert!(!sha256sum(&folder, "SHA256SUMS").0);
    }
}

#[test]
fn a_file_has_its_list_and_a_manifest_that_says_what_it_answers_from() {
    let site = site();
    fs::create_dir_all(site.path().join("out")).unwrap();
    fs::create_dir_all(site.path().join("papers")).unwrap();
    // A name that sha256sum must escape.
    restore(&site, &["--output", "out/odd \\name.ndjson.gz"]);
    let listed = names(&["odd \\name.ndjson.gz", "odd \\name.ndjson.gz.manifest.json"]);
    let (whole, seen) = sha256sum(&site.path().join("out"), "odd \\name.ndjson.gz.sha256");
    // Its older versions escape what they print, too.
    let seen: BTreeSet<String> = seen.iter().map(|name| name.trim_start_matches('\\').replace("\\\\", "\\")).collect();
    assert_eq!((whole, seen), (true, listed));
    // A manifest elsewhere: each is called as it is from the list, and from the manifest.
    restore(&site, &["--output", "out/a.ndjson", "--manifest", "papers/m.json"]);
    let listed = names(&["a.ndjson", "../papers/m.json"]);
    assert_eq!(sha256sum(&site.path().join("out"), "a.ndjson.sha256"), (true, listed));
    let manifest = manifest(&site.path().join("papers/m.json"));
    assert_eq!(manifest["files"][0]["path"], "../out/a.ndjson");
    let chain = site.chain();
    assert_eq!(manifest["archive"].as_str(), chain.state().archive.as_deref());
    assert_eq!(manifest["ledger"], serde_json::to_value(chain.state().head()).unwrap());
    assert_eq!(manifest["holdfast"], env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest["compress"], "none");
    assert_eq!(manifest["recorded"]["seq"], 2, "the second question, after the first and its answer");
    assert_eq!(manifest["records"]["rows"], 6);
}

#[test]
fn stdout_is_packed_too_and_its_manifest_names_it() {
    let site = site();
    // Writes the settings.
    let all = site.holdfast(&["restore", "--table", "Signin"]).1;
    let packed = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["restore", "--table", "Signin", "--compress", "zstd", "--manifest", "m.json"])
        .current_dir(site.path())
        .env_remove("HOLDFAST_CONFIG")
        .output();
    let out = packed.unwrap().stdout;
    assert_eq!(String::from_utf8(zstd::stream::decode_all(&out[..]).unwrap()).unwrap(), all);
    let file = &manifest(&site.path().join("m.json"))["files"][0];
    assert_eq!((&file["path"], &file["records"]), (&Value::from("-"), &Value::from(6)));
    assert_eq!(file["sha256"], holdfast::ledger::sha256_hex(&out));
}

#[test]
fn contradictions_are_refused_before_anything_is_asked() {
    let site = site();
    fs::create_dir_all(site.path().join("folder")).unwrap();
    let refused = |arguments: &[&str]| {
        let (code, out, said) = site.holdfast(&[&["restore", "--table", "Signin"], arguments].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{said}");
        said
    };
    insta::assert_snapshot!(refused(&["--output", "a.ndjson.gz", "--compress", "zstd"]), @"
    error: restoring to a.ndjson.gz
      why:  --compress says zstd, the file's name says gzip
      lost: nothing; nothing was done, and it can wait
      next: leave --compress out, or name the file a.ndjson.zst
    ");
    insta::assert_snapshot!(refused(&["--output", "a.ndjson", "--compress", "gzip"]), @"
    error: restoring to a.ndjson
      why:  --compress says gzip, the file's name says that it is not packed
      lost: nothing; nothing was done, and it can wait
      next: leave --compress out, or name the file a.ndjson.gz
    ");
    insta::assert_snapshot!(refused(&["--output", "folder"]), @"
    error: restoring to folder
      why:  it is a folder
      lost: nothing; nothing was done, and it can wait
      next: for a file a day write folder/, else name a file in it
    ");
    insta::assert_snapshot!(refused(&["--output", "a.ndjson", "--manifest", "a.ndjson"]), @"
    error: restoring to a.ndjson
      why:  the manifest would take the place of what is restored
      lost: nothing; nothing was done, and it can wait
      next: give it another name
    ");
    insta::assert_snapshot!(refused(&["--output", "a.ndjson", "--manifest", "nowhere/m.json"]), @"
    error: restoring to a.ndjson
      why:  there is no folder nowhere for the manifest
      lost: nothing; nothing was done, and it can wait
      next: nothing was restored; make the folder, or name another
    ");
    assert!(!site.path().join("archive/access").exists());
}

#[test]
fn a_time_range_that_holds_nothing_is_refused() {
    let site = site();
    for (from, to) in [("2024-03-02", "2024-03-01"), ("2024-03-01T10:00:00Z", "2024-03-01T10:00:00Z")] {
        let (code, _, said) = site.holdfast(&["restore", "--table", "Signin", "--from", from, "--to", to]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("nothing lies in between"), "{said}");
    }
    assert_eq!(
        restore(&site, &["--from", "2024-03-01", "--to", "2024-03-01", "--output", "a"]).lines().next(),
        Some("restored 3 records of main/Signin")
    );
}
