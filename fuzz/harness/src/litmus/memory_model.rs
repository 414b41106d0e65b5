//! The memory model, by enumeration: which outcomes a litmus program may have.
//!
//! The axioms of the threads proposal's
//! [memory model](https://github.com/WebAssembly/threads/blob/main/proposals/threads/Overview.md), which are those of
//! [ECMAScript](https://tc39.es/ecma262/#sec-memory-model): an outcome is allowed when its reads can be matched with writes,
//! and its atomic accesses put in an order, such that
//!
//! - happens-before, made of program order and of atomic reads that read from atomic writes, has no cycle and is part of the
//!   order;
//! - *coherent reads*: no read happens before the write it reads from, nor is there a write to the location that happens
//!   after that one and before the read;
//! - *sequentially consistent atomics*: where a write happens before the read that reads from it, no atomic write is ordered
//!   between them that one of them could not have missed.
//!
//! A fence is an update of one location more, which all fences share: they are ordered among each other, and what is before
//! one happens before what is behind a later one, as the
//! [fences of higher languages](https://github.com/WebAssembly/threads/blob/main/proposals/threads/Overview.md#fence-operator)
//! have it that it stands for. A wait reads; who is woken when is left open.
//!
//! Invariant: the initial values are writes that happen before everything, the final values are reads that happen after
//! everything.
//!
//! Does not know: tearing; a program's accesses to a location are all of the same bytes.

use super::program::{Access, Program, Update};
use std::collections::BTreeSet;

/// Registers, then locations.
pub type Outcome = Vec<u64>;

/// A read, a write, or both at once.
#[derive(Clone, Copy, Debug)]
struct Event {
    location: usize,
    atomic: bool,
    /// Where its value goes, for a read.
    reads: Option<usize>,
    writes: Option<Written>,
    /// What a compare-and-exchange must have read: to succeed, or to fail.
    condition: Option<(u64, bool)>,
    /// Whether the register gets that it was another value, instead of the value: a wait.
    tells_difference: Option<u64>,
    thread: Option<usize>,
}

/// What is written.
#[derive(Clone, Copy, Debug)]
enum Written {
    Value(u64),
    /// What was read, updated.
    Updated(Update, u64),
}

/// A relation between events: bit `b` of row `a` says that `a` is related to `b`.
type Relation = Vec<u32>;

fn related(relation: &Relation, a: usize, b: usize) -> bool {
    relation[a] >> b & 1 != 0
}

fn close(relation: &mut Relation) {
    for middle in 0..relation.len() {
        for a in 0..relation.len() {
            if related(relation, a, middle) {
                relation[a] |= relation[middle];
            }
        }
    }
}

/// Every outcome that the model allows.
pub fn outcomes(program: &Program) -> BTreeSet<Outcome> {
    let mut allowed = BTreeSet::new();
    let exchanges = program.ops().filter(|(_, _, op)| matches!(op.access, Access::CompareExchange(..))).count();
    for succeeding in 0..1u32 << exchanges {
        let search = Search::new(program, succeeding);
        let mut before = search.order.clone();
        close(&mut before);
        search.readings(&mut Vec::new(), &before, &mut allowed);
    }
    allowed
}

/// The candidates in which certain compare-and-exchanges succeed.
struct Search {
    events: Vec<Event>,
    registers: usize,
    locations: usize,
    /// Bytes of each location, the one of fences last.
    widths: Vec<u32>,
    /// Program order, and what is initial or final.
    order: Relation,
}

impl Search {
    fn new(program: &Program, succeeding: u32) -> Search {
        let locations = program.widths.len();
        let registers = program.ops().count();
        let plain = |location: usize| Event {
            location,
            atomic: false,
            reads: None,
            writes: None,
            condition: None,
            tells_difference: None,
            thread: None,
        };
        // One more is that of the fences.
        let initial = |location| Event { writes: Some(Written::Value(0)), ..plain(location) };
        let mut events: Vec<Event> = (0..=locations).map(initial).collect();
        let first = events.len();
        let mut exchange = 0;
        for (register, thread, op) in program.ops() {
            let own = Event { atomic: op.atomic, thread: Some(thread), ..plain(op.location) };
            let reads = Event { reads: Some(register), ..own };
            events.push(match op.access {
                Access::Store(value) => Event { writes: Some(Written::Value(value)), ..own },
                Access::Load => reads,
                Access::Update(how, value) => Event { writes: Some(Written::Updated(how, value)), ..reads },
                Access::Exchange(value) => Event { writes: Some(Written::Value(value)), ..reads },
                Access::CompareExchange(expected, value) => {
                    let succeeds = succeeding >> exchange & 1 != 0;
                    exchange += 1;
                    let writes = succeeds.then_some(Written::Value(value));
                    Event { writes, condition: Some((expected, succeeds)), ..reads }
                }
                Access::Wait(expected) => Event { tells_difference: Some(expected), ..reads },
                Access::Notify => continue,
                Access::Fence => Event { location: locations, writes: Some(Written::Updated(Update::Add, 0)), ..reads },
            });
        }
        let first_final = events.len();
        events.extend((0..locations).map(|location| Event { reads: Some(registers + location), ..plain(location) }));
        let precedes = |a: usize, b: usize| {
            let same_thread = events[a].thread.is_some() && events[a].thread == events[b].thread;
            (a < first && b >= first) || (a < first_final && b >= first_final) || (a < b && same_thread)
        };
        let row = |a: usize| (0..events.len()).filter(|b| precedes(a, *b)).map(|b| 1 << b).sum();
        let order = (0..events.len()).map(row).collect();
        let widths = program.widths.iter().copied().chain([8]).collect();
        Search { events, registers, locations, widths, order }
    }

