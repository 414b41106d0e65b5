//! From recipes to graphs.
//!
//! Keeps pools of the values there are, by what they can be used for, and makes what a pool lacks
//! ([canonical definitions](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#canonical-definitions)
//! take any function of the right type).
//!
//! Invariant: a picked value is older than its user and of the type its role asks for.
//!
//! Does not know: where recipes come from.

use crate::graph::{
    Args, Builtin, Component, CoreEntity, Export, ExportValue, Fused, Graph, GraphLimits, ImportKind, Key, MemoryOpt,
    Module, ModuleRef, Node, Opts, ResourceOrigin, Side, StubTrap,
};
use crate::ids::{ComponentIndex, ExportIndex, ModuleIndex, NodeId, SignatureIndex};
use crate::intrinsics::Intrinsic;
use crate::random::palette::{FuncRow, PALETTE, Palette, SHAPES};
use crate::random::{Step, StepKind};
use wattest_canon::{Encoding, Name, ResourceId, Width};

pub(super) struct Builder {
    palette: &'static Palette,
    graph: Graph,
    step: Step,
    read: usize,
    /// Instances of the component's modules.
    instances: Vec<NodeId>,
    host_instances: Vec<NodeId>,
    /// By signature.
    funcs: Vec<Vec<NodeId>>,
    /// By position in [`SHAPES`].
    memories: [Vec<NodeId>; SHAPES.len()],
    others: Vec<NodeId>,
    /// Functions that no instance has imported so far.
    waiting: Vec<NodeId>,
    resources: Vec<NodeId>,
    /// Exported instances.
    parents: Vec<ExportIndex>,
}

/// A graph as good as new, if its tables are still those of the palette and what recipes add to them.
pub(super) fn reclaimed(mut graph: Graph) -> Option<Graph> {
    let (statics, first) = (&mut graph.statics, &PALETTE.statics);
    if statics.types.len() != first.types.len() {
        return None;
    }
    statics.func_types.truncate(first.func_types.len());
    statics.signatures.truncate(first.signatures.len());
    statics.modules.clear();
    statics.imports.truncate(first.imports.len());
    statics.components.truncate(first.components.len());
    statics.resources.truncate(first.resources.len());
    graph.clear();
    Some(graph)
}

impl Default for Builder {
    fn default() -> Builder {
        let palette = &*PALETTE;
        Builder {
            palette,
            graph: Graph::default(),
            step: Step::default(),
            read: 0,
            instances: Vec::new(),
            host_instances: Vec::new(),
            funcs: vec![Vec::new(); palette.statics.signatures.len()],
            memories: Default::default(),
            others: Vec::new(),
            waiting: Vec::new(),
            resources: Vec::new(),
            parents: Vec::new(),
        }
    }
}

impl Builder {
    fn clear(&mut self) {
        let pools = [&mut self.instances, &mut self.host_instances, &mut self.others, &mut self.waiting];
        let pools = pools.into_iter().chain([&mut self.resources]).chain(&mut self.funcs).chain(&mut self.memories);
        pools.for_each(Vec::clear);
        self.parents.clear();
    }

    /// The graph of a recipe, in the memory of a spare one.
    pub(super) fn build(&mut self, spare: Option<Graph>, steps: &[Step]) -> Graph {
        self.clear();
        self.graph = spare.unwrap_or_else(|| Graph::new(self.palette.statics.clone(), GraphLimits::default()));
        for step in steps {
            self.step = *step;
            self.read = 0;
            match StepKind::of(*step) {
                StepKind::Instantiate => self.instantiate(),
                StepKind::InstantiateHost => self.instantiate_host(),
                StepKind::Resource => self.resource(),
                StepKind::Project => self.project(),
                StepKind::Lower => self.lower(),
                StepKind::Fused => self.fused(),
                StepKind::Indirect => self.indirect(),
                StepKind::Builtin => self.builtin(),
                StepKind::TrapStub => self.stub(),
                StepKind::Lift => self.lift(),
                StepKind::Export => self.export(),
                StepKind::Again => self.again(),
                StepKind::Component => self.component(),
            }
        }
        std::mem::take(&mut self.graph)
    }

