use super::super::plain;
use super::*;
use crate::Plain;
use proptest::prelude::*;

#[plain(crate = "crate")]
struct Point {
    x: f64,
    y: f64,
}

#[plain(crate = "crate", name = "job/1")]
struct Job {
    id: u64,
    path: [Point; 2],
    r#type: u8,
}

#[plain(crate = "crate")]
struct Pair(u32, u8);

#[plain(crate = "crate")]
struct Marker;

#[plain(crate = "crate")]
#[repr(align(64))]
struct Line {
    word: u32,
}

/// FNV-1a once more, as its authors give it.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf29ce484222325, |hash, byte| (hash ^ byte as u64).wrapping_mul(0x100000001b3))
}

#[test]
fn texts_follow_the_grammar() {
    for (schema, text) in [
        (u8::SCHEMA, "u8"),
        (i128::SCHEMA, "i128"),
        (f32::SCHEMA, "f32"),
        (<()>::SCHEMA, "()"),
        (<[u32; 8]>::SCHEMA, "[u32; 8]"),
        (<[[u16; 2]; 0]>::SCHEMA, "[[u16; 2]; 0]"),
        (Point::SCHEMA, "Point{size 16 align 8; x@0: f64, y@8: f64}"),
        (Pair::SCHEMA, "Pair{size 8 align 4; 0@0: u32, 1@4: u8}"),
        (Marker::SCHEMA, "Marker{size 0 align 1}"),
        (Line::SCHEMA, "Line{size 64 align 64; word@0: u32}"),
        (
            Job::SCHEMA,
            "job/1{size 48 align 8; id@0: u64, path@8: [Point{size 16 align 8; x@0: f64, y@8: f64}; 2], type@40: u8}",
        ),
    ] {
        assert_eq!(schema.text(), text);
        assert_eq!(schema.to_string(), text);
        assert_eq!(schema.text_len(), text.len());
        assert_eq!(schema.fingerprint(), fnv1a(text));
    }
}

/// These numbers lie in segments: a change here is a change of the format.
#[test]
fn fingerprints_stay_what_they_are() {
    const POINT: u64 = Point::SCHEMA.fingerprint();
    for (fingerprint, golden) in [
        (u64::SCHEMA.fingerprint(), 0x4d35_d319_3e8d_66f2),
        (<[u32; 8]>::SCHEMA.fingerprint(), 0x7e7e_9e0e_fc93_859c),
        (POINT, 0x6b63_5dd6_0f44_1a18),
        (Job::SCHEMA.fingerprint(), 0x8675_927b_8c45_e7cd),
    ] {
        assert_eq!(fingerprint, golden, "{fingerprint:#018x}");
    }
}

#[test]
fn the_hash_is_fnv_1a() {
    for (text, vector) in [("", 0xcbf29ce484222325), ("a", 0xaf63dc4c8601ec8c), ("foobar", 0x85944171f73967e8)] {
        let mut sink = Sink::Hash(FNV_BASIS);
        sink.str(text);
        assert!(matches!(sink, Sink::Hash(hash) if hash == vector), "{text}");
    }
}

#[test]
fn numbers_are_written_in_full() {
    for (number, text) in [(0, "[u8; 0]"), (10, "[u8; 10]"), (u64::MAX, "[u8; 18446744073709551615]")] {
        assert_eq!(Schema::array(&u8::SCHEMA, number).text(), text);
    }
}

/// One struct, and what may happen to it in the next version of a program.
mod versions {
    use super::plain;

    macro_rules! versions {
        ($($version:ident: { $($field:ident: $ty:ty),* })*) => {$(
            pub mod $version {
                use super::plain;
                #[plain(crate = "crate")]
                pub struct Order { $(pub $field: $ty),* }
            }
        )*};
    }

    versions! {
        first: { id: u64, cents: u32, kind: u32 }
        elsewhere: { id: u64, cents: u32, kind: u32 }
        reordered: { id: u64, kind: u32, cents: u32 }
        renamed: { id: u64, price: u32, kind: u32 }
        retyped: { id: u64, cents: i32, kind: u32 }
        resized: { id: u64, cents: u64, kind: u32 }
        shorter: { id: u64, cents: u32 }
        longer: { id: u64, cents: u32, kind: u32, more: u8 }
        grouped: { id: u64, cents: [u32; 2] }
    }

    #[plain(crate = "crate", name = "order/2")]
    pub struct Order {
        pub id: u64,
        pub cents: u32,
        pub kind: u32,
    }
}

#[test]
fn fingerprints_tell_versions_apart() {
    use versions::*;
    let all = [
        first::Order::SCHEMA,
        reordered::Order::SCHEMA,
        renamed::Order::SCHEMA,
        retyped::Order::SCHEMA,
        resized::Order::SCHEMA,
        shorter::Order::SCHEMA,
        longer::Order::SCHEMA,
        grouped::Order::SCHEMA,
        versions::Order::SCHEMA,
    ];
    for (i, a) in all.iter().enumerate() {
        for b in &all[..i] {
            assert_ne!(a.text(), b.text());
            assert_ne!(a.fingerprint(), b.fingerprint(), "{a} and {b}");
        }
    }
}

#[test]
fn the_same_struct_in_another_module_is_the_same() {
    assert_eq!(versions::first::Order::SCHEMA.text(), versions::elsewhere::Order::SCHEMA.text());
}

