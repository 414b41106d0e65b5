//! Activations: which store is running WebAssembly on this thread, and how its stack is walked.
//!
//! Invariant: while compiled code runs on a thread, that thread's active store is the one whose code runs; frame pointers
//! between a store's `exit_fp` (or a fault) and its `entry_fp` form an unbroken chain
//! (`wattest_abi::call`).
//!
//! Does not know: why a walk is made.

use crate::registry::CodeInfo;
use crate::store::StoreInner;
use crate::sys::trampoline::EntryFrame;
use crate::trap::{FailedAccess, FailedElement, Refused, Unwind};
use crate::value::Raw;
use crate::{registry, trap};
use std::cell::Cell;
use std::sync::Arc;
use wattest_abi::TrapCode;
use wattest_abi::artifact::LOCAL_SLOT_BYTES;
use wattest_abi::vmctx::VmStoreContext;

thread_local! {
    static ACTIVE: Cell<*mut VmStoreContext> = const { Cell::new(std::ptr::null_mut()) };
}

/// Makes a store the thread's active one until dropped.
pub struct Active {
    previous: *mut VmStoreContext,
}

impl Active {
    /// Activates `store`.
    #[inline(always)]
    pub fn enter(store: *mut VmStoreContext) -> Active {
        Active { previous: ACTIVE.replace(store) }
    }
}

impl Drop for Active {
    #[inline(always)]
    fn drop(&mut self) {
        ACTIVE.set(self.previous);
    }
}

/// The thread's active store. Not inlined, because the thread that asks may be another one after a wait
/// ([`crate::suspend`]).
#[inline(never)]
pub(crate) fn active_store() -> *mut VmStoreContext {
    ACTIVE.get()
}

/// Makes `store` the thread's active one; which one was. Not inlined, as [`active_store`].
#[inline(never)]
pub(crate) fn exchange(store: *mut VmStoreContext) -> *mut VmStoreContext {
    ACTIVE.replace(store)
}

/// The stack limit of the store that is active on this thread; 0 when there is none.
#[inline(always)]
pub fn outer_stack_limit() -> usize {
    let context = ACTIVE.get();
    // SAFETY: the active store's context outlives the activation, and compiled code that may use it waits for this call.
    if context.is_null() { 0 } else { unsafe { (*context).stack_limit } }
}

/// Frames kept of one backtrace: a stack overflow has hundreds of thousands, and no reader.
pub const FRAMES_MAX: usize = 256;

/// Turns a fault at `pc`, of an access to `address` if it was one, into a pending trap of the active store, if it is one.
/// Returns the store's context.
///
/// Runs in a signal handler: see [`crate::sys::signal`].
pub fn trap_at_fault(pc: usize, fp: usize, address: Option<usize>) -> Option<*mut VmStoreContext> {
    let context = ACTIVE.get();
    if context.is_null() {
        return None;
    }
    let code = registry::trap_at(pc)?;
    // SAFETY: the active store's context is the first field of its `StoreInner`, which outlives the activation; nothing
    // else on this thread uses it while compiled code runs.
    let store = unsafe { &mut *context.cast::<StoreInner>() };
    let mut frames = walk(&store.context, Some((pc, fp)));
    read_locals(store, &mut frames, code == TrapCode::StackOverflow);
    let refused = take_refused(store, code).or_else(|| {
        let is_access = code == TrapCode::MemoryOutOfBounds;
        address.filter(|_| is_access).and_then(|address| reserved_access(store, address)).map(Refused::Access)
    });
    store.pending = Some(Unwind::Trap { code, refused, frames });
    Some(context)
}

