//! The errors of the embedding API, by audience.
//!
//! [`CompileError`] and [`LinkError`] are for whoever supplies a module, [`Trap`] is what a guest did, [`UsageError`] is
//! the embedder's own mistake, and a [`HostError`] is whatever a host function wanted to say.
//!
//! Invariant: every error says where it happened, as far as that is known.
//!
//! Does not know: how errors are shown on a terminal.

use crate::exception::{ExnRef, UncaughtException};
use crate::types::ExternType;
use std::sync::Arc;
use wattest_abi::TrapCode;
use wattest_vm::Refused;
pub use wattest_vm::{FailedAccess, FailedElement};

/// The result of anything that may run WebAssembly.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why running WebAssembly did not succeed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The guest trapped.
    Trap(Trap),
    /// A host function failed.
    Host(HostError),
    /// The API was misused.
    Usage(UsageError),
    /// The guest threw an exception that nothing caught. Returned by a host function: throw it on.
    Exception(UncaughtException),
    /// A limit of the store or the machine.
    Limit(String),
}

impl Error {
    /// An error of a host function.
    ///
    /// ```
    /// let error = wattest::Error::host(std::fmt::Error);
    /// assert!(error.downcast_ref::<std::fmt::Error>().is_some());
    /// ```
    pub fn host(error: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Host(HostError { source: Box::new(error), backtrace: Backtrace::default() })
    }

    /// An error of a host function, given as text.
    pub fn msg(text: impl Into<String>) -> Error {
        Error::Host(HostError { source: text.into().into(), backtrace: Backtrace::default() })
    }

    /// The host function's error, if it is an `E`.
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self {
            Error::Host(error) => error.source.downcast_ref(),
            _ => None,
        }
    }

    /// The exception, if it is one.
    pub fn exception(&self) -> Option<&ExnRef> {
        match self {
            Error::Exception(thrown) => Some(&thrown.exception),
            _ => None,
        }
    }

    /// The trap, if it is one.
    pub fn trap(&self) -> Option<&Trap> {
        match self {
            Error::Trap(trap) => Some(trap),
            _ => None,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Trap(trap) => trap.fmt(f),
            Error::Host(error) => error.source.fmt(f),
            Error::Usage(error) => error.fmt(f),
            Error::Exception(thrown) => thrown.fmt(f),
            Error::Limit(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Host(error) => Some(&*error.source),
            _ => None,
        }
    }
}

impl From<UsageError> for Error {
    fn from(error: UsageError) -> Error {
        Error::Usage(error)
    }
}

impl From<Trap> for Error {
    fn from(trap: Trap) -> Error {
        Error::Trap(trap)
    }
}

impl From<MemoryFault> for Error {
    fn from(_: MemoryFault) -> Error {
        Error::Trap(Trap::new(TrapCode::MemoryOutOfBounds))
    }
}

/// A host access outside a memory, as an error of a host function.
pub(crate) struct MemoryFault;

/// A trap ([spec](https://webassembly.github.io/spec/core/intro/overview.html#trap)).
#[derive(Clone, Debug)]
pub struct Trap {
    code: TrapCode,
    backtrace: Backtrace,
    refused: Option<Refused>,
}

impl Trap {
    /// A trap without a stack: what a host function returns to make its caller trap.
    pub fn new(code: TrapCode) -> Trap {
        Trap { code, backtrace: Backtrace::default(), refused: None }
    }

    pub(crate) fn with_backtrace(code: TrapCode, backtrace: Backtrace) -> Trap {
        Trap { code, backtrace, refused: None }
    }

    pub(crate) fn with_refused(self, refused: Option<Refused>) -> Trap {
        Trap { refused, ..self }
    }

    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// Its cause.
    pub fn code(&self) -> TrapCode {
        self.code
    }

    /// The memory access that was out of bounds. Not known where a segment of data is too short, rather than a memory.
    ///
    /// ```
    /// use wattest::{Engine, Instance, Linker, Module, Store};
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(module (memory 1) (func (export "f") (drop (i32.load (i32.const 65536)))))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = Linker::new(&engine).instantiate(&mut store, &module)?;
    /// let f = instance.get_typed_func::<(), ()>(&mut store, "f")?;
    /// let error = f.call(&mut store, ()).unwrap_err();
    /// let access = error.trap().and_then(|trap| trap.failed_access()).unwrap();
    /// assert_eq!((access.address, access.memory_bytes), (65536, 65536));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn failed_access(&self) -> Option<&FailedAccess> {
        match &self.refused {
            Some(Refused::Access(access)) => Some(access),
            _ => None,
        }
    }

    /// The table access that was out of bounds. Not known of an indirect call, nor where a segment of elements is too short.
    ///
    /// ```
    /// use wattest::{Engine, Linker, Module, Store};
    /// let engine = Engine::default();
    /// let text = r#"(module (table 3 funcref) (func (export "f") (drop (table.get (i32.const 7)))))"#;
    /// let mut store = Store::new(&engine, ());
    /// let instance = Linker::new(&engine).instantiate(&mut store, &Module::new(&engine, text)?)?;
    /// let f = instance.get_typed_func::<(), ()>(&mut store, "f")?;
    /// let error = f.call(&mut store, ()).unwrap_err();
    /// let element = error.trap().and_then(|trap| trap.failed_element()).unwrap();
    /// assert_eq!((element.index, element.table_elements), (7, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn failed_element(&self) -> Option<&FailedElement> {
        match &self.refused {
            Some(Refused::Element(element)) => Some(element),
            _ => None,
        }
    }

    /// Where it happened.
    pub fn backtrace(&self) -> &Backtrace {
        &self.backtrace
    }
}

