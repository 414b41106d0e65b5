//! Bodies on their way: between a queue and a connection.
//!
//! Invariant: no more is read of a connection than its reader has room for, and one piece; no wait is without end.
//!
//! Does not know: which side of a connection this is, guests.

use super::body::{Found, Reader, Side, Writer};
use super::error::ErrorCode;
use super::fields::{FieldLimits, Fields};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use std::future::{Future, poll_fn};
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep, timeout};

/// A body that is sent.
#[derive(Debug)]
pub struct Sent {
    reader: Reader,
    declared: Option<u64>,
    ended: bool,
}

impl Sent {
    /// What `reader` gives; `declared` is the length that the headers say.
    pub fn new(reader: Reader, declared: Option<u64>) -> Sent {
        Sent { reader, declared, ended: false }
    }

    /// The last frame, if there is one.
    fn trailers(&self) -> Option<Frame<Bytes>> {
        let trailers = self.reader.ending()?.ok()??;
        // Fields that cannot be sent were refused when they were set.
        trailers.to_map().ok().map(Frame::trailers)
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = ErrorCode;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ErrorCode>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = match self.reader.next(usize::MAX) {
            Found::Bytes(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Found::Nothing => {
                self.reader.readable().wake(cx.waker());
                return Poll::Pending;
            }
            Found::End(Ok(())) => self.trailers().map(Ok),
            Found::End(Err(code)) => Some(Err(code)),
        };
        self.ended = true;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.reader.remaining() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.or_else(|| self.reader.remaining()).map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// How a body is received.
#[derive(Clone, Copy, Debug)]
pub struct Receiving {
    /// Whose it is.
    pub side: Side,
    /// Most bytes.
    pub bytes_max: u64,
    /// How long it may stand still.
    pub idle: Duration,
    /// How large its trailers may be.
    pub fields: FieldLimits,
}

impl Receiving {
    /// Moves a body to `writer`, until its end or until nobody reads.
    pub async fn run(self, mut body: Incoming, writer: Writer) {
        let mut total = 0_u64;
        let mut trailers = None;
        loop {
            writable(&writer).await;
            let next = poll_fn(|cx| match writer.poll_abandoned(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => Pin::new(&mut body).poll_frame(cx).map(Some),
            });
            let end = match timeout(self.idle, next).await {
                Err(_) => Err(ErrorCode::ConnectionReadTimeout),
                Ok(None) => return,
                Ok(Some(None)) => Ok(trailers),
                Ok(Some(Some(Err(error)))) => Err(code_of(self.side, &error)),
                Ok(Some(Some(Ok(frame)))) => match frame.into_data() {
                    Ok(bytes) => {
                        total += bytes.len() as u64;
                        if total <= self.bytes_max {
                            // A reader that is gone is noticed above.
                            let _ = writer.write(bytes);
                            continue;
                        }
                        Err(self.side.wrong_size(total))
                    }
                    Err(frame) => {
                        trailers = frame.into_trailers().ok().map(|map| Fields::received(&map, self.fields));
                        continue;
                    }
                },
            };
            return writer.end(end);
        }
    }
}

/// Waits until there is room.
async fn writable(writer: &Writer) {
    poll_fn(|cx| {
        if writer.writable().is_set() {
            return Poll::Ready(());
        }
        writer.writable().wake(cx.waker());
        Poll::Pending
    })
    .await;
}

/// What went wrong on a connection, in the interface's words.
pub fn code_of(side: Side, error: &hyper::Error) -> ErrorCode {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(code) = cause.downcast_ref::<ErrorCode>() {
            return code.clone();
        }
        if let Some(error) = cause.downcast_ref::<Error>() {
            return match error.kind() {
                ErrorKind::InvalidData | ErrorKind::InvalidInput => ErrorCode::HttpProtocolError,
                ErrorKind::UnexpectedEof => incomplete(side),
                _ => code_of_io(error),
            };
        }
        source = cause.source();
    }
    if error.is_timeout() {
        ErrorCode::ConnectionReadTimeout
    } else if error.is_parse_too_large() {
        match side {
            Side::Request => ErrorCode::HttpRequestHeaderSectionSize(None),
            Side::Response => ErrorCode::HttpResponseHeaderSectionSize(None),
        }
    } else if error.is_parse() {
        ErrorCode::HttpProtocolError
    } else if error.is_incomplete_message() {
        incomplete(side)
    } else if error.is_closed() || error.is_canceled() {
        ErrorCode::ConnectionTerminated
    } else {
        ErrorCode::internal(error)
    }
}

fn incomplete(side: Side) -> ErrorCode {
    match side {
        Side::Request => ErrorCode::ConnectionTerminated,
        Side::Response => ErrorCode::HttpResponseIncomplete,
    }
}

/// What went wrong with a socket, in the interface's words.
pub fn code_of_io(error: &Error) -> ErrorCode {
    match error.kind() {
        ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
        ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ErrorCode::DestinationIpUnroutable,
        ErrorKind::AddrNotAvailable => ErrorCode::DestinationUnavailable,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            ErrorCode::ConnectionTerminated
        }
        _ => ErrorCode::internal(error),
    }
}

/// A connection whose writes do not stand still for longer than is allowed.
#[derive(Debug)]
pub struct Patient<I> {
    inner: I,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<I> Patient<I> {
    /// A connection that waits for `limit` at most until something can be written.
    pub fn new(inner: I, limit: Duration) -> Patient<I> {
        Patient { inner, limit, timer: None }
    }

    /// Starts the clock for a write that waits, and stops it for one that does not.
    fn watch<T>(&mut self, cx: &mut Context<'_>, poll: Poll<Result<T, Error>>) -> Poll<Result<T, Error>> {
        if poll.is_ready() {
            self.timer = None;
            return poll;
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        timer.as_mut().poll(cx).map(|()| Err(ErrorKind::TimedOut.into()))
    }
}

impl<I: Read + Unpin> Read for Patient<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<I: Write + Unpin> Write for Patient<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize, Error>> {
        let poll = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let poll = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let poll = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize, Error>> {
        let poll = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch(cx, poll)
    }
}
