//! Types of operands: each is what its role asks for.
//!
//! Core signatures are those of
//! [flattening](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flattening); memories have the
//! width and page size that options say; arguments match the imports they are for.
//!
//! Invariant: what has an unknown core type (a function with references) passes; everything else is decided.
//!
//! Does not know: plans.

use crate::graph::{
    Args, Builtin, CoreEntity, Fused, Graph, ImportKind, Key, Module, ModuleRef, Node, ResourceOrigin, Role, Side,
    Signature, Sort,
};
use crate::ids::{ComponentIndex, ModuleIndex, NodeId, SignatureIndex};
use crate::verify::{Defect, Property};
use wattest_canon::{Convention, CoreType, Width, flatten_function};

/// Checks component instances, resource types and all nodes.
pub(super) fn check(graph: &Graph) -> Result<(), Defect> {
    p20_ancestry(graph)?;
    p4_resources(graph)?;
    let checker = Checker { graph, imports: Imports::of(&graph.statics.modules) };
    for (id, node) in (0..).map(NodeId).zip(graph.nodes()) {
        checker.node(id, node)?;
    }
    Ok(())
}

fn p20_ancestry(graph: &Graph) -> Result<(), Defect> {
    for (at, row) in graph.statics.components.iter().enumerate() {
        let fits = row.parent.is_none_or(|parent| parent.index() < at) && (row.parent.is_some() || at == 0);
        Property::P20.require(fits, || format!("i{at} has the parent {:?}", row.parent))?;
    }
    Ok(())
}

/// The host's resource types come first; effects define the others in order.
fn p4_resources(graph: &Graph) -> Result<(), Defect> {
    let origins = &graph.statics.resources;
    let mut next = origins.iter().take_while(|row| matches!(row, ResourceOrigin::Host(_))).count();
    for id in graph.effects() {
        if let Node::DefineResource { resource, component, .. } = graph.node(*id) {
            let origin = origins.get(resource.0 as usize).copied();
            let fits = resource.0 as usize == next && origin == Some(ResourceOrigin::Component(*component));
            Property::P4.require(fits, || format!("{id} defines {resource:?}, not number {next}"))?;
            next += 1;
        }
    }
    Property::P4.require(next == origins.len(), || format!("{next} of {} resource types", origins.len()))
}

struct Checker<'a> {
    graph: &'a Graph,
    imports: Imports,
}

/// The imports of each module, by sort.
#[derive(Default)]
struct Imports {
    all: Vec<CoreEntity>,
    /// By module, where each sort begins in `all`, and where the last one ends.
    begins: Vec<[usize; Sort::ALL.len() + 1]>,
}

impl Imports {
    fn of(modules: &[Module]) -> Imports {
        let mut imports = Imports::default();
        for module in modules {
            let mut begins = [imports.all.len(); Sort::ALL.len() + 1];
            for (at, sort) in Sort::ALL.into_iter().enumerate() {
                imports.all.extend(module.imports.iter().filter(|ty| ty.sort() == sort));
                begins[at + 1] = imports.all.len();
            }
            imports.begins.push(begins);
        }
        imports
    }

    fn of_sort(&self, module: ModuleIndex, sort: Sort) -> &[CoreEntity] {
        let sort = sort as usize;
        self.begins.get(module.index()).map_or(&[], |begins| &self.all[begins[sort]..begins[sort + 1]])
    }
}

