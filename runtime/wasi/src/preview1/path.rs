//! Calls on paths
//! ([spec](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md#path_create_directory)).
//!
//! Invariant: a path is relative to a directory descriptor and is UTF-8; the core keeps it inside.
//!
//! Does not know: how paths are resolved.

use super::GuestMemory;
use super::descriptors::{Descriptor, Resource};
use super::layout;
use super::rights::Rights;
use crate::host::fs::{Dir, Metadata, OpenOptions, Opened};
use crate::{Errno, WasiCtx};

/// Whether a `lookupflags` asks to follow a link; unknown bits are [`Errno::Inval`].
fn follows(lookup: u32) -> Result<bool, Errno> {
    match lookup {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::Inval),
    }
}

pub fn path_create_directory(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let path = memory.text(path, path_len)?;
    ctx.descriptors.dir(fd, Rights::PATH_CREATE_DIRECTORY)?.create_dir(path)
}

fn metadata(
    ctx: &WasiCtx,
    memory: &GuestMemory<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
) -> Result<Metadata, Errno> {
    let path = memory.text(path, path_len)?;
    let follow = follows(lookup)?;
    ctx.descriptors.dir(fd, Rights::PATH_FILESTAT_GET)?.metadata_at(path, follow)
}

pub fn path_filestat_get(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    stat: u32,
) -> Result<(), Errno> {
    let metadata = metadata(ctx, memory, fd, lookup, path, path_len)?;
    memory.write(stat, &layout::filestat(&metadata))
}

pub fn path_filestat_get_unstable(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    stat: u32,
) -> Result<(), Errno> {
    let metadata = metadata(ctx, memory, fd, lookup, path, path_len)?;
    memory.write(stat, &layout::filestat_unstable(&metadata))
}

