//! Expressions: one value of a wanted type, and what it is.
//!
//! References come from places that hold a fitting value, through casts where the place's type is wider, or are new
//! ([casts](https://webassembly.github.io/spec/core/exec/instructions.html#reference-instructions)).
//!
//! Invariant: an expression never traps and never throws.
//!
//! Does not know: statements.

use super::Writer;
use super::body::{REF_FUNC, Root};
use super::shadow::V;
use super::types::{Heap, Ty};
use crate::corpus;
use wasm_encoder::Instruction;

impl Writer<'_, '_> {
    /// Emits code that leaves a value of the type.
    pub(super) fn value(&mut self, ty: Ty, depth: u32) -> V {
        match ty {
            Ty::Ref(nullable, heap) => self.reference_value(nullable, heap, depth),
            Ty::I32 => self.i32_value(depth),
            _ => self.number(ty, depth),
        }
    }

    fn constant(&mut self, ty: Ty) -> V {
        match ty {
            Ty::I32 => {
                let value = corpus::i32_value(self.source);
                self.emit(Instruction::I32Const(value as i32));
                V::I32(value)
            }
            Ty::I64 => {
                let value = corpus::i64_value(self.source);
                self.emit(Instruction::I64Const(value as i64));
                V::I64(value)
            }
            Ty::F32 => {
                let bits = corpus::f32_value(self.source);
                self.emit(Instruction::F32Const(f32::from_bits(bits).into()));
                V::F32(bits)
            }
            Ty::F64 => {
                let bits = corpus::f64_value(self.source);
                self.emit(Instruction::F64Const(f64::from_bits(bits).into()));
                V::F64(bits)
            }
            Ty::V128 => {
                let bits = corpus::v128_value(self.source);
                self.emit(Instruction::V128Const(bits as i128));
                V::V128(bits)
            }
            Ty::Ref(_, heap) => {
                let heap = self.heap(heap);
                self.emit(Instruction::RefNull(heap));
                V::Null
            }
        }
    }

    fn number(&mut self, ty: Ty, depth: u32) -> V {
        match self.source.below(8) {
            0..=2 if depth > 0 => {
                if let Some(value) = self.field_read(ty) {
                    return value;
                }
            }
            3..=5 => {
                if let Some(value) = self.place_of(ty) {
                    return value;
                }
            }
            6 if ty == Ty::I64 && depth > 0 => {
                let V::I32(bits) = self.i32_value(depth - 1) else { return self.constant(ty) };
                self.emit(Instruction::I64ExtendI32U);
                return V::I64(bits.into());
            }
            7 => {
                if let Some(value) = self.memory_read(ty) {
                    return value;
                }
            }
            _ => {}
        }
        self.constant(ty)
    }

    /// Reads a place of exactly this type.
    fn place_of(&mut self, wanted: Ty) -> Option<V> {
        let roots: Vec<_> = self.roots().into_iter().filter(|(_, ty, _)| *ty == wanted).collect();
        if roots.is_empty() {
            return None;
        }
        let (root, _, value) = self.source.pick(&roots);
        self.push_root(root);
        Some(value)
    }

    fn i32_value(&mut self, depth: u32) -> V {
        if depth == 0 {
            return self.number(Ty::I32, 0);
        }
        match self.source.below(10) {
            0..=2 if self.plain => self.null_test(depth - 1),
            3 | 4 if self.plain => self.arithmetic(depth - 1),
            5 if self.plain => self.size(),
            0 | 1 => self.type_test(depth - 1),
            2 => self.null_test(depth - 1),
            3 => self.identity_test(),
            4 => self.unboxed(),
            5 => self.length(),
            6 => self.arithmetic(depth - 1),
            7 if self.source.percent(50) => self.size(),
            _ => self.number(Ty::I32, depth),
        }
    }

    fn arithmetic(&mut self, depth: u32) -> V {
        let (V::I32(left), V::I32(right)) = (self.i32_value(depth), self.i32_value(depth)) else {
            return V::I32(0);
        };
        let (instruction, result) = match self.source.below(5) {
            0 => (Instruction::I32Add, left.wrapping_add(right)),
            1 => (Instruction::I32Sub, left.wrapping_sub(right)),
            2 => (Instruction::I32Mul, left.wrapping_mul(right)),
            3 => (Instruction::I32Xor, left ^ right),
            _ => (Instruction::I32LtU, u32::from(left < right)),
        };
        self.emit(instruction);
        V::I32(result)
    }

    fn type_test(&mut self, depth: u32) -> V {
        let value = self.reference_value(true, Heap::Any, depth);
        if self.source.percent(20)
            && let Some(flag) = self.exact_test(value)
        {
            return flag;
        }
        let (nullable, heap) = (self.source.percent(50), self.any_heap());
        let wanted = self.heap(heap);
        self.emit(if nullable { Instruction::RefTestNullable(wanted) } else { Instruction::RefTestNonNull(wanted) });
        V::I32(u32::from(self.fits(value, Ty::Ref(nullable, heap))))
    }

