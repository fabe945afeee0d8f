//! A saved state is what all entries say, or it is left aside.

use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use tokio::runtime::Runtime;
use url::Url;

use super::*;
use crate::ledger::{HoldScope, KnownTable, Purpose, SealedRef};
use crate::names::TableName;
use crate::storage::Put;

struct Shelf {
    store: Store,
    _runtime: Runtime,
}

impl Shelf {
    /// A ledger of so many entries: holds are placed and released, some of them, and a batch is begun.
    fn new(entries: u64) -> Self {
        let runtime = Runtime::new().unwrap();
        let url = Url::parse("memory:///ledger/").unwrap();
        let store = Store::new(url, Arc::new(InMemory::new()), runtime.handle().clone());
        let shelf = Shelf { store, _runtime: runtime };
        let mut chain = shelf.open();
        append(&mut chain, Body::Created { archive: "a".into(), format: 1, simulation: false });
        let inputs = chain.attach(["what is to be read"]).unwrap();
        let (batch, tables) = ("b-1".to_owned(), vec![TableName::new("main", "T")]);
        append(&mut chain, Body::BatchIntended { batch, purpose: Purpose::Archive, tables, inputs });
        while chain.state().next_seq() < entries {
            let number = chain.state().next_seq();
            append(&mut chain, if number.is_multiple_of(3) { released(number - 1) } else { placed(number) });
        }
        shelf
    }

    /// The same, saved.
    fn saved(entries: u64) -> Self {
        let shelf = Shelf::new(entries);
        shelf.open().save_state(at(1)).unwrap();
        assert!(shelf.open().is_from_saved());
        shelf
    }

    fn open(&self) -> Chain {
        Chain::open(self.store.clone(), "run", Box::new(String::new)).unwrap()
    }

    fn whole(&self) -> Chain {
        Chain::open_whole(self.store.clone(), "run", Box::new(String::new)).unwrap()
    }

    fn file(&self) -> Vec<u8> {
        self.store.get(&Path::from(NAME)).unwrap().unwrap().to_vec()
    }

    fn write(&self, path: &Path, bytes: Vec<u8>) {
        self.store.put(path, bytes, Put::Overwrite).unwrap();
    }

