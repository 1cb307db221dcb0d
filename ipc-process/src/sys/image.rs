//! The program image: where this program lies in memory, what lies in it, and whether two processes run the same one.
//!
//! Every process that runs this program has the same image at another address (ASLR), so a position in it is named by its
//! offset from `__ehdr_start`, the ELF header, which the linker puts in front. Not from a function: the compiler may
//! duplicate or merge those.
//!
//! | what                    | from                                                                                     |
//! |-------------------------|------------------------------------------------------------------------------------------|
//! | base                    | `__ehdr_start` of the object file set this crate is linked into                           |
//! | is it the main program? | the kernel's `AT_PHDR` is `base + e_phoff`; no: this crate is in a shared library          |
//! | segments                | the program headers at `AT_PHDR`                                                           |
//! | identity                | a hash of the first page: ELF header, program headers and, where linked in, the build id   |
//! | is it /proc/self/exe?   | the file's first page equals the one in memory; no: started through an explicit loader     |
//!
//! All of it is read-only memory that the kernel mapped from the program's file, valid as long as the process.

use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicPtr, Ordering};

unsafe extern "C" {
    #[link_name = "__ehdr_start"]
    static EHDR_START: u8;
}

/// Bytes of the image that make up its identity, at most.
const FIRST_PAGE_BYTES: u64 = 4096;

/// A mapped part of the image, as offsets from its base.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: u64,
    end: u64,
    flags: u32,
}

/// What a range of the image is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Read,
    Execute,
}

/// The main program of this process.
#[derive(Debug)]
pub(crate) struct Image {
    base: usize,
    parts: Vec<Part>,
    first_page_bytes: usize,
    identity: u64,
}

impl Image {
    /// The image this crate is part of, or `None` if that is not the main program of the process.
    pub(crate) fn of_this_program() -> Option<&'static Image> {
        static IMAGE: AtomicPtr<Image> = AtomicPtr::new(std::ptr::null_mut());
        // ORDERING: Acquire: pairs with the Release below, which publishes what is pointed to.
        let known = IMAGE.load(Ordering::Acquire);
        // SAFETY: null, or one of the boxes leaked below, which nobody writes to.
        if let Some(known) = unsafe { known.as_ref() } {
            return Some(known);
        }
        // Not a `OnceLock`: in a process forked while another thread is inside one, it is never done. Several threads may
        // get here; what they find is the same, and each leaks its own.
        let found: &'static Image = Box::leak(Box::new(Image::read()?));
        // ORDERING: Release: pairs with the Acquire above.
        IMAGE.store(std::ptr::from_ref(found).cast_mut(), Ordering::Release);
        Some(found)
    }

    /// A number that two processes share if, and practically only if, they run the same program file.
    pub(crate) fn identity(&self) -> u64 {
        self.identity
    }

    /// The offset of an address; meaningful only where [`holds`](Self::holds) says so.
    pub(crate) fn offset_of(&self, address: usize) -> u64 {
        address.wrapping_sub(self.base) as u64
    }

    /// The address at an offset.
    pub(crate) fn at<T>(&self, offset: u64) -> *const T {
        std::ptr::with_exposed_provenance(self.base.wrapping_add(offset as usize))
    }

    /// Whether `len` bytes from `offset` lie inside one mapped part of the image that serves this use.
    pub(crate) fn holds(&self, offset: u64, len: u64, usage: Use) -> bool {
        holds(&self.parts, offset, len, usage)
    }

    /// Whether `/proc/self/exe` is the file this image was mapped from.
    ///
    /// It is not when the program was started through an explicit loader (`ld.so ./program`), and not readable where there
    /// is no `/proc`.
    pub(crate) fn is_proc_self_exe(&self) -> std::io::Result<bool> {
        let mut first_page = vec![0; self.first_page_bytes];
        std::fs::File::open("/proc/self/exe")?.read_exact_at(&mut first_page, 0)?;
        Ok(first_page == self.first_page())
    }

    fn first_page(&self) -> &'static [u8] {
        // SAFETY: `read` took the length from the program header that maps the file from its first byte; the kernel or the
        // loader mapped that segment readable at `base`, and nothing unmaps the main program.
        unsafe { std::slice::from_raw_parts(self.at::<u8>(0), self.first_page_bytes) }
    }

    fn read() -> Option<Image> {
        let base = (&raw const EHDR_START).expose_provenance();
        let headers_at = auxiliary(libc::AT_PHDR)?;
        let header = std::ptr::with_exposed_provenance::<libc::Elf64_Ehdr>(base);
        // SAFETY: `__ehdr_start` is the ELF header of the object file set this code was linked into, mapped as this code is.
        let header = unsafe { header.read() };
        let count = auxiliary(libc::AT_PHNUM)?;
        if base.wrapping_add(header.e_phoff as usize) != headers_at || usize::from(header.e_phnum) != count {
            return None;
        }
        let headers = std::ptr::with_exposed_provenance::<libc::Elf64_Phdr>(headers_at);
        // SAFETY: the kernel says that `AT_PHNUM` program headers lie at `AT_PHDR`; they are never written.
        let headers = unsafe { std::slice::from_raw_parts(headers, count) };
        let first = headers.iter().find(|h| h.p_type == libc::PT_LOAD && h.p_offset == 0)?;
        let parts = headers.iter().filter(|h| h.p_type == libc::PT_LOAD).map(|h| {
            let start = h.p_vaddr.wrapping_sub(first.p_vaddr);
            Part { start, end: start.saturating_add(h.p_memsz), flags: h.p_flags }
        });
        let first_page_bytes = first.p_filesz.min(FIRST_PAGE_BYTES) as usize;
        let mut image = Image { base, parts: parts.collect(), first_page_bytes, identity: 0 };
        let mut hasher = DefaultHasher::new();
        hasher.write(image.first_page());
        image.identity = hasher.finish();
        Some(image)
    }
}

