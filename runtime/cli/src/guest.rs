//! What a guest is given, by option: arguments, environment, directories, time, and how much of it.
//!
//! Invariant: without options a guest holds its arguments, the process's streams, clocks and randomness, and nothing else.
//!
//! Does not know: modules and components.

use crate::bench::Bench;
use crate::command_line::{Flag, Parsed};
use crate::failure::Failure;
use crate::settings::{Settings, duration, size};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use wattest::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wattest_wasi::host::clock::Clocks;
use wattest_wasi::host::denial::{Denial, Denials};
use wattest_wasi::host::fs::Access;
use wattest_wasi::host::poll::wait;
use wattest_wasi::host::random::Random;
use wattest_wasi::host::trace::Trace;
use wattest_wasi::{WasiCtx, WasiCtxBuilder};

/// The options.
pub const FLAGS: &[Flag] = &[
    Flag {
        name: "dir",
        short: None,
        value: Some("HOST[::GUEST[::ro]]"),
        help: "give the guest a directory; with ::ro it can only read it",
    },
    Flag { name: "ro", short: None, value: Some("HOST[::GUEST]"), help: "give the guest a directory to read" },
    Flag {
        name: "net",
        short: None,
        value: Some("RULE|none|inherit"),
        help: "let the guest use the network: tcp://host:port, udp://10.0.0.0/8, tcp-listen://127.0.0.1:8080, `*`",
    },
    Flag { name: "env", short: None, value: Some("NAME[=VALUE]"), help: "set a variable of the guest, or pass one on" },
    Flag { name: "fuel", short: None, value: Some("N"), help: "trap after about N instructions" },
    Flag { name: "timeout", short: None, value: Some("TIME"), help: "trap after this time: 500ms, 10s, 2m" },
    Flag { name: "max-memory", short: None, value: Some("SIZE"), help: "let no memory grow beyond this: 64MiB" },
    Flag {
        name: "deterministic",
        short: None,
        value: None,
        help: "the same run every time: virtual clocks, seeded randomness, canonical NaNs, fixed relaxed SIMD",
    },
    Flag { name: "seed", short: None, value: Some("N"), help: "the seed of --deterministic (0)" },
    Flag { name: "trace-wasi", short: None, value: None, help: "print every call of WASI on standard error" },
    Flag {
        name: "deny-report",
        short: None,
        value: None,
        help: "say at the end what the guest was denied, and which option would grant it",
    },
];

/// When virtual clocks begin: 2024-01-01, in nanoseconds. Programs doubt dates near 1970.
const VIRTUAL_START: u64 = 1_704_067_200_000_000_000;
/// By how much reading a virtual clock moves it, in nanoseconds.
const VIRTUAL_STEP: u64 = 1_000;

/// What belongs to the one guest of the process.
pub struct Host {
    pub wasi: WasiCtx,
    pub bench: Bench,
    limits: StoreLimits,
}

/// How much a guest may use.
#[derive(Debug, Default)]
pub struct Limits {
    fuel: Option<u64>,
    /// In nanoseconds.
    timeout: Option<u64>,
    memory_bytes: Option<usize>,
}

impl Limits {
    /// The limits that options name.
    pub fn new(parsed: &Parsed, settings: &Settings) -> Result<Limits, Failure> {
        let given = |name: &str| -> Result<Option<String>, Failure> {
            Ok(parsed.text(name)?.map(str::to_owned).or_else(|| settings.limit(name)))
        };
        let wrong = |name: &str, text: &str, what: &str| Failure::usage(format!("--{name} {text}: this is no {what}"));
        let read = |name: &str, what: &str, parse: &dyn Fn(&str) -> Option<u64>| match given(name)? {
            Some(text) => parse(&text).map(Some).ok_or_else(|| wrong(name, &text, what)),
            None => Ok(None),
        };
        let fuel = read("fuel", "number", &|text| text.replace('_', "").parse().ok())?;
        let timeout = read("timeout", "time (500ms, 10s, 2m)", &duration)?;
        let memory = read("max-memory", "size (a number, with KiB, MiB or GiB)", &size)?;
        let memory_bytes = memory.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(Limits { fuel, timeout, memory_bytes })
    }

    /// The time limit in nanoseconds.
    pub fn timeout_ns(&self) -> Option<u64> {
        self.timeout
    }

    /// A store with the limits, whose time starts now.
    pub fn store(&self, engine: &Engine, wasi: WasiCtx) -> Result<Store<Host>, Failure> {
        let mut store = self.store_without_clock(engine, wasi)?;
        if engine.config().get("epoch").as_deref() == Some("true") {
            store.set_epoch_deadline(if self.timeout.is_some() { 1 } else { u64::MAX });
        }
        if let Some(timeout) = self.timeout {
            let engine = engine.clone();
            std::thread::spawn(move || {
                // Nothing is waited for but the time.
                let _ = wait(&[], Some(timeout));
                engine.increment_epoch();
            });
        }
        Ok(store)
    }

    /// A store with all limits but that of time.
    pub fn store_without_clock(&self, engine: &Engine, wasi: WasiCtx) -> Result<Store<Host>, Failure> {
        let mut limits = StoreLimitsBuilder::new();
        if let Some(bytes) = self.memory_bytes {
            limits = limits.memory_bytes(bytes);
        }
        let mut store = Store::new(engine, Host { wasi, bench: Bench::default(), limits: limits.build() });
        store.limiter(|host| &mut host.limits);
        if engine.config().get("fuel").as_deref() == Some("true") {
            store.set_fuel(self.fuel.unwrap_or(u64::MAX)).map_err(Failure::new)?;
        }
        Ok(store)
    }
}