pub fn path_filestat_set_times(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result<(), Errno> {
    let path = memory.text(path, path_len)?;
    let follow = follows(lookup)?;
    let (accessed, modified) = layout::decode_times(flags, accessed, modified)?;
    ctx.descriptors.dir(fd, Rights::PATH_FILESTAT_SET_TIMES)?.set_times_at(path, follow, accessed, modified)
}

pub fn path_link(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<(), Errno> {
    let path = memory.text(path, path_len)?;
    let new_path = memory.text(new_path, new_path_len)?;
    if follows(lookup)? {
        // Following would need the host to link an open file, which takes privileges.
        return Err(Errno::Inval);
    }
    let dir = ctx.descriptors.dir(fd, Rights::PATH_LINK_SOURCE)?;
    let new_dir = ctx.descriptors.dir(new_fd, Rights::PATH_LINK_TARGET)?;
    dir.hard_link(path, new_dir, new_path)
}

const OPEN_CREATE: u32 = 1;
const OPEN_DIRECTORY: u32 = 2;
const OPEN_EXCLUSIVE: u32 = 4;
const OPEN_TRUNCATE: u32 = 8;

/// The directory to open from, and what its rights let be opened.
fn open_options(
    ctx: &WasiCtx,
    fd: u32,
    lookup: u32,
    open_flags: u32,
    base: Rights,
    fd_flags: u32,
) -> Result<(&Descriptor, &Dir, OpenOptions), Errno> {
    if open_flags >> 4 != 0 {
        return Err(Errno::Inval);
    }
    let flag = |bit: u32| open_flags & bit != 0;
    let mut needed = Rights::PATH_OPEN;
    if flag(OPEN_CREATE) {
        needed = needed.or(Rights::PATH_CREATE_FILE);
    }
    let truncates = flag(OPEN_TRUNCATE);
    #[cfg(wattest_mutants)]
    let truncates = truncates && !wattest_abi::mutant!(wasi_truncate_without_right);
    if truncates {
        needed = needed.or(Rights::PATH_FILESTAT_SET_SIZE);
    }
    let (follow, flags) = (follows(lookup)?, layout::decode_fd_flags(fd_flags)?);
    let dir = ctx.descriptors.dir(fd, needed)?;
    let descriptor = ctx.descriptors.get(fd)?;
    let writes = Rights::FD_WRITE.or(Rights::FD_ALLOCATE).or(Rights::FD_FILESTAT_SET_SIZE);
    let options = OpenOptions {
        follow,
        read: base.intersects(Rights::FD_READ.or(Rights::FD_READDIR)),
        write: base.intersects(writes),
        create: flag(OPEN_CREATE),
        exclusive: flag(OPEN_EXCLUSIVE),
        truncate: flag(OPEN_TRUNCATE),
        directory: flag(OPEN_DIRECTORY),
        flags,
    };
    Ok((descriptor, dir, options))
}

/// Opens. Callers that ask for every right there is also get directories, which the host does not open for writing; but
/// to say that a directory is wanted and to ask for writing is a contradiction.
fn open(dir: &Dir, path: &str, options: &OpenOptions) -> Result<Opened, Errno> {
    match dir.open(path, options) {
        Err(Errno::IsDir) if !(options.create || options.truncate || options.directory) => {
            dir.open(path, &OpenOptions { write: false, directory: true, ..*options })
        }
        result => result,
    }
}

#[expect(clippy::too_many_arguments, reason = "the specification's signature")]
pub fn path_open(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    lookup: u32,
    path: u32,
    path_len: u32,
    open_flags: u32,
    base: u64,
    inheriting: u64,
    fd_flags: u32,
    opened: u32,
) -> Result<(), Errno> {
    memory.check(opened, 4)?;
    let path = memory.text(path, path_len)?;
    let (parent, dir, options) = open_options(ctx, fd, lookup, open_flags, Rights(base), fd_flags)?;
    #[cfg(wattest_mutants)]
    let asked = Rights(base);
    let (base, inheriting) = (Rights(base).and(parent.inheriting), Rights(inheriting).and(parent.inheriting));
    #[cfg(wattest_mutants)]
    let base = if wattest_abi::mutant!(wasi_rights_widen) { asked } else { base };
    let access = dir.access();
    let (resource, base, inheriting) = match open(dir, path, &options)? {
        Opened::Dir(dir) => (Resource::Dir(dir), base.and(Rights::dir(access)), inheriting),
        Opened::File(file) => (Resource::File(file), base.and(Rights::file(access)), Rights::default()),
    };
    let number = ctx.descriptors.insert(Descriptor { resource, base, inheriting, preopen: None })?;
    memory.write_u32(opened, number)
}

pub fn path_readlink(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
) -> Result<(), Errno> {
    memory.check(used, 4)?;
    memory.check(buf, buf_len)?;
    let path = memory.text(path, path_len)?;
    let target = ctx.descriptors.dir(fd, Rights::PATH_READLINK)?.read_link(path)?;
    let target = &target[..target.len().min(buf_len as usize)];
    memory.write(buf, target)?;
    memory.write_u32(used, target.len() as u32)
}

pub fn path_remove_directory(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let path = memory.text(path, path_len)?;
    ctx.descriptors.dir(fd, Rights::PATH_REMOVE_DIRECTORY)?.remove_dir(path)
}

pub fn path_rename(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Result<(), Errno> {
    let path = memory.text(path, path_len)?;
    let new_path = memory.text(new_path, new_path_len)?;
    let dir = ctx.descriptors.dir(fd, Rights::PATH_RENAME_SOURCE)?;
    let target = Rights::PATH_RENAME_TARGET;
    #[cfg(wattest_mutants)]
    let target = if wattest_abi::mutant!(wasi_rename_target_unchecked) { Rights::default() } else { target };
    let new_dir = ctx.descriptors.dir(new_fd, target)?;
    dir.rename(path, new_dir, new_path)
}

pub fn path_symlink(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    target: u32,
    target_len: u32,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let target = memory.text(target, target_len)?;
    let path = memory.text(path, path_len)?;
    ctx.descriptors.dir(fd, Rights::PATH_SYMLINK)?.symbolic_link(target, path)
}

pub fn path_unlink_file(
    ctx: &mut WasiCtx,
    memory: &mut GuestMemory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Result<(), Errno> {
    let path = memory.text(path, path_len)?;
    ctx.descriptors.dir(fd, Rights::PATH_UNLINK_FILE)?.remove_file(path)
}