/// What a trap with `code` says was out of bounds: what a builtin has just refused, or the cold code behind a comparison.
pub(crate) fn take_refused(store: &mut StoreInner, code: TrapCode) -> Option<Refused> {
    let by_builtin = store.refused.take();
    let vmctx = std::mem::replace(&mut store.context.refused_vmctx, std::ptr::null_mut());
    let by_code = if vmctx.is_null() { None } else { compared(store, code, vmctx) };
    match (code, by_builtin.or(by_code)?) {
        (TrapCode::MemoryOutOfBounds, refused @ Refused::Access(_)) => Some(refused),
        (TrapCode::TableOutOfBounds, refused @ Refused::Element(_)) => Some(refused),
        _ => None,
    }
}

/// What compiled code has stored in the store's context before it trapped.
fn compared(store: &StoreInner, code: TrapCode, vmctx: *mut u8) -> Option<Refused> {
    // SAFETY: compiled code stores its own `vmctx`, which is that of an instance of this store; the instance's number lies
    // before its header.
    let number = unsafe { *vmctx.cast::<u64>().sub(1) };
    let instance = store.instances.get(usize::try_from(number).ok()?)?;
    let entity = store.context.refused_entity as usize;
    let start = store.context.refused_index.saturating_add(store.context.refused_offset);
    if code == TrapCode::TableOutOfBounds {
        let table = &store.tables[*instance.tables.get(entity)? as usize];
        return Some(Refused::Element(FailedElement { index: start, count: None, table_elements: table.len() }));
    }
    let memory = &store.memories[*instance.memories.get(entity)? as usize];
    let memory_bytes = memory.len_bytes() as u64;
    // An access that begins within the memory reaches its end.
    Some(Refused::Access(FailedAccess { address: start.max(memory_bytes), bytes: None, memory_bytes }))
}

/// The access of `address`, if it lies in a memory's reservation.
fn reserved_access(store: &StoreInner, address: usize) -> Option<FailedAccess> {
    let memory = store.memories.iter().find(|memory| memory.reservation().contains(&address))?;
    let offset = address - memory.reservation().start;
    Some(FailedAccess { address: offset as u64, bytes: None, memory_bytes: memory.len_bytes() as u64 })
}

/// Addresses of the frames of `store`'s activations, innermost first. The first is the faulting instruction when `fault`
/// is its address and frame pointer; all others are return addresses.
pub fn walk(store: &VmStoreContext, fault: Option<(usize, usize)>) -> Vec<trap::RawFrame> {
    let mut frames = Vec::new();
    let (mut exit_fp, mut entry_fp) = (store.exit_fp, store.entry_fp);
    let mut start = fault;
    while entry_fp != 0 {
        // SAFETY: `exit_fp` and `entry_fp` are frame pointers of live trampolines' frames, whose layouts are those of
        // `sys::trampoline`; compiled frames between them keep the chain.
        unsafe {
            let is_fault = start.is_some();
            let (mut pc, mut fp) = start.take().unwrap_or_else(|| return_of(exit_fp));
            frames.push(trap::RawFrame { pc, is_return: !is_fault, fp, locals: Vec::new() });
            while fp != entry_fp && frames.len() < FRAMES_MAX {
                (pc, fp) = return_of(fp);
                // The outermost compiled frame returns to `enter`, whose frame pointer is `entry_fp`.
                if fp != entry_fp {
                    frames.push(trap::RawFrame { pc, is_return: true, fp, locals: Vec::new() });
                }
            }
            exit_fp = *(entry_fp as *const usize).sub(EntryFrame::PREVIOUS_EXIT_FP);
            entry_fp = *(entry_fp as *const usize).sub(EntryFrame::PREVIOUS_ENTRY_FP);
        }
        if frames.len() >= FRAMES_MAX {
            break;
        }
    }
    frames
}

/// The frames of `store`'s activations, as [`walk`] gives them at a call, with the locals that they keep.
pub(crate) fn frames(store: &StoreInner) -> Vec<trap::RawFrame> {
    let mut frames = walk(&store.context, None);
    read_locals(store, &mut frames, false);
    frames
}

