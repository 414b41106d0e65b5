//! Sockets of preview 1: what a guest does with those that it was handed.
//!
//! The other side is a thread or the test itself, on the machine's own addresses. Most calls go through the table of functions
//! on a bare byte slice; one guest runs in an engine, and is put aside while it waits.
//!
//! Invariant: a wait is for something that is sure to come; nothing depends on how long it takes.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wattest::{Engine, HostFuture, Linker, Module, Store};
use wattest_wasi::host::fs::Access;
use wattest_wasi::host::net::{Network, NetworkLimits, TcpSocket};
use wattest_wasi::host::poll::{self, Interest};
use wattest_wasi::host::waiting::{Reactor, Waiting};
use wattest_wasi::preview1::{self, FUNCTIONS, GuestMemory};
use wattest_wasi::{Errno, WasiCtx, WasiCtxBuilder};

/// Where results are stored.
const OUT: u64 = 0;
/// Where the list of buffers lies, and what one of them holds.
const BUFFERS: u64 = 64;
const BYTES: u64 = 8192;
/// Where subscriptions and events lie.
const SUBSCRIPTION: u64 = 256;
const EVENT: u64 = 320;

const NONBLOCK: u64 = 4;
const PEEK: u64 = 1;
const WAIT_ALL: u64 = 2;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const FILE_TYPE_STREAM: u8 = 6;

/// A guest with a listening socket, number 3.
struct Guest {
    ctx: WasiCtx,
    memory: Vec<u8>,
    address: SocketAddr,
}

const LISTENER: u64 = 3;

