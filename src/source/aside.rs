//! The name under which a local object is set aside while it is cleared.
//!
//! Between the rename and the deletion a crash can leave it so: discovery finds it again and knows whose it was. The
//! name is part of what is frozen: an aside of one release is found by the next.

/// Where a local object is set aside while it is cleared: `dir/name` becomes `dir/.name.hf-aside`.
pub fn aside_path(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{slash}.{name}.hf-aside")
}

/// The path that [`aside_path`] was given; `None` if `path` is not one it makes.
pub fn original_of_aside(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let original = name.strip_prefix('.')?.strip_suffix(".hf-aside")?;
    if original.is_empty() || original.starts_with('.') {
        return None;
    }
    let slash = if folder.is_empty() { "" } else { "/" };
    Some(format!("{folder}{slash}{original}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aside_tells_its_original() {
        assert_eq!(aside_path("dir/a.json"), "dir/.a.json.hf-aside");
        for path in ["a", "dir/a b.json", "x/y/z#1", "d/a.hf-aside"] {
            assert_eq!(original_of_aside(&aside_path(path)).as_deref(), Some(path));
        }
        for path in [".hf-aside", "d/..hf-aside", "d/..a.hf-aside", "a.hf-aside", ".d/a", ".a.hf-aside/b"] {
            assert_eq!(original_of_aside(path), None, "{path}");
        }
    }
}
