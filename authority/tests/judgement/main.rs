//! Judgements on whole spans, as the collector asks for them.

mod configuration;
mod docs;
mod fixture;
mod monotone;
mod reasons;
mod verdicts;
