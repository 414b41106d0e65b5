//! Components one above the other: each imports the functions of one below and exports them again.
//!
//! The lowest ones implement them. What a layer does with a call varies: a core module passes it on, a lowered function is
//! lifted again, an export is exported again; with encodings, allocators, memories and post-return functions of its own. So
//! every value crosses every pair of encodings and every pair of locations, and every shape of option of a canonical
//! definition.
//!
//! Invariant: the text is a valid component.
//!
//! Does not know: values.

use super::bodies::{self, Mode};
use super::libc::{self, Allocator, DATA_BYTES};
use super::shape::{Shape, Shapes};
use super::types::{Core, Types};
use super::world::{ALLOCATE, ALLOCATE_WIDE, Func, NOTE, Signature, lifted, lowered, params_text};
use crate::source::{Source, expand};
use std::fmt::Write;

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

/// How a layer has one function.
#[derive(Clone, Copy, Debug)]
struct Route {
    /// How its strings lie here: a row of [`ENCODINGS`].
    encoding: usize,
    /// How they lie in what is lowered.
    lower_encoding: usize,
    lifts_async: bool,
    lowers_async: bool,
}

/// A layer.
pub struct Layer {
    passing: Passing,
    routes: Vec<Route>,
    /// Whether its memory has 64-bit addresses.
    pub wide: bool,
    /// What the names of its exports begin with.
    pub prefix: &'static str,
    allocator: Allocator,
    post_returns: bool,
    post_returns_call_out: bool,
    /// Whether a start function calls the function before.
    starts: bool,
    /// Whether calls are passed on with other bits than they came with.
    wild: bool,
    /// Whether its allocators may do what traps.
    hostile: bool,
    /// Whether a lowered function is its allocator, and one its post-return function.
    borrows_allocator: bool,
    borrows_post_return: bool,
    /// Whether a core instance uses a lowered function before there is a memory.
    early: bool,
    /// Whether lowered functions reach its module through a table.
    shim: bool,
    /// Whether a second core instance has the functions of odd numbers, and the same memory.
    shared: bool,
    /// Into how many other components it is put, which export what it exports; the innermost twice where `twins`.
    pub wrapped: usize,
    /// Whether it is defined outside of these.
    by_alias: bool,
    /// Whether functions of odd numbers come from a second inner instance.
    pub twins: bool,
    /// Whether it exports what is asynchronous below as synchronous functions, which then may not wait for it.
    blocks: bool,
    unused: u8,
    seed: u64,
}

const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

/// By the encoding of the source, then of the destination.
const CROSSINGS: [[Shape; 3]; 3] = [
    [Shape::Utf8FromUtf8, Shape::Utf16FromUtf8, Shape::LatinFromUtf8],
    [Shape::Utf8FromUtf16, Shape::Utf16FromUtf16, Shape::LatinFromUtf16],
    [Shape::Utf8FromLatin, Shape::Utf16FromLatin, Shape::LatinFromLatin],
];

impl Layer {
    /// A layer; the first one implements.
    pub fn generate(source: &mut Source<'_>, funcs: &[Func], is_first: bool, hostile: bool) -> Layer {
        let passing = source.pick(&[Passing::Forward, Passing::Forward, Passing::LiftOfLower, Passing::Reexport]);
        let wide = source.percent(if hostile { 35 } else { 20 });
        let routes = funcs.iter().map(|func| Route::generate(source, func, wide, hostile)).collect();
        let misbehaves = |source: &mut Source<'_>, percent| hostile && !is_first && source.percent(percent);
        let shim = !is_first && source.percent(15);
        let wrapped = if source.percent(25) { source.between(1, 2) } else { 0 };
        Layer {
            passing: if is_first { Passing::Forward } else { passing },
            routes,
            wide,
            prefix: if source.percent(25) { "r" } else { "f" },
            allocator: if hostile { Allocator::hostile(source) } else { Allocator::lawful(source) },
            post_returns: source.percent(50),
            post_returns_call_out: hostile && source.percent(10),
            starts: !is_first && !shim && source.percent(15),
            wild: hostile && source.percent(60),
            hostile,
            borrows_allocator: !is_first && source.percent(12),
            borrows_post_return: misbehaves(source, 8),
            early: !is_first && source.percent(15),
            shim,
            shared: source.percent(15),
            wrapped,
            by_alias: wrapped > 0 && source.percent(50),
            twins: wrapped > 0 && source.percent(40),
            blocks: false,
            unused: if source.percent(30) { source.byte() } else { 0 },
            seed: source.u64(),
        }
    }

