//! What a job is: a function that carries nothing, named by where its table lies in the program.
//!
//! # From a type to a number and back
//!
//! A function item or a closure that captures nothing is a type without a value: everything about it is in the program. For
//! each such type, with its arguments and result, the compiler makes a [`Table`] in the program's read-only data:
//!
//! | offset | type                 | what                                                              |
//! |--------|----------------------|-------------------------------------------------------------------|
//! | 0      | u64                  | [`MAGIC`]                                                         |
//! | 8      | `fn() -> &'static str` | the name of the function's type                                 |
//! | 16     | [`Run`]              | decode the arguments, call the function, encode its result        |
//!
//! The parent sends the table's offset from the program's first byte. A child is the same program, so its table lies at the
//! same offset, and its loader has filled in the child's own addresses.
//!
//! # What is checked before anything is called
//!
//! **1** both run the same program (the identity of `sys/image.rs`) · **2** the offset is aligned and the whole table lies in
//! readable image · **3** the magic · **4** both functions lie in executable image · **5** the name is the one sent. A number
//! that passes 2 to 4 by accident would have to point to another table of this crate: 5 finds that, except for two closures of
//! one function, whose names are equal; 1 has made sure that the sender's compiler meant the same one.
//!
//! A name that is registered by hand, which other programs could be told, is another form of [`TaskRef`] and not built yet.

use crate::error::{AttachError, DecodeError, EncodeError, Refusal};
use crate::luggage::{self, Inbound, Outbound};
use crate::message::{Failure, TaskRef};
use crate::sys::image::{Image, Use};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::ptr::NonNull;

const MAGIC: u64 = u64::from_le_bytes(*b"ipc-task");

/// Runs a task on packed arguments. Calls its last argument once all arguments are attached, before the function.
pub(crate) type Run = fn(Inbound, &mut dyn FnMut()) -> Result<Outbound, Failure>;

/// A function or a closure that captures nothing, to be called with the tuple `A`.
///
/// Implemented for everything that can be called so. That it captures nothing is checked when
/// [`Process::spawn`](crate::Process::spawn) is compiled for it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function that takes the arguments `{A}`",
    note = "arguments are a tuple, also a single one: `Process::spawn(f, (a,))`",
    note = "the parameters of a closure need their types: `|n: u64| ..`"
)]
pub trait Task<A>: Send + 'static {
    /// What it returns.
    type Output;

    #[doc(hidden)]
    fn call(self, arguments: A) -> Self::Output;
}

/// A tuple of up to eight values that can be sent to another process.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process as arguments",
    note = "arguments are a tuple of up to eight values, each `Serialize + DeserializeOwned + Send + 'static`"
)]
pub trait Arguments: sealed::Sealed + Send + 'static {
    #[doc(hidden)]
    fn append_to(&self, bytes: &mut Vec<u8>) -> Result<(), (usize, EncodeError)>;

    #[doc(hidden)]
    fn take_from(bytes: &[u8]) -> Result<Self, (usize, DecodeError)>
    where
        Self: Sized;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! for_tuple {
    ($count:literal: $($name:ident $index:tt),*) => {
        impl<$($name),*> sealed::Sealed for ($($name,)*) {}

        impl<$($name: Serialize + DeserializeOwned + Send + 'static),*> Arguments for ($($name,)*) {
            fn append_to(&self, _bytes: &mut Vec<u8>) -> Result<(), (usize, EncodeError)> {
                $(luggage::append(&self.$index, _bytes).map_err(|e| ($index, e))?;)*
                Ok(())
            }

            fn take_from(mut bytes: &[u8]) -> Result<Self, (usize, DecodeError)> {
                let _rest = &mut bytes;
                let arguments = ($(luggage::take::<$name>(_rest).map_err(|e| ($index, e))?,)*);
                luggage::finish(bytes).map_err(|e| (($count as usize).saturating_sub(1), e))?;
                Ok(arguments)
            }
        }

        impl<Func, Out, $($name),*> Task<($($name,)*)> for Func
        where
            Func: FnOnce($($name),*) -> Out + Send + 'static,
        {
            type Output = Out;

            fn call(self, _arguments: ($($name,)*)) -> Out {
                self($(_arguments.$index),*)
            }
        }
    };
}

