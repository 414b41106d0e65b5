//! Random sequences of file operations: the host's file system, with either way to resolve paths, one in memory and an
//! overlay answer alike.
//!
//! Bytes are read as operations on a few open directories and files. Each is done four times; results and error numbers
//! have to agree, and so have the trees in the end.
//!
//! Invariant: what lies beside the directory that was given stays as it was, nothing that is opened is there, and the
//! directory beneath the overlay is never written to.
//!
//! Does not know: faces, descriptors' numbers.

use super::{
    Access, Dir, File, FileFlags, FileKind, HostDir, MemoryFs, MemoryLimits, Metadata, NewTime, OpenOptions, Opened,
    Resolver, Seek,
};
use crate::Errno;
use rustix::io::{IoSlice, IoSliceMut};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Handles that are kept open, of either kind.
const SLOTS: usize = 5;
/// Most operations of a case.
const OPERATIONS_MAX: usize = 200;
/// Most bytes of a file that are read or written at once, and of an offset.
const BYTES_MAX: u64 = 5000;

/// Names that paths are made of; few, so that they meet.
const NAMES: &[&str] = &["a", "b", "c", "file", "link", "dir", ".", "..", "a", "b"];

/// Bytes as choices; zeros when there are no more.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl Choices<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub(crate) fn offset(&mut self) -> u64 {
        (u64::from(self.byte()) << 8 | u64::from(self.byte())) % BYTES_MAX
    }

    pub(crate) fn path(&mut self) -> String {
        let shape = self.byte();
        let count = 1 + usize::from(shape % 8 >= 4) + usize::from(shape % 8 == 7);
        let names: Vec<_> = (0..count).map(|_| NAMES[self.below(NAMES.len())]).collect();
        let path = names.join(if shape & 0x10 == 0 { "/" } else { "//" });
        match shape >> 5 {
            0 if shape & 0x18 == 0x18 => String::new(),
            1 if shape & 0x18 == 0x18 => "x".repeat(256),
            2 if shape & 8 != 0 => path + "/",
            3 if shape & 0x18 == 0x18 => format!("/{path}"),
            4 if shape & 8 != 0 => format!("../{path}"),
            _ => path,
        }
    }

    fn options(&mut self) -> OpenOptions {
        let (bits, more) = (self.byte(), self.byte());
        let bit = |at: u8| bits >> at & 1 != 0;
        OpenOptions {
            follow: bit(0),
            read: bit(1),
            write: bit(2),
            create: bit(3),
            exclusive: bit(4) && bit(5),
            truncate: bit(6) && more & 1 != 0,
            directory: bit(7) && more & 2 != 0,
            flags: FileFlags { append: more & 12 == 12, ..FileFlags::default() },
        }
    }
}

/// An operation, with slots of directories and files.
#[derive(Clone, Debug)]
enum Operation {
    Open { dir: usize, path: String, options: OpenOptions, slot: usize },
    Stat { dir: usize, path: String, follow: bool },
    CreateDir { dir: usize, path: String },
    RemoveDir { dir: usize, path: String },
    RemoveFile { dir: usize, path: String },
    Rename { dir: usize, path: String, new_dir: usize, new_path: String },
    HardLink { dir: usize, path: String, new_dir: usize, new_path: String },
    SymbolicLink { dir: usize, path: String, target: String },
    ReadLink { dir: usize, path: String },
    Entries { dir: usize },
    SetTimes { dir: usize, path: String, follow: bool, time: u64 },
    Read { file: usize, bytes: u64 },
    ReadAt { file: usize, bytes: u64, offset: u64 },
    Write { file: usize, bytes: u64, fill: u8 },
    WriteAt { file: usize, bytes: u64, offset: u64, fill: u8 },
    Append { file: usize, bytes: u64, fill: u8 },
    Seek { file: usize, to: Seek },
    SetSize { file: usize, bytes: u64 },
    SetFlags { file: usize, append: bool },
    StatFile { file: usize },
    Close { slot: usize },
}

