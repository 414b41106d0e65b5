//! TCP on the machine's own addresses: every state and what it refuses, streams, limits.
//!
//! Invariant: nothing leaves the machine; a wait is for something that is sure to come.
//!
//! Does not know: guests.

use super::super::network::NetworkLimits;
use super::super::rule::{Purpose, Rule};
use super::*;
use crate::host::poll::settle;
use crate::host::stream::Pollable;

const ADDRESS: &str = "127.0.0.1:0";

fn everything() -> Network {
    Network::inherit()
}

fn block(awaited: &Pollable) {
    let clocks = &mut Clocks::Host;
    let watch = awaited.watch(clocks).unwrap();
    settle(&mut Clocks::Host, &[watch]).unwrap();
}

fn listener(network: &Network) -> (Arc<TcpSocket>, SocketAddr) {
    let socket = TcpSocket::new(network, Family::V4).unwrap();
    socket.start_bind(ADDRESS.parse().unwrap()).unwrap();
    socket.finish_bind().unwrap();
    socket.start_listen().unwrap();
    socket.finish_listen().unwrap();
    let address = socket.local_address().unwrap();
    (socket, address)
}

/// Two ends of a connection.
fn pair(network: &Network) -> (Arc<TcpSocket>, Arc<TcpSocket>) {
    let (listener, address) = listener(network);
    let client = TcpSocket::new(network, Family::V4).unwrap();
    client.start_connect(address).unwrap();
    block(&Pollable::Awaited(client.clone()));
    client.finish_connect().unwrap();
    block(&Pollable::Awaited(listener.clone()));
    (client, listener.accept().unwrap())
}

/// Reads so many bytes, or to the end.
fn read(socket: &Arc<TcpSocket>, count: usize) -> Result<Vec<u8>, Ended> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let more = socket.receive((count - bytes.len()) as u64)?;
        if more.is_empty() {
            block(&Pollable::Awaited(socket.readable()));
        }
        bytes.extend(more);
    }
    Ok(bytes)
}

#[test]
fn every_state_refuses_what_does_not_belong_there() {
    type Call = (&'static str, fn(&TcpSocket) -> Result<(), NetError>);
    let calls: [Call; 8] = [
        ("start-bind", |socket| socket.start_bind(ADDRESS.parse().unwrap())),
        ("finish-bind", TcpSocket::finish_bind),
        ("finish-connect", TcpSocket::finish_connect),
        ("finish-listen", TcpSocket::finish_listen),
        ("accept", |socket| socket.accept().map(drop)),
        ("local-address", |socket| socket.local_address().map(drop)),
        ("remote-address", |socket| socket.remote_address().map(drop)),
        ("shutdown", |socket| socket.shutdown(Shutdown::Both)),
    ];
    // A letter per call: ok, state, not in progress, conflict, would block.
    let check = |state: &str, make: &dyn Fn() -> Arc<TcpSocket>, expected: &str| {
        let letter = |result: Result<(), NetError>| match result {
            Ok(()) => 'o',
            Err(NetError::State) => 's',
            Err(NetError::NotInProgress) => 'n',
            Err(NetError::CONFLICT) => 'c',
            Err(NetError::WOULD_BLOCK) => 'w',
            Err(_) => '?',
        };
        let actual: String = calls.iter().map(|(_, call)| letter(call(&make()))).collect();
        assert_eq!(actual, expected, "{state}");
    };
    let network = everything();
    let new = || TcpSocket::new(&network, Family::V4).unwrap();
    let binding = || {
        let socket = new();
        socket.start_bind(ADDRESS.parse().unwrap()).unwrap();
        socket
    };
    let bound = || {
        let socket = binding();
        socket.finish_bind().unwrap();
        socket
    };
    check("unbound", &new, "onnnssss");
    check("binding", &binding, "connssss");
    check("bound", &bound, "snnnsoss");
    check("listening", &|| listener(&network).0, "snnnwoss");
    check("connected", &|| pair(&network).0, "snnnsooo");
    let starting = || {
        let socket = bound();
        socket.start_listen().unwrap();
        socket
    };
    check("listen in progress", &starting, "cnnososs");
    let closed = || {
        let socket = new();
        assert_eq!(socket.start_connect("127.0.0.1:0".parse().unwrap()), Err(NetError::ARGUMENT));
        socket
    };
    check("closed", &closed, "snnnssss");
    /// A socket, and what connecting and listening say.
    type Start<'a> = (&'a dyn Fn() -> Arc<TcpSocket>, [NetError; 2]);
    let starts: [Start<'_>; 4] = [
        (&binding, [NetError::CONFLICT, NetError::CONFLICT]),
        (&starting, [NetError::CONFLICT, NetError::CONFLICT]),
        (&|| pair(&network).0, [NetError::State, NetError::State]),
        (&closed, [NetError::State, NetError::State]),
    ];
    for (make, expected) in starts {
        let target = "127.0.0.1:9".parse().unwrap();
        assert_eq!([make().start_connect(target), make().start_listen()].map(Result::unwrap_err), expected);
    }
    assert_eq!(new().start_listen(), Err(NetError::State));
    assert_eq!((new().is_listening(), listener(&network).0.is_listening()), (false, true));
}

