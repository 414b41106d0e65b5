//! Canonical definitions.
//!
//! `canon lift` makes a component function, `canon lower` and the built-ins make core functions
//! ([canonical ABI](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canonical-definitions)).
//! A lowered function of the host stays a lowering; a lowered function of another component instance is an adapter; between
//! an instance and itself, or one that contains it, there is only a trap.
//!
//! Invariant: a core function's signature is the flattened type of its definition.
//!
//! Does not know: what adapters do.

use super::Elaborator;
use super::value::{CoreItem, FuncValue, Item, TypeValue};
use crate::decode::ast::{self, BuiltinDef, Canon, Kind};
use crate::decode::broken;
use crate::error::ComponentError;
use crate::graph::{Builtin, CoreEntity, Fused, MemoryOpt, Node, Opts, Side, Signature, Sort, StubTrap};
use crate::ids::{FuncTypeIndex, NodeId, SignatureIndex};
use crate::intrinsics::Intrinsic;
use crate::types::TypeScope;
use wattest_canon::{Convention, CoreType, Encoding, Type, TypeId, flatten_function};

impl Elaborator<'_, '_> {
    pub(super) fn canon(&mut self, canon: &Canon) -> Result<(), ComponentError> {
        match canon {
            Canon::Lift { func, ty, options } => {
                let callee = self.core_item(Sort::Func, *func)?.node;
                let Item::Type(TypeValue::Func(ty)) = self.item(Kind::Type, *ty)? else {
                    return Err(broken("a function type"));
                };
                let opts = self.options(options)?;
                let func = self.funcs.push(FuncValue::Lifted { callee, side: Side { ty, opts } });
                self.push(Kind::Func, Item::Func(func));
                Ok(())
            }
            Canon::Lower { func, options } => self.lower(*func, options),
            Canon::Builtin(def) => self.builtin(def),
            Canon::Unsupported(what) => Err(ComponentError::Unsupported(format!("canon {what}"))),
        }
    }

    fn options(&self, options: &ast::Options) -> Result<Opts<NodeId>, ComponentError> {
        if options.is_gc {
            return Err(ComponentError::Unsupported("the canonical option `gc`".to_owned()));
        }
        let func = |index: Option<u32>| {
            index.map(|index| Ok::<_, ComponentError>(self.core_item(Sort::Func, index)?.node)).transpose()
        };
        let memory = match options.memory {
            None => None,
            Some(index) => match self.core_item(Sort::Memory, index)? {
                CoreItem { node, ty: CoreEntity::Memory(shape) } => Some(MemoryOpt { memory: node, shape }),
                _ => return Err(broken("a memory")),
            },
        };
        let component = self.frames.last().ok_or_else(|| broken("a frame"))?.component;
        Ok(Opts {
            component,
            encoding: options.encoding.unwrap_or(Encoding::Utf8),
            memory,
            realloc: func(options.realloc)?,
            post_return: func(options.post_return)?,
            callback: func(options.callback)?,
            is_async: options.is_async,
        })
    }

    fn lower(&mut self, func: u32, options: &ast::Options) -> Result<(), ComponentError> {
        let Item::Func(func) = self.item(Kind::Func, func)? else { return Err(broken("a function")) };
        let func = self.funcs.get(func).clone();
        let opts = self.options(options)?;
        let signature = self.lowered(func.ty(), &opts);
        let side = Side { ty: func.ty(), opts };
        let node = match func {
            FuncValue::Host { import, .. } => Node::Lower { import, side, signature },
            FuncValue::Lifted { side: lift, .. } if self.are_nested(&side, &lift) => {
                let blocks = self.graph.statics.blocks(&side);
                Node::TrapStub { trap: StubTrap::CannotEnter, caller: side.opts.component, blocks, signature }
            }
            FuncValue::Lifted { callee, side: lift } => {
                Node::Fused(Box::new(Fused { lower: side, lift, callee, signature }))
            }
        };
        self.push_func(node, signature)
    }

    fn push_func(&mut self, node: Node<NodeId>, signature: SignatureIndex) -> Result<(), ComponentError> {
        let item = CoreItem { node: self.graph.add(node)?, ty: CoreEntity::Func(Some(signature)) };
        self.push_core(Sort::Func, item);
        Ok(())
    }

    /// Whether one side's instance is the other's or contains it.
    fn are_nested(&self, a: &Side<NodeId>, b: &Side<NodeId>) -> bool {
        let (a, b) = (a.opts.component, b.opts.component);
        self.graph.statics.contains(a, b) || self.graph.statics.contains(b, a)
    }

    fn lowered(&mut self, ty: FuncTypeIndex, opts: &Opts<NodeId>) -> SignatureIndex {
        let convention = if opts.is_async { Convention::LowerAsync } else { Convention::Lower };
        let statics = &self.graph.statics;
        let ty = &statics.func_types[ty.index()];
        let params: Vec<TypeId> = ty.params.iter().map(|(_, ty)| *ty).collect();
        let core = flatten_function(&statics.types, &params, ty.result, opts.width(), convention);
        self.signature(Signature { params: core.params.into_iter().collect(), results: core.results })
    }

    fn builtin(&mut self, def: &BuiltinDef) -> Result<(), ComponentError> {
        let opts = self.options(&def.options)?;
        let mut builtin = Builtin {
            row: def.row,
            opts,
            resource: None,
            table: def.table.map(|table| self.core_item(Sort::Table, table)).transpose()?.map(|item| item.node),
            ty: def.result.map(|ty| self.value(ty)).transpose()?,
            immediates: def.immediates,
            signature: SignatureIndex(0),
        };
        if let Some(ty) = def.ty {
            match self.item(Kind::Type, ty)? {
                Item::Type(TypeValue::Resource(node, _)) => builtin.resource = Some(node),
                Item::Type(TypeValue::Value(ty)) => {
                    let (Type::Stream(element) | Type::Future(element)) = self.graph.statics.types.get(ty) else {
                        return Err(broken("a stream or future"));
                    };
                    builtin.ty = *element;
                }
                _ => return Err(broken("a type")),
            }
        }
        let signature = self.builtin_signature(&builtin);
        builtin.signature = signature;
        self.push_func(builtin.into(), signature)
    }

    fn builtin_signature(&mut self, builtin: &Builtin<NodeId>) -> SignatureIndex {
        let width = builtin.opts.width();
        let (params, results): (Vec<CoreType>, Vec<CoreType>) =
            builtin.row.core_signature(width, builtin.immediates).unwrap_or_else(|| {
                debug_assert_eq!(builtin.row, Intrinsic::TaskReturn);
                // The result as if it were the only parameter of a lowered function.
                let list: Vec<TypeId> = builtin.ty.into_iter().collect();
                let types = &self.graph.statics.types;
                let core = flatten_function(types, &list, None, width, Convention::Lower);
                (core.params.to_vec(), Vec::new())
            });
        self.signature(Signature { params: params.into(), results: results.into() })
    }
}
