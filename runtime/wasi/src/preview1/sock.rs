//! Sockets ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#sock_accept)).
//!
//! Preview 1 cannot open a socket, and this host preopens none.
//!
//! Invariant: a closed descriptor is [`Errno::BadF`], any other [`Errno::NotSock`].
//!
//! Does not know: the network.

use super::GuestMemory;
use crate::{Errno, WasiCtx};

fn no_socket(ctx: &WasiCtx, fd: u32) -> Result<(), Errno> {
    ctx.descriptors.get(fd)?;
    Err(Errno::NotSock)
}

pub fn sock_accept(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32, _: u32, _: u32) -> Result<(), Errno> {
    no_socket(ctx, fd)
}

pub fn sock_recv(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    _iovs: u32,
    _iovs_len: u32,
    _flags: u32,
    _received: u32,
    _out_flags: u32,
) -> Result<(), Errno> {
    no_socket(ctx, fd)
}

pub fn sock_send(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    _iovs: u32,
    _iovs_len: u32,
    _flags: u32,
    _sent: u32,
) -> Result<(), Errno> {
    no_socket(ctx, fd)
}

pub fn sock_shutdown(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32, _how: u32) -> Result<(), Errno> {
    no_socket(ctx, fd)
}
