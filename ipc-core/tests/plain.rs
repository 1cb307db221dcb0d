//! `#[plain]` as a user writes it.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

use ipc_core::{Plain, plain};

/// Of every field type.
#[plain]
#[derive(Debug, PartialEq, Default)]
pub struct Everything {
    /// Unsigned.
    pub unsigned: (),
    a: u8,
    b: u16,
    c: u32,
    d: u64,
    e: u128,
    f: i8,
    g: i16,
    h: i32,
    i: i64,
    j: i128,
    k: f32,
    l: f64,
    m: [[u8; 3]; 2],
    n: Nested,
}

/// With a derive that the attribute must not repeat.
#[plain]
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[repr(C)]
pub struct Nested(u8, u32);

#[plain]
struct Nothing;

#[plain(name = "named")]
struct Empty {}

#[test]
fn smoke() {
    fn takes<T: Plain + Send + Sync>(value: T) -> T {
        value
    }
    let everything = Everything { a: 1, n: Nested(2, 3), ..Default::default() };
    assert_eq!(takes(everything), everything);
    takes(Nothing);
    takes(Empty {});
}

#[test]
fn schemas_name_every_field_with_its_offset() {
    assert_eq!(
        Everything::SCHEMA.text(),
        "Everything{size 96 align 16; unsigned@0: (), a@0: u8, b@2: u16, c@4: u32, d@8: u64, e@16: u128, f@32: i8, \
         g@34: i16, h@36: i32, i@40: i64, j@48: i128, k@64: f32, l@72: f64, m@80: [[u8; 3]; 2], \
         n@88: Nested{size 8 align 4; 0@0: u8, 1@4: u32}}"
    );
    assert_eq!(Nothing::SCHEMA.text(), "Nothing{size 0 align 1}");
    assert_eq!(Empty::SCHEMA.text(), "named{size 0 align 1}");
}

#[test]
fn a_fingerprint_is_a_constant() {
    const FINGERPRINT: u64 = Everything::SCHEMA.fingerprint();
    assert_eq!(FINGERPRINT, Everything::SCHEMA.fingerprint());
}

/// Names that the written code brings in do not meet those of the user.
#[test]
fn names_around_it_do_not_matter() {
    #[plain]
    struct Range(u8);
    #[plain]
    struct Schema {
        base: Range,
        visit: u64,
    }
    #[allow(non_upper_case_globals)]
    const base: usize = 2;
    #[plain]
    struct Plain([Schema; base], F);
    #[plain]
    struct F(u8);

    let mut gaps = Vec::new();
    <Plain as ipc_core::Plain>::padding(0, &mut |gap| gaps.push(gap));
    assert_eq!(gaps, [1..8, 17..24, 33..40]);
}

mod elsewhere {
    /// What a crate that passes the attribute on has at its root.
    pub mod reexport {
        pub use ipc_core::__private;
    }

    #[ipc_core::plain(crate = "crate::elsewhere::reexport", name = "point")]
    pub struct Point {
        pub x: i32,
    }
}

#[test]
fn the_crate_can_be_named() {
    assert_eq!(elsewhere::Point::SCHEMA.text(), "point{size 4 align 4; x@0: i32}");
    assert_eq!(elsewhere::Point { x: 1 }.x, 1);
}
