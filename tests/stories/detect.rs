//! `source detect`: what it proposes is valid as it stands, and takes in what is there.

use std::fs;
use std::process::Command;

use holdfast::settings::Settings;
use tempfile::TempDir;

fn detect(place: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    let done = command.args(["source", "detect", place]).output().unwrap();
    (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap())
}

fn lay_out(folder: &TempDir) {
    for (path, text) in [
        ("Signin/2024/03/01/05/a.json", "{\"time\":\"2024-03-01T05:00:00Z\",\"n\":1}\n"),
        ("Signin/2024/03/02/06/b.json", "{\"time\":\"2024-03-02T06:00:00Z\",\"n\":2}\n"),
        ("Audit/2024/03/01/07/c.json", "{\"records\":[{\"time\":\"2024-03-01T07:00:00Z\"}]}\n"),
        ("README", "not a log"),
    ] {
        let path = folder.path().join("landing").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn what_it_proposes_is_valid_and_takes_all_in() {
    let folder = TempDir::new().unwrap();
    lay_out(&folder);
    let (code, said) = detect(folder.path().join("landing").to_str().unwrap());
    // A fifth may be anything; a quarter is too much.
    assert_eq!(code, 2, "{said}");
    fs::remove_file(folder.path().join("landing/README")).unwrap();
    let (code, said) = detect(folder.path().join("landing").to_str().unwrap());
    assert_eq!(code, 0, "{said}");
    let (settings, policy) = said.split_once("# into a file of the policy folder").unwrap();
    let policy = policy.split_once('\n').unwrap().1;
    let settings = format!("archive = \"archive\"\npolicies = \"policies\"\n{settings}settle = \"0s\"\n");
    assert!(Settings::parse(&settings, folder.path()).is_ok(), "{settings}");
    assert!(policy.contains("time_column = \"time\"") && policy.contains("2024-03-01 to 2024-03-02"), "{policy}");
    fs::write(folder.path().join("holdfast.toml"), settings).unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/all.toml"), policy).unwrap();
    let run = |arguments: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_holdfast")).args(arguments).current_dir(folder.path()).output();
        let done = done.unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap())
    };
    let (code, said) = run(&["check"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&["run"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&["search", "--format", "csv", "SELECT count(*) FROM Signin"]);
    assert!(code == Some(0) && said.contains("\n2\n"), "{said}");
}

#[test]
fn what_no_layout_fits_is_said() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("x"), "1").unwrap();
    let (code, said) = detect(folder.path().to_str().unwrap());
    assert!(code == 2 && said.contains("no known layout fits its 1 object"), "{said}");
    let (code, said) = detect("https://example.org/x");
    assert!(code == 2 && said.contains("s3://"), "{said}");
}
