//! `wasi:random` ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/random/wit)).
//!
//! Invariant: what is called insecure is as good as what is not; only its cost would differ.
//!
//! Does not know: where the bytes come from.

use crate::WasiCtx;
use wattest::{Error, Result};

/// Most bytes of one call.
const BYTES_MAX: u64 = 1 << 26;

pub fn bytes(ctx: &mut WasiCtx, (length,): (u64,)) -> Result<Vec<u8>> {
    if length > BYTES_MAX {
        return Err(Error::msg(format!("{length} random bytes in one call are more than {BYTES_MAX}")));
    }
    let mut bytes = vec![0; length as usize];
    ctx.random.fill(&mut bytes).map_err(Error::host)?;
    Ok(bytes)
}

pub fn number(ctx: &mut WasiCtx, (): ()) -> Result<u64> {
    let mut bytes = [0; 8];
    ctx.random.fill(&mut bytes).map_err(Error::host)?;
    Ok(u64::from_le_bytes(bytes))
}

pub fn seed(ctx: &mut WasiCtx, (): ()) -> Result<(u64, u64)> {
    Ok((number(ctx, ())?, number(ctx, ())?))
}
