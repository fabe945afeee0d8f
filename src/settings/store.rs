//! `[[store]]`: how the stores at and below a URL are reached, where the environment does not say it.
//!
//! One block serves whatever lies below its URL: archive, ledger, sources. The block with the longest URL wins. Credentials
//! are no options: they come from the environment or the platform's identity.

use std::ops::Range;

use serde::Serialize;
use url::Url;

use super::diagnose::{Mistake, Problem};
use super::reader::{Located, Notes, TableReader};
use super::value;

/// Options of the stores below a URL; what is not set comes from the environment.
#[derive(Debug, Clone, Serialize)]
pub struct StoreSettings {
    pub url: Url,
    #[serde(flatten)]
    pub options: StoreOptions,
}

/// How one store is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StoreOptions {
    /// Another server than the cloud's own.
    pub endpoint: Option<Url>,
    /// Of S3.
    pub region: Option<String>,
    /// The storage account of an `az://` URL.
    pub account: Option<String>,
    /// The bucket stands in the path, not in the host's name. S3 only.
    pub path_style: Option<bool>,
    /// An endpoint without TLS.
    pub allow_http: bool,
    /// What counts before the process's environment: for whoever embeds Holdfast; no settings file says it.
    #[serde(skip)]
    pub environment: Vec<(String, String)>,
}

/// A block as far as it could be read.
pub(super) struct StoreDraft {
    pub url: Option<Located<Url>>,
    options: StoreOptions,
}

impl StoreDraft {
    pub fn finish(self) -> Option<StoreSettings> {
        Some(StoreSettings { url: self.url?.value, options: self.options })
    }
}

/// Reads one block; what its URL's store does not know is a mistake.
pub(super) fn read_store(mut table: TableReader<'_>, base: &std::path::Path) -> StoreDraft {
    let url = table.parsed("url", "a URL like \"s3://bucket\"", |text| match value::location(text, base) {
        Ok(url) if url.scheme() == "file" => Err(Problem::new("a local folder has no options", "a local folder")
            .with_hint("name a URL of an object store, like \"s3://bucket\", or leave the block away")),
        other => other,
    });
    let missing = Problem::new("a store without `url`", "`url` is missing");
    table.missing("url", missing.with_hint("add one, like url = \"s3://bucket\""));
    let endpoint = table.parsed("endpoint", "a URL like \"https://s3.example.org\"", endpoint);
    let region = table.parsed("region", "like \"eu-central-1\"", not_empty);
    let account = table.parsed("account", "a storage account's name", not_empty);
    let path_style = table.boolean("path_style");
    let allow_http = table.boolean("allow_http");
    let notes = table.notes();
    let scheme = url.as_ref().map(|url| url.value.scheme().to_owned());
    let only = |key: &str, span: Option<Range<usize>>, of: &str| {
        let (Some(scheme), Some(span)) = (&scheme, span) else { return };
        if scheme != of {
            let problem = Problem::new(format!("a {scheme}:// store has no `{key}`"), "not of this store");
            notes.add(span, problem.with_hint(format!("`{key}` is of {of}://")));
        }
    };
    only("region", region.as_ref().map(|it| it.span.clone()), "s3");
    only("path_style", path_style.as_ref().map(|it| it.span.clone()), "s3");
    only("account", account.as_ref().map(|it| it.span.clone()), "az");
    let allow_http = allow_http.is_some_and(|allow| allow.value);
    if let Some(endpoint) = endpoint.as_ref().filter(|endpoint| endpoint.value.scheme() == "http" && !allow_http) {
        let problem = Problem::new("an endpoint without TLS", "http");
        notes.add(
            endpoint.span.clone(),
            problem.with_hint("write https://, or allow_http = true if nobody can listen in between"),
        );
    }
    table.finish();
    StoreDraft {
        url,
        options: StoreOptions {
            endpoint: endpoint.map(|endpoint| endpoint.value),
            region: region.map(|region| region.value),
            account: account.map(|account| account.value),
            path_style: path_style.map(|style| style.value),
            allow_http,
            environment: Vec::new(),
        },
    }
}

