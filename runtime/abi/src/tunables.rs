//! Tunables: every choice that changes generated code or that generated code relies on.
//!
//! Invariant: two modules compiled with equal tunables for equal CPU features from equal bytes are equal. An artifact
//! carries its tunables and is refused by an engine whose own differ.
//!
//! Does not know: how an engine is configured; `embed` derives these values from its option table.

/// Effort of the code generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OptLevel {
    /// No mid-end optimization.
    None = 0,
    /// Optimize for speed.
    Speed = 1,
    /// Optimize for speed and size.
    SpeedAndSize = 2,
}

/// Register allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RegAlloc {
    /// Backtracking: slower to compile, faster code.
    Backtracking = 0,
    /// Single pass: fast to compile, slow code.
    SinglePass = 1,
}

/// How a function of a module calls another function of the same module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CallPath {
    /// A direct, position-relative call.
    Direct = 0,
    /// A call through the module's entry array, whose entries a later tier may replace by an atomic store.
    Entry = 1,
}

/// Everything that changes generated code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tunables {
    /// Optimization level.
    pub opt_level: OptLevel,
    /// Register allocator.
    pub regalloc: RegAlloc,
    /// Intra-module call path.
    pub call_path: CallPath,
    /// Bytes of address space reserved for a linear memory whose index type is 32 bits (or whose maximum fits). 64-bit
    /// memories whose maximum does not fit use explicit checks within the same reservation.
    pub memory_reservation_bytes: u64,
    /// Bytes of inaccessible address space after the reservation. Static offsets below it need no check of their own.
    pub memory_guard_bytes: u64,
    /// Whether a memory may be moved when it outgrows its reservation. When false, growth beyond the reservation fails,
    /// and compiled code may treat the base address as constant.
    pub memory_may_move: bool,
    /// Check every memory access explicitly, even where guard pages would catch it.
    pub explicit_bounds: bool,
    /// Use hardware faults (guard pages, `ud2`, division) to detect traps. When false, every trap is an explicit check
    /// that calls the `trap` builtin, and no signal handler is needed.
    pub signals_based_traps: bool,
    /// Mask indices after explicit bounds checks so that mispredicted branches cannot read out of bounds.
    pub spectre_mitigation: bool,
    /// Count fuel.
    pub fuel: bool,
    /// Poll the epoch at function entry and loop back-edges.
    pub epoch: bool,
    /// Canonicalize every NaN that an arithmetic operation produces.
    pub nan_canonicalization: bool,
    /// Use the deterministic profile's results for relaxed SIMD.
    pub relaxed_simd_deterministic: bool,
    /// Record the byte offset of every instruction that can trap or call, for backtraces.
    pub addresses: bool,
    /// Keep locals of numeric types in the frame, too, where core dumps find them.
    pub keep_locals: bool,
}

impl Default for Tunables {
    fn default() -> Tunables {
        Tunables {
            opt_level: OptLevel::Speed,
            regalloc: RegAlloc::Backtracking,
            call_path: CallPath::Direct,
            memory_reservation_bytes: 4 << 30,
            memory_guard_bytes: 32 << 20,
            memory_may_move: false,
            explicit_bounds: false,
            signals_based_traps: true,
            spectre_mitigation: true,
            fuel: false,
            epoch: false,
            nan_canonicalization: false,
            relaxed_simd_deterministic: false,
            addresses: true,
            keep_locals: false,
        }
    }
}

impl Tunables {
    /// Whether accesses to a memory need an explicit comparison with its length.
    ///
    /// `index_bits` is 32 or 64, `page_bytes` the memory's page size. A memory without explicit checks relies on the
    /// whole index range being reserved: an access at `index + offset` is caught by the guard when `offset` plus the
    /// access size stays within [`Tunables::memory_guard_bytes`].
    ///
    /// ```
    /// use wattest_abi::Tunables;
    /// let tunables = Tunables::default();
    /// assert!(!tunables.needs_explicit_bounds(32, 65_536));
    /// assert!(tunables.needs_explicit_bounds(64, 65_536));
    /// assert!(tunables.needs_explicit_bounds(32, 1));
    /// ```
    pub fn needs_explicit_bounds(&self, index_bits: u32, page_bytes: u64) -> bool {
        self.explicit_bounds
            || !self.signals_based_traps
            || index_bits != 32
            || page_bytes < crate::WASM_PAGE_BYTES
            || self.memory_reservation_bytes < (1 << 32)
    }

    /// A stable byte form, part of artifact headers and cache keys.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.opt_level as u8, self.regalloc as u8, self.call_path as u8];
        bytes.extend(self.memory_reservation_bytes.to_le_bytes());
        bytes.extend(self.memory_guard_bytes.to_le_bytes());
        let flags = [
            self.memory_may_move,
            self.explicit_bounds,
            self.signals_based_traps,
            self.spectre_mitigation,
            self.fuel,
            self.epoch,
            self.nan_canonicalization,
            self.relaxed_simd_deterministic,
            self.addresses,
            self.keep_locals,
        ];
        bytes.extend(flags.map(u8::from));
        bytes
    }
}
