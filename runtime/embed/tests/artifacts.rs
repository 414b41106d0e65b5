//! Artifacts: determinism, damage and foreign configurations.
//!
//! Promises: equal modules have equal artifacts, and what is not an intact artifact of this configuration is refused
//! with a typed error.
//!
//! Invariant: only bytes that `serialize` made, or damaged copies of them, are loaded.
//!
//! Does not know: the artifact format.

use wattest::component::Component;
use wattest::{CallPath, Config, DeserializeError, Engine, Feature, Instance, Module, OptLevel, Store};

/// Loads damaged or foreign bytes, which must be refused before any code in them is used.
#[expect(unsafe_code, reason = "loading damaged artifacts is what is tested")]
fn load(engine: &Engine, bytes: &[u8]) -> Result<Module, DeserializeError> {
    // SAFETY: the bytes are what `serialize` made, or fail the checksum over all of them.
    unsafe { Module::deserialize(engine, bytes) }
}

/// A module with a bit of everything, large enough for several functions per thread.
fn text() -> String {
    let functions = (0..60).map(|n| {
        format!(
            r#"(func (export "f{n}") (param i32) (result i32)
            (i32.add (i32.load offset={n} (local.get 0)) (call_indirect (type 0) (i32.const {n}))))"#
        )
    });
    format!(
        r#"(module $everything (type (func (result i32))) (import "" "h" (func (param i64)))
            (memory (export "m") 2) (table 100 funcref) (global (mut i32) (i32.const 7))
            (data (i32.const 100) "{}") (elem (i32.const 0) $seven) (func $seven (type 0) (i32.const 7)) {})"#,
        "x".repeat(9000),
        functions.collect::<String>()
    )
}

fn module(engine: &Engine) -> Module {
    Module::new(engine, text()).expect("the module is valid")
}

#[test]
fn the_same_module_gives_the_same_bytes() {
    let engine = Engine::default();
    let serial = Engine::new(Config::new().parallel_compilation(false)).expect("the configuration is sound");
    let bytes = module(&engine).serialize().expect("it can be encoded");
    for _ in 0..3 {
        assert!(module(&engine).serialize().expect("it can be encoded") == bytes, "compiled again");
        assert!(module(&serial).serialize().expect("it can be encoded") == bytes, "compiled serially");
        assert!(module(&Engine::default()).serialize().expect("it can be encoded") == bytes, "another engine");
    }
    let loaded = load(&engine, &bytes).expect("it is intact");
    assert!(loaded.serialize().expect("it can be encoded") == bytes, "loaded and serialized again");
    let wasm = wat::parse_str(text()).expect("the text is a module");
    assert!(engine.precompile(&wasm).expect("it is valid") == bytes, "precompiled");
    assert!(Engine::detect_precompiled(&bytes) && !Engine::detect_precompiled(&wasm));
}

#[test]
fn a_loaded_module_runs() {
    let engine = Engine::default();
    let bytes = module(&engine).serialize().expect("it can be encoded");
    let loaded = load(&Engine::default(), &bytes).expect("it is intact");
    assert_eq!(loaded.name(), Some("everything"));
    let mut store = Store::new(loaded.engine(), ());
    let host = wattest::Func::wrap(&mut store, |_: i64| ());
    let instance = Instance::new(&mut store, &loaded, &[host.into()]).expect("its import is there");
    let call = |store: &mut Store<()>, name: &str| {
        instance.get_typed_func::<i32, i32>(&mut *store, name).and_then(|func| func.call(store, 100))
    };
    assert_eq!(call(&mut store, "f0").expect("slot 0 is filled"), 0x7878_7878 + 7);
    let error = call(&mut store, "f1").expect_err("slot 1 is null");
    let frames = error.trap().expect("it is a trap").backtrace().frames().to_vec();
    assert_eq!(frames[0].func_name.as_deref(), Some("f1"));
}

#[test]
fn damaged_artifacts_are_refused() {
    let engine = Engine::default();
    let bytes = module(&engine).serialize().expect("it can be encoded");
    let step = (bytes.len() / 700).max(1);
    let lengths = (0..bytes.len()).filter(|len| *len < 600 || len % step == 0 || bytes.len() - len < 50);
    for len in lengths {
        assert!(load(&engine, &bytes[..len]).is_err(), "cut to {len} of {} bytes", bytes.len());
    }
    let mut damaged = bytes.clone();
    for at in (0..bytes.len()).filter(|at| *at < 600 || at % step == 0) {
        damaged[at] ^= 1 << (at % 8);
        assert!(load(&engine, &damaged).is_err(), "bit {} of byte {at} flipped", at % 8);
        damaged[at] = bytes[at];
    }
    assert!(load(&engine, &[&bytes[..], &[0]].concat()).is_err(), "a byte too many");
    assert!(load(&engine, &[]).is_err() && load(&engine, b"\0asm\x01\0\0\0").is_err());
    assert!(load(&engine, &damaged).is_ok(), "nothing is damaged any more");
}

