//! `calls_abi`: many parameters and results of every type, through every kind of call.
//!
//! A [chain] of functions passes its parameters on, each layer in another order and with constants mixed in: by direct call,
//! by table, by reference, by tail call, through the host and back in. The outermost function is called by the host, as one
//! typed at run time and, where its type is [one that is known](typed), as one typed at compile time. What must come out is
//! the composition of the layers' selections, computed here. References to functions, to host values and to unboxed integers
//! go along; some layers call twice and compare, so that what must survive a call is seen to.
//!
//! Invariant: nothing here traps, runs out of fuel or is interrupted: every call ends in values.
//!
//! Does not know: registers.

mod chain;
mod typed;

use super::subject::Engines;
use super::{Outcome, Target};
use crate::envelope::{Argument, Envelope, EnvelopeCall, print_value};
use crate::mutate;
use crate::source::Source;
use chain::{CALLEES, Layer, NULL, Type, expected, result_types};
use wattest::{
    AnyRef, AsContextMut, Extern, ExternRef, Func, FuncType, HeapType, I31, Instance, Module, RefType, Store, Val,
    ValType, WasmTy,
};
use wattest_differential::{CONFIGS, FuncIdentity, Value};

/// The target.
#[derive(Default)]
pub(super) struct CallsAbi {
    engines: Engines,
}

fn own_type(ty: Type) -> ValType {
    match ty {
        Type::I32 => ValType::I32,
        Type::I64 => ValType::I64,
        Type::F32 => ValType::F32,
        Type::F64 => ValType::F64,
        Type::V128 => ValType::V128,
        Type::Func => ValType::Ref(RefType::FUNC),
        Type::Extern => ValType::Ref(RefType::EXTERN),
        Type::Any => <Option<AnyRef> as WasmTy>::TYPE,
    }
}

/// A module's instance, with what references in it may be to.
struct Chain<'a> {
    layers: &'a [Layer],
    results: Vec<Type>,
    store: Store<()>,
    outermost: Func,
    callees: Vec<Func>,
}

fn text_of(error: impl std::fmt::Display) -> String {
    error.to_string()
}

