//! Spreads work over threads while its results are taken in order, so that what is written does not depend on them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::error::Result;

/// Does `work` for 0 to `count` on some threads, each with a tool of its own that `start` makes, and hands the results
/// over in order, on this one. The first error ends it.
pub(super) fn in_order<S, T: Send>(
    threads: usize,
    count: usize,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    if threads <= 1 || count <= 1 {
        let mut tool = start();
        return (0..count).try_for_each(|at| take(work(&mut tool, at)?));
    }
    let next = AtomicUsize::new(0);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            let (send, next, start, work) = (send.clone(), &next, &start, &work);
            scope.spawn(move || {
                let mut tool = start();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody receives any more once an error has come.
                    if at >= count || send.send((at, work(&mut tool, at))).is_err() {
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
            in_order(threads, 100, || 2, |two, n| Ok(n * *two), push).unwrap();
            assert_eq!(taken, (0..100).map(|n| n * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        let failed = || Error::new(Kind::Internal, "a test", "it must fail");
        for threads in [1, 3] {
            let working = in_order(threads, 100, || (), |(), n| if n == 5 { Err(failed()) } else { Ok(n) }, |_| Ok(()));
            assert!(working.is_err());
            let mut taken = 0;
            let taking = in_order(
                threads,
                100,
                || (),
                |(), n| Ok(n),
                |n| {
                    taken += 1;
                    if n == 5 { Err(failed()) } else { Ok(()) }
                },
            );
            assert!(taking.is_err());
            assert_eq!(taken, 6);
        }
    }
}
