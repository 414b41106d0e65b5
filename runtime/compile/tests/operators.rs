//! Every operator compiles, in every configuration, to code that needs nothing but itself.
//!
//! Invariant: each chapter is compiled with the code generator's verifier on (debug builds), twice, with equal bytes.
//!
//! Does not know: what the code computes; the official suite shows that once there is a virtual machine.

use wattest_abi::Tunables;
use wattest_abi::artifact::CompiledCode;
use wattest_abi::tunables::{CallPath, OptLevel, RegAlloc};
use wattest_compile::{CompileError, CpuFeatures, Target, compile_module};
use wattest_module::{Features, Limits, decode};

/// Configurations, by name.
fn configurations() -> Vec<(&'static str, Tunables)> {
    let with = |change: fn(&mut Tunables)| {
        let mut tunables = Tunables::default();
        change(&mut tunables);
        tunables
    };
    vec![
        ("default", Tunables::default()),
        ("unoptimized", with(|t| (t.opt_level, t.regalloc) = (OptLevel::None, RegAlloc::SinglePass))),
        ("explicit bounds", with(|t| t.explicit_bounds = true)),
        ("explicit bounds, no masks", with(|t| (t.explicit_bounds, t.spectre_mitigation) = (true, false))),
        ("no signals", with(|t| t.signals_based_traps = false)),
        ("no signals, no masks", with(|t| (t.signals_based_traps, t.spectre_mitigation) = (false, false))),
        ("small reservation", with(|t| (t.memory_reservation_bytes, t.memory_may_move) = (1 << 20, true))),
        ("small guard", with(|t| t.memory_guard_bytes = 65_536)),
        ("fuel", with(|t| t.fuel = true)),
        ("epoch", with(|t| t.epoch = true)),
        ("fuel and epoch, unoptimized", with(|t| (t.fuel, t.epoch, t.opt_level) = (true, true, OptLevel::None))),
        ("entry calls", with(|t| t.call_path = CallPath::Entry)),
        ("deterministic", with(|t| (t.nan_canonicalization, t.relaxed_simd_deterministic) = (true, true))),
        ("locals in frames", with(|t| t.keep_locals = true)),
        ("no addresses", with(|t| t.addresses = false)),
    ]
}

fn compile(wasm: &[u8], tunables: &Tunables, cpu: &CpuFeatures) -> Result<CompiledCode, CompileError> {
    let features = Features::all_implemented();
    let desc = decode(wasm, &features, &Limits::default()).expect("the module is valid");
    let target = Target::host(tunables, cpu).expect("the host is supported");
    compile_module(&desc, wasm, tunables, &target, false)
}

/// Compiles `text` in every configuration and checks what must hold of any code.
fn check(text: &str) {
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    for (name, tunables) in configurations() {
        let code = match compile(&wasm, &tunables, &CpuFeatures::native()) {
            Ok(code) => code,
            Err(error) => panic!("{name}: {error}\n{text}"),
        };
        check_code(&code, &tunables, wasm.len());
        assert_eq!(Ok(code), compile(&wasm, &tunables, &CpuFeatures::native()), "{name}: not deterministic");
    }
}

fn check_code(code: &CompiledCode, tunables: &Tunables, wasm_bytes: usize) {
    let mut end = 0;
    for function in &code.functions {
        assert!(function.text_offset >= end && function.text_offset.is_multiple_of(16));
        end = function.text_offset + function.text_bytes;
    }
    assert!(end as usize <= code.text.len());
    assert!(
        code.traps.iter().all(|trap| trap.text_offset < end && wattest_abi::TrapCode::from_u8(trap.code).is_some())
    );
    assert!(code.traps.is_sorted_by(|a, b| a.text_offset < b.text_offset));
    assert!(code.addresses.is_sorted_by(|a, b| a.text_offset < b.text_offset));
    assert_eq!(code.addresses.is_empty(), !tunables.addresses || code.functions.is_empty());
    let known = |offset: u32| offset == u32::MAX || (offset as usize) < wasm_bytes;
    assert!(code.addresses.iter().all(|row| known(row.wasm_offset)));
}

