//! Which columns have values in `_hf_rest`, so that a search reads it only for those.
//!
//! Invariant: a name that could be a column of the table, now or later, and that a row of the segment has in `_hf_rest`,
//! is in the list, or the list says [`ANY`]. What can never be a column is left out: nobody asks for it by that name.

use std::collections::{BTreeSet, HashSet};

use super::schema::{fold, is_column_name};
use crate::record::{Member, members, text};

/// In place of the names: there are too many, any name may be there.
pub const ANY: &str = "*";

/// The most names that are told. More of them are no columns gone astray, but data that stands where names should.
const MOST_NAMES: usize = 64;

/// Collects the names, row by row.
#[derive(Debug, Default)]
pub(super) struct RestNames {
    names: BTreeSet<String>,
    /// Keys as they were written, so that each is looked at once.
    seen: HashSet<Box<[u8]>>,
    found: Vec<Member>,
    any: bool,
}

impl RestNames {
    /// Takes note of one row's `_hf_rest`: a JSON object, or nothing.
    pub(super) fn see(&mut self, rest: &[u8]) {
        if rest.is_empty() || self.any {
            return;
        }
        let mut found = std::mem::take(&mut self.found);
        // It was put together from members that were scanned; one that does not scan tells nothing, so it may be any.
        self.any |= members(rest, &mut found).is_err();
        for member in &found {
            let raw = member.key.of(rest);
            if self.seen.contains(raw) {
                continue;
            }
            self.seen.insert(raw.into());
            // A name with an unpaired surrogate is no column's.
            if let Ok(name) = text::unescape(raw)
                && is_column_name(&name)
            {
                self.names.insert(fold(&name));
            }
        }
        self.any |= self.names.len() > MOST_NAMES || self.seen.len() > 16 * MOST_NAMES;
        self.found = found;
    }

    /// The names, folded and sorted; [`ANY`] alone if there are too many.
    pub(super) fn into_list(self) -> Vec<String> {
        if self.any { vec![ANY.to_owned()] } else { self.names.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(rows: &[&str]) -> Vec<String> {
        let mut names = RestNames::default();
        rows.iter().for_each(|row| names.see(row.as_bytes()));
        names.into_list()
    }

    #[test]
    fn names_that_could_be_columns_are_told_folded_and_once() {
        let rows = ["", r#"{"Level":1,"a b":2}"#, r#"{"LEVEL":1,"\u0061":1,"_hf_x":3,"\ud800":1}"#];
        assert_eq!(names(&rows), ["a", "level"]);
        assert_eq!(names(&[""]), [""; 0]);
    }

    #[test]
    fn too_many_names_are_any_name() {
        let row =
            |count: usize| format!("{{{}}}", (0..count).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(","));
        assert_eq!(names(&[&row(MOST_NAMES)]).len(), MOST_NAMES);
        assert_eq!(names(&[&row(MOST_NAMES + 1), r#"{"a":1}"#]), [ANY]);
        let odd: Vec<String> = (0..2000).map(|n| format!("{{\"not a column {n}\":1}}")).collect();
        assert_eq!(names(&odd.iter().map(String::as_str).collect::<Vec<_>>()), [ANY]);
        assert_eq!(names(&["{broken"]), [ANY]);
    }
}
