//! Holdfast's part: the whole `run`, as a user starts it, and decode and encode alone.
//!
//! The run is everything: hashing, digests, upload with fsync, reading back and matching, the Delta commit, the ledger. It
//! clears nothing, since the same raw objects are read again in the next round.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use holdfast::names::TableName;
use holdfast::pipeline::decode_and_encode;
use holdfast::policy::{PolicyFile, PolicySet};
use serde::{Deserialize, Serialize};

use super::Fallible;
use super::options::Options;
use super::sets::Set;

/// Settings and policy for a run over `set` into `work/archive`, and how to start it.
pub fn run(set: &Set, options: &Options, work: &Path) -> Fallible<Vec<OsString>> {
    let settings = format!(
        "archive = \"archive\"\npolicies = \"policies\"\nmemory = \"{}\"\ncompression = \"{}\"\n\n[[source]]\nname = \"bench\"\nurl = {:?}\n\
         layout = \"{{table}}/{{year}}/{{month}}/{{day}}/{{hour}}/*\"\nsettle = \"0s\"\n",
        options.memory,
        options.level,
        set.raw().display().to_string()
    );
    let policy = policy(set.kind.table(), set.kind.time_column(), index(set, options));
    let config = work.join("holdfast.toml");
    fs::create_dir_all(work.join("policies"))?;
    fs::write(work.join("policies/all.toml"), policy)?;
    fs::write(&config, settings)?;
    Ok(vec![env!("CARGO_BIN_EXE_holdfast").into(), "--config".into(), config.into(), "run".into()])
}

fn policy(table: &str, time: &str, index: &[impl std::fmt::Debug]) -> String {
    format!(
        "version = 1\n\n[[table]]\nname = \"{table}\"\nretain = \"forever\"\ntime_column = \"{time}\"\nindex = {index:?}\n"
    )
}

fn index(set: &Set, options: &Options) -> &'static [&'static str] {
    if options.index { set.kind.index() } else { &[] }
}

/// Where a run leaves its segments, as `check.py` looks for them.
pub fn segments(set: &Set, work: &Path) -> String {
    format!("{}/archive/tables/main/{}/*/*/*.parquet", work.display(), set.kind.table())
}

/// What the child that decodes and encodes alone is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Alone {
    /// The raw objects, oldest first.
    pub objects: Vec<PathBuf>,
    pub out: PathBuf,
    pub table: String,
    pub time: String,
    pub index: Vec<String>,
    pub memory: String,
    pub threads: usize,
}

/// Starts this very benchmark as a child that decodes and encodes alone, so that the kernel's account is of that only.
pub fn decode_encode_alone(set: &Set, options: &Options, work: &Path) -> Fallible<Vec<OsString>> {
    let alone = Alone {
        objects: set.objects()?,
        out: work.join("out"),
        table: set.kind.table().into(),
        time: set.kind.time_column().into(),
        index: index(set, options).iter().map(|name| (*name).into()).collect(),
        memory: options.memory.clone(),
        threads: options.threads,
    };
    let spec = work.join("alone.json");
    fs::create_dir_all(&alone.out)?;
    fs::write(&spec, serde_json::to_vec(&alone)?)?;
    Ok(vec![std::env::current_exe()?.into(), "--alone".into(), spec.into()])
}

/// The child's part.
pub fn alone(spec: &str) -> Fallible<()> {
    let alone: Alone = serde_json::from_slice(&fs::read(spec)?)?;
    let file = PolicyFile { name: "all.toml".into(), text: policy(&alone.table, &alone.time, &alone.index) };
    let policies = PolicySet::from_files(vec![file]).map_err(|mistakes| format!("{mistakes:?}"))?;
    let rule = policies.rule_for(&TableName::new("main", &*alone.table)).ok_or("no rule")?;
    let memory = holdfast::settings::size(&alone.memory).map_err(|problem| format!("{problem:?}"))?;
    decode_and_encode(&alone.objects, &alone.out, &alone.table, &rule, memory, alone.threads)?;
    Ok(())
}
