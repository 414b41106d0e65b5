//! Plans as core wasm.
//!
//! An [`Emitter`] writes one function; what costs too much to stand in it, and every string and list, becomes a [`Piece`]: a
//! function of its own, written later and shared by all who need the same. What is checked, and in which order, is the
//! specification's
//! [loading](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading) and
//! [storing](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing).
//!
//! Invariant: an address is checked against its memory's length, and for alignment, before anything behind it is read or
//! written; the code recurses only into parts that stand inline, whose number is bounded by
//! [`crate::plan::OUTLINE_ABOVE`] and whose depth by [`crate::DEPTH_MAX`].
//!
//! Does not know: adapters; `call` does, which strings values together to a call.

pub mod call;
mod cases;
pub mod code;
mod list;
mod memory;
mod scalar;
mod string;

use crate::adapter::{AbiType, AdapterTrap, FuncType, ImportId, InstanceId};
use crate::module::Module;
use crate::plan::{Abi, Form, Member, OUTLINE_ABOVE, Op, Plan, PlanId};
use code::{Code, FuncRef, Local, val_type};
use std::sync::Arc;
use wasm_encoder::{BlockType, MemArg};
use wattest_canon::{CoreType, Fault, FlatTypes, Width};

/// One end of a transfer within a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndPoint {
    /// Whose table handles are in.
    pub instance: InstanceId,
    /// Encoding and width.
    pub abi: Abi,
    /// The memory's index; 0 when there is none and nothing needs it.
    pub memory: u32,
    /// The binary logarithm of the memory's page size.
    pub page_bits: u32,
    /// `realloc`.
    pub realloc: Option<FuncRef>,
}

impl EndPoint {
    /// The type of addresses.
    pub const fn pointer(&self) -> CoreType {
        CoreType::pointer(self.abi.width)
    }
}

/// Both ends of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Where values come from.
    pub from: EndPoint,
    /// Where they go.
    pub to: EndPoint,
}

/// A function that transfers a value, or what a string or list points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// A value between places: core values or an address as parameters; core values as results, or the address of the
    /// target as the last parameter.
    Value {
        /// What to do.
        plan: PlanId,
        /// Between which ends.
        ends: Ends,
        /// The source is core values.
        from_flat: bool,
        /// The target is core values.
        to_flat: bool,
    },
    /// A string or list: address and length to address and length.
    Slice {
        /// What to do.
        plan: PlanId,
        /// Between which ends.
        ends: Ends,
    },
}

/// Where a value is.
#[derive(Clone, Copy, Debug)]
pub enum Place<'p> {
    /// In memory, some bytes after the address in a local.
    Memory(Local, u32),
    /// In locals, whose types may be joins of the value's own.
    Flat(&'p [Local]),
}

impl<'p> Place<'p> {
    /// A part that is so many bytes, or so many core values, further on.
    fn part(self, bytes: u32, slots: usize, count: usize) -> Place<'p> {
        match self {
            Place::Memory(base, offset) => Place::Memory(base, offset + bytes),
            Place::Flat(locals) => Place::Flat(locals.get(slots..slots + count).unwrap_or_default()),
        }
    }

    const fn is_flat(&self) -> bool {
        matches!(self, Place::Flat(_))
    }
}

/// Writes one function.
pub struct Emitter<'m, 'a, I> {
    pub module: &'m mut Module<'a, I>,
    pub code: Code,
    pub ends: Ends,
}

impl<'m, 'a, I: ImportId> Emitter<'m, 'a, I> {
    /// A function with this many parameters.
    pub fn new(module: &'m mut Module<'a, I>, ends: Ends, params: usize) -> Self {
        Emitter { module, code: Code::new(params), ends }
    }

    /// Traps with a fault.
    pub fn trap(&mut self, fault: Fault) {
        self.trap_with(AdapterTrap::Fault(fault));
    }

    /// Traps.
    pub fn trap_with(&mut self, trap: AdapterTrap) {
        let target = self.module.trap();
        // Emitted code knows no other faults than those with a code.
        self.code.sink().i32_const(trap.code().unwrap_or_default());
        self.code.call(target);
        self.code.sink().unreachable();
    }

    /// Traps when the `i32` on the stack is not 0.
    pub fn trap_if(&mut self, fault: Fault) {
        self.code.sink().if_(BlockType::Empty);
        self.trap(fault);
        self.code.sink().end();
    }

    /// A memory operand at one end.
    fn arg(&self, end: &EndPoint, offset: u32, bytes: u32) -> MemArg {
        MemArg { offset: u64::from(offset), align: bytes.trailing_zeros(), memory_index: end.memory }
    }

