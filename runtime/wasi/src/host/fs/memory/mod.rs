//! A file system in memory, alone or over a directory that it leaves untouched.
//!
//! It answers as Linux does, error numbers included: `wasi_fs` compares it with the host's own file system, operation by
//! operation.
//!
//! Invariant: one lock guards all of it, so that every call is atomic; a handle keeps its node alive, and what all nodes take
//! stays within [`MemoryLimits`].
//!
//! Does not know: the host, but for the time.

mod beneath;
mod state;

pub use state::MemoryLimits;

use super::{
    Access, Advice, Dir, Entry, FileFlags, FileKind, Metadata, NewTime, Node, OpenOptions, Seek, VfsDir, VfsFile,
};
use crate::Errno;
use crate::host::clock::Clocks;
use rustix::fd::BorrowedFd;
use rustix::io::{IoSlice, IoSliceMut};
use state::{Content, Directory, Found, Last, NodeIndex, ROOT, State};
use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file system in memory.
///
/// ```
/// use wattest_wasi::host::fs::{Access, MemoryFs, MemoryLimits};
/// let dir = MemoryFs::new(MemoryLimits::default()).root(Access::READ_WRITE);
/// dir.create_dir("tmp")?;
/// dir.rename("tmp", &dir, "cache")?;
/// assert_eq!(dir.metadata_at("cache", false)?.links, 2);
/// # Ok::<(), wattest_wasi::Errno>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryFs {
    state: Arc<Mutex<State>>,
}

impl MemoryFs {
    /// An empty one, with the host's time.
    pub fn new(limits: MemoryLimits) -> MemoryFs {
        MemoryFs::with(limits, Clocks::Host, None)
    }

    /// One that shows what is in `dir`, and keeps what is changed to itself.
    pub fn over(dir: Dir, limits: MemoryLimits) -> MemoryFs {
        MemoryFs::with(limits, Clocks::Host, Some(dir))
    }

    /// One whose files have their times from `clocks`, over a directory if there is one.
    pub fn with(limits: MemoryLimits, clocks: Clocks, beneath: Option<Dir>) -> MemoryFs {
        MemoryFs { state: Arc::new(Mutex::new(State::new(limits, clocks, beneath))) }
    }

    /// Its root directory.
    pub fn root(&self, access: Access) -> Dir {
        Dir::new(Arc::new(MemoryDir(Handle::new(&self.state, &mut lock(&self.state), ROOT))), access)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A node that is kept alive.
#[derive(Debug)]
struct Handle {
    state: Arc<Mutex<State>>,
    node: NodeIndex,
}

impl Handle {
    fn new(state: &Arc<Mutex<State>>, locked: &mut State, node: NodeIndex) -> Handle {
        if let Ok(node) = locked.node_mut(node) {
            node.opens += 1;
        }
        Handle { state: Arc::clone(state), node }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if let Ok(node) = state.node_mut(self.node) {
            node.opens -= 1;
        }
        state.release(self.node);
    }
}

#[derive(Debug)]
struct MemoryDir(Handle);

/// The directory behind another one, which has to be of the same file system.
fn same<'a>(dir: &MemoryDir, other: &'a dyn VfsDir) -> Result<&'a MemoryDir, Errno> {
    let other: &MemoryDir = (other as &dyn Any).downcast_ref().ok_or(Errno::Xdev)?;
    if Arc::ptr_eq(&dir.0.state, &other.0.state) { Ok(other) } else { Err(Errno::Xdev) }
}

/// The name for something new, as `link` and `symlink` see it: a slash after it asks for a directory that is not there.
fn new_name(state: &mut State, last: &Last<'_>) -> Result<(), Errno> {
    if last.is_dots() || state.lookup(last.dir, last.name)?.is_some() {
        return Err(Errno::Exist);
    }
    if last.slash { Err(Errno::NoEnt) } else { Ok(()) }
}

impl MemoryDir {
    /// What opening finds or makes.
    fn find(&self, state: &mut State, path: &str, options: &OpenOptions) -> Result<NodeIndex, Errno> {
        let exclusive = options.create && options.exclusive;
        match state.find_or_create(self.0.node, path, options.follow && !exclusive, options.create)? {
            Found::Node(_) if exclusive => Err(Errno::Exist),
            Found::Node(node) => Ok(node),
            Found::Free { dir, name } if options.create => state.create(dir, &name, Content::File(Vec::new())),
            Found::Free { .. } => Err(Errno::NoEnt),
        }
    }
}

