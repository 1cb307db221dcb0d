//! Crash-safe queues between processes.

#[cfg(ipc_loom)]
pub mod ring;
#[allow(dead_code, unused_imports)]
#[cfg(not(ipc_loom))]
mod ring;
#[cfg_attr(not(any(test, ipc_loom, feature = "sabotage")), allow(dead_code))]
#[doc(hidden)]
pub mod sabotage;
