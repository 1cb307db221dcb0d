//! The system calls, one family per file. Nothing outside this folder names libc, nix, rustix or memmap2.

pub(crate) mod fds;
pub(crate) mod folder;
pub(crate) mod futex;
pub(crate) mod mapping;
pub(crate) mod membarrier;
pub(crate) mod process;
#[cfg(feature = "shared_memory")]
pub(crate) mod shm;
