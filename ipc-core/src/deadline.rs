//! A point on the monotonic clock until which a call may wait.

use std::time::{Duration, Instant};

/// How long a call may wait: a point on `CLOCK_MONOTONIC`, or never.
///
/// Every waiting verb has one slow path that takes a `Deadline`; the plain form passes [`Deadline::NEVER`], the `_timeout`
/// form `Deadline::after(timeout)` and the `_deadline` form `Deadline::at(instant)`. Moving the wall clock changes nothing.
///
/// ```
/// use ipc_core::Deadline;
/// use std::time::Duration;
/// assert!(Deadline::after(Duration::ZERO).has_passed());
/// assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// Nanoseconds of `CLOCK_MONOTONIC`; `u64::MAX` is never.
    at_ns: u64,
}

impl Deadline {
    /// Wait for ever.
    pub const NEVER: Deadline = Deadline { at_ns: u64::MAX };

    /// A deadline that has always passed: look once, do not wait.
    pub const PASSED: Deadline = Deadline { at_ns: 0 };

    /// `timeout` from now; a time too long to represent is [`Deadline::NEVER`].
    pub fn after(timeout: Duration) -> Self {
        let ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Self { at_ns: now_ns().saturating_add(ns) }
    }

    /// The same point in time as `instant`.
    pub fn at(instant: Instant) -> Self {
        Self::after(instant.saturating_duration_since(Instant::now()))
    }

    /// Whether the time has come.
    pub fn has_passed(self) -> bool {
        self != Self::NEVER && now_ns() >= self.at_ns
    }

    /// Time left: zero once it has passed, `None` for never.
    pub fn remaining(self) -> Option<Duration> {
        (self != Self::NEVER).then(|| Duration::from_nanos(self.at_ns.saturating_sub(now_ns())))
    }

    /// The point in nanoseconds of `CLOCK_MONOTONIC`, `None` for never.
    pub fn as_nanos(self) -> Option<u64> {
        (self != Self::NEVER).then_some(self.at_ns)
    }
}

impl From<Duration> for Deadline {
    fn from(timeout: Duration) -> Self {
        Self::after(timeout)
    }
}

impl From<Instant> for Deadline {
    fn from(instant: Instant) -> Self {
        Self::at(instant)
    }
}

/// Now, in nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(now.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes() {
        assert!(!Deadline::NEVER.has_passed());
        assert!(Deadline::PASSED.has_passed());
        assert!(Deadline::after(Duration::from_nanos(0)).has_passed());
        assert_eq!(Deadline::NEVER.remaining(), None);
        assert_eq!(Deadline::PASSED.remaining(), Some(Duration::ZERO));
        assert!(Deadline::PASSED < Deadline::after(Duration::from_secs(1)));
        assert!(Deadline::after(Duration::from_secs(1)) < Deadline::NEVER);
    }

    #[test]
    fn an_instant_in_the_past_has_passed() {
        assert!(Deadline::at(Instant::now() - Duration::from_millis(1)).has_passed());
    }
}
