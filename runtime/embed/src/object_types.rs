//! Struct and array types of an engine, and subtyping
//! ([spec](https://webassembly.github.io/spec/core/valid/matching.html)).
//!
//! Concrete heap types that the embedder sees are engine-wide identifiers; [`StructType::heap_type`] and
//! [`ArrayType::heap_type`] make them.
//!
//! Invariant: a declared supertype's fields are a prefix of the type's, as validation would have it.
//!
//! Does not know: modules.

use crate::engine::Engine;
use crate::error::{Error, Result, UsageError};
use crate::types::FuncType;
use std::sync::Arc;
use wattest_module::{
    CompositeType, Descriptor, FieldType, HeapType, RefType, StorageType, SubType, TypeIndex, ValType,
};

macro_rules! object_types {
    ($($(#[$doc:meta])* $name:ident, $variant:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            pub struct $name {
                engine: Engine,
                id: u32,
                ty: Arc<SubType>,
            }

            impl $name {
                pub(crate) fn from_id(engine: &Engine, id: u32) -> Option<$name> {
                    let ty = engine.types().ty(id)?;
                    matches!(ty.composite, CompositeType::$variant(_))
                        .then(|| $name { engine: engine.clone(), id, ty })
                }

                pub(crate) fn id(&self) -> u32 {
                    self.id
                }

                /// The engine, if it is `engine`.
                pub(crate) fn check_engine(&self, engine: &Engine) -> Result<Engine, UsageError> {
                    if engine.same(&self.engine) {
                        Ok(engine.clone())
                    } else {
                        Err(UsageError::WrongEngine { what: "type" })
                    }
                }

                /// The type as a heap type of its engine.
                pub fn heap_type(&self) -> HeapType {
                    HeapType::Concrete(TypeIndex(self.id))
                }

                /// The type of references to it.
                pub fn ref_type(&self, nullable: bool) -> RefType {
                    RefType { nullable, heap: self.heap_type(), is_func: false }
                }

                /// The type of references to objects of this type and of none below it.
                pub fn exact_ref_type(&self, nullable: bool) -> RefType {
                    RefType { nullable, heap: HeapType::Exact(TypeIndex(self.id)), is_func: false }
                }

                /// Whether the type can have no subtypes.
                pub fn is_final(&self) -> bool {
                    self.ty.is_final
                }

                /// Whether the type is `other` or declared to be below it.
                pub fn matches(&self, other: &$name) -> bool {
                    self.engine.same(&other.engine) && self.engine.types().is_subtype(self.id, other.id)
                }
            }

            impl PartialEq for $name {
                fn eq(&self, other: &$name) -> bool {
                    self.engine.same(&other.engine) && self.id == other.id
                }
            }

            impl Eq for $name {}
        )*
    };
}

object_types! {
    /// A struct type of an engine.
    StructType, Struct;
    /// An array type of an engine.
    ArrayType, Array;
}

/// A struct type to be declared.
#[derive(Clone, Debug)]
pub struct StructDeclaration<'a> {
    /// Whether it can have no subtypes.
    pub is_final: bool,
    /// The type that it is declared to be below.
    pub supertype: Option<&'a StructType>,
    /// The fields, those of the supertype first.
    pub fields: Vec<FieldType>,
}

impl StructDeclaration<'_> {
    /// The type without descriptors.
    fn check(&self, engine: &Engine) -> Result<SubType> {
        if let Some(above) = self.supertype {
            above.check_engine(engine)?;
            let mut pairs = self.fields.iter().zip(above.fields());
            let extends = above.fields().len() <= self.fields.len()
                && pairs.all(|(below, above)| field_matches(engine, *below, *above));
            if above.is_final() || !extends {
                return Err(invalid("the supertype is final or not extended"));
            }
        }
        let supertype = self.supertype.map(|above| TypeIndex(above.id));
        let composite = CompositeType::Struct(wattest_module::StructType { fields: self.fields.clone() });
        Ok(SubType::new(self.is_final, supertype, composite))
    }
}

fn invalid(text: &str) -> Error {
    UsageError::Invalid(text.to_owned()).into()
}

