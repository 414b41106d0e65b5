//! The table of operations that the generator draws from.
//!
//! One row per instruction ([spec](https://webassembly.github.io/spec/core/syntax/instructions.html)): every scalar and
//! vector operation has the same weight, so rare ones are as common as `i32.add`.
//!
//! Invariant: the operand and result types of a row are those of its instruction.
//!
//! Does not know: what the operands are.

use std::sync::OnceLock;
use wasm_encoder::{Instruction, MemArg};
use wattest_differential::ValueType::{self, F32, F64, I32, I64, V128};

/// What must be enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Nothing.
    Scalar,
    /// Fixed-width SIMD.
    Simd,
    /// Relaxed SIMD.
    Relaxed,
    /// Wide arithmetic.
    Wide,
}

/// What operands or results need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// Nothing.
    Plain,
    /// A divisor that is mostly not zero.
    Divisor,
    /// An operand that is mostly in range.
    Truncation,
    /// Makes the bits of a float operand visible.
    Leak,
    /// Gives 32-bit float lanes whose NaNs are not determined.
    Lanes32,
    /// The same of 64 bits.
    Lanes64,
}

/// An operation.
pub enum Op {
    /// Operands on the stack, no immediates.
    Plain {
        /// Operand types.
        params: &'static [ValueType],
        /// The instruction.
        instruction: Instruction<'static>,
        /// What it needs.
        care: Care,
    },
    /// A load of `width` bytes.
    Load {
        /// Bytes.
        width: u64,
        /// The instruction.
        make: fn(MemArg) -> Instruction<'static>,
    },
    /// A store of `width` bytes.
    Store {
        /// What is stored.
        operand: ValueType,
        /// Bytes.
        width: u64,
        /// The instruction.
        make: fn(MemArg) -> Instruction<'static>,
    },
    /// A load or store of one lane of a vector.
    MemoryLane {
        /// Bytes.
        width: u64,
        /// The instruction.
        make: fn(MemArg, u8) -> Instruction<'static>,
    },
    /// One lane of a vector.
    Extract {
        /// Number of lanes.
        lanes: u8,
        /// The instruction.
        make: fn(u8) -> Instruction<'static>,
    },
    /// A vector with one lane replaced.
    Replace {
        /// Number of lanes.
        lanes: u8,
        /// Type of the new lane.
        operand: ValueType,
        /// The instruction.
        make: fn(u8) -> Instruction<'static>,
    },
    /// `i8x16.shuffle`.
    Shuffle,
    /// Wide arithmetic, two results of type i64.
    Wide {
        /// Number of i64 operands.
        operands: usize,
        /// The instruction.
        instruction: Instruction<'static>,
    },
    /// Anything that needs the module around it.
    Special(Special),
}

/// Operations on entities of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the instructions")]
pub enum Special {
    Select,
    TypedSelect,
    RefIsNull,
    RefFunc,
    MemorySize,
    MemoryGrow,
    MemoryFill,
    MemoryCopy,
    MemoryInit,
    DataDrop,
    TableGet,
    TableSet,
    TableSize,
    TableGrow,
    TableFill,
    TableCopy,
    TableInit,
    ElemDrop,
    GlobalGet,
    GlobalSet,
    LocalTee,
    Call,
    CallIndirect,
    Drop,
    Nop,
}

impl Special {
    const ALL: &[Special] = &[
        Special::Select,
        Special::TypedSelect,
        Special::RefIsNull,
        Special::RefFunc,
        Special::MemorySize,
        Special::MemoryGrow,
        Special::MemoryFill,
        Special::MemoryCopy,
        Special::MemoryInit,
        Special::DataDrop,
        Special::TableGet,
        Special::TableSet,
        Special::TableSize,
        Special::TableGrow,
        Special::TableFill,
        Special::TableCopy,
        Special::TableInit,
        Special::ElemDrop,
        Special::GlobalGet,
        Special::GlobalSet,
        Special::LocalTee,
        Special::Call,
        Special::CallIndirect,
        Special::Drop,
        Special::Nop,
    ];
}

/// A row.
pub struct Row {
    /// What it needs enabled.
    pub feature: Feature,
    /// The one result that an expression can be made of.
    pub result: Option<ValueType>,
    /// The operation.
    pub op: Op,
}

