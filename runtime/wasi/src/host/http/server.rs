//! Requests that come in, over HTTP/1.1 ([RFC 9112](https://www.rfc-editor.org/rfc/rfc9112)).
//!
//! [`serve`] accepts connections and hands each request to a [`Handler`] as a [`Call`]: the request, and what answers it.
//!
//! Invariant: a client is answered, or its connection ends: there is a limit on every wait, on what a client may send, and on
//! how many connections and requests there are at once. When told to stop, requests on their way are finished, as far as the
//! time for that goes.
//!
//! Does not know: guests.

use super::Http;
use super::body::{self, Side};
use super::error::ErrorCode;
use super::fields::{FieldLimits, Fields};
use super::message::{IncomingRequest, Method, OutgoingResponse, ResponseOutparam, Scheme, Unread};
use super::transfer::{Patient, Receiving, Sent};
use crate::host::http::reactor::OnRuntime;
use crate::host::signal::Signal;
use crate::host::waiting::Waiting;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use wattest::HostFuture;

/// How much clients may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Connections at once; others wait to be accepted.
    pub connections_at_once: usize,
    /// Requests that are handled at once; others wait.
    pub requests_at_once: usize,
    /// Bytes of a request's line and headers.
    pub header_bytes: usize,
    /// Headers of a request.
    pub header_count: usize,
    /// How long the line and headers may take, and how long a connection may be idle.
    pub header_timeout: Duration,
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// How long a body may stand still, in either direction.
    pub idle_timeout: Duration,
    /// How long a request may take until it is answered, waiting to be handled included.
    pub request_timeout: Duration,
    /// How long requests may take to finish after the server was told to stop.
    pub stop_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> ServerLimits {
        ServerLimits {
            connections_at_once: 1024,
            requests_at_once: 128,
            header_bytes: 64 << 10,
            header_count: 100,
            header_timeout: Duration::from_secs(30),
            body_bytes: 64 << 20,
            idle_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(10),
        }
    }
}

/// A request, and what answers it.
#[derive(Debug)]
pub struct Call {
    /// The request.
    pub request: IncomingRequest,
    /// Answers it; dropped, it is answered with an error.
    pub outparam: ResponseOutparam,
    /// For the requests that the handler sends itself.
    pub http: Http,
}

/// How guests wait that are called with `call_async` by a [`Handler`].
pub fn waiting() -> Waiting {
    Waiting::Suspend(Arc::new(OnRuntime))
}

/// Who answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. Threads are shared by all requests: what waits in here is a future that waits.
    fn handle(&self, call: Call) -> HostFuture<'_, ()>;
}

/// Names that are looked up at once; others wait.
const LOOKUPS_AT_ONCE: usize = 32;

/// Serves until `stop` is set, or the process is told to end (`SIGINT`, `SIGTERM`); `http` is for the requests that guests
/// send. Whether everything on its way was finished.
///
/// # Errors
///
/// The system has no more threads or descriptors.
pub fn serve(
    listener: TcpListener,
    limits: ServerLimits,
    http: &Http,
    handler: Arc<dyn Handler>,
    stop: Signal,
) -> io::Result<bool> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.max_blocking_threads(LOOKUPS_AT_ONCE).enable_all().build()?;
    listener.set_nonblocking(true)?;
    let server = Server {
        permits: Arc::new(Semaphore::new(limits.requests_at_once)),
        http: http.on(runtime.handle().clone()),
        limits,
        handler,
        handle: runtime.handle().clone(),
        stop,
    };
    let finished = runtime.block_on(Arc::new(server).run(listener))?;
    // Requests that did not finish in time end here.
    runtime.shutdown_background();
    Ok(finished)
}

struct Server {
    limits: ServerLimits,
    handler: Arc<dyn Handler>,
    permits: Arc<Semaphore>,
    http: Http,
    handle: Handle,
    stop: Signal,
}

/// Ready when the signal is set.
async fn set(signal: &Signal) {
    poll_fn(|cx| {
        if signal.is_set() {
            return Poll::Ready(());
        }
        signal.wake(cx.waker());
        Poll::Pending
    })
    .await;
}

/// The first of two futures, with priority; `None` is the second.
async fn first<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> Option<A> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|cx| match first.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => second.as_mut().poll(cx).map(|_| None),
    })
    .await
}

