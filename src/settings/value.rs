//! The values of settings as people write them: durations, amounts of memory, paths and URLs.
//!
//! Each parser accepts one notation and says of any other what was probably meant. None reads a clock or the disk.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::diagnose::Problem;
use super::reader::NO_CREDENTIALS;

/// The least `memory` that is accepted: below it not even one row group and its encoders fit.
pub const LEAST_MEMORY_BYTES: u64 = 64 << 20;

/// Hours, minutes and seconds: `0s`, `30m`, `1h`, `1h30m`.
pub fn duration(text: &str) -> Result<Duration, Problem> {
    const FORMS: &str = "a duration is hours, minutes and seconds, like \"0s\", \"30m\", \"1h\", \"1h30m\"";
    let problem =
        |reason: &str, label: &str| Problem::new(format!("`{text}` is not a duration: {reason}"), label.to_owned());
    if text.starts_with('-') {
        return Err(problem("it is negative", "negative").with_hint(FORMS));
    }
    let (mut rest, mut seconds, mut least) = (text, 0u64, u64::MAX);
    while !rest.is_empty() || least == u64::MAX {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let Ok(number) = number.parse::<u64>() else {
            return Err(problem("no number with a unit", "not understood").with_hint(FORMS));
        };
        let unit_seconds = match unit {
            "h" => 3600,
            "m" => 60,
            "s" => 1,
            "" => {
                return Err(problem("it has no unit", "seconds, minutes, hours?")
                    .with_hint(format!("did you mean \"{number}s\"?")));
            }
            "d" => {
                return Err(problem("no days here", "days")
                    .with_hint(format!("did you mean \"{}h\"?", number.saturating_mul(24))));
            }
            _ => return Err(problem("an unknown unit", "not understood").with_hint(FORMS)),
        };
        if unit_seconds >= least {
            return Err(problem("its units are not in order", "not in order").with_hint(FORMS));
        }
        seconds = number
            .checked_mul(unit_seconds)
            .and_then(|more| seconds.checked_add(more))
            .filter(|seconds| *seconds <= 366 * 86_400)
            .ok_or_else(|| problem("longer than a year", "too long").with_hint(FORMS))?;
        least = unit_seconds;
        rest = after;
    }
    Ok(Duration::from_secs(seconds))
}

/// How long a lease lasts without a beat: long enough for some beats to be lost.
pub fn lease(text: &str) -> Result<Duration, Problem> {
    match duration(text)? {
        lease if (Duration::from_secs(2)..=Duration::from_secs(3600)).contains(&lease) => Ok(lease),
        _ => Err(Problem::new(format!("a lease of `{text}`"), "not from 2s to 1h")
            .with_hint("\"60s\" is built in: a run whose host died is taken over after two to three times that")),
    }
}

/// A duration in the notation of [`duration`].
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
    if text.is_empty() { "0s".into() } else { text }
}

/// An amount of memory in bytes: `512MiB`, `1GiB`; not less than a segment needs.
pub fn memory(text: &str) -> Result<u64, Problem> {
    match size(text)? {
        bytes if bytes < LEAST_MEMORY_BYTES => {
            Err(Problem::new(format!("`{text}` of memory is too little"), "less than 64MiB").with_hint(
                "a segment is sorted and encoded within it, so that less would make an archive of crumbs: give at \
                 least \"64MiB\"",
            ))
        }
        bytes => Ok(bytes),
    }
}

/// A number of bytes: `512MiB`, `10GB`.
pub fn size(text: &str) -> Result<u64, Problem> {
    let problem = |reason: &str, label: &str| {
        Problem::new(format!("`{text}` is no amount of memory: {reason}"), label.to_owned())
            .with_hint("write a whole number of MiB or GiB, like \"512MiB\" or \"1GiB\"")
    };
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| problem("no whole number with a unit", "not understood"))?;
    let factor: u64 = match unit.trim_start() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "" => return Err(problem("it has no unit", "bytes, MiB, GiB?")),
        _ => return Err(problem("an unknown unit", "not understood")),
    };
    number.checked_mul(factor).ok_or_else(|| problem("too much to count", "too much"))
}

/// Where something is stored: a path (relative to `base`, which is absolute) or a URL of a known scheme. The URL has no
/// slash at its end.
pub fn location(text: &str, base: &Path) -> Result<Url, Problem> {
    let problem = |reason: &str, label: &str| Problem::new(format!("`{text}` {reason}"), label.to_owned());
    if text.trim().is_empty() {
        return Err(Problem::new("an empty location", "nothing in it").with_hint("write a path or a URL"));
    }
    let url = if has_scheme(text) {
        // The text may hold a password, which nobody has looked for yet.
        Url::parse(text).map_err(|error| Problem::new(format!("not a URL: {error}"), "not a URL").of_secret())?
    } else {
        let path = absolute(text, base)?;
        Url::from_file_path(&path).map_err(|()| problem("is no absolute path", "not absolute"))?
    };
    if !url.username().is_empty() && !matches!(url.scheme(), "abfss" | "abfs") || url.password().is_some() {
        return Err(Problem::new("a URL with a name or password", "credentials").with_hint(NO_CREDENTIALS).of_secret());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Problem::new("a URL with a part after `?` or `#`", "not allowed here")
            .with_hint("leave it away; access tokens belong in the environment, a `?` or `#` in a name is %3F or %23")
            .of_secret());
    }
    match url.scheme() {
        "file" if url.host_str().is_some_and(|host| !host.is_empty()) => {
            let hint = format!("did you mean \"file:///{}\"?", text.trim_start_matches("file://"));
            Err(problem("names a host", "two slashes name a host, three the root").with_hint(hint))
        }
        "file" => Ok(without_end_slash(url)),
        "s3" | "az" | "abfss" | "gs" if url.host_str().is_none_or(str::is_empty) => {
            Err(problem("names no bucket or container", "nothing after the scheme")
                .with_hint(format!("write {}://<bucket>/<folder>", url.scheme())))
        }
        "s3" | "az" | "abfss" | "gs" => Ok(without_end_slash(url)),
        other => {
            let hint = match other {
                "http" | "https" => "write the store's own form: s3://bucket/folder, az://container/folder, gs://…",
                "s3a" | "s3n" => "write s3://…",
                "wasb" | "wasbs" | "azure" | "adl" | "abfs" => "write az://container/folder or abfss://…",
                "gcs" => "write gs://…",
                _ => "known are a path, file://, s3://, az://, abfss:// and gs://",
            };
            Err(problem(&format!("has the unknown scheme `{other}`"), "unknown scheme").with_hint(hint))
        }
    }
}

