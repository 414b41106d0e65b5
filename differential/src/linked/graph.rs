//! Everything that can be reached from what is visible, as a graph.
//!
//! Two engines keep different addresses for the same objects. Numbered in the order in which they are first reached
//! (breadth first, from roots in a fixed order, fields and elements in theirs), objects of two engines have equal numbers if
//! and only if their graphs are isomorphic: the same shapes and values, the same sharing, the same cycles. That is reference
//! identity as [`ref.eq`](https://webassembly.github.io/spec/core/exec/instructions.html#reference-instructions) sees it, of
//! [structures, arrays](https://webassembly.github.io/spec/core/exec/runtime.html#aggregate-instances) and functions, and of
//! [exceptions](https://webassembly.github.io/spec/core/exec/runtime.html#exception-instances) with their tags and payloads.
//!
//! Invariant: a graph does not depend on addresses; where it is cut for its size, it is cut at the same place on every
//! engine.
//!
//! Does not know: engines.

use crate::{Refusal, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Objects of one graph; those that are reached later have no contents.
const OBJECTS_MAX: usize = 300;

/// Fields, elements and arguments of one graph; what comes later is left out.
const PARTS_MAX: usize = 6000;

/// What a root, a field, an element or an argument holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A number or a vector; packed fields as the number that they extend to, unsigned.
    Number(Value),
    /// A null reference.
    Null,
    /// An unboxed integer: its low 31 bits.
    I31(u32),
    /// The object of this number.
    Object(u32),
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its kind, types of fields with their mutability, number of elements, name of the tag or the function.
    pub shape: String,
    /// Its type, by the order in which types were met.
    pub ty: u32,
    /// Fields, elements or arguments; a descriptor comes first.
    pub parts: Vec<Part>,
}

/// What can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// Results or the exception of the call, then exported globals, then elements of exported tables, then of each instance
    /// its private globals and elements of its private tables.
    pub roots: Vec<Part>,
    /// Objects by number.
    pub nodes: Vec<Node>,
}

/// What an engine's reader finds in one place.
pub(super) enum Found<O> {
    /// A number.
    Number(Value),
    /// Null.
    Null,
    /// An unboxed integer.
    I31(u32),
    /// A reference.
    Object(O),
}

/// An object as an engine's reader finds it.
pub(super) struct Contents<O> {
    pub(super) shape: String,
    /// What tells types apart in this engine.
    pub(super) ty: u64,
    pub(super) parts: Vec<Found<O>>,
}

/// An engine's heap.
pub(super) trait Heap {
    /// A reference that is not null.
    type Object: Clone;

    /// Objects in different buckets are different.
    fn bucket(&self, object: &Self::Object) -> Result<u64, Refusal>;

    /// Whether both are the same.
    fn same(&self, left: &Self::Object, right: &Self::Object) -> bool;

    /// What it holds, at most `parts_max` of it.
    fn contents(&mut self, object: &Self::Object, parts_max: usize) -> Result<Contents<Self::Object>, Refusal>;
}

struct Walk<H: Heap> {
    objects: Vec<H::Object>,
    buckets: BTreeMap<u64, Vec<u32>>,
    parts: usize,
}

impl<H: Heap> Walk<H> {
    fn part(&mut self, heap: &H, found: Found<H::Object>) -> Result<Part, Refusal> {
        self.parts += 1;
        Ok(match found {
            Found::Number(value) => Part::Number(value),
            Found::Null => Part::Null,
            Found::I31(bits) => Part::I31(bits),
            Found::Object(object) => {
                let bucket = self.buckets.entry(heap.bucket(&object)?).or_default();
                let known = bucket.iter().find(|number| heap.same(&self.objects[**number as usize], &object));
                Part::Object(match known {
                    Some(number) => *number,
                    None => {
                        let number = self.objects.len() as u32;
                        bucket.push(number);
                        self.objects.push(object);
                        number
                    }
                })
            }
        })
    }
}