#[test]
fn sizes_and_padding_are_those_of_the_types() {
    fn size<T: Plain>() -> (u64, bool) {
        assert_eq!(T::SCHEMA.size_bytes(), size_of::<T>() as u64);
        (T::SCHEMA.size_bytes(), T::SCHEMA.has_padding())
    }
    assert_eq!(size::<u128>(), (16, false));
    assert_eq!(size::<Point>(), (16, false));
    assert_eq!(size::<Pair>(), (8, true));
    assert_eq!(size::<[Pair; 3]>(), (24, true));
    assert_eq!(size::<Line>(), (64, true));
    assert_eq!(size::<Marker>(), (0, false));
}

#[test]
#[should_panic(expected = "overlap")]
fn overlapping_fields_are_refused() {
    const FIELDS: &[Field] = &[Field::new("a", 0, u64::SCHEMA), Field::new("b", 4, u32::SCHEMA)];
    Schema::structure("Wrong", 8, 8, FIELDS);
}

#[test]
#[should_panic(expected = "beyond")]
fn fields_beyond_the_end_are_refused() {
    const FIELDS: &[Field] = &[Field::new("a", 0, u64::SCHEMA)];
    Schema::structure("Wrong", 4, 4, FIELDS);
}

/// Reads a schema back from its text.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn take(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(token)?;
        Some(())
    }

    fn word(&mut self, end: &[char]) -> Option<&'static str> {
        let (word, rest) = self.0.split_at(self.0.find(end).unwrap_or(self.0.len()));
        self.0 = rest;
        (!word.is_empty()).then(|| &*word.to_owned().leak())
    }

    fn number(&mut self) -> Option<u64> {
        self.word(&[' ', ';', ']', '}', ':'])?.parse().ok()
    }

    fn schema(&mut self) -> Option<Schema> {
        if self.take("[").is_some() {
            let element = Box::leak(Box::new(self.schema()?));
            self.take("; ")?;
            let len = self.number()?;
            self.take("]")?;
            return Some(Schema::array(element, len));
        }
        let name = self.word(&['{', '}', ';', ',', ']'])?;
        if self.take("{size ").is_none() {
            return Some(Schema::scalar(name, 0));
        }
        let size_bytes = self.number()?;
        self.take(" align ")?;
        let align_bytes = self.number()?;
        let mut fields = Vec::new();
        let mut before = "; ";
        while self.take("}").is_none() {
            self.take(before)?;
            fields.push(self.field()?);
            before = ", ";
        }
        Some(Schema(Shape::Struct { name, size_bytes, align_bytes, fields: fields.leak() }))
    }

    fn field(&mut self) -> Option<Field> {
        let name = self.word(&['@'])?;
        self.take("@")?;
        let offset = self.number()?;
        self.take(": ")?;
        Some(Field::new(name, offset, self.schema()?))
    }
}

/// Same tree; sizes of scalars go without saying.
fn same(a: &Schema, b: &Schema) -> bool {
    match (a.0, b.0) {
        (Shape::Scalar { name: a, .. }, Shape::Scalar { name: b, .. }) => a == b,
        (Shape::Array { element: a, len: m }, Shape::Array { element: b, len: n }) => m == n && same(a, b),
        (
            Shape::Struct { name, size_bytes, align_bytes, fields },
            Shape::Struct { name: name_b, size_bytes: size_b, align_bytes: align_b, fields: fields_b },
        ) => {
            (name, size_bytes, align_bytes, fields.len()) == (name_b, size_b, align_b, fields_b.len())
                && fields
                    .iter()
                    .zip(fields_b)
                    .all(|(a, b)| (a.name, a.offset_bytes) == (b.name, b.offset_bytes) && same(&a.schema, &b.schema))
        }
        _ => false,
    }
}

fn any_schema() -> impl Strategy<Value = Schema> {
    let scalar = prop::sample::select(vec![u8::SCHEMA, i64::SCHEMA, f32::SCHEMA, u128::SCHEMA, <()>::SCHEMA]);
    scalar.prop_recursive(4, 24, 4, |inner| {
        let field = ("[a-z_][a-z0-9_]{0,4}|[0-9]", any::<u64>(), inner.clone())
            .prop_map(|(name, offset, schema)| Field::new(name.leak(), offset, schema));
        let fields = prop::collection::vec(field, 0..4);
        prop_oneof![
            (inner, any::<u64>()).prop_map(|(element, len)| Schema::array(Box::leak(Box::new(element)), len)),
            ("[A-Za-z][A-Za-z0-9._/-]{0,5}|größe", any::<u64>(), any::<u64>(), fields).prop_map(
                |(name, size_bytes, align_bytes, fields)| {
                    let fields = fields.leak();
                    Schema(Shape::Struct { name: name.leak(), size_bytes, align_bytes, fields })
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn every_text_reads_back(schema in any_schema()) {
        let text = schema.text();
        let mut reader = Reader(&text);
        let read = reader.schema().expect("follows the grammar");
        prop_assert_eq!(reader.0, "");
        prop_assert!(same(&schema, &read), "{} became {}", schema, read);
        prop_assert_eq!(schema.fingerprint(), fnv1a(&text));
    }
}
