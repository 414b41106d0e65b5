//! Bytes that come and go: files, standard streams and sockets as one kind of thing.
//!
//! Nothing here waits: a read takes what is there, a write is allowed as much as [`Sink::permit`] says; `poll` waits.
//!
//! Invariant: a stream that has ended stays so; what was written is on its way before the call returns, or kept and counted
//! against the permit.
//!
//! Does not know: handles, linear memory, WASI versions.

use super::clock::{Clock, Clocks};
use super::fs::File;
use super::net::TcpSocket;
use super::poll::{Watch, settle};
use super::signal::Signal;
use super::stdio::{InputStream, OutputStream};
use crate::Errno;
#[cfg(feature = "http")]
use crate::host::http::{ErrorCode, body::Outgoing, message};
use rustix::io::{IoSlice, IoSliceMut};
use std::fmt::Debug;
use std::sync::Arc;

/// Most bytes of one read, and of one permit to write.
pub const BYTES_MAX: u64 = 1 << 20;

/// Why a stream gives or takes nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is at its end, or the other side is gone.
    Closed,
    /// It is broken.
    Failed(Errno),
    /// It is broken, as HTTP tells it.
    #[cfg(feature = "http")]
    Http(Box<ErrorCode>),
}

impl From<Errno> for Ended {
    fn from(error: Errno) -> Ended {
        Ended::Failed(error)
    }
}

/// Something of another module that can be waited for.
pub trait Awaited: Debug + Send + Sync {
    /// What is known about it now.
    fn watch(&self) -> Watch<'_>;
}

/// Something that can be waited for, by itself: it needs no stream to be there still.
#[derive(Clone, Debug)]
pub enum Pollable {
    /// It has happened.
    Ready,
    /// A moment of the monotonic clock, in nanoseconds.
    Until(u64),
    /// Bytes to read.
    Input(InputStream),
    /// Room to write.
    Output(OutputStream),
    /// Something that another thread says.
    Signal(Signal),
    /// Something of another module.
    Awaited(Arc<dyn Awaited>),
}

impl Pollable {
    /// What is known about it now.
    pub fn watch(&self, clocks: &mut Clocks) -> Result<Watch<'_>, Errno> {
        Ok(match self {
            Pollable::Ready => Watch::Done(Ok(0)),
            Pollable::Until(moment) => Watch::After(moment.saturating_sub(clocks.now(Clock::Monotonic)?)),
            Pollable::Input(stream) => stream.watch(),
            Pollable::Output(stream) => stream.watch(),
            Pollable::Signal(signal) => signal.watch()?,
            Pollable::Awaited(awaited) => awaited.watch(),
        })
    }

    /// Whether it has happened. A stream that is broken counts: using it will say so.
    pub fn is_ready(&self) -> Result<bool, Errno> {
        let mut clocks = Clocks::Host;
        let now = [self.watch(&mut clocks)?, Watch::Done(Ok(0))];
        Ok(settle(&mut clocks, &now)?.first().is_some_and(Option::is_some))
    }
}

/// Where bytes come from.
#[derive(Debug)]
pub enum Source {
    /// A standard stream.
    Stdio(InputStream),
    /// A file, from a position of its own on.
    File {
        /// Which.
        file: File,
        /// Where to read next.
        position: u64,
    },
    /// A message's body.
    #[cfg(feature = "http")]
    Http(message::Stream),
    /// A connection.
    Tcp(Arc<TcpSocket>),
}

impl Source {
    /// When there is something to read.
    pub fn pollable(&self) -> Pollable {
        match self {
            Source::Stdio(stream) => Pollable::Input(stream.clone()),
            Source::File { .. } => Pollable::Ready,
            #[cfg(feature = "http")]
            Source::Http(body) => body.readable().cloned().map_or(Pollable::Ready, Pollable::Signal),
            Source::Tcp(socket) => Pollable::Awaited(socket.readable()),
        }
    }

    /// Takes up to `bytes_max` bytes that are there, none if there are none yet.
    pub fn read(&mut self, bytes_max: u64) -> Result<Vec<u8>, Ended> {
        #[cfg(feature = "http")]
        if let Source::Http(body) = self {
            let reader = body.reader().ok_or(Ended::Closed)?;
            return reader.read(bytes_max.min(BYTES_MAX) as usize);
        }
        if let Source::Tcp(socket) = self {
            return socket.receive(bytes_max);
        }
        if bytes_max == 0 || !self.pollable().is_ready()? {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; bytes_max.min(BYTES_MAX) as usize];
        let buffers = &mut [IoSliceMut::new(&mut bytes)];
        let count = match self {
            Source::Stdio(stream) => stream.read(buffers)?,
            Source::File { file, position } => {
                let count = file.read_at(buffers, *position)?;
                *position += count as u64;
                count
            }
            #[cfg(feature = "http")]
            Source::Http(_) => 0,
            // Answered above: it need not be asked whether something is there.
            Source::Tcp(_) => 0,
        };
        bytes.truncate(count);
        if count == 0 { Err(Ended::Closed) } else { Ok(bytes) }
    }
}

