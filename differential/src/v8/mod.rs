//! V8, in a node process, as an engine that shares nothing with the others.
//!
//! It says of bytes whether they are a module, and runs a program with its plan, many of them per message. It is there where
//! `WATTEST_NODE` names a node, or one lies in the search path, whose V8 has all of
//! [WebAssembly 3.0](https://webassembly.github.io/spec/core/); elsewhere it is skipped, and [`V8::find`] says why. Where
//! it has nothing to say of a case, a row of [`Silence`] says why not: what differs by a proposal that it lacks, by a limit
//! of its own, or by what the specification leaves open, is no disagreement and no agreement.
//!
//! Invariant: every text of a V8 trap maps to the classes that it can mean; any other error is [`Silence::Unknown`].
//!
//! Does not know: who is right.

mod case;
mod process;
mod shim;

use crate::trap::rows;
use crate::{Ending, NanRule, Plan, Poison, Program, Run, TrapClass};
use case::{Reader, Reply, Request};
use process::{Driver, Failure, Frame};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wasmparser::{BinaryReader, Parser, Payload, Validator, WasmFeatures};
use wattest_reference::Features;

/// The driver's text.
const DRIVER: &str = include_str!("driver.mjs");

/// Time for one message; those of a campaign take a fraction of a second.
const LIMIT: Duration = Duration::from_secs(20);

/// The variable that names the program.
pub const NODE_VARIABLE: &str = "WATTEST_NODE";

rows! {
    /// Why V8 has nothing to say of a case.
    Silence {
        /// Not a disagreement: V8 does not implement it.
        Proposal = "uses a proposal that V8 does not implement";
        /// V8 accepts the exceptions before `exnref`, which are in no version of the specification.
        LegacyExceptions = "uses the exceptions of the older proposal";
        /// A limit of V8's own, as the [JavaScript interface](https://webassembly.github.io/spec/js-api/#limits) allows.
        Limit = "is beyond a limit of V8";
        /// V8 is not in the deterministic profile, and the module may look at the bits of NaNs.
        NanBits = "may show the bits of NaNs, which V8 chooses";
        /// Results that are the implementation's choice.
        Relaxed = "executes relaxed vector operations, whose results V8 chooses";
        /// V8 stopped for a reason that proves nothing.
        Poisoned = "made V8 stop for a reason that proves nothing";
        /// No answer within the limit of time.
        Hung = "made V8 exceed its time";
        /// The process ended.
        Died = "made the process of V8 end";
        /// An error without a row.
        Unknown = "made V8 fail with an error that has no row";
        /// The driver failed, not V8.
        Broken = "made the driver fail";
    }
}

/// Texts of V8's traps, and what each can mean.
const TRAPS: &[(&str, &[TrapClass])] = &[
    ("unreachable", &[TrapClass::Unreachable]),
    ("memory access out of bounds", &[TrapClass::MemoryOutOfBounds]),
    ("data segment out of bounds", &[TrapClass::MemoryOutOfBounds]),
    ("table index is out of bounds", &[TrapClass::TableOutOfBounds]),
    ("table access out of bounds", &[TrapClass::TableOutOfBounds]),
    ("element segment out of bounds", &[TrapClass::TableOutOfBounds]),
    ("function signature mismatch", &[TrapClass::BadSignature, TrapClass::NullCall]),
    ("divide by zero", &[TrapClass::DivideByZero]),
    ("remainder by zero", &[TrapClass::DivideByZero]),
    ("divide result unrepresentable", &[TrapClass::IntegerOverflow]),
    ("float unrepresentable in integer range", &[TrapClass::IntegerOverflow, TrapClass::BadConversion]),
    ("dereferencing a null pointer", &[TrapClass::NullReference]),
    ("illegal cast", &[TrapClass::CastFailure]),
    ("array element access out of bounds", &[TrapClass::ArrayOutOfBounds]),
    ("operation does not support unaligned accesses", &[TrapClass::UnalignedAtomic]),
    // Segments that do not fit, at instantiation.
    ("data segment", &[TrapClass::MemoryOutOfBounds]),
    ("table initializer", &[TrapClass::TableOutOfBounds]),
];

