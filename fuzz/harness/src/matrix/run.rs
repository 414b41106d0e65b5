//! Batches of the matrix on the runtime, call by call compared with what is expected.
//!
//! Invariant: the first difference is the one in the lowest unit, vector and cell.
//!
//! Does not know: what units compute.

use super::tree::{CELL_BYTES, mask};
use super::{AGAIN, Batch, Expected, ExpectedTrap, FILL, MEMORY_BYTES, Unit};
use crate::coverage;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wattest::{Engine, Error, Extern, Instance, Memory, Module, SharedMemory, Store, TrapCode, TypedFunc};
use wattest_differential::{CONFIGS, NanRule, WattestConfig};
use wattest_reference::TrapClass;

/// Engines by configuration, with canonical NaNs or without.
#[derive(Default)]
pub(crate) struct BatchEngines {
    made: BTreeMap<(usize, bool), Engine>,
}

/// What a batch showed.
#[derive(Default)]
pub(crate) struct Checked {
    /// Result cells and traps compared.
    pub checks: u64,
    /// Executions with boundary operands, by operation.
    pub executions: BTreeMap<String, u64>,
    /// Executions by operation and class of a value among its operands.
    pub value_classes: BTreeMap<String, u64>,
    /// The first difference.
    pub difference: Option<Difference>,
}

/// A difference.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The unit, or none where the module did not even run.
    pub place: Option<(usize, usize, usize)>,
    /// One line.
    pub what: String,
}

fn nowhere(what: String) -> Difference {
    Difference { place: None, what }
}

/// Fuel that no batch uses up.
const FUEL: u64 = 1 << 60;

/// How a unit is called, whatever its addresses' width.
enum Entry {
    Narrow(TypedFunc<(i32, i32, i32), ()>),
    Wide(TypedFunc<(i64, i64, i32), ()>),
}

impl BatchEngines {
    #[expect(clippy::map_entry, reason = "making an engine may fail, and an entry would hold the map meanwhile")]
    fn engine(&mut self, row: usize, nans: NanRule) -> Result<&Engine, String> {
        let key = (row, nans == NanRule::Exact);
        if !self.made.contains_key(&key) {
            let engine = wattest_differential::build(&CONFIGS[row], nans).map_err(|refusal| refusal.to_string())?;
            self.made.insert(key, engine);
        }
        Ok(&self.made[&key])
    }

    /// Runs a batch.
    pub fn check(&mut self, batch: &Batch) -> Checked {
        let mut checked = Checked::default();
        if let Err(difference) = self.run(batch, &mut checked) {
            checked.difference = Some(difference);
        }
        checked
    }

    fn run(&mut self, batch: &Batch, checked: &mut Checked) -> Result<(), Difference> {
        let row = batch.subject % CONFIGS.len();
        let engine = self.engine(row, batch.nans).map_err(nowhere)?;
        let mut module = Module::from_binary(engine, &batch.module()).map_err(|error| nowhere(error.to_string()))?;
        if CONFIGS[row].round_trip {
            module = module.reload().map_err(|error| nowhere(error.to_string()))?;
        }
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(1 << 40);
        if CONFIGS[row].counts_fuel() {
            store.set_fuel(FUEL).map_err(|error| nowhere(error.to_string()))?;
        }
        let instance = Instance::new(&mut store, &module, &[]).map_err(|error| nowhere(error.to_string()))?;
        let memory = match instance.get_export(&store, "m") {
            Some(Extern::Memory(memory)) => Cells::Own(memory),
            Some(Extern::SharedMemory(memory)) => Cells::Shared(memory),
            _ => return Err(nowhere("no memory".to_owned())),
        };
        if let Some(unit) = batch.units.first() {
            let entry = entry(&store, &instance, 0, batch.wide).map_err(|error| nowhere(error.to_string()))?;
            let again = again(&store, &instance, batch.wide).map_err(|error| nowhere(error.to_string()))?;
            let mut interrupts = Interrupts { store: &mut store, memory: &memory, unit, entry, again };
            checked.checks += interrupts.check(&CONFIGS[row], engine).map_err(nowhere)?;
        }
        for (index, unit) in batch.units.iter().enumerate() {
            let entry = entry(&store, &instance, index, batch.wide).map_err(|error| nowhere(error.to_string()))?;
            let expected = unit.expected();
            let at = |(vector, cell, what): (usize, usize, String)| Difference {
                place: Some((index, vector, cell)),
                what: format!("unit {index}, operands {:x?}: {what}", unit.vector(vector)),
            };
            checked.checks += compare_values(&mut store, &memory, &entry, unit, &expected, batch.nans).map_err(at)?;
            checked.checks += compare_traps(&mut store, &memory, &entry, unit, &expected, batch.nans).map_err(at)?;
            unit.executions(&expected, &mut |name, count| {
                *checked.executions.entry(name).or_default() += count;
            });
            unit.value_classes(&expected, &mut |name, count| {
                *checked.value_classes.entry(name).or_default() += count;
            });
            let mut count_kind = |is_kind: bool, name: &str| {
                if is_kind {
                    *checked.executions.entry(name.to_owned()).or_default() += unit.accesses();
                }
            };
            count_kind(batch.wide, coverage::MEMORY64);
            count_kind(batch.small_pages, coverage::CUSTOM_PAGES);
        }
        Ok(())
    }
}

