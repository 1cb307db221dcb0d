//! Where two layouts differ, for people: the first difference in words, then both, side by side.

use super::tree::{FieldRead, Form, Layout, SHARED};
use std::fmt::{self, Write};

/// More lines than this are not laid side by side.
const MOST_LINES: usize = 100;

/// Two layouts of which the texts differ.
pub(crate) struct Difference<'t> {
    found: &'t str,
    expected: &'t str,
}

impl<'t> Difference<'t> {
    pub(crate) fn new(found: &'t str, expected: &'t str) -> Self {
        Self { found, expected }
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(found), Some(expected)) = (Layout::read(self.found), Layout::read(self.expected)) else {
            return write!(f, "found `{}`, expected `{}`", self.found, self.expected);
        };
        match first(&found, &expected, &mut path_of(&expected)) {
            Some(words) => f.write_str(&words)?,
            None => write!(f, "found `{}`, expected `{}`", self.found, self.expected)?,
        }
        side_by_side(&lines(&found), &lines(&expected), f)
    }
}

/// Where one is: the outermost struct, then names of fields.
fn path_of(layout: &Layout<'_>) -> String {
    match &layout.form {
        Form::Struct { name, .. } => name.strip_prefix(SHARED).unwrap_or(name).to_owned(),
        Form::Array { element, .. } => path_of(element),
        _ => String::new(),
    }
}

/// A type without what its fields are.
fn short<'t>(layout: &Layout<'t>) -> &'t str {
    match &layout.form {
        Form::Struct { name, .. } => name,
        _ => layout.text,
    }
}

/// The first difference, in words.
fn first(found: &Layout<'_>, expected: &Layout<'_>, path: &mut String) -> Option<String> {
    if found.text == expected.text {
        return None;
    }
    let whole = |path: &str| {
        let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
        Some(format!("{place}found `{}`, expected `{}`", short(found), short(expected)))
    };
    match (&found.form, &expected.form) {
        (Form::Array { element: a, len: n }, Form::Array { element: b, len: m }) => {
            if n != m && a.text == b.text {
                let place = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
                return Some(format!("{place}found {n} elements, expected {m}"));
            }
            first(a, b, path).or_else(|| whole(path))
        }
        (Form::State { name: a, element: found, .. }, Form::State { name: b, element: expected, .. }) if a == b => {
            first(found, expected, path).or_else(|| whole(path))
        }
        (
            Form::Struct { name: a, size_bytes: s, align_bytes: l, fields: found },
            Form::Struct { name: b, size_bytes: z, align_bytes: m, fields: expected },
        ) => {
            let outside = path.len();
            if let Some(words) = fields(found, expected, path) {
                return Some(words);
            }
            path.truncate(outside);
            if a != b {
                return Some(format!("found a struct named `{a}`, expected `{b}`"));
            }
            Some(format!("`{path}`: found size {s} align {l}, expected size {z} align {m}"))
        }
        _ => whole(path),
    }
}

/// The first field that differs.
fn fields(found: &[FieldRead<'_>], expected: &[FieldRead<'_>], path: &mut String) -> Option<String> {
    let outside = path.len();
    for (i, b) in expected.iter().enumerate() {
        path.truncate(outside);
        let _ = write!(path, ".{}", b.name);
        let Some(a) = found.get(i) else { return Some(format!("`{path}` is missing from what was found")) };
        if a.name != b.name {
            let elsewhere = found.iter().position(|a| a.name == b.name);
            return Some(match elsewhere {
                Some(other) => format!("`{path}`: found as field number {}, expected as number {}", other + 1, i + 1),
                None if expected.iter().all(|b| b.name != a.name) => {
                    format!("`{path}`: found a field named `{}` in its place", a.name)
                }
                None => format!("`{path}` is missing from what was found"),
            });
        }
        let offsets = (a.offset_bytes, b.offset_bytes);
        let differs = first(&a.layout, &b.layout, path);
        if differs.is_some() {
            return differs;
        }
        path.truncate(outside + 1 + b.name.len());
        if offsets.0 != offsets.1 {
            return Some(format!("`{path}`: found at offset {}, expected at {}", offsets.0, offsets.1));
        }
    }
    path.truncate(outside);
    let more = found.get(expected.len())?;
    Some(format!("found a field `{path}.{}` that is not expected", more.name))
}

/// One line for each struct, state, scalar; fields are indented.
fn lines(layout: &Layout<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    add_lines(layout, "", "", 0, &mut lines);
    lines
}

fn add_lines(layout: &Layout<'_>, before: &str, after: &str, indent: usize, lines: &mut Vec<String>) {
    if lines.len() > MOST_LINES {
        return;
    }
    let blanks = "  ".repeat(indent);
    match &layout.form {
        Form::Struct { name, size_bytes, align_bytes, fields } => {
            lines.push(format!("{blanks}{before}{name}{{size {size_bytes} align {align_bytes}}}{after}"));
            add_fields(fields, indent + 1, lines);
        }
        Form::Array { element, len } if !matches!(element.form, Form::Scalar) => {
            add_lines(element, &format!("{before}["), &format!("; {len}]{after}"), indent, lines);
        }
        Form::State { name: state, element, count, size_bytes: bytes, align_bytes: align } => {
            let Form::Struct { name, size_bytes, align_bytes, fields } = &element.form else {
                return lines.push(format!("{blanks}{before}{}{after}", layout.text));
            };
            let count = count.map(|count| format!("; {count}")).unwrap_or_default();
            let inner = format!("{name}{{size {size_bytes} align {align_bytes}}}{count}");
            lines.push(format!("{blanks}{before}{state}<{inner}>{{size {bytes} align {align}}}{after}"));
            add_fields(fields, indent + 1, lines);
        }
        _ => lines.push(format!("{blanks}{before}{}{after}", layout.text)),
    }
}

