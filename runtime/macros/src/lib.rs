//! Derives of interface types for Rust types, and `bindgen!` for worlds.
//!
//! `ComponentType`, `Lift` and `Lower` for records, variants, enums and flags
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Explainer.md#type-definitions)); used as
//! `wattest::component::{ComponentType, Lift, Lower, bindgen}`, where there are examples.
//!
//! Invariant: what is generated names everything by its full path, lays out with the constants of `wattest::component::Abi`,
//! and is as deep as the Rust type. A shape that is no interface type is a compile error at the place in question.
//!
//! Does not know: how values are read and written; that is the business of the types inside.
#![forbid(unsafe_code)]

mod bindgen;
mod emit;
mod labels;
mod names;
mod shape;

use proc_macro::TokenStream;
use shape::Shape;

/// Derives what interface type a Rust type is.
///
/// The attribute `#[component(…)]` on the type says which:
///
/// | Attribute | Rust type | Interface type |
/// |---|---|---|
/// | `#[component(record)]` | a struct with named fields | `record` |
/// | `#[component(variant)]` | an enum, each case with no payload or with one unnamed field | `variant` |
/// | `#[component(enum)]` | an enum without payloads | `enum` |
/// | `#[component(flags)]` | a struct of 1 to 32 fields of type `bool` | `flags` |
///
/// Names are those of Rust in kebab-case; `#[component(name = "other-name")]` on a field or case gives another. Parameters of
/// types must be interface types themselves.
#[proc_macro_derive(ComponentType, attributes(component))]
pub fn component_type(input: TokenStream) -> TokenStream {
    expand(input, emit::component_type)
}

/// Derives reading values that a guest hands out. Shapes and attributes are those of the derive of `ComponentType`.
#[proc_macro_derive(Lift, attributes(component))]
pub fn lift(input: TokenStream) -> TokenStream {
    expand(input, emit::lift)
}

/// Derives writing values that a guest receives. Shapes and attributes are those of the derive of `ComponentType`.
#[proc_macro_derive(Lower, attributes(component))]
pub fn lower(input: TokenStream) -> TokenStream {
    expand(input, emit::lower)
}

/// Generates Rust for a world of
/// [WIT](https://github.com/WebAssembly/component-model/blob/main/design/mvp/WIT.md): traits for what it imports, structs with
/// methods for what it exports, and the types that both use.
///
/// ```text
/// wattest::component::bindgen!();                     // the only world in the folder `wit`
/// wattest::component::bindgen!("hello");              // this one
/// wattest::component::bindgen!("hello" in "interfaces");
/// wattest::component::bindgen!({
///     world: "my:package/hello",                      // or a name in the package
///     path: "wit",                                    // a file or a folder, or several: ["a", "b"]; from the folder of `Cargo.toml`
///     inline: "package a:b; world hello { … }",       // WIT in place; it may use packages that `path` names
///     with: {                                         // what is there already, and is not generated
///         "wasi:io/streams": crate::bindings::wasi::io::streams,
///         "wasi:clocks": crate::bindings::wasi::clocks,
///         "my:package/files/file": crate::MyFile,     // the Rust type behind `Resource<File>`
///     },
///     imports: {                                      // which functions of the host may trap
///         default: trappable,                         // or `plain`, as without this option
///         "my:package/log": plain,                    // all functions of an interface
///         "my:package/files/[method]file.size": plain,
///     },
///     trappable_error_type: {                         // errors of the host's own
///         "my:package/files/error-code": crate::FileError,
///     },
///     additional_derives: [Hash, serde::Serialize],   // for records, variants and enums
///     features: ["unstable-feature"],                 // of `@unstable` in WIT
/// });
/// ```
///
/// A folder is a package; its folder `deps` has the packages that it needs, as files and folders. When a file that was read
/// changes, the macro is run again; when one is added, something else has to make the compiler look.
///
/// # What is generated
///
/// For the world `hello`: the struct `Hello` with a method `call_…` for each exported function and a method for each exported
/// interface; `Hello::instantiate`; `Hello::add_to_linker`; `HelloPre`, which has looked up and checked everything that does
/// not need an instance; and the trait `HelloImports`, if the world imports functions outside of interfaces.
///
/// For an imported interface `wasi:io/streams` the module `wasi::io::streams`, for an exported one
/// `exports::wasi::io::streams`, each with its types. An imported one has the trait `Host` and `add_to_linker`, an exported
/// one the struct `Guest` with a method `call_…` for each function.
///
/// # Functions of the host
///
/// | Option | `f: func() -> u32` | `g: func() -> result<u32, e>` |
/// |---|---|---|
/// | none, or `plain` | `fn f(&mut self) -> u32` | `fn g(&mut self) -> Result<u32, E>` |
/// | `trappable` | `fn f(&mut self) -> wattest::Result<u32>` | `fn g(&mut self) -> wattest::Result<Result<u32, E>>` |
/// | `trappable_error_type` for `e` | | `fn g(&mut self) -> Result<u32, MyError>` |
///
/// An error of `wattest::Result` ends the guest: it is what the call into the guest returns. For `trappable_error_type` there
/// is the method `convert_e(&mut self, error: MyError) -> wattest::Result<E>` in `Host` of each interface that returns it: it
/// says which errors a guest gets, and which end it.
///
/// Traits are implemented for the store's data, or for a view of it: see `wattest::component::{HasData, HasSelf}`.
///
/// # Resources
///
/// A resource `file` that an interface imports has the trait `HostFile`: constructor (`new`), methods and static functions,
/// and `drop`, which is called when a guest has dropped its last handle. Handles, owned and lent ones, are
/// `Resource<File>`, a number with a type; what is behind a number is usually kept in a `ResourceTable`. `File` is an empty
/// type unless `with` names one.
///
/// Handles of a resource that is exported are `ResourceAny`; its functions are methods of `GuestFile`, which `Guest::file`
/// gives.
///
/// # What is not supported
///
/// `stream`, `future` and `error-context`; lists of parameters and tuples of more than 16 types. A function that is `async`
/// is called like any other.
#[proc_macro]
pub fn bindgen(input: TokenStream) -> TokenStream {
    let base = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let expanded = bindgen::expand(input.into(), std::path::Path::new(&base));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand(input: TokenStream, emit: fn(&syn::DeriveInput, &Shape<'_>) -> proc_macro2::TokenStream) -> TokenStream {
    let expanded = syn::parse::<syn::DeriveInput>(input).and_then(|input| Ok(emit(&input, &shape::shape(&input)?)));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}
