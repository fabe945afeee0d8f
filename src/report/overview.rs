//! Every table in a line or two: what `holdfast tables` shows. Pure.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::facts::QuarantineFacts;
use super::gather::{quarantine, times};
use super::strata::{Layer, Volume, strata};
use crate::explain::RuleFacts;
use crate::names::TableName;
use crate::pipeline::Looked;

/// All tables that the ledger, a source or the quarantine knows.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    pub now: Timestamp,
    /// Sorted by name.
    pub tables: Vec<OverviewTable>,
    pub total: OverviewTotal,
}

/// One table. Rows, bytes, days and events are of its segments.
#[derive(Debug, Clone, Serialize)]
pub struct OverviewTable {
    pub table: TableName,
    pub rows: u64,
    pub bytes: u64,
    pub days: u64,
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
    pub first_day: Option<Date>,
    pub last_day: Option<Date>,
    /// None: no rule names it, and it is kept.
    pub rule: Option<RuleFacts>,
    /// Raw objects whose records stand nowhere else, and of them those that were not read yet.
    pub raw: Volume,
    pub raw_waiting: Volume,
    pub retired: Volume,
    pub quarantine: QuarantineFacts,
}

/// Together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OverviewTotal {
    pub tables: u64,
    pub rows: u64,
    pub bytes: u64,
    pub raw: Volume,
    pub quarantined_records: u64,
}

/// Puts it together.
pub fn overview(looked: &Looked) -> Overview {
    let state = looked.chain.state();
    let mut total = OverviewTotal::default();
    let mut tables = Vec::new();
    for (table, strata) in strata(looked, None) {
        let sum = strata.sum();
        let (oldest, newest) = times(state.tables.get(&table.key()));
        let one = OverviewTable {
            rows: sum.archived.rows,
            bytes: sum.archived.bytes,
            days: strata.days_of(Layer::Archived).count() as u64,
            oldest,
            newest,
            first_day: strata.days_of(Layer::Archived).min(),
            last_day: strata.days_of(Layer::Archived).max(),
            rule: looked.history.term(&table).map(|term| RuleFacts::from(&term.rule)),
            raw: sum.raw,
            raw_waiting: strata.waiting,
            retired: sum.retired,
            quarantine: quarantine(looked, &table, &strata),
            table,
        };
        total.tables += 1;
        total.rows += one.rows;
        total.bytes += one.bytes;
        total.raw.add(&one.raw);
        total.quarantined_records += one.quarantine.records;
        tables.push(one);
    }
    Overview { now: looked.document.now, tables, total }
}
