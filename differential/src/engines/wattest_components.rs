//! Components in wattest.
//!
//! Compiled by one configuration of the table of the [core engine](super::CONFIGS): adapters are native code.
//!
//! Invariant: every trap code that a component can end in is one class; any other error is an error of the engine.
//!
//! Does not know: the reference's evaluator.

use super::{CONFIGS, KeptWattest, effective};
use crate::NanRule;
use crate::components::{
    ComponentCall, ComponentCase, ComponentEnding, ComponentEngine, ComponentRecord, HostAnswer, HostLog, HostScript,
};
use wattest::component::{
    self as native, Component, LinkError, Linker, Resource, ResourceAny, ResourceType, Type, TypeKind,
};
use wattest::{Error, InstantiateError, Store, StoreContextMut, TrapCode};
use wattest_reference::TrapClass as T;
use wattest_reference::component::Val;

/// Wattest in one configuration.
pub struct WattestComponents {
    row: usize,
    engine: KeptWattest,
}

impl WattestComponents {
    /// Row `row` of [`CONFIGS`], modulo their number. The engine is made on first use.
    pub fn new(row: usize) -> WattestComponents {
        let row = row % CONFIGS.len();
        WattestComponents { row, engine: KeptWattest::new(effective(&CONFIGS[row]), NanRule::Exact) }
    }
}

impl ComponentEngine for WattestComponents {
    fn name(&self) -> String {
        format!("wattest/{}", CONFIGS[self.row].name)
    }

    fn run(&mut self, case: &ComponentCase) -> Result<ComponentRecord, String> {
        let engine = self.engine.next().map_err(|refusal| refusal.to_string())?;
        let component = Component::new(engine, &case.wasm).map_err(|error| format!("refused: {error}"))?;
        let log = HostLog::default();
        let linker = linker(engine, &case.host, &log).map_err(|error| error.to_string())?;
        let ready = linker.instantiate_pre(&component).map_err(|error| error.to_string())?;
        let mut record = Vec::new();
        let mut live = None;
        for call in &case.calls {
            let (store, instance) = match live.take() {
                Some(made) => live.insert(made),
                None => {
                    let mut store = Store::new(engine, ());
                    let made = ready.instantiate(&mut store);
                    record.extend(log.take());
                    match made {
                        Ok(instance) => {
                            record.push(ComponentEnding::Value(None));
                            live.insert((store, instance))
                        }
                        Err(InstantiateError::Start(error)) => {
                            record.push(ending(error)?);
                            return Ok(record);
                        }
                        Err(error) => return Err(error.to_string()),
                    }
                }
            };
            let result = call_once(store, instance, call)?;
            record.extend(log.take());
            if case.renews && matches!(result, ComponentEnding::Trap(_) | ComponentEnding::Nothing(_)) {
                live = None;
            }
            record.push(result);
        }
        Ok(record)
    }
}

/// Calls an export: how it ends.
fn call_once(
    store: &mut Store<()>,
    instance: &native::Instance,
    call: &ComponentCall,
) -> Result<ComponentEnding, String> {
    let path = [call.instance.as_str(), call.func.as_str()];
    let func = instance.get_func(&mut *store, path).ok_or_else(|| format!("no export {call:?}"))?;
    let ty = func.ty();
    let args = call.args.iter().zip(ty.params()).map(|(val, (_, ty))| to_native(&ty, val));
    let args = args.collect::<Option<Vec<_>>>().ok_or("arguments of another type")?;
    let mut results = vec![native::Val::Bool(false); usize::from(ty.result().is_some())];
    match func.call(store, &args, &mut results) {
        Ok(()) => {
            let pair = ty.result().zip(results.first());
            let value = pair.map(|(ty, val)| from_native(&ty, val, &mut |_| None));
            let value = value.map(|value| value.ok_or("a result of another type"));
            Ok(ComponentEnding::Value(value.transpose()?))
        }
        Err(error) => ending(error),
    }
}

/// What the host's two resource types are in Rust.
struct HostResource<const TYPE: usize>;

