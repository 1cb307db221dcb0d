//! The directory and the objects: the space is walked, and the chains of the buckets are checked against what the walk found.
//!
//! **1** the directory's own words · **2** entries one behind the other, up to where the next one will begin; behind one that is
//! damaged, the walk goes on at the next place whose fingerprint fits its schema · **3** the entry under construction, if there is
//! one · **4** every chain: it leads towards the front, to entries of its bucket, and to all that have a name.
//!
//! Nothing is done without a bound: entries, places looked at behind a damaged one and links followed are counted, each offset is
//! visited once, and what was left out is said.

use super::body::{Body, Describer};
use super::cells;
use super::header::Shape;
use super::members::{Members, Who, tame};
use super::source::{Source, Window};
use super::{Recorded, Sheet};
use crate::layout::entry::{BUILDING, DESTROYED, ENTRY_BYTES, EntryState, Kind, Parts, READY, fnv1a};
use crate::layout::header::{DIRECTORY_AT, GRAIN};
use crate::raw::Owner;
use crate::segment::DirectoryState;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

/// Objects that are described at most.
const MOST_OBJECTS: usize = 1 << 20;
/// Places that are looked at behind a damaged entry, at most, in one report.
const MOST_PLACES: u64 = 1 << 22;

/// How far an entry has come.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A place is set aside, and nothing is written there yet.
    Free,
    /// Somebody is at it, or died at it.
    Building,
    /// Anybody may attach.
    Ready,
    /// A word that no member writes.
    Unknown(u32),
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("FREE"),
            Self::Building => f.write_str("BUILDING"),
            Self::Ready => f.write_str("READY"),
            Self::Unknown(word) => write!(f, "state {word:#x}"),
        }
    }
}

/// An object, as its directory entry has it, and what its body says.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectReport {
    /// Where its entry lies: its identity in tickets.
    pub offset: u64,
    /// Empty if it has none.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its element type.
    pub schema: String,
    /// Elements or capacity.
    pub count: u64,
    /// How far it has come.
    pub stage: Stage,
    /// Bytes of the entry, its body included.
    pub entry_bytes: u64,
    /// Where the body lies in the segment.
    pub body_at: u64,
    /// Bytes of the body.
    pub body_bytes: u64,
    /// Two looks in a row saw the same. If not, it is in use, and what was found may belong to different moments.
    pub settled: bool,
    /// What was found out.
    pub sheet: Sheet,
}

/// What is known while the directory is walked.
pub(super) struct Walk<'a> {
    pub source: &'a Source<'a>,
    pub members: &'a Members<'a>,
    pub describers: &'a [Describer],
    pub sheet: &'a mut Sheet,
    pub objects: Vec<ObjectReport>,
    /// Where the entries found lie in `objects`, and what is linked behind them.
    found: BTreeMap<u64, Link>,
    places_left: u64,
}

struct Link {
    next: u64,
    bucket_hash: Option<u64>,
    reached: bool,
}

impl<'a> Walk<'a> {
    pub fn new(
        source: &'a Source<'a>,
        members: &'a Members<'a>,
        describers: &'a [Describer],
        sheet: &'a mut Sheet,
    ) -> Self {
        Self {
            source,
            members,
            describers,
            sheet,
            objects: Vec::new(),
            found: BTreeMap::new(),
            places_left: MOST_PLACES,
        }
    }

    /// All of it.
    pub fn run(mut self, shape: &Shape) -> Vec<ObjectReport> {
        let (end, pending, creator) = self.state(shape);
        self.entries(shape.space_at, end.unwrap_or(self.source.size()), end.is_some());
        self.pending(pending, creator, end);
        self.chains(shape, end.unwrap_or(self.source.size()), pending);
        self.objects
    }

    /// Step 1: where the used space ends, if that can be believed, and what is under construction.
    fn state(&mut self, shape: &Shape) -> (Option<u64>, u64, Option<Who>) {
        let shown = self.source.snapshot(DIRECTORY_AT, size_of::<DirectoryState>());
        let state = DirectoryState::copied(&shown.bytes);
        let members = self.members;
        let mut sheet = Sheet::default();
        cells::line(&shown.bytes, &|owner| members.who(owner), &mut sheet);
        let (next, pending) = (state.next_space.load(Relaxed), state.pending.load(Relaxed));
        let good = (shape.space_at..=self.source.size()).contains(&next) && next.is_multiple_of(GRAIN);
        if good {
            sheet.fact("used", format_args!("up to {next:#x}, {} bytes are free", self.source.size() - next));
        } else {
            sheet.damage("used", format_args!("up to {next:#x}, which cannot be"));
        }
        let holder = Owner::from_word(crate::raw::LockLine::copied(&shown.bytes).word());
        let creator = holder.is_somebody().then(|| members.who(holder));
        match &creator {
            _ if pending == 0 => {}
            Some(who) if who.presence.may_act() => sheet.fact("building", format_args!("{pending:#x} by {who}")),
            Some(who) => sheet.notice("building", format_args!("{pending:#x} by {who}")),
            // A file may have been copied, or its machine switched off, in the middle.
            None => sheet.notice("building", format_args!("{pending:#x} by nobody any more")),
        }
        if !shown.settled {
            sheet.doubt();
        }
        for fact in sheet.facts() {
            self.sheet.push(fact.label, &fact.text, fact.standing);
        }
        (good.then_some(next), pending, creator)
    }

