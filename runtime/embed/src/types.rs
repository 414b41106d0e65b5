//! Types as the embedder sees them.
//!
//! Self-contained versions of the module's types
//! ([spec](https://webassembly.github.io/spec/core/syntax/types.html)) that need no module beside them: concrete heap types
//! are the engine's, so that types of different modules are equal exactly when they are the same type.
//! [`Engine::concrete_type`](crate::Engine::concrete_type) says what such a heap type is.
//!
//! Invariant: `Display` gives the text format's spelling, concrete heap types as the engine's numbers.
//!
//! Does not know: declared subtyping; the engine does.

use wattest_module::{EntityType, GlobalType, MemoryType, ModuleDesc, TableType, ValType};

/// A function type.
///
/// ```
/// use wattest::{FuncType, ValType};
/// let ty = FuncType::new([ValType::I32], [ValType::I64]);
/// assert_eq!(ty.to_string(), "(func (param i32) (result i64))");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FuncType {
    pub(crate) ty: wattest_module::FuncType,
}

impl FuncType {
    /// The type with these parameters and results.
    pub fn new(params: impl IntoIterator<Item = ValType>, results: impl IntoIterator<Item = ValType>) -> FuncType {
        let (params, results) = (params.into_iter().collect(), results.into_iter().collect());
        FuncType { ty: wattest_module::FuncType { params, results } }
    }

    /// Whether a function of this type can be used where one of type `other` is expected
    /// ([spec](https://webassembly.github.io/spec/core/valid/matching.html#function-types)); concrete heap types are those of
    /// `engine`.
    ///
    /// ```
    /// use wattest::{Engine, FuncType, HeapType, RefType, ValType};
    /// let reference = |heap| ValType::Ref(RefType { nullable: true, heap, is_func: false });
    /// let engine = Engine::default();
    /// let given = FuncType::new([reference(HeapType::Any)], [reference(HeapType::I31)]);
    /// let wanted = FuncType::new([reference(HeapType::Eq)], [reference(HeapType::Eq)]);
    /// assert!(given.matches(&wanted, &engine) && !wanted.matches(&given, &engine));
    /// ```
    pub fn matches(&self, other: &FuncType, engine: &crate::Engine) -> bool {
        let all = |given: &[ValType], wanted: &[ValType]| {
            given.len() == wanted.len()
                && given.iter().zip(wanted).all(|(given, wanted)| engine.matches(*given, *wanted))
        };
        all(other.params(), self.params()) && all(self.results(), other.results())
    }

    /// Parameter types.
    pub fn params(&self) -> &[ValType] {
        &self.ty.params
    }

    /// Result types.
    pub fn results(&self) -> &[ValType] {
        &self.ty.results
    }
}

/// The type of an import or export.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A global.
    Global(GlobalType),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A tag, by the type of its payload.
    Tag(FuncType),
}

impl ExternType {
    /// The type of an entity of a module, whose types are `type_ids` in the engine.
    pub(crate) fn of(desc: &ModuleDesc, type_ids: &[u32], entity: EntityType) -> ExternType {
        let value = |ty: ValType| wattest_vm::engine_type(ty, type_ids);
        let func = |ty| {
            let ty = desc.func_type(ty);
            FuncType::new(ty.params.iter().map(|ty| value(*ty)), ty.results.iter().map(|ty| value(*ty)))
        };
        match entity {
            EntityType::Func(ty) | EntityType::FuncExact(ty) => ExternType::Func(func(ty)),
            EntityType::Table(ty) => {
                ExternType::Table(TableType { element: wattest_vm::engine_ref(ty.element, type_ids), ..ty })
            }
            EntityType::Memory(ty) => ExternType::Memory(ty),
            EntityType::Global(ty) => ExternType::Global(GlobalType { content: value(ty.content), ..ty }),
            EntityType::Tag(ty) => ExternType::Tag(func(ty.ty)),
        }
    }

    /// The function type, if it is one.
    pub fn func(&self) -> Option<&FuncType> {
        match self {
            ExternType::Func(ty) => Some(ty),
            _ => None,
        }
    }
}

fn list(f: &mut std::fmt::Formatter<'_>, keyword: &str, types: &[ValType]) -> std::fmt::Result {
    if types.is_empty() {
        return Ok(());
    }
    write!(f, " ({keyword}")?;
    types.iter().try_for_each(|ty| write!(f, " {ty}"))?;
    f.write_str(")")
}

impl std::fmt::Display for FuncType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(func")?;
        list(f, "param", self.params())?;
        list(f, "result", self.results())?;
        f.write_str(")")
    }
}

fn limits(f: &mut std::fmt::Formatter<'_>, is_64: bool, minimum: u64, maximum: Option<u64>) -> std::fmt::Result {
    let index = if is_64 { " i64" } else { "" };
    write!(f, "{index} {minimum}")?;
    maximum.map_or(Ok(()), |maximum| write!(f, " {maximum}"))
}

impl std::fmt::Display for ExternType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ExternType::Func(ty) => ty.fmt(f),
            ExternType::Global(GlobalType { content, mutable: true }) => write!(f, "(global (mut {content}))"),
            ExternType::Global(GlobalType { content, mutable: false }) => write!(f, "(global {content})"),
            ExternType::Table(ty) => {
                f.write_str("(table")?;
                limits(f, ty.table64, ty.minimum, ty.maximum)?;
                write!(f, " {})", ty.element)
            }
            ExternType::Memory(ty) => {
                f.write_str("(memory")?;
                limits(f, ty.memory64, ty.minimum, ty.maximum)?;
                if ty.shared {
                    f.write_str(" shared")?;
                }
                if ty.page_bytes_log2 != 16 {
                    write!(f, " (pagesize {})", ty.page_bytes())?;
                }
                f.write_str(")")
            }
            ExternType::Tag(ty) => {
                f.write_str("(tag")?;
                list(f, "param", ty.params())?;
                f.write_str(")")
            }
        }
    }
}