impl Server {
    async fn run(self: Arc<Self>, listener: TcpListener) -> io::Result<bool> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = self.stop.clone();
        tokio::spawn(async move {
            first(interrupt.recv(), terminate.recv()).await;
            stop.put(true);
        });
        let connections = Arc::new(Semaphore::new(self.limits.connections_at_once));
        // A signal is for a few tasks; this is for one per connection.
        let (stopping, stopped) = watch::channel(false);
        while !self.stop.is_set() {
            let accepted = async {
                let permit = Arc::clone(&connections).acquire_owned().await;
                (listener.accept().await, permit)
            };
            let Some((accepted, permit)) = first(accepted, set(&self.stop)).await else { break };
            match accepted {
                Ok((stream, _)) => {
                    let (server, stopped) = (Arc::clone(&self), stopped.clone());
                    tokio::spawn(async move {
                        server.connection(stream, stopped).await;
                        drop(permit);
                    });
                }
                // The connection is gone already, or there are no descriptors: others come and go meanwhile.
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
        drop(listener);
        stopping.send_replace(true);
        let all = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let finished = async {
            // No connection, and then no handler that goes on after its answer.
            let connections = connections.acquire_many(all(self.limits.connections_at_once)).await;
            (connections, self.permits.acquire_many(all(self.limits.requests_at_once)).await)
        };
        Ok(timeout(self.limits.stop_timeout, finished).await.is_ok())
    }

    async fn connection(self: Arc<Self>, stream: tokio::net::TcpStream, mut stopped: watch::Receiver<bool>) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let limits = &self.limits;
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_header_size(limits.header_bytes)
            .max_buf_size(limits.header_bytes.max(8 << 10));
        if limits.header_count != ServerLimits::default().header_count {
            // Another number than the usual one costs an allocation for each request.
            builder.max_headers(limits.header_count);
        }
        let io = Patient::new(TokioIo::new(stream), limits.idle_timeout);
        let server = Arc::clone(&self);
        let service = service_fn(move |request| {
            let server = Arc::clone(&server);
            async move {
                let deadline = Instant::now() + server.limits.request_timeout;
                let answer = timeout_at(deadline, server.answer(request, deadline)).await;
                let response = answer.unwrap_or(Err(ErrorCode::HttpResponseTimeout)).and_then(send);
                Ok::<_, Infallible>(response.unwrap_or_else(|code| failure(&code)))
            }
        });
        let mut connection = pin!(builder.serve_connection(io, service));
        let stopped = async { drop(stopped.wait_for(|stopped| *stopped).await) };
        let ended = first(connection.as_mut(), stopped).await;
        if ended.is_none() {
            connection.as_mut().graceful_shutdown();
            // Errors are the client's: it sees them as well.
            let _ = connection.await;
        }
    }

    /// Answers a request. A handler that goes on after its answer, to write the body, goes on by itself until `deadline`.
    async fn answer(&self, request: Request<Incoming>, deadline: Instant) -> Result<OutgoingResponse, ErrorCode> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let (reply, mut answer) = oneshot::channel();
        let call = Call {
            request: self.receive(request)?,
            // A client that is gone is nobody to tell.
            outparam: ResponseOutparam::new(move |answer| drop(reply.send(answer))),
            http: self.http.clone(),
        };
        let handler = Arc::clone(&self.handler);
        let mut work: HostFuture<'static, ()> = Box::pin(async move {
            handler.handle(call).await;
            drop(permit);
        });
        let (answer, goes_on) = poll_fn(|cx| {
            let goes_on = work.as_mut().poll(cx).is_pending();
            match Pin::new(&mut answer).poll(cx) {
                Poll::Ready(answer) => Poll::Ready((answer.ok(), goes_on)),
                Poll::Pending if goes_on => Poll::Pending,
                Poll::Pending => Poll::Ready((None, false)),
            }
        })
        .await;
        if goes_on {
            self.handle.spawn(timeout_at(deadline, work));
        }
        answer.unwrap_or_else(|| Err(ErrorCode::internal("the request was not answered")))
    }

    /// A request as handlers see it.
    fn receive(&self, request: Request<Incoming>) -> Result<IncomingRequest, ErrorCode> {
        let (head, body) = request.into_parts();
        let length = body.size_hint().exact();
        if let Some(length) = length.filter(|length| *length > self.limits.body_bytes) {
            return Err(Side::Request.wrong_size(length));
        }
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = head.uri.authority().map(|authority| authority.as_str()).or(host);
        let fields = FieldLimits { bytes_max: self.limits.header_bytes, count_max: self.limits.header_count };
        let receiving = Receiving {
            side: Side::Request,
            bytes_max: self.limits.body_bytes,
            idle: self.limits.idle_timeout,
            fields,
        };
        let unread = if length == Some(0) {
            Unread::empty()
        } else {
            let handle = self.handle.clone();
            Unread::new(self.http.limits().body_buffer_bytes, move |writer| {
                handle.spawn(receiving.run(body, writer));
            })
        };
        Ok(IncomingRequest {
            method: Method::received(&head.method),
            path_with_query: head.uri.path_and_query().map(|path| path.as_str().to_owned()),
            scheme: Some(Scheme::Http),
            authority: authority.map(str::to_owned),
            // Headers that the guest may change are as large as those that it makes itself.
            headers: Fields::received(&head.headers, self.http.limits().fields),
            body: Some(unread),
        })
    }
}

/// A response as it is sent.
fn send(response: OutgoingResponse) -> Result<Response<Sent>, ErrorCode> {
    response.check()?;
    let status = StatusCode::from_u16(response.status()).map_err(ErrorCode::internal)?;
    let headers = response.headers.to_map().map_err(ErrorCode::internal)?;
    let declared = response.headers.content_length().map_err(ErrorCode::internal)?;
    let mut sent = Response::new(Sent::new(response.draft.into_reader(), declared));
    *sent.status_mut() = status;
    *sent.headers_mut() = headers;
    Ok(sent)
}

/// What a client is told when there is no response: a status and no more, since the details are the guest's.
fn failure(code: &ErrorCode) -> Response<Sent> {
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = format!("{status}\n");
    let length = text.len() as u64;
    let (writer, reader) = body::body(text.len());
    // There is room: the queue is as large as the text.
    let _ = writer.write(Bytes::from(text));
    writer.end(Ok(None));
    let mut response = Response::new(Sent::new(reader, Some(length)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}
