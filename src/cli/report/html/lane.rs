//! One table drawn: a section through its days, what can be read above the ground, what has left the table below it.
//!
//! The drawing is as wide as the page lets it be: only across is it stretched. So nothing in it depends on its width but
//! where days stand: lines keep their thickness, circles are round line ends, rules run across.

use std::fmt::Write;

use super::timeline::{Bar, Timeline, Unit};
use crate::cli::output::{count, number};
use crate::cli::report::words;
use crate::report::{Layer, ReportedTable, Stratum, Volume};

/// Room above the tallest bar, where quarantine stands; of bars on either side of the ground, in pixels.
const TOP: f64 = 11.0;
const TALLEST: f64 = 44.0;
/// With more bars than this outlines are left out: they would be all that is seen.
const DENSE: usize = 400;
/// What is there is seen, however little it is.
const THINNEST: f64 = 2.5;

/// A lane, ready to be drawn.
#[derive(Debug)]
pub struct Lane<'r> {
    table: &'r ReportedTable,
    timeline: &'r Timeline,
    bars: Vec<Bar>,
    /// Rows that a byte of a raw object stands for, where nobody counted them.
    rows_per_byte: f64,
    /// The largest bar.
    peak: f64,
    buried: bool,
}

impl<'r> Lane<'r> {
    pub fn new(table: &'r ReportedTable, timeline: &'r Timeline) -> Self {
        let read = (table.counts.decoded, table.raw.bytes_read);
        let rows_per_byte = if read.0 > 0 && read.1 > 0 { read.0 as f64 / read.1 as f64 } else { 1.0 / 500.0 };
        let bars = timeline.bars(&table.days);
        let mut lane = Lane { table, timeline, bars, rows_per_byte, peak: 0.0, buried: false };
        for bar in &lane.bars {
            let (above, below) = lane.heights(&bar.stratum);
            lane.peak = lane.peak.max(above).max(below);
            lane.buried |= below > 0.0;
        }
        lane
    }

    /// The tallest bar in words; none: there is nothing to draw.
    pub fn scale(&self) -> Option<String> {
        (self.peak >= 1.0).then(|| {
            format!("tallest {}: {}", self.timeline.unit.name(), count(self.peak.round() as u64, "row", "rows"))
        })
    }

    fn rows(&self, volume: &Volume) -> f64 {
        volume.rows as f64 + volume.unread_bytes as f64 * self.rows_per_byte
    }

    /// Rows above and below the ground.
    fn heights(&self, stratum: &Stratum) -> (f64, f64) {
        let rows = |layer: Layer| self.rows(stratum.layer(layer));
        (rows(Layer::Raw) + rows(Layer::Archived), rows(Layer::Retired) + rows(Layer::Destroyed))
    }

    fn ground(&self) -> f64 {
        TOP + TALLEST
    }

    fn height(&self) -> f64 {
        self.ground() + if self.buried { TALLEST + 4.0 } else { 6.0 }
    }

    /// So thick is so much. The area of a bar is not its rows: the square root lets small days be seen beside large ones.
    fn thickness(&self, rows: f64, at_least: f64) -> f64 {
        (TALLEST * (rows / self.peak.max(1.0)).sqrt()).clamp(at_least, TALLEST)
    }

    /// The drawing. `label` tells it to who cannot see it, `grid` are the days of the axis' labels.
    pub fn svg(&self, label: &str, grid: &[i64]) -> String {
        let (width, height, ground) = (self.timeline.days, self.height(), self.ground());
        let mut svg = format!(
            "<svg class=\"lane{}\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {width} {height}\" height=\"{height}\" \
             preserveAspectRatio=\"none\">",
            if self.bars.len() > DENSE { " dense" } else { "" },
            super::escaped(label)
        );
        let lines: String = grid.iter().map(|at| format!("M{at} 0V{height}")).collect();
        path(&mut svg, "grid", &lines);
        path(&mut svg, "base", &format!("M0 {ground}H{width}"));
        // What lies on top of something is drawn first and higher, and covered by what it lies on.
        for (layer, under, up) in [
            (Layer::Raw, Some(Layer::Archived), true),
            (Layer::Archived, None, true),
            (Layer::Destroyed, Some(Layer::Retired), false),
            (Layer::Retired, None, false),
        ] {
            path(&mut svg, layer.name(), &self.silhouette(layer, under, up));
        }
        let ground_line: String = self.stretches().map(|(at, width)| format!("M{at} {ground}h{width}")).collect();
        path(&mut svg, "ground", &ground_line);
        path(&mut svg, "missing", &self.missing());
        let dots = self.bars.iter().filter(|bar| !bar.stratum.quarantined.is_empty());
        let dots: String = dots.map(|bar| format!("M{} 4h0", bar.at as f64 + bar.width as f64 / 2.0)).collect();
        path(&mut svg, "quarantined", &dots);
        path(&mut svg, "now", &format!("M{} 0V{height}", self.now()));
        svg.push_str("<g class=\"bars\">");
        for bar in &self.bars {
            let Bar { at, width, .. } = bar;
            let _ =
                write!(svg, "<path d=\"M{at} 0h{width}V{height}h-{width}z\"><title>{}</title></path>", self.title(bar));
        }
        svg.push_str("</g></svg>");
        svg
    }

