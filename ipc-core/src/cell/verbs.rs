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

        /// Who holds the lock, if anybody: pid, name and thread, and how long others have waited; a snapshot that never waits.
        pub fn holder(&self) -> ::core::option::Option<$crate::raw::Holder> {
            self.line().inspect(self.segment())
        }
    };
}

/// Writes what all handles have in common, for a struct with a field `placed: Placed<FooState>`.
///
/// ```text
/// handle!(Foo of FooState, "a foo"; new(ARGUMENTS) => INIT);
/// handle!(Foo<T: Plain> of FooState<T>, "a foo"; new(ARGUMENTS) => INIT);
/// handle!(tailed Foo of FooHead, "a foo"; new(ARGUMENTS) => INIT);
/// ```
///
/// `ARGUMENTS` are those of `new`, and come last in all that creates; `INIT` makes the reference to a
/// [`State::Init`](crate::raw::State::Init) of them. See [`State`](crate::raw::State) for examples.
#[macro_export]
macro_rules! handle {
    (tailed $($rest:tt)*) => {
        $crate::handle!(@ $($rest)*);
    };
    ($handle:ident $(<$($t:ident: $bound:path),+>)? of $state:ty, $a:literal; $($rest:tt)*) => {
        $crate::handle!(@ $handle $(<$($t: $bound),+>)? of $state, $a; $($rest)*);

        impl $(<$($t: $bound),+>)? $crate::raw::Shareable for $state {
            type State = Self;
        }
    };
    (@
        $handle:ident $(<$($t:ident: $bound:path),+>)? of $state:ty, $a:literal;
        new($($argument:ident: $type:ty),* $(,)?) => $init:expr
    ) => {
        impl $(<$($t: $bound),+>)? $handle $(<$($t),+>)? {
            #[doc = ::core::concat!("Makes ", $a, " in an anonymous segment of its own.")]
            ///
            /// # Errors
            /// As [`Segment::new`]($crate::Segment::new).
            pub fn new($($argument: $type),*) -> ::core::result::Result<Self, $crate::Error> {
                Self::place($crate::raw::Place::New, $($argument,)* &::core::default::Default::default())
            }

            #[doc = ::core::concat!("Makes ", $a, " with a name, which must be free.")]
            /// [`Segment::unlink`]($crate::Segment::unlink) removes the name.
            ///
            /// # Errors
            /// As [`Segment::create`]($crate::Segment::create).
            pub fn create(name: &str $(, $argument: $type)*) -> ::core::result::Result<Self, $crate::Error> {
                Self::place($crate::raw::Place::Create(name), $($argument,)* &::core::default::Default::default())
            }

            /// Opens what somebody created under this name.
            ///
            /// # Errors
            /// As [`Segment::open`]($crate::Segment::open); `WrongKind` and `WrongType` if the name belongs to something
            /// else; `Corrupt` if what lies there was damaged.
            pub fn open(name: &str) -> ::core::result::Result<Self, $crate::Error> {
                $crate::raw::Placed::open($crate::raw::Place::Open(name)).map(|placed| Self { placed })
            }

            /// Opens what has this name, or creates it; of several who try at once, one creates.
            ///
            /// # Errors
            /// Those of [`open`](Self::open) and [`create`](Self::create).
            pub fn open_or_create(name: &str $(, $argument: $type)*) -> ::core::result::Result<Self, $crate::Error> {
                Self::place($crate::raw::Place::OpenOrCreate(name), $($argument,)* &::core::default::Default::default())
            }

            #[doc = ::core::concat!("Makes ", $a, " without a name in this segment: no system call.")]
            ///
            /// # Errors
            /// `NoSpace` if the segment is full.
            pub fn new_in(
                segment: &$crate::Segment
                $(, $argument: $type)*
            ) -> ::core::result::Result<Self, $crate::Error> {
                Self::place($crate::raw::Place::NewIn(segment), $($argument,)* &::core::default::Default::default())
            }

            #[doc = ::core::concat!("Makes ", $a, " under a name of this segment, which must be free.")]
            pub fn create_in(
                segment: &$crate::Segment,
                name: &str
                $(, $argument: $type)*
            ) -> ::core::result::Result<Self, $crate::Error> {
                let place = $crate::raw::Place::CreateIn(segment, name);
                Self::place(place, $($argument,)* &::core::default::Default::default())
            }

            /// Opens what has this name in this segment.
            pub fn open_in(segment: &$crate::Segment, name: &str) -> ::core::result::Result<Self, $crate::Error> {
                $crate::raw::Placed::open($crate::raw::Place::OpenIn(segment, name)).map(|placed| Self { placed })
            }

            /// Creates or opens as `place` says, with choices for a new segment.
            pub fn place(
                place: $crate::raw::Place<'_>,
                $($argument: $type,)*
                options: &$crate::SegmentOptions,
            ) -> ::core::result::Result<Self, $crate::Error> {
                $crate::raw::Placed::place(place, $init, options).map(|placed| Self { placed })
            }

            /// A small value from which another process [`attach`](Self::attach)es. It keeps nothing alive.
            pub fn ticket(&self) -> $crate::Ticket {
                self.placed.ticket()
            }

            /// Attaches to what a ticket names.
            ///
            /// # Errors
            /// `Gone` if whoever gave the ticket has dropped the segment; `WrongKind` and `WrongType` if it names
            /// something else; what [`Segment::open`]($crate::Segment::open) returns.
            pub fn attach(ticket: &$crate::Ticket) -> ::core::result::Result<Self, $crate::Error> {
                $crate::raw::Placed::attach(ticket).map(|placed| Self { placed })
            }

            /// The segment it lies in.
            pub fn segment(&self) -> &$crate::Segment {
                self.placed.segment()
            }
        }

        impl $(<$($t: $bound),+>)? ::core::clone::Clone for $handle $(<$($t),+>)? {
            fn clone(&self) -> Self {
                Self { placed: ::core::clone::Clone::clone(&self.placed) }
            }
        }

        $crate::handle_serde!($handle $(<$($t: $bound),+>)?);
    };
}

/// The part of [`handle!`](crate::handle) that needs serde.
#[doc(hidden)]
#[cfg(feature = "serde")]
#[macro_export]
macro_rules! handle_serde {
    ($handle:ident $(<$($t:ident: $bound:path),+>)?) => {
        /// Inside spawn, queues and pipes only; elsewhere an error that names `.ticket()`.
        impl $(<$($t: $bound),+>)? $crate::__private::serde::Serialize for $handle $(<$($t),+>)? {
            fn serialize<__S: $crate::__private::serde::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                $crate::transport::serialize_placed(&self.placed, serializer)
            }
        }

        impl<'__de $($(, $t: $bound)+)?> $crate::__private::serde::Deserialize<'__de> for $handle $(<$($t),+>)? {
            fn deserialize<__D: $crate::__private::serde::Deserializer<'__de>>(
                deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                $crate::transport::deserialize_placed(deserializer).map(|placed| Self { placed })
            }
        }
    };
}

/// See the other one.
#[doc(hidden)]
#[cfg(not(feature = "serde"))]
#[macro_export]
macro_rules! handle_serde {
    ($($anything:tt)*) => {};
}