impl std::fmt::Display for Trap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "wasm trap: {}", self.code)
    }
}

impl std::error::Error for Trap {}

/// The error of a host function.
#[derive(Debug)]
pub struct HostError {
    pub(crate) source: Box<dyn std::error::Error + Send + Sync>,
    pub(crate) backtrace: Backtrace,
}

impl HostError {
    /// The error itself.
    pub fn error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &*self.source
    }

    /// The WebAssembly stack when it was returned.
    pub fn backtrace(&self) -> &Backtrace {
        &self.backtrace
    }
}

/// A WebAssembly stack, innermost frame first. At most 256 frames are kept.
#[derive(Clone, Debug, Default)]
pub struct Backtrace {
    pub(crate) frames: Arc<[Frame]>,
    pub(crate) locals: Arc<[Vec<Option<LocalValue>>]>,
}

/// The value of a local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalValue {
    /// An `i32`.
    I32(i32),
    /// An `i64`.
    I64(i64),
    /// An `f32`, as bits.
    F32(u32),
    /// An `f64`, as bits.
    F64(u64),
}

impl Backtrace {
    /// The frames.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// The locals of a frame, parameters first, as they were: all of them if the function's module was compiled with
    /// [`Config::keep_locals`](crate::Config::keep_locals), else none. What is not known of one – a vector, a reference, any
    /// after the 1,024th – is `None`. The innermost frame of a stack overflow has none.
    ///
    /// ```
    /// use wattest::{Config, Engine, Linker, LocalValue, Module, Store};
    /// let engine = Engine::new(Config::new().keep_locals(true))?;
    /// let module = Module::new(&engine, r#"(module
    ///     (func (export "f") (param i32) (local i64 funcref)
    ///         (local.set 1 (i64.const -3))
    ///         unreachable))"#)?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = Linker::new(&engine).instantiate(&mut store, &module)?;
    /// let f = instance.get_typed_func::<i32, ()>(&mut store, "f")?;
    /// let error = f.call(&mut store, 7).unwrap_err();
    /// let locals = error.trap().unwrap().backtrace().locals(0);
    /// assert_eq!(locals, [Some(LocalValue::I32(7)), Some(LocalValue::I64(-3)), None]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn locals(&self, frame: usize) -> &[Option<LocalValue>] {
        self.locals.get(frame).map_or(&[], Vec::as_slice)
    }
}

/// A frame of a [`Backtrace`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The function's index in its module.
    pub func_index: u32,
    /// The module that the function belongs to, as [`Module::id`](crate::Module::id) says it.
    pub module_id: u64,
    /// Its name: from the name section, demangled, or else the name it is exported by.
    pub func_name: Option<String>,
    /// The module's name.
    pub module_name: Option<String>,
    /// Byte offset of the instruction in the module, if addresses were recorded.
    pub wasm_offset: Option<u32>,
}

impl std::fmt::Display for Backtrace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, frame) in self.frames.iter().enumerate() {
            let module = frame.module_name.as_deref().unwrap_or("<unnamed>");
            write!(f, "{position:4}: ")?;
            match frame.wasm_offset {
                Some(offset) => write!(f, "{offset:#8x} - ")?,
                None => f.write_str("       ? - ")?,
            }
            match &frame.func_name {
                Some(name) => writeln!(f, "{module}!{name}")?,
                None => writeln!(f, "{module}!<wasm function {}>", frame.func_index)?,
            }
        }
        Ok(())
    }
}

