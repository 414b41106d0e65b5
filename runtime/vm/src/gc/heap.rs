//! The heap's memory: two halves of a reservation, and how large they may get.
//!
//! Policy: the active half grows without collecting up to a budget of [`BUDGET_MIN`], then a collection sets the budget to
//! [`BUDGET_PER_LIVE`] times what survived. So a program whose objects die young never copies much, and one with much live
//! data collects each time it has allocated about twice that much again.
//!
//! Invariant: offsets from the base below [`wattest_abi::gc::NULL_GUARD_BYTES`] are never accessible, and
//! `start <= heap_top`; memory is accessible from `start` to `start + capacity`.
//!
//! Does not know: what objects look like.

use crate::limits::Growth;
use crate::store::StoreInner;
use crate::sys::{MapError, Mapping, page_bytes};
use crate::trap::HostError;
use wattest_abi::gc::{NULL_GUARD_BYTES, OBJECT_ALIGN, OBJECT_BYTES_MAX, OBJECT_TYPE};

/// Bytes that may be allocated before the first collection, and at least between two.
const BUDGET_MIN: u64 = 32 << 20;
/// Budget in relation to the bytes that survived.
const BUDGET_PER_LIVE: u64 = 3;
/// A heap is full when a collection, and growth, leave less than one in so many bytes free.
const FREE_SHARE: u64 = 64;
/// First size of the active half in bytes.
const CAPACITY_FIRST: u64 = 256 << 10;
/// Reservation in bytes: all that 32-bit references reach.
const RESERVED_BYTES: usize = 4 << 30;
/// Smallest reservation that is worth having.
const RESERVED_BYTES_MIN: usize = 16 << 20;

/// Why an object was not allocated.
#[derive(Debug)]
pub enum AllocError {
    /// The heap is full, or the object too large.
    Full,
    /// The limiter failed.
    Limiter(HostError),
}

/// How a store collects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapConfig {
    /// Collect, verify and poison at every allocation: to find references that stack maps miss.
    pub stress: bool,
}

/// A heap.
pub(crate) struct Heap {
    mapping: Mapping,
    /// Bytes of each half, the guard before the first included.
    half_bytes: u64,
    /// Which half is active.
    upper: bool,
    /// Accessible bytes of both halves.
    committed: [u64; 2],
    /// Bytes of the active half that may be used.
    capacity: u64,
    /// Bytes of the active half that may be used before a collection.
    budget: u64,
    /// Bytes that survived the last collection.
    live: u64,
    /// Collections so far.
    pub collections: u64,
}

impl Heap {
    /// Reserves a heap.
    pub fn new() -> Result<Heap, MapError> {
        let mut bytes = RESERVED_BYTES;
        let mapping = loop {
            match Mapping::reserve(bytes) {
                Ok(mapping) => break mapping,
                Err(error) if bytes <= RESERVED_BYTES_MIN => return Err(error),
                Err(_) => bytes /= 2,
            }
        };
        Ok(Heap {
            mapping,
            half_bytes: bytes as u64 / 2,
            upper: false,
            committed: [0; 2],
            capacity: 0,
            budget: BUDGET_MIN,
            live: 0,
            collections: 0,
        })
    }

    /// Address of offset 0.
    pub fn base(&self) -> *mut u8 {
        self.mapping.base()
    }

    fn start_of(&self, upper: bool) -> u64 {
        if upper { self.half_bytes } else { u64::from(NULL_GUARD_BYTES) }
    }

    /// Offset of the active half.
    pub fn start(&self) -> u64 {
        self.start_of(self.upper)
    }

    /// Offset of the other half.
    pub fn other_start(&self) -> u64 {
        self.start_of(!self.upper)
    }

    /// Most bytes that a half can have.
    fn capacity_max(&self) -> u64 {
        self.half_bytes - u64::from(NULL_GUARD_BYTES)
    }

    /// Offset that no allocation may pass.
    pub fn limit(&self) -> u64 {
        self.start() + self.capacity
    }

    /// Makes the first `bytes` of a half accessible.
    fn commit(&mut self, upper: bool, bytes: u64) -> Result<(), MapError> {
        let page = page_bytes() as u64;
        let (start, wanted) = (self.start_of(upper), bytes.next_multiple_of(page).min(self.capacity_max()));
        let committed = &mut self.committed[usize::from(upper)];
        if wanted > *committed {
            self.mapping.make_accessible((start + *committed) as usize..(start + wanted) as usize)?;
            *committed = wanted;
        }
        Ok(())
    }

    /// Makes room in the other half for everything in the active one.
    pub fn commit_other(&mut self, bytes: u64) -> Result<(), MapError> {
        self.commit(!self.upper, bytes)
    }

    /// Makes the other half, whose first `live` bytes are in use, the active one.
    pub fn flip(&mut self, live: u64) {
        self.upper = !self.upper;
        self.live = live;
        self.collections += 1;
        self.budget = (live * BUDGET_PER_LIVE).max(BUDGET_MIN).min(self.capacity_max());
        self.capacity = self.capacity.min(self.budget).max(live);
        let capacity = self.capacity;
        // Objects beyond what is accessible already have to ask again.
        if self.commit(self.upper, capacity).is_err() {
            self.capacity = self.committed[usize::from(self.upper)].min(capacity);
        }
        self.release(!self.upper);
    }

