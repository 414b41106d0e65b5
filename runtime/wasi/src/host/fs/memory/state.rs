//! The nodes of a file system in memory, and how paths lead to them.
//!
//! Invariant: a node lives as long as a name or an open handle refers to it; its index is not given to another one before.
//! Whatever a guest creates is charged to the limits first. Paths are resolved with a list, never by recursion.
//!
//! Does not know: handles, positions, who holds the lock.

use super::super::{Dir, FileKind, Metadata};
use super::beneath::LowerFile;
use crate::Errno;
use crate::host::clock::{Clock, Clocks};
use std::collections::BTreeMap;

/// Links followed in one resolution, as many as Linux does.
const LINKS_MAX: u32 = 40;
/// Bytes of a path, as Linux has it.
pub const PATH_BYTES_MAX: usize = 4095;
/// Bytes of a name in a path.
const NAME_BYTES_MAX: usize = 255;
/// What a name, a node or an entry costs besides its bytes.
const NODE_BYTES: u64 = 256;

/// How much a file system in memory may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes of contents, names and what they are kept in.
    pub bytes_max: u64,
    /// Files, directories and links.
    pub nodes_max: usize,
}

impl Default for MemoryLimits {
    /// 256 MiB in a hundred thousand files.
    fn default() -> MemoryLimits {
        MemoryLimits { bytes_max: 256 << 20, nodes_max: 100_000 }
    }
}

/// A node's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeIndex(usize);

/// The root directory, which is never removed.
pub const ROOT: NodeIndex = NodeIndex(0);

/// What a node holds.
#[derive(Debug)]
pub enum Content {
    File(Vec<u8>),
    Dir(Directory),
    Link(String),
    /// A file of the directory beneath that nobody has written to.
    Lower(LowerFile),
}

/// Names of a directory.
#[derive(Debug)]
pub struct Directory {
    pub parent: NodeIndex,
    names: BTreeMap<String, (u64, NodeIndex)>,
    /// Names by cookie: the order in which they were made, so that reading goes on where it was.
    order: BTreeMap<u64, String>,
    next: u64,
    /// The directory beneath, by parent and name, while its entries are not here yet.
    pub beneath: Option<(Dir, String)>,
}

/// The first cookie of a name; below are `.` and `..`.
const COOKIE_FIRST: u64 = 3;

/// A file, directory or link.
#[derive(Debug)]
pub struct Inode {
    number: u64,
    /// Names; of a directory, 1 as long as it is not removed.
    pub links: u64,
    pub opens: u64,
    pub accessed: u64,
    pub modified: u64,
    pub changed: u64,
    pub content: Content,
}

/// Where a path leads.
#[derive(Debug)]
pub enum Found {
    /// To a node.
    Node(NodeIndex),
    /// To a name that is free, in a directory.
    Free { dir: NodeIndex, name: String },
}

/// The directory that holds the last component of a path, and that component.
#[derive(Debug)]
pub struct Last<'a> {
    pub dir: NodeIndex,
    pub name: &'a str,
    /// The path ended in a slash.
    pub slash: bool,
}

impl Last<'_> {
    /// Whether the name is `.` or `..`, which is no name of an entry.
    pub fn is_dots(&self) -> bool {
        matches!(self.name, "." | "..")
    }
}

/// All nodes.
#[derive(Debug)]
pub struct State {
    nodes: Vec<Option<Inode>>,
    free: Vec<usize>,
    limits: MemoryLimits,
    used_bytes: u64,
    numbers: u64,
    clocks: Clocks,
}

impl State {
    pub fn new(limits: MemoryLimits, clocks: Clocks, beneath: Option<Dir>) -> State {
        let mut state = State { nodes: Vec::new(), free: Vec::new(), limits, used_bytes: 0, numbers: 1, clocks };
        let beneath = beneath.map(|dir| (dir, ".".to_owned()));
        // The root costs nothing, so that it can always be made.
        let root = state.inode(Content::Dir(Directory::new(ROOT, beneath)));
        state.nodes.push(Some(Inode { links: 1, ..root }));
        state
    }

    pub fn now(&mut self) -> u64 {
        self.clocks.now(Clock::Realtime).unwrap_or(0)
    }

