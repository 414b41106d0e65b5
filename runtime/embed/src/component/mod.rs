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
//! Invariant: a guest's bad pointers, strings and handles end in a trap; after a trap nothing of the instance runs again.
//!
//! Does not know: how components become plans; WASI.

mod abi;
mod call;
mod compiled;
mod direct;
mod execute;
mod explain;
mod faults;
mod func;
mod host;
mod instance;
mod linker;
mod options;
mod resource;
mod same;
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
pub(crate) use compiled::{Artifact, ComponentInner, artifact_body};
pub use compiled::{Component, CoreModule};
pub use explain::View;
pub use func::{Func, TypedFunc};
pub use instance::{ExportPath, ExportedItem, Instance, InstancePre};
pub use linker::{LinkError, Linker, LinkerInstance, MismatchedItem, MissingItem};
pub use resource::{Borrow, Resource, ResourceAny, ResourceTable, ResourceType};
pub use typed::ComponentList;
pub use types::{ComponentFuncType, ComponentItem, Type, TypeKind};
pub use value::Val;
pub use wattest_macros::{ComponentType, Lift, Lower};
pub use wave::split_call;
