//! Sockets ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#sock_accept)).
//!
//! Preview 1 cannot open a socket: whoever runs the guest hands it some that listen, and the guest lets others in. What is let
//! in is read and written as a file is, too.
//!
//! Invariant: a closed descriptor is [`Errno::BadF`], one that is no socket [`Errno::NotSock`]; a call on a socket waits, unless
//! the descriptor's flags say otherwise.
//!
//! Does not know: addresses, how the host waits.

use super::GuestMemory;
use super::descriptors::{Descriptor, Resource, Socket};
use super::layout;
use super::rights::Rights;
use crate::host::fs::FileFlags;
use crate::host::net::{NetError, Shutdown};
use crate::host::stream::{Awaited, Ended};
use crate::host::waiting::settled;
use crate::{Errno, WasiCtx};
use rustix::io::IoSliceMut;
use wattest::HostFuture;

/// `riflags`: bytes are shown, not taken.
const PEEK: u32 = 1;
/// `riflags`: all that was asked for, or the end.
const WAIT_ALL: u32 = 2;
/// `sdflags`.
const SHUT_RECEIVE: u32 = 1;
const SHUT_SEND: u32 = 2;

/// Whether a socket with these flags waits; sockets have no other ones.
pub fn waits(flags: FileFlags) -> Result<bool, Errno> {
    let nonblocking = flags.nonblocking;
    if flags == (FileFlags { nonblocking, ..FileFlags::default() }) { Ok(!nonblocking) } else { Err(Errno::Inval) }
}

pub fn sock_accept<'a>(
    ctx: &'a mut WasiCtx,
    memory: &'a mut GuestMemory<'_>,
    fd: u32,
    flags: u32,
    accepted: u32,
) -> HostFuture<'a, Result<(), Errno>> {
    Box::pin(async move {
        memory.check(accepted, 4)?;
        let waits = waits(layout::decode_fd_flags(flags)?)?;
        let listener = ctx.descriptors.socket(fd, Rights::SOCK_ACCEPT)?.clone();
        let base = ctx.descriptors.get(fd)?.inheriting;
        let tcp = loop {
            match listener.tcp.accept() {
                Err(NetError::WOULD_BLOCK) if listener.waits => {
                    settled(&ctx.waiting, &mut ctx.clocks, &[listener.tcp.watch()]).await?;
                }
                result => break result?,
            }
        };
        let resource = Resource::Socket(Socket { tcp, waits });
        let connection = Descriptor { resource, base, inheriting: Rights::default(), preopen: None };
        let number = ctx.descriptors.insert(connection)?;
        memory.write_u32(accepted, number)
    })
}

pub fn sock_recv<'a>(
    ctx: &'a mut WasiCtx,
    memory: &'a mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    flags: u32,
    received: u32,
    out_flags: u32,
) -> HostFuture<'a, Result<(), Errno>> {
    Box::pin(async move {
        memory.check(received, 4)?;
        memory.check(out_flags, 2)?;
        if flags & !(PEEK | WAIT_ALL) != 0 {
            return Err(Errno::Inval);
        }
        let count = receive(ctx, memory, fd, (iovs, iovs_len), flags).await?;
        memory.write_u32(received, count)?;
        // A stream has no messages that could be cut.
        memory.write(out_flags, &[0; 2])
    })
}

pub fn sock_send<'a>(
    ctx: &'a mut WasiCtx,
    memory: &'a mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    flags: u32,
    sent: u32,
) -> HostFuture<'a, Result<(), Errno>> {
    Box::pin(async move {
        memory.check(sent, 4)?;
        if flags != 0 {
            return Err(Errno::Inval);
        }
        let count = send(ctx, memory, fd, (iovs, iovs_len)).await?;
        memory.write_u32(sent, count)
    })
}

