//! `wasi:filesystem` ([spec](https://github.com/WebAssembly/WASI/blob/main/proposals/filesystem/wit)).
//!
//! Invariant: a descriptor can do what it was opened for, and its directory's access allows; error codes are those that the
//! interface's documentation names after POSIX.
//!
//! Does not know: file systems.

use super::clocks::Datetime;
use super::face::Answer;
use super::io::{IoError, Output};
use crate::host::fs::{Advice, Dir, File, FileFlags, FileKind, Metadata, NewTime, OpenOptions, Opened};
use crate::host::stream::{BYTES_MAX, Ended, Sink, Source};
use crate::{Errno, WasiCtx};
use rustix::io::{IoSlice, IoSliceMut};
use std::collections::VecDeque;
use wattest::Result;
use wattest::component::{ComponentType, Lift, Lower, Resource};

/// `descriptor`.
#[derive(Clone, Debug)]
pub enum Descriptor {
    /// A directory. Whether it may be changed is its access: programs that were made for preview 1 open directories
    /// without `mutate-directory` and create files in them, so the flag takes nothing away.
    Dir(Dir),
    /// A file, and whether it was opened to be read.
    File(File, bool),
}

impl Descriptor {
    fn dir(&self) -> Result<&Dir, Errno> {
        match self {
            Descriptor::Dir(dir) => Ok(dir),
            Descriptor::File(..) => Err(Errno::NotDir),
        }
    }

    fn file(&self) -> Result<&File, Errno> {
        match self {
            Descriptor::File(file, _) => Ok(file),
            Descriptor::Dir(_) => Err(Errno::IsDir),
        }
    }

    fn readable(&self) -> Result<&File, Errno> {
        match self {
            Descriptor::File(file, true) => Ok(file),
            Descriptor::File(_, false) => Err(Errno::BadF),
            Descriptor::Dir(_) => Err(Errno::IsDir),
        }
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        match self {
            Descriptor::Dir(dir) => dir.metadata(),
            Descriptor::File(file, _) => file.metadata(),
        }
    }
}

/// `directory-entry-stream`: what was read ahead, and where to go on.
#[derive(Debug)]
pub struct DirectoryEntries {
    dir: Dir,
    cookie: u64,
    ahead: VecDeque<Answer<DirectoryEntry>>,
    done: bool,
}

/// Entries that are read ahead.
const ENTRIES_AHEAD: usize = 128;