macro_rules! plain {
    ($($feature:ident $care:ident $params:tt -> $result:ident: $($name:ident)*;)*) => {
        fn plain_rows(rows: &mut Vec<Row>) {
            $($(rows.push(Row {
                feature: Feature::$feature,
                result: Some($result),
                op: Op::Plain { params: &$params, instruction: Instruction::$name, care: Care::$care },
            });)*)*
        }
    };
}

macro_rules! memory {
    ($($kind:ident $feature:ident $ty:ident $width:literal $name:ident;)*) => {
        fn memory_rows(rows: &mut Vec<Row>) {
            $(rows.push(memory!(@ $kind $feature $ty $width $name));)*
        }
    };
    (@ Load $feature:ident $ty:ident $width:literal $name:ident) => {
        Row {
            feature: Feature::$feature,
            result: Some($ty),
            op: Op::Load { width: $width, make: |memarg| Instruction::$name(memarg) },
        }
    };
    (@ Store $feature:ident $ty:ident $width:literal $name:ident) => {
        Row {
            feature: Feature::$feature,
            result: None,
            op: Op::Store { operand: $ty, width: $width, make: |memarg| Instruction::$name(memarg) },
        }
    };
}

macro_rules! lanes {
    ($($kind:ident $ty:ident $count:literal $name:ident;)*) => {
        fn lane_rows(rows: &mut Vec<Row>) {
            $(rows.push(lanes!(@ $kind $ty $count $name));)*
        }
    };
    (@ Extract $ty:ident $count:literal $name:ident) => {
        Row {
            feature: Feature::Simd,
            result: Some($ty),
            op: Op::Extract { lanes: $count, make: |lane| Instruction::$name(lane) },
        }
    };
    (@ Replace $ty:ident $count:literal $name:ident) => {
        Row {
            feature: Feature::Simd,
            result: Some(V128),
            op: Op::Replace { lanes: $count, operand: $ty, make: |lane| Instruction::$name(lane) },
        }
    };
    (@ Load $ty:ident $width:literal $name:ident) => {
        Row {
            feature: Feature::Simd,
            result: Some($ty),
            op: Op::MemoryLane {
                width: $width,
                make: |memarg, lane| Instruction::$name { memarg, lane },
            },
        }
    };
    (@ Store $ty:ident $width:literal $name:ident) => {
        Row {
            feature: Feature::Simd,
            result: None,
            op: Op::MemoryLane { width: $width, make: |memarg, lane| Instruction::$name { memarg, lane } },
        }
    };
}

macro_rules! wide {
    ($($operands:literal $name:ident;)*) => {
        fn wide_rows(rows: &mut Vec<Row>) {
            $(rows.push(Row {
                feature: Feature::Wide,
                result: Some(I64),
                op: Op::Wide { operands: $operands, instruction: Instruction::$name },
            });)*
        }
    };
}