    /// Makes its functions synchronous, unless they are those of the layer below; nothing may stand above it then.
    pub fn block(&mut self) {
        if self.passing != Passing::Reexport {
            self.blocks = true;
            self.routes.iter_mut().for_each(|route| route.lifts_async = false);
        }
    }

    fn mode(&self, at: usize) -> Mode {
        let Route { lifts_async, lowers_async, .. } = self.routes[at];
        Mode { at, wide: self.wide, lifts_async, lowers_async, wild: self.wild }
    }
}

impl Route {
    fn generate(source: &mut Source<'_>, func: &Func, wide: bool, hostile: bool) -> Route {
        let encoding = source.below(ENCODINGS.len());
        // What is passed on as it came has to be read as it was written.
        let lower_encoding = if hostile { source.below(ENCODINGS.len()) } else { encoding };
        let (lifts_async, lowers_async) = (source.percent(60), source.percent(60));
        // The validator gives an asynchronous lower a 32-bit pointer to its result whatever the memory.
        let (lifts_async, lowers_async) = (func.is_async && lifts_async, func.is_async && lowers_async && !wide);
        Route { encoding, lower_encoding, lifts_async, lowers_async }
    }
}

/// One component of the chain.
pub struct Writer<'w> {
    /// The types of the world.
    pub types: &'w Types,
    /// Its functions.
    pub funcs: &'w [Func],
}

