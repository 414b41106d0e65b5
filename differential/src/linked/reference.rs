//! Linked programs in the definitional interpreter.
//!
//! Invariant: every trap class maps to one class or one poison.
//!
//! Does not know: predictions.

use super::graph::{Contents, Found, Graph, Heap};
use super::host::{HOST, HOST_DEPTH_MAX, HOST_FUNCTIONS, HostAct, HostLog, HostType, LinkedHostCall, digest};
use super::{Image, LinkedEnding, LinkedEngine, LinkedProgram, LinkedRun, LinkedStep, Observed, Place, Private};
use crate::engines::{reference_trap, tally_of};
use crate::{DefinitionalEngine, Refusal, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wattest_reference as core;
use wattest_reference::{Extern, Failure, Ref, Store};

impl LinkedEngine for DefinitionalEngine {
    fn name(&self) -> String {
        "reference".to_owned()
    }

    fn run(&mut self, program: &LinkedProgram, steps_max: u64) -> Result<LinkedRun, Refusal> {
        let mut store = Store::new(core::Budget::default());
        store.keep_tally();
        let log = Arc::new(Mutex::new(HostLog::default()));
        let is_hosted = program.modules.iter().all(|module| module.name != HOST);
        let rows = if is_hosted { 0..HOST_FUNCTIONS.len() } else { 0..0 };
        let host = rows.map(|row| host_func(&mut store, row, log.clone())).collect();
        let mut session = Session { store, instances: Vec::new(), host, log };
        let mut run = LinkedRun::default();
        session.all(program, steps_max, &mut run)?;
        run.tally = tally_of(&session.store);
        Ok(run)
    }
}

impl Session {
    /// Every instantiation and call, until one does not go on.
    fn all(&mut self, program: &LinkedProgram, steps_max: u64, run: &mut LinkedRun) -> Result<(), Refusal> {
        for module in &program.modules {
            let decoded = core::Module::decode(&module.wasm, core::Features::all())
                .map_err(|error| Refusal::Module(format!("{}: {error}", module.name)))?;
            self.store.set_fuel(steps_max);
            let outcome = self.imports(&decoded).and_then(|imports| self.store.instantiate(&decoded, &imports));
            if let Err(Failure::Unlinkable(_)) = outcome {
                run.steps.push(LinkedStep::ended(LinkedEnding::Unlinkable));
                return Ok(());
            }
            let outcome = outcome.map(|instance| {
                self.instances.push((module.name.clone(), instance));
                Vec::new()
            });
            if !self.step(run, outcome)? || run.steps.last().is_some_and(|step| step.ending != nothing()) {
                return Ok(());
            }
        }
        for call in &program.calls {
            let instance = self.instances.get(call.module).map(|(_, instance)| *instance);
            let found = instance.and_then(|instance| self.store.export(instance, &call.export));
            let Some(Extern::Func(func)) = found else {
                return Err(Refusal::Broken(format!("no function {}", call.export)));
            };
            self.store.set_fuel(steps_max);
            let args: Vec<core::Value> = call.args.iter().map(own).collect::<Result<_, _>>()?;
            let outcome = self.store.invoke(func, &args);
            if !self.step(run, outcome)? {
                break;
            }
        }
        Ok(())
    }
}

fn nothing() -> LinkedEnding {
    LinkedEnding::Values(Vec::new())
}

/// The log; a panic elsewhere does not make it less true.
fn locked(log: &Mutex<HostLog>) -> MutexGuard<'_, HostLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A function of the host.
fn host_func(store: &mut Store, row: usize, log: Arc<Mutex<HostLog>>) -> core::FuncAddr {
    let function = &HOST_FUNCTIONS[row];
    let types = |types: &[HostType]| types.iter().map(|ty| host_type(*ty)).collect();
    let ty = core::FuncType { params: types(function.params), results: types(function.results) };
    store.add_func(
        ty,
        Arc::new(move |store, args| {
            let observed: Vec<Observed> = args.iter().map(|arg| observe(*arg)).collect();
            locked(&log).calls.push(LinkedHostCall { function: row, args: observed.clone() });
            let failed = Failure::trap(core::TrapClass::Host);
            match (function.act, args) {
                (HostAct::Digest, _) => Ok(vec![core::Value::I64(digest(&observed))]),
                (HostAct::Swap, args) => {
                    Ok(args.iter().rev().copied().filter(|arg| matches!(arg, core::Value::Ref(_))).collect())
                }
                (HostAct::Call, [.., core::Value::Ref(callee)]) => {
                    let callee = store.func_of(*callee).filter(|callee| {
                        let ty = store.func_type(*callee);
                        ty.params.is_empty() && ty.results.is_empty()
                    });
                    let Some(callee) = callee.filter(|_| locked(&log).depth < HOST_DEPTH_MAX) else {
                        return Err(failed);
                    };
                    locked(&log).depth += 1;
                    let ended = store.invoke(callee, &[]);
                    locked(&log).depth -= 1;
                    ended
                }
                (HostAct::Throw, [.., core::Value::Ref(exception @ Ref::Exn(_))]) => {
                    Err(Failure::Exception(*exception))
                }
                _ => Err(failed),
            }
        }),
    )
}

fn host_type(ty: HostType) -> core::ValType {
    let reference = |heap| core::ValType::Ref(core::RefType::null(heap));
    match ty {
        HostType::I32 => core::ValType::I32,
        HostType::I64 => core::ValType::I64,
        HostType::F64 => core::ValType::F64,
        HostType::V128 => core::ValType::V128,
        HostType::Any => reference(core::HeapType::Any),
        HostType::Func => reference(core::HeapType::Func),
        HostType::Exn => reference(core::HeapType::Exn),
    }
}

struct Session {
    store: Store,
    /// Functions of the host, by row; none where a module has its name.
    host: Vec<core::FuncAddr>,
    log: Arc<Mutex<HostLog>>,
    instances: Vec<(String, core::InstanceAddr)>,
}

impl Session {
    fn imports(&self, module: &core::Module) -> Result<Vec<Extern>, Failure> {
        let find = |import: &core::Import| {
            if import.module == HOST && !self.host.is_empty() {
                let row = HOST_FUNCTIONS.iter().position(|function| function.name == import.name)?;
                return Some(Extern::Func(self.host[row]));
            }
            let (_, instance) = self.instances.iter().find(|(name, _)| *name == import.module)?;
            self.store.export(*instance, &import.name)
        };
        module
            .imports()
            .iter()
            .map(|import| {
                find(import).ok_or_else(|| Failure::Unlinkable(format!("no {}.{}", import.module, import.name)))
            })
            .collect()
    }

    /// Records a step; false where it was poisoned.
    fn step(&self, run: &mut LinkedRun, outcome: Result<Vec<core::Value>, Failure>) -> Result<bool, Refusal> {
        let mut roots = Vec::new();
        let mut place = None;
        let host_calls = std::mem::take(&mut locked(&self.log).calls);
        let ending = match outcome {
            Ok(values) => {
                roots.extend(values.iter().map(|value| found(*value)));
                LinkedEnding::Values(values.into_iter().map(observe).collect())
            }
            Err(Failure::Exception(exception)) => {
                roots.push(Found::Object(exception));
                LinkedEnding::Exception
            }
            Err(Failure::Limit(_)) => {
                run.stopped = Some(crate::Poison::Limit);
                return Ok(false);
            }
            Err(Failure::Trap(trap)) => match reference_trap(trap.class) {
                Ok(class) => {
                    place = Some(self.place(trap));
                    LinkedEnding::Trap(class)
                }
                Err(Some(poison)) => {
                    run.stopped = Some(poison);
                    return Ok(false);
                }
                Err(None) => return Err(Refusal::Broken(Failure::Trap(trap).to_string())),
            },
            Err(other) => return Err(Refusal::Broken(other.to_string())),
        };
        let mut step = LinkedStep { host_calls, place, ..LinkedStep::ended(ending) };
        let items = || self.exports().flat_map(|(_, exports)| exports.values());
        for item in items() {
            match item {
                Extern::Global(global) => {
                    let value = self.store.global(*global).1;
                    roots.push(found(value));
                    step.globals.push(observe(value));
                }
                Extern::Memory(memory) => step.memories.extend(self.image(*memory)),
                Extern::Table(table) => step.tables.push(self.store.table(*table).entries.len() as u64),
                _ => {}
            }
        }
        for item in items() {
            let Extern::Table(table) = item else { continue };
            roots.extend(self.entries(*table));
        }
        step.private = Some(self.private(&mut roots));
        step.graph = Some(Graph::explore(&mut Objects(self), roots)?);
        run.steps.push(step);
        Ok(true)
    }

    /// Where a trap was: of an instance that is not there yet, it is the one that is being made.
    fn place(&self, trap: core::Trap) -> Place {
        let (Some(offset), Some(instance)) = (trap.offset, trap.instance) else { return Place::Nowhere };
        let known = self.instances.iter().position(|(_, known)| *known == instance);
        Place::At { module: known.unwrap_or(self.instances.len()), offset, is_late: false }
    }

    /// The name and the exports of every instance.
    fn exports(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, Extern>)> {
        self.instances.iter().map(|(name, instance)| (name.as_str(), &self.store.instance(*instance).exports))
    }

    /// A memory; one that threads share is nothing that a step can show.
    fn image(&self, memory: core::MemoryAddr) -> Option<Image> {
        let memory = self.store.memory(memory);
        (!memory.ty.shared).then(|| Image::of(&memory.bytes))
    }

    /// The first elements of a table.
    fn entries(&self, table: core::TableAddr) -> impl Iterator<Item = Found<Ref>> {
        let entries = self.store.table(table).entries.iter().take(super::TABLE_ROOTS_MAX);
        entries.map(|entry| found(core::Value::Ref(*entry)))
    }

    /// What no export shows; references in it become roots.
    fn private(&self, roots: &mut Vec<Found<Ref>>) -> Private {
        let shown: Vec<Extern> = self.exports().flat_map(|(_, exports)| exports.values().copied()).collect();
        let hidden = |item: Extern| !shown.contains(&item);
        let mut private = Private::default();
        for (_, address) in &self.instances {
            let instance = self.store.instance(*address);
            for global in instance.globals.iter().filter(|global| hidden(Extern::Global(**global))) {
                let value = self.store.global(*global).1;
                roots.push(found(value));
                private.globals.push(observe(value));
            }
            let memories = instance.memories.iter().filter(|memory| hidden(Extern::Memory(**memory)));
            private.memories.extend(memories.filter_map(|memory| self.image(*memory)));
            for table in instance.tables.iter().filter(|table| hidden(Extern::Table(**table))) {
                private.tables.push(self.store.table(*table).entries.len() as u64);
                roots.extend(self.entries(*table));
            }
            private.empty_data.extend((0..instance.data_count()).map(|at| self.store.is_data_empty(*address, at)));
            let elements = 0..instance.elem_count();
            private.empty_elements.extend(elements.map(|at| self.store.is_elem_empty(*address, at)));
        }
        private
    }

    /// The module and the name of the first export that `is` holds for; nothing for what is private.
    fn export_name(&self, is: impl Fn(&Extern) -> bool) -> String {
        for (module, exports) in self.exports() {
            if let Some((name, _)) = exports.iter().find(|(_, item)| is(item)) {
                return format!("{module}.{name}");
            }
        }
        String::new()
    }
}

/// The store's objects, read by [`Graph::explore`].
struct Objects<'a>(&'a Session);

