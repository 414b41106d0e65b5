//! Worlds through `bindgen!`: values of every type to a guest, on to the host, and all the way back; resources of host and
//! guest; errors of the host's own; reuse of what was generated elsewhere
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md)).

use std::collections::BTreeMap;
use wattest::component::{Component, HasData, HasSelf, Linker, Resource, ResourceTable};
use wattest::{Engine, Store, TrapCode};

/// Functions that give back what they get, for every type: the host's and the guest's.
mod echo {
    wattest::component::bindgen!({
        inline: r#"
            package test:echo;

            interface types {
                record point { x: s32, y: s32 }
                enum colour { red, dark-green, blue }
            }

            interface echo {
                use types.{point, colour as hue};
                record person { name: string, age: u8, %type: hue, home: option<point>, tags: list<string> }
                variant shape { nothing, circle(f32), polygon(list<point>), named(tuple<string, u64>) }
                flags rights { read, write, execute-all }
                flags many { f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16 }
                type names = list<string>;
                type id = u64;
                type pair = tuple<id, hue>;
                echo-scalars: func(a: bool, b: u8, c: s8, d: u16, e: s16, f: u32, g: s32, h: u64, i: s64, j: f32, k: f64, l: char)
                    -> tuple<bool, u8, s8, u16, s16, u32, s32, u64, s64, f32, f64, char>;
                echo-text: func(s: string) -> string;
                echo-point: func(p: point) -> point;
                echo-person: func(p: person) -> person;
                echo-shape: func(s: shape) -> shape;
                echo-hue: func(h: hue) -> hue;
                echo-rights: func(r: rights) -> rights;
                echo-many: func(m: list<many>) -> list<many>;
                echo-names: func(n: names) -> names;
                echo-pair: func(p: pair) -> pair;
                echo-maybe: func(o: option<option<string>>) -> option<option<string>>;
                echo-outcome: func(r: result<u32, string>) -> result<u32, string>;
                echo-units: func(r: result) -> result;
                echo-lists: func(l: list<list<u16>>) -> list<list<u16>>;
                echo-fixed: func(l: list<u32, 3>) -> list<u32, 3>;
                echo-table: func(m: map<string, u32>) -> map<string, u32>;
                echo-nothing: func();
            }

            /// Both sides of the same interface.
            world echoes {
                import echo;
                export echo;
            }
        "#,
    });
}

