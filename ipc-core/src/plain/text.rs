//! `Text`: a string of bounded length as a plain value.
//!
//! | offset  | type   | name  | meaning                                                        |
//! |---------|--------|-------|----------------------------------------------------------------|
//! | 0       | u32    | len   | bytes of the text                                              |
//! | 4       | u8 × N | bytes | the text in UTF-8; zero behind it, if this library wrote it    |
//!
//! Any bytes are a `Text`: a length beyond N and bytes that are no UTF-8 are found by [`as_str`](Text::as_str), whoever wrote them.

use super::schema::{Field, Schema};
use super::value::Plain;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// A string of at most `N` bytes: what to store where `String` cannot lie in shared memory.
///
/// # Examples
/// ```
/// use ipc_core::{Text, Value};
/// let owner = Value::new(Text::<16>::new("nobody")?)?;
/// owner.update(|text| text.set("Ada"))??;
/// assert_eq!(owner.get()?.as_str()?, "Ada");
///
/// let error = owner.update(|text| text.set("Rear Admiral Grace Hopper"))?.unwrap_err();
/// assert_eq!(error.to_string(), "a text of 25 bytes where 16 fit");
/// assert_eq!(owner.get()?, "Ada", "unchanged");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Text<const N: usize> {
    len: u32,
    bytes: [u8; N],
}

/// Why a string did not become a [`Text`], or a [`Text`] a string.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The string has more bytes than fit. What was there before is unchanged.
    #[error("a text of {len} bytes where {max} fit")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The most.
        max: usize,
    },
    /// The bytes are no UTF-8: something else than this library wrote them.
    #[error("bytes that are no UTF-8 from byte {valid_up_to} on: something else wrote this text")]
    NotUtf8 {
        /// So many bytes from the beginning are.
        valid_up_to: usize,
    },
    /// The length is more than fits: something else than this library wrote it.
    #[error("a text that says to have {found} bytes where {max} fit: something else wrote it")]
    Length {
        /// What it says.
        found: u32,
        /// The most.
        max: usize,
    },
}

impl<const N: usize> Text<N> {
    /// No bytes.
    pub const EMPTY: Self = Self { len: 0, bytes: [0; N] };

    /// This string.
    ///
    /// # Errors
    /// [`TextError::TooLong`] if it has more than `N` bytes.
    pub fn new(text: &str) -> Result<Self, TextError> {
        let mut new = Self::EMPTY;
        new.set(text)?;
        Ok(new)
    }

    /// Replaces the text; nothing of the old one remains behind a shorter one.
    ///
    /// # Errors
    /// [`TextError::TooLong`] if it has more than `N` bytes: the old text is unchanged.
    pub fn set(&mut self, text: &str) -> Result<(), TextError> {
        let len = text.len();
        let fits = u32::try_from(len).ok().filter(|_| len <= N);
        self.len = fits.ok_or(TextError::TooLong { len, max: N })?;
        let (kept, rest) = self.bytes.split_at_mut(len);
        kept.copy_from_slice(text.as_bytes());
        rest.fill(0);
        Ok(())
    }

    /// The string.
    ///
    /// # Errors
    /// [`TextError::NotUtf8`] and [`TextError::Length`] if something else than this library wrote into it.
    pub fn as_str(&self) -> Result<&str, TextError> {
        let bytes = self.bytes.get(..self.len as usize).ok_or(TextError::Length { found: self.len, max: N })?;
        std::str::from_utf8(bytes).map_err(|error| TextError::NotUtf8 { valid_up_to: error.valid_up_to() })
    }

    /// The bytes, whatever they are; of a length beyond `N`, all that there are.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len()]
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        (self.len as usize).min(N)
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

// SAFETY: 1. a number and bytes. 2. the two fields. 3. what is left behind the bytes up to the alignment.
unsafe impl<const N: usize> Plain for Text<N> {
    const SCHEMA: Schema = Schema::structure(
        "Text",
        size_of::<Self>(),
        align_of::<Self>(),
        &[Field::new("len", 0, u32::SCHEMA), Field::new("bytes", size_of::<u32>() as u64, <[u8; N]>::SCHEMA)],
    );

    fn padding(base: usize, visit: &mut impl FnMut(Range<usize>)) {
        crate::__private::gap(base, size_of::<u32>() + N, size_of::<Self>(), visit);
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> FromStr for Text<N> {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl<const N: usize> TryFrom<&str> for Text<N> {
    type Error = TextError;

    fn try_from(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl<const N: usize, const M: usize> PartialEq<Text<M>> for Text<N> {
    fn eq(&self, other: &Text<M>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> Eq for Text<N> {}

impl<const N: usize> std::hash::Hash for Text<N> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl<const N: usize> PartialEq<str> for Text<N> {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> PartialEq<&str> for Text<N> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

/// What is no UTF-8 shows as the replacement character.
impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

#[cfg(all(test, not(ipc_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_fits_comes_back(text in ".{0,12}") {
            let mut kept = Text::<16>::new("before").unwrap();
            match kept.set(&text) {
                Ok(()) => prop_assert_eq!(kept.as_str(), Ok(&*text)),
                Err(error) => {
                    prop_assert_eq!(error, TextError::TooLong { len: text.len(), max: 16 });
                    prop_assert!(text.len() > 16 && kept == "before");
                }
            }
            prop_assert!(kept.bytes[kept.len()..].iter().all(|&byte| byte == 0));
        }

        #[test]
        fn any_bytes_are_a_text_or_an_error(bytes: [u8; 20], small in 0u32..24) {
            let mut text = Text::<16>::read_from_bytes(&bytes).unwrap();
            for _ in 0..2 {
                let valid = bytes[4..].get(..text.len as usize).and_then(|bytes| std::str::from_utf8(bytes).ok());
                prop_assert_eq!(text.as_str().ok(), valid);
                let shown = (text.to_string(), format!("{text:?}"), text == text);
                prop_assert!(shown.2 && text.len() <= 16);
                text.len = small;
            }
        }
    }

    #[test]
    fn what_a_stranger_wrote_is_told() {
        let mut text = Text::<4>::new("ab").unwrap();
        text.bytes[1] = 0xff;
        assert_eq!(text.as_str(), Err(TextError::NotUtf8 { valid_up_to: 1 }));
        assert_eq!(text.to_string(), "a\u{fffd}");
        text.len = 5;
        assert_eq!(text.as_str(), Err(TextError::Length { found: 5, max: 4 }));
        assert_eq!(text.as_bytes().len(), 4);
    }

    #[test]
    fn the_layout_says_how_many() {
        assert_eq!(Text::<5>::SCHEMA.text(), "Text{size 12 align 4; len@0: u32, bytes@4: [u8; 5]}");
        let mut gaps = Vec::new();
        Text::<5>::padding(8, &mut |gap| gaps.push(gap));
        assert_eq!((gaps.len(), gaps[0].clone()), (1, 17..20));
    }
}