/// The scripted host in a linker.
fn linker(engine: &wattest::Engine, script: &HostScript, log: &HostLog) -> Result<Linker<()>, LinkError> {
    let mut linker = Linker::new(engine);
    if script.funcs.is_empty() {
        return Ok(linker);
    }
    let mut names = linker.instance(&script.instance)?;
    let types = [ResourceType::host::<HostResource<0>>(), ResourceType::host::<HostResource<1>>()];
    for (name, ty) in script.resources.iter().zip(types) {
        let (log, own) = (log.clone(), name.clone());
        names.resource(name, ty, move |_, rep| {
            log.dropped(&own, rep);
            Ok(())
        })?;
    }
    for (name, action) in &script.funcs {
        let (log, own, action) = (log.clone(), name.clone(), action.clone());
        names.func_new(name, move |mut store, ty, args, results| {
            let args = ty.params().zip(args).map(|((_, ty), arg)| {
                from_native(&ty, arg, &mut |handle| number(&mut store, types, handle)).ok_or_else(unfit)
            });
            let args = args.collect::<Result<_, Error>>()?;
            let result = match log.called(&own, &action, args) {
                HostAnswer::Value(None) => return Ok(()),
                HostAnswer::Value(Some(val)) => ty.result().and_then(|ty| to_native(&ty, &val)).ok_or_else(unfit)?,
                HostAnswer::Own(0, rep) => native::Val::Resource(ResourceAny::from_host(
                    &mut store,
                    Resource::<HostResource<0>>::new_own(rep),
                )?),
                HostAnswer::Own(_, rep) => native::Val::Resource(ResourceAny::from_host(
                    &mut store,
                    Resource::<HostResource<1>>::new_own(rep),
                )?),
                HostAnswer::Failed => return Err(Error::msg(FAILED)),
            };
            *results.first_mut().ok_or_else(unfit)? = result;
            Ok(())
        })?;
    }
    Ok(linker)
}

/// The message of a function of the host that fails on purpose.
const FAILED: &str = "the script says so";

fn unfit() -> Error {
    Error::msg("a value of another type at the host")
}

/// The number of a host's resource: an owned handle is used up.
fn number(store: &mut StoreContextMut<'_, ()>, types: [ResourceType; 2], handle: ResourceAny) -> Option<Val> {
    let rep = match handle.ty(&mut *store) == types[0] {
        true => handle.into_host::<HostResource<0>>(&mut *store).ok()?.rep(),
        false => handle.into_host::<HostResource<1>>(&mut *store).ok()?.rep(),
    };
    Some(Val::U32(rep))
}

fn ending(error: Error) -> Result<ComponentEnding, String> {
    let trap = match &error {
        Error::Trap(trap) => trap,
        Error::Host(failed) if failed.error().to_string() == FAILED => return Ok(ComponentEnding::Trap(T::Host)),
        other => return Err(other.to_string()),
    };
    Ok(ComponentEnding::Trap(match trap.code() {
        TrapCode::Unreachable => T::Unreachable,
        TrapCode::MemoryOutOfBounds => T::MemoryOutOfBounds,
        TrapCode::TableOutOfBounds => T::TableOutOfBounds,
        TrapCode::UndefinedElement => T::UndefinedElement,
        TrapCode::UninitializedElement => T::UninitializedElement,
        TrapCode::IndirectCallTypeMismatch => T::IndirectCallTypeMismatch,
        TrapCode::CannotEnterComponent => T::CannotEnter,
        TrapCode::CannotLeaveComponent => T::CannotLeave,
        TrapCode::CannotBlock => T::CannotBlock,
        TrapCode::UnknownHandle => T::UnknownHandle,
        TrapCode::HandleTypeMismatch => T::HandleType,
        TrapCode::HandleLent => T::HandleLent,
        TrapCode::BorrowsRemain => T::BorrowsRemain,
        TrapCode::UnalignedPointer | TrapCode::ReallocUnaligned => T::UnalignedPointer,
        TrapCode::PointerOutOfBounds
        | TrapCode::ListOutOfBounds
        | TrapCode::StringOutOfBounds
        | TrapCode::ReallocOutOfBounds => T::PointerOutOfBounds,
        TrapCode::ValueTooLarge => T::ValueTooLong,
        TrapCode::InvalidDiscriminant => T::InvalidDiscriminant,
        TrapCode::InvalidChar => T::InvalidChar,
        TrapCode::InvalidUtf8 | TrapCode::IncompleteUtf8 | TrapCode::InvalidUtf16 => T::InvalidString,
        TrapCode::TaskReturn => T::TaskReturn,
        TrapCode::UncaughtException => T::UncaughtException,
        code @ (TrapCode::StackOverflow | TrapCode::OutOfFuel | TrapCode::AsyncUnsupported) => {
            return Ok(ComponentEnding::Nothing(format!("{code:?}")));
        }
        code => return Err(format!("{code:?}: {error}")),
    }))
}

