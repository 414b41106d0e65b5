//! `wasi:sockets/tcp` and `tcp-create-socket`
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/sockets/wit/tcp.wit)).
//!
//! Invariant: the streams of a connection outlive its socket.
//!
//! Does not know: the states of sockets.

use super::super::io::Output;
use super::{Asked, IpAddressFamily, IpSocketAddress, Network};
use crate::WasiCtx;
use crate::host::net::{BufferSide, KeepAlive, Shutdown, TcpSocket};
use crate::host::stream::{Pollable, Sink, Source};
use std::sync::Arc;
use wattest::Result;
use wattest::component::{ComponentType, Lift, Resource};

type Socket = Arc<TcpSocket>;
type This = Resource<Socket>;
type Streams = (Resource<Source>, Resource<Output>);

/// `shutdown-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
pub enum ShutdownType {
    Receive,
    Send,
    Both,
}

pub fn create(ctx: &mut WasiCtx, (family,): (IpAddressFamily,)) -> Asked<This> {
    let socket = TcpSocket::new(&ctx.network, family.into())?;
    Ok(ctx.push(socket)?)
}

pub fn start_bind(ctx: &mut WasiCtx, (this, net, local): (This, Resource<Network>, IpSocketAddress)) -> Asked<()> {
    ctx.table.get(&net)?;
    Ok(ctx.table.get(&this)?.start_bind(local.into())?)
}

pub fn finish_bind(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.finish_bind()?)
}

pub fn start_connect(ctx: &mut WasiCtx, (this, net, remote): (This, Resource<Network>, IpSocketAddress)) -> Asked<()> {
    ctx.table.get(&net)?;
    Ok(ctx.table.get(&this)?.start_connect(remote.into())?)
}

fn streams(ctx: &mut WasiCtx, socket: Socket) -> Asked<Streams> {
    let input = ctx.push(Source::Tcp(socket.clone()))?;
    Ok((input, ctx.push(Output::new(Sink::Tcp(socket)))?))
}

pub fn finish_connect(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<Streams> {
    let socket = ctx.table.get(&this)?.clone();
    socket.finish_connect()?;
    streams(ctx, socket)
}

pub fn start_listen(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.start_listen()?)
}

pub fn finish_listen(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.finish_listen()?)
}

pub fn accept(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<(This, Resource<Source>, Resource<Output>)> {
    let accepted = ctx.table.get(&this)?.accept()?;
    let socket = ctx.push(accepted.clone())?;
    let (input, output) = streams(ctx, accepted)?;
    Ok((socket, input, output))
}

pub fn local_address(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<IpSocketAddress> {
    Ok(ctx.table.get(&this)?.local_address()?.into())
}

pub fn remote_address(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<IpSocketAddress> {
    Ok(ctx.table.get(&this)?.remote_address()?.into())
}

pub fn is_listening(ctx: &mut WasiCtx, (this,): (This,)) -> Result<bool> {
    Ok(ctx.table.get(&this)?.is_listening())
}

pub fn address_family(ctx: &mut WasiCtx, (this,): (This,)) -> Result<IpAddressFamily> {
    Ok(ctx.table.get(&this)?.family().into())
}

pub fn set_listen_backlog_size(ctx: &mut WasiCtx, (this, value): (This, u64)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.set_backlog(value)?)
}

pub fn keep_alive_enabled(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<bool> {
    Ok(ctx.table.get(&this)?.keep_alive()?)
}

pub fn set_keep_alive_enabled(ctx: &mut WasiCtx, (this, on): (This, bool)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.set_keep_alive(on)?)
}

pub fn keep_alive_idle_time(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<u64> {
    Ok(ctx.table.get(&this)?.keep_alive_time(KeepAlive::Idle)?)
}

pub fn set_keep_alive_idle_time(ctx: &mut WasiCtx, (this, value): (This, u64)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.set_keep_alive_time(KeepAlive::Idle, value)?)
}

pub fn keep_alive_interval(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<u64> {
    Ok(ctx.table.get(&this)?.keep_alive_time(KeepAlive::Interval)?)
}

pub fn set_keep_alive_interval(ctx: &mut WasiCtx, (this, value): (This, u64)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.set_keep_alive_time(KeepAlive::Interval, value)?)
}

pub fn keep_alive_count(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<u32> {
    Ok(ctx.table.get(&this)?.keep_alive_count()?)
}

pub fn set_keep_alive_count(ctx: &mut WasiCtx, (this, value): (This, u32)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.set_keep_alive_count(value)?)
}

pub fn hop_limit(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<u8> {
    Ok(ctx.table.get(&this)?.hop_limit()?)
}

pub fn set_hop_limit(ctx: &mut WasiCtx, (this, value): (This, u8)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.set_hop_limit(value)?)
}

pub fn receive_buffer_size(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<u64> {
    Ok(ctx.table.get(&this)?.buffer_size(BufferSide::Receive)?)
}

pub fn set_receive_buffer_size(ctx: &mut WasiCtx, (this, value): (This, u64)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.set_buffer_size(BufferSide::Receive, value)?)
}

pub fn send_buffer_size(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<u64> {
    Ok(ctx.table.get(&this)?.buffer_size(BufferSide::Send)?)
}

pub fn set_send_buffer_size(ctx: &mut WasiCtx, (this, value): (This, u64)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.set_buffer_size(BufferSide::Send, value)?)
}

pub fn subscribe(ctx: &mut WasiCtx, (this,): (This,)) -> Result<Resource<Pollable>> {
    let socket = ctx.table.get(&this)?.clone();
    ctx.push(Pollable::Awaited(socket))
}

pub fn shutdown(ctx: &mut WasiCtx, (this, how): (This, ShutdownType)) -> Asked<()> {
    let how = match how {
        ShutdownType::Receive => Shutdown::Receive,
        ShutdownType::Send => Shutdown::Send,
        ShutdownType::Both => Shutdown::Both,
    };
    Ok(ctx.table.get(&this)?.shutdown(how)?)
}
