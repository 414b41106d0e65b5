//! Core functions that the runtime makes: lowered imports, built-ins, what adapters import, functions that trap.
//!
//! One body for each kind of node
//! ([canonical definitions](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#canonical-definitions));
//! transcoders are the steps of `wattest_canon`, between copies.
//!
//! Invariant: operands are looked up when a function is called, so that one may exist before them.
//!
//! Does not know: when a function is made.

use super::calls::check_status;
use super::core::{Core, FuncId, Halt, Value, slots, values};
use super::machine::{Cell, CellId, Given, Machine, Sink};
use std::sync::Arc;
use wattest_canon::transcode::{Room, Step, Text};
use wattest_canon::{Encoding, FLAT_PARAMS_MAX, HandleKind, Nans, ResourceId};
use wattest_component::graph::{Builtin, Node, StubTrap};
use wattest_component::intrinsics::Intrinsic as Row;
use wattest_component::{ComponentIndex, SignatureIndex};
use wattest_fuse::{AbiType, AdapterTrap, FuncType, InstanceId, Intrinsic};
use wattest_reference::{Ref, TrapClass};

fn word(slots: &[u64], at: usize) -> u32 {
    slots.get(at).map_or(0, |slot| *slot as u32)
}

impl Machine {
    fn signature(&self, index: SignatureIndex) -> Result<FuncType, Halt> {
        let row = self.0.statics.signatures.get(index.index());
        let row = row.ok_or_else(|| Halt::Broken(format!("there is no {index}")))?;
        Ok(super::machine::abi_type(&row.params, &row.results))
    }

    /// The function of a node that is one of the runtime's.
    ///
    /// # Errors
    /// When it is not.
    pub fn trampoline(&self, core: &mut dyn Core, node: &Node<CellId>) -> Result<FuncId, Halt> {
        let ty = match (node, node.signature()) {
            (Node::Support(intrinsic), _) => intrinsic.func_type(),
            (_, Some(signature)) => self.signature(signature)?,
            _ => return Err(Halt::Broken(format!("{node:?} is no function"))),
        };
        let (machine, node) = (self.clone(), node.clone());
        Ok(core.add_func(&ty, Arc::new(move |core, args| machine.run(core, &node, args))))
    }

    fn run(&self, core: &mut dyn Core, node: &Node<CellId>, args: &[Value]) -> Result<Vec<Value>, Halt> {
        match node {
            Node::Lower { import, side, .. } => self.call_host(core, *import, side, args),
            Node::Builtin(builtin) => self.builtin(core, builtin, args),
            Node::Support(intrinsic) => self.support(core, *intrinsic, args),
            Node::TrapStub { trap, caller, blocks, .. } => {
                self.check_may_leave(core, *caller)?;
                if *blocks {
                    self.check_may_block(*caller)?;
                }
                Err(match trap {
                    StubTrap::CannotEnter => TrapClass::CannotEnter.into(),
                    StubTrap::Unsupported => Halt::Nothing("component async".to_owned()),
                })
            }
            other => Err(Halt::Broken(format!("{other:?} is no function"))),
        }
    }

    fn resource(&self, builtin: &Builtin<CellId>) -> Result<ResourceId, Halt> {
        let none = || Halt::Broken("a built-in of no resource type".to_owned());
        match self.cell(builtin.resource.ok_or_else(none)?)? {
            Cell::Resource(resource) => Ok(resource),
            _ => Err(none()),
        }
    }

    fn builtin(&self, core: &mut dyn Core, builtin: &Builtin<CellId>, args: &[Value]) -> Result<Vec<Value>, Halt> {
        let component = builtin.opts.component;
        if builtin.row.asks_may_leave() {
            self.check_may_leave(core, component)?;
        }
        let (args, table) = (slots(args), component.index());
        let place = builtin.immediates[0] as usize;
        match builtin.row {
            Row::ResourceNew => {
                let resource = self.resource(builtin)?;
                Ok(vec![Value::I32(self.state().handles.lower_own(table, resource, word(&args, 0))?)])
            }
            Row::ResourceRep => {
                let resource = self.resource(builtin)?;
                Ok(vec![Value::I32(self.state().handles.rep(table, word(&args, 0), resource)?)])
            }
            Row::ResourceDrop => {
                let resource = self.resource(builtin)?;
                self.drop_handle(core, component, resource, word(&args, 0)).map(|()| Vec::new())
            }
            Row::TaskReturn => self.task_return(core, builtin, &args).map(|()| Vec::new()),
            Row::ContextGet => {
                let bits = self.context(component, |context| context.get(place).copied()).flatten().unwrap_or(0);
                Ok(values(&self.signature(builtin.signature)?.results, &[bits]))
            }
            Row::ContextSet => {
                let bits = args.first().copied().unwrap_or(0);
                self.context(component, |context| {
                    if let Some(place) = context.get_mut(place) {
                        *place = bits;
                    }
                });
                Ok(Vec::new())
            }
            row => Err(Halt::Nothing(format!("component async: {}", row.name()))),
        }
    }

