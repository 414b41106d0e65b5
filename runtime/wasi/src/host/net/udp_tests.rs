//! UDP on the machine's own addresses.
//!
//! Invariant: nothing leaves the machine; a wait is for something that is sure to come.
//!
//! Does not know: guests.

use super::super::rule::{Purpose, Rule};
use super::*;
use crate::host::clock::Clocks;
use crate::host::poll::settle;

const ADDRESS: &str = "127.0.0.1:0";

fn bound(network: &Network) -> (Arc<UdpSocket>, SocketAddr) {
    let socket = UdpSocket::new(network, Family::V4).unwrap();
    assert_eq!(socket.streams(None).unwrap_err(), NetError::State);
    assert_eq!(socket.local_address(), Err(NetError::State));
    assert_eq!(socket.finish_bind(), Err(NetError::NotInProgress));
    socket.start_bind(ADDRESS.parse().unwrap()).unwrap();
    assert_eq!(socket.start_bind(ADDRESS.parse().unwrap()), Err(NetError::CONFLICT));
    assert_eq!(socket.streams(None).unwrap_err(), NetError::CONFLICT);
    socket.finish_bind().unwrap();
    assert_eq!(socket.start_bind(ADDRESS.parse().unwrap()), Err(NetError::State));
    let address = socket.local_address().unwrap();
    (socket, address)
}

/// The next datagrams, when there are some.
fn receive(incoming: &IncomingDatagrams) -> Vec<(Vec<u8>, SocketAddr)> {
    let awaited = incoming.awaited();
    settle(&mut Clocks::Host, &[awaited.watch()]).unwrap();
    let datagrams = incoming.receive(u64::MAX).unwrap();
    datagrams.into_iter().map(|datagram| (datagram.data, datagram.remote)).collect()
}

#[test]
fn datagrams_go_to_all_and_to_one() {
    let network = Network::inherit();
    let ((first, first_address), (second, second_address)) = (bound(&network), bound(&network));
    let (incoming, outgoing) = first.streams(None).unwrap();
    assert_eq!(first.remote_address(), Err(NetError::State));
    assert_eq!(outgoing.permit(), Ok(DATAGRAMS_MAX));
    assert_eq!(outgoing.send(b"x", None), Err(NetError::ARGUMENT));
    assert_eq!(outgoing.send(b"hello", Some(second_address)), Ok(true));
    assert_eq!(outgoing.send(&[0; 65_508], Some(second_address)), Err(NetError::Host(Errno::MsgSize)));
    let (others, answers) = second.streams(Some(first_address)).unwrap();
    assert_eq!(second.remote_address(), Ok(first_address));
    assert_eq!(receive(&others), [(b"hello".to_vec(), first_address)]);
    assert_eq!(answers.send(b"back", None), Ok(true));
    assert_eq!(answers.send(b"", Some(first_address)), Ok(true));
    assert_eq!(answers.send(b"x", Some(second_address)), Err(NetError::ARGUMENT));
    assert_eq!(receive(&incoming)[0], (b"back".to_vec(), second_address));
    assert_eq!(incoming.receive(0), Ok(Vec::new()));
}

#[test]
fn a_call_takes_no_more_datagrams_than_it_may() {
    let network = Network::inherit();
    let ((first, address), (second, _)) = (bound(&network), bound(&network));
    let (incoming, _) = first.streams(None).unwrap();
    let (_, outgoing) = second.streams(Some(address)).unwrap();
    for (wanted, limit) in [(3, 3), (u64::MAX, DATAGRAMS_MAX as usize)] {
        let sent = 0..3 * DATAGRAMS_MAX as u8;
        for number in sent.clone() {
            assert_eq!(outgoing.send(&[number], None), Ok(true));
        }
        let mut taken = Vec::new();
        while taken.len() < sent.len() {
            settle(&mut Clocks::Host, &[incoming.awaited().watch()]).unwrap();
            let datagrams = incoming.receive(wanted).unwrap();
            assert!(datagrams.len() <= limit, "{}", datagrams.len());
            taken.extend(datagrams.iter().map(|datagram| datagram.data[0]));
        }
        assert_eq!(taken, sent.collect::<Vec<_>>());
    }
}

#[test]
fn only_the_last_streams_work_and_the_port_stays() {
    let network = Network::inherit();
    let ((first, address), (_second, other)) = (bound(&network), bound(&network));
    let (old_incoming, old_outgoing) = first.streams(Some(other)).unwrap();
    let (incoming, outgoing) = first.streams(None).unwrap();
    assert_eq!(first.local_address().map(|address| address.port()), Ok(address.port()));
    assert_eq!(old_incoming.receive(1).unwrap_err(), NetError::State);
    assert_eq!(old_outgoing.permit(), Err(NetError::State));
    assert_eq!(outgoing.send(b"self", Some(address)), Ok(true));
    assert_eq!(receive(&incoming), [(b"self".to_vec(), address)]);
}

#[test]
fn strangers_are_not_heard() {
    let open = Network::inherit();
    let ((stranger, _), (friend, friend_address)) = (bound(&open), bound(&open));
    let network = Network::new([Rule::address(Protocol::Udp, Purpose::Reach, friend_address)]);
    let (socket, address) = bound(&network);
    let (incoming, outgoing) = socket.streams(None).unwrap();
    let denied = NetError::Host(Errno::Acces);
    assert_eq!(outgoing.send(b"x", Some(stranger.local_address().unwrap())), Err(denied));
    assert_eq!(socket.streams(Some("127.0.0.1:9".parse().unwrap())).unwrap_err(), denied);
    let unbound = UdpSocket::new(&network, Family::V4).unwrap();
    assert_eq!(unbound.start_bind("127.0.0.1:9".parse().unwrap()), Err(denied));
    for (from, text) in [(&stranger, "spam"), (&friend, "news")] {
        let (_, outgoing) = from.streams(None).unwrap();
        assert_eq!(outgoing.send(text.as_bytes(), Some(address)), Ok(true));
    }
    let mut heard = receive(&incoming);
    while heard.is_empty() {
        heard = receive(&incoming);
    }
    assert_eq!(heard, [(b"news".to_vec(), friend_address)]);
}

#[test]
fn options_are_refused_at_zero() {
    let (socket, _) = bound(&Network::inherit());
    socket.set_hop_limit(7).unwrap();
    assert_eq!((socket.hop_limit(), socket.family()), (Ok(7), Family::V4));
    assert_eq!(socket.set_hop_limit(0), Err(NetError::ARGUMENT));
    for side in [BufferSide::Receive, BufferSide::Send] {
        assert_eq!(socket.set_buffer_size(side, 0), Err(NetError::ARGUMENT));
        assert_eq!(socket.set_buffer_size(side, u64::MAX), Ok(()));
        assert!(socket.buffer_size(side).unwrap() > 0);
    }
}