fn listener(network: &Network) -> (Arc<TcpSocket>, SocketAddr) {
    let socket = TcpSocket::listener(network, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_address().unwrap();
    (socket, address)
}

impl Guest {
    fn new() -> Guest {
        Guest::on(&Network::none())
    }

    fn on(network: &Network) -> Guest {
        let (socket, address) = listener(network);
        let ctx = WasiCtxBuilder::new().network(network.clone()).listener(socket).build();
        Guest { ctx, memory: vec![0; 1 << 20], address }
    }

    fn call(&mut self, name: &str, args: &[u64]) -> Errno {
        let function = FUNCTIONS.iter().find(|function| function.name == name).unwrap();
        assert_eq!(function.params.len(), args.len(), "{name}");
        (function.call)(&mut self.ctx, &mut GuestMemory::new(&mut self.memory), args).err().unwrap_or(Errno::Success)
    }

    fn u32_at(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.memory[address as usize..address as usize + 4].try_into().unwrap())
    }

    fn put_u32(&mut self, address: u64, value: u32) {
        self.memory[address as usize..address as usize + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Two buffers, one after the other.
    fn buffers(&mut self, first: u32, second: u32) {
        let rows = [BYTES as u32, first, BYTES as u32 + first, second];
        for (at, value) in (0..).zip(rows) {
            self.put_u32(BUFFERS + 4 * at, value);
        }
    }

    /// A client, and the number of its connection.
    fn connect(&mut self, flags: u64) -> (TcpStream, u64) {
        let client = TcpStream::connect(self.address).unwrap();
        assert_eq!(self.call("sock_accept", &[LISTENER, flags, OUT]), Errno::Success);
        (client, u64::from(self.u32_at(OUT)))
    }

    fn receive(&mut self, fd: u64, bytes: u32, flags: u64) -> Result<String, Errno> {
        self.buffers(bytes / 2, bytes - bytes / 2);
        self.memory[OUT as usize + 8] = 0xff;
        match self.call("sock_recv", &[fd, BUFFERS, 2, flags, OUT, OUT + 8]) {
            Errno::Success => {
                assert_eq!(self.memory[OUT as usize + 8..][..2], [0, 0]);
                Ok(self.text(self.u32_at(OUT)))
            }
            error => Err(error),
        }
    }

    fn text(&self, length: u32) -> String {
        String::from_utf8(self.memory[BYTES as usize..][..length as usize].to_vec()).unwrap()
    }

    fn send(&mut self, name: &str, fd: u64, text: &str) -> Result<u32, Errno> {
        self.memory[BYTES as usize..][..text.len()].copy_from_slice(text.as_bytes());
        self.buffers(1, text.len() as u32 - 1);
        let args: &[u64] = if name == "sock_send" { &[fd, BUFFERS, 2, 0, OUT] } else { &[fd, BUFFERS, 2, OUT] };
        match self.call(name, args) {
            Errno::Success => Ok(self.u32_at(OUT)),
            error => Err(error),
        }
    }

    /// Waits for a descriptor to be readable (1) or writable (2): the error, and how many bytes are there.
    fn poll(&mut self, fd: u64, tag: u8) -> (u16, u64) {
        self.memory[SUBSCRIPTION as usize..][..48].fill(0);
        self.memory[SUBSCRIPTION as usize + 8] = tag;
        self.put_u32(SUBSCRIPTION + 16, fd as u32);
        assert_eq!(self.call("poll_oneoff", &[SUBSCRIPTION, EVENT, 1, OUT]), Errno::Success);
        assert_eq!(self.u32_at(OUT), 1);
        let event = &self.memory[EVENT as usize..][..32];
        let error = u16::from_le_bytes(event[8..10].try_into().unwrap());
        (error, u64::from_le_bytes(event[16..24].try_into().unwrap()))
    }

    /// Type, flags, rights.
    fn stat(&mut self, fd: u64) -> (u8, u16, u64, u64) {
        assert_eq!(self.call("fd_fdstat_get", &[fd, OUT]), Errno::Success);
        let word = |at: usize| u64::from_le_bytes(self.memory[at..at + 8].try_into().unwrap());
        let flags = u16::from_le_bytes(self.memory[2..4].try_into().unwrap());
        (self.memory[0], flags, word(8), word(16))
    }
}

#[test]
fn a_connection_is_let_in_read_written_and_ended() {
    let mut guest = Guest::new();
    let (mut client, fd) = guest.connect(0);
    assert_eq!(fd, LISTENER + 1);
    client.write_all(b"hello").unwrap();
    assert_eq!(guest.receive(fd, 3, PEEK).as_deref(), Ok("hel"));
    assert_eq!(guest.receive(fd, 3, 0).as_deref(), Ok("hel"));
    // As a file.
    guest.buffers(1, 100);
    assert_eq!(guest.call("fd_read", &[fd, BUFFERS, 2, OUT]), Errno::Success);
    assert_eq!((guest.u32_at(OUT), guest.text(2)), (2, "lo".to_owned()));
    assert_eq!(guest.send("sock_send", fd, "abc"), Ok(3));
    assert_eq!(guest.send("fd_write", fd, "def"), Ok(3));
    let mut read = [0; 6];
    client.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"abcdef");
    assert_eq!(guest.call("sock_shutdown", &[fd, SEND]), Errno::Success);
    assert_eq!(client.read(&mut read).unwrap(), 0);
    assert_eq!(guest.send("sock_send", fd, "abc"), Err(Errno::Pipe));
    client.write_all(b"more").unwrap();
    drop(client);
    assert_eq!(guest.receive(fd, 10, WAIT_ALL).as_deref(), Ok("more"));
    assert_eq!(guest.receive(fd, 10, 0).as_deref(), Ok(""));
    assert_eq!(guest.call("sock_shutdown", &[fd, RECEIVE | SEND]), Errno::Success);
    assert_eq!(guest.call("fd_close", &[fd]), Errno::Success);
    assert_eq!(guest.receive(fd, 10, 0), Err(Errno::BadF));
}

#[test]
fn calls_wait_unless_told_otherwise() {
    let mut guest = Guest::new();
    assert_eq!(guest.call("fd_fdstat_set_flags", &[LISTENER, NONBLOCK]), Errno::Success);
    assert_eq!(guest.call("sock_accept", &[LISTENER, 0, OUT]), Errno::Again);
    let client = TcpStream::connect(guest.address).unwrap();
    assert_eq!(guest.poll(LISTENER, 1).0, 0);
    assert_eq!(guest.call("sock_accept", &[LISTENER, NONBLOCK, OUT]), Errno::Success);
    let fd = u64::from(guest.u32_at(OUT));
    assert_eq!(guest.stat(fd).1, NONBLOCK as u16);
    assert_eq!(guest.receive(fd, 10, 0), Err(Errno::Again));
    assert_eq!(guest.receive(fd, 10, WAIT_ALL), Err(Errno::Again));
    // Nobody reads: at some point there is no room.
    let chunk = "x".repeat(500_000);
    let mut sent = 0;
    let error = loop {
        match guest.send("sock_send", fd, &chunk) {
            Ok(count) => sent += count as usize,
            Err(error) => break error,
        }
    };
    assert_eq!(error, Errno::Again);
    let mut reading = client.try_clone().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        reading.read_to_end(&mut bytes).unwrap();
        bytes.len()
    });
    assert_eq!(guest.poll(fd, 2).0, 0);
    // A descriptor that waits sends all of it.
    assert_eq!(guest.call("fd_fdstat_set_flags", &[fd, 0]), Errno::Success);
    for _ in 0..8 {
        assert_eq!(guest.send("sock_send", fd, &chunk), Ok(chunk.len() as u32));
    }
    guest.call("sock_shutdown", &[fd, SEND]);
    assert_eq!(reader.join().unwrap(), sent + 8 * chunk.len());
    // And receives all of it, however it comes.
    let mut writing = client.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for part in ["ab", "cd", "ef"] {
            writing.write_all(part.as_bytes()).unwrap();
            std::thread::yield_now();
        }
    });
    assert_eq!(guest.receive(fd, 6, WAIT_ALL).as_deref(), Ok("abcdef"));
    writer.join().unwrap();
    drop(client);
    assert_eq!(guest.poll(fd, 1).0, 0);
    assert_eq!(guest.receive(fd, 1, 0).as_deref(), Ok(""));
}

