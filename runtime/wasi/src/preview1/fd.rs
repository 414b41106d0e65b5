//! Calls on descriptors ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#fd_advise)).
//!
//! Invariant: a call checks, in this order, its pointers, its descriptor, its rights, and only then acts.
//!
//! Does not know: paths.

use super::GuestMemory;
use super::descriptors::Resource;
use super::layout;
use super::rights::Rights;
use super::sock;
use crate::host::fs::{Advice, FileFlags, FileKind, Metadata, Seek};
use crate::host::waiting::{Waiting, settled};
use crate::{Errno, WasiCtx};
use std::future::ready;
use wattest::HostFuture;

pub fn fd_advise(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    offset: u64,
    len: u64,
    advice: u32,
) -> Result<(), Errno> {
    let advice = match advice {
        0 => Advice::Normal,
        1 => Advice::Sequential,
        2 => Advice::Random,
        3 => Advice::WillNeed,
        4 => Advice::DontNeed,
        5 => Advice::NoReuse,
        _ => return Err(Errno::Inval),
    };
    let file = ctx.descriptors.file(fd, Rights::FD_ADVISE)?;
    // The host counts in signed numbers; nothing lies beyond their range.
    let offset = i64::try_from(offset).map_err(|_| Errno::Inval)? as u64;
    file.advise(offset, len.min(i64::MAX as u64), advice)
}

pub fn fd_allocate(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32, offset: u64, len: u64) -> Result<(), Errno> {
    ctx.descriptors.file(fd, Rights::FD_ALLOCATE)?.allocate(offset, len)
}

pub fn fd_close(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32) -> Result<(), Errno> {
    ctx.descriptors.close(fd)
}

pub fn fd_datasync(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32) -> Result<(), Errno> {
    let descriptor = ctx.descriptors.get(fd)?;
    match &descriptor.resource {
        Resource::File(file) => descriptor.require(Rights::FD_DATASYNC).and_then(|()| file.sync_data()),
        Resource::Dir(dir) => descriptor.require(Rights::FD_DATASYNC).and_then(|()| dir.sync()),
        Resource::Input(_) | Resource::Output(_) | Resource::Socket(_) => Err(Errno::Inval),
    }
}

pub fn fd_sync(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32) -> Result<(), Errno> {
    let descriptor = ctx.descriptors.get(fd)?;
    match &descriptor.resource {
        Resource::File(file) => descriptor.require(Rights::FD_SYNC).and_then(|()| file.sync()),
        Resource::Dir(dir) => descriptor.require(Rights::FD_SYNC).and_then(|()| dir.sync()),
        Resource::Input(_) | Resource::Output(_) | Resource::Socket(_) => Err(Errno::Inval),
    }
}

/// What a standard stream is: programs take a character device that cannot be sought for a terminal.
fn stream_kind(is_terminal: bool) -> FileKind {
    if is_terminal { FileKind::CharacterDevice } else { FileKind::Unknown }
}

pub fn fd_fdstat_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, fd: u32, stat: u32) -> Result<(), Errno> {
    memory.check(stat, layout::FDSTAT_BYTES)?;
    let descriptor = ctx.descriptors.get(fd)?;
    let (kind, flags) = match &descriptor.resource {
        Resource::Input(stream) => (stream_kind(stream.is_terminal()), FileFlags::default()),
        Resource::Output(stream) => {
            (stream_kind(stream.is_terminal()), FileFlags { append: true, ..FileFlags::default() })
        }
        Resource::Dir(_) => (FileKind::Directory, FileFlags::default()),
        Resource::File(file) => (file.kind(), file.flags()?),
        Resource::Socket(socket) => {
            (FileKind::Socket, FileFlags { nonblocking: !socket.waits, ..FileFlags::default() })
        }
    };
    memory.write(stat, &layout::fdstat(kind, flags, descriptor.base, descriptor.inheriting))
}

pub fn fd_fdstat_set_flags(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32, flags: u32) -> Result<(), Errno> {
    let flags = layout::decode_fd_flags(flags)?;
    let descriptor = ctx.descriptors.get_mut(fd)?;
    descriptor.require(Rights::FD_FDSTAT_SET_FLAGS)?;
    match &mut descriptor.resource {
        Resource::File(file) => file.set_flags(flags),
        Resource::Socket(socket) => {
            socket.waits = sock::waits(flags)?;
            Ok(())
        }
        Resource::Dir(_) => Err(Errno::BadF),
        // The process's own streams are shared with other processes: their mode is not the guest's to change.
        Resource::Input(_) | Resource::Output(_) => Err(Errno::NotSup),
    }
}

