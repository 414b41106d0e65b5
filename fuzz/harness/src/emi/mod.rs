//! Equivalent modules, steered by what the original executes.
//!
//! The definitional interpreter runs the original with its calls and counts every operation. Where nothing ran, code is put
//! that anybody would notice if it ran, arms become traps, operations others; what ran often is rewritten most. The rest
//! of the rewritings keep the meaning whatever runs ([`straight`], [`control`]).
//!
//! Invariant: with the calls of the profile, the rewritten module does what the original did; its index spaces are the
//! original's, with additions at their ends.
//!
//! Does not know: the runtime.

mod control;
mod module;
mod points;
mod straight;

use crate::mutate::is_valid;
use crate::source::Source;
use module::{Editor, Line};
use points::Point;
use std::collections::BTreeMap;
use straight::Place;
use wasmparser::Operator;

/// How often the operation at each byte offset was executed.
pub(crate) type Profile = BTreeMap<u32, u64>;

/// Turns of rewriting control: each starts from what the one before left.
const CONTROL_TURNS: usize = 3;

/// Bytes of the result, by bytes of the original: rewritings feed each other.
const GROWTH_MAX: usize = 12;

/// A rewritten module; `None` where nothing valid comes of it.
pub(crate) fn rewrite(wasm: &[u8], profile: &Profile, source: &mut Source<'_>) -> Option<Vec<u8>> {
    let mut editor = Editor::of(wasm, |offset| profile.get(&offset).copied().unwrap_or(0))?;
    let points = points::of_module(wasm)?;
    for (body, points) in points.iter().enumerate() {
        straight_pass(&mut editor, body, points, source);
    }
    for _ in 0..source.between(1, CONTROL_TURNS) {
        let now = editor.finish();
        let Some(points) = points::of_module(&now) else { break };
        for (body, points) in points.iter().enumerate().take(editor.bodies.len()) {
            control_pass(&mut editor, body, points, source);
        }
        if now.len() > wasm.len() * GROWTH_MAX {
            break;
        }
    }
    let rewritten = editor.finish();
    is_valid(&rewritten).then_some(rewritten)
}

/// How likely an operation is rewritten, in a hundred: what never ran and what ran most, more often than the rest.
fn chance(heat: u64, hottest: u64) -> u32 {
    if heat == 0 {
        14
    } else if heat * 4 >= hottest {
        22
    } else {
        9
    }
}

/// Rewrites single operations of a body.
fn straight_pass(editor: &mut Editor, body: usize, points: &[Point], source: &mut Source<'_>) {
    let old = std::mem::take(&mut editor.bodies[body].lines);
    let hottest = old.iter().map(|line| line.heat).max().unwrap_or(0);
    let index = editor.facts.imported as usize + body;
    let caller = editor.facts.types.get(index).copied();
    let mut new = Vec::with_capacity(old.len() * 2);
    for (at, line) in old.iter().enumerate() {
        let (Some(point), next) = (points.get(at), points.get(at + 1)) else {
            new.push(line.clone());
            continue;
        };
        if !source.percent(chance(line.heat, hottest)) {
            new.push(line.clone());
            continue;
        }
        // A `return` behind is as good as the end; inside of blocks the last operation is not the function's last.
        let returns = old.get(at + 1).is_none_or(|next| matches!(next.operator(), Some(Operator::Return)));
        let place = Place { caller, last: returns };
        let rewritten = if line.heat == 0 && point.reachable && source.percent(60) {
            cold(editor, line, source)
        } else {
            warm(editor, body, line, (point, next), &place, source)
        };
        new.extend(rewritten.unwrap_or_else(|| vec![line.clone()]));
    }
    editor.bodies[body].lines = new;
}

/// What becomes of an operation that never ran.
fn cold(editor: &Editor, line: &Line, source: &mut Source<'_>) -> Option<Vec<Line>> {
    if source.percent(30)
        && let Some(changed) = straight::changed(line, source)
    {
        return Some(changed);
    }
    if matches!(line.operator()?, Operator::Else | Operator::End) {
        return None;
    }
    let mut all = straight::wild(source, &editor.facts);
    all.push(line.clone());
    Some(all)
}