    fn inode(&mut self, content: Content) -> Inode {
        let now = self.now();
        self.numbers += 1;
        Inode { number: self.numbers, links: 0, opens: 0, accessed: now, modified: now, changed: now, content }
    }

    /// The node at an index that something refers to.
    pub fn node(&self, index: NodeIndex) -> Result<&Inode, Errno> {
        self.nodes.get(index.0).and_then(Option::as_ref).ok_or(Errno::Stale)
    }

    pub fn node_mut(&mut self, index: NodeIndex) -> Result<&mut Inode, Errno> {
        self.nodes.get_mut(index.0).and_then(Option::as_mut).ok_or(Errno::Stale)
    }

    pub fn dir(&self, index: NodeIndex) -> Result<&Directory, Errno> {
        match &self.node(index)?.content {
            Content::Dir(dir) => Ok(dir),
            _ => Err(Errno::NotDir),
        }
    }

    pub fn dir_mut(&mut self, index: NodeIndex) -> Result<&mut Directory, Errno> {
        match &mut self.node_mut(index)?.content {
            Content::Dir(dir) => Ok(dir),
            _ => Err(Errno::NotDir),
        }
    }

    /// Takes bytes from the limit.
    pub fn charge(&mut self, bytes: u64) -> Result<(), Errno> {
        let used = self.used_bytes.saturating_add(bytes);
        if used > self.limits.bytes_max {
            return Err(Errno::NoSpc);
        }
        self.used_bytes = used;
        Ok(())
    }

    /// Gives bytes back.
    pub fn refund(&mut self, bytes: u64) {
        self.used_bytes = self.used_bytes.saturating_sub(bytes);
    }

    /// A new node without a name.
    pub fn insert(&mut self, content: Content) -> Result<NodeIndex, Errno> {
        if self.nodes.len() - self.free.len() >= self.limits.nodes_max {
            return Err(Errno::NoSpc);
        }
        self.charge(NODE_BYTES + content.bytes())?;
        let inode = self.inode(content);
        let at = self.free.pop().unwrap_or(self.nodes.len());
        if at == self.nodes.len() {
            self.nodes.push(None);
        }
        self.nodes[at] = Some(inode);
        Ok(NodeIndex(at))
    }

    /// Removes a node that nothing refers to any more.
    pub fn release(&mut self, index: NodeIndex) {
        let unused = self.node(index).is_ok_and(|node| node.links == 0 && node.opens == 0);
        if unused
            && index != ROOT
            && let Some(node) = self.nodes[index.0].take()
        {
            self.refund(NODE_BYTES + node.content.bytes());
            self.free.push(index.0);
        }
    }

    /// A directory that has not been removed.
    fn live(&self, index: NodeIndex) -> Result<&Directory, Errno> {
        if self.node(index)?.links == 0 { Err(Errno::NoEnt) } else { self.dir(index) }
    }

    /// The node with a name; its directory has been listed.
    pub fn lookup(&mut self, dir: NodeIndex, name: &str) -> Result<Option<NodeIndex>, Errno> {
        // A removed directory has no names of any length: hosts say so first.
        self.live(dir)?;
        if name.len() > NAME_BYTES_MAX {
            return Err(Errno::NameTooLong);
        }
        self.list(dir)?;
        Ok(self.dir(dir)?.names.get(name).map(|(_, node)| *node))
    }

    /// Gives a node a name.
    pub fn bind(&mut self, dir: NodeIndex, name: &str, node: NodeIndex) -> Result<(), Errno> {
        self.charge(NODE_BYTES + name.len() as u64)?;
        let now = self.now();
        let directory = self.dir_mut(dir)?;
        let cookie = directory.next;
        directory.next += 1;
        directory.order.insert(cookie, name.to_owned());
        directory.names.insert(name.to_owned(), (cookie, node));
        let inode = self.node_mut(dir)?;
        (inode.modified, inode.changed) = (now, now);
        let inode = self.node_mut(node)?;
        inode.links += 1;
        inode.changed = now;
        if let Content::Dir(child) = &mut inode.content {
            child.parent = dir;
        }
        Ok(())
    }

