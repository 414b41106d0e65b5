//! Programs of several modules, linked by imports, seen from outside only.
//!
//! A [`LinkedProgram`] is instantiated module by module, each importing what earlier ones export
//! ([instantiation](https://webassembly.github.io/spec/core/exec/modules.html#instantiation)); calls go to exports with
//! numbers as arguments. References are seen by kind, since their addresses are nobody's business, and by the [`Graph`] of
//! what they lead to. This is the form for what the interpreter wasmi does not have: garbage collection, typed references,
//! exceptions.
//!
//! Invariant: nothing in a [`LinkedRun`] depends on the engine that made it.
//!
//! Does not know: where programs come from; private state.

mod graph;
mod reference;
#[cfg(feature = "wattest")]
mod wattest;

use crate::{Poison, Refusal, TrapClass, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

pub use graph::{Graph, Node, Part};
#[cfg(feature = "wattest")]
pub use wattest::{LinkedWattest, configuration, implements, row};

/// A module of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedModule {
    /// The name under which later modules import from it.
    pub name: String,
    /// The binary.
    pub wasm: Vec<u8>,
}

/// A call of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedCall {
    /// Index of the module.
    pub module: usize,
    /// The function's name.
    pub export: String,
    /// Numbers.
    pub args: Vec<Value>,
}

/// Modules in the order of instantiation, and the calls that follow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedProgram {
    /// The modules.
    pub modules: Vec<LinkedModule>,
    /// The calls.
    pub calls: Vec<LinkedCall>,
}

/// A value as an outsider sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed {
    /// A number or a vector.
    Number(Value),
    /// A null reference.
    Null,
    /// An unboxed integer: its low 31 bits.
    I31(u32),
    /// Any other reference.
    Reference,
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Observed::Number(value) => write!(f, "{value:x?}"),
            other => write!(f, "{other:x?}"),
        }
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkedEnding {
    /// With results.
    Values(Vec<Observed>),
    /// With a trap.
    Trap(TrapClass),
    /// With an exception that nothing caught.
    Exception,
    /// With nothing: what the module imports is missing or of another type. The program ends there.
    Unlinkable,
}

/// A step: one instantiation, or one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedStep {
    /// How it ended.
    pub ending: LinkedEnding,
    /// Exported globals, by module and then by name.
    pub globals: Vec<Observed>,
    /// Exported memories, in the same order, without the zeros at their ends.
    pub memories: Vec<Vec<u8>>,
    /// Sizes of exported tables, in the same order.
    pub tables: Vec<u64>,
    /// What can be reached from results, exceptions, exported globals and tables; a prediction has none.
    pub graph: Option<Graph>,
    /// Where it trapped: the byte offset of the instruction in its module, for engines that know it.
    pub offset: Option<u32>,
}

impl LinkedStep {
    /// A step that ended so, nothing else known of it.
    pub fn ended(ending: LinkedEnding) -> LinkedStep {
        LinkedStep { ending, globals: vec![], memories: vec![], tables: vec![], graph: None, offset: None }
    }
}

/// What an engine did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkedRun {
    /// One step per module, then one per call. An instantiation that does not succeed is the last step.
    pub steps: Vec<LinkedStep>,
    /// Why there are fewer.
    pub stopped: Option<Poison>,
    /// Instructions executed by proposal, where the engine counts them.
    pub tally: BTreeMap<String, u64>,
}

/// Something that runs linked programs.
pub trait LinkedEngine {
    /// Name and configuration.
    fn name(&self) -> String;

    /// Runs the program, each step with a budget of `steps_max` operations where the engine counts them.
    ///
    /// # Errors
    ///
    /// When a module is refused, or something broke.
    fn run(&mut self, program: &LinkedProgram, steps_max: u64) -> Result<LinkedRun, Refusal>;
}

/// The first difference between what was expected and what happened, over the steps that both finished.
///
/// # Errors
///
/// The difference, expected side first.
pub fn compare_linked(expected: &LinkedRun, actual: &LinkedRun) -> Result<(), String> {
    for (index, left) in expected.steps.iter().enumerate() {
        let Some(right) = actual.steps.get(index) else {
            return match actual.stopped {
                Some(Poison::Budget) | None => {
                    Err(format!("step {index}: expected {:?}, but did not end", left.ending))
                }
                Some(_) => Ok(()),
            };
        };
        steps(left, right).map_err(|what| format!("step {index}: {what}"))?;
    }
    Ok(())
}

fn steps(left: &LinkedStep, right: &LinkedStep) -> Result<(), String> {
    let ended_alike = match (&left.ending, &right.ending) {
        (LinkedEnding::Values(left), LinkedEnding::Values(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| alike(left, right))
        }
        (left, right) => left == right,
    };
    if !ended_alike {
        return Err(format!("{:x?} against {:x?}", left.ending, right.ending));
    }
    if let Some(at) = left.globals.iter().zip(&right.globals).position(|(left, right)| !alike(left, right)) {
        return Err(format!("exported global {at}: {} against {}", left.globals[at], right.globals[at]));
    }
    for (index, (left, right)) in left.memories.iter().zip(&right.memories).enumerate() {
        let length = left.len().max(right.len());
        let byte = |bytes: &[u8], at: usize| bytes.get(at).copied().unwrap_or(0);
        if let Some(at) = (0..length).find(|at| byte(left, *at) != byte(right, *at)) {
            let word = |bytes: &[u8]| {
                (0..8).rev().fold(0u64, |word, offset| word << 8 | u64::from(byte(bytes, at / 8 * 8 + offset)))
            };
            let (left, right) = (word(left), word(right));
            return Err(format!("exported memory {index}, word {}: {left:#x} against {right:#x}", at / 8));
        }
    }
    if left.tables != right.tables || left.globals.len() != right.globals.len() {
        return Err(format!("exported tables of {:?} elements against {:?}", left.tables, right.tables));
    }
    if let (Some(left), Some(right)) = (&left.graph, &right.graph)
        && let Some(what) = left.difference(right)
    {
        return Err(what);
    }
    match (left.offset, right.offset) {
        (Some(one), Some(other)) if one != other => {
            Err(format!("{:?} at offset {one:#x} against {other:#x}", left.ending))
        }
        _ => Ok(()),
    }
}

/// Whether two engines saw the same: one may not tell what kind of reference it has.
fn alike(left: &Observed, right: &Observed) -> bool {
    left == right
        || matches!((left, right), (Observed::Reference, Observed::I31(_)) | (Observed::I31(_), Observed::Reference))
}

/// Elements of one table that graphs start from.
const TABLE_ROOTS_MAX: usize = 256;

/// Above every number of a declared type.
const OTHER_TYPE: u64 = 1 << 32;

/// Bytes without the zeros at the end.
fn trimmed(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes[..end].to_vec()
}
