//! `Object`: something placed in a segment, found by name, offset or ticket.

use super::directory::{Found, Plan};
use super::publish::{self, Capacity};
use super::{Segment, SegmentOptions, Ticket, name};
use crate::error::{Error, ErrorKind};
use crate::layout::entry::{Kind, Parts};
use std::alloc::Layout;
use std::borrow::Cow;
use std::fmt;
use std::ptr::NonNull;

/// Where an object is to be, or is.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// In an anonymous segment of its own.
    New,
    /// In a named segment of its own, which must not exist.
    Create(&'a str),
    /// In the named segment of its own that somebody created.
    Open(&'a str),
    /// Either.
    OpenOrCreate(&'a str),
    /// Unnamed, in this segment.
    NewIn(&'a Segment),
    /// Named, in this segment, where the name must be free.
    CreateIn(&'a Segment, &'a str),
    /// Named, in this segment, where somebody created it.
    OpenIn(&'a Segment, &'a str),
    /// Either.
    OpenOrCreateIn(&'a Segment, &'a str),
}

impl Place<'_> {
    /// Member rows of the segment there, or of the one that will be made with these options.
    pub(crate) fn members(&self, options: &SegmentOptions) -> u32 {
        match self {
            Self::NewIn(segment)
            | Self::CreateIn(segment, _)
            | Self::OpenIn(segment, _)
            | Self::OpenOrCreateIn(segment, _) => segment.members(),
            Self::New | Self::Create(_) | Self::Open(_) | Self::OpenOrCreate(_) => options.rows(),
        }
    }
}

/// What an object is made of.
pub struct Blueprint<'a> {
    /// Its type.
    pub kind: Kind,
    /// The type of its elements, as text: compared as a whole when opening.
    pub schema: Cow<'a, str>,
    /// Elements or capacity, as its type likes; kept in the directory and given back by [`Object::count`].
    pub count: u64,
    /// Size and alignment (at most 4096) of its body.
    pub layout: Layout,
    /// Writes the initial state into the zeroed body, or says why not: then there is no object. Zero bytes should be an invalid
    /// state.
    pub init: &'a dyn Fn(NonNull<u8>) -> Result<(), Error>,
}

/// An object in a segment: the segment stays mapped as long as this lives.
///
/// Everything else is the business of the object's type. Opening checks the kind, the schema and that the body lies inside
/// the mapping, aligned to 64; the type checks that `count` fits `len` before it believes either, and
/// that it [`holds`](Self::holds) what it should if that needs more than 64.
#[derive(Clone)]
pub struct Object {
    segment: Segment,
    offset: u64,
    body: NonNull<u8>,
    len: usize,
    count: u64,
}

// SAFETY: the pointer leads into the mapping that `segment` keeps; what lies there is shared between processes anyway.
unsafe impl Send for Object {}
// SAFETY: as for `Send`; `Object` itself accesses nothing.
unsafe impl Sync for Object {}

impl Object {
    /// Creates the object, or opens what may exist already, as `place` says.
    ///
    /// # Process death
    /// A creator that dies leaves no trace of the object, or all of it.
    pub fn place(place: Place<'_>, plan: &Blueprint<'_>, options: &SegmentOptions) -> Result<Self, Error> {
        match place {
            Place::New => publish::anonymous(plan.capacity(), options, |segment| Self::create(segment, "", plan)),
            Place::Create(name) => {
                publish::named(name, plan.capacity(), options, |segment| Self::create(segment, "", plan))
            }
            Place::OpenOrCreate(name) => publish::open_or_create(
                name,
                || Self::open(Place::Open(name), plan.kind, &plan.schema),
                || Self::place(Place::Create(name), plan, options),
            ),
            Place::NewIn(segment) => Self::create(segment, "", plan),
            Place::CreateIn(segment, name) => {
                name::check(name)?;
                Self::create(segment, name, plan)
            }
            Place::OpenOrCreateIn(segment, name) => publish::open_or_create(
                name,
                || Self::open(Place::OpenIn(segment, name), plan.kind, &plan.schema),
                || Self::place(Place::CreateIn(segment, name), plan, options),
            ),
            Place::Open(_) | Place::OpenIn(..) => Self::open(place, plan.kind, &plan.schema),
        }
    }

    /// Opens an object that exists: `place` is [`Place::Open`] or [`Place::OpenIn`].
    pub fn open(place: Place<'_>, kind: Kind, schema: &str) -> Result<Self, Error> {
        let not_found = |name: &str| ErrorKind::NotFound { name: name.to_owned() };
        let (segment, found) = match place {
            Place::Open(name) => {
                let segment = Segment::open(name)?;
                let first = segment.inner().directory().first()?;
                // The object of a segment that was made for one has no name.
                let found = first.filter(|found| found.parts.name_len == 0).ok_or_else(|| ErrorKind::WrongKind {
                    found: "segment for many objects".to_owned(),
                    expected: kind.to_string(),
                })?;
                (segment, found)
            }
            Place::OpenIn(segment, name) => {
                name::check(name)?;
                let found = segment.inner().directory().find(name)?.ok_or_else(|| not_found(name))?;
                (segment.clone(), found)
            }
            _ => {
                return Err(ErrorKind::InvalidArgument {
                    what: "place to open",
                    found: format!("{place:?}"),
                    expected: "Open or OpenIn",
                }
                .into());
            }
        };
        Self::check(segment, found, kind, schema)
    }

    /// Attaches to the object that a ticket names.
    ///
    /// # Errors
    /// [`ErrorKind::Gone`] if the process that gave the ticket no longer has the segment open;
    /// [`ErrorKind::WrongKind`] and [`ErrorKind::WrongType`] if it names something else.
    pub fn attach(ticket: &Ticket, kind: Kind, schema: &str) -> Result<Self, Error> {
        Self::at(ticket.segment()?, ticket.offset(), kind, schema)
    }

    /// The object whose directory entry lies at `offset`, which may come from anywhere.
    pub fn at(segment: Segment, offset: u64, kind: Kind, schema: &str) -> Result<Self, Error> {
        let found = segment.inner().directory().read_walked(offset)?;
        Self::check(segment, found, kind, schema)
    }

    /// The object whose directory entry lies at `offset`, which may come from anywhere, and what it holds, for a look at a part
    /// of it; nothing else is known of it.
    pub(crate) fn any_at(segment: Segment, offset: u64) -> Result<(Self, Kind, String), Error> {
        let mut found = segment.inner().directory().read_walked(offset)?;
        let (kind, schema) = (found.kind, std::mem::take(&mut found.schema));
        Ok((Self::of(segment, found), kind, schema))
    }

    /// The segment it lies in.
    pub fn segment(&self) -> &Segment {
        &self.segment
    }

    /// The first byte of its body, aligned to 64; see [`holds`](Self::holds).
    pub fn body(&self) -> NonNull<u8> {
        self.body
    }

    /// Whether its body has room for `layout` and is aligned for it, which nothing else says of an entry that anybody may have
    /// written.
    pub fn holds(&self, layout: Layout) -> bool {
        layout.size() <= self.len && self.body.addr().get().is_multiple_of(layout.align())
    }

    /// Bytes of its body.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether its body has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number its creator gave.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Where its directory entry lies in the segment: with the segment's id, its identity.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// A small value from which another process attaches.
    pub fn ticket(&self) -> Ticket {
        Ticket::of(&self.segment, self.offset, 0)
    }

    fn create(segment: &Segment, name: &str, plan: &Blueprint<'_>) -> Result<Self, Error> {
        let entry = Plan {
            name,
            kind: plan.kind,
            schema: &plan.schema,
            count: plan.count,
            layout: plan.layout,
            init: plan.init,
        };
        let directory = segment.inner().directory();
        let offset = directory.create(segment, &entry)?;
        Ok(Self::of(segment.clone(), directory.read(offset)?))
    }

    fn check(segment: Segment, found: Found, kind: Kind, schema: &str) -> Result<Self, Error> {
        Self::compare(found.kind, &found.schema, kind, schema)?;
        Ok(Self::of(segment, found))
    }

    /// Whether an object of the kind and type found is one of those expected.
    pub(crate) fn compare(found: Kind, found_schema: &str, kind: Kind, schema: &str) -> Result<(), Error> {
        if found != kind {
            return Err(ErrorKind::WrongKind { found: found.to_string(), expected: kind.to_string() }.into());
        }
        if found_schema != schema {
            let (found, expected) = (found_schema.to_owned(), schema.to_owned());
            return Err(ErrorKind::WrongType { found, expected }.into());
        }
        Ok(())
    }

    fn of(segment: Segment, found: Found) -> Self {
        Self {
            body: segment.inner().at(found.offset + u64::from(found.parts.body_at)),
            len: found.parts.body_len as usize,
            count: found.count,
            offset: found.offset,
            segment,
        }
    }
}

impl Blueprint<'_> {
    /// Room for this object alone, wherever alignment puts it.
    fn capacity(&self) -> Capacity {
        let parts = Parts::place(0, "", &self.schema, self.layout).map(|parts| parts.len);
        // What cannot be placed is refused when it is placed.
        Capacity::for_one(parts.unwrap_or(0).saturating_add(self.layout.align() as u64))
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("segment", &self.segment).field("offset", &self.offset).finish()
    }
}
