//! System calls, one family per file. Nothing above this folder names libc, nix or rustix.

pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod image;
pub(crate) mod sealed;
pub(crate) mod socket;
pub(crate) mod stdio;
pub(crate) mod wait;
