//! What an engine is asked to do: a program and a plan of calls.
//!
//! Invariant: `exposed` is `wasm` with exports added ([`crate::expose`]) and nothing else changed; a plan calls only
//! functions that the original exports, so that both forms can run it.
//!
//! Does not know: engines.

use crate::{Ending, NanRule, Shape, ShapeError, Value, expose};
use serde::{Deserialize, Serialize};

/// A module in both forms.
#[derive(Clone, Debug)]
pub struct Program {
    /// The module as generated.
    pub wasm: Vec<u8>,
    /// The module with every function, global, memory and table exported under reserved names.
    pub exposed: Vec<u8>,
    /// Its index spaces.
    pub shape: Shape,
}

impl Program {
    /// Reads a binary module.
    pub fn new(wasm: Vec<u8>) -> Result<Program, ShapeError> {
        let shape = Shape::of(&wasm)?;
        let exposed = expose(&wasm, &shape)?;
        Ok(Program { wasm, exposed, shape })
    }
}

/// Which bytes an engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// The module as generated, state read by inspection.
    Original,
    /// The re-encoded one, state read through exports.
    Exposed,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Function index.
    pub func: u32,
    /// Arguments.
    pub args: Vec<Value>,
}

impl Plan {
    /// Whether the state after a step is looked at.
    pub(crate) fn shows(&self, step: usize, ending: &Ending) -> bool {
        step.is_multiple_of(self.state_every.max(1)) || matches!(ending, Ending::Trap(_))
    }
}

/// Calls in order, on one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The calls.
    pub calls: Vec<Call>,
    /// Which form the subject runs; an engine without inspection runs the exposed one anyway.
    pub form: Form,
    /// Whether the subject has to canonicalize NaNs.
    pub nans: NanRule,
    /// Whether host functions act on the instance (only for modules that cannot recurse without bound).
    pub acting_host: bool,
    /// Seed of the host functions' results and of imported globals.
    pub host_seed: u64,
    /// Budget of one call, in operations, for engines that count them.
    pub steps_max: u64,
    /// Step (0 is the instantiation) after which memory contents are kept, for reports.
    pub capture: Option<usize>,
    /// The state is looked at after every so many steps, and after each trap; 1 for every step. What a call changes is
    /// there until the next look, unless it is overwritten: campaigns look after each round of calls, and look closer
    /// where they find something.
    pub state_every: usize,
}
