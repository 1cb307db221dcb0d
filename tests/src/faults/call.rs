//! System calls: their names, the errors that fit them, and how each fails.

use nix::errno::Errno;

/// What is done with a call that is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is not made.
    Instead,
    /// It is made, and its result is replaced.
    Besides,
}

/// How `call` fails, if it is to.
pub(super) fn way(call: u64) -> Way {
    match call as libc::c_long {
        libc::SYS_close | libc::SYS_munmap => Way::Besides,
        // The directory of names that the system will not give up goes with the next name.
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rmdir => Way::Besides,
        _ => Way::Instead,
    }
}

/// Errors that `call` can have on some system, at some time.
pub(super) fn errors(call: u64) -> &'static [Errno] {
    use Errno::*;
    match call as libc::c_long {
        libc::SYS_openat => &[EMFILE, ENOMEM, ENOSPC, EACCES, EINTR],
        libc::SYS_memfd_create => &[EMFILE, ENOMEM, ENOSYS, EINVAL],
        libc::SYS_fallocate | libc::SYS_ftruncate => &[ENOSPC, EFBIG, EINTR, EIO, EOPNOTSUPP],
        libc::SYS_mmap | libc::SYS_mremap | libc::SYS_brk => &[ENOMEM, EAGAIN],
        libc::SYS_madvise => &[ENOMEM, EINVAL, EAGAIN],
        libc::SYS_fcntl => &[ENOLCK, EINTR, EAGAIN, EINVAL],
        libc::SYS_mkdirat | libc::SYS_linkat | libc::SYS_renameat2 => &[ENOSPC, EACCES, EIO],
        libc::SYS_unlinkat => &[EACCES, EBUSY, EIO],
        libc::SYS_pidfd_open => &[EMFILE, ENOMEM, ENOSYS, EPERM],
        libc::SYS_close => &[EINTR],
        libc::SYS_munmap => &[ENOMEM],
        // These cannot fail.
        libc::SYS_getpid | libc::SYS_gettid | libc::SYS_geteuid | libc::SYS_getuid | libc::SYS_sched_yield => &[],
        libc::SYS_futex => &[EINTR, EAGAIN, ENOMEM],
        _ => &[EINTR, EIO, ENOMEM, ENOSYS],
    }
}

/// What a reader of a report knows it by.
pub(super) fn name(call: u64) -> String {
    macro_rules! names {
        ($($name:ident)*) => {
            match call as libc::c_long {
                $(libc::$name => stringify!($name).trim_start_matches("SYS_").to_owned(),)*
                other => format!("call {other}"),
            }
        };
    }
    names! {
        SYS_openat SYS_memfd_create SYS_fallocate SYS_ftruncate SYS_mmap SYS_munmap SYS_mremap SYS_brk SYS_madvise SYS_fcntl
        SYS_linkat SYS_mkdirat SYS_unlinkat SYS_pidfd_open SYS_close SYS_futex SYS_read SYS_pread64 SYS_fstat SYS_newfstatat
        SYS_statx SYS_fstatfs SYS_fchmod SYS_getrandom SYS_prlimit64 SYS_ppoll SYS_readlinkat SYS_getpid SYS_gettid
        SYS_geteuid SYS_lseek SYS_flock SYS_sched_yield SYS_sched_getaffinity SYS_getdents64 SYS_renameat2 SYS_fsync
        SYS_membarrier SYS_sigaltstack SYS_write SYS_rt_sigaction SYS_rt_sigprocmask
    }
}
