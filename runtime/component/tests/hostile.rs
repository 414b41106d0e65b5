//! Components made to exhaust whoever compiles them.
//!
//! Small files that describe large things: each ends in a plan or in a typed error, without deep stacks and long before the
//! memory is gone ([limits](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md)).
//!
//! Invariant: every test says which of the two it is; each runs on a thread with a quarter of a megabyte of stack.
//!
//! Does not know: how long anything takes; `examples/compile.rs` measures.

use std::fmt::Write as _;
use wattest_component::{CompileOptions, ComponentError, DecodeOptions, Features, Limit, Plan, compile};

/// Less than anything deep would need, more than the flat code of debug builds does.
const STACK_BYTES: usize = 1 << 18;

fn on_a_small_stack(binary: Vec<u8>, change: fn(&mut CompileOptions)) -> Result<Plan, ComponentError> {
    let work = move || {
        let features = Features::all(wattest_module::Features::default());
        let decode = DecodeOptions { features, ..DecodeOptions::default() };
        let mut options = CompileOptions { decode, verify: true, ..CompileOptions::default() };
        change(&mut options);
        compile(&binary, &options)
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    thread.expect("a thread").join().expect("no panic")
}

fn text(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).expect("well-formed text")
}

/// What becomes of a binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Plan,
    Invalid,
    Limit(Limit),
    TypeLimit,
}

