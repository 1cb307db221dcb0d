//! Names that go with their last member, and segments in files.
//!
//! Whoever dies while it creates, attaches, leaves, collects or unlinks: the name belongs to a segment with a living member, or is
//! free for the next one; a living member keeps its name; a path leads to nothing or to a complete segment.

use super::ledger::{Books, Ledger};
use super::segment::{SPACE, others, usable};
use crate::child::{Child, Step, die};
use crate::registry::{Object, Registry};
use crate::step::{Finding, Violation};
use crate::unique::{UniqueDirectory, UniqueName};
use ipc_core::{Error, ErrorKind, Kept, Observer, Segment, Ticket, Value, gc};
use std::io::{BufRead, BufReader, Write};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;

/// Adds both.
pub fn register(registry: &mut Registry) {
    registry.add(
        Object::new("name of members", Collected::new, Collected::check)
            // What is visible of a name changes by system calls; what attaching writes, the object "membership" has under its eyes.
            .memory(|_| 0)
            .case("Segment::create", "a free name", Collected::new, |scene| drop(create(&scene.name)))
            .case("Segment::open_or_create", "a free name", Collected::new, |scene| {
                drop(open_or_create(&scene.name));
            })
            .case("Segment::create", "what the dead left", Collected::dead, |scene| drop(create(&scene.name)))
            .case("Segment::open", "what the dead left", Collected::dead, |scene| drop(Segment::open(&scene.name)))
            .case("Segment::open_or_create", "what the dead left", Collected::dead, |scene| {
                drop(open_or_create(&scene.name));
            })
            .case("ipc_core::gc", "what the dead left", Collected::dead, |_| drop(gc()))
            .case("Segment::unlink", "what the dead left", Collected::dead, |scene| drop(Segment::unlink(&scene.name)))
            .case("Segment::open", "a living member", Collected::visited, |scene| drop(Segment::open(&scene.name)))
            .case("Segment::open_or_create", "a living member", Collected::visited, |scene| {
                drop(open_or_create(&scene.name));
            })
            .case("Value::attach", "a living member", Collected::visited, |scene| {
                drop(scene.guest.as_ref().map(|guest| Value::<u64>::attach(&guest.ticket)));
            })
            .case("ipc_core::gc", "a living member", Collected::visited, |_| drop(gc()))
            .case("Segment::unlink", "a living member", Collected::visited, |scene| {
                scene.books.begin();
                drop(Segment::unlink(&scene.name));
            }),
    );
    registry.add(
        Object::new("segment in a file", Filed::new, Filed::check)
            .memory(|_| 0)
            .case("Segment::create_file", "a free path", Filed::new, |scene| {
                scene.noting(Segment::create_file(&scene.path, SPACE).is_ok());
            })
            .case("SegmentOptions::open_or_create_file", "a free path", Filed::new, |scene| {
                scene.noting(Segment::options().open_or_create_file(&scene.path, SPACE).is_ok());
            })
            .case("Segment::open_file", "what exists", Filed::existing, |scene| drop(Segment::open_file(&scene.path)))
            .case("Observer::open_file", "what exists", Filed::observable, |scene| {
                drop(Observer::open_file(&scene.path).map(|observer| observer.value::<u64>("n").map(|n| n.get())));
            }),
    );
}

fn create(name: &str) -> Result<Segment, Error> {
    Segment::options().unlink_with_last_member().create(name, SPACE)
}

fn open_or_create(name: &str) -> Result<Segment, Error> {
    Segment::options().unlink_with_last_member().open_or_create(name, SPACE)
}

fn is_not_found(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound { .. })
}

/// A name, which leads to nothing, to what a dead process left, or to a segment of a living one.
struct Collected {
    name: UniqueName,
    guest: Option<Guest>,
    books: Ledger,
}

/// A living member, in a process of its own.
struct Guest {
    child: ManuallyDrop<Child>,
    ticket: Ticket,
    id: u128,
    owner: u32,
}

impl Guest {
    fn of(name: &str) -> Self {
        let (reading, mut writing) = std::io::pipe().expect("a pipe");
        let child = Child::fork(|| {
            let segment = create(name).expect("a free name");
            let value = Value::new_in(&segment, 5u64).expect("room for a value");
            let mut line = format!("{} {:x}\n", value.ticket(), segment.id());
            // Attaching by the name goes by the name; this is to go by the descriptor.
            line = line.replacen(&format!("ipc:name:{name}"), &descriptor(&segment), 1);
            writing.write_all(line.as_bytes()).expect("the other end is ours");
            Step::new().wait();
        });
        let mut line = String::new();
        BufReader::new(reading).read_line(&mut line).expect("a line");
        let (ticket, id) = line.trim().split_once(' ').expect("two words");
        Self {
            child: ManuallyDrop::new(child),
            ticket: ticket.parse().expect("a ticket"),
            id: u128::from_str_radix(id, 16).expect("an id"),
            owner: std::process::id(),
        }
    }
}

