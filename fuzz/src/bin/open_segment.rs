//! Segments of arbitrary bytes, see [`fuzz::open_segment`].
#![cfg_attr(feature = "libfuzzer", no_main)]

fuzz::program!(open_segment);
