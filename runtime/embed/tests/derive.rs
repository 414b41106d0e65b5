//! Derived interface types through guest components: identity over core values and over memory, and refused types.
//!
//! Invariant: every value of a row comes back from a guest that copies it byte for byte, or core value by core value.
//!
//! Does not know: shapes that do not compile; see `wattest-macros`.

use std::fmt::Debug;
use wattest::component::{Component, ComponentType, Instance, Lift, Linker, Lower, Val};
use wattest::{Engine, Store, TrapCode};

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
struct Address {
    street: String,
    #[component(name = "zip-code")]
    zip: u16,
    resident_names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
struct Person {
    age: u8,
    address: Address,
    height: Option<f64>,
    r#type: Colour,
    rights: Flags9,
    last: Result<Shape, Failure>,
}

#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(enum)]
enum Colour {
    Red,
    DarkGreen,
    #[component(name = "azure")]
    Blue,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(variant)]
enum Shape {
    Nothing,
    Circle(f32),
    Text(String),
    Wide(u64),
    Inner(Pair<u8, i64>),
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(variant)]
enum Failure {
    NotFound,
    Denied,
}

#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
struct Pair<A, B>
where
    A: Copy,
{
    a: A,
    b: B,
}

/// Only lowered: it borrows.
#[derive(ComponentType, Lower)]
#[component(record)]
struct AddressRef<'a> {
    street: &'a str,
    zip_code: u16,
    resident_names: &'a [&'a str],
}

/// Flags with so many labels, and conversions from and to bits for the rows below.
macro_rules! flags {
    ($($name:ident: $($label:ident)*;)*) => {
        $(
            #[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift, Lower)]
            #[component(flags)]
            struct $name {
                $($label: bool,)*
            }

            impl $name {
                fn from_bits(bits: u32) -> $name {
                    let mut at = 0;
                    let mut next = || {
                        at += 1;
                        bits >> (at - 1) & 1 == 1
                    };
                    $name { $($label: next()),* }
                }
            }
        )*
    };
}
flags! {
    Flags1: f0;
    Flags8: f0 f1 f2 f3 f4 f5 f6 f7;
    Flags9: f0 f1 f2 f3 f4 f5 f6 f7 f8;
    Flags17: f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15 f16;
    Flags32: f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12 f13 f14 f15
        f16 f17 f18 f19 f20 f21 f22 f23 f24 f25 f26 f27 f28 f29 f30 f31;
}

