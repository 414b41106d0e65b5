//! What other tools read of the command: core dumps, profiles, and debug information that compilers wrote.
//!
//! A test whose tool is not there, or may not be used here, is listed as ignored, with the reason in its name.
//!
//! Invariant: nothing depends on how long a guest runs: where time has to pass, the guest runs until it has.
//!
//! Does not know: how the files are made.

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

fn wattest(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wattest"));
    command.current_dir(folder).env("HOME", folder).env_remove("XDG_CACHE_HOME").stdin(Stdio::null());
    command
}

fn run(folder: &Path, words: &[&str]) -> Result<Output, Failed> {
    Ok(wattest(folder).args(words).output()?)
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Failed> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}").into()) }
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = self.0.split_first().expect("a number");
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }

    fn bytes(&mut self, count: u64) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count as usize);
        self.0 = rest;
        bytes
    }

    fn text(&mut self) -> String {
        let length = self.number();
        String::from_utf8_lossy(self.bytes(length)).into_owned()
    }

    fn numbers(&mut self) -> Vec<u64> {
        (0..self.number()).map(|_| self.number()).collect()
    }
}

/// The custom sections of a module, by name, and its data section.
fn sections(module: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut reader = Reader(&module[8..]);
    let mut sections = Vec::new();
    while !reader.0.is_empty() {
        let id = reader.number();
        let length = reader.number();
        let mut content = Reader(reader.bytes(length));
        let name = if id == 0 { content.text() } else { format!("#{id}") };
        sections.push((name, content.0.to_vec()));
    }
    sections
}

const PROGRAM: &str = r#"(module $program
  (memory 2)
  (global (mut i64) (i64.const 7))
  (data (i32.const 70000) "here")
  (func $inner (param i32 f64) (local i64 v128) (local.set 2 (i64.const 5)) unreachable)
  (func (export "_start") (global.set 0 (i64.const 9)) (call $inner (i32.const 3) (f64.const 1.5))))"#;

/// The parts of a core dump say what was there.
fn core_dump() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("program.wat"), PROGRAM)?;
    run(folder.path(), &["run", "--coredump", "core", "program.wat"])?;
    let dump = std::fs::read(folder.path().join("core"))?;
    let sections = sections(&dump);
    let section = |name: &str| {
        let found = sections.iter().find(|(section, _)| section == name);
        found.map(|(_, bytes)| bytes.as_slice()).ok_or_else(|| Failed::from(format!("no section {name}")))
    };
    let mut core = Reader(section("core")?);
    expect("core", (core.number(), core.text()), (0, "program.wat".to_owned()))?;
    let mut modules = Reader(section("coremodules")?);
    expect("modules", (modules.number(), modules.number(), modules.text()), (1, 0, "program".to_owned()))?;
    let mut instances = Reader(section("coreinstances")?);
    let found = (instances.number(), instances.number(), instances.number());
    expect("instances", found, (1, 0, 0))?;
    expect("memories and globals", (instances.numbers(), instances.numbers()), (vec![0], vec![0]))?;
    let mut stack = Reader(section("corestack")?);
    expect("thread", (stack.number(), stack.text(), stack.number()), (0, "main".to_owned(), 2))?;
    // Instance, function, offset in the body: behind two kinds of locals, a constant and where it is stored; behind no locals
    // and what is stored and passed. Then the locals, the last one missing, and an empty stack.
    let frames: [(u64, u64, &[&[u8]]); 2] =
        [(0, 9, &[&[0x7f, 3], &[0x7c, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f], &[0x7e, 5], &[0x01]]), (1, 16, &[])];
    for (function, offset, locals) in frames {
        let frame = [stack.number(), stack.number(), stack.number(), stack.number(), stack.number()];
        expect("frame", frame, [0, 0, function, offset, locals.len() as u64])?;
        let locals = locals.concat();
        expect("locals", stack.bytes(locals.len() as u64), locals.as_slice())?;
        expect("operand stack", stack.numbers(), vec![])?;
    }
    let mut data = Reader(section("#11")?);
    expect("segments", data.number(), 1)?;
    // Active, at a constant: a block of 4 KiB that begins at 17 times as much.
    expect("place", (data.number(), data.number(), data.number(), data.number()), (0, 0x41, 17 << 12, 0x0b))?;
    let length = data.number();
    expect("bytes", &data.bytes(length)[70000 - (17 << 12)..][..4], b"here")?;
    let globals = section("#6")?;
    // One, mutable, of 64 bits: 9.
    expect("globals", globals, &[1, 0x7e, 1, 0x42, 9, 0x0b])
}

const SPIN: &str = r#"(module $spin (func $work (export "_start") (loop $next (br $next))))"#;

