//! The interpreter's own promises: places of traps, budgets, host functions, linking, refusals.

use std::sync::Arc;
use wattest_reference::{
    Budget, Extern, Failure, Features, FuncType, Group, InstanceAddr, Module, ModuleError, Ref, Store, Trap, TrapClass,
    ValType, Value,
};

fn decode(text: &str) -> Module {
    Module::decode(&wat::parse_str(text).unwrap(), Features::all()).unwrap()
}

fn call(store: &mut Store, instance: InstanceAddr, name: &str, args: &[Value]) -> Result<Vec<Value>, Failure> {
    let Some(Extern::Func(func)) = store.export(instance, name) else { panic!("no function {name}") };
    store.invoke(func, args)
}

/// Runs `f` of a module without imports.
fn run(text: &str, budget: Budget, fuel: u64) -> Result<Vec<Value>, Failure> {
    let mut store = Store::new(budget);
    store.set_fuel(fuel);
    let instance = store.instantiate(&decode(text), &[])?;
    call(&mut store, instance, "f", &[])
}

fn check_class(text: &str, budget: Budget, fuel: u64, expected: TrapClass) {
    match run(text, budget, fuel) {
        Err(Failure::Trap(trap)) => assert_eq!(trap.class, expected, "{text}"),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_trap_has_the_place_of_its_instruction() {
    let cases: [(&str, u8); 4] = [
        ("unreachable", 0x00),
        ("i32.const 1 i32.const 0 i32.div_s drop", 0x6d),
        ("i32.const -1 i32.load drop", 0x28),
        ("i32.const 9 call_indirect", 0x11),
    ];
    for (body, opcode) in cases {
        let text = format!("(module (memory 1) (table 1 funcref) (func (export \"f\") {body}))");
        let bytes = wat::parse_str(&text).unwrap();
        let Err(Failure::Trap(Trap { offset: Some(offset), .. })) = run(&text, Budget::default(), 100) else {
            panic!("{body}")
        };
        assert_eq!(bytes[offset as usize], opcode, "{body}");
    }
}

#[test]
fn what_a_guest_can_multiply_is_bounded() {
    let budget = Budget { depth: 100, slots: 10_000, memory: 1 << 20, entries: 100, fields: 1_000 };
    let module = |body: &str| format!("(module (type $a (array i8)) (memory 1) (table 1 funcref) {body})");
    let looping = module("(func (export \"f\") (loop br 0))");
    check_class(&looping, budget, 1_000, TrapClass::OutOfFuel);
    let recursive = module("(func $f (export \"f\") call $f)");
    check_class(&recursive, budget, 1_000_000, TrapClass::StackExhausted);
    let allocating = module("(func (export \"f\") (drop (array.new_default $a (i32.const 100000))))");
    check_class(&allocating, budget, 1_000, TrapClass::AllocationTooLarge);
    let growing = module("(func (export \"f\") (result i32) (memory.grow (i32.const 100)))");
    assert_eq!(run(&growing, budget, 100), Ok(vec![Value::I32(u32::MAX)]));
    let growing = module("(func (export \"f\") (result i32) (table.grow (ref.null func) (i32.const 100)))");
    assert_eq!(run(&growing, budget, 100), Ok(vec![Value::I32(u32::MAX)]));
    let tail = module("(func $f (export \"f\") return_call $f)");
    check_class(&tail, budget, 100_000, TrapClass::OutOfFuel);
}

#[test]
fn exceptions_cross_host_frames() {
    let mut store = Store::new(Budget::default());
    let thrower =
        decode("(module (tag $t (export \"t\") (param i32)) (func (export \"throw\") (throw $t (i32.const 7))))");
    let thrower = store.instantiate(&thrower, &[]).unwrap();
    let Some(Extern::Func(throw)) = store.export(thrower, "throw") else { panic!() };
    let host = store.add_func(FuncType::default(), Arc::new(move |store, _| store.invoke(throw, &[])));
    let catcher = decode(
        "(module (import \"a\" \"t\" (tag $t (param i32))) (import \"a\" \"host\" (func $host))
          (func (export \"f\") (result i32) (block $b (result i32) (try_table (catch $t $b) (call $host)) (i32.const 0)))
          (func (export \"g\") (call $host)))",
    );
    let tag = store.export(thrower, "t").unwrap();
    let catcher = store.instantiate(&catcher, &[tag, Extern::Func(host)]).unwrap();
    assert_eq!(call(&mut store, catcher, "f", &[]), Ok(vec![Value::I32(7)]));
    let Err(Failure::Exception(exn)) = call(&mut store, catcher, "g", &[]) else { panic!() };
    let Extern::Tag(tag) = tag else { panic!() };
    assert_eq!(store.exception(exn), Some((tag, vec![Value::I32(7)])));
}

#[test]
fn instances_share_what_they_link() {
    let mut store = Store::new(Budget::default());
    let a = decode(
        "(module (memory (export \"m\") 1) (global (export \"g\") (mut i32) (i32.const 1))
          (table (export \"t\") 2 funcref) (data $d \"xyz\") (elem $e func 0)
          (func (export \"init\") (memory.init $d (i32.const 0) (i32.const 0) (i32.const 3)) (data.drop $d)))",
    );
    let a = store.instantiate(&a, &[]).unwrap();
    let b = decode(
        "(module (import \"a\" \"m\" (memory 1)) (import \"a\" \"g\" (global $g (mut i32)))
          (func (export \"f\") (result i32) (global.set $g (i32.const 5)) (i32.load8_u (i32.const 1))))",
    );
    let items = ["m", "g"].map(|name| store.export(a, name).unwrap());
    let b = store.instantiate(&b, &items).unwrap();
    assert!(!store.is_data_empty(a, 0) && !store.is_elem_empty(a, 0));
    call(&mut store, a, "init", &[]).unwrap();
    assert!(store.is_data_empty(a, 0));
    assert_eq!(call(&mut store, b, "f", &[]), Ok(vec![Value::I32(u32::from(b'y'))]));
    let global = store.instance(a).globals[0];
    assert_eq!(store.global(global).1, Value::I32(5));
    assert_eq!(store.memory(store.instance(b).memories[0]).bytes[..3], *b"xyz");
}

#[test]
fn equal_types_of_two_modules_are_one() {
    let mut store = Store::new(Budget::default());
    let types = "(rec (type $a (sub (struct (field (ref null $b))))) (type $b (sub $a (struct (field (ref null $b)) (field i32)))))";
    let maker = decode(&format!("(module {types} (func (export \"f\") (result (ref $b)) (struct.new_default $b)))"));
    let maker = store.instantiate(&maker, &[]).unwrap();
    let user = decode(&format!(
        "(module (type $shift (func)) {types} (import \"\" \"f\" (func $f (result (ref $b))))
          (func (export \"f\") (result i32) (ref.test (ref $a) (call $f))))"
    ));
    let item = store.export(maker, "f").unwrap();
    let user = store.instantiate(&user, &[item]).unwrap();
    assert_eq!(call(&mut store, user, "f", &[]), Ok(vec![Value::I32(1)]));
}

#[test]
fn arguments_are_checked() {
    let mut store = Store::new(Budget::default());
    let module = decode("(module (func (export \"f\") (param i32 funcref)))");
    let instance = store.instantiate(&module, &[]).unwrap();
    let null = Value::Ref(Ref::Null);
    assert_eq!(call(&mut store, instance, "f", &[Value::I32(1), null]), Ok(vec![]));
    for args in [&[][..], &[null, null], &[Value::I32(1), Value::Ref(Ref::I31(1))]] {
        assert!(matches!(call(&mut store, instance, "f", args), Err(Failure::Arguments(_))), "{args:?}");
    }
    let ty = FuncType { params: vec![], results: vec![ValType::I32] };
    let host = store.add_func(ty, Arc::new(|_, _| Ok(vec![])));
    assert_eq!(store.invoke(host, &[]), Err(Failure::trap(TrapClass::Host)));
}

#[test]
fn what_is_not_defined_is_unsupported() {
    let shared = "(module (type (shared (struct))))";
    for text in [shared, "(module (func (result (ref null cont)) unreachable))"] {
        let bytes = wat::parse_str(text).unwrap();
        let error = Module::decode(&bytes, Features::all()).unwrap_err();
        assert!(!matches!(error, ModuleError::Invalid { .. }), "{text}: {error}");
    }
}

#[test]
fn arithmetic_gives_the_canonical_nan() {
    let unary = ["sqrt", "ceil", "floor", "trunc", "nearest"];
    for (ty, nan, expected) in [
        ("f32", "-nan:0x7effff", Value::F32(0x7fc0_0000)),
        ("f64", "-nan:0xfefffffffffff", Value::F64(0x7ff8_0000_0000_0000)),
    ] {
        let unary = unary.iter().map(|op| format!("({ty}.{op} ({ty}.const {nan}))"));
        let binary = ["add", "sub", "mul", "div", "min", "max"]
            .iter()
            .map(|op| format!("({ty}.{op} ({ty}.const 1) ({ty}.const {nan}))"));
        for body in unary.chain(binary) {
            let text = format!("(module (func (export \"f\") (result {ty}) {body}))");
            assert_eq!(run(&text, Budget::default(), 10), Ok(vec![expected]), "{body}");
        }
    }
}

/// A type, its descriptor, and a function `f` of the given type and body.
fn described(signature: &str, body: &str) -> String {
    format!(
        "(module (rec (type $a (descriptor $b) (struct (field i32)))
           (type $b (describes $a) (struct (field i32))))
           (func (export \"f\") {signature} {body}))"
    )
}

#[test]
fn descriptors_are_counted_as_executed() {
    let body = "(struct.get $b 0 (ref.get_desc $a (struct.new_default_desc $a (struct.new $b (i32.const 7)))))";
    let mut store = Store::new(Budget::default());
    store.keep_tally();
    let instance = store.instantiate(&decode(&described("(result i32)", body)), &[]).unwrap();
    assert_eq!(call(&mut store, instance, "f", &[]), Ok(vec![Value::I32(7)]));
    let exact = "(ref.test (ref (exact $b)) (struct.new $b (i32.const 7)))";
    let instance = store.instantiate(&decode(&described("(result i32)", exact)), &[]).unwrap();
    assert_eq!(call(&mut store, instance, "f", &[]), Ok(vec![Value::I32(1)]));
    let counted = store.tally().unwrap().iter().find(|(group, _)| *group == Group::CustomDescriptors);
    assert_eq!(counted, Some((Group::CustomDescriptors, 3)));
}

#[test]
fn conversions_that_change_no_value_are_counted() {
    let text = "(module (func (export \"f\") (result i32)
        (ref.is_null (extern.convert_any (any.convert_extern (ref.null extern))))))";
    let mut store = Store::new(Budget::default());
    store.keep_tally();
    let instance = store.instantiate(&decode(text), &[]).unwrap();
    assert_eq!(call(&mut store, instance, "f", &[]), Ok(vec![Value::I32(1)]));
    let count = |name| store.tally().unwrap().operators().find(|row| row.0 == name);
    for name in ["AnyConvertExtern", "ExternConvertAny"] {
        assert_eq!(count(name), Some((name, 1)));
    }
}

#[test]
fn without_the_proposal_its_forms_are_malformed() {
    let modules = [
        described("", ""),
        "(module (type $f (func)) (import \"\" \"\" (func (exact (type $f)))))".to_owned(),
        "(module (type $f (func)) (func (param (ref null (exact $f)))))".to_owned(),
        "(module (type $s (struct)) (func (drop (ref.get_desc $s (ref.null none)))))".to_owned(),
        "(module (func (param i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 0))))".to_owned(),
        "(module (func (result i64 i64) (i64.sub128 (unreachable))))".to_owned(),
        "(module (memory 1) (func (result i32) (i32.atomic.load (i32.const 0))))".to_owned(),
        "(module (func (atomic.fence)))".to_owned(),
    ];
    for text in modules {
        let bytes = wat::parse_str(&text).unwrap();
        let refused = Module::decode(&bytes, Features::default());
        assert!(matches!(refused, Err(ModuleError::Malformed { .. })), "{text}: {refused:?}");
    }
    let unrelated = "(module (func (result anyref) (br_on_cast 0 structref arrayref (unreachable))))";
    let bytes = wat::parse_str(unrelated).unwrap();
    assert!(matches!(Module::decode(&bytes, Features::default()), Err(ModuleError::Invalid { .. })));
    assert!(Module::decode(&bytes, Features::all()).is_ok());
}

/// Appends a section of branch hints, or puts it before the code of a module of one function.
fn hinted(hints: &[u8], at_end: bool) -> Vec<u8> {
    let mut bytes = wat::parse_str("(module (func (param i32) (if (local.get 0) (then)) nop))").unwrap();
    let name = b"metadata.code.branch_hint";
    let mut section = vec![0, (1 + name.len() + hints.len()) as u8, name.len() as u8];
    section.extend_from_slice(name);
    section.extend_from_slice(hints);
    // The code section: its id, its size, one body of ten bytes.
    let code = bytes.windows(2).rposition(|pair| pair == [10, 10]).unwrap();
    let at = if at_end { bytes.len() } else { code };
    bytes.splice(at..at, section);
    bytes
}

#[test]
fn branch_hints_name_branches_in_order() {
    let check = |hints: &[u8], at_end: bool, expected: Option<&str>| {
        let bytes = hinted(hints, at_end);
        assert!(Module::decode(&bytes, Features::default()).is_ok(), "a custom section makes no module invalid");
        let checked = Module::check_custom_sections(&bytes, Features::default());
        match (checked, expected) {
            (Ok(()), None) => {}
            (Err(error), Some(text)) if error.to_string().contains(text) => {}
            (checked, _) => panic!("{hints:?}: {checked:?}, expected {expected:?}"),
        }
    };
    // Body: no locals (1 byte), local.get (2), if (2), end, nop, end: the `if` is at 3.
    check(&[1, 0, 1, 3, 1, 1], false, None);
    check(&[1, 0, 1, 3, 1, 0], false, None);
    check(&[1, 0, 0], false, None);
    check(&[1, 0, 1, 3, 1, 1], true, Some("after the code"));
    check(&[1, 0, 1, 6, 1, 1], false, Some("invalid target"));
    check(&[1, 0, 1, 4, 1, 1], false, Some("not an instruction"));
    check(&[1, 1, 1, 3, 1, 1], false, Some("not a function"));
    check(&[1, 0, 2, 3, 1, 1, 3, 1, 1], false, Some("duplicate annotation"));
    check(&[2, 0, 0, 0, 0], false, Some("not in order"));
    check(&[1, 0, 1, 3, 1, 2], false, Some("malformed"));
    check(&[1, 0, 1, 3, 2, 1], false, Some("malformed"));
}
