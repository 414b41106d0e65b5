//! The order in which free slots are handed out.
//!
//! Promises: a slot that last held the wanted image first, then one that was never used, then the one that has been
//! free for longest; all in amortized constant time.
//!
//! Invariant: an entry of `by_image` or `by_age` counts only if its stamp is the slot's current one and the slot is
//! free; stale entries are dropped when met, and all of them once they outnumber the slots.
//!
//! Does not know: mappings.

use std::collections::{HashMap, VecDeque};

/// A position in the pool.
pub(super) type Slot = u32;

#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: Slot,
    stamp: u64,
}

/// Free slots.
#[derive(Debug)]
pub(super) struct FreeSlots {
    /// The slots from here on were never used.
    fresh: Slot,
    count: Slot,
    /// Per used slot: the stamp of its last release, or 0 while it is taken.
    stamps: Vec<u64>,
    next_stamp: u64,
    // ORDER: only looked up, never iterated.
    by_image: HashMap<u64, Vec<Entry>>,
    by_age: VecDeque<Entry>,
}

impl FreeSlots {
    pub fn new(count: Slot) -> FreeSlots {
        let (stamps, by_image, by_age) = (Vec::new(), HashMap::new(), VecDeque::new());
        FreeSlots { fresh: 0, count, stamps, next_stamp: 1, by_image, by_age }
    }

    /// Takes the best free slot for `image`.
    pub fn take(&mut self, image: Option<u64>) -> Option<Slot> {
        let slot = self.take_by_image(image).or_else(|| self.take_fresh()).or_else(|| self.take_oldest())?;
        self.stamps[slot as usize] = 0;
        Some(slot)
    }

    fn is_current(&self, entry: Entry) -> bool {
        self.stamps[entry.slot as usize] == entry.stamp
    }

    fn take_by_image(&mut self, image: Option<u64>) -> Option<Slot> {
        let image = image?;
        let mut entries = self.by_image.remove(&image)?;
        let mut found = None;
        while found.is_none()
            && let Some(entry) = entries.pop()
        {
            found = self.is_current(entry).then_some(entry.slot);
        }
        if !entries.is_empty() {
            self.by_image.insert(image, entries);
        }
        found
    }

    fn take_fresh(&mut self) -> Option<Slot> {
        let slot = (self.fresh < self.count).then_some(self.fresh)?;
        self.fresh += 1;
        self.stamps.push(0);
        Some(slot)
    }

    fn take_oldest(&mut self) -> Option<Slot> {
        while let Some(entry) = self.by_age.pop_front() {
            if self.is_current(entry) {
                return Some(entry.slot);
            }
        }
        None
    }

    /// Returns `slot`, which now holds `image`.
    pub fn put(&mut self, slot: Slot, image: Option<u64>) {
        let entry = Entry { slot, stamp: self.next_stamp };
        self.next_stamp += 1;
        self.stamps[slot as usize] = entry.stamp;
        self.by_age.push_back(entry);
        if let Some(image) = image {
            self.by_image.entry(image).or_default().push(entry);
        }
        if self.by_age.len() > 2 * self.stamps.len() + 16 {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let stamps = &self.stamps;
        let current = |entry: &Entry| stamps[entry.slot as usize] == entry.stamp;
        self.by_age.retain(current);
        self.by_image.retain(|_, entries| {
            entries.retain(current);
            !entries.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affinity_then_fresh_then_oldest() {
        let mut free = FreeSlots::new(3);
        assert_eq!((free.take(Some(7)), free.take(Some(8))), (Some(0), Some(1)));
        free.put(0, Some(7));
        free.put(1, Some(8));
        assert_eq!(free.take(Some(8)), Some(1), "affinity");
        assert_eq!(free.take(Some(9)), Some(2), "fresh");
        assert_eq!(free.take(None), Some(0), "oldest");
        assert_eq!(free.take(Some(7)), None, "all taken");
        free.put(2, None);
        assert_eq!(free.take(Some(7)), Some(2));
    }

    #[test]
    fn bookkeeping_stays_small() {
        let mut free = FreeSlots::new(4);
        for round in 0..10_000u64 {
            let slot = free.take(Some(round % 3)).unwrap();
            free.put(slot, Some(round % 3));
        }
        assert!(free.by_age.len() <= 32 && free.by_image.values().map(Vec::len).sum::<usize>() <= 64);
    }
}
