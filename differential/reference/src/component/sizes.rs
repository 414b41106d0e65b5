//! Sizes and alignments of value types in memory.
//!
//! [Alignment](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#alignment) and
//! [element size](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#element-size), and the
//! rule of validation that no value type is larger than [`SIZE_MAX`] with 64-bit addresses. Types whose definition is not in
//! the component itself (those of instances) are checked where they are defined.
//!
//! Invariant: sums and products saturate, so that no hostile type wraps around to a small size.
//!
//! Does not know: resources, run time.

use super::syntax::{Alias, Decl, Def, Desc, OuterSort, Primitive, Sort, TypeDef, TypeUse, ValueDef};

/// The largest size of a value.
pub(crate) const SIZE_MAX: u64 = (1 << 28) - 1;

/// Size and alignment in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Layout {
    pub(crate) size: u64,
    pub(crate) align: u64,
}

/// The least multiple of `align`, a power of two, that is not below `at`.
pub(crate) fn align_to(at: u64, align: u64) -> u64 {
    at.saturating_add(align - 1) & !(align - 1)
}

impl Layout {
    pub(crate) const fn natural(size: u64) -> Layout {
        Layout { size, align: size }
    }

    /// A pointer and a length.
    pub(crate) const fn pair(pointer_bytes: u64) -> Layout {
        Layout { size: 2 * pointer_bytes, align: pointer_bytes }
    }

    pub(crate) fn primitive(primitive: Primitive, pointer_bytes: u64) -> Layout {
        match primitive {
            Primitive::Bool | Primitive::S8 | Primitive::U8 => Layout::natural(1),
            Primitive::S16 | Primitive::U16 => Layout::natural(2),
            Primitive::S32 | Primitive::U32 | Primitive::F32 | Primitive::Char | Primitive::ErrorContext => {
                Layout::natural(4)
            }
            Primitive::S64 | Primitive::U64 | Primitive::F64 => Layout::natural(8),
            Primitive::String => Layout::pair(pointer_bytes),
        }
    }

    pub(crate) fn record(fields: impl Iterator<Item = Layout>) -> Layout {
        let (mut size, mut align) = (0, 1);
        for field in fields {
            size = align_to(size, field.align).saturating_add(field.size);
            align = align.max(field.align);
        }
        Layout { size: align_to(size, align), align }
    }

    pub(crate) fn variant(cases: usize, payloads: impl Iterator<Item = Layout>) -> Layout {
        let discriminant = discriminant_bytes(cases);
        let (mut size, mut align) = (0, 1);
        for payload in payloads {
            size = size.max(payload.size);
            align = align.max(payload.align);
        }
        let whole = align_to(discriminant, align).saturating_add(size);
        let align = align.max(discriminant);
        Layout { size: align_to(whole, align), align }
    }

    pub(crate) fn flags(labels: usize) -> Layout {
        Layout::natural(match labels {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        })
    }

    pub(crate) fn repeated(self, count: u32) -> Layout {
        Layout { size: self.size.saturating_mul(u64::from(count)), align: self.align }
    }
}

/// Bytes of the discriminant of a variant.
pub(crate) fn discriminant_bytes(cases: usize) -> u64 {
    match cases {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

/// Layouts of the types of the components that are being decoded, with 64-bit addresses: nothing for what is not a value type.
#[derive(Default)]
pub(crate) struct Sizes {
    scopes: Vec<Vec<Option<Layout>>>,
}

impl Sizes {
    pub(crate) fn enter(&mut self) {
        self.scopes.push(Vec::new());
    }

    pub(crate) fn leave(&mut self) {
        self.scopes.pop();
    }

    fn push(&mut self, layout: Option<Layout>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(layout);
        }
    }

    fn get(&self, outer: u32, index: u32) -> Option<Layout> {
        let scope = self.scopes.len().checked_sub(1 + outer as usize)?;
        self.scopes[scope].get(index as usize).copied().flatten()
    }

    fn of_use(&self, ty: TypeUse) -> Layout {
        match ty {
            TypeUse::Primitive(primitive) => Layout::primitive(primitive, 8),
            TypeUse::Index(index) => self.get(0, index).unwrap_or(Layout::natural(1)),
        }
    }

    pub(crate) fn define(&mut self, def: &Def) -> Result<(), String> {
        let layout = match def {
            Def::Type(ty) => self.of_def(ty)?,
            Def::Alias(alias) => match self.of_alias(alias) {
                Some(layout) => layout,
                None => return Ok(()),
            },
            Def::Import(_, Desc::TypeEq(index)) | Def::Export(_, Sort::Type, index) => self.get(0, *index),
            Def::Import(_, Desc::SubResource) => None,
            _ => return Ok(()),
        };
        self.push(layout);
        Ok(())
    }

    /// Nothing when the alias is not of a type.
    fn of_alias(&self, alias: &Alias) -> Option<Option<Layout>> {
        match alias {
            Alias::Export { sort: Sort::Type, .. } => Some(None),
            Alias::Outer { sort: OuterSort::Type, count, index } => Some(self.get(*count, *index)),
            _ => None,
        }
    }

    fn of_def(&mut self, ty: &TypeDef) -> Result<Option<Layout>, String> {
        match ty {
            TypeDef::Value(def) => {
                let layout = self.of_value(def);
                match layout.size <= SIZE_MAX {
                    true => Ok(Some(layout)),
                    false => Err(format!("value type exceeds maximum byte size of {SIZE_MAX}")),
                }
            }
            // Validation bounds the nesting of instance types.
            TypeDef::Instance(decls) => {
                self.enter();
                for decl in decls {
                    let layout = match decl {
                        Decl::Type(ty) => self.of_def(ty)?,
                        Decl::Alias(alias) => match self.of_alias(alias) {
                            Some(layout) => layout,
                            None => continue,
                        },
                        Decl::Export(_, Desc::TypeEq(index)) => self.get(0, *index),
                        Decl::Export(_, Desc::SubResource) => None,
                        _ => continue,
                    };
                    self.push(layout);
                }
                self.leave();
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn of_value(&self, def: &ValueDef) -> Layout {
        match def {
            ValueDef::Primitive(primitive) => Layout::primitive(*primitive, 8),
            ValueDef::Record(fields) => Layout::record(fields.iter().map(|(_, ty)| self.of_use(*ty))),
            ValueDef::Tuple(types) => Layout::record(types.iter().map(|ty| self.of_use(*ty))),
            ValueDef::Variant(cases) => {
                Layout::variant(cases.len(), cases.iter().filter_map(|(_, ty)| Some(self.of_use((*ty)?))))
            }
            ValueDef::Enum(labels) => Layout::variant(labels.len(), std::iter::empty()),
            ValueDef::Option(ty) => Layout::variant(2, std::iter::once(self.of_use(*ty))),
            ValueDef::Result(ok, error) => {
                Layout::variant(2, [*ok, *error].into_iter().flatten().map(|ty| self.of_use(ty)))
            }
            ValueDef::Flags(labels) => Layout::flags(labels.len()),
            ValueDef::FixedList(ty, length) => self.of_use(*ty).repeated(*length),
            ValueDef::List(_) | ValueDef::Map(..) => Layout::pair(8),
            ValueDef::Own(_) | ValueDef::Borrow(_) | ValueDef::Future(_) | ValueDef::Stream(_) => Layout::natural(4),
        }
    }
}
