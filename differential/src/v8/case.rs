//! Cases of one module, for the driver and back.
//!
//! Host functions are replayed: what each of them answers follows from the calls before it, which another engine has made
//! already ([`crate::Host`]). A run that calls the host otherwise ends there, and differs.
//!
//! Invariant: what the driver reports becomes a [`Run`] that depends on V8 only.
//!
//! Does not know: processes.

use super::shim::{self, kinds};
use super::{Silence, trap_of};
use crate::host::{TRAPPED, arguments};
use crate::{
    Action, CALLBACK_RECORD, CallbackEnd, Ending, FuncIdentity, Host, HostCall, ImportKind, MemoryState, Plan, Program,
    Run, Shape, State, Step, Value, ValueType,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use wasm_encoder::ImportSection;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasmparser::{Parser, Payload};

/// Where bytes lie behind the JSON of a frame: offset and length.
pub(super) type Place = (usize, usize);

/// A value on its way to or from the driver: a slot in hexadecimal digits, a reference, or null.
pub(super) fn encode(value: &Value) -> Json {
    let slot = |bits: u128| Json::from(bits.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    match *value {
        Value::I32(bits) | Value::F32(bits) => slot(bits.into()),
        Value::I64(bits) | Value::F64(bits) => slot(bits.into()),
        Value::V128(bits) => slot(bits),
        Value::Func(FuncIdentity::Index(index)) => json!(["f", index]),
        Value::Extern(Some(payload)) => json!(["x", payload]),
        Value::Func(_) | Value::Extern(None) => Json::Null,
    }
}

/// The value of type `ty` that the driver saw.
pub(super) fn decode(value: &Json, ty: ValueType) -> Option<Value> {
    let bits = |value: &Json| -> Option<u128> {
        let mut bytes = [0u8; 16];
        let text = value.as_str()?;
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(u128::from_le_bytes(bytes))
    };
    let number = |value: &Json| value.get(1).and_then(Json::as_u64).and_then(|number| u32::try_from(number).ok());
    Some(match ty {
        ValueType::I32 => Value::I32(bits(value)? as u32),
        ValueType::I64 => Value::I64(bits(value)? as u64),
        ValueType::F32 => Value::F32(bits(value)? as u32),
        ValueType::F64 => Value::F64(bits(value)? as u64),
        ValueType::V128 => Value::V128(bits(value)?),
        ValueType::FuncRef if value.is_null() => Value::Func(FuncIdentity::Null),
        ValueType::FuncRef => Value::Func(number(value).map_or(FuncIdentity::Unknown, FuncIdentity::Index)),
        ValueType::ExternRef if value.is_null() => Value::Extern(None),
        ValueType::ExternRef => Value::Extern(Some(number(value).unwrap_or(u32::MAX))),
    })
}

fn decode_all(values: &[Json], types: &[ValueType]) -> Option<Vec<Value>> {
    (values.len() == types.len()).then_some(())?;
    values.iter().zip(types).map(|(value, ty)| decode(value, *ty)).collect()
}

/// A call, as the driver makes it.
#[derive(Serialize)]
struct DriverCall {
    func: u32,
    args: Vec<Json>,
    results: String,
    shown: bool,
}

impl DriverCall {
    fn new(shape: &Shape, func: u32, args: &[Value], shown: bool) -> DriverCall {
        let results = kinds(&shape.functions[func as usize].results);
        DriverCall { func, args: args.iter().map(encode).collect(), results, shown }
    }
}

/// A case.
#[derive(Serialize)]
pub(super) struct Request {
    main: Place,
    caller: Place,
    host: Option<Place>,
    host_functions: Vec<Json>,
    host_globals: Vec<Json>,
    host_memory: Option<Json>,
    answers: Vec<Json>,
    start: Option<u32>,
    function_count: usize,
    globals: Vec<Json>,
    memories: Vec<Json>,
    tables: Vec<Json>,
    data_segments: u32,
    element_segments: usize,
    calls: Vec<DriverCall>,
}

/// The exposed form without its start function, which the driver calls itself, and the start function. Its imports are
/// renamed to the exports of the host's shim: in a script's object one name stands for one import, in a module for many.
fn main_module(exposed: &[u8], shape: &Shape) -> Option<(Vec<u8>, Option<u32>)> {
    let (mut module, mut start) = (wasm_encoder::Module::new(), None);
    for payload in Parser::new(0).parse_all(exposed) {
        let payload = payload.ok()?;
        if let Payload::StartSection { func, .. } = payload {
            start = Some(func);
        } else if let Payload::ImportSection(reader) = payload {
            let mut imports = ImportSection::new();
            for (import, known) in reader.into_imports().zip(&shape.imports) {
                let ty = RoundtripReencoder.entity_type(import.ok()?.ty).ok()?;
                imports.import("h", &shim::host_export(known.kind), ty);
            }
            module.section(&imports);
        } else if let Some((id, range)) = payload.as_section() {
            module.section(&wasm_encoder::RawSection { id, data: &exposed[range] });
        }
    }
    Some((module.finish(), start))
}

/// What the host answered in a run, call by call.
fn answers(shape: &Shape, plan: &Plan, trace: &[HostCall]) -> Vec<Json> {
    let mut host = Host::new(plan.host_seed, plan.acting_host);
    let mut answers = Vec::new();
    for HostCall { func, args } in trace {
        if *func == CALLBACK_RECORD {
            host.callback_ends(CallbackEnd::Values(args.clone()));
            continue;
        }
        let answer = host.call(*func, args.clone(), &shape.functions[*func as usize].results);
        let action = match (answer.action, &shape.callback, &shape.host_memory) {
            (Action::Grow, _, Some(_)) => json!({ "grow": true }),
            (Action::Write(address, byte), _, Some(_)) => json!({ "write": [address.to_string(), byte] }),
            (Action::CallBack(seed), Some((callee, _)), _) => {
                host.callback_begins();
                let args = arguments(seed, &shape.functions[*callee as usize].params);
                json!({ "call": DriverCall::new(shape, *callee, &args, false) })
            }
            _ => Json::Null,
        };
        let results = answer.results.map(|values| values.iter().map(encode).collect::<Vec<_>>());
        answers.push(json!({ "func": func, "action": action, "results": results }));
    }
    answers
}

/// The case of a program and a plan, its bytes behind those that are there. `known` is what another engine did.
pub(super) fn request(
    program: &Program,
    plan: &Plan,
    known: &Run,
    blobs: &mut Vec<u8>,
) -> Result<(Request, u32), Silence> {
    let shape = &program.shape;
    let (main, start) = main_module(&program.exposed, shape).ok_or(Silence::Broken)?;
    let mut functions: Vec<u32> = plan.calls.iter().map(|call| call.func).collect();
    functions.extend(shape.callback.as_ref().map(|(index, _)| *index));
    functions.sort_unstable();
    functions.dedup();
    let code_start = |wasm: &[u8]| crate::expose::code_start(wasm).map_err(|_| Silence::Broken);
    let shift = (code_start(&main)? as u32).wrapping_sub(code_start(&program.wasm)? as u32);
    let mut put = |bytes: &[u8]| {
        blobs.extend_from_slice(bytes);
        (blobs.len() - bytes.len(), bytes.len())
    };
    let host = Host::new(plan.host_seed, plan.acting_host);
    let is_imported = |kind: ImportKind| is_imported(shape, kind);
    let globals = shape.globals.iter().enumerate();
    let globals = globals.map(|(index, global)| {
        json!({ "kind": kinds(&[global.ty]), "imported": is_imported(ImportKind::Global(index as u32)) })
    });
    let memories = 0..shape.memories.len() as u32;
    let tables = shape.tables.iter().enumerate();
    let request = Request {
        main: put(&main),
        caller: put(&shim::caller(shape, &functions)),
        host: (!shape.imports.is_empty()).then(|| put(&shim::host(shape, |index, ty| host.global(index, ty)))),
        host_functions: host_functions(shape),
        host_globals: host_globals(shape, &host),
        host_memory: shape.host_memory.as_ref().map(|(index, _)| {
            let wide = shape.memories[*index as usize].memory64;
            json!({ "name": crate::expose::memory_name(*index as usize), "wide": wide })
        }),
        answers: answers(shape, plan, &known.trace),
        start,
        function_count: shape.functions.len(),
        globals: globals.collect(),
        memories: memories.map(|index| json!({ "imported": is_imported(ImportKind::Memory(index)) })).collect(),
        tables: tables
            .map(|(index, table)| {
                json!({ "wide": table.table64, "imported": is_imported(ImportKind::Table(index as u32)) })
            })
            .collect(),
        data_segments: shape.data_segments,
        element_segments: shape.element_segments.len(),
        calls: (plan.calls.iter().enumerate())
            .map(|(index, call)| {
                let before = known.steps.get(..=index).unwrap_or_default();
                let shown = plan.shows(before, &Ending::Values(Vec::new()));
                DriverCall::new(shape, call.func, &call.args, shown)
            })
            .collect(),
    };
    Ok((request, shift))
}

fn is_imported(shape: &Shape, kind: ImportKind) -> bool {
    shape.imports.iter().any(|import| import.kind == kind)
}

/// How values pass to and from each host function.
fn host_functions(shape: &Shape) -> Vec<Json> {
    let signatures = shape.functions.iter().take(shape.imported_functions as usize);
    let kinds =
        signatures.map(|signature| json!({ "params": kinds(&signature.params), "results": kinds(&signature.results) }));
    kinds.collect()
}

/// Imported globals of external references, which no shim can make.
fn host_globals(shape: &Shape, host: &Host) -> Vec<Json> {
    let external = shape.globals.iter().enumerate().filter(|(index, global)| {
        global.ty == ValueType::ExternRef && is_imported(shape, ImportKind::Global(*index as u32))
    });
    let value = |(index, global): (usize, &crate::GlobalShape)| {
        let Value::Extern(payload) = host.global(index as u32, global.ty) else { return Json::Null };
        json!({ "index": index, "mutable": global.mutable, "value": payload })
    };
    external.map(value).collect()
}

/// What the driver says of one case.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Reply {
    Ran { steps: Vec<ReplyStep>, trace: Vec<(i64, Option<Vec<Json>>)> },
    Broken { broken: String },
}

#[derive(Deserialize)]
pub(super) struct ReplyStep {
    ending: ReplyEnding,
    trace_len: usize,
    state: Option<ReplyState>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReplyEnding {
    Values(Vec<Json>),
    Error { name: String, message: String, offset: Option<u32> },
}

#[derive(Deserialize)]
struct ReplyState {
    globals: Vec<Json>,
    memories: Vec<ReplyMemory>,
    tables: Vec<Vec<Json>>,
    data: Vec<Option<bool>>,
    elements: Vec<Option<bool>>,
}

#[derive(Deserialize)]
struct ReplyMemory {
    bytes: usize,
    /// Where in the memory, where behind the JSON, how much.
    changed: Vec<(usize, usize, usize)>,
}

/// Turns a reply into a run.
pub(super) struct Reader<'a> {
    pub(super) program: &'a Program,
    pub(super) plan: &'a Plan,
    pub(super) known: &'a Run,
    pub(super) shift: u32,
    pub(super) blobs: &'a [u8],
    /// The text of an error without a row.
    pub(super) unknown: Option<String>,
}

/// What the record of a trapping callback begins with.
const TRAP: Value = Value::I32(TRAPPED);

impl Reader<'_> {
    pub(super) fn run(&mut self, steps: &[ReplyStep], trace: &[(i64, Option<Vec<Json>>)]) -> Result<Run, Silence> {
        let shape = &self.program.shape;
        let mut run = Run::default();
        for (func, args) in trace {
            let known = self.known.trace.get(run.trace.len());
            run.trace.push(self.host_call(*func, args.as_deref(), known).ok_or(Silence::Broken)?);
        }
        let mut memories: Vec<Vec<u8>> = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let mut offset = None;
            let ending = match &step.ending {
                ReplyEnding::Values(values) => {
                    let call = index.checked_sub(1).map(|call| &self.plan.calls[call]);
                    let types = call.map_or(&[][..], |call| &shape.functions[call.func as usize].results);
                    Ending::Values(decode_all(values, types).ok_or(Silence::Broken)?)
                }
                ReplyEnding::Error { name, message, offset: place } => {
                    let expected = self.known.steps.get(index).map(|step| &step.ending);
                    match trap_of(name, message, expected) {
                        Ok(class) => {
                            offset = place.and_then(|place| place.checked_sub(self.shift));
                            Ending::Trap(class)
                        }
                        Err(Some(poison)) => {
                            run.stopped = Some(poison);
                            return Ok(run);
                        }
                        Err(None) => {
                            self.unknown = Some(format!("{name}: {message}"));
                            return Err(Silence::Unknown);
                        }
                    }
                }
            };
            // Every state tells what changed since the one before.
            let seen = match &step.state {
                Some(state) => self.state(state, &mut memories).ok_or(Silence::Broken)?,
                None => State::default(),
            };
            let state = if self.plan.shows(&run.steps, &ending) { seen } else { State::default() };
            let (trace_len, operations) = (step.trace_len, 0);
            run.steps.push(Step { ending, trace_len, state, operations, offset, offset_is_late: false, frames: None });
        }
        Ok(run)
    }

    fn host_call(&self, func: i64, args: Option<&[Json]>, known: Option<&HostCall>) -> Option<HostCall> {
        let shape = &self.program.shape;
        if func < 0 {
            let (callee, _) = shape.callback.as_ref()?;
            let types = &shape.functions[*callee as usize].results;
            let args = match args {
                Some(values) => decode_all(values, types)?,
                // That it trapped is all the driver says: the class is that of the other engine, if it trapped there.
                None => {
                    known.map(|call| call.args.clone()).filter(|args| args.first() == Some(&TRAP)).unwrap_or(vec![TRAP])
                }
            };
            return Some(HostCall { func: CALLBACK_RECORD, args });
        }
        let func = u32::try_from(func).ok()?;
        let mut args = decode_all(args?, &shape.functions.get(func as usize)?.params)?;
        for value in &mut args {
            // The neutral host does not tell functions apart.
            if let Value::Func(FuncIdentity::Index(_)) = value {
                *value = Value::Func(FuncIdentity::Unknown);
            }
        }
        Some(HostCall { func, args })
    }

    fn state(&self, seen: &ReplyState, memories: &mut Vec<Vec<u8>>) -> Option<State> {
        let shape = &self.program.shape;
        let mut state = State::default();
        for (value, global) in seen.globals.iter().zip(&shape.globals) {
            state.globals.push(decode(value, global.ty)?);
        }
        for (index, memory) in seen.memories.iter().enumerate() {
            if memories.len() <= index {
                memories.push(Default::default());
            }
            let bytes = &mut memories[index];
            if bytes.len() != memory.bytes {
                *bytes = vec![0; memory.bytes];
            }
            for (at, from, length) in &memory.changed {
                bytes.get_mut(*at..at + length)?.copy_from_slice(self.blobs.get(*from..from + length)?);
            }
            state.memories.push(MemoryState::of(bytes));
        }
        for (table, shape) in seen.tables.iter().zip(&shape.tables) {
            state.tables.push(table.iter().map(|value| decode(value, shape.element)).collect::<Option<_>>()?);
        }
        state.empty_data.clone_from(&seen.data);
        state.empty_elements.clone_from(&seen.elements);
        Some(state)
    }
}
