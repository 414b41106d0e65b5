//! Plans carried out without wasm: between two byte arrays.
//!
//! The same plans that the emitter turns into code, for tests and for whoever has memories at hand. Checks come in the
//! emitter's order, so a bad value ends in the same [`Fault`], after the same calls of `realloc`; only what `realloc` gives
//! wrongly has the host's name here, and that of a bad address there, as the suite of the specification has it.
//!
//! Invariant: nothing recurses; memory is reached only through checked ranges.
//!
//! Does not know: `may_leave`, tasks, calls; those are an adapter's, not a plan's.

use crate::plan::{Cases, Op, PlanId, Plans, Route};
use wattest_canon::{
    Fault, HandleKind, LIST_BYTES_MAX, Layout, Lower, Options, StringSource, Width, char_from_bits, checked_range,
    locate_list, locate_string, lower_string, reallocate,
};

/// Both ends of a transfer: what [`Lower`] has is the end that values enter.
pub trait Ends: Lower {
    /// The memory that values leave; empty when there is none.
    fn source(&self) -> &[u8];

    /// Moves or lends a handle.
    ///
    /// # Errors
    /// When there is no such handle, or no room for it.
    fn transfer(&mut self, handle: HandleKind, index: u32) -> Result<u32, Self::Error>;
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At an address that was checked for size and alignment.
    Memory(u64),
    /// In core values from this one on: 64-bit slots, with `i32` and `f32` in the low half.
    Slot(usize),
}

impl Place {
    fn part(self, bytes: u32, slots: usize) -> Place {
        match self {
            Place::Memory(address) => Place::Memory(address.saturating_add(u64::from(bytes))),
            Place::Slot(slot) => Place::Slot(slot + slots),
        }
    }
}

/// Work that is left.
#[derive(Clone, Copy)]
enum Task {
    Value { plan: PlanId, from: Place, to: Place },
    Elements { plan: PlanId, from: Place, to: Place, left: u64 },
}

/// A transfer under way.
struct Transfer<'t, C> {
    cx: &'t mut C,
    plans: &'t Plans,
    route: Route,
    from_slots: &'t [u64],
    to_slots: &'t mut [u64],
    tasks: Vec<Task>,
}

/// Transfers a value. Slots of the target are 0 where nothing is put.
///
/// # Errors
/// A [`Fault`], or what the ends fail with.
pub fn transfer<C: Ends>(
    cx: &mut C,
    plans: &Plans,
    (plan, route): (PlanId, Route),
    (from, from_slots): (Place, &[u64]),
    (to, to_slots): (Place, &mut [u64]),
) -> Result<(), C::Error> {
    let tasks = vec![Task::Value { plan, from, to }];
    let mut transfer = Transfer { cx, plans, route, from_slots, to_slots, tasks };
    while let Some(task) = transfer.tasks.pop() {
        match task {
            Task::Value { plan, from, to } => transfer.value(plan, from, to)?,
            Task::Elements { left: 0, .. } => {}
            Task::Elements { plan, from, to, left } => {
                let part = plans.get(plan);
                let next_from = from.part(part.from.layout.size, part.from.slots());
                let next_to = to.part(part.to.layout.size, part.to.slots());
                transfer.tasks.push(Task::Elements { plan, from: next_from, to: next_to, left: left - 1 });
                transfer.tasks.push(Task::Value { plan, from, to });
            }
        }
    }
    Ok(())
}

