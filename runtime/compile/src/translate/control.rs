//! Control instructions
//! ([spec](https://webassembly.github.io/spec/core/exec/instructions.html#control-instructions)), but calls.
//!
//! Invariant: a frame's target takes `branch_arity` block parameters of canonical types; it is sealed when its frame ends.
//!
//! Does not know: what happens to exceptions; see the chapter of those.

use super::state::{ElseArm, Frame, FrameKind};
use super::vmctx::Region;
use super::{Step, Translator};
use crate::CompileErrorKind;
use crate::signature::{clif_type, kind_of};
use cranelift_codegen::ir::{Block, BlockArg, BlockCall, InstBuilder, JumpTableData, Value};
use wasmparser::{BlockType, BrTable};
use wattest_abi::ValueKind;
use wattest_abi::call::RESULT_SLOT_BYTES;
use wattest_module::{FuncType, TypeIndex, ValType};

/// Parameters and results of a structured instruction.
enum BlockShape<'a> {
    Empty,
    Result(ValueKind),
    Function(&'a FuncType),
}

impl BlockShape<'_> {
    fn params(&self) -> &[ValType] {
        if let BlockShape::Function(ty) = self { &ty.params } else { &[] }
    }

    fn result_count(&self) -> u32 {
        match self {
            BlockShape::Empty => 0,
            BlockShape::Result(_) => 1,
            BlockShape::Function(ty) => ty.results.len() as u32,
        }
    }
}

