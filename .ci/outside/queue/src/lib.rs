//! The examples of ipc-queue's README, compiled and run as by a user who depends on ipc-queue alone.
#![doc = include_str!("../../../../ipc-queue/README.md")]