macro_rules! codes {
    ($($code:ident $(= $($errno:ident)|+)?;)*) => {
        /// `error-code`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
        #[component(enum)]
        pub enum ErrorCode {
            $(#[allow(clippy::enum_variant_names, dead_code, reason = "the interface's names")] $code,)*
        }

        impl From<Errno> for ErrorCode {
            fn from(error: Errno) -> ErrorCode {
                match error {
                    $($($(Errno::$errno)|+ => ErrorCode::$code,)?)*
                    _ => ErrorCode::Io,
                }
            }
        }
    };
}

codes! {
    Access = Acces;
    WouldBlock = Again;
    Already = Already;
    BadDescriptor = BadF;
    Busy = Busy;
    Deadlock = Deadlk;
    Quota = Dquot;
    Exist = Exist;
    FileTooLarge = Fbig;
    IllegalByteSequence = IlSeq;
    InProgress = InProgress;
    Interrupted = Intr;
    Invalid = Inval;
    Io = Io;
    IsDirectory = IsDir;
    Loop = Loop;
    TooManyLinks = Mlink;
    MessageSize = MsgSize;
    NameTooLong = NameTooLong;
    NoDevice = NoDev;
    NoEntry = NoEnt;
    NoLock = NoLck;
    InsufficientMemory = NoMem;
    InsufficientSpace = NoSpc;
    NotDirectory = NotDir;
    NotEmpty = NotEmpty;
    NotRecoverable = NotRecoverable;
    Unsupported = NotSup | NoSys;
    NoTty = NoTty;
    NoSuchDevice = Nxio;
    Overflow = Overflow;
    NotPermitted = Perm | NotCapable;
    Pipe = Pipe;
    ReadOnly = Rofs;
    InvalidSeek = Spipe;
    TextFileBusy = TxtBsy;
    CrossDevice = Xdev;
}

impl ErrorCode {
    pub fn new(ended: Ended) -> ErrorCode {
        match ended {
            Ended::Failed(error) => error.into(),
            Ended::Closed => ErrorCode::Pipe,
            #[cfg(feature = "http")]
            Ended::Http(_) => ErrorCode::Io,
        }
    }
}

/// `descriptor-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(enum)]
pub enum DescriptorType {
    Unknown,
    BlockDevice,
    CharacterDevice,
    Directory,
    #[allow(dead_code, reason = "the core does not tell pipes from what it does not know")]
    Fifo,
    SymbolicLink,
    RegularFile,
    Socket,
}

impl From<FileKind> for DescriptorType {
    fn from(kind: FileKind) -> DescriptorType {
        match kind {
            FileKind::Unknown => DescriptorType::Unknown,
            FileKind::BlockDevice => DescriptorType::BlockDevice,
            FileKind::CharacterDevice => DescriptorType::CharacterDevice,
            FileKind::Directory => DescriptorType::Directory,
            FileKind::Regular => DescriptorType::RegularFile,
            FileKind::Socket => DescriptorType::Socket,
            FileKind::SymbolicLink => DescriptorType::SymbolicLink,
        }
    }
}

/// `descriptor-flags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(flags)]
pub struct DescriptorFlags {
    read: bool,
    write: bool,
    file_integrity_sync: bool,
    data_integrity_sync: bool,
    requested_write_sync: bool,
    mutate_directory: bool,
}

/// `path-flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(flags)]
pub struct PathFlags {
    symlink_follow: bool,
}

/// `open-flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(flags)]
pub struct OpenFlags {
    create: bool,
    directory: bool,
    exclusive: bool,
    truncate: bool,
}

/// `advice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
pub enum FileAdvice {
    Normal,
    Sequential,
    Random,
    WillNeed,
    DontNeed,
    NoReuse,
}

/// `descriptor-stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(record)]
pub struct DescriptorStat {
    #[component(name = "type")]
    kind: DescriptorType,
    link_count: u64,
    size: u64,
    data_access_timestamp: Option<Datetime>,
    data_modification_timestamp: Option<Datetime>,
    status_change_timestamp: Option<Datetime>,
}

impl From<Metadata> for DescriptorStat {
    fn from(metadata: Metadata) -> DescriptorStat {
        DescriptorStat {
            kind: metadata.kind.into(),
            link_count: metadata.links,
            size: metadata.size_bytes,
            data_access_timestamp: Some(metadata.accessed.into()),
            data_modification_timestamp: Some(metadata.modified.into()),
            status_change_timestamp: Some(metadata.changed.into()),
        }
    }
}

/// `new-timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(variant)]
pub enum NewTimestamp {
    NoChange,
    Now,
    Timestamp(Datetime),
}

impl NewTimestamp {
    fn time(self) -> Result<NewTime, Errno> {
        Ok(match self {
            NewTimestamp::NoChange => NewTime::Keep,
            NewTimestamp::Now => NewTime::Now,
            NewTimestamp::Timestamp(Datetime { nanoseconds: 1_000_000_000.., .. }) => return Err(Errno::Inval),
            NewTimestamp::Timestamp(Datetime { seconds, nanoseconds }) => {
                let time = seconds.checked_mul(1_000_000_000).and_then(|time| time.checked_add(nanoseconds.into()));
                NewTime::At(time.ok_or(Errno::Overflow)?)
            }
        })
    }
}

/// `directory-entry`.
#[derive(Clone, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(record)]
pub struct DirectoryEntry {
    #[component(name = "type")]
    kind: DescriptorType,
    name: String,
}

/// `metadata-hash-value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lower)]
#[component(record)]
pub struct MetadataHash {
    lower: u64,
    upper: u64,
}

impl From<Metadata> for MetadataHash {
    /// Which object it is: numbers of the host, mixed so that they are no use as such.
    fn from(metadata: Metadata) -> MetadataHash {
        let mix = |seed: u64| {
            let mut state = seed ^ metadata.device.rotate_left(32);
            let first = crate::host::random::split_mix(&mut state);
            state = first ^ metadata.inode;
            crate::host::random::split_mix(&mut state)
        };
        MetadataHash { lower: mix(0x77_6173_6931), upper: mix(0x77_6173_6932) }
    }
}

type This = Resource<Descriptor>;

fn this<'a>(ctx: &'a WasiCtx, this: &This) -> Answer<&'a Descriptor> {
    Ok(ctx.table.get(this)?)
}

