//! How much address space a memory takes.
//!
//! Promises: the layout agrees with [`Tunables::needs_explicit_bounds`], on which compiled code relies: a memory
//! without explicit checks has at least the reservation and the guard that the tunables name.
//!
//! Invariant: `minimum <= capacity`, `minimum <= maximum`, and `capacity + guard` fits the address space.
//!
//! Does not know: how the address space is obtained.

use super::MemoryError;
use crate::sys::{address_limit_bytes, round_up_to_page};
use wattest_abi::Tunables;
use wattest_module::MemoryType;

/// Sizes of a memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Initial length.
    pub minimum: usize,
    /// Largest length, by type and by machine.
    pub maximum: u64,
    /// Address space that the memory can grow into without moving, in whole host pages.
    pub capacity: usize,
    /// Address space after the capacity that always faults, in whole host pages.
    pub guard: usize,
    /// Whether compiled code compares every access with the length. If not, it relies on capacity and guard.
    pub explicit: bool,
    /// Whether the memory may outgrow its capacity by moving.
    pub may_move: bool,
}

impl Layout {
    /// The layout of a memory of type `ty`.
    pub fn new(ty: &MemoryType, tunables: &Tunables) -> Result<Layout, MemoryError> {
        let limit_bytes = address_limit_bytes();
        let too_large = || MemoryError::TooLarge { pages: ty.minimum, page_bytes: ty.page_bytes(), limit_bytes };
        let maximum = maximum_bytes(ty).min(limit_bytes);
        let minimum =
            ty.minimum.checked_mul(ty.page_bytes()).filter(|bytes| *bytes <= maximum).ok_or_else(too_large)?;
        let explicit = tunables.needs_explicit_bounds(ty.index_bits(), ty.page_bytes());
        let capacity = if explicit {
            minimum.max(maximum.min(tunables.memory_reservation_bytes))
        } else {
            minimum.max(tunables.memory_reservation_bytes)
        };
        let in_pages = |bytes: u64| usize::try_from(bytes).ok().and_then(round_up_to_page);
        let capacity = in_pages(capacity).ok_or_else(too_large)?;
        let guard = in_pages(tunables.memory_guard_bytes).ok_or_else(too_large)?;
        capacity.checked_add(guard).ok_or_else(too_large)?;
        let may_move = explicit && tunables.memory_may_move && !ty.shared;
        Ok(Layout { minimum: minimum as usize, maximum, capacity, guard, explicit, may_move })
    }

    /// Address space that the memory takes, in bytes.
    pub fn total(&self) -> usize {
        self.capacity + self.guard
    }
}

/// The largest length that `ty` allows, saturated.
fn maximum_bytes(ty: &MemoryType) -> u64 {
    let pages = ty.maximum.unwrap_or(u64::MAX).min(ty.pages_max());
    pages.saturating_mul(ty.page_bytes())
}
