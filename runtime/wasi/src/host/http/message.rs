//! Requests and responses, and what they are made of.
//!
//! Syntax is that of [RFC 9110](https://www.rfc-editor.org/rfc/rfc9110) and
//! [RFC 3986](https://www.rfc-editor.org/rfc/rfc3986); what may be asked of a message is the interface's
//! ([spec](https://github.com/WebAssembly/wasi-http/blob/v0.2.12/wit/types.wit)).
//!
//! Invariant: a part that a guest set is valid by itself; whether the parts go together is decided when the message is sent.
//! A body is handed out once.
//!
//! Does not know: connections, resources.

use super::body::{self, End, Outgoing, Reader, Side, Writer};
use super::error::ErrorCode;
use super::fields::{Fields, FieldsError};
use crate::host::signal::Signal;
use http::uri::Authority;
use std::fmt::{Debug, Formatter};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use wattest::component::{ComponentType, Lift, Lower};

/// Most bytes of a method, a scheme, an authority, or a path with its query, that a guest sets.
const PART_BYTES_MAX: usize = 64 << 10;

/// `method`.
#[derive(Clone, Debug, Default, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
#[allow(missing_docs, reason = "the interface's names")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    Other(String),
}

/// `scheme`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(variant)]
pub enum Scheme {
    /// Without TLS.
    #[component(name = "HTTP")]
    Http,
    /// With TLS.
    #[component(name = "HTTPS")]
    Https,
    /// Something else.
    Other(String),
}

/// A part of a message is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

impl Method {
    const NAMED: [(Method, http::Method); 9] = [
        (Method::Get, http::Method::GET),
        (Method::Head, http::Method::HEAD),
        (Method::Post, http::Method::POST),
        (Method::Put, http::Method::PUT),
        (Method::Delete, http::Method::DELETE),
        (Method::Connect, http::Method::CONNECT),
        (Method::Options, http::Method::OPTIONS),
        (Method::Trace, http::Method::TRACE),
        (Method::Patch, http::Method::PATCH),
    ];

    /// From the wire.
    pub fn received(method: &http::Method) -> Method {
        let named = Method::NAMED.into_iter().find(|(_, known)| known == method);
        named.map_or_else(|| Method::Other(method.as_str().to_owned()), |(named, _)| named)
    }

    /// As it is sent; a name that is none is invalid.
    pub fn to_http(&self) -> Result<http::Method, Invalid> {
        match self {
            Method::Other(name) if name.len() > PART_BYTES_MAX => Err(Invalid),
            Method::Other(name) => http::Method::from_bytes(name.as_bytes()).map_err(|_| Invalid),
            method => {
                Method::NAMED.into_iter().find(|(named, _)| named == method).map(|(_, known)| known).ok_or(Invalid)
            }
        }
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match (self, self.to_http()) {
            (Method::Other(name), _) => f.write_str(name),
            (_, Ok(method)) => f.write_str(method.as_str()),
            (_, Err(Invalid)) => Err(std::fmt::Error),
        }
    }
}

impl Scheme {
    /// The scheme's name is one.
    pub fn check(&self) -> Result<(), Invalid> {
        match self {
            Scheme::Http | Scheme::Https => Ok(()),
            Scheme::Other(name) if name.is_empty() => Err(Invalid),
            Scheme::Other(name) => http::uri::Scheme::try_from(name.as_str()).map(drop).map_err(|_| Invalid),
        }
    }
}

/// The part is a path with or without a query.
fn check_path(path: &str) -> Result<(), Invalid> {
    if path.is_empty() {
        return Ok(());
    }
    let starts = path.starts_with(['/', '?']) || path == "*";
    let valid = path.len() <= PART_BYTES_MAX && starts && path.parse::<http::uri::PathAndQuery>().is_ok();
    // A fragment is cut off silently by whoever parses it.
    if valid && !path.contains('#') { Ok(()) } else { Err(Invalid) }
}

/// A host, with or without a port. Names and passwords before the host are not for the wire.
pub fn parse_authority(text: &str) -> Result<(Authority, Option<u16>), Invalid> {
    if text.len() > PART_BYTES_MAX || text.contains('@') {
        return Err(Invalid);
    }
    let authority: Authority = text.parse().map_err(|_| Invalid)?;
    // What is behind the host is not looked at by whoever parses it.
    let port = match text.strip_prefix(authority.host()).ok_or(Invalid)? {
        "" | ":" => None,
        port => {
            let digits = port.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
            Some(digits.ok_or(Invalid)?.parse().map_err(|_| Invalid)?)
        }
    };
    Ok((authority, port))
}

