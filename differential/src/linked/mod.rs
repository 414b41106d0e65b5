//! Programs of several modules, linked by imports: what they show, and what they keep to themselves.
//!
//! A [`LinkedProgram`] is instantiated module by module, each importing what earlier ones export
//! ([instantiation](https://webassembly.github.io/spec/core/exec/modules.html#instantiation)), or what the host has for all
//! of them ([`HOST_FUNCTIONS`]); calls go to exports with numbers as arguments. References are seen by kind, since their addresses are nobody's business, and by the [`Graph`] of
//! what they lead to. What no export shows (globals, memories, tables, segments) is [`Private`]: both engines let their
//! instances be looked into. This is the form for what the interpreter wasmi does not have: garbage collection, typed
//! references, exceptions.
//!
//! Invariant: nothing in a [`LinkedRun`] depends on the engine that made it.
//!
//! Does not know: where programs come from.

mod graph;
mod host;
mod reference;
#[cfg(feature = "wattest")]
mod wattest;

use crate::{Poison, Refusal, TrapClass, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

pub use graph::{Graph, Node, Part};
pub use host::{HOST, HOST_DEPTH_MAX, HOST_FUNCTIONS, HostAct, HostFunction, HostType, LinkedHostCall, digest};
#[cfg(feature = "wattest")]
pub use wattest::{LinkedWattest, configuration, implements, row, row_count};

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

/// A memory: its size, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Contents without the zeros at the end.
    pub bytes: Vec<u8>,
}

impl Image {
    /// A memory of that size with these bytes at its beginning, and zeros behind them.
    pub fn new(size_bytes: u64, bytes: &[u8]) -> Image {
        Image { size_bytes, bytes: trimmed(bytes).to_vec() }
    }

    /// All of a memory.
    fn of(bytes: &[u8]) -> Image {
        Image::new(bytes.len() as u64, bytes)
    }

    /// The first difference.
    fn difference(&self, other: &Image) -> Option<String> {
        let length = self.bytes.len().max(other.bytes.len());
        let byte = |image: &Image, at: usize| image.bytes.get(at).copied().unwrap_or(0);
        if let Some(at) = (0..length).find(|at| byte(self, *at) != byte(other, *at)) {
            let word =
                |image| (0..8).rev().fold(0u64, |word, offset| word << 8 | u64::from(byte(image, at / 8 * 8 + offset)));
            return Some(format!(", word {}: {:#x} against {:#x}", at / 8, word(self), word(other)));
        }
        (self.size_bytes != other.size_bytes)
            .then(|| format!(": {} bytes against {}", self.size_bytes, other.size_bytes))
    }
}

/// What instances have that no export shows, instance by instance, each thing by its index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Private {
    /// Globals.
    pub globals: Vec<Observed>,
    /// Memories.
    pub memories: Vec<Image>,
    /// Sizes of tables.
    pub tables: Vec<u64>,
    /// Of every data segment whether it is empty: dropped, or without contents from the start.
    pub empty_data: Vec<bool>,
    /// The same of every element segment.
    pub empty_elements: Vec<bool>,
}

/// Where a step trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In no instruction: while active segments were copied.
    Nowhere,
    /// In an instruction.
    At {
        /// Index of its module.
        module: usize,
        /// Its first byte in the module.
        offset: u32,
        /// Whether it may instead be a later one, which uses the value that the access gives.
        is_late: bool,
    },
}

impl Place {
    /// Whether both may be the same place. A late one is not before the access itself.
    fn agrees(self, other: Place) -> bool {
        let (Place::At { module, offset, is_late }, Place::At { module: whose, offset: there, is_late: late }) =
            (self, other)
        else {
            return self == other;
        };
        module == whose
            && match (is_late, late) {
                (false, false) => offset == there,
                (false, true) => offset <= there,
                (true, false) => there <= offset,
                (true, true) => true,
            }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Nowhere => f.write_str("no instruction"),
            Place::At { module, offset, .. } => write!(f, "offset {offset:#x} of module {module}"),
        }
    }
}

