//! What the host gets.
//!
//! [Exports](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#import-and-export-definitions) of
//! the root become a tree. Its shape is that of the root's type: an instance may have more exports than the type under which
//! it is passed on.
//!
//! Invariant: names and their order are those of the validated types; a row's parent comes before it.
//!
//! Does not know: how the host calls an export.

use super::Elaborator;
use super::value::{FuncValue, InstanceId, Item, ModuleValue, TypeValue};
use crate::decode::ast::Symbol;
use crate::decode::broken;
use crate::error::ComponentError;
use crate::graph::{Export, ExportValue, ModuleRef, Node};
use crate::ids::{ExportIndex, NodeId};
use std::collections::VecDeque;
use wasmparser::component_types::{ComponentEntityType, ComponentInstanceTypeId};

/// An instance whose exports are still to be listed.
struct Pending {
    parent: ExportIndex,
    instance: InstanceId,
    ty: ComponentInstanceTypeId,
}

impl Elaborator<'_, '_> {
    pub(super) fn export_root(&mut self, exports: &[(Symbol, Item)]) -> Result<(), ComponentError> {
        let types = self.ast.validated.as_ref();
        let mut pending = VecDeque::new();
        for (name, item) in exports {
            let ty = types.component_item_for_export(self.ast.symbols.text(*name));
            let ty = ty.ok_or_else(|| broken("an export's type"))?.ty;
            self.export_item(None, *name, *item, ty, &mut pending)?;
        }
        while let Some(Pending { parent, instance, ty }) = pending.pop_front() {
            let ty = types.get(ty).ok_or_else(|| broken("an instance's type"))?;
            for (name, exported) in &ty.exports {
                self.spend(1)?;
                let name = self.ast.symbols.find(name).ok_or_else(|| broken("an export's name"))?;
                let item = self.instances.get(instance, name).ok_or_else(|| broken("an export"))?;
                self.export_item(Some(parent), name, item, exported.ty, &mut pending)?;
            }
        }
        Ok(())
    }

    fn export_item(
        &mut self,
        parent: Option<ExportIndex>,
        name: Symbol,
        item: Item,
        ty: ComponentEntityType,
        pending: &mut VecDeque<Pending>,
    ) -> Result<(), ComponentError> {
        let name = self.name_of(name)?;
        let value = match item {
            Item::Func(func) => ExportValue::Func(self.exported_func(&self.funcs.get(func).clone())?),
            Item::Module(ModuleValue::Static(module)) => ExportValue::Module(ModuleRef::Static(module)),
            Item::Module(ModuleValue::Host(node, _)) => ExportValue::Module(ModuleRef::Host(node)),
            Item::Type(TypeValue::Resource(node, _)) => ExportValue::Resource(node),
            Item::Type(TypeValue::Value(ty)) => ExportValue::Type(ty),
            Item::Component(_) | Item::Type(_) => ExportValue::Opaque,
            Item::Instance(_) => ExportValue::Instance,
        };
        let row = self.graph.export(Export { parent, name, value })?;
        if let (Item::Instance(instance), ComponentEntityType::Instance(ty)) = (item, ty) {
            pending.push_back(Pending { parent: row, instance, ty });
        }
        Ok(())
    }

    fn exported_func(&mut self, func: &FuncValue) -> Result<NodeId, ComponentError> {
        Ok(match func {
            FuncValue::Host { import, .. } => *import,
            FuncValue::Lifted { callee, side } => self.graph.add(Node::Lift { callee: *callee, side: side.clone() })?,
        })
    }
}
