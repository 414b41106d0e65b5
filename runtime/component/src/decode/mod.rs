//! The decoder: component binary in, definitions out.
//!
//! Walks the sections of all nested components once
//! ([binary format](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md)); each is validated before
//! it is converted. Outer aliases become captures, so that a scope says what it needs of those around it.
//!
//! Invariant: memory use is linear in the size of the binary times [`DEPTH_MAX`]; there is no recursion, and the parser's own
//! is bounded before it starts.
//!
//! Does not know: instances, values, what is done with the definitions.

pub(crate) mod ast;
mod canon;
mod core;
mod scope;
mod types;

use crate::error::{ComponentError, Limit, LimitError};
use crate::features::Features;
use ast::{Ast, Def, Kind, ModuleDef, ModuleType, Named, Scope, ScopeIndex, Symbols, TypeRef};
use core::{CoreTypeRow, ModuleReader};
use scope::Frame;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, FuncValidatorAllocations, Instance, Parser, Payload, TypeBounds, ValidPayload,
    Validator,
};
use wattest_canon::{Name, Types};

/// The deepest nesting of components, and of types within each other.
pub const DEPTH_MAX: u32 = 100;

/// What is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    /// What the binary may use.
    pub features: Features,
    /// Bytes of the binary.
    pub bytes_max: u32,
    /// Definitions in all nested components, and captures between them.
    pub definitions_max: u32,
    /// Whether bodies of core functions are validated. Whoever compiles them validates them again.
    pub bodies: bool,
}

impl Default for DecodeOptions {
    fn default() -> DecodeOptions {
        DecodeOptions { features: Features::default(), bytes_max: 1 << 30, definitions_max: 1 << 20, bodies: true }
    }
}

/// Decodes and validates a component.
///
/// # Errors
/// [`ComponentError::Invalid`] with the offset, or a limit.
pub(crate) fn decode<'a>(bytes: &'a [u8], options: &DecodeOptions) -> Result<Ast<'a>, ComponentError> {
    Limit::Bytes.check(bytes.len() as u64, options.bytes_max)?;
    Decoder::new(bytes, *options).run()
}

/// Whether a binary begins as a component does.
pub fn is_component(bytes: &[u8]) -> bool {
    Parser::is_component(bytes)
}

