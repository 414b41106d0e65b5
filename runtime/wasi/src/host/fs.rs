//! Files and directories.
//!
//! A [`Dir`] is a capability: whoever holds it may reach what lies beneath it, as far as its [`Access`] says. POSIX
//! semantics, by way of the host's own calls.
//!
//! Invariant: every path is resolved by `resolve`; a call that takes a name gets one that cannot be followed out of
//! its parent (a stat goes through an opened handle, since a trailing slash makes the kernel follow a link).
//!
//! Does not know: descriptors' numbers, rights of a WASI version.

use super::clock::{nanoseconds, timespec};
use super::resolve::{open_beneath, open_parent};
use crate::Errno;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    Advice, AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, RawDir, SeekFrom, Stat, Timespec, Timestamps,
};
use rustix::io::{IoSlice, IoSliceMut};
use std::path::Path;

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

impl From<FileType> for FileKind {
    fn from(kind: FileType) -> FileKind {
        match kind {
            FileType::RegularFile => FileKind::Regular,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::SymbolicLink,
            FileType::Socket => FileKind::Socket,
            FileType::CharacterDevice => FileKind::CharacterDevice,
            FileType::BlockDevice => FileKind::BlockDevice,
            FileType::Fifo | FileType::Unknown => FileKind::Unknown,
        }
    }
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

impl Metadata {
    #[allow(clippy::unnecessary_cast, reason = "the widths of the host's fields differ between targets")]
    fn new(stat: &Stat) -> Metadata {
        let time = |tv_sec: i64, nsec: u64| nanoseconds(Timespec { tv_sec, tv_nsec: nsec as _ }).unwrap_or(0);
        Metadata {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            kind: FileType::from_raw_mode(stat.st_mode).into(),
            links: stat.st_nlink as u64,
            size_bytes: u64::try_from(stat.st_size).unwrap_or(0),
            accessed: time(stat.st_atime as i64, stat.st_atime_nsec as u64),
            modified: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: time(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }
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

fn timestamps(accessed: NewTime, modified: NewTime) -> Timestamps {
    let time = |new: NewTime| match new {
        NewTime::Keep => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT as _ },
        NewTime::Now => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW as _ },
        NewTime::At(nanoseconds) => timespec(nanoseconds),
    };
    Timestamps { last_access: time(accessed), last_modification: time(modified) }
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

impl FileFlags {
    fn to_host(self) -> OFlags {
        let rows = [
            (self.append, OFlags::APPEND),
            (self.data_sync, OFlags::DSYNC),
            (self.nonblocking, OFlags::NONBLOCK),
            (self.read_sync, OFlags::RSYNC),
            (self.sync, OFlags::SYNC),
        ];
        rows.into_iter().filter(|(on, _)| *on).fold(OFlags::empty(), |flags, (_, flag)| flags | flag)
    }

    fn from_host(flags: OFlags) -> FileFlags {
        FileFlags {
            append: flags.contains(OFlags::APPEND),
            data_sync: flags.contains(OFlags::DSYNC),
            nonblocking: flags.contains(OFlags::NONBLOCK),
            // Linux gives `O_RSYNC` and `O_SYNC` the same bits.
            read_sync: flags.contains(OFlags::SYNC),
            sync: flags.contains(OFlags::SYNC),
        }
    }
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

/// Something opened.
#[derive(Debug)]
pub enum Opened {
    /// A directory.
    Dir(Dir),
    /// Anything else.
    File(File),
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

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    access: Access,
}

/// Bytes of directory entries fetched in one go.
const ENTRIES_BYTES: usize = 8192;

impl Dir {
    /// Opens a directory of the host with the authority of the process.
    pub fn open_ambient(path: &Path, access: Access) -> Result<Dir, std::io::Error> {
        let fd = rustix::fs::openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Dir { fd, access })
    }

    /// What may be done beneath.
    pub fn access(&self) -> Access {
        self.access
    }

    fn writable(&self) -> Result<(), Errno> {
        if self.access.write { Ok(()) } else { Err(Errno::Rofs) }
    }

    /// A handle that can only be examined.
    fn locate(&self, path: &str, follow: bool) -> Result<OwnedFd, Errno> {
        let nofollow = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        open_beneath(self.fd.as_fd(), path, OFlags::PATH | nofollow, Mode::empty())
    }

    /// Opens `path`.
    pub fn open(&self, path: &str, options: &OpenOptions) -> Result<Opened, Errno> {
        if options.write || options.create || options.truncate {
            self.writable()?;
        }
        if options.create && options.directory {
            return Err(Errno::Inval);
        }
        let rows = [
            (!options.follow, OFlags::NOFOLLOW),
            (options.create, OFlags::CREATE),
            (options.create && options.exclusive, OFlags::EXCL),
            (options.truncate, OFlags::TRUNC),
            (options.directory, OFlags::DIRECTORY),
        ];
        let mode_flags = match (options.read, options.write) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            // Opening for nothing is opening for reading, which the face's rights then forbid.
            (_, false) => OFlags::RDONLY,
        };
        let flags = rows.into_iter().filter(|(on, _)| *on).fold(mode_flags, |flags, (_, flag)| flags | flag);
        let mode = if options.create { Mode::from_raw_mode(0o666) } else { Mode::empty() };
        let flags = flags | options.flags.to_host() | OFlags::NOCTTY;
        let fd = open_beneath(self.fd.as_fd(), path, flags, mode)?;
        let kind = FileKind::from(FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode));
        Ok(match kind {
            FileKind::Directory => Opened::Dir(Dir { fd, access: self.access }),
            _ => Opened::File(File { fd, kind }),
        })
    }

