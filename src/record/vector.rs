//! The one place with `unsafe`: vector instructions of x86-64 (STYLE 32).
//!
//! Invariant: they are called only where the processor has them. SSE2 is part of every x86-64, so that nothing is to be
//! detected. None of them touches memory by address: what they read was copied by safe code. Other architectures run the
//! twin, [`super::text::plain_run_by_words`]; a fuzz target compares the two.

#![cfg(target_arch = "x86_64")]
#![expect(unsafe_code, reason = "instructions that not every processor has are unsafe to call")]

use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8};

/// A bit for each byte that is a quote, a backslash or below 0x20; the lowest stands for the first.
#[inline]
pub(super) fn special_of_sixteen(bytes: &[u8; 16]) -> u32 {
    // SAFETY: every x86-64 has SSE2.
    unsafe { marks(u128::from_le_bytes(*bytes)) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn marks(word: u128) -> u32 {
    let block = _mm_set_epi64x((word >> 64) as i64, word as i64);
    let quote = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'"' as i8));
    let backslash = _mm_cmpeq_epi8(block, _mm_set1_epi8(b'\\' as i8));
    let control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control)) as u32
}
