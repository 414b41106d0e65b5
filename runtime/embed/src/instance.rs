//! Instances ([spec](https://webassembly.github.io/spec/core/exec/runtime.html#module-instances)).
//!
//! Invariant: an instance lives as long as its store.
//!
//! Does not know: how imports are found by name; see [`Linker`](crate::Linker).

use crate::context::{AsContext, AsContextMut, StoreContextMut};
use crate::error::{Error, ImportMismatch, InstantiateError, LinkError, MissingImport, Result, Trap, UsageError};
use crate::exception::Tag;
use crate::externs::Extern;
use crate::func::{Func, TypedFunc};
use crate::global::Global;
use crate::memory::Memory;
use crate::module::Module;
use crate::suspend;
use crate::table::Table;
use crate::typed::{WasmParams, WasmResults};
use crate::types::ExternType;
use wattest_module::{GlobalIndex, ImportKind, MemoryIndex, TableIndex};
use wattest_vm::{InstanceId, StoreId, StoreInner};

/// An instance of a module in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    store: StoreId,
    id: InstanceId,
}

impl Instance {
    pub(crate) fn from_id(store: StoreId, id: InstanceId) -> Instance {
        Instance { store, id }
    }

    pub(crate) fn vm_id(&self) -> InstanceId {
        self.id
    }

    pub(crate) fn belongs_to(&self, store: &StoreInner) -> bool {
        self.store == store.id()
    }

    /// Instantiates `module` with `imports`, in the order of [`Module::imports`], and runs its start function.
    ///
    /// # Errors
    ///
    /// Imports are missing or do not match, a limit is reached, a segment does not fit, or the start function fails.
    pub fn new(
        mut store: impl AsContextMut,
        module: &Module,
        imports: &[Extern],
    ) -> Result<Instance, InstantiateError> {
        let mut store = store.as_context_mut();
        if !store.engine().same(module.engine()) {
            return Err(UsageError::WrongEngine { what: "module" }.into());
        }
        let wanted = module.imports().collect::<Vec<_>>();
        if let Some(missing) = wanted.get(imports.len()) {
            let (module, name, ty) = (missing.module().to_owned(), missing.name().to_owned(), missing.ty());
            return Err(LinkError { missing: vec![MissingImport { module, name, ty }], ..LinkError::default() }.into());
        }
        if imports.len() > wanted.len() {
            let text = format!("{} imports were given, {} are needed", imports.len(), wanted.len());
            return Err(UsageError::Invalid(text).into());
        }
        let given = imports.iter().map(|import| import.to_vm(store.inner_mut())).collect::<Result<Vec<_>, _>>()?;
        Instance::from_vm_imports(&mut store, module, &given)
    }

