//! Components in a chain: each imports the functions of the one before and exports them again.
//!
//! The first one implements them. What a layer does with a call varies: a core module passes it on, a lowered function is
//! lifted again, an export is exported again; with its own encoding, allocator and post-return functions. So every value
//! crosses every pair of encodings and every pair of locations, and every shape of option of a canonical definition.
//!
//! Invariant: the text is a valid component.
//!
//! Does not know: values.

use super::libc::{self, Allocator, DATA, DATA_BYTES, RESULT};
use super::types::{Core, Ty, Types};
use crate::source::{Source, expand};
use std::fmt::Write;

/// What the first layer does in a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// Returns its only argument, which is one core value or in memory.
    Echo,
    /// Returns the list that it was given.
    EchoList,
    /// Writes its arguments to the log and returns how many.
    Sink,
    /// Writes its argument to the log.
    Note,
    /// Returns whatever is in the random bytes, or any bits.
    Wild,
}

/// A function of the world.
#[derive(Clone, Debug)]
pub struct Func {
    /// Types of its parameters.
    pub params: Vec<Ty>,
    /// Type of its result.
    pub result: Option<Ty>,
    /// What the first layer does.
    pub leaf: Leaf,
}

impl Func {
    /// One with values of random types.
    pub fn generate(source: &mut Source<'_>, types: &Types, hostile: bool) -> Func {
        let ty = types.ty(source, 3);
        if hostile && source.percent(50) {
            let params = (0..source.below(3)).map(|_| types.ty(source, 2)).collect();
            return Func { params, result: source.percent(90).then_some(ty), leaf: Leaf::Wild };
        }
        let (flat, spilled) = types.flat_params(std::slice::from_ref(&ty));
        match source.below(3) {
            0 if flat.len() == 1 && (spilled || !types.flat_result(Some(&ty)).1) => {
                Func { params: vec![ty.clone()], result: Some(ty), leaf: Leaf::Echo }
            }
            0 | 1 => {
                let list = Ty::List(Box::new(ty));
                Func { params: vec![list.clone()], result: Some(list), leaf: Leaf::EchoList }
            }
            _ => {
                let mut params = vec![ty];
                params.extend((0..source.below(3)).map(|_| types.ty(source, 2)));
                Func { params, result: Some(Ty::Primitive(6)), leaf: Leaf::Sink }
            }
        }
    }
}

/// A function whose core type is that of an allocator.
fn allocating() -> Func {
    Func { params: vec![Ty::Primitive(6); 4], result: Some(Ty::Primitive(6)), leaf: Leaf::Sink }
}

/// A function whose core type is that of a post-return function of one `i32`.
fn noting() -> Func {
    Func { params: vec![Ty::Primitive(6)], result: None, leaf: Leaf::Note }
}

/// The functions of a world. The last two of a hostile one can stand where only core functions are expected.
pub fn functions(source: &mut Source<'_>, types: &Types, hostile: bool) -> Vec<Func> {
    let mut funcs: Vec<Func> = (0..source.between(1, 4)).map(|_| Func::generate(source, types, hostile)).collect();
    if hostile {
        funcs.extend([allocating(), noting()]);
    }
    funcs
}

/// What a layer does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    /// A core module calls on.
    Forward,
    /// The lowered function is lifted again, where that is possible.
    LiftOfLower,
    /// The export is exported again.
    Reexport,
}

/// A layer.
pub struct Layer {
    passing: Passing,
    encoding: &'static str,
    lower_encoding: &'static str,
    allocator: Allocator,
    post_returns: bool,
    /// Whether a start function calls the function before.
    starts: bool,
    /// Whether calls are passed on with other bits than they came with.
    wild: bool,
    /// Whether a lowered function is its allocator, and one its post-return function.
    borrows_allocator: bool,
    borrows_post_return: bool,
    /// Whether the component is inside another one, which exports what it exports.
    wrapped: bool,
    seed: u64,
}

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

