//! The binaries of adapter modules, held against their descriptions.
//!
//! An adapter module may be instantiated at any point between its bounds only because doing so has no effect: it has
//! [no start function, no memory, no table, no global and no segment that is active](https://webassembly.github.io/spec/core/exec/modules.html#instantiation).
//!
//! Invariant: a module that passes is valid, imports as many things as its description says and exports one function for each
//! adapter, named by its position.
//!
//! Does not know: what the functions do.

use crate::linear::Linear;
use crate::verify::{Defect, Property};
use wasmparser::{DataKind, ElementKind, ExternalKind, Parser, Payload, Validator, WasmFeatures};

/// Checks all templates of a plan.
///
/// # Errors
/// The first property found broken.
pub fn verify_templates(linear: &Linear) -> Result<(), Defect> {
    let mut shapes = Vec::with_capacity(linear.templates.len());
    for (at, wasm) in linear.templates.iter().enumerate() {
        shapes.push(shape(wasm).map_err(|message| Property::P3.broken(format!("template {at}: {message}")))?);
    }
    for (at, adapter) in linear.adapters.iter().enumerate() {
        let shape = shapes.get(adapter.template as usize);
        let wanted = Some((adapter.imports, adapter.exports.len()));
        let found = shape.map(|shape| (shape.imports, shape.exports));
        Property::P9
            .require(found == wanted, || format!("a{at}: imports and exports are {found:?}, not {wanted:?}"))?;
    }
    Ok(())
}

struct Shape {
    imports: u32,
    exports: usize,
}

fn shape(wasm: &[u8]) -> Result<Shape, String> {
    let text = |error: wasmparser::BinaryReaderError| error.to_string();
    Validator::new_with_features(WasmFeatures::all()).validate_all(wasm).map_err(text)?;
    let mut shape = Shape { imports: 0, exports: 0 };
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(text)? {
            Payload::ImportSection(section) => {
                shape.imports += u32::try_from(section.into_imports().count()).unwrap_or(u32::MAX);
            }
            Payload::ExportSection(section) => {
                for (at, export) in section.into_iter().enumerate() {
                    let export = export.map_err(text)?;
                    if export.kind != ExternalKind::Func || export.name != at.to_string() {
                        return Err(format!("export {at} is {:?}", export.name));
                    }
                    shape.exports += 1;
                }
            }
            Payload::StartSection { .. } => return Err("a start function".into()),
            Payload::MemorySection(_) => return Err("a memory".into()),
            Payload::TableSection(_) => return Err("a table".into()),
            Payload::GlobalSection(_) => return Err("a global".into()),
            Payload::DataSection(section) => {
                for data in section {
                    if matches!(data.map_err(text)?.kind, DataKind::Active { .. }) {
                        return Err("an active data segment".into());
                    }
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    if matches!(element.map_err(text)?.kind, ElementKind::Active { .. }) {
                        return Err("an active element segment".into());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(shape)
}
