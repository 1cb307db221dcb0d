//! Objects in a segment: whoever dies while it creates one, the name leads to nothing or to all of it, the bytes are not
//! lost for long, and the next creator is not held up.

use super::ledger::{Books, Ledger};
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::view::View;
use ipc_core::raw::{Census, Place};
use ipc_core::{ErrorKind, Segment, SegmentOptions, Value};
use std::sync::atomic::Ordering::SeqCst;

/// Adds it.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("directory", Scene::new, Scene::check)
            .arrive(|scene| _ = scene.segment.me().expect("a row is free"))
            .memory(|scene| scene.view.digest())
            .meanwhile(Scene::check_meanwhile)
            .operation("Value::create_in", |scene| {
                scene.books.begin();
                if Value::create_in(&scene.segment, NAME, WHOLE).is_ok() {
                    scene.books.end();
                }
            })
            .operation("Value::new_in", |scene| drop(Value::new_in(&scene.segment, WHOLE)))
            .operation("Value::open_in", |scene| drop(Value::<Words>::open_in(&scene.segment, EXISTING)))
            .operation("Value::place", |scene| {
                scene.books.begin();
                let place = Place::OpenOrCreateIn(&scene.segment, NAME);
                if Value::place(place, WHOLE, &SegmentOptions::default()).is_ok() {
                    scene.books.end();
                }
            })
            .operation("Segment::free_bytes", |scene| _ = scene.segment.free_bytes()),
    );
}

type Words = [u64; 2];
const WHOLE: Words = [0x1122_3344_5566_7788; 2];
const EXISTING: &str = "existing";
const NAME: &str = "new";

struct Scene {
    segment: Segment,
    view: View,
    books: Ledger,
}

impl Scene {
    fn new() -> Self {
        let segment = Segment::options().members(8).anonymous(4096).expect("a small segment");
        Value::create_in(&segment, EXISTING, WHOLE).expect("room for one");
        Self { view: View::of(&segment), books: Books::open(), segment }
    }

    /// Looking up waits for nobody.
    fn check_meanwhile(scene: &mut Self) -> Finding {
        scene.holds(EXISTING)?.ok_or_else(|| Violation::lost("an object that was there before"))?;
        scene.holds(NAME)?;
        Ok("looked up".into())
    }

    fn check(scene: &mut Self) -> Finding {
        let found = scene.holds(NAME)?.is_some();
        if !found && scene.books.done.load(SeqCst) > 0 {
            return Err(Violation::lost("an object whose creation had come back"));
        }
        scene.holds(EXISTING)?.ok_or_else(|| Violation::lost("an object that was there before"))?;
        let outcome = match Value::create_in(&scene.segment, NAME, WHOLE) {
            Ok(_) => "no trace",
            Err(error) if !matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => {
                return Err(Violation::broken(error.to_string()));
            }
            Err(_) if found => "complete",
            Err(_) => "completed by the next creator",
        };
        scene.holds(NAME)?.ok_or_else(|| Violation::lost("an object that was created after the death"))?;
        scene.fill()?;
        Ok(outcome.into())
    }

    /// What the name leads to is whole.
    fn holds(&self, name: &str) -> Result<Option<()>, Violation> {
        match Value::<Words>::open_in(&self.segment, name) {
            Ok(value) => match value.get() {
                Ok(WHOLE) => Ok(Some(())),
                other => Err(Violation::torn(format!("`{name}` is {other:?}"))),
            },
            Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => Ok(None),
            Err(error) => Err(Violation::broken(error.to_string())),
        }
    }

    /// All that is left can be used, and what is new there does not overlap with what was.
    fn fill(&self) -> Result<(), Violation> {
        let mut values = Vec::new();
        while self.segment.free_bytes() >= ROOM {
            let value = Value::new_in(&self.segment, [values.len() as u64; 2]);
            values.push(value.map_err(|error| Violation::leaked(error.to_string()))?);
        }
        for (n, value) in (0..).zip(&values) {
            match value.get() {
                Ok(words) if words == [n; 2] => {}
                other => return Err(Violation::torn(format!("value {n} is {other:?}"))),
            }
        }
        // The two that were there before, and the one that was perhaps left unnamed, took the rest.
        let most = self.segment.len_bytes() / ROOM;
        let few = (values.len() as u64) + FEW < 4096 / ROOM;
        if few || values.len() as u64 > most {
            return Err(Violation::leaked(format!("room for {} more only", values.len())));
        }
        self.holds(NAME)?.ok_or_else(|| Violation::lost("an object while others were created")).map(drop)
    }
}

/// Bytes that one value of two words takes at most, its entry and its schema included.
const ROOM: u64 = 320;
/// How many values a scene creates before it is filled: one in `new`, one in `check`, and one or two by victims and peers.
const FEW: u64 = 4;
