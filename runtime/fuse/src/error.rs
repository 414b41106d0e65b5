//! What may stop the making of an adapter.
//!
//! Validation of a component excludes the missing options; limits guard against files made to be large.
//!
//! Invariant: plain data.
//!
//! Does not know: which component the adapter belongs to.

use thiserror::Error;

/// Which end of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The callee.
    Lift,
    /// The caller.
    Lower,
}

/// An adapter that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum FuseError {
    /// Types that need a memory, and an end without one.
    #[error("an adapter needs a memory on its {0:?} end")]
    MemoryMissing(End),
    /// Types that need `realloc`, and an end without it.
    #[error("an adapter needs `realloc` on its {0:?} end")]
    ReallocMissing(End),
    /// An option that its end cannot have: `post-return` or a callback of a lower, `post-return` with `async`.
    #[error("an option does not belong on the {0:?} end")]
    OptionMisplaced(End),
    /// A callee that was not added before.
    #[error("adapter {0} is not in the module yet")]
    UnknownAdapter(u32),
    /// Types nested deeper than [`crate::DEPTH_MAX`].
    #[error("a type is nested deeper than {0}")]
    TooDeep(u32),
    /// More transfer plans than [`crate::PLANS_MAX`].
    #[error("more than {0} transfer plans")]
    TooManyPlans(u32),
    /// A function, or a module, of more bytes than engines accept.
    #[error("adapter code exceeds {0} bytes")]
    TooLarge(usize),
}
