//! The planted faults: absent from ordinary builds, and each with a witness that it makes fail.
//!
//! The same file is compiled in both kinds of builds. In an ordinary one it looks for the faults' strings in the program
//! behind `cargo prove` and finds none; under `--cfg wattest_mutants` it finds them, and runs every witness with its fault on
//! in a process of its own.
//!
//! Invariant: a fault without a witness, and a witness without a fault, fail.
//!
//! Does not know: what the faults are.

use wattest_harness::witness;

/// What marks the faults' strings, put together so that this file does not hold it.
fn marker() -> Vec<u8> {
    "/tnatum-tsettaw".bytes().rev().collect()
}

fn holds_faults(program: &str) -> bool {
    let bytes = std::fs::read(program).expect("the program");
    let marker = marker();
    bytes.windows(marker.len()).any(|window| window == marker)
}

/// The program behind `cargo prove`, in this build.
const PROGRAM: &str = env!("CARGO_BIN_EXE_prove");

#[test]
fn ordinary_builds_hold_no_faults() {
    assert_eq!(holds_faults(PROGRAM), cfg!(wattest_mutants), "{PROGRAM}");
}

#[test]
fn there_are_as_many_witnesses_as_the_page_says() {
    let names = witness::names().expect("the folder of witnesses");
    let mut unique = names.clone();
    unique.dedup();
    assert_eq!(names, unique, "a witness has one form");
    let faults = faults();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut sorted: Vec<&str> = faults.iter().map(|(name, _)| *name).collect();
    sorted.sort_unstable();
    assert_eq!(known, sorted, "every fault has a witness, and every witness is one of a fault");
    let count = |area: &dyn Fn(&str) -> bool| faults.iter().filter(|(_, layer)| area(layer)).count();
    let core = count(&|layer| !["Component", "Wasi"].contains(&layer));
    let component = count(&|layer| layer == "Component");
    assert!(core >= 60, "{core} faults of the core");
    assert!(component >= 25, "{component} faults of components");
    for (area, layers) in AREAS {
        assert!(count(&|layer| layers.contains(&layer)) > 0, "no fault of {area}");
    }
    for (area, part) in COMPONENT_AREAS {
        let found = faults.iter().any(|(name, layer)| *layer == "Component" && name.contains(part));
        assert!(found, "no fault of {area}: none is called {part}");
    }
}

/// Areas of the core that have faults of their own, and the layers that they are.
const AREAS: &[(&str, &[&str])] = &[
    ("integer lowering", &["Integer"]),
    ("float lowering", &["Float"]),
    ("SIMD lowering", &["Simd"]),
    ("control flow", &["Control"]),
    ("bounds and guards", &["Bounds"]),
    ("memory64", &["Memory64"]),
    ("bulk and table operations", &["Bulk"]),
    ("calls and host ABI", &["Calls"]),
    ("globals", &["Globals"]),
    ("exceptions", &["Exceptions"]),
    ("GC and the type registry", &["Gc"]),
    ("artifact loading", &["Artifact"]),
    ("fuel and epochs", &["Interruption"]),
    ("WASI", &["Wasi"]),
];

/// Areas of components, and a part of the name of a fault of each.
const COMPONENT_AREAS: &[(&str, &str)] = &[
    ("element counts", "list_bounds_by_count"),
    ("discriminant bounds", "discriminant_inclusive"),
    ("masks", "unmasked"),
    ("string limits", "string_limit"),
    ("base pointers after growth", "growth_unseen"),
    ("realloc checks", "realloc_bounds"),
    ("missing order edges", "order_edge"),
    ("the wrong task or instance", "context_of_innermost_task"),
    ("destructors", "destructor_"),
    ("flags windows", "may_leave"),
];

/// The rows of the faults' table with their layers, read from its source: ordinary builds do not hold it.
fn faults() -> Vec<(&'static str, &'static str)> {
    let source = include_str!("../../../runtime/abi/src/mutants.rs");
    let table = source.split_once("\nmutants! {\n").expect("the table").1;
    let table = table.split_once("\n}\n").expect("the end of the table").0;
    let row = |line: &'static str| {
        let (name, rest) = line.trim().split_once(", ")?;
        let (layer, _) = rest.split_once(", \"")?;
        let is_word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (is_word(name) && is_word(layer)).then_some((name, layer))
    };
    table.lines().filter_map(row).collect()
}

#[cfg(not(wattest_mutants))]
#[test]
fn an_ordinary_build_takes_no_fault() {
    let status = std::process::Command::new(PROGRAM)
        .args(["--witness", "i32_sub_of_itself"])
        .env(wattest_harness::campaign::MUTANT_VARIABLE, "i32_sub_of_itself")
        .output()
        .expect("the program runs");
    assert_eq!(status.status.code(), Some(2), "{}", String::from_utf8_lossy(&status.stderr));
}

#[cfg(wattest_mutants)]
#[test]
fn every_fault_makes_its_witness_fail() {
    use std::process::Command;
    let names = witness::names().expect("the folder of witnesses");
    let mut wrong = Vec::new();
    let passes = |name: &str, fault: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["--witness", name]).env(wattest_harness::campaign::MUTANT_VARIABLE, fault);
        command.output().expect("the program runs").status.success()
    };
    for row in wattest_abi::mutants::ROWS {
        if !names.iter().any(|name| name == row.name()) {
            wrong.push(format!("{}: no witness", row.name()));
            continue;
        }
        if !passes(row.name(), "") {
            wrong.push(format!("{}: the witness fails without the fault", row.name()));
        }
        if passes(row.name(), row.name()) {
            wrong.push(format!("{}: the witness passes with the fault on", row.name()));
        }
    }
    for row in wattest_abi::mutants::ROWS {
        let says_script = row.shown == wattest_abi::mutants::Shown::Script;
        if says_script != witness::is_script(row.name()) {
            wrong.push(format!("{}: the table says {:?}, its witness is another thing", row.name(), row.shown));
        }
    }
    for name in wattest_reference::flips::NAMES {
        let passes = |fault: &str| {
            let mut command = Command::new(PROGRAM);
            command.args(["--reference-witness", name]).env(wattest_harness::campaign::MUTANT_VARIABLE, fault);
            command.output().expect("the program runs").status.success()
        };
        if !passes("") || passes(&format!("reference:{name}")) {
            wrong.push(format!("{name}: planted in the reference, it does not show"));
        }
    }
    for name in names {
        if wattest_abi::mutants::named(&name).is_none() {
            wrong.push(format!("{name}: a witness of no fault"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
