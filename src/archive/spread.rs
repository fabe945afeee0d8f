//! Spreads work over threads while its results are taken in order, so that what is written does not depend on them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::error::Result;

/// Does `work` for 0 to `count` on some threads and hands the results over in order, on this one. The first error
/// ends it.
pub(super) fn in_order<T: Send>(
    threads: usize,
    count: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    if threads <= 1 || count <= 1 {
        return (0..count).try_for_each(|at| take(work(at)?));
    }
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            let (send, next, work) = (send.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody receives any more once an error has come.
                    if at >= count || send.send((at, work(at))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (at, done) in receive {
            waiting.insert(at, done?);
            while let Some(done) = waiting.remove(&due) {
                take(done)?;
                due += 1;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};

    #[test]
    fn results_come_in_order_on_any_number_of_threads() {
        for threads in [1, 2, 7] {
            let mut taken = Vec::new();
            let push = |n| {
                taken.push(n);
                Ok(())
            };
            in_order(threads, 100, |n| Ok(n * 2), push).unwrap();
            assert_eq!(taken, (0..100).map(|n| n * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        let failed = || Error::new(Kind::Internal, "a test", "it must fail");
        for threads in [1, 3] {
            let working = in_order(threads, 100, |n| if n == 5 { Err(failed()) } else { Ok(n) }, |_| Ok(()));
            assert!(working.is_err());
            let mut taken = 0;
            let taking = in_order(threads, 100, Ok, |n| {
                taken += 1;
                if n == 5 { Err(failed()) } else { Ok(()) }
            });
            assert!(taking.is_err());
            assert_eq!(taken, 6);
        }
    }
}
