//! `wasi:clocks` ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/clocks/wit)).
//!
//! Invariant: all clocks are those of the context, so that a guest with virtual clocks sees no other time. The timezone is
//! UTC: where the host is, is none of the guest's business.
//!
//! Does not know: how the host waits.

use crate::WasiCtx;
use crate::host::clock::Clock;
use crate::host::stream::Pollable;
use wattest::component::{ComponentType, Lift, Lower, Resource};
use wattest::{Error, Result};

/// A time since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub struct Datetime {
    pub seconds: u64,
    pub nanoseconds: u32,
}

impl From<u64> for Datetime {
    /// From nanoseconds.
    fn from(time: u64) -> Datetime {
        Datetime { seconds: time / 1_000_000_000, nanoseconds: (time % 1_000_000_000) as u32 }
    }
}

/// What a timezone looks like at a time.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(record)]
pub struct TimezoneDisplay {
    utc_offset: i32,
    name: String,
    in_daylight_saving_time: bool,
}

fn read(ctx: &mut WasiCtx, clock: Clock) -> Result<u64> {
    ctx.clocks.now(clock).map_err(Error::host)
}

pub fn now(ctx: &mut WasiCtx, (): ()) -> Result<u64> {
    read(ctx, Clock::Monotonic)
}

pub fn resolution(ctx: &mut WasiCtx, (): ()) -> Result<u64> {
    ctx.clocks.resolution(Clock::Monotonic).map_err(Error::host)
}

pub fn subscribe_instant(ctx: &mut WasiCtx, (when,): (u64,)) -> Result<Resource<Pollable>> {
    ctx.push(Pollable::Until(when))
}

pub fn subscribe_duration(ctx: &mut WasiCtx, (length,): (u64,)) -> Result<Resource<Pollable>> {
    let now = read(ctx, Clock::Monotonic)?;
    ctx.push(Pollable::Until(now.saturating_add(length)))
}

pub fn wall_now(ctx: &mut WasiCtx, (): ()) -> Result<Datetime> {
    read(ctx, Clock::Realtime).map(Datetime::from)
}

pub fn wall_resolution(ctx: &mut WasiCtx, (): ()) -> Result<Datetime> {
    ctx.clocks.resolution(Clock::Realtime).map(Datetime::from).map_err(Error::host)
}

pub fn display(_: &mut WasiCtx, _: (Datetime,)) -> Result<TimezoneDisplay> {
    Ok(TimezoneDisplay { utc_offset: 0, name: "UTC".to_owned(), in_daylight_saving_time: false })
}

pub fn utc_offset(_: &mut WasiCtx, _: (Datetime,)) -> Result<i32> {
    Ok(0)
}
