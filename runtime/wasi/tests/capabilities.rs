//! The preview 1 face on a bare byte slice: what a guest can and cannot reach.
//!
//! Invariant: no engine is involved; every call goes through the table of functions, as a guest's would.

use std::os::unix::fs::symlink;
use std::path::Path;
use wattest_wasi::host::clock::Clocks;
use wattest_wasi::host::fs::Access;
use wattest_wasi::host::random::Random;
use wattest_wasi::host::stdio::{InputBuffer, InputStream, OutputBuffer, OutputStream};
use wattest_wasi::preview1::{FUNCTIONS, GuestMemory};
use wattest_wasi::{Errno, WasiCtx, WasiCtxBuilder};

/// Where results are stored.
const OUT: u64 = 0;
/// Where a path lies.
const PATH: u64 = 1024;
/// Where a second path lies.
const PATH2: u64 = 2048;
/// Where buffers lie.
const BUFFER: u64 = 8192;
/// The first preopened directory.
const DIR: u64 = 3;

const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 6;
const READDIR: u64 = 1 << 14;
const ALL: u64 = (1 << 30) - 1;

const CREATE: u64 = 1;
const DIRECTORY: u64 = 2;
const EXCLUSIVE: u64 = 4;
const TRUNCATE: u64 = 8;

struct Guest {
    ctx: WasiCtx,
    memory: Vec<u8>,
    temp: tempfile::TempDir,
}

impl Guest {
    /// A guest with a directory `root` that has a secret beside it.
    fn new(access: Access) -> Guest {
        Guest::with(access, |_| {})
    }

    fn with(access: Access, configure: impl FnOnce(&mut WasiCtxBuilder)) -> Guest {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("root");
        std::fs::create_dir_all(root.join("sub/deep")).unwrap();
        std::fs::write(root.join("file"), "contents").unwrap();
        std::fs::write(temp.path().join("secret"), "secret").unwrap();
        std::fs::create_dir(temp.path().join("beside")).unwrap();
        symlink("../secret", root.join("outward")).unwrap();
        symlink("../beside", root.join("outward_dir")).unwrap();
        symlink(temp.path().join("secret"), root.join("absolute")).unwrap();
        symlink("../file", root.join("sub/inward")).unwrap();
        let mut builder = WasiCtxBuilder::new();
        builder.preopened_dir(&root, "/root", access).unwrap();
        configure(&mut builder);
        Guest { ctx: builder.build(), memory: vec![0; 65536], temp }
    }

    fn root(&self) -> std::path::PathBuf {
        self.temp.path().join("root")
    }

    fn call(&mut self, name: &str, args: &[u64]) -> Errno {
        let function = FUNCTIONS.iter().find(|function| function.name == name).unwrap();
        assert_eq!(function.params.len(), args.len(), "{name}");
        (function.call)(&mut self.ctx, &mut GuestMemory::new(&mut self.memory), args).err().unwrap_or(Errno::Success)
    }

    fn put(&mut self, address: u64, text: &str) -> [u64; 2] {
        self.memory[address as usize..address as usize + text.len()].copy_from_slice(text.as_bytes());
        [address, text.len() as u64]
    }

    fn u32_at(&self, address: u64) -> u32 {
        u32::from_le_bytes(self.memory[address as usize..address as usize + 4].try_into().unwrap())
    }

    fn u64_at(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.memory[address as usize..address as usize + 8].try_into().unwrap())
    }

    fn open(&mut self, path: &str, follow: u64, flags: u64, rights: u64) -> Result<u64, Errno> {
        let [address, len] = self.put(PATH, path);
        match self.call("path_open", &[DIR, follow, address, len, flags, rights, ALL, 0, OUT]) {
            Errno::Success => Ok(u64::from(self.u32_at(OUT))),
            error => Err(error),
        }
    }

    /// A call that takes one path after the directory.
    fn on_path(&mut self, name: &str, path: &str) -> Errno {
        let [address, len] = self.put(PATH, path);
        self.call(name, &[DIR, address, len])
    }

    fn buffer(&mut self, len: u32) {
        self.memory[64..68].copy_from_slice(&(BUFFER as u32).to_le_bytes());
        self.memory[68..72].copy_from_slice(&len.to_le_bytes());
    }

    fn read(&mut self, fd: u64, len: u32) -> Result<String, Errno> {
        self.buffer(len);
        match self.call("fd_read", &[fd, 64, 1, OUT]) {
            Errno::Success => {
                let bytes = &self.memory[BUFFER as usize..BUFFER as usize + self.u32_at(OUT) as usize];
                Ok(String::from_utf8(bytes.to_vec()).unwrap())
            }
            error => Err(error),
        }
    }

    fn write(&mut self, fd: u64, text: &str) -> Errno {
        self.put(BUFFER, text);
        self.buffer(text.len() as u32);
        self.call("fd_write", &[fd, 64, 1, OUT])
    }
}