impl Heap for Objects<'_> {
    type Object = Ref;

    fn bucket(&self, object: &Ref) -> Result<u64, Refusal> {
        Ok(object.slot() as u64)
    }

    fn same(&self, left: &Ref, right: &Ref) -> bool {
        left == right
    }

    fn contents(&mut self, object: &Ref, parts_max: usize) -> Result<Contents<Ref>, Refusal> {
        let store = &self.0.store;
        let (mut shape, mut parts) = (String::new(), Vec::new());
        let ty = match *object {
            Ref::Struct(_) | Ref::Array(_) => {
                let (id, slots) = store.fields(*object).ok_or_else(|| Refusal::Broken("no such object".into()))?;
                let read = |slot: &core::Slot, field: &core::FieldType| {
                    found(core::Value::of_slot(*slot, field.storage.unpacked()))
                };
                match &store.types().get(id).comp {
                    core::CompType::Struct(fields) => {
                        shape.push_str("struct");
                        fields.iter().for_each(|field| shape.push_str(field_text(*field)));
                        if store.types().get(id).descriptor_id().is_some() {
                            parts.push(found(core::Value::Ref(store.descriptor(*object))));
                        }
                        parts.extend(slots.iter().zip(fields).map(|(slot, field)| read(slot, field)));
                    }
                    core::CompType::Array(element) => {
                        shape = format!("array of {}{}", slots.len(), field_text(*element));
                        parts.extend(slots.iter().take(parts_max).map(|slot| read(slot, element)));
                    }
                    core::CompType::Func(_) => return Err(Refusal::Broken("an object of a function type".into())),
                }
                u64::from(id.0)
            }
            Ref::Func(number) => {
                let name = self.0.export_name(|item| matches!(item, Extern::Func(func) if func.number() == number));
                shape = format!("func {name}");
                super::OTHER_TYPE
            }
            Ref::Exn(_) => {
                let (tag, args) =
                    store.exception(*object).ok_or_else(|| Refusal::Broken("no such exception".into()))?;
                let name = self.0.export_name(|item| matches!(item, Extern::Tag(other) if *other == tag));
                shape = format!("exception {name}");
                parts.extend(args.into_iter().map(found));
                // By name and payload, as where tags have no numbers.
                super::OTHER_TYPE + 1
            }
            Ref::Host(_) | Ref::Null | Ref::I31(_) => {
                shape.push_str("host value");
                super::OTHER_TYPE
            }
        };
        Ok(Contents { shape, ty, parts })
    }
}

