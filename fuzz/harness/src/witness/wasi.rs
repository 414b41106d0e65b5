//! Witnesses of the faults in WASI: a few calls of preview 1 each, on a directory of the host.
//!
//! Invariant: without a fault each passes, on a fresh directory with the file `file`, the directory `dir` and the link `link`
//! to the file.
//!
//! Does not know: which fault is on.

use super::Check;
use std::io::IoSlice;
use wattest_wasi::host::clock::Clocks;
use wattest_wasi::host::fs::{Access, Dir, OpenOptions, Opened};
use wattest_wasi::preview1::{FUNCTIONS, GuestMemory};
use wattest_wasi::{Errno, WasiCtx, WasiCtxBuilder};

/// The rows.
pub(super) const CHECKS: &[(&str, Check)] = &[
    ("wasi_path_escapes", || one(Errno::Perm, |guest| guest.open("dir/../../beside", 0, ALL, ALL))),
    ("wasi_trailing_slash_lost", || one(Errno::NotDir, |guest| guest.with_path("path_unlink_file", "file/"))),
    ("wasi_hard_link_follows", wasi_hard_link_follows),
    ("wasi_exclusive_ignored", || one(Errno::Exist, |guest| guest.open("file", CREATE | EXCLUSIVE, ALL, ALL))),
    ("wasi_append_at_start", wasi_append_at_start),
    ("wasi_cookie_of_the_entry", wasi_cookie_of_the_entry),
    ("wasi_seek_end_as_current", || value(6, |guest| guest.seek(1, 2))),
    ("wasi_pread_moves", wasi_pread_moves),
    ("wasi_wrong_errno", || one(Errno::NotEmpty, |guest| guest.with_path("path_remove_directory", "dir"))),
    ("wasi_truncate_without_right", wasi_truncate_without_right),
    ("wasi_rights_widen", wasi_rights_widen),
    ("wasi_set_rights_adds", wasi_set_rights_adds),
    ("wasi_rename_target_unchecked", wasi_rename_target_unchecked),
    ("wasi_read_only_rename_target", wasi_read_only_rename_target),
    ("wasi_unknown_clock", || one(Errno::Inval, |guest| guest.call("clock_time_get", &[4, 0, RESULT]))),
    ("wasi_poll_absolute_as_relative", wasi_poll_absolute_as_relative),
];

const PATH: u64 = 0x100;
const SECOND_PATH: u64 = 0x200;
const RESULT: u64 = 0x300;
const RECORD: u64 = 0x400;
const EVENTS: u64 = 0x500;
const BYTES: u64 = 0x600;

const CREATE: u64 = 1;
const DIRECTORY: u64 = 2;
const EXCLUSIVE: u64 = 4;
const TRUNCATE: u64 = 8;

const ALL: u64 = (1 << 30) - 1;
const READ: u64 = 1 << 1;
const SET_SIZE: u64 = 1 << 19;
const RENAME_TARGET: u64 = 1 << 17;

/// The directory that the guest is given.
const DIR: u64 = 3;
/// The first descriptor that it opens.
const FIRST: u64 = 4;

struct Guest {
    folder: tempfile::TempDir,
    ctx: WasiCtx,
    memory: Vec<u8>,
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn folder() -> std::io::Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let inside = folder.path().join("inside");
    std::fs::create_dir_all(inside.join("dir/inner"))?;
    std::fs::write(folder.path().join("beside"), "beside")?;
    std::fs::write(inside.join("file"), "bytes")?;
    std::os::unix::fs::symlink("file", inside.join("link"))?;
    Ok(folder)
}

impl Guest {
    fn new() -> Result<Guest, String> {
        let folder = folder().map_err(text)?;
        let mut builder = WasiCtxBuilder::new();
        builder.preopened_dir(folder.path().join("inside"), "/", Access::READ_WRITE).map_err(text)?;
        builder.clocks(Clocks::Stepping { now: 1000, step: 1 });
        Ok(Guest { ctx: builder.build(), folder, memory: vec![0; 0x1000] })
    }

    fn call(&mut self, name: &str, args: &[u64]) -> Errno {
        let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else { return Errno::NoSys };
        (function.call)(&mut self.ctx, &mut GuestMemory::new(&mut self.memory), args).err().unwrap_or(Errno::Success)
    }

    fn put(&mut self, at: u64, bytes: &[u8]) -> u64 {
        self.memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
        bytes.len() as u64
    }