/// Types of the interface `types`, in the component.
const TYPES: &str = r#"
    (type $point' (record (field "x" s32) (field "y" s32)))
    (export "point" (type $point (eq $point')))
    (type $colour' (enum "red" "dark-green" "blue"))
    (export "colour" (type $colour (eq $colour')))"#;

/// Types of the interface `echo`.
const ECHO_TYPES: &str = r#"
    (alias outer 1 $point' (type $point'))
    (export "point" (type $point (eq $point')))
    (alias outer 1 $colour' (type $colour'))
    (export "hue" (type $hue (eq $colour')))
    (type $person' (record (field "name" string) (field "age" u8) (field "type" $hue) (field "home" (option $point))
        (field "tags" (list string))))
    (export "person" (type $person (eq $person')))
    (type $shape' (variant (case "nothing") (case "circle" f32) (case "polygon" (list $point))
        (case "named" (tuple string u64))))
    (export "shape" (type $shape (eq $shape')))
    (type $rights' (flags "read" "write" "execute-all"))
    (export "rights" (type $rights (eq $rights')))
    (type $many' (flags "f0" "f1" "f2" "f3" "f4" "f5" "f6" "f7" "f8" "f9" "f10" "f11" "f12" "f13" "f14" "f15" "f16"))
    (export "many" (type $many (eq $many')))"#;

/// Function by function: its parameters, its result, and the core types of the parameters. A `*` says that the result goes
/// through memory, else it is a core value.
const ECHO_FUNCS: &[(&str, &str, &str, &str)] = &[
    (
        "echo-scalars",
        r#"(param "a" bool) (param "b" u8) (param "c" s8) (param "d" u16) (param "e" s16) (param "f" u32) (param "g" s32)
           (param "h" u64) (param "i" s64) (param "j" f32) (param "k" f64) (param "l" char)"#,
        "(tuple bool u8 s8 u16 s16 u32 s32 u64 s64 f32 f64 char)",
        "* i32 i32 i32 i32 i32 i32 i32 i64 i64 f32 f64 i32",
    ),
    ("echo-text", r#"(param "s" string)"#, "string", "* i32 i32"),
    ("echo-point", r#"(param "p" $point)"#, "$point", "* i32 i32"),
    ("echo-person", r#"(param "p" $person)"#, "$person", "* i32 i32 i32 i32 i32 i32 i32 i32 i32"),
    ("echo-shape", r#"(param "s" $shape)"#, "$shape", "* i32 i32 i32 i64"),
    ("echo-hue", r#"(param "h" $hue)"#, "$hue", "i32"),
    ("echo-rights", r#"(param "r" $rights)"#, "$rights", "i32"),
    ("echo-many", r#"(param "m" (list $many))"#, "(list $many)", "* i32 i32"),
    ("echo-names", r#"(param "n" (list string))"#, "(list string)", "* i32 i32"),
    ("echo-pair", r#"(param "p" (tuple u64 $hue))"#, "(tuple u64 $hue)", "* i64 i32"),
    ("echo-maybe", r#"(param "o" (option (option string)))"#, "(option (option string))", "* i32 i32 i32 i32"),
    ("echo-outcome", r#"(param "r" (result u32 (error string)))"#, "(result u32 (error string))", "* i32 i32 i32"),
    ("echo-units", r#"(param "r" (result))"#, "(result)", "i32"),
    ("echo-lists", r#"(param "l" (list (list u16)))"#, "(list (list u16))", "* i32 i32"),
    ("echo-fixed", r#"(param "l" (list u32 3))"#, "(list u32 3)", "* i32 i32 i32"),
    ("echo-table", r#"(param "m" (map string u32))"#, "(map string u32)", "* i32 i32"),
];

/// The module that every guest here has: a memory and a `realloc` that never frees.
const LIBC: &str = r#"(core module $libc
    (memory (export "memory") 4)
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                                (i32.sub (i32.const 0) (local.get 2))))
        (global.set $next (i32.add (local.get $at) (local.get 3)))
        (local.get $at)))
    (core instance $libc (instantiate $libc))"#;

/// A component that passes every call on to the host, and the result back.
fn echo_component() -> String {
    let (mut types, mut lowers, mut given) = (String::new(), String::new(), String::new());
    let (mut imports, mut bodies, mut lifts, mut exports) =
        (String::new(), String::new(), String::new(), String::new());
    let rows = ECHO_FUNCS.iter().copied().chain([("echo-nothing", "", "", "")]);
    for (name, params, result, core) in rows {
        let (through, core) = core.strip_prefix('*').map_or((false, core), |core| (true, core));
        let ty =
            if result.is_empty() { format!("(func {params})") } else { format!("(func {params} (result {result}))") };
        types += &format!("(export \"{name}\" {ty})");
        lowers += &format!(
            "(core func ${name} (canon lower (func $echo \"{name}\") (memory $libc \"memory\")
                (realloc (func $libc \"realloc\"))))"
        );
        given += &format!("(export \"{name}\" (func ${name}))");
        let result_core = if through || result.is_empty() { "" } else { "(result i32)" };
        let pointer = if through { "i32" } else { "" };
        imports += &format!("(import \"\" \"{name}\" (func ${name} (param {core} {pointer}) {result_core}))");
        let gets = (0..core.split_whitespace().count()).map(|at| format!("(local.get {at})")).collect::<String>();
        bodies += &match (through, result.is_empty()) {
            (true, _) => format!(
                "(func (export \"{name}\") (param {core}) (result i32)
                    (call ${name} {gets} (i32.const 512)) (i32.const 512))"
            ),
            (false, false) => format!("(func (export \"{name}\") (param {core}) (result i32) (call ${name} {gets}))"),
            (false, true) => format!("(func (export \"{name}\") (call ${name}))"),
        };
        let result = if result.is_empty() { String::new() } else { format!("(result {result})") };
        lifts += &format!(
            "(func ${name} {params} {result} (canon lift (core func $m \"{name}\") (memory $libc \"memory\")
                (realloc (func $libc \"realloc\"))))"
        );
        exports += &format!("(export \"{name}\" (func ${name}))");
    }
    let names = ["point", "hue", "person", "shape", "rights", "many"];
    let aliases = names.map(|name| format!("(alias export $echo \"{name}\" (type ${name}))")).concat();
    format!(
        r#"(component
            (import "test:echo/types" (instance $types {TYPES}))
            (alias export $types "point" (type $point'))
            (alias export $types "colour" (type $colour'))
            (import "test:echo/echo" (instance $echo {ECHO_TYPES} {types}))
            {aliases}
            {LIBC}
            {lowers}
            (core module $m {imports} {bodies})
            (core instance $m (instantiate $m (with "" (instance {given}))))
            {lifts}
            (instance $out {exports})
            (export "test:echo/echo" (instance $out)))"#
    )
}

/// The host counts calls; everything comes back as it came in.
#[derive(Default)]
struct Echoes {
    calls: u32,
}

/// Functions of the host that count and give back.
macro_rules! echoes {
    ($($name:ident: $ty:ty;)*) => {
        $(fn $name(&mut self, value: $ty) -> $ty {
            self.calls += 1;
            value
        })*
    };
}

type Scalars = (bool, u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, char);

impl echo::test::echo::types::Host for Echoes {}

impl echo::test::echo::echo::Host for Echoes {
    fn echo_scalars(
        &mut self,
        a: bool,
        b: u8,
        c: i8,
        d: u16,
        e: i16,
        f: u32,
        g: i32,
        h: u64,
        i: i64,
        j: f32,
        k: f64,
        l: char,
    ) -> Scalars {
        self.calls += 1;
        (a, b, c, d, e, f, g, h, i, j, k, l)
    }
    fn echo_nothing(&mut self) {
        self.calls += 1;
    }
    echoes! {
        echo_text: String;
        echo_point: echo::test::echo::types::Point;
        echo_person: echo::test::echo::echo::Person;
        echo_shape: echo::test::echo::echo::Shape;
        echo_hue: echo::test::echo::types::Colour;
        echo_rights: echo::test::echo::echo::Rights;
        echo_many: Vec<echo::test::echo::echo::Many>;
        echo_names: echo::test::echo::echo::Names;
        echo_pair: echo::test::echo::echo::Pair;
        echo_maybe: Option<Option<String>>;
        echo_outcome: Result<u32, String>;
        echo_units: Result<(), ()>;
        echo_lists: Vec<Vec<u16>>;
        echo_fixed: [u32; 3];
        echo_table: BTreeMap<String, u32>;
    }
}

fn component(engine: &Engine, text: &str) -> Component {
    Component::new(engine, text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn values_of_every_type_go_to_the_host_and_back() {
    use echo::exports::test::echo::echo::{Many, Person, Rights, Shape};
    use echo::test::echo::types::{Colour, Point};

    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    echo::Echoes::add_to_linker::<Echoes, HasSelf<Echoes>>(&mut linker, |host| host).unwrap();
    let mut store = Store::new(&engine, Echoes::default());
    let component = component(&engine, &echo_component());
    let world = echo::Echoes::instantiate(&mut store, &component, &linker).unwrap();
    let echo = world.test_echo_echo();
    let store = &mut store;

    let scalars = (true, 255, -128, 65535, -32768, u32::MAX, i32::MIN, u64::MAX, i64::MIN, -1.5, 1e300, '🎈');
    let (a, b, c, d, e, f, g, h, i, j, k, l) = scalars;
    assert_eq!(echo.call_echo_scalars(&mut *store, a, b, c, d, e, f, g, h, i, j, k, l).unwrap(), scalars);
    for text in ["", "Grüße 🎈"] {
        assert_eq!(echo.call_echo_text(&mut *store, text).unwrap(), text);
        assert_eq!(echo.call_echo_maybe(&mut *store, Some(Some(text))).unwrap(), Some(Some(text.to_owned())));
        assert_eq!(echo.call_echo_outcome(&mut *store, Err(text)).unwrap(), Err(text.to_owned()));
    }
    assert_eq!(echo.call_echo_maybe(&mut *store, Some(None)).unwrap(), Some(None));
    assert_eq!(echo.call_echo_maybe(&mut *store, None).unwrap(), None);
    assert_eq!(echo.call_echo_outcome(&mut *store, Ok(7)).unwrap(), Ok(7));
    for units in [Ok(()), Err(())] {
        assert_eq!(echo.call_echo_units(&mut *store, units).unwrap(), units);
    }
    let point = Point { x: -1, y: i32::MAX };
    assert_eq!(echo.call_echo_point(&mut *store, point).unwrap(), point);
    for home in [None, Some(point)] {
        let tags = vec!["a".to_owned(), String::new()];
        let person = Person { name: "Ada".to_owned(), age: 36, type_: Colour::Blue, home, tags };
        assert_eq!(echo.call_echo_person(&mut *store, &person).unwrap(), person);
    }
    let shapes = [
        Shape::Nothing,
        Shape::Circle(0.5),
        Shape::Polygon(vec![point, Point { x: 0, y: 0 }]),
        Shape::Named(("name".to_owned(), u64::MAX)),
    ];
    for shape in shapes {
        assert_eq!(echo.call_echo_shape(&mut *store, &shape).unwrap(), shape);
    }
    for colour in [Colour::Red, Colour::DarkGreen, Colour::Blue] {
        assert_eq!(echo.call_echo_hue(&mut *store, colour).unwrap(), colour);
        assert_eq!(echo.call_echo_pair(&mut *store, (1 << 40, colour)).unwrap(), (1 << 40, colour));
    }
    for rights in [Rights::empty(), Rights::READ | Rights::EXECUTE_ALL, Rights::all()] {
        assert_eq!(echo.call_echo_rights(&mut *store, rights).unwrap(), rights);
    }
    let many = [Many::F0, Many::F8 | Many::F16, Many::all() - Many::F3];
    assert_eq!(echo.call_echo_many(&mut *store, &many).unwrap(), many);
    let names = ["x".to_owned(), "yz".to_owned()];
    assert_eq!(echo.call_echo_names(&mut *store, &names).unwrap(), names);
    let lists = [vec![1, 2, 3], Vec::new(), vec![65535]];
    assert_eq!(echo.call_echo_lists(&mut *store, &lists).unwrap(), lists);
    assert_eq!(echo.call_echo_fixed(&mut *store, [1, 2, u32::MAX]).unwrap(), [1, 2, u32::MAX]);
    let table = BTreeMap::from([("one".to_owned(), 1), (String::new(), 0)]);
    assert_eq!(echo.call_echo_table(&mut *store, &table).unwrap(), table);
    echo.call_echo_nothing(&mut *store).unwrap();
    assert_eq!(store.data().calls, 34, "every call went through the host");
}

#[test]
fn flags_are_sets() {
    use echo::test::echo::echo::Rights;

    let (read, all) = (Rights::READ, Rights::all());
    assert_eq!(format!("{:?} {:?}", read | Rights::EXECUTE_ALL, Rights::empty()), "{READ, EXECUTE_ALL} {}");
    assert_eq!((all.bits(), Rights::from_bits_truncate(u32::MAX)), (7, all));
    assert!(all.contains(read) && !read.contains(all) && all.intersects(read) && all.is_all());
    assert_eq!((!read, all - read, all ^ read), (!read, Rights::WRITE | Rights::EXECUTE_ALL, !read));
    let mut set = Rights::default();
    set.set(Rights::WRITE, true);
    set |= read;
    set.remove(read);
    set.insert(Rights::empty());
    assert_eq!(set & all, Rights::WRITE);
    assert!(!set.is_empty());
}

/// Resources on both sides, errors of the host's own, and functions outside of interfaces.
mod files {
    wattest::component::bindgen!({
        inline: r#"
            package test:files@1.2.3;

            interface host-files {
                enum error-code { not-found, denied }
                resource file {
                    constructor(name: string);
                    size: func() -> u32;
                    read: func(at: u32) -> result<u8, error-code>;
                    join: static func(a: file, b: borrow<file>) -> file;
                }
                open: func(name: string) -> result<file, error-code>;
                sizes: func(files: list<borrow<file>>) -> u32;
            }

            interface counters {
                use host-files.{file};
                resource counter {
                    constructor(start: u32);
                    add: func(by: u32) -> u32;
                    sum: static func(a: counter, b: borrow<counter>) -> u32;
                }
                measure: func(f: borrow<file>) -> u32;
                pass: func(c: counter) -> counter;
            }

            world guest {
                import host-files;
                import log: func(line: string);
                resource handle { twice: func() -> u32; }
                import lend: func() -> handle;
                export counters;
                export run: func(name: string) -> result<u32, string>;
                export twice: func() -> u32;
            }
        "#,
        with: { "test:files/host-files/file": super::File },
        imports: { default: trappable, "log": plain },
        trappable_error_type: { "test:files/host-files/error-code" => super::FileError },
    });
}

/// What is behind a handle of `file`.
#[derive(Debug)]
struct File(Vec<u8>);

/// The host's own errors: some are answers, some end the guest.
#[derive(Debug)]
enum FileError {
    NotFound,
    Broken(&'static str),
}

impl From<wattest::component::ResourceTableError> for FileError {
    fn from(_: wattest::component::ResourceTableError) -> FileError {
        FileError::Broken("no such handle")
    }
}

#[derive(Default)]
struct Disk {
    table: ResourceTable,
    log: Vec<String>,
    dropped: u32,
}

/// What implements the traits: a view of the store's data.
struct View<'a>(&'a mut Disk);

struct HasView;

impl HasData for HasView {
    type Data<'a> = View<'a>;
}

impl files::test::files::host_files::HostFile for View<'_> {
    fn new(&mut self, name: String) -> wattest::Result<Resource<File>> {
        Ok(self.0.table.push(File(name.into_bytes()))?)
    }
    fn size(&mut self, file: Resource<File>) -> wattest::Result<u32> {
        assert!(!file.owned());
        Ok(self.0.table.get(&file)?.0.len() as u32)
    }
    fn read(&mut self, file: Resource<File>, at: u32) -> Result<u8, FileError> {
        let bytes = &self.0.table.get(&file)?.0;
        match bytes.get(at as usize) {
            Some(0) => Err(FileError::Broken("a zero")),
            Some(byte) => Ok(*byte),
            None => Err(FileError::NotFound),
        }
    }
    fn join(&mut self, a: Resource<File>, b: Resource<File>) -> wattest::Result<Resource<File>> {
        assert!(a.owned() && !b.owned());
        let (mut a, b) = (self.0.table.delete(a)?, self.0.table.get(&b)?);
        a.0.extend(&b.0);
        Ok(self.0.table.push(a)?)
    }
    fn drop(&mut self, file: Resource<File>) -> wattest::Result<()> {
        self.0.dropped += 1;
        self.0.table.delete(file)?;
        Ok(())
    }
}

impl files::test::files::host_files::Host for View<'_> {
    fn open(&mut self, name: String) -> Result<Resource<File>, FileError> {
        match name.as_str() {
            "" => Err(FileError::NotFound),
            "broken" => Err(FileError::Broken("the disk is on fire")),
            _ => Ok(self.0.table.push(File(name.into_bytes()))?),
        }
    }
    fn sizes(&mut self, files: Vec<Resource<File>>) -> wattest::Result<u32> {
        files.iter().map(|file| Ok(self.0.table.get(file)?.0.len() as u32)).sum()
    }
    fn convert_error_code(&mut self, error: FileError) -> wattest::Result<files::test::files::host_files::ErrorCode> {
        match error {
            FileError::NotFound => Ok(files::test::files::host_files::ErrorCode::NotFound),
            FileError::Broken(why) => Err(wattest::Error::msg(why)),
        }
    }
}

impl files::HostHandle for View<'_> {
    fn twice(&mut self, handle: Resource<files::Handle>) -> wattest::Result<u32> {
        Ok(2 * handle.rep())
    }
    fn drop(&mut self, _: Resource<files::Handle>) -> wattest::Result<()> {
        self.0.dropped += 100;
        Ok(())
    }
}

impl files::GuestImports for View<'_> {
    fn log(&mut self, line: String) {
        self.0.log.push(line);
    }
    fn lend(&mut self) -> wattest::Result<Resource<files::Handle>> {
        Ok(Resource::new_own(21))
    }
}

/// `run` opens a file, makes a second one, joins both, and gives the sum of: the size of the result, what `sizes` says of a
/// list with it twice, and the byte at 1 times 1000. `twice` asks a handle of the world's own resource.
const FILES: &str = r#"(component
    (import "test:files/host-files@1.2.3" (instance $files
        (export "file" (type $file (sub resource)))
        (type $error' (enum "not-found" "denied"))
        (export "error-code" (type $error (eq $error')))
        (export "[constructor]file" (func (param "name" string) (result (own $file))))
        (export "[method]file.size" (func (param "self" (borrow $file)) (result u32)))
        (export "[method]file.read" (func (param "self" (borrow $file)) (param "at" u32) (result (result u8 (error $error)))))
        (export "[static]file.join" (func (param "a" (own $file)) (param "b" (borrow $file)) (result (own $file))))
        (export "open" (func (param "name" string) (result (result (own $file) (error $error)))))
        (export "sizes" (func (param "files" (list (borrow $file))) (result u32)))))
    (alias export $files "file" (type $file))
    (import "log" (func $log (param "line" string)))
    (import "handle" (type $handle (sub resource)))
    (import "[method]handle.twice" (func $twice (param "self" (borrow $handle)) (result u32)))
    (import "lend" (func $lend (result (own $handle))))
    $LIBC
    (core func $new (canon lower (func $files "[constructor]file") (memory $libc "memory")))
    (core func $size (canon lower (func $files "[method]file.size")))
    (core func $read (canon lower (func $files "[method]file.read") (memory $libc "memory")))
    (core func $join (canon lower (func $files "[static]file.join")))
    (core func $open (canon lower (func $files "open") (memory $libc "memory")))
    (core func $sizes (canon lower (func $files "sizes") (memory $libc "memory")))
    (core func $drop (canon resource.drop $file))
    (core func $log (canon lower (func $log) (memory $libc "memory")))
    (core func $twice (canon lower (func $twice)))
    (core func $lend (canon lower (func $lend)))
    (core func $drop-handle (canon resource.drop $handle))
    (core module $dtor
        (global $dropped (export "dropped") (mut i32) (i32.const 0))
        (func (export "dtor") (param i32)
            (global.set $dropped (i32.add (global.get $dropped) (i32.const 1)))))
    (core instance $dtor (instantiate $dtor))
    (type $counter (resource (rep i32) (dtor (func $dtor "dtor"))))
    (core func $counter-new (canon resource.new $counter))
    (core func $counter-rep (canon resource.rep $counter))
    (core func $counter-drop (canon resource.drop $counter))
    (core module $m
        (import "libc" "memory" (memory 1))
        (import "" "new" (func $new (param i32 i32) (result i32)))
        (import "" "size" (func $size (param i32) (result i32)))
        (import "" "read" (func $read (param i32 i32 i32)))
        (import "" "join" (func $join (param i32 i32) (result i32)))
        (import "" "open" (func $open (param i32 i32 i32)))
        (import "" "sizes" (func $sizes (param i32 i32) (result i32)))
        (import "" "drop" (func $drop (param i32)))
        (import "" "log" (func $log (param i32 i32)))
        (import "" "twice" (func $twice (param i32) (result i32)))
        (import "" "lend" (func $lend (result i32)))
        (import "" "drop-handle" (func $drop-handle (param i32)))
        (import "" "counter-new" (func $counter-new (param i32) (result i32)))
        (import "" "counter-rep" (func $counter-rep (param i32) (result i32)))
        (import "" "counter-drop" (func $counter-drop (param i32)))
        (import "dtor" "dropped" (global $dropped (mut i32)))
        (func (export "run") (param $name i32) (param $length i32) (result i32)
            (local $a i32) (local $b i32) (local $sum i32)
            (call $log (local.get $name) (local.get $length))
            (call $open (local.get $name) (local.get $length) (i32.const 64))
            ;; The error is told as a text of its number of bytes.
            (if (i32.load8_u (i32.const 64)) (then
                (i32.store (i32.const 128) (i32.const 1))
                (i32.store (i32.const 132) (i32.const 0))
                (i32.store (i32.const 136) (i32.load8_u (i32.const 68)))
                (return (i32.const 128))))
            (local.set $a (i32.load (i32.const 68)))
            (local.set $b (call $new (local.get $name) (local.get $length)))
            (local.set $a (call $join (local.get $a) (local.get $b)))
            (call $drop (local.get $b))
            (local.set $sum (call $size (local.get $a)))
            (i32.store (i32.const 80) (local.get $a))
            (i32.store (i32.const 84) (local.get $a))
            (local.set $sum (i32.add (local.get $sum) (call $sizes (i32.const 80) (i32.const 2))))
            (call $read (local.get $a) (i32.const 1) (i32.const 96))
            (local.set $sum (i32.add (local.get $sum) (i32.mul (i32.load8_u (i32.const 97)) (i32.const 1000))))
            (call $drop (local.get $a))
            (i32.store (i32.const 128) (i32.const 0))
            (i32.store (i32.const 132) (local.get $sum))
            (i32.const 128))
        (func (export "twice") (result i32)
            (local $handle i32) (local $answer i32)
            (local.set $handle (call $lend))
            (local.set $answer (call $twice (local.get $handle)))
            (call $drop-handle (local.get $handle))
            (local.get $answer))
        (func (export "counter") (param i32) (result i32) (call $counter-new (local.get 0)))
        (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
        (func (export "sum") (param $a i32) (param $b i32) (result i32)
            (local $rep i32)
            (local.set $rep (call $counter-rep (local.get $a)))
            (call $counter-drop (local.get $a))
            (i32.add (i32.add (local.get $rep) (local.get $b)) (i32.mul (global.get $dropped) (i32.const 1000))))
        (func (export "measure") (param $f i32) (result i32)
            (local $size i32)
            (local.set $size (call $size (local.get $f)))
            (call $drop (local.get $f))
            (local.get $size))
        (func (export "pass") (param i32) (result i32) (local.get 0)))
    (core instance $m (instantiate $m (with "libc" (instance $libc)) (with "dtor" (instance $dtor)) (with "" (instance
        (export "new" (func $new)) (export "size" (func $size)) (export "read" (func $read)) (export "join" (func $join))
        (export "open" (func $open)) (export "sizes" (func $sizes)) (export "drop" (func $drop)) (export "log" (func $log))
        (export "twice" (func $twice)) (export "lend" (func $lend)) (export "drop-handle" (func $drop-handle))
        (export "counter-new" (func $counter-new)) (export "counter-rep" (func $counter-rep))
        (export "counter-drop" (func $counter-drop))))))
    (component $counters
        (import "file" (type $file (sub resource)))
        (import "counter" (type $counter' (sub resource)))
        (import "new" (func $new (param "start" u32) (result (own $counter'))))
        (import "add" (func $add (param "self" (borrow $counter')) (param "by" u32) (result u32)))
        (import "sum" (func $sum (param "a" (own $counter')) (param "b" (borrow $counter')) (result u32)))
        (import "measure" (func $measure (param "f" (borrow $file)) (result u32)))
        (import "pass" (func $pass (param "c" (own $counter')) (result (own $counter'))))
        (export $counter "counter" (type $counter'))
        (export "[constructor]counter" (func $new) (func (param "start" u32) (result (own $counter))))
        (export "[method]counter.add" (func $add) (func (param "self" (borrow $counter)) (param "by" u32) (result u32)))
        (export "[static]counter.sum" (func $sum)
            (func (param "a" (own $counter)) (param "b" (borrow $counter)) (result u32)))
        (export "measure" (func $measure))
        (export "pass" (func $pass) (func (param "c" (own $counter)) (result (own $counter)))))
    (func $new (param "start" u32) (result (own $counter)) (canon lift (core func $m "counter")))
    (func $add (param "self" (borrow $counter)) (param "by" u32) (result u32) (canon lift (core func $m "add")))
    (func $sum (param "a" (own $counter)) (param "b" (borrow $counter)) (result u32) (canon lift (core func $m "sum")))
    (func $measure (param "f" (borrow $file)) (result u32) (canon lift (core func $m "measure")))
    (func $pass (param "c" (own $counter)) (result (own $counter)) (canon lift (core func $m "pass")))
    (instance $counters (instantiate $counters
        (with "file" (type $file)) (with "counter" (type $counter)) (with "new" (func $new)) (with "add" (func $add))
        (with "sum" (func $sum)) (with "measure" (func $measure)) (with "pass" (func $pass))))
    (export "test:files/counters@1.2.4" (instance $counters))
    (func (export "run") (param "name" string) (result (result u32 (error string)))
        (canon lift (core func $m "run") (memory $libc "memory") (realloc (func $libc "realloc"))))
    (func (export "twice") (result u32) (canon lift (core func $m "twice"))))"#;

fn guest() -> (Store<Disk>, files::Guest) {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    files::Guest::add_to_linker::<Disk, HasView>(&mut linker, |disk| View(disk)).unwrap();
    let component = component(&engine, &FILES.replace("$LIBC", LIBC));
    let pre = files::GuestPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
    let mut store = Store::new(&engine, Disk::default());
    let world = pre.instantiate(&mut store).unwrap();
    (store, world)
}

#[test]
fn a_guest_uses_resources_of_the_host() {
    let (mut store, world) = guest();
    // Three bytes twice: 6 + 12, and the byte `b`.
    assert_eq!(world.call_run(&mut store, "abc").unwrap(), Ok(98_018));
    assert_eq!(store.data().log, ["abc"]);
    assert_eq!(store.data().dropped, 2);
    assert!(store.data().table.is_empty());
    assert_eq!(world.call_twice(&mut store).unwrap(), 42);
    assert_eq!(store.data().dropped, 102);
}

#[test]
fn an_error_of_the_host_is_an_answer_or_ends_the_guest() {
    let (mut store, world) = guest();
    assert_eq!(world.call_run(&mut store, "").unwrap(), Err(String::new()), "not-found is the case 0");
    let error = world.call_run(&mut store, "broken").unwrap_err();
    assert_eq!(error.to_string(), "the disk is on fire");
    let error = world.call_run(&mut store, "abc").unwrap_err();
    assert_eq!(error.trap().map(wattest::Trap::code), Some(TrapCode::CannotEnterComponent));
}

#[test]
fn the_host_uses_resources_of_a_guest() {
    let (mut store, world) = guest();
    let counters = world.test_files_counters();
    let counter = counters.counter();
    let [a, b] = [1, 10].map(|start| counter.call_constructor(&mut store, start).unwrap());
    assert_eq!(counter.call_add(&mut store, a, 5).unwrap(), 6);
    let a = counters.call_pass(&mut store, a).unwrap();
    assert_eq!(counter.call_sum(&mut store, a, b).unwrap(), 1011, "the destructor of the first one has run");
    assert_eq!(counter.call_add(&mut store, b, 5).unwrap(), 15);
    b.drop(&mut store).unwrap();
    let error = counter.call_add(&mut store, a, 5).unwrap_err();
    assert!(error.to_string().contains("was given away"), "{error}");
}

#[test]
fn a_resource_of_the_host_is_lent_to_a_guest() {
    let (mut store, world) = guest();
    let file = store.data_mut().table.push(File(vec![0; 7])).unwrap();
    let lent = Resource::new_borrow(file.rep());
    assert_eq!(world.test_files_counters().call_measure(&mut store, lent).unwrap(), 7);
    assert_eq!(world.test_files_counters().call_measure(&mut store, file).unwrap(), 7, "an owner may lend");
    assert_eq!(store.data().dropped, 0);
}

/// A world in files, with dependencies; what it shares with another is generated once.
mod clock {
    wattest::component::bindgen!({
        inline: "package test:clocks; world clocks { import test:clock/now@1.0.0; }",
        path: "tests/wit/deps/clock",
    });
}

mod logger {
    wattest::component::bindgen!({
        path: "tests/wit",
        world: "logger",
        with: { "test:clock": super::clock::test::clock },
        additional_derives: [Hash, Clone],
    });
}

impl clock::test::clock::types::Host for Vec<String> {}

impl clock::test::clock::now::Host for Vec<String> {
    fn now(&mut self) -> clock::test::clock::types::Instant {
        clock::test::clock::types::Instant { seconds: 1, nanoseconds: 2 }
    }
}

impl logger::test::sink::lines::Host for Vec<String> {
    fn line(&mut self, text: String) {
        self.push(text);
    }
}

const LOGGER: &str = r#"(component
    (import "test:clock/types@1.0.0" (instance $types
        (type $instant' (record (field "seconds" u64) (field "nanoseconds" u32)))
        (export "instant" (type $instant (eq $instant')))))
    (alias export $types "instant" (type $instant))
    (import "test:sink/lines" (instance $lines (export "line" (func (param "text" string)))))
    (type $level' (enum "debug" "error"))
    $LIBC
    (core func $line (canon lower (func $lines "line") (memory $libc "memory")))
    (core module $m
        (import "" "line" (func $line (param i32 i32)))
        (func (export "write") (param i32 i64 i32 i32 i32)
            (if (local.get 0) (then (call $line (local.get 3) (local.get 4))))))
    (core instance $m (instantiate $m (with "" (instance (export "line" (func $line))))))
    (func $write (param "level" $level') (param "at" $instant) (param "line" string)
        (canon lift (core func $m "write") (memory $libc "memory") (realloc (func $libc "realloc"))))
    (component $log
        (import "instant" (type $instant' (eq $instant)))
        (type $level'' (enum "debug" "error"))
        (import "level" (type $level' (eq $level'')))
        (import "write" (func $write (param "level" $level') (param "at" $instant') (param "line" string)))
        (export $level "level" (type $level'))
        (export "write" (func $write) (func (param "level" $level) (param "at" $instant') (param "line" string))))
    (instance $log (instantiate $log (with "instant" (type $instant)) (with "level" (type $level'))
        (with "write" (func $write))))
    (export "test:logger/log@0.1.0" (instance $log)))"#;

#[test]
fn a_world_in_files_uses_what_was_generated_elsewhere() {
    use logger::exports::test::logger::log::Level;

    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    logger::Logger::add_to_linker::<_, HasSelf<Vec<String>>>(&mut linker, |lines| lines).unwrap();
    clock::Clocks::add_to_linker::<_, HasSelf<Vec<String>>>(&mut linker, |lines| lines).unwrap();
    let mut store = Store::new(&engine, Vec::new());
    let component = component(&engine, &LOGGER.replace("$LIBC", LIBC));
    let world = logger::Logger::instantiate(&mut store, &component, &linker).unwrap();
    let at = clock::test::clock::types::Instant { seconds: 0, nanoseconds: 0 };
    for (level, line) in [(Level::Error, "first"), (Level::Debug, "second"), (Level::Error, "third")] {
        world.test_logger_log().call_write(&mut store, level, at, line).unwrap();
    }
    assert_eq!(*store.data(), ["first", "third"]);
}

#[test]
fn a_component_of_another_world_is_refused_before_it_is_instantiated() {
    fn check(text: &str, expected: &[&str]) {
        let engine = Engine::default();
        let mut linker = Linker::<Disk>::new(&engine);
        files::Guest::add_to_linker::<Disk, HasView>(&mut linker, |disk| View(disk)).unwrap();
        let pre = linker.instantiate_pre(&component(&engine, &text.replace("$LIBC", LIBC)));
        let found = pre.map_err(wattest::Error::from).and_then(files::GuestPre::new).err();
        let found = found.map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(expected.is_empty(), found.is_empty(), "{found}");
        assert!(expected.iter().all(|expected| found.contains(expected)), "{found}");
    }
    check(FILES, &[]);
    check("(component)", &["there is no component function exported as `run`"]);
    check(&FILES.replace("\"test:files/counters@1.2.4\"", "\"test:files/counters@2.0.0\""), &["counters", "counter"]);
    check(&FILES.replace("(export \"twice\") (result u32)", "(export \"twice\") (result s32)"), &["s32", "u32"]);
}