fn operation(choices: &mut Choices<'_>) -> Operation {
    let kind = choices.byte();
    let dir = choices.below(SLOTS);
    let file = dir;
    let small = |choices: &mut Choices<'_>| choices.offset() % 300;
    match kind % 32 {
        0..=6 => Operation::Open { dir, path: choices.path(), options: choices.options(), slot: choices.below(SLOTS) },
        7 => Operation::Stat { dir, path: choices.path(), follow: choices.byte() & 1 == 0 },
        8 | 9 => Operation::CreateDir { dir, path: choices.path() },
        10 => Operation::RemoveDir { dir, path: choices.path() },
        11 => Operation::RemoveFile { dir, path: choices.path() },
        12..=14 => {
            let (path, new_dir) = (choices.path(), choices.below(SLOTS));
            Operation::Rename { dir, path, new_dir, new_path: choices.path() }
        }
        15 => {
            let (path, new_dir) = (choices.path(), choices.below(SLOTS));
            Operation::HardLink { dir, path, new_dir, new_path: choices.path() }
        }
        16..=18 => Operation::SymbolicLink { dir, path: choices.path(), target: choices.path() },
        19 => Operation::ReadLink { dir, path: choices.path() },
        20 => Operation::Entries { dir },
        21 => {
            let (path, follow) = (choices.path(), choices.byte() & 1 == 0);
            Operation::SetTimes { dir, path, follow, time: 1_000_000_000 + choices.offset() }
        }
        22 => Operation::Read { file, bytes: small(choices) },
        23 => Operation::ReadAt { file, bytes: small(choices), offset: choices.offset() },
        24 => Operation::Write { file, bytes: small(choices), fill: choices.byte() },
        25 => Operation::WriteAt { file, bytes: small(choices), offset: choices.offset(), fill: choices.byte() },
        26 => Operation::Append { file, bytes: small(choices), fill: choices.byte() },
        27 => {
            let offset = choices.offset();
            let signed = offset.cast_signed() - BYTES_MAX.cast_signed() / 2;
            let to = [Seek::Start(offset), Seek::Current(signed), Seek::End(signed)];
            Operation::Seek { file, to: to[choices.below(3)] }
        }
        28 => Operation::SetSize { file, bytes: choices.offset() },
        29 => Operation::SetFlags { file, append: choices.byte() & 1 == 0 },
        30 => Operation::StatFile { file },
        _ => Operation::Close { slot: dir },
    }
}

/// Folders that no operation may change.
const UNTOUCHED: &[&str] = &["canary", "lower"];

/// One of the file systems, with what is open in it.
struct World {
    name: &'static str,
    root: Dir,
    dirs: Vec<Option<Dir>>,
    files: Vec<Option<File>>,
}

/// What can be compared of metadata: times are the file systems' own, and so are links and sizes of directories.
fn comparable(metadata: &Metadata) -> (FileKind, Option<(u64, u64)>) {
    let of_file = (metadata.kind != FileKind::Directory).then_some((metadata.size_bytes, metadata.links));
    (metadata.kind, of_file)
}

fn listing(dir: &Dir) -> Result<BTreeMap<String, FileKind>, Errno> {
    let mut names = BTreeMap::new();
    let mut cookie = 0;
    loop {
        // A few at a time, so that reading goes on from a cookie.
        let mut left = 3;
        let before = names.len();
        dir.entries(cookie, |entry| {
            names.insert(String::from_utf8_lossy(entry.name).into_owned(), entry.kind);
            cookie = entry.next;
            left -= 1;
            left > 0
        })?;
        if names.len() == before {
            return Ok(names);
        }
    }
}

fn contents(file: &File) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; 4 * BYTES_MAX as usize];
    let count = file.read_at(&mut [IoSliceMut::new(&mut bytes)], 0)?;
    bytes.truncate(count);
    Ok(bytes)
}

impl World {
    fn new(name: &'static str, root: Dir) -> World {
        let mut dirs = vec![None; SLOTS];
        dirs[0] = Some(root.clone());
        // What is opened through it may be looked at only.
        dirs[1] = Some(root.clone().read_only());
        World { name, root, dirs, files: vec![None; SLOTS] }
    }

