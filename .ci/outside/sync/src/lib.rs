//! The examples of ipc-sync's README, compiled and run as by a user who depends on ipc-sync alone.
#![doc = include_str!("../../../../ipc-sync/README.md")]
