//! The emitter of adapter modules: from adapters of a graph to those of [`wattest_fuse`], and back to imports.
//!
//! An adapter is a [`canon lower`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lower)
//! of a `canon lift`; `fuse` says what it imports in terms of node identifiers and host functions, which become nodes here.
//!
//! Invariant: `may_leave` of a component instance is left out, and a call is no scope of its own, only if [`Facts`] says that
//! nothing can tell.
//!
//! Does not know: how adapters are compiled, where they are placed.

use crate::error::ComponentError;
use crate::graph::{Fused, Graph, Node, Side};
use crate::ids::{ComponentIndex, NodeId};
use crate::linearize::{Emit, Emitted};
use crate::passes::{Facts, Passes};
use wattest_fuse::{
    Adapter, AdapterId, AdapterModuleBuilder, CallScope, Callee, Concurrency, InstanceId, Memory, ModuleOptions, Source,
};

/// The emitter.
#[derive(Clone, Debug)]
pub struct FuseEmitter {
    options: ModuleOptions,
    facts: Facts,
}

impl FuseEmitter {
    /// An emitter for a graph.
    pub fn new(graph: &Graph, passes: &Passes) -> FuseEmitter {
        let facts = Facts::of(graph).for_adapters(passes);
        FuseEmitter { options: ModuleOptions { exceptions: facts.throws_anywhere() }, facts }
    }

    fn side(
        &self,
        graph: &mut Graph,
        members: &[NodeId],
        side: &Side<NodeId>,
    ) -> Result<wattest_fuse::Side<NodeId>, ComponentError> {
        let opts = &side.opts;
        let may_leave = match self.facts.sees_may_leave(opts.component) {
            false => None,
            true => Some(graph.add(Node::Flags(opts.component))?),
        };
        let memory = opts.memory.map(|memory| Memory {
            id: memory.memory,
            width: memory.shape.width,
            page_bits: u32::from(memory.shape.page_log2),
        });
        Ok(wattest_fuse::Side {
            instance: InstanceId(opts.component.0),
            may_leave,
            encoding: opts.encoding,
            memory,
            realloc: opts.realloc.map(|realloc| callee(members, realloc)),
            post_return: opts.post_return.map(|post_return| callee(members, post_return)),
            concurrency: match (opts.is_async, opts.callback) {
                (false, _) => Concurrency::Sync,
                (true, None) => Concurrency::Async,
                (true, Some(callback)) => Concurrency::Callback(callback),
            },
        })
    }

    fn adapter(
        &self,
        graph: &mut Graph,
        members: &[NodeId],
        fused: &Fused<NodeId>,
    ) -> Result<Adapter<NodeId>, ComponentError> {
        let lift = self.side(graph, members, &fused.lift)?;
        let lower = self.side(graph, members, &fused.lower)?;
        let ty = graph.statics.func_types.get(fused.lift.ty.index());
        let ty = ty.ok_or_else(|| ComponentError::Rejected(format!("there is no {}", fused.lift.ty)))?;
        Ok(Adapter {
            params: ty.params.iter().map(|(_, ty)| *ty).collect(),
            result: ty.result,
            is_async: ty.is_async,
            lift,
            lower,
            callee: callee(members, fused.callee),
            scope: match self.facts.sees_tasks(fused.lift.opts.component) {
                false => CallScope::WhenNeeded,
                true => CallScope::Always,
            },
        })
    }
}

/// A function of the same module, or an import.
fn callee(members: &[NodeId], id: NodeId) -> Callee<NodeId> {
    match members.binary_search(&id) {
        Ok(at) => Callee::Adapter(AdapterId(u32::try_from(at).unwrap_or(u32::MAX))),
        Err(_) => Callee::Import(id),
    }
}

impl Emit for FuseEmitter {
    fn emit(&mut self, graph: &mut Graph, members: &[NodeId]) -> Result<Emitted, ComponentError> {
        let mut adapters = Vec::with_capacity(members.len());
        for member in members {
            let Node::Fused(fused) = graph.node(*member) else {
                return Err(ComponentError::Rejected(format!("{member} is no adapter")));
            };
            let fused = fused.clone();
            adapters.push(self.adapter(graph, members, &fused)?);
        }
        let mut builder = AdapterModuleBuilder::new(&graph.statics.types, self.options);
        for adapter in adapters {
            builder.adapter(&adapter).map_err(|error| ComponentError::Unsupported(error.to_string()))?;
        }
        let module = builder.finish();
        let mut imports = Vec::with_capacity(module.imports.len());
        for import in module.imports {
            imports.push(match import.source {
                Source::Given(id) => id,
                Source::Intrinsic(intrinsic) => graph.add(Node::Support(intrinsic))?,
            });
        }
        Ok(Emitted { wasm: module.wasm, imports })
    }
}

/// The component instance behind a number that `fuse` was given.
pub const fn component_of(instance: InstanceId) -> ComponentIndex {
    ComponentIndex(instance.0)
}
