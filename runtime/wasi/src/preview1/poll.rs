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
use crate::host::poll::{Interest, Readiness, readable_bytes, wait};
use crate::{Errno, WasiCtx};
use rustix::fd::BorrowedFd;
use rustix::fs::SeekFrom;

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

/// What a subscription comes down to on this host.
enum Watch<'a> {
    /// Known at once.
    Done(Result<u64, Errno>),
    /// After so many nanoseconds.
    After(u64),
    /// When the host says.
    Host(Interest<'a>),
}

/// Bytes between a file's position and its end.
fn file_bytes(file: &crate::host::fs::File) -> Result<u64, Errno> {
    let position = file.seek(SeekFrom::Current(0)).unwrap_or(0);
    Ok(file.metadata()?.size_bytes.saturating_sub(position))
}

fn watch_stream(ctx: &WasiCtx, fd: u32, write: bool) -> Result<Watch<'_>, Errno> {
    let descriptor = ctx.descriptors.get(fd)?;
    descriptor.require(Rights::POLL_FD_READWRITE)?;
    let host = |fd: Option<BorrowedFd<'static>>, ready: u64| match fd {
        Some(fd) => Watch::Host(Interest { fd, write }),
        None => Watch::Done(Ok(ready)),
    };
    Ok(match (&descriptor.resource, write) {
        (Resource::Input(crate::host::stdio::InputStream::Inherit), false) => host(Some(rustix::stdio::stdin()), 0),
        (Resource::Input(crate::host::stdio::InputStream::Buffer(buffer)), false) => {
            Watch::Done(Ok(buffer.remaining() as u64))
        }
        (Resource::Input(crate::host::stdio::InputStream::Null), false) => Watch::Done(Ok(0)),
        (Resource::Output(stream), true) => match stream.host_fd() {
            Some(fd) => Watch::Host(Interest { fd, write }),
            None => Watch::Done(Ok(0)),
        },
        (Resource::File(file), false) if file.kind() == crate::host::fs::FileKind::Regular => {
            Watch::Done(file_bytes(file))
        }
        (Resource::File(file), _) => Watch::Host(Interest { fd: file.host_fd(), write }),
        _ => return Err(Errno::BadF),
    })
}

/// Nanoseconds until a clock subscription is due.
fn due(clocks: &mut Clocks, id: u32, timeout: u64, absolute: bool) -> Result<u64, Errno> {
    let clock = decode_clock(id)?;
    match (clock, absolute) {
        (Clock::ProcessCpu | Clock::ThreadCpu, _) => Err(Errno::NotSup),
        (_, true) => Ok(timeout.saturating_sub(clocks.now(clock)?)),
        (_, false) => Ok(timeout),
    }
}

fn poll(
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
    let happened = watch_all(ctx, &list)?;
    for (position, happening) in happened.iter().enumerate() {
        memory.write(events + position as u32 * EVENT_BYTES, &event(happening))?;
    }
    memory.write_u32(stored, happened.len() as u32)
}

fn watch_all(ctx: &mut WasiCtx, list: &[Subscription]) -> Result<Vec<Event>, Errno> {
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
    let earliest = watches.iter().filter_map(|watch| if let Watch::After(ns) = watch { Some(*ns) } else { None }).min();
    let known = watches.iter().any(|watch| matches!(watch, Watch::Done(_)));
    let interests: Vec<Interest<'_>> = watches
        .iter()
        .filter_map(|watch| if let Watch::Host(interest) = watch { Some(*interest) } else { None })
        .collect();
    let timeout = if known { Some(0) } else { earliest };
    let readiness = wait(&interests, timeout)?;
    // A stream that is ready ends the wait before the clock is due.
    let elapsed =
        if known || readiness.iter().any(|ready| *ready != Readiness::Waiting) { 0 } else { earliest.unwrap_or(0) };
    let mut readiness = interests.iter().zip(readiness);
    let mut happened = Vec::new();
    for (subscription, watch) in list.iter().zip(&watches) {
        let result = match watch {
            Watch::Done(result) => result.map(|bytes| (bytes, false)),
            Watch::After(ns) if *ns <= elapsed => Ok((0, false)),
            Watch::After(_) => continue,
            Watch::Host(_) => match readiness.next() {
                Some((interest, Readiness::Ready { hangup })) => {
                    Ok((if interest.write { 0 } else { readable_bytes(interest.fd) }, hangup))
                }
                Some((_, Readiness::Failed(error))) => Err(error),
                Some((_, Readiness::Waiting)) | None => continue,
            },
        };
        let (bytes, hangup) = result.unwrap_or_default();
        let error = result.err().unwrap_or(Errno::Success);
        happened.push(Event { userdata: subscription.userdata, error, tag: subscription.tag, bytes, hangup });
    }
    drop(watches);
    ctx.clocks = clocks;
    Ok(happened)
}

pub fn poll_oneoff(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    stored: u32,
) -> Result<(), Errno> {
    poll(ctx, memory, (subscriptions, SUBSCRIPTION_BYTES), events, count, stored)
}

/// `poll_oneoff` of the first edition.
pub fn poll_oneoff_unstable(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    stored: u32,
) -> Result<(), Errno> {
    poll(ctx, memory, (subscriptions, SUBSCRIPTION_UNSTABLE_BYTES), events, count, stored)
}