fn field_text(field: core::FieldType) -> &'static str {
    use core::{StorageType as S, ValType as V};
    let texts = match field.storage {
        S::I8 => [" i8", " mut-i8"],
        S::I16 => [" i16", " mut-i16"],
        S::Val(V::I32) => [" i32", " mut-i32"],
        S::Val(V::I64) => [" i64", " mut-i64"],
        S::Val(V::F32) => [" f32", " mut-f32"],
        S::Val(V::F64) => [" f64", " mut-f64"],
        S::Val(V::V128) => [" v128", " mut-v128"],
        S::Val(V::Ref(_) | V::Bot) => [" ref", " mut-ref"],
    };
    texts[usize::from(field.mutable)]
}

fn found(value: core::Value) -> Found<Ref> {
    match (value, observe(value)) {
        (_, Observed::Number(value)) => Found::Number(value),
        (_, Observed::Null) => Found::Null,
        (_, Observed::I31(bits)) => Found::I31(bits),
        (core::Value::Ref(reference), Observed::Reference) => Found::Object(reference),
        _ => Found::Null,
    }
}

fn observe(value: core::Value) -> Observed {
    match value {
        core::Value::I32(bits) => Observed::Number(Value::I32(bits)),
        core::Value::I64(bits) => Observed::Number(Value::I64(bits)),
        core::Value::F32(bits) => Observed::Number(Value::F32(bits)),
        core::Value::F64(bits) => Observed::Number(Value::F64(bits)),
        core::Value::V128(bits) => Observed::Number(Value::V128(bits)),
        core::Value::Ref(Ref::Null) => Observed::Null,
        core::Value::Ref(Ref::I31(bits)) => Observed::I31(bits),
        core::Value::Ref(_) => Observed::Reference,
    }
}

fn own(value: &Value) -> Result<core::Value, Refusal> {
    Ok(match *value {
        Value::I32(bits) => core::Value::I32(bits),
        Value::I64(bits) => core::Value::I64(bits),
        Value::F32(bits) => core::Value::F32(bits),
        Value::F64(bits) => core::Value::F64(bits),
        Value::V128(bits) => core::Value::V128(bits),
        Value::Func(_) | Value::Extern(_) => return Err(Refusal::Broken("only numbers are arguments".into())),
    })
}
