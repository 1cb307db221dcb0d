//! Shared structs within one process: composition, first values, what is refused, and how layouts are told apart.

use ipc_core::{
    Array, ArrayState, AtomicArrayState, AtomicState, AtomicValue, ErrorKind, LockError, Plain, RawValue, Segment,
    Shared, Text, Value, ValueState, plain, shared,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

#[plain]
#[derive(Debug, PartialEq)]
struct Row {
    cents: i64,
    branch: u16,
}

#[shared]
struct Branch {
    clerks: u32,
    name: Text<10>,
    visits: AtomicState<u64>,
}

#[shared]
struct Bank {
    limit: i64,
    total: ValueState<[u64; 4]>,
    rows: [ValueState<Row>; 16],
    branches: [Branch; 3],
    days: ArrayState<u16, 7>,
    hours: AtomicArrayState<u8, 24>,
    first: Row,
}

fn name(test: &str) -> String {
    format!("shared-{test}-{}", std::process::id())
}

struct Unlink(String);

impl Drop for Unlink {
    fn drop(&mut self) {
        let _ = Segment::unlink(&self.0);
    }
}

#[test]
fn smoke() {
    let bank = Shared::<Bank>::new().unwrap();
    let row: Value<Row> = bank.at(|b| &b.rows[7]);
    row.update(|row| row.cents += 5).unwrap();
    assert_eq!(bank.at(|b| &b.rows[7]).get().unwrap(), Row { cents: 5, branch: 0 });
    assert_eq!(bank.at(|b| &b.rows[8]).get().unwrap(), Row { cents: 0, branch: 0 });
    let limit: RawValue<i64> = bank.at(|b| &b.limit);
    limit.set(-3);
    assert_eq!(bank.at(|b| &b.limit).get(), -3);
    let visits: AtomicValue<u64> = bank.at(|b| &b.branches[1].visits);
    visits.fetch_add(2, Relaxed);
    let branch: Shared<Branch> = bank.at(|b| &b.branches[1]);
    assert_eq!(branch.at(|b| &b.visits).load(Relaxed), 2);
    let days: Array<u16> = bank.at(|b| &b.days);
    assert_eq!(days.len(), 7);
    days.set(6, 9).unwrap();
    assert_eq!(bank.at(|b| &b.days).to_vec().unwrap(), [0, 0, 0, 0, 0, 0, 9]);
    assert_eq!(bank.at(|b| &b.hours).len(), 24);
    bank.at(|b| &b.first).set(Row { cents: 1, branch: 2 });
    assert_eq!(bank.at(|b| &b.first).get().branch, 2);
}

#[test]
fn every_way_to_it() {
    let (name, segment) = (Unlink(name("ways")), Segment::new(1 << 20).unwrap());
    let made = [
        (Shared::<Bank>::create(&name.0).unwrap(), Shared::<Bank>::open(&name.0).unwrap()),
        (Shared::create_in(&segment, "bank").unwrap(), Shared::open_in(&segment, "bank").unwrap()),
        (Shared::open_or_create(&name.0).unwrap(), Shared::open_or_create(&name.0).unwrap()),
        {
            let new = Shared::new_in(&segment).unwrap();
            let twin = Shared::attach(&new.ticket()).unwrap();
            (new, twin)
        },
    ];
    for (one, other) in made {
        one.at(|b| &b.rows[3]).set(Row { cents: 7, branch: 1 }).unwrap();
        assert_eq!(other.at(|b| &b.rows[3]).get().unwrap().cents, 7);
    }
}

#[test]
fn a_handle_of_a_field_outlives_the_shared() {
    let row = Shared::<Bank>::new().unwrap().at(|b| &b.rows[1]);
    row.set(Row { cents: 2, branch: 0 }).unwrap();
    assert_eq!(row.get().unwrap().cents, 2);
}

#[test]
fn what_fill_gives_is_there_from_the_beginning() {
    let name = Unlink(name("fill"));
    let bank = Shared::<Bank>::create_with(&name.0, |new| {
        new.set(|b| &b.limit, 9)?;
        new.set(|b| &b.branches[2].name, Text::new("third").unwrap())?;
        (0..16).try_for_each(|i| new.set(|b| &b.rows[i], Row { cents: i as i64, branch: 0 }))
    })
    .unwrap();
    let again = Shared::<Bank>::open(&name.0).unwrap();
    assert_eq!((again.at(|b| &b.limit).get(), again.at(|b| &b.rows[9]).get().unwrap().cents), (9, 9));
    assert_eq!(bank.at(|b| &b.branches[2].name).get(), "third");
}

#[test]
fn a_fill_that_fails_or_panics_leaves_nothing() {
    let (name, segment) = (Unlink(name("nothing")), Segment::new(64 << 10).unwrap());
    let refused = |_: &mut ipc_core::Fresh<'_, Bank>| Err(ErrorKind::NotTravelling.into());
    assert_eq!(*Shared::create_with(&name.0, refused).unwrap_err().kind(), ErrorKind::NotTravelling);
    assert!(matches!(Shared::<Bank>::open(&name.0).unwrap_err().kind(), ErrorKind::NotFound { .. }));
    let free = segment.free_bytes();
    Shared::create_in_with(&segment, "bank", refused).unwrap_err();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        Shared::<Bank>::create_in_with(&segment, "bank", |_| std::panic::resume_unwind(Box::new("on purpose")))
    }));
    assert!(panicked.is_err());
    assert_eq!(segment.free_bytes(), free);
    Shared::<Bank>::create_in(&segment, "bank").unwrap();
    // Wrong number of elements: the type says seven.
    let error = Shared::<Bank>::new_with(|new| new.set(|b| &b.days, 6)).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::InvalidArgument { .. }), "{error}");
}