/// Begins to fill a body, for a guest that wants to read it.
pub type Start = Box<dyn FnOnce(Writer) + Send>;

/// A body that is received: nothing of it is read before somebody wants it.
pub struct Unread {
    start: Mutex<Option<Start>>,
    capacity: usize,
}

impl Unread {
    /// A body that `start` fills, `capacity` bytes ahead of its reader.
    pub fn new(capacity: usize, start: impl FnOnce(Writer) + Send + 'static) -> Unread {
        Unread { start: Mutex::new(Some(Box::new(start))), capacity }
    }

    /// No body at all.
    pub fn empty() -> Unread {
        Unread::new(1, |writer| writer.end(Ok(None)))
    }

    /// Reads it from now on.
    pub fn read(self) -> Reader {
        let (writer, reader) = body::body(self.capacity);
        if let Some(start) = self.start.into_inner().unwrap_or_else(PoisonError::into_inner) {
            start(writer);
        }
        reader
    }
}

impl Debug for Unread {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unread")
    }
}

/// A request that was received.
#[derive(Debug)]
pub struct IncomingRequest {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub path_with_query: Option<String>,
    /// How it came.
    pub scheme: Option<Scheme>,
    /// For which host and port it was.
    pub authority: Option<String>,
    /// Its headers.
    pub headers: Fields,
    /// Its body, until it is taken.
    pub body: Option<Unread>,
}

/// A response that was received.
#[derive(Debug)]
pub struct IncomingResponse {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Fields,
    /// Its body, until it is taken.
    pub body: Option<Unread>,
}

/// A body that is received, in a guest's hands.
#[derive(Debug)]
pub struct IncomingBody {
    /// What its stream reads, until that is taken; comes back when the stream is dropped.
    reader: Shelf,
    taken: bool,
}

/// Where a reader lies while nobody reads.
pub type Shelf = Arc<Mutex<Option<Reader>>>;

/// A body's stream: gives its reader back when it is dropped.
#[derive(Debug)]
pub struct Stream {
    reader: Option<Reader>,
    shelf: Shelf,
}

impl Stream {
    /// What is read.
    pub fn reader(&mut self) -> Option<&mut Reader> {
        self.reader.as_mut()
    }

    /// When there is something to read.
    pub fn readable(&self) -> Option<&Signal> {
        self.reader.as_ref().map(Reader::readable)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        *self.shelf.lock().unwrap_or_else(PoisonError::into_inner) = self.reader.take();
    }
}

impl IncomingBody {
    /// Takes a body from a message.
    pub fn new(body: Unread) -> IncomingBody {
        IncomingBody { reader: Arc::new(Mutex::new(Some(body.read()))), taken: false }
    }

    fn take(&self) -> Option<Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Its stream, the first time.
    pub fn stream(&mut self) -> Result<Stream, Invalid> {
        if std::mem::replace(&mut self.taken, true) {
            return Err(Invalid);
        }
        Ok(Stream { reader: self.take(), shelf: Arc::clone(&self.reader) })
    }

    /// Reads to the end, for the trailers.
    pub fn finish(self) -> FutureTrailers {
        let mut reader = self.take().unwrap_or_else(|| body::ended(Ok(None)));
        reader.discard();
        FutureTrailers { reader, taken: false }
    }
}

/// Trailers that come.
#[derive(Debug)]
pub struct FutureTrailers {
    reader: Reader,
    taken: bool,
}

impl FutureTrailers {
    /// Set when they are there.
    pub fn signal(&self) -> &Signal {
        self.reader.readable()
    }

    /// The trailers, or that they were taken already; none before they are there.
    pub fn get(&mut self) -> Option<Result<End, Invalid>> {
        let end = self.reader.ending()?;
        Some(if std::mem::replace(&mut self.taken, true) { Err(Invalid) } else { Ok(end) })
    }
}

/// A body that is sent, in a guest's hands. Dropped before it is finished, it is broken.
#[derive(Debug)]
pub struct OutgoingBody {
    body: Outgoing,
    taken: bool,
}

impl OutgoingBody {
    /// Its stream, the first time.
    pub fn stream(&mut self) -> Result<Outgoing, Invalid> {
        if std::mem::replace(&mut self.taken, true) { Err(Invalid) } else { Ok(self.body.clone()) }
    }

