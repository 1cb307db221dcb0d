//! Tickets of arbitrary text, see [`fuzz::ticket`].
#![cfg_attr(feature = "libfuzzer", no_main)]

fuzz::program!(ticket);