    fn writes_to(&self, location: usize) -> impl Iterator<Item = usize> {
        let writes = move |event: &usize| {
            let event = &self.events[*event];
            event.location == location && event.writes.is_some()
        };
        (0..self.events.len()).filter(writes)
    }

    /// Tries every way to match the reads that are left with writes; pairs are of a write and a read.
    fn readings(&self, pairs: &mut Vec<(usize, usize)>, before: &Relation, allowed: &mut BTreeSet<Outcome>) {
        let mut reads = (0..self.events.len()).filter(|event| self.events[*event].reads.is_some());
        let Some(read) = reads.nth(pairs.len()) else {
            let atomics: Vec<usize> = (0..self.events.len()).filter(|event| self.events[*event].atomic).collect();
            if let Some(outcome) = self.values(pairs)
                && self.ordered(pairs, before, &atomics, &mut Vec::new())
            {
                allowed.insert(outcome);
            }
            return;
        };
        for write in self.writes_to(self.events[read].location).filter(|write| *write != read) {
            let mut before = before.clone();
            if self.events[write].atomic && self.events[read].atomic {
                before[write] |= 1 << read;
                close(&mut before);
            }
            pairs.push((write, read));
            // What is wrong stays wrong: more pairs only add to what happens before.
            if self.is_coherent(pairs, &before) {
                self.readings(pairs, &before, allowed);
            }
            pairs.pop();
        }
    }

    /// Whether nothing happens before itself, and reads are coherent.
    fn is_coherent(&self, pairs: &[(usize, usize)], before: &Relation) -> bool {
        let is_ordered = (0..before.len()).all(|event| !related(before, event, event));
        is_ordered
            && pairs.iter().all(|(write, read)| {
                let mut between = self.writes_to(self.events[*read].location);
                !related(before, *read, *write)
                    && !between.any(|other| related(before, *write, other) && related(before, other, *read))
            })
    }

    /// Registers and final values, where conditions hold and values do not come out of nothing.
    fn values(&self, pairs: &[(usize, usize)]) -> Option<Outcome> {
        let mut outcome = vec![0; self.registers + self.locations];
        for (write, read) in pairs {
            let (mut at, mut updates) = (*write, Vec::new());
            // Updates lead from one to the next: never more of them than events.
            let first = (0..=self.events.len()).find_map(|_| match self.events[at].writes? {
                Written::Value(value) => Some(value),
                Written::Updated(how, value) => {
                    updates.push((how, value));
                    at = pairs.iter().find(|(_, other)| *other == at)?.0;
                    None
                }
            })?;
            let bytes = self.widths[self.events[*read].location];
            let updated = |old, (how, value): &(Update, u64)| how.apply(old, *value, bytes);
            let value = updates.iter().rev().fold(first, updated);
            let event = self.events[*read];
            if event.condition.is_some_and(|(expected, succeeds)| (value == expected) != succeeds) {
                return None;
            }
            outcome[event.reads?] = event.tells_difference.map_or(value, |expected| u64::from(value != expected));
        }
        Some(outcome)
    }

    /// Whether the atomic events can be put in an order, the first of which are `placed`.
    fn ordered(&self, pairs: &[(usize, usize)], before: &Relation, atomics: &[usize], placed: &mut Vec<usize>) -> bool {
        if placed.len() == atomics.len() {
            return self.is_consistent(pairs, before, placed);
        }
        for event in atomics {
            let is_free = !placed.contains(event)
                && atomics.iter().all(|other| placed.contains(other) || !related(before, *other, *event));
            if is_free {
                placed.push(*event);
                let found = self.ordered(pairs, before, atomics, placed);
                placed.pop();
                if found {
                    return true;
                }
            }
        }
        false
    }

