//! `membarrier(2)`: interrupts every running thread of every process that has agreed to it.
//!
//! `MEMBARRIER_CMD_GLOBAL_EXPEDITED`, since Linux 4.16. Registering costs under a microsecond in a process of one thread and one
//! RCU grace period, 5–12 ms, in others; once per process. A forked child inherits it, an exec ends it.

use std::sync::atomic::{AtomicBool, Ordering};

static REGISTERED: AtomicBool = AtomicBool::new(false);

/// `MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED`: from now on this process is interrupted. Refused by old kernels and filters.
pub(crate) fn register() {
    if call(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) {
        REGISTERED.store(true, Ordering::Relaxed);
    }
}

/// Whether this process has registered. Constant from the time it has become a member of any segment.
#[inline]
pub(crate) fn is_registered() -> bool {
    REGISTERED.load(Ordering::Relaxed)
}

/// `MEMBARRIER_CMD_GLOBAL_EXPEDITED`: a full barrier here, and in every running thread of all registered processes while this
/// call lasts. False if the system would not.
pub(crate) fn interrupt_all() -> bool {
    call(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED)
}

fn call(command: libc::c_int) -> bool {
    // SAFETY: membarrier takes numbers only.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    /// The promise itself: of two who each store and then look, one sees the other, though only one has a barrier.
    #[test]
    fn an_interrupted_store_is_seen_or_sees() {
        register();
        if !is_registered() {
            return;
        }
        let words = [const { AtomicU32::new(0) }; 2];
        let (turn, done) = (AtomicU32::new(0), AtomicU32::new(0));
        let blind = AtomicU32::new(0);
        const TURNS: u32 = 2000;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=TURNS {
                    while turn.load(Ordering::Acquire) != n {
                        std::thread::yield_now();
                    }
                    words[0].store(n, Ordering::Release);
                    std::sync::atomic::compiler_fence(Ordering::SeqCst);
                    let seen = words[1].load(Ordering::Relaxed);
                    blind.store(u32::from(seen != n), Ordering::Relaxed);
                    done.store(n, Ordering::Release);
                }
            });
            for n in 1..=TURNS {
                turn.store(n, Ordering::Release);
                words[1].store(n, Ordering::Relaxed);
                assert!(interrupt_all());
                let seen = words[0].load(Ordering::Relaxed) == n;
                while done.load(Ordering::Acquire) != n {
                    std::thread::yield_now();
                }
                assert!(seen || blind.load(Ordering::Relaxed) == 0, "turn {n}: neither saw the other");
            }
        });
    }
}
