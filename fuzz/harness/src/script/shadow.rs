//! The shadow of a script's state: what every global, table, object and log entry must hold.
//!
//! The generator runs every operation here in the moment it emits it
//! ([store](https://webassembly.github.io/spec/core/exec/runtime.html#store)).
//!
//! Invariant: plain data; a snapshot put back undoes whatever was emitted into a branch that is not taken.
//!
//! Does not know: code, types beyond their index.

use wattest_differential::linked::LinkedHostCall;

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum V {
    I32(u32),
    I64(u64),
    F32(u32),
    F64(u64),
    V128(u128),
    Null,
    /// An unboxed integer: 31 bits.
    I31(u32),
    /// An object of the heap.
    Object(u32),
    /// A function.
    Func(u32),
    /// An exception.
    Exn(u32),
}

/// A struct or an array.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its type in the graph.
    pub def: u32,
    pub cells: Vec<V>,
    /// Its descriptor; null where its type wants none.
    pub descriptor: V,
}

/// What one module has for itself.
#[derive(Clone, Debug)]
pub struct Own {
    /// Entries of its table.
    pub entries: Vec<V>,
    /// The first bytes of its memory.
    pub bytes: Vec<u8>,
    /// The memory's size.
    pub pages: u32,
    /// Which data segments it has dropped, and which element segments.
    pub dropped: [[bool; super::segments::COUNT]; 2],
}

impl Own {
    /// Nulls and zeros in one page.
    pub fn new(entries: usize, bytes: usize) -> Own {
        Own { entries: vec![V::Null; entries], bytes: vec![0; bytes], pages: 1, dropped: Default::default() }
    }
}

/// The state that outlives a call.
#[derive(Clone, Debug, Default)]
pub struct Shadow {
    pub heap: Vec<Object>,
    pub globals: Vec<V>,
    /// The shared table of `anyref`.
    pub table: Vec<V>,
    /// What the shared table of functions has grown by.
    pub grown: Vec<V>,
    /// Of each page of the shared memory the bytes that statements use.
    pub pages: Vec<Vec<u8>>,
    /// By module.
    pub own: Vec<Own>,
    /// Tags and arguments.
    pub exceptions: Vec<(u32, Vec<V>)>,
    /// Calls of the host in this call so far.
    pub host_calls: Vec<LinkedHostCall>,
    /// What the log of this call holds so far.
    pub log: Vec<u64>,
}

impl Shadow {
    /// Makes an object.
    pub fn alloc(&mut self, def: u32, cells: Vec<V>) -> V {
        self.alloc_described(def, cells, V::Null)
    }

    /// Makes an object with a descriptor.
    pub fn alloc_described(&mut self, def: u32, cells: Vec<V>, descriptor: V) -> V {
        self.heap.push(Object { def, cells, descriptor });
        V::Object(self.heap.len() as u32 - 1)
    }

    /// The object behind a value, if it is one.
    pub fn object(&self, value: V) -> Option<&Object> {
        match value {
            V::Object(index) => self.heap.get(index as usize),
            _ => None,
        }
    }

    /// Replaces a cell.
    pub fn store(&mut self, value: V, at: usize, cell: V) {
        if let V::Object(index) = value
            && let Some(object) = self.heap.get_mut(index as usize)
        {
            object.cells[at] = cell;
        }
    }
}
