//! What is in a block without the block: labels that name what is around it are one less.
//!
//! Invariant: no label of the result names another block than before.
//!
//! Does not know: types. Labels and tags of 128 and more, which short bodies do not have.

/// First bytes of operations.
const BLOCK: u8 = 0x02;
const LOOP: u8 = 0x03;
const IF: u8 = 0x04;
const END: u8 = 0x0b;
const BR: u8 = 0x0c;
const BR_IF: u8 = 0x0d;
const BR_TABLE: u8 = 0x0e;
const TRY_TABLE: u8 = 0x1f;
const BR_ON_NULL: u8 = 0xd5;
const BR_ON_NON_NULL: u8 = 0xd6;
const GC: u8 = 0xfb;

/// Behind [`GC`]: both branches on casts.
const BR_ON_CASTS: [u8; 2] = [24, 25];

/// References with a heap type behind them, as the types of blocks.
const REFERENCES: [u8; 2] = [0x63, 0x64];

/// The operations of a block without the block; `None` where one of them leaves it by its label.
pub(super) fn unwrapped(inside: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    let (mut depth, mut all) = (0, Vec::new());
    for operation in inside {
        let mut changed = operation.clone();
        for place in labels(operation)? {
            changed[place] = outside(operation[place], depth)?;
        }
        match operation[0] {
            BLOCK | LOOP | IF | TRY_TABLE => depth += 1,
            END => depth -= 1,
            _ => {}
        }
        all.push(changed);
    }
    Some(all)
}

/// A label without the block around `depth` others.
fn outside(label: u8, depth: u8) -> Option<u8> {
    match label.cmp(&depth) {
        std::cmp::Ordering::Less => Some(label),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(label - 1),
    }
}

/// Where an operation's labels are; `None` where one may have two bytes.
fn labels(operation: &[u8]) -> Option<Vec<usize>> {
    let places = match operation {
        [BR | BR_IF | BR_ON_NULL | BR_ON_NON_NULL, ..] => vec![1],
        [GC, kind, ..] if BR_ON_CASTS.contains(kind) => vec![3],
        [BR_TABLE, count, ..] if *count < 0x80 => (2..operation.len()).collect(),
        [BR_TABLE, ..] => return None,
        [TRY_TABLE, ..] => catches(operation)?,
        _ => Vec::new(),
    };
    let is_short = |place: &usize| operation.get(*place).is_some_and(|byte| *byte < 0x80);
    places.iter().all(is_short).then_some(places)
}

/// Where the labels of a block's handlers are.
fn catches(operation: &[u8]) -> Option<Vec<usize>> {
    let from = if REFERENCES.contains(operation.get(1)?) { 2 } else { 1 };
    let mut at = from + operation.get(from..)?.iter().position(|byte| *byte < 0x80)? + 1;
    let (count, mut places) = (*operation.get(at)?, Vec::new());
    at += 1;
    for _ in 0..count {
        // With a tag or without.
        at += if *operation.get(at)? < 2 { 2 } else { 1 };
        places.push(at);
        at += 1;
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
}
