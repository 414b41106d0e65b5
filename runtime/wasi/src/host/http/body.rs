//! A message's body between a guest and a connection: a queue of bytes with an end.
//!
//! One side writes and says how it ended, the other reads
//! ([spec](https://github.com/WebAssembly/wasi-http/blob/v0.2.12/wit/types.wit)). Neither side waits here: what a writer may
//! add is bounded, so that a slow reader holds a writer back, whichever of the two the guest is.
//!
//! Invariant: the reader sees every byte in order and then one end; a writer that goes away without an end leaves an error,
//! never a body that seems whole. The signals are set exactly while there is something to read, or room to write.
//!
//! Does not know: connections, guests.

use super::error::ErrorCode;
use super::fields::Fields;
use crate::host::signal::Signal;
use crate::host::stream::Ended;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How a body ends: with trailers or without, or not as it should.
pub type End = Result<Option<Fields>, ErrorCode>;

#[derive(Debug)]
struct State {
    queue: VecDeque<Bytes>,
    /// Bytes in the queue.
    held: usize,
    end: Option<End>,
    /// Nobody reads: what is written is gone.
    discarding: bool,
    /// The reader is gone.
    abandoned: bool,
    /// A task that wants to know when the reader goes.
    leaving: Option<Waker>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    readable: Signal,
    writable: Signal,
    capacity: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn room(&self, state: &State) -> usize {
        if state.abandoned || state.discarding { self.capacity } else { self.capacity.saturating_sub(state.held) }
    }

    /// Sets the signals by what is there.
    fn show(&self, state: &State) {
        self.readable.put(!state.queue.is_empty() || state.end.is_some());
        self.writable.put(self.room(state) > 0);
    }

    fn end(&self, end: End) {
        let mut state = self.state();
        if state.end.is_none() {
            state.end = Some(end);
        }
        self.show(&state);
    }
}

/// Two ends of a body that holds up to `capacity` bytes.
pub fn body(capacity: usize) -> (Writer, Reader) {
    let state =
        State { queue: VecDeque::new(), held: 0, end: None, discarding: false, abandoned: false, leaving: None };
    let (readable, writable) = (Signal::new(false), Signal::new(true));
    let shared = Arc::new(Shared { state: Mutex::new(state), readable, writable, capacity: capacity.max(1) });
    (Writer { shared: Arc::clone(&shared) }, Reader { shared })
}

/// The reader of a body that has ended already.
pub fn ended(end: End) -> Reader {
    let (writer, reader) = body(1);
    writer.end(end);
    reader
}

/// Where a body is read.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

/// What a reader finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Bytes.
    Bytes(Bytes),
    /// Nothing yet.
    Nothing,
    /// The end. Trailers are asked for separately.
    End(Result<(), ErrorCode>),
}

impl Reader {
    /// Takes up to `bytes_max` bytes of what lies together.
    pub fn next(&mut self, bytes_max: usize) -> Found {
        let mut state = self.shared.state();
        let Some(front) = state.queue.front_mut() else {
            return match &state.end {
                None => Found::Nothing,
                Some(end) => Found::End(end.as_ref().map(drop).map_err(Clone::clone)),
            };
        };
        let taken = front.split_to(bytes_max.min(front.len()));
        if front.is_empty() {
            state.queue.pop_front();
        }
        state.held -= taken.len();
        self.shared.show(&state);
        Found::Bytes(taken)
    }

    /// Takes up to `bytes_max` bytes, as a stream gives them.
    pub fn read(&mut self, bytes_max: usize) -> Result<Vec<u8>, Ended> {
        let mut bytes = Vec::new();
        while bytes.len() < bytes_max {
            match self.next(bytes_max - bytes.len()) {
                Found::Bytes(more) => bytes.extend_from_slice(&more),
                Found::End(Ok(())) if bytes.is_empty() => return Err(Ended::Closed),
                Found::End(Err(code)) if bytes.is_empty() => return Err(Ended::Http(Box::new(code))),
                Found::End(_) | Found::Nothing => break,
            }
        }
        Ok(bytes)
    }

    /// Reads no more bytes; the end is still told.
    pub fn discard(&mut self) {
        let mut state = self.shared.state();
        (state.discarding, state.held) = (true, 0);
        state.queue.clear();
        self.shared.show(&state);
    }

    /// How the body ended, once everything before was taken.
    pub fn ending(&self) -> Option<End> {
        let state = self.shared.state();
        if state.queue.is_empty() { state.end.clone() } else { None }
    }

    /// Bytes until the end, if nothing more can come.
    pub fn remaining(&self) -> Option<u64> {
        let state = self.shared.state();
        matches!(state.end, Some(Ok(None))).then_some(state.held as u64)
    }

