//! Custom descriptors: structs that have one, reading it, and casts by its identity.
//!
//! [Custom descriptors](https://github.com/WebAssembly/custom-descriptors/blob/main/proposals/custom-descriptors/Overview.md),
//! with exact types where the proposal wants them.
//!
//! Invariant: what the shadow says of an object's descriptor is what the program reads; a cast is predicted from both the
//! type and the descriptor.
//!
//! Does not know: fields.

use super::body::Root;
use super::shadow::V;
use super::types::{Heap, Ty};
use super::{End, Flow, Writer};
use wasm_encoder::{BlockType, HeapType, Instruction};
use wattest_differential::TrapClass;

impl Writer<'_, '_> {
    fn exact(&self, def: u32) -> HeapType {
        HeapType::Exact(self.type_index(def))
    }

    /// Whether a value is an object of exactly this type.
    fn is_exactly(&self, value: V, def: u32) -> bool {
        let canonical = |def: u32| self.graph.defs[def as usize].canonical;
        self.shadow.object(value).is_some_and(|object| canonical(object.def) == canonical(def))
    }

    /// Emits code that leaves a descriptor for a new object of the type, exactly typed.
    pub(super) fn new_descriptor(&mut self, descriptor: u32, depth: u32) -> V {
        let roots: Vec<_> =
            self.roots().into_iter().filter(|(_, _, value)| self.is_exactly(*value, descriptor)).collect();
        if roots.is_empty() || self.source.percent(35) {
            return self.new_object(descriptor, depth.saturating_sub(1));
        }
        let (root, ty, value) = self.source.pick(&roots);
        self.push_root(root);
        self.convert(ty, value, Ty::null(Heap::Struct));
        let exact = self.exact(descriptor);
        self.emit(Instruction::RefCastNonNull(exact));
        value
    }

    /// The type itself or an ancestor whose objects have descriptors too.
    fn described_ancestor(&mut self, def: u32) -> u32 {
        let mut at = def;
        while let Some(parent) = self.graph.defs[at as usize].parent {
            if self.graph.descriptor(parent).is_none() || self.source.percent(50) {
                break;
            }
            at = parent;
        }
        at
    }

    /// Emits code that leaves the descriptor of what `root` holds, an object of type `def` or of one below it; the
    /// descriptor's type is that of `seen`'s descriptors.
    fn read_descriptor(&mut self, root: Root, ty: Ty, value: V, seen: u32) -> V {
        self.push_root(root);
        self.convert(ty, value, Ty::null(Heap::Def(seen)));
        let index = self.type_index(seen);
        self.emit(Instruction::RefGetDesc(index));
        self.shadow.object(value).map_or(V::Null, |object| object.descriptor)
    }

    /// Reads the descriptor of an object that some place holds, if one has the type.
    pub(super) fn descriptor_read(&mut self, wanted: Ty) -> Option<V> {
        let mut places = Vec::new();
        for (root, ty, value) in self.roots() {
            let Some(def) = self.shadow.object(value).map(|object| object.def) else { continue };
            let Some(descriptor) = self.graph.descriptor(def) else { continue };
            if self.graph.below(Ty::Ref(false, Heap::Def(descriptor)), wanted) {
                places.push((root, ty, value, def));
            }
        }
        if places.is_empty() {
            return None;
        }
        let (root, ty, value, def) = self.source.pick(&places);
        let ancestor = self.described_ancestor(def);
        let gives = self.graph.descriptor(ancestor).map(|descriptor| Ty::Ref(false, Heap::Def(descriptor)));
        let seen = if gives.is_some_and(|gives| self.graph.below(gives, wanted)) { ancestor } else { def };
        Some(self.read_descriptor(root, ty, value, seen))
    }

    /// Casts the object on the stack, which is of type `to` or one below it, by its own descriptor. False, and nothing is
    /// emitted, where that cannot be.
    pub(super) fn cast_by_descriptor(&mut self, from: Ty, value: V, to: Ty) -> bool {
        let (Ty::Ref(_, from_heap), Ty::Ref(to_null, Heap::Def(target))) = (from, to) else { return false };
        let Some(def) = self.shadow.object(value).map(|object| object.def) else { return false };
        if !self.graph.is_cast_target(target) || self.graph.descriptor(def).is_none() {
            return false;
        }
        let local = self.new_local(Ty::null(from_heap), false);
        self.set_local(local, value);
        self.emit(Instruction::LocalGet(local));
        self.emit(Instruction::LocalGet(local));
        let own = self.heap(Heap::Def(def));
        self.emit(Instruction::RefCastNonNull(own));
        self.emit(Instruction::RefGetDesc(self.type_index(def)));
        let heap = self.heap(Heap::Def(target));
        self.emit(if to_null {
            Instruction::RefCastDescEqNullable(heap)
        } else {
            Instruction::RefCastDescEqNonNull(heap)
        });
        true
    }

