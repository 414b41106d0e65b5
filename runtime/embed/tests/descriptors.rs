//! Custom descriptors through the API: types, objects, imports, and what must be refused.
//!
//! Invariant: every guest runs under `gc-stress` too.
//!
//! Does not know: single instructions; the proposal's official files have those.

use wattest::{
    AnyRef, Config, Engine, Error, Feature, FieldType, Func, FuncType, HeapType, Instance, Linker, Module, StorageType,
    Store, StructDeclaration, StructRef, StructType, TrapCode, Val, ValType,
};

fn engines() -> [Engine; 2] {
    [false, true].map(|stress| {
        let mut config = Config::new();
        config.feature(Feature::CustomDescriptors, true).gc_stress(stress);
        Engine::new(&config).expect("the configuration is possible")
    })
}

fn field(ty: ValType) -> FieldType {
    FieldType { storage: StorageType::Val(ty), mutable: true }
}

fn declaration<'a>(supertype: Option<&'a StructType>, fields: &[ValType]) -> StructDeclaration<'a> {
    StructDeclaration { is_final: false, supertype, fields: fields.iter().map(|ty| field(*ty)).collect() }
}

const MODULE: &str = r#"(module
    (rec
        (type $object (sub (descriptor $class) (struct (field (mut i32)))))
        (type $class (sub (describes $object) (struct (field (mut i64))))))
    (func (export "class") (param (ref $object)) (result (ref $class)) (ref.get_desc $object (local.get 0)))
    (func (export "cast") (param anyref (ref null (exact $class))) (result anyref)
        (ref.cast_desc_eq (ref (exact $object)) (local.get 0) (local.get 1)))
    (func (export "make") (param i32) (result (ref (exact $object)))
        (struct.new_desc $object (local.get 0) (struct.new $class (i64.extend_i32_s (local.get 0))))))"#;

#[test]
fn the_proposal_is_off_unless_asked_for() {
    assert!(Module::new(&Engine::default(), MODULE).is_err());
    assert!(engines().iter().all(|engine| Module::new(engine, MODULE).is_ok()));
}

#[test]
fn a_type_of_the_host_is_that_of_the_module() {
    for engine in engines() {
        let module = Module::new(&engine, MODULE).expect("the module is valid");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
        let (object, class) = StructType::declare_described(
            &engine,
            declaration(None, &[ValType::I32]),
            declaration(None, &[ValType::I64]),
        )
        .expect("the types fit");
        let mine = StructRef::new(&mut store, &class, &[Val::I64(7)]).expect("there is room");
        let made = StructRef::with_descriptor(&mut store, &object, &mine, &[Val::I32(5)]).expect("there is room");
        assert_eq!(made.get(&store, 0).ok(), Some(Val::I32(5)));
        let mut results = [Val::I32(0)];
        let func = instance.get_func(&store, "class").expect("it is exported");
        func.call(&mut store, &[made.clone().into()], &mut results).expect("the call succeeds");
        assert_eq!(results[0], Val::from(mine.clone()));
        let func = instance.get_func(&store, "cast").expect("it is exported");
        func.call(&mut store, &[made.clone().into(), mine.into()], &mut results).expect("the cast succeeds");
        assert_eq!(results[0], Val::from(made.clone()));
        let other = StructRef::new(&mut store, &class, &[Val::I64(7)]).expect("there is room");
        let error = func.call(&mut store, &[made.clone().into(), other.into()], &mut results).expect_err("another");
        assert!(matches!(error, Error::Trap(trap) if trap.code() == TrapCode::DescriptorCastFailure));
        let null = Val::Null(HeapType::None);
        let error = func.call(&mut store, &[made.into(), null], &mut results).expect_err("no descriptor");
        assert!(matches!(error, Error::Trap(trap) if trap.code() == TrapCode::NullDescriptor));
        let func = instance.get_func(&store, "make").expect("it is exported");
        func.call(&mut store, &[Val::I32(9)], &mut results).expect("the call succeeds");
        let Val::AnyRef(value) = &results[0] else { panic!("no object: {results:?}") };
        let value = value.as_struct(&store).ok().flatten().expect("a struct");
        assert_eq!(value.ty(&store).ok(), Some(object));
        let found = value.descriptor(&store).ok().flatten().expect("it has one");
        assert_eq!(found.get(&store, 0).ok(), Some(Val::I64(9)));
        assert_eq!(found.descriptor(&store).ok(), Some(None));
    }
}

#[test]
fn objects_without_their_descriptor_are_refused() {
    for engine in engines() {
        let plain = || declaration(None, &[]);
        let (object, class) = StructType::declare_described(&engine, plain(), plain()).expect("the types fit");
        let below =
            StructType::declare_described(&engine, declaration(Some(&object), &[]), declaration(Some(&class), &[]));
        let (_, below_class) = below.expect("the types fit");
        let unrelated = StructType::new(&engine, []).expect("there is room");
        let mut store = Store::new(&engine, ());
        assert!(matches!(StructRef::new(&mut store, &object, &[]), Err(Error::Usage(_))));
        for wrong in [&unrelated, &below_class] {
            let descriptor = StructRef::new(&mut store, wrong, &[]).expect("there is room");
            let made = StructRef::with_descriptor(&mut store, &object, &descriptor, &[]);
            assert!(matches!(made, Err(Error::Usage(_))), "{made:?}");
            assert!(StructRef::with_descriptor(&mut store, &unrelated, &descriptor, &[]).is_err());
        }
    }
}

