//! Arguments and environment
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#args_get)).
//!
//! Invariant: both lists have one encoding, an array of pointers and a block of NUL-terminated strings.
//!
//! Does not know: where the lists came from.

use super::GuestMemory;
use crate::host::args::StringList;
use crate::{Errno, WasiCtx};

fn store(list: &StringList, memory: &mut GuestMemory<'_>, pointers: u32, strings: u32) -> Result<(), Errno> {
    memory.check(pointers, list.len().checked_mul(4).ok_or(Errno::Overflow)?)?;
    memory.check(strings, list.bytes_with_nul())?;
    let (mut pointer, mut string) = (pointers, strings);
    for bytes in list.iter() {
        memory.write_u32(pointer, string)?;
        memory.write(string, bytes)?;
        // The checks above bound both sums by the size of the memory.
        pointer += 4;
        string += bytes.len() as u32;
        memory.write(string, &[0])?;
        string = string.saturating_add(1);
    }
    Ok(())
}

fn sizes(list: &StringList, memory: &mut GuestMemory<'_>, count: u32, bytes: u32) -> Result<(), Errno> {
    memory.check(bytes, 4)?;
    memory.write_u32(count, list.len())?;
    memory.write_u32(bytes, list.bytes_with_nul())
}

pub fn args_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, argv: u32, argv_buf: u32) -> Result<(), Errno> {
    store(&ctx.args, memory, argv, argv_buf)
}

pub fn args_sizes_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, count: u32, bytes: u32) -> Result<(), Errno> {
    sizes(&ctx.args, memory, count, bytes)
}

pub fn environ_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, environ: u32, buf: u32) -> Result<(), Errno> {
    store(&ctx.env, memory, environ, buf)
}

pub fn environ_sizes_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, count: u32, bytes: u32) -> Result<(), Errno> {
    sizes(&ctx.env, memory, count, bytes)
}