impl Layer {
    /// A layer; the first one implements.
    pub fn generate(source: &mut Source<'_>, is_first: bool, hostile: bool) -> Layer {
        let passing = source.pick(&[Passing::Forward, Passing::Forward, Passing::LiftOfLower, Passing::Reexport]);
        let encoding = source.pick(&ENCODINGS);
        // What is passed on as it came has to be read as it was written.
        let lower_encoding = if hostile { source.pick(&ENCODINGS) } else { encoding };
        Layer {
            passing: if is_first { Passing::Forward } else { passing },
            encoding,
            lower_encoding,
            allocator: if hostile { Allocator::hostile(source) } else { Allocator::lawful(source) },
            post_returns: source.percent(50),
            starts: !is_first && source.percent(15),
            wild: hostile && source.percent(40),
            borrows_allocator: hostile && !is_first && source.percent(8),
            borrows_post_return: hostile && !is_first && source.percent(8),
            wrapped: source.percent(20),
            seed: source.u64(),
        }
    }
}

/// One component of the chain.
pub struct Writer<'w> {
    /// The types of the world.
    pub types: &'w Types,
    /// Its functions.
    pub funcs: &'w [Func],
}

fn params_text(cores: &[Core]) -> String {
    match cores {
        [] => String::new(),
        cores => format!("(param {})", cores.iter().map(|core| core.text()).collect::<Vec<_>>().join(" ")),
    }
}

fn result_text(core: Option<Core>) -> String {
    core.map_or(String::new(), |core| format!("(result {})", core.text()))
}

fn zeros(cores: &[Core]) -> String {
    cores.iter().map(|core| format!("({}.const 0) ", core.text())).collect()
}

