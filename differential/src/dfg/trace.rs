//! What can be seen of a component, step by step, and where two runs differ.
//!
//! Events are the reference's. The specification leaves some of their order open: an adapter that copies piece by piece asks
//! for memory before it has looked at every value, and so may trap after more calls of an allocator, or in another of the
//! ways in which [values are refused](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading).
//!
//! Invariant: two traces of one component by correct engines do not differ.
//!
//! Does not know: which engine is right.

use super::core::Halt;
use crate::components::{ComponentEnding, ComponentRecord, compare_components, is_refusal, same_value};
use wattest_reference::TrapClass;
use wattest_reference::component::{Event, Val};

/// A run: instantiation, then the calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// How each step ended.
    pub record: ComponentRecord,
    /// What happened in each step.
    pub steps: Vec<Vec<Event>>,
    /// Digests of the exported memories of each core instance, in their order.
    pub memories: Vec<Vec<u64>>,
    /// Whether calls of allocators and post-return functions are not all among the events.
    pub hides_allocations: bool,
    /// What no correct graph or plan does.
    pub broken: Option<String>,
}

/// The ending of a step, or what is wrong with the component itself.
pub fn ended(result: Result<Option<Val>, Halt>) -> Result<ComponentEnding, String> {
    match result {
        Ok(value) => Ok(ComponentEnding::Value(value)),
        Err(Halt::Trap(class)) => Ok(ComponentEnding::Trap(class)),
        Err(Halt::Nothing(text)) => Ok(ComponentEnding::Nothing(text)),
        Err(Halt::Broken(text)) => Err(text),
    }
}

impl Trace {
    /// Whether the last step did not end in a value.
    pub fn ends_badly(&self) -> bool {
        !matches!(self.record.last(), Some(ComponentEnding::Value(_)))
    }

    /// Adds what happened in another instance.
    pub fn append(&mut self, later: Trace) {
        self.record.extend(later.record);
        self.steps.extend(later.steps);
        self.memories.extend(later.memories);
        self.hides_allocations |= later.hides_allocations;
        self.broken = self.broken.take().or(later.broken);
    }

    /// Adds a step.
    pub fn push(&mut self, events: Vec<Event>, ending: Result<ComponentEnding, String>) {
        self.steps.push(events);
        match ending {
            Ok(ending) => self.record.push(ending),
            Err(text) => {
                self.broken.get_or_insert(text);
            }
        }
    }
}

/// Traps that may come before or after calls of allocators: those of lifting and lowering.
fn is_of_the_abi(class: TrapClass) -> bool {
    use TrapClass as T;
    is_refusal(class) || matches!(class, T::UnknownHandle | T::HandleType | T::HandleLent | T::BorrowsRemain)
}

const fn allocates(event: &Event) -> bool {
    matches!(event, Event::Realloc { .. } | Event::PostReturn { .. })
}

/// The events of a step that every engine must show.
fn certain(events: &[Event], ending: &ComponentEnding, without_allocations: bool) -> Vec<Event> {
    let is_kept = |event: &&Event| {
        let is_ending = matches!(event, Event::Return(_) | Event::Trap(_));
        !(is_ending || without_allocations && allocates(event))
    };
    let mut events: Vec<Event> = events.iter().filter(is_kept).cloned().collect();
    if let ComponentEnding::Trap(class) = ending {
        while events.last().is_some_and(|event| {
            is_of_the_abi(*class) && allocates(event)
                // A start function that traps at once cannot be told from a segment that does not fit.
                || matches!(event, Event::Start { .. } | Event::PostReturn { .. })
        }) {
            events.pop();
        }
    }
    events
}

/// A value as the host has it: handles are their numbers.
fn numbered(val: &Val) -> Val {
    match val {
        Val::Own(handle) | Val::Borrow(handle) => Val::U32(handle.rep),
        Val::List(vals) => Val::List(vals.iter().map(numbered).collect()),
        Val::Record(vals) => Val::Record(vals.iter().map(numbered).collect()),
        Val::Variant(case, payload) => Val::Variant(*case, payload.as_ref().map(|val| Box::new(numbered(val)))),
        other => other.clone(),
    }
}

/// The last name of an import's path.
fn name_of(path: &str) -> &str {
    path.rsplit('#').next().unwrap_or(path)
}

fn same_event(left: &Event, right: &Event) -> bool {
    match (left, right) {
        (
            Event::HostCall { path: a, args: left, result: left_result },
            Event::HostCall { path: b, args: right, result: right_result },
        ) => {
            let same = |pair: (&Val, &Val)| same_value(&numbered(pair.0), &numbered(pair.1));
            name_of(a) == name_of(b)
                && left.len() == right.len()
                && left.iter().zip(right).all(same)
                && left_result.is_some() == right_result.is_some()
                && left_result.iter().zip(right_result).all(same)
        }
        (left, right) => left == right,
    }
}

/// Where two runs differ first, if they do.
pub fn compare_traces(left: &Trace, right: &Trace) -> Option<String> {
    if let Some(text) = right.broken.as_ref().or(left.broken.as_ref()) {
        return Some(text.clone());
    }
    let hidden = left.hides_allocations || right.hides_allocations;
    let mut is_certain = true;
    for (at, (a, b)) in left.record.iter().zip(&right.record).enumerate() {
        if matches!(a, ComponentEnding::Nothing(_)) || matches!(b, ComponentEnding::Nothing(_)) {
            return None;
        }
        let (Some(events), Some(others)) = (left.steps.get(at), right.steps.get(at)) else { break };
        let (events, others) = (certain(events, a, hidden), certain(others, b, hidden));
        let differs = events.iter().zip(&others).position(|(a, b)| !same_event(a, b));
        let differs = differs.or((events.len() != others.len()).then_some(events.len().min(others.len())));
        if let Some(first) = differs {
            return Some(format!("step {at}, event {first}: {:?} against {:?}", events.get(first), others.get(first)));
        }
        is_certain &= !matches!(a, ComponentEnding::Trap(class) if is_of_the_abi(*class));
    }
    if let Some(text) = compare_components(&left.record, &right.record) {
        return Some(text);
    }
    // Memories after a refusal hold whatever was written before it.
    let differs = left.memories.iter().zip(&right.memories).position(|(a, b)| a != b);
    differs.filter(|_| is_certain).map(|at| format!("memories of core instance {at} differ in the end"))
}