#[test]
fn no_path_leads_out() {
    let mut guest = Guest::new(Access::READ_WRITE);
    let secret = guest.temp.path().join("secret").display().to_string();
    for path in ["..", "../secret", "sub/../../secret", "sub/deep/../../../secret", "outward", "absolute", &secret] {
        for follow in [0, 1] {
            let expected = match (path, follow) {
                // The link itself is inside, and is not a file to open.
                ("outward" | "absolute", 0) => Errno::Loop,
                _ => Errno::Perm,
            };
            assert_eq!(guest.open(path, follow, 0, READ), Err(expected), "{path}");
        }
        let [address, len] = guest.put(PATH, path);
        assert_eq!(guest.call("path_filestat_get", &[DIR, 1, address, len, OUT]), Errno::Perm, "{path}");
        assert_eq!(guest.call("path_filestat_set_times", &[DIR, 1, address, len, 0, 0, 5]), Errno::Perm, "{path}");
    }
    let paths = ["../new", "outward_dir/new", "sub/../../new", "/new"];
    for (name, path) in ["path_create_directory", "path_unlink_file", "path_remove_directory"]
        .into_iter()
        .flat_map(|name| paths.map(|path| (name, path)))
    {
        assert_eq!(guest.on_path(name, path), Errno::Perm, "{name} {path}");
    }
    for path in paths {
        let ([old, old_len], [new, new_len]) = (guest.put(PATH, "file"), guest.put(PATH2, path));
        assert_eq!(guest.call("path_rename", &[DIR, old, old_len, DIR, new, new_len]), Errno::Perm, "{path}");
        assert_eq!(guest.call("path_rename", &[DIR, new, new_len, DIR, old, old_len]), Errno::Perm, "{path}");
        assert_eq!(guest.call("path_link", &[DIR, 0, old, old_len, DIR, new, new_len]), Errno::Perm, "{path}");
        assert_eq!(guest.call("path_symlink", &[old, old_len, DIR, new, new_len]), Errno::Perm, "{path}");
        assert_eq!(guest.open(path, 1, CREATE, WRITE), Err(Errno::Perm), "{path}");
    }
    let left: Vec<_> = std::fs::read_dir(guest.temp.path().join("beside")).unwrap().collect();
    assert!(left.is_empty());
    assert_eq!(std::fs::read_to_string(guest.temp.path().join("secret")).unwrap(), "secret");
}

#[test]
fn a_trailing_slash_follows_no_link_out() {
    let mut guest = Guest::new(Access::READ_WRITE);
    let [address, len] = guest.put(PATH, "outward_dir/");
    for follow in [0, 1] {
        assert_eq!(guest.call("path_filestat_get", &[DIR, follow, address, len, OUT]), Errno::Perm);
    }
    assert_eq!(guest.open("outward_dir/", 0, DIRECTORY, READDIR), Err(Errno::Perm));
    let [new, new_len] = guest.put(PATH2, "moved");
    assert_eq!(guest.call("path_link", &[DIR, 0, address, len, DIR, new, new_len]), Errno::Perm);
    assert_ne!(guest.on_path("path_remove_directory", "outward_dir/"), Errno::Success);
    assert!(guest.temp.path().join("beside").is_dir());
}