pub fn fd_fdstat_set_rights(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    base: u64,
    inheriting: u64,
) -> Result<(), Errno> {
    let descriptor = ctx.descriptors.get_mut(fd)?;
    let (base, inheriting) = (Rights(base), Rights(inheriting));
    let shrinks = descriptor.base.contains(base) && descriptor.inheriting.contains(inheriting);
    #[cfg(wattest_mutants)]
    let shrinks = shrinks || wattest_abi::mutant!(wasi_set_rights_adds);
    if !shrinks {
        return Err(Errno::NotCapable);
    }
    descriptor.base = base;
    descriptor.inheriting = inheriting;
    Ok(())
}

fn metadata(ctx: &WasiCtx, fd: u32) -> Result<Metadata, Errno> {
    let descriptor = ctx.descriptors.get(fd)?;
    descriptor.require(Rights::FD_FILESTAT_GET)?;
    let stream =
        |kind| Metadata { device: 0, inode: 0, kind, links: 0, size_bytes: 0, accessed: 0, modified: 0, changed: 0 };
    match &descriptor.resource {
        Resource::File(file) => file.metadata(),
        Resource::Dir(dir) => dir.metadata(),
        Resource::Input(input) => Ok(stream(stream_kind(input.is_terminal()))),
        Resource::Output(output) => Ok(stream(stream_kind(output.is_terminal()))),
        Resource::Socket(_) => Ok(stream(FileKind::Socket)),
    }
}

pub fn fd_filestat_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, fd: u32, stat: u32) -> Result<(), Errno> {
    memory.write(stat, &layout::filestat(&metadata(ctx, fd)?))
}

pub fn fd_filestat_get_unstable(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    stat: u32,
) -> Result<(), Errno> {
    memory.write(stat, &layout::filestat_unstable(&metadata(ctx, fd)?))
}

pub fn fd_filestat_set_size(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, fd: u32, size: u64) -> Result<(), Errno> {
    ctx.descriptors.file(fd, Rights::FD_FILESTAT_SET_SIZE)?.set_size(size)
}

pub fn fd_filestat_set_times(
    ctx: &mut WasiCtx,
    _: &mut GuestMemory<'_>,
    fd: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result<(), Errno> {
    let (accessed, modified) = layout::decode_times(flags, accessed, modified)?;
    let descriptor = ctx.descriptors.get(fd)?;
    descriptor.require(Rights::FD_FILESTAT_SET_TIMES)?;
    match &descriptor.resource {
        Resource::File(file) => file.set_times(accessed, modified),
        Resource::Dir(dir) => dir.set_times(accessed, modified),
        Resource::Input(_) | Resource::Output(_) | Resource::Socket(_) => Err(Errno::BadF),
    }
}

pub fn fd_prestat_get(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, fd: u32, prestat: u32) -> Result<(), Errno> {
    ctx.look_for_directories();
    let name = ctx.descriptors.get(fd)?.preopen.as_ref().ok_or(Errno::BadF)?;
    // The tag, 0 for a directory, and the length of its name.
    memory.write_u64(prestat, (name.len() as u64) << 32)
}

pub fn fd_prestat_dir_name(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let name = ctx.descriptors.get(fd)?.preopen.as_ref().ok_or(Errno::BadF)?;
    if (path_len as usize) < name.len() {
        return Err(Errno::NameTooLong);
    }
    memory.write(path, name.as_bytes())
}

pub fn fd_read<'a>(
    ctx: &'a mut WasiCtx,
    memory: &'a mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    read: u32,
) -> HostFuture<'a, Result<(), Errno>> {
    Box::pin(async move {
        match ctx.descriptors.get(fd).map(|descriptor| &descriptor.resource) {
            Ok(Resource::Input(stream)) if matches!(ctx.waiting, Waiting::Suspend(_)) => {
                settled(&ctx.waiting, &mut ctx.clocks, &[stream.watch()]).await?;
            }
            Ok(Resource::Socket(_)) => {
                memory.check(read, 4)?;
                let count = sock::receive(ctx, memory, fd, (iovs, iovs_len), 0).await?;
                return memory.write_u32(read, count);
            }
            _ => {}
        }
        read_now(ctx, memory, fd, (iovs, iovs_len), read)
    })
}

fn read_now(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    (iovs, iovs_len): (u32, u32),
    read: u32,
) -> Result<(), Errno> {
    memory.check(read, 4)?;
    let mut buffers = memory.slices_mut(iovs, iovs_len)?;
    let descriptor = ctx.descriptors.get(fd)?;
    let count = match &descriptor.resource {
        Resource::Input(stream) => descriptor.require(Rights::FD_READ).and_then(|()| stream.read(&mut buffers))?,
        Resource::File(file) => descriptor.require(Rights::FD_READ).and_then(|()| file.read(&mut buffers))?,
        // Sockets are read where it can be waited.
        Resource::Output(_) | Resource::Dir(_) | Resource::Socket(_) => return Err(Errno::BadF),
    };
    memory.write_u32(read, count as u32)
}

