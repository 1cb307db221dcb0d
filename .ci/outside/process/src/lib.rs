//! The examples of ipc-process's README, compiled and run as by a user who depends on ipc-process alone.
#![doc = include_str!("../../../../ipc-process/README.md")]