#[test]
#[should_panic(expected = "must return a reference to a field")]
fn a_reference_to_something_else_is_refused() {
    let (one, other) = (Shared::<Bank>::new().unwrap(), Shared::<Bank>::new().unwrap());
    // The other one's struct, smuggled out of its closure as a 'static one: nothing else gets it past the compiler.
    let mut row = None;
    other.at(|b| {
        // SAFETY: `other` lives to the end of the test.
        row = Some(unsafe { &*std::ptr::from_ref(&b.rows[0]) });
        &b.limit
    });
    one.at(|_| row.unwrap());
}

#[test]
fn fields_travel_by_ticket_and_by_message() {
    let bank = Shared::<Bank>::new().unwrap();
    let row = bank.at(|b| &b.rows[5]);
    row.set(Row { cents: 4, branch: 0 }).unwrap();
    let ticket = row.ticket().to_string();
    let twin = Value::<Row>::attach(&ticket.parse().unwrap()).unwrap();
    assert_eq!(twin.get().unwrap().cents, 4);
    assert_eq!(twin.ticket(), row.ticket());
    let days = Array::<u16>::attach(&bank.at(|b| &b.days).ticket()).unwrap();
    assert_eq!(days.len(), 7);
    let branch = Shared::<Branch>::attach(&bank.at(|b| &b.branches[2]).ticket()).unwrap();
    branch.at(|b| &b.clerks).set(8);
    assert_eq!(RawValue::<u32>::attach(&branch.at(|b| &b.clerks).ticket()).unwrap().get(), 8);
    // The first field lies where the struct does.
    bank.at(|b| &b.limit).set(6);
    assert_eq!(RawValue::<i64>::attach(&bank.at(|b| &b.limit).ticket()).unwrap().get(), 6);

    let (text, luggage) = ipc_core::transport::send(|| serde_json::to_string(&(&row, &branch, &bank)));
    assert_eq!(luggage.len(), 1);
    let text = text.unwrap();
    let (row, branch, _): (Value<Row>, Shared<Branch>, Shared<Bank>) =
        ipc_core::transport::receive(luggage.into_fds().unwrap(), || serde_json::from_str(&text)).unwrap();
    assert_eq!((row.get().unwrap().cents, branch.at(|b| &b.clerks).get()), (4, 8));
}