    /// A test for exactly a type.
    pub(super) fn exact_test(&mut self, value: V) -> Option<V> {
        let aggregates = self.graph.aggregates();
        if aggregates.is_empty() {
            return None;
        }
        // Often the object's own type: else most tests fail.
        let own = self.shadow.object(value).map(|object| object.def).filter(|_| self.source.percent(50));
        let def = own.unwrap_or_else(|| self.source.pick(&aggregates));
        let nullable = self.source.percent(50);
        let exact = self.exact(def);
        self.emit(if nullable { Instruction::RefTestNullable(exact) } else { Instruction::RefTestNonNull(exact) });
        Some(V::I32(u32::from(self.is_exactly(value, def) || nullable && value == V::Null)))
    }

    /// Emits a descriptor for a cast to `target` of what `root` holds: its own, or any that there is.
    fn push_cast_descriptor(&mut self, root: Root, ty: Ty, value: V, target: u32) -> V {
        let def = self.shadow.object(value).map(|object| object.def);
        let below = |def: &u32| self.graph.heap_below(Heap::Def(*def), Heap::Def(target));
        if let Some(def) = def.filter(below)
            && self.source.percent(60)
        {
            return self.read_descriptor(root, ty, value, def);
        }
        let descriptor = self.graph.descriptor(target).unwrap_or(target);
        self.value(Ty::Ref(false, Heap::Def(descriptor)), 1)
    }

    /// Whether a cast of `value` by `descriptor` succeeds.
    fn fits_descriptor(&self, value: V, to: Ty, descriptor: V) -> bool {
        let own = self.shadow.object(value).map(|object| object.descriptor);
        self.fits(value, to) && own.is_none_or(|own| own == descriptor)
    }

    /// `br_on_cast_desc_eq` or `br_on_cast_desc_eq_fail` on what some place holds.
    pub(super) fn branch_on_descriptor(&mut self) -> Flow {
        let targets = self.graph.cast_targets();
        let internal = |ty: &Ty| matches!(ty, Ty::Ref(_, heap) if self.graph.top(*heap) == Heap::Any);
        let roots: Vec<_> = self.roots().into_iter().filter(|(_, ty, _)| internal(ty)).collect();
        if targets.is_empty() || roots.is_empty() {
            return Flow::Next;
        }
        // Rather an object that can pass.
        let described = |value: V| self.shadow.object(value).is_some_and(|object| object.descriptor != V::Null);
        let likely: Vec<_> = roots.iter().copied().filter(|(_, _, value)| described(*value)).collect();
        let likely = if likely.is_empty() || self.source.percent(15) { roots } else { likely };
        let (root, from, value) = self.source.pick(&likely);
        let Ty::Ref(from_null, from_heap) = from else { return Flow::Next };
        let fitting = |target: &u32| self.fits(value, Ty::Ref(true, Heap::Def(*target)));
        let near: Vec<u32> = targets.iter().copied().filter(fitting).collect();
        let targets = if near.is_empty() || self.source.percent(15) { targets } else { near };
        let target = self.source.pick(&targets);
        if !self.graph.heap_below(Heap::Def(target), from_heap) {
            return Flow::Next;
        }
        let to_null = from_null && self.source.percent(40);
        let to = Ty::Ref(to_null, Heap::Def(target));
        let on_success = self.source.percent(50);
        let (from_ref_type, to_ref_type) =
            (self.reference(from_null, from_heap), self.reference(to_null, Heap::Def(target)));
        let result = self.block_type(&[if on_success { to } else { from }]);
        self.emit(Instruction::Block(BlockType::Empty));
        self.emit(Instruction::Block(result));
        self.push_root(root);
        let descriptor = self.push_cast_descriptor(root, from, value, target);
        let fits = self.fits_descriptor(value, to, descriptor);
        let relative_depth = 0;
        self.emit(if on_success {
            Instruction::BrOnCastDescEq { relative_depth, from_ref_type, to_ref_type }
        } else {
            Instruction::BrOnCastDescEqFail { relative_depth, from_ref_type, to_ref_type }
        });
        self.emit(Instruction::Drop);
        let branches = fits == on_success;
        let first = self.arm(!branches);
        self.emit(Instruction::Br(1));
        self.end();
        self.emit(Instruction::Drop);
        let second = self.arm(branches);
        self.end();
        if branches { second } else { first }
    }

    /// A cast by descriptor that traps: the descriptor is null, or another's.
    pub(super) fn descriptor_trap(&mut self) -> Flow {
        let targets = self.graph.cast_targets();
        if targets.is_empty() {
            return Flow::Next;
        }
        let target = self.source.pick(&targets);
        let descriptor = self.graph.descriptor(target).unwrap_or(target);
        let to = Ty::Ref(false, Heap::Def(target));
        let value = self.value(Ty::null(Heap::Any), 2);
        let (given, class) = if self.source.percent(40) {
            let heap = self.heap(Heap::Def(descriptor));
            self.emit(Instruction::RefNull(heap));
            (V::Null, TrapClass::NullReference)
        } else {
            (self.value(Ty::Ref(false, Heap::Def(descriptor)), 1), TrapClass::CastFailure)
        };
        let heap = self.heap(Heap::Def(target));
        self.emit(Instruction::RefCastDescEqNonNull(heap));
        if given != V::Null && self.fits_descriptor(value, to, given) {
            self.emit(Instruction::Drop);
            return Flow::Next;
        }
        Flow::Exit(End::Trap(class))
    }
}