    fn task_return(&self, core: &mut dyn Core, builtin: &Builtin<CellId>, args: &[u64]) -> Result<(), Halt> {
        let component = builtin.opts.component;
        let found = self.with_task(component, |task| (task.sink.clone(), task.lift.clone(), task.given.is_some()));
        let Some((sink, lift, false)) = found else { return Err(TrapClass::TaskReturn.into()) };
        if let Sink::Adapter { give, out, .. } = sink {
            let mut flat = args.to_vec();
            flat.push(out);
            let results = self.call_flat(core, give, &flat)?;
            self.with_task(component, |task| task.given = Some(Given::Core(results)));
            return Ok(());
        }
        let result: Vec<_> = builtin.ty.into_iter().collect();
        if let Some(lift) = lift {
            let encoded = |encoding: Encoding, memory: Option<_>| (encoding, memory);
            let same = encoded(lift.opts.encoding, lift.opts.memory.map(|memory| memory.memory))
                == encoded(builtin.opts.encoding, builtin.opts.memory.map(|memory| memory.memory));
            if !lift.opts.is_async || !same && lift.opts.memory.is_some() || self.func_type(lift.ty)?.1 != result {
                return Err(TrapClass::TaskReturn.into());
            }
        }
        let values = self.lift(core, self.place(&builtin.opts, Nans::Kept)?, FLAT_PARAMS_MAX, &result, args)?;
        self.give(core, component, sink, values)
    }

    /// What only emitted adapters import.
    fn support(&self, core: &mut dyn Core, intrinsic: Intrinsic<CellId>, args: &[Value]) -> Result<Vec<Value>, Halt> {
        let flat = slots(args);
        match intrinsic {
            Intrinsic::Trap => Err(match AdapterTrap::from_code(word(&flat, 0).cast_signed()) {
                Some(AdapterTrap::Fault(fault)) => fault.into(),
                Some(AdapterTrap::CannotLeave) => TrapClass::CannotLeave.into(),
                Some(AdapterTrap::UncaughtException) => TrapClass::UncaughtException.into(),
                None => Halt::Broken("an adapter traps with an unknown code".to_owned()),
            }),
            Intrinsic::Step { step, from, to } => {
                let answer = self.transcode(core, step, (from, to), &flat)?;
                Ok(vec![Value::I64(answer.cast_unsigned())])
            }
            Intrinsic::Transfer { kind, from, to } => {
                Ok(vec![Value::I32(self.transfer(kind, (from, to), word(&flat, 0))?)])
            }
            Intrinsic::MayBlock { from } => self.check_may_block(ComponentIndex(from.0)).map(|()| Vec::new()),
            Intrinsic::Enter { to, is_async, .. } => {
                self.enter(ComponentIndex(to.0), Sink::None, None, is_async)?;
                Ok(Vec::new())
            }
            Intrinsic::Returned => self.end_scope().map(|()| Vec::new()),
            Intrinsic::Exit => {
                self.leave();
                Ok(Vec::new())
            }
            Intrinsic::EnterAsync { to, .. } => {
                let func = |at: usize| match args.get(at) {
                    Some(Value::Ref(Ref::Func(func))) => Some(FuncId(*func)),
                    _ => None,
                };
                let give = func(0).ok_or_else(|| Halt::Broken("no function to return by".to_owned()))?;
                let out = flat.get(2).copied().unwrap_or(0);
                self.enter(
                    ComponentIndex(to.0),
                    Sink::Adapter { give, has_callback: func(1).is_some(), out },
                    None,
                    true,
                )?;
                Ok(Vec::new())
            }
            Intrinsic::ExitAsync => self.exit_async(u64::from(word(&flat, 0))),
        }
    }

    fn transcode(
        &self,
        core: &mut dyn Core,
        step: Step,
        (from, to): (CellId, CellId),
        flat: &[u64],
    ) -> Result<i64, Halt> {
        let [text_base, units, base, bytes] = *flat else {
            return Err(Halt::Broken("a transcoder of another type".to_owned()));
        };
        let (from, to) = (self.memory(from)?, self.memory(to)?);
        let source = core.memory(from).to_vec();
        let (text, room) = (Text { base: text_base, units }, Room { base, bytes });
        Ok(Step::answer(step.between(&source, text, core.memory_mut(to), room)))
    }

    fn transfer(&self, kind: HandleKind, (from, to): (InstanceId, InstanceId), index: u32) -> Result<u32, Halt> {
        let (from, to) = (from.0 as usize, to.0);
        let mut state = self.state();
        match kind {
            HandleKind::Own(resource) => {
                let rep = state.handles.lift_own(from, index, resource)?;
                state.handles.lower_own(to as usize, resource, rep)
            }
            HandleKind::Borrow(resource) => {
                let rep = state.handles.lift_borrow(from, index, resource)?;
                let owner = state.resources.get(resource.0 as usize).copied().flatten();
                if owner.is_some_and(|(owner, _)| owner == ComponentIndex(to)) {
                    return Ok(rep);
                }
                state.handles.lower_borrow(to as usize, resource, rep)
            }
            _ => Err(Halt::Nothing("component async: handles".to_owned())),
        }
    }

    fn exit_async(&self, status: u64) -> Result<Vec<Value>, Halt> {
        let sink = self.state().tasks.last().map(|task| task.sink.clone());
        if let Some(Sink::Adapter { has_callback: true, .. }) = sink {
            check_status(status)?;
        }
        self.end_scope()?;
        match self.leave().and_then(|task| task.given) {
            Some(Given::Core(results)) => {
                let bits = slots(&results).first().copied().unwrap_or(0);
                Ok(values(&[AbiType::Core(wattest_canon::CoreType::I64)], &[bits]))
            }
            _ => Err(TrapClass::NoResult.into()),
        }
    }
}
