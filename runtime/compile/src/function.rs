//! One function: from its body to relocatable machine code.
//!
//! Invariant: a [`Worker`] carries memory from one function to the next, never information.
//!
//! Does not know: other functions of the module, or where the code will lie.

use crate::translate::{LocalRun, State};
use crate::{CompileError, CompileErrorKind, ModuleCompiler};
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::{ExternalName, SourceLoc};
use cranelift_codegen::timing::{Pass, Profiler, set_thread_profiler};
use cranelift_codegen::{CodegenError, CompiledCode, Context, FinalizedMachExceptionHandler, FinalizedRelocTarget};
use cranelift_control::ControlPlane;
use cranelift_frontend::FunctionBuilderContext;
use std::any::Any;
use wattest_abi::TrapCode;
use wattest_abi::artifact::{AddressRecord, HandlerRecord, LOCAL_SLOT_BYTES, LocalsRecord, StackMapRecord, TrapRecord};
use wattest_module::{DefinedFuncIndex, TableIndex};

/// Name space of defined functions in relocations.
pub(crate) const NAME_FUNCTION: u32 = 0;
/// Name space of static tables in relocations.
pub(crate) const NAME_TABLE: u32 = 1;
/// Largest frame whose overflow check may run after the frame was set up, in bytes.
const CHECKED_FRAME_BYTES_MAX: u32 = 256 << 10;

/// Reusable memory for compiling functions, one per thread.
pub struct Worker {
    context: Context,
    builder: FunctionBuilderContext,
    state: State,
    control: ControlPlane,
    registers: regalloc2::Ctx,
}

impl Default for Worker {
    fn default() -> Worker {
        Worker::new()
    }
}

impl Worker {
    /// A worker.
    pub fn new() -> Worker {
        // Nobody reads the code generator's own clocks, and reading them takes a hundredth of its time.
        set_thread_profiler(Box::new(NoClocks));
        Worker {
            context: Context::new(),
            builder: FunctionBuilderContext::new(),
            state: State::default(),
            control: ControlPlane::default(),
            registers: regalloc2::Ctx::default(),
        }
    }
}

/// A profiler that does not.
struct NoClocks;

impl Profiler for NoClocks {
    fn start_pass(&self, _: Pass) -> Box<dyn Any> {
        Box::new(())
    }
}

/// What a relocation points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelocationTarget {
    Function(DefinedFuncIndex),
    StaticTable(TableIndex),
}

/// A 32-bit distance, relative to its own address, that the linker fills in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relocation {
    pub offset: u32,
    pub target: RelocationTarget,
    pub addend: i64,
}

/// Machine code of one function before it is laid out; offsets count from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionCode {
    /// The function.
    pub function: DefinedFuncIndex,
    /// Instructions and the constants they load.
    pub code: Vec<u8>,
    /// Instructions that may trap, by offset.
    pub traps: Vec<TrapRecord>,
    /// Where the instructions came from, by offset.
    pub addresses: Vec<AddressRecord>,
    /// Landing pads, by return address.
    pub handlers: Vec<HandlerRecord>,
    /// References in the frame, by return address.
    pub stack_maps: Vec<StackMapRecord>,
    /// Where frames keep locals; the offsets are 0.
    pub locals: Vec<LocalsRecord>,
    pub(crate) relocations: Vec<Relocation>,
    pub(crate) align_bytes: u32,
}

