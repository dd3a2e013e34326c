//! The SDK against an OTLP collector in the same process, judged as Spanseal's collector judges.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod actions;
mod clearances;
mod forging;
mod losses;
mod plain;
mod propagation;
mod recorder;
mod running;
mod sink;