#[test]
fn a_ticket_to_the_wrong_place_is_refused() {
    let bank = Shared::<Bank>::new().unwrap();
    let row = bank.at(|b| &b.rows[5]).ticket().to_string();
    for wrong in [
        Value::<u64>::attach(&row.parse().unwrap()).err(),
        RawValue::<i64>::attach(&row.parse().unwrap()).err(),
        Shared::<Bank>::attach(&row.parse().unwrap()).err(),
        Array::<u16>::attach(&row.parse().unwrap()).err(),
        Value::<Row>::attach(&format!("{row}0").parse().unwrap()).err(),
        // Inside a state: the copies are the value's own.
        RawValue::<i64>::attach(&row.replace("+", "+1").parse().unwrap()).err(),
    ] {
        assert!(matches!(wrong.as_ref().unwrap().kind(), ErrorKind::WrongType { .. }), "{wrong:?}");
    }
    let value = Value::new(1u64).unwrap();
    let inside = format!("{}+8", value.ticket()).parse().unwrap();
    assert!(matches!(Value::<u64>::attach(&inside).unwrap_err().kind(), ErrorKind::WrongType { .. }));
    assert!(matches!(RawValue::<u64>::attach(&inside).unwrap_err().kind(), ErrorKind::WrongKind { .. }));
}

#[test]
fn layouts_are_told_apart_and_say_where() {
    #[shared(name = "pair")]
    struct Here {
        a: AtomicState<u32>,
        b: u32,
    }
    #[shared(name = "pair")]
    struct Reordered {
        b: u32,
        a: AtomicState<u32>,
    }
    #[shared(name = "pair")]
    struct Renamed {
        a: AtomicState<u32>,
        c: u32,
    }
    #[shared(name = "pair")]
    struct Resized {
        a: AtomicState<u32>,
        b: [u32; 2],
    }
    #[shared(name = "pair")]
    struct Retyped {
        a: AtomicState<i32>,
        b: u32,
    }
    #[shared(name = "pair")]
    struct Unwrapped {
        a: u32,
        b: u32,
    }
    let name = Unlink(name("layouts"));
    let _here = Shared::<Here>::create(&name.0).unwrap();
    Shared::<Here>::open(&name.0).unwrap();
    for (error, told) in [
        (Shared::<Reordered>::open(&name.0).unwrap_err(), "`pair.b`: found as field number 2, expected as number 1"),
        (Shared::<Renamed>::open(&name.0).unwrap_err(), "`pair.c`: found a field named `b` in its place"),
        (Shared::<Resized>::open(&name.0).unwrap_err(), "`pair.b`: found `u32`, expected `[u32; 2]`"),
        (Shared::<Retyped>::open(&name.0).unwrap_err(), "`pair.a`: found `u32`, expected `i32`"),
        (
            Shared::<Unwrapped>::open(&name.0).unwrap_err(),
            "`pair.a`: found `AtomicValue<u32>{size 4 align 4}`, expected `u32`",
        ),
    ] {
        assert!(matches!(error.kind(), ErrorKind::WrongType { .. }), "{error}");
        assert!(error.to_string().contains(told), "{error}");
        assert!(error.to_string().contains("≠"), "{error}");
    }
}

#[test]
fn a_text_too_long_leaves_the_old_one() {
    let text = Value::new(Text::<4>::new("abcd").unwrap()).unwrap();
    let error = text.update(|text| text.set("abcde")).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "a text of 5 bytes where 4 fit");
    assert_eq!(text.get().unwrap(), "abcd");
    let mut held = text.lock().unwrap();
    held.set("ü").unwrap();
    drop(held);
    assert_eq!(text.get().unwrap().as_str(), Ok("ü"));
    assert_eq!(Text::<4>::SCHEMA.text(), "Text{size 8 align 4; len@0: u32, bytes@4: [u8; 4]}");
}

#[test]
fn the_lock_of_a_field_is_that_field_alone() {
    let bank = Shared::<Bank>::new().unwrap();
    let (one, other) = (bank.at(|b| &b.rows[0]), bank.at(|b| &b.rows[1]));
    let held = one.lock().unwrap();
    assert_eq!(bank.at(|b| &b.rows[0]).try_lock().err(), Some(LockError::WouldBlock));
    drop(other.try_lock().unwrap());
    drop(held);
}
