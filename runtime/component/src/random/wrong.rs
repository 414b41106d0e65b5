//! Wrong plans: what the verifier has to reject.
//!
//! One row for each way in which linearizers have gone wrong, and some more: a plan is taken and broken in a place that a seed
//! chooses
//! ([what instantiation does](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#instance-definitions)
//! is no longer what the plan does).
//!
//! Invariant: a fault that says it was planted has changed what the plan means, or broken a rule of plans.
//!
//! Does not know: how faults are found.

use crate::graph::{Args, ExportValue, Key, ModuleRef, Node};
use crate::ids::{ComponentIndex, ModuleIndex, Slot, SlotKind};
use crate::linear::{AdapterRef, Linear, LoadKey, Op};
use crate::random::Seed;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident $plant:ident;)*) => {
        /// A way to be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Fault] = &[$(Fault::$name),*];

            /// Plants the fault; whether the plan had a place for it.
            pub fn plant(self, linear: &mut Linear, seed: &mut Seed) -> bool {
                match self { $(Fault::$name => $plant(linear, seed).is_some(),)* }
            }
        }
    };
}

faults! {
    /// An operation before one whose result it uses.
    SwapDependent swap_dependent;
    /// Two effects in the other order.
    SwapEffects swap_effects;
    /// An operation is left out.
    DropOp drop_op;
    /// An operation is there twice.
    DuplicateOp duplicate_op;
    /// An instantiation of another module.
    OtherModule other_module;
    /// An effect in another component instance.
    OtherComponent other_component;
    /// An argument of an operation is another value of the same kind.
    OtherArgument other_argument;
    /// One argument fewer.
    DropArgument drop_argument;
    /// Another export is loaded.
    OtherKey other_key;
    /// One value is loaded once more, and not used.
    LoadTwice load_twice;
    /// A destructor is missing.
    DropDtor drop_dtor;
    /// An option of a trampoline is another value of the same kind.
    OtherOption other_option;
    /// An option of a trampoline is missing.
    DropOption drop_option;
    /// A trampoline is one of another component instance.
    OtherTrampolineComponent other_trampoline_component;
    /// Two trampolines have changed places.
    SwapTrampolines swap_trampolines;
    /// A trampoline that nothing uses.
    UnusedTrampoline unused_trampoline;
    /// A trampoline whose `realloc` is itself.
    CyclicTrampoline cyclic_trampoline;
    /// Two functions of an adapter module have changed places.
    SwapAdapters swap_adapters;
    /// An adapter of an adapter module calls something else.
    OtherCallee other_callee;
    /// An adapter module that is instantiated after its first user.
    LateAdapters late_adapters;
    /// An import is not resolved.
    DropImport drop_import;
    /// An import is resolved twice.
    DuplicateImport duplicate_import;
    /// An export is missing.
    DropExport drop_export;
    /// An export is another value.
    OtherExport other_export;
    /// An export is at another place of the tree.
    MoveExport move_export;
    /// The number of slots is wrong.
    Miscount miscount;
    /// An operation writes the slot of another one.
    OtherDestination other_destination;
}

fn choose<T>(items: Vec<T>, seed: &mut Seed) -> Option<T> {
    let at = (seed.draw() % items.len().max(1) as u64) as usize;
    items.into_iter().nth(at)
}

/// Positions of operations that a test selects.
fn ops(linear: &Linear, test: impl Fn(&Op) -> bool) -> Vec<usize> {
    (0..linear.ops.len()).filter(|at| test(&linear.ops[*at])).collect()
}

/// Another slot of the same kind.
fn other(linear: &Linear, slot: Slot, seed: &mut Seed) -> Option<Slot> {
    let count = linear.counts.of(slot.kind);
    let indices = (0..count).filter(|index| *index != slot.index).collect();
    choose(indices, seed).map(|index| Slot { index, ..slot })
}

fn swap_dependent(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let mut pairs = Vec::new();
    for (at, op) in linear.ops.iter().enumerate() {
        op.for_each_operand(|slot| {
            pairs.extend(linear.ops[..at].iter().position(|op| op.dst() == slot).map(|before| (before, at)));
        });
    }
    let (before, after) = choose(pairs, seed)?;
    linear.ops.swap(before, after);
    Some(())
}

fn swap_effects(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let effects = ops(linear, Op::is_effect);
    let pairs = effects.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let (a, b) = choose(pairs, seed)?;
    linear.ops.swap(a, b);
    Some(())
}

fn drop_op(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = choose(ops(linear, |_| true), seed)?;
    linear.ops.remove(at);
    Some(())
}