#[test]
fn links_inside_are_followed() {
    let mut guest = Guest::new(Access::READ_WRITE);
    let fd = guest.open("sub/inward", 1, 0, READ).unwrap();
    assert_eq!(guest.read(fd, 100).as_deref(), Ok("contents"));
    let [address, len] = guest.put(PATH, "sub/inward");
    assert_eq!(guest.call("path_readlink", &[DIR, address, len, BUFFER, 4, OUT]), Errno::Success);
    assert_eq!(&guest.memory[BUFFER as usize..BUFFER as usize + 4], b"../f");
}

#[test]
fn a_read_only_directory_stays_as_it_is() {
    let mut guest = Guest::new(Access::READ_ONLY);
    assert_eq!(guest.open("file", 1, 0, WRITE), Err(Errno::Rofs));
    assert_eq!(guest.open("new", 1, CREATE, READ), Err(Errno::NotCapable));
    assert_eq!(guest.open("file", 1, TRUNCATE, READ), Err(Errno::NotCapable));
    for name in ["path_create_directory", "path_unlink_file", "path_remove_directory"] {
        assert_eq!(guest.on_path(name, "sub"), Errno::NotCapable, "{name}");
    }
    let fd = guest.open("file", 1, 0, READ).unwrap();
    assert_eq!(guest.read(fd, 3).as_deref(), Ok("con"));
    assert_eq!(guest.write(fd, "x"), Errno::NotCapable);
    // What is opened through it is no more capable.
    let sub = guest.open("sub", 1, DIRECTORY, ALL & !(WRITE | 1 << 8 | 1 << 22)).unwrap();
    let [address, len] = guest.put(PATH, "new");
    assert_eq!(guest.call("path_create_directory", &[sub, address, len]), Errno::NotCapable);
    assert_eq!(std::fs::read_to_string(guest.root().join("file")).unwrap(), "contents");
}

#[test]
fn rights_only_shrink() {
    let mut guest = Guest::new(Access::READ_WRITE);
    let fd = guest.open("file", 1, 0, READ | WRITE).unwrap();
    assert_eq!(guest.call("fd_fdstat_set_rights", &[fd, READ, 0]), Errno::Success);
    assert_eq!(guest.write(fd, "x"), Errno::NotCapable);
    assert_eq!(guest.call("fd_fdstat_set_rights", &[fd, READ | WRITE, 0]), Errno::NotCapable);
    assert_eq!(guest.call("fd_seek", &[fd, 0, 0, OUT]), Errno::NotCapable);
    // A directory's inheriting rights bound what is opened through it.
    assert_eq!(guest.call("fd_fdstat_set_rights", &[DIR, 1 << 13, READ]), Errno::Success);
    let fd = guest.open("file", 1, 0, READ).unwrap();
    assert_eq!(guest.call("fd_fdstat_get", &[fd, OUT]), Errno::Success);
    assert_eq!((guest.u64_at(OUT + 8), guest.u64_at(OUT + 16)), (READ, 0));
}