/// A profile has the function that ran.
fn guest_profile() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("spin.wat"), SPIN)?;
    // The time limit is noticed where samples are taken: there is at least one.
    let output = run(folder.path(), &["run", "--profile=guest,profile.json", "--timeout", "20ms", "spin.wat"])?;
    expect("status", output.status.code(), Some(134))?;
    let text = std::fs::read_to_string(folder.path().join("profile.json"))?;
    let profile: serde_json::Value = serde_json::from_str(&text)?;
    let thread = &profile["threads"][0];
    let samples = thread["samples"]["length"].as_u64().unwrap_or(0);
    if samples == 0 {
        return Err("no samples".into());
    }
    let stack = thread["samples"]["stack"][0].as_u64().unwrap_or(99) as usize;
    let frame = thread["stackTable"]["frame"][stack].as_u64().unwrap_or(99) as usize;
    let function = thread["frameTable"]["func"][frame].as_u64().unwrap_or(99) as usize;
    let name = thread["funcTable"]["name"][function].as_u64().unwrap_or(99) as usize;
    expect("function", thread["stringArray"][name].as_str(), Some("work"))?;
    expect("version", profile["meta"]["preprocessedProfileVersion"].is_u64(), true)
}

fn perf_map() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("spin.wat"), SPIN)?;
    let words = ["run", "--profile=perfmap", "--fuel", "1000", "spin.wat"];
    let mut child = wattest(folder.path()).args(words).stderr(Stdio::null()).spawn()?;
    child.wait()?;
    let map = PathBuf::from(format!("/tmp/perf-{}.map", child.id()));
    let text = std::fs::read_to_string(&map)?;
    std::fs::remove_file(&map)?;
    let line: Vec<_> = text.trim_end().splitn(3, ' ').collect();
    expect("name", line.last().copied(), Some("spin!work"))?;
    expect("numbers", line[..2].iter().all(|number| u64::from_str_radix(number, 16).is_ok()), true)
}

/// `perf` finds the functions of a jitdump.
fn jit_dump() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("spin.wat"), SPIN)?;
    let perf = |words: &[&str]| -> Result<Output, Failed> {
        let output = Command::new("perf").args(words).current_dir(folder.path()).env("HOME", folder.path()).output()?;
        match words[0] == "record" || output.status.success() {
            true => Ok(output),
            false => Err(format!("perf {words:?}: {}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    };
    let binary = env!("CARGO_BIN_EXE_wattest");
    let guest = [binary, "run", "--profile=jitdump", "--timeout", "200ms", "spin.wat"];
    perf(&[&["record", "-k", "mono", "-e", "cpu-clock", "-o", "perf.data"][..], &guest].concat())?;
    perf(&["inject", "--jit", "-i", "perf.data", "-o", "perf.jit.data"])?;
    let report = perf(&["report", "-i", "perf.jit.data", "--stdio"])?;
    expect("the function is named", String::from_utf8_lossy(&report.stdout).contains("spin!work"), true)
}

/// Whether `perf` may record here.
fn perf_records() -> bool {
    let words = ["record", "-k", "mono", "-e", "cpu-clock", "-o", "/dev/null", "true"];
    let done = Command::new("perf").args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// Compiled components are kept, used, and made again when a part is missing or damaged.
fn component_cache() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let hello = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/component_hello.wat");
    let hello = hello.display().to_string();
    let entries = || -> Result<Vec<PathBuf>, Failed> {
        let listing = std::fs::read_dir(folder.path().join(".cache/wattest"))?;
        let mut entries: Vec<_> = listing.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        Ok(entries)
    };
    let first = run(folder.path(), &["run", "--cache", &hello])?;
    expect("status", first.status.code(), Some(0))?;
    let kept = entries()?;
    // The description and at least one module.
    expect("entries", kept.len() >= 2, true)?;
    for entry in &kept {
        std::fs::remove_file(entry)?;
        let again = run(folder.path(), &["run", "--cache", &hello])?;
        expect("what is printed", again.stdout, first.stdout.clone())?;
        expect("entries", entries()?, kept.clone())?;
    }
    let text = std::fs::read(&kept[0])?;
    std::fs::write(&kept[0], &text[..text.len() / 2])?;
    let again = run(folder.path(), &["run", "--cache", &hello])?;
    expect("what is printed after damage", again.stdout, first.stdout)?;
    let stats = run(folder.path(), &["run", "--cache", "--stats", &hello])?;
    expect("stats", String::from_utf8_lossy(&stats.stderr).contains("compile_ns="), true)
}

const SOURCE: &str = "static int divide(int a, int b) { return a / b; }
__attribute__((noinline)) static int total(int *p, int n) {
  int sum = 0;
  for (int i = 0; i < n; i++)
    sum += divide(100, p[i]);
  return sum;
}
int main(int argc, char **argv) {
  int values[3] = {1, 2, argc - 1};
  return total(values, 3);
}
";

/// Lines of a C program as a compiler wrote them.
fn lines_of_c() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("total.c"), SOURCE)?;
    let words = ["cc", "-target", "wasm32-wasi", "-O2", "-g", "-o", "total.wasm", "total.c"];
    let built = Command::new("zig").args(words).current_dir(folder.path()).output()?;
    expect("zig", built.status.success(), true)?;
    let output = run(folder.path(), &["run", "total.wasm"])?;
    let text = String::from_utf8_lossy(&output.stderr);
    for expected in ["divide at total.c:1:", "inlined into", "total (function", "at total.c:5:", "at total.c:10:"] {
        expect(&format!("{expected} in\n{text}"), text.contains(expected), true)?;
    }
    Ok(())
}

const WORDS: &str = r#"// How many words are in a text that grows with every step, and how often the first one.
export function words(steps: i32): i32 {
  const seen = new Map<string, i32>();
  let text = "";
  for (let step = 0; step < steps; step++) {
    text += " word" + (step % 7).toString();
    const parts = text.trim().split(" ");
    for (let at = 0; at < parts.length; at++) {
      seen.set(parts[at], seen.has(parts[at]) ? seen.get(parts[at]) + 1 : 1);
    }
  }
  return seen.size * 1000 + seen.get("word0");
}
"#;

/// A library of AssemblyScript, with its garbage collector, strings and maps.
fn library_of_assemblyscript() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("words.ts"), WORDS)?;
    let words = ["words.ts", "-O", "--runtime", "incremental", "--use", "abort=", "-o", "words.wasm"];
    let built = Command::new("asc").args(words).current_dir(folder.path()).output()?;
    expect(&String::from_utf8_lossy(&built.stderr), built.status.success(), true)?;
    let output = run(folder.path(), &["run", "--invoke", "words", "words.wasm", "20"])?;
    // Of 210 words, those of steps 0, 7 and 14 in the texts of 20, 13 and 6 steps.
    expect("words", String::from_utf8_lossy(&output.stdout).trim(), "7039")
}