    /// The step's next number; beyond its eight, mixtures of them, which are small when all are.
    fn next(&mut self) -> usize {
        let pick = self.step.picks[self.read % 8].rotate_left((self.read / 8 * 5 % 16) as u32);
        self.read += 1;
        usize::from(pick)
    }

    fn below(&mut self, count: usize) -> usize {
        self.next() % count.max(1)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.next() % count == count - 1
    }

    /// The newest, which makes chains, the oldest or any.
    fn pick<T: Copy>(&mut self, pool: &[T]) -> Option<T> {
        let number = self.next();
        match number % 8 {
            0..=3 => pool.last().copied(),
            4 => pool.first().copied(),
            _ => pool.get((number / 8).checked_rem(pool.len())?).copied(),
        }
    }

    /// A graph of this size is far from its limits; should one be reached, the recipe ends early in effect.
    fn add(&mut self, node: Node<NodeId>) -> NodeId {
        self.graph.add(node).unwrap_or(NodeId(0))
    }

    fn add_func(&mut self, node: Node<NodeId>) -> NodeId {
        let signature = node.signature();
        let waits = matches!(node, Node::Fused(_) | Node::Lower { .. } | Node::Builtin(_));
        let id = self.add(node);
        if waits {
            self.waiting.push(id);
        }
        if let Some(pool) = signature.and_then(|signature| self.funcs.get_mut(signature.index())) {
            pool.push(id);
        }
        id
    }

    fn any_component(&mut self) -> ComponentIndex {
        let count = self.graph.statics.components.len();
        ComponentIndex::at(self.below(count))
    }

    /// A core function of a type: an old one, or an export of an instance, or if there is none a stub.
    fn func(&mut self, signature: SignatureIndex) -> NodeId {
        if !self.one_in(5) {
            let pool = std::mem::take(&mut self.funcs[signature.index()]);
            let picked = self.pick(&pool);
            self.funcs[signature.index()] = pool;
            if let Some(picked) = picked {
                return picked;
            }
        }
        let instances = std::mem::take(&mut self.instances);
        let instance = self.pick(&instances);
        self.instances = instances;
        match instance {
            Some(instance) => {
                let index = signature.index() + self.funcs.len() * self.below(2);
                self.project_index(instance, index as u32, CoreEntity::Func(Some(signature)))
            }
            None => {
                let (caller, blocks) = (self.any_component(), self.one_in(8));
                self.add_func(Node::TrapStub { trap: StubTrap::Unsupported, caller, blocks, signature })
            }
        }
    }

    /// Functions with an index have the signature that the index says, memories the shape: one export has one type. What a
    /// module imports comes before what it defines.
    fn project_index(&mut self, instance: NodeId, index: u32, ty: CoreEntity) -> NodeId {
        let imports = self.imports_of(instance).iter().filter(|import| import.sort() == ty.sort()).count() as u32;
        let node = Node::Project { instance, key: Key::Index(imports + index), ty };
        match ty {
            CoreEntity::Func(_) => self.add_func(node),
            CoreEntity::Memory(_) => {
                let id = self.add(node);
                self.memories[index as usize % SHAPES.len()].push(id);
                id
            }
            _ => {
                let id = self.add(node);
                self.others.push(id);
                id
            }
        }
    }

    fn imports_of(&self, instance: NodeId) -> &[CoreEntity] {
        match self.graph.node(instance) {
            Node::Instantiate { module: ModuleRef::Static(module), .. } => {
                &self.graph.statics.modules[module.index()].imports
            }
            _ => &[],
        }
    }

    /// An export that is an import of the instance's own module.
    fn reexport(&mut self, instance: NodeId) {
        let imports = self.imports_of(instance).to_vec();
        let Some(ty) = self.pick(&imports) else { return };
        let index = imports.iter().filter(|import| import.sort() == ty.sort()).position(|import| *import == ty);
        let node = Node::Project { instance, key: Key::Index(index.unwrap_or(0) as u32), ty };
        match ty {
            CoreEntity::Func(_) => _ = self.add_func(node),
            CoreEntity::Memory(shape) => {
                let id = self.add(node);
                let pool = SHAPES.iter().position(|row| *row == shape).unwrap_or(0);
                self.memories[pool].push(id);
            }
            _ => {
                let id = self.add(node);
                self.others.push(id);
            }
        }
    }

