//! `#[shared]`: the struct with its fields as they lie in memory, and the implementation of `State`.
//!
//! What is written is read as for `#[plain]`, whose refusals hold here too: a reference, a `bool` or a `usize` is no more
//! welcome beside a state than in a plain struct.

use crate::plain::expand::at;
use crate::plain::parse::{self, Plain, PlainField};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

/// The struct with its implementations, or the item as it was and an error that says what to change.
///
/// `krate` is the crate that the written code names unless the arguments say otherwise.
pub fn attribute(krate: &str, arguments: TokenStream, item: TokenStream) -> TokenStream {
    match parse::plain(krate, arguments, item.clone()) {
        Ok(shared) => expand(shared),
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#error #item)
        }
    }
}

fn expand(shared: Plain) -> TokenStream {
    let Plain { mut item, krate, name, fields, needs_repr, .. } = shared;
    let private = quote!(#krate::__private);
    let repr = needs_repr.then(|| quote!(#[repr(C)]));
    for field in &mut item.fields {
        let (ty, span) = (&field.ty, field.ty.span());
        let shareable = at(span, quote!(#private::Shareable));
        field.ty = Type::Verbatim(quote_spanned!(span=> <#ty as #shareable>::State));
    }
    let ident = &item.ident;
    let name = format!("shared {name}");
    let states: Vec<_> = fields.iter().map(|PlainField { ty, .. }| state(ty, &private)).collect();
    let members: Vec<_> = fields.iter().map(|field| &field.member).collect();
    let names: Vec<_> = fields.iter().map(|field| &field.name).collect();
    quote! {
        #[allow(dead_code)]
        #repr
        #item

        #[automatically_derived]
        unsafe impl #private::State for #ident {
            const KIND: #private::Kind = #private::Kind::SHARED;
            const ELEMENT: #private::Schema = #private::Schema::structure(
                #name,
                ::core::mem::size_of::<Self>(),
                ::core::mem::align_of::<Self>(),
                &[#(#private::Field::new(#names, ::core::mem::offset_of!(Self, #members) as u64, #states::SCHEMA)),*],
            );
            const SCHEMA: #private::Schema = Self::ELEMENT;
            type Init = ();
            type Tail = ();
            type Handle = #private::Shared<Self>;

            fn init(__new: #private::View<'_, Self>, _: ::core::option::Option<&()>) {
                let __new = __new.state();
                #(#states::init(#private::View::of(&__new.#members), ::core::option::Option::None);)*
            }

            fn check(__at: #private::View<'_, Self>) -> ::core::result::Result<(), #private::Corrupt> {
                let __at = __at.state();
                #(#states::check(#private::View::of(&__at.#members))?;)*
                ::core::result::Result::Ok(())
            }

            fn handle(__placed: #private::Placed<Self>) -> #private::Shared<Self> {
                ::core::convert::From::from(__placed)
            }
        }

        #[automatically_derived]
        impl #private::Composite for #ident {}

        #[automatically_derived]
        impl #private::Shareable for #ident {
            type State = Self;
        }
    }
}

/// What a field of this type is in memory, as a state.
fn state(ty: &Type, private: &TokenStream) -> TokenStream {
    quote_spanned!(ty.span()=> <<#ty as #private::Shareable>::State as #private::State>)
}
