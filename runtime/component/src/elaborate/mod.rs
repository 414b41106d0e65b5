//! Symbolic instantiation: definitions in, graph out.
//!
//! Does what
//! [instantiation](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#instance-definitions) of
//! the root would do, with nodes of a graph in place of core values. A component is a closure: its definitions and what it
//! takes from the scopes around it. Nested components, aliases and synthetic instances leave no trace; each instantiation
//! of a component makes its resource types anew.
//!
//! Invariant: one explicit stack of frames, one budget of steps; everything a frame holds is a small copyable value, and what
//! is large is in an arena, so that neither making nor dropping anything recurses.
//!
//! Does not know: the binary format, schedules, adapters.

mod canon;
mod export;
mod import;
mod step;
mod value;

use crate::decode::ast::{Ast, Kind, ModuleTypeIndex, ScopeIndex, Symbol};
use crate::decode::broken;
use crate::error::{ComponentError, Limit};
use crate::graph::{self, Component, Graph, GraphLimits, ResourceOrigin, Signature, Statics};
use crate::ids::{ComponentIndex, FuncTypeIndex, ImportIndex, ModuleIndex, SignatureIndex};
use std::collections::HashMap;
use value::{Arena, Closure, ClosureId, CoreInstance, CoreItem, FuncValue, Instances, Item};
use wattest_canon::{Name, ResourceId, Types};

/// How large an elaboration may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElaborateLimits {
    /// Component instances.
    pub instances_max: u32,
    /// Steps: definitions carried out, and names, members and arguments handled for them.
    pub steps_max: u32,
    /// The graph.
    pub graph: GraphLimits,
}

impl Default for ElaborateLimits {
    fn default() -> ElaborateLimits {
        ElaborateLimits { instances_max: 10_000, steps_max: 1 << 21, graph: GraphLimits::default() }
    }
}

/// The graph of a component.
///
/// # Errors
/// What is not supported, and limits.
pub(crate) fn elaborate(ast: &Ast<'_>, limits: &ElaborateLimits) -> Result<Graph, ComponentError> {
    // Resource types of the host are numbered first. How many there are is known when the root has been walked, and rarely
    // matters: only a component that defines a resource type of its own before its last import needs another walk.
    let first = Elaborator::new(ast, limits, 0).run()?;
    let hosts = first.host_resources;
    if !first.component_resources_first {
        return Ok(first.graph);
    }
    Ok(Elaborator::new(ast, limits, hosts).run()?.graph)
}

/// What a finished walk gives.
struct Elaborated {
    graph: Graph,
    host_resources: u32,
    /// Whether the numbers of resource types are wrong, because too few were set aside for the host.
    component_resources_first: bool,
}

/// What an ended frame was for.
#[derive(Clone, Debug)]
enum Purpose {
    /// An instance of a component.
    Component,
    /// An instance that the host supplies, of an instance type; the names lead to it.
    Host { path: Box<[Name]>, export: Option<Symbol> },
}

/// A scope that is being instantiated.
struct Frame {
    scope: ScopeIndex,
    captures: std::ops::Range<u32>,
    purpose: Purpose,
    at: usize,
    component: ComponentIndex,
    // ORDER: only looked up.
    args: HashMap<Symbol, Item>,
    spaces: [Vec<Item>; Kind::COUNT],
    core: [Vec<CoreItem>; 5],
    core_instances: Vec<CoreInstance>,
    exports: Vec<(Symbol, Item)>,
}

struct Elaborator<'a, 'b> {
    ast: &'b Ast<'a>,
    limits: &'b ElaborateLimits,
    graph: Graph,
    steps: u64,
    frames: Vec<Frame>,
    instances: Instances,
    closures: Arena<Closure>,
    captured: Vec<Item>,
    funcs: Arena<FuncValue>,
    core_bundles: u32,
    // ORDER: all maps are only looked up.
    core_exports: HashMap<(u32, Symbol), (graph::Sort, CoreItem)>,
    host_exports: HashMap<(ImportIndex, Name), graph::CoreEntity>,
    host_imports: HashMap<ImportIndex, ModuleTypeIndex>,
    names: Vec<Option<Name>>,
    signatures: HashMap<Signature, SignatureIndex>,
    func_types: HashMap<graph::FuncType, FuncTypeIndex>,
    /// How many numbers of resource types are set aside for the host.
    hosts_reserved: u32,
    hosts: Vec<ImportIndex>,
    component_resources: Vec<ComponentIndex>,
}

