//! What differs between processors: the mark, the breakpoint, the system call instruction, the program counter.

use std::arch::naked_asm;

/// The registers of a stopped child.
pub(super) type Registers = libc::user_regs_struct;

/// Stops a traced child where an operation begins, and shows where it ends: a trap, a gap, and a return.
///
/// A naked function, so that it is exactly these instructions, at one address. A child that stopped at the trap goes on
/// behind the gap, so that being *at* the mark, just past its trap, and on the way again are three different places.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
pub(super) extern "C" fn mark() {
    naked_asm!("int3", "nop", "ret")
}

/// See the x86_64 form.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
pub(super) extern "C" fn mark() {
    naked_asm!("brk #0", "nop", "ret")
}

/// The address of [`mark`], the same in a forked child.
pub(super) fn mark_address() -> u64 {
    mark as extern "C" fn() as usize as u64
}

#[cfg(target_arch = "x86_64")]
mod here {
    use super::Registers;

    /// The trapping instruction as the low bytes of a word in memory, and their number.
    pub const TRAP: (u64, u32) = (0xcc, 1);
    /// How far the program counter is past the trap when the tracer sees it.
    pub const TRAP_ADVANCES: u64 = 1;
    /// `syscall`.
    pub const SYSTEM_CALL: (u64, u32) = (0x050f, 2);

    pub fn pc(registers: &Registers) -> u64 {
        registers.rip
    }

    pub fn set_pc(registers: &mut Registers, pc: u64) {
        registers.rip = pc;
    }

    /// Debug register 0, enabled by bit 0 of debug register 7; the kernel sets the resume flag on each stop.
    pub mod breakpoint {
        use nix::sys::ptrace::{AddressType, write_user};
        use nix::unistd::Pid;

        const fn register(n: usize) -> AddressType {
            (std::mem::offset_of!(libc::user, u_debugreg) + n * size_of::<u64>()) as AddressType
        }

        /// Sets the breakpoint of a stopped child, or lifts it; false if the system has none.
        pub fn set(child: Pid, place: Option<u64>) -> bool {
            let control = |on: bool| write_user(child, register(7), libc::c_long::from(on)).is_ok();
            match place {
                Some(place) => write_user(child, register(0), place as libc::c_long).is_ok() && control(true),
                None => control(false),
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod here {
    use super::Registers;

    /// `brk #0`.
    pub const TRAP: (u64, u32) = (0xd420_0000, 4);
    /// The program counter stays on the trap.
    pub const TRAP_ADVANCES: u64 = 0;
    /// `svc #0`.
    pub const SYSTEM_CALL: (u64, u32) = (0xd400_0001, 4);

    pub fn pc(registers: &Registers) -> u64 {
        registers.pc
    }

    pub fn set_pc(registers: &mut Registers, pc: u64) {
        registers.pc = pc;
    }

    /// Planted traps do here.
    pub mod breakpoint {
        /// There is none.
        pub fn set(_: nix::unistd::Pid, _: Option<u64>) -> bool {
            false
        }
    }
}

pub(super) use here::{TRAP_ADVANCES, breakpoint, pc, set_pc};

/// From the mark to where a child goes on that stopped there: the trap and the gap, which are equally long.
pub(super) const BEHIND_MARK: u64 = 2 * here::TRAP.1 as u64;

/// A word of code with the trapping instruction in front.
pub(super) fn with_trap(code: u64) -> u64 {
    let mask = low_bytes(here::TRAP.1);
    code & !mask | here::TRAP.0
}

/// Whether a word of code begins with the system call instruction.
pub(super) fn is_system_call(code: u64) -> bool {
    code & low_bytes(here::SYSTEM_CALL.1) == here::SYSTEM_CALL.0
}

const fn low_bytes(n: u32) -> u64 {
    (1 << (8 * n)) - 1
}
