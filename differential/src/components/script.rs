//! A host that every engine can play: functions and resources of which a script says what they do.
//!
//! What a component [imports](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#import-and-export-definitions)
//! from an instance of the host. Resources are numbers; a handle goes into the log as its number.
//!
//! Invariant: what the host does and what it logs is a function of the script and of the calls it is given.
//!
//! Does not know: engines, handles.

use super::ComponentEnding;
use std::sync::{Arc, Mutex, PoisonError};
use wattest_reference::component::Val;

/// What a function of the host does.
#[derive(Clone, Debug, PartialEq)]
pub enum HostAction {
    /// Returns its first argument.
    Echo,
    /// Returns this, or nothing.
    Answer(Option<Val>),
    /// Fails.
    Fail,
    /// Returns a new resource of type 0 or 1 with its first argument for a number.
    Make(usize),
    /// Returns the sum of the numbers in its first argument.
    Sum,
    /// Returns a new resource of type 0 or 1: its second argument's number and one.
    Next(usize),
}

/// The host's side of a component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostScript {
    /// The name of the instance that is imported; of none when there are no functions.
    pub instance: String,
    /// Resource types by name: at most two, which are counted from 0.
    pub resources: Vec<String>,
    /// Functions by name.
    pub funcs: Vec<(String, HostAction)>,
}

/// What a function of the host answers.
#[derive(Clone, Debug, PartialEq)]
pub enum HostAnswer {
    /// A value, or none.
    Value(Option<Val>),
    /// A new resource of a type with a number.
    Own(usize, u32),
    /// It fails.
    Failed,
}

/// What the host saw, while a component runs. Copies are the same log.
#[derive(Clone, Debug, Default)]
pub(crate) struct HostLog(Arc<Mutex<Vec<ComponentEnding>>>);

impl HostLog {
    fn push(&self, event: ComponentEnding) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// What was seen since this was asked last.
    pub(crate) fn take(&self) -> Vec<ComponentEnding> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A resource is gone.
    pub(crate) fn dropped(&self, name: &str, rep: u32) {
        self.push(ComponentEnding::HostDrop(name.to_owned(), rep));
    }

    /// A function is called: handles among the arguments are their numbers.
    pub(crate) fn called(&self, name: &str, action: &HostAction, args: Vec<Val>) -> HostAnswer {
        let number = |at: usize| args.get(at).map_or(0, numbers);
        let answer = match action {
            HostAction::Echo => HostAnswer::Value(args.first().cloned()),
            HostAction::Answer(value) => HostAnswer::Value(value.clone()),
            HostAction::Fail => HostAnswer::Failed,
            HostAction::Make(resource) => HostAnswer::Own(*resource, number(0)),
            HostAction::Sum => HostAnswer::Value(Some(Val::U32(number(0)))),
            HostAction::Next(resource) => HostAnswer::Own(*resource, number(1).wrapping_add(1)),
        };
        self.push(ComponentEnding::HostCall(name.to_owned(), args));
        answer
    }
}

/// The sum of the numbers in an argument: one, or a list of them.
fn numbers(val: &Val) -> u32 {
    match val {
        Val::U32(number) => *number,
        Val::List(vals) => vals.iter().map(numbers).fold(0, u32::wrapping_add),
        _ => 0,
    }
}
