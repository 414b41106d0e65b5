//! The two engines that components are carried out in: wasmi, and the reference for what wasmi does not have.
//!
//! Both in their deterministic profiles
//! ([deterministic execution](https://webassembly.github.io/spec/core/appendix/profiles.html#deterministic-profile-det)).
//!
//! Invariant: a [`Halt`] of a host function comes out of the call that led to it as it went in, whatever is in between.
//!
//! Does not know: components.

use super::core::{Core, FuncId, GlobalId, Halt, HostBody, InstanceId, Item, MemoryId, OtherId, Value};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmi::{AsContext, AsContextMut, Nullable, StoreContextMut, Val};
use wattest_canon::CoreType;
use wattest_fuse::{AbiType, FuncType};
use wattest_reference::{
    Budget, Extern, Failure, Features, GlobalAddr, GlobalType, HeapType, InstanceAddr, MemoryAddr, Module, Ref,
    RefType, Store, TrapClass, ValType,
};

/// Instructions of all guests together.
const FUEL: u64 = 100_000_000;

/// An engine for each component: one keeps the code of every module that it ever translated.
pub struct Interpreters {
    config: wasmi::Config,
}

impl Default for Interpreters {
    fn default() -> Interpreters {
        let mut config = wasmi::Config::default();
        config
            .consume_fuel(true)
            .wasm_custom_page_sizes(true)
            .wasm_wide_arithmetic(true)
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .wasm_relaxed_simd(true)
            .compilation_mode(wasmi::CompilationMode::Lazy);
        Interpreters { config }
    }
}

impl Interpreters {
    /// Calls `f` with a fresh store: of wasmi if it takes all of these modules, else of the reference.
    pub fn with_store<T>(&self, modules: &[&[u8]], f: impl FnOnce(&mut dyn Core) -> T) -> T {
        let engine = wasmi::Engine::new(&self.config);
        if modules.iter().all(|wasm| wasmi::Module::validate(&engine, wasm).is_ok()) {
            let mut store = wasmi::Store::new(&engine, Tables::default());
            // Fuel is on in the configuration above.
            let _ = store.set_fuel(FUEL);
            return f(&mut InWasmi(store.as_context_mut()));
        }
        let mut store = Store::new(Budget { depth: 2_000, ..Budget::default() });
        store.set_fuel(FUEL);
        f(&mut InReference { store: &mut store, numbers: Arc::default() })
    }
}

/// What numbers stand for in wasmi.
#[derive(Default)]
struct Tables {
    funcs: Vec<wasmi::Func>,
    memories: Vec<wasmi::Memory>,
    globals: Vec<wasmi::Global>,
    others: Vec<wasmi::Extern>,
    instances: Vec<wasmi::Instance>,
    /// What a host function ended in, on its way out.
    halt: Option<Halt>,
}

fn put<T>(rows: &mut Vec<T>, row: T) -> u32 {
    rows.push(row);
    rows.len() as u32 - 1
}

impl Tables {
    fn adopt(&mut self, item: wasmi::Extern) -> Item {
        match item {
            wasmi::Extern::Func(func) => Item::Func(FuncId(put(&mut self.funcs, func))),
            wasmi::Extern::Memory(memory) => Item::Memory(MemoryId(put(&mut self.memories, memory))),
            wasmi::Extern::Global(global) => Item::Global(GlobalId(put(&mut self.globals, global))),
            table @ wasmi::Extern::Table(_) => Item::Table(OtherId(put(&mut self.others, table))),
        }
    }

    fn item(&self, item: Item) -> Option<wasmi::Extern> {
        Some(match item {
            Item::Func(id) => wasmi::Extern::Func(*self.funcs.get(id.0 as usize)?),
            Item::Memory(id) => wasmi::Extern::Memory(*self.memories.get(id.0 as usize)?),
            Item::Global(id) => wasmi::Extern::Global(*self.globals.get(id.0 as usize)?),
            Item::Table(id) => *self.others.get(id.0 as usize)?,
            Item::Tag(_) => return None,
        })
    }
}

/// Marks an error behind which there is a [`Halt`].
const HALTED: i32 = 0x4861;

struct InWasmi<'s>(StoreContextMut<'s, Tables>);

