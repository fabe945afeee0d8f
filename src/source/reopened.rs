//! Arrays and envelopes that were written on: what closed them was taken away, more elements follow, and they are closed
//! again. Azure writes some of its logs so.
//!
//! Invariant: it is only said of an object that certainly began with the very bytes that were read, but for the brackets
//! at their end: the SHA-256 of those bytes with such an end is the one that was noted (I2).

use sha2::{Digest, Sha256};

use super::discover::RawObject;
use super::object::Fetcher;
use crate::error::Result;
use crate::storage::Store;

const CHUNK_BYTES: u64 = 4 * 1024 * 1024;
/// What may stand around the brackets.
const BLANKS: [&str; 6] = ["", "\n", "\r\n", " ", "\n  ", "\r\n  "];

/// Where the elements that were read end in an object of which `size` bytes with that SHA-256 were read, if it was closed
/// then and has been written on since. Errors as those of an [`super::ObjectReader`].
pub fn reopened(store: &Store, object: &RawObject, size: u64, sha256: &[u8; 32]) -> Result<Option<u64>> {
    let fetcher = Fetcher::new(store, object)?;
    let ends = ends();
    let longest = ends.iter().map(String::len).max().unwrap_or(0) as u64;
    let (sure, size) = (size.saturating_sub(longest), size.min(object.size));
    let mut hash = Sha256::new();
    let mut position = 0;
    while position < sure {
        let end = sure.min(position + CHUNK_BYTES);
        hash.update(fetcher.get(position, end)?);
        position = end;
    }
    let rest = fetcher.get(sure, size)?;
    Ok(ends.iter().find_map(|end| {
        let kept = rest.len().checked_sub(end.len())?;
        let hash = hash.clone().chain_update(&rest[..kept]).chain_update(end);
        (hash.finalize().as_slice() == sha256).then_some(sure + kept as u64)
    }))
}

/// What may close an array or an envelope.
fn ends() -> Vec<String> {
    let mut ends = Vec::new();
    for before in BLANKS {
        for after in BLANKS {
            ends.push(format!("{before}]{after}"));
            ends.extend(BLANKS.map(|last| format!("{before}]{after}}}{last}")));
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::source::testing::Source;
    use crate::source::{DiscoverOptions, Layout, discover};

    #[test]
    fn i2_it_is_told_by_the_hash_and_nothing_else() {
        let source = Source::new();
        for (before, after, at) in [
            ("[{\"a\":1}]", "[{\"a\":1},{\"a\":2}]", Some(8)),
            ("{\"records\":[{}]}\n", "{\"records\":[{},\n{}]}\n", Some(14)),
            ("{\"records\":[\n{}\r\n]\r\n}", "{\"records\":[\n{},{}\r\n]\r\n}", Some(15)),
            ("[]", "[{}]", Some(1)),
            ("[{\"a\":1}]", "[{\"a\":3},{\"a\":2}]", None),
            ("[{\"a\":1}]\t", "[{\"a\":1},{\"a\":2}]", None),
        ] {
            source.write("T/a", after);
            let options =
                DiscoverOptions { name: "s".into(), workspace: "main".into(), settle: jiff::SignedDuration::ZERO };
            let layout = Layout::parse("{table}/*").unwrap();
            let object = discover(&source.store, &options, &layout, Timestamp::UNIX_EPOCH).unwrap().objects.remove(0);
            let sha256 = Sha256::digest(before).into();
            assert_eq!(reopened(&source.store, &object, before.len() as u64, &sha256).unwrap(), at, "{before}");
        }
    }
}
