//! `wasi:io` ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/io/wit)).
//!
//! Invariant: a guest writes at most what it was permitted; more ends it, as the interface says.
//!
//! Does not know: what is behind a stream.

use super::face::{Answer, Stop};
#[cfg(feature = "http")]
use crate::host::http::ErrorCode;
use crate::host::poll::{Watch, settle};
use crate::host::stream::{BYTES_MAX, Ended, Pollable, Sink, Source};
use crate::host::waiting::settled;
use crate::{Errno, WasiCtx};
use wattest::component::{ComponentType, Lower, Resource};
use wattest::{Error, HostFuture, Result};

/// What went wrong with a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IoError {
    /// With the host's.
    Host(Errno),
    /// With a message's body.
    #[cfg(feature = "http")]
    Http(Box<ErrorCode>),
}

/// `stream-error`.
#[derive(Debug, ComponentType, Lower)]
#[component(variant)]
pub enum StreamError {
    LastOperationFailed(Resource<IoError>),
    Closed,
}

impl StreamError {
    pub fn new(ctx: &mut WasiCtx, ended: Ended) -> Result<StreamError> {
        Ok(match ended {
            Ended::Closed => StreamError::Closed,
            Ended::Failed(error) => StreamError::LastOperationFailed(ctx.push(IoError::Host(error))?),
            #[cfg(feature = "http")]
            Ended::Http(code) => StreamError::LastOperationFailed(ctx.push(IoError::Http(code))?),
        })
    }
}

/// `output-stream`: a sink, and what the guest was permitted last.
#[derive(Debug)]
pub struct Output {
    sink: Sink,
    permit: u64,
}

impl Output {
    pub fn new(sink: Sink) -> Output {
        Output { sink, permit: 0 }
    }
}

type This<T> = Resource<T>;

/// Most bytes of the calls that write, wait and flush in one.
const BLOCKING_BYTES_MAX: u64 = 4096;

pub fn to_debug_string(ctx: &mut WasiCtx, (this,): (This<IoError>,)) -> Result<String> {
    Ok(match ctx.table.get(&this)? {
        IoError::Host(error) => error.text().to_owned(),
        #[cfg(feature = "http")]
        IoError::Http(code) => code.to_string(),
    })
}

/// Waits until one of the pollables has happened; which ones have. What sockets keep is sent meanwhile.
async fn wait(ctx: &mut WasiCtx, list: &[Pollable]) -> Result<Vec<bool>, Errno> {
    loop {
        let keeping = ctx.network.send_kept();
        let clocks = &mut ctx.clocks;
        let mut watches = list.iter().map(|pollable| pollable.watch(clocks)).collect::<Result<Vec<_>, _>>()?;
        watches.extend(keeping.iter().map(|socket| Watch::Host(socket.room())));
        let happened = settled(&ctx.waiting, clocks, &watches).await?;
        let asked: Vec<bool> = happened.iter().take(list.len()).map(Option::is_some).collect();
        if keeping.is_empty() || asked.contains(&true) {
            return Ok(asked);
        }
    }
}

pub fn ready(ctx: &mut WasiCtx, (this,): (This<Pollable>,)) -> Result<bool> {
    // Who asks again and again waits as well.
    drop(ctx.network.send_kept());
    let pollable = ctx.table.get(&this)?;
    let watch = pollable.watch(&mut ctx.clocks).map_err(Error::host)?;
    let happened = match watch {
        Watch::After(nanoseconds) => nanoseconds == 0,
        watch => settle(&mut ctx.clocks, &[watch, Watch::Done(Ok(0))]).map_err(Error::host)?[0].is_some(),
    };
    Ok(happened)
}

pub fn block(ctx: &mut WasiCtx, (this,): (This<Pollable>,)) -> HostFuture<'_, Result<()>> {
    Box::pin(async move {
        let pollable = ctx.table.get(&this)?.clone();
        wait(ctx, &[pollable]).await.map(drop).map_err(Error::host)
    })
}

pub fn poll(ctx: &mut WasiCtx, (list,): (Vec<This<Pollable>>,)) -> HostFuture<'_, Result<Vec<u32>>> {
    Box::pin(async move {
        if list.is_empty() {
            return Err(Error::msg("wasi:io/poll#poll was called with an empty list"));
        }
        let list = list.iter().map(|this| Ok(ctx.table.get(this)?.clone())).collect::<Result<Vec<_>>>()?;
        let happened = wait(ctx, &list).await.map_err(Error::host)?;
        Ok((0..).zip(happened).filter(|(_, happened)| *happened).map(|(position, _)| position).collect())
    })
}

pub fn read(ctx: &mut WasiCtx, (this, length): (This<Source>, u64)) -> Answer<Vec<u8>> {
    Ok(ctx.table.get_mut(&this)?.read(length)?)
}

pub fn blocking_read(ctx: &mut WasiCtx, (this, length): (This<Source>, u64)) -> HostFuture<'_, Answer<Vec<u8>>> {
    Box::pin(read_some(ctx, this, length))
}

async fn read_some(ctx: &mut WasiCtx, this: This<Source>, length: u64) -> Answer<Vec<u8>> {
    loop {
        let bytes = ctx.table.get_mut(&this)?.read(length)?;
        if length == 0 || !bytes.is_empty() {
            return Ok(bytes);
        }
        let pollable = ctx.table.get(&this)?.pollable();
        wait(ctx, &[pollable]).await?;
    }
}

