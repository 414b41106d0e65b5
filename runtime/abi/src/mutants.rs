//! The mutant switch: faults planted on purpose, to measure what the harness would miss.
//!
//! This module exists only under `--cfg wattest_mutants`; an ordinary build holds neither its code nor its strings (a test
//! of the harness proves it on the binary). A fault is one row of the table below and one `mutant!(name)` at the place
//! where it strikes: the macro is the constant `false` in ordinary builds. At most one fault is on at a time, for the whole
//! process. Crates that do not depend on this one name it under `[target.'cfg(wattest_mutants)'.dependencies]` and put
//! `#[cfg(wattest_mutants)]` before the statement.
//!
//! Invariant: with no fault switched on, a build with this module computes what an ordinary build does. A row's name is
//! also the name of its witness (`fuzz/harness/witnesses/NAME.wast`, or a row of `witness.rs` there), which fails only
//! while the fault is on.
//!
//! Does not know: where faults strike, and who finds them.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

/// What a fault is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Integer operations, as they are lowered to machine code.
    Integer,
    /// Floating-point operations.
    Float,
    /// Vector operations.
    Simd,
    /// Control flow.
    Control,
    /// Bounds checks and guard regions of memories.
    Bounds,
    /// 64-bit memories and tables.
    Memory64,
    /// Bulk operations, tables and segments.
    Bulk,
    /// Calls, tail calls and host functions.
    Calls,
    /// Globals.
    Globals,
    /// Exceptions.
    Exceptions,
    /// Garbage collection and the type registry.
    Gc,
    /// Loading of artifacts.
    Artifact,
    /// Fuel and epochs.
    Interruption,
    /// Components: the canonical ABI, plans, tasks, resources.
    Component,
    /// WASI.
    Wasi,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// The fault.
    pub mutant: Mutant,
    /// Its name with the prefix [`PREFIX`].
    tagged: &'static str,
    /// What it is in.
    pub layer: Layer,
    /// The advisory or the bug that it is modelled on, else why somebody might write it.
    pub reason: &'static str,
    /// In what it can show.
    pub shown: Shown,
}

/// In what a fault can show, which is what a failing case of it can be reduced to.
///
/// A script has modules and components, calls of their exports, and the options of its configuration. It has no host that
/// answers, no instance that is gone before another is made, no file of an artifact, no fuel and no clock, and no system
/// interface. A fault that strikes between guests, or between a guest and its configuration, shows in a script; its witness
/// is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// In a script.
    Script,
    /// In a stored case only, for this reason.
    Case(&'static str),
}

/// Marks the strings of this table in a binary.
pub const PREFIX: &str = "wattest-mutant/";

impl Row {
    /// The fault's name.
    pub fn name(&self) -> &'static str {
        &self.tagged[PREFIX.len()..]
    }
}

macro_rules! shown {
    () => {
        Shown::Script
    };
    ($why:expr) => {
        Shown::Case($why)
    };
}