    /// Takes a name away; the node stays as long as it is referred to.
    pub fn unbind(&mut self, dir: NodeIndex, name: &str) -> Result<NodeIndex, Errno> {
        let now = self.now();
        let directory = self.dir_mut(dir)?;
        let (cookie, node) = directory.names.remove(name).ok_or(Errno::NoEnt)?;
        directory.order.remove(&cookie);
        self.refund(NODE_BYTES + name.len() as u64);
        let inode = self.node_mut(dir)?;
        (inode.modified, inode.changed) = (now, now);
        let inode = self.node_mut(node)?;
        inode.links -= 1;
        inode.changed = now;
        Ok(node)
    }

    /// Removes a name, and its node with it when it was the last.
    pub fn remove(&mut self, dir: NodeIndex, name: &str) -> Result<(), Errno> {
        let node = self.unbind(dir, name)?;
        self.release(node);
        Ok(())
    }

    /// A new node with a name.
    pub fn create(&mut self, dir: NodeIndex, name: &str, content: Content) -> Result<NodeIndex, Errno> {
        self.live(dir)?;
        let node = self.insert(content)?;
        match self.bind(dir, name, node) {
            Ok(()) => Ok(node),
            Err(error) => {
                self.release(node);
                Err(error)
            }
        }
    }

    /// Where a path leads, from a directory that it may not leave. A link in the last place is followed if asked for, or
    /// if the path ends in a slash; then what is found is a directory.
    pub fn find(&mut self, start: NodeIndex, path: &str, follow: bool) -> Result<Found, Errno> {
        self.find_or_create(start, path, follow, false)
    }

    /// As [`State::find`], for a call that may create a file: a name with a slash after it is none
    /// ([`Errno::IsDir`], before it is looked up).
    pub fn find_or_create(&mut self, start: NodeIndex, path: &str, follow: bool, create: bool) -> Result<Found, Errno> {
        let mut walk = Walk { entered: vec![start], pending: Vec::new(), links: 0, slash: false };
        walk.push(path, 0)?;
        while let Some(component) = walk.pending.pop() {
            let here = *walk.entered.last().ok_or(Errno::Perm)?;
            let is_last = walk.pending.is_empty();
            let node = match component.as_str() {
                "." => here,
                ".." => {
                    walk.entered.pop();
                    *walk.entered.last().ok_or(Errno::Perm)?
                }
                _ if is_last && create && walk.slash => return Err(Errno::IsDir),
                name => match self.lookup(here, name)? {
                    Some(node) => node,
                    None if is_last => return Ok(Found::Free { dir: here, name: component }),
                    None => return Err(Errno::NoEnt),
                },
            };
            match &self.node(node)?.content {
                Content::Link(target) if !is_last || follow || walk.slash => {
                    let (target, rest) = (target.clone(), walk.rest_bytes());
                    walk.links += 1;
                    if walk.links > LINKS_MAX {
                        return Err(Errno::Loop);
                    }
                    walk.push(&target, rest)?;
                    continue;
                }
                Content::Dir(_) if !matches!(component.as_str(), "." | "..") => walk.entered.push(node),
                Content::Dir(_) => {}
                _ if !is_last || walk.slash => return Err(Errno::NotDir),
                _ => {}
            }
            if is_last {
                return Ok(Found::Node(node));
            }
        }
        Err(Errno::NoEnt)
    }

    /// The node that a path leads to.
    pub fn existing(&mut self, start: NodeIndex, path: &str, follow: bool) -> Result<NodeIndex, Errno> {
        match self.find(start, path, follow)? {
            Found::Node(node) => Ok(node),
            Found::Free { .. } => Err(Errno::NoEnt),
        }
    }