plain! {
        Scalar Plain [I32] -> I32: I32Eqz I32Clz I32Ctz I32Popcnt I32Extend8S I32Extend16S;
        Scalar Plain [I32, I32] -> I32: I32Eq I32Ne I32LtS I32LtU I32GtS I32GtU I32LeS I32LeU I32GeS I32GeU I32Add
        I32Sub I32Mul I32And I32Or I32Xor I32Shl I32ShrS I32ShrU I32Rotl I32Rotr;
        Scalar Divisor [I32, I32] -> I32: I32DivS I32DivU I32RemS I32RemU;
        Scalar Plain [I64] -> I32: I64Eqz I32WrapI64;
        Scalar Plain [I64] -> I64: I64Clz I64Ctz I64Popcnt I64Extend8S I64Extend16S I64Extend32S;
        Scalar Plain [I64, I64] -> I32: I64Eq I64Ne I64LtS I64LtU I64GtS I64GtU I64LeS I64LeU I64GeS I64GeU;
        Scalar Plain [I64, I64] -> I64: I64Add I64Sub I64Mul I64And I64Or I64Xor I64Shl I64ShrS I64ShrU I64Rotl
        I64Rotr;
        Scalar Divisor [I64, I64] -> I64: I64DivS I64DivU I64RemS I64RemU;
        Scalar Plain [I32] -> I64: I64ExtendI32S I64ExtendI32U;
        Scalar Plain [F32, F32] -> I32: F32Eq F32Ne F32Lt F32Gt F32Le F32Ge;
        Scalar Plain [F64, F64] -> I32: F64Eq F64Ne F64Lt F64Gt F64Le F64Ge;
        Scalar Plain [F32] -> F32: F32Abs F32Neg F32Ceil F32Floor F32Trunc F32Nearest F32Sqrt;
        Scalar Plain [F32, F32] -> F32: F32Add F32Sub F32Mul F32Div F32Min F32Max;
        Scalar Leak [F32, F32] -> F32: F32Copysign;
        Scalar Plain [F64] -> F64: F64Abs F64Neg F64Ceil F64Floor F64Trunc F64Nearest F64Sqrt;
        Scalar Plain [F64, F64] -> F64: F64Add F64Sub F64Mul F64Div F64Min F64Max;
        Scalar Leak [F64, F64] -> F64: F64Copysign;
        Scalar Truncation [F32] -> I32: I32TruncF32S I32TruncF32U;
        Scalar Truncation [F64] -> I32: I32TruncF64S I32TruncF64U;
        Scalar Truncation [F32] -> I64: I64TruncF32S I64TruncF32U;
        Scalar Truncation [F64] -> I64: I64TruncF64S I64TruncF64U;
        Scalar Plain [F32] -> I32: I32TruncSatF32S I32TruncSatF32U;
        Scalar Plain [F64] -> I32: I32TruncSatF64S I32TruncSatF64U;
        Scalar Plain [F32] -> I64: I64TruncSatF32S I64TruncSatF32U;
        Scalar Plain [F64] -> I64: I64TruncSatF64S I64TruncSatF64U;
        Scalar Plain [I32] -> F32: F32ConvertI32S F32ConvertI32U F32ReinterpretI32;
        Scalar Plain [I64] -> F32: F32ConvertI64S F32ConvertI64U;
        Scalar Plain [I32] -> F64: F64ConvertI32S F64ConvertI32U;
        Scalar Plain [I64] -> F64: F64ConvertI64S F64ConvertI64U F64ReinterpretI64;
        Scalar Plain [F64] -> F32: F32DemoteF64;
        Scalar Plain [F32] -> F64: F64PromoteF32;
        Scalar Leak [F32] -> I32: I32ReinterpretF32;
        Scalar Leak [F64] -> I64: I64ReinterpretF64;
        Simd Plain [V128, V128] -> V128: I8x16Swizzle;
        Simd Plain [I32] -> V128: I8x16Splat I16x8Splat I32x4Splat;
        Simd Plain [I64] -> V128: I64x2Splat;
        Simd Leak [F32] -> V128: F32x4Splat;
        Simd Leak [F64] -> V128: F64x2Splat;
        Simd Plain [V128, V128] -> V128: I8x16Eq I8x16Ne I8x16LtS I8x16LtU I8x16GtS I8x16GtU I8x16LeS I8x16LeU
        I8x16GeS I8x16GeU I16x8Eq I16x8Ne I16x8LtS I16x8LtU I16x8GtS I16x8GtU I16x8LeS I16x8LeU I16x8GeS I16x8GeU
        I32x4Eq I32x4Ne I32x4LtS I32x4LtU I32x4GtS I32x4GtU I32x4LeS I32x4LeU I32x4GeS I32x4GeU I64x2Eq I64x2Ne
        I64x2LtS I64x2GtS I64x2LeS I64x2GeS F32x4Eq F32x4Ne F32x4Lt F32x4Gt F32x4Le F32x4Ge F64x2Eq F64x2Ne F64x2Lt
        F64x2Gt F64x2Le F64x2Ge;
        Simd Plain [V128] -> V128: V128Not;
        Simd Plain [V128, V128] -> V128: V128And V128AndNot V128Or V128Xor;
        Simd Plain [V128, V128, V128] -> V128: V128Bitselect;
        Simd Plain [V128] -> I32: V128AnyTrue;
        Simd Plain [V128] -> V128: I8x16Abs I8x16Neg;
        Simd Plain [V128] -> I32: I8x16AllTrue I8x16Bitmask;
        Simd Plain [V128, I32] -> V128: I8x16Shl I8x16ShrS I8x16ShrU;
        Simd Plain [V128, V128] -> V128: I8x16Add I8x16Sub;
        Simd Plain [V128] -> V128: I16x8Abs I16x8Neg;
        Simd Plain [V128] -> I32: I16x8AllTrue I16x8Bitmask;
        Simd Plain [V128, I32] -> V128: I16x8Shl I16x8ShrS I16x8ShrU;
        Simd Plain [V128, V128] -> V128: I16x8Add I16x8Sub;
        Simd Plain [V128] -> V128: I32x4Abs I32x4Neg;
        Simd Plain [V128] -> I32: I32x4AllTrue I32x4Bitmask;
        Simd Plain [V128, I32] -> V128: I32x4Shl I32x4ShrS I32x4ShrU;
        Simd Plain [V128, V128] -> V128: I32x4Add I32x4Sub;
        Simd Plain [V128] -> V128: I64x2Abs I64x2Neg;
        Simd Plain [V128] -> I32: I64x2AllTrue I64x2Bitmask;
        Simd Plain [V128, I32] -> V128: I64x2Shl I64x2ShrS I64x2ShrU;
        Simd Plain [V128, V128] -> V128: I64x2Add I64x2Sub;
        Simd Plain [V128] -> V128: I8x16Popcnt;
        Simd Plain [V128, V128] -> V128: I8x16NarrowI16x8S I8x16NarrowI16x8U I16x8NarrowI32x4S I16x8NarrowI32x4U
        I8x16AddSatS I8x16AddSatU I8x16SubSatS I8x16SubSatU I8x16AvgrU I16x8AddSatS I16x8AddSatU I16x8SubSatS
        I16x8SubSatU I16x8AvgrU I8x16MinS I8x16MinU I8x16MaxS I8x16MaxU I16x8MinS I16x8MinU I16x8MaxS I16x8MaxU
        I32x4MinS I32x4MinU I32x4MaxS I32x4MaxU I16x8Mul I32x4Mul I64x2Mul;
        Simd Plain [V128] -> V128: I16x8ExtAddPairwiseI8x16S I16x8ExtAddPairwiseI8x16U I32x4ExtAddPairwiseI16x8S
        I32x4ExtAddPairwiseI16x8U;
        Simd Plain [V128, V128] -> V128: I16x8Q15MulrSatS I32x4DotI16x8S;
        Simd Plain [V128] -> V128: I16x8ExtendLowI8x16S I16x8ExtendLowI8x16U I16x8ExtendHighI8x16S
        I16x8ExtendHighI8x16U;
        Simd Plain [V128, V128] -> V128: I16x8ExtMulLowI8x16S I16x8ExtMulLowI8x16U I16x8ExtMulHighI8x16S
        I16x8ExtMulHighI8x16U;
        Simd Plain [V128] -> V128: I32x4ExtendLowI16x8S I32x4ExtendLowI16x8U I32x4ExtendHighI16x8S
        I32x4ExtendHighI16x8U;
        Simd Plain [V128, V128] -> V128: I32x4ExtMulLowI16x8S I32x4ExtMulLowI16x8U I32x4ExtMulHighI16x8S
        I32x4ExtMulHighI16x8U;
        Simd Plain [V128] -> V128: I64x2ExtendLowI32x4S I64x2ExtendLowI32x4U I64x2ExtendHighI32x4S
        I64x2ExtendHighI32x4U;
        Simd Plain [V128, V128] -> V128: I64x2ExtMulLowI32x4S I64x2ExtMulLowI32x4U I64x2ExtMulHighI32x4S
        I64x2ExtMulHighI32x4U;
        Simd Lanes32 [V128] -> V128: F32x4Ceil F32x4Floor F32x4Trunc F32x4Nearest F32x4Sqrt;
        Simd Plain [V128] -> V128: F32x4Abs F32x4Neg;
        Simd Lanes32 [V128, V128] -> V128: F32x4Add F32x4Sub F32x4Mul F32x4Div F32x4Min F32x4Max;
        Simd Plain [V128, V128] -> V128: F32x4PMin F32x4PMax;
        Simd Lanes64 [V128] -> V128: F64x2Ceil F64x2Floor F64x2Trunc F64x2Nearest F64x2Sqrt;
        Simd Plain [V128] -> V128: F64x2Abs F64x2Neg;
        Simd Lanes64 [V128, V128] -> V128: F64x2Add F64x2Sub F64x2Mul F64x2Div F64x2Min F64x2Max;
        Simd Plain [V128, V128] -> V128: F64x2PMin F64x2PMax;
        Simd Plain [V128] -> V128: I32x4TruncSatF32x4S I32x4TruncSatF32x4U F32x4ConvertI32x4S F32x4ConvertI32x4U
        I32x4TruncSatF64x2SZero I32x4TruncSatF64x2UZero F64x2ConvertLowI32x4S F64x2ConvertLowI32x4U;
        Simd Lanes32 [V128] -> V128: F32x4DemoteF64x2Zero;
        Simd Lanes64 [V128] -> V128: F64x2PromoteLowF32x4;
        Relaxed Plain [V128, V128] -> V128: I8x16RelaxedSwizzle I16x8RelaxedQ15mulrS I16x8RelaxedDotI8x16I7x16S;
        Relaxed Plain [V128] -> V128: I32x4RelaxedTruncF32x4S I32x4RelaxedTruncF32x4U I32x4RelaxedTruncF64x2SZero
        I32x4RelaxedTruncF64x2UZero;
        Relaxed Lanes32 [V128, V128, V128] -> V128: F32x4RelaxedMadd F32x4RelaxedNmadd;
        Relaxed Lanes64 [V128, V128, V128] -> V128: F64x2RelaxedMadd F64x2RelaxedNmadd;
        Relaxed Plain [V128, V128, V128] -> V128: I8x16RelaxedLaneselect I16x8RelaxedLaneselect I32x4RelaxedLaneselect
        I64x2RelaxedLaneselect I32x4RelaxedDotI8x16I7x16AddS;
        Relaxed Lanes32 [V128, V128] -> V128: F32x4RelaxedMin F32x4RelaxedMax;
        Relaxed Lanes64 [V128, V128] -> V128: F64x2RelaxedMin F64x2RelaxedMax;
}

