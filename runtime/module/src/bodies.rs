//! Validation of function bodies.
//!
//! Bodies are validated one by one ([spec](https://webassembly.github.io/spec/core/valid/modules.html#functions)), in
//! parallel when there is enough of them, and what the code generator wants to know about all of them together is
//! collected on the way.
//!
//! Invariant: the error reported is that of the first invalid function, whatever the number of threads.
//!
//! Does not know: what a body compiles to.

use crate::traffic::{self, Traffic};
use crate::{BodyFacts, DecodeError, ModuleDesc};
use rayon::prelude::*;
use wasmparser::{BinaryReader, FuncToValidate, FuncValidatorAllocations, FunctionBody, Operator, ValidatorResources};

/// Total body bytes from which on validation is spread over threads.
const PARALLEL_BYTES_MIN: usize = 256 << 10;

/// The byte that instructions of garbage-collected objects start with.
const OBJECT_PREFIX: u8 = 0xfb;

/// A body waiting for validation.
pub(crate) type Pending<'a> = (FuncToValidate<ValidatorResources>, FunctionBody<'a>);

/// Validates all `bodies` of the module `desc`.
pub(crate) fn validate_all(bodies: Vec<Pending<'_>>, desc: &ModuleDesc) -> Result<BodyFacts, DecodeError> {
    let total = bodies.iter().map(|(_, body)| body.range().len()).sum::<usize>();
    let start = bodies.first().map_or(0, |(_, body)| body.range().start);
    let budget = traffic::values_max(total);
    let found = if total < PARALLEL_BYTES_MIN {
        validate_chunk(bodies, desc, budget)?
    } else {
        validate_parallel(bodies, desc, budget)?
    };
    traffic::check_values(found.values, budget, start)?;
    Ok(found.facts)
}

/// What validation finds out about some bodies.
struct Found {
    facts: BodyFacts,
    /// Values that they pass: see [`traffic`].
    values: u64,
}

impl Found {
    fn new(desc: &ModuleDesc) -> Found {
        Found { facts: BodyFacts { tables_written: vec![false; desc.tables.len()], uses_objects: false }, values: 0 }
    }
}

fn validate_parallel(bodies: Vec<Pending<'_>>, desc: &ModuleDesc, budget: u64) -> Result<Found, DecodeError> {
    let chunk_len = bodies.len().div_ceil(64).max(1);
    let mut chunks = Vec::new();
    let mut rest = bodies.into_iter().peekable();
    while rest.peek().is_some() {
        chunks.push(rest.by_ref().take(chunk_len).collect::<Vec<_>>());
    }
    let results = chunks.into_par_iter().map(|chunk| validate_chunk(chunk, desc, budget)).collect::<Vec<_>>();
    let mut found = Found::new(desc);
    for result in results {
        let chunk = result?;
        found.values += chunk.values;
        found.facts.uses_objects |= chunk.facts.uses_objects;
        for (all, one) in found.facts.tables_written.iter_mut().zip(chunk.facts.tables_written) {
            *all |= one;
        }
    }
    Ok(found)
}

fn validate_chunk(bodies: Vec<Pending<'_>>, desc: &ModuleDesc, budget: u64) -> Result<Found, DecodeError> {
    let mut found = Found::new(desc);
    let mut allocations = FuncValidatorAllocations::default();
    for pending in bodies {
        let traffic = Traffic::new(desc, budget);
        allocations = validate(pending, allocations, &mut found, traffic)?;
    }
    Ok(found)
}

fn validate(
    (function, body): Pending<'_>,
    allocations: FuncValidatorAllocations,
    found: &mut Found,
    mut traffic: Traffic<'_>,
) -> Result<FuncValidatorAllocations, DecodeError> {
    let index = function.index;
    let features = function.features;
    let invalid = |error: wasmparser::BinaryReaderError| DecodeError::Invalid {
        message: error.message().to_owned(),
        offset: error.offset(),
        function: Some(index),
    };
    let mut validator = function.into_validator(allocations);
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader).map_err(invalid)?;
    reader.set_features(features);
    let bytes = body.as_bytes();
    while !reader.eof() {
        let at = reader.original_position();
        let opcode = bytes[at - body.range().start];
        traffic.charge(opcode, &reader, &validator)?;
        if opcode == 0x26 || opcode == 0xfc {
            note_table_write(&reader.clone(), &validator.visitor(at), &mut found.facts);
        }
        found.facts.uses_objects |= opcode == OBJECT_PREFIX;
        reader.visit_operator(&mut validator.visitor(at)).and_then(|result| result).map_err(invalid)?;
    }
    reader.finish_expression(&validator.visitor(reader.original_position())).map_err(invalid)?;
    found.values += traffic.values;
    Ok(validator.into_allocations())
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
