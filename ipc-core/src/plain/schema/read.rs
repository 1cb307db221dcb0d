//! Reading a schema's text back, as far as inspection needs it: size and alignment.

/// Size and alignment in bytes of the type that a schema's text describes; `None` if it is no schema.
///
/// The text may come from a stranger. Fields of a struct are not looked at.
pub(crate) fn size_and_align(text: &str) -> Option<(u64, u64)> {
    let (mut text, mut count) = (text, 1u64);
    while let Some(inner) = text.strip_prefix('[') {
        let (element, len) = inner.strip_suffix(']')?.rsplit_once("; ")?;
        count = count.checked_mul(number(len)?)?;
        text = element;
    }
    let (size, align) = scalar(text).or_else(|| structure(text))?;
    Some((size.checked_mul(count)?, align))
}

fn scalar(text: &str) -> Option<(u64, u64)> {
    let bytes = match text {
        "()" => return Some((0, 1)),
        "u8" | "i8" => 1,
        "u16" | "i16" => 2,
        "u32" | "i32" | "f32" => 4,
        "u64" | "i64" | "f64" => 8,
        "u128" | "i128" => return Some((16, align_of::<u128>() as u64)),
        _ => return None,
    };
    Some((bytes, bytes))
}

fn structure(text: &str) -> Option<(u64, u64)> {
    let inside = text.strip_suffix('}')?.split_once('{')?.1;
    let head = inside.split_once(';').map_or(inside, |(head, _)| head);
    let (size, align) = head.strip_prefix("size ")?.split_once(" align ")?;
    let (size, align) = (number(size)?, number(align)?);
    (align.is_power_of_two() && align <= 4096 && size.is_multiple_of(align)).then_some((size, align))
}

/// `parse` alone would accept a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plain;
    use proptest::prelude::*;

    fn agrees<T: Plain>() {
        let text = T::SCHEMA.text();
        assert_eq!(size_and_align(&text), Some((size_of::<T>() as u64, align_of::<T>() as u64)), "{text}");
    }

    #[test]
    fn what_the_compiler_says_is_read() {
        agrees::<()>();
        agrees::<u8>();
        agrees::<i128>();
        agrees::<[[f32; 3]; 5]>();
        agrees::<[u16; 0]>();
        let job = "job/1{size 24 align 8; id@0: u64, pair@8: [Small{size 4 align 2; a@0: u16, b@2: u8}; 2]}";
        assert_eq!(size_and_align(job), Some((24, 8)));
        assert_eq!(size_and_align(&format!("[{job}; 7]")), Some((168, 8)));
        assert_eq!(size_and_align("None{size 0 align 1}"), Some((0, 1)));
    }

    #[test]
    fn what_is_no_schema_is_nothing() {
        for text in [
            "",
            "u7",
            "[u8; 3",
            "[u8; -1]",
            "[u8; 99999999999999999999]",
            "a{size 5 align 2}",
            "a{size 8 align 0}",
            "[[[[",
        ] {
            assert_eq!(size_and_align(text), None, "{text}");
        }
        let deep = format!("{}u8{}", "[".repeat(60_000), "; 1]".repeat(60_000));
        assert_eq!(size_and_align(&deep), Some((1, 1)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{};a-z0-9 ]{0,60}") {
            let _ = size_and_align(&text);
        }
    }
}
