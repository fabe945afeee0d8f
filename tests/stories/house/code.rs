//! The text of the source as the checks read it: comments, literals and test code blanked out, lines kept.

use std::path::Path;

/// One file of `src/`.
pub struct SourceFile {
    /// `src/gate/mod.rs`, with `/` on every system.
    pub path: String,
    pub text: String,
    /// The text with everything blank that is no code of the product; same lines.
    pub code: String,
}

impl SourceFile {
    pub fn new(path: &str, text: &str) -> Self {
        SourceFile { path: path.to_owned(), text: text.to_owned(), code: without_tests(&blanked(text)) }
    }

    /// The first name after `src/`: `gate` of `src/gate/mod.rs`, `error` of `src/error.rs`.
    pub fn module(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inner.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// How many `super::` lead from this file to the root.
    fn depth(&self) -> usize {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inner.split('/').filter(|part| *part != "mod.rs").count()
    }

    /// The lines, from 1, on which `call` stands as words of its own.
    pub fn lines_with(&self, call: &str) -> Vec<usize> {
        starts(&self.code, call).map(|at| line_of(&self.code, at)).collect()
    }
}

/// All `.rs` files below `folder`, sorted, without files that are compiled for tests only.
pub fn read_folder(root: &Path, folder: &str) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.ends_with(".rs") {
                files.push(SourceFile::new(&path, &std::fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    let test_only: Vec<String> = files.iter().flat_map(test_modules).collect();
    files.retain(|file| !test_only.contains(&file.path));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The names that follow `crate::`, or as many `super::` as lead to the root, with their lines.
pub fn crate_paths(file: &SourceFile) -> Vec<(usize, String)> {
    let code = &file.code;
    let mut found = Vec::new();
    let root = "super::".repeat(file.depth());
    for prefix in ["crate::", &root] {
        for at in starts(code, prefix) {
            let line = line_of(code, at);
            found.extend(first_names(&code[at + prefix.len()..]).into_iter().map(|name| (line, name)));
        }
    }
    found
}

/// The words of a text.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Where `needle` stands, not as the tail of a longer word or of a longer path of `super`s.
fn starts<'a>(text: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(needle).map(|(at, _)| at).filter(move |&at| {
        let before = text[..at].chars().next_back();
        let own_word = !needle.starts_with(is_word) || !before.is_some_and(is_word);
        own_word && !(needle.starts_with("super::") && text[..at].ends_with("super::"))
    })
}

/// `archive` of `archive::Table`; `error` and `archive` of `{error::Error, archive::{Table, Row}}`.
fn first_names(after: &str) -> Vec<String> {
    let Some(group) = after.strip_prefix('{') else {
        return words(after).next().map(str::to_owned).into_iter().collect();
    };
    let (mut depth, mut names, mut name) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(std::mem::take(&mut name)),
            c if depth == 0 => name.push(c),
            _ => {}
        }
    }
    names.push(name);
    names.iter().filter_map(|name| words(name).next()).map(str::to_owned).collect()
}

/// The text with comments and the insides of literals blank.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skip(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// The end of the comment or literal that begins here; `at` itself if none does.
fn skip(chars: &[char], at: usize) -> usize {
    let peek = |ahead: usize| chars.get(at + ahead).copied().unwrap_or('\0');
    let in_word = at > 0 && is_word(chars[at - 1]);
    match (peek(0), peek(1)) {
        ('/', '/') => chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |length| at + length),
        ('/', '*') => end_of_block_comment(chars, at),
        ('"', _) => end_of_string(chars, at + 1),
        ('r', '"' | '#') if !in_word || chars[at - 1] == 'b' || chars[at - 1] == 'c' => end_of_raw_string(chars, at),
        // A character, not a lifetime.
        ('\'', '\\') => chars[at + 3..].iter().position(|&c| c == '\'').map_or(chars.len(), |length| at + length + 4),
        ('\'', _) if peek(2) == '\'' => at + 3,
        _ => at,
    }
}

fn end_of_block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn end_of_raw_string(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return start;
    }
    let closes =
        |at: usize| chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
    (open + 1..chars.len()).find(|&at| closes(at)).map_or(chars.len(), |at| at + 1 + hashes)
}

const TEST: &str = "#[cfg(test)]";

/// Blanks each item under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(at) = out.find(TEST) {
        let end = end_of_item(&out, at + TEST.len());
        let blank: String = out[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(at..end, &blank);
    }
    out
}

/// The end of the item that begins at `from`: its `;`, or the brace that closes it.
fn end_of_item(code: &str, from: usize) -> usize {
    let (mut braces, mut others) = (0, 0);
    for (at, c) in code[from..].char_indices() {
        match c {
            '(' | '[' => others += 1,
            ')' | ']' => others -= 1,
            '{' => braces += 1,
            '}' => braces -= 1,
            _ => {}
        }
        if braces == 0 && others == 0 && matches!(c, ';' | '}') {
            return from + at + 1;
        }
    }
    code.len()
}

/// The files of modules that `file` declares for tests only.
fn test_modules(file: &SourceFile) -> Vec<String> {
    let folder = file.path.strip_suffix("/mod.rs").or(file.path.strip_suffix(".rs")).unwrap_or_default();
    let code = blanked(&file.text);
    starts(&code, TEST)
        .filter_map(|at| {
            let item = &code[at + TEST.len()..end_of_item(&code, at + TEST.len())];
            let name = item.trim().strip_suffix(';')?.rsplit("mod ").next()?.trim();
            Some(format!("{folder}/{name}.rs"))
        })
        .collect()
}
