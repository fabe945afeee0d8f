//! Comparing short runs of bytes in place, without a call: most keys and values of a log are shorter than 33
//! bytes, and there are tens of millions of them.

/// `one == other`.
#[inline]
pub fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    // The first and the last bytes overlap where there are fewer than two whole runs.
    match one.len() {
        4..8 => ends::<4>(one) == ends::<4>(other),
        8..16 => ends::<8>(one) == ends::<8>(other),
        16..=32 => ends::<16>(one) == ends::<16>(other),
        _ => one == other,
    }
}

#[inline]
fn ends<const N: usize>(bytes: &[u8]) -> (Option<&[u8; N]>, Option<&[u8; N]>) {
    (bytes.first_chunk(), bytes.last_chunk())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_the_same_only_if_each_byte_is(bytes in prop::collection::vec(any::<u8>(), 0..50), at in any::<prop::sample::Index>()) {
            prop_assert!(same(&bytes, &bytes.clone()));
            prop_assert!(!same(&bytes, &[&bytes[..], b"x"].concat()));
            if !bytes.is_empty() {
                let mut other = bytes.clone();
                other[at.index(bytes.len())] ^= 1;
                prop_assert!(!same(&bytes, &other));
            }
        }
    }
}
