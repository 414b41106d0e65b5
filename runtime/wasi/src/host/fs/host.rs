//! Directories and files of the host.
//!
//! Every call is the host's own, on a handle that `resolve` opened.
//!
//! Invariant: a call that takes a name gets one that cannot be followed out of its parent (a stat goes through an opened
//! handle, since a trailing slash makes the kernel follow a link).
//!
//! Does not know: which access a guest has.

use super::super::clock::{nanoseconds, timespec};
use super::super::resolve::{Parent, Resolver, open_beneath, open_parent};
use super::{Advice, Entry, FileFlags, FileKind, Metadata, NewTime, Node, OpenOptions, Seek, VfsDir, VfsFile};
use crate::Errno;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, RawDir, SeekFrom, Stat, Timespec, Timestamps};
use rustix::io::{IoSlice, IoSliceMut, ReadWriteFlags};
use std::any::Any;
use std::path::Path;
use std::sync::Arc;

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

fn timestamps(accessed: NewTime, modified: NewTime) -> Timestamps {
    let time = |new: NewTime| match new {
        NewTime::Keep => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT as _ },
        NewTime::Now => Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW as _ },
        NewTime::At(nanoseconds) => timespec(nanoseconds),
    };
    Timestamps { last_access: time(accessed), last_modification: time(modified) }
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

/// An open directory of the host.
#[derive(Debug)]
pub struct HostDir {
    fd: OwnedFd,
    resolver: Resolver,
}

/// Bytes of directory entries fetched in one go.
const ENTRIES_BYTES: usize = 8192;

/// The directory of the host behind another one, which has to be of the same file system.
fn same_host(dir: &dyn VfsDir) -> Result<&HostDir, Errno> {
    (dir as &dyn Any).downcast_ref().ok_or(Errno::Xdev)
}

impl HostDir {
    /// Opens a directory with the authority of the process.
    pub fn open_ambient(path: &Path) -> Result<HostDir, std::io::Error> {
        let fd = rustix::fs::openat(CWD, path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(HostDir { fd, resolver: Resolver::default() })
    }

    /// The same, where paths are resolved by `resolver`.
    pub fn resolved_by(self, resolver: Resolver) -> HostDir {
        HostDir { resolver, ..self }
    }

    fn open_beneath(&self, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        open_beneath(self.resolver, self.fd.as_fd(), path, flags, mode)
    }

    fn open_parent<'a>(&'a self, path: &'a str) -> Result<Parent<'a>, Errno> {
        open_parent(self.resolver, self.fd.as_fd(), path)
    }

    /// A handle that can only be examined.
    fn locate(&self, path: &str, follow: bool) -> Result<OwnedFd, Errno> {
        let nofollow = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        self.open_beneath(path, OFlags::PATH | nofollow, Mode::empty())
    }
}

impl VfsDir for HostDir {
    fn open(&self, path: &str, options: &OpenOptions) -> Result<Node, Errno> {
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
        #[cfg(wattest_mutants)]
        let flags = if wattest_abi::mutant!(wasi_exclusive_ignored) { flags.difference(OFlags::EXCL) } else { flags };
        let mode = if options.create { Mode::from_raw_mode(0o666) } else { Mode::empty() };
        let flags = flags | options.flags.to_host() | OFlags::NOCTTY;
        let fd = self.open_beneath(path, flags, mode)?;
        let kind = FileKind::from(FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode));
        Ok(match kind {
            FileKind::Directory => Node::Dir(Arc::new(HostDir { fd, resolver: self.resolver })),
            _ => Node::File(Arc::new(HostFile { fd, kind }), kind),
        })
    }

