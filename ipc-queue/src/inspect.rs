//! How a queue is written, and how it is described.

use crate::ring::{Announced, EndpointRow, Geometry, Header, Held, Phase, Positions, RingState, Role, Slot, SlotWord};
use ipc_core::inspect::{Body, Describer, Record, Recorded, Sheet, Standing};
use ipc_core::raw::{Kind, WaitWord};
use std::fmt;

/// The structures of a queue as they lie in shared memory, in the order of `docs/layout.md`.
pub const FORMAT: &[Record] =
    &[RingState::RECORD, Header::RECORD, EndpointRow::RECORD, <Slot<u64> as Recorded>::RECORD];

/// What [`Inspector::with`](ipc_core::inspect::Inspector::with) needs to describe queues.
pub const DESCRIBERS: &[Describer] = &[Describer { kind: Kind::QUEUE, describe: queue }];

/// Slots that are looked at, at most, and bytes that these may lie apart.
const MOST_SLOTS: u64 = 1 << 16;
const MOST_BYTES: u64 = 64 << 20;

const ROWS_AT: u64 = size_of::<RingState>() as u64;
const ROW_BYTES: u64 = size_of::<EndpointRow>() as u64;

fn queue(body: &Body<'_>, sheet: &mut Sheet) {
    let state = RingState::copied(&body.bytes(0, size_of::<RingState>()));
    let (capacity, endpoints, slot_bytes) = state.said();
    let Ok(geometry) = Geometry::new(capacity, endpoints) else {
        return sheet.damage("size", format_args!("{capacity} slots and {endpoints} endpoint rows, which cannot be"));
    };
    if capacity != body.count() {
        sheet.damage("size", format_args!("{capacity} slots, the entry says {}", body.count()));
    }
    let positions = *geometry.positions();
    depth(&state, &positions, sheet);
    sleepers("receivers", &state.rx, sheet);
    sleepers("senders", &state.tx, sheet);
    rows(body, endpoints, &positions, sheet);
    match slots_at(body.len(), capacity, endpoints, slot_bytes.into()) {
        Some(at) => slots(body, at, capacity, slot_bytes.into(), sheet),
        None => sheet.damage("slots", format_args!("{capacity} of {slot_bytes} bytes do not fit {} bytes", body.len())),
    }
}

/// How full it is, and whether it is closed.
fn depth(state: &RingState, positions: &Positions, sheet: &mut Sheet) {
    let (control, tail, head) = state.words();
    if control.checked().is_err() {
        sheet.damage("control", format_args!("{control:?}, which no member writes"));
    }
    let (Some(to), Some(from)) = (positions.cursor(tail), positions.cursor(head)) else {
        return sheet.damage("cursors", format_args!("tail {tail:#x}, head {head:#x}, not both are cursors"));
    };
    let (depth, capacity) = (positions.distance(from, to), positions.capacity());
    match u64::try_from(depth) {
        Ok(depth) if depth == capacity => sheet.fact("depth", format_args!("{depth} of {capacity}, full")),
        Ok(depth) if depth < capacity => sheet.fact("depth", format_args!("{depth} of {capacity}")),
        _ => sheet.damage("depth", format_args!("{depth} of {capacity}: the cursors are too far apart")),
    }
    if positions.open_cursor(tail).is_none() {
        sheet.fact("closed", "yes: nothing more is accepted");
    }
    for (side, who) in [(Role::Sender, "sender"), (Role::Receiver, "receiver")] {
        if control.gone(side) {
            sheet.notice("gone", format_args!("no {who} was left when somebody looked"));
        }
    }
}

fn sleepers(label: &'static str, word: &WaitWord, sheet: &mut Sheet) {
    match word.waiters().count() {
        0 => {}
        n => sheet.notice(label, format_args!("{n} asleep")),
    }
}

