//! The bytes that may be in flight at once, over all connections. Large requests leave some of them to small ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::gauge::Gauge;

/// A fixed number of bytes that requests share; cloning shares the same bytes.
#[derive(Debug, Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bytes_max: u64,
    taken: AtomicU64,
    /// Shows what is taken.
    gauge: Gauge,
}

/// Taking these bytes would exceed the budget.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{taken} of {bytes_max} bytes are in flight and {wanted} more were wanted")]
pub struct OverBudget {
    pub wanted: u64,
    pub taken: u64,
    pub bytes_max: u64,
}

impl Budget {
    pub fn new(bytes_max: u64, gauge: Gauge) -> Self {
        Self { shared: Arc::new(Shared { bytes_max, taken: AtomicU64::new(0), gauge }) }
    }

    /// Returns a permit that holds no bytes yet.
    pub fn permit(&self) -> BudgetPermit {
        BudgetPermit { budget: self.clone(), bytes: 0 }
    }

    /// Returns the bytes held by all permits.
    pub fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Takes bytes for a permit that will then hold `held`.
    fn take(&self, bytes: u64, held: u64) -> Result<(), OverBudget> {
        let all = self.shared.bytes_max;
        let bytes_max = if held > SMALL_BYTES { all - all / 8 } else { all };
        let more = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= bytes_max);
        self.shared.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|taken| OverBudget {
            wanted: bytes,
            taken,
            bytes_max,
        })?;
        self.shared.gauge.inc_by(bytes as i64);
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.shared.taken.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.gauge.dec_by(bytes as i64);
    }
}

/// The bytes that one request holds of the budget; dropping it gives them back.
#[derive(Debug)]
pub struct BudgetPermit {
    budget: Budget,
    bytes: u64,
}

impl BudgetPermit {
    /// Takes more bytes.
    ///
    /// # Errors
    /// When the budget has not that many left; what the permit holds already stays held.
    pub fn grow(&mut self, bytes: u64) -> Result<(), OverBudget> {
        self.budget.take(bytes, self.bytes.saturating_add(bytes))?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back what it holds above `bytes`.
    pub fn shrink_to(&mut self, bytes: u64) {
        let excess = self.bytes.saturating_sub(bytes);
        self.budget.give_back(excess);
        self.bytes -= excess;
    }

    /// Returns the bytes held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for BudgetPermit {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// What most requests stay below. Only they may take the last eighth, so that a few clients with large requests do not
/// have all others refused.
const SMALL_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_a_permit_held() {
        let budget = Budget::new(100, Gauge::default());
        let mut first = budget.permit();
        let mut second = budget.permit();
        first.grow(60).unwrap();
        assert_eq!(second.grow(41), Err(OverBudget { wanted: 41, taken: 60, bytes_max: 100 }));
        second.grow(40).unwrap();
        assert_eq!(budget.taken(), 100);
        first.shrink_to(10);
        assert_eq!((first.bytes(), budget.taken()), (10, 50));
        drop(first);
        drop(second);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn keeps_an_eighth_for_small_requests() {
        let budget = Budget::new(8 * SMALL_BYTES, Gauge::default());
        let (mut large, mut small) = (budget.permit(), budget.permit());
        large.grow(7 * SMALL_BYTES).unwrap();
        assert!(large.grow(1).is_err());
        small.grow(SMALL_BYTES).unwrap();
        assert!(small.grow(1).is_err());
    }

    #[test]
    fn cannot_be_overflowed() {
        let mut permit = Budget::new(u64::MAX, Gauge::default()).permit();
        permit.grow(u64::MAX - u64::MAX / 8).unwrap();
        assert!(permit.grow(u64::MAX).is_err());
        assert!(permit.grow(1).is_err());
    }
}
