//! Judgements on whole spans, as the collector asks for them.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod configuration;
mod docs;
mod fixture;
mod monotone;
mod reasons;
mod verdicts;
