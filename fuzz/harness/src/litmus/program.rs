//! Litmus programs: accesses by thread, how they are generated, and their text as a module.
//!
//! Invariant: a location is only accessed in its own width, whole; so accesses either are to the same bytes or do not
//! overlap, as the [memory model](super::memory_model) here presumes.
//!
//! Does not know: which outcomes are allowed.

use crate::source::Source;
use std::fmt::Write;

/// Rounds of a run: each has locations and registers of its own.
pub const ROUNDS: u32 = 256;
/// Rounds between two meetings of all threads.
const ROUNDS_PER_MEETING: u32 = 16;
/// Bytes of a round: four locations, each in a cache line of its own, then registers.
pub const ROUND_BYTES: u32 = 512;
/// Where a round's registers start: eight bytes each.
pub const REGISTERS: u32 = 256;
/// Bytes from one location to the next.
pub const LOCATION_BYTES: u32 = 64;
/// Most accesses: what is allowed of more takes long to enumerate.
pub const OPS_MAX: usize = 6;
/// Where threads count themselves in, beyond all rounds.
const MEETING: u32 = ROUNDS * ROUND_BYTES;
/// 64 KiB pages of the memory.
pub const PAGES: u32 = (MEETING + 64).div_ceil(65_536);

/// What an access does. Values are not 0, and so small that all of them together fit a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Stores a value.
    Store(u64),
    /// Loads into the access's register.
    Load,
    /// Updates with a value; the register gets what was there.
    Update(Update, u64),
    /// Stores a value; the register gets what was there.
    Exchange(u64),
    /// Stores the second value where the first one is; the register gets what was there.
    CompareExchange(u64, u64),
    /// Waits, for a moment, as long as the value is there; the register gets whether it was not. Locations of four or eight
    /// bytes.
    Wait(u64),
    /// Wakes whoever waits.
    Notify,
    /// Orders what is before it and what is behind it, wherever that is.
    Fence,
}

/// What an update makes of what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// The sum.
    Add,
    /// The difference.
    Sub,
    /// The bits of both.
    And,
    /// The bits of either.
    Or,
    /// The bits of one of them.
    Xor,
}

impl Update {
    /// Every update with its name.
    const ALL: [(Update, &str); 5] =
        [(Update::Add, "add"), (Update::Sub, "sub"), (Update::And, "and"), (Update::Or, "or"), (Update::Xor, "xor")];

    /// What is there afterwards, in a location of so many bytes.
    pub fn apply(self, old: u64, value: u64, bytes: u32) -> u64 {
        let new = match self {
            Update::Add => old.wrapping_add(value),
            Update::Sub => old.wrapping_sub(value),
            Update::And => old & value,
            Update::Or => old | value,
            Update::Xor => old ^ value,
        };
        new & (u64::MAX >> (64 - 8 * bytes))
    }
}

/// Nanoseconds of a wait: long enough to be woken now and then.
const WAIT_NS: u32 = 3000;

/// An access of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// Which location.
    pub location: usize,
    /// Whether it is atomic; loads and stores need not be.
    pub atomic: bool,
    /// What it does.
    pub access: Access,
}

impl Op {
    /// An atomic access.
    pub fn atomic(location: usize, access: Access) -> Op {
        Op { location, atomic: true, access }
    }

    /// An access that is not atomic.
    pub fn plain(location: usize, access: Access) -> Op {
        Op { location, atomic: false, access }
    }
}

/// A program. Its registers are its accesses, numbered thread by thread; those of stores stay 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What each thread does, in order.
    pub threads: Vec<Vec<Op>>,
    /// Of each location, its bytes: 1, 2, 4 or 8. A plain access of eight bytes may tear, so such locations are atomic.
    pub widths: Vec<u32>,
}

impl Program {
    /// A program of two to four threads with at most [`OPS_MAX`] accesses.
    pub fn generate(source: &mut Source<'_>) -> Program {
        let locations = source.between(1, 3);
        let widths: Vec<u32> = (0..locations).map(|_| source.pick(&[4, 4, 1, 2, 8])).collect();
        let count = source.between(2, 4);
        let total = source.between(count.max(3), OPS_MAX);
        // All atomic, or a third plain.
        let plain = if source.percent(50) { 35 } else { 0 };
        let mut value = 0;
        let mut threads = vec![Vec::new(); count];
        for number in 0..total {
            // None has nothing to do.
            let thread = if number < count { number } else { source.below(count) };
            threads[thread].push(op(source, &widths, plain, &mut value));
        }
        Program { threads, widths }
    }

    /// Every access with its register and its thread.
    pub fn ops(&self) -> impl Iterator<Item = (usize, usize, Op)> {
        let flat = self.threads.iter().enumerate().flat_map(|(thread, ops)| ops.iter().map(move |op| (thread, *op)));
        flat.enumerate().map(|(register, (thread, op))| (register, thread, op))
    }

