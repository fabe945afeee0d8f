//! A request line of the Tables API: `PUT /subscriptions/…/workspaces/NAME/Tables/TABLE?api-version=…`.
//!
//! Ids are opaque, and the words of the path count without regard to case; a host before the path is fine.

use crate::settings::diagnose::Problem;

use super::Method;

/// What a request line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestLine<'t> {
    pub method: Method,
    pub path: ResourcePath<'t>,
    /// What follows the address on the same line.
    pub rest: &'t str,
}

/// The table that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResourcePath<'t> {
    /// None: the path names none, or has a placeholder for it.
    pub workspace: Option<&'t str>,
    pub table: &'t str,
}

const FORM: &str = "like `PUT /subscriptions/…/workspaces/NAME/tables/TABLE?api-version=…`, then the JSON of its body";

/// Reads one line; an error of it says what such a line looks like.
pub(super) fn parse(line: &str) -> Result<RequestLine<'_>, Problem> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let method = match word.to_ascii_uppercase().as_str() {
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "GET" | "DELETE" | "POST" | "HEAD" => {
            return Err(Problem::new(format!("a {word} sets no retention"), "neither PUT nor PATCH")
                .with_hint("give the PUT or PATCH requests, or the JSON that a GET answers"));
        }
        _ => return Err(Problem::new("neither JSON nor a request", "not understood").with_hint(FORM)),
    };
    let rest = rest.trim_start();
    let (address, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim_start();
    let rest = match rest.split_once(char::is_whitespace).unwrap_or((rest, "")) {
        (version, rest) if version.to_ascii_uppercase().starts_with("HTTP/") => rest.trim_start(),
        _ => rest,
    };
    Ok(RequestLine { method, path: path(address)?, rest })
}

/// The table in an address or in a resource's id.
pub(super) fn path(address: &str) -> Result<ResourcePath<'_>, Problem> {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => address,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let after = |word: &str| {
        let at = segments.iter().position(|segment| segment.eq_ignore_ascii_case(word))?;
        segments.get(at + 1).copied()
    };
    let placeholder = |segment: &&str| segment.starts_with('{') || segment.starts_with('<');
    match segments[..] {
        [.., word, table] if word.eq_ignore_ascii_case("tables") => {
            if placeholder(&table) {
                return Err(
                    Problem::new("the request names no table", "a placeholder").with_hint("write the table's name")
                );
            }
            Ok(ResourcePath { workspace: after("workspaces").filter(|name| !placeholder(name)), table })
        }
        _ => Err(Problem::new("the address is not one of a table", "no `/tables/NAME` at its end").with_hint(FORM)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_microsofts_article_is_understood_however_it_is_written() {
        let path = "/subscriptions/00000000-0000-0000-0000-00000000000/resourceGroups/MyResourceGroupName/providers/\
                    Microsoft.OperationalInsights/workspaces/MyWorkspaceName/Tables/SecurityEvent\
                    ?api-version=2017-04-26-preview";
        let body = "{\"properties\": {\"retentionInDays\": 730}}";
        let host = format!("https://management.azure.com{path}");
        for line in [
            format!("PUT {path} {body}"),
            format!("put {host} {body}"),
            format!("  Put\t{host}  HTTP/1.1 {body}"),
            format!("PUT {} {body}", path.replace("workspaces", "WORKSPACES").replace("Tables", "tables")),
        ] {
            let request = parse(&line).unwrap();
            assert_eq!((request.method, request.rest), (Method::Put, body), "{line}");
            assert_eq!(request.path, ResourcePath { workspace: Some("MyWorkspaceName"), table: "SecurityEvent" });
        }
    }

    #[test]
    fn placeholders_stand_for_a_workspace_and_not_for_a_table() {
        let line = "PATCH /subscriptions/{subscriptionId}/workspaces/{workspaceName}/tables/Syslog?api-version=x";
        assert_eq!(parse(line).unwrap().path, ResourcePath { workspace: None, table: "Syslog" });
        for (line, title) in [
            ("PUT /subscriptions/x/workspaces/y/tables/{tableName}", "the request names no table"),
            ("PUT /subscriptions/x/workspaces/y", "the address is not one of a table"),
            ("PUT", "the address is not one of a table"),
            ("GET /subscriptions/x/workspaces/y/tables/z", "a GET sets no retention"),
            ("retain = \"730d\"", "neither JSON nor a request"),
        ] {
            assert_eq!(parse(line).unwrap_err().title, title, "{line}");
        }
    }
}