impl<'a> Translator<'a> {
    fn shape(&self, ty: BlockType) -> BlockShape<'a> {
        match ty {
            BlockType::Empty => BlockShape::Empty,
            BlockType::Type(ty) => BlockShape::Result(kind_of(self.env.desc, ty)),
            BlockType::FuncType(index) => BlockShape::Function(self.env.desc.func_type(TypeIndex(index))),
        }
    }

    fn append_params(&mut self, block: Block, types: &[ValType]) {
        for ty in types {
            self.append_param(block, ty.kind());
        }
    }

    fn append_param(&mut self, block: Block, kind: ValueKind) {
        let value = self.builder.append_block_param(block, clif_type(kind));
        self.declare_kind(kind, value);
    }

    /// A block that takes the results of `shape`.
    fn join_block(&mut self, shape: &BlockShape<'_>) -> Block {
        let block = self.builder.create_block();
        match shape {
            BlockShape::Empty => {}
            BlockShape::Result(kind) => self.append_param(block, *kind),
            BlockShape::Function(ty) => self.append_params(block, &ty.results),
        }
        block
    }

    /// Opens the frame that is the function itself.
    pub(super) fn push_function_frame(&mut self) {
        let ty = self.ty;
        let target = self.join_block(&BlockShape::Function(ty));
        self.push_frame(FrameKind::Block, target, ty.results.len() as u32, ty.results.len() as u32, 0);
    }

    fn push_frame(&mut self, kind: FrameKind, target: Block, branch_arity: u32, results: u32, params: u32) {
        let height = self.state.stack.len() as u32 - params;
        self.state.frames.push(Frame {
            kind,
            target,
            branch_arity,
            results,
            height,
            scope: self.state.scope,
            loop_depth: self.state.loop_depth,
            joined: false,
            fuel_pending: 0,
            fuel_at_else: self.state.fuel.pending,
        });
    }

    pub(super) fn block(&mut self, ty: BlockType) -> Step {
        self.push_block_frame(ty, FrameKind::Block, self.state.scope);
        Ok(())
    }

    /// Opens a frame whose branches go to its end, inside scope `scope`.
    pub(super) fn push_block_frame(&mut self, ty: BlockType, kind: FrameKind, scope: Option<u32>) {
        let shape = self.shape(ty);
        let target = self.join_block(&shape);
        self.push_frame(kind, target, shape.result_count(), shape.result_count(), shape.params().len() as u32);
        if let Some(frame) = self.state.frames.last_mut() {
            frame.scope = scope;
        }
    }

    pub(super) fn loop_(&mut self, ty: BlockType) -> Step {
        let shape = self.shape(ty);
        let params = shape.params().len();
        let header = self.builder.create_block();
        self.append_params(header, shape.params());
        self.enter_loop();
        self.jump_with_top(header, params);
        self.state.loop_depth += 1;
        self.push_frame(FrameKind::Loop, header, params as u32, shape.result_count(), params as u32);
        self.builder.switch_to_block(header);
        let height = self.state.stack.len() - params;
        self.state.stack.truncate(height);
        self.state.stack.extend_from_slice(self.builder.block_params(header));
        self.poll_loop();
        Ok(())
    }

    pub(super) fn if_(&mut self, ty: BlockType) -> Step {
        let shape = self.shape(ty);
        let condition = self.pop();
        let (params, results) = (shape.params().len(), shape.result_count());
        let then = self.builder.create_block();
        let join = self.join_block(&shape);
        let hint = self.branch_hint();
        if hint == Some(false) {
            self.builder.set_cold_block(then);
        }
        let arm = if params == 0 && results == 0 && hint != Some(true) {
            ElseArm::Patch(self.builder.ins().brif(condition, then, &[], join, &[]))
        } else {
            let other = self.builder.create_block();
            if hint == Some(true) {
                self.builder.set_cold_block(other);
            }
            self.append_params(other, shape.params());
            self.collect_branch_args(params);
            self.builder.ins().brif(condition, then, &[], other, &self.state.branch_args);
            ElseArm::Block(other)
        };
        self.push_frame(FrameKind::If(arm), join, results, results, params as u32);
        self.continue_in(then);
        Ok(())
    }

    pub(super) fn else_(&mut self) -> Step {
        let at = self.state.frames.len() - 1;
        let frame = self.state.frames[at];
        let FrameKind::If(arm) = frame.kind else {
            return Err(CompileErrorKind::Internal("else without if".to_string()));
        };
        if self.state.reachable {
            self.jump_to_join(at);
        }
        let other = match arm {
            ElseArm::Block(block) => block,
            ElseArm::Patch(inst) => {
                let block = self.builder.create_block();
                self.builder.change_jump_destination(inst, frame.target, block);
                block
            }
        };
        self.continue_in(other);
        self.state.stack.truncate(frame.height as usize);
        self.state.stack.extend_from_slice(self.builder.block_params(other));
        self.state.frames[at].kind = FrameKind::Else;
        self.state.fuel.pending = frame.fuel_at_else;
        self.state.reachable = true;
        Ok(())
    }

    pub(super) fn end(&mut self) -> Step {
        let onward = self.state.frames.last().and_then(|frame| frame.scope);
        self.end_structured(onward)
    }

    /// Ends the innermost frame; exceptions that a legacy `try` leaves are handled as in scope `onward`.
    pub(super) fn end_structured(&mut self, onward: Option<u32>) -> Step {
        let at = self.state.frames.len() - 1;
        let kind = self.state.frames[at].kind;
        if let FrameKind::Loop = kind {
            self.end_loop(at);
            return Ok(());
        }
        // What follows a landing pad is a block of its own.
        let has_more = match kind {
            FrameKind::TryTable(scope) => self.has_pad(scope),
            FrameKind::Try(scope) => self.is_undecided(scope),
            _ => false,
        };
        if let FrameKind::If(arm) = kind {
            self.end_if_without_else(at, arm);
        } else if self.state.reachable && (has_more || self.state.frames[at].joined) {
            self.jump_to_join(at);
        }
        let frame = self.state.frames.pop().expect("a frame is open");
        if let FrameKind::TryTable(_) | FrameKind::Try(_) = kind {
            if has_more {
                self.state.stack.truncate(frame.height as usize);
            }
            match kind {
                FrameKind::TryTable(_) => self.end_try_table(),
                _ => self.end_try(onward),
            }
        }
        let joined = frame.joined;
        self.builder.seal_block(frame.target);
        if joined {
            self.builder.switch_to_block(frame.target);
            self.state.stack.truncate(frame.height as usize);
            self.state.stack.extend_from_slice(self.builder.block_params(frame.target));
            self.state.fuel.pending = frame.fuel_pending;
            self.state.reachable = true;
        } else if !self.state.reachable {
            self.state.stack.truncate(frame.height as usize);
        }
        if self.state.frames.is_empty() && self.state.reachable {
            self.leave_function();
        }
        Ok(())
    }

    fn end_loop(&mut self, at: usize) {
        if self.state.reachable {
            self.leave_loop();
        }
        let frame = self.state.frames.remove(at);
        self.builder.seal_block(frame.target);
        self.state.loop_depth -= 1;
        if !self.state.reachable {
            self.state.stack.truncate(frame.height as usize);
        }
    }

    /// Ends an `if` whose missing second arm passes its parameters on.
    fn end_if_without_else(&mut self, at: usize, arm: ElseArm) {
        if self.state.reachable {
            self.jump_to_join(at);
        }
        let frame = &mut self.state.frames[at];
        frame.joined = true;
        frame.fuel_pending = frame.fuel_pending.max(frame.fuel_at_else);
        let target = frame.target;
        if let ElseArm::Block(other) = arm {
            self.continue_in(other);
            let args = self.builder.block_params(other).iter().copied().map(BlockArg::Value);
            self.state.branch_args.clear();
            self.state.branch_args.extend(args);
            self.builder.ins().jump(target, &self.state.branch_args);
        }
    }

    /// Collects the top `count` operands, in canonical types, as branch arguments. They stay on the stack.
    fn collect_branch_args(&mut self, count: usize) {
        self.canonicalize_top(count);
        let start = self.state.stack.len() - count;
        self.state.branch_args.clear();
        self.state.branch_args.extend(self.state.stack[start..].iter().copied().map(BlockArg::Value));
    }

    fn jump_with_top(&mut self, block: Block, count: usize) {
        self.collect_branch_args(count);
        self.builder.ins().jump(block, &self.state.branch_args);
    }

    pub(super) fn jump_to_join(&mut self, at: usize) {
        self.prepare_edges(std::iter::once(at));
        let frame = &mut self.state.frames[at];
        frame.joined = true;
        let (target, results) = (frame.target, frame.results);
        self.jump_with_top(target, results as usize);
    }

    pub(super) fn frame_at_depth(&self, depth: u32) -> usize {
        self.state.frames.len() - 1 - depth as usize
    }

    /// Prepares a branch to the frame at position `at`: its target, its arguments in `branch_args`.
    pub(super) fn prepare_branch(&mut self, at: usize) -> Block {
        self.prepare_edges(std::iter::once(at));
        let frame = &mut self.state.frames[at];
        frame.joined = true;
        let (target, arity) = (frame.target, frame.branch_arity);
        self.collect_branch_args(arity as usize);
        target
    }

    pub(super) fn br(&mut self, depth: u32) -> Step {
        let at = self.frame_at_depth(depth);
        let target = self.prepare_branch(at);
        self.builder.ins().jump(target, &self.state.branch_args);
        self.state.reachable = false;
        Ok(())
    }

    pub(super) fn br_if(&mut self, depth: u32) -> Step {
        let condition = self.pop();
        let at = self.frame_at_depth(depth);
        let target = self.prepare_branch(at);
        let next = self.builder.create_block();
        match self.branch_hint() {
            Some(false) => {
                // The target may be hot by other ways than this one.
                let edge = self.builder.create_block();
                self.builder.set_cold_block(edge);
                self.builder.ins().brif(condition, edge, &[], next, &[]);
                self.continue_in(edge);
                self.builder.ins().jump(target, &self.state.branch_args);
            }
            hint => {
                if hint == Some(true) {
                    self.builder.set_cold_block(next);
                }
                self.builder.ins().brif(condition, target, &self.state.branch_args, next, &[]);
            }
        }
        self.continue_in(next);
        Ok(())
    }

    /// Whether the module says that the condition of the current operator is probably true, or probably false.
    fn branch_hint(&self) -> Option<bool> {
        let hints = &self.env.desc.branch_hints;
        if hints.is_empty() {
            return None;
        }
        let at = hints.binary_search_by_key(&self.offset, |hint| hint.offset).ok()?;
        Some(hints[at].taken)
    }

    pub(super) fn br_on_null(&mut self, depth: u32) -> Step {
        let value = self.pop();
        let at = self.frame_at_depth(depth);
        let target = self.prepare_branch(at);
        let next = self.builder.create_block();
        self.builder.ins().brif(value, next, &[], target, &self.state.branch_args);
        self.continue_in(next);
        self.push(value);
        Ok(())
    }

    pub(super) fn br_on_non_null(&mut self, depth: u32) -> Step {
        let at = self.frame_at_depth(depth);
        let target = self.prepare_branch(at);
        let next = self.builder.create_block();
        let value = self.pop();
        self.builder.ins().brif(value, target, &self.state.branch_args, next, &[]);
        self.continue_in(next);
        Ok(())
    }

    pub(super) fn br_table(&mut self, table: &BrTable<'_>) -> Step {
        let index = self.pop();
        let malformed = |error: wasmparser::BinaryReaderError| CompileErrorKind::Malformed(error.message().to_string());
        let last = self.state.frames.len() - 1;
        let mut targets = Vec::with_capacity(table.len() as usize);
        for depth in table.targets() {
            targets.push(last - depth.map_err(malformed)? as usize);
        }
        let default = last - table.default() as usize;
        let mut distinct = targets.clone();
        distinct.push(default);
        distinct.sort_unstable();
        distinct.dedup();
        self.prepare_edges(distinct.iter().copied());
        for at in &distinct {
            self.state.frames[*at].joined = true;
        }
        let arity = self.state.frames[default].branch_arity;
        self.collect_branch_args(arity as usize);
        let calls = targets.iter().map(|at| self.block_call(*at)).collect::<Vec<_>>();
        let default = self.block_call(default);
        let jump_table = self.builder.create_jump_table(JumpTableData::new(default, &calls));
        self.builder.ins().br_table(index, jump_table);
        self.state.reachable = false;
        Ok(())
    }

    fn block_call(&mut self, at: usize) -> BlockCall {
        let target = self.state.frames[at].target;
        let args = self.state.branch_args.iter().copied();
        BlockCall::new(target, args, &mut self.builder.func.dfg.value_lists)
    }

    pub(super) fn return_(&mut self) -> Step {
        self.leave_function();
        self.state.reachable = false;
        Ok(())
    }

    /// Returns the operands on top of the stack.
    fn leave_function(&mut self) {
        self.commit_fuel_at_exit();
        let count = self.ty.results.len();
        self.canonicalize_top(count);
        let start = self.state.stack.len() - count;
        let Some(pointer) = self.results_pointer else {
            self.builder.ins().return_(&self.state.stack[start..]);
            return;
        };
        let flags = self.trusted(Region::Results);
        for position in 0..count {
            let value: Value = self.state.stack[start + position];
            self.builder.ins().store(flags, value, pointer, position as i32 * RESULT_SLOT_BYTES as i32);
        }
        self.builder.ins().return_(&[]);
    }
}