impl InWasmi<'_> {
    fn halt(&mut self, error: &wasmi::Error) -> Halt {
        if error.i32_exit_status() == Some(HALTED) {
            let halt = self.0.data_mut().halt.take();
            return halt.unwrap_or_else(|| Halt::Broken("a host function ended in nothing".to_owned()));
        }
        use wasmi::errors::{ErrorKind, InstantiationError, MemoryError, TableError};
        match (error.as_trap_code(), error.kind()) {
            (Some(code), _) => match trap_class(code) {
                Some(class) => Halt::Trap(class),
                None => Halt::Nothing(error.to_string()),
            },
            (None, ErrorKind::Memory(MemoryError::OutOfBoundsAccess)) => Halt::Trap(TrapClass::MemoryOutOfBounds),
            (
                None,
                ErrorKind::Table(TableError::CopyOutOfBounds)
                | ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }),
            ) => Halt::Trap(TrapClass::TableOutOfBounds),
            _ => Halt::Broken(error.to_string()),
        }
    }

    fn neutral(&mut self, value: &Val) -> Value {
        match value {
            Val::I32(value) => Value::I32(value.cast_unsigned()),
            Val::I64(value) => Value::I64(value.cast_unsigned()),
            Val::F32(value) => Value::F32(value.to_bits()),
            Val::F64(value) => Value::F64(value.to_bits()),
            Val::V128(value) => Value::V128(value.as_u128()),
            Val::FuncRef(Nullable::Val(func)) => Value::Ref(Ref::Func(put(&mut self.0.data_mut().funcs, *func))),
            Val::FuncRef(Nullable::Null) | Val::ExternRef(_) => Value::Ref(Ref::Null),
        }
    }

    fn native(&self, value: Value) -> Val {
        match value {
            Value::I32(bits) => Val::I32(bits.cast_signed()),
            Value::I64(bits) => Val::I64(bits.cast_signed()),
            Value::F32(bits) => Val::F32(wasmi::F32::from_bits(bits)),
            Value::F64(bits) => Val::F64(wasmi::F64::from_bits(bits)),
            Value::V128(bits) => Val::V128(bits.into()),
            Value::Ref(Ref::Func(id)) => {
                Val::FuncRef(self.0.data().funcs.get(id as usize).map_or(Nullable::Null, |func| Nullable::Val(*func)))
            }
            Value::Ref(_) => Val::FuncRef(Nullable::Null),
        }
    }
}

/// The class of a trap; nothing for a budget.
fn trap_class(code: wasmi::TrapCode) -> Option<TrapClass> {
    use wasmi::TrapCode as C;
    Some(match code {
        C::UnreachableCodeReached => TrapClass::Unreachable,
        C::MemoryOutOfBounds => TrapClass::MemoryOutOfBounds,
        C::TableOutOfBounds => TrapClass::UndefinedElement,
        C::IndirectCallToNull => TrapClass::UninitializedElement,
        C::IntegerDivisionByZero => TrapClass::IntegerDivideByZero,
        C::IntegerOverflow => TrapClass::IntegerOverflow,
        C::BadConversionToInteger => TrapClass::InvalidConversionToInteger,
        C::BadSignature => TrapClass::IndirectCallTypeMismatch,
        C::StackOverflow | C::OutOfFuel | C::OutOfSystemMemory | C::GrowthOperationLimited => return None,
    })
}

fn wasmi_type(ty: &AbiType) -> wasmi::ValType {
    match ty {
        AbiType::Core(CoreType::I32) => wasmi::ValType::I32,
        AbiType::Core(CoreType::I64) => wasmi::ValType::I64,
        AbiType::Core(CoreType::F32) => wasmi::ValType::F32,
        AbiType::Core(CoreType::F64) => wasmi::ValType::F64,
        AbiType::FuncRef => wasmi::ValType::FuncRef,
    }
}

fn from_wasmi_type(ty: &wasmi::ValType) -> Option<AbiType> {
    Some(match ty {
        wasmi::ValType::I32 => AbiType::Core(CoreType::I32),
        wasmi::ValType::I64 => AbiType::Core(CoreType::I64),
        wasmi::ValType::F32 => AbiType::Core(CoreType::F32),
        wasmi::ValType::F64 => AbiType::Core(CoreType::F64),
        wasmi::ValType::FuncRef => AbiType::FuncRef,
        _ => return None,
    })
}