    fn number(&self, at: u64) -> u64 {
        self.memory[at as usize..][..8].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn with_path(&mut self, name: &str, path: &str) -> Errno {
        let length = self.put(PATH, path.as_bytes());
        self.call(name, &[DIR, PATH, length])
    }

    fn open_from(&mut self, dir: u64, path: &str, flags: u64, base: u64, inheriting: u64) -> Errno {
        let length = self.put(PATH, path.as_bytes());
        self.call("path_open", &[dir, 1, PATH, length, flags, base, inheriting, 0, RESULT])
    }

    fn open(&mut self, path: &str, flags: u64, base: u64, inheriting: u64) -> Errno {
        self.open_from(DIR, path, flags, base, inheriting)
    }

    /// Opens `file`; where a seek to `offset` from an origin leads.
    fn seek(&mut self, offset: u64, whence: u64) -> Result<u64, String> {
        done(self.open("file", 0, ALL, ALL))?;
        done(self.call("fd_seek", &[FIRST, offset, whence, RESULT]))?;
        Ok(self.number(RESULT))
    }

    fn core_dir(&self, access: Access) -> Result<Dir, String> {
        Dir::open_ambient(&self.folder.path().join("inside"), access).map_err(text)
    }
}

fn done(errno: Errno) -> Result<(), String> {
    same(errno, Errno::Success)
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{found:?} instead of {expected:?}")) }
}

fn one(expected: Errno, call: impl FnOnce(&mut Guest) -> Errno) -> Result<(), String> {
    same(call(&mut Guest::new()?), expected)
}

fn value(expected: u64, ask: impl FnOnce(&mut Guest) -> Result<u64, String>) -> Result<(), String> {
    same(ask(&mut Guest::new()?)?, expected)
}

fn wasi_hard_link_follows() -> Result<(), String> {
    let mut guest = Guest::new()?;
    let (length, new_length) = (guest.put(PATH, b"link"), guest.put(SECOND_PATH, b"other"));
    done(guest.call("path_link", &[DIR, 0, PATH, length, DIR, SECOND_PATH, new_length]))?;
    let metadata = std::fs::symlink_metadata(guest.folder.path().join("inside/other")).map_err(text)?;
    same(metadata.is_symlink(), true)
}

fn wasi_append_at_start() -> Result<(), String> {
    let guest = Guest::new()?;
    let options = OpenOptions { write: true, ..OpenOptions::default() };
    let Opened::File(file) = guest.core_dir(Access::READ_WRITE)?.open("file", &options).map_err(text)? else {
        return Err("a directory".to_owned());
    };
    file.append(&[IoSlice::new(b"more")]).map_err(text)?;
    same(std::fs::read(guest.folder.path().join("inside/file")).map_err(text)?, b"bytesmore".to_vec())
}

fn wasi_cookie_of_the_entry() -> Result<(), String> {
    let mut guest = Guest::new()?;
    done(guest.call("fd_readdir", &[DIR, BYTES, 0x400, 0, RESULT]))?;
    same(guest.number(BYTES) == 0, false)
}

fn wasi_pread_moves() -> Result<(), String> {
    let mut guest = Guest::new()?;
    done(guest.open("file", 0, ALL, ALL))?;
    guest.put(RECORD, &(BYTES as u32).to_le_bytes());
    guest.put(RECORD + 4, &2_u32.to_le_bytes());
    done(guest.call("fd_pread", &[FIRST, RECORD, 1, 2, RESULT]))?;
    done(guest.call("fd_tell", &[FIRST, RESULT]))?;
    same(guest.number(RESULT), 0)
}

fn wasi_truncate_without_right() -> Result<(), String> {
    let mut guest = Guest::new()?;
    done(guest.call("fd_fdstat_set_rights", &[DIR, ALL & guest_rights(&guest)? & !SET_SIZE, 0]))?;
    same(guest.open("file", TRUNCATE, ALL, ALL), Errno::NotCapable)
}

/// The rights of the directory, which are fewer than there are.
fn guest_rights(guest: &Guest) -> Result<u64, String> {
    let mut scratch = Guest { folder: folder().map_err(text)?, ctx: Guest::new()?.ctx, memory: guest.memory.clone() };
    done(scratch.call("fd_fdstat_get", &[DIR, RECORD]))?;
    Ok(scratch.number(RECORD + 8))
}

fn wasi_rights_widen() -> Result<(), String> {
    let mut guest = Guest::new()?;
    let rights = guest_rights(&guest)?;
    done(guest.open("dir", DIRECTORY, rights, 0))?;
    done(guest.open_from(FIRST, "inner", DIRECTORY, rights, rights))?;
    done(guest.call("fd_fdstat_get", &[FIRST + 1, RECORD]))?;
    same(guest.number(RECORD + 8), 0)
}

fn wasi_set_rights_adds() -> Result<(), String> {
    let mut guest = Guest::new()?;
    done(guest.open("file", 0, READ, 0))?;
    same(guest.call("fd_fdstat_set_rights", &[FIRST, ALL, 0]), Errno::NotCapable)
}

fn wasi_rename_target_unchecked() -> Result<(), String> {
    let mut guest = Guest::new()?;
    let rights = guest_rights(&guest)?;
    done(guest.open("dir", DIRECTORY, rights & !RENAME_TARGET, 0))?;
    let (length, new_length) = (guest.put(PATH, b"file"), guest.put(SECOND_PATH, b"moved"));
    same(guest.call("path_rename", &[DIR, PATH, length, FIRST, SECOND_PATH, new_length]), Errno::NotCapable)
}

fn wasi_read_only_rename_target() -> Result<(), String> {
    let guest = Guest::new()?;
    let (from, to) = (guest.core_dir(Access::READ_WRITE)?, guest.core_dir(Access::READ_ONLY)?);
    same(from.rename("file", &to, "moved"), Err(Errno::Rofs))
}

fn wasi_poll_absolute_as_relative() -> Result<(), String> {
    let mut guest = Guest::new()?;
    // A moment before the clocks' present, and a duration that is longer than nothing.
    guest.put(RECORD, &7_u64.to_le_bytes());
    guest.put(RECORD + 24, &500_u64.to_le_bytes());
    guest.put(RECORD + 40, &1_u16.to_le_bytes());
    done(guest.call("poll_oneoff", &[RECORD, EVENTS, 1, RESULT]))?;
    done(guest.call("clock_time_get", &[1, 0, RESULT]))?;
    same(guest.number(RESULT), 1001)
}
