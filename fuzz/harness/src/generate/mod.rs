//! The typed generator: valid modules, drawn from a [`Source`].
//!
//! About eight functions and two hundred operations, over WebAssembly 2.0 with SIMD, relaxed SIMD, tail calls, extended
//! constant expressions, multiple and 64-bit memories and tables, wide arithmetic, custom page sizes and multiple values
//! ([spec](https://webassembly.github.io/spec/core/valid/index.html)). Loops are bounded and calls go forward, so nearly
//! every call ends; no counter is injected, so optimizers see ordinary code. Some modules hold functions of others, for which
//! `splice.rs` sees to the same: those of the suites, mostly.
//!
//! Invariant: every module is valid, every memory and table has a small maximum.
//!
//! Does not know: engines.

mod address;
mod body;
mod control;
mod donor;
mod expression;
pub(crate) mod ops;
mod special;
mod splice;
mod world;

use crate::source::Source;
use std::collections::BTreeMap;
use wattest_differential::Value;

pub(crate) use donor::DonorModule;
#[cfg(test)]
pub(crate) use donor::features as donor_features;
pub(crate) use world::val_type;

/// Generators whose output changes get a new number, so that an old seed is not mistaken for a reproducible one.
pub const GENERATOR_VERSION: u32 = 9;

/// A generated module.
pub struct Generated {
    /// The binary.
    pub wasm: Vec<u8>,
    /// Functions with bodies.
    pub functions: u32,
    /// Operations in them.
    pub operations: u32,
    /// Arguments that functions of another module are called with there, by function.
    pub vectors: BTreeMap<u32, Vec<Vec<Value>>>,
}

/// Generates a module. With `exact_nans` both engines canonicalize NaNs and their bits may be looked at; without, the module
/// canonicalizes a float where its bits become visible.
pub fn generate(source: &mut Source<'_>, exact_nans: bool) -> Generated {
    world::World::choose(source, exact_nans, None).finish(source)
}

/// The same, for engines that canonicalize NaNs, with functions of another module among its own; `None` where that has none
/// to give.
pub(crate) fn generate_spliced(source: &mut Source<'_>, donor: &'static DonorModule) -> Option<Generated> {
    let donation = splice::Donation::choose(source, donor)?;
    Some(world::World::choose(source, true, Some(donation)).finish(source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{case_seed, expand};

    /// Growth between two uses of a length is in some of the modules, and there are accesses behind the guard.
    #[test]
    fn edges_of_memories_are_reached() {
        let (mut between, mut behind) = (0, 0);
        for index in 0..200 {
            let choices = expand(case_seed(15, index));
            let module = generate(&mut Source::new(&choices), true);
            let text = wasmprinter::print_bytes(&module.wasm).expect("a module");
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let uses = |lines: &[&str]| lines.iter().any(|line| line.contains("memory.size") || line.contains("load8"));
            let is_between = |at: &usize| {
                lines[*at].starts_with("memory.grow")
                    && uses(&lines[at.saturating_sub(4)..*at])
                    && uses(&lines[*at..(at + 5).min(lines.len())])
            };
            between += usize::from((0..lines.len()).any(|at| is_between(&at)));
            behind += usize::from(lines.iter().any(|line| line.contains("offset=33554432")));
        }
        assert!(between > 30 && behind > 2, "{between} and {behind} of 200");
    }
}