#[test]
#[expect(unsafe_code, reason = "loading damaged artifacts is what is tested")]
fn damaged_files_are_refused() {
    let engine = Engine::default();
    let bytes = module(&engine).serialize().expect("it can be encoded");
    let folder = std::env::temp_dir().join(format!("wattest-artifacts-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("there is room for temporary files");
    let load = |bytes: &[u8]| {
        let path = folder.join("artifact");
        std::fs::write(&path, bytes).expect("there is room for temporary files");
        // SAFETY: as in `load`; nobody else writes the file.
        unsafe { Module::deserialize_file(&engine, &path) }
    };
    for len in [0, 1, 8, 63, 64, 4095, 4096, 4097, bytes.len() / 2, bytes.len() - 1] {
        assert!(load(&bytes[..len]).is_err(), "cut to {len} of {} bytes", bytes.len());
    }
    for at in [0, 9, 100, 5000, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(load(&damaged).is_err(), "byte {at} changed");
    }
    assert!(load(&bytes).is_ok(), "nothing is damaged");
    // SAFETY: there is no such file, or it is a folder.
    let missing =
        unsafe { [Module::deserialize_file(&engine, "/no/such/file"), Module::deserialize_file(&engine, &folder)] };
    assert!(missing.iter().all(Result::is_err));
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

#[test]
fn foreign_configurations_are_refused() {
    let bytes = module(&Engine::default()).serialize().expect("it can be encoded");
    let mut configs = vec![Config::new(); 8];
    configs[0].opt_level(OptLevel::None);
    configs[1].fuel(true);
    configs[2].epoch(true);
    configs[3].explicit_bounds(true);
    configs[4].memory_reservation(1 << 20);
    configs[5].memory_guard(1 << 20);
    configs[6].call_path(CallPath::Entry);
    configs[7].feature(Feature::ALL[0], !Config::new().enabled_features().contains(Feature::ALL[0]));
    for config in &configs {
        let Ok(engine) = Engine::new(config) else { continue };
        let refused = load(&engine, &bytes).expect_err("it was compiled for another configuration");
        assert!(matches!(refused, DeserializeError::Incompatible(_)), "{config:?}: {refused}");
    }
    // What does not change code does not matter.
    let mut same = Config::new();
    same.parallel_compilation(false).copy_on_write(false).max_wasm_stack(1 << 20);
    let same = Engine::new(&same).expect("the configuration is sound");
    assert!(load(&same, &bytes).is_ok());
}

#[test]
#[expect(unsafe_code, reason = "loading damaged artifacts is what is tested")]
fn damaged_artifacts_of_components_are_refused() {
    let engine = Engine::default();
    let text = r#"(component
        (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
        (core instance $i (instantiate $m))
        (func (export "f") (param "a" u32) (result u32) (canon lift (core func $i "f"))))"#;
    let component = Component::new(&engine, text).expect("it is valid");
    let bytes = component.serialize().expect("it can be encoded");
    // SAFETY: the bytes are what `serialize` made, or fail the checksum over all of them.
    let load = |bytes: &[u8]| unsafe { Component::deserialize(&engine, bytes) };
    for len in (0..bytes.len()).filter(|len| *len < 64 || len % 97 == 0 || *len + 1 == bytes.len()) {
        assert!(load(&bytes[..len]).is_err(), "cut to {len} of {} bytes", bytes.len());
    }
    let mut damaged = bytes.clone();
    for at in (0..bytes.len()).filter(|at| *at < 600 || at % 97 == 0) {
        damaged[at] ^= 1 << (at % 8);
        assert!(load(&damaged).is_err(), "bit {} of byte {at} flipped", at % 8);
        damaged[at] = bytes[at];
    }
    assert!(load(&[&bytes[..], &[0]].concat()).is_err(), "a byte too many");
    assert!(load(&damaged).is_ok(), "nothing is damaged any more");
    assert!(Component::detect_precompiled(&bytes) && !Engine::detect_precompiled(&bytes));
}
