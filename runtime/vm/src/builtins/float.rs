//! Float builtins, for CPUs that lack the instruction.
//!
//! Exactly the operators of the specification
//! ([spec](https://webassembly.github.io/spec/core/exec/numerics.html#floating-point-operations)).
//!
//! Invariant: a NaN argument gives a quiet NaN.
//!
//! Does not know: NaN canonicalization; compiled code applies it to the result.

macro_rules! unary {
    ($($name:ident: $ty:ty, $method:ident;)*) => {
        $(
            pub(super) extern "C" fn $name(_vmctx: *mut u8, x: $ty) -> $ty {
                // Adding a zero quiets a signalling NaN, which the rounding functions may pass through.
                if x.is_nan() { x + 0.0 } else { x.$method() }
            }
        )*
    };
}
unary! {
    f32_ceil: f32, ceil;
    f64_ceil: f64, ceil;
    f32_floor: f32, floor;
    f64_floor: f64, floor;
    f32_trunc: f32, trunc;
    f64_trunc: f64, trunc;
    f32_nearest: f32, round_ties_even;
    f64_nearest: f64, round_ties_even;
}

pub(super) extern "C" fn f32_fma(_vmctx: *mut u8, x: f32, y: f32, z: f32) -> f32 {
    x.mul_add(y, z)
}

pub(super) extern "C" fn f64_fma(_vmctx: *mut u8, x: f64, y: f64, z: f64) -> f64 {
    x.mul_add(y, z)
}
