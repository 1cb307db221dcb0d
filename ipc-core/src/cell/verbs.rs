//! What all handles have in common, written once.

/// The verbs of a lock over `$data`, for a handle with `fn raw(&self) -> RawLock<'_, $data>`.
#[doc(hidden)]
#[macro_export]
macro_rules! lock_verbs {
    ($data:ty) => {
        /// Locks and gives access to the data until the guard is dropped.
        ///
        /// # Blocking
        /// Waits for the holder: spins for 2–3 µs, then sleeps.
        ///
        /// # Process death
        /// A holder that is killed before its first mutable access is as if it had never locked. If it had begun to write,
        /// this and every later attempt is [`LockError::Inconsistent`]($crate::LockError::Inconsistent), told within 100 ms,
        /// until [`recover`](Self::recover) has succeeded.
        ///
        /// # Errors
        /// `Inconsistent`; `WouldDeadlock` if this thread holds it already; `Corrupt` if the lock word is damaged.
        #[inline]
        pub fn lock(&self) -> ::core::result::Result<$crate::raw::Guard<'_, $data>, $crate::LockError> {
            self.raw().lock($crate::Deadline::NEVER)
        }

        /// Locks if that is possible at once; else `WouldBlock`, also when this thread is the holder.
        ///
        /// # Process death
        /// Who polls for over a millisecond and meets the same holder asks whether it lives, and takes over from the dead.
        #[inline]
        pub fn try_lock(&self) -> ::core::result::Result<$crate::raw::Guard<'_, $data>, $crate::LockError> {
            self.raw().try_lock()
        }

        /// As [`lock`](Self::lock), giving up with `Timeout` after `timeout`.
        pub fn lock_timeout(
            &self,
            timeout: ::std::time::Duration,
        ) -> ::core::result::Result<$crate::raw::Guard<'_, $data>, $crate::LockError> {
            self.raw().lock($crate::Deadline::after(timeout))
        }

        /// As [`lock`](Self::lock), giving up with `Timeout` at `deadline`.
        pub fn lock_deadline(
            &self,
            deadline: ::std::time::Instant,
        ) -> ::core::result::Result<$crate::raw::Guard<'_, $data>, $crate::LockError> {
            self.raw().lock($crate::Deadline::at(deadline))
        }

        /// Locks; if somebody died or panicked while writing, runs `repair` on what is left and takes the mark away.
        ///
        /// On consistent data `repair` does not run: of several who call this at once, one repairs.
        ///
        /// # Process death
        /// If `repair` panics, or its process is killed inside, the mark stays, and the next one can try.
        pub fn recover(
            &self,
            repair: impl ::core::ops::FnOnce(&mut $data),
        ) -> ::core::result::Result<$crate::raw::Guard<'_, $data>, $crate::LockError> {
            self.raw().recover(repair, $crate::Deadline::NEVER)
        }

        /// Whether somebody left the data half-written; a snapshot that never waits.
        pub fn is_inconsistent(&self) -> bool {
            self.line().is_inconsistent()
        }
    };
}

/// Ticket, attach, segment and serde of a handle around `object`, which has `fn claim(Object) -> Result<Self, Error>`,
/// `const KIND` and `fn schema()`.
#[doc(hidden)]
#[macro_export]
macro_rules! object_handle {
    ($handle:ident<$t:ident: $bound:path>) => {
        impl<$t: $bound> $handle<$t> {
            /// A small value from which another process [`attach`](Self::attach)es. It keeps nothing alive.
            pub fn ticket(&self) -> $crate::Ticket {
                self.object.ticket()
            }

            /// Attaches to the object that a ticket names.
            ///
            /// # Errors
            /// `Gone` if whoever gave the ticket has dropped the segment; `WrongKind` and `WrongType` if it names
            /// something else; what [`Segment::open`]($crate::Segment::open) returns.
            pub fn attach(ticket: &$crate::Ticket) -> ::core::result::Result<Self, $crate::Error> {
                Self::claim($crate::raw::Object::attach(ticket, Self::KIND, &Self::schema())?)
            }

            /// The segment it lies in.
            pub fn segment(&self) -> &$crate::Segment {
                self.object.segment()
            }
        }

        impl<$t: $bound> ::core::clone::Clone for $handle<$t> {
            fn clone(&self) -> Self {
                Self { object: self.object.clone(), ..*self }
            }
        }

        /// Inside spawn, queues and pipes only; elsewhere an error that names `.ticket()`.
        #[cfg(feature = "serde")]
        impl<$t: $bound> ::serde::Serialize for $handle<$t> {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::transport::serialize_object(&self.object, serializer)
            }
        }

        #[cfg(feature = "serde")]
        impl<'de, $t: $bound> ::serde::Deserialize<'de> for $handle<$t> {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                let object = $crate::transport::deserialize_object(deserializer, Self::KIND, &Self::schema())?;
                Self::claim(object).map_err(|e| ::serde::de::Error::custom($crate::transport::remember(e)))
            }
        }
    };
}