/// Compiles one function for each operator of a row `operators : operands -> results`.
fn check_rows(rows: &[&str]) {
    let mut text = String::from("(module (memory 1 2)\n");
    for row in rows {
        let (operators, ty) = row.split_once(" : ").expect("a row has a type");
        let (operands, results) = ty.split_once("->").expect("a type has results");
        let operands = operands.trim();
        for operator in operators.split(',').map(str::trim) {
            let gets =
                (0..operands.split_whitespace().count()).map(|index| format!("local.get {index} ")).collect::<String>();
            text.push_str(&format!(
                "(func (export \"{operator}\") (param {operands}) (result {results}) {gets}{operator})\n"
            ));
        }
    }
    text.push(')');
    check(&text);
}

#[test]
fn integers() {
    check_rows(&[
        "i32.add, i32.sub, i32.mul, i32.div_s, i32.div_u, i32.rem_s, i32.rem_u, i32.and, i32.or, i32.xor, i32.shl, \
         i32.shr_s, i32.shr_u, i32.rotl, i32.rotr, i32.eq, i32.ne, i32.lt_s, i32.lt_u, i32.gt_s, i32.gt_u, i32.le_s, \
         i32.le_u, i32.ge_s, i32.ge_u : i32 i32 -> i32",
        "i32.clz, i32.ctz, i32.popcnt, i32.eqz, i32.extend8_s, i32.extend16_s : i32 -> i32",
        "i64.add, i64.sub, i64.mul, i64.div_s, i64.div_u, i64.rem_s, i64.rem_u, i64.and, i64.or, i64.xor, i64.shl, \
         i64.shr_s, i64.shr_u, i64.rotl, i64.rotr : i64 i64 -> i64",
        "i64.eq, i64.ne, i64.lt_s, i64.lt_u, i64.gt_s, i64.gt_u, i64.le_s, i64.le_u, i64.ge_s, i64.ge_u : i64 i64 -> i32",
        "i64.clz, i64.ctz, i64.popcnt, i64.extend8_s, i64.extend16_s, i64.extend32_s : i64 -> i64",
        "i64.eqz : i64 -> i32",
        "i64.add128, i64.sub128 : i64 i64 i64 i64 -> i64 i64",
        "i64.mul_wide_s, i64.mul_wide_u : i64 i64 -> i64 i64",
    ]);
}

#[test]
fn floats_and_conversions() {
    let mut rows = Vec::new();
    for ty in ["f32", "f64"] {
        let list = |names: &str| names.split(' ').map(|name| format!("{ty}.{name}")).collect::<Vec<_>>().join(", ");
        rows.push(format!("{} : {ty} {ty} -> {ty}", list("add sub mul div min max copysign")));
        rows.push(format!("{} : {ty} {ty} -> i32", list("eq ne lt gt le ge")));
        rows.push(format!("{} : {ty} -> {ty}", list("abs neg ceil floor trunc nearest sqrt")));
        for int in ["i32", "i64"] {
            rows.push(format!("{int}.trunc_{ty}_s, {int}.trunc_{ty}_u, {int}.trunc_sat_{ty}_s : {ty} -> {int}"));
            rows.push(format!("{int}.trunc_sat_{ty}_u : {ty} -> {int}"));
            rows.push(format!("{ty}.convert_{int}_s, {ty}.convert_{int}_u : {int} -> {ty}"));
        }
    }
    let rest = [
        "i32.wrap_i64 : i64 -> i32",
        "i64.extend_i32_s, i64.extend_i32_u : i32 -> i64",
        "f32.demote_f64 : f64 -> f32",
        "f64.promote_f32 : f32 -> f64",
        "i32.reinterpret_f32 : f32 -> i32",
        "i64.reinterpret_f64 : f64 -> i64",
        "f32.reinterpret_i32 : i32 -> f32",
        "f64.reinterpret_i64 : i64 -> f64",
    ];
    let rows = rows.iter().map(String::as_str).chain(rest).collect::<Vec<_>>();
    check_rows(&rows);
}