impl Chain<'_> {
    fn new<'a>(engine: &wattest::Engine, layers: &'a [Layer]) -> Result<Chain<'a>, String> {
        let wasm = wat::parse_str(chain::text(layers)).map_err(text_of)?;
        let module = Module::from_binary(engine, &wasm).map_err(text_of)?;
        let mut store = Store::new(engine, ());
        // More than any call here needs. Engines that count no fuel want none.
        store.set_epoch_deadline(1 << 40);
        let _ = store.set_fuel(1 << 40);
        let results = result_types(layers);
        let mut imports = Vec::new();
        for number in 1..layers.len() {
            if layers[number - 1].calls_host() {
                let params = &layers[number].params;
                let typed = match layers[number - 1].kind {
                    "host_typed" => typed::host(&mut store, number, params, &results),
                    _ => None,
                };
                let host = typed.unwrap_or_else(|| host(&mut store, number, params, &results));
                imports.push(Extern::Func(host));
            }
        }
        let instance = Instance::new(&mut store, &module, &imports).map_err(text_of)?;
        let outermost = instance.get_func(&store, "f0").ok_or("no export f0")?;
        let callees = (0..CALLEES).map(|callee| instance.get_func(&store, &format!("c{callee}")));
        let callees = callees.collect::<Option<Vec<_>>>().ok_or("a callee is not exported")?;
        Ok(Chain { layers, results, store, outermost, callees })
    }

    fn own(&mut self, ty: Type, value: Value) -> Result<Val, String> {
        Ok(match value {
            Value::I32(NULL) if ty == Type::Any => Val::Null(HeapType::Any),
            Value::I32(bits) if ty == Type::Any => {
                Val::AnyRef(AnyRef::from_i31(&self.store, I31::wrapping(bits as i32)))
            }
            Value::I32(bits) => Val::I32(bits as i32),
            Value::I64(bits) => Val::I64(bits as i64),
            Value::F32(bits) => Val::F32(bits),
            Value::F64(bits) => Val::F64(bits),
            Value::V128(bits) => Val::V128(bits),
            Value::Func(FuncIdentity::Index(index)) => Val::FuncRef(self.callees.get(index as usize).copied()),
            Value::Func(_) => Val::FuncRef(None),
            Value::Extern(None) => Val::ExternRef(None),
            Value::Extern(Some(payload)) => {
                Val::ExternRef(Some(ExternRef::new(&mut self.store, payload).map_err(text_of)?))
            }
        })
    }

    fn neutral(&self, ty: Type, value: &Val) -> Option<Value> {
        Some(match (ty, value) {
            (Type::I32, Val::I32(value)) => Value::I32(*value as u32),
            (Type::I64, Val::I64(value)) => Value::I64(*value as u64),
            (Type::F32, Val::F32(bits)) => Value::F32(*bits),
            (Type::F64, Val::F64(bits)) => Value::F64(*bits),
            (Type::V128, Val::V128(bits)) => Value::V128(*bits),
            (Type::Func, Val::FuncRef(None) | Val::Null(_)) => Value::Func(FuncIdentity::Null),
            (Type::Func, Val::FuncRef(Some(func))) => {
                let index = self.callees.iter().position(|callee| callee == func)?;
                Value::Func(FuncIdentity::Index(index as u32))
            }
            (Type::Extern, Val::ExternRef(None) | Val::Null(_)) => Value::Extern(None),
            (Type::Extern, Val::ExternRef(Some(object))) => {
                Value::Extern(Some(*object.data(&self.store)?.downcast_ref::<u32>()?))
            }
            (Type::Any, Val::Null(_)) => Value::I32(NULL),
            (Type::Any, Val::AnyRef(value)) => Value::I32(value.as_i31(&self.store).ok()??.unsigned()),
            _ => return None,
        })
    }

    /// One call, each way that there is; how many results were compared.
    fn call(&mut self, args: &[Value]) -> Result<u64, String> {
        let layers = self.layers;
        let params = &layers[0].params;
        let pairs = params.iter().zip(args);
        let own = pairs.map(|(ty, value)| self.own(*ty, *value)).collect::<Result<Vec<_>, _>>()?;
        let mut out = vec![Val::I32(0); self.results.len()];
        self.outermost.call(&mut self.store, &own, &mut out).map_err(text_of)?;
        let mut checks = self.compare("", args, &out)?;
        let types = (params.as_slice(), self.results.as_slice());
        if let Some(ended) = typed::call(&mut self.store, self.outermost, types, &own) {
            checks += self.compare("of a typed call ", args, &ended.map_err(text_of)?)?;
        }
        Ok(checks)
    }

    fn compare(&self, what: &str, args: &[Value], out: &[Val]) -> Result<u64, String> {
        let wanted = expected(self.layers, args);
        for (at, (ty, wanted)) in self.results.iter().zip(&wanted).enumerate() {
            let seen = out.get(at).and_then(|value| self.neutral(*ty, value));
            if seen != Some(*wanted) {
                let seen = seen.map_or_else(|| format!("{:?}", out.get(at)), |seen| print_value(&seen));
                let (count, wanted) = (self.results.len(), print_value(wanted));
                return Err(format!("result {at} {what}of {count}: {wanted} expected, {seen} seen"));
            }
        }
        Ok(wanted.len() as u64 + 1)
    }
}

/// A host function of a type known at run time that calls the instance's function of that number.
fn host(mut store: impl AsContextMut<Data = ()>, number: usize, params: &[Type], results: &[Type]) -> Func {
    let [params, results] = [params, results].map(|types| types.iter().map(|ty| own_type(*ty)).collect::<Vec<_>>());
    Func::new(&mut store, FuncType::new(params, results), move |mut caller, args, results| {
        let next = caller.get_export(&format!("f{number}")).and_then(Extern::into_func);
        let next = next.ok_or_else(|| wattest::Error::msg("the next layer is not exported"))?;
        next.call(&mut caller, args, results)
    })
}

/// The arguments of a call, where they are of these types.
fn arguments(call: &EnvelopeCall, params: &[Type]) -> Option<Vec<Value>> {
    let values = values(call)?;
    let fits = values.iter().map(Value::ty).eq(params.iter().map(|ty| ty.carrier()));
    fits.then(|| values.iter().zip(params).map(|(value, ty)| ty.normal(*value)).collect())
}