    /// Gives back what a half has beyond the budget.
    fn release(&mut self, upper: bool) {
        let (start, keep) = (self.start_of(upper), self.budget.next_multiple_of(page_bytes() as u64));
        let committed = self.committed[usize::from(upper)];
        if committed > keep {
            // SAFETY: nobody refers into the inactive half.
            let _ = unsafe { self.mapping.decommit((start + keep) as usize..(start + committed) as usize) };
        }
    }
}

impl StoreInner {
    /// The heap; made now if there is none yet.
    pub(crate) fn heap(&mut self) -> Result<&mut Heap, MapError> {
        if self.heap.is_none() {
            let heap = Heap::new()?;
            self.context.heap_top = heap.start();
            self.context.heap_limit = heap.start();
            self.heap = Some(heap);
        }
        Ok(self.heap.as_mut().expect("a heap was just made"))
    }

    /// Allocates an object of `bytes`, a multiple of the alignment, with the two header words given; its other bytes are
    /// undefined. May collect: raw references that the caller holds are invalid afterwards.
    pub(crate) fn allocate(&mut self, type_id: u32, bytes: u64, second: u32) -> Result<u32, AllocError> {
        self.heap().map_err(|_| AllocError::Full)?;
        debug_assert!(bytes.is_multiple_of(u64::from(OBJECT_ALIGN)) && bytes > 0);
        if bytes > OBJECT_BYTES_MAX {
            return Err(AllocError::Full);
        }
        if self.context.heap_top + bytes > self.context.heap_limit {
            self.make_room(bytes)?;
        }
        let object = self.context.heap_top;
        self.context.heap_top += bytes;
        let Some(heap) = &self.heap else { return Err(AllocError::Full) };
        // SAFETY: below the limit, memory is accessible and unused.
        unsafe {
            let header = heap.base().add(object as usize + OBJECT_TYPE as usize).cast::<u32>();
            header.write(type_id);
            header.add(1).write(second);
        }
        Ok(object as u32)
    }

    /// Makes room for `bytes` by growing within the budget, collecting, and growing beyond it.
    #[cold]
    fn make_room(&mut self, bytes: u64) -> Result<(), AllocError> {
        let stress = self.config.heap.stress;
        if stress {
            self.collect();
        }
        if !self.fits(bytes) {
            let budget = self.heap.as_ref().map_or(0, |heap| heap.budget);
            self.grow_heap(bytes, budget)?;
        }
        if !self.fits(bytes) {
            self.collect();
            let budget = self.heap.as_ref().map_or(0, |heap| heap.budget);
            // What a collection leaves has to last for a while: a heap that is full but for a few objects would otherwise
            // collect for each of them.
            let room = self.heap.as_ref().map_or(0, |heap| heap.capacity / FREE_SHARE).max(bytes);
            for most in [budget, u64::MAX] {
                if !self.fits(room) {
                    self.grow_heap(room, most)?;
                }
            }
            if !self.fits(room) {
                return Err(AllocError::Full);
            }
        }
        if !self.fits(bytes) {
            return Err(AllocError::Full);
        }
        // Under stress the limit stays where every allocation asks again.
        let limit = self.heap.as_ref().map_or(0, Heap::limit);
        self.context.heap_limit = if stress { 0 } else { limit };
        Ok(())
    }

    fn fits(&self, bytes: u64) -> bool {
        self.heap.as_ref().is_some_and(|heap| self.context.heap_top + bytes <= heap.limit())
    }

    /// Grows the active half so that `bytes` more fit, and at least to twice its size, but not beyond `most`. Leaves it as
    /// it is when that is not enough or not allowed.
    fn grow_heap(&mut self, bytes: u64, most: u64) -> Result<(), AllocError> {
        let Some(heap) = &self.heap else { return Ok(()) };
        let most = most.min(heap.capacity_max());
        let needed = self.context.heap_top - heap.start() + bytes;
        let current = heap.capacity;
        if needed > most {
            return Ok(());
        }
        let preferred = needed.max(2 * current).max(CAPACITY_FIRST).min(most);
        let maximum = usize::try_from(heap.capacity_max()).ok();
        for desired in [preferred, needed] {
            let growth = Growth::Heap { current: current as usize, desired: desired as usize, maximum };
            if !self.allows(growth).map_err(AllocError::Limiter)? {
                continue;
            }
            let Some(heap) = &mut self.heap else { return Ok(()) };
            if heap.commit(heap.upper, desired).is_ok() {
                heap.capacity = desired;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Bytes that objects take, garbage included, and collections so far.
    pub fn heap_usage(&self) -> (u64, u64) {
        self.heap.as_ref().map_or((0, 0), |heap| (self.context.heap_top - heap.start(), heap.collections))
    }
}
