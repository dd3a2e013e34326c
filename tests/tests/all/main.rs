//! Tests across crates, as one binary.

mod compose;
mod flips;
mod layers;
mod ledger;
mod python;
