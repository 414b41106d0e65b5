//! HTTP from end to end: guests that answer requests and send them, and the other side as a program of the test, which
//! speaks HTTP byte by byte, so that it can do what no library does.
//!
//! The guest is `http/handler.wat`; what it does is in the first letter of the path.
//!
//! Invariant: no test depends on how long something takes; a wait that does not end fails by the other side's limit.
#![cfg(feature = "http")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use wattest::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wattest::{Config, Engine, HostFuture, Store};
use wattest_wasi::host::denial::Denial;
use wattest_wasi::host::http::fields::FieldLimits;
use wattest_wasi::host::http::server::{Call, Handler, ServerLimits, serve, waiting};
use wattest_wasi::host::http::{Http, HttpLimits};
use wattest_wasi::host::net::Network;
use wattest_wasi::host::poll::wait;
use wattest_wasi::host::signal::Signal;
use wattest_wasi::host::trace::Trace;
use wattest_wasi::{WasiCtx, WasiCtxBuilder, p2};

/// A wait that is longer than anything here takes.
const LONG: Duration = Duration::from_secs(120);
/// A wait that is meant to end.
const SHORT: Duration = Duration::from_millis(200);

/// Which functions succeeded (false) and failed (true), by their names in traces.
type Calls = Arc<Mutex<BTreeSet<(String, bool)>>>;

struct Guest {
    instances: InstancePre<WasiCtx>,
    handle: ComponentExportIndex,
    wasi: Mutex<WasiCtxBuilder>,
    /// How guests ended that did not end well.
    failures: Arc<Mutex<Vec<String>>>,
}

impl Handler for Guest {
    fn handle(&self, call: Call) -> HostFuture<'_, ()> {
        Box::pin(async move {
            let wasi = self.wasi.lock().unwrap().clone().build();
            let mut store = Store::new(self.instances.component().engine(), wasi);
            store.set_epoch_deadline(1);
            store.epoch_deadline_yield(1);
            if let Err(error) = self.run(&mut store, call).await {
                self.failures.lock().unwrap().push(error.to_string());
            }
        })
    }
}

impl Guest {
    async fn run(&self, store: &mut Store<WasiCtx>, call: Call) -> wattest::Result<()> {
        let instance = self.instances.instantiate_async(&mut *store).await.map_err(wattest::Error::host)?;
        let params = store.data_mut().push_call(call)?;
        let handle = instance.get_typed_func::<p2::HandleParams, ()>(&mut *store, &self.handle)?;
        handle.call_async(&mut *store, params).await
    }
}

/// A server with the guest, and what is known of it.
struct Server {
    address: SocketAddr,
    engine: Engine,
    failures: Arc<Mutex<Vec<String>>>,
    calls: Calls,
    denied: WasiCtxBuilder,
    stop: Signal,
    thread: Option<JoinHandle<bool>>,
}

/// What differs from server to server.
struct Setup {
    limits: ServerLimits,
    http: HttpLimits,
    network: Network,
    /// Authorities that are trusted instead of the usual ones.
    trust: Option<Vec<Vec<u8>>>,
}

fn setup() -> Setup {
    let limits = ServerLimits {
        header_timeout: LONG,
        idle_timeout: LONG,
        request_timeout: LONG,
        stop_timeout: LONG,
        ..ServerLimits::default()
    };
    Setup { limits, http: HttpLimits::default(), network: Network::inherit(), trust: None }
}

