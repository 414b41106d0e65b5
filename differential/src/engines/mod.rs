//! The engines behind one trait.
//!
//! Invariant: an engine answers in neutral values only; adding one is one file here and one line below.
//!
//! Does not know: comparison.

mod reference;
mod wasmi;
#[cfg(feature = "wattest")]
mod wattest;
#[cfg(feature = "wattest")]
mod wattest_components;

use crate::{FuncIdentity, FuncSignature, Plan, Program, Run, Shape};
use std::fmt;

pub use reference::{DefinitionalEngine, OPERATOR_PREFIX};
pub(crate) use reference::{tally_of, trap_class as reference_trap};
pub use wasmi::{ReferenceMode, WasmiEngine};
#[cfg(feature = "wattest")]
pub use wattest::{CONFIGS, ROUND_TRIP, WattestConfig, WattestEngine, build, config_of, effective, leave_out};
#[cfg(feature = "wattest")]
pub(crate) use wattest::{HostFailure, Kept as KeptWattest, classify as wattest_classify};
#[cfg(feature = "wattest")]
pub use wattest_components::WattestComponents;

/// What a host function may act on, by the names of the original module's exports, which both forms have.
#[derive(Clone, Debug)]
pub(crate) struct HostTargets {
    pub(crate) callback: Option<(String, FuncSignature)>,
    pub(crate) memory: Option<String>,
    /// Exported functions by index: what a reference that comes to the host is, if it is one of them.
    funcs: Vec<(String, u32)>,
}

impl HostTargets {
    pub(crate) fn of(shape: &Shape) -> HostTargets {
        let callback = shape.callback.as_ref();
        let named = (0..).zip(&shape.export_names);
        HostTargets {
            funcs: named.filter_map(|(index, name)| Some((name.clone()?, index))).collect(),
            callback: callback.map(|(index, name)| (name.clone(), shape.functions[*index as usize].clone())),
            memory: shape.host_memory.as_ref().map(|(_, name)| name.clone()),
        }
    }

    /// What a function is that comes to the host: the first whose export `is_it`.
    pub(crate) fn identity(&self, mut is_it: impl FnMut(&str) -> bool) -> FuncIdentity {
        let found = self.funcs.iter().find(|(name, _)| is_it(name));
        found.map_or(FuncIdentity::Unknown, |(_, index)| FuncIdentity::Index(*index))
    }
}

/// A module or a plan that an engine would not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The module was rejected: by the validator or the compiler.
    Module(String),
    /// Something in the engine or its adapter broke: always a finding.
    Broken(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Module(text) => write!(f, "module refused: {text}"),
            Refusal::Broken(text) => write!(f, "unexpected error: {text}"),
        }
    }
}

/// Something that runs programs.
pub trait Engine {
    /// Name and version or configuration, for reports.
    fn name(&self) -> String;

    /// Whether a call that does not end is stopped.
    fn interruptible(&self) -> bool {
        false
    }

    /// Runs the plan, step by step.
    fn run(&mut self, program: &Program, plan: &Plan) -> Result<Run, Refusal>;
}
