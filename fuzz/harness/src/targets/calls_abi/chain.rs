//! Chains of functions: what they are, their text as a module, as settings, and what they return.
//!
//! Between the layers, values are cut out of wider ones, so that the upper parts of registers and slots hold garbage that
//! no simplification sees through: i32 out of i64 that were rotated by a global's value or read from memory together with
//! what lies behind, floats out of lanes of vectors.
//!
//! Invariant: a layer's results are a selection of its parameters and constants, nothing else.
//!
//! Does not know: the runtime.

use crate::corpus;
use crate::envelope::{parse_value, print_value};
use crate::source::Source;
use std::fmt::Write;
use wattest_differential::{FuncIdentity, Value, ValueType};

/// Parameters and results of a function.
pub(super) const WIDTH_MAX: usize = 40;

/// Layers of a chain.
const LAYERS_MAX: usize = 12;

/// Functions that references may be to, exported as `c0` and so on.
pub(super) const CALLEES: u32 = 4;

/// The payload of a null among values of [`Type::Any`]: integers have 31 bits.
pub(super) const NULL: u32 = 1 << 31;

/// A type of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    I32,
    I64,
    F32,
    F64,
    V128,
    Func,
    Extern,
    /// Holds integers of 31 bits; cases write them as i32.
    Any,
}

/// Every type with its word and the type of its values in cases.
const TYPES: [(Type, &str, ValueType); 8] = [
    (Type::I32, "i32", ValueType::I32),
    (Type::I64, "i64", ValueType::I64),
    (Type::F32, "f32", ValueType::F32),
    (Type::F64, "f64", ValueType::F64),
    (Type::V128, "v128", ValueType::V128),
    (Type::Func, "funcref", ValueType::FuncRef),
    (Type::Extern, "externref", ValueType::ExternRef),
    (Type::Any, "anyref", ValueType::I32),
];

impl Type {
    pub fn word(self) -> &'static str {
        TYPES[self as usize].1
    }

    /// The type of its values in cases.
    pub fn carrier(self) -> ValueType {
        TYPES[self as usize].2
    }

    pub fn is_reference(self) -> bool {
        matches!(self, Type::Func | Type::Extern | Type::Any)
    }

    /// The value of the type that a case means by one of its carrier.
    pub fn normal(self, value: Value) -> Value {
        match (self, value) {
            (Type::Any, Value::I32(bits)) => Value::I32(if bits & NULL != 0 { NULL } else { bits }),
            (_, Value::Func(FuncIdentity::Index(index))) => Value::Func(FuncIdentity::Index(index % CALLEES)),
            (_, Value::Func(FuncIdentity::Unknown)) => Value::Func(FuncIdentity::Null),
            (_, value) => value,
        }
    }

    /// An argument of the type.
    pub fn argument(self, source: &mut Source<'_>) -> Value {
        let all: Vec<u32> = (0..CALLEES).collect();
        self.normal(corpus::argument(source, self.carrier(), &all))
    }

    /// Its zero or null.
    fn zero(self) -> Value {
        match self {
            Type::Any => Value::I32(NULL),
            other => Value::default_of(other.carrier()),
        }
    }
}

/// How a layer calls the next one. What begins with `host` goes through the host, `host_typed` by functions typed when they
/// were compiled, where the next layer's type is one of those.
pub(super) const KINDS: [&str; 9] = [
    "call",
    "call_indirect",
    "call_ref",
    "return_call",
    "return_call_indirect",
    "return_call_ref",
    "host",
    "twice",
    "host_typed",
];

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pick {
    Param(usize),
    Constant(Type, Value),
}

/// A function of the chain. The innermost has no callee: its results are picked from its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    pub params: Vec<Type>,
    /// What it passes on; for the innermost, its results.
    pub picks: Vec<Pick>,
    pub kind: &'static str,
}

impl Layer {
    pub fn calls_host(&self) -> bool {
        self.kind.starts_with("host")
    }

    fn passes(&self) -> Vec<Type> {
        self.picks.iter().map(|pick| type_of(&self.params, *pick)).collect()
    }
}