impl Graph {
    /// What can be reached in `heap` from `roots`.
    pub(super) fn explore<H: Heap>(heap: &mut H, roots: Vec<Found<H::Object>>) -> Result<Graph, Refusal> {
        let mut walk = Walk::<H> { objects: Vec::new(), buckets: BTreeMap::new(), parts: 0 };
        let mut graph = Graph::default();
        for root in roots.into_iter().take(PARTS_MAX) {
            graph.roots.push(walk.part(heap, root)?);
        }
        let mut types = Vec::new();
        while let Some(object) = walk.objects.get(graph.nodes.len()).cloned() {
            let room = if graph.nodes.len() < OBJECTS_MAX { PARTS_MAX.saturating_sub(walk.parts) } else { 0 };
            let Contents { shape, ty, parts } = heap.contents(&object, room)?;
            let mut node = Node { shape, ty: 0, parts: Vec::with_capacity(parts.len().min(room)) };
            node.ty = types.iter().position(|known| *known == ty).unwrap_or_else(|| {
                types.push(ty);
                types.len() - 1
            }) as u32;
            for part in parts.into_iter().take(room) {
                node.parts.push(walk.part(heap, part)?);
            }
            graph.nodes.push(node);
        }
        Ok(graph)
    }

    /// The first difference, this side first.
    pub(super) fn difference(&self, other: &Graph) -> Option<String> {
        let place = |what: String, left: &[Part], right: &[Part]| -> Option<String> {
            if left.len() != right.len() {
                return Some(format!("{what}: {} values against {}", left.len(), right.len()));
            }
            let at = left.iter().zip(right).position(|(left, right)| left != right)?;
            Some(format!("{what}, value {at}: {} against {}", left[at], right[at]))
        };
        if let Some(what) = place("visible references".to_owned(), &self.roots, &other.roots) {
            return Some(what);
        }
        for (number, (left, right)) in self.nodes.iter().zip(&other.nodes).enumerate() {
            if left.shape != right.shape {
                return Some(format!("object {number}: {} against {}", left.shape, right.shape));
            }
            if left.ty != right.ty {
                return Some(format!("object {number}: the types of objects agree in one graph only"));
            }
            if let Some(what) = place(format!("object {number}"), &left.parts, &right.parts) {
                return Some(what);
            }
        }
        (self.nodes.len() != other.nodes.len())
            .then(|| format!("{} objects against {}", self.nodes.len(), other.nodes.len()))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Number(value) => write!(f, "{value:x?}"),
            Part::Object(number) => write!(f, "object {number}"),
            other => write!(f, "{other:x?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A heap of pairs, at addresses that mean nothing.
    struct Pairs<'a>(&'a [(u64, [Option<u64>; 2])]);

    impl Heap for Pairs<'_> {
        type Object = u64;

        fn bucket(&self, _: &u64) -> Result<u64, Refusal> {
            Ok(0)
        }

        fn same(&self, left: &u64, right: &u64) -> bool {
            left == right
        }

        fn contents(&mut self, object: &u64, _: usize) -> Result<Contents<u64>, Refusal> {
            let (_, fields) = self.0.iter().find(|(address, _)| address == object).expect("an address");
            let parts = fields.iter().map(|field| field.map_or(Found::Null, Found::Object)).collect();
            Ok(Contents { shape: "pair".into(), ty: 1, parts })
        }
    }

    fn graph(pairs: &[(u64, [Option<u64>; 2])]) -> Graph {
        Graph::explore(&mut Pairs(pairs), vec![Found::Object(pairs[0].0)]).expect("a graph")
    }

    #[test]
    fn isomorphic_graphs_are_equal() {
        let one = graph(&[(1, [Some(2), Some(3)]), (2, [Some(1), None]), (3, [Some(2), Some(3)])]);
        let other = graph(&[(70, [Some(9), Some(40)]), (40, [Some(9), Some(40)]), (9, [Some(70), None])]);
        assert_eq!(one.difference(&other), None);
        assert_eq!(one, other);
    }

    #[test]
    fn sharing_and_cycles_are_seen() {
        let check = |left: &[(u64, [Option<u64>; 2])], right: &[(u64, [Option<u64>; 2])], expected: &str| {
            assert_eq!(graph(left).difference(&graph(right)).as_deref(), Some(expected));
        };
        // One object twice, or two that look alike.
        check(
            &[(1, [Some(2), Some(2)]), (2, [None, None])],
            &[(1, [Some(2), Some(3)]), (2, [None, None]), (3, [None, None])],
            "object 0, value 1: object 1 against object 2",
        );
        // A cycle of one, or of two.
        check(
            &[(1, [Some(1), None])],
            &[(1, [Some(2), None]), (2, [Some(1), None])],
            "object 0, value 0: object 0 against object 1",
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let list: Vec<(u64, [Option<u64>; 2])> = (0..1000).map(|at| (at, [Some((at + 1) % 1000), None])).collect();
        let graph = graph(&list);
        assert_eq!(graph.nodes.len(), OBJECTS_MAX + 1);
        assert!(graph.nodes[OBJECTS_MAX].parts.is_empty());
    }
}
