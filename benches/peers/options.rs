//! What the command line asks for.

use std::path::PathBuf;

use super::Fallible;
use super::sets::{Kind, Packing};

/// The engines beside Holdfast, as `engines.py` calls them.
pub const PEERS: [&str; 5] = ["DuckDB", "DuckDB-V2", "ClickHouse", "Polars", "PyArrow"];

pub const HELP: &str = "\
cargo bench --bench peers -- [OPTIONS]

  --data FOLDER      where sets, peers and results are kept [~/.cache/holdfast/bench]
  --size MB          size of each set [2190: 72 hours]
  --packing NAME     plain, gzip or zstd [plain]
  --sets NAMES       SecurityEvent,CloudTrail [both]
  --peers NAMES      DuckDB,DuckDB-V2,ClickHouse,Polars,PyArrow, or none [all]
  --rounds N         rounds, interleaved; medians are shown [3]
  --level N          zstd level of the peers; Holdfast's is read out of its files, too [3]
  --threads N        processors and threads of each engine [2]
  --memory SIZE      Holdfast's memory setting [512MiB]
  --index            bloom filters in Holdfast's files, though the peers write none
  --out FILE         result as JSON [FOLDER/peers.json or FOLDER/scale.json]
  --scale GB,GB,..   Holdfast alone on these sizes instead, or 0.2,2,20 if none are named
  --keep             keep sets of more than 5 GB that --scale made
";

pub struct Options {
    pub data: PathBuf,
    pub megabytes: u64,
    pub packing: Packing,
    pub sets: Vec<Kind>,
    pub peers: Vec<&'static str>,
    pub rounds: usize,
    pub level: u32,
    pub threads: usize,
    pub memory: String,
    pub index: bool,
    pub out: PathBuf,
    /// Sizes in megabytes: Holdfast alone on each.
    pub scale: Option<Vec<u64>>,
    pub keep: bool,
}

impl Options {
    pub fn parse(arguments: impl Iterator<Item = String>) -> Fallible<Options> {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let mut options = Options {
            data: home.join(".cache/holdfast/bench"),
            megabytes: 2190,
            packing: Packing::Plain,
            sets: Kind::ALL.to_vec(),
            peers: PEERS.to_vec(),
            rounds: 3,
            level: 3,
            threads: 2,
            memory: "512MiB".into(),
            index: false,
            out: PathBuf::new(),
            scale: None,
            keep: false,
        };
        // Cargo adds --bench to what it was told.
        let mut arguments = arguments.filter(|argument| argument != "--bench").peekable();
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--index" => options.index = true,
                "--keep" => options.keep = true,
                "--scale" => {
                    let named = arguments.next_if(|next| !next.starts_with("--"));
                    options.scale = Some(megabytes(named.as_deref().unwrap_or("0.2,2,20"))?);
                }
                _ => {
                    let value = arguments.next().ok_or_else(|| format!("{name} needs a value\n\n{HELP}"))?;
                    options.set(&name, &value).map_err(|error| format!("{name} {value}: {error}"))?;
                }
            }
        }
        if options.out.as_os_str().is_empty() {
            options.out = options.data.join(if options.scale.is_some() { "scale.json" } else { "peers.json" });
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Fallible<()> {
        match name {
            "--data" => self.data = std::path::absolute(value)?,
            "--size" => self.megabytes = value.parse()?,
            "--packing" => {
                let named = named(value, &Packing::ALL, Packing::name)?;
                self.packing = *named.last().ok_or("--packing needs a name")?;
            }
            "--rounds" => self.rounds = value.parse::<usize>()?.max(1),
            "--level" => self.level = value.parse()?,
            "--threads" => self.threads = value.parse::<usize>()?.max(1),
            "--memory" => self.memory = value.into(),
            "--out" => self.out = value.into(),
            "--sets" => self.sets = named(value, &Kind::ALL, Kind::table)?,
            "--peers" if value == "none" => self.peers.clear(),
            "--peers" => self.peers = named(value, &PEERS, |name| name)?,
            _ => return Err(format!("there is no option {name}\n\n{HELP}").into()),
        }
        Ok(())
    }
}

/// What a list of names means, in any spelling.
fn named<T: Copy>(list: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Fallible<Vec<T>> {
    list.split(',')
        .filter(|word| !word.is_empty())
        .map(|word| {
            let found = all.iter().copied().find(|one| name(*one).eq_ignore_ascii_case(word));
            found.ok_or_else(|| {
                let known: Vec<&str> = all.iter().map(|one| name(*one)).collect();
                format!("{word} is none of {}", known.join(", ")).into()
            })
        })
        .collect()
}

fn megabytes(list: &str) -> Fallible<Vec<u64>> {
    list.split(',').map(|size| Ok((size.parse::<f64>()? * 1000.0) as u64)).collect()
}
