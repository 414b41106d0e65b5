//! The options of every command that makes an engine.
//!
//! Invariant: each engine option is reachable by `--opt KEY=VALUE`, by the names of the engine's own table.
//!
//! Does not know: what options do.

use crate::command_line::{Flag, Parsed};
use crate::failure::Failure;
use crate::settings::Settings;
use crate::suggest::hint;
use wattest::{Config, ConfigError, Engine, Feature, Features};

/// The options.
pub const FLAGS: &[Flag] = &[
    Flag {
        name: "opt-level",
        short: Some('O'),
        value: Some("LEVEL"),
        help: "how hard to optimize: none, speed or speed-and-size; or as Wasmtime's -O: KEY=VALUE,…",
    },
    Flag { name: "opt", short: None, value: Some("KEY=VALUE"), help: "any engine option (see `wattest options`)" },
    FEATURES,
];

/// The option that sets the proposals.
pub const FEATURES: Flag = Flag {
    name: "features",
    short: None,
    value: Some("LIST"),
    help: "proposals: names, -names, and sets (all, default, wasm1, wasm2, wasm3), separated by commas",
};

/// A name and its proposals.
type NamedSet = (&'static str, fn() -> Features);

/// The sets of proposals that have a name.
const SETS: &[NamedSet] = &[
    ("all", Features::all_implemented),
    ("default", Features::default),
    ("wasm1", Features::wasm1),
    ("wasm2", Features::wasm2),
    ("wasm3", Features::wasm3),
];

/// The proposals that `--features` names. A list that starts with a set starts from it, any other from the default.
pub fn features(parsed: &Parsed) -> Result<Option<Features>, Failure> {
    let lists = parsed.texts("features")?;
    let mut features = Features::default();
    for item in lists.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|item| !item.is_empty()) {
        if let Some((_, set)) = SETS.iter().find(|(name, _)| *name == item) {
            features = set();
            continue;
        }
        let (name, on) = item.strip_prefix('-').map_or((item.trim_start_matches('+'), true), |name| (name, false));
        let Some(feature) = Feature::ALL.iter().find(|feature| feature.name() == name) else {
            let names = Feature::ALL.iter().map(|feature| feature.name()).chain(SETS.iter().map(|(name, _)| *name));
            return Err(Failure::usage(format!("--features: no proposal is called `{name}`{}", hint(name, names))));
        };
        features.set(*feature, on);
    }
    Ok((!lists.is_empty()).then_some(features))
}

/// The configuration that the options ask for.
pub fn config(parsed: &Parsed) -> Result<Config, Failure> {
    let mut config = Config::new();
    if let Some(level) = parsed.text("opt-level")?.filter(|level| !level.contains('=')) {
        config.set("opt-level", level).map_err(|error| Failure::usage(format!("-O {level}: {error}")))?;
    }
    for option in parsed.texts("opt")? {
        let Some((key, value)) = option.split_once('=') else {
            return Err(Failure::usage(format!("--opt {option}: give the option as KEY=VALUE")));
        };
        config.set(key, value).map_err(|error| {
            let suggestion = match error {
                ConfigError::UnknownOption { near: None, .. } => hint(key, Config::options().iter().map(|row| row.key)),
                _ => String::new(),
            };
            Failure::usage(format!("--opt {option}: {error}{suggestion}\n(`wattest options` lists the options)"))
        })?;
    }
    let settings = Settings::new(parsed)?;
    for (key, value) in settings.engine() {
        config.set(key, value).map_err(|error| Failure::usage(format!("{key}={value}: {error}")))?;
    }
    if let Some(features) = features(parsed)? {
        config.features(features);
    }
    for (name, on) in settings.features() {
        match name.and_then(|name| Feature::ALL.iter().find(|feature| feature.name() == name)) {
            Some(feature) => {
                config.feature(*feature, on);
            }
            None if on => {
                config.features(Features::all_implemented());
            }
            None => {}
        }
    }
    for (option, key) in IMPLIED {
        let limited = parsed.has(option) || settings.limit(option).is_some();
        // What is compiled already keeps its locals, or does not.
        let limited = limited && !(*option == "coredump" && parsed.has("allow-precompiled"));
        if limited && config.set(key, "true").is_err() {
            return Err(Failure::usage(format!("--{option} needs the engine option {key}")));
        }
    }
    if matches!(crate::profile::kind(parsed)?, Some(crate::profile::Kind::Guest(_))) {
        config.set("epoch", "true").map_err(Failure::usage)?;
    }
    Ok(config)
}

/// Options of `run`, and the engine options without which they mean nothing.
const IMPLIED: &[(&str, &str)] = &[
    ("fuel", "fuel"),
    ("timeout", "epoch"),
    ("deterministic", "nan-canonicalization"),
    ("deterministic", "relaxed-simd-deterministic"),
    ("coredump", "keep-locals"),
];

/// An engine as the options ask for it.
pub fn engine(parsed: &Parsed) -> Result<Engine, Failure> {
    Engine::new(&config(parsed)?).map_err(Failure::usage)
}