    /// The directory of a path's last component, which is not looked at.
    pub fn last<'a>(&mut self, start: NodeIndex, path: &'a str) -> Result<Last<'a>, Errno> {
        if path.starts_with('/') {
            return Err(Errno::Perm);
        }
        if path.is_empty() {
            return Err(Errno::NoEnt);
        }
        let trimmed = path.trim_end_matches('/');
        let at = trimmed.rfind('/').map_or(0, |slash| slash + 1);
        let dir = match at {
            0 => start,
            _ => self.existing(start, &path[..at], true)?,
        };
        Ok(Last { dir, name: &trimmed[at..], slash: trimmed.len() < path.len() })
    }

    /// Whether `inner` is `outer` or lies beneath it.
    pub fn lies_in(&self, outer: NodeIndex, inner: NodeIndex) -> Result<bool, Errno> {
        let mut at = inner;
        while at != outer {
            let parent = self.dir(at)?.parent;
            if parent == at || at == ROOT {
                return Ok(false);
            }
            at = parent;
        }
        Ok(true)
    }

    /// What is known about a node.
    pub fn metadata(&mut self, index: NodeIndex) -> Result<Metadata, Errno> {
        self.learn(index)?;
        let node = self.node(index)?;
        let subdirectories = |dir: &Directory| {
            let is_dir = |node: &NodeIndex| self.node(*node).is_ok_and(|node| matches!(node.content, Content::Dir(_)));
            dir.names.values().filter(|(_, node)| is_dir(node)).count() as u64
        };
        let (kind, size_bytes, links) = match &node.content {
            Content::File(bytes) => (FileKind::Regular, bytes.len() as u64, node.links),
            Content::Dir(dir) if node.links > 0 => (FileKind::Directory, 4096, 2 + subdirectories(dir)),
            Content::Dir(_) => (FileKind::Directory, 4096, 0),
            Content::Link(target) => (FileKind::SymbolicLink, target.len() as u64, node.links),
            Content::Lower(file) => (FileKind::Regular, file.size_bytes(), node.links),
        };
        let (accessed, modified, changed) = (node.accessed, node.modified, node.changed);
        Ok(Metadata { device: 0, inode: node.number, kind, links, size_bytes, accessed, modified, changed })
    }

    /// The entry at a cookie or after it: where to go on, its name and its node.
    pub fn entry_from(&self, index: NodeIndex, cookie: u64) -> Result<Option<(u64, &str, NodeIndex)>, Errno> {
        let dir = self.live(index)?;
        Ok(match cookie {
            0 | 1 => Some((2, ".", index)),
            2 => Some((COOKIE_FIRST, "..", dir.parent)),
            _ => dir.order.range(cookie..).next().and_then(|(cookie, name)| {
                let (_, node) = dir.names.get(name)?;
                Some((cookie + 1, name.as_str(), *node))
            }),
        })
    }
}

impl Content {
    pub fn kind(&self) -> FileKind {
        match self {
            Content::File(_) | Content::Lower(_) => FileKind::Regular,
            Content::Dir(_) => FileKind::Directory,
            Content::Link(_) => FileKind::SymbolicLink,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Content::File(bytes) => bytes.len() as u64,
            Content::Link(target) => target.len() as u64,
            Content::Dir(_) | Content::Lower(_) => 0,
        }
    }
}

impl Inode {
    /// The file number.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Directory {
    pub fn new(parent: NodeIndex, beneath: Option<(Dir, String)>) -> Directory {
        Directory { parent, names: BTreeMap::new(), order: BTreeMap::new(), next: COOKIE_FIRST, beneath }
    }

    /// Whether it has no names.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// The state of a resolution: directories entered so far, components still to come (the last one first).
struct Walk {
    entered: Vec<NodeIndex>,
    pending: Vec<String>,
    links: u32,
    /// The last component has to be a directory.
    slash: bool,
}

impl Walk {
    fn rest_bytes(&self) -> usize {
        self.pending.iter().map(|component| component.len() + 1).sum()
    }

    /// Puts a path in front of what is still to come.
    fn push(&mut self, path: &str, rest_bytes: usize) -> Result<(), Errno> {
        if path.starts_with('/') {
            return Err(Errno::Perm);
        }
        if path.is_empty() {
            return Err(Errno::NoEnt);
        }
        if path.len() + rest_bytes > PATH_BYTES_MAX {
            return Err(Errno::NameTooLong);
        }
        if self.pending.is_empty() && path.ends_with('/') {
            self.slash = true;
        }
        self.pending.extend(path.split('/').rev().filter(|part| !part.is_empty()).map(str::to_owned));
        Ok(())
    }
}
