//! A system that refuses: a seccomp filter that answers one system call with an error.

use nix::errno::Errno;

/// From here on, `call` is `errno` for this process and its children. There is no way back: for forked children only.
///
/// # Panics
/// If the system has no seccomp.
pub fn refuse(call: libc::c_long, errno: Errno) {
    let statement = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        // The number of the call is the first word of what the filter sees.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    install(&mut filter);
}

/// The same, only where `argument` (from 0) of the call has this flag.
///
/// # Panics
/// If the system has no seccomp.
pub fn refuse_flagged(call: libc::c_long, argument: u32, flag: u32, errno: Errno) {
    let statement = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    let mut filter = [
        load(0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 3, call as u32),
        // The low half of the argument, behind number, architecture and instruction pointer.
        load(16 + 8 * argument),
        statement(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, flag),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    install(&mut filter);
}

fn install(filter: &mut [libc::sock_filter]) {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: PR_SET_NO_NEW_PRIVS takes flags and touches no memory of ours.
    let private = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(private, 0, "{}", Errno::last());
    // SAFETY: `program` and the filter it points to live through the call, which copies them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!(set, 0, "{}", Errno::last());
}