fn values(call: &EnvelopeCall) -> Option<Vec<Value>> {
    let value = |argument: &Argument| if let Argument::Value(value) = argument { Some(*value) } else { None };
    call.args.iter().map(value).collect()
}

impl CallsAbi {
    fn check_calls(&mut self, case: &Envelope, layers: &[Layer]) -> Result<u64, String> {
        let stress = if case.number("stressed", 0) % 2 == 1 { " gc-stress=true" } else { "" };
        let engine = self.engines.of_row_with(case.number("subject", 0) as usize, stress)?;
        let mut chain = Chain::new(&engine, layers)?;
        let fitting = case.calls.iter().filter_map(|call| arguments(call, &layers[0].params));
        fitting.map(|args| chain.call(&args)).sum()
    }
}

fn layers_of(case: &Envelope) -> Option<Vec<Layer>> {
    chain::parse(case.get("layers")?)
}

/// The chain of a case that a script can say: its values are numbers.
fn numeric_layers(case: &Envelope) -> Option<Vec<Layer>> {
    let layers = layers_of(case)?;
    let has_references = |types: &[Type]| types.iter().any(|ty| ty.is_reference());
    let is_numeric =
        !layers.iter().any(|layer| has_references(&layer.params)) && !has_references(&result_types(&layers));
    is_numeric.then_some(layers)
}

/// The results of a case's calls.
pub(super) fn predicted(case: &Envelope) -> Option<Vec<Vec<Value>>> {
    let layers = numeric_layers(case)?;
    case.calls.iter().map(|call| Some(expected(&layers, &arguments(call, &layers[0].params)?))).collect()
}

/// The case from each layer on that the host calls, and as a whole, with direct calls for the host's; the shortest first.
pub(super) fn without_host(case: &Envelope) -> Vec<Envelope> {
    let Some(layers) = numeric_layers(case) else { return Vec::new() };
    let is_entered = |first: &usize| *first == 0 || layers[*first - 1].calls_host();
    (0..layers.len()).rev().filter(is_entered).filter_map(|first| from_layer(case, &layers, first)).collect()
}

fn from_layer(case: &Envelope, layers: &[Layer], first: usize) -> Option<Envelope> {
    let mut rest = layers[first..].to_vec();
    for layer in rest.iter_mut().filter(|layer| layer.calls_host()) {
        layer.kind = "call";
    }
    let mut lane = case.clone().set("layers", chain::print(&rest));
    lane.modules.first_mut()?.bytes = wat::parse_str(chain::text(&rest)).ok()?;
    for call in &mut lane.calls {
        let args = arguments(call, &layers[0].params)?;
        call.args = expected(&layers[..first], &args).into_iter().map(Argument::Value).collect();
    }
    Some(lane)
}

