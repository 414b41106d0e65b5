//! Scripts: programs whose generator knows what they do.
//!
//! A script is one to four modules linked by imports (functions, a memory, tables, globals, tags; they grow what they
//! share), each with a table and a memory of its own, over
//! [structs and arrays](https://webassembly.github.io/spec/core/syntax/types.html#aggregate-types) with subtyping, typed
//! function references, exceptions, tail calls and calls of the host. The generator runs each operation on a shadow of the state while it
//! emits it, so that every get, cast, test and length is predicted, and so is how each call ends. Functions write
//! what they see into a log in memory; the prediction is the log, the exported globals and the results.
//!
//! Invariant: every script is valid and ends; a branch that is not taken holds code that would validate all the same.
//!
//! Does not know: engines, configurations.

mod body;
mod call;
mod control;
mod descriptor;
mod exception;
mod heap;
mod host;
mod link;
mod own;
mod segments;
pub mod shadow;
mod shared;
mod trap;
pub mod types;
mod value;

use crate::source::Source;
use body::Frame;
use shadow::{Own, Shadow, V};
use types::{Graph, Heap, Ty};
use wattest_differential::linked::{LinkedProgram, LinkedRun};

/// Changes when a seed gives another script.
pub const GENERATOR_VERSION: u32 = 4;

/// What a script is mostly made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Objects: one or two modules, few exceptions.
    Heap,
    /// Exceptions: handlers in handlers, across functions and modules.
    Exceptions,
    /// Everything, over two modules or more.
    Linked,
}

/// A program and what it must do.
#[derive(Clone, Debug)]
pub struct Script {
    /// The modules and the calls.
    pub program: LinkedProgram,
    /// One step per module and per call.
    pub expected: LinkedRun,
    /// Operations in the modules.
    pub operations: u32,
    /// Whether it needs neither objects nor typed references.
    pub plain: bool,
}

/// Draws a script.
pub fn generate(source: &mut Source<'_>, mix: Mix) -> Script {
    let plain = source.percent(match mix {
        Mix::Heap => 0,
        Mix::Exceptions => 40,
        Mix::Linked => 20,
    });
    let mut writer = Writer::choose(source, mix, plain);
    let steps = writer.runs();
    writer.finish(steps)
}

/// How a statement leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// To the next one.
    Next,
    /// By throwing this exception of the shadow: handlers of the function come next.
    Throw(u32),
    /// Out of the function.
    Exit(End),
}

/// How a function ends. Results are kept in [`Writer::results`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Values,
    Throw(u32),
    Trap(wattest_differential::TrapClass),
}

/// A tag, and who defines it.
struct Tag {
    owner: usize,
    params: Vec<Ty>,
}

/// A function of the program.
struct Fun {
    module: usize,
    def: u32,
    /// Locals and body.
    code: Vec<u8>,
    /// Where the code names a function, and which; the index is written when imports are known.
    patches: Vec<Patch>,
    export: Option<String>,
}

/// A place that names a function.
#[derive(Clone, Copy)]
struct Patch {
    at: usize,
    fun: u32,
}

/// A program under construction.
struct Writer<'s, 'b> {
    source: &'s mut Source<'b>,
    mix: Mix,
    plain: bool,
    graph: Graph,
    shadow: Shadow,
    /// Function types that a module has before the graph's.
    pads: Vec<u32>,
    globals: Vec<Ty>,
    tags: Vec<Tag>,
    funs: Vec<Fun>,
    /// Types of the host's functions.
    host_types: host::Types,
    frame: Frame,
    /// Results of the function that ended last.
    results: Vec<V>,
    /// Above 0 in a branch that is not taken.
    dead: u32,
    /// Handlers around the current operation, in any active function.
    tries: u32,
    /// Operations that may still be emitted in this run.
    budget: i32,
    operations: u32,
    /// The data segments of every module.
    data: [Vec<u8>; segments::COUNT],
    /// The element segments of every module: unboxed integers, or what [`Writer::elements_of`] makes of them.
    elements: [Vec<u32>; segments::COUNT],
}