fn payload(ty: Option<&Type>, val: Option<&Val>) -> Option<Option<Box<native::Val>>> {
    match (ty, val) {
        (Some(ty), Some(val)) => Some(Some(Box::new(to_native(ty, val)?))),
        (None, None) => Some(None),
        _ => None,
    }
}

/// A value by its type; nothing when it is not one of that type.
fn to_native(ty: &Type, val: &Val) -> Option<native::Val> {
    use native::Val as N;
    let all = |types: &mut dyn Iterator<Item = &Type>, vals: &[Val]| {
        types.zip(vals).map(|(ty, val)| to_native(ty, val)).collect::<Option<Vec<_>>>()
    };
    Some(match (ty.kind(), val) {
        (TypeKind::Bool, Val::Bool(value)) => N::Bool(*value),
        (TypeKind::S8, Val::S8(value)) => N::S8(*value),
        (TypeKind::U8, Val::U8(value)) => N::U8(*value),
        (TypeKind::S16, Val::S16(value)) => N::S16(*value),
        (TypeKind::U16, Val::U16(value)) => N::U16(*value),
        (TypeKind::S32, Val::S32(value)) => N::S32(*value),
        (TypeKind::U32, Val::U32(value)) => N::U32(*value),
        (TypeKind::S64, Val::S64(value)) => N::S64(*value),
        (TypeKind::U64, Val::U64(value)) => N::U64(*value),
        (TypeKind::Float32, Val::F32(bits)) => N::Float32(f32::from_bits(*bits)),
        (TypeKind::Float64, Val::F64(bits)) => N::Float64(f64::from_bits(*bits)),
        (TypeKind::Char, Val::Char(value)) => N::Char(*value),
        (TypeKind::String, Val::String(text)) => N::String(text.text.clone()),
        (TypeKind::List(ty) | TypeKind::FixedList(ty, _), Val::List(vals)) => {
            N::List(all(&mut std::iter::repeat_n(&ty, vals.len()), vals)?)
        }
        (TypeKind::Map(key, value), Val::List(pairs)) => {
            let pairs = pairs.iter().map(|pair| match pair {
                Val::Record(pair) if pair.len() == 2 => {
                    Some((to_native(&key, &pair[0])?, to_native(&value, &pair[1])?))
                }
                _ => None,
            });
            N::Map(pairs.collect::<Option<_>>()?)
        }
        (TypeKind::Record(fields), Val::Record(vals)) => {
            let vals = all(&mut fields.iter().map(|(_, ty)| ty), vals)?;
            N::Record(fields.iter().map(|(name, _)| name.clone()).zip(vals).collect())
        }
        (TypeKind::Tuple(types), Val::Record(vals)) => N::Tuple(all(&mut types.iter(), vals)?),
        (TypeKind::Variant(cases), Val::Variant(case, val)) => {
            let (name, ty) = cases.get(*case as usize)?;
            N::Variant(name.clone(), payload(ty.as_ref(), val.as_deref())?)
        }
        (TypeKind::Enum(labels), Val::Variant(case, None)) => N::Enum(labels.get(*case as usize)?.clone()),
        (TypeKind::Option(_), Val::Variant(0, None)) => N::Option(None),
        (TypeKind::Option(ty), Val::Variant(1, val)) => N::Option(payload(Some(&ty), val.as_deref())?),
        (TypeKind::Result(ok, _), Val::Variant(0, val)) => N::Result(Ok(payload(ok.as_ref(), val.as_deref())?)),
        (TypeKind::Result(_, error), Val::Variant(1, val)) => N::Result(Err(payload(error.as_ref(), val.as_deref())?)),
        (TypeKind::Flags(labels), Val::Flags(bits)) => {
            let set = labels.iter().enumerate().filter(|(at, _)| bits >> at & 1 != 0);
            N::Flags(set.map(|(_, label)| label.clone()).collect())
        }
        _ => return None,
    })
}

