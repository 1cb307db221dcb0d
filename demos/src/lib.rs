//! The parts of the three demo programs, as a library so that they can be tested.
//!
//! `counter` and `producer_consumer` need none of it. `mapreduce` counts words across processes, in this order:
//!
//! | module | what it does |
//! |---|---|
//! | [`walk`] | which files there are |
//! | [`catalogue`] | lays them end to end on one line of bytes, so that a range is two numbers |
//! | [`ledger`] | which part of that line who holds, and what is done |
//! | [`ranges`] | reads the words whose first byte lies in a range, in bounded memory |
//! | [`words`] | white space, lower case, invalid bytes |
//! | [`long`] | the words too long for any table: read again from their file, piece by piece |
//! | [`counts`] | the counting table, and its order |
//! | [`totals`] | the sum of all tables |
//! | [`block`] | a table as bytes: what a worker publishes |
//! | [`mapreduce`] | the two sides: the parent that gives out ranges, the worker that counts them |
//!
//! [`zipf`] makes text for tests and measurements.

pub mod block;
pub mod catalogue;
pub mod counts;
pub mod ledger;
pub mod long;
pub mod mapreduce;
pub mod ranges;
pub mod totals;
pub mod walk;
pub mod words;
pub mod zipf;
