//! What Microsoft's documentation says of Log Analytics tables: the spelling and type of their columns.
//!
//! The facts stand in `catalogue.txt` beside this file (licence: `catalogue.LICENSE.md`). A column that the catalogue
//! knows gets the catalogue's type; another spelling of it can't become a column of its own, since Delta compares
//! names without case. Where a table lists two spellings of one name, the first one counts.
//! Nothing here decides what a table holds: that is [`super::schema`].
//!
//! `catalogue.txt` interns what more than one table has. Lines that open with `#` are remarks. `[string]` opens a
//! section of shared columns of that type, one name a line; they are numbered from 0 over all sections. `[tables]`
//! opens the tables: name, then the numbers of its shared columns in two base-62 digits each (or `-`), then its own
//! columns as `name` (string) or `name:` and the first letter of its type (`t`: datetime), parted by spaces.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

const TEXT: &str = include_str!("catalogue.txt");
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const WORDS: [(&str, &str); 7] =
    [("d", "dynamic"), ("r", "real"), ("i", "int"), ("l", "long"), ("b", "bool"), ("t", "datetime"), ("g", "guid")];

/// How a column's values are stored. A value that does not print back to the same JSON token from its column's type
/// goes to `_hf_rest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColumnType {
    /// The decoded text of JSON strings.
    Text,
    /// The JSON text of any value, strings in their quotes.
    Json,
    /// `true` and `false`.
    Bool,
    /// 32-bit integers.
    Int,
    /// 64-bit integers.
    Long,
    /// 64-bit floating point, integers among them.
    Double,
    /// Strings that are instants: microseconds since 1970 UTC, and what else they said in `_hf_tail_<column>`.
    Timestamp,
}

impl ColumnType {
    /// The word for it in Delta's column metadata (`holdfast.type`); frozen.
    pub fn word(self) -> &'static str {
        match self {
            ColumnType::Text => "text",
            ColumnType::Json => "json",
            ColumnType::Bool => "bool",
            ColumnType::Int => "int",
            ColumnType::Long => "long",
            ColumnType::Double => "double",
            ColumnType::Timestamp => "timestamp",
        }
    }

    /// The type that [`ColumnType::word`] names.
    pub fn from_word(word: &str) -> Option<Self> {
        use ColumnType::{Bool, Double, Int, Json, Long, Text, Timestamp};
        [Text, Json, Bool, Int, Long, Double, Timestamp].into_iter().find(|kind| kind.word() == word)
    }

    /// The type for one of the catalogue's own type words. Guids, timespans and decimals are JSON strings in what
    /// collectors leave, and Delta has no type that would print them back alike.
    fn from_catalogue(word: &str) -> Option<Self> {
        Some(match word {
            "string" | "guid" | "timespan" | "decimal" => ColumnType::Text,
            "dynamic" => ColumnType::Json,
            "bool" => ColumnType::Bool,
            "int" => ColumnType::Int,
            "long" => ColumnType::Long,
            "real" => ColumnType::Double,
            "datetime" => ColumnType::Timestamp,
            _ => return None,
        })
    }
}

/// The form that two spellings of one name share. Delta's readers compare names by lower or by upper case, so names
/// that are equal under either are equal here.
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.to_lowercase().to_uppercase().to_lowercase()
}

/// One table of the catalogue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Catalogued {
    name: &'static str,
    columns: Arc<HashMap<String, (&'static str, ColumnType)>>,
}

impl Catalogued {
    /// The table's name as documented.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The documented spelling and type of a column, whatever the spelling asked for.
    pub fn column(&self, name: &str) -> Option<(&'static str, ColumnType)> {
        self.columns.get(&fold(name)).copied()
    }

    /// All columns, in no order.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, ColumnType)> + '_ {
        self.columns.values().copied()
    }
}

/// The catalogue's entry for a table, whatever the spelling asked for.
pub fn find(table: &str) -> Option<Catalogued> {
    let (name, shared, own) = *CATALOGUE.tables.get(&fold(table))?;
    let shared = shared.as_bytes().chunks_exact(2).filter_map(|pair| CATALOGUE.shared.get(number(pair)?).copied());
    let own = own.split(' ').filter(|column| !column.is_empty()).filter_map(|column| match column.split_once(':') {
        Some((name, letter)) => Some((name, ColumnType::from_catalogue(word_of(letter)?)?)),
        None => Some((column, ColumnType::Text)),
    });
    Some(Catalogued { name, columns: Arc::new(shared.chain(own).map(|column| (fold(column.0), column)).collect()) })
}

struct Catalogue {
    shared: Vec<(&'static str, ColumnType)>,
    /// Name, shared columns, own columns: as in the text.
    tables: HashMap<String, (&'static str, &'static str, &'static str)>,
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let mut catalogue = Catalogue { shared: Vec::new(), tables: HashMap::new() };
    let mut section = None;
    for line in TEXT.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(word) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = ColumnType::from_catalogue(word);
        } else if let Some(kind) = section {
            catalogue.shared.push((line, kind));
        } else {
            let (name, columns) = line.split_once(' ').unwrap_or((line, "-"));
            let (shared, own) = columns.split_once(' ').unwrap_or((columns, ""));
            catalogue.tables.insert(fold(name), (name, shared, own));
        }
    }
    catalogue
});

fn word_of(letter: &str) -> Option<&'static str> {
    WORDS.into_iter().find(|(known, _)| *known == letter).map(|(_, word)| word)
}