    /// A memory, if there is or can be one.
    fn memory(&mut self) -> Option<MemoryOpt<NodeId>> {
        let shape = if self.one_in(3) { self.below(SHAPES.len()) } else { 0 };
        if !self.one_in(4) {
            let pool = std::mem::take(&mut self.memories[shape]);
            let picked = self.pick(&pool);
            self.memories[shape] = pool;
            if let Some(memory) = picked {
                return Some(MemoryOpt { memory, shape: SHAPES[shape] });
            }
        }
        let instances = std::mem::take(&mut self.instances);
        let instance = self.pick(&instances);
        self.instances = instances;
        let memory = self.project_index(instance?, shape as u32, CoreEntity::Memory(SHAPES[shape]));
        Some(MemoryOpt { memory, shape: SHAPES[shape] })
    }

    /// A value of any kind that a core module can import.
    fn any_core(&mut self) -> NodeId {
        match self.below(6) {
            0 => self.memory().map(|memory| memory.memory),
            1 => {
                let pool = std::mem::take(&mut self.others);
                let picked = self.pick(&pool);
                self.others = pool;
                picked
            }
            2 => None,
            // Most adapters are to be used by something.
            _ => {
                let at = self.below(self.waiting.len());
                (at < self.waiting.len()).then(|| self.waiting.swap_remove(at))
            }
        }
        .unwrap_or_else(|| {
            let signature = SignatureIndex::at(self.below(self.funcs.len()));
            self.func(signature)
        })
    }

    fn entity(&self, id: NodeId) -> CoreEntity {
        match self.graph.node(id) {
            Node::Project { ty, .. } => *ty,
            node => CoreEntity::Func(node.signature()),
        }
    }

    fn instantiate(&mut self) {
        let args: Box<[NodeId]> = (0..self.below(6)).map(|_| self.any_core()).collect();
        let imports = args.iter().map(|arg| self.entity(*arg)).collect();
        let start = self.one_in(2);
        self.graph.statics.modules.push(Module { bytes: 0..0, imports, start, throws: false });
        let module = ModuleRef::Static(ModuleIndex::at(self.graph.statics.modules.len() - 1));
        let component = self.any_component();
        let id = self.add(Node::Instantiate { module, args: Args::Positional(args), component });
        self.instances.push(id);
    }

    fn instantiate_host(&mut self) {
        let Some(import) = self.pick(&self.palette.host_modules) else { return };
        let ImportKind::Module(module) = &self.palette.statics.imports[import.index()].kind else { return };
        let mut args: Vec<(Name, Name, NodeId)> = Vec::new();
        for (outer, inner, ty) in &module.imports {
            let value = match ty {
                CoreEntity::Func(Some(signature)) => Some(self.func(*signature)),
                CoreEntity::Memory(_) => {
                    self.memory().filter(|memory| memory.shape == SHAPES[0]).map(|memory| memory.memory)
                }
                _ => None,
            };
            let Some(value) = value else { return };
            args.push((*outer, *inner, value));
        }
        if self.one_in(3) {
            let more = self.any_core();
            args.push((self.palette.names[4], self.palette.names[5], more));
        }
        let module = ModuleRef::Host(self.add(Node::Import(import)));
        let component = self.any_component();
        let id = self.add(Node::Instantiate { module, args: Args::Named(args.into()), component });
        self.host_instances.push(id);
    }

    fn resource(&mut self) {
        let dtor = if self.one_in(4) { None } else { Some(self.func(self.palette.dtor)) };
        let component = self.any_component();
        let resource = ResourceId(self.graph.statics.resources.len() as u32);
        self.graph.statics.resources.push(ResourceOrigin::Component(component));
        let id = self.add(Node::DefineResource { resource, dtor, component });
        self.resources.push(id);
    }