    /// Sequentially consistent atomics, in the order `placed`.
    fn is_consistent(&self, pairs: &[(usize, usize)], before: &Relation, placed: &[usize]) -> bool {
        let place = |event: usize| placed.iter().position(|other| *other == event);
        let earlier = |a: usize, b: usize| match (place(a), place(b)) {
            (Some(a), Some(b)) => a < b,
            // Whatever else the order holds follows from what happens before.
            _ => related(before, a, b),
        };
        pairs.iter().filter(|(write, read)| related(before, *write, *read)).all(|(write, read)| {
            let (w, r) = (self.events[*write], self.events[*read]);
            placed.iter().all(|between| {
                let v = self.events[*between];
                let is_other_write =
                    v.writes.is_some() && v.location == r.location && between != write && between != read;
                let missed = [
                    w.atomic && r.atomic,
                    w.atomic && related(before, *between, *read),
                    r.atomic && related(before, *write, *between),
                ];
                !(is_other_write && earlier(*write, *between) && earlier(*between, *read) && missed.contains(&true))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::Op;
    use super::*;
    use crate::source::{Source, case_seed, expand};
    use Access::{CompareExchange, Exchange, Fence, Load, Notify, Store, Wait};

    /// Whether some outcome has these registers, `None` standing for any value.
    fn allows(threads: &[&[Op]], registers: &[Option<u64>]) -> bool {
        let program = Program { threads: threads.iter().map(|ops| ops.to_vec()).collect(), widths: vec![4; 3] };
        let fits =
            |outcome: &Outcome| registers.iter().zip(outcome).all(|(want, have)| want.is_none_or(|want| want == *have));
        outcomes(&program).iter().any(fits)
    }

    #[test]
    fn known_programs_have_their_known_outcomes() {
        let (a, p) = (Op::atomic, Op::plain);
        let add = |value| Access::Update(Update::Add, value);
        let (x, y) = (0, 1);
        let any = None;
        let seen = Some;
        let check = |name: &str, threads: &[&[Op]], registers: &[Option<u64>], expected: bool| {
            assert_eq!(allows(threads, registers), expected, "{name}");
        };
        // Store buffering.
        let buffering = |op: fn(usize, Access) -> Op| [[op(x, Store(1)), op(y, Load)], [op(y, Store(1)), op(x, Load)]];
        let both_miss = [any, seen(0), any, seen(0)];
        let [one, two] = buffering(a);
        check("store buffering", &[&one, &two], &both_miss, false);
        let [one, two] = buffering(p);
        check("store buffering, plain", &[&one, &two], &both_miss, true);
        check(
            "store buffering, half plain",
            &[&[a(x, Store(1)), a(y, Load)], &[p(y, Store(1)), a(x, Load)]],
            &both_miss,
            true,
        );
        // Message passing: the data need not be atomic, the flag does.
        let stale = [any, any, seen(1), seen(0)];
        check("messages", &[&[p(x, Store(1)), a(y, Store(1))], &[a(y, Load), p(x, Load)]], &stale, false);
        check("messages, plain flag", &[&[a(x, Store(1)), p(y, Store(1))], &[p(y, Load), a(x, Load)]], &stale, true);
        // Load buffering.
        let early = [seen(1), any, seen(1)];
        check("load buffering", &[&[a(x, Load), a(y, Store(1))], &[a(y, Load), a(x, Store(1))]], &early, false);
        check("load buffering, plain", &[&[p(x, Load), p(y, Store(1))], &[p(y, Load), p(x, Store(1))]], &early, true);
        // Two readers of two writers.
        let readers = |op: fn(usize, Access) -> Op| [[op(x, Load), op(y, Load)], [op(y, Load), op(x, Load)]];
        let disagree = [any, any, seen(1), seen(0), seen(1), seen(0)];
        let [one, two] = readers(a);
        check("independent reads", &[&[a(x, Store(1))], &[a(y, Store(1))], &one, &two], &disagree, false);
        let [one, two] = readers(p);
        check("independent reads, plain", &[&[a(x, Store(1))], &[a(y, Store(1))], &one, &two], &disagree, true);
        // Coherence is for atomic accesses.
        let back = [any, any, seen(2), seen(1)];
        check("coherence", &[&[a(x, Store(1)), a(x, Store(2))], &[a(x, Load), a(x, Load)]], &back, false);
        check("coherence, plain", &[&[p(x, Store(1)), p(x, Store(2))], &[p(x, Load), p(x, Load)]], &back, true);
        // A thread sees its own writes, atomic or not.
        check("own writes", &[&[p(x, Store(1)), p(x, Load)], &[]], &[any, seen(0)], false);
        // Updates are not lost, nor does one succeed twice.
        check("updates", &[&[a(x, add(1))], &[a(x, add(1))]], &[seen(0), seen(0)], false);
        check("exchange", &[&[a(x, Exchange(1))], &[a(x, Exchange(2))]], &[seen(2), seen(1)], false);
        // Fences order what is plain.
        let fenced = |x, y| [p(x, Store(1)), a(0, Fence), p(y, Load)];
        let missed = [any, any, seen(0), any, any, seen(0)];
        check("store buffering, fences", &[&fenced(x, y), &fenced(y, x)], &missed, false);
        check(
            "store buffering, one fence",
            &[&fenced(x, y), &[p(y, Store(1)), p(x, Load)]],
            &[any, any, seen(0), any, seen(0)],
            true,
        );
        check(
            "messages, fences",
            &[&[p(x, Store(1)), a(0, Fence), p(y, Store(1))], &[p(y, Load), a(0, Fence), p(x, Load)]],
            &[any, any, any, seen(1), any, seen(0)],
            false,
        );
        // Updates of every kind, one after the other.
        let update = |how, value| a(x, Access::Update(how, value));
        let ops = [update(Update::Sub, 1), update(Update::And, 0xf6), update(Update::Or, 8), update(Update::Xor, 0xff)];
        let old = [seen(0), seen(0xff), seen(0xf6), seen(0xfe)];
        let all = Program { threads: vec![ops.to_vec()], widths: vec![1] };
        let expected: Outcome = old.iter().flatten().copied().chain([1]).collect();
        assert_eq!(outcomes(&all), BTreeSet::from([expected]));
        // A wait tells whether the value was another one; that somebody is woken changes nothing.
        check("wait", &[&[a(x, Store(1)), a(x, Notify)], &[a(x, Wait(0))]], &[any, any, seen(1)], true);
        check("wait, before", &[&[a(x, Store(1)), a(x, Notify)], &[a(x, Wait(0))]], &[any, any, seen(0)], true);
        check("wait, own write", &[&[a(x, Store(1)), a(x, Wait(1))]], &[any, seen(1)], false);
        let lock = CompareExchange(0, 1);
        check("lock", &[&[a(x, lock)], &[a(x, lock)]], &[seen(0), seen(0)], false);
        check("lock, one", &[&[a(x, lock)], &[a(x, lock)]], &[seen(1), seen(0)], true);
    }

    /// Every interleaving of atomic accesses, executed.
    fn interleavings(program: &Program, next: &mut Vec<usize>, state: &mut Outcome, found: &mut BTreeSet<Outcome>) {
        let registers = program.ops().count();
        let mut first_register = 0;
        let mut is_over = true;
        for thread in 0..program.threads.len() {
            let ops = &program.threads[thread];
            if let Some(op) = ops.get(next[thread]) {
                is_over = false;
                let saved = state.clone();
                let at = registers + op.location;
                let old = state[at];
                let new = match op.access {
                    Store(value) | Exchange(value) => value,
                    Load | Wait(_) | Notify | Fence => old,
                    Access::Update(how, value) => how.apply(old, value, program.widths[op.location]),
                    CompareExchange(expected, value) => {
                        if old == expected {
                            value
                        } else {
                            old
                        }
                    }
                };
                let seen = match op.access {
                    Store(_) | Notify | Fence => None,
                    Wait(expected) => Some(u64::from(old != expected)),
                    _ => Some(old),
                };
                if let Some(seen) = seen {
                    state[first_register + next[thread]] = seen;
                }
                state[at] = new;
                next[thread] += 1;
                interleavings(program, next, state, found);
                next[thread] -= 1;
                *state = saved;
            }
            first_register += ops.len();
        }
        if is_over {
            found.insert(state.clone());
        }
    }

    #[test]
    fn atomics_alone_are_interleaved() {
        let mut compared = 0;
        for index in 0..60 {
            let program = Program::generate(&mut Source::new(&expand(case_seed(3, index))));
            if program.ops().any(|(_, _, op)| !op.atomic) {
                continue;
            }
            let (mut found, mut next) = (BTreeSet::new(), vec![0; program.threads.len()]);
            let mut state = vec![0; program.ops().count() + program.widths.len()];
            interleavings(&program, &mut next, &mut state, &mut found);
            assert_eq!(outcomes(&program), found, "case {index}: {program:?}");
            compared += 1;
        }
        assert!(compared > 10, "{compared} programs were atomic");
    }
}
