//! What is in a block without the block: labels that name what is around it are one less.
//!
//! Invariant: no label of the result names another block than before.
//!
//! Does not know: types. Labels and tags of 128 and more, which short bodies do not have.

use std::ops::Range;

/// First bytes of operations.
const BLOCK: u8 = 0x02;
const LOOP: u8 = 0x03;
const IF: u8 = 0x04;
const END: u8 = 0x0b;
const BR: u8 = 0x0c;
const BR_IF: u8 = 0x0d;
const BR_TABLE: u8 = 0x0e;
const RETURN: u8 = 0x0f;
const TRY_TABLE: u8 = 0x1f;
const UNREACHABLE: u8 = 0x00;
const THROW: u8 = 0x08;
const THROW_REF: u8 = 0x0a;
const BR_ON_NULL: u8 = 0xd5;
const BR_ON_NON_NULL: u8 = 0xd6;
const GC: u8 = 0xfb;

/// Behind [`GC`]: both branches on casts.
const BR_ON_CASTS: [u8; 2] = [24, 25];

/// Operations that what stands behind them is not reached from.
const JUMPS: [u8; 5] = [UNREACHABLE, THROW, THROW_REF, BR, RETURN];

/// References with a heap type behind them, as the types of blocks.
const REFERENCES: [u8; 2] = [0x63, 0x64];

/// The operations of a block without the block; `None` where one of them leaves it by its label.
pub(super) fn unwrapped(inside: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    without_block(inside, &|label, depth| (label != depth).then_some(label - u8::from(label > depth)))
}

/// The same, but what leaves the block by its label leaves the block around it instead.
pub(super) fn retargeted(inside: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    without_block(inside, &|label, depth| Some(label - u8::from(label > depth)))
}

/// The operations with labels as `outside` says, by the number of blocks that are open.
fn without_block(inside: &[Vec<u8>], outside: &dyn Fn(u8, u8) -> Option<u8>) -> Option<Vec<Vec<u8>>> {
    let (mut depth, mut all) = (0, Vec::new());
    for operation in inside {
        let mut changed = operation.clone();
        for place in labels(operation)? {
            changed[place] = outside(operation[place], u8::try_from(depth).ok()?)?;
        }
        depth = depth_behind(operation, depth)?;
        all.push(changed);
    }
    Some(all)
}

/// The operations of a block up to a jump that never comes back, as if that led behind the block: without the block, the
/// jump, and the beginnings of blocks that the jump lies in. `None` where something before it depends on one of those.
pub(super) fn straight(inside: &[Vec<u8>], jump: usize) -> Option<Vec<Vec<u8>>> {
    JUMPS.contains(&inside.get(jump)?[0]).then_some(())?;
    let before = &inside[..jump];
    let mut open = Vec::new();
    for (at, operation) in before.iter().enumerate() {
        match operation[0] {
            BLOCK | LOOP | IF | TRY_TABLE => open.push(at),
            END => drop(open.pop()?),
            _ => {}
        }
    }
    if open.iter().any(|at| before[*at][0] == IF) {
        return None;
    }
    // Of the blocks around an operation, whether they go.
    let (mut around, mut all) = (Vec::new(), Vec::new());
    for (at, operation) in before.iter().enumerate() {
        let mut changed = operation.clone();
        let is_gone = open.contains(&at);
        for place in labels(operation)?.into_iter().filter(|_| !is_gone) {
            let label = usize::from(operation[place]);
            let left = around.len().checked_sub(label + 1);
            // The block itself goes, too.
            let gone = match left {
                Some(target) if around[target] => return None,
                Some(target) => around[target..].iter().filter(|gone| **gone).count(),
                None if label == around.len() => return None,
                None => around.iter().filter(|gone| **gone).count() + 1,
            };
            changed[place] = u8::try_from(label - gone).ok()?;
        }
        match operation[0] {
            BLOCK | LOOP | IF | TRY_TABLE => around.push(is_gone),
            END => drop(around.pop()?),
            _ => {}
        }
        if !is_gone {
            all.push(changed);
        }
    }
    Some(all)
}

/// Whether the operations of a body leave it by its label, or return.
pub(super) fn leaves(body: &[Vec<u8>]) -> Option<bool> {
    let (mut depth, mut leaves) = (0, false);
    for operation in body {
        let by_label = labels(operation)?.into_iter().any(|place| u32::from(operation[place]) == depth);
        leaves |= by_label || operation.as_slice() == [RETURN];
        depth = depth_behind(operation, depth)?;
    }
    Some(leaves)
}

/// How many blocks are open behind an operation, `depth` of them before it; `None` where one closes that is not open.
pub(super) fn depth_behind(operation: &[u8], depth: u32) -> Option<u32> {
    match operation[0] {
        BLOCK | LOOP | IF | TRY_TABLE => Some(depth + 1),
        END => depth.checked_sub(1),
        _ => Some(depth),
    }
}