impl<'a, 'b> Elaborator<'a, 'b> {
    fn new(ast: &'b Ast<'a>, limits: &'b ElaborateLimits, hosts_reserved: u32) -> Elaborator<'a, 'b> {
        let mut statics = Statics { types: Types::default(), signatures: ast.signatures.clone(), ..Statics::default() };
        for module in &ast.modules {
            statics.modules.push(graph::Module {
                bytes: module.bytes.clone(),
                imports: module.imports.iter().map(|(_, _, ty)| *ty).collect(),
                start: module.start,
                throws: module.throws,
            });
        }
        let rows = ast.signatures.iter().enumerate();
        let signatures = rows.map(|(at, row)| (row.clone(), SignatureIndex::at(at))).collect();
        Elaborator {
            ast,
            limits,
            graph: Graph::new(statics, limits.graph),
            steps: 0,
            frames: Vec::new(),
            instances: Instances::default(),
            closures: Arena::default(),
            captured: Vec::new(),
            funcs: Arena::default(),
            core_bundles: 0,
            core_exports: HashMap::new(),
            host_exports: HashMap::new(),
            host_imports: HashMap::new(),
            names: vec![None; ast.symbols.len()],
            signatures,
            func_types: HashMap::new(),
            hosts_reserved,
            hosts: Vec::new(),
            component_resources: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Elaborated, ComponentError> {
        let root = self.closures.push(Closure { scope: self.ast.root, captures: 0..0 });
        self.enter_component(root, HashMap::new(), None)?;
        let exports = loop {
            let Some(frame) = self.frames.last() else { return Err(broken("the root")) };
            if let Some(def) = self.ast.scopes[frame.scope.0 as usize].defs.get(frame.at) {
                self.spend(1)?;
                self.top().at += 1;
                self.step(def)?;
            } else if let Some(exports) = self.leave()? {
                break exports;
            }
        };
        self.export_root(&exports)?;
        Ok(self.finish())
    }

    fn finish(mut self) -> Elaborated {
        let host_resources = self.hosts.len() as u32;
        let wrong = host_resources != self.hosts_reserved && !self.component_resources.is_empty();
        let hosts = self.hosts.iter().map(|import| ResourceOrigin::Host(*import));
        let own = self.component_resources.iter().map(|component| ResourceOrigin::Component(*component));
        self.graph.statics.resources = hosts.chain(own).collect();
        Elaborated { graph: self.graph, host_resources, component_resources_first: wrong }
    }

    fn spend(&mut self, steps: u64) -> Result<(), ComponentError> {
        self.steps += steps;
        Ok(Limit::Steps.check(self.steps, self.limits.steps_max)?)
    }

    fn top(&mut self) -> &mut Frame {
        // The loop ends with the last frame.
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn enter_component(
        &mut self,
        closure: ClosureId,
        args: HashMap<Symbol, Item>,
        parent: Option<ComponentIndex>,
    ) -> Result<(), ComponentError> {
        let components = &mut self.graph.statics.components;
        Limit::Instances.check(components.len() as u64 + 1, self.limits.instances_max)?;
        let component = ComponentIndex::at(components.len());
        components.push(Component { parent });
        self.enter(closure, Purpose::Component, component, args)
    }

    fn enter(
        &mut self,
        closure: ClosureId,
        purpose: Purpose,
        component: ComponentIndex,
        args: HashMap<Symbol, Item>,
    ) -> Result<(), ComponentError> {
        let closure = self.closures.get(closure).clone();
        self.spend(1 + args.len() as u64)?;
        self.frames.push(Frame {
            scope: closure.scope,
            captures: closure.captures,
            purpose,
            at: 0,
            component,
            args,
            spaces: std::array::from_fn(|_| Vec::new()),
            core: std::array::from_fn(|_| Vec::new()),
            core_instances: Vec::new(),
            exports: Vec::new(),
        });
        Ok(())
    }

    /// Ends the innermost frame: its exports become an instance of the frame below, those of the last frame are returned.
    fn leave(&mut self) -> Result<Option<Vec<(Symbol, Item)>>, ComponentError> {
        let frame = self.frames.pop().ok_or_else(|| broken("a frame"))?;
        self.spend(frame.exports.len() as u64)?;
        if self.frames.is_empty() {
            return Ok(Some(frame.exports));
        }
        let instance = Item::Instance(self.instances.add(frame.exports));
        let below = self.top();
        below.spaces[Kind::Instance as usize].push(instance);
        if let Purpose::Host { export: Some(name), .. } = frame.purpose {
            below.exports.push((name, instance));
        }
        Ok(None)
    }

    fn module(&self, index: ModuleIndex) -> &'b crate::decode::ast::ModuleDef {
        &self.ast.modules[index.index()]
    }

    /// A name in the arena of types.
    fn name_of(&mut self, symbol: Symbol) -> Result<Name, ComponentError> {
        if let Some(name) = self.names[symbol.0 as usize] {
            return Ok(name);
        }
        let name = self.graph.statics.types.name(self.ast.symbols.text(symbol))?;
        self.names[symbol.0 as usize] = Some(name);
        Ok(name)
    }

    fn signature(&mut self, signature: Signature) -> SignatureIndex {
        let rows = &mut self.graph.statics.signatures;
        *self.signatures.entry(signature).or_insert_with_key(|signature| {
            rows.push(signature.clone());
            SignatureIndex::at(rows.len() - 1)
        })
    }

    fn func_type(&mut self, ty: graph::FuncType) -> FuncTypeIndex {
        let rows = &mut self.graph.statics.func_types;
        *self.func_types.entry(ty).or_insert_with_key(|ty| {
            rows.push(ty.clone());
            FuncTypeIndex::at(rows.len() - 1)
        })
    }

    fn host_resource(&mut self, import: ImportIndex) -> ResourceId {
        self.hosts.push(import);
        ResourceId(self.hosts.len() as u32 - 1)
    }

    fn component_resource(&mut self, component: ComponentIndex) -> ResourceId {
        self.component_resources.push(component);
        ResourceId(self.hosts_reserved + self.component_resources.len() as u32 - 1)
    }
}