/// Whether the kernel started this program with more rights than its caller has (setuid, setgid, file capabilities).
pub(crate) fn is_privileged() -> bool {
    auxiliary(libc::AT_SECURE).is_some_and(|secure| secure != 0)
}

/// An entry of the auxiliary vector; `None` if it is absent. `getauxval(3)`.
fn auxiliary(kind: libc::c_ulong) -> Option<usize> {
    // SAFETY: getauxval takes any number and only reads what the kernel left for this process.
    let value = unsafe { libc::getauxval(kind) };
    (value != 0 || kind == libc::AT_SECURE).then_some(value as usize)
}

fn holds(parts: &[Part], offset: u64, len: u64, usage: Use) -> bool {
    let wanted = match usage {
        Use::Read => libc::PF_R,
        Use::Execute => libc::PF_X,
    };
    let Some(end) = offset.checked_add(len) else { return false };
    parts.iter().any(|part| part.start <= offset && end <= part.end && part.flags & wanted != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_must_lie_in_one_part_of_its_use() {
        let parts = [
            Part { start: 0, end: 0x1000, flags: libc::PF_R },
            Part { start: 0x1000, end: 0x3000, flags: libc::PF_R | libc::PF_X },
        ];
        assert!(holds(&parts, 0xff8, 8, Use::Read));
        assert!(!holds(&parts, 0xff9, 8, Use::Read), "crosses into the next part");
        assert!(!holds(&parts, 0, 1, Use::Execute));
        assert!(holds(&parts, 0x2fff, 1, Use::Execute));
        assert!(!holds(&parts, 0x3000, 1, Use::Read));
        assert!(!holds(&parts, u64::MAX - 3, 8, Use::Read), "wraps around");
    }

    #[test]
    fn this_program_is_found_in_its_own_image() {
        let image = Image::of_this_program().expect("tests are programs");
        static SOMETHING: u64 = 4711;
        let offset = image.offset_of((&raw const SOMETHING).addr());
        assert!(image.holds(offset, 8, Use::Read) && !image.holds(offset, u64::MAX, Use::Read));
        assert!(image.holds(image.offset_of(holds as fn(_, _, _, _) -> _ as usize), 1, Use::Execute));
        assert!(image.is_proc_self_exe().expect("proc"));
        assert!(!is_privileged());
    }
}
