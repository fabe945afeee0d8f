//! The digests of one key's fields: the definition of [`super::digest`], for a key that comes again and again.

use xxhash_rust::xxh3::xxh3_128;

use super::digest::{Walker, push_key};
use super::short::{SHORT, copy};
use super::token::ValueKind;

/// Digests the fields of one key, whose bytes are prepared once.
#[derive(Debug)]
pub struct FieldHasher {
    /// The key's length and text, then room for a short value and its tag.
    scratch: Vec<u8>,
    key_bytes: usize,
    /// For longer values.
    long: Vec<u8>,
}

impl FieldHasher {
    /// Beyond this the room for values is given back after use.
    const ROOM: usize = 4096;

    /// For a key between its quotes, as it passed [`super::token::members`].
    pub fn new(key_raw: &[u8]) -> Self {
        let mut scratch = Vec::new();
        push_key(key_raw, true, &mut scratch);
        let key_bytes = scratch.len();
        scratch.resize(key_bytes + 1 + SHORT, 0);
        scratch.shrink_to_fit();
        FieldHasher { key_bytes, scratch, long: Vec::new() }
    }

    /// The field of this key with a whole value token that is not null at the top level. `escaped`: the token contains
    /// a backslash.
    #[inline]
    pub fn digest(&mut self, value: &[u8], kind: ValueKind, escaped: bool) -> u128 {
        match (kind, value) {
            // The opening quote is the tag, too.
            (ValueKind::String, [tag, text @ .., _]) if !escaped => self.tagged(*tag, text),
            (ValueKind::Number, _) => self.tagged(b'#', value),
            _ => self.whole(|out| Walker::new(value).value(out)),
        }
    }

    #[inline]
    fn tagged(&mut self, tag: u8, text: &[u8]) -> u128 {
        let (_, room) = self.scratch.split_at_mut(self.key_bytes);
        if let [first, room @ ..] = room
            && let Some(room) = room.first_chunk_mut::<SHORT>()
            && copy(text, room)
        {
            *first = tag;
            return xxh3_128(&self.scratch[..self.key_bytes + 1 + text.len()]);
        }
        self.whole(|out| {
            out.push(tag);
            out.extend_from_slice(text);
        })
    }

    fn whole(&mut self, canonical: impl FnOnce(&mut Vec<u8>)) -> u128 {
        self.long.clear();
        self.long.extend_from_slice(&self.scratch[..self.key_bytes]);
        canonical(&mut self.long);
        let digest = xxh3_128(&self.long);
        if self.long.capacity() > Self::ROOM {
            self.long = Vec::new();
        }
        digest
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.scratch.capacity() + self.long.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::digest::{digest_of_fields, record_digest};
    use crate::record::support::generate;
    use crate::record::token::members;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_digested_apart_make_the_record(tree in generate::tree_on(generate::DAY), seed in any::<u64>()) {
            let record = generate::render(&tree, seed);
            let record: &[u8] = record.as_ref();
            let mut found = Vec::new();
            members(record, &mut found).unwrap();
            let mut sum = 0_u128;
            for member in found.iter().filter(|member| member.kind != ValueKind::Null) {
                let mut hasher = FieldHasher::new(member.key.of(record));
                let field = hasher.digest(member.value.of(record), member.kind, member.value_escaped);
                prop_assert_eq!(hasher.digest(member.value.of(record), member.kind, true), field);
                sum = sum.wrapping_add(field);
            }
            prop_assert_eq!(digest_of_fields(sum), record_digest(record, &found));
        }
    }
}
