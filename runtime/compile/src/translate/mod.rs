//! The translator: WebAssembly operators to CLIF.
//!
//! One pass over a validated body ([spec](https://webassembly.github.io/spec/core/exec/instructions.html)); one file per
//! chapter of instructions, each a set of methods of [`Translator`], and one table of rows (`visit.rs`, `simd/visit.rs`)
//! that assigns every operator its method.
//!
//! Invariant: while [`State::reachable`] holds, the builder stands in an unfilled block and the operand stack mirrors the
//! specification's; otherwise nothing is emitted until the enclosing frame ends.
//!
//! Does not know: machine code.

mod atomic;
mod bulk;
mod call;
mod control;
mod convert;
mod exception;
mod gc;
mod interrupt;
mod memory;
mod numeric;
mod parametric;
mod reference;
mod relaxed_simd;
mod simd;
mod state;
mod table;
mod trap;
mod unsupported;
mod variable;
mod visit;
mod vmctx;
mod wide;

pub(crate) use state::{LocalRun, State};

use crate::signature::{FIXED_PARAMS, POINTER, clif_type, kind_of, returns_in_memory};
use crate::{CompileErrorKind, ModuleCompiler};
use cranelift_codegen::ir::{Function, InstBuilder, MemFlagsData, SourceLoc, Type, Value, types};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use wasmparser::{BinaryReader, FunctionBody, Operator, OperatorsReader};
use wattest_abi::ValueKind;
use wattest_module::{DefinedFuncIndex, FuncType};

/// What translating one operator gives.
pub(crate) type Step = Result<(), CompileErrorKind>;

/// Translates one function.
pub(crate) struct Translator<'a> {
    env: &'a ModuleCompiler<'a>,
    builder: FunctionBuilder<'a>,
    state: &'a mut State,
    ty: &'a FuncType,
    /// This instance's context.
    vmctx: Value,
    /// Where results go, if they return in memory.
    results_pointer: Option<Value>,
    /// The fuel counter, inside loops.
    fuel_variable: Option<Variable>,
    /// Whether stack overflow is checked in the body rather than in the prologue.
    explicit_stack_check: bool,
    /// Byte offset in the module of the current operator.
    offset: u32,
}

/// Translates defined function `func` into `out`. Returns whether the body itself checks for stack overflow.
pub(crate) fn translate(
    env: &ModuleCompiler<'_>,
    func: DefinedFuncIndex,
    out: &mut Function,
    context: &mut FunctionBuilderContext,
    state: &mut State,
) -> Result<bool, (u32, CompileErrorKind)> {
    let range = env.desc.bodies[func.index()].bytes.clone();
    let malformed = |error: wasmparser::BinaryReaderError| {
        (error.offset() as u32, CompileErrorKind::Malformed(error.message().to_string()))
    };
    let type_index = env.type_of_defined(func);
    let internal = |message: &str| (range.start, CompileErrorKind::Internal(message.to_string()));
    let signature = env.signatures[type_index.index()].as_ref().ok_or_else(|| internal("not a function type"))?;
    out.signature.clone_from(signature);
    state.reset();
    let bytes =
        env.wasm.get(range.start as usize..range.end as usize).ok_or_else(|| internal("body outside module"))?;
    let body = FunctionBody::new(BinaryReader::new(bytes, range.start as usize));
    let mut builder = FunctionBuilder::new(out, context);
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    builder.seal_block(entry);
    let ty = env.desc.func_type(type_index);
    let params = builder.block_params(entry);
    let vmctx = params[0];
    let results_pointer = returns_in_memory(ty).then(|| params[FIXED_PARAMS]);
    let explicit_stack_check = !env.tunables.signals_based_traps;
    let mut translator = Translator {
        env,
        builder,
        state,
        ty,
        vmctx,
        results_pointer,
        fuel_variable: None,
        explicit_stack_check,
        offset: range.start,
    };
    translator.set_position(range.start);
    translator.declare_locals(&body).map_err(malformed)?;
    translator.enter_function(bytes);
    let operators = body.get_operators_reader().map_err(malformed)?;
    translator.run(operators)?;
    translator.finish_interrupts();
    if !translator.stack_maps_fit() {
        return Err((range.start, CompileErrorKind::FunctionTooLarge));
    }
    translator.builder.finalize(env.target.isa.frontend_config());
    Ok(explicit_stack_check)
}

impl<'a> Translator<'a> {
    fn set_position(&mut self, offset: u32) {
        self.offset = offset;
        if self.env.tunables.addresses {
            self.builder.set_srcloc(SourceLoc::new(offset));
        }
    }

    fn declare_locals(&mut self, body: &FunctionBody<'_>) -> wasmparser::Result<()> {
        let entry = self.builder.current_block().expect("the entry block is current");
        let first = FIXED_PARAMS + usize::from(self.results_pointer.is_some());
        for (index, ty) in self.ty.params.iter().enumerate() {
            let value = self.builder.block_params(entry)[first + index];
            self.declare_local(ty.kind(), value);
        }
        let mut reader = body.get_locals_reader()?;
        for _ in 0..reader.get_count() {
            let (count, ty) = reader.read()?;
            if count == 0 {
                continue;
            }
            let kind = kind_of(self.env.desc, ty);
            let zero = self.zero(clif_type(kind));
            for _ in 0..count {
                self.declare_local(kind, zero);
            }
        }
        Ok(())
    }

