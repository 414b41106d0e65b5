//! Hostile and damaged binaries and texts through `Module::new`.
//!
//! Promises: whatever the bytes are, the answer is a module or a typed error that says where
//! ([spec](https://webassembly.github.io/spec/core/binary/index.html)), soon and within a bounded amount of memory.
//!
//! Invariant: every case is a function of a fixed seed.
//!
//! Does not know: what the modules would compute.

use std::time::Instant;
use wattest::{CompileError, Config, Engine, Feature, Module, OptLevel};

/// What a case must end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Module,
    /// Any typed error.
    Refused,
    /// An error whose text contains this.
    Says(&'static str),
    /// Either; only time and memory matter.
    Any,
}

/// Seconds that one case may take in an unoptimized build on a busy machine.
const SECONDS_MAX: f64 = 20.0;
/// Bytes that one case may add to the largest resident set.
const GROWTH_BYTES_MAX: u64 = 700 << 20;

/// The largest resident set so far, in bytes; 0 where the system does not tell.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).map_or(0, |kb| kb << 10)
}

fn fast_engine() -> Engine {
    let mut config = Config::new();
    config.opt_level(OptLevel::None).parallel_compilation(false);
    Engine::new(&config).expect("the configuration is sound")
}

fn check(name: &str, bytes: &[u8], expected: Expected) {
    check_with(&fast_engine(), name, bytes, expected);
}

fn check_with(engine: &Engine, name: &str, bytes: &[u8], expected: Expected) {
    // Linux starts the record anew for this; elsewhere, growth is that of the whole test.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (before, start) = (peak_bytes(), Instant::now());
    let made = Module::new(engine, bytes);
    let (seconds, grown) = (start.elapsed().as_secs_f64(), peak_bytes().saturating_sub(before));
    eprintln!("{name}: {seconds:.2} s, {} MiB, {:?}", grown >> 20, made.as_ref().map(|_| ()));
    match (&made, expected) {
        (_, Expected::Any) | (Ok(_), Expected::Module) => {}
        (Err(error), Expected::Refused) => assert!(!error.to_string().is_empty(), "{name}: an error without text"),
        (Err(error), Expected::Says(text)) => assert!(error.to_string().contains(text), "{name}: {error}"),
        _ => panic!("{name}: {:?}, but expected {expected:?}", made.map(|_| ())),
    }
    assert!(seconds < SECONDS_MAX, "{name} took {seconds} s");
    assert!(grown < GROWTH_BYTES_MAX, "{name} took {grown} bytes");
}

/// A linear congruential sequence; the high bits are the good ones.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below.max(1)
    }
}

fn leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [&[id][..], &leb(body.len() as u64), body].concat()
}

/// A vector of `items`.
fn vector(items: &[Vec<u8>]) -> Vec<u8> {
    [leb(items.len() as u64), items.concat()].concat()
}

fn module(sections: &[Vec<u8>]) -> Vec<u8> {
    [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
}

/// A function type.
fn ty(params: &[u8], results: &[u8]) -> Vec<u8> {
    [&[0x60][..], &leb(params.len() as u64), params, &leb(results.len() as u64), results].concat()
}

/// A function body with locals already encoded; the final `end` is added here.
fn body(locals: &[u8], code: &[u8]) -> Vec<u8> {
    let inner = [locals, code, &[0x0b]].concat();
    [leb(inner.len() as u64), inner].concat()
}

/// A module of types and one function of type `index`.
fn one_function(types: &[Vec<u8>], index: u8, locals: &[u8], code: &[u8]) -> Vec<u8> {
    module(&[section(1, &vector(types)), section(3, &[1, index]), section(10, &vector(&[body(locals, code)]))])
}

const I32: u8 = 0x7f;
const V128: u8 = 0x7b;

/// A module that uses most sections.
fn rich() -> Vec<u8> {
    wat::parse_str(
        r#"(module $rich
            (import "a" "f" (func $f (param i32 i64 f32 f64 v128) (result i32)))
            (import "a" "g" (global $g (mut i32)))
            (memory (export "m") 1 10)
            (table $t (export "t") 10 20 funcref)
            (global $h (export "h") (mut i64) (i64.const 5))
            (data (i32.const 8) "hello")
            (data $p "passive")
            (elem (table $t) (i32.const 1) func $a $b)
            (elem declare func $a)
            (start $b)
            (func $a (export "a") (param $x i32) (result i32) (local i64 f32 v128)
                (if (result i32) (local.get $x)
                    (then (call $a (i32.sub (local.get $x) (i32.const 1))))
                    (else (i32.load offset=4 (i32.const 8)))))
            (func $b
                (block $out (loop $again
                    (br_table $out $again $out (i32.const 2))))
                (memory.init $p (i32.const 0) (i32.const 0) (i32.const 3))
                (global.set $g (call_indirect (type 0)
                    (i32.const 0) (i64.const 1) (f32.const 2) (f64.const 3) (v128.const i64x2 1 2) (i32.const 1))))
        )"#,
    )
    .expect("the text is a module")
}

