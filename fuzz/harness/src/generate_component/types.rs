//! Random value types, their text, and their core value types.
//!
//! Every form of [value type](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions)
//! that crosses boundaries by copying, of bounded depth and size, with the sizes that compilers get wrong: one case and 257,
//! 8, 9, 17 and 32 flags, fewer and more than 16 core values.
//!
//! Invariant: a named type refers to named types before it only.
//!
//! Does not know: values, components.

use super::shape::{Shape, Shapes};
use crate::source::Source;

/// A core value type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
}

impl Core {
    /// The type of an address.
    pub fn pointer(wide: bool) -> Core {
        if wide { Core::I64 } else { Core::I32 }
    }

    /// Its name.
    pub fn text(self) -> &'static str {
        match self {
            Core::I32 => "i32",
            Core::I64 => "i64",
            Core::F32 => "f32",
            Core::F64 => "f64",
        }
    }
}

/// Primitive types: names and core types.
pub const PRIMITIVES: [(&str, Core); 12] = [
    ("bool", Core::I32),
    ("s8", Core::I32),
    ("u8", Core::I32),
    ("s16", Core::I32),
    ("u16", Core::I32),
    ("s32", Core::I32),
    ("u32", Core::I32),
    ("s64", Core::I64),
    ("u64", Core::I64),
    ("f32", Core::F32),
    ("f64", Core::F64),
    ("char", Core::I32),
];

/// A value type.
#[derive(Clone, Debug)]
pub enum Ty {
    /// A row of [`PRIMITIVES`].
    Primitive(usize),
    /// `string`.
    String,
    /// `(list T)`.
    List(Box<Ty>),
    /// `(list T N)`.
    FixedList(Box<Ty>, usize),
    /// `(map K V)`: the key by its row of [`PRIMITIVES`].
    Map(usize, Box<Ty>),
    /// `(tuple T…)`.
    Tuple(Vec<Ty>),
    /// `(option T)`.
    Option(Box<Ty>),
    /// `(result T (error E))`.
    Result(Option<Box<Ty>>, Option<Box<Ty>>),
    /// A named type of the world.
    Named(usize),
}

/// A type that has to have a name.
#[derive(Clone, Debug)]
pub enum Named {
    /// Fields.
    Record(Vec<Ty>),
    /// Payloads of the cases.
    Variant(Vec<Option<Ty>>),
    /// A number of labels.
    Enum(usize),
    /// A number of labels.
    Flags(usize),
}

/// More core values than this are passed in memory.
pub const FLAT_PARAMS_MAX: usize = 16;

/// Named types have no more core values, so that types of types stay small.
const FLAT_NAMED_MAX: usize = 24;

/// The named types of a world.
#[derive(Clone, Debug, Default)]
pub struct Types {
    /// In order of definition.
    pub named: Vec<Named>,
}

impl Types {
    /// Up to four of them.
    pub fn generate(source: &mut Source<'_>) -> Types {
        let mut types = Types::default();
        for _ in 0..source.below(5) {
            let named = match source.below(5) {
                0 | 1 => Named::Record(types.several(source, 1, 6)),
                2 => {
                    let cases = source.between(1, 5);
                    Named::Variant((0..cases).map(|_| source.percent(70).then(|| types.ty(source, 2))).collect())
                }
                3 => Named::Enum(source.pick(&[1, 2, 3, 255, 256, 257])),
                _ => Named::Flags(source.pick(&[1, 7, 8, 9, 16, 17, 31, 32])),
            };
            types.named.push(named);
            // What nests may grow by powers.
            if types.flat(&Ty::Named(types.named.len() - 1), false).len() > FLAT_NAMED_MAX {
                types.named.pop();
            }
        }
        types
    }

    fn several(&self, source: &mut Source<'_>, low: usize, high: usize) -> Vec<Ty> {
        (0..source.between(low, high)).map(|_| self.ty(source, 2)).collect()
    }

