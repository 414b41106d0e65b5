//! `gc_model`, `eh_model` and `diff_linked` as targets: programs of linked modules.
//!
//! A stored case keeps its modules and calls, not the prediction: the definitional interpreter, which was compared with the
//! prediction when the case was made, stands in for it.
//!
//! Invariant: what is stored is what was run.
//!
//! Does not know: scripts.

use super::{Outcome, Target};
use crate::envelope::{Argument, Envelope, EnvelopeCall};
use crate::generate::val_type;
use crate::model::{Model, ModelCase, ModelChecker};
use crate::mutate::is_valid;
use crate::pieces::signatures;
use std::collections::{BTreeMap, BTreeSet};
use wasmparser::{ExternalKind, Parser, Payload, ValType};
use wattest_differential::linked::{LinkedCall, LinkedModule, LinkedProgram};

struct Linked {
    model: &'static Model,
    checker: ModelChecker,
}

/// The target of that name, which must be one of [`crate::model::MODELS`].
pub(super) fn target(name: &str) -> Box<dyn Target> {
    let model = Model::named(name).expect("the registry names models that exist");
    Box::new(Linked { model, checker: ModelChecker::default() })
}

/// The program of an envelope, without modules where one of them is none: a fuzzer changes bytes, too. Calls are those that
/// name an exported function and fit its parameters.
pub(super) fn program_of(case: &Envelope) -> LinkedProgram {
    if !case.modules.iter().all(|module| is_valid(&module.bytes)) {
        return LinkedProgram::default();
    }
    let modules = case.modules.iter();
    let modules =
        modules.map(|module| LinkedModule { name: module.name.clone(), wasm: module.bytes.clone() }).collect();
    let value = |argument: &Argument| if let Argument::Value(value) = argument { Some(*value) } else { None };
    let calls = case.calls.iter().map(|call| LinkedCall {
        module: call.module,
        export: call.func.clone(),
        args: call.args.iter().filter_map(value).collect(),
    });
    let functions: Vec<BTreeMap<String, Vec<ValType>>> =
        case.modules.iter().map(|module| exported_functions(&module.bytes).unwrap_or_default()).collect();
    let fits = |call: &LinkedCall| {
        let params = functions.get(call.module).and_then(|functions| functions.get(&call.export));
        params.is_some_and(|params| {
            call.args.iter().map(|arg| Some(val_type(arg.ty()))).eq(params.iter().map(|ty| (*ty).try_into().ok()))
        })
    };
    LinkedProgram { modules, calls: calls.filter(fits).collect() }
}

/// Whether every module has a name of its own: a fuzzer changes names, too.
fn is_named(program: &LinkedProgram) -> bool {
    let names: BTreeSet<_> = program.modules.iter().map(|module| &module.name).collect();
    names.len() == program.modules.len()
}

/// Parameters of the functions that a module exports, by name.
fn exported_functions(wasm: &[u8]) -> Option<BTreeMap<String, Vec<ValType>>> {
    let signatures = signatures(wasm)?;
    let mut functions = BTreeMap::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::ExportSection(reader) = payload.ok()? else { continue };
        for export in reader.into_iter().filter_map(Result::ok) {
            if matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact) {
                functions.insert(export.name.to_owned(), signatures.get(export.index as usize)?.0.clone());
            }
        }
    }
    Some(functions)
}

/// The envelope of a program.
pub(super) fn envelope(target: &str, program: &LinkedProgram, subject: usize) -> Envelope {
    let mut envelope = Envelope::new(target).set("subject", subject);
    for module in &program.modules {
        envelope = envelope.module(&module.name, module.wasm.clone());
    }
    let call = |call: &LinkedCall| EnvelopeCall {
        module: call.module,
        func: call.export.clone(),
        args: call.args.iter().map(|value| Argument::Value(*value)).collect(),
    };
    envelope.calls = program.calls.iter().map(call).collect();
    envelope
}

impl Linked {
    fn check_case(&mut self, case: &ModelCase) -> Outcome {
        let found = self.checker.check(case);
        Outcome {
            checks: found.checks,
            reference_checks: found.reference_checks,
            useful: found.reference_checks > 1,
            poison: found.poison,
            tally: found.tally,
            disagreement: found.disagreement,
            ..Outcome::default()
        }
    }
}

impl Target for Linked {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let case = self.model.case(bytes)?;
        Some(envelope(self.model.name, &case.program, case.subject))
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let program = program_of(case);
        let calls_exist = program.calls.iter().all(|call| call.module < program.modules.len());
        if program.modules.is_empty() || !calls_exist || !is_named(&program) {
            return Outcome::default();
        }
        let subject = case.number("subject", 0) as usize;
        self.check_case(&ModelCase { program, expected: None, subject, features: self.model.features() })
    }

    fn check(&mut self, bytes: &[u8]) -> Option<Outcome> {
        if let Some(case) = Envelope::parse(bytes) {
            return Some(self.run(&case));
        }
        let case = self.model.case(bytes)?;
        Some(self.check_case(&case))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattest_differential::Value;

    /// What is missing, or of another type, ends the program in every engine.
    #[test]
    fn programs_that_do_not_link_end_alike() {
        let check = |import: &str, steps: u64| {
            let text = |text: &str| wat::parse_str(text).expect("valid text");
            let case = Envelope::new("diff_linked")
                .module("m0", text("(module (func (export \"f\")))"))
                .module("m1", text(&format!("(module (import {import}))")))
                .module("m2", text("(module)"));
            let outcome = target("diff_linked").run(&case);
            assert_eq!((outcome.disagreement, outcome.reference_checks), (None, steps), "{import}");
        };
        check("\"m0\" \"f\" (func)", 3);
        check("\"m0\" \"g\" (func)", 2);
        check("\"m0\" \"f\" (func (param i32))", 2);
        check("\"m0\" \"f\" (global i32)", 2);
        check("\"m2\" \"f\" (func)", 2);
    }

    #[test]
    fn bytes_that_are_no_module_are_no_program() {
        let module = wat::parse_str("(module (func (export \"f\")))").expect("valid text");
        let broken = Envelope::new("diff_linked").module("m0", module.clone()).module("m1", b"\0awattest".to_vec());
        let outcome = target("diff_linked").run(&broken);
        assert_eq!((outcome.disagreement, outcome.checks), (None, 0));
        assert!(target("diff_linked").run(&Envelope::new("diff_linked").module("m0", module)).checks > 0);
    }

    #[test]
    fn calls_fit_what_they_call() {
        let text = "(module (func (export \"f\") (param i32)) (memory (export \"m\") 1))";
        let mut case = Envelope::new("diff_linked").module("m", wat::parse_str(text).expect("valid text"));
        let call = |module, func: &str, args: &[Value]| EnvelopeCall {
            module,
            func: func.to_owned(),
            args: args.iter().map(|value| Argument::Value(*value)).collect(),
        };
        let number = Value::I32(1);
        case.calls = vec![
            call(0, "f", &[number]),
            call(0, "f", &[]),
            call(0, "f", &[Value::I64(1)]),
            call(0, "m", &[]),
            call(0, "0", &[]),
            call(1, "f", &[number]),
        ];
        let program = program_of(&case);
        assert!(matches!(program.calls.as_slice(), [one] if one.export == "f" && one.args == [number]));
    }
}