pub(crate) fn invalid(error: &BinaryReaderError) -> ComponentError {
    ComponentError::Invalid { offset: error.offset(), message: error.message().to_owned() }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    options: DecodeOptions,
    symbols: Symbols<'a>,
    scopes: Vec<Scope>,
    modules: Vec<ModuleDef>,
    module_types: Vec<ModuleType>,
    signatures: Vec<crate::graph::Signature>,
    // ORDER: only looked up.
    signature_ids: HashMap<crate::graph::Signature, crate::ids::SignatureIndex>,
    frames: Vec<Frame>,
    module: Option<ModuleReader<'a>>,
    definitions: u64,
    /// Where value types are laid out although no instance may ever need them: sizes have limits that validation checks.
    checked: Types,
    label: Name,
    allocations: FuncValidatorAllocations,
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8], options: DecodeOptions) -> Decoder<'a> {
        let mut checked = Types::default();
        let label = checked.name("").unwrap_or_else(|_| unreachable!("an arena has room for one name"));
        Decoder {
            bytes,
            options,
            symbols: Symbols::default(),
            scopes: Vec::new(),
            modules: Vec::new(),
            module_types: Vec::new(),
            signatures: Vec::new(),
            signature_ids: HashMap::new(),
            frames: Vec::new(),
            module: None,
            definitions: 0,
            checked,
            label,
            allocations: FuncValidatorAllocations::default(),
        }
    }

    fn run(mut self) -> Result<Ast<'a>, ComponentError> {
        let flags = self.options.features.to_parser();
        let mut validator = Validator::new_with_features(flags);
        let mut parser = Parser::new(0);
        parser.set_features(flags);
        for payload in parser.parse_all(self.bytes) {
            let payload = payload.map_err(|error| invalid(&error))?;
            if let Payload::ComponentTypeSection(section) = &payload {
                types::check_depth(self.bytes, section, flags)?;
            }
            match validated(&mut validator, &payload)? {
                ValidPayload::Func(func, body) if self.options.bodies => {
                    let mut body_validator = func.into_validator(std::mem::take(&mut self.allocations));
                    body_validator.validate(&body).map_err(|error| invalid(&error))?;
                    self.allocations = body_validator.into_allocations();
                }
                ValidPayload::End(types) if self.module.is_some() => self.end_module(&types)?,
                ValidPayload::End(types) => {
                    if let Some(root) = self.end_component()? {
                        return Ok(self.finish(root, types));
                    }
                }
                _ => self.payload(payload, flags)?,
            }
        }
        Err(ComponentError::Invalid { offset: self.bytes.len(), message: "unexpected end".to_owned() })
    }

    fn finish(self, root: ScopeIndex, validated: wasmparser::types::Types) -> Ast<'a> {
        Ast {
            symbols: self.symbols,
            scopes: self.scopes,
            root,
            modules: self.modules,
            module_types: self.module_types,
            signatures: self.signatures,
            validated,
        }
    }

    fn payload(&mut self, payload: Payload<'a>, flags: wasmparser::WasmFeatures) -> Result<(), ComponentError> {
        if self.module.is_some() {
            return self.module_payload(payload);
        }
        match payload {
            Payload::Version { encoding: Encoding::Component, .. } => {
                self.frames.push(Frame::default());
                Limit::Depth.check(self.frames.len() as u64, DEPTH_MAX).map_err(ComponentError::from)
            }
            Payload::Version { encoding: Encoding::Module, range, .. } => Err(ComponentError::Invalid {
                offset: range.start,
                message: "this is a core module, not a component".to_owned(),
            }),
            Payload::ModuleSection { unchecked_range, .. } => {
                self.module = Some(ModuleReader::new(unchecked_range));
                Ok(())
            }
            Payload::CoreTypeSection(section) => each(section, |ty| self.core_type(&ty)),
            Payload::InstanceSection(section) => each(section, |instance| self.core_instance(instance)),
            Payload::ComponentInstanceSection(section) => each(section, |instance| self.instance(instance)),
            Payload::ComponentAliasSection(section) => each(section, |alias| self.alias(alias)),
            Payload::ComponentTypeSection(section) => self.types(&section, flags),
            Payload::ComponentCanonicalSection(section) => each(section, |canon| self.canon(canon)),
            Payload::ComponentImportSection(section) => each(section, |import| {
                let name = self.symbols.intern(import.name.name);
                let ty = self.type_ref(import.ty)?;
                self.define(Def::Import { name, ty })
            }),
            Payload::ComponentExportSection(section) => each(section, |export| {
                let name = self.symbols.intern(export.name.name);
                self.define(Def::Export(Named { name, kind: kind(export.kind), index: export.index }))
            }),
            Payload::ComponentStartSection { .. } => {
                Err(ComponentError::Unsupported("start functions of components".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn core_instance(&mut self, instance: Instance<'a>) -> Result<(), ComponentError> {
        let def = match instance {
            Instance::Instantiate { module_index, args } => Def::CoreInstance {
                module: module_index,
                args: args.iter().map(|arg| (self.symbols.intern(arg.name), arg.index)).collect(),
            },
            Instance::FromExports(exports) => Def::CoreBundle(
                exports
                    .iter()
                    .map(|export| (self.symbols.intern(export.name), core::sort(export.kind), export.index))
                    .collect(),
            ),
        };
        self.define(def)
    }

    fn instance(&mut self, instance: ComponentInstance<'a>) -> Result<(), ComponentError> {
        let symbols = &mut self.symbols;
        let def = match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                let args = args.iter().map(|arg| {
                    let name = symbols.intern(arg.name);
                    Named { name, kind: kind(arg.kind), index: arg.index }
                });
                Def::Instance { component: component_index, args: args.collect() }
            }
            ComponentInstance::FromExports(exports) => {
                let exports = exports.iter().map(|export| {
                    let name = symbols.intern(export.name.name);
                    Named { name, kind: kind(export.kind), index: export.index }
                });
                Def::Bundle(exports.collect())
            }
        };
        self.define(def)
    }

    fn alias(&mut self, alias: ComponentAlias<'a>) -> Result<(), ComponentError> {
        match alias {
            ComponentAlias::InstanceExport { kind: sort, instance_index, name } => {
                let name = self.symbols.intern(name);
                self.define(Def::AliasExport { kind: kind(sort), instance: instance_index, name })
            }
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                let name = self.symbols.intern(name);
                self.define(Def::CoreAlias { sort: core::sort(kind), instance: instance_index, name })
            }
            ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreType, count, index } => {
                let row = self.outer_core_type(count, index)?;
                self.top().core_types.push(row);
                Ok(())
            }
            ComponentAlias::Outer { kind, count, index } => {
                let kind = match kind {
                    ComponentOuterAliasKind::CoreModule => Kind::Module,
                    ComponentOuterAliasKind::Component => Kind::Component,
                    _ => Kind::Type,
                };
                self.outer_alias(kind, count, index)
            }
        }
    }

    fn type_ref(&mut self, ty: ComponentTypeRef) -> Result<TypeRef, ComponentError> {
        Ok(match ty {
            ComponentTypeRef::Module(index) => match self.top().core_types.get(index as usize) {
                Some(CoreTypeRow::Module(ty)) => TypeRef::Module(*ty),
                _ => return Err(broken("a module type")),
            },
            ComponentTypeRef::Func(index) => TypeRef::Func(index),
            ComponentTypeRef::Value(_) => TypeRef::Value,
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => TypeRef::Type(index),
            ComponentTypeRef::Type(TypeBounds::SubResource) => TypeRef::Resource,
            ComponentTypeRef::Instance(index) => TypeRef::Instance(index),
            ComponentTypeRef::Component(_) => TypeRef::Component,
        })
    }
}