#[test]
fn errors_have_their_numbers() {
    let mut guest = Guest::new(Access::READ_WRITE);
    assert_eq!(guest.open("missing", 1, 0, READ), Err(Errno::NoEnt));
    assert_eq!(guest.open("", 1, 0, READ), Err(Errno::NoEnt));
    assert_eq!(guest.open("file/x", 1, 0, READ), Err(Errno::NotDir));
    assert_eq!(guest.open("file", 1, DIRECTORY, READ), Err(Errno::NotDir));
    assert_eq!(guest.open("file", 1, CREATE | EXCLUSIVE, READ), Err(Errno::Exist));
    assert_eq!(guest.open("x", 1, CREATE | DIRECTORY, READ), Err(Errno::Inval));
    assert_eq!(guest.open("file", 1, 16, READ), Err(Errno::Inval));
    assert_eq!(guest.open("file", 2, 0, READ), Err(Errno::Inval));
    assert_eq!(guest.open("sub", 1, DIRECTORY, WRITE), Err(Errno::IsDir));
    assert_eq!(guest.open("a\0b", 1, 0, READ), Err(Errno::Inval));
    assert_eq!(guest.open(&"x".repeat(256), 1, 0, READ), Err(Errno::NameTooLong));
    assert_eq!(guest.on_path("path_create_directory", "sub"), Errno::Exist);
    assert_eq!(guest.on_path("path_remove_directory", "sub"), Errno::NotEmpty);
    assert_eq!(guest.on_path("path_remove_directory", "file"), Errno::NotDir);
    assert_eq!(guest.on_path("path_unlink_file", "sub"), Errno::IsDir);
    guest.memory[PATH as usize] = 0xff;
    assert_eq!(guest.call("path_unlink_file", &[DIR, PATH, 1]), Errno::IlSeq);
    assert_eq!(guest.call("path_unlink_file", &[DIR, 65535, 2]), Errno::Fault);
    assert_eq!(guest.call("path_unlink_file", &[0, PATH, 1]), Errno::IlSeq);
    guest.put(PATH, "x");
    assert_eq!(guest.call("path_unlink_file", &[0, PATH, 1]), Errno::NotDir);
    assert_eq!(guest.call("path_unlink_file", &[99, PATH, 1]), Errno::BadF);
    assert_eq!(guest.call("path_unlink_file", &[u64::from(u32::MAX), PATH, 1]), Errno::BadF);
    assert_eq!(guest.call("fd_seek", &[1, 0, 0, OUT]), Errno::Spipe);
    assert_eq!(guest.read(1, 1), Err(Errno::BadF));
    assert_eq!(guest.write(0, "x"), Errno::BadF);
    assert_eq!(guest.read(DIR, 1), Err(Errno::BadF));
    assert_eq!(guest.call("fd_prestat_get", &[1, OUT]), Errno::BadF);
    assert_eq!(guest.call("fd_prestat_dir_name", &[DIR, BUFFER, 4]), Errno::NameTooLong);
    assert_eq!(guest.call("proc_raise", &[1]), Errno::NotSup);
    assert_eq!(guest.call("sock_shutdown", &[1, 0]), Errno::NotSock);
    assert_eq!(guest.call("sock_accept", &[DIR, 0, OUT]), Errno::NotSock);
    assert_eq!(guest.call("sock_recv", &[0, 0, 0, 0, OUT, OUT]), Errno::NotSock);
    assert_eq!(guest.call("sock_send", &[1, 0, 0, 0, OUT]), Errno::NotSock);
    assert_eq!(guest.call("sock_send", &[99, 0, 0, 0, OUT]), Errno::BadF);
}

#[test]
fn a_bad_pointer_has_no_other_effect() {
    let mut guest = Guest::new(Access::READ_WRITE);
    let [address, len] = guest.put(PATH, "created");
    let result = guest.call("path_open", &[DIR, 1, address, len, CREATE, WRITE, 0, 0, 65533]);
    assert_eq!(result, Errno::Fault);
    assert!(!guest.root().join("created").exists());
    let fd = guest.open("file", 1, 0, READ | WRITE).unwrap();
    guest.put(BUFFER, "XX");
    guest.buffer(2);
    assert_eq!(guest.call("fd_write", &[fd, 64, 1, 65533]), Errno::Fault);
    assert_eq!(guest.call("fd_write", &[fd, 65530, 1, OUT]), Errno::Fault);
    assert_eq!(std::fs::read_to_string(guest.root().join("file")).unwrap(), "contents");
}

#[test]
fn descriptors_are_reused_lowest_first() {
    let mut guest = Guest::new(Access::READ_WRITE);
    let fds: Vec<u64> = (0..3).map(|_| guest.open("file", 1, 0, READ).unwrap()).collect();
    assert_eq!(fds, [4, 5, 6]);
    assert_eq!(guest.call("fd_close", &[5]), Errno::Success);
    assert_eq!(guest.call("fd_close", &[5]), Errno::BadF);
    assert_eq!(guest.open("file", 1, 0, READ), Ok(5));
    assert_eq!(guest.read(6, 4).as_deref(), Ok("cont"));
    assert_eq!(guest.call("fd_renumber", &[6, 4]), Errno::Success);
    assert_eq!(guest.read(4, 4).as_deref(), Ok("ents"));
    assert_eq!(guest.call("fd_renumber", &[4, 6]), Errno::BadF);
    assert_eq!(guest.call("fd_renumber", &[4, 4]), Errno::Success);
    assert_eq!(guest.open("file", 1, 0, READ), Ok(6));
}