    /// A module with one function per thread, `t0` and so on, which runs all rounds over the memory that it imports.
    pub fn text(&self) -> String {
        let mut text = format!("(module (import \"\" \"m\" (memory {PAGES} {PAGES} shared))\n");
        for number in 0..self.threads.len() {
            let _ = write!(
                text,
                "(func (export \"t{number}\") (local $base i32) (local $wanted i32) (local $seen i32)
                (loop $rounds
                    (if (i32.eqz (i32.rem_u (local.get $base) (i32.const {meeting_bytes}))) (then
                        (local.set $wanted (i32.add (local.get $wanted) (i32.const {count})))
                        (drop (i32.atomic.rmw.add (i32.const {MEETING}) (i32.const 1)))
                        (drop (memory.atomic.notify (i32.const {MEETING}) (i32.const -1)))
                        (block $met (loop $meet
                            (local.set $seen (i32.atomic.load (i32.const {MEETING})))
                            (br_if $met (i32.ge_u (local.get $seen) (local.get $wanted)))
                            (drop (memory.atomic.wait32 (i32.const {MEETING}) (local.get $seen) (i64.const -1)))
                            (br $meet)))))\n",
                meeting_bytes = ROUNDS_PER_MEETING * ROUND_BYTES,
                count = self.threads.len(),
            );
            for (register, _, op) in self.ops().filter(|(_, thread, _)| *thread == number) {
                let _ = writeln!(text, "{}", self.line(register, op));
            }
            let _ = write!(
                text,
                "(local.set $base (i32.add (local.get $base) (i32.const {ROUND_BYTES})))
                (br_if $rounds (i32.lt_u (local.get $base) (i32.const {MEETING})))))\n"
            );
        }
        text.push(')');
        text
    }

    fn line(&self, register: usize, op: Op) -> String {
        let width = self.widths[op.location];
        let ty = if width == 8 { "i64" } else { "i32" };
        let bits = match width {
            4 | 8 => String::new(),
            narrow => (narrow * 8).to_string(),
        };
        let at = format!("offset={} (local.get $base)", op.location as u32 * LOCATION_BYTES);
        let atomic = if op.atomic { ".atomic" } else { "" };
        let unsigned = if bits.is_empty() { "" } else { "_u" };
        let address = format!("(i32.add (local.get $base) (i32.const {}))", op.location as u32 * LOCATION_BYTES);
        let update = |name: &str, values: String| format!("({ty}.atomic.rmw{bits}.{name}{unsigned} {at} {values})");
        let constant = |value: u64| format!("({ty}.const {value})");
        let value = match op.access {
            Access::Store(value) => return format!("({ty}{atomic}.store{bits} {at} {})", constant(value)),
            Access::Load => format!("({ty}{atomic}.load{bits}{unsigned} {at})"),
            Access::Update(how, value) => update(Update::ALL[how as usize].1, constant(value)),
            Access::Fence => return "(atomic.fence)".to_owned(),
            Access::Notify => return format!("(drop (memory.atomic.notify {address} (i32.const -1)))"),
            Access::Wait(expected) => {
                let expected = constant(expected);
                let wait = format!("memory.atomic.wait{} {address} {expected} (i64.const {WAIT_NS})", width * 8);
                let differs = format!("(i64.extend_i32_u (i32.eq ({wait}) (i32.const 1)))");
                return register_line(register, &differs);
            }
            Access::Exchange(value) => update("xchg", constant(value)),
            Access::CompareExchange(expected, value) => {
                update("cmpxchg", format!("{} {}", constant(expected), constant(value)))
            }
        };
        let wide = if width == 8 { value } else { format!("(i64.extend_i32_u {value})") };
        register_line(register, &wide)
    }
}

fn register_line(register: usize, value: &str) -> String {
    format!("(i64.store offset={} (local.get $base) {value})", REGISTERS + register as u32 * 8)
}

fn op(source: &mut Source<'_>, widths: &[u32], plain: u32, value: &mut u64) -> Op {
    let location = source.below(widths.len());
    let mut fresh = || {
        *value += 1;
        *value
    };
    let width = widths[location];
    let access = match source.below(20) {
        0..=6 => Access::Load,
        7..=10 => Access::Store(fresh()),
        11..=13 => Access::Update(Update::ALL[source.below(5)].0, fresh()),
        14 => Access::Exchange(fresh()),
        15 | 16 => {
            let expected = fresh() - 1;
            Access::CompareExchange(expected, expected + 1)
        }
        17 => Access::Fence,
        18 if width >= 4 => Access::Wait(source.below(2) as u64 * *value),
        _ if width >= 4 => Access::Notify,
        _ => Access::Load,
    };
    let may_be_plain = matches!(access, Access::Load | Access::Store(_)) && widths[location] < 8;
    Op { location, atomic: !(may_be_plain && source.percent(plain)), access }
}