    /// Whether an operation would change something through a directory that may only be looked at.
    fn forbids(&self, operation: &Operation) -> bool {
        let read_only = |slot: &usize| !self.dir(*slot).access().write;
        match operation {
            Operation::Open { dir, options, .. } => {
                read_only(dir) && (options.write || options.create || options.truncate)
            }
            Operation::CreateDir { dir, .. }
            | Operation::RemoveDir { dir, .. }
            | Operation::RemoveFile { dir, .. }
            | Operation::SymbolicLink { dir, .. }
            | Operation::SetTimes { dir, .. } => read_only(dir),
            Operation::Rename { dir, new_dir, .. } | Operation::HardLink { dir, new_dir, .. } => {
                read_only(dir) || read_only(new_dir)
            }
            _ => false,
        }
    }

    fn dir(&self, slot: usize) -> &Dir {
        self.dirs[slot].as_ref().unwrap_or(&self.root)
    }

    /// Does an operation; what came of it, as text.
    fn perform(&mut self, operation: &Operation) -> String {
        match operation {
            Operation::Open { dir, path, options, slot } => {
                let opened = self.dir(*dir).open(path, options);
                let text = opened.as_ref().map(|opened| match opened {
                    Opened::Dir(_) => FileKind::Directory,
                    Opened::File(file) => file.kind(),
                });
                let text = format!("{text:?}");
                match opened {
                    Ok(Opened::Dir(dir)) => self.dirs[*slot] = Some(dir),
                    Ok(Opened::File(file)) => self.files[*slot] = Some(file),
                    Err(_) => {}
                }
                text
            }
            Operation::Stat { dir, path, follow } => {
                format!("{:?}", self.dir(*dir).metadata_at(path, *follow).map(|metadata| comparable(&metadata)))
            }
            Operation::CreateDir { dir, path } => format!("{:?}", self.dir(*dir).create_dir(path)),
            Operation::RemoveDir { dir, path } => format!("{:?}", self.dir(*dir).remove_dir(path)),
            Operation::RemoveFile { dir, path } => format!("{:?}", self.dir(*dir).remove_file(path)),
            Operation::Rename { dir, path, new_dir, new_path } => {
                format!("{:?}", self.dir(*dir).rename(path, self.dir(*new_dir), new_path))
            }
            Operation::HardLink { dir, path, new_dir, new_path } => {
                format!("{:?}", self.dir(*dir).hard_link(path, self.dir(*new_dir), new_path))
            }
            Operation::SymbolicLink { dir, path, target } => {
                format!("{:?}", self.dir(*dir).symbolic_link(target, path))
            }
            Operation::ReadLink { dir, path } => format!("{:?}", self.dir(*dir).read_link(path)),
            Operation::Entries { dir } => format!("{:?}", listing(self.dir(*dir))),
            Operation::SetTimes { dir, path, follow, time } => {
                let set = self.dir(*dir).set_times_at(path, *follow, NewTime::Keep, NewTime::At(*time));
                let read = self.dir(*dir).metadata_at(path, *follow).map(|metadata| metadata.modified);
                format!("{:?}", set.and(read))
            }
            Operation::Close { slot } => {
                self.files[*slot] = None;
                self.dirs[*slot] = None;
                String::new()
            }
            _ => self.on_file(operation),
        }
    }