pub fn read_via_stream(ctx: &mut WasiCtx, (it, offset): (This, u64)) -> Answer<Resource<Source>> {
    let file = this(ctx, &it)?.readable()?.clone();
    Ok(ctx.push(Source::File { file, position: offset })?)
}

fn output(ctx: &mut WasiCtx, it: &This, position: Option<u64>) -> Answer<Resource<Output>> {
    let file = this(ctx, it)?.file()?.clone();
    if !file.is_writable() {
        return Err(Errno::BadF.into());
    }
    Ok(ctx.push(Output::new(Sink::File { file, position }))?)
}

pub fn write_via_stream(ctx: &mut WasiCtx, (it, offset): (This, u64)) -> Answer<Resource<Output>> {
    output(ctx, &it, Some(offset))
}

pub fn append_via_stream(ctx: &mut WasiCtx, (it,): (This,)) -> Answer<Resource<Output>> {
    output(ctx, &it, None)
}

pub fn advise(ctx: &mut WasiCtx, (it, offset, length, advice): (This, u64, u64, FileAdvice)) -> Answer<()> {
    let advice = match advice {
        FileAdvice::Normal => Advice::Normal,
        FileAdvice::Sequential => Advice::Sequential,
        FileAdvice::Random => Advice::Random,
        FileAdvice::WillNeed => Advice::WillNeed,
        FileAdvice::DontNeed => Advice::DontNeed,
        FileAdvice::NoReuse => Advice::NoReuse,
    };
    Ok(this(ctx, &it)?.file().map_err(|_| Errno::BadF)?.advise(offset, length, advice)?)
}

pub fn sync_data(ctx: &mut WasiCtx, (it,): (This,)) -> Answer<()> {
    Ok(match this(ctx, &it)? {
        Descriptor::Dir(dir) => dir.sync(),
        Descriptor::File(file, _) => file.sync_data(),
    }?)
}

pub fn sync(ctx: &mut WasiCtx, (it,): (This,)) -> Answer<()> {
    Ok(match this(ctx, &it)? {
        Descriptor::Dir(dir) => dir.sync(),
        Descriptor::File(file, _) => file.sync(),
    }?)
}

pub fn get_flags(ctx: &mut WasiCtx, (it,): (This,)) -> Answer<DescriptorFlags> {
    Ok(match this(ctx, &it)? {
        Descriptor::Dir(dir) => {
            DescriptorFlags { read: true, mutate_directory: dir.access().write, ..DescriptorFlags::default() }
        }
        Descriptor::File(file, read) => {
            let flags = file.flags()?;
            DescriptorFlags {
                read: *read,
                write: file.is_writable(),
                file_integrity_sync: flags.sync,
                data_integrity_sync: flags.data_sync,
                requested_write_sync: flags.read_sync,
                mutate_directory: false,
            }
        }
    })
}

pub fn get_type(ctx: &mut WasiCtx, (it,): (This,)) -> Answer<DescriptorType> {
    Ok(match this(ctx, &it)? {
        Descriptor::Dir(_) => DescriptorType::Directory,
        Descriptor::File(file, _) => file.kind().into(),
    })
}

pub fn set_size(ctx: &mut WasiCtx, (it, size): (This, u64)) -> Answer<()> {
    Ok(this(ctx, &it)?.file()?.set_size(size)?)
}

