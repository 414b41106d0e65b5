//! Calls
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#exec-call)), tail calls included.
//!
//! Invariant: every call of WebAssembly code goes through [`Translator::emit_call`] or [`Translator::emit_tail_call`], so
//! that exception handlers and stack maps have one place to attach to.
//!
//! Does not know: what the callee is.

use super::trap::clif_trap;
use super::vmctx::Region;
use super::{Step, Translator};
use crate::function::{NAME_FUNCTION, NAME_TABLE};
use crate::signature::{POINTER, clif_type, returns_in_memory};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, ExceptionTableData, ExceptionTableItem, ExtFuncData, ExternalName, FuncRef,
    GlobalValueData, Inst, InstBuilder, MemFlagsData, SigRef, StackSlotData, StackSlotKind, UserExternalName, Value,
    types,
};
use wattest_abi::call::RESULT_SLOT_BYTES;
use wattest_abi::tunables::CallPath;
use wattest_abi::{TrapCode, ValueKind, mutant, vmctx};
use wattest_module::{DefinedFuncIndex, FuncIndex, FuncType, TypeIndex};

/// What to call, and with which instance's context.
#[derive(Clone, Copy)]
struct Callee {
    code: Code,
    vmctx: Value,
    ty: TypeIndex,
    /// Whether the callee may be a host function.
    to_host: bool,
}

/// Where a call's results are.
#[derive(Clone, Copy)]
enum After {
    /// They are the instruction's.
    Call(Inst),
    /// They are the parameters of the block that control went on to.
    TryCall(Block),
}

/// Whose numbers tell types apart.
#[derive(Clone, Copy)]
enum TypeNumbers {
    /// Engine-wide identifiers.
    Engine,
    /// Canonical type indices of the module, counted from one.
    Module,
}

#[derive(Clone, Copy)]
enum Code {
    Direct(FuncRef),
    Address(Value),
}

impl<'a> Translator<'a> {
    fn signature(&mut self, ty: TypeIndex) -> SigRef {
        // Equal types share an import.
        let ty = self.env.desc.canonical[ty.index()];
        if let Some(found) = self.state.signatures.get(ty.0) {
            return found;
        }
        let signature = self.env.signatures[ty.index()].clone().expect("validation has seen a function type");
        let made = self.builder.import_signature(signature);
        self.state.signatures.set(ty.0, made);
        made
    }

    fn direct(&mut self, func: DefinedFuncIndex, ty: TypeIndex) -> FuncRef {
        if let Some(found) = self.state.functions.get(func.0) {
            return found;
        }
        let signature = self.signature(ty);
        let name = UserExternalName::new(NAME_FUNCTION, func.0);
        let name = ExternalName::user(self.builder.func.declare_imported_user_function(name));
        let data = ExtFuncData { name, signature, colocated: true, patchable: false };
        let made = self.builder.import_function(data);
        self.state.functions.set(func.0, made);
        made
    }

    /// The code address of a defined function, through the entry array.
    fn entry_code(&mut self, scaled_index: Value) -> Value {
        let entries = self.load_constant(POINTER, self.vmctx, vmctx::ENTRIES);
        let at = self.builder.ins().iadd(entries, scaled_index);
        // Another tier may publish a new entry at any time; the old one stays valid.
        self.load_field(POINTER, at, 0)
    }

    fn static_callee(&mut self, func: FuncIndex) -> Callee {
        let ty = self.env.desc.functions[func.index()];
        let Some(defined) = self.env.desc.defined_func(func) else {
            let offset = self.env.import_offset(func);
            let code = self.load_constant(POINTER, self.vmctx, offset + vmctx::IMPORT_CODE);
            let callee = self.load_constant(POINTER, self.vmctx, offset + vmctx::IMPORT_VMCTX);
            return Callee { code: Code::Address(code), vmctx: callee, ty, to_host: true };
        };
        let code = match self.env.tunables.call_path {
            CallPath::Direct => Code::Direct(self.direct(defined, ty)),
            CallPath::Entry => {
                let scaled = self.pointer_const(u64::from(defined.0) * 8);
                Code::Address(self.entry_code(scaled))
            }
        };
        Callee { code, vmctx: self.vmctx, ty, to_host: false }
    }