impl Target for CallsAbi {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let subject = source.below(CONFIGS.len());
        let lists = typed::lists();
        let layers = chain::choose(&mut source, &lists, &lists);
        let wasm = wat::parse_str(chain::text(&layers)).ok()?;
        let mut case = Envelope::new("calls_abi").set("subject", subject).set("layers", chain::print(&layers));
        case = case.set("stressed", u8::from(source.percent(15))).module("main", wasm);
        for _ in 0..source.between(1, 4) {
            let args = layers[0].params.iter().map(|ty| Argument::Value(ty.argument(&mut source)));
            case.calls.push(EnvelopeCall { module: 0, func: "f0".to_owned(), args: args.collect() });
        }
        Some(case)
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let Some(layers) = layers_of(case) else { return Outcome::default() };
        match self.check_calls(case, &layers) {
            Ok(checks) => Outcome { checks, useful: checks > 0, ..Outcome::default() },
            Err(what) => Outcome::failed("wattest", what),
        }
    }

    fn rebuilds(&self) -> bool {
        true
    }

    fn mutate(&mut self, case: &Envelope, source: &mut Source<'_>) -> Envelope {
        let mut near = mutate::mutate(case, source, self.rebuilds());
        // A layer that is gone or changed has neighbours that no longer fit.
        let layers = chain::repaired(near.get("layers").unwrap_or_default());
        let Some(outermost) = layers.first() else { return case.clone() };
        for call in &mut near.calls {
            let args = chain::fitted(&values(call).unwrap_or_default(), &outermost.params);
            call.args = args.into_iter().map(Argument::Value).collect();
        }
        near.set("layers", chain::print(&layers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{case_seed, expand};
    use chain::Pick;

    #[test]
    fn calls_end_in_every_configuration() {
        let mut target = CallsAbi::default();
        for seed in 0..3 {
            let case = target.generate(&expand(case_seed(5, seed))).expect("a case");
            for (number, row) in CONFIGS.iter().enumerate() {
                let outcome = target.run(&case.clone().set("subject", number));
                assert_eq!(outcome.disagreement, None, "{}", row.name);
                assert!(outcome.checks > 0);
            }
        }
    }

    /// What an operand adds to the machine code that passes a parameter on.
    fn cost(ty: Type, operand: &str) -> usize {
        let engine = wattest::Engine::default();
        let text = format!(
            "(module (memory (export \"m\") 1) (global $zero (export \"zero\") (mut i64) (i64.const 0))

               (func (export \"f\") (param {ty}) (result {ty}) {operand}))",
            ty = ty.word()
        );
        Module::new(&engine, text).expect("valid text").text_bytes()
    }

    #[test]
    fn garbage_is_not_optimized_away() {
        let folded = "(i32.wrap_i64 (i64.or (i64.extend_i32_u (local.get 0)) (i64.const 0x5a5a5a5a00000000)))";
        let plain = |ty| cost(ty, "(local.get 0)");
        assert_eq!(cost(Type::I32, folded), plain(Type::I32));
        let check = |ty: Type, position: usize| {
            let operand = chain::operand(&[ty], position, Pick::Param(0));
            assert!(cost(ty, &operand) > plain(ty), "{operand}");
        };
        check(Type::I32, 0);
        check(Type::I32, 1);
        check(Type::F32, 0);
        check(Type::F64, 0);
    }

    #[test]
    fn every_difference_is_seen() {
        // What the host gives back is not what the chain would.
        let check = |layers: &str, args: &[Value], wrong: &[Val], expected: &str| {
            let layers = chain::parse(layers).expect("a chain");
            let engine = wattest::Engine::default();
            let mut chain = Chain::new(&engine, &layers).expect("an instance");
            assert!(chain.call(args).expect("as predicted") > 0);
            let found = chain.compare("", args, wrong).expect_err("another result");
            assert!(found.contains(expected), "{found}");
        };
        let (one, two) = (Value::I32(1), Value::I32(2));
        check("call|i32,i32|p1,p0;call|i32,i32|p0,p1", &[one, two], &[Val::I32(2), Val::I32(2)], "result 1");
        check("twice|anyref|p0;call|anyref|p0", &[one], &[Val::Null(HeapType::Any)], "i32:0x80000000 seen");
        let func = Value::Func(FuncIdentity::Index(3));
        check("host_typed|funcref|p0;call|funcref|p0", &[func], &[Val::FuncRef(None)], "func:0x3 expected");
        check("host|externref|p0;call|externref|p0", &[Value::Extern(Some(7))], &[Val::ExternRef(None)], "extern:0x7");
        check("call|i32|p0;call|i32|p0", &[one], &[Val::F32(1)], "F32");
    }

    #[test]
    fn chains_go_every_way() {
        let (mut typed, mut references, mut stressed) = (0, 0, 0);
        for index in 0..60 {
            let case = CallsAbi::default().generate(&expand(case_seed(6, index))).expect("a case");
            let layers = layers_of(&case).expect("a chain");
            let results = result_types(&layers);
            let known = |types: &[Type]| typed::lists().contains(&types.to_vec());
            typed += u32::from(known(&layers[0].params) && known(&results));
            references += u32::from(numeric_layers(&case).is_none());
            stressed += u32::from(case.is("stressed", "1"));
        }
        assert!(typed >= 6 && references >= 12 && stressed >= 4, "{typed}, {references}, {stressed}");
    }
}
