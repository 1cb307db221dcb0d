//! `#[plain]`: `parse` says what was written and refuses what cannot be, `expand` writes the code.

pub mod expand;
pub mod parse;

use proc_macro2::TokenStream;
use quote::quote;

/// The struct with its implementations, or the item as it was and an error that says what to change.
///
/// `krate` is the crate that the written code names unless the arguments say otherwise.
pub fn attribute(krate: &str, arguments: TokenStream, item: TokenStream) -> TokenStream {
    match parse::plain(krate, arguments, item.clone()) {
        Ok(plain) => expand::plain(&plain),
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#error #item)
        }
    }
}

#[cfg(test)]
mod tests;