memory! {
    Load Scalar I32 4 I32Load;
    Load Scalar I32 1 I32Load8S;
    Load Scalar I32 1 I32Load8U;
    Load Scalar I32 2 I32Load16S;
    Load Scalar I32 2 I32Load16U;
    Load Scalar I64 8 I64Load;
    Load Scalar I64 1 I64Load8S;
    Load Scalar I64 1 I64Load8U;
    Load Scalar I64 2 I64Load16S;
    Load Scalar I64 2 I64Load16U;
    Load Scalar I64 4 I64Load32S;
    Load Scalar I64 4 I64Load32U;
    Load Scalar F32 4 F32Load;
    Load Scalar F64 8 F64Load;
    Load Simd V128 16 V128Load;
    Load Simd V128 8 V128Load8x8S;
    Load Simd V128 8 V128Load8x8U;
    Load Simd V128 8 V128Load16x4S;
    Load Simd V128 8 V128Load16x4U;
    Load Simd V128 8 V128Load32x2S;
    Load Simd V128 8 V128Load32x2U;
    Load Simd V128 1 V128Load8Splat;
    Load Simd V128 2 V128Load16Splat;
    Load Simd V128 4 V128Load32Splat;
    Load Simd V128 8 V128Load64Splat;
    Load Simd V128 4 V128Load32Zero;
    Load Simd V128 8 V128Load64Zero;
    Store Scalar I32 4 I32Store;
    Store Scalar I32 1 I32Store8;
    Store Scalar I32 2 I32Store16;
    Store Scalar I64 8 I64Store;
    Store Scalar I64 1 I64Store8;
    Store Scalar I64 2 I64Store16;
    Store Scalar I64 4 I64Store32;
    Store Scalar F32 4 F32Store;
    Store Scalar F64 8 F64Store;
    Store Simd V128 16 V128Store;
}

