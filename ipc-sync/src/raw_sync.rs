//! An event for programs on the crate `raw_sync`: the traits of its events, over [`EventState`](crate::EventState).
//!
//! ```
//! use ipc_sync::raw_sync::Event;                      // instead of raw_sync::events::Event
//! use raw_sync::{Timeout, events::{EventInit, EventState}};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut memory = vec![0u8; Event::size_of(None)];   // of a mapping that processes share
//! // SAFETY: so many bytes, which outlive the event and which nobody else uses.
//! let (ready, _) = unsafe { Event::new(memory.as_mut_ptr(), true)? };
//! ready.set(EventState::Signaled)?;
//! ready.wait(Timeout::Infinite)?;
//! # Ok(())
//! # }
//! ```
//!
//! What changes: a waiter that is killed inside holds up nobody, a timeout is as long as it says, and what is not an event is
//! refused by `from_existing`. The bytes differ from those of `raw_sync`: all processes change over at once.
//!
//! An [`Event`](crate::Event) of a segment can be used as `&dyn EventImpl`, too. There is no such bridge for locks: the guards of
//! `raw_sync` cannot be made outside of it.

use crate::{EventError, EventState, Reset};
use ::raw_sync::Timeout;
use ::raw_sync::events::{self, EventImpl, EventInit};
use ipc_core::Deadline;
use std::error::Error;
use std::ptr::NonNull;

/// Makes events, and finds them again, at addresses of the caller's choice; see the [module](self).
///
/// The event lies at the first address that is a multiple of 64, which must be the same offset for all processes: it is if they
/// give the same offset of one mapping. [`size_of`](EventInit::size_of) counts the bytes before it; without an address, as many
/// as there may be.
///
/// # Errors
/// `new`: none. `from_existing`: [`Corrupt`](ipc_core::Corrupt) for what is not an event. Waiting: [`EventError`], boxed.
#[derive(Debug)]
pub struct Event(());

/// An event in memory that somebody else keeps.
struct Borrowed(NonNull<EventState>);

impl Borrowed {
    fn state(&self) -> &EventState {
        // SAFETY: whoever made it has promised that an event lies here while it is in use; it is aligned, and atomics only.
        unsafe { self.0.as_ref() }
    }
}

/// Where the event lies behind this address, and the bytes up to its end.
fn place(mem: *mut u8) -> Result<(NonNull<EventState>, usize), Box<dyn Error>> {
    let padding = mem.align_offset(align_of::<EventState>());
    let at = NonNull::new(mem).ok_or("the address of an event is null")?;
    let at = NonNull::new(at.as_ptr().wrapping_add(padding)).ok_or("the address of an event is no place for it")?;
    Ok((at.cast(), padding + size_of::<EventState>()))
}

impl EventInit for Event {
    fn size_of(addr: Option<*mut u8>) -> usize {
        let padding = addr.map_or(align_of::<EventState>() - 1, |mem| mem.align_offset(align_of::<EventState>()));
        padding + size_of::<EventState>()
    }

    unsafe fn new(mem: *mut u8, auto_reset: bool) -> Result<(Box<dyn EventImpl>, usize), Box<dyn Error>> {
        let (at, used) = place(mem)?;
        // SAFETY: the caller promises `size_of` writable bytes that nobody uses; the place is inside them, and aligned.
        unsafe { at.write(EventState::new(if auto_reset { Reset::Auto } else { Reset::Manual })) };
        Ok((Box::new(Borrowed(at)), used))
    }

    unsafe fn from_existing(mem: *mut u8) -> Result<(Box<dyn EventImpl>, usize), Box<dyn Error>> {
        let (at, used) = place(mem)?;
        let event = Borrowed(at);
        event.state().check()?;
        Ok((Box::new(event), used))
    }
}

impl EventImpl for Borrowed {
    fn wait(&self, timeout: Timeout) -> Result<(), Box<dyn Error>> {
        wait(self.state(), timeout)
    }

    fn set(&self, state: events::EventState) -> Result<(), Box<dyn Error>> {
        set(self.state(), state);
        Ok(())
    }
}

impl EventImpl for crate::Event {
    fn wait(&self, timeout: Timeout) -> Result<(), Box<dyn Error>> {
        wait(self.state(), timeout)
    }

    fn set(&self, state: events::EventState) -> Result<(), Box<dyn Error>> {
        set(self.state(), state);
        Ok(())
    }
}

fn wait(event: &EventState, timeout: Timeout) -> Result<(), Box<dyn Error>> {
    let deadline = match timeout {
        Timeout::Infinite => Deadline::NEVER,
        Timeout::Val(timeout) => Deadline::after(timeout),
    };
    event.wait(deadline).map_err(|error: EventError| error.into())
}

fn set(event: &EventState, state: events::EventState) {
    match state {
        events::EventState::Clear => event.clear(),
        events::EventState::Signaled => event.set(),
    }
}