/// What a handle is where values have none.
type OfHandle<'h> = dyn FnMut(ResourceAny) -> Option<Val> + 'h;

/// A value of the reference; nothing when it is not one of that type, or not one that it has.
fn from_native(ty: &Type, val: &native::Val, of_handle: &mut OfHandle<'_>) -> Option<Val> {
    use native::Val as N;
    let mut inner = |ty: Option<&Type>, val: &Option<Box<N>>| match (ty, val) {
        (Some(ty), Some(val)) => Some(Some(Box::new(from_native(ty, val, of_handle)?))),
        (None, None) => Some(None),
        _ => None,
    };
    Some(match (ty.kind(), val) {
        (_, N::Bool(value)) => Val::Bool(*value),
        (_, N::S8(value)) => Val::S8(*value),
        (_, N::U8(value)) => Val::U8(*value),
        (_, N::S16(value)) => Val::S16(*value),
        (_, N::U16(value)) => Val::U16(*value),
        (_, N::S32(value)) => Val::S32(*value),
        (_, N::U32(value)) => Val::U32(*value),
        (_, N::S64(value)) => Val::S64(*value),
        (_, N::U64(value)) => Val::U64(*value),
        (_, N::Float32(value)) => Val::F32(value.to_bits()),
        (_, N::Float64(value)) => Val::F64(value.to_bits()),
        (_, N::Char(value)) => Val::Char(*value),
        (_, N::String(text)) => Val::String(text.as_str().into()),
        (TypeKind::List(ty) | TypeKind::FixedList(ty, _), N::List(vals)) => {
            Val::List(vals.iter().map(|val| from_native(&ty, val, of_handle)).collect::<Option<_>>()?)
        }
        (TypeKind::Map(key, value), N::Map(pairs)) => {
            let pairs = pairs.iter().map(|(k, v)| {
                Some(Val::Record(vec![from_native(&key, k, of_handle)?, from_native(&value, v, of_handle)?]))
            });
            Val::List(pairs.collect::<Option<_>>()?)
        }
        (TypeKind::Record(fields), N::Record(vals)) => {
            let vals = fields.iter().zip(vals).map(|((_, ty), (_, val))| from_native(ty, val, of_handle));
            Val::Record(vals.collect::<Option<_>>()?)
        }
        (TypeKind::Tuple(types), N::Tuple(vals)) => {
            Val::Record(types.iter().zip(vals).map(|(ty, val)| from_native(ty, val, of_handle)).collect::<Option<_>>()?)
        }
        (TypeKind::Variant(cases), N::Variant(name, val)) => {
            let at = cases.iter().position(|(case, _)| case == name)?;
            Val::Variant(at as u32, inner(cases[at].1.as_ref(), val)?)
        }
        (TypeKind::Enum(labels), N::Enum(name)) => {
            Val::Variant(labels.iter().position(|label| label == name)? as u32, None)
        }
        (TypeKind::Option(_), N::Option(None)) => Val::Variant(0, None),
        (TypeKind::Option(ty), N::Option(val)) => Val::Variant(1, inner(Some(&ty), val)?),
        (TypeKind::Result(ok, _), N::Result(Ok(val))) => Val::Variant(0, inner(ok.as_ref(), val)?),
        (TypeKind::Result(_, error), N::Result(Err(val))) => Val::Variant(1, inner(error.as_ref(), val)?),
        (TypeKind::Flags(labels), N::Flags(names)) => {
            let bit = |name: &String| Some(1u32 << labels.iter().position(|label| label == name)?);
            Val::Flags(names.iter().map(bit).sum::<Option<u32>>()?)
        }
        (TypeKind::Own | TypeKind::Borrow, N::Resource(handle)) => of_handle(*handle)?,
        _ => return None,
    })
}