/// A component whose functions give back what they get. `$TYPES` are type definitions, `$FUNCS` the functions. A parameter
/// list of one type that goes through memory arrives as an address, which is where the result is then; `flat` stores the one
/// core value of a small type, and `pair` two.
const COMPONENT: &str = r#"(component
    (core module $m
        (memory (export "memory") 4)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                                    (i32.sub (i32.const 0) (local.get 2))))
            (global.set $next (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
        (func (export "one") (param i32) (result i32) (local.get 0))
        (func (export "slice") (param i32 i32) (result i32)
            (i32.store (i32.const 16) (local.get 0))
            (i32.store (i32.const 20) (local.get 1))
            (i32.const 16))
        (func (export "shape") (param i32 i64 i64) (result i32)
            (i32.store8 (i32.const 16) (local.get 0))
            (i64.store (i32.const 24) (local.get 1))
            (if (i32.eq (local.get 0) (i32.const 2))
                (then (i32.store (i32.const 28) (i32.wrap_i64 (local.get 2)))))
            (if (i32.eq (local.get 0) (i32.const 4))
                (then (i64.store (i32.const 32) (local.get 2))))
            (i32.const 16)))
    (core instance $i (instantiate $m))
    (type $address' (record (field "street" string) (field "zip-code" u16) (field "resident-names" (list string))))
    (export $address "address" (type $address'))
    (type $colour' (enum "red" "dark-green" "azure"))
    (export $colour "colour" (type $colour'))
    (type $pair' (record (field "a" u8) (field "b" s64)))
    (export $pair "pair" (type $pair'))
    (type $shape' (variant (case "nothing") (case "circle" f32) (case "text" string) (case "wide" u64)
        (case "inner" $pair)))
    (export $shape "shape" (type $shape'))
    (type $failure' (variant (case "not-found") (case "denied")))
    (export $failure "failure" (type $failure'))
    $FLAGS
    (type $person' (record (field "age" u8) (field "address" $address) (field "height" (option f64))
        (field "type" $colour) (field "rights" $flags9) (field "last" (result $shape (error $failure)))))
    (export $person "person" (type $person'))
    $FUNCS)"#;

/// Type by type: the core function that gives values of it back.
const FUNCS: &[(&str, &str, &str)] = &[
    ("colour", "$colour", "one"),
    ("failure", "$failure", "one"),
    ("shape", "$shape", "shape"),
    ("colours", "(list $colour)", "slice"),
    ("failures", "(list $failure)", "slice"),
    ("shapes", "(list $shape)", "slice"),
    ("addresses", "(list $address)", "slice"),
    ("people", "(list $person)", "slice"),
    ("outcomes", "(list (result $colour (error $shape)))", "slice"),
    ("options", "(list (option $pair))", "slice"),
    ("flags1", "$flags1", "one"),
    ("flags8", "$flags8", "one"),
    ("flags9", "$flags9", "one"),
    ("flags17", "$flags17", "one"),
    ("flags32", "$flags32", "one"),
    ("flags1-list", "(list $flags1)", "slice"),
    ("flags8-list", "(list $flags8)", "slice"),
    ("flags9-list", "(list $flags9)", "slice"),
    ("flags17-list", "(list $flags17)", "slice"),
    ("flags32-list", "(list $flags32)", "slice"),
    ("large", "(tuple $person $person)", "one"),
];

fn text() -> String {
    let flags = [1, 8, 9, 17, 32].map(|count| {
        let labels = (0..count).map(|at| format!("\"f{at}\" ")).collect::<String>();
        format!(
            "(type $flags{count}' (flags {labels})) (export $flags{count} \"flags{count}-type\" (type $flags{count}'))"
        )
    });
    let funcs = FUNCS.iter().map(|(name, ty, core)| {
        format!(
            "(func (export \"{name}-echo\") (param \"p\" {ty}) (result {ty})
                (canon lift (core func $i \"{core}\") (memory $i \"memory\") (realloc (func $i \"realloc\"))))"
        )
    });
    COMPONENT.replace("$FLAGS", &flags.concat()).replace("$FUNCS", &funcs.collect::<String>())
}

fn instance() -> (Store<()>, Instance) {
    let engine = Engine::default();
    let component = Component::new(&engine, text()).unwrap_or_else(|error| panic!("{error}"));
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
    (store, instance)
}

/// What goes through a guest and back.
trait Sample: Lift + Lower + Clone + PartialEq + Debug + Send + Sync + 'static {}

impl<T: Lift + Lower + Clone + PartialEq + Debug + Send + Sync + 'static> Sample for T {}

fn check<T: Sample>(name: &str, samples: &[T]) {
    let (mut store, instance) = instance();
    let echo = instance.get_typed_func::<(T,), (T,)>(&mut store, format!("{name}-echo").as_str()).unwrap();
    for sample in samples {
        assert_eq!(&echo.call(&mut store, (sample.clone(),)).unwrap().0, sample, "{name}");
    }
}

fn addresses() -> Vec<Address> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    vec![
        Address { street: String::new(), zip: 0, resident_names: Vec::new() },
        Address {
            street: "Grüne Straße 🎈".to_owned(), zip: u16::MAX, resident_names: names(&["a", "", "世界"])
        },
    ]
}

fn shapes() -> Vec<Shape> {
    vec![
        Shape::Nothing,
        Shape::Circle(-1.5),
        Shape::Text("text".to_owned()),
        Shape::Wide(u64::MAX),
        Shape::Inner(Pair { a: 255, b: i64::MIN }),
    ]
}

fn people() -> Vec<Person> {
    let lasts = shapes().into_iter().map(Ok).chain([Err(Failure::NotFound), Err(Failure::Denied)]);
    let people = lasts.enumerate().map(|(at, last)| Person {
        age: 7 * u8::try_from(at).unwrap(),
        address: addresses()[at % 2].clone(),
        height: (at % 3 > 0).then_some(1.0 / (1 + at) as f64),
        r#type: [Colour::Red, Colour::DarkGreen, Colour::Blue][at % 3],
        rights: Flags9::from_bits(1 << at | 1 << 8),
        last,
    });
    people.collect()
}

#[test]
fn records_come_back_as_they_went_in() {
    check("addresses", &[Vec::new(), addresses()]);
    check("people", &[people()]);
    let people = people();
    for pair in people.windows(2) {
        check("large", &[(pair[0].clone(), pair[1].clone())]);
    }
}

#[test]
fn variants_come_back_as_they_went_in() {
    check("shape", &shapes());
    check("shapes", &[shapes()]);
    check("failure", &[Failure::NotFound, Failure::Denied]);
    check("failures", &[vec![Failure::Denied, Failure::NotFound, Failure::Denied]]);
}

#[test]
fn enums_options_and_results_come_back_as_they_went_in() {
    const COLOURS: [Colour; 3] = [Colour::Blue, Colour::Red, Colour::DarkGreen];
    check("colour", &COLOURS);
    check("colours", &[COLOURS.to_vec()]);
    check("options", &[vec![None, Some(Pair { a: 1u8, b: -2i64 }), None, Some(Pair { a: 0, b: i64::MAX })]]);
    let outcomes = COLOURS.into_iter().map(Ok).chain(shapes().into_iter().map(Err));
    check("outcomes", &[outcomes.collect::<Vec<Result<Colour, Shape>>>()]);
}

#[test]
fn flags_of_every_size_come_back_as_they_went_in() {
    const BITS: [u32; 6] = [0, 1, 0x8000_0001, 0xAAAA_AAAA, 0x0001_0180, u32::MAX];
    fn both<T: Sample>(name: &str, from: fn(u32) -> T) {
        check(name, &BITS.map(from));
        check(&format!("{name}-list"), &[BITS.map(from).to_vec()]);
    }
    both("flags1", Flags1::from_bits);
    both("flags8", Flags8::from_bits);
    both("flags9", Flags9::from_bits);
    both("flags17", Flags17::from_bits);
    both("flags32", Flags32::from_bits);
}

#[test]
fn labels_are_in_the_order_of_the_fields() {
    let (mut store, instance) = instance();
    let echo = instance.get_func(&mut store, "flags9-echo").unwrap();
    let typed = instance.get_typed_func::<(Flags9,), (Flags9,)>(&mut store, "flags9-echo").unwrap();
    let flags = Flags9 { f0: false, f8: true, ..Flags9::from_bits(2) };
    assert_eq!(typed.call(&mut store, (flags,)).unwrap().0, flags);
    let sample = Val::Flags(vec!["f1".to_owned(), "f8".to_owned()]);
    let mut results = [Val::Bool(false)];
    echo.call(&mut store, std::slice::from_ref(&sample), &mut results).unwrap();
    assert_eq!(results[0], sample);
}

#[test]
fn what_is_only_lowered_may_borrow() {
    let (mut store, instance) = instance();
    let echo =
        instance.get_typed_func::<(Vec<AddressRef<'_>>,), (Vec<Address>,)>(&mut store, "addresses-echo").unwrap();
    let sample = AddressRef { street: "s", zip_code: 3, resident_names: &["a", "b"] };
    let found = echo.call(&mut store, (vec![sample],)).unwrap().0;
    let names = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(found, [Address { street: "s".to_owned(), zip: 3, resident_names: names }]);
}

#[test]
fn a_discriminant_without_a_case_traps() {
    fn check<T: Lift + Debug + Send + Sync + 'static>(core: &str, ty: &str) {
        let text = text().replace("$FUNCS", "");
        let text = text.strip_suffix(')').unwrap_or(&text);
        let more = format!(
            r#"(core module $bad
                (memory (export "memory") 1)
                (func (export "flat") (result i32) (i32.const 3))
                (func (export "list") (result i32)
                    (i32.store (i32.const 0) (i32.const 16))
                    (i32.store (i32.const 4) (i32.const 1))
                    (i32.store8 (i32.const 16) (i32.const 255))
                    (i32.const 0)))
            (core instance $bad (instantiate $bad))
            (func (export "bad") (result {ty}) (canon lift (core func $bad "{core}") (memory $bad "memory"))))"#
        );
        let engine = Engine::default();
        let component = Component::new(&engine, format!("{text}{more}")).unwrap_or_else(|error| panic!("{error}"));
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate(&mut store, &component).unwrap();
        let bad = instance.get_typed_func::<(), (T,)>(&mut store, "bad").unwrap();
        let error = bad.call(&mut store, ()).unwrap_err();
        assert!(error.trap().is_some_and(|trap| trap.code() != TrapCode::Unreachable), "{error}");
    }
    check::<Colour>("flat", "$colour");
    check::<Failure>("flat", "$failure");
    check::<Vec<Colour>>("list", "(list $colour)");
    check::<Vec<Shape>>("list", "(list $shape)");
}

#[test]
fn other_types_are_refused_with_their_path() {
    #[derive(ComponentType, Lower)]
    #[component(record)]
    struct ZipText {
        street: String,
        zip_code: String,
        resident_names: Vec<String>,
    }
    #[derive(ComponentType, Lower)]
    #[component(record)]
    struct Numbers {
        street: String,
        zip_code: u16,
        resident_names: Vec<u32>,
    }
    #[derive(ComponentType, Lower)]
    #[component(record)]
    struct Renamed {
        road: String,
        zip_code: u16,
        resident_names: Vec<String>,
    }
    #[expect(dead_code, reason = "only its type is looked at")]
    #[derive(ComponentType, Lower)]
    #[component(variant)]
    enum Payload {
        Nothing,
        Circle(f64),
        Text(String),
        Wide(u64),
        Inner(Pair<u8, i64>),
    }
    #[expect(dead_code, reason = "only its type is looked at")]
    #[derive(ComponentType, Lower)]
    #[component(enum)]
    enum Fewer {
        Red,
        DarkGreen,
    }
    fn check<P: Lower>(name: &str, expected: &[&str]) {
        let (mut store, instance) = instance();
        let error = instance.get_typed_func::<(P,), ()>(&mut store, name).err().map(|error| error.to_string());
        assert!(
            error.as_ref().is_some_and(|error| error.contains("results")),
            "the result is looked at first: {error:?}"
        );
        let error = instance.get_typed_func::<(P,), (u64,)>(&mut store, name).unwrap_err().to_string();
        for expected in expected {
            assert!(error.contains(expected), "{error}");
        }
    }
    check::<Vec<ZipText>>("addresses-echo", &["string", "u16", "`p.[].zip-code`"]);
    check::<Vec<Numbers>>("addresses-echo", &["u32", "string", "`p.[].resident-names.[]`"]);
    check::<Vec<Renamed>>("addresses-echo", &["road", "`p.[]`"]);
    check::<Payload>("shape-echo", &["f64", "f32", "`p.circle`"]);
    check::<Fewer>("colour-echo", &["enum {red, dark-green}", "azure", "`p`"]);
    check::<Failure>("colour-echo", &["variant", "`p`"]);
    check::<Colour>("failure-echo", &["enum", "`p`"]);
    check::<Flags8>("flags9-echo", &["flags", "`p`"]);
    check::<Vec<Result<Colour, Failure>>>("outcomes-echo", &["variant", "`p.[].err`"]);
    check::<Vec<Option<Pair<u8, u64>>>>("options-echo", &["u64", "s64", "`p.[].some.b`"]);
    check::<Colour>("colour-echo", &["u64", "`result`"]);
}
