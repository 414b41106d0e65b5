//! Small components that one rule each decides: the runtime does what the reference does, and so does every stage between
//! the binary and native code.
//!
//! Every file of `tests/components` exports an instance `i`, whose functions take nothing; each of them is called in an
//! instance of its own, so that one trap does not hide the next.

use std::path::Path;
use wattest_differential::WattestComponents;
use wattest_differential::components::{
    ComponentCall, ComponentCase, ComponentEngine, ReferenceComponents, compare_components,
};
use wattest_differential::dfg::{Interpreters, check_stages};
use wattest_reference::component::{Component, Evaluator, Limits, NoHost};

fn check(engine: &Interpreters, name: &str, wasm: &[u8], failures: &mut Vec<String>) -> usize {
    let component = Component::decode(wasm).unwrap_or_else(|error| panic!("{name}: {error}"));
    let root = Evaluator::new(Limits::default(), Box::new(NoHost)).instantiate(&component).unwrap();
    for path in root.funcs() {
        let calls = vec![ComponentCall { instance: path[0].clone(), func: path[1].clone(), args: Vec::new() }];
        let case = ComponentCase { wasm: wasm.to_vec(), calls, ..ComponentCase::default() };
        let expected = ReferenceComponents.run(&case).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut subject = WattestComponents::new(0);
        println!("{name} {}: {expected:?}", path[1]);
        let found = match subject.run(&case) {
            Ok(record) => compare_components(&expected, &record),
            Err(error) => Some(error),
        };
        failures.extend(found.map(|what| format!("{name} {}: {what}", path[1])));
        if let Err(found) = check_stages(engine, &case, 7) {
            failures.push(format!("{name} {}: {}: {}", path[1], found.stage.name(), found.what));
        }
    }
    root.funcs().len()
}

#[test]
fn components_of_one_rule_each() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/components");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (engine, mut failures) = (Interpreters::default(), Vec::new());
    for path in &files {
        let wasm = wat::parse_file(path).unwrap();
        assert!(check(&engine, &path.file_name().unwrap().to_string_lossy(), &wasm, &mut failures) > 0);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