    pub(super) fn call(&mut self, index: u32) -> Step {
        let callee = self.static_callee(FuncIndex(index));
        self.emit_call(callee);
        Ok(())
    }

    pub(super) fn return_call(&mut self, index: u32) -> Step {
        let callee = self.static_callee(FuncIndex(index));
        self.emit_tail_call(callee);
        Ok(())
    }

    pub(super) fn call_indirect(&mut self, ty: u32, table: u32) -> Step {
        let callee = self.table_callee(TypeIndex(ty), table);
        self.emit_call(callee);
        Ok(())
    }

    pub(super) fn return_call_indirect(&mut self, ty: u32, table: u32) -> Step {
        let callee = self.table_callee(TypeIndex(ty), table);
        self.emit_tail_call(callee);
        Ok(())
    }

    pub(super) fn call_ref(&mut self, ty: u32) -> Step {
        let callee = self.reference_callee(TypeIndex(ty));
        self.emit_call(callee);
        Ok(())
    }

    pub(super) fn return_call_ref(&mut self, ty: u32) -> Step {
        let callee = self.reference_callee(TypeIndex(ty));
        self.emit_tail_call(callee);
        Ok(())
    }

    /// Pops a function reference; traps if it is null.
    fn reference_callee(&mut self, ty: TypeIndex) -> Callee {
        let func_ref = self.pop();
        let trusted = self.trusted(Region::Vmctx);
        let flags = if self.env.tunables.signals_based_traps {
            // Nothing is ever mapped at address zero.
            let region = self.region(Region::Vmctx);
            let code = clif_trap(TrapCode::NullFunctionReference);
            MemFlagsData::new().with_aligned().with_alias_region(Some(region)).with_trap_code(Some(code))
        } else {
            self.trap_unless(func_ref, TrapCode::NullFunctionReference);
            trusted
        };
        let code = self.builder.ins().load(POINTER, flags, func_ref, vmctx::FUNC_REF_CODE as i32);
        let callee = self.builder.ins().load(POINTER, trusted, func_ref, vmctx::FUNC_REF_VMCTX as i32);
        Callee { code: Code::Address(code), vmctx: callee, ty, to_host: true }
    }

    /// Pops an index and looks up what the table holds there.
    fn table_callee(&mut self, ty: TypeIndex, table: u32) -> Callee {
        let index = self.pop();
        let env = self.env;
        let first = &env.tables[0];
        let alike = first.table64 == env.tables[table as usize].table64 && first.element == ValueKind::FuncRef;
        let table = if mutant!(call_indirect_other_table) && alike { 0 } else { table };
        match &env.tables[table as usize].contents {
            Some(contents) => self.read_only_callee(ty, table, contents.len() as u64, index),
            None => self.general_callee(ty, table, index),
        }
    }