pub fn set_times(ctx: &mut WasiCtx, (it, accessed, modified): (This, NewTimestamp, NewTimestamp)) -> Answer<()> {
    let (accessed, modified) = (accessed.time()?, modified.time()?);
    Ok(match this(ctx, &it)? {
        Descriptor::Dir(dir) => dir.set_times(accessed, modified),
        Descriptor::File(file, _) => file.set_times(accessed, modified),
    }?)
}

pub fn read(ctx: &mut WasiCtx, (it, length, offset): (This, u64, u64)) -> Answer<(Vec<u8>, bool)> {
    let file = this(ctx, &it)?.readable()?;
    let mut bytes = vec![0; length.min(BYTES_MAX) as usize];
    let count = file.read_at(&mut [IoSliceMut::new(&mut bytes)], offset)?;
    bytes.truncate(count);
    Ok((bytes, count == 0 && length > 0))
}

pub fn write(ctx: &mut WasiCtx, (it, buffer, offset): (This, Vec<u8>, u64)) -> Answer<u64> {
    Ok(this(ctx, &it)?.file()?.write_at(&[IoSlice::new(&buffer)], offset)? as u64)
}

pub fn read_directory(ctx: &mut WasiCtx, (it,): (This,)) -> Answer<Resource<DirectoryEntries>> {
    let dir = this(ctx, &it)?.dir()?.clone();
    Ok(ctx.push(DirectoryEntries { dir, cookie: 0, ahead: VecDeque::new(), done: false })?)
}

type Entries = Resource<DirectoryEntries>;

pub fn read_directory_entry(ctx: &mut WasiCtx, (it,): (Entries,)) -> Answer<Option<DirectoryEntry>> {
    let DirectoryEntries { dir, cookie, ahead, done } = ctx.table.get_mut(&it)?;
    while ahead.is_empty() && !*done {
        *done = true;
        dir.entries(*cookie, |entry| {
            *cookie = entry.next;
            if !matches!(entry.name, b"." | b"..") {
                let name = String::from_utf8(entry.name.to_vec());
                let name = name.map_err(|_| Errno::IlSeq.into());
                ahead.push_back(name.map(|name| DirectoryEntry { kind: entry.kind.into(), name }));
            }
            *done = ahead.len() < ENTRIES_AHEAD;
            *done
        })?;
    }
    ahead.pop_front().transpose()
}

pub fn create_directory_at(ctx: &mut WasiCtx, (it, path): (This, String)) -> Answer<()> {
    Ok(this(ctx, &it)?.dir()?.create_dir(&path)?)
}

pub fn stat(ctx: &mut WasiCtx, (it,): (This,)) -> Answer<DescriptorStat> {
    Ok(this(ctx, &it)?.metadata()?.into())
}

pub fn stat_at(ctx: &mut WasiCtx, (it, flags, path): (This, PathFlags, String)) -> Answer<DescriptorStat> {
    Ok(this(ctx, &it)?.dir()?.metadata_at(&path, flags.symlink_follow)?.into())
}

pub fn set_times_at(
    ctx: &mut WasiCtx,
    (it, flags, path, accessed, modified): (This, PathFlags, String, NewTimestamp, NewTimestamp),
) -> Answer<()> {
    let (accessed, modified) = (accessed.time()?, modified.time()?);
    Ok(this(ctx, &it)?.dir()?.set_times_at(&path, flags.symlink_follow, accessed, modified)?)
}

pub fn link_at(
    ctx: &mut WasiCtx,
    (it, flags, path, new_dir, new_path): (This, PathFlags, String, This, String),
) -> Answer<()> {
    if flags.symlink_follow {
        // Following would need the host to link an open file, which takes privileges.
        return Err(Errno::Inval.into());
    }
    Ok(this(ctx, &it)?.dir()?.hard_link(&path, this(ctx, &new_dir)?.dir()?, &new_path)?)
}