fn entry(store: &Store<()>, instance: &Instance, unit: usize, wide: bool) -> Result<Entry, Error> {
    let name = unit.to_string();
    Ok(if wide {
        Entry::Wide(instance.get_typed_func(store, &name)?)
    } else {
        Entry::Narrow(instance.get_typed_func(store, &name)?)
    })
}

/// Calls the first unit several times.
enum Again {
    Narrow(TypedFunc<(i32, i32, i32, i32), ()>),
    Wide(TypedFunc<(i64, i64, i32, i32), ()>),
}

fn again(store: &Store<()>, instance: &Instance, wide: bool) -> Result<Again, Error> {
    Ok(if wide {
        Again::Wide(instance.get_typed_func(store, AGAIN)?)
    } else {
        Again::Narrow(instance.get_typed_func(store, AGAIN)?)
    })
}

impl Again {
    fn call(&self, store: &mut Store<()>, operands: u64, count: usize, times: u32) -> Result<(), Error> {
        match self {
            Again::Narrow(func) => func.call(store, (operands as i32, 0, count as i32, times as i32)),
            Again::Wide(func) => func.call(store, (operands as i64, 0, count as i32, times as i32)),
        }
    }
}

/// The first unit's loop, interrupted and paid for.
struct Interrupts<'a> {
    store: &'a mut Store<()>,
    memory: &'a Cells,
    unit: &'a Unit<'a>,
    entry: Entry,
    again: Again,
}

impl Interrupts<'_> {
    /// Where the configuration has epochs, a loop ends behind the deadline, and asks in every round; where it counts fuel, a
    /// loop costs what its rounds cost, calls included.
    fn check(&mut self, config: &WattestConfig, engine: &Engine) -> Result<u64, String> {
        let expected = self.unit.expected();
        let count = expected.vectors.len();
        if count == 0 {
            return Ok(0);
        }
        let operands = place(self.store, self.memory, self.unit, &expected.vectors);
        if config.options.contains(&("epoch", "true")) {
            self.store.set_epoch_deadline(1);
            engine.increment_epoch();
            match self.entry.call(self.store, operands, count) {
                Err(error) if error.trap().is_some_and(|trap| trap.code() == TrapCode::Interrupted) => {}
                Err(error) => return Err(format!("a loop behind the deadline: {error}")),
                Ok(()) => return Err("a loop behind the deadline is not interrupted".to_owned()),
            }
            let polls = self.polls(operands, count)?;
            self.store.set_epoch_deadline(1 << 40);
            // One poll may be that of the function's entry.
            if polls < count as u64 {
                return Err(format!("{polls} polls of the epoch in {count} rounds"));
            }
            return Ok(2);
        }
        if config.counts_fuel() {
            const TIMES: u32 = 3;
            let once = self.cost(|this| this.entry.call(this.store, operands, count))?;
            let more = self.cost(|this| this.again.call(this.store, operands, count, TIMES))?;
            if once < count as u64 || more < once * u64::from(TIMES) {
                return Err(format!("{once} units of fuel for {count} rounds, {more} for {TIMES} times as many"));
            }
            return Ok(2);
        }
        Ok(0)
    }

    /// How often a loop that is never granted time asks for it.
    fn polls(&mut self, operands: u64, count: usize) -> Result<u64, String> {
        let polls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&polls);
        self.store.epoch_deadline_callback(move |()| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(0)
        });
        self.entry.call(self.store, operands, count).map_err(|error| error.to_string())?;
        Ok(polls.load(Ordering::Relaxed))
    }

    fn cost(&mut self, call: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<u64, String> {
        self.store.set_fuel(FUEL).map_err(|error| error.to_string())?;
        call(self).map_err(|error| error.to_string())?;
        let left = self.store.fuel().map_err(|error| error.to_string())?;
        self.store.set_fuel(FUEL).map_err(|error| error.to_string())?;
        Ok(FUEL - left)
    }
}

