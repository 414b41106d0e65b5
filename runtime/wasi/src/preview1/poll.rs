//! Waiting for several things at once
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#poll_oneoff)).
//!
//! Invariant: an event is reported in the order of the subscriptions; at least one, or the call waits.
//!
//! Does not know: how the host waits.

use super::GuestMemory;
use super::clock::decode as decode_clock;
use super::descriptors::Resource;
use super::layout::{EVENT_BYTES, Event, event};
use super::rights::Rights;
use crate::host::clock::{Clock, Clocks};
use crate::host::fs::{File, Seek};
use crate::host::poll::{Happened, Interest, Watch};
use crate::host::stream::Awaited;
use crate::host::waiting::settled;
use crate::{Errno, WasiCtx};
use wattest::HostFuture;

/// Most subscriptions in one call.
const SUBSCRIPTIONS_MAX: u32 = 4096;
/// Bytes of a `subscription`.
const SUBSCRIPTION_BYTES: u32 = 48;
/// Bytes of a `subscription` of the first edition, whose clocks carry a number of their own.
const SUBSCRIPTION_UNSTABLE_BYTES: u32 = 56;
const TAG_CLOCK: u8 = 0;
const TAG_READ: u8 = 1;
const TAG_WRITE: u8 = 2;

/// What is waited for.
#[derive(Clone, Copy)]
enum Kind {
    Clock { id: u32, timeout: u64, absolute: bool },
    Stream { fd: u32 },
}

#[derive(Clone, Copy)]
struct Subscription {
    userdata: u64,
    tag: u8,
    kind: Kind,
}

fn number(record: &[u8], at: usize, bytes: usize) -> u64 {
    record[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn decode(record: &[u8]) -> Result<Subscription, Errno> {
    // Where the clock's fields start: after its own number in the first edition.
    let clock = if record.len() == SUBSCRIPTION_UNSTABLE_BYTES as usize { 24 } else { 16 };
    let tag = record[8];
    let kind = match tag {
        TAG_CLOCK => Kind::Clock {
            id: number(record, clock, 4) as u32,
            timeout: number(record, clock + 8, 8),
            absolute: match number(record, clock + 24, 2) {
                0 => false,
                1 => true,
                _ => return Err(Errno::Inval),
            },
        },
        TAG_READ | TAG_WRITE => Kind::Stream { fd: number(record, 16, 4) as u32 },
        _ => return Err(Errno::Inval),
    };
    Ok(Subscription { userdata: number(record, 0, 8), tag, kind })
}

/// Bytes between a file's position and its end.
fn file_bytes(file: &File) -> Result<u64, Errno> {
    let position = file.seek(Seek::Current(0)).unwrap_or(0);
    Ok(file.metadata()?.size_bytes.saturating_sub(position))
}

fn watch_stream(ctx: &WasiCtx, fd: u32, write: bool) -> Result<Watch<'_>, Errno> {
    let descriptor = ctx.descriptors.get(fd)?;
    descriptor.require(Rights::POLL_FD_READWRITE)?;
    Ok(match (&descriptor.resource, write) {
        (Resource::Input(stream), false) => stream.watch(),
        (Resource::Output(stream), true) => stream.watch(),
        (Resource::File(file), _) => match file.host_fd() {
            Some(fd) => Watch::Host(Interest { fd, write }),
            None if write => Watch::Done(Ok(0)),
            None => Watch::Done(file_bytes(file)),
        },
        (Resource::Socket(socket), false) if socket.tcp.is_listening() => socket.tcp.watch(),
        (Resource::Socket(socket), false) => socket.tcp.watch_readable(),
        (Resource::Socket(socket), true) if !socket.tcp.is_listening() => socket.tcp.watch_writable(),
        _ => return Err(Errno::BadF),
    })
}

/// Nanoseconds until a clock subscription is due.
fn due(clocks: &mut Clocks, id: u32, timeout: u64, absolute: bool) -> Result<u64, Errno> {
    let clock = decode_clock(id)?;
    #[cfg(wattest_mutants)]
    let absolute = absolute && !wattest_abi::mutant!(wasi_poll_absolute_as_relative);
    match (clock, absolute) {
        (Clock::ProcessCpu | Clock::ThreadCpu, _) => Err(Errno::NotSup),
        (_, true) => Ok(timeout.saturating_sub(clocks.now(clock)?)),
        (_, false) => Ok(timeout),
    }
}

async fn poll(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    (subscriptions, bytes): (u32, u32),
    events: u32,
    count: u32,
    stored: u32,
) -> Result<(), Errno> {
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Err(Errno::Inval);
    }
    memory.check(stored, 4)?;
    memory.check(events, count * EVENT_BYTES)?;
    let records = memory.read(subscriptions, count * bytes)?.chunks_exact(bytes as usize);
    let list = records.map(decode).collect::<Result<Vec<_>, _>>()?;
    let happened = watch_all(ctx, &list).await?;
    for (position, happening) in happened.iter().enumerate() {
        memory.write(events + position as u32 * EVENT_BYTES, &event(happening))?;
    }
    memory.write_u32(stored, happened.len() as u32)
}

async fn watch_all(ctx: &mut WasiCtx, list: &[Subscription]) -> Result<Vec<Event>, Errno> {
    let mut clocks = ctx.clocks.clone();
    let watches: Vec<Watch<'_>> = list
        .iter()
        .map(|subscription| match subscription.kind {
            Kind::Clock { id, timeout, absolute } => {
                due(&mut clocks, id, timeout, absolute).map_or_else(|error| Watch::Done(Err(error)), Watch::After)
            }
            Kind::Stream { fd } => {
                watch_stream(ctx, fd, subscription.tag == TAG_WRITE).unwrap_or_else(|error| Watch::Done(Err(error)))
            }
        })
        .collect();
    let outcomes = settled(&ctx.waiting, &mut clocks, &watches).await?;
    let happened = list.iter().zip(outcomes).filter_map(|(subscription, outcome)| {
        let outcome = outcome?;
        let Happened { bytes, hangup } = outcome.unwrap_or(Happened { bytes: 0, hangup: false });
        let error = outcome.err().unwrap_or(Errno::Success);
        Some(Event { userdata: subscription.userdata, error, tag: subscription.tag, bytes, hangup })
    });
    let happened = happened.collect();
    drop(watches);
    ctx.clocks = clocks;
    Ok(happened)
}

pub fn poll_oneoff<'a>(
    ctx: &'a mut WasiCtx,
    memory: &'a mut GuestMemory<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    stored: u32,
) -> HostFuture<'a, Result<(), Errno>> {
    Box::pin(poll(ctx, memory, (subscriptions, SUBSCRIPTION_BYTES), events, count, stored))
}

/// `poll_oneoff` of the first edition.
pub fn poll_oneoff_unstable<'a>(
    ctx: &'a mut WasiCtx,
    memory: &'a mut GuestMemory<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    stored: u32,
) -> HostFuture<'a, Result<(), Errno>> {
    Box::pin(poll(ctx, memory, (subscriptions, SUBSCRIPTION_UNSTABLE_BYTES), events, count, stored))
}
