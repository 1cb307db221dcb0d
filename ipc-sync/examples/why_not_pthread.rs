//! Why the locks of this crate are not pthread's: four facts about process-shared mutexes, reproduced, each in children of its
//! own, and what [`ipc_sync::Lock`] does in the same place.
//!
//! ```text
//! cargo run -p ipc-sync --example why_not_pthread
//! ```
//!
//! Exit status 0 if all four are as told. The first needs glibc on a 64-bit machine, whose robust mutexes lie in memory as
//! below; elsewhere it is skipped, and says so.

#![allow(clippy::print_stdout)]

use ipc_sync::{Lock, LockError};
use std::io;
use std::process::ExitCode;
use std::ptr::{NonNull, null_mut};

/// Where a robust mutex keeps its pointers into a list of the thread that holds it: previous, then next.
const LIST_AT: usize = 24;
/// More than the kernel walks of that list when the thread dies.
const MANY: usize = 3000;

/// Whether the fact showed; `None` if it cannot here.
type Reproduce = fn() -> io::Result<Option<bool>>;

fn main() -> ExitCode {
    let facts: [(&str, Reproduce); 4] = [
        ("a peer that rewrites 16 shared bytes makes `unlock` store where the peer likes, in private memory", scribble),
        ("unlocked once without `consistent`, a mutex of the dead is lost for ever", not_recoverable),
        ("of 3000 mutexes that one thread held when it died, some are never given back", list_limit),
        ("without `robust`, the dead hold for ever", plain),
    ];
    let mut all = true;
    for (claim, reproduce) in facts {
        let told = match reproduce() {
            Ok(Some(true)) => "reproduced".to_owned(),
            Ok(Some(false)) => "NOT reproduced".to_owned(),
            Ok(None) => "skipped: another C library".to_owned(),
            Err(error) => format!("not tried: {error}"),
        };
        all &= told != "NOT reproduced";
        println!("{told:<16} {claim}");
    }
    let ours = ours().unwrap_or_else(|error| error.to_string());
    println!("ipc_sync::Lock   {ours}");
    ExitCode::from(u8::from(!all))
}

/// The victim's own variables, which no other process can write to: they are not in shared memory.
struct Private {
    secret: u64,
    /// The second store of taking an element out of a list lands here.
    beside: [u64; 2],
}

fn scribble() -> io::Result<Option<bool>> {
    if !cfg!(all(target_env = "gnu", target_pointer_width = "64")) {
        return Ok(None);
    }
    let mutexes = Mutexes::new(1, true)?;
    let changed = child(|| {
        let mut private = Private { secret: 42, beside: [0; 2] };
        let secret = &raw mut private.secret;
        let beside = (&raw mut private.beside).cast::<u64>();
        if mutexes.lock(0) != 0 {
            return 2;
        }
        // A process of its own, with nothing but the mapping. It knows the addresses since it is a fork.
        let peer = child(|| {
            mutexes.store(LIST_AT, beside.addr());
            // Elements are known by the address of their second word.
            mutexes.store(LIST_AT + 8, secret.addr() + 8);
            0
        });
        if !matches!(peer, Ok(Ended::Exited(0))) {
            return 2;
        }
        mutexes.unlock(0);
        // SAFETY: a variable of this frame, written behind the compiler's back.
        let now = unsafe { secret.read_volatile() };
        i32::from(now == beside.addr() as u64)
    })?;
    Ok(Some(changed == Ended::Exited(1)))
}

fn not_recoverable() -> io::Result<Option<bool>> {
    let mutexes = Mutexes::new(1, true)?;
    die_after(|| _ = mutexes.lock(0))?;
    let first = mutexes.lock(0);
    mutexes.unlock(0);
    Ok(Some((first, mutexes.lock(0)) == (libc::EOWNERDEAD, libc::ENOTRECOVERABLE)))
}

fn list_limit() -> io::Result<Option<bool>> {
    let mutexes = Mutexes::new(MANY, true)?;
    die_after(|| (0..MANY).for_each(|at| _ = mutexes.lock(at)))?;
    let lost = (0..MANY).filter(|&at| mutexes.try_lock(at) == libc::EBUSY).count();
    println!("                 ({lost} of {MANY} are lost)");
    Ok(Some(lost > 0))
}