#[test]
fn every_prefix_of_a_module_is_an_error_or_a_module() {
    let (engine, wasm) = (fast_engine(), rich());
    for len in 8..wasm.len() {
        match Module::from_binary(&engine, &wasm[..len]) {
            Ok(_) => {}
            Err(CompileError::Decode(error)) => {
                assert!(error.offset() <= len, "prefix {len}: {error} lies at {}", error.offset());
            }
            Err(other) => panic!("prefix {len}: {other}"),
        }
    }
    for len in 0..8 {
        assert!(Module::from_binary(&engine, &wasm[..len]).is_err(), "prefix {len}");
    }
}

#[test]
fn flipped_bits_are_errors_or_modules() {
    let (engine, wasm, mut seeded) = (fast_engine(), rich(), Seeded(1));
    let mut valid = 0;
    for _ in 0..1500 {
        let mut damaged = wasm.clone();
        for _ in 0..=seeded.next(3) {
            let at = seeded.next(damaged.len());
            damaged[at] ^= 1 << seeded.next(8);
        }
        valid += u32::from(Module::from_binary(&engine, &damaged).is_ok());
    }
    assert!(valid > 0, "no damage was harmless: the test does not reach the compiler");
}

#[test]
fn replaced_bytes_and_random_bytes_are_errors_or_modules() {
    let (engine, wasm, mut seeded) = (fast_engine(), rich(), Seeded(2));
    for _ in 0..1500 {
        let mut damaged = wasm.clone();
        let at = seeded.next(damaged.len());
        let len = seeded.next(6).min(damaged.len() - at);
        damaged[at..at + len].fill_with(|| seeded.next(256) as u8);
        let _ = Module::from_binary(&engine, &damaged);
    }
    for _ in 0..3000 {
        let random = (0..seeded.next(64)).map(|_| seeded.next(256) as u8).collect::<Vec<_>>();
        let _ = Module::new(&engine, &random);
        let _ = Module::from_binary(&engine, &[b"\0asm\x01\0\0\0", &random[..]].concat());
    }
}

#[test]
fn real_modules_cut_short_are_errors() {
    let engine = fast_engine();
    let folder = std::env::var_os("WATTEST_BENCH").map(std::path::PathBuf::from);
    let files = folder.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    for file in files.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "wasm")) {
        let wasm = std::fs::read(&file).expect("the file can be read");
        let mut seeded = Seeded(3);
        for _ in 0..20 {
            let len = seeded.next(wasm.len());
            assert!(Module::from_binary(&engine, &wasm[..len]).is_err(), "{} cut to {len}", file.display());
        }
    }
}