/// The levels up to which the validator counts the nesting of a type.
const VALIDATOR_DEPTH_MAX: u64 = 127;

/// What the validator says of a payload. It checks the nesting of types that are written down, but only asserts that of
/// instances made from exports, which may nest without limit; a validator that has failed is not used again.
fn validated<'a>(validator: &mut Validator, payload: &Payload<'a>) -> Result<ValidPayload<'a>, ComponentError> {
    match catch_unwind(AssertUnwindSafe(|| validator.payload(payload))) {
        Ok(result) => result.map_err(|error| invalid(&error)),
        Err(_) => Err(LimitError { what: Limit::Depth, max: VALIDATOR_DEPTH_MAX }.into()),
    }
}

/// What validation excludes; said instead of panicking.
pub(crate) fn broken(what: &str) -> ComponentError {
    ComponentError::Rejected(format!("validation let through a missing definition: {what}"))
}

fn each<'a, T: wasmparser::FromReader<'a>>(
    section: wasmparser::SectionLimited<'a, T>,
    mut f: impl FnMut(T) -> Result<(), ComponentError>,
) -> Result<(), ComponentError> {
    for item in section {
        f(item.map_err(|error| invalid(&error))?)?;
    }
    Ok(())
}

fn kind(kind: ComponentExternalKind) -> Kind {
    match kind {
        ComponentExternalKind::Module => Kind::Module,
        ComponentExternalKind::Func => Kind::Func,
        ComponentExternalKind::Value => Kind::Value,
        ComponentExternalKind::Type => Kind::Type,
        ComponentExternalKind::Instance => Kind::Instance,
        ComponentExternalKind::Component => Kind::Component,
    }
}
