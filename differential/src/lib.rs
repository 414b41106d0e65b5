//! Differential execution: several engines, one neutral language for what they did.
//!
//! A [`Program`] (a module in two forms) and a [`Plan`] (calls with arguments) go into an [`Engine`]; a [`Run`] comes out:
//! per call the results or the trap by class, every host call, and the state of every global, memory and table, exported or
//! not. [`compare`] says where two runs differ under a [`NanRule`], after the
//! [numerics of the specification](https://webassembly.github.io/spec/core/exec/numerics.html).
//!
//! Invariant: nothing in a [`Run`] depends on the engine that made it, only on the semantics of the module.
//!
//! Does not know: where programs come from, campaigns, reports.
#![forbid(unsafe_code)]

mod compare;
pub mod components;
#[cfg(feature = "wattest")]
pub mod dfg;
mod engines;
mod expose;
mod host;
pub mod linked;
mod plan;
mod run;
mod shape;
#[cfg(feature = "wattest")]
pub mod suite;
mod trap;
pub mod v8;
mod value;

pub use compare::{Mismatch, NanRule, compare};
#[cfg(feature = "wattest")]
pub use engines::{
    CONFIGS, ROUND_TRIP, WattestComponents, WattestConfig, WattestEngine, build, config_of, effective, leave_out,
};
pub use engines::{DefinitionalEngine, Engine, OPERATOR_PREFIX, ReferenceMode, Refusal, WasmiEngine};
pub use expose::expose;
pub use host::{Action, Answer, CALLBACK_RECORD, CallbackEnd, Host};
pub use plan::{Call, Form, Plan, Program};
pub use run::{Ending, Frame, HostCall, MemoryState, Run, State, Step};
pub use shape::{FuncSignature, GlobalShape, ImportKind, ImportShape, MemoryShape, Shape, ShapeError, TableShape};
pub use trap::{Poison, TrapClass};
pub use value::{FuncIdentity, Value, ValueType};
