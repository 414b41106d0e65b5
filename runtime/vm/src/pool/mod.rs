//! Pools: storage that outlives its users and is handed out again.
//!
//! [`MemoryPool`] keeps slots of address space for linear memories; [`BlockPool`] keeps zeroed heap blocks for tables
//! and instance contexts; [`StackPool`] keeps stacks for computations of their own.
//!
//! Promises: what one user wrote is never seen by the next: storage is reset when it is returned, and storage whose
//! reset failed is never handed out again.
//!
//! Invariant: a slot or block is either free or owned by exactly one value.
//!
//! Does not know: what is stored.

mod blocks;
mod memories;
mod slots;
mod stacks;

pub use blocks::{Block, BlockPool};
pub use memories::{MemoryPool, PoolConfig, PooledMemory};
pub(crate) use stacks::OwnStack;
pub use stacks::{StackError, StackPool, StackPoolConfig};
