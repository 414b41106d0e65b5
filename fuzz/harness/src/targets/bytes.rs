//! `bytes`: arbitrary bytes are accepted or refused, never worse.
//!
//! Half of the cases are generated modules with a few bytes or operations changed, the rest is what it is. The runtime and
//! the definitional interpreter, whose validator is its own, must agree on whether the bytes are a module, and V8, where it
//! is installed, with the interpreter set to the proposals that V8 has; what is accepted must compile, twice to the same
//! artifact. Where the first two disagree V8 votes; else it is asked in batches.
//!
//! Invariant: a limit of either side is no verdict.
//!
//! Does not know: what is wrong with a module.

use super::subject::Engines;
use super::{Outcome, Target};
use crate::diff_core::Disagreement;
use crate::envelope::Envelope;
use crate::generate;
use crate::model::Model;
use crate::source::Source;
use crate::third::{self, said};
use crate::vote::{Suspect, Vote};
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
    /// Bytes that V8 will be asked about.
    kept: Vec<Vec<u8>>,
}

/// What a side says of some bytes; `None` is no verdict.
type Verdict = Option<Result<(), String>>;

fn reference(wasm: &[u8], features: Features) -> Verdict {
    match ReferenceModule::decode(wasm, features) {
        Ok(_) => Some(Ok(())),
        Err(ModuleError::Unsupported { .. }) => None,
        Err(error) => Some(Err(error.to_string())),
    }
}

/// Words of refusals of modules that are valid, and larger than this engine takes: of the validator, then of the code
/// generator. Whatever else it says is a verdict.
const LIMITS: [&str; 11] = [
    "exceeds the engine's limit of",
    "count exceeds limit of",
    "exceeds the limit of",
    "implementation limit",
    "type index too large",
    "locals exceed maximum",
    "size is out of bounds",
    "function too large to compile",
    "compiled code of the module is too large",
    "bytes is too large",
    "too many imports, globals and functions",
];

fn is_limit(error: &CompileError) -> bool {
    match error {
        CompileError::Memory(_) => true,
        other => {
            let text = other.to_string();
            LIMITS.iter().any(|words| text.contains(words))
        }
    }
}

/// Whether a module is refused for the type of numbers or vectors where a reference type stands: V8 takes those in element
/// segments without elements (`differential/FINDINGS.md`).
fn is_element_segment_of_numbers(wasm: &[u8], refusal: &str) -> bool {
    let place =
        refusal.strip_prefix("malformed at 0x").and_then(|rest| rest.strip_suffix(": malformed reference type"));
    let Some(at) = place.and_then(|place| usize::from_str_radix(place, 16).ok()) else { return false };
    // The type, no elements behind it, and one of the two flags of segments with a type before it.
    let is_number = matches!(wasm.get(at), Some(0x7b..=0x7f)) && wasm.get(at + 1) == Some(&0);
    is_number && at > 0 && matches!(wasm.get(at - 1), Some(5 | 7))
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
                case = mutate::mutate(&case, &mut source, false);
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
        // A stored case has one outcome.
        self.kept.clear();
        let mut outcome = self.check_one(case);
        outcome.third_votes(std::mem::take(&mut self.kept));
        outcome
    }

    fn check(&mut self, bytes: &[u8]) -> Option<Outcome> {
        let case = self.decode(bytes)?;
        let mut outcome = self.check_one(&case);
        if self.kept.len() >= third::batch() {
            outcome.third_votes(std::mem::take(&mut self.kept));
        }
        Some(outcome)
    }
}

