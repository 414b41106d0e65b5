//! The module description.
//!
//! [`ModuleDesc`] mirrors the sections of a module
//! ([spec](https://webassembly.github.io/spec/core/syntax/modules.html)) with index spaces merged: in every vector,
//! imports come first. Function bodies and data segments stay where they are, as byte ranges of the binary.
//!
//! Invariant: vectors indexed by an index newtype cover its whole space.
//!
//! Does not know: the bytes themselves.

use crate::{
    ConstExpr, DataIndex, DefinedFuncIndex, ElementIndex, EntityType, FuncIndex, FuncType, GlobalIndex, GlobalType,
    MemoryIndex, MemoryType, RefType, SubType, TableIndex, TableType, TagIndex, TagType, TypeIndex,
};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use wattest_abi::vmctx::VmCounts;

/// An import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Import {
    /// Module name.
    pub module: String,
    /// Field name.
    pub name: String,
    /// What is imported, and its index in its space.
    pub kind: ImportKind,
    /// Whether a function must be of the type itself and of none below it.
    pub exact: bool,
}

/// What an import or export refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImportKind {
    /// A function.
    Func(FuncIndex),
    /// A table.
    Table(TableIndex),
    /// A memory.
    Memory(MemoryIndex),
    /// A global.
    Global(GlobalIndex),
    /// A tag.
    Tag(TagIndex),
}

/// An export.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What is exported.
    pub kind: ImportKind,
}

/// How a defined global starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GlobalInit(pub ConstExpr);

/// How a defined table's elements start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TableInit {
    /// All null.
    Null,
    /// All the value of an expression.
    Expr(ConstExpr),
}

/// How an element segment is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ElementKind {
    /// Copied by `table.init`.
    Passive,
    /// Only declares references.
    Declared,
    /// Copied at instantiation.
    Active {
        /// The table.
        table: TableIndex,
        /// Where to.
        offset: ConstExpr,
    },
}

/// The elements of a segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ElementItems {
    /// Functions by index.
    Functions(Vec<FuncIndex>),
    /// One expression each.
    Expressions(Vec<ConstExpr>),
}

/// An element segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ElementSegment {
    /// Element type.
    pub ty: RefType,
    /// Use.
    pub kind: ElementKind,
    /// Contents.
    pub items: ElementItems,
}

/// How a data segment is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DataKind {
    /// Copied by `memory.init`.
    Passive,
    /// Copied at instantiation.
    Active {
        /// The memory.
        memory: MemoryIndex,
        /// Where to.
        offset: ConstExpr,
    },
}

/// A data segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSegment {
    /// Use.
    pub kind: DataKind,
    /// Byte range of the contents: in the binary as decoded, in the artifact's data section once serialized.
    pub bytes: Range<u32>,
}

/// A function body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionBody {
    /// Byte range in the binary, from the local declarations to the final `end`.
    pub bytes: Range<u32>,
}

/// What validation learnt about all bodies together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyFacts {
    /// Per table: whether any body may change it (`table.set`, `grow`, `fill`, `copy` to it, `init`).
    pub tables_written: Vec<bool>,
    /// Whether any body has an instruction of garbage-collected objects.
    pub uses_objects: bool,
}

/// A decoded, validated module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModuleDesc {
    /// All types, recursion groups flattened.
    pub types: Vec<SubType>,
    /// Start of each recursion group in `types`, ascending.
    pub rec_groups: Vec<u32>,
    /// For every type, the first type of the module that is structurally the same (itself, if it is the first): within a
    /// module, two function types are equal exactly when these are.
    pub canonical: Vec<TypeIndex>,
    /// Imports, in order.
    pub imports: Vec<Import>,
    /// Type of every function.
    pub functions: Vec<TypeIndex>,
    /// Every table.
    pub tables: Vec<TableType>,
    /// Every memory.
    pub memories: Vec<MemoryType>,
    /// Every global.
    pub globals: Vec<GlobalType>,
    /// Every tag.
    pub tags: Vec<TagType>,
    /// Number of imports of each kind, and of escaping functions.
    pub imported_functions: u32,
    /// Imported tables.
    pub imported_tables: u32,
    /// Imported memories.
    pub imported_memories: u32,
    /// Imported globals.
    pub imported_globals: u32,
    /// Imported tags.
    pub imported_tags: u32,
    /// Initial values of defined globals.
    pub global_inits: Vec<GlobalInit>,
    /// Initial values of defined tables.
    pub table_inits: Vec<TableInit>,
    /// Exports, in order.
    pub exports: Vec<Export>,
    /// The start function.
    pub start: Option<FuncIndex>,
    /// Element segments.
    pub elements: Vec<ElementSegment>,
    /// Data segments.
    pub data: Vec<DataSegment>,
    /// Bodies of defined functions.
    pub bodies: Vec<FunctionBody>,
    /// For every function (imports too): its position among escaping functions plus one, or 0. Only defined functions
    /// have a slot in [`wattest_abi::VmOffsets::func_refs`]; an imported function's value is found beside its import.
    pub escapes: Vec<u32>,
    /// Number of escaping defined functions.
    pub escaping_functions: u32,
    /// Facts about the bodies.
    pub facts: BodyFacts,
    /// Which branches are probably taken, by offset; not kept in artifacts, whose code has been laid out.
    #[serde(skip)]
    pub branch_hints: Vec<crate::BranchHint>,
    /// Byte range of the name section's contents in the binary.
    pub names: Option<Range<u32>>,
    /// The module's own name, if it has one.
    pub name: Option<String>,
}

