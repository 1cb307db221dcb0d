//! Whether a stopped child is about to touch memory that other processes see.
//!
//! Its mappings tell which memory that is, its registers and the instruction in front of it which memory it touches. Where
//! instructions cannot be decoded (on aarch64), each counts as an access: more places, never fewer.

use super::{StepError, Victim};
use crate::page::BOOKS;
use nix::unistd::Pid;
use std::ops::Range;

/// The memory of a child that others have mapped, too.
pub(super) struct Shared {
    child: Pid,
    mapped: Option<Vec<Range<u64>>>,
    decoder: decode::Decoder,
}

impl Shared {
    pub(super) fn of(child: Pid) -> Self {
        Self { child, mapped: None, decoder: decode::Decoder::new() }
    }

    /// The child may have mapped or unmapped something.
    pub(super) fn look_again(&mut self) {
        self.mapped = None;
    }

    /// Whether the instruction in front of the child reads or writes shared memory.
    pub(super) fn touched_next(&mut self, child: &Victim) -> Result<bool, StepError> {
        let pid = self.child;
        let mapped = self.mapped.get_or_insert_with(|| shared_mappings(pid));
        let touched = self.decoder.addresses(child)?;
        Ok(touched.is_none_or(|touched| touched.iter().any(|at| mapped.iter().any(|range| range.contains(at)))))
    }
}

/// What is mapped MAP_SHARED, the books of the tests apart: they are nothing that the object under test knows of.
fn shared_mappings(child: Pid) -> Vec<Range<u64>> {
    let maps = std::fs::read_to_string(format!("/proc/{child}/maps")).unwrap_or_default();
    maps.lines().filter_map(shared_mapping).collect()
}

/// A line of `/proc/PID/maps`: `start-end perms offset device inode path`.
fn shared_mapping(line: &str) -> Option<Range<u64>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let shared = fields.next()?.ends_with('s');
    let of_a_test = line.contains(BOOKS);
    let address = |text| u64::from_str_radix(text, 16).ok();
    (shared && !of_a_test).then_some(address(start)?..address(end)?)
}

#[cfg(target_arch = "x86_64")]
mod decode {
    use crate::step::arch::Registers;
    use crate::step::{StepError, Victim};
    use iced_x86::{DecoderOptions, Instruction, InstructionInfoFactory, Register};
    use std::collections::HashMap;

    /// No instruction is longer.
    const LONGEST: usize = 15;

    /// The instructions met so far, by their address: most are met many times.
    pub(super) struct Decoder {
        known: HashMap<u64, Instruction>,
        factory: InstructionInfoFactory,
    }

    impl Decoder {
        pub(super) fn new() -> Self {
            Self { known: HashMap::new(), factory: InstructionInfoFactory::new() }
        }

        /// Where the child's next instruction touches memory; `None` if that cannot be told.
        pub(super) fn addresses(&mut self, child: &Victim) -> Result<Option<Vec<u64>>, StepError> {
            let place = child.place()?;
            let instruction = match self.known.get(&place) {
                Some(known) => *known,
                None => *self.known.entry(place).or_insert(decode(child, place)?),
            };
            if instruction.is_invalid() {
                return Ok(None);
            }
            let registers = child.registers()?;
            let used = self.factory.info(&instruction).used_memory();
            Ok(used.iter().map(|memory| memory.virtual_address(0, |name, _, _| value(&registers, name))).collect())
        }
    }

    fn decode(child: &Victim, place: u64) -> Result<Instruction, StepError> {
        let words = [child.read(place)?, child.read(place + 8)?];
        let bytes = words.map(u64::to_le_bytes).concat();
        Ok(iced_x86::Decoder::with_ip(64, &bytes[..LONGEST], place, DecoderOptions::NONE).decode())
    }

    /// What is in a register that an address is made of. (A vector register, as gathers use: unknown.)
    fn value(registers: &Registers, name: Register) -> Option<u64> {
        Some(match name.full_register() {
            Register::RAX => registers.rax,
            Register::RBX => registers.rbx,
            Register::RCX => registers.rcx,
            Register::RDX => registers.rdx,
            Register::RSI => registers.rsi,
            Register::RDI => registers.rdi,
            Register::RBP => registers.rbp,
            Register::RSP => registers.rsp,
            Register::R8 => registers.r8,
            Register::R9 => registers.r9,
            Register::R10 => registers.r10,
            Register::R11 => registers.r11,
            Register::R12 => registers.r12,
            Register::R13 => registers.r13,
            Register::R14 => registers.r14,
            Register::R15 => registers.r15,
            Register::RIP => registers.rip,
            Register::FS => registers.fs_base,
            Register::GS => registers.gs_base,
            Register::CS | Register::DS | Register::ES | Register::SS => 0,
            _ => return None,
        })
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod decode {
    use crate::step::{StepError, Victim};

    pub(super) struct Decoder;

    impl Decoder {
        pub(super) fn new() -> Self {
            Self
        }

        pub(super) fn addresses(&mut self, _: &Victim) -> Result<Option<Vec<u64>>, StepError> {
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_that_others_see_are_told_from_private_ones() {
        let line = "7f00-7f80 rw-s 00000000 00:01 17 /memfd:ipc (deleted)";
        assert_eq!(shared_mapping(line), Some(0x7f00..0x7f80));
        for other in [
            "7f00-7f80 rw-p 00000000 00:01 17 /memfd:ipc",
            "7f00-7f80 rw-s 00000000 00:01 17 /memfd:books-of-a-test (deleted)",
            "7f00 rw-s",
            "",
        ] {
            assert_eq!(shared_mapping(other), None, "{other}");
        }
    }
}
