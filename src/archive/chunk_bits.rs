//! The bits of a Parquet page: definition levels, dictionary indexes, and numbers as their differences.
//!
//! Three shapes of the format. RLE/bit-packed hybrid: runs of one value stand as a count, all else as numbers of a
//! fixed width, in groups of eight. DELTA_BINARY_PACKED: the differences of neighbours, less the smallest of their
//! block, each quarter of a block in the width that it needs.
//!
//! Invariants: what is appended depends on the numbers alone; beside the output memory is one block (I11). Nothing
//! here knows columns, nulls or compression.

/// Bits of a group's bytes: the hybrid packs eight numbers at a time.
const GROUP: usize = 8;
/// Numbers of a block of differences, and its quarters.
const BLOCK: usize = 128;
const QUARTER: usize = 32;
const QUARTERS: usize = BLOCK / QUARTER;

/// How many bits numbers up to `most` need.
pub(super) fn width_of(most: u64) -> u32 {
    u64::BITS - most.leading_zeros()
}

/// Appends numbers below 2^`width` as a hybrid of runs and packed groups.
pub(super) fn hybrid(numbers: &[u32], width: u32, out: &mut Vec<u8>) {
    if let (0, Some(&zero)) = (width, numbers.first()) {
        return run(zero, numbers.len(), width, out);
    }
    let (mut packed, mut at) = (0, 0);
    while let Some(group) = numbers[at..].first_chunk::<GROUP>() {
        if !is_constant(group) {
            at += GROUP;
            continue;
        }
        let length = run_length(&numbers[at..]);
        if !run_pays(length, width) {
            at += length / GROUP * GROUP;
            continue;
        }
        pack_groups(&numbers[packed..at], width, out);
        run(group[0], length, width, out);
        at += length;
        packed = at;
    }
    pack_groups(&numbers[packed..], width, out);
}

/// Appends definition levels of an optional column, one bit a row: `present` holds eight rows a byte, the first row in
/// the lowest bit.
pub(super) fn levels(present: &[u8], rows: usize, out: &mut Vec<u8>) {
    let whole = &present[..rows / GROUP];
    let (mut packed, mut at) = (0, 0);
    while at < whole.len() {
        let byte = whole[at];
        let length = whole[at..].iter().take_while(|next| **next == byte).count();
        if (byte == 0 || byte == u8::MAX) && run_pays(length * GROUP, 1) {
            put_groups(&present[packed..at], out);
            run(u32::from(byte & 1), length * GROUP, 1, out);
            packed = at + length;
        }
        at += length;
    }
    put_groups(&present[packed..rows.div_ceil(GROUP)], out);
}