    /// What is known about `path`.
    pub fn metadata_at(&self, path: &str, follow: bool) -> Result<Metadata, Errno> {
        Ok(Metadata::new(&rustix::fs::fstat(self.locate(path, follow)?)?))
    }

    /// What is known about the directory itself.
    pub fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata::new(&rustix::fs::fstat(&self.fd)?))
    }

    /// Sets the times of `path`.
    pub fn set_times_at(&self, path: &str, follow: bool, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        self.writable()?;
        let file = self.locate(path, follow)?;
        Ok(rustix::fs::utimensat(&file, "", &timestamps(accessed, modified), AtFlags::EMPTY_PATH)?)
    }

    /// Sets the times of the directory itself.
    pub fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        self.writable()?;
        Ok(rustix::fs::futimens(&self.fd, &timestamps(accessed, modified))?)
    }

    /// Creates a directory.
    pub fn create_dir(&self, path: &str) -> Result<(), Errno> {
        self.writable()?;
        let parent = open_parent(self.fd.as_fd(), path)?;
        Ok(rustix::fs::mkdirat(&parent, parent.name, Mode::from_raw_mode(0o777))?)
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, path: &str) -> Result<(), Errno> {
        self.writable()?;
        let parent = open_parent(self.fd.as_fd(), path)?;
        Ok(rustix::fs::unlinkat(&parent, parent.name, AtFlags::REMOVEDIR)?)
    }

    /// Removes a file or link.
    pub fn remove_file(&self, path: &str) -> Result<(), Errno> {
        self.writable()?;
        let parent = open_parent(self.fd.as_fd(), path)?;
        Ok(rustix::fs::unlinkat(&parent, parent.name, AtFlags::empty())?)
    }

    /// Renames `path` to `new_path` of `new_dir`.
    pub fn rename(&self, path: &str, new_dir: &Dir, new_path: &str) -> Result<(), Errno> {
        self.writable()?;
        new_dir.writable()?;
        let old = open_parent(self.fd.as_fd(), path)?;
        let new = open_parent(new_dir.fd.as_fd(), new_path)?;
        Ok(rustix::fs::renameat(&old, old.name, &new, new.name)?)
    }

    /// Makes `new_path` of `new_dir` another name of the file `path`; a link is not followed.
    pub fn hard_link(&self, path: &str, new_dir: &Dir, new_path: &str) -> Result<(), Errno> {
        self.writable()?;
        new_dir.writable()?;
        let old = open_parent(self.fd.as_fd(), path)?;
        if old.has_trailing_slash() {
            // The kernel would follow a link here. Only a directory can be meant, and those have one name.
            open_beneath(self.fd.as_fd(), path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
            return Err(Errno::Perm);
        }
        let new = open_parent(new_dir.fd.as_fd(), new_path)?;
        Ok(rustix::fs::linkat(&old, old.name, &new, new.name, AtFlags::empty())?)
    }

    /// Creates a link at `path`. An absolute target is refused: it means something else to other programs.
    pub fn symbolic_link(&self, target: &str, path: &str) -> Result<(), Errno> {
        self.writable()?;
        if target.starts_with('/') {
            return Err(Errno::Perm);
        }
        let parent = open_parent(self.fd.as_fd(), path)?;
        Ok(rustix::fs::symlinkat(target, &parent, parent.name)?)
    }

    /// The target of the link `path`.
    pub fn read_link(&self, path: &str) -> Result<Vec<u8>, Errno> {
        let link = self.locate(path, false)?;
        match FileType::from_raw_mode(rustix::fs::fstat(&link)?.st_mode) {
            FileType::Symlink => Ok(rustix::fs::readlinkat(&link, "", Vec::new())?.into_bytes()),
            _ => Err(Errno::Inval),
        }
    }

    /// Calls `visit` for the entries from `cookie` on (0, or an entry's `next`) until it says false.
    pub fn entries(&self, cookie: u64, mut visit: impl FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        rustix::fs::seek(&self.fd, SeekFrom::Start(cookie))?;
        let mut buffer = Vec::with_capacity(ENTRIES_BYTES);
        let mut entries = RawDir::new(&self.fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let inode = if name == b".." { 0 } else { entry.ino() };
            let kind = entry.file_type().into();
            if !visit(Entry { next: entry.next_entry_cookie(), inode, kind, name }) {
                break;
            }
        }
        Ok(())
    }

    /// Waits until the directory is stored.
    pub fn sync(&self) -> Result<(), Errno> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

/// An open file that is not a directory.
#[derive(Debug)]
pub struct File {
    fd: OwnedFd,
    kind: FileKind,
}

impl File {
    /// What it is.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// The host descriptor.
    pub fn host_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reads at the position and moves it.
    pub fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        Ok(rustix::io::readv(&self.fd, buffers)?)
    }

    /// Reads at `offset`.
    pub fn read_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize, Errno> {
        Ok(rustix::io::preadv(&self.fd, buffers, offset)?)
    }

    /// Writes at the position and moves it.
    pub fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        Ok(rustix::io::writev(&self.fd, buffers)?)
    }

    /// Writes at `offset`.
    pub fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno> {
        Ok(rustix::io::pwritev(&self.fd, buffers, offset)?)
    }

    /// Moves the position; returns it.
    pub fn seek(&self, to: SeekFrom) -> Result<u64, Errno> {
        Ok(rustix::fs::seek(&self.fd, to)?)
    }

    /// What is known about the file.
    pub fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata::new(&rustix::fs::fstat(&self.fd)?))
    }

    /// Sets the size, in bytes.
    pub fn set_size(&self, bytes: u64) -> Result<(), Errno> {
        Ok(rustix::fs::ftruncate(&self.fd, i64::try_from(bytes).map_err(|_| Errno::Fbig)? as u64)?)
    }

    /// Makes sure that the bytes have room.
    pub fn allocate(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        Ok(rustix::fs::fallocate(&self.fd, FallocateFlags::empty(), offset, bytes)?)
    }

    /// Tells the host how the bytes will be used; 0 bytes means up to the end.
    pub fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> Result<(), Errno> {
        Ok(rustix::fs::fadvise(&self.fd, offset, std::num::NonZeroU64::new(bytes), advice)?)
    }

    /// Sets the times.
    pub fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        Ok(rustix::fs::futimens(&self.fd, &timestamps(accessed, modified))?)
    }

    /// Waits until data and metadata are stored.
    pub fn sync(&self) -> Result<(), Errno> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// Waits until the data is stored.
    pub fn sync_data(&self) -> Result<(), Errno> {
        Ok(rustix::fs::fdatasync(&self.fd)?)
    }

    /// The file's flags.
    pub fn flags(&self) -> Result<FileFlags, Errno> {
        Ok(FileFlags::from_host(rustix::fs::fcntl_getfl(&self.fd)?))
    }

    /// Sets the flags. The host cannot change how an open file is synchronized: asking for that is
    /// [`Errno::NotSup`].
    pub fn set_flags(&self, flags: FileFlags) -> Result<(), Errno> {
        let old = self.flags()?;
        let synchronization = |flags: FileFlags| flags.to_host() & (OFlags::SYNC | OFlags::DSYNC);
        if synchronization(flags) != synchronization(old) {
            return Err(Errno::NotSup);
        }
        Ok(rustix::fs::fcntl_setfl(&self.fd, flags.to_host())?)
    }
}