impl ModuleDesc {
    /// Counts for [`wattest_abi::VmOffsets::new`].
    pub fn counts(&self) -> VmCounts {
        VmCounts {
            imported_functions: self.imported_functions,
            imported_tables: self.imported_tables,
            imported_memories: self.imported_memories,
            imported_globals: self.imported_globals,
            imported_tags: self.imported_tags,
            defined_tables: self.tables.len() as u32 - self.imported_tables,
            defined_memories: self.memories.len() as u32 - self.imported_memories,
            defined_globals: self.globals.len() as u32 - self.imported_globals,
            defined_tags: self.tags.len() as u32 - self.imported_tags,
            escaping_functions: self.escaping_functions,
        }
    }

    /// The function type behind `ty`, which validation has shown to be one.
    ///
    /// # Panics
    ///
    /// If `ty` is not a function type.
    pub fn func_type(&self, ty: TypeIndex) -> &FuncType {
        match &self.types[ty.index()].composite {
            crate::CompositeType::Func(ty) => ty,
            other => panic!("type {} is not a function type: {other:?}", ty.0),
        }
    }

    /// The type of function `func`.
    pub fn type_of_func(&self, func: FuncIndex) -> &FuncType {
        self.func_type(self.functions[func.index()])
    }

    /// The position of `func` among the defined functions, or `None` for an import.
    pub fn defined_func(&self, func: FuncIndex) -> Option<DefinedFuncIndex> {
        func.0.checked_sub(self.imported_functions).map(DefinedFuncIndex)
    }

    /// The function that `defined` is.
    pub fn func_index(&self, defined: DefinedFuncIndex) -> FuncIndex {
        FuncIndex(defined.0 + self.imported_functions)
    }

    /// Position of `func`'s [`wattest_abi::vmctx::VmFuncRef`] in the `vmctx`, for a defined function that escapes.
    pub fn func_ref_slot(&self, func: FuncIndex) -> Option<u32> {
        self.escapes[func.index()].checked_sub(1)
    }

    /// What satisfies an import.
    pub fn import_type(&self, import: &Import) -> EntityType {
        match import.kind {
            ImportKind::Func(index) if import.exact => EntityType::FuncExact(self.functions[index.index()]),
            kind => self.entity_type(kind),
        }
    }

    /// The type of an import or export.
    pub fn entity_type(&self, kind: ImportKind) -> EntityType {
        match kind {
            ImportKind::Func(index) => EntityType::Func(self.functions[index.index()]),
            ImportKind::Table(index) => EntityType::Table(self.tables[index.index()]),
            ImportKind::Memory(index) => EntityType::Memory(self.memories[index.index()]),
            ImportKind::Global(index) => EntityType::Global(self.globals[index.index()]),
            ImportKind::Tag(index) => EntityType::Tag(self.tags[index.index()]),
        }
    }

    /// Whether nothing can ever change table `index` after instantiation: it is defined here, not exported, and no body
    /// writes it.
    pub fn table_is_read_only(&self, index: TableIndex) -> bool {
        let exported = self.exports.iter().any(|export| export.kind == ImportKind::Table(index));
        index.0 >= self.imported_tables && !exported && !self.facts.tables_written[index.index()]
    }

    /// The contents of table `index` as defined functions, if they are known before instantiation: the table is
    /// read-only and not mostly null, its element type is a function type, and every active segment has a constant offset, lies within it
    /// and names only functions defined here. `None` entries are null. Compiled code then needs no table at all.
    pub fn static_table(&self, index: TableIndex) -> Option<Vec<Option<DefinedFuncIndex>>> {
        // A short binary can declare long tables of nulls: what is spent on a table is bounded by what fills it.
        const NULLS_MAX: u64 = 4096;
        let filled = |segment: &ElementSegment| match (&segment.kind, &segment.items) {
            (ElementKind::Active { table, .. }, ElementItems::Functions(items)) if *table == index => {
                items.len() as u64
            }
            _ => 0,
        };
        let ty = &self.tables[index.index()];
        let init = self.table_inits.get(index.0.checked_sub(self.imported_tables)? as usize)?;
        if !self.table_is_read_only(index)
            || !ty.element.is_func
            || ty.minimum > NULLS_MAX + 4 * self.elements.iter().map(filled).sum::<u64>()
            || *init != TableInit::Null
        {
            return None;
        }
        let mut entries = vec![None; ty.minimum as usize];
        for segment in &self.elements {
            let ElementKind::Active { table, offset } = &segment.kind else { continue };
            if *table != index {
                continue;
            }
            let ElementItems::Functions(functions) = &segment.items else { return None };
            let start = usize::try_from(offset.as_constant_index()?).ok()?;
            let end = start.checked_add(functions.len())?;
            for (slot, func) in entries.get_mut(start..end)?.iter_mut().zip(functions) {
                *slot = Some(self.defined_func(*func)?);
            }
        }
        Some(entries)
    }

    /// Whether instances need the heap of objects: there are struct or array types, tags, or instructions of objects.
    pub fn uses_heap(&self) -> bool {
        let is_object = |ty: &SubType| !matches!(ty.composite, crate::CompositeType::Func(_));
        self.facts.uses_objects || !self.tags.is_empty() || self.types.iter().any(is_object)
    }

    /// The export called `name`.
    pub fn export(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.name == name)
    }

    /// The element segment `index`.
    pub fn element(&self, index: ElementIndex) -> &ElementSegment {
        &self.elements[index.index()]
    }

    /// The data segment `index`.
    pub fn data_segment(&self, index: DataIndex) -> &DataSegment {
        &self.data[index.index()]
    }
}
