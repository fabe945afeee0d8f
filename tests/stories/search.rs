//! Searching as an auditor does: on the command line, over segments, raw objects and quarantine.

mod answers;
mod cookbook;
mod logical;
mod limits;

use serde_json::Value;

use crate::site::Site;

/// What a search gave: its rows, and its last words.
pub struct Found {
    pub code: i32,
    pub rows: Vec<Value>,
    pub answer: Value,
    pub errors: String,
}

impl Site {
    /// Searches with `--format json`.
    pub fn search(&self, sql: &str, options: &[&str]) -> Found {
        let mut arguments = vec!["search", sql, "--format", "json", "--by", "auditor"];
        arguments.extend(options);
        let (code, out, errors) = self.holdfast(&arguments);
        let mut rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let answer = rows.pop().map_or(Value::Null, |mut last| last["_hf_answer"].take());
        Found { code, rows, answer, errors }
    }

    /// The rows of a search that must succeed, each as JSON text.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let found = self.search(sql, &[]);
        assert_eq!(found.code, 0, "{sql}: {}", found.errors);
        found.rows.iter().map(Value::to_string).collect()
    }
}
