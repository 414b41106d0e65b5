//! Random graphs, without any WebAssembly: what property tests, fuzzing and benchmarks linearize.
//!
//! A graph is built from a recipe, a list of [`Step`]s of a few numbers each, so that deleting a step or making a number
//! smaller gives a simpler graph that is still valid: that is how failures shrink. Steps are drawn with a bias to the shapes that
//! break linearizers of
//! [components](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Linking.md): destructors, `realloc`s,
//! `post-return`s and callees that are adapters or lowered imports, options that belong to later instances, memories with
//! many users, values that nothing uses, values that are defined twice, instances of the host's modules.
//!
//! Invariant: every recipe gives a graph that passes [`crate::verify::verify_graph`]; equal recipes give equal graphs.
//!
//! Does not know: what is done with a graph.

mod builder;
mod chain;
mod palette;
mod wrong;

#[cfg(test)]
mod tests;

pub use chain::Chain;
pub use wrong::Fault;

use crate::error::ComponentError;
use crate::graph::{Graph, Node};
use crate::ids::NodeId;
use crate::linearize::{Emit, Emitted};
use crate::schedule::is_direct;
use wattest_canon::transcode::Step as Transcode;
use wattest_fuse::Intrinsic;

/// A step of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Step {
    /// What is added: see [`StepKind::of`].
    pub kind: u8,
    /// What it is made of, read as far as needed.
    pub picks: [u16; 8],
}

macro_rules! step_kinds {
    ($($(#[$doc:meta])* $name:ident $weight:literal;)*) => {
        /// What a step adds.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum StepKind {
            $($(#[$doc])* $name,)*
        }

        impl StepKind {
            const WEIGHTS: &[(StepKind, u32)] = &[$((StepKind::$name, $weight)),*];
        }
    };
}

step_kinds! {
    /// A core instance of a module of the component.
    Instantiate 44;
    /// A core instance of a module of the host.
    InstantiateHost 6;
    /// A resource type.
    Resource 10;
    /// An export of an instance.
    Project 30;
    /// A function of the host as a core function.
    Lower 28;
    /// An adapter.
    Fused 56;
    /// An adapter that reaches another one only through the options of a lowered import.
    Indirect 16;
    /// A canonical built-in.
    Builtin 18;
    /// A function that traps.
    TrapStub 4;
    /// An exported function.
    Lift 18;
    /// An export of another kind.
    Export 6;
    /// A pure value that is there already.
    Again 10;
    /// A nested component instance.
    Component 10;
}

impl StepKind {
    /// The kind of a step: 256 numbers shared out by weight.
    pub fn of(step: Step) -> StepKind {
        let mut left = u32::from(step.kind);
        for (kind, weight) in StepKind::WEIGHTS {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return *kind,
            }
        }
        StepKind::Project
    }
}

/// A source of numbers that only depends on its seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Seed(pub u64);

impl Seed {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// The recipe of a seed: 20 to 35 steps, and now and then only a few or many.
pub fn recipe(seed: u64) -> Vec<Step> {
    let mut seed = Seed(seed);
    let size = seed.draw();
    let steps = match size % 32 {
        0 => (size >> 8) % 8,
        1 => 128 + (size >> 8) % 128,
        _ => 20 + (size >> 8) % 16,
    };
    let step = |_| {
        let numbers = [seed.draw(), seed.draw(), seed.draw()];
        let mut picks = [0; 8];
        for (at, pick) in picks.iter_mut().enumerate() {
            *pick = (numbers[at / 4] >> (16 * (at % 4))) as u16;
        }
        Step { kind: numbers[2] as u8, picks }
    };
    (0..steps).map(step).collect()
}

/// The graph of a recipe.
pub fn graph(steps: &[Step]) -> Graph {
    Arena::default().graph(steps)
}

/// Makes graphs, one after the other, in the memory of those that are given back.
#[derive(Default)]
pub struct Arena {
    builder: builder::Builder,
    spare: Option<Graph>,
}

impl Arena {
    /// The graph of a recipe: what [`graph`] gives.
    pub fn graph(&mut self, steps: &[Step]) -> Graph {
        self.builder.build(self.spare.take(), steps)
    }

    /// Takes a graph back, or what passes made of it.
    pub fn reclaim(&mut self, graph: Graph) {
        self.spare = builder::reclaimed(graph);
    }
}

/// An emitter of modules that stand for adapter modules: they import what adapters of this kind import, and their functions
/// trap.
#[derive(Clone, Copy, Debug, Default)]
pub struct StubEmitter {
    /// Whether there are binaries; without, all modules are empty.
    pub binaries: bool,
}

impl Emit for StubEmitter {
    fn emit(&mut self, graph: &mut Graph, members: &[NodeId]) -> Result<Emitted, ComponentError> {
        let mut imports = Vec::new();
        let mut extra = Vec::new();
        for member in members {
            let node = graph.node(*member);
            node.for_each_operand(|role, operand| {
                let direct = is_direct(role) && members.binary_search(&operand).is_ok();
                if !direct && !imports.contains(&operand) {
                    imports.push(operand);
                }
            });
            if let Node::Fused(fused) = node {
                extra.push(Node::Flags(fused.lower.opts.component));
                extra.push(Node::Flags(fused.lift.opts.component));
                if let (Some(from), Some(to)) = (fused.lower.opts.memory, fused.lift.opts.memory) {
                    let (step, from, to) = (Transcode::Utf8ToUtf16, from.memory, to.memory);
                    extra.push(Node::Support(Intrinsic::Step { step, from, to }));
                }
            }
        }
        for node in extra {
            let id = graph.add(node)?;
            if !imports.contains(&id) {
                imports.push(id);
            }
        }
        let wasm = if self.binaries { stub_module(imports.len(), members.len()) } else { Vec::new() };
        Ok(Emitted { wasm, imports })
    }
}

/// A module of trapping functions: so many imports, so many exports named by position.
fn stub_module(imports: usize, exports: usize) -> Vec<u8> {
    let mut wasm = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0".to_vec();
    let import = |_: usize| [0, 0, 0, 0].to_vec();
    section(&mut wasm, 2, imports, import);
    section(&mut wasm, 3, exports, |_| vec![0]);
    section(&mut wasm, 7, exports, |at| {
        let name = at.to_string();
        let mut export = leb(name.len());
        export.extend(name.bytes());
        export.push(0);
        export.extend(leb(imports + at));
        export
    });
    section(&mut wasm, 10, exports, |_| vec![3, 0, 0, 0x0b]);
    wasm
}

fn section(wasm: &mut Vec<u8>, id: u8, count: usize, item: impl Fn(usize) -> Vec<u8>) {
    let mut content = leb(count);
    content.extend((0..count).flat_map(item));
    wasm.push(id);
    wasm.extend(leb(content.len()));
    wasm.extend(content);
}

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
