use super::super::plain;
use super::*;
use proptest::prelude::*;

#[plain(crate = "crate")]
#[derive(Debug, PartialEq)]
struct Inner {
    tag: u8,
    value: u32,
}

#[plain(crate = "crate")]
#[derive(Debug, PartialEq)]
struct Outer {
    a: u8,
    inner: Inner,
    many: [Inner; 3],
    b: u64,
    nothing: (),
    c: u16,
}

#[plain(crate = "crate")]
#[derive(Debug, PartialEq)]
#[repr(align(64))]
struct Line {
    word: u32,
}

#[plain(crate = "crate")]
#[derive(Debug, PartialEq)]
struct Bytes(u8, [u8; 36]);

#[plain(crate = "crate")]
#[derive(Debug, PartialEq)]
struct Wide(u16, u128, [u16; 9]);

/// Room for any of them, wherever in it, on a line of its own.
#[repr(align(64))]
struct Room([u8; 256]);

/// Room filled with a byte that no test value has by chance, and a pointer to the first place for a `T` from `offset` on.
fn place<T>(room: &mut Room, offset: usize) -> *mut T {
    room.0.fill(0xa5);
    room.0.as_mut_ptr().wrapping_add(offset.next_multiple_of(align_of::<T>())).cast()
}

fn gaps<T: Plain>() -> Vec<(usize, usize)> {
    let mut gaps = Vec::new();
    T::padding(0, &mut |gap| gaps.push((gap.start, gap.end)));
    gaps
}

#[test]
fn gaps_are_between_inside_and_behind_fields() {
    assert_eq!(gaps::<Inner>(), [(1, 4)]);
    assert_eq!(gaps::<Outer>(), [(1, 4), (5, 8), (13, 16), (21, 24), (29, 32), (36, 40), (50, 56)]);
    assert_eq!(gaps::<Line>(), [(4, 64)]);
    assert_eq!(gaps::<[Line; 2]>(), [(4, 64), (68, 128)]);
    assert_eq!(gaps::<Wide>(), [(2, 16), (50, 64)]);
    assert_eq!(gaps::<[[Inner; 1]; 2]>(), [(1, 4), (9, 12)]);
    for none in [gaps::<u64>(), gaps::<()>(), gaps::<Bytes>(), gaps::<[u128; 3]>(), gaps::<[Inner; 0]>()] {
        assert_eq!(none, []);
    }
}

/// The image that a value of these bytes must leave: itself, with the gaps zero.
fn image<T: Plain>(bytes: &[u8; 128]) -> Vec<u8> {
    let mut image = bytes[..size_of::<T>()].to_vec();
    for (start, end) in gaps::<T>() {
        image[start..end].fill(0);
    }
    image
}

/// Stores a value of any bytes, and sees that it comes back, with zeroed gaps, and that nothing around it changed.
fn round_trip<T: Plain + std::fmt::Debug + PartialEq>(bytes: &[u8; 128], offset: usize) {
    let value = T::read_from_prefix(bytes).expect("as many bytes").0;
    let mut room = Room([0; 256]);
    let at = place::<T>(&mut room, offset);
    // SAFETY: aligned, within the room, and nobody else knows of it.
    unsafe { store_plain(at, value) };
    // SAFETY: as above.
    let loaded = unsafe { load_plain(at) };
    let start = at.addr() - room.0.as_ptr().addr();
    let (before, rest) = room.0.split_at(start);
    let (stored, after) = rest.split_at(size_of::<T>());
    assert_eq!(loaded, value);
    assert_eq!(stored, image::<T>(bytes));
    assert!(before.iter().chain(after).all(|&byte| byte == 0xa5), "bytes around the value changed");
}

/// The same for a value whose gaps were dirtied in place.
fn scrub<T: Plain>(bytes: &[u8; 128], offset: usize) {
    let mut room = Room([0; 256]);
    let at = place::<T>(&mut room, offset);
    let start = at.addr() - room.0.as_ptr().addr();
    room.0[start..start + size_of::<T>()].copy_from_slice(&bytes[..size_of::<T>()]);
    let at = room.0.as_mut_ptr().wrapping_add(start).cast::<T>();
    // SAFETY: aligned, within the room, and nobody else knows of it.
    unsafe { scrub_padding(at) };
    let (before, rest) = room.0.split_at(start);
    let (scrubbed, after) = rest.split_at(size_of::<T>());
    assert_eq!(scrubbed, image::<T>(bytes));
    assert!(before.iter().chain(after).all(|&byte| byte == 0xa5), "bytes around the value changed");
}

