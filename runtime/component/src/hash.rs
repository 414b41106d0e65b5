//! The hash of nodes and terms.
//!
//! Hash-consing hashes every node several times, and SipHash takes most of the time of making a plan. This one multiplies each
//! word into the state and folds the 128 bits of the product
//! ([the method](https://github.com/orlp/foldhash)), with a key that differs from map to map, so that a component
//! cannot be made whose nodes all collide.
//!
//! Invariant: equal values have equal hashes within one map; nothing else is promised.
//!
//! Does not know: what is hashed.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// An odd number without pattern (the golden ratio's bits).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashers with one key.
#[derive(Clone, Debug)]
pub(crate) struct Folding {
    key: u64,
}

impl Default for Folding {
    fn default() -> Folding {
        Folding { key: RandomState::new().hash_one(MULTIPLIER) }
    }
}

impl BuildHasher for Folding {
    type Hasher = FoldingHasher;

    fn build_hasher(&self) -> FoldingHasher {
        FoldingHasher { state: self.key, key: self.key | 1 }
    }
}

/// What stands in an empty place of an [`Index`].
const EMPTY: u32 = u32::MAX;
/// Places that an index keeps when it is cleared.
const PLACES_KEPT: usize = 1 << 12;

/// Finds rows of a vector by what they are, without a copy of them: a table of their numbers, open addressing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    hashes: Folding,
    places: Vec<(u64, u32)>,
    len: usize,
}

impl Index {
    /// The hash of a value, as the other functions want it.
    pub(crate) fn hash(&self, value: &impl Hash) -> u64 {
        self.hashes.hash_one(value)
    }

    /// The row with this hash for which `is_it` holds.
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let (known, row) = self.places[at];
            if row == EMPTY {
                return None;
            }
            if known == hash && is_it(row) {
                return Some(row);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a row that is not there.
    pub(crate) fn insert(&mut self, hash: u64, row: u32) {
        // At most three quarters are taken.
        if self.places.len() * 3 <= self.len * 4 {
            let more = (self.places.len() * 2).max(64);
            let old = std::mem::replace(&mut self.places, vec![(0, EMPTY); more]);
            old.into_iter().filter(|(_, row)| *row != EMPTY).for_each(|(hash, row)| self.put(hash, row));
        }
        self.put(hash, row);
        self.len += 1;
    }

    fn put(&mut self, hash: u64, row: u32) {
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        while self.places[at].1 != EMPTY {
            at = (at + 1) & mask;
        }
        self.places[at] = (hash, row);
    }

    /// Without rows again.
    pub(crate) fn clear(&mut self) {
        self.places.truncate(PLACES_KEPT);
        self.places.fill((0, EMPTY));
        self.len = 0;
    }
}

pub(crate) struct FoldingHasher {
    state: u64,
    key: u64,
}

impl FoldingHasher {
    #[inline]
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key ^ MULTIPLIER);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for FoldingHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word) ^ ((chunk.len() as u64) << 56));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.fold(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.fold(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.fold(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.fold(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.fold(number as u64);
    }

    fn finish(&self) -> u64 {
        // One more fold: the last word has reached only the product's middle.
        let product = u128::from(self.state) * u128::from(MULTIPLIER);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_are_found_by_what_they_are() {
        let (mut index, mut rows) = (Index::default(), Vec::new());
        for round in 0..3 {
            for number in 0..1_000u32 {
                let hash = index.hash(&number);
                assert_eq!(index.find(hash, |row| rows[row as usize] == number), None);
                index.insert(hash, rows.len() as u32);
                rows.push(number);
            }
            for number in 0..1_000 {
                let found = index.find(index.hash(&number), |row| rows[row as usize] == number);
                assert_eq!(found, Some(number), "{round}");
            }
            // All hashes equal: still found.
            assert_eq!(index.find(index.hash(&5), |_| false), None);
            index.clear();
            rows.clear();
        }
    }

    #[test]
    fn hashes_differ_in_every_part() {
        let hashes = Folding::default();
        let mut seen = BTreeSet::new();
        for number in 0..10_000u32 {
            seen.insert(hashes.hash_one((number, 0u8)));
            seen.insert(hashes.hash_one((0u32, 1u8, number)));
            seen.insert(hashes.hash_one(number.to_string()));
        }
        assert_eq!(seen.len(), 30_000);
        // Low bits choose the bucket, high bits the tag within it.
        let low: BTreeSet<u64> = seen.iter().map(|hash| hash & 0xfff).collect();
        let high: BTreeSet<u64> = seen.iter().map(|hash| hash >> 52).collect();
        assert!(low.len() > 4_000 && high.len() > 4_000, "{} {}", low.len(), high.len());
    }
}
