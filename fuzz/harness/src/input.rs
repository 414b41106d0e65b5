//! What `cargo prove repro` is given, as a case: an envelope, a testcase of a fuzzer, a module or a component.
//!
//! Modules are called with drawn arguments; of components the exported functions without parameters are called, since the
//! reference says what they return.
//!
//! Invariant: a file that is none of these is an error, never an empty case.
//!
//! Does not know: what is checked.

use crate::case::Case;
use crate::envelope::{Envelope, EnvelopeCall};
use crate::model;
use crate::targets::{TARGETS, core_envelope, decode_input, named};
use std::error::Error;
use std::path::Path;
use wasm_encoder::{ComponentBuilder, ComponentExportKind};
use wasmparser::component_types::{ComponentEntityType, ComponentInstanceTypeId};
use wasmparser::types::TypesRef;
use wasmparser::{ComponentExternalKind, Parser, Payload, Validator, WasmFeatures};
use wattest_differential::{Form, NanRule};

/// The case in a file; `target` says whose input it is, where neither its name nor its contents do.
///
/// # Errors
///
/// When the file is none that this reads, or its target is none that there is.
pub fn read(file: &Path, target: Option<&str>) -> Result<Envelope, Box<dyn Error>> {
    let bytes = std::fs::read(file)?;
    if let Some(case) = Envelope::parse(&bytes) {
        return match named(&case.target) {
            Some(_) => Ok(case),
            None => Err(format!("{}: there is no target {}", file.display(), case.target).into()),
        };
    }
    let is_text = file.extension().is_some_and(|extension| extension == "wat");
    if is_text || bytes.starts_with(b"\0asm") {
        return of_binary(&wat::parse_bytes(&bytes)?);
    }
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // Testcases of ClusterFuzz are named after their target; a longer name is the better guess.
    let mut guesses: Vec<&str> = TARGETS.iter().map(|row| row.name).filter(|row| name.contains(row)).collect();
    guesses.sort_by_key(|row| row.len());
    let target = target.or(guesses.last().copied());
    let target = target.ok_or("no envelope and no module: say with --target whose input it is")?;
    Ok(decode_input(target, &bytes)
        .ok_or_else(|| format!("these bytes give no case of {target}, if there is such a target"))?)
}

/// A module with calls of all its exports, or a component with calls of those without parameters.
fn of_binary(wasm: &[u8]) -> Result<Envelope, Box<dyn Error>> {
    if Parser::is_component(wasm) {
        return Ok(of_component(wasm)?);
    }
    match Case::from_module(wasm.to_vec(), 0, Form::Original, NanRule::Exact, 1) {
        Ok(case) => Ok(core_envelope("diff_core", &case)),
        Err(error) => {
            model::envelope_of_module(wasm).ok_or_else(|| format!("this module cannot be called: {error}").into())
        }
    }
}

/// The instance that holds functions which a component exports by themselves.
const ITSELF: &str = "component";

fn of_component(wasm: &[u8]) -> Result<Envelope, String> {
    let types = Validator::new_with_features(WasmFeatures::all()).validate_all(wasm);
    let types = types.map_err(|error| format!("this component is not valid: {error}"))?;
    let (exports, imports) = outermost(wasm);
    if let Some(import) = imports.first() {
        return Err(format!("this component imports {import}: the harness has no host for it"));
    }
    let exported = Exported { types: types.as_ref() };
    let (mut calls, mut is_wrapped) = (Vec::new(), false);
    for name in &exports {
        match exported.types.component_item_for_export(name).map(|item| item.ty) {
            Some(ComponentEntityType::Func(id)) if exported.types[id].params.is_empty() => {
                calls.push(format!("{ITSELF}#{name}"));
                is_wrapped = true;
            }
            Some(ComponentEntityType::Instance(id)) => {
                calls.extend(exported.functions(id).map(|func| format!("{name}#{func}")));
            }
            _ => {}
        }
    }
    if is_wrapped {
        // Cases call functions of instances.
        calls.retain(|call| call.starts_with(ITSELF));
    }
    if calls.is_empty() {
        return Err("this component exports no function without parameters".to_owned());
    }
    let wasm = if is_wrapped { wrapped(wasm) } else { wasm.to_vec() };
    let mut case = Envelope::new("component_abi").set("subject", 0).set("renews", true).module("component", wasm);
    let call = |func: String| EnvelopeCall { module: 0, func, args: Vec::new() };
    case.calls = calls.into_iter().map(call).collect();
    Ok(case)
}