    fn project(&mut self) {
        if self.one_in(4)
            && let Some(instance) = self.host_instances.last().copied()
        {
            let ty = self.palette.host_modules[0];
            let ImportKind::Module(module) = &self.palette.statics.imports[ty.index()].kind else { return };
            let Some((name, ty)) = self.pick(&module.exports) else { return };
            let node = Node::Project { instance, key: Key::Name(name), ty };
            match ty {
                CoreEntity::Func(_) => _ = self.add_func(node),
                _ => {
                    let id = self.add(node);
                    self.memories[0].push(id);
                }
            }
            return;
        }
        let instances = std::mem::take(&mut self.instances);
        if let Some(instance) = self.pick(&instances) {
            if self.one_in(4) {
                self.reexport(instance);
            }
            let index = self.below(6) as u32;
            let ty = match self.below(5) {
                0 => CoreEntity::Table,
                1 => CoreEntity::Global,
                2 => CoreEntity::Tag,
                3 => CoreEntity::Memory(SHAPES[index as usize % SHAPES.len()]),
                _ => CoreEntity::Func(Some(SignatureIndex::at(index as usize % self.funcs.len()))),
            };
            self.project_index(instance, index, ty);
        }
        self.instances = instances;
    }

    /// A function type and a memory for it; only types without pointers where there is no memory.
    fn typed(&mut self) -> (&'static FuncRow, Option<MemoryOpt<NodeId>>) {
        let funcs = &self.palette.funcs;
        let func = &funcs[self.below(funcs.len())];
        self.with_memory(func)
    }

    fn with_memory(&mut self, func: &'static FuncRow) -> (&'static FuncRow, Option<MemoryOpt<NodeId>>) {
        if !func.params_in_memory && !func.result_in_memory {
            // Options that no call needs are allowed, and must not be lost.
            let memory = if self.one_in(2) { self.memory() } else { None };
            return (func, memory);
        }
        match self.memory() {
            Some(memory) => (func, Some(memory)),
            None => (&self.palette.funcs[2], None),
        }
    }

    fn opts(&mut self, memory: Option<MemoryOpt<NodeId>>, realloc: bool) -> Opts<NodeId> {
        let component = self.any_component();
        let encoding = Encoding::ALL[self.below(3)];
        let width = memory.map_or(Width::W32, |memory| memory.shape.width);
        let realloc =
            ((realloc || self.one_in(3)) && memory.is_some()).then(|| self.func(self.palette.realloc[wide(width)]));
        Opts { encoding, memory, realloc, ..Opts::new(component) }
    }

    fn lower(&mut self) {
        let Some((import, row)) = self.pick(&self.palette.host_funcs) else { return };
        let (func, memory) = self.with_memory(&self.palette.funcs[row]);
        if func.ty != self.palette.funcs[row].ty {
            return;
        }
        let opts = self.opts(memory, func.result_in_memory);
        let signature = func.lower[wide(opts.width())];
        let import = self.add(Node::Import(import));
        self.add_func(Node::Lower { import, side: Side { ty: func.ty, opts }, signature });
    }

    fn lifted(&mut self, func: &'static FuncRow, memory: Option<MemoryOpt<NodeId>>) -> (Side<NodeId>, NodeId) {
        let mut opts = self.opts(memory, func.params_in_memory);
        let width = wide(opts.width());
        if self.one_in(3) {
            opts.post_return = Some(self.func(func.post_return[width]));
        }
        let callee = self.func(func.lift[width]);
        (Side { ty: func.ty, opts }, callee)
    }

    fn fused(&mut self) {
        let (func, memory) = self.typed();
        let (lift, callee) = self.lifted(func, memory);
        let memory = match memory {
            Some(_) => self.memory().or(memory),
            None => None,
        };
        let opts = self.opts(memory, func.result_in_memory);
        let signature = func.lower[wide(opts.width())];
        let lower = Side { ty: func.ty, opts };
        self.add_func(Node::Fused(Box::new(Fused { lower, lift, callee, signature })));
    }

    /// An adapter that reaches another one only through the options of a lowered import.
    fn indirect(&mut self) {
        let Some(memory) = self.memory() else { return };
        let width = wide(memory.shape.width);
        // The rows whose core type is that of `realloc`.
        let (row, realloc) = (&self.palette.funcs[width], self.palette.realloc[width]);
        let Some((import, _)) = self.palette.host_funcs.iter().find(|(_, of)| *of == width).copied() else { return };
        let import = self.add(Node::Import(import));
        let opts = Opts { memory: Some(memory), realloc: Some(self.func(realloc)), ..Opts::new(self.any_component()) };
        let lower = Node::Lower { import, side: Side { ty: row.ty, opts }, signature: row.lower[width] };
        let lower = self.add(lower);
        let mut opts = Opts { memory: Some(memory), ..Opts::new(self.any_component()) };
        let callee = if self.one_in(2) {
            opts.realloc = Some(lower);
            self.func(row.lift[width])
        } else {
            lower
        };
        let caller = Opts { memory: Some(memory), ..Opts::new(self.any_component()) };
        let fused = Fused {
            lower: Side { ty: row.ty, opts: caller },
            lift: Side { ty: row.ty, opts },
            callee,
            signature: row.lower[width],
        };
        self.add_func(Node::Fused(Box::new(fused)));
    }

