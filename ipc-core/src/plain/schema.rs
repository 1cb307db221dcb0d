//! The layout of a plain type as one line of text, and the fingerprint of that line.
//!
//! Two programs may share an object if the texts of its element type are equal in both. The text can be read back:
//!
//! ```text
//! type    = scalar | array | struct | state
//! scalar  = "u8" | … | "u128" | "i8" | … | "i128" | "f32" | "f64" | "()"
//! array   = "[" type "; " count "]"
//! struct  = [ "shared " ] name "{size " bytes " align " bytes [ "; " field { ", " field } ] "}"
//! field   = name "@" offset ": " type
//! state   = name "<" type [ "; " count ] ">{size " bytes " align " bytes "}"
//! ```
//!
//! A struct's name is the bare identifier, or what `#[plain(name = "…")]` gives; it has no blank and none of `{}[];,@:`. A
//! tuple struct's fields are named `0`, `1` and so on. A state is a primitive that lies in a shared struct: what it holds, and
//! how many of it where that is a number of its own. A nested struct is written out at each place where it occurs.
//! Numbers are decimal. So renaming, reordering, resizing or retyping a field changes the text, and moving the struct to
//! another module or crate does not: two structs of the same bare name and fields in two crates are the same by design.
//!
//! The fingerprint is FNV-1a with 64 bits over the bytes of the text. It must not change with a compiler or a library,
//! which rules out `Hash`; it must run in constant evaluation, so that a type's fingerprint costs nothing at run time; and
//! it defends against mistakes, not against forgers, who could copy the right value anyway. FNV-1a is two lines, needs no
//! key, and has published test vectors. Whoever needs certainty compares the texts.
//!
//! One function, `Schema::walk`, writes the text for all uses. It is `const`, hence without iterators and traits.
//!
//! Sources: Landon Curt Noll, "FNV Hash", and its test vectors.

pub(crate) mod differ;
#[cfg(not(ipc_loom))]
mod read;
pub(crate) mod tree;

#[cfg(not(ipc_loom))]
pub(crate) use read::size_and_align;
use std::borrow::Cow;
use std::fmt;

/// The layout of a plain type; [`text`](Self::text) writes it, [`fingerprint`](Self::fingerprint) is a hash of the text.
///
/// # Examples
///
/// ```
/// use ipc_core::{Plain, plain};
///
/// #[plain(name = "job/1")]
/// struct Job {
///     id: u64,
///     kind: u8,
/// }
///
/// assert_eq!(Job::SCHEMA.to_string(), "job/1{size 16 align 8; id@0: u64, kind@8: u8}");
/// const JOB: u64 = Job::SCHEMA.fingerprint(); // computed by the compiler
/// assert_ne!(JOB, <[u64; 2]>::SCHEMA.fingerprint());
/// ```
#[derive(Clone, Copy)]
pub struct Schema(Shape);

#[derive(Clone, Copy)]
enum Shape {
    Scalar { name: &'static str, size_bytes: u64 },
    Array { element: &'static Schema, len: u64 },
    Struct { name: &'static str, size_bytes: u64, align_bytes: u64, fields: &'static [Field] },
    State { name: &'static str, element: &'static Schema, count: Option<u64>, size_bytes: u64, align_bytes: u64 },
}

/// A field of a struct in its [`Schema`]: name, offset and type.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    name: &'static str,
    offset_bytes: u64,
    schema: Schema,
}

impl Field {
    /// The field `name` of type `schema` at `offset_bytes` from the start of its struct.
    pub const fn new(name: &'static str, offset_bytes: u64, schema: Schema) -> Self {
        Self { name, offset_bytes, schema }
    }
}

impl Schema {
    pub(super) const fn scalar(name: &'static str, size_bytes: u64) -> Self {
        Self(Shape::Scalar { name, size_bytes })
    }

    /// An array of `len` elements.
    pub const fn array(element: &'static Schema, len: u64) -> Self {
        Self(Shape::Array { element, len })
    }

    /// A struct; `fields` in the order of their offsets.
    ///
    /// # Panics
    ///
    /// If the fields overlap, are out of order or do not fit into the size: at compile time, where used in a `const`.
    pub const fn structure(
        name: &'static str,
        size_bytes: usize,
        align_bytes: usize,
        fields: &'static [Field],
    ) -> Self {
        let mut end = 0;
        let mut i = 0;
        while i < fields.len() {
            assert!(fields[i].offset_bytes >= end, "fields of a plain struct overlap or are out of order");
            end = fields[i].offset_bytes.saturating_add(fields[i].schema.size_bytes());
            i += 1;
        }
        assert!(end <= size_bytes as u64, "fields of a plain struct reach beyond its end");
        Self(Shape::Struct { name, size_bytes: size_bytes as u64, align_bytes: align_bytes as u64, fields })
    }

