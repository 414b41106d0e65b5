//! What a core engine has to offer, so that a component can be carried out in it.
//!
//! Modules are instantiated by position, functions of the host get the engine back while they run
//! ([embedding](https://webassembly.github.io/spec/core/appendix/embedding.html)). Values are the reference's: a function
//! reference holds the number of a [`FuncId`].
//!
//! Invariant: a number is only good for the engine that gave it out.
//!
//! Does not know: components.

use std::sync::Arc;
use wattest_canon::Fault;
use wattest_component::graph::Sort;
use wattest_fuse::{AbiType, FuncType};
pub use wattest_reference::Value;
use wattest_reference::{Ref, TrapClass};

/// How code ends when not in values.
#[derive(Clone, Debug, PartialEq)]
pub enum Halt {
    /// In a trap.
    Trap(TrapClass),
    /// In something that proves nothing: a budget, or what an engine does not have.
    Nothing(String),
    /// In what a correct plan never does: something is used that is not there, or is something else.
    Broken(String),
}

impl From<TrapClass> for Halt {
    fn from(class: TrapClass) -> Halt {
        Halt::Trap(class)
    }
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Halt {
        Halt::Trap(match fault {
            Fault::Unaligned | Fault::ReallocUnaligned => TrapClass::UnalignedPointer,
            Fault::PointerOutOfBounds
            | Fault::ListOutOfBounds
            | Fault::StringOutOfBounds
            | Fault::ReallocOutOfBounds => TrapClass::PointerOutOfBounds,
            Fault::ListTooLong | Fault::StringTooLong => TrapClass::ValueTooLong,
            Fault::Discriminant => TrapClass::InvalidDiscriminant,
            Fault::Char => TrapClass::InvalidChar,
            Fault::Utf8 | Fault::Utf8Incomplete | Fault::Utf16 => TrapClass::InvalidString,
            Fault::ValueTooLarge(_) => return Halt::Nothing(fault.to_string()),
            Fault::SlotsMissing | Fault::Mismatch(_) => return Halt::Broken(fault.to_string()),
        })
    }
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);
    )*};
}

numbers! {
    /// A function of an engine.
    FuncId;
    /// A memory of an engine.
    MemoryId;
    /// A global of an engine.
    GlobalId;
    /// A table or tag of an engine, which is only passed on.
    OtherId;
    /// An instance of an engine.
    InstanceId;
}

/// What instances export and import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A function.
    Func(FuncId),
    /// A memory.
    Memory(MemoryId),
    /// A global.
    Global(GlobalId),
    /// A table.
    Table(OtherId),
    /// A tag.
    Tag(OtherId),
}

impl Item {
    /// Its sort.
    pub const fn sort(self) -> Sort {
        match self {
            Item::Func(_) => Sort::Func,
            Item::Memory(_) => Sort::Memory,
            Item::Global(_) => Sort::Global,
            Item::Table(_) => Sort::Table,
            Item::Tag(_) => Sort::Tag,
        }
    }
}

/// A function of the host: it gets the engine, and arguments of its parameter types.
pub type HostBody = Arc<dyn Fn(&mut dyn Core, &[Value]) -> Result<Vec<Value>, Halt> + Send + Sync>;

/// A store of a core engine, at rest or in the middle of a call.
pub trait Core {
    /// Adds a function of the host.
    fn add_func(&mut self, ty: &FuncType, body: HostBody) -> FuncId;

    /// Calls a function. An exception that leaves it is a trap.
    ///
    /// # Errors
    /// What the call ends in.
    fn call(&mut self, func: FuncId, args: &[Value]) -> Result<Vec<Value>, Halt>;

    /// A function's parameters and results; nothing for one that has others than the canonical ABI has.
    fn func_type(&self, func: FuncId) -> Option<FuncType>;

    /// The bytes of a memory.
    fn memory(&self, memory: MemoryId) -> &[u8];

    /// The bytes of a memory.
    fn memory_mut(&mut self, memory: MemoryId) -> &mut [u8];

    /// Adds a mutable `i32` global that is 1.
    fn add_flag(&mut self) -> GlobalId;

    /// The value of such a global.
    fn flag(&self, global: GlobalId) -> u32;

    /// Sets it.
    fn set_flag(&mut self, global: GlobalId, value: u32);

    /// Instantiates a module with these imports, in its order, and runs its start function.
    ///
    /// # Errors
    /// What instantiation ends in; [`Halt::Broken`] when an import does not match.
    fn instantiate(&mut self, wasm: &[u8], imports: &[Item]) -> Result<InstanceId, Halt>;

    /// An export.
    fn export(&mut self, instance: InstanceId, name: &str) -> Option<Item>;
}

/// Core values of these types from 64-bit slots.
pub fn values(types: &[AbiType], slots: &[u64]) -> Vec<Value> {
    use wattest_canon::CoreType;
    let value = |(ty, bits): (&AbiType, &u64)| match ty {
        AbiType::Core(CoreType::I32) => Value::I32(*bits as u32),
        AbiType::Core(CoreType::I64) => Value::I64(*bits),
        AbiType::Core(CoreType::F32) => Value::F32(*bits as u32),
        AbiType::Core(CoreType::F64) => Value::F64(*bits),
        AbiType::FuncRef => Value::Ref(Ref::Null),
    };
    types.iter().zip(slots).map(value).collect()
}

/// 64-bit slots from core values.
pub fn slots(values: &[Value]) -> Vec<u64> {
    values.iter().map(|value| value.slot() as u64).collect()
}