/// A mistake in the use of the API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// A handle was used with a store that is not its own.
    #[error("a {what} of one store was used with another store")]
    WrongStore {
        /// What kind of handle.
        what: &'static str,
    },
    /// A module, linker or store of one engine was used with another.
    #[error("a {what} of one engine was used with another engine")]
    WrongEngine {
        /// What kind of object.
        what: &'static str,
    },
    /// Arguments or results do not fit a function's type.
    #[error("the function's type is {wanted}, but it was used as {given}")]
    TypeMismatch {
        /// The function's type.
        wanted: String,
        /// What was given.
        given: String,
    },
    /// There is no such export, or it is of another kind.
    #[error("there is no {kind} exported as `{name}`")]
    NoExport {
        /// What was looked for.
        kind: &'static str,
        /// By which name.
        name: String,
    },
    /// A value does not fit a global, table or memory, or an immutable global was set.
    #[error("{0}")]
    Invalid(String),
    /// A host function has to wait, but the guest was called without `async`, or by a host function that was called by a
    /// guest itself.
    #[error("a host function has to wait: the guest that calls it must be called with `call_async`")]
    CannotSuspend,
    /// The option that this call needs is off.
    #[error("this needs the engine option `{option}`")]
    OptionOff {
        /// The option's key.
        option: &'static str,
    },
}

/// Why a binary or text is not a module this engine can run.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The text does not parse.
    #[error("{0}")]
    Text(String),
    /// The binary is malformed, invalid or too large.
    #[error(transparent)]
    Decode(#[from] wattest_module::DecodeError),
    /// The binary is no component that can be run.
    #[error(transparent)]
    Component(#[from] wattest_component::ComponentError),
    /// Code could not be generated.
    #[error("{0}")]
    Codegen(String),
    /// The machine has no room for the code.
    #[error("no memory for compiled code: {0}")]
    Memory(String),
}

impl CompileError {
    /// Byte offset in the binary, where one is known.
    pub fn offset(&self) -> Option<usize> {
        match self {
            CompileError::Decode(error) => Some(error.offset()),
            CompileError::Component(wattest_component::ComponentError::Invalid { offset, .. }) => Some(*offset),
            _ => None,
        }
    }
}

/// Why a module could not be serialized.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the module cannot be serialized: {0}")]
pub struct SerializeError(pub(crate) String);

/// Why an artifact was refused.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeserializeError {
    /// The file could not be read or mapped, or is damaged.
    #[error("{0}")]
    Artifact(String),
    /// It was made by an engine with other options, another CPU or another version.
    #[error("the artifact was compiled for another configuration: {0}")]
    Incompatible(String),
}

/// An import that nothing satisfies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingImport {
    /// Module name.
    pub module: String,
    /// Field name.
    pub name: String,
    /// The type it must have.
    pub ty: ExternType,
}

impl std::fmt::Display for MissingImport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` `{}`: {}", self.module, self.name, self.ty)
    }
}

/// An import that was given something of another type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportMismatch {
    /// Module name.
    pub module: String,
    /// Field name.
    pub name: String,
    /// The type it must have.
    pub wanted: ExternType,
    /// The type of what was given.
    pub given: ExternType,
    /// Whether a type declared to be below the wanted one is not enough.
    pub exact: bool,
}

impl std::fmt::Display for ImportMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Types that are declared differently may look the same.
        let exactly = if self.exact { "exactly " } else { "" };
        let otherwise = if self.wanted == self.given { " declared otherwise" } else { "" };
        write!(
            f,
            "`{}` `{}`: incompatible import type: needs {exactly}{}, was given {}{otherwise}",
            self.module, self.name, self.wanted, self.given
        )
    }
}

/// Imports that are missing or of another type: all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkError {
    /// Imports that nothing satisfies.
    pub missing: Vec<MissingImport>,
    /// Imports of another type.
    pub mismatches: Vec<ImportMismatch>,
    /// A name that was defined twice.
    pub redefined: Option<(String, String)>,
    /// The API was misused.
    pub usage: Option<Box<UsageError>>,
}

impl std::fmt::Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut lines = Vec::new();
        lines.extend(self.missing.iter().map(|import| format!("unknown import {import}")));
        lines.extend(self.mismatches.iter().map(ToString::to_string));
        if let Some((module, name)) = &self.redefined {
            lines.push(format!("`{module}` `{name}` is defined already"));
        }
        lines.extend(self.usage.as_ref().map(ToString::to_string));
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for LinkError {}

/// Why there is no instance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstantiateError {
    /// Imports are missing or of another type.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Imports of a component are missing or of another type.
    #[error(transparent)]
    Component(#[from] crate::component::LinkError),
    /// A segment does not fit, or the start function failed.
    #[error(transparent)]
    Start(Error),
    /// A limit of the store or the machine.
    #[error("{0}")]
    Limit(String),
    /// The API was misused.
    #[error(transparent)]
    Usage(#[from] UsageError),
}

impl From<crate::component::LinkError> for Error {
    fn from(error: crate::component::LinkError) -> Error {
        Error::host(error)
    }
}

impl From<InstantiateError> for Error {
    fn from(error: InstantiateError) -> Error {
        match error {
            InstantiateError::Start(error) => error,
            InstantiateError::Limit(text) => Error::Limit(text),
            InstantiateError::Usage(error) => Error::Usage(error),
            InstantiateError::Link(error) => Error::host(error),
            InstantiateError::Component(error) => Error::host(error),
        }
    }
}