/// One function per access, over memories of every kind, with offsets on both sides of the guard.
fn access_module(accesses: &[(&str, &str, &str)], shared: bool) -> String {
    let shared_text = if shared { "shared" } else { "" };
    let mut text = format!(
        "(module (memory $a 1 9 {shared_text}) (memory $b i64 1 9 {shared_text}) (memory $c 3 3 {shared_text})
         (memory $d i64 2 2) (memory $e 1) (memory $f (import \"m\" \"f\") 1) (memory $g i64 0)"
    )
    .replace("(memory $f (import \"m\" \"f\") 1)", "");
    if !shared {
        text.push_str("(memory $p 100 200 (pagesize 1)) (memory $q i64 100 (pagesize 1))");
    }
    let memories: &[(&str, &str)] = if shared {
        &[("$a", "i32"), ("$b", "i64"), ("$c", "i32")]
    } else {
        &[
            ("$a", "i32"),
            ("$b", "i64"),
            ("$c", "i32"),
            ("$d", "i64"),
            ("$e", "i32"),
            ("$g", "i64"),
            ("$p", "i32"),
            ("$q", "i64"),
        ]
    };
    for (operator, operands, result) in accesses {
        let result = if result.is_empty() { String::new() } else { format!("(result {result})") };
        for (memory, index) in memories {
            let gets =
                (1..=operands.split_whitespace().count()).map(|at| format!(" local.get {at}")).collect::<String>();
            for offset in ["0", "8", "65536", "50000000", "4294967288"] {
                let (name, lane) = operator.split_once(' ').unwrap_or((operator, ""));
                text.push_str(&format!(
                    "(func (param {index} {operands}) {result} local.get 0{gets} {name} {memory} offset={offset} {lane})\n"
                ));
            }
            let (name, lane) = operator.split_once(' ').unwrap_or((operator, ""));
            text.push_str(&format!(
                "(func (param i32 {operands}) {result} {index}.const 16{gets} {name} {memory} offset=8 {lane})\n"
            ));
        }
    }
    text.push(')');
    text
}

#[test]
fn loads_and_stores() {
    let mut accesses = Vec::new();
    for (names, ty) in [
        ("load load8_s load8_u load16_s load16_u", "i32"),
        ("load load8_s load8_u load16_s load16_u load32_s load32_u", "i64"),
        ("load", "f32"),
        ("load", "f64"),
    ] {
        accesses.extend(names.split(' ').map(|name| (format!("{ty}.{name}"), "", ty)));
    }
    for (names, ty) in
        [("store store8 store16", "i32"), ("store store8 store16 store32", "i64"), ("store", "f32"), ("store", "f64")]
    {
        accesses.extend(names.split(' ').map(|name| (format!("{ty}.{name}"), ty, "")));
    }
    let accesses =
        accesses.iter().map(|(name, operands, result)| (name.as_str(), *operands, *result)).collect::<Vec<_>>();
    check(&access_module(&accesses, false));
}

#[test]
fn vector_loads_and_stores() {
    check(&access_module(
        &[
            ("v128.load", "", "v128"),
            ("v128.load8x8_s", "", "v128"),
            ("v128.load8x8_u", "", "v128"),
            ("v128.load16x4_s", "", "v128"),
            ("v128.load16x4_u", "", "v128"),
            ("v128.load32x2_s", "", "v128"),
            ("v128.load32x2_u", "", "v128"),
            ("v128.load8_splat", "", "v128"),
            ("v128.load16_splat", "", "v128"),
            ("v128.load32_splat", "", "v128"),
            ("v128.load64_splat", "", "v128"),
            ("v128.load32_zero", "", "v128"),
            ("v128.load64_zero", "", "v128"),
            ("v128.load8_lane 3", "v128", "v128"),
            ("v128.load16_lane 3", "v128", "v128"),
            ("v128.load32_lane 3", "v128", "v128"),
            ("v128.load64_lane 1", "v128", "v128"),
            ("v128.store", "v128", ""),
            ("v128.store8_lane 3", "v128", ""),
            ("v128.store16_lane 3", "v128", ""),
            ("v128.store32_lane 3", "v128", ""),
            ("v128.store64_lane 1", "v128", ""),
        ],
        false,
    ));
}

#[test]
fn atomics() {
    let mut accesses = Vec::new();
    for (ty, widths) in [("i32", &["8", "16", ""][..]), ("i64", &["8", "16", "32", ""])] {
        for width in widths {
            let unsigned = if width.is_empty() { "" } else { "_u" };
            accesses.push((format!("{ty}.atomic.load{width}{unsigned}"), String::new(), ty));
            accesses.push((format!("{ty}.atomic.store{width}"), ty.to_string(), ""));
            for op in ["add", "sub", "and", "or", "xor", "xchg"] {
                accesses.push((format!("{ty}.atomic.rmw{width}.{op}{unsigned}"), ty.to_string(), ty));
            }
            accesses.push((format!("{ty}.atomic.rmw{width}.cmpxchg{unsigned}"), format!("{ty} {ty}"), ty));
        }
    }
    accesses.push(("memory.atomic.notify".to_string(), "i32".to_string(), "i32"));
    accesses.push(("memory.atomic.wait32".to_string(), "i32 i64".to_string(), "i32"));
    accesses.push(("memory.atomic.wait64".to_string(), "i64 i64".to_string(), "i32"));
    let accesses =
        accesses.iter().map(|(name, ops, result)| (name.as_str(), ops.as_str(), *result)).collect::<Vec<_>>();
    check(&access_module(&accesses, true));
    check("(module (func atomic.fence))");
}

#[test]
fn vectors() {
    let mut rows = Vec::new();
    let common_comparisons = "eq ne lt_s gt_s le_s ge_s";
    for (shape, binary, unary) in [
        (
            "i8x16",
            "lt_u gt_u le_u ge_u add sub add_sat_s add_sat_u sub_sat_s sub_sat_u min_s min_u max_s max_u avgr_u swizzle \
             narrow_i16x8_s narrow_i16x8_u relaxed_swizzle",
            "abs neg popcnt",
        ),
        (
            "i16x8",
            "lt_u gt_u le_u ge_u add sub mul add_sat_s add_sat_u sub_sat_s sub_sat_u min_s min_u max_s max_u avgr_u \
             narrow_i32x4_s narrow_i32x4_u q15mulr_sat_s extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u \
             extmul_high_i8x16_u relaxed_q15mulr_s relaxed_dot_i8x16_i7x16_s",
            "abs neg extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u \
             extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u",
        ),
        (
            "i32x4",
            "lt_u gt_u le_u ge_u add sub mul min_s min_u max_s max_u dot_i16x8_s extmul_low_i16x8_s extmul_high_i16x8_s \
             extmul_low_i16x8_u extmul_high_i16x8_u",
            "abs neg extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u \
             extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u trunc_sat_f32x4_s trunc_sat_f32x4_u trunc_sat_f64x2_s_zero \
             trunc_sat_f64x2_u_zero relaxed_trunc_f32x4_s relaxed_trunc_f32x4_u relaxed_trunc_f64x2_s_zero \
             relaxed_trunc_f64x2_u_zero",
        ),
        (
            "i64x2",
            "add sub mul extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u",
            "abs neg extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u",
        ),
    ] {
        let list =
            |names: &str| names.split_whitespace().map(|name| format!("{shape}.{name}")).collect::<Vec<_>>().join(", ");
        rows.push(format!("{} : v128 v128 -> v128", list(binary)));
        rows.push(format!("{} : v128 v128 -> v128", list(common_comparisons)));
        rows.push(format!("{} : v128 -> v128", list(unary)));
        rows.push(format!("{} : v128 i32 -> v128", list("shl shr_s shr_u")));
        rows.push(format!("{} : v128 -> i32", list("all_true bitmask")));
        rows.push(format!("{} : v128 v128 v128 -> v128", list("relaxed_laneselect")));
    }
    for shape in ["f32x4", "f64x2"] {
        let list = |names: &str| names.split(' ').map(|name| format!("{shape}.{name}")).collect::<Vec<_>>().join(", ");
        let binary = "eq ne lt gt le ge add sub mul div min max pmin pmax relaxed_min relaxed_max";
        rows.push(format!("{} : v128 v128 -> v128", list(binary)));
        rows.push(format!("{} : v128 -> v128", list("abs neg sqrt ceil floor trunc nearest")));
        rows.push(format!("{} : v128 v128 v128 -> v128", list("relaxed_madd relaxed_nmadd")));
    }
    let rest = [
        "v128.and, v128.or, v128.xor, v128.andnot : v128 v128 -> v128",
        "v128.not : v128 -> v128",
        "v128.any_true : v128 -> i32",
        "v128.bitselect, i32x4.relaxed_dot_i8x16_i7x16_add_s : v128 v128 v128 -> v128",
        "f32x4.convert_i32x4_s, f32x4.convert_i32x4_u, f64x2.convert_low_i32x4_s, f64x2.convert_low_i32x4_u : v128 -> v128",
        "f32x4.demote_f64x2_zero, f64x2.promote_low_f32x4 : v128 -> v128",
        "i8x16.splat, i16x8.splat, i32x4.splat : i32 -> v128",
        "i64x2.splat : i64 -> v128",
        "f32x4.splat : f32 -> v128",
        "f64x2.splat : f64 -> v128",
        "i8x16.extract_lane_s 3, i8x16.extract_lane_u 15, i16x8.extract_lane_s 7, i16x8.extract_lane_u 1 : v128 -> i32",
        "i32x4.extract_lane 2 : v128 -> i32",
        "i64x2.extract_lane 1 : v128 -> i64",
        "f32x4.extract_lane 2 : v128 -> f32",
        "f64x2.extract_lane 1 : v128 -> f64",
        "i8x16.replace_lane 3, i16x8.replace_lane 3, i32x4.replace_lane 3 : v128 i32 -> v128",
        "i64x2.replace_lane 1 : v128 i64 -> v128",
        "f32x4.replace_lane 1 : v128 f32 -> v128",
        "f64x2.replace_lane 1 : v128 f64 -> v128",
        "i8x16.shuffle 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31 : v128 v128 -> v128",
        "v128.const i32x4 1 2 3 4 i32x4.add : v128 -> v128",
    ];
    let rows = rows.iter().map(String::as_str).chain(rest).collect::<Vec<_>>();
    check_rows(&rows);
}

#[test]
fn control() {
    check(include_str!("control.wat"));
}

#[test]
fn calls() {
    check(include_str!("calls.wat"));
}

#[test]
fn tables_references_and_bulk() {
    check(include_str!("tables.wat"));
}

#[test]
fn variables() {
    check(include_str!("variables.wat"));
}

#[test]
fn scalar_code_needs_no_vector_extensions() {
    let text = "(module (memory 1) (func (param f32 f64) (result f64)
        local.get 0 f32.ceil f32.floor f32.trunc f32.nearest f64.promote_f32
        local.get 1 f64.ceil f64.floor f64.trunc f64.nearest f64.add)
        (func (param v128) (result v128) local.get 0))";
    let wasm = wat::parse_str(text).expect("the text parses");
    let cpu = CpuFeatures::without(&["sse3", "popcnt", "lzcnt", "bmi1", "bmi2"]).expect("features have names");
    for (name, tunables) in configurations() {
        assert!(compile(&wasm, &tunables, &cpu).is_ok(), "{name}");
    }
}