proptest! {
    #[test]
    fn values_come_back_and_gaps_are_zero(bytes: [[u8; 32]; 4], offset in 0usize..64) {
        let bytes = bytes.as_flattened().try_into().expect("128 bytes");
        round_trip::<u8>(bytes, offset);
        round_trip::<i16>(bytes, offset);
        round_trip::<u32>(bytes, offset);
        round_trip::<u64>(bytes, offset);
        round_trip::<i128>(bytes, offset);
        round_trip::<()>(bytes, offset);
        round_trip::<[u8; 7]>(bytes, offset);
        round_trip::<[u16; 20]>(bytes, offset);
        round_trip::<[u32; 31]>(bytes, offset);
        round_trip::<Inner>(bytes, offset);
        round_trip::<[Inner; 13]>(bytes, offset);
        round_trip::<Outer>(bytes, offset);
        round_trip::<Line>(bytes, offset);
        round_trip::<[Line; 2]>(bytes, offset);
        round_trip::<Bytes>(bytes, offset);
        round_trip::<Wide>(bytes, offset);
    }

    #[test]
    fn gaps_are_zeroed_in_place(bytes: [[u8; 32]; 4], offset in 0usize..64) {
        let bytes = bytes.as_flattened().try_into().expect("128 bytes");
        scrub::<u64>(bytes, offset);
        scrub::<Inner>(bytes, offset);
        scrub::<[Inner; 13]>(bytes, offset);
        scrub::<Outer>(bytes, offset);
        scrub::<[Line; 2]>(bytes, offset);
        scrub::<Wide>(bytes, offset);
    }

    #[test]
    fn words_cover_and_split_no_scalar(place in 0usize..1 << 40, units in 0usize..100, align_log in 0u32..7) {
        let align = 1 << align_log;
        let (addr, len) = (place * align, units * align);
        let mut end = 0;
        for_each_run(std::ptr::without_provenance_mut(addr), len, align, |run| {
            assert_eq!(run.offset, end, "words follow each other");
            assert_eq!(run.shared.addr(), addr + run.offset);
            if run.words != 0 {
                assert_eq!(run.shared.addr() % run.word_bytes, 0, "words are aligned");
                assert!(run.word_bytes >= align.min(8), "words hold a scalar");
            }
            end += run.words * run.word_bytes;
        });
        prop_assert_eq!(end, len);
    }
}

/// Any not-a-number keeps its bytes.
#[test]
fn floats_keep_their_bits() {
    let mut room = Room([0; 256]);
    for bits in [0x7ff0_0000_0000_0001_u64, u64::MAX, 1 << 63, 0] {
        let at = place::<f64>(&mut room, 8);
        // SAFETY: aligned, within the room, and nobody else knows of it.
        unsafe { store_plain(at, f64::from_bits(bits)) };
        // SAFETY: as above.
        assert_eq!(unsafe { load_plain(at) }.to_bits(), bits);
    }
}

/// How many words a value of this size and alignment at this address takes, by size of word.
fn words(addr: usize, len: usize, align: usize) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    for_each_run(std::ptr::without_provenance_mut(addr), len, align, |run| words.push((run.words, run.word_bytes)));
    words.retain(|&(words, _)| words != 0);
    words
}

#[test]
fn scalars_are_never_torn() {
    for bytes in [1, 2, 4, 8] {
        assert_eq!(words(0x1000 + bytes, bytes, bytes), [(1, bytes)]);
    }
    assert_eq!(words(0x1010, 16, 16), [(2, 8)]);
}

#[test]
fn long_values_move_in_words_of_eight() {
    assert_eq!(words(0x1003, 37, 1), [(5, 1), (4, 8)]);
    assert_eq!(words(0x1004, 128, 4), [(1, 4), (15, 8), (1, 4)]);
    assert_eq!(words(0x1003, 8, 1), [(8, 1)]);
    assert_eq!(words(0x1000, 0, 1), []);
}
