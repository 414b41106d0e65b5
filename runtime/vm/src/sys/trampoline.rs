//! Universal trampolines: the assembly between the host and compiled code.
//!
//! A handful of stubs serves every signature, so no trampoline is ever compiled
//! (see `wattest_abi::call` for the convention they implement):
//!
//! * [`enter`] loads all argument registers from a [`Registers`] block, copies stack arguments, calls, and stores all
//!   result registers back. It is also where unwinding ends: [`unwind`] restores the frame that `enter` saved and makes
//!   it return 0.
//! * [`host_stub`] and [`host_stub_stack`] are what compiled code calls as a host function: they spill all argument
//!   registers to a [`Registers`] block, call the body, and load all result registers from it.
//! * builtin thunks record the calling frame and call a Rust body; a body that fails makes them unwind.
//!
//! Invariant: the frame of `enter` has the layout of [`EntryFrame`]; frames between it and the trap hold nothing that
//! needs dropping, because every Rust body has returned before `unwind` runs.
//!
//! Does not know: signatures, stores, traps.

use std::arch::naked_asm;
use std::mem::MaybeUninit;
use wattest_abi::vmctx::{
    HOST_BODY, HOST_STACK_BYTES, STORE, STORE_ENTRY_FP, STORE_EXIT_FP, STORE_LANDING_EXCEPTION, STORE_LANDING_FP,
    STORE_LANDING_PC, STORE_LANDING_SP, VmHostFunction, VmStoreContext,
};

/// The argument and result registers of a call.
///
/// Before a call `ints` holds the six integer argument registers (the first two are the callee's and the caller's
/// `vmctx`) and `floats` the eight float argument registers. After it, the first four of each hold the result registers.
#[derive(Clone, Debug)]
#[repr(C, align(16))]
pub struct Registers {
    /// Integer registers.
    pub ints: [u64; 6],
    /// Float and vector registers. Most calls use none, and clearing them would cost as much as the call.
    pub floats: [MaybeUninit<u128>; 8],
}

impl Default for Registers {
    #[inline(always)]
    fn default() -> Registers {
        Registers { ints: [0; 6], floats: [MaybeUninit::uninit(); 8] }
    }
}

/// Words that `enter` saves below its frame pointer, by distance in words.
#[derive(Debug)]
pub struct EntryFrame;

impl EntryFrame {
    /// The `entry_fp` that was current before.
    pub const PREVIOUS_ENTRY_FP: usize = 7;
    /// The `exit_fp` that was current before.
    pub const PREVIOUS_EXIT_FP: usize = 8;
}

/// Calls `code` with the arguments in `registers` and on `stack` (`stack_words` words, an even number). Returns 1, or 0
/// when [`unwind`] ended the call. With `FLOATS` false, float registers are neither loaded nor stored.
///
/// # Safety
///
/// `code` must be compiled code of the convention above whose signature agrees with the registers and stack words given;
/// `store` must be the context of the store that `code` belongs to.
#[unsafe(naked)]
pub unsafe extern "C" fn enter<const FLOATS: bool>(
    code: *const u8,
    registers: *mut Registers,
    store: *mut VmStoreContext,
    stack: *const u64,
    stack_words: usize,
) -> u64 {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdx",
        "push qword ptr [rdx + {entry_fp}]",
        "push qword ptr [rdx + {exit_fp}]",
        "push rsi",
        "sub rsp, 8",
        "mov qword ptr [rdx + {entry_fp}], rbp",
        "test r8, r8",
        "jz 3f",
        "lea rax, [r8 * 8]",
        "sub rsp, rax",
        "2:",
        "mov rax, qword ptr [rcx + r8 * 8 - 8]",
        "mov qword ptr [rsp + r8 * 8 - 8], rax",
        "dec r8",
        "jnz 2b",
        "3:",
        "mov r11, rdi",
        "mov r10, rsi",
        ".if {floats}",
        "movups xmm0, xmmword ptr [r10 + 48]",
        "movups xmm1, xmmword ptr [r10 + 64]",
        "movups xmm2, xmmword ptr [r10 + 80]",
        "movups xmm3, xmmword ptr [r10 + 96]",
        "movups xmm4, xmmword ptr [r10 + 112]",
        "movups xmm5, xmmword ptr [r10 + 128]",
        "movups xmm6, xmmword ptr [r10 + 144]",
        "movups xmm7, xmmword ptr [r10 + 160]",
        ".endif",
        "mov rdi, qword ptr [r10]",
        "mov rsi, qword ptr [r10 + 8]",
        "mov rdx, qword ptr [r10 + 16]",
        "mov rcx, qword ptr [r10 + 24]",
        "mov r8, qword ptr [r10 + 32]",
        "mov r9, qword ptr [r10 + 40]",
        "call r11",
        "mov r10, qword ptr [rbp - 72]",
        "mov qword ptr [r10], rax",
        "mov qword ptr [r10 + 8], rcx",
        "mov qword ptr [r10 + 16], rdx",
        "mov qword ptr [r10 + 24], rsi",
        ".if {floats}",
        "movups xmmword ptr [r10 + 48], xmm0",
        "movups xmmword ptr [r10 + 64], xmm1",
        "movups xmmword ptr [r10 + 80], xmm2",
        "movups xmmword ptr [r10 + 96], xmm3",
        ".endif",
        "mov eax, 1",
        "mov rcx, qword ptr [rbp - 48]",
        "mov rdx, qword ptr [rbp - 56]",
        "mov qword ptr [rcx + {entry_fp}], rdx",
        "mov rdx, qword ptr [rbp - 64]",
        "mov qword ptr [rcx + {exit_fp}], rdx",
        // A callee that returns has preserved rbx and r12 to r15; only `unwind` needs the saved ones.
        "leave",
        "ret",
        entry_fp = const STORE_ENTRY_FP,
        exit_fp = const STORE_EXIT_FP,
        floats = const FLOATS as u32,
    )
}