/// Starts a program for which `openat2` (437) fails with an error number.
const WITHOUT_OPENAT2: &str = r#"
import ctypes, os, struct, sys
# Load the architecture; x86-64? load the system call's number; openat2? this error; else allowed.
rows = [(0x20, 0, 0, 4), (0x15, 0, 3, 0xC000003E), (0x20, 0, 0, 0), (0x15, 0, 1, 437),
        (0x06, 0, 0, 0x50000 | int(sys.argv[1])), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
program = Program(len(rows), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"#;

const READS: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "dir/note.txt../secret.txtdir/outward")
  (func $try (param $start i32) (param $length i32)
    (call $exit (call $open
      (i32.const 3) (i32.const 1) (local.get $start) (local.get $length) (i32.const 0) (i64.const 2) (i64.const 0)
      (i32.const 0) (i32.const 64))))
  (func (export "inside") (call $try (i32.const 16) (i32.const 12)))
  (func (export "outside") (call $try (i32.const 28) (i32.const 13)))
  (func (export "link") (call $try (i32.const 41) (i32.const 11))))"#;

/// Without `openat2`, a guest opens the same files and no others.
fn without_openat2() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(path("given/dir"))?;
    std::fs::write(path("given/dir/note.txt"), "")?;
    std::fs::write(path("secret.txt"), "")?;
    std::os::unix::fs::symlink("../../secret.txt", path("given/dir/outward"))?;
    std::fs::write(path("reads.wat"), READS)?;
    // Not implemented, as in old kernels; not permitted, as by filters.
    for error in ["38", "1"] {
        for (export, status) in [("inside", 0), ("outside", 63), ("link", 63)] {
            let binary = env!("CARGO_BIN_EXE_wattest");
            let guest = [binary, "run", "--dir", "given", "--invoke", export, "reads.wat"];
            let mut command = Command::new("python3");
            command.args(["-c", WITHOUT_OPENAT2, error]).args(guest).current_dir(folder.path());
            let output = command.env("HOME", folder.path()).stdin(Stdio::null()).output()?;
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            expect(&format!("{export} with error {error}: {text}"), output.status.code(), Some(status))?;
        }
    }
    Ok(())
}

/// Whether Python may install a filter of system calls here.
fn filters() -> bool {
    let words = ["-c", WITHOUT_OPENAT2, "38", "/bin/true"];
    Command::new("python3").args(words).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn in_path(tool: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file()))
}

/// A test, or the name of one whose tool is missing.
fn trial(name: &str, missing: Option<&str>, test: fn() -> Result<(), Failed>) -> Trial {
    match missing {
        None => Trial::test(name, test),
        Some(what) => Trial::test(format!("{name} (skipped: {what})"), || Ok(())).with_ignored_flag(true),
    }
}

fn main() -> ExitCode {
    let perf = (!perf_records()).then_some("perf is not there, or may not record");
    let filters = (!filters()).then_some("no python3 that may filter system calls");
    let trials = vec![
        trial("files without openat2", filters, without_openat2),
        trial("core dump", None, core_dump),
        trial("guest profile", None, guest_profile),
        trial("perf map", None, perf_map),
        trial("jitdump", perf, jit_dump),
        trial("component cache", None, component_cache),
        trial("library of AssemblyScript", (!in_path("asc")).then_some("no asc"), library_of_assemblyscript),
        trial("lines of C", (!in_path("zig")).then_some("no zig"), lines_of_c),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
