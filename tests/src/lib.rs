//! Tests across processes, and what they are made of.
//!
//! | module       | what                                                                                     |
//! |--------------|------------------------------------------------------------------------------------------|
//! | [`step`]     | kill a child after every instruction of an operation, let a survivor judge               |
//! | [`registry`] | the registered operations, and their combinations                                        |
//! | [`operations`] | the registrations, one file per object                                                 |
//! | [`alone`]    | a `main` for tests that need a process of one thread                                     |
//! | [`faults`]   | fail every system call of an operation, one at a time, and look at what is left          |
//! | [`private`]  | a mount namespace with a shared memory of its own                                        |
//! | [`child`]    | forked children that are reaped whatever happens; steps over pipes                       |
//! | [`page`], [`view`] | shared memory for tests; a look at a segment's bytes                               |
//! | [`unique`], [`leaks`], [`watchdog`] | names that go away, a guard against leaks, a bound on hangs       |
//! | [`golden`]   | texts compared with committed files, which `BLESS=1` rewrites                            |
//! | [`workers`]  | pieces of work on all processors, in forked children                                     |
//!
//! The program `crashpoints` kills every registered operation everywhere and prints the table.

pub mod alone;
pub mod child;
pub mod faults;
pub mod golden;
pub mod leaks;
pub mod operations;
pub mod page;
pub mod pair;
pub mod passing;
pub mod placement;
pub mod private;
pub mod refuse;
pub mod registry;
pub mod step;
pub mod suites;
pub mod unique;
pub mod view;
pub mod watchdog;
pub mod workers;

/// What README shows compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
