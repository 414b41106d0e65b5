//! Shared linear memories
//! ([proposal](https://github.com/WebAssembly/threads/blob/main/proposals/threads/Overview.md)).
//!
//! Promises: a shared memory never moves; a length, once observed, never shrinks; atomic access checks alignment, then
//! bounds, as [`check_atomic`] does.
//!
//! Invariant: the definition's length is stored only by [`Growth`], after the bytes became accessible.
//!
//! Does not know: instances; they hold the address of the definition.

use super::growth::Growth;
use super::linear::{check_image, create};
use super::{ImageRef, Layout, MemoryError, Parking, WaitOutcome};
use crate::sys::{Mapping, round_up_to_page};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use wattest_abi::vmctx::VmMemoryDefinition;
use wattest_abi::{TrapCode, Tunables};
use wattest_module::MemoryType;

/// A memory of many threads. Clones refer to the same memory.
#[derive(Clone, Debug)]
pub struct SharedMemory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ty: MemoryType,
    definition: VmMemoryDefinition,
    capacity: usize,
    mapping: Mapping,
    growth: Growth,
    parking: Parking,
}

// SAFETY: the definition's base is constant and its length atomic; the bytes are only offered as atomics.
unsafe impl Send for Shared {}
// SAFETY: as above; growth is serialized by its lock.
unsafe impl Sync for Shared {}

impl SharedMemory {
    /// A shared memory that reserves its maximum.
    pub fn new(ty: MemoryType, tunables: &Tunables, image: Option<&ImageRef>) -> Result<SharedMemory, MemoryError> {
        if !ty.shared {
            return Err(MemoryError::Sharing { shared: false });
        }
        let mut layout = Layout::new(&ty, tunables)?;
        check_image(image, layout.minimum)?;
        let whole = usize::try_from(layout.maximum).ok().and_then(round_up_to_page).unwrap_or(layout.capacity);
        layout.capacity = layout.capacity.max(whole);
        let mapping = create(&layout, image)?;
        let definition = VmMemoryDefinition { base: mapping.base(), length: AtomicUsize::new(layout.minimum) };
        let Layout { maximum, capacity, .. } = layout;
        let growth = Growth::new(ty.page_bytes_log2, maximum.min(capacity as u64));
        let parking = Parking::default();
        Ok(SharedMemory(Arc::new(Shared { ty, definition, capacity, mapping, growth, parking })))
    }

    /// The type it was made with.
    pub fn ty(&self) -> &MemoryType {
        &self.0.ty
    }

    /// Address of byte 0. Never changes.
    pub fn base(&self) -> *mut u8 {
        self.0.mapping.base()
    }

    /// Current length in bytes.
    pub fn len_bytes(&self) -> usize {
        self.0.definition.length.load(Ordering::Acquire)
    }

    /// Current length in pages.
    pub fn pages(&self) -> u64 {
        self.len_bytes() as u64 >> self.0.ty.page_bytes_log2
    }

    /// The definition that compiled code of every thread reads: valid as long as any clone of the memory exists.
    pub fn definition(&self) -> *const VmMemoryDefinition {
        &self.0.definition
    }

    /// The same, as a reference.
    pub(crate) fn definition_ref(&self) -> &VmMemoryDefinition {
        &self.0.definition
    }

    /// Whether code compiled with `tunables` may use the memory: whether it has the address space and guard that such
    /// code relies on instead of checking bounds.
    pub fn suits(&self, tunables: &Tunables) -> bool {
        let guard = self.0.mapping.bytes().saturating_sub(self.0.capacity);
        Layout::new(&self.0.ty, tunables)
            .is_ok_and(|layout| layout.explicit || (self.0.capacity >= layout.capacity && guard >= layout.guard))
    }

    /// Whether both are the same memory.
    pub fn same(&self, other: &SharedMemory) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Address space that belongs to the memory, guard included: a fault in it is the memory's.
    pub fn address_range(&self) -> std::ops::Range<usize> {
        let base = self.base() as usize;
        base..base + self.0.mapping.bytes()
    }

    /// The bytes that exist now.
    pub fn data(&self) -> &[AtomicU8] {
        // SAFETY: the range is accessible and stays so while `self` lives; guests access it too, which is why it is
        // only offered as atomics.
        unsafe { std::slice::from_raw_parts(self.base().cast::<AtomicU8>(), self.len_bytes()) }
    }

    /// Grows by `delta_pages` and returns the old size in pages; `None` when the maximum or the machine do not allow
    /// it.
    ///
    /// # Errors
    ///
    /// The system refused; the memory is unchanged. A guest is answered -1.
    pub fn grow(&self, delta_pages: u64) -> Result<Option<u64>, MemoryError> {
        let shared = &*self.0;
        let accessible = |bytes| shared.mapping.make_accessible(bytes).map_err(MemoryError::from);
        shared.growth.grow(&shared.definition.length, delta_pages, accessible)
    }

    /// `memory.atomic.notify`: wakes at most `count` waiters at byte `address`, first come first woken, and returns how
    /// many.
    pub fn notify(&self, address: u64, count: u32) -> Result<u32, TrapCode> {
        let address = check_atomic(address, 4, self.len_bytes())?;
        Ok(self.0.parking.notify(address as u64, count))
    }

