//! Descriptions of arbitrary segments, see [`fuzz::inspect`].
#![cfg_attr(feature = "libfuzzer", no_main)]

fuzz::program!(inspect);