    /// Today, at its middle.
    fn now(&self) -> f64 {
        self.timeline.at(self.timeline.today) as f64 + 0.5
    }

    /// The outline of a layer, from the ground to its own edge; each stretch of bars that have some of it.
    fn silhouette(&self, layer: Layer, under: Option<Layer>, up: bool) -> String {
        let ground = self.ground();
        let edge = |bar: &Bar| {
            let own = self.rows(bar.stratum.layer(layer));
            let below = under.map_or(0.0, |under| self.rows(bar.stratum.layer(under)));
            if bar.stratum.layer(layer).is_empty() {
                return None;
            }
            let covered = if below > 0.0 { self.thickness(below, THINNEST) } else { 0.0 };
            let thick = self.thickness(own + below, (covered + THINNEST).min(TALLEST));
            Some(if up { ground - thick } else { ground + thick })
        };
        let mut drawn = String::new();
        let mut open: Option<i64> = None;
        for bar in &self.bars {
            let Some(y) = edge(bar) else { continue };
            if open != Some(bar.at) {
                if open.is_some() {
                    let _ = write!(drawn, "V{ground}z");
                }
                let _ = write!(drawn, "M{} {ground}", bar.at);
            }
            let _ = write!(drawn, "V{y:.1}h{}", bar.width);
            open = Some(bar.at + bar.width);
        }
        if open.is_some() {
            let _ = write!(drawn, "V{ground}z");
        }
        drawn
    }

    /// Bars in a row that hold records.
    fn stretches(&self) -> impl Iterator<Item = (i64, i64)> {
        let mut found: Vec<(i64, i64)> = Vec::new();
        for bar in self.bars.iter().filter(|bar| bar.stratum.holds_records()) {
            match found.last_mut() {
                Some((at, width)) if *at + *width == bar.at => *width += bar.width,
                _ => found.push((bar.at, bar.width)),
            }
        }
        found.into_iter()
    }

    /// Days without a record, as a line in the place of the ground. Where a bar is more than a day, only those that leave
    /// a bar out.
    fn missing(&self) -> String {
        let stretches: Vec<(i64, i64)> = self.stretches().collect();
        let ground = self.ground();
        let between = stretches.windows(2).filter_map(|pair| match pair {
            [(at, width), (next, _)] => Some((at + width, next - at - width)),
            _ => None,
        });
        between.map(|(at, width)| format!("M{at} {ground}h{width}")).collect()
    }

    /// What a bar holds, in words.
    fn title(&self, bar: &Bar) -> String {
        let when = match (self.timeline.unit, bar.day == bar.last) {
            (Unit::Day, _) | (_, true) => bar.day.to_string(),
            _ => format!("{} to {}", bar.day, bar.last),
        };
        let mut title = when;
        for layer in Layer::ALL {
            let volume = bar.stratum.layer(layer);
            if !volume.is_empty() {
                let _ = write!(title, "; {} {}", layer.name(), words::volume(volume));
            }
        }
        super::escaped(&title)
    }

    /// The drawing in a sentence.
    pub fn told(&self) -> String {
        let mut told = self.table.table.to_string();
        if let (Some(first), Some(last)) = (self.table.first_day, self.table.last_day) {
            let _ = write!(told, ", records of {first} to {last}");
        }
        for layer in Layer::ALL {
            if let Some(text) = words::layer(self.table, layer) {
                let _ = write!(told, "; {} {text}", layer.name());
            }
        }
        let missing: u64 = self.table.missing_days.iter().map(|range| u64::from(range.days)).sum();
        if missing > 0 {
            let _ =
                write!(told, "; {} without any record", number(missing) + if missing == 1 { " day" } else { " days" });
        }
        told
    }
}

/// A path, if there is something to draw.
fn path(svg: &mut String, class: &str, drawn: &str) {
    if !drawn.is_empty() {
        let _ = write!(svg, "<path class=\"{class}\" d=\"{drawn}\"/>");
    }
}