fn duplicate_op(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = choose(ops(linear, |_| true), seed)?;
    let op = linear.ops[at].clone();
    linear.ops.insert(at + 1, op);
    Some(())
}

fn other_module(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = choose(ops(linear, |op| matches!(op, Op::Instantiate { module: ModuleRef::Static(_), .. })), seed)?;
    if let Op::Instantiate { module: ModuleRef::Static(module), .. } = &mut linear.ops[at] {
        *module = ModuleIndex(module.0 ^ 1);
    }
    Some(())
}

fn other_component(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = choose(ops(linear, Op::is_effect), seed)?;
    if let Op::Instantiate { component, .. } | Op::Resource { component, .. } = &mut linear.ops[at] {
        *component = ComponentIndex(component.0 ^ 1);
    }
    Some(())
}

fn other_argument(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = choose(ops(linear, |op| matches!(op, Op::Instantiate { .. } | Op::Adapters { .. })), seed)?;
    let mut args = Vec::new();
    linear.ops[at].for_each_operand(|slot| args.push(slot));
    let old = choose(args, seed)?;
    let new = other(linear, old, seed)?;
    let replace = |slot: &mut Slot| {
        if *slot == old {
            *slot = new;
        }
    };
    match &mut linear.ops[at] {
        Op::Instantiate { args: Args::Positional(args), .. } | Op::Adapters { args, .. } => {
            args.iter_mut().for_each(replace);
        }
        Op::Instantiate { args: Args::Named(rows), module, .. } => {
            rows.iter_mut().for_each(|row| replace(&mut row.2));
            if let ModuleRef::Host(module) = module {
                replace(module);
            }
        }
        _ => {}
    }
    Some(())
}

fn drop_argument(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let has = |op: &Op| match op {
        Op::Instantiate { args: Args::Positional(args), .. } | Op::Adapters { args, .. } => !args.is_empty(),
        _ => false,
    };
    let at = choose(ops(linear, has), seed)?;
    if let Op::Instantiate { args: Args::Positional(args), .. } | Op::Adapters { args, .. } = &mut linear.ops[at] {
        *args = args[1..].into();
    }
    Some(())
}

fn other_key(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = choose(ops(linear, |op| matches!(op, Op::Load { .. })), seed)?;
    if let Op::Load { export, .. } = &mut linear.ops[at] {
        *export = match *export {
            LoadKey::Core(Key::Index(index)) => LoadKey::Core(Key::Index(index + 1000)),
            LoadKey::Core(Key::Name(_)) => LoadKey::Core(Key::Index(0)),
            LoadKey::Adapter(index) => LoadKey::Adapter(index + 1000),
        };
    }
    Some(())
}

fn load_twice(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = choose(ops(linear, |op| matches!(op, Op::Load { .. })), seed)?;
    let mut op = linear.ops[at].clone();
    if let Op::Load { dst, .. } = &mut op {
        let count = &mut linear.counts.0[dst.kind as usize];
        dst.index = *count;
        *count += 1;
    }
    linear.ops.push(op);
    Some(())
}

fn drop_dtor(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = choose(ops(linear, |op| matches!(op, Op::Resource { dtor: Some(_), .. })), seed)?;
    if let Op::Resource { dtor, .. } = &mut linear.ops[at] {
        *dtor = None;
    }
    Some(())
}

fn tables(linear: &mut Linear) -> impl Iterator<Item = &mut Node<Slot>> {
    linear.trampolines.iter_mut().chain(&mut linear.lifts)
}

fn other_option(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let mut places = Vec::new();
    for (at, node) in tables(linear).enumerate() {
        places.extend((0..node.operands().len()).map(|operand| (at, operand)));
    }
    let (at, operand) = choose(places, seed)?;
    let node = tables(linear).nth(at)?.clone();
    let new = other(linear, node.operands()[operand], seed)?;
    let mut next = 0;
    *tables(linear).nth(at)? = node.map_operands(|_, slot| {
        next += 1;
        if next - 1 == operand { new } else { slot }
    });
    Some(())
}

fn drop_option(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let mut places = Vec::new();
    for (at, node) in tables(linear).enumerate() {
        if let Node::Lower { side, .. } | Node::Lift { side, .. } = node
            && (side.opts.realloc.is_some() || side.opts.post_return.is_some() || side.opts.memory.is_some())
        {
            places.push(at);
        }
    }
    let at = choose(places, seed)?;
    if let Node::Lower { side, .. } | Node::Lift { side, .. } = tables(linear).nth(at)? {
        let opts = &mut side.opts;
        _ = opts
            .realloc
            .take()
            .or_else(|| opts.post_return.take())
            .or_else(|| opts.memory.take().map(|memory| memory.memory));
    }
    Some(())
}

