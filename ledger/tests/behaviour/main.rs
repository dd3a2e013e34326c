//! What the ledger does, feature by feature.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../corpus/mod.rs"]
mod corpus;

mod codecs;
mod flips;
mod keys;
mod run;
mod sealer;
mod trees;
mod trust;
mod verifier;