impl Entry {
    fn call(&self, store: &mut Store<()>, operands: u64, count: usize) -> Result<(), Error> {
        match self {
            Entry::Narrow(func) => func.call(store, (operands as i32, 0, count as i32)),
            Entry::Wide(func) => func.call(store, (operands as i64, 0, count as i32)),
        }
    }
}

/// Writes the vectors up to the memory's end, and fills the result cells; gives the operands' address.
fn place(store: &mut Store<()>, memory: &Cells, unit: &Unit<'_>, vectors: &[usize]) -> u64 {
    let bytes = (vectors.len() * unit.types.len()) as u64 * CELL_BYTES;
    let start = MEMORY_BYTES - bytes;
    let mut operands = Vec::with_capacity(bytes as usize);
    let cells = vectors.iter().flat_map(|vector| unit.vector(*vector));
    cells.for_each(|cell| operands.extend_from_slice(&cell.to_le_bytes()));
    memory.write(store, start, &operands);
    memory.write(store, 0, &vec![FILL as u8; vectors.len() * unit.width() * CELL_BYTES as usize]);
    start
}

/// The memory of a batch.
enum Cells {
    Own(Memory),
    Shared(SharedMemory),
}

impl Cells {
    fn write(&self, store: &mut Store<()>, at: u64, bytes: &[u8]) {
        let range = at as usize..at as usize + bytes.len();
        match self {
            Cells::Own(memory) => memory.data_mut(store)[range].copy_from_slice(bytes),
            Cells::Shared(memory) => {
                let slots = memory.data()[range].iter().zip(bytes);
                slots.for_each(|(slot, byte)| slot.store(*byte, Ordering::Relaxed));
            }
        }
    }

    fn read<'s>(&self, store: &'s Store<()>) -> Cow<'s, [u8]> {
        match self {
            Cells::Own(memory) => Cow::Borrowed(memory.data(store)),
            Cells::Shared(memory) => memory.data().iter().map(|slot| slot.load(Ordering::Relaxed)).collect(),
        }
    }
}

type Wrong = (usize, usize, String);

/// The memory after a call.
struct Results<'a> {
    unit: &'a Unit<'a>,
    nans: NanRule,
    data: &'a [u8],
}

impl Results<'_> {
    /// Compares the result cells of these vectors, where it is known what they hold.
    fn check(&self, vectors: &[usize], wanted: impl Iterator<Item = Option<u128>>) -> Result<(), Wrong> {
        let Results { unit, nans, data } = *self;
        for (position, (seen, wanted)) in data.chunks_exact(CELL_BYTES as usize).zip(wanted).enumerate() {
            let Some(wanted) = wanted.filter(|wanted| *seen != wanted.to_le_bytes()) else { continue };
            let seen = seen.iter().rev().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
            let (vector, cell) = (vectors[position / unit.width()], position % unit.width());
            let (root, nan_bits) = unit.root_of(cell);
            if nans == NanRule::Arithmetic && nan_bits > 0 {
                let canonical = unit.makes_canonical_nans(root, vector);
                let rule = if canonical { OpenNans::Canonical } else { OpenNans::Arithmetic };
                if same_but_nans(nan_bits, wanted, seen, rule) {
                    continue;
                }
            }
            return Err((vector, cell, format!("result {root}: {wanted:#x} expected, {seen:#x} seen")));
        }
        Ok(())
    }

    /// Operands are only read.
    fn check_operands(&self, place: u64, vectors: &[usize]) -> Result<(), Wrong> {
        let left = &self.data[place as usize..];
        let cells = vectors.iter().flat_map(|vector| self.unit.vector(*vector));
        if left.chunks_exact(CELL_BYTES as usize).zip(cells).any(|(left, cell)| *left != cell.to_le_bytes()) {
            return Err((vectors[0], 0, "operands in memory were overwritten".to_owned()));
        }
        Ok(())
    }
}

