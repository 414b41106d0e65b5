//! A differential case: everything that one execution depends on.
//!
//! A case is a function of its bytes, and the bytes of its seed ([`crate::source::expand`]): the seed is all that a replay
//! needs, as long as [`GENERATOR_VERSION`] is the same, and the suites, of which one case in eight takes functions. What is
//! to be run for good is stored whole ([`crate::envelope`]).
//!
//! Invariant: equal bytes give equal cases, on every machine with the same suites.
//!
//! Does not know: how it is run.

use crate::corpus;
use crate::diff_core;
use crate::donors;
use crate::generate::{self, GENERATOR_VERSION};
use crate::smith;
use crate::source::{Source, expand};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use wattest_differential::{Call, Form, NanRule, Plan, Program, ShapeError, Value};

/// Numbers of argument vectors per function, each as likely.
const VECTORS: [usize; 6] = [16, 24, 32, 40, 48, 64];

/// Cases in a hundred that have functions of the suites.
const SPLICED_PERCENT: u32 = 13;

/// Operations that one call may take in the interpreter.
pub const CALL_OPERATIONS_MAX: u64 = 50_000;

/// Who made the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// [`crate::generate`].
    Typed,
    /// The same, with functions of the suites ([`crate::donors`]).
    Spliced,
    /// wasm-smith.
    Smith,
    /// A file.
    File,
}

/// What a report keeps of a case beside the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recipe {
    /// The seed, if the case came from one.
    pub seed: Option<u64>,
    /// Version of the generator.
    pub generator: u32,
    /// Who made the module.
    pub origin: Origin,
    /// Row of the subject's configurations, modulo their number.
    pub subject: usize,
    /// The calls.
    pub plan: Plan,
}

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Everything but the module.
    pub recipe: Recipe,
    /// The module.
    pub program: Program,
    /// Functions with bodies.
    pub functions: u32,
    /// Operations in them (0 where the source does not count).
    pub operations: u32,
    /// Where functions of another module are from.
    pub donor: Option<String>,
}

impl Case {
    /// The case of a seed; `None` where the bytes give no module.
    pub fn from_seed(seed: u64) -> Option<Case> {
        let mut case = Case::from_bytes(&expand(seed))?;
        case.recipe.seed = Some(seed);
        Some(case)
    }

    /// The case of these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Case> {
        let mut source = Source::new(bytes);
        let subject = diff_core::drawn_subject(source.byte());
        let form = if source.percent(60) { Form::Original } else { Form::Exposed };
        let nans = if source.percent(50) { NanRule::Exact } else { NanRule::Arithmetic };
        let is_smith = source.percent(8);
        let donor = if !is_smith && source.percent(SPLICED_PERCENT) { donors::pick(&mut source) } else { None };
        let origin = match donor {
            Some(_) => Origin::Spliced,
            None if is_smith => Origin::Smith,
            None => Origin::Typed,
        };
        // wasm-smith lets the bits of some NaNs be seen whatever it is told, and functions of others know of no rule.
        let nans = if origin == Origin::Typed { nans } else { NanRule::Exact };
        let host_seed = source.u64();
        let module = match donor {
            Some(donor) => generate::generate_spliced(&mut source, donor)?,
            None if is_smith => {
                let wasm = smith::generate(&mut source, true)?;
                generate::Generated { wasm, functions: 0, operations: 0, vectors: BTreeMap::new() }
            }
            None => generate::generate(&mut source, nans == NanRule::Exact),
        };
        let (functions, operations) = (module.functions, module.operations);
        let program = Program::new(module.wasm).ok()?;
        let mut key = [0u8; 8];
        key.copy_from_slice(&bytes.get(..8).map_or([0; 8], |head| head.try_into().unwrap_or([0; 8])));
        let argument_bytes = expand(u64::from_le_bytes(key) ^ host_seed);
        let calls = calls(&mut Source::new(&argument_bytes), &program, &module.vectors);
        let round = round(&program);
        let plan = Plan {
            calls,
            form,
            nans,
            acting_host: !is_smith,
            host_seed,
            steps_max: CALL_OPERATIONS_MAX,
            capture: None,
            state_every: round,
        };
        let recipe = Recipe { seed: None, generator: GENERATOR_VERSION, origin, subject, plan };
        let donor = donor.map(|donor| donor.place.clone());
        Some(Case { recipe, program, functions, operations, donor })
    }

    /// A module given as bytes, for one row of the subject's configurations, with arguments drawn from `seed`.
    ///
    /// # Errors
    ///
    /// When the module cannot be described.
    pub fn from_module(
        wasm: Vec<u8>,
        subject: usize,
        form: Form,
        nans: NanRule,
        seed: u64,
    ) -> Result<Case, ShapeError> {
        let program = Program::new(wasm)?;
        let bytes = expand(seed);
        let calls = calls(&mut Source::new(&bytes), &program, &BTreeMap::new());
        let plan = Plan {
            calls,
            form,
            nans,
            acting_host: false,
            host_seed: seed,
            steps_max: CALL_OPERATIONS_MAX,
            capture: None,
            state_every: 1,
        };
        let recipe = Recipe { seed: None, generator: GENERATOR_VERSION, origin: Origin::File, subject, plan };
        Ok(Case { recipe, program, functions: 0, operations: 0, donor: None })
    }

    /// The command that runs this case again.
    pub fn replay_line(&self) -> String {
        match self.recipe.seed {
            Some(seed) => format!("cargo prove --replay diff_core:{seed:#x}"),
            None => "a libFuzzer input: run the target on the file".into(),
        }
    }
}

/// The functions that a plan calls: those that the module exports and does not import.
fn callable(program: &Program) -> Vec<u32> {
    let shape = &program.shape;
    let own = shape.imported_functions as usize..shape.functions.len();
    own.filter(|index| shape.export_names[*index].is_some()).map(|index| index as u32).collect()
}

/// Calls of one round over all functions that a plan calls, at least one.
pub(crate) fn round(program: &Program) -> usize {
    callable(program).len().max(1)
}

/// All callable functions of the module, with one of [`VECTORS`] argument vectors each, one vector of each in turn: every
/// third one of those that are known to be good for a function, where there are any.
fn calls(source: &mut Source<'_>, program: &Program, known: &BTreeMap<u32, Vec<Vec<Value>>>) -> Vec<Call> {
    let shape = &program.shape;
    let callable = callable(program);
    let vectors = source.pick(&VECTORS);
    let mut calls = Vec::with_capacity(callable.len() * vectors);
    for round in 0..vectors {
        for func in &callable {
            let params = &shape.functions[*func as usize].params;
            // A reference to a function that may call anything could make recursion: arguments are leaves or null.
            let leaf = callable.last().copied();
            let leaf = leaf.as_slice();
            let mut args: Vec<Value> = params.iter().map(|ty| corpus::argument(source, *ty, leaf)).collect();
            let own = known.get(func).filter(|_| round % 3 == 1);
            if let Some(vector) = own.and_then(|own| own.get(round / 3 % own.len().max(1))) {
                args.clone_from(vector);
            }
            calls.push(Call { func: *func, args });
        }
    }
    calls
}
