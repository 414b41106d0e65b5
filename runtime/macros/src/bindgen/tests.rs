//! What `bindgen!` says about mistakes, and what it must do whatever a world is.
//!
//! What is generated is compiled and run by the tests of `runtime/embed`.

use super::expand;
use proc_macro2::TokenStream;
use std::path::Path;

/// The text that the options expand to, or what is wrong with them.
fn run(options: &str) -> Result<String, String> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../embed/tests");
    let expanded = expand(options.parse::<TokenStream>().unwrap(), &base).map_err(|error| error.to_string())?;
    syn::parse2::<syn::File>(expanded.clone()).unwrap_or_else(|error| panic!("{options}: {error}"));
    Ok(expanded.to_string())
}

fn check(options: &str, expected: &str) {
    let found = run(options).err().unwrap_or_default();
    assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{options}: {found}");
}

/// Options with WIT in place.
fn inline(wit: &str, more: &str) -> String {
    format!("{{ inline: {:?}, {more} }}", format!("package t:t; {wit}"))
}

#[test]
fn mistakes_in_options_are_told() {
    const WORLDS: &str = "interface i { type t = u8; f: func(); } world a { import i; } world b { export i; }";
    const ROWS: &[(&str, &str)] = &[
        ("world: \"a\"", ""),
        ("world: \"t:t/a\",", ""),
        ("", "several worlds: choose one of `t:t/a`, `t:t/b`"),
        ("world: \"c\"", "there is no world `c`, but `t:t/a`, `t:t/b`"),
        ("world: \"u:u/a\"", "there is no world `u:u/a`"),
        ("word: \"a\"", "no option is called `word`; there are `world`, `path`"),
        ("world: \"a\", world: \"b\"", "`world` was given already"),
        ("world: \"a\", path: \"nowhere\"", "nowhere"),
        ("world: \"a\", with: { \"t:t/j\": x }", "the world imports nothing called `t:t/j`"),
        ("world: \"a\", with: { \"t:t/i\": x }", ""),
        ("world: \"a\", with: { \"t:t\": x::y }", ""),
        ("world: \"a\", with: { \"t\": x::y }", ""),
        ("world: \"a\", with: { \"t:t/i/t\": crate::T }", ""),
        ("world: \"b\", with: { \"t:t/i\": x }", "the world imports nothing called `t:t/i`"),
        ("world: \"a\", imports: { default: trappable, \"t:t/i/f\": plain }", ""),
        ("world: \"a\", imports: { default: async }", "`trappable` or `plain`"),
        ("world: \"a\", imports: { \"t:t/i/g\": plain }", "the world imports nothing called `t:t/i/g`"),
        ("world: \"a\", trappable_error_type: { \"t:t/i/e\" => E }", "nothing called `t:t/i/e`"),
        ("world: \"a\", additional_derives: [Hash, serde::Serialize]", ""),
    ];
    for (more, expected) in ROWS {
        check(&inline(WORLDS, more), expected);
    }
    check("\"a\" \"b\"", "expected `{ key: value, … }`");
    check("{ inline: 1 }", "expected string literal");
}

#[test]
fn mistakes_in_wit_are_told_with_their_place() {
    const ROWS: &[(&str, &str)] = &[
        ("world w { import f: func( }", "inline:1:"),
        ("world w { import x:y/z; }", "package 'x:y' not found"),
        ("", "the package has no world"),
        ("world w { import f: func(s: stream<u8>); }", "does not support `stream`"),
        ("world w { export f: func() -> future<u8>; }", "does not support `future`"),
        ("world w { import f: func(e: error-context); }", "error-context"),
        ("interface i { resource r { constructor(); new: static func(); } } world w { import i; }", ""),
        ("interface i { f: func(a: u8) -> u8; } world w { export i; import i; }", ""),
    ];
    for (wit, expected) in ROWS {
        check(&inline(wit, ""), expected);
    }
    let long = (0..17).map(|at| format!("p{at}: u8")).collect::<Vec<_>>().join(", ");
    check(&inline(&format!("world w {{ import f: func({long}); }}"), ""), "parameter lists of 17 types");
    let flags = (0..33).map(|at| format!("label{at}")).collect::<Vec<_>>().join(", ");
    check(
        &inline(&format!("interface i {{ flags g {{ {flags} }} }} world w {{ import i; }}"), ""),
        "32 labels in the flags `G`",
    );
}

#[test]
fn a_folder_is_read_with_its_dependencies_and_watched() {
    let text = run("{ path: \"wit\", world: \"logger\" }").unwrap();
    for file in ["wit/logger.wit", "wit/deps/clock/clock.wit", "wit/deps/clock/types.wit", "wit/deps/sink.wit"] {
        assert!(text.contains(file), "{file} is watched");
    }
    assert!(text.contains("include_bytes"));
    check("\"logger\" in \"wit\"", "");
    check("\"none\" in \"wit\"", "there is no world `none`, but `test:logger/logger@");
    check("\"logger\" in \".\"", "there is no `.wit` file");
    check("\"logger\" in \"wit/logger.wit\"", "not found");
    check("{ path: [\"wit/deps/clock\", \"wit\"], world: \"test:logger/logger\" }", "");
}

#[test]
fn the_same_world_gives_the_same_text() {
    let run = || run("{ path: \"wit\", world: \"logger\" }").unwrap();
    assert_eq!(run(), run());
}

/// A keyword wherever WIT has a name, and names that Rust or the generated code has.
#[test]
fn names_that_are_something_in_rust_are_no_trouble() {
    let wit = "interface host { record %type { self: u8, match: option<type2> } record type2 { %string: string }
            variant option2 { some, none(type2) } enum self { self, crate, super } flags %flags { self, bits }
            type vec = list<string>; resource fn { loop: func(self2: u8); drop: func(); new: static func() -> fn; }
            mod: func(store: u8, linker: vec, t: %type) -> result<self, option2>; }
        world %as { import host; export host; import dyn: func(instance: u8); export dyn2: func(store: string); }";
    check(&inline(wit, ""), "");
}
