//! Crash-safe queues between processes.

#[cfg(ipc_loom)]
pub mod ring;
#[cfg(not(ipc_loom))]
#[allow(dead_code, unused_imports)]
mod ring;
