//! Days on a shelf: an inventory made from nothing, decided about night by night by the pure core, and drawn.
//!
//! Days and nights are numbered from 1 March 2024; night `n` is at 02:00 UTC of day `n`. [`Shelf::night`] does to the
//! state what a run does under the same verdicts; that real runs do so is told in `expiry`.

use std::collections::BTreeMap;
use std::ops::Range;

use holdfast::ledger::{
    Armed, Counts, Ground, Keeping, KnownObject, KnownTable, ObjectOutcome, QuarantineFile, Quarantined, Retired,
    Segment, State, Why,
};
use holdfast::names::TableName;
use holdfast::plan::{Allowance, Blocker, Consent, Consents, DayVerdict, Expiry, Fate, Inputs, Only, Terms, expiry};
use holdfast::policy::{History, PolicyFile, PolicySet};
use holdfast::record::SetDigest;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

pub fn day(number: i64) -> Date {
    date(2024, 3, 1).checked_add(number.days()).unwrap()
}

/// 02:00 UTC of day `number`.
pub fn night(number: i64) -> Timestamp {
    TimeZone::UTC.to_timestamp(day(number).at(2, 0, 0, 0)).unwrap()
}

/// One policy file, its version left out.
pub fn policy(text: &str) -> PolicySet {
    policy_in("policy.toml", text)
}

pub fn policy_in(file: &str, text: &str) -> PolicySet {
    let file = PolicyFile { name: file.into(), text: format!("version = 1\n{text}") };
    PolicySet::from_files(vec![file]).unwrap()
}

/// All tables the same.
pub fn keep(keys: &str) -> PolicySet {
    policy(&format!("[defaults]\n{keys}\n"))
}

/// What is kept, the policies so far, and what may be destroyed.
pub struct Shelf {
    pub state: State,
    pub policies: Vec<(Timestamp, PolicySet)>,
    pub allowance: Allowance,
    pub consents: Consents,
    pub stopped: BTreeMap<String, String>,
}

impl Shelf {
    /// Everything armed, and this policy accepted in night 0.
    pub fn new(set: PolicySet) -> Self {
        Shelf {
            state: State::default(),
            policies: vec![(night(0), set)],
            allowance: Allowance { armed: Armed { raw: true, expired: true }, shut: None },
            consents: Consents { given: Vec::new(), needed: 1 },
            stopped: BTreeMap::new(),
        }
    }

    /// A run of night `number` accepts this policy.
    pub fn accept(&mut self, number: i64, set: PolicySet) {
        self.policies.push((night(number), set));
    }

    /// One more segment for each of these days.
    pub fn add(&mut self, table: &str, days: Range<i64>, bytes: u64) {
        let name = TableName::new("main", table);
        let known = self.state.tables.entry(name.key()).or_insert_with(|| KnownTable::new(name));
        for day in days.map(day) {
            let path = (0..).map(|number| format!("_hf_day={day}/_hf_part=main/b{number}.parquet"));
            let is_new = |path: &String| !known.segments.contains_key(path) && !known.retired.contains_key(path);
            let path = path.into_iter().find(is_new).unwrap();
            let segment = Segment {
                path: path.clone(),
                day,
                part: "main".into(),
                bytes,
                sha256: format!("sha of {path}"),
                digest: SetDigest { rows: 10, sum: 0 },
                times: None,
                rest: None,
            };
            known.segments.insert(path, (segment, "batch".into()));
        }
    }

    /// A quarantine file that came in night `number`.
    pub fn quarantine(&mut self, table: &str, number: i64, bytes: u64) {
        let file = QuarantineFile {
            table: TableName::new("main", table),
            data: format!("quarantine/{number}.data"),
            data_sha256: format!("sha of {number}"),
            index: format!("quarantine/{number}.index"),
            index_sha256: "sha".into(),
            records: 1,
            bytes,
        };
        self.state.quarantine.push(Quarantined { batch: "batch".into(), at: night(number), file, retried: false });
    }

    /// A raw object that stays raw, with its last record on day `number`.
    pub fn raw(&mut self, table: &str, number: i64, bytes: u64) {
        let outcome = ObjectOutcome {
            source: "collector".into(),
            path: format!("{table}/{number}.json"),
            table: TableName::new("main", table),
            size: bytes,
            modified: night(number),
            etag: None,
            from: 0,
            continues: None,
            resume: bytes,
            sha256: format!("sha of {number}"),
            counts: Counts { decoded: 1, raw: 1, ..Counts::default() },
            duplicate_of: None,
            unreadable: None,
            last_day: Some(day(number)),
        };
        let counts = outcome.counts;
        let known = KnownObject { outcome, batches: Vec::new(), counts, archived_at: night(number), cleared: false };
        self.state.objects.insert(known.outcome.id(), known);
    }

    /// The verdicts of night `number`.
    pub fn plan(&self, number: i64) -> Expiry {
        let history = History::new(self.policies.clone());
        expiry(&Inputs {
            objects: &[],
            terms: &Terms::new(&history),
            state: &self.state,
            allowance: &self.allowance,
            consents: &self.consents,
            stopped: &self.stopped,
            now: night(number),
            only: &Only::default(),
            batch_bytes: 1,
        })
    }

    /// `by` consents in night `number` to all that asks then; gives how many days that are.
    pub fn approve(&mut self, number: i64, by: &str) -> usize {
        let plan = self.plan(number);
        let asking = plan.days.iter().filter(|verdict| verdict.asks());
        let items = asking.map(|verdict| verdict.item.approval(verdict.rule_digest.as_ref().unwrap()));
        let seq = self.consents.given.len() as u64;
        let consent = Consent { seq, at: night(number), by: by.into(), items: items.collect() };
        let count = consent.items.len();
        self.consents.given.push(consent);
        count
    }