impl Core for InWasmi<'_> {
    fn add_func(&mut self, ty: &FuncType, body: HostBody) -> FuncId {
        let wasmi_ty = wasmi::FuncType::new(ty.params.iter().map(wasmi_type), ty.results.iter().map(wasmi_type));
        let func = wasmi::Func::new(&mut self.0, wasmi_ty, move |mut caller, args, results| {
            let mut core = InWasmi(caller.as_context_mut());
            let args: Vec<Value> = args.iter().map(|arg| core.neutral(arg)).collect();
            match body(&mut core, &args) {
                Ok(values) => {
                    for (place, value) in results.iter_mut().zip(values) {
                        *place = core.native(value);
                    }
                    Ok(())
                }
                Err(halt) => {
                    core.0.data_mut().halt = Some(halt);
                    Err(wasmi::Error::i32_exit(HALTED))
                }
            }
        });
        FuncId(put(&mut self.0.data_mut().funcs, func))
    }

    fn call(&mut self, func: FuncId, args: &[Value]) -> Result<Vec<Value>, Halt> {
        let missing = || Halt::Broken(format!("there is no {func:?}"));
        let func = *self.0.data().funcs.get(func.0 as usize).ok_or_else(missing)?;
        let args: Vec<Val> = args.iter().map(|value| self.native(*value)).collect();
        let ty = func.ty(&self.0);
        let mut results: Vec<Val> = ty.results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
        match func.call(&mut self.0, &args, &mut results) {
            Ok(()) => Ok(results.iter().map(|value| self.neutral(value)).collect()),
            Err(error) => Err(self.halt(&error)),
        }
    }

    fn func_type(&self, func: FuncId) -> Option<FuncType> {
        let ty = self.0.data().funcs.get(func.0 as usize)?.ty(&self.0);
        let list = |types: &[wasmi::ValType]| types.iter().map(from_wasmi_type).collect::<Option<Vec<_>>>();
        Some(FuncType { params: list(ty.params())?, results: list(ty.results())? })
    }

    fn memory(&self, memory: MemoryId) -> &[u8] {
        match self.0.data().memories.get(memory.0 as usize) {
            Some(memory) => memory.data(self.0.as_context()),
            None => &[],
        }
    }

    fn memory_mut(&mut self, memory: MemoryId) -> &mut [u8] {
        match self.0.data().memories.get(memory.0 as usize).copied() {
            Some(memory) => memory.data_mut(self.0.as_context_mut()),
            None => &mut [],
        }
    }

    fn add_flag(&mut self) -> GlobalId {
        let global = wasmi::Global::new(&mut self.0, Val::I32(1), wasmi::Mutability::Var);
        GlobalId(put(&mut self.0.data_mut().globals, global))
    }

    fn flag(&self, global: GlobalId) -> u32 {
        match self.0.data().globals.get(global.0 as usize).map(|global| global.get(&self.0)) {
            Some(Val::I32(value)) => value.cast_unsigned(),
            _ => 0,
        }
    }

    fn set_flag(&mut self, global: GlobalId, value: u32) {
        if let Some(global) = self.0.data().globals.get(global.0 as usize).copied() {
            // The type is the global's own.
            let _ = global.set(&mut self.0, Val::I32(value.cast_signed()));
        }
    }

    fn instantiate(&mut self, wasm: &[u8], imports: &[Item]) -> Result<InstanceId, Halt> {
        let module = wasmi::Module::new(self.0.engine(), wasm).map_err(|error| Halt::Broken(error.to_string()))?;
        // wasmi wants imports by kind, in this order; within a kind, in the module's.
        let mut ordered: Vec<Item> = imports.to_vec();
        ordered.sort_by_key(|item| match item {
            Item::Func(_) => 0,
            Item::Table(_) => 1,
            Item::Memory(_) => 2,
            Item::Global(_) => 3,
            Item::Tag(_) => 4,
        });
        let tables = self.0.data();
        let imports: Option<Vec<wasmi::Extern>> = ordered.iter().map(|item| tables.item(*item)).collect();
        let imports = imports.ok_or_else(|| Halt::Broken("an import of another engine".to_owned()))?;
        match wasmi::Instance::new(&mut self.0, &module, &imports) {
            Ok(instance) => Ok(InstanceId(put(&mut self.0.data_mut().instances, instance))),
            Err(error) => Err(self.halt(&error)),
        }
    }

    fn export(&mut self, instance: InstanceId, name: &str) -> Option<Item> {
        let item = self.0.data().instances.get(instance.0 as usize)?.get_export(&self.0, name)?;
        Some(self.0.data_mut().adopt(item))
    }
}

