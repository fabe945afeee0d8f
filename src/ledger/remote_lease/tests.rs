use std::sync::atomic::{AtomicU64, Ordering};

use object_store::memory::InMemory;
use tokio::runtime::Runtime;
use url::Url;

use super::*;

/// A clock that only the test moves.
#[derive(Debug, Default)]
struct Hands(AtomicU64);

impl Hands {
    fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    /// Long after whatever the store says: every note looks old enough to be watched.
    fn now(&self) -> Timestamp {
        "2200-01-01T00:00:00Z".parse().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
}

const TERM: Duration = Duration::from_secs(60);

struct House {
    store: Store,
    hands: Arc<Hands>,
    _runtime: Runtime,
}

impl House {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let url = Url::parse("memory:///ledger").unwrap();
        let store = Store::new(url, Arc::new(InMemory::new()), runtime.handle().clone());
        House { store, hands: Arc::default(), _runtime: runtime }
    }

    /// Terms of one runner; while it waits, `meanwhile` happens.
    fn term(&self, meanwhile: impl Fn() + Send + Sync + 'static) -> Term {
        let hands = Arc::clone(&self.hands);
        let pause = move |time: Duration| {
            hands.pass(time);
            meanwhile();
        };
        Term { length: TERM, clock: self.hands.clone(), pause: Arc::new(pause) }
    }

    fn take(&self, name: &str) -> Result<Held> {
        Held::take(&self.store, name, name, self.term(|| {}))
    }
}

/// Who holds it by a clock that agrees with the store's.
fn holder(store: &Store) -> Result<Option<String>> {
    super::holder(store, "2000-01-01T00:00:00Z".parse().unwrap())
}

#[test]
fn a_holder_that_fell_silent_is_not_told_as_running() {
    let house = House::new();
    let _mine = house.take("me").unwrap();
    assert_eq!(holder(&house.store).unwrap().as_deref(), Some("me"));
    assert_eq!(super::holder(&house.store, house.hands.now()).unwrap(), None, "long after its last beat");
}

#[test]
fn one_holds_it_and_gives_it_back() {
    let house = House::new();
    assert_eq!(holder(&house.store).unwrap(), None);
    let lease = StoreLease::take(&house.store, "me", "1", house.term(|| {})).unwrap();
    lease.check().unwrap();
    assert_eq!(holder(&house.store).unwrap().as_deref(), Some("me"));
    drop(lease);
    assert_eq!(holder(&house.store).unwrap(), None);
    house.take("you").unwrap().check().unwrap();
}

#[test]
fn who_beats_is_not_taken_over() {
    let house = House::new();
    let mine = Arc::new(house.take("me").unwrap());
    let beating = Arc::clone(&mine);
    let yours = Held::take(&house.store, "you", "2", house.term(move || assert!(beating.beat())));
    let error = yours.unwrap_err();
    assert_eq!(error.kind(), Kind::LeaseHeld);
    assert!(error.reason().contains("me"), "{error}");
    mine.check().unwrap();
}

#[test]
fn who_falls_silent_is_taken_over_after_a_full_term_and_then_does_nothing_more() {
    let house = House::new();
    let mine = house.take("me").unwrap();
    let before = house.hands.monotonic();
    let yours = house.take("you").unwrap();
    assert!(house.hands.monotonic() - before >= TERM, "the other watched for a full term");
    yours.check().unwrap();
    // Paused and resumed: it knows by its own clock, before it asks anybody.
    assert_eq!(mine.check().unwrap_err().kind(), Kind::Fenced);
    assert!(!mine.beat());
    assert_eq!(mine.check().unwrap_err().kind(), Kind::Fenced);
    mine.give_back();
    assert_eq!(holder(&house.store).unwrap().as_deref(), Some("you"), "what is not mine I do not give back");
    assert!(yours.beat());
    yours.check().unwrap();
}

#[test]
fn a_lease_that_could_not_be_renewed_in_time_is_not_trusted_until_it_is() {
    let house = House::new();
    let mine = house.take("me").unwrap();
    house.hands.pass(TERM - Duration::from_millis(1));
    mine.check().unwrap();
    house.hands.pass(Duration::from_millis(1));
    assert_eq!(mine.check().unwrap_err().kind(), Kind::Fenced);
    // Nobody came: it is still mine.
    assert!(mine.beat());
    mine.check().unwrap();
}

#[test]
fn of_two_that_come_at_once_one_gets_it() {
    let house = House::new();
    drop(StoreLease::take(&house.store, "before", "0", house.term(|| {})).unwrap());
    let taken: Vec<_> = std::thread::scope(|scope| {
        let runners: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn({
                    let house = &house;
                    move || {
                        Held::take(
                            &house.store,
                            &format!("{number}"),
                            &format!("{number}"),
                            Term {
                                // They do not watch: a living holder.
                                length: Duration::from_secs(u64::from(u32::MAX) * 4),
                                clock: house.hands.clone(),
                                pause: Arc::new(|_| {}),
                            },
                        )
                    }
                })
            })
            .collect();
        runners.into_iter().map(|runner| runner.join().unwrap()).collect()
    });
    assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 1);
    assert!(taken.iter().filter_map(|taken| taken.as_ref().err()).all(|error| error.kind() == Kind::LeaseHeld));
}

#[test]
fn a_note_that_cannot_be_read_ends_like_any_other() {
    let house = House::new();
    house.store.put(&Path::from(NAME), b"{".to_vec(), crate::storage::Put::Create).unwrap();
    house.take("me").unwrap().check().unwrap();
}