#[test]
fn vector_code_without_its_extension_is_an_error() {
    let wasm = wat::parse_str("(module (func) (func (result v128) v128.const i64x2 0 0))").expect("the text parses");
    let cpu = CpuFeatures::without(&["sse41"]).expect("the feature has a name");
    let error = compile(&wasm, &Tunables::default(), &cpu).expect_err("SSE4.1 is off");
    assert_eq!(error.function.map(|function| function.0), Some(1));
    assert!(error.to_string().contains("SSE4.1"), "{error}");
}

#[test]
fn vector_code_without_avx_compiles() {
    let text = "(module (func (param v128 v128 v128) (result v128)
        local.get 0 local.get 1 local.get 2 f32x4.relaxed_madd i8x16.popcnt local.get 0 i64x2.mul f64x2.nearest))";
    let wasm = wat::parse_str(text).expect("the text parses");
    for off in ["avx", "avx2", "fma", "avx512f"] {
        let cpu = CpuFeatures::without(&[off]).expect("the feature has a name");
        for (name, tunables) in configurations() {
            assert!(compile(&wasm, &tunables, &cpu).is_ok(), "{name} without {off}");
        }
    }
}

#[test]
fn parallel_compilation_gives_the_same_bytes() {
    let mut text = String::from("(module (memory 1)");
    for index in 0..600 {
        let loads =
            (0..40).map(|at| format!("local.get 0 i32.load offset={} i32.add ", at * index)).collect::<String>();
        text.push_str(&format!("(func (param i32) (result i32) local.get 0 call {} {loads})", (index * 7) % 600));
    }
    text.push(')');
    let wasm = wat::parse_str(&text).expect("the text parses");
    let tunables = Tunables::default();
    let desc = decode(&wasm, &Features::all_implemented(), &Limits::default()).expect("the module is valid");
    let target = Target::host(&tunables, &CpuFeatures::native()).expect("the host is supported");
    let compile = |parallel| compile_module(&desc, &wasm, &tunables, &target, parallel);
    assert_eq!(compile(true), compile(false));
}