#[test]
fn sockets_say_what_they_are() {
    let mut guest = Guest::new();
    let (mut client, fd) = guest.connect(0);
    let (accept, read_write_shut) = (1 << 29, 1 << 1 | 1 << 6 | 1 << 28);
    let rest = 1 << 3 | 1 << 21 | 1 << 27;
    assert_eq!(guest.stat(LISTENER), (FILE_TYPE_STREAM, 0, accept | rest, read_write_shut | rest));
    assert_eq!(guest.stat(fd), (FILE_TYPE_STREAM, 0, read_write_shut | rest, 0));
    assert_eq!(guest.call("fd_filestat_get", &[fd, OUT]), Errno::Success);
    assert_eq!(guest.memory[16], FILE_TYPE_STREAM);
    client.write_all(b"abc").unwrap();
    assert_eq!(guest.poll(fd, 1), (0, 3));
    assert_eq!(guest.poll(LISTENER, 2).0, Errno::BadF as u16);
    // It is not a preopened directory, so that programs that look for those stop here.
    assert_eq!(guest.call("fd_prestat_get", &[LISTENER, OUT]), Errno::BadF);
}

#[test]
fn directories_come_before_sockets() {
    let temp = tempfile::tempdir().unwrap();
    let (socket, _) = listener(&Network::none());
    let mut builder = WasiCtxBuilder::new();
    builder.listener(socket).preopened_dir(temp.path(), "/", Access::READ_ONLY).unwrap();
    let mut guest = Guest { ctx: builder.build(), memory: vec![0; 1 << 16], address: ([127, 0, 0, 1], 0).into() };
    assert_eq!((guest.stat(3).0, guest.stat(4).0), (3, FILE_TYPE_STREAM));
    assert_eq!(guest.call("fd_prestat_get", &[3, OUT]), Errno::Success);
    assert_eq!(guest.call("fd_prestat_get", &[4, OUT]), Errno::BadF);
}