    fn declare_local(&mut self, kind: ValueKind, value: Value) {
        let ty = clif_type(kind);
        let variable = self.builder.declare_var(ty);
        if kind == ValueKind::Ref {
            self.builder.declare_var_needs_stack_map(variable);
            self.state.has_references = true;
            self.state.reference_locals += 1;
        }
        self.builder.def_var(variable, value);
        let kept = self.place_local(kind);
        self.state.locals.push(state::Local { variable, ty, kept });
        self.keep_local(kept, value);
    }

    /// The value of type `ty` whose bits are all zero.
    fn zero(&mut self, ty: Type) -> Value {
        match ty {
            types::F32 => self.builder.ins().f32const(0.0f32),
            types::F64 => self.builder.ins().f64const(0.0f64),
            ty if ty.is_vector() => {
                let zero = self.builder.func.dfg.constants.insert([0u8; 16].as_slice().into());
                self.builder.ins().vconst(ty, zero)
            }
            ty => self.builder.ins().iconst(ty, 0),
        }
    }

    /// Checks and polls that happen once per call, and the outermost frame.
    fn enter_function(&mut self, body: &[u8]) {
        let has_calls = interrupt::may_call(body);
        if self.explicit_stack_check {
            self.check_stack();
        } else {
            self.set_stack_limit();
        }
        self.enter_fuel();
        if self.env.tunables.epoch && has_calls {
            self.poll_epoch();
        }
        self.push_function_frame();
    }

    fn run(&mut self, mut operators: OperatorsReader<'_>) -> Result<(), (u32, CompileErrorKind)> {
        let counts_fuel = self.env.tunables.fuel;
        #[cfg(fuzzing)]
        let mut previous = 0;
        while !self.state.frames.is_empty() {
            let offset = operators.original_position() as u32;
            #[cfg(fuzzing)]
            {
                let next = crate::features::operation(&self.env.wasm[offset as usize..]);
                crate::features::note_operations(std::mem::replace(&mut previous, next), next);
            }
            let step = if self.state.reachable {
                self.set_position(offset);
                if counts_fuel {
                    self.count_fuel(self.env.wasm[offset as usize]);
                }
                operators.visit_operator(self)
            } else {
                operators.read().map(|operator| self.skip(&operator))
            };
            match step {
                Ok(Ok(())) => {}
                Ok(Err(kind)) => return Err((offset, kind)),
                Err(error) => return Err((offset, CompileErrorKind::Malformed(error.message().to_string()))),
            }
        }
        Ok(())
    }

    /// Passes over `operator`, which cannot be reached.
    fn skip(&mut self, operator: &Operator<'_>) -> Step {
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Try { .. }
            | Operator::TryTable { .. } => self.state.skipped_depth += 1,
            Operator::Else if self.state.skipped_depth == 0 => return self.else_(),
            Operator::Catch { tag_index } if self.state.skipped_depth == 0 => return self.catch(*tag_index),
            Operator::CatchAll if self.state.skipped_depth == 0 => return self.catch_all(),
            Operator::Delegate { relative_depth } if self.state.skipped_depth == 0 => {
                return self.delegate(*relative_depth);
            }
            Operator::End if self.state.skipped_depth == 0 => return self.end(),
            Operator::End | Operator::Delegate { .. } => {
                self.state.skipped_depth = self.state.skipped_depth.saturating_sub(1);
            }
            _ => {}
        }
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.state.stack.push(value);
    }

    fn pop(&mut self) -> Value {
        self.state.stack.pop().expect("validation keeps the operand stack balanced")
    }

    fn pop2(&mut self) -> (Value, Value) {
        let second = self.pop();
        (self.pop(), second)
    }

    fn pop3(&mut self) -> (Value, Value, Value) {
        let third = self.pop();
        let (first, second) = self.pop2();
        (first, second, third)
    }

    /// `value` as vector type `ty`.
    fn as_vector(&mut self, value: Value, ty: Type) -> Value {
        if self.builder.func.dfg.value_type(value) == ty {
            return value;
        }
        let flags = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
        self.builder.ins().bitcast(ty, flags, value)
    }

    /// `value` in the type that locals, block parameters and signatures use.
    fn canonical(&mut self, value: Value) -> Value {
        if self.builder.func.dfg.value_type(value).is_vector() { self.as_vector(value, types::I8X16) } else { value }
    }

    /// Brings the top `count` operands into canonical types.
    fn canonicalize_top(&mut self, count: usize) {
        let start = self.state.stack.len() - count;
        for at in start..self.state.stack.len() {
            let value = self.state.stack[at];
            self.state.stack[at] = self.canonical(value);
        }
    }

    /// The value of `value` if it is an integer constant, zero-extended.
    fn constant(&self, value: Value) -> Option<u64> {
        let dfg = &self.builder.func.dfg;
        let inst = dfg.value_def(dfg.resolve_aliases(value)).inst()?;
        let cranelift_codegen::ir::InstructionData::UnaryImm { opcode, imm } = dfg.insts[inst] else { return None };
        if opcode != cranelift_codegen::ir::Opcode::Iconst {
            return None;
        }
        let bits = imm.bits() as u64;
        Some(if dfg.value_type(value) == types::I32 { bits & 0xffff_ffff } else { bits })
    }

    /// `value` zero-extended to 64 bits unless it is that wide already.
    fn extended(&mut self, value: Value, is_wide: bool) -> Value {
        if is_wide { value } else { self.builder.ins().uextend(types::I64, value) }
    }

    fn i32_const(&mut self, value: u32) -> Value {
        self.builder.ins().iconst(types::I32, i64::from(value))
    }

    fn pointer_const(&mut self, value: u64) -> Value {
        self.builder.ins().iconst(POINTER, value as i64)
    }
}
