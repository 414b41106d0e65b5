//! A function under construction: code, locals, and places to read from and write to.
//!
//! Invariant: a local that must not be null is read only where it was set on every path
//! ([spec](https://webassembly.github.io/spec/core/valid/types.html#local-types)).
//!
//! Does not know: what is emitted.

use super::shadow::V;
use super::types::{Heap, Ty, ref_type, val_type};
use super::{Fun, Patch, Writer};
use wasm_encoder::{BlockType, Encode, Function, Instruction, ValType};

/// A local.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    pub ty: Ty,
    pub value: V,
    /// Whether it may be read here.
    pub ready: bool,
    /// Whether statements may write it.
    pub free: bool,
}

/// A function under construction.
#[derive(Default)]
pub struct Frame {
    pub module: usize,
    pub locals: Vec<Local>,
    pub params: usize,
    pub results: Vec<Ty>,
    pub code: Vec<u8>,
    pub patches: Vec<Patch>,
    /// Active functions outside.
    pub depth: u32,
    /// Handlers around the current operation in this function.
    pub tries: u32,
    /// Blocks around it.
    pub blocks: u32,
}

/// A place that holds a value.
#[derive(Clone, Copy, Debug)]
pub enum Root {
    Local(u32),
    Global(u32),
    Table(u32),
    /// An entry by which the table of functions has grown.
    Grown(u32),
    /// An entry of the module's own table.
    Own(u32),
}

impl V {
    /// Zero or null.
    pub fn default_of(ty: Ty) -> V {
        match ty {
            Ty::I32 => V::I32(0),
            Ty::I64 => V::I64(0),
            Ty::F32 => V::F32(0),
            Ty::F64 => V::F64(0),
            Ty::V128 => V::V128(0),
            Ty::Ref(..) => V::Null,
        }
    }
}

impl Writer<'_, '_> {
    pub(super) fn emit(&mut self, instruction: Instruction<'_>) {
        instruction.encode(&mut self.frame.code);
        self.budget -= 1;
        self.operations += 1;
    }

    /// Emits an instruction whose only immediate is a function.
    pub(super) fn emit_function(&mut self, opcode: u8, fun: u32) {
        self.frame.code.push(opcode);
        self.frame.patches.push(Patch { at: self.frame.code.len(), fun });
        self.frame.code.extend_from_slice(&[0; 5]);
        self.budget -= 1;
        self.operations += 1;
    }

    pub(super) fn end(&mut self) {
        self.frame.code.push(0x0b);
    }

    /// A type of the graph as the current module numbers it.
    pub(super) fn type_index(&self, def: u32) -> u32 {
        def + self.pad(self.frame.module)
    }

    pub(super) fn val(&self, ty: Ty) -> ValType {
        val_type(ty, self.pad(self.frame.module))
    }

    pub(super) fn reference(&self, nullable: bool, heap: Heap) -> wasm_encoder::RefType {
        ref_type(nullable, heap, self.pad(self.frame.module))
    }

    pub(super) fn heap(&self, heap: Heap) -> wasm_encoder::HeapType {
        super::types::heap_type(heap, self.pad(self.frame.module))
    }

    /// A block type without parameters.
    pub(super) fn block_type(&mut self, results: &[Ty]) -> BlockType {
        match results {
            [] => BlockType::Empty,
            [ty] => BlockType::Result(self.val(*ty)),
            _ => {
                let def = self.graph.func(&[], results);
                BlockType::FunctionType(self.type_index(def))
            }
        }
    }

    pub(super) fn new_local(&mut self, ty: Ty, free: bool) -> u32 {
        let ready = ty.is_defaultable();
        self.frame.locals.push(Local { ty, value: V::default_of(ty), ready, free });
        self.frame.locals.len() as u32 - 1
    }

    /// Takes the top of the stack into a local.
    pub(super) fn set_local(&mut self, local: u32, value: V) {
        self.emit(Instruction::LocalSet(local));
        self.note_local(local, value);
    }

    /// Notes what a local holds now.
    pub(super) fn note_local(&mut self, local: u32, value: V) {
        let slot = &mut self.frame.locals[local as usize];
        slot.value = value;
        slot.ready = true;
    }

    /// Takes values from the stack into locals, the last first.
    pub(super) fn sink(&mut self, types: &[Ty], values: &[V]) {
        for (ty, value) in types.iter().zip(values).rev() {
            let free: Vec<u32> = self.locals_where(|local| local.free && local.ty == *ty);
            let local = match free.as_slice() {
                [] => self.new_local(*ty, true),
                _ if self.source.percent(60) => self.new_local(*ty, true),
                free => self.source.pick(free),
            };
            self.set_local(local, *value);
        }
    }

    pub(super) fn locals_where(&self, wanted: impl Fn(&Local) -> bool) -> Vec<u32> {
        let locals = self.frame.locals.iter().enumerate();
        locals.filter(|(_, local)| wanted(local)).map(|(index, _)| index as u32).collect()
    }

    /// Every place that can be read here, with its type and what it holds.
    pub(super) fn roots(&self) -> Vec<(Root, Ty, V)> {
        let locals = self.frame.locals.iter().enumerate().filter(|(_, local)| local.ready);
        let mut roots: Vec<_> =
            locals.map(|(index, local)| (Root::Local(index as u32), local.ty, local.value)).collect();
        let globals = self.globals.iter().zip(&self.shadow.globals).enumerate();
        roots.extend(globals.map(|(index, (ty, value))| (Root::Global(index as u32), *ty, *value)));
        let entries = self.shadow.table.iter().enumerate();
        roots.extend(entries.map(|(index, value)| (Root::Table(index as u32), Ty::null(self.entry_heap()), *value)));
        let grown = self.shadow.grown.iter().enumerate();
        roots.extend(grown.map(|(index, value)| (Root::Grown(index as u32), Ty::null(Heap::Func), *value)));
        roots.extend(self.own_roots());
        roots
    }

    pub(super) fn push_root(&mut self, root: Root) {
        match root {
            Root::Local(index) => self.emit(Instruction::LocalGet(index)),
            Root::Global(index) => self.emit(Instruction::GlobalGet(index + 1)),
            Root::Table(index) => {
                self.emit(Instruction::I32Const(index as i32));
                self.emit(Instruction::TableGet(super::shared::OBJECTS));
            }
            Root::Grown(index) => {
                self.emit(Instruction::I32Const(super::shared::FUNCTIONS_MIN as i32 + index as i32));
                self.emit(Instruction::TableGet(super::shared::FUNCTIONS));
            }
            Root::Own(index) => {
                self.emit(Instruction::I32Const(index as i32));
                self.emit(Instruction::TableGet(super::own::TABLE));
            }
        }
    }

    /// Locals as bytes, followed by the code.
    pub(super) fn close(&mut self, frame: Frame, fun: u32) {
        let pad = self.pad(frame.module);
        let locals = frame.locals[frame.params..].iter().map(|local| (1, val_type(local.ty, pad)));
        let mut code = Function::new(locals).into_raw_body();
        let moved = code.len();
        code.extend_from_slice(&frame.code);
        let slot: &mut Fun = &mut self.funs[fun as usize];
        slot.code = code;
        slot.patches = frame.patches.iter().map(|patch| Patch { at: patch.at + moved, fun: patch.fun }).collect();
    }
}

/// Opcodes whose immediate is a function.
pub const CALL: u8 = 0x10;
pub const RETURN_CALL: u8 = 0x12;
pub const REF_FUNC: u8 = 0xd2;
