//! Consume, check, store; read back.

pub mod check;
pub mod facet;
mod hex;
mod words;
