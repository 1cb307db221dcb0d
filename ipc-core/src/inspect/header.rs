//! The header: every field, what is wrong with it, and what can still be believed of the segment's shape.

use super::source::Source;
use super::{Recorded, Sheet, Standing};
use crate::layout::header::{Geometry, HeaderState, MAX_BUCKETS, MAX_ROWS, ROW_BYTES, ROWS_AT, places};

/// Where the parts of a segment begin, as far as that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub rows: u32,
    pub buckets: u32,
    pub buckets_at: u64,
    pub space_at: u64,
}

/// Describes the header; the shape, unless too much of it is damaged.
pub(super) fn examine(source: &Source<'_>, sheet: &mut Sheet) -> Option<Shape> {
    let bytes = source.read(0, size_of::<HeaderState>());
    if bytes.len() < size_of::<HeaderState>() {
        sheet.damage("file size", format_args!("{} bytes, too few for a header", source.size()));
    }
    let header = HeaderState::copied(&bytes);
    let mut wrong = Vec::new();
    Geometry::examine(&header, source.size(), &mut |field, found, expected| wrong.push((field, found, expected)));
    for (field, text) in header.fields() {
        match wrong.iter().position(|(name, ..)| *name == field) {
            None => sheet.fact(field, text),
            Some(at) => {
                let (_, found, expected) = wrong.swap_remove(at);
                sheet.damage(field, format_args!("{found}, expected {expected}"));
            }
        }
    }
    for (field, found, expected) in wrong {
        sheet.damage(field, format_args!("{found}, expected {expected}"));
    }
    let shape = believable(&header);
    match shape {
        None => sheet.damage("shape", "too much of it is damaged to find rows, buckets and objects"),
        Some(shape) if shape != Shape::of(&header) => {
            let Shape { rows, buckets, .. } = shape;
            sheet.push("shape", format_args!("taken to be {rows} rows and {buckets} buckets"), Standing::Notice);
        }
        Some(_) => {}
    }
    shape
}

/// Four fields that follow from two numbers: one of the four may be damaged, and the numbers can still be told.
fn believable(header: &HeaderState) -> Option<Shape> {
    let said = Shape::of(header);
    let by_place =
        said.buckets_at.checked_sub(ROWS_AT).map_or(0, |bytes| u32::try_from(bytes / ROW_BYTES).unwrap_or(0));
    let behind = said.space_at.saturating_sub(said.buckets_at) / 8;
    let between = u32::try_from(behind).unwrap_or(0).checked_next_power_of_two().unwrap_or(0);
    let fewer = if u64::from(between) > behind { between / 2 } else { between };
    let candidates =
        [said.rows, by_place].into_iter().flat_map(|rows| [said.buckets, fewer].map(|buckets| (rows, buckets)));
    candidates
        .filter(|&(rows, buckets)| {
            (1..=MAX_ROWS).contains(&rows) && buckets.is_power_of_two() && buckets <= MAX_BUCKETS
        })
        .map(|(rows, buckets)| {
            let (buckets_at, space_at) = places(rows, buckets);
            Shape { rows, buckets, buckets_at, space_at }
        })
        .max_by_key(|shape| shape.agreements(&said))
        .filter(|shape| shape.agreements(&said) >= 3)
}

impl Shape {
    fn of(header: &HeaderState) -> Self {
        let (rows, buckets, buckets_at, space_at) = header.shape();
        Self { rows, buckets, buckets_at, space_at }
    }

    fn agreements(&self, said: &Self) -> usize {
        [
            self.rows == said.rows,
            self.buckets == said.buckets,
            self.buckets_at == said.buckets_at,
            self.space_at == said.space_at,
        ]
        .into_iter()
        .filter(|equal| *equal)
        .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::Identity;

    fn bytes_of(rows: u32, buckets: u32) -> Vec<u8> {
        let geometry = Geometry::new(7, 4096, rows, buckets, 0).unwrap();
        let header = HeaderState::copied(&[]);
        geometry.write(&header, &Identity::default());
        Geometry::publish(&header);
        let mut bytes = header.bytes();
        bytes.resize(geometry.total as usize, 0);
        bytes
    }

    #[test]
    fn a_good_header_has_no_damage() {
        let bytes = bytes_of(3, 16);
        let mut sheet = Sheet::default();
        let shape = examine(&Source::memory(&bytes), &mut sheet).unwrap();
        assert_eq!((shape.rows, shape.buckets), (3, 16));
        assert_eq!(sheet.damages().count(), 0, "{sheet}");
        assert_eq!(sheet.get("magic"), Some("IPCSEGM"));
    }

    /// Each field that says something about the shape, destroyed alone, is told and does without.
    #[test]
    fn the_shape_survives_the_loss_of_one_field() {
        let good = bytes_of(5, 64);
        let shape = examine(&Source::memory(&good), &mut Sheet::default());
        for field in ["rows", "buckets", "buckets_at", "space_at", "total", "magic", "version"] {
            let place = HeaderState::RECORD.fields.iter().find(|place| place.name == field).unwrap();
            for scribble in [0x00, 0xff, 0x33] {
                let mut bytes = good.clone();
                bytes[place.offset..][..place.bytes].fill(scribble);
                let mut sheet = Sheet::default();
                assert_eq!(examine(&Source::memory(&bytes), &mut sheet), shape, "{field} {scribble}\n{sheet}");
                assert!(sheet.damages().count() > 0, "{field} {scribble}");
            }
        }
    }

    #[test]
    fn a_text_is_no_segment() {
        let mut sheet = Sheet::default();
        assert_eq!(examine(&Source::memory(&[b'a'; 5000]), &mut sheet), None);
        assert!(sheet.get("shape").is_some());
        assert_eq!(examine(&Source::memory(&[]), &mut Sheet::default()), None);
    }
}
