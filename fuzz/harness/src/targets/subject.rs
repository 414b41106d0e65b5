//! The runtime under test as targets use it directly, and what they share in building modules.
//!
//! Invariant: engines are kept by configuration; nothing of one case is left for the next.
//!
//! Does not know: what is checked.

use crate::source::Source;
use std::collections::BTreeMap;
use wattest::{Config, Engine, Feature, Features};
use wattest_differential::{CONFIGS, effective};

/// Engines by their options.
#[derive(Default)]
pub(super) struct Engines {
    made: BTreeMap<String, Engine>,
}

/// Engines that are kept.
const ENGINES_MAX: usize = 48;

impl Engines {
    /// The engine set up as row `row` of [`CONFIGS`] says, with canonical NaNs; the row's name too.
    pub fn of_row(&mut self, row: usize) -> Result<(Engine, &'static str), String> {
        Ok((self.of_row_with(row, "")?, CONFIGS[row % CONFIGS.len()].name))
    }

    /// The same with more options, each behind a blank.
    pub fn of_row_with(&mut self, row: usize, more: &str) -> Result<Engine, String> {
        let options = effective(&CONFIGS[row % CONFIGS.len()]).options.iter();
        let options: Vec<_> = options.map(|(key, value)| format!("{key}={value}")).collect();
        self.of_options(&(options.join(" ") + more))
    }

    /// The engine with these options, `KEY=VALUE` separated by blanks.
    pub fn of_options(&mut self, options: &str) -> Result<Engine, String> {
        if let Some(engine) = self.made.get(options) {
            return Ok(engine.clone());
        }
        let mut config = Config::new();
        for option in options.split_whitespace() {
            let (key, value) = option.split_once('=').unwrap_or((option, "true"));
            config.set(key, value).map_err(|error| error.to_string())?;
        }
        config.features(features());
        config.parallel_compilation(false);
        config.relaxed_simd_deterministic(true);
        config.nan_canonicalization(true);
        let engine = Engine::new(&config).map_err(|error| error.to_string())?;
        if self.made.len() >= ENGINES_MAX {
            self.made.clear();
        }
        self.made.insert(options.to_owned(), engine.clone());
        Ok(engine)
    }
}

/// What the runtime and the definitional interpreter both have: the latter knows neither the former encoding of exceptions
/// nor imports that share a module's name.
fn features() -> Features {
    Features::all_implemented().without(Feature::LegacyExceptions).without(Feature::CompactImports)
}

/// A row of configurations that neither counts fuel nor epochs: those end calls that others do not.
pub(super) fn endless_row(source: &mut Source<'_>) -> usize {
    let rows: Vec<usize> = (0..CONFIGS.len())
        .filter(|row| !CONFIGS[*row].options.iter().any(|(key, _)| ["fuel", "epoch"].contains(key)))
        .collect();
    source.pick(&rows)
}
