//! The SQL that people type: DataFusion's general one, but for how strongly an arrow binds.
//!
//! In that dialect `details ->> 'city' = 'Oslo'` means `details ->> ('city' = 'Oslo')`. Here arrows bind before everything,
//! as a reader takes them.

use std::any::TypeId;

use datafusion::common::DataFusionError;
use datafusion::sql::parser::{DFParser, DFParserBuilder};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// How strongly `.` binds in every dialect.
const TIGHTEST: u8 = 100;

/// General SQL with arrows that bind tightly.
#[derive(Debug)]
pub struct Sql;

/// A parser of one text.
pub fn parser(sql: &str) -> Result<DFParser<'_>, DataFusionError> {
    DFParserBuilder::new(sql).with_dialect(&Sql).build()
}

macro_rules! as_in_general {
    ($($question:ident)*) => {
        $(fn $question(&self) -> bool {
            GenericDialect {}.$question()
        })*
    };
}

impl Dialect for Sql {
    /// The parser asks some things of a dialect by its type.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        match parser.peek_token_ref().token {
            Token::Arrow | Token::LongArrow => Some(Ok(TIGHTEST)),
            _ => None,
        }
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        GenericDialect {}.is_delimited_identifier_start(c)
    }

    fn is_identifier_start(&self, c: char) -> bool {
        GenericDialect {}.is_identifier_start(c)
    }

    fn is_identifier_part(&self, c: char) -> bool {
        GenericDialect {}.is_identifier_part(c)
    }

    as_in_general! {
        supports_unicode_string_literal supports_partition_by_after_order_by supports_array_join_syntax
        supports_group_by_expr supports_group_by_with_modifier supports_left_associative_joins_without_parens
        supports_match_recognize supports_window_function_null_treatment_arg supports_dictionary_syntax
        supports_window_clause_named_window_reference supports_select_wildcard_except support_map_literal_syntax
        allow_extract_custom allow_extract_single_quotes supports_extract_comma_syntax
        supports_parens_around_table_factor supports_values_as_table_factor supports_limit_comma
        supports_from_first_select supports_projection_trailing_commas supports_try_convert
        supports_bitwise_shift_operators supports_named_fn_args_with_assignment_operator supports_struct_literal
        supports_nested_comments supports_string_escape_constant supports_array_typedef_with_brackets
        supports_filter_during_aggregation supports_select_wildcard_exclude supports_data_type_signed_suffix
        supports_interval_options supports_quote_delimited_string supports_select_wildcard_replace
        supports_select_wildcard_ilike supports_select_wildcard_rename supports_comma_separated_trim
    }
}
