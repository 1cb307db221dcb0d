//! The code that `#[plain]` writes: the struct with its representation and derives, and the implementation of `Plain`.
//!
//! Everything is named from the root of the crate that the attribute was taken from, so that its user depends on nothing
//! else. Names that the code brings in begin with two underscores, to stay clear of the user's constants and types.

use super::parse::{Plain, PlainField};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

/// The struct and all that makes it plain.
pub fn plain(plain: &Plain) -> TokenStream {
    let Plain { item, krate, needs_derive, .. } = plain;
    let private = quote!(#krate::__private);
    let zerocopy = quote!(#private::zerocopy);
    let zerocopy_path = zerocopy.to_string();
    let repr = plain.needs_repr.then(|| quote!(#[repr(C)]));
    let witness = witness(plain, &private);
    let implementation = implementation(plain, &private);
    let ident = &item.ident;
    quote! {
        #witness
        #[derive(#(::core::prelude::v1::#needs_derive,)* #zerocopy::FromBytes, #zerocopy::Immutable, #zerocopy::KnownLayout)]
        #[zerocopy(crate = #zerocopy_path)]
        #repr
        #item
        #implementation
        #private::plain_is_shareable!(#ident);
    }
}

/// An item that asks nothing but that the fields are plain. It comes first, so that its error does: those of the derives
/// say the same in words that do not help.
fn witness(plain: &Plain, private: &TokenStream) -> TokenStream {
    let bounds = plain.fields.iter().map(|PlainField { ty, .. }| {
        let trait_path = at(ty.span(), quote!(#private::Plain));
        quote_spanned!(ty.span()=> #ty: #trait_path)
    });
    quote! {
        const _: () = {
            #[allow(dead_code, trivial_bounds)]
            struct __FieldsArePlain where #(#bounds,)*;
        };
    }
}

fn implementation(plain: &Plain, private: &TokenStream) -> TokenStream {
    let (name, ident) = (&plain.name, &plain.item.ident);
    let fields = plain.fields.iter().map(|field| schema_field(field, private));
    let gaps = plain.fields.iter().map(|field| gap_before(field, private));
    quote! {
        #[automatically_derived]
        unsafe impl #private::Plain for #ident {
            const SCHEMA: #private::Schema = #private::Schema::structure(
                #name,
                ::core::mem::size_of::<Self>(),
                ::core::mem::align_of::<Self>(),
                &[#(#fields),*],
            );

            #[inline]
            fn padding(__base: usize, __visit: &mut impl ::core::ops::FnMut(::core::ops::Range<usize>)) {
                let __end = 0usize;
                #(#gaps)*
                #private::gap(__base, __end, ::core::mem::size_of::<Self>(), __visit);
            }
        }
    }
}

fn schema_field(field: &PlainField, private: &TokenStream) -> TokenStream {
    let PlainField { member, name, .. } = field;
    let ty = as_plain(field, private);
    quote! {
        #private::Field::new(#name, ::core::mem::offset_of!(Self, #member) as u64, #ty::SCHEMA)
    }
}

/// Visits the gap in front of the field, then those inside; the next gap begins at its end.
fn gap_before(field: &PlainField, private: &TokenStream) -> TokenStream {
    let PlainField { member, ty: bare, .. } = field;
    let ty = as_plain(field, private);
    quote! {
        let __at = ::core::mem::offset_of!(Self, #member);
        #private::gap(__base, __end, __at, __visit);
        #ty::padding(__base + __at, __visit);
        let __end = __at + ::core::mem::size_of::<#bare>();
    }
}

/// The field's type as a plain one.
fn as_plain(PlainField { ty, .. }: &PlainField, private: &TokenStream) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as #private::Plain>)
}

/// The tokens as if written at `span`, for the compiler to point there.
pub fn at(span: Span, tokens: TokenStream) -> TokenStream {
    let respanned = tokens.into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    respanned.collect()
}
