//! Bodies and constant expressions to executable instructions.
//!
//! Decoding and validation of an
//! [expression](https://webassembly.github.io/spec/core/binary/instructions.html#expressions) in one pass; labels are
//! resolved as blocks close.
//!
//! Invariant: what validation calls unreachable is not emitted, so heights are known wherever something is emitted.
//!
//! Does not know: sections.

use crate::access::{AtomicLoad, AtomicStore, Exchange, Load, Store, Update, lane_access};
use crate::error::ModuleError;
use crate::instruction::{
    AggregateInstr, Catch, Code, Element, Field, Handler, Instr, Jump, MemoryInstr, Packing, Place, ReferenceInstr,
    TableInstr,
};
use crate::numerics::{Conversion, Float, Integer, LaneAccess, Relaxed, VectorFloat, VectorInteger};
use crate::operators::{NO_OPERATOR, number_of};
use crate::types::{FuncType, RefType, StorageType, TypeId, ValType};
use crate::validation::{Checker, Context, FrameKind, Refusal};
use wasmparser::{FunctionBody, MemArg, Operator as O, OperatorsReader};

/// The most locals of a function; an
/// [implementation limit](https://webassembly.github.io/spec/core/appendix/implementation.html).
const LOCALS_MAX: usize = 50_000;

/// A label that is still open.
struct Label {
    height: u32,
    arity: u32,
    /// Known for loops.
    start: Option<u32>,
    jumps: Vec<Patch>,
    /// The branch of an `if` that has not met its `else`.
    otherwise: Option<usize>,
    /// Of `try_table`.
    handler: Option<usize>,
}

/// A jump whose target is not known yet.
#[derive(Clone, Copy)]
enum Patch {
    Instr(usize),
    Table(usize, usize),
    Catch(usize, usize),
}

struct Lowering<'c> {
    checker: Checker<'c>,
    code: Code,
    labels: Vec<Label>,
    offset: usize,
    /// The number of the operator, until an instruction is emitted for it.
    operator: u16,
    /// Functions named by `ref.func`.
    refs: Vec<u32>,
}

/// A function body of type `ty`.
pub fn lower_body(context: &Context, ty: &FuncType, body: &FunctionBody<'_>) -> Result<Code, ModuleError> {
    let mut locals = ty.params.clone();
    let mut reader = body.get_locals_reader()?;
    let mut declared = Vec::new();
    for _ in 0..reader.get_count() {
        let offset = reader.original_position();
        let (count, local) = reader.read()?;
        declared.push((count as usize, context.val_type(local).map_err(|refusal| refusal.at(offset))?));
    }
    if locals.len() + declared.iter().map(|(count, _)| count).sum::<usize>() > LOCALS_MAX {
        return Err(ModuleError::unsupported(body.range().start, "a function with this many locals"));
    }
    locals.extend(declared.into_iter().flat_map(|(count, local)| std::iter::repeat_n(local, count)));
    let mut lowering = Lowering::new(context, locals, ty.params.len(), ty.results.clone());
    lowering.lower_all(body.get_operators_reader()?)?;
    Ok(lowering.code)
}

/// A constant expression of type `ty`; adds to `refs` the functions it names.
pub fn lower_constant(
    context: &Context,
    ty: ValType,
    reader: OperatorsReader<'_>,
    refs: &mut Vec<u32>,
) -> Result<Code, ModuleError> {
    let mut lowering = Lowering::new(context, Vec::new(), 0, vec![ty]);
    lowering.checker.constant = true;
    lowering.lower_all(reader)?;
    refs.append(&mut lowering.refs);
    Ok(lowering.code)
}

