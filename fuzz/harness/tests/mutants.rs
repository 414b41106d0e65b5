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
    assert!(names.len() >= 60, "{} witnesses", names.len());
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