/// Ends the innermost [`enter`] of `store`, which then returns 0; or, if the store's context names a landing pad, goes on
/// there, with the exception in the first result register. A landing pad expects nothing of other registers: calls that
/// may land clobber all.
///
/// # Safety
///
/// An `enter` of `store` must be running on this thread, and no frame above it may need cleaning up; a landing pad must
/// be that of a call that runs in its innermost activation.
#[unsafe(naked)]
pub unsafe extern "C" fn unwind(store: *mut VmStoreContext) -> ! {
    naked_asm!(
        "mov rcx, qword ptr [rdi + {landing_pc}]",
        "test rcx, rcx",
        "jnz 2f",
        "mov rbp, qword ptr [rdi + {entry_fp}]",
        "xor eax, eax",
        "mov rcx, qword ptr [rbp - 48]",
        "mov rdx, qword ptr [rbp - 56]",
        "mov qword ptr [rcx + {entry_fp}], rdx",
        "mov rdx, qword ptr [rbp - 64]",
        "mov qword ptr [rcx + {exit_fp}], rdx",
        "lea rsp, [rbp - 40]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        "2:",
        "mov qword ptr [rdi + {landing_pc}], 0",
        "mov rsp, qword ptr [rdi + {landing_sp}]",
        "mov rbp, qword ptr [rdi + {landing_fp}]",
        "mov rax, qword ptr [rdi + {landing_exception}]",
        "jmp rcx",
        entry_fp = const STORE_ENTRY_FP,
        exit_fp = const STORE_EXIT_FP,
        landing_pc = const STORE_LANDING_PC,
        landing_sp = const STORE_LANDING_SP,
        landing_fp = const STORE_LANDING_FP,
        landing_exception = const STORE_LANDING_EXCEPTION,
    )
}

/// A host function's body: fills in the result registers and returns 1, or returns 0 to unwind.
pub type HostBody =
    unsafe extern "C" fn(function: *mut VmHostFunction, caller: *mut u8, &mut Registers, stack: *const u8) -> u32;

/// The code of a host function without stack arguments. With `FLOATS` false, float registers are neither spilled nor
/// loaded.
///
/// # Safety
///
/// Only to be called from compiled code, with a [`VmHostFunction`] as callee `vmctx`.
#[unsafe(naked)]
pub unsafe extern "C" fn host_stub<const FLOATS: bool>() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, 192",
        "mov rax, qword ptr [rsi + {store}]",
        "mov qword ptr [rsp], rdi",
        "mov qword ptr [rsp + 8], rsi",
        "mov qword ptr [rsp + 16], rdx",
        "mov qword ptr [rsp + 24], rcx",
        "mov qword ptr [rsp + 32], r8",
        "mov qword ptr [rsp + 40], r9",
        ".if {floats}",
        "movaps xmmword ptr [rsp + 48], xmm0",
        "movaps xmmword ptr [rsp + 64], xmm1",
        "movaps xmmword ptr [rsp + 80], xmm2",
        "movaps xmmword ptr [rsp + 96], xmm3",
        "movaps xmmword ptr [rsp + 112], xmm4",
        "movaps xmmword ptr [rsp + 128], xmm5",
        "movaps xmmword ptr [rsp + 144], xmm6",
        "movaps xmmword ptr [rsp + 160], xmm7",
        ".endif",
        "mov qword ptr [rsp + 176], rax",
        "mov qword ptr [rax + {exit_fp}], rbp",
        "mov rdx, rsp",
        "lea rcx, [rbp + 16]",
        "call qword ptr [rdi + {body}]",
        "test eax, eax",
        "jz 2f",
        "mov rax, qword ptr [rsp]",
        "mov rcx, qword ptr [rsp + 8]",
        "mov rdx, qword ptr [rsp + 16]",
        "mov rsi, qword ptr [rsp + 24]",
        ".if {floats}",
        "movaps xmm0, xmmword ptr [rsp + 48]",
        "movaps xmm1, xmmword ptr [rsp + 64]",
        "movaps xmm2, xmmword ptr [rsp + 80]",
        "movaps xmm3, xmmword ptr [rsp + 96]",
        ".endif",
        "leave",
        "ret",
        "2:",
        "mov rdi, qword ptr [rsp + 176]",
        "jmp {unwind}",
        store = const STORE,
        exit_fp = const STORE_EXIT_FP,
        body = const HOST_BODY,
        floats = const FLOATS as u32,
        unwind = sym unwind,
    )
}

