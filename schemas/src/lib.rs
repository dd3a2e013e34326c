//! What an event and an attribute say: protobuf, attribute names, the OTLP scanner.
//!
//! No hashing and no I/O. Everything here reads hostile bytes: it returns errors, never panics, never recurses deeper
//! than the protobuf recursion limit of 100, and never allocates more than a multiple of its input.
#![deny(missing_docs)]

pub mod abridge;
pub mod alike;
pub mod canonical;
pub mod cut;
pub mod envelope;
#[rustfmt::skip]
pub mod event;
pub mod kind;
#[rustfmt::skip]
pub mod names;
pub mod scan;
pub mod splice;
mod wire;