    /// A primitive in a shared struct: its name, what it holds, and how many where that is a number of its own.
    pub const fn state(
        name: &'static str,
        element: &'static Schema,
        count: Option<u64>,
        size_bytes: usize,
        align_bytes: usize,
    ) -> Self {
        Self(Shape::State { name, element, count, size_bytes: size_bytes as u64, align_bytes: align_bytes as u64 })
    }

    /// Size of a value in bytes.
    pub const fn size_bytes(&self) -> u64 {
        match self.0 {
            Shape::Scalar { size_bytes, .. } | Shape::Struct { size_bytes, .. } | Shape::State { size_bytes, .. } => {
                size_bytes
            }
            Shape::Array { element, len } => element.size_bytes().saturating_mul(len),
        }
    }

    /// Whether some bytes of a value belong to no field.
    pub const fn has_padding(&self) -> bool {
        match self.0 {
            // What a state leaves between its fields is zero from the beginning and nobody's to write.
            Shape::Scalar { .. } | Shape::State { .. } => false,
            Shape::Array { element, .. } => element.has_padding(),
            Shape::Struct { size_bytes, fields, .. } => {
                let mut used = 0;
                let mut i = 0;
                while i < fields.len() {
                    if fields[i].schema.has_padding() {
                        return true;
                    }
                    used += fields[i].schema.size_bytes();
                    i += 1;
                }
                used < size_bytes
            }
        }
    }

    /// The text. That of a scalar is there already; that of a struct is written anew, 100 bytes of it in about
    /// 0.7 µs: right for the making of a handle, not for its use.
    pub fn text(&self) -> Cow<'static, str> {
        if let Shape::Scalar { name, .. } = self.0 {
            return Cow::Borrowed(name);
        }
        let mut text = vec![0; self.text_len()];
        self.walk(&mut Sink::Write { out: &mut text, len: 0 });
        Cow::Owned(String::from_utf8(text).expect("whole names and ASCII between them"))
    }

    /// Length of the text in bytes.
    pub const fn text_len(&self) -> usize {
        let mut sink = Sink::Count(0);
        self.walk(&mut sink);
        if let Sink::Count(len) = sink { len } else { 0 }
    }

    /// FNV-1a, 64 bits, of the text. In a `const` it costs nothing at run time, elsewhere about 0.3 µs for 100 bytes.
    pub const fn fingerprint(&self) -> u64 {
        let mut sink = Sink::Hash(FNV_BASIS);
        self.walk(&mut sink);
        if let Sink::Hash(hash) = sink { hash } else { 0 }
    }

    const fn walk(&self, sink: &mut Sink<'_>) {
        match self.0 {
            Shape::Scalar { name, .. } => sink.str(name),
            Shape::Array { element, len } => {
                sink.str("[");
                element.walk(sink);
                sink.str("; ");
                sink.number(len);
                sink.str("]");
            }
            Shape::Struct { name, size_bytes, align_bytes, fields } => {
                sink.str(name);
                sink.str("{size ");
                sink.number(size_bytes);
                sink.str(" align ");
                sink.number(align_bytes);
                let mut i = 0;
                while i < fields.len() {
                    sink.str(if i == 0 { "; " } else { ", " });
                    sink.str(fields[i].name);
                    sink.str("@");
                    sink.number(fields[i].offset_bytes);
                    sink.str(": ");
                    fields[i].schema.walk(sink);
                    i += 1;
                }
                sink.str("}");
            }
            Shape::State { name, element, count, size_bytes, align_bytes } => {
                sink.str(name);
                sink.str("<");
                element.walk(sink);
                if let Some(count) = count {
                    sink.str("; ");
                    sink.number(count);
                }
                sink.str(">{size ");
                sink.number(size_bytes);
                sink.str(" align ");
                sink.number(align_bytes);
                sink.str("}");
            }
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({self})")
    }
}

/// Where a walk leaves the bytes of the text.
enum Sink<'a> {
    /// Nowhere, counting them.
    Count(usize),
    /// In a hash.
    Hash(u64),
    /// In `out`, of which `len` bytes are written.
    Write { out: &'a mut [u8], len: usize },
}

/// The offset basis of FNV with 64 bits.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
/// The prime of FNV with 64 bits.
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

impl Sink<'_> {
    const fn bytes(&mut self, bytes: &[u8]) {
        match self {
            Self::Count(len) => *len += bytes.len(),
            Self::Hash(hash) => {
                let mut i = 0;
                while i < bytes.len() {
                    *hash = (*hash ^ bytes[i] as u64).wrapping_mul(FNV_PRIME);
                    i += 1;
                }
            }
            Self::Write { out, len } => {
                let (_, room) = out.split_at_mut(*len);
                room.split_at_mut(bytes.len()).0.copy_from_slice(bytes);
                *len += bytes.len();
            }
        }
    }

    const fn str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    const fn number(&mut self, mut n: u64) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                break;
            }
        }
        self.bytes(digits.split_at(first).1);
    }
}

#[cfg(test)]
mod tests;