pub fn open_at(
    ctx: &mut WasiCtx,
    (it, path_flags, path, open_flags, flags): (This, PathFlags, String, OpenFlags, DescriptorFlags),
) -> Answer<Resource<Descriptor>> {
    let dir = this(ctx, &it)?.dir()?;
    let changes = flags.write || flags.mutate_directory || open_flags.create || open_flags.truncate;
    if changes && !dir.access().write {
        return Err(Errno::Rofs.into());
    }
    if open_flags.directory && (open_flags.exclusive || open_flags.truncate) {
        return Err(Errno::Inval.into());
    }
    let options = OpenOptions {
        follow: path_flags.symlink_follow,
        read: flags.read,
        write: flags.write,
        create: open_flags.create,
        exclusive: open_flags.exclusive,
        truncate: open_flags.truncate,
        directory: open_flags.directory,
        flags: FileFlags {
            sync: flags.file_integrity_sync,
            data_sync: flags.data_integrity_sync,
            read_sync: flags.requested_write_sync,
            ..FileFlags::default()
        },
    };
    let opened = match dir.open(&path, &options)? {
        Opened::Dir(dir) => Descriptor::Dir(dir),
        // Opening for nothing is opening for reading.
        Opened::File(file) => Descriptor::File(file, flags.read || !flags.write),
    };
    Ok(ctx.push(opened)?)
}

pub fn readlink_at(ctx: &mut WasiCtx, (it, path): (This, String)) -> Answer<String> {
    let target = this(ctx, &it)?.dir()?.read_link(&path)?;
    let target = String::from_utf8(target).map_err(|_| Errno::IlSeq)?;
    // What is absolute on the host means nothing to the guest.
    if target.starts_with('/') { Err(Errno::Perm.into()) } else { Ok(target) }
}

pub fn remove_directory_at(ctx: &mut WasiCtx, (it, path): (This, String)) -> Answer<()> {
    Ok(this(ctx, &it)?.dir()?.remove_dir(&path)?)
}

pub fn rename_at(ctx: &mut WasiCtx, (it, path, new_dir, new_path): (This, String, This, String)) -> Answer<()> {
    Ok(this(ctx, &it)?.dir()?.rename(&path, this(ctx, &new_dir)?.dir()?, &new_path)?)
}

pub fn symlink_at(ctx: &mut WasiCtx, (it, target, path): (This, String, String)) -> Answer<()> {
    Ok(this(ctx, &it)?.dir()?.symbolic_link(&target, &path)?)
}

pub fn unlink_file_at(ctx: &mut WasiCtx, (it, path): (This, String)) -> Answer<()> {
    Ok(this(ctx, &it)?.dir()?.remove_file(&path)?)
}

pub fn is_same_object(ctx: &mut WasiCtx, (it, other): (This, This)) -> Result<bool> {
    let object = |it: &This| -> Result<Option<(u64, u64)>> {
        Ok(ctx.table.get(it)?.metadata().ok().map(|metadata| (metadata.device, metadata.inode)))
    };
    let (one, other) = (object(&it)?, object(&other)?);
    Ok(one.is_some() && one == other)
}

pub fn metadata_hash(ctx: &mut WasiCtx, (it,): (This,)) -> Answer<MetadataHash> {
    Ok(this(ctx, &it)?.metadata()?.into())
}

pub fn metadata_hash_at(ctx: &mut WasiCtx, (it, flags, path): (This, PathFlags, String)) -> Answer<MetadataHash> {
    Ok(this(ctx, &it)?.dir()?.metadata_at(&path, flags.symlink_follow)?.into())
}

pub fn error_code(ctx: &mut WasiCtx, (error,): (Resource<IoError>,)) -> Result<Option<ErrorCode>> {
    Ok(match ctx.table.get(&error)? {
        IoError::Host(error) => Some((*error).into()),
        #[cfg(feature = "http")]
        IoError::Http(_) => None,
    })
}

pub fn get_directories(ctx: &mut WasiCtx, (): ()) -> Result<Vec<(Resource<Descriptor>, String)>> {
    ctx.look_for_directories();
    let preopens = ctx.preopens.clone();
    preopens.into_iter().map(|(dir, name)| Ok((ctx.push(Descriptor::Dir(dir))?, name))).collect()
}