impl VfsDir for MemoryDir {
    fn open(&self, path: &str, options: &OpenOptions) -> Result<Node, Errno> {
        let mut state = self.0.lock();
        let node = self.find(&mut state, path, options)?;
        let kind = state.node(node)?.content.kind();
        match kind {
            FileKind::Directory if options.create || options.write || options.truncate => return Err(Errno::IsDir),
            FileKind::Directory => {
                return Ok(Node::Dir(Arc::new(MemoryDir(Handle::new(&self.0.state, &mut state, node)))));
            }
            _ if options.directory => return Err(Errno::NotDir),
            FileKind::SymbolicLink => return Err(Errno::Loop),
            _ => {}
        }
        if options.truncate {
            resize(&mut state, node, 0)?;
        }
        let handle = Handle::new(&self.0.state, &mut state, node);
        let (readable, flags) = (options.read || !options.write, normal(options.flags));
        let open = Mutex::new(Open { position: 0, flags });
        Ok(Node::File(Arc::new(MemoryFile { handle, open, readable }), kind))
    }

    fn metadata_at(&self, path: &str, follow: bool) -> Result<Metadata, Errno> {
        let mut state = self.0.lock();
        let node = state.existing(self.0.node, path, follow)?;
        self.0.metadata(&mut state, node)
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.0.metadata(&mut self.0.lock(), self.0.node)
    }

    fn set_times_at(&self, path: &str, follow: bool, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        let mut state = self.0.lock();
        let node = state.existing(self.0.node, path, follow)?;
        set_times(&mut state, node, accessed, modified)
    }

    fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        set_times(&mut self.0.lock(), self.0.node, accessed, modified)
    }

    fn create_dir(&self, path: &str) -> Result<(), Errno> {
        let mut state = self.0.lock();
        let last = state.last(self.0.node, path)?;
        if last.is_dots() || state.lookup(last.dir, last.name)?.is_some() {
            return Err(Errno::Exist);
        }
        state.create(last.dir, last.name, Content::Dir(Directory::new(last.dir, None))).map(drop)
    }

    fn remove_dir(&self, path: &str) -> Result<(), Errno> {
        let mut state = self.0.lock();
        let last = state.last(self.0.node, path)?;
        match last.name {
            "." => return Err(Errno::Inval),
            ".." => return Err(Errno::NotEmpty),
            _ => {}
        }
        let node = state.lookup(last.dir, last.name)?.ok_or(Errno::NoEnt)?;
        state.dir(node)?;
        state.list(node)?;
        if !state.dir(node)?.is_empty() {
            return Err(Errno::NotEmpty);
        }
        state.remove(last.dir, last.name)
    }

    fn remove_file(&self, path: &str) -> Result<(), Errno> {
        let mut state = self.0.lock();
        let last = state.last(self.0.node, path)?;
        if last.is_dots() {
            return Err(Errno::IsDir);
        }
        let node = state.lookup(last.dir, last.name)?.ok_or(Errno::NoEnt)?;
        match state.node(node)?.content {
            Content::Dir(_) => Err(Errno::IsDir),
            _ if last.slash => Err(Errno::NotDir),
            _ => state.remove(last.dir, last.name),
        }
    }

    fn rename(&self, path: &str, new_dir: &dyn VfsDir, new_path: &str) -> Result<(), Errno> {
        let new_dir = same(self, new_dir)?;
        let mut state = self.0.lock();
        let (old, new) = (state.last(self.0.node, path)?, state.last(new_dir.0.node, new_path)?);
        rename(&mut state, &old, &new)
    }

    fn hard_link(&self, path: &str, new_dir: &dyn VfsDir, new_path: &str) -> Result<(), Errno> {
        let new_dir = same(self, new_dir)?;
        let mut state = self.0.lock();
        let old = state.last(self.0.node, path)?;
        if old.slash {
            // Only a directory can be meant, and those have one name.
            let node = state.existing(self.0.node, path, true)?;
            return state.dir(node).and(Err(Errno::Perm));
        }
        let new = state.last(new_dir.0.node, new_path)?;
        let node = match old.name {
            "." | ".." => old.dir,
            name => state.lookup(old.dir, name)?.ok_or(Errno::NoEnt)?,
        };
        new_name(&mut state, &new)?;
        match state.node(node)?.content {
            Content::Dir(_) => Err(Errno::Perm),
            _ => state.bind(new.dir, new.name, node),
        }
    }

    fn symbolic_link(&self, target: &str, path: &str) -> Result<(), Errno> {
        let mut state = self.0.lock();
        let last = state.last(self.0.node, path)?;
        match target.len() {
            0 => return Err(Errno::NoEnt),
            1..=state::PATH_BYTES_MAX => {}
            _ => return Err(Errno::NameTooLong),
        }
        new_name(&mut state, &last)?;
        state.create(last.dir, last.name, Content::Link(target.to_owned())).map(drop)
    }

    fn read_link(&self, path: &str) -> Result<Vec<u8>, Errno> {
        let mut state = self.0.lock();
        let node = state.existing(self.0.node, path, false)?;
        match &state.node(node)?.content {
            Content::Link(target) => Ok(target.clone().into_bytes()),
            _ => Err(Errno::Inval),
        }
    }

    fn entries(&self, mut cookie: u64, visit: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<(), Errno> {
        let mut state = self.0.lock();
        state.list(self.0.node)?;
        while let Some((next, name, node)) = state.entry_from(self.0.node, cookie)? {
            let inode = state.node(node)?;
            let number = if name == ".." { 0 } else { inode.number() };
            if !visit(Entry { next, inode: number, kind: inode.content.kind(), name: name.as_bytes() }) {
                break;
            }
            cookie = next;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }
}

/// Renames, with Linux's order of checks.
fn rename(state: &mut State, old: &Last<'_>, new: &Last<'_>) -> Result<(), Errno> {
    if old.is_dots() || new.is_dots() {
        return Err(Errno::Busy);
    }
    let node = state.lookup(old.dir, old.name)?.ok_or(Errno::NoEnt)?;
    let target = state.lookup(new.dir, new.name)?;
    let is_dir = |state: &State, node: NodeIndex| state.dir(node).is_ok();
    let moves_dir = is_dir(state, node);
    if !moves_dir && (old.slash || new.slash) {
        return Err(Errno::NotDir);
    }
    if moves_dir && state.lies_in(node, new.dir)? {
        return Err(Errno::Inval);
    }
    if let Some(target) = target {
        if is_dir(state, target) && state.lies_in(target, old.dir)? {
            return Err(Errno::NotEmpty);
        }
        if target == node {
            return Ok(());
        }
        match (moves_dir, is_dir(state, target)) {
            (true, false) => return Err(Errno::NotDir),
            (false, true) => return Err(Errno::IsDir),
            (true, true) => {
                state.list(target)?;
                if !state.dir(target)?.is_empty() {
                    return Err(Errno::NotEmpty);
                }
            }
            (false, false) => {}
        }
    }
    // The name that is given back pays for the new one, unless that is longer: asked before anything is changed.
    let grows = (new.name.len() as u64).saturating_sub(old.name.len() as u64);
    state.charge(grows)?;
    state.refund(grows);
    if target.is_some() {
        state.remove(new.dir, new.name)?;
    }
    state.unbind(old.dir, old.name)?;
    state.bind(new.dir, new.name, node)
}

fn set_times(state: &mut State, node: NodeIndex, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
    state.learn(node)?;
    let now = state.now();
    let node = state.node_mut(node)?;
    let new = |time: NewTime, old: u64| match time {
        NewTime::Keep => old,
        NewTime::Now => now,
        NewTime::At(time) => time,
    };
    (node.accessed, node.modified) = (new(accessed, node.accessed), new(modified, node.modified));
    if (accessed, modified) != (NewTime::Keep, NewTime::Keep) {
        node.changed = now;
    }
    Ok(())
}

/// Gives a file a size; what is new is zero.
fn resize(state: &mut State, node: NodeIndex, bytes: u64) -> Result<(), Errno> {
    let old = state.bytes_mut(node)?.len() as u64;
    state.charge(bytes.saturating_sub(old))?;
    let length = usize::try_from(bytes).map_err(|_| Errno::Fbig)?;
    let contents = state.bytes_mut(node)?;
    contents.resize(length, 0);
    if bytes < old {
        contents.shrink_to_fit();
        state.refund(old - bytes);
    }
    touch(state, node)
}

/// Notes that a file was written to.
fn touch(state: &mut State, node: NodeIndex) -> Result<(), Errno> {
    let now = state.now();
    let node = state.node_mut(node)?;
    (node.modified, node.changed) = (now, now);
    Ok(())
}

/// As hosts report flags: who synchronizes everything also synchronizes data and reads.
fn normal(flags: FileFlags) -> FileFlags {
    let sync = flags.sync || flags.read_sync;
    FileFlags { sync, read_sync: sync, data_sync: flags.data_sync || sync, ..flags }
}

/// What belongs to one opening of a file.
#[derive(Debug)]
struct Open {
    position: u64,
    flags: FileFlags,
}

#[derive(Debug)]
struct MemoryFile {
    handle: Handle,
    open: Mutex<Open>,
    readable: bool,
}

impl Handle {
    /// What is known about a node; the device is the file system's own.
    fn metadata(&self, state: &mut State, node: NodeIndex) -> Result<Metadata, Errno> {
        let device = Arc::as_ptr(&self.state).addr() as u64 >> 4;
        Ok(Metadata { device, ..state.metadata(node)? })
    }
}

impl MemoryFile {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of the file, where appended bytes go.
    fn end(&self, state: &mut State) -> Result<u64, Errno> {
        Ok(state.metadata(self.handle.node)?.size_bytes)
    }

    /// Writes at an offset, or at the end; where the written bytes end.
    fn put(&self, buffers: &[IoSlice<'_>], offset: Option<u64>) -> Result<(usize, u64), Errno> {
        let count: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let mut state = self.handle.lock();
        let offset = match offset {
            Some(offset) => offset,
            None => self.end(&mut state)?,
        };
        if i64::try_from(offset).is_err() {
            return Err(Errno::Inval);
        }
        let end = offset.checked_add(count as u64).filter(|end| i64::try_from(*end).is_ok()).ok_or(Errno::Fbig)?;
        if count == 0 {
            return Ok((0, offset));
        }
        if end > state.bytes_mut(self.handle.node)?.len() as u64 {
            resize(&mut state, self.handle.node, end)?;
        }
        let bytes = state.bytes_mut(self.handle.node)?;
        let mut at = usize::try_from(offset).map_err(|_| Errno::Fbig)?;
        for buffer in buffers {
            bytes[at..at + buffer.len()].copy_from_slice(buffer);
            at += buffer.len();
        }
        touch(&mut state, self.handle.node)?;
        Ok((count, end))
    }

    /// Where a write goes: to the end in append mode, whatever it asks for.
    fn place(&self, offset: u64) -> Option<u64> {
        (!self.open().flags.append).then_some(offset)
    }
}

impl VfsFile for MemoryFile {
    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        let position = self.open().position;
        let count = self.read_at(buffers, position)?;
        self.open().position = position + count as u64;
        Ok(count)
    }

    fn read_at(&self, buffers: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize, Errno> {
        if !self.readable {
            return Err(Errno::BadF);
        }
        if i64::try_from(offset).is_err() {
            return Err(Errno::Inval);
        }
        let mut state = self.handle.lock();
        let bytes = match &mut state.node_mut(self.handle.node)?.content {
            Content::Lower(file) => return file.read_at(buffers, offset),
            Content::File(bytes) => bytes,
            _ => return Err(Errno::Inval),
        };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let mut rest = &bytes[start..];
        for buffer in buffers {
            let count = buffer.len().min(rest.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
        }
        Ok(bytes.len() - start - rest.len())
    }

    fn write(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let position = self.open().position;
        let (count, end) = self.put(buffers, self.place(position))?;
        if count > 0 {
            self.open().position = end;
        }
        Ok(count)
    }

    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno> {
        if i64::try_from(offset).is_err() {
            return Err(Errno::Inval);
        }
        Ok(self.put(buffers, self.place(offset))?.0)
    }

    fn append(&self, buffers: &[IoSlice<'_>]) -> Result<usize, Errno> {
        Ok(self.put(buffers, None)?.0)
    }

    fn seek(&self, to: Seek) -> Result<u64, Errno> {
        let mut open = self.open();
        let (base, offset) = match to {
            Seek::Start(position) => (0, i64::try_from(position).map_err(|_| Errno::Inval)?),
            Seek::Current(offset) => (open.position, offset),
            Seek::End(offset) => (self.end(&mut self.handle.lock())?, offset),
        };
        let position = i64::try_from(base).ok().and_then(|base| base.checked_add(offset));
        open.position = position.and_then(|position| u64::try_from(position).ok()).ok_or(Errno::Inval)?;
        Ok(open.position)
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.handle.metadata(&mut self.handle.lock(), self.handle.node)
    }

    fn set_size(&self, bytes: u64) -> Result<(), Errno> {
        i64::try_from(bytes).map_err(|_| Errno::Fbig)?;
        resize(&mut self.handle.lock(), self.handle.node, bytes)
    }

    fn allocate(&self, offset: u64, bytes: u64) -> Result<(), Errno> {
        if bytes == 0 || i64::try_from(offset).is_err() || i64::try_from(bytes).is_err() {
            return Err(Errno::Inval);
        }
        let end = offset.checked_add(bytes).filter(|end| i64::try_from(*end).is_ok()).ok_or(Errno::Fbig)?;
        let mut state = self.handle.lock();
        if end > self.end(&mut state)? { resize(&mut state, self.handle.node, end) } else { Ok(()) }
    }

    fn advise(&self, _offset: u64, _bytes: u64, _advice: Advice) -> Result<(), Errno> {
        Ok(())
    }

    fn set_times(&self, accessed: NewTime, modified: NewTime) -> Result<(), Errno> {
        set_times(&mut self.handle.lock(), self.handle.node, accessed, modified)
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn flags(&self) -> Result<FileFlags, Errno> {
        Ok(self.open().flags)
    }

    fn set_flags(&self, flags: FileFlags) -> Result<(), Errno> {
        let (mut open, new) = (self.open(), normal(flags));
        if (new.sync, new.data_sync) != (open.flags.sync, open.flags.data_sync) {
            return Err(Errno::NotSup);
        }
        open.flags = new;
        Ok(())
    }

    fn host_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
