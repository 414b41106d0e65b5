//! Files and directories.
//!
//! A [`Dir`] is a capability: whoever holds it may reach what lies beneath it, as far as its [`Access`] says. What lies
//! there is a [`VfsDir`]'s business: a directory of the host ([`HostDir`]), or one in memory, alone or over another
//! directory ([`MemoryFs`]). POSIX semantics, as Linux has them, whichever it is.
//!
//! Invariant: access is checked here, before a file system is asked; paths are confined by every file system, none of which
//! lets a path, a link or a rename lead above the directory that it was asked through.
//!
//! Does not know: descriptors' numbers, rights of a WASI version.

mod host;
mod memory;
#[cfg(any(test, feature = "random"))]
pub mod random;

pub use super::resolve::Resolver;
pub use host::{HostDir, HostFile};
pub use memory::{MemoryFs, MemoryLimits};

use super::denial::{Denial, Denials, cut};
use crate::Errno;
use rustix::fd::BorrowedFd;
use rustix::io::{IoSlice, IoSliceMut};
use std::any::Any;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

/// What may be done with everything beneath a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether something can be created, changed or removed; reading is always allowed.
    pub write: bool,
}

impl Access {
    /// Look, don't touch.
    pub const READ_ONLY: Access = Access { write: false };
    /// Everything.
    pub const READ_WRITE: Access = Access { write: true };
}

/// What a directory entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Anything else, pipes among them.
    Unknown,
    /// Block device.
    BlockDevice,
    /// Character device.
    CharacterDevice,
    /// Directory.
    Directory,
    /// Regular file.
    Regular,
    /// Socket.
    Socket,
    /// Symbolic link.
    SymbolicLink,
}

/// What is known about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Device number.
    pub device: u64,
    /// File number on its device.
    pub inode: u64,
    /// What it is.
    pub kind: FileKind,
    /// Hard links to it.
    pub links: u64,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Last read, in nanoseconds since 1970; 0 when earlier.
    pub accessed: u64,
    /// Last write, likewise.
    pub modified: u64,
    /// Last change of the metadata, likewise.
    pub changed: u64,
}

/// A time to be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTime {
    /// Leave it.
    Keep,
    /// The host's present.
    Now,
    /// Nanoseconds since 1970.
    At(u64),
}

/// Where to move a file's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// To so many bytes from the start.
    Start(u64),
    /// By so many bytes.
    Current(i64),
    /// To so many bytes from the end.
    End(i64),
}

/// How a part of a file will be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing is known.
    Normal,
    /// From lower offsets to higher ones.
    Sequential,
    /// In any order.
    Random,
    /// Soon.
    WillNeed,
    /// Not soon.
    DontNeed,
    /// Once.
    NoReuse,
}

/// How a file keeps to its disk and its caller; the flags of [`File::flags`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileFlags {
    /// Writes go to the end.
    pub append: bool,
    /// Writes wait for the data to be stored.
    pub data_sync: bool,
    /// Operations fail with [`Errno::Again`] instead of waiting.
    pub nonblocking: bool,
    /// Reads wait for pending writes.
    pub read_sync: bool,
    /// Writes wait for data and metadata to be stored.
    pub sync: bool,
}

/// How to open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Follow a link in the last place.
    pub follow: bool,
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// Create a file that does not exist.
    pub create: bool,
    /// Only if it did not exist.
    pub exclusive: bool,
    /// Discard the contents.
    pub truncate: bool,
    /// Only a directory.
    pub directory: bool,
    /// Flags of the opened file.
    pub flags: FileFlags,
}

/// An entry of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where to continue after it.
    pub next: u64,
    /// File number; 0 for `..`, which lies outside what the directory lets see.
    pub inode: u64,
    /// What it is, as far as the directory says.
    pub kind: FileKind,
    /// Its name; UTF-8 unless another program chose otherwise.
    pub name: &'a [u8],
}

