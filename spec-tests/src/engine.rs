//! What an engine must offer to be put through the suites.
//!
//! The operations are those that scripts are made of
//! ([spec](https://github.com/WebAssembly/spec/tree/main/interpreter#scripts)): define a module, instantiate it with names
//! that earlier instances were registered under, call exports, read globals.
//!
//! Invariant: an operation answers with a value or a [`Failure`]; it never panics because of what a script contains.
//!
//! Does not know: directives, expectations, any particular engine.

use crate::{ComponentValue, FeatureSet, TrapClass, Value};

/// An engine in one configuration.
pub trait WastEngine: Send + Sync {
    /// The configuration's name in reports and trial names.
    fn name(&self) -> &str;

    /// A fresh store in which the module name `spectest` is registered (see [`crate::spectest`]).
    ///
    /// # Errors
    ///
    /// [`Failure::Unsupported`] when the engine cannot be given these features at all. An engine that lacks single
    /// proposals may run without them: the modules that need them fail one by one.
    fn session(&self, features: &FeatureSet) -> Result<Box<dyn Session>, Failure>;
}

/// A module of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModuleId(pub u32);

/// An instance of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceId(pub u32);

/// A store with its modules, instances and registered names.
pub trait Session {
    /// Decodes, validates and compiles `binary`.
    ///
    /// # Errors
    ///
    /// [`Failure::Malformed`] or [`Failure::Invalid`] (an engine that cannot tell says `Invalid`).
    fn compile(&mut self, binary: &[u8]) -> Result<ModuleId, Failure>;

    /// Checks `binary` and the contents of the custom sections in it that the engine knows.
    ///
    /// # Errors
    ///
    /// As [`Session::compile`]; by default, the engine knows none.
    fn check_custom(&mut self, binary: &[u8]) -> Result<(), Failure> {
        self.compile(binary).map(drop)
    }

    /// Instantiates `module`, its imports resolved by registered names, and runs its start function.
    ///
    /// # Errors
    ///
    /// [`Failure::Unlinkable`], or whatever segments and the start function ended in.
    fn instantiate(&mut self, module: ModuleId) -> Result<InstanceId, Failure>;

    /// Makes the exports of `instance` importable under the module name `name`, replacing what had it before.
    ///
    /// # Errors
    ///
    /// [`Failure::Broken`] when the engine refuses.
    fn register(&mut self, name: &str, instance: InstanceId) -> Result<(), Failure>;

    /// Calls the exported function `export`.
    ///
    /// # Errors
    ///
    /// What the call ended in; [`Failure::Broken`] when there is no such function or `args` do not fit it.
    fn invoke(&mut self, instance: InstanceId, export: &str, args: &[Value]) -> Result<Vec<Value>, Failure>;

    /// Reads the exported global `export`.
    ///
    /// # Errors
    ///
    /// [`Failure::Broken`] when there is no such global.
    fn get(&mut self, instance: InstanceId, export: &str) -> Result<Value, Failure>;

    /// Whether [`Session::compile`] takes components.
    fn takes_components(&self) -> bool {
        false
    }

    /// Whether an instance is a component's.
    fn is_component(&self, instance: InstanceId) -> bool {
        let _ = instance;
        false
    }

    /// Calls a function that an instance of a component exports; its result, if it has one.
    ///
    /// # Errors
    ///
    /// As [`Session::invoke`]; [`Failure::Unsupported`] by default.
    fn invoke_component(
        &mut self,
        instance: InstanceId,
        export: &str,
        args: &[ComponentValue],
    ) -> Result<Option<ComponentValue>, Failure> {
        let _ = (instance, export, args);
        Err(Failure::Unsupported("component".to_owned()))
    }

    /// A session for another thread, and in it an instance that exports what of `shared` can be shared between threads.
    ///
    /// # Errors
    ///
    /// [`Failure::Unsupported`] by default: the engine has no threads.
    fn fork(&mut self, shared: Option<InstanceId>) -> Result<Forked, Failure> {
        let _ = shared;
        Err(Failure::Unsupported("threads".to_owned()))
    }

    /// Whether `actual` is the value that `expected` writes: for engines that do not tell all forms of values apart.
    fn is_value(&self, actual: &ComponentValue, expected: &ComponentValue) -> bool {
        actual == expected
    }

    /// Whether a trap reported as `actual` may be the trap `expected`: for engines that do not tell all classes apart.
    fn may_be(&self, actual: TrapClass, expected: TrapClass) -> bool {
        actual == expected
    }
}

/// A session that moves to another thread.
pub struct Forked {
    /// The new session.
    pub session: Box<dyn Session + Send>,
    /// The instance of shared things in it, if one was asked for.
    pub shared: Option<InstanceId>,
}

/// An import that no registered instance satisfies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingImport {
    /// Module name.
    pub module: String,
    /// Item name.
    pub name: String,
}

/// How an operation ended when not in values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Execution trapped.
    Trap(TrapClass),
    /// Execution threw an exception that nothing caught.
    Exception,
    /// Imports are missing or do not fit.
    Unlinkable {
        /// The engine's message.
        text: String,
        /// The imports that are missing altogether, as far as the engine tells.
        missing: Vec<MissingImport>,
    },
    /// The module is not valid, or the engine does not tell malformed from invalid; with its message.
    Invalid(String),
    /// The module cannot be decoded; with the engine's message.
    Malformed(String),
    /// A limit of the engine or the machine, with its message.
    Limit(String),
    /// The engine lacks what is asked for, by name.
    Unsupported(String),
    /// Anything else: never what a script expects.
    Broken(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Trap(class) => write!(f, "trap: {}", class.text()),
            Failure::Exception => f.write_str("uncaught exception"),
            Failure::Unlinkable { text, .. } => write!(f, "unlinkable: {text}"),
            Failure::Invalid(text) => write!(f, "invalid module: {text}"),
            Failure::Malformed(text) => write!(f, "malformed module: {text}"),
            Failure::Limit(text) => write!(f, "limit: {text}"),
            Failure::Unsupported(name) => write!(f, "unsupported: {name}"),
            Failure::Broken(text) => write!(f, "broken: {text}"),
        }
    }
}
