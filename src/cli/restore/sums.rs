//! What `sha256sum -c` reads: the restored files and their manifest, by names relative to the list.

use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

/// One line, as `sha256sum` writes it: names with a backslash or a line end are escaped, and the line says so.
pub fn line(sha256: &str, name: &Path) -> Vec<u8> {
    let name = name.as_os_str().as_encoded_bytes();
    let odd = name.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r'));
    let mut line = Vec::with_capacity(name.len() + 70);
    if odd {
        line.push(b'\\');
    }
    line.extend_from_slice(sha256.as_bytes());
    line.extend_from_slice(b"  ");
    for byte in name {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            byte => line.push(*byte),
        }
    }
    line.push(b'\n');
    line
}

/// The folder that a file lies in.
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent.as_os_str() != OsStr::new("") => parent,
        _ => Path::new("."),
    }
}

/// How `file` is called from `folder`. Both folders are there; the file need not be.
pub fn relative(folder: &Path, file: &Path) -> io::Result<PathBuf> {
    let (from, to) = (folder.canonicalize()?, folder_of(file).canonicalize()?);
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let mut path: PathBuf = up.chain(to.components().skip(shared)).collect();
    path.push(file.file_name().unwrap_or_default());
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let (out, other) = (folder.path().join("out"), folder.path().join("other/deep"));
        std::fs::create_dir_all(&out).unwrap();
        std::fs::create_dir_all(&other).unwrap();
        assert_eq!(relative(&out, &out.join("a.gz")).unwrap(), Path::new("a.gz"));
        assert_eq!(relative(&out, &other.join("m.json")).unwrap(), Path::new("../other/deep/m.json"));
        assert_eq!(relative(&other, &folder.path().join("m.json")).unwrap(), Path::new("../../m.json"));
        assert_eq!(relative(folder.path(), &out.join("a.gz")).unwrap(), Path::new("out/a.gz"));
    }

    #[test]
    fn odd_names_are_escaped() {
        assert_eq!(line("00", Path::new("a b.gz")), b"00  a b.gz\n");
        assert_eq!(line("00", Path::new("a\\b\nc")), b"\\00  a\\\\b\\nc\n");
    }
}