/// The operation that begins a block with handlers, each time without one of them.
pub(super) fn without_a_catch(operation: &[u8]) -> Vec<Vec<u8>> {
    let handlers = if operation[0] == TRY_TABLE { catches(operation).unwrap_or_default() } else { Vec::new() };
    let one = |handler: &Range<usize>| {
        let mut less = operation.to_vec();
        less.drain(handler.clone());
        // Their number stands before the first.
        less[handlers[0].start - 1] -= 1;
        less
    };
    handlers.iter().map(one).collect()
}

/// Where an operation's labels are; `None` where one may have two bytes.
fn labels(operation: &[u8]) -> Option<Vec<usize>> {
    let places = match operation {
        [BR | BR_IF | BR_ON_NULL | BR_ON_NON_NULL, ..] => vec![1],
        [GC, kind, ..] if BR_ON_CASTS.contains(kind) => vec![3],
        [BR_TABLE, count, ..] if *count < 0x80 => (2..operation.len()).collect(),
        [BR_TABLE, ..] => return None,
        [TRY_TABLE, ..] => catches(operation)?.into_iter().map(|handler| handler.end - 1).collect(),
        _ => Vec::new(),
    };
    let is_short = |place: &usize| operation.get(*place).is_some_and(|byte| *byte < 0x80);
    places.iter().all(is_short).then_some(places)
}

/// Where the handlers of a block are; their labels are their last bytes.
fn catches(operation: &[u8]) -> Option<Vec<Range<usize>>> {
    let from = if REFERENCES.contains(operation.get(1)?) { 2 } else { 1 };
    let mut at = from + operation.get(from..)?.iter().position(|byte| *byte < 0x80)? + 1;
    let (count, mut places) = (*operation.get(at)?, Vec::new());
    at += 1;
    for _ in 0..count {
        // With a tag or without.
        let end = at + if *operation.get(at)? < 2 { 3 } else { 2 };
        places.push(at..end);
        at = end;
    }
    (at == operation.len()).then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pieces::split;

    fn check(body: &str, expected: Option<&str>) {
        let operations = |body: &str| {
            let text = format!("(module (tag) (func (param anyref) (block (block {body}))))");
            split(&wat::parse_str(text).expect("valid text")).expect("bodies")[0].operations.clone()
        };
        let all = operations(body);
        // Between the two blocks and their ends.
        let found = unwrapped(&all[2..all.len() - 2]);
        let expected = expected.map(|body| {
            let text = format!("(module (tag) (func (param anyref) (block {body})))");
            let all = split(&wat::parse_str(text).expect("valid text")).expect("bodies")[0].operations.clone();
            all[1..all.len() - 1].to_vec()
        });
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn labels_around_a_block_are_one_less() {
        check("(br 1)", Some("(br 0)"));
        check("(br 0)", None);
        check("(loop (br 0) (br_if 2 (i32.const 0)))", Some("(loop (br 0) (br_if 1 (i32.const 0)))"));
        check("(loop (br_if 1 (i32.const 0)))", None);
        check("(br_table 1 2 (i32.const 0))", Some("(br_table 0 1 (i32.const 0))"));
        check("(try_table (catch 0 1) (catch_all 2) (br 0))", Some("(try_table (catch 0 0) (catch_all 1) (br 0))"));
        check("(drop (br_on_null 1 (local.get 0)))", Some("(drop (br_on_null 0 (local.get 0)))"));
    }

    #[test]
    fn jumps_go_with_what_they_jump_over() {
        let of = |body: &str| {
            let text = format!("(module (tag) (func (block (block {body}))))");
            let all = split(&wat::parse_str(text).expect("valid text")).expect("bodies")[0].operations.clone();
            all[2..all.len() - 2].to_vec()
        };
        let inside = of("(try_table (catch_all 0) (block (br 0)) (br_if 2 (i32.const 0)) (throw 0)) nop");
        let expected = of("(block (br 0)) (br_if 0 (i32.const 0))");
        assert_eq!(straight(&inside, 6), Some(expected));
        assert_eq!(straight(&inside, 0), None);
        assert_eq!(straight(&of("(loop (br_if 0 (i32.const 0)) unreachable)"), 3), None);
    }

    #[test]
    fn handlers_go_one_by_one() {
        let of = |catches: &str| {
            let text = format!("(module (tag) (func (block (block (try_table {catches})))))");
            split(&wat::parse_str(text).expect("valid text")).expect("bodies")[0].operations[2].clone()
        };
        let found = without_a_catch(&of("(catch 0 1) (catch_all 0)"));
        assert_eq!(found, [of("(catch_all 0)"), of("(catch 0 1)")]);
        assert!(without_a_catch(&[BLOCK, 0x40]).is_empty());
    }

    #[test]
    fn what_leaves_a_body_is_found() {
        let check = |body: &str, expected: bool| {
            let text = format!("(module (func {body}))");
            let operations = split(&wat::parse_str(text).expect("valid text")).expect("bodies")[0].operations.clone();
            assert_eq!(leaves(&operations), Some(expected), "{body}");
        };
        check("(block (br 0))", false);
        check("(block (br 1))", true);
        check("(block (return))", true);
    }
}
