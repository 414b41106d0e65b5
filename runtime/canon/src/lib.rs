//! The canonical ABI as pure functions.
//!
//! Interface types in a hash-consed [`Types`] arena with their layout and flattening, lifting and lowering of neutral
//! [`Value`]s ([`lift_values`], [`lower_values`]), the `realloc` protocol of strings ([`lower_string`]) and transcoding
//! between byte slices ([`transcode`]), as the
//! [specification](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md) defines them.
//!
//! Invariant: whatever a guest supplies ends in a value or a [`Fault`]; memory is read and written inside the slice that
//! stands for it and nowhere else; no stack depth depends on a type, a value or a memory beyond [`Limits::depth_max`].
//!
//! Does not know: engines, stores, instances, component binaries, tasks. Memories are slices, `realloc` and handle tables
//! are behind [`Lift`] and [`Lower`].
#![forbid(unsafe_code)]

mod fault;
mod flatten;
mod layout;
mod lift;
mod lower;
mod memory;
mod scalar;
mod string;
pub mod transcode;
mod types;
mod value;

pub use fault::{Fault, TypeError};
pub use flatten::{
    Convention, CoreSignature, CoreType, FLAT_ASYNC_PARAMS_MAX, FLAT_PARAMS_MAX, FLAT_RESULTS_MAX, FlatTypes, Passing,
    flatten_function, flatten_types, join,
};
pub use layout::{ELEMENT_BYTES_MAX, Layout, Width, align_to, discriminant_bytes, flags_bytes, tuple_layout};
pub use lift::{check_area, lift_at, lift_values};
pub use lower::{lower_at, lower_values};
pub use memory::{
    Encoding, LIFT_BYTES_DEFAULT, LIST_BYTES_MAX, Lift, Lower, Options, STRING_BYTES_MAX, checked_range, locate_list,
    reallocate,
};
pub use scalar::{
    CANONICAL_NAN_32, CANONICAL_NAN_64, Nans, Scalar, canonicalize_nan_32, canonicalize_nan_64, char_from_bits,
};
pub use string::{Form, StringSource, lift_string, locate_string, lower_string};
pub use types::{Case, Facts, Field, HandleKind, Limits, Name, ResourceId, Shape, Type, TypeId, Types};
pub use value::{Token, Value};
