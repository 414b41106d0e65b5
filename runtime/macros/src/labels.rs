//! Generated code for what is only labels: enums and flags.
//!
//! Invariant: a discriminant or a set of bits is one core value
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#loading)); bits without a label
//! are ignored when they are lifted and zero when they are lowered.
//!
//! Does not know: the impls that it becomes part of.

use crate::emit::{Body, discriminants};
use crate::shape::{Case, Member};
use proc_macro2::TokenStream;
use quote::quote;

/// Type and check of an enum.
pub(crate) fn enum_type(cases: &[Case<'_>]) -> Body {
    let labels = cases.iter().map(|case| &case.label);
    let count = cases.len();
    Body {
        abi: quote!([::wattest::component::Abi::cases(&[::wattest::component::Abi::EMPTY; #count]); 2]),
        typed: quote!(false),
        check: quote!(types.labels(ty, ::wattest::component::LabelKind::Enum, &[#(#labels),*])),
    }
}

/// Type and check of flags.
pub(crate) fn flags_type(members: &[Member<'_>]) -> Body {
    let labels = members.iter().map(|member| &member.label);
    let count = members.len();
    Body {
        abi: quote!([::wattest::component::Abi::flags(#count); 2]),
        typed: quote!(false),
        check: quote!(types.labels(ty, ::wattest::component::LabelKind::Flags, &[#(#labels),*])),
    }
}

/// From core values, and from memory.
pub(crate) fn lift_enum(cases: &[Case<'_>]) -> [TokenStream; 2] {
    let count = cases.len();
    let arms = discriminants(count);
    let idents = cases.iter().map(|case| case.ident);
    let take = quote!(::core::result::Result::Ok(match found { #(#arms => Self::#idents,)* }));
    [
        quote!(let found = ::wattest::component::LiftCx::discriminant(slots[0], #count)?; #take),
        quote!(let found = cx.read_discriminant(address, #count)?; #take),
    ]
}

/// To core values, and to memory.
pub(crate) fn lower_enum(cases: &[Case<'_>]) -> [TokenStream; 2] {
    let count = cases.len();
    let numbers = 0..u32::try_from(count).unwrap_or(u32::MAX);
    let idents = cases.iter().map(|case| case.ident);
    let case = quote!(let case: u32 = match self { #(Self::#idents => #numbers,)* };);
    [
        quote!(#case slots[0] = ::core::convert::From::from(case); ::core::result::Result::Ok(())),
        quote!(#case cx.write_discriminant(address, case, #count)),
    ]
}

/// Bytes of so many flags, as their layout has it.
fn flags_bytes(count: usize) -> usize {
    match count {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}

/// From core values, and from memory.
pub(crate) fn lift_flags(members: &[Member<'_>]) -> [TokenStream; 2] {
    let bytes = flags_bytes(members.len());
    let fields = members.iter().map(|member| member.ident);
    let masks = (0..members.len()).map(|at| 1u64 << at);
    let take = quote!(::core::result::Result::Ok(Self { #(#fields: bits & #masks != 0),* }));
    [
        quote!(let bits: u64 = slots[0]; #take),
        quote! {
            let mut bytes = [0; 8];
            bytes[..#bytes].copy_from_slice(&cx.read::<#bytes>(address)?);
            let bits = u64::from_le_bytes(bytes);
            #take
        },
    ]
}

/// To core values, and to memory.
pub(crate) fn lower_flags(members: &[Member<'_>]) -> [TokenStream; 2] {
    let bytes = flags_bytes(members.len());
    let fields = members.iter().map(|member| member.ident);
    let masks = (0..members.len()).map(|at| 1u64 << at);
    let bits = quote!(let bits: u64 = 0 #(| if self.#fields { #masks } else { 0 })*;);
    [
        quote!(#bits slots[0] = bits; ::core::result::Result::Ok(())),
        quote!(#bits cx.write(address, &bits.to_le_bytes()[..#bytes])),
    ]
}
