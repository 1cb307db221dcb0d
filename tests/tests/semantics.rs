//! `docs/semantics.md` is complete and honest: every row's tests cite its id, and no id is cited that the page calls `later`.
//!
//! The list of ids lives in the page itself: the ids of a family run from 01 on without a gap.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/semantics.md";

/// A row of the page.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    id: &'a str,
    status: &'a str,
    place: &'a str,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(root().join(PAGE)).expect("the page of semantics")
}

fn rows(page: &str) -> Vec<Row<'_>> {
    page.lines()
        .filter_map(|line| {
            let [id, _what, status, place] =
                line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect::<Vec<_>>().try_into().ok()?;
            is_id(id).then_some(Row { id, status, place })
        })
        .collect()
}

/// Two capitals and two digits.
fn is_id(text: &str) -> bool {
    matches!(text.as_bytes(), [a, b, c, d] if [a, b].iter().all(|x| x.is_ascii_uppercase()) && [c, d].iter().all(|x| x.is_ascii_digit()))
}

fn ids_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| is_id(word))
}

/// The places of a row: a file, and a function or struct in it, if one is named.
fn places(place: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    place.split('`').filter(|part| part.contains(".rs")).map(|part| match part.split_once("::") {
        Some((file, item)) => (file, Some(item)),
        None => (part, None),
    })
}

/// The comment above an item, or at the head of the file.
fn comment(source: &str, item: Option<&str>) -> Option<String> {
    let lines: Vec<_> = source.lines().map(str::trim_start).collect();
    let Some(item) = item else {
        return Some(lines.iter().take_while(|line| line.starts_with("//!")).copied().collect::<Vec<_>>().join("\n"));
    };
    let declares = |line: &str| {
        ["fn ", "struct "].iter().any(|keyword| {
            let rest = line.split_once(keyword).map(|(_, rest)| rest).and_then(|rest| rest.strip_prefix(item));
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    };
    let at = lines.iter().position(|line| !line.starts_with("//") && declares(line))?;
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with("//") || line.starts_with('#'));
    Some(above.copied().collect::<Vec<_>>().join("\n"))
}

/// Every source file of the workspace.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of the workspace").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            // Not what builds leave behind.
            if path.is_dir() && !name.starts_with("target") && !name.starts_with('.') {
                open.push(path);
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn smoke() {
    let page = page();
    let rows = rows(&page);
    assert!(rows.len() > 300, "{} rows", rows.len());
    assert!(rows.iter().any(|row| row.id == "XS01" && row.status == "tested"));
}

#[test]
fn families_are_without_gaps() {
    let page = page();
    let mut families = BTreeMap::<&str, Vec<u32>>::new();
    for row in rows(&page) {
        families.entry(&row.id[..2]).or_default().push(row.id[2..].parse().expect("two digits"));
    }
    for (family, numbers) in families {
        assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>(), "{family}");
    }
}

#[test]
fn every_row_says_where_or_why() {
    let page = page();
    for row in rows(&page) {
        let named = places(row.place).count();
        match row.status {
            "tested" | "differs" => assert!(named > 0, "{}: no test is named", row.id),
            "n/a" => assert!(row.place.len() > 5, "{}: no reason is given", row.id),
            "later" => assert_eq!(named, 0, "{}: a test is named, so it is not for later", row.id),
            other => panic!("{}: no such status: {other}", row.id),
        }
    }
}

#[test]
fn every_named_test_cites_its_row() {
    let page = page();
    let mut wrong = Vec::new();
    for row in rows(&page) {
        for (file, item) in places(row.place) {
            let Ok(source) = fs::read_to_string(root().join(file)) else {
                wrong.push(format!("{}: there is no {file}", row.id));
                continue;
            };
            match comment(&source, item) {
                Some(comment) if ids_in(&comment).any(|id| id == row.id) => {}
                Some(_) => wrong.push(format!("{}: not cited above {item:?} in {file}", row.id)),
                None => wrong.push(format!("{}: there is no {item:?} in {file}", row.id)),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_cited_is_not_for_later() {
    let page = page();
    let rows = rows(&page);
    let families: BTreeSet<_> = rows.iter().map(|row| &row.id[..2]).collect();
    let mut wrong = BTreeSet::new();
    for path in sources() {
        let source = fs::read_to_string(&path).expect("a source file");
        let comments = source.lines().filter_map(|line| line.split_once("//").map(|(_, comment)| comment));
        for id in comments.flat_map(ids_in).filter(|id| families.contains(&id[..2])) {
            let status = rows.iter().find(|row| row.id == id).map_or("missing", |row| row.status);
            if !matches!(status, "tested" | "differs") {
                wrong.insert(format!("{id} is cited in {}, but {PAGE} says: {status}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The parts of the above, on lines made for it.
#[test]
fn rows_and_comments_are_read_right() {
    let page = "| id | what | status | where |\n|--|--|\n| ZZ01 | it works | tested | `a.rs::f` `b.rs` |\ntext\n";
    let rows = rows(page);
    assert_eq!(rows, [Row { id: "ZZ01", status: "tested", place: "`a.rs::f` `b.rs`" }]);
    assert_eq!(places(rows[0].place).collect::<Vec<_>>(), [("a.rs", Some("f")), ("b.rs", None)]);
    let source = "//! Head.\n\n/// Not this.\nfn f_two() {}\n\n/// This.\n#[test]\npub fn f() {}\n";
    assert_eq!(comment(source, Some("f")).as_deref(), Some("#[test]\n/// This."));
    assert_eq!(comment(source, Some("g")), None);
    assert_eq!(comment(source, None).as_deref(), Some("//! Head."));
    assert_eq!(ids_in("(see AB12, not AB123, ab12 or XAB12) CD34.").collect::<Vec<_>>(), ["AB12", "CD34"]);
}