impl ModuleCompiler<'_> {
    /// Compiles one function.
    pub fn compile_function(&self, worker: &mut Worker, func: DefinedFuncIndex) -> Result<FunctionCode, CompileError> {
        let body = &self.desc.bodies[func.index()].bytes;
        let fail = |offset: u32, kind: CompileErrorKind| CompileError {
            function: Some(self.desc.func_index(func)),
            offset: Some(offset),
            kind,
        };
        worker.context.clear();
        let Worker { context, builder, state, control, registers } = worker;
        let uses_stack_check = crate::translate::translate(self, func, &mut context.func, builder, state)
            .map_err(|(offset, kind)| fail(offset, kind))?;
        #[cfg(fuzzing)]
        crate::features::note_clif(&context.func);
        #[cfg(wattest_mutants)]
        crate::mutants::apply(&mut context.func);
        let isa = &*self.target.isa;
        #[cfg(fuzzing)]
        context.verify(isa).map_err(|errors| fail(body.start, codegen_error(&errors.into(), context)))?;
        // `compile_stencil` in its two steps, since what the first one makes has no places.
        let stencil = context.optimize(isa, control).and_then(|()| {
            crate::places::inherit(&mut context.func);
            isa.compile_function(&context.func, &context.domtree, registers, false, control)
        });
        let stencil = stencil.map_err(|error| fail(body.start, codegen_error(&error, context)))?;
        let code = stencil.apply_params(&context.func.params);
        if uses_stack_check {
            // The explicit check runs once the frame exists; what it calls needs stack below it.
            let bytes = code.buffer.frame_layout().map_or(0, |layout| layout.frame_to_fp_offset);
            if bytes > CHECKED_FRAME_BYTES_MAX {
                return Err(fail(body.start, CompileErrorKind::FrameTooLarge(bytes)));
            }
        }
        self.collect(func, &code, context, state).map_err(|kind| fail(body.start, kind))
    }

    fn collect(
        &self,
        func: DefinedFuncIndex,
        code: &CompiledCode,
        context: &Context,
        state: &State,
    ) -> Result<FunctionCode, CompileErrorKind> {
        let buffer = &code.buffer;
        let mut relocations = Vec::with_capacity(buffer.relocs().len());
        for reloc in buffer.relocs() {
            relocations.push(relocation(reloc, context)?);
        }
        let traps =
            buffer.traps().iter().map(|trap| TrapRecord { text_offset: trap.offset, code: trap_code(trap.code) });
        let mut traps = traps.collect::<Vec<_>>();
        traps.sort_unstable_by_key(|trap| trap.text_offset);
        traps.dedup();
        let mut addresses = Vec::new();
        if self.tunables.addresses {
            collect_addresses(code, self.desc.bodies[func.index()].bytes.start, &mut addresses);
        }
        Ok(FunctionCode {
            function: func,
            code: buffer.data().to_vec(),
            traps,
            addresses,
            handlers: collect_handlers(code)?,
            stack_maps: collect_stack_maps(code),
            locals: collect_locals(code, state),
            relocations,
            align_bytes: buffer.alignment,
        })
    }
}

fn relocation(
    reloc: &cranelift_codegen::FinalizedMachReloc,
    context: &Context,
) -> Result<Relocation, CompileErrorKind> {
    let unexpected = || {
        let target = reloc.target.display(Some(&context.func.params));
        CompileErrorKind::Internal(format!("relocation {} against {target}", reloc.kind))
    };
    let (Reloc::X86PCRel4 | Reloc::X86CallPCRel4) = reloc.kind else { return Err(unexpected()) };
    let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = reloc.target else { return Err(unexpected()) };
    let name = &context.func.params.user_named_funcs()[name];
    let target = match name.namespace {
        NAME_FUNCTION => RelocationTarget::Function(DefinedFuncIndex(name.index)),
        NAME_TABLE => RelocationTarget::StaticTable(TableIndex(name.index)),
        _ => return Err(unexpected()),
    };
    Ok(Relocation { offset: reloc.offset, target, addend: reloc.addend })
}

/// The trap that the code generator's `code` stands for.
fn trap_code(code: cranelift_codegen::ir::TrapCode) -> u8 {
    use cranelift_codegen::ir::TrapCode as Clif;
    let trap = match code {
        Clif::STACK_OVERFLOW => TrapCode::StackOverflow,
        Clif::INTEGER_OVERFLOW => TrapCode::IntegerOverflow,
        Clif::HEAP_OUT_OF_BOUNDS => TrapCode::MemoryOutOfBounds,
        Clif::INTEGER_DIVISION_BY_ZERO => TrapCode::IntegerDivideByZero,
        Clif::BAD_CONVERSION_TO_INTEGER => TrapCode::InvalidConversionToInteger,
        other => return other.as_raw().get(),
    };
    trap as u8
}

