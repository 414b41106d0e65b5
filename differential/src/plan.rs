//! What an engine is asked to do: a program and a plan of calls.
//!
//! Invariant: `exposed` is `wasm` with exports and probes added ([`crate::expose`]) and nothing else changed; a plan calls only
//! functions that the original exports, so that both forms can run it.
//!
//! Does not know: engines.

use crate::expose::{code_start, expose};
use crate::{Ending, NanRule, Shape, ShapeError, Step, Value};
use serde::{Deserialize, Serialize};

/// A module in both forms.
#[derive(Clone, Debug)]
pub struct Program {
    /// The module as generated.
    pub wasm: Vec<u8>,
    /// The module with every function, global, memory and table exported under reserved names, and probes of segments.
    pub exposed: Vec<u8>,
    /// Its index spaces.
    pub shape: Shape,
    /// Bytes by which function bodies lie further back in the exposed form.
    pub code_shift: u32,
}

impl Program {
    /// Reads a binary module.
    pub fn new(wasm: Vec<u8>) -> Result<Program, ShapeError> {
        let shape = Shape::of(&wasm)?;
        let exposed = expose(&wasm, &shape)?;
        let code_shift = (code_start(&exposed)? - code_start(&wasm)?) as u32;
        Ok(Program { wasm, exposed, shape, code_shift })
    }

    /// The program with both forms edited in a way that leaves its index spaces alone; `None` where `edit` gives none.
    pub fn edited(&self, edit: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Program> {
        Some(Program { wasm: edit(&self.wasm)?, exposed: edit(&self.exposed)?, ..self.clone() })
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
    /// Whether the state after the next step, which ended like this, is looked at.
    pub(crate) fn shows(&self, before: &[Step], ending: &Ending) -> bool {
        if self.state_every <= 1 {
            return true;
        }
        let is_trap = |ending: &Ending| matches!(ending, Ending::Trap(_));
        let rare = |count: usize| count <= 1 || count.is_power_of_two();
        let round = before.len().is_multiple_of(self.state_every).then_some(before.len() / self.state_every);
        round.is_some_and(rare)
            || is_trap(ending) && rare(1 + before.iter().filter(|step| is_trap(&step.ending)).count())
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
    /// Steps of a round. With 1, the state is looked at after every step; else after the first, second, fourth, eighth …
    /// round and after as many of the traps. What a call changes is there until the next look, unless it is overwritten:
    /// campaigns look so rarely, and look closer where they find something.
    pub state_every: usize,
}
