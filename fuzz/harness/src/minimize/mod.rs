//! Minimization of a failing case: as little of it as still fails in the same way.
//!
//! [`minimize`] first looks for a case that a script can say (`lanes.rs`), where the fault was found by another way to look
//! at it. Then, in turn, until nothing helps: calls are dropped, settings take their defaults, components lose fields
//! (`text.rs`), modules lose imports, items (`cut.rs`) and operations, whose place is taken by constants that the reference observed (`tree.rs`, `observe.rs`), and
//! arguments become simple. The failure's signature ([`crate::targets::Outcome::signature`]) must stay. Whoever asks decides
//! whether a candidate runs in this process or, since it may end it, in another.
//!
//! Invariant: the result has the signature of the start, or of the first lane that fails; every module in it is valid if it
//! was.
//!
//! Does not know: engines, processes.

mod cut;
mod guest;
mod inline;
mod labels;
mod lanes;
mod nested;
mod observe;
mod scattered;
#[cfg(feature = "wattest")]
mod script;
mod text;
mod tree;

pub(crate) use observe::Sections;

use crate::envelope::{Argument, Envelope};
use crate::mutate::is_valid;
use crate::pieces::{Pieces, join, parameter_counts, split};
use crate::targets;
use cut::SPACES;
#[cfg(feature = "wattest")]
pub use script::{Accepts, minimize_script, operations_of_script};
use tree::{Observed, Trees};
use wasm_encoder::{Encode, Instruction};
use wattest_differential::{FuncIdentity, Value};

/// Says how a case fails, if it does.
pub type Judge<'a> = dyn FnMut(&Envelope) -> Option<String> + 'a;

/// Says when there is no time left.
pub type Late<'a> = dyn Fn() -> bool + 'a;

/// The smaller case, what there was time for.
pub fn minimize(case: &Envelope, late: &Late<'_>, judge: &mut Judge<'_>) -> Envelope {
    let Some((best, signature)) = start(case, judge) else { return case.clone() };
    let mut work = Minimization { best, signature, judge, late };
    loop {
        let size = work.size();
        work.drop_calls();
        work.default_settings();
        work.drop_modules();
        work.drop_fields();
        for place in work.places() {
            work.drop_imports(place);
            work.drop_items(place);
            work.drop_operations(place, OPERATIONS_TOGETHER);
            work.drop_trees(place);
            work.drop_items(place);
            work.drop_operations(place, 1);
            work.inline(place);
            work.drop_scattered(place);
        }
        work.simplify_arguments();
        work.drop_unused();
        if work.size() >= size || work.is_late() {
            return work.best;
        }
    }
}

/// Ranges of operations that are dropped before anybody looks at what they are.
const OPERATIONS_TOGETHER: usize = 12;

/// The case to begin with, and how it fails: the first lane that the runtime fails in, else the case itself.
fn start(case: &Envelope, judge: &mut Judge<'_>) -> Option<(Envelope, String)> {
    let own = judge(case)?;
    // Without a host first: what is seen only in calls of the host is seen in globals there.
    let lanes = lanes::lanes(case).into_iter().flat_map(|lane| [without_host(&lane), Some(lane)]).flatten();
    let mut failing = lanes.filter_map(|lane| judge(&lane).map(|signature| (lane, signature)));
    // Another engine's refusal is not what was found.
    let found = failing.find(|(_, signature)| is_about_the_runtime(signature) || !is_about_the_runtime(&own));
    Some(found.unwrap_or_else(|| (case.clone(), own)))
}

/// A case of one module, its imports defined.
fn without_host(lane: &Envelope) -> Option<Envelope> {
    let is_core = lane.modules.len() == 1 && !nested::is_component(lane.bytes(0));
    let by_index = is_core && lane.calls.iter().all(|call| call.func.parse::<u32>().is_ok());
    let wasm = by_index.then(|| observe::without_imports(lane)).flatten().filter(|wasm| is_valid(wasm))?;
    let mut defined = lane.clone();
    defined.modules[0].bytes = wasm;
    Some(defined)
}

fn is_about_the_runtime(signature: &str) -> bool {
    signature.starts_with("wattest") || signature.starts_with("process")
}

/// A core module of a case.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The module of the case.
    module: usize,
    /// Which of its core modules, where it is a component.
    nested: Option<usize>,
}

struct Minimization<'a, 'b> {
    best: Envelope,
    signature: String,
    judge: &'a mut Judge<'b>,
    late: &'a Late<'a>,
}

impl Minimization<'_, '_> {
    fn is_late(&self) -> bool {
        (self.late)()
    }

