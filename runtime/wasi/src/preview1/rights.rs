//! Rights of descriptors.
//!
//! One row per right
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#-rights-flagsu64)).
//!
//! Invariant: rights only ever shrink: a descriptor opened through another has at most its inheriting rights.
//!
//! Does not know: which call needs which right.

use crate::host::fs::Access;

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(pub u64);

macro_rules! rights {
    ($($name:ident = $bit:literal;)*) => {
        impl Rights {
            $(#[allow(dead_code, reason = "the table is complete, whether or not a call asks for each right")]
              pub const $name: Rights = Rights(1 << $bit);)*
        }
    };
}

rights! {
    FD_DATASYNC = 0;
    FD_READ = 1;
    FD_SEEK = 2;
    FD_FDSTAT_SET_FLAGS = 3;
    FD_SYNC = 4;
    FD_TELL = 5;
    FD_WRITE = 6;
    FD_ADVISE = 7;
    FD_ALLOCATE = 8;
    PATH_CREATE_DIRECTORY = 9;
    PATH_CREATE_FILE = 10;
    PATH_LINK_SOURCE = 11;
    PATH_LINK_TARGET = 12;
    PATH_OPEN = 13;
    FD_READDIR = 14;
    PATH_READLINK = 15;
    PATH_RENAME_SOURCE = 16;
    PATH_RENAME_TARGET = 17;
    PATH_FILESTAT_GET = 18;
    PATH_FILESTAT_SET_SIZE = 19;
    PATH_FILESTAT_SET_TIMES = 20;
    FD_FILESTAT_GET = 21;
    FD_FILESTAT_SET_SIZE = 22;
    FD_FILESTAT_SET_TIMES = 23;
    PATH_SYMLINK = 24;
    PATH_REMOVE_DIRECTORY = 25;
    PATH_UNLINK_FILE = 26;
    POLL_FD_READWRITE = 27;
    SOCK_SHUTDOWN = 28;
    SOCK_ACCEPT = 29;
}

impl Rights {
    const fn all(list: &[Rights]) -> Rights {
        let mut bits = 0;
        let mut position = 0;
        while position < list.len() {
            bits |= list[position].0;
            position += 1;
        }
        Rights(bits)
    }

    /// Of a directory that may only be looked at.
    const DIR_READ: Rights = Rights::all(&[
        Rights::FD_FDSTAT_SET_FLAGS,
        Rights::FD_SYNC,
        Rights::FD_DATASYNC,
        Rights::PATH_OPEN,
        Rights::FD_READDIR,
        Rights::PATH_READLINK,
        Rights::PATH_FILESTAT_GET,
        Rights::FD_FILESTAT_GET,
    ]);

    /// What a writable directory has besides.
    const DIR_WRITE: Rights = Rights::all(&[
        Rights::PATH_CREATE_DIRECTORY,
        Rights::PATH_CREATE_FILE,
        Rights::PATH_LINK_SOURCE,
        Rights::PATH_LINK_TARGET,
        Rights::PATH_RENAME_SOURCE,
        Rights::PATH_RENAME_TARGET,
        Rights::PATH_FILESTAT_SET_SIZE,
        Rights::PATH_FILESTAT_SET_TIMES,
        Rights::FD_FILESTAT_SET_TIMES,
        Rights::PATH_SYMLINK,
        Rights::PATH_REMOVE_DIRECTORY,
        Rights::PATH_UNLINK_FILE,
    ]);

    /// Of a file that may only be read.
    const FILE_READ: Rights = Rights::all(&[
        Rights::FD_DATASYNC,
        Rights::FD_READ,
        Rights::FD_SEEK,
        Rights::FD_FDSTAT_SET_FLAGS,
        Rights::FD_SYNC,
        Rights::FD_TELL,
        Rights::FD_ADVISE,
        Rights::FD_FILESTAT_GET,
        Rights::POLL_FD_READWRITE,
    ]);

    /// What a writable file has besides.
    const FILE_WRITE: Rights = Rights::all(&[
        Rights::FD_WRITE,
        Rights::FD_ALLOCATE,
        Rights::FD_FILESTAT_SET_SIZE,
        Rights::FD_FILESTAT_SET_TIMES,
    ]);

    /// Of a standard stream, with the direction's own right.
    pub const fn stream(direction: Rights) -> Rights {
        Rights::all(&[direction, Rights::FD_FDSTAT_SET_FLAGS, Rights::FD_FILESTAT_GET, Rights::POLL_FD_READWRITE])
    }

    /// Of a socket that listens.
    pub const LISTENER: Rights = Rights::all(&[
        Rights::FD_FDSTAT_SET_FLAGS,
        Rights::FD_FILESTAT_GET,
        Rights::POLL_FD_READWRITE,
        Rights::SOCK_ACCEPT,
    ]);

    /// Of a connection.
    pub const CONNECTION: Rights = Rights::all(&[
        Rights::FD_READ,
        Rights::FD_WRITE,
        Rights::FD_FDSTAT_SET_FLAGS,
        Rights::FD_FILESTAT_GET,
        Rights::POLL_FD_READWRITE,
        Rights::SOCK_SHUTDOWN,
    ]);

    /// The most a directory can have.
    pub const fn dir(access: Access) -> Rights {
        if access.write { Rights::all(&[Rights::DIR_READ, Rights::DIR_WRITE]) } else { Rights::DIR_READ }
    }

    /// The most a file can have.
    pub const fn file(access: Access) -> Rights {
        if access.write { Rights::all(&[Rights::FILE_READ, Rights::FILE_WRITE]) } else { Rights::FILE_READ }
    }

    /// Whether all of `other` are in this set.
    pub const fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether some of `other` are in this set.
    pub const fn intersects(self, other: Rights) -> bool {
        self.0 & other.0 != 0
    }

    /// What both sets hold.
    pub const fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    /// What either set holds.
    pub const fn or(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}
