//! Names in a query, found without regard to case, whatever SQL would make of them.
//!
//! A query is rewritten word by word before it is planned: each word that is a column of one of its tables gets that
//! column's spelling, every other word the spelling it had first. So `securityevent`, `SecurityEvent` and
//! `"SECURITYEVENT"` are one name, and results are headed as the table spells its columns. Strings are never touched.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};

use super::dialect::Sql;
use crate::archive::catalogue::fold;
use crate::error::{Error, Kind, Result};

/// The words of a query.
#[derive(Debug, Clone)]
pub struct Words {
    tokens: Vec<Token>,
}

impl Words {
    /// Errs, with [`Kind::Usage`], on a string or comment that does not end.
    pub fn of(sql: &str) -> Result<Self> {
        let tokens = Tokenizer::new(&Sql, sql).tokenize().map_err(|error| {
            Error::new(Kind::Usage, "reading the query", error.to_string())
                .with_hint("close the quote: '…' holds a text, \"…\" a name")
        })?;
        Ok(Words { tokens })
    }

    /// True if the query names this, in any spelling.
    pub fn mention(&self, name: &str) -> bool {
        let folded = fold(name);
        self.tokens.iter().any(|token| matches!(token, Token::Word(word) if fold(&word.value) == folded))
    }

    /// The query in one spelling of each name. `columns` are those of all its tables.
    pub fn spelled<'a>(&self, columns: impl IntoIterator<Item = &'a str>) -> String {
        let mut spellings: BTreeMap<String, String> = BTreeMap::new();
        // Two tables spell it differently: it must be written as its table has it.
        let mut disputed = BTreeSet::new();
        for column in columns {
            let known = spellings.entry(fold(column)).or_insert_with(|| column.to_owned());
            if known != column {
                disputed.insert(fold(column));
            }
        }
        let is_column: BTreeSet<String> = spellings.keys().cloned().collect();
        let mut text = String::new();
        for (at, token) in self.tokens.iter().enumerate() {
            let Token::Word(word) = token else {
                text.push_str(&token.to_string());
                continue;
            };
            let folded = fold(&word.value);
            let next = self.tokens[at + 1..].iter().find(|token| !matches!(token, Token::Whitespace(_)));
            // A function's name, or the type before a literal (`timestamp '2024-03-01'`).
            let called =
                matches!(next, Some(Token::LParen | Token::SingleQuotedString(_))) && word.quote_style.is_none();
            if called || disputed.contains(&folded) {
                text.push_str(&token.to_string());
                continue;
            }
            let value = spellings.entry(folded.clone()).or_insert_with(|| word.value.clone()).clone();
            let quote = quote(word, is_column.contains(&folded));
            text.push_str(&Token::Word(Word { value, quote_style: quote, keyword: word.keyword }).to_string());
        }
        text
    }
}

/// Columns are often called what SQL has other plans for: `User`, `Type`, `Level`, `Group`. Words without which no query
/// can be written stay words.
fn quote(word: &Word, is_column: bool) -> Option<char> {
    const WORDS: [Keyword; 42] = [
        Keyword::SELECT,
        Keyword::FROM,
        Keyword::WHERE,
        Keyword::GROUP,
        Keyword::BY,
        Keyword::ORDER,
        Keyword::HAVING,
        Keyword::LIMIT,
        Keyword::OFFSET,
        Keyword::AS,
        Keyword::ON,
        Keyword::JOIN,
        Keyword::LEFT,
        Keyword::RIGHT,
        Keyword::INNER,
        Keyword::OUTER,
        Keyword::FULL,
        Keyword::CROSS,
        Keyword::UNION,
        Keyword::ALL,
        Keyword::DISTINCT,
        Keyword::AND,
        Keyword::OR,
        Keyword::NOT,
        Keyword::IN,
        Keyword::IS,
        Keyword::NULL,
        Keyword::LIKE,
        Keyword::ILIKE,
        Keyword::BETWEEN,
        Keyword::CASE,
        Keyword::WHEN,
        Keyword::THEN,
        Keyword::ELSE,
        Keyword::END,
        Keyword::WITH,
        Keyword::ASC,
        Keyword::DESC,
        Keyword::TRUE,
        Keyword::FALSE,
        Keyword::EXISTS,
        Keyword::OVER,
    ];
    match word.quote_style {
        None if is_column && word.keyword != Keyword::NoKeyword && !WORDS.contains(&word.keyword) => Some('"'),
        quote => quote,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(sql: &str) -> String {
        Words::of(sql).unwrap().spelled(["Account", "TimeGenerated", "User", "Type", "_ResourceId", "Order"])
    }

    #[test]
    fn each_name_has_one_spelling() {
        let sql = "select ACCOUNT, Count(*) as Failures from securityevent s where S.account = 'ACCOUNT' and \"timegenerated\" > timestamp '2024-01-01' order by FAILURES -- account";
        insta::assert_snapshot!(spelled(sql), @r#"select "Account", Count(*) as Failures from securityevent s where s."Account" = 'ACCOUNT' and "TimeGenerated" > timestamp '2024-01-01' Order by Failures -- account"#);
    }

    #[test]
    fn columns_that_are_words_of_sql_are_names_where_they_can_be() {
        insta::assert_snapshot!(spelled("SELECT user, type FROM t ORDER BY type"), @r#"SELECT "User", "Type" FROM t Order BY "Type""#);
        insta::assert_snapshot!(spelled("SELECT user() FROM t"), @"SELECT user() FROM t");
    }

    #[test]
    fn what_two_tables_spell_differently_stays_as_it_is() {
        let words = Words::of("SELECT a.level, b.Level, LEVEL FROM a, b").unwrap();
        assert_eq!(words.spelled(["level", "Level"]), "SELECT a.level, b.Level, LEVEL FROM a, b");
        assert!(words.mention("LEVEL") && !words.mention("levels"));
        assert_eq!(Words::of("SELECT 'x").unwrap_err().kind(), Kind::Usage);
    }
}