fn other_trampoline_component(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let sides = |node: &Node<Slot>| matches!(node, Node::Lower { .. } | Node::Lift { .. } | Node::Builtin(_));
    let places = tables(linear).enumerate().filter(|(_, node)| sides(node)).map(|(at, _)| at).collect();
    let at = choose(places, seed)?;
    let component = match tables(linear).nth(at)? {
        Node::Lower { side, .. } | Node::Lift { side, .. } => &mut side.opts.component,
        Node::Builtin(builtin) => &mut builtin.opts.component,
        _ => return None,
    };
    component.0 += 1;
    Some(())
}

fn swap_trampolines(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let places = (1..linear.trampolines.len()).collect();
    let at = choose(places, seed)?;
    linear.trampolines.swap(0, at);
    Some(())
}

fn unused_trampoline(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let node = choose(linear.trampolines.clone(), seed)?;
    linear.trampolines.push(node);
    linear.counts.0[SlotKind::Trampoline as usize] += 1;
    Some(())
}

fn cyclic_trampoline(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let lowers = (0..linear.trampolines.len()).filter(|at| matches!(linear.trampolines[*at], Node::Lower { .. }));
    let at = choose(lowers.collect(), seed)?;
    if let Node::Lower { side, .. } = &mut linear.trampolines[at] {
        side.opts.realloc = Some(Slot { kind: SlotKind::Trampoline, index: at as u32 });
    }
    Some(())
}

fn swap_adapters(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let rows = (0..linear.adapters.len()).filter(|at| linear.adapters[*at].exports.len() > 1).collect();
    let at = choose(rows, seed)?;
    linear.adapters[at].exports.swap(0, 1);
    Some(())
}

fn other_callee(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let rows = (0..linear.adapters.len()).filter(|at| linear.adapters[*at].imports > 1).collect();
    let at = choose(rows, seed)?;
    let row = &mut linear.adapters[at];
    let callees = row.exports.iter_mut().filter_map(|node| match node {
        Node::Fused(fused) => Some(&mut fused.callee),
        _ => None,
    });
    let callee = choose(callees.collect(), seed)?;
    *callee = match *callee {
        AdapterRef::Import(import) => AdapterRef::Import((import + 1) % row.imports),
        AdapterRef::Export(_) => AdapterRef::Import(0),
    };
    Some(())
}

fn late_adapters(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = choose(ops(linear, |op| matches!(op, Op::Adapters { .. })), seed)?;
    let op = linear.ops.remove(at);
    linear.ops.push(op);
    Some(())
}

fn drop_import(linear: &mut Linear, _seed: &mut Seed) -> Option<()> {
    linear.imports.pop()?;
    linear.counts.0[SlotKind::Import as usize] -= 1;
    Some(())
}

fn duplicate_import(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let import = choose(linear.imports.clone(), seed)?;
    linear.imports.push(import);
    linear.counts.0[SlotKind::Import as usize] += 1;
    Some(())
}

fn drop_export(linear: &mut Linear, _seed: &mut Seed) -> Option<()> {
    linear.exports.pop().map(|_| ())
}

fn other_export(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let funcs = (0..linear.exports.len()).filter(|at| matches!(linear.exports[*at].value, ExportValue::Func(_)));
    let at = choose(funcs.collect(), seed)?;
    let ExportValue::Func(slot) = linear.exports[at].value else { return None };
    linear.exports[at].value = ExportValue::Func(other(linear, slot, seed)?);
    Some(())
}

fn move_export(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = choose((0..linear.exports.len()).collect(), seed)?;
    let parent = &mut linear.exports[at].parent;
    *parent = if parent.is_some() { None } else { Some(crate::ids::ExportIndex(0)) };
    Some(())
}

fn miscount(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = (seed.draw() % linear.counts.0.len() as u64) as usize;
    linear.counts.0[at] += 1;
    Some(())
}

fn other_destination(linear: &mut Linear, seed: &mut Seed) -> Option<()> {
    let at = choose(ops(linear, |_| true), seed)?;
    let new = other(linear, linear.ops[at].dst(), seed)?;
    let (Op::Instantiate { dst, .. } | Op::Adapters { dst, .. } | Op::Load { dst, .. } | Op::Resource { dst, .. }) =
        &mut linear.ops[at];
    *dst = new;
    Some(())
}
