//! Components: the embedding API of the component model.
//!
//! A [`Component`] is compiled once; a [`Linker`] supplies its imports; an [`Instance`] has functions that are called with
//! values ([`Func`], [`Val`]) or with Rust types ([`TypedFunc`], [`Lift`], [`Lower`])
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md)).
//!
//! ```
//! use wattest::component::{Component, Linker};
//! use wattest::{Engine, Store};
//!
//! let engine = Engine::default();
//! let component = Component::new(
//!     &engine,
//!     r#"(component
//!         (core module $m
//!             (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
//!         (core instance $i (instantiate $m))
//!         (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add"))))"#,
//! )?;
//! let mut store = Store::new(&engine, ());
//! let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
//! let add = instance.get_typed_func::<(u32, u32), (u32,)>(&mut store, "add")?;
//! assert_eq!(add.call(&mut store, (1, 2))?, (3,));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Types of your own are derived. The attribute says which interface type it is: `record`, `variant`, `enum`, or `flags` for
//! a struct of `bool`s; names are those of Rust in kebab-case, or given by `name`:
//!
//! ```
//! use wattest::component::{Component, ComponentType, Lift, Linker, Lower};
//! use wattest::{Engine, Store};
//!
//! #[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift, Lower)]
//! #[component(record)]
//! struct Point {
//!     #[component(name = "x")]
//!     across: u32,
//!     #[component(name = "y")]
//!     down: u32,
//! }
//!
//! #[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift, Lower)]
//! #[component(variant)]
//! enum Place {
//!     Nowhere,
//!     At(Point),
//! }
//!
//! let engine = Engine::default();
//! let component = Component::new(
//!     &engine,
//!     r#"(component
//!         (type $point' (record (field "x" u32) (field "y" u32)))
//!         (export $point "point" (type $point'))
//!         (type $place' (variant (case "nowhere") (case "at" $point)))
//!         (export $place "place" (type $place'))
//!         (core module $m
//!             (memory (export "memory") 1)
//!             (func (export "mirror") (param i32 i32 i32) (result i32)
//!                 (i32.store8 (i32.const 0) (local.get 0))
//!                 (i32.store (i32.const 4) (local.get 2))
//!                 (i32.store (i32.const 8) (local.get 1))
//!                 (i32.const 0)))
//!         (core instance $i (instantiate $m))
//!         (func (export "mirror") (param "p" $place) (result $place)
//!             (canon lift (core func $i "mirror") (memory $i "memory"))))"#,
//! )?;
//! let mut store = Store::new(&engine, ());
//! let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
//! let mirror = instance.get_typed_func::<(Place,), (Place,)>(&mut store, "mirror")?;
//! let place = Place::At(Point { across: 1, down: 2 });
//! assert_eq!(mirror.call(&mut store, (place,))?, (Place::At(Point { across: 2, down: 1 }),));
//! assert_eq!(mirror.call(&mut store, (Place::Nowhere,))?, (Place::Nowhere,));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A whole world of WIT becomes Rust by [`bindgen!`](bindgen): traits for what the host supplies, methods for what the
//! component exports, and types that both use.
//!
//! ```
//! use wattest::component::{Component, HasSelf, Linker};
//! use wattest::{Engine, Store};
//!
//! mod bindings {
//!     wattest::component::bindgen!({
//!         inline: r#"
//!             package docs:hello;
//!             interface people {
//!                 record person { name: string, age: u8 }
//!                 find: func(id: u32) -> option<person>;
//!             }
//!             world hello {
//!                 import people;
//!                 export name-of: func(id: u32) -> string;
//!             }
//!         "#,
//!     });
//! }
//! use bindings::docs::hello::people::{self, Person};
//!
//! struct Host;
//!
//! impl people::Host for Host {
//!     fn find(&mut self, id: u32) -> Option<Person> {
//!         (id == 7).then(|| Person { name: "Ada".to_owned(), age: 36 })
//!     }
//! }
//!
//! let engine = Engine::default();
//! let component = Component::new(
//!     &engine,
//!     r#"(component
//!         (import "docs:hello/people" (instance $people
//!             (type $person' (record (field "name" string) (field "age" u8)))
//!             (export "person" (type $person (eq $person')))
//!             (export "find" (func (param "id" u32) (result (option $person))))))
//!         (core module $libc
//!             (memory (export "memory") 1)
//!             (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64)))
//!         (core instance $libc (instantiate $libc))
//!         (core func $find (canon lower (func $people "find") (memory $libc "memory")
//!             (realloc (func $libc "realloc"))))
//!         (core module $m
//!             (import "" "find" (func $find (param i32 i32)))
//!             (func (export "name-of") (param i32) (result i32)
//!                 (call $find (local.get 0) (i32.const 16)) (i32.const 20)))
//!         (core instance $m (instantiate $m (with "" (instance (export "find" (func $find))))))
//!         (func (export "name-of") (param "id" u32) (result string)
//!             (canon lift (core func $m "name-of") (memory $libc "memory"))))"#,
//! )?;
//! let mut linker = Linker::new(&engine);
//! bindings::Hello::add_to_linker::<Host, HasSelf<Host>>(&mut linker, |host| host)?;
//! let mut store = Store::new(&engine, Host);
//! let hello = bindings::Hello::instantiate(&mut store, &component, &linker)?;
//! assert_eq!(hello.call_name_of(&mut store, 7)?, "Ada");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: a guest's bad pointers, strings and handles end in a trap; after a trap nothing of the instance runs again.
//!
//! Does not know: how components become plans; WASI.

mod abi;
mod bindings;
mod call;
mod compiled;
mod direct;
mod execute;
mod explain;
mod export;
mod faults;
mod func;
mod host;
mod instance;
mod linker;
mod options;
mod resource;
mod resource_table;
mod same;
mod sequences;
mod support;
mod trampoline;
mod typed;
mod types;
mod value;
mod wave;

pub use abi::{
    Abi, CheckFn, Checked, ComponentType, LabelKind, Lift, LiftCx, Lower, LowerCx, Ty, TypeCheck, TypeMismatch,
    discriminant_bytes,
};
pub use bindings::{HasData, HasSelf};
pub(crate) use compiled::{Artifact, ComponentInner, Description, artifact_body};
pub use compiled::{Component, CoreModule};
pub use explain::View;
pub use export::{ComponentExportIndex, ExportPath};
pub use func::{Func, TypedFunc};
pub use instance::{ExportedItem, Instance, InstancePre};
pub use linker::{LinkError, Linker, LinkerInstance, MismatchedItem, MissingItem};
pub use resource::{Resource, ResourceAny, ResourceType};
pub use resource_table::{ResourceTable, ResourceTableError};
pub use typed::ComponentList;
pub use types::{ComponentFuncType, ComponentItem, Type, TypeKind};
pub use value::Val;
pub use wattest_macros::{ComponentType, Lift, Lower, bindgen};
pub use wave::split_call;