pub fn sock_shutdown(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32, how: u32) -> Result<(), Errno> {
    let socket = ctx.descriptors.socket(fd, Rights::SOCK_SHUTDOWN)?;
    let how = match how {
        SHUT_RECEIVE => Shutdown::Receive,
        SHUT_SEND => Shutdown::Send,
        how if how == SHUT_RECEIVE | SHUT_SEND => Shutdown::Both,
        _ => return Err(Errno::Inval),
    };
    Ok(socket.tcp.shutdown(how)?)
}

/// Stores bytes in `buffers`, from position `at` on.
fn scatter(buffers: &mut [IoSliceMut<'_>], mut at: usize, mut bytes: &[u8]) {
    for buffer in buffers {
        let start = at.min(buffer.len());
        let count = bytes.len().min(buffer.len() - start);
        buffer[start..start + count].copy_from_slice(&bytes[..count]);
        (at, bytes) = (at - start, &bytes[count..]);
    }
}

/// Reads from a connection; the count. 0 is the end.
pub async fn receive(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    (iovs, iovs_len): (u32, u32),
    flags: u32,
) -> Result<u32, Errno> {
    let mut buffers = memory.slices_mut(iovs, iovs_len)?;
    let socket = ctx.descriptors.socket(fd, Rights::FD_READ)?.clone();
    let (peek, all) = (flags & PEEK != 0, flags & WAIT_ALL != 0);
    let room: usize = buffers.iter().map(|buffer| buffer.len()).sum();
    let mut filled = 0;
    loop {
        let left = (room - filled) as u64;
        let bytes = match if peek { socket.tcp.peek(left) } else { socket.tcp.receive(left) } {
            Ok(bytes) => bytes,
            Err(Ended::Closed) => break,
            // What came before is not lost.
            Err(_) if filled > 0 => break,
            Err(Ended::Failed(error)) => return Err(error),
            #[cfg(feature = "http")]
            Err(Ended::Http(_)) => return Err(Errno::Io),
        };
        if bytes.is_empty() && left > 0 {
            if socket.waits {
                settled(&ctx.waiting, &mut ctx.clocks, &[socket.tcp.watch_readable()]).await?;
                continue;
            }
            return if filled > 0 { Ok(filled as u32) } else { Err(Errno::Again) };
        }
        scatter(&mut buffers, filled, &bytes);
        filled += bytes.len();
        // What was shown will be shown again: there is no waiting for more of it.
        if filled == room || peek || !all {
            break;
        }
    }
    Ok(filled as u32)
}

/// Writes to a connection; the count.
pub async fn send(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    (iovs, iovs_len): (u32, u32),
) -> Result<u32, Errno> {
    let buffers = memory.slices(iovs, iovs_len)?;
    let socket = ctx.descriptors.socket(fd, Rights::FD_WRITE)?.clone();
    let mut sent = 0_u32;
    for buffer in &buffers {
        let mut rest = &buffer[..];
        while !rest.is_empty() {
            match socket.tcp.send_some(rest) {
                Ok(count) => {
                    rest = &rest[count..];
                    sent += count as u32;
                }
                Err(NetError::Host(Errno::Intr)) => {}
                Err(NetError::WOULD_BLOCK) if socket.waits => {
                    settled(&ctx.waiting, &mut ctx.clocks, &[socket.tcp.watch_writable()]).await?;
                }
                // What was sent before is not lost.
                Err(_) if sent > 0 => return Ok(sent),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_scattered() {
        fn check(at: usize, bytes: &[u8], expected: [&[u8]; 3]) {
            let (mut first, mut second, mut third) = ([0; 2], [0; 0], [0; 3]);
            let slices = &mut [&mut first[..], &mut second, &mut third].map(IoSliceMut::new);
            scatter(slices, at, bytes);
            assert_eq!([&first[..], &second, &third], expected);
        }
        check(0, b"", [&[0, 0], b"", &[0, 0, 0]]);
        check(0, b"abcd", [b"ab", b"", b"cd\0"]);
        check(1, b"abcd", [b"\0a", b"", b"bcd"]);
        check(3, b"ab", [b"\0\0", b"", b"\0ab"]);
        check(5, b"", [&[0, 0], b"", &[0, 0, 0]]);
    }
}