fn add_fields(fields: &[FieldRead<'_>], indent: usize, lines: &mut Vec<String>) {
    for field in fields {
        let before = format!("{}@{}: ", field.name, field.offset_bytes);
        add_lines(&field.layout, &before, "", indent, lines);
    }
}

/// Both, equal lines beside each other, and a mark on those that differ.
fn side_by_side(found: &[String], expected: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if found.len().max(expected.len()) > MOST_LINES || found.len().max(expected.len()) < 2 {
        return Ok(());
    }
    let width = found.iter().map(|line| line.chars().count()).max().unwrap_or(0).max("found".len());
    write!(f, "\n  {:width$}    expected", "found")?;
    let (mut i, mut j) = (0, 0);
    for (k, l) in common(found, expected).into_iter().chain([(found.len(), expected.len())]) {
        while i < k || j < l {
            let a = if i < k { found[i].as_str() } else { "" };
            let b = if j < l { expected[j].as_str() } else { "" };
            write!(f, "\n  {a:width$}  ≠ {b}")?;
            (i, j) = ((i + 1).min(k), (j + 1).min(l));
        }
        if let Some(line) = found.get(k) {
            write!(f, "\n  {line:width$}    {line}")?;
        }
        (i, j) = (k + 1, l + 1);
    }
    Ok(())
}

/// Pairs of equal lines: the longest common subsequence.
fn common(found: &[String], expected: &[String]) -> Vec<(usize, usize)> {
    let (n, m) = (found.len(), expected.len());
    let mut longest = vec![vec![0usize; m + 1]; n + 1];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            longest[i][j] = if found[i] == expected[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut pairs, mut i, mut j) = (Vec::new(), 0, 0);
    while i < n && j < m {
        if found[i] == expected[j] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[i + 1][j] >= longest[i][j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "Row{size 16 align 8; cents@0: i64, branch@8: u32}";

    fn words(found: &str, expected: &str) -> String {
        let text = Difference::new(found, expected).to_string();
        text.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn each_kind_of_difference_has_its_words() {
        for (found, told) in [
            (
                "Row{size 16 align 8; branch@0: u32, cents@8: i64}",
                "`Row.cents`: found as field number 2, expected as number 1",
            ),
            (
                "Row{size 16 align 8; pence@0: i64, branch@8: u32}",
                "`Row.cents`: found a field named `pence` in its place",
            ),
            ("Row{size 16 align 8; cents@0: u64, branch@8: u32}", "`Row.cents`: found `u64`, expected `i64`"),
            ("Row{size 16 align 8; cents@0: [i64; 1], branch@8: u32}", "`Row.cents`: found `[i64; 1]`, expected `i64`"),
            ("Row{size 24 align 8; cents@0: i64, branch@16: u32}", "`Row.branch`: found at offset 16, expected at 8"),
            ("Row{size 8 align 8; cents@0: i64}", "`Row.branch` is missing from what was found"),
            (
                "Row{size 16 align 8; cents@0: i64, branch@8: u32, year@12: u16}",
                "found a field `Row.year` that is not expected",
            ),
            (
                "Row{size 64 align 64; cents@0: i64, branch@8: u32}",
                "`Row`: found size 64 align 64, expected size 16 align 8",
            ),
            ("Raw{size 16 align 8; cents@0: i64, branch@8: u32}", "found a struct named `Raw`, expected `Row`"),
            ("u64", "`Row`: found `u64`, expected `Row`"),
        ] {
            assert_eq!(words(found, ROW), told);
        }
        assert_eq!(words("[u8; 4]", "[u8; 8]"), "found 4 elements, expected 8");
        assert_eq!(words("u32", "u64"), "found `u32`, expected `u64`");
        assert_eq!(words("what?", "u64"), "found `what?`, expected `u64`");
    }

    #[test]
    fn the_path_leads_into_what_is_nested() {
        let farm = |row: &str| format!("shared Farm{{size 64 align 8; rows@0: [{row}; 4]}}");
        let other = ROW.replace("i64", "u64");
        assert_eq!(words(&farm(&other), &farm(ROW)), "`Farm.rows.cents`: found `u64`, expected `i64`");
        let bank =
            |row: &str| format!("shared Bank{{size 512 align 64; rows@0: [Lock<{row}>{{size 128 align 64}}; 4]}}");
        assert_eq!(words(&bank(&other), &bank(ROW)), "`Bank.rows.cents`: found `u64`, expected `i64`");
        assert_eq!(
            words(&bank(ROW), &bank(ROW).replace("Lock", "Value")),
            format!(
                "`Bank.rows`: found `Lock<{ROW}>{{size 128 align 64}}`, expected `Value<{ROW}>{{size 128 align 64}}`"
            )
        );
    }

    #[test]
    fn the_line_that_differs_is_marked() {
        let text = Difference::new("Row{size 16 align 8; cents@0: u64, branch@8: u32}", ROW).to_string();
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "  found                   expected",
                "  Row{size 16 align 8}    Row{size 16 align 8}",
                "    cents@0: u64        ≠   cents@0: i64",
                "    branch@8: u32           branch@8: u32",
            ]
        );
    }
}