struct Exported<'a> {
    types: TypesRef<'a>,
}

impl Exported<'_> {
    /// Functions of an instance without parameters.
    fn functions(&self, id: ComponentInstanceTypeId) -> impl Iterator<Item = &String> {
        self.types[id].exports.iter().filter_map(|(name, item)| match item.ty {
            ComponentEntityType::Func(id) if self.types[id].params.is_empty() => Some(name),
            _ => None,
        })
    }
}

/// Names that the component itself exports and imports.
fn outermost(wasm: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut exports, mut imports, mut depth) = (Vec::new(), Vec::new(), 0);
    for payload in Parser::new(0).parse_all(wasm).filter_map(Result::ok) {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentExportSection(reader) if depth == 0 => {
                let callable = [ComponentExternalKind::Func, ComponentExternalKind::Instance];
                let own = reader.into_iter().filter_map(Result::ok).filter(|export| callable.contains(&export.kind));
                exports.extend(own.map(|export| export.name.name.to_owned()));
            }
            Payload::ComponentImportSection(reader) if depth == 0 => {
                imports.extend(reader.into_iter().filter_map(Result::ok).map(|import| import.name.name.to_owned()));
            }
            _ => {}
        }
    }
    (exports, imports)
}

/// A component that exports an instance of this one.
fn wrapped(wasm: &[u8]) -> Vec<u8> {
    let mut outer = ComponentBuilder::default();
    let component = outer.component_raw(None, wasm);
    let instance = outer.instantiate(None, component, std::iter::empty::<(&str, ComponentExportKind, u32)>());
    outer.export(ITSELF, ComponentExportKind::Instance, instance, None);
    outer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::Targets;

    fn check(text: &str, expected: Result<&[&str], &str>) {
        let case = of_binary(&wat::parse_str(text).expect("valid text")).map_err(|error| error.to_string());
        match (case, expected) {
            (Ok(case), Ok(calls)) => {
                assert_eq!(case.calls.iter().map(|call| call.func.as_str()).collect::<Vec<_>>(), calls);
                let outcome = Targets::default().run(&case).expect("there is such a target");
                assert_eq!(outcome.disagreement, None);
                // The instantiation, and each call.
                assert_eq!(outcome.checks, calls.len() as u64 + 1);
            }
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    const LIFTED: &str =
        "(core module $m (func (export \"f\") (result i32) i32.const 7) (func (export \"g\") (param i32)))
        (core instance $m (instantiate $m))
        (func $f (result u32) (canon lift (core func $m \"f\")))
        (func $g (param \"x\" u32) (canon lift (core func $m \"g\")))";

    #[test]
    fn functions_of_components_are_called() {
        check(&format!("(component {LIFTED} (export \"f\" (func $f)) (export \"g\" (func $g)))"), Ok(&["component#f"]));
        let instance = "(instance $i (export \"f\" (func $f)) (export \"g\" (func $g))) (export \"i\" (instance $i))";
        check(&format!("(component {LIFTED} {instance})"), Ok(&["i#f"]));
        check(&format!("(component {LIFTED} (export \"g\" (func $g)))"), Err("no function without parameters"));
        check("(component (import \"h\" (func)))", Err("imports h"));
    }

    #[test]
    fn cases_of_no_target_are_errors() {
        let folder = tempfile::tempdir().expect("a folder");
        let check = |name: &str, bytes: &[u8], expected: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, bytes).expect("the file can be written");
            let error = read(&file, None).expect_err("no case").to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("a.case", &Envelope::new("diff_cor").to_bytes(), "no target diff_cor");
        check("b", b"anything", "no envelope and no module");
    }
}