impl Writer<'_> {
    /// The component text of a layer, called `$L{number}`.
    pub fn component(&self, number: usize, layer: &Layer) -> String {
        let name = format!("$L{number}");
        if !layer.wrapped {
            return self.plain_component(number, layer, &name);
        }
        let mut text = format!("(component {name}\n");
        if number > 0 {
            text.push_str(&self.import_text());
        }
        text.push_str(&self.plain_component(number, layer, "$Inner"));
        let with = if number > 0 { " (with \"up\" (instance $up))" } else { "" };
        let _ = writeln!(text, "(instance $inner (instantiate $Inner{with}))");
        // Types of the inner instance have no name out here: they are defined once more, and functions are ascribed to them.
        for (at, named) in self.types.named.iter().enumerate() {
            let definition = self.types.definition(named, "t");
            let _ = writeln!(text, "(type $d{at} {definition})\n(export $t{at} \"t{at}\" (type $d{at}))");
        }
        for (at, func) in self.funcs.iter().enumerate() {
            let ty = self.func_type_text(func);
            let _ = writeln!(text, "(export \"f{at}\" (func $inner \"f{at}\") (func{ty}))");
        }
        text.push_str("(export \"hash\" (func $inner \"hash\"))\n)\n");
        text
    }

    fn plain_component(&self, number: usize, layer: &Layer, name: &str) -> String {
        let mut text = format!("(component {name}\n");
        if number == 0 {
            for (at, named) in self.types.named.iter().enumerate() {
                let definition = self.types.definition(named, "t");
                let _ = writeln!(text, "(type $d{at} {definition})\n(export $t{at} \"t{at}\" (type $d{at}))");
            }
        } else {
            text.push_str(&self.import_text());
            for at in 0..self.types.named.len() {
                let _ = writeln!(text, "(alias export $up \"t{at}\" (type $a{at}))");
                let _ = writeln!(text, "(export $t{at} \"t{at}\" (type $a{at}))");
            }
        }
        text.push_str(&libc::module_text(layer.allocator, &expand(layer.seed)[..DATA_BYTES]));
        text.push_str("\n(core instance $libc (instantiate $Libc))\n");
        text.push_str("(type $own (resource (rep i32)))\n(core func $drop (canon resource.drop $own))\n");
        let options = "(memory (core memory $libc \"mem\")) (realloc (core func $libc \"realloc\"))";
        if number > 0 {
            for at in 0..self.funcs.len() {
                let encoding = layer.lower_encoding;
                let _ = writeln!(
                    text,
                    "(core func $low{at} (canon lower (func $up \"f{at}\") {options} string-encoding={encoding}))"
                );
            }
        }
        text.push_str(&self.module_text(number, layer));
        text.push_str("\n(core instance $m (instantiate $M (with \"libc\" (instance $libc))\n");
        text.push_str("  (with \"up\" (instance (export \"drop\" (func $drop))");
        if number > 0 {
            (0..self.funcs.len()).for_each(|at| {
                let _ = write!(text, " (export \"f{at}\" (func $low{at}))");
            });
        }
        text.push_str("))))\n");
        let borrowed =
            format!("(memory (core memory $libc \"mem\")) (realloc $low{})", self.funcs.len().saturating_sub(2));
        let options = if layer.borrows_allocator { &*borrowed } else { options };
        for (at, func) in self.funcs.iter().enumerate() {
            text.push_str(&self.export_text(number, layer, at, func, options));
        }
        text.push_str("(func (export \"hash\") (result u64) (canon lift (core func $libc \"hash\")))\n)\n");
        text
    }

    /// The type of a function whose named types are `$t0`, ….
    fn func_type_text(&self, func: &Func) -> String {
        let mut text = String::new();
        for (at, ty) in func.params.iter().enumerate() {
            let _ = write!(text, " (param \"p{at}\" {})", self.types.text(ty, "t"));
        }
        if let Some(ty) = &func.result {
            let _ = write!(text, " (result {})", self.types.text(ty, "t"));
        }
        text
    }

    fn import_text(&self) -> String {
        let mut text = "(import \"up\" (instance $up\n".to_owned();
        for (at, named) in self.types.named.iter().enumerate() {
            let definition = self.types.definition(named, "t");
            let _ = writeln!(text, "(type $d{at} {definition})\n(export \"t{at}\" (type $t{at} (eq $d{at})))");
        }
        for (at, func) in self.funcs.iter().enumerate() {
            let _ = writeln!(text, "(export \"f{at}\" (func{}))", self.func_type_text(func));
        }
        text.push_str("))\n");
        text
    }

    fn export_text(&self, number: usize, layer: &Layer, at: usize, func: &Func, options: &str) -> String {
        if number > 0 && layer.passing == Passing::Reexport {
            return format!("(export \"f{at}\" (func $up \"f{at}\"))\n");
        }
        let (result, in_memory) = self.types.flat_result(func.result.as_ref());
        let relifts = number > 0 && layer.passing == Passing::LiftOfLower && !in_memory;
        let core = if relifts { format!("$low{at}") } else { format!("$m \"f{at}\"") };
        let post = match layer.post_returns && !relifts {
            true if layer.borrows_post_return && result == Some(Core::I32) => {
                format!(" (post-return $low{})", self.funcs.len() - 1)
            }
            true => format!(" (post-return (core func $m \"p{at}\"))"),
            false => String::new(),
        };
        format!(
            "(func (export \"f{at}\"){} (canon lift (core func {core}) {options} string-encoding={}{post}))\n",
            self.func_type_text(func),
            layer.encoding
        )
    }

    fn module_text(&self, number: usize, layer: &Layer) -> String {
        let bytes = expand(layer.seed ^ 0x5555);
        let mut source = Source::new(&bytes);
        let mut text =
            "(core module $M\n(import \"libc\" \"mem\" (memory 1))\n(import \"libc\" \"out\" (table 1 funcref))\n\
            (import \"libc\" \"log\" (func $log (param i64)))\n(import \"up\" \"drop\" (func $drop (param i32)))\n"
                .to_owned();
        if number > 0 {
            for (at, func) in self.funcs.iter().enumerate() {
                let (mut params, _) = self.types.flat_params(&func.params);
                let (result, in_memory) = self.types.flat_result(func.result.as_ref());
                if in_memory {
                    params.push(Core::I32);
                }
                let result = if in_memory { None } else { result };
                let (params, result) = (params_text(&params), result_text(result));
                let _ = writeln!(text, "(import \"up\" \"f{at}\" (func $up{at} {params} {result}))");
            }
        }
        text.push_str("(elem (i32.const 0) $call_out)\n(func $call_out (call $drop (i32.const 1)))\n");
        for (at, func) in self.funcs.iter().enumerate() {
            let (params, _) = self.types.flat_params(&func.params);
            let (result, in_memory) = self.types.flat_result(func.result.as_ref());
            let body = match number {
                0 => leaf_body(&mut source, func.leaf, &params, result, in_memory),
                _ => forward_body(&mut source, at, layer.wild, &params, in_memory),
            };
            let _ =
                writeln!(text, "(func (export \"f{at}\") {} {}\n{body})", params_text(&params), result_text(result));
            let post_params: Vec<Core> = result.into_iter().collect();
            let _ = writeln!(
                text,
                "(func (export \"p{at}\") {} (call $log (i64.const {})))",
                params_text(&post_params),
                0x706f_7374 + at
            );
        }
        if layer.starts
            && number > 0
            && let Some(func) = self.funcs.first()
        {
            let (params, _) = self.types.flat_params(&func.params);
            let (result, in_memory) = self.types.flat_result(func.result.as_ref());
            let out = if in_memory { format!("(i32.const {RESULT})") } else { String::new() };
            let dropped = if result.is_some() && !in_memory { "drop" } else { "" };
            let _ = writeln!(text, "(func $start (call $up0 {}{out}) {dropped})\n(start $start)", zeros(&params));
        }
        text.push(')');
        text
    }
}

