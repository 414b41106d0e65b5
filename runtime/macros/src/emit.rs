//! Generated code: the impls, and the bodies for records and variants.
//!
//! Invariant: members are written and read in order, each at the place that the constants of its layout give
//! ([spec](https://github.com/WebAssembly/component-model/blob/main/design/mvp/CanonicalABI.md#storing)).
//!
//! Does not know: which shapes are allowed.

use crate::labels;
use crate::shape::{Case, Member, Shape};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use syn::{DeriveInput, Type, parse_quote};

/// What `ComponentType` says of a type.
pub(crate) struct Body {
    /// Its layouts.
    pub(crate) abi: TokenStream,
    /// Whether lifting and lowering look at the component's type.
    pub(crate) typed: TokenStream,
    /// Its check.
    pub(crate) check: TokenStream,
}

/// `impl<…> trait for Type<…>`, every parameter of the type bound by the trait.
fn header(input: &DeriveInput, name: &str) -> TokenStream {
    let name = format_ident!("{name}");
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(::wattest::component::#name));
    }
    let (parameters, arguments, bounds) =
        (generics.split_for_impl().0, input.generics.split_for_impl().1, &generics.where_clause);
    let ident = &input.ident;
    quote!(#[automatically_derived] impl #parameters ::wattest::component::#name for #ident #arguments #bounds)
}

/// The impl of `ComponentType`.
pub(crate) fn component_type(input: &DeriveInput, shape: &Shape<'_>) -> TokenStream {
    let Body { abi, typed, check } = match shape {
        Shape::Record(members) => record_type(members),
        Shape::Variant(cases) => variant_type(cases),
        Shape::Enum(cases) => labels::enum_type(cases),
        Shape::Flags(members) => labels::flags_type(members),
    };
    let header = header(input, "ComponentType");
    quote! {
        #header {
            const ABI: [::wattest::component::Abi; 2] = #abi;
            const TYPED: bool = #typed;
            fn check(
                ty: &::wattest::component::Checked,
                types: &::wattest::component::TypeCheck<'_>,
            ) -> ::core::result::Result<(), ::wattest::component::TypeMismatch> {
                #check
            }
        }
    }
}

/// The impl of `Lift`.
pub(crate) fn lift(input: &DeriveInput, shape: &Shape<'_>) -> TokenStream {
    let [flat, at] = match shape {
        Shape::Record(members) => lift_record(members),
        Shape::Variant(cases) => lift_variant(cases),
        Shape::Enum(cases) => labels::lift_enum(cases),
        Shape::Flags(members) => labels::lift_flags(members),
    };
    let header = header(input, "Lift");
    quote! {
        #header {
            #[inline]
            #[allow(unused_variables, reason = "some shapes have no use for all of them")]
            fn lift_flat(
                cx: &mut ::wattest::component::LiftCx<'_>,
                ty: ::wattest::component::Ty,
                slots: &[u64],
            ) -> ::wattest::Result<Self> {
                #flat
            }
            #[inline]
            #[allow(unused_variables, reason = "some shapes have no use for all of them")]
            fn lift_at(
                cx: &mut ::wattest::component::LiftCx<'_>,
                ty: ::wattest::component::Ty,
                address: u64,
            ) -> ::wattest::Result<Self> {
                #at
            }
        }
    }
}

/// The impl of `Lower`.
pub(crate) fn lower(input: &DeriveInput, shape: &Shape<'_>) -> TokenStream {
    let [flat, at] = match shape {
        Shape::Record(members) => lower_record(members),
        Shape::Variant(cases) => lower_variant(cases),
        Shape::Enum(cases) => labels::lower_enum(cases),
        Shape::Flags(members) => labels::lower_flags(members),
    };
    let header = header(input, "Lower");
    quote! {
        #header {
            #[inline]
            #[allow(unused_variables, reason = "some shapes have no use for all of them")]
            fn lower_flat(
                &self,
                cx: &mut ::wattest::component::LowerCx<'_>,
                ty: ::wattest::component::Ty,
                slots: &mut [u64],
            ) -> ::wattest::Result<()> {
                #flat
            }
            #[inline]
            #[allow(unused_variables, reason = "some shapes have no use for all of them")]
            fn lower_at(
                &self,
                cx: &mut ::wattest::component::LowerCx<'_>,
                ty: ::wattest::component::Ty,
                address: u64,
            ) -> ::wattest::Result<()> {
                #at
            }
        }
    }
}

