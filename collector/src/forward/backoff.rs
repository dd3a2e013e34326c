//! How long to wait before a request is sent again.

use std::time::Duration;

/// Doubles from the first wait to the longest, and starts over after a success.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// Returns how long to wait now: what the backend asked for (a day at most), or our own step.
    ///
    /// One collector sends one request at a time to a backend, so that no herd needs spreading by chance.
    pub(super) fn wait(&mut self, asked: Option<Duration>) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.longest);
        asked.map_or(step, |asked| asked.min(ASKED_MAX).max(self.first))
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

const ASKED_MAX: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn doubles_up_to_the_longest_and_starts_over() {
        let mut backoff = Backoff::new(SECOND, SECOND * 5);
        let waits: Vec<u64> = (0..5).map(|_| backoff.wait(None).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 5, 5]);
        backoff.reset();
        assert_eq!(backoff.wait(None), SECOND);
    }

    #[test]
    fn waits_as_long_as_the_backend_asks_within_a_day() {
        let mut backoff = Backoff::new(SECOND, SECOND * 5);
        assert_eq!(backoff.wait(Some(SECOND * 60)), SECOND * 60);
        assert_eq!(backoff.wait(Some(Duration::ZERO)), SECOND);
        assert_eq!(backoff.wait(Some(SECOND * 1_000_000)), ASKED_MAX);
    }
}