#[test]
fn bytes_go_both_ways_to_the_end() {
    let (client, server) = pair(&everything());
    assert_eq!(client.permit(), Ok(BYTES_MAX));
    assert_eq!(client.receive(10), Ok(Vec::new()));
    client.send(b"question").unwrap();
    assert_eq!(read(&server, 8), Ok(b"question".to_vec()));
    server.send(b"answer").unwrap();
    block(&Pollable::Awaited(client.readable()));
    assert_eq!(client.peek(3), Ok(b"ans".to_vec()));
    assert_eq!(read(&client, 6), Ok(b"answer".to_vec()));
    client.shutdown(Shutdown::Send).unwrap();
    client.shutdown(Shutdown::Send).unwrap();
    assert_eq!((client.permit(), client.send(b"x")), (Err(Ended::Closed), Err(Ended::Closed)));
    assert_eq!(read(&server, 1), Err(Ended::Closed));
    server.send(b"late").unwrap();
    assert_eq!(read(&client, 4), Ok(b"late".to_vec()));
    server.send(b"unread").unwrap();
    block(&Pollable::Awaited(client.readable()));
    client.shutdown(Shutdown::Receive).unwrap();
    assert_eq!(client.receive(10), Err(Ended::Closed));
    drop(server);
}

#[test]
fn what_has_no_room_is_kept_and_sent_later() {
    let network = everything();
    let (client, server) = pair(&network);
    let mut sent = 0;
    while client.flush() == Ok(true) {
        client.send(&vec![7; BYTES_MAX as usize]).unwrap();
        sent += BYTES_MAX as usize;
    }
    assert_eq!(client.permit(), Ok(0));
    // Shutting down loses nothing of it.
    client.shutdown(Shutdown::Send).unwrap();
    assert_eq!(network.send_kept().len(), 1);
    let mut received = 0;
    loop {
        network.send_kept();
        match server.receive(u64::MAX) {
            Ok(bytes) if bytes.is_empty() => block(&Pollable::Awaited(server.readable())),
            Ok(bytes) => received += bytes.len(),
            Err(end) => break assert_eq!(end, Ended::Closed),
        }
    }
    assert_eq!(received, sent);
    assert_eq!(network.send_kept().len(), 0);
}

#[test]
fn closing_a_socket_that_nobody_reads_from_takes_no_longer_than_is_allowed() {
    let network = everything();
    let (client, _server) = pair(&network);
    while client.flush() == Ok(true) {
        client.send(&vec![7; BYTES_MAX as usize]).unwrap();
    }
    network.linger(u64::MAX / 2);
    drop(client);
    assert_eq!(network.linger_left(), 0);
}

#[test]
fn a_connection_that_is_refused_closes_the_socket() {
    let network = everything();
    let (listening, address) = listener(&network);
    drop(listening);
    let socket = TcpSocket::new(&network, Family::V4).unwrap();
    socket.start_connect(address).unwrap();
    block(&Pollable::Awaited(socket.clone()));
    assert_eq!(socket.finish_connect(), Err(NetError::Host(Errno::ConnRefused)));
    assert_eq!(socket.finish_connect(), Err(NetError::NotInProgress));
    assert_eq!(socket.start_connect(address), Err(NetError::State));
    assert_eq!(socket.hop_limit(), Err(NetError::State));
}