    /// A type of at most this depth.
    pub fn ty(&self, source: &mut Source<'_>, depth: usize) -> Ty {
        let deep = |source: &mut Source<'_>| Box::new(self.ty(source, depth - 1));
        match source.below(if depth == 0 { 5 } else { 12 }) {
            0..=2 => Ty::Primitive(source.below(PRIMITIVES.len())),
            3 => Ty::String,
            4 | 5 if !self.named.is_empty() => Ty::Named(source.below(self.named.len())),
            4 | 5 => Ty::Primitive(source.below(PRIMITIVES.len())),
            // Elements of their own copies: what is no `bool` becomes one.
            6 if source.percent(30) => Ty::List(Box::new(Ty::Primitive(0))),
            6 => Ty::List(deep(source)),
            7 if source.percent(50) => Ty::FixedList(deep(source), source.pick(&[1, 2, 3, 9])),
            // Floats are no keys.
            8 if source.percent(50) => Ty::Map(source.pick(&[0, 1, 2, 6, 8, 11]), deep(source)),
            7 | 8 => Ty::List(deep(source)),
            9 => Ty::Tuple((0..source.between(1, 4)).map(|_| self.ty(source, depth - 1)).collect()),
            10 => Ty::Option(deep(source)),
            _ => {
                let ok = source.percent(70).then(|| deep(source));
                Ty::Result(ok, source.percent(70).then(|| deep(source)))
            }
        }
    }

    /// How a type is written where named types are `$prefix0`, `$prefix1`, ….
    pub fn text(&self, ty: &Ty, prefix: &str) -> String {
        match ty {
            Ty::Primitive(row) => PRIMITIVES[*row].0.to_owned(),
            Ty::String => "string".to_owned(),
            Ty::List(element) => format!("(list {})", self.text(element, prefix)),
            Ty::FixedList(element, length) => format!("(list {} {length})", self.text(element, prefix)),
            Ty::Map(key, value) => format!("(map {} {})", PRIMITIVES[*key].0, self.text(value, prefix)),
            Ty::Tuple(types) => {
                let types: Vec<String> = types.iter().map(|ty| self.text(ty, prefix)).collect();
                format!("(tuple {})", types.join(" "))
            }
            Ty::Option(payload) => format!("(option {})", self.text(payload, prefix)),
            Ty::Result(ok, error) => {
                let ok = ok.as_ref().map_or(String::new(), |ty| format!(" {}", self.text(ty, prefix)));
                let error = error.as_ref().map_or(String::new(), |ty| format!(" (error {})", self.text(ty, prefix)));
                format!("(result{ok}{error})")
            }
            Ty::Named(at) => format!("${prefix}{at}"),
        }
    }

    /// How a named type is defined.
    pub fn definition(&self, named: &Named, prefix: &str) -> String {
        let mut text = String::new();
        match named {
            Named::Record(fields) => {
                for (at, ty) in fields.iter().enumerate() {
                    text.push_str(&format!(" (field \"f{at}\" {})", self.text(ty, prefix)));
                }
                format!("(record{text})")
            }
            Named::Variant(cases) => {
                for (at, ty) in cases.iter().enumerate() {
                    let payload = ty.as_ref().map_or(String::new(), |ty| format!(" {}", self.text(ty, prefix)));
                    text.push_str(&format!(" (case \"c{at}\"{payload})"));
                }
                format!("(variant{text})")
            }
            Named::Enum(labels) => format!("(enum{})", labels_text(*labels)),
            Named::Flags(labels) => format!("(flags{})", labels_text(*labels)),
        }
    }

    /// Core value types, with 64-bit addresses or with 32-bit ones.
    pub fn flat(&self, ty: &Ty, wide: bool) -> Vec<Core> {
        match ty {
            Ty::Primitive(row) => vec![PRIMITIVES[*row].1],
            Ty::String | Ty::List(_) | Ty::Map(..) => vec![Core::pointer(wide); 2],
            Ty::FixedList(element, length) => {
                let flat = self.flat(element, wide);
                (0..*length).flat_map(|_| flat.iter().copied()).collect()
            }
            Ty::Tuple(types) => types.iter().flat_map(|ty| self.flat(ty, wide)).collect(),
            Ty::Option(payload) => self.join([Some(&**payload)].into_iter(), wide),
            Ty::Result(ok, error) => self.join([ok.as_deref(), error.as_deref()].into_iter(), wide),
            Ty::Named(at) => match &self.named[*at] {
                Named::Record(fields) => fields.iter().flat_map(|ty| self.flat(ty, wide)).collect(),
                Named::Variant(cases) => self.join(cases.iter().map(Option::as_ref), wide),
                Named::Enum(_) | Named::Flags(_) => vec![Core::I32],
            },
        }
    }

