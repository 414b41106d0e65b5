//! Exceptions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#exec-throw-ref)), in their present and their
//! [legacy](https://webassembly.github.io/spec/legacy/exceptions/core/) encoding.
//!
//! A `try_table`, or the body of a legacy `try`, is a [`Scope`]. Inside it every call of WebAssembly code names the scope's
//! landing pad as where to go on when it throws; outside, calls are plain. The pad compares tags, clause by clause, and
//! branches to the label of the one that catches, or on to the pad of the enclosing scope, or, at the function's edge,
//! throws again. A `throw` inside a scope is a jump to its pad, or, where it is certain which clause catches and the
//! exception itself is not asked for, to that clause's label.
//!
//! Promises: code and time are linear in the number of clauses plus calls, however scopes are nested.
//!
//! Invariant: [`State::scope`](super::State) is the innermost scope whose body the current instruction is in. A pad's
//! parameter is the exception, not null, in 64 bits; when control gets there, the fuel counter is in memory.
//!
//! Does not know: how a throwing callee finds the pad.

use super::state::{FrameKind, Scope};
use super::{Step, Translator};
use crate::CompileErrorKind;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{Block, BlockArg, InstBuilder, Value, types};
use wasmparser::{BlockType, Catch, TryTable};
use wattest_abi::{Builtin, TrapCode, ValueKind, mutant};
use wattest_module::{TagIndex, TypeIndex};

/// Clauses looked at to find the one that catches a `throw` in the same function.
const CLAUSES_SEARCHED_MAX: usize = 16;

/// A clause of a `try_table`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clause {
    /// The tag that it catches; `None` for every one.
    tag: Option<TagIndex>,
    /// Whether its label gets the exception itself.
    with_exception: bool,
    /// Position of the frame whose label it is.
    target: usize,
}

/// What is known of a `throw` before it happens.
enum Caught {
    /// By this clause.
    By(Clause),
    /// Only tags can tell.
    Unknown,
}