/// What a file system answers about an open directory. Paths are relative to it and never lead above it
/// ([`Errno::Perm`]); write access has been checked.
pub trait VfsDir: Any + Debug + Send + Sync {
    /// Opens `path`.
    fn open(&self, path: &str, options: &OpenOptions) -> Result<Node, Errno>;
    /// What is known about `path`.
    fn metadata_at(&self, path: &str, follow: bool) -> Result<Metadata, Errno>;
    /// What is known about the directory itself.
    fn metadata(&self) -> Result<Metadata, Errno>;
    /// Sets the times of `path`.
    fn set_times_at(&self, path: &str, follow: bool, accessed: NewTime, modified: NewTime) -> Result<(), Errno>;
    /// Sets the times of the directory itself.
    fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Errno>;
    /// Creates a directory.
    fn create_dir(&self, path: &str) -> Result<(), Errno>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &str) -> Result<(), Errno>;
    /// Removes a file or link.
    fn remove_file(&self, path: &str) -> Result<(), Errno>;
    /// Renames `path` to `new_path` of `new_dir`; [`Errno::Xdev`] when that is of another file system.
    fn rename(&self, path: &str, new_dir: &dyn VfsDir, new_path: &str) -> Result<(), Errno>;
    /// Makes `new_path` of `new_dir` another name of the file `path`; a link is not followed.
    fn hard_link(&self, path: &str, new_dir: &dyn VfsDir, new_path: &str) -> Result<(), Errno>;
    /// Creates a link at `path`.
    fn symbolic_link(&self, target: &str, path: &str) -> Result<(), Errno>;
    /// The target of the link `path`.
    fn read_link(&self, path: &str) -> Result<Vec<u8>, Errno>;
    /// Calls `visit` for the entries from `cookie` on (0, or an entry's `next`) until it says false.
    fn entries(&self, cookie: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno>;
    /// Waits until the directory is stored.
    fn sync(&self) -> Result<(), Errno>;
}

/// What a file system answers about an open file.
pub trait VfsFile: Debug + Send + Sync {
    /// Reads at the position and moves it.
    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno>;
    /// Reads at `offset`.
    fn read_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize, Errno>;
    /// Writes at the position and moves it.
    fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno>;
    /// Writes at `offset`.
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno>;
    /// Writes at the end, wherever the position is.
    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno>;
    /// Moves the position; returns it.
    fn seek(&self, to: Seek) -> Result<u64, Errno>;
    /// What is known about the file.
    fn metadata(&self) -> Result<Metadata, Errno>;
    /// Sets the size, in bytes.
    fn set_size(&self, bytes: u64) -> Result<(), Errno>;
    /// Makes sure that the bytes have room.
    fn allocate(&self, offset: u64, bytes: u64) -> Result<(), Errno>;
    /// Learns how the bytes will be used; 0 bytes means up to the end.
    fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> Result<(), Errno>;
    /// Sets the times.
    fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Errno>;
    /// Waits until data and metadata are stored.
    fn sync(&self) -> Result<(), Errno>;
    /// Waits until the data is stored.
    fn sync_data(&self) -> Result<(), Errno>;
    /// The file's flags.
    fn flags(&self) -> Result<FileFlags, Errno>;
    /// Sets the flags; [`Errno::NotSup`] for those that an open file cannot change.
    fn set_flags(&self, flags: FileFlags) -> Result<(), Errno>;
    /// The host descriptor behind it, if waiting for it makes sense.
    fn host_fd(&self) -> Option<BorrowedFd<'_>>;
}

/// What a file system opened.
#[derive(Debug)]
pub enum Node {
    /// A directory.
    Dir(Arc<dyn VfsDir>),
    /// Anything else.
    File(Arc<dyn VfsFile>, FileKind),
}

/// Something opened.
#[derive(Debug)]
pub enum Opened {
    /// A directory.
    Dir(Dir),
    /// Anything else.
    File(File),
}

/// An open directory; clones share it.
#[derive(Clone, Debug)]
pub struct Dir {
    node: Arc<dyn VfsDir>,
    access: Access,
    /// Who is told of what is denied, and the directory's name for it.
    log: Option<Arc<(Denials, String)>>,
}

