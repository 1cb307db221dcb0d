//! Shared structs: whoever dies while it creates one, the name leads to nothing or to all of it, filled as its creator said;
//! making handles of fields leaves nothing behind.

use super::ledger::{Books, Ledger};
use crate::pair::Vault;
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::unique::UniqueName;
use crate::view::View;
use ipc_core::raw::Census;
use ipc_core::{Error, ErrorKind, Fresh, Segment, Shared, Text};
use std::sync::atomic::Ordering::SeqCst;

/// Adds named ones, those in a segment, and their fields.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("named shared struct", Named::new, Named::check)
            // What is visible of a name changes by system calls only.
            .memory(|_| 0)
            .operation("Shared::create", |scene| {
                if Shared::create_with(&scene.name, fill).is_ok() {
                    scene.books.end();
                }
            })
            .operation("Shared::open", |scene| drop(Shared::<Vault>::open(&scene.name)))
            .case("Shared::open", "what exists", Named::existing, |scene| drop(Shared::<Vault>::open(&scene.name))),
    );
    registry.add(
        Object::new("shared struct", Within::new, Within::check)
            .arrive(|scene| _ = scene.segment.me().expect("a row is free"))
            .memory(|scene| scene.view.digest())
            .operation("Shared::create_in_with", |scene| {
                if Shared::create_in_with(&scene.segment, NEW, fill).is_ok() {
                    scene.books.replaced.store(1, SeqCst);
                }
            })
            .operation("Shared::open_in", |scene| drop(Shared::<Vault>::open_in(&scene.segment, OLD)))
            .operation("Shared::attach", |scene| drop(Shared::<Vault>::attach(&scene.vault.ticket())))
            .operation("Shared::at", |scene| {
                drop((scene.vault.at(|v| &v.locks[2]), scene.vault.at(|v| &v.limit), scene.vault.at(|v| &v.locks)));
            })
            .operation("RawValue::set", |scene| {
                scene.books.begin();
                let visits = scene.vault.at(|v| &v.limit);
                visits.set(FILLED - visits.get().min(FILLED) + FILLED);
                scene.books.end();
            }),
    );
}

const FILLED: i64 = 0x1122_3344_5566_7788;
const OLD: &str = "old";
const NEW: &str = "new";

fn fill(new: &mut Fresh<'_, Vault>) -> Result<(), Error> {
    new.set(|v| &v.limit, FILLED)?;
    new.set(|v| &v.value, [FILLED as u64; 2])?;
    new.set(|v| &v.locks[1], [FILLED as u64; 2])?;
    new.set(|v| &v.owner, Text::new("Grace").unwrap_or_default())
}

/// All that was filled is there, and the locks work.
fn whole(vault: &Shared<Vault>) -> Result<(), Violation> {
    let torn = |what: &str| Violation::torn(what.to_owned());
    if vault.at(|v| &v.limit).get() != FILLED || vault.at(|v| &v.owner).get() != "Grace" {
        return Err(torn("a plain field"));
    }
    if vault.at(|v| &v.value).get() != Ok([FILLED as u64; 2]) {
        return Err(torn("a value"));
    }
    for n in 0..3 {
        let expected = if n == 1 { FILLED as u64 } else { 0 };
        match vault.at(|v| &v.locks[n]).lock() {
            Ok(held) if *held == [expected; 2] => {}
            Ok(held) => return Err(Violation::torn(format!("lock {n} has {:?}", *held))),
            Err(error) => return Err(Violation::broken(error.to_string())),
        }
    }
    Ok(())
}

fn found(opened: Result<Shared<Vault>, Error>) -> Result<Option<()>, Violation> {
    match opened {
        Ok(vault) => whole(&vault).map(Some),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound { .. }) => Ok(None),
        Err(error) => Err(Violation::broken(error.to_string())),
    }
}

struct Named {
    name: UniqueName,
    books: Ledger,
}

impl Named {
    fn new() -> Self {
        Self { name: UniqueName::new("vault"), books: Books::open() }
    }

    fn existing() -> Self {
        let scene = Self::new();
        Shared::create_with(&scene.name, fill).expect("a name is free");
        scene.books.end();
        scene
    }

    fn check(scene: &mut Self) -> Finding {
        let outcome = match found(Shared::open(&scene.name))? {
            Some(()) => "complete",
            None if scene.books.done.load(SeqCst) > 0 => {
                return Err(Violation::lost("a struct whose creation had come back"));
            }
            None => "no trace",
        };
        match Shared::create_with(&scene.name, fill) {
            Ok(vault) => whole(&vault)?,
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => {}
            Err(error) => return Err(Violation::broken(error.to_string())),
        }
        found(Shared::open(&scene.name))?.ok_or_else(|| Violation::lost("a struct created after the death"))?;
        Ok(outcome.into())
    }
}

struct Within {
    segment: Segment,
    vault: Shared<Vault>,
    view: View,
    books: Ledger,
}

impl Within {
    fn new() -> Self {
        let segment = Segment::options().members(8).anonymous(8192).expect("a small segment");
        let vault = Shared::create_in_with(&segment, OLD, fill).expect("room for one");
        Self { view: View::of(&segment), vault, books: Books::open(), segment }
    }

    fn check(scene: &mut Self) -> Finding {
        let limit = scene.vault.at(|v| &v.limit);
        let (now, begun) = (limit.get(), scene.books.begun.load(SeqCst) > 0);
        // One word: what it was, or what a `set` made of it.
        if now != FILLED && !begun {
            return Err(Violation::torn(format!("a plain word is {now:#x}")));
        }
        limit.set(FILLED);
        whole(&scene.vault)?;
        found(Shared::open_in(&scene.segment, OLD))?.ok_or_else(|| Violation::lost("what was there before"))?;
        let outcome = match found(Shared::open_in(&scene.segment, NEW))? {
            Some(()) => "complete",
            None if scene.books.replaced.load(SeqCst) > 0 => {
                return Err(Violation::lost("a struct whose creation had come back"));
            }
            None => "no trace",
        };
        match Shared::create_in_with(&scene.segment, NEW, fill) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists { .. }) => {}
            Err(error) => return Err(Violation::broken(error.to_string())),
        }
        found(Shared::open_in(&scene.segment, NEW))?
            .ok_or_else(|| Violation::lost("a struct created after the death"))?;
        Ok(outcome.into())
    }
}
