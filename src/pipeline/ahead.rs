//! Raw objects looked at ahead of their turn: while the lines of one are decoded, the next are fetched and hashed. Of an
//! object store many at once, since each answer takes its time; of a disk one.
//!
//! Invariant: they come in the order of the plan, and those that wait for their turn take no more together than one may
//! (I11).

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use super::limits::Limits;
use super::read_object::{Inspected, inspect};
use crate::error::Result;
use crate::ledger::ObjectId;
use crate::plan::Planned;
use crate::storage::Store;

/// So many objects of an object store are asked for at once.
const AT_ONCE: usize = 32;

/// A raw object whose turn it is.
#[derive(Debug)]
pub struct Turn<'a> {
    pub planned: &'a Planned,
    pub store: &'a Store,
    pub id: ObjectId,
    pub inspected: Result<Inspected>,
}

/// One that will be looked at.
struct Candidate<'a> {
    planned: &'a Planned,
    store: &'a Store,
    id: ObjectId,
}

impl<'a> Candidate<'a> {
    fn look(&self, limits: Limits) -> Turn<'a> {
        let inspected = inspect(self.store, self.planned, limits.record, limits.held);
        Turn { planned: self.planned, store: self.store, id: self.id.clone(), inspected }
    }

    /// Bytes that it may take while it waits.
    fn weight(&self, limits: Limits) -> usize {
        usize::try_from(self.planned.object.size).unwrap_or(usize::MAX).min(limits.held)
    }
}

/// The objects of a batch, one after the other.
pub enum Turns<'a> {
    /// On threads of their own.
    Ahead(Queue<'a>),
    Asked(Box<dyn Iterator<Item = Turn<'a>> + 'a>),
}

/// What was looked at and waits for its turn.
pub struct Queue<'a> {
    from: Receiver<(usize, Turn<'a>)>,
    early: BTreeMap<usize, Turn<'a>>,
    next: usize,
    window: Arc<Window>,
    weights: Vec<usize>,
}

/// What the threads share.
struct Window {
    state: Mutex<Standing>,
    moved: Condvar,
}

#[derive(Default)]
struct Standing {
    /// The next object that nobody looks at yet.
    next: usize,
    /// Of those that are looked at or wait.
    bytes: usize,
    waiting: usize,
    ended: bool,
}

impl Window {
    fn state(&self) -> MutexGuard<'_, Standing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next object to look at, once there is room for it; none: there is no more.
    fn take(&self, weights: &[usize], most: usize) -> Option<usize> {
        let mut state = self.state();
        loop {
            let weight = *weights.get(state.next).filter(|_| !state.ended)?;
            if state.waiting == 0 || state.bytes.saturating_add(weight) <= most {
                state.bytes += weight;
                state.waiting += 1;
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<'a> Turns<'a> {
    /// Those of `objects` that are not in `excluded` and whose source can be opened. Where there is one thread only, an
    /// object is looked at when its turn comes.
    pub fn begin<'scope>(
        scope: &'scope Scope<'scope, '_>,
        objects: &'a [Planned],
        stores: &'a BTreeMap<String, Store>,
        excluded: &'a HashSet<ObjectId>,
        limits: Limits,
        threads: usize,
    ) -> Self
    where
        'a: 'scope,
    {
        let candidates = objects.iter().filter_map(move |planned| {
            let id = ObjectId { source: planned.object.source.clone(), path: planned.object.path.clone() };
            let store = stores.get(&planned.object.source).filter(|_| !excluded.contains(&id))?;
            Some(Candidate { planned, store, id })
        });
        if threads == 1 {
            return Turns::Asked(Box::new(candidates.map(move |candidate| candidate.look(limits))));
        }
        let candidates: Arc<[Candidate<'a>]> = candidates.collect();
        let weights: Vec<usize> = candidates.iter().map(|candidate| candidate.weight(limits)).collect();
        let far = candidates.iter().any(|candidate| candidate.store.local_folder().is_none());
        let lookers = if far { AT_ONCE.min(candidates.len()) } else { 1 };
        let window = Arc::new(Window { state: Mutex::default(), moved: Condvar::new() });
        let (to, from) = channel();
        for _ in 0..lookers {
            let (to, candidates, window, weights): (Sender<_>, _, _, _) =
                (to.clone(), Arc::clone(&candidates), Arc::clone(&window), weights.clone());
            scope.spawn(move || {
                while let Some(number) = window.take(&weights, limits.held) {
                    if to.send((number, candidates[number].look(limits))).is_err() {
                        return;
                    }
                }
            });
        }
        Turns::Ahead(Queue { from, early: BTreeMap::new(), next: 0, window, weights })
    }
}

impl<'a> Queue<'a> {
    fn next(&mut self) -> Option<Turn<'a>> {
        while !self.early.contains_key(&self.next) {
            let (number, turn) = self.from.recv().ok()?;
            self.early.insert(number, turn);
        }
        let turn = self.early.remove(&self.next)?;
        let mut state = self.window.state();
        state.bytes -= self.weights[self.next];
        state.waiting -= 1;
        drop(state);
        self.next += 1;
        self.window.moved.notify_all();
        Some(turn)
    }
}

impl Drop for Queue<'_> {
    /// Who ends early lets the threads end too.
    fn drop(&mut self) {
        self.window.state().ended = true;
        self.window.moved.notify_all();
    }
}

impl<'a> Iterator for Turns<'a> {
    type Item = Turn<'a>;

    fn next(&mut self) -> Option<Turn<'a>> {
        match self {
            Turns::Ahead(queue) => queue.next(),
            Turns::Asked(turns) => turns.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_together_is_bounded_and_one_always_may() {
        let window = Window { state: Mutex::default(), moved: Condvar::new() };
        let weights = [5, 5, 20, 1];
        assert_eq!((window.take(&weights, 10), window.take(&weights, 10)), (Some(0), Some(1)));
        let third = std::thread::scope(|scope| {
            let third = scope.spawn(|| window.take(&weights, 10));
            for weight in [5, 5] {
                let mut state = window.state();
                state.bytes -= weight;
                state.waiting -= 1;
                drop(state);
                window.moved.notify_all();
            }
            third.join().unwrap()
        });
        assert_eq!(third, Some(2), "larger than all may take: alone");
        window.state().ended = true;
        assert_eq!(window.take(&weights, 10), None);
    }
}
