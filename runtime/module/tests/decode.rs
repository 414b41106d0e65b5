//! The decoder on malformed, truncated and oversized binaries, and what it finds out about good ones.
//!
//! Promises: a description or an error within the binary, for any bytes
//! ([spec](https://webassembly.github.io/spec/core/binary/modules.html)); limits are kept exactly.
//!
//! Invariant: every case is given by its text or by a fixed seed.
//!
//! Does not know: what descriptions are used for.

use wattest_module::{
    DataKind, DecodeError, DefinedFuncIndex, ElementItems, Feature, Features, FuncIndex, Limits, ModuleDesc,
    TableIndex, TypeIndex, check_custom_sections, decode,
};

fn binary(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn desc(text: &str) -> ModuleDesc {
    decode(&binary(text), &Features::default(), &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Decodes bytes of any origin: what matters is that the answer is sound.
fn survive(wasm: &[u8]) {
    match decode(wasm, &Features::default(), &Limits::default()) {
        Ok(desc) => {
            let in_binary = |range: &std::ops::Range<u32>| range.start <= range.end && range.end as usize <= wasm.len();
            assert!(desc.data.iter().all(|segment| in_binary(&segment.bytes)));
            assert!(desc.bodies.iter().all(|body| in_binary(&body.bytes)));
            assert!(desc.names.iter().all(in_binary));
            assert_eq!(desc.bodies.len() + desc.imported_functions as usize, desc.functions.len());
            assert!(desc.is_consistent());
        }
        Err(error) => assert!(error.offset() <= wasm.len(), "{error} in {} bytes", wasm.len()),
    }
}

const RICH: &str = r#"(module $rich
    (type $a (func (param i32 i64) (result f32 f64))) (type (func))
    (import "i" "f" (func (type $a))) (import "i" "t" (table 1 funcref)) (import "i" "m" (memory 1))
    (import "i" "g" (global i32))
    (table 3 externref) (table 4 funcref) (global (mut i64) (i64.const 7)) (global i32 (global.get 0))
    (export "f" (func 1)) (start 2) (elem (table 2) (i32.const 0) func 1 2) (elem funcref (ref.func 1) (ref.null func))
    (func (type $a) (f32.const 1) (f64.const 2)) (func) (data "passive") (data (i32.const 3) "active"))"#;

#[test]
fn damaged_descriptions_are_told() {
    let check = |damage: fn(&mut ModuleDesc)| {
        let mut desc = desc(RICH);
        assert!(desc.is_consistent());
        damage(&mut desc);
        assert!(!desc.is_consistent(), "{desc:?}");
    };
    check(|desc| desc.rec_groups = vec![0, 18]);
    check(|desc| desc.rec_groups = vec![1]);
    check(|desc| desc.rec_groups.clear());
    check(|desc| desc.functions[0] = TypeIndex(40));
    check(|desc| desc.imported_tables = 9);
    check(|desc| desc.imported_globals += 1);
    check(|desc| desc.escapes[1] = 99);
    check(|desc| desc.memories[0].page_bytes_log2 = 70);
    check(|desc| desc.start = Some(FuncIndex(77)));
    check(|desc| desc.types[0].supertype = Some(TypeIndex(0)));
    check(|desc| desc.data[0].bytes.start = u32::MAX);
    check(|desc| desc.facts.tables_written.clear());
}

#[test]
fn any_bytes() {
    let wasm = binary(RICH);
    (0..=wasm.len()).for_each(|len| survive(&wasm[..len]));
    let mut damaged = wasm.clone();
    for at in 0..wasm.len() {
        for byte in 0..=255 {
            damaged[at] = byte;
            survive(&damaged);
        }
        damaged[at] = wasm[at];
    }
    // Bytes removed and doubled.
    for at in 0..wasm.len() {
        survive(&[&wasm[..at], &wasm[at + 1..]].concat());
        survive(&[&wasm[..at], &wasm[at..=at], &wasm[at..]].concat());
    }
}

fn check(wasm: &[u8], features: Features, limits: Limits, expected: Result<(), &str>) {
    let result = decode(wasm, &features, &limits);
    match (&result, expected) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err(text)) => assert!(error.to_string().contains(text), "{error}"),
        _ => panic!("{:?}, but expected {expected:?}", result.map(|_| ())),
    }
}

