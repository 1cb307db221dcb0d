//! The examples of ipc-core's README, compiled and run as by a user who depends on ipc-core alone.
#![doc = include_str!("../../../../ipc-core/README.md")]
