//! A ring as an object in a segment: laid out, created, opened, checked.

use crate::error::EndpointError;
use crate::ring::{Endpoint, Geometry, Ring, Role};
use ipc_core::raw::{Blueprint, Kind, Object, Place};
use ipc_core::{Corrupt, Error, ErrorKind, Plain, SegmentOptions};
use std::borrow::Cow;
use std::ptr::NonNull;

/// A ring, and the object that keeps it mapped.
pub(crate) struct Body<T> {
    // Read by the endpoints of this body, which keep a body too.
    pub ring: Ring<T>,
    pub object: Object,
}

impl<T> Clone for Body<T> {
    fn clone(&self) -> Self {
        Self { ring: self.ring, object: self.object.clone() }
    }
}

impl<T: Plain> Body<T> {
    pub const KIND: Kind = Kind::QUEUE;

    pub fn schema() -> Cow<'static, str> {
        T::SCHEMA.text()
    }

    /// The geometry that a creator chose, if there can be one.
    pub fn geometry_of(capacity: usize, endpoints: u32) -> Result<Geometry, Error> {
        let refused =
            |what, found: u64, expected| ErrorKind::InvalidArgument { what, found: found.to_string(), expected };
        Geometry::new(capacity as u64, endpoints).map_err(|error| {
            match error {
                crate::ring::GeometryError::Endpoints(n) => refused("the number of endpoints", n, "1 to 8192"),
                _ => refused("the capacity", capacity as u64, "1 to 2^32 slots"),
            }
            .into()
        })
    }

    /// The geometry of this one.
    pub fn geometry(&self) -> Result<Geometry, Error> {
        Self::geometry_of(self.ring.positions().capacity() as usize, self.ring.endpoints())
    }

    /// Creates a ring, or opens what may exist, as `place` says.
    pub fn place(place: Place<'_>, capacity: usize, endpoints: u32, options: &SegmentOptions) -> Result<Self, Error> {
        let geometry = Self::geometry_of(capacity, endpoints)?;
        let layout = geometry.layout::<T>().map_err(|_| ErrorKind::OutOfMemory { bytes: u64::MAX })?;
        let init = |body: NonNull<u8>| {
            // SAFETY: the body has the layout of the blueprint, which is this geometry's, and is nobody else's yet.
            let built = unsafe { Ring::<T>::init(body, &geometry, 1) };
            debug_assert!(built.is_ok(), "the geometry has just been laid out");
            Ok(())
        };
        let plan = Blueprint { kind: Self::KIND, schema: Self::schema(), count: capacity as u64, layout, init: &init };
        Self::claim(Object::place(place, &plan, options)?)
    }

    /// Opens the ring that somebody created.
    pub fn open(place: Place<'_>) -> Result<Self, Error> {
        Self::claim(Object::open(place, Self::KIND, &Self::schema())?)
    }

    /// Views an object of this kind and schema as a ring, once its size fits what it says.
    pub fn claim(object: Object) -> Result<Self, Error> {
        let wrong = |found: usize| Corrupt { what: "the size of a queue", found: found as u64 };
        let least = Geometry::new(1, 1).and_then(|least| least.layout::<T>());
        let fits = |layout: Result<std::alloc::Layout, _>| {
            layout.is_ok_and(|layout| {
                layout.size() <= object.len() && object.body().addr().get().is_multiple_of(layout.align())
            })
        };
        if !fits(least) {
            return Err(wrong(object.len()).into());
        }
        // SAFETY: the body has at least as many bytes as the least ring, and is aligned for it, as was just checked.
        let geometry = unsafe { Geometry::read(object.body(), object.count()) }?;
        if !fits(geometry.layout::<T>()) {
            return Err(wrong(object.len()).into());
        }
        // SAFETY: the body has the bytes of this geometry, aligned for it, and stays mapped as long as `object`, which is kept
        // beside every copy of the view.
        let ring = unsafe { Ring::attach(object.body(), &geometry) }?;
        Ok(Self { ring, object })
    }

    /// One more endpoint.
    pub fn join(&self, role: Role) -> Result<Endpoint<T>, EndpointError> {
        Endpoint::join(self.ring, role, self.object.segment())
            .map_err(|error| EndpointError::of(error, self.ring.endpoints()))
    }
}