impl Writer<'_> {
    /// The component text of a layer, called `$L{number}`. Only the first one has nothing below it, unless that is the host.
    pub fn component(&self, number: usize, layer: &Layer, shapes: &mut Shapes) -> String {
        self.note(number, layer, shapes);
        if layer.wrapped == 0 {
            return self.plain_component(number, layer, &format!("$L{number}"));
        }
        shapes.add(Shape::Nested);
        shapes.add_if(layer.by_alias, Shape::OuterAlias);
        shapes.add_if(layer.twins, Shape::Twins);
        let (outside, mut inner) = match layer.by_alias {
            true => (
                self.plain_component(number, layer, &format!("$I{number}")),
                format!("(alias outer $root $I{number} (component $Inner0))\n"),
            ),
            false => (String::new(), self.plain_component(number, layer, "$Inner0")),
        };
        for depth in 0..layer.wrapped {
            let name = if depth + 1 == layer.wrapped { format!("$L{number}") } else { format!("$Inner{}", depth + 1) };
            inner = self.wrapper(number, layer, depth, &name, &inner);
        }
        outside + &inner
    }

    /// A component around another one.
    fn wrapper(&self, number: usize, layer: &Layer, depth: usize, name: &str, inner: &str) -> String {
        let mut text = format!("(component {name}\n");
        if number > 0 {
            text.push_str(&self.import_text("up"));
        }
        text.push_str(inner);
        let with = if number > 0 { " (with \"up\" (instance $up))" } else { "" };
        let copies = if layer.twins && depth == 0 { 2 } else { 1 };
        for copy in 0..copies {
            let _ = writeln!(text, "(instance $inner{copy} (instantiate $Inner{depth}{with}))");
        }
        // Types of the inner instance have no name out here: they are defined once more, and functions are ascribed to them.
        self.define_types(&mut text);
        for (at, func) in self.funcs.iter().enumerate() {
            let (ty, prefix) = (self.exported_type(layer, func), layer.prefix);
            let from = at % copies;
            let _ = writeln!(text, "(export \"{prefix}{at}\" (func $inner{from} \"{prefix}{at}\") (func{ty}))");
        }
        if layer.twins {
            let (from, hash) = if depth == 0 { (1, "hash") } else { (0, "hash1") };
            let _ = writeln!(text, "(export \"hash1\" (func $inner{from} \"{hash}\"))");
        }
        text.push_str("(export \"hash\" (func $inner0 \"hash\"))\n)\n");
        text
    }

    fn define_types(&self, text: &mut String) {
        for (at, named) in self.types.named.iter().enumerate() {
            let definition = self.types.definition(named, "t");
            let _ = writeln!(text, "(type $d{at} {definition})\n(export $t{at} \"t{at}\" (type $d{at}))");
        }
    }

    fn plain_component(&self, number: usize, layer: &Layer, name: &str) -> String {
        let mut text = format!("(component {name}\n");
        if number == 0 {
            self.define_types(&mut text);
        } else {
            text.push_str(&self.import_text("up"));
            for at in 0..self.types.named.len() {
                let _ = writeln!(text, "(alias export $up \"t{at}\" (type $a{at}))");
                let _ = writeln!(text, "(export $t{at} \"t{at}\" (type $a{at}))");
            }
        }
        self.unused(&mut text, number, layer);
        if layer.early {
            let _ = writeln!(
                text,
                "(core func $early (canon lower (func $up \"f{}\")))\n(core module $Early (import \"\" \"f\" (func (param i32))))\n\
                (core instance (instantiate $Early (with \"\" (instance (export \"f\" (func $early))))))",
                self.funcs.len() - NOTE
            );
        }
        text.push_str(&libc::text(layer.allocator, &expand(layer.seed)[..DATA_BYTES], layer.wide));
        text.push_str("(type $own (resource (rep i32)))\n(core func $drop (canon resource.drop $own))\n");
        self.returns(&mut text, layer);
        let lowers = if number > 0 { self.lowers(layer) } else { String::new() };
        let module = self.module_text(number, layer);
        let instantiations = self.instantiations(number, layer);
        if layer.shim {
            // The module first, then the functions it calls.
            let _ = write!(text, "{}{module}{instantiations}{lowers}{}", self.shim(layer), self.fixup());
        } else {
            let _ = write!(text, "{lowers}{module}{instantiations}");
        }
        for (at, func) in self.funcs.iter().enumerate() {
            text.push_str(&self.export_text(number, layer, at, func));
        }
        text.push_str("(func (export \"hash\") (result u64) (canon lift (core func $libc \"hash\")))\n)\n");
        text
    }

    /// Definitions that nothing uses.
    fn unused(&self, text: &mut String, number: usize, layer: &Layer) {
        let bits = layer.unused;
        if bits & 1 != 0 {
            text.push_str("(core module $unused-module (func (export \"f\")))\n");
        }
        if bits & 2 != 0 {
            text.push_str(
                "(component $unused-component (core module $m (func (export \"f\") unreachable) (start 0))\n\
                (core instance $i (instantiate $m)) (func (export \"f\") (canon lift (core func $i \"f\"))))\n",
            );
        }
        if bits & 4 != 0 {
            text.push_str("(type $unused-type (func (param \"x\" (list (option string))) (result (tuple u8 u64))))\n");
        }
        if bits & 8 != 0 && number > 0 {
            let _ = writeln!(text, "(core func $unused (canon lower (func $up \"f{}\")))", self.funcs.len() - ALLOCATE);
        }
    }

    /// `task.return` of the functions that are lifted asynchronously.
    fn returns(&self, text: &mut String, layer: &Layer) {
        for (at, func) in self.funcs.iter().enumerate().filter(|(at, _)| layer.routes[*at].lifts_async) {
            let Some(result) = &func.result else { continue };
            let (ty, encoding) = (self.types.text(result, "t"), ENCODINGS[layer.routes[at].encoding]);
            let _ = writeln!(
                text,
                "(core func $ret{at} (canon task.return (result {ty}) (memory (core memory $libc \"mem\")) \
                string-encoding={encoding}))"
            );
        }
    }

    fn lowers(&self, layer: &Layer) -> String {
        let mut text = String::new();
        for (at, route) in layer.routes.iter().enumerate() {
            let is_async = if route.lowers_async { " async" } else { "" };
            let _ = writeln!(
                text,
                "(core func $low{at} (canon lower (func $up \"f{at}\") {OPTIONS} string-encoding={}{is_async}))",
                ENCODINGS[route.lower_encoding]
            );
        }
        text
    }

    fn lowered(&self, layer: &Layer, at: usize) -> Signature {
        lowered(self.types, &self.funcs[at], layer.wide, layer.routes[at].lowers_async)
    }

    /// Core instances of the module, in the order of their names.
    fn instantiations(&self, number: usize, layer: &Layer) -> String {
        let mut text = String::new();
        for name in if layer.shared { &["m", "n"][..] } else { &["m"] } {
            let _ = writeln!(text, "(core instance ${name} (instantiate $M (with \"libc\" (instance $libc))");
            text.push_str("  (with \"up\" (instance (export \"drop\" (func $drop))");
            text.push_str(" (export \"context-set\" (func $context-set))");
            for at in 0..self.funcs.len() {
                if layer.routes[at].lifts_async {
                    let _ = write!(text, " (export \"ret{at}\" (func $ret{at}))");
                }
                if number > 0 {
                    let from = if layer.shim { format!("$shim \"f{at}\"") } else { format!("$low{at}") };
                    let _ = write!(text, " (export \"f{at}\" (func {from}))");
                }
            }
            text.push_str("))))\n");
        }
        text
    }

    /// A module whose functions call through a table that is still empty.
    fn shim(&self, layer: &Layer) -> String {
        let count = self.funcs.len();
        let mut text = format!("(core module $Shim (table (export \"t\") {count} {count} funcref)\n");
        for at in 0..count {
            let signature = self.lowered(layer, at);
            let args: String = (0..signature.params.len()).map(|index| format!("(local.get {index}) ")).collect();
            let ty = signature.text();
            let _ = writeln!(text, "(func (export \"f{at}\") {ty} (call_indirect {ty} {args}(i32.const {at})))");
        }
        text.push_str(")\n(core instance $shim (instantiate $Shim))\n");
        let _ = writeln!(text, "(core module $Fix (import \"\" \"t\" (table {count} {count} funcref))");
        for at in 0..count {
            let _ = writeln!(text, "(import \"\" \"f{at}\" (func $f{at} {}))", self.lowered(layer, at).text());
        }
        let funcs: String = (0..count).map(|at| format!(" $f{at}")).collect();
        let _ = writeln!(text, "(elem (i32.const 0) func{funcs}))");
        text
    }

    /// The instance that fills the table.
    fn fixup(&self) -> String {
        let funcs: String = (0..self.funcs.len()).map(|at| format!(" (export \"f{at}\" (func $low{at}))")).collect();
        format!("(core instance (instantiate $Fix (with \"\" (instance (export \"t\" (table $shim \"t\")){funcs}))))\n")
    }

    /// The type that a layer exports a function with.
    fn exported_type(&self, layer: &Layer, func: &Func) -> String {
        let text = self.func_type_text(func);
        match text.strip_prefix(" async") {
            Some(synchronous) if layer.blocks => synchronous.to_owned(),
            _ => text,
        }
    }

    /// The type of a function whose named types are `$t0`, ….
    fn func_type_text(&self, func: &Func) -> String {
        let mut text = if func.is_async { " async".to_owned() } else { String::new() };
        for (at, ty) in func.params.iter().enumerate() {
            let _ = write!(text, " (param \"p{at}\" {})", self.types.text(ty, "t"));
        }
        if let Some(ty) = &func.result {
            let _ = write!(text, " (result {})", self.types.text(ty, "t"));
        }
        text
    }

    /// The import of a world, as instance `$name`.
    pub fn import_text(&self, name: &str) -> String {
        let mut text = format!("(import \"{name}\" (instance ${name}\n");
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

    /// Whether a lowered function is lifted again as it is.
    fn relifts(&self, number: usize, layer: &Layer, at: usize) -> bool {
        let Route { lifts_async, lowers_async, .. } = layer.routes[at];
        let plain = !lifts_async && !lowers_async && !self.lowered(layer, at).in_memory;
        number > 0 && layer.passing == Passing::LiftOfLower && plain
    }

    /// The lowered function that is the `realloc` of a function's options, if one is.
    fn borrowed_allocator(&self, layer: &Layer, at: usize) -> Option<usize> {
        let from_end = if layer.wide { ALLOCATE_WIDE } else { ALLOCATE };
        let legal = layer.hostile || !self.allocates(layer, at);
        (layer.borrows_allocator && legal).then(|| self.funcs.len() - from_end)
    }

    /// Whether lowering the parameters of a function calls `realloc`.
    fn allocates(&self, layer: &Layer, at: usize) -> bool {
        let params = &self.funcs[at].params;
        params.iter().any(|ty| self.types.allocates(ty)) || self.types.flat_params(params, layer.wide).1
    }

    fn export_text(&self, number: usize, layer: &Layer, at: usize, func: &Func) -> String {
        let prefix = layer.prefix;
        if number > 0 && layer.passing == Passing::Reexport {
            return format!("(export \"{prefix}{at}\" (func $up \"f{at}\"))\n");
        }
        let Route { encoding, lifts_async, .. } = layer.routes[at];
        let result = lifted(self.types, func, layer.wide, lifts_async).result;
        let relifts = self.relifts(number, layer, at);
        let instance = if layer.shared && at % 2 == 1 { "n" } else { "m" };
        let core = if relifts { format!("$low{at}") } else { format!("${instance} \"f{at}\"") };
        let post = match layer.post_returns && !relifts && !lifts_async {
            true if layer.borrows_post_return && result == Some(Core::I32) => {
                format!(" (post-return $low{})", self.funcs.len() - NOTE)
            }
            true => format!(" (post-return (core func ${instance} \"p{at}\"))"),
            false => String::new(),
        };
        let borrowed = self.borrowed_allocator(layer, at).filter(|_| number > 0);
        let options = match borrowed {
            Some(from) => format!("(memory (core memory $libc \"mem\")) (realloc $low{from})"),
            None => OPTIONS.to_owned(),
        };
        let callback = match lifts_async {
            true => format!(" async (callback (core func ${instance} \"cb\"))"),
            false => String::new(),
        };
        format!(
            "(func (export \"{prefix}{at}\"){} (canon lift (core func {core}) {options} string-encoding={}{post}{callback}))\n",
            self.exported_type(layer, func),
            ENCODINGS[encoding]
        )
    }

    fn module_text(&self, number: usize, layer: &Layer) -> String {
        let bytes = expand(layer.seed ^ 0x5555);
        let mut source = Source::new(&bytes);
        let mut text = format!(
            "(core module $M\n(import \"libc\" \"mem\" (memory {}1))\n(import \"libc\" \"out\" (table 1 funcref))\n\
            (import \"libc\" \"log\" (func $log (param i64)))\n(import \"up\" \"drop\" (func $drop (param i32)))\n\
            (import \"up\" \"context-set\" (func $context-set (param i32)))\n",
            if layer.wide { "i64 " } else { "" }
        );
        for (at, func) in self.funcs.iter().enumerate() {
            if layer.routes[at].lifts_async {
                let flat = func.result.as_ref().map_or(Vec::new(), |ty| self.types.flat(ty, layer.wide));
                let _ = writeln!(text, "(import \"up\" \"ret{at}\" (func $ret{at} {}))", params_text(&flat));
            }
            if number > 0 {
                let signature = self.lowered(layer, at);
                let _ = writeln!(text, "(import \"up\" \"f{at}\" (func $up{at} {}))", signature.text());
            }
        }
        text.push_str(
            "(elem (i32.const 0) $call_out)\n(func $call_out (call $drop (i32.const 1)))\n\
            (func (export \"cb\") (param i32 i32 i32) (result i32) unreachable)\n",
        );
        for (at, func) in self.funcs.iter().enumerate() {
            let mode = layer.mode(at);
            let above = lifted(self.types, func, layer.wide, mode.lifts_async);
            let body = match number {
                0 => bodies::leaf(&mut source, func, mode, &above),
                _ => bodies::forward(&mut source, func, mode, &self.lowered(layer, at), &above),
            };
            // Where the allocator counts: from here on in this task, whatever other tasks begin before it is over.
            let counts_from = match layer.allocator.counts && number > 0 {
                true => format!("(call $context-set (i32.const {}))\n", 1000 * (at + 1)),
                false => String::new(),
            };
            let _ = writeln!(text, "(func (export \"f{at}\") {}\n{counts_from}{body})", above.text());
            let result: Vec<Core> = above.result.into_iter().collect();
            let out = if layer.post_returns_call_out { "(call $call_out)" } else { "" };
            let _ = writeln!(
                text,
                "(func (export \"p{at}\") {} (call $log (i64.const {})){out})",
                params_text(&result),
                0x706f_7374 + at
            );
        }
        if layer.starts && number > 0 {
            let last = self.funcs.len() - ALLOCATE;
            let _ = writeln!(
                text,
                "(func $start (drop (call $up{last} (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4))))\n(start $start)"
            );
        }
        text.push_str(")\n");
        text
    }

    /// What is to be said of a layer.
    fn note(&self, number: usize, layer: &Layer, shapes: &mut Shapes) {
        layer.allocator.shapes(shapes);
        let mut add = |condition, shape| shapes.add_if(condition, shape);
        let passes = number > 0 && layer.passing == Passing::Reexport;
        add(passes, Shape::Reexport);
        add((0..self.funcs.len()).any(|at| self.relifts(number, layer, at)), Shape::LiftOfLower);
        add(layer.early, Shape::EarlyInstance);
        add(layer.shim, Shape::Shim);
        add(layer.shared && !passes, Shape::SharedMemory);
        add(layer.unused & 1 != 0, Shape::UnusedModule);
        add(layer.unused & 2 != 0, Shape::UnusedComponent);
        add(layer.unused & 4 != 0, Shape::UnusedType);
        add(layer.unused & 8 != 0 && number > 0, Shape::UnusedFunc);
        add(layer.starts && number > 0, Shape::Start);
        add(layer.wide, Shape::Memory64);
        add(layer.prefix != "f", Shape::Renamed);
        add(layer.wild && number > 0, Shape::WildBits);
        if passes {
            return;
        }
        let is_post = |route: &Route| layer.post_returns && !route.lifts_async;
        add(layer.routes.iter().any(is_post), Shape::PostReturn);
        add(layer.post_returns && layer.post_returns_call_out, Shape::PostReturnCallsOut);
        add(layer.post_returns && layer.borrows_post_return && number > 0, Shape::BorrowedPostReturn);
        for (at, func) in self.funcs.iter().enumerate() {
            let Route { lifts_async, lowers_async, .. } = layer.routes[at];
            add(lifts_async, Shape::AsyncLift);
            add(func.is_async && !lifts_async, Shape::SyncLiftOfAsync);
            add(number > 0 && lowers_async, Shape::AsyncLower);
            add(number > 0 && func.is_async && !lowers_async, Shape::SyncLowerOfAsync);
            add(layer.blocks && func.is_async && !lowers_async, Shape::Blocks);
            add(number == 0 && lifts_async && func.leaf == super::world::Leaf::Never, Shape::AsyncNever);
            add(number == 0 && lifts_async && func.leaf == super::world::Leaf::Twice, Shape::AsyncTwice);
            if number > 0 && self.borrowed_allocator(layer, at).is_some() {
                add(
                    true,
                    if self.allocates(layer, at) { Shape::BorrowedAllocator } else { Shape::UnusedBorrowedAllocator },
                );
            }
        }
    }

    /// What is to be said of a layer above another one.
    pub fn note_crossing(&self, above: &Layer, below: &Layer, shapes: &mut Shapes) {
        shapes.add_if(above.wide && !below.wide, Shape::Narrowing);
        shapes.add_if(!above.wide && below.wide, Shape::Widening);
        for (from, to) in above.routes.iter().zip(&below.routes) {
            shapes.add(CROSSINGS[from.lower_encoding][to.encoding]);
            shapes.add(CROSSINGS[to.encoding][from.lower_encoding]);
        }
    }

    /// Whether a layer above the host has adapters whose callee is a lowered import.
    pub fn relifts_any(&self, number: usize, layer: &Layer) -> bool {
        (0..self.funcs.len()).any(|at| self.relifts(number, layer, at))
    }
}

const OPTIONS: &str = "(memory (core memory $libc \"mem\")) (realloc (core func $libc \"realloc\"))";