/// The offset in the text of the code of the instruction at `wasm_offset`.
fn place(code: &CompiledCode, wasm_offset: usize) -> u32 {
    let row = code.addresses.iter().find(|row| row.wasm_offset as usize == wasm_offset);
    row.map_or_else(|| panic!("no code for the instruction at {wasm_offset}"), |row| row.text_offset)
}

/// Checks that of two traps, after the branch and where it goes, the one that the hint says is likely comes first.
fn check_hint(text: &str, hint: &str, taken_first: bool) {
    let text = text.replace("HINT", hint);
    let wasm = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let code = compile(&wasm, &Tunables::default(), &CpuFeatures::native()).expect("the module compiles");
    // A load that may fault, from two memories that tell the places apart.
    let find = |bytes: &[u8]| wasm.windows(bytes.len()).position(|window| window == bytes).expect("the load");
    let (taken, not_taken) = (find(&[0x28, 0x02, 0x08]), find(&[0x28, 0x02, 0x10]));
    assert_eq!(place(&code, taken) < place(&code, not_taken), taken_first, "{text}");
}

#[test]
fn branch_hints_place_blocks() {
    let if_ = r#"(module (memory 1) (func (param i32) (result i32) (local.get 0) HINT
        (if (result i32) (then (i32.load offset=8 (local.get 0))) (else (i32.load offset=16 (local.get 0))))))"#;
    let br_if = r#"(module (memory 1) (func (param i32) (result i32)
        (block (local.get 0) HINT (br_if 0) (return (i32.load offset=16 (local.get 0))))
        (i32.load offset=8 (local.get 0))))"#;
    for text in [if_, br_if] {
        check_hint(text, r#"(@metadata.code.branch_hint "\01")"#, true);
    }
    for text in [if_, br_if] {
        check_hint(text, r#"(@metadata.code.branch_hint "\00")"#, false);
    }
}
