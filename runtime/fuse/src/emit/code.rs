//! Function bodies in the making: bytes, locals that are used again, calls whose target has no index yet.
//!
//! Functions that are imported come before those of the module, and imports turn up while bodies are written; so a call
//! names its target symbolically and gets its index at the end.
//!
//! Invariant: a [`Local`] is in use by one holder between [`Code::local`] and [`Code::release`].
//!
//! Does not know: what the instructions are for.

use wasm_encoder::{Encode, Function, InstructionSink, ValType};
use wattest_canon::CoreType;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FuncRef {
    /// An imported one, by position among imported functions.
    Import(u32),
    /// One of the module, by position among them.
    Own(u32),
}

/// A local and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// Its index.
    pub index: u32,
    /// Its type.
    pub ty: CoreType,
}

/// A body.
#[derive(Debug)]
pub struct Code {
    bytes: Vec<u8>,
    targets: Vec<(usize, FuncRef)>,
    params: u32,
    locals: Vec<CoreType>,
    free: [Vec<u32>; 4],
}

impl Code {
    /// An empty body of a function with this many parameters.
    pub fn new(params: usize) -> Code {
        // Parameters are at most 17 and one.
        let params = u32::try_from(params).unwrap_or(u32::MAX);
        Code { bytes: Vec::new(), targets: Vec::new(), params, locals: Vec::new(), free: Default::default() }
    }

    /// Where instructions are appended. Calls go through [`Code::call`].
    pub fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.bytes)
    }

    /// How many bytes there are so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// `call`.
    pub fn call(&mut self, target: FuncRef) {
        self.bytes.push(0x10);
        self.targets.push((self.bytes.len(), target));
    }

    /// `ref.func`.
    pub fn ref_func(&mut self, target: FuncRef) {
        self.bytes.push(0xd2);
        self.targets.push((self.bytes.len(), target));
    }

    /// A local that nobody uses. Holds anything.
    pub fn local(&mut self, ty: CoreType) -> Local {
        if let Some(index) = self.free[ty as usize].pop() {
            return Local { index, ty };
        }
        // A body of more than `FUNCTION_BYTES_MAX` is refused long before this overflows.
        let index = u32::try_from(self.locals.len()).unwrap_or(u32::MAX).saturating_add(self.params);
        self.locals.push(ty);
        Local { index, ty }
    }

    /// Takes a local from the stack.
    pub fn local_set_new(&mut self, ty: CoreType) -> Local {
        let local = self.local(ty);
        self.set(local);
        local
    }

    /// Gives a local back.
    pub fn release(&mut self, local: Local) {
        if local.index >= self.params {
            self.free[local.ty as usize].push(local.index);
        }
    }

    /// `local.get`.
    pub fn get(&mut self, local: Local) {
        self.sink().local_get(local.index);
    }

    /// `local.set`.
    pub fn set(&mut self, local: Local) {
        self.sink().local_set(local.index);
    }

    /// `local.tee`.
    pub fn tee(&mut self, local: Local) {
        self.sink().local_tee(local.index);
    }

    /// The constant 0 of a type.
    pub fn zero(&mut self, ty: CoreType) {
        match ty {
            CoreType::I32 => self.sink().i32_const(0),
            CoreType::I64 => self.sink().i64_const(0),
            CoreType::F32 => self.sink().f32_const(0.0f32.into()),
            CoreType::F64 => self.sink().f64_const(0.0f64.into()),
        };
    }

    /// Turns the core value on the stack into the one of another type that has the same low bits: how cases share slots.
    pub fn convert(&mut self, from: CoreType, to: CoreType) {
        use CoreType::{F32, F64, I32, I64};
        let mut sink = self.sink();
        match (from, to) {
            (I32, I64) => sink.i64_extend_i32_u(),
            (I32, F32) => sink.f32_reinterpret_i32(),
            (I64, I32) => sink.i32_wrap_i64(),
            (I64, F32) => sink.i32_wrap_i64().f32_reinterpret_i32(),
            (I64, F64) => sink.f64_reinterpret_i64(),
            (F32, I32) => sink.i32_reinterpret_f32(),
            (F32, I64) => sink.i32_reinterpret_f32().i64_extend_i32_u(),
            (F64, I64) => sink.i64_reinterpret_f64(),
            // No slot joins an `f64` with anything in 32 bits.
            (F64, F32 | I32) | (F32 | I32, F64) => sink.unreachable(),
            (I32, I32) | (I64, I64) | (F32, F32) | (F64, F64) => &mut sink,
        };
    }

    /// The body, with `imported` functions before the module's own.
    pub fn finish(mut self, imported: u32) -> Function {
        self.sink().end();
        let mut function = Function::new_with_locals_types(self.locals.iter().map(|ty| val_type(*ty)));
        let (mut at, mut index) = (0, Vec::new());
        for (offset, target) in self.targets {
            function.raw(self.bytes[at..offset].iter().copied());
            index.clear();
            match target {
                FuncRef::Import(import) => import,
                FuncRef::Own(own) => imported + own,
            }
            .encode(&mut index);
            function.raw(index.iter().copied());
            at = offset;
        }
        function.raw(self.bytes[at..].iter().copied());
        function
    }
}

/// A core type as the encoder names it.
pub const fn val_type(ty: CoreType) -> ValType {
    match ty {
        CoreType::I32 => ValType::I32,
        CoreType::I64 => ValType::I64,
        CoreType::F32 => ValType::F32,
        CoreType::F64 => ValType::F64,
    }
}
