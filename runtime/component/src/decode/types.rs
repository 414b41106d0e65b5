//! Type definitions, read without recursion.
//!
//! Instance and component types nest
//! ([type definitions](https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md#type-definitions)); the
//! parser reads them by recursion, so their depth is measured first. Value types are laid out once, whether or not an
//! instance will use them: a value has fewer than 2²⁸ bytes.
//!
//! Invariant: no stack depth here depends on the binary, and the parser's is at most [`DEPTH_MAX`].
//!
//! Does not know: resources; a type that comes out of an instance is not checked here but when it is used.

use super::ast::{Def, ScopeIndex, Symbol, TypeDef, ValRef, ValueDef};
use super::{DEPTH_MAX, Decoder, broken, invalid};
use crate::error::{ComponentError, Limit};
use crate::types::{TypeScope, interface};
use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentAlias, ComponentDefinedType, ComponentExternName, ComponentImport,
    ComponentType, ComponentTypeRef, ComponentTypeSectionReader, ComponentValType, CoreType, PrimitiveValType, ValType,
    WasmFeatures,
};
use wattest_canon::{Name, ResourceId, Scalar, TypeError, TypeId};

/// What a walk over a type section meets.
enum Event<'a> {
    /// An instance type (or a component type) begins.
    Open,
    Close {
        is_instance: bool,
    },
    CoreType(CoreType<'a>),
    Alias(ComponentAlias<'a>),
    Import(ComponentImport<'a>),
    Export(ComponentExternName<'a>, ComponentTypeRef),
    Type(ComponentType<'a>),
}

struct Open {
    remaining: u32,
    is_instance: bool,
}

/// A section, definition by definition, at any depth.
struct Walk<'a> {
    reader: BinaryReader<'a>,
    open: Vec<Open>,
}

const OP_CORE_TYPE: u8 = 0x00;
const OP_TYPE: u8 = 0x01;
const OP_ALIAS: u8 = 0x02;
const OP_IMPORT: u8 = 0x03;
const OP_EXPORT: u8 = 0x04;
const TYPE_COMPONENT: u8 = 0x41;
const TYPE_INSTANCE: u8 = 0x42;

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], section: &ComponentTypeSectionReader<'a>, flags: WasmFeatures) -> Walk<'a> {
        let start = section.original_position();
        let rest = bytes.get(start..section.range().end).unwrap_or(&[]);
        let reader = BinaryReader::new_features(rest, start, flags);
        Walk { reader, open: vec![Open { remaining: section.count(), is_instance: false }] }
    }

    fn offset(&self) -> usize {
        self.reader.original_position()
    }

    fn next(&mut self) -> Result<Option<Event<'a>>, BinaryReaderError> {
        let depth = self.open.len();
        let Some(top) = self.open.last_mut() else { return Ok(None) };
        if top.remaining == 0 {
            let is_instance = top.is_instance;
            self.open.pop();
            return Ok((depth > 1).then_some(Event::Close { is_instance }));
        }
        top.remaining -= 1;
        if depth > 1 {
            let mut ahead = self.reader.clone();
            let op = ahead.read_u8()?;
            if op != OP_TYPE {
                return self.declaration(op, ahead).map(Some);
            }
            self.reader = ahead;
        }
        let mut ahead = self.reader.clone();
        let tag = ahead.read_u8()?;
        if tag != TYPE_COMPONENT && tag != TYPE_INSTANCE {
            return Ok(Some(Event::Type(self.reader.read()?)));
        }
        self.reader = ahead;
        let is_instance = tag == TYPE_INSTANCE;
        self.open.push(Open { remaining: self.reader.read_var_u32()?, is_instance });
        Ok(Some(Event::Open))
    }

    fn declaration(&mut self, op: u8, after: BinaryReader<'a>) -> Result<Event<'a>, BinaryReaderError> {
        self.reader = after;
        Ok(match op {
            OP_CORE_TYPE => Event::CoreType(self.reader.read()?),
            OP_ALIAS => Event::Alias(self.reader.read()?),
            OP_IMPORT => Event::Import(self.reader.read()?),
            OP_EXPORT => Event::Export(self.reader.read()?, self.reader.read()?),
            // Validation reports it; reading a type here fails as well.
            _ => Event::Type(self.reader.read()?),
        })
    }
}

/// Refuses types nested so deeply that reading them by recursion is unsafe.
pub(super) fn check_depth(
    bytes: &[u8],
    section: &ComponentTypeSectionReader<'_>,
    flags: WasmFeatures,
) -> Result<(), ComponentError> {
    let range = section.original_position()..section.range().end;
    let tags = bytes.get(range).unwrap_or(&[]).iter().filter(|byte| matches!(**byte, TYPE_COMPONENT | TYPE_INSTANCE));
    if tags.count() <= DEPTH_MAX as usize {
        return Ok(());
    }
    let mut walk = Walk::new(bytes, section, flags);
    // A malformed section ends the walk early; the parser stops at the same place.
    while let Ok(Some(_)) = walk.next() {
        Limit::Depth.check(walk.open.len() as u64, DEPTH_MAX)?;
    }
    Ok(())
}

impl<'a> Decoder<'a> {
    pub(super) fn types(
        &mut self,
        section: &ComponentTypeSectionReader<'a>,
        flags: WasmFeatures,
    ) -> Result<(), ComponentError> {
        let mut walk = Walk::new(self.bytes, section, flags);
        loop {
            let offset = walk.offset();
            match walk.next().map_err(|error| invalid(&error))? {
                Some(event) => self.event(event, offset)?,
                None => return Ok(()),
            }
        }
    }

    fn event(&mut self, event: Event<'a>, offset: usize) -> Result<(), ComponentError> {
        match event {
            Event::Open => {
                self.frames.push(super::Frame::default());
                Ok(Limit::Depth.check(self.frames.len() as u64, 2 * DEPTH_MAX)?)
            }
            Event::Close { is_instance } => {
                let scope: ScopeIndex = self.end_scope()?;
                self.define(Def::Type(if is_instance { TypeDef::Instance(scope) } else { TypeDef::Component }))
            }
            Event::CoreType(ty) => self.core_type(&ty),
            Event::Alias(alias) => self.alias(alias),
            Event::Import(import) => {
                let name = self.symbols.intern(import.name.name);
                let ty = self.type_ref(import.ty)?;
                self.define(Def::Import { name, ty })
            }
            Event::Export(name, ty) => {
                let name = self.symbols.intern(name.name);
                let ty = self.type_ref(ty)?;
                self.define(Def::Declare { name, ty })
            }
            Event::Type(ty) => self.ty(&ty, offset),
        }
    }

    fn ty(&mut self, ty: &ComponentType<'a>, offset: usize) -> Result<(), ComponentError> {
        match ty {
            ComponentType::Defined(ty) => {
                let def = self.value_def(ty);
                self.count(def.members())?;
                let checked = interface(&def, self)
                    .and_then(|ty| Ok(self.checked.intern(ty)?))
                    .map_err(|error| at(error, offset))?;
                self.define_checked(Def::Type(TypeDef::Value(def)), Some(checked))
            }
            ComponentType::Func(ty) => {
                let params = ty.params.iter().map(|(name, ty)| (self.symbols.intern(name), value(*ty)));
                let params: Box<[_]> = params.collect();
                self.count(params.len() as u64)?;
                let result = ty.result.map(value);
                self.define(Def::Type(TypeDef::Func { params, result, is_async: ty.async_ }))
            }
            ComponentType::Resource { rep: ValType::I64, .. } => {
                Err(ComponentError::Unsupported("resources represented by `i64`".to_owned()))
            }
            ComponentType::Resource { dtor, .. } => self.define(Def::Type(TypeDef::Resource { dtor: *dtor })),
            ComponentType::Component(_) | ComponentType::Instance(_) => Err(broken("a type that was walked")),
        }
    }

    fn value_def(&mut self, ty: &ComponentDefinedType<'a>) -> ValueDef {
        let symbols = &mut self.symbols;
        match ty {
            ComponentDefinedType::Primitive(ty) => ValueDef::Known(primitive(*ty)),
            ComponentDefinedType::Record(fields) => {
                ValueDef::Record(fields.iter().map(|(name, ty)| (symbols.intern(name), value(*ty))).collect())
            }
            ComponentDefinedType::Variant(cases) => {
                ValueDef::Variant(cases.iter().map(|case| (symbols.intern(case.name), case.ty.map(value))).collect())
            }
            ComponentDefinedType::List(element) => ValueDef::List(value(*element)),
            ComponentDefinedType::Map(key, element) => ValueDef::Map(value(*key), value(*element)),
            ComponentDefinedType::FixedLengthList(element, count) => ValueDef::FixedList(value(*element), *count),
            ComponentDefinedType::Tuple(types) => ValueDef::Tuple(types.iter().map(|ty| value(*ty)).collect()),
            ComponentDefinedType::Flags(names) => {
                ValueDef::Flags(names.iter().map(|name| symbols.intern(name)).collect())
            }
            ComponentDefinedType::Enum(names) => {
                ValueDef::Enum(names.iter().map(|name| symbols.intern(name)).collect())
            }
            ComponentDefinedType::Option(ty) => ValueDef::Option(value(*ty)),
            ComponentDefinedType::Result { ok, err } => ValueDef::Result(ok.map(value), err.map(value)),
            ComponentDefinedType::Own(resource) => ValueDef::Own(*resource),
            ComponentDefinedType::Borrow(resource) => ValueDef::Borrow(*resource),
            ComponentDefinedType::Future(ty) => ValueDef::Future(ty.map(value)),
            ComponentDefinedType::Stream(ty) => ValueDef::Stream(ty.map(value)),
        }
    }
}

/// A type of the binary that breaks a rule which the validator does not check is invalid where it stands.
fn at(error: ComponentError, offset: usize) -> ComponentError {
    match error {
        ComponentError::Type(
            error @ (TypeError::TooLarge | TypeError::Empty | TypeError::FlagsTooMany(_) | TypeError::MapKey),
        ) => ComponentError::Invalid { offset, message: error.to_string() },
        other => other,
    }
}

pub(super) fn value(ty: ComponentValType) -> ValRef {
    match ty {
        ComponentValType::Primitive(ty) => ValRef::Known(primitive(ty)),
        ComponentValType::Type(index) => ValRef::Index(index),
    }
}

fn primitive(ty: PrimitiveValType) -> TypeId {
    TypeId::scalar(match ty {
        PrimitiveValType::Bool => Scalar::Bool,
        PrimitiveValType::S8 => Scalar::S8,
        PrimitiveValType::U8 => Scalar::U8,
        PrimitiveValType::S16 => Scalar::S16,
        PrimitiveValType::U16 => Scalar::U16,
        PrimitiveValType::S32 => Scalar::S32,
        PrimitiveValType::U32 => Scalar::U32,
        PrimitiveValType::S64 => Scalar::S64,
        PrimitiveValType::U64 => Scalar::U64,
        PrimitiveValType::F32 => Scalar::F32,
        PrimitiveValType::F64 => Scalar::F64,
        PrimitiveValType::Char => Scalar::Char,
        PrimitiveValType::String => return TypeId::STRING,
        PrimitiveValType::ErrorContext => return TypeId::ERROR_CONTEXT,
    })
}

/// For layout alone: labels and resources do not matter, and a type out of an instance is taken for the smallest one.
impl TypeScope for Decoder<'_> {
    fn value(&mut self, ty: ValRef) -> Result<TypeId, ComponentError> {
        Ok(match ty {
            ValRef::Known(ty) => ty,
            ValRef::Index(index) => {
                let known = self.top().checked.get(index as usize).copied().flatten();
                known.unwrap_or(TypeId::scalar(Scalar::Bool))
            }
        })
    }

    fn name(&mut self, _: Symbol) -> Result<Name, ComponentError> {
        Ok(self.label)
    }

    fn resource(&mut self, _: u32) -> Result<ResourceId, ComponentError> {
        Ok(ResourceId(0))
    }
}
