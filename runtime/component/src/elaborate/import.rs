//! What the host supplies.
//!
//! An [import](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#import-and-export-definitions)
//! of the root becomes rows of imports: an instance vanishes, its functions, modules and resource types remain, with the names
//! that lead to them.
//!
//! Invariant: each path has one row; a type that equals another needs none.
//!
//! Does not know: what the host has.

use super::value::{FuncValue, Item, ModuleValue, TypeValue};
use super::{Elaborator, Purpose};
use crate::decode::ast::{Kind, ModuleTypeIndex, Symbol, TypeRef};
use crate::decode::broken;
use crate::error::ComponentError;
use crate::graph::{HostModule, Import, ImportKind, Node};
use crate::ids::{ImportIndex, NodeId};
use std::collections::HashMap;
use wattest_canon::Name;

impl Elaborator<'_, '_> {
    /// Adds what the host supplies under a path to the innermost frame, and to its exports if it has a name there. An
    /// instance is a frame of its own and added when that one ends.
    pub(super) fn host(
        &mut self,
        path: Box<[Name]>,
        ty: TypeRef,
        export: Option<Symbol>,
    ) -> Result<(), ComponentError> {
        let item = match ty {
            TypeRef::Func(index) => {
                let Item::Type(TypeValue::Func(ty)) = self.item(Kind::Type, index)? else {
                    return Err(broken("a function type"));
                };
                let (import, _) = self.add_import(path, ImportKind::Func(ty))?;
                Item::Func(self.funcs.push(FuncValue::Host { import, ty }))
            }
            TypeRef::Module(ty) => Item::Module(self.host_module(path, ty)?),
            TypeRef::Type(index) => self.item(Kind::Type, index)?,
            TypeRef::Resource => {
                let next = ImportIndex::at(self.graph.statics.imports.len());
                let resource = self.host_resource(next);
                let (import, _) = self.add_import(path, ImportKind::Resource(resource))?;
                Item::Type(TypeValue::Resource(import, resource))
            }
            TypeRef::Instance(index) => {
                let Item::Type(TypeValue::Instance(closure)) = self.item(Kind::Type, index)? else {
                    return Err(broken("an instance type"));
                };
                let component = self.top().component;
                // ORDER: only looked up by name.
                return self.enter(closure, Purpose::Host { path, export }, component, HashMap::new());
            }
            TypeRef::Component => {
                let name = path.last().map(|name| self.graph.statics.types.text(*name)).unwrap_or_default();
                return Err(ComponentError::Unsupported(format!("import `{name}` of a component")));
            }
            TypeRef::Value => return Err(ComponentError::Unsupported("imports of values".to_owned())),
        };
        self.push(ty.kind(), item);
        if let Some(name) = export {
            self.top().exports.push((name, item));
        }
        Ok(())
    }

    fn add_import(&mut self, path: Box<[Name]>, kind: ImportKind) -> Result<(NodeId, ImportIndex), ComponentError> {
        let imports = &mut self.graph.statics.imports;
        let import = ImportIndex::at(imports.len());
        imports.push(Import { path, kind });
        Ok((self.graph.add(Node::Import(import))?, import))
    }

    fn host_module(&mut self, path: Box<[Name]>, ty: ModuleTypeIndex) -> Result<ModuleValue, ComponentError> {
        let module = &self.ast.module_types[ty.0 as usize];
        self.spend((module.imports.len() + module.exports.len()) as u64)?;
        let imports =
            module.imports.iter().map(|(from, name, ty)| Ok((self.name_of(*from)?, self.name_of(*name)?, *ty)));
        let imports = imports.collect::<Result<_, ComponentError>>()?;
        let exports = module.exports.iter().map(|(name, ty)| Ok((self.name_of(*name)?, *ty)));
        let exports: Box<[_]> = exports.collect::<Result<_, ComponentError>>()?;
        let host = HostModule { imports, exports: exports.clone() };
        let (node, import) = self.add_import(path, ImportKind::Module(host))?;
        self.host_imports.insert(import, ty);
        self.host_exports.extend(exports.iter().map(|(name, ty)| ((import, *name), *ty)));
        Ok(ModuleValue::Host(node, import))
    }
}