/// A step: one instantiation, or one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedStep {
    /// How it ended.
    pub ending: LinkedEnding,
    /// Calls of the host, in order.
    pub host_calls: Vec<LinkedHostCall>,
    /// Exported globals, by module and then by name.
    pub globals: Vec<Observed>,
    /// Exported memories, in the same order.
    pub memories: Vec<Image>,
    /// Sizes of exported tables, in the same order.
    pub tables: Vec<u64>,
    /// What is not exported, of every instance that there is.
    pub private: Option<Private>,
    /// What can be reached from results, exceptions, globals and tables; a prediction has none.
    pub graph: Option<Graph>,
    /// Fuel that it took, in configurations that count it.
    pub fuel: Option<u64>,
    /// Where it trapped; a prediction does not know it.
    pub place: Option<Place>,
}

impl LinkedStep {
    /// A step that ended so, nothing else known of it.
    pub fn ended(ending: LinkedEnding) -> LinkedStep {
        LinkedStep {
            ending,
            host_calls: vec![],
            globals: vec![],
            memories: vec![],
            tables: vec![],
            private: None,
            graph: None,
            fuel: None,
            place: None,
        }
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
    for (index, (left, right)) in left.host_calls.iter().zip(&right.host_calls).enumerate() {
        if left.function != right.function {
            let [left, right] = [left, right].map(|call| HOST_FUNCTIONS[call.function].name);
            return Err(format!("host call {index}: of {left} against {right}"));
        }
        values(&format!("host call {index}, argument"), &left.args, &right.args)?;
    }
    count("host calls", left.host_calls.len(), right.host_calls.len())?;
    values("exported global", &left.globals, &right.globals)?;
    images("exported memory", &left.memories, &right.memories)?;
    sizes("exported tables", &left.tables, &right.tables)?;
    if let (Some(left), Some(right)) = (&left.private, &right.private) {
        left.compare(right)?;
    }
    if let (Some(left), Some(right)) = (&left.graph, &right.graph)
        && let Some(what) = left.difference(right)
    {
        return Err(what);
    }
    if let (Some(one), Some(other)) = (left.fuel, right.fuel)
        && one != other
    {
        return Err(format!("{one} units of fuel against {other}"));
    }
    match (left.place, right.place) {
        (Some(one), Some(other)) if !one.agrees(other) => Err(format!("{:?} at {one} against {other}", left.ending)),
        _ => Ok(()),
    }
}

impl Private {
    fn compare(&self, other: &Private) -> Result<(), String> {
        values("private global", &self.globals, &other.globals)?;
        images("private memory", &self.memories, &other.memories)?;
        sizes("private tables", &self.tables, &other.tables)?;
        segments("data", &self.empty_data, &other.empty_data)?;
        segments("element", &self.empty_elements, &other.empty_elements)
    }
}

fn values(what: &str, left: &[Observed], right: &[Observed]) -> Result<(), String> {
    if let Some(at) = left.iter().zip(right).position(|(left, right)| !alike(left, right)) {
        return Err(format!("{what} {at}: {} against {}", left[at], right[at]));
    }
    count(what, left.len(), right.len())
}

fn images(what: &str, left: &[Image], right: &[Image]) -> Result<(), String> {
    for (index, (left, right)) in left.iter().zip(right).enumerate() {
        if let Some(difference) = left.difference(right) {
            return Err(format!("{what} {index}{difference}"));
        }
    }
    count(what, left.len(), right.len())
}

fn sizes(what: &str, left: &[u64], right: &[u64]) -> Result<(), String> {
    if left == right { Ok(()) } else { Err(format!("{what} of {left:?} elements against {right:?}")) }
}

fn segments(what: &str, left: &[bool], right: &[bool]) -> Result<(), String> {
    let say = |empty: bool| if empty { "empty" } else { "not empty" };
    match left.iter().zip(right).position(|(left, right)| left != right) {
        Some(at) => Err(format!("{what} segment {at}: {} against {}", say(left[at]), say(right[at]))),
        None => count(&format!("{what} segment"), left.len(), right.len()),
    }
}

fn count(what: &str, left: usize, right: usize) -> Result<(), String> {
    if left == right { Ok(()) } else { Err(format!("{what}: {left} of them against {right}")) }
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

/// Bytes that are compared with zeros together.
const CHUNK_BYTES: usize = 4096;

/// Bytes without the zeros at the end.
fn trimmed(bytes: &[u8]) -> &[u8] {
    const ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];
    let is_zero = |chunk: &[u8]| *chunk == ZEROS[..chunk.len()];
    let Some(last) = bytes.chunks(CHUNK_BYTES).rposition(|chunk| !is_zero(chunk)) else { return &[] };
    let whole = &bytes[..bytes.len().min((last + 1) * CHUNK_BYTES)];
    &whole[..whole.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same two steps but for one thing, which the message names.
    #[test]
    fn every_part_of_a_step_is_compared() {
        let step = || LinkedStep {
            host_calls: vec![LinkedHostCall { function: 3, args: vec![Observed::Null] }],
            globals: vec![Observed::Null],
            memories: vec![Image::new(65536, &[1, 0])],
            tables: vec![3],
            private: Some(Private {
                globals: vec![Observed::Number(Value::I32(1))],
                memories: vec![Image::new(65536, &[0; 9])],
                tables: vec![4],
                empty_data: vec![false, true],
                empty_elements: vec![true],
            }),
            fuel: Some(7),
            ..LinkedStep::ended(LinkedEnding::Values(vec![]))
        };
        let check = |change: fn(&mut LinkedStep, &mut Private), expected: &str| {
            let (left, mut right) = (step(), step());
            let mut private = right.private.take().expect("private state");
            change(&mut right, &mut private);
            right.private = Some(private);
            let run = |step| LinkedRun { steps: vec![step], ..LinkedRun::default() };
            let expected = if expected.is_empty() { Ok(()) } else { Err(format!("step 0: {expected}")) };
            assert_eq!(compare_linked(&run(left), &run(right)), expected);
        };
        check(|_, _| {}, "");
        check(|step, _| step.host_calls[0].function = 2, "host call 0: of throw against call");
        check(
            |step, _| step.host_calls[0].args[0] = Observed::Reference,
            "host call 0, argument 0: Null against Reference",
        );
        check(|step, _| step.host_calls.clear(), "host calls: 1 of them against 0");
        check(|step, _| step.globals[0] = Observed::Reference, "exported global 0: Null against Reference");
        check(|step, _| step.globals.clear(), "exported global: 1 of them against 0");
        check(|step, _| step.memories[0].bytes[0] = 2, "exported memory 0, word 0: 0x1 against 0x2");
        check(|step, _| step.memories[0].size_bytes *= 2, "exported memory 0: 65536 bytes against 131072");
        check(|step, _| step.memories.clear(), "exported memory: 1 of them against 0");
        check(|step, _| step.tables[0] = 4, "exported tables of [3] elements against [4]");
        check(|_, own| own.globals[0] = Observed::Null, "private global 0: I32(1) against Null");
        check(|_, own| own.memories[0] = Image::new(65536, &[0, 1]), "private memory 0, word 0: 0x0 against 0x100");
        check(|_, own| own.memories[0].size_bytes = 0, "private memory 0: 65536 bytes against 0");
        check(|_, own| own.tables.push(1), "private tables of [4] elements against [4, 1]");
        check(|_, own| own.empty_data[1] = false, "data segment 1: empty against not empty");
        check(|step, _| step.fuel = Some(8), "7 units of fuel against 8");
        check(|step, _| step.fuel = None, "");
        check(|_, own| own.empty_elements.clear(), "element segment: 1 of them against 0");
    }

    #[test]
    fn places_of_traps_compare() {
        let at = |module, offset| Place::At { module, offset, is_late: false };
        let late = |module, offset| Place::At { module, offset, is_late: true };
        let check = |left: Place, right: Place, expected: bool| {
            assert_eq!((left.agrees(right), right.agrees(left)), (expected, expected), "{left:?} {right:?}");
        };
        check(at(0, 7), at(0, 7), true);
        check(at(0, 7), at(0, 8), false);
        check(at(0, 7), at(1, 7), false);
        check(at(0, 7), Place::Nowhere, false);
        check(Place::Nowhere, Place::Nowhere, true);
        check(at(0, 7), late(0, 9), true);
        check(at(0, 7), late(0, 6), false);
        check(at(0, 7), late(1, 9), false);
        check(late(0, 6), late(0, 9), true);
        check(late(0, 6), late(1, 6), false);
    }

    #[test]
    fn zeros_at_the_end_do_not_count() {
        for (length, last) in [(0, None), (9000, None), (9000, Some(8999)), (8192, Some(4095)), (8192, Some(4096))] {
            let mut bytes = vec![0; length];
            last.into_iter().for_each(|last: usize| bytes[last] = 1);
            assert_eq!(trimmed(&bytes).len(), last.map_or(0, |last| last + 1), "{length} {last:?}");
        }
    }
}