#[test]
fn headers_and_sections() {
    use Expected::{Module as Made, Refused, Says};
    let long = |count: u64| [leb(count), vec![0; 3]].concat();
    check("nothing but a magic", b"\0asm", Refused);
    check("an unknown version", b"\0asm\x02\0\0\0", Refused);
    check("a component", b"\0asm\x0d\0\x01\0", Says("component"));
    check("an empty module", b"\0asm\x01\0\0\0", Made);
    check("an unknown section", &module(&[section(77, &[])]), Says("section id: 77 (at offset"));
    for id in 1..=13 {
        check("an empty section", &module(&[section(id, &[])]), Refused);
        check("a section of 2^32-1 items", &module(&[section(id, &long(u64::from(u32::MAX)))]), Refused);
        check("a section of a million items", &module(&[section(id, &long(1_000_000))]), Refused);
        check("a section beyond the end", &module(&[vec![id, 0xff, 0xff, 0xff, 0xff, 0x0f]]), Refused);
        check("a section cut short", &module(&[vec![id, 5, 1]]), Refused);
        check("a length that is too long", &module(&[vec![id, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]]), Refused);
        check("items of count zero", &module(&[section(id, &[0])]), Expected::Any);
        check("a section twice", &module(&[section(id, &[0]), section(id, &[0])]), Refused);
    }
    check("a custom section without name", &module(&[section(0, &[])]), Refused);
    check("a name beyond the section", &module(&[section(0, &[0xff, 0xff, 3])]), Refused);
    check("names that are garbage", &module(&[section(0, b"\x04name\x00\xff\xff\x01\x7f\x00")]), Made);
    check("a huge custom section", &module(&[section(0, &[&[1, b'x'][..], &vec![0; 8 << 20]].concat())]), Made);
    let names = [&leb(99_999)[..], &vec![b'n'; 99_999], &[0, 0]].concat();
    let with_name = |names: &[u8]| {
        module(&[
            section(1, &vector(&[ty(&[], &[])])),
            section(3, &[1, 0]),
            section(7, &[&[1][..], names].concat()),
            section(10, &vector(&[body(&[0], &[])])),
        ])
    };
    check("an export name of 99,999 bytes", &with_name(&names), Made);
    let names = [&leb(1 << 20)[..], &vec![b'n'; 1 << 20], &[0, 0]].concat();
    check("an export name of 1 MiB", &with_name(&names), Refused);
}

#[test]
fn unknown_proposals_are_errors_with_an_offset() {
    let says = |name: &str, text: &str| {
        let wasm = wat::parse_str(text).expect("the text is a module");
        let error = Module::new(&fast_engine(), wasm).expect_err(name);
        assert!(error.offset().is_some_and(|offset| offset >= 8), "{name}: {error}");
    };
    says("legacy exceptions", "(module (func try catch_all end))");
    says("stack switching", "(module (type $f (func)) (type (cont $f)))");
    for feature in Feature::ALL.iter().filter(|feature| !feature.is_implemented()) {
        let mut config = Config::new();
        config.feature(*feature, true);
        assert!(Engine::new(&config).is_err(), "{} is promised", feature.name());
    }
}

#[test]
fn large_functions() {
    use Expected::{Any, Module as Made, Refused};
    let plain = [ty(&[], &[])];
    let locals = |count: u64, ty: u8| [&[1][..], &leb(count), &[ty]].concat();
    check("50,000 locals", &one_function(&plain, 0, &locals(50_000, I32), &[]), Made);
    check("50,000 vector locals", &one_function(&plain, 0, &locals(50_000, V128), &[]), Made);
    check("50,001 locals", &one_function(&plain, 0, &locals(50_001, I32), &[]), Refused);
    check("2^32-1 locals", &one_function(&plain, 0, &locals(u64::from(u32::MAX), I32), &[]), Refused);
    let twice = [&[2][..], &leb(u64::from(u32::MAX)), &[I32], &leb(u64::from(u32::MAX)), &[I32]].concat();
    check("locals that overflow", &one_function(&plain, 0, &twice, &[]), Refused);
    let wide = [ty(&[I32; 1000], &[I32; 1000])];
    let gets = (0..1000u64).flat_map(|index| [&[0x20][..], &leb(index)].concat()).collect::<Vec<_>>();
    check("1,000 parameters and results", &one_function(&wide, 0, &[0], &gets), Made);
    check("1,001 parameters", &one_function(&[ty(&[I32; 1001], &[])], 0, &[0], &[]), Refused);
    check("1,001 results", &one_function(&[ty(&[], &[I32; 1001])], 0, &[0], &[0x00]), Refused);
    check("a body of 8 MB", &one_function(&plain, 0, &[0], &vec![0x01; 8_000_000]), Refused);
    check("a body of 2 MB", &one_function(&plain, 0, &[0], &vec![0x01; 2_000_000]), Made);
    check(
        "a million declared functions",
        &module(&[section(1, &vector(&plain)), section(3, &vector(&vec![vec![0]; 1_000_000]))]),
        Refused,
    );
    check(
        "a million and one declared functions",
        &module(&[section(1, &vector(&plain)), section(3, &vector(&vec![vec![0]; 1_000_001]))]),
        Refused,
    );
    check(
        "5,000 functions",
        &module(&[
            section(1, &vector(&plain)),
            section(3, &vector(&vec![vec![0]; 5_000])),
            section(10, &vector(&vec![body(&[0], &[]); 5_000])),
        ]),
        Any,
    );
}