    /// `memory.atomic.wait32`: sleeps while the value at byte `address` was `expected`, until notified or until
    /// `timeout_ns` nanoseconds have passed (negative: forever).
    pub fn wait32(&self, address: u64, expected: u32, timeout_ns: i64) -> Result<WaitOutcome, TrapCode> {
        let address = check_atomic(address, 4, self.len_bytes())?;
        // SAFETY: in bounds, aligned (the base is page aligned), accessible while `self` lives, accessed atomically.
        let cell = unsafe { &*self.base().add(address).cast::<AtomicU32>() };
        let unchanged = || cell.load(Ordering::SeqCst) == expected.to_le();
        Ok(self.0.parking.wait(address as u64, timeout_ns, unchanged))
    }

    /// `memory.atomic.wait64`: as [`SharedMemory::wait32`] for eight bytes.
    pub fn wait64(&self, address: u64, expected: u64, timeout_ns: i64) -> Result<WaitOutcome, TrapCode> {
        let address = check_atomic(address, 8, self.len_bytes())?;
        // SAFETY: as in `wait32`.
        let cell = unsafe { &*self.base().add(address).cast::<AtomicU64>() };
        let unchanged = || cell.load(Ordering::SeqCst) == expected.to_le();
        Ok(self.0.parking.wait(address as u64, timeout_ns, unchanged))
    }
}

/// Checks an atomic access of `bytes` bytes (a power of two) at byte `address` of a memory of `length` bytes: alignment
/// first, then bounds.
///
/// ```
/// use wattest_abi::TrapCode;
/// use wattest_vm::memory::check_atomic;
/// assert_eq!(check_atomic(4, 4, 8), Ok(4));
/// assert_eq!(check_atomic(6, 4, 8), Err(TrapCode::UnalignedAtomic));
/// assert_eq!(check_atomic(8, 4, 8), Err(TrapCode::MemoryOutOfBounds));
/// ```
pub fn check_atomic(address: u64, bytes: u64, length: usize) -> Result<usize, TrapCode> {
    if !address.is_multiple_of(bytes) {
        return Err(TrapCode::UnalignedAtomic);
    }
    match address.checked_add(bytes) {
        Some(end) if end <= length as u64 => Ok(address as usize),
        _ => Err(TrapCode::MemoryOutOfBounds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(minimum: u64, maximum: u64) -> SharedMemory {
        let ty = MemoryType { memory64: false, shared: true, minimum, maximum: Some(maximum), page_bytes_log2: 16 };
        SharedMemory::new(ty, &Tunables::default(), None).unwrap()
    }

    #[test]
    fn growth_is_seen_by_all_and_bounded() {
        let memory = shared(1, 3);
        let other = memory.clone();
        let base = memory.base();
        let steps = [(1, Some(1)), (2, None), (1, Some(2)), (1, None), (0, Some(3)), (u64::MAX, None)];
        for (delta, expected) in steps {
            assert_eq!(other.grow(delta).unwrap(), expected, "grow by {delta}");
        }
        assert_eq!((memory.pages(), memory.base()), (3, base));
        assert!(memory.data().iter().all(|byte| byte.load(Ordering::Relaxed) == 0));
        memory.data()[3 * 65_536 - 1].store(7, Ordering::Relaxed);
        // SAFETY: the memory is alive.
        assert_eq!(unsafe { &*memory.definition() }.length.load(Ordering::Relaxed), 3 * 65_536);
    }

    #[test]
    fn concurrent_growth_adds_up() {
        let memory = shared(0, 64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..16).for_each(|_| assert!(memory.grow(1).unwrap().is_some())));
            }
        });
        assert_eq!((memory.pages(), memory.grow(1).unwrap()), (64, None));
    }

    #[test]
    fn waits_check_their_address_and_value() {
        let memory = shared(1, 1);
        let end = 65_536;
        assert_eq!(memory.wait32(2, 0, 0), Err(TrapCode::UnalignedAtomic));
        assert_eq!(memory.wait64(4, 0, 0), Err(TrapCode::UnalignedAtomic));
        assert_eq!(memory.wait32(end, 0, 0), Err(TrapCode::MemoryOutOfBounds));
        assert_eq!(memory.notify(u64::MAX - 3, 0), Err(TrapCode::MemoryOutOfBounds));
        assert_eq!(memory.wait32(end - 4, 1, -1), Ok(WaitOutcome::NotEqual));
        assert_eq!(memory.wait32(end - 4, 0, 0), Ok(WaitOutcome::TimedOut));
        assert_eq!(memory.wait64(8, 0, 1_000), Ok(WaitOutcome::TimedOut));
        assert_eq!(memory.notify(8, u32::MAX), Ok(0));
    }

    #[test]
    fn a_notifier_that_stores_first_is_never_missed() {
        let memory = shared(1, 1);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| memory.wait32(0, 0, -1));
            memory.data()[0].store(1, Ordering::SeqCst);
            // Either the waiter saw the store, or it is queued by now or will see the store when it looks.
            while !waiter.is_finished() {
                memory.notify(0, 1).unwrap();
                std::thread::yield_now();
            }
            assert!(matches!(waiter.join().unwrap(), Ok(WaitOutcome::Woken | WaitOutcome::NotEqual)));
        });
    }

    #[test]
    fn sharing_must_match_the_type() {
        let ty = MemoryType { memory64: false, shared: false, minimum: 0, maximum: None, page_bytes_log2: 16 };
        assert!(matches!(
            SharedMemory::new(ty, &Tunables::default(), None),
            Err(MemoryError::Sharing { shared: false })
        ));
    }
}