/// A chain; functions have one of these lists of parameters or results now and then.
pub(super) fn choose(source: &mut Source<'_>, params: &[Vec<Type>], results: &[Vec<Type>]) -> Vec<Layer> {
    let is_typed = source.percent(45);
    let has_references = source.percent(60);
    let width =
        |source: &mut Source<'_>| if source.percent(40) { source.below(6) } else { source.below(WIDTH_MAX + 1) };
    let any = |source: &mut Source<'_>| -> Vec<Type> {
        let count = if has_references { TYPES.len() } else { 5 };
        (0..width(source)).map(|_| TYPES[source.below(count)].0).collect()
    };
    let known = |source: &mut Source<'_>, lists: &[Vec<Type>]| lists[source.below(lists.len())].clone();
    let types = |source: &mut Source<'_>| {
        if is_typed && source.percent(60) { known(source, params) } else { any(source) }
    };
    let mut own = types(source);
    let mut layers = Vec::new();
    let count = source.between(1, 5);
    for number in 0..count {
        let is_last = number + 1 == count;
        let next = if is_last && is_typed { known(source, results) } else { types(source) };
        let picks = next.iter().map(|ty| pick(source, &own, *ty)).collect();
        let kind = match number {
            0 if source.percent(30) => {
                if is_typed {
                    "host_typed"
                } else {
                    "host"
                }
            }
            _ => source.pick(&KINDS),
        };
        layers.push(Layer { params: own, picks, kind });
        own = next;
    }
    layers
}

fn pick(source: &mut Source<'_>, params: &[Type], ty: Type) -> Pick {
    let alike: Vec<usize> = (0..params.len()).filter(|index| params[*index] == ty).collect();
    if alike.is_empty() || source.percent(15) {
        return Pick::Constant(ty, constant_of(ty, ty.argument(source)));
    }
    Pick::Param(alike[source.below(alike.len())])
}

/// The value as a constant: of external references there is only null.
fn constant_of(ty: Type, value: Value) -> Value {
    if ty == Type::Extern { Value::Extern(None) } else { ty.normal(value) }
}

pub(super) fn list(types: &[Type]) -> String {
    types.iter().map(|ty| ty.word()).collect::<Vec<_>>().join(" ")
}

fn constant(ty: Type, value: Value) -> String {
    match (ty, value) {
        (Type::Any, Value::I32(NULL)) => "(ref.null any)".to_owned(),
        (Type::Any, Value::I32(bits)) => format!("(ref.i31 (i32.const {bits}))"),
        (_, Value::I32(bits)) => format!("(i32.const {bits:#x})"),
        (_, Value::I64(bits)) => format!("(i64.const {bits:#x})"),
        (_, Value::F32(bits)) => format!("(f32.reinterpret_i32 (i32.const {bits:#x}))"),
        (_, Value::F64(bits)) => format!("(f64.reinterpret_i64 (i64.const {bits:#x}))"),
        (_, Value::V128(bits)) => format!("(v128.const i64x2 {:#x} {:#x})", bits as u64, (bits >> 64) as u64),
        (_, Value::Func(FuncIdentity::Index(index))) => format!("(ref.func $c{index})"),
        (_, Value::Func(_)) => "(ref.null func)".to_owned(),
        (_, Value::Extern(_)) => "(ref.null extern)".to_owned(),
    }
}

/// The upper half of the registers that hold an i32.
const GARBAGE: &str = "0x5a5a5a5a00000000";

/// A pick as it is passed on, as the `position`-th value: parameters out of something wider.
pub(super) fn operand(params: &[Type], position: usize, pick: Pick) -> String {
    let index = match pick {
        Pick::Constant(ty, value) => return constant(ty, value),
        Pick::Param(index) => index,
    };
    let value = format!("(local.get {index})");
    let at = position % 16 * 8;
    let vector = |shape: &str| {
        format!(
            "({shape}.extract_lane 0 ({shape}.replace_lane 0 \
             (v128.load (i32.const 256)) {value}))"
        )
    };
    match (params[index], position % 3) {
        (Type::I32, 0) => format!(
            "(i32.wrap_i64 (i64.rotl (i64.or (i64.extend_i32_u {value}) (i64.const {GARBAGE})) (global.get $zero)))"
        ),
        (Type::I32, 1) => format!(
            "(i32.store (i32.const {at}) {value}) (i32.store (i32.const {}) (i32.const 0x5a5a5a5a)) \
             (i32.wrap_i64 (i64.load (i32.const {at})))",
            at + 4
        ),
        (Type::F32, 0) => vector("f32x4"),
        (Type::F64, 0) => vector("f64x2"),
        _ => value,
    }
}

/// The results that the chain has: the types of the innermost picks.
pub(super) fn result_types(layers: &[Layer]) -> Vec<Type> {
    layers.last().map(Layer::passes).unwrap_or_default()
}

fn type_of(params: &[Type], pick: Pick) -> Type {
    match pick {
        Pick::Param(index) => params[index],
        Pick::Constant(ty, _) => ty,
    }
}

