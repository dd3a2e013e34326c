//! What is said in the log while a backend takes nothing: each reason once, and again now and then.

use std::time::Duration;

use tokio::time::Instant;

/// An outage, from the first try in vain to the next success.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    current: Option<Said>,
}

#[derive(Debug)]
struct Said {
    reason: String,
    since: Instant,
    last: Instant,
}

impl Trouble {
    /// Notes a try in vain; returns how long that goes on when it is to be said now.
    pub(super) fn note(&mut self, reason: &str) -> Option<Duration> {
        let now = Instant::now();
        let since = self.current.as_ref().map_or(now, |said| said.since);
        let known = self.current.as_ref().is_some_and(|said| said.reason == reason && said.last + AGAIN > now);
        if known {
            return None;
        }
        self.current = Some(Said { reason: reason.to_owned(), since, last: now });
        Some(now - since)
    }

    /// Whether there was any; there is none from now on.
    pub(super) fn ends(&mut self) -> bool {
        self.current.take().is_some()
    }
}

const AGAIN: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn is_said_once_and_again_after_a_while() {
        let mut trouble = Trouble::default();
        assert!(!trouble.ends());
        assert_eq!(trouble.note("away"), Some(Duration::ZERO));
        assert_eq!(trouble.note("away"), None);
        tokio::time::advance(AGAIN).await;
        assert_eq!(trouble.note("away"), Some(AGAIN));
        assert_eq!(trouble.note("full"), Some(AGAIN));
        assert!(trouble.ends());
        assert_eq!(trouble.note("full"), Some(Duration::ZERO));
    }
}