    /// A heap type under `any`.
    pub(super) fn any_heap(&mut self) -> Heap {
        let aggregates = self.graph.aggregates();
        match self.source.below(10) {
            0 => Heap::Eq,
            1 => Heap::I31,
            2 => Heap::Struct,
            3 => Heap::Array,
            _ if aggregates.is_empty() => Heap::Any,
            _ => Heap::Def(self.source.pick(&aggregates)),
        }
    }

    fn null_test(&mut self, depth: u32) -> V {
        let all = [Heap::Func, Heap::Extern, Heap::Any, Heap::Eq];
        let heap = self.source.pick(if self.plain { &all[..2] } else { &all });
        let value = self.reference_value(true, heap, depth);
        self.emit(Instruction::RefIsNull);
        V::I32(u32::from(value == V::Null))
    }

    fn identity_test(&mut self) -> V {
        let left = self.reference_value(true, Heap::Eq, 0);
        let right = self.reference_value(true, Heap::Eq, 0);
        self.emit(Instruction::RefEq);
        V::I32(u32::from(left == right))
    }

    fn unboxed(&mut self) -> V {
        let V::I31(bits) = self.reference_value(false, Heap::I31, 0) else { return V::I32(0) };
        if self.source.percent(50) {
            self.emit(Instruction::I31GetU);
            V::I32(bits)
        } else {
            self.emit(Instruction::I31GetS);
            V::I32(((bits << 1) as i32 >> 1) as u32)
        }
    }

    fn length(&mut self) -> V {
        let Some((root, ty, value)) = self.object_root(|writer, def| writer.graph.is_array(def)) else {
            return self.constant(Ty::I32);
        };
        let length = self.shadow.object(value).map_or(0, |object| object.cells.len());
        self.push_root(root);
        self.convert(ty, value, Ty::null(Heap::Array));
        self.emit(Instruction::ArrayLen);
        V::I32(length as u32)
    }

    /// A place that holds an object of a type that is wanted.
    pub(super) fn object_root(&mut self, wanted: impl Fn(&Self, u32) -> bool) -> Option<(Root, Ty, V)> {
        let fits = |value: V| self.shadow.object(value).is_some_and(|object| wanted(self, object.def));
        let roots: Vec<_> = self.roots().into_iter().filter(|(_, _, value)| fits(*value)).collect();
        (!roots.is_empty()).then(|| self.source.pick(&roots))
    }

    /// Whether a value belongs to a type.
    pub(super) fn fits(&self, value: V, ty: Ty) -> bool {
        let Ty::Ref(nullable, heap) = ty else { return true };
        let low = match value {
            V::Null => return nullable,
            V::I31(_) => Heap::I31,
            V::Object(index) => Heap::Def(self.shadow.heap[index as usize].def),
            V::Func(fun) => Heap::Def(self.funs[fun as usize].def),
            V::Exn(_) => Heap::Exn,
            _ => return false,
        };
        match heap {
            // Any internal value can be looked at from outside.
            Heap::Extern => !matches!(value, V::Func(_) | V::Exn(_)),
            heap => self.graph.heap_below(low, heap),
        }
    }

    /// Emits what makes a value of one type one of another. It must fit.
    pub(super) fn convert(&mut self, from: Ty, value: V, to: Ty) {
        let (Ty::Ref(from_null, from_heap), Ty::Ref(to_null, to_heap)) = (from, to) else { return };
        match (self.graph.top(from_heap), self.graph.top(to_heap)) {
            (Heap::Extern, Heap::Any) => {
                self.emit(Instruction::AnyConvertExtern);
                return self.convert(Ty::Ref(from_null, Heap::Any), value, to);
            }
            (Heap::Any, Heap::Extern) => {
                self.emit(Instruction::ExternConvertAny);
                return self.convert(Ty::Ref(from_null, Heap::Extern), value, to);
            }
            _ => {}
        }
        if self.graph.below(from, to) {
            return;
        }
        if self.graph.heap_below(from_heap, to_heap) && self.source.percent(70) {
            return self.emit(Instruction::RefAsNonNull);
        }
        if self.graph.heap_below(to_heap, from_heap) && (from_null || !to_null) && self.source.percent(35) {
            return self.cast_by_branch(from, value, to);
        }
        if self.source.percent(25) && self.cast_by_descriptor(from, value, to) {
            return;
        }
        let heap = self.heap(to_heap);
        self.emit(if to_null { Instruction::RefCastNullable(heap) } else { Instruction::RefCastNonNull(heap) });
    }