    /// As [`Instance::new`], on a stack of its own: host functions that the start function calls can wait.
    ///
    /// # Errors
    ///
    /// As [`Instance::new`]; or there is no stack.
    pub fn new_async<'a, T: Send + 'static, S: Into<StoreContextMut<'a, T>>>(
        store: S,
        module: &'a Module,
        imports: &'a [Extern],
    ) -> impl Future<Output = Result<Instance, InstantiateError>> + Send + use<'a, T, S> {
        let refused = |text| Err(InstantiateError::Limit(text));
        suspend::on_own_stack(store, refused, move |store| Instance::new(store, module, imports))
    }

    pub(crate) fn from_vm_imports<T: 'static>(
        store: &mut StoreContextMut<'_, T>,
        module: &Module,
        imports: &[wattest_vm::Extern],
    ) -> Result<Instance, InstantiateError> {
        check_imports(store, module, imports)?;
        let made = store.inner_mut().instantiate(module.runtime(), imports);
        let id = made.map_err(|error| instantiate_error(error, imports))?;
        let instance = Instance { store: store.inner().id(), id };
        if let Some(start) = module.desc().start {
            let start = instance.entity(store.inner(), ImportKind::Func(start)).and_then(Extern::into_func);
            let ended = start.map_or(Ok(()), |start| start.call(StoreContextMut(store.0), &[], &mut []));
            ended.map_err(InstantiateError::Start)?;
        }
        Ok(instance)
    }

    fn entity(&self, store: &StoreInner, kind: ImportKind) -> Option<Extern> {
        if self.store != store.id() {
            return None;
        }
        Some(Extern::from_vm(store.instance_entity(self.id, kind)?, store))
    }

    /// The export called `name`; `None` when there is none, or the instance is another store's.
    pub fn get_export(&self, store: impl AsContext, name: &str) -> Option<Extern> {
        let store = store.as_context();
        let inner = store.inner();
        if self.store != inner.id() {
            return None;
        }
        let kind = inner.instance_module(self.id)?.desc().export(name)?.kind;
        self.entity(inner, kind)
    }

    /// The function exported as `name`.
    pub fn get_func(&self, store: impl AsContext, name: &str) -> Option<Func> {
        self.get_export(store, name)?.into_func()
    }

    /// The memory exported as `name`, if it is not shared.
    pub fn get_memory(&self, store: impl AsContext, name: &str) -> Option<Memory> {
        self.get_export(store, name)?.into_memory()
    }

    /// The global exported as `name`.
    pub fn get_global(&self, store: impl AsContext, name: &str) -> Option<Global> {
        self.get_export(store, name)?.into_global()
    }

    /// The table exported as `name`.
    pub fn get_table(&self, store: impl AsContext, name: &str) -> Option<Table> {
        self.get_export(store, name)?.into_table()
    }

    /// The tag exported as `name`.
    pub fn get_tag(&self, store: impl AsContext, name: &str) -> Option<Tag> {
        self.get_export(store, name)?.into_tag()
    }

    /// The function exported as `name`, with its types fixed.
    ///
    /// # Errors
    ///
    /// There is no such function, or it has another type.
    pub fn get_typed_func<P: WasmParams, R: WasmResults>(
        &self,
        store: impl AsContext,
        name: &str,
    ) -> Result<TypedFunc<P, R>> {
        let func = self.get_func(&store, name);
        let func = func.ok_or_else(|| UsageError::NoExport { kind: "function", name: name.to_owned() })?;
        func.typed(store)
    }

    /// All exports, in order.
    pub fn exports(&self, store: impl AsContext) -> Vec<(String, Extern)> {
        let store = store.as_context();
        let inner = store.inner();
        let module = if self.store == inner.id() { inner.instance_module(self.id) } else { None };
        let exports = module.map_or(&[][..], |module| &module.desc().exports);
        exports.iter().filter_map(|export| Some((export.name.clone(), self.entity(inner, export.kind)?))).collect()
    }

    /// Every global, exported or not, in index order: for tests.
    pub fn inspect_globals(&self, store: impl AsContext) -> Vec<Global> {
        let kinds = (0..).map(|index| ImportKind::Global(GlobalIndex(index)));
        self.inspect(store, kinds, Extern::into_global)
    }

    /// Every memory that is not shared, exported or not, in index order: for tests.
    pub fn inspect_memories(&self, store: impl AsContext) -> Vec<Memory> {
        let kinds = (0..).map(|index| ImportKind::Memory(MemoryIndex(index)));
        self.inspect(store, kinds, Extern::into_memory)
    }

    /// Every table, exported or not, in index order: for tests.
    pub fn inspect_tables(&self, store: impl AsContext) -> Vec<Table> {
        let kinds = (0..).map(|index| ImportKind::Table(TableIndex(index)));
        self.inspect(store, kinds, Extern::into_table)
    }

    /// Whether each data segment, and each element segment, is empty: dropped, or without contents from the start. For
    /// tests.
    pub fn inspect_segments(&self, store: impl AsContext) -> (Vec<bool>, Vec<bool>) {
        let store = store.as_context();
        let inner = store.inner();
        if self.store == inner.id() { inner.empty_segments(self.id) } else { Default::default() }
    }

    fn inspect<E>(
        &self,
        store: impl AsContext,
        kinds: impl Iterator<Item = ImportKind>,
        into: fn(Extern) -> Option<E>,
    ) -> Vec<E> {
        let store = store.as_context();
        kinds.map_while(|kind| self.entity(store.inner(), kind)).filter_map(into).collect()
    }
}

/// Checks the types of all imports, so that the error names all that do not match.
fn check_imports<T: 'static>(
    store: &StoreContextMut<'_, T>,
    module: &Module,
    imports: &[wattest_vm::Extern],
) -> Result<(), InstantiateError> {
    let inner = store.inner();
    let mut mismatches = Vec::new();
    for (import, given) in module.desc().imports.iter().zip(imports) {
        let wanted = module.desc().import_type(import);
        let matches = inner.import_matches(&wanted, module.runtime().type_ids(), *given);
        if !matches.map_err(|error| instantiate_error(error, imports))? {
            mismatches.push(ImportMismatch {
                module: import.module.clone(),
                name: import.name.clone(),
                wanted: ExternType::of(module.desc(), module.runtime().type_ids(), wanted),
                given: Extern::from_vm(*given, inner).ty_in(store.engine(), inner)?,
                exact: import.exact,
            });
        }
    }
    if mismatches.is_empty() {
        return Ok(());
    }
    Err(LinkError { mismatches, ..LinkError::default() }.into())
}

/// The embedder's error for an instance that could not be made.
pub(crate) fn instantiate_error(
    error: wattest_vm::InstantiateError,
    imports: &[wattest_vm::Extern],
) -> InstantiateError {
    match error {
        wattest_vm::InstantiateError::Mismatch { import } => {
            let text = format!("import {import} of {} does not match", imports.len());
            UsageError::Invalid(text).into()
        }
        wattest_vm::InstantiateError::WrongStore => UsageError::WrongStore { what: "import" }.into(),
        wattest_vm::InstantiateError::Limit(what) => InstantiateError::Limit(format!("limit reached: {what}")),
        wattest_vm::InstantiateError::Limiter(error) => InstantiateError::Start(crate::func::host_error(error, &[])),
        wattest_vm::InstantiateError::OutOfMemory => {
            InstantiateError::Limit("the machine has no room for a memory or table of this size".to_owned())
        }
        wattest_vm::InstantiateError::Trap(code, refused) => {
            InstantiateError::Start(Error::Trap(Trap::new(code).with_refused(refused)))
        }
    }
}