/// Splits `HOST[::GUEST[::ACCESS]]`.
fn directory<'a>(option: &str, text: &'a str, access: Access) -> Result<(&'a str, &'a str, Access), Failure> {
    let mut parts = text.splitn(3, "::");
    let host = parts.next().unwrap_or_default();
    let guest = parts.next().unwrap_or(host);
    let access = match parts.next() {
        None => access,
        Some("rw") if access == Access::READ_WRITE => access,
        Some("ro") => Access::READ_ONLY,
        Some(other) => {
            return Err(Failure::usage(format!("--{option} {text}: the access is `ro` or `rw`, not `{other}`")));
        }
    };
    Ok((host, guest, access))
}

/// What builds guests that hold what the options name.
pub fn wasi_builder(
    parsed: &Parsed,
    settings: &Settings,
    file: &OsStr,
    args: &[OsString],
) -> Result<WasiCtxBuilder, Failure> {
    let mut builder = WasiCtxBuilder::new();
    builder.inherit_stdio();
    // Programs know themselves by their file's name, not by where it lies on this machine.
    let name = Path::new(file).file_name().unwrap_or(file);
    for arg in std::iter::once(name).chain(args.iter().map(|arg| arg.as_os_str())) {
        builder.arg(arg.as_bytes()).map_err(Failure::usage)?;
    }
    if settings.inherits_env() {
        for (name, value) in std::env::vars_os() {
            builder.env(name.as_bytes(), value.as_bytes()).map_err(Failure::usage)?;
        }
    }
    for variable in parsed.texts("env")? {
        let inherited = |name: &str| std::env::var_os(name).map(|value| value.as_bytes().to_vec());
        let (name, value) = match variable.split_once('=') {
            Some((name, value)) => (name, Some(value.as_bytes().to_vec())),
            None => (variable, inherited(variable)),
        };
        let Some(value) = value else {
            let text = "the variable is not set here: give it as NAME=VALUE";
            return Err(Failure::usage(format!("--env {variable}: {text}")));
        };
        builder.env(name, value).map_err(|error| Failure::usage(format!("--env {variable}: {error}")))?;
    }
    for (option, access) in [("dir", Access::READ_WRITE), ("ro", Access::READ_ONLY)] {
        for text in parsed.texts(option)? {
            let (host, guest, access) = directory(option, text, access)?;
            builder.preopened_dir(host, guest, access).map_err(|error| {
                Failure::usage(format!("--{option} {text}: cannot open the directory {host}: {error}"))
            })?;
        }
    }
    builder.network(crate::net::network(parsed, settings)?);
    if parsed.has("deterministic") {
        let seed = match parsed.text("seed")? {
            Some(seed) => seed.parse().map_err(|_| Failure::usage(format!("--seed {seed}: this is no number")))?,
            None => 0,
        };
        builder.clocks(Clocks::Stepping { now: VIRTUAL_START, step: VIRTUAL_STEP }).random(Random::Seeded(seed));
    } else if parsed.has("seed") {
        return Err(Failure::usage("--seed says what --deterministic starts from; give both"));
    }
    if parsed.has("trace-wasi") {
        builder.trace(Trace::new(|line| eprintln!("wasi: {line}")));
    }
    Ok(builder)
}

/// Prints what the guest was denied, if the options ask for it.
pub fn report_denials(parsed: &Parsed, denials: &Denials) {
    if !parsed.has("deny-report") {
        return;
    }
    let denials = denials.list();
    eprintln!("denied: {}", if denials.is_empty() { "nothing".to_owned() } else { denials.len().to_string() });
    for denial in denials {
        eprintln!(
            "  {}",
            match denial {
                Denial::Outside { dir, path } => format!(
                    "{path:?} leads out of {dir:?}: give the guest the directory that it is in, with --dir HOST::GUEST"
                ),
                Denial::ReadOnly { dir, path } => {
                    let what = if path.is_empty() { "something".to_owned() } else { format!("{path:?}") };
                    format!("{what} in {dir:?} was to be changed: give it without ::ro, with --dir HOST::{dir}")
                }
                Denial::Network { rule } => format!("the network, for {rule}: allow it with --net {rule}"),
                Denial::NoDirectory => "a directory, but it has none: give it one with --dir HOST::GUEST".to_owned(),
            }
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_split() {
        fn check(text: &str, access: Access, expected: Option<(&str, &str, bool)>) {
            let found = directory("dir", text, access).ok();
            assert_eq!(found.map(|(host, guest, access)| (host, guest, access.write)), expected, "{text}");
        }
        check("a", Access::READ_WRITE, Some(("a", "a", true)));
        check("a::b::ro", Access::READ_WRITE, Some(("a", "b", false)));
        check("a::b::rw", Access::READ_WRITE, Some(("a", "b", true)));
        check("a::b", Access::READ_ONLY, Some(("a", "b", false)));
        check("a::b::rw", Access::READ_ONLY, None);
        check("a::b::x", Access::READ_WRITE, None);
    }
}