    /// Set while there is something to read, or the end.
    pub fn readable(&self) -> &Signal {
        &self.shared.readable
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        (state.abandoned, state.held) = (true, 0);
        state.queue.clear();
        self.shared.show(&state);
        let leaving = state.leaving.take();
        drop(state);
        leaving.into_iter().for_each(Waker::wake);
    }
}

/// Where a body is written.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// How many bytes there is room for; none at all if nobody reads any more.
    pub fn room(&self) -> Result<usize, Ended> {
        let state = self.shared.state();
        if state.abandoned || state.end.is_some() { Err(Ended::Closed) } else { Ok(self.shared.room(&state)) }
    }

    /// Adds bytes. More than there is room for is for who counted before; a queue is never refused by what it holds.
    pub fn write(&self, bytes: Bytes) -> Result<(), Ended> {
        let mut state = self.shared.state();
        if state.abandoned || state.end.is_some() {
            return Err(Ended::Closed);
        }
        if !state.discarding && !bytes.is_empty() {
            state.held += bytes.len();
            push(&mut state.queue, bytes);
        }
        self.shared.show(&state);
        Ok(())
    }

    /// Says how the body ends; the first time counts.
    pub fn end(&self, end: End) {
        self.shared.end(end);
    }

    /// Set while there is room.
    pub fn writable(&self) -> &Signal {
        &self.shared.writable
    }

    /// Ready when what is written reaches nobody, so that the source need not be read on.
    pub fn poll_abandoned(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.shared.state();
        if state.abandoned {
            return Poll::Ready(());
        }
        state.leaving = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.end(Err(ErrorCode::ConnectionTerminated));
    }
}

/// Pieces smaller than this are copied together, so that a writer of single bytes does not cost a queue entry for each.
const PIECE_BYTES: usize = 4096;

fn push(queue: &mut VecDeque<Bytes>, bytes: Bytes) {
    if let Some(last) = queue.pop_back_if(|last| last.len() + bytes.len() <= PIECE_BYTES) {
        let mut joined = last.try_into_mut().unwrap_or_else(|shared| {
            let mut copy = BytesMut::with_capacity(PIECE_BYTES);
            copy.extend_from_slice(&shared);
            copy
        });
        joined.extend_from_slice(&bytes);
        return queue.push_back(joined.freeze());
    }
    queue.push_back(bytes);
}

/// Which message a body belongs to: errors differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A request's.
    Request,
    /// A response's.
    Response,
}

impl Side {
    /// The body is not as long as was said, or longer than allowed.
    pub fn wrong_size(self, bytes: u64) -> ErrorCode {
        match self {
            Side::Request => ErrorCode::HttpRequestBodySize(Some(bytes)),
            Side::Response => ErrorCode::HttpResponseBodySize(Some(bytes)),
        }
    }
}

/// A body that a guest writes: as long as was said, if it was.
#[derive(Clone, Debug)]
pub struct Outgoing {
    inner: Arc<OutgoingInner>,
}

#[derive(Debug)]
struct OutgoingInner {
    writer: Writer,
    side: Side,
    declared: Option<u64>,
    written: Mutex<u64>,
}

impl Outgoing {
    /// What writes to `writer`; `declared` is the body's length, as its headers say.
    pub fn new(writer: Writer, side: Side, declared: Option<u64>) -> Outgoing {
        Outgoing { inner: Arc::new(OutgoingInner { writer, side, declared, written: Mutex::default() }) }
    }

    fn written(&self) -> MutexGuard<'_, u64> {
        self.inner.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much can be written now.
    pub fn permit(&self) -> Result<u64, Ended> {
        self.inner.writer.room().map(|room| room as u64)
    }

