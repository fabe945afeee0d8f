//! Numbers that look random and are the same for the same seed (splitmix64, public domain by Sebastiano Vigna).

/// A stream of numbers, told by its seed alone.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// Streams of different names under one seed have nothing to do with each other.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let salt = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Random(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ salt)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `limit`, which is not zero.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// Less than `limit`, small ones far more often: a few machines and people make most of the log.
    pub(super) fn skewed(&mut self, limit: u64) -> u64 {
        let first = self.below(limit);
        let second = self.below(first + 1);
        self.below(second + 1)
    }

    pub(super) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len() as u64) as usize]
    }

    pub(super) fn pick_skewed<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.skewed(from.len() as u64) as usize]
    }

    /// A version 4 UUID in its text form.
    pub(super) fn uuid(&mut self) -> [u8; 36] {
        let bits = (u128::from(self.next()) << 64) | u128::from(self.next());
        let bits = bits & !(0xf << 76) | (0x4 << 76);
        let bits = bits & !(0x3 << 62) | (0x2 << 62);
        let mut text = [b'-'; 36];
        let mut shift = 128;
        for (at, place) in text.iter_mut().enumerate() {
            if !matches!(at, 8 | 13 | 18 | 23) {
                shift -= 4;
                *place = b"0123456789abcdef"[(bits >> shift) as usize & 0xf];
            }
        }
        text
    }

    pub(super) fn uuid_text(&mut self) -> String {
        self.uuid().iter().map(|byte| char::from(*byte)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        // The reference output of splitmix64 from state 1234567.
        let mut random = Random(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        assert_ne!(Random::new(1, "a").next(), Random::new(1, "b").next());
        let uuid = Random::new(1, "a").uuid_text();
        assert_eq!((uuid.len(), &uuid[14..15], &uuid[8..9]), (36, "4", "-"));
        assert!(uuid::Uuid::parse_str(&uuid).is_ok());
        let mut random = Random::new(1, "a");
        assert!((0..1000).all(|_| random.below(7) < 7 && random.skewed(7) < 7));
    }
}
