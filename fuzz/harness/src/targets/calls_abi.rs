//! `calls_abi`: many parameters and results of every type, through every kind of call.
//!
//! A chain of functions passes its parameters on, each layer in another order and with constants mixed in: by direct call,
//! by table, by reference, by tail call, through the host and back in. The outermost function is called by the host, typed
//! at run time. What must come out is the composition of the layers' selections, computed here. Between the layers, i32
//! values are cut out of i64 ones, so that the upper halves of registers and slots hold garbage; some layers call twice and
//! compare, so that what must survive a call is seen to.
//!
//! Invariant: a layer's results are a selection of its parameters and constants, nothing else.
//!
//! Does not know: registers.

use super::subject::{Engines, endless_row};
use super::{Outcome, Target};
use crate::corpus;
use crate::envelope::{Argument, Envelope, EnvelopeCall, print_value};
use crate::generate::val_type;
use crate::source::Source;
use std::fmt::Write;
use wattest::{Extern, Func, FuncType, Instance, Module, Store, Val, ValType};
use wattest_differential::{Value, ValueType};

/// Parameters and results of a function.
const WIDTH_MAX: usize = 40;

/// Types of parameters.
const TYPES: [ValueType; 5] = [ValueType::I32, ValueType::I64, ValueType::F32, ValueType::F64, ValueType::V128];

/// How a layer calls the next one.
const KINDS: [&str; 8] =
    ["call", "call_indirect", "call_ref", "return_call", "return_call_indirect", "return_call_ref", "host", "twice"];

/// Where a value comes from.
#[derive(Clone, Copy, Debug)]
enum Pick {
    Param(usize),
    Constant(Value),
}

/// A function of the chain. The innermost has no callee: its results are picked from its parameters.
#[derive(Clone, Debug)]
struct Layer {
    params: Vec<ValueType>,
    /// What it passes on; for the innermost, its results.
    picks: Vec<Pick>,
    kind: &'static str,
}

fn choose(source: &mut Source<'_>) -> Vec<Layer> {
    let width =
        |source: &mut Source<'_>| if source.percent(40) { source.below(6) } else { source.below(WIDTH_MAX + 1) };
    let types = |source: &mut Source<'_>| (0..width(source)).map(|_| source.pick(&TYPES)).collect::<Vec<_>>();
    let mut params = types(source);
    let mut layers = Vec::new();
    for number in 0..source.between(1, 5) {
        let next = types(source);
        let picks = next.iter().map(|ty| pick(source, &params, *ty)).collect();
        let kind = if number == 0 && source.percent(30) { "host" } else { source.pick(&KINDS) };
        layers.push(Layer { params, picks, kind });
        params = next;
    }
    layers
}

fn pick(source: &mut Source<'_>, params: &[ValueType], ty: ValueType) -> Pick {
    let alike: Vec<usize> = (0..params.len()).filter(|index| params[*index] == ty).collect();
    if alike.is_empty() || source.percent(15) {
        return Pick::Constant(corpus::argument(source, ty, &[]));
    }
    Pick::Param(alike[source.below(alike.len())])
}