/// Words in V8's refusals that are about its own limits.
const LIMITS: &[&str] =
    &["implementation limit", "internal limit", "maximum", "limit of", "too large", "too big", "exceeds"];

/// The class of an error, the one that is `expected` where it can be several; else the poison, if it is one.
fn trap_of(name: &str, message: &str, expected: Option<&Ending>) -> Result<TrapClass, Option<Poison>> {
    match name {
        // Where the host is called otherwise than by the other engine, the step has failed as well.
        "HostFailure" | "HostDeviation" => return Ok(TrapClass::Host),
        "RangeError" if message.contains("call stack") => return Err(Some(Poison::StackOverflow)),
        "RangeError" if message.contains("memory") || message.contains("allocat") => {
            return Err(Some(Poison::OutOfMemory));
        }
        _ => {}
    }
    if message.contains("requested new array is too large") {
        return Err(Some(Poison::OutOfMemory));
    }
    let (_, classes) = TRAPS.iter().find(|(text, _)| message.contains(text)).ok_or(None)?;
    let wanted = if let Some(Ending::Trap(class)) = expected { Some(*class) } else { None };
    Ok(wanted.filter(|class| classes.contains(class)).unwrap_or(classes[0]))
}

/// Bytes of a small module that takes a proposal: behind the header.
struct Sample {
    name: &'static str,
    module: &'static [u8],
}

const fn sample(name: &'static str, module: &'static [u8]) -> Sample {
    Sample { name, module }
}

/// What a V8 must have to be asked anything.
const REQUIRED: &[Sample] = &[
    sample("memory64", &[5, 3, 1, 4, 1]),
    sample("multi-memory", &[5, 5, 2, 0, 0, 0, 0]),
    sample("tail-call", &[1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 6, 1, 4, 0, 0x12, 0, 11]),
    sample("exceptions", &[1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 8, 1, 6, 0, 0x1f, 0x40, 0, 11, 11]),
    sample("gc", &[1, 3, 1, 0x5f, 0]),
    sample(
        "relaxed-simd",
        &[1, 7, 1, 0x60, 2, 0x7b, 0x7b, 1, 0x7b, 3, 2, 1, 0, 10, 11, 1, 9, 0, 0x20, 0, 0x20, 1, 0xfd, 0x80, 2, 11],
    ),
];

/// What it may have or not.
const OPTIONAL: &[Sample] = &[
    sample("threads", &[5, 4, 1, 3, 1, 1]),
    sample("custom-page-sizes", &[5, 4, 1, 8, 0, 0]),
    sample(
        "wide-arithmetic",
        &[
            1, 10, 1, 0x60, 4, 0x7e, 0x7e, 0x7e, 0x7e, 2, 0x7e, 0x7e, 3, 2, 1, 0, 10, 14, 1, 12, 0, 0x20, 0, 0x20, 1,
            0x20, 2, 0x20, 3, 0xfc, 0x13, 11,
        ],
    ),
];

impl Sample {
    fn bytes(&self) -> Vec<u8> {
        [b"\0asm\x01\0\0\0", self.module].concat()
    }
}

/// What a node says first.
#[derive(Deserialize)]
struct Greeting {
    version: String,
}

/// An answer about bytes.
#[derive(Deserialize)]
struct Verdicts {
    verdicts: Vec<Option<String>>,
}

/// A message of cases.
#[derive(Serialize)]
struct Runs<'a> {
    run: &'a [Request],
}

/// An answer about cases.
#[derive(Deserialize)]
struct Replies {
    runs: Vec<Reply>,
}

/// V8 in a process.
#[derive(Debug)]
pub struct V8 {
    driver: Driver,
    version: String,
    features: Features,
    trouble: Option<String>,
}

/// A program, its plan, and what another engine did: the host's answers are taken from there, and which of several classes
/// a text means.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The program.
    pub program: &'a Program,
    /// The plan, of calls that all end.
    pub plan: &'a Plan,
    /// What another engine did.
    pub known: &'a Run,
}

