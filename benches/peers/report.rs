//! What was measured, as a table to paste into docs/BENCHMARKS.md.

use serde::Serialize;
use serde_json::Value;

use super::process::Cost;

pub const HOLDFAST: &str = "Holdfast, the whole run";
pub const ALONE: &str = "Holdfast, decode and encode alone";

/// What Holdfast may take of the best peer's wall time, CPU seconds, peak memory and output bytes.
const TARGETS: [(&str, [Option<f64>; 4]); 2] =
    [(HOLDFAST, [Some(0.5), Some(0.6), Some(0.2), Some(1.0)]), (ALONE, [Some(0.4), Some(0.4), None, None])];

/// All rounds of one engine on one set.
#[derive(Debug, Serialize)]
pub struct Row {
    pub engine: String,
    pub rounds: Vec<Cost>,
    /// What `check.py` found in the last output.
    pub check: Value,
    /// Bytes of Holdfast's ledger beside its tables.
    pub ledger_bytes: Option<u64>,
}

impl Row {
    /// The median of each figure by itself.
    pub fn median(&self) -> Cost {
        let mut medians = [0.0; 4];
        for (place, median) in medians.iter_mut().enumerate() {
            let mut all: Vec<f64> = self.rounds.iter().map(|cost| cost.figures()[place]).collect();
            all.sort_by(f64::total_cmp);
            *median = match (all.len(), all.len() / 2) {
                (0, _) => f64::NAN,
                (count, half) if count % 2 == 0 => (all[half - 1] + all[half]) / 2.0,
                (_, half) => all[half],
            };
        }
        Cost::from_figures(medians)
    }

    fn is_peer(&self) -> bool {
        self.engine != HOLDFAST && self.engine != ALONE
    }
}

/// One set and all engines on it.
#[derive(Debug, Serialize)]
pub struct SetResult {
    pub table: String,
    pub raw_bytes: u64,
    /// `plain`, `gzip` or `zstd`.
    pub packing: String,
    pub raw_objects: u64,
    pub records: u64,
    /// Raw bytes for one byte of zstd-19.
    pub zstd_19_ratio: f64,
    pub rows: Vec<Row>,
}

impl SetResult {
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "### {}\n\n{:.2} GB of NDJSON in {} {} objects, {} records.\n\n\
             | engine | wall s | CPU s | peak MB | output MB | zstd level | Holdfast takes of it: wall | CPU | peak | output |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
            self.table,
            self.raw_bytes as f64 / 1e9,
            self.raw_objects,
            self.packing,
            self.records
        );
        let ours = self.find(HOLDFAST).map(|row| row.median().figures());
        for row in &self.rows {
            let figures = row.median().figures();
            let ratios = match ours {
                Some(ours) if row.is_peer() => ratios(ours, figures),
                _ => [const { String::new() }; 4],
            };
            let level = &row.check["zstd"]["level"];
            text +=
                &format!("| {} | {} | {level} | {} |\n", row.engine, shown(figures).join(" | "), ratios.join(" | "));
        }
        if let Some(best) = self.best() {
            text += &format!("| best peer in each | {} | | ", shown(best).join(" | "));
            text += &format!("{} |\n", ours.map_or_else(String::new, |ours| ratios(ours, best).join(" | ")));
            for (name, targets) in TARGETS {
                text += &self.verdict(name, best, targets);
            }
        }
        text + &self.bytes()
    }

    fn find(&self, engine: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.engine == engine)
    }

    /// The smallest figure of any peer in each column, if there are peers.
    fn best(&self) -> Option<[f64; 4]> {
        let figures = self.rows.iter().filter(|row| row.is_peer()).map(|row| row.median().figures());
        figures.reduce(|a, b| std::array::from_fn(|place| a[place].min(b[place])))
    }

    fn verdict(&self, name: &str, best: [f64; 4], targets: [Option<f64>; 4]) -> String {
        let Some(row) = self.find(name) else { return String::new() };
        let figures = row.median().figures();
        let words: Vec<String> = ["wall", "CPU", "peak", "output"]
            .iter()
            .zip(targets)
            .enumerate()
            .filter_map(|(place, (word, target))| {
                let (ratio, target) = (figures[place] / best[place], target?);
                let met = if ratio <= target { "met" } else { "missed" };
                Some(format!("{word} {ratio:.2} (at most {target}: {met})"))
            })
            .collect();
        format!("\n{name}, of the best peer's: {}.\n", words.join(", "))
    }

    fn bytes(&self) -> String {
        let mut text = format!(
            "\nzstd at level 19 makes one byte of {:.2} raw ones (first 256 MiB, one stream).",
            self.zstd_19_ratio
        );
        if let Some(row) = self.find(HOLDFAST) {
            let ratio = self.raw_bytes as f64 / row.median().output_bytes;
            text += &format!(
                " Holdfast's tables make one of {ratio:.2}, which is {:.2} times better; its ledger takes {:.1} MB more.",
                ratio / self.zstd_19_ratio,
                row.ledger_bytes.unwrap_or(0) as f64 / 1e6
            );
        }
        text + "\n"
    }
}

fn shown([wall, cpu, peak, output]: [f64; 4]) -> [String; 4] {
    [format!("{wall:.2}"), format!("{cpu:.2}"), format!("{:.0}", peak / 1e6), format!("{:.1}", output / 1e6)]
}

fn ratios(ours: [f64; 4], theirs: [f64; 4]) -> [String; 4] {
    std::array::from_fn(|place| format!("{:.2}", ours[place] / theirs[place]))
}

/// What a size of `--scale` cost.
#[derive(Debug, Serialize)]
pub struct ScaleResult {
    pub raw_bytes: u64,
    pub row: Row,
}

/// Linear is the same megabytes a second and the same CPU seconds a gigabyte in each line.
pub fn scale_markdown(results: &[ScaleResult]) -> String {
    let mut text = String::from(
        "| raw GB | wall s | MB/s | CPU s | CPU s a GB | peak MB | tables MB |\n|---|---|---|---|---|---|---|\n",
    );
    for result in results {
        let (gigabytes, cost) = (result.raw_bytes as f64 / 1e9, result.row.median());
        let [wall, cpu, peak, output] = shown(cost.figures());
        text += &format!(
            "| {gigabytes:.2} | {wall} | {:.0} | {cpu} | {:.2} | {peak} | {output} |\n",
            gigabytes * 1000.0 / cost.wall_seconds,
            cost.cpu_seconds / gigabytes
        );
    }
    text
}