#[test]
fn deep_nesting() {
    use Expected::{Any, Refused};
    let plain = [ty(&[], &[])];
    let nest = |open: &[u8], depth: usize| [open.repeat(depth), vec![0x0b; depth]].concat();
    for depth in [1_000, 50_000] {
        check("blocks", &one_function(&plain, 0, &[0], &nest(&[0x02, 0x40], depth)), Any);
        check("loops", &one_function(&plain, 0, &[0], &nest(&[0x03, 0x40], depth)), Any);
        check("ifs", &one_function(&plain, 0, &[0], &nest(&[0x41, 0, 0x04, 0x40], depth)), Any);
    }
    check("blocks never closed", &one_function(&plain, 0, &[0], &[0x02, 0x40].repeat(200_000)), Refused);
    check("text", "(".repeat(100_000).as_bytes(), Refused);
    let folded = ["(module (func (result i32) ", &"(i32.eqz ".repeat(100_000), "i32.const 0"].concat();
    check("folded text", folded.as_bytes(), Refused);
    check("a comment", "(;".repeat(100_000).as_bytes(), Refused);
}

#[test]
fn wide_branches_and_multiplying_blocks() {
    use Expected::{Module as Made, Refused, Says};
    let wide = [ty(&[], &[]), ty(&[I32; 1000], &[I32; 1000]), ty(&[], &[I32; 1000])];
    let table = |targets: u64| {
        [&[0x02, 0x40, 0x41, 0, 0x0e][..], &leb(targets), &vec![0; targets as usize + 1], &[0x0b]].concat()
    };
    check("65,000 targets", &one_function(&wide, 0, &[0], &table(65_000)), Made);
    check("1,000,000 targets", &one_function(&wide, 0, &[0], &table(1_000_000)), Says("targets"));
    check("2^32-1 targets", &one_function(&wide, 0, &[0], &[0x41, 0, 0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]), Refused);
    // Each block passes 1,000 values: three bytes of code stand for a thousand block parameters.
    let consts = [0x41, 0].repeat(1000);
    let budget = Says("values passed");
    for (count, expected) in [(20, Made), (1_000, budget), (30_000, budget)] {
        let blocks = [&consts[..], &[0x02, 0x01].repeat(count), &vec![0x0b; count], &vec![0x1a; 1000]].concat();
        check("blocks of 1,000 values", &one_function(&wide, 0, &[0], &blocks), expected);
        let loops = [&consts[..], &[0x03, 0x01].repeat(count), &vec![0x0b; count], &vec![0x1a; 1000]].concat();
        check("loops of 1,000 values", &one_function(&wide, 0, &[0], &loops), expected);
        let ifs = [&consts[..], &[0x41, 0, 0x04, 0x01, 0x0b].repeat(count), &vec![0x1a; 1000]].concat();
        check("ifs of 1,000 values", &one_function(&wide, 0, &[0], &ifs), expected);
        let branches =
            [&[0x02, 0x02][..], &consts, &[0x41, 0, 0x0d, 0].repeat(count), &[0x0b], &vec![0x1a; 1000]].concat();
        check("branches with 1,000 values", &one_function(&wide, 0, &[0], &branches), expected);
        let calls = [&consts[..], &[0x10, 1].repeat(count), &vec![0x1a; 1000]].concat();
        let bodies = |count: usize| [vec![body(&[0], &calls); count], vec![body(&[0], &[0x00])]].concat();
        let calling = |callers: usize| {
            module(&[
                section(1, &vector(&wide)),
                section(3, &[&leb(callers as u64 + 1)[..], &[0], &[1], &vec![0; callers - 1]].concat()),
                section(10, &vector(&[bodies(1), vec![body(&[0], &calls); callers - 1]].concat())),
            ])
        };
        check("calls with 1,000 values", &calling(1), expected);
        if count <= 1_000 {
            check("100 callers with 1,000 values", &calling(100), budget);
        }
    }
    let one = [&[0x0e][..], &leb(65_000), &vec![0; 65_001]].concat();
    let tables = [&[0x02, 0x02][..], &consts, &[0x41, 0], &one, &[0x0b], &vec![0x1a; 1000]].concat();
    check("65,000 targets with 1,000 values", &one_function(&wide, 0, &[0], &tables), budget);
    let tables = [&[0x02, 0x40][..], &[&[0x41, 0][..], &one].concat().repeat(100), &[0x0b]].concat();
    check("100 times 65,000 targets", &one_function(&wide, 0, &[0], &tables), Says("targets"));
}