impl StructType {
    /// The final struct type with these fields.
    ///
    /// # Errors
    ///
    /// The engine has too many types.
    pub fn new(engine: &Engine, fields: impl IntoIterator<Item = FieldType>) -> Result<StructType> {
        StructType::declare(engine, true, None, fields)
    }

    /// A struct type that may be declared below another, and others below it unless it is final.
    ///
    /// # Errors
    ///
    /// The supertype is final or another engine's, or its fields are no prefix; the engine has too many types.
    ///
    /// ```
    /// use wattest::{Engine, FieldType, StorageType, StructType};
    /// let engine = Engine::default();
    /// let byte = FieldType { storage: StorageType::I8, mutable: true };
    /// let above = StructType::declare(&engine, false, None, [byte])?;
    /// let below = StructType::declare(&engine, true, Some(&above), [byte, byte])?;
    /// assert!(below.matches(&above) && !above.matches(&below));
    /// assert!(StructType::declare(&engine, true, Some(&below), [byte, byte]).is_err());
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn declare(
        engine: &Engine,
        is_final: bool,
        supertype: Option<&StructType>,
        fields: impl IntoIterator<Item = FieldType>,
    ) -> Result<StructType> {
        if supertype.is_some_and(|above| above.ty.descriptor.is_some() || above.ty.describes.is_some()) {
            return Err(invalid("below a type that has or is a descriptor there are only such types"));
        }
        let declaration = StructDeclaration { is_final, supertype, fields: fields.into_iter().collect() };
        let id = register(engine, declaration.check(engine)?)?;
        StructType::of_id(engine, id)
    }

    /// A struct type whose objects have descriptors, and the type of those.
    ///
    /// # Errors
    ///
    /// As [`StructType::declare`]; a descriptor's supertype is not the descriptor of the described type's supertype.
    ///
    /// ```
    /// use wattest::{Engine, StructDeclaration, StructType};
    /// let engine = Engine::default();
    /// let (described, descriptor) = StructType::declare_described(
    ///     &engine,
    ///     StructDeclaration { is_final: true, supertype: None, fields: Vec::new() },
    ///     StructDeclaration { is_final: true, supertype: None, fields: Vec::new() },
    /// )?;
    /// assert_eq!(described.descriptor(), Some(descriptor.clone()));
    /// assert_eq!(descriptor.describes(), Some(described));
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn declare_described(
        engine: &Engine,
        described: StructDeclaration<'_>,
        descriptor: StructDeclaration<'_>,
    ) -> Result<(StructType, StructType)> {
        let (mut below, mut description) = (described.check(engine)?, descriptor.check(engine)?);
        let inherited = described.supertype.and_then(StructType::descriptor);
        let described_above = descriptor.supertype.map(StructType::describes);
        let fits = (inherited.is_none() || inherited.as_ref() == descriptor.supertype)
            && described_above.is_none_or(|above| above.is_some() && above.as_ref() == described.supertype);
        if !fits {
            return Err(invalid("the descriptor's supertype is not the supertype's descriptor"));
        }
        if described.supertype.is_some_and(|above| above.ty.describes.is_some()) {
            return Err(invalid("below a descriptor there are only descriptors"));
        }
        let above = described.supertype;
        let before = above.map_or(0, |above| above.ty.descriptor.map_or(above.fields().len() as u32, |own| own.before));
        below.descriptor = Some(Descriptor { ty: TypeIndex::in_group(1), before });
        description.describes = Some(TypeIndex::in_group(0));
        let group = engine.types().register_group(vec![below, description]);
        let id = group.map_err(|error| Error::Limit(error.to_string()))?;
        Ok((StructType::of_id(engine, id)?, StructType::of_id(engine, id + 1)?))
    }

    fn of_id(engine: &Engine, id: u32) -> Result<StructType> {
        StructType::from_id(engine, id).ok_or_else(|| Error::msg("a struct type was just registered"))
    }

    /// The type of the descriptors of this type's objects, if they have some.
    pub fn descriptor(&self) -> Option<StructType> {
        StructType::from_id(&self.engine, self.ty.descriptor?.ty.0)
    }

    /// The type whose objects' descriptors are of this type, if there is one.
    pub fn describes(&self) -> Option<StructType> {
        StructType::from_id(&self.engine, self.ty.describes?.0)
    }

