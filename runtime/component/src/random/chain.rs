//! Chains: graphs in which one value depends on thousands of others in a row.
//!
//! The shapes on which recursive linearizers overflow their stack and greedy ones take quadratic time
//! ([components](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Linking.md) may nest lifts of lowers as deep
//! as they like).
//!
//! Invariant: a chain of `n` has on the order of `n` nodes.
//!
//! Does not know: what is done with a graph.

use crate::graph::{
    Args, CoreEntity, Export, ExportValue, Fused, Graph, GraphLimits, Key, MemoryOpt, MemoryShape, Module, ModuleRef,
    Node, Opts, ResourceOrigin, Side, Sort,
};
use crate::ids::{ComponentIndex, ModuleIndex, NodeId, SignatureIndex};
use crate::random::palette::PALETTE;
use wattest_canon::ResourceId;

/// How each value of a chain depends on the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// An adapter whose callee is an adapter: one module.
    Callee,
    /// An adapter whose `realloc` is an adapter: one module.
    Realloc,
    /// An adapter whose callee is a lowered import whose `realloc` is an adapter: as many modules as adapters, at one point.
    Indirect,
    /// A lowered import whose `realloc` is a lowered import: no module, no operation.
    Lower,
    /// An instance that imports an adapter of a function of the instance before.
    Instances,
    /// A resource type whose destructor is an adapter of a function of an instance that imports the one before.
    Resources,
}

impl Chain {
    /// All of them.
    pub const ALL: [Chain; 6] =
        [Chain::Callee, Chain::Realloc, Chain::Indirect, Chain::Lower, Chain::Instances, Chain::Resources];

    /// The chain of a length.
    pub fn graph(self, length: usize) -> Graph {
        let mut maker = Maker::new();
        for _ in 0..length {
            maker.link(self);
        }
        maker.finish()
    }
}

struct Maker {
    graph: Graph,
    instance: NodeId,
    memory: MemoryOpt<NodeId>,
    last: NodeId,
    /// `(u32 × 4) -> u32`, which is the core type of `realloc` on both sides.
    realloc: SignatureIndex,
}

impl Maker {
    fn new() -> Maker {
        let palette = &*PALETTE;
        let realloc = palette.realloc[0];
        let limits = GraphLimits { effects_max: 1 << 20, ..GraphLimits::default() };
        let graph = Graph::new(palette.statics.clone(), limits);
        let nowhere = NodeId(0);
        let memory = MemoryOpt { memory: nowhere, shape: MemoryShape::DEFAULT };
        let mut maker = Maker { graph, instance: nowhere, memory, last: nowhere, realloc };
        maker.instance = maker.instantiate(&[]);
        maker.memory.memory = maker.project(CoreEntity::Memory(MemoryShape::DEFAULT));
        maker.last = maker.project(CoreEntity::Func(Some(realloc)));
        maker
    }

    fn add(&mut self, node: Node<NodeId>) -> NodeId {
        self.graph.add(node).unwrap_or(NodeId(0))
    }

    fn instantiate(&mut self, args: &[NodeId]) -> NodeId {
        let imports = vec![CoreEntity::Func(Some(self.realloc)); args.len()];
        self.graph.statics.modules.push(Module { bytes: 0..0, imports, start: true, throws: false });
        let module = ModuleRef::Static(ModuleIndex::at(self.graph.statics.modules.len() - 1));
        self.add(Node::Instantiate { module, args: Args::Positional(args.into()), component: ComponentIndex(0) })
    }

    fn project(&mut self, ty: CoreEntity) -> NodeId {
        // One index for each type, so that one export has one type; the module imports no more than one function.
        let index = match ty {
            CoreEntity::Func(Some(signature)) => 1 + signature.0,
            _ => 0,
        };
        debug_assert!(ty.sort() != Sort::Tag);
        self.add(Node::Project { instance: self.instance, key: Key::Index(index), ty })
    }

    /// An adapter of a function type, without pointers or with.
    fn fused(&mut self, row: usize, callee: NodeId, realloc: Option<NodeId>) -> NodeId {
        let func = &PALETTE.funcs[row];
        let mut opts = Opts::new(ComponentIndex(0));
        if realloc.is_some() {
            opts = Opts { memory: Some(self.memory), realloc, ..opts };
        }
        let lift = Side { ty: func.ty, opts: opts.clone() };
        let lower = Side { ty: func.ty, opts: Opts { realloc: None, ..opts } };
        self.add(Node::Fused(Box::new(Fused { lower, lift, callee, signature: func.lower[0] })))
    }

    fn lowered(&mut self, row: usize, realloc: Option<NodeId>) -> NodeId {
        let func = &PALETTE.funcs[row];
        let import = PALETTE.host_funcs.iter().find(|(_, of)| *of == row).map(|(import, _)| *import);
        let import = self.add(Node::Import(import.unwrap_or(crate::ids::ImportIndex(0))));
        let mut opts = Opts::new(ComponentIndex(0));
        if realloc.is_some() {
            opts = Opts { memory: Some(self.memory), realloc, ..opts };
        }
        self.add(Node::Lower { import, side: Side { ty: func.ty, opts }, signature: func.lower[0] })
    }

    fn link(&mut self, chain: Chain) {
        const REALLOC: usize = 0;
        const DTOR: usize = 2;
        self.last = match chain {
            Chain::Callee => self.fused(REALLOC, self.last, None),
            Chain::Realloc => {
                let callee = self.project(CoreEntity::Func(Some(self.realloc)));
                self.fused(REALLOC, callee, Some(self.last))
            }
            Chain::Indirect => {
                let lower = self.lowered(REALLOC, Some(self.last));
                self.fused(REALLOC, lower, None)
            }
            Chain::Lower => self.lowered(REALLOC, Some(self.last)),
            Chain::Instances => {
                self.instance = self.instantiate(&[self.last]);
                let func = self.project(CoreEntity::Func(Some(self.realloc)));
                self.fused(REALLOC, func, None)
            }
            Chain::Resources => {
                self.instance = self.instantiate(&[self.last]);
                let dtor = self.project(CoreEntity::Func(Some(PALETTE.dtor)));
                let dtor = self.fused(DTOR, dtor, None);
                let resource = ResourceId(self.graph.statics.resources.len() as u32);
                let component = ComponentIndex(0);
                self.graph.statics.resources.push(ResourceOrigin::Component(component));
                self.add(Node::DefineResource { resource, dtor: Some(dtor), component });
                let func = self.project(CoreEntity::Func(Some(self.realloc)));
                self.fused(REALLOC, func, None)
            }
        };
    }

    fn finish(mut self) -> Graph {
        let side = Side { ty: PALETTE.funcs[0].ty, opts: Opts::new(ComponentIndex(0)) };
        let lift = self.add(Node::Lift { callee: self.last, side });
        // One row is within any limit.
        let _row = self.graph.export(Export { parent: None, name: PALETTE.names[0], value: ExportValue::Func(lift) });
        self.graph
    }
}