impl Server {
    fn start(setup: Setup) -> Server {
        let mut config = Config::new();
        config.epoch(true);
        let engine = Engine::new(&config).unwrap();
        let text = include_str!("http/handler.wat");
        let component = Component::new(&engine, text).unwrap();
        let mut linker = Linker::new(&engine);
        p2::add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).unwrap();
        let instances = linker.instantiate_pre(&component).unwrap();
        let [interface, function] = p2::HANDLE;
        let interface = format!("{interface}@{}", p2::VERSION);
        let handle = instances.typed_func_index::<p2::HandleParams, ()>([&*interface, function]).unwrap();
        let calls = Calls::default();
        let told = Arc::clone(&calls);
        let mut wasi = WasiCtxBuilder::new();
        wasi.network(setup.network).waiting(waiting()).trace(Trace::new(move |line| {
            let name = line.split(['(', ' ']).next().unwrap_or_default().to_owned();
            // What a guest is told: results that are errors, and not those that end it.
            let failed = line.rsplit(" -> ").next().is_some_and(|result| result.starts_with("Ok((Err("));
            told.lock().unwrap().insert((name, failed));
        }));
        let denied = wasi.clone();
        let failures = Arc::default();
        let guest = Guest { instances, handle, wasi: Mutex::new(wasi), failures: Arc::clone(&failures) };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), Signal::default());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut http = Http::new(setup.http);
            if let Some(trust) = setup.trust {
                http.trust(trust).unwrap();
            }
            serve(listener, setup.limits, &http, Arc::new(guest), stopped).unwrap()
        });
        Server { address, engine, failures, calls, denied, stop, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    /// Sends bytes, and reads until the server closes.
    fn exchange(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        // The server may have closed already.
        let _ = stream.write_all(request);
        read_all(&mut stream)
    }

    fn get(&self, path: &str) -> Response {
        Response::parse(
            &self.exchange(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes()),
        )
    }

    /// Stops the server; whether everything was finished, and how guests failed.
    fn stop(mut self) -> (bool, Vec<String>) {
        self.stop.put(true);
        let finished = self.thread.take().unwrap().join().unwrap();
        let mut failures = std::mem::take(&mut *self.failures.lock().unwrap());
        failures.sort();
        (finished, failures)
    }

    /// Stops the server, which is in order.
    fn stop_well(self) {
        assert_eq!(self.stop(), (true, Vec::new()));
    }
}

/// What comes until the other side closes, or resets.
fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 8192]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return bytes,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A response, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    trailers: Vec<(String, String)>,
    /// The body is as long as was said.
    whole: bool,
}

impl Response {
    fn parse(bytes: &[u8]) -> Response {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Response::default();
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = fields(lines);
        let mut response = Response { status, headers, ..Response::default() };
        let rest = &bytes[end + 4..];
        if response.header("transfer-encoding") == Some("chunked") {
            response.read_chunks(rest);
        } else {
            let length = response.header("content-length").map(|length| length.parse::<usize>().unwrap());
            response.whole = length.is_none_or(|length| length == rest.len());
            response.body = rest.to_vec();
        }
        response
    }