impl Dir {
    /// A directory of some file system.
    pub fn new(node: Arc<dyn VfsDir>, access: Access) -> Dir {
        Dir { node, access, log: None }
    }

    /// Opens a directory of the host with the authority of the process.
    pub fn open_ambient(path: &Path, access: Access) -> Result<Dir, std::io::Error> {
        Ok(Dir::new(Arc::new(HostDir::open_ambient(path)?), access))
    }

    /// The same, to be looked at only.
    pub fn read_only(mut self) -> Dir {
        self.access = Access::READ_ONLY;
        self
    }

    /// What may be done beneath.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Tells of what is denied here and beneath, under the directory's name.
    pub fn log_denials(mut self, denials: &Denials, name: &str) -> Dir {
        self.log = Some(Arc::new((denials.clone(), name.to_owned())));
        self
    }

    fn writable(&self) -> Result<&dyn VfsDir, Errno> {
        if self.access.write { Ok(&*self.node) } else { Err(Errno::Rofs) }
    }

    /// Tells that something here was to be changed, where a face has refused it by itself.
    pub(crate) fn deny_change(&self) {
        if let Some(log) = &self.log {
            log.0.note(Denial::ReadOnly { dir: log.1.clone(), path: String::new() });
        }
    }

    /// Tells of a denial, if it is one.
    fn noted<T>(&self, path: &str, result: Result<T, Errno>) -> Result<T, Errno> {
        if let (Some(log), Err(Errno::Perm | Errno::Rofs)) = (&self.log, &result) {
            let (dir, path) = (log.1.clone(), cut(path));
            log.0.note(match result {
                Err(Errno::Rofs) => Denial::ReadOnly { dir, path },
                _ => Denial::Outside { dir, path },
            });
        }
        result
    }

    /// Opens `path`.
    pub fn open(&self, path: &str, options: &OpenOptions) -> Result<Opened, Errno> {
        self.noted(path, self.open_node(path, options))
    }

    fn open_node(&self, path: &str, options: &OpenOptions) -> Result<Opened, Errno> {
        if options.write || options.create || options.truncate {
            self.writable()?;
        }
        if options.create && options.directory {
            return Err(Errno::Inval);
        }
        Ok(match self.node.open(path, options)? {
            Node::Dir(node) => Opened::Dir(Dir { node, access: self.access, log: self.log.clone() }),
            Node::File(node, kind) => Opened::File(File { node, kind, access: self.access, written: options.write }),
        })
    }

    /// What is known about `path`.
    pub fn metadata_at(&self, path: &str, follow: bool) -> Result<Metadata, Errno> {
        self.noted(path, self.node.metadata_at(path, follow))
    }

    /// What is known about the directory itself.
    pub fn metadata(&self) -> Result<Metadata, Errno> {
        self.node.metadata()
    }

    /// Sets the times of `path`.
    pub fn set_times_at(&self, path: &str, follow: bool, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        self.noted(path, self.writable().and_then(|node| node.set_times_at(path, follow, accessed, modified)))
    }

