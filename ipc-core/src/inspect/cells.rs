//! Describers of the kinds of this crate, and of `ipc_sync::Lock`, which is a lock line and data.

use super::{Body, Describer, Recorded, Sheet, Who};
use crate::deadline::now_ns;
use crate::plain::size_and_align;
use crate::raw::lock_line::{Decoded, LockLine};
use crate::raw::{Cause, Kind};
use std::fmt;
use std::time::Duration;

/// The kinds that [`Inspector::new`](super::Inspector::new) knows.
pub(super) const DESCRIBERS: &[Describer] = &[
    Describer { kind: Kind::VALUE, describe: value },
    Describer { kind: Kind::ARRAY, describe: array },
    Describer { kind: Kind::LOCK, describe: array },
    Describer { kind: Kind::ATOMIC_VALUE, describe: atomic },
    Describer { kind: Kind::ATOMIC_ARRAY, describe: atomic },
];

const LINE: u64 = size_of::<LockLine>() as u64;

fn value(body: &Body<'_>, sheet: &mut Sheet) {
    lock_line(body, 0, sheet);
    if body.count() != 1 {
        sheet.damage("count", format_args!("{}, expected 1", body.count()));
    }
    let Some((size, align)) = size_and_align(body.schema()) else { return unknown_type(body, sheet) };
    // As `ValueState`: the line, which copy is current, two copies.
    let align = align.max(8);
    let (first, copy) = ((LINE + 4).next_multiple_of(align), size.checked_next_multiple_of(align));
    fits(body, copy.and_then(|copy| copy.checked_mul(2)?.checked_add(first)), align, sheet);
    match (body.u32(LINE), copy) {
        (current @ 1..=2, Some(copy)) => {
            sheet.fact("current", format_args!("copy {current} of 2"));
            number(body, if current == 1 { first } else { first.saturating_add(copy) }, sheet);
        }
        (other, _) => sheet.damage("current", format_args!("copy {other:#x} of 2")),
    }
}

/// Lines with elements behind them; a Lock has one.
fn array(body: &Body<'_>, sheet: &mut Sheet) {
    lock_line(body, 0, sheet);
    let Some((size, align)) = size_and_align(body.schema()) else { return unknown_type(body, sheet) };
    let needed = size.checked_mul(body.count()).and_then(|len| len.checked_add(LINE.next_multiple_of(align)));
    fits(body, needed, align, sheet);
}

fn atomic(body: &Body<'_>, sheet: &mut Sheet) {
    let Some((size, align)) = size_and_align(body.schema()) else { return unknown_type(body, sheet) };
    fits(body, size.checked_mul(body.count()), align, sheet);
    if body.count() == 1 {
        number(body, 0, sheet);
    }
}

/// The handle refuses a body that is too small; nobody makes one that is larger than what alignment adds.
fn fits(body: &Body<'_>, needed: Option<u64>, align: u64, sheet: &mut Sheet) {
    let most = needed.and_then(|needed| needed.checked_next_multiple_of(align.max(LINE)));
    let (Some(needed), Some(most)) = (needed, most) else {
        return sheet.damage("body", "its type and count are too large for any memory");
    };
    if !(needed..=most).contains(&body.len()) {
        sheet.damage("body", format_args!("{} bytes, {needed} expected of its type and count", body.len()));
    }
}

fn unknown_type(body: &Body<'_>, sheet: &mut Sheet) {
    sheet.damage("type", format_args!("`{}` is no schema", body.schema().escape_debug()));
}

/// The number at `at`, if the type is one.
fn number(body: &Body<'_>, at: u64, sheet: &mut Sheet) {
    match body.schema() {
        "u8" => sheet.fact("value", body.u8(at)),
        "u16" => sheet.fact("value", body.u16(at)),
        "u32" => sheet.fact("value", body.u32(at)),
        "u64" => sheet.fact("value", body.u64(at)),
        "i8" => sheet.fact("value", body.u8(at) as i8),
        "i16" => sheet.fact("value", body.u16(at) as i16),
        "i32" => sheet.fact("value", body.u32(at) as i32),
        "i64" => sheet.fact("value", body.u64(at) as i64),
        "f32" => sheet.fact("value", f32::from_bits(body.u32(at))),
        "f64" => sheet.fact("value", f64::from_bits(body.u64(at))),
        _ => {}
    }
}

/// Describes the [`LockLine`] at `at` of a body: who holds it, who waits and for how long, what is marked and why.
pub fn lock_line(body: &Body<'_>, at: u64, sheet: &mut Sheet) {
    line(&body.bytes(at, LINE as usize), &|owner| body.who(owner), sheet);
}

/// As [`lock_line`], of bytes.
pub(super) fn line(bytes: &[u8], who: &dyn Fn(crate::raw::Owner) -> Who, sheet: &mut Sheet) {
    let line = LockLine::copied(bytes);
    let decoded = line.decode();
    match decoded {
        Decoded::Corrupt { word } => sheet.damage("lock", format_args!("{word:#x}, which no member writes")),
        Decoded::Free { .. } => sheet.fact("lock", "free"),
        Decoded::Held { owner, inconsistent, touched } => {
            let holder = who(owner);
            let thread = Thread(owner.thread());
            let doing = match (inconsistent, touched) {
                (true, _) => ", recovering",
                (false, true) => ", writing",
                (false, false) => "",
            };
            if holder.presence.may_act() {
                sheet.fact("lock", format_args!("held by {holder}{thread}{doing}"));
            } else {
                let next =
                    if inconsistent || touched { "is told: Inconsistent" } else { "takes over, nothing is lost" };
                sheet.notice("lock", format_args!("held by {holder}{thread}{doing}; the next locker {next}"));
            }
        }
    }
    waiting(&line, sheet);
    mark(&line, decoded, sheet);
}

fn waiting(line: &LockLine, sheet: &mut Sheet) {
    let Some(since) = line.waited_since_ns() else { return };
    let sleepers = line.sleepers();
    match now_ns().checked_sub(since) {
        Some(ns) => sheet.notice("waiting", format_args!("{sleepers}, the first for {}", Lasted(ns))),
        None => sheet.notice("waiting", format_args!("{sleepers}, since before this boot")),
    }
}

fn mark(line: &LockLine, decoded: Decoded, sheet: &mut Sheet) {
    let marked = matches!(decoded, Decoded::Free { inconsistent: true } | Decoded::Held { inconsistent: true, .. });
    match line.mark() {
        Err(cause) => sheet.damage("mark", format_args!("of cause {cause:#x}, which no member writes")),
        Ok(Some(cause)) if marked => {
            sheet.notice("data", format_args!("inconsistent: {}; call `recover`", Tamed(&cause)));
        }
        Ok(None) if marked => sheet.notice("data", "inconsistent; whoever held it is about to say why"),
        // Left of a recovery under way, or of an old mark.
        Ok(_) => {}
    }
}

struct Tamed<'a>(&'a Cause);

impl fmt::Display for Tamed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&super::members::tame(&self.0.to_string()))
    }
}

struct Thread(u16);

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { Ok(()) } else { write!(f, ", thread {}", self.0) }
    }
}

/// Nanoseconds, to three digits or so.
struct Lasted(u64);

impl fmt::Display for Lasted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1?}", Duration::from_nanos(self.0))
    }
}
