//! Columns for the tests of the chunk encoder: the same on every machine, with all that is awkward about a type.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, StringArray};

/// Numbers that are the same on every machine.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// What a column looks like.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) seed: u64,
    pub(super) rows: usize,
    /// How many different values.
    pub(super) pool: u64,
    pub(super) nulls_percent: u64,
    /// Values and nulls come in runs of up to so many.
    pub(super) run: u64,
    pub(super) sorted: bool,
}

impl Look {
    /// The places in the pool, `None` for null.
    fn picks(&self) -> Vec<Option<u64>> {
        let mut dice = Dice(self.seed | 1);
        let mut picks = Vec::with_capacity(self.rows);
        while picks.len() < self.rows {
            let is_null = dice.below(100) < self.nulls_percent;
            let pick = (!is_null).then(|| dice.below(self.pool));
            let run = 1 + dice.below(self.run);
            picks.extend((0..run.min((self.rows - picks.len()) as u64)).map(|_| pick));
        }
        if self.sorted {
            picks.sort_by_key(|pick| pick.unwrap_or(u64::MAX));
        }
        picks
    }

    pub(super) fn column(&self, kind: u8) -> ArrayRef {
        let picks = self.picks();
        let number = |pick: u64| match pick {
            0 => i64::MIN,
            1 => i64::MAX,
            pick if pick % 3 == 0 => (pick.wrapping_mul(0x9E37_79B9_7F4A_7C15)) as i64,
            pick => pick as i64 * 1000,
        };
        let text = |pick: u64| match pick % 11 {
            0 => format!("{pick:0>90}"),
            1 => "ü".repeat((pick % 60) as usize),
            2 => format!("C:\\Windows\\System32\\{pick}.exe"),
            3 => "\u{10FFFF}".repeat((pick % 30) as usize),
            4 => format!("{}{pick}", "z\u{D7FF}".repeat(20)),
            5 => String::new(),
            6 => format!("{}\0", pick % 5),
            7 => "x".repeat((pick * 40 % 3000) as usize),
            _ => pick.to_string(),
        };
        let double = |pick: u64| match pick {
            0 => 0.0,
            1 => -0.0,
            2 => f64::NAN,
            3 => f64::NEG_INFINITY,
            pick => number(pick) as f64 / 7.0,
        };
        match kind {
            0 => Arc::new(picks.into_iter().map(|pick| pick.map(text)).collect::<StringArray>()),
            1 => Arc::new(picks.into_iter().map(|pick| pick.map(|pick| pick % 3 == 0)).collect::<BooleanArray>()),
            2 => Arc::new(picks.into_iter().map(|pick| pick.map(|pick| number(pick) as i32)).collect::<Int32Array>()),
            3 => Arc::new(picks.into_iter().map(|pick| pick.map(number)).collect::<Int64Array>()),
            _ => Arc::new(picks.into_iter().map(|pick| pick.map(double)).collect::<Float64Array>()),
        }
    }
}