    fn on_file(&self, operation: &Operation) -> String {
        let with = |slot: usize, ask: &dyn Fn(&File) -> String| self.files[slot].as_ref().map_or(String::new(), ask);
        let bytes = |count: u64, fill: u8| vec![fill; count as usize];
        match operation {
            Operation::Read { file, bytes: count } => with(*file, &|file| {
                let mut buffer = bytes(*count, 0);
                let read = file.read(&mut [IoSliceMut::new(&mut buffer)]);
                format!("{read:?} {buffer:?}")
            }),
            Operation::ReadAt { file, bytes: count, offset } => with(*file, &|file| {
                let mut buffer = bytes(*count, 0);
                let (first, second) = buffer.split_at_mut(*count as usize / 2);
                let read = file.read_at(&mut [IoSliceMut::new(first), IoSliceMut::new(second)], *offset);
                format!("{read:?} {buffer:?}")
            }),
            Operation::Write { file, bytes: count, fill } => {
                with(*file, &|file| format!("{:?}", file.write(&[IoSlice::new(&bytes(*count, *fill))])))
            }
            Operation::WriteAt { file, bytes: count, offset, fill } => {
                with(*file, &|file| format!("{:?}", file.write_at(&[IoSlice::new(&bytes(*count, *fill))], *offset)))
            }
            Operation::Append { file, bytes: count, fill } => {
                with(*file, &|file| format!("{:?}", file.append(&[IoSlice::new(&bytes(*count, *fill))])))
            }
            Operation::Seek { file, to } => with(*file, &|file| format!("{:?}", file.seek(*to))),
            Operation::SetSize { file, bytes } => with(*file, &|file| format!("{:?}", file.set_size(*bytes))),
            Operation::SetFlags { file, append } => with(*file, &|file| {
                let set = file.set_flags(FileFlags { append: *append, ..FileFlags::default() });
                format!("{:?} {:?}", set, file.flags())
            }),
            Operation::StatFile { file } => {
                with(*file, &|file| format!("{:?}", file.metadata().map(|metadata| comparable(&metadata))))
            }
            _ => String::new(),
        }
    }

    /// Every name with what it stands for.
    fn tree(&self) -> Result<BTreeMap<String, String>, Errno> {
        let mut rows = BTreeMap::new();
        let mut open = vec![(String::new(), self.root.clone())];
        while let Some((prefix, dir)) = open.pop() {
            for (name, kind) in listing(&dir)?.into_iter().filter(|(name, _)| !matches!(name.as_str(), "." | "..")) {
                let options = OpenOptions { read: true, ..OpenOptions::default() };
                let path = format!("{prefix}/{name}");
                let what = match kind {
                    FileKind::SymbolicLink => format!("{:?}", dir.read_link(&name)),
                    _ => match dir.open(&name, &options)? {
                        Opened::Dir(dir) => {
                            open.push((path.clone(), dir));
                            "directory".to_owned()
                        }
                        Opened::File(file) => {
                            format!("{:?} {:?}", comparable(&file.metadata()?), contents(&file)?)
                        }
                    },
                };
                rows.insert(path, what);
            }
        }
        Ok(rows)
    }
}

/// Makes the tree that every case starts from.
pub(crate) fn plant(dir: &Dir) -> Result<(), Errno> {
    dir.create_dir("dir")?;
    dir.create_dir("dir/a")?;
    let options = OpenOptions { write: true, create: true, ..OpenOptions::default() };
    for path in ["file", "dir/b"] {
        let Opened::File(file) = dir.open(path, &options)? else { return Err(Errno::Io) };
        file.write(&[IoSlice::new(path.as_bytes())])?;
    }
    dir.symbolic_link("dir/b", "link")?;
    dir.symbolic_link("../..", "dir/c")
}

/// A file as it was: its number, when it was changed, and its contents.
pub(crate) type Seen = (u64, i64, i64, Vec<u8>);

/// What lies in these folders of one, by path: numbers, times and contents.
pub(crate) fn beside(folder: &Path, names: &[&str]) -> std::io::Result<BTreeMap<PathBuf, Seen>> {
    let mut rows = BTreeMap::new();
    let mut open: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    while let Some(path) = open.pop() {
        let metadata = std::fs::symlink_metadata(&path)?;
        let mut bytes = Vec::new();
        if metadata.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if metadata.is_file() {
            bytes = std::fs::read(&path)?;
        }
        rows.insert(path, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), bytes));
    }
    Ok(rows)
}