/// What numbers stand for in the reference's store; of functions they are its own.
#[derive(Default)]
struct Numbers {
    memories: Vec<MemoryAddr>,
    others: Vec<Extern>,
    globals: Vec<GlobalAddr>,
    instances: Vec<InstanceAddr>,
}

impl Numbers {
    fn adopt(&mut self, item: Extern) -> Option<Item> {
        Some(match item {
            Extern::Func(func) => Item::Func(FuncId(func.number())),
            Extern::Memory(memory) => Item::Memory(MemoryId(put(&mut self.memories, memory))),
            Extern::Global(global) => Item::Global(GlobalId(put(&mut self.globals, global))),
            table @ Extern::Table(_) => Item::Table(OtherId(put(&mut self.others, table))),
            tag @ Extern::Tag(_) => Item::Tag(OtherId(put(&mut self.others, tag))),
        })
    }

    fn item(&self, store: &Store, item: Item) -> Option<Extern> {
        Some(match item {
            Item::Func(id) => Extern::Func(store.func_of_ref(Ref::Func(id.0))?),
            Item::Memory(id) => Extern::Memory(*self.memories.get(id.0 as usize)?),
            Item::Global(id) => Extern::Global(*self.globals.get(id.0 as usize)?),
            Item::Table(id) | Item::Tag(id) => *self.others.get(id.0 as usize)?,
        })
    }
}

struct InReference<'s> {
    store: &'s mut Store,
    numbers: Arc<Mutex<Numbers>>,
}

impl InReference<'_> {
    /// Never held while a guest runs.
    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn halt(failure: Failure) -> Halt {
    match failure {
        Failure::Trap(trap) if matches!(trap.class, TrapClass::OutOfFuel | TrapClass::StackExhausted) => {
            Halt::Nothing(trap.class.text().to_owned())
        }
        Failure::Trap(trap) => Halt::Trap(trap.class),
        Failure::Exception(_) => Halt::Trap(TrapClass::UncaughtException),
        Failure::Limit(text) => Halt::Nothing(text),
        Failure::Unlinkable(text) | Failure::Arguments(text) => Halt::Broken(text),
    }
}

fn failure(halt: Halt) -> Failure {
    match halt {
        Halt::Trap(class) => Failure::trap(class),
        Halt::Nothing(text) => Failure::Limit(text),
        Halt::Broken(text) => Failure::Unlinkable(text),
    }
}

fn reference_type(ty: &AbiType) -> ValType {
    match ty {
        AbiType::Core(CoreType::I32) => ValType::I32,
        AbiType::Core(CoreType::I64) => ValType::I64,
        AbiType::Core(CoreType::F32) => ValType::F32,
        AbiType::Core(CoreType::F64) => ValType::F64,
        AbiType::FuncRef => ValType::Ref(RefType::null(HeapType::Func)),
    }
}

fn from_reference_type(ty: &ValType) -> Option<AbiType> {
    Some(match ty {
        ValType::I32 => AbiType::Core(CoreType::I32),
        ValType::I64 => AbiType::Core(CoreType::I64),
        ValType::F32 => AbiType::Core(CoreType::F32),
        ValType::F64 => AbiType::Core(CoreType::F64),
        ValType::Ref(ty) if ty.heap == HeapType::Func => AbiType::FuncRef,
        _ => return None,
    })
}