    /// Sets the times of the directory itself.
    pub fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        self.writable()?.set_times(accessed, modified)
    }

    /// Creates a directory.
    pub fn create_dir(&self, path: &str) -> Result<(), Errno> {
        self.noted(path, self.writable().and_then(|node| node.create_dir(path)))
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, path: &str) -> Result<(), Errno> {
        self.noted(path, self.writable().and_then(|node| node.remove_dir(path)))
    }

    /// Removes a file or link.
    pub fn remove_file(&self, path: &str) -> Result<(), Errno> {
        self.noted(path, self.writable().and_then(|node| node.remove_file(path)))
    }

    /// Renames `path` to `new_path` of `new_dir`.
    pub fn rename(&self, path: &str, new_dir: &Dir, new_path: &str) -> Result<(), Errno> {
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(wasi_read_only_rename_target) {
            return self.noted(path, self.writable().and_then(|node| node.rename(path, &*new_dir.node, new_path)));
        }
        let renamed = self.writable().and_then(|node| node.rename(path, new_dir.writable()?, new_path));
        self.noted(path, renamed)
    }

    /// Makes `new_path` of `new_dir` another name of the file `path`; a link is not followed.
    pub fn hard_link(&self, path: &str, new_dir: &Dir, new_path: &str) -> Result<(), Errno> {
        let linked = self.writable().and_then(|node| node.hard_link(path, new_dir.writable()?, new_path));
        self.noted(path, linked)
    }

    /// Creates a link at `path`. An absolute target is refused: it means something else to other programs.
    pub fn symbolic_link(&self, target: &str, path: &str) -> Result<(), Errno> {
        let link = |node: &dyn VfsDir| match target.starts_with('/') {
            true => Err(Errno::Perm),
            false => node.symbolic_link(target, path),
        };
        self.noted(path, self.writable().and_then(link))
    }

    /// The target of the link `path`.
    pub fn read_link(&self, path: &str) -> Result<Vec<u8>, Errno> {
        self.noted(path, self.node.read_link(path))
    }

    /// Calls `visit` for the entries from `cookie` on (0, or an entry's `next`) until it says false.
    pub fn entries(&self, cookie: u64, mut visit: impl FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        self.node.entries(cookie, &mut visit)
    }

    /// Waits until the directory is stored.
    pub fn sync(&self) -> Result<(), Errno> {
        self.node.sync()
    }
}

/// An open file that is not a directory; clones share it, its position included.
#[derive(Clone, Debug)]
pub struct File {
    node: Arc<dyn VfsFile>,
    kind: FileKind,
    /// The directory's it was opened through.
    access: Access,
    /// Opened for writing.
    written: bool,
}

impl File {
    /// What it is.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Whether it was opened to be written.
    pub fn is_writable(&self) -> bool {
        self.written
    }

    fn writable(&self) -> Result<&dyn VfsFile, Errno> {
        if self.written { Ok(&*self.node) } else { Err(Errno::BadF) }
    }

    /// The host descriptor behind it.
    pub fn host_fd(&self) -> Option<BorrowedFd<'_>> {
        self.node.host_fd()
    }

    /// Reads at the position and moves it.
    pub fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        self.node.read(buffers)
    }

    /// Reads at `offset`.
    pub fn read_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize, Errno> {
        self.node.read_at(buffers, offset)
    }

    /// Writes at the position and moves it.
    pub fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        self.writable()?.write(buffers)
    }

    /// Writes at `offset`.
    pub fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno> {
        self.writable()?.write_at(buffers, offset)
    }

    /// Writes at the end, wherever the position is.
    pub fn append(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        self.writable()?.append(buffers)
    }

    /// Moves the position; returns it.
    pub fn seek(&self, to: Seek) -> Result<u64, Errno> {
        self.node.seek(to)
    }

    /// What is known about the file.
    pub fn metadata(&self) -> Result<Metadata, Errno> {
        self.node.metadata()
    }

    /// Sets the size, in bytes.
    pub fn set_size(&self, bytes: u64) -> Result<(), Errno> {
        self.writable()?.set_size(bytes)
    }

    /// Makes sure that the bytes have room.
    pub fn allocate(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        self.writable()?.allocate(offset, bytes)
    }

    /// Tells the file system how the bytes will be used; 0 bytes means up to the end.
    pub fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> Result<(), Errno> {
        self.node.advise(offset, bytes, advice)
    }

    /// Sets the times.
    pub fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        if self.access.write { self.node.set_times(accessed, modified) } else { Err(Errno::Rofs) }
    }

    /// Waits until data and metadata are stored.
    pub fn sync(&self) -> Result<(), Errno> {
        self.node.sync()
    }

    /// Waits until the data is stored.
    pub fn sync_data(&self) -> Result<(), Errno> {
        self.node.sync_data()
    }

    /// The file's flags.
    pub fn flags(&self) -> Result<FileFlags, Errno> {
        self.node.flags()
    }

    /// Sets the flags. How an open file is synchronized cannot be changed: asking for that is [`Errno::NotSup`].
    pub fn set_flags(&self, flags: FileFlags) -> Result<(), Errno> {
        self.node.set_flags(flags)
    }
}
