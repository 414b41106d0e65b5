//! The tables that a graph and its plan share.
//!
//! What stays the same from elaboration to execution: types, core modules, imports of the host, component instances, resource
//! types ([component-level definitions](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md)).
//!
//! Invariant: rows are only added, so an index keeps its meaning; everything a row refers to is in the tables too.
//!
//! Does not know: nodes, operations, the bytes of the component.

use crate::graph::node::{CoreEntity, Side, Sort};
use crate::ids::{ComponentIndex, FuncTypeIndex, ImportIndex, ModuleIndex, SignatureIndex, SlotKind};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::ops::Range;
use wattest_canon::{CoreType, Name, ResourceId, TypeId, Types};

/// A core function type of the canonical ABI.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Signature {
    /// Parameters, at most 17.
    pub params: SmallVec<[CoreType; 4]>,
    /// Results, at most 1.
    pub results: SmallVec<[CoreType; 1]>,
}

/// A component function type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FuncType {
    /// Parameters.
    pub params: Box<[(Name, TypeId)]>,
    /// Result.
    pub result: Option<TypeId>,
    /// Whether it may block.
    pub is_async: bool,
}

/// A core module of the component.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Module {
    /// Where its binary lies in the component's.
    pub bytes: Range<usize>,
    /// Its imports, in order.
    pub imports: Vec<CoreEntity>,
    /// Whether instantiating it runs code: a start function.
    pub start: bool,
    /// Whether it has a tag, imported or its own: without one in its component instance nothing throws an exception.
    pub throws: bool,
}

/// What the host supplies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Import {
    /// The name the component imports, then the names of exports of nested instances. Never empty.
    pub path: Box<[Name]>,
    /// What it must be.
    pub kind: ImportKind,
}

/// The kind and type of something the host supplies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ImportKind {
    /// A component function.
    Func(FuncTypeIndex),
    /// A core module.
    Module(HostModule),
    /// A resource type.
    Resource(ResourceId),
}

/// The type of a core module of the host. A module with fewer imports or more exports fits as well
/// ([subtyping](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Subtyping.md)).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostModule {
    /// What it may import: module name, field name, type.
    pub imports: Box<[(Name, Name, CoreEntity)]>,
    /// What it must export.
    pub exports: Box<[(Name, CoreEntity)]>,
}

/// A component instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Component {
    /// The instance whose definition instantiated it, always an earlier one; none for the root.
    pub parent: Option<ComponentIndex>,
}

/// Where a resource type comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ResourceOrigin {
    /// The host.
    Host(ImportIndex),
    /// A component instance defines it, by a `DefineResource` effect.
    Component(ComponentIndex),
}

/// The tables.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Statics {
    /// Interface types and all names.
    pub types: Types,
    /// Component function types.
    pub func_types: Vec<FuncType>,
    /// Core function types, each once.
    pub signatures: Vec<Signature>,
    /// Core modules of the component.
    pub modules: Vec<Module>,
    /// What the host may have to supply, each path once.
    pub imports: Vec<Import>,
    /// Component instances; the first is the root.
    pub components: Vec<Component>,
    /// Resource types by [`ResourceId`]: the host's, then the component's in the order of their effects.
    pub resources: Vec<ResourceOrigin>,
}

impl Statics {
    /// The row of a core function type, added if it is new. Linear in the number of signatures, which types bound; decoding
    /// keeps an index of its own where it has many.
    pub fn signature(&mut self, signature: &Signature) -> SignatureIndex {
        let known = self.signatures.iter().position(|row| row == signature);
        SignatureIndex::at(known.unwrap_or_else(|| {
            self.signatures.push(signature.clone());
            self.signatures.len() - 1
        }))
    }

    /// The row of an import.
    pub fn import(&self, import: ImportIndex) -> Option<&Import> {
        self.imports.get(import.index())
    }

    /// The kind of slot that an import is used through.
    pub fn slot_kind_of_import(&self, import: ImportIndex) -> SlotKind {
        match self.import(import).map(|row| &row.kind) {
            Some(ImportKind::Resource(_)) => SlotKind::Resource,
            _ => SlotKind::Import,
        }
    }

    /// Whether a call through the options of a `canon lower` has to be allowed to block: the function's type is `async` and it
    /// is lowered without ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canon-lower)).
    pub fn blocks<R>(&self, lower: &Side<R>) -> bool {
        !lower.opts.is_async && self.func_types.get(lower.ty.index()).is_some_and(|ty| ty.is_async)
    }

    /// Whether `outer` is `inner` or one of those it is nested in.
    pub fn contains(&self, outer: ComponentIndex, inner: ComponentIndex) -> bool {
        let mut at = Some(inner);
        while let Some(component) = at {
            if component == outer {
                return true;
            }
            // Parents come first, so this ends.
            let parent = self.components.get(component.index()).and_then(|row| row.parent);
            at = parent.filter(|parent| *parent < component);
        }
        false
    }

    /// The module and position of the import that is the `index`th of a sort in its index space: imports come first there.
    pub fn import_position(&self, module: ModuleIndex, sort: Sort, index: u32) -> Option<usize> {
        let imports = self.modules.get(module.index())?.imports.iter().enumerate();
        imports.filter(|(_, ty)| ty.sort() == sort).nth(index as usize).map(|(position, _)| position)
    }
}

#[cfg(test)]
mod tests {
    use wattest_canon::{Field, Type, TypeId, Types, Width};

    #[test]
    fn an_arena_of_types_comes_back_from_its_serialized_form() {
        let mut types = Types::default();
        let name = types.name("a").expect("short");
        let field = Field { name, ty: TypeId::STRING };
        let record = types.intern(Type::Record([field].into())).expect("valid");
        let map = types.intern(Type::Map { key: TypeId::STRING, value: record }).expect("valid");
        let option = types.intern(Type::Option(map)).expect("valid");
        let text = serde_json::to_string(&types).expect("plain data");
        let back: Types = serde_json::from_str(&text).expect("what was written");
        assert_eq!(back.len(), types.len());
        for id in [record, map, option] {
            assert_eq!(back.get(id), types.get(id));
            assert_eq!(back.layout(id, Width::W64), types.layout(id, Width::W64));
        }
        assert_eq!(back.text(name), "a");
        let invalid = text.replace("\"Option\":", "\"FixedList\":{\"count\":0,\"element\":1},\"Option\":");
        assert!(serde_json::from_str::<Types>(&invalid).is_err(), "{invalid}");
    }
}