    fn builtin(&mut self) {
        const ROWS: [Intrinsic; 6] = [
            Intrinsic::ResourceNew,
            Intrinsic::ResourceDrop,
            Intrinsic::ResourceRep,
            Intrinsic::BackpressureInc,
            Intrinsic::ErrorContextNew,
            Intrinsic::ErrorContextDebugMessage,
        ];
        let row = ROWS[self.below(ROWS.len())];
        let needs_memory = row.needs().contains(&crate::intrinsics::Need::Memory);
        let memory = if needs_memory { self.memory() } else { None };
        if needs_memory && memory.is_none() {
            return;
        }
        let opts = self.opts(memory, row.needs().contains(&crate::intrinsics::Need::Realloc));
        let resource = row.needs().contains(&crate::intrinsics::Need::Resource).then(|| self.any_resource());
        let Some((params, results)) = row.core_signature(opts.width(), [0; 2]) else { return };
        let signature = crate::graph::Signature { params: params.into(), results: results.into() };
        let signature = self.graph.statics.signature(&signature);
        let builtin = Builtin { row, opts, resource, table: None, ty: None, immediates: [0; 2], signature };
        self.add_func(builtin.into());
    }

    fn any_resource(&mut self) -> NodeId {
        let resources = std::mem::take(&mut self.resources);
        let picked = if self.one_in(4) { None } else { self.pick(&resources) };
        self.resources = resources;
        picked.unwrap_or_else(|| {
            let import = self.palette.host_resources[self.below(self.palette.host_resources.len())];
            self.add(Node::Import(import))
        })
    }

    fn stub(&mut self) {
        let signature = SignatureIndex::at(self.below(self.funcs.len()));
        let (caller, blocks) = (self.any_component(), self.one_in(4));
        self.add_func(Node::TrapStub { trap: StubTrap::CannotEnter, caller, blocks, signature });
    }

    fn lift(&mut self) {
        let (func, memory) = self.typed();
        let (side, callee) = self.lifted(func, memory);
        let id = self.add(Node::Lift { callee, side });
        self.row(ExportValue::Func(id));
    }

    fn row(&mut self, value: ExportValue<NodeId>) {
        let parents = std::mem::take(&mut self.parents);
        let parent = if self.one_in(2) { self.pick(&parents) } else { None };
        self.parents = parents;
        // Limits are far away, and names need not be distinct for anything that is tested here.
        let name = self.palette.names[self.below(self.palette.names.len())];
        if let Ok(row) = self.graph.export(Export { parent, name, value })
            && value == ExportValue::Instance
        {
            self.parents.push(row);
        }
    }

    fn export(&mut self) {
        let value = match self.below(5) {
            0 => ExportValue::Instance,
            1 => ExportValue::Resource(self.any_resource()),
            2 => {
                let (import, _) = self.palette.host_funcs[self.below(self.palette.host_funcs.len())];
                ExportValue::Func(self.add(Node::Import(import)))
            }
            3 => {
                let import = self.palette.host_modules[self.below(self.palette.host_modules.len())];
                ExportValue::Module(ModuleRef::Host(self.add(Node::Import(import))))
            }
            _ => ExportValue::Opaque,
        };
        self.row(value);
    }

    fn again(&mut self) {
        let count = self.graph.nodes().len();
        let at = self.below(count);
        let Some(node) = self.graph.nodes().get(at).cloned() else { return };
        if !node.is_effect() {
            self.add(node);
        }
    }

    fn component(&mut self) {
        let parent = self.any_component();
        self.graph.statics.components.push(Component { parent: Some(parent) });
    }
}

const fn wide(width: Width) -> usize {
    match width {
        Width::W32 => 0,
        Width::W64 => 1,
    }
}
