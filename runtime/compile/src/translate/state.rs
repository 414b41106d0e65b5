//! The translator's memory: operand stack, control frames, locals, and what was already imported into the function.
//!
//! Invariant: cleared by [`State::reset`] before each function; buffers keep their capacity from one to the next.
//!
//! Does not know: what any instruction means.

use super::exception::Clause;
use cranelift_codegen::entity::packed_option::PackedOption;
use cranelift_codegen::ir::{AliasRegion, Block, BlockArg, FuncRef, GlobalValue, Inst, SigRef, StackSlot, Type, Value};
use cranelift_frontend::Variable;
use wattest_abi::ValueKind;

/// Where control goes when an `if`'s condition is false.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ElseArm {
    /// To this block, which takes the parameters.
    Block(Block),
    /// To the join, unless an `else` turns up, which then redirects this branch.
    Patch(Inst),
}

/// What opened a control frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FrameKind {
    /// A block, or the function itself: branches go to the join.
    Block,
    /// A loop: branches go to the header.
    Loop,
    /// The first arm of an `if`.
    If(ElseArm),
    /// The second arm of an `if`.
    Else,
    /// A `try_table` with this scope.
    TryTable(u32),
    /// A legacy `try` with this scope, its handlers included.
    Try(u32),
}

/// A control frame: one entered and not yet ended structured instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub kind: FrameKind,
    /// Where branches go: the header of a loop, the join of everything else.
    pub target: Block,
    /// The scope around the frame.
    pub scope: Option<u32>,
    /// Number of values a branch takes along.
    pub branch_arity: u32,
    /// Number of values on the stack at the end.
    pub results: u32,
    /// Operand stack height below the frame's parameters.
    pub height: u32,
    /// Loops that enclose the branch target.
    pub loop_depth: u32,
    /// Whether any branch goes to the join.
    pub joined: bool,
    /// Largest uncommitted fuel of any edge to the join.
    pub fuel_pending: u32,
    /// Uncommitted fuel when the condition was tested.
    pub fuel_at_else: u32,
}

/// What handles exceptions thrown in a `try_table` or in the body of a legacy `try`.
#[derive(Debug)]
pub(crate) struct Scope {
    /// Where calls that throw go on, if there are any.
    pub pad: Option<Block>,
    /// The clauses of a `try_table`; none for a legacy `try`, whose handlers come later.
    pub clauses: Vec<Clause>,
    /// The scope around it.
    pub outer: Option<u32>,
    /// Whether the body has not ended.
    pub is_body: bool,
    /// What a handler of a legacy `try` has caught.
    pub exception: Option<Value>,
    /// Where a legacy `try` goes on with an exception that none of its handlers so far takes.
    pub undecided: Option<Block>,
}

/// A local variable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local {
    pub variable: Variable,
    pub ty: Type,
    /// Position among the locals that the frame keeps, if it does.
    pub kept: Option<u32>,
}

/// Neighbouring locals of one kind that are all kept by the frame, or all not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalRun {
    pub kind: ValueKind,
    pub count: u32,
    /// Position of the first one among those that are kept.
    pub kept: Option<u32>,
}

/// Import caches by index, of which only the touched entries are cleared.
#[derive(Debug)]
pub(crate) struct Cache<T: Copy> {
    entries: Vec<Option<T>>,
    touched: Vec<u32>,
}

impl<T: Copy> Default for Cache<T> {
    fn default() -> Cache<T> {
        Cache { entries: Vec::new(), touched: Vec::new() }
    }
}

impl<T: Copy> Cache<T> {
    /// The entry at `index`.
    pub(crate) fn get(&self, index: u32) -> Option<T> {
        self.entries.get(index as usize).copied().flatten()
    }

    /// Sets the entry at `index`.
    pub(crate) fn set(&mut self, index: u32, value: T) {
        if self.entries.len() <= index as usize {
            self.entries.resize(index as usize + 1, None);
        }
        self.entries[index as usize] = Some(value);
        self.touched.push(index);
    }

    fn reset(&mut self) {
        for index in self.touched.drain(..) {
            self.entries[index as usize] = None;
        }
    }
}

/// Fuel accounting of the code being translated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fuel {
    /// Cost of what was translated since the last commit on this path.
    pub pending: u32,
    /// Cost that function entry is charged beyond its own.
    pub entry_extra: u32,
    /// The constant charged at entry, patched at the end.
    pub entry_charge: PackedOption<Inst>,
}

/// Everything the translator keeps between instructions, and between functions as mere capacity.
#[derive(Default)]
pub(crate) struct State {
    pub stack: Vec<Value>,
    pub frames: Vec<Frame>,
    pub locals: Vec<Local>,
    /// All locals, if the frame keeps any.
    pub local_runs: Vec<LocalRun>,
    /// How many it keeps.
    pub kept_locals: u32,
    /// Where it keeps them.
    pub locals_slot: Option<StackSlot>,
    /// Scopes whose frames are open, and the innermost whose body is.
    pub scopes: Vec<Scope>,
    /// See [`State::scopes`].
    pub scope: Option<u32>,
    /// Scratch for branch arguments.
    pub branch_args: Vec<BlockArg>,
    /// Scratch for call arguments.
    pub call_args: Vec<Value>,
    pub reachable: bool,
    /// Structured instructions entered in unreachable code.
    pub skipped_depth: u32,
    /// Loops that enclose the current instruction.
    pub loop_depth: u32,
    pub fuel: Fuel,
    /// Imported signatures by type index.
    pub signatures: Cache<SigRef>,
    /// Imported signatures by builtin.
    pub builtins: Cache<SigRef>,
    /// Imported functions by index.
    pub functions: Cache<FuncRef>,
    /// Imported static tables by index.
    pub tables: Cache<GlobalValue>,
    /// Alias regions by identifier.
    pub regions: Vec<(u32, AliasRegion)>,
    /// Room for results that return in memory, and its size in bytes.
    pub results_slot: Option<(StackSlot, u32)>,
    /// Whether any value needs a stack map.
    pub has_references: bool,
    /// Locals that hold references.
    pub reference_locals: u32,
    /// Most that the stack maps of all calls so far can list.
    pub mapped: u64,
}

impl State {
    /// Forgets the previous function.
    pub(crate) fn reset(&mut self) {
        self.stack.clear();
        self.frames.clear();
        self.locals.clear();
        self.local_runs.clear();
        self.kept_locals = 0;
        self.locals_slot = None;
        self.scopes.clear();
        self.scope = None;
        self.reachable = true;
        self.skipped_depth = 0;
        self.loop_depth = 0;
        self.fuel = Fuel::default();
        self.signatures.reset();
        self.builtins.reset();
        self.functions.reset();
        self.tables.reset();
        self.regions.clear();
        self.results_slot = None;
        self.has_references = false;
        self.reference_locals = 0;
        self.mapped = 0;
    }
}
