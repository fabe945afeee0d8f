//! `holdfast search`: SQL over the archive.

mod args;
mod say;
mod text;
mod write;

pub use args::SearchArgs;

use std::future::Future;
use std::io::Read;
use std::time::Duration;

use serde_json::json;

use self::text::TextRows;
use self::write::{RowWriter, abandon};
use super::args::{Args, Format};
use super::open::{House, threads};
use super::output::{Output, size};
use super::record::{Handed, Recording};
use super::terminal::Terminal;
use super::unseen::{Command, not_seen};
use crate::access::{Ended, What};
use crate::error::{Error, Kind, Result};
use crate::names::TableName;
use crate::policy::{PolicySet, Rule};
use crate::search::{Answer, Cut, Estimate, Listed, Opened, Query, SearchRequest, Site, list, tables_of};
use crate::storage::Missing;

/// A terminal wants no more; whoever does says --limit.
const ROWS_AS_TEXT: u64 = 1_000;

pub fn search(args: &Args, search: &SearchArgs, output: &mut Output) -> Result<u8> {
    let sql = query_text(&search.sql)?;
    let format = format_of(args.format, search);
    let house = House::open(args, output)?;
    let archive = house.archive(Missing::Refuse)?;
    let (chain, opened) = std::thread::scope(|scope| {
        let opening = scope.spawn(|| Opened::ahead(&archive, &sql));
        (house.chain(), opening.join().unwrap_or_default())
    });
    let chain = chain?;
    let policies = PolicySet::read_folder(&house.settings.policies).ok();
    let rule = |table: &TableName| -> Option<Rule> { policies.as_ref()?.rule_for(table) };
    let now = house.now_of(chain.state());
    let site = Site {
        archive: &archive,
        state: chain.state(),
        rule: &rule,
        now,
        memory: search.memory.unwrap_or(house.settings.memory),
        threads: threads(),
        opened,
    };
    let sources = house.sources()?;
    let listed = (search.include_raw || search.strict).then(|| list(&sources, site.state, &rule, now));
    let raw = listed.as_ref().filter(|_| search.include_raw);
    let tables = tables_of(&site, &sql, raw)?;
    let limit = search.limit.or((format == Format::Text).then_some(ROWS_AS_TEXT));
    let request = SearchRequest { sql: sql.clone(), limit };
    if search.explain {
        return explain(&Query::plan(&site, &request, raw)?, search, output);
    }
    let recording = Recording::begin(&house, &archive, search.by.as_deref(), What::Search, tables, &sql, output)?;
    let mut handed = Handed { rows: 0, bytes: 0, ended: Ended::Whole, unseen: Vec::new() };
    let answered = std::thread::scope(|scope| {
        // Sources may be large and far: they are listed while the rows already come.
        let listing = listed.is_none().then(|| scope.spawn(|| list(&sources, site.state, &rule, now)));
        let listed = || match (&listed, listing) {
            (None, Some(listing)) => listing
                .join()
                .map_err(|_| Error::new(Kind::Internal, "listing the sources", "a thread panicked"))
                .map(std::borrow::Cow::Owned),
            (Some(listed), _) => Ok(std::borrow::Cow::Borrowed(listed)),
            (None, None) => Ok(std::borrow::Cow::Owned(Listed::default())),
        };
        give(format, search, &site, &request, raw, listed, &recording, &mut handed)
    });
    if let Err(error) = &answered {
        handed.ended = Ended::Failed(error.to_string());
    }
    let ended = recording.end(&house, &handed, output);
    let answer = answered?;
    ended?;
    say(format, &answer, &recording, output);
    let whole = matches!(answer.cut, None | Some(Cut::Rows | Cut::Closed));
    if search.strict && !answer.complete {
        return Err(incomplete(&answer));
    }
    Ok(if whole { 0 } else { Kind::Incomplete.exit_code() })
}

