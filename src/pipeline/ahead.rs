//! Raw objects looked at ahead of their turn: while the lines of one are decoded, the next is fetched and hashed.
//!
//! Invariant: they come in the order of the plan, and one at most waits for its turn (I11).

use std::collections::{BTreeMap, HashSet};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use super::limits::Limits;
use super::read_object::{Inspected, inspect};
use crate::error::Result;
use crate::ledger::ObjectId;
use crate::plan::Planned;
use crate::storage::Store;

/// A raw object whose turn it is.
#[derive(Debug)]
pub struct Turn<'a> {
    pub planned: &'a Planned,
    pub store: &'a Store,
    pub id: ObjectId,
    pub inspected: Result<Inspected>,
}

/// The objects of a batch, one after the other.
pub enum Turns<'a> {
    /// On a thread of its own.
    Ahead(Receiver<Turn<'a>>),
    Asked(Box<dyn Iterator<Item = Turn<'a>> + 'a>),
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
        let turns = objects.iter().filter_map(move |planned| {
            let id = ObjectId { source: planned.object.source.clone(), path: planned.object.path.clone() };
            let store = stores.get(&planned.object.source).filter(|_| !excluded.contains(&id))?;
            let inspected = inspect(store, planned, limits.record, limits.held);
            Some(Turn { planned, store, id, inspected })
        });
        if threads == 1 {
            return Turns::Asked(Box::new(turns));
        }
        let (to, from) = sync_channel(0);
        scope.spawn(move || {
            for turn in turns {
                if to.send(turn).is_err() {
                    return;
                }
            }
        });
        Turns::Ahead(from)
    }
}

impl<'a> Iterator for Turns<'a> {
    type Item = Turn<'a>;

    fn next(&mut self) -> Option<Turn<'a>> {
        match self {
            Turns::Ahead(turns) => turns.recv().ok(),
            Turns::Asked(turns) => turns.next(),
        }
    }
}
