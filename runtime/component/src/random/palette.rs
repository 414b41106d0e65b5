//! The types that random graphs are made of.
//!
//! Few enough that functions fit each other often, rich enough that every option is needed by something: a component function
//! whose core type is that of `realloc`, one whose core type is that of a destructor and a `post-return`, strings in and out
//! ([flattening](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flattening)), for memories of
//! both widths.
//!
//! Invariant: rows are made once and never change.
//!
//! Does not know: graphs.

use crate::graph::{
    Component, CoreEntity, FuncType, HostModule, Import, ImportKind, MemoryShape, ResourceOrigin, Signature, Statics,
};
use crate::ids::{FuncTypeIndex, ImportIndex, SignatureIndex};
use std::sync::LazyLock;
use wattest_canon::{Convention, CoreType, Name, ResourceId, Scalar, Type, TypeId, Width, flatten_function};

/// A component function type with its core types.
pub(super) struct FuncRow {
    pub(super) ty: FuncTypeIndex,
    /// Whether parameters, and the result, contain pointers or lie in memory.
    pub(super) params_in_memory: bool,
    pub(super) result_in_memory: bool,
    /// By width of the memory.
    pub(super) lift: [SignatureIndex; 2],
    pub(super) lower: [SignatureIndex; 2],
    /// `post-return` of a lift.
    pub(super) post_return: [SignatureIndex; 2],
}

/// The types, and tables of statics with them.
pub(super) struct Palette {
    pub(super) statics: Statics,
    pub(super) funcs: Vec<FuncRow>,
    pub(super) realloc: [SignatureIndex; 2],
    pub(super) dtor: SignatureIndex,
    pub(super) names: Vec<Name>,
    /// Imports of functions, with the row of their type.
    pub(super) host_funcs: Vec<(ImportIndex, usize)>,
    pub(super) host_modules: Vec<ImportIndex>,
    pub(super) host_resources: Vec<ImportIndex>,
}

/// The memories there are.
pub(super) const SHAPES: [MemoryShape; 3] = [
    MemoryShape::DEFAULT,
    MemoryShape { width: Width::W64, ..MemoryShape::DEFAULT },
    MemoryShape { page_log2: 0, ..MemoryShape::DEFAULT },
];

pub(super) static PALETTE: LazyLock<Palette> = LazyLock::new(Palette::new);

impl Palette {
    fn new() -> Palette {
        let mut statics = Statics { components: vec![Component { parent: None }], ..Statics::default() };
        let names = ["a", "b", "c", "d", "e", "f"].map(|text| name(&mut statics, text)).to_vec();
        let [i32, i64] = [Scalar::U32, Scalar::U64].map(TypeId::scalar);
        let wide = statics.types.intern(Type::Tuple([i32; 17].into())).unwrap_or(i32);
        let funcs = [
            (&[i32; 4][..], Some(i32)),
            (&[i64; 4], Some(i64)),
            (&[i32], None),
            (&[i64], None),
            (&[], None),
            (&[i32], Some(i32)),
            (&[TypeId::STRING], None),
            (&[TypeId::STRING], Some(TypeId::STRING)),
            (&[], Some(TypeId::STRING)),
            (&[wide], None),
        ];
        let funcs = funcs.map(|(params, result)| func(&mut statics, names[0], params, result)).into();
        let [narrow, wide] = [CoreType::I32, CoreType::I64];
        let realloc = [narrow, wide].map(|pointer| core(&mut statics, &[pointer; 4], &[pointer]));
        let dtor = core(&mut statics, &[narrow], &[]);
        core(&mut statics, &[], &[]);
        let mut palette = Palette {
            statics,
            funcs,
            realloc,
            dtor,
            names,
            host_funcs: Vec::new(),
            host_modules: Vec::new(),
            host_resources: Vec::new(),
        };
        palette.hosts();
        palette
    }

    fn hosts(&mut self) {
        for at in 0..self.funcs.len() {
            for prefix in 0..2 {
                let import = self.import(prefix, &format!("f{at}"), ImportKind::Func(self.funcs[at].ty));
                self.host_funcs.push((import, at));
            }
        }
        for at in 0..3 {
            let resource = ResourceId(at);
            let import = self.import(at as usize % 2, &format!("r{at}"), ImportKind::Resource(resource));
            self.statics.resources.push(ResourceOrigin::Host(import));
            self.host_resources.push(import);
        }
        let [a, b, c, ..] = self.names[..] else { return };
        let imports = [
            (a, b, CoreEntity::Func(Some(self.realloc[0]))),
            (a, c, CoreEntity::Func(Some(self.dtor))),
            (b, b, CoreEntity::Memory(SHAPES[0])),
        ];
        let exports = [
            (a, CoreEntity::Memory(SHAPES[0])),
            (b, CoreEntity::Func(Some(self.realloc[0]))),
            (c, CoreEntity::Func(Some(self.dtor))),
        ];
        for at in 0..3 {
            let module = HostModule { imports: imports[..at].into(), exports: exports.into() };
            let import = self.import(at, &format!("m{at}"), ImportKind::Module(module));
            self.host_modules.push(import);
        }
    }

    /// An import, at the root or in a nested instance.
    fn import(&mut self, depth: usize, text: &str, kind: ImportKind) -> ImportIndex {
        let mut path: Vec<Name> = self.names[..depth].to_vec();
        path.push(name(&mut self.statics, text));
        self.statics.imports.push(Import { path: path.into(), kind });
        ImportIndex::at(self.statics.imports.len() - 1)
    }
}

fn name(statics: &mut Statics, text: &str) -> Name {
    statics.types.name(text).expect("a few short names")
}

fn core(statics: &mut Statics, params: &[CoreType], results: &[CoreType]) -> SignatureIndex {
    statics.signature(&Signature { params: params.into(), results: results.into() })
}

fn func(statics: &mut Statics, label: Name, params: &[TypeId], result: Option<TypeId>) -> FuncRow {
    // Some are `async`: their calls ask whether they may block.
    let is_async = statics.func_types.len() % 4 == 3;
    let row = FuncType { params: params.iter().map(|ty| (label, *ty)).collect(), result, is_async };
    statics.func_types.push(row);
    let ty = FuncTypeIndex::at(statics.func_types.len() - 1);
    let mut flat = |convention| {
        Width::ALL.map(|width| {
            let flat = flatten_function(&statics.types, params, result, width, convention);
            let results = core(statics, &flat.results, &[]);
            (core(statics, &flat.params, &flat.results), results)
        })
    };
    let lift = flat(Convention::Lift);
    let lower = flat(Convention::Lower);
    let pointers = |ty: &TypeId| statics.types.facts(*ty).pointers || statics.types.flat(*ty, Width::W32).is_none();
    FuncRow {
        ty,
        params_in_memory: params.iter().any(pointers),
        result_in_memory: result.iter().any(pointers),
        lift: lift.map(|(signature, _)| signature),
        lower: lower.map(|(signature, _)| signature),
        post_return: lift.map(|(_, results)| results),
    }
}
