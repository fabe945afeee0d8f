//! Comparing and copying short runs of bytes in place, without a call: most keys and values of a log are shorter than
//! 65 bytes, and there are tens of millions of them.

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
        33..=64 => ends::<32>(one) == ends::<32>(other),
        _ => one == other,
    }
}

/// Copies `from` to the start of `to`; what follows there is spoilt. `false`: it is too long, and nothing is copied.
#[inline]
pub fn copy(from: &[u8], to: &mut [u8; SHORT]) -> bool {
    match from.len() {
        0..8 => from.iter().zip(to).for_each(|(from, to)| *to = *from),
        8..16 => copy_ends::<8>(from, to),
        16..=32 => copy_ends::<16>(from, to),
        33..=SHORT => copy_ends::<32>(from, to),
        _ => return false,
    }
    true
}

/// The longest run that [`copy`] takes.
pub const SHORT: usize = 64;

#[inline]
fn copy_ends<const N: usize>(from: &[u8], to: &mut [u8; SHORT]) {
    if let (Some(first), Some(last)) = ends::<N>(from) {
        to[..N].copy_from_slice(first);
        to[from.len() - N..from.len()].copy_from_slice(last);
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
        fn runs_are_the_same_only_if_each_byte_is(bytes in prop::collection::vec(any::<u8>(), 0..80), at in any::<prop::sample::Index>()) {
            prop_assert!(same(&bytes, &bytes.clone()));
            prop_assert!(!same(&bytes, &[&bytes[..], b"x"].concat()));
            let mut copied = [7; SHORT];
            prop_assert_eq!(copy(&bytes, &mut copied), bytes.len() <= SHORT);
            if bytes.len() <= SHORT {
                prop_assert_eq!(&copied[..bytes.len()], &bytes[..]);
            }
            if !bytes.is_empty() {
                let mut other = bytes.clone();
                other[at.index(bytes.len())] ^= 1;
                prop_assert!(!same(&bytes, &other));
            }
        }
    }
}