/// Appends the address records of a function. Code before the first instruction, where the stack is checked, belongs to
/// the body's start `body_offset`.
fn collect_addresses(code: &CompiledCode, body_offset: u32, addresses: &mut Vec<AddressRecord>) {
    let ranges = code.buffer.get_srclocs_sorted();
    addresses.reserve(ranges.len() + 1);
    let mut push = |text_offset: u32, wasm_offset: u32| {
        let repeats = addresses.last().is_some_and(|last: &AddressRecord| last.wasm_offset == wasm_offset);
        if !repeats {
            addresses.push(AddressRecord { text_offset, wasm_offset });
        }
    };
    let mut end = 0;
    push(0, body_offset);
    for range in ranges {
        let loc = if range.loc == SourceLoc::default() { u32::MAX } else { range.loc.bits() };
        if range.start == range.end || end == 0 && loc == u32::MAX {
            continue;
        }
        if range.start > end && end > 0 {
            push(end, u32::MAX);
        }
        push(range.start, loc);
        end = range.end;
    }
    push(end, u32::MAX);
}

/// The landing pads of a function's calls. The translator gives a call at most one, for every exception.
fn collect_handlers(code: &CompiledCode) -> Result<Vec<HandlerRecord>, CompileErrorKind> {
    let mut records = Vec::new();
    for site in code.buffer.call_sites().filter(|site| !site.exception_handlers.is_empty()) {
        let ([FinalizedMachExceptionHandler::Default(landing)], Some(frame_bytes)) =
            (site.exception_handlers, site.frame_offset)
        else {
            return Err(CompileErrorKind::Internal(format!("call site {site:?}")));
        };
        records.push(HandlerRecord { text_offset: site.ret_addr, landing_offset: *landing, frame_bytes });
    }
    records.sort_unstable_by_key(|record| record.text_offset);
    Ok(records)
}

/// The stack maps of a function: its frame pointer lies the frame's active bytes above the stack pointer, which is what
/// the code generator counts from.
fn collect_stack_maps(code: &CompiledCode) -> Vec<StackMapRecord> {
    let mut records = Vec::new();
    for (text_offset, frame_bytes, map) in code.buffer.user_stack_maps() {
        let missed = usize::from(wattest_abi::mutant!(stack_map_misses_a_slot));
        let slots = map
            .entries()
            .skip(missed)
            .map(|(_, above_sp)| StackMapRecord { text_offset: *text_offset, below_fp: frame_bytes - above_sp });
        records.extend(slots);
    }
    records
}

/// Where a function's frames keep its locals.
fn collect_locals(code: &CompiledCode, state: &State) -> Vec<LocalsRecord> {
    let slot = state.locals_slot.zip(code.buffer.frame_layout()).map(|(slot, layout)| {
        // Both count from the bottom of the frame.
        layout.frame_to_fp_offset - layout.stackslots[slot].offset
    });
    let record = |run: &LocalRun| LocalsRecord {
        text_offset: 0,
        kind: run.kind as u32,
        count: run.count,
        below_fp: slot.zip(run.kept).map_or(0, |(slot, place)| slot - place * LOCAL_SLOT_BYTES),
    };
    state.local_runs.iter().map(record).collect()
}

fn codegen_error(error: &CodegenError, context: &Context) -> CompileErrorKind {
    match error {
        CodegenError::ImplLimitExceeded | CodegenError::CodeTooLarge => CompileErrorKind::FunctionTooLarge,
        CodegenError::Verifier(errors) => CompileErrorKind::Internal(format!("{errors}\n{}", context.func.display())),
        other => CompileErrorKind::Internal(other.to_string()),
    }
}