#[test]
fn scopes_and_clauses_of_exceptions() {
    use Expected::{Module as Made, Says};
    // Types of functions and, by the same number, tags: nothing, a thousand values, the results of a block for them.
    let types = [ty(&[], &[]), ty(&[I32; 1000], &[]), ty(&[], &[I32; 1000])];
    let with_tags = |code: &[u8]| {
        module(&[
            section(1, &vector(&types)),
            section(3, &[1, 0]),
            section(13, &vector(&[vec![0, 0], vec![0, 1]])),
            section(10, &vector(&[body(&[0], code)])),
        ])
    };
    let clauses = |count: usize, clause: &[u8]| [&[0x1f, 0x40][..], &leb(count as u64), &clause.repeat(count)].concat();
    // Calls at every depth: a handler list per call and level would be quadratic.
    for depth in [100, 5_000] {
        let nested =
            [&[&clauses(1, &[0, 0, 0])[..], &[0x10, 0]].concat().repeat(depth)[..], &vec![0x0b; depth]].concat();
        check("nested scopes with calls", &with_tags(&nested), Made);
        let nested = [&[0x06, 0x40, 0x10, 0].repeat(depth)[..], &[0x07, 0, 0x0b].repeat(depth)].concat();
        let mut config = Config::new();
        config.opt_level(OptLevel::None).feature(Feature::LegacyExceptions, true);
        check_with(&Engine::new(&config).expect("sound"), "nested legacy scopes", &with_tags(&nested), Made);
    }
    // Clauses that a throw in the same function might be compared with, one by one, are not.
    let throws = [&[0x02, 0x40][..], &clauses(9_999, &[0, 1, 0]), &[0x08, 0], &[0x0b, 0x0b]].concat();
    check("9,999 clauses of 1,000 values", &with_tags(&throws), Says("values passed"));
    let branches = [0x02, 0x40, 0x41, 0, 0x0d, 0, 0x08, 0, 0x0b].repeat(20_000);
    let throws = [&[0x02, 0x40][..], &clauses(9_999, &[0, 0, 0]), &branches, &[0x0b, 0x0b]].concat();
    check("20,000 throws past 9,999 clauses", &with_tags(&throws), Made);
    let wide = [&[0x41, 0].repeat(1000)[..], &[0x08, 1]].concat();
    let throws = [&wide[..], &[0x08, 1].repeat(200_000)].concat();
    check("unreachable throws of 1,000 values", &with_tags(&throws), Says("values passed"));
}

#[test]
fn constant_expressions_and_segments() {
    use Expected::{Any, Module as Made, Refused};
    let global = |ops: usize| {
        let expr = [&[0x41, 1][..], &[0x41, 1, 0x6a].repeat(ops), &[0x0b]].concat();
        module(&[section(6, &[&[1, I32, 0][..], &expr].concat())])
    };
    check("a constant expression of 300,000 operators", &global(150_000), Any);
    let deep = [&[0x41, 1].repeat(150_000)[..], &[0x6a].repeat(149_999), &[0x0b]].concat();
    check("a constant expression that is deep", &module(&[section(6, &[&[1, I32, 0][..], &deep].concat())]), Any);
    check("a constant expression without end", &module(&[section(6, &[1, I32, 0, 0x41, 1])]), Refused);
    let sparse =
        wat::parse_str(r#"(module (memory 65536) (data (i32.const 0) "a") (data (i32.const 0xfffffff0) "b"))"#);
    check("data at both ends of 4 GiB", &sparse.expect("the text is a module"), Made);
    let sparse = r#"(module (memory 1) (data (i32.const 0) "a") (data (i32.const 0xfffffff0) "b"))"#;
    check("data beyond its memory", &wat::parse_str(sparse).expect("the text is a module"), Made);
    let wide = r#"(module (memory i64 0x1000000) (data (i64.const 0xfff_ffff_f000) "b") (data (i64.const 0) "a"))"#;
    check("data far into a 64-bit memory", &wat::parse_str(wide).expect("the text is a module"), Made);
    let tables = r#"(module (table 0xffffffff funcref) (table i64 0xffff_ffff_ffff funcref) (func $f)
        (elem (table 0) (i32.const 0xfffffff0) func $f))"#;
    check("huge tables", &wat::parse_str(tables).expect("the text is a module"), Any);
}