/// A path relative to `base`, without `.` and `..`.
pub fn absolute(text: &str, base: &Path) -> Result<PathBuf, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::new("an empty path", "nothing in it").with_hint("write a path"));
    }
    if text.starts_with('~') || text.starts_with('$') {
        return Err(Problem::new(format!("`{text}` needs a shell to be understood"), "not expanded")
            .with_hint("write the whole path, or one relative to this file"));
    }
    let mut path = PathBuf::new();
    for component in base.join(text).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                path.pop();
            }
            other => path.push(other),
        }
    }
    Ok(path)
}

/// True for `scheme:…`. A drive letter counts too: it is refused as a scheme, not taken for a folder's name.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

fn without_end_slash(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

/// True if one location lies in the other, or they are the same.
pub fn overlap(one: &Url, other: &Url) -> bool {
    inside(one, other) || inside(other, one)
}

/// True if `inner` lies at or below `outer`.
pub fn inside(inner: &Url, outer: &Url) -> bool {
    let above = outer.path().trim_end_matches('/');
    (inner.scheme(), inner.authority()) == (outer.scheme(), outer.authority())
        && inner.path().strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("0s", 0), ("30m", 1800), ("1h", 3600), ("1h30m", 5400), ("90s", 90), ("48h", 172_800)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "1", "1d", "-5m", "m", "30m1h", "1h1h", "1.5h", "1 h", "1H", "99999999h", "1ms", "PT1H"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["0s", "30m", "1h30m", "1m30s", "100h"] {
            assert_eq!(duration_text(duration(text).unwrap()), text);
        }
        assert_eq!(duration("1d").unwrap_err().hint.unwrap(), "did you mean \"24h\"?");
    }

    #[test]
    fn a_lease_lasts_for_some_beats_and_ends_some_day() {
        assert_eq!(lease("60s"), Ok(Duration::from_secs(60)));
        for text in ["0s", "1s", "2h", "60", ""] {
            assert!(lease(text).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_is_enough_or_refused_with_a_reason() {
        assert_eq!(memory("1GiB"), Ok(1 << 30));
        assert_eq!(memory("64MiB"), Ok(64 << 20));
        assert_eq!(memory("500MB"), Ok(500_000_000));
        for text in ["", "1", "63MiB", "0GiB", "1G", "-1GiB", "1.5GiB", "GiB", "99999999999TiB", "64MB"] {
            assert!(memory(text).is_err(), "{text}");
        }
    }

    #[test]
    fn locations_are_paths_or_known_urls() {
        let base = Path::new("/etc/holdfast");
        for (text, url) in [
            ("/srv/logs", "file:///srv/logs"),
            ("archive", "file:///etc/holdfast/archive"),
            ("./archive/", "file:///etc/holdfast/archive"),
            ("../x/./y", "file:///etc/x/y"),
            ("a folder", "file:///etc/holdfast/a%20folder"),
            ("file:///srv/logs/", "file:///srv/logs"),
            ("s3://bucket/logs", "s3://bucket/logs"),
            ("az://container", "az://container"),
            ("gs://b/x/", "gs://b/x"),
            ("abfss://fs@account.dfs.core.windows.net/x", "abfss://fs@account.dfs.core.windows.net/x"),
        ] {
            assert_eq!(location(text, base).unwrap().as_str(), url, "{text}");
        }
        for text in [
            "",
            " ",
            "~/logs",
            "$HOME/logs",
            "file://srv/logs",
            "s3://",
            "s3:///x",
            "https://x/y",
            "C:\\logs",
            "ftp://x",
            "s3://key:secret@bucket/x",
            "s3://key@bucket/x",
            "az://c/x?sig=1",
            "gs://b/x#y",
            "wasbs://c/x",
            "s3a://b/x",
        ] {
            assert!(location(text, base).is_err(), "{text}: {:?}", location(text, base));
        }
    }

    #[test]
    fn overlap_is_of_whole_folders() {
        let url = |text: &str| location(text, Path::new("/")).unwrap();
        assert!(overlap(&url("/a/b"), &url("/a/b")) && overlap(&url("/a/b/c"), &url("/a/b")));
        assert!(overlap(&url("/a"), &url("/a/b")) && overlap(&url("/"), &url("/a")));
        assert!(!overlap(&url("/a/bc"), &url("/a/b")) && !overlap(&url("/x"), &url("/a")));
        assert!(!overlap(&url("s3://a/x"), &url("s3://b/x")) && !overlap(&url("s3://a/x"), &url("gs://a/x")));
        assert!(overlap(&url("s3://a"), &url("s3://a/x")));
    }
}