/// Entries of the table of `anyref` at first.
const TABLE_ENTRIES: usize = 8;

/// Entries that one run may log: less than a page.
const LOG_MAX: usize = 8000;

impl<'s, 'b> Writer<'s, 'b> {
    fn choose(source: &'s mut Source<'b>, mix: Mix, plain: bool) -> Writer<'s, 'b> {
        let modules = match mix {
            Mix::Heap => source.between(1, 2),
            Mix::Exceptions => source.between(1, 3),
            Mix::Linked => source.between(2, 4),
        };
        let pads = (0..modules).map(|_| source.below(4) as u32).collect();
        let graph = if plain { Graph::default() } else { Graph::choose(source) };
        let data = [64, 40].map(|length| (0..length).map(|_| source.byte()).collect());
        let elements = [8, 5].map(|length| (0..length).map(|_| source.u32() & 0x7fff_ffff).collect());
        let mut writer = Writer {
            source,
            mix,
            plain,
            graph,
            shadow: Shadow::default(),
            pads,
            globals: Vec::new(),
            tags: Vec::new(),
            funs: Vec::new(),
            host_types: Default::default(),
            frame: Frame::default(),
            results: Vec::new(),
            dead: 0,
            tries: 0,
            budget: 0,
            operations: 0,
            data,
            elements,
        };
        writer.choose_globals();
        writer.choose_tags();
        writer.shadow.table = vec![V::Null; TABLE_ENTRIES];
        writer.shadow.pages = vec![vec![0; own::BYTES]];
        writer.shadow.own = vec![Own::new(own::ENTRIES, own::BYTES); modules];
        writer.add_log();
        writer
    }

    fn choose_globals(&mut self) {
        let aggregates = self.graph.aggregates();
        let top = self.entry_heap();
        let mut types = vec![Ty::null(top), Ty::I64, Ty::null(top)];
        for _ in 0..self.source.between(2, 6) {
            let heap = match self.source.below(8) {
                choice if self.plain => [Heap::Func, Heap::Extern][choice % 2],
                0 => Heap::Eq,
                1 => Heap::Extern,
                2 => Heap::Func,
                3 => Heap::Any,
                _ if aggregates.is_empty() => Heap::Struct,
                _ => Heap::Def(self.source.pick(&aggregates)),
            };
            types.push(Ty::null(heap));
        }
        types.push(Ty::V128);
        self.shadow.globals = types.iter().map(|ty| V::default_of(*ty)).collect();
        self.globals = types;
    }

    fn choose_tags(&mut self) {
        // Without tags, `gc_model` does not wait for exceptions.
        let count = if self.mix == Mix::Heap { 0 } else { self.source.between(2, 6) };
        for _ in 0..count {
            let owner = self.source.below(self.pads.len());
            let params = self.types(4);
            self.graph.func(&params, &[]);
            self.tags.push(Tag { owner, params });
        }
        // Imported tags come first in a module: owners ascend.
        self.tags.sort_by_key(|tag| tag.owner);
    }

    /// Up to `most` types of values that can be had anywhere.
    fn types(&mut self, most: usize) -> Vec<Ty> {
        let aggregates = self.graph.aggregates();
        let mut types = Vec::new();
        for _ in 0..self.source.between(0, most) {
            types.push(match self.source.below(12) {
                6..=8 if self.plain => Ty::null(Heap::Func),
                9..=11 if self.plain => Ty::I32,
                0 | 1 => Ty::I32,
                2 => Ty::I64,
                3 => Ty::F32,
                4 => Ty::F64,
                5 => Ty::V128,
                6 => Ty::null(Heap::Any),
                7 => Ty::null(Heap::Extern),
                8 => Ty::Ref(false, Heap::I31),
                9 if !aggregates.is_empty() => Ty::Ref(false, Heap::Def(self.source.pick(&aggregates))),
                10 if !aggregates.is_empty() => Ty::null(Heap::Def(self.source.pick(&aggregates))),
                _ => Ty::null(Heap::Eq),
            });
        }
        types
    }