fn plain() -> io::Result<Option<bool>> {
    let mutexes = Mutexes::new(1, false)?;
    die_after(|| _ = mutexes.lock(0))?;
    Ok(Some(mutexes.try_lock(0) == libc::EBUSY))
}

/// The same death, seen through a lock of this crate.
fn ours() -> Result<String, Box<dyn std::error::Error>> {
    let lock = Lock::new(1u64)?;
    die_after(|| {
        if let Ok(mut held) = lock.lock() {
            *held = 2;
            std::mem::forget(held);
        }
    })?;
    match lock.lock() {
        Err(LockError::Inconsistent { cause }) => {
            drop(lock.recover(|data| *data = 1)?);
            Ok(format!("{cause}; recovered, and again {}", *lock.lock()?))
        }
        Err(other) => Err(other.into()),
        Ok(_) => Err("a writer died, and nobody was told".into()),
    }
}

/// Process-shared mutexes in a shared mapping.
struct Mutexes {
    first: NonNull<libc::pthread_mutex_t>,
    bytes: usize,
}

impl Mutexes {
    fn new(count: usize, robust: bool) -> io::Result<Self> {
        let bytes = count * size_of::<libc::pthread_mutex_t>();
        let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe { libc::mmap(null_mut(), bytes, access, shared, -1, 0) };
        let first = NonNull::new(at).filter(|_| at != libc::MAP_FAILED).ok_or_else(io::Error::last_os_error)?.cast();
        let mutexes = Self { first, bytes };
        let mut kind = std::mem::MaybeUninit::uninit();
        // SAFETY: room for the attributes.
        succeeded(unsafe { libc::pthread_mutexattr_init(kind.as_mut_ptr()) })?;
        // SAFETY: initialised above.
        succeeded(unsafe { libc::pthread_mutexattr_setpshared(kind.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED) })?;
        if robust {
            // SAFETY: initialised above.
            succeeded(unsafe { libc::pthread_mutexattr_setrobust(kind.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST) })?;
        }
        for at in 0..count {
            // SAFETY: inside the mapping; the attributes are initialised.
            succeeded(unsafe { libc::pthread_mutex_init(mutexes.at(at), kind.as_ptr()) })?;
        }
        Ok(mutexes)
    }

    fn at(&self, at: usize) -> *mut libc::pthread_mutex_t {
        assert!(at < self.bytes / size_of::<libc::pthread_mutex_t>());
        self.first.as_ptr().wrapping_add(at)
    }

    fn lock(&self, at: usize) -> i32 {
        // SAFETY: initialised in `new`.
        unsafe { libc::pthread_mutex_lock(self.at(at)) }
    }

    fn try_lock(&self, at: usize) -> i32 {
        // SAFETY: initialised in `new`.
        unsafe { libc::pthread_mutex_trylock(self.at(at)) }
    }

    fn unlock(&self, at: usize) {
        // SAFETY: initialised in `new`; the callers hold it.
        unsafe { libc::pthread_mutex_unlock(self.at(at)) };
    }

    /// What any process with the mapping can do.
    fn store(&self, at: usize, word: usize) {
        let place = self.first.as_ptr().wrapping_byte_add(at).cast::<usize>();
        // SAFETY: inside the first mutex, aligned.
        unsafe { place.write_volatile(word) };
    }
}

impl Drop for Mutexes {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length; nobody has a reference into it.
        unsafe { libc::munmap(self.first.as_ptr().cast(), self.bytes) };
    }
}

fn succeeded(code: i32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Exited(i32),
    Killed,
}

/// Runs `body` in a forked child, and waits for it.
fn child(body: impl FnOnce() -> i32) -> io::Result<Ended> {
    // SAFETY: this program has one thread.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let status = body();
            // SAFETY: returns to nobody.
            unsafe { libc::_exit(status) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: a child of ours; the status is a local.
            if unsafe { libc::waitpid(pid, &mut status, 0) } != pid {
                return Err(io::Error::last_os_error());
            }
            let exited = libc::WIFEXITED(status);
            Ok(if exited { Ended::Exited(libc::WEXITSTATUS(status)) } else { Ended::Killed })
        }
    }
}

/// Lets a child do something, and be killed right after it.
fn die_after(deed: impl FnOnce()) -> io::Result<()> {
    child(|| {
        deed();
        // SAFETY: no preconditions.
        unsafe { libc::raise(libc::SIGKILL) }
    })
    .map(drop)
}