/// The code of a host function with stack arguments, which it pops.
///
/// # Safety
///
/// As [`host_stub`].
#[unsafe(naked)]
pub unsafe extern "C" fn host_stub_stack() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, 192",
        "mov rax, qword ptr [rsi + {store}]",
        "mov r10, qword ptr [rdi + {stack_bytes}]",
        "mov qword ptr [rsp], rdi",
        "mov qword ptr [rsp + 8], rsi",
        "mov qword ptr [rsp + 16], rdx",
        "mov qword ptr [rsp + 24], rcx",
        "mov qword ptr [rsp + 32], r8",
        "mov qword ptr [rsp + 40], r9",
        "movaps xmmword ptr [rsp + 48], xmm0",
        "movaps xmmword ptr [rsp + 64], xmm1",
        "movaps xmmword ptr [rsp + 80], xmm2",
        "movaps xmmword ptr [rsp + 96], xmm3",
        "movaps xmmword ptr [rsp + 112], xmm4",
        "movaps xmmword ptr [rsp + 128], xmm5",
        "movaps xmmword ptr [rsp + 144], xmm6",
        "movaps xmmword ptr [rsp + 160], xmm7",
        "mov qword ptr [rsp + 176], rax",
        "mov qword ptr [rsp + 184], r10",
        "mov qword ptr [rax + {exit_fp}], rbp",
        "mov rdx, rsp",
        "lea rcx, [rbp + 16]",
        "call qword ptr [rdi + {body}]",
        "test eax, eax",
        "jz 2f",
        "mov rax, qword ptr [rsp]",
        "mov rcx, qword ptr [rsp + 8]",
        "mov rdx, qword ptr [rsp + 16]",
        "mov rsi, qword ptr [rsp + 24]",
        "movaps xmm0, xmmword ptr [rsp + 48]",
        "movaps xmm1, xmmword ptr [rsp + 64]",
        "movaps xmm2, xmmword ptr [rsp + 80]",
        "movaps xmm3, xmmword ptr [rsp + 96]",
        "mov r10, qword ptr [rsp + 184]",
        "leave",
        "pop r11",
        "add rsp, r10",
        "jmp r11",
        "2:",
        "mov rdi, qword ptr [rsp + 176]",
        "jmp {unwind}",
        store = const STORE,
        exit_fp = const STORE_EXIT_FP,
        stack_bytes = const HOST_STACK_BYTES,
        body = const HOST_BODY,
        unwind = sym unwind,
    )
}

/// What the body of a builtin that may trap returns: the value, and whether to continue (1) or unwind (0).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Outcome {
    /// The builtin's result.
    pub value: u64,
    /// 1 to return `value`, 0 to unwind.
    pub go_on: u64,
}

/// Declares the thunk of a builtin that may trap: records the calling frame, calls `$body`, unwinds if it says so.
macro_rules! trapping_thunk {
    ($thunk:ident, $body:path) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $thunk() {
            std::arch::naked_asm!(
                "push rbp",
                "mov rbp, rsp",
                "sub rsp, 16",
                "mov rax, qword ptr [rdi + {store}]",
                "mov qword ptr [rax + {exit_fp}], rbp",
                "mov qword ptr [rsp], rax",
                "call {body}",
                "test rdx, rdx",
                "jz 2f",
                "leave",
                "ret",
                "2:",
                "mov rdi, qword ptr [rsp]",
                "jmp {unwind}",
                store = const wattest_abi::vmctx::STORE,
                exit_fp = const wattest_abi::vmctx::STORE_EXIT_FP,
                body = sym $body,
                unwind = sym $crate::sys::trampoline::unwind,
            )
        }
    };
}
pub(crate) use trapping_thunk;