    /// Transfers a value, inline or by a call.
    pub fn transfer(&mut self, plan: PlanId, from: Place<'_>, to: Place<'_>) {
        let what = self.module.plans.get(plan);
        if what.cost > OUTLINE_ABOVE && !matches!(what.op, Op::Str(_) | Op::Seq { .. }) {
            self.transfer_by_call(plan, &what, from, to);
        } else {
            self.transfer_inline(plan, &what, from, to);
        }
    }

    fn transfer_inline(&mut self, id: PlanId, plan: &Plan, from: Place<'_>, to: Place<'_>) {
        if let (Place::Memory(..), Place::Memory(..)) = (from, to)
            && plan.plain
            && plan.cost > 8
        {
            return self.copy_in_place(plan.from.layout.size, from, to);
        }
        match &plan.op {
            Op::Int { bytes, signed } => self.int(*bytes, *signed, from, to),
            Op::Bool => self.boolean(from, to),
            Op::Char => self.char(from, to),
            Op::Float { bytes } => self.float(*bytes, from, to),
            Op::Flags { bytes, count } => self.flags(*bytes, *count, from, to),
            Op::Enum { bytes, count } => self.enumeration(*bytes, *count, from, to),
            Op::Handle(kind) => self.handle(*kind, from, to),
            Op::Str(_) | Op::Seq { .. } => self.slice(id, from, to),
            Op::Rep { element, count } => self.repeat(*element, *count, from, to),
            Op::Fields(members) => self.fields(members, from, to),
            Op::Cases(cases) => self.cases(cases, from, to),
        }
    }

    fn fields(&mut self, members: &[Member], from: Place<'_>, to: Place<'_>) {
        let (mut from_slot, mut to_slot) = (0, 0);
        for member in members {
            let part = self.module.plans.get(member.plan);
            let (from_slots, to_slots) = (part.from.slots(), part.to.slots());
            let source = from.part(member.from, from_slot, from_slots);
            let target = to.part(member.to, to_slot, to_slots);
            self.transfer(member.plan, source, target);
            (from_slot, to_slot) = (from_slot + from_slots, to_slot + to_slots);
        }
    }

    /// Elements in place: a loop in memory, one after the other where core values are involved (then they are few).
    fn repeat(&mut self, element: PlanId, count: u32, from: Place<'_>, to: Place<'_>) {
        let part = self.module.plans.get(element);
        let (from_bytes, to_bytes) = (part.from.layout.size, part.to.layout.size);
        if let (Place::Memory(from, from_offset), Place::Memory(to, to_offset)) = (from, to)
            && count > 1
        {
            let source = self.advanced(from, from_offset, self.ends.from.abi.width);
            let target = self.advanced(to, to_offset, self.ends.to.abi.width);
            self.code.sink().i32_const(count.cast_signed());
            let left = self.code.local_set_new(CoreType::I32);
            self.element_loop(element, (source, from_bytes), (target, to_bytes), left);
            for local in [source, target, left] {
                self.code.release(local);
            }
            return;
        }
        let (from_slots, to_slots) = (part.from.slots(), part.to.slots());
        for at in 0..count {
            let source = from.part(at * from_bytes, at as usize * from_slots, from_slots);
            let target = to.part(at * to_bytes, at as usize * to_slots, to_slots);
            self.transfer(element, source, target);
        }
    }

    /// Transfers elements until `left`, which is not 0 and an `i32` or `i64`, is. All three locals change.
    fn element_loop(&mut self, element: PlanId, from: (Local, u32), to: (Local, u32), left: Local) {
        self.code.sink().loop_(BlockType::Empty);
        self.transfer(element, Place::Memory(from.0, 0), Place::Memory(to.0, 0));
        for (local, bytes) in [from, to] {
            self.code.get(local);
            self.add_const(local.ty, i64::from(bytes));
            self.code.set(local);
        }
        self.code.get(left);
        self.add_const(left.ty, -1);
        self.code.tee(left);
        if left.ty == CoreType::I64 {
            self.code.sink().i64_eqz().i32_eqz();
        }
        self.code.sink().br_if(0).end();
    }

    /// Adds a constant to the integer on the stack.
    fn add_const(&mut self, ty: CoreType, value: i64) {
        if value == 0 {
            return;
        }
        match (ty, i32::try_from(value)) {
            (CoreType::I32, Ok(value)) => self.code.sink().i32_const(value).i32_add(),
            _ => self.code.sink().i64_const(value).i64_add(),
        };
    }

    /// A new local with an address some bytes after another.
    fn advanced(&mut self, base: Local, offset: u32, width: Width) -> Local {
        self.code.get(base);
        self.add_const(CoreType::pointer(width), i64::from(offset));
        self.code.local_set_new(CoreType::pointer(width))
    }