fn list(types: &[ValueType]) -> String {
    let word = |ty: &ValueType| match ty {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
        ValueType::F32 => "f32",
        ValueType::F64 => "f64",
        _ => "v128",
    };
    types.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn constant(value: Value) -> String {
    match value {
        Value::I32(bits) => format!("(i32.const {bits:#x})"),
        Value::I64(bits) => format!("(i64.const {bits:#x})"),
        Value::F32(bits) => format!("(f32.reinterpret_i32 (i32.const {bits:#x}))"),
        Value::F64(bits) => format!("(f64.reinterpret_i64 (i64.const {bits:#x}))"),
        Value::V128(bits) => format!("(v128.const i64x2 {:#x} {:#x})", bits as u64, (bits >> 64) as u64),
        _ => String::new(),
    }
}

/// A parameter as it is passed on: i32 ones through an i64 whose upper half is garbage.
fn operand(params: &[ValueType], pick: Pick) -> String {
    match pick {
        Pick::Param(index) if params[index] == ValueType::I32 => {
            format!("(i32.wrap_i64 (i64.or (i64.extend_i32_u (local.get {index})) (i64.const 0x5a5a5a5a00000000)))")
        }
        Pick::Param(index) => format!("(local.get {index})"),
        Pick::Constant(value) => constant(value),
    }
}

/// The results that the chain has: the types of the innermost picks.
fn result_types(layers: &[Layer]) -> Vec<ValueType> {
    let Some(last) = layers.last() else { return Vec::new() };
    last.picks.iter().map(|pick| type_of(&last.params, *pick)).collect()
}

fn type_of(params: &[ValueType], pick: Pick) -> ValueType {
    match pick {
        Pick::Param(index) => params[index],
        Pick::Constant(value) => value.ty(),
    }
}

/// The module: function `f0` is the outermost; host layers are imports that call the next function back.
fn text(layers: &[Layer]) -> String {
    let results = list(&result_types(layers));
    let ty = |layer: &Layer| format!("(func (param {}) (result {results}))", list(&layer.params));
    let mut text = "(module\n".to_owned();
    // Writing to a string does not fail.
    for (number, layer) in layers.iter().enumerate() {
        let _ = writeln!(text, "(type $t{number} {})", ty(layer));
    }
    for number in 1..layers.len() {
        if layers[number - 1].kind == "host" {
            let _ = writeln!(text, "(import \"host\" \"{number}\" (func $h{number} (type $t{number})))");
        }
    }
    let count = layers.len();
    let names: String = (0..count).map(|number| format!(" $f{number}")).collect();
    let _ = writeln!(text, "(table $table {count} funcref) (elem (table $table) (i32.const 0) func{names})");
    // A table that may change is called in another way than one that may not.
    let _ = writeln!(text, "(table $other {count} funcref) (elem (table $other) (i32.const 0) func{names})");
    let _ =
        writeln!(text, "(func (export \"set\") (param i32 funcref) (table.set $other (local.get 0) (local.get 1)))");
    for (number, layer) in layers.iter().enumerate() {
        let operands: Vec<String> = layer.picks.iter().map(|pick| operand(&layer.params, *pick)).collect();
        let operands = operands.join(" ");
        let next = number + 1;
        let table = if number % 2 == 0 { "$table" } else { "$other" };
        let body = match layer.kind {
            _ if next == count => operands,
            "call" => format!("{operands} (call $f{next})"),
            "twice" => {
                let drops = "drop ".repeat(result_types(layers).len());
                format!("{operands} (call $f{next}) {drops} {operands} (call $f{next})")
            }
            "host" => format!("{operands} (call $h{next})"),
            "return_call" => format!("{operands} (return_call $f{next})"),
            "call_ref" | "return_call_ref" => format!("{operands} (ref.func $f{next}) ({} $t{next})", layer.kind),
            kind => format!("{operands} (i32.const {next}) ({kind} {table} (type $t{next}))"),
        };
        let _ = writeln!(text, "(func $f{number} (export \"f{number}\") (type $t{number}) {body})");
    }
    text.push(')');
    text
}

/// What the chain returns for these arguments.
fn expected(layers: &[Layer], args: &[Value]) -> Vec<Value> {
    let mut values = args.to_vec();
    for layer in layers {
        let value = |pick: &Pick| match *pick {
            Pick::Param(index) => values[index],
            Pick::Constant(value) => value,
        };
        values = layer.picks.iter().map(value).collect();
    }
    values
}

/// The target.
#[derive(Default)]
pub(super) struct CallsAbi {
    engines: Engines,
}

fn own_type(ty: ValueType) -> ValType {
    match ty {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
        ValueType::F32 => ValType::F32,
        ValueType::F64 => ValType::F64,
        _ => ValType::V128,
    }
}

fn own(value: Value) -> Val {
    match value {
        Value::I32(bits) => Val::I32(bits as i32),
        Value::I64(bits) => Val::I64(bits as i64),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::V128(bits) => Val::V128(bits),
        _ => Val::I32(0),
    }
}

fn neutral(value: &Val) -> Option<Value> {
    Some(match value {
        Val::I32(value) => Value::I32(*value as u32),
        Val::I64(value) => Value::I64(*value as u64),
        Val::F32(bits) => Value::F32(*bits),
        Val::F64(bits) => Value::F64(*bits),
        Val::V128(bits) => Value::V128(*bits),
        _ => return None,
    })
}

impl CallsAbi {
    fn call(&mut self, case: &Envelope, layers: &[Layer]) -> Result<u64, String> {
        let text_of = |error: &dyn std::fmt::Display| error.to_string();
        let (engine, _) = self.engines.of_row(case.number("subject", 0) as usize)?;
        let wasm = wat::parse_str(text(layers)).map_err(|error| text_of(&error))?;
        let module = Module::from_binary(&engine, &wasm).map_err(|error| text_of(&error))?;
        let mut store = Store::new(&engine, ());
        // A fuzzer chooses any configuration, and no call here needs more. Engines that count no fuel want none.
        store.set_epoch_deadline(1 << 40);
        let _ = store.set_fuel(1 << 40);
        let results: Vec<ValType> = result_types(layers).into_iter().map(own_type).collect();
        let mut imports = Vec::new();
        for number in 1..layers.len() {
            if layers[number - 1].kind == "host" {
                let params: Vec<ValType> = layers[number].params.iter().map(|ty| own_type(*ty)).collect();
                let ty = FuncType::new(params, results.clone());
                let func = Func::new(&mut store, ty, move |mut caller, args, results| {
                    let next = caller.get_export(&format!("f{number}")).and_then(Extern::into_func);
                    let next = next.ok_or_else(|| wattest::Error::msg("the next layer is not exported"))?;
                    next.call(&mut caller, args, results)
                });
                imports.push(Extern::Func(func));
            }
        }
        let instance = Instance::new(&mut store, &module, &imports).map_err(|error| text_of(&error))?;
        let func = instance.get_func(&store, "f0").ok_or("no export f0")?;
        let mut checks = 0;
        for call in &case.calls {
            let value = |argument: &Argument| if let Argument::Value(value) = argument { Some(*value) } else { None };
            let args: Vec<Value> = call.args.iter().filter_map(value).collect();
            if !args.iter().map(Value::ty).eq(layers[0].params.iter().copied()) {
                continue;
            }
            let own_args: Vec<Val> = args.iter().map(|value| own(*value)).collect();
            let mut out = vec![Val::I32(0); results.len()];
            func.call(&mut store, &own_args, &mut out).map_err(|error| text_of(&error))?;
            let seen: Option<Vec<Value>> = out.iter().map(neutral).collect();
            let seen = seen.ok_or("a result of another type")?;
            let wanted = expected(layers, &args);
            if let Some(at) = (0..wanted.len()).find(|at| wanted[*at] != seen[*at]) {
                let (wanted, seen) = (print_value(&wanted[at]), print_value(&seen[at]));
                return Err(format!("result {at} of {}: {wanted} expected, {seen} seen", results.len()));
            }
            checks += wanted.len() as u64 + 1;
        }
        Ok(checks)
    }
}

fn print_layer(layer: &Layer) -> String {
    let pick = |pick: &Pick| match pick {
        Pick::Param(index) => format!("p{index}"),
        Pick::Constant(value) => format!("c{}", print_value(value)),
    };
    let picks: Vec<String> = layer.picks.iter().map(pick).collect();
    let params = list(&layer.params).replace(' ', ",");
    format!("{}|{params}|{}", layer.kind, picks.join(","))
}

fn parse_layer(text: &str) -> Option<Layer> {
    let words = |text: &str| text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let mut parts = text.split('|');
    let kind = parts.next()?;
    let kind = KINDS.into_iter().find(|known| *known == kind)?;
    let ty = |word: &String| TYPES.into_iter().find(|ty| list(&[*ty]) == *word);
    let params = words(parts.next()?).iter().map(ty).collect::<Option<Vec<_>>>()?;
    let pick = |word: &String| match word.split_at_checked(1)? {
        ("p", index) => index.parse().ok().filter(|index| *index < params.len()).map(Pick::Param),
        (_, value) => crate::envelope::parse_value(value).map(Pick::Constant),
    };
    let picks = words(parts.next()?).iter().map(pick).collect::<Option<Vec<_>>>()?;
    Some(Layer { params, picks, kind })
}

fn layers_of(case: &Envelope) -> Option<Vec<Layer>> {
    let layers = case.get("layers")?.split(';').map(parse_layer).collect::<Option<Vec<_>>>()?;
    let fits = layers.windows(2).all(|pair| {
        let passed = pair[0].picks.iter().map(|pick| type_of(&pair[0].params, *pick));
        passed.eq(pair[1].params.iter().copied())
    });
    (fits && !layers.is_empty()).then_some(layers)
}

/// The results of a case's calls.
pub(super) fn predicted(case: &Envelope) -> Option<Vec<Vec<Value>>> {
    let layers = layers_of(case)?;
    let value = |argument: &Argument| if let Argument::Value(value) = argument { Some(*value) } else { None };
    let results = case.calls.iter().map(|call| {
        let args = call.args.iter().map(value).collect::<Option<Vec<_>>>()?;
        args.iter().map(Value::ty).eq(layers[0].params.iter().copied()).then(|| expected(&layers, &args))
    });
    results.collect()
}

/// The case from each layer on that the host calls, and as a whole, with direct calls for the host's; the shortest first.
pub(super) fn without_host(case: &Envelope) -> Vec<Envelope> {
    let Some(layers) = layers_of(case) else { return Vec::new() };
    let is_entered = |first: &usize| *first == 0 || layers[*first - 1].kind == "host";
    (0..layers.len()).rev().filter(is_entered).filter_map(|first| from_layer(case, &layers, first)).collect()
}

fn from_layer(case: &Envelope, layers: &[Layer], first: usize) -> Option<Envelope> {
    let mut rest = layers[first..].to_vec();
    for layer in rest.iter_mut().filter(|layer| layer.kind == "host") {
        layer.kind = "call";
    }
    let written: Vec<String> = rest.iter().map(print_layer).collect();
    let mut lane = case.clone().set("layers", written.join(";"));
    lane.modules[0].bytes = wat::parse_str(text(&rest)).ok()?;
    for call in &mut lane.calls {
        let value = |argument: &Argument| if let Argument::Value(value) = argument { Some(*value) } else { None };
        let args: Vec<Value> = call.args.iter().map(value).collect::<Option<_>>()?;
        if !args.iter().map(Value::ty).eq(layers[0].params.iter().copied()) {
            return None;
        }
        call.args = expected(&layers[..first], &args).into_iter().map(Argument::Value).collect();
    }
    Some(lane)
}

impl Target for CallsAbi {
    fn generate(&mut self, bytes: &[u8]) -> Option<Envelope> {
        let mut source = Source::new(bytes);
        let subject = endless_row(&mut source);
        let layers = choose(&mut source);
        let written: Vec<String> = layers.iter().map(print_layer).collect();
        let wasm = wat::parse_str(text(&layers)).ok()?;
        let mut case = Envelope::new("calls_abi").set("subject", subject).set("layers", written.join(";"));
        case = case.module("main", wasm);
        for _ in 0..source.between(1, 4) {
            let args = layers[0].params.iter().map(|ty| Argument::Value(corpus::argument(&mut source, *ty, &[])));
            case.calls.push(EnvelopeCall { module: 0, func: "f0".to_owned(), args: args.collect() });
        }
        // The types must be those of the encoder too: a new one would be passed as a vector.
        debug_assert!(TYPES.iter().all(|ty| list(&[*ty]) == format!("{:?}", val_type(*ty)).to_lowercase()));
        Some(case)
    }

    fn run(&mut self, case: &Envelope) -> Outcome {
        let Some(layers) = layers_of(case) else { return Outcome::default() };
        match self.call(case, &layers) {
            Ok(checks) => Outcome { checks, useful: true, ..Outcome::default() },
            Err(what) => Outcome::failed("wattest", what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{case_seed, expand};
    use wattest_differential::CONFIGS;

    #[test]
    fn calls_end_in_every_configuration() {
        let mut target = CallsAbi::default();
        let case = target.generate(&expand(case_seed(5, 0))).expect("a case");
        for (number, row) in CONFIGS.iter().enumerate() {
            let outcome = target.run(&case.clone().set("subject", number));
            assert_eq!(outcome.disagreement, None, "{}", row.name);
        }
    }
}
