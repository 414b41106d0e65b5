//! The interpreter with the same allocator as the guests in wasmi.

use crate::world::{Event, HANDLE_STEP, Heap, LIFT, LOWER, PAGE, Policy};
use wattest_canon::{CoreSignature, Fault, HandleKind, Lower, Passing, Token, TypeId, Types, Width, reallocate};
use wattest_fuse::InstanceId;
use wattest_fuse::interp::{Ends, Place, transfer};
use wattest_fuse::plan::{Plans, Route};

/// A fault, or a guest's own trap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Fault(Fault),
    Guest,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

pub struct Pair<'a> {
    pub source: &'a [u8],
    pub target: Vec<u8>,
    pub heap: Heap,
    pub events: Vec<Event>,
    pub width: Width,
}

impl Lower for Pair<'_> {
    type Error = Stop;

    fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.target
    }

    fn realloc(&mut self, old: u64, old_bytes: u64, align: u32, bytes: u64) -> Result<u64, Stop> {
        let args = [old, old_bytes, u64::from(align), bytes];
        if self.heap.policy == Policy::Growing {
            self.target.resize(self.target.len() + PAGE as usize, 0);
        }
        self.events.push(Event::Realloc { end: LIFT, args, may_leave: [1, 0] });
        self.heap.realloc(&mut self.target, args).map(|address| self.width.address(address)).ok_or(Stop::Guest)
    }

    fn lower_handle(&mut self, _handle: HandleKind, _token: Token) -> Result<u32, Stop> {
        Err(Stop::Guest)
    }
}

impl Ends for Pair<'_> {
    fn source(&self) -> &[u8] {
        self.source
    }

    fn transfer(&mut self, kind: HandleKind, index: u32) -> Result<u32, Stop> {
        let (from, to) = (InstanceId(LOWER as u32), InstanceId(LIFT as u32));
        self.events.push(Event::Transfer { kind, from, to, index });
        Ok(index.wrapping_add(HANDLE_STEP as u32))
    }
}

/// Parameters on their way; gives the callee's core arguments.
pub fn params(
    pair: &mut Pair<'_>,
    types: &Types,
    (list, route): (&[TypeId], Route),
    (lower, lift): (&CoreSignature, &CoreSignature),
    args: &[u64],
) -> Result<Vec<u64>, Stop> {
    let mut plans = Plans::default();
    let plan = plans.list(types, list, route).unwrap();
    let what = plans.get(plan);
    let from = if lower.params_passing == Passing::Pointer {
        let address = route.from.width.address(args[0]);
        let layout = what.from.layout;
        if address % u64::from(layout.align) != 0 {
            return Err(Fault::Unaligned.into());
        }
        let end = address.checked_add(u64::from(layout.size));
        end.filter(|end| *end <= pair.source.len() as u64).ok_or(Fault::PointerOutOfBounds)?;
        Place::Memory(address)
    } else {
        Place::Slot(0)
    };
    if lift.params_passing == Passing::Pointer {
        let layout = what.to.layout;
        let address = reallocate(pair, route.to.width, (0, 0), layout.align, u64::from(layout.size))?;
        transfer(pair, &plans, (plan, route), (from, args), (Place::Memory(address), &mut []))?;
        return Ok(vec![address]);
    }
    let mut slots = vec![0; lift.params.len()];
    transfer(pair, &plans, (plan, route), (from, args), (Place::Slot(0), &mut slots))?;
    Ok(slots)
}