#[test]
fn limits_are_exact() {
    let wasm = binary(r#"(module (import "" "" (func)) (func) (func (drop (i32.const 1)) (drop (i32.const 2))))"#);
    let limits = Limits { module_bytes_max: wasm.len() as u64, functions_max: 3, body_bytes_max: 8 };
    let all = Features::default();
    check(&wasm, all, limits, Ok(()));
    check(&wasm, all, Limits { module_bytes_max: wasm.len() as u64 - 1, ..limits }, Err("module size"));
    check(&wasm, all, Limits { functions_max: 2, ..limits }, Err("number of functions"));
    check(&wasm, all, Limits { body_bytes_max: 7, ..limits }, Err("function body size"));
}

#[test]
fn features_are_needed() {
    let cases = [
        ("(module (func (result i32 i32) (i32.const 1) (i32.const 2)))", "multi-value"),
        ("(module (func (param v128)))", "SIMD"),
        ("(module (memory 1) (memory 1))", "multi"),
        ("(module (memory i64 1))", "memory64"),
        ("(module (func $f (return_call $f)))", "tail calls"),
        ("(module (memory 1 1 shared))", "threads"),
        ("(module (global i32 (i32.add (i32.const 1) (i32.const 2))))", "constant"),
        ("(module (table 1 externref))", "reference types"),
    ];
    for (text, message) in cases {
        check(&binary(text), Features::default(), Limits::default(), Ok(()));
        check(&binary(text), Features::wasm1(), Limits::default(), Err(message));
    }
}

#[test]
fn errors_name_the_function() {
    let wasm = binary("(module (func) (func) (func (result i32) (i64.const 1)))");
    let error = decode(&wasm, &Features::default(), &Limits::default()).expect_err("it is invalid");
    let DecodeError::Invalid { function, offset, .. } = &error else { panic!("{error}") };
    assert_eq!(*function, Some(2));
    assert!((8..wasm.len()).contains(offset), "{error}");
    // The first of several, in parallel too.
    let bad = "(func (result i32) (i64.const 1))";
    let good = format!("(func {})", "(drop (i32.const 100000))".repeat(1000));
    let wasm = binary(&format!("(module {} {bad} {} {bad})", good.repeat(30), good.repeat(30)));
    for _ in 0..5 {
        let error = decode(&wasm, &Features::default(), &Limits::default()).expect_err("it is invalid");
        assert!(error.to_string().ends_with("in function 30)"), "{error}");
    }
}

#[test]
fn components_are_recognized() {
    check(b"\0asm\x0d\0\x01\0", Features::default(), Limits::default(), Err("component"));
}

#[test]
fn values_passed_by_control_have_a_budget() {
    let (params, results) = (" i32".repeat(1000), " i32".repeat(1000));
    let wide = |code: &str| {
        binary(&format!(
            "(module (type $w (func (param{params}) (result{results}))) (func $f (type $w) unreachable)
               (func {} {code} {}))",
            "i32.const 0 ".repeat(1000),
            "drop ".repeat(1000),
        ))
    };
    let budget = Err("values passed");
    for (code, unit) in [("call $f ", 120), ("block (type $w) end ", 120), ("(if (type $w) (i32.const 1) (then))", 120)]
    {
        check(&wide(&code.repeat(unit)), Features::default(), Limits::default(), Ok(()));
        check(&wide(&code.repeat(unit + 20)), Features::default(), Limits::default(), budget);
    }
    let branches = |count: usize| {
        let (params, branch) = (" i32".repeat(1000), "i32.const 0 br_if 0 ".repeat(count));
        format!("block (param{params}) (result{params}) {branch} end")
    };
    check(&wide(&branches(200)), Features::default(), Limits::default(), Ok(()));
    check(&wide(&branches(300)), Features::default(), Limits::default(), budget);
    // Ordinary code passes at most what it has made.
    let plain = format!(
        "(module (func $f (param i32) (result i32) {} local.get 0))",
        "(drop (call $f (i32.const 1)))".repeat(200_000)
    );
    check(&binary(&plain), Features::default(), Limits::default(), Ok(()));
}

#[test]
fn functions_that_escape() {
    let desc = desc(
        r#"(module (import "" "" (func $i)) (func $a) (func $b) (func $c) (func $d) (func $e) (func $f) (func $g)
            (export "a" (func $a)) (export "i" (func $i)) (start $c) (global funcref (ref.func $d))
            (table funcref (elem $e)) (elem declare func $f)
            (func (drop (ref.func $f)) (call $b)))"#,
    );
    let escaping = (0..desc.functions.len() as u32).filter(|index| desc.func_ref_slot(FuncIndex(*index)).is_some());
    assert_eq!(escaping.collect::<Vec<_>>(), [1, 3, 4, 5, 6], "a, c, d, e and f; the import has its value elsewhere");
    assert_eq!(desc.escaping_functions, 5);
    let slots = desc.escapes.iter().filter_map(|slot| slot.checked_sub(1)).collect::<Vec<_>>();
    assert_eq!(slots, [0, 1, 2, 3, 4]);
}

