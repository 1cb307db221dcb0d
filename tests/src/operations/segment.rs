//! Segments: a creator that dies leaves nothing, or a complete segment; a member that dies leaves a row that is used again.

use super::ledger::{Books, Ledger};
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::unique::{UniqueName, home, prefix};
use crate::view::View;
use ipc_core::raw::Census;
use ipc_core::{ErrorKind, Segment, Ticket, Value};
use std::sync::atomic::Ordering::SeqCst;

/// Adds named segments, anonymous ones, and membership.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("named segment", Named::new, Named::check)
            // What is visible of a name changes by system calls only.
            .memory(|_| 0)
            .operation("Segment::create", |scene| scene.noting(Segment::create(&scene.name, SPACE).is_ok()))
            .operation("Segment::open_or_create", |scene| {
                scene.noting(Segment::open_or_create(&scene.name, SPACE).is_ok());
            })
            .operation("Value::create", |scene| drop(Value::create(&scene.name, 7u64)))
            .operation("Segment::open", |scene| drop(Segment::open(&scene.name)))
            .case("Segment::open", "what exists", Named::existing, |scene| drop(Segment::open(&scene.name)))
            .case("Segment::unlink", "what exists", Named::existing, |scene| {
                scene.books.begin();
                drop(Segment::unlink(&scene.name));
            }),
    );
    registry.add(
        Object::new("anonymous segment", Anonymous::new, Anonymous::check)
            .memory(|_| 0)
            .operation("Segment::new", |_| drop(Segment::new(SPACE)))
            .operation("Value::new", |_| drop(Value::new(7u64)))
            .operation("Value::attach", |scene| drop(Value::<u64>::attach(&scene.ticket))),
    );
    registry.add(
        Object::new("membership", Membership::new, Membership::check)
            .memory(|scene| scene.view.digest())
            .operation("Census::me", |scene| _ = scene.segment.as_ref().map(Census::me))
            .operation("Segment::drop", |scene| {
                if let Some(segment) = scene.segment.take() {
                    let _ = segment.me();
                    scene.value = None;
                }
            })
            .operation("Segment::from_fd", |scene| {
                let fd = scene.value.as_ref().map(|value| value.segment().as_fd().try_clone_to_owned());
                drop(fd.map(|fd| fd.map(Segment::from_fd)));
            }),
    );
}

pub(super) const SPACE: u64 = 4096;

/// A name, which leads to nothing, to a segment, or (for `Value::create`) to a segment with one value.
struct Named {
    name: UniqueName,
    books: Ledger,
}

impl Named {
    fn new() -> Self {
        Self { name: UniqueName::new("crash"), books: Books::open() }
    }

    fn existing() -> Self {
        let scene = Self::new();
        scene.noting(Segment::create(&scene.name, SPACE).is_ok());
        scene
    }

    fn noting(&self, created: bool) {
        if created {
            self.books.end();
        }
    }

    fn check(scene: &mut Self) -> Finding {
        let (name, books) = (&*scene.name, &scene.books);
        let unlinked = books.begun.load(SeqCst) > 0;
        let found = match Segment::open(name) {
            Ok(segment) => {
                usable(&segment)?;
                true
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => false,
            Err(error) => return Err(Violation::torn(error.to_string())),
        };
        if !found && !unlinked && books.done.load(SeqCst) > 0 {
            return Err(Violation::lost("a segment whose creation had come back"));
        }
        if let Some(stranger) = others(name) {
            return Err(Violation::leaked(format!("the file {stranger}")));
        }
        let segment = Segment::open_or_create(name, SPACE).map_err(|error| Violation::broken(error.to_string()))?;
        usable(&segment)?;
        Segment::unlink(name).map_err(|error| Violation::broken(error.to_string()))?;
        match Segment::open(name) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => {}
            other => return Err(Violation::broken(format!("open after unlink: {other:?}"))),
        }
        Ok(if found { "complete" } else { "no trace" }.into())
    }
}

/// A file of this program beside the one with this name.
pub(super) fn others(name: &str) -> Option<String> {
    let names = std::fs::read_dir(home()).ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let tracer = name.split_inclusive('-').take(2).collect::<String>();
    names.filter(|other| other.starts_with(&tracer) || other.starts_with(&prefix())).find(|other| other != name)
}

/// Whoever opens it can place an object in it, and use it.
pub(super) fn usable(segment: &Segment) -> Result<(), Violation> {
    let broken = |error: &dyn std::fmt::Display| Violation::broken(error.to_string());
    let value = Value::new_in(segment, 5u64).map_err(|error| broken(&error))?;
    value.update(|n| *n += 1).map_err(|error| broken(&error))?;
    match value.get() {
        Ok(6) => Ok(()),
        other => Err(Violation::torn(format!("{other:?} instead of 6"))),
    }
}

/// A value of the tracer, whose ticket victims attach by.
struct Anonymous {
    value: Value<u64>,
    ticket: Ticket,
}

impl Anonymous {
    fn new() -> Self {
        let value = Value::new(5u64).expect("a value");
        Self { ticket: value.ticket(), value }
    }

    fn check(scene: &mut Self) -> Finding {
        usable(scene.value.segment())?;
        match Value::<u64>::attach(&scene.ticket).map(|value| value.get()) {
            Ok(Ok(5)) => Ok("usable".into()),
            other => Err(Violation::broken(format!("{other:?}"))),
        }
    }
}

/// A segment with two rows: the tracer's, and one that each next process can have only after the one before.
struct Membership {
    segment: Option<Segment>,
    value: Option<Value<u64>>,
    view: View,
}

impl Membership {
    fn new() -> Self {
        let segment = Segment::options().members(3).anonymous(SPACE).expect("a small segment");
        let value = Value::new_in(&segment, 5).expect("room for a value");
        Self { view: View::of(&segment), segment: Some(segment), value: Some(value) }
    }

    fn check(scene: &mut Self) -> Finding {
        let segment = scene.segment.take().ok_or_else(|| Violation::broken("the survivor's handle is gone"))?;
        let me = segment.me().map_err(|error| Violation::leaked(error.to_string()))?;
        usable(&segment)?;
        Ok(if me.generation() == 1 { "a fresh row" } else { "a row used again" }.into())
    }
}