/// Where bytes go.
#[derive(Debug)]
pub enum Sink {
    /// A standard stream.
    Stdio(OutputStream),
    /// A file, from a position of its own on; at its end without one.
    File {
        /// Which.
        file: File,
        /// Where to write next.
        position: Option<u64>,
    },
    /// A message's body.
    #[cfg(feature = "http")]
    Http(Outgoing),
    /// A connection.
    Tcp(Arc<TcpSocket>),
}

impl Sink {
    /// When there is room.
    pub fn pollable(&self) -> Pollable {
        match self {
            Sink::Stdio(stream) => Pollable::Output(stream.clone()),
            Sink::File { .. } => Pollable::Ready,
            #[cfg(feature = "http")]
            Sink::Http(body) => Pollable::Signal(body.writable().clone()),
            Sink::Tcp(socket) => Pollable::Awaited(socket.writable()),
        }
    }

    /// How many bytes can be written now.
    pub fn permit(&mut self) -> Result<u64, Ended> {
        match self {
            Sink::Tcp(socket) => socket.permit(),
            #[cfg(feature = "http")]
            Sink::Http(body) => body.permit(),
            sink => Ok(if sink.pollable().is_ready()? { BYTES_MAX } else { 0 }),
        }
    }

    /// Writes all of `bytes`, which a permit allowed.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), Ended> {
        #[cfg(feature = "http")]
        if let Sink::Http(body) = self {
            return body.write(bytes);
        }
        if let Sink::Tcp(socket) = self {
            return socket.send(bytes);
        }
        while !bytes.is_empty() {
            let buffers = &[IoSlice::new(bytes)];
            let written = match self {
                Sink::Stdio(stream) => stream.write(buffers),
                Sink::File { file, position: None } => file.append(buffers),
                Sink::File { file, position: Some(position) } => {
                    let written = file.write_at(buffers, *position);
                    *position += written.unwrap_or(0) as u64;
                    written
                }
                #[cfg(feature = "http")]
                Sink::Http(_) => Ok(bytes.len()),
                // Answered above: it keeps what there is no room for.
                Sink::Tcp(_) => Err(Errno::Io),
            };
            match written {
                Ok(0) => return Err(Ended::Failed(Errno::Io)),
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::Intr) => {}
                // Somebody else may have made the descriptor one that does not wait.
                Err(Errno::Again) => {
                    let (pollable, mut clocks) = (self.pollable(), Clocks::Host);
                    let watch = pollable.watch(&mut clocks)?;
                    settle(&mut clocks, &[watch])?;
                }
                Err(Errno::Pipe) => return Err(Ended::Closed),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends what is kept, as far as there is room; whether nothing is kept any more.
    pub fn flush(&mut self) -> Result<bool, Ended> {
        match self {
            Sink::Tcp(socket) => socket.flush(),
            Sink::Stdio(_) | Sink::File { .. } => Ok(true),
            // The other side reads when it will, and perhaps not before the message is sent.
            #[cfg(feature = "http")]
            Sink::Http(_) => Ok(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fs::{Access, MemoryFs, MemoryLimits, OpenOptions, Opened};
    use crate::host::stdio::{InputBuffer, OutputBuffer};

    fn file(dir: &super::super::fs::Dir) -> File {
        let options = OpenOptions { read: true, write: true, create: true, ..OpenOptions::default() };
        match dir.open("file", &options).unwrap() {
            Opened::File(file) => file,
            Opened::Dir(_) => unreachable!("a file was created"),
        }
    }

    #[test]
    fn streams_over_one_file_have_positions_of_their_own() {
        let dir = MemoryFs::new(MemoryLimits::default()).root(Access::READ_WRITE);
        let file = file(&dir);
        let mut first = Sink::File { file: file.clone(), position: Some(0) };
        let mut end = Sink::File { file: file.clone(), position: None };
        assert_eq!(first.write(b"abc"), Ok(()));
        assert_eq!(end.write(b"xyz"), Ok(()));
        assert_eq!(first.write(b"d"), Ok(()));
        let mut source = Source::File { file, position: 1 };
        assert_eq!(source.read(3), Ok(b"bcd".to_vec()));
        assert_eq!(source.read(100), Ok(b"yz".to_vec()));
        assert_eq!(source.read(0), Ok(Vec::new()));
        assert_eq!(source.read(1), Err(Ended::Closed));
    }

    #[test]
    fn standard_streams_end_and_fill_up() {
        let mut source = Source::Stdio(InputStream::Buffer(InputBuffer::new("hi")));
        assert_eq!(source.read(u64::MAX), Ok(b"hi".to_vec()));
        assert_eq!(source.read(1), Err(Ended::Closed));
        let mut sink = Sink::Stdio(OutputStream::Buffer(OutputBuffer::new(3)));
        assert_eq!(sink.permit(), Ok(BYTES_MAX));
        assert_eq!(sink.write(b"abcd"), Err(Ended::Failed(Errno::NoSpc)));
    }
}