#[test]
fn tables_known_before_instantiation() {
    let defined = |index: u32| Some(DefinedFuncIndex(index));
    let cases = [
        ("(table 3 funcref) (elem (i32.const 1) $a $b)", Some(vec![None, defined(0), defined(1)])),
        ("(table 2 funcref) (elem (i32.const 0) $a $a) (elem (i32.const 1) $b)", Some(vec![defined(0), defined(1)])),
        ("(table 0 funcref)", Some(vec![])),
        ("(table 2 funcref) (elem (i32.const 1) $a $b)", None),
        ("(table 2 funcref) (elem (i32.const -1) $a)", None),
        (r#"(table 2 funcref) (export "t" (table 0))"#, None),
        ("(table 2 funcref) (func (table.set (i32.const 0) (ref.null func)))", None),
        ("(table 2 funcref) (func (drop (table.grow (ref.null func) (i32.const 0))))", None),
        ("(table 2 funcref) (func (table.fill (i32.const 0) (ref.null func) (i32.const 0)))", None),
        ("(table 2 funcref) (func (table.copy (i32.const 0) (i32.const 0) (i32.const 0)))", None),
        ("(table 2 funcref) (elem $p func $a) (func (table.init $p (i32.const 0) (i32.const 0) (i32.const 0)))", None),
        ("(table 2 funcref) (elem (i32.const 0) funcref (ref.null func))", None),
        ("(table 2 externref)", None),
        ("(table 2 funcref) (func (drop (table.get (i32.const 0))) (drop (table.size)))", Some(vec![None, None])),
        ("(table 4000000000 funcref)", None),
        ("(table 5000 funcref)", None),
    ];
    for (text, expected) in cases {
        let desc = desc(&format!("(module (func $a) (func $b) {text})"));
        assert_eq!(desc.static_table(TableIndex(0)), expected, "{text}");
    }
    let imported = desc(r#"(module (import "" "" (table 2 funcref)) (func $a) (elem (i32.const 0) $a))"#);
    assert_eq!(imported.static_table(TableIndex(0)), None);
    let import = desc(r#"(module (import "" "" (func $a)) (table 2 funcref) (elem (i32.const 0) $a))"#);
    assert_eq!(import.static_table(TableIndex(0)), None, "the function is another instance's");
    let copied = desc(
        "(module (table 1 funcref) (table 1 funcref) (func (table.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 0))))",
    );
    assert!(!copied.table_is_read_only(TableIndex(0)) && copied.table_is_read_only(TableIndex(1)));
}

#[test]
fn equal_types_have_one_representative() {
    let desc = desc(
        "(module (type (func)) (type (func (param i32))) (type (func)) (type (func (param i32)))
           (type (func (result i32))) (type (func (param funcref))) (type (func (param externref))))",
    );
    assert_eq!(desc.canonical, [0, 1, 0, 1, 4, 5, 6].map(TypeIndex));
    assert_eq!(desc.rec_groups, [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn segments_and_names() {
    let desc = desc(RICH);
    assert_eq!(desc.name.as_deref(), Some("rich"));
    assert!(matches!(desc.data[0].kind, DataKind::Passive));
    let wasm = binary(RICH);
    let bytes = |index: usize| &wasm[desc.data[index].bytes.start as usize..desc.data[index].bytes.end as usize];
    assert_eq!((bytes(0), bytes(1)), (&b"passive"[..], &b"active"[..]));
    assert!(matches!(&desc.elements[0].items, ElementItems::Functions(functions) if functions.len() == 2));
    assert!(matches!(&desc.elements[1].items, ElementItems::Expressions(exprs) if exprs.len() == 2));
    assert_eq!(desc.start, Some(FuncIndex(2)));
}

/// Checks what hints `text`, with a branch hint section changed by `edit`, gives: `(offset from the body's start, taken)`,
/// or part of the error that a strict reader gets.
fn check_hints(text: &str, edit: impl Fn(&mut Vec<u8>), expected: Result<&[(u32, bool)], &str>) {
    let mut wasm = binary(text);
    edit(&mut wasm);
    let desc = decode(&wasm, &Features::default(), &Limits::default()).expect("hints never make a module invalid");
    let start = desc.bodies.first().map_or(0, |body| body.bytes.start);
    let found = desc.branch_hints.iter().map(|hint| (hint.offset - start, hint.taken)).collect::<Vec<_>>();
    let strict = check_custom_sections(&wasm, &Features::default(), &Limits::default());
    match (strict, expected) {
        (Ok(()), Ok(expected)) => assert_eq!(found, expected),
        (Err(error), Err(part)) => {
            assert!(error.to_string().contains(part), "{error}");
            assert!(found.is_empty());
        }
        (other, expected) => panic!("{other:?}, but expected {expected:?}"),
    }
}

const HINTED: &str = r#"(module (func (param i32)
    (block (local.get 0) (@metadata.code.branch_hint "\01") (br_if 0))
    (local.get 0) (@metadata.code.branch_hint "\00") (if (then nop))))"#;

/// The position of the contents of the first hint: its offset, its size, its value.
fn first_hint(wasm: &[u8]) -> usize {
    let name = b"metadata.code.branch_hint";
    let start = wasm.windows(name.len()).position(|window| window == name).expect("a section of hints");
    // After the name: one function, its index, two hints.
    start + name.len() + 3
}

#[test]
fn branch_hints_are_read_or_ignored_whole() {
    check_hints(HINTED, |_| {}, Ok(&[(5, true), (10, false)]));
    check_hints("(module (func (param i32)))", |_| {}, Ok(&[]));
    // Not an instruction, another instruction, out of order, twice, beyond the end.
    check_hints(
        HINTED,
        |wasm| {
            let at = first_hint(wasm);
            wasm[at] = 4
        },
        Err("no instruction"),
    );
    check_hints(
        HINTED,
        |wasm| {
            let at = first_hint(wasm);
            wasm[at] = 3
        },
        Err("invalid target"),
    );
    check_hints(
        HINTED,
        |wasm| {
            let at = first_hint(wasm);
            wasm[at] = 10
        },
        Err("no instruction"),
    );
    check_hints(
        HINTED,
        |wasm| {
            let at = first_hint(wasm);
            wasm[at + 3] = 5
        },
        Err("no instruction"),
    );
    check_hints(
        HINTED,
        |wasm| {
            let at = first_hint(wasm);
            wasm[at + 3] = 99
        },
        Err("no instruction"),
    );
    check_hints(
        HINTED,
        |wasm| {
            let at = first_hint(wasm);
            wasm[at + 1] = 2
        },
        Err("branch hint"),
    );
    check_hints(
        HINTED,
        |wasm| {
            let at = first_hint(wasm);
            wasm[at + 2] = 2
        },
        Err("branch hint"),
    );
    check_hints(
        HINTED,
        |wasm| {
            let at = first_hint(wasm);
            wasm[at - 2] = 1
        },
        Err("not a function"),
    );
}

#[test]
fn compact_imports_are_imports() {
    let import = |entry: &[u8]| {
        let section = [&[2, entry.len() as u8 + 1, 1][..], entry].concat();
        [&b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0"[..], &section].concat()
    };
    // One module name and many items; one module name, one type and many names.
    let mixed = import(&[&b"\x01m\0\x7f\x02"[..], b"\x01f\0\0", b"\x01g\x03\x7f\0"].concat());
    let alike = import(&[&b"\x01m\0\x7e\0\0\x02"[..], b"\x01f", b"\x01h"].concat());
    let compact = Features::default().with(Feature::CompactImports);
    for (wasm, names) in [(mixed, ["f", "g"]), (alike, ["f", "h"])] {
        let desc = decode(&wasm, &compact, &Limits::default()).expect("a module");
        let found = desc.imports.iter().map(|import| (import.module.as_str(), import.name.as_str()));
        assert_eq!(found.collect::<Vec<_>>(), names.map(|name| ("m", name)));
        assert!(decode(&wasm, &Features::default(), &Limits::default()).is_err());
        (0..wasm.len()).for_each(|len| drop(decode(&wasm[..len], &compact, &Limits::default())));
    }
}

#[test]
fn a_module_name_is_not_multiplied_without_bound() {
    // 100,000 bytes of a name, shared by 10,000 imports.
    let name = [&[0xa0, 0x8d, 0x06][..], &vec![b'n'; 100_000]].concat();
    let names = [0].repeat(10_000);
    let entry = [&[1][..], &name, &[0, 0x7e, 0, 0, 0x90, 0x4e], &names].concat();
    let size = [entry.len() & 0x7f | 0x80, entry.len() >> 7 & 0x7f | 0x80, entry.len() >> 14].map(|byte| byte as u8);
    let wasm = [&b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02"[..], &size, &entry].concat();
    let compact = Features::default().with(Feature::CompactImports);
    let error = decode(&wasm, &compact, &Limits::default()).expect_err("too much");
    assert!(matches!(error, DecodeError::Limit { what: "size of the names of imports", .. }), "{error}");
}