#[test]
fn errors_have_their_numbers() {
    let mut guest = Guest::new();
    let (_client, fd) = guest.connect(0);
    let far = (1 << 20) - 1;
    for (name, args, expected) in [
        // What sockets cannot do.
        ("sock_accept", &[fd, 0, OUT][..], Errno::NotCapable),
        ("sock_recv", &[LISTENER, BUFFERS, 0, 0, OUT, OUT], Errno::NotCapable),
        ("sock_send", &[LISTENER, BUFFERS, 0, 0, OUT], Errno::NotCapable),
        ("sock_shutdown", &[LISTENER, RECEIVE], Errno::NotCapable),
        ("fd_read", &[LISTENER, BUFFERS, 0, OUT], Errno::NotCapable),
        ("fd_seek", &[fd, 0, 0, OUT], Errno::Spipe),
        ("fd_pread", &[fd, BUFFERS, 0, 0, OUT], Errno::Spipe),
        ("fd_sync", &[fd], Errno::Inval),
        ("fd_readdir", &[fd, BYTES, 10, 0, OUT], Errno::NotDir),
        ("path_unlink_file", &[fd, BYTES, 1], Errno::NotDir),
        // Flags that there are not, or that sockets do not have.
        ("sock_accept", &[LISTENER, 1, OUT], Errno::Inval),
        ("sock_accept", &[LISTENER, 32, OUT], Errno::Inval),
        ("sock_recv", &[fd, BUFFERS, 0, 4, OUT, OUT], Errno::Inval),
        ("sock_send", &[fd, BUFFERS, 0, 1, OUT], Errno::Inval),
        ("sock_shutdown", &[fd, 0], Errno::Inval),
        ("sock_shutdown", &[fd, 4], Errno::Inval),
        ("fd_fdstat_set_flags", &[fd, 1], Errno::Inval),
        // Pointers, before anything happens.
        ("sock_accept", &[LISTENER, 0, far], Errno::Fault),
        ("sock_recv", &[fd, BUFFERS, 0, 0, far, OUT], Errno::Fault),
        ("sock_recv", &[fd, BUFFERS, 0, 0, OUT, far], Errno::Fault),
        ("sock_recv", &[fd, far, 1, 0, OUT, OUT], Errno::Fault),
        ("sock_send", &[fd, BUFFERS, 0, 0, far], Errno::Fault),
        ("fd_write", &[fd, BUFFERS, 0, far], Errno::Fault),
    ] {
        assert_eq!(guest.call(name, args), expected, "{name} {args:?}");
    }
    // Nothing to read into, or to write, waits for nothing.
    assert_eq!(guest.call("sock_recv", &[fd, BUFFERS, 0, WAIT_ALL, OUT, OUT]), Errno::Success);
    assert_eq!(guest.call("sock_send", &[fd, BUFFERS, 0, 0, OUT]), Errno::Success);
    // Rights that were given up stay so, for what is let in as well.
    assert_eq!(guest.call("fd_fdstat_set_rights", &[LISTENER, 1 << 29, 1 << 1]), Errno::Success);
    let (_client, fd) = guest.connect(0);
    assert_eq!(guest.stat(fd).2, 1 << 1);
    assert_eq!(guest.send("sock_send", fd, "abc"), Err(Errno::NotCapable));
    assert_eq!(guest.send("fd_write", fd, "abc"), Err(Errno::NotCapable));
    assert_eq!(guest.call("sock_shutdown", &[fd, SEND]), Errno::NotCapable);
    assert_eq!(guest.poll(fd, 1).0, Errno::NotCapable as u16);
}