/// Who is an endpoint, and what each is about to do.
fn rows(body: &Body<'_>, endpoints: u32, positions: &Positions, sheet: &mut Sheet) {
    let mut taken = 0;
    let mut lines = Sheet::default();
    for index in 0..endpoints {
        let at = ROWS_AT + u64::from(index) * ROW_BYTES;
        let row = EndpointRow::copied(&body.bytes(at, ROW_BYTES as usize));
        let (owner, role) = match row.owner().held() {
            Ok(Held::Free) => continue,
            Ok(Held::By(owner, role)) => (owner, role),
            Err(corrupt) => {
                lines.damage("endpoint", format_args!("row {index}: {:#x}, which no member writes", corrupt.found));
                continue;
            }
        };
        taken += 1;
        let who = body.who(owner);
        let standing = if who.presence.may_act() { Standing::Plain } else { Standing::Notice };
        let does = Does(role);
        match row.announced(positions) {
            Ok(Announced::Nothing) => lines.push("endpoint", format_args!("row {index}: {who} {does}"), standing),
            Ok(Announced::Moving) => lines.push("endpoint", format_args!("row {index}: {who} {does}, busy"), standing),
            Ok(Announced::Claim(intent, n)) => {
                // It stands until the next one: whether it is done, the slots tell.
                let how = if intent.sure { "claimed" } else { "tried for" };
                let why = if intent.side == Role::Sender { "send" } else { "receive" };
                let (lap, slot) = (positions.lap(intent.position), positions.index(intent.position));
                let text =
                    format_args!("row {index}: {who} {does}, last {how} {n} to {why}, from slot {slot} of lap {lap}");
                lines.push("endpoint", text, standing);
            }
            Err(corrupt) => {
                lines.damage("endpoint", format_args!("row {index}: {who} with intent {:#x}", corrupt.found));
            }
        }
    }
    sheet.fact("endpoints", format_args!("{taken} of {endpoints} rows"));
    for fact in lines.facts() {
        sheet.push(fact.label, &fact.text, fact.standing);
    }
}

struct Does(Role);

impl fmt::Display for Does {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Role::Sender => "sends",
            Role::Receiver => "receives",
            Role::Both => "does both",
        })
    }
}

/// Where the slots begin: behind the rows, unless the element type asks for more. `None` if they do not fit.
///
/// The body ends with the last slot, or half a pair of lines later.
fn slots_at(body_len: u64, capacity: u64, endpoints: u32, slot_bytes: u64) -> Option<u64> {
    if slot_bytes == 0 || !slot_bytes.is_multiple_of(64) {
        return None;
    }
    let behind_rows = ROWS_AT + u64::from(endpoints) * ROW_BYTES;
    let latest = body_len.checked_sub(capacity.checked_mul(slot_bytes)?)?;
    match latest.checked_sub(behind_rows)? {
        0 | 64 => Some(behind_rows),
        gap if gap.is_multiple_of(128) && gap < 4096 => Some(latest),
        _ => None,
    }
}

/// What the slots hold.
fn slots(body: &Body<'_>, at: u64, capacity: u64, slot_bytes: u64, sheet: &mut Sheet) {
    const PHASES: [(Phase, &str); 6] = [
        (Phase::Empty, "EMPTY"),
        (Phase::Writing, "WRITING"),
        (Phase::Full, "FULL"),
        (Phase::Reading, "READING"),
        (Phase::Tomb, "TOMB"),
        (Phase::Redeliver, "REDELIVER"),
    ];
    let looked_at = capacity.min(MOST_SLOTS).min((MOST_BYTES / slot_bytes).max(16));
    let mut counts = [0u64; PHASES.len()];
    let mut bad = None;
    for index in 0..looked_at {
        let word = SlotWord(body.u64(at + index * slot_bytes));
        match word.phase() {
            Some(phase) => counts[phase as usize - 1] += 1,
            None => bad = bad.or(Some((index, word))),
        }
    }
    let told: Vec<_> =
        PHASES.iter().zip(counts).filter(|(_, n)| *n > 0).map(|((_, name), n)| format!("{n} {name}")).collect();
    let of = if looked_at < capacity { format!(" among the first {looked_at}") } else { String::new() };
    sheet.fact("slots", format_args!("{}{of}, {slot_bytes} bytes each", told.join(", ")));
    if let Some((index, word)) = bad {
        sheet.damage("slots", format_args!("slot {index} holds {:#x}, which no member writes", word.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::Layout;

    /// Elements of any alignment up to a page: the slots are found without the element type.
    #[test]
    fn slots_are_found_by_sizes_alone() {
        for align in [1usize, 8, 64, 128, 256, 1024, 4096] {
            for size in [0usize, 1, 8, 56, 57, 200, 5000] {
                for (capacity, endpoints) in [(1u64, 1u32), (3, 2), (10, 5), (64, 64)] {
                    // As `Geometry::plan` lays them out.
                    let payload = Layout::from_size_align(size.next_multiple_of(align), align).unwrap();
                    let (slot, _) = Layout::new::<u64>().extend(payload).unwrap();
                    let slot = slot.align_to(64).unwrap().pad_to_align();
                    let rows = Layout::array::<EndpointRow>(endpoints as usize).unwrap();
                    let (whole, _) = Layout::new::<RingState>().extend(rows).unwrap();
                    let slots = Layout::from_size_align(slot.size() * capacity as usize, slot.align()).unwrap();
                    let (whole, at) = whole.extend(slots).unwrap();
                    let found = slots_at(whole.pad_to_align().size() as u64, capacity, endpoints, slot.size() as u64);
                    assert_eq!(
                        found,
                        Some(at as u64),
                        "size {size} align {align} capacity {capacity} endpoints {endpoints}"
                    );
                }
            }
        }
    }
}
