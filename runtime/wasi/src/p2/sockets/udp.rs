//! `wasi:sockets/udp` and `udp-create-socket`
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/sockets/wit/udp.wit)).
//!
//! Invariant: a guest sends at most as many datagrams as it was permitted; more ends it, as the interface says.
//!
//! Does not know: the states of sockets.

use super::super::face::Stop;
use super::{Asked, IpAddressFamily, IpSocketAddress, Network};
use crate::WasiCtx;
use crate::host::net::{BufferSide, IncomingDatagrams, OutgoingDatagrams, UdpSocket};
use crate::host::stream::Pollable;
use std::sync::Arc;
use wattest::component::{ComponentType, Lift, Lower, Resource};
use wattest::{Error, Result};

type Socket = Arc<UdpSocket>;
type This = Resource<Socket>;

/// `incoming-datagram`.
#[derive(Debug, ComponentType, Lower)]
#[component(record)]
pub struct IncomingDatagram {
    data: Vec<u8>,
    remote_address: IpSocketAddress,
}

/// `outgoing-datagram`.
#[derive(Debug, ComponentType, Lift)]
#[component(record)]
pub struct OutgoingDatagram {
    data: Vec<u8>,
    remote_address: Option<IpSocketAddress>,
}

/// `outgoing-datagram-stream`: where datagrams go, and how many were permitted last.
#[derive(Debug)]
pub struct Outgoing {
    datagrams: OutgoingDatagrams,
    permit: u64,
}

pub fn create(ctx: &mut WasiCtx, (family,): (IpAddressFamily,)) -> Asked<This> {
    let socket = UdpSocket::new(&ctx.network, family.into())?;
    Ok(ctx.push(socket)?)
}

pub fn start_bind(ctx: &mut WasiCtx, (this, net, local): (This, Resource<Network>, IpSocketAddress)) -> Asked<()> {
    ctx.table.get(&net)?;
    Ok(ctx.table.get(&this)?.start_bind(local.into())?)
}

pub fn finish_bind(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<()> {
    Ok(ctx.table.get(&this)?.finish_bind()?)
}

pub fn stream(
    ctx: &mut WasiCtx,
    (this, remote): (This, Option<IpSocketAddress>),
) -> Asked<(Resource<IncomingDatagrams>, Resource<Outgoing>)> {
    let (incoming, datagrams) = ctx.table.get(&this)?.streams(remote.map(Into::into))?;
    let incoming = ctx.push(incoming)?;
    Ok((incoming, ctx.push(Outgoing { datagrams, permit: 0 })?))
}

pub fn local_address(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<IpSocketAddress> {
    Ok(ctx.table.get(&this)?.local_address()?.into())
}

pub fn remote_address(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<IpSocketAddress> {
    Ok(ctx.table.get(&this)?.remote_address()?.into())
}

pub fn address_family(ctx: &mut WasiCtx, (this,): (This,)) -> Result<IpAddressFamily> {
    Ok(ctx.table.get(&this)?.family().into())
}

pub fn unicast_hop_limit(ctx: &mut WasiCtx, (this,): (This,)) -> Asked<u8> {
    Ok(ctx.table.get(&this)?.hop_limit()?)
}

pub fn set_unicast_hop_limit(ctx: &mut WasiCtx, (this, value): (This, u8)) -> Asked<()> {
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

pub fn receive(
    ctx: &mut WasiCtx,
    (this, count_max): (Resource<IncomingDatagrams>, u64),
) -> Asked<Vec<IncomingDatagram>> {
    let datagrams = ctx.table.get(&this)?.receive(count_max)?;
    let told = datagrams
        .into_iter()
        .map(|datagram| IncomingDatagram { data: datagram.data, remote_address: datagram.remote.into() });
    Ok(told.collect())
}

pub fn subscribe_incoming(ctx: &mut WasiCtx, (this,): (Resource<IncomingDatagrams>,)) -> Result<Resource<Pollable>> {
    let awaited = ctx.table.get(&this)?.awaited();
    ctx.push(Pollable::Awaited(awaited))
}

pub fn check_send(ctx: &mut WasiCtx, (this,): (Resource<Outgoing>,)) -> Asked<u64> {
    let outgoing = ctx.table.get_mut(&this)?;
    outgoing.permit = outgoing.datagrams.permit()?;
    Ok(outgoing.permit)
}

pub fn send(ctx: &mut WasiCtx, (this, list): (Resource<Outgoing>, Vec<OutgoingDatagram>)) -> Asked<u64> {
    let outgoing = ctx.table.get_mut(&this)?;
    let permit = outgoing.permit.checked_sub(list.len() as u64);
    outgoing.permit = permit.ok_or_else(|| {
        Stop::Trap(Error::msg("more datagrams were sent than outgoing-datagram-stream.check-send permitted"))
    })?;
    let mut sent = 0;
    for datagram in list {
        match outgoing.datagrams.send(&datagram.data, datagram.remote_address.map(Into::into)) {
            Ok(true) => sent += 1,
            Ok(false) => break,
            // The datagrams before it are on their way; the next call fails.
            Err(_) if sent > 0 => break,
            Err(error) => return Err(Stop::Told(error)),
        }
    }
    Ok(sent)
}

pub fn subscribe_outgoing(ctx: &mut WasiCtx, (this,): (Resource<Outgoing>,)) -> Result<Resource<Pollable>> {
    let awaited = ctx.table.get(&this)?.datagrams.awaited();
    ctx.push(Pollable::Awaited(awaited))
}