    /// Looks up `index` in a table whose contents lie beside the code.
    fn read_only_callee(&mut self, ty: TypeIndex, table: u32, length: u64, index: Value) -> Callee {
        let index = self.extended(index, self.env.tables[table as usize].table64);
        let nonempty = length > 0;
        let length = self.pointer_const(length);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, length);
        self.trap_if(outside, TrapCode::UndefinedElement);
        let index = if self.env.tunables.spectre_mitigation {
            let zero = self.pointer_const(0);
            self.builder.ins().select_spectre_guard(outside, zero, index)
        } else {
            index
        };
        let base = self.static_table(table);
        let scaled = self.builder.ins().ishl_imm_u(index, 3);
        let at = self.builder.ins().iadd(base, scaled);
        let flags = self.entry_flags().with_readonly();
        // A masked index is always in bounds, so that the load may move.
        let movable = self.env.tunables.spectre_mitigation && nonempty;
        let flags = if movable { flags.with_can_move() } else { flags };
        let entry = self.builder.ins().load(types::I64, flags, at, 0);
        let found = self.builder.ins().ireduce(types::I32, entry);
        let expected = self.i32_const(self.env.static_type_id(ty));
        self.check_type(found, expected, ty, TypeNumbers::Module);
        let payload = self.builder.ins().sshr_imm_u(entry, 32);
        let code = match self.env.tunables.call_path {
            CallPath::Direct => self.builder.ins().iadd(base, payload),
            CallPath::Entry => {
                let scaled = self.builder.ins().ishl_imm_u(payload, 3);
                self.entry_code(scaled)
            }
        };
        Callee { code: Code::Address(code), vmctx: self.vmctx, ty, to_host: false }
    }

    /// The address of the read-only contents of `table`.
    fn static_table(&mut self, table: u32) -> Value {
        let global = match self.state.tables.get(table) {
            Some(found) => found,
            None => {
                let name = UserExternalName::new(NAME_TABLE, table);
                let name = ExternalName::user(self.builder.func.declare_imported_user_function(name));
                let data = GlobalValueData::Symbol { name, offset: 0.into(), colocated: true, tls: false };
                let made = self.builder.create_global_value(data);
                self.state.tables.set(table, made);
                made
            }
        };
        self.builder.ins().symbol_value(POINTER, global)
    }

    /// Looks up `index` in a table that may change.
    fn general_callee(&mut self, ty: TypeIndex, table: u32, index: Value) -> Callee {
        let entry = self.table_entry(table, index, TrapCode::UndefinedElement);
        let flags = self.entry_flags();
        let found = self.builder.ins().load(types::I32, flags, entry, vmctx::ENTRY_TYPE_ID as i32);
        let expected = self.type_id(ty);
        self.check_type(found, expected, ty, TypeNumbers::Engine);
        let code = self.builder.ins().load(POINTER, flags, entry, vmctx::ENTRY_CODE as i32);
        let callee = self.builder.ins().load(POINTER, flags, entry, vmctx::ENTRY_VMCTX as i32);
        Callee { code: Code::Address(code), vmctx: callee, ty, to_host: true }
    }

    /// Traps unless `found` is `expected`, the number of type `ty`, or that of a subtype; 0 means null.
    fn check_type(&mut self, found: Value, expected: Value, ty: TypeIndex, numbers: TypeNumbers) {
        let mut equal = self.builder.ins().icmp(IntCC::Equal, found, expected);
        if mutant!(call_indirect_any_type) {
            equal = self.builder.ins().icmp_imm_u(IntCC::NotEqual, found, 0);
        }
        let (cold, next) = self.cold_and_next();
        self.builder.ins().brif(equal, next, &[], cold, &[]);
        self.continue_in(cold);
        let null_is_a_type = mutant!(call_indirect_null_as_type_error);
        let for_null = if null_is_a_type { TrapCode::IndirectCallTypeMismatch } else { TrapCode::UninitializedElement };
        self.trap_unless(found, for_null);
        if self.env.desc.types[ty.index()].is_final {
            self.trap(TrapCode::IndirectCallTypeMismatch);
        } else {
            let (found, expected) = match numbers {
                TypeNumbers::Engine => (found, expected),
                TypeNumbers::Module => {
                    let ids = self.load_constant(POINTER, self.vmctx, vmctx::TYPE_IDS);
                    let position = self.builder.ins().uextend(types::I64, found);
                    let scaled = self.builder.ins().ishl_imm_u(position, 2);
                    let at = self.builder.ins().iadd(ids, scaled);
                    // Numbers of the module count from one; null has left already, so the load must not move.
                    (self.load_field(types::I32, at, 0u32.wrapping_sub(4)), self.type_id(ty))
                }
            };
            let below = self.is_below(found, expected, ty);
            self.trap_unless(below, TrapCode::IndirectCallTypeMismatch);
            self.builder.ins().jump(next, &[]);
        }
        self.continue_in(next);
    }

    /// Collects the arguments of a call; the operands leave the stack.
    fn collect_call_args(&mut self, callee: &Callee, ty: &FuncType, results: Option<Value>) {
        let count = ty.params.len();
        self.canonicalize_top(count);
        let start = self.state.stack.len() - count;
        self.state.call_args.clear();
        self.state.call_args.push(callee.vmctx);
        self.state.call_args.push(self.vmctx);
        self.state.call_args.extend(results);
        self.state.call_args.extend_from_slice(&self.state.stack[start..]);
        self.state.stack.truncate(start);
    }

    /// Calls `callee` with the operands on top of the stack.
    fn emit_call(&mut self, callee: Callee) {
        let ty: &'a FuncType = self.env.desc.func_type(callee.ty);
        let memory = returns_in_memory(ty).then(|| self.results_area(ty.results.len() as u32));
        // A landing pad relies on the counter in memory.
        self.prepare_call(callee.to_host || self.state.scope.is_some());
        self.charge_stack_map();
        self.collect_call_args(&callee, ty, memory);
        let after = self.call_instruction(&callee);
        match memory {
            None => {
                for (position, ty) in ty.results.iter().enumerate() {
                    let value = match after {
                        After::Call(call) => self.builder.inst_results(call)[position],
                        After::TryCall(next) => self.builder.block_params(next)[position],
                    };
                    self.push_kind(ty.kind(), value);
                }
            }
            Some(area) => {
                let flags = self.trusted(Region::Results);
                for (position, ty) in ty.results.iter().enumerate() {
                    let offset = position as i32 * RESULT_SLOT_BYTES as i32;
                    let value = self.builder.ins().load(clif_type(ty.kind()), flags, area, offset);
                    self.push_kind(ty.kind(), value);
                }
            }
        }
        self.reload_after_call();
    }

    /// The call itself, its arguments collected: with a landing pad, inside a `try_table`.
    fn call_instruction(&mut self, callee: &Callee) -> After {
        let Some(pad) = self.current_pad() else {
            return After::Call(match callee.code {
                Code::Direct(func) => self.builder.ins().call(func, &self.state.call_args),
                Code::Address(code) => {
                    let signature = self.signature(callee.ty);
                    self.builder.ins().call_indirect(signature, code, &self.state.call_args)
                }
            });
        };
        let signature = self.signature(callee.ty);
        let next = self.builder.create_block();
        let count = self.builder.func.dfg.signatures[signature].returns.len();
        for position in 0..count {
            let ty = self.builder.func.dfg.signatures[signature].returns[position].value_type;
            self.builder.append_block_param(next, ty);
        }
        let pool = &mut self.builder.func.dfg.value_lists;
        let results = (0..count as u32).map(BlockArg::TryCallRet);
        let normal = BlockCall::new(next, results, pool);
        let landing = BlockCall::new(pad, [BlockArg::TryCallExn(0)], pool);
        let table = ExceptionTableData::new(signature, normal, [ExceptionTableItem::Default(landing)]);
        let table = self.builder.func.dfg.exception_tables.push(table);
        match callee.code {
            Code::Direct(func) => self.builder.ins().try_call(func, &self.state.call_args, table),
            Code::Address(code) => self.builder.ins().try_call_indirect(code, &self.state.call_args, table),
        };
        self.continue_in(next);
        After::TryCall(next)
    }

    /// Calls `callee` with the operands on top of the stack in place of this function.
    fn emit_tail_call(&mut self, callee: Callee) {
        let ty: &'a FuncType = self.env.desc.func_type(callee.ty);
        self.commit_fuel_at_exit();
        let results = self.results_pointer;
        self.collect_call_args(&callee, ty, results);
        if mutant!(tail_call_keeps_arguments)
            && std::ptr::eq(ty, self.ty)
            && !ty.params.is_empty()
            && let Some(entry) = self.builder.func.layout.entry_block()
        {
            let old = *self.builder.block_params(entry).last().expect("the entry has parameters");
            *self.state.call_args.last_mut().expect("arguments were collected") = old;
        }
        match callee.code {
            Code::Direct(func) => self.builder.ins().return_call(func, &self.state.call_args),
            Code::Address(code) => {
                let signature = self.signature(callee.ty);
                self.builder.ins().return_call_indirect(signature, code, &self.state.call_args)
            }
        };
        self.state.reachable = false;
    }

    /// Room for `count` results in memory. One slot serves all calls of a function: results are read at once.
    fn results_area(&mut self, count: u32) -> Value {
        let bytes = count * RESULT_SLOT_BYTES;
        let slot = match self.state.results_slot {
            Some((slot, size)) => {
                if size < bytes {
                    self.builder.func.sized_stack_slots[slot].size = bytes;
                    self.state.results_slot = Some((slot, bytes));
                }
                slot
            }
            None => {
                let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4);
                let slot = self.builder.create_sized_stack_slot(data);
                self.state.results_slot = Some((slot, bytes));
                slot
            }
        };
        self.builder.ins().stack_addr(POINTER, slot, 0)
    }
}