    /// Says that it is whole.
    pub fn finish(self, trailers: Option<Fields>) -> Result<(), ErrorCode> {
        self.body.finish(trailers)
    }
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        self.body.abandon();
    }
}

/// The body of a message that a guest makes.
#[derive(Debug, Default)]
pub enum Draft {
    /// Nobody asked for it.
    #[default]
    Untouched,
    /// A guest writes it.
    Written(Reader),
}

impl Draft {
    /// What a guest writes, the first time.
    fn open(&mut self, side: Side, headers: &Fields, capacity: usize) -> Result<OutgoingBody, Invalid> {
        if matches!(self, Draft::Written(_)) {
            return Err(Invalid);
        }
        let (writer, reader) = body::body(capacity);
        *self = Draft::Written(reader);
        // A length that is none fails when the message is sent.
        let body = Outgoing::new(writer, side, headers.content_length().unwrap_or(None));
        Ok(OutgoingBody { body, taken: false })
    }

    /// What is sent.
    pub fn into_reader(self) -> Reader {
        match self {
            Draft::Untouched => body::ended(Ok(None)),
            Draft::Written(reader) => reader,
        }
    }
}

/// A request that a guest makes.
#[derive(Debug)]
pub struct OutgoingRequest {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub path_with_query: Option<String>,
    /// How it is sent.
    pub scheme: Option<Scheme>,
    /// To which host and port.
    pub authority: Option<String>,
    /// Its headers.
    pub headers: Fields,
    /// Its body.
    pub draft: Draft,
}

impl OutgoingRequest {
    /// A `GET` of nothing.
    pub fn new(headers: &Fields) -> OutgoingRequest {
        let headers = headers.frozen();
        let (method, draft) = (Method::Get, Draft::Untouched);
        OutgoingRequest { method, path_with_query: None, scheme: None, authority: None, headers, draft }
    }

    /// Sets the method.
    pub fn set_method(&mut self, method: Method) -> Result<(), Invalid> {
        method.to_http()?;
        self.method = method;
        Ok(())
    }

    /// Sets the path and query.
    pub fn set_path_with_query(&mut self, path: Option<String>) -> Result<(), Invalid> {
        path.as_deref().map_or(Ok(()), check_path)?;
        self.path_with_query = path;
        Ok(())
    }

    /// Sets the scheme.
    pub fn set_scheme(&mut self, scheme: Option<Scheme>) -> Result<(), Invalid> {
        scheme.as_ref().map_or(Ok(()), Scheme::check)?;
        self.scheme = scheme;
        Ok(())
    }

    /// Sets the authority.
    pub fn set_authority(&mut self, authority: Option<String>) -> Result<(), Invalid> {
        authority.as_deref().map(parse_authority).transpose()?;
        self.authority = authority;
        Ok(())
    }

    /// What a guest writes the body to, the first time.
    pub fn body(&mut self, capacity: usize) -> Result<OutgoingBody, Invalid> {
        self.draft.open(Side::Request, &self.headers, capacity)
    }
}

/// A response that a guest makes.
#[derive(Debug)]
pub struct OutgoingResponse {
    /// Its status.
    status: u16,
    /// Its headers.
    pub headers: Fields,
    /// Its body.
    pub draft: Draft,
}

impl OutgoingResponse {
    /// A response with status 200.
    pub fn new(headers: &Fields) -> OutgoingResponse {
        OutgoingResponse { status: 200, headers: headers.frozen(), draft: Draft::Untouched }
    }

    /// Its status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Sets the status, if it is one.
    pub fn set_status(&mut self, status: u16) -> Result<(), Invalid> {
        if !(100..=599).contains(&status) {
            return Err(Invalid);
        }
        self.status = status;
        Ok(())
    }

    /// What a guest writes the body to, the first time.
    pub fn body(&mut self, capacity: usize) -> Result<OutgoingBody, Invalid> {
        self.draft.open(Side::Response, &self.headers, capacity)
    }

    /// Whether its parts go together: a final status, and at most one length.
    pub fn check(&self) -> Result<(), ErrorCode> {
        if self.status < 200 {
            return Err(ErrorCode::HttpProtocolError);
        }
        self.headers.content_length().map(drop).map_err(|error: FieldsError| ErrorCode::internal(error))
    }
}