    /// What the first shared table holds.
    fn entry_heap(&self) -> Heap {
        if self.plain { Heap::Func } else { Heap::Any }
    }

    /// Where module `module` has its graph's types.
    fn pad(&self, module: usize) -> u32 {
        self.pads[module]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::expand;
    use std::collections::BTreeSet;
    use wasmparser::{Validator, WasmFeatures};
    use wattest_differential::DefinitionalEngine;
    use wattest_differential::linked::{LinkedEngine, compare_linked};

    /// Valid by another validator, and predicted right by the definitional interpreter.
    fn check(mix: Mix, seeds: u64) {
        let mut logged = 0;
        for seed in 0..seeds {
            let bytes = expand(seed);
            let script = generate(&mut Source::new(&bytes), mix);
            for module in &script.program.modules {
                let later = WasmFeatures::GC | WasmFeatures::FUNCTION_REFERENCES;
                let features = if script.plain { WasmFeatures::all() - later } else { WasmFeatures::all() };
                let valid = Validator::new_with_features(features).validate_all(&module.wasm).map(|_| ());
                let text = || wasmprinter::print_bytes(&module.wasm).unwrap_or_default();
                assert!(valid.is_ok(), "{mix:?} {seed}, {}: {valid:?}\n{}", module.name, text());
            }
            let run = DefinitionalEngine.run(&script.program, 1_000_000).expect("the reference runs it");
            assert_eq!((run.stopped, compare_linked(&script.expected, &run)), (None, Ok(())), "{mix:?} {seed}");
            logged += run.steps.last().map_or(0, |step| step.memories[0].bytes.len());
        }
        assert!(logged as u64 > 20 * seeds, "only {logged} bytes logged");
    }

    /// Every trap, growth of everything that is shared, dropped segments and every function of the host are met.
    #[test]
    fn every_shape_is_drawn() {
        use wattest_differential::TrapClass as T;
        use wattest_differential::linked::{HOST_FUNCTIONS, LinkedEnding};
        let (mut traps, mut hosts, mut grown, mut dropped) = (BTreeSet::new(), BTreeSet::new(), [0u32; 3], [0u32; 2]);
        for seed in 0..600 {
            let mix = [Mix::Heap, Mix::Exceptions, Mix::Linked][seed as usize % 3];
            let script = generate(&mut Source::new(&expand(seed)), mix);
            for step in &script.expected.steps {
                if let LinkedEnding::Trap(class) = step.ending {
                    traps.insert(class);
                }
                hosts.extend(step.host_calls.iter().map(|call| call.function));
            }
            let last = script.expected.steps.last().expect("steps");
            let private = last.private.as_ref().expect("a prediction of it");
            let functions = last.tables[1] as usize;
            let sizes = [
                last.memories[0].size_bytes > 1 << 16,
                last.tables[0] as usize > TABLE_ENTRIES,
                functions > shared::FUNCTIONS_MIN,
            ];
            sizes.iter().zip(&mut grown).for_each(|(is, count)| *count += u32::from(*is));
            let lost = [&private.empty_data, &private.empty_elements].map(|flags| flags[..2].contains(&true));
            lost.iter().zip(&mut dropped).for_each(|(is, count)| *count += u32::from(*is));
        }
        let wanted = [
            T::Unreachable,
            T::MemoryOutOfBounds,
            T::TableOutOfBounds,
            T::NullCall,
            T::BadSignature,
            T::NullReference,
            T::CastFailure,
            T::ArrayOutOfBounds,
        ];
        assert_eq!(traps, BTreeSet::from(wanted));
        assert_eq!(hosts.len(), HOST_FUNCTIONS.len());
        assert!(grown.iter().chain(&dropped).all(|count| *count > 20), "{grown:?} {dropped:?}");
    }

    #[test]
    fn heaps_are_predicted() {
        check(Mix::Heap, 30);
    }

    #[test]
    fn exceptions_are_predicted() {
        check(Mix::Exceptions, 30);
    }

    #[test]
    fn linked_programs_are_predicted() {
        check(Mix::Linked, 30);
    }
}