/// A block that serves nothing, or stands twice, is a mistake: somebody thinks it does.
pub(super) fn refuse_useless(stores: &[StoreDraft], used: &[&Url], notes: &Notes) {
    let urls: Vec<&Located<Url>> = stores.iter().filter_map(|store| store.url.as_ref()).collect();
    for (index, url) in urls.iter().enumerate() {
        if let Some(first) = urls[..index].iter().find(|other| other.value == url.value) {
            let problem = Problem::new(format!("two blocks for {}", url.value), "the second").with_hint("keep one");
            let mistake = Mistake::at(notes.source(), url.span.clone(), problem);
            notes.push(mistake.and_at(notes.source(), first.span.clone(), "the first"));
        } else if !used.iter().any(|used| value::overlap(used, &url.value)) {
            let problem = Problem::new(format!("nothing lies at or below {}", url.value), "serves nothing");
            let hint = "write the URL of the archive, the ledger or a source, or of a bucket or folder above it";
            notes.add(url.span.clone(), problem.with_hint(hint));
        }
    }
}

/// The options of whatever lies at `url`.
pub(super) fn options_of(stores: &[StoreSettings], url: &Url) -> StoreOptions {
    let above = stores.iter().filter(|store| value::inside(url, &store.url));
    above.max_by_key(|store| store.url.path().len()).map(|store| store.options.clone()).unwrap_or_default()
}

fn endpoint(text: &str) -> Result<Url, Problem> {
    let problem = |reason: &str| Problem::new(format!("`{text}` is no endpoint: {reason}"), "not understood");
    let url = Url::parse(text).map_err(|error| problem(&error.to_string()).with_hint("https://host[:port]"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(problem("it is no http URL").with_hint("https://host[:port]"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(Problem::new("an endpoint with credentials", "credentials")
            .with_hint(super::reader::NO_CREDENTIALS)
            .of_secret());
    }
    Ok(url)
}

fn not_empty(text: &str) -> Result<String, Problem> {
    if text.trim().is_empty() { Err(Problem::new("an empty value", "nothing in it")) } else { Ok(text.into()) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::settings::Settings;

    use super::*;

    fn parse(blocks: &str) -> Result<Settings, Vec<Mistake>> {
        let source = "[[source]]\nname = \"s\"\nurl = \"az://raw/x\"\nlayout = \"{table}/*\"\n";
        Settings::parse(&format!("archive = \"s3://logs/holdfast\"\n{blocks}{source}"), Path::new("/"))
    }

    #[test]
    fn the_longest_url_above_wins_and_credentials_are_no_options() {
        let settings = parse(
            "[[store]]\nurl = \"s3://logs\"\nregion = \"one\"\n[[store]]\nurl = \"s3://logs/holdfast/ledger\"\n\
             endpoint = \"http://127.0.0.1:9000\"\nallow_http = true\npath_style = true\n[[store]]\nurl = \"az://raw\"\n\
             account = \"acc\"\n",
        )
        .unwrap();
        let options = |url: &str| settings.store_options(&Url::parse(url).unwrap());
        assert_eq!(options("s3://logs/holdfast").region.as_deref(), Some("one"));
        let ledger = options("s3://logs/holdfast/ledger");
        assert_eq!((ledger.region, ledger.path_style, ledger.allow_http), (None, Some(true), true));
        assert_eq!(options("az://raw/x").account.as_deref(), Some("acc"));
        assert_eq!(options("s3://logsmore"), StoreOptions::default());
        assert!(parse("[[store]]\nurl = \"s3://logs\"\naccess_key_id = \"x\"\n").is_err());
        assert!(parse("[[store]]\nurl = \"s3://logs\"\nendpoint = \"https://a:b@host\"\n").is_err());
    }

    #[test]
    fn what_serves_nothing_or_belongs_elsewhere_is_a_mistake() {
        for (block, right) in [
            ("url = \"s3://logs\"", true),
            ("url = \"s3://other\"", false),
            ("url = \"/srv\"", false),
            ("region = \"x\"", false),
            ("url = \"s3://logs\"\naccount = \"x\"", false),
            ("url = \"az://raw\"\nregion = \"x\"", false),
            ("url = \"s3://logs\"\nendpoint = \"http://h\"", false),
            ("url = \"s3://logs\"\nendpoint = \"http://h\"\nallow_http = true", true),
            ("url = \"s3://logs\"\n[[store]]\nurl = \"s3://logs\"", false),
        ] {
            assert_eq!(parse(&format!("[[store]]\n{block}\n")).is_ok(), right, "{block}");
        }
    }
}