    fn read_chunks(&mut self, mut rest: &[u8]) {
        while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            rest = &rest[end + 2..];
            if length == 0 {
                self.trailers = fields(String::from_utf8_lossy(rest).lines().take_while(|line| !line.is_empty()));
                self.whole = rest.ends_with(b"\r\n");
                return;
            }
            if rest.len() < length + 2 {
                return;
            }
            self.body.extend_from_slice(&rest[..length]);
            rest = &rest[length + 2..];
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, String)> {
    let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    lines.filter_map(field).collect()
}

#[test]
fn a_guest_answers() {
    let server = Server::start(setup());
    let response = server.get("/hello");
    assert_eq!((response.status, response.text(), response.whole), (200, "Hello, world!\n", true));
    // The same connection serves one request after the other.
    let mut stream = server.connect();
    for _ in 0..3 {
        stream.write_all(b"HEAD /hello HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut head = [0; 16];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK\r");
        let mut last = [0; 4];
        while &last != b"\r\n\r\n" {
            last.rotate_left(1);
            stream.read_exact(&mut last[3..]).unwrap();
        }
    }
    drop(stream);
    server.stop_well();
}

#[test]
fn bodies_headers_and_trailers_come_back() {
    let server = Server::start(setup());
    let request = "BREW /echo HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-one: 2\r\nTrailer: x-trailing\r\nTE: trailers\r\n\
                   Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
                   3\r\nabc\r\n4\r\ndefg\r\n0\r\nX-Trailing: yes\r\n\r\n";
    let response = Response::parse(&server.exchange(request.as_bytes()));
    assert_eq!((response.status, response.text(), response.whole), (200, "abcdefg", true));
    let values: Vec<_> = response.headers.iter().filter(|(name, _)| name == "x-one").map(|(_, v)| v.as_str()).collect();
    assert_eq!((values, response.header("x-method")), (vec!["1", "2"], Some("BREW")));
    assert_eq!(response.trailers, [("x-trailing".to_owned(), "yes".to_owned())]);
    // A length that is known, and more than any buffer holds.
    let body = "0123456789abcdef".repeat(40_000);
    let head = format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let mut stream = server.connect();
    let mut writing = stream.try_clone().unwrap();
    let sent = body.clone();
    let writer = std::thread::spawn(move || {
        writing.write_all(head.as_bytes()).and_then(|()| writing.write_all(sent.as_bytes())).unwrap();
    });
    let response = Response::parse(&read_all(&mut stream));
    writer.join().unwrap();
    assert_eq!((response.status, response.text() == body, response.whole), (200, true, true));
    server.stop_well();
}

/// Prefix of the functions that are called here.
const HTTP: &str = "wasi:http/";

/// What the guests of these paths call, a line per function: which succeeded (`ok`) and failed (`err`), for which path.
fn called() -> String {
    let mut rows: BTreeMap<String, [Vec<&str>; 2]> = BTreeMap::new();
    for path in ["/all", "/echo", "/more", "/hello"] {
        let server = Server::start(setup());
        // What the guest checks is what counts; `/more` breaks its answer off.
        server.get(&format!("{path}?{}", server.address));
        let calls = Arc::clone(&server.calls);
        // All of the guest's calls are told once it has ended.
        server.stop_well();
        for (name, failed) in calls.lock().unwrap().iter().filter(|(name, _)| name.starts_with(HTTP)) {
            rows.entry(name.clone()).or_default()[usize::from(*failed)].push(path);
        }
    }
    let line = |(name, paths): (String, [Vec<&str>; 2])| {
        let words = ["ok", "err"].iter().zip(paths).filter(|(_, paths)| !paths.is_empty());
        let words: String = words.map(|(word, paths)| format!(" {word}:{}", paths.join(","))).collect();
        format!("{name}{words}\n")
    };
    rows.into_iter().map(line).collect()
}

#[test]
fn every_function_of_http_is_called() {
    let (path, actual) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/functions/called.txt"), called());
    let missing: Vec<_> = p2::FUNCTIONS
        .iter()
        .map(|(interface, name)| format!("{interface}#{name}"))
        .filter(|name| name.starts_with(HTTP))
        .filter(|name| !actual.lines().any(|line| line.strip_prefix(&**name).is_some_and(|rest| rest.starts_with(" "))))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
    // The other lines are those of `functions`.
    let listed = std::fs::read_to_string(path).unwrap();
    let (own, others): (Vec<_>, Vec<_>) = listed.lines().partition(|line| line.starts_with(HTTP));
    if std::env::var_os("UPDATE").is_some() {
        let mut lines: Vec<_> = others.into_iter().chain(actual.lines()).collect();
        lines.sort_unstable();
        return std::fs::write(path, lines.join("\n") + "\n").unwrap();
    }
    assert!(own.join("\n") + "\n" == actual, "not as listed (UPDATE=1 blesses anew):\n{actual}");
}

#[test]
fn guests_that_do_not_answer_are_answered_for() {
    let server = Server::start(setup());
    for (path, status, body) in [
        ("/code", 403, "403 Forbidden\n"),
        ("/nothing", 500, "500 Internal Server Error\n"),
        ("/drop", 500, "500 Internal Server Error\n"),
        ("/trap", 500, "500 Internal Server Error\n"),
        ("/quickly-twice", 403, "403 Forbidden\n"),
        ("/late", 200, "Hello, world!\n"),
    ] {
        let response = server.get(path);
        assert_eq!((response.status, response.text(), response.whole), (status, body, true), "{path}");
    }
    // The next request is not the worse for it.
    assert_eq!(server.get("/hello").status, 200);
    let (finished, failures) = server.stop();
    assert_eq!((finished, failures.len()), (true, 3), "{failures:?}");
}

#[test]
fn bodies_that_are_not_as_said_are_not_whole() {
    let server = Server::start(setup());
    for path in ["/more", "/few", "/unfinished"] {
        let response = server.get(path);
        assert!(!response.whole, "{path}: {response:?}");
    }
    server.stop_well();
    // An open stream ends the guest that finishes its body.
    let server = Server::start(setup());
    assert!(!server.get("/kept").whole);
    let (finished, failures) = server.stop();
    assert!(finished && failures.len() == 1 && failures[0].contains("children"), "{failures:?}");
}

#[test]
fn a_slow_reader_holds_the_guest_back() {
    let server = Server::start(setup());
    let mut stream = server.connect();
    stream.write_all(b"GET /big HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    // The guest cannot be done before this side has read most of it.
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    let mut bytes = first.to_vec();
    bytes.extend(read_all(&mut stream));
    let response = Response::parse(&bytes);
    assert_eq!((response.body.len(), response.whole), (8 << 20, true));
    server.stop_well();
}

#[test]
fn a_guest_that_spins_or_waits_keeps_neither_its_client_nor_its_place() {
    let mut setup = setup();
    setup.limits.request_timeout = SHORT;
    setup.limits.requests_at_once = 1;
    let server = Server::start(setup);
    let (engine, done) = (server.engine.clone(), Signal::default());
    let stop = done.clone();
    let ticker = std::thread::spawn(move || {
        while !stop.is_set() {
            wait(&[], Some(1_000_000)).unwrap();
            engine.increment_epoch();
        }
    });
    for path in ["/spin", "/wait", "/spin"] {
        assert_eq!(server.get(path).status, 504, "{path}");
    }
    done.put(true);
    ticker.join().unwrap();
    server.stop_well();
}

#[test]
fn requests_that_are_too_large_are_refused() {
    let mut setup = setup();
    setup.limits.header_bytes = 1000;
    setup.limits.header_count = 10;
    setup.limits.body_bytes = 100;
    let server = Server::start(setup);
    let with = |extra: &str, body: &str| {
        let head = "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
        Response::parse(&server.exchange(format!("{head}{extra}\r\n{body}").as_bytes())).status
    };
    assert_eq!(with("", ""), 200);
    assert_eq!(with(&format!("x: {}\r\n", "y".repeat(10_000)), ""), 431);
    assert_eq!(with(&"x: y\r\n".repeat(20), ""), 431);
    assert_eq!(with("content-length: 101\r\n", ""), 413);
    assert_eq!(with("content-length: 100\r\n", &"x".repeat(100)), 200);
    let (finished, failures) = server.stop();
    assert_eq!((finished, failures), (true, Vec::new()));
}

#[test]
fn clients_that_break_off_are_errors() {
    // Each of these is a body that ends early or is no body; the guest sees an error of HTTP, which the trace shows.
    for (body, code) in [
        ("transfer-encoding: chunked\r\n\r\n5\r\nabc", "ConnectionTerminated"),
        ("transfer-encoding: chunked\r\n\r\nzz\r\n", "HttpProtocolError"),
        ("content-length: 10\r\n\r\nabc", "ConnectionTerminated"),
    ] {
        let server = Server::start(setup());
        let mut stream = server.connect();
        stream.write_all(format!("POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{body}").as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let response = Response::parse(&read_all(&mut stream));
        assert!(!response.whole, "{body:?}: {response:?}");
        let calls = Arc::clone(&server.calls);
        let (finished, failures) = server.stop();
        // The guest ends itself when reading fails.
        assert_eq!((finished, failures.len()), (true, 1), "{code}: {failures:?}");
        assert!(calls.lock().unwrap().contains(&("wasi:http/types#http-error-code".to_owned(), false)), "{code}");
    }
}

#[test]
fn slow_clients_are_left() {
    let mut setup = setup();
    setup.limits.header_timeout = SHORT;
    setup.limits.idle_timeout = SHORT;
    let server = Server::start(setup);
    // Headers that never end, a connection that says nothing, a body that stands still.
    for request in ["GET /hello HTTP/1.1\r\nx:", "", "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc"] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let response = Response::parse(&read_all(&mut stream));
        assert!(!response.whole || response.status == 408, "{request:?}: {response:?}");
    }
    let (finished, _) = server.stop();
    assert!(finished);
}

#[test]
fn a_server_that_stops_finishes_what_it_has() {
    let server = Server::start(setup());
    let mut stream = server.connect();
    stream.write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc").unwrap();
    // The answer has begun, so the request is on its way.
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    server.stop.put(true);
    let address = server.address;
    // Nobody new is let in, sooner or later.
    while let Ok(mut new) = TcpStream::connect(address) {
        let _ = new.write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n");
        if new.read(&mut [0; 1]).is_ok_and(|count| count == 0) {
            break;
        }
    }
    stream.write_all(b"def").unwrap();
    let mut bytes = first.to_vec();
    bytes.extend(read_all(&mut stream));
    let response = Response::parse(&bytes);
    assert_eq!((response.status, response.text(), response.whole), (200, "abcdef", true));
    server.stop_well();
}

#[test]
fn a_server_that_must_stop_stops() {
    let mut setup = setup();
    setup.limits.stop_timeout = SHORT;
    let server = Server::start(setup);
    let mut stream = server.connect();
    stream.write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc").unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    let (finished, _) = server.stop();
    assert!(!finished);
}

/// A request without a body. An answer before it is one that nobody asked for.
fn read_head(stream: &mut TcpStream) -> Vec<u8> {
    let (mut asked, mut byte) = (Vec::new(), [0; 1]);
    while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        asked.push(byte[0]);
    }
    asked
}

/// A server that says one thing, whatever it is asked; what it was asked.
fn say(answer: &'static [u8]) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let asked = read_head(&mut stream);
        let _ = stream.write_all(answer);
        asked
    });
    (address, thread)
}

