//! XS22: `Event::set`, dropping a `Permit` and `AnonymousSemaphore::release` from a signal handler, ten thousand times a second,
//! in the middle of every operation.

use ipc_sync::*;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// A permit on its way to the handler.
struct Parcel {
    full: AtomicBool,
    permit: UnsafeCell<MaybeUninit<Permit<'static>>>,
}

// SAFETY: the permit is written while `full` is false by the one thread that fills it, and read by whoever makes it false.
unsafe impl Sync for Parcel {}

impl Parcel {
    /// To be called by one thread only.
    fn put(&self, permit: Permit<'static>) {
        if !self.full.load(SeqCst) {
            // SAFETY: it is empty, and only one thread fills it.
            unsafe { self.permit.get().cast::<Permit<'static>>().write(permit) };
            self.full.store(true, SeqCst);
        }
    }

    fn take(&self) -> Option<Permit<'static>> {
        // SAFETY: it was full, and only we have made it empty: the permit is ours.
        self.full.swap(false, SeqCst).then(|| unsafe { self.permit.get().cast::<Permit<'static>>().read() })
    }
}

struct Shared {
    semaphore: Semaphore,
    event: Event,
    automatic: Event,
    count: AnonymousSemaphore,
    parcel: Parcel,
    ticks: AtomicU64,
    released: AtomicU64,
}

static SHARED: OnceLock<Shared> = OnceLock::new();
const PERMITS: u32 = 3;

extern "C" fn on_tick(_: libc::c_int) {
    // SAFETY: errno is the thread's own; the handler leaves it as it was.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let saved = unsafe { *errno };
    if let Some(shared) = SHARED.get() {
        shared.ticks.fetch_add(1, SeqCst);
        shared.event.set();
        shared.automatic.set();
        if shared.count.release().is_ok() {
            shared.released.fetch_add(1, SeqCst);
        }
        drop(shared.parcel.take());
    }
    // SAFETY: as above.
    unsafe { *errno = saved };
}

fn tick_every(interval_us: libc::suseconds_t) {
    let every = libc::timeval { tv_sec: 0, tv_usec: interval_us };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: reads the timer, writes nothing.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) }, 0);
}

fn handle_ticks() {
    // SAFETY: zero is a valid sigaction: no flags (waits return EINTR), an empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = on_tick as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the handler calls async-signal-safe functions only, which is what this test is about.
    assert_eq!(unsafe { libc::sigaction(libc::SIGALRM, &action, ptr::null_mut()) }, 0);
}

#[test]
fn handlers_set_and_release_in_the_middle_of_everything() -> Result<(), Box<dyn std::error::Error>> {
    let shared = SHARED.get_or_init(|| Shared {
        semaphore: Semaphore::new(PERMITS, PERMITS).expect("a semaphore"),
        event: Event::new(Reset::Manual).expect("an event"),
        automatic: Event::new(Reset::Auto).expect("an event"),
        count: AnonymousSemaphore::new(0).expect("a count"),
        parcel: Parcel { full: AtomicBool::new(false), permit: UnsafeCell::new(MaybeUninit::uninit()) },
        ticks: AtomicU64::new(0),
        released: AtomicU64::new(0),
    });
    handle_ticks();
    tick_every(100);
    let mut taken = 0;
    while shared.ticks.load(SeqCst) < 3000 {
        let permit = shared.semaphore.acquire()?;
        shared.parcel.put(permit);
        let some = shared.semaphore.acquire_many(PERMITS - 1)?;
        let began = Instant::now();
        if shared.semaphore.acquire_many_timeout(PERMITS, Duration::from_micros(300)).is_err() {
            assert!(began.elapsed() >= Duration::from_micros(300), "a signal is no reason to give up");
        }
        drop(some);
        drop(shared.semaphore.try_acquire_many(2));
        shared.semaphore.acquire()?.forget();
        shared.semaphore.add_permits(1)?;

        shared.event.clear();
        shared.event.wait()?;
        shared.automatic.wait()?;
        shared.count.acquire()?;
        taken += 1;
    }
    tick_every(0);
    // What was handed over last may still lie there.
    drop(shared.parcel.take());
    assert_eq!(shared.semaphore.acquire_many(PERMITS)?.len(), PERMITS as usize);
    assert_eq!(u64::from(shared.count.available()), shared.released.load(SeqCst) - taken);
    assert!(shared.event.is_set());
    Ok(())
}