impl Translator<'_> {
    fn tag_type(&self, tag: TagIndex) -> TypeIndex {
        self.env.desc.tags[tag.index()].ty
    }

    /// The identity of tag `tag` of this instance.
    fn tag_identity(&mut self, tag: TagIndex) -> Value {
        let mut tag = tag;
        if mutant!(tag_by_type) {
            let same = self.env.desc.tags.iter().position(|other| other.ty == self.env.desc.tags[tag.index()].ty);
            tag = TagIndex(same.map_or(tag.0, |index| index as u32));
        }
        let offset = self.env.offsets.imported_tags + tag.0 * 8;
        self.load_constant(types::I64, self.vmctx, offset)
    }

    /// Enters a scope; it is the frame that is opened next.
    fn open_scope(&mut self, clauses: Vec<Clause>) -> u32 {
        let index = self.state.scopes.len() as u32;
        let outer = self.state.scope;
        self.state.scopes.push(Scope { pad: None, clauses, outer, is_body: true, exception: None, undecided: None });
        self.state.scope = Some(index);
        index
    }

    pub(super) fn try_table(&mut self, table: &TryTable) -> Step {
        // Labels of clauses count from outside the `try_table`.
        let clauses = table.catches.iter().map(|catch| {
            let (tag, with_exception, label) = match *catch {
                Catch::One { tag, label } => (Some(TagIndex(tag)), false, label),
                Catch::OneRef { tag, label } => (Some(TagIndex(tag)), true, label),
                Catch::All { label } => (None, false, label),
                Catch::AllRef { label } => (None, true, label),
            };
            Clause { tag, with_exception, target: self.frame_at_depth(label) }
        });
        let mut clauses = clauses.collect::<Vec<_>>();
        if mutant!(exception_clause_order) {
            clauses.reverse();
        }
        let outer = self.state.scope;
        if clauses.is_empty() {
            // Catches nothing: a block.
            return self.block(table.ty);
        }
        let scope = self.open_scope(clauses);
        self.push_block_frame(table.ty, FrameKind::TryTable(scope), outer);
        Ok(())
    }

    /// The landing pad of scope `index`, made when it is first needed.
    fn pad(&mut self, index: u32) -> Block {
        if let Some(pad) = self.state.scopes[index as usize].pad {
            return pad;
        }
        let pad = self.builder.create_block();
        self.builder.set_cold_block(pad);
        self.builder.append_block_param(pad, types::I64);
        self.state.scopes[index as usize].pad = Some(pad);
        pad
    }

    /// Where a call goes on that throws, if it is in a scope.
    pub(super) fn current_pad(&mut self) -> Option<Block> {
        let scope = self.state.scope?;
        Some(self.pad(scope))
    }

    /// Whether anything may land at the pad of scope `index`.
    pub(super) fn has_pad(&self, index: u32) -> bool {
        self.state.scopes[index as usize].pad.is_some()
    }

    /// Starts a landing pad, all of whose predecessors exist; the exception.
    fn enter_pad(&mut self, pad: Block) -> Value {
        self.continue_in(pad);
        self.state.fuel.pending = 0;
        self.reload_after_call();
        let exception = self.builder.block_params(pad)[0];
        let exception = self.builder.ins().ireduce(types::I32, exception);
        self.declare_kind(ValueKind::Ref, exception);
        exception
    }

    /// Branches on whether `exception` has tag `tag`: goes on in the block for yes, and gives that for no.
    fn branch_on_tag(&mut self, exception: Value, tag: TagIndex) -> Block {
        let found = self.exception_tag(exception);
        let wanted = self.tag_identity(tag);
        let equal = self.builder.ins().icmp(IntCC::Equal, found, wanted);
        let (yes, no) = (self.builder.create_block(), self.builder.create_block());
        self.builder.set_cold_block(yes);
        self.builder.set_cold_block(no);
        self.builder.ins().brif(equal, yes, &[], no, &[]);
        self.continue_in(yes);
        no
    }

    /// Ends the innermost scope, whose frame has been closed and whose end has been left by a jump: its pad.
    pub(super) fn end_try_table(&mut self) {
        let Some(scope) = self.state.scopes.pop() else { return };
        self.state.scope = scope.outer;
        let Some(pad) = scope.pad else { return };
        let exception = self.enter_pad(pad);
        for clause in &scope.clauses {
            let Some(tag) = clause.tag else {
                self.take_clause(clause, exception);
                return;
            };
            let no = self.branch_on_tag(exception, tag);
            self.take_clause(clause, exception);
            self.continue_in(no);
        }
        self.throw_from(exception, scope.outer);
    }

    /// Branches to a clause's label with what it gets of `exception`. The operand stack is left as it was.
    fn take_clause(&mut self, clause: &Clause, exception: Value) {
        let height = self.state.stack.len();
        if let Some(tag) = clause.tag {
            let ty = self.tag_type(tag);
            self.push_exception_fields(ty, exception);
        }
        if clause.with_exception {
            self.push(exception);
        }
        self.branch_to(clause.target);
        self.state.stack.truncate(height);
    }

    fn branch_to(&mut self, target: usize) {
        let target = self.prepare_branch(target);
        self.builder.ins().jump(target, &self.state.branch_args);
    }

    /// Throws `exception`, not null, as from inside scope `scope`. Ends the block.
    fn throw_from(&mut self, exception: Value, scope: Option<u32>) {
        if let Some(scope) = scope {
            let pad = self.pad(scope);
            let exception = self.builder.ins().uextend(types::I64, exception);
            self.builder.ins().jump(pad, &[BlockArg::Value(exception)]);
            return;
        }
        self.call_builtin(Builtin::throw_ref, &[exception]);
        self.builder.ins().trap(super::trap::clif_trap(TrapCode::UncaughtException));
    }

    /// Throws `exception`, not null, here.
    fn throw_here(&mut self, exception: Value) -> Step {
        self.prepare_call(true);
        let mut scope = self.state.scope;
        if mutant!(exception_skips_innermost)
            && let Some(innermost) = scope
        {
            scope = self.state.scopes[innermost as usize].outer;
        }
        self.throw_from(exception, scope);
        self.state.reachable = false;
        Ok(())
    }

    /// Which clause of this function catches a `throw` of `tag` here.
    fn who_catches(&self, tag: TagIndex) -> Caught {
        let imported = self.env.desc.imported_tags;
        let mut searched = 0;
        let mut next = self.state.scope;
        while let Some(index) = next {
            let scope = &self.state.scopes[index as usize];
            if scope.clauses.is_empty() {
                // A legacy `try`, whose clauses are not known yet.
                return Caught::Unknown;
            }
            for clause in &scope.clauses {
                match clause.tag {
                    Some(other) if other == tag => return Caught::By(*clause),
                    // Two imports may be the same tag; a tag defined here is none of them.
                    Some(other) if other.0 < imported && tag.0 < imported => return Caught::Unknown,
                    Some(_) => {}
                    None => return Caught::By(*clause),
                }
                searched += 1;
                if searched >= CLAUSES_SEARCHED_MAX {
                    return Caught::Unknown;
                }
            }
            next = scope.outer;
        }
        Caught::Unknown
    }

    pub(super) fn throw(&mut self, tag: u32) -> Step {
        let tag = TagIndex(tag);
        if let Caught::By(clause) = self.who_catches(tag)
            && !clause.with_exception
        {
            self.branch_to(clause.target);
            self.state.reachable = false;
            return Ok(());
        }
        let ty = self.tag_type(tag);
        let count = self.env.desc.func_type(ty).params.len();
        self.canonicalize_top(count);
        let start = self.state.stack.len() - count;
        let fields = self.state.stack.split_off(start);
        let identity = self.tag_identity(tag);
        let exception = self.allocate_exception(ty, identity, &fields);
        self.throw_here(exception)
    }

    pub(super) fn throw_ref(&mut self) -> Step {
        let exception = self.pop();
        self.trap_unless(exception, TrapCode::NullReference);
        self.throw_here(exception)
    }

    pub(super) fn try_(&mut self, ty: BlockType) -> Step {
        let outer = self.state.scope;
        let scope = self.open_scope(Vec::new());
        self.push_block_frame(ty, FrameKind::Try(scope), outer);
        Ok(())
    }

    /// Ends the body or the handler before a legacy `catch` or `catch_all`, and goes on where an exception is undecided;
    /// the exception. `None` when nothing in the body throws.
    fn next_handler(&mut self) -> Option<Value> {
        let at = self.state.frames.len() - 1;
        if self.state.reachable {
            self.jump_to_join(at);
        }
        let height = self.state.frames[at].height as usize;
        self.state.stack.truncate(height);
        let index = self.state.scopes.len() - 1;
        let scope = &mut self.state.scopes[index];
        if scope.is_body {
            scope.is_body = false;
            self.state.scope = scope.outer;
            if let Some(pad) = scope.pad {
                let exception = self.enter_pad(pad);
                self.state.scopes[index].exception = Some(exception);
                self.state.reachable = true;
                return Some(exception);
            }
        } else if let Some(undecided) = scope.undecided.take() {
            let exception = scope.exception;
            self.continue_in(undecided);
            self.state.fuel.pending = 0;
            self.state.reachable = true;
            return exception;
        }
        self.state.reachable = false;
        None
    }

    pub(super) fn catch(&mut self, tag: u32) -> Step {
        let Some(exception) = self.next_handler() else { return Ok(()) };
        let no = self.branch_on_tag(exception, TagIndex(tag));
        let index = self.state.scopes.len() - 1;
        self.state.scopes[index].undecided = Some(no);
        let ty = self.tag_type(TagIndex(tag));
        self.push_exception_fields(ty, exception);
        Ok(())
    }

    pub(super) fn catch_all(&mut self) -> Step {
        self.next_handler();
        Ok(())
    }

    /// Whether an exception may reach the end of legacy `try` scope `index` undecided.
    pub(super) fn is_undecided(&self, index: u32) -> bool {
        let scope = &self.state.scopes[index as usize];
        if scope.is_body { scope.pad.is_some() } else { scope.undecided.is_some() }
    }

    /// Ends the innermost scope, a legacy `try` whose frame has been closed: what none of its handlers took is thrown on,
    /// as from inside scope `onward`.
    pub(super) fn end_try(&mut self, onward: Option<u32>) {
        let Some(scope) = self.state.scopes.pop() else { return };
        if scope.is_body {
            self.state.scope = scope.outer;
            if let Some(pad) = scope.pad {
                let exception = self.enter_pad(pad);
                self.throw_from(exception, onward);
            }
        } else if let (Some(undecided), Some(exception)) = (scope.undecided, scope.exception) {
            self.continue_in(undecided);
            self.throw_from(exception, onward);
        }
    }

    /// Ends a legacy `try` whose exceptions are handled as if thrown inside the frame at `depth`.
    pub(super) fn delegate(&mut self, depth: u32) -> Step {
        // The label counts from outside the `try`.
        let frame = &self.state.frames[self.frame_at_depth(depth + 1)];
        let onward = match frame.kind {
            FrameKind::TryTable(scope) => Some(scope),
            FrameKind::Try(scope) if self.state.scopes[scope as usize].is_body => Some(scope),
            _ => frame.scope,
        };
        self.end_structured(onward)
    }

    /// Throws again what the handler of the legacy `try` at `depth` has caught.
    pub(super) fn rethrow(&mut self, depth: u32) -> Step {
        let frame = &self.state.frames[self.frame_at_depth(depth)];
        let FrameKind::Try(scope) = frame.kind else {
            return Err(CompileErrorKind::Internal("rethrow outside a handler".to_string()));
        };
        match self.state.scopes[scope as usize].exception {
            Some(exception) => self.throw_here(exception),
            None => Err(CompileErrorKind::Internal("rethrow without an exception".to_string())),
        }
    }
}
