//! What the clocks say: handed to whoever needs the time, so that tests say what it is.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One instant by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Nanoseconds since the Unix epoch; may be set back.
    pub(crate) wall_unix_nano: u64,
    /// Nanoseconds since some fixed instant of this process; never goes back.
    pub(crate) monotonic_nano: u64,
}

impl Moment {
    /// Returns how long this is after an earlier moment.
    pub(crate) fn since(&self, earlier: &Moment) -> Duration {
        Duration::from_nanos(self.monotonic_nano.saturating_sub(earlier.monotonic_nano))
    }

    /// Returns the wall time in seconds, as checkpoints carry it.
    pub(crate) fn seconds(&self) -> u64 {
        self.wall_unix_nano / 1_000_000_000
    }
}

/// The clocks of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    started: Instant,
}

impl Clocks {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Moment {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { wall_unix_nano: nanos(wall), monotonic_nano: nanos(self.started.elapsed()) }
    }
}

/// The year 2554 is the last that fits.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
