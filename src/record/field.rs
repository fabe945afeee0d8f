//! The digests of one key's fields: the definition of [`super::digest`], for a key that comes again and again.

use xxhash_rust::xxh3::xxh3_128;

use super::digest::{Walker, push_key};
use super::token::ValueKind;

/// Digests the fields of one key, whose bytes are prepared once.
#[derive(Debug)]
pub struct FieldHasher {
    /// The key's length and text, then room for a value.
    scratch: Vec<u8>,
    key_bytes: usize,
}

impl FieldHasher {
    /// Beyond this the room for values is given back after use.
    const ROOM: usize = 4096;

    /// For a key between its quotes, as it passed [`super::token::members`].
    pub fn new(key_raw: &[u8]) -> Self {
        let mut scratch = Vec::new();
        push_key(key_raw, &mut scratch);
        FieldHasher { key_bytes: scratch.len(), scratch }
    }

    /// The field of this key with a whole value token that is not null at the top level. `escaped`: the token contains
    /// a backslash.
    #[inline]
    pub fn digest(&mut self, value: &[u8], kind: ValueKind, escaped: bool) -> u128 {
        self.scratch.truncate(self.key_bytes);
        match (kind, value) {
            // The opening quote is the tag, too.
            (ValueKind::String, [text @ .., _]) if !escaped => self.scratch.extend_from_slice(text),
            (ValueKind::Number, _) => {
                self.scratch.push(b'#');
                self.scratch.extend_from_slice(value);
            }
            _ => Walker::new(value).value(&mut self.scratch),
        }
        let digest = xxh3_128(&self.scratch);
        if self.scratch.capacity() > Self::ROOM {
            self.scratch.truncate(self.key_bytes);
            self.scratch.shrink_to(Self::ROOM);
        }
        digest
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.scratch.capacity()
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
