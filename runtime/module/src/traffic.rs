//! A budget for the values that control instructions pass along.
//!
//! Three bytes of code can call a function of a thousand parameters and results, or open a block of as many
//! ([spec](https://webassembly.github.io/spec/core/binary/instructions.html#control-instructions)): work and memory that
//! validation and compilation spend on every one of those values would be out of proportion to the binary.
//! Programs stay far below the budget, because values have to come from instructions of their own.
//!
//! Invariant: the charge of a function depends on nothing but the module.
//!
//! Does not know: what compilers do with the values.

use crate::{CompositeType, DecodeError, FuncIndex, ModuleDesc, TagIndex, TypeIndex};
use wasmparser::{BinaryReader, BlockType, FrameKind, FuncValidator, ValidatorResources};

/// Values that any module may pass, however short its code.
const VALUES_BASE: u64 = 250_000;
/// Values that a module may pass in addition for each byte of code.
const VALUES_PER_BYTE: u64 = 2;
/// Targets that the `br_table`s of one function may have together.
const TARGETS_MAX: u64 = 500_000;

/// The values that a module with `code_bytes` of function bodies may pass.
pub(crate) fn values_max(code_bytes: usize) -> u64 {
    VALUES_BASE + VALUES_PER_BYTE * code_bytes as u64
}

/// Checks `values`, charged up to `offset`, against the budget `limit`.
pub(crate) fn check_values(values: u64, limit: u64, offset: usize) -> Result<(), DecodeError> {
    if values <= limit {
        return Ok(());
    }
    Err(DecodeError::Limit { what: "number of values passed by calls, blocks and branches", limit, offset })
}

/// What one function has been charged.
pub(crate) struct Traffic<'a> {
    desc: &'a ModuleDesc,
    values_max: u64,
    /// Values passed so far.
    pub values: u64,
    targets: u64,
}

impl<'a> Traffic<'a> {
    /// A function of `desc`, whose budget is `values_max`.
    pub fn new(desc: &'a ModuleDesc, values_max: u64) -> Traffic<'a> {
        Traffic { desc, values_max, values: 0, targets: 0 }
    }

    /// Charges the instruction at `reader`, before it is validated; a malformed one is left to the validator.
    pub fn charge(
        &mut self,
        opcode: u8,
        reader: &BinaryReader<'_>,
        validator: &FuncValidator<ValidatorResources>,
    ) -> Result<(), DecodeError> {
        if !matches!(opcode, 0x02..=0x04 | 0x06..=0x08 | 0x0c..=0x15 | 0x1f | 0xd5 | 0xd6 | 0xfb) {
            return Ok(());
        }
        let mut immediates = reader.clone();
        let values = immediates.read_u8().and_then(|_| match opcode {
            0x02..=0x04 | 0x06 => Ok(self.block(immediates.read_var_i64()?)),
            0x07 | 0x08 => Ok(self.tag(immediates.read_var_u32()?)),
            0xfb => self.object(&mut immediates, validator),
            0x0c | 0x0d | 0xd5 | 0xd6 => Ok(self.label(immediates.read_var_u32()?, validator)),
            0x0e => self.table(&mut immediates, validator),
            0x1f => self.clauses(&mut immediates, validator),
            0x0f => Ok(self.label(validator.control_stack_height().saturating_sub(1), validator)),
            0x10 | 0x12 => Ok(self.function(immediates.read_var_u32()?)),
            _ => Ok(self.signature(immediates.read_var_u32()?)),
        });
        let offset = reader.original_position();
        self.values += values.unwrap_or(0);
        if self.targets > TARGETS_MAX {
            let what = "number of br_table targets in a function";
            return Err(DecodeError::Limit { what, limit: TARGETS_MAX, offset });
        }
        check_values(self.values, self.values_max, offset)
    }

    /// Values of a signature: parameters and results.
    fn signature(&self, ty: u32) -> u64 {
        let (params, results) = self.arity(ty);
        params + results
    }

    fn arity(&self, ty: u32) -> (u64, u64) {
        match self.desc.types.get(TypeIndex(ty).index()).map(|ty| &ty.composite) {
            Some(CompositeType::Func(ty)) => (ty.params.len() as u64, ty.results.len() as u64),
            _ => (0, 0),
        }
    }

    fn function(&self, func: u32) -> u64 {
        self.desc.functions.get(FuncIndex(func).index()).map_or(0, |ty| self.signature(ty.0))
    }

    /// Values of a block type as it is encoded: a type index, or a negative number for at most one result.
    fn block(&self, ty: i64) -> u64 {
        u32::try_from(ty).map_or(1, |ty| self.signature(ty))
    }

    /// Values that a branch to the label `depth` passes.
    fn label(&self, depth: u32, validator: &FuncValidator<ValidatorResources>) -> u64 {
        let Some(frame) = validator.get_control_frame(depth as usize) else { return 0 };
        match (frame.block_type, frame.kind) {
            (BlockType::Empty, _) | (BlockType::Type(_), FrameKind::Loop) => 0,
            (BlockType::Type(_), _) => 1,
            (BlockType::FuncType(ty), FrameKind::Loop) => self.arity(ty).0,
            (BlockType::FuncType(ty), _) => self.arity(ty).1,
        }
    }

    /// Values that an instruction of objects, whose prefix was read, passes: those of the label of a branch.
    fn object(
        &self,
        immediates: &mut BinaryReader<'_>,
        validator: &FuncValidator<ValidatorResources>,
    ) -> wasmparser::Result<u64> {
        // `br_on_cast`, `br_on_cast_fail`, `br_on_cast_desc_eq`, `br_on_cast_desc_eq_fail`.
        let (24 | 25 | 37 | 38) = immediates.read_var_u32()? else { return Ok(0) };
        immediates.read_u8()?;
        Ok(self.label(immediates.read_var_u32()?, validator))
    }

    /// Values of an exception with the tag.
    fn tag(&self, tag: u32) -> u64 {
        self.desc.tags.get(TagIndex(tag).index()).map_or(0, |tag| self.arity(tag.ty.0).0)
    }

    /// Values of a `try_table`, and of the branches of its clauses.
    fn clauses(
        &self,
        immediates: &mut BinaryReader<'_>,
        validator: &FuncValidator<ValidatorResources>,
    ) -> wasmparser::Result<u64> {
        let mut values = self.block(immediates.read_var_i64()?);
        for _ in 0..immediates.read_var_u32()? {
            if let 0x00 | 0x01 = immediates.read_u8()? {
                values += self.tag(immediates.read_var_u32()?);
            }
            // A clause costs something even if it passes nothing.
            values += 1 + self.label(immediates.read_var_u32()?, validator);
            if values > self.values_max {
                break;
            }
        }
        Ok(values)
    }

    fn table(
        &mut self,
        immediates: &mut BinaryReader<'_>,
        validator: &FuncValidator<ValidatorResources>,
    ) -> wasmparser::Result<u64> {
        let count = immediates.read_var_u32()?;
        let mut values = 0;
        for _ in 0..=count {
            values += self.label(immediates.read_var_u32()?, validator);
            self.targets += 1;
            if self.targets > TARGETS_MAX || values > self.values_max {
                break;
            }
        }
        Ok(values)
    }
}