/// Any bits, the ends of ranges more often.
fn wild_constant(source: &mut Source<'_>, core: Core) -> String {
    let bits = match source.below(8) {
        0 => u64::from(DATA),
        1 => u64::from(DATA) + 2 * source.below(64) as u64,
        2 => 0xffff_ffff - source.below(40) as u64,
        3 => source.below(8) as u64,
        4 => 65536 - source.below(20) as u64,
        5 => source.pick(&[0xd7ff, 0xd800, 0xdfff, 0xe000, 0x10_ffff, 0x11_0000, 0x8000_0004, 0x8000_0000]),
        6 => 1 << source.below(64),
        _ => source.u64(),
    };
    match core {
        Core::I32 => format!("(i32.const {})", bits as u32),
        Core::I64 => format!("(i64.const {bits})"),
        Core::F32 => format!("(f32.reinterpret_i32 (i32.const {}))", bits as u32),
        Core::F64 => format!("(f64.reinterpret_i64 (i64.const {bits}))"),
    }
}

fn forward_body(source: &mut Source<'_>, at: usize, wild: bool, params: &[Core], in_memory: bool) -> String {
    let mut args = String::new();
    for (index, core) in params.iter().enumerate() {
        args.push_str(&match wild && source.percent(40) {
            true => wild_constant(source, *core),
            false => format!("(local.get {index})"),
        });
    }
    match in_memory {
        true => {
            let place = if wild && source.percent(30) { wild_constant(source, Core::I32) } else { String::new() };
            let place = if place.is_empty() { format!("(i32.const {RESULT})") } else { place };
            format!("(call $up{at} {args}{place})\n{place}")
        }
        false => format!("(call $up{at} {args})"),
    }
}

fn as_i64(core: Core, value: &str) -> String {
    match core {
        Core::I32 => format!("(i64.extend_i32_u {value})"),
        Core::I64 => value.to_owned(),
        Core::F32 => format!("(i64.extend_i32_u (i32.reinterpret_f32 {value}))"),
        Core::F64 => format!("(i64.reinterpret_f64 {value})"),
    }
}

fn leaf_body(source: &mut Source<'_>, leaf: Leaf, params: &[Core], result: Option<Core>, in_memory: bool) -> String {
    let mut text = String::new();
    if leaf != Leaf::Echo {
        for (at, core) in params.iter().enumerate() {
            let _ = writeln!(text, "(call $log {})", as_i64(*core, &format!("(local.get {at})")));
        }
    }
    match leaf {
        Leaf::Echo => text.push_str("(local.get 0)"),
        Leaf::EchoList => {
            let _ = write!(
                text,
                "(i32.store (i32.const {RESULT}) (local.get 0)) (i32.store (i32.const {}) (local.get 1)) (i32.const {RESULT})",
                RESULT + 4
            );
        }
        Leaf::Note => {}
        Leaf::Sink => {
            let _ = write!(text, "(i32.const {})", params.len());
        }
        Leaf::Wild => {
            if in_memory {
                let misaligned = if source.percent(15) { source.below(8) } else { 0 };
                let _ = write!(text, "(i32.const {})", DATA as usize + 8 * source.below(32) + misaligned);
            } else if let Some(core) = result {
                text.push_str(&wild_constant(source, core));
            }
        }
    }
    text
}
