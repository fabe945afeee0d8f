//! How far the store's clock is from the host's: a run does not trust a clock that stands alone (DESIGN §7).

use jiff::{SignedDuration, Timestamp};
use object_store::path::Path;

use crate::error::{Error, Kind, Result};
use crate::storage::{Put, Store};

/// Written only for its time.
const PROBE: &str = "clock.json";

/// The store's clock less the host's, as a file written just now tells. On a local disk both are one.
pub fn clock_apart(ledger: &Store, now: impl Fn() -> Timestamp) -> Result<SignedDuration> {
    let path = Path::from(PROBE);
    let before = now();
    ledger.put(&path, format!("{{\"host\":\"{before}\"}}\n").into_bytes(), Put::Overwrite)?;
    let after = now();
    let attempted = || format!("reading the time of {}", ledger.describe(&path));
    let meta = ledger
        .head(&path)?
        .ok_or_else(|| Error::new(Kind::Store, attempted(), "it was just written, but is not there"))?;
    let modified = Timestamp::from_nanosecond(i128::from(meta.last_modified.timestamp_micros()) * 1000)
        .map_err(|source| Error::from_source(Kind::Store, attempted(), source))?;
    // Within the time that writing took, nothing can be said.
    Ok(if modified < before {
        modified.duration_since(before)
    } else if modified > after {
        modified.duration_since(after)
    } else {
        SignedDuration::ZERO
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use tokio::runtime::Runtime;
    use url::Url;

    use super::*;

    #[test]
    fn the_stores_clock_is_compared_with_the_hosts() {
        let runtime = Runtime::new().unwrap();
        let url = Url::parse("memory:///ledger/").unwrap();
        let store = Store::new(url, Arc::new(InMemory::new()), runtime.handle().clone());
        // A host whose clock stopped long ago, and one that has seen what the store will say.
        let stopped: Timestamp = "2001-01-01T00:00:00Z".parse().unwrap();
        let apart = clock_apart(&store, || stopped).unwrap();
        assert!(apart > SignedDuration::from_hours(24 * 365));
        let host = stopped + apart;
        assert!(clock_apart(&store, || host).unwrap().abs() < SignedDuration::from_mins(5));
        let ahead = host + SignedDuration::from_hours(1);
        assert!(clock_apart(&store, || ahead).unwrap() < SignedDuration::from_mins(-5));
    }
}
