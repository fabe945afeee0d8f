//! Who sits at the command line, as far as the operating system says. None of it is proven.

/// The name somebody logged in with, before any `sudo`.
pub fn login() -> Option<String> {
    first(&["SUDO_USER", "USER", "LOGNAME", "USERNAME"])
}

/// The user that this process writes files as.
pub fn user() -> String {
    first(&["USER", "LOGNAME", "USERNAME"]).or_else(owner).unwrap_or_else(|| "unknown".into())
}

/// Who this process belongs to where nothing in the environment says so, in a container for one.
#[cfg(unix)]
fn owner() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|process| format!("uid-{}", process.uid()))
}

#[cfg(not(unix))]
fn owner() -> Option<String> {
    None
}

fn first(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}
