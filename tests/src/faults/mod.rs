//! Fail every single system call of an operation, one at a time, and look at what is left.
//!
//! An operation that makes n system calls can be refused in n places, by each error that fits the call. All of them are
//! tried: for k = 1, 2, 3, … until the operation comes to its end without a k-th call,
//!
//! 1. a child is forked, which notes its descriptors and mappings and then makes the operation;
//! 2. its k-th system call is not made, but comes back with the error (closing and unmapping are made, and come back so all
//!    the same: Linux does that, and a descriptor or a mapping that the kernel will not give up is nobody's fault);
//! 3. the child says what came of it, uses and drops what it got, and makes the operation once more, undisturbed;
//! 4. descriptors, mappings, children and names must be those of the beginning.
//!
//! A run is *bad* if it ended by a panic or a signal, did not end, left something, or if the operation that was made once
//! more failed. Whether the operation succeeded or which error it had is counted in the table and not judged.
//!
//! | file       | what                                                              |
//! |------------|-------------------------------------------------------------------|
//! | operations | the operations, each with a scene                                 |
//! | sweep      | the loop over calls and errors, and its report                    |
//! | interpose  | a process between itself and the system, which fails one call     |
//! | call       | names of system calls, and the errors that fit                    |
//! | footprint  | what a process has: descriptors, mappings, children               |
//!
//! The idea is that of `strace --inject=error`.

mod call;
mod footprint;
mod interpose;
mod operations;
mod sweep;

pub use operations::all;
pub use sweep::{Operation, Report, sweep};