impl<'c> Lowering<'c> {
    fn new(context: &'c Context, locals: Vec<ValType>, params: usize, results: Vec<ValType>) -> Lowering<'c> {
        let code = Code {
            params: params as u32,
            locals: (locals.len() - params) as u32,
            results: results.len() as u32,
            slots: locals.len() as u32,
            ..Code::default()
        };
        let checker = Checker::new(context, locals, params, results);
        let mut lowering =
            Lowering { checker, code, labels: Vec::new(), offset: 0, operator: NO_OPERATOR, refs: Vec::new() };
        lowering.open(None);
        lowering
    }

    fn lower_all(&mut self, mut reader: OperatorsReader<'_>) -> Result<(), ModuleError> {
        while !reader.eof() {
            let (operator, offset) = reader.read_with_offset()?;
            self.offset = offset;
            self.operator = number_of(&operator);
            let is_live = self.checker.is_live();
            self.checker.check(&operator).map_err(|refusal| refusal.at(offset))?;
            self.lower(&operator, is_live).map_err(|refusal| refusal.at(offset))?;
            let slots = self.checker.locals.len() + self.checker.vals.len();
            self.code.slots = self.code.slots.max(slots as u32);
        }
        reader.finish()?;
        if !self.labels.is_empty() {
            return Err(ModuleError::malformed(reader.original_position(), "END opcode expected"));
        }
        Ok(())
    }

    fn here(&self) -> u32 {
        self.code.instrs.len() as u32
    }

    fn emit(&mut self, instr: Instr) {
        self.code.instrs.push(instr);
        self.code.offsets.push(self.offset as u32);
        self.code.operators.push(std::mem::replace(&mut self.operator, NO_OPERATOR));
    }

    /// Opens the label of the frame that validation has just opened.
    fn open(&mut self, handler: Option<usize>) {
        let Some(frame) = self.checker.ctrls.last() else { return };
        let height = (self.checker.locals.len() + frame.height) as u32;
        let start = (frame.kind == FrameKind::Loop).then(|| self.here());
        let arity = frame.label().len() as u32;
        self.labels.push(Label { height, arity, start, jumps: Vec::new(), otherwise: None, handler });
    }

    /// A jump to the label `depth`, to be patched as `patch` when its target is not known.
    fn jump(&mut self, depth: u32, patch: Patch) -> Jump {
        let at = self.labels.len().wrapping_sub(1 + depth as usize);
        let Some(label) = self.labels.get_mut(at) else { return Jump::default() };
        if label.start.is_none() {
            label.jumps.push(patch);
        }
        Jump { to: label.start.unwrap_or(0), height: label.height, arity: label.arity }
    }

    fn patch(&mut self, patch: Patch, target: u32) {
        match patch {
            Patch::Table(table, at) => self.code.tables[table][at].to = target,
            Patch::Catch(handler, at) => self.code.handlers[handler].catches[at].jump.to = target,
            Patch::Instr(at) => match &mut self.code.instrs[at] {
                Instr::Br(jump)
                | Instr::BrIf(jump)
                | Instr::BrOnNull(jump)
                | Instr::BrOnNonNull(jump)
                | Instr::BrOnCast { jump, .. }
                | Instr::BrOnCastDescEq { jump, .. } => jump.to = target,
                Instr::BrIfZero(to) => *to = target,
                _ => {}
            },
        }
    }

    /// The next instruction's jump to the label `depth`.
    fn next_jump(&mut self, depth: u32) -> Jump {
        let at = self.code.instrs.len();
        self.jump(depth, Patch::Instr(at))
    }

    fn lower(&mut self, operator: &O<'_>, is_live: bool) -> Result<(), Refusal> {
        match operator {
            O::Block { .. } | O::Loop { .. } => self.open(None),
            O::If { .. } => {
                let at = self.code.instrs.len();
                if is_live {
                    self.emit(Instr::BrIfZero(0));
                }
                self.open(None);
                if let Some(label) = self.labels.last_mut() {
                    label.otherwise = is_live.then_some(at);
                }
            }
            O::Else => {
                if is_live {
                    let jump = self.next_jump(0);
                    self.emit(Instr::Br(jump));
                }
                if let Some(at) = self.labels.last_mut().and_then(|label| label.otherwise.take()) {
                    self.patch(Patch::Instr(at), self.here());
                }
            }
            O::TryTable { try_table } => self.try_table(&try_table.catches),
            O::End => self.end(),
            _ if !is_live => {}
            other => {
                let instr = self.numeric(other).or_else(|| self.plain(other));
                let instr = instr.or_else(|| self.branch(other)).or_else(|| self.memory(other));
                let instr = instr.or_else(|| table(other)).or_else(|| self.reference(other));
                match instr {
                    Some(instr) => self.emit(instr),
                    None => self.aggregate(other)?,
                }
            }
        }
        if let O::RefFunc { function_index } = operator {
            self.refs.push(*function_index);
        }
        Ok(())
    }

    fn end(&mut self) {
        let here = self.here();
        let Some(label) = self.labels.pop() else { return };
        for patch in label.jumps.into_iter().chain(label.otherwise.map(Patch::Instr)) {
            self.patch(patch, here);
        }
        if let Some(handler) = label.handler {
            self.code.handlers[handler].end = here;
        }
        if self.labels.is_empty() {
            self.emit(Instr::Return);
        }
    }

    fn try_table(&mut self, clauses: &[wasmparser::Catch]) {
        let handler = self.code.handlers.len();
        let start = self.here();
        self.code.handlers.push(Handler { start, end: start, catches: Vec::new() });
        for (at, clause) in clauses.iter().enumerate() {
            let (tag, label, with_ref) = match *clause {
                wasmparser::Catch::One { tag, label } => (Some(tag), label, false),
                wasmparser::Catch::OneRef { tag, label } => (Some(tag), label, true),
                wasmparser::Catch::All { label } => (None, label, false),
                wasmparser::Catch::AllRef { label } => (None, label, true),
            };
            let jump = self.jump(label, Patch::Catch(handler, at));
            self.code.handlers[handler].catches.push(Catch { tag, with_ref, jump });
        }
        self.open(Some(handler));
    }

    fn numeric(&mut self, operator: &O<'_>) -> Option<Instr> {
        Integer::of(operator)
            .map(Instr::Integer)
            .or_else(|| Float::of(operator).map(Instr::Float))
            .or_else(|| Conversion::of(operator).map(Instr::Conversion))
            .or_else(|| VectorInteger::of(operator).map(Instr::VectorInteger))
            .or_else(|| VectorFloat::of(operator).map(Instr::VectorFloat))
            .or_else(|| Relaxed::of(operator).map(Instr::Relaxed))
            .or_else(|| LaneAccess::of(operator).map(|(access, lane)| Instr::Lane(access, lane)))
    }

    fn vector(&mut self, vector: u128) -> u32 {
        self.code.vectors.push(vector);
        self.code.vectors.len() as u32 - 1
    }

    fn plain(&mut self, operator: &O<'_>) -> Option<Instr> {
        Some(match *operator {
            O::I32Const { value } => Instr::Const(u64::from(value as u32)),
            O::I64Const { value } => Instr::Const(value as u64),
            O::F32Const { value } => Instr::Const(value.bits().into()),
            O::F64Const { value } => Instr::Const(value.bits()),
            O::V128Const { value } => Instr::ConstVector(self.vector(u128::from_le_bytes(*value.bytes()))),
            O::I8x16Shuffle { lanes } => Instr::Shuffle(self.vector(u128::from_le_bytes(lanes))),
            O::Drop => Instr::Drop,
            O::Select | O::TypedSelect { .. } => Instr::Select,
            O::LocalGet { local_index } => Instr::LocalGet(local_index),
            O::LocalSet { local_index } => Instr::LocalSet(local_index),
            O::LocalTee { local_index } => Instr::LocalTee(local_index),
            O::GlobalGet { global_index } => Instr::GlobalGet(global_index),
            O::GlobalSet { global_index } => Instr::GlobalSet(global_index),
            O::RefNull { .. } => Instr::Const(0),
            _ => return None,
        })
    }

    fn branch(&mut self, operator: &O<'_>) -> Option<Instr> {
        Some(match operator {
            O::Unreachable => Instr::Unreachable,
            O::Br { relative_depth } => Instr::Br(self.next_jump(*relative_depth)),
            O::BrIf { relative_depth } => Instr::BrIf(self.next_jump(*relative_depth)),
            O::BrTable { targets } => self.br_table(targets),
            O::BrOnNull { relative_depth } => Instr::BrOnNull(self.next_jump(*relative_depth)),
            O::BrOnNonNull { relative_depth } => Instr::BrOnNonNull(self.next_jump(*relative_depth)),
            O::BrOnCast { relative_depth, to_ref_type, .. } => self.br_on_cast(*relative_depth, *to_ref_type, true)?,
            O::BrOnCastFail { relative_depth, to_ref_type, .. } => {
                self.br_on_cast(*relative_depth, *to_ref_type, false)?
            }
            O::BrOnCastDescEq { relative_depth, to_ref_type: to, .. } => {
                Instr::BrOnCastDescEq { on: true, nullable: to.is_nullable(), jump: self.next_jump(*relative_depth) }
            }
            O::BrOnCastDescEqFail { relative_depth, to_ref_type: to, .. } => {
                Instr::BrOnCastDescEq { on: false, nullable: to.is_nullable(), jump: self.next_jump(*relative_depth) }
            }
            O::Return => Instr::Return,
            O::Call { function_index } => Instr::Call(*function_index),
            O::CallRef { .. } => Instr::CallRef,
            O::CallIndirect { type_index, table_index } => {
                Instr::CallIndirect { ty: self.type_id(*type_index)?, table: *table_index }
            }
            O::ReturnCall { function_index } => Instr::ReturnCall(*function_index),
            O::ReturnCallRef { .. } => Instr::ReturnCallRef,
            O::ReturnCallIndirect { type_index, table_index } => {
                Instr::ReturnCallIndirect { ty: self.type_id(*type_index)?, table: *table_index }
            }
            O::Throw { tag_index } => Instr::Throw(*tag_index),
            O::ThrowRef => Instr::ThrowRef,
            _ => return None,
        })
    }

    fn br_table(&mut self, targets: &wasmparser::BrTable<'_>) -> Instr {
        let table = self.code.tables.len();
        self.code.tables.push(Vec::new());
        let depths = targets.targets().filter_map(Result::ok).chain([targets.default()]);
        for (at, depth) in depths.enumerate() {
            let jump = self.jump(depth, Patch::Table(table, at));
            self.code.tables[table].push(jump);
        }
        Instr::BrTable(table as u32)
    }

    fn br_on_cast(&mut self, depth: u32, to: wasmparser::RefType, on: bool) -> Option<Instr> {
        let to = self.cast(self.checker.context.ref_type(to).ok()?);
        Some(Instr::BrOnCast { on, to, jump: self.next_jump(depth) })
    }

    fn cast(&mut self, ty: RefType) -> u32 {
        self.code.casts.push(ty);
        self.code.casts.len() as u32 - 1
    }

    fn type_id(&self, index: u32) -> Option<TypeId> {
        self.checker.context.ty(index).ok()
    }

    fn memory(&self, operator: &O<'_>) -> Option<Instr> {
        if let Some((load, at)) = Load::of(operator) {
            return Some(Instr::Load(load, place(&at)));
        }
        if let Some((store, at)) = Store::of(operator) {
            return Some(Instr::Store(store, place(&at)));
        }
        if let Some((bytes, at, lane, is_store)) = lane_access(operator) {
            let make = if is_store { Instr::StoreLane } else { Instr::LoadLane };
            return Some(make(bytes, lane, place(&at)));
        }
        let atomic = AtomicLoad::of(operator).map(|(load, at)| MemoryInstr::AtomicLoad(load, place(&at)));
        let atomic = atomic
            .or_else(|| AtomicStore::of(operator).map(|(store, at)| MemoryInstr::AtomicStore(store, place(&at))))
            .or_else(|| Update::of(operator).map(|(update, at)| MemoryInstr::Update(update, place(&at))))
            .or_else(|| Exchange::of(operator).map(|(exchange, at)| MemoryInstr::Exchange(exchange, place(&at))));
        let instr = atomic.or_else(|| {
            Some(match operator {
                O::MemoryAtomicNotify { memarg } => MemoryInstr::Notify(place(memarg)),
                O::MemoryAtomicWait32 { memarg } => MemoryInstr::Wait(4, place(memarg)),
                O::MemoryAtomicWait64 { memarg } => MemoryInstr::Wait(8, place(memarg)),
                O::MemorySize { mem } => MemoryInstr::Size(*mem),
                O::MemoryGrow { mem } => MemoryInstr::Grow(*mem),
                O::MemoryFill { mem } => MemoryInstr::Fill(*mem),
                O::MemoryCopy { dst_mem, src_mem } => MemoryInstr::Copy { to: *dst_mem, from: *src_mem },
                O::MemoryInit { data_index, mem } => MemoryInstr::Init { memory: *mem, data: *data_index },
                O::DataDrop { data_index } => MemoryInstr::DataDrop(*data_index),
                _ => return None,
            })
        });
        instr.map(Instr::Memory)
    }

    fn reference(&mut self, operator: &O<'_>) -> Option<Instr> {
        Some(Instr::Reference(match operator {
            O::RefFunc { function_index } => ReferenceInstr::Func(*function_index),
            O::RefIsNull => ReferenceInstr::IsNull,
            O::RefAsNonNull => ReferenceInstr::AsNonNull,
            O::RefEq => ReferenceInstr::Eq,
            O::RefTestNonNull { hty } => ReferenceInstr::Test(self.cast_to(*hty, false)?),
            O::RefTestNullable { hty } => ReferenceInstr::Test(self.cast_to(*hty, true)?),
            O::RefCastNonNull { hty } => ReferenceInstr::Cast(self.cast_to(*hty, false)?),
            O::RefCastNullable { hty } => ReferenceInstr::Cast(self.cast_to(*hty, true)?),
            O::RefGetDesc { .. } => ReferenceInstr::GetDesc,
            O::RefCastDescEqNonNull { .. } => ReferenceInstr::CastDescEq(false),
            O::RefCastDescEqNullable { .. } => ReferenceInstr::CastDescEq(true),
            O::RefI31 => ReferenceInstr::I31,
            O::I31GetS => ReferenceInstr::I31GetS,
            O::I31GetU => ReferenceInstr::I31GetU,
            _ => return None,
        }))
    }

    fn cast_to(&mut self, heap: wasmparser::HeapType, nullable: bool) -> Option<u32> {
        let heap = self.checker.context.heap_type(heap).ok()?;
        Some(self.cast(RefType { nullable, heap }))
    }

    /// The last chapter: what is left emits nothing.
    fn aggregate(&mut self, operator: &O<'_>) -> Result<(), Refusal> {
        let context = self.checker.context;
        let array = |index: &u32| context.array_type(*index);
        let instr = match operator {
            O::StructNew { struct_type_index } => {
                let (ty, fields) = context.struct_type(*struct_type_index)?;
                AggregateInstr::StructNew { ty, fields: fields.len() as u32 }
            }
            O::StructNewDefault { struct_type_index } => {
                let (ty, fields) = context.struct_type(*struct_type_index)?;
                AggregateInstr::StructNewDefault { ty, fields: fields.len() as u32 }
            }
            O::StructNewDesc { struct_type_index } => {
                let (ty, fields) = context.struct_type(*struct_type_index)?;
                AggregateInstr::StructNewDesc { ty, fields: fields.len() as u32 }
            }
            O::StructNewDefaultDesc { struct_type_index } => {
                let (ty, fields) = context.struct_type(*struct_type_index)?;
                AggregateInstr::StructNewDefaultDesc { ty, fields: fields.len() as u32 }
            }
            O::StructGet { struct_type_index: ty, field_index: index }
            | O::StructGetS { struct_type_index: ty, field_index: index }
            | O::StructGetU { struct_type_index: ty, field_index: index } => {
                let signed = matches!(operator, O::StructGetS { .. });
                let packing = Packing::of(context.field(*ty, *index)?.1.storage, signed);
                AggregateInstr::StructGet(Field { index: *index, packing })
            }
            O::StructSet { struct_type_index: ty, field_index: index } => {
                let packing = Packing::of(context.field(*ty, *index)?.1.storage, false);
                AggregateInstr::StructSet(Field { index: *index, packing })
            }
            O::ArrayNew { array_type_index } => AggregateInstr::ArrayNew(array(array_type_index)?.0),
            O::ArrayNewDefault { array_type_index } => AggregateInstr::ArrayNewDefault(array(array_type_index)?.0),
            O::ArrayNewFixed { array_type_index, array_size } => {
                AggregateInstr::ArrayNewFixed { ty: array(array_type_index)?.0, len: *array_size }
            }
            O::ArrayNewData { array_type_index, array_data_index } => {
                let (ty, field) = array(array_type_index)?;
                AggregateInstr::ArrayNewData { ty, data: *array_data_index, element: element(field.storage) }
            }
            O::ArrayNewElem { array_type_index, array_elem_index } => {
                AggregateInstr::ArrayNewElem { ty: array(array_type_index)?.0, elem: *array_elem_index }
            }
            O::ArrayGet { array_type_index: ty }
            | O::ArrayGetS { array_type_index: ty }
            | O::ArrayGetU { array_type_index: ty } => {
                let signed = matches!(operator, O::ArrayGetS { .. });
                AggregateInstr::ArrayGet(Packing::of(array(ty)?.1.storage, signed))
            }
            O::ArraySet { array_type_index: ty } => AggregateInstr::ArraySet(Packing::of(array(ty)?.1.storage, false)),
            O::ArrayLen => AggregateInstr::ArrayLen,
            O::ArrayFill { array_type_index: ty } => {
                AggregateInstr::ArrayFill(Packing::of(array(ty)?.1.storage, false))
            }
            O::ArrayCopy { .. } => AggregateInstr::ArrayCopy,
            O::ArrayInitData { array_type_index, array_data_index } => {
                let element = element(array(array_type_index)?.1.storage);
                AggregateInstr::ArrayInitData { data: *array_data_index, element }
            }
            O::ArrayInitElem { array_elem_index, .. } => AggregateInstr::ArrayInitElem { elem: *array_elem_index },
            // Executed, so that it is counted.
            O::AnyConvertExtern | O::ExternConvertAny => AggregateInstr::Convert,
            // A fence orders nothing in one thread.
            O::Nop | O::AtomicFence => return Ok(()),
            other => return Err(Refusal::Unsupported(format!("{other:?}"))),
        };
        self.emit(Instr::Aggregate(instr));
        Ok(())
    }
}

fn place(memarg: &MemArg) -> Place {
    Place { memory: memarg.memory, offset: memarg.offset }
}

fn element(storage: StorageType) -> Element {
    Element(storage.bytes() as u8)
}

fn table(operator: &O<'_>) -> Option<Instr> {
    Some(Instr::Table(match *operator {
        O::TableGet { table } => TableInstr::Get(table),
        O::TableSet { table } => TableInstr::Set(table),
        O::TableSize { table } => TableInstr::Size(table),
        O::TableGrow { table } => TableInstr::Grow(table),
        O::TableFill { table } => TableInstr::Fill(table),
        O::TableCopy { dst_table, src_table } => TableInstr::Copy { to: dst_table, from: src_table },
        O::TableInit { elem_index, table } => TableInstr::Init { table, elem: elem_index },
        O::ElemDrop { elem_index } => TableInstr::ElemDrop(elem_index),
        _ => return None,
    }))
}
