//! A local folder as it is, for what the object store library hides or stumbles over.
//!
//! That library skips names such as `app.log#1`, links that lead nowhere and what is no file, follows links to files,
//! and fails the whole listing at a name that is not Unicode, a circle of links or a folder it may not open. Here each of
//! these is told, and the rest goes on (I12). Links to folders are followed, as the library does; links to files are set
//! apart: clearing one would remove the link and leave the records.

use std::fs;
use std::path::{Path, PathBuf};

/// Something met on the walk; `path` is relative to its root, with `/`.
#[derive(Debug)]
pub(super) enum Entry {
    /// A file that the store can name.
    File(String),
    /// What is no raw object, whatever the layout says.
    Apart { path: String, reason: &'static str },
    /// What could not be looked into.
    Unreadable { path: String, reason: String },
}

/// Visits everything below `root`, in no particular order.
pub(super) fn walk(root: &Path, visit: &mut impl FnMut(Entry)) {
    // Each folder with its relative path and the real folders above it, against circles of links.
    let real = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let mut folders = vec![(root.to_owned(), String::new(), vec![real])];
    while let Some((folder, below, above)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    visit(Entry::Unreadable { path: below, reason: format!("the folder cannot be listed: {error}") });
                }
                continue;
            }
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let reason = format!("the folder cannot be listed to its end: {error}");
                    visit(Entry::Unreadable { path: below.clone(), reason });
                    break;
                }
            };
            let name = entry.file_name();
            let slash = if below.is_empty() { "" } else { "/" };
            let path = format!("{below}{slash}{}", name.to_string_lossy());
            match look(&entry.path(), name.to_str(), &above) {
                Found::File => visit(Entry::File(path)),
                Found::Folder(real) => {
                    let above = above.iter().cloned().chain([real]).collect();
                    folders.push((entry.path(), path, above));
                }
                Found::Apart(reason) => visit(Entry::Apart { path, reason }),
                Found::Unreadable(reason) => visit(Entry::Unreadable { path, reason }),
                Found::Gone => {}
            }
        }
    }
}

enum Found {
    File,
    /// With its real path.
    Folder(PathBuf),
    Apart(&'static str),
    Unreadable(String),
    /// Removed while we looked.
    Gone,
}

/// `name` is `None` where it is not Unicode.
fn look(path: &Path, name: Option<&str>, above: &[PathBuf]) -> Found {
    let is_link = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.is_symlink(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Found::Gone,
        Err(error) => return Found::Unreadable(format!("cannot be looked at: {error}")),
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(_) if is_link => return Found::Apart("a symbolic link that leads nowhere"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Found::Gone,
        Err(error) => return Found::Unreadable(format!("cannot be looked at: {error}")),
    };
    let nameable = name.is_some_and(|name| !name.contains(|c: char| c.is_ascii_control()));
    if metadata.is_dir() {
        if !nameable {
            return Found::Unreadable("the folder's name is not Unicode, or holds a control character".into());
        }
        return match fs::canonicalize(path) {
            // Also of folders above the root: from there one comes to the root again.
            Ok(real) if is_link && above.iter().any(|folder| folder.starts_with(&real)) => {
                Found::Unreadable("a symbolic link to a folder above it: a circle".into())
            }
            Ok(real) => Found::Folder(real),
            Err(error) => Found::Unreadable(format!("cannot be looked at: {error}")),
        };
    }
    if !nameable {
        return Found::Apart("its name is not Unicode, or holds a control character");
    }
    if !metadata.is_file() {
        return Found::Apart("neither a file nor a folder");
    }
    if is_link {
        return Found::Apart("a symbolic link to a file: clearing it would leave the records where they are");
    }
    if name.is_some_and(is_invisible) {
        return Found::Apart("invisible to the object store library: `#` and digits end its name");
    }
    Found::File
}

/// Names that the library keeps for its own unfinished uploads (`app.log#1`).
fn is_invisible(name: &str) -> bool {
    name.split_once('#').is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()))
}