    /// All core modules.
    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (module, own) in self.best.modules.iter().enumerate() {
            if nested::is_component(&own.bytes) {
                let count = nested::modules(&own.bytes).len();
                places.extend((0..count).map(|nested| Place { module, nested: Some(nested) }));
            } else {
                places.push(Place { module, nested: None });
            }
        }
        places
    }

    /// The bytes of a core module.
    fn core(&self, place: Place) -> Vec<u8> {
        let bytes = self.best.bytes(place.module);
        match place.nested {
            None => bytes.to_vec(),
            Some(nested) => nested::modules(bytes).into_iter().nth(nested).unwrap_or_default(),
        }
    }

    /// The bytes of a module of the case with a core module of it replaced; `None` where that is not valid.
    fn replaced(&self, place: Place, wasm: Vec<u8>) -> Option<Vec<u8>> {
        let whole = match place.nested {
            None => wasm,
            Some(nested) => nested::with(self.best.bytes(place.module), nested, &wasm)?,
        };
        is_valid(&whole).then_some(whole)
    }

    fn size(&self) -> usize {
        self.best.to_bytes().len()
    }

    fn accept(&mut self, candidate: Envelope) -> bool {
        if self.is_late() || candidate == self.best {
            return false;
        }
        let same = (self.judge)(&candidate).as_deref() == Some(self.signature.as_str());
        if same {
            self.best = candidate;
        }
        same
    }

    /// Drops ranges of calls, halves first.
    fn drop_calls(&mut self) {
        let mut length = self.best.calls.len().div_ceil(2);
        while length > 0 {
            let mut start = 0;
            while start < self.best.calls.len() && !self.is_late() {
                let mut candidate = self.best.clone();
                let end = (start + length).min(candidate.calls.len());
                candidate.calls.drain(start..end);
                if !self.accept(candidate) {
                    start += length;
                }
            }
            length = if length == 1 { 0 } else { length.div_ceil(2) };
        }
    }

    fn default_settings(&mut self) {
        for name in self.best.settings.keys().cloned().collect::<Vec<_>>() {
            let mut candidate = self.best.clone();
            candidate.settings.remove(&name);
            self.accept(candidate);
        }
    }

    fn simplify_arguments(&mut self) {
        for call in 0..self.best.calls.len() {
            for position in 0..self.best.calls[call].args.len() {
                let value = match &self.best.calls[call].args[position] {
                    Argument::Value(value) => *value,
                    Argument::Text(text) => {
                        let text = text.clone();
                        self.simplify_text(call, position, text);
                        continue;
                    }
                };
                for simple in [Value::default_of(value.ty()), one_of(value)] {
                    let mut candidate = self.best.clone();
                    candidate.calls[call].args[position] = Argument::Value(simple);
                    if self.accept(candidate) {
                        break;
                    }
                }
            }
        }
    }

    /// Makes the value of a component simpler as long as that helps.
    fn simplify_text(&mut self, call: usize, position: usize, text: String) {
        let mut simpler = targets::simpler_argument(&text).into_iter();
        while let Some(simple) = simpler.next().filter(|_| !self.is_late()) {
            let mut candidate = self.best.clone();
            candidate.calls[call].args[position] = Argument::Text(simple.clone());
            if self.accept(candidate) {
                simpler = targets::simpler_argument(&simple).into_iter();
            }
        }
    }

    /// Drops modules, with the calls of their exports.
    fn drop_modules(&mut self) {
        for module in (0..self.best.modules.len()).rev() {
            if self.best.modules.len() < 2 {
                return;
            }
            let mut candidate = self.best.clone();
            candidate.modules.remove(module);
            candidate.calls.retain(|call| call.module != module);
            for call in &mut candidate.calls {
                call.module -= usize::from(call.module > module);
            }
            self.accept(candidate);
        }
    }

    /// Imports become definitions.
    fn drop_imports(&mut self, place: Place) {
        let defined = match self.calls_by_index() {
            true => vec![observe::without_imports(&self.best), observe::without_growing_imports(&self.best)],
            false if place.nested.is_none() => vec![observe::without_links(&self.core(place))],
            false => Vec::new(),
        };
        for wasm in defined.into_iter().flatten() {
            if self.accept_module(place, wasm) {
                return;
            }
        }
    }

    /// What expressions of a module are worth, by body.
    fn values(&self, place: Place) -> Vec<Observed> {
        match self.calls_by_index() {
            true => observe::values(&self.best),
            false if place.nested.is_none() => observe::linked_values(&self.best, place.module),
            false => Vec::new(),
        }
    }

    /// Puts functions in place of their calls, one by one, as long as one of them can be.
    fn inline(&mut self, place: Place) {
        while let Some(bodies) = split(&self.core(place)).filter(|_| !self.is_late()) {
            let wasm = self.core(place);
            let mut all = inline::inlined(&wasm, &bodies).into_iter();
            if !all.any(|changed| self.accept_module(place, join(&wasm, &changed))) {
                return;
            }
            self.drop_trees(place);
        }
    }

    /// Drops operations that are apart from each other, and replaces some.
    fn drop_scattered(&mut self, place: Place) {
        let count = split(&self.core(place)).map_or(0, |bodies| bodies.len());
        for body in (0..count).rev() {
            while let Some(bodies) = split(&self.core(place)).filter(|_| !self.is_late()) {
                let wasm = self.core(place);
                let mut all = scattered::candidates(&bodies[body].operations);
                let found = all.any(|operations| {
                    let mut changed = bodies.clone();
                    changed[body].operations = operations;
                    self.accept_module(place, join(&wasm, &changed))
                });
                if !found {
                    break;
                }
            }
        }
    }

    /// Whether calls name functions by index.
    fn calls_by_index(&self) -> bool {
        let is_core = self.best.modules.len() == 1 && !nested::is_component(self.best.bytes(0));
        is_core && self.best.calls.iter().all(|call| call.func.parse::<u32>().is_ok())
    }

    /// Drops items of every space: those that can go by themselves together, else one by one.
    fn drop_items(&mut self, place: Place) {
        if let Some(wasm) = cut::without_start(&self.core(place)) {
            self.accept_module(place, wasm);
        }
        for space in SPACES {
            let Some((all, _)) = cut::counts(&self.core(place)) else { return };
            let count = all[space as usize] as usize;
            let mut gone = vec![false; count];
            for item in (0..count).rev() {
                gone[item] = !self.is_called(place, space, item);
                if gone[item] && cut::without(&self.core(place), space, &gone).is_none() {
                    gone[item] = false;
                }
            }
            if !gone.contains(&true) || self.accept_cut(place, space, &gone) {
                continue;
            }
            for item in (0..count).rev().filter(|item| gone[*item]) {
                let mut one = vec![false; count];
                one[item] = true;
                self.accept_cut(place, space, &one);
            }
        }
    }

    /// Whether a call is of this function or this export.
    fn is_called(&self, place: Place, space: cut::Space, item: usize) -> bool {
        let mut calls = self.best.calls.iter().filter(|call| place.nested.is_none() && call.module == place.module);
        let name = cut::exported_function(&self.core(place), item);
        calls.any(|call| match space {
            cut::Space::Function => call.func.parse() == Ok(item),
            cut::Space::Export => name.as_ref().is_some_and(|(name, index)| {
                call.func == *name || (self.calls_by_index() && call.func.parse() == Ok(*index))
            }),
            _ => false,
        })
    }

    fn accept_cut(&mut self, place: Place, space: cut::Space, gone: &[bool]) -> bool {
        let Some(wasm) = cut::without(&self.core(place), space, gone) else { return false };
        let Some(whole) = self.replaced(place, wasm) else { return false };
        let mut candidate = self.best.clone();
        if space == cut::Space::Function && self.calls_by_index() {
            for call in &mut candidate.calls {
                let index = call.func.parse().ok().and_then(|index| cut::moved(gone, index));
                call.func = index.map_or_else(|| call.func.clone(), |index| index.to_string());
                for arg in &mut call.args {
                    if let Argument::Value(Value::Func(FuncIdentity::Index(index))) = arg {
                        *index = cut::moved(gone, *index).unwrap_or(*index);
                    }
                }
            }
        }
        candidate.modules[place.module].bytes = whole;
        self.accept(candidate)
    }

    /// Replaces expressions by constants or operands and drops statements, the largest first.
    fn drop_trees(&mut self, place: Place) {
        let values = self.values(place);
        let Some(bodies) = split(&self.core(place)) else { return };
        for body in (0..bodies.len()).rev() {
            let mut observed = values.get(body).cloned().unwrap_or_default();
            // Candidates longer than this were tried.
            let mut longest = usize::MAX;
            while !self.is_late() {
                match self.drop_tree(place, body, &observed, longest) {
                    Some(length) => longest = length,
                    None => break,
                }
                // Positions have moved.
                observed = self.values(place).get(body).cloned().unwrap_or_default();
            }
        }
    }

    /// The first candidate of at most `longest` operations that still fails: its length.
    fn drop_tree(&mut self, place: Place, body: usize, observed: &Observed, longest: usize) -> Option<usize> {
        let wasm = self.core(place);
        let bodies: Vec<Pieces> = split(&wasm)?;
        let trees = Trees::of(&wasm, body)?;
        let operations = &bodies.get(body)?.operations;
        let mut candidates = trees.candidates(operations, observed);
        candidates.extend(trees.inlined(&bodies, body, &parameter_counts(&wasm)?));
        candidates.extend(inline::forwarded(&trees, operations));
        for candidate in candidates {
            let length = candidate.end - candidate.start;
            if length > longest {
                continue;
            }
            let mut changed = bodies.clone();
            changed[body].operations.splice(candidate.start..candidate.end, candidate.instead);
            if self.accept_module(place, join(&wasm, &changed)) {
                return Some(length);
            }
            if self.is_late() {
                return None;
            }
        }
        None
    }

    /// Drops ranges of at least `shortest` operations, halves first; short ones may become a constant.
    fn drop_operations(&mut self, place: Place, shortest: usize) {
        let Some(bodies) = split(&self.core(place)) else { return };
        for body in (0..bodies.len()).rev() {
            let mut length = bodies[body].operations.len().div_ceil(2);
            while length >= shortest && !self.is_late() {
                self.drop_ranges(place, body, length);
                length = if length == 1 { 0 } else { length.div_ceil(2) };
            }
        }
    }

    fn drop_ranges(&mut self, place: Place, body: usize, length: usize) {
        let mut start = 0;
        while !self.is_late() {
            let Some(bodies) = split(&self.core(place)) else { return };
            let count = bodies[body].operations.len();
            if start >= count {
                return;
            }
            let range = start..(start + length).min(count);
            let shorter = replacements(length).into_iter().any(|replacement| {
                let mut changed = bodies.clone();
                let old: usize = changed[body].operations[range.clone()].iter().map(Vec::len).sum();
                if replacement.iter().map(Vec::len).sum::<usize>() >= old {
                    return false;
                }
                changed[body].operations.splice(range.clone(), replacement);
                self.accept_module(place, join(&self.core(place), &changed))
            });
            if !shorter {
                start += length;
            }
        }
    }

    fn accept_module(&mut self, place: Place, wasm: Vec<u8>) -> bool {
        let Some(whole) = self.replaced(place, wasm) else { return false };
        let mut candidate = self.best.clone();
        candidate.modules[place.module].bytes = whole;
        self.accept(candidate)
    }

    /// Functions that do nothing any more lose their locals, and custom sections go.
    fn drop_unused(&mut self) {
        for place in self.places() {
            let Some(bodies) = split(&self.core(place)) else { continue };
            for body in 0..bodies.len() {
                let mut changed = bodies.clone();
                changed[body].locals = vec![0];
                let wasm = join(&self.core(place), &changed);
                if wasm.len() < self.core(place).len() {
                    self.accept_module(place, wasm);
                }
            }
            let plain = join(&self.core(place), &split(&self.core(place)).unwrap_or_default());
            if plain.len() < self.core(place).len() {
                self.accept_module(place, plain);
            }
        }
    }
}

