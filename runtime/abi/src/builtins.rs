//! The builtin table: functions of the virtual machine that compiled code calls.
//!
//! One row per builtin: its name, its parameters after the leading `vmctx`, its result. `compile` derives signatures and
//! table offsets from the rows, `vm` derives the table itself and a check that every body exists.
//!
//! Calling convention: System V. The first parameter is always the calling instance's `vmctx`. Compiled code loads the
//! table from [`crate::vmctx::BUILTINS`] and the entry at [`Builtin::offset`]. The entry is a thunk that records the
//! calling frame for backtraces and then runs the body.
//!
//! Failure: a row marked `traps` may unwind to the host by itself and then does not return; a row marked `checked` returns
//! 0 (false) to make the caller trap with the code that the row's documentation names; a plain row never fails.
//!
//! Invariant: a row's position is its offset in the table; rows are only appended within one artifact version.
//!
//! Does not know: how bodies are implemented.

/// The machine type of a builtin's parameter or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// Pointer-sized integer: a host address.
    Pointer,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector, in a vector register.
    V128,
}

/// How a builtin may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Never fails.
    None,
    /// Returns an `i32`: 0 makes the caller trap.
    Checked,
    /// May unwind to the host instead of returning.
    Traps,
}

/// Calls `$callback!` with every builtin row:
/// `$(#[doc])* name(param: type, …) -> result, failure;`.
#[macro_export]
macro_rules! for_each_builtin {
    ($callback:ident) => {
        $callback! {
            /// `memory.grow`: adds `delta` pages to memory `memory`, returns the old size in pages or -1.
            memory_grow(memory: I32, delta: I64) -> I64, Traps;
            /// `memory.fill`; 0: out of bounds memory access.
            memory_fill(memory: I32, dst: I64, value: I32, len: I64) -> I32, Checked;
            /// `memory.copy`; 0: out of bounds memory access.
            memory_copy(dst_memory: I32, dst: I64, src_memory: I32, src: I64, len: I64) -> I32, Checked;
            /// `memory.init`; 0: out of bounds memory access.
            memory_init(memory: I32, data: I32, dst: I64, src: I32, len: I32) -> I32, Checked;
            /// `data.drop`.
            data_drop(data: I32) -> I32, None;
            /// `memory.atomic.notify` at byte address `address`, which compiled code has checked for alignment only;
            /// returns the number of woken waiters, or -1: out of bounds memory access.
            memory_atomic_notify(memory: I32, address: I64, count: I32) -> I64, Traps;
            /// `memory.atomic.wait32`; returns 0, 1 or 2. Traps by itself.
            memory_atomic_wait32(memory: I32, address: I64, expected: I32, timeout_ns: I64) -> I32, Traps;
            /// `memory.atomic.wait64`; returns 0, 1 or 2. Traps by itself.
            memory_atomic_wait64(memory: I32, address: I64, expected: I64, timeout_ns: I64) -> I32, Traps;
            /// `table.grow` with the raw reference `value`; returns the old size or -1.
            table_grow(table: I32, value: I64, delta: I64) -> I64, Traps;
            /// `table.fill` with the raw reference `value`; 0: out of bounds table access.
            table_fill(table: I32, dst: I64, value: I64, len: I64) -> I32, Checked;
            /// `table.copy`; 0: out of bounds table access.
            table_copy(dst_table: I32, dst: I64, src_table: I32, src: I64, len: I64) -> I32, Checked;
            /// `table.init`; 0: out of bounds table access.
            table_init(table: I32, element: I32, dst: I64, src: I32, len: I32) -> I32, Checked;
            /// `elem.drop`.
            elem_drop(element: I32) -> I32, None;
            /// Called when the fuel counter has reached zero: refills it or traps.
            out_of_fuel() -> I32, Traps;
            /// Called when the epoch has reached the deadline: returns the new deadline or traps.
            new_epoch() -> I64, Traps;
            /// Traps with the given [`crate::TrapCode`] at the calling instruction. Used where hardware traps are off.
            trap(code: I32) -> I32, Traps;
            /// Throws `exception`, which is not null, from the calling instruction: never returns.
            throw_ref(exception: I32) -> I32, Traps;
            /// `f32.ceil` for CPUs without a rounding instruction.
            f32_ceil(x: F32) -> F32, None;
            /// `f64.ceil` for CPUs without a rounding instruction.
            f64_ceil(x: F64) -> F64, None;
            /// `f32.floor` for CPUs without a rounding instruction.
            f32_floor(x: F32) -> F32, None;
            /// `f64.floor` for CPUs without a rounding instruction.
            f64_floor(x: F64) -> F64, None;
            /// `f32.trunc` for CPUs without a rounding instruction.
            f32_trunc(x: F32) -> F32, None;
            /// `f64.trunc` for CPUs without a rounding instruction.
            f64_trunc(x: F64) -> F64, None;
            /// `f32.nearest` for CPUs without a rounding instruction.
            f32_nearest(x: F32) -> F32, None;
            /// `f64.nearest` for CPUs without a rounding instruction.
            f64_nearest(x: F64) -> F64, None;
            /// Fused multiply-add of one lane, for CPUs without such an instruction.
            f32_fma(x: F32, y: F32, z: F32) -> F32, None;
            /// Fused multiply-add of one lane, for CPUs without such an instruction.
            f64_fma(x: F64, y: F64, z: F64) -> F64, None;
            /// Allocates an object of `bytes` with the header words `type_id` and `second` where the allocation pointer
            /// may not go on: collects, grows the heap, or traps. The object's other bytes are undefined.
            gc_alloc(type_id: I32, bytes: I64, second: I32) -> I32, Traps;
            /// `array.new_data` for the module's type `ty`; traps by itself.
            array_new_data(ty: I32, data: I32, src: I32, len: I32) -> I32, Traps;
            /// `array.new_elem` for the module's type `ty`; traps by itself.
            array_new_elem(ty: I32, element: I32, src: I32, len: I32) -> I32, Traps;
            /// `array.init_data` to the distance `at` from the heap's base, which compiled code has checked; 0: out of
            /// bounds memory access.
            array_init_data(at: I64, data: I32, src: I32, bytes: I64) -> I32, Checked;
            /// `array.init_elem` to the distance `at` from the heap's base, which compiled code has checked; 0: out of
            /// bounds table access.
            array_init_elem(at: I64, element: I32, src: I32, len: I32) -> I32, Checked;
            /// Moves `bytes` within the heap; distances are from its base and checked by compiled code.
            heap_move(to: I64, from: I64, bytes: I64) -> I32, None;
            /// Stores `count` times the low `1 << scale` bytes of `value` from the distance `at` of the heap's base on.
            heap_fill(at: I64, value: I64, count: I64, scale: I32) -> I32, None;
            /// Stores `count` times the vector `high:low` from the distance `at` of the heap's base on.
            heap_fill_v128(at: I64, low: I64, high: I64, count: I64) -> I32, None;
        }
    };
}