    fn metadata_at(&self, path: &str, follow: bool) -> Result<Metadata, Errno> {
        Ok(Metadata::new(&rustix::fs::fstat(self.locate(path, follow)?)?))
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata::new(&rustix::fs::fstat(&self.fd)?))
    }

    fn set_times_at(&self, path: &str, follow: bool, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        let file = self.locate(path, follow)?;
        Ok(rustix::fs::utimensat(&file, "", &timestamps(accessed, modified), AtFlags::EMPTY_PATH)?)
    }

    fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        Ok(rustix::fs::futimens(&self.fd, &timestamps(accessed, modified))?)
    }

    fn create_dir(&self, path: &str) -> Result<(), Errno> {
        let parent = self.open_parent(path)?;
        Ok(rustix::fs::mkdirat(&parent, parent.name, Mode::from_raw_mode(0o777))?)
    }

    fn remove_dir(&self, path: &str) -> Result<(), Errno> {
        let parent = self.open_parent(path)?;
        Ok(rustix::fs::unlinkat(&parent, parent.name, AtFlags::REMOVEDIR)?)
    }

    fn remove_file(&self, path: &str) -> Result<(), Errno> {
        let parent = self.open_parent(path)?;
        Ok(rustix::fs::unlinkat(&parent, parent.name, AtFlags::empty())?)
    }

    fn rename(&self, path: &str, new_dir: &dyn VfsDir, new_path: &str) -> Result<(), Errno> {
        let new_dir = same_host(new_dir)?;
        let old = self.open_parent(path)?;
        let new = new_dir.open_parent(new_path)?;
        Ok(rustix::fs::renameat(&old, old.name, &new, new.name)?)
    }

    fn hard_link(&self, path: &str, new_dir: &dyn VfsDir, new_path: &str) -> Result<(), Errno> {
        let new_dir = same_host(new_dir)?;
        let old = self.open_parent(path)?;
        if old.has_trailing_slash() {
            // The kernel would follow a link here. Only a directory can be meant, and those have one name.
            self.open_beneath(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
            return Err(Errno::Perm);
        }
        let new = new_dir.open_parent(new_path)?;
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(wasi_hard_link_follows) {
            return Ok(rustix::fs::linkat(&old, old.name, &new, new.name, AtFlags::SYMLINK_FOLLOW)?);
        }
        Ok(rustix::fs::linkat(&old, old.name, &new, new.name, AtFlags::empty())?)
    }

    fn symbolic_link(&self, target: &str, path: &str) -> Result<(), Errno> {
        let parent = self.open_parent(path)?;
        Ok(rustix::fs::symlinkat(target, &parent, parent.name)?)
    }

    fn read_link(&self, path: &str) -> Result<Vec<u8>, Errno> {
        let link = self.locate(path, false)?;
        match FileType::from_raw_mode(rustix::fs::fstat(&link)?.st_mode) {
            FileType::Symlink => Ok(rustix::fs::readlinkat(&link, "", Vec::new())?.into_bytes()),
            _ => Err(Errno::Inval),
        }
    }

    fn entries(&self, cookie: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        rustix::fs::seek(&self.fd, SeekFrom::Start(cookie))?;
        let mut buffer = Vec::with_capacity(ENTRIES_BYTES);
        let mut entries = RawDir::new(&self.fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let inode = if name == b".." { 0 } else { entry.ino() };
            let kind = entry.file_type().into();
            let next = entry.next_entry_cookie();
            #[cfg(wattest_mutants)]
            let next = if wattest_abi::mutant!(wasi_cookie_of_the_entry) { cookie } else { next };
            if !visit(Entry { next, inode, kind, name }) {
                break;
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

/// An origin as the host has it, whose offsets are signed.
fn host_seek(to: Seek) -> Result<SeekFrom, Errno> {
    Ok(match to {
        Seek::Start(offset) if i64::try_from(offset).is_err() => return Err(Errno::Inval),
        Seek::Start(offset) => SeekFrom::Start(offset),
        Seek::Current(offset) => SeekFrom::Current(offset),
        #[cfg(wattest_mutants)]
        Seek::End(offset) if wattest_abi::mutant!(wasi_seek_end_as_current) => SeekFrom::Current(offset),
        Seek::End(offset) => SeekFrom::End(offset),
    })
}

fn host_advice(advice: Advice) -> rustix::fs::Advice {
    match advice {
        Advice::Normal => rustix::fs::Advice::Normal,
        Advice::Sequential => rustix::fs::Advice::Sequential,
        Advice::Random => rustix::fs::Advice::Random,
        Advice::WillNeed => rustix::fs::Advice::WillNeed,
        Advice::DontNeed => rustix::fs::Advice::DontNeed,
        Advice::NoReuse => rustix::fs::Advice::NoReuse,
    }
}

/// An open file of the host that is not a directory.
#[derive(Debug)]
pub struct HostFile {
    fd: OwnedFd,
    kind: FileKind,
}

impl VfsFile for HostFile {
    fn host_fd(&self) -> Option<BorrowedFd<'_>> {
        // The host calls regular files ready at all times.
        (self.kind != FileKind::Regular).then(|| self.fd.as_fd())
    }

    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        Ok(rustix::io::readv(&self.fd, buffers)?)
    }

    fn read_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize, Errno> {
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(wasi_pread_moves) {
            self.seek(Seek::Start(offset))?;
            return self.read(buffers);
        }
        Ok(rustix::io::preadv(&self.fd, buffers, offset)?)
    }

    fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        Ok(rustix::io::writev(&self.fd, buffers)?)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno> {
        Ok(rustix::io::pwritev(&self.fd, buffers, offset)?)
    }

    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        #[cfg(wattest_mutants)]
        if wattest_abi::mutant!(wasi_append_at_start) {
            return self.write_at(buffers, 0);
        }
        match rustix::io::pwritev2(&self.fd, buffers, 0, ReadWriteFlags::APPEND) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                Ok(rustix::io::pwritev(&self.fd, buffers, self.metadata()?.size_bytes)?)
            }
            result => Ok(result?),
        }
    }

    fn seek(&self, to: Seek) -> Result<u64, Errno> {
        Ok(rustix::fs::seek(&self.fd, host_seek(to)?)?)
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata::new(&rustix::fs::fstat(&self.fd)?))
    }

    fn set_size(&self, bytes: u64) -> Result<(), Errno> {
        Ok(rustix::fs::ftruncate(&self.fd, i64::try_from(bytes).map_err(|_| Errno::Fbig)? as u64)?)
    }

    fn allocate(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        Ok(rustix::fs::fallocate(&self.fd, FallocateFlags::empty(), offset, bytes)?)
    }

    fn advise(&self, offset: u64, bytes: u64, advice: Advice) -> Result<(), Errno> {
        Ok(rustix::fs::fadvise(&self.fd, offset, std::num::NonZeroU64::new(bytes), host_advice(advice))?)
    }

    fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        Ok(rustix::fs::futimens(&self.fd, &timestamps(accessed, modified))?)
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    fn sync_data(&self) -> Result<(), Errno> {
        Ok(rustix::fs::fdatasync(&self.fd)?)
    }

    fn flags(&self) -> Result<FileFlags, Errno> {
        Ok(FileFlags::from_host(rustix::fs::fcntl_getfl(&self.fd)?))
    }

    fn set_flags(&self, flags: FileFlags) -> Result<(), Errno> {
        let old = self.flags()?;
        let synchronization = |flags: FileFlags| flags.to_host() & (OFlags::SYNC | OFlags::DSYNC);
        if synchronization(flags) != synchronization(old) {
            return Err(Errno::NotSup);
        }
        Ok(rustix::fs::fcntl_setfl(&self.fd, flags.to_host())?)
    }
}
