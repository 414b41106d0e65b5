//! Flattening: values as core values, functions as core signatures.
//!
//! [Flattening](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flattening) with the
//! limits of 16 parameters, 4 asynchronous ones and 1 result.
//!
//! Invariant: a [`FlatTypes`] holds at most [`FLAT_PARAMS_MAX`] types; what would be longer is `None`, since no rule of the
//! specification looks at it.
//!
//! Does not know: where core values live; [`crate::lift_values`] takes them as 64-bit slots.

use crate::layout::Width;
use crate::types::{TypeId, Types};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Most core parameters before all of them go through memory.
pub const FLAT_PARAMS_MAX: usize = 16;
/// The same for a function lowered asynchronously.
pub const FLAT_ASYNC_PARAMS_MAX: usize = 4;
/// Most core results before they go through memory.
pub const FLAT_RESULTS_MAX: usize = 1;

/// A core value type of the canonical ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CoreType {
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
}

impl CoreType {
    const ALL: [CoreType; 4] = [CoreType::I32, CoreType::I64, CoreType::F32, CoreType::F64];

    /// The type of an address.
    pub const fn pointer(width: Width) -> CoreType {
        match width {
            Width::W32 => CoreType::I32,
            Width::W64 => CoreType::I64,
        }
    }
}

/// The type that holds a value of either type, when two cases of a variant share a slot.
pub const fn join(a: CoreType, b: CoreType) -> CoreType {
    match (a, b) {
        (CoreType::I32, CoreType::I32 | CoreType::F32) | (CoreType::F32, CoreType::I32) => CoreType::I32,
        (CoreType::F32, CoreType::F32) => CoreType::F32,
        (CoreType::F64, CoreType::F64) => CoreType::F64,
        _ => CoreType::I64,
    }
}

/// Up to 16 core types, two bits each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FlatTypes {
    len: u8,
    bits: u32,
}

impl FlatTypes {
    /// How many.
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The type at a position below `len`.
    pub fn get(self, at: usize) -> Option<CoreType> {
        (at < self.len()).then(|| CoreType::ALL[(self.bits >> (2 * at)) as usize & 3])
    }

    /// All of them in order.
    pub fn iter(self) -> impl Iterator<Item = CoreType> {
        (0..self.len()).filter_map(move |at| self.get(at))
    }

    /// One more at the end; `None` when it would be the seventeenth.
    #[must_use]
    pub fn push(mut self, core: CoreType) -> Option<FlatTypes> {
        if self.len() == FLAT_PARAMS_MAX {
            return None;
        }
        self.bits |= (core as u32) << (2 * self.len);
        self.len += 1;
        Some(self)
    }

    /// All of `more` at the end; `None` when that makes more than 16.
    #[must_use]
    pub fn extend(mut self, more: FlatTypes) -> Option<FlatTypes> {
        if self.len() + more.len() > FLAT_PARAMS_MAX {
            return None;
        }
        self.bits |= u32::try_from(u64::from(more.bits) << (2 * self.len)).unwrap_or(0);
        self.len += more.len;
        Some(self)
    }

    /// Slot by slot the [`join`] of two cases.
    #[must_use]
    pub fn join(self, other: FlatTypes) -> FlatTypes {
        let mut joined = FlatTypes::default();
        for at in 0..self.len().max(other.len()) {
            let core = match (self.get(at), other.get(at)) {
                (Some(a), Some(b)) => join(a, b),
                (a, b) => a.or(b).unwrap_or(CoreType::I32),
            };
            joined = joined.push(core).unwrap_or(joined);
        }
        joined
    }
}

impl std::fmt::Debug for FlatTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl FromIterator<CoreType> for FlatTypes {
    /// The first sixteen.
    fn from_iter<I: IntoIterator<Item = CoreType>>(types: I) -> FlatTypes {
        types.into_iter().fold(FlatTypes::default(), |flat, core| flat.push(core).unwrap_or(flat))
    }
}

/// The core types of a list of types, `None` when they are more than 16.
pub fn flatten_types(types: &Types, list: &[TypeId], width: Width) -> Option<FlatTypes> {
    list.iter().try_fold(FlatTypes::default(), |flat, ty| flat.extend(types.flat(*ty, width)?))
}

/// How a function crosses the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Convention {
    /// `canon lift`.
    Lift,
    /// `canon lower`.
    Lower,
    /// `canon lift async` with a callback.
    LiftAsyncCallback,
    /// `canon lift async` without one.
    LiftAsync,
    /// `canon lower async`.
    LowerAsync,
}

/// Where parameters or results are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Passing {
    /// There are none, or they come by other means (`task.return`).
    None,
    /// In core values.
    Flat,
    /// In memory; a core value (parameter or result) points at them.
    Pointer,
    /// In memory; a further parameter, the last one, says where to put them.
    OutPointer,
}

/// A core function type, and how the component function's values lie in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoreSignature {
    /// Core parameters, at most 17.
    pub params: SmallVec<[CoreType; 17]>,
    /// Core results, at most 1.
    pub results: SmallVec<[CoreType; 1]>,
    /// Where the component function's parameters are.
    pub params_passing: Passing,
    /// Where its result is.
    pub results_passing: Passing,
}

/// The core signature of a component function
/// ([`flatten_functype`](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#flattening)).
pub fn flatten_function(
    types: &Types,
    params: &[TypeId],
    result: Option<TypeId>,
    width: Width,
    convention: Convention,
) -> CoreSignature {
    let pointer = CoreType::pointer(width);
    let params_max = if convention == Convention::LowerAsync { FLAT_ASYNC_PARAMS_MAX } else { FLAT_PARAMS_MAX };
    let flat = flatten_types(types, params, width).filter(|flat| flat.len() <= params_max);
    let params_passing = match flat {
        Some(flat) if flat.is_empty() => Passing::None,
        Some(_) => Passing::Flat,
        None => Passing::Pointer,
    };
    let mut core_params: SmallVec<[CoreType; 17]> = match flat {
        Some(flat) => flat.iter().collect(),
        None => SmallVec::from_slice(&[pointer]),
    };
    let (results_passing, results) = flatten_result(types, result, width, convention);
    if results_passing == Passing::OutPointer {
        core_params.push(pointer);
    }
    CoreSignature { params: core_params, results, params_passing, results_passing }
}

fn flatten_result(
    types: &Types,
    result: Option<TypeId>,
    width: Width,
    convention: Convention,
) -> (Passing, SmallVec<[CoreType; 1]>) {
    let flat = result.map(|ty| types.flat(ty, width).filter(|flat| flat.len() <= FLAT_RESULTS_MAX));
    let status = SmallVec::from_slice(&[CoreType::I32]);
    match (convention, flat) {
        (Convention::LiftAsyncCallback, _) => (Passing::None, status),
        (Convention::LiftAsync, _) => (Passing::None, SmallVec::new()),
        (Convention::LowerAsync, None) => (Passing::None, status),
        (Convention::LowerAsync, Some(_)) => (Passing::OutPointer, status),
        (Convention::Lift | Convention::Lower, None) => (Passing::None, SmallVec::new()),
        (Convention::Lift | Convention::Lower, Some(Some(flat))) => (Passing::Flat, flat.iter().collect()),
        (Convention::Lift, Some(None)) => (Passing::Pointer, SmallVec::from_slice(&[CoreType::pointer(width)])),
        (Convention::Lower, Some(None)) => (Passing::OutPointer, SmallVec::new()),
    }
}