/// Rows are: name, layer, reason, and for those that no script can show, why.
macro_rules! mutants {
    ($($name:ident, $layer:ident, $reason:literal $(, $why:expr)?;)*) => {
        /// A fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(non_camel_case_types, reason = "a row's name is what command lines and files call it")]
        #[repr(u16)]
        pub enum Mutant {
            $(#[doc = $reason] $name,)*
        }

        /// The table.
        pub static ROWS: &[Row] = &[$(Row {
            mutant: Mutant::$name,
            tagged: concat!("wattest-mutant/", stringify!($name)),
            layer: Layer::$layer,
            reason: $reason,
            shown: shown!($($why)?),
        },)*];
    };
}

/// Why no script shows what is wrong in WASI.
const SYSTEM: &str = "a script has no system interface";

mutants! {
    // Integer operations.
    i32_shift_by_constant_unmasked, Integer, "wasmtime #11562: an immediate shift amount is not masked to 31";
    i64_shift_by_constant_unmasked, Integer, "wasmtime #11562: an immediate shift amount is not masked to 63";
    i32_mul_as_shift_by_one_less, Integer, "strength reduction of a multiplication by a power of two";
    i64_rotate_left_as_right, Integer, "rotates share an encoding; the direction is one bit of it";
    i32_sub_of_itself, Integer, "x - x is folded to x";
    i64_and_of_itself_as_zero, Integer, "a mid-end rule for x & ~x matches x & x";
    i32_less_than_unsigned_as_signed, Integer, "condition codes: `l` for `b`";
    i64_greater_equal_signed_as_unsigned, Integer, "condition codes: `ae` for `ge`";
    i64_extend_unsigned_as_signed, Integer, "CVE-2021-32629: a 32-bit value is sign-extended on its way";
    load8_signed_as_unsigned, Integer, "load-extend fused with the wrong extension (wasmi #1958 likewise)";
    i64_clz_of_zero, Integer, "`bsr` leaves its target as it was for zero";
    i32_ctz_of_zero, Integer, "`bsf` leaves its target as it was for zero";
    i32_popcnt_without_top_bit, Integer, "a mask constant of the bit-counting sequence is wrong";
    i64_remainder_of_minus_one, Integer, "INT_MIN % -1 must be 0, not a trap";
    i32_divide_unsigned_as_signed, Integer, "`idiv` for `div`";
    wide_add_loses_carry, Integer, "the carry is lost between two halves";
    select_swapped_on_constants, Integer, "select of two constants becomes a `setcc` with the wrong sense";
    // Floating point.
    f32_min_by_comparison, Float, "`minss` orders neither zeros nor NaNs";
    f64_max_by_comparison, Float, "`maxsd` orders neither zeros nor NaNs";
    f64_copysign_swapped, Float, "GHSA-vc8c: copysign reads the wrong operand";
    f32_negate_by_subtraction, Float, "0 - x is not -x for zeros and NaNs";
    f64_nearest_by_floor, Float, "round half away instead of half to even";
    f32_not_equal_ordered, Float, "a NaN is not equal to itself; `jp` forgotten";
    f64_less_equal_as_less, Float, "condition codes: `a` for `ae`";
    f64_convert_unsigned_as_signed, Float, "the top bit of an unsigned i64 on its way to a float";
    f32_trunc_without_trap, Float, "truncation saturates where it has to trap";
    f64_trunc_saturating_nan, Float, "a NaN saturates to the smallest integer";
    f32_sqrt_of_negative_zero, Float, "sqrt(-0) is -0";
    f64_abs_of_nan, Float, "abs keeps the sign of a NaN";
    // Vectors.
    v128_select_swapped, Simd, "wasmtime #4322: a one-line bug that months of fuzzing never found";
    i8x16_shuffle_second_operand, Simd, "an index of 16 or more takes the first operand";
    i8x16_swizzle_wraps, Simd, "an index of 16 or more must give zero";
    i64x2_mul_low_halves, Simd, "wasm-smith emits six i64x2.mul in 2.6 million operations";
    f64x2_splat_one_lane, Simd, "GHSA-qqfj: f64x2.splat of a load";
    i16x8_q15mulr_of_minimum, Simd, "`pmulhrsw` does not saturate -1 * -1";
    i16x8_avgr_without_rounding, Simd, "an average without its + 1";
    i8x16_add_saturating_wraps, Simd, "`paddb` for `paddsb`";
    i64x2_all_true_by_halves, Simd, "tests 32-bit lanes";
    v128_bitselect_constant_mask, Simd, "CVE-2023-27477: bitselect by a constant mask becomes a blend";
    i32x4_replace_next_lane, Simd, "lane index of `pinsrd`";
    i8x16_extract_unsigned, Simd, "`pextrb` zero-extends where a sign is asked for";
    i8x16_narrow_unsigned_source, Simd, "narrowing treats its source as unsigned";
    f32x4_pmin_as_min, Simd, "pmin(a, b) is b < a ? b : a, and asymmetric on purpose";
    i64x2_shift_right_logical, Simd, "there is no `psraq` before AVX-512";
    i16x8_extend_high_as_low, Simd, "the wrong half is widened";
    // Control flow.
    br_table_default_inclusive, Control, "an index equal to the number of targets takes the last target";
    br_if_of_low_byte, Control, "`test cl, cl` for `test ecx, ecx`";
    // Bounds and guards.
    bounds_off_by_one, Bounds, "`>` for `>=`: one byte beyond the end";
    bounds_access_size_ignored, Bounds, "the last bytes of a wide access lie beyond the end";
    bounds_offset_ignored, Bounds, "CVE-2023-26489: the effective address is not the checked one";
    guard_offset_unchecked, Bounds, "GHSA-44mr: an offset larger than the guard is not checked";
    bounds_stale_after_growth, Bounds, "the length does not follow `memory.grow`";
    growth_stops_before_maximum, Bounds, "`<` for `<=`: the last page cannot be had";
    growth_returns_new_size, Bounds, "returns what the memory has become";
    growth_keeps_old_bytes, Bounds, "grown pages are not zero";
    slot_keeps_bytes, Bounds, "CVE-2022-39393: a reused pooling slot shows its former contents",
        "an instance that is gone before another is made: those of a script stay";
    slot_image_of_former_module, Bounds, "CVE-2022-39393: a reused slot keeps the former module's image",
        "an instance that is gone before another is made: those of a script stay";
    atomic_alignment_unchecked, Bounds, "an atomic access at an odd address traps";
    // 64-bit memories.
    memory64_index_truncated, Memory64, "the upper half of an index is lost";
    memory64_sum_wraps, Memory64, "index + offset overflows 64 bits (wasmi #1964 likewise)";
    memory64_growth_truncated, Memory64, "the number of pages is taken modulo 2^32";
    table64_index_truncated, Memory64, "the upper half of an index is lost";
    // Bulk operations, tables, segments.
    memory_copy_forward, Bulk, "overlapping ranges are copied in one direction";
    memory_copy_memories_swapped, Bulk, "source and destination memory are exchanged";
    memory_fill_one_less, Bulk, "the last byte is not filled";
    memory_init_ignores_drop, Bulk, "a dropped segment still has its bytes";
    memory_init_source_unchecked, Bulk, "bytes beyond the segment are zero instead of a trap";
    table_copy_forward, Bulk, "overlapping ranges are copied in one direction";
    table_fill_partial_before_trap, Bulk, "elements are written before the bounds are checked";
    table_init_ignores_drop, Bulk, "a dropped segment still has its elements";
    table_grow_with_null, Bulk, "new elements are null instead of the given reference";
    table_set_bounds_inclusive, Bulk, "one element beyond the end";
    // Calls.
    call_indirect_any_type, Calls, "GHSA: the signature is not compared";
    call_indirect_null_as_type_error, Calls, "the wrong trap for a null element";
    call_indirect_other_table, Calls, "multi-table: table 0 is called";
    host_arguments_reversed, Calls, "two arguments of equal type are exchanged",
        "the arguments of a function of the host: a script sees none of them";
    host_second_result_lost, Calls, "the second of two results of equal type is the first",
        "results of a function of the host: those of scripts have none";
    argument_of_the_stack_lost, Calls, "the first argument that is passed in memory is zero";
    tail_call_keeps_arguments, Calls, "a tail call of itself sees the old last argument";
    // Globals.
    global_v128_low_half, Globals, "only 64 bits are stored";
    global_get_as_constant, Globals, "a mutable global is loaded once";
    global_narrow_store, Globals, "an i64 global is stored as 32 bits";
    // Exceptions.
    tag_by_type, Exceptions, "tags with equal types are taken for the same tag";
    exception_payload_swapped, Exceptions, "the first two payload values are exchanged";
    exception_clause_order, Exceptions, "the last matching clause wins";
    exception_skips_innermost, Exceptions, "a handler of the throwing function itself is passed over";
    // Garbage collection and types.
    stack_map_misses_a_slot, Gc, "wasmtime #12862, #12934: a live reference is not in the stack map";
    roots_miss_globals, Gc, "references in globals are not visited";
    roots_miss_tables, Gc, "references in tables are not visited";
    cast_of_null, Gc, "ref.test of a nullable type fails for null";
    cast_subtype_depth, Gc, "GHSA: the supertype display is read one level too high";
    array_bounds_inclusive, Gc, "one element beyond the end";
    array_copy_forward, Gc, "overlapping ranges are copied in one direction";
    packed_get_unsigned, Gc, "struct.get_s zero-extends";
    i31_get_unsigned, Gc, "i31.get_s gives 31 bits without their sign";
    registry_ignores_mutability, Gc, "wasmtime #10435: types that differ are registered as one";
    // Artifacts.
    artifact_checksum_ignored, Artifact, "damaged files are loaded", "a damaged file: a script loads whole ones";
    artifact_tunables_ignored, Artifact, "code compiled for other settings is run",
        "a file made under other options: a script has one configuration";
    artifact_last_trap_lost, Artifact, "the last trap record is not loaded: its fault kills the process";
    // Components.
    canon_int8_unmasked, Component, "the upper bits of a core value are passed on as they came";
    canon_int16_unmasked, Component, "as above, for 16 bits";
    canon_bool_unnormalized, Component, "any bits that are not 0 are `true`, which is 1 and nothing else";
    canon_char_surrogates_accepted, Component, "only the upper end of `char` is checked";
    canon_flags_unmasked, Component, "RUSTSEC-2026-0085: bits beyond the last label";
    canon_discriminant_inclusive, Component, "wasmtime #12356: the number of cases is taken for a case";
    list_allocated_by_source, Component, "between memories of different widths elements differ in size";
    list_limit_unchecked, Component, "a length that is too long is called out of bounds, or wraps";
    list_alignment_unchecked, Component, "an address of a list that is not aligned";
    list_bounds_by_count, Component, "elements are counted where bytes should be";
    list_last_element_lost, Component, "wasmtime #12886: off by one in a loop over elements";
    list_bools_by_low_bit, Component, "eight at a time, a `bool` is looked at by its low bit";
    variant_arms_swapped, Component, "the sense of the test between two cases";
    area_size_ignored, Component, "an area of parameters or results that reaches beyond the end";
    area_alignment_unchecked, Component, "an area of parameters or results that is not aligned";
    realloc_growth_unseen, Component, "the length of the memory is taken before `realloc`, which grows it";
    realloc_alignment_unchecked, Component, "what `realloc` returns is trusted";
    realloc_bounds_unchecked, Component, "RUSTSEC-2026-0091: what `realloc` returns is trusted";
    string_limit_unchecked, Component, "a length that is too long is called out of bounds";
    string_alignment_unchecked, Component, "RUSTSEC-2026-0092: misaligned utf-16";
    string_not_shrunk, Component, "the allocation keeps the size of the worst case";
    string_last_word_lost, Component, "the tail of a short string is not copied";
    string_ascii_by_low_byte, Component, "a mask constant that covers half of its word";
    string_tag_lost, Component, "a length in utf-16 units without the bit that says so";
    exception_crosses_components, Component, "an exception leaves a component instead of trapping";
    leaving_unchecked, Component, "the caller may be in `realloc` or post-return";
    post_return_omitted, Component, "what was returned is never freed";
    post_return_may_leave, Component, "the flag's window does not cover post-return";
    realloc_may_leave, Component, "the flag's window does not cover `realloc`";
    subtask_status_started, Component, "a call that returned at once is reported as started";
    borrows_may_remain, Component, "a borrow outlives its call";
    borrow_given_away, Component, "a borrowed handle is passed as an owned one";
    loan_not_counted, Component, "what is lent may be dropped or given away meanwhile";
    representation_hidden, Component, "the instance that implements a resource gets a handle of it";
    handle_type_unchecked, Component, "a handle of another type";
    order_edge_missing, Component, "P1: the edge from an adapter to what it calls is not in the schedule";
    context_of_innermost_task, Component, "P16: the caller's `realloc` runs in the callee's task";
    poison_forgotten, Component, "an instance is entered again after a trap";
    destructor_not_called, Component, "an owned handle is dropped, its resource is not";
    destructor_before_removal, Component, "the handle is still in its table while the destructor runs";
    host_list_alignment_unchecked, Component, "as between components, at the boundary with the host";
    host_string_not_shrunk, Component, "as between components, at the boundary with the host";
    // WASI.
    wasi_path_escapes, Wasi, "the kernel is not told to stay beneath the directory", SYSTEM;
    wasi_trailing_slash_lost, Wasi, "GHSA-vqjp: a slash behind the last name says that it is a directory", SYSTEM;
    wasi_hard_link_follows, Wasi, "GHSA-4ch3: a hard link is made to what a symbolic link names", SYSTEM;
    wasi_exclusive_ignored, Wasi, "O_EXCL is dropped between the face and the host", SYSTEM;
    wasi_append_at_start, Wasi, "bytes that belong at the end overwrite the beginning", SYSTEM;
    wasi_cookie_of_the_entry, Wasi, "reading a directory goes on with the entry that was cut, not behind the last one", SYSTEM;
    wasi_seek_end_as_current, Wasi, "two origins of a seek are mistaken for each other", SYSTEM;
    wasi_pread_moves, Wasi, "reading at an offset moves the position", SYSTEM;
    wasi_wrong_errno, Wasi, "one error number of the host is taken for its neighbour", SYSTEM;
    wasi_truncate_without_right, Wasi, "GHSA-2r75: opening truncates a file that may not be resized", SYSTEM;
    wasi_rights_widen, Wasi, "a descriptor gets rights that its directory does not hand on", SYSTEM;
    wasi_set_rights_adds, Wasi, "rights that were given up come back", SYSTEM;
    wasi_rename_target_unchecked, Wasi, "of two directories only the first is asked for its right", SYSTEM;
    wasi_read_only_rename_target, Wasi, "of two directories only the first is asked whether it may be changed", SYSTEM;
    wasi_unknown_clock, Wasi, "a clock that there is not is answered by another", SYSTEM;
    wasi_poll_absolute_as_relative, Wasi, "a moment is waited for as if it were a duration", SYSTEM;
    // Fuel and epochs.
    fuel_free_loops, Interruption, "loops cost nothing", "an amount of fuel: a script asks for none";
    fuel_lost_at_calls, Interruption, "what the callee used is forgotten",
        "an amount of fuel: a script asks for none";
    epoch_not_polled_in_loops, Interruption, "a loop without calls is never interrupted",
        "a deadline: a script has no clock";
}

/// 0: none; else the fault's number plus one.
static CURRENT: AtomicU16 = AtomicU16::new(0);

/// One at a time: see [`with`].
static TURN: Mutex<()> = Mutex::new(());

/// Whether a fault is switched on. Written `mutant!(name)`.
pub fn is_on(mutant: Mutant) -> bool {
    CURRENT.load(Ordering::Relaxed) == mutant as u16 + 1
}

/// Switches one fault on, or all off, for the whole process. Code that is compiled already stays as it is.
pub fn set(mutant: Option<Mutant>) {
    CURRENT.store(mutant.map_or(0, |mutant| mutant as u16 + 1), Ordering::Relaxed);
}

/// The fault that is on.
pub fn current() -> Option<&'static Row> {
    ROWS.get(usize::from(CURRENT.load(Ordering::Relaxed)).checked_sub(1)?)
}

/// The row of that name.
pub fn named(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name() == name)
}

/// Runs `body` with a fault on, and off again after it; other threads that ask for a fault wait. For tests.
pub fn with<R>(mutant: Option<Mutant>, body: impl FnOnce() -> R) -> R {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            set(None);
        }
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    set(mutant);
    let _off = Off;
    body()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fault_at_a_time() {
        assert!(current().is_none());
        with(Some(Mutant::i32_sub_of_itself), || {
            assert!(crate::mutant!(i32_sub_of_itself) && !crate::mutant!(bounds_off_by_one));
            assert_eq!(current().map(Row::name), Some("i32_sub_of_itself"));
        });
        assert!(!crate::mutant!(i32_sub_of_itself));
    }

    #[test]
    fn names_are_unique_and_in_order() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(named(row.name()).map(|found| found.mutant as usize), Some(index), "{}", row.name());
        }
    }
}