fn compare_values(
    store: &mut Store<()>,
    memory: &Cells,
    entry: &Entry,
    unit: &Unit<'_>,
    expected: &Expected,
    nans: NanRule,
) -> Result<u64, Wrong> {
    let Some(first) = expected.vectors.first() else { return Ok(0) };
    let operands = place(store, memory, unit, &expected.vectors);
    let count = expected.vectors.len();
    entry.call(store, operands, count).map_err(|error| (*first, 0, format!("{count} vectors: {error}")))?;
    let data = memory.read(store);
    let results = Results { unit, nans, data: &data };
    results.check(&expected.vectors, expected.cells.iter().copied().map(Some))?;
    results.check_operands(operands, &expected.vectors)?;
    Ok(expected.cells.len() as u64)
}

/// Which NaNs may stand for one.
#[derive(Clone, Copy, Debug)]
enum OpenNans {
    /// Of either sign, with the highest bit of the fraction alone.
    Canonical,
    /// With the highest bit of the fraction.
    Arithmetic,
}

/// Whether lanes are equal, or are both NaNs, the second one that may stand for it.
fn same_but_nans(bits: u32, wanted: u128, seen: u128, rule: OpenNans) -> bool {
    let (exponent, quiet) = if bits == 32 { (0x7f80_0000u128, 1 << 22) } else { (0x7ff0_0000_0000_0000, 1 << 51) };
    let fraction = if bits == 32 { 0x007f_ffff } else { 0x000f_ffff_ffff_ffff };
    let is_nan = |lane: u128| lane & exponent == exponent && lane & fraction != 0;
    (0..128 / bits).all(|lane| {
        let lane_of = |vector: u128| vector >> (lane * bits) & mask(bits);
        let (wanted, seen) = (lane_of(wanted), lane_of(seen));
        let stands = match rule {
            OpenNans::Canonical => seen & fraction == quiet,
            OpenNans::Arithmetic => seen & quiet != 0,
        };
        wanted == seen || is_nan(wanted) && is_nan(seen) && stands
    })
}

fn compare_traps(
    store: &mut Store<()>,
    memory: &Cells,
    entry: &Entry,
    unit: &Unit<'_>,
    expected: &Expected,
    nans: NanRule,
) -> Result<u64, Wrong> {
    for ExpectedTrap { vector, class, left } in &expected.traps {
        let vectors = [*vector];
        let operands = place(store, memory, unit, &vectors);
        let ended = entry.call(store, operands, 1);
        let seen = match &ended {
            Ok(()) => "no trap".to_owned(),
            Err(error) if error.trap().is_some_and(|trap| same_trap(*class, trap.code())) => {
                let data = memory.read(store);
                let results = Results { unit, nans, data: &data };
                results.check(&vectors, left.iter().copied())?;
                results.check_operands(operands, &vectors)?;
                continue;
            }
            Err(error) => error.to_string(),
        };
        return Err((*vector, 0, format!("{class:?} expected, {seen}")));
    }
    Ok(expected.traps.len() as u64)
}

fn same_trap(class: TrapClass, code: TrapCode) -> bool {
    matches!(
        (class, code),
        (TrapClass::IntegerOverflow, TrapCode::IntegerOverflow)
            | (TrapClass::IntegerDivideByZero, TrapCode::IntegerDivideByZero)
            | (TrapClass::InvalidConversionToInteger, TrapCode::InvalidConversionToInteger)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_nans_have_two_rules() {
        let check = |bits, wanted, seen, canonical, arithmetic| {
            assert_eq!(same_but_nans(bits, wanted, seen, OpenNans::Canonical), canonical, "{wanted:x} {seen:x}");
            assert_eq!(same_but_nans(bits, wanted, seen, OpenNans::Arithmetic), arithmetic, "{wanted:x} {seen:x}");
        };
        check(32, 0x7fc0_0000, 0xffc0_0000, true, true);
        check(32, 0x7fc0_0000, 0x7fc0_0001, false, true);
        check(32, 0x7fc0_0000, 0x7fa0_0000, false, false);
        check(32, 0x3f80_0000, 0x7fc0_0000, false, false);
        check(64, 0x7ff8_0000_0000_0000, 0xfff8_0000_0000_0000, true, true);
        check(64, 0x7ff8_0000_0000_0000, 0x7ff8_0000_0000_0100, false, true);
    }
}
