//! Tests across crates, as one binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod compose;
mod differential;
mod flips;
mod layers;
mod ledger;
mod python;
mod structure;
mod tamper;