#[test]
fn addresses_that_make_no_sense_are_refused() {
    let network = everything();
    let bind = |family, address: &str| TcpSocket::new(&network, family).unwrap().start_bind(address.parse().unwrap());
    let connect =
        |family, address: &str| TcpSocket::new(&network, family).unwrap().start_connect(address.parse().unwrap());
    for (family, address) in [
        (Family::V4, "[::1]:0"),
        (Family::V4, "224.0.0.1:0"),
        (Family::V6, "127.0.0.1:0"),
        (Family::V6, "[::ffff:127.0.0.1]:0"),
    ] {
        assert_eq!(bind(family, address), Err(NetError::ARGUMENT), "{address}");
        assert_eq!(connect(family, address), Err(NetError::ARGUMENT), "{address}");
    }
    assert_eq!(connect(Family::V4, "0.0.0.0:80"), Err(NetError::ARGUMENT));
    // An address for documentation is nobody's.
    assert_eq!(bind(Family::V4, "192.0.2.1:0"), Err(NetError::Host(Errno::AddrNotAvail)));
    let (_listening, address) = listener(&network);
    assert_eq!(bind(Family::V4, &address.to_string()), Err(NetError::Host(Errno::AddrInUse)));
}

#[test]
fn options_are_clamped_and_inherited() {
    let network = everything();
    let (listening, address) = listener(&network);
    listening.set_keep_alive(true).unwrap();
    listening.set_keep_alive_time(KeepAlive::Idle, 1_500_000_000).unwrap();
    listening.set_keep_alive_time(KeepAlive::Interval, u64::MAX).unwrap();
    listening.set_keep_alive_count(u32::MAX).unwrap();
    listening.set_hop_limit(42).unwrap();
    listening.set_buffer_size(BufferSide::Receive, 1).unwrap();
    listening.set_buffer_size(BufferSide::Send, u64::MAX).unwrap();
    listening.set_backlog(u64::MAX).unwrap();
    let client = TcpSocket::new(&network, Family::V4).unwrap();
    client.start_connect(address).unwrap();
    block(&Pollable::Awaited(listening.clone()));
    let accepted = listening.accept().unwrap();
    assert_eq!(accepted.family(), Family::V4);
    assert_eq!(accepted.keep_alive(), Ok(true));
    assert_eq!(accepted.keep_alive_time(KeepAlive::Idle), Ok(2_000_000_000));
    assert_eq!(accepted.keep_alive_time(KeepAlive::Interval), Ok(32_767_000_000_000));
    assert_eq!(accepted.keep_alive_count(), Ok(127));
    assert_eq!(accepted.hop_limit(), Ok(42));
    for side in [BufferSide::Receive, BufferSide::Send] {
        assert_eq!(accepted.buffer_size(side), listening.buffer_size(side));
        assert_eq!(accepted.set_buffer_size(side, 0), Err(NetError::ARGUMENT));
    }
    let zero = [
        accepted.set_hop_limit(0),
        accepted.set_keep_alive_count(0),
        accepted.set_keep_alive_time(KeepAlive::Idle, 0),
        listening.set_backlog(0),
    ];
    assert_eq!(zero, [Err(NetError::ARGUMENT); 4]);
    assert_eq!(accepted.set_backlog(1), Err(NetError::State));
}

#[test]
fn only_what_rules_permit_is_reached() {
    let (_listening, address) = listener(&everything());
    let other = SocketAddr::new(address.ip(), address.port() ^ 1);
    let network = Network::new([Rule::address(Protocol::Tcp, Purpose::Reach, address)]);
    let socket = || TcpSocket::new(&network, Family::V4).unwrap();
    assert_eq!(socket().start_connect(other), Err(NetError::Host(Errno::Acces)));
    assert_eq!(socket().start_bind(other), Err(NetError::Host(Errno::Acces)));
    let bound = socket();
    bound.start_bind(ADDRESS.parse().unwrap()).unwrap();
    bound.finish_bind().unwrap();
    assert_eq!(bound.start_listen(), Err(NetError::Host(Errno::Acces)));
    assert_eq!(bound.start_connect(address), Err(NetError::State));
    assert_eq!(socket().start_connect(address), Ok(()));
}

#[test]
fn sockets_are_bounded() {
    let limits = NetworkLimits { sockets_max: 2, ..NetworkLimits::default() };
    let network = Network::with_limits([Rule::all(Purpose::Reach)], None, limits);
    let sockets = [(); 2].map(|()| TcpSocket::new(&network, Family::V4).unwrap());
    assert_eq!(TcpSocket::new(&network, Family::V6).unwrap_err(), NetError::Host(Errno::Mfile));
    drop(sockets);
    assert!(TcpSocket::new(&network, Family::V4).is_ok());
}
