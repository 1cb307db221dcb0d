//! Arbitrary lists of directory operations, see [`fuzz::directory`].
#![cfg_attr(feature = "libfuzzer", no_main)]

fuzz::program!(directory);
