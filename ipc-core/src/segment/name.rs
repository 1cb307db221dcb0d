//! Names: 1–200 bytes of `[A-Za-z0-9._-]`, the first not `.`.

use crate::error::{Error, ErrorKind, NameProblem};

const LONGEST: usize = 200;

/// Accepts a good name; otherwise says which byte is wrong, and where.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    let problem = match name.len() {
        0 => Some(NameProblem::Empty),
        len if len > LONGEST => Some(NameProblem::TooLong { len }),
        _ => name
            .bytes()
            .enumerate()
            .find(|&(position, byte)| !is_allowed(byte) || (position == 0 && byte == b'.'))
            .map(|(position, byte)| NameProblem::Byte { byte, position }),
    };
    match problem {
        None => Ok(()),
        Some(problem) => Err(ErrorKind::InvalidName { problem }.into()),
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn problem(name: &str) -> NameProblem {
        match check(name).unwrap_err().kind() {
            ErrorKind::InvalidName { problem } => *problem,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn says_which_byte_is_wrong_and_where() {
        assert_eq!(problem(""), NameProblem::Empty);
        assert_eq!(problem(&"x".repeat(201)), NameProblem::TooLong { len: 201 });
        assert_eq!(problem("a/b"), NameProblem::Byte { byte: b'/', position: 1 });
        assert_eq!(problem(".hidden"), NameProblem::Byte { byte: b'.', position: 0 });
        assert_eq!(problem("nul\0"), NameProblem::Byte { byte: 0, position: 3 });
        assert_eq!(problem("é"), NameProblem::Byte { byte: 0xc3, position: 0 });
    }

    proptest! {
        #[test]
        fn good_names_pass(name in "[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}") {
            prop_assert!(check(&name).is_ok());
        }

        #[test]
        fn one_bad_byte_is_found(head in "[A-Za-z0-9_-]{1,50}", bad in "[^A-Za-z0-9._-]", tail in "[a-z]{0,50}") {
            let name = format!("{head}{bad}{tail}");
            let found_at_the_place =
                matches!(problem(&name), NameProblem::Byte { byte, position } if position == head.len() && byte == bad.as_bytes()[0]);
            prop_assert!(found_at_the_place);
        }
    }
}