/// Reads the locals that frames keep, but not those of the innermost one where it `is_unfinished`. Safe in a signal handler as
/// [`registry::with_code`].
fn read_locals(store: &StoreInner, frames: &mut [trap::RawFrame], is_unfinished: bool) {
    if !store.config.tunables.keep_locals {
        return;
    }
    for frame in frames.iter_mut().skip(usize::from(is_unfinished)) {
        let pc = frame.pc - usize::from(frame.is_return);
        let records = registry::with_code(pc, |info, text_offset| info.locals_at(text_offset)).unwrap_or_default();
        for record in records {
            for position in 0..record.count {
                let value = (record.below_fp != 0).then(|| {
                    let slot = frame.fp - record.below_fp as usize + (position * LOCAL_SLOT_BYTES) as usize;
                    // SAFETY: the frame is live and complete, and has a slot of this size there, by the records of its code.
                    unsafe { (slot as *const u64).read_unaligned() }
                });
                frame.locals.push(value.and_then(|bits| local_value(record.kind, bits)));
            }
        }
    }
}

/// A local of the [`wattest_abi::ValueKind`] with number `kind`, of which `bits` are in the slot.
fn local_value(kind: u32, bits: u64) -> Option<Raw> {
    const KINDS: [fn(u64) -> Raw; 4] = [|bits| Raw::I32(bits as u32), Raw::I64, |bits| Raw::F32(bits as u32), Raw::F64];
    KINDS.get(kind as usize).map(|value| value(bits))
}

/// Where an exception is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Landing {
    /// Address of the landing pad.
    pub pc: usize,
    /// Stack pointer that it expects.
    pub sp: usize,
    /// Frame pointer that it expects.
    pub fp: usize,
}

/// The landing pad of the innermost call of `store`'s innermost activation that has one.
pub fn find_landing(store: &VmStoreContext) -> Option<Landing> {
    // SAFETY: as in `walk`.
    let (mut pc, mut fp) = unsafe { return_of(store.exit_fp) };
    // Neighbouring frames mostly belong to one module.
    let mut code = None::<Arc<CodeInfo>>;
    while fp != store.entry_fp {
        if code.as_ref().is_none_or(|code| code.text_offset(pc - 1).is_none()) {
            code = registry::lookup(pc - 1).map(|(code, _)| code);
        }
        if let Some(code) = &code
            && let Some(record) = code.text_offset(pc - 1).and_then(|call| code.handler_at(call + 1))
        {
            let pc = code.code.range().start + record.landing_offset as usize;
            return Some(Landing { pc, sp: fp - record.frame_bytes as usize, fp });
        }
        // SAFETY: as in `walk`: `fp` is the frame pointer of a compiled frame of this activation.
        (pc, fp) = unsafe { return_of(fp) };
    }
    None
}

/// Calls `visit` with the return address and the frame pointer of every compiled frame of `store`'s activations that is
/// suspended at a call, innermost first.
pub(crate) fn for_each_frame(store: &VmStoreContext, mut visit: impl FnMut(usize, usize)) {
    let (mut exit_fp, mut entry_fp) = (store.exit_fp, store.entry_fp);
    while entry_fp != 0 {
        // SAFETY: as in `walk`.
        unsafe {
            let (mut pc, mut fp) = return_of(exit_fp);
            while fp != entry_fp {
                visit(pc, fp);
                (pc, fp) = return_of(fp);
            }
            exit_fp = *(entry_fp as *const usize).sub(EntryFrame::PREVIOUS_EXIT_FP);
            entry_fp = *(entry_fp as *const usize).sub(EntryFrame::PREVIOUS_ENTRY_FP);
        }
    }
}

/// The return address and caller's frame pointer of the frame at `fp`.
///
/// # Safety
///
/// `fp` must be the frame pointer of a live frame that keeps one.
unsafe fn return_of(fp: usize) -> (usize, usize) {
    let fp = fp as *const usize;
    // SAFETY: by the caller's promise.
    unsafe { (*fp.add(1), *fp) }
}
