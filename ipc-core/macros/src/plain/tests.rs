use super::parse::plain;
use quote::{ToTokens, quote};

/// The words of the first error.
macro_rules! refusal {
    ([$($arguments:tt)*] $($item:tt)*) => {
        plain("ipc_core", quote!($($arguments)*), quote!($($item)*)).err().expect("refused").to_string()
    };
}

/// What was read.
macro_rules! accepted {
    ([$($arguments:tt)*] $($item:tt)*) => {
        plain("ipc_core", quote!($($arguments)*), quote!($($item)*)).unwrap_or_else(|error| panic!("{error}"))
    };
}

#[test]
fn names_are_bare_or_given() {
    assert_eq!(accepted!([] struct Job { id: u64 }).name, "Job");
    assert_eq!(accepted!([] struct r#type(u64);).name, "type");
    assert_eq!(accepted!([name = "job/1"] struct Job;).name, "job/1");
    for name in ["", "1job", "a b", "a{", "a,", "ü", &"x".repeat(101)] {
        assert!(refusal!([name = #name] struct Job;).contains("[A-Za-z0-9._/-]"), "{name}");
    }
}

#[test]
fn fields_are_named_without_raw_marks() {
    let named: Vec<_> = accepted!([] struct A { r#type: u8, b: u8 }).fields.into_iter().map(|f| f.name).collect();
    assert_eq!(named, ["type", "b"]);
    let counted: Vec<_> = accepted!([] struct A(u8, u16);).fields.into_iter().map(|f| f.name).collect();
    assert_eq!(counted, ["0", "1"]);
}

#[test]
fn the_crate_is_found_from_the_root() {
    let path = |plain: super::parse::Plain| plain.krate.to_token_stream().to_string().replace(' ', "");
    assert_eq!(path(accepted!([] struct A;)), "::ipc_core");
    assert_eq!(path(accepted!([crate = "ipc_queue"] struct A;)), "::ipc_queue");
    assert_eq!(path(accepted!([crate = "::mine::ipc", name = "a"] struct A;)), "::mine::ipc");
    assert_eq!(path(accepted!([crate = "crate::ipc",] struct A;)), "crate::ipc");
}

#[test]
fn arguments_that_do_not_exist_are_refused() {
    for words in [refusal!([nam = "a"] struct A;), refusal!([name = "a", name = "b"] struct A;)] {
        assert!(words.contains("at most once"), "{words}");
    }
}

#[test]
fn only_structs_of_one_layout_are_taken() {
    assert!(refusal!([] enum Color { Red }).contains("TryFrom"));
    assert!(refusal!([] union Both { a: u8, b: i8 }).contains("use a struct"));
    assert!(refusal!([] fn f() {}).contains("on a struct"));
    assert!(refusal!([] struct Wrapper<T> { value: T }).contains("no generic parameters"));
    assert!(refusal!([] struct Borrow<'a> { value: &'a u8 }).contains("no generic parameters"));
    assert!(refusal!([] struct A { #[cfg(unix)] a: u8 }).contains("put the cfg on the whole struct"));
}

#[test]
fn repr_is_added_once() {
    assert!(accepted!([] struct A;).needs_repr);
    assert!(accepted!([] #[repr(align(64))] struct A;).needs_repr);
    assert!(!accepted!([] #[repr(C)] struct A;).needs_repr);
    assert!(!accepted!([] #[repr(align(64), C)] struct A;).needs_repr);
    for words in [
        refusal!([] #[repr(packed)] struct A;),
        refusal!([] #[repr(C, packed(2))] struct A;),
        refusal!([] #[repr(transparent)] struct A;),
        refusal!([] #[repr(Rust)] struct A;),
    ] {
        assert!(words.contains("no other repr"), "{words}");
    }
}

#[test]
fn clone_and_copy_are_derived_once() {
    let derives = |plain: super::parse::Plain| plain.needs_derive.iter().map(|i| i.to_string()).collect::<Vec<_>>();
    assert_eq!(derives(accepted!([] #[derive(Debug)] struct A;)), ["Clone", "Copy"]);
    assert_eq!(derives(accepted!([] #[derive(Debug, Clone)] struct A;)), ["Copy"]);
    assert_eq!(derives(accepted!([] #[derive(Clone)] #[derive(std::marker::Copy)] struct A;)), [""; 0]);
}

#[test]
fn a_field_that_is_not_plain_is_told_what_to_store() {
    for (words, advice) in [
        (refusal!([] struct A { a: bool }), "store a u8"),
        (refusal!([] struct A([[bool; 2]; 2]);), "store a u8"),
        (refusal!([] struct A { a: char }), "char::from_u32"),
        (refusal!([] struct A { a: usize }), "store a u64"),
        (refusal!([] struct A { a: isize }), "store an i64"),
        (refusal!([] struct A { a: &'static str }), "an index or an offset"),
        (refusal!([] struct A { a: *const u8 }), "an index or an offset"),
        (refusal!([] struct A { a: fn() }), "an index or an offset"),
        (refusal!([] struct A { a: (u8, u16) }), "write a #[plain] struct"),
        (refusal!([] struct A { a: Option<u8> }), "a u8 beside it"),
        (refusal!([] struct A { a: std::string::String }), "MessageQueue"),
        (refusal!([] struct A { a: Vec<u8> }), "MessageQueue"),
    ] {
        assert!(words.contains(advice), "{words}");
    }
}

#[test]
fn each_such_field_has_an_error_of_its_own() {
    let error = plain(
        "ipc_core",
        quote!(),
        quote!(
            struct A {
                a: bool,
                b: u8,
                c: char,
            }
        ),
    )
    .err()
    .expect("refused");
    assert_eq!(error.into_iter().count(), 2);
}
