//! `--profile=KIND`: what profilers need to know of a guest.
//!
//! `perfmap` and `jitdump` tell `perf` the names of compiled functions, `guest` samples the WebAssembly stack and writes
//! a profile for the [Firefox Profiler](https://profiler.firefox.com).
//!
//! Invariant: a profile that cannot be written is an error before the guest runs, where that can be known.
//!
//! Does not know: the guest.

use crate::command_line::{Flag, Parsed};
use crate::failure::Failure;
use crate::firefox;
use crate::guest::Host;
use crate::suggest::hint;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wattest::profile::{Announced, announce};
use wattest::{Engine, Module, Store};
use wattest_wasi::host::clock::{Clock, Clocks};
use wattest_wasi::host::poll::wait;

/// The options.
pub const FLAGS: &[Flag] = &[
    Flag {
        name: "coredump",
        short: None,
        value: Some("FILE"),
        help: "if the guest traps, write its stack, memories and globals there as a WebAssembly core dump",
    },
    Flag {
        name: "profile",
        short: None,
        value: Some("KIND"),
        help: "perfmap or jitdump: names for perf; guest[,FILE]: samples for the Firefox Profiler",
    },
];

/// What is profiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `/tmp/perf-PID.map`.
    Perfmap,
    /// `jit-PID.dump` in the current folder.
    Jitdump,
    /// Samples, to a file.
    Guest(PathBuf),
}

/// The names of the kinds.
const KINDS: &[&str] = &["perfmap", "jitdump", "guest"];
/// Where samples go when no file is named.
const GUEST_FILE: &str = "wattest-guest-profile.json";
/// How long from one sample to the next.
pub const INTERVAL: Duration = Duration::from_millis(1);

/// The kind that the options name.
pub fn kind(parsed: &Parsed) -> Result<Option<Kind>, Failure> {
    let Some(text) = parsed.text("profile")? else { return Ok(None) };
    let (name, file) = text.split_once(',').map_or((text, None), |(name, file)| (name, Some(file)));
    match (name, file) {
        ("perfmap", None) => Ok(Some(Kind::Perfmap)),
        ("jitdump", None) => Ok(Some(Kind::Jitdump)),
        ("guest", file) => Ok(Some(Kind::Guest(file.unwrap_or(GUEST_FILE).into()))),
        _ => Err(Failure::usage(format!(
            "--profile {text}: the kinds are perfmap, jitdump and guest[,FILE]{}",
            hint(name, KINDS.iter().copied())
        ))),
    }
}

/// A profile that is being made.
#[derive(Debug)]
pub enum Profile {
    /// Nothing is left to do.
    Done,
    /// The list that `perf record` has to know as long as the process runs.
    Announced(#[expect(dead_code, reason = "kept for what it holds")] Announced),
    /// Samples to be written.
    Guest(PathBuf),
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("--profile: cannot write {}: {error}", path.display()))
}

/// Begins a profile of what runs in the store.
pub fn begin<'a>(
    kind: &Kind,
    modules: impl IntoIterator<Item = &'a Module>,
    store: &mut Store<Host>,
    deadline: Option<u64>,
) -> Result<Profile, Failure> {
    match kind {
        Kind::Perfmap => {
            let path = PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()));
            // A name that others can guess in a folder that others can write to: never through a link.
            let _ = std::fs::remove_file(&path);
            let written = File::create_new(&path).and_then(|mut file| file.write_all(perfmap(modules).as_bytes()));
            written.map_err(|error| cannot_write(&path, &error))?;
            Ok(Profile::Done)
        }
        Kind::Jitdump => {
            let path = PathBuf::from(format!("jit-{}.dump", std::process::id()));
            let error = |error: std::io::Error| cannot_write(&path, &error);
            let mut file =
                File::options().read(true).write(true).create(true).truncate(true).open(&path).map_err(error)?;
            // Announced first: what is written afterwards happened later, by the same clock.
            file.write_all(&jitdump_header(now()?)).map_err(error)?;
            let announced = announce(&file).map_err(error)?;
            file.write_all(&jitdump_records(modules, now()?)).map_err(error)?;
            Ok(Profile::Announced(announced))
        }
        Kind::Guest(path) => {
            File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)
                .map_err(|error| cannot_write(path, &error))?;
            sample(store, deadline);
            Ok(Profile::Guest(path.clone()))
        }
    }
}

/// Lets the store take a sample now and then, and trap when its time is over, if there is a limit in nanoseconds.
fn sample(store: &mut Store<Host>, timeout: Option<u64>) {
    let started = std::time::Instant::now();
    store.record_samples();
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        match timeout.is_some_and(|timeout| started.elapsed() >= Duration::from_nanos(timeout)) {
            true => Err(wattest::Trap::new(wattest::TrapCode::Interrupted).into()),
            false => Ok(1),
        }
    });
    let engine: Engine = store.engine().clone();
    std::thread::spawn(move || {
        loop {
            // Nothing is waited for but the time.
            let _ = wait(&[], Some(INTERVAL.as_nanos() as u64));
            engine.increment_epoch();
        }
    });
}

