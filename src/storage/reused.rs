//! Large reads from local disk into memory that is used again: fresh memory for each object costs the kernel as much as
//! the bytes themselves.
//!
//! Invariant: a buffer is lent to one reader at a time, and comes back when the last of its bytes is let go; at most
//! [`MOST_KEPT`] wait to be lent again, none of more than [`MOST_BYTES`] (I11).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Shorter reads are not worth it.
pub(super) const LARGE: u64 = 4 << 20;
/// One being decoded, one being read ahead.
const MOST_KEPT: usize = 2;
/// As much as is held of a raw object at most. What else is read whole, as the saved state of a large ledger, is read once.
const MOST_BYTES: usize = 64 << 20;

/// Buffers that wait to be lent.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// The bytes of a range of a file; fewer if it is shorter.
    pub(super) fn read(&self, file: &mut File, range: &Range<u64>) -> io::Result<Bytes> {
        let length = range.end - range.start;
        let mut lent = Lent { bytes: self.kept().pop().unwrap_or_default(), to: self.clone() };
        lent.bytes.clear();
        lent.bytes.reserve_exact(usize::try_from(length).map_err(io::Error::other)?);
        file.seek(SeekFrom::Start(range.start))?;
        file.take(length).read_to_end(&mut lent.bytes)?;
        Ok(Bytes::from_owner(lent))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer that comes back.
#[derive(Debug)]
struct Lent {
    bytes: Vec<u8>,
    to: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.to.kept();
        if kept.len() < MOST_KEPT && self.bytes.capacity() <= MOST_BYTES {
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_lent_is_not_lent_twice_and_comes_back() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let buffers = Buffers::default();
        let (one, two) = (buffers.read(&mut file, &(0..10)).unwrap(), buffers.read(&mut file, &(3..5)).unwrap());
        assert_eq!((&one[..], &two[..]), (&b"0123456789"[..], &b"34"[..]));
        let slice = one.slice(2..4);
        drop(one);
        assert_eq!((buffers.kept().len(), &slice[..]), (0, &b"23"[..]));
        drop((slice, two));
        assert_eq!(buffers.kept().len(), 2);
        let (one, two) = (buffers.read(&mut file, &(8..20)).unwrap(), buffers.read(&mut file, &(4..5)).unwrap());
        assert_eq!((&one[..], &two[..], buffers.kept().len()), (&b"89"[..], &b"4"[..], 0));
        let three = buffers.read(&mut file, &(0..1)).unwrap();
        drop((one, two, three));
        assert_eq!(buffers.kept().len(), MOST_KEPT);
    }

    #[test]
    fn i11_what_is_too_large_is_not_kept() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(MOST_BYTES as u64 + 1).unwrap();
        let buffers = Buffers::default();
        drop(buffers.read(&mut file, &(0..MOST_BYTES as u64 + 1)).unwrap());
        assert_eq!(buffers.kept().len(), 0);
        drop(buffers.read(&mut file, &(0..MOST_BYTES as u64)).unwrap());
        assert_eq!(buffers.kept().len(), 1);
    }
}
