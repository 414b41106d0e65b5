//! Options in Wasmtime's spelling: `-W fuel=1000,simd=n`, `-O opt-level=2`, `-C cache=n`, `-S inherit-env`.
//!
//! One row per key that means the same here; what a key means is an engine option, a proposal, or an option of `run`.
//!
//! Invariant: a key that is not in the table is an error that says so; none is accepted and then ignored without its row
//! saying why.
//!
//! Does not know: what engine options do.

use crate::command_line::{Flag, Parsed};
use crate::failure::Failure;
use crate::suggest::hint;

/// The options.
pub const FLAGS: &[Flag] = &[
    Flag {
        name: "wasm", short: Some('W'), value: Some("KEY[=VALUE],…"), help: "as Wasmtime's -W: limits, proposals"
    },
    Flag {
        name: "codegen", short: Some('C'), value: Some("KEY[=VALUE],…"), help: "as Wasmtime's -C: code generation"
    },
    Flag { name: "debug", short: Some('D'), value: Some("KEY[=VALUE],…"), help: "as Wasmtime's -D: debugging" },
    Flag { name: "wasi", short: Some('S'), value: Some("KEY[=VALUE],…"), help: "as Wasmtime's -S: WASI" },
];

/// What a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// An engine option.
    Engine(&'static str),
    /// A proposal.
    Feature(&'static str),
    /// All proposals.
    AllFeatures,
    /// A limit: an option of `run`.
    Limit(&'static str),
    /// `-S inherit-env`.
    InheritEnv,
    /// `-C cache`.
    Cache,
    /// `-W unknown-imports-trap`.
    UnknownImportsTrap,
    /// Of the network: this key.
    Network(&'static str),
    /// `-S tcplisten`: an address.
    Listen,
    /// As it is in any case.
    Always(bool),
}

use Meaning::{AllFeatures, Always, Cache, Engine, Feature, InheritEnv, Limit, Listen, Network, UnknownImportsTrap};

/// Group, key, meaning.
const ROWS: &[(&str, &str, Meaning)] = &[
    ("wasm", "fuel", Limit("fuel")),
    ("wasm", "timeout", Limit("timeout")),
    ("wasm", "max-memory-size", Limit("max-memory")),
    ("wasm", "max-wasm-stack", Engine("max-wasm-stack")),
    ("wasm", "nan-canonicalization", Engine("nan-canonicalization")),
    ("wasm", "relaxed-simd-deterministic", Engine("relaxed-simd-deterministic")),
    ("wasm", "unknown-imports-trap", UnknownImportsTrap),
    ("wasm", "all-proposals", AllFeatures),
    ("wasm", "bulk-memory", Feature("bulk-memory")),
    ("wasm", "reference-types", Feature("reference-types")),
    ("wasm", "multi-value", Feature("multi-value")),
    ("wasm", "multi-memory", Feature("multi-memory")),
    ("wasm", "memory64", Feature("memory64")),
    ("wasm", "simd", Feature("simd")),
    ("wasm", "relaxed-simd", Feature("relaxed-simd")),
    ("wasm", "tail-call", Feature("tail-call")),
    ("wasm", "threads", Feature("threads")),
    ("wasm", "gc", Feature("gc")),
    ("wasm", "function-references", Feature("function-references")),
    ("wasm", "exceptions", Feature("exceptions")),
    ("wasm", "extended-const", Feature("extended-const")),
    ("wasm", "wide-arithmetic", Feature("wide-arithmetic")),
    ("wasm", "custom-page-sizes", Feature("custom-page-sizes")),
    ("wasm", "component-model", Always(true)),
    ("opt-level", "opt-level", Engine("opt-level")),
    ("opt-level", "memory-reservation", Engine("memory-reservation")),
    ("opt-level", "memory-guard-size", Engine("memory-guard")),
    ("opt-level", "memory-may-move", Engine("memory-may-move")),
    ("opt-level", "signals-based-traps", Engine("signals-based-traps")),
    ("opt-level", "memory-init-cow", Engine("copy-on-write")),
    ("codegen", "cache", Cache),
    ("codegen", "parallel-compilation", Engine("parallel-compilation")),
    ("codegen", "enable-heap-access-spectre-mitigation", Engine("spectre-mitigation")),
    ("debug", "address-map", Engine("addresses")),
    ("debug", "guest-debug", Engine("keep-locals")),
    ("debug", "coredump", Limit("coredump")),
    ("wasi", "inherit-env", InheritEnv),
    ("wasi", "cli", Always(true)),
    ("wasi", "common", Always(true)),
    ("wasi", "preview2", Always(true)),
    ("wasi", "inherit-network", Network("inherit-network")),
    ("wasi", "tcplisten", Listen),
    ("wasi", "tcp", Network("tcp")),
    ("wasi", "udp", Network("udp")),
    ("wasi", "allow-ip-name-lookup", Network("allow-ip-name-lookup")),
    ("wasi", "network-error-code", Always(true)),
    ("wasi", "http", Always(cfg!(feature = "http"))),
    ("wasi", "threads", Always(false)),
];

/// Settings as they were given, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settings {
    given: Vec<(Meaning, String)>,
}

/// Whether a value switches on; a key alone does.
fn switch(value: &str) -> Option<bool> {
    match value {
        "y" | "yes" | "true" | "on" | "1" => Some(true),
        "n" | "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

impl Settings {
    /// What the options in Wasmtime's spelling say.
    pub fn new(parsed: &Parsed) -> Result<Settings, Failure> {
        let mut settings = Settings::default();
        for (group, letter) in [("wasm", 'W'), ("opt-level", 'O'), ("codegen", 'C'), ("debug", 'D'), ("wasi", 'S')] {
            let texts = parsed.texts(group)?;
            // `-O speed` is this command's own.
            let texts = texts.iter().filter(|text| group != "opt-level" || text.contains('='));
            for item in texts.flat_map(|text| text.split(',')).filter(|item| !item.is_empty()) {
                settings.add(group, letter, item)?;
            }
        }
        Ok(settings)
    }

    fn add(&mut self, group: &str, letter: char, item: &str) -> Result<(), Failure> {
        let (key, value) = item.split_once('=').unwrap_or((item, "y"));
        let rows = || ROWS.iter().filter(|row| row.0 == group);
        let Some((_, _, meaning)) = rows().find(|row| row.1 == key) else {
            let near = hint(key, rows().map(|row| row.1));
            return Err(Failure::usage(format!("-{letter} {item}: no option of this group is called `{key}`{near}")));
        };
        let is_switch = !matches!(meaning, Engine(_) | Limit(_) | Listen);
        match (switch(value), meaning) {
            (None, _) if is_switch => {
                return Err(Failure::usage(format!("-{letter} {item}: the value is `y` or `n`")));
            }
            (Some(wanted), Always(is)) if wanted != *is => {
                let text = if *is { "cannot be switched off" } else { "is not there yet" };
                return Err(Failure::usage(format!("-{letter} {item}: `{key}` {text}")));
            }
            _ => {}
        }
        let value = match (*meaning, value) {
            (Engine("opt-level"), "0") => "none",
            (Engine("opt-level"), "1" | "2") => "speed",
            (Engine("opt-level"), "s") => "speed-and-size",
            (_, value) => value,
        };
        self.given.push((*meaning, value.to_owned()));
        Ok(())
    }

    /// Engine options with their values.
    pub fn engine(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.given.iter().filter_map(|(meaning, value)| match meaning {
            Engine(key) => Some((*key, value.as_str())),
            _ => None,
        })
    }

    /// Proposals switched on or off; none stands for all.
    pub fn features(&self) -> impl Iterator<Item = (Option<&'static str>, bool)> {
        self.given.iter().filter_map(|(meaning, value)| match meaning {
            Feature(name) => Some((Some(*name), switch(value) == Some(true))),
            AllFeatures => Some((None, switch(value) == Some(true))),
            _ => None,
        })
    }

    /// The value of an option of `run`.
    pub fn limit(&self, name: &str) -> Option<String> {
        let found = self.given.iter().rfind(|(meaning, _)| matches!(meaning, Limit(limit) if *limit == name));
        found.map(|(_, value)| value.clone())
    }

    fn switched(&self, wanted: Meaning) -> Option<bool> {
        self.given.iter().rfind(|(meaning, _)| *meaning == wanted).and_then(|(_, value)| switch(value))
    }

    /// `-S inherit-env`.
    pub fn inherits_env(&self) -> bool {
        self.switched(InheritEnv) == Some(true)
    }

    /// `-W unknown-imports-trap`: calling what nothing provides ends the guest, rather than that it is not run.
    pub fn unknown_imports_trap(&self) -> bool {
        self.switched(UnknownImportsTrap) == Some(true)
    }

    /// The value of a key of the network, if it was given.
    pub fn network(&self, key: &'static str) -> Option<bool> {
        self.switched(Network(key))
    }

    /// Every `-S tcplisten=ADDRESS`.
    pub fn listens(&self) -> impl Iterator<Item = &str> {
        self.given.iter().filter(|(meaning, _)| *meaning == Listen).map(|(_, value)| value.as_str())
    }

    /// `-C cache=…`, if it was given.
    pub fn cache(&self) -> Option<bool> {
        self.switched(Cache)
    }
}

/// A time in nanoseconds: a number of seconds, or of another unit.
pub fn duration(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// A size in bytes.
pub fn size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "" => 1,
        "k" | "K" | "KiB" => 1 << 10,
        "m" | "M" | "MiB" => 1 << 20,
        "g" | "G" | "GiB" => 1 << 30,
        _ => return None,
    };
    number.replace('_', "").parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattest::{Config, Feature as Proposal};

    #[test]
    fn every_row_means_something() {
        for (_, key, meaning) in ROWS {
            match meaning {
                Engine(option) => assert!(Config::options().iter().any(|row| row.key == *option), "{key}"),
                Feature(name) => assert!(Proposal::ALL.iter().any(|row| row.name() == *name), "{key}: {name}"),
                _ => {}
            }
        }
    }

    #[test]
    fn keys_are_read_with_their_values() {
        fn check(item: &str, expected: Result<(Meaning, &str), &str>) {
            let mut settings = Settings::default();
            let group = if item.starts_with("opt") { ("opt-level", 'O') } else { ("wasm", 'W') };
            match (settings.add(group.0, group.1, item), expected) {
                (Ok(()), Ok((meaning, value))) => assert_eq!(settings.given, [(meaning, value.to_owned())]),
                (Err(failure), Err(text)) => assert!(format!("{failure:?}").contains(text), "{failure:?}"),
                (actual, expected) => panic!("{actual:?} instead of {expected:?}"),
            }
        }
        check("fuel=100", Ok((Limit("fuel"), "100")));
        check("simd=n", Ok((Feature("simd"), "n")));
        check("gc", Ok((Feature("gc"), "y")));
        check("opt-level=2", Ok((Engine("opt-level"), "speed")));
        check("simdd", Err("did you mean `simd`?"));
        check("simd=maybe", Err("`y` or `n`"));
        check("component-model=n", Err("cannot be switched off"));
    }

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(
            ["5", "500ms", "2m", "1x", ""].map(duration),
            [Some(5_000_000_000), Some(500_000_000), Some(120_000_000_000), None, None]
        );
        assert_eq!(["64KiB", "1_000", "2G", "1TB"].map(size), [Some(65536), Some(1000), Some(2 << 30), None]);
    }
}