impl V8 {
    /// The V8 that the environment names.
    ///
    /// # Errors
    ///
    /// Why there is none: one line for reports.
    pub fn find() -> Result<V8, String> {
        let named = std::env::var_os(NODE_VARIABLE).map(PathBuf::from);
        let in_path = || {
            let folders = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&folders).map(|folder| folder.join("node")).find(|file| file.is_file())
        };
        let node = named.or_else(in_path).ok_or_else(|| format!("no node, and no {NODE_VARIABLE}"))?;
        V8::of(&node)
    }

    /// The V8 of a node.
    ///
    /// # Errors
    ///
    /// As [`V8::find`].
    pub fn of(node: &Path) -> Result<V8, String> {
        let args = ["--input-type=module", "-e", DRIVER].map(str::to_owned).to_vec();
        let mut driver = Driver::new(node, args, LIMIT);
        let mut version = String::new();
        let greet = |frame: Frame| {
            let greeting = serde_json::from_slice::<Greeting>(&frame.json);
            version = greeting.map(|greeting| greeting.version).unwrap_or_default();
        };
        driver.start(greet).map_err(|failure| format!("{}: {failure:?}", node.display()))?;
        let features = Features { custom_descriptors: false, ..Features::all() };
        let mut v8 = V8 { driver, version, features, trouble: None };
        let has = |v8: &mut V8, samples: &[Sample]| -> Vec<bool> {
            let modules: Vec<Vec<u8>> = samples.iter().map(Sample::bytes).collect();
            let modules: Vec<&[u8]> = modules.iter().map(Vec::as_slice).collect();
            v8.compile(&modules).into_iter().map(|verdict| matches!(verdict, Ok(None))).collect()
        };
        let required = has(&mut v8, REQUIRED);
        if let Some(missing) = required.iter().position(|has| !has) {
            return Err(format!("{}: V8 {} has no {}", node.display(), v8.version, REQUIRED[missing].name));
        }
        let optional = has(&mut v8, OPTIONAL);
        [v8.features.threads, v8.features.custom_page_sizes, v8.features.wide_arithmetic] =
            [optional[0], optional[1], optional[2]];
        Ok(v8)
    }

    /// Name and version, for reports.
    pub fn name(&self) -> String {
        format!("V8 {}", self.version)
    }

    /// What it implements, for another validator to judge by the same rules.
    pub fn features(&self) -> Features {
        self.features
    }

    fn parser_features(&self) -> WasmFeatures {
        let mut features = WasmFeatures::WASM3;
        features.set(WasmFeatures::THREADS, self.features.threads);
        features.set(WasmFeatures::CUSTOM_PAGE_SIZES, self.features.custom_page_sizes);
        features.set(WasmFeatures::WIDE_ARITHMETIC, self.features.wide_arithmetic);
        features
    }

    /// Says of each whether it is a module: nothing, or why not. A message that is not answered is sent again in parts.
    fn compile(&mut self, modules: &[&[u8]]) -> Vec<Result<Option<String>, Silence>> {
        let mut blobs = Vec::new();
        let places: Vec<(usize, usize)> = modules
            .iter()
            .map(|module| {
                blobs.extend_from_slice(module);
                (blobs.len() - module.len(), module.len())
            })
            .collect();
        let asked = self.driver.ask(json!({ "validate": places }).to_string().as_bytes(), &blobs);
        let failure = match asked.map(|frame| serde_json::from_slice::<Verdicts>(&frame.json)) {
            Ok(Ok(Verdicts { verdicts })) if verdicts.len() == modules.len() => {
                return verdicts.into_iter().map(Ok).collect();
            }
            Ok(_) => Failure::Died,
            Err(failure) => failure,
        };
        match modules {
            [_] => vec![Err(silence(failure))],
            several => several.iter().flat_map(|module| self.compile(&[*module])).collect(),
        }
    }

    /// Whether V8 accepts each of these as a module, and if not why; whatever it says by a limit of its own or of proposals
    /// that it lacks is no verdict.
    pub fn judge(&mut self, modules: &[&[u8]]) -> Vec<Result<Result<(), String>, Silence>> {
        let verdicts = self.compile(modules);
        let reason = |(module, verdict): (&&[u8], Result<Option<String>, Silence>)| match verdict? {
            None if self.is_legacy(module) => Err(Silence::LegacyExceptions),
            None => Ok(Ok(())),
            Some(_) if self.lacks(module) => Err(Silence::Proposal),
            Some(message) if LIMITS.iter().any(|limit| message.contains(limit)) => Err(Silence::Limit),
            Some(message) => Ok(Err(message)),
        };
        modules.iter().zip(verdicts).map(reason).collect()
    }

    /// Whether proposals that V8 lacks make the difference between valid and not.
    fn lacks(&self, wasm: &[u8]) -> bool {
        let is_valid = |features| Validator::new_with_features(features).validate_all(wasm).is_ok();
        !is_valid(self.parser_features()) && is_valid(WasmFeatures::all())
    }

    /// Whether the older exceptions make the difference between valid and not.
    fn is_legacy(&self, wasm: &[u8]) -> bool {
        let legacy = self.parser_features() | WasmFeatures::LEGACY_EXCEPTIONS;
        let is_valid = |features| Validator::new_with_features(features).validate_all(wasm).is_ok();
        !is_valid(self.parser_features()) && is_valid(legacy)
    }

    /// Runs each; a message that is not answered is sent again in parts. The order of answers is that of questions.
    pub fn run(&mut self, questions: &[Question<'_>]) -> Vec<Result<Run, Silence>> {
        let mut answers: Vec<Result<Run, Silence>> = Vec::with_capacity(questions.len());
        let (mut blobs, mut requests, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for (index, question) in questions.iter().enumerate() {
            let request = self.request(question, &mut blobs);
            answers.push(Err(request.as_ref().err().copied().unwrap_or(Silence::Broken)));
            if let Ok((request, shift)) = request {
                requests.push(request);
                asked.push((index, shift));
            }
        }
        if asked.is_empty() {
            return answers;
        }
        let json = serde_json::to_vec(&Runs { run: &requests }).unwrap_or_default();
        let failure = match self.driver.ask(&json, &blobs) {
            Ok(frame) => match serde_json::from_slice::<Replies>(&frame.json) {
                Ok(Replies { runs }) if runs.len() == asked.len() => {
                    for ((index, shift), reply) in asked.into_iter().zip(runs) {
                        answers[index] = self.read(&questions[index], shift, &reply, &frame.blobs);
                    }
                    return answers;
                }
                _ => Failure::Died,
            },
            Err(failure) => failure,
        };
        match &asked[..] {
            [(index, _)] => answers[*index] = Err(silence(failure)),
            several => {
                for (index, _) in several {
                    let alone = self.run(&questions[*index..=*index]).pop();
                    answers[*index] = alone.unwrap_or(Err(Silence::Broken));
                }
            }
        }
        answers
    }

    fn request(&self, question: &Question<'_>, blobs: &mut Vec<u8>) -> Result<(Request, u32), Silence> {
        let wasm = &question.program.wasm;
        if Validator::new_with_features(self.parser_features()).validate_all(wasm).is_err() {
            return Err(Silence::Proposal);
        }
        case::request(question.program, question.plan, question.known, blobs)
    }

    fn read(&mut self, question: &Question<'_>, shift: u32, reply: &Reply, blobs: &[u8]) -> Result<Run, Silence> {
        let Question { program, plan, known } = *question;
        match reply {
            Reply::Broken { broken } => {
                self.trouble = Some(broken.clone());
                Err(Silence::Broken)
            }
            Reply::Ran { steps, trace } => {
                let mut reader = Reader { program, plan, known, shift, blobs, unknown: None };
                let run = reader.run(steps, trace);
                self.trouble = reader.unknown.or(self.trouble.take());
                run
            }
        }
    }

    /// The text of the last error that has no row, or of the last failure of the driver: for reports.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

/// What another engine's run is worth beside V8's: the reason for which a difference would be none.
pub fn leeway(program: &Program, plan: &Plan) -> Option<Silence> {
    if uses_relaxed(&program.wasm) {
        return Some(Silence::Relaxed);
    }
    (plan.nans == NanRule::Exact && computes_floats(&program.wasm)).then_some(Silence::NanBits)
}

/// Whether a body has an operation that may make a NaN, or give one other bits.
fn computes_floats(wasm: &[u8]) -> bool {
    let mut reader = Parser::new(0).parse_all(wasm).filter_map(Result::ok);
    reader.any(|payload| {
        let Payload::CodeSectionEntry(body) = payload else { return false };
        let Ok(operators) = body.get_operators_reader() else { return false };
        operators.into_iter().any(|operator| operator.is_ok_and(|operator| is_float(&format!("{operator:?}"))))
    })
}

/// Whether an operator of this name computes with floats: constants and accesses to memory move bits.
fn is_float(operator: &str) -> bool {
    let name = operator.split([' ', '{']).next().unwrap_or_default();
    let moves = ["Const", "Load", "Store", "Reinterpret"].iter().any(|word| name.contains(word));
    ["F32", "F64"].iter().any(|ty| name.starts_with(ty)) && !moves
}

/// Whether a body has an operation whose opcode is one of the
/// [relaxed](https://webassembly.github.io/spec/core/binary/instructions.html#vector-instructions) ones.
fn uses_relaxed(wasm: &[u8]) -> bool {
    const PREFIX: u8 = 0xfd;
    let is_relaxed = |at: usize| {
        let mut reader = BinaryReader::new(wasm.get(at..).unwrap_or_default(), at);
        reader.read_u8().is_ok_and(|byte| byte == PREFIX) && reader.read_var_u32().is_ok_and(|code| code >= 0x100)
    };
    let mut reader = Parser::new(0).parse_all(wasm).filter_map(Result::ok);
    reader.any(|payload| {
        let Payload::CodeSectionEntry(body) = payload else { return false };
        let Ok(operators) = body.get_operators_reader() else { return false };
        operators.into_iter_with_offsets().any(|operator| operator.is_ok_and(|(_, at)| is_relaxed(at)))
    })
}

fn silence(failure: Failure) -> Silence {
    match failure {
        Failure::Hung => Silence::Hung,
        Failure::Died => Silence::Died,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_classes() {
        let check = |name, message, expected: Option<TrapClass>, class| {
            let ending = expected.map(Ending::Trap);
            assert_eq!(trap_of(name, message, ending.as_ref()), class, "{name}: {message}");
        };
        use TrapClass::{BadConversion, BadSignature, DivideByZero, Host, IntegerOverflow, NullCall};
        let sig = "null function or function signature mismatch";
        check("RuntimeError", sig, Some(BadSignature), Ok(BadSignature));
        check("RuntimeError", sig, Some(NullCall), Ok(NullCall));
        check("RuntimeError", sig, Some(DivideByZero), Ok(BadSignature));
        check("RuntimeError", "float unrepresentable in integer range", Some(BadConversion), Ok(BadConversion));
        check("RuntimeError", "float unrepresentable in integer range", None, Ok(IntegerOverflow));
        check("RangeError", "Maximum call stack size exceeded", None, Err(Some(Poison::StackOverflow)));
        check("HostFailure", "", None, Ok(Host));
        check("TypeError", "x is not a function", None, Err(None));
    }

    #[test]
    fn samples_are_modules() {
        for sample in REQUIRED.iter().chain(OPTIONAL) {
            let valid = Validator::new_with_features(WasmFeatures::all()).validate_all(&sample.bytes());
            assert!(valid.is_ok(), "{}: {:?}", sample.name, valid.err());
        }
    }

    #[test]
    fn what_may_differ_is_known() {
        let program = |text: &str| Program::new(wat::parse_str(text).expect("valid text")).expect("a module");
        let plan = |nans| Plan {
            calls: Vec::new(),
            form: crate::Form::Exposed,
            nans,
            acting_host: false,
            host_seed: 0,
            steps_max: 1,
            capture: None,
            state_every: 1,
        };
        let relaxed = program("(module (func (param v128) (drop (f32x4.relaxed_min (local.get 0) (local.get 0)))))");
        let other = program("(module (func (param v128) (drop (f32x4.min (local.get 0) (local.get 0)))))");
        assert_eq!(leeway(&relaxed, &plan(NanRule::Arithmetic)), Some(Silence::Relaxed));
        assert_eq!(leeway(&other, &plan(NanRule::Arithmetic)), None);
        assert_eq!(leeway(&other, &plan(NanRule::Exact)), Some(Silence::NanBits));
    }
}