fn descriptor(segment: &Segment) -> String {
    format!("ipc:fd:{}.{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&segment.as_fd()))
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Victims and survivors have copies of it.
        if self.owner == std::process::id() {
            // SAFETY: dropped here only, and once.
            unsafe { ManuallyDrop::drop(&mut self.child) };
        }
    }
}

impl Collected {
    fn new() -> Self {
        Self { name: UniqueName::new("crash"), guest: None, books: Books::open() }
    }

    fn dead() -> Self {
        let scene = Self::new();
        _ = Child::fork(|| {
            let _segment = create(&scene.name);
            die();
        })
        .wait_to_end();
        scene
    }

    fn visited() -> Self {
        let mut scene = Self::new();
        scene.guest = Some(Guest::of(&scene.name));
        scene
    }

    fn check(scene: &mut Self) -> Finding {
        let name = &*scene.name;
        let broken = |error: Error| Violation::broken(error.to_string());
        if let Some(guest) = &scene.guest {
            let unlinked = scene.books.begun.load(SeqCst) > 0;
            match Segment::open(name) {
                Ok(segment) if segment.id() == guest.id => usable(&segment)?,
                Err(error) if is_not_found(&error) && unlinked => return Ok("unlinked".into()),
                other => return Err(Violation::lost(format!("the name of a living member: {other:?}"))),
            }
            let kept = gc().map_err(broken)?.kept;
            if !kept.contains(&(name.to_owned(), Kept::HasMembers)) {
                return Err(Violation::broken(format!("gc kept {kept:?}")));
            }
            return Ok("kept".into());
        }
        // Nobody is a member.
        let left = scene.name.path().exists();
        match Segment::open(name) {
            Err(error) if is_not_found(&error) => {}
            other => return Err(Violation::broken(format!("a name without members: {other:?}"))),
        }
        if scene.name.path().exists() {
            return Err(Violation::leaked("a name without members"));
        }
        if let Some(stranger) = others(name) {
            return Err(Violation::leaked(format!("the file {stranger}")));
        }
        let segment = create(name).map_err(broken)?;
        usable(&segment)?;
        drop(segment);
        if scene.name.path().exists() {
            return Err(Violation::leaked("the name of the last member"));
        }
        match Segment::unlink(name) {
            Err(error) if is_not_found(&error) => Ok(if left { "collected" } else { "no trace" }.into()),
            other => Err(Violation::broken(format!("unlink of nothing: {other:?}"))),
        }
    }
}

/// A path, which leads to nothing or to a segment. In memory: what a disk does takes long, and changes nothing.
struct Filed {
    directory: UniqueDirectory,
    path: PathBuf,
    books: Ledger,
}

impl Filed {
    fn new() -> Self {
        let directory = UniqueDirectory::new_in(Path::new("/dev/shm"));
        Self { path: directory.join("segment"), directory, books: Books::open() }
    }

    fn existing() -> Self {
        let scene = Self::new();
        scene.noting(Segment::create_file(&scene.path, SPACE).is_ok());
        scene
    }

    fn observable() -> Self {
        let scene = Self::new();
        let segment = Segment::options().observable().create_file(&scene.path, SPACE).expect("a free path");
        Value::create_in(&segment, "n", 5u64).expect("room for a value");
        scene.noting(true);
        scene
    }

    fn noting(&self, created: bool) {
        if created {
            self.books.end();
        }
    }

    fn check(scene: &mut Self) -> Finding {
        let found = match Segment::open_file(&scene.path) {
            Ok(segment) => {
                usable(&segment)?;
                true
            }
            Err(error) if is_not_found(&error) => false,
            Err(error) => return Err(Violation::torn(error.to_string())),
        };
        if !found && scene.books.done.load(SeqCst) > 0 {
            return Err(Violation::lost("a segment whose creation had come back"));
        }
        let names = std::fs::read_dir(&*scene.directory).map_err(|error| Violation::broken(error.to_string()))?;
        if names.count() != usize::from(found) {
            return Err(Violation::leaked("another file in the directory"));
        }
        let again = Segment::options().open_or_create_file(&scene.path, SPACE);
        usable(&again.map_err(|error| Violation::broken(error.to_string()))?)?;
        Ok(if found { "complete" } else { "no trace" }.into())
    }
}