/// What a guest gets from a server that answers so: the body, or the number of the error.
fn fetch(http: HttpLimits, answer: &'static [u8]) -> String {
    let (address, thread) = say(answer);
    let server = Server::start(Setup { http, ..setup() });
    let response = server.get(&format!("/proxy?{address}"));
    assert_eq!((response.status, response.whole), (200, true), "{:?}", server.failures);
    let asked = String::from_utf8(thread.join().unwrap()).unwrap();
    assert!(asked.starts_with("GET / HTTP/1.1\r\n") && asked.contains(&format!("host: {address}\r\n")), "{asked}");
    server.stop_well();
    response.text().to_owned()
}

#[test]
fn guests_ask_servers() {
    let fetch = |answer| fetch(HttpLimits::default(), answer);
    assert_eq!(fetch(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"), "hello");
    assert_eq!(
        fetch(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        "hello"
    );
    assert_eq!(fetch(b"HTTP/1.0 200 OK\r\n\r\nuntil the end"), "until the end");
    assert_eq!(fetch(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), "ok");
}

#[test]
fn servers_that_do_wrong_are_errors() {
    let limits = || HttpLimits { fields: FieldLimits { bytes_max: 2000, count_max: 10 }, ..HttpLimits::default() };
    // HTTP-protocol-error, HTTP-response-incomplete, HTTP-response-header-section-size
    assert_eq!(fetch(limits(), b"nonsense\r\n\r\n"), "35");
    assert_eq!(fetch(limits(), b"HTTP/1.1 200 OK\r\nx"), "25");
    assert_eq!(fetch(limits(), b""), "25");
    let many: &'static [u8] =
        Box::leak(format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(20)).into_bytes().into());
    assert_eq!(fetch(limits(), many), "26");
    let large: &'static [u8] =
        Box::leak(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(20_000)).into_bytes().into());
    assert_eq!(fetch(limits(), large), "26");
    // Bodies that break off are as long as they are; the guest checks that there is an error.
    assert_eq!(fetch(limits(), b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello"), "hello");
    let small = HttpLimits { response_body_bytes: 3, ..limits() };
    assert_eq!(fetch(small, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"), "");
}

#[test]
fn servers_that_do_not_answer_are_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpLimits { first_byte_timeout: SHORT, ..HttpLimits::default() };
    let server = Server::start(Setup { http, ..setup() });
    // connection-read-timeout: the connection is there, the answer is not.
    assert_eq!(server.get(&format!("/proxy?{address}")).text(), "09");
    drop(listener);
    // connection-refused
    assert_eq!(server.get(&format!("/proxy?{address}")).text(), "06");
    server.stop_well();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let http = HttpLimits { between_bytes_timeout: SHORT, ..HttpLimits::default() };
    let server = Server::start(Setup { http, ..setup() });
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe").unwrap();
        stream
    });
    assert_eq!(server.get(&format!("/proxy?{address}")).text(), "he");
    drop(thread.join().unwrap());
    server.stop_well();
}

/// A server that speaks TLS with a certificate of the test's own authority, and says one thing.
fn say_veiled(answer: &'static [u8]) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let certificate = include_bytes!("http/leaf.der").to_vec().into();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(include_bytes!("http/leaf.key.der").to_vec());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key.into()).unwrap();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        // A client that does not trust the certificate ends it here.
        if stream.read(&mut [0; 1024]).is_ok() {
            let _ = stream.write_all(answer);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (address, thread)
}

#[test]
fn requests_over_tls_know_whom_they_talk_to() {
    let authority = include_bytes!("http/ca.der").to_vec();
    for (trusted, expected) in [(true, "veiled"), (false, "13")] {
        let (address, thread) = say_veiled(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nveiled");
        let trust = if trusted { vec![authority.clone()] } else { Vec::new() };
        let server = Server::start(Setup { trust: Some(trust), ..setup() });
        assert_eq!(server.get(&format!("/veiled?{address}")).text(), expected);
        thread.join().unwrap();
        server.stop_well();
    }
    // TLS-protocol-error: the other side does not speak it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        read_all(&mut stream);
    });
    let server = Server::start(Setup { trust: Some(vec![authority]), ..setup() });
    assert_eq!(server.get(&format!("/veiled?{address}")).text(), "12");
    thread.join().unwrap();
    server.stop_well();
}

#[test]
fn requests_are_sent_where_they_may_be() {
    let (address, thread) = say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let network = Network::new([format!("tcp://{address}").parse().unwrap()]);
    let server = Server::start(Setup { network, ..setup() });
    // HTTP-request-denied: another port, a name.
    assert_eq!(server.get("/proxy?127.0.0.1:1").text(), "15");
    assert_eq!(server.get("/proxy?localhost:80").text(), "15");
    assert_eq!(server.get(&format!("/proxy?{address}")).text(), "ok");
    thread.join().unwrap();
    let denied = server.denied.denials().list();
    server.stop_well();
    let rules: Vec<_> = denied
        .iter()
        .filter_map(|denial| if let Denial::Network { rule } = denial { Some(rule.as_str()) } else { None })
        .collect();
    assert_eq!(rules, ["tcp://127.0.0.1:1", "tcp://localhost"]);
}

#[test]
fn requests_at_once_are_bounded() {
    let http = HttpLimits { requests_at_once: 0, ..HttpLimits::default() };
    let server = Server::start(Setup { http, ..setup() });
    // connection-limit-reached
    assert_eq!(server.get("/proxy?127.0.0.1:1").text(), "11");
    server.stop_well();
}

#[test]
fn requests_that_are_handled_at_once_are_bounded() {
    let mut setup = setup();
    setup.limits.requests_at_once = 1;
    let server = Server::start(setup);
    let mut stream = server.connect();
    stream.write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 6\r\n\r\nabc").unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    // The place is taken: the next one waits for it.
    let mut next = server.connect();
    next.write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    next.set_read_timeout(Some(SHORT)).unwrap();
    assert_eq!(next.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.write_all(b"def").unwrap();
    read_all(&mut stream);
    next.set_read_timeout(Some(LONG)).unwrap();
    assert_eq!(Response::parse(&read_all(&mut next)).status, 200);
    server.stop_well();
}

#[test]
fn a_guest_without_network_sends_nothing() {
    let server = Server::start(Setup { network: Network::none(), ..setup() });
    assert_eq!(server.get(&format!("/proxy?{}", server.address)).text(), "15");
    server.stop_well();
    // And there is no runtime for one that never asks.
    assert!(format!("{:?}", Http::default()).contains("Own(OnceLock(<uninit>))"));
}

#[test]
fn connections_that_wait_do_not_wake_one_another() {
    let server = Server::start(setup());
    let mut idle: Vec<_> = (0..32).map(|_| server.connect()).collect();
    for stream in &mut idle {
        stream.write_all(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 16]).unwrap();
    }
    // A signal wakes few tasks, the ones before early: here it is the server's alone, whatever there are of connections.
    let waiting = format!("{:?}", server.stop).matches("Waker {").count();
    assert!(waiting <= 1, "{:?}", server.stop);
    drop(idle);
    server.stop_well();
}