    /// Does what a run of night `number` does, and gives the plan that it began with.
    pub fn night(&mut self, number: i64) -> Expiry {
        let plan = self.plan(number);
        for verdict in plan.days.iter().filter(|verdict| verdict.goes()) {
            match verdict.fate {
                Fate::Retire => self.retire(verdict, number),
                Fate::Reinstate => self.put_back(verdict),
                _ => {}
            }
        }
        let second = self.plan(number);
        for verdict in second.days.iter().filter(|verdict| verdict.goes() && verdict.fate == Fate::Destroy) {
            self.destroy(verdict, number);
        }
        for (table, keeping) in &plan.settles {
            self.state.expiry.entry((table.key(), *keeping)).or_default().settled_at = Some(night(number));
        }
        plan
    }

    fn retire(&mut self, verdict: &DayVerdict, number: i64) {
        let rule = verdict.rule.as_ref().unwrap();
        let known = self.state.tables.get_mut(&verdict.item.table.key()).unwrap();
        for (path, _) in &verdict.item.files {
            let (segment, batch) = known.segments.remove(path).unwrap();
            let ground = Ground {
                table: known.name.clone(),
                keeping: Keeping::Archive,
                path: path.clone(),
                day: segment.day,
                part: segment.part.clone(),
                bytes: segment.bytes,
                sha256: segment.sha256.clone(),
                digest: segment.digest,
                file: rule.file.clone(),
                line: rule.line as u64,
                rule: rule.id(),
                rule_digest: verdict.rule_digest.clone().unwrap(),
                policy: "policy".into(),
                expires: verdict.expires.unwrap(),
                destroy_at: verdict.destroy_at.unwrap(),
                approved: verdict.approved,
            };
            known.reinstated.remove(&segment.day);
            let why = Why::Expired(Box::new(ground));
            known.retired.insert(path.clone(), Retired { segment, batch, at: night(number), why });
        }
        self.under(verdict, number);
    }

    fn put_back(&mut self, verdict: &DayVerdict) {
        let known = self.state.tables.get_mut(&verdict.item.table.key()).unwrap();
        for (path, _) in &verdict.item.files {
            let retired = known.retired.remove(path).unwrap();
            known.segments.insert(path.clone(), (retired.segment, retired.batch));
        }
    }

    fn destroy(&mut self, verdict: &DayVerdict, number: i64) {
        let item = &verdict.item;
        for (path, _) in &item.files {
            match item.keeping {
                Keeping::Archive => {
                    self.state.tables.get_mut(&item.table.key()).unwrap().retired.remove(path).unwrap();
                }
                Keeping::Quarantine => self.state.quarantine.retain(|one| one.file.data != *path),
                Keeping::Raw => self.state.objects.retain(|id, _| id.to_string() != *path),
            }
        }
        if item.keeping != Keeping::Archive {
            self.under(verdict, number);
        }
    }

    fn under(&mut self, verdict: &DayVerdict, number: i64) {
        let key = (verdict.item.table.key(), verdict.item.keeping);
        let under = (verdict.rule.as_ref().unwrap().id(), night(number));
        self.state.expiry.entry(key).or_default().under = Some(under);
    }

    /// Plays these nights, and draws the plan of each as a strip of `days` of one table.
    pub fn film(
        &mut self,
        table: &str,
        nights: impl IntoIterator<Item = i64>,
        days: Range<i64>,
        mut before: impl FnMut(&mut Self, i64),
    ) -> String {
        let mut lines = vec![format!("       {} …", day(days.start))];
        for number in nights {
            before(self, number);
            let plan = self.night(number);
            let line = format!("{}  {}", day(number).strftime("%m-%d"), strip(&plan, table, days.clone()));
            lines.push(line.trim_end().to_owned());
        }
        lines.join("\n")
    }
}

/// One letter a day: `.` kept, `r` retires now, `R` retired, `i` put back now, `D` destroyed now; what is in the way: `a` an
/// approval, `g` grace, `h` a hold, `u` unarmed, `w` window or doubt, `s` stopped; blank: nothing is there.
pub fn strip(plan: &Expiry, table: &str, days: Range<i64>) -> String {
    let name = TableName::new("main", table);
    let letter = |number: i64| {
        let here = |verdict: &&DayVerdict| verdict.item.table == name && verdict.item.day == day(number);
        plan.days.iter().filter(here).min_by_key(|verdict| verdict.fate).map_or(' ', letter)
    };
    days.map(letter).collect::<String>().trim_end().to_owned()
}

fn letter(verdict: &DayVerdict) -> char {
    match verdict.blockers.first() {
        Some(Blocker::Approval { .. }) => 'a',
        Some(Blocker::Grace { .. }) => 'g',
        Some(Blocker::Hold { .. }) => 'h',
        Some(Blocker::Unarmed) => 'u',
        Some(Blocker::Shut(_)) => 'w',
        Some(Blocker::Stopped { .. }) => 's',
        Some(Blocker::OtherTable) => 'o',
        None => match verdict.fate {
            Fate::Keep => '.',
            Fate::Retire => 'r',
            Fate::Retired => 'R',
            Fate::Reinstate => 'i',
            Fate::Destroy => 'D',
        },
    }
}

/// Tables whose verdicts ask for consent, with the reason, once each.
pub fn asking(plan: &Expiry) -> Vec<String> {
    let reason = |verdict: &DayVerdict| {
        verdict.blockers.iter().find_map(|blocker| match blocker {
            Blocker::Approval { because, .. } => Some(format!("{}: {because}", verdict.item.table)),
            _ => None,
        })
    };
    let mut found: Vec<String> = plan.days.iter().filter_map(reason).collect();
    found.dedup();
    found
}