    fn join<'t>(&self, payloads: impl Iterator<Item = Option<&'t Ty>>, wide: bool) -> Vec<Core> {
        let mut joined = vec![Core::I32];
        for ty in payloads.flatten() {
            for (at, core) in self.flat(ty, wide).into_iter().enumerate() {
                match joined.get_mut(at + 1) {
                    Some(slot) if *slot == core => {}
                    Some(slot) if matches!((*slot, core), (Core::I32 | Core::F32, Core::I32 | Core::F32)) => {
                        *slot = Core::I32;
                    }
                    Some(slot) => *slot = Core::I64,
                    None => joined.push(core),
                }
            }
        }
        joined
    }

    /// The core parameters of a function and whether they are behind a pointer.
    pub fn flat_params(&self, params: &[Ty], wide: bool) -> (Vec<Core>, bool) {
        let flat: Vec<Core> = params.iter().flat_map(|ty| self.flat(ty, wide)).collect();
        if flat.len() > FLAT_PARAMS_MAX { (vec![Core::pointer(wide)], true) } else { (flat, false) }
    }

    /// The core result of a function and whether it is behind a pointer.
    pub fn flat_result(&self, result: Option<&Ty>, wide: bool) -> (Option<Core>, bool) {
        let flat = result.map_or(Vec::new(), |ty| self.flat(ty, wide));
        match flat[..] {
            [] => (None, false),
            [core] => (Some(core), false),
            _ => (Some(Core::pointer(wide)), true),
        }
    }

    /// Whether lowering a value of the type calls `realloc`.
    pub fn allocates(&self, ty: &Ty) -> bool {
        match ty {
            Ty::Primitive(_) => false,
            Ty::String | Ty::List(_) | Ty::Map(..) => true,
            Ty::FixedList(ty, _) | Ty::Option(ty) => self.allocates(ty),
            Ty::Tuple(types) => types.iter().any(|ty| self.allocates(ty)),
            Ty::Result(ok, error) => [ok, error].into_iter().flatten().any(|ty| self.allocates(ty)),
            Ty::Named(at) => match &self.named[*at] {
                Named::Record(fields) => fields.iter().any(|ty| self.allocates(ty)),
                Named::Variant(cases) => cases.iter().flatten().any(|ty| self.allocates(ty)),
                Named::Enum(_) | Named::Flags(_) => false,
            },
        }
    }

    /// What is to be said of a type.
    pub fn shapes(&self, ty: &Ty, shapes: &mut Shapes) {
        let (shape, inner): (Option<Shape>, Vec<&Ty>) = match ty {
            Ty::Primitive(_) => (None, Vec::new()),
            Ty::String => (Some(Shape::Strings), Vec::new()),
            Ty::List(ty) => (Some(Shape::Lists), vec![ty]),
            Ty::FixedList(ty, _) => (Some(Shape::FixedLists), vec![ty]),
            Ty::Map(_, ty) => (Some(Shape::Maps), vec![ty]),
            Ty::Tuple(types) => (Some(Shape::Records), types.iter().collect()),
            Ty::Option(ty) => (Some(Shape::Variants), vec![ty]),
            Ty::Result(ok, error) => {
                (Some(Shape::Variants), [ok, error].into_iter().flatten().map(|ty| &**ty).collect())
            }
            Ty::Named(at) => match &self.named[*at] {
                Named::Record(fields) => (Some(Shape::Records), fields.iter().collect()),
                Named::Variant(cases) => (Some(Shape::Variants), cases.iter().flatten().collect()),
                Named::Enum(_) => (Some(Shape::Enums), Vec::new()),
                Named::Flags(_) => (Some(Shape::FlagSets), Vec::new()),
            },
        };
        shapes.0.extend(shape);
        inner.into_iter().for_each(|ty| self.shapes(ty, shapes));
    }
}

fn labels_text(count: usize) -> String {
    (0..count).map(|at| format!(" \"l{at}\"")).collect()
}