    /// Step 2. Without a believable `end`, the first place that holds no entry is the end.
    fn entries(&mut self, start: u64, end: u64, believable: bool) {
        let mut at = start;
        while at < end {
            if self.objects.len() == MOST_OBJECTS {
                self.sheet.damage("objects", format_args!("more than {MOST_OBJECTS}; the rest is not shown"));
                return;
            }
            let entry = Raw::read(self.source, at);
            match entry.checked(at, end) {
                Ok(parts) => {
                    self.add(at, &entry, parts);
                    at += parts.len;
                }
                Err(_) if !believable && entry.stage() == Stage::Free => return,
                Err(reason) => {
                    let next = self.resume(at + GRAIN, end);
                    let skipped = next.unwrap_or(end) - at;
                    self.sheet.damage("entry", format_args!("at {at:#x}: {reason}; {skipped} bytes are skipped"));
                    match next {
                        Some(next) => at = next,
                        None => return,
                    }
                }
            }
        }
    }

    /// The next place that is an entry without doubt: READY, inside, and with the fingerprint of its own schema.
    fn resume(&mut self, from: u64, end: u64) -> Option<u64> {
        let mut window = Window::hasty(self.source);
        let mut at = from;
        while at < end && self.places_left > 0 {
            self.places_left -= 1;
            let state = window.get(at, 4);
            if state == READY.to_le_bytes() {
                let entry = Raw::read(self.source, at);
                if entry.checked(at, end).is_ok() {
                    return Some(at);
                }
            }
            at += GRAIN;
        }
        None
    }

    /// Step 3.
    fn pending(&mut self, pending: u64, creator: Option<Who>, end: Option<u64>) {
        if pending == 0 || self.found.contains_key(&pending) {
            return;
        }
        if Some(pending) != end {
            return self.sheet.damage("building", format_args!("{pending:#x} is not where the used space ends"));
        }
        let entry = Raw::read(self.source, pending);
        let parts = entry.parts().check(pending, self.source.size()).unwrap_or(Parts::NOTHING);
        self.add(pending, &entry, parts);
        if let (Some(object), Some(creator)) = (self.objects.last_mut(), creator) {
            match (creator.presence.may_act(), object.stage) {
                (true, _) => object.sheet.fact("creator", creator),
                (false, Stage::Ready) => {
                    object.sheet.notice("creator", format_args!("{creator}; the next one publishes it"))
                }
                (false, _) => object.sheet.notice("creator", format_args!("{creator}; the next one forgets it")),
            }
        }
    }

    /// Step 4.
    fn chains(&mut self, shape: &Shape, end: u64, pending: u64) {
        let mut window = Window::hasty(self.source);
        let mask = u64::from(shape.buckets - 1);
        for bucket in 0..u64::from(shape.buckets) {
            let head = window.get(shape.buckets_at + bucket * 8, 8);
            let mut at = head.try_into().map_or(0, u64::from_le_bytes);
            let mut above = u64::MAX;
            while at != 0 {
                if at >= above {
                    self.sheet.damage("bucket", format_args!("{bucket}: leads back from {above:#x} to {at:#x}"));
                    break;
                }
                above = at;
                let Some(link) = self.found.get_mut(&at) else {
                    // What was created since the space was walked is linked, and lies behind.
                    let entry = Raw::read(self.source, at);
                    let newer = at >= end && entry.checked(at, self.source.size()).is_ok();
                    if !newer || self.places_left == 0 {
                        self.sheet.damage("bucket", format_args!("{bucket}: leads to {at:#x}, where no entry is"));
                        break;
                    }
                    self.places_left -= 1;
                    at = entry.state.next.load(Relaxed);
                    continue;
                };
                if link.bucket_hash.map(|hash| hash & mask) != Some(bucket) {
                    self.sheet
                        .damage("bucket", format_args!("{bucket}: leads to {at:#x}, which does not belong there"));
                    break;
                }
                if std::mem::replace(&mut link.reached, true) {
                    break;
                }
                at = link.next;
            }
        }
        let lost =
            self.found.iter().filter(|&(&at, link)| link.bucket_hash.is_some() && !link.reached && at != pending);
        let lost: Vec<u64> = lost.map(|(&at, _)| at).collect();
        for object in self.objects.iter_mut().filter(|object| lost.binary_search(&object.offset).is_ok()) {
            if object.stage == Stage::Ready {
                object.sheet.damage("name", "its bucket does not lead here: nobody finds it by name");
            }
        }
    }

