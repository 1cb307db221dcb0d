//! Fuzz bodies: plain functions of bytes that panic when a promise is broken.
//!
//! | target | what the bytes are | what is promised |
//! |---|---|---|
//! | [`open_segment`] | a segment's file, or damages to a good one | no panic, no hang, no access outside the mapping, typed errors |
//! | [`inspect`] | the same | the same, nothing is written, and the description agrees with what attaches and opens |
//! | [`ticket`] | the text of a ticket | parsed as printed; leads to the object it names or is a typed error |
//! | [`directory`] | a list of creates and opens in one segment | the same outcome as a map from names to objects |
//!
//! Each body has three users: a program of its own name (a replayer of files and folders, or a real fuzzer with the feature
//! `libfuzzer`), a property test, and the replay of `corpus/`. README.md has a command for each.

mod damage;
mod directory;
mod input;
mod inspect;
mod open_segment;
pub mod replay;
mod ticket;
pub mod watchdog;

pub use directory::directory;
pub use inspect::inspect;
pub use open_segment::open_segment;
pub use ticket::ticket;

/// A body: panics when the bytes break a promise.
pub type Body = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Body); 4] =
    [("open_segment", open_segment), ("inspect", inspect), ("ticket", ticket), ("directory", directory)];

#[doc(hidden)]
#[cfg(feature = "libfuzzer")]
pub use libfuzzer_sys;

/// The program of one target: a fuzzer with the feature `libfuzzer`, a replayer without.
#[cfg(feature = "libfuzzer")]
#[macro_export]
macro_rules! program {
    ($body:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::$body(bytes));
    };
}

/// The program of one target: a fuzzer with the feature `libfuzzer`, a replayer without.
#[cfg(not(feature = "libfuzzer"))]
#[macro_export]
macro_rules! program {
    ($body:ident) => {
        fn main() -> std::process::ExitCode {
            $crate::replay::main(stringify!($body), $crate::$body)
        }
    };
}
