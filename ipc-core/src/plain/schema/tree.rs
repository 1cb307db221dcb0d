//! Reads the text of a layout back: to find what lies at an offset of it, and to show where two of them differ.
//!
//! A text may come from a stranger, out of a directory entry: whatever it is, reading it ends, with at most [`DEEPEST`] levels
//! of recursion and as many parts as it has bytes.

/// Types inside types.
const DEEPEST: u32 = 64;

/// What the names of shared structs begin with: the structs whose fields are objects of their own.
pub(super) const SHARED: &str = "shared ";

/// A type, as its text says.
#[derive(Debug)]
pub(crate) struct Layout<'t> {
    /// All of its text.
    pub text: &'t str,
    /// What it is.
    pub form: Form<'t>,
}

/// What a type is.
#[derive(Debug)]
pub(crate) enum Form<'t> {
    Scalar,
    Array { element: Box<Layout<'t>>, len: u64 },
    Struct { name: &'t str, size_bytes: u64, align_bytes: u64, fields: Vec<FieldRead<'t>> },
    State { name: &'t str, element: Box<Layout<'t>>, count: Option<u64>, size_bytes: u64, align_bytes: u64 },
}

/// A field of a struct.
#[derive(Debug)]
pub(crate) struct FieldRead<'t> {
    pub name: &'t str,
    pub offset_bytes: u64,
    pub layout: Layout<'t>,
}

impl<'t> Layout<'t> {
    /// The type that all of `text` describes.
    pub(crate) fn read(text: &'t str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        let layout = reader.layout(DEEPEST)?;
        (reader.at == text.len()).then_some(layout)
    }

    /// Bytes of a value.
    pub(crate) fn size_bytes(&self) -> u64 {
        match &self.form {
            Form::Scalar => scalar_bytes(self.text).unwrap_or(0),
            Form::Array { element, len } => element.size_bytes().saturating_mul(*len),
            Form::Struct { size_bytes, .. } | Form::State { size_bytes, .. } => *size_bytes,
        }
    }

    /// Whether at `within` bytes from the beginning begins something of which `is` is true: this itself, or what a shared
    /// struct or an array is made of. What lies inside plain structs and states is theirs.
    pub(crate) fn has_at(&self, within: u64, is: &mut impl FnMut(&Self) -> bool) -> bool {
        if within == 0 && is(self) {
            return true;
        }
        match &self.form {
            Form::Array { element, len } => {
                let each = element.size_bytes();
                within.checked_div(each).is_some_and(|index| index < *len) && element.has_at(within % each, is)
            }
            Form::Struct { name, fields, .. } if name.starts_with(SHARED) => fields.iter().any(|field| {
                let inside = within.checked_sub(field.offset_bytes);
                inside.is_some_and(|inside| field.layout.has_at(inside, is))
            }),
            _ => false,
        }
    }
}

fn scalar_bytes(name: &str) -> Option<u64> {
    Some(match name {
        "()" => 0,
        "u8" | "i8" => 1,
        "u16" | "i16" => 2,
        "u32" | "i32" | "f32" => 4,
        "u64" | "i64" | "f64" => 8,
        "u128" | "i128" => 16,
        _ => return None,
    })
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn layout(&mut self, deeper: u32) -> Option<Layout<'t>> {
        let deeper = deeper.checked_sub(1)?;
        let start = self.at;
        let form = if self.eat("[").is_some() {
            let element = Box::new(self.layout(deeper)?);
            self.eat("; ")?;
            let len = self.number()?;
            self.eat("]")?;
            Form::Array { element, len }
        } else {
            self.named(deeper)?
        };
        Some(Layout { text: self.text.get(start..self.at)?, form })
    }

    /// A scalar, a struct or a state.
    fn named(&mut self, deeper: u32) -> Option<Form<'t>> {
        let start = self.at;
        if self.eat("()").is_some() {
            return Some(Form::Scalar);
        }
        let _ = self.eat(SHARED);
        self.word()?;
        let name = self.text.get(start..self.at)?;
        if self.eat("{size ").is_some() {
            return self.structure(name, deeper);
        }
        if self.eat("<").is_some() {
            return self.state(name, deeper);
        }
        scalar_bytes(name).map(|_| Form::Scalar)
    }

    fn structure(&mut self, name: &'t str, deeper: u32) -> Option<Form<'t>> {
        let size_bytes = self.number()?;
        self.eat(" align ")?;
        let align_bytes = self.number()?;
        let mut fields = Vec::new();
        while self.eat("}").is_none() {
            self.eat(if fields.is_empty() { "; " } else { ", " })?;
            let name = self.word()?;
            self.eat("@")?;
            let offset_bytes = self.number()?;
            self.eat(": ")?;
            fields.push(FieldRead { name, offset_bytes, layout: self.layout(deeper)? });
        }
        Some(Form::Struct { name, size_bytes, align_bytes, fields })
    }

    fn state(&mut self, name: &'t str, deeper: u32) -> Option<Form<'t>> {
        let element = Box::new(self.layout(deeper)?);
        let count = match self.eat("; ") {
            Some(()) => Some(self.number()?),
            None => None,
        };
        self.eat(">{size ")?;
        let size_bytes = self.number()?;
        self.eat(" align ")?;
        let align_bytes = self.number()?;
        self.eat("}")?;
        Some(Form::State { name, element, count, size_bytes, align_bytes })
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn eat(&mut self, token: &str) -> Option<()> {
        self.rest().starts_with(token).then(|| self.at += token.len())
    }

    fn word(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let end = rest.find([' ', '{', '}', '[', ']', ';', ',', '@', ':', '<', '>']).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).filter(|word| !word.is_empty())
    }

    fn number(&mut self) -> Option<u64> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BANK: &str = "shared Bank{size 384 align 64; limit@0: i64, open@64: Event<()>{size 64 align 64}, \
                        rows@128: [Lock<Row{size 8 align 8; cents@0: i64}>{size 128 align 64}; 2]}";

    #[test]
    fn what_lies_where_is_found() {
        let bank = Layout::read(BANK).unwrap();
        assert_eq!(bank.size_bytes(), 384);
        let at = |within| {
            let mut found = Vec::new();
            bank.has_at(within, &mut |layout| {
                found.push(layout.text.split(['{', '<', ';']).next().unwrap_or_default());
                false
            });
            found
        };
        assert_eq!(at(0), ["shared Bank", "i64"]);
        assert_eq!(at(64), ["Event"]);
        assert_eq!(at(128), ["[Lock", "Lock"]);
        assert_eq!(at(256), ["Lock"]);
        assert!(at(192).is_empty() && at(4).is_empty() && at(384).is_empty() && at(u64::MAX).is_empty());
    }

    #[test]
    fn too_deep_is_not_read() {
        assert!(Layout::read(&"[".repeat(60_000)).is_none());
        assert!(Layout::read("[[u8; 2]; 3]").is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "(shared )?[a-z0-9\\[\\]{};,@:<> ]{0,80}", cut in 0usize..200) {
            let _ = Layout::read(&text);
            let _ = Layout::read(&BANK[..cut.min(BANK.len())]);
        }
    }
}
