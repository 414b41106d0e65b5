//! Random sequences of preview 1 calls: the host's file system and one in memory answer alike, and as the rules say.
//!
//! Bytes are read as calls of [`FUNCTIONS`] by two guests, one with directories of the host, the other with the same ones
//! in memory. Error numbers and everything that a call writes into the guest's memory have to agree, but for file numbers and
//! times. Beside them stands what the [specification](https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md)
//! says without a file system: which call needs which right of which descriptor, that rights only shrink, which number a new
//! descriptor gets, what a clock says, which subscriptions are due.
//!
//! Invariant: what lies beside the directories that were given, and in the one that was given for reading, stays as it was;
//! no descriptor is one of those files.
//!
//! Does not know: how rights are checked, paths confined, times counted.

use super::descriptors::Resource;
use super::{FUNCTIONS, GuestMemory};
use crate::host::clock::Clocks;
use crate::host::fs::random::{Choices, Seen, beside, plant};
use crate::host::fs::{Access, Dir, MemoryFs, MemoryLimits};
use crate::{Errno, WasiCtx, WasiCtxBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Most calls of a case.
const CALLS_MAX: usize = 150;
/// Bytes of a guest's memory.
const MEMORY_BYTES: usize = 0x8000;
/// Where things lie in it: two paths, buffers, results, bytes, events, subscriptions.
const PATH: u32 = 0x100;
const SECOND_PATH: u32 = 0x400;
const BUFFERS: u32 = 0x700;
const RESULT: u32 = 0x800;
const BYTES: u32 = 0x1000;
const BYTES_MAX: u32 = 0x1000;
const EVENTS: u32 = 0x3000;
const SUBSCRIPTIONS: u32 = 0x4000;

/// The first descriptors, after the streams: a directory, one for reading only, another one.
const DIR: u32 = 3;
const LAST_PREOPEN: u32 = 5;
/// Descriptors that calls name: a few more than are usually open.
const DESCRIPTORS: usize = 12;

/// Nanoseconds by which reading a clock moves it.
const STEP: u64 = 7;

/// Which rights (bits) a call needs of the descriptor that is its n-th argument.
const NEEDS: &[(&str, usize, u64)] = &[
    ("fd_datasync", 0, 1),
    ("fd_read", 0, 1 << 1),
    ("fd_pread", 0, 1 << 1 | 1 << 2),
    ("fd_fdstat_set_flags", 0, 1 << 3),
    ("fd_sync", 0, 1 << 4),
    ("fd_tell", 0, 1 << 5),
    ("fd_write", 0, 1 << 6),
    ("fd_pwrite", 0, 1 << 6 | 1 << 2),
    ("fd_advise", 0, 1 << 7),
    ("fd_allocate", 0, 1 << 8),
    ("path_create_directory", 0, 1 << 9),
    ("path_link", 0, 1 << 11),
    ("path_link", 4, 1 << 12),
    ("path_open", 0, 1 << 13),
    ("fd_readdir", 0, 1 << 14),
    ("path_readlink", 0, 1 << 15),
    ("path_rename", 0, 1 << 16),
    ("path_rename", 3, 1 << 17),
    ("path_filestat_get", 0, 1 << 18),
    ("path_filestat_set_times", 0, 1 << 20),
    ("fd_filestat_get", 0, 1 << 21),
    ("fd_filestat_set_size", 0, 1 << 22),
    ("fd_filestat_set_times", 0, 1 << 23),
    ("path_symlink", 2, 1 << 24),
    ("path_remove_directory", 0, 1 << 25),
    ("path_unlink_file", 0, 1 << 26),
];
const RIGHT_SEEK: u64 = 1 << 2;
const RIGHT_TELL: u64 = 1 << 5;
const RIGHT_CREATE_FILE: u64 = 1 << 10;
const RIGHT_SET_SIZE: u64 = 1 << 19;

/// A call: its name and arguments.
#[derive(Clone, Debug)]
struct Call {
    name: &'static str,
    args: Vec<u64>,
}

impl Call {
    fn new<const N: usize>(name: &'static str, args: [u64; N]) -> Call {
        Call { name, args: args.to_vec() }
    }

    fn arg(&self, at: usize) -> u64 {
        self.args.get(at).copied().unwrap_or(0)
    }

    /// What it needs: descriptors and bits.
    fn needs(&self) -> Vec<(u32, u64)> {
        let rows = NEEDS.iter().filter(|(name, ..)| *name == self.name);
        let mut needs: Vec<(u32, u64)> = rows.map(|(_, at, bits)| (self.arg(*at) as u32, *bits)).collect();
        let fd = self.arg(0) as u32;
        match self.name {
            "fd_seek" if self.arg(1) == 0 && self.arg(2) == 1 => needs.push((fd, RIGHT_TELL)),
            "fd_seek" => needs.push((fd, RIGHT_SEEK)),
            "path_open" => {
                let flags = self.arg(4);
                needs.push((fd, if flags & 1 != 0 { RIGHT_CREATE_FILE } else { 0 }));
                needs.push((fd, if flags & 8 != 0 { RIGHT_SET_SIZE } else { 0 }));
            }
            _ => {}
        }
        needs
    }
}

fn text(memory: &mut [u8], at: u32, path: &str) -> (u64, u64) {
    memory[at as usize..][..path.len()].copy_from_slice(path.as_bytes());
    (u64::from(at), path.len() as u64)
}

fn put(memory: &mut [u8], at: u32, bytes: &[u8]) {
    memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
}

fn word(memory: &[u8], at: u32) -> u32 {
    let bytes = &memory[at as usize..][..4];
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn long(memory: &[u8], at: u32) -> u64 {
    u64::from(word(memory, at)) | u64::from(word(memory, at + 4)) << 32
}

/// A set of rights to ask for.
fn rights(choices: &mut Choices<'_>) -> u64 {
    match choices.below(8) {
        0 => 0,
        1 => 1 << 1,
        2 => 1 << 6,
        3 => !(1 << choices.below(27)),
        4 => 1 << 1 | 1 << 2 | 1 << 5 | 1 << 21,
        _ => (1 << 30) - 1,
    }
}

/// Two buffers in the guest's memory, of which the second may be empty; their bytes are `fill`.
fn buffers(choices: &mut Choices<'_>, memory: &mut [u8]) -> u64 {
    let (first, second) = (choices.byte(), choices.below(3) as u8 * 40);
    let fill = choices.byte();
    memory[BYTES as usize..][..1024].fill(fill);
    for (at, (address, length)) in [(BYTES, u32::from(first)), (BYTES + 512, u32::from(second))].into_iter().enumerate()
    {
        put(memory, BUFFERS + at as u32 * 8, &address.to_le_bytes());
        put(memory, BUFFERS + at as u32 * 8 + 4, &length.to_le_bytes());
    }
    2
}

/// A path; more often than not one that has been there from the start.
fn path(choices: &mut Choices<'_>) -> String {
    const PLANTED: [&str; 6] = ["file", "dir", "dir/b", "link", "dir/a", "."];
    if choices.byte() < 140 { PLANTED[choices.below(PLANTED.len())].to_owned() } else { choices.path() }
}

fn on_path(choices: &mut Choices<'_>, memory: &mut [u8], kind: u8) -> Call {
    let fd = descriptor(choices);
    let (path, length) = text(memory, PATH, &path(choices));
    let follow = u64::from(choices.byte() & 1);
    match kind {
        0..=6 => {
            let flags = u64::from(choices.byte() & choices.byte() & 15);
            let (base, inheriting) = (rights(choices), rights(choices));
            let append = u64::from(choices.byte() & 7 == 7);
            let args = [fd, follow, path, length, flags, base, inheriting, append, RESULT.into()];
            Call::new("path_open", args)
        }
        7 => Call::new("path_create_directory", [fd, path, length]),
        8 => Call::new("path_filestat_get", [fd, follow, path, length, RESULT.into()]),
        9 => {
            let flags = u64::from(choices.byte() & 5);
            Call::new("path_filestat_set_times", [fd, follow, path, length, 1_000_000, 2_000_000, flags])
        }
        10 => Call::new("path_readlink", [fd, path, length, BYTES.into(), choices.below(20) as u64, RESULT.into()]),
        11 => Call::new("path_remove_directory", [fd, path, length]),
        12 => Call::new("path_unlink_file", [fd, path, length]),
        13 => {
            let (target, target_length) = text(memory, SECOND_PATH, &choices.path());
            Call::new("path_symlink", [target, target_length, fd, path, length])
        }
        _ => {
            let new_fd = descriptor(choices);
            let (new_path, new_length) = text(memory, SECOND_PATH, &choices.path());
            match kind {
                14 => Call::new("path_link", [fd, 0, path, length, new_fd, new_path, new_length]),
                _ => Call::new("path_rename", [fd, path, length, new_fd, new_path, new_length]),
            }
        }
    }
}

fn descriptor(choices: &mut Choices<'_>) -> u64 {
    let any = choices.byte();
    // Directories that were given have to be met more often than the rest.
    if any < 150 { u64::from(DIR) + u64::from(any % 3) } else { u64::from(any) % DESCRIPTORS as u64 }
}

/// Gives up a right or any, of what there is; the first directory keeps its own, or nothing would happen any more.
fn give_up(choices: &mut Choices<'_>, rules: &Rules) -> Call {
    let fd = descriptor(choices).max(u64::from(DIR) + 1);
    let (base, inheriting) = rules.descriptors.get(fd as usize).copied().flatten().unwrap_or_default();
    // Rights that only one of several conditions of a call asks for.
    const SECOND: [u32; 4] = [10, 12, 17, 19];
    let bit = if choices.byte() < 128 { SECOND[choices.below(4)] } else { choices.below(27) as u32 };
    let kept = match choices.byte() {
        0..=191 => !(1 << bit),
        _ => rights(choices),
    };
    Call::new("fd_fdstat_set_rights", [fd, base & kept, inheriting & !(1 << choices.below(27))])
}

fn on_descriptor(choices: &mut Choices<'_>, memory: &mut [u8], rules: &Rules, kind: u8) -> Call {
    let fd = (choices.below(DESCRIPTORS - 6) + 6) as u64;
    let result = u64::from(RESULT);
    let offset = choices.offset();
    match kind {
        0 | 1 => Call::new("fd_read", [fd, BUFFERS.into(), buffers(choices, memory), result]),
        2 => Call::new("fd_pread", [fd, BUFFERS.into(), buffers(choices, memory), offset, result]),
        3 | 4 => Call::new("fd_write", [fd, BUFFERS.into(), buffers(choices, memory), result]),
        5 => Call::new("fd_pwrite", [fd, BUFFERS.into(), buffers(choices, memory), offset, result]),
        6 | 7 => {
            let signed = (offset.cast_signed() - 2000).cast_unsigned();
            let whence = choices.below(4) as u64;
            Call::new("fd_seek", [fd, if choices.byte() < 60 { 0 } else { signed }, whence, result])
        }
        8 => Call::new("fd_tell", [fd, result]),
        9 => Call::new("fd_filestat_get", [fd, result]),
        10 => Call::new("fd_filestat_set_size", [fd, offset]),
        11 => Call::new("fd_filestat_set_times", [fd, 3_000_000, 4_000_000, u64::from(choices.byte() & 5)]),
        12 => Call::new("fd_fdstat_get", [descriptor(choices), result]),
        13 => Call::new("fd_fdstat_set_flags", [fd, u64::from(choices.byte() & 1)]),
        14 => Call::new("fd_fdstat_set_rights", [fd, rights(choices), rights(choices)]),
        15 | 16 => give_up(choices, rules),
        17 => Call::new("fd_renumber", [fd, (choices.below(DESCRIPTORS - 6) + 6) as u64]),
        18 => Call::new("fd_sync", [fd]),
        19 => Call::new("fd_datasync", [fd]),
        20 => Call::new("fd_advise", [fd, offset, 10, choices.below(8) as u64]),
        _ => Call::new("fd_close", [fd]),
    }
}

fn on_clocks(choices: &mut Choices<'_>, memory: &mut [u8], kind: u8) -> Call {
    let id = choices.below(5) as u64;
    match kind {
        0 => Call::new("clock_res_get", [id, RESULT.into()]),
        1 => Call::new("clock_time_get", [id, 0, RESULT.into()]),
        _ => {
            let count = 1 + choices.below(3) as u32;
            for at in 0..count {
                let record = SUBSCRIPTIONS + at * 48;
                memory[record as usize..][..48].fill(0);
                put(memory, record, &(1000 + u64::from(at)).to_le_bytes());
                put(memory, record + 16, &(choices.below(2) as u32).to_le_bytes());
                put(memory, record + 24, &choices.offset().to_le_bytes());
                put(memory, record + 40, &(choices.below(2) as u16).to_le_bytes());
            }
            Call::new("poll_oneoff", [SUBSCRIPTIONS.into(), EVENTS.into(), u64::from(count), RESULT.into()])
        }
    }
}

fn next_call(choices: &mut Choices<'_>, memory: &mut [u8], rules: &Rules) -> Call {
    match choices.byte() {
        kind @ 0..=139 => on_path(choices, memory, kind % 17),
        kind @ 140..=219 => on_descriptor(choices, memory, rules, kind % 24),
        220..=239 => {
            Call::new("fd_readdir", [descriptor(choices), BYTES.into(), 40 + choices.byte() as u64, 0, RESULT.into()])
        }
        kind => on_clocks(choices, memory, kind % 4),
    }
}

/// One of the two, with what it has.
struct Guest {
    name: &'static str,
    ctx: WasiCtx,
}

impl Guest {
    fn new(name: &'static str, dirs: [Dir; 3]) -> Guest {
        let mut builder = WasiCtxBuilder::new();
        for (dir, name) in dirs.into_iter().zip(["/", "/read-only", "/other"]) {
            builder.preopened(dir, name);
        }
        builder.clocks(Clocks::Stepping { now: 0, step: STEP });
        Guest { name, ctx: builder.build() }
    }

    fn call(&mut self, memory: &mut [u8], call: &Call) -> Errno {
        let Some(function) = FUNCTIONS.iter().find(|function| function.name == call.name) else { return Errno::NoSys };
        let result = (function.call)(&mut self.ctx, &mut GuestMemory::new(memory), &call.args);
        result.err().unwrap_or(Errno::Success)
    }

    /// Reads a directory to its end, however little fits at once: names with types.
    fn read_dir(&mut self, memory: &mut [u8], call: &Call) -> Result<BTreeMap<Vec<u8>, u8>, Errno> {
        let (mut names, mut call) = (BTreeMap::new(), call.clone());
        for _ in 0..400 {
            match self.call(memory, &call) {
                Errno::Success => {}
                error => return Err(error),
            }
            let used = word(memory, RESULT);
            let (mut at, end) = (BYTES, BYTES + used);
            while at + 24 <= end && at + 24 + word(memory, at + 16) <= end {
                let (name, length) = (at + 24, word(memory, at + 16));
                let kind = memory[at as usize + 20];
                let name = memory[name as usize..][..length as usize].to_vec();
                call.args[3] = long(memory, at);
                if names.insert(name, kind).is_some() {
                    // A name that comes twice: nothing that a file system in which nobody else writes may say.
                    return Err(Errno::Again);
                }
                at += 24 + length;
            }
            if u64::from(used) < call.arg(2) {
                return Ok(names);
            }
            if at == BYTES {
                // The longest names there are do not fit: more room.
                call.args[2] = u64::from(BYTES_MAX) / 2;
            }
        }
        Err(Errno::Loop)
    }

    /// What a descriptor is on the host.
    fn inode(&self, fd: u32) -> Option<u64> {
        match &self.ctx.descriptors.get(fd).ok()?.resource {
            Resource::Dir(dir) => dir.metadata().ok().map(|metadata| metadata.inode),
            Resource::File(file) => file.metadata().ok().map(|metadata| metadata.inode),
            _ => None,
        }
    }
}

/// What has to be, whatever the file systems say.
struct Rules {
    /// Rights and inheriting rights by descriptor.
    descriptors: Vec<Option<(u64, u64)>>,
    now: u64,
}

impl Rules {
    /// Whether a call lacks a right.
    fn refuses(&self, call: &Call) -> bool {
        let has = |fd: u32| self.descriptors.get(fd as usize).copied().flatten().map_or(0, |(base, _)| base);
        call.needs().iter().any(|(fd, bits)| has(*fd) & bits != *bits)
    }

    /// What a clock's call has to answer, and write.
    fn check_clock(&mut self, call: &Call, errno: Errno, memory: &[u8]) -> Result<(), String> {
        let expected = if call.arg(0) > 3 { Errno::Inval } else { Errno::Success };
        if errno != expected {
            return Err(format!("{errno:?} instead of {expected:?}"));
        }
        if errno != Errno::Success {
            return Ok(());
        }
        let (at, expected) = match call.name {
            "clock_res_get" => (RESULT, STEP),
            _ => (RESULT, self.now),
        };
        if call.name == "clock_time_get" {
            self.now += STEP;
        }
        match long(memory, at) {
            found if found == expected => Ok(()),
            found => Err(format!("{found} instead of {expected} nanoseconds")),
        }
    }

    /// Which subscriptions have to be due, and that they were reported.
    fn check_poll(&mut self, call: &Call, errno: Errno, memory: &[u8]) -> Result<(), String> {
        if errno != Errno::Success {
            return Err(format!("{errno:?} of clocks that there are"));
        }
        let due = (0..call.arg(2) as u32).map(|at| {
            let record = SUBSCRIPTIONS + at * 48;
            let timeout = long(memory, record + 24);
            if word(memory, record + 40) & 1 == 0 {
                return timeout;
            }
            let now = self.now;
            self.now += STEP;
            timeout.saturating_sub(now)
        });
        let due: Vec<u64> = due.collect();
        let elapsed = due.iter().copied().min().unwrap_or(0);
        self.now += elapsed;
        let expected = (0..).zip(&due).filter(|(_, due)| **due <= elapsed).map(|(at, _)| 1000 + at);
        let expected: Vec<u64> = expected.collect();
        let found: Vec<u64> = (0..word(memory, RESULT).min(8)).map(|at| long(memory, EVENTS + at * 32)).collect();
        if found == expected { Ok(()) } else { Err(format!("events {found:?} instead of {expected:?}")) }
    }

    /// Notes what a call that succeeded has changed.
    fn follow(&mut self, call: &Call, guest: &mut Guest, memory: &[u8]) -> Result<(), String> {
        let (fd, mut scratch) = (call.arg(0) as usize, memory.to_vec());
        match call.name {
            "path_open" => {
                let new = word(memory, RESULT);
                let lowest = self.descriptors.iter().position(Option::is_none).unwrap_or(self.descriptors.len());
                if new as usize != lowest {
                    return Err(format!("descriptor {new} instead of {lowest}"));
                }
                let (_, parent) = self.descriptors.get(fd).copied().flatten().unwrap_or_default();
                guest.call(&mut scratch, &Call::new("fd_fdstat_get", [new.into(), RESULT.into()]));
                let (base, inheriting) = (long(&scratch, RESULT + 8), long(&scratch, RESULT + 16));
                if base & !(call.arg(5) & parent) != 0 || inheriting & !(call.arg(6) & parent) != 0 {
                    return Err(format!("rights {base:#x} and {inheriting:#x} through a directory with {parent:#x}"));
                }
                if lowest == self.descriptors.len() {
                    self.descriptors.push(None);
                }
                self.descriptors[lowest] = Some((base, inheriting));
            }
            "fd_fdstat_set_rights" => {
                let row = self.descriptors.get_mut(fd).and_then(Option::as_mut).ok_or("rights of nothing")?;
                if call.arg(1) & !row.0 != 0 || call.arg(2) & !row.1 != 0 {
                    return Err("rights were added".to_owned());
                }
                *row = (call.arg(1), call.arg(2));
            }
            "fd_renumber" if fd != call.arg(1) as usize => {
                let moved = self.descriptors.get_mut(fd).and_then(Option::take);
                let to = self.descriptors.get_mut(call.arg(1) as usize).ok_or("a number that was not open")?;
                *to = moved;
            }
            "fd_close" => {
                let row = self.descriptors.get_mut(fd).ok_or("a number that was not open")?;
                *row = None;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Hides what file systems may choose: numbers of devices and files, times, links and sizes of directories.
fn hide(call: &Call, memory: &mut [u8]) {
    if matches!(call.name, "fd_filestat_get" | "path_filestat_get") {
        let record = &mut memory[RESULT as usize..][..64];
        record[..16].fill(0);
        record[40..].fill(0);
        if record[16] == 3 {
            record[24..40].fill(0);
        }
    }
}

/// Folders whose files nobody may change or open for writing.
const UNTOUCHED: &[&str] = &["canary", "read-only"];

fn folders(temp: &Path) -> std::io::Result<()> {
    for folder in ["root", "read-only", "other", "canary", "canary/a"] {
        std::fs::create_dir(temp.join(folder))?;
    }
    for file in ["canary/b", "canary/a/file"] {
        std::fs::write(temp.join(file), "canary")?;
    }
    Ok(())
}

fn guests(temp: &Path) -> Result<[Guest; 2], String> {
    let host = |name: &str| Dir::open_ambient(&temp.join(name), Access::READ_WRITE).map_err(|error| error.to_string());
    let memory = MemoryFs::new(MemoryLimits::default()).root(Access::READ_WRITE);
    let inside = |name: &str| {
        use crate::host::fs::{OpenOptions, Opened};
        memory.create_dir(name).map_err(|error| error.to_string())?;
        let options = OpenOptions { read: true, directory: true, ..OpenOptions::default() };
        match memory.open(name, &options) {
            Ok(Opened::Dir(dir)) => Ok(dir),
            _ => Err(format!("no directory {name} in memory")),
        }
    };
    let names = ["root", "read-only", "other"];
    let make = |dirs: [Dir; 3]| -> Result<[Dir; 3], String> {
        for dir in &dirs {
            plant(dir).map_err(|error| format!("the first tree: {error}"))?;
        }
        let [root, read_only, other] = dirs;
        Ok([root, read_only.read_only(), other])
    };
    let on_host = [host(names[0])?, host(names[1])?, host(names[2])?];
    let in_memory = [inside(names[0])?, inside(names[1])?, inside(names[2])?];
    Ok([Guest::new("host", make(on_host)?), Guest::new("memory", make(in_memory)?)])
}

/// Makes the calls that the bytes stand for; how many there were.
///
/// # Errors
///
/// Where the two disagree, or with the rules: which call, and how.
pub fn check(bytes: &[u8]) -> Result<usize, String> {
    let temp = tempfile::tempdir().map_err(|error| error.to_string())?;
    folders(temp.path()).map_err(|error| error.to_string())?;
    let mut guests = guests(temp.path())?;
    let seen = || beside(temp.path(), UNTOUCHED).map_err(|error| error.to_string());
    let before = seen()?;
    let outside = outside(temp.path(), &before)?;
    let mut rules = Rules { descriptors: Vec::new(), now: 0 };
    let (mut choices, mut memory, mut history) = (Choices(bytes), vec![0; MEMORY_BYTES], Vec::new());
    for fd in 0..=LAST_PREOPEN {
        let mut scratch = memory.clone();
        guests[0].call(&mut scratch, &Call::new("fd_fdstat_get", [fd.into(), RESULT.into()]));
        rules.descriptors.push(Some((long(&scratch, RESULT + 8), long(&scratch, RESULT + 16))));
    }
    while !choices.0.is_empty() && history.len() < CALLS_MAX {
        let call = next_call(&mut choices, &mut memory, &rules);
        history.push(format!("{} {:?}", call.name, call.args));
        step(&mut guests, &mut rules, &call, &mut memory)
            .and_then(|()| confined(&guests[0], &outside))
            .map_err(|what| format!("{what}, after:\n{}", history.join("\n")))?;
    }
    match seen()? == before {
        true => Ok(history.len()),
        false => Err(format!("files that may not be reached have changed, after:\n{}", history.join("\n"))),
    }
}

/// Numbers of the files that no descriptor may be: the canary's, and the folder in which all lies.
fn outside(temp: &Path, before: &BTreeMap<PathBuf, Seen>) -> Result<BTreeSet<u64>, String> {
    use std::os::unix::fs::MetadataExt;
    let canary = before.iter().filter(|(path, _)| path.starts_with(temp.join("canary")));
    let mut inodes: BTreeSet<u64> = canary.map(|(_, (inode, ..))| *inode).collect();
    inodes.insert(std::fs::metadata(temp).map_err(|error| error.to_string())?.ino());
    Ok(inodes)
}

fn confined(guest: &Guest, outside: &BTreeSet<u64>) -> Result<(), String> {
    let open = (0..DESCRIPTORS as u32 * 2).filter_map(|fd| Some((fd, guest.inode(fd)?)));
    match open.into_iter().find(|(_, inode)| outside.contains(inode)) {
        Some((fd, _)) => Err(format!("descriptor {fd} lies outside")),
        None => Ok(()),
    }
}

fn step(guests: &mut [Guest; 2], rules: &mut Rules, call: &Call, memory: &mut Vec<u8>) -> Result<(), String> {
    let refused = rules.refuses(call);
    let [first, second] = guests;
    let (mut one, mut other) = (memory.clone(), memory.clone());
    if call.name == "fd_readdir" {
        let (a, b) = (first.read_dir(&mut one, call), second.read_dir(&mut other, call));
        if a != b || refused && a.is_ok() {
            return Err(format!("{}: {a:?}, {}: {b:?}, refused: {refused}", first.name, second.name));
        }
        return Ok(());
    }
    let (errno, other_errno) = (first.call(&mut one, call), second.call(&mut other, call));
    if errno != other_errno {
        return Err(format!("{}: {errno:?}, {}: {other_errno:?}", first.name, second.name));
    }
    if refused && errno == Errno::Success {
        return Err("a call succeeded without its rights".to_owned());
    }
    hide(call, &mut one);
    hide(call, &mut other);
    if one != other {
        let at = one.iter().zip(&other).position(|(a, b)| a != b).unwrap_or(0);
        return Err(format!("byte {at:#x} of memory: {:#x} and {:#x}", one[at], other[at]));
    }
    match call.name {
        "clock_res_get" | "clock_time_get" => rules.check_clock(call, errno, &one)?,
        "poll_oneoff" => rules.check_poll(call, errno, &one)?,
        _ if errno == Errno::Success => rules.follow(call, first, &one)?,
        _ => {}
    }
    *memory = one;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::host::random::split_mix;

    #[test]
    fn guests_agree() {
        let (mut calls, mut wrong) = (0, Vec::new());
        for seed in 0..60 {
            let mut state = seed;
            let bytes: Vec<u8> = (0..250).flat_map(|_| split_mix(&mut state).to_le_bytes()).collect();
            match check(&bytes) {
                Ok(done) => calls += done,
                Err(what) => wrong.push(format!("seed {seed}: {what}")),
            }
        }
        let shown = wrong[..wrong.len().min(3)].join("\n\n");
        assert!(wrong.is_empty(), "{} cases, the first ones:\n{shown}", wrong.len());
        assert_eq!(calls, 60 * 150);
    }
}
