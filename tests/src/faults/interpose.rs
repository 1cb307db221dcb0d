//! A process that comes between itself and the system: it counts its own system calls, and one of them fails.
//!
//! A seccomp filter turns every call into SIGSYS; the handler makes the call itself, through the one instruction that the
//! filter lets pass, and stores its result, or an error, where the caller will find it. No other process takes part, so that
//! a run costs some microseconds for each call; there is no way back, so this is for forked children.
//!
//! Calls that change what the handler's return restores (the signal mask) have no effect from then on.
//!
//! Sources: `seccomp(2)`, SECCOMP_RET_TRAP; "Syscall user dispatch" and the sandbox of Chromium for the passing instruction.

use super::call::{self, Way};
use nix::errno::Errno;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// The n-th call, from 1, and the error it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub nth: usize,
    pub error: Errno,
}

/// What is between a call and the system, in a process of one thread.
struct Between {
    counting: AtomicBool,
    calls: AtomicUsize,
    /// 0: none.
    nth: AtomicUsize,
    error: AtomicU32,
    made: [AtomicU32; MOST],
}

/// Calls that are noted; operations here make fewer.
const MOST: usize = 512;

static BETWEEN: Between = Between {
    counting: AtomicBool::new(false),
    calls: AtomicUsize::new(0),
    nth: AtomicUsize::new(0),
    error: AtomicU32::new(0),
    made: [const { AtomicU32::new(0) }; MOST],
};

/// Runs the operation, whose calls are counted, and of which one fails if so planned.
///
/// # Panics
/// If the system has no seccomp.
pub(super) fn between<R>(plan: Option<Plan>, operation: impl FnOnce() -> R) -> R {
    BETWEEN.nth.store(plan.map_or(0, |plan| plan.nth), Relaxed);
    BETWEEN.error.store(plan.map_or(0, |plan| plan.error as u32), Relaxed);
    install();
    BETWEEN.counting.store(true, Relaxed);
    let result = operation();
    BETWEEN.counting.store(false, Relaxed);
    result
}

/// The calls that were counted, by number.
pub(super) fn calls() -> Vec<u64> {
    let made = &BETWEEN.made[..BETWEEN.calls.load(Relaxed).min(MOST)];
    made.iter().map(|number| number.load(Relaxed).into()).collect()
}

fn install() {
    // SAFETY: integers, an empty set, and a null function.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_call as extern "C" fn(_, _, _) as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
    // SAFETY: `action` is complete: a handler of the right form, flags, and no signals blocked.
    let set = unsafe { libc::sigaction(libc::SIGSYS, &action, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", Errno::last());
    let passed = passed_address();
    let (low, high) = (passed as u32, (passed >> 32) as u32);
    let statement = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    let equal = |k, jt, jf| statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, jt, jf, k);
    let back = |what| statement(libc::BPF_RET | libc::BPF_K, 0, 0, what);
    let mut filter = [
        // Where the call comes from: behind its instruction.
        load(8),
        equal(low, 0, 2),
        load(12),
        equal(high, 5, 0),
        // Which call it is.
        load(0),
        equal(libc::SYS_rt_sigreturn as u32, 3, 0),
        equal(libc::SYS_exit_group as u32, 2, 0),
        equal(libc::SYS_exit as u32, 1, 0),
        back(libc::SECCOMP_RET_TRAP),
        back(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: PR_SET_NO_NEW_PRIVS takes flags and touches no memory of ours.
    let private = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(private, 0, "{}", Errno::last());
    // SAFETY: `program` and the filter it points to live through the call, which copies them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!(set, 0, "{}", Errno::last());
}

extern "C" fn on_call(_signal: libc::c_int, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: SA_SIGINFO: the kernel passes the context of the interrupted code, which nobody else uses meanwhile.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let (number, arguments) = arch::request(context);
    let (counting, nth) = (BETWEEN.counting.load(Relaxed), BETWEEN.nth.load(Relaxed));
    let mut fails = false;
    if counting {
        let index = BETWEEN.calls.fetch_add(1, Relaxed);
        if let Some(made) = BETWEEN.made.get(index) {
            made.store(number as u32, Relaxed);
        }
        fails = index + 1 == nth;
    }
    let error = -i64::from(BETWEEN.error.load(Relaxed) as i32);
    let made = || {
        let [a, b, c, d, e, f] = arguments;
        // SAFETY: the call that the interrupted code was about to make, whatever that is.
        unsafe { ipc_tests_pass(number, a, b, c, d, e, f) }
    };
    let result = match (fails, call::way(number)) {
        (true, Way::Instead) => error,
        (true, Way::Besides) => {
            made();
            error
        }
        (false, _) => made(),
    };
    arch::answer(context, result);
}

unsafe extern "C" {
    /// Makes a system call by an instruction of its own.
    fn ipc_tests_pass(number: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> i64;
    /// What follows that instruction.
    fn ipc_tests_passed();
}

fn passed_address() -> u64 {
    ipc_tests_passed as unsafe extern "C" fn() as usize as u64
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".global ipc_tests_pass",
    "ipc_tests_pass:",
    "mov rax, rdi",
    "mov rdi, rsi",
    "mov rsi, rdx",
    "mov rdx, rcx",
    "mov r10, r8",
    "mov r8, r9",
    "mov r9, [rsp + 8]",
    "syscall",
    ".global ipc_tests_passed",
    "ipc_tests_passed:",
    "ret",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".global ipc_tests_pass",
    "ipc_tests_pass:",
    "mov x8, x0",
    "mov x0, x1",
    "mov x1, x2",
    "mov x2, x3",
    "mov x3, x4",
    "mov x4, x5",
    "mov x5, x6",
    "svc #0",
    ".global ipc_tests_passed",
    "ipc_tests_passed:",
    "ret",
);

#[cfg(target_arch = "x86_64")]
mod arch {
    /// Number and arguments of the call that was trapped.
    pub fn request(context: &libc::ucontext_t) -> (u64, [u64; 6]) {
        let register = |which: libc::c_int| context.uc_mcontext.gregs[which as usize] as u64;
        let arguments =
            [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9].map(register);
        (register(libc::REG_RAX), arguments)
    }

    /// What the call comes back with.
    pub fn answer(context: &mut libc::ucontext_t, result: i64) {
        context.uc_mcontext.gregs[libc::REG_RAX as usize] = result;
    }
}

#[cfg(target_arch = "aarch64")]
mod arch {
    /// See the x86_64 form.
    pub fn request(context: &libc::ucontext_t) -> (u64, [u64; 6]) {
        let registers = &context.uc_mcontext.regs;
        (registers[8], std::array::from_fn(|n| registers[n]))
    }

    /// See the x86_64 form.
    pub fn answer(context: &mut libc::ucontext_t, result: i64) {
        context.uc_mcontext.regs[0] = result as u64;
    }
}