lanes! {
    Extract I32 16 I8x16ExtractLaneS;
    Extract I32 16 I8x16ExtractLaneU;
    Extract I32 8 I16x8ExtractLaneS;
    Extract I32 8 I16x8ExtractLaneU;
    Extract I32 4 I32x4ExtractLane;
    Extract I64 2 I64x2ExtractLane;
    Extract F32 4 F32x4ExtractLane;
    Extract F64 2 F64x2ExtractLane;
    Replace I32 16 I8x16ReplaceLane;
    Replace I32 8 I16x8ReplaceLane;
    Replace I32 4 I32x4ReplaceLane;
    Replace I64 2 I64x2ReplaceLane;
    Replace F32 4 F32x4ReplaceLane;
    Replace F64 2 F64x2ReplaceLane;
    Load V128 1 V128Load8Lane;
    Load V128 2 V128Load16Lane;
    Load V128 4 V128Load32Lane;
    Load V128 8 V128Load64Lane;
    Store V128 1 V128Store8Lane;
    Store V128 2 V128Store16Lane;
    Store V128 4 V128Store32Lane;
    Store V128 8 V128Store64Lane;
}

wide! {
    4 I64Add128;
    4 I64Sub128;
    2 I64MulWideS;
    2 I64MulWideU;
}