macro_rules! declare {
    ($($(#[$doc:meta])* $name:ident($($param:ident: $ty:ident),*) -> $result:ident, $failure:ident;)*) => {
        /// A row of the builtin table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(non_camel_case_types, reason = "a row's name is also the name of its body")]
        #[repr(u32)]
        pub enum Builtin {
            $($(#[$doc])* $name,)*
        }

        impl Builtin {
            /// Every builtin, in table order.
            pub const ALL: &[Builtin] = &[$(Builtin::$name),*];

            /// The row's name.
            pub const fn name(self) -> &'static str {
                match self { $(Builtin::$name => stringify!($name),)* }
            }

            /// The parameters after `vmctx`.
            pub const fn params(self) -> &'static [BuiltinType] {
                match self { $(Builtin::$name => &[$(BuiltinType::$ty),*],)* }
            }

            /// The result.
            pub const fn result(self) -> BuiltinType {
                match self { $(Builtin::$name => BuiltinType::$result,)* }
            }

            /// How the builtin may fail.
            pub const fn failure(self) -> Failure {
                match self { $(Builtin::$name => Failure::$failure,)* }
            }

            /// Byte offset of the builtin's entry in the table that [`crate::vmctx::BUILTINS`] points to.
            ///
            /// ```
            /// use wattest_abi::Builtin;
            /// assert_eq!(Builtin::memory_grow.offset(), 0);
            /// ```
            pub const fn offset(self) -> u32 {
                self as u32 * 8
            }
        }
    };
}
for_each_builtin!(declare);