/// The names and cookies in a directory buffer; a cut entry is left out.
fn entries(bytes: &[u8]) -> Vec<(String, u64)> {
    let mut list = Vec::new();
    let mut at = 0;
    while at + 24 <= bytes.len() {
        let next = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let len = u32::from_le_bytes(bytes[at + 16..at + 20].try_into().unwrap()) as usize;
        let Some(name) = bytes.get(at + 24..at + 24 + len) else { break };
        list.push((String::from_utf8(name.to_vec()).unwrap(), next));
        at += 24 + len;
    }
    list
}

#[test]
fn directories_are_read_in_pieces() {
    let mut guest = Guest::new(Access::READ_WRITE);
    for number in 0..300 {
        std::fs::write(guest.root().join(format!("sub/deep/entry{number:03}")), "").unwrap();
    }
    let fd = guest.open("sub/deep", 1, DIRECTORY, READDIR).unwrap();
    let mut names = Vec::new();
    let mut cookie = 0;
    loop {
        assert_eq!(guest.call("fd_readdir", &[fd, BUFFER, 100, cookie, OUT]), Errno::Success);
        let used = guest.u32_at(OUT) as usize;
        assert!(used <= 100);
        let list = entries(&guest.memory[BUFFER as usize..BUFFER as usize + used]);
        let Some((_, last)) = list.last() else { break };
        cookie = *last;
        names.extend(list.into_iter().map(|(name, _)| name));
    }
    names.sort();
    assert_eq!((names.len(), names[0].as_str(), names[1].as_str()), (302, ".", ".."));
    names.dedup();
    assert_eq!((names.len(), names[301].as_str()), (302, "entry299"));
    assert_eq!(guest.call("fd_readdir", &[1, BUFFER, 100, 0, OUT]), Errno::NotDir);
    assert_eq!(guest.call("fd_readdir", &[fd, 65500, 100, 0, OUT]), Errno::Fault);
}

/// A `subscription` to a clock.
fn clock(userdata: u64, id: u32, timeout: u64, absolute: bool) -> [u8; 48] {
    let mut record = [0; 48];
    record[..8].copy_from_slice(&userdata.to_le_bytes());
    record[16..20].copy_from_slice(&id.to_le_bytes());
    record[24..32].copy_from_slice(&timeout.to_le_bytes());
    record[40] = u8::from(absolute);
    record
}

/// A `subscription` to a stream.
fn stream(userdata: u64, fd: u32, write: bool) -> [u8; 48] {
    let mut record = [0; 48];
    record[..8].copy_from_slice(&userdata.to_le_bytes());
    record[8] = if write { 2 } else { 1 };
    record[16..20].copy_from_slice(&fd.to_le_bytes());
    record
}

/// Polls; userdata, error, tag and bytes of each event.
fn poll(guest: &mut Guest, records: &[[u8; 48]]) -> Result<Vec<(u64, u8, u8, u64)>, Errno> {
    let bytes = records.concat();
    guest.memory[BUFFER as usize..BUFFER as usize + bytes.len()].copy_from_slice(&bytes);
    let events = BUFFER + 4096;
    match guest.call("poll_oneoff", &[BUFFER, events, records.len() as u64, OUT]) {
        Errno::Success => Ok((0..u64::from(guest.u32_at(OUT)))
            .map(|position| events + position * 32)
            .map(|at| {
                let byte = |at: u64| guest.memory[at as usize];
                (guest.u64_at(at), byte(at + 8), byte(at + 10), guest.u64_at(at + 16))
            })
            .collect()),
        error => Err(error),
    }
}

