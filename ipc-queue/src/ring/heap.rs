//! A ring on the heap and members that are threads, for models and tests.

use super::control::Role;
use super::endpoint::{Endpoint, JoinError, Stop};
use super::layout::{Geometry, Ring};
use super::repair::{Turn, look_around};
use super::wait::{obstacle, wait};
use ipc_core::raw::{Census, Owner, Verdict};
use ipc_core::shim::{AtomicU32, Ordering};
use ipc_core::{Corrupt, Deadline, MemberError, Plain};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::borrow::Cow;
use std::ptr::NonNull;

/// The memory of one ring, and who of its members lives.
pub struct HeapRing<T> {
    body: NonNull<u8>,
    layout: Layout,
    ring: Ring<T>,
    members: Vec<Life>,
}

struct Life {
    dead: AtomicU32,
    in_repair: AtomicU32,
}

// SAFETY: the memory is reached through the ring alone, which is Send and Sync itself.
unsafe impl<T: Send> Send for HeapRing<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for HeapRing<T> {}

impl<T: Plain> HeapRing<T> {
    /// A ring whose positions start with lap `lap`, and so many members.
    pub fn new(capacity: u64, endpoints: u32, lap: u64, members: usize) -> Self {
        let geometry = Geometry::new(capacity, endpoints).expect("geometry");
        let layout = geometry.layout::<T>().expect("layout");
        // SAFETY: a ring is never of size 0.
        let body = NonNull::new(unsafe { alloc_zeroed(layout) }).expect("memory");
        // SAFETY: fresh memory of the layout.
        unsafe { Ring::<T>::init(body, &geometry, lap) }.expect("init");
        // SAFETY: just initialised; freed when `self` is dropped, which the tests' endpoints do not outlive.
        let ring = unsafe { Ring::attach(body, &geometry) }.expect("attach");
        let life = || Life { dead: AtomicU32::new(0), in_repair: AtomicU32::new(0) };
        Self { body, layout, ring, members: (0..members).map(|_| life()).collect() }
    }

    /// The view.
    pub fn ring(&self) -> Ring<T> {
        self.ring
    }

    /// The census as one member sees it.
    pub fn member(&self, row: u16) -> Member<'_> {
        Member { members: &self.members, row }
    }

    /// An endpoint of a member.
    pub fn join(&self, row: u16, role: Role) -> Result<Endpoint<T>, JoinError> {
        Endpoint::join(self.ring, role, &self.member(row))
    }

    /// The 64-bit word at a byte offset, to scribble on.
    #[cfg(not(ipc_loom))]
    pub fn word(&self, offset: usize) -> &ipc_core::shim::AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.layout.size());
        // SAFETY: inside the allocation.
        let at = unsafe { self.body.add(offset) };
        // SAFETY: aligned; all accesses to the memory are atomic.
        unsafe { at.cast().as_ref() }
    }

    /// Bytes of the ring.
    #[cfg(not(ipc_loom))]
    pub fn len_bytes(&self) -> usize {
        self.layout.size()
    }

    /// Whether a row of this side is owned.
    #[cfg(ipc_loom)]
    pub fn anybody(&self, side: Role) -> bool {
        self.ring.anybody(side, 0).expect("no member scribbles")
    }

    /// Looks around as a waiter of each side does, until nothing is left to repair.
    pub fn repair(&self, row: u16) -> Result<(), Corrupt> {
        for side in [Role::Receiver, Role::Sender] {
            let turn = Turn::new(0);
            while look_around(&self.ring, side, &obstacle(&self.ring, side)?, &self.member(row), &turn)? {}
        }
        Ok(())
    }

    /// The thread of this member has unwound: none of its stores are to come.
    pub fn bury(&self, row: u16) {
        self.members[usize::from(row)].dead.store(1, Ordering::Release);
    }
}

/// What the handles do with a wait of their own.
impl<T: Plain> Endpoint<T> {
    /// Sends, waiting until there is room or the deadline passes.
    pub fn send_until(&self, message: T, deadline: Deadline, census: &impl Census) -> Result<(), Stop> {
        wait(&self.ring, Role::Sender, deadline, census, self.turn(), || self.try_send(message))
    }

    /// Receives, waiting until there is a message or the deadline passes.
    pub fn recv_until(&self, deadline: Deadline, census: &impl Census) -> Result<T, Stop> {
        wait(&self.ring, Role::Receiver, deadline, census, self.turn(), || self.try_recv())
    }
}

impl<T> Drop for HeapRing<T> {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; what lies in it needs no drop.
        unsafe { dealloc(self.body.as_ptr(), self.layout) }
    }
}

/// A census whose members are threads.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    members: &'a [Life],
    row: u16,
}

/// The right to repair one dead thread's rows. Unwinding gives it back, as the kernel does with a dead process's locks.
pub struct Right<'a>(&'a Life);

impl Drop for Right<'_> {
    fn drop(&mut self) {
        self.0.in_repair.store(0, Ordering::Release);
    }
}

impl<'a> Census for Member<'a> {
    type Repair = Right<'a>;

    fn me(&self) -> Result<Owner, MemberError> {
        Ok(Owner::new(1, self.row, 0))
    }

    fn verdict(&self, who: Owner) -> Verdict {
        match self.members.get(usize::from(who.row())) {
            Some(life) if who.generation() == 1 => {
                if life.dead.load(Ordering::Acquire) == 1 {
                    Verdict::Dead
                } else {
                    Verdict::Alive
                }
            }
            _ => Verdict::Dead,
        }
    }

    fn begin_repair(&self, who: Owner) -> Option<Right<'a>> {
        let life = self.members.get(usize::from(who.row()))?;
        let free = self.verdict(who) == Verdict::Dead
            && life.in_repair.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        free.then_some(Right(life))
    }

    fn describe(&self, who: Owner) -> (u32, Cow<'static, str>) {
        (u32::from(who.row()) + 1, Cow::Borrowed("thread"))
    }
}