/// Many small things: work must be linear in their number, for instances and linkers too.
#[test]
fn many_small_things() {
    use Expected::Module as Made;
    let count = 10_000u32;
    let each = |item: &dyn Fn(u32) -> String| (0..count).map(item).collect::<String>();
    let exports = each(&|n| format!("(export \"export number {n}\" (func 0))"));
    let cases = [
        ("exports", format!("(module (func) {exports})")),
        ("data segments", format!("(module (memory 1) {})", each(&|n| format!("(data (i32.const {n}) \"x\")")))),
        ("passive data", format!("(module {})", each(&|_| "(data \"x\")".to_owned()))),
        (
            "element segments",
            format!("(module (table {count} funcref) (func) {})", each(&|n| format!("(elem (i32.const {n}) 0)"))),
        ),
        ("globals", format!("(module {})", each(&|n| format!("(global $g{n} i32 (i32.const {n}))")))),
        (
            "named functions",
            format!("(module {} (table funcref (elem 0)))", each(&|n| format!("(func $some_name_{n})"))),
        ),
        (
            "types",
            format!("(module {})", each(&|n| format!("(type (func (param{})))", " i32".repeat(n as usize % 50)))),
        ),
    ];
    let engine = fast_engine();
    for (name, text) in cases {
        let wasm = wat::parse_str(text).expect("the text is a module");
        check_with(&engine, name, &wasm, Made);
        let module = Module::new(&engine, &wasm).expect("it was one before");
        let start = Instant::now();
        let mut store = wattest::Store::new(&engine, ());
        let instance = wattest::Instance::new(&mut store, &module, &[]).expect("it needs nothing");
        let mut linker = wattest::Linker::new(&engine);
        linker.instance(&mut store, "m", instance).expect("the names are distinct");
        let bytes = module.serialize().expect("it can be encoded");
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("{name}: used in {seconds:.2} s, {} bytes", bytes.len());
        assert!(seconds < SECONDS_MAX, "{name}: {seconds} s");
    }
}

#[test]
fn bombs_of_types_and_imports() {
    use Expected::{Any, Refused};
    check("300,000 types", &module(&[section(1, &vector(&vec![ty(&[], &[]); 300_000]))]), Any);
    check("types over the limit", &module(&[section(1, &vector(&vec![ty(&[], &[]); 1_000_001]))]), Refused);
    check("2,000 wide types", &module(&[section(1, &vector(&vec![ty(&[I32; 1000], &[I32; 1000]); 2_000]))]), Any);
    let import = vec![0, 0, 0, 0];
    check(
        "100,000 imports",
        &module(&[section(1, &vector(&[ty(&[], &[])])), section(2, &vector(&vec![import; 100_000]))]),
        Any,
    );
    let tables = [
        "(module (type $t (func))",
        &"(table 1048576 funcref)".repeat(100),
        "(func (param i32)",
        &(0..100).map(|table| format!("(call_indirect {table} (type $t) (local.get 0))")).collect::<String>(),
        "))",
    ]
    .concat();
    check("100 tables of a million nulls", tables.as_bytes(), Any);
    let memories = module(&[section(5, &vector(&vec![vec![0, 1]; 101]))]);
    check("101 memories", &memories, Any);
    check("100 memories", &module(&[section(5, &vector(&vec![vec![0, 1]; 100]))]), Any);
}