    /// Writes; more than was said spoils the body.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Ended> {
        let inner = &self.inner;
        let mut written = self.written();
        let total = *written + bytes.len() as u64;
        if inner.declared.is_some_and(|declared| total > declared) {
            let code = inner.side.wrong_size(total);
            inner.writer.end(Err(code.clone()));
            return Err(Ended::Http(Box::new(code)));
        }
        inner.writer.write(Bytes::copy_from_slice(bytes))?;
        *written = total;
        Ok(())
    }

    /// Ends the body. Less than was said spoils it.
    pub fn finish(&self, trailers: Option<Fields>) -> Result<(), ErrorCode> {
        let (inner, written) = (&self.inner, *self.written());
        let wrong = inner.declared.is_some_and(|declared| declared != written);
        let end = if wrong { Err(inner.side.wrong_size(written)) } else { Ok(trailers) };
        inner.writer.end(end.clone());
        end.map(drop)
    }

    /// Ends the body as one that is not whole, if it was not ended before.
    pub fn abandon(&self) {
        self.inner.writer.end(Err(ErrorCode::internal("the body was dropped before it was finished")));
    }

    /// Set while there is room.
    pub fn writable(&self) -> &Signal {
        self.inner.writer.writable()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(writer: &Writer, text: &str) {
        writer.write(Bytes::copy_from_slice(text.as_bytes())).unwrap();
    }

    #[test]
    fn bytes_and_the_end_come_in_order() {
        let (writer, mut reader) = body(8);
        assert_eq!((reader.read(9), reader.readable().is_set()), (Ok(Vec::new()), false));
        put(&writer, "abc");
        put(&writer, "");
        put(&writer, "defgh");
        assert_eq!((writer.room(), writer.writable().is_set()), (Ok(0), false));
        assert_eq!(reader.read(2), Ok(b"ab".to_vec()));
        assert_eq!((writer.room(), writer.writable().is_set()), (Ok(2), true));
        writer.end(Ok(None));
        assert_eq!((reader.remaining(), writer.room()), (Some(6), Err(Ended::Closed)));
        assert_eq!(reader.ending().map(|end| end.is_ok()), None);
        assert_eq!(reader.read(100), Ok(b"cdefgh".to_vec()));
        assert_eq!((reader.read(1), reader.readable().is_set()), (Err(Ended::Closed), true));
        assert!(reader.ending().unwrap().unwrap().is_none());
    }

    #[test]
    fn a_writer_that_goes_away_leaves_an_error() {
        let (writer, mut reader) = body(8);
        put(&writer, "abc");
        drop(writer);
        assert_eq!(reader.read(100), Ok(b"abc".to_vec()));
        assert_eq!(reader.read(100), Err(Ended::Http(Box::new(ErrorCode::ConnectionTerminated))));
        assert_eq!(reader.remaining(), None);
    }

    #[test]
    fn a_reader_that_goes_away_closes() {
        let (writer, reader) = body(2);
        put(&writer, "ab");
        assert!(!writer.writable().is_set());
        drop(reader);
        assert!(writer.writable().is_set());
        assert_eq!(writer.poll_abandoned(&Context::from_waker(Waker::noop())), Poll::Ready(()));
        assert_eq!(writer.room(), Err(Ended::Closed));
        assert_eq!(writer.write(Bytes::from_static(b"c")), Err(Ended::Closed));
    }

    #[test]
    fn what_is_discarded_holds_nobody_back() {
        let (writer, mut reader) = body(2);
        put(&writer, "ab");
        reader.discard();
        for _ in 0..100 {
            assert_eq!(writer.room(), Ok(2));
            put(&writer, "cd");
        }
        assert!(reader.ending().is_none());
        writer.end(Ok(Some(Fields::default())));
        assert!(reader.ending().unwrap().unwrap().is_some());
    }

    #[test]
    fn small_pieces_lie_together() {
        let (writer, reader) = body(1 << 20);
        for _ in 0..10_000 {
            put(&writer, "x");
        }
        assert!(reader.shared.state().queue.len() <= 3);
    }

    #[test]
    fn bodies_are_as_long_as_was_said() {
        fn check(side: Side, declared: Option<u64>, writes: &[&str], expected: Result<(), ErrorCode>) {
            let (writer, mut reader) = body(100);
            let outgoing = Outgoing::new(writer, side, declared);
            let written = writes.iter().try_for_each(|text| outgoing.write(text.as_bytes()));
            let found = written.map_err(|ended| match ended {
                Ended::Http(code) => *code,
                other => ErrorCode::internal(format!("{other:?}")),
            });
            assert_eq!(found.and_then(|()| outgoing.finish(None)), expected);
            let _ = reader.read(100);
            // What the other side sees is whole, or is broken.
            assert_eq!(reader.ending().unwrap().map(drop), expected);
        }
        check(Side::Response, None, &["a", "b"], Ok(()));
        check(Side::Response, Some(2), &["a", "b"], Ok(()));
        check(Side::Response, Some(2), &["a"], Err(ErrorCode::HttpResponseBodySize(Some(1))));
        check(Side::Request, Some(2), &["a", "bc"], Err(ErrorCode::HttpRequestBodySize(Some(3))));
        check(Side::Request, Some(0), &[], Ok(()));
    }

    #[test]
    fn a_body_that_is_not_finished_is_not_whole() {
        let (writer, mut reader) = body(100);
        let outgoing = Outgoing::new(writer, Side::Response, None);
        outgoing.write(b"ab").unwrap();
        outgoing.abandon();
        assert_eq!(reader.read(100), Ok(b"ab".to_vec()));
        assert!(matches!(reader.read(100), Err(Ended::Http(_))));
        assert_eq!(outgoing.permit(), Err(Ended::Closed));
        // Once it was finished, dropping what wrote it changes nothing.
        let (writer, reader) = body(100);
        let outgoing = Outgoing::new(writer, Side::Response, Some(0));
        assert_eq!(outgoing.finish(None), Ok(()));
        outgoing.abandon();
        assert!(reader.ending().unwrap().is_ok());
    }
}
