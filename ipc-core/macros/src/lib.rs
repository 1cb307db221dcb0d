//! The attribute macros of ipc-core. Depend on ipc-core, ipc-sync, ipc-queue or ipc-process instead: each re-exports them,
//! and what they write names the crate they were taken from.
//!
//! `#[plain]` and `#[shared]` are documented at their re-exports in ipc-core.

mod plain;
mod shared;

use proc_macro::TokenStream;

/// Makes a struct plain; see `ipc_core::plain`.
#[proc_macro_attribute]
pub fn plain(arguments: TokenStream, item: TokenStream) -> TokenStream {
    plain::attribute("ipc_core", arguments.into(), item.into()).into()
}

/// The form of `#[plain]` that ipc-sync re-exports: what it writes names `::ipc_sync`; see `ipc_core::plain`.
#[proc_macro_attribute]
pub fn plain_via_sync(arguments: TokenStream, item: TokenStream) -> TokenStream {
    plain::attribute("ipc_sync", arguments.into(), item.into()).into()
}

/// The form of `#[plain]` that ipc-queue re-exports: what it writes names `::ipc_queue`; see `ipc_core::plain`.
#[proc_macro_attribute]
pub fn plain_via_queue(arguments: TokenStream, item: TokenStream) -> TokenStream {
    plain::attribute("ipc_queue", arguments.into(), item.into()).into()
}

/// The form of `#[plain]` that ipc-process re-exports: what it writes names `::ipc_process`; see `ipc_core::plain`.
#[proc_macro_attribute]
pub fn plain_via_process(arguments: TokenStream, item: TokenStream) -> TokenStream {
    plain::attribute("ipc_process", arguments.into(), item.into()).into()
}

/// Makes a struct of primitives; see `ipc_core::shared`.
#[proc_macro_attribute]
pub fn shared(arguments: TokenStream, item: TokenStream) -> TokenStream {
    shared::attribute("ipc_core", arguments.into(), item.into()).into()
}

/// The form of `#[shared]` that ipc-sync re-exports: what it writes names `::ipc_sync`; see `ipc_core::shared`.
#[proc_macro_attribute]
pub fn shared_via_sync(arguments: TokenStream, item: TokenStream) -> TokenStream {
    shared::attribute("ipc_sync", arguments.into(), item.into()).into()
}

/// The form of `#[shared]` that ipc-process re-exports: what it writes names `::ipc_process`; see `ipc_core::shared`.
#[proc_macro_attribute]
pub fn shared_via_process(arguments: TokenStream, item: TokenStream) -> TokenStream {
    shared::attribute("ipc_process", arguments.into(), item.into()).into()
}
