//! The operations that `crashpoints` kills everywhere, and how they are combined.
//!
//! An [`Object`] says once how to make a scene for it, what a fresh process does before anything else, and how a survivor
//! judges what is left; each operation on it is then one line:
//!
//! ```
//! use ipc_tests::page::Page;
//! use ipc_tests::registry::{Object, Registry};
//! use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
//!
//! let mut registry = Registry::default();
//! registry.add(
//!     Object::new("counter", || Page::new(AtomicU64::new(0)), |n| Ok(format!("{}", n.load(SeqCst)).into()))
//!         .operation("AtomicU64::fetch_add", |n| _ = n.fetch_add(1, SeqCst)),
//! );
//! ```
//!
//! From these lines follow, without another: the operation alone; after every operation on the same handle, itself included
//! (a second call meets what the first left); and beside a live peer that is paused at each step of its own operation.

use crate::step::{Fate, Fault, Finding, Limits, Peer, Report, StepError, Sweep};
use std::borrow::Cow;
use std::time::Duration;

/// How an operation is combined with others of its object; the numbers are theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By itself.
    Alone,
    /// After that one on the same handle.
    After(usize),
    /// While a live peer is paused in the middle of that one.
    Beside(usize),
}

/// One operation on an object.
#[derive(Clone)]
struct Operation<C> {
    entry: Entry,
    setup: Option<fn() -> C>,
    run: fn(&mut C),
}

/// What a reader of the table sees of an operation.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The public function it covers.
    pub function: Cow<'static, str>,
    /// Which case of it, if there are several.
    pub case: &'static str,
    /// For a negative control: what must be found.
    pub control: Option<Fault>,
}

impl Entry {
    /// Whether it is tried after and beside others, and they after and beside it.
    pub fn is_combined(&self) -> bool {
        self.case.is_empty() && self.control.is_none()
    }
}

/// An object, its scene and its operations.
pub struct Object<C> {
    name: &'static str,
    setup: fn() -> C,
    arrive: fn(&mut C),
    check: fn(&mut C) -> Finding,
    meanwhile: Option<fn(&mut C) -> Finding>,
    memory: Option<fn(&C) -> u64>,
    operations: Vec<Operation<C>>,
}

impl<C> Object<C> {
    /// An object whose scene `setup` makes, and which `check` judges after any of its operations was killed anywhere.
    pub fn new(name: &'static str, setup: fn() -> C, check: fn(&mut C) -> Finding) -> Self {
        Self { name, setup, arrive: |_| (), check, meanwhile: None, memory: None, operations: Vec::new() }
    }

    /// What each victim does first, untouched: registering as a member, as a rule.
    pub fn arrive(mut self, arrive: fn(&mut C)) -> Self {
        self.arrive = arrive;
        self
    }

    /// A digest of all shared memory of the scene; permits the mode with a peer.
    pub fn memory(mut self, memory: fn(&C) -> u64) -> Self {
        self.memory = Some(memory);
        self
    }

    /// What a survivor checks while a peer is paused: calls that do not wait for it, or not for ever.
    pub fn meanwhile(mut self, meanwhile: fn(&mut C) -> Finding) -> Self {
        self.meanwhile = Some(meanwhile);
        self
    }

    /// Registers an operation.
    pub fn operation(self, function: impl Into<Cow<'static, str>>, run: fn(&mut C)) -> Self {
        self.entry(function.into(), "", None, None, run)
    }

    /// Registers a special case of an operation, with a scene of its own, in which others might wait for ever: it is not
    /// combined with them.
    pub fn case(
        self,
        function: impl Into<Cow<'static, str>>,
        case: &'static str,
        setup: fn() -> C,
        run: fn(&mut C),
    ) -> Self {
        self.entry(function.into(), case, None, Some(setup), run)
    }

    /// Registers something broken on purpose, in which this fault must be found.
    pub fn control(self, what: &'static str, fault: Fault, run: fn(&mut C)) -> Self {
        self.entry("control".into(), what, Some(fault), None, run)
    }

    fn entry(
        mut self,
        function: Cow<'static, str>,
        case: &'static str,
        control: Option<Fault>,
        setup: Option<fn() -> C>,
        run: fn(&mut C),
    ) -> Self {
        self.operations.push(Operation { entry: Entry { function, case, control }, setup, run });
        self
    }
}

/// Longer operations (a slow path that asks whether somebody lives has thousands of instructions) are killed at every
/// instruction when alone, unless it shall be quick, and after others at every change.
const LONG: usize = 400;

/// How long a survivor that is late is waited for: it hangs only if even that is not enough.
const GRACE: Duration = Duration::from_secs(20);

/// How much is tried at a time.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How long a survivor may take before it is late.
    pub bound: Duration,
    /// Whether long operations are killed at every change that survivors can see, instead of at every instruction.
    pub quick: bool,
}

/// An object of any type.
pub trait Subject {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Its operations, in the order in which modes number them.
    fn entries(&self) -> Vec<Entry>;
    /// Whether it can be tried beside a peer.
    fn has_memory(&self) -> bool;
    /// Kills one operation in one mode everywhere.
    fn sweep(&self, operation: usize, mode: Mode, effort: Effort) -> Result<Report, StepError>;
}

impl<C> Subject for Object<C> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn entries(&self) -> Vec<Entry> {
        self.operations.iter().map(|operation| operation.entry.clone()).collect()
    }

    fn has_memory(&self) -> bool {
        self.memory.is_some()
    }

    fn sweep(&self, operation: usize, mode: Mode, Effort { bound, quick }: Effort) -> Result<Report, StepError> {
        let Operation { entry, setup, run } = &self.operations[operation];
        let before = match mode {
            Mode::After(other) => Some(self.operations[other].run),
            Mode::Alone | Mode::Beside(_) => None,
        };
        let peer = match mode {
            Mode::Beside(other) => Some(&self.operations[other].run),
            Mode::Alone | Mode::After(_) => None,
        };
        let memory = self.memory.as_ref();
        let patience = if peer.is_some() { Duration::from_millis(5) } else { bound };
        let dense = if before.is_some() || quick { LONG } else { usize::MAX };
        let grace = if entry.control.is_some() { Duration::ZERO } else { GRACE };
        let violations = if entry.control.is_some() { 1 } else { Limits::default().violations };
        Sweep {
            setup: &setup.unwrap_or(self.setup),
            arrive: &|scene| {
                (self.arrive)(scene);
                before.into_iter().for_each(|before| before(scene));
            },
            operation: run,
            check: &self.check,
            memory: memory.map(|memory| memory as _),
            peer: peer.map(|run| Peer { operation: run, meanwhile: self.meanwhile.as_ref().map(|check| check as _) }),
            fate: Fate::Killed,
            limits: Limits { bound, grace, patience, dense, violations, ..Limits::default() },
        }
        .run()
    }
}

/// All objects.
#[derive(Default)]
pub struct Registry {
    subjects: Vec<Box<dyn Subject>>,
}

impl Registry {
    /// Adds an object with its operations.
    pub fn add<C: 'static>(&mut self, object: Object<C>) {
        self.subjects.push(Box::new(object));
    }

    /// All objects, in the order in which they were added.
    pub fn subjects(&self) -> impl Iterator<Item = &dyn Subject> {
        self.subjects.iter().map(|subject| &**subject)
    }
}
