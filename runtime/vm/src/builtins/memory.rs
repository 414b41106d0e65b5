//! Builtins of linear memory
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#memory-instructions)).
//!
//! Invariant: bounds are checked against the memory's current length before a byte is touched.
//!
//! Does not know: index types; compiled code zero-extends 32-bit indices.

use super::{Calling, guarded, returns};
use crate::entities::{MemoryBytes, MemoryGrowError};
use crate::memory::WaitOutcome;
use crate::sys::trampoline::Outcome;
use wattest_abi::TrapCode;
use wattest_module::{DataIndex, MemoryIndex};

pub(super) unsafe extern "C" fn memory_grow(vmctx: *mut u8, memory: u32, delta: u64) -> Outcome {
    let body = |calling: &mut Calling<'_>| match calling.store.grow_memory_at(calling.memory(memory), delta) {
        Ok(old) if wattest_abi::mutant!(growth_returns_new_size) => returns(old + delta),
        Ok(old) => returns(old),
        Err(MemoryGrowError::Refused) => returns(u64::MAX),
        Err(MemoryGrowError::Limiter(error)) => calling.fail(error),
    };
    // SAFETY: compiled code passes its own `vmctx`.
    unsafe { guarded(vmctx, body) }
}

pub(super) unsafe extern "C" fn memory_fill(vmctx: *mut u8, memory: u32, dst: u64, value: u32, len: u64) -> u32 {
    // SAFETY: compiled code passes its own `vmctx`.
    let mut calling = unsafe { Calling::new(vmctx) };
    let memory = calling.memory(memory);
    let Some(to) = calling.store.memories[memory].range(dst, len) else {
        return calling.refuse_access(memory, dst, len);
    };
    let len = if wattest_abi::mutant!(memory_fill_one_less) { len.saturating_sub(1) } else { len };
    // SAFETY: `range` checked the destination.
    unsafe { std::ptr::write_bytes(to, value as u8, len as usize) };
    1
}

pub(super) unsafe extern "C" fn memory_copy(
    vmctx: *mut u8,
    dst_memory: u32,
    dst: u64,
    src_memory: u32,
    src: u64,
    len: u64,
) -> u32 {
    // SAFETY: compiled code passes its own `vmctx`.
    let mut calling = unsafe { Calling::new(vmctx) };
    let (src_memory, dst_memory) = (calling.memory(src_memory), calling.memory(dst_memory));
    let memories = &calling.store.memories;
    let Some(from) = memories[src_memory].range(src, len) else {
        return calling.refuse_access(src_memory, src, len);
    };
    let Some(to) = memories[dst_memory].range(dst, len) else {
        return calling.refuse_access(dst_memory, dst, len);
    };
    if wattest_abi::mutant!(memory_copy_forward) {
        for at in 0..len as usize {
            // SAFETY: both ranges were checked.
            unsafe { to.add(at).write(from.add(at).read()) };
        }
        return 1;
    }
    // SAFETY: `range` checked both; `copy` allows overlap.
    unsafe { std::ptr::copy(from, to, len as usize) };
    1
}

pub(super) unsafe extern "C" fn memory_init(
    vmctx: *mut u8,
    memory: u32,
    data: u32,
    dst: u64,
    src: u32,
    len: u32,
) -> u32 {
    // SAFETY: compiled code passes its own `vmctx`.
    let mut calling = unsafe { Calling::new(vmctx) };
    let id = calling.id;
    let done = calling.store.init_memory(id, MemoryIndex(memory), DataIndex(data), dst, u64::from(src), u64::from(len));
    if done.is_ok() {
        return 1;
    }
    let memory = calling.memory(memory);
    // Else the segment is too short, which no address tells.
    if calling.store.memories[memory].range(dst, u64::from(len)).is_none() {
        calling.refuse_access(memory, dst, u64::from(len));
    }
    0
}

pub(super) unsafe extern "C" fn data_drop(vmctx: *mut u8, data: u32) -> u32 {
    // SAFETY: compiled code passes its own `vmctx`.
    let mut calling = unsafe { Calling::new(vmctx) };
    if wattest_abi::mutant!(memory_init_ignores_drop) {
        return 0;
    }
    calling.instance_mut().dropped_data[data as usize] = true;
    0
}

pub(super) unsafe extern "C" fn memory_atomic_notify(vmctx: *mut u8, memory: u32, address: u64, count: u32) -> Outcome {
    // SAFETY: compiled code passes its own `vmctx`.
    let mut calling = unsafe { Calling::new(vmctx) };
    let memory = calling.memory(memory);
    let entry = &calling.store.memories[memory];
    let woken = match &entry.bytes {
        // Nobody can wait on a memory that is not shared.
        MemoryBytes::Own(_) => entry.range(address, 4).map(|_| 0),
        MemoryBytes::Shared(memory) => memory.notify(address, count).ok(),
    };
    if woken.is_none() {
        calling.refuse_access(memory, address, 4);
    }
    returns(woken.map_or(u64::MAX, u64::from))
}

pub(super) unsafe extern "C" fn memory_atomic_wait32(
    vmctx: *mut u8,
    memory: u32,
    address: u64,
    expected: u32,
    timeout_ns: i64,
) -> Outcome {
    // SAFETY: compiled code passes its own `vmctx`.
    let calling = unsafe { Calling::new(vmctx) };
    wait(calling, memory, (address, 4), |shared| shared.wait32(address, expected, timeout_ns))
}

pub(super) unsafe extern "C" fn memory_atomic_wait64(
    vmctx: *mut u8,
    memory: u32,
    address: u64,
    expected: u64,
    timeout_ns: i64,
) -> Outcome {
    // SAFETY: compiled code passes its own `vmctx`.
    let calling = unsafe { Calling::new(vmctx) };
    wait(calling, memory, (address, 8), |shared| shared.wait64(address, expected, timeout_ns))
}

fn wait(
    mut calling: Calling<'_>,
    memory: u32,
    (address, bytes): (u64, u64),
    wait: impl FnOnce(&crate::memory::SharedMemory) -> Result<WaitOutcome, TrapCode>,
) -> Outcome {
    let memory = calling.memory(memory);
    let outcome = match &calling.store.memories[memory].bytes {
        MemoryBytes::Own(_) => Err(TrapCode::ExpectedSharedMemory),
        MemoryBytes::Shared(memory) => wait(memory),
    };
    match outcome {
        Ok(result) => returns(result as u64),
        Err(code) => {
            if code == TrapCode::MemoryOutOfBounds {
                calling.refuse_access(memory, address, bytes);
            }
            calling.trap(code)
        }
    }
}