    /// A cast by a branch that is taken, out of a block that is otherwise never left.
    fn cast_by_branch(&mut self, from: Ty, value: V, to: Ty) {
        let (Ty::Ref(_, from_heap), Ty::Ref(to_null, to_heap)) = (from, to) else { return };
        // The value is on the stack already, and a block takes nothing from outside: through a local.
        let local = self.new_local(Ty::null(from_heap), false);
        self.set_local(local, value);
        let from_ref_type = self.reference(true, from_heap);
        let to_ref_type = self.reference(to_null, to_heap);
        let result = self.block_type(&[to]);
        self.emit(Instruction::Block(result));
        self.emit(Instruction::LocalGet(local));
        self.emit(Instruction::BrOnCast { relative_depth: 0, from_ref_type, to_ref_type });
        self.emit(Instruction::Unreachable);
        self.end();
    }

    fn reference_value(&mut self, nullable: bool, heap: Heap, depth: u32) -> V {
        let wanted = Ty::Ref(nullable, heap);
        if nullable && self.budget < -100 {
            return self.constant(wanted);
        }
        if self.source.percent(if depth == 0 { 80 } else { 55 }) {
            let top = self.graph.top(heap);
            let reachable = |ty: Ty| match ty {
                Ty::Ref(_, from) => {
                    let from = self.graph.top(from);
                    from == top || matches!((from, top), (Heap::Any, Heap::Extern) | (Heap::Extern, Heap::Any))
                }
                _ => false,
            };
            let roots: Vec<_> =
                self.roots().into_iter().filter(|(_, ty, value)| reachable(*ty) && self.fits(*value, wanted)).collect();
            if !roots.is_empty() {
                let (root, ty, value) = self.source.pick(&roots);
                self.push_root(root);
                self.convert(ty, value, wanted);
                return value;
            }
        }
        if nullable && self.source.percent(12) {
            return self.constant(wanted);
        }
        if depth > 0
            && self.source.percent(20)
            && let Some(value) = self.field_read(wanted)
        {
            return value;
        }
        if depth > 0
            && self.source.percent(25)
            && let Some(value) = self.descriptor_read(wanted)
        {
            return value;
        }
        self.new_reference(nullable, heap, depth)
    }

    fn new_reference(&mut self, nullable: bool, heap: Heap, depth: u32) -> V {
        let aggregates = self.graph.aggregates();
        if depth == 0 && nullable && !matches!(heap, Heap::I31 | Heap::Func) {
            return self.constant(Ty::null(heap));
        }
        // At depth 0 only what has to be: types whose fields must not be null go back to earlier types, so it ends.
        let candidates: Vec<u32> = match heap {
            Heap::Any | Heap::Eq if depth > 0 && self.source.percent(60) => aggregates.clone(),
            Heap::Any | Heap::Eq | Heap::I31 => {
                let V::I32(bits) = self.number(Ty::I32, depth.min(1)) else { return V::Null };
                self.emit(Instruction::RefI31);
                return V::I31(bits & 0x7fff_ffff);
            }
            Heap::Struct | Heap::Array => {
                let array = heap == Heap::Array;
                aggregates.into_iter().filter(|def| self.graph.is_array(*def) == array).collect()
            }
            Heap::Extern if self.plain => return self.constant(Ty::null(heap)),
            Heap::Extern => {
                let value = self.reference_value(nullable, Heap::Any, depth.saturating_sub(1));
                self.emit(Instruction::ExternConvertAny);
                return value;
            }
            Heap::Func | Heap::Exn => return self.function_value(heap),
            Heap::Def(def) if self.graph.top(heap) == Heap::Func => return self.function_value(Heap::Def(def)),
            Heap::Def(def) if depth == 0 => vec![def],
            Heap::Def(_) => {
                aggregates.iter().copied().filter(|low| self.graph.heap_below(Heap::Def(*low), heap)).collect()
            }
        };
        if candidates.is_empty() {
            return match heap {
                Heap::Any | Heap::Eq if !nullable => {
                    self.emit(Instruction::I32Const(0));
                    self.emit(Instruction::RefI31);
                    V::I31(0)
                }
                _ => self.constant(Ty::null(heap)),
            };
        }
        let def = self.source.pick(&candidates);
        self.new_object(def, depth)
    }

    /// A reference to a function of this module or an earlier one, or null: of a function type, or of none.
    fn function_value(&mut self, heap: Heap) -> V {
        let module = self.frame.module;
        let fits = |fun: &super::Fun| fun.module <= module && self.graph.heap_below(Heap::Def(fun.def), heap);
        let funs: Vec<u32> = (0..self.funs.len() as u32).filter(|index| fits(&self.funs[*index as usize])).collect();
        if funs.is_empty() || self.source.percent(20) {
            return self.constant(Ty::null(heap));
        }
        let fun = self.source.pick(&funs);
        self.emit_function(REF_FUNC, fun);
        V::Func(fun)
    }
}