    /// The fields.
    pub fn fields(&self) -> &[FieldType] {
        match &self.ty.composite {
            CompositeType::Struct(ty) => &ty.fields,
            _ => &[],
        }
    }
}

impl ArrayType {
    /// The final array type with such elements.
    ///
    /// # Errors
    ///
    /// The engine has too many types.
    pub fn new(engine: &Engine, element: FieldType) -> Result<ArrayType> {
        let composite = CompositeType::Array(wattest_module::ArrayType(element));
        let id = register(engine, SubType::new(true, None, composite))?;
        ArrayType::from_id(engine, id).ok_or_else(|| Error::msg("an array type was just registered"))
    }

    /// The type of the elements.
    pub fn element(&self) -> FieldType {
        match &self.ty.composite {
            CompositeType::Array(ty) => ty.0,
            _ => FieldType { storage: StorageType::I8, mutable: false },
        }
    }
}

fn register(engine: &Engine, ty: SubType) -> Result<u32> {
    engine.types().register_type(ty).map_err(|error| Error::Limit(error.to_string()))
}

/// [Matching](https://webassembly.github.io/spec/core/valid/matching.html#field-types) of fields.
fn field_matches(engine: &Engine, below: FieldType, above: FieldType) -> bool {
    match (below.storage, above.storage) {
        _ if below == above => true,
        (StorageType::Val(given), StorageType::Val(wanted)) if !below.mutable && !above.mutable => {
            engine.types().matches(given, wanted)
        }
        _ => false,
    }
}

/// A type that a module or the embedder has declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConcreteType {
    /// A function type.
    Func(FuncType),
    /// A struct type.
    Struct(StructType),
    /// An array type.
    Array(ArrayType),
}

impl Engine {
    /// The type that a concrete heap type of this engine is, exact or not; `None` for the others.
    ///
    /// Two modules' types are equal when they are declared alike, whatever their numbers:
    ///
    /// ```
    /// use wattest::{ConcreteType, Engine, ExternType, FieldType, Module, StorageType, StructType, ValType};
    /// let engine = Engine::default();
    /// let global = |text: &str| match Module::new(&engine, text).map(|module| module.get_export("g")) {
    ///     Ok(Some(ExternType::Global(ty))) => ty.content,
    ///     other => panic!("{other:?}"),
    /// };
    /// let one = global("(module (type $s (struct (field i8))) (global (export \"g\") (ref null $s) (ref.null $s)))");
    /// let other = global(
    ///     "(module (type (func)) (type $s (struct (field i8))) (global (export \"g\") (ref null $s) (ref.null $s)))",
    /// );
    /// assert_eq!(one, other);
    /// let ValType::Ref(ty) = one else { panic!("{one}") };
    /// let byte = FieldType { storage: StorageType::I8, mutable: false };
    /// assert_eq!(engine.concrete_type(ty.heap), Some(ConcreteType::Struct(StructType::new(&engine, [byte])?)));
    /// # Ok::<(), wattest::Error>(())
    /// ```
    pub fn concrete_type(&self, heap: HeapType) -> Option<ConcreteType> {
        let id = heap.concrete()?.0;
        Some(match &self.types().ty(id)?.composite {
            CompositeType::Func(ty) => ConcreteType::Func(FuncType { ty: ty.clone() }),
            CompositeType::Struct(_) => ConcreteType::Struct(StructType::from_id(self, id)?),
            CompositeType::Array(_) => ConcreteType::Array(ArrayType::from_id(self, id)?),
        })
    }

    /// Whether every value of type `given` is one of type `wanted`; concrete heap types are this engine's.
    ///
    /// ```
    /// use wattest::{Engine, HeapType, RefType, ValType};
    /// let reference = |heap| ValType::Ref(RefType { nullable: true, heap, is_func: false });
    /// let engine = Engine::default();
    /// assert!(engine.matches(reference(HeapType::I31), reference(HeapType::Eq)));
    /// assert!(!engine.matches(reference(HeapType::Any), reference(HeapType::Eq)));
    /// ```
    pub fn matches(&self, given: ValType, wanted: ValType) -> bool {
        self.types().matches(given, wanted)
    }
}