/// `request-options`: how long to wait, in nanoseconds, where it is not the host's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// For a connection.
    pub connect_timeout: Option<u64>,
    /// For the response to begin.
    pub first_byte_timeout: Option<u64>,
    /// For its body to go on.
    pub between_bytes_timeout: Option<u64>,
}

/// What came of a request.
pub type Answer = Result<IncomingResponse, ErrorCode>;

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Waiting,
    Filled(Answer),
    Taken,
}

/// A response that comes.
#[derive(Debug)]
pub struct FutureResponse {
    promise: Promise,
    /// Ends the request when nobody waits for it any more.
    _guard: Option<Guard>,
}

/// Does something when it is dropped.
pub struct Guard(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Guard {
    /// Does this when it is dropped.
    pub fn new(act: impl FnOnce() + Send + Sync + 'static) -> Guard {
        Guard(Some(Box::new(act)))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}

impl Debug for Guard {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guard")
    }
}

/// Where a response that comes is put.
#[derive(Clone, Debug, Default)]
pub struct Promise {
    slot: Arc<Mutex<Slot>>,
    signal: Signal,
}

impl Promise {
    /// Says what came of the request; the first time counts.
    pub fn fill(&self, answer: Answer) {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*slot, Slot::Waiting) {
            *slot = Slot::Filled(answer);
        }
        drop(slot);
        self.signal.put(true);
    }
}

impl FutureResponse {
    /// What `promise` is filled with.
    pub fn new(promise: Promise, guard: Option<Guard>) -> FutureResponse {
        FutureResponse { promise, _guard: guard }
    }

    /// Set when it is there.
    pub fn signal(&self) -> &Signal {
        &self.promise.signal
    }

    /// The response, or that it was taken already; none before it is there.
    pub fn get(&mut self) -> Option<Result<Answer, Invalid>> {
        let mut slot = self.promise.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Waiting => {
                *slot = Slot::Waiting;
                None
            }
            Slot::Filled(answer) => Some(Ok(answer)),
            Slot::Taken => Some(Err(Invalid)),
        }
    }
}

/// How a request is answered, once.
#[derive(Debug)]
pub struct ResponseOutparam {
    reply: Option<Reply>,
    answered: Answered,
}

/// Whether a request was answered.
#[derive(Clone, Debug, Default)]
pub struct Answered(Arc<AtomicBool>);

impl Answered {
    /// Whether it was.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Who is told how a request is answered.
pub type ReplyFn = Box<dyn FnOnce(Result<OutgoingResponse, ErrorCode>) + Send + Sync>;

struct Reply(ReplyFn);

impl Debug for Reply {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply")
    }
}

impl ResponseOutparam {
    /// Tells `reply`; when this is dropped instead, nobody.
    pub fn new(reply: impl FnOnce(Result<OutgoingResponse, ErrorCode>) + Send + Sync + 'static) -> ResponseOutparam {
        ResponseOutparam { reply: Some(Reply(Box::new(reply))), answered: Answered::default() }
    }

    /// Tells whether this was used, when it is gone.
    pub fn answered(&self) -> Answered {
        self.answered.clone()
    }

    /// Sends an answer before the answer. No connection here can carry one.
    pub fn send_informational(&self, status: u16) -> Result<(), ErrorCode> {
        match status {
            100..=199 => Err(ErrorCode::internal("informational responses are not supported")),
            _ => Err(ErrorCode::HttpProtocolError),
        }
    }