    fn copy_in_place(&mut self, bytes: u32, from: Place<'_>, to: Place<'_>) {
        let (Place::Memory(from, from_offset), Place::Memory(to, to_offset)) = (from, to) else { return };
        let ends = self.ends;
        self.code.get(to);
        self.add_const(to.ty, i64::from(to_offset));
        self.code.get(from);
        self.add_const(from.ty, i64::from(from_offset));
        if ends.from.abi.width == Width::W64 && ends.to.abi.width == Width::W64 {
            self.code.sink().i64_const(i64::from(bytes));
        } else {
            self.code.sink().i32_const(bytes.cast_signed());
        }
        self.code.sink().memory_copy(ends.to.memory, ends.from.memory);
    }

    /// Transfers by a call of a piece.
    fn transfer_by_call(&mut self, plan: PlanId, what: &Plan, from: Place<'_>, to: Place<'_>) {
        let piece = Piece::Value { plan, ends: self.ends, from_flat: from.is_flat(), to_flat: to.is_flat() };
        let target = self.module.piece(piece);
        match from {
            Place::Memory(base, offset) => {
                self.code.get(base);
                self.add_const(base.ty, i64::from(offset));
            }
            Place::Flat(locals) => {
                for (local, own) in locals.iter().zip(flat_types(&what.from)) {
                    self.code.get(*local);
                    self.code.convert(local.ty, own);
                }
            }
        }
        if let Place::Memory(base, offset) = to {
            self.code.get(base);
            self.add_const(base.ty, i64::from(offset));
        }
        self.code.call(target);
        if let Place::Flat(locals) = to {
            let own: Vec<CoreType> = flat_types(&what.to).collect();
            for (local, own) in locals.iter().zip(own).rev() {
                self.code.convert(own, local.ty);
                self.code.set(*local);
            }
        }
    }
}

/// The core types of a form that stands flat.
pub fn flat_types(form: &Form) -> impl Iterator<Item = CoreType> {
    form.flat.into_iter().flat_map(FlatTypes::iter)
}

/// The type of a piece.
pub fn piece_type(piece: &Piece, plan: &Plan) -> FuncType {
    let core = |types: Vec<CoreType>| types.into_iter().map(AbiType::Core).collect::<Vec<_>>();
    match piece {
        Piece::Slice { ends, .. } => {
            FuncType { params: core(vec![ends.from.pointer(); 2]), results: core(vec![ends.to.pointer(); 2]) }
        }
        Piece::Value { ends, from_flat, to_flat, .. } => {
            let mut params: Vec<CoreType> =
                if *from_flat { flat_types(&plan.from).collect() } else { vec![ends.from.pointer()] };
            if !to_flat {
                params.push(ends.to.pointer());
            }
            let results = if *to_flat { flat_types(&plan.to).collect() } else { Vec::new() };
            FuncType { params: core(params), results: core(results) }
        }
    }
}

/// Writes a piece.
pub fn emit_piece<I: ImportId>(module: &mut Module<'_, I>, piece: Piece) -> Code {
    let (Piece::Value { plan, ends, .. } | Piece::Slice { plan, ends }) = piece;
    let what: Arc<Plan> = module.plans.get(plan);
    let ty = piece_type(&piece, &what);
    let params: Vec<Local> = locals_of(&ty.params);
    let mut emitter = Emitter::new(module, ends, params.len());
    match (piece, params.as_slice()) {
        (Piece::Slice { .. }, [address, length, ..]) => emitter.slice_body(&what, *address, *length),
        (Piece::Value { from_flat, to_flat, .. }, _) => {
            let results: Vec<Local> =
                if to_flat { flat_types(&what.to).map(|ty| emitter.code.local(ty)).collect() } else { Vec::new() };
            let source_count = if to_flat { params.len() } else { params.len().saturating_sub(1) };
            let (sources, target) = params.split_at(source_count);
            let from = match sources.first() {
                Some(base) if !from_flat => Place::Memory(*base, 0),
                _ => Place::Flat(sources),
            };
            let to = match target.first() {
                Some(base) if !to_flat => Place::Memory(*base, 0),
                _ => Place::Flat(&results),
            };
            emitter.transfer_inline(plan, &what, from, to);
            for local in &results {
                emitter.code.get(*local);
            }
        }
        // Slices have two parameters.
        (Piece::Slice { .. }, _) => {}
    }
    emitter.code
}

/// Parameters as locals.
pub fn locals_of(types: &[AbiType]) -> Vec<Local> {
    let core = |ty: &AbiType| match ty {
        AbiType::Core(ty) => *ty,
        AbiType::FuncRef => CoreType::I32,
    };
    (0..).zip(types).map(|(index, ty)| Local { index, ty: core(ty) }).collect()
}

/// A core type of an adapter as the encoder names it.
pub const fn abi_val_type(ty: AbiType) -> wasm_encoder::ValType {
    match ty {
        AbiType::Core(ty) => val_type(ty),
        AbiType::FuncRef => wasm_encoder::ValType::FUNCREF,
    }
}