fn number(pair: &[u8]) -> Option<usize> {
    let digit = |byte: &u8| DIGITS.iter().position(|digit| digit == byte);
    Some(digit(pair.first()?)? * DIGITS.len() + digit(pair.get(1)?)?)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::Write;
    use std::path::Path;

    use super::*;

    /// Name and type word of each column.
    type Columns = Vec<(String, String)>;

    /// The tables as in the original: `None` where that isn't at hand.
    fn original() -> Option<Vec<(String, Columns)>> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/la_table_schemas.json");
        let tables: BTreeMap<String, Columns> =
            serde_json::from_slice(&std::fs::read(path).ok()?).expect("the original parses");
        Some(tables.into_iter().map(|(table, columns)| (table, first_spellings(columns))).collect())
    }

    fn first_spellings(columns: Columns) -> Columns {
        let mut seen = BTreeSet::new();
        columns.into_iter().filter(|(name, _)| seen.insert(fold(name))).collect()
    }

    /// Writes the catalogue's text from the original.
    fn generate(tables: &[(String, Columns)]) -> String {
        let mut uses: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (name, kind) in tables.iter().flat_map(|(_, columns)| columns) {
            *uses.entry((kind, name)).or_default() += 1;
        }
        let shared: Vec<(&str, &str)> = uses.into_iter().filter(|(_, count)| *count > 1).map(|(key, _)| key).collect();
        assert!(shared.len() <= DIGITS.len() * DIGITS.len());
        let mut text = String::from(
            "# Log Analytics tables and their columns; the form is described in catalogue.rs, the licence in\n\
             # catalogue.LICENSE.md. Written by `HOLDFAST_BLESS=1 cargo test catalogue`.\n",
        );
        let mut section = "";
        for (kind, name) in &shared {
            if *kind != section {
                section = kind;
                writeln!(text, "[{kind}]").expect("a String takes all");
            }
            writeln!(text, "{name}").expect("a String takes all");
        }
        text.push_str("[tables]\n");
        for (table, columns) in tables {
            let mut numbers = String::new();
            let mut own = String::new();
            for (name, kind) in columns {
                if let Ok(at) = shared.binary_search(&(kind.as_str(), name.as_str())) {
                    numbers.push(DIGITS[at / DIGITS.len()] as char);
                    numbers.push(DIGITS[at % DIGITS.len()] as char);
                } else if kind == "string" {
                    write!(own, " {name}").expect("a String takes all");
                } else {
                    let (letter, _) = WORDS.iter().find(|(_, word)| word == kind).expect("a known type");
                    write!(own, " {name}:{letter}").expect("a String takes all");
                }
            }
            let numbers = if numbers.is_empty() { "-" } else { &numbers };
            writeln!(text, "{table} {numbers}{own}").expect("a String takes all");
        }
        text
    }

    #[test]
    fn the_text_says_what_the_original_says() {
        let Some(tables) = original() else { return };
        let text = generate(&tables);
        if std::env::var_os("HOLDFAST_BLESS").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/archive/catalogue.txt");
            std::fs::write(path, &text).expect("the catalogue can be written");
        }
        assert!(text == TEXT, "catalogue.txt is stale: HOLDFAST_BLESS=1 cargo test catalogue");
        assert!(TEXT.len() < 200_000);
        for (table, columns) in tables {
            let found = find(&table.to_uppercase()).unwrap_or_else(|| panic!("{table} is missing"));
            assert_eq!(found.name(), table);
            let wanted: BTreeMap<String, ColumnType> = columns
                .into_iter()
                .map(|(name, word)| (name, ColumnType::from_catalogue(&word).expect("a known type")))
                .collect();
            let got: BTreeMap<String, ColumnType> =
                found.columns().map(|(name, kind)| (name.to_string(), kind)).collect();
            assert_eq!(got, wanted, "{table}");
        }
    }

    #[test]
    fn a_table_is_found_in_any_case_and_its_first_spelling_counts() {
        let events = find("securityevent").expect("it is there");
        assert_eq!(events.name(), "SecurityEvent");
        assert_eq!(events.column("timegenerated"), Some(("TimeGenerated", ColumnType::Timestamp)));
        assert_eq!(events.column("EventID"), Some(("EventID", ColumnType::Int)));
        assert_eq!(events.column("_hf_day"), None);
        // These collide with themselves (FACTS §2b).
        let logs = find("AppServiceAppLogs").expect("it is there");
        assert_eq!(logs.column("StackTrace"), Some(("Stacktrace", ColumnType::Text)));
        assert_eq!(find("DeviceEtw").and_then(|table| table.column("Type")), Some(("type", ColumnType::Int)));
        assert!(find("NoSuchTable").is_none());
    }

    #[test]
    fn names_equal_in_any_reader_fold_alike() {
        for (a, b) in [("Account", "aCCOUNT"), ("Straße", "STRASSE"), ("\u{212a}", "k"), ("ſ", "S"), ("É", "é")] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        assert_ne!(fold("a"), fold("á"));
    }

    #[test]
    fn words_name_types() {
        for word in ["text", "json", "bool", "int", "long", "double", "timestamp"] {
            assert_eq!(ColumnType::from_word(word).map(ColumnType::word), Some(word));
        }
        assert_eq!(ColumnType::from_word("string"), None);
    }
}
