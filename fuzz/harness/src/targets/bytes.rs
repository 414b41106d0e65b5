//! `bytes`: arbitrary bytes are accepted or refused, never worse.
//!
//! Half of the cases are generated modules with a few bytes or operations changed, the rest is what it is. The runtime and
//! the definitional interpreter, whose validator is its own, must agree on whether the bytes are a module; what is accepted
//! must compile, twice to the same artifact.
//!
//! Invariant: a limit of either side is no verdict.
//!
//! Does not know: what is wrong with a module.

use super::subject::Engines;
use super::{Outcome, Target};
use crate::envelope::Envelope;
use crate::generate;
use crate::model::Model;
use crate::source::Source;
use crate::{mutate, smith};
use wattest::{CompileError, Module};
use wattest_reference::{Features, Module as ReferenceModule, ModuleError};

/// Configurations that differ in what is compiled.
const OPTIONS: [&str; 4] =
    ["", "opt-level=none", "fuel=true epoch=true", "explicit-bounds=true signals-based-traps=false"];

/// The target.
#[derive(Default)]
pub(super) struct Bytes {
    engines: Engines,
}

/// What a side says of some bytes; `None` is no verdict.
type Verdict = Option<Result<(), String>>;

fn reference(wasm: &[u8]) -> Verdict {
    match ReferenceModule::decode(wasm, Features::all()) {
        Ok(_) => Some(Ok(())),
        Err(ModuleError::Unsupported { .. }) => None,
        Err(error) => Some(Err(error.to_string())),
    }
}

fn is_limit(error: &CompileError) -> bool {
    let text = error.to_string();
    ["too large", "too many", "limit", "exceed", "not implemented", "support", "out of bounds", "maximum"]
        .iter()
        .any(|word| text.contains(word))
        || matches!(error, CompileError::Codegen(_) | CompileError::Memory(_))
}

impl Target for Bytes {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let options = source.below(OPTIONS.len());
        let case = Envelope::new("bytes").set("options", options);
        let wasm = match source.below(8) {
            0..=2 => generate::generate(&mut source, true).wasm,
            3 => smith::generate_later(&mut source)?,
            4 => smith::generate(&mut source, true)?,
            5 | 6 => {
                let name = if source.percent(50) { "gc_model" } else { "eh_model" };
                let program = Model::named(name)?.case(bytes.get(4..)?)?.program;
                program.modules.into_iter().next()?.wasm
            }
            _ => return Some(case.module("bytes", bytes.to_vec())),
        };
        let mut case = case.module("bytes", wasm);
        for _ in 0..source.below(4) {
            if source.percent(50) {
                case = mutate::mutate(&case, &mut source);
            }
            let length = case.modules[0].bytes.len();
            let at = usize::from(source.u32() as u16) % length.max(1);
            let bytes = &mut case.modules[0].bytes;
            match (source.below(5), at < length) {
                (0, true) => bytes[at] ^= 1 << source.below(8),
                (1, true) => bytes[at] = source.byte(),
                (2, true) => {
                    bytes.remove(at);
                }
                (3, true) => bytes.insert(at, source.byte()),
                _ => bytes.truncate(at),
            }
        }
        Some(case.set("options", options))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let wasm = case.bytes(0);
        let options = OPTIONS[case.number("options", 0) as usize % OPTIONS.len()];
        let engine = match self.engines.of_options(options) {
            Ok(engine) => engine,
            Err(what) => return Outcome::failed("wattest", what),
        };
        let expected = reference(wasm);
        let seen = Module::from_binary(&engine, wasm);
        let outcome = Outcome { checks: 1, reference_checks: 1, useful: seen.is_ok(), ..Outcome::default() };
        match (&seen, &expected) {
            (Ok(_), Some(Err(what))) => {
                return Outcome::failed("wattest", format!("accepts a module that the reference refuses: {what}"));
            }
            (Err(error), Some(Ok(()))) if !is_limit(error) => {
                return Outcome::failed("wattest", format!("refuses a module that the reference accepts: {error}"));
            }
            _ => {}
        }
        let Ok(module) = seen else { return outcome };
        let artifact = module.serialize().map_err(|error| error.to_string());
        let again = Module::from_binary(&engine, wasm).map_err(|error| error.to_string());
        let again = again.and_then(|module| module.serialize().map_err(|error| error.to_string()));
        if artifact.is_err() || artifact != again {
            return Outcome::failed("wattest", "compiling twice gives different artifacts");
        }
        outcome
    }
}
