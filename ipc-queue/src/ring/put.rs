//! `put!`: writes one field of what lies behind a pointer.

/// Writes a field of the struct behind a pointer to exclusive memory for it, which the function's caller vouches for.
///
/// A struct written whole brings what this thread's stack holds along in its gaps, into memory that others read.
macro_rules! put {
    ($at:ident.$field:ident$(.$inner:tt)* = $value:expr) => {{
        // SAFETY: the field lies in the memory that the caller of this function gives.
        let field = unsafe { &raw mut (*$at).$field$(.$inner)* };
        // SAFETY: as above; nobody else accesses it.
        unsafe { field.write($value) };
    }};
}
