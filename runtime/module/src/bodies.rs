//! Validation of function bodies.
//!
//! Bodies are validated one by one ([spec](https://webassembly.github.io/spec/core/valid/modules.html#functions)), in
//! parallel when there is enough of them, and what the code generator wants to know about all of them together is
//! collected on the way.
//!
//! Invariant: the error reported is that of the first invalid function, whatever the number of threads.
//!
//! Does not know: what a body compiles to.

use crate::{BodyFacts, DecodeError};
use rayon::prelude::*;
use wasmparser::{BinaryReader, FuncToValidate, FuncValidatorAllocations, FunctionBody, Operator, ValidatorResources};

/// Total body bytes from which on validation is spread over threads.
const PARALLEL_BYTES_MIN: usize = 256 << 10;

/// A body waiting for validation.
pub(crate) type Pending<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// Validates all `bodies` of a module with `tables` tables.
pub(crate) fn validate_all(bodies: Vec<Pending<'_>>, tables: usize) -> Result<BodyFacts, DecodeError> {
    let total = bodies.iter().map(|(_, body)| body.range().len()).sum::<usize>();
    let mut facts = BodyFacts { tables_written: vec![false; tables] };
    if total < PARALLEL_BYTES_MIN {
        let mut allocations = FuncValidatorAllocations::default();
        for pending in bodies {
            allocations = validate(pending, allocations, &mut facts)?;
        }
        return Ok(facts);
    }
    let chunk_len = bodies.len().div_ceil(64).max(1);
    let mut chunks = Vec::new();
    let mut rest = bodies.into_iter().peekable();
    while rest.peek().is_some() {
        chunks.push(rest.by_ref().take(chunk_len).collect::<Vec<_>>());
    }
    let results = chunks.into_par_iter().map(|chunk| validate_chunk(chunk, tables)).collect::<Vec<_>>();
    for result in results {
        for (all, one) in facts.tables_written.iter_mut().zip(result?.tables_written) {
            *all |= one;
        }
    }
    Ok(facts)
}

fn validate_chunk(bodies: Vec<Pending<'_>>, tables: usize) -> Result<BodyFacts, DecodeError> {
    let mut facts = BodyFacts { tables_written: vec![false; tables] };
    let mut allocations = FuncValidatorAllocations::default();
    for pending in bodies {
        allocations = validate(pending, allocations, &mut facts)?;
    }
    Ok(facts)
}

fn validate(
    (function, body): Pending<'_>,
    allocations: FuncValidatorAllocations,
    facts: &mut BodyFacts,
) -> Result<FuncValidatorAllocations, DecodeError> {
    let index = function.index;
    let features = function.features;
    let mut validator = function.into_validator(allocations);
    let mut run = || -> wasmparser::Result<()> {
        let mut reader = body.get_binary_reader();
        validator.read_locals(&mut reader)?;
        reader.set_features(features);
        let bytes = body.as_bytes();
        while !reader.eof() {
            let at = reader.original_position();
            let opcode = bytes[at - body.range().start];
            if opcode == 0x26 || opcode == 0xfc {
                note_table_write(&reader.clone(), &validator.visitor(at), facts);
            }
            reader.visit_operator(&mut validator.visitor(at))??;
        }
        reader.finish_expression(&validator.visitor(reader.original_position()))
    };
    match run() {
        Ok(()) => Ok(validator.into_allocations()),
        Err(error) => Err(DecodeError::Invalid {
            message: error.message().to_owned(),
            offset: error.offset(),
            function: Some(index),
        }),
    }
}

/// Records the table that the operator at `reader` writes, if it writes one. Malformed operators are left to the
/// validator.
fn note_table_write(reader: &BinaryReader<'_>, frames: &impl wasmparser::FrameStack, facts: &mut BodyFacts) {
    let table = match reader.peek_operator(frames) {
        Ok(
            Operator::TableSet { table }
            | Operator::TableGrow { table }
            | Operator::TableFill { table }
            | Operator::TableInit { table, .. },
        ) => table,
        Ok(Operator::TableCopy { dst_table, .. }) => dst_table,
        _ => return,
    };
    if let Some(written) = facts.tables_written.get_mut(table as usize) {
        *written = true;
    }
}
