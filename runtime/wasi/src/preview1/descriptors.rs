//! The table of open descriptors.
//!
//! Invariant: 0, 1 and 2 start as the standard streams, preopened directories follow, then sockets: programs look for
//! directories until there is none. A new descriptor gets the lowest free number, as on the hosts.
//!
//! Does not know: encodings.

use super::rights::Rights;
use crate::Errno;
use crate::host::fs::{Access, Dir, File};
use crate::host::net::TcpSocket;
use crate::host::stdio::{InputStream, OutputStream};
use std::sync::Arc;

/// Most descriptors a guest can have open.
const DESCRIPTORS_MAX: usize = 1 << 16;

/// What a descriptor stands for.
#[derive(Debug)]
pub enum Resource {
    /// Standard input.
    Input(InputStream),
    /// Standard output or error.
    Output(OutputStream),
    /// A directory.
    Dir(Dir),
    /// A file.
    File(File),
    /// A socket that listens, or a connection.
    Socket(Socket),
}

/// A socket, and how it is used.
#[derive(Clone, Debug)]
pub struct Socket {
    /// Which.
    pub tcp: Arc<TcpSocket>,
    /// Calls wait instead of failing with [`Errno::Again`].
    pub waits: bool,
}

/// An open descriptor.
#[derive(Debug)]
pub struct Descriptor {
    /// What it stands for.
    pub resource: Resource,
    /// What may be done with it.
    pub base: Rights,
    /// The most that descriptors opened through it can have.
    pub inheriting: Rights,
    /// The guest's name of a preopened directory.
    pub preopen: Option<String>,
}

impl Descriptor {
    /// [`Errno::NotCapable`] unless the descriptor has these rights.
    pub fn require(&self, rights: Rights) -> Result<(), Errno> {
        if self.base.contains(rights) { Ok(()) } else { Err(Errno::NotCapable) }
    }
}

/// The open descriptors of a guest.
#[derive(Debug, Default)]
pub struct Descriptors {
    rows: Vec<Option<Descriptor>>,
}

impl Descriptors {
    pub(crate) fn new(
        stdin: InputStream,
        stdout: OutputStream,
        stderr: OutputStream,
        preopens: Vec<(Dir, String)>,
        listeners: Vec<Arc<TcpSocket>>,
    ) -> Descriptors {
        let stream = |resource, direction| {
            let base = Rights::stream(direction);
            Some(Descriptor { resource, base, inheriting: Rights::default(), preopen: None })
        };
        let mut rows = vec![
            stream(Resource::Input(stdin), Rights::FD_READ),
            stream(Resource::Output(stdout), Rights::FD_WRITE),
            stream(Resource::Output(stderr), Rights::FD_WRITE),
        ];
        rows.extend(preopens.into_iter().map(|(dir, name)| {
            let base = Rights::dir(dir.access());
            let inheriting = base.or(Rights::file(dir.access()));
            Some(Descriptor { resource: Resource::Dir(dir), base, inheriting, preopen: Some(name) })
        }));
        rows.extend(listeners.into_iter().map(|tcp| {
            let resource = Resource::Socket(Socket { tcp, waits: true });
            let (base, inheriting) = (Rights::LISTENER, Rights::CONNECTION);
            Some(Descriptor { resource, base, inheriting, preopen: None })
        }));
        Descriptors { rows }
    }

    /// The descriptor with a number.
    pub fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.rows.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::BadF)
    }

    /// The descriptor with a number.
    pub fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.rows.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::BadF)
    }

    /// The directory with a number.
    pub fn dir(&self, fd: u32, rights: Rights) -> Result<&Dir, Errno> {
        let descriptor = self.get(fd)?;
        match &descriptor.resource {
            Resource::Dir(dir) => match descriptor.require(rights) {
                // What is asked for would have been there if the directory could be changed.
                Err(error) if !dir.access().write && Rights::dir(Access::READ_WRITE).contains(rights) => {
                    dir.deny_change();
                    Err(error)
                }
                result => result.map(|()| dir),
            },
            _ => Err(Errno::NotDir),
        }
    }

    /// The file with a number; streams cannot be sought ([`Errno::Spipe`]), directories are no files
    /// ([`Errno::BadF`], as hosts answer for a descriptor that cannot be read or written).
    pub fn file(&self, fd: u32, rights: Rights) -> Result<&File, Errno> {
        let descriptor = self.get(fd)?;
        match &descriptor.resource {
            Resource::File(file) => descriptor.require(rights).map(|()| file),
            Resource::Dir(_) => Err(Errno::BadF),
            Resource::Input(_) | Resource::Output(_) | Resource::Socket(_) => Err(Errno::Spipe),
        }
    }

    /// The socket with a number.
    pub fn socket(&self, fd: u32, rights: Rights) -> Result<&Socket, Errno> {
        let descriptor = self.get(fd)?;
        match &descriptor.resource {
            Resource::Socket(socket) => descriptor.require(rights).map(|()| socket),
            _ => Err(Errno::NotSock),
        }
    }

    /// Gives a descriptor the lowest free number.
    pub fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        let fd = self.rows.iter().position(Option::is_none).unwrap_or(self.rows.len());
        if fd >= DESCRIPTORS_MAX {
            return Err(Errno::Mfile);
        }
        if fd == self.rows.len() {
            self.rows.push(None);
        }
        self.rows[fd] = Some(descriptor);
        Ok(fd as u32)
    }

    /// Closes a descriptor.
    pub fn close(&mut self, fd: u32) -> Result<(), Errno> {
        self.rows.get_mut(fd as usize).and_then(Option::take).map(drop).ok_or(Errno::BadF)
    }

    /// Moves `from` to the open number `to`, closing what was there.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let moved = self.rows[from as usize].take();
            self.rows[to as usize] = moved;
        }
        Ok(())
    }
}
