//! Where unsafe code may stand.
//!
//! Invariant: every crate root forbids unsafe code, but those listed here; what may contain it is a folder or a named file.
//!
//! Does not know: whether a block is sound; its `// SAFETY:` comment says so, and clippy sees that it is there.

use wattest_tidy::packages::packages;
use wattest_tidy::report::Report;
use wattest_tidy::tree::tree;

/// A package that may contain unsafe code, and where.
struct Unsafe {
    package: &'static str,
    /// A folder (ending in `/`) or a file.
    place: &'static str,
    reason: &'static str,
}

const UNSAFE: &[Unsafe] = &[
    Unsafe {
        package: "wattest-vm",
        place: "runtime/vm/",
        reason: "mappings, signal handlers, raw instance memory: the one unsafe house",
    },
    Unsafe {
        package: "wattest",
        place: "runtime/embed/src/load.rs",
        reason: "loads compiled code, which the caller vouches for",
    },
    Unsafe {
        package: "wattest",
        place: "runtime/embed/tests/smoke.rs",
        reason: "vouches for the artifact it has just made",
    },
    Unsafe {
        package: "wattest",
        place: "runtime/embed/tests/locals.rs",
        reason: "vouches for the artifact it has just made",
    },
    Unsafe {
        package: "wattest",
        place: "runtime/embed/tests/artifacts.rs",
        reason: "loads damaged copies of artifacts it has just made",
    },
    Unsafe {
        package: "wattest-cli",
        place: "runtime/cli/src/precompiled.rs",
        reason: "loads compiled code, when the user says that it is trusted",
    },
    Unsafe {
        package: "wattest-fuzz",
        place: "fuzz/src/counters.rs",
        reason: "the section in which libFuzzer looks for extra counters",
    },
    Unsafe {
        package: "wattest-harness",
        place: "fuzz/harness/src/artifact.rs",
        reason: "loading damaged artifacts, to see them refused",
    },
    Unsafe {
        package: "wattest-harness",
        place: "fuzz/harness/src/allocator.rs",
        reason: "the allocator of worker processes, which keeps blocks for the next case",
    },
];

/// Lints that a root of a crate with unsafe code declares.
const LINTS: &[(&str, &str)] = &[
    ("undocumented_unsafe_blocks", "#![deny(clippy::undocumented_unsafe_blocks)]"),
    ("unsafe_op_in_unsafe_fn", "#![forbid(unsafe_op_in_unsafe_fn)]"),
];

#[test]
fn crates_forbid_unsafe_code() {
    let mut report = Report::default();
    for package in packages() {
        let listed = UNSAFE.iter().any(|row| row.package == package.name);
        let whole = UNSAFE.iter().any(|row| row.package == package.name && row.place.ends_with('/'));
        for root in package.roots.iter().filter(|root| !is_test(&root.kind)) {
            let Some(source) = tree().source(&root.path) else { continue };
            if source.code.contains("#![forbid(unsafe_code)]") {
                continue;
            }
            if !listed {
                report.at(&root.path, 1, "does not forbid unsafe code");
                continue;
            }
            for (lint, attribute) in LINTS {
                if !source.code.contains(lint) {
                    report.at(&root.path, 1, format!("does not declare `{attribute}`"));
                }
            }
            if !whole && !source.code.contains("#![deny(unsafe_code)]") {
                report.at(&root.path, 1, "does not declare `#![deny(unsafe_code)]`");
            }
        }
    }
    report.finish(
        "write `#![forbid(unsafe_code)]` below the header; where a named file may be unsafe, `#![deny(unsafe_code)]` \
         and the two lints in the root, and `#![expect(unsafe_code, reason = …)]` in that file",
    );
}

#[test]
fn unsafe_code_stands_only_where_it_may() {
    let mut report = Report::default();
    let mut used = vec![false; UNSAFE.len()];
    for source in &tree().sources {
        let place =
            |row: &Unsafe| source.path == row.place || (row.place.ends_with('/') && source.path.starts_with(row.place));
        let allowed = UNSAFE.iter().position(place);
        for line in source.lines_with("unsafe") {
            match allowed {
                Some(index) => used[index] = true,
                None => report.at(&source.path, line, "unsafe code outside its house"),
            }
        }
    }
    for (row, used) in UNSAFE.iter().zip(used) {
        assert!(!row.reason.is_empty(), "{} has no reason", row.place);
        if !used {
            report.at(
                "runtime/tidy/tests/house/unsafety.rs",
                1,
                format!("{} contains no unsafe code: remove its row", row.place),
            );
        }
    }
    report
        .finish("write it as a safe function of the VM: an unsafe entry converts raw arguments and calls a safe body");
}

fn is_test(kind: &str) -> bool {
    matches!(kind, "test" | "bench" | "example")
}