#[test]
fn declarations_follow_the_rules_of_validation() {
    let [engine, _] = engines();
    let none: &[ValType] = &[];
    let plain = StructType::declare(&engine, false, None, []).expect("there is room");
    let pair = |described, descriptor| StructType::declare_described(&engine, described, descriptor);
    let (object, class) = pair(declaration(None, none), declaration(None, none)).expect("the types fit");
    // Alone below one of the pair; a descriptor of something else; a descriptor below no descriptor.
    assert!(StructType::declare(&engine, false, Some(&object), []).is_err());
    assert!(StructType::declare(&engine, false, Some(&class), []).is_err());
    assert!(pair(declaration(Some(&object), none), declaration(None, none)).is_err());
    assert!(pair(declaration(None, none), declaration(Some(&class), none)).is_err());
    assert!(pair(declaration(None, none), declaration(Some(&plain), none)).is_err());
    assert!(pair(declaration(Some(&class), none), declaration(None, none)).is_err());
    // A described type may be below one that has no descriptor, with fields before the reference to it.
    let (late, _) = pair(declaration(Some(&plain), &[ValType::I64]), declaration(None, none)).expect("the types fit");
    assert!(late.matches(&plain) && !late.matches(&object));
    let (lower, lower_class) = pair(declaration(Some(&object), none), declaration(Some(&class), none)).expect("fits");
    assert_eq!((lower.descriptor(), lower_class.describes()), (Some(lower_class.clone()), Some(lower.clone())));
    let matches = |given, wanted| engine.matches(ValType::Ref(given), ValType::Ref(wanted));
    assert!(matches(lower.exact_ref_type(false), object.ref_type(true)));
    assert!(!matches(lower.exact_ref_type(false), object.exact_ref_type(false)));
    assert!(!matches(object.ref_type(false), object.exact_ref_type(false)));
}

#[test]
fn exact_imports_and_values_refuse_subtypes() {
    let [engine, _] = engines();
    let exporting = r#"(module
        (type $above (sub (func))) (type $below (sub $above (func)))
        (func (export "above") (type $above)) (func (export "below") (type $below)))"#;
    let importing = r#"(module
        (type $above (sub (func))) (import "m" "f" (func $f (exact (type $above))))
        (elem declare func $f)
        (func (export "take") (param (ref (exact $above))))
        (func (export "f") (result (ref (exact $above))) (ref.func $f)))"#;
    let exporting = Module::new(&engine, exporting).expect("the module is valid");
    let importing = Module::new(&engine, importing).expect("the module is valid");
    assert!(importing.imports().all(|import| import.is_exact()));
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &exporting, &[]).expect("nothing is imported");
    let mut link = |name: &str| {
        let func = instance.get_func(&store, name).expect("it is exported");
        let mut linker = Linker::new(&engine);
        linker.define(&store, "m", "f", func).expect("the name is free");
        linker.instantiate(&mut store, &importing).map(|instance| (instance, func))
    };
    let error = link("below").expect_err("the type is one below").to_string();
    assert!(error.contains("needs exactly (func), was given (func) declared otherwise"), "{error}");
    let (taker, above) = link("above").expect("the type is the same");
    let below = instance.get_func(&store, "below").expect("it is exported");
    let take = taker.get_func(&store, "take").expect("it is exported");
    assert!(take.call(&mut store, &[Val::FuncRef(Some(above))], &mut []).is_ok());
    assert!(take.call(&mut store, &[Val::FuncRef(Some(below))], &mut []).is_err());
    let host = Func::new(&mut store, FuncType::new([], []), |_, _, _| Ok(()));
    assert!(take.call(&mut store, &[Val::FuncRef(Some(host))], &mut []).is_err());
}

#[test]
fn descriptors_beyond_the_guard_are_checked_for_null() {
    // 80 KB of fields before the reference: null plus its offset is an address that may be accessible.
    let text = format!(
        r#"(module
        (type $wide (sub (struct (field {fields}))))
        (rec
            (type $object (sub $wide (descriptor $class) (struct (field {fields}) (field i32))))
            (type $class (sub (describes $object) (struct (field i32)))))
        (func (export "null") (result i32) (struct.get $class 0 (ref.get_desc $object (ref.null $object))))
        (func (export "far") (result i32)
            (struct.get $class 0 (ref.get_desc $object
                (struct.new_default_desc $object (struct.new $class (i32.const 7)))))))"#,
        fields = "v128 ".repeat(5000)
    );
    for engine in engines() {
        let module = Module::new(&engine, &text).expect("the module is valid");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
        let func = |name| instance.get_typed_func::<(), i32>(&store, name).expect("it is exported");
        let (null, far) = (func("null"), func("far"));
        assert_eq!(far.call(&mut store, ()).ok(), Some(7));
        let error = null.call(&mut store, ()).expect_err("null has none");
        assert!(matches!(error, Error::Trap(trap) if trap.code() == TrapCode::NullReference));
    }
}

