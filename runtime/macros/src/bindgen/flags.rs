//! The type that flags become: a set of bits, with a constant for each label.
//!
//! Invariant: bits without a label are never set, as lifting ignores them
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading)).
//!
//! Does not know: where flags are used.

use super::idents::shouty;
use proc_macro2::{Ident, TokenStream};
use quote::quote;

/// The type, its operators, and its impls of the three traits.
pub(super) fn flags(name: &Ident, docs: &TokenStream, labels: &[(&str, TokenStream)]) -> TokenStream {
    let all = u32::MAX.checked_shr(32 - u32::try_from(labels.len()).unwrap_or(32)).unwrap_or_default();
    let rows = labels.iter().enumerate().map(|(at, (label, docs))| {
        let (label, bit) = (shouty(label), 1u32 << at);
        quote!(#docs pub const #label: Self = Self { bits: #bit };)
    });
    let shown = labels.iter().map(|(label, _)| shouty(label).to_string());
    let bits = (0..labels.len()).map(|at| 1u32 << at);
    let operators = [
        ("BitOr", "bitor", quote!(union)),
        ("BitAnd", "bitand", quote!(intersection)),
        ("BitXor", "bitxor", quote!(symmetric_difference)),
        ("Sub", "sub", quote!(difference)),
    ];
    let operators = operators.map(|(operator, function, body)| operator_impls(name, operator, function, &body));
    let interface = interface(name, labels);
    quote! {
        #docs
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct #name {
            bits: u32,
        }
        impl #name {
            #(#rows)*
            /// No flag.
            pub const fn empty() -> Self { Self { bits: 0 } }
            /// All flags.
            pub const fn all() -> Self { Self { bits: #all } }
            /// The flags as bits, the first label lowest.
            pub const fn bits(&self) -> u32 { self.bits }
            /// The flags of these bits; others are ignored.
            pub const fn from_bits_truncate(bits: u32) -> Self { Self { bits: bits & #all } }
            /// Whether there is no flag.
            pub const fn is_empty(&self) -> bool { self.bits == 0 }
            /// Whether all flags are there.
            pub const fn is_all(&self) -> bool { self.bits == #all }
            /// Whether all of `other` are there.
            pub const fn contains(&self, other: Self) -> bool { self.bits & other.bits == other.bits }
            /// Whether any of `other` is there.
            pub const fn intersects(&self, other: Self) -> bool { self.bits & other.bits != 0 }
            /// The flags of both.
            pub const fn union(self, other: Self) -> Self { Self { bits: self.bits | other.bits } }
            /// The flags that both have.
            pub const fn intersection(self, other: Self) -> Self { Self { bits: self.bits & other.bits } }
            /// The flags that `other` does not have.
            pub const fn difference(self, other: Self) -> Self { Self { bits: self.bits & !other.bits } }
            /// The flags that only one of both has.
            pub const fn symmetric_difference(self, other: Self) -> Self { Self { bits: self.bits ^ other.bits } }
            /// The flags that are not there.
            pub const fn complement(self) -> Self { Self { bits: !self.bits & #all } }
            /// Adds flags.
            pub fn insert(&mut self, other: Self) { self.bits |= other.bits; }
            /// Takes flags away.
            pub fn remove(&mut self, other: Self) { self.bits &= !other.bits; }
            /// Adds flags or takes them away.
            pub fn set(&mut self, other: Self, value: bool) {
                if value { self.insert(other) } else { self.remove(other) }
            }
        }
        #(#operators)*
        impl ::core::ops::Not for #name {
            type Output = Self;
            fn not(self) -> Self { self.complement() }
        }
        impl ::core::fmt::Debug for #name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                let labels: &[(u32, &str)] = &[#((#bits, #shown)),*];
                let mut set = f.debug_set();
                for (bit, label) in labels {
                    if self.bits & bit != 0 {
                        set.entry(&::core::format_args!("{}", label));
                    }
                }
                set.finish()
            }
        }
        #interface
    }
}

/// A binary operator and its assignment.
fn operator_impls(name: &Ident, operator: &str, function: &str, body: &TokenStream) -> TokenStream {
    let of = |text: String| Ident::new(&text, name.span());
    let (assign, assign_function) = (of(format!("{operator}Assign")), of(format!("{function}_assign")));
    let (operator, function) = (of(operator.to_owned()), of(function.to_owned()));
    quote! {
        impl ::core::ops::#operator for #name {
            type Output = Self;
            fn #function(self, other: Self) -> Self { self.#body(other) }
        }
        impl ::core::ops::#assign for #name {
            fn #assign_function(&mut self, other: Self) { *self = self.#body(other); }
        }
    }
}

/// The impls that make it an interface type.
fn interface(name: &Ident, labels: &[(&str, TokenStream)]) -> TokenStream {
    let (count, names) = (labels.len(), labels.iter().map(|(label, _)| label));
    let bytes = match count {
        0..=8 => 1usize,
        9..=16 => 2,
        _ => 4,
    };
    quote! {
        impl ::wattest::component::ComponentType for #name {
            const ABI: [::wattest::component::Abi; 2] = [::wattest::component::Abi::flags(#count); 2];
            fn check(
                ty: &::wattest::component::Checked,
                types: &::wattest::component::TypeCheck<'_>,
            ) -> ::core::result::Result<(), ::wattest::component::TypeMismatch> {
                types.labels(ty, ::wattest::component::LabelKind::Flags, &[#(#names),*])
            }
        }
        impl ::wattest::component::Lift for #name {
            fn lift_flat(
                _: &mut ::wattest::component::LiftCx<'_>,
                _: ::wattest::component::Ty,
                slots: &[u64],
            ) -> ::wattest::Result<Self> {
                ::core::result::Result::Ok(Self::from_bits_truncate(slots[0] as u32))
            }
            fn lift_at(
                cx: &mut ::wattest::component::LiftCx<'_>,
                _: ::wattest::component::Ty,
                address: u64,
            ) -> ::wattest::Result<Self> {
                let mut bytes = [0; 4];
                bytes[..#bytes].copy_from_slice(&cx.read::<#bytes>(address)?);
                ::core::result::Result::Ok(Self::from_bits_truncate(u32::from_le_bytes(bytes)))
            }
        }
        impl ::wattest::component::Lower for #name {
            fn lower_flat(
                &self,
                _: &mut ::wattest::component::LowerCx<'_>,
                _: ::wattest::component::Ty,
                slots: &mut [u64],
            ) -> ::wattest::Result<()> {
                slots[0] = ::core::convert::From::from(self.bits);
                ::core::result::Result::Ok(())
            }
            fn lower_at(
                &self,
                cx: &mut ::wattest::component::LowerCx<'_>,
                _: ::wattest::component::Ty,
                address: u64,
            ) -> ::wattest::Result<()> {
                cx.write(address, &self.bits.to_le_bytes()[..#bytes])
            }
        }
    }
}
