//! Standard streams.
//!
//! A stream is the process's own, a buffer in memory, or nothing.
//!
//! Invariant: a write reaches its target before it returns; nothing is held back.
//!
//! Does not know: descriptors.

use super::poll::{Interest, Watch};
use crate::Errno;
use rustix::fd::BorrowedFd;
use rustix::io::{IoSlice, IoSliceMut};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a guest reads as its standard input.
#[derive(Clone, Debug, Default)]
pub enum InputStream {
    /// Nothing: always at its end.
    #[default]
    Null,
    /// The process's standard input.
    Inherit,
    /// Bytes in memory.
    Buffer(InputBuffer),
}

/// Bytes to be read once; clones share what is left.
#[derive(Clone, Debug, Default)]
pub struct InputBuffer {
    bytes: Arc<Vec<u8>>,
    position: Arc<Mutex<usize>>,
}

impl InputBuffer {
    /// A buffer that yields `bytes`, then its end.
    pub fn new(bytes: impl Into<Vec<u8>>) -> InputBuffer {
        InputBuffer { bytes: Arc::new(bytes.into()), position: Arc::default() }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - *self.position()
    }

    fn position(&self) -> MutexGuard<'_, usize> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> usize {
        let mut position = self.position();
        let start = *position;
        for buffer in buffers {
            let count = buffer.len().min(self.bytes.len() - *position);
            buffer[..count].copy_from_slice(&self.bytes[*position..*position + count]);
            *position += count;
        }
        *position - start
    }
}

/// Where a guest's standard output or error goes.
#[derive(Clone, Debug, Default)]
pub enum OutputStream {
    /// Nowhere.
    #[default]
    Null,
    /// The process's standard output.
    InheritStdout,
    /// The process's standard error.
    InheritStderr,
    /// Bytes in memory.
    Buffer(OutputBuffer),
}

/// Bytes written by a guest; clones share them.
#[derive(Clone, Debug)]
pub struct OutputBuffer {
    bytes: Arc<Mutex<Vec<u8>>>,
    bytes_max: usize,
}

impl OutputBuffer {
    /// An empty buffer that refuses, with [`Errno::NoSpc`], to grow beyond `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> OutputBuffer {
        OutputBuffer { bytes: Arc::default(), bytes_max }
    }

    /// A copy of what was written so far.
    pub fn contents(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let before = bytes.len();
        for buffer in buffers {
            let room = self.bytes_max - bytes.len();
            bytes.extend_from_slice(&buffer[..buffer.len().min(room)]);
        }
        let requested = buffers.iter().any(|buffer| !buffer.is_empty());
        if requested && bytes.len() == before { Err(Errno::NoSpc) } else { Ok(bytes.len() - before) }
    }
}

impl InputStream {
    /// Reads into `buffers`; 0 at the end.
    pub fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        match self {
            InputStream::Null => Ok(0),
            InputStream::Inherit => Ok(rustix::io::readv(rustix::stdio::stdin(), buffers)?),
            InputStream::Buffer(buffer) => Ok(buffer.read(buffers)),
        }
    }

    /// When there is something to read, or the end.
    pub fn watch(&self) -> Watch<'static> {
        match self {
            InputStream::Null => Watch::Done(Ok(0)),
            InputStream::Inherit => Watch::Host(Interest { fd: rustix::stdio::stdin(), write: false }),
            InputStream::Buffer(buffer) => Watch::Done(Ok(buffer.remaining() as u64)),
        }
    }

    /// Whether a person may be typing.
    pub fn is_terminal(&self) -> bool {
        matches!(self, InputStream::Inherit) && std::io::stdin().is_terminal()
    }
}

impl OutputStream {
    /// Writes `buffers`; the count may be smaller than asked for.
    pub fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        match (self.host_fd(), self) {
            (Some(fd), _) => Ok(rustix::io::writev(fd, buffers)?),
            (None, OutputStream::Buffer(buffer)) => buffer.write(buffers),
            (None, _) => Ok(buffers.iter().map(|buffer| buffer.len()).sum()),
        }
    }

    /// When there is room.
    pub fn watch(&self) -> Watch<'static> {
        self.host_fd().map_or(Watch::Done(Ok(0)), |fd| Watch::Host(Interest { fd, write: true }))
    }

    fn host_fd(&self) -> Option<BorrowedFd<'static>> {
        match self {
            OutputStream::InheritStdout => Some(rustix::stdio::stdout()),
            OutputStream::InheritStderr => Some(rustix::stdio::stderr()),
            OutputStream::Null | OutputStream::Buffer(_) => None,
        }
    }

    /// Whether a person may be watching.
    pub fn is_terminal(&self) -> bool {
        match self {
            OutputStream::InheritStdout => std::io::stdout().is_terminal(),
            OutputStream::InheritStderr => std::io::stderr().is_terminal(),
            OutputStream::Null | OutputStream::Buffer(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_read_across_buffers_to_its_end() {
        let stream = InputStream::Buffer(InputBuffer::new("hello"));
        let (mut first, mut second) = ([0; 2], [0; 8]);
        let read = stream.read(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)]).unwrap();
        assert_eq!((read, &first, &second[..3]), (5, b"he", b"llo".as_slice()));
        assert_eq!(stream.read(&mut [IoSliceMut::new(&mut first)]), Ok(0));
        assert_eq!(InputStream::Null.read(&mut [IoSliceMut::new(&mut first)]), Ok(0));
    }

    #[test]
    fn output_is_bounded() {
        let buffer = OutputBuffer::new(5);
        let stream = OutputStream::Buffer(buffer.clone());
        assert_eq!(stream.write(&[IoSlice::new(b"abc"), IoSlice::new(b"def")]), Ok(5));
        assert_eq!(stream.write(&[IoSlice::new(b"x")]), Err(Errno::NoSpc));
        assert_eq!(stream.write(&[]), Ok(0));
        assert_eq!(buffer.contents(), b"abcde");
        assert_eq!(OutputStream::Null.write(&[IoSlice::new(b"xy")]), Ok(2));
    }
}