impl<C: Ends> Transfer<'_, C> {
    fn value(&mut self, plan: PlanId, from: Place, to: Place) -> Result<(), C::Error> {
        let plan = self.plans.get(plan);
        let bytes = plan.from.layout.size;
        let bits = match &plan.op {
            Op::Int { bytes, signed } => extend(self.read(from, *bytes)?, *bytes, *signed),
            Op::Bool => u64::from(low_half(self.read(from, 1)?) != 0),
            Op::Char => u64::from(u32::from(char_from_bits(low_half(self.read(from, 4)?))?)),
            Op::Float { bytes } => extend(self.read(from, *bytes)?, *bytes, false),
            Op::Flags { bytes, count } => self.read(from, *bytes)? & u64::from(u32::MAX >> (32 - count)),
            Op::Enum { bytes, count } => u64::from(self.case(from, *bytes, *count)?),
            Op::Handle(kind) => {
                let index = low_half(self.read(from, 4)?);
                u64::from(self.cx.transfer(*kind, index)?)
            }
            Op::Str(_) => return self.string(from, to),
            Op::Seq { element, .. } => return self.list(*element, from, to),
            Op::Rep { element, count } => {
                self.tasks.push(Task::Elements { plan: *element, from, to, left: u64::from(*count) });
                return Ok(());
            }
            Op::Fields(members) => {
                let (mut from_slot, mut to_slot) = (0, 0);
                let first = self.tasks.len();
                for member in members {
                    let part = self.plans.get(member.plan);
                    let (from, to) = (from.part(member.from, from_slot), to.part(member.to, to_slot));
                    self.tasks.push(Task::Value { plan: member.plan, from, to });
                    (from_slot, to_slot) = (from_slot + part.from.slots(), to_slot + part.to.slots());
                }
                self.tasks[first..].reverse();
                return Ok(());
            }
            Op::Cases(cases) => return self.cases(cases, from, to),
        };
        self.write(to, bytes, bits)?;
        Ok(())
    }

    fn case(&self, from: Place, bytes: u32, count: u32) -> Result<u32, Fault> {
        let case = low_half(self.read(from, bytes)?);
        if case < count { Ok(case) } else { Err(Fault::Discriminant) }
    }

    fn cases(&mut self, cases: &Cases, from: Place, to: Place) -> Result<(), C::Error> {
        let count = u32::try_from(cases.arm_of.len()).unwrap_or(u32::MAX);
        let case = self.case(from, cases.bytes, count)?;
        self.write(to, cases.bytes, u64::from(case))?;
        if let Some(plan) = cases.arms[cases.arm_of[case as usize] as usize] {
            self.tasks.push(Task::Value { plan, from: from.part(cases.from, 1), to: to.part(cases.to, 1) });
        }
        Ok(())
    }

    fn string(&mut self, from: Place, to: Place) -> Result<(), C::Error> {
        let (address, length) = self.read_slice(from)?;
        let abi = self.route.from;
        let (form, range) = locate_string(self.cx.source().len(), abi.encoding, abi.width, address, length)?;
        let bytes = self.cx.source()[range].to_vec();
        let options = Options::new(self.route.to.encoding, self.route.to.width);
        let (address, length) = lower_string(self.cx, &options, StringSource { form, bytes: &bytes })?;
        self.write_slice(to, address, length)?;
        Ok(())
    }

    fn list(&mut self, element: PlanId, from: Place, to: Place) -> Result<(), C::Error> {
        let part = self.plans.get(element);
        let (address, count) = self.read_slice(from)?;
        locate_list(self.cx.source().len(), part.from.layout, address, count)?;
        let Layout { size, align } = part.to.layout;
        let bytes = count.checked_mul(u64::from(size)).filter(|bytes| *bytes <= 2 * LIST_BYTES_MAX);
        let bytes = bytes.ok_or(Fault::ListTooLong)?;
        let target = reallocate(self.cx, self.route.to.width, (0, 0), align, bytes)?;
        self.write_slice(to, target, count)?;
        let (from, to) = (Place::Memory(address), Place::Memory(target));
        self.tasks.push(Task::Elements { plan: element, from, to, left: count });
        Ok(())
    }

    fn read_slice(&self, from: Place) -> Result<(u64, u64), Fault> {
        let width: Width = self.route.from.width;
        let bytes = width.pointer_bytes();
        let address = self.read(from, bytes)?;
        let length = self.read(from.part(bytes, 1), bytes)?;
        Ok((width.address(address), width.address(length)))
    }

    fn write_slice(&mut self, to: Place, address: u64, length: u64) -> Result<(), Fault> {
        let bytes = self.route.to.width.pointer_bytes();
        self.write(to, bytes, address)?;
        self.write(to.part(bytes, 1), bytes, length)
    }

    fn read(&self, from: Place, bytes: u32) -> Result<u64, Fault> {
        match from {
            Place::Slot(slot) => self.from_slots.get(slot).copied().ok_or(Fault::SlotsMissing),
            Place::Memory(address) => {
                let memory = self.cx.source();
                let range = checked_range(memory.len(), address, u64::from(bytes)).ok_or(Fault::PointerOutOfBounds)?;
                Ok(memory[range].iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
            }
        }
    }

    fn write(&mut self, to: Place, bytes: u32, bits: u64) -> Result<(), Fault> {
        match to {
            Place::Slot(slot) => *self.to_slots.get_mut(slot).ok_or(Fault::SlotsMissing)? = bits,
            Place::Memory(address) => {
                let memory = self.cx.memory_mut();
                let range = checked_range(memory.len(), address, u64::from(bytes)).ok_or(Fault::PointerOutOfBounds)?;
                memory[range].copy_from_slice(&bits.to_le_bytes()[..bytes as usize]);
            }
        }
        Ok(())
    }
}

/// The low bytes, extended to 32 or 64 bits as a core value of that size holds them.
fn extend(bits: u64, bytes: u32, signed: bool) -> u64 {
    let unused = 64 - 8 * bytes.clamp(1, 8);
    let low = bits << unused >> unused;
    match (bytes, signed) {
        (8, _) | (_, false) => low,
        _ => u64::from(low_half((low << unused).cast_signed().wrapping_shr(unused).cast_unsigned())),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an i32 is the low half of its slot")]
const fn low_half(bits: u64) -> u32 {
    bits as u32
}
