//! Exceptions: handlers of all four kinds, throws, and throwing again.
//!
//! [`try_table`](https://webassembly.github.io/spec/core/exec/instructions.html#exec-try-table) with any mixture of clauses,
//! in handlers and in bodies, around calls that throw. A module sees only tags of its own and of earlier modules; the rest it
//! can catch by `catch_all` alone.
//!
//! Invariant: the first clause that fits an exception is the one whose arm is generated as taken.
//!
//! Does not know: how calls are made.

use super::shadow::V;
use super::types::{Heap, Ty};
use super::{Flow, Writer};
use wasm_encoder::{BlockType, Catch, Instruction};

/// A clause.
#[derive(Clone, Copy)]
struct Clause {
    /// None catches everything.
    tag: Option<u32>,
    /// Whether the exception itself is given.
    reference: bool,
}

impl Writer<'_, '_> {
    /// Tags that the current module can name.
    fn visible_tags(&self) -> Vec<u32> {
        let module = self.frame.module;
        (0..self.tags.len() as u32).filter(|tag| self.tags[*tag as usize].owner <= module).collect()
    }

    fn clauses(&mut self) -> Vec<Clause> {
        let visible = self.visible_tags();
        let mut clauses = Vec::new();
        for _ in 0..self.source.between(0, 4) {
            let reference = self.source.percent(40);
            let all = visible.is_empty() || self.source.percent(25);
            let tag = (!all).then(|| self.source.pick(&visible));
            clauses.push(Clause { tag, reference });
        }
        clauses
    }

    fn carried(&self, clause: Clause) -> Vec<Ty> {
        let mut types = clause.tag.map_or(Vec::new(), |tag| self.tags[tag as usize].params.clone());
        if clause.reference {
            types.push(Ty::null(Heap::Exn));
        }
        types
    }

    /// A `try_table` with an arm for each clause.
    pub(super) fn try_table(&mut self) -> Flow {
        let clauses = self.clauses();
        self.emit(Instruction::Block(BlockType::Empty));
        for clause in clauses.iter().rev() {
            let types = self.carried(*clause);
            let result = self.block_type(&types);
            self.emit(Instruction::Block(result));
        }
        let catches: Vec<Catch> = (0u32..).zip(&clauses).map(|(label, clause)| encoded(label, *clause)).collect();
        self.emit(Instruction::TryTable(BlockType::Empty, catches.into()));
        self.tries += 1;
        self.frame.tries += 1;
        let flow = self.arm(true);
        self.tries -= 1;
        self.frame.tries -= 1;
        self.end();
        self.emit(Instruction::Br(clauses.len() as u32));
        let caught = match flow {
            Flow::Throw(exception) => self.clause_for(&clauses, exception).map(|index| (index, exception)),
            _ => None,
        };
        let mut after = if caught.is_some() { Flow::Next } else { flow };
        let ready = self.ready();
        for (index, clause) in clauses.iter().enumerate() {
            self.end();
            let taken = caught.filter(|(taken, _)| *taken == index).map(|(_, exception)| exception);
            let handled = self.handler(*clause, taken);
            if taken.is_some() {
                after = handled;
            }
            self.leave_block(&ready);
            self.emit(Instruction::Br((clauses.len() - 1 - index) as u32));
        }
        self.end();
        after
    }

    fn clause_for(&self, clauses: &[Clause], exception: u32) -> Option<usize> {
        let tag = self.shadow.exceptions[exception as usize].0;
        clauses.iter().position(|clause| clause.tag.is_none_or(|known| known == tag))
    }

    /// Takes what a clause gives, and goes on.
    fn handler(&mut self, clause: Clause, taken: Option<u32>) -> Flow {
        let types = self.carried(clause);
        let Some(exception) = taken else {
            // Fresh locals: what other statements know of theirs stays true.
            for ty in types.iter().rev() {
                let local = self.new_local(*ty, false);
                self.frame.locals[local as usize].ready = false;
                self.emit(Instruction::LocalSet(local));
            }
            return self.arm(false);
        };
        let mut values = match clause.tag {
            Some(_) => self.shadow.exceptions[exception as usize].1.clone(),
            None => Vec::new(),
        };
        if clause.reference {
            values.push(V::Exn(exception));
        }
        self.sink(&types, &values);
        self.arm(true)
    }

    /// `throw`.
    pub(super) fn throw(&mut self) -> Flow {
        let visible = self.visible_tags();
        if visible.is_empty() {
            return self.call();
        }
        let tag = self.source.pick(&visible);
        let params = self.tags[tag as usize].params.clone();
        let args = params.iter().map(|ty| self.value(*ty, 1)).collect();
        self.emit(Instruction::Throw(tag));
        self.shadow.exceptions.push((tag, args));
        Flow::Throw(self.shadow.exceptions.len() as u32 - 1)
    }

    /// `throw_ref` of an exception that some local holds.
    pub(super) fn rethrow(&mut self) -> Flow {
        let held = |ty: Ty, value: V| ty == Ty::null(Heap::Exn) && matches!(value, V::Exn(_));
        let roots: Vec<_> = self.roots().into_iter().filter(|(_, ty, value)| held(*ty, *value)).collect();
        if roots.is_empty() {
            return self.throw();
        }
        let (root, _, value) = self.source.pick(&roots);
        let V::Exn(exception) = value else { return Flow::Next };
        self.push_root(root);
        self.emit(Instruction::ThrowRef);
        Flow::Throw(exception)
    }
}

fn encoded(label: u32, clause: Clause) -> Catch {
    match clause {
        Clause { tag: Some(tag), reference: false } => Catch::One { tag, label },
        Clause { tag: Some(tag), reference: true } => Catch::OneRef { tag, label },
        Clause { tag: None, reference: false } => Catch::All { label },
        Clause { tag: None, reference: true } => Catch::AllRef { label },
    }
}