/// The module: function `f0` is the outermost; host layers are imports that call the next function back.
pub(super) fn text(layers: &[Layer]) -> String {
    let results = result_types(layers);
    let mut text = "(module\n".to_owned();
    // Writing to a string does not fail.
    for (number, layer) in layers.iter().enumerate() {
        let _ = writeln!(text, "(type $t{number} (func (param {}) (result {})))", list(&layer.params), list(&results));
    }
    for number in 1..layers.len() {
        if layers[number - 1].calls_host() {
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
    // Whoever may write to these is not known: what they hold cannot be.
    let _ = writeln!(text, "(memory (export \"memory\") 1) (data (i32.const 256) \"garbage in upper lanes\")");
    let _ = writeln!(text, "(global $zero (export \"zero\") (mut i64) (i64.const 0))");
    for callee in 0..CALLEES {
        let _ = writeln!(text, "(func $c{callee} (export \"c{callee}\") (result i32) (i32.const {callee}))");
    }
    for number in 0..count {
        let _ = writeln!(text, "(func $f{number} (export \"f{number}\") (type $t{number}) {})", body(layers, number));
    }
    text.push(')');
    text
}

fn body(layers: &[Layer], number: usize) -> String {
    let layer = &layers[number];
    let picks = layer.picks.iter().enumerate();
    let operands: Vec<String> = picks.map(|(position, pick)| operand(&layer.params, position, *pick)).collect();
    let operands = operands.join(" ");
    let next = number + 1;
    let table = if number.is_multiple_of(2) { "$table" } else { "$other" };
    match layer.kind {
        _ if next == layers.len() => operands,
        "call" => format!("{operands} (call $f{next})"),
        "twice" => twice(&format!("{operands} (call $f{next})"), &result_types(layers), number),
        "host" | "host_typed" => format!("{operands} (call $h{next})"),
        "return_call" => format!("{operands} (return_call $f{next})"),
        "call_ref" | "return_call_ref" => format!("{operands} (ref.func $f{next}) ({} $t{next})", layer.kind),
        kind => format!("{operands} (i32.const {next}) ({kind} {table} (type $t{next}))"),
    }
}

/// Calls twice, and compares all results that can be; the others are one call's or the other's.
fn twice(call: &str, results: &[Type], number: usize) -> String {
    let count = results.len();
    let locals = |name: &str| -> String {
        results.iter().enumerate().map(|(index, ty)| format!("(local ${name}{index} {}) ", ty.word())).collect()
    };
    let kept =
        |name: &str| -> String { (0..count).rev().map(|index| format!("(local.set ${name}{index}) ")).collect() };
    let mut text = format!("{}{}{call} {}{call} {}", locals("a"), locals("b"), kept("a"), kept("b"));
    for (index, ty) in results.iter().enumerate() {
        let (a, b) = (format!("(local.get $a{index})"), format!("(local.get $b{index})"));
        let differ = match ty {
            Type::I32 => format!("(i32.ne {a} {b})"),
            Type::I64 => format!("(i64.ne {a} {b})"),
            Type::F32 => format!("(i32.ne (i32.reinterpret_f32 {a}) (i32.reinterpret_f32 {b}))"),
            Type::F64 => format!("(i64.ne (i64.reinterpret_f64 {a}) (i64.reinterpret_f64 {b}))"),
            Type::V128 => format!("(v128.any_true (v128.xor {a} {b}))"),
            Type::Any => format!("(i32.eqz (ref.eq (ref.cast eqref {a}) (ref.cast eqref {b})))"),
            Type::Func | Type::Extern => continue,
        };
        let _ = write!(text, "(if {differ} (then (unreachable))) ");
    }
    let name = |index: usize| if (index + number).is_multiple_of(2) { "a" } else { "b" };
    text + &(0..count).map(|index| format!("(local.get ${}{index}) ", name(index))).collect::<String>()
}

/// What the chain returns for these arguments.
pub(super) fn expected(layers: &[Layer], args: &[Value]) -> Vec<Value> {
    let mut values = args.to_vec();
    for layer in layers {
        let value = |pick: &Pick| match *pick {
            Pick::Param(index) => values[index],
            Pick::Constant(_, value) => value,
        };
        values = layer.picks.iter().map(value).collect();
    }
    values
}

fn print_layer(layer: &Layer) -> String {
    let pick = |pick: &Pick| match pick {
        Pick::Param(index) => format!("p{index}"),
        Pick::Constant(Type::Any, value) => format!("a{}", print_value(value)),
        Pick::Constant(_, value) => format!("c{}", print_value(value)),
    };
    let picks: Vec<String> = layer.picks.iter().map(pick).collect();
    let params = list(&layer.params).replace(' ', ",");
    format!("{}|{params}|{}", layer.kind, picks.join(","))
}

/// A chain as a setting.
pub(super) fn print(layers: &[Layer]) -> String {
    layers.iter().map(print_layer).collect::<Vec<_>>().join(";")
}

fn parse_layer(text: &str) -> Option<Layer> {
    let words = |text: &str| text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let mut parts = text.split('|');
    let kind = parts.next()?;
    let kind = KINDS.into_iter().find(|known| *known == kind)?;
    let ty = |word: &String| TYPES.into_iter().find(|(_, known, _)| known == word).map(|(ty, ..)| ty);
    let params = words(parts.next()?).iter().map(ty).collect::<Option<Vec<_>>>()?;
    let constant = |ty: Type, text: &str| {
        let value = parse_value(text).filter(|value| value.ty() == ty.carrier())?;
        Some(Pick::Constant(ty, constant_of(ty, value)))
    };
    let pick = |word: &String| match word.split_at_checked(1)? {
        ("p", index) => index.parse().ok().filter(|index| *index < params.len()).map(Pick::Param),
        ("a", value) => constant(Type::Any, value),
        (_, value) => {
            let ty = parse_value(value)?.ty();
            constant(TYPES.into_iter().find(|(_, _, carrier)| *carrier == ty)?.0, value)
        }
    };
    let picks = words(parts.next()?).iter().map(pick).collect::<Option<Vec<_>>>()?;
    (params.len() <= WIDTH_MAX && picks.len() <= WIDTH_MAX).then_some(Layer { params, picks, kind })
}

/// Reads what [`print`] wrote, and what was made of it as long as each layer passes on what the next one takes.
pub(super) fn parse(text: &str) -> Option<Vec<Layer>> {
    let layers = text.split(';').map(parse_layer).collect::<Option<Vec<_>>>()?;
    let fits = layers.windows(2).all(|pair| pair[0].passes() == pair[1].params);
    (fits && !layers.is_empty() && layers.len() <= LAYERS_MAX).then_some(layers)
}

/// The chain of the layers that can be read, each made to pass on what the next one takes.
pub(super) fn repaired(text: &str) -> Vec<Layer> {
    let mut layers: Vec<Layer> = text.split(';').filter_map(parse_layer).take(LAYERS_MAX).collect();
    for number in 1..layers.len() {
        let wanted = layers[number].params.clone();
        let layer = &mut layers[number - 1];
        let passed = |(position, ty): (usize, Type)| {
            let own = layer.picks.get(position).copied().filter(|pick| type_of(&layer.params, *pick) == ty);
            let alike = || layer.params.iter().rposition(|param| *param == ty).map(Pick::Param);
            own.or_else(alike).unwrap_or(Pick::Constant(ty, ty.zero()))
        };
        layer.picks = wanted.into_iter().enumerate().map(passed).collect();
    }
    layers
}

/// Arguments made to be of these types: those that are stay.
pub(super) fn fitted(args: &[Value], params: &[Type]) -> Vec<Value> {
    let fit = |(position, ty): (usize, &Type)| {
        args.get(position).copied().filter(|value| value.ty() == ty.carrier()).unwrap_or(ty.zero())
    };
    params.iter().enumerate().map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_types_is_in_order() {
        for (position, (ty, word, _)) in TYPES.into_iter().enumerate() {
            assert_eq!((ty as usize, ty.word()), (position, word));
        }
    }

    #[test]
    fn chains_are_repaired() {
        let check = |text: &str, expected: &str| {
            let layers = repaired(text);
            assert_eq!(print(&layers), expected, "{text}");
            assert_eq!(parse(&print(&layers)).as_ref(), Some(&layers), "{text}");
        };
        check("call|i32,i64|p1,p0;host|i64,i32|p0", "call|i32,i64|p1,p0;host|i64,i32|p0");
        check("call|i32,i64|p1;host|i64,i32|p0", "call|i32,i64|p1,p0;host|i64,i32|p0");
        check("call|i32|p0;nonsense;twice|anyref,f32|p0", "call|i32|ai32:0x80000000,cf32:0x0;twice|anyref,f32|p0");
        check("call|funcref|p0;twice|funcref|p0;call|externref|p0", {
            "call|funcref|p0;twice|funcref|cextern:null;call|externref|p0"
        });
    }
}