#[test]
fn connections_are_bounded() {
    let limits = NetworkLimits { sockets_max: 3, ..NetworkLimits::default() };
    let mut guest = Guest::on(&Network::with_limits([], None, limits));
    let mut clients = vec![guest.connect(0), guest.connect(0)];
    clients.push((TcpStream::connect(guest.address).unwrap(), 0));
    assert_eq!(guest.call("sock_accept", &[LISTENER, 0, OUT]), Errno::Mfile);
    assert_eq!(guest.call("fd_close", &[clients[0].1]), Errno::Success);
    assert_eq!(guest.call("sock_accept", &[LISTENER, 0, OUT]), Errno::Success);
    assert_eq!(u64::from(guest.u32_at(OUT)), clients[0].1);
}

/// Asks the system at every poll.
#[derive(Debug)]
struct Asking;

impl Reactor for Asking {
    fn wait<'a>(&'a self, interests: &'a [Interest<'a>], _: Option<u64>) -> HostFuture<'a, Result<(), Errno>> {
        Box::pin(std::future::poll_fn(move |_| {
            let ready = poll::wait(interests, Some(0)).unwrap();
            if ready.iter().any(|one| *one != poll::Readiness::Waiting) { Poll::Ready(Ok(())) } else { Poll::Pending }
        }))
    }
}

/// Lets one client in and sends back what it says, until it says no more.
const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_recv" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_send" (func $send (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (memory (export "memory") 1)
    (func $check (param i32) (if (local.get 0) (then unreachable)))
    (func (export "echo") (result i32) (local $fd i32) (local $total i32)
        (call $check (call $accept (i32.const 3) (i32.const 0) (i32.const 0)))
        (local.set $fd (i32.load (i32.const 0)))
        (i32.store (i32.const 16) (i32.const 1024))
        (block $end
            (loop $next
                (i32.store (i32.const 20) (i32.const 4096))
                (call $check (call $recv (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 4)))
                (br_if $end (i32.eqz (i32.load (i32.const 0))))
                (local.set $total (i32.add (local.get $total) (i32.load (i32.const 0))))
                (i32.store (i32.const 20) (i32.load (i32.const 0)))
                (call $check (call $send (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 0)))
                (br $next)))
        (call $check (call $close (local.get $fd)))
        (local.get $total)))"#;

#[test]
fn a_guest_that_waits_for_others_is_put_aside() {
    let engine = Engine::default();
    let (socket, address) = listener(&Network::none());
    let ctx = WasiCtxBuilder::new().listener(socket).waiting(Waiting::Suspend(Arc::new(Asking))).build();
    let mut store = Store::new(&engine, ctx);
    let mut linker = Linker::new(&engine);
    preview1::add_to_linker(&mut linker, |ctx| ctx).unwrap();
    let instance = linker.instantiate(&mut store, &Module::new(&engine, ECHO).unwrap()).unwrap();
    let echo = instance.get_typed_func::<(), u32>(&mut store, "echo").unwrap();
    let mut call = pin!(echo.call_async(&mut store, ()));
    let mut context = Context::from_waker(Waker::noop());
    // Nobody is there: the thread is this test's again.
    assert!(call.as_mut().poll(&mut context).is_pending());
    let text = "0123456789".repeat(10_000);
    let sent = text.clone();
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut writing = stream.try_clone().unwrap();
        let writer = std::thread::spawn(move || {
            writing.write_all(sent.as_bytes()).unwrap();
            writing.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut back = String::new();
        stream.read_to_string(&mut back).unwrap();
        writer.join().unwrap();
        back
    });
    let total = loop {
        match call.as_mut().poll(&mut context) {
            Poll::Ready(total) => break total,
            Poll::Pending => std::thread::yield_now(),
        }
    };
    assert_eq!((total.ok(), client.join().unwrap() == text), (Some(text.len() as u32), true));
}
