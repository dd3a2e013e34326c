//! What makes it evidence: leaf, tree, batch, seal, checkpoint, proof, keys, verification.
//!
//! Bytes are those of `docs/format.md`, whose section numbers the comments quote. Nothing here reads a clock, a file or a
//! socket: an event is a kind byte and a body, times and keys are given by the caller.
//!
//! | to do this | use |
//! |---|---|
//! | write a stream | [`sealer::Sealer`], with [`root_leaf`] before and after an epoch and [`checkpoint::sign_checkpoint`] beside it |
//! | verify a log | [`verify::RootVerifier`], then a [`verify::StreamVerifier`] a stream, then [`verify::Report`] |
//! | prove one event | [`proof`], against a [`checkpoint::VerifiedCheckpoint`] |
#![no_std]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod batch;
pub mod checkpoint;
pub mod epoch;
pub mod gap;
pub mod id;
pub mod key;
pub mod key_event;
pub mod kind;
pub mod leaf;
pub mod note;
pub mod proof;
pub mod root_leaf;
pub mod seal;
pub mod sealer;
pub mod tree;
pub mod trust;
pub mod verify;

mod layout;
mod text;

pub use id::{Deployment, EventId, Role, StreamId};
pub use leaf::Hash;
