//! Waiting for somebody who is in the middle of a few system calls: asking again, at growing intervals, up to a bound.

use crate::Deadline;
use std::time::Duration;

const FIRST: Duration = Duration::from_micros(50);
/// Short, because what is waited for takes microseconds, and who sleeps long loses to those who come again and again.
const LONGEST: Duration = Duration::from_millis(1);

/// What is left of one's patience.
pub(crate) struct Retry {
    until: Deadline,
    pause: Duration,
}

impl Retry {
    /// For so long.
    pub(crate) fn within(patience: Duration) -> Self {
        Self { until: Deadline::after(patience), pause: FIRST }
    }

    /// Sleeps a little; false once the patience is used up.
    pub(crate) fn pause(&mut self) -> bool {
        let Some(left) = self.until.remaining().filter(|left| !left.is_zero()) else { return false };
        std::thread::sleep(self.pause.min(left));
        self.pause = (self.pause * 2).min(LONGEST);
        true
    }

    /// Whether there is any left, for those who need not sleep.
    pub(crate) fn goes_on(&self) -> bool {
        !self.until.has_passed()
    }
}
