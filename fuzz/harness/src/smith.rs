//! The second source of modules: wasm-smith, held to what every engine here runs.
//!
//! Invariant: whatever it gives has bounded memories and tables and no threads; garbage collection and exceptions only on
//! demand.
//!
//! Does not know: how much of it is useful; wasm-smith's loops often do not end.

use crate::source::Source;
use arbitrary::Arbitrary;
use wasm_smith::{Config, Module};

/// Generates a module, where the bytes allow it.
pub fn generate(source: &mut Source<'_>, exact_nans: bool) -> Option<Vec<u8>> {
    let config = config(source, exact_nans)?;
    let module = Module::new(config, source.unstructured()).ok()?;
    Some(module.to_bytes())
}

/// Generates a module with garbage collection, typed references and exceptions, without imports.
pub fn generate_later(source: &mut Source<'_>) -> Option<Vec<u8>> {
    let mut config = config(source, false)?;
    config.gc_enabled = true;
    config.exceptions_enabled = true;
    config.tail_call_enabled = true;
    // Exact references; of descriptors wasm-smith makes none.
    config.custom_descriptors_enabled = source.percent(50);
    config.max_imports = 0;
    config.max_tags = 4;
    config.max_types = 24;
    config.max_type_size = 1000;
    let module = Module::new(config, source.unstructured()).ok()?;
    Some(module.to_bytes())
}

fn config(source: &mut Source<'_>, exact_nans: bool) -> Option<Config> {
    let mut config = Config::arbitrary(source.unstructured()).ok()?;
    config.gc_enabled = false;
    config.exceptions_enabled = false;
    config.threads_enabled = false;
    config.shared_everything_threads_enabled = false;
    config.custom_descriptors_enabled = false;
    config.reference_types_enabled = true;
    config.bulk_memory_enabled = true;
    config.multi_value_enabled = true;
    config.sign_extension_ops_enabled = true;
    config.saturating_float_to_int_enabled = true;
    config.extended_const_enabled = true;
    config.canonicalize_nans = !exact_nans;
    config.generate_custom_sections = false;
    config.allow_invalid_funcs = false;
    config.export_everything = false;
    config.min_exports = 4;
    config.max_exports = 24;
    config.min_funcs = 3;
    config.max_funcs = 8;
    config.max_instructions = 60;
    config.max_imports = 4;
    config.min_imports = 0;
    config.max_types = 12;
    config.min_types = 3;
    config.max_globals = 8;
    config.max_memories = config.max_memories.min(3);
    config.max_memory32_bytes = 3 << 16;
    config.max_memory64_bytes = 3 << 16;
    config.memory_max_size_required = true;
    config.max_tables = config.max_tables.min(3);
    config.max_table_elements = 12;
    config.table_max_size_required = true;
    config.max_data_segments = 4;
    config.max_element_segments = 4;
    config.max_elements = 6;
    Some(config)
}

/// A module as usual harnesses take it: no imports, ends by a counter in a global that is never filled up again.
pub fn generate_counted(source: &mut Source<'_>) -> Option<Vec<u8>> {
    let mut config = config(source, false)?;
    config.max_imports = 0;
    config.min_imports = 0;
    let mut module = Module::new(config, source.unstructured()).ok()?;
    module.ensure_termination(1000).ok()?;
    Some(module.to_bytes())
}