    /// Answers.
    pub fn set(mut self, answer: Result<OutgoingResponse, ErrorCode>) {
        if let Some(Reply(reply)) = self.reply.take() {
            self.answered.0.store(true, Ordering::Relaxed);
            reply(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::stream::Ended;

    fn request() -> OutgoingRequest {
        OutgoingRequest::new(&Fields::default())
    }

    #[test]
    fn parts_are_checked() {
        fn check(
            what: &str,
            set: impl Fn(&mut OutgoingRequest, String) -> Result<(), Invalid>,
            good: &[&str],
            bad: &[&str],
        ) {
            for (texts, expected) in [(good, Ok(())), (bad, Err(Invalid))] {
                for text in texts {
                    assert_eq!(set(&mut request(), (*text).to_owned()), expected, "{what} {text:?}");
                }
            }
        }
        let long = "a".repeat(PART_BYTES_MAX + 1);
        let path = |request: &mut OutgoingRequest, text| request.set_path_with_query(Some(text));
        check("path", path, &["/", "/a?b=c", "?b", "", "*"], &["a", "/a b", "/\r\n", "/a#b", &format!("/{long}")]);
        let authority = |request: &mut OutgoingRequest, text| request.set_authority(Some(text));
        check(
            "authority",
            authority,
            &["a", "a:1", "a:", "[::1]:80"],
            &["", "a b", "u:p@a", "a/b", "a:1x", "a:65536", &long],
        );
        let method = |request: &mut OutgoingRequest, text| request.set_method(Method::Other(text));
        check("method", method, &["GET", "BREW"], &["", "A B", "A\n", &long]);
        let scheme = |request: &mut OutgoingRequest, text| request.set_scheme(Some(Scheme::Other(text)));
        check("scheme", scheme, &["ftp", "a+b"], &["", "1:", "a b", "://"]);
    }

    #[test]
    fn methods_have_names() {
        for (method, known) in Method::NAMED {
            assert_eq!((method.to_http(), Method::received(&known)), (Ok(known.clone()), method));
        }
        let brew = http::Method::from_bytes(b"BREW").unwrap();
        assert_eq!(Method::received(&brew), Method::Other("BREW".to_owned()));
    }

    #[test]
    fn statuses_are_checked() {
        let mut response = OutgoingResponse::new(&Fields::default());
        for (status, expected) in [(99, Err(Invalid)), (600, Err(Invalid)), (100, Ok(())), (404, Ok(()))] {
            assert_eq!(response.set_status(status), expected, "{status}");
        }
        assert_eq!((response.status(), response.check()), (404, Ok(())));
        response.set_status(103).unwrap();
        assert_eq!(response.check(), Err(ErrorCode::HttpProtocolError));
    }

    #[test]
    fn bodies_are_taken_once() {
        let mut request = request();
        assert!(request.body(10).is_ok() && request.body(10).is_err());
        let mut body = IncomingBody::new(Unread::empty());
        let mut stream = body.stream().unwrap();
        assert!(body.stream().is_err());
        assert_eq!(stream.reader().unwrap().read(1), Err(Ended::Closed));
        drop(stream);
        let mut trailers = body.finish();
        assert!(trailers.signal().is_set() && matches!(trailers.get(), Some(Ok(Ok(None)))));
        assert!(matches!(trailers.get(), Some(Err(Invalid))));
    }

    #[test]
    fn trailers_come_after_bytes_that_nobody_read() {
        let kept = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&kept);
        let mut body = IncomingBody::new(Unread::new(2, move |writer| *keep.lock().unwrap() = Some(writer)));
        let stream = body.stream().unwrap();
        let writer = kept.lock().unwrap().take().unwrap();
        writer.write(bytes::Bytes::from_static(b"ab")).unwrap();
        assert_eq!((writer.room(), stream.readable().unwrap().is_set()), (Ok(0), true));
        drop(stream);
        let mut trailers = body.finish();
        assert_eq!((writer.room(), trailers.get().is_none()), (Ok(2), true));
        writer.end(Ok(Some(Fields::default())));
        assert!(matches!(trailers.get(), Some(Ok(Ok(Some(_))))));
    }

    #[test]
    fn a_response_that_comes_is_taken_once() {
        let promise = Promise::default();
        let dropped = Arc::new(Mutex::new(false));
        let drops = Arc::clone(&dropped);
        let guard = Guard::new(move || *drops.lock().unwrap() = true);
        let mut future = FutureResponse::new(promise.clone(), Some(guard));
        assert!(future.get().is_none() && !future.signal().is_set());
        promise.fill(Err(ErrorCode::ConnectionRefused));
        promise.fill(Err(ErrorCode::LoopDetected));
        assert!(future.signal().is_set());
        assert!(matches!(future.get(), Some(Ok(Err(ErrorCode::ConnectionRefused)))));
        assert!(matches!(future.get(), Some(Err(Invalid))));
        drop(future);
        assert!(*dropped.lock().unwrap());
    }

    #[test]
    fn informational_responses_are_not_for_this_host() {
        let outparam = ResponseOutparam::new(drop);
        assert_eq!(outparam.send_informational(200), Err(ErrorCode::HttpProtocolError));
        assert!(matches!(outparam.send_informational(103), Err(ErrorCode::InternalError(Some(_)))));
        let answered = outparam.answered();
        assert!(!answered.get());
        outparam.set(Err(ErrorCode::LoopDetected));
        assert!(answered.get());
    }
}
