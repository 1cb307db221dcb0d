//! No byte of a process's own memory gets into a segment with an object: what lies in its body is what its layout says.
//!
//! Each object is made twice, in two segments, with the stack below its maker full of another byte each time: the two are
//! equal to the last byte, padding included. And each state is initialised in place over memory full of one byte: what it
//! does not write stays as it was.

use ipc_core::raw::{State, View};
use ipc_core::{
    Array, ArrayState, AtomicArray, AtomicState, AtomicValue, RawValue, RawValueState, Segment, Shared, Text, Value,
    ValueState, plain,
};
use ipc_queue::Queue;
use ipc_sync::{Lock, LockState};
use ipc_tests::pair::Vault;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::hint::black_box;
use std::ptr::NonNull;

#[plain]
#[derive(Default)]
struct Gaps {
    a: u8,
    b: u64,
    c: u16,
    d: Text<5>,
}

/// Leaves the stack full of `byte` far below the caller's frame.
#[inline(never)]
fn poison(byte: u8) {
    let mut frame = [0u8; 48 << 10];
    frame.fill(black_box(byte));
    black_box(&mut frame);
}

/// All bytes of a segment that objects can have, after `make` has made one.
#[inline(never)]
fn bytes_after<H>(byte: u8, make: impl Fn(&Segment) -> H) -> Vec<u8> {
    let segment = Segment::options().members(8).anonymous(64 << 10).expect("a small segment");
    let space_at = (segment.len_bytes() - segment.free_bytes()) as usize;
    poison(byte);
    let made = make(black_box(&segment));
    let file = std::fs::File::from(segment.as_fd().try_clone_to_owned().expect("a descriptor"));
    let mut bytes = vec![0; segment.len_bytes() as usize];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).expect("all of the segment");
    drop(made);
    bytes.split_off(space_at)
}

fn equal_whatever_the_stack_holds<H>(what: &str, make: impl Fn(&Segment) -> H) {
    let [zero, one, other] = [0, 0xa5, 0x3c].map(|byte| bytes_after(byte, &make));
    for (at, bytes) in zero.iter().zip(one.iter().zip(&other)).enumerate() {
        let (a, (b, c)) = bytes;
        assert!(a == b && b == c, "{what}: byte {at} of the space is {a:#x}, {b:#x}, {c:#x}");
    }
}

#[test]
fn objects_are_equal_whatever_the_stack_holds() {
    let gaps = Gaps { a: 1, b: 2, c: 3, d: Text::EMPTY };
    equal_whatever_the_stack_holds("Value<u64>", |s| Value::new_in(s, 7u64).unwrap());
    equal_whatever_the_stack_holds("Value<Gaps>", |s| Value::create_in(s, "name", gaps).unwrap());
    equal_whatever_the_stack_holds("Array<Gaps>", |s| Array::<Gaps>::new_in(s, 5).unwrap());
    equal_whatever_the_stack_holds("AtomicValue", |s| AtomicValue::new_in(s, 7u16).unwrap());
    equal_whatever_the_stack_holds("AtomicArray", |s| AtomicArray::<u8>::new_in(s, 13).unwrap());
    equal_whatever_the_stack_holds("RawValue<Gaps>", |s| RawValue::new_in(s, gaps).unwrap());
    equal_whatever_the_stack_holds("Lock<Gaps>", |s| Lock::new_in(s, gaps).unwrap());
    equal_whatever_the_stack_holds("Lock<()>", |s| Lock::new_in(s, ()).unwrap());
    equal_whatever_the_stack_holds("Queue<u8>", |s| Queue::<u8>::new_in(s, 10).unwrap());
    equal_whatever_the_stack_holds("Queue<Gaps>", |s| Queue::<Gaps>::new_in(s, 10).unwrap());
    equal_whatever_the_stack_holds("Shared<Vault>", |s| Shared::<Vault>::new_in(s).unwrap());
}

#[test]
fn what_is_written_through_a_guard_brings_nothing_along() {
    equal_whatever_the_stack_holds("Lock<Gaps>", |s| {
        let lock = Lock::new_in(s, Gaps::default()).unwrap();
        // SAFETY of the stack: none; the padding of this value is whatever it is.
        *lock.lock().unwrap() = black_box(Gaps { a: 1, b: 2, c: 3, d: Text::EMPTY });
        lock
    });
}

/// A state over memory full of one byte.
struct Memory<S> {
    at: NonNull<u8>,
    state: std::marker::PhantomData<S>,
}

impl<S: State<Tail = ()>> Memory<S> {
    const LAYOUT: Layout = Layout::new::<S>();

    fn full_of(byte: u8) -> Self {
        // SAFETY: no state has no bytes.
        let at = unsafe { alloc(Self::LAYOUT) };
        let at = NonNull::new(at).unwrap_or_else(|| handle_alloc_error(Self::LAYOUT));
        // SAFETY: so many bytes were allocated.
        unsafe { at.write_bytes(byte, Self::LAYOUT.size()) };
        Self { at, state: std::marker::PhantomData }
    }

    fn view(&self) -> View<'_, S> {
        // SAFETY: allocated with the layout of a state without a tail, and initialised; any bytes are one.
        unsafe { View::new(self.at, 0) }
    }

    fn bytes(&self) -> Vec<u8> {
        (0..Self::LAYOUT.size())
            .map(|i| {
                // SAFETY: inside the allocation.
                let byte = unsafe { self.at.add(i) };
                // SAFETY: initialised, and nobody else's.
                unsafe { byte.read() }
            })
            .collect()
    }
}

impl<S> Drop for Memory<S> {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; no reference into it is left.
        unsafe { dealloc(self.at.as_ptr(), Layout::new::<S>()) };
    }
}

#[inline(never)]
fn initialised<S: State<Tail = ()>>(fill: u8, stack: u8, init: Option<&S::Init>) -> Vec<u8> {
    let memory = Memory::<S>::full_of(fill);
    poison(stack);
    S::init(black_box(memory.view()), init);
    memory.bytes()
}

/// Each byte is the same whatever was there before, since `init` wrote it, or is what was there before.
fn writes_what_it_says<S: State<Tail = ()>>(init: Option<&S::Init>) {
    let runs = [(0, 0xa5), (0, 0x3c), (0xa5, 0), (0xa5, 0x3c)]
        .map(|(fill, stack)| (fill, initialised::<S>(fill, stack, init)));
    for at in 0..size_of::<S>() {
        let written = runs.iter().all(|(_, bytes)| bytes[at] == runs[0].1[at]);
        let left_alone = runs.iter().all(|(fill, bytes)| bytes[at] == *fill);
        assert!(written || left_alone, "byte {at} of a {}", S::NAME);
    }
}

#[test]
fn states_write_what_they_say_and_leave_the_rest() {
    let gaps = Gaps { a: 1, b: 2, c: 3, d: Text::EMPTY };
    writes_what_it_says::<ValueState<u8>>(Some(&7));
    writes_what_it_says::<ValueState<Gaps>>(Some(&gaps));
    writes_what_it_says::<ValueState<Gaps>>(None);
    writes_what_it_says::<ArrayState<Gaps, 3>>(None);
    writes_what_it_says::<AtomicState<i16>>(Some(&-1));
    writes_what_it_says::<RawValueState<Gaps>>(Some(&gaps));
    writes_what_it_says::<LockState<Gaps>>(Some(&gaps));
    writes_what_it_says::<LockState>(Some(&()));
    writes_what_it_says::<Vault>(None);
}
