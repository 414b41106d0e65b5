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
use crate::model::{Model, ModelCase, ModelChecker};
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

/// The program of an envelope.
pub(super) fn program_of(case: &Envelope) -> LinkedProgram {
    let modules = case.modules.iter();
    let modules =
        modules.map(|module| LinkedModule { name: module.name.clone(), wasm: module.bytes.clone() }).collect();
    let value = |argument: &Argument| if let Argument::Value(value) = argument { Some(*value) } else { None };
    let calls = case.calls.iter().map(|call| LinkedCall {
        module: call.module,
        export: call.func.clone(),
        args: call.args.iter().filter_map(value).collect(),
    });
    LinkedProgram { modules, calls: calls.collect() }
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
        if program.modules.is_empty() || !calls_exist {
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
