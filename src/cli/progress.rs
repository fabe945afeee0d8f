//! A bar on a terminal, and nothing anywhere else.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::pipeline::{Event, Progress, Unwatched};

/// What watches a run on this terminal.
pub fn watcher() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() { Box::new(Bar::new()) } else { Box::new(Unwatched) }
}

struct Bar {
    bar: ProgressBar,
    table: Mutex<String>,
}

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {wide_msg} {bar:20} {bytes}/{total_bytes}  {bytes_per_sec}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        bar.set_message("looking for raw logs");
        Bar { bar, table: Mutex::new(String::new()) }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn see(&self, event: Event<'_>) {
        match event {
            Event::Found { objects, .. } => self.bar.set_message(format!("{objects} raw objects found")),
            Event::BatchBegins { table, bytes, .. } => {
                self.bar.inc_length(bytes);
                let text = format!("archiving {table}");
                self.bar.set_message(text.clone());
                if let Ok(mut name) = self.table.lock() {
                    *name = text;
                }
            }
            Event::Read { bytes } => self.bar.inc(bytes),
            Event::SegmentWritten { .. } => {}
            Event::BatchCommitted { .. } => {
                if let Ok(name) = self.table.lock() {
                    self.bar.set_message(format!("{name}: committed"));
                }
            }
            Event::Cleared { objects } => self.bar.set_message(format!("{objects} raw objects cleared")),
        }
    }
}