impl Profile {
    /// Writes what is there after the guest has ended.
    pub fn end(self, name: &str, store: &mut Store<Host>) -> Result<(), Failure> {
        let Profile::Guest(path) = self else { return Ok(()) };
        let (samples, lost) = store.take_samples();
        let json = firefox::profile(name, &samples, INTERVAL);
        std::fs::write(&path, json.to_string()).map_err(|error| cannot_write(&path, &error))?;
        eprintln!("profile: {} samples in {}; load it at https://profiler.firefox.com", samples.len(), path.display());
        if lost > 0 {
            eprintln!("({lost} more found no room)");
        }
        Ok(())
    }
}

/// What a function is called in a profile.
fn name(module: &Module, index: u32, name: Option<&str>) -> String {
    let own = name.map_or_else(|| format!("function {index}"), str::to_owned);
    let text = module.name().map_or_else(|| own.clone(), |module| format!("{module}!{own}"));
    // One line a function.
    crate::output::printable(&text)
}

/// Lines of start, size and name.
fn perfmap<'a>(modules: impl IntoIterator<Item = &'a Module>) -> String {
    let mut text = String::new();
    for module in modules {
        for function in module.machine_functions() {
            let (start, bytes) = (function.code.as_ptr() as usize, function.code.len());
            let name = name(module, function.func_index, function.name.as_deref());
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{start:x} {bytes:x} {name}");
        }
    }
    text
}

/// Nanoseconds by the clock that `perf record -k mono` uses.
fn now() -> Result<u64, Failure> {
    Clocks::Host.now(Clock::Monotonic).map_err(|_| Failure::new("--profile jitdump: there is no monotonic clock"))
}

/// The head of a jitdump file
/// ([format](https://github.com/torvalds/linux/blob/master/tools/perf/Documentation/jitdump-specification.txt)).
fn jitdump_header(time: u64) -> Vec<u8> {
    const MAGIC: u32 = 0x4a69_5444;
    const VERSION: u32 = 1;
    const HEADER_BYTES: u32 = 40;
    // As the ELF header says it: x86-64 and AArch64.
    let machine: u32 = if std::env::consts::ARCH == "aarch64" { 183 } else { 62 };
    let mut bytes = Vec::new();
    for word in [MAGIC, VERSION, HEADER_BYTES, machine, 0, std::process::id()] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(time.to_ne_bytes());
    bytes.extend(0_u64.to_ne_bytes());
    bytes
}

/// A record of each function's code.
fn jitdump_records<'a>(modules: impl IntoIterator<Item = &'a Module>, time: u64) -> Vec<u8> {
    const CODE_LOAD: u32 = 0;
    const FIXED_BYTES: usize = 56;
    let (mut bytes, mut number) = (Vec::new(), 0_u64);
    for module in modules {
        for function in module.machine_functions() {
            let name = name(module, function.func_index, function.name.as_deref());
            let total = FIXED_BYTES + name.len() + 1 + function.code.len();
            let address = function.code.as_ptr() as u64;
            bytes.extend(CODE_LOAD.to_ne_bytes());
            bytes.extend((total as u32).to_ne_bytes());
            bytes.extend(time.to_ne_bytes());
            // All functions are there before any thread is.
            bytes.extend(std::process::id().to_ne_bytes());
            bytes.extend(std::process::id().to_ne_bytes());
            for word in [address, address, function.code.len() as u64, number] {
                bytes.extend(word.to_ne_bytes());
            }
            bytes.extend(name.as_bytes());
            bytes.push(0);
            bytes.extend(function.code);
            number += 1;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"(module $m (func $first nop) (func (export "second") nop) (func nop))"#;

    #[test]
    fn a_map_has_a_line_per_function() {
        let module = Module::new(&Engine::default(), TEXT).unwrap();
        let text = perfmap([&module]);
        let names: Vec<_> = text.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap()).collect();
        assert_eq!(names, ["m!first", "m!second", "m!function 2"]);
        let starts = text.lines().map(|line| usize::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap());
        let functions = module.machine_functions().map(|function| function.code.as_ptr() as usize);
        assert!(starts.eq(functions));
    }

    #[test]
    fn a_dump_has_a_record_per_function() {
        let module = Module::new(&Engine::default(), TEXT).unwrap();
        let header = jitdump_header(7);
        assert_eq!(header.len(), 40);
        assert_eq!(header[..4], 0x4a69_5444_u32.to_ne_bytes());
        let bytes = jitdump_records([&module], 9);
        let (mut rest, mut names) = (bytes.as_slice(), Vec::new());
        let word = |bytes: &[u8], at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        for (number, function) in module.machine_functions().enumerate() {
            let (record, next) = rest.split_at(word(rest, 4));
            assert_eq!((word(record, 0), word(record, 40), word(record, 48)), (0, function.code.len(), number));
            let (name, code) = record[56..].split_at(record[56..].iter().position(|byte| *byte == 0).unwrap());
            names.push(String::from_utf8(name.to_vec()).unwrap());
            assert_eq!(&code[1..], function.code);
            rest = next;
        }
        assert_eq!((names, rest.len()), (vec!["m!first".into(), "m!second".into(), "m!function 2".into()], 0));
    }
}
