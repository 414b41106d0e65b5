//! Core modules inside components: taken out, and put back changed; and components without custom sections.
//!
//! Invariant: [`with`] of what [`modules`] gave is the component again.
//!
//! Does not know: what components do with their modules.

use crate::pieces::{join, split};

/// Bytes before the first section: magic and version with layer.
const PREAMBLE: usize = 8;

/// Sections of a component that hold nothing that counts, a core module, and a component.
const CUSTOM: u8 = 0;
const MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// Deepest nesting that is looked into.
const DEPTH_MAX: usize = 32;

/// Whether the bytes are a component.
pub(super) fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm") && bytes.get(6) == Some(&1)
}

/// The core modules of a component, nested ones included, in order.
pub(super) fn modules(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    walk(bytes, 0, false, &mut |module| {
        found.push(module.to_vec());
        None
    });
    found
}

/// The component without custom sections, those of its core modules included; `None` where the bytes are no component.
pub(super) fn plain(bytes: &[u8]) -> Option<Vec<u8>> {
    walk(bytes, 0, true, &mut |module| Some(join(module, &split(module)?)))
}

/// The component with its `position`-th core module replaced; `None` where the bytes are no component.
pub(super) fn with(bytes: &[u8], position: usize, module: &[u8]) -> Option<Vec<u8>> {
    let mut seen = 0;
    walk(bytes, 0, false, &mut |_| {
        seen += 1;
        (seen - 1 == position).then(|| module.to_vec())
    })
}

/// The component with modules replaced by what `change` says; `is_plain` says that custom sections go.
fn walk(
    bytes: &[u8],
    depth: usize,
    is_plain: bool,
    change: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut out = bytes.get(..PREAMBLE)?.to_vec();
    let mut at = PREAMBLE;
    while at < bytes.len() {
        let id = bytes[at];
        let mut reader = wasmparser::BinaryReader::new(&bytes[at + 1..], 0);
        let length = reader.read_var_u32().ok()? as usize;
        let start = at + 1 + reader.original_position();
        let content = bytes.get(start..start.checked_add(length)?)?;
        let changed = match id {
            MODULE => change(content),
            COMPONENT => walk(content, depth + 1, is_plain, change),
            _ => None,
        };
        at = start + length;
        if is_plain && id == CUSTOM {
            continue;
        }
        let content = changed.as_deref().unwrap_or(content);
        out.push(id);
        wasm_encoder::Encode::encode(&content.len(), &mut out);
        out.extend_from_slice(content);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_modules_are_found_and_replaced() {
        let text = "(component (core module (func nop)) (component (core module (func unreachable))) (core module))";
        let component = wat::parse_str(text).expect("valid text");
        let found = modules(&component);
        assert_eq!(found.len(), 3);
        for (position, module) in found.iter().enumerate() {
            assert_eq!(with(&component, position, module).as_ref(), Some(&component));
        }
        let other = wat::parse_str("(module (func))").expect("valid text");
        let changed = with(&component, 1, &other).expect("a component");
        assert_eq!(modules(&changed), [found[0].clone(), other, found[2].clone()]);
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
            .validate_all(&changed)
            .expect("valid");
    }
}