/// Does the operations that the bytes stand for; how many there were.
///
/// # Errors
///
/// Where the file systems differ, or something outside the directory was reached: which operation, and how.
pub fn check(bytes: &[u8]) -> Result<usize, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let temp = tempfile::tempdir().map_err(|error| text(&error))?;
    for folder in ["root", "walked", "lower", "canary", "canary/a"] {
        std::fs::create_dir(temp.path().join(folder)).map_err(|error| text(&error))?;
    }
    for file in ["canary/b", "canary/a/file"] {
        std::fs::write(temp.path().join(file), "canary").map_err(|error| text(&error))?;
    }
    let ambient = |name: &str| Dir::open_ambient(&temp.path().join(name), Access::READ_WRITE);
    let (host, lower) =
        (ambient("root").map_err(|error| text(&error))?, ambient("lower").map_err(|error| text(&error))?);
    let walked = HostDir::open_ambient(&temp.path().join("walked")).map_err(|error| text(&error))?;
    let walked = Dir::new(Arc::new(walked.resolved_by(Resolver::Walk)), Access::READ_WRITE);
    let memory = MemoryFs::new(MemoryLimits::default()).root(Access::READ_WRITE);
    for dir in [&host, &walked, &lower, &memory] {
        plant(dir).map_err(|error| format!("the first tree: {error}"))?;
    }
    let overlay = MemoryFs::over(lower, MemoryLimits::default()).root(Access::READ_WRITE);
    let before = beside(temp.path(), UNTOUCHED).map_err(|error| text(&error))?;
    let mut outside: BTreeSet<u64> = before.values().map(|(inode, ..)| *inode).collect();
    outside.insert(std::fs::metadata(temp.path()).map_err(|error| text(&error))?.ino());
    let mut worlds = [
        World::new("host", host),
        World::new("host without openat2", walked),
        World::new("memory", memory),
        World::new("overlay", overlay),
    ];

    let (mut choices, mut done) = (Choices(bytes), 0);
    let mut history = Vec::new();
    while !choices.0.is_empty() && done < OPERATIONS_MAX {
        let operation = operation(&mut choices);
        let forbidden = worlds[0].forbids(&operation);
        let [expected, rest @ ..] = worlds.each_mut().map(|world| (world.name, world.perform(&operation)));
        history.push(format!("{operation:?} -> {}", expected.1));
        for (name, result) in rest {
            if result != expected.1 {
                let story = history.join("\n");
                return Err(format!(
                    "{name} says {result}, the host {}, to {operation:?}, after:\n{story}",
                    expected.1
                ));
            }
        }
        if forbidden && expected.1.starts_with("Ok") {
            return Err(format!("a change through a read-only directory, after:\n{}", history.join("\n")));
        }
        for world in &worlds[..2] {
            escaped(world, &outside)
                .map_err(|what| format!("{}: {what}, after:\n{}", world.name, history.join("\n")))?;
        }
        done += 1;
    }
    let trees = worlds.each_ref().map(|world| format!("{:#?}", world.tree()));
    for (world, tree) in worlds.iter().zip(&trees) {
        if *tree != trees[0] {
            return Err(format!(
                "{} ends with {tree}\nthe host with {}, after:\n{}",
                world.name,
                trees[0],
                history.join("\n")
            ));
        }
    }
    let after = beside(temp.path(), UNTOUCHED).map_err(|error| text(&error))?;
    if before == after {
        Ok(done)
    } else {
        Err(format!("what lies beside has changed, after:\n{}", history.join("\n")))
    }
}

/// Whether a handle of the host lies outside.
fn escaped(world: &World, outside: &BTreeSet<u64>) -> Result<(), String> {
    let dirs = world.dirs.iter().flatten().map(Dir::metadata);
    let files = world.files.iter().flatten().map(File::metadata);
    for metadata in dirs.chain(files).flatten() {
        if outside.contains(&metadata.inode) {
            return Err(format!("an open handle is outside: {metadata:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::host::random::split_mix;

    #[test]
    fn file_systems_agree() {
        let (mut operations, mut wrong) = (0, Vec::new());
        for seed in 0..20 {
            let mut state = seed;
            let bytes: Vec<u8> = (0..160).flat_map(|_| split_mix(&mut state).to_le_bytes()).collect();
            match check(&bytes) {
                Ok(done) => operations += done,
                Err(what) => wrong.push(format!("seed {seed}: {what}")),
            }
        }
        assert!(
            wrong.is_empty(),
            "{} cases, the first ones:\n{}",
            wrong.len(),
            wrong[..wrong.len().min(4)].join("\n\n")
        );
        assert_eq!(operations, 20 * 200);
    }
}