pub fn fd_pread(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    read: u32,
) -> Result<(), Errno> {
    memory.check(read, 4)?;
    let mut buffers = memory.slices_mut(iovs, iovs_len)?;
    let file = ctx.descriptors.file(fd, Rights::FD_READ.or(Rights::FD_SEEK))?;
    let count = file.read_at(&mut buffers, offset)?;
    memory.write_u32(read, count as u32)
}

pub fn fd_write<'a>(
    ctx: &'a mut WasiCtx,
    memory: &'a mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    written: u32,
) -> HostFuture<'a, Result<(), Errno>> {
    if !matches!(ctx.descriptors.get(fd).map(|descriptor| &descriptor.resource), Ok(Resource::Socket(_))) {
        return Box::pin(ready(write_now(ctx, memory, fd, (iovs, iovs_len), written)));
    }
    Box::pin(async move {
        memory.check(written, 4)?;
        let count = sock::send(ctx, memory, fd, (iovs, iovs_len)).await?;
        memory.write_u32(written, count)
    })
}

fn write_now(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    (iovs, iovs_len): (u32, u32),
    written: u32,
) -> Result<(), Errno> {
    memory.check(written, 4)?;
    let buffers = memory.slices(iovs, iovs_len)?;
    let descriptor = ctx.descriptors.get(fd)?;
    let count = match &descriptor.resource {
        // Sockets are written where it can be waited.
        Resource::Input(_) | Resource::Dir(_) | Resource::Socket(_) => return Err(Errno::BadF),
        Resource::Output(stream) => descriptor.require(Rights::FD_WRITE).and_then(|()| stream.write(&buffers))?,
        Resource::File(file) => descriptor.require(Rights::FD_WRITE).and_then(|()| file.write(&buffers))?,
    };
    memory.write_u32(written, count as u32)
}

pub fn fd_pwrite(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    written: u32,
) -> Result<(), Errno> {
    memory.check(written, 4)?;
    let buffers = memory.slices(iovs, iovs_len)?;
    let file = ctx.descriptors.file(fd, Rights::FD_WRITE.or(Rights::FD_SEEK))?;
    let count = file.write_at(&buffers, offset)?;
    memory.write_u32(written, count as u32)
}

pub fn fd_readdir(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    buf: u32,
    buf_len: u32,
    cookie: u64,
    used: u32,
) -> Result<(), Errno> {
    memory.check(used, 4)?;
    let room = memory.slice_mut(buf, buf_len)?;
    let dir = ctx.descriptors.dir(fd, Rights::FD_READDIR)?;
    let mut filled = 0;
    dir.entries(cookie, |entry| {
        let head = layout::dirent(entry.next, entry.inode, entry.name.len() as u32, entry.kind);
        for part in [head.as_slice(), entry.name] {
            // An entry that does not fit is cut: the caller sees a full buffer and asks again with a larger one.
            let count = part.len().min(room.len() - filled);
            room[filled..filled + count].copy_from_slice(&part[..count]);
            filled += count;
        }
        filled < room.len()
    })?;
    memory.write_u32(used, filled as u32)
}

pub fn fd_renumber(ctx: &mut WasiCtx, _: &mut GuestMemory<'_>, from: u32, to: u32) -> Result<(), Errno> {
    ctx.descriptors.renumber(from, to)
}

fn seek(ctx: &WasiCtx, memory: &mut GuestMemory<'_>, fd: u32, to: Seek, position: u32) -> Result<(), Errno> {
    memory.check(position, 8)?;
    // Asking where one is needs less than going elsewhere.
    let rights = if to == Seek::Current(0) { Rights::FD_TELL } else { Rights::FD_SEEK };
    let reached = ctx.descriptors.file(fd, rights)?.seek(to)?;
    memory.write_u64(position, reached)
}

pub fn fd_seek(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    offset: u64,
    whence: u32,
    position: u32,
) -> Result<(), Errno> {
    let to = match whence {
        0 => Seek::Start(offset),
        1 => Seek::Current(offset as i64),
        2 => Seek::End(offset as i64),
        _ => return Err(Errno::Inval),
    };
    seek(ctx, memory, fd, to, position)
}

/// `fd_seek` of the first edition, which counts the origins otherwise.
pub fn fd_seek_unstable(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    offset: u64,
    whence: u32,
    position: u32,
) -> Result<(), Errno> {
    let to = match whence {
        0 => Seek::Current(offset as i64),
        1 => Seek::End(offset as i64),
        2 => Seek::Start(offset),
        _ => return Err(Errno::Inval),
    };
    seek(ctx, memory, fd, to, position)
}

pub fn fd_tell(ctx: &mut WasiCtx, memory: &mut GuestMemory<'_>, fd: u32, position: u32) -> Result<(), Errno> {
    seek(ctx, memory, fd, Seek::Current(0), position)
}