/// The layout of a type for one width.
fn abi(ty: &Type, wide: usize) -> TokenStream {
    let wide = Literal::usize_unsuffixed(wide);
    quote!(<#ty as ::wattest::component::ComponentType>::ABI[#wide])
}

fn check_of(ty: &Type) -> TokenStream {
    quote!(<#ty as ::wattest::component::ComponentType>::check as ::wattest::component::CheckFn)
}

fn typed<'a>(types: impl Iterator<Item = &'a Type>) -> TokenStream {
    quote!(false #(|| <#types as ::wattest::component::ComponentType>::TYPED)*)
}

/// The cases of a match on a discriminant that was checked: the last one is the rest.
pub(crate) fn discriminants(count: usize) -> impl Iterator<Item = TokenStream> {
    (0..count).map(move |at| {
        let number = Literal::usize_unsuffixed(at);
        if at + 1 == count { quote!(_) } else { quote!(#number) }
    })
}

/// The layouts of the members of a record for one width.
fn member_abis(members: &[Member<'_>], wide: usize) -> TokenStream {
    let abis = members.iter().map(|member| abi(member.ty, wide));
    quote!(&[#(#abis),*])
}

/// The layouts of the payloads of a variant for one width.
fn payload_abis(cases: &[Case<'_>], wide: usize) -> TokenStream {
    let abis =
        cases.iter().map(|case| case.payload.map_or(quote!(::wattest::component::Abi::EMPTY), |ty| abi(ty, wide)));
    quote!(&[#(#abis),*])
}

fn record_type(members: &[Member<'_>]) -> Body {
    let [narrow, wide] = [0, 1].map(|wide| member_abis(members, wide));
    let labels = members.iter().map(|member| &member.label);
    let checks = members.iter().map(|member| check_of(member.ty));
    Body {
        abi: quote!([::wattest::component::Abi::fields(#narrow), ::wattest::component::Abi::fields(#wide)]),
        typed: typed(members.iter().map(|member| member.ty)),
        check: quote!(types.record(ty, &[#((#labels, #checks)),*])),
    }
}

fn variant_type(cases: &[Case<'_>]) -> Body {
    let [narrow, wide] = [0, 1].map(|wide| payload_abis(cases, wide));
    let labels = cases.iter().map(|case| &case.label);
    let checks = cases.iter().map(|case| match case.payload.map(check_of) {
        Some(check) => quote!(::core::option::Option::Some(#check)),
        None => quote!(::core::option::Option::None),
    });
    Body {
        abi: quote!([::wattest::component::Abi::cases(#narrow), ::wattest::component::Abi::cases(#wide)]),
        typed: typed(cases.iter().filter_map(|case| case.payload)),
        check: quote!(types.variant(ty, &[#((#labels, #checks)),*])),
    }
}

/// `offsets`: where each member of a record begins.
fn offsets(members: &[Member<'_>]) -> TokenStream {
    let [narrow, wide] = [0, 1].map(|wide| member_abis(members, wide));
    quote! {
        let offsets = match cx.wide() {
            0 => const { ::wattest::component::Abi::offsets(#narrow) },
            _ => const { ::wattest::component::Abi::offsets(#wide) },
        };
    }
}

/// `address`: where the payload of a variant begins.
fn payload_address(cases: &[Case<'_>]) -> TokenStream {
    let [narrow, wide] = [0, 1].map(|wide| payload_abis(cases, wide));
    quote! {
        let offset: u32 = match cx.wide() {
            0 => const { ::wattest::component::Abi::payload_offset(#narrow) },
            _ => const { ::wattest::component::Abi::payload_offset(#wide) },
        };
        let address = address + <u64 as ::core::convert::From<u32>>::from(offset);
    }
}

fn lift_record(members: &[Member<'_>]) -> [TokenStream; 2] {
    let types = members.iter().map(|member| member.ty).collect::<Vec<_>>();
    let fields = members.iter().map(|member| member.ident).collect::<Vec<_>>();
    let values = (0..members.len()).map(|at| format_ident!("value_{at}")).collect::<Vec<_>>();
    let places = (0..members.len()).collect::<Vec<_>>();
    let offsets = offsets(members);
    let flat = quote! {
        let wide = cx.wide();
        #(
            let (here, slots) = slots.split_at(<#types as ::wattest::component::ComponentType>::ABI[wide].flat);
            let member = cx.member::<#types>(ty, #places);
            let #values = <#types as ::wattest::component::Lift>::lift_flat(cx, member, here)?;
        )*
        ::core::result::Result::Ok(Self { #(#fields: #values),* })
    };
    let at = quote! {
        #offsets
        #(
            let member = cx.member::<#types>(ty, #places);
            let place = address + <u64 as ::core::convert::From<u32>>::from(offsets[#places]);
            let #values = <#types as ::wattest::component::Lift>::lift_at(cx, member, place)?;
        )*
        ::core::result::Result::Ok(Self { #(#fields: #values),* })
    };
    [flat, at]
}

fn lower_record(members: &[Member<'_>]) -> [TokenStream; 2] {
    let types = members.iter().map(|member| member.ty).collect::<Vec<_>>();
    let fields = members.iter().map(|member| member.ident).collect::<Vec<_>>();
    let places = (0..members.len()).collect::<Vec<_>>();
    let offsets = offsets(members);
    let flat = quote! {
        let wide = cx.wide();
        #(
            let (here, slots) = slots.split_at_mut(<#types as ::wattest::component::ComponentType>::ABI[wide].flat);
            let member = cx.member::<#types>(ty, #places);
            ::wattest::component::Lower::lower_flat(&self.#fields, cx, member, here)?;
        )*
        ::core::result::Result::Ok(())
    };
    let at = quote! {
        #offsets
        #(
            let member = cx.member::<#types>(ty, #places);
            let place = address + <u64 as ::core::convert::From<u32>>::from(offsets[#places]);
            ::wattest::component::Lower::lower_at(&self.#fields, cx, member, place)?;
        )*
        ::core::result::Result::Ok(())
    };
    [flat, at]
}

/// The match that reads a payload with the function `read`, which gets `from`.
fn lift_cases(cases: &[Case<'_>], read: impl Fn(&Type) -> TokenStream) -> TokenStream {
    let arms = cases.iter().zip(discriminants(cases.len())).enumerate().map(|(at, (case, number))| {
        let ident = case.ident;
        let Some(ty) = case.payload else { return quote!(#number => ::core::result::Result::Ok(Self::#ident)) };
        let read = read(ty);
        quote! {
            #number => {
                let member = cx.member::<#ty>(ty, #at);
                ::core::result::Result::Ok(Self::#ident(#read?))
            }
        }
    });
    quote!(match found { #(#arms,)* })
}

fn lift_variant(cases: &[Case<'_>]) -> [TokenStream; 2] {
    let count = cases.len();
    let payload = payload_address(cases);
    let flat = lift_cases(cases, |ty| {
        let abi = quote!(<#ty as ::wattest::component::ComponentType>::ABI[cx.wide()]);
        quote!({
            let flat = #abi.flat;
            <#ty as ::wattest::component::Lift>::lift_flat(cx, member, &slots[1..=flat])
        })
    });
    let at = lift_cases(cases, |ty| quote!(<#ty as ::wattest::component::Lift>::lift_at(cx, member, address)));
    [
        quote!(let found = ::wattest::component::LiftCx::discriminant(slots[0], #count)?; #flat),
        quote!(let found = cx.read_discriminant(address, #count)?; #payload #at),
    ]
}

fn lower_variant(cases: &[Case<'_>]) -> [TokenStream; 2] {
    let count = cases.len();
    let payload = payload_address(cases);
    let arms = |with: &dyn Fn(usize, Option<&Type>) -> TokenStream| {
        let arms = cases.iter().enumerate().map(|(at, case)| {
            let (ident, body) = (case.ident, with(at, case.payload));
            let pattern = case.payload.map(|_| quote!((payload)));
            quote!(Self::#ident #pattern => { #body })
        });
        quote!(match self { #(#arms)* })
    };
    let flat = arms(&|at, ty| {
        let number = Literal::usize_unsuffixed(at);
        let payload = ty.map(|ty| {
            quote! {
                let member = cx.member::<#ty>(ty, #at);
                let flat = <#ty as ::wattest::component::ComponentType>::ABI[cx.wide()].flat;
                ::wattest::component::Lower::lower_flat(payload, cx, member, &mut slots[1..=flat])?;
            }
        });
        quote!(slots[0] = #number; #payload)
    });
    let at = arms(&|at, ty| {
        let number = Literal::usize_unsuffixed(at);
        let write = ty.map(|ty| {
            quote! {
                #payload
                let member = cx.member::<#ty>(ty, #at);
                ::wattest::component::Lower::lower_at(payload, cx, member, address)?;
            }
        });
        quote!(cx.write_discriminant(address, #number, #count)?; #write)
    });
    [quote!(slots.fill(0); #flat ::core::result::Result::Ok(())), quote!(#at ::core::result::Result::Ok(()))]
}