    fn add(&mut self, at: u64, entry: &Raw, parts: Parts) {
        let texts = self.source.read(at + ENTRY_BYTES, usize::from(parts.name_len) + usize::from(parts.schema_len));
        let (name, schema) = texts.split_at(usize::from(parts.name_len).min(texts.len()));
        let mut object = ObjectReport {
            offset: at,
            name: tame(&String::from_utf8_lossy(name)),
            kind: Kind(entry.state.kind.load(Relaxed)),
            schema: tame(&String::from_utf8_lossy(schema)),
            count: entry.state.count.load(Relaxed),
            stage: entry.stage(),
            entry_bytes: parts.len,
            body_at: at + u64::from(parts.body_at),
            body_bytes: parts.body_len,
            settled: true,
            sheet: Sheet::default(),
        };
        if object.stage == Stage::Ready {
            if !name.is_empty() && crate::segment::check_name(&object.name).is_err() {
                object.sheet.damage("name", "nobody may choose it");
            }
            self.describe(&mut object);
        }
        let bucket_hash = (!name.is_empty()).then(|| fnv1a(name));
        self.found.insert(at, Link { next: entry.state.next.load(Relaxed), bucket_hash, reached: false });
        self.objects.push(object);
    }

    fn describe(&self, object: &mut ObjectReport) {
        let body =
            Body::new(self.source, self.members, object.body_at, object.body_bytes, object.count, &object.schema);
        let mut sheet = Sheet::default();
        // The last one given wins.
        match self.describers.iter().rev().find(|describer| describer.kind == object.kind) {
            Some(describer) => (describer.describe)(&body, &mut sheet),
            None => sheet.notice("body", "nobody here knows this kind"),
        }
        object.settled = body.settled();
        if !object.settled {
            sheet.doubt();
            sheet.notice("moving", "it changed while it was read: the above may be of different moments");
        }
        for fact in sheet.facts() {
            object.sheet.push(fact.label, &fact.text, fact.standing);
        }
    }
}

/// The fixed part of an entry as it was read, and whether its schema has its fingerprint.
struct Raw {
    state: EntryState,
    schema_hash: u64,
    /// All of the fixed part was there.
    whole: bool,
}

impl Raw {
    fn read(source: &Source<'_>, at: u64) -> Self {
        let bytes = source.read(at, ENTRY_BYTES as usize);
        let state = EntryState::copied(&bytes);
        let name_len = u64::from(state.name_len.load(Relaxed));
        let schema_at = at.saturating_add(ENTRY_BYTES).saturating_add(name_len);
        let schema_hash = match state.state.load(Relaxed) {
            READY => fnv1a(&source.read(schema_at, state.schema_len.load(Relaxed).into())),
            _ => 0,
        };
        Self { state, schema_hash, whole: bytes.len() as u64 == ENTRY_BYTES }
    }

    fn stage(&self) -> Stage {
        match self.state.state.load(Relaxed) {
            0 => Stage::Free,
            BUILDING => Stage::Building,
            READY => Stage::Ready,
            other => Stage::Unknown(other),
        }
    }

    fn parts(&self) -> Parts {
        Parts {
            name_len: self.state.name_len.load(Relaxed),
            schema_len: self.state.schema_len.load(Relaxed),
            body_at: self.state.body_at.load(Relaxed),
            body_len: self.state.body_len.load(Relaxed),
            len: self.state.len.load(Relaxed),
        }
    }

    /// A finished entry that lies in front of `end`, or what is wrong with it.
    fn checked(&self, at: u64, end: u64) -> Result<Parts, String> {
        if !self.whole {
            return Err("the file ends in it".to_owned());
        }
        match self.stage() {
            Stage::Ready => {}
            Stage::Unknown(DESTROYED) => return Err("it is DESTROYED, which format 1 does not write".to_owned()),
            stage => return Err(format!("{stage}, expected READY")),
        }
        let parts = self.parts().check(at, end).map_err(|corrupt| corrupt.to_string())?;
        let found = self.state.fingerprint.load(Relaxed);
        if found != self.schema_hash {
            return Err(format!("fingerprint {found:#x}, its schema has {:#x}", self.schema_hash));
        }
        Ok(parts)
    }
}
