//! Linking by name.
//!
//! Invariant: a linker belongs to one engine; host functions defined by [`Linker::func_wrap`] and [`Linker::func_new`] are
//! made anew in every store that an instance is linked in.
//!
//! Does not know: how imports are checked; see [`Instance`].

use crate::context::{AsContext, AsContextMut, Caller, StoreContextMut};
use crate::engine::Engine;
use crate::error::{InstantiateError, LinkError, MissingImport, Result, UsageError};
use crate::externs::Extern;
use crate::instance::Instance;
use crate::module::Module;
use crate::store::StoreData;
use crate::suspend::HostFuture;
use crate::typed::{HostResult, IntoFunc, WasmParams};
use crate::types::FuncType;
use crate::value::Val;
use std::collections::HashMap;
use wattest_vm::HostFunction;
use wattest_vm::suspend::Caller as Waits;

enum Definition<T: 'static> {
    /// Something of one store.
    Extern(Extern),
    /// A host function for any store.
    Host(HostFunction<StoreData<T>>),
}

impl<T: 'static> Clone for Definition<T> {
    fn clone(&self) -> Self {
        match self {
            Definition::Extern(given) => Definition::Extern(given.clone()),
            Definition::Host(host) => Definition::Host(host.clone()),
        }
    }
}

/// Names for imports.
pub struct Linker<T: 'static> {
    engine: Engine,
    // ORDER: only looked up, never iterated.
    definitions: HashMap<String, HashMap<String, Definition<T>>>,
    allow_shadowing: bool,
}

impl<T: 'static> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Linker {
            engine: self.engine.clone(),
            definitions: self.definitions.clone(),
            allow_shadowing: self.allow_shadowing,
        }
    }
}

