//! The verbs of both semaphores, written once.

/// For a handle with `fn table(&self) -> Table<'_>` and `placed: Placed<_>`.
macro_rules! permit_methods {
    () => {
        /// Takes a permit until the [`Permit`](crate::Permit) is dropped, waiting for one.
        ///
        /// # Blocking
        /// Until a permit is free: spins for 2–3 µs, then sleeps. Nothing tells a thread that it holds all of them itself.
        ///
        /// # Process death
        /// Permits of a process that is killed are free again within 100 ms: whoever waits asks about holders, up to 64 of
        /// them at each re-check; with more than some 400 processes that hold permits it can take longer.
        ///
        /// # Errors
        /// `Corrupt` if it would have to wait and finds the table damaged; `Member` at first use after a fork.
        #[inline]
        pub fn acquire(&self) -> Result<$crate::Permit<'_>, $crate::AcquireError> {
            self.acquire_by(ipc_core::Deadline::NEVER)
        }

        /// Takes a permit if one is free; else `WouldBlock`.
        ///
        /// Each permit is looked at once: while others release and acquire, all may be taken when looked at although at each
        /// moment one was free.
        ///
        /// # Process death
        /// Who polls in vain for over a millisecond asks whether a holder has died, and takes its permits back.
        #[inline]
        pub fn try_acquire(&self) -> Result<$crate::Permit<'_>, $crate::AcquireError> {
            let table = self.table();
            let (index, me) = table.try_acquire(self.placed.segment())?;
            Ok($crate::semaphore::Permit::new(table.slot(index), me))
        }

        /// As [`acquire`](Self::acquire), giving up with `Timeout` after `timeout`.
        pub fn acquire_timeout(
            &self,
            timeout: std::time::Duration,
        ) -> Result<$crate::Permit<'_>, $crate::AcquireError> {
            self.acquire_by(ipc_core::Deadline::after(timeout))
        }

        /// As [`acquire`](Self::acquire), giving up with `Timeout` at `deadline`.
        pub fn acquire_deadline(
            &self,
            deadline: std::time::Instant,
        ) -> Result<$crate::Permit<'_>, $crate::AcquireError> {
            self.acquire_by(ipc_core::Deadline::at(deadline))
        }

        /// Takes `n` permits at once.
        ///
        /// One at a time gathers: two that each have half of what both need would wait for each other for ever. It keeps what
        /// it has got so far, so those who take single permits cannot starve it.
        ///
        /// # Process death
        /// As for [`acquire`](Self::acquire); of one that is killed while it gathers, all comes back.
        ///
        /// # Errors
        /// `TooMany` if there can never be `n`; else as [`acquire`](Self::acquire).
        pub fn acquire_many(&self, n: u32) -> Result<$crate::Permits<'_>, $crate::AcquireError> {
            self.acquire_many_by(n, ipc_core::Deadline::NEVER)
        }

        /// Takes `n` permits if so many are free and nobody else gathers; else `WouldBlock`.
        pub fn try_acquire_many(&self, n: u32) -> Result<$crate::Permits<'_>, $crate::AcquireError> {
            let table = self.table();
            table.try_acquire_many(self.placed.segment(), n).map(|taken| $crate::Permits::new(table, taken))
        }

        /// As [`acquire_many`](Self::acquire_many), giving up with `Timeout` after `timeout`.
        pub fn acquire_many_timeout(
            &self,
            n: u32,
            timeout: std::time::Duration,
        ) -> Result<$crate::Permits<'_>, $crate::AcquireError> {
            self.acquire_many_by(n, ipc_core::Deadline::after(timeout))
        }

        /// As [`acquire_many`](Self::acquire_many), giving up with `Timeout` at `deadline`.
        pub fn acquire_many_deadline(
            &self,
            n: u32,
            deadline: std::time::Instant,
        ) -> Result<$crate::Permits<'_>, $crate::AcquireError> {
            self.acquire_many_by(n, ipc_core::Deadline::at(deadline))
        }

        /// Adds `n` permits: those that were never there, or were [forgotten](crate::Permit::forget). All or none.
        ///
        /// # Blocking
        /// Waits for others who add at the same moment, and so for one that is stopped in the middle of it.
        ///
        /// # Process death
        /// Killed inside, some of the `n` have been added.
        ///
        /// # Errors
        /// `Full` if there would be more than [`maximum`](Self::maximum), exact also under contention.
        pub fn add_permits(&self, n: u32) -> Result<(), $crate::AddError> {
            self.table().add(self.placed.segment(), n)
        }

        /// How many permits are free; a snapshot that never waits. Those of the dead count once somebody has missed them.
        pub fn available(&self) -> u32 {
            self.table().available()
        }

        /// How many there can be: said when it was made.
        pub fn maximum(&self) -> u32 {
            self.placed.tail().len() as u32
        }

        #[inline]
        fn acquire_by(&self, deadline: ipc_core::Deadline) -> Result<$crate::Permit<'_>, $crate::AcquireError> {
            let table = self.table();
            let (index, me) = table.acquire(self.placed.segment(), deadline)?;
            Ok($crate::Permit::new(table.slot(index), me))
        }

        fn acquire_many_by(
            &self,
            n: u32,
            deadline: ipc_core::Deadline,
        ) -> Result<$crate::Permits<'_>, $crate::AcquireError> {
            let table = self.table();
            let taken = table.acquire_many(self.placed.segment(), n, deadline)?;
            Ok($crate::Permits::new(table, taken))
        }
    };
}
