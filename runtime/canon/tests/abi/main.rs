//! The canonical ABI from outside: types, flattening, values and strings against a guest that records what it is asked.

mod flattening;
mod guest;
mod model;
mod strings;
mod types;
mod values;