impl<T: 'static> Linker<T> {
    /// An empty linker.
    pub fn new(engine: &Engine) -> Linker<T> {
        Linker { engine: engine.clone(), definitions: HashMap::new(), allow_shadowing: false }
    }

    /// The linker's engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a name may be defined again.
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Linker<T> {
        self.allow_shadowing = allow;
        self
    }

    fn insert(&mut self, module: &str, name: &str, definition: Definition<T>) -> Result<&mut Linker<T>, LinkError> {
        if !self.definitions.contains_key(module) {
            self.definitions.insert(module.to_owned(), HashMap::new());
        }
        let names = self.definitions.entry(module.to_owned()).or_default();
        if !self.allow_shadowing && names.contains_key(name) {
            let redefined = Some((module.to_owned(), name.to_owned()));
            return Err(LinkError { redefined, ..LinkError::default() });
        }
        names.insert(name.to_owned(), definition);
        Ok(self)
    }

    /// Defines a name as something of a store.
    ///
    /// # Errors
    ///
    /// The name is defined already.
    pub fn define(
        &mut self,
        _store: impl AsContext<Data = T>,
        module: &str,
        name: &str,
        given: impl Into<Extern>,
    ) -> Result<&mut Linker<T>, LinkError> {
        self.insert(module, name, Definition::Extern(given.into()))
    }

    /// Defines a name as a host function whose types are known at compile time.
    ///
    /// # Errors
    ///
    /// The name is defined already.
    pub fn func_wrap<Params>(
        &mut self,
        module: &str,
        name: &str,
        closure: impl IntoFunc<T, Params>,
    ) -> Result<&mut Linker<T>, LinkError> {
        let host = closure.into_host(&self.engine);
        self.insert(module, name, Definition::Host(host))
    }

    /// Defines a name as a host function that waits for a future. Its parameters are a tuple, or one value.
    ///
    /// The guest that calls it is put aside as long as the future is not ready, if it was called with `call_async`.
    ///
    /// # Errors
    ///
    /// The name is defined already.
    pub fn func_wrap_async<P: WasmParams, R: HostResult>(
        &mut self,
        module: &str,
        name: &str,
        closure: impl for<'a> Fn(Caller<'a, T>, P) -> HostFuture<'a, R> + Send + Sync + 'static,
    ) -> Result<&mut Linker<T>, LinkError> {
        let host = crate::typed::waiting_host(&self.engine, closure);
        self.insert(module, name, Definition::Host(host))
    }

    /// Defines a name as a host function that waits for a future, and whose types are known at run time.
    ///
    /// # Errors
    ///
    /// The name is defined already.
    pub fn func_new_async(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        closure: impl for<'a> Fn(Caller<'a, T>, &'a [Val], &'a mut [Val]) -> HostFuture<'a, Result<()>>
        + Send
        + Sync
        + 'static,
    ) -> Result<&mut Linker<T>, LinkError> {
        let waiting = move |caller: Caller<'_, T>, params: &[Val], results: &mut [Val]| {
            crate::suspend::wait_for(Waits::Guest, closure(caller, params, results))?
        };
        self.func_new(module, name, ty, waiting)
    }

    /// As [`Linker::instantiate`], on a stack of its own: host functions that the start function calls can wait.
    ///
    /// # Errors
    ///
    /// As [`Linker::instantiate`]; or there is no stack.
    pub fn instantiate_async<'a, S: Into<StoreContextMut<'a, T>>>(
        &'a self,
        store: S,
        module: &'a Module,
    ) -> impl Future<Output = Result<Instance, InstantiateError>> + Send + use<'a, T, S>
    where
        T: Send,
    {
        let refused = |text| Err(InstantiateError::Limit(text));
        crate::suspend::on_own_stack(store, refused, move |store| self.instantiate(store, module))
    }

    /// Defines a name as a host function whose types are known at run time.
    ///
    /// # Errors
    ///
    /// The name is defined already.
    pub fn func_new(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        closure: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Result<&mut Linker<T>, LinkError> {
        let host = crate::func::dynamic_host(&self.engine, &ty, closure);
        self.insert(module, name, Definition::Host(host))
    }

    /// Defines all exports of an instance under `module`.
    ///
    /// # Errors
    ///
    /// A name is defined already, or the instance is another store's.
    pub fn instance(
        &mut self,
        store: impl AsContextMut<Data = T>,
        module: &str,
        instance: Instance,
    ) -> Result<&mut Linker<T>, LinkError> {
        if !instance.belongs_to(store.as_context().inner()) {
            let usage = Box::new(UsageError::WrongStore { what: "instance" });
            return Err(LinkError { usage: Some(usage), ..LinkError::default() });
        }
        for (name, given) in instance.exports(&store) {
            self.insert(module, &name, Definition::Extern(given))?;
        }
        Ok(self)
    }

    fn lookup(&self, module: &str, name: &str) -> Option<&Definition<T>> {
        self.definitions.get(module)?.get(name)
    }

    /// What a name stands for in `store`; makes a host function if it is one. `None` when there is no such name, or the
    /// store is another engine's.
    pub fn get(&self, mut store: impl AsContextMut<Data = T>, module: &str, name: &str) -> Option<Extern> {
        if !self.engine.same(store.as_context().engine()) {
            return None;
        }
        let definition = self.lookup(module, name)?;
        Some(match definition {
            Definition::Extern(given) => given.clone(),
            Definition::Host(host) => {
                let handle = store.as_context_mut().0.add_host_function(host);
                Extern::Func(crate::func::Func::from_handle(handle))
            }
        })
    }

    /// All imports of `module` that no name satisfies, with the types they need.
    ///
    /// ```
    /// use wattest::{Engine, Linker, Module};
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(module (import "env" "log" (func (param i32))))"#)?;
    /// let missing = Linker::<()>::new(&engine).missing_imports(&module);
    /// assert_eq!(missing[0].to_string(), "`env` `log`: (func (param i32))");
    /// # Ok::<(), wattest::CompileError>(())
    /// ```
    pub fn missing_imports(&self, module: &Module) -> Vec<MissingImport> {
        let missing = module.imports().filter(|import| self.lookup(import.module(), import.name()).is_none());
        let owned = missing.map(|import| MissingImport {
            module: import.module().to_owned(),
            name: import.name().to_owned(),
            ty: import.ty(),
        });
        owned.collect()
    }

    /// Instantiates `module` with what its imports' names stand for, and runs its start function.
    ///
    /// # Errors
    ///
    /// As [`Instance::new`]; a [`LinkError`] names all imports that are missing.
    pub fn instantiate(
        &self,
        mut store: impl AsContextMut<Data = T>,
        module: &Module,
    ) -> Result<Instance, InstantiateError> {
        let mut store: StoreContextMut<'_, T> = store.as_context_mut();
        if !self.engine.same(module.engine()) || !self.engine.same(store.engine()) {
            return Err(UsageError::WrongEngine { what: "linker" }.into());
        }
        let mut imports = Vec::with_capacity(module.desc().imports.len());
        for import in &module.desc().imports {
            match self.lookup(&import.module, &import.name) {
                Some(Definition::Extern(given)) => imports.push(given.to_vm(store.inner_mut())?),
                Some(Definition::Host(host)) => {
                    imports.push(wattest_vm::Extern::Func(store.0.add_host_function(host)));
                }
                None => {
                    let missing = self.missing_imports(module);
                    return Err(LinkError { missing, ..LinkError::default() }.into());
                }
            }
        }
        Instance::from_vm_imports(&mut store, module, &imports)
    }
}

impl<T: 'static> std::fmt::Debug for Linker<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Linker").field("modules", &self.definitions.len()).finish_non_exhaustive()
    }
}