/// Everything of the proposal. Its first two types are one, so that the validator's identifiers of types are not their
/// indices (see `spec-tests/own/custom-descriptors-twice.wast`).
const RICH: &str = r#"(module
    (type $s (struct))
    (type $same (struct))
    (type $f (func (param i32) (result i32)))
    (import "m" "f" (func $exact (exact (type $f))))
    (rec
        (type $object (sub (descriptor $class) (struct (field (mut i32)))))
        (type $class (sub (describes $object) (descriptor $meta) (struct (field (mut i64)))))
        (type $meta (sub (describes $class) (struct (field anyref)))))
    (rec
        (type $below (sub $object (descriptor $below_class) (struct (field (mut i32)) (field i8))))
        (type $below_class (sub $class (describes $below) (descriptor $below_meta) (struct (field (mut i64)))))
        (type $below_meta (sub $meta (describes $below_class) (struct (field anyref)))))
    (global $m (ref (exact $meta)) (struct.new_default $meta))
    (global $c (ref (exact $class)) (struct.new_desc $class (i64.const 1) (global.get $m)))
    (global $o (ref null (exact $object)) (struct.new_default_desc $object (global.get $c)))
    (func (export "make") (param i32) (result (ref (exact $object)))
        (struct.new_desc $object (local.get 0) (struct.new_default_desc $class (global.get $m))))
    (func (export "get") (param (ref null $object)) (result (ref $meta))
        (ref.get_desc $class (ref.get_desc $object (local.get 0))))
    (func (export "test") (param anyref) (result i32) (ref.test (ref (exact $below)) (local.get 0)))
    (func (export "call") (param (ref (exact $f))) (result i32) (call_ref $f (i32.const 1) (local.get 0))))"#;

/// A generator of numbers (xorshift), the same every time.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn damaged_modules_are_errors_or_modules() {
    let [engine, _] = engines();
    let wasm = wat::parse_str(RICH).expect("the text is a module");
    assert!(Module::from_binary(&engine, &wasm).is_ok());
    let (mut seeded, mut valid) = (Seeded(0x9e37_79b9_7f4a_7c15), 0);
    for _ in 0..3000 {
        let mut damaged = wasm.clone();
        for _ in 0..=seeded.below(3) {
            let at = 8 + seeded.below(damaged.len() - 8);
            // Small numbers are types, fields, functions: other ones than those meant.
            damaged[at] =
                if seeded.below(2) == 0 { seeded.below(12) as u8 } else { damaged[at] ^ 1 << seeded.below(8) };
        }
        valid += u32::from(Module::from_binary(&engine, &damaged).is_ok());
    }
    assert!(valid > 50, "only {valid} reached the compiler");
}

#[test]
fn a_wrong_descriptor_that_validation_lets_pass_fails_the_cast() {
    // The validator of wasmparser 0.254.2 takes `$object` for the type of descriptors here.
    let text = r#"(module
        (type $s (struct)) (type $same (struct))
        (rec (type $object (descriptor $class) (struct)) (type $class (describes $object) (struct)))
        (func (export "f") (result anyref) (local $o (ref null (exact $object)))
            (local.set $o (struct.new_desc $object (struct.new $class)))
            (ref.cast_desc_eq (ref (exact $object)) (local.get $o) (local.get $o))))"#;
    for engine in engines() {
        let module = match Module::new(&engine, text) {
            Ok(module) => module,
            // A validator without that defect refuses the module, as it should.
            Err(error) => {
                assert!(error.to_string().contains("type mismatch"), "{error}");
                continue;
            }
        };
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
        let func = instance.get_func(&store, "f").expect("it is exported");
        let error = func.call(&mut store, &[], &mut [Val::I32(0)]).expect_err("the cast fails");
        assert!(matches!(error, Error::Trap(trap) if trap.code() == TrapCode::DescriptorCastFailure));
    }
}

#[test]
fn references_to_internal_values_know_their_type() {
    let [engine, _] = engines();
    let module = Module::new(&engine, MODULE).expect("the module is valid");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
    let make = instance.get_func(&store, "make").expect("it is exported");
    let mut results = [Val::I32(0)];
    make.call(&mut store, &[Val::I32(1)], &mut results).expect("the call succeeds");
    let Val::AnyRef(value) = &results[0] else { panic!("no object: {results:?}") };
    let ty = value.as_struct(&store).ok().flatten().and_then(|object| object.ty(&store).ok()).expect("a struct");
    assert_eq!(AnyRef::heap_type(value, &store).ok(), Some(ty.heap_type()));
}