pub fn skip(ctx: &mut WasiCtx, params: (This<Source>, u64)) -> Answer<u64> {
    read(ctx, params).map(|bytes| bytes.len() as u64)
}

pub fn blocking_skip(ctx: &mut WasiCtx, (this, length): (This<Source>, u64)) -> HostFuture<'_, Answer<u64>> {
    Box::pin(async move { Ok(read_some(ctx, this, length).await?.len() as u64) })
}

pub fn subscribe_input(ctx: &mut WasiCtx, (this,): (This<Source>,)) -> Result<Resource<Pollable>> {
    let pollable = ctx.table.get(&this)?.pollable();
    ctx.push(pollable)
}

pub fn check_write(ctx: &mut WasiCtx, (this,): (This<Output>,)) -> Answer<u64> {
    let output = ctx.table.get_mut(&this)?;
    output.permit = output.sink.permit()?;
    Ok(output.permit)
}

pub fn write(ctx: &mut WasiCtx, (this, contents): (This<Output>, Vec<u8>)) -> Answer<()> {
    let output = ctx.table.get_mut(&this)?;
    output.permit = output.permit.checked_sub(contents.len() as u64).ok_or_else(not_permitted)?;
    Ok(output.sink.write(&contents)?)
}

fn not_permitted() -> Stop {
    Stop::Trap(Error::msg("an output stream was written to with more bytes than check-write permitted"))
}

/// Waits until something can be written; how much.
async fn wait_for_permit(ctx: &mut WasiCtx, this: &This<Output>) -> Answer<u64> {
    loop {
        let output = ctx.table.get_mut(this)?;
        let permit = output.sink.permit()?;
        if permit > 0 {
            return Ok(permit);
        }
        let pollable = output.sink.pollable();
        wait(ctx, &[pollable]).await?;
    }
}

/// Writes, waiting for room as often as needed.
async fn write_all(ctx: &mut WasiCtx, this: &This<Output>, mut bytes: &[u8]) -> Answer<()> {
    while !bytes.is_empty() {
        let permit = wait_for_permit(ctx, this).await?;
        let (now, later) = bytes.split_at(bytes.len().min(permit as usize));
        ctx.table.get_mut(this)?.sink.write(now)?;
        bytes = later;
    }
    Ok(())
}

pub fn blocking_write_and_flush(
    ctx: &mut WasiCtx,
    (this, contents): (This<Output>, Vec<u8>),
) -> HostFuture<'_, Answer<()>> {
    Box::pin(async move {
        if contents.len() as u64 > BLOCKING_BYTES_MAX {
            return Err(not_permitted());
        }
        write_all(ctx, &this, &contents).await?;
        flush_all(ctx, &this).await
    })
}

pub fn flush(ctx: &mut WasiCtx, (this,): (This<Output>,)) -> Answer<()> {
    Ok(ctx.table.get_mut(&this)?.sink.flush().map(drop)?)
}

pub fn blocking_flush(ctx: &mut WasiCtx, (this,): (This<Output>,)) -> HostFuture<'_, Answer<()>> {
    Box::pin(async move { flush_all(ctx, &this).await })
}

/// Waits until nothing is kept.
async fn flush_all(ctx: &mut WasiCtx, this: &This<Output>) -> Answer<()> {
    loop {
        let output = ctx.table.get_mut(this)?;
        if output.sink.flush()? {
            return Ok(());
        }
        let pollable = output.sink.pollable();
        wait(ctx, &[pollable]).await?;
    }
}

pub fn subscribe_output(ctx: &mut WasiCtx, (this,): (This<Output>,)) -> Result<Resource<Pollable>> {
    let pollable = ctx.table.get(&this)?.sink.pollable();
    ctx.push(pollable)
}

pub fn write_zeroes(ctx: &mut WasiCtx, (this, length): (This<Output>, u64)) -> Answer<()> {
    if length > BYTES_MAX {
        return Err(not_permitted());
    }
    write(ctx, (this, vec![0; length as usize]))
}

pub fn blocking_write_zeroes_and_flush(
    ctx: &mut WasiCtx,
    (this, length): (This<Output>, u64),
) -> HostFuture<'_, Answer<()>> {
    if length > BLOCKING_BYTES_MAX {
        return Box::pin(std::future::ready(Err(not_permitted())));
    }
    blocking_write_and_flush(ctx, (this, vec![0; length as usize]))
}

pub fn splice(ctx: &mut WasiCtx, (this, source, length): (This<Output>, This<Source>, u64)) -> Answer<u64> {
    let permit = ctx.table.get_mut(&this)?.sink.permit()?;
    let bytes = ctx.table.get_mut(&source)?.read(length.min(permit))?;
    ctx.table.get_mut(&this)?.sink.write(&bytes)?;
    Ok(bytes.len() as u64)
}

pub fn blocking_splice(
    ctx: &mut WasiCtx,
    (this, source, length): (This<Output>, This<Source>, u64),
) -> HostFuture<'_, Answer<u64>> {
    Box::pin(async move {
        let permit = wait_for_permit(ctx, &this).await?;
        let bytes = read_some(ctx, source, length.min(permit)).await?;
        ctx.table.get_mut(&this)?.sink.write(&bytes)?;
        Ok(bytes.len() as u64)
    })
}