/// What becomes of an operation that may have run.
fn warm(
    editor: &mut Editor,
    body: usize,
    line: &Line,
    (point, next): (&Point, Option<&Point>),
    place: &Place,
    source: &mut Source<'_>,
) -> Option<Vec<Line>> {
    let heat = line.heat;
    match source.below(10) {
        0 => {
            let mut all = straight::nothing(source, heat);
            all.push(line.clone());
            Some(all)
        }
        1 => {
            let mut all = straight::guarded(editor, body, source, heat)?;
            all.push(line.clone());
            Some(all)
        }
        2 | 3 => {
            let (_, gives) = point.arity?;
            let next = next.filter(|next| gives == 1 && next.reachable && point.reachable)?;
            if matches!(
                line.operator()?,
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::TryTable { .. }
            ) {
                return None;
            }
            let ty = module::number(next.stack[0]?)?;
            let mut all = vec![line.clone()];
            all.extend(straight::spill(editor, body, ty, source, heat)?);
            Some(all)
        }
        4 | 5 => straight::outline(editor, line, point, next),
        _ => straight::instead(editor, line, place, source),
    }
}

/// Rewrites blocks and branches of a body, from its end to its start: what lies inside of a rewritten range is left alone.
fn control_pass(editor: &mut Editor, body: usize, points: &[Point], source: &mut Source<'_>) {
    let Some(body) = editor.bodies.get_mut(body) else { return };
    if points.len() != body.lines.len() {
        return;
    }
    let hottest = body.lines.iter().map(|line| line.heat).max().unwrap_or(0);
    let mut done = body.lines.len();
    for at in (0..body.lines.len()).rev() {
        let heat = body.lines[at].heat;
        if !source.percent(2 * chance(heat, hottest)) {
            continue;
        }
        if let Some((end, instead)) = control::instead(body, at, &points[at], source)
            && end < done
        {
            done = at;
            body.lines.splice(at..=end, instead);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;
    use crate::source::{case_seed, expand};
    use wattest_differential::{DefinitionalEngine, Engine, Form, NanRule, Program, Run, compare};

    /// The operations of a module, by name and how often.
    fn operators(wasm: &[u8]) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for payload in wasmparser::Parser::new(0).parse_all(wasm) {
            let wasmparser::Payload::CodeSectionEntry(body) = payload.expect("valid") else { continue };
            for operator in body.get_operators_reader().expect("valid") {
                let text = format!("{:?}", operator.expect("valid"));
                let name = text.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
                *counts.entry(name).or_default() += 1;
            }
        }
        counts
    }

    fn without_places(mut run: Run, of: &Program) -> Run {
        for step in &mut run.steps {
            step.offset = None;
            step.state.globals.truncate(of.shape.globals.len());
            step.state.memories.truncate(of.shape.memories.len());
            step.state.tables.truncate(of.shape.tables.len());
            step.state.empty_elements.truncate(of.shape.element_segments.len());
        }
        run
    }

    /// Rewrites the module for many choices; each result does in the reference what the original does. Gives the operations
    /// of all results.
    fn check(text: &str, seeds: u64) -> BTreeMap<String, usize> {
        let wasm = wat::parse_str(text).expect("valid text");
        let case = Case::from_module(wasm, 0, Form::Original, NanRule::Exact, 1).expect("a module");
        let plan = &case.recipe.plan;
        let (known, profile) = DefinitionalEngine.run_with_profile(&case.program, plan).expect("the reference runs it");
        assert_eq!(known.steps.len(), plan.calls.len() + 1);
        let mut seen = BTreeMap::new();
        for seed in 0..seeds {
            let bytes = expand(case_seed(3, seed));
            let rewritten = rewrite(&case.program.wasm, &profile, &mut Source::new(&bytes));
            let printed = || wasmprinter::print_bytes(rewritten.as_deref().unwrap_or_default()).unwrap_or_default();
            let other =
                Program::new(rewritten.clone().unwrap_or_else(|| panic!("{seed}: nothing valid"))).expect("a module");
            let run = DefinitionalEngine.run(&other, plan).expect("the reference runs it");
            let run = without_places(run, &case.program);
            let known = without_places(known.clone(), &case.program);
            assert_eq!(compare(&known, &run, NanRule::Exact), Ok(()), "{seed}:\n{}", printed());
            for (name, count) in operators(&other.wasm) {
                *seen.entry(name).or_default() += count;
            }
        }
        seen
    }

    #[test]
    fn control_keeps_its_meaning() {
        let seen = check(
            r#"(module (memory 1) (global $g (mut i32) (i32.const 0))
                (func $leaf (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
                (func (export "f") (param i32) (result i32) (local $i i32) (local $sum i32)
                    (local.set $i (i32.and (local.get 0) (i32.const 7)))
                    (block $out
                        (loop $turn
                            (br_if $out (i32.eqz (local.get $i)))
                            (local.set $sum (i32.add (local.get $sum) (call $leaf (local.get $i))))
                            (if (i32.gt_s (local.get $i) (i32.const 100)) (then (global.set $g (i32.const 1))))
                            (local.set $i (i32.sub (local.get $i) (i32.const 1)))
                            (br $turn)))
                    (if (result i32) (local.get $sum)
                        (then (select (local.get $sum) (i32.const 5) (i32.lt_u (local.get 0) (i32.const 9))))
                        (else (global.get $g))))
                (func (export "tail") (param i32) (result i32) (call $leaf (local.get 0)))
                (func (export "two") (param i32) (result i32)
                    (block $a (block $b (br_table $a $b (local.get 0))) (return (i32.const 4)))
                    (if (result i32) (local.get 0) (then (i32.const 1)) (else (local.get 0)))))"#,
            400,
        );
        for name in [
            "BrTable",
            "Select",
            "If",
            "Loop",
            "TryTable",
            "ReturnCall",
            "ReturnCallIndirect",
            "CallIndirect",
            "GlobalSet",
            "I32Store",
            "Unreachable",
            "BrIf",
            "MemoryGrow",
        ] {
            assert!(seen.get(name).copied().unwrap_or(0) > 0, "no {name} in {seen:?}");
        }
    }

    #[test]
    fn generated_modules_keep_their_meaning() {
        let mut rewritten_modules = 0;
        for seed in 0..25 {
            let Some(mut case) = Case::from_seed(case_seed(17, seed)) else { continue };
            case.recipe.plan.calls.truncate(20);
            case.recipe.plan.steps_max = 5000;
            let plan = &mut case.recipe.plan;
            let Ok((known, profile)) = DefinitionalEngine.run_with_profile(&case.program, plan) else { continue };
            let Some(last) = known.steps.len().checked_sub(1) else { continue };
            plan.calls.truncate(last);
            plan.steps_max = 1_000_000;
            let bytes = expand(case_seed(4, seed));
            let Some(rewritten) = rewrite(&case.program.wasm, &profile, &mut Source::new(&bytes)) else { continue };
            rewritten_modules += 1;
            let other = Program::new(rewritten).expect("a module");
            let run = without_places(DefinitionalEngine.run(&other, plan).expect("it runs"), &case.program);
            let known = without_places(known, &case.program);
            assert_eq!(compare(&known, &run, NanRule::Exact), Ok(()), "seed {seed}");
        }
        assert!(rewritten_modules > 18, "only {rewritten_modules} of 25");
    }

    #[test]
    fn the_profile_says_what_never_runs() {
        let text = "(module (func (export \"f\") (param i32) (if (i32.and (i32.const 0) (local.get 0)) (then (drop (i32.const 77))))))";
        let wasm = wat::parse_str(text).expect("valid text");
        let case = Case::from_module(wasm, 0, Form::Original, NanRule::Exact, 1).expect("a module");
        let profile = DefinitionalEngine.run_with_profile(&case.program, &case.recipe.plan).expect("it runs").1;
        let editor =
            Editor::of(&case.program.wasm, |offset| profile.get(&offset).copied().unwrap_or(0)).expect("a module");
        let calls = case.recipe.plan.calls.len() as u64;
        let heat: Vec<u64> = editor.bodies[0].lines.iter().map(|line| line.heat).collect();
        // Constants, `and`, `if`; then what never ran, and the end of the block.
        assert_eq!(&heat[..6], [calls, calls, calls, calls, 0, 0]);
    }
}