/// A question and its answer in words, for the demo, which shows how it is done; nobody's question, so that none is recorded.
pub fn shown(house: &House, sql: &str) -> Result<Vec<String>> {
    let (archive, chain) = (house.archive(Missing::Refuse)?, house.chain()?);
    let policies = PolicySet::read_folder(&house.settings.policies).ok();
    let rule = |table: &TableName| -> Option<Rule> { policies.as_ref()?.rule_for(table) };
    let site = Site {
        archive: &archive,
        state: chain.state(),
        rule: &rule,
        now: house.now_of(chain.state()),
        memory: house.settings.memory,
        threads: threads(),
        opened: Opened::default(),
    };
    let query = Query::plan(&site, &SearchRequest { sql: sql.to_owned(), limit: None }, None)?;
    let mut rows = TextRows::new(query.schema(), None);
    let failed = |error| Error::from_source(Kind::Internal, "writing the answer", error);
    let (count, cut) =
        query.rows(std::future::pending(), &mut |batch| rows.take(batch).map(|()| true).map_err(failed))?;
    let listed = list(&house.sources()?, site.state, &rule, site.now);
    let answer = query.answer(&site, &listed, count, cut);
    Ok(rows.lines().into_iter().chain(say::answer(&answer)).collect())
}

/// Plans, checks what was asked to be checked, and gives the rows.
#[expect(clippy::too_many_arguments, reason = "each is one fact of the command; a struct would only rename them")]
fn give<'a>(
    format: Format,
    search: &SearchArgs,
    site: &Site<'_>,
    request: &SearchRequest,
    raw: Option<&Listed>,
    listed: impl FnOnce() -> Result<std::borrow::Cow<'a, Listed>>,
    recording: &Recording,
    handed: &mut Handed,
) -> Result<Answer> {
    let query = Query::plan(site, request, raw)?;
    if let Some(most) = search.max_scan {
        within(&query.estimate()?, most)?;
    }
    let listed = if search.strict {
        let listed = listed()?;
        let foreseen = query.answer(site, &listed, 0, None);
        if !foreseen.complete {
            return Err(incomplete(&foreseen));
        }
        Later::Known(listed)
    } else {
        Later::Asked(listed)
    };
    let file = search.file();
    let mut writer = RowWriter::create(format, file.as_deref(), &query, Terminal::stdout().width)?;
    let done = query.rows(stop(search.timeout), &mut |batch| writer.take(batch));
    let answer = done.and_then(|(rows, cut)| {
        let listed = match listed {
            Later::Known(listed) => listed,
            Later::Asked(listed) => listed()?,
        };
        let answer = query.answer(site, &listed, rows, cut);
        let bytes = writer.finish(&last_line(&answer, recording)?)?;
        Ok((answer, bytes))
    });
    match answer {
        Ok((answer, bytes)) => {
            (handed.rows, handed.bytes) = (answer.rows, bytes);
            if let Some(cut) = answer.cut {
                handed.ended = Ended::CutShort(cut.name().to_owned());
            }
            let unseen = answer.tables.iter().flat_map(|table| not_seen(&table.not_seen, Command::Search));
            handed.unseen = unseen.collect();
            Ok(answer)
        }
        Err(error) => {
            if let Some(file) = &file {
                abandon(file);
            }
            Err(error)
        }
    }
}

/// The listing of the sources, or how to get it when the rows are out.
enum Later<'a, F> {
    Known(std::borrow::Cow<'a, Listed>),
    Asked(F),
}

/// The format asked for, else the one that the file's ending names.
fn format_of(asked: Format, search: &SearchArgs) -> Format {
    let ending = search.file().and_then(|file| Some(file.extension()?.to_str()?.to_lowercase()));
    match (asked, ending.as_deref()) {
        (Format::Text, Some("json" | "jsonl" | "ndjson")) => Format::Json,
        (Format::Text, Some("csv")) => Format::Csv,
        (Format::Text, Some("parquet")) => Format::Parquet,
        (Format::Text, Some("arrow")) => Format::Arrow,
        (asked, _) => asked,
    }
}