impl Outcome {
    /// Asks V8 about bytes of which the others agree whether they are a module.
    fn third_votes(&mut self, kept: Vec<Vec<u8>>) {
        if kept.is_empty() {
            return;
        }
        let modules: Vec<&[u8]> = kept.iter().map(Vec::as_slice).collect();
        let (Some(verdicts), Some(features)) = (third::judge(&modules), third::features()) else { return };
        for (wasm, verdict) in kept.iter().zip(verdicts) {
            let what = match (verdict, reference(wasm, features)) {
                (Err(silence), _) => {
                    *self.third.entry(said(Some(silence))).or_default() += 1;
                    continue;
                }
                (Ok(Ok(())), Some(Err(what))) if is_element_segment_of_numbers(wasm, &what) => {
                    *self.third.entry("takes empty element segments of numbers (FINDINGS)".to_owned()).or_default() +=
                        1;
                    continue;
                }
                (Ok(Ok(())), Some(Err(what))) => format!("accepts a module that the reference refuses: {what}"),
                (Ok(Err(what)), Some(Ok(()))) => format!("refuses a module that the reference accepts: {what}"),
                _ => {
                    *self.third.entry(said(None)).or_default() += 1;
                    continue;
                }
            };
            *self.third.entry("differs from all others".to_owned()).or_default() += 1;
            if self.disagreement.is_none() {
                let subject = third::name().unwrap_or_default();
                let vote = Vote { suspect: Suspect::Third, reference: "agrees with the runtime".to_owned() };
                self.case = Some(Envelope::new("bytes").set("options", 0).module("bytes", wasm.clone()).to_bytes());
                self.disagreement = Some((Disagreement { subject, what, step: None }, vote));
            }
        }
    }
}

impl Bytes {
    /// Where the runtime and the reference disagree, V8 says who is suspected.
    fn disagree(what: String, wasm: &[u8], runtime_accepts: bool) -> Outcome {
        let mut outcome = Outcome::failed("wattest", what);
        if let Some(Ok(verdict)) = third::judge(&[wasm]).and_then(|mut verdicts| verdicts.pop())
            && let Some((_, vote)) = &mut outcome.disagreement
        {
            let with_runtime = verdict.is_ok() == runtime_accepts;
            vote.reference.push_str(if with_runtime { "; V8 sides with the runtime" } else { "; so does V8" });
            // Refusals by what V8 lacks look like any other.
            if with_runtime && runtime_accepts {
                vote.suspect = Suspect::Reference;
            }
        }
        outcome
    }

    fn check_one(&mut self, case: &Envelope) -> Outcome {
        let wasm = case.bytes(0);
        let options = OPTIONS[case.number("options", 0) as usize % OPTIONS.len()];
        let engine = match self.engines.of_options(options) {
            Ok(engine) => engine,
            Err(what) => return Outcome::failed("wattest", what),
        };
        let expected = reference(wasm, Features::all());
        let seen = Module::from_binary(&engine, wasm);
        let mut outcome = Outcome { checks: 1, reference_checks: 1, useful: seen.is_ok(), ..Outcome::default() };
        match (&seen, &expected) {
            (Ok(_), Some(Err(what))) => {
                return Bytes::disagree(format!("accepts a module that the reference refuses: {what}"), wasm, true);
            }
            (Err(error), Some(Ok(()))) if is_limit(error) => outcome.poison.push("subject: limit".to_owned()),
            (Err(error), Some(Ok(()))) => {
                return Bytes::disagree(format!("refuses a module that the reference accepts: {error}"), wasm, false);
            }
            (_, None) => outcome.poison.push("reference: not supported".to_owned()),
            _ => {}
        }
        if third::features().is_some() {
            self.kept.push(wasm.to_vec());
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The finding's module, which V8 takes; with an element in it, or of a reference type, V8 does as the reference does.
    #[test]
    fn the_finding_in_v8_is_told_from_others() {
        let check = |section: &[u8], expected| {
            let mut wasm = b"\0asm\x01\0\0\0\x09".to_vec();
            wasm.push(section.len() as u8);
            wasm.extend(section);
            let refusal = reference(&wasm, Features::all()).and_then(Result::err).unwrap_or_default();
            assert_eq!(is_element_segment_of_numbers(&wasm, &refusal), expected, "{section:x?}: {refusal}");
        };
        check(&[1, 5, 0x7f, 0], true);
        check(&[1, 7, 0x7b, 0], true);
        check(&[1, 5, 0x7f, 1, 0xd0, 0x70, 0x0b], false);
        check(&[1, 5, 0x70, 0], false);
        check(&[1, 5, 0x40, 0], false);
    }
}