/// A component without custom sections, names among them.
pub(crate) fn without_names(component: &[u8]) -> Option<Vec<u8>> {
    nested::plain(component)
}

/// What may stand for `length` operations.
fn replacements(length: usize) -> Vec<Vec<Vec<u8>>> {
    let operation = |instruction: Instruction<'_>| {
        let mut bytes = Vec::new();
        instruction.encode(&mut bytes);
        vec![bytes]
    };
    let mut all = vec![Vec::new()];
    if length <= 8 {
        all.extend([
            operation(Instruction::I32Const(0)),
            operation(Instruction::I64Const(0)),
            operation(Instruction::F32Const(0.0.into())),
            operation(Instruction::F64Const(0.0.into())),
            operation(Instruction::V128Const(0)),
            operation(Instruction::Drop),
            operation(Instruction::Unreachable),
        ]);
    }
    all
}

fn one_of(value: Value) -> Value {
    match value {
        Value::I32(_) => Value::I32(1),
        Value::I64(_) => Value::I64(1),
        Value::F32(_) => Value::F32(0x3f80_0000),
        Value::F64(_) => Value::F64(0x3ff0_0000_0000_0000),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::EnvelopeCall;

    #[test]
    fn only_what_fails_is_left() {
        let wasm = wat::parse_str(
            "(module (func (export \"f\") (param i32) (result i32)
                (drop (i32.add (local.get 0) (i32.const 3)))
                (i32.popcnt (i32.mul (local.get 0) (i32.const 9)))))",
        )
        .expect("valid text");
        let mut case = Envelope::new("diff_core").set("subject", 3).module("main", wasm);
        for argument in 0..10 {
            let args = vec![Argument::Value(Value::I32(argument))];
            case.calls.push(EnvelopeCall { module: 0, func: "0".to_owned(), args });
        }
        // Fails whenever a `popcnt` is left and there is a call.
        let mut judge = |case: &Envelope| {
            let popcnt = case.bytes(0).contains(&0x69);
            (popcnt && !case.calls.is_empty()).then(|| "popcnt".to_owned())
        };
        let small = minimize(&case, &|| false, &mut judge);
        assert_eq!(small.calls.len(), 1);
        assert!(small.settings.is_empty());
        let left = split(small.bytes(0)).expect("bodies")[0].operations.len();
        assert_eq!(left, 2, "an operand and the operation");
    }
}
