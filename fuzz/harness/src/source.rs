//! The stream of choices behind every generated case.
//!
//! A seed expands to bytes by a fixed generator (xoshiro256++), and the bytes are read through
//! [`arbitrary::Unstructured`]: a seed replayed here and a file found by libFuzzer go the same way.
//!
//! Invariant: reading never fails; past the end every choice is the first one, so generation ends soon after.
//!
//! Does not know: what is chosen.

use arbitrary::Unstructured;

/// Bytes that one seed expands to: enough for a case of three times the average size.
pub const CASE_BYTES: usize = 16 * 1024;

/// Expands a seed.
pub fn expand(seed: u64) -> Vec<u8> {
    let mut key = seed;
    let mut state = [0u64; 4].map(|_| split_mix(&mut key));
    let mut bytes = Vec::with_capacity(CASE_BYTES);
    while bytes.len() < CASE_BYTES {
        let word = state[0].wrapping_add(state[3]).rotate_left(23).wrapping_add(state[0]);
        let shifted = state[1] << 17;
        state[2] ^= state[0];
        state[3] ^= state[1];
        state[1] ^= state[2];
        state[0] ^= state[3];
        state[2] ^= shifted;
        state[3] = state[3].rotate_left(45);
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The `index`-th seed of a campaign.
pub fn case_seed(campaign: u64, index: u64) -> u64 {
    let mut key = campaign.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ index;
    split_mix(&mut key)
}

fn split_mix(key: &mut u64) -> u64 {
    *key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *key;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Choices, one after the other.
pub struct Source<'a> {
    bytes: Unstructured<'a>,
}

impl<'a> Source<'a> {
    /// Reads from these bytes.
    pub fn new(bytes: &'a [u8]) -> Source<'a> {
        Source { bytes: Unstructured::new(bytes) }
    }

    /// The rest, for generators that read [`Unstructured`] themselves.
    pub fn unstructured(&mut self) -> &mut Unstructured<'a> {
        &mut self.bytes
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A number below `count`; 0 where `count` is.
    pub fn below(&mut self, count: usize) -> usize {
        match count {
            0 | 1 => 0,
            2..=64 => usize::from(self.byte()) % count,
            _ => usize::from(u16::from_le_bytes(self.array())) % count,
        }
    }

    /// A number in a range, ends included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True with a probability of `percent` in a hundred.
    pub fn percent(&mut self, percent: u32) -> bool {
        u32::from(self.byte()) * 100 < percent * 256
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        // Past the end `fill_buffer` gives zeros; it has no other failure.
        let _ = self.bytes.fill_buffer(&mut array);
        array
    }
}