for_tuple!(0:);
for_tuple!(1: A 0);
for_tuple!(2: A 0, B 1);
for_tuple!(3: A 0, B 1, C 2);
for_tuple!(4: A 0, B 1, C 2, D 3);
for_tuple!(5: A 0, B 1, C 2, D 3, E 4);
for_tuple!(6: A 0, B 1, C 2, D 3, E 4, F 5);
for_tuple!(7: A 0, B 1, C 2, D 3, E 4, F 5, G 6);
for_tuple!(8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

/// What the program holds for each task.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Table {
    magic: u64,
    name: fn() -> &'static str,
    run: Run,
}

struct TableOf<F, A>(PhantomData<fn(F, A)>);

impl<F, A> TableOf<F, A>
where
    F: Task<A, Output: Serialize>,
    A: Arguments,
{
    const TABLE: &'static Table = &Table { magic: MAGIC, name: std::any::type_name::<F>, run: run::<F, A> };
}

/// A task of this program, by reference to its table; `Err` is its name, if it is not part of the program's image.
pub(crate) fn name_task<F, A>(image: &Image, f: F) -> Result<TaskRef, &'static str>
where
    F: Task<A, Output: Serialize>,
    A: Arguments,
{
    const { assert!(size_of::<F>() == 0, "`f` must be a function or a closure that captures nothing") }
    // The child makes the value anew: this one has moved there.
    std::mem::forget(f);
    let table = TableOf::<F, A>::TABLE;
    let offset = image.offset_of(std::ptr::from_ref(table).addr());
    match find_in(image, offset) {
        Some(_) => Ok(TaskRef::Table { offset, name: (table.name)().to_owned() }),
        None => Err((table.name)()),
    }
}

/// The function to run for a task that a parent named.
pub(crate) fn find(image: &Image, task: &TaskRef) -> Result<Run, Refusal> {
    match task {
        TaskRef::Table { offset, name } => match find_in(image, *offset) {
            // 5.
            Some(table) if (table.name)() == name => Ok(table.run),
            _ => Err(Refusal::UnknownTask),
        },
    }
}

/// Steps 2 to 4: the table at an offset that may be any number.
fn find_in(image: &Image, offset: u64) -> Option<&'static Table> {
    // 2.
    if !offset.is_multiple_of(align_of::<Table>() as u64) || !image.holds(offset, size_of::<Table>() as u64, Use::Read)
    {
        return None;
    }
    let words = image.at::<[usize; 3]>(offset);
    // SAFETY: the range is aligned (the image starts on a page) and lies in one readable part of the program, which stays
    // mapped; any bytes are three numbers.
    let [magic, name, run] = unsafe { words.read() };
    // 3, 4.
    let is_code = |address: usize| image.holds(image.offset_of(address), 1, Use::Execute);
    if magic as u64 != MAGIC || !is_code(name) || !is_code(run) {
        return None;
    }
    let table = image.at::<Table>(offset);
    // SAFETY: readable and aligned as above. It has the magic and two addresses of code in its places, which nothing but a
    // `Table` made by this crate has; those are constants of the program, never written.
    Some(unsafe { &*table })
}

fn run<F, A>(inbound: Inbound, attached: &mut dyn FnMut()) -> Result<Outbound, Failure>
where
    F: Task<A, Output: Serialize>,
    A: Arguments,
{
    let arguments = luggage::unpack(inbound, A::take_from)
        .map_err(|(argument, error)| Failure::Attach { argument: argument as u32, source: AttachError::from(error) })?;
    attached();
    let result = conjure::<F>().call(arguments);
    let encoded = luggage::pack(|bytes| luggage::append(&result, bytes));
    encoded.map_err(|error| Failure::Encode { reason: error.to_string() })
}