fn check(binary: Vec<u8>, expected: Expected) {
    let found = match on_a_small_stack(binary, |_| ()) {
        Ok(_) => Expected::Plan,
        Err(ComponentError::Invalid { .. }) => Expected::Invalid,
        Err(ComponentError::Limit(error)) => Expected::Limit(error.what),
        Err(ComponentError::Type(_)) => Expected::TypeLimit,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(found, expected);
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

fn with_section(id: u8, contents: &[u8]) -> Vec<u8> {
    [HEADER, &[id], &leb(contents.len()), contents].concat()
}

/// Each level instantiates the one below twice.
fn doubling(levels: usize, leaf: &str) -> Vec<u8> {
    let mut wat = format!("(component (component $c0 {leaf})");
    for level in 1..=levels {
        let below = level - 1;
        write!(
            wat,
            "(component $c{level} (alias outer 1 $c{below} (component $b)) (instance (instantiate $b)) (instance (instantiate $b)))"
        )
        .expect("memory");
    }
    write!(wat, "(instance (instantiate $c{levels})))").expect("memory");
    text(&wat)
}

#[test]
fn instantiations_double_up_to_a_limit() {
    let small = doubling(10, "(core module $m) (core instance (instantiate $m)) (type (resource (rep i32)))");
    check(small, Expected::Plan);
    let large = doubling(40, "");
    assert!(large.len() < 2500, "{} bytes", large.len());
    check(large, Expected::Limit(Limit::Instances));
    let effects = doubling(
        12,
        "(core module $m) (core instance (instantiate $m)) (core instance (instantiate $m)) (core instance (instantiate $m))",
    );
    check(effects, Expected::Limit(Limit::Effects));
}

/// An instance type that has the one below twice, at every level.
fn doubling_type(levels: usize) -> String {
    let mut wat = String::from("(component (type $t0 (instance (export \"f\" (func))))");
    for level in 1..=levels {
        let below = level - 1;
        write!(
            wat,
            "(type $t{level} (instance (alias outer 1 $t{below} (type $b)) (export \"a\" (instance (type $b))) (export \"b\" (instance (type $b)))))"
        )
        .expect("memory");
    }
    write!(wat, "(import \"i\" (instance $i (type $t{levels})))").expect("memory");
    wat
}

#[test]
fn imported_and_exported_trees_double_up_to_a_limit() {
    check(text(&format!("{})", doubling_type(6))), Expected::Plan);
    check(text(&format!("{} (export \"e\" (instance $i)))", doubling_type(6))), Expected::Plan);
    let found = on_a_small_stack(text(&format!("{})", doubling_type(40))), |_| ());
    assert!(matches!(found, Err(ComponentError::Invalid { .. } | ComponentError::Limit(_))), "{found:?}");
    // Bags of exports that hold one bag twice cost nothing until they are exported.
    let mut wat = String::from("(component (instance $b0)");
    for level in 1..=24 {
        let below = level - 1;
        write!(wat, "(instance $b{level} (export \"a\" (instance $b{below})) (export \"b\" (instance $b{below})))")
            .expect("memory");
    }
    let found = on_a_small_stack(text(&format!("{wat} (export \"e\" (instance $b24)))")), |_| ());
    assert!(matches!(found, Err(ComponentError::Invalid { .. } | ComponentError::Limit(_))), "{found:?}");
}

#[test]
fn chains_of_lifts_and_lowers_are_flat() {
    let mut wat = String::from(
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) (func $f0 (canon lift (core func $i \"f\")))",
    );
    for link in 0..20_000 {
        let next = link + 1;
        write!(
            wat,
            "(core func $l{link} (canon lower (func $f{link}))) (func $f{next} (canon lift (core func $l{link})))"
        )
        .expect("memory");
    }
    wat.push_str("(export \"f\" (func $f20000)))");
    check(text(&wat), Expected::Plan);
}

/// A component passes a function through many sibling instances, each of which lifts what it lowers.
fn sibling_chain(links: usize, params: &str) -> Vec<u8> {
    let mut wat = format!(
        "(component (component $leaf (core module $m (memory (export \"m\") 1) (func (export \"f\") (param i32 i32)) (func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable))
           (core instance $i (instantiate $m))
           (func (export \"f\") (param \"s\" {params}) (canon lift (core func $i \"f\") (memory (core memory $i \"m\")) (realloc (core func $i \"r\")))))
         (component $link (import \"f\" (func $f (param \"s\" {params})))
           (core module $m (memory (export \"m\") 1) (func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable))
           (core instance $i (instantiate $m))
           (core func $l (canon lower (func $f) (memory (core memory $i \"m\")) (realloc (core func $i \"r\"))))
           (func (export \"f\") (param \"s\" {params}) (canon lift (core func $l) (memory (core memory $i \"m\")) (realloc (core func $i \"r\")))))
         (instance $i0 (instantiate $leaf))"
    );
    for link in 1..=links {
        let below = link - 1;
        write!(wat, "(instance $i{link} (instantiate $link (with \"f\" (func $i{below} \"f\"))))").expect("memory");
    }
    write!(wat, "(export \"f\" (func $i{links} \"f\")))").expect("memory");
    text(&wat)
}

#[test]
fn chains_of_adapters_are_flat() {
    let plan = on_a_small_stack(sibling_chain(990, "string"), |_| ()).expect("a plan");
    let adapters: usize = plan.linear.adapters.iter().map(|adapter| adapter.exports.len()).sum();
    assert_eq!(adapters, 990);
    // A module has at most 100 memories.
    assert!(plan.linear.adapters.len() >= 10, "{} modules", plan.linear.adapters.len());
}

#[test]
fn adapters_of_large_types_stay_linear() {
    // Every type holds the one before twice, so that the number of fields doubles.
    fn fields(levels: usize) -> Vec<u8> {
        let mut wat = String::from("(component (type $t0 (list string))");
        for level in 1..=levels {
            let below = level - 1;
            write!(wat, "(type $t{level} (tuple $t{below} $t{below}))").expect("memory");
        }
        let module = "(core module $m (memory (export \"m\") 1) (func (export \"f\") (param i32)) (func (export \"r\") (param i32 i32 i32 i32) (result i32) unreachable)) (core instance $i (instantiate $m))";
        write!(
            wat,
            "(component $a (alias outer 1 $t{levels} (type $t)) {module} (func (export \"f\") (param \"p\" $t) (canon lift (core func $i \"f\") (memory (core memory $i \"m\")) (realloc (core func $i \"r\")))))
             (component $b (alias outer 1 $t{levels} (type $t)) (import \"f\" (func $f (param \"p\" $t))) {module} (core func $l (canon lower (func $f) (memory (core memory $i \"m\"))))
               (core module $u (import \"\" \"f\" (func (param i32)))) (core instance (instantiate $u (with \"\" (instance (export \"f\" (func $l)))))))
             (instance $a (instantiate $a)) (instance (instantiate $b (with \"f\" (func $a \"f\")))))"
        )
        .expect("memory");
        text(&wat)
    }
    let bytes = |levels| {
        let plan = on_a_small_stack(fields(levels), |_| ()).expect("a plan");
        plan.linear.templates.iter().map(Vec::len).sum::<usize>()
    };
    let (eight, sixteen) = (bytes(8), bytes(16));
    assert!(sixteen < 4 * eight, "{eight} and {sixteen} bytes");
}

#[test]
fn types_nest_up_to_a_limit() {
    let lists = |depth: usize| {
        let mut wat = String::from("(component (type $t0 (list u8))");
        for level in 1..depth {
            write!(wat, "(type $t{level} (list $t{}))", level - 1).expect("memory");
        }
        text(&(wat + ")"))
    };
    check(lists(90), Expected::Plan);
    check(lists(10_000), Expected::Invalid);
    // Instance types in instance types: `0x42`, one declaration, which is a type.
    let nested = |depth: usize| {
        let mut contents = vec![1];
        contents.extend([0x42, 1, 1].repeat(depth));
        contents.extend([0x42, 0]);
        with_section(7, &contents)
    };
    check(nested(50), Expected::Plan);
    check(nested(200_000), Expected::Limit(Limit::Depth));
}

#[test]
fn instances_of_exports_nest_up_to_a_limit() {
    let nested = |depth: usize| {
        let mut wat = String::from("(component (instance)");
        for level in 0..depth {
            write!(wat, r#"(instance (export "i" (instance {level})))"#).expect("memory");
        }
        text(&(wat + ")"))
    };
    check(nested(90), Expected::Plan);
    check(nested(900), Expected::Limit(Limit::Depth));
}

#[test]
fn components_nest_up_to_a_limit() {
    let nested = |depth: usize| {
        let mut binary = HEADER.to_vec();
        for _ in 0..depth {
            binary = with_section(4, &binary);
        }
        binary
    };
    check(nested(50), Expected::Plan);
    check(nested(2_000), Expected::Limit(Limit::Depth));
}

#[test]
fn wide_types_and_long_names_meet_a_limit() {
    let cases = |count: usize| {
        let mut contents = [vec![1, 0x6d], leb(count)].concat();
        for case in 0..count {
            let name = format!("c{case}");
            contents.extend(leb(name.len()));
            contents.extend(name.as_bytes());
        }
        with_section(7, &contents)
    };
    check(cases(9_000), Expected::Plan);
    check(cases(100_000), Expected::Invalid);
    let import = |bytes: usize| {
        let mut contents = vec![1, 0];
        contents.extend(leb(bytes));
        contents.extend(vec![b'a'; bytes]);
        contents.extend([3, 1]);
        with_section(10, &contents)
    };
    check(import(90_000), Expected::Plan);
    check(import(4 << 20), Expected::Invalid);
}

#[test]
fn limits_of_the_caller_hold() {
    let tiny =
        || text("(component (core module $m) (core instance (instantiate $m)) (core instance (instantiate $m)))");
    let found = on_a_small_stack(tiny(), |options| options.decode.definitions_max = 2);
    assert!(matches!(found, Err(ComponentError::Limit(error)) if error.what == Limit::Definitions), "{found:?}");
    let found = on_a_small_stack(tiny(), |options| options.decode.bytes_max = 8);
    assert!(matches!(found, Err(ComponentError::Limit(error)) if error.what == Limit::Bytes), "{found:?}");
    let found = on_a_small_stack(tiny(), |options| options.elaborate.steps_max = 2);
    assert!(matches!(found, Err(ComponentError::Limit(error)) if error.what == Limit::Steps), "{found:?}");
    let found = on_a_small_stack(tiny(), |options| options.elaborate.graph.effects_max = 1);
    assert!(matches!(found, Err(ComponentError::Limit(error)) if error.what == Limit::Effects), "{found:?}");
}

/// Every prefix of a component and every component with one byte changed ends in a plan or an error.
#[test]
fn damaged_components_are_refused_or_compiled() {
    let whole = sibling_chain(2, "(list string)");
    let mut outcomes = [0u32; 2];
    for at in 0..whole.len() {
        for bits in [0x01, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= bits;
            outcomes[usize::from(compile(&damaged, &CompileOptions::default()).is_ok())] += 1;
        }
        // Sections may end a component at any of their ends.
        outcomes[usize::from(compile(&whole[..at], &CompileOptions::default()).is_ok())] += 1;
    }
    assert!(outcomes.iter().all(|count| *count > 100), "{outcomes:?}");
}
