//! Changes of a body in places that are apart: two or three operations go, or one is replaced and another goes.
//!
//! Whole expressions and statements are what `tree.rs` takes out; behind an operation that does not come back stacks hold
//! anything, and what belongs together there are a block's ends, a constant and its drop, a condition and its branch. Bodies
//! are short by then, so every pair is tried: most are invalid, which the validator says without running anything.
//!
//! Invariant: every candidate has fewer operations than the body.
//!
//! Does not know: what operations belong together.

use super::tree::{constants, encoded};
use wasm_encoder::Instruction;

/// Bodies of more operations are not tried: candidates are as many as the square of it, and as the cube for triples.
const PAIRS_MAX: usize = 80;
const TRIPLES_MAX: usize = 36;

/// Smaller bodies, those with the fewest operations first.
pub(super) fn candidates(operations: &[Vec<u8>]) -> impl Iterator<Item = Vec<Vec<u8>>> + '_ {
    let count = operations.len();
    let pairs_until = if count <= PAIRS_MAX { count } else { 0 };
    let triples_until = if count <= TRIPLES_MAX { count } else { 0 };
    let triples = (0..triples_until).flat_map(move |first| {
        let pairs = (first + 1..count).flat_map(move |second| (second + 1..count).map(move |third| (second, third)));
        pairs.map(move |(second, third)| without(operations, &[first, second, third]))
    });
    let pairs = (0..pairs_until)
        .flat_map(move |first| (first + 1..count).map(move |second| without(operations, &[first, second])));
    let replaced = (0..pairs_until).flat_map(move |place| {
        replacements(&operations[place]).into_iter().flat_map(move |instead| {
            (0..count).filter(move |gone| *gone != place).map(move |gone| {
                let mut all = operations.to_vec();
                all[place] = instead.clone();
                all.remove(gone);
                all
            })
        })
    });
    triples.chain(pairs).chain(replaced)
}

/// The operations without some, given in ascending order.
fn without(operations: &[Vec<u8>], gone: &[usize]) -> Vec<Vec<u8>> {
    let kept = operations.iter().enumerate().filter(|(at, _)| !gone.contains(at));
    kept.map(|(_, operation)| operation.clone()).collect()
}

/// What may stand for one operation.
fn replacements(operation: &[u8]) -> Vec<Vec<u8>> {
    let plain = [Instruction::Drop, Instruction::Unreachable].map(|instruction| encoded(&instruction));
    let mut all: Vec<Vec<u8>> = plain.into_iter().chain(constants()).collect();
    all.retain(|one| one != operation);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::{join, split};

    /// Whether `body` is among the candidates of `of`.
    fn check(of: &str, body: &str) {
        let module = |body: &str| wat::parse_str(format!("(module (func (param i32) {body}))")).expect("valid text");
        let pieces = split(&module(of)).expect("bodies");
        let wanted = module(body);
        let found = candidates(&pieces[0].operations).any(|operations| {
            let mut changed = pieces.clone();
            changed[0].operations = operations;
            join(&module(of), &changed) == wanted
        });
        assert!(found, "{of}: {body}");
    }

    #[test]
    fn what_is_apart_goes_together() {
        check("block nop end", "nop");
        check("i32.const 1 if nop end", "nop");
        check("local.get 0 i32.eqz drop", "i32.const 0 drop");
        check("unreachable i32.add drop", "unreachable");
    }
}