/// The one value of a type that has no size.
fn conjure<F>() -> F {
    const { assert!(size_of::<F>() == 0, "`f` must be a function or a closure that captures nothing") }
    // SAFETY: reading no bytes from an aligned address is always valid, and a value of no size has no bytes that could be
    // invalid. It is no copy of another: the parent forgot its own when it sent this task, so the value has moved here.
    unsafe { NonNull::<F>::dangling().read() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(a: u64, b: u64) -> u64 {
        a + b
    }

    fn image() -> &'static Image {
        Image::of_this_program().expect("tests are programs")
    }

    fn run_here(task: &TaskRef, arguments: impl Arguments) -> Result<Outbound, Failure> {
        let bytes = luggage::pack(|bytes| arguments.append_to(bytes)).expect("encode").bytes;
        let inbound = Inbound { bytes, descriptors: Vec::new() };
        let mut times = 0;
        let result = find(image(), task).expect("find")(inbound, &mut || times += 1);
        assert_eq!(times, result.is_ok() as u32, "attached is said once, and only if it is so");
        result
    }

    #[test]
    fn functions_and_closures_are_found_again() {
        let sum = name_task::<_, (u64, u64)>(image(), add).expect("name");
        let square = name_task::<_, (u64,)>(image(), |x: u64| x * x).expect("name");
        let cube = name_task::<_, (u64,)>(image(), |x: u64| x * x * x).expect("name");
        assert_eq!(run_here(&sum, (2u64, 3u64)).expect("run").bytes, [5]);
        assert_eq!(run_here(&square, (5u64,)).expect("run").bytes, [25]);
        assert_eq!(run_here(&cube, (5u64,)).expect("run").bytes, [125]);
    }

    #[test]
    fn a_wrong_number_or_name_is_unknown() {
        let TaskRef::Table { offset, name } = name_task::<_, (u64, u64)>(image(), add).expect("name");
        for wrong in [0, 8, offset + 1, offset + 8, offset - 8, u64::MAX, u64::MAX - 7, 1 << 63] {
            let task = TaskRef::Table { offset: wrong, name: name.clone() };
            assert_eq!(find(image(), &task).err(), Some(Refusal::UnknownTask), "{wrong:#x}");
        }
        let task = TaskRef::Table { offset, name: "another".into() };
        assert_eq!(find(image(), &task).err(), Some(Refusal::UnknownTask));
    }

    #[test]
    fn arguments_that_do_not_decode_are_named() {
        fn three(_: u8, _: String, _: u8) {}
        let task = name_task::<_, (u8, String, u8)>(image(), three).expect("name");
        let failed = run_here(&task, (1u8, vec![0xffu8, 0xfe], 3u8));
        assert!(
            matches!(failed, Err(Failure::Attach { argument: 1, source: AttachError::Decode { .. } })),
            "{failed:?}"
        );
        let excess = run_here(&task, (1u8, "text", 3u8, 4u8).to_owned_text());
        assert!(matches!(excess, Err(Failure::Attach { argument: 2, .. })), "{excess:?}");
    }

    trait ToOwnedText {
        fn to_owned_text(self) -> (u8, String, u8, u8);
    }

    impl ToOwnedText for (u8, &str, u8, u8) {
        fn to_owned_text(self) -> (u8, String, u8, u8) {
            (self.0, self.1.to_owned(), self.2, self.3)
        }
    }

    #[test]
    fn eight_arguments() {
        #[allow(clippy::too_many_arguments)]
        fn eight(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> Vec<u8> {
            vec![a, b, c, d, e, f, g, h]
        }
        let arguments = (1u8, 2u8, 3u8, 4u8, 5u8, 6u8, 7u8, 8u8);
        let task = name_task::<_, (u8, u8, u8, u8, u8, u8, u8, u8)>(image(), eight).expect("name");
        assert_eq!(run_here(&task, arguments).expect("run").bytes, [8, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
