//! Constant expressions.
//!
//! The instructions that initialize globals, tables and segment offsets
//! ([spec](https://webassembly.github.io/spec/core/valid/instructions.html#constant-expressions)), as a flat postfix list.
//!
//! Invariant: a decoded expression is valid: it leaves exactly one value of the expected type.
//!
//! Does not know: how to evaluate references; the virtual machine does.

use crate::{FuncIndex, GlobalIndex, HeapType, TypeIndex};
use serde::{Deserialize, Serialize};

/// An instruction of a constant expression.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ConstOp {
    /// `i32.const`.
    I32Const(i32),
    /// `i64.const`.
    I64Const(i64),
    /// `f32.const`, as bits.
    F32Const(u32),
    /// `f64.const`, as bits.
    F64Const(u64),
    /// `v128.const`.
    V128Const(u128),
    /// `global.get`.
    GlobalGet(GlobalIndex),
    /// `ref.null`.
    RefNull(HeapType),
    /// `ref.func`.
    RefFunc(FuncIndex),
    /// `i32.add`.
    I32Add,
    /// `i32.sub`.
    I32Sub,
    /// `i32.mul`.
    I32Mul,
    /// `i64.add`.
    I64Add,
    /// `i64.sub`.
    I64Sub,
    /// `i64.mul`.
    I64Mul,
    /// `ref.i31`.
    RefI31,
    /// `struct.new`.
    StructNew(TypeIndex),
    /// `struct.new_default`.
    StructNewDefault(TypeIndex),
    /// `struct.new_desc`.
    StructNewDesc(TypeIndex),
    /// `struct.new_default_desc`.
    StructNewDefaultDesc(TypeIndex),
    /// `array.new`.
    ArrayNew(TypeIndex),
    /// `array.new_default`.
    ArrayNewDefault(TypeIndex),
    /// `array.new_fixed`.
    ArrayNewFixed(TypeIndex, u32),
    /// `any.convert_extern`.
    AnyConvertExtern,
    /// `extern.convert_any`.
    ExternConvertAny,
}

/// A constant expression in postfix order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConstExpr {
    /// The instructions, without the final `end`.
    pub ops: Vec<ConstOp>,
}

impl ConstExpr {
    /// The value, if the expression is one integer constant: the usual form of a segment's offset. 32-bit constants are
    /// zero-extended, as indices are unsigned.
    ///
    /// ```
    /// use wattest_module::{ConstExpr, ConstOp};
    /// let expr = ConstExpr { ops: vec![ConstOp::I32Const(-1)] };
    /// assert_eq!(expr.as_constant_index(), Some(0xffff_ffff));
    /// ```
    pub fn as_constant_index(&self) -> Option<u64> {
        match self.ops.as_slice() {
            [ConstOp::I32Const(value)] => Some(u64::from(*value as u32)),
            [ConstOp::I64Const(value)] => Some(*value as u64),
            _ => None,
        }
    }
}