fn query_text(sql: &str) -> Result<String> {
    let mut text = sql.to_owned();
    if sql == "-" {
        text.clear();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|source| Error::from_source(Kind::Usage, "reading the query from stdin", source))?;
    }
    if text.trim().is_empty() {
        return Err(Error::new(Kind::Usage, "reading the query", "it is empty")
            .with_hint("ask something: holdfast search \"SELECT count(*) FROM SecurityEvent\""));
    }
    Ok(text)
}

fn explain(query: &Query, search: &SearchArgs, output: &mut Output) -> Result<u8> {
    if !matches!(output.format, Format::Text | Format::Json) {
        return Err(Error::new(Kind::Usage, "explaining a search", "what it would read is told as text or JSON")
            .with_hint("leave --format out, or say --format json"));
    }
    let estimate = query.estimate()?;
    if output.is_json() {
        output.json(&json!({ "estimate": estimate, "steps": query.steps().lines().collect::<Vec<_>>() }))?;
    } else {
        for line in say::estimate(&estimate) {
            output.line(line)?;
        }
        output.line("")?;
        output.line(query.steps().trim_end())?;
    }
    if let Some(most) = search.max_scan {
        within(&estimate, most)?;
    }
    Ok(0)
}

fn within(estimate: &Estimate, most: u64) -> Result<()> {
    if estimate.bytes <= most {
        return Ok(());
    }
    let reason = format!("it may read {}, more than --max-scan allows ({})", size(estimate.bytes), size(most));
    Err(Error::new(Kind::Incomplete, "searching", reason).with_hint(
        "nothing was read; ask for a shorter time or fewer columns (--explain shows what costs), or raise --max-scan",
    ))
}

fn incomplete(answer: &Answer) -> Error {
    let lacks: Vec<String> = say::answer(answer).into_iter().skip(1).map(|line| line.trim().to_owned()).collect();
    Error::new(Kind::Incomplete, "searching with --strict", format!("the answer is not whole: {}", lacks.join("; ")))
        .with_hint("see to what is not seen (--include-raw, `holdfast run`, `holdfast quarantine list`), or ask without --strict")
}

/// When a search ends before its end.
async fn stop(timeout: Option<Duration>) -> Cut {
    let late = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = late => Cut::Time,
        () = asked_to_end() => Cut::Interrupted,
    }
}

#[cfg(unix)]
fn asked_to_end() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    async {
        let terminated = async {
            match signal(SignalKind::terminate()) {
                Ok(mut terminated) => {
                    terminated.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminated => {}
        }
    }
}

#[cfg(not(unix))]
fn asked_to_end() -> impl Future<Output = ()> {
    async {
        // Without a signal to wait for, the process ends as it would.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// `{"_hf_answer": …}`, the last line of an answer in JSON.
fn last_line(answer: &Answer, recording: &Recording) -> Result<String> {
    let mut told = serde_json::to_value(answer)
        .map_err(|source| Error::from_source(Kind::Internal, "writing what the answer was made from", source))?;
    told["recorded"] = json!(recording.entry());
    if let Some(why) = recording.unrecorded() {
        told["unrecorded"] = json!(why);
    }
    Ok(json!({ "_hf_answer": told }).to_string())
}

/// The answer's last words, for formats that hold rows alone.
fn say(format: Format, answer: &Answer, recording: &Recording, output: &mut Output) {
    match format {
        Format::Json => {}
        Format::Text | Format::Markdown | Format::Html => {
            say::answer(answer).into_iter().for_each(|line| output.note(line))
        }
        Format::Csv | Format::Parquet | Format::Arrow => {
            if let Ok(line) = last_line(answer, recording) {
                output.note(line);
            }
        }
    }
}