impl Core for InReference<'_> {
    fn add_func(&mut self, ty: &FuncType, body: HostBody) -> FuncId {
        let list = |types: &[AbiType]| types.iter().map(reference_type).collect();
        let ty = wattest_reference::FuncType { params: list(&ty.params), results: list(&ty.results) };
        let numbers = Arc::clone(&self.numbers);
        let func = move |store: &mut Store, args: &[Value]| {
            let mut core = InReference { store, numbers: Arc::clone(&numbers) };
            body(&mut core, args).map_err(failure)
        };
        FuncId(self.store.add_func(ty, Arc::new(func)).number())
    }

    fn call(&mut self, func: FuncId, args: &[Value]) -> Result<Vec<Value>, Halt> {
        let missing = || Halt::Broken(format!("there is no {func:?}"));
        let func = self.store.func_of_ref(Ref::Func(func.0)).ok_or_else(missing)?;
        self.store.invoke(func, args).map_err(halt)
    }

    fn func_type(&self, func: FuncId) -> Option<FuncType> {
        let ty = self.store.func_type(self.store.func_of_ref(Ref::Func(func.0))?);
        let list = |types: &[ValType]| types.iter().map(from_reference_type).collect::<Option<Vec<_>>>();
        Some(FuncType { params: list(&ty.params)?, results: list(&ty.results)? })
    }

    fn memory(&self, memory: MemoryId) -> &[u8] {
        let address = self.numbers().memories.get(memory.0 as usize).copied();
        address.map_or(&[], |address| &self.store.memory(address).bytes)
    }

    fn memory_mut(&mut self, memory: MemoryId) -> &mut [u8] {
        let address = self.numbers().memories.get(memory.0 as usize).copied();
        match address {
            Some(address) => self.store.memory_mut(address),
            None => &mut [],
        }
    }

    fn add_flag(&mut self) -> GlobalId {
        let ty = GlobalType { content: ValType::I32, mutable: true };
        let global = self.store.add_global(ty, Value::I32(1));
        GlobalId(put(&mut self.numbers().globals, global))
    }

    fn flag(&self, global: GlobalId) -> u32 {
        let address = self.numbers().globals.get(global.0 as usize).copied();
        match address.map(|address| self.store.global(address).1) {
            Some(Value::I32(value)) => value,
            _ => 0,
        }
    }

    fn set_flag(&mut self, global: GlobalId, value: u32) {
        let address = self.numbers().globals.get(global.0 as usize).copied();
        if let Some(address) = address {
            self.store.set_global(address, Value::I32(value));
        }
    }

    fn instantiate(&mut self, wasm: &[u8], imports: &[Item]) -> Result<InstanceId, Halt> {
        let module = Module::decode(wasm, Features::all()).map_err(|error| Halt::Broken(error.to_string()))?;
        let imports: Option<Vec<Extern>> = {
            let numbers = self.numbers();
            imports.iter().map(|item| numbers.item(self.store, *item)).collect()
        };
        let imports = imports.ok_or_else(|| Halt::Broken("an import of another engine".to_owned()))?;
        let instance = self.store.instantiate(&module, &imports).map_err(halt)?;
        Ok(InstanceId(put(&mut self.numbers().instances, instance)))
    }

    fn export(&mut self, instance: InstanceId, name: &str) -> Option<Item> {
        let address = *self.numbers().instances.get(instance.0 as usize)?;
        let item = self.store.export(address, name)?;
        self.numbers().adopt(item)
    }
}

#[cfg(test)]
mod tests {
    use super::super::core::values;
    use super::*;

    /// Both engines do the same with a function of the host between two instances.
    fn check(with_tag: bool, expected: Result<Vec<Value>, Halt>) {
        let tag = if with_tag { "(tag)" } else { "" };
        let text = format!(
            r#"(module {tag} (import "" "f" (func $f (param i32) (result i32))) (memory (export "m") 1)
              (func (export "g") (param i32) (result i32) (i32.store8 (i32.const 7) (i32.const 9)) (call $f (local.get 0))))"#
        );
        let wasm = wat::parse_str(text).expect("valid");
        let answer = expected.clone();
        Interpreters::default().with_store(&[&wasm], |core| {
            let ty =
                FuncType { params: vec![AbiType::Core(CoreType::I32)], results: vec![AbiType::Core(CoreType::I32)] };
            let body = move |_: &mut dyn Core, args: &[Value]| answer.clone().map(|_| args.to_vec());
            let func = core.add_func(&ty, Arc::new(body));
            let instance = core.instantiate(&wasm, &[Item::Func(func)]).expect("its imports match");
            let Some(Item::Func(func)) = core.export(instance, "g") else { panic!("no function") };
            let Some(Item::Memory(memory)) = core.export(instance, "m") else { panic!("no memory") };
            assert_eq!(core.func_type(func), Some(ty));
            assert_eq!(core.call(func, &values(&[AbiType::Core(CoreType::I32)], &[5])), expected);
            assert_eq!(core.memory(memory)[7], 9);
            let flag = core.add_flag();
            assert_eq!(core.flag(flag), 1);
            core.set_flag(flag, 0);
            assert_eq!(core.flag(flag), 0);
        });
    }

    #[test]
    fn both_engines_call_the_host() {
        for with_tag in [false, true] {
            check(with_tag, Ok(vec![Value::I32(5)]));
            check(with_tag, Err(Halt::Trap(TrapClass::HandleLent)));
            check(with_tag, Err(Halt::Nothing("budget".to_owned())));
            check(with_tag, Err(Halt::Broken("slot".to_owned())));
        }
    }
}