impl Checker<'_> {
    fn node(&self, id: NodeId, node: &Node<NodeId>) -> Result<(), Defect> {
        let mut verdict = Ok(());
        node.for_each_operand(|role, operand| {
            if verdict.is_ok() {
                verdict = self.operand(id, node, role, operand);
            }
        });
        verdict?;
        match node {
            Node::Instantiate { module, args, component } => {
                self.component(id, *component)?;
                self.arguments(id, module, args)
            }
            Node::DefineResource { component, .. }
            | Node::Flags(component)
            | Node::TrapStub { caller: component, .. } => self.component(id, *component),
            Node::Import(import) => {
                let known = self.graph.statics.import(*import).is_some();
                Property::P18.require(known, || format!("{id}: there is no {import}"))
            }
            Node::Lower { side, signature, .. } => self.side(id, side, lower(side), Some(*signature)),
            Node::Lift { side, .. } => self.side(id, side, lift(side), None),
            Node::Fused(fused) => self.fused(id, fused),
            Node::Builtin(builtin) => self.builtin(id, builtin),
            Node::Project { instance, key, ty } => self.project(id, *instance, *key, *ty),
            Node::Support(_) => Ok(()),
        }
    }

    /// An export that is an import of its own module has the import's type.
    fn project(&self, id: NodeId, instance: NodeId, key: Key, ty: CoreEntity) -> Result<(), Defect> {
        let (Node::Instantiate { module: ModuleRef::Static(module), .. }, Key::Index(index)) =
            (self.graph.node(instance), key)
        else {
            return Ok(());
        };
        let import = self.imports.of_sort(*module, ty.sort()).get(index as usize).copied();
        let fits = import.is_none_or(|import| import == ty);
        Property::P21.require(fits, || format!("{id}: the export is an import of another type"))
    }

    fn component(&self, id: NodeId, component: ComponentIndex) -> Result<(), Defect> {
        let known = component.index() < self.graph.statics.components.len();
        Property::P20.require(known, || format!("{id}: there is no {component}"))
    }

    fn operand(&self, id: NodeId, node: &Node<NodeId>, role: Role, operand: NodeId) -> Result<(), Defect> {
        let earlier = operand < id;
        Property::P1.require(earlier, || format!("{id} uses {operand}"))?;
        let value = self.graph.node(operand);
        let fits = match role {
            Role::Module => matches!(self.import_kind(value), Some(ImportKind::Module(_))),
            Role::Import => matches!(self.import_kind(value), Some(ImportKind::Func(_))),
            Role::Resource => {
                matches!(value, Node::DefineResource { .. })
                    || matches!(self.import_kind(value), Some(ImportKind::Resource(_)))
            }
            Role::Instance => matches!(value, Node::Instantiate { .. }),
            Role::Table => matches!(value, Node::Project { ty: CoreEntity::Table, .. }),
            Role::Arg(_) => core_entity(value).is_some(),
            Role::Memory(shape) => {
                let memory = matches!(value, Node::Project { ty: CoreEntity::Memory(own), .. } if *own == shape);
                return Property::P21.require(memory, || format!("{id}: {operand} is no memory of this shape"));
            }
            Role::From | Role::To => {
                let memory = matches!(value, Node::Project { ty: CoreEntity::Memory(_), .. });
                return Property::P13.require(memory, || format!("{id}: {operand} is no memory"));
            }
            Role::Dtor | Role::Realloc(_) | Role::PostReturn | Role::Callback | Role::Callee => {
                return self.function(id, node, role, operand);
            }
        };
        Property::P21.require(fits, || format!("{id}: {operand} does not fit {role:?}"))
    }

    fn import_kind(&self, value: &Node<NodeId>) -> Option<&ImportKind> {
        let Node::Import(import) = value else { return None };
        self.graph.statics.import(*import).map(|row| &row.kind)
    }

    fn function(&self, id: NodeId, node: &Node<NodeId>, role: Role, operand: NodeId) -> Result<(), Defect> {
        let value = self.graph.node(operand);
        let is_func = matches!(core_entity(value), Some(CoreEntity::Func(_)));
        Property::P21.require(is_func, || format!("{id}: {operand} is no function"))?;
        let Some(own) = value.signature() else { return Ok(()) };
        let pointer = |width| CoreType::pointer(width);
        let wanted = match role {
            Role::Dtor => signature(&[CoreType::I32], &[]),
            Role::Realloc(width) => signature(&[pointer(width); 4], &[pointer(width)]),
            Role::Callback => signature(&[CoreType::I32; 3], &[CoreType::I32]),
            _ => {
                let side = match node {
                    Node::Lift { side, .. } => side,
                    Node::Fused(fused) => &fused.lift,
                    // Whatever else may name a `post-return` has no callee.
                    _ => return Err(Property::P21.broken(format!("{id} has no function to lift"))),
                };
                let lifted = self.flat(id, side, lift(side))?;
                if role == Role::Callee {
                    lifted
                } else {
                    Signature { params: lifted.results.into_iter().collect(), results: <_>::default() }
                }
            }
        };
        self.equal(id, own, &wanted)
    }

    fn equal(&self, id: NodeId, own: SignatureIndex, wanted: &Signature) -> Result<(), Defect> {
        let known = self.graph.statics.signatures.get(own.index());
        Property::P21.require(known == Some(wanted), || format!("{id}: {known:?} is not {wanted:?}"))
    }

    fn flat(&self, id: NodeId, side: &Side<NodeId>, convention: Convention) -> Result<Signature, Defect> {
        let statics = &self.graph.statics;
        let ty = statics.func_types.get(side.ty.index());
        let ty = ty.ok_or_else(|| Property::P21.broken(format!("{id}: there is no function type {}", side.ty)))?;
        let params: smallvec::SmallVec<[_; 8]> = ty.params.iter().map(|(_, ty)| *ty).collect();
        let flat = flatten_function(&statics.types, &params, ty.result, side.opts.width(), convention);
        Ok(Signature { params: flat.params.into_iter().collect(), results: flat.results })
    }

    fn side(
        &self,
        id: NodeId,
        side: &Side<NodeId>,
        convention: Convention,
        own: Option<SignatureIndex>,
    ) -> Result<(), Defect> {
        self.component(id, side.opts.component)?;
        match own {
            Some(own) => self.equal(id, own, &self.flat(id, side, convention)?),
            None => Ok(()),
        }
    }

    fn fused(&self, id: NodeId, fused: &Fused<NodeId>) -> Result<(), Defect> {
        self.side(id, &fused.lift, lift(&fused.lift), None)?;
        self.side(id, &fused.lower, lower(&fused.lower), Some(fused.signature))
    }

    fn builtin(&self, id: NodeId, builtin: &Builtin<NodeId>) -> Result<(), Defect> {
        self.component(id, builtin.opts.component)?;
        let width = builtin.opts.memory.as_ref().map_or(Width::W32, |memory| memory.shape.width);
        let Some((params, results)) = builtin.row.core_signature(width, builtin.immediates) else { return Ok(()) };
        self.equal(id, builtin.signature, &signature(&params, &results))
    }

    fn arguments(&self, id: NodeId, module: &ModuleRef<NodeId>, args: &Args<NodeId>) -> Result<(), Defect> {
        match (module, args) {
            (ModuleRef::Static(module), Args::Positional(values)) => {
                let row = self.graph.statics.modules.get(module.index());
                let row = row.ok_or_else(|| Property::P21.broken(format!("{id}: there is no {module}")))?;
                let count = row.imports.len();
                Property::P21
                    .require(values.len() == count, || format!("{id}: {} of {count} imports", values.len()))?;
                row.imports.iter().zip(values).try_for_each(|(wanted, value)| self.argument(id, *wanted, *value))
            }
            (ModuleRef::Host(module), Args::Named(rows)) => {
                let Some(ImportKind::Module(ty)) = self.import_kind(self.graph.node(*module)) else { return Ok(()) };
                for (module, name, wanted) in &ty.imports {
                    let found = rows.iter().find(|row| (row.0, row.1) == (*module, *name));
                    let found = found.ok_or_else(|| Property::P21.broken(format!("{id}: an import is missing")))?;
                    self.argument(id, *wanted, found.2)?;
                }
                Ok(())
            }
            _ => Err(Property::P21.broken(format!("{id}: arguments of the wrong kind"))),
        }
    }

    fn argument(&self, id: NodeId, wanted: CoreEntity, value: NodeId) -> Result<(), Defect> {
        let fits = match (wanted, core_entity(self.graph.node(value))) {
            (CoreEntity::Func(None), Some(CoreEntity::Func(_)))
            | (CoreEntity::Func(_), Some(CoreEntity::Func(None))) => true,
            (wanted, own) => own == Some(wanted),
        };
        Property::P21.require(fits, || format!("{id}: {value} is not {wanted:?}"))
    }
}

fn lower(side: &Side<NodeId>) -> Convention {
    if side.opts.is_async { Convention::LowerAsync } else { Convention::Lower }
}

fn lift(side: &Side<NodeId>) -> Convention {
    match (side.opts.is_async, side.opts.callback) {
        (false, _) => Convention::Lift,
        (true, Some(_)) => Convention::LiftAsyncCallback,
        (true, None) => Convention::LiftAsync,
    }
}

fn signature(params: &[CoreType], results: &[CoreType]) -> Signature {
    Signature { params: params.into(), results: results.into() }
}

/// What a node is to a core module.
fn core_entity(node: &Node<NodeId>) -> Option<CoreEntity> {
    match node {
        Node::Project { ty, .. } => Some(*ty),
        Node::Flags(_) => Some(CoreEntity::Global),
        Node::Lower { .. } | Node::Builtin(_) | Node::Fused(_) | Node::Support(_) | Node::TrapStub { .. } => {
            Some(CoreEntity::Func(node.signature()))
        }
        _ => None,
    }
}
