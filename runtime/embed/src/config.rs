//! Engine configuration.
//!
//! Invariant: whatever a [`Config`] says, [`Engine::new`](crate::Engine::new) either builds an engine that honours it or
//! returns a [`ConfigError`].
//!
//! Does not know: which options exist; see [`options`](crate::OptionRow).

use crate::options::{OptionRow, Options, ROWS};
use wattest_abi::Tunables;
use wattest_module::{Feature, Features, Limits};

/// The configuration of an engine: the option table's values and the set of WebAssembly features.
///
/// ```
/// use wattest::{Config, OptLevel};
/// let mut config = Config::new();
/// config.opt_level(OptLevel::None).fuel(true);
/// config.set("memory-guard", "1MiB")?;
/// # Ok::<(), wattest::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    pub(crate) options: Options,
    pub(crate) features: Features,
    pub(crate) limits: Limits,
}

/// A configuration that no engine can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such option.
    #[error("unknown option `{key}`{}", near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownOption {
        /// The key given.
        key: String,
        /// The most similar key.
        near: Option<&'static str>,
    },
    /// The option has no such value.
    #[error("option `{key}` cannot be `{value}`; it takes {values}")]
    InvalidValue {
        /// The key.
        key: String,
        /// The value given.
        value: String,
        /// The values it takes.
        values: &'static str,
    },
    /// The values contradict each other or the machine.
    #[error("{0}")]
    Unsupported(String),
}

impl Config {
    /// The default configuration.
    pub fn new() -> Config {
        Config::default()
    }

    /// Sets an option by its key.
    ///
    /// # Errors
    ///
    /// There is no such option, or it has no such value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<&mut Config, ConfigError> {
        match self.options.set(key, value) {
            Some(Ok(())) => Ok(self),
            Some(Err(values)) => {
                Err(ConfigError::InvalidValue { key: key.to_owned(), value: value.to_owned(), values })
            }
            None => Err(ConfigError::UnknownOption { key: key.to_owned(), near: nearest(key) }),
        }
    }

    /// The value of an option, as [`Config::set`] takes it.
    pub fn get(&self, key: &str) -> Option<String> {
        self.options.get(key)
    }

    /// Every option.
    pub fn options() -> &'static [OptionRow] {
        ROWS
    }

    /// Sets the WebAssembly features that modules may use.
    pub fn features(&mut self, features: Features) -> &mut Config {
        self.features = features;
        self
    }

    /// Turns one WebAssembly feature on or off.
    pub fn feature(&mut self, feature: Feature, on: bool) -> &mut Config {
        self.features.set(feature, on);
        self
    }

    /// The WebAssembly features that modules may use.
    pub fn enabled_features(&self) -> Features {
        self.features
    }

    /// Sets what modules are accepted at most.
    pub fn limits(&mut self, limits: Limits) -> &mut Config {
        self.limits = limits;
        self
    }

    /// The values that change generated code.
    pub(crate) fn tunables(&self) -> Tunables {
        let options = &self.options;
        Tunables {
            opt_level: options.opt_level,
            regalloc: options.regalloc,
            call_path: options.call_path,
            memory_reservation_bytes: options.memory_reservation,
            memory_guard_bytes: options.memory_guard,
            // A reservation that covers every 32-bit index is never outgrown; only smaller ones make code reload bases.
            memory_may_move: options.memory_may_move && options.memory_reservation < (1 << 32),
            explicit_bounds: options.explicit_bounds,
            signals_based_traps: options.signals_based_traps,
            spectre_mitigation: options.spectre_mitigation,
            fuel: options.fuel,
            epoch: options.epoch,
            nan_canonicalization: options.nan_canonicalization,
            relaxed_simd_deterministic: options.relaxed_simd_deterministic,
            addresses: options.addresses,
            keep_locals: options.keep_locals,
        }
    }
}

/// The key most like `key`: the one with the smallest edit distance, if it is small enough to be a slip.
fn nearest(key: &str) -> Option<&'static str> {
    let distance = |row: &&OptionRow| edit_distance(key, row.key);
    ROWS.iter().min_by_key(distance).filter(|row| distance(row) * 3 <= key.len()).map(|row| row.key)
}

fn edit_distance(left: &str, right: &str) -> usize {
    let mut row = (0..=right.len()).collect::<Vec<_>>();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_parses_back() {
        for row in Config::options() {
            let mut config = Config::new();
            config.set(row.key, &(row.default)()).unwrap();
            assert_eq!(config, Config::new(), "{}", row.key);
        }
    }

    #[test]
    fn cpu_features_go_with_those_that_build_on_them() {
        let mut config = Config::new();
        config.set("cpu-without", "fma+avx2").unwrap();
        let without = config.get("cpu-without").unwrap();
        assert!(without.split('+').any(|name| name == "avx512f"), "{without}");
        assert!(!without.split('+').any(|name| name == "avx"), "{without}");
        assert_eq!(Config::new().set("cpu-without", &without).unwrap(), &config);
        assert!(matches!(config.set("cpu-without", "mmx"), Err(ConfigError::InvalidValue { .. })));
    }

    #[test]
    fn slips_are_recognized() {
        let error = Config::new().set("opt-levl", "speed").unwrap_err();
        assert_eq!(error, ConfigError::UnknownOption { key: "opt-levl".to_owned(), near: Some("opt-level") });
    }
}
