//! Two validators of custom descriptors, the runtime's and the reference's, over modules that are nearly valid.
//!
//! Promises: of type sections with `descriptor` and `describes` clauses at random, and of functions that apply the proposal's
//! instructions and casts to operands of random types
//! ([proposal](https://github.com/WebAssembly/custom-descriptors/blob/main/proposals/custom-descriptors/Overview.md)), both
//! accept the same, whether the proposal is on or off.
//!
//! Invariant: modules are a function of fixed seeds; enough of them are valid, and enough are not.
//!
//! Does not know: which of the two is right.

use wattest::{Config, Engine, Feature, Module};
use wattest_reference::{Features, Module as Reference, ModuleError};

/// Choices from a seed: SplitMix64.
struct Choices(u64);

impl Choices {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % count
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len() as u64) as usize]
    }
}

/// A type section of one or two groups. Most clauses name each other, as they must; some are off by a little.
fn types(choices: &mut Choices) -> (String, u64) {
    let mut text = String::new();
    let mut defined = 0;
    for _ in 0..1 + choices.below(2) {
        let pairs = 1 + choices.below(3);
        text.push_str("(rec\n");
        for pair in 0..pairs {
            let (described, descriptor) = (defined + 2 * pair, defined + 2 * pair + 1);
            let parent = (described > 0 && choices.percent(60)).then(|| choices.below(described / 2 + 1) * 2);
            for (index, is_descriptor) in [(described, false), (descriptor, true)] {
                let own_parent = parent.map(|parent| parent + u64::from(is_descriptor)).filter(|_| !choices.percent(6));
                let parent = own_parent.filter(|parent| *parent < index).map_or(String::new(), |at| format!(" {at}"));
                let name = |other: u64, choices: &mut Choices| match choices.below(40) {
                    0 => other + 1,
                    1 => other.saturating_sub(1),
                    _ => other,
                };
                let other = if is_descriptor { described } else { descriptor };
                let clause = if is_descriptor { "describes" } else { "descriptor" };
                let clause =
                    if choices.percent(4) { String::new() } else { format!("({clause} {})", name(other, choices)) };
                let is_final = if choices.percent(6) { "final" } else { "" };
                let comp = match choices.below(60) {
                    0 => "(func)",
                    1 => "(array i32)",
                    2 => "(struct (field i64))",
                    _ => "(struct (field i32))",
                };
                text.push_str(&format!("  (type (sub {is_final}{parent} {clause} {comp}))\n"));
            }
        }
        text.push_str(")\n");
        defined += 2 * pairs;
    }
    (text, defined)
}

fn reference_type(choices: &mut Choices, defined: u64) -> String {
    let null = choices.pick(&["null ", ""]);
    let heap = match choices.below(10) {
        0 => choices.pick(&["any", "eq", "struct", "none", "i31", "func", "array"]).to_owned(),
        1..=4 => format!("(exact {})", choices.below(defined)),
        _ => choices.below(defined).to_string(),
    };
    format!("(ref {null}{heap})")
}

/// A reference to the type, or to one near it.
fn around(choices: &mut Choices, defined: u64, index: u64) -> String {
    let null = choices.pick(&["null ", ""]);
    match choices.below(8) {
        0 => reference_type(choices, defined),
        1 => format!("(ref {null}none)"),
        2 => format!("(ref {null}any)"),
        3..=5 => format!("(ref {null}(exact {index}))"),
        _ => format!("(ref {null}{index})"),
    }
}

/// A function that applies one instruction to its parameters.
fn function(choices: &mut Choices, defined: u64) -> String {
    let described = choices.below(defined / 2) * 2;
    let descriptor = described + 1;
    let mut near = |index| around(choices, defined, index);
    let (value, desc, to, from, result) =
        (near(described), near(descriptor), near(described), near(described), near(described));
    let branch = |name: &str, with: &str| {
        format!(
            "(block (result {result}) (drop ({name} 0 {from} {to} (local.get 0) {with})) (unreachable)) (drop) (unreachable)"
        )
    };
    let (operands, body) = match choices.below(14) {
        0 => (format!("i32 {desc}"), format!("(struct.new_desc {described} (local.get 0) (local.get 1))")),
        1 => (desc, format!("(struct.new_default_desc {described} (local.get 0))")),
        2 => ("i32".to_owned(), format!("(struct.new {descriptor} (local.get 0))")),
        3 => (String::new(), format!("(struct.new_default {descriptor})")),
        4 | 5 => (value, format!("(ref.get_desc {described} (local.get 0))")),
        6 | 7 => (format!("{value} {desc}"), format!("(ref.cast_desc_eq {to} (local.get 0) (local.get 1))")),
        8 | 9 => (format!("{value} {desc}"), branch("br_on_cast_desc_eq", "(local.get 1)")),
        10 | 11 => (format!("{value} {desc}"), branch("br_on_cast_desc_eq_fail", "(local.get 1)")),
        12 => (value, branch("br_on_cast", "")),
        _ => (value, branch("br_on_cast_fail", "")),
    };
    let results = match choices.below(3) {
        0 => format!("(ref (exact {}))", if body.contains("get_desc") { descriptor } else { described }),
        1 => format!("(ref null {})", if body.contains("get_desc") { descriptor } else { described }),
        _ => "anyref".to_owned(),
    };
    format!("(func (param {operands}) (result {results}) {body})\n")
}

/// Both verdicts on a module; panics where they differ.
fn agree(engine: &Engine, features: Features, text: &str) -> bool {
    let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let runtime = Module::validate(engine, &bytes);
    let reference = Reference::decode(&bytes, features);
    assert!(!matches!(reference, Err(ModuleError::Unsupported { .. })), "{reference:?}\n{text}");
    assert_eq!(runtime.is_ok(), reference.is_ok(), "{runtime:?}\n{:?}\n{text}", reference.map(drop));
    runtime.is_ok()
}

/// Checks the modules of so many seeds; between a tenth and nine tenths of them are valid.
fn check(count: u64, module: fn(&mut Choices) -> String) {
    let mut config = Config::new();
    config.feature(Feature::CustomDescriptors, true);
    let with = Engine::new(&config).expect("the configuration is sound");
    let without = Engine::default();
    let mut valid = 0;
    for seed in 0..count {
        let text = module(&mut Choices(seed.wrapping_mul(0xd1b5_4a32_d192_ed03)));
        valid += u64::from(agree(&with, Features::all(), &text));
        agree(&without, Features::default(), &text);
    }
    assert!((count / 10..count / 10 * 9).contains(&valid), "{valid} of {count} modules are valid");
}

#[test]
fn type_sections() {
    check(2_000, |choices| format!("(module {})", types(choices).0));
}

#[test]
fn instructions() {
    check(4_000, |choices| {
        let types =
            "(rec (type (sub (descriptor 1) (struct (field i32)))) (type (sub (describes 0) (struct (field i32))))
            (type (sub 0 (descriptor 3) (struct (field i32)))) (type (sub 1 (describes 2) (struct (field i32)))))";
        format!("(module {types} {})", function(choices, 4))
    });
}
