//! The process and its randomness
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#proc_raise)).
//!
//! Invariant: no call touches the host's own process.
//!
//! Does not know: how a guest ends: `proc_exit` is the linker's, since it does not return.

use super::GuestMemory;
use crate::{Errno, WasiCtx};

/// Signals have no meaning in this host: always [`Errno::NotSup`].
pub fn proc_raise(_: &mut WasiCtx, _: &mut GuestMemory<'_>, _signal: u32) -> Result<(), Errno> {
    Err(Errno::NotSup)
}

pub fn sched_yield(_: &mut WasiCtx, _: &mut GuestMemory<'_>) -> Result<(), Errno> {
    std::thread::yield_now();
    Ok(())
}

pub fn random_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, buf: u32, buf_len: u32) -> Result<(), Errno> {
    ctx.random.fill(memory.slice_mut(buf, buf_len)?)
}