    /// What the copy's flaw does: nobody goes by it, and it is told.
    fn assert_left_aside(&self, what: &str) {
        let opened = self.open();
        assert!(!opened.is_from_saved(), "{what} is believed");
        assert_eq!(bytes(&opened), bytes(&self.whole()), "{what}");
        assert!(matches!(check_saved(&self.store), Ok(Some(Flaw::Damaged(_)))), "{what} is not seen");
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn append(chain: &mut Chain, body: Body) {
    chain.append_or_end(at(0), body).unwrap();
}

fn text() -> SealedRef {
    SealedRef { sha256: "0".repeat(64) }
}

fn placed(number: u64) -> Body {
    Body::HoldPlaced { hold: format!("case {number}"), scope: HoldScope::default(), text: text() }
}

fn released(number: u64) -> Body {
    Body::HoldReleased { hold: format!("case {number}"), text: text() }
}

fn bytes(chain: &Chain) -> Vec<u8> {
    saved_bytes(chain.state()).unwrap()
}

#[test]
fn a_saved_state_and_what_comes_after_it_say_what_all_entries_say() {
    let shelf = Shelf::saved(400);
    let mut chain = shelf.open();
    append(&mut chain, placed(1_000_000));
    let opened = shelf.open();
    assert!(opened.is_from_saved());
    assert!(opened.state().holds.contains_key("case 1000000"));
    assert_eq!(opened.state().holds.len(), shelf.whole().state().holds.len());
    assert_eq!(bytes(&opened), bytes(&shelf.whole()));
    assert!(check_saved(&shelf.store).unwrap().is_none());
    // And it is no other once every entry was read.
    let mut opened = opened;
    assert!(opened.fold_whole().unwrap() && !opened.is_from_saved());
    assert!(!opened.fold_whole().unwrap(), "once is enough");
    assert_eq!(bytes(&opened), bytes(&shelf.whole()));
}

#[test]
fn it_is_saved_when_enough_was_appended() {
    let shelf = Shelf::new(SAVE_AFTER);
    let saved = |shelf: &Shelf| shelf.open().state().saved;
    shelf.open().save_state(at(1)).unwrap();
    assert_eq!(saved(&shelf), None, "the newest is number {}", SAVE_AFTER - 1);
    append(&mut shelf.open(), placed(1));
    shelf.open().save_state(at(1)).unwrap();
    assert_eq!(saved(&shelf), Some(SAVE_AFTER + 1));
    for _ in 1..SAVE_AFTER {
        append(&mut shelf.open(), placed(1));
    }
    shelf.open().save_state(at(1)).unwrap();
    assert_eq!(saved(&shelf), Some(SAVE_AFTER + 1));
    // A run that read every entry before it destroyed something knows that one is saved.
    let mut chain = shelf.open();
    assert!(chain.fold_whole().unwrap());
    chain.save_state(at(1)).unwrap();
    assert_eq!(chain.state().saved, Some(SAVE_AFTER + 1));
    append(&mut shelf.open(), placed(1));
    shelf.open().save_state(at(1)).unwrap();
    assert_eq!(saved(&shelf), Some(2 * SAVE_AFTER + 2));
}

#[test]
fn what_was_saved_before_is_good_until_its_place_is_taken() {
    let shelf = Shelf::saved(300);
    let older = shelf.file();
    let mut chain = shelf.open();
    (0..SAVE_AFTER).for_each(|number| append(&mut chain, placed(number)));
    chain.save_state(at(2)).unwrap();
    assert_ne!(shelf.file(), older);
    // The runner was killed after the entry and before the copy.
    shelf.write(&Path::from(NAME), older);
    let opened = shelf.open();
    assert!(opened.is_from_saved());
    assert_eq!(bytes(&opened), bytes(&shelf.whole()));
    assert!(check_saved(&shelf.store).unwrap().is_none());
}

#[test]
fn any_change_of_it_is_seen_and_every_entry_read() {
    let shelf = Shelf::saved(300);
    let good = shelf.file();
    for position in (0..200).chain((200..good.len()).step_by(97)).chain([good.len() - 1]) {
        let mut changed = good.clone();
        changed[position] ^= 1;
        shelf.write(&Path::from(NAME), changed);
        shelf.assert_left_aside(&format!("byte {position} changed"));
    }
    for length in [0, 1, good.len() / 2, good.len() - 1] {
        shelf.write(&Path::from(NAME), good[..length].to_vec());
        shelf.assert_left_aside(&format!("a copy of {length} bytes"));
    }
    // Saved anew by the next run that ends.
    shelf.open().save_state(at(3)).unwrap();
    assert!(shelf.open().is_from_saved());
}

#[test]
fn a_copy_that_nobody_named_is_not_believed() {
    let shelf = Shelf::saved(300);
    let claim = read(&shelf.store).unwrap().unwrap();
    let mut forged = believe(&shelf.store, &claim).unwrap().unwrap();
    forged.holds.clear();
    shelf.write(&Path::from(NAME), saved_bytes(&forged).unwrap());
    shelf.assert_left_aside("a copy without its holds");
    // Of a later number, at which no state was saved.
    let mut chain = shelf.open();
    append(&mut chain, placed(1));
    shelf.write(&Path::from(NAME), bytes(&chain));
    shelf.assert_left_aside("a copy that no entry is behind");
    append(&mut chain, placed(2));
    shelf.assert_left_aside("a copy with another entry behind it");
}

/// What the chain vouches for and no fold comes to: only somebody who can append, or a fault of ours, gets that far.
#[test]
fn nothing_is_destroyed_on_a_saved_state_that_is_wrong() {
    let shelf = Shelf::new(300);
    let mut chain = shelf.open();
    let mut wrong = shelf.whole();
    let name = TableName::new("main", "Never");
    let mut state = folded(&shelf.store, 299).unwrap();
    state.tables.insert(name.key(), KnownTable::new(name));
    wrong.take_whole(state);
    let forged = bytes(&wrong);
    append(&mut chain, Body::StateSaved { version: VERSION, sha256: sha256_hex(&forged) });
    shelf.write(&Path::from(NAME), forged);
    let mut opened = shelf.open();
    assert!(opened.is_from_saved());
    let error = opened.fold_whole().unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(matches!(check_saved(&shelf.store), Ok(Some(Flaw::Damaged(_)))));
    assert!(shelf.whole().state().tables.is_empty());
}

#[test]
fn before_something_is_destroyed_damage_in_what_was_summed_up_is_seen() {
    let shelf = Shelf::saved(300);
    let path = entry_path(7);
    let mut entry = shelf.store.get(&path).unwrap().unwrap().to_vec();
    let nonce = entry.iter().rposition(|byte| byte.is_ascii_digit()).unwrap();
    entry[nonce] ^= 1;
    shelf.write(&path, entry);
    let mut opened = shelf.open();
    assert!(opened.is_from_saved(), "whoever only reads does not look there");
    assert_eq!(opened.fold_whole().unwrap_err().kind(), Kind::Damaged);
    assert_eq!(opened.fold_whole().unwrap_err().kind(), Kind::Damaged, "and again");
}

/// Without a list of what is there, too.
#[test]
fn a_gap_behind_what_was_saved_is_seen() {
    let open = |shelf: &Shelf| Chain::open(shelf.store.clone(), "run", Box::new(String::new)).map(|_| ());
    for entries in [1, 5, 16, 17, 33, 100] {
        let shelf = Shelf::saved(300);
        let mut chain = shelf.open();
        (0..entries).for_each(|number| append(&mut chain, placed(number)));
        let next = chain.state().next_seq();
        assert_eq!(shelf.open().state().next_seq(), next);
        // As a run would leave it that was killed, and whose next entry was lost.
        for gap in [1, 2, 16] {
            let shelf = Shelf { store: shelf.store.clone(), _runtime: Runtime::new().unwrap() };
            let beyond = entry_path(next + gap);
            shelf.write(&beyond, b"an entry\n".to_vec());
            let error = open(&shelf).unwrap_err();
            assert_eq!(error.kind(), Kind::Damaged, "{entries} and {gap}");
            assert!(error.attempted().contains(&next.to_string()), "{error}");
            shelf.store.wait(shelf.store.inner().delete(&beyond)).unwrap();
            open(&shelf).unwrap();
        }
        // Farther behind, it is seen before anything is destroyed.
        shelf.write(&entry_path(next + 1000), b"an entry\n".to_vec());
        assert_eq!(shelf.open().fold_whole().unwrap_err().kind(), Kind::Damaged);
    }
}

#[test]
fn another_version_is_for_others() {
    let shelf = Shelf::new(300);
    let mut chain = shelf.open();
    let newer = String::from_utf8(bytes(&chain)).unwrap().replacen("\"version\":1", "\"version\":2", 1);
    append(&mut chain, Body::StateSaved { version: 2, sha256: sha256_hex(newer.as_bytes()) });
    shelf.write(&Path::from(NAME), newer.into_bytes());
    assert!(!shelf.open().is_from_saved());
    assert!(matches!(check_saved(&shelf.store), Ok(Some(Flaw::Foreign(_)))));
}