#[test]
fn polls_report_what_happened() {
    let mut guest = Guest::with(Access::READ_WRITE, |builder| {
        builder.stdin(InputStream::Buffer(InputBuffer::new("abc")));
    });
    let (inval, badf) = (Errno::Inval as u8, Errno::BadF as u8);
    // The earlier of two clocks.
    let clocks = [clock(1, 1, 60_000_000_000, false), clock(2, 1, 1_000_000, false)];
    assert_eq!(poll(&mut guest, &clocks), Ok(vec![(2, 0, 0, 0)]));
    // A moment that has passed.
    assert_eq!(poll(&mut guest, &[clock(3, 0, 1, true)]), Ok(vec![(3, 0, 0, 0)]));
    // Streams in memory are ready at once, so the clock is not.
    let mixed = [clock(4, 1, 60_000_000_000, false), stream(5, 0, false), stream(6, 1, true)];
    assert_eq!(poll(&mut guest, &mixed), Ok(vec![(5, 0, 1, 3), (6, 0, 2, 0)]));
    // What cannot be waited for is an event with an error.
    let wrong = [clock(7, 9, 0, false), stream(8, 99, false), stream(9, 0, true), stream(10, 3, false)];
    let capable = Errno::NotCapable as u8;
    assert_eq!(
        poll(&mut guest, &wrong),
        Ok(vec![(7, inval, 0, 0), (8, badf, 1, 0), (9, badf, 2, 0), (10, capable, 1, 0)])
    );
    // A file tells how much is left.
    let fd = guest.open("file", 1, 0, READ | 1 << 27).unwrap();
    guest.read(fd, 3).unwrap();
    assert_eq!(poll(&mut guest, &[stream(11, fd as u32, false)]), Ok(vec![(11, 0, 1, 5)]));
    assert_eq!(poll(&mut guest, &[]), Err(Errno::Inval));
}

#[test]
fn streams_clocks_and_randomness_are_what_was_given() {
    let output = OutputBuffer::new(1000);
    let mut guest = Guest::with(Access::READ_WRITE, |builder| {
        builder
            .stdout(OutputStream::Buffer(output.clone()))
            .clocks(Clocks::Stepping { now: 5, step: 2 })
            .random(Random::Seeded(1));
        builder.arg("program").unwrap().arg("").unwrap().env("NAME", "value").unwrap();
    });
    assert_eq!(guest.write(1, "hello"), Errno::Success);
    assert_eq!(output.contents(), b"hello");
    assert_eq!(guest.call("clock_time_get", &[1, 0, OUT]), Errno::Success);
    assert_eq!(guest.u64_at(OUT), 5);
    assert_eq!(guest.call("random_get", &[OUT, 8]), Errno::Success);
    let first = guest.u64_at(OUT);
    assert_eq!(guest.call("random_get", &[OUT, 8]), Errno::Success);
    assert_ne!(guest.u64_at(OUT), first);
    assert_eq!(guest.call("args_sizes_get", &[OUT, OUT + 4]), Errno::Success);
    assert_eq!((guest.u32_at(OUT), guest.u32_at(OUT + 4)), (2, 9));
    assert_eq!(guest.call("args_get", &[OUT, BUFFER]), Errno::Success);
    assert_eq!((guest.u32_at(OUT), guest.u32_at(OUT + 4)), (BUFFER as u32, BUFFER as u32 + 8));
    assert_eq!(&guest.memory[BUFFER as usize..BUFFER as usize + 9], b"program\0\0");
    assert_eq!(guest.call("environ_get", &[OUT, 65530]), Errno::Fault);
    assert_eq!(guest.call("fd_prestat_get", &[DIR, OUT]), Errno::Success);
    assert_eq!((guest.u32_at(OUT), guest.u32_at(OUT + 4)), (0, 5));
}

/// No argument a guest can pass makes the host panic.
#[test]
fn hostile_numbers_are_survived() {
    let numbers = [0, 1, 3, 4, 8, 63, 1024, 65535, 65536, 0x7fff_ffff, 0xffff_ffff, u64::MAX, i64::MIN as u64];
    let mut random = 1_u64;
    let mut draw = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        numbers[(random >> 33) as usize % numbers.len()]
    };
    let mut guest = Guest::new(Access::READ_WRITE);
    // `fd_allocate` would fill the disk, a poll for a distant clock would wait.
    for function in FUNCTIONS.iter().filter(|function| !["fd_allocate", "poll_oneoff"].contains(&function.name)) {
        for _ in 0..300 {
            let args: Vec<u64> = function.params.iter().map(|_| draw()).collect();
            let _ = guest.call(function.name, &args);
        }
    }
    assert!(Path::new(&guest.temp.path().join("secret")).exists());
}
