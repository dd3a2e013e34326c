//! What operators see: health, readiness and metrics.

pub mod health;
pub mod metrics;

pub use health::Health;
pub use metrics::Metrics;