/// Appends so many equal levels or indexes.
pub(super) fn run(number: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Appends numbers below 2^`width`, one after the other, filled up with zeros to a multiple of eight numbers.
pub(super) fn pack(numbers: impl ExactSizeIterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let end = out.len() + numbers.len().div_ceil(GROUP) * width as usize;
    let (mut bits, mut filled) = (0u64, 0u32);
    for number in numbers {
        bits |= number << filled;
        filled += width;
        if filled >= u64::BITS {
            out.extend_from_slice(&bits.to_le_bytes());
            filled -= u64::BITS;
            bits = if filled == 0 { 0 } else { number >> (width - filled) };
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..filled.div_ceil(8) as usize]);
    out.resize(end, 0);
}

/// A number that stands as its difference from the one before.
pub(super) trait Differs: Copy {
    fn wide(self) -> i64;
    /// `self - before`, wrapping as readers of this width do.
    fn minus(self, before: Self) -> i64;
}

impl Differs for i32 {
    fn wide(self) -> i64 {
        self.into()
    }

    fn minus(self, before: Self) -> i64 {
        self.wrapping_sub(before).into()
    }
}

impl Differs for i64 {
    fn wide(self) -> i64 {
        self
    }

    fn minus(self, before: Self) -> i64 {
        self.wrapping_sub(before)
    }
}

/// Appends numbers as DELTA_BINARY_PACKED.
pub(super) fn differences<T: Differs>(numbers: impl ExactSizeIterator<Item = T>, out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint(QUARTERS as u64, out);
    varint(numbers.len() as u64, out);
    let mut numbers = numbers;
    let Some(first) = numbers.next() else { return varint(0, out) };
    varint(zigzag(first.wide()), out);
    each_block(first, numbers, |block| {
        varint(zigzag(block.least), out);
        out.extend_from_slice(&block.widths);
        for (quarter, &width) in block.offsets.chunks_exact(QUARTER).zip(&block.widths) {
            // A width of zero, of a quarter not used at all too, has no bytes.
            pack(quarter.iter().copied(), width.into(), out);
        }
    });
}

/// How many bytes [`differences`] appends, within a few.
pub(super) fn differences_bytes<T: Differs>(mut numbers: impl Iterator<Item = T>) -> usize {
    let Some(first) = numbers.next() else { return 0 };
    let mut bytes = 0;
    each_block(first, numbers, |block| {
        let packed: usize = block.widths.iter().map(|&width| usize::from(width) * QUARTER / 8).sum();
        bytes += packed + QUARTERS + varint_bytes(zigzag(block.least));
    });
    bytes
}

/// Some differences: their smallest, what each has beyond it (zero where there is none), and the bits for that.
struct Block {
    least: i64,
    offsets: [u64; BLOCK],
    widths: [u8; QUARTERS],
}

fn each_block<T: Differs>(first: T, mut numbers: impl Iterator<Item = T>, mut each: impl FnMut(&Block)) {
    let mut before = first;
    let mut block = Block { least: 0, offsets: [0; BLOCK], widths: [0; QUARTERS] };
    let mut found = [0i64; BLOCK];
    loop {
        let mut count = 0;
        for (slot, number) in found.iter_mut().zip(numbers.by_ref()) {
            *slot = number.minus(before);
            before = number;
            count += 1;
        }
        let found = &found[..count];
        let Some(&least) = found.iter().min() else { return };
        block.least = least;
        block.offsets[count..].fill(0);
        for (offset, difference) in block.offsets.iter_mut().zip(found) {
            *offset = difference.wrapping_sub(least) as u64;
        }
        for (width, quarter) in block.widths.iter_mut().zip(block.offsets.chunks_exact(QUARTER)) {
            *width = width_of(quarter.iter().fold(0, |bits, offset| bits | offset)) as u8;
        }
        each(&block);
    }
}

fn is_constant(group: &[u32; GROUP]) -> bool {
    group.iter().fold(0, |bits, number| bits | (number ^ group[0])) == 0
}

/// How many numbers from the first one on equal it.
fn run_length(numbers: &[u32]) -> usize {
    let groups = numbers.as_chunks::<GROUP>().0;
    let is_like_first = |group: &&[u32; GROUP]| group[0] == numbers[0] && is_constant(group);
    let whole = groups.iter().take_while(is_like_first).count() * GROUP;
    whole + numbers[whole..].iter().take_while(|number| **number == numbers[0]).count()
}

/// A run costs its own head and value, and the head of the packed groups after it.
fn run_pays(length: usize, width: u32) -> bool {
    length / GROUP * width as usize > 3 + width.div_ceil(8) as usize
}

fn pack_groups(numbers: &[u32], width: u32, out: &mut Vec<u8>) {
    if !numbers.is_empty() {
        varint((numbers.len().div_ceil(GROUP) as u64) << 1 | 1, out);
        pack(numbers.iter().map(|&number| number.into()), width, out);
    }
}

fn put_groups(packed: &[u8], out: &mut Vec<u8>) {
    if !packed.is_empty() {
        varint((packed.len() as u64) << 1 | 1, out);
        out.extend_from_slice(packed);
    }
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn varint_bytes(number: u64) -> usize {
    width_of(number | 1).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = vec![0xEE];
        write(&mut out);
        assert_eq!(out.remove(0), 0xEE, "what was there stays");
        out
    }

    #[test]
    fn the_formats_own_examples() {
        // 0 to 7 in three bits each: one group.
        assert_eq!(written(|out| hybrid(&[0, 1, 2, 3, 4, 5, 6, 7], 3, out)), [0x03, 0x88, 0xC6, 0xFA]);
        // 1 to 5: the first as it is, then differences of 1, none beyond the smallest.
        let steady = [1i32, 2, 3, 4, 5].into_iter();
        assert_eq!(written(|out| differences(steady, out)), [0x80, 1, 4, 5, 2, 2, 0, 0, 0, 0]);
        // 7, 5, 3, 1, 2, 3, 4, 5: differences of -2 to 1, in two bits.
        let turning = [7i64, 5, 3, 1, 2, 3, 4, 5].into_iter();
        let head = [0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0];
        assert_eq!(
            written(|out| differences(turning, out)),
            [&head[..], &[0b1100_0000, 0b11_1111, 0, 0, 0, 0, 0, 0]].concat()
        );
        assert_eq!(written(|out| differences([].into_iter() as std::array::IntoIter<i64, 0>, out)), [0x80, 1, 4, 0, 0]);
    }

    #[test]
    fn runs_stand_as_counts_where_that_is_shorter() {
        assert_eq!(written(|out| hybrid(&[5; 1000], 3, out)), [0xD0, 0x0F, 5]);
        assert_eq!(written(|out| hybrid(&[0; 3], 0, out)), [6]);
        assert!(written(|out| hybrid(&[], 0, out)).is_empty());
        // Eight of one bit each: a group is a byte, a run two.
        assert_eq!(written(|out| hybrid(&[1; 8], 1, out)), [3, 0xFF]);
        // A run begins where the group does, and ends where it ends; what is left over is filled up.
        let mut mixed = vec![1, 2, 3];
        mixed.extend([0x1_0001; 20]);
        mixed.push(9);
        let packed = written(|out| hybrid(&mixed, 17, out));
        assert_eq!(packed[0], 3);
        assert_eq!(packed[18..22], [15 << 1, 1, 0, 1]);
        assert_eq!(packed[22..25], [3, 9, 0]);
        assert_eq!(packed.len(), 22 + 18);
    }

    #[test]
    fn levels_of_rows() {
        assert_eq!(written(|out| levels(&[0b101], 3, out)), [3, 0b101]);
        let mut present = vec![0xFF; 10];
        present.extend([0b1010_1010, 0, 0, 0, 0, 0, 0b11]);
        assert_eq!(
            written(|out| levels(&present, 16 * 8 + 2, out)),
            [160, 1, 1, 3, 0b1010_1010, 80, 0, 3, 0b11],
            "80 with a value, a group of both, 40 without, two with"
        );
        assert!(written(|out| levels(&[], 0, out)).is_empty());
    }

    #[test]
    fn widths_of_any_size_are_packed_whole() {
        for width in 1..=64u32 {
            let most = u64::MAX >> (64 - width);
            let numbers: Vec<u64> = (0..24).map(|at| if at % 3 == 0 { most } else { at & most }).collect();
            let packed = written(|out| pack(numbers.iter().copied(), width, out));
            assert_eq!(packed.len(), 3 * width as usize);
            for (at, number) in numbers.iter().enumerate() {
                let bit = |bit: usize| u64::from(packed[bit / 8] >> (bit % 8) & 1);
                let read = (0..width as usize).map(|place| bit(at * width as usize + place) << place).sum::<u64>();
                assert_eq!(read, *number, "{width} bits, number {at}");
            }
        }
    }

    #[test]
    fn what_differences_take_is_told_before() {
        for step in [0, 1, 1 << 20, i64::MAX / 3] {
            let numbers = || (0..1000i64).map(move |at| (at * at).wrapping_mul(step));
            let bytes = written(|out| differences(numbers().collect::<Vec<_>>().into_iter(), out)).len();
            assert!(bytes.abs_diff(differences_bytes(numbers())) < 20, "{step}");
        }
    }
}
