//! Clocks ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#clock_res_get)).
//!
//! Invariant: an unknown clock is [`Errno::Inval`].
//!
//! Does not know: what clocks measure.

use super::GuestMemory;
use crate::host::clock::Clock;
use crate::{Errno, WasiCtx};

/// The clock with a `clockid`.
pub fn decode(id: u32) -> Result<Clock, Errno> {
    match id {
        0 => Ok(Clock::Realtime),
        1 => Ok(Clock::Monotonic),
        2 => Ok(Clock::ProcessCpu),
        3 => Ok(Clock::ThreadCpu),
        #[cfg(wattest_mutants)]
        _ if wattest_abi::mutant!(wasi_unknown_clock) => Ok(Clock::Monotonic),
        _ => Err(Errno::Inval),
    }
}

pub fn clock_res_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, id: u32, resolution: u32) -> Result<(), Errno> {
    memory.write_u64(resolution, ctx.clocks.resolution(decode(id)?)?)
}

pub fn clock_time_get(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    id: u32,
    _precision: u64,
    time: u32,
) -> Result<(), Errno> {
    memory.write_u64(time, ctx.clocks.now(decode(id)?)?)
}