/// The table.
pub struct Table {
    /// Every row.
    pub rows: Vec<Row>,
    /// For each numeric and vector type, the rows with that result.
    by_result: [Vec<u16>; 5],
    statements: Vec<u16>,
}

impl Table {
    /// The table, built once.
    pub fn get() -> &'static Table {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(Table::build)
    }

    /// Rows that give a value of type `ty`.
    pub fn giving(&self, ty: ValueType) -> &[u16] {
        match slot(ty) {
            Some(slot) => &self.by_result[slot],
            None => &[],
        }
    }

    /// Rows to start a statement with: all of them.
    pub fn statements(&self) -> &[u16] {
        &self.statements
    }

    fn build() -> Table {
        let mut rows = Vec::new();
        plain_rows(&mut rows);
        memory_rows(&mut rows);
        lane_rows(&mut rows);
        wide_rows(&mut rows);
        rows.push(Row { feature: Feature::Simd, result: Some(V128), op: Op::Shuffle });
        for special in Special::ALL {
            rows.push(Row { feature: Feature::Scalar, result: None, op: Op::Special(*special) });
        }
        let mut by_result: [Vec<u16>; 5] = Default::default();
        for (index, row) in rows.iter().enumerate() {
            if let Some(slot) = row.result.and_then(slot) {
                by_result[slot].push(index as u16);
            }
        }
        let statements = (0..rows.len() as u16).collect();
        Table { rows, by_result, statements }
    }
}

fn slot(ty: ValueType) -> Option<usize> {
    [I32, I64, F32, F64, V128].iter().position(|known| *known == ty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::generate;
    use crate::source::{Source, expand};
    use std::collections::BTreeMap;
    use std::mem::discriminant;
    use wasm_encoder::Encode;

    /// Opcode bytes of an instruction without immediates.
    fn opcode(instruction: &Instruction<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        instruction.encode(&mut bytes);
        bytes
    }

    #[test]
    fn rows_are_distinct() {
        let rows = &Table::get().rows;
        let mut seen = BTreeMap::new();
        for row in rows {
            if let Op::Plain { instruction, .. } = &row.op {
                assert!(seen.insert(opcode(instruction), ()).is_none(), "{instruction:?} twice");
            }
        }
        assert!(rows.iter().any(|row| discriminant(&row.op) == discriminant(&Op::Shuffle)));
    }

    /// Every operation of the table turns up, rare ones included, and no vector operation is ten times as common as
    /// another.
    #[test]
    fn operations_are_common_alike() {
        let mut counts: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        for seed in 0..1500 {
            let bytes = expand(seed);
            let module = generate(&mut Source::new(&bytes), true);
            for payload in wasmparser::Parser::new(0).parse_all(&module.wasm) {
                let wasmparser::Payload::CodeSectionEntry(body) = payload.expect("a valid module") else { continue };
                let mut reader = body.get_operators_reader().expect("a valid body");
                while !reader.eof() {
                    let start = reader.original_position();
                    reader.read().expect("a valid operation");
                    *counts.entry(module.wasm[start..reader.original_position()].to_vec()).or_default() += 1;
                }
            }
        }
        let mut extremes: Option<(u32, u32)> = None;
        for row in &Table::get().rows {
            let Op::Plain { instruction, .. } = &row.op else { continue };
            let count = counts.get(&opcode(instruction)).copied().unwrap_or(0);
            assert!(count >= 20, "{instruction:?}: {count} in 1500 modules");
            if row.feature == Feature::Simd && row.result == Some(V128) {
                extremes = Some(extremes.map_or((count, count), |(low, high)| (low.min(count), high.max(count))));
            }
        }
        let (low, high) = extremes.expect("there are vector operations");
        assert!(high < 10 * low, "from {low} to {high}");
    }
}
